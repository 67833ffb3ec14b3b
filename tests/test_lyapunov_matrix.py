"""Lyapunov matrix against set loops and hand-worked networks."""

import importlib
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnpbrian.checks import InvalidInput
from lnpbrian.pruning.steps.lyapunov_matrix import estimated_lyapunov_matrix, lyapunov_matrix

# The module: its name is that of the function as well.
overlaps = importlib.import_module("lnpbrian.pruning.steps.lyapunov_matrix")


def random_edges(n, p, seed):
    rng = np.random.default_rng(seed)
    connected = rng.random((n, n)) < p
    np.fill_diagonal(connected, False)
    post, pre = np.nonzero(connected)
    shuffled = rng.permutation(pre.size)  # no particular order of synapses
    return pre[shuffled], post[shuffled]


def harmonic_means(pre, post, values, neighbours):
    """Equation (1) as it reads: a set per neuron, their union, n over the sum of inverses."""
    around = [set() for _ in values]
    for j, i in zip(pre.tolist(), post.tolist(), strict=True):
        if neighbours in ("both", "in"):
            around[i].add(j)
        if neighbours in ("both", "out"):
            around[j].add(i)
    unions = [around[i] | around[j] for j, i in zip(pre.tolist(), post.tolist(), strict=True)]
    return np.array([len(union) / sum(1 / values[k] for k in union) for union in unions])


# Both paths add at most 2 N positive terms and subtract at most half of them: relative error below
# 4 N eps = 4 * 60 * 1.1e-16 = 3e-14.
@pytest.mark.parametrize("cost", [0, np.inf, None], ids=["sparse", "dense", "compiled"])
@pytest.mark.parametrize("neighbours", ["both", "in", "out"])
@pytest.mark.parametrize("seed", range(3))
def test_harmonic_mean_equals_a_loop_over_sets(monkeypatch, cost, neighbours, seed):
    if cost is not None:
        monkeypatch.setattr(overlaps, "graph_loops", lambda: None)
        monkeypatch.setattr(overlaps, "SPARSE_COST", cost)
    monkeypatch.setattr(overlaps, "BLOCK", 60 * 7)  # several blocks of rows
    pre, post = random_edges(60, 0.08, seed)
    lam = np.random.default_rng(seed).normal(-30, 40, 60)  # both signs
    found = lyapunov_matrix(pre, post, lam, resolution=2.0, neighbours=neighbours)
    np.testing.assert_allclose(
        found, harmonic_means(pre, post, np.maximum(abs(lam), 2.0), neighbours), rtol=3e-14, atol=0
    )


def test_the_compiled_loop_goes_block_by_block_and_heeds_interrupts_between(monkeypatch):
    pre, post = random_edges(40, 0.2, 0)
    how = {"exponents": np.linspace(-90, -10, 40), "resolution": 2.0}
    whole, loops, done = lyapunov_matrix(pre, post, **how), overlaps.graph_loops(), []

    def interrupted(*arrays):
        done.append(arrays[2].size)
        if len(done) == 3:
            signal.raise_signal(signal.SIGINT)
        loops.common_sums(*arrays)

    monkeypatch.setattr(overlaps, "UNINTERRUPTED", 17)
    np.testing.assert_array_equal(lyapunov_matrix(pre, post, **how), whole)
    monkeypatch.setattr(overlaps, "graph_loops", lambda: SimpleNamespace(common_sums=interrupted))
    with pytest.raises(KeyboardInterrupt):
        lyapunov_matrix(pre, post, **how)
    assert done == [17, 17, 17]
    assert pre.size > 100


# ------------------------------------------------------------------------------------------------- expected overlaps

PARTS = np.arange(30) % 3
WHOLE_CLASSES = {
    "complete": ~np.eye(30, dtype=bool),
    "with self-connections": np.ones((30, 30), dtype=bool),
    "multipartite": PARTS[:, None] != PARTS,
    "ring of parts": PARTS[:, None] == (PARTS + 1) % 3,
}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("neighbours", ["both", "in", "out"])
@pytest.mark.parametrize("name", WHOLE_CLASSES)
def test_expected_overlap_is_exact_where_neighbourhoods_are_whole_classes(monkeypatch, name, neighbours, signed):
    post, pre = np.nonzero(WHOLE_CLASSES[name])
    lam = np.random.default_rng(0).uniform(-60, -20, 30)
    options = {"resolution": 1.0, "neighbours": neighbours, "signed": signed}
    monkeypatch.setattr(overlaps, "CLASSES", 4)
    found = estimated_lyapunov_matrix(pre, post, lam, groups=PARTS, rng=np.random.default_rng(0), **options)
    # In float32, 2 factors in each of 5 classes (3 parts, 2 neurons alone), of terms whose sizes add up to at most
    # three times the overlap.
    bound = 3 * (2 * 5 + 4) * 2**-24
    np.testing.assert_allclose(found.lyapunov, lyapunov_matrix(pre, post, lam, **options), rtol=bound, atol=0)
    assert found.error <= bound


@pytest.mark.parametrize("back", [False, True], ids=["one way", "both ways"])
def test_expected_overlap_leaves_the_two_neurons_out(back):
    # Presynaptic neighbours N(1) = {0, 2, 3}, N(0) = {2} and, if 1 -> 0, also 1. Of the three neurons besides 0 and 1,
    # N(1) holds two and N(0) one: 2/3 in common.
    pre, post = np.array([0, 2, 3, 2, 1])[: 4 + back], np.array([1, 1, 1, 0, 0])[: 4 + back]
    B = overlaps._neighbour_matrix(pre, post, 5, "in")
    one_class = np.zeros(5, dtype=int)
    (found,) = overlaps._expected_shared(B, post[:1], pre[:1], [np.ones(5)], one_class, mutual=False)
    np.testing.assert_allclose(found, 2 / 3, rtol=10 * 2**-24)


def test_neurons_that_matter_most_are_exact(monkeypatch):
    # 10 of 600 neurons are slow, and each counts as much as 50 others in the sum around a synapse: a guess of how many
    # of them are shared is the largest error, and there is none where they are classes of their own.
    pre, post = random_edges(600, 0.1, 0)
    lam = np.full(600, -50.0)
    lam[100:110] = -1.0
    few, many = errors_by_classes(monkeypatch, pre, post, lam, (1, 20))
    assert many < few / 3


def test_hubs_are_with_few_others(monkeypatch):
    # 600 neurons, 20 of which receive from and send to half of all: neurons share hubs rather than others.
    rng = np.random.default_rng(0)
    hub = np.arange(600) % 30 == 0
    connected = rng.random((600, 600)) < np.where(hub[:, None] | hub, 0.5, 0.02)
    post, pre = np.nonzero(connected & ~np.eye(600, dtype=bool))
    lam = np.where(hub, -5.0, -50.0) * rng.uniform(0.9, 1.1, 600)
    one, by_degree = errors_by_classes(monkeypatch, pre, post, lam, (1, 5))
    assert by_degree < one / 2


def clusters(n, seed):
    """Five clusters, connected within with p = 0.3 and between with p = 0.03; exponents differ by cluster."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(n) % 5
    connected = rng.random((n, n)) < np.where(cluster[:, None] == cluster, 0.3, 0.03)
    post, pre = np.nonzero(connected & ~np.eye(n, dtype=bool))
    return pre, post, -rng.uniform(0.7, 1.3, n) * 10 * (1 + cluster), cluster


def relative_errors(found, pre, post, lam):
    return np.abs(found.lyapunov / lyapunov_matrix(pre, post, lam, resolution=1.0) - 1)


def root_mean_square_error(pre, post, lam, **options):
    found = estimated_lyapunov_matrix(pre, post, lam, resolution=1.0, rng=np.random.default_rng(0), **options)
    return np.sqrt((relative_errors(found, pre, post, lam) ** 2).mean())


def errors_by_classes(monkeypatch, pre, post, lam, numbers):
    found = []
    for number in numbers:
        monkeypatch.setattr(overlaps, "CLASSES", number)
        found.append(root_mean_square_error(pre, post, lam))
    return found


def test_expected_overlap_is_close_on_a_random_graph():
    n, p = 1000, 0.1
    pre, post = random_edges(n, p, 0)
    lam = np.random.default_rng(1).uniform(-80, -20, n)
    found = estimated_lyapunov_matrix(pre, post, lam, resolution=1.0, rng=np.random.default_rng(2))
    error = relative_errors(found, pre, post, lam)
    # Each neuron is a common neighbour with probability q^2, q = 1 - (1 - p)^2. Not knowing which are, at given sizes
    # of the neighbourhoods, moves the logarithm of L by (x_k L - 1) / (size of the union) each.
    q, x = 1 - (1 - p) ** 2, 1 / abs(lam)
    spread = np.sqrt((((x / x.mean() - 1) * q * (1 - q)) ** 2).sum()) / (n * (1 - (1 - q) ** 2))
    assert spread < 0.01
    assert np.sqrt((error**2).mean()) < spread


def test_clusters_are_to_be_told():
    pre, post, lam, cluster = clusters(1000, 0)
    told, untold = (root_mean_square_error(pre, post, lam, groups=groups) for groups in (cluster, None))
    # Of the 60 neighbours of each in their cluster of 200, two neurons share 18, of the 24 elsewhere 1. Drawn from all
    # 1000 neurons, 84 and 84 would share 7: the union is too large by 12 of 149, and L wrong by several per cent of
    # the difference between clusters.
    assert told < untold / 2


def test_reported_error_is_the_true_one(monkeypatch):
    pre, post, lam, cluster = clusters(300, 1)
    options = {"resolution": 1.0, "groups": cluster}
    sampled = estimated_lyapunov_matrix(pre, post, lam, rng=np.random.default_rng(0), **options)
    error = relative_errors(sampled, pre, post, lam)
    # The largest of 1000: below the 99 % quantile with probability 0.99^1000 = 4e-5.
    assert np.quantile(error, 0.99) < sampled.error <= error.max() + 1e-12
    monkeypatch.setattr(overlaps, "SAMPLES", pre.size)
    every = estimated_lyapunov_matrix(pre, post, lam, rng=np.random.default_rng(0), **options)
    assert abs(every.error - error.max()) < 1e-12  # 4 N eps of the exact values
    assert f"at most {every.error:.1e}" in every.status
    np.testing.assert_array_equal(every.lyapunov, sampled.lyapunov)


def test_estimate_without_synapses():
    none = estimated_lyapunov_matrix([], [], [-1.0, -2.0], resolution=1, rng=np.random.default_rng(0))
    assert (none.lyapunov.size, none.error) == (0, 0)
    with pytest.raises(InvalidInput, match=r"groups must have shape \(2,\), got \(3,\)"):
        estimated_lyapunov_matrix([0], [1], [-1.0, -2.0], resolution=1, rng=np.random.default_rng(0), groups=[0, 0, 0])


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.floats(0.1, 1), st.integers(0, 2**31), st.floats(1e-3, 10))
def test_mixed_signs_and_zeros_give_a_mean_between_the_extremes(n, p, seed, resolution):
    pre, post = random_edges(n, p, seed)
    lam = np.random.default_rng(seed).choice([-100.0, -1e-9, 0.0, 1e-9, 3.0], n)
    L = lyapunov_matrix(pre, post, lam, resolution=resolution)
    # A harmonic mean of at most 12 values: rounding below 1e-14 of them.
    assert L.min(initial=np.inf) >= resolution * (1 - 1e-14)
    assert L.max(initial=0) <= max(100, resolution) * (1 + 1e-14)


def test_signed_mean_is_the_papers_and_raises_where_it_is_singular():
    pre, post = random_edges(30, 0.2, 0)
    lam = np.random.default_rng(0).uniform(-60, -20, 30)
    # One sign: the signed mean is minus the mean of magnitudes, up to 4 N eps = 1.3e-14.
    np.testing.assert_allclose(
        lyapunov_matrix(pre, post, lam, resolution=1, signed=True),
        -lyapunov_matrix(pre, post, lam, resolution=1),
        rtol=1.4e-14,
        atol=0,
    )
    # Chain 0 -> 1 -> 2 with 1/-10 + 1/-5 + 1/x: x = 20/6 leaves 0, x = 4 leaves -1/20 and a mean of -60.
    with pytest.raises(InvalidInput, match=r"singular at 2 of 2 synapses.*0 -> 1"):
        lyapunov_matrix([0, 1], [1, 2], [-10.0, -5.0, 10 / 3], resolution=1, signed=True)
    L = lyapunov_matrix([0, 1], [1, 2], [-10.0, -5.0, 4.0], resolution=1, signed=True)
    np.testing.assert_allclose(L, -60, rtol=1e-14)
    with pytest.raises(InvalidInput, match="zero in a signed harmonic mean, got 0 at neuron 1"):
        lyapunov_matrix([0], [1], [-1.0, 0.0], resolution=1, signed=True)


def test_orientation_on_an_asymmetric_network():
    # 0 -> 1, 0 -> 2: presynaptic neighbours N(1) = N(2) = {0}, N(0) = {}; postsynaptic N(0) = {1, 2}.
    pre, post, lam = [0, 0], [1, 2], [-2.0, -3.0, -6.0]
    np.testing.assert_allclose(lyapunov_matrix(pre, post, lam, resolution=1, neighbours="in"), 2, rtol=1e-15)
    np.testing.assert_allclose(
        lyapunov_matrix(pre, post, lam, resolution=1, neighbours="out"), 2 / (1 / 3 + 1 / 6), rtol=1e-15
    )


def test_parallel_synapses_and_no_synapses():
    assert lyapunov_matrix([], [], [-1.0, -2.0], resolution=1).shape == (0,)
    np.testing.assert_allclose(lyapunov_matrix([0, 0], [1, 1], [-1.0, -3.0], resolution=0.1), 1.5, rtol=1e-15)


@pytest.mark.parametrize(
    ("pre", "post", "message"),
    [
        ([0, 5], [1, 1], r"pre must hold neuron indices in 0\.\.2, got 5 at synapse 1"),
        ([0, -1], [1, 1], r"pre must hold neuron indices in 0\.\.2, got -1 at synapse 1"),
        ([0.5], [1], "pre must be one neuron index per synapse"),
        ([0, 1], [1], "one entry per synapse each, got 2 and 1"),
    ],
)
def test_wrong_edges(pre, post, message):
    with pytest.raises(InvalidInput, match=message):
        lyapunov_matrix(pre, post, [1.0, 1.0, 1.0], resolution=1)


def test_entries_of_no_synapses_are_numbers():
    none = np.zeros(0, dtype=int)
    assert overlaps.entries(overlaps.sparse.csr_array(np.eye(2)), none, none).dtype == float
