"""The order of objects in a network is that of their names, in every process; what needs another is refused without."""

import os
import subprocess
import sys

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, ms
from numpy.testing import assert_array_equal

from lnpbrian import InvalidInput, LiveNetwork
from lnpbrian.network.brian2_internals import by_name

# Objects at other addresses, names without order, and a set as the synapses to prune in the second half.
SCRIPT = """
import sys
import numpy as np
from brian2 import *
from random import Random

from lnpbrian import LiveNetwork, PruneOptions, prune

prefs.codegen.target = "numpy"
chance, held = Random(sys.argv[1]), []

def elsewhere(obj):
    held.append([bytearray(chance.randrange(2000)) for _ in range(chance.randrange(300))])
    return obj

names = {"tau": 10 * ms}
groups = []
for k in range(2):
    groups.append(elsewhere(NeuronGroup(
        20, "dv/dt = (1.3 - v)/tau : 1", threshold="v > 1", reset="v = 0", method="exact", namespace=names
    )))
    groups[-1].v = np.random.default_rng(k).random(20)
rng, synapses = np.random.default_rng(9), []
for source in groups:
    for target in groups:
        for _ in range(3):
            synapses.append(elsewhere(Synapses(source, target, "w : 1", on_pre="v_post += w")))
            synapses[-1].connect(i=np.repeat(np.arange(20), 2), j=rng.integers(20, size=40))
            synapses[-1].w = rng.normal(0, 0.05, 40)
network = Network(groups, synapses)
options = PruneOptions(0.5, 0.1, iterations=1, realisations=1, observation=20*ms, exponent_duration=20*ms,
                       rates=(0, 1e4), exponent_growth=None)
for given in (None, set(synapses[::2])):
    result = prune(LiveNetwork(network, given, namespace={}), options=options, seed=3)
    print([s.name for s in result.live.connections], [g.name for g in result.live.groups])
    print(result, result.rates_after.tolist(), result.exponents_after.per_neuron.tolist())
    for s in synapses:
        print(s.name, s.i[:].tolist(), s.j[:].tolist(), s.w[:].tolist())
    options = PruneOptions(0.2, 0.1, iterations=1, realisations=1, observation=20*ms, exponent_duration=20*ms,
                           rates=(0, 1e4), exponent_growth=None)
"""


def test_two_processes_give_one_result():
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, hash_seed],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "2")
    ]
    first, second = (process.communicate()[0] for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert first.count("PruneResult") == 2
    assert first == second


def neurons(n: int, name: str) -> NeuronGroup:
    return NeuronGroup(n, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name=name)


def connected(source: NeuronGroup, target: NeuronGroup, name: str) -> Synapses:
    synapses = Synapses(source, target, "w : 1", on_pre="v_post += w", name=name)
    synapses.connect(i=[0, 1], j=[1, 0])
    synapses.w = [0.5, -0.5]
    return synapses


NAMES = ["a", "b_1", "b_2", "b_10", "b_10_3", "b_10_20", "c"]


def many() -> tuple[Network, dict[str, Synapses]]:
    """A network whose synapses are made in no order, each from a group of its own."""
    order = np.random.default_rng(0).permutation(len(NAMES))
    found = {NAMES[k]: connected(*[neurons(2, f"cells_{NAMES[k]}")] * 2, NAMES[k]) for k in order}
    return Network(*found.values(), *(s.source for s in found.values())), found


def test_numbers_in_names_count_as_numbers():
    network, found = many()
    live = LiveNetwork(network, namespace={})
    assert [s.name for s in live.connections] == NAMES
    assert [g.name for g in live.groups] == [f"cells_{name}" for name in NAMES]
    assert by_name(found.values()) == list(live.connections)
    # A set and a dictionary's values have no order to be kept, a list and a tuple have.
    for given in (set(found.values()), frozenset(found.values()), found.values(), iter(found.values())):
        assert [s.name for s in LiveNetwork(network, given, namespace={}).connections] == NAMES
    backwards = [found[name] for name in NAMES[::-1]]
    for given in (backwards, tuple(backwards)):
        assert LiveNetwork(network, given, namespace={}).connections == tuple(backwards)


@pytest.mark.parametrize("unordered", [lambda found: None, lambda found: set(found.values())], ids=["left out", "set"])
def test_one_value_each_needs_an_order(unordered):
    network, found = many()
    for weight in (["w"] * 7, ("w",) * 7, [0.1, -0.1, 0.1, 0.1, -0.1, 0.1, 0.1], ["w"]):
        with pytest.raises(InvalidInput, match=r"weight is a list, .*=\[a, b_1, b_2, b_10, .*\]") as caught:
            LiveNetwork(network, unordered(found), weight=weight, namespace={})
        assert "\n" not in str(caught.value)
    with pytest.raises(InvalidInput, match=r"time_constant is a list, .* say time_constant=\{group name: times\}"):
        LiveNetwork(network, unordered(found), time_constant=np.arange(1, 15) * ms, namespace={})
    assert_array_equal(LiveNetwork(network, unordered(found), weight="w", namespace={}).weights(), [0.5, -0.5] * 7)


def test_with_an_order_every_object_gets_its_own():
    network, found = many()
    backwards = [found[name] for name in NAMES[::-1]]
    weights = [0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7]
    live = LiveNetwork(network, backwards, weight=weights, time_constant=np.arange(1, 15) * ms, namespace={})
    assert_array_equal(live.weights(), np.repeat(weights, 2))
    np.testing.assert_allclose(live.time_constants, 1e-3 * np.arange(1, 15))
    # Of one group there is but one order.
    cells = neurons(2, "cells")
    single = Network(cells, connected(cells, cells, "one"), connected(cells, cells, "two"))
    live = LiveNetwork(single, time_constant=[1, 2] * ms, namespace={})
    np.testing.assert_allclose(live.time_constants, [1e-3, 2e-3])
