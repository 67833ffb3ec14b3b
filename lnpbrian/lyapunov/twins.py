"""Lyapunov exponents of spiking networks from perturbed twins.

A twin is a copy of a network whose potentials were moved by a tiny random amount and that gets the same input. How fast
the two part, averaged over many short windows, is the exponent. `block_twin_exponents` runs all twins inside one Brian2
network; `restored_twin_exponents` runs them one after the other on any network, through ``store`` and ``restore``.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from brian2 import Network, NetworkOperation, Quantity, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.drive import Drive, drive_operation
from lnpbrian.network.live import LiveNetwork, Snapshot
from lnpbrian.network.recurrent import RecurrentNetwork, copy_block_events
from lnpbrian.network.simulate import spike_counter
from lnpbrian.network.spec import NetworkSpec

__all__ = ["TwinExponents", "block_twin_exponents", "restored_twin_exponents"]

Report = Callable[[float], None]


@dataclass(frozen=True, repr=False)
class TwinExponents:
    """Lyapunov exponents measured with twins; N counts the neurons that are alive.

    Attributes
    ----------
    per_neuron : ndarray, shape (N,)
        Mean logarithmic growth rate of each neuron's separation, in 1/s.
    per_neuron_standard_error : ndarray, shape (N,)
        Standard deviation over windows and realisations divided by the root of their number, in 1/s.
    largest : float
        The network's exponent: the same for the norm of the separation, in 1/s.
    directions : {"fresh", "kept"}
        What `largest` is. With "fresh" directions the mean growth over one window from a random start, as in the paper;
        with "kept" ones, which have turned into the fastest growing direction, the largest Lyapunov exponent.
    standard_error : float
        Of `largest`, in 1/s.
    trace : ndarray, shape (windows,)
        Running estimate of `largest`, in 1/s.
    floored : ndarray, shape (N,)
        Fraction of windows in which a neuron's separation had reached rounding error; its exponent is an upper bound
        there.
    rates : ndarray, shape (N,)
        Firing rates of the reference in Hz; zeros where they were not counted.
    averaging_time : float
        Windows times their length, in seconds; exponents below its inverse are not resolved.
    status : str
        What a reader must know of the estimate, as a sentence.
    """

    per_neuron: np.ndarray
    per_neuron_standard_error: np.ndarray
    largest: float
    directions: str
    standard_error: float
    trace: np.ndarray
    floored: np.ndarray
    rates: np.ndarray
    averaging_time: float
    status: str

    @property
    def resolution(self) -> float:
        """Smallest exponent that the averaging time resolves, in 1/s."""
        return 1 / self.averaging_time

    def __repr__(self) -> str:
        return f"TwinExponents(largest {self.largest:.2f} +- {self.standard_error:.2f} /s, {self.status})"


DIRECTIONS = ("fresh", "kept")
TWIN_WINDOW = 20e-3


def twin_window(dt: float) -> float:
    """Return the usual window between renormalisations in seconds, in whole steps of `dt` seconds."""
    return max(1, round(TWIN_WINDOW / dt)) * dt


# What a renormalised twin takes from its reference.
_DELTA_STATE = ("v", "lastspike", "not_refractory")
_GRID_STATE = ("I_syn", *_DELTA_STATE)
_OFF_GRID_STATE = ("v", "I_syn", "active", "release", "overshoot", "rise", "slope")


def state_names(spec: NetworkSpec) -> tuple[str, ...]:
    """Return the variables of a neuron that a renormalised twin takes from its reference."""
    if spec.has_delta_synapses:
        return _DELTA_STATE
    return _GRID_STATE if spec.spike_timing == "grid" else _OFF_GRID_STATE


class Growth:
    """Logarithmic growth rates, collected window by window."""

    def __init__(self, window: float) -> None:
        self.window = window
        self.neuron: list[np.ndarray] = []
        self.network: list[np.ndarray] = []
        self.floored: list[np.ndarray] = []

    def add(self, start: np.ndarray, end: np.ndarray, reference: np.ndarray) -> None:
        """Take the separations of one window, (R, N) each, and the reference potentials (N,) at its end."""
        rounding = np.finfo(float).eps * max(float(np.abs(reference).max()), np.finfo(float).tiny)
        self.floored.append(end < rounding)
        # A start below rounding can only be the draw of a number next to zero.
        start, end = np.maximum(start, rounding), np.maximum(end, rounding)
        self.neuron.append(np.log(end / start) / self.window)
        self.network.append(np.log(np.linalg.norm(end, axis=1) / np.linalg.norm(start, axis=1)) / self.window)

    def result(self, rates: np.ndarray, directions: str) -> TwinExponents:
        neuron, network = np.array(self.neuron), np.array(self.network)
        n_windows, realisations, n = neuron.shape
        floored = np.mean(self.floored, axis=(0, 1))
        # Realisations of one window share the reference, so windows are the independent samples.
        by_window = network.mean(axis=1)
        root = np.sqrt(max(n_windows, 1))
        spread = by_window.std(ddof=1) if n_windows > 1 else np.inf
        return TwinExponents(
            per_neuron=neuron.mean(axis=(0, 1)),
            per_neuron_standard_error=neuron.mean(axis=1).std(axis=0, ddof=1) / root
            if n_windows > 1
            else np.full(n, np.inf),
            largest=float(network.mean()),
            directions=directions,
            standard_error=float(spread / root),
            trace=np.cumsum(by_window) / np.arange(1, n_windows + 1),
            floored=floored,
            rates=rates,
            averaging_time=n_windows * self.window,
            status=_status(floored, n_windows, realisations),
        )


def _status(floored: np.ndarray, n_windows: int, realisations: int) -> str:
    basis = f"{n_windows} windows of {realisations} twins"
    if not floored.any():
        return f"{basis}; every separation stayed above rounding error"
    return (
        f"{basis}; {100 * floored.mean():.1f} % of the separations fell to rounding error, where the exponent is an "
        "upper bound (a spike on the same time step in both twins erases the difference)"
    )


@dataclass(frozen=True)
class TwinPlan:
    """Checked lengths of a twin measurement, in seconds."""

    transient: float
    window: float
    n_windows: int
    realisations: int


def twin_plan(
    duration: Quantity, transient: Quantity, renormalise_every: Quantity, realisations: int, dt: float
) -> TwinPlan:
    """Check the lengths of a twin measurement with a step of `dt` seconds."""
    window = checks.seconds("renormalise_every", renormalise_every)
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
    # Windows start on multiples of their length, so the transient is rounded up to one.
    settle = float(np.ceil(settle / window - 1e-9) * window)
    return TwinPlan(settle, window, n_windows, checks.count("realisations", realisations))


def block_twin_exponents(
    spec: NetworkSpec,
    *,
    drive: Drive | None = None,
    duration: Quantity = 1 * second,
    transient: Quantity = 200 * ms,
    renormalise_every: Quantity = 20 * ms,
    realisations: int = 4,
    perturbation: float = 1e-8,
    directions: str = "fresh",
    rng: np.random.Generator,
    report: Report | None = None,
) -> TwinExponents:
    """Measure Lyapunov exponents with all twins side by side in one Brian2 network.

    The network holds the reference and `realisations` copies as uncoupled blocks with the same drive. At the end of
    every window the separations are read, and each copy is set back close to the reference.

    Parameters
    ----------
    spec : NetworkSpec
        The network, N neurons; weights are held fixed. Silent neurons must have been left out (`spec.compacted()`).
    drive : Drive, optional
        Frozen drive of N neurons; without one, I_ext = 0.
    duration : Quantity
        Measured time, in whole windows.
    transient : Quantity
        Time before it, rounded up to whole windows.
    renormalise_every : Quantity
        Length of a window, a whole number of time steps.
    realisations : int
        Number of copies R.
    perturbation : float
        Standard deviation of the perturbation of each potential, in units of the threshold.
    directions : {"fresh", "kept"}
        Whether a copy is set back to the reference plus a fresh perturbation of its potentials, or keeps the
        direction of its difference in all its variables and only the size is set back (Benettin et al. 1980,
        doi:10.1007/BF02128236). Kept directions also turn during the transient.
    rng : numpy.random.Generator
        Source of the perturbations.
    report : callable, optional
        Called with the completed fraction after every window.

    Returns
    -------
    TwinExponents

    Raises
    ------
    InvalidInput
        If a value is out of range, if the drive has another size, or if the network has silent neurons.

    Notes
    -----
    ``lambda_i = mean_windows ln(|delta_i(end)|/|delta_i(start)|)/T_r`` (arXiv 2403.03409, appendix A.1). Use
    ``spec.with_timing("precise")`` and a small perturbation. With spikes on the time grid a neuron that fires on the
    same step in both twins forgets its perturbation at once, and one that does not jumps by a whole step: the result
    then depends on the size of the perturbation (`lnpbrian.experiments.twin_perturbation` measures it). Networks with
    delta synapses have no other timing.

    Fresh perturbations of a window of 20 ms measure how fast a random difference grows at first. A network can
    amplify for tens of milliseconds and still forget in the long run; whether it does, kept directions tell.

    Examples
    --------
    A neuron below threshold forgets at the rate 1/tau_m:

    >>> from lnpbrian.models import uncoupled
    >>> spec = uncoupled([10*ms, 25*ms], bias=0.5)
    >>> block_twin_exponents(spec, rng=np.random.default_rng(0)).per_neuron.round(3).tolist()
    [-100.0, -40.0]
    """
    if not spec.alive.all():
        raise InvalidInput("the network has silent neurons, whose exponents mean nothing; use spec.compacted()")
    plan = twin_plan(duration, transient, renormalise_every, realisations, spec.dt)
    eps = checks.real("perturbation", perturbation, above=0, below=1)
    checks.choice("directions", directions, DIRECTIONS)
    copies = plan.realisations + 1
    twins = RecurrentNetwork(spec.replicated(copies), plastic=False)
    counter = spike_counter(twins.neurons)
    growth = Growth(plan.window)
    state = {name: twins.neurons.variables[name] for name in state_names(spec)}
    size = eps * np.sqrt(spec.n_neurons)
    start: np.ndarray | None = None

    def renormalise() -> None:
        nonlocal start
        now = twins.neurons.variables["t"].get_value().item()
        windows_done = round((now - plan.transient) / plan.window)
        if windows_done < 0 and directions == "fresh":
            return
        blocks = {name: variable.get_value().reshape(copies, -1) for name, variable in state.items()}
        if start is None:
            blocks["v"][1:] += eps * rng.standard_normal((plan.realisations, spec.n_neurons))
        else:
            end = separation()
            if windows_done >= 1:
                growth.add(start, end, blocks["v"][0])
                if report is not None:
                    report(len(growth.network) / plan.n_windows)
            set_back(blocks, np.linalg.norm(end, axis=1))
        start = separation()

    def set_back(blocks: dict[str, np.ndarray], norms: np.ndarray) -> None:
        # A difference that is gone has no direction to keep.
        fresh = (norms == 0) | ~np.isfinite(norms) | (directions == "fresh")
        factor = np.where(fresh, 0.0, size / np.where(norms > 0, norms, 1.0))[:, np.newaxis]
        for block in blocks.values():
            if block.dtype == float:
                # On the grid the time of the last spike is no coordinate, and is copied.
                block[1:] = block[0] + (0.0 if block is blocks.get("lastspike") else factor * (block[1:] - block[0]))
            else:
                block[1:] = block[0]
        if spec.delays is not None:
            copy_block_events(twins.synapses, copies)
        n_fresh = int(fresh.sum())
        blocks["v"][1:][fresh] += eps * rng.standard_normal((n_fresh, spec.n_neurons))

    def separation() -> np.ndarray:
        blocks = twins.state_values().reshape(copies, -1)
        return np.abs(blocks[1:] - blocks[0])

    # Before the drive of the new step is set: a window ends with the drive it ran under.
    operation = NetworkOperation(
        renormalise, dt=plan.window * second, when="start", order=-1, name="lnpbrian_twins_renormalise"
    )
    # The last window ends at the start of the step after it.
    length = plan.transient + plan.n_windows * plan.window + spec.dt
    network: Network = twins.network
    network.add(operation, counter)
    if drive is not None:
        network.add(drive_operation(twins.neurons, drive, copies=copies))
    twins.run(length * second)
    return growth.result(np.array(counter.count[: spec.n_neurons]) / length, directions)


def restored_twin_exponents(
    live: LiveNetwork,
    *,
    duration: Quantity = 1 * second,
    transient: Quantity = 200 * ms,
    renormalise_every: Quantity = 20 * ms,
    realisations: int = 4,
    perturbation: float = 1e-8,
    rng: np.random.Generator,
    report: Report | None = None,
) -> TwinExponents:
    """Measure Lyapunov exponents of any Brian2 network in runtime mode with ``store`` and ``restore``.

    For every window the network is stored, run once per realisation from perturbed states, restored with its random
    numbers, and run on as the reference. The network stays where the last reference window ends. What a Python function
    of yours remembers is not restored.

    Parameters
    ----------
    live : LiveNetwork
        The network, and the name of the state variable that is moved and compared.
    duration, transient, renormalise_every, realisations, rng, report
        As in `block_twin_exponents`.
    perturbation : float
        Standard deviation of the perturbation, in units of `LiveNetwork.state_scales` when the measurement begins.

    Returns
    -------
    TwinExponents
        Of the neurons that are alive, in their order; `rates` are zero.

    Raises
    ------
    InvalidInput
        If a value is out of range, or no neuron has a state.
    """
    plan = twin_plan(duration, transient, renormalise_every, realisations, live.dt)
    eps = checks.real("perturbation", perturbation, above=0, below=1)
    chosen = np.flatnonzero(live.measured)
    growth = Growth(plan.window)
    if plan.transient > 0:
        live.run(plan.transient * second)
    spread = live.state_scales()[chosen]

    def state() -> np.ndarray:
        return live.state_values()[chosen] / spread

    with _cheap_collections(), Snapshot(live) as begin:
        for k in range(plan.n_windows):
            begin.take()
            v = state()
            starts, ends = [], []
            for _ in range(plan.realisations):
                _move(live, chosen, eps * spread * rng.standard_normal(chosen.size))
                starts.append(np.abs(state() - v))
                live.run(plan.window * second)
                ends.append(state())
                begin.restore()
            live.run(plan.window * second)
            reference = state()
            growth.add(np.array(starts), np.abs(np.array(ends) - reference), reference)
            if report is not None:
                report((k + 1) / plan.n_windows)
    return growth.result(np.zeros(chosen.size), "fresh")


def _move(live: LiveNetwork, neurons: np.ndarray, by: np.ndarray) -> None:
    shift = np.zeros(live.n_neurons)
    shift[neurons] = by
    for where, values in live.states():
        values += shift[where]


@contextmanager
def _cheap_collections() -> Iterator[None]:
    """Keep Brian2's garbage collection before every run away from what exists already: two thirds of a short run."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
