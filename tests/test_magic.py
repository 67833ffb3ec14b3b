"""Scripts that call ``run()``: one line prunes what it would run, and the script goes on as before."""

import gc

import numpy as np
import pytest
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    Synapses,
    collect,
    magic_network,
    ms,
    run,
    seed,
    start_scope,
)

from lnpbrian import InvalidInput, LiveNetwork, PruneOptions, prune, remove_synapses

QUICK = PruneOptions(0.5, 0.1, iterations=1, realisations=1, observation=60 * ms, exponent_duration=20 * ms)


@pytest.fixture(autouse=True)
def scope():
    start_scope()
    yield
    start_scope()
    gc.collect()


def lif(n=40, name="cells"):
    seed(1)
    group = NeuronGroup(n, "dv/dt = (1.2 - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name=name)
    group.v = np.linspace(0, 0.9, n)
    return group


def wired(group, weight=0.01):
    synapses = Synapses(group, group, "w : 1", on_pre="v += w", name=f"from_{group.name}")
    synapses.connect(i=np.repeat(np.arange(len(group)), 6), j=np.random.default_rng(0).integers(len(group), size=240))
    synapses.w = weight
    return synapses


@pytest.mark.parametrize("how", ["prune()", "magic_network", "collect"])
def test_before_the_first_run(how):
    cells = lif()
    synapses = wired(cells)
    if how == "prune()":
        result = prune(options=QUICK)
    elif how == "magic_network":
        result = prune(magic_network, options=QUICK)
    else:
        result = prune(Network(collect()), options=QUICK)
    assert result.history[-1].neurons == 36
    n = len(synapses)
    assert n < 150
    # New objects may still be made.
    spikes = SpikeMonitor(cells)
    more = lif(4, "more")
    run(30 * ms)
    assert magic_network.t == 30 * ms
    assert spikes.num_spikes > 0
    assert len(synapses) == n
    assert len(more) == 4


def test_after_a_run():
    cells = lif()
    synapses = wired(cells)
    spikes = SpikeMonitor(cells)
    run(25 * ms)
    fired = spikes.num_spikes
    result = prune(options=QUICK)
    assert spikes.num_spikes == fired
    run(25 * ms)
    assert magic_network.t == 50 * ms
    assert spikes.num_spikes > fired
    assert result.live.alive_in(cells)[np.array(spikes.i)[fired:]].all()
    again = prune(options=QUICK)
    assert again.history[0].synapses == len(synapses) + again.history[0].synapses - again.history[-1].synapses
    run(5 * ms)
    assert magic_network.t == 55 * ms


def test_equal_to_a_network_of_ones_own():
    spikes = []
    for own in (False, True):
        start_scope()
        cells = lif()
        synapses = wired(cells)
        monitor = SpikeMonitor(cells)
        if own:
            network = Network(cells, synapses, monitor)
            network.run(20 * ms)
            prune(network, ("I", "II"), options=QUICK)
            network.run(40 * ms)
        else:
            run(20 * ms)
            prune(steps=("I", "II"), options=QUICK)
            run(40 * ms)
        spikes.append((monitor.t_[:].tolist(), monitor.i[:].tolist(), synapses.i[:].tolist()))
        del cells, synapses, monitor
    assert spikes[0] == spikes[1]


def test_inside_a_function_and_by_hand():
    def simulation():
        span = 10 * ms  # noqa: F841 -- the equations ask for it
        group = NeuronGroup(20, "dv/dt = (1.2 - v)/span : 1", threshold="v > 1", reset="v = 0", method="exact")
        synapses = Synapses(group, group, on_pre="v += 0.01")
        synapses.connect("i != j")
        run(5 * ms)
        live = LiveNetwork()
        assert live.connections == (synapses,)
        live.run(5 * ms)
        assert remove_synapses(synapses, "i < 10") == 190
        result = prune(LiveNetwork(), options=QUICK)
        run(5 * ms)
        return result, magic_network.t

    result, t = simulation()
    assert result.history[0].synapses == 190
    assert t == 15 * ms


def test_a_failure_leaves_the_script_as_it_was():
    cells = lif()
    synapses = wired(cells)
    with pytest.raises(InvalidInput):
        prune(("I",), options=QUICK)
    with pytest.raises(InvalidInput, match="neurons"):
        prune(options=PruneOptions(0.5, 0.99, iterations=1))
    run(10 * ms)
    assert len(synapses) == 240
    assert magic_network.t == 10 * ms


def test_what_run_would_refuse_is_refused():
    cells = lif()
    synapses = wired(cells)
    run(5 * ms)
    new = lif(5, "new")
    with pytest.raises(InvalidInput, match="some objects have been run before and others not"):
        prune(options=QUICK)
    del new
    gc.collect()
    prune(options=QUICK)
    assert len(synapses) < 150


def test_nothing_there():
    with pytest.raises(InvalidInput, match="no Synapses"):
        prune(options=QUICK)
