"""Noise pruning against closed forms, exact identities, SciPy and averages over draws."""

import importlib
import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import eigh
from scipy.sparse import csr_array

from lnpbrian.checks import InvalidInput
from lnpbrian.pruning.steps import covariance
from lnpbrian.pruning.steps.covariance import noise_covariance
from lnpbrian.pruning.steps.lyapunov_matrix import estimated_lyapunov_matrix, lyapunov_matrix
from lnpbrian.pruning.steps.noise import (
    NoisePruneOptions,
    keep_probability,
    keep_scores,
    noise_prune,
    rescale,
    sample_edges,
)

# The module: its name is that of the function as well.
overlaps = importlib.import_module("lnpbrian.pruning.steps.lyapunov_matrix")


def random_edges(n, p, seed):
    rng = np.random.default_rng(seed)
    connected = rng.random((n, n)) < p
    np.fill_diagonal(connected, False)
    post, pre = np.nonzero(connected)
    shuffled = rng.permutation(pre.size)
    return pre[shuffled], post[shuffled]


def symmetric_network(n, density, seed):
    """Signed symmetric A whose diagonal is minus the absolute row sum (SDD), weights N(1, 1)."""
    rng = np.random.default_rng(seed)
    W = np.triu(rng.normal(1, 1, (n, n)) * (rng.random((n, n)) < density), 1)
    W = W + W.T
    return W - np.diag(abs(W).sum(axis=1))


# ----------------------------------------------------------------------------------------------------------- scores


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
    assert (keep_probability(s, fraction=0.5).probability == 1).sum() > 50_000


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


def test_noise_prune_takes_rho_or_an_accuracy():
    net = network()
    by_count = noise_prune(**net, count=200, rng=np.random.default_rng(5))
    by_rho = noise_prune(**net, rho=by_count.rho, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(by_rho.probability, by_count.probability)
    np.testing.assert_array_equal(by_rho.keep, by_count.keep)
    # 8 ln N / (eps^2 sigma^2), where scores grow as sigma^2: the same probabilities at any noise.
    loud = NoisePruneOptions(sigma=3.0)
    one, other = (
        noise_prune(**net, epsilon=2.0, rng=np.random.default_rng(5), options=options) for options in (None, loud)
    )
    assert math.isclose(one.rho, 2 * math.log(60), rel_tol=1e-14)
    assert math.isclose(other.rho, 2 * math.log(60) / 9, rel_tol=1e-14)
    np.testing.assert_allclose(other.probability, one.probability, rtol=1e-10)
    with pytest.raises(InvalidInput, match="exactly one of fraction, count, rho, epsilon is needed, got count, rho"):
        noise_prune(**net, count=200, rho=1.0, rng=np.random.default_rng(5))


@pytest.mark.parametrize("sampling", ["independent", "systematic", "even"])
def test_synapses_without_a_score_are_kept_after_all_others(sampling):
    net = network()
    # Neurons that do not answer to input: synapses onto them have no response.
    sensitivity = np.where(np.arange(60) < 40, 0.0, 0.01)
    without = sensitivity[net["post"]] == 0
    wanted = int((~without).sum()) + 30
    options = NoisePruneOptions(edge_strength="response", sampling=sampling)
    found = noise_prune(**net, count=wanted, rng=np.random.default_rng(5), options=options, sensitivity=sensitivity)
    np.testing.assert_allclose(found.probability[~without], 1)
    np.testing.assert_allclose(found.probability[without], 30 / without.sum(), rtol=1e-9)
    if sampling != "even":  # which may leave out a certain synapse for the sake of degrees
        assert found.keep[~without].all()
    assert abs(int(found.keep.sum()) - wanted) < 5 * np.sqrt(30)
    few = noise_prune(**net, count=20, rng=np.random.default_rng(5), options=options, sensitivity=sensitivity)
    assert not few.keep[without].any()


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
    monkeypatch.setattr(covariance, "EXACT_NEURONS", 59)
    assert (used(), used(covariance="exact"), used(diagonal="shift")) == ("local", "exact", "exact")
    monkeypatch.setattr(covariance, "DENSE_NEURONS", 59)
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
    expected = estimated_lyapunov_matrix(pre, post, lam, resolution=1.0, groups=groups, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(prune().lyapunov, exact)
    assert prune().lyapunov_error == 0
    assert "; lyapunov matrix exact overlap" in prune().status
    monkeypatch.setattr(overlaps, "DENSE_NEURONS", 59)
    np.testing.assert_array_equal(prune().lyapunov, exact)  # few synapses
    monkeypatch.setattr(overlaps, "AFFORDABLE_ENTRIES", 0)
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
