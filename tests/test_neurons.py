"""Which neurons step II removes: by exact betweenness or an estimate of its order, ties, protected neurons."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnpbrian.checks import InvalidInput
from lnpbrian.network.betweenness import betweenness_centrality
from lnpbrian.pruning.steps import neurons
from lnpbrian.pruning.steps.neurons import degree_product, lowest_neurons, removal_centrality, total_degree


def random_edges(n, p, seed):
    rng = np.random.default_rng(seed)
    return np.nonzero(rng.random((n, n)) < p)


def test_degrees():
    assert total_degree([0, 0, 1], [1, 2, 2], 3).tolist() == [2, 2, 2]
    assert degree_product([0, 0, 1, 1], [1, 2, 2, 0], 3).tolist() == [2, 2, 0]


def test_centrality_for_removal_is_exact_while_it_is_affordable(monkeypatch):
    pre, post = random_edges(40, 0.1, 0)
    exact, product = betweenness_centrality(pre, post, 40), degree_product(pre, post, 40)

    def chosen(method="auto"):
        found = removal_centrality(pre, post, 40, method=method)
        np.testing.assert_array_equal(found.values, {"exact": exact, "degree": product}[found.method])
        return found.method

    assert (chosen(), chosen("exact"), chosen("degree")) == ("exact", "exact", "degree")
    monkeypatch.setattr(neurons, "DENSE_NEURONS", 39)
    assert chosen() == "exact"  # 40 times some 160 synapses
    monkeypatch.setattr(neurons, "AFFORDABLE_STEPS", 40 * pre.size - 1)
    assert (chosen(), chosen("exact")) == ("degree", "exact")
    with pytest.raises(InvalidInput, match="method must be one of auto, exact, degree; got 'sampled'"):
        removal_centrality(pre, post, 40, method="sampled")


def test_centrality_for_removal_may_follow_strong_synapses():
    # The direct way 0 -> 2 costs 1/0.25 = 4, that through neuron 1 costs 1/1 + 1/1.
    pre, post, weights = [0, 0, 1], [2, 1, 2], [0.25, -1.0, 1.0]
    found = removal_centrality(pre, post, 3, weights=weights)
    assert (found.values.tolist(), found.method) == ([0, 1, 0], "exact")
    assert removal_centrality(pre, post, 3).values.tolist() == [0, 0, 0]
    with pytest.raises(InvalidInput, match="the product of degrees knows no weights"):
        removal_centrality(pre, post, 3, weights=weights, method="degree")


def test_ties_go_by_degree_then_index():
    c, k = [2.0, 1.0, 1.0, 1.0, 0.0], [1, 5, 4, 4, 9]
    assert [lowest_neurons(c, k, count=m).tolist() for m in range(6)] == [
        [],
        [4],
        [2, 4],
        [2, 3, 4],
        [1, 2, 3, 4],
        [1, 2, 3, 4],  # `minimum` = 1 neuron stays
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30), st.integers(0, 2**31))
def test_rounding_noise_decides_nothing(n, seed):
    rng = np.random.default_rng(seed)
    c, k = rng.integers(0, 4, n) * 1e4 / 3, rng.integers(0, 3, n)
    noisy = c * (1 + rng.uniform(-1e-13, 1e-13, n))
    for m in range(n):
        np.testing.assert_array_equal(lowest_neurons(noisy, k, count=m), lowest_neurons(c, k, count=m))


def test_symmetric_neurons_tie_in_the_computed_centrality():
    # A circulant graph: every neuron has the same centrality, whatever BLAS adds up first.
    n = 97
    i = np.arange(n)
    pre, post = np.repeat(i, 3), (np.repeat(i, 3) + np.tile([1, 5, 22], n)) % n
    c = betweenness_centrality(pre, post, n)
    np.testing.assert_array_equal(lowest_neurons(c, total_degree(pre, post, n), count=10), i[:10])


def test_threshold_and_minimum():
    c, k = np.arange(10.0), np.ones(10)
    assert lowest_neurons(c, k, threshold=2.0).tolist() == [0, 1]
    assert lowest_neurons(c, k, threshold=2.0 * (1 + 1e-12)).tolist() == [0, 1]
    assert lowest_neurons(c, k, threshold=100.0, minimum=7).tolist() == [0, 1, 2]
    assert lowest_neurons(c, k, count=3, minimum=20).size == 0


def test_protected_neurons_survive():
    c, k = np.arange(6.0), np.ones(6)
    # The next in the order go in their place.
    assert lowest_neurons(c, k, count=3, protect=[0, 1, 2]).tolist() == [3, 4, 5]
    assert lowest_neurons(c, k, threshold=3.0, protect=[0, 1]).tolist() == [2]
    assert lowest_neurons(c, k, count=6, protect=[2], minimum=0).tolist() == [0, 1, 3, 4, 5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of count and threshold is needed, got none"),
        ({"count": 1, "threshold": 0.1}, "got both"),
        ({"count": 1, "protect": [7]}, r"protect must hold neuron indices in 0\.\.2"),
    ],
)
def test_wrong_requests(options, message):
    with pytest.raises(InvalidInput, match=message):
        lowest_neurons([0.0, 1.0, 2.0], [1, 1, 1], **options)
