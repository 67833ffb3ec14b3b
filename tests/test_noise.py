"""Noise pruning against closed forms, exact identities, SciPy and averages over draws."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigh, solve_continuous_lyapunov
from scipy.sparse import csr_array

from lnpbrian.checks import InvalidInput
from lnpbrian.pruning import linearise, noise
from lnpbrian.pruning.linearise import estimated_lyapunov_matrix, linear_network, lyapunov_matrix
from lnpbrian.pruning.noise import (
    NoisePruneOptions,
    excitability_shift,
    keep_probability,
    keep_scores,
    local_covariance,
    noise_covariance,
    noise_prune,
    rescale,
    sample_edges,
)


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


# ------------------------------------------------------------------------------------------------------- covariance


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


def test_refinement_lowers_the_residual():
    # Abscissa -1e-4 at ||A|| = 40: one solve leaves about eps ||A|| ||C|| = 1e-9; the correction leaves less
    # (measured 1/15 of it).
    A = hurwitz(60, 4, margin=1e-4)
    plain, refined = (noise_covariance(A, 1.0, tolerance=limit) for limit in (1e3, 1e-11))
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


def test_scores_follow_the_direction_and_sign_of_each_synapse():
    C = np.diag([1.0, 2.0, 4.0])
    C[0, 1] = C[1, 0] = 0.5
    C[1, 2] = C[2, 1] = -1.0
    scores = keep_scores([0, 1, 2, 2], [1, 2, 1, 0], [3.0, -3.0, 3.0, 0.0], strength=[1.0, 2.0, 3.0, 4.0], covariance=C)
    # 1 (2 + 1 - 2 * .5), 2 (4 + 2 + 2 * -1), 3 (2 + 4 - 2 * -1), and no score without a weight.
    assert scores.tolist() == [2, 8, 24, 0]
    sparse = keep_scores([0, 1], [1, 2], [3.0, -3.0], strength=[1.0, 2.0], covariance=csr_array(C))
    assert sparse.tolist() == [2, 8]
    with pytest.raises(InvalidInput, match="positive semidefinite, got -3 between neurons 0 and 1"):
        keep_scores([0], [1], [1.0], strength=[1.0], covariance=np.array([[1.0, 3.0], [3.0, 2.0]]))


# ------------------------------------------------------------------------------------------------- local covariance


@pytest.mark.parametrize("w", [0.4, -0.4])
def test_local_covariance_is_exact_for_two_neurons(w):
    A = np.array([[-0.7, w], [w, -0.9]])
    found = local_covariance(A, 2.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.covariance.toarray(), noise_covariance(A, 2.0).covariance, rtol=1e-11)
    # The measured error is then that of the integral, from the whole space: some eps times a condition below 10.
    assert found.error < 1e-12


def test_local_covariance_measures_its_error():
    n = 150
    pre, post = random_edges(n, 0.1, 0)
    lam = np.random.default_rng(0).normal(-50, 30, n)
    sign = np.where(pre < 0.8 * n, 1.0, -1.0)
    strength = lyapunov_matrix(pre, post, lam, resolution=1)
    net = linear_network(pre, post, sign * strength, time_constants=np.full(n, 0.02))
    local = local_covariance(net.A, 1.0, rng=np.random.default_rng(1), samples=pre.size)

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


@pytest.mark.parametrize("diagonal", ["row-dominant", "shift"])
def test_sampled_brackets_are_exact_ones(diagonal):
    n = 200
    pre, post = random_edges(n, 0.1, 0)
    sign = np.where(pre < 0.8 * n, 1.0, -1.0)
    tau = np.random.default_rng(0).uniform(0.002, 0.1, n)
    net = linear_network(pre, post, 20 * sign, time_constants=tau, diagonal=diagonal)
    at = slice(40)
    found = noise._unit_brackets(net.A, post[at], pre[at], sign[at])
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


# --------------------------------------------------------------------------------------------------- probabilities

positive_scores = st.lists(
    st.one_of(st.just(0.0), st.floats(1e-12, 1e12), st.sampled_from([1.0, 2.0])), min_size=1, max_size=60
)


@settings(max_examples=300, deadline=None)
@given(positive_scores, st.floats(0, 1))
def test_target_count_is_met_exactly(scores, part):
    s = np.array(scores)
    target = part * (s > 0).sum()
    found = keep_probability(s, count=target)
    # One division and one sum of at most 60 terms: 60 eps relative.
    assert abs(found.probability.sum() - target) <= 1e-13 * max(target, 1)
    np.testing.assert_allclose(found.probability, np.minimum(1, found.rho * s), rtol=1e-15)
    assert abs(found.expected_count - target) <= 1e-13 * max(target, 1)


def test_target_count_with_many_clipped():
    s = np.random.default_rng(0).lognormal(0, 4, 200_000)
    for fraction in (0.001, 0.05, 0.5, 0.9, 0.999, 1.0):
        found = keep_probability(s, fraction=fraction)
        assert abs(math.fsum(found.probability) - fraction * s.size) < 1e-9 * s.size
    assert keep_probability(s, fraction=0.5).certain > 50_000


def test_epsilon_and_rho():
    # 8 ln N / (eps^2 sigma^2) with N = e^2 rounded to 7, eps = 1/2, sigma = 2: 8 ln 7.
    found = keep_probability([0.0, 1e-3, 1.0], epsilon=0.5, neurons=7, sigma=2.0)
    assert math.isclose(found.rho, 8 * math.log(7), rel_tol=1e-15)
    np.testing.assert_allclose(found.probability, [0, 8e-3 * math.log(7), 1], rtol=1e-15)
    assert keep_probability([1.0, 4.0], rho=0.125).probability.tolist() == [0.125, 0.5]
    assert keep_probability([], fraction=0.5).expected_count == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "exactly one of fraction, count, rho, epsilon is needed, got none"),
        ({"rho": 1.0, "count": 1}, "got count, rho"),
        ({"count": 2.5}, r"at most the number of synapses with a score above 0 \(2 of 3\), got 2.5"),
        ({"fraction": 0.9}, r"\(2 of 3\), got 2.7"),
        ({"count": -1}, r"count must be a number in \[0, inf\), got -1"),
        ({"fraction": 1.1}, r"fraction must be a number in \[0, 1\]"),
        ({"epsilon": 0.5}, "epsilon needs neurons and sigma"),
    ],
)
def test_wrong_targets(options, message):
    with pytest.raises(InvalidInput, match=message):
        keep_probability([0.0, 1.0, 2.0], **options)


def test_negative_scores_are_refused():
    with pytest.raises(InvalidInput, match="scores must be at least 0, got -1"):
        keep_probability([1.0, -1.0], count=1)


# ------------------------------------------------------------------------------------------------- sampling, spectrum


def test_pruned_network_has_the_mean_of_the_network():
    n = 12
    pre, _ = random_edges(n, 0.4, 0)
    w = np.random.default_rng(1).normal(0, 1, pre.size)
    p = np.random.default_rng(2).uniform(0.1, 1, pre.size)
    rng, draws = np.random.default_rng(3), 4000
    total = np.zeros(pre.size)
    for _ in range(draws):
        keep = sample_edges(p, rng=rng)
        total[keep] += rescale(w, keep, p, method="inverse").weights
    # Each kept weight is w/p with probability p: variance w^2 (1 - p) / p.
    error = np.abs(w) * np.sqrt((1 - p) / p / draws)
    assert (abs(total / draws - w) < 5 * error).all()


def test_certain_and_impossible_synapses():
    p = np.array([1.0, 0.0] * 500)
    np.testing.assert_array_equal(sample_edges(p, rng=np.random.default_rng(0)), p == 1)
    with pytest.raises(InvalidInput, match=r"probability must be in \[0, 1\], got 1.2"):
        sample_edges([1.2], rng=np.random.default_rng(0))


@pytest.mark.parametrize(("epsilon", "kept"), [(0.9, 0.245), (0.7, 0.404)])
def test_spectrum_is_kept_within_epsilon(epsilon, kept):
    # N = 400 signed SDD, density 0.6, weights N(1, 1); one triangle is sampled and mirrored, the diagonal is set to the
    # new absolute row sums (A_ii - Delta_i), as in the theorem of Moore and Chaudhuri (2020).
    n, sigma = 400, 1.0
    A = symmetric_network(n, 0.6, seed=0)
    post, pre = np.nonzero(np.triu(A, 1))
    w = A[post, pre]
    C = noise_covariance(A, sigma).covariance
    scores = keep_scores(pre, post, w, strength=abs(w), covariance=C)
    found = keep_probability(scores, epsilon=epsilon, neurons=n, sigma=sigma)
    # The kept fraction of the notes (mean over five other draws of A); between draws of A it varies by about 1/n.
    assert abs(found.expected_count / w.size - kept) < 0.01
    keep = sample_edges(found.probability, rng=np.random.default_rng(1))
    sparse = np.zeros((n, n))
    sparse[post[keep], pre[keep]] = rescale(w, keep, found.probability, method="inverse").weights
    sparse = sparse + sparse.T
    sparse -= np.diag(abs(sparse).sum(axis=1))
    ratio = eigh(-sparse, -A, eigvals_only=True)
    assert 1 - epsilon < ratio.min() < ratio.max() < 1 + epsilon


# --------------------------------------------------------------------------------------------------------- rescaling


def mean_inputs(pre, post, w, rates, sign):
    chosen = np.sign(w) == sign
    return np.bincount(post[chosen], weights=w[chosen] * rates[pre[chosen]], minlength=rates.size)


def test_homeostatic_keeps_mean_inputs_per_neuron_and_sign():
    n = 80
    rng = np.random.default_rng(0)
    pre, post = random_edges(n, 0.5, 0)
    w = np.where(pre < 50, 1, -4) * rng.gamma(2, 1, pre.size)
    rates = rng.uniform(1, 50, n)
    keep = rng.random(pre.size) < 0.6
    found = rescale(w, keep, pre=pre, post=post, rates=rates)
    assert found.uncompensated == 0  # about 15 and 9 kept in each group
    for sign in (1, -1):
        before = mean_inputs(pre, post, w, rates, sign)
        after = mean_inputs(pre[keep], post[keep], found.weights, rates, sign)
        np.testing.assert_allclose(after, before, rtol=1e-13)  # sums of at most 80 terms of one sign
    assert found.largest_factor == (found.weights / w[keep]).max()
    # One factor per group, so ratios inside a group stay.
    group = 2 * post[keep] + (w[keep] < 0)
    factor = found.weights / w[keep]
    assert all(np.ptp(factor[group == g]) < 1e-14 * factor.max() for g in np.unique(group))


def test_homeostatic_counts_what_cannot_be_compensated():
    pre, post = np.array([0, 1, 2, 3, 4]), np.array([5, 5, 5, 5, 5])
    w = np.array([1.0, 3.0, -2.0, 1.0, 0.0])
    rates = np.array([10.0, 10.0, 10.0, 0.0, 5.0, 1.0])
    lost = rescale(w, [True, True, False, True, True], pre=pre, post=post, rates=rates)
    assert (lost.weights.tolist(), lost.uncompensated) == ([1, 3, 1, 0], 1)  # all inhibition is gone
    silent = rescale(w, [False, False, True, True, True], pre=pre, post=post, rates=rates)
    assert (silent.weights.tolist(), silent.uncompensated) == ([-2, 1, 0], 1)  # a silent neuron cannot carry 40
    # With all presynaptic neurons silent they count as equal: (1 + 3 + 1) / (1 + 1) on excitation.
    equal = rescale(w, [True, False, True, True, True], pre=pre, post=post, rates=np.zeros(6))
    assert (equal.weights.tolist(), equal.uncompensated) == ([2.5, -2, 2.5, 0], 0)


def test_factor_is_bounded_by_cap():
    w, keep, p = [1.0, 1.0, -1.0], [True, False, True], [0.5, 0.5, 0.01]
    assert rescale(w, keep, p, method="capped", cap=10).weights.tolist() == [2, -10]
    assert rescale(w, keep, p, method="capped", cap=10).capped == 1
    assert rescale(w, keep, p, method="inverse").weights.tolist() == [2, -100]
    assert rescale(w, keep, p, method="none").weights.tolist() == [1, -1]
    homeostatic = rescale(w, keep, pre=[0, 1, 2], post=[3, 3, 3], cap=1.5)
    assert (homeostatic.weights.tolist(), homeostatic.capped) == ([1.5, -1], 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "inverse"}, "needs probability"),
        ({"method": "capped", "probability": [1.0, 1.0]}, "needs cap"),
        ({"method": "homeostatic"}, "needs pre and post"),
        ({"method": "inverse", "probability": [0.0, 1.0]}, "probability 0"),
        ({"method": "best"}, "method must be one of"),
        ({"method": "homeostatic", "pre": [0, 1], "post": [1, 0], "rates": [-1.0, 1.0]}, "at least 0 Hz, got -1"),
    ],
)
def test_wrong_rescaling(options, message):
    with pytest.raises(InvalidInput, match=message):
        rescale([1.0, 2.0], [True, True], **options)


def test_excitability_shift():
    # Neuron 1 loses 2 at 10 Hz and gains 1 at 4 Hz, neuron 0 nothing: (-20 + 4) * 5 ms.
    shift = excitability_shift(
        [0, 2, 1], [1, 1, 0], [2.0, 3.0, 7.0], pruned_weights=[0.0, 4.0, 7.0], rates=[10.0, 9.0, 4.0], gain=0.005
    )
    np.testing.assert_allclose(shift, [0, -0.08, 0], rtol=1e-15, atol=0)
    with pytest.raises(InvalidInput, match="gain must be a time above 0"):
        excitability_shift([0], [1], [1.0], pruned_weights=[0.0], rates=[1.0, 1.0], gain=-1.0)


# ------------------------------------------------------------------------------------------------------ all together


def network(n=60, p=0.2, seed=0):
    pre, post = random_edges(n, p, seed)
    rng = np.random.default_rng(seed + 1)
    return {
        "pre": pre,
        "post": post,
        "weights": np.where(pre < 0.8 * n, 1.0, -4.0) * rng.gamma(2, 1, pre.size),
        "exponents": -rng.uniform(20, 80, n),
        "time_constants": rng.uniform(0.005, 0.04, n),
        "resolution": 1.0,
    }


@pytest.mark.parametrize(
    "options",
    [
        NoisePruneOptions(),
        NoisePruneOptions.paper(),
        NoisePruneOptions(edge_strength="weight", rescale="none"),
        NoisePruneOptions(edge_strength="lyapunov*weight", diagonal="shift", neighbours="in"),
        NoisePruneOptions(covariance="local", rescale="capped", cap=5.0),
    ],
    ids=["default", "paper", "weight", "shift", "local"],
)
def test_noise_prune_is_reproducible_and_meets_its_count(options):
    net = network()
    first = noise_prune(**net, fraction=0.3, rng=np.random.default_rng(5), options=options)
    again = noise_prune(**net, fraction=0.3, rng=np.random.default_rng(5), options=options)
    np.testing.assert_array_equal(first.keep, again.keep)
    np.testing.assert_array_equal(first.weights, again.weights)
    size = net["pre"].size
    assert math.isclose(first.expected_count, 0.3 * size, rel_tol=1e-12)
    # A sum of independent indicators: variance sum p (1 - p).
    spread = math.sqrt((first.probability * (1 - first.probability)).sum())
    assert abs(first.keep.sum() - first.expected_count) < 5 * spread
    assert (np.sign(first.weights) == np.sign(net["weights"][first.keep])).all()
    assert (first.bias_shift == 0).all()
    assert f"kept {first.keep.sum()} of {size} synapses" in first.status


def test_noise_prune_does_not_depend_on_sigma_or_on_the_order_of_synapses():
    net = network()
    options = NoisePruneOptions(sigma=0.01)
    one = noise_prune(**net, fraction=0.3, rng=np.random.default_rng(5))
    quiet = noise_prune(**net, fraction=0.3, rng=np.random.default_rng(5), options=options)
    np.testing.assert_allclose(quiet.probability, one.probability, rtol=1e-10)  # scores scale by sigma^2
    turned = {k: v[::-1] if k in ("pre", "post", "weights") else v for k, v in net.items()}
    back = noise_prune(**turned, fraction=0.3, rng=np.random.default_rng(5))
    np.testing.assert_allclose(back.probability[::-1], one.probability, rtol=1e-10)


def test_compensated_excitability_restores_the_mean_input():
    net = network()
    rates = np.random.default_rng(0).uniform(1, 30, 60)
    options = NoisePruneOptions(rescale="none", excitability="compensate")
    found = noise_prune(**net, fraction=0.3, rng=np.random.default_rng(5), options=options, rates=rates, gain=0.005)
    pre, post, w = net["pre"], net["post"], net["weights"]
    before = 0.005 * np.bincount(post, weights=w * rates[pre], minlength=60)
    after = 0.005 * np.bincount(post[found.keep], weights=found.weights * rates[pre[found.keep]], minlength=60)
    # Sums of at most 60 terms of size up to 0.005 * 20 * 30: 60 * 3 * eps.
    np.testing.assert_allclose(after + found.bias_shift, before, rtol=0, atol=60 * 3 * 2**-52)
    with pytest.raises(InvalidInput, match="needs rates and gain"):
        noise_prune(**net, fraction=0.3, rng=np.random.default_rng(5), options=options)


def test_covariance_is_chosen_by_size_and_diagonal(monkeypatch):
    net = network()

    def used(**options):
        found = noise_prune(**net, fraction=0.3, rng=np.random.default_rng(5), options=NoisePruneOptions(**options))
        return found.status.split("covariance ")[1].split(":")[0]

    assert (used(), used(covariance="local")) == ("exact", "local")
    monkeypatch.setattr(noise, "EXACT_NEURONS", 59)
    assert (used(), used(covariance="exact"), used(diagonal="shift")) == ("local", "exact", "exact")
    monkeypatch.setattr(noise, "DENSE_NEURONS", 59)
    assert (used(), used(covariance="exact", diagonal="shift")) == ("local", "exact")
    with pytest.raises(InvalidInput, match="diagonal='shift' needs the exact covariance, five dense matrices of 60 x"):
        used(diagonal="shift")


def test_overlap_is_estimated_where_it_is_out_of_reach(monkeypatch):
    net = network()
    groups = np.arange(60) % 3

    def prune(**options):
        return noise_prune(
            **net, groups=groups, fraction=0.3, rng=np.random.default_rng(5), options=NoisePruneOptions(**options)
        )

    pre, post, lam = net["pre"], net["post"], net["exponents"]
    exact = lyapunov_matrix(pre, post, lam, resolution=1.0)
    expected = estimated_lyapunov_matrix(
        pre, post, lam, resolution=1.0, groups=groups, rng=np.random.default_rng(0), samples=pre.size
    )
    np.testing.assert_array_equal(prune().lyapunov, exact)
    assert prune().lyapunov_error == 0
    assert prune().status.endswith("; lyapunov matrix exact overlap")
    monkeypatch.setattr(linearise, "DENSE_NEURONS", 59)
    np.testing.assert_array_equal(prune().lyapunov, exact)  # few synapses
    monkeypatch.setattr(linearise, "AFFORDABLE_ENTRIES", 0)
    estimated = prune()  # fewer than 1000 synapses: all are measured
    np.testing.assert_array_equal(estimated.lyapunov, expected.lyapunov)
    assert estimated.lyapunov_error == expected.error > 0
    assert f"; lyapunov matrix {expected.status}" in estimated.status
    np.testing.assert_array_equal(prune(overlap="exact").lyapunov, exact)
    monkeypatch.undo()
    np.testing.assert_array_equal(prune(overlap="expected").lyapunov, expected.lyapunov)


def test_options_are_validated_and_immutable():
    with pytest.raises(InvalidInput, match="overlap must be one of auto, exact, expected"):
        NoisePruneOptions(overlap="sampled")
    with pytest.raises(InvalidInput, match="diagonal must be one of"):
        NoisePruneOptions(diagonal="row")
    with pytest.raises(InvalidInput, match="needs cap"):
        NoisePruneOptions(rescale="capped")
    with pytest.raises(FrozenInstanceError):
        NoisePruneOptions().sigma = 2.0
    paper = NoisePruneOptions.paper()
    assert (paper.signed, paper.covariance, paper.overlap) == (True, "exact", "exact")
