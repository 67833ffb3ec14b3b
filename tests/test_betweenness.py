"""Betweenness against closed forms and networkx."""

from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnpbrian.checks import InvalidInput
from lnpbrian.network import betweenness
from lnpbrian.network.betweenness import betweenness_centrality

# A centrality is a sum of positive terms, each a product of at most `diameter` quotients of exact path counts:
# relative error below N^2 eps, 3e-12 for N = 120; 1e-10 is what the module promises with room.
RELATIVE = 1e-10


@pytest.fixture(params=["compiled", "products"])
def kernel(request, monkeypatch):
    if request.param == "products":
        monkeypatch.setattr(betweenness, "graph_loops", lambda: None)
    monkeypatch.setattr(betweenness, "SOURCES", 50)  # several batches, of unequal size
    monkeypatch.setattr(betweenness, "BATCH", 120 * 50)


def random_edges(n, p, seed):
    rng = np.random.default_rng(seed)
    return np.nonzero(rng.random((n, n)) < p)


def by_networkx(pre, post, n):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from((a, b) for a, b in zip(pre.tolist(), post.tolist(), strict=True) if a != b)
    found = nx.betweenness_centrality(graph, normalized=False)
    return np.array([found[v] for v in range(n)])


@pytest.mark.parametrize("p", [0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0])
def test_equals_networkx_on_random_directed_graphs(kernel, p):
    pre, post = random_edges(120, p, 5)  # p = 0.005, 0.01: in pieces; self-connections included
    found = betweenness_centrality(pre, post, 120)
    expected = by_networkx(pre, post, 120)
    np.testing.assert_allclose(found, expected, rtol=RELATIVE, atol=0)  # atol 0: zeros are exact zeros


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.floats(0, 0.6), st.integers(0, 2**31))
def test_equals_networkx_on_small_graphs(n, p, seed):
    pre, post = random_edges(n, p, seed)
    np.testing.assert_allclose(betweenness_centrality(pre, post, n), by_networkx(pre, post, n), rtol=RELATIVE, atol=0)


def test_path(kernel):
    n = 130
    i = np.arange(n)
    # Directed path: i sources before neuron i, n - 1 - i targets behind it, one path each.
    np.testing.assert_array_equal(betweenness_centrality(i[:-1], i[1:], n), i * (n - 1 - i))
    # The same path reversed, and both ways together.
    np.testing.assert_array_equal(betweenness_centrality(i[1:], i[:-1], n), i * (n - 1 - i))
    both = betweenness_centrality(np.r_[i[:-1], i[1:]], np.r_[i[1:], i[:-1]], n)
    np.testing.assert_array_equal(both, 2 * i * (n - 1 - i))


def test_star_cycle_complete_and_empty(kernel):
    leaves = np.arange(1, 60)
    hub = np.zeros(59, dtype=int)
    star = betweenness_centrality(np.r_[leaves, hub], np.r_[hub, leaves], 60)
    np.testing.assert_array_equal(star, np.r_[59 * 58, np.zeros(59)])  # every ordered pair of leaves, through the hub
    inward = betweenness_centrality(leaves, hub, 60)
    np.testing.assert_array_equal(inward, 0)  # edges into the hub only: no path passes it
    # Directed cycle of n: a path of length l has l - 1 inner neurons, l = 2..n-1, from each of n sources, on n neurons.
    i = np.arange(60)
    np.testing.assert_array_equal(betweenness_centrality(i, (i + 1) % 60, 60), 59 * 58 / 2)
    pre, post = np.nonzero(~np.eye(60, dtype=bool))
    np.testing.assert_array_equal(betweenness_centrality(pre, post, 60), 0)
    np.testing.assert_array_equal(betweenness_centrality([], [], 60), 0)


def test_complete_bipartite_within_two_steps(kernel):
    # K(a, b) both ways: each of the a (a - 1) ordered pairs on one side has b shortest paths, one through each of the
    # other side: (a - 1) a / b on every neuron of side b, and the other way round.
    a, b = 30, 50
    left, right = np.repeat(np.arange(a), b), a + np.tile(np.arange(b), a)
    found = betweenness_centrality(np.r_[left, right], np.r_[right, left], a + b)
    np.testing.assert_allclose(found[:a], b * (b - 1) / a, rtol=RELATIVE)
    np.testing.assert_allclose(found[a:], a * (a - 1) / b, rtol=RELATIVE)


def layers(width, depth):
    """`depth` layers of `width` neurons, each layer fully connected to the next."""
    at = np.arange(width * depth).reshape(depth, width)
    pre = np.concatenate([np.repeat(at[d], width) for d in range(depth - 1)])
    return pre, np.concatenate([np.tile(at[d + 1], width) for d in range(depth - 1)])


def test_path_counts_beyond_float32(kernel):
    # Layer d of D lies between d layers before and D - 1 - d behind. Of the paths that join a neuron before with one
    # behind, 1/width pass each neuron of the layer: (d width) ((D - 1 - d) width) / width in all. The largest path
    # count is width^(D-2): 3^20 = 3.5e9 is above 2^24, where float32 stops being exact.
    width, depth = 3, 22
    d = np.repeat(np.arange(depth), width)
    found = betweenness_centrality(*layers(width, depth), width * depth)
    np.testing.assert_allclose(found, d * (depth - 1 - d) * width, rtol=RELATIVE, atol=0)


@pytest.mark.filterwarnings("ignore:overflow")
def test_path_counts_that_overflow_are_refused(kernel):
    with pytest.raises(InvalidInput, match="over 1e308 shortest paths"):
        betweenness_centrality(*layers(10, 320), 3200)  # 10^318 paths


def test_orientation_and_parallel_synapses():
    # 0 -> 1 -> 2 and 0 -> 3 -> 2, with 0 -> 1 twice: half of the one pair each, not two thirds.
    found = betweenness_centrality([0, 0, 1, 0, 3], [1, 1, 2, 3, 2], 4)
    assert found.tolist() == [0, 0.5, 0, 0.5]


def test_weighted_paths_follow_strong_synapses():
    # 0 -> 2 directly costs 1/0.25 = 4, through 1 only 1/1 + 1/1 = 2; the weaker parallel synapse 0 -> 1 does not count.
    pre, post, w = [0, 0, 1, 0], [2, 1, 2, 1], [0.25, -1.0, 1.0, 0.1]
    assert betweenness_centrality(pre, post, 3, weights=w).tolist() == [0, 1, 0]
    assert betweenness_centrality(pre, post, 3).tolist() == [0, 0, 0]
    pre, post = random_edges(40, 0.1, 0)
    equal = betweenness_centrality(pre, post, 40, weights=np.full(pre.size, -0.5))
    expected = betweenness_centrality(pre, post, 40)
    np.testing.assert_allclose(equal, expected, rtol=RELATIVE, atol=0)
    for wrong in (0.0, 1e-320, np.nan, np.inf):
        with pytest.raises(InvalidInput, match="weights must"):
            betweenness_centrality([0], [1], 2, weights=[wrong])


@pytest.mark.parametrize("unit", [1.0, 0.1, 0.3, 1e-3, 1 / 3, 1e9])
@pytest.mark.parametrize("seed", range(3))
def test_ties_of_weighted_paths_survive_rounding(unit, seed):
    # Lengths are whole numbers of units, and ties as frequent as can be; networkx adds whole numbers, without rounding.
    pre, post = random_edges(30, 0.15, seed)
    length = np.random.default_rng(seed).integers(1, 7, pre.size)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(30))
    graph.add_weighted_edges_from(zip(pre.tolist(), post.tolist(), length.tolist(), strict=True))
    expected = nx.betweenness_centrality(graph, weight="weight", normalized=False)
    found = betweenness_centrality(pre, post, 30, weights=1 / (length * unit))
    np.testing.assert_allclose(found, [expected[v] for v in range(30)], rtol=RELATIVE, atol=0)


def test_ties_of_paths_of_whole_weights():
    # Weights k/10: lengths 10/k, as fractions.
    pre, post = random_edges(20, 0.25, 5)
    k = np.random.default_rng(5).integers(1, 7, pre.size)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(20))
    graph.add_weighted_edges_from((int(a), int(b), Fraction(10, int(c))) for a, b, c in zip(pre, post, k, strict=True))
    expected = nx.betweenness_centrality(graph, weight="weight", normalized=False)
    found = betweenness_centrality(pre, post, 20, weights=-0.1 * k)
    np.testing.assert_allclose(found, [expected[v] for v in range(20)], rtol=RELATIVE, atol=0)


def test_a_length_that_a_sum_does_not_feel_is_part_of_the_path():
    # 1 + 1e-20 is 1: neuron 1 lies between 0 and 2 all the same.
    assert betweenness_centrality([0, 1], [1, 2], 3, weights=[1.0, 1e20]).tolist() == [0, 1, 0]


def test_batches_are_bounded_in_memory(monkeypatch):
    pre, post = random_edges(40, 0.1, 0)
    whole = betweenness_centrality(pre, post, 40)
    sizes = []
    product = betweenness._product

    def seen(M, at, values, wanted):
        sizes.append(wanted.size // 40)
        return product(M, at, values, wanted)

    monkeypatch.setattr(betweenness, "graph_loops", lambda: None)
    monkeypatch.setattr(betweenness, "BATCH", 40 * 7)
    monkeypatch.setattr(betweenness, "_product", seen)
    np.testing.assert_allclose(betweenness_centrality(pre, post, 40), whole, rtol=RELATIVE, atol=0)
    assert set(sizes) == {7, 5}  # 40 = 5 * 7 + 5
