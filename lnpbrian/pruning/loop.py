"""Lyapunov noise pruning: the loop that makes a live Brian2 network sparse, in place, before it is trained.

One iteration looks at rates and Lyapunov exponents, removes synapses by noise pruning (step I), silences the neurons of
lowest betweenness (step II), adds edges against localisation (step III) and, now and then, tunes the time constants on
the Lyapunov spectrum (step IV). A geometric schedule spreads the removal over the iterations.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from brian2 import Network, Quantity, Synapses
from brian2.core.namespace import get_local_namespace
from brian2.groups.group import Group
from threadpoolctl import threadpool_limits

from lnpbrian import checks, files
from lnpbrian.checks import InvalidInput
from lnpbrian.interrupts import Watched
from lnpbrian.lyapunov.spectrum import Spectrum, number_of_exponents
from lnpbrian.lyapunov.twins import TwinExponents
from lnpbrian.network.devices import require_device
from lnpbrian.network.live import LiveNetwork, Per, Snapshot
from lnpbrian.network.model_structure import adopt
from lnpbrian.network.simulate import RATE_RANGE_HZ, Drive, noise_drive
from lnpbrian.network.spec import NetworkSpec, RecurrentNetwork
from lnpbrian.pruning.checkpoint import Checkpoint, CheckpointFolder, fingerprint
from lnpbrian.pruning.delocalise import DelocalisationReport
from lnpbrian.pruning.edits import rehearse
from lnpbrian.pruning.laws import Laws
from lnpbrian.pruning.observation import ModelObserver, Observation, observe_network
from lnpbrian.pruning.options import PruneOptions, schedule
from lnpbrian.pruning.steps import PruningSteps, has_laws
from lnpbrian.streams import Streams

__all__ = ["Progress", "PruneResult", "Record", "prune"]

# Bounds of the mean rate of a network of the user's own, over its rate before pruning.
RATE_FACTOR = 4.0
# A mean rate that pruning has changed by more than this factor is worth a word, within the bounds or not.
RATE_CHANGE = 1.5


@dataclass(frozen=True)
class Record:
    """The network at the end of an iteration; iteration 0 is the network as it came.

    Attributes
    ----------
    iteration, neurons, synapses : int
        Survivors.
    mean_rate_hz : float
        Of the surviving neurons, under the noise drive.
    largest_exponent_per_s, largest_exponent_standard_error_per_s : float
        Of the network, from a direction that is kept, or from the spectrum. Where it comes from the spectrum, and for a
        network of your own from fresh directions, it is the same as the next.
    window_exponent_per_s, window_exponent_standard_error_per_s : float
        Mean growth over one window from fresh directions.
    exponent_quartiles_per_s : tuple of float
        Of the per-neuron exponents.
    laplacian_ipr, adjacency_ipr : float or None
        Largest inverse participation ratio among the eigenvectors at the ends of the spectra of the graph.
    strong_components : int or None
        Number of strongly connected components.
    degree_variance : float or None
        These four are None of a network of over 10,000 neurons, and four times in five of one of over 2000.
    time_constant_mean_ms : float or None
        Of the surviving neurons; None if one of them is not known.
    stable : bool
        Whether rate and largest exponent are within the bounds of the options.
    status : tuple of str
        What the steps have to say.
    seconds : dict of str to float
        Wall-clock time of each step.
    """

    iteration: int
    neurons: int
    synapses: int
    mean_rate_hz: float
    largest_exponent_per_s: float
    largest_exponent_standard_error_per_s: float
    window_exponent_per_s: float
    window_exponent_standard_error_per_s: float
    exponent_quartiles_per_s: tuple[float, ...]
    laplacian_ipr: float | None
    adjacency_ipr: float | None
    strong_components: int | None
    degree_variance: float | None
    time_constant_mean_ms: float | None
    stable: bool
    status: tuple[str, ...]
    seconds: dict[str, float]


@dataclass(frozen=True, repr=False)
class PruneResult:
    """The pruned network and how it came about.

    Attributes
    ----------
    live : LiveNetwork
        The network that was handed in, edited in place; its `alive` and `alive_in` say which neurons survive.
    history : tuple of Record
        One record per iteration, the start included, and those that were rolled back.
    exponents_before, exponents_after : TwinExponents or Spectrum
        Of the network as it came, and as it is now.
    rates_before, rates_after : ndarray, shapes (N,) and (N,)
        Firing rates in Hz under the noise drive, of all neurons, silent ones included.
    options : PruneOptions
    status : str
        How it ended.
    iteration : int
        The iteration that the network is left of: the last one, or an earlier one if that was unstable.
    rate_bounds : tuple of float
        Bounds of a stable network's mean rate in Hz.
    """

    live: LiveNetwork
    history: tuple[Record, ...]
    exponents_before: TwinExponents | Spectrum
    exponents_after: TwinExponents | Spectrum
    rates_before: np.ndarray
    rates_after: np.ndarray
    options: PruneOptions
    status: str
    iteration: int
    rate_bounds: tuple[float, float]

    @property
    def after(self) -> Record:
        """The record of the network as it is now."""
        return self.history[self.iteration]

    @property
    def neuron_sparsity(self) -> float:
        """Fraction of the neurons that was removed."""
        return 1 - self.after.neurons / self.history[0].neurons

    @property
    def synapse_sparsity(self) -> float:
        """Fraction of the synapses that was removed."""
        return 1 - self.after.synapses / self.history[0].synapses

    @property
    def warning(self) -> str:
        """Says that the mean rate is outside its bounds, or has changed by more than a factor of 1.5; else empty."""
        before, now = self.history[0].mean_rate_hz, self.after.mean_rate_hz
        low, high = self.rate_bounds
        said = []
        if not low <= now <= high:
            said.append(f"mean rate {now:.3g} Hz is outside {low:g}..{high:g} Hz")
        if now > RATE_CHANGE * before:
            said.append(f"mean rate rose {now / before:.1f}-fold")
        elif before > RATE_CHANGE * now:
            said.append(f"mean rate fell {before / now:.1f}-fold" if now else "no neuron fires any more")
        return ", ".join(said)

    def __repr__(self) -> str:
        first, now = self.history[0], self.after
        return (
            f"PruneResult({first.neurons} -> {now.neurons} neurons, {first.synapses} -> {now.synapses} synapses, "
            f"{first.mean_rate_hz:.1f} -> {now.mean_rate_hz:.1f} Hz; {self.status}"
            f"{f'; warning: {self.warning}' if self.warning else ''})"
        )


@dataclass(frozen=True)
class Progress:
    """Where a pruning run is: `fraction` of the whole, and what it is doing."""

    iteration: int
    iterations: int
    step: str
    fraction: float


def prune(
    network: Network | LiveNetwork,
    synapses: Synapses | Sequence[Synapses] | None = None,
    *,
    weight: Per | Sequence[Per] = "w",
    inhibitory: Synapses | Sequence[Synapses] = (),
    time_constant: str | Quantity | Mapping[str, str | Quantity] | None = None,
    state: str | Mapping[str, str] = "v",
    input: str | Sequence[str] | Mapping[str, Any] | None = None,
    protect: Group | Sequence[Group] = (),
    namespace: Mapping[str, Any] | None = None,
    options: PruneOptions | None = None,
    drive: Drive | None = None,
    reference: NetworkSpec | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Callable[[Progress], None] | None = None,
) -> PruneResult:
    """Prune a Brian2 network in place by Lyapunov noise pruning.

    Parameters
    ----------
    network : brian2.Network, LiveNetwork or a model
        Any network in runtime mode, or a model of `lnpbrian.models`. It is edited where it stands.
    synapses, weight, inhibitory, time_constant, state, input, protect
        What to prune in a network of your own, and what its variables are called; see `LiveNetwork`.
    namespace : mapping, optional
        What its equations take from outside; by default what is visible where `prune` is called, as for Brian2's `run`.
    options : PruneOptions, optional
        Targets, schedule, reading of the method.
    drive : Drive, optional
        Frozen drive under which a model is observed, by default `noise_drive` of one observation. A network of your own
        brings its own input.
    reference : NetworkSpec, optional
        What a model was before it was pruned for the first time, if it has been: step IV tunes towards its spectrum and
        changes its time constants. By default the model as it comes.
    seed : int
        Seed of the perturbations, of the sampling and of the default drive.
    checkpoint : path-like, optional
        Folder for a checkpoint after every iteration, for models only. The same call with the same folder goes on where
        the last one was interrupted, and ends with the same network, bit for bit.
    report : callable, optional
        Called with a `Progress` as the work goes on.

    Returns
    -------
    PruneResult

    Raises
    ------
    InvalidInput
        If the targets cannot be reached, the network is silent or has no synapses, an option needs what it lacks, an
        edit is not possible on one of its objects, the checkpoint is damaged, of another run, or in use by one, or
        pruning has ended in an unstable network that is neither to be rolled back nor kept.
    OSError
        If a checkpoint cannot be written; the last complete one is still there.

    Notes
    -----
    Algorithm 1 of arXiv 2403.03409. Step I aims at the number of synapses that, after the steps that follow it, leaves
    the scheduled one. No data of a task is used. A plastic model does not learn meanwhile.

    Every iteration is judged by the mean rate and the largest exponent that it leaves. Two unstable ones in a row end
    the run. A network that is unstable at the end is by default the one of the last stable iteration again, and
    `status` says so; see `PruneOptions`. A model that is rolled back keeps potentials, currents and the time, spikes in
    flight and traces are lost.

    A network of your own is run to be measured, and set back to where it was after every measurement: time, states,
    plastic weights, monitors and random numbers, though not what Python functions of yours remember. It ends at the
    time at which it came, as if the pruned synapses had not been there. Should anything fail, or Ctrl-C be pressed, all
    of it is back. Neurons are counted over all groups that the synapses touch; what is not listed in `synapses` is
    only edited where it touches a pruned neuron.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import HRSNN
    >>> model = HRSNN(60, 0.3, check_rate=False)
    >>> quick = PruneOptions(0.8, 0.2, iterations=2, steps=("I", "II"), observation=100*ms, rates=(0, 500))
    >>> result = prune(model, options=quick)
    >>> result.history[-1].neurons, len(model.synapses) == result.history[-1].synapses
    (48, True)
    """
    options = PruneOptions() if options is None else options
    checks.instance("options", options, PruneOptions, "use PruneOptions(...)")
    if drive is not None:
        checks.instance("drive", drive, Drive, "use noise_drive(...) or Drive(values, hold)")
    if reference is not None:
        checks.instance("reference", reference, NetworkSpec, "use the spec that the model had")
    if report is not None and not callable(report):
        raise InvalidInput(f"report must be a function that takes a Progress, got {report!r}")
    description: dict[str, Any] = {
        "weight": weight,
        "inhibitory": inhibitory,
        "time_constant": time_constant,
        "state": state,
        "input": input,
        "protect": protect,
        "namespace": namespace,
    }
    if isinstance(network, LiveNetwork):
        live = network
        for name, value in {"synapses": synapses, **description}.items():
            if value is not signature(prune).parameters[name].default:
                raise InvalidInput(f"{name} belongs to a brian2.Network; a {type(live).__name__} knows its own")
    else:
        checks.instance("network", network, Network, "use the brian2.Network that you run, or a model")
        if namespace is None:
            description["namespace"] = get_local_namespace(1)
        live = LiveNetwork(network, synapses, **description)
    _check(live, options, drive, reference, checkpoint)
    targets = schedule(live.n_alive, live.n_synapses, options)
    protected = int((live.is_protected & live.measured).sum())
    if options.neuron_sparsity > 0 and targets[-1][0] < protected:
        raise InvalidInput(
            f"neuron_sparsity {options.neuron_sparsity:g} would leave {targets[-1][0]} neurons, but {protected} are "
            "protected; lower it or protect fewer"
        )
    streams = Streams(seed).child("prune")
    if not isinstance(live, RecurrentNetwork):
        return _prune_in_place(live, targets, options, streams, report)
    if drive is None:
        drive = noise_drive(live.n_neurons, duration=options.observation, rng=streams.rng("noise drive"))
    now = live.spec
    start = now if reference is None else reference
    steps = PruningSteps(live, start, options, drive, streams)
    if checkpoint is None:
        return _looped(steps, targets, None, report)
    with files.lock_folder("checkpoint", checkpoint) as held:
        folder = CheckpointFolder(held, fingerprint(now, start, drive, options, seed))
        return _looped(steps, targets, folder, report)


def _prune_in_place(
    live: LiveNetwork,
    targets: list[tuple[int, int]],
    options: PruneOptions,
    streams: Streams,
    report: Callable[[Progress], None] | None,
) -> PruneResult:
    """Prune somebody else's network, or leave it as it was."""
    with Watched(), Snapshot(live) as before:
        try:
            rehearse(live, neurons=options.neuron_sparsity > 0, edges=options.does("III"))
            return _looped(PruningSteps(live, None, options, None, streams), targets, None, report)
        except BaseException:
            before.restore()
            raise


def _looped(
    steps: PruningSteps,
    targets: list[tuple[int, int]],
    folder: CheckpointFolder | None,
    report: Callable[[Progress], None] | None,
) -> PruneResult:
    # Sums of several threads depend on their number: with one, equal calls give equal networks on every machine.
    with threadpool_limits(1, user_api="blas"), Watched():
        return _Loop(steps, targets, folder, report).run()


def _check(
    live: LiveNetwork,
    options: PruneOptions,
    drive: Drive | None,
    reference: NetworkSpec | None,
    checkpoint: object,
) -> None:
    """Refuse what the network does not have the means for, before anything is measured or changed."""
    if live.n_synapses == 0:
        raise InvalidInput(f"{' and '.join(s.name for s in live.connections)} has no synapses to prune")
    if isinstance(live, RecurrentNetwork):
        if options.device != "runtime":
            require_device(options.device)
        if options.exponents == "spectrum":
            number_of_exponents(live.spec, "all")
        if options.exponents == "tangent" and live.spec.delays is not None:
            raise InvalidInput("exponents='tangent' does not know delays; use 'twins'")
        if reference is not None and reference.n_neurons != live.n_neurons:
            raise InvalidInput(
                f"reference has {reference.n_neurons} neurons, the network has {live.n_neurons}; it must be the one "
                "that the network descends from"
            )
        start = live.spec if reference is None else reference
        if options.steps is not None and "IV" in options.steps:
            if start.delays is not None or live.spec.delays is not None:
                raise InvalidInput("step IV needs the spectrum, which is not known with delays; leave it out")
            if not has_laws(start):
                raise InvalidInput("step IV needs time constants that differ within each cluster; leave it out")
        return
    own = "needs a model of lnpbrian.models"
    if options.noise.excitability == "compensate":
        raise InvalidInput(f"excitability='compensate' {own}; use 'keep'")
    if options.exponents not in ("auto", "twins"):
        raise InvalidInput(f"exponents={options.exponents!r} {own}; use 'twins'")
    if options.device != "runtime":
        raise InvalidInput(f"device={options.device!r} {own}; use 'runtime'")
    if options.steps is not None and "IV" in options.steps:
        raise InvalidInput(f"step IV {own}; leave it out")
    if checkpoint is not None:
        raise InvalidInput(f"checkpoint {own}; a network of your own can be stored by Network.store")
    if reference is not None:
        raise InvalidInput(f"reference {own}; leave it out")
    if drive is not None:
        raise InvalidInput(f"drive {own}; a network of your own brings its own input")
    for needs, why in (
        (options.noise.rescale != "none", live.weights_can_be_set()),
        (options.noise.edge_strength != "lyapunov", live.weights_compare()),
    ):
        if needs and why:
            raise InvalidInput(f"{why}; use NoisePruneOptions(rescale='none', edge_strength='lyapunov')")


@dataclass(frozen=True)
class _Stable:
    """The network after the last stable iteration, and what was measured of it, unless it still has to be."""

    iteration: int
    network: NetworkSpec | Snapshot
    now: Observation | None


class _Loop:
    """Iterations with their history, clock, progress and checkpoints."""

    def __init__(
        self,
        steps: PruningSteps,
        targets: list[tuple[int, int]],
        folder: CheckpointFolder | None,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self.steps = steps
        self.live = steps.live
        self.options = steps.options
        self.folder = folder
        self.report = report
        self.targets = targets
        # An iteration costs what it costs without synapses, and in proportion to those it finds.
        found = np.array([self.live.n_synapses, *(synapses for _, synapses in targets)], dtype=float)
        cost = np.cumsum(0.05 * found[0] + found)
        self.done = np.concatenate(([0.0], cost / cost[-1]))
        self.seconds: dict[str, float] = {}
        self.history: list[Record] = []
        self.unstable = 0
        self.stable: _Stable | None = None
        self.snapshot = ExitStack()
        self.observer = (
            ModelObserver(self.live.spec, steps.drive, steps.options, steps.streams)
            if isinstance(self.live, RecurrentNetwork)
            else None
        )

    def run(self) -> PruneResult:
        """Do all iterations that are left."""
        try:
            with self.snapshot:
                return self._run()
        finally:
            if self.observer is not None:
                self.observer.close()

    def _run(self) -> PruneResult:
        saved = None if self.folder is None else self.folder.load()
        came = self.live.spec if isinstance(self.live, RecurrentNetwork) else None
        first = now = self._observe(0)
        if not now.rates.any():
            raise InvalidInput(
                f"{self.live!r} is silent: no spike in {float(self.options.observation):g} s; give it "
                "more input, since neither exponents nor pruning mean anything without activity"
            )
        if saved is None:
            self._record(0, now, ())
        else:
            now = self._take_up(saved, first)
        for k in range(self.history[-1].iteration + 1, len(self.targets) + 1):
            if self.unstable >= 2:
                break
            notes = self._edit(k, now)
            now = self._observe(k)
            self._record(k, now, notes)
        status, iteration = "all iterations done", self.history[-1].iteration
        if self.unstable:
            status = self._why()
            if self.options.on_unstable == "raise":
                if came is not None:
                    assert isinstance(self.live, RecurrentNetwork)
                    adopt(self.live, came)
                raise InvalidInput(f"{status}; the network is as it came; prune less, or say on_unstable='roll back'")
            if self.options.on_unstable == "keep":
                status += "; kept"
            else:
                iteration, now = self._roll_back()
                status += f"; rolled back to {f'iteration {iteration}' if iteration else 'the network as it came'}"
        return PruneResult(
            live=self.live,
            history=tuple(self.history),
            exponents_before=first.each,
            exponents_after=now.each,
            rates_before=first.rates,
            rates_after=now.rates,
            options=self.options,
            status=status,
            iteration=iteration,
            rate_bounds=self._bounds(self.history[0].mean_rate_hz),
        )

    def _take_up(self, saved: Checkpoint, first: Observation) -> Observation:
        assert isinstance(self.live, RecurrentNetwork)
        assert self.folder is not None
        history = [_record_from(record) for record in saved.state["history"]]
        last = history[-1].iteration
        stable = max(record.iteration for record in history if record.stable or record.iteration == 0)
        rolls_back = self.options.on_unstable == "roll back"
        network = self.folder.load_stable(stable) if rolls_back and stable < last else saved.spec
        adopt(self.live, saved.spec)
        self.history = history
        self.unstable = saved.state["unstable"]
        laws = saved.state["laws"]
        self.steps.laws = None if laws is None else Laws.from_dict(laws)
        now = self._observe(last)
        if rolls_back:
            self.stable = _Stable(stable, network, now if stable == last else None if stable else first)
        return now

    def _keep(self, k: int, now: Observation) -> None:
        """Remember the network of iteration k, to which a later one may be rolled back."""
        if self.options.on_unstable != "roll back" or k == len(self.targets):
            return
        if isinstance(self.live, RecurrentNetwork):
            self.stable = _Stable(k, self.live.spec, now)
            return
        with ExitStack() as taken:
            self.stable = _Stable(k, taken.enter_context(Snapshot(self.live)), now)
            self.snapshot.close()
            self.snapshot.push(taken.pop_all())

    def _roll_back(self) -> tuple[int, Observation]:
        """Make the network that of the last stable iteration; return its number and what is measured of it."""
        stable = self.stable
        assert stable is not None
        if isinstance(stable.network, Snapshot):
            stable.network.restore()
        else:
            assert isinstance(self.live, RecurrentNetwork)
            adopt(self.live, stable.network)
        now = stable.now
        if now is None:
            assert self.observer is not None
            assert isinstance(stable.network, NetworkSpec)
            now = self.observer.observe(stable.network, report=lambda *_: None)
        return stable.iteration, now

    def _tell(self, k: int, step: str, within: float) -> None:
        if self.report is not None:
            fraction = self.done[k] + within * (self.done[k + 1] - self.done[k])
            self.report(Progress(k, self.options.iterations, step, min(float(fraction), 1.0)))

    def _timed(self, step: str, action: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        result = action()
        self.seconds[step] = time.perf_counter() - begun
        return result

    def _observe(self, k: int) -> Observation:
        def tell(what: str, fraction: float) -> None:
            self._tell(k, what, 0.5 + 0.5 * fraction)

        def measure() -> Observation:
            live, options, streams = self.live, self.options, self.steps.streams
            if self.observer is not None:
                assert isinstance(live, RecurrentNetwork)
                return self.observer.observe(live.spec, report=tell)
            return observe_network(live, options, streams, report=tell)

        return self._timed("observation", measure)

    def _edit(self, k: int, now: Observation) -> tuple[str, ...]:
        """Do the steps of iteration k, and return what they say."""
        steps, options = self.steps, self.options
        neurons, synapses = self.targets[k - 1]
        alive = self.live.n_alive
        order = steps.order
        # Step II takes about this fraction of the synapses along, step III adds its own.
        factors = {"II": (min(neurons, alive) / alive) ** 2, "III": 1 + options.delocalise.fraction}
        notes = [now.each.status] if k == 1 else []
        for place, step in enumerate(order):
            if step == "IV" and k % options.tuning.every and k != options.iterations:
                continue
            self._tell(k, f"step {step}", 0.5 * place / len(order))
            if step == "I":
                later = np.prod([factors.get(name, 1.0) for name in order[place + 1 :]])
                action = partial(steps.prune_synapses, k, round(synapses / later), now)
            elif step == "II":
                action = partial(steps.prune_neurons, neurons)
            elif step == "III":
                action = partial(steps.add_edges, k)
            else:
                begun, over = 0.5 * place / len(order), 0.5 / len(order)
                action = partial(steps.tune, k, report=partial(self._tell_tuning, k, begun, over))
            # What time constants do to the mean input is part of what step IV measures.
            edit = action if step == "IV" else partial(steps.with_same_input, action, now.rates)
            notes.append(self._timed(step, edit))
        return tuple(notes)

    def _tell_tuning(self, k: int, begun: float, over: float, fraction: float) -> None:
        self._tell(k, "step IV", begun + fraction * over)

    def _is_stable(self, rate: float, largest: TwinExponents | Spectrum) -> bool:
        low, high = self._bounds(rate)
        if not low <= rate <= high or np.isnan(largest.largest):
            return False
        bound = self.options.exponent_growth
        # Minus infinity: all twins have met.
        if bound is None or not self.history or largest.largest == -np.inf:
            return True
        first = self.history[0]
        before, error = first.largest_exponent_per_s, first.largest_exponent_standard_error_per_s
        if not np.isfinite(before):
            before, error = 0.0, 0.0
        error = np.hypot(largest.standard_error, error)
        # Of a single window there is no error.
        return bool(largest.largest <= before + bound + (3 * error if np.isfinite(error) else 0.0))

    def _bounds(self, rate: float) -> tuple[float, float]:
        """Return the bounds of the mean rate; `rate` is that of the unpruned network if there is no history yet."""
        if self.options.rates is not None:
            return self.options.rates
        if isinstance(self.live, RecurrentNetwork):
            return RATE_RANGE_HZ
        first = self.history[0].mean_rate_hz if self.history else rate
        return first / RATE_FACTOR, first * RATE_FACTOR

    def _why(self) -> str:
        """Return in what iteration the run has ended, and why that is unstable."""
        first, last = self.history[0], self.history[-1]
        low, high = self._bounds(first.mean_rate_hz)
        which = f"iteration {last.iteration} of {self.options.iterations}"
        ended = f"stopped after {which}: unstable twice" if self.unstable >= 2 else f"{which} is unstable"
        if not low <= last.mean_rate_hz <= high:
            return f"{ended}, mean rate {last.mean_rate_hz:.3g} Hz outside {low:g}..{high:g} Hz"
        return (
            f"{ended}, largest exponent {last.largest_exponent_per_s:.3g} 1/s, {first.largest_exponent_per_s:.3g} "
            "before pruning"
        )

    def _record(self, k: int, now: Observation, notes: tuple[str, ...]) -> None:
        """Append to the history, and write a checkpoint."""
        live, each = self.live, now.each
        graph: DelocalisationReport | None = self._timed("localisation", partial(self.steps.localisation, k))
        neurons = live.measured
        rate = float(now.rates[neurons].mean())
        stable = self._is_stable(rate, now.largest)
        # The network as it came is nothing that pruning could have spoilt.
        self.unstable = 0 if stable or k == 0 else self.unstable + 1
        seconds, self.seconds = self.seconds, {}
        self.history.append(
            Record(
                iteration=k,
                neurons=live.n_alive,
                synapses=live.n_synapses,
                mean_rate_hz=rate,
                largest_exponent_per_s=now.largest.largest,
                largest_exponent_standard_error_per_s=now.largest.standard_error,
                window_exponent_per_s=each.largest,
                window_exponent_standard_error_per_s=each.standard_error,
                exponent_quartiles_per_s=tuple(float(q) for q in np.percentile(each.per_neuron, [25, 50, 75])),
                laplacian_ipr=None if graph is None else graph.laplacian.maximum,
                adjacency_ipr=None if graph is None else graph.adjacency.maximum,
                strong_components=None if graph is None else graph.strong_components,
                degree_variance=None if graph is None else graph.degree_variance,
                time_constant_mean_ms=_mean(1e3 * live.time_constants[neurons]),
                stable=stable,
                status=notes,
                seconds=seconds,
            )
        )
        if stable or k == 0:
            self._keep(k, now)
        if self.folder is not None and isinstance(live, RecurrentNetwork):
            spec: NetworkSpec = live.spec
            laws = self.steps.laws
            state = {
                "history": [asdict(record) for record in self.history],
                "unstable": self.unstable,
                "laws": None if laws is None else laws.to_dict(),
            }
            begun = time.perf_counter()
            if self.unstable == 1 and self.stable is not None:
                # Before the checkpoint that needs it; one that is killed in between does not.
                assert isinstance(self.stable.network, NetworkSpec)
                self.folder.save_stable(self.stable.iteration, self.stable.network)
            self.folder.save(Checkpoint(spec, state))
            seconds["checkpoint"] = time.perf_counter() - begun


def _mean(values: np.ndarray) -> float | None:
    return None if np.isnan(values).any() else float(values.mean())


def _record_from(saved: dict[str, Any]) -> Record:
    record = Record(**saved)
    return replace(record, status=tuple(record.status), exponent_quartiles_per_s=tuple(record.exponent_quartiles_per_s))
