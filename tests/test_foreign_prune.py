"""`lnpbrian.prune` on the networks of `foreign_networks.py`: what is left goes on as if it had been built so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import Synapses, ms
from foreign_networks import NETWORKS, Foreign
from test_foreign import activity, at_edit, built_anew, each_network, run_on, same

import lnpbrian.pruning.prunable
from lnpbrian import LiveNetwork, PruneOptions, PruneResult, prune
from lnpbrian.pruning import NoisePruning, Step

QUICK: dict[str, Any] = {"iterations": 1, "realisations": 1, "observation": 40 * ms, "exponent_duration": 20 * ms}


def described(foreign: Foreign) -> dict[str, Any]:
    """Return the arguments of `LiveNetwork` that say what a network is made of."""
    # What modulates synapses is pruned with them, not by itself.
    onto_neurons = not isinstance(foreign.synapses[0].target, Synapses)
    inhibitory = np.broadcast_to(foreign.inhibitory, len(foreign.synapses))
    names = [name for name in foreign.inputs if isinstance(name, str)]
    return {
        "synapses": foreign.synapses if onto_neurons else None,
        "weight": foreign.weight if onto_neurons else "w",
        "inhibitory": [s for s, yes in zip(foreign.synapses, inhibitory, strict=True) if yes],
        "time_constant": {
            g.name: value for g, value in zip(foreign.groups, foreign.time_constant, strict=True) if value is not None
        },
        "state": {g.name: name for g, name in zip(foreign.groups, foreign.state, strict=True)},
        "input": [name for name in names if any(name in g.variables for g in foreign.groups)],
        "namespace": {},
    }


def without_records_of_synapses(foreign: Foreign) -> Foreign:
    """Take out the monitors that pruning refuses, and the last reference to them."""
    for monitor in foreign.recorded:
        if isinstance(monitor.source, Synapses):
            foreign.network.remove(monitor)
    others = tuple(m for m in foreign.recorded if not isinstance(m.source, Synapses))
    object.__setattr__(foreign, "recorded", others)
    return foreign


def prepared(build: Callable[..., Foreign]) -> Foreign:
    return without_records_of_synapses(at_edit(build))


def pruned(foreign: Foreign, steps: tuple[Step | str, ...] | None = None, **options: Any) -> PruneResult:
    live = LiveNetwork(foreign.network, **described(foreign))
    return prune(live, steps, options=PruneOptions(**QUICK, **options))


# The builder of that one always makes all synapses that others modulate.
@pytest.mark.parametrize("build", [b for b in NETWORKS if b.__name__ != "modulated"], ids=lambda build: build.__name__)
def test_what_is_left_fires_as_if_built_so(build: Callable[..., Foreign], monkeypatch: pytest.MonkeyPatch):
    masks: list[np.ndarray] = []
    keep_synapses = lnpbrian.pruning.prunable.keep_synapses
    monkeypatch.setattr(
        lnpbrian.pruning.prunable, "keep_synapses", lambda live, keep: (masks.append(keep), keep_synapses(live, keep))
    )
    foreign = prepared(build)
    time, spikes = foreign.network.t, [m.num_events for m in foreign.spikes]
    # Whatever becomes of the rate: what is looked at is the pruned network.
    unbounded: dict[str, Any] = {"rates": (0, 1e4), "exponent_growth": None}
    steps = (NoisePruning(rescale="none"),)
    result = pruned(foreign, steps, synapse_sparsity=0.6, neuron_sparsity=0.0, **unbounded)
    assert result.status == "all iterations done"
    assert foreign.network.t == time
    assert [m.num_events for m in foreign.spikes] == spikes

    kept = np.arange(masks[0].size)
    for mask in masks:
        kept = kept[mask]
    stays = np.isin(np.arange(masks[0].size), kept)
    other = prepared(build)
    keep, begin = {}, 0
    for s in result.live.connections:
        size = len(other.network[s.name])
        keep[s.name], begin = stays[begin : begin + size], begin + size
    anew = built_anew(build, other, keep)
    run_on(foreign)
    run_on(without_records_of_synapses(anew))
    assert same(activity(foreign), activity(anew))
    assert sum((np.array(m.t_) > foreign.before / 1000).sum() for m in foreign.spikes) > 20


@each_network
def test_all_three_steps_and_on(build: Callable[..., Foreign]):
    foreign = prepared(build)
    result = pruned(foreign, synapse_sparsity=0.6, neuron_sparsity=0.1, rates=(0, 1e4), exponent_growth=None)
    first, last = result.history[0], result.history[-1]
    assert last.neurons == round(0.9 * first.neurons)
    # Step I aims at a mean over draws.
    assert abs(last.synapses - 0.4 * first.synapses) < 0.05 * first.synapses
    time = float(foreign.network.t_)
    run_on(foreign)
    live = result.live
    for monitor in foreign.spikes:
        if any(monitor.source is g for g in live.groups):
            fired = np.array(monitor.i)[np.array(monitor.t_) > time]
            assert live.alive_in(monitor.source)[fired].all()


def test_synapses_that_are_recorded_stay():
    builders = [b for b in NETWORKS if b.__name__ in ("additive_stdp", "slow_gating")]
    for build in builders:
        foreign = at_edit(build)
        (monitor,) = (m for m in foreign.recorded if isinstance(m.source, Synapses))
        ends = [np.array(getattr(monitor.source, end)[monitor.record]) for end in ("i", "j")]
        before = sum(len(s) for s in foreign.synapses)
        pruned(foreign, synapse_sparsity=0.6, neuron_sparsity=0.1)
        assert sum(len(s) for s in foreign.synapses) < 0.5 * before
        for end, neurons in zip(("i", "j"), ends, strict=True):
            np.testing.assert_array_equal(getattr(monitor.source, end)[monitor.record], neurons)
        run_on(foreign)
