"""Lyapunov exponents of spiking networks from perturbed twins.

A twin is a copy of a network whose potentials were moved by a tiny random amount and that gets the same input. How fast
the two part, averaged over many short windows, is the exponent. `block_twin_exponents` runs all twins side by side in
one run; `restored_twin_exponents` runs them one after the other on any network, through ``store`` and ``restore``; the
twins of `tangent_twin_exponents` are infinitely close, and one run of the network is enough for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from brian2 import NetworkOperation, Quantity, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.exponents import flat_spikes
from lnpbrian.lyapunov.growth import (
    DIRECTIONS,
    Growth,
    Separations,
    TwinExponents,
    TwinPlan,
    state_names,
    twin_exponents,
    twin_plan,
)
from lnpbrian.lyapunov.lif_tangent import LIFTangent
from lnpbrian.network.engines.native import NativeNetwork, native_works
from lnpbrian.network.live import LiveNetwork, Snapshot
from lnpbrian.network.recurrent import RecurrentNetwork, copy_block_events
from lnpbrian.network.signals import Drive, SpikeTrain, drive_operation, spike_counter
from lnpbrian.network.simulate import spike_train
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.process import frozen_garbage

__all__ = ["block_twin_exponents", "restored_twin_exponents", "tangent_twin_exponents"]

Report = Callable[[float], None]


# --- twins side by side in one network --------------------------------------------------------------------------------


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
    """Measure Lyapunov exponents with all twins side by side.

    The reference and `realisations` copies are uncoupled blocks with the same drive, which the compiled loop runs, or
    Brian2 where there is none. At the end of every window the separations are read, and each copy is set back close to
    the reference.

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
        In 1/s. Of fresh directions `window_exponent`, of kept ones `largest_exponent`; the other one is None.

    Raises
    ------
    InvalidInput
        If a value is out of range, if the drive has another size, or if the network has silent neurons.

    Notes
    -----
    ``lambda_i = mean_windows ln(|delta_i(end)|/|delta_i(start)|)/T_r`` (arXiv 2403.03409, appendix A.1). Use
    ``spec.with_timing("precise")`` and a small perturbation. With spikes on the time grid a neuron that fires on the
    same step in both twins forgets its perturbation at once, and one that does not jumps by a whole step: the result
    then depends on the size of the perturbation (`lnpbrian.experiments.studies.twin_perturbation` measures it).
    Networks with delta synapses have no other timing.

    Fresh perturbations of a window of 20 ms measure how fast a random difference grows at first. A network can
    amplify for tens of milliseconds and still forget in the long run; whether it does, kept directions tell.

    `lnpbrian.lyapunov.device_twins.CompiledTwins` does the same in a compiled program. Here Python acts between
    windows: in runtime mode that takes two thirds of the time, and spikes in flight can be copied.

    Examples
    --------
    A neuron below threshold forgets at the rate 1/tau_m:

    >>> from lnpbrian.models import uncoupled
    >>> spec = uncoupled([10*ms, 25*ms], bias=0.5)
    >>> block_twin_exponents(spec, rng=np.random.default_rng(0)).per_neuron.round(3).tolist()
    [-100.0, -40.0]
    """
    _require_alive(spec)
    checks.optional("drive", drive, Drive, "use noise_drive(...) or Drive(values, hold)")
    checks.generator("rng", rng)
    checks.callback("report", report)
    plan = twin_plan(duration, transient, renormalise_every, realisations, spec.dt)
    checks.choice("directions", directions, DIRECTIONS)
    twins = (_NativeTwins if native_works() else _Brian2Twins)(
        spec,
        plan.realisations + 1,
        checks.real("perturbation", perturbation, above=0, below=1),
        directions == "kept",
        rng,
    )
    growth = Growth(plan.window)
    start: np.ndarray | None = None

    def close_window(windows_done: int) -> None:
        nonlocal start
        if windows_done < 0 and directions == "fresh":
            return
        end = None if start is None else twins.separations()
        if start is not None and end is not None and windows_done >= 1:
            growth.add(start, end, twins.reference)
            if report is not None:
                report(windows_done / plan.n_windows)
        start = twins.perturb(end)

    rates = twins.run(plan, close_window, drive)
    return twin_exponents(rates, {directions: growth})


@dataclass
class _BlockTwins(ABC):
    """A reference and its copies, as uncoupled blocks side by side."""

    spec: NetworkSpec
    copies: int  # the reference included
    perturbation: float
    kept: bool
    rng: np.random.Generator
    # What a renormalised twin takes from its reference.
    states: tuple[str, ...] = field(init=False)

    @abstractmethod
    def __post_init__(self) -> None:
        """Make the network of all, and say what its states are."""

    @abstractmethod
    def blocks(self, name: str) -> np.ndarray:
        """Return a state variable of all, shape (1 + R, N), to be written to."""

    @abstractmethod
    def compared(self) -> np.ndarray:
        """Return the potentials, which off the time grid tell held neurons apart; shape (1 + R, N)."""

    @abstractmethod
    def copy_events(self) -> None:
        """Give the copies the spikes in flight of the reference."""

    @abstractmethod
    def run(self, plan: TwinPlan, close_window: Callable[[int], None], drive: Drive | None) -> np.ndarray:
        """Run all windows, and return the rates of the reference in Hz.

        `close_window` is called at the ends of windows with the number of those that were measured: 0 after the
        transient.
        """

    @property
    def reference(self) -> np.ndarray:
        """Potentials of the reference, shape (N,)."""
        return self.blocks("v")[0]

    def separations(self) -> np.ndarray:
        """Return how far each neuron of each copy is from the reference, shape (R, N)."""
        found = self.compared()
        return np.abs(found[1:] - found[0])

    def perturb(self, end: np.ndarray | None) -> np.ndarray:
        """Set each copy back close to the reference from separations `end`, and return its separations from there."""
        n, everyone = self.spec.n_neurons, np.ones(self.copies - 1, dtype=bool)
        fresh = everyone if end is None else self._set_back(np.linalg.norm(end, axis=1))
        draws = self.perturbation * self.rng.standard_normal((int(fresh.sum()), n))
        self.blocks("v")[1:][fresh] += draws
        return self.separations()

    def _set_back(self, norms: np.ndarray) -> np.ndarray:
        """Keep the direction of each copy's difference and set back its size; return a mask of those without one."""
        size = self.perturbation * np.sqrt(self.spec.n_neurons)
        # A difference that is gone has no direction to keep.
        fresh = (norms == 0) | ~np.isfinite(norms) | (not self.kept)
        factor = np.where(fresh, 0.0, size / np.where(norms > 0, norms, 1.0))[:, np.newaxis]
        for name in self.states:
            block = self.blocks(name)
            # On the grid the time of the last spike is no coordinate, and is copied.
            is_coordinate = block.dtype == float and name != "lastspike"
            block[1:] = block[0] + factor * (block[1:] - block[0]) if is_coordinate else block[0]
        if self.spec.delays is not None:
            self.copy_events()
        return fresh


class _Brian2Twins(_BlockTwins):
    """Twins in one Brian2 network."""

    def __post_init__(self) -> None:
        self._model = RecurrentNetwork(self.spec.replicated(self.copies), plastic=False)
        self.states = state_names(self.spec)

    def blocks(self, name: str) -> np.ndarray:
        return self._model.neurons.variables[name].get_value().reshape(self.copies, -1)

    def compared(self) -> np.ndarray:
        return self._model.state_values().reshape(self.copies, -1)

    def copy_events(self) -> None:
        copy_block_events(self._model.synapses, self.copies)

    def run(self, plan: TwinPlan, close_window: Callable[[int], None], drive: Drive | None) -> np.ndarray:
        now = self._model.neurons.variables["t"]

        def close() -> None:
            close_window(round((float(now.get_value().item()) - plan.transient) / plan.window))

        # Before the drive of the new step is set: a window ends with the drive it ran under.
        operation = NetworkOperation(
            close, dt=plan.window * second, when="start", order=-1, name="lnpbrian_twins_renormalise"
        )
        counter = spike_counter(self._model.neurons)
        self._model.network.add(operation, counter)
        if drive is not None:
            self._model.network.add(drive_operation(self._model.neurons, drive, copies=self.copies))
        # The last window ends at the start of the step after it.
        length = plan.transient + plan.n_windows * plan.window + self.spec.dt
        self._model.run(length * second)
        return np.array(counter.count[: self.spec.n_neurons]) / length


class _NativeTwins(_BlockTwins):
    """Twins as copies of the compiled loop."""

    def __post_init__(self) -> None:
        self._network = NativeNetwork(self.spec, copies=self.copies)
        on_grid, delta = self.spec.spike_timing == "grid", self.spec.has_delta_synapses
        of_spikes = ("last",) if on_grid else ("release", "overshoot", "decayed", "rise", "slope")
        self.states = ("v", *(() if delta else ("I_syn",)), *of_spikes)

    def blocks(self, name: str) -> np.ndarray:
        return self._network.state(name)

    def compared(self) -> np.ndarray:
        return self._network.virtual_potentials()

    def copy_events(self) -> None:
        self._network.copy_events()

    def run(self, plan: TwinPlan, close_window: Callable[[int], None], drive: Drive | None) -> np.ndarray:
        network, spec = self._network, self.spec
        if drive is not None:
            network.drive(drive)
        before = round(plan.transient / plan.window)
        for window in range(before + plan.n_windows):
            close_window(window - before)
            network.run(round(plan.window / spec.dt))
        close_window(plan.n_windows)
        # As Brian2 does, for whom a window ends with the step after it.
        network.run(1)
        return network.counts[0] / network.time


# --- twins one after the other, on any network ------------------------------------------------------------------------


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
        Of the neurons that are alive, in their order, in 1/s: `per_neuron` and `window_exponent`. Directions are fresh
        in every window, so `largest_exponent` is None; `rates` are empty.

    Raises
    ------
    InvalidInput
        If a value is out of range, or no neuron has a state.

    Notes
    -----
    ``lambda_i = mean_windows ln(|delta_i(end)|/|delta_i(start)|)/T_r`` (arXiv 2403.03409, appendix A.1), as in
    `block_twin_exponents`.

    Examples
    --------
    A membrane that never fires forgets at 1/tau, here 25 ms:

    >>> from brian2 import Network, NeuronGroup, Synapses
    >>> neurons = NeuronGroup(2, "dv/dt = -v/(25*ms) : 1", threshold="v > 1", reset="v = 0", method="exact")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> synapses.connect(condition="i != j")
    >>> live = LiveNetwork(Network(neurons, synapses), synapses, time_constant=25*ms, namespace={})
    >>> twins = restored_twin_exponents(live, duration=40*ms, realisations=1, rng=np.random.default_rng(0))
    >>> twins.per_neuron.round(3).tolist()
    [-40.0, -40.0]
    """
    checks.instance("live", live, LiveNetwork, "use LiveNetwork(network) or a model")
    checks.generator("rng", rng)
    checks.callback("report", report)
    plan = twin_plan(duration, transient, renormalise_every, realisations, live.dt)
    eps = checks.real("perturbation", perturbation, above=0, below=1)
    growth = Growth(plan.window)
    if plan.transient > 0:
        live.run(plan.transient * second)
    with frozen_garbage(), Snapshot(live) as begin:
        for k, separations in enumerate(_restored_windows(live, plan, eps, begin, rng)):
            growth.add(*separations)
            if report is not None:
                report((k + 1) / plan.n_windows)
    return twin_exponents(np.zeros(0), {"fresh": growth})


def _restored_windows(
    live: LiveNetwork, plan: TwinPlan, perturbation: float, begin: Snapshot, rng: np.random.Generator
) -> Iterator[Separations]:
    """Run the network in every window once for each twin, and once more as the reference."""
    neurons, length = np.flatnonzero(live.measured), plan.window * second
    spread = live.state_scales()[neurons]

    def state() -> np.ndarray:
        return live.state_values()[neurons] / spread

    for _ in range(plan.n_windows):
        begin.take()
        v = state()
        starts, ends = [], []
        for _ in range(plan.realisations):
            shift = np.zeros(live.n_neurons)
            shift[neurons] = perturbation * spread * rng.standard_normal(neurons.size)
            for where, values in live.states():
                values += shift[where]
            starts.append(np.abs(state() - v))
            live.run(length)
            ends.append(state())
            begin.restore()
        live.run(length)
        reference = state()
        yield Separations(np.array(starts), np.abs(np.array(ends) - reference), reference)


# --- twins infinitely close -------------------------------------------------------------------------------------------


def tangent_twin_exponents(
    spec: NetworkSpec,
    *,
    drive: Drive | None = None,
    duration: Quantity = 1 * second,
    transient: Quantity = 100 * ms,
    renormalise_every: Quantity = 20 * ms,
    realisations: int = 4,
    spikes: SpikeTrain | None = None,
    rng: np.random.Generator,
    report: Report | None = None,
) -> TwinExponents:
    """Measure Lyapunov exponents with tangent vectors along one run of the network.

    Parameters
    ----------
    spec : NetworkSpec
        The network, N neurons, none of them silent, without delays; weights are held fixed.
    drive : Drive, optional
        Frozen drive of N neurons; without one, I_ext = 0.
    duration : Quantity
        Measured time, in whole windows.
    transient : Quantity
        Time before it.
    renormalise_every : Quantity
        Length of a window.
    realisations : int
        Number of fresh directions in every window.
    spikes : SpikeTrain, optional
        A run of the network from its initial potentials under `drive`, of at least `transient` and `duration`. By
        default that of `lnpbrian.network.simulate.spike_train`.
    rng : numpy.random.Generator
        Draws the directions.
    report : callable, optional
        Called with the completed fraction after every window.

    Returns
    -------
    TwinExponents
        In 1/s: `per_neuron` and `window_exponent` from directions drawn anew in every window, `largest_exponent` from
        one that is kept. `rates` are those of the measured time.

    Raises
    ------
    InvalidInput
        If the network has silent neurons or delays, or a time is out of range.

    Notes
    -----
    As in `block_twin_exponents`, of which this is the limit of a vanishing perturbation, a fresh direction moves
    potentials only, and separations are those of the potentials; a held neuron's is the one that its release will
    bring. The vectors follow the saltation matrices of `lnpbrian.lyapunov.lif_tangent.LIFTangent` (Bizzarri, Brambilla
    and Storti Gajani 2013, doi:10.1007/s10827-013-0448-6).

    Examples
    --------
    Below threshold a neuron forgets at 1/tau_m, and a direction that is kept turns to the slowest:

    >>> from lnpbrian.models import uncoupled
    >>> spec = uncoupled([10*ms, 25*ms], bias=0.5)
    >>> twins = tangent_twin_exponents(spec, transient=500*ms, rng=np.random.default_rng(0))
    >>> twins.per_neuron.round(3).tolist(), round(twins.largest_exponent, 3)
    ([-100.0, -40.0], -40.0)
    """
    checks.generator("rng", rng)
    checks.optional("drive", drive, Drive, "use noise_drive(...) or Drive(values, hold)")
    checks.optional("spikes", spikes, SpikeTrain, "use simulate(spec, duration)")
    checks.callback("report", report)
    _require_alive(spec)
    if spec.delays is not None and spec.n_synapses:
        raise InvalidInput("tangent dynamics do not know delays; use block_twin_exponents")
    plan = twin_plan(duration, transient, renormalise_every, realisations, None)
    whole = plan.transient + plan.n_windows * plan.window
    followed = spike_train(spec, whole, drive=drive) if spikes is None else spikes
    tangent = LIFTangent(spec, followed, drive)
    fresh, kept = Growth(plan.window), Growth(plan.window)
    for k, (each, one) in enumerate(_tangent_windows(tangent, plan, rng)):
        fresh.add(*each)
        kept.add(*one)
        if report is not None:
            report((k + 1) / plan.n_windows)
    measured = (followed.times > plan.transient) & (followed.times <= whole)
    rates = np.bincount(followed.indices[measured], minlength=spec.n_neurons) / (plan.n_windows * plan.window)
    remarks = flat_spikes(tangent.flat, followed.times.size, "a smaller dt")
    return twin_exponents(rates, {"fresh": fresh, "kept": kept}, remarks)


def _tangent_windows(
    tangent: LIFTangent, plan: TwinPlan, rng: np.random.Generator
) -> Iterator[tuple[Separations, Separations]]:
    """Carry tangent vectors along a run: fresh ones in every window, and one that is kept."""
    n = tangent.spec.n_neurons
    # The last column is the kept direction.
    vectors = np.zeros((tangent.dimension, plan.realisations + 1))
    vectors[:n, -1] = rng.standard_normal(n)
    if plan.transient > 0:
        kept = vectors[:, -1:].copy()
        tangent.advance(kept, plan.transient)
        vectors[:, -1:] = kept
    # Tangent vectors have no size that rounding could be compared with.
    unit = np.ones(n)
    for _ in range(plan.n_windows):
        vectors[:, :-1] = 0
        vectors[:n, :-1] = rng.standard_normal((n, plan.realisations))
        vectors[:, -1] /= np.linalg.norm(vectors[:, -1])
        start = np.abs(tangent.potentials(vectors)).T
        tangent.advance(vectors, plan.window)
        end = np.abs(tangent.potentials(vectors)).T
        yield Separations(start[:-1], end[:-1], unit), Separations(start[-1:], end[-1:], unit)


def _require_alive(spec: NetworkSpec) -> None:
    checks.instance("spec", spec, NetworkSpec, "use the spec of a model")
    if not spec.alive.all():
        raise InvalidInput("the network has silent neurons, whose exponents mean nothing; use spec.compacted()")
