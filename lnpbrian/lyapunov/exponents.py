"""What a measurement of Lyapunov exponents has to say, from tangent vectors or from twins, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.records import as_html, data_frame, same

__all__ = ["Exponents", "Spectrum", "entropy_rate", "interpolate_spectrum", "kaplan_yorke_dimension"]


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


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class Spectrum(Exponents):
    """Lyapunov exponents in descending order of their directions, and how far to trust them.

    Rates are in 1/s for spiking networks, per unit of time of the system otherwise.

    Attributes
    ----------
    exponents : ndarray, shape (k,)
        The k leading exponents, -inf where a direction is lost (see `status`).
    largest_exponent, standard_error : float
        The first of them, and its standard error.
    per_neuron : ndarray, shape (N,)
        Exponent of each neuron: ``sum_m lambda_m <Q_im^2>`` over the coordinates of neuron i, or of each coordinate of
        a system without spikes. Of a complete spectrum they add up to its sum; of a leading part only to the sum of
        that part.
    standard_errors : ndarray, shape (k,)
        Of the exponents, from the means of ten stretches of each input, and of what directions that are still turning
        add, which these means have in common; inf if there was but one interval.
    trace : ndarray, shape (intervals, k)
        Running estimate after each interval, averaged over inputs.
    dimension : int
        Dimension D of the tangent space.
    mean_log_det : float or None
        Time mean of ln|det| of the tangent map, computed without vectors: the sum of all D exponents. None where it
        was not computed, or is -inf.
    participation : ndarray, shape (D, k)
        Mean squares of the components of the k orthonormal vectors at the ends of intervals.
    rates : ndarray, shape (N,)
        Firing rates in Hz during the measurement; empty for systems without spikes.
    interval : float
        Time between factorisations.
    duration : float
        Measured time, over all inputs.
    status : str
        What a reader must know of the estimate, as a sentence.

    Notes
    -----
    From the images of orthonormal vectors (Benettin et al. 1980, doi:10.1007/BF02128236), by `lyapunov_spectrum`,
    `rate_network_spectrum`, `flow_spectrum` or `map_spectrum`.

    Examples
    --------
    Halving one coordinate and doubling another:

    >>> from lnpbrian.lyapunov import map_spectrum
    >>> factors = np.array([0.5, 2.0])
    >>> spectrum = map_spectrum(
    ...     lambda x: factors * x, lambda x: np.diag(factors), np.zeros(2),
    ...     duration=10, transient=100, rng=np.random.default_rng(0))
    >>> bool(np.isclose(spectrum.largest_exponent, np.log(2))), round(spectrum.kaplan_yorke_dimension, 6)
    (True, 2.0)
    """

    exponents: np.ndarray
    standard_errors: np.ndarray
    dimension: int
    mean_log_det: float | None
    participation: np.ndarray
    interval: float
    per_neuron: np.ndarray = field(init=False)
    largest_exponent: float = field(init=False)
    standard_error: float = field(init=False)

    def __post_init__(self) -> None:
        finite = np.isfinite(self.exponents)
        each = self.participation[:, finite] @ self.exponents[finite]
        if self.rates.size:
            each = each.reshape(-1, self.rates.size).sum(axis=0)
        object.__setattr__(self, "per_neuron", each)
        object.__setattr__(self, "largest_exponent", float(self.exponents[0]))
        object.__setattr__(self, "standard_error", float(self.standard_errors[0]))

    @property
    def complete(self) -> bool:
        """Whether all D exponents are there."""
        return self.exponents.size == self.dimension

    @property
    def sum(self) -> float | None:
        """Sum of the exponents: the mean rate of change of volume; None unless the spectrum is complete."""
        return float(self.exponents.sum()) if self.complete and np.isfinite(self.exponents).all() else None

    @property
    def kaplan_yorke_dimension(self) -> float | None:
        """See `kaplan_yorke_dimension`; None if more exponents are needed, as `status` says."""
        if not self.complete and np.cumsum(self.exponents)[-1] >= 0:
            return None
        return kaplan_yorke_dimension(self.exponents)

    @property
    def entropy_rate(self) -> float | None:
        """See `entropy_rate`; None if more exponents are needed, as `status` says."""
        if not self.complete and self.exponents[-1] > 0:
            return None
        return entropy_rate(self.exponents)

    def to_dataframe(self) -> Any:
        """Return the spectrum as a pandas DataFrame, a row for every exponent, with i/D and standard error.

        Raises
        ------
        InvalidInput
            If pandas is not installed.
        """
        i = np.arange(1, self.exponents.size + 1)
        columns = {"i": i, "i/D": i / self.dimension, "exponent": self.exponents}
        return data_frame(columns | {"standard_error": self.standard_errors}, "i")

    def shown(self) -> list[tuple[str, str]]:
        """Return what there is to show, as names and values."""
        derived = (
            ("sum", self.sum),
            ("Kaplan-Yorke dimension", self.kaplan_yorke_dimension),
            ("entropy rate", self.entropy_rate),
        )
        more = [(name, f"{value:.4g}") for name, value in derived if value is not None]
        return [("exponents", f"{self.exponents.size} of {self.dimension}"), *super().shown(), *more]

    def __repr__(self) -> str:
        return (
            f"Spectrum({self.exponents.size} of {self.dimension} exponents, {self.largest_exponent:.3g} +- "
            f"{self.standard_error:.2g} ... {self.exponents[-1]:.3g}; {self.status})"
        )


def kaplan_yorke_dimension(exponents: np.ndarray) -> float:
    """Return the Kaplan-Yorke (Lyapunov) dimension of a spectrum.

    Parameters
    ----------
    exponents : ndarray, shape (k,)
        All exponents, or enough leading ones for their sum to fall below zero; sorted here.

    Raises
    ------
    InvalidInput
        If there are none, or one is not a number.

    Notes
    -----
    ``j + (lambda_1 + ... + lambda_j)/|lambda_{j+1}|`` with the largest j for which the sum is not negative; 0 if all
    are negative, the number of exponents if the sum of all is not negative (Kaplan and Yorke 1979,
    doi:10.1007/BFb0064319).

    Examples
    --------
    >>> kaplan_yorke_dimension(np.array([1.0, 0.0, -4.0]))
    2.25
    >>> kaplan_yorke_dimension(np.array([-1.0, -2.0]))
    0.0
    """
    ordered = _sorted(exponents)
    sums = np.cumsum(ordered)
    j = int(np.sum(sums >= 0)) if (sums < 0).any() else ordered.size
    if j == ordered.size:
        return float(j)
    # Sums rise and fall once: all of the first j are those that are not negative.
    return float(j + (sums[j - 1] if j else 0.0) / abs(ordered[j]))


def entropy_rate(exponents: np.ndarray) -> float:
    """Return the sum of the positive exponents: the entropy rate in nats per unit of time, by Pesin's identity.

    Parameters
    ----------
    exponents : ndarray, shape (k,)
        All exponents, or at least the positive ones.

    Raises
    ------
    InvalidInput
        If there are none, or one is not a number.

    Notes
    -----
    An upper bound in general, the Kolmogorov-Sinai entropy for systems with a smooth invariant measure along unstable
    directions (Eckmann and Ruelle 1985, doi:10.1103/RevModPhys.57.617).

    Examples
    --------
    >>> entropy_rate(np.array([1.5, 0.5, -4.0]))
    2.0
    """
    ordered = _sorted(exponents)
    return float(ordered[ordered > 0].sum())


def interpolate_spectrum(exponents: np.ndarray, size: int) -> np.ndarray:
    """Return a complete spectrum on the grid i/size, i = 1..size, linearly interpolated over i/N.

    Spectra of networks of different sizes can be compared or averaged on the grid of the largest (arXiv 2403.03409,
    appendix A). Below 1/N the largest exponent is held.

    Parameters
    ----------
    exponents : ndarray, shape (N,)
        All exponents; sorted here.
    size : int
        Number of points.

    Returns
    -------
    ndarray, shape (size,)

    Raises
    ------
    InvalidInput
        If there are no exponents, one is not a number, or `size` is below 1.

    Examples
    --------
    >>> interpolate_spectrum(np.array([0.0, -1.0]), 4).tolist()
    [0.0, 0.0, -0.5, -1.0]
    """
    ordered = _sorted(exponents)
    size = checks.count("size", size)
    n = ordered.size
    return np.interp(np.arange(1, size + 1) / size, np.arange(1, n + 1) / n, ordered)


def _sorted(exponents: np.ndarray) -> np.ndarray:
    given = checks.array("exponents", exponents, finite=False)
    if given.ndim != 1 or not given.size or np.isnan(given).any() or (given == np.inf).any():
        raise InvalidInput(f"exponents must be at least one number each, got an array of shape {given.shape}: {given}")
    return np.sort(given)[::-1]
