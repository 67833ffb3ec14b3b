"""Synapses that connect to synapses, summed variables, and everything else that holds numbers of synapses."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brian2 import (
    EventMonitor,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    linked_var,
    ms,
    prefs,
    second,
)
from test_structure import assert_same_state, edges, full_state, in_flight, run

from lnpbrian.checks import InvalidInput
from lnpbrian.network.structure import add_synapses, remove_synapses, silence_neurons


@pytest.fixture(params=["numpy", pytest.param("cython", marks=pytest.mark.cython)])
def target(request: pytest.FixtureRequest) -> Any:
    before = prefs.codegen.target
    prefs.codegen.target = request.param
    yield request.param
    prefs.codegen.target = before


# ---------------------------------------------------------------------------------------------------------------------
# Summed variables


@pytest.mark.parametrize("part", [slice(None), slice(1, 3)], ids=["group", "subgroup"])
def test_sum_over_no_synapses_is_zero(target: str, part: slice):
    group = NeuronGroup(4, "x : 1")
    end = group if part == slice(None) else group[part]
    synapses = Synapses(group, end, "w : 1\nx_post = w : 1 (summed)")
    synapses.connect(i=[0, 1], j=[0, 1])
    synapses.w = [2, 3]
    net = Network(group, synapses)
    start = part.start or 0
    net.run(0.1 * ms, namespace={})
    assert group.x[start : start + 2].tolist() == [2, 3]
    remove_synapses(synapses, keep=[False, True])
    net.run(0.1 * ms, namespace={})
    assert group.x[start : start + 2].tolist() == [0, 3]
    remove_synapses(synapses, keep=[False])
    net.run(0.1 * ms, namespace={})
    assert group.x[:].tolist() == [0, 0, 0, 0]


# ---------------------------------------------------------------------------------------------------------------------
# Synapses that connect to synapses


def nested(seed: int, n: int = 10) -> SimpleNamespace:
    """Return `inner` between neurons; `outer` from neurons onto it; `onto_outer`; `from_inner`; `within`: both ends.

    A synapse of weight zero in `inner` has no effect on anything but itself and those that end at it.
    """
    rng = np.random.default_rng(seed)
    group = NeuronGroup(
        n,
        "dv/dt = (1.5 + I + 0.01*x - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1\nx : 1",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name="g",
    )
    group.v = rng.uniform(0, 1, n)
    inner = Synapses(group, group, "w : 1\nu : 1\ny : 1", on_pre="I_post += w*(1 + u + 0.1*y)", name="inner")
    pre, post = np.nonzero(rng.random((n, n)) < 0.5)
    inner.connect(i=pre, j=post)
    inner.w, inner.pre.delay = rng.normal(0, 0.3, len(inner)), rng.uniform(0, 3, len(inner)) * ms
    outer = Synapses(group, inner, "a : 1", on_pre="u_post += a", on_post=None, name="outer")
    k = 3 * len(inner)
    outer.connect(i=rng.integers(n, size=k), j=rng.integers(len(inner), size=k))
    outer.a, outer.pre.delay = rng.normal(0, 0.1, k), rng.uniform(0, 4, k) * ms
    onto_outer = Synapses(group, outer, "b : 1", on_pre="a_post *= b", name="onto_outer")
    onto_outer.connect(i=rng.integers(n, size=k), j=rng.integers(k, size=k))
    onto_outer.b, onto_outer.pre.delay = rng.uniform(0.8, 1, k), rng.uniform(0, 4, k) * ms
    from_inner = Synapses(inner, group, "x_post = u_pre*w_pre : 1 (summed)", name="from_inner")
    from_inner.connect(i=np.arange(len(inner)), j=rng.integers(n, size=len(inner)))
    within = Synapses(inner, inner, "z : 1\ny_post = z*w_pre : 1 (summed)", name="within")
    within.connect(i=rng.integers(len(inner), size=k), j=rng.integers(len(inner), size=k))
    within.z = rng.uniform(0, 1, k)
    spikes = SpikeMonitor(group, name="m")
    all_of_them = (inner, outer, onto_outer, from_inner, within)
    return SimpleNamespace(
        net=Network(group, *all_of_them, spikes),
        group=group,
        synapses=inner,
        outer=outer,
        onto_outer=onto_outer,
        from_inner=from_inner,
        within=within,
        spikes=spikes,
    )


def assert_counts(synapses: Synapses) -> None:
    """N_incoming and N_outgoing are the numbers of synapses at each entry of the two ends."""
    n_pre, n_post = len(synapses.source), len(synapses.target)
    np.testing.assert_array_equal(synapses.N_outgoing_pre, np.bincount(synapses.i[:], minlength=n_pre))
    np.testing.assert_array_equal(synapses.N_incoming_post, np.bincount(synapses.j[:], minlength=n_post))


def test_inner_synapses_take_the_outer_ones_along(target: str):
    seed = 1
    removed, zeroed = nested(seed), nested(seed)
    run(removed, 12)
    run(zeroed, 12)
    assert in_flight(removed.outer) > 5
    assert in_flight(removed.onto_outer) > 5
    s = zeroed.synapses
    keep = np.random.default_rng(seed).random(len(s)) < 0.5
    keep_outer = keep[zeroed.outer.j[:]]
    keep_onto = keep_outer[zeroed.onto_outer.j[:]]
    keep_from = keep[zeroed.from_inner.i[:]]
    keep_within = keep[zeroed.within.i[:]] & keep[zeroed.within.j[:]]
    assert remove_synapses(removed.synapses, keep=keep) == np.count_nonzero(~keep)
    s.w[np.flatnonzero(~keep)] = 0
    new = np.cumsum(keep) - 1
    new_outer = np.cumsum(keep_outer) - 1
    for name, mask, pre, post in (
        ("outer", keep_outer, None, new),
        ("onto_outer", keep_onto, None, new_outer),
        ("from_inner", keep_from, new, None),
        ("within", keep_within, new, new),
    ):
        edited, old = getattr(removed, name), getattr(zeroed, name)
        i, j = old.i[:][mask], old.j[:][mask]
        np.testing.assert_array_equal(edited.i[:], i if pre is None else pre[i])
        np.testing.assert_array_equal(edited.j[:], j if post is None else post[j])
        assert_counts(edited)
    run(removed, 15)
    run(zeroed, 15)
    assert zeroed.spikes.num_spikes > 20
    np.testing.assert_array_equal(removed.spikes.i[:], zeroed.spikes.i[:])
    np.testing.assert_array_equal(removed.spikes.t_[:], zeroed.spikes.t_[:])
    np.testing.assert_array_equal(removed.group.v[:], zeroed.group.v[:])
    for name in ("w", "u", "y"):
        np.testing.assert_array_equal(getattr(removed.synapses, name)[:], getattr(s, name)[:][keep])
    np.testing.assert_array_equal(removed.outer.a[:], zeroed.outer.a[:][keep_outer])
    np.testing.assert_array_equal(removed.onto_outer.b[:], zeroed.onto_outer.b[:][keep_onto])


def test_the_outer_spikes_in_flight_matter():
    """Guard the test above: without the renumbered events of `outer` and `onto_outer` it would end elsewhere."""
    system, forgetful = nested(1), nested(1)
    run(system, 12)
    run(forgetful, 12)
    for synapses in (forgetful.outer, forgetful.onto_outer):
        synapses.pre.queue._restore_from_full_state(None)
    run(system, 15)
    run(forgetful, 15)
    assert not np.array_equal(system.synapses.u[:], forgetful.synapses.u[:])
    assert not np.array_equal(system.group.v[:], forgetful.group.v[:])


def test_all_inner_synapses_and_restore():
    system, reference = nested(3), nested(3)
    run(system, 5)
    run(reference, 5)
    before = full_state(system)
    system.net.store()
    remove_synapses(system.synapses, where="True")
    for name in ("synapses", "outer", "onto_outer", "from_inner", "within"):
        assert len(getattr(system, name)) == 0
        assert_counts(getattr(system, name))
    run(system, 5)
    assert system.group.x[:].tolist() == [0] * 10
    system.net.restore()
    assert_same_state(before, full_state(system))
    run(system, 10)
    run(reference, 10)
    np.testing.assert_array_equal(system.spikes.t_[:], reference.spikes.t_[:])


def test_silencing_takes_outer_synapses_along_whether_listed_or_not():
    one, other = nested(4), nested(4)
    silence_neurons(one.group, [0, 4], synapses=[one.onto_outer, one.outer, one.synapses])
    silence_neurons(other.group, [0, 4], synapses=[other.synapses, other.outer, other.onto_outer])
    assert_same_state(full_state(one), full_state(other))
    for name in ("synapses", "outer", "onto_outer"):
        synapses = getattr(one, name)
        assert len(synapses) > 5
        assert not np.isin(synapses.i[:], [0, 4]).any()
        assert_counts(synapses)
    for name in ("from_inner", "within"):
        assert_counts(getattr(one, name))


def test_inner_synapses_can_grow():
    system = nested(5)
    run(system, 3)
    n, n_outer = len(system.synapses), len(system.outer)
    add_synapses(system.synapses, [0, 1, 2], [3, 4, 5], w=0.25)
    add_synapses(system.outer, [6], [n + 2], a=0.5)
    for name in ("synapses", "outer", "onto_outer", "from_inner", "within"):
        assert_counts(getattr(system, name))
    assert system.outer.N_incoming_post[n:].tolist() == [0, 0, 1]
    add_synapses(system.onto_outer, [7], [n_outer], b=0.5)
    system.group.v[[6, 7]] = 5
    run(system, 1)
    assert system.synapses.u[n + 2] == 0.5 or system.outer.a[-1] == 0.25
    assert system.outer.a[-1] == 0.25


def test_outer_objects_that_are_not_connected_yet():
    group = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    inner = Synapses(group, group, "w : 1", on_pre="v_post += w")
    inner.connect(i=[0, 1, 2], j=[1, 2, 0])
    outer = Synapses(group, inner, "a : 1", on_pre="w_post += a")
    remove_synapses(inner, keep=[True, False, True])
    add_synapses(inner, [0, 0], [0, 2])
    outer.connect(i=[0, 1], j=[3, 1])
    assert_counts(outer)
    assert outer.N_incoming_post.tolist() == [0, 1, 0, 1]


def test_refusals_of_outer_synapses_hold_for_the_inner_ones():
    system = nested(6)
    monitor = StateMonitor(system.outer, "a", record=[3], name="watched")
    system.net.add(monitor)
    run(system, 2)
    before = full_state(system)
    keep = np.ones(len(system.synapses), bool)
    keep[system.outer.j[3]] = False
    with pytest.raises(InvalidInput, match="'watched' records synapse 3 of 'outer', which is to go"):
        remove_synapses(system.synapses, keep=keep)
    assert_same_state(before, full_state(system))
    # A recorded synapse that stays is followed through both renumberings.
    keep[:] = True
    keep[[k for k in range(3) if k != system.outer.j[3]]] = False
    value = system.outer.a[3]
    remove_synapses(system.synapses, keep=keep)
    assert system.outer.a[monitor.record[0]] == value
    run(system, 0.1)
    assert monitor.a[0, -1] == value


# ---------------------------------------------------------------------------------------------------------------------
# Links and monitors


def test_links_into_synapses():
    group = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0", name="g3")
    synapses = Synapses(group, group, "w : 1\ntwice = 2*w : 1\nc : 1 (shared)", on_pre="v_post += w", name="s3")
    synapses.connect(i=[0, 1, 2], j=[1, 2, 0])
    readers = NeuronGroup(3, "x : 1 (linked)\nz : 1 (linked)", name="readers")  # Brian2 cannot link to parameters
    readers.z = linked_var(synapses, "c")
    assert remove_synapses(synapses, keep=[True, True, True]) == 0
    readers.x = linked_var(synapses, "twice")
    before = synapses._full_state()
    with pytest.raises(InvalidInput, match="'readers' is linked to 'w' of synapses 's3' by their numbers"):
        remove_synapses(synapses, keep=[True, True, False])
    assert_same_state(before, synapses._full_state())
    add_synapses(synapses, [0], [2], w=3)  # the old ones keep their numbers
    Network(readers)
    del readers
    assert remove_synapses(synapses, keep=[True, True, False, True]) == 1


def watched(seed: int) -> SimpleNamespace:
    rng = np.random.default_rng(seed)
    group = NeuronGroup(
        12,
        "dv/dt = (1.6 + I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1",
        threshold="v > 1",
        reset="v = 0",
        events={"high": "v > 0.9"},
        method="exact",
        name="g",
    )
    group.v = rng.uniform(0, 1, 12)
    synapses = Synapses(
        group,
        group,
        "w : 1",
        on_pre={"pre": "I_post += w / N_incoming", "slow": "I_post += 0.5*w / N_outgoing"},
        on_post={"learn": "w *= 0.99"},
        on_event={"slow": "high"},
        delay={"slow": 2 * ms},
        name="s",
        multisynaptic_index="k",
    )
    pre, post = rng.integers(12, size=(2, 60))
    synapses.connect(i=pre, j=post)
    synapses.w, synapses.pre.delay = rng.normal(0, 0.3, 60), rng.uniform(0, 3, 60) * ms
    synapses.learn.delay = rng.uniform(0, 1, 60) * ms
    synapses.run_regularly("w *= 0.95", dt=1 * ms)
    spikes = SpikeMonitor(group, variables="I", name="m")
    others = [
        PopulationRateMonitor(group, name="rate"),
        EventMonitor(group, "high", name="events"),
        StateMonitor(group, ["v", "I"], record=[0, 5], name="potentials"),
        StateMonitor(synapses, "w", record=np.arange(0, 60, 6), name="weights"),
    ]
    net = Network(group, synapses, spikes, others)
    return SimpleNamespace(net=net, group=group, synapses=synapses, spikes=spikes, others=others)


def test_monitors_events_and_counts_in_equations():
    """The counts change what a synapse does, so the reference gets weights that make up for it, in powers of two."""
    removed, zeroed = watched(1), watched(1)
    # Half of each of the synapses, doubled: w / (2 n) is the same number as (2 w) / (4 n), bit for bit.
    for system in (removed, zeroed):
        add_synapses(system.synapses, system.synapses.i[:].copy(), system.synapses.j[:].copy())
        for name in ("pre", "learn"):
            delays = getattr(system.synapses, name).delay
            delays[60:] = np.array(delays)[:60] * second
        run(system, 9)
    keep = np.arange(120) < 60
    remove_synapses(removed.synapses, keep=keep)
    removed.synapses.w = np.array(removed.synapses.w) / 2
    assert edges(removed.synapses) == edges(zeroed.synapses)[:60]
    run(removed, 11)
    run(zeroed, 11)
    for name in ("i", "t", "I"):
        np.testing.assert_array_equal(getattr(removed.spikes, name)[:], getattr(zeroed.spikes, name)[:])
    (rate, events, potentials, weights), expected = removed.others, zeroed.others
    assert events.num_events > removed.spikes.num_spikes > 15
    np.testing.assert_array_equal(rate.rate_[:], expected[0].rate_[:])
    np.testing.assert_array_equal(events.t_[:], expected[1].t_[:])
    np.testing.assert_array_equal(potentials.v, expected[2].v)
    late = weights.t > 8.95 * ms  # the values of before the edit are recorded once more after it
    np.testing.assert_array_equal(weights.w[:, late], expected[3].w[:, late] / 2)
    np.testing.assert_array_equal(weights.w[:, ~late], expected[3].w[:, ~late])
