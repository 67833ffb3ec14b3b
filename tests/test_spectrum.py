"""Lyapunov spectra of maps, flows and rate networks: negative exponents first, then chaos, then what follows."""

from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import digamma, polygamma

from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.exponents import Spectrum, entropy_rate, interpolate_spectrum, kaplan_yorke_dimension
from lnpbrian.lyapunov.spectrum import _turning, flow_spectrum, map_spectrum, rate_network_spectrum
from lnpbrian.lyapunov.systems import Flow, Map, RateNetwork

EPS = np.finfo(float).eps


def seeded(seed=0):
    return np.random.default_rng(seed)


def linear_map(matrix, **options):
    matrix = np.asarray(matrix, dtype=float)
    options = {"duration": 60, "transient": 150, "rng": seeded(), **options}
    return map_spectrum(lambda x: matrix @ x, lambda x: matrix, np.zeros(len(matrix)), **options)


def linear_flow(matrix, **options):
    matrix = np.asarray(matrix, dtype=float)
    options = {"step": 0.1, "duration": 20.0, "transient": 40.0, "rng": seeded(), **options}
    return flow_spectrum(lambda x: matrix @ x, lambda x: matrix, np.zeros(len(matrix)), **options)


def runge_kutta(rate, step):
    """Exponent that the classical Runge-Kutta method gives to dx/dt = rate x."""
    z = np.asarray(rate) * step
    return np.log(np.abs(1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24)) / step


def random_weights(n, gain, seed):
    weights = gain / np.sqrt(n) * seeded(seed).standard_normal((n, n))
    np.fill_diagonal(weights, 0)
    return weights


def henon(x):
    return np.array([1 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]])


def henon_jacobian(x):
    return np.array([[-2.8 * x[0], 1.0], [0.3, 0.0]])


def lorenz(x):
    return np.array([10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]])


def lorenz_jacobian(x):
    return np.array([[-10.0, 10.0, 0.0], [28 - x[2], -1.0, -x[0]], [x[1], x[0], -8 / 3]])


def roessler(x):
    return np.array([-x[1] - x[2], x[0] + 0.2 * x[1], 0.2 + x[2] * (x[0] - 5.7)])


def roessler_jacobian(x):
    return np.array([[0.0, -1.0, -1.0], [1.0, 0.2, 0.0], [x[2], 0.0, x[0] - 5.7]])


def lorenz_spectrum(**options):
    options = {"step": 0.01, "duration": 20.0, "transient": 40.0, "rng": seeded(), **options}
    return flow_spectrum(lorenz, lorenz_jacobian, np.array([-8.0, 7.0, 27.0]), **options)


# --- the tangent systems themselves -----------------------------------------------------------------------------------


# Columns of the identity become the derivative of the motion by its start. Central differences of size d err by d^2
# times a third derivative and by rounding over d: 1e-10 and 1e-11 for d = 1e-5, times at most 100 for the growth of the
# Lorenz system within 0.2; the errors measured are below 1e-8. The Runge-Kutta method of the variational equation is
# exactly the derivative of the Runge-Kutta method, whatever the step.
@pytest.mark.parametrize(
    ("system", "state", "duration"),
    [
        (lambda x: Flow(lorenz, lorenz_jacobian, x, 0.02), [-8.0, 7.0, 27.0], 0.2),
        (lambda x: Map(henon, henon_jacobian, x), [0.1, 0.2], 3),
        (
            lambda x: RateNetwork(random_weights(6, 3.0, 1), x, 0.1, with_determinant=True),
            seeded(2).normal(size=6),
            0.5,
        ),
    ],
    ids=["flow", "map", "rate network"],
)
def test_vectors_follow_the_derivative_of_the_motion(system, state, duration):
    state = np.array(state)
    n = state.size

    def end(start):
        moving = system(start)
        moving.advance(np.zeros((n, 0)), duration)
        return moving.state

    size = 1e-5
    expected = np.array([(end(state + size * e) - end(state - size * e)) / (2 * size) for e in np.eye(n)]).T
    vectors = np.eye(n)
    log_det = system(state.copy()).advance(vectors, duration)
    np.testing.assert_allclose(vectors, expected, atol=1e-8)
    # Of a flow ln|det| is that of the exact motion: the step of 0.02 errs by (22.8 * 0.02)^5/120 = 2e-4 in each of 10
    # steps at most, for the fastest contraction of Lorenz's Jacobian.
    assert log_det == pytest.approx(np.linalg.slogdet(vectors)[1], abs=2e-3 if n == 3 else 1e-12)


def test_rate_network_without_determinant_says_so():
    system = RateNetwork(np.eye(2), np.ones(2), 0.1, with_determinant=False)
    assert not system.has_determinant
    assert np.isnan(system.advance(np.eye(2), 0.2))


def test_the_rate_network_is_the_published_map():
    weights, state = random_weights(5, 2.0, 0), seeded(1).normal(size=5)
    system = RateNetwork(weights, state.copy(), 0.1, with_determinant=False)
    system.advance(np.eye(5), 0.2)
    for _ in range(2):
        state = [0.9 * state[i] + 0.1 * sum(weights[i, j] * np.tanh(state[j]) for j in range(5)) for i in range(5)]
    np.testing.assert_allclose(system.state, state, rtol=1e-14)


# --- stable systems in closed form ------------------------------------------------------------------------------------


# After the transient the vectors are the axes up to (0.5/0.7)^150 = 1e-22; then each interval gives the logarithm with
# the rounding of a QR of a diagonal matrix, a few eps, whatever the interval.
@pytest.mark.parametrize("interval", [1, 3])
@pytest.mark.parametrize(
    "factors", [[0.5], [-0.9, 0.5, 0.3, -0.01], [0.01, -0.3, 0.5, -0.9], [0.5, -0.7, 1.0], [-3.0, 2.0, 0.4]]
)
def test_diagonal_maps(factors, interval):
    spectrum = linear_map(np.diag(factors), reorthonormalise_every=interval)
    expected = np.sort(np.log(np.abs(factors)))[::-1]
    np.testing.assert_allclose(spectrum.exponents, expected, atol=20 * EPS)
    np.testing.assert_allclose(spectrum.standard_errors, 0, atol=20 * EPS)
    assert spectrum.largest_exponent == spectrum.exponents[0]
    assert spectrum.sum == pytest.approx(expected.sum(), abs=50 * EPS)
    assert spectrum.mean_log_det == pytest.approx(expected.sum(), abs=50 * EPS)
    assert "the sum agrees with the mean of ln|det| to" in spectrum.status
    assert "aligned" not in spectrum.status


def test_contraction_that_is_the_same_in_all_directions():
    rotation = np.linalg.qr(seeded(3).normal(size=(4, 4)))[0]
    # Nothing converges and nothing needs to: from the first interval on.
    spectrum = linear_map(0.2 * rotation, transient=0)
    np.testing.assert_allclose(spectrum.exponents, np.log(0.2), atol=20 * EPS)
    np.testing.assert_allclose(spectrum.trace, np.log(0.2), atol=20 * EPS)


@pytest.mark.parametrize("interval", [1, 2])
def test_a_singular_map_loses_a_direction_and_no_other(interval):
    spectrum = linear_map(np.diag([0.5, 0.0, -0.8, 3.0]), reorthonormalise_every=interval)
    np.testing.assert_allclose(spectrum.exponents[:3], np.log([3.0, 0.8, 0.5]), atol=20 * EPS)
    assert spectrum.exponents[3] == -np.inf
    assert not np.isnan(spectrum.standard_errors).any()
    assert not np.isnan(spectrum.trace).any()
    assert (spectrum.trace[:, 3] == -np.inf).all()
    assert spectrum.mean_log_det is None
    assert spectrum.sum is None
    assert "nan" not in spectrum.status.lower()
    # ln 3 + ln 0.8 + ln 0.5 = ln 1.2 > 0: three whole directions, and nothing of the lost one.
    assert spectrum.kaplan_yorke_dimension == 3.0
    assert spectrum.entropy_rate == pytest.approx(np.log(3))
    assert np.isfinite(spectrum.per_neuron).all()


def test_a_map_that_is_singular_once_in_two_steps_loses_the_direction_for_good():
    # Every second application erases the second axis: the mean over the intervals is -inf, the first is not touched.
    spectrum = map_spectrum(
        lambda x: np.array([-x[0], x[1]]),
        lambda x: np.diag([0.5, 0.25 if x[0] > 0 else 0.0]),
        np.ones(2),
        duration=20,
        transient=0,
        rng=seeded(),
    )
    assert spectrum.exponents[1] == -np.inf
    # From any start: the share of the second axis is gone after two applications, a bounded logarithm in 20.
    assert abs(spectrum.exponents[0] - np.log(0.5)) < np.log(10) / 20
    assert not np.isnan(spectrum.trace).any()


def test_a_map_onto_nothing():
    spectrum = linear_map(np.zeros((2, 2)), transient=0)
    assert (spectrum.exponents == -np.inf).all()
    assert not np.isnan(spectrum.trace).any()
    assert spectrum.kaplan_yorke_dimension == 0.0
    assert spectrum.entropy_rate == 0.0


NON_NORMAL = np.array([[-1.0, 30.0, 0.0], [0.0, -2.0, 20.0], [0.0, 0.0, -4.0]])


# The gap of 1 leaves e^-40 = 4e-18 of the start, times the condition of the eigenvectors (4e3). The exponents are those
# of the discrete steps, to the rounding of 10 steps of vectors of norm up to 30 in an interval.
@pytest.mark.parametrize("step", [0.25, 0.1, 0.05])
def test_non_normal_linear_flow_has_the_real_parts_of_its_eigenvalues(step):
    spectrum = linear_flow(NON_NORMAL, step=step)
    np.testing.assert_allclose(spectrum.exponents, runge_kutta([-1.0, -2.0, -4.0], step), atol=1e-12)
    # Liouville: the trace, integrated exactly.
    assert spectrum.mean_log_det == pytest.approx(-7, rel=1e-12)


def test_the_error_of_flows_is_of_fourth_order_in_the_step():
    errors = [linear_flow(NON_NORMAL, step=step).exponents - [-1, -2, -4] for step in (0.1, 0.05)]
    # With z = rate step, ln of the polynomial is z - z^5/120 (1 - 5 z/6 + ...): the order measured from steps h and h/2
    # is 4 + 5 |z|/(12 ln 2) = 4 + 0.6 |z|, to first order in z.
    order = np.log2(errors[0] / errors[1])
    assert (np.abs(order - 4 - 0.6 * 0.1 * np.array([1, 2, 4])) < 0.02).all()
    assert np.abs(errors[1]).max() < (4 * 0.05) ** 5 / 120 / 0.05 * 1.2


# A pair of complex eigenvalues a +- ib turns: the growth of the first vector wavers by at most the condition of the
# eigenvectors of the pair, here 4 (the axes of the ellipse), and of two vectors together it does not. Steps of 0.05 err
# by |z|^5/(120 h) = 1e-3 for |z| = 0.05 |-1 + 4i| = 0.2, known exactly.
def test_linear_flow_that_spirals_in():
    matrix = np.array([[-1.0, 16.0, 5.0], [-1.0, -1.0, 3.0], [0.0, 0.0, -3.0]])
    spectrum = linear_flow(matrix, step=0.05, duration=100.0)
    expected = runge_kutta(np.array([-1 + 4j, -1 - 4j, -3]), 0.05)
    assert (np.abs(spectrum.exponents[:2] - expected[:2]) < np.log(4) / 100).all()
    assert spectrum.exponents[:2].sum() == pytest.approx(2 * expected[0], abs=1e-11)
    assert spectrum.exponents[2] == pytest.approx(expected[2], abs=1e-11)


def step_exponents(weights, dt):
    return np.sort(np.log(np.abs(1 - dt + dt * np.linalg.eigvals(weights))) / dt)[::-1]


# At the fixed point 0 a step is a constant matrix. Symmetric weights: real eigenvalues, orthogonal vectors; the gaps of
# the spectrum used are all above 0.02 (checked), and e^(-0.02 * 2000) = 4e-18. Rounding: ten steps an interval.
@pytest.mark.parametrize("dt", [0.1, 0.5])
def test_rate_network_at_its_fixed_point_with_symmetric_weights(dt):
    basis = np.linalg.qr(seeded(1).normal(size=(8, 8)))[0]
    weights = basis @ np.diag([0.9, 0.5, 0.3, 0.0, -0.2, -0.4, -0.7, -0.95]) @ basis.T
    expected = step_exponents(weights, dt)
    assert -np.diff(expected).max() > 0.02
    spectrum = rate_network_spectrum(weights, dt=dt, state=np.zeros(8), duration=50.0, transient=2000.0, rng=seeded())
    np.testing.assert_allclose(spectrum.exponents, expected, atol=1e-12)
    assert spectrum.mean_log_det == pytest.approx(expected.sum(), rel=1e-12)


# General weights: complex pairs turn, so that the length of a vector wavers about its trend, by at most the condition
# of the eigenvectors at either end of the measurement (measured: 3 % of that). Between pairs volumes do not waver.
@pytest.mark.parametrize("gain", [0.5, 0.9])
def test_rate_network_at_its_fixed_point(gain):
    weights, dt, duration = random_weights(12, gain, 1), 0.1, 500.0
    mu = np.linalg.eigvals(weights)
    assert (np.abs(mu.imag) > 1e-3).sum() >= 4
    spectrum = rate_network_spectrum(
        weights, dt=dt, state=np.zeros(12), duration=duration, transient=500.0, rng=seeded()
    )
    expected = step_exponents(weights, dt)
    condition = np.linalg.cond(np.linalg.eig(weights)[1])
    assert (np.abs(spectrum.exponents - expected) < 2 * np.log(condition) / duration).all()
    # Where there is a gap, the volume of the leading vectors grows by the product of their eigenvalues. The gap leaves
    # e^(-gap 500) of the other directions: 0.1 is enough for rounding, ten steps an interval.
    gaps = np.append(-np.diff(expected), np.inf) > 0.1
    assert gaps.sum() >= 4
    difference = np.cumsum(spectrum.exponents) - np.cumsum(expected)
    assert np.abs(difference[gaps]).max() < 1e-11
    assert spectrum.mean_log_det == pytest.approx(expected.sum(), rel=1e-12)


def test_rate_network_relaxes_into_its_fixed_point_from_anywhere():
    # From the random start of the rng, and the leading exponents alone. The gap leaves e^-40 of the other vectors after
    # the transient; h falls by e^(-0.15 * 290) = 1e-19, and its square is what the gain differs from 1 by. The leading
    # eigenvalue is real for this seed.
    weights = random_weights(40, 0.8, 1)
    mu = np.linalg.eigvals(weights)
    expected = step_exponents(weights, 0.1)
    assert mu[np.argmax(np.abs(0.9 + 0.1 * mu))].imag == 0
    gap = expected[0] - expected[1]
    spectrum = rate_network_spectrum(
        weights, dt=0.1, n_exponents=3, duration=50.0, transient=float(np.ceil(40 / gap)), rng=seeded()
    )
    assert spectrum.largest_exponent == pytest.approx(expected[0], abs=1e-12)
    assert spectrum.mean_log_det is None
    assert spectrum.sum is None
    assert not spectrum.complete


# The mean exponent is the mean of ln|1 - dt + dt mu|/dt = -1 + Re mu - dt/2 Re (1 - mu)^2 + ...; without self-coupling
# the mu sum to zero: -1 - dt/2 (1 + mean mu^2) - dt^2/3 (1 + 3 mean mu^2 - mean mu^3) ...: extrapolated over two halves
# of dt, orders 1 and 2 cancel and dt^3/4 times a few, over the extrapolation's 1/8, remain.
def test_the_mean_exponent_of_small_steps_is_that_of_continuous_time():
    weights = random_weights(20, 0.6, 4)
    means = [
        rate_network_spectrum(weights, dt=dt, state=np.zeros(20), duration=5.0, transient=0.0, rng=seeded()).sum / 20
        for dt in (0.1, 0.05, 0.025)
    ]
    first = [2 * b - a for a, b in pairwise(means)]
    assert (4 * first[1] - first[0]) / 3 == pytest.approx(-1, abs=0.1**3 / 4)
    assert means[2] == pytest.approx(-1 - 0.0125 * (1 + np.mean(np.diag(weights @ weights))), abs=2 * 0.025**2)


def test_a_random_network_has_the_mean_exponent_of_its_leak():
    # ln(0.95)/0.05 = -1.0259; the weights add -dt/2 of the mean of the diagonal of (J gain)^2, a sum of products of
    # independent numbers, of size 16/50 * sqrt(2) * 0.025 = 0.01 at most. Reference: -1.0256.
    weights = random_weights(50, 4.0, 0)
    spectrum = rate_network_spectrum(weights, dt=0.05, duration=20.0, transient=20.0, rng=seeded())
    assert spectrum.sum / 50 == pytest.approx(-1.0256, abs=0.03)
    assert spectrum.sum == pytest.approx(spectrum.mean_log_det, rel=1e-10)


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_matrix, sp.coo_array])
@pytest.mark.parametrize("k", ["all", 4])
def test_sparse_and_dense_weights_agree(kind, k):
    # A stable network: rounding in the order of sums stays rounding, amplified only as vectors turn.
    weights = random_weights(25, 0.7, 3) * (seeded(4).random((25, 25)) < 0.3)
    options = {"n_exponents": k, "duration": 20.0, "transient": 10.0}
    dense = rate_network_spectrum(weights, rng=seeded(), **options)
    sparse = rate_network_spectrum(kind(weights), rng=seeded(), **options)
    np.testing.assert_allclose(sparse.exponents, dense.exponents, atol=1e-11)
    assert (sparse.mean_log_det is None) == (k != "all")
    if k == "all":
        assert sparse.mean_log_det == pytest.approx(dense.mean_log_det, rel=1e-12)


# --- random matrices: exponents and their standard errors in closed form ----------------------------------------------


def gaussian_products(n, gain, seed, duration):
    """Spectrum of products of independent matrices: the state counts the applications and seeds the next matrix."""
    return map_spectrum(
        lambda x: x + 1,
        lambda x: gain / np.sqrt(n) * seeded([seed, int(x[0])]).standard_normal((n, n)),
        np.zeros(n),
        duration=duration,
        transient=0,
        rng=seeded(seed),
    )


# R_ii^2 n/g^2 of such a matrix is chi-squared with n - i + 1 degrees of freedom whatever Q, independent over intervals:
# mean and variance of ln R_ii are known (Newman 1986).
@pytest.mark.parametrize("gain", [0.3, 1.0, 3.0])
def test_products_of_gaussian_matrices(gain):
    n, duration = 10, 2000
    freedom = n - np.arange(n)
    expected = (np.log(2 * gain**2 / n) + digamma(freedom / 2)) / 2
    error = np.sqrt(polygamma(1, freedom / 2) / 4 / duration)
    spectrum = gaussian_products(n, gain, 7, duration)
    assert (np.abs(spectrum.exponents - expected) < 5 * error).all()
    # Ten batches: nine degrees of freedom, chi_9/3 is within 0.2 .. 2.2 but for 1e-5.
    assert (spectrum.standard_errors > 0.2 * error).all()
    assert (spectrum.standard_errors < 2.2 * error).all()
    assert spectrum.sum == pytest.approx(spectrum.mean_log_det, abs=1e-10)


def test_standard_errors_cover():
    n, duration, seeds = 8, 150, 25
    freedom = n - np.arange(n)
    expected = (np.log(2 / n) + digamma(freedom / 2)) / 2
    true = np.sqrt(polygamma(1, freedom / 2) / 4 / duration)
    found = [gaussian_products(n, 1.0, 100 + seed, duration) for seed in range(seeds)]
    reported = np.array([spectrum.standard_errors for spectrum in found])
    # Beside the spread, what directions that still turn may add; here they are as random from the beginning.
    turning = np.array([_turning(spectrum.exponents, 0.0, duration) for spectrum in found])
    reported = np.sqrt(reported**2 - turning**2)
    # Mean squares: chi-squared with 9 degrees of freedom over 9, a variance of 2/9 each (a bit more, as ln chi^2 is
    # skewed), 200 of them independent: 5 * sqrt(2/9/200) = 0.17.
    assert np.mean((reported / true) ** 2) == pytest.approx(1, abs=0.2)
    # The errors over the reported ones have Student's distribution with 9 degrees: 92.3 % within 2, +- 5 * 1.9 %.
    scores = (np.array([spectrum.exponents for spectrum in found]) - expected) / reported
    assert np.mean(np.abs(scores) < 2) == pytest.approx(0.923, abs=0.095)


# --- chaos ------------------------------------------------------------------------------------------------------------


# Leading exponents within 5 of their reported standard errors (asserted to be small enough to mean something), sums to
# rounding, or to the error of the Runge-Kutta method: (|z|^5/120)/step for the fastest local contraction.


def test_henon():
    spectrum = map_spectrum(henon, henon_jacobian, np.zeros(2), duration=15000, transient=100, rng=seeded())
    assert (spectrum.standard_errors < 0.005).all()
    assert (np.abs(spectrum.exponents - [0.41922, -1.62319]) < 5 * spectrum.standard_errors).all()
    assert spectrum.sum == pytest.approx(np.log(0.3), abs=1e-11)
    assert spectrum.mean_log_det == pytest.approx(np.log(0.3), abs=1e-11)
    assert spectrum.kaplan_yorke_dimension == pytest.approx(1 + 0.41922 / 1.62319, abs=0.01)


def test_lorenz():
    spectrum = lorenz_spectrum(duration=400.0, reorthonormalise_every=0.5)
    assert (spectrum.standard_errors < 0.04).all()
    assert (np.abs(spectrum.exponents - [0.9056, 0, -14.5723]) < 5 * spectrum.standard_errors).all()
    # The divergence is constant; of the eigenvalues of the Jacobian none is below -23 on the attractor.
    assert spectrum.mean_log_det == pytest.approx(-41 / 3, rel=1e-11)
    assert spectrum.sum == pytest.approx(-41 / 3, abs=23**5 * 0.01**4 / 120)
    errors = spectrum.standard_errors
    assert spectrum.kaplan_yorke_dimension == pytest.approx(2.062, abs=5 * np.hypot(errors[0], errors[1]) / 14.57)
    assert spectrum.entropy_rate == pytest.approx(0.9056, abs=5 * np.hypot(errors[0], errors[1]))


def test_the_sum_of_the_exponents_of_a_chaotic_flow_is_of_fourth_order():
    # Over 5 units of time trajectories of both steps stay together (e^(0.9 * 5) times the error of a step).
    errors = [
        lorenz_spectrum(step=step, duration=5.0, transient=0.0, reorthonormalise_every=0.1).sum + 41 / 3
        for step in (0.01, 0.005)
    ]
    # Next order: 5/6 |z| of either, |z| = 0.15 .. 0.2 at 0.01: a ratio of 16 (1 + 0.06 .. 0.1).
    assert 14 < errors[0] / errors[1] < 19


def test_roessler():
    spectrum = flow_spectrum(
        roessler, roessler_jacobian, np.ones(3), step=0.04, duration=1600.0, transient=100.0, rng=seeded()
    )
    assert spectrum.standard_errors[0] < 0.005
    assert (np.abs(spectrum.exponents - [0.0714, 0, -5.3943]) < 5 * spectrum.standard_errors).all()
    # x - c is above -15 on the attractor: 0.016 at the worst. The reference sum, -5.3229, is of another trajectory: the
    # mean of x is known as well as the third exponent.
    assert spectrum.sum == pytest.approx(spectrum.mean_log_det, abs=15**5 * 0.04**4 / 120)
    assert spectrum.mean_log_det == pytest.approx(-5.3229, abs=5 * spectrum.standard_errors[2])


# Reference: g = 4, N = 200, dt = 0.05, 400 units of time, 5 networks: 0.259 +- 0.006, thus 0.0134 from network to
# network; D/N 0.0723 +- 0.0027, H/N 0.00436. The mean of two networks differs from it by sqrt(0.0134^2/2 + 0.006^2) =
# 0.011, D/N by 0.005 likewise. Four of these are half the distance to g = 3 (0.172). H/N goes with its square.
def test_chaotic_rate_networks():
    found = [
        rate_network_spectrum(
            random_weights(200, 4.0, seed), dt=0.05, n_exponents=25, duration=400.0, transient=50.0, rng=seeded(seed)
        )
        for seed in (1, 2)
    ]
    assert np.mean([spectrum.largest_exponent for spectrum in found]) == pytest.approx(0.259, abs=4 * 0.011)
    assert np.mean([spectrum.kaplan_yorke_dimension / 200 for spectrum in found]) == pytest.approx(
        0.0723, abs=4 * 0.005
    )
    assert np.mean([spectrum.entropy_rate / 200 for spectrum in found]) == pytest.approx(0.00436, rel=0.3)
    # The time within a network: ten batches say how well its own exponent is known.
    assert all(0.002 < spectrum.standard_errors[0] < 0.04 for spectrum in found)


# --- what must not matter ---------------------------------------------------------------------------------------------


# The trajectory does not depend on the vectors, and these forget their start: at the gap of 0.9 e^(-0.9 * 40) = 2e-16
# of it is left after the transient, amplified for a while where the local gap is reversed; then rounding alone differs,
# and is forgotten at the same rate.
@pytest.mark.parametrize("k", [1, 2])
def test_leading_exponents_are_those_of_the_full_spectrum(k):
    full = lorenz_spectrum(reorthonormalise_every=0.5)
    leading = lorenz_spectrum(reorthonormalise_every=0.5, n_exponents=k)
    np.testing.assert_allclose(leading.exponents, full.exponents[:k], atol=1e-10)
    np.testing.assert_allclose(leading.standard_errors, full.standard_errors[:k], atol=1e-10)
    np.testing.assert_allclose(leading.trace, full.trace[:, :k], atol=1e-9)
    np.testing.assert_allclose(leading.participation, full.participation[:, :k], atol=1e-8)
    assert leading.exponents.shape == leading.standard_errors.shape == (k,)
    assert leading.participation.shape == (3, k)
    assert leading.trace.shape == (40, k)
    assert leading.dimension == 3
    assert leading.mean_log_det == full.mean_log_det


def test_the_first_vectors_do_not_matter_beyond_the_transient():
    one, other = (lorenz_spectrum(rng=seeded(seed), reorthonormalise_every=0.5) for seed in (0, 1))
    np.testing.assert_allclose(one.exponents, other.exponents, atol=1e-10)
    # They do at first: the transient is no pretence.
    one, other = (lorenz_spectrum(rng=seeded(seed), transient=0.0, duration=1.0) for seed in (0, 1))
    assert np.abs(one.exponents - other.exponents).max() > 1e-3


# The third vector aligns with the others by e^(-15.5 T) within an interval T: a relative error of eps e^(15.5 T) in its
# growth, times ten for stretches of faster contraction: of 20/T intervals and over T each.
@pytest.mark.parametrize("interval", [0.01, 0.1, 0.25, 1.0])
def test_the_interval_does_not_matter(interval):
    reference = lorenz_spectrum(reorthonormalise_every=0.5)
    spectrum = lorenz_spectrum(reorthonormalise_every=interval)
    assert spectrum.trace.shape == (round(20 / interval), 3)
    np.testing.assert_allclose(spectrum.exponents[:2], reference.exponents[:2], atol=1e-10)
    tolerance = 1e-10 + 10 * EPS * np.exp(15.5 * max(interval, 0.5)) / max(interval, 0.5)
    assert spectrum.exponents[2] == pytest.approx(reference.exponents[2], abs=tolerance)


def test_the_interval_does_not_matter_to_rate_networks():
    # The gap of neighbours of a random network is small: the volume of all, and the first after a long transient.
    weights = random_weights(6, 3.0, 5)
    options = {"dt": 0.1, "state": np.linspace(-1, 1, 6), "duration": 30.0, "transient": 300.0}
    found = [
        rate_network_spectrum(weights, reorthonormalise_every=interval, rng=seeded(), **options)
        for interval in (0.1, 1.0, 3.0)
    ]
    for spectrum in found[1:]:
        np.testing.assert_allclose(spectrum.exponents, found[0].exponents, atol=1e-9)
        assert spectrum.mean_log_det == pytest.approx(found[0].mean_log_det, rel=1e-12)


def test_neither_state_nor_weights_are_written_to():
    state, weights = np.ones(3), random_weights(3, 1.0, 0)
    before = weights.copy()
    rate_network_spectrum(weights, state=state, duration=2.0, transient=0.0, rng=seeded())
    flow_spectrum(lorenz, lorenz_jacobian, state, step=0.01, duration=1.0, transient=0.0, rng=seeded())
    map_spectrum(lambda x: 0.5 * x, lambda x: 0.5 * np.eye(3), state, duration=2, transient=0, rng=seeded())

    def in_place(x):
        x *= 0.5
        return x

    map_spectrum(in_place, lambda x: 0.5 * np.eye(3), state, duration=2, transient=0, rng=seeded())
    assert (state == 1).all()
    assert (weights == before).all()


def test_the_same_seed_gives_the_same_numbers():
    one, other = (
        rate_network_spectrum(random_weights(5, 3.0, 0), duration=5.0, transient=5.0, rng=seeded(7)) for _ in range(2)
    )
    assert (one.exponents == other.exponents).all()
    assert (one.participation == other.participation).all()


# --- what a spectrum says of itself -----------------------------------------------------------------------------------


def test_the_trace_is_the_running_mean_and_ends_at_the_exponents():
    spectrum = map_spectrum(henon, henon_jacobian, np.zeros(2), duration=300, transient=10, rng=seeded())
    assert spectrum.trace.shape == (300, 2)
    np.testing.assert_allclose(spectrum.trace[-1], spectrum.exponents, atol=1e-13)
    shorter = map_spectrum(henon, henon_jacobian, np.zeros(2), duration=120, transient=10, rng=seeded())
    np.testing.assert_allclose(shorter.trace, spectrum.trace[:120], atol=1e-13)
    np.testing.assert_allclose(shorter.exponents, spectrum.trace[119], atol=1e-13)


def test_standard_errors_from_ten_stretches():
    spectrum = map_spectrum(henon, henon_jacobian, np.zeros(2), duration=300, transient=10, rng=seeded())
    growth = np.diff(spectrum.trace * np.arange(1, 301)[:, np.newaxis], axis=0, prepend=0)
    means = growth.reshape(10, 30, 2).mean(axis=1)
    np.testing.assert_allclose(spectrum.standard_errors, means.std(axis=0, ddof=1) / np.sqrt(10), rtol=1e-10)


def test_one_interval_has_no_standard_error():
    spectrum = linear_map(np.diag([0.5, 0.2]), duration=1)
    assert (spectrum.standard_errors == np.inf).all()
    two = linear_map(np.diag([0.5, 0.2]), duration=2)
    assert np.isfinite(two.standard_errors).all()


def test_times_and_numbers_of_intervals():
    # Started transient intervals count as whole ones, unfinished measured ones do not count.
    seen = []
    spectrum = linear_map(np.diag([0.5, 0.2]), duration=10, transient=4, reorthonormalise_every=3, report=seen.append)
    assert spectrum.interval == 3
    assert spectrum.duration == 9
    assert spectrum.trace.shape == (3, 2)
    assert seen == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert spectrum.rates.size == 0
    assert spectrum.status.startswith("3 intervals of 3 units of time")


@pytest.mark.parametrize(("dt", "interval", "intervals"), [(0.1, 0.3, 10), (0.1, 0.7, 4), (0.05, 1.0, 3)])
def test_intervals_of_steps_that_are_no_binary_fractions(dt, interval, intervals):
    spectrum = rate_network_spectrum(
        np.zeros((2, 2)), dt=dt, duration=3.0, transient=0.3, reorthonormalise_every=interval, rng=seeded()
    )
    assert spectrum.trace.shape == (intervals, 2)
    np.testing.assert_allclose(spectrum.exponents, np.log(1 - dt) / dt, rtol=1e-13)


# 0.3/0.1 is a little below 3, 0.7/0.1 a little below 7.
@pytest.mark.parametrize("interval", [0.3, 0.7])
def test_flows_take_every_step_of_an_interval(interval):
    spectrum = linear_flow(np.diag([-1.0, -1.0]), reorthonormalise_every=interval, duration=2.1, transient=0.0)
    assert spectrum.trace.shape == (round(2.1 / interval), 2)
    np.testing.assert_allclose(spectrum.exponents, runge_kutta(-1.0, 0.1), atol=1e-13)
    assert spectrum.mean_log_det == pytest.approx(-2, rel=1e-13)


@pytest.mark.parametrize("transient", [0, 7])
def test_report_is_called_with_fractions_that_end_at_one(transient):
    seen = []
    linear_map(np.diag([0.5, 0.2]), duration=13, transient=transient, report=seen.append)
    np.testing.assert_allclose(seen, np.arange(1, 14 + transient) / (13 + transient))
    assert seen[-1] == 1
    seen = []
    lorenz_spectrum(duration=2.0, transient=1.0, report=seen.append)
    np.testing.assert_allclose(seen, [1 / 3, 2 / 3, 1])
    seen = []
    rate_network_spectrum(np.eye(2), duration=2.0, transient=2.0, report=seen.append, rng=seeded())
    np.testing.assert_allclose(seen, [0.25, 0.5, 0.75, 1])


def test_a_spectrum_in_one_line():
    shown = repr(linear_map(np.diag([0.5, 0.2, 0.1]), n_exponents=2))
    assert shown.startswith("Spectrum(2 of 3 exponents, -0.693 +- ")
    assert "-1.61" in shown
    assert "60 intervals of 1 units of time" in shown


def test_components_of_a_complete_spectrum_add_up_to_its_sum():
    spectrum = lorenz_spectrum(reorthonormalise_every=0.5)
    np.testing.assert_allclose(spectrum.participation.sum(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(spectrum.participation.sum(axis=1), 1, rtol=1e-12)
    assert spectrum.per_neuron.shape == (3,)
    assert spectrum.per_neuron.sum() == pytest.approx(spectrum.sum, rel=1e-12)
    leading = lorenz_spectrum(reorthonormalise_every=0.5, n_exponents=2)
    assert leading.per_neuron.sum() == pytest.approx(leading.exponents.sum(), abs=1e-12)


def test_components_of_a_diagonal_map_are_its_own_exponents():
    factors = np.array([0.1, -0.9, 0.5, 2.0])
    np.testing.assert_allclose(linear_map(np.diag(factors)).per_neuron, np.log(np.abs(factors)), atol=20 * EPS)


def given_spectrum(exponents, dimension=None, *, participation=None, rates=()):
    exponents = np.array(exponents, dtype=float)
    k = exponents.size
    dimension = k if dimension is None else dimension
    return Spectrum(
        exponents=exponents,
        standard_errors=np.zeros(k),
        trace=exponents[np.newaxis],
        dimension=dimension,
        mean_log_det=None,
        participation=np.eye(dimension)[:, :k] if participation is None else participation,
        rates=np.array(rates),
        interval=1.0,
        duration=1.0,
        status="",
    )


def test_exponents_of_neurons_with_several_coordinates():
    # Two neurons: potentials first, then currents. Columns: (v0), (v1 and i0, half each), the rest.
    participation = np.array([[1, 0, 0, 0], [0, 0.5, 0, 0.5], [0, 0.5, 0.25, 0.25], [0, 0, 0.75, 0.25]])
    spectrum = given_spectrum([1, -2, -4, -8], participation=participation, rates=[5.0, 5.0])
    np.testing.assert_allclose(spectrum.per_neuron, [1 - 1 - 1 - 2, -1 - 4 - 3 - 2])
    assert spectrum.per_neuron.sum() == spectrum.sum


# --- what follows from the exponents ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exponents", "expected"),
    [
        ([1.0, 0.0, -4.0], 2.25),
        ([-4.0, 1.0, 0.0], 2.25),
        ([0.9056, 0.0, -14.5723], 2 + 0.9056 / 14.5723),
        ([0.41922, -1.62319], 1 + 0.41922 / 1.62319),
        ([0.5, 0.25, -0.5, -0.5, -1.0], 3.5),
        ([1.0, -1.0], 2.0),
        ([1.0, -1.0, -5.0], 2.0),
        ([0.0, -1.0], 1.0),
        ([0.0, 0.0, -1.0, -2.0], 2.0),
        ([-1.0, -2.0], 0.0),
        ([-3.0], 0.0),
        ([2.0], 1.0),
        ([0.0], 1.0),
        ([2.0, 1.0, -1.0], 3.0),
        ([1.0, -0.5, -np.inf], 2.0),
        ([1.0, -2.0, -np.inf], 1.5),
        ([1.0, -np.inf, -np.inf], 1.0),
        ([-1.0, -np.inf], 0.0),
        ([-np.inf], 0.0),
        ([3, 1, -2, -8], 3.25),
    ],
)
def test_kaplan_yorke_dimension(exponents, expected):
    assert kaplan_yorke_dimension(np.array(exponents)) == pytest.approx(expected, rel=1e-14)
    # The same as a property of a complete spectrum.
    assert given_spectrum(exponents).kaplan_yorke_dimension == pytest.approx(expected, rel=1e-14)


def test_kaplan_yorke_dimension_of_lorenz():
    assert kaplan_yorke_dimension(np.array([0.9056, 0.0, -14.5723])) == pytest.approx(2.062, abs=5e-4)


@pytest.mark.parametrize(
    ("exponents", "expected"),
    [
        ([1.5, 0.5, -4.0], 2.0),
        ([-4.0, 0.5, 1.5], 2.0),
        ([0.0, -1.0], 0.0),
        ([-1.0], 0.0),
        ([1.0, -np.inf], 1.0),
        ([2.0, 1.0], 3.0),
    ],
)
def test_entropy_rate(exponents, expected):
    assert entropy_rate(np.array(exponents)) == expected
    assert given_spectrum(exponents).entropy_rate == expected


def test_leading_exponents_that_do_not_suffice():
    spectrum = given_spectrum([1.0, 0.5], 4)
    assert spectrum.kaplan_yorke_dimension is None
    assert spectrum.entropy_rate is None
    assert spectrum.sum is None
    # No positive one can follow: the entropy rate is there, the dimension is not.
    spectrum = given_spectrum([1.0, 0.5, -0.5], 4)
    assert spectrum.kaplan_yorke_dimension is None
    assert spectrum.entropy_rate == 1.5
    # The sum falls below zero: both are.
    spectrum = given_spectrum([1.0, 0.5, -0.5, -4.0], 10)
    assert spectrum.kaplan_yorke_dimension == 3.25
    assert spectrum.entropy_rate == 1.5
    assert spectrum.sum is None
    assert given_spectrum([-1.0], 4).kaplan_yorke_dimension == 0.0
    # Of a sum of exactly zero more is needed: the next exponent may be zero, too.
    assert given_spectrum([1.0, -1.0], 3).kaplan_yorke_dimension is None
    assert given_spectrum([1.0, -np.inf], 3).kaplan_yorke_dimension == 1.0


def test_interpolation_by_hand():
    # From the grid 1/2, 1 to 1/4 .. 1: held below 1/2, the middle at 3/4.
    assert interpolate_spectrum(np.array([2.0, -2.0]), 4).tolist() == [2.0, 2.0, 0.0, -2.0]
    # From 1/3, 2/3, 1 to 1/2, 1: halfway between the first two.
    np.testing.assert_allclose(interpolate_spectrum(np.array([3.0, 1.0, -5.0]), 2), [2.0, -5.0], rtol=1e-15)
    assert interpolate_spectrum(np.array([-2.0]), 3).tolist() == [-2.0] * 3
    assert interpolate_spectrum(np.array([3.0, 1.0, -5.0]), 1).tolist() == [-5.0]
    # Sorted first.
    assert interpolate_spectrum(np.array([-2.0, 2.0]), 4).tolist() == [2.0, 2.0, 0.0, -2.0]


@pytest.mark.parametrize("n", [1, 2, 7, 49, 1000])
def test_interpolation_to_the_same_size_changes_nothing(n):
    exponents = np.sort(seeded(n).normal(size=n))[::-1]
    assert (interpolate_spectrum(exponents, n) == exponents).all()


def test_interpolation_to_a_multiple_keeps_the_exponents_on_the_grid():
    exponents = np.sort(seeded().normal(size=30))[::-1]
    np.testing.assert_allclose(interpolate_spectrum(exponents, 90)[2::3], exponents, atol=1e-14)


def test_interpolation_of_lost_directions_gives_no_nan():
    found = interpolate_spectrum(np.array([1.0, -1.0, -np.inf, -np.inf]), 8)
    assert found[:4].tolist() == [1.0, 1.0, 0.0, -1.0]
    assert (found[4:] == -np.inf).all()


@pytest.mark.parametrize("function", [kaplan_yorke_dimension, entropy_rate, lambda x: interpolate_spectrum(x, 3)])
@pytest.mark.parametrize("exponents", [[], [1.0, np.nan], [np.inf, 0.0], [[1.0, -1.0]], 1.0])
def test_what_is_no_spectrum_is_refused(function, exponents):
    with pytest.raises(InvalidInput, match="exponents must be at least one number each"):
        function(np.array(exponents))


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_sizes_that_are_no_sizes_are_refused(size):
    with pytest.raises(InvalidInput, match="size must be a whole number of at least 1"):
        interpolate_spectrum(np.array([1.0, 0.0]), size)


# --- bad input --------------------------------------------------------------------------------------------------------


@contextmanager
def refused(match):
    """One line that says what was wrong."""
    with pytest.raises(InvalidInput, match=match) as info:
        yield info
    assert "\n" not in str(info.value)


def call_map(**options):
    return linear_map(np.diag([0.5, 0.2]), **options)


def call_flow(**options):
    return linear_flow(np.diag([-1.0, -2.0]), **options)


def call_rate(**options):
    return rate_network_spectrum(np.eye(2), **{"duration": 10.0, "transient": 5.0, "rng": seeded(), **options})


EACH = pytest.mark.parametrize("call", [call_map, call_flow, call_rate], ids=["map", "flow", "rate network"])


@EACH
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_exponents": 3}, r"n_exponents must be at most the dimension of the tangent space, 2; got 3"),
        ({"n_exponents": 0}, r"n_exponents must be a whole number of at least 1, got 0"),
        ({"n_exponents": -1}, r"n_exponents must be a whole number of at least 1, got -1"),
        ({"n_exponents": 1.5}, r"n_exponents must be a whole number of at least 1, got 1\.5"),
        ({"n_exponents": True}, r"n_exponents must be a whole number of at least 1, got True"),
        ({"n_exponents": None}, r"n_exponents must be a whole number of at least 1, got None"),
        ({"n_exponents": "some"}, r"n_exponents must be one of all; got 'some'"),
        ({"reorthonormalise_every": 0}, r"reorthonormalise_every must be a number in \(0, inf\), got 0"),
        ({"reorthonormalise_every": -1}, r"reorthonormalise_every must be a number in \(0, inf\), got -1"),
        ({"reorthonormalise_every": np.nan}, r"reorthonormalise_every must be a number in \(0, inf\), got nan"),
        ({"reorthonormalise_every": 0.04}, r"reorthonormalise_every must be a whole number of steps of .*, got 0\.04"),
        ({"reorthonormalise_every": 1.25}, r"reorthonormalise_every must be a whole number of steps of .*, got 1\.25"),
        ({"duration": 2, "reorthonormalise_every": 3}, r"duration must hold at least one interval of 3, got 2"),
        ({"duration": 0}, r"duration must be a number in \(0, inf\), got 0"),
        ({"duration": np.inf}, r"duration must be a number in \(0, inf\), got inf"),
        ({"transient": -1}, r"transient must be a number in \[0, inf\), got -1"),
        ({"transient": np.nan}, r"transient must be a number in \[0, inf\), got nan"),
    ],
    ids=lambda x: str(x) if isinstance(x, dict) else "",
)
def test_values_out_of_range_are_refused(call, options, match):
    with refused(match):
        call(**options)


@pytest.mark.parametrize("dt", [0, -0.1, 2.0, 3, np.nan, "small"])
def test_a_dt_out_of_range_is_refused(dt):
    with refused(r"dt must be a number in \(0, 2\), got"):
        call_rate(dt=dt)


@pytest.mark.parametrize("step", [0, -0.1, np.inf])
def test_a_step_out_of_range_is_refused(step):
    with refused(r"step must be a number in \(0, inf\), got"):
        call_flow(step=step)


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (np.zeros((2, 3)), r"weights must be square, got shape \(2, 3\)"),
        (sp.csr_array((2, 3)), r"weights must be square, got shape \(2, 3\)"),
        (np.zeros(4), r"weights must have shape \(any, any\), got \(4,\)"),
        (np.array([[0.0, np.nan], [1.0, 0.0]]), r"weights must be finite, got nan at index \(0, 1\)"),
        (np.array([[0.0, 1.0], [-np.inf, 0.0]]), r"weights must be finite, got -inf at index \(1, 0\)"),
        ([["a", "b"], ["c", "d"]], r"weights must be an array of float"),
    ],
)
def test_wrong_weights_are_refused(weights, match):
    with refused(match):
        rate_network_spectrum(weights, rng=seeded())


# Whatever the line says, it is a line and no spectrum of NaN.
def test_sparse_weights_that_are_no_numbers_are_refused():
    weights = sp.csr_array(np.array([[0.0, np.nan], [1.0, 0.0]]))
    with refused("weights|rates"):
        rate_network_spectrum(weights, duration=5.0, transient=0.0, rng=seeded())


@pytest.mark.parametrize(
    ("state", "match"),
    [
        (np.zeros(3), r"state must have shape \(2,\), got \(3,\)"),
        (np.zeros((2, 1)), r"state must have shape \(2,\), got \(2, 1\)"),
        (np.array([0.0, np.nan]), r"state must be finite, got nan at index \(1,\)"),
    ],
)
def test_wrong_states_of_rate_networks_are_refused(state, match):
    with refused(match):
        call_rate(state=state)


@pytest.mark.parametrize(
    ("state", "match"),
    [
        (np.zeros((2, 1)), r"state must have shape \(any,\), got \(2, 1\)"),
        (1.0, r"state must have shape \(any,\), got \(\)"),
        (np.array([0.0, np.inf]), r"state must be finite, got inf at index \(1,\)"),
    ],
)
def test_wrong_states_of_maps_and_flows_are_refused(state, match):
    with refused(match):
        map_spectrum(henon, henon_jacobian, state, duration=10, transient=0, rng=seeded())
    with refused(match):
        flow_spectrum(henon, henon_jacobian, state, step=0.1, duration=10, transient=0, rng=seeded())


def test_functions_of_another_shape_are_refused():
    start, options = np.array([0.1, 0.2]), {"duration": 10, "transient": 0, "rng": seeded()}
    wrong = r"jacobian must return an array of shape \(2, 2\) at the state, got \(2,\)"
    with refused(wrong):
        map_spectrum(henon, lambda x: np.diag(henon_jacobian(x)), start, **options)
    with refused(wrong):
        flow_spectrum(henon, lambda x: np.diag(henon_jacobian(x)), start, step=0.1, **options)
    with refused(r"step must return an array of shape \(2,\) at the state, got \(2, 1\)"):
        map_spectrum(lambda x: henon(x)[:, np.newaxis], henon_jacobian, start, **options)
    with refused(r"velocity must return an array of shape \(2,\) at the state, got \(3,\)"):
        flow_spectrum(lambda x: np.zeros(3), henon_jacobian, start, step=0.1, **options)


# Within 4 units of time the vectors of the Lorenz system align by e^(-15.5 * 4) = 1e-27.
@pytest.mark.parametrize("interval", [4.0, 5.0, 10.0])
def test_intervals_so_long_that_vectors_align_are_refused(interval):
    def attempt(length):
        return lorenz_spectrum(transient=20.0, reorthonormalise_every=length)

    message = r"within .* units of time the tangent vectors align .*lower reorthonormalise_every to .* or ask for fewer"
    with refused(message) as info:
        attempt(interval)
    # Nobody has to guess: what the line proposes leads to an interval that works, by and by from far away, where only
    # rounding is left to tell how far.
    line, spectrum = str(info.value), None
    for _ in range(6):
        proposed = float(line.split("reorthonormalise_every to ")[1].split()[0])
        assert 0.5 < proposed < 0.75 * interval
        interval = proposed
        try:
            spectrum = attempt(interval)
            break
        except InvalidInput as error:
            line = str(error)
    # Within 5 times the standard error of twenty units of time, 0.1.
    assert spectrum is not None
    assert spectrum.exponents[2] == pytest.approx(-14.57, abs=0.5)


def test_fewer_exponents_allow_longer_intervals():
    # The gap of the first two is small: e^(0.9 * 5) = 90 within an interval, times 100 for stretches of faster growth.
    leading = lorenz_spectrum(reorthonormalise_every=5.0, n_exponents=2)
    reference = lorenz_spectrum(reorthonormalise_every=1.0, n_exponents=2)
    np.testing.assert_allclose(leading.exponents, reference.exponents, atol=1e4 * EPS)
    assert "aligned" not in leading.status


def test_intervals_in_which_vectors_begin_to_align_are_mentioned():
    # eps e^(15.5 * 1.8) = 3e-4 on average.
    spectrum = lorenz_spectrum(duration=18.0, transient=18.0, reorthonormalise_every=1.8)
    assert "vectors aligned in" in spectrum.status
    assert "a shorter interval avoids it" in spectrum.status
    assert "aligned" not in lorenz_spectrum(reorthonormalise_every=0.5).status


def test_intervals_so_long_that_vectors_overflow_are_refused():
    # 10^400 within an interval.
    with refused("beyond all bounds within an interval; lower reorthonormalise_every"):
        linear_map(np.diag([100.0, 0.5]), duration=400, transient=0, reorthonormalise_every=200)
    with refused("beyond all bounds within an interval; lower reorthonormalise_every"):
        linear_flow(np.diag([2.0, 1.0]), duration=1000.0, transient=0.0, reorthonormalise_every=500.0)
    shorter = linear_map(np.diag([100.0, 50.0]), duration=400, transient=200, reorthonormalise_every=10)
    np.testing.assert_allclose(shorter.exponents, np.log([100.0, 50.0]), rtol=1e-13)


def test_functions_and_generators_are_checked():
    with pytest.raises(InvalidInput, match="velocity must be a function of the state, got 3"):
        flow_spectrum(3, lambda x: x, [1.0], step=0.1, duration=1.0, transient=0.0, rng=np.random.default_rng(0))
    for call in (
        lambda: map_spectrum(lambda x: x, lambda x: np.eye(1), [1.0], duration=1, transient=0, rng=0),
        lambda: rate_network_spectrum(np.zeros((2, 2)), rng=0),
    ):
        with pytest.raises(InvalidInput, match="rng must be a generator such as"):
            call()


# diag(2, 1/10, 1/100): ln 2 - ln 10 < 0, so two exponents determine the dimension, 1 + ln 2/ln 10, one does not.
@pytest.mark.parametrize(
    ("factors", "k", "dimension", "entropy"),
    [
        ([2, 0.1, 0.01], 2, 1 + np.log(2) / np.log(10), np.log(2)),
        ([2, 0.1, 0.01], 1, None, None),
        ([3, 0.5, 0.1], 2, None, np.log(3)),
        ([0.5, 0.1], 1, 0, 0),
    ],
)
def test_what_the_leading_exponents_do_not_determine_is_said(factors, k, dimension, entropy):
    spectrum = linear_map(np.diag(factors), n_exponents=k)
    assert spectrum.kaplan_yorke_dimension == (None if dimension is None else pytest.approx(dimension, abs=1e-9))
    assert spectrum.entropy_rate == (None if entropy is None else pytest.approx(entropy, abs=1e-9))
    assert ("the Kaplan-Yorke dimension needs more exponents" in spectrum.status) == (dimension is None)
    assert ("the entropy rate needs more exponents" in spectrum.status) == (entropy is None)


def test_a_changed_spectrum_stays_consistent():
    spectrum = linear_map(np.diag([0.5, 0.2]))
    other = replace(spectrum, exponents=np.array([3.0, 1.0]), standard_errors=np.array([0.5, 0.1]))
    assert (other.largest_exponent, other.standard_error) == (3.0, 0.5)
    assert other.per_neuron.sum() == pytest.approx(4)
