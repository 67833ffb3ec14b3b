"""Laws against SciPy's quadrature and distributions, and POT."""

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
from scipy.stats import gamma, kstest, lognorm

from lnpbrian.checks import InvalidInput
from lnpbrian.models import uncoupled
from lnpbrian.network.spec import STDP
from lnpbrian.pruning.steps.laws import (
    GammaLaw,
    Laws,
    LognormalLaw,
    fit_laws,
    leading_distance,
    quantile_vectors,
    quantiles,
    resample,
    with_laws,
)

LIMITS = (1e-3, 0.2)
positive = st.floats(0.3, 30)


def gamma_laws(n, seed):
    rng = np.random.default_rng(seed)
    return [GammaLaw(*np.exp(rng.uniform(np.log([0.5, 2e-3]), np.log([20, 100e-3])))) for _ in range(n)]


def distance(a, b):
    """W2 of two laws on logarithms."""
    first, second = (quantile_vectors(law.family, np.array([[law.shape, law.mean]])) for law in (a, b))
    return np.linalg.norm(first - second)


def sample_distance(a, b):
    """W2 of two whole samples."""
    return leading_distance(np.sort(a)[::-1], a.size, np.sort(b)[::-1], b.size)


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


def with_stdp(n, **constants):
    """Uncoupled neurons with n synapses that learn, constants as given."""
    usual = {"tau_plus": np.full(n, 0.02), "tau_minus": np.full(n, 0.02)}
    stdp = STDP(**{**usual, "eta_plus": np.full(n, 1e-3), "eta_minus": np.full(n, 1e-3), **constants}, w_min=0, w_max=1)
    ends = np.arange(n) % 2
    return replace(uncoupled([10, 30] * ms), pre=ends, post=1 - ends, weights=np.ones(n), plasticity=stdp)


def test_laws_of_stdp_are_fitted_where_they_are_asked_for():
    n = 4000
    u = (np.arange(n) + 0.5) / n
    tau, eta = GammaLaw(3, 0.02), LognormalLaw(2, 1e-3)
    spec = with_stdp(n, tau_plus=tau.quantile(u), eta_minus=eta.quantile(u))
    laws = fit_laws(spec, stdp=("tau_plus", "eta_minus"))
    assert (laws.tau_minus, laws.eta_plus) == (None, None)
    assert laws.time_constants == fit_laws(spec).time_constants
    for found, law in ((laws.tau_plus, tau), (laws.eta_minus, eta)):
        assert type(found) is type(law)
        # Stratified quantiles: the moments lack what the last cells hold, of order ln^2(n)/n = 0.02.
        assert found.mean == pytest.approx(law.mean, rel=0.02)
        assert found.shape == pytest.approx(law.shape, rel=0.02)
    # Moved to the double of each mean, the values double.
    doubled = replace(laws, tau_plus=GammaLaw(laws.tau_plus.shape, 2 * laws.tau_plus.mean))
    moved = with_laws(spec, doubled, before=laws).plasticity
    np.testing.assert_allclose(moved.tau_plus[100:-100], 2 * spec.plasticity.tau_plus[100:-100], rtol=1e-9)
    np.testing.assert_array_equal(moved.eta_minus, spec.plasticity.eta_minus)


@pytest.mark.parametrize(
    ("spec", "name", "message"),
    [
        (uncoupled([10, 30] * ms), "tau_plus", "tau_plus has no law: the network has no plasticity"),
        (with_stdp(3, eta_plus=np.array([0.0, 0.1, 0.2])), "eta_plus", "values of eta_plus must be positive"),
        (with_stdp(3), "eta_plus", "the 3 values of eta_plus do not spread, so that no lognormal law"),
        (with_stdp(3), "w_max", "stdp must be one of tau_plus, tau_minus, eta_plus, eta_minus"),
    ],
    ids=["none", "zero", "equal", "unknown"],
)
def test_constants_of_stdp_without_a_law_are_refused(spec, name, message):
    with pytest.raises(InvalidInput, match=message):
        fit_laws(spec, stdp=(name,))


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


def test_laws_are_what_they_were_after_json():
    laws = Laws((GammaLaw(3, 0.02), GammaLaw(5, 0.04)), tau_plus=GammaLaw(3, 0.02), eta_minus=LognormalLaw(4, 0.001))
    assert Laws.from_dict(json.loads(json.dumps(laws.to_dict()))) == laws
    assert laws.with_parameters(laws.parameters) == laws
    assert laws.kinds == "2 x time_constants (gamma), tau_plus (gamma), eta_minus (lognormal)"


# --------------------------------------------------------------------------------------------------------- distances


@pytest.mark.parametrize("seed", range(4))
def test_distance_of_gamma_laws_is_the_integral(seed):
    a, b = gamma_laws(2, seed)

    def integrand(u):
        return float((np.log(a.quantile(u)) - np.log(b.quantile(u))) ** 2)

    # In pieces, since the ends are singular like ln^2; what lies outside is below 1e-15 ln^2(1e-15)/W2^2.
    edges = [1e-15, 1e-9, 1e-4, 0.1, 0.9, 1 - 1e-4, 1 - 1e-9]
    total = sum(quad(integrand, *ends, epsabs=0, epsrel=1e-10, limit=200)[0] for ends in pairwise(edges))
    # Left out above: 1e-9 ln^2(1e-9) of scales that are at most a few W2; half of it, since W2 is a root.
    assert distance(a, b) == pytest.approx(np.sqrt(total), rel=3e-6)


def test_distances_in_closed_form():
    # Same shape: logarithms of quantiles are shifted. Rounding and the stated 1e-9 of the quadrature.
    assert distance(GammaLaw(2.0, 0.01), GammaLaw(2.0, 0.05)) == pytest.approx(np.log(5), rel=1e-9)
    # Lognormal laws: normal ones of the logarithm, m exp(s z - s^2/2).
    p, q = LognormalLaw(3.0, 1.0), LognormalLaw(1.0, 2.0)
    means = np.log(2) - (q.spread**2 - p.spread**2) / 2
    assert distance(p, q) == pytest.approx(np.hypot(means, q.spread - p.spread), rel=1e-9)


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
    squared = ot.wasserstein_1d(np.log(a.quantile(u)), np.log(b.quantile(u)), p=2)
    # The midpoint rule leaves out, of the ends, (1/n) ln^2 n = 0.005 of the squared scale times the spread inside a
    # cell (order 1/ln^2 n): 1e-4 of the square at most.
    assert distance(a, b) == pytest.approx(np.sqrt(squared), rel=2e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GammaLaw(0, 0.02), "shape of a law must be a number in"),
        (lambda: GammaLaw(3, -0.02), "mean of a law must be a number in"),
        (lambda: Laws(()), "at least one law"),
        (lambda: Laws([0.02]), "got float"),
        (lambda: GammaLaw(3, 0.02).quantile(1.5), r"u must lie in \[0, 1\]"),
        (lambda: quantiles([0.0], [0], [GammaLaw(3, 0.02)]), "values must be positive"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()
