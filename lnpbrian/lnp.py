"""Lyapunov noise pruning: the loop that makes a live Brian2 network sparse, in place, before it is trained.

One iteration measures rates and Lyapunov exponents, removes synapses by noise pruning (step I), and silences the
neurons of lowest betweenness (step II). A geometric schedule spreads the removal over the iterations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from brian2 import NeuronGroup, Quantity, Subgroup, Synapses, ms, second

from lnpbrian import checks
from lnpbrian.betweenness import betweenness_centrality, lowest_neurons, total_degree
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov import TwinExponents, block_twin_exponents, restored_twin_exponents, twin_window
from lnpbrian.network import LiveNetwork, RecurrentNetwork
from lnpbrian.noise import NoisePruneOptions, NoisePruneResult, noise_prune
from lnpbrian.simulate import RATE_RANGE_HZ, Drive, noise_drive, observe
from lnpbrian.spectrum import Spectrum, lyapunov_spectrum, number_of_exponents
from lnpbrian.streams import Streams
from lnpbrian.structure import remove_synapses, silence_neurons

__all__ = ["Progress", "PruneOptions", "PruneResult", "Record", "prune", "schedule"]


# Twins of a model run with steps of at most 0.5 ms: what is left of the time grid in their exponents is of first order.
TWIN_STEP = 0.5e-3
EXPONENTS = ("twins", "spectrum")


@dataclass(frozen=True)
class PruneOptions:
    """How far, in how many steps, and by which reading of the method to prune.

    Parameters
    ----------
    synapse_sparsity : float
        Fraction of the synapses to remove, in [0, 1).
    neuron_sparsity : float
        Fraction of the neurons to remove, in [0, 1).
    iterations : int
        Number of iterations, at least 1.
    noise : NoisePruneOptions
        Options of step I.
    minimum_neurons : int
        Pruning never leaves fewer.
    observation : Quantity
        Time over which rates are measured in each iteration.
    exponents : {"twins", "spectrum"}
        Where the exponent of a neuron comes from: how its separation grows between twins (the paper's), or its share
        of the complete spectrum of tangent dynamics, which takes a model of `lnpbrian.models` without delays, and time
        that grows with the cube of the neurons.
    twin_duration : Quantity
        Time over which exponents are measured.
    realisations : int
        Number of twins.
    perturbation : float
        Standard deviation of the twins' perturbation, in the unit of the potential.
    rates : (float, float)
        Bounds of the mean rate in Hz; pruning stops after two iterations outside them.
    """

    synapse_sparsity: float = 0.95
    neuron_sparsity: float = 0.3
    iterations: int = 10
    noise: NoisePruneOptions = field(default_factory=NoisePruneOptions)
    minimum_neurons: int = 10
    observation: Quantity = field(default_factory=lambda: 1 * second)
    exponents: str = "twins"
    twin_duration: Quantity = field(default_factory=lambda: 500 * ms)
    realisations: int = 4
    perturbation: float = 1e-8
    rates: tuple[float, float] = RATE_RANGE_HZ

    def __post_init__(self) -> None:
        checks.real("synapse_sparsity", self.synapse_sparsity, at_least=0, below=1)
        checks.real("neuron_sparsity", self.neuron_sparsity, at_least=0, below=1)
        checks.count("iterations", self.iterations)
        checks.count("minimum_neurons", self.minimum_neurons)
        checks.seconds("observation", self.observation)
        checks.choice("exponents", self.exponents, EXPONENTS)
        checks.seconds("twin_duration", self.twin_duration)
        checks.count("realisations", self.realisations)
        checks.real("perturbation", self.perturbation, above=0)
        low, high = checks.array("rates", self.rates, shape=(2,), remedy="give the lower and the upper bound in Hz")
        if not 0 <= low < high:
            raise InvalidInput(f"rates must be (lower, upper) in Hz, got {self.rates}")
        if not isinstance(self.noise, NoisePruneOptions):
            raise InvalidInput(f"noise must be NoisePruneOptions(...), got {self.noise!r}")


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
        Of the network, from twins that keep their directions, or from the spectrum. Where it comes from the spectrum,
        and for a network of your own from fresh directions, it is the same as the next.
    window_exponent_per_s, window_exponent_standard_error_per_s : float
        Mean growth over one window from fresh directions.
    exponent_quartiles_per_s : tuple of float
        Of the per-neuron exponents.
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


def schedule(neurons: int, synapses: int, options: PruneOptions) -> list[tuple[int, int]]:
    """Return the numbers of neurons and synapses to be left after each iteration, falling geometrically.

    Raises
    ------
    InvalidInput
        If the targets cannot be reached together.

    Examples
    --------
    >>> schedule(100, 1000, PruneOptions(synapse_sparsity=0.75, neuron_sparsity=0.36, iterations=2))
    [(80, 500), (64, 250)]
    """
    final_neurons = round((1 - options.neuron_sparsity) * neurons)
    final_synapses = round((1 - options.synapse_sparsity) * synapses)
    if final_neurons < options.minimum_neurons:
        highest = 1 - options.minimum_neurons / neurons
        raise InvalidInput(
            f"neuron_sparsity {options.neuron_sparsity:g} would leave {final_neurons} of {neurons} neurons, fewer than "
            f"minimum_neurons = {options.minimum_neurons}; at most {max(highest, 0):.3g} can be removed"
        )
    if final_synapses < 1:
        raise InvalidInput(
            f"synapse_sparsity {options.synapse_sparsity:g} would leave none of {synapses} synapses; lower it"
        )
    # Neurons take their synapses along: in a random graph a fraction f of the neurons holds f^2 of the synapses.
    left = (final_neurons / neurons) ** 2
    if final_synapses > 1.02 * left * synapses:
        raise InvalidInput(
            f"synapse_sparsity {options.synapse_sparsity:g} cannot be kept with neuron_sparsity "
            f"{options.neuron_sparsity:g}: the removed neurons take about {1 - left:.3g} of the synapses along; "
            f"raise synapse_sparsity to {1 - left:.3g} or lower neuron_sparsity to "
            f"{1 - np.sqrt(1 - options.synapse_sparsity):.3g}"
        )
    done = np.arange(1, options.iterations + 1) / options.iterations
    return [
        (round(neurons * (final_neurons / neurons) ** x), round(synapses * (final_synapses / synapses) ** x))
        for x in done
    ]


def prune(
    live: LiveNetwork,
    *,
    options: PruneOptions | None = None,
    drive: Drive | None = None,
    seed: int = 0,
    report: Callable[[Progress], None] | None = None,
) -> PruneResult:
    """Prune a Brian2 network in place by Lyapunov noise pruning.

    Parameters
    ----------
    live : LiveNetwork
        A model of `lnpbrian.models`, or `LiveNetwork` around any Brian2 network in runtime mode. It is run between the
        edits and goes on from where it is.
    options : PruneOptions, optional
        Targets, schedule, reading of the method.
    drive : Drive, optional
        Frozen drive under which a model is observed, by default `noise_drive` of one observation. A network of your own
        brings its own input.
    seed : int
        Seed of the perturbations, of the sampling and of the default drive.
    report : callable, optional
        Called with a `Progress` as the work goes on.

    Returns
    -------
    PruneResult

    Raises
    ------
    InvalidInput
        If the targets cannot be reached, the network is silent or has no synapses, or an option needs what it lacks.

    Notes
    -----
    Algorithm 1 of arXiv 2403.03409, steps I and II. Step I aims at the number of synapses that, after the neurons of
    step II are gone, leaves the scheduled one. No data of a task is used. A plastic model does not learn meanwhile.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> model = HRSNN(60, 0.3, check_rate=False)
    >>> quick = PruneOptions(0.8, 0.2, iterations=2, observation=100*ms, twin_duration=40*ms, rates=(0, 500))
    >>> result = prune(model, options=quick)
    >>> result.history[-1].neurons, len(model.synapses) == result.history[-1].synapses
    (48, True)
    """
    options = options or PruneOptions()
    streams = Streams(seed).child("prune")
    recurrent = isinstance(live, RecurrentNetwork)
    if options.noise.excitability == "compensate" and not recurrent:
        raise InvalidInput("excitability='compensate' needs a model of lnpbrian.models; use 'keep'")
    if options.exponents == "spectrum":
        if not isinstance(live, RecurrentNetwork):
            raise InvalidInput("exponents='spectrum' needs a model of lnpbrian.models; use 'twins'")
        number_of_exponents(live.spec, "all")
    if len(live.synapses) == 0:
        raise InvalidInput(f"{live.synapses.name!r} has no synapses to prune")
    if options.neuron_sparsity > 0 and not live.silence:
        raise InvalidInput(
            "silence is empty, so that a pruned neuron would go on firing; name the variables that keep it from it, "
            "e.g. LiveNetwork(..., silence={'drive': 0}), or use neuron_sparsity=0"
        )
    if drive is not None and not recurrent:
        raise InvalidInput("drive is for the models of lnpbrian.models; a network of your own brings its own input")
    targets = schedule(int(live.alive.sum()), len(live.synapses), options)
    if drive is None and recurrent:
        drive = noise_drive(len(live.neurons), duration=options.observation, rng=streams.rng("noise drive"))
    loop = _Loop(live, options, drive, streams, report)
    with _without_learning(live):
        return _iterate(loop, targets)


def _iterate(loop: _Loop, targets: list[tuple[int, int]]) -> PruneResult:
    live, options = loop.live, loop.options
    first = now = loop.measure(0)
    if not now.rates.any():
        raise InvalidInput(
            f"{live.neurons.name!r} is silent: no spike in {float(options.observation):g} s; give it more input, "
            "since neither exponents nor pruning mean anything without activity"
        )
    history = [loop.record(0, now, ())]
    outside, status = 0, "all iterations done"
    for k, target in enumerate(targets, start=1):
        notes = loop.edit(k, target, now)
        now = loop.measure(k)
        history.append(loop.record(k, now, notes))
        low, high = options.rates
        outside = 0 if low <= history[-1].mean_rate_hz <= high else outside + 1
        if outside == 2:
            status = (
                f"stopped after iteration {k} of {options.iterations}: mean rate outside {low:g}..{high:g} Hz twice"
            )
            break
    return PruneResult(
        live=live,
        history=tuple(history),
        exponents_before=first.each,
        exponents_after=now.each,
        rates_before=first.rates,
        rates_after=now.rates,
        options=options,
        status=status,
    )


@contextmanager
def _without_learning(live: LiveNetwork) -> Iterator[None]:
    """Switch the plasticity of a model off: what is measured and what is rescaled must be the same weights."""
    synapses = live.synapses
    if not _is_plastic_model(live):
        yield
        return
    before = float(synapses.learning[:])
    synapses.learning = 0
    try:
        yield
    finally:
        synapses.learning = before


def _is_plastic_model(live: LiveNetwork) -> bool:
    # A network of the user's own may give these names another meaning.
    return isinstance(live, RecurrentNetwork) and "learning" in live.synapses.variables


@dataclass(frozen=True)
class _Measurement:
    rates: np.ndarray
    each: TwinExponents | Spectrum
    largest: TwinExponents | Spectrum


def _touches(synapses: Synapses, neurons: NeuronGroup) -> bool:
    """Whether a side of `synapses` is the group or a subgroup of it."""
    # A subgroup holds a proxy of its group, which is not the same object; names are unique within a network.
    sides = (synapses.source, synapses.target)
    return any((side.source if isinstance(side, Subgroup) else side).name == neurons.name for side in sides)


class _Loop:
    """The steps of an iteration, with their clock and their progress."""

    def __init__(
        self,
        live: LiveNetwork,
        options: PruneOptions,
        drive: Drive | None,
        streams: Streams,
        report: Callable[[Progress], None] | None,
    ) -> None:
        self.live = live
        self.options = options
        self.drive = drive
        self.streams = streams
        self.report = report
        self.seconds: dict[str, float] = {}

    def _tell(self, k: int, step: str, within: float) -> None:
        if self.report is not None:
            fraction = (k + within) / (self.options.iterations + 1)
            self.report(Progress(k, self.options.iterations, step, min(fraction, 1.0)))

    def _timed(self, step: str, action: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = action()
        self.seconds[step] = time.perf_counter() - start
        return result

    def measure(self, k: int) -> _Measurement:
        """Run the live network for its rates, and measure its exponents."""
        live, options = self.live, self.options
        self._tell(k, "rates", 0.3)
        # The network settles before it counts: the last edit took spikes and inputs away.
        self._timed("settle", lambda: observe(live, 100 * ms, drive=self.drive))
        activity = self._timed("rates", lambda: observe(live, options.observation, drive=self.drive))
        self._tell(k, "exponents", 0.5)
        if options.exponents == "spectrum":
            each = largest = self._timed("exponents", lambda: self._spectrum(k))
        else:
            each = largest = self._timed("exponents", lambda: self._twins(k, "fresh", 0.5))
        if isinstance(live, RecurrentNetwork) and options.exponents == "twins":
            largest = self._timed("largest exponent", lambda: self._twins(k, "kept", 0.8))
        self._tell(k, "exponents", 1.0)
        return _Measurement(activity.rates, each, largest)

    def _spectrum(self, k: int) -> Spectrum:
        return lyapunov_spectrum(
            self.live.spec,  # type: ignore[attr-defined]
            duration=self.options.twin_duration,
            inputs=self.drive,
            rng=self.streams.rng("vectors"),
            report=lambda fraction: self._tell(k, "exponents", 0.5 + 0.5 * fraction),
        )

    def _twins(self, k: int, directions: str, begun: float) -> TwinExponents:
        live, options = self.live, self.options
        # The same perturbations in every iteration: differences come from the network.
        step = min(live.dt, TWIN_STEP) if isinstance(live, RecurrentNetwork) else live.dt
        common: dict[str, Any] = {
            "renormalise_every": twin_window(step) * second,
            "duration": options.twin_duration,
            "realisations": options.realisations if directions == "fresh" else 1,
            "perturbation": options.perturbation,
            "rng": self.streams.rng("twins"),
            "report": lambda fraction: self._tell(k, "exponents", begun + 0.2 * fraction),
        }
        if not isinstance(live, RecurrentNetwork):
            dim = live.neurons.variables[live.potential].dim
            common["perturbation"] = Quantity(options.perturbation, dim=dim)
            return restored_twin_exponents(live, **common)
        spec = live.spec.compacted()
        spec = replace(spec, dt=min(spec.dt, TWIN_STEP))
        longest = 0.0 if spec.delays is None or not spec.n_synapses else spec.delays.max()
        precise = (
            not spec.has_delta_synapses and spec.refractory_period >= 2 * spec.dt and longest < spec.refractory_period
        )
        spec = spec.with_timing("precise" if precise else "grid")
        drive = None if self.drive is None else self.drive.of_neurons(live.alive)
        return block_twin_exponents(spec, drive=drive, directions=directions, **common)

    def edit(self, k: int, target: tuple[int, int], now: _Measurement) -> tuple[str, ...]:
        """Do steps I and II, and return what they say."""
        live = self.live
        n_target, s_target = target
        alive = np.flatnonzero(live.alive)
        n_remove = alive.size - n_target
        # Step II takes about this fraction of the synapses along.
        share = (n_target / alive.size) ** 2
        count = min(round(s_target / share), len(live.synapses))
        self._tell(k, "noise pruning", 0.0)
        noise = self._timed("noise pruning", lambda: self._prune_synapses(k, alive, count, now))
        self._tell(k, "betweenness", 0.2)
        self._timed("betweenness", lambda: self._prune_neurons(alive, n_remove))
        return (noise.status, now.each.status)

    def _graph(self, alive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pre and post in the numbering of the surviving neurons."""
        number = np.full(len(self.live.neurons), -1)
        number[alive] = np.arange(alive.size)
        return number[self.live.synapses.i[:]], number[self.live.synapses.j[:]]

    def _prune_synapses(self, k: int, alive: np.ndarray, count: int, now: _Measurement) -> NoisePruneResult:
        live = self.live
        pre, post = self._graph(alive)
        weights = live.synapses.get_states([live.weight], units=False)[live.weight]
        gain: float | np.ndarray | None = None
        if isinstance(live, RecurrentNetwork):
            # What a spike leaves decays with the synapse, or with the membrane of its target.
            gain = live.spec.synaptic_time_constant or live.time_constants[alive]
        result = noise_prune(
            pre,
            post,
            weights,
            exponents=now.each.per_neuron,
            time_constants=live.time_constants[alive],
            resolution=now.each.resolution,
            rng=self.streams.child("synapses").rng(k),
            count=count,
            rates=now.rates[alive],
            gain=gain,
            options=self.options.noise,
        )
        remove_synapses(live.synapses, result.keep)
        live.synapses.set_states({live.weight: result.weights}, units=False)
        if _is_plastic_model(live) and result.weights.size:
            # Rescaled weights may leave the range that learning had.
            live.synapses.w_max = max(float(live.synapses.w_max[:]), float(np.abs(result.weights).max()))
        if result.bias_shift.any():
            live.neurons.variables["I_bias"].get_value()[alive] += result.bias_shift
        return result

    def _prune_neurons(self, alive: np.ndarray, n_remove: int) -> None:
        if n_remove <= 0:
            return
        live = self.live
        pre, post = self._graph(alive)
        lowest = lowest_neurons(
            betweenness_centrality(pre, post, alive.size),
            total_degree(pre, post, alive.size),
            count=n_remove,
            minimum=self.options.minimum_neurons,
        )
        gone = alive[lowest]
        touching = [s for s in live.network.objects if isinstance(s, Synapses) and _touches(s, live.neurons)]
        silence_neurons(live.neurons, gone, synapses=touching, **live.silence)
        live.mark_silenced(gone)

    def record(self, k: int, now: _Measurement, notes: tuple[str, ...]) -> Record:
        live, each = self.live, now.each
        seconds, self.seconds = self.seconds, {}
        return Record(
            iteration=k,
            neurons=int(live.alive.sum()),
            synapses=len(live.synapses),
            mean_rate_hz=float(now.rates[live.alive].mean()),
            largest_exponent_per_s=now.largest.largest,
            largest_exponent_standard_error_per_s=now.largest.standard_error,
            window_exponent_per_s=each.largest,
            window_exponent_standard_error_per_s=each.standard_error,
            exponent_quartiles_per_s=tuple(float(q) for q in np.percentile(each.per_neuron, [25, 50, 75])),
            status=notes,
            seconds=seconds,
        )
