"""Connection of a graph: one strong component, degrees, candidates, signs, and graphs for which there is no way."""

import itertools
import time

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnpbrian.checks import InvalidInput
from lnpbrian.pruning.steps.connect import _joining_edges, connect
from lnpbrian.pruning.steps.sampling import sample_edges


def random_graph(n, density, seed):
    mask = np.random.default_rng(seed).random((n, n)) < density
    np.fill_diagonal(mask, False)
    return np.nonzero(mask)


def permutation(n, seed):
    """Union of cycles without self-connections."""
    rng = np.random.default_rng(seed)
    while True:
        post = rng.permutation(n)
        if (post != np.arange(n)).all():
            return np.arange(n), post


def joined(pre, post, n, seed=0, **more):
    """What `connect` returns and the edges that result; all that holds for any result is checked."""
    found = connect(pre, post, n, rng=np.random.default_rng(seed), **more)
    new_pre, new_post = found.new_pre, found.new_post
    a = np.concatenate([pre[~found.remove], new_pre])
    b = np.concatenate([post[~found.remove], new_post])
    assert a.size - pre.size == found.added
    assert (new_pre != new_post).all()
    if np.unique(pre * n + post).size == pre.size:
        assert np.unique(a * n + b).size == a.size
    copied = found.like[found.like >= 0]
    assert np.unique(copied).size == copied.size
    assert found.remove[copied].all()
    np.testing.assert_array_equal(pre[copied], new_pre[found.like >= 0])
    # Edges that take no weight over are moved to another source, or added.
    assert (found.like < 0).sum() <= found.moved + found.added
    assert found.added <= more.get("max_new", n * n)
    return found, a, b


def strong(a, b, nodes):
    graph = nx.DiGraph(zip(a.tolist(), b.tolist(), strict=True))
    graph.add_nodes_from(nodes)
    return nx.number_strongly_connected_components(graph.subgraph(nodes))


# ------------------------------------------------------------------------------------------------------- swaps


@given(st.integers(0, 10**6), st.integers(3, 60), st.booleans())
@settings(max_examples=50, deadline=None)
def test_cycles_become_one_cycle(seed, n, told):
    pre, post = permutation(n, seed)
    before = strong(pre, post, range(n))
    candidates = random_graph(n, 0.5, seed) if told else None
    found, a, b = joined(pre, post, n, seed, candidates=candidates)
    assert (found.components_before, found.components_after) == (before, 1)
    assert (found.swaps, found.moved, found.added) == (before - 1, 0, 0)
    assert strong(a, b, range(n)) == 1
    np.testing.assert_array_equal(np.sort(a), np.arange(n))
    np.testing.assert_array_equal(np.sort(b), np.arange(n))
    assert found.status == "strongly connected"


def test_swaps_keep_degrees_and_follow_candidates():
    n = 200
    candidates = random_graph(n, 0.2, 0)
    keys = candidates[0] * n + candidates[1]
    for seed in range(10):
        keep = sample_edges(
            np.full(keys.size, 0.1),
            rng=np.random.default_rng(seed),
            method="even",
            pre=candidates[0],
            post=candidates[1],
            count=n,
        )
        pre, post = (end[keep] for end in candidates)
        found, a, b = joined(pre, post, n, seed, candidates=candidates)
        assert strong(a, b, range(n)) == 1
        for before, after in ((pre, a), (post, b)):
            np.testing.assert_array_equal(np.sort(before), np.sort(after))
        assert np.isin(a * n + b, keys).all()
        assert found.swaps == found.components_before - 1


def test_swaps_keep_signs_of_inputs_where_they_can():
    # Twenty cycles, in each sources of both signs.
    n, signs = 100, np.where(np.arange(100) % 5, 1, -1)
    pre = np.arange(n)
    post = np.where(pre % 5 == 4, pre - 4, pre + 1)
    for candidates in (None, random_graph(n, 0.5, 0)):
        found, a, b = joined(pre, post, n, candidates=candidates, signs=signs)
        assert strong(a, b, range(n)) == 1
        changed = signs[a[np.argsort(b)]] != signs[pre[np.argsort(post)]]
        if candidates is not None:
            assert changed.sum() <= 4
        assert found.swaps == 19


def test_one_swap_of_two_cycles_is_the_candidate_one():
    # Of the nine swaps of two triangles, one has both its new edges among the candidates: 0 -> 4, 3 -> 1.
    pre, post = np.arange(6), np.array([1, 2, 0, 4, 5, 3])
    candidates = np.array([0, 3, 2, 5]), np.array([4, 1, 4, 2])
    for seed in range(10):
        found, _, _ = joined(
            pre, post, 6, seed, candidates=tuple(np.concatenate(x) for x in zip((pre, post), candidates, strict=True))
        )
        assert sorted(zip(found.new_pre.tolist(), found.new_post.tolist(), strict=True)) == [(0, 4), (3, 1)]
        np.testing.assert_array_equal(np.sort(found.like), [0, 3])


# ------------------------------------------------------------------------------------------------ general graphs


@given(st.integers(0, 10**6), st.integers(2, 40), st.floats(0.0, 3), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_graph_becomes_strongly_connected(seed, n, inputs, told):
    pre, post = random_graph(n, min(1.0, inputs / n), seed)
    candidates = random_graph(n, 1.0, 0) if told else None
    found, a, b = joined(pre, post, n, seed, candidates=candidates)
    assert strong(a, b, range(n)) == 1 == found.components_after
    assert strong(pre, post, range(n)) == found.components_before
    assert found.status == "strongly connected"
    # Degrees become no less even.
    for before, after in ((pre, a), (post, b)):
        old, new = np.bincount(before, minlength=n), np.bincount(after, minlength=n)
        assert new.max() <= max(old.max(), 2 + found.added)
        assert new.min() >= 1


def test_every_graph_of_three_neurons():
    pairs = [(i, a) for i in range(3) for a in range(3) if i != a]
    for size in range(7):
        for edges in itertools.combinations(pairs, size):
            ends = np.array(edges, dtype=int).reshape(-1, 2)
            found, a, b = joined(ends[:, 0], ends[:, 1], 3)
            assert strong(a, b, range(3)) == 1
            # A cycle takes three edges.
            assert found.added <= max(0, 3 - size) + 1


def test_no_edges_are_added_where_synapses_suffice():
    # Thinned at random to two inputs a neuron: one in eight has no input, one in eight no output.
    for seed in range(10):
        pre, post = random_graph(150, 2 / 150, seed)
        found, a, b = joined(pre, post, 150, seed)
        assert found.added == 0
        assert found.moved > 0
        assert strong(a, b, range(150)) == 1


def test_a_connected_graph_stays_as_it_is():
    pre, post = random_graph(60, 0.2, 0)
    found, _, _ = joined(pre, post, 60)
    assert not found.remove.any()
    assert found.new_pre.size == found.swaps == found.moved == found.added == 0


def test_parallel_synapses_and_self_connections_stay_and_are_not_made():
    pre = np.array([0, 0, 1, 2, 3, 0, 2])
    post = np.array([1, 1, 0, 3, 2, 0, 2])
    found, a, b = joined(pre, post, 4)
    assert strong(a, b, range(4)) == 1
    assert found.added == 0
    assert ((a == b).sum(), (found.new_pre == found.new_post).sum()) == (2, 0)


# --------------------------------------------------------------------------------------------------- populations


@given(st.integers(0, 10**6), st.floats(0.3, 4))
@settings(max_examples=40, deadline=None)
def test_sources_get_no_input_and_readouts_give_no_output(seed, inputs):
    # 10 neurons that only send, 20 + 20 of two populations, 5 that only receive.
    n, rng = 55, np.random.default_rng(seed)
    mask = np.zeros((n, n), dtype=bool)
    mask[:50, 10:] = rng.random((50, 45)) < 0.5
    np.fill_diagonal(mask, False)
    candidates = np.nonzero(mask)
    keep = rng.random(candidates[0].size) < inputs * 45 / candidates[0].size
    pre, post = (end[keep] for end in candidates)
    found, a, b = joined(pre, post, n, seed, candidates=candidates)
    assert strong(a, b, range(10, 50)) == 1 == found.components_after
    assert found.status == "strongly connected"
    assert b.min() >= 10
    assert a.max() < 50
    assert np.bincount(a, minlength=n)[:50].min() >= 1
    assert np.bincount(b, minlength=n)[10:].min() >= 1


def test_a_network_without_recurrence_has_nothing_to_join():
    pre, post = np.array([0, 0, 1]), np.array([2, 3, 3])
    found, _, _ = joined(pre, post, 4, candidates=(pre, post))
    assert (found.components_before, found.components_after, found.added) == (0, 0, 0)
    assert found.status == "strongly connected"


# -------------------------------------------------------------------------------------------------------- limits


def test_too_few_edges_are_told():
    found, a, b = joined(np.array([0, 1]), np.array([1, 0]), 6, max_new=0)
    assert found.components_after == strong(a, b, range(6)) == 5
    assert "not strongly connected: 5 components" in found.status
    found, a, b = joined(np.array([0, 1]), np.array([1, 0]), 6, max_new=3)
    assert found.added == 3
    assert found.components_after == strong(a, b, range(6)) > 1
    # A ring through 0 <-> 1 and four single neurons.
    found, a, b = joined(np.array([0, 1]), np.array([1, 0]), 6)
    assert strong(a, b, range(6)) == 1
    assert found.added == 5


def test_paths_become_one_cycle_by_one_edge_each():
    # Nothing can be moved or swapped. Limited to fewer edges, as many paths become one cycle.
    pre, post = np.array([0, 1, 3, 5, 6]), np.array([1, 2, 4, 6, 7])
    found, a, b = joined(pre, post, 9)
    assert found.added == 4
    np.testing.assert_array_equal(np.bincount(a), np.ones(9))
    assert strong(a, b, range(9)) == 1
    for limit in range(1, 4):
        found, _, _ = joined(pre, post, 9, max_new=limit)
        assert found.added == limit
        assert found.components_after < 9


def test_empty_and_tiny_graphs():
    none = np.empty(0, dtype=int)
    assert joined(none, none, 1)[0].status == "strongly connected"
    found, a, b = joined(none, none, 5)
    assert strong(a, b, range(5)) == 1
    assert found.added == 5


def test_equal_seeds_give_equal_results():
    pre, post = random_graph(100, 0.015, 0)
    one, two = (connect(pre, post, 100, rng=np.random.default_rng(4)) for _ in range(2))
    for name in ("remove", "new_pre", "new_post", "like"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_what_cannot_be_is_refused_in_one_line():
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInput, match=r"post must hold neuron indices in 0..1, got 2"):
        connect([0], [2], 2, rng=rng)
    with pytest.raises(InvalidInput, match=r"candidates must be \(pre, post\)"):
        connect([0], [1], 2, candidates=3, rng=rng)
    with pytest.raises(InvalidInput, match="signs must have shape"):
        connect([0], [1], 2, signs=[1], rng=rng)
    with pytest.raises(InvalidInput, match="max_new must be a whole number of at least 0"):
        connect([0], [1], 2, max_new=-1, rng=rng)


def test_thousands_of_neurons_take_seconds():
    n = 5000
    candidates = random_graph(n, 0.02, 0)
    start = time.perf_counter()
    for pre, post in ((np.arange(n), np.arange(n) ^ 1), random_graph(n, 1 / n, 1), random_graph(n, 10 / n, 2)):
        found, a, b = joined(pre, post, n, candidates=candidates)
        assert found.components_after == strong(a, b, range(n)) == 1
        assert found.added == 0 or pre.size < n
    # 2 s on two cores.
    assert time.perf_counter() - start < 60


@given(st.integers(0, 10**6), st.integers(2, 25), st.floats(0.2, 2))
@settings(max_examples=100, deadline=None)
def test_an_acyclic_graph_is_joined_by_the_fewest_edges(seed, n, edges):
    # Each node without way in needs one in, each without way out one out, a single node both.
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.integers(n, size=(int(edges * n), 2)), axis=1)
    tail, head = ends[ends[:, 0] < ends[:, 1]].T
    new = _joining_edges(tail, head, n, n, rng)
    no_in, no_out = (np.bincount(end, minlength=n) == 0 for end in (head, tail))
    assert len(new) == max(no_in.sum(), no_out.sum())
    x, y = np.array(new).T
    assert strong(np.concatenate([tail, x]), np.concatenate([head, y]), range(n)) == 1
