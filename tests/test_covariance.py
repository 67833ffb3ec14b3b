"""Linear network and its covariance against closed forms, exact identities, SciPy and the spectrum."""

import math

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov
from scipy.sparse import csr_array

from lnpbrian.checks import InvalidInput
from lnpbrian.pruning.steps import covariance
from lnpbrian.pruning.steps.covariance import (
    edge_strength,
    linear_network,
    local_covariance,
    noise_covariance,
    spectral_abscissa,
)
from lnpbrian.pruning.steps.lyapunov_matrix import lyapunov_matrix
from lnpbrian.pruning.steps.noise import keep_scores


def random_edges(n, p, seed):
    rng = np.random.default_rng(seed)
    connected = rng.random((n, n)) < p
    np.fill_diagonal(connected, False)
    post, pre = np.nonzero(connected)
    shuffled = rng.permutation(pre.size)
    return pre[shuffled], post[shuffled]


def hurwitz(n, seed, margin=0.3):
    """Nonsymmetric, spectral abscissa -margin, largest modulus about 2 sqrt(n)."""
    A = np.random.default_rng(seed).normal(size=(n, n))
    return A - (np.linalg.eigvals(A).real.max() + margin) * np.eye(n)


def brackets(A, pre, post, sigma=1.0):
    """C_ii + C_jj - 2 sign(A_ij) C_ij with the exact covariance."""
    C = noise_covariance(A, sigma).covariance
    return keep_scores(pre, post, A[post, pre], strength=np.ones(len(pre)), covariance=C)


def symmetric_network(n, density, seed):
    """Signed symmetric A whose diagonal is minus the absolute row sum (SDD), weights N(1, 1)."""
    rng = np.random.default_rng(seed)
    W = np.triu(rng.normal(1, 1, (n, n)) * (rng.random((n, n)) < density), 1)
    W = W + W.T
    return W - np.diag(abs(W).sum(axis=1))


# --------------------------------------------------------------------------------------------------- linear network


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
    monkeypatch.setattr(covariance, "ALL_EIGENVALUES", 50)
    # ARPACK stops at 1e-6 of the eigenvalue's modulus, times its condition (below 100 here), of about sqrt(120).
    assert abs(spectral_abscissa(A) - full) < 1e-6 * 100 * 120**0.5


# ------------------------------------------------------------------------------------------------- exact covariance


@pytest.mark.parametrize(("n", "seed", "margin"), [(1, 0, 0.3), (2, 1, 0.3), (30, 2, 0.3), (90, 3, 0.3), (60, 4, 0.01)])
@pytest.mark.parametrize("sigma", [1.0, 0.02])
def test_covariance_agrees_with_scipy(n, seed, margin, sigma):
    A = hurwitz(n, seed, margin)
    found = noise_covariance(A, sigma)
    expected = solve_continuous_lyapunov(A, -(sigma**2) * np.eye(n))
    # Both are backward stable: relative error about n eps times the condition of the equation, at most
    # 2 ||A|| int ||exp(A t)||^2 dt, here 2 ||A|| ||C|| / sigma^2.
    condition = 2 * np.linalg.norm(A) * np.linalg.norm(expected) / sigma**2
    assert np.linalg.norm(found.covariance - expected) <= 10 * n * 2**-52 * condition * np.linalg.norm(expected)
    np.testing.assert_array_equal(found.covariance, found.covariance.T)
    assert found.error < 1e-10
    assert found.status.startswith("exact: relative residual")


def test_residual_is_the_one_stated_and_sparse_equals_dense():
    pre, post = random_edges(50, 0.1, 0)
    net = linear_network(pre, post, np.random.default_rng(0).normal(0, 20, pre.size), time_constants=np.full(50, 0.02))
    A = net.A.toarray()
    found = noise_covariance(net.A, 0.5)
    C = found.covariance
    rest = np.linalg.norm(A @ C + C @ A.T + 0.25 * np.eye(50)) / np.linalg.norm(0.25 * np.eye(50))
    assert rest < 1e-13  # ||A|| ||C|| / sigma^2 is about 1 for a row-dominant A: a few n eps
    assert found.error < 1e-13
    np.testing.assert_allclose(noise_covariance(A, 0.5).covariance, C, rtol=1e-12, atol=1e-15)


def test_residual_of_an_ill_conditioned_network_is_refined():
    # Slow and fast neurons: rates from 1e-3 to 1e4 per second, coupled one way.
    rate = np.logspace(-3, 4, 30)
    A = -np.diag(rate) + np.tril(np.ones((30, 30)), -1) * 1e-3
    found = noise_covariance(A, 1.0)
    assert found.error < 1e-10
    # Neuron 0 receives nothing: C_00 = 1 / (2 * 1e-3), to the condition of the slow mode, 1e7 eps.
    assert math.isclose(found.covariance[0, 0], 500, rel_tol=1e-8)


def test_refinement_lowers_the_residual(monkeypatch):
    # Abscissa -1e-4 at ||A|| = 40: one solve leaves about eps ||A|| ||C|| = 1e-9; the correction leaves less
    # (measured 1/15 of it).
    A = hurwitz(60, 4, margin=1e-4)
    found = []
    for limit in (1e3, 1e-11):
        monkeypatch.setattr(covariance, "RESIDUAL", limit)
        found.append(noise_covariance(A, 1.0))
    plain, refined = found
    assert refined.error < plain.error / 3
    assert "above the tolerance of 1.0e-11" in refined.status


def test_network_far_from_normal_is_refused_rather_than_answered_wrongly():
    # Eigenvalues -1..-2, but a chain of 40 with gains of 2: C is about 1e15 times larger than its smallest eigenvalue.
    A = -np.diag(np.linspace(1, 2, 40)) + np.triu(np.full((40, 40), 2.0), 1)
    with pytest.raises(InvalidInput, match="lost in rounding: its spectral abscissa is -1 1/s"):
        noise_covariance(A, 1.0)


@pytest.mark.parametrize("abscissa", [1e-3, 2.5])
def test_unstable_network_is_refused_with_its_abscissa(abscissa):
    A = hurwitz(20, 0, margin=-abscissa)
    with pytest.raises(InvalidInput, match="does not decay: its spectral abscissa is") as caught:
        noise_covariance(A, 1.0)
    stated = float(str(caught.value).split("abscissa is ")[1].split()[0])
    assert abs(stated - abscissa) <= 1e-3 * abscissa + 1e-12  # four digits are printed


def test_network_on_the_edge_of_stability_is_refused():
    # A Laplacian: eigenvalues 0 and -2, and 0 is not a decay even where rounding makes it -1e-17.
    for A in ([[-1.0, 1.0], [1.0, -1.0]], [[-0.1, 0.1], [0.3, -0.3]]):
        with pytest.raises(InvalidInput, match="its spectral abscissa is"):
            noise_covariance(A, 1.0)


def test_complete_graph():
    # C = -(sigma^2 / 2) A^-1 for symmetric A; A = w J - (n w + s) I has A^-1 (e_i - e_j) = -(e_i - e_j) / (n w + s):
    # bracket = (sigma^2 / 2) * 2 / (n w + s).
    n, w, s, sigma = 20, 0.3, 0.7, 0.5
    A = np.full((n, n), w)
    np.fill_diagonal(A, -((n - 1) * w + s))
    pre, post = np.nonzero(~np.eye(n, dtype=bool))
    expected = sigma**2 / (n * w + s)
    assert math.isclose(expected, 0.0373134328358, rel_tol=1e-11)
    np.testing.assert_allclose(brackets(A, pre, post, sigma), expected, rtol=1e-13)  # 20 terms, condition below 10


@pytest.mark.parametrize("w", [0.4, -0.4])
def test_two_neurons_of_either_sign(w):
    # A = [[-(|w|+s), w], [w, -(|w|+s)]]: e_1 - sign(w) e_2 is the eigenvector of -(2|w| + s), so that the bracket is
    # sigma^2 / (2|w| + s).
    s, sigma = 0.3, 2.0
    A = np.array([[-(abs(w) + s), w], [w, -(abs(w) + s)]])
    np.testing.assert_allclose(brackets(A, [0, 1], [1, 0], sigma), sigma**2 / (2 * abs(w) + s), rtol=1e-14)


def test_foster_identity_of_signed_row_sums():
    # -A = sum_{i<j} |w_ij| b b^T with b = e_i - sign(w_ij) e_j, so
    # N = tr(-A (-A)^-1) = sum |w_ij| b^T (-A)^-1 b = sum |w_ij| bracket_ij * 2 / sigma^2.
    n, sigma = 60, 0.7
    A = symmetric_network(n, 0.3, seed=1)
    post, pre = np.nonzero(np.triu(A, 1))
    total = (abs(A[post, pre]) * brackets(A, pre, post, sigma)).sum() * 2 / sigma**2
    assert math.isclose(total, n, rel_tol=1e-10)  # eps times the condition of A (below 1e4) with room


# ------------------------------------------------------------------------------------------------- local covariance


@pytest.mark.parametrize("w", [0.4, -0.4])
def test_local_covariance_is_exact_for_two_neurons(w):
    A = np.array([[-0.7, w], [w, -0.9]])
    found = local_covariance(A, 2.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.covariance.toarray(), noise_covariance(A, 2.0).covariance, rtol=1e-11)
    # The measured error is then that of the integral, from the whole space: some eps times a condition below 10.
    assert found.error < 1e-12


def test_local_covariance_measures_its_error(monkeypatch):
    n = 150
    pre, post = random_edges(n, 0.1, 0)
    lam = np.random.default_rng(0).normal(-50, 30, n)
    sign = np.where(pre < 0.8 * n, 1.0, -1.0)
    strength = lyapunov_matrix(pre, post, lam, resolution=1)
    net = linear_network(pre, post, sign * strength, time_constants=np.full(n, 0.02))
    monkeypatch.setattr(covariance, "LEFT_OUT", pre.size)
    local = local_covariance(net.A, 1.0, rng=np.random.default_rng(1))

    def scores(C):
        return keep_scores(pre, post, sign, strength=strength, covariance=C)

    exact = scores(noise_covariance(net.A, 1.0).covariance)
    true = abs(scores(local.covariance) / exact - 1).max()
    # Left out are paths through third neurons, of relative size 1 / (mean in-degree of 15).
    assert true < 1 / 15
    # Every synapse was measured, each bracket within 1e-4.
    assert abs(local.error - true) < 2e-4
    with pytest.raises(InvalidInput, match="row-dominant"):
        local_covariance(np.array([[-1.0, 3.0], [3.0, -1.0]]), 1.0, rng=np.random.default_rng(0))


@pytest.mark.parametrize("density", [0.1, 0.03, 0.01])
@pytest.mark.parametrize("kind", ["random", "clustered", "heavy-tailed"])
def test_the_error_told_is_near_the_largest_of_all(kind, density):
    n, rng = 300, np.random.default_rng(1)
    number = np.arange(n)
    p = {
        "random": np.ones((n, n)),
        "clustered": np.where(number[:, None] % 10 == number % 10, 6, 0.4),
        "heavy-tailed": np.outer(rng.pareto(1.5, n) + 0.3, rng.pareto(1.5, n) + 0.3),
    }[kind]
    post, pre = np.nonzero((rng.random((n, n)) < p / p.mean() * density) & ~np.eye(n, dtype=bool))
    sign = np.where(pre < 0.8 * n, 1.0, -1.0)
    strength = rng.lognormal(3, 0.5, pre.size)
    net = linear_network(pre, post, sign * strength, time_constants=np.clip(rng.gamma(3, 0.007, n), 1e-3, None))
    local, exact = local_covariance(net.A, 1.0, rng=rng), noise_covariance(net.A, 1.0)
    score = [keep_scores(pre, post, sign, strength=strength, covariance=C.covariance) for C in (local, exact)]
    true = abs(score[0] / score[1] - 1).max()
    # Brackets are right within 1e-4; 16 connections at random tell 0.1 to 0.6 of it.
    assert 0.5 * true < local.error < true + 2e-4


@pytest.mark.parametrize("diagonal", ["row-dominant", "shift"])
def test_sampled_brackets_are_exact_ones(diagonal):
    n = 200
    pre, post = random_edges(n, 0.1, 0)
    sign = np.where(pre < 0.8 * n, 1.0, -1.0)
    tau = np.random.default_rng(0).uniform(0.002, 0.1, n)
    net = linear_network(pre, post, 20 * sign, time_constants=tau, diagonal=diagonal)
    at = slice(40)
    found = covariance._unit_brackets(net.A, post[at], pre[at], sign[at])
    np.testing.assert_allclose(found, brackets(net.A.toarray(), pre[at], post[at]), rtol=1e-4)


def test_local_covariance_of_pairs_one_way_and_both_ways():
    # One way, j -> i with weight w: C_jj = 1 / (2 d_j), C_ij = w C_jj / (d_i + d_j), C_ii = (1 + 2 w C_ij) / (2 d_i).
    # The second pair is coupled both ways and exact as well; between the pairs there is nothing.
    A = np.diag([-2.0, -3.0, -4.0, -5.0])
    A[1, 0], A[2, 3], A[3, 2] = 1.5, -0.5, 2.0
    found = local_covariance(A, 1.0, rng=np.random.default_rng(0)).covariance.toarray()
    c01 = 1.5 * (1 / 4) / 5
    np.testing.assert_allclose(found[:2, :2], [[1 / 4, c01], [c01, (1 + 3 * c01) / 6]], rtol=1e-11)
    np.testing.assert_allclose(found, noise_covariance(A, 1.0).covariance, rtol=1e-11, atol=1e-14)


def test_error_of_a_local_covariance_that_does_not_decay_is_refused():
    # Spectral abscissa about 9 * 0.2 - 1 = 0.8, while the local equations have a solution: the terms of neuron i that
    # stand against its decay 1 are sums of a_ij^2 / 2 and a_ij a_ji / 2, about 0.2 each.
    A = np.random.default_rng(0).uniform(0, 0.4, (10, 10))
    np.fill_diagonal(A, -1)
    with pytest.raises(InvalidInput, match="does not decay, or too slowly"):
        local_covariance(A, 1.0, rng=np.random.default_rng(0))


def test_what_third_neurons_add_is_the_sum_over_them():
    rng = np.random.default_rng(0)
    S = rng.standard_normal((12, 12)) * (rng.random((12, 12)) < 0.5)
    np.fill_diagonal(S, 0)
    C, d = rng.standard_normal((12, 12)) * (rng.random((12, 12)) < 0.8), 1 + rng.random(12)
    C = C + C.T
    i, j = np.nonzero(S)
    found = covariance._left_out(csr_array(S), csr_array(C), d, i, j, S[i, j])
    for e, (a, b) in enumerate(zip(i, j, strict=True)):
        onto_a = sum(S[a, k] * C[k, b] for k in range(12) if k != b)
        onto_b = sum(S[b, k] * C[k, a] for k in range(12) if k != a)
        assert found[e] == pytest.approx(abs(onto_a + onto_b) / (d[a] + d[b]), abs=1e-12)
