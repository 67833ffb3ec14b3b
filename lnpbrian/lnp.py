"""Lyapunov noise pruning: the loop that makes a live Brian2 network sparse, in place, before it is trained.

One iteration looks at rates and Lyapunov exponents, removes synapses by noise pruning (step I), silences the neurons of
lowest betweenness (step II), adds edges against localisation (step III) and, now and then, tunes the time constants on
the Lyapunov spectrum (step IV). A geometric schedule spreads the removal over the iterations.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from lnpbrian import checks
from lnpbrian.checkpoint import Checkpoint, CheckpointFolder, fingerprint
from lnpbrian.checks import InvalidInput
from lnpbrian.delocalise import DelocalisationReport
from lnpbrian.laws import Laws
from lnpbrian.lyapunov import TwinExponents
from lnpbrian.network import LiveNetwork, NetworkSpec, RecurrentNetwork
from lnpbrian.observation import Observation, observe_model, observe_network
from lnpbrian.options import PruneOptions, schedule
from lnpbrian.simulate import Drive, noise_drive
from lnpbrian.spectrum import Spectrum, number_of_exponents
from lnpbrian.steps import PruningSteps, has_laws
from lnpbrian.streams import Streams
from lnpbrian.structure import adopt

__all__ = ["Progress", "PruneResult", "Record", "prune"]


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
    time_constant_mean_ms : float
        Of the surviving neurons.
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
    time_constant_mean_ms: float
    stable: bool
    status: tuple[str, ...]
    seconds: dict[str, float]


@dataclass(frozen=True, repr=False)
class PruneResult:
    """The pruned network and how it came about.

    Attributes
    ----------
    live : LiveNetwork
        The network that was handed in, edited in place.
    history : tuple of Record
        One record per iteration, the start included.
    exponents_before, exponents_after : TwinExponents or Spectrum
        Measured before the first and after the last iteration.
    rates_before, rates_after : ndarray, shapes (N,) and (N,)
        Firing rates in Hz under the noise drive, of all neurons, silent ones included.
    options : PruneOptions
    status : str
        How it ended.
    """

    live: LiveNetwork
    history: tuple[Record, ...]
    exponents_before: TwinExponents | Spectrum
    exponents_after: TwinExponents | Spectrum
    rates_before: np.ndarray
    rates_after: np.ndarray
    options: PruneOptions
    status: str

    @property
    def neuron_sparsity(self) -> float:
        """Fraction of the neurons that was removed."""
        return 1 - self.history[-1].neurons / self.history[0].neurons

    @property
    def synapse_sparsity(self) -> float:
        """Fraction of the synapses that was removed."""
        return 1 - self.history[-1].synapses / self.history[0].synapses

    def __repr__(self) -> str:
        first, last = self.history[0], self.history[-1]
        return (
            f"PruneResult({first.neurons} -> {last.neurons} neurons, {first.synapses} -> {last.synapses} synapses, "
            f"{first.mean_rate_hz:.1f} -> {last.mean_rate_hz:.1f} Hz; {self.status})"
        )


@dataclass(frozen=True)
class Progress:
    """Where a pruning run is: `fraction` of the whole, and what it is doing."""

    iteration: int
    iterations: int
    step: str
    fraction: float


def prune(
    live: LiveNetwork,
    *,
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
    live : LiveNetwork
        A model of `lnpbrian.models`, or `LiveNetwork` around any Brian2 network in runtime mode. A model is edited
        where it stands, and copies of it are measured; a network of your own is run between the edits, and goes on from
        where it is.
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
        If the targets cannot be reached, the network is silent or has no synapses, an option needs what it lacks, or
        the checkpoint is damaged or of another run.
    OSError
        If a checkpoint cannot be written; the last complete one is still there.

    Notes
    -----
    Algorithm 1 of arXiv 2403.03409. Step I aims at the number of synapses that, after the steps that follow it, leaves
    the scheduled one. No data of a task is used. A plastic model does not learn meanwhile.

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
    checks.instance("live", live, LiveNetwork, "use a model of lnpbrian.models or LiveNetwork(network, ...)")
    checks.instance("options", options, PruneOptions, "use PruneOptions(...)")
    if drive is not None:
        checks.instance("drive", drive, Drive, "use noise_drive(...) or Drive(values, hold)")
    if reference is not None:
        checks.instance("reference", reference, NetworkSpec, "use the spec that the model had")
    _check(live, options, drive, reference, checkpoint)
    targets = schedule(int(live.alive.sum()), len(live.synapses), options)
    streams = Streams(seed).child("prune")
    if drive is None and isinstance(live, RecurrentNetwork):
        drive = noise_drive(len(live.neurons), duration=options.observation, rng=streams.rng("noise drive"))
    start, folder = None, None
    if isinstance(live, RecurrentNetwork):
        now = live.spec
        start = now if reference is None else reference
        if checkpoint is not None:
            folder = CheckpointFolder(checkpoint, fingerprint(now, start, drive, options, seed))
    steps = PruningSteps(live, start, options, drive, streams)
    # Sums of several threads depend on their number: with one, equal calls give equal networks on every machine.
    with threadpool_limits(1, user_api="blas"):
        return _Loop(steps, targets, folder, report).run()


def _check(
    live: LiveNetwork,
    options: PruneOptions,
    drive: Drive | None,
    reference: NetworkSpec | None,
    checkpoint: object,
) -> None:
    """Refuse what the network does not have the means for, before anything is measured or changed."""
    if len(live.synapses) == 0:
        raise InvalidInput(f"{live.synapses.name!r} has no synapses to prune")
    if isinstance(live, RecurrentNetwork):
        if options.exponents == "spectrum":
            number_of_exponents(live.spec, "all")
        if options.exponents == "tangent" and live.spec.delays is not None:
            raise InvalidInput("exponents='tangent' does not know delays; use 'twins'")
        if reference is not None and reference.n_neurons != len(live.neurons):
            raise InvalidInput(
                f"reference has {reference.n_neurons} neurons, the network has {len(live.neurons)}; it must be the one "
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
    if options.steps is not None and "IV" in options.steps:
        raise InvalidInput(f"step IV {own}; leave it out")
    if checkpoint is not None:
        raise InvalidInput(f"checkpoint {own}; a network of your own can be stored by Network.store")
    if reference is not None:
        raise InvalidInput(f"reference {own}; leave it out")
    if drive is not None:
        raise InvalidInput(f"drive {own}; a network of your own brings its own input")
    if options.neuron_sparsity > 0 and not live.silence:
        raise InvalidInput(
            "silence is empty, so that a pruned neuron would go on firing; name the variables that keep it from it, "
            "e.g. LiveNetwork(..., silence={'drive': 0}), or use neuron_sparsity=0"
        )


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
        found = np.array([len(self.live.synapses), *(synapses for _, synapses in targets)], dtype=float)
        cost = np.cumsum(0.05 * found[0] + found)
        self.done = np.concatenate(([0.0], cost / cost[-1]))
        self.seconds: dict[str, float] = {}
        self.history: list[Record] = []
        self.unstable = 0

    def run(self) -> PruneResult:
        """Do all iterations that are left."""
        saved = None if self.folder is None else self.folder.load()
        first = now = self._observe(0)
        if not now.rates.any():
            raise InvalidInput(
                f"{self.live.neurons.name!r} is silent: no spike in {float(self.options.observation):g} s; give it "
                "more input, since neither exponents nor pruning mean anything without activity"
            )
        if saved is None:
            self._record(0, now, ())
        else:
            now = self._take_up(saved)
        status = "all iterations done"
        for k in range(self.history[-1].iteration + 1, len(self.targets) + 1):
            if self.unstable >= 2:
                break
            notes = self._edit(k, now)
            now = self._observe(k)
            self._record(k, now, notes)
        if self.unstable >= 2:
            last = self.history[-1].iteration
            status = f"stopped after iteration {last} of {self.options.iterations}: unstable twice, {self._why()}"
        return PruneResult(
            live=self.live,
            history=tuple(self.history),
            exponents_before=first.each,
            exponents_after=now.each,
            rates_before=first.rates,
            rates_after=now.rates,
            options=self.options,
            status=status,
        )

    def _take_up(self, saved: Checkpoint) -> Observation:
        assert isinstance(self.live, RecurrentNetwork)
        adopt(self.live, saved.spec)
        self.history = [_record_from(record) for record in saved.state["history"]]
        self.unstable = saved.state["unstable"]
        laws = saved.state["laws"]
        self.steps.laws = None if laws is None else Laws.from_dict(laws)
        last = self.history[-1].iteration
        return self._observe(last)

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
            if isinstance(live, RecurrentNetwork):
                return observe_model(live.spec, self.steps.drive, options, streams, report=tell)
            return observe_network(live, options, streams, report=tell)

        return self._timed("observation", measure)

    def _edit(self, k: int, now: Observation) -> tuple[str, ...]:
        """Do the steps of iteration k, and return what they say."""
        steps, options = self.steps, self.options
        neurons, synapses = self.targets[k - 1]
        alive = int(self.live.alive.sum())
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
        low, high = self.options.rates
        if not low <= rate <= high:
            return False
        bound = self.options.exponent_growth
        if bound is None or not self.history:
            return True
        first = self.history[0]
        error = np.hypot(largest.standard_error, first.largest_exponent_standard_error_per_s)
        return bool(largest.largest <= first.largest_exponent_per_s + bound + 3 * error)

    def _why(self) -> str:
        first, last = self.history[0], self.history[-1]
        low, high = self.options.rates
        if not low <= last.mean_rate_hz <= high:
            return f"mean rate {last.mean_rate_hz:.3g} Hz outside {low:g}..{high:g} Hz"
        return (
            f"largest exponent {last.largest_exponent_per_s:.3g} 1/s, {first.largest_exponent_per_s:.3g} before pruning"
        )

    def _record(self, k: int, now: Observation, notes: tuple[str, ...]) -> None:
        """Append to the history, and write a checkpoint."""
        live, each = self.live, now.each
        graph: DelocalisationReport | None = self._timed("localisation", partial(self.steps.localisation, k))
        rate = float(now.rates[live.alive].mean())
        stable = self._is_stable(rate, now.largest)
        # The network as it came is nothing that pruning could have spoilt.
        self.unstable = 0 if stable or k == 0 else self.unstable + 1
        seconds, self.seconds = self.seconds, {}
        self.history.append(
            Record(
                iteration=k,
                neurons=int(live.alive.sum()),
                synapses=len(live.synapses),
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
                time_constant_mean_ms=float(1e3 * live.time_constants[live.alive].mean()),
                stable=stable,
                status=notes,
                seconds=seconds,
            )
        )
        if self.folder is not None and isinstance(live, RecurrentNetwork):
            spec: NetworkSpec = live.spec
            laws = self.steps.laws
            state = {
                "history": [asdict(record) for record in self.history],
                "unstable": self.unstable,
                "laws": None if laws is None else laws.to_dict(),
            }
            begun = time.perf_counter()
            self.folder.save(Checkpoint(spec, state))
            seconds["checkpoint"] = time.perf_counter() - begun


def _record_from(saved: dict[str, Any]) -> Record:
    record = Record(**saved)
    return replace(record, status=tuple(record.status), exponent_quartiles_per_s=tuple(record.exponent_quartiles_per_s))
