"""Series, protocol and error measures against closed forms and published values."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.metrics import nrmse, nrmse_trace, smape, valid_prediction_time
from lnpbrian.learning.series import Series, lorenz63, mackey_glass, runge_kutta
from lnpbrian.learning.tasks import forecast_task, short_protocol
from lnpbrian.network.spec import synaptic_operations


def test_runge_kutta_is_of_fourth_order():
    # x' = -x has x(1) = 1/e; halving the step divides the error by 2^4 (up to the next order, here within 5 %).
    errors = [
        abs(runge_kutta(lambda x: -x, np.ones(1), step=1 / n, samples=n + 1)[-1, 0] - np.exp(-1)) for n in (20, 40)
    ]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.05)


def test_lorenz_starts_as_published():
    # Rows 1..3 of the series of Nasiri and Ebadzadeh 2022, made with another solver: RK4 is within 1e-5 of row 1.
    published = [(-6.5810226, 6.81474524, 25.79314903), (-5.31713021, 6.58540809, 24.72176645)]
    assert np.abs(lorenz63(3).values[1:] - published).max() < 2e-5


def test_lorenz_is_on_its_attractor():
    # Published long-term standard deviations 7.92, 9.00, 8.62; 20,000 samples give them within 2 %.
    np.testing.assert_allclose(lorenz63(20000).values[1000:].std(axis=0), (7.92, 9.00, 8.62), rtol=0.02)


def test_truth_outlasts_the_horizon():
    # Two accurate solvers agree far beyond 100 steps, so no valid prediction time is limited by the truth itself.
    series = lorenz63(1300).values
    task = short_protocol(lorenz63(20000))

    def rhs(_, s):
        return (10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2])

    exact = solve_ivp(
        rhs, (0, 3), series[1000], method="DOP853", rtol=1e-12, atol=1e-12, t_eval=np.arange(300) * 0.01
    ).y.T
    error = nrmse_trace(exact, series[1000:1300], task.scale)
    assert valid_prediction_time(error, threshold=1e-3) > 200
    # So it is with Mackey-Glass over the ten Lyapunov times that NeuroBench forecasts.
    coarse, fine = (mackey_glass(17, samples=751, steps_per_delay=m).values for m in (200, 400))
    assert valid_prediction_time(nrmse_trace(coarse, fine, fine.std(axis=0)), threshold=1e-3) == 751


def test_short_protocol():
    series = lorenz63(20000).values
    task = short_protocol(lorenz63(20000), n_windows=20)
    assert task.windows.shape == (20, 600, 3)
    assert task.horizon == 100
    # First window at sample 1000, the last one ends with the series; z-scored by the first 11250 samples.
    z = (series - series[:11250].mean(axis=0)) / series[:11250].std(axis=0)
    np.testing.assert_array_equal(task.windows[0], z[1000:1600])
    np.testing.assert_array_equal(task.windows[-1], z[-600:])
    np.testing.assert_array_equal(task.truth, task.windows[:, 500:])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2000, 2)), r"column 0 \(x0\) of flat is constant in training"),
        (np.random.default_rng(0).random((520, 1)), "flat has 520 samples, but windows need 600"),
        (np.random.default_rng(0).random((610, 1)), "n_windows must be at most 6 for distinct windows, got 20"),
    ],
)
def test_bad_series(values, message):
    columns = tuple(f"x{k}" for k in range(values.shape[1]))
    series = Series(name="flat", values=values, columns=columns, training_part=len(values))
    with pytest.raises(InvalidInput, match=message):
        short_protocol(series)


def test_error_measures_by_hand():
    truth = np.zeros((2, 3, 2))
    forecast = np.array([[[3, 0], [0, 4], [3, 4]], [[0, 0], [0, 0], [0, 0]]], dtype=float)
    sigma = np.array([3.0, 4.0])
    # Scaled errors (1, 0), (0, 1), (1, 1): NRMSE(t) = sqrt(1/2), sqrt(1/2), 1, over the horizon sqrt((1/2+1/2+1)/3).
    np.testing.assert_allclose(nrmse_trace(forecast, truth, sigma)[0], [0.5**0.5, 0.5**0.5, 1])
    np.testing.assert_allclose(nrmse(forecast, truth, sigma), [(2 / 3) ** 0.5, 0])
    np.testing.assert_array_equal(valid_prediction_time(nrmse_trace(forecast, truth, sigma), threshold=0.8), [2, 3])


def test_diverged_forecast_is_infinite_not_nan():
    trace = nrmse_trace(np.array([[0.0], [np.nan], [np.inf]]), np.zeros((3, 1)), np.ones(1))
    np.testing.assert_array_equal(trace, [0, np.inf, np.inf])
    assert valid_prediction_time(trace) == 1
    assert valid_prediction_time(np.array([0.01, np.nan, 0.01])) == 1


def test_synaptic_operations_equal_the_effective_accumulates_of_the_binary_weight_matrix():
    # NeuroBench: weights binarised, every spike vector multiplied with them, all products summed.
    rng = np.random.default_rng(0)
    mask = rng.random((30, 30)) < 0.2
    raster = rng.random((100, 30)) < 0.1
    pre, _ = np.nonzero(mask.T)
    assert synaptic_operations(raster.sum(axis=0), pre) == int(np.sum(raster.astype(int) @ mask.T.astype(int)))


def test_percentage_error_by_hand():
    truth = np.array([[[1.0], [-2.0], [0.0]]])
    forecast = np.array([[[3.0], [2.0], [0.0]]])
    # 2/4, 4/4 and 0/0 = 0.
    np.testing.assert_allclose(smape(forecast, truth), [100])


def test_bad_metrics_input():
    with pytest.raises(InvalidInput, match="one shape"):
        smape(np.zeros((3, 1)), np.zeros((4, 1)))
    with pytest.raises(InvalidInput, match="trace must have at least one step"):
        valid_prediction_time(np.zeros((2, 0)))
    with pytest.raises(InvalidInput, match="one shape"):
        nrmse_trace(np.zeros((3, 1)), np.zeros((4, 1)), np.ones(1))
    with pytest.raises(InvalidInput, match="sigma must be positive"):
        nrmse_trace(np.zeros((3, 1)), np.zeros((3, 1)), np.zeros(1))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e308, -1e308])
def test_forecasts_that_diverged_have_scores(wrong):
    truth = np.array([[1.0], [2.0], [4.0], [5.0]])
    part, whole, sigma = truth.copy(), np.full_like(truth, wrong), np.ones(1)
    part[1] = wrong
    # One of four counts as 200, the others are right.
    assert smape(part, truth) == pytest.approx(50, rel=1e-12)
    assert smape(whole, truth) == pytest.approx(200, rel=1e-12)
    assert smape(whole, np.zeros_like(truth)) == 200
    assert nrmse(part, truth, sigma) == np.inf
    assert nrmse_trace(part, truth, sigma).tolist() == [0, np.inf, 0, 0]
    assert valid_prediction_time(nrmse_trace(part, truth, sigma)) == 1
    assert smape(np.full_like(truth, 1.7e308), np.full_like(truth, -1.7e308)) == 200


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("where", ["training", "one sample", "later"])
@pytest.mark.parametrize("size", [1e308, 1e200])
def test_values_that_overflow_are_refused(size, where):
    values = np.random.default_rng(0).uniform(1, 2, (800, 2))
    rows = {"training": slice(None), "one sample": slice(7, 8), "later": slice(700, 701)}[where]
    values[rows, 1] *= size / 2
    series = Series("mine", values, ("a", "b"), training_part=500)
    with pytest.raises(InvalidInput, match=r"column 1 \(b\) of mine reaches .*e\+\d+, too large to be z-scored"):
        forecast_task(series, n_windows=1)
