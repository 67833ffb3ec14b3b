"""Synaptic operations: counted one by one, by NeuroBench's definition, and by the synapses of a running network."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import Synapses, ms
from hypothesis import given, settings
from hypothesis import strategies as st

from lnpbrian.models import HRSNN, uncoupled
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import noise_drive, spike_counter
from lnpbrian.network.simulate import observe
from lnpbrian.network.spec import synaptic_operations
from lnpbrian.pruning.controls import silence


@st.composite
def pruned_networks(draw):
    """A network (n, n) of weights W[i, j] from j to i, spikes (T, n), and masks of what survives."""
    n, steps = draw(st.integers(1, 12)), draw(st.integers(0, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    weights = rng.normal(size=(n, n)) * (rng.random((n, n)) < draw(st.floats(0, 1)))
    np.fill_diagonal(weights, 0)
    synapses = rng.random((n, n)) < draw(st.floats(0, 1))
    alive = rng.random(n) < draw(st.floats(0, 1))
    # A silenced neuron does not fire.
    spikes = (rng.random((steps, n)) < draw(st.floats(0, 1))) & alive
    return weights, spikes, synapses, alive


def spec_of(weights):
    post, pre = np.nonzero(weights)
    return replace(uncoupled(np.full(len(weights), 20) * ms), pre=pre, post=post, weights=weights[post, pre])


def pruned(weights, synapses, alive):
    """The network as the package prunes it: synapses are taken out, then neurons silenced."""
    spec = spec_of(weights)
    return silence(spec.of_synapses(synapses[spec.post, spec.pre]), ~alive)


def one_by_one(weights, spikes, synapses, alive):
    """Eq. (10): every spike, every synapse of the unpruned network, with the three states joined by AND."""
    total = 0
    for step in spikes:
        for j in np.flatnonzero(step):
            for i in np.flatnonzero(weights[:, j]):
                total += bool(alive[j] and synapses[i, j] and alive[i])
    return total


def effective_accumulates(weights, inputs):
    """NeuroBench: what is not 0 becomes 1 in the weights of a layer without bias and in its inputs; sum the outputs.

    The sum counts as accumulates, not as multiplications, if the inputs are -1, 0 and 1 only.
    """
    assert np.isin(inputs, (-1, 0, 1)).all()
    return int(((inputs != 0).astype(int) @ (weights != 0).astype(int).T).sum())


@settings(max_examples=300, deadline=None)
@given(pruned_networks())
def test_operations_are_those_of_eq_10_and_of_neurobench(case):
    weights, spikes, synapses, alive = case
    spec = pruned(weights, synapses, alive)
    ours = synaptic_operations(spikes.sum(axis=0), spec.pre)
    assert ours == one_by_one(weights, spikes, synapses, alive)
    # A pruned layer keeps its shape and has zeros.
    layer = np.zeros_like(weights)
    layer[spec.post, spec.pre] = spec.weights
    assert ours == effective_accumulates(layer, spikes.astype(int))
    # Without silent neurons the network has other numbers and the same operations.
    if alive.any():
        assert ours == synaptic_operations(spikes.sum(axis=0)[alive], spec.compacted().pre)


@settings(max_examples=100, deadline=None)
@given(pruned_networks(), st.integers(0, 2**32))
def test_pruning_splits_the_operations(case, seed):
    weights, spikes, synapses, alive = case
    everything = np.ones_like(synapses), np.ones_like(alive)
    counts = spikes.sum(axis=0)
    whole = synaptic_operations(counts, pruned(weights, *everything).pre)
    kept = synaptic_operations(counts, pruned(weights, synapses, everything[1]).pre)
    lost = synaptic_operations(counts, pruned(weights, ~synapses, everything[1]).pre)
    assert whole == kept + lost
    # On the same spikes a further neuron never adds operations.
    assert synaptic_operations(counts, pruned(weights, synapses, alive).pre) <= kept
    # Numbers of synapses do not matter, only how many each neuron has.
    pre = spec_of(weights).pre
    assert synaptic_operations(counts, np.random.default_rng(seed).permutation(pre.copy())) == whole


def test_rates_give_operations_a_second():
    # Neuron 0 has two synapses, neuron 2 one; neuron 1 none.
    assert synaptic_operations([1.5, 40.0, 0.25], [0, 2, 0]) == 3.25


def test_large_counts_do_not_overflow():
    # 2e9 spikes over 3 synapses do not fit into 32 bits.
    assert synaptic_operations(np.array([2_000_000_000], dtype=np.int64), np.zeros(3, dtype=np.int32)) == 6_000_000_000


@pytest.mark.parametrize("timing", ["grid", "interpolated"])
def test_operations_are_what_the_synapses_of_a_running_network_do(timing):
    full = HRSNN(60, 0.2, seed=2, check_rate=False).spec
    rng = np.random.default_rng(0)
    spec = silence(full.of_synapses(rng.random(full.n_synapses) < 0.4), rng.random(60) < 0.2).with_timing(timing)
    live = RecurrentNetwork(spec)
    # A second set of synapses like the network's own, each of which counts what it carries.
    carried = Synapses(live.neurons, live.neurons, "carried : integer", on_pre="carried += 1", dt=live.dt * ms * 1e3)
    carried.connect(i=spec.pre, j=spec.post)
    counter = spike_counter(live.neurons)
    live.network.add(carried, counter)
    spikes = observe(live, 300 * ms, drive=noise_drive(60, duration=300 * ms, rng=rng))
    assert spikes.indices.size > 100
    expected = int(np.sum(carried.carried[:]))
    assert synaptic_operations(spikes.counts, spec.pre) == expected
    assert synaptic_operations(np.array(counter.count[:]), spec.pre) == expected
