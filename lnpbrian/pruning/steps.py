"""The four steps of Lyapunov noise pruning, each applied in place to a live Brian2 network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from brian2 import ms

from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.spectrum import lyapunov_spectrum
from lnpbrian.network.betweenness import lowest_neurons, removal_centrality, total_degree
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.simulate import Drive
from lnpbrian.network.spec import NetworkSpec, RecurrentNetwork
from lnpbrian.pruning.delocalise import (
    DelocalisationReport,
    delocalisation_report,
    delocalising_edges,
    random_edges,
)
from lnpbrian.pruning.edits import add_like, keep_synapses, silence
from lnpbrian.pruning.laws import Laws, fit_laws
from lnpbrian.pruning.noise import noise_prune
from lnpbrian.pruning.observation import SETTLE, Observation
from lnpbrian.pruning.options import STEPS, PruneOptions
from lnpbrian.streams import Streams

if TYPE_CHECKING:
    from lnpbrian.pruning.timescales import Measurement, SearchSpace, TuningResult

__all__ = ["PruningSteps", "has_laws"]

Report = Callable[[float], None]

REORTHONORMALISE_EVERY = 10 * ms
# The eigenvectors of many neurons take seconds and are looked at now and then, those of more take minutes.
MANY_NEURONS, EIGENVECTORS_EVERY = 2000, 5
MOST_NEURONS = 10_000


@dataclass
class PruningSteps:
    """The steps on one network, and what they need to remember of it.

    Parameters
    ----------
    live : LiveNetwork
        Edited in place.
    start : NetworkSpec, optional
        A model before pruning; None for a network of somebody else.
    options : PruneOptions
    drive : Drive, optional
        Of all N neurons, for the measurements of step IV.
    streams : Streams
        What iteration k draws comes from streams of its own.
    laws : Laws, optional
        Of the time constants as they are now, if step IV has changed them.
    """

    live: LiveNetwork
    start: NetworkSpec | None
    options: PruneOptions
    drive: Drive | None
    streams: Streams
    laws: Laws | None = None

    def __post_init__(self) -> None:
        self.signs = self.live.signs() if self.start is None else np.where(self.start.excitatory, 1, -1)

    @property
    def order(self) -> tuple[str, ...]:
        """The steps of an iteration, in order."""
        if self.options.steps is not None:
            return tuple(self.options.steps)
        tunes = self.start is not None and self.start.delays is None and has_laws(self.start)
        return STEPS if tunes else STEPS[:3]

    def graph(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the surviving neurons, and pre and post in their numbering."""
        alive = np.flatnonzero(self.live.alive)
        number = np.full(self.live.n_neurons, -1)
        number[alive] = np.arange(alive.size)
        pre, post = self.live.edges()
        return alive, number[pre], number[post]

    def mean_input(self, rates: np.ndarray) -> np.ndarray | None:
        """Return each neuron's mean recurrent input at these rates (N,), where the bias is to make up for its changes.

        ``gain_i sum_j W_ij r_j``: what a spike leaves decays with the synapse, or with the membrane of its target.
        """
        if self.start is None or self.options.noise.excitability == "keep":
            return None
        pre, post = self.live.edges()
        gain = self.start.synaptic_time_constant or self.live.time_constants
        return gain * np.bincount(post, weights=self.live.weights() * rates[pre], minlength=rates.size)

    def with_same_input(self, edit: Callable[[], str], rates: np.ndarray) -> str:
        """Do an edit, make up for the mean input that it changes in the biases of the living, and return its note."""
        before = self.mean_input(rates)
        note = edit()
        after = self.mean_input(rates)
        if before is not None and after is not None:
            assert isinstance(self.live, RecurrentNetwork)
            alive = np.flatnonzero(self.live.alive)
            self.live.neurons.variables["I_bias"].get_value()[alive] += (before - after)[alive]
        return note

    def prune_synapses(self, k: int, count: int, now: Observation) -> str:
        """Step I: keep about `count` synapses by noise pruning."""
        live = self.live
        alive, pre, post = self.graph()
        # A source of spikes has no state: it forgets at once.
        exponents = np.full(live.n_neurons, -1 / live.dt)
        exponents[now.alive] = now.each.per_neuron
        result = noise_prune(
            pre,
            post,
            live.weights(),
            exponents=exponents[alive],
            time_constants=live.forgetting_times(exponents, now.each.resolution)[alive],
            resolution=now.each.resolution,
            rng=self.streams.child("synapses").rng(k),
            count=min(count, pre.size),
            rates=now.rates[alive],
            groups=None if self.start is None else self.start.cluster[alive],
            # What the other steps take from the mean input is made up for in the same way.
            options=replace(self.options.noise, excitability="keep"),
        )
        keep_synapses(live, result.keep)
        if self.options.noise.rescale != "none":
            live.set_weights(result.weights)
        if is_plastic_model(live) and result.weights.size:
            assert isinstance(live, RecurrentNetwork)
            # Rescaled weights may leave the range that learning had.
            live.synapses.w_max = max(float(live.synapses.w_max[:]), float(np.abs(result.weights).max()))
        return f"I: {result.status}"

    def prune_neurons(self, left: int) -> str:
        """Step II: silence the neurons of lowest betweenness until `left` are alive."""
        live = self.live
        alive, pre, post = self.graph()
        surplus = live.n_alive - left
        if surplus <= 0:
            return "II: no neuron to remove"
        found = removal_centrality(pre, post, alive.size, method=self.options.centrality)
        protected = np.flatnonzero(live.is_protected[alive])
        lowest = lowest_neurons(
            found.values,
            total_degree(pre, post, alive.size),
            count=surplus,
            minimum=self.options.minimum_neurons + alive.size - live.n_alive,
            protect=protected,
            protect_at_least=protected.size,
        )
        gone = alive[lowest]
        silence(live, gone)
        by = {"exact": "betweenness", "degree": "in-degree times out-degree"}[found.method]
        return f"II: {gone.size} neurons of lowest {by} silenced"

    def add_edges(self, k: int) -> str:
        """Step III: add synapses like the surviving ones, where they raise the variance of the degrees."""
        live, how = self.live, self.options.delocalise
        alive, pre, post = self.graph()
        count = round(how.fraction * pre.size)
        if count == 0:
            return "III: no edge to add"
        rng = self.streams.child("edges").rng(k)
        if how.rule == "random":
            new_pre, new_post = random_edges(pre, post, alive.size, count=count, rng=rng, fewer=True)
        else:
            limit = how.edges_per_neuron
            at_most = None if limit is None else int(np.ceil(limit * 2 * count / alive.size))
            new_pre, new_post = delocalising_edges(pre, post, alive.size, count=count, at_most=at_most, fewer=True)
        added = add_like(live, alive[new_pre], alive[new_post], signs=self.signs, rng=rng)
        return f"III: {added} edges added" + ("" if added == count else f", {count} were wanted")

    def localisation(self, k: int) -> DelocalisationReport | None:
        """Return how localised the eigenvectors at the ends of the spectrum are after iteration k.

        None of a network that is too large for it, and of a large one in most iterations.
        """
        alive, pre, post = self.graph()
        skipped = alive.size > MANY_NEURONS and k % EIGENVECTORS_EVERY != 0 and k != self.options.iterations
        if skipped or alive.size > MOST_NEURONS:
            return None
        return delocalisation_report(pre, post, alive.size, all_up_to=0)

    def tune(self, k: int, *, report: Report) -> str:
        """Step IV: give the neurons time constants that bring the spectrum back to that of the unpruned network."""
        # The surrogate's libraries take a second to load.
        from lnpbrian.pruning.timescales import tune_time_constants

        live, how = self.live, self.options.tuning
        assert isinstance(live, RecurrentNetwork)
        assert self.start is not None
        before = fit_laws(self.start)
        # Clipped time constants forget their order, so laws always act on those that the network began with.
        fresh = replace(live.spec, time_constants=self.start.time_constants)
        result: TuningResult = tune_time_constants(
            fresh,
            measure=self.measure,
            target=self.target,
            space=self._space(before),
            evaluations=how.evaluations,
            rng=self.streams.child("tuning").rng(k),
            laws=before,
            also=() if self.laws is None else (self.laws,),
            report=report,
        )
        self.laws = result.laws
        live.set_time_constants(result.spec.time_constants)
        return f"IV: {result.status}"

    def _space(self, laws: Laws) -> SearchSpace:
        from lnpbrian.pruning.timescales import SearchSpace

        return SearchSpace.around(laws, mean=self.options.tuning.mean, shape=self.options.tuning.shape)

    @cached_property
    def target(self) -> Measurement:
        """Leading exponents and rate of the unpruned network."""
        assert self.start is not None
        return self.measure(self.start)

    def measure(self, spec: NetworkSpec) -> Measurement:
        """Return the leading exponents of a network, as large a part of its spectrum as of the unpruned one's."""
        from lnpbrian.pruning.timescales import Measurement

        assert self.start is not None
        how = self.options.tuning
        part = min(1.0, how.exponents / self.start.compacted().n_neurons)
        per_neuron = 1 if spec.has_delta_synapses else 2
        wanted = max(2, int(np.ceil(part * spec.n_alive)))
        found = lyapunov_spectrum(
            spec,
            n_exponents=min(wanted, per_neuron * spec.n_alive),
            duration=how.duration,
            transient=SETTLE,
            reorthonormalise_every=REORTHONORMALISE_EVERY,
            inputs=self.drive,
            # As in `spike_train`: on the grid slopes at the threshold are not those of a crossing.
            trajectory="exact" if spec.spike_timing == "grid" else "brian2",
            rng=self.streams.rng("vectors"),
        )
        mean = None if found.mean_log_det is None else found.mean_log_det / found.dimension
        return Measurement(found.exponents, float(found.rates.mean()), found.dimension, mean)


def has_laws(spec: NetworkSpec) -> bool:
    """Whether the time constants of every cluster differ, so that a law describes them."""
    try:
        fit_laws(spec)
    except InvalidInput:
        return False
    return True


def is_plastic_model(live: LiveNetwork) -> bool:
    """Whether the network is a model of this package that learns."""
    # A network of the user's own may give these names another meaning.
    return isinstance(live, RecurrentNetwork) and "learning" in live.synapses.variables
