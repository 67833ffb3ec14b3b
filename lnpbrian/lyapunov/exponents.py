"""What every measurement of Lyapunov exponents has to say, whether from tangent vectors or from twins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Exponents"]


@dataclass(frozen=True, repr=False, kw_only=True)
class Exponents:
    """Lyapunov exponents of a network, and how far to trust them; N counts the neurons that are alive.

    Rates are in 1/s for spiking networks, per unit of time of the system otherwise.

    Attributes
    ----------
    per_neuron : ndarray, shape (N,)
        Exponent of each neuron.
    largest_exponent : float or None
        The largest Lyapunov exponent of the network: the growth rate of a direction that is kept, or the leading one
        of the spectrum. None where no direction was kept.
    standard_error : float or None
        Of `largest_exponent`; inf if there was but one interval or window.
    trace : ndarray
        Running estimates, one after each interval or window.
    rates : ndarray, shape (N,)
        Firing rates in Hz; empty where they were not counted.
    duration : float
        Measured time.
    status : str
        What a reader must know of the estimate, as a sentence.

    Examples
    --------
    >>> nothing = np.zeros(0)
    >>> Exponents(per_neuron=nothing, largest_exponent=-3.0, standard_error=0.1, trace=nothing, rates=nothing,
    ...           duration=0.5, status="one window").resolution
    2.0
    """

    per_neuron: np.ndarray
    largest_exponent: float | None
    standard_error: float | None
    trace: np.ndarray
    rates: np.ndarray
    duration: float
    status: str

    @property
    def resolution(self) -> float:
        """Smallest exponent that the measured time resolves: its inverse."""
        return 1 / self.duration


def flat_spikes(flat: int, spikes: int, remedy: str) -> list[str]:
    """Return what must be said if, by the recorded times, `flat` of `spikes` came at a slope that was not positive.

    Examples
    --------
    >>> flat_spikes(0, 100, "a smaller dt")
    []
    >>> print(*flat_spikes(2, 100, "a smaller dt"))
    2 of 100 simulated spikes came when the potential was not rising, ...; a smaller dt avoids them
    """
    if not flat:
        return []
    return [
        f"{flat} of {spikes} simulated spikes came when the potential was not rising, next to missed or mistaken "
        f"crossings; {remedy} avoids them"
    ]
