"""What every measurement of Lyapunov exponents has to say, whether from tangent vectors or from twins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lnpbrian.records import as_html, data_frame, same

__all__ = ["Exponents"]


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
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

    Notes
    -----
    Lyapunov exponents: Eckmann and Ruelle 1985, doi:10.1103/RevModPhys.57.617.

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

    def __eq__(self, other: object) -> bool:
        return same(self, other) if isinstance(other, Exponents) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def shown(self) -> list[tuple[str, str]]:
        """Return what there is to show, as names and values."""
        found = self.largest_exponent
        largest = [] if found is None else [("largest exponent", f"{found:.3g} ± {self.standard_error:.2g}")]
        quartiles = np.percentile(self.per_neuron, [25, 50, 75]) if self.per_neuron.size else []
        each = ", ".join(f"{q:.3g}" for q in quartiles)
        return [*largest, ("quartiles of the neurons", each), ("measured time", f"{self.duration:.4g}")]

    def to_dataframe(self) -> Any:
        """Return the exponents as a pandas DataFrame, a row for every neuron that is alive.

        Columns are its `exponent`, and its rate in Hz where spikes were counted.

        Raises
        ------
        InvalidInput
            If pandas is not installed.
        """
        return data_frame(self._columns(), "neuron")

    def _columns(self) -> dict[str, np.ndarray]:
        rates = {"rate_hz": self.rates} if self.rates.size == self.per_neuron.size else {}
        return {"neuron": np.arange(self.per_neuron.size), "exponent": self.per_neuron, **rates}

    def _repr_html_(self) -> str:
        return as_html(f"{type(self).__name__}: {self.status}", ["", "value"], self.shown())


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
