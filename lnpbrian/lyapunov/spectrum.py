"""Lyapunov spectra: all directions in which a system grows or shrinks, and what follows from them.

One loop for every system: move on by an interval, carry an orthonormal set of tangent vectors along, factorise it by
QR, collect the logarithms of the diagonal of R (Benettin et al. 1980, doi:10.1007/BF02128236).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from brian2 import Quantity, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.exponents import Spectrum, flat_spikes
from lnpbrian.lyapunov.lif_tangent import LIFTangent
from lnpbrian.lyapunov.systems import Flow, Function, Map, RateNetwork, TangentSystem
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import Drive
from lnpbrian.network.simulate import TRAJECTORIES, exact_spike_train, simulated_spike_train
from lnpbrian.network.spec import NetworkSpec

__all__ = [
    "flow_spectrum",
    "lyapunov_spectrum",
    "map_spectrum",
    "rate_network_spectrum",
]

Report = Callable[[float], None]

# Relative error of a diagonal element of R through the alignment of vectors: mentioned above the one, refused above
# the other.
_ALIGNED = 1e-6
_LOST = 1e-2
_BATCHES = 10
# Numbers between its inverse and this have squares.
_LARGE = 1e150
# A direction that a singular map erased keeps no more than this fraction of its length, by rounding.
_ERASED = 1e5 * np.finfo(float).eps


def lyapunov_spectrum(
    network: RecurrentNetwork | NetworkSpec,
    *,
    n_exponents: int | str = "all",
    duration: Quantity = 1 * second,
    transient: Quantity = 200 * ms,
    reorthonormalise_every: Quantity = 10 * ms,
    inputs: Drive | Sequence[Drive] | None = None,
    trajectory: str = "exact",
    rng: np.random.Generator,
    report: Report | None = None,
) -> Spectrum:
    """Compute the Lyapunov spectrum of a LIF network by tangent dynamics, exact at spikes.

    The network runs from its initial potentials, and its tangent vectors follow its spikes: exactly between them, by
    saltation matrices at spikes and at releases from refractoriness. Live Brian2 objects are not touched.

    Parameters
    ----------
    network : RecurrentNetwork or NetworkSpec
        A model of `lnpbrian.models`, or what describes it, as it is now. Silenced neurons are left out, plastic
        synapses keep their weights.
    n_exponents : int or "all"
        Number k of leading exponents. There are 2 N with exponential synapses, N with delta synapses.
    duration : Quantity
        Measured time for each input, in whole intervals.
    transient : Quantity
        Time before it, rounded up to whole intervals, in which the network settles and the vectors turn.
    reorthonormalise_every : Quantity
        Interval between factorisations.
    inputs : Drive or sequence of Drive, optional
        Frozen drives of N neurons (of all of `network`, silenced ones included), over whose spectra is averaged;
        without one, I_ext = 0.
    trajectory : {"exact", "brian2"}
        Whether the network runs from event to event, its spikes exact to rounding, or in Brian2 with its own step and
        spike timing.
    rng : numpy.random.Generator
        Source of the first vectors.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    Spectrum
        In 1/s. Coordinates are the N potentials (of a held neuron, its shift), then the N synaptic currents.

    Raises
    ------
    InvalidInput
        If a value is out of range; if the network is not one of this package or has delays; if vectors align between
        two factorisations so closely that the later exponents are lost.

    Notes
    -----
    ``lambda_m = mean ln R_mm / interval`` (Benettin et al. 1980, doi:10.1007/BF02128236) with the saltation matrices of
    `lnpbrian.lyapunov.lif_tangent.LIFTangent` at spikes and releases (Bizzarri, Brambilla and Storti Gajani 2013,
    doi:10.1007/s10827-013-0448-6). A step costs the synapses of the neurons that fired times k. Exponents are
    those of the flow that the equations of `NetworkSpec` define. A trajectory of Brian2 has errors in its spike times,
    of second order in dt with precise spikes, and spikes next to the threshold that are missed or mistaken, of first
    order. How exponents of twins on a time grid differ: docs/exponents.md.

    Examples
    --------
    Below threshold a neuron forgets at 1/tau_m, its synaptic current at 1/tau_syn:

    >>> from lnpbrian.models import uncoupled
    >>> spec = uncoupled([10*ms, 25*ms], bias=0.5, synaptic_time_constant=5*ms)
    >>> lyapunov_spectrum(spec, duration=200*ms, rng=np.random.default_rng(0)).exponents.round(6).tolist()
    [-40.0, -100.0, -200.0, -200.0]
    """
    spec = network.spec if isinstance(network, RecurrentNetwork) else network
    k = number_of_exponents(spec, n_exponents)
    alive = spec.alive
    inner = spec.compacted()
    interval = checks.seconds("reorthonormalise_every", reorthonormalise_every)
    n_measured = int(checks.seconds("duration", duration) / interval + 1e-9)
    if n_measured < 1:
        raise InvalidInput(
            f"duration must hold at least one interval of {1e3 * interval:g} ms, got {1e3 * float(duration):g} ms"
        )
    n_transient = int(np.ceil(checks.seconds("transient", transient, at_least=0) / interval - 1e-9))
    checks.choice("trajectory", trajectory, TRAJECTORIES)
    checks.generator("rng", rng)
    checks.callback("report", report)
    drives = _drives(inputs, spec.n_neurons)
    length = (n_transient + n_measured) * interval
    runs, counts, fired, flat, collapses = [], np.zeros(inner.n_neurons), 0, 0, 0
    for m, drive in enumerate(drives):
        own = None if drive is None else drive.of_neurons(alive)

        def tell(fraction: float, done: int = m) -> None:
            if report is not None:
                report((done + fraction) / len(drives))

        if trajectory == "exact":
            spikes = exact_spike_train(inner, length, drive=own, report=lambda fraction: tell(0.2 * fraction))
        else:
            spikes = simulated_spike_train(inner, length, drive=own)
        system = LIFTangent(inner, spikes, own)
        runs.append(
            _follow(system, k, interval, n_transient, n_measured, rng, lambda fraction: tell(0.2 + 0.8 * fraction))
        )
        late = spikes.times > n_transient * interval
        counts += np.bincount(spikes.indices[late], minlength=inner.n_neurons)
        collapses += system.collapses
        flat += system.flat
        fired += spikes.times.size
    measured = n_measured * interval * len(drives)
    remarks = [] if counts.any() else ["no neuron fired: these are the rates of membranes and synapses alone"]
    remarks += flat_spikes(flat, fired, "a smaller dt or trajectory='exact'")
    if collapses:
        remarks.append(f"jumps triggered {collapses} of {fired} spikes, each of which erases a direction")
    return _result(runs, counts / measured, (interval, n_transient), ("ms", 1e3), remarks)


def rate_network_spectrum(
    weights: Any,
    *,
    dt: float = 0.1,
    n_exponents: int | str = "all",
    duration: float = 1000.0,
    transient: float = 100.0,
    reorthonormalise_every: float = 1.0,
    state: np.ndarray | None = None,
    rng: np.random.Generator,
    report: Report | None = None,
) -> Spectrum:
    """Compute the Lyapunov spectrum of the discrete-time rate network ``h <- (1 - dt) h + dt J tanh(h)``.

    Parameters
    ----------
    weights : ndarray or scipy sparse array, shape (N, N)
        J; row i holds the weights onto unit i.
    dt : float
        Step in (0, 2), in units of the time constant, as all times here.
    n_exponents : int or "all"
        Number of leading exponents.
    duration, transient, reorthonormalise_every : float
        As in `lyapunov_spectrum`; intervals are whole numbers of steps.
    state : ndarray, shape (N,), optional
        Where it starts; by default drawn from the standard normal distribution.
    rng : numpy.random.Generator
        Source of the first vectors, and of the state.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    Spectrum
        In units of the inverse time constant. `mean_log_det` is computed when all exponents are.

    Raises
    ------
    InvalidInput
        If a value is out of range, or vectors align between factorisations.

    Notes
    -----
    The tangent map of a step is ``(1 - dt) 1 + dt J diag(1 - tanh(h)^2)`` (Engelken, Wolf and Abbott 2023,
    doi:10.1103/PhysRevResearch.5.043044); exponents are ``mean ln R_mm / interval`` of its QR factorisations (Benettin
    et al. 1980, doi:10.1007/BF02128236).

    Examples
    --------
    Without weights every unit relaxes by 1 - dt a step:

    >>> spectrum = rate_network_spectrum(np.zeros((3, 3)), dt=0.1, duration=10.0, rng=np.random.default_rng(0))
    >>> (spectrum.exponents / np.log(0.9) * 0.1).round(9).tolist()
    [1.0, 1.0, 1.0]
    """
    if sp.issparse(weights):
        checks.array("weights", weights.tocoo().data)
    else:
        weights = checks.array("weights", weights, shape=(None, None))
    if len(weights.shape) != 2 or weights.shape[0] != weights.shape[1] or weights.shape[0] == 0:
        raise InvalidInput(f"weights must be square, got shape {weights.shape}")
    n = weights.shape[0]
    h = checks.real("dt", dt, above=0, below=2)
    k = _number_of_exponents(n_exponents, n)
    plan = _intervals(duration, transient, reorthonormalise_every, h)
    checks.generator("rng", rng)
    start = checks.array("state", rng.standard_normal(n) if state is None else state, shape=(n,)).copy()
    system = RateNetwork(weights, start, h, with_determinant=k == n)
    return _of_system(system, k, plan, rng, report)


def flow_spectrum(
    velocity: Function,
    jacobian: Function,
    state: np.ndarray,
    *,
    step: float,
    n_exponents: int | str = "all",
    duration: float,
    transient: float,
    reorthonormalise_every: float = 1.0,
    rng: np.random.Generator,
    report: Report | None = None,
) -> Spectrum:
    """Compute the Lyapunov spectrum of an autonomous flow ``dx/dt = velocity(x)``.

    Parameters
    ----------
    velocity, jacobian : callable
        Take the state (D,); return its derivative (D,) and the matrix (D, D) of that derivative's derivatives.
    state : ndarray, shape (D,)
        Where it starts.
    step : float
        Step of the fourth-order Runge-Kutta method.
    n_exponents, duration, transient, reorthonormalise_every, rng, report
        As in `rate_network_spectrum`, in the flow's own unit of time.

    Returns
    -------
    Spectrum

    Raises
    ------
    InvalidInput
        If a value is out of range, a callable returns another shape, or vectors align between factorisations.

    Notes
    -----
    Vectors obey ``dV/dt = jacobian(x) V`` and are factorised by QR after every interval; exponents are
    ``mean ln R_mm / interval`` (Benettin et al. 1980, doi:10.1007/BF02128236). `mean_log_det` is the time mean of the
    trace of the Jacobian, by Liouville's formula.

    Examples
    --------
    Those of a linear flow are the real parts of its eigenvalues:

    >>> matrix = np.array([[-1.0, 5.0], [0.0, -3.0]])
    >>> spectrum = flow_spectrum(
    ...     lambda x: matrix @ x, lambda x: matrix, np.ones(2),
    ...     step=0.01, duration=20.0, transient=20.0, rng=np.random.default_rng(0))
    >>> spectrum.exponents.round(4).tolist()
    [-1.0, -3.0]
    """
    start = checks.array("state", state, shape=(None,)).copy()
    _check_functions(start, velocity=velocity, jacobian=jacobian)
    h = checks.real("step", step, above=0)
    k = _number_of_exponents(n_exponents, start.size)
    plan = _intervals(duration, transient, reorthonormalise_every, h)
    return _of_system(Flow(velocity, jacobian, start, h), k, plan, rng, report)


def map_spectrum(
    step: Function,
    jacobian: Function,
    state: np.ndarray,
    *,
    n_exponents: int | str = "all",
    duration: int,
    transient: int,
    reorthonormalise_every: int = 1,
    rng: np.random.Generator,
    report: Report | None = None,
) -> Spectrum:
    """Compute the Lyapunov spectrum of a map ``x <- step(x)``, per application.

    Parameters
    ----------
    step, jacobian : callable
        Take the state (D,); return the next state (D,) and the matrix (D, D) of its derivatives.
    state : ndarray, shape (D,)
        Where it starts.
    n_exponents, duration, transient, reorthonormalise_every, rng, report
        As in `rate_network_spectrum`; times are numbers of applications.

    Returns
    -------
    Spectrum

    Raises
    ------
    InvalidInput
        If a value is out of range, a callable returns another shape, or vectors align between factorisations.

    Notes
    -----
    Exponents are ``mean ln R_mm`` of the QR factorisations of the products of Jacobians (Benettin et al. 1980,
    doi:10.1007/BF02128236).

    Examples
    --------
    Those of a diagonal map with factors p are ln|p|:

    >>> factors = np.array([0.5, -2.0, 0.25])
    >>> spectrum = map_spectrum(
    ...     lambda x: factors * x, lambda x: np.diag(factors), np.zeros(3),
    ...     duration=10, transient=100, rng=np.random.default_rng(0))
    >>> (spectrum.exponents / np.log(2)).round(9).tolist()
    [1.0, -1.0, -2.0]
    """
    start = checks.array("state", state, shape=(None,)).copy()
    _check_functions(start, step=step, jacobian=jacobian)
    k = _number_of_exponents(n_exponents, start.size)
    plan = _intervals(duration, transient, reorthonormalise_every, 1.0)
    return _of_system(Map(step, jacobian, start), k, plan, rng, report)


def number_of_exponents(spec: NetworkSpec, given: int | str) -> int:
    """Return the number of exponents that `given` means for a network, or refuse what has no known tangent dynamics.

    Raises
    ------
    InvalidInput
        If `spec` is no NetworkSpec, has delays, or has fewer dimensions than exponents are asked for.

    Examples
    --------
    Potential and synaptic current of each neuron; with delta synapses only the potential:

    >>> from lnpbrian.models import uncoupled
    >>> [number_of_exponents(uncoupled([20, 30] * ms, synaptic_time_constant=t * ms), "all") for t in (5, 0)]
    [4, 2]
    """
    if not isinstance(spec, NetworkSpec):
        raise InvalidInput(
            f"the tangent dynamics of a {type(spec).__name__} are not known, only those of the models of "
            "lnpbrian.models and of a NetworkSpec; restored_twin_exponents measures any Brian2 network"
        )
    if spec.delays is not None and spec.delays.any():
        raise InvalidInput(
            "tangent dynamics of networks with delays are not supported: each spike in flight is a dimension more; "
            "block_twin_exponents measures the largest exponent"
        )
    return _number_of_exponents(given, spec.n_alive * (1 if spec.has_delta_synapses else 2))


# --- the loop ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """What one input gave."""

    growth: np.ndarray  # (intervals, k), ln R_mm / interval
    participation: np.ndarray  # (D, k)
    log_det: float  # per unit of time
    errors: np.ndarray  # (intervals,), relative error of the worst R_mm


def _follow(
    system: TangentSystem,
    k: int,
    interval: float,
    n_transient: int,
    n_measured: int,
    rng: np.random.Generator,
    report: Report | None,
) -> _Run:
    # Drawn so that fewer vectors are the first of more.
    vectors = np.ascontiguousarray(np.linalg.qr(rng.standard_normal((k, system.dimension)).T)[0])
    growth, errors = np.empty((n_measured, k)), np.empty(n_measured)
    participation, log_det = np.zeros_like(vectors), 0.0
    for m in range(-n_transient, n_measured):
        # What overflows is found in the next line.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            volume = system.advance(vectors, interval)
        if not (np.abs(vectors) < _LARGE).all():
            raise InvalidInput(
                "a tangent vector grew beyond all bounds within an interval; lower reorthonormalise_every"
            )
        q, r = scipy.linalg.qr(vectors, mode="economic", overwrite_a=True, check_finite=False)
        vectors = np.ascontiguousarray(q * np.where(np.diagonal(r) < 0, -1.0, 1.0))
        if m >= 0:
            logarithms, errors[m] = _logarithms(r, singular=volume == -np.inf)
            growth[m] = logarithms / interval
            participation += vectors**2
            log_det += volume
        if report is not None:
            report((n_transient + m + 1) / (n_transient + n_measured))
    return _Run(growth, participation / n_measured, log_det / (n_measured * interval), errors)


def _logarithms(r: np.ndarray, *, singular: bool) -> tuple[np.ndarray, float]:
    """Return ln|R_mm|, -inf for directions that a singular map erased, and the largest relative error of the others."""
    length, left = np.linalg.norm(r, axis=0), np.abs(np.diagonal(r))
    gone = (left <= _ERASED * length) & singular
    if (length[~gone] < 1 / _LARGE).any():
        raise InvalidInput("a tangent vector shrank to nothing within an interval; lower reorthonormalise_every")
    kept = np.where(gone, 1.0, np.maximum(left, np.finfo(float).tiny))
    error = np.finfo(float).eps * np.max(np.where(gone, 1.0, length / kept))
    return np.where(gone, -np.inf, np.log(kept)), float(error)


def _of_system(
    system: TangentSystem, k: int, plan: tuple[float, int, int], rng: np.random.Generator, report: Report | None
) -> Spectrum:
    checks.generator("rng", rng)
    interval, n_transient, n_measured = plan
    run = _follow(system, k, interval, n_transient, n_measured, rng, report)
    return _result([run], np.zeros(0), (interval, n_transient), ("units of time", 1.0), [])


def _result(
    runs: list[_Run],
    rates: np.ndarray,
    intervals_before: tuple[float, int],
    in_words: tuple[str, float],
    remarks: list[str],
) -> Spectrum:
    (interval, n_transient), (unit, per_unit) = intervals_before, in_words
    growth = np.mean([run.growth for run in runs], axis=0)
    intervals = growth.shape[0]
    exponents = growth.mean(axis=0)
    errors = np.concatenate([run.errors for run in runs])
    worst = float(errors.max())
    if worst > _LOST:
        raise _aligned(worst, interval * per_unit, unit)
    log_dets = [run.log_det for run in runs]
    mean_log_det = float(np.mean(log_dets)) if np.isfinite(log_dets).all() else None
    dimension = runs[0].participation.shape[0]
    said = [
        f"{intervals} intervals of {per_unit * interval:g} {unit}" + (f", {len(runs)} inputs" if len(runs) > 1 else "")
    ]
    if worst > _ALIGNED:
        said.append(
            f"vectors aligned in {int(np.sum(errors > _ALIGNED))} intervals, up to a relative error of {worst:.1g} in "
            "the growth of one of them; a shorter interval avoids it"
        )
    if exponents.size == dimension and mean_log_det is not None:
        difference = abs(float(exponents.sum()) - mean_log_det) / max(abs(mean_log_det), 1 / interval)
        verb = "agrees with the mean of ln|det| to" if difference <= _ALIGNED else "misses the mean of ln|det| by"
        said.append(f"the sum {verb} {difference:.0e}, relatively")
    lost = int(np.sum(exponents == -np.inf))
    if lost:
        said.append(f"the tangent map is singular: {lost} exponents are -inf")
    said += remarks
    if exponents.size < dimension:
        said += _undetermined(exponents)
    return Spectrum(
        exponents=exponents,
        standard_errors=np.hypot(
            _standard_errors([run.growth for run in runs]),
            _turning(exponents, n_transient * interval, intervals * interval),
        ),
        trace=np.cumsum(growth, axis=0) / np.arange(1, intervals + 1)[:, np.newaxis],
        dimension=dimension,
        mean_log_det=mean_log_det,
        participation=np.mean([run.participation for run in runs], axis=0),
        rates=rates,
        interval=interval,
        duration=intervals * interval * len(runs),
        status="; ".join(said),
    )


def _undetermined(leading: np.ndarray) -> list[str]:
    """Return what the leading exponents alone do not determine, and how many it takes."""
    said = []
    if np.cumsum(leading)[-1] >= 0:
        said.append("the Kaplan-Yorke dimension needs more exponents, until their sum is negative")
    if leading[-1] > 0:
        said.append("the entropy rate needs more exponents, until one is not positive")
    return said


def _standard_errors(growths: list[np.ndarray]) -> np.ndarray:
    """Return the standard errors of the mean over runs, from means of stretches that are longer than the memory."""
    means = [
        stretch.mean(axis=0) for growth in growths for stretch in np.array_split(growth, min(_BATCHES, growth.shape[0]))
    ]
    if len(means) < 2:
        return np.full(growths[0].shape[1], np.inf)
    values = np.array(means)
    lost = ~np.isfinite(values).all(axis=0)
    values[:, lost] = 0
    return values.std(axis=0, ddof=1) / np.sqrt(len(means))


def _turning(exponents: np.ndarray, before: float, duration: float) -> np.ndarray:
    """Return how far directions that are still turning may move each exponent in a measurement of this duration.

    Of directions that grow at rates a > b, a random vector first has parts of both. The share of the slower one falls
    as exp(-(a - b) t), and with it what the vector's growth lacks, (a - b) exp(-(a - b) t): over the duration T after a
    transient t, on the mean, exp(-(a - b) t) (1 - exp(-(a - b) T)) / T. It is 0 for equal rates and for settled
    directions, and at most 1/T. Nothing of it is seen in the spread among stretches of one run.
    """
    finite = np.isfinite(exponents)
    gap = np.abs(exponents[finite, np.newaxis] - exponents[finite])
    bias = np.zeros(exponents.size)
    bias[finite] = np.sqrt(np.sum((np.exp(-gap * before) * -np.expm1(-gap * duration) / duration) ** 2, axis=1))
    return bias


def _aligned(error: float, interval: float, unit: str) -> InvalidInput:
    # Alignment grows exponentially with the interval, from rounding on; once all is lost, its rate is not known.
    eps = np.finfo(float).eps
    share = np.log(_ALIGNED / eps) / np.log(error / eps) if error < 1 else 0.25
    return InvalidInput(
        f"within {interval:g} {unit} the tangent vectors align so closely that the later exponents drown in rounding; "
        f"lower reorthonormalise_every to {share * interval:.2g} {unit} or less, or ask for fewer exponents"
    )


def _drives(inputs: Drive | Sequence[Drive] | None, n: int) -> list[Drive | None]:
    if inputs is None:
        return [None]
    drives = list(inputs) if np.iterable(inputs) else [inputs]
    if not drives:
        raise InvalidInput("inputs must hold at least one Drive; leave it out for none")
    for drive in drives:
        if not isinstance(drive, Drive):
            raise InvalidInput(f"inputs must be Drive objects, got {type(drive).__name__}")
        if drive.values.shape[1] != n:
            raise InvalidInput(f"a drive for {drive.values.shape[1]} neurons does not fit {n} neurons")
    return list(drives)


def _number_of_exponents(given: int | str, dimension: int) -> int:
    if isinstance(given, str):
        checks.choice("n_exponents", given, ("all",))
        return dimension
    k = checks.count("n_exponents", given)
    if k > dimension:
        raise InvalidInput(f"n_exponents must be at most the dimension of the tangent space, {dimension}; got {k}")
    return k


# Of an interval, and of intervals; more would never end.
_MOST_STEPS = 1e9


def _intervals(duration: float, transient: float, interval: float, step: float) -> tuple[float, int, int]:
    length = checks.real("reorthonormalise_every", interval, above=0)
    if length / step > _MOST_STEPS:
        raise InvalidInput(f"reorthonormalise_every {length:g} has over {_MOST_STEPS:g} steps of {step:g}; shorten it")
    n_steps = round(length / step)
    if n_steps < 1 or abs(n_steps * step / length - 1) > 1e-9:
        raise InvalidInput(f"reorthonormalise_every must be a whole number of steps of {step:g}, got {length:g}")
    n_measured = int(checks.real("duration", duration, above=0) / length + 1e-9)
    if n_measured < 1:
        raise InvalidInput(f"duration must hold at least one interval of {length:g}, got {duration:g}")
    n_transient = int(np.ceil(checks.real("transient", transient, at_least=0) / length - 1e-9))
    if max(n_transient, n_measured) > _MOST_STEPS:
        raise InvalidInput(f"duration {duration:g} and transient {transient:g} are too many intervals of {length:g}")
    return length, n_transient, n_measured


def _check_functions(state: np.ndarray, **functions: Callable[[np.ndarray], Any]) -> None:
    for name, function in functions.items():
        if not callable(function):
            raise InvalidInput(f"{name} must be a function of the state, got {function!r}")
        wanted = (state.size, state.size) if name == "jacobian" else (state.size,)
        try:
            got = np.shape(np.asarray(function(state.copy()), dtype=float))
        except Exception as error:
            raise InvalidInput(f"{name} fails at the state ({type(error).__name__}: {error})") from error
        if got != wanted:
            raise InvalidInput(f"{name} must return an array of shape {wanted} at the state, got {got}")
