"""Removing synapses by a condition. The oracle is the same condition computed by numpy."""

from typing import Any

import numpy as np
import pytest
from brian2 import NeuronGroup, Synapses, mV, second, seed, volt
from test_structure import assert_same_state

from lnpbrian.checks import InvalidInput
from lnpbrian.network.structure import remove_synapses

MODEL = """
w : volt
flag : boolean
c : 1 (shared)
scale : 1 (shared, constant)
twice = 2*w*scale : volt
halved = w / divisor : volt
"""


def connected(**options: Any) -> tuple[Synapses, NeuronGroup]:
    """Return all 12 synapses from neurons 2, 3, 4 to neurons 0 ... 3, and the group: subgroups do not keep it alive."""
    group = NeuronGroup(5, "v : volt", threshold="v > 1*volt", reset="v = 0*volt", name="g", namespace={"volt": volt})
    group.v = [1, 2, 3, 4, 5] * mV
    synapses = Synapses(
        group[2:],
        group[:4],
        MODEL,
        on_pre="v_post += w",
        on_post="w += 0*volt",
        multisynaptic_index="k",
        namespace={"divisor": 2.0, "volt": volt},
        name="s",
        **options,
    )
    synapses.connect(i=np.repeat(np.arange(3), 4), j=np.tile(np.arange(4), 3))
    synapses.w = np.linspace(-3, 2.5, 12) * mV
    synapses.flag = np.arange(12) % 3 == 0
    synapses.c, synapses.scale = 3, 0.5
    if "delay" not in options:
        synapses.pre.delay = np.linspace(0, 11e-3, 12) * second
    return synapses, group


W = np.linspace(-3, 2.5, 12) * 1e-3
PRE, POST = np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3)
V = np.arange(1, 6) * 1e-3


@pytest.mark.parametrize(
    ("condition", "gone"),
    [
        ("abs(w) < 1*mV", np.abs(W) < 1e-3),
        ("i == j", PRE == POST),
        ("i == j and not flag", (PRE == POST) & (np.arange(12) % 3 != 0)),
        ("v_pre > v_post + 1.5*mV", V[PRE + 2] > V[POST] + 1.5e-3),
        ("delay > 3.5*ms", np.linspace(0, 11, 12) > 3.5),
        ("delay > 3.5*ms or flag", (np.linspace(0, 11, 12) > 3.5) | (np.arange(12) % 3 == 0)),
        ("c > 2", np.ones(12, bool)),
        ("c > 4", np.zeros(12, bool)),
        ("True", np.ones(12, bool)),
        ("False", np.zeros(12, bool)),
        ("twice > 1*mV", W > 1e-3),
        ("halved > 1*mV", W > 2e-3),
        ("flag", np.arange(12) % 3 == 0),
        ("k > 0", np.zeros(12, bool)),
        ("N_incoming == 3", np.ones(12, bool)),
        ("exp(w/mV) < 1", W < 0),
        ("w > limit and j > first", (W > 1.2e-3) & (POST > 1)),
        ("  w > 0*mV\n  or i == 0 ", (W > 0) | (PRE == 0)),
    ],
)
def test_condition_is_that_of_numpy(condition: str, gone: np.ndarray):
    synapses, _group = connected()
    namespace = {"limit": 1.2 * mV, "first": 1} if "limit" in condition else None
    assert remove_synapses(synapses, where=condition, namespace=namespace) == np.count_nonzero(gone)
    np.testing.assert_array_equal(synapses.w_[:], W[~gone])
    np.testing.assert_array_equal(synapses.i[:], PRE[~gone])
    np.testing.assert_array_equal(synapses.j[:], POST[~gone])


def test_one_delay_for_all():
    synapses, _group = connected(delay=2e-3 * second)
    assert remove_synapses(synapses, "delay > 3*ms") == 0
    assert remove_synapses(synapses, where="delay < 3*ms and i == 1") == 4


def test_random_conditions_draw_for_each_synapse():
    group = NeuronGroup(30, "v : 1", threshold="v > 1", reset="v = 0")
    synapses = Synapses(group, group, on_pre="v_post += 1")
    synapses.connect(namespace={})
    seed(1)
    # 900 draws of probability 0.3: 270 +- 5 * sqrt(900 * 0.3 * 0.7) = 5 * 13.7
    assert abs(remove_synapses(synapses, where="rand() < 0.3") - 270) < 69


def test_mask_of_those_that_go():
    synapses, _group = connected()
    assert remove_synapses(synapses, W > 0) == np.count_nonzero(W > 0)
    np.testing.assert_array_equal(synapses.w_[:], W[W <= 0])


def test_no_synapses_no_matter():
    group = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    assert remove_synapses(Synapses(group, group, "w : 1", on_pre="v_post += w"), where="w > 0") == 0


limit = 0 * mV


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"where": "w > limit"}, r'evaluated: The identifier "limit" could not be resolved; give other names by'),
        ({"where": "w > here"}, 'The identifier "here" could not be resolved'),
        ({"where": "w > 1"}, "different units.*has unit"),
        ({"where": "delay > 1"}, "different units"),
        ({"where": "w"}, "it is a number, not true or false"),
        ({"where": "w >"}, "invalid syntax"),
        ({"where": ""}, "invalid syntax"),
        ({"where": "w = 3*mV"}, "invalid syntax"),
        ({"where": "w > 0*mV\nw = 3*mV"}, "invalid syntax"),
        ({"where": "w > a", "namespace": {"a": np.arange(3)}}, "not a scalar value"),
        ({"where": "w > 0*mV", "namespace": 3}, "namespace must be a dictionary of names and values, got int"),
        ({"where": W > 0, "namespace": {}}, "a namespace belongs to a condition"),
        ({"where": [True]}, r"where must be a boolean mask with one entry per synapse \(12\), got 1 entries"),
        ({"where": "w > 0*mV", "keep": W > 0}, "give either where"),
        ({}, "give either where"),
    ],
)
def test_bad_conditions_change_nothing(choice: dict[str, Any], message: str):
    here = 0 * mV  # a local name of the caller, as `limit` is a global one
    synapses, _group = connected()
    before = synapses._full_state()
    with pytest.raises(InvalidInput, match=message) as caught:
        remove_synapses(synapses, **choice)
    assert "\n" not in str(caught.value)
    assert_same_state(before, synapses._full_state())
    assert here == limit
