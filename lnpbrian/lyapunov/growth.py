"""What twins measure: how fast they part over many short windows, and the exponents that this makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from brian2 import Quantity

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.exponents import Exponents
from lnpbrian.network.spec import NetworkSpec

__all__ = [
    "Growth",
    "Separations",
    "TwinExponents",
    "TwinPlan",
    "state_names",
    "twin_exponents",
    "twin_plan",
    "twin_window",
]


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class TwinExponents(Exponents):
    """Lyapunov exponents measured with twins, in 1/s; N counts the neurons that are alive.

    Attributes
    ----------
    per_neuron : ndarray, shape (N,)
        Mean logarithmic growth rate of each neuron's separation, from fresh directions if there were any.
    largest_exponent, standard_error : float or None
        Mean growth rate of the norm of the separation in a direction that is kept, which has turned into the fastest
        growing one. None if every window began in fresh directions.
    trace : ndarray, shape (windows,)
        Running estimate of `largest_exponent`, or where it is None, of `window_exponent`.
    rates : ndarray, shape (N,)
        Firing rates of the reference in Hz; empty where they were not counted.
    duration : float
        Windows times their length, in seconds; exponents below its inverse are not resolved.
    status : str
        What a reader must know of the estimate, as a sentence.
    per_neuron_standard_error : ndarray, shape (N,)
        Standard deviation over windows and realisations divided by the root of their number.
    window_exponent, window_standard_error : float or None
        Mean growth rate of the norm over one window from a random start, as in the paper: how much the network
        amplifies at first, not whether it forgets in the long run. None if no direction was fresh.
    floored : ndarray, shape (N,)
        Fraction of windows in which a neuron's separation had reached rounding error; its exponent is an upper bound
        there.

    Notes
    -----
    `window_exponent` is that of appendix A.1 of Chakraborty et al. (2024), arXiv 2403.03409, `largest_exponent` that of
    Benettin et al. (1980), doi:10.1007/BF02128236.

    Examples
    --------
    Neurons below threshold forget at the rates 1/tau:

    >>> from brian2 import ms
    >>> from lnpbrian.lyapunov import block_twin_exponents
    >>> from lnpbrian.models import uncoupled
    >>> twins = block_twin_exponents(uncoupled([10, 25] * ms, bias=0.5), rng=np.random.default_rng(0))
    >>> twins.per_neuron.round(3).tolist(), twins.largest_exponent
    ([-100.0, -40.0], None)
    """

    per_neuron_standard_error: np.ndarray
    window_exponent: float | None
    window_standard_error: float | None
    floored: np.ndarray

    def _columns(self) -> dict[str, np.ndarray]:
        return super()._columns() | {"standard_error": self.per_neuron_standard_error, "floored": self.floored}

    def shown(self) -> list[tuple[str, str]]:
        """Return what there is to show, as names and values."""
        found = self.window_exponent
        window = [] if found is None else [("window exponent", f"{found:.3g} ± {self.window_standard_error:.2g}")]
        return [*window, *super().shown()]

    def __repr__(self) -> str:
        named = (
            ("largest exponent", self.largest_exponent, self.standard_error),
            ("window exponent", self.window_exponent, self.window_standard_error),
        )
        said = ", ".join(f"{name} {value:.2f} +- {error:.2f} /s" for name, value, error in named if value is not None)
        return f"TwinExponents({said}; {self.status})"


DIRECTIONS = ("fresh", "kept")
TWIN_WINDOW = 20e-3


def twin_window(dt: float) -> float:
    """Return the usual window between renormalisations in seconds, in whole steps of `dt` seconds.

    Examples
    --------
    >>> twin_window(0.001), round(twin_window(0.0003), 9)
    (0.02, 0.0201)
    """
    return max(1, round(TWIN_WINDOW / dt)) * dt


# What a renormalised twin takes from its reference.
_DELTA_STATE = ("v", "lastspike", "not_refractory")
_GRID_STATE = ("I_syn", *_DELTA_STATE)
_OFF_GRID_STATE = ("v", "I_syn", "active", "release", "overshoot", "rise", "slope")


def state_names(spec: NetworkSpec) -> tuple[str, ...]:
    """Return the variables of a neuron that a renormalised twin takes from its reference.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> state_names(uncoupled([20] * ms))
    ('I_syn', 'v', 'lastspike', 'not_refractory')
    """
    if spec.has_delta_synapses:
        return _DELTA_STATE
    return _GRID_STATE if spec.spike_timing == "grid" else _OFF_GRID_STATE


# --- plan and statistics, shared by all twins -------------------------------------------------------------------------


@dataclass(frozen=True)
class TwinPlan:
    """Checked lengths of a twin measurement, in seconds.

    The measurement is that of arXiv 2403.03409, section A.1.
    """

    transient: float
    window: float
    n_windows: int
    realisations: int


def twin_plan(
    duration: Quantity, transient: Quantity, renormalise_every: Quantity, realisations: int, dt: float | None
) -> TwinPlan:
    """Check the lengths of a twin measurement with a step of `dt` seconds, or without one.

    Raises
    ------
    InvalidInput
        If a length is no time, a window is not a whole number of steps, or none fits into `duration`.

    Examples
    --------
    >>> from brian2 import ms, second
    >>> twin_plan(1 * second, 50 * ms, 20 * ms, 4, 0.0005)
    TwinPlan(transient=0.06, window=0.02, n_windows=50, realisations=4)
    """
    window = checks.seconds("renormalise_every", renormalise_every)
    if dt is not None:
        steps = round(window / dt)
        if steps < 1 or abs(steps * dt - window) > 1e-6 * dt:
            raise InvalidInput(
                f"renormalise_every must be a whole number of steps of {1e3 * dt:g} ms, got {window * 1e3:g} ms"
            )
    length = checks.seconds("duration", duration)
    n_windows = int(length / window + 1e-9)
    if n_windows < 1:
        raise InvalidInput(f"duration must hold at least one window of {window * 1e3:g} ms, got {length * 1e3:g} ms")
    settle = checks.seconds("transient", transient, at_least=0)
    if dt is not None:
        # Windows start on multiples of their length, so the transient is rounded up to one.
        settle = float(np.ceil(settle / window - 1e-9) * window)
    return TwinPlan(settle, window, n_windows, checks.count("realisations", realisations))


class Separations(NamedTuple):
    """How far the twins are from their reference at both ends of a window, and the potentials of the reference.

    What section A.1 of arXiv 2403.03409 fits the growth of a perturbation to.
    """

    start: np.ndarray  # (R, N)
    end: np.ndarray  # (R, N)
    reference: np.ndarray  # (N,), at the end


class Growth:
    """Logarithmic growth rates, collected window by window.

    Notes
    -----
    ``ln(|delta(end)| / |delta(start)|) / window``, of each neuron and of the norm (Benettin et al. 1980,
    doi:10.1007/BF02128236; arXiv 2403.03409, appendix A.1).

    Examples
    --------
    One twin whose separation grows by e in 0.1 s:

    >>> growth = Growth(0.1)
    >>> growth.add(np.array([[1e-6, 0.0]]), np.array([[np.e * 1e-6, 0.0]]), np.ones(2))
    >>> mean, error, trace = growth.of_network()
    >>> round(mean, 6), error
    (10.0, inf)
    """

    def __init__(self, window: float) -> None:
        self.window = window
        self.neuron: list[np.ndarray] = []
        self.network: list[np.ndarray] = []
        self.floored: list[np.ndarray] = []

    def add(self, start: np.ndarray, end: np.ndarray, reference: np.ndarray) -> None:
        """Take the `Separations` of one window."""
        rounding = np.finfo(float).eps * max(float(np.abs(reference).max()), np.finfo(float).tiny)
        self.floored.append(end < rounding)
        # A start below rounding can only be the draw of a number next to zero.
        start, end = np.maximum(start, rounding), np.maximum(end, rounding)
        self.neuron.append(np.log(end / start) / self.window)
        # Of potentials that are all exactly 0 nothing is left to be rounded: twins that meet there grow by -inf.
        with np.errstate(divide="ignore"):
            self.network.append(np.log(np.linalg.norm(end, axis=1) / np.linalg.norm(start, axis=1)) / self.window)

    def of_network(self) -> tuple[float, float, np.ndarray]:
        """Return the mean growth rate of the norm, its standard error, and the running mean."""
        network = np.array(self.network)
        n_windows = len(network)
        # Realisations of one window share the reference, so windows are the independent samples.
        by_window = network.mean(axis=1)
        with np.errstate(invalid="ignore"):  # -inf has no spread: NaN
            spread = by_window.std(ddof=1) if n_windows > 1 else np.inf
        trace = np.cumsum(by_window) / np.arange(1, n_windows + 1)
        return float(network.mean()), float(spread / np.sqrt(n_windows)), trace


def twin_exponents(rates: np.ndarray, growths: Mapping[str, Growth], remarks: Sequence[str] = ()) -> TwinExponents:
    """Return the statistics of growth by `DIRECTIONS`: from fresh ones, from kept ones, or from both.

    Notes
    -----
    Fresh directions are those of arXiv 2403.03409, appendix A.1, kept ones those of Benettin et al. 1980,
    doi:10.1007/BF02128236.

    Examples
    --------
    >>> growth = Growth(0.1)
    >>> for factor in (np.e, 1.0):
    ...     growth.add(np.array([[1e-6]]), np.array([[factor * 1e-6]]), np.ones(1))
    >>> print(twin_exponents(np.zeros(1), {"kept": growth}))
    TwinExponents(largest exponent 5.00 +- 5.00 /s; 2 windows of 1 twins; every separation stayed above rounding error)
    """
    fresh, kept = growths.get("fresh"), growths.get("kept")
    each = next(iter(growths.values())) if fresh is None else fresh
    neuron, floored = np.array(each.neuron), np.mean(each.floored, axis=(0, 1))
    n_windows, realisations, n = neuron.shape
    several = n_windows > 1
    window = (None, None, None) if fresh is None else fresh.of_network()
    largest = (None, None, window[2]) if kept is None else kept.of_network()
    assert largest[2] is not None
    return TwinExponents(
        per_neuron=neuron.mean(axis=(0, 1)),
        per_neuron_standard_error=neuron.mean(axis=1).std(axis=0, ddof=1) / np.sqrt(n_windows)
        if several
        else np.full(n, np.inf),
        window_exponent=window[0],
        window_standard_error=window[1],
        largest_exponent=largest[0],
        standard_error=largest[1],
        trace=largest[2],
        floored=floored,
        rates=rates,
        duration=n_windows * each.window,
        status="; ".join([_status(floored, n_windows, realisations), *remarks]),
    )


def _status(floored: np.ndarray, n_windows: int, realisations: int) -> str:
    basis = f"{n_windows} windows of {realisations} twins"
    if not floored.any():
        return f"{basis}; every separation stayed above rounding error"
    return (
        f"{basis}; {100 * floored.mean():.1f} % of the separations fell to rounding error, where the exponent is an "
        "upper bound (a spike on the same time step in both twins erases the difference)"
    )
