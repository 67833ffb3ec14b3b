"""Step IV against closed forms, SciPy's quadrature, POT, scikit-optimize, and random search."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import ot
import pytest
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.linalg import eigvalsh
from scipy.stats import gamma, kstest, lognorm
from skopt.acquisition import gaussian_ei

from lnpbrian.checks import InvalidInput
from lnpbrian.models import uncoupled
from lnpbrian.network import STDP
from lnpbrian.timescales import (
    GammaLaw,
    LawBounds,
    Laws,
    LognormalLaw,
    Measurement,
    ObjectiveOptions,
    OptimiserOptions,
    SearchSpace,
    SinkhornMatern,
    TimescaleOptimiser,
    expected_improvement,
    fit_laws,
    law_distance,
    law_kernel,
    quantiles,
    resample,
    sample_distance,
    spectrum_objective,
    tune_time_constants,
    with_laws,
)

LIMITS = (1e-3, 0.2)
positive = st.floats(0.3, 30)


def gamma_laws(n, seed):
    rng = np.random.default_rng(seed)
    return [GammaLaw(*np.exp(rng.uniform(np.log([0.5, 2e-3]), np.log([20, 100e-3])))) for _ in range(n)]


# -------------------------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize(
    ("law", "reference"),
    [
        (GammaLaw(2.5, 0.02), gamma(2.5, scale=0.02 / 2.5)),
        # Coefficient of variation exp(s^2) - 1 = 1/shape; median mean exp(-s^2/2).
        (LognormalLaw(2.5, 0.02), lognorm(np.sqrt(np.log(1.4)), scale=0.02 / np.sqrt(1.4))),
    ],
)
def test_laws_are_those_of_scipy(law, reference):
    u = np.array([1e-12, 1e-3, 0.4, 0.5, 0.9, 1 - 1e-9])
    # Both invert special functions to a few ulp; 1 - 1e-9 itself is known to 1e-7 relatively, both get the same number.
    np.testing.assert_allclose(law.quantile(u), reference.ppf(u), rtol=1e-7)
    np.testing.assert_allclose(law.cdf(reference.ppf(u)), u, rtol=1e-7)
    assert reference.mean() == pytest.approx(law.mean, rel=1e-12)
    assert reference.std() == pytest.approx(law.mean / np.sqrt(law.shape), rel=1e-12)


def test_fit_finds_the_laws_of_clusters():
    rng = np.random.default_rng(3)
    n = 4000
    tau = np.concatenate([rng.gamma(3, 0.02 / 3, n), rng.gamma(8, 0.05 / 8, n)])
    spec = replace(uncoupled(1e3 * tau * ms), cluster=np.arange(2 * n) // n)
    for law, truth in zip(fit_laws(spec).time_constants, (GammaLaw(3, 0.02), GammaLaw(8, 0.05)), strict=True):
        # Standard errors: of the mean cv/sqrt(n), of ln k at most sqrt(2/n) (Fisher information for k > 1).
        assert abs(np.log(law.shape / truth.shape)) < 5 * np.sqrt(2 / n)
        assert abs(law.mean / truth.mean - 1) < 5 / np.sqrt(truth.shape * n)


def test_a_network_without_spread_has_no_gamma_law():
    with pytest.raises(InvalidInput, match="do not spread"):
        fit_laws(uncoupled([20, 20, 20] * ms))


# -------------------------------------------------------------------------------------------------------- resampling


def clipped_sample(n, law, seed=0):
    return np.clip(law.quantile(np.random.default_rng(seed).random(n)), *LIMITS)


def test_the_same_law_changes_nothing():
    tau = clipped_sample(1000, GammaLaw(1, 0.05))
    law = [GammaLaw(1.7, 0.03)]
    assert (resample(tau, np.zeros(1000), (law, law), limits=LIMITS) == tau).all()
    spec = uncoupled(1e3 * tau * ms)
    laws = Laws(law[0])
    assert (with_laws(spec, laws, before=laws).time_constants == spec.time_constants).all()


@settings(max_examples=60, deadline=None)
@given(positive, positive, st.floats(5e-3, 80e-3), st.floats(5e-3, 80e-3), st.integers(0, 1000))
def test_order_and_limits_are_kept(k, shape, mean, new_mean, seed):
    tau = clipped_sample(200, GammaLaw(k, mean), seed)
    moved = resample(tau, np.zeros(200), ([GammaLaw(k, mean)], [GammaLaw(shape, new_mean)]), limits=LIMITS)
    assert moved.min() >= LIMITS[0]
    assert moved.max() <= LIMITS[1]
    order = np.argsort(tau, kind="stable")
    inside = (tau[order] > LIMITS[0] * 1.001) & (tau[order] < LIMITS[1] / 1.001)
    assert (np.diff(moved[order][inside]) >= 0).all()
    # Those that were clipped stay on their side of all others.
    if inside.any():
        assert (moved[tau == LIMITS[0]] <= moved[order][inside][0]).all()
        assert (moved[tau == LIMITS[1]] >= moved[order][inside][-1]).all()


def test_resampled_values_follow_the_new_law_although_a_third_was_clipped():
    before, after, n = GammaLaw(1.0, 0.2), GammaLaw(4.0, 0.02), 4000
    # Stratified quantiles leave nothing to chance: one value in every 1/n.
    tau = np.clip(before.quantile((np.random.default_rng(1).permutation(n) + 0.5) / n), *LIMITS)
    assert 0.3 < np.mean(tau == LIMITS[1]) < 0.4
    u = quantiles(tau, np.zeros(n), [before], limits=LIMITS)
    # Stratified within each of the three parts, whose ends are multiples of 1/n only to 1/n.
    assert kstest(u, "uniform").statistic < 3 / n
    moved = resample(tau, np.zeros(n), ([before], [after]), limits=LIMITS)
    assert kstest(moved, lambda x: after.cdf(x)).statistic < 3 / n
    # Half of the neurons by index get about half of the clipped quantiles on either side of their middle.
    clipped = u[tau == LIMITS[1]]
    first, second = np.array_split(clipped, 2)
    # n/6 values each, multiples of the golden section: discrepancy below 3 ln(m)/m.
    assert abs(first.mean() - second.mean()) < 3 * np.log(first.size) / first.size * np.ptp(clipped)


def test_there_and_back():
    laws = GammaLaw(3, 0.02), GammaLaw(6, 0.05)
    tau = clipped_sample(500, laws[0], 5)
    tau = tau[(tau > LIMITS[0]) & (tau < 0.08)]
    moved = resample(tau, np.zeros(tau.size), ([laws[0]], [laws[1]]))
    back = resample(moved, np.zeros(tau.size), ([laws[1]], [laws[0]]))
    # 1 - u is known to 1e-16/(1 - u), and 1 - u > 1e-4 below 80 ms; lower tails keep their digits.
    np.testing.assert_allclose(back, tau, rtol=1e-10)


def test_clusters_have_their_own_laws_and_one_law_covers_all():
    x, group = np.array([0.01, 0.02, 0.03]), np.array([0, 1, 0])
    a, b = GammaLaw(3, 0.02), GammaLaw(3, 0.04)
    # The same shape: quantiles scale with the mean.
    np.testing.assert_allclose(resample(x, group, ([a, a], [a, b])), [0.01, 0.04, 0.03], rtol=1e-12)
    np.testing.assert_allclose(resample(x, group, ([a], [b])), 2 * x, rtol=1e-12)
    np.testing.assert_allclose(resample(x, group, ([a, b], [b])), [0.02, 0.02, 0.06], rtol=1e-12)
    with pytest.raises(InvalidInput, match=r"2 laws do not fit clusters 0\.\.2"):
        resample(x, [0, 1, 2], ([a, b], [a, b]))


@pytest.mark.parametrize(("wanted", "factor"), [(5e-3, 1 + 1e-5), (5e-3 * (1 - 3e-7), 1 - 1e-5)])
def test_time_constants_keep_away_from_the_synaptic_one(wanted, factor):
    spec = uncoupled([10, 30] * ms, synaptic_time_constant=5 * ms)
    moved = with_laws(spec, Laws(GammaLaw(3, wanted)), before=Laws(GammaLaw(3, 10e-3)))
    # NetworkSpec would have refused it; 1e-9 is rounding over the distance of 1e-5.
    assert moved.time_constants[0] == pytest.approx(5e-3 * factor, rel=1e-9)
    assert moved.time_constants[1] == pytest.approx(3 * wanted, rel=1e-9)


def test_synaptic_time_constant_at_the_limits():
    before, tiny, huge = Laws(GammaLaw(3, 10e-3)), Laws(GammaLaw(3, 1e-6)), Laws(GammaLaw(3, 1e3))
    low = with_laws(uncoupled([10, 30] * ms, synaptic_time_constant=1 * ms), tiny, before=before)
    high = with_laws(uncoupled([10, 30] * ms, synaptic_time_constant=200 * ms), huge, before=before)
    np.testing.assert_allclose(low.time_constants, 1e-3 * (1 + 1e-5), rtol=1e-9)
    np.testing.assert_allclose(high.time_constants, 0.2 * (1 - 1e-5), rtol=1e-9)


def test_constants_of_stdp():
    stdp = STDP(np.array([0.02, 0.03]), np.full(2, 0.02), np.full(2, 0.001), np.full(2, 0.001), 0.0, 1.0)
    spec = replace(
        uncoupled([10, 30] * ms), pre=np.array([0, 1]), post=np.array([1, 0]), weights=np.ones(2), plasticity=stdp
    )
    before = Laws(GammaLaw(3, 0.02), tau_plus=GammaLaw(3, 0.02), eta_minus=LognormalLaw(4, 0.001))
    after = replace(before, tau_plus=GammaLaw(3, 0.04), eta_minus=LognormalLaw(4, 0.003))
    moved = with_laws(spec, after, before=before)
    np.testing.assert_allclose(moved.plasticity.tau_plus, [0.04, 0.06], rtol=1e-12)
    np.testing.assert_allclose(moved.plasticity.eta_minus, 0.003, rtol=1e-12)
    assert (moved.plasticity.tau_minus == stdp.tau_minus).all()
    assert (moved.time_constants == spec.time_constants).all()
    with pytest.raises(InvalidInput, match="no plasticity"):
        with_laws(uncoupled([10, 30] * ms), after, before=before)
    with pytest.raises(InvalidInput, match="present law is not known"):
        with_laws(spec, after, before=Laws(GammaLaw(3, 0.02)))


# --------------------------------------------------------------------------------------------------------- distances


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ground", ["linear", "log"])
def test_distance_of_gamma_laws_is_the_integral(seed, ground):
    a, b = gamma_laws(2, seed)
    f = np.log if ground == "log" else (lambda x: x)

    def integrand(u):
        return float((f(a.quantile(u)) - f(b.quantile(u))) ** 2)

    # In pieces, since the ends are singular like ln^2; what lies outside is below 1e-15 ln^2(1e-15)/W2^2.
    edges = [1e-15, 1e-9, 1e-4, 0.1, 0.9, 1 - 1e-4, 1 - 1e-9]
    total = sum(quad(integrand, *ends, epsabs=0, epsrel=1e-10, limit=200)[0] for ends in pairwise(edges))
    # Left out above: 1e-9 ln^2(1e-9) of scales that are at most a few W2; half of it, since W2 is a root.
    assert law_distance(a, b, ground=ground) == pytest.approx(np.sqrt(total), rel=3e-6)


def test_distances_in_closed_form():
    # Same shape: quantiles are proportional. Rounding and the stated 1e-9 of the quadrature.
    a, b = GammaLaw(2.0, 0.01), GammaLaw(2.0, 0.05)
    assert law_distance(a, b) == pytest.approx(0.04 * np.sqrt(1.5), rel=1e-9)
    assert law_distance(a, b, ground="log") == pytest.approx(np.log(5), rel=1e-9)
    # Lognormal laws with m exp(s z - s^2/2): E[F^-1 G^-1] = m n exp(s t).
    p, q = LognormalLaw(3.0, 1.0), LognormalLaw(1.0, 2.0)
    squared = np.exp(p.spread**2) + 4 * np.exp(q.spread**2) - 4 * np.exp(p.spread * q.spread)
    assert law_distance(p, q) == pytest.approx(np.sqrt(squared), rel=1e-9)
    means = np.log(2) - (q.spread**2 - p.spread**2) / 2
    assert law_distance(p, q, ground="log") == pytest.approx(np.hypot(means, q.spread - p.spread), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000))
def test_distance_of_samples_is_that_of_pot(n, m, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(1, 2, size=m)
    # POT returns W^2, its staircases made of cumulative sums of 1/n: steps of 1e-16 too many or too few.
    assert sample_distance(a, b) == pytest.approx(np.sqrt(ot.wasserstein_1d(a, b, p=2)), rel=1e-9, abs=1e-7)
    assert sample_distance(a, a) == 0
    assert sample_distance(a, np.repeat(a, 3)) == 0
    assert sample_distance(a, b) == pytest.approx(sample_distance(b, a), rel=1e-12)


def test_distance_of_laws_is_that_of_large_samples():
    a, b = GammaLaw(3, 0.02), GammaLaw(1.5, 0.03)
    u = (np.arange(20_000) + 0.5) / 20_000
    squared = ot.wasserstein_1d(a.quantile(u), b.quantile(u), p=2)
    # The midpoint rule leaves out, of the ends, (1/n) ln^2 n = 0.005 of the squared scale times the spread inside a
    # cell (order 1/ln^2 n): 1e-4 of the square at most.
    assert law_distance(a, b) == pytest.approx(np.sqrt(squared), rel=2e-4)


# ------------------------------------------------------------------------------------------------------------ kernel


@pytest.mark.parametrize("ground", ["linear", "log"])
@pytest.mark.parametrize("seed", range(3))
def test_kernel_of_gamma_laws_is_positive_definite(ground, seed):
    laws = gamma_laws(100, seed)
    scale = 0.03 if ground == "linear" else 1.0
    for factor in (0.3, 1, 3, 10):
        K = law_kernel(laws, length_scale=factor * scale, ground=ground)
        # Rounding of a matrix of norm 100: 100 eps = 2e-14.
        assert eigvalsh(K)[0] > -1e-12
    d = law_distance(laws[0], laws[7], ground=ground)
    r = np.sqrt(5) * d / (10 * scale)
    assert K[0, 7] == pytest.approx((1 + r + r**2 / 3) * np.exp(-r), rel=1e-12)


def test_joint_kernel_of_several_laws():
    pairs = [Laws(tuple(gamma_laws(2, seed))) for seed in range(60)]
    K = law_kernel(pairs, length_scale=1.0)
    assert eigvalsh(K)[0] > -1e-12
    parts = [law_distance(a, b, ground="log") for a, b in zip(pairs[0].listed(), pairs[1].listed(), strict=True)]
    r = np.sqrt(5) * np.hypot(*parts)
    assert K[0, 1] == pytest.approx((1 + r + r**2 / 3) * np.exp(-r), rel=1e-12)


def matern(r):
    r = np.sqrt(5) * r
    return (1 + r + r**2 / 3) * np.exp(-r)


def test_on_the_first_wasserstein_distance_it_is_not():
    # W1 is the L1 distance of quantile functions: exp(-W1) is positive definite, the smoother Matern kernels are not.
    u = (np.arange(400) + 0.5) / 400
    q = np.array([law.quantile(u) for law in gamma_laws(60, 0)])
    W1 = np.abs(q[:, np.newaxis] - q).mean(axis=2)
    W2 = np.sqrt(((q[:, np.newaxis] - q) ** 2).mean(axis=2))
    lowest = {name: min(eigvalsh(matern(W / s))[0] for s in (0.03, 0.1, 0.3)) for name, W in (("1", W1), ("2", W2))}
    # Rounding of a matrix of norm 60 is 1e-14.
    assert lowest["1"] < -1e-6
    assert lowest["2"] > -1e-12


def test_sinkhorn_kernel_is_checked():
    with pytest.raises(InvalidInput, match=r"not positive definite: an eigenvalue is -0.5"):
        SinkhornMatern.check(np.array([[1.0, 1.5], [1.5, 1.0]]))
    SinkhornMatern.check(np.eye(3))
    # Sixty gamma laws in logarithms, and a blur as wide as a law: refused, although each law is one-dimensional.
    u = (np.arange(24) + 0.5) / 24
    with pytest.raises(InvalidInput, match=r"is not positive definite: an eigenvalue is -0\.00"):
        SinkhornMatern.check(
            SinkhornMatern(3.0, regularisation=1.0)(np.array([np.log(law.quantile(u)) for law in gamma_laws(60, 0)]))
        )


def test_sinkhorn_divergence_approaches_the_distance():
    x, y = np.linspace(0, 1, 24), np.linspace(0.5, 2, 24) ** 2
    r = np.sqrt(np.mean((x - y) ** 2))
    for regularisation in (0.5, 0.2, 0.05):
        K = SinkhornMatern(1.0, regularisation=regularisation)(np.stack([x, y]))
        # The divergence of smooth laws misses the squared distance by order regularisation^2 (Chizat et al. 2020),
        # here 0.1 of it; |d matern/d(r^2)| <= 5/6.
        assert K[0, 1] == pytest.approx(matern(r), abs=0.1 * regularisation**2 + 1e-3)
        own = ot.bregman.empirical_sinkhorn_divergence(x[:, None], y[:, None], regularisation)
        # Both stop at 1e-9.
        assert K[0, 1] == pytest.approx(matern(np.sqrt(own)), abs=1e-7)
    K, gradient = SinkhornMatern(0.8)(np.stack([x, y]), eval_gradient=True)
    higher, lower = (SinkhornMatern(0.8 * np.exp(s))(np.stack([x, y])) for s in (1e-5, -1e-5))
    # Central difference: error 1e-10 of the third derivative, rounding 1e-16/1e-5.
    np.testing.assert_allclose(gradient[:, :, 0], (higher - lower) / 2e-5, atol=1e-8)


# ----------------------------------------------------------------------------------------------- expected improvement


class Constant:
    """A surrogate that predicts the same everywhere."""

    def __init__(self, mean, deviation):
        self.mean, self.deviation = mean, deviation

    def predict(self, X, return_std):
        return np.full(len(X), float(self.mean)), np.full(len(X), float(self.deviation))


@pytest.mark.parametrize(
    ("mean", "deviation", "best"), [(0, 1, 0), (1.3, 0.5, 0.7), (-2, 0.1, 1), (5, 1, -1), (1, 0, 2)]
)
def test_expected_improvement(mean, deviation, best):
    ours = expected_improvement(np.full(3, float(mean)), np.full(3, float(deviation)), best)
    # For std 0 scikit-optimize returns 0; the limit is the certain gain.
    if deviation:
        np.testing.assert_allclose(
            ours, gaussian_ei(np.zeros((3, 1)), Constant(mean, deviation), y_opt=best, xi=0), rtol=1e-9, atol=1e-18
        )
    gains = np.maximum(best - np.random.default_rng(0).normal(mean, deviation, 200_000), 0)
    # Five standard errors; 1e-8 where no draw gains.
    assert abs(ours[0] - gains.mean()) <= 5 * gains.std() / np.sqrt(gains.size) + 1e-8


def test_expected_improvement_at_the_incumbent():
    # Z = 0: s phi(0).
    assert expected_improvement(3.0, 2.0, 3.0) == pytest.approx(2 / np.sqrt(2 * np.pi), rel=1e-14)
    assert expected_improvement(1e6, 1e-3, 0.0) == 0
    with pytest.raises(InvalidInput, match="must not be negative"):
        expected_improvement(0.0, -1.0, 0.0)


# --------------------------------------------------------------------------------------------------------- objective


def test_objective_terms_by_hand():
    target = Measurement(np.array([-10.0, -20.0, -20.0]), 20.0)
    # Root mean square of the target: sqrt(900/3).
    scale = np.sqrt(300)
    found = spectrum_objective(Measurement(np.array([-20.0, 5.0, -20.0]), 10.0), target)
    assert found.distance == pytest.approx(15 / np.sqrt(3) / scale, rel=1e-12)
    assert found.positive == pytest.approx(5 / scale, rel=1e-12)
    assert found.drift == pytest.approx(np.log(2), rel=1e-12)
    assert found.value == pytest.approx(found.distance + found.positive + found.drift, rel=1e-12)
    only = ObjectiveOptions(positive_weight=0, rate_weight=0)
    assert spectrum_objective((np.array([-20.0, 5.0, -20.0]), 10.0), target, options=only).value == found.distance
    assert spectrum_objective(target, target).value == 0


def test_objective_compares_what_both_know():
    full = np.array([-1.0, -2.0, -3.0, -4.0, -5.0, -6.0])
    found = spectrum_objective(Measurement(full[:3], 1.0, 6), Measurement(np.array([-1.0, -3.0, -9.0]), 1.0, 4))
    # Three of six and three of four: the upper half is compared. Steps at 2/12, 3/12 and 4/12 of it all: differences
    # 0, 1, 1, 0 over widths 2, 1, 1, 2 of 6. The scale is that of all that is known of the target.
    assert found.distance == pytest.approx(np.sqrt(2 / 6) / np.sqrt((1 + 9 + 81) / 3), rel=1e-12)
    # Of different sizes, the same staircase.
    assert spectrum_objective(Measurement(np.repeat(full, 2), 1.0), Measurement(full, 1.0)).value == 0


def test_objective_of_lost_directions_and_silence():
    target = Measurement(np.array([-1.0, -2.0]), 1.0)
    lost = spectrum_objective(Measurement(np.array([-1.0, -np.inf]), 0.0), target)
    assert lost.distance == 0
    assert lost.drift == pytest.approx(np.log(10))
    assert spectrum_objective(Measurement(np.array([-1.0, -2.0]), 0.0), target._replace(rate=0.0)).value == 0


@pytest.mark.parametrize(
    ("measured", "message"),
    [
        ((np.array([np.nan]), 1.0), "measured exponents must be finite"),
        ((np.array([-np.inf]), 1.0), "at least one finite value"),
        ((np.zeros(0), 1.0), "at least one finite value"),
        ((np.array([-1.0]), -1.0), "measured rate must be a number in"),
        ((np.array([-1.0, -2.0]), 1.0, 1), "measured dimension must be a whole number of at least 2"),
    ],
)
def test_objective_refuses(measured, message):
    with pytest.raises(InvalidInput, match=message):
        spectrum_objective(measured, Measurement(np.array([-1.0]), 1.0))


def test_a_target_of_zeros_has_no_scale():
    with pytest.raises(InvalidInput, match="no scale"):
        spectrum_objective((np.array([-1.0]), 1.0), (np.zeros(3), 1.0))


# --------------------------------------------------------------------------------------------------------- optimiser


SPACE = SearchSpace(LawBounds(shape=(1, 10), mean=(5e-3, 80e-3)))


def bowl(laws):
    """Squared distance in logarithms of the parameters, lowest at shape 4 and 12 ms."""
    (law,) = laws.time_constants
    return float(np.log(law.shape / 4) ** 2 + np.log(law.mean / 0.012) ** 2)


def search(space, function, evaluations, seed):
    optimiser = TimescaleOptimiser(space, rng=np.random.default_rng(seed), options=OptimiserOptions(candidates=100))
    for _ in range(evaluations):
        laws = optimiser.ask()
        optimiser.tell(laws, function(laws))
    return optimiser


def at_random(space, function, evaluations, seed):
    rng = np.random.default_rng(seed)
    return min(function(space.laws(rng.random(space.dimension))) for _ in range(evaluations))


def test_finds_the_optimum_better_than_random_search():
    seeds = range(8)
    ours = np.array([search(SPACE, bowl, 24, seed).best.value for seed in seeds])
    random = np.array([at_random(SPACE, bowl, 24, 100 + seed) for seed in seeds])
    # Random search: the area of {bowl < v} is pi v/(2.30 x 2.77), 24 draws leave v of order 0.1. All eight pairs in
    # favour have probability 2**-8 by chance.
    assert (ours < random).all()
    # Within 10 % of both parameters.
    assert np.median(ours) < 0.01


def test_stays_inside_the_space_and_moves_fixed_parameters_never():
    space = SearchSpace([LawBounds(shape=(3, 3), mean=(5e-3, 80e-3)), LawBounds(shape=(1, 10), mean=(0.02, 0.02))])
    # Lowest in a corner.
    corner = search(space, lambda laws: laws.time_constants[0].mean + laws.time_constants[1].shape, 12, 0)
    for trial in corner.history:
        a, b = trial.laws.time_constants
        assert a.shape == 3
        assert b.mean == 0.02
        assert 5e-3 <= a.mean <= 80e-3
        assert 1 <= b.shape <= 10


def test_resumes_to_the_same_asks():
    first = search(SPACE, bowl, 9, 1)
    second = TimescaleOptimiser.from_dict(json.loads(json.dumps(first.to_dict(), allow_nan=False)))
    assert second.history == first.history
    for _ in range(2):
        laws = first.ask()
        assert first.ask() == laws
        assert second.ask() == laws
        for each in (first, second):
            each.tell(laws, bowl(laws))
    assert first.to_dict() == second.to_dict()
    assert search(SPACE, bowl, 9, 2).to_dict() != search(SPACE, bowl, 9, 1).to_dict()


def test_equal_values_and_laws_told_twice():
    optimiser = TimescaleOptimiser(SPACE, rng=np.random.default_rng(0), options=OptimiserOptions(initial=3))
    for _ in range(4):
        optimiser.tell(Laws(GammaLaw(3, 0.02)), 1.0)
    assert 1 <= optimiser.ask().time_constants[0].shape <= 10
    assert optimiser.best is optimiser.history[0]


def test_sinkhorn_divergence_can_be_searched_on():
    options = OptimiserOptions(initial=4, candidates=4, distance="sinkhorn", regularisation=0.2)
    optimiser = TimescaleOptimiser(SPACE, rng=np.random.default_rng(0), options=options)
    for _ in range(4):
        laws = optimiser.ask()
        optimiser.tell(laws, bowl(laws))
    assert 1 <= optimiser.ask().time_constants[0].shape <= 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LawBounds(mean=(0.0, 0.1)), r"mean must be bounded by two positive numbers.*got \(0, 0.1\)"),
        (lambda: LawBounds(shape=(-1, 3)), r"shape must be bounded by two positive"),
        (lambda: LawBounds(shape=(5, 3)), "the lower one first"),
        (lambda: LawBounds(mean=0.1), "give its lower and upper bound"),
        (lambda: LawBounds(family="normal"), "family must be one of gamma, lognormal"),
        (lambda: SearchSpace(LawBounds(shape=(3, 3), mean=(0.02, 0.02))), "nothing to search"),
        (lambda: SearchSpace([GammaLaw(3, 0.02)]), "made of LawBounds, got GammaLaw"),
        (lambda: GammaLaw(0, 0.02), "shape of a law must be a number in"),
        (lambda: GammaLaw(3, -0.02), "mean of a law must be a number in"),
        (lambda: Laws(()), "at least one law"),
        (lambda: Laws([0.02]), "got float"),
        (lambda: GammaLaw(3, 0.02).quantile(1.5), r"u must lie in \[0, 1\]"),
        (lambda: quantiles([0.0], [0], [GammaLaw(3, 0.02)]), "values must be positive"),
        (lambda: sample_distance([], [1.0]), "a must hold at least one value"),
        (lambda: law_distance(GammaLaw(3, 1), GammaLaw(3, 2), ground="cubic"), "ground must be one of"),
        (lambda: OptimiserOptions(distance="euclid"), "distance must be one of wasserstein, sinkhorn"),
        (lambda: TimescaleOptimiser.from_dict({"seed": 1}), "lacks options, space, trials"),
        (lambda: TimescaleOptimiser(LawBounds(), rng=np.random.default_rng(0)), "space must be a SearchSpace"),
        (lambda: TimescaleOptimiser(SPACE, rng=np.random.default_rng(0)).best, "no best before"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_bad_tells():
    optimiser = TimescaleOptimiser(SPACE, rng=np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="value must be a number"):
        optimiser.tell(Laws(GammaLaw(3, 0.02)), np.nan)
    with pytest.raises(InvalidInput, match="the laws are 2 x time_constants"):
        optimiser.tell(Laws((GammaLaw(3, 0.02),) * 2), 1.0)


# ------------------------------------------------------------------------------------------------------------ driver


START, TRUTH = GammaLaw(3.0, 0.02), GammaLaw(5.0, 0.035)


def below_threshold(n, law, seed=0):
    tau = np.clip(law.quantile(np.random.default_rng(seed).random(n)), *LIMITS)
    return uncoupled(1e3 * tau * ms)


def exactly(spec):
    """Every exponent of uncoupled neurons below threshold: no simulation."""
    return -1 / spec.time_constants, 0.0


def test_tuning_finds_the_laws_of_the_target():
    spec = below_threshold(50, START)
    truth = with_laws(spec, Laws(TRUTH), before=Laws(START))
    fractions = []
    settings = {"measure": exactly, "target": exactly(truth), "space": SPACE, "laws": Laws(START)}
    result = tune_time_constants(
        spec, evaluations=22, rng=np.random.default_rng(0), report=fractions.append, **settings
    )
    assert fractions == [k / 22 for k in range(1, 23)]
    # The network as it was is the first.
    assert result.history[0].laws == Laws(START)
    assert result.initial_value == spectrum_objective(exactly(spec), exactly(truth)).value
    assert result.value == spectrum_objective(exactly(result.spec), exactly(truth)).value

    # A scan of 25 x 25 laws, 10 % and 12 % apart: the search is no worse than the scan's best of 625.
    def value(laws):
        return spectrum_objective(exactly(with_laws(spec, laws, before=Laws(START))), exactly(truth)).value

    scan = np.array([value(SPACE.laws([a, b])) for a in np.linspace(0, 1, 25) for b in np.linspace(0, 1, 25)])
    assert value(Laws(TRUTH)) == 0
    assert result.value < np.quantile(scan, 0.01)
    assert result.value < 0.15 * result.initial_value
    (law,) = result.laws.time_constants
    # The relative distance of spectra changes at least as much as the mean, at fixed shape.
    assert abs(np.log(law.mean / TRUTH.mean)) < 0.3

    # Interrupted after ten, and gone on with from plain JSON.
    half = TimescaleOptimiser(SPACE, rng=np.random.default_rng(0))
    tune_time_constants(spec, evaluations=10, rng=np.random.default_rng(9), optimiser=half, **settings)
    saved = TimescaleOptimiser.from_dict(json.loads(json.dumps(half.to_dict())))
    resumed = tune_time_constants(spec, evaluations=22, rng=np.random.default_rng(9), optimiser=saved, **settings)
    assert resumed.history == result.history
    assert resumed.laws == result.laws


def test_tuning_against_a_larger_network():
    spec = below_threshold(60, START)
    larger = with_laws(below_threshold(400, START, 1), Laws(TRUTH), before=Laws(START))
    result = tune_time_constants(
        spec,
        measure=exactly,
        target=exactly(larger),
        space=SearchSpace(LawBounds(shape=(5, 5), mean=(5e-3, 80e-3))),
        laws=Laws(START),
        evaluations=12,
        rng=np.random.default_rng(0),
        options=OptimiserOptions(initial=5, candidates=50),
    )
    # 60 draws of a law of shape 5 know its mean to 1/sqrt(5 * 60) = 6 %, 1/tau a little worse; three times that.
    assert abs(np.log(result.laws.time_constants[0].mean / TRUTH.mean)) < 0.2
    assert "after 12 evaluations" in result.status


def test_present_laws_stay_if_nothing_is_better():
    spec = below_threshold(30, START)
    result = tune_time_constants(
        spec,
        measure=exactly,
        target=exactly(spec),
        space=SearchSpace.around(Laws(START), mean=1.5, shape=1.0),
        laws=Laws(START),
        evaluations=3,
        rng=np.random.default_rng(0),
    )
    assert result.value == 0
    assert (result.spec.time_constants == spec.time_constants).all()
    assert result.status.startswith("none of 2 other laws is better")
    assert result.history[1].notes["largest_exponent"] == pytest.approx(
        max(exactly(with_laws(spec, result.history[1].laws, before=Laws(START)))[0])
    )


def test_laws_of_other_kinds_than_the_space_are_refused_before_anything_is_measured():
    def never(spec):
        raise AssertionError("measured")

    with pytest.raises(InvalidInput, match="the space searches 2 x time_constants"):
        tune_time_constants(
            below_threshold(10, START),
            measure=never,
            target=(np.array([-1.0]), 0.0),
            space=SearchSpace([LawBounds(), LawBounds()]),
            evaluations=3,
            rng=np.random.default_rng(0),
        )
