"""Lyapunov matrix and linear network against set loops, hand-worked networks and the spectrum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnpbrian import linearise
from lnpbrian.checks import InvalidInput
from lnpbrian.linearise import edge_strength, linear_network, lyapunov_matrix, spectral_abscissa


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
@pytest.mark.parametrize("cost", [0, np.inf], ids=["sparse", "dense"])
@pytest.mark.parametrize("neighbours", ["both", "in", "out"])
@pytest.mark.parametrize("seed", range(3))
def test_harmonic_mean_equals_a_loop_over_sets(monkeypatch, cost, neighbours, seed):
    monkeypatch.setattr(linearise, "SPARSE_COST", cost)
    monkeypatch.setattr(linearise, "BLOCK", 60 * 7)  # several blocks of rows
    pre, post = random_edges(60, 0.08, seed)
    lam = np.random.default_rng(seed).normal(-30, 40, 60)  # both signs
    found = lyapunov_matrix(pre, post, lam, resolution=2.0, neighbours=neighbours)
    np.testing.assert_allclose(
        found, harmonic_means(pre, post, np.maximum(abs(lam), 2.0), neighbours), rtol=3e-14, atol=0
    )


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


def test_edge_strength_kinds():
    w, L = np.array([0.5, -2.0]), np.array([10.0, -4.0])
    assert edge_strength(w, L).tolist() == [10, 4]
    assert edge_strength(w, kind="weight").tolist() == [0.5, 2]
    assert edge_strength(w, L, kind="lyapunov*weight").tolist() == [5, 8]
    with pytest.raises(InvalidInput, match="needs lyapunov"):
        edge_strength(w)
    with pytest.raises(InvalidInput, match="kind must be one of"):
        edge_strength(w, L, kind="magnitude")


def test_row_dominance_bounds_the_spectrum_and_keeps_the_orientation():
    pre, post = random_edges(40, 0.2, 1)
    s = np.random.default_rng(1).normal(0, 20, pre.size)
    tau = np.random.default_rng(2).uniform(0.005, 0.05, 40)
    net = linear_network(pre, post, s, time_constants=tau)
    A = net.A.toarray()
    e = 7
    assert A[post[e], pre[e]] == s[e]
    np.testing.assert_allclose(
        -np.diag(A), 1 / tau + abs(net.S.toarray()).sum(axis=1), rtol=40 * 2**-52
    )  # 40 terms a row
    # Gershgorin: no eigenvalue right of max(-1/tau) = -net bound; eigenvalues are computed within 1e-12 of ||A||.
    assert net.abscissa == -(1 / tau).min()
    assert np.linalg.eigvals(A).real.max() <= net.abscissa + 1e-12 * np.linalg.norm(A)


def test_shift_puts_the_abscissa_where_asked():
    pre, post = random_edges(40, 0.2, 1)
    s = np.random.default_rng(1).normal(0, 60, pre.size)
    tau = np.full(40, 0.02)
    net = linear_network(pre, post, s, time_constants=tau, diagonal="shift", margin=7.0)
    bound = 1e-12 * np.linalg.norm(net.A.toarray())
    assert abs(np.linalg.eigvals(net.A.toarray()).real.max() + 7.0) < bound
    # An already decaying network is not shifted: two neurons with eigenvalues -50 +- 1.
    calm = linear_network([0, 1], [1, 0], [1.0, 1.0], time_constants=[0.02, 0.02], diagonal="shift", margin=7.0)
    np.testing.assert_array_equal(calm.D, 50)


def test_unstable_leak_says_by_how_much():
    # Eigenvalues -10 +- sqrt(30 * 120) = 50 and -70.
    with pytest.raises(InvalidInput, match=r"spectral abscissa is 50 1/s .* by more than 50 1/s"):
        linear_network([0, 1], [1, 0], [30.0, 120.0], time_constants=[0.1, 0.1], diagonal="leak")


def test_arnoldi_agrees_with_all_eigenvalues(monkeypatch):
    A = np.random.default_rng(0).normal(size=(120, 120))
    full = spectral_abscissa(A)
    monkeypatch.setattr(linearise, "ALL_EIGENVALUES", 50)
    # ARPACK stops at 1e-6 of the eigenvalue's modulus, times its condition (below 100 here), of about sqrt(120).
    assert abs(spectral_abscissa(A) - full) < 1e-6 * 100 * 120**0.5
