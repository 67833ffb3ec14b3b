"""Structural edits of live Brian2 networks.

The oracle is bitwise equality, no tolerance: a network edited between two runs must do exactly what the same network
does with these weights at zero (removal), or with Brian2's own `connect` (growth).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from brian2 import (
    Network,
    NetworkOperation,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    get_device,
    linked_var,
    ms,
    mV,
    prefs,
    second,
    set_device,
    volt,
)
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lnpbrian.checks import InvalidInput
from lnpbrian.models import HRSNN
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.recurrent import RecurrentNetwork, adopt, copy_block_events
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.simulate import observe
from lnpbrian.network.spec import STDP, NetworkSpec
from lnpbrian.network.structure import (
    add_synapses,
    connectivity,
    duplicate_synapses,
    remove_synapses,
    silence_neurons,
)


@pytest.fixture(autouse=True)
def _numpy_target() -> Iterator[None]:
    before = prefs.codegen.target
    prefs.codegen.target = "numpy"
    yield
    prefs.codegen.target = before


# Each example simulates two networks, so no time is spent on shrinking a failing one: it has few parameters.
PROPERTY = {"deadline": None, "derandomize": True, "phases": [Phase.generate]}

NEURON = """
dv/dt = (I_bias + I - v) / (10*ms) : 1 (unless refractory)
dI/dt = -I / (5*ms) : 1
I_bias : 1
alive : boolean
"""
# Every effect of a synapse is proportional to w, and a weight of zero stays zero.
PLASTIC = """
w : 1
dTpre/dt = -Tpre / (8*ms) : 1 (event-driven)
dTpost/dt = -Tpost / (12*ms) : 1 (event-driven)
"""
ON_PRE = "I_post += w; Tpre += 1; w *= 1 - 0.05*Tpost"
ON_POST = "Tpost += 1; w *= 1 + 0.05*Tpre"


def neuron_group(n: int, rng: np.random.Generator, name: str = "g") -> NeuronGroup:
    group = NeuronGroup(
        n,
        NEURON,
        threshold="v > 1 and alive",
        reset="v = 0",
        refractory=1 * ms,
        method="exact",
        namespace={},
        name=name,
    )
    group.I_bias = rng.uniform(0.9, 2.0, n)  # most fire 50..100 times a second
    group.v = rng.uniform(0, 1, n)
    group.alive = True
    return group


def network(
    seed: int, *, n: int = 16, p: float = 0.3, delays: str = "each", extra: bool = False, **options: Any
) -> SimpleNamespace:
    """Build a random plastic recurrent network; the same seed gives the same one.

    `extra` is whether the last fifth of the synapses is left out.
    """
    rng = np.random.default_rng(seed)
    group = neuron_group(n, rng)
    given = {"delay": {"pre": 1.5 * ms, "post": 0.7 * ms}} if delays == "one" else {}
    synapses = Synapses(
        group,
        group,
        PLASTIC,
        on_pre=ON_PRE,
        on_post=ON_POST,
        method="exact",
        namespace={},
        name="s",
        **given,
        **options,
    )
    pre, post = np.nonzero(rng.random((n, n)) < p)
    order = rng.permutation(pre.size)
    pre, post = pre[order], post[order]
    values = {"w": rng.normal(0, 0.4, pre.size)}
    if delays == "each":
        values["pre.delay"] = rng.uniform(0, 4, pre.size) * ms
        values["post.delay"] = rng.uniform(0, 3, pre.size) * ms
    n_synapses = pre.size - pre.size // 5 if extra else pre.size
    synapses.connect(i=pre[:n_synapses], j=post[:n_synapses])
    set_values(synapses, slice(n_synapses), {name: value[:n_synapses] for name, value in values.items()})
    spikes = SpikeMonitor(group, name="m")
    last = slice(n_synapses, None)
    return SimpleNamespace(
        net=Network(group, synapses, spikes),
        group=group,
        synapses=synapses,
        spikes=spikes,
        left_out=(pre[last], post[last], {name: value[last] for name, value in values.items()}),
    )


def set_values(synapses: Synapses, which: slice, values: dict[str, Any]) -> None:
    """Set variables by Brian2's public interface."""
    for name, value in values.items():
        pathway, _, variable = name.rpartition(".")
        owner = getattr(synapses, pathway) if pathway else synapses
        getattr(owner, variable)[which] = value


def zero(synapses: Synapses, which: np.ndarray) -> None:
    # Not w[mask]: Brian2 takes a mask of synapses for the numbers 0 and 1.
    synapses.w[np.flatnonzero(which)] = 0


def run(system: SimpleNamespace, duration_ms: float) -> None:
    system.net.run(duration_ms * ms, namespace={})


def in_flight(synapses: Synapses) -> int:
    return sum(len(slot) for p in synapses._pathways for slot in p.queue._full_state()[1])


def full_state(system: SimpleNamespace) -> Any:
    return system.net._full_state()


def assert_same_state(a: Any, b: Any) -> None:
    """Compare nested states of two networks bit for bit."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same_state(a[key], b[key])
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same_state(x, y)
    else:
        np.testing.assert_array_equal(a, b)


def assert_same_activity(a: SimpleNamespace, b: SimpleNamespace) -> None:
    np.testing.assert_array_equal(a.spikes.i[:], b.spikes.i[:])
    np.testing.assert_array_equal(a.spikes.t_[:], b.spikes.t_[:])
    for name in ("v", "I", "lastspike"):
        np.testing.assert_array_equal(getattr(a.group, name + "_")[:], getattr(b.group, name + "_")[:])


def assert_same_synapses(
    a: Synapses, b: Synapses, keep_b: np.ndarray | slice = slice(None), *, traces: bool = True
) -> None:
    """Compare the synapses of `a` with those of `b` that `keep_b` selects."""
    for name in ("i", "j", "w", *(("Tpre", "Tpost", "lastupdate") if traces else ())):
        np.testing.assert_array_equal(np.array(getattr(a, name)), np.array(getattr(b, name))[keep_b])
    for pathway in ("pre", "post"):
        x, y = np.array(getattr(a, pathway).delay), np.array(getattr(b, pathway).delay)
        np.testing.assert_array_equal(x, y if y.ndim == 0 else y[keep_b])


def counts(synapses: Synapses) -> tuple[int, list[int], list[int]]:
    return len(synapses), synapses.N_incoming_post.tolist(), synapses.N_outgoing_pre.tolist()


# ---------------------------------------------------------------------------------------------------------------------
# connectivity


def small(**options: Any) -> Synapses:
    """0 -> 1 (w = 2), 0 -> 2 (w = 3), 2 -> 1 (w = -4): no symmetry to hide a transposition."""
    group = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0", name="g3")
    synapses = Synapses(group, group, options.pop("model", "w : 1"), on_pre="v_post += 1", name="s3", **options)
    synapses.connect(i=[0, 0, 2], j=[1, 2, 1])
    return synapses


def test_connectivity_is_post_by_pre():
    synapses = small()
    synapses.w = [2, 3, -4]
    matrix = connectivity(synapses)
    assert isinstance(matrix, scipy.sparse.csr_array)
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix.toarray(), [[0, 0, 0], [2, 0, -4], [3, 0, 0]])
    drive = matrix @ [1, 0, 0]  # one spike of neuron 0 reaches 1 and 2
    np.testing.assert_array_equal(drive, [0, 2, 3])


def test_connectivity_keeps_zeros_sums_multiples_and_sorts():
    synapses = small()
    synapses.connect(i=[2, 1, 0], j=[1, 1, 1])
    synapses.w = [2, 0, -4, 4, 5, 6]
    matrix = connectivity(synapses)
    assert matrix.has_sorted_indices
    np.testing.assert_array_equal(matrix.indices, [0, 1, 2, 0])
    np.testing.assert_array_equal(matrix.data, [8, 5, 0, 0])  # 2 + 6, 5, -4 + 4; the 0 of synapse 0 -> 2


def test_connectivity_is_in_si_units_and_a_copy():
    synapses = small(model="w : volt")
    synapses.w = [2, 3, -4] * mV
    matrix = connectivity(synapses)
    assert matrix[1, 2] == -4e-3
    matrix.data[:] = 0
    assert synapses.w_[2] == -4e-3


@pytest.mark.parametrize(
    ("model", "values", "expected"),
    [
        ("w : 1 (shared)", {"w": 5.0}, [5, 5, 5]),
        ("a : 1\nw = 2*a + v_post : 1", {"a": [1, 2, 3]}, [2, 4, 6]),
        ("w = 3 : 1 (shared)", {}, [3, 3, 3]),
        ("w : boolean", {"w": [True, False, True]}, [1, 0, 1]),
        ("w : integer (constant)", {"w": [7, 8, 9]}, [7, 8, 9]),
    ],
)
def test_connectivity_of_any_kind_of_weight(model: str, values: dict[str, Any], expected: list[float]):
    synapses = small(model=model)
    for name, value in values.items():
        setattr(synapses, name, value)
    a, b, c = expected
    np.testing.assert_array_equal(connectivity(synapses).toarray(), [[0, 0, 0], [a, 0, c], [b, 0, 0]])


def test_connectivity_between_subgroups_is_relative():
    group = NeuronGroup(10, "v : 1", threshold="v > 1", reset="v = 0")
    synapses = Synapses(group[2:4], group[5:8], "w : 1", on_pre="v_post += w")
    synapses.connect(i=[0, 1], j=[2, 0])
    synapses.w = [1, 2]
    np.testing.assert_array_equal(connectivity(synapses).toarray(), [[0, 2], [0, 0], [1, 0]])


def test_connectivity_without_synapses():
    group = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    matrix = connectivity(Synapses(group, group, "w : 1", on_pre="v_post += w"))
    assert matrix.shape == (2, 2)
    assert matrix.nnz == 0


def test_connectivity_names_the_variables():
    with pytest.raises(InvalidInput, match=r"synapses 's3' have no variable 'w'; they have: strength, x$"):
        connectivity(small(model="strength : 1\nx : volt (shared)"))
    with pytest.raises(InvalidInput, match=r"have no variable 'v'; they have: w$"):  # of the neurons
        connectivity(small(), "v")
    with pytest.raises(InvalidInput, match="they have: none"):
        connectivity(small(model=""))
    with pytest.raises(InvalidInput, match="refers to names that are not known"):
        connectivity(small(model="w = not_there * 2 : 1"))
    with pytest.raises(InvalidInput, match=r"must be a Synapses, got NeuronGroup; name a brian2"):
        connectivity(NeuronGroup(1, ""))


# ---------------------------------------------------------------------------------------------------------------------
# remove_synapses: the network is the one with zero weights


def removed_and_zeroed(
    seed: int, keep_probability: float, edit_after_ms: float, delays: str
) -> tuple[SimpleNamespace, SimpleNamespace, np.ndarray]:
    """Return two networks after the same edit at the same time: synapses removed, weights set to zero."""
    removed, zeroed = network(seed, delays=delays), network(seed, delays=delays)
    keep = np.random.default_rng([seed, 1]).random(len(removed.synapses)) < keep_probability
    run(removed, edit_after_ms)
    run(zeroed, edit_after_ms)
    assert remove_synapses(removed.synapses, keep=keep) == np.count_nonzero(~keep)
    zero(zeroed.synapses, ~keep)
    return removed, zeroed, keep


@settings(max_examples=15, **PROPERTY)
@given(
    seed=st.integers(0, 2**31),
    keep_probability=st.sampled_from([0.0, 0.05, 0.5, 0.95]),
    edit_after_ms=st.integers(0, 150).map(lambda k: k / 10),  # whole time steps
    delays=st.sampled_from(["each", "each", "one"]),
)
def test_removed_is_zeroed(seed: int, keep_probability: float, edit_after_ms: float, delays: str):
    removed, zeroed, keep = removed_and_zeroed(seed, keep_probability, edit_after_ms, delays)
    run(removed, 12)
    run(zeroed, 12)
    assert_same_activity(removed, zeroed)
    assert_same_synapses(removed.synapses, zeroed.synapses, keep)


def test_the_property_has_spikes_in_flight_that_matter():
    """Guard the test above: at the edit spikes are in flight, and losing them would change the outcome."""
    system, forgetful = network(3), network(3)
    run(system, 10)
    run(forgetful, 10)
    assert in_flight(system.synapses) > 10
    for pathway in forgetful.synapses._pathways:
        pathway.queue._restore_from_full_state(None)
    run(system, 12)
    run(forgetful, 12)
    assert system.spikes.num_spikes > 20
    assert not np.array_equal(system.group.v_[:], forgetful.group.v_[:])


@pytest.mark.cython
def test_removed_is_zeroed_with_compiled_code():
    prefs.codegen.target = "cython"
    removed, zeroed, keep = removed_and_zeroed(5, 0.4, 10, "each")
    assert in_flight(removed.synapses) > 5
    run(removed, 15)
    run(zeroed, 15)
    assert_same_activity(removed, zeroed)
    assert_same_synapses(removed.synapses, zeroed.synapses, keep)
    # Growing moves the arrays in memory: the compiled code must follow them there too.
    grow = np.arange(16)
    values = {"w": 0.3, "pre.delay": 1 * ms}
    add_synapses(removed.synapses, grow, (grow + 1) % 16, **values)
    add_synapses(zeroed.synapses, grow, (grow + 1) % 16, **values)
    run(removed, 15)
    run(zeroed, 15)
    assert_same_activity(removed, zeroed)
    assert_same_synapses(removed.synapses, zeroed.synapses, np.concatenate([keep, np.ones(16, bool)]))


def test_several_edits_of_one_network():
    removed, zeroed = network(8), network(8)
    rng = np.random.default_rng(9)
    alive = np.arange(len(removed.synapses))
    for _ in range(4):
        run(removed, 4)
        run(zeroed, 4)
        keep = rng.random(alive.size) < 0.6
        remove_synapses(removed.synapses, keep=keep)
        zeroed.synapses.w[alive[~keep]] = 0
        alive = alive[keep]
    run(removed, 10)
    run(zeroed, 10)
    assert_same_activity(removed, zeroed)
    assert_same_synapses(removed.synapses, zeroed.synapses, alive)


def test_brian2_counts_as_if_built_without_them():
    group = NeuronGroup(4, "v : 1", threshold="v > 1", reset="v = 0")

    def build(pre: list[int], post: list[int]) -> Synapses:
        synapses = Synapses(group, group, "w : 1", on_pre="v_post += w", multisynaptic_index="k")
        synapses.connect(i=pre, j=post)
        return synapses

    edited = build([0, 0, 0, 3, 1], [1, 1, 1, 2, 1])
    remove_synapses(edited, keep=[False, True, True, True, False])
    fresh = build([0, 0, 3], [1, 1, 2])
    assert counts(edited) == counts(fresh) == (3, [0, 2, 1, 0], [2, 0, 0, 1])
    assert edited.k[:].tolist() == fresh.k[:].tolist() == [0, 1, 0]
    add_synapses(edited, [0], [1])
    fresh.connect(i=[0], j=[1])
    assert counts(edited) == counts(fresh)
    assert edited.k[:].tolist() == fresh.k[:].tolist() == [0, 1, 0, 2]


def test_equations_that_read_counts_see_the_new_ones():
    source = SpikeGeneratorGroup(2, [0, 1], [1, 1] * ms)
    target = NeuronGroup(1, "v : 1", threshold="v > 10", reset="v = 0")
    synapses = Synapses(source, target, "w : 1", on_pre="v_post += w / N_incoming")
    synapses.connect(i=[0, 1], j=[0, 0])
    synapses.w = [4, 6]
    remove_synapses(synapses, keep=[True, False])
    Network(source, target, synapses).run(2 * ms, namespace={})
    assert target.v[0] == 4 / 1


def test_remove_all_and_none():
    system = network(2)
    run(system, 5)
    before = full_state(system)
    assert remove_synapses(system.synapses, keep=np.ones(len(system.synapses), bool)) == 0
    assert_same_state(before, full_state(system))
    n = len(system.synapses)
    assert remove_synapses(system.synapses, keep=np.zeros(n, bool)) == n
    assert connectivity(system.synapses).nnz == 0
    assert in_flight(system.synapses) == 0
    run(system, 5)
    assert remove_synapses(system.synapses, keep=np.zeros(0, bool)) == 0


def test_string_connect_shared_variables_and_clock_driven_equations():
    def build() -> SimpleNamespace:
        model = """dg/dt = -g/tau : 1 (clock-driven)
                   tau : second (shared)
                   w : 1 (constant)
                   I_post = g : 1 (summed)"""
        group = NeuronGroup(
            12, "dv/dt = (1.5 + I - v)/(10*ms) : 1\nI : 1", threshold="v > 1", reset="v = 0", method="euler", name="g"
        )
        group.v = np.linspace(0, 0.9, 12)
        synapses = Synapses(group, group, model, on_pre="g += w", delay=1 * ms, method="exact", name="s")
        synapses.connect(condition="i != j", namespace={})
        synapses.tau = 4 * ms
        synapses.w = np.linspace(-0.5, 0.4, len(synapses))
        synapses.run_regularly("w *= 0.9", dt=2 * ms)
        spikes = SpikeMonitor(group)
        return SimpleNamespace(net=Network(group, synapses, spikes), group=group, synapses=synapses, spikes=spikes)

    removed, zeroed = build(), build()
    keep = np.arange(len(removed.synapses)) % 3 == 0
    run(removed, 15)
    run(zeroed, 15)
    remove_synapses(removed.synapses, keep=keep)
    zero(zeroed.synapses, ~keep)
    zeroed.synapses.g[np.flatnonzero(~keep)] = 0  # a conductance that is still decaying goes with its synapse
    run(removed, 15)
    run(zeroed, 15)
    assert removed.spikes.num_spikes > 20
    np.testing.assert_array_equal(removed.spikes.i[:], zeroed.spikes.i[:])
    np.testing.assert_array_equal(removed.group.v[:], zeroed.group.v[:])
    np.testing.assert_array_equal(removed.group.I[:], zeroed.group.I[:])
    np.testing.assert_array_equal(removed.synapses.g[:], zeroed.synapses.g[:][keep])
    assert removed.synapses.tau == 4 * ms


def test_pathways_by_name_and_subgroups():
    def build() -> SimpleNamespace:
        rng = np.random.default_rng(4)
        group = neuron_group(20, rng)
        left, right = group[2:12], group[5:20]
        on_pre = {"fast": "I_post += w", "slow": "I_post += 0.5*w"}
        synapses = Synapses(left, right, "w : 1", on_pre=on_pre, delay={"slow": 3 * ms}, namespace={}, name="s")
        synapses.connect(p=1.0, namespace={})
        synapses.w = rng.normal(0, 0.3, len(synapses))
        synapses.fast.delay = rng.uniform(0, 2, len(synapses)) * ms
        spikes = SpikeMonitor(group)
        net = Network(group, left, right, synapses, spikes)
        return SimpleNamespace(net=net, group=group, synapses=synapses, spikes=spikes)

    removed, zeroed = build(), build()
    keep = np.random.default_rng(6).random(len(removed.synapses)) < 0.3
    run(removed, 11)
    run(zeroed, 11)
    assert in_flight(removed.synapses) > 20
    remove_synapses(removed.synapses, keep=keep)
    zero(zeroed.synapses, ~keep)
    pre, post, values = [0, 9], [14, 0], {"w": 0.7, "fast.delay": [0.5, 1.5] * ms}
    add_synapses(removed.synapses, pre, post, **values)
    zeroed.synapses.connect(i=pre, j=post)
    set_values(zeroed.synapses, slice(-2, None), values)
    np.testing.assert_array_equal(removed.synapses.i[:], zeroed.synapses.i[:][np.append(keep, [True, True])])
    np.testing.assert_array_equal(removed.synapses.j[:], zeroed.synapses.j[:][np.append(keep, [True, True])])
    run(removed, 11)
    run(zeroed, 11)
    assert_same_activity(removed, zeroed)


# ---------------------------------------------------------------------------------------------------------------------
# store and restore


def test_restore_undoes_a_removal_exactly():
    system, reference = network(11), network(11)
    run(system, 10)
    run(reference, 10)
    system.net.store()
    remove_synapses(system.synapses, keep=np.arange(len(system.synapses)) % 2 == 0)
    run(system, 5)
    system.net.restore()
    assert counts(system.synapses) == counts(reference.synapses)
    run(system, 12)
    run(reference, 12)
    assert_same_activity(system, reference)
    assert_same_synapses(system.synapses, reference.synapses)


def test_restore_of_an_edited_network_repeats_it_exactly():
    system = network(12)
    run(system, 8)
    system.net.store("before")
    remove_synapses(system.synapses, keep=np.arange(len(system.synapses)) % 3 > 0)
    system.net.store("after")
    run(system, 10)
    first = full_state(system)
    system.net.restore("before")
    add_synapses(system.synapses, [1, 2], [3, 4], w=1.0)
    run(system, 1)
    system.net.restore("after")
    run(system, 10)
    assert_same_state(first, full_state(system))


# ---------------------------------------------------------------------------------------------------------------------
# add_synapses


@settings(max_examples=8, **PROPERTY)
@given(
    seed=st.integers(0, 2**31),
    edit_after_ms=st.integers(0, 150).map(lambda k: k / 10),
    delays=st.sampled_from(["each", "one"]),
)
def test_added_is_connected_by_brian2(seed: int, edit_after_ms: float, delays: str):
    added, connected = network(seed, delays=delays, extra=True), network(seed, delays=delays, extra=True)
    run(added, edit_after_ms)
    run(connected, edit_after_ms)
    pre, post, values = added.left_out
    n = len(connected.synapses)
    add_synapses(added.synapses, pre, post, **values)
    connected.synapses.connect(i=pre, j=post)
    set_values(connected.synapses, slice(n, None), values | {"lastupdate": connected.synapses.t})
    assert_same_state(full_state(added), full_state(connected))
    run(added, 12)
    run(connected, 12)
    assert_same_activity(added, connected)
    assert_same_synapses(added.synapses, connected.synapses)


def test_added_are_the_synapses_of_a_network_that_had_them_with_zero_weight():
    """Without delay no spike is on its way at the edit, so a weight that was zero leaves no trace of its past.

    The traces are cleared as well: those of a synapse that did not exist are zero.
    """
    added, complete = network(21, delays="none", extra=True), network(21, delays="none")
    n = len(added.synapses)
    pre, post, values = added.left_out
    complete.synapses.w[n:] = 0
    run(added, 10)
    run(complete, 10)
    add_synapses(added.synapses, pre, post, **values)
    set_values(complete.synapses, slice(n, None), values | {"Tpre": 0, "Tpost": 0, "lastupdate": complete.synapses.t})
    assert_same_state(full_state(added), full_state(complete))
    run(added, 15)
    run(complete, 15)
    assert_same_activity(added, complete)
    assert_same_synapses(added.synapses, complete.synapses)


def test_remove_and_add_back_is_the_identity():
    """The last synapses, whose numbers do not change; none has a spike in flight."""
    edited, untouched = network(22, delays="none"), network(22, delays="none")
    run(edited, 10)
    run(untouched, 10)
    before = full_state(edited)
    n, tail = len(edited.synapses), slice(-30, None)
    names = ("w", "Tpre", "Tpost", "lastupdate")
    saved = {name: np.array(getattr(edited.synapses, name + "_"))[tail] for name in names}
    saved["lastupdate"] = saved["lastupdate"] * second
    pre, post = edited.synapses.i[tail].copy(), edited.synapses.j[tail].copy()
    remove_synapses(edited.synapses, keep=np.arange(n) < n - 30)
    add_synapses(edited.synapses, pre, post, **saved)
    assert_same_state(before, full_state(edited))
    run(edited, 12)
    run(untouched, 12)
    assert_same_activity(edited, untouched)


def test_a_spike_in_flight_is_not_disturbed_and_none_reaches_a_new_synapse():
    source = SpikeGeneratorGroup(1, [0, 0], [1, 6] * ms)
    target = NeuronGroup(2, "v : 1", threshold="v > 10", reset="v = 0")
    synapses = Synapses(source, target, "w : 1", on_pre="v_post += w")
    add_synapses(synapses, [0], [0], w=1.0, delay=3 * ms)
    net = Network(source, target, synapses)
    net.run(2 * ms, namespace={})
    assert in_flight(synapses) == 1
    add_synapses(synapses, [0], [1], w=1.0, delay=2 * ms)  # the spike of 1 ms would be here at 3 ms
    net.run(3 * ms, namespace={})
    assert target.v[:].tolist() == [1, 0]
    net.run(5 * ms, namespace={})  # and the one of 6 ms at 9 and 8 ms
    assert target.v[:].tolist() == [2, 1]


def test_new_traces_start_now():
    system = network(1)
    run(system, 7)
    add_synapses(system.synapses, [0], [1], w=0.5, Tpre=2.0)
    assert system.synapses.lastupdate[-1] == system.synapses.t == 7 * ms
    assert system.synapses.Tpre[-1] == 2
    assert system.synapses.Tpost[-1] == 0
    add_synapses(system.synapses, [0], [1], lastupdate=3 * ms)
    assert system.synapses.lastupdate[-1] == 3 * ms


def test_add_to_synapses_never_connected_and_add_nothing():
    group = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    synapses = Synapses(group, group, "w : volt\nn : integer\non : boolean", on_pre="v_post += 1")
    add_synapses(synapses, [], [])
    Network(group, synapses).run(0.1 * ms, namespace={})  # Brian2 refuses this when `connect` was never called
    add_synapses(synapses, 0, 1, w=2 * mV, n=3, on=True)
    assert (synapses.w[0], synapses.n[0], synapses.on[0]) == (2 * mV, 3, True)


def test_new_entries_are_zero_where_removed_ones_were():
    synapses = small()
    synapses.w = [1, 2, 3]
    remove_synapses(synapses, keep=[True, False, False])
    add_synapses(synapses, [1, 1], [0, 0])
    assert synapses.w[:].tolist() == [1, 0, 0]


BAD_ADDITIONS = [
    (([3], [0]), {}, r"pre must hold indices from 0 to 2 \(g3 has 3 entries\), got 3 at position 0"),
    (([0, 0], [1, -1]), {}, r"post must hold indices from 0 to 2 .* got -1 at position 1"),
    (([0.5], [1]), {}, "pre must be a one-dimensional array of whole numbers"),
    (([True, False], [1, 1]), {}, "pre must be a one-dimensional array of whole numbers"),
    (([[0]], [[1]]), {}, r"pre must be .* got shape \(1, 1\)"),
    (("0", [1]), {}, "pre must be a one-dimensional array of whole numbers"),
    (([0, 1], [1]), {}, "pre and post must have the same length, got 2 and 1 entries"),
    (
        ([0], [1]),
        {"strength": 1},
        "'strength' is not a variable of synapses 's3' .* these are: a, delay, flag, n, pre.delay, w$",
    ),
    (([0], [1]), {"i": 0}, "'i' is not a variable"),
    (([0], [1]), {"N": 7}, "'N' is not a variable"),
    (([0], [1]), {"v": 7}, "'v' is not a variable"),
    (([0], [1]), {"v_post": 7}, "'v_post' is not a variable"),
    (([0], [1]), {"c": 7}, "'c' is not a variable"),
    (([0], [1]), {"twice": 7}, "'twice' is not a variable"),
    (([0], [1]), {"k": 7}, "'k' is not a variable"),
    (([0], [1]), {"w": 7}, "w must be given in units of V, got 7"),
    (([0], [1]), {"w": 7 * ms}, "w must be given in units of V, got 7. ms"),
    (([0], [1]), {"a": 7 * mV}, "a must be given without a unit, got 7. mV"),
    (([0], [1]), {"w": [1, 2] * mV}, r"w must be one value or 1 values, got shape \(2,\)"),
    (([0], [1]), {"a": "rand()"}, r"a must be a number or an array of numbers, got 'rand\(\)'"),
    (([0], [1]), {"a": None}, "a must be a number or an array of numbers, got None"),
    (([0], [1]), {"a": [[1], [2, 3]]}, "a must be a number or an array of numbers"),
    (([0], [1]), {"a": np.nan}, "a must not be NaN"),
    (([0], [1]), {"n": 1.5}, "n must be of type int32, got float64"),
    (([0], [1]), {"flag": 1}, "flag must be of type bool, got int64"),
    (([0], [1]), {"pre.delay": -1 * ms}, "pre.delay must be finite and not negative"),
    (([0], [1]), {"pre.delay": np.inf * ms}, "pre.delay must be finite and not negative"),
    (([0], [1]), {"post.delay": 1 * ms}, "pathway 'post' of synapses 's3' has one delay for all synapses"),
    # A good value before a bad one, so that an edit done half would show.
    (([0], [1]), {"a": 1, "w": 7}, "w must be given in units of V"),
]


@pytest.mark.parametrize(("indices", "values", "message"), BAD_ADDITIONS)
def test_add_refuses_and_changes_nothing(indices: tuple[Any, Any], values: dict[str, Any], message: str):
    model = "w : volt\na : 1\nn : integer\nflag : boolean\nc : 1 (shared)\ntwice = 2*a : 1"
    synapses = small(model=model, multisynaptic_index="k", on_post="a += 1", delay={"post": 1 * ms})
    before = synapses._full_state()
    with pytest.raises(InvalidInput, match=message) as caught:
        add_synapses(synapses, *indices, **values)
    assert "\n" not in str(caught.value)
    assert_same_state(before, synapses._full_state())


def test_shared_delay_is_not_a_value_per_synapse():
    synapses = small(delay=2 * ms)
    with pytest.raises(InvalidInput, match="pathway 'pre' of synapses 's3' has one delay for all synapses"):
        add_synapses(synapses, [0], [1], delay=1 * ms)
    add_synapses(synapses, [0], [1], w=1)
    assert synapses.delay[:] == 2 * ms


# ---------------------------------------------------------------------------------------------------------------------
# What else holds synapse numbers


def test_monitor_of_kept_synapses_goes_on_recording_them():
    def build() -> tuple[SimpleNamespace, StateMonitor]:
        system = network(31)
        monitor = StateMonitor(system.synapses, ["w", "Tpre"], record=[9, 5, 6], name="weights")
        system.net.add(monitor)
        return system, monitor

    (edited, monitor), (reference, expected) = build(), build()
    run(edited, 8)
    run(reference, 8)
    edited.net.store()
    keep = np.ones(len(edited.synapses), bool)
    keep[[0, 7, 20]] = False
    remove_synapses(edited.synapses, keep=keep)
    zero(reference.synapses, ~keep)
    assert monitor.record.tolist() == [7, 4, 5]
    run(edited, 8)
    run(reference, 8)
    np.testing.assert_array_equal(monitor.w, expected.w)
    np.testing.assert_array_equal(monitor[7].w, expected[9].w)
    edited.net.restore()  # the numbers of before
    assert monitor.record.tolist() == [9, 5, 6]
    run(edited, 1)
    assert monitor[9].w[-1] == edited.synapses.w[9]


@pytest.mark.parametrize("record", [[2, 0], True])
def test_monitor_of_a_removed_synapse_is_refused(record: Any):
    synapses = small()
    monitor = StateMonitor(synapses, "w", record=record, name="weights")
    before = synapses._full_state()
    with pytest.raises(InvalidInput, match=r"StateMonitor 'weights' records synapse 0 of 's3', which is to go; delete"):
        remove_synapses(synapses, keep=[False, True, True])
    assert_same_state(before, synapses._full_state())
    Network(synapses, synapses.source, monitor)  # keep Brian2 from warning that it was never used
    del monitor
    assert remove_synapses(synapses, keep=[False, True, True]) == 1


def test_monitor_of_everything_records_the_old_synapses_after_an_addition():
    synapses = small()
    synapses.w = [1, 2, 3]
    monitor = StateMonitor(synapses, "w", record=True, name="weights")
    net = Network(synapses, synapses.source, monitor)
    net.run(0.1 * ms, namespace={})
    add_synapses(synapses, [0], [0], w=4)
    net.run(0.1 * ms, namespace={})
    np.testing.assert_array_equal(monitor.w, [[1, 1], [2, 2], [3, 3]])


def test_synapses_onto_synapses():
    inner = small(model="w : 1\nx : 1")
    group = inner.source
    outer = Synapses(group, inner, "u : 1\nx_post = u : 1 (summed)", name="outer")
    outer.connect(i=[0, 1, 2], j=[2, 0, 2])  # j is the number of a synapse of `inner`
    outer.u = [1, 10, 100]
    # Either can be edited.
    remove_synapses(outer, keep=[True, True, False])
    net = Network(group, inner, outer)
    net.run(0.1 * ms, namespace={})
    np.testing.assert_array_equal(inner.x[:], [10, 0, 1])
    add_synapses(inner, [1], [2], w=1)
    add_synapses(outer, [2], [3], u=1000)
    net.run(0.1 * ms, namespace={})
    np.testing.assert_array_equal(inner.x[:], [10, 0, 1, 1000])
    assert remove_synapses(inner, keep=[False, True, True, True]) == 1
    assert edges(outer) == [(0, 1), (2, 2)]
    net.run(0.1 * ms, namespace={})
    np.testing.assert_array_equal(inner.x[:], [0, 1, 1000])


def test_linked_variables():
    synapses = small(model="w : 1 (linked)\nz : 1 (linked)")
    parameters = NeuronGroup(3, "a : 1")
    shared = NeuronGroup(1, "b : 1")
    synapses.z = linked_var(shared, "b")
    remove_synapses(synapses, keep=[True, True, True])
    assert remove_synapses(synapses, keep=[True, True, False]) == 1  # a value shared by all synapses is no obstacle
    add_synapses(synapses, [2], [1])
    synapses.w = linked_var(parameters, "a")
    for edit in (lambda: remove_synapses(synapses, keep=[True, True, False]), lambda: add_synapses(synapses, [0], [1])):
        with pytest.raises(InvalidInput, match="'w' of synapses 's3' is linked to a variable of another group"):
            edit()
    assert len(synapses) == 3


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ([True, False], r"keep must be a boolean mask with one entry per synapse \(3\), got 2 entries of type bool"),
        ([1, 0, 1], "got 3 entries of type int64"),
        ([[True, False, True]], "boolean mask"),
        (None, "give either where, which says which synapses go, or keep, a mask of those that stay"),
        ("w > 0", "keep must be a mask, got 'w > 0'; to remove where a condition holds, leave out keep="),
    ],
)
def test_bad_masks(keep: Any, message: str):
    with pytest.raises(InvalidInput, match=message):
        remove_synapses(small(), keep=keep)


def test_not_synapses():
    group = NeuronGroup(1, "", threshold="True", reset="")
    for edit in (
        lambda: remove_synapses(group, keep=[True]),
        lambda: add_synapses(group, [0], [0]),
        lambda: duplicate_synapses(group, [0], [0], [0]),
        lambda: copy_block_events(group, 1),
        lambda: silence_neurons(group, [0], synapses=[group]),
    ):
        with pytest.raises(InvalidInput, match=r"must be a Synapses, got NeuronGroup; name a brian2"):
            edit()


def test_edits_during_a_run_are_refused():
    system = network(41)
    other = small()
    messages = []

    def edit() -> None:
        remove_synapses(other, keep=np.ones(len(other), bool))  # of another network: no matter
        for attempt in (
            lambda: remove_synapses(system.synapses, keep=np.zeros(len(system.synapses), bool)),
            lambda: add_synapses(system.synapses, [0], [0]),
            lambda: duplicate_synapses(system.synapses, [0], [0], [0]),
            lambda: silence_neurons(system.group, [0], synapses=system.synapses),
        ):
            with pytest.raises(InvalidInput) as caught:
                attempt()
            messages.append(str(caught.value))

    system.net.add(NetworkOperation(edit, dt=10 * ms))
    run(system, 1)
    assert messages == 4 * ["the synapses of 's' cannot be edited during a run; end the run, edit, then run again"]


def test_standalone_devices_are_refused(tmp_path):
    previous = get_device()
    set_device("cpp_standalone", directory=str(tmp_path), build_on_run=False)
    try:
        group = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="g")
        synapses = Synapses(group, group, "w : 1", on_pre="v_post += w", name="s")
        synapses.connect(condition="i != j", namespace={})
        for edit in (
            lambda: remove_synapses(synapses, keep=[True, True]),
            lambda: add_synapses(synapses, [0], [0]),
            lambda: duplicate_synapses(synapses, [0], [0], [0]),
            lambda: silence_neurons(group, [0], synapses=[synapses]),
            lambda: copy_block_events(synapses, 1),
        ):
            with pytest.raises(
                InvalidInput, match=r"CPPStandaloneDevice, whose program has a fixed number of .*runtime"
            ):
                edit()
        with pytest.raises(InvalidInput, match="of 's' do not exist before the standalone program has run"):
            connectivity(synapses)
    finally:
        get_device().reinit()
        set_device(previous)


# ---------------------------------------------------------------------------------------------------------------------
# silence_neurons


def test_silenced_neurons_take_no_part():
    silenced, zeroed = network(51), network(51)
    gone = np.array([3, 7, 11])
    run(silenced, 10)
    run(zeroed, 10)
    silence_neurons(silenced.group, gone, synapses=[silenced.synapses, silenced.synapses], alive=False, I_bias=0)
    keep = ~(np.isin(zeroed.synapses.i, gone) | np.isin(zeroed.synapses.j, gone))
    zero(zeroed.synapses, ~keep)
    zeroed.group.alive[gone] = False
    zeroed.group.I_bias[gone] = 0
    assert not np.isin(silenced.synapses.i, gone).any()
    assert not np.isin(silenced.synapses.j, gone).any()
    run(silenced, 15)
    run(zeroed, 15)
    assert_same_activity(silenced, zeroed)
    assert_same_synapses(silenced.synapses, zeroed.synapses, keep)
    assert not np.isin(silenced.spikes.i[silenced.spikes.t > 10 * ms], gone).any()


def edges(synapses: Synapses) -> list[tuple[int, int]]:
    return list(zip(synapses.i[:].tolist(), synapses.j[:].tolist(), strict=True))


def test_only_the_side_of_the_group_is_compared():
    neurons = NeuronGroup(4, "v : 1", threshold="v > 1", reset="v = 0", name="a")
    inputs = NeuronGroup(4, "v : 1", threshold="v > 1", reset="v = 0", name="b")
    feed = Synapses(inputs, neurons, on_pre="v_post += 1")
    feed.connect(i=[1, 0], j=[0, 1])
    out = Synapses(neurons, inputs, on_pre="v_post += 1")
    out.connect(i=[1, 0], j=[0, 1])
    part = Synapses(neurons[1:3], neurons[2:4], on_pre="v_post += 1")
    part.connect(i=[0, 0, 1], j=[0, 1, 1])  # neurons 1 -> 2, 1 -> 3, 2 -> 3
    silence_neurons(neurons, [1], synapses=[feed, out])
    assert edges(feed) == [(1, 0)]
    assert edges(out) == [(0, 1)]
    silence_neurons(neurons[2:], [0], synapses=part)  # neuron 2
    assert edges(part) == [(0, 1)]


def test_silence_sets_values_of_subgroups():
    neurons = NeuronGroup(5, "v : volt\nalive : boolean")
    silence_neurons(neurons[1:4], [0, 2], v=[1, 2] * mV, alive=True)
    np.testing.assert_array_equal(neurons.v_[:], [0, 1e-3, 0, 2e-3, 0])
    assert neurons.alive[:].tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("indices", "values", "message"),
    [
        ([3], {}, r"indices must hold indices from 0 to 2 \(g3 has 3 entries\), got 3"),
        ([0], {"u": 0}, "'u' is not a variable of group 'g3' .* these are: v"),
        ([0], {"i": 0}, "'i' is not a variable"),
        ([0], {"N": 0}, "'N' is not a variable"),
        ([0], {"t": 0 * ms}, "'t' is not a variable"),
        ([0], {"v": 1 * volt}, "v must be given without a unit, got 1. V"),
        ([0], {"v": [1, 2]}, r"v must be one value or 1 values, got shape \(2,\)"),
    ],
)
def test_silence_refuses_and_changes_nothing(indices: Any, values: dict[str, Any], message: str):
    synapses = small()
    before = (synapses._full_state(), synapses.source._full_state())
    with pytest.raises(InvalidInput, match=message):
        silence_neurons(synapses.source, indices, synapses=[synapses], **values)
    assert_same_state(before, (synapses._full_state(), synapses.source._full_state()))


def test_silence_refuses_before_editing_the_first_of_several():
    first, second_one = small(), small()
    monitor = StateMonitor(second_one, "w", record=True)
    second_one.source = first.source  # both now touch one group
    second_one.target = first.source
    with pytest.raises(InvalidInput, match="records synapse"):
        silence_neurons(first.source, [0], synapses=[first, second_one], v=5)
    assert len(first) == 3
    assert first.source.v[0] == 0
    assert monitor.record.size == 3
    stranger = NeuronGroup(3, "v : 1", name="stranger")
    with pytest.raises(InvalidInput, match="synapses 's3' connect 'g3' to 'g3', neither is group 'stranger'"):
        silence_neurons(stranger, [0], synapses=[first])
    with pytest.raises(InvalidInput, match=r"neurons must be a brian2\.NeuronGroup or a Subgroup of one, got Synapses"):
        silence_neurons(first, [0])


# ---------------------------------------------------------------------------------------------------------------------
# copy_block_events


def blocks_of(seed: int, n_blocks: int, *, delays: str = "each") -> SimpleNamespace:
    """Return `n_blocks` copies of `network(seed)` in one group; the first is that network, the others start at rest."""
    one = network(seed, delays=delays)
    n, n_synapses = len(one.group), len(one.synapses)
    rng = np.random.default_rng(0)
    group = neuron_group(n * n_blocks, rng)
    group.I_bias = np.tile(one.group.I_bias[:], n_blocks)
    group.v = np.concatenate([one.group.v[:], np.zeros(n * (n_blocks - 1))])
    synapses = Synapses(group, group, PLASTIC, on_pre=ON_PRE, on_post=ON_POST, method="exact", namespace={}, name="s")
    shift = np.repeat(n * np.arange(n_blocks), n_synapses)
    values = {"w": one.synapses.w[:], "pre.delay": one.synapses.pre.delay[:], "post.delay": one.synapses.post.delay[:]}
    add_synapses(
        synapses,
        np.tile(one.synapses.i, n_blocks) + shift,
        np.tile(one.synapses.j, n_blocks) + shift,
        w=np.tile(values["w"], n_blocks),
        **{name: np.tile(values[name] / ms, n_blocks) * ms for name in ("pre.delay", "post.delay")},
    )
    spikes = SpikeMonitor(group, name="m")
    return SimpleNamespace(
        net=Network(group, synapses, spikes), group=group, synapses=synapses, spikes=spikes, n=n, size=n_synapses
    )


def copy_first(array: Any, size: int) -> None:
    array[:] = np.tile(array[:size], len(array) // size)


def test_blocks_with_copied_events_and_states_go_on_alike():
    blocks, single = blocks_of(61, 3), network(61)
    run(blocks, 10)
    run(single, 10)
    assert in_flight(blocks.synapses) > 20
    copy_block_events(blocks.synapses, 3)
    for name in ("v", "I", "lastspike", "not_refractory"):
        copy_first(blocks.group.variables[name].get_value(), blocks.n)
    for name in ("w", "Tpre", "Tpost", "lastupdate"):
        copy_first(blocks.synapses.variables[name].get_value(), blocks.size)
    run(blocks, 15)
    run(single, 15)
    late = blocks.spikes.t >= 10 * ms
    train = [(blocks.spikes.i[late & (blocks.spikes.i // blocks.n == b)] % blocks.n).tolist() for b in range(3)]
    assert train[0] == train[1] == train[2] == single.spikes.i[single.spikes.t >= 10 * ms].tolist()
    for b in range(3):
        np.testing.assert_array_equal(blocks.group.v[b * blocks.n : (b + 1) * blocks.n], single.group.v[:])


def test_blocks_that_are_not_identical_are_refused():
    def refused(message: str, n_blocks: Any = 2, **change: Any) -> None:
        blocks = blocks_of(62, 2)
        if "w" not in change:
            set_values(blocks.synapses, slice(-1, None), change)
        with pytest.raises(InvalidInput, match=message):
            copy_block_events(blocks.synapses, n_blocks)

    refused(r"post.delay of synapse \d+ of block 1 does not match block 0", **{"post.delay": 9 * ms})
    refused(r"pre.delay of synapse \d+ of block 1 does not match block 0", **{"pre.delay": 9 * ms})
    refused("synapses between 32 neurons cannot be 3 identical blocks", 3)
    refused("n_blocks must be a whole number of at least 1, got 0", 0)
    synapses = small()
    add_synapses(synapses, [0], [0])
    with pytest.raises(InvalidInput, match="4 synapses between 3 neurons cannot be 2 identical blocks"):
        copy_block_events(synapses, 2)
    group = NeuronGroup(4, "v : 1", threshold="v > 1", reset="v = 0")
    crossed = Synapses(group, group, on_pre="v_post += 1")
    add_synapses(crossed, [0, 2], [1, 1])
    with pytest.raises(InvalidInput, match="j of synapse 0 of block 1 does not match block 0"):
        copy_block_events(crossed, 2)
    with pytest.raises(InvalidInput, match="must connect one NeuronGroup with itself"):
        copy_block_events(Synapses(group, NeuronGroup(4, "v : 1"), on_pre="v_post += 1"), 2)


# ---------------------------------------------------------------------------------------------------------------------
# duplicate_synapses


RICH = """
w : volt
n : integer
flag : boolean
c : 1 (shared)
dx/dt = -x / (5*ms) : 1 (clock-driven)
dmark/dt = -mark / (8*ms) : 1 (event-driven)
"""


def rich(**options: Any) -> SimpleNamespace:
    """Return three neurons with four synapses, one of them a second one from 0 to 1, that have run for 3 ms."""
    group = NeuronGroup(3, "v : volt", threshold="v > 1*mV", reset="v = 0*mV", namespace={"mV": mV}, name="g3")
    synapses = Synapses(
        group,
        group,
        RICH,
        on_pre="v_post += w; mark += 1",
        on_post="mark += 2",
        method="exact",
        namespace={},
        name="s3",
        multisynaptic_index="k",
        **options,
    )
    synapses.connect(i=[0, 0, 2, 0], j=[1, 2, 1, 1])
    synapses.w = [1, 2, -3, 4] * mV
    synapses.n = [5, 6, 7, 8]
    synapses.flag = [True, False, True, False]
    synapses.x = [1, 2, 3, 4]
    synapses.mark = [0.1, 0.2, 0.3, 0.4]
    if "delay" not in options:
        synapses.pre.delay = [1, 2, 3, 4] * ms
        synapses.post.delay = [0.5, 0.6, 0.7, 0.8] * ms
    net = Network(group, synapses)
    net.run(3 * ms, namespace={})
    return SimpleNamespace(net=net, group=group, synapses=synapses)


def test_duplicates_are_like_their_donors_and_start_anew():
    system = rich()
    s = system.synapses
    old = {name: np.array(s.state(name, use_units=False)[:]) for name in ("i", "j", "w", "n", "flag", "x", "mark")}
    duplicate_synapses(s, [2, 0, 2], [1, 0, 0], [0, 2, 1])
    assert edges(s) == [(0, 1), (0, 2), (2, 1), (0, 1), (1, 0), (0, 2), (0, 1)]
    for name, values in old.items():
        np.testing.assert_array_equal(s.state(name, use_units=False)[:4], values)
    assert s.w[4:].tolist() == pytest.approx([-3e-3, 1e-3, -3e-3], abs=0)
    assert s.n[4:].tolist() == [7, 5, 7]
    assert s.flag[4:].tolist() == [True, True, True]
    assert s.pre.delay_[4:].tolist() == s.pre.delay_[[2, 0, 2]].tolist()
    assert s.post.delay_[4:].tolist() == s.post.delay_[[2, 0, 2]].tolist()
    # States begin at zero, now.
    assert s.x[4:].tolist() == s.mark[4:].tolist() == [0, 0, 0]
    assert s.lastupdate[4:] / ms == pytest.approx([3, 3, 3], rel=1e-12)
    # The numbers of the synapses between the same two neurons, counted by hand: 0 -> 1 had two, 0 -> 2 had one.
    assert s.variables["k"].get_value().tolist() == [0, 0, 0, 1, 0, 1, 2]
    # Into and out of each neuron, by hand from the list of edges above.
    assert counts(s) == (7, [1, 4, 2], [5, 1, 1])
    system.net.run(5 * ms, namespace={})


def test_duplicates_share_a_delay_that_is_one_for_all():
    s = rich(delay={"pre": 2 * ms, "post": 1 * ms}).synapses
    duplicate_synapses(s, [1], [1], [2])
    assert (s.pre.delay[:], s.post.delay[:]) == (2 * ms, 1 * ms)
    assert edges(s)[-1] == (1, 2)
    duplicate_synapses(s, [], [], [])
    assert len(s) == 5


def test_a_weight_that_is_a_state_is_taken_over():
    group = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    s = Synapses(group, group, "dg/dt = -g / (5*ms) : 1 (clock-driven)\nh : 1", on_pre="v_post += g", method="exact")
    s.connect(i=[0], j=[1])
    s.g, s.h = 0.7, 0.3
    duplicate_synapses(s, [0], [1], [0], weight="g")
    duplicate_synapses(s, [0], [1], [0], weight="h")
    assert (s.g[:].tolist(), s.h[:].tolist()) == ([0.7, 0.7, 0], [0.3, 0.3, 0.3])


@pytest.mark.parametrize(
    ("donors", "pre", "post", "message"),
    [
        ([4], [0], [1], r"donors must hold indices from 0 to 3 \(s3 has 4 entries\), got 4 at position 0"),
        ([0, -1], [0, 0], [1, 1], r"donors must hold indices from 0 to 3 .* got -1 at position 1"),
        ([0.0], [0], [1], "donors must be a one-dimensional array of whole numbers"),
        ([True], [0], [1], "donors must be a one-dimensional array of whole numbers"),
        ([0], [3], [1], r"pre must hold indices from 0 to 2"),
        ([0], [0], [-1], r"post must hold indices from 0 to 2"),
        ([0, 1], [0], [1], r"must be one value or 1 values"),
        ([0], [0, 1], [1, 2], r"must be one value or 2 values"),
        ([0, 1], [0, 1], [1], "pre and post must have the same length, got 2 and 1 entries"),
        ([], [0], [1], r"must be one value or 1 values"),
    ],
)
def test_duplicate_refuses_and_changes_nothing(donors: Any, pre: Any, post: Any, message: str):
    synapses = rich().synapses
    before = synapses._full_state()
    with pytest.raises(InvalidInput, match=message) as caught:
        duplicate_synapses(synapses, donors, pre, post)
    assert "\n" not in str(caught.value)
    assert_same_state(before, synapses._full_state())


def test_no_duplicates_of_synapses_with_links():
    parameters = NeuronGroup(3, "a : 1", name="parameters")
    linked = small(model="w : 1 (linked)")
    linked.w = linked_var(parameters, "a")
    with pytest.raises(InvalidInput, match="is linked to a variable of another group"):
        duplicate_synapses(linked, [0], [0], [2])
    assert len(linked) == 3


@settings(max_examples=10, **PROPERTY)
@given(
    seed=st.integers(0, 2**31),
    edit_after_ms=st.integers(0, 150).map(lambda k: k / 10),
    delays=st.sampled_from(["each", "each", "one"]),
    number=st.integers(0, 40),
)
def test_duplicated_is_built_anew(seed: int, edit_after_ms: float, delays: str, number: int):
    """The oracle is Brian2's own `connect`, with the values of the donors read before and set by hand."""
    edited, anew = network(seed, delays=delays), network(seed, delays=delays)
    rng = np.random.default_rng([seed, 2])
    n = len(edited.synapses)
    donors, pre, post = rng.integers(n, size=number), rng.integers(16, size=number), rng.integers(16, size=number)
    run(edited, edit_after_ms)
    run(anew, edit_after_ms)
    duplicate_synapses(edited.synapses, donors, pre, post)
    if number:
        values = {"w": np.array(anew.synapses.w)[donors], "lastupdate": anew.synapses.t}
        if delays == "each":
            for name in ("pre", "post"):
                values[f"{name}.delay"] = np.array(getattr(anew.synapses, name).delay_)[donors] * second
        anew.synapses.connect(i=pre, j=post)
        set_values(anew.synapses, slice(n, None), values)
    assert_same_state(full_state(edited), full_state(anew))
    run(edited, 12)
    run(anew, 12)
    assert_same_activity(edited, anew)
    assert_same_synapses(edited.synapses, anew.synapses)


# ---------------------------------------------------------------------------------------------------------------------
# adopt


def a_model(kind: str, *, seed: int = 0) -> RecurrentNetwork:
    timing = kind if kind in ("interpolated", "precise") else "grid"
    spec = HRSNN(
        40,
        0.3,
        plastic=kind == "plastic",
        parameters=LIFParameters(dt=0.1 * ms, spike_timing=timing, gain=0.5),
        check_rate=False,
        seed=seed,
    ).spec
    if kind in ("delays", "precise"):
        # Brian2 rounds a delay to whole steps; with precise spikes it must be below the refractory period of 2 ms.
        steps = np.random.default_rng(0).integers(1, 18, spec.n_synapses)
        spec = replace(spec, delays=1e-4 * steps)
    return RecurrentNetwork(spec)


def edit(model: RecurrentNetwork) -> None:
    """Change everything that pruning may change."""
    rng = np.random.default_rng(3)
    remove_synapses(model.synapses, keep=rng.random(len(model.synapses)) < 0.4)
    free = rng.integers(40, size=(2, 9))
    duplicate_synapses(model.synapses, rng.integers(len(model.synapses), size=9), *free)
    model.synapses.w = 1.1 * np.array(model.synapses.w)
    silence_neurons(model.neurons, [3, 17], synapses=model.synapses, alive=False, I_bias=0)
    model.set_time_constants(1.3 * model.spec.time_constants)
    model.neurons.I_bias = np.array(model.neurons.I_bias) + 0.01
    if "w_max" in model.synapses.variables:
        model.synapses.w_max = 7.0
        model.synapses.w_min = 0.001


def assert_same_spec(a: NetworkSpec, b: NetworkSpec) -> None:
    for field in fields(NetworkSpec):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, STDP):
            for constant in fields(STDP):
                np.testing.assert_array_equal(getattr(one, constant.name), getattr(other, constant.name))
        else:
            np.testing.assert_array_equal(one, other, err_msg=field.name)


KINDS = ["grid", "delays", "plastic", "interpolated", "precise"]


@pytest.mark.parametrize("kind", KINDS)
def test_adopted_is_the_earlier_network(kind: str):
    model = a_model(kind)
    start = model.spec
    edit(model)
    middle = model.spec
    assert middle.n_synapses != start.n_synapses
    edit(model)
    drive = noise_drive(40, duration=50 * ms, rng=np.random.default_rng(1))
    observe(model, 50 * ms, drive=drive)
    for spec in (start, middle):
        adopt(model, spec)
        assert_same_spec(model.spec, spec)
    assert not any(len(slot) for p in model.synapses._pathways for slot in p.queue._full_state()[1])

    # A fresh network of that spec, at the same time with nothing on its way, is given the same state of the neurons.
    fresh = RecurrentNetwork(middle, name="fresh")
    fresh.neurons.v, fresh.neurons.I_ext = 0, -100
    fresh.run(50 * ms)
    fresh.neurons._restore_from_full_state(model.neurons._full_state())
    one, other = (observe(each, 100 * ms, drive=drive) for each in (model, fresh))
    assert one.indices.size > 50
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_array_equal(one.times, other.times)
    np.testing.assert_array_equal(model.spec.weights, fresh.spec.weights)
    if kind == "plastic":
        assert (model.spec.weights != middle.weights).any()


def test_adopt_refuses_and_changes_nothing():
    model, plastic = a_model("grid"), a_model("plastic")
    spec = model.spec
    delayed = replace(spec, delays=np.full(spec.n_synapses, 1e-3))
    descends = "has other neurons than .*; use the network that it descends from"
    both = "must both have delays or none, and be both plastic or not"
    for other, message in (
        (HRSNN(30, 0.3, check_rate=False).spec, descends),
        (HRSNN(40, 0.3, check_rate=False, seed=1).spec, descends),
        (replace(spec, excitatory=~spec.excitatory), descends),
        (replace(spec, dt=2 * spec.dt), descends),
        (replace(spec, synaptic_time_constant=2 * spec.synaptic_time_constant), descends),
        (replace(spec, refractory_period=2 * spec.refractory_period), descends),
        (replace(spec, cluster=np.arange(40) % 2), descends),
        (spec.with_timing("interpolated"), descends),
        (delayed, both),
        (plastic.spec, both),
    ):
        with pytest.raises(InvalidInput, match=message) as caught:
            adopt(model, other)
        assert "\n" not in str(caught.value)
        assert_same_spec(model.spec, spec)


def test_adopt_is_refused_while_a_monitor_records_the_synapses():
    model = a_model("plastic")
    before = model.spec
    edited = replace(before.of_synapses(np.arange(before.n_synapses) % 2 == 0), bias=before.bias + 0.1)
    edited = replace(edited, plasticity=replace(edited.plasticity, w_max=9.0))
    monitor = StateMonitor(model.synapses, "w", record=[0])
    with pytest.raises(InvalidInput, match="records synapse 0"):
        adopt(model, edited)
    assert monitor.record.size == 1
    assert_same_spec(model.spec, before)
