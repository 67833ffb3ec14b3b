"""Lyapunov noise pruning: the loop that makes a live Brian2 network sparse, in place, before it is trained.

One iteration looks at rates and Lyapunov exponents, and does its steps: by default it removes synapses by noise pruning
(step I), silences the neurons of lowest betweenness (step II), adds edges against localisation (step III) and, now and
then, tunes the time constants on the Lyapunov spectrum (step IV). A geometric schedule spreads the removal over the
iterations.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from brian2 import Network, get_logger
from brian2.core.magic import magic_network
from brian2.core.namespace import get_local_namespace
from threadpoolctl import threadpool_limits

from lnpbrian import checks, locks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.brian2_internals import visible_network
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.signals import Drive
from lnpbrian.process import Watched, frozen_garbage
from lnpbrian.pruning.changes import Recording
from lnpbrian.pruning.checkpoint import Checkpoint, CheckpointFolder, fingerprint
from lnpbrian.pruning.history import Bar, Progress, PruneResult, Record, record_from
from lnpbrian.pruning.prunable import Observation, Prunable, prunable
from lnpbrian.pruning.schedule import PruneOptions, schedule
from lnpbrian.pruning.steps import Iteration, Step, as_steps, possible_steps
from lnpbrian.pruning.steps.localisation import DelocalisationReport, delocalisation_report
from lnpbrian.streams import Streams

__all__ = ["prune"]

# The eigenvectors of many neurons take seconds and are looked at now and then, those of more take minutes.
MANY_NEURONS, EIGENVECTORS_EVERY = 2000, 5
MOST_NEURONS = 10_000
# All eigenvectors of so many neurons take three seconds.
RESPONSE_NEURONS = 1000


def prune(
    network: Network | LiveNetwork | None = None,
    steps: Sequence[Step | str] | None = None,
    *,
    options: PruneOptions | None = None,
    drive: Drive | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Callable[[Progress], None] | str | None = None,
) -> PruneResult:
    """Prune a Brian2 network in place by Lyapunov noise pruning.

    Parameters
    ----------
    network : brian2.Network, LiveNetwork or a model, optional
        Any network in runtime mode, or a model of `lnpbrian.models`. It is edited where it stands. By default what
        ``brian2.run()`` would run here. Which synapses of a network of your own are pruned, and what it calls weights
        and potentials, is read from its equations, logged as a table, and said otherwise by
        ``LiveNetwork(network, synapses, weight=..., ...)``.
    steps : sequence of Step, optional
        What an iteration does, in this order; the four steps of the paper can be given by their names "I" to "IV". By
        default all of these that the network has the means for: IV takes a model of `lnpbrian.models` without delays
        whose time constants differ.
    options : PruneOptions, optional
        Targets, schedule, measurements, bounds. By default `PruneOptions()`.
    drive : Drive, optional
        Frozen drive under which a model is observed, by default `noise_drive` of one observation. A network of your own
        brings its own input.
    seed : int
        Seed of the perturbations, of the sampling and of the default drive.
    checkpoint : path-like, optional
        Folder for a checkpoint after every iteration, for models only. The same call with the same folder goes on where
        the last one was interrupted, and ends with the same network, bit for bit.
    report : callable or "bar", optional
        Called with a `Progress` as the work goes on; ``"bar"`` shows it as a bar, in a notebook too.

    Returns
    -------
    PruneResult

    Raises
    ------
    InvalidInput
        If the targets cannot be reached, the network is silent or has no synapses, a step or an option needs what it
        lacks, an edit is not possible on one of its objects, the checkpoint is damaged, of another run, or in use by
        one, or pruning has ended in an unstable network that is neither to be rolled back nor kept.
    OSError
        If a checkpoint cannot be written; the last complete one is still there.

    Notes
    -----
    Algorithm 1 of arXiv 2403.03409. Step I aims at the number of synapses that, after the steps that follow it, leaves
    the scheduled one. After all steps of an iteration it rescales the weights for what was taken, such that the linear
    response of the network stays as strong as it was; see `NoisePruning`. No data of a task is used. A plastic model
    does not learn meanwhile.

    Every iteration is judged by the mean rate and the largest exponent that it leaves. Two unstable ones in a row end
    the run. A network that is unstable at the end is by default the one of the last stable iteration again, and
    `status` says so; see `PruneOptions`. A model that is rolled back keeps potentials, currents and the time, spikes in
    flight and traces are lost. One that pruning fails on, or is interrupted on, keeps what was done to it.

    A network of your own is run to be measured, and set back to where it was after every measurement: time, states,
    plastic weights, monitors and random numbers, though not what Python functions of yours remember. It ends at the
    time at which it came, as if the pruned synapses had not been there. Should anything fail, or Ctrl-C be pressed, all
    of it is back. Neurons are counted over all groups that the synapses touch; what is not among the synapses to prune
    is only edited where it touches a pruned neuron.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import HRSNN
    >>> model = HRSNN(60, 0.3, check_rate=False)
    >>> quick = PruneOptions(0.8, 0.2, iterations=2, observation=100*ms, rates=(0, 500))
    >>> result = prune(model, ("I", "II"), options=quick)
    >>> result.history[-1].neurons, len(model.synapses) == result.history[-1].synapses
    (48, True)
    """
    if options is not None:
        checks.instance("options", options, PruneOptions, "use PruneOptions(...)")
    checks.optional("drive", drive, Drive, "use noise_drive(...) or Drive(values, hold)")
    if not (report is None or callable(report) or (isinstance(report, str) and report == "bar")):
        raise InvalidInput(f"report must be a function that takes a Progress, or 'bar', got {report!r}")
    if not isinstance(network, LiveNetwork):
        if network is None or network is magic_network:
            network = visible_network(1)
        checks.instance("network", network, Network, "use the brian2.Network that you run, or a model")
        network = LiveNetwork(network, namespace=get_local_namespace(1))
        get_logger("lnpbrian").info(f"pruning what the equations say\n{network.describe()}", "describe")
    if network.n_synapses == 0:
        raise InvalidInput(f"{' and '.join(s.name for s in network.connections)} has no synapses to prune")
    options = options or PruneOptions()
    streams = Streams(seed).child("prune")
    subject = prunable(network, options, streams, drive)
    subject.check()
    chosen = possible_steps(subject) if steps is None else as_steps(steps)
    for step in chosen:
        step.check(subject)
    targets = schedule(network.n_alive, subject.n_acting, options, chosen)
    protected = int((network.is_protected & network.measured).sum())
    if options.neuron_sparsity > 0 and targets[-1][0] < protected:
        raise InvalidInput(
            f"neuron_sparsity {options.neuron_sparsity:g} would leave {targets[-1][0]} neurons, but {protected} are "
            "protected; lower it or protect fewer"
        )
    with ExitStack() as held:
        folder = None
        if checkpoint is not None:
            subject.require_model("checkpoint", "a network of your own can be stored by Network.store")
            path = held.enter_context(locks.lock_folder("checkpoint", checkpoint))
            folder = CheckpointFolder(path, fingerprint(subject.start, subject.drive, chosen, options, seed))
        # Sums of several threads depend on their number: with one, equal calls give equal networks on every machine.
        held.enter_context(threadpool_limits(1, user_api="blas"))
        tell = held.enter_context(closing(Bar())) if isinstance(report, str) else report
        held.enter_context(Watched())
        held.enter_context(frozen_garbage())
        recording = held.enter_context(Recording(network.network))
        held.enter_context(subject.guarded(chosen))
        result = _Loop(subject, chosen, options, streams, targets, folder, tell).run()
        changes = recording.changes()
    changes.watch()
    return replace(result, changes=changes)


@dataclass(frozen=True)
class _Stable:
    """The network after the last stable iteration, and what was measured of it, unless it still has to be."""

    iteration: int
    moment: Any
    now: Observation | None


class _Loop:
    """Iterations with their history, clock, progress and checkpoints."""

    def __init__(
        self,
        subject: Prunable,
        steps: tuple[Step, ...],
        options: PruneOptions,
        streams: Streams,
        targets: list[tuple[int, int]],
        folder: CheckpointFolder | None,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self.subject, self.live = subject, subject.live
        self.steps, self.options, self.streams = steps, options, streams
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
        self.rates: np.ndarray | None = None
        self.stable: _Stable | None = None
        self.memory: dict[str, dict[str, Any]] = {step.name: {} for step in steps}

    def run(self) -> PruneResult:
        """Do all iterations that are left."""
        try:
            return self._run()
        finally:
            self._forget()
            self.subject.close()

    def _run(self) -> PruneResult:
        saved = None if self.folder is None else self.folder.load()
        first = self._observe(0)
        self.rates = self._timed("rates", lambda: self.subject.reference_rates(first))
        first = now = replace(first, rates=self.rates)
        if not now.rates.any():
            raise InvalidInput(
                f"{self.live!r} is silent: no spike in {float(self.options.observation):g} s; give it "
                "more input, since neither exponents nor pruning mean anything without activity"
            )
        if saved is None:
            self._record(0, now, self.subject.notes)
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
                self.subject.as_it_came()
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
            steps=self.steps,
            options=self.options,
            status=status,
            iteration=iteration,
            rate_bounds=self._bounds(self.history[0].mean_rate_hz),
            alive=self.live.alive,
        )

    def _take_up(self, saved: Checkpoint, first: Observation) -> Observation:
        assert self.folder is not None
        history = [record_from(record) for record in saved.state["history"]]
        last = history[-1].iteration
        stable = max(record.iteration for record in history if record.stable or record.iteration == 0)
        rolls_back = self.options.on_unstable == "roll back"
        network = self.folder.load_stable(stable) if rolls_back and stable < last else saved.spec
        self.subject.go_back(saved.spec)
        self.history = history
        self.unstable = saved.state["unstable"]
        self.memory = saved.state["memory"]
        now = self._observe(last) if last else first
        if rolls_back:
            self.stable = _Stable(stable, network, now if stable == last else None if stable else first)
        return now

    def _keep(self, k: int, now: Observation) -> None:
        """Remember the network of iteration k, to which a later one may be rolled back."""
        if self.options.on_unstable == "roll back" and k < len(self.targets):
            self._forget()
            self.stable = _Stable(k, self.subject.moment(), now)

    def _forget(self) -> None:
        stable, self.stable = self.stable, None
        if stable is not None:
            self.subject.forget(stable.moment)

    def _roll_back(self) -> tuple[int, Observation]:
        """Make the network that of the last stable iteration; return its number and what is measured of it."""
        stable = self.stable
        assert stable is not None
        self.subject.go_back(stable.moment)
        return stable.iteration, self.subject.observe(lambda *_: None) if stable.now is None else stable.now

    def _tell(self, k: int, step: str, within: float) -> None:
        if self.report is not None:
            fraction = self.done[k] + within * (self.done[k + 1] - self.done[k])
            self.report(Progress(k, self.options.iterations, step, min(float(fraction), 1.0), self.rates))

    def _timed(self, step: str, action: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        result = action()
        self.seconds[step] = time.perf_counter() - begun
        return result

    def _observe(self, k: int) -> Observation:
        def tell(what: str, fraction: float) -> None:
            self._tell(k, what, 0.5 + 0.5 * fraction)

        return self._timed("observation", partial(self.subject.observe, tell))

    def _edit(self, k: int, now: Observation) -> tuple[str, ...]:
        """Do the steps of iteration k, and return what they say."""
        neurons, synapses = self.targets[k - 1]
        alive = self.live.n_alive
        notes = [now.each.status] if k == 1 else []
        power = self.subject.power()
        done: list[tuple[Step, Iteration, str]] = []
        for place, step in enumerate(self.steps):
            if not step.is_due(k, self.options.iterations):
                continue
            begun, over = 0.5 * place / len(self.steps), 0.5 / len(self.steps)

            def tell(fraction: float, step: Step = step, begun: float = begun, over: float = over) -> None:
                self._tell(k, f"step {step.name}", begun + fraction * over)

            tell(0.0)
            if step.measures:
                self._finish(done)
            # What the steps after this one will do to the synapses that it leaves.
            later = np.prod([other.synapse_factor(min(neurons, alive) / alive) for other in self.steps[place + 1 :]])
            iteration = Iteration(
                number=k,
                iterations=self.options.iterations,
                neurons=neurons,
                synapses=round(synapses / later),
                observed=now,
                streams=self.streams,
                power=power,
                reference_rates=self.rates,
                spectral_radius=self.history[0].spectral_radius,
                memory=self.memory[step.name],
                report=tell,
            )
            said = self._timed(step.name, partial(step, self.subject, iteration))
            done.append((step, iteration, said))
            if not self.live.alive[self.live.measured].any():
                raise InvalidInput(f"step {step.name} of iteration {k} has left no neuron; let it keep some")
        return (*notes, *self._finish(done))

    def _finish(self, done: list[tuple[Step, Iteration, str]]) -> list[str]:
        """Finish the steps that are done, and return what each has to say."""
        more = [step.finish(self.subject, iteration) for step, iteration, _ in done]
        return [f"{step.name}: {said}{f'; {m}' if m else ''}" for (step, _, said), m in zip(done, more, strict=True)]

    def _is_stable(self, rate: float, largest: float, standard_error: float) -> bool:
        low, high = self._bounds(rate)
        if not low <= rate <= high or np.isnan(largest):
            return False
        bound = self.options.exponent_growth
        # Minus infinity: all twins have met.
        if bound is None or not self.history or largest == -np.inf:
            return True
        first = self.history[0]
        before, before_error = first.largest_exponent_per_s, first.largest_exponent_standard_error_per_s
        if not np.isfinite(before):
            before, before_error = 0.0, 0.0
        error = np.hypot(standard_error, before_error)
        # Of a single window there is no error. Twins that approach each other do so in a stable network.
        return bool(largest <= max(before + bound, 0.0) + (3 * error if np.isfinite(error) else 0.0))

    def _bounds(self, rate: float) -> tuple[float, float]:
        """Return the bounds of the mean rate; `rate` is that of the unpruned network if there is no history yet."""
        if self.options.rates is not None:
            return self.options.rates
        return self.subject.rate_bounds(self.history[0].mean_rate_hz if self.history else rate)

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
        graph: DelocalisationReport | None = self._timed("localisation", partial(self._localisation, k))
        neurons = live.measured
        rate = float(now.rates[neurons].mean())
        (largest, error), (window, window_error) = now.network_exponent, now.window_exponent
        stable = self._is_stable(rate, largest, error)
        # The network as it came is nothing that pruning could have spoilt.
        self.unstable = 0 if stable or k == 0 else self.unstable + 1
        seconds, self.seconds = self.seconds, {}
        self.history.append(
            Record(
                iteration=k,
                neurons=live.n_alive,
                synapses=live.n_synapses,
                mean_rate_hz=rate,
                largest_exponent_per_s=largest,
                largest_exponent_standard_error_per_s=error,
                window_exponent_per_s=window,
                window_exponent_standard_error_per_s=window_error,
                spectral_radius=None if now.response is None else now.response.spectral_radius,
                response_ipr=self._response_ipr(k, now),
                interval_cv=None if np.isnan(now.interval_cv) else now.interval_cv,
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
        if self.folder is not None:
            state = {
                "history": [asdict(record) for record in self.history],
                "unstable": self.unstable,
                "memory": self.memory,
            }
            begun = time.perf_counter()
            if self.unstable == 1 and self.stable is not None:
                # Before the checkpoint that needs it; one that is killed in between does not.
                self.folder.save_stable(self.stable.iteration, self.stable.moment)
            self.folder.save(Checkpoint(self.subject.spec, state))
            seconds["checkpoint"] = time.perf_counter() - begun

    def _response_ipr(self, k: int, now: Observation) -> float | None:
        alive = np.flatnonzero(self.live.alive)
        if now.response is None or alive.size > RESPONSE_NEURONS or 0 < k < self.options.iterations:
            return None
        return float(np.median(now.response.of_neurons(alive).participation))

    def _localisation(self, k: int) -> DelocalisationReport | None:
        """Return how localised the eigenvectors at the ends of the spectrum are after iteration k.

        None of a network that is too large for it, and of a large one in most iterations.
        """
        alive, pre, post = self.subject.graph()
        skipped = alive.size > MANY_NEURONS and k % EIGENVECTORS_EVERY != 0 and k != self.options.iterations
        if skipped or alive.size > MOST_NEURONS:
            return None
        return delocalisation_report(pre, post, alive.size, all_up_to=0)


def _mean(values: np.ndarray) -> float | None:
    return None if np.isnan(values).any() else float(values.mean())
