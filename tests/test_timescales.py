"""Step IV against closed forms, POT, and random search."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import ot
import pytest
from brian2 import ms
from scipy.linalg import eigvalsh
from skopt.learning.gaussian_process.kernels import Matern

from lnpbrian.checks import InvalidInput
from lnpbrian.models import uncoupled
from lnpbrian.network.spec import STDP
from lnpbrian.pruning.steps import timescales
from lnpbrian.pruning.steps.laws import (
    GammaLaw,
    Laws,
    LognormalLaw,
    fit_laws,
    leading_distance,
    quantile_vectors,
    with_laws,
)
from lnpbrian.pruning.steps.timescales import (
    Measurement,
    SearchSpace,
    TimescaleOptimiser,
    check_positive_definite,
    sinkhorn_matern,
    spectrum_objective,
    tune_time_constants,
)

SPACE = SearchSpace(Laws(GammaLaw(1, 5e-3)), Laws(GammaLaw(10, 80e-3)))
BOTH = SearchSpace(Laws((GammaLaw(1, 5e-3), GammaLaw(2, 1e-3))), Laws((GammaLaw(10, 80e-3), GammaLaw(5, 0.1))))


def gamma_laws(n, seed):
    rng = np.random.default_rng(seed)
    return [GammaLaw(*np.exp(rng.uniform(np.log([0.5, 2e-3]), np.log([20, 100e-3])))) for _ in range(n)]


# ------------------------------------------------------------------------------------------------------------ kernel


def vectors(laws):
    return quantile_vectors("gamma", np.array([(law.shape, law.mean) for law in laws]))


@pytest.mark.parametrize("seed", range(3))
def test_kernel_of_gamma_laws_is_positive_definite(seed):
    points = vectors(gamma_laws(100, seed))
    for scale in (0.3, 1, 3, 10):
        # Rounding of a matrix of norm 100: 100 eps = 2e-14.
        assert eigvalsh(Matern(scale, nu=2.5)(points))[0] > -1e-12


@pytest.mark.parametrize("distance", ["wasserstein", "sliced"])
def test_kernel_of_joint_laws_is_positive_definite(distance):
    # One law is fixed: it has no spread to be measured in.
    low, high = ((GammaLaw(k, m), GammaLaw(2.0, 0.03)) for k, m in ((0.5, 2e-3), (20, 0.1)))
    space = SearchSpace(
        Laws(tuple(low), eta_plus=LognormalLaw(0.5, 1e-4)), Laws(tuple(high), eta_plus=LognormalLaw(9, 0.1))
    )
    optimiser = TimescaleOptimiser(space, rng=np.random.default_rng(0), distance=distance)
    features = optimiser._features(space.parameters(np.random.default_rng(1).random((60, 4))))
    assert eigvalsh(Matern(1.0, nu=2.5)(features))[0] > -1e-12


def test_distance_of_joint_laws_is_the_sum_in_units_of_their_spread():
    optimiser = TimescaleOptimiser(BOTH, rng=np.random.default_rng(0))
    a, b = BOTH.laws([0.1, 0.3, 0.5, 0.9]), BOTH.laws([0.7, 0.2, 0.6, 0.4])
    one, two = optimiser._features(np.array([a.parameters, b.parameters]))
    parts = [np.linalg.norm(np.subtract(*vectors(pair))) for pair in zip(a.listed(), b.listed(), strict=True)]
    # Of each law over the space: the root of the mean square distance from the mean, by a sample of its own.
    draws = BOTH.parameters(np.random.default_rng(5).random((4000, 4)))
    spreads = [np.sqrt(quantile_vectors("gamma", draws[:, k]).var(axis=0).sum()) for k in (0, 1)]
    # 64 points of a Latin hypercube know a spread to a few per cent.
    assert np.linalg.norm(one - two) == pytest.approx(np.hypot(*np.divide(parts, spreads)), rel=0.1)


def test_sliced_distance_is_that_of_pot():
    optimiser = TimescaleOptimiser(BOTH, rng=np.random.default_rng(0), distance="sliced")
    a, b = BOTH.laws([0.1, 0.3, 0.5, 0.9]), BOTH.laws([0.7, 0.2, 0.6, 0.4])
    one, two = optimiser._features(np.array([a.parameters, b.parameters]))
    samples = [
        np.stack([np.log(law.quantile(u)) for law, u in zip(laws.listed(), optimiser._sample.T, strict=True)], axis=1)
        / optimiser._spread.T
        for laws in (a, b)
    ]
    expected = ot.sliced_wasserstein_distance(*samples, projections=optimiser._directions)
    assert np.linalg.norm(one - two) == pytest.approx(expected, rel=1e-12)
    # Of a single law every direction sees the law itself, here shifted by ln 2 in units of its spread.
    alone = TimescaleOptimiser(SPACE, rng=np.random.default_rng(0), distance="sliced")
    one, two = alone._features(np.array([[[3, 0.01]], [[3, 0.02]]]))
    assert np.linalg.norm(one - two) == pytest.approx(np.log(2) / alone._spread[0, 0], rel=1e-12)


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
        check_positive_definite(np.array([[1.0, 1.5], [1.5, 1.0]]))
    check_positive_definite(np.eye(3))
    # Sixty gamma laws in logarithms, and a blur as wide as a law: refused, although each law is one-dimensional.
    u = (np.arange(24) + 0.5) / 24
    with pytest.raises(InvalidInput, match=r"is not positive definite: an eigenvalue is -0\.00"):
        check_positive_definite(
            sinkhorn_matern()(3.0, regularisation=1.0)(np.array([np.log(law.quantile(u)) for law in gamma_laws(60, 0)]))
        )


def test_sinkhorn_divergence_approaches_the_distance():
    x, y = np.linspace(0, 1, 24), np.linspace(0.5, 2, 24) ** 2
    r = np.sqrt(np.mean((x - y) ** 2))
    for regularisation in (0.5, 0.2, 0.05):
        K = sinkhorn_matern()(1.0, regularisation=regularisation)(np.stack([x, y]))
        # The divergence of smooth laws misses the squared distance by order regularisation^2 (Chizat et al. 2020),
        # here 0.1 of it; |d matern/d(r^2)| <= 5/6.
        assert K[0, 1] == pytest.approx(matern(r), abs=0.1 * regularisation**2 + 1e-3)
        own = ot.bregman.empirical_sinkhorn_divergence(x[:, None], y[:, None], regularisation)
        # Both stop at 1e-9.
        assert K[0, 1] == pytest.approx(matern(np.sqrt(own)), abs=1e-7)
    K, gradient = sinkhorn_matern()(0.8)(np.stack([x, y]), eval_gradient=True)
    higher, lower = (sinkhorn_matern()(0.8 * np.exp(s))(np.stack([x, y])) for s in (1e-5, -1e-5))
    # Central difference: error 1e-10 of the third derivative, rounding 1e-16/1e-5.
    np.testing.assert_allclose(gradient[:, :, 0], (higher - lower) / 2e-5, atol=1e-8)


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
    # A target that is unstable itself: what is above it counts.
    unstable = Measurement(np.array([4.0, -20.0, -20.0]), 20.0)
    assert spectrum_objective(Measurement(np.array([5.0, -20.0, -20.0]), 20.0), unstable).positive == pytest.approx(
        1 / np.sqrt(816 / 3), rel=1e-12
    )
    assert spectrum_objective(Measurement(np.array([3.0, -20.0, -20.0]), 20.0), unstable).positive == 0
    weighed = spectrum_objective((np.array([-20.0, 5.0, -20.0]), 10.0), target, positive_weight=2, rate_weight=0)
    assert weighed.value == pytest.approx(found.distance + 2 * found.positive, rel=1e-12)
    with pytest.raises(InvalidInput, match="rate_weight must be a number in"):
        spectrum_objective(target, target, rate_weight=-1)
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


def bowl(laws):
    """Squared distance in logarithms of the parameters, lowest at shape 4 and 12 ms."""
    (law,) = laws.time_constants
    return float(np.log(law.shape / 4) ** 2 + np.log(law.mean / 0.012) ** 2)


def search(space, function, evaluations, seed):
    optimiser = TimescaleOptimiser(space, rng=np.random.default_rng(seed))
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
    space = SearchSpace(Laws((GammaLaw(3, 5e-3), GammaLaw(1, 0.02))), Laws((GammaLaw(3, 80e-3), GammaLaw(10, 0.02))))
    # Lowest in a corner.
    corner = search(space, lambda laws: laws.time_constants[0].mean + laws.time_constants[1].shape, 12, 0)
    for trial in corner.history:
        a, b = trial.laws.time_constants
        assert a.shape == 3
        assert b.mean == 0.02
        assert 5e-3 <= a.mean <= 80e-3
        assert 1 <= b.shape <= 10


def test_the_same_was_told_the_same_is_asked():
    first, second = search(SPACE, bowl, 9, 1), search(SPACE, bowl, 9, 1)
    assert second.history == first.history
    laws = first.ask()
    assert first.ask() == laws == second.ask()
    assert search(SPACE, bowl, 9, 2).history != first.history


def test_equal_values_and_laws_told_twice():
    optimiser = TimescaleOptimiser(SPACE, rng=np.random.default_rng(0), initial=3)
    for _ in range(4):
        optimiser.tell(Laws(GammaLaw(3, 0.02)), 1.0)
    assert 1 <= optimiser.ask().time_constants[0].shape <= 10
    assert optimiser.best is optimiser.history[0]


def test_other_distances_can_be_searched_on(monkeypatch):
    monkeypatch.setattr(timescales, "CANDIDATES", 4)  # the divergence is slow
    for distance in ("sinkhorn", "sliced"):
        options = {"initial": 4, "distance": distance, "regularisation": 0.2}
        optimiser = TimescaleOptimiser(SPACE, rng=np.random.default_rng(0), **options)
        for _ in range(4):
            laws = optimiser.ask()
            optimiser.tell(laws, bowl(laws))
        assert 1 <= optimiser.ask().time_constants[0].shape <= 10


def test_the_optimum_is_found_on_the_sliced_distance():
    optimiser = TimescaleOptimiser(SPACE, rng=np.random.default_rng(0), distance="sliced")
    for _ in range(24):
        laws = optimiser.ask()
        optimiser.tell(laws, bowl(laws))
    # As with the distance of the laws themselves.
    assert optimiser.best.value < 0.01


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: SearchSpace(Laws(GammaLaw(5, 0.02)), Laws(GammaLaw(3, 0.04))),
            "low must be at most high, got 5 and 3",
        ),
        (lambda: SearchSpace(Laws(GammaLaw(3, 0.02)), Laws(GammaLaw(3, 0.02))), "nothing to search"),
        (lambda: SearchSpace(Laws(GammaLaw(3, 0.02)), Laws(LognormalLaw(3, 0.04))), r"the laws are 1 x .*lognormal"),
        (lambda: SearchSpace(GammaLaw(3, 0.02), GammaLaw(3, 0.04)), "low must be a Laws, got GammaLaw"),
        (lambda: SearchSpace.around(Laws(GammaLaw(3, 0.02)), mean=0.5), "mean must be a number in"),
        (lambda: TimescaleOptimiser(SPACE, rng=np.random.default_rng(0), distance="euclid"), "distance must be one of"),
        (lambda: TimescaleOptimiser(SPACE, rng=np.random.default_rng(0), initial=1), "initial must be a whole number"),
        (lambda: TimescaleOptimiser(Laws(GammaLaw(3, 1)), rng=np.random.default_rng(0)), "space must be a SearchSpace"),
        (lambda: TimescaleOptimiser(SPACE, rng=np.random.default_rng(0)).best, "no best before"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InvalidInput, match=message) as refusal:
        make()
    assert "\n" not in str(refusal.value)


def test_bad_tells():
    optimiser = TimescaleOptimiser(SPACE, rng=np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="value must be a number"):
        optimiser.tell(Laws(GammaLaw(3, 0.02)), np.nan)
    with pytest.raises(InvalidInput, match="the laws are 2 x time_constants"):
        optimiser.tell(Laws((GammaLaw(3, 0.02),) * 2), 1.0)


# ------------------------------------------------------------------------------------------------------------ driver


START, TRUTH = GammaLaw(3.0, 0.02), GammaLaw(5.0, 0.035)


def below_threshold(n, law, seed=0):
    tau = np.clip(law.quantile(np.random.default_rng(seed).random(n)), 1e-3, 0.2)
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

    # A scan of 25 x 25 laws, 10 % and 12 % apart: 22 evaluations leave no more than three of the 625 in front.
    def value(laws):
        return spectrum_objective(exactly(with_laws(spec, laws, before=Laws(START))), exactly(truth)).value

    scan = np.array([value(SPACE.laws([a, b])) for a in np.linspace(0, 1, 25) for b in np.linspace(0, 1, 25)])
    assert value(Laws(TRUTH)) == 0
    assert result.value < np.sort(scan)[3]
    # Two steps of the scan.
    (law,) = result.laws.time_constants
    assert abs(np.log(law.shape / TRUTH.shape)) < 2 * np.log(10) / 24
    assert abs(np.log(law.mean / TRUTH.mean)) < 2 * np.log(16) / 24


def test_laws_of_stdp_are_searched_too():
    neurons = below_threshold(50, START)
    ends, u = np.arange(40) % 50, (np.arange(40) + 0.5) / 40
    stdp = STDP(GammaLaw(3, 0.02).quantile(u), np.full(40, 0.02), np.full(40, 1e-3), np.full(40, 1e-3), 0.0, 1.0)
    spec = replace(neurons, pre=ends, post=(ends + 1) % 50, weights=np.ones(40), plasticity=stdp)

    def rate_of_traces(network):
        """A network whose rate tells the mean time constant of its traces, and nothing else changes."""
        return np.array([-1.0, -2.0]), 1e3 * network.plasticity.tau_plus.mean()

    laws = fit_laws(spec, stdp=("tau_plus",))
    result = tune_time_constants(
        spec,
        measure=rate_of_traces,
        target=(np.array([-1.0, -2.0]), 30.0),
        space=SearchSpace.around(laws, mean=2.0, shape=1.0),
        laws=laws,
        evaluations=20,
        rng=np.random.default_rng(0),
    )
    assert result.initial_value == pytest.approx(np.log(1.5), rel=0.02)
    # The best of 20 in a factor of four: a few per cent.
    assert result.value < 0.05
    assert result.spec.plasticity.tau_plus.mean() == pytest.approx(0.03, rel=0.05)


def test_weights_of_the_objective_reach_the_search():
    spec = below_threshold(30, START)
    options = {
        "measure": lambda network: (-1 / network.time_constants, 10.0),
        "target": exactly(spec),
        "laws": Laws(START),
    }
    values = [
        tune_time_constants(
            spec, space=SPACE, evaluations=1, rng=np.random.default_rng(0), rate_weight=weight, **options
        ).initial_value
        for weight in (0, 1, 2)
    ]
    # Spectra are equal, the rate is 10 Hz where it was silent: counted as 0.1 Hz.
    np.testing.assert_allclose(values, np.log(100) * np.arange(3), rtol=1e-12)


def test_tuning_against_a_larger_network():
    spec = below_threshold(60, START)
    larger = with_laws(below_threshold(400, START, 1), Laws(TRUTH), before=Laws(START))
    result = tune_time_constants(
        spec,
        measure=exactly,
        target=exactly(larger),
        space=SearchSpace(Laws(GammaLaw(5, 5e-3)), Laws(GammaLaw(5, 80e-3))),
        laws=Laws(START),
        evaluations=12,
        rng=np.random.default_rng(0),
        initial=5,
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


def test_laws_that_looked_better_by_chance_are_not_taken():
    spec = below_threshold(30, START)
    noise = np.random.default_rng(1)

    def noisy(network, draw=0):
        """Exponents of neurons that do not depend on their time constants."""
        return np.array([-1.0, -2.0]) + noise.standard_normal(2), 0.0

    def tuned(seed, **options):
        return tune_time_constants(
            spec,
            measure=noisy,
            target=(np.array([-1.0, -2.0]), 0.0),
            space=SPACE,
            laws=Laws(START),
            evaluations=12,
            initial=12,  # random laws: nothing can be learnt here
            rng=np.random.default_rng(seed),
            **options,
        )

    taken = [tuned(seed).laws != Laws(START) for seed in range(40)]
    confirmed = [tuned(seed, measure_again=noisy, confirmations=4) for seed in range(40)]
    # The best of twelve is the first in one of twelve; four draws let pass one in sixteen of the others.
    assert sum(taken) > 30
    assert sum(result.laws != Laws(START) for result in confirmed) < 10
    stayed = next(result for result in confirmed if result.status.startswith("the laws stay"))
    assert (stayed.spec.time_constants == spec.time_constants).all()
    assert stayed.value == stayed.initial_value


def test_laws_that_are_better_are_taken_after_all_draws():
    spec, draws = below_threshold(50, START), []
    truth = with_laws(spec, Laws(TRUTH), before=Laws(START))

    def again(network, draw):
        draws.append(draw)
        return exactly(network)

    settings = {"measure": exactly, "target": exactly(truth), "space": SPACE, "laws": Laws(START), "evaluations": 12}
    once = tune_time_constants(spec, rng=np.random.default_rng(0), **settings)
    result = tune_time_constants(spec, rng=np.random.default_rng(0), measure_again=again, confirmations=3, **settings)
    assert result.laws == once.laws != Laws(START)
    assert draws == [1, 1, 2, 2, 3, 3]


def test_laws_of_other_kinds_than_the_space_are_refused_before_anything_is_measured():
    def never(spec):
        raise AssertionError("measured")

    with pytest.raises(InvalidInput, match="the space searches 2 x time_constants"):
        tune_time_constants(
            below_threshold(10, START),
            measure=never,
            target=(np.array([-1.0]), 0.0),
            space=BOTH,
            evaluations=3,
            rng=np.random.default_rng(0),
        )


def test_slow_libraries_are_imported_when_needed():
    slow = ("skopt", "sklearn", "ot")
    code = f"import sys, lnpbrian.pruning.steps.timescales; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_rest_known_by_its_mean_is_bounded_from_below():
    # Uppermost halves known, means 1 apart there; the rests -10, -20 and -14, -22 have means 3 apart: 5 = (1 + 9)/2.
    target = Measurement(np.array([0.0, -2.0]), 1.0, 4, -8.0)
    found = Measurement(np.array([-1.0, -3.0]), 1.0, 4, -10.0)
    scale = np.sqrt((2 + 15**2) / 2)
    assert spectrum_objective(found, target).distance == pytest.approx(np.sqrt(5) / scale, rel=1e-12)
    # It is a lower bound of the distance of the complete spectra, 1/4 (1 + 1 + 16 + 4).
    complete = leading_distance(np.array([-1.0, -3.0, -14.0, -22.0]), 4, np.array([0.0, -2.0, -10.0, -20.0]), 4)
    assert complete == pytest.approx(np.sqrt(22 / 4))
    assert np.sqrt(5) < complete
    # Sizes that do not divide each other: a third of 3 is known of both, 4/3 exponents of 4.
    other = Measurement(np.array([0.0, -2.0]), 1.0, 4, -8.0)
    third = Measurement(np.array([-3.0]), 1.0, 3, -9.0)
    rest, rest3 = (-32 + 2 / 3) / (8 / 3), (-27 + 3) / 2
    lead = (9 * 3 + 1) / 4
    expected = np.sqrt((lead / 3 + 2 / 3 * (rest - rest3) ** 2) / (np.mean([0, 4]) / 3 + 2 / 3 * rest**2))
    assert spectrum_objective(third, other).distance == pytest.approx(expected, rel=1e-12)
    # Without one of the means only the leading parts count.
    assert spectrum_objective(found._replace(mean=None), target).distance == pytest.approx(1 / np.sqrt(2))
