"""Forecasters without a network: series with known laws."""

from dataclasses import replace

import numpy as np
import pytest

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.metrics import nrmse, nrmse_trace, valid_prediction_time
from lnpbrian.learning.series import lorenz63
from lnpbrian.learning.tasks import ForecastTask, long_protocol
from lnpbrian.learning.without_network import autoregression, next_generation_reservoir


def task_of(z, *, train, warm_up=5, **more):
    zero, one = np.zeros(z.shape[2]), np.ones(z.shape[2])
    return ForecastTask("test", z, train, warm_up, zero, one, one, **more)


@pytest.fixture(scope="module")
def reference_windows():
    # Ten windows of 500 + 100 samples at 1000, 2500, ... of the series from (12, 2, 9), z-scored as a whole.
    series = lorenz63(20000, start=(12.0, 2.0, 9.0)).values
    z = (series - series.mean(axis=0)) / series.std(axis=0)
    return task_of(np.stack([z[s : s + 600] for s in range(1000, 16000, 1500)]), train=500, warm_up=50)


@pytest.mark.parametrize(
    ("lags", "vpt", "error"),
    # Computed independently on these windows: VPT 1.9 and 15.4, mean NRMSE 1.22 and 0.81.
    [(1, 1.9, 1.22), (10, 15.4, 0.81)],
)
def test_linear_laws_reach_their_known_forecasts(reference_windows, lags, vpt, error):
    task = reference_windows
    prediction = autoregression(task, lags)
    steps = valid_prediction_time(nrmse_trace(prediction, task.truth, task.sigma))
    assert steps.mean() == pytest.approx(vpt, rel=0.1)
    assert nrmse(prediction, task.truth, task.sigma).mean() == pytest.approx(error, rel=0.15)


def test_a_quadratic_law_is_nearly_exact_on_a_quadratic_system(reference_windows):
    # An independent one, which predicts values instead of increments, has VPT 71.0 and NRMSE 0.068 here.
    task = reference_windows
    assert nrmse(next_generation_reservoir(task), task.truth, task.sigma).mean() < 0.068


def test_two_lags_continue_a_sine_and_one_does_not():
    # x(n+1) = 2 cos(w) x(n) - x(n-1) exactly.
    z = np.sin(0.3 * np.arange(160) + np.array([[0.0], [1.0]]))[..., np.newaxis]
    task = task_of(z, train=120)
    # A penalty of 1e-8 beside the least singular value of some 50 moves the law by 1e-9, and 40 steps add up.
    np.testing.assert_allclose(autoregression(task, 2), task.truth, rtol=0, atol=1e-6)
    assert np.abs(autoregression(task, 1) - task.truth).max() > 0.5


def test_a_quadratic_law_continues_a_quadratic_map():
    # Henon map: x' = 1 - 1.4 x^2 + y, y' = 0.3 x.
    z = np.empty((2, 120, 2))
    z[:, 0] = [[0.1, 0.1], [0.3, -0.1]]
    for n in range(119):
        x, y = z[:, n].T
        z[:, n + 1] = np.stack([1 - 1.4 * x**2 + y, 0.3 * x], axis=1)
    task = task_of(z, train=110)
    # Errors of 1e-8 grow by exp(0.42) a step.
    np.testing.assert_allclose(next_generation_reservoir(task, ridge=1e-10), task.truth, rtol=0, atol=1e-5)


def test_one_law_for_all_windows_is_fitted_on_the_stretches(reference_windows):
    windows = reference_windows.windows
    # The first window's own law, once from its training part, and once from that part as the only stretch.
    own = replace(reference_windows, windows=windows[:1])
    shared = replace(reference_windows, windows=windows, fit=windows[:1, :500])
    np.testing.assert_allclose(autoregression(shared, 3)[0], autoregression(own, 3)[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        autoregression(shared, 3)[4],
        autoregression(replace(own, windows=windows[4:5], fit=windows[:1, :500]), 3)[0],
        rtol=0,
        atol=1e-9,
    )


def test_the_penalty_of_a_shared_law_is_chosen_in_closed_loop():
    # With the least penalty the law is best one step ahead, and unstable when it is fed back.
    task = long_protocol(lorenz63(20000, start=(12.0, 2.0, 9.0)), n_windows=5)
    chosen, least = (
        nrmse(next_generation_reservoir(task, ridge=ridge), task.truth, task.sigma).mean() for ridge in (None, 1e-9)
    )
    assert chosen < 0.05
    assert least > 1


def test_forecasts_that_run_away_stay_finite():
    z = np.exp(0.3 * np.arange(40))[np.newaxis, :, np.newaxis] * 1e-3
    prediction = autoregression(task_of(z, train=25), 1)
    assert np.isfinite(prediction).all()
    assert prediction.max() == 10


def test_laws_that_cannot_be_fitted_are_refused(reference_windows):
    with pytest.raises(InvalidInput, match=r"^52 lags need a warm-up of at least 51 samples, got 50[^\n]+$"):
        autoregression(reference_windows, 52)
    with pytest.raises(InvalidInput, match=r"^ridge must be[^\n]+$"):
        next_generation_reservoir(reference_windows, ridge=0.0)
    with pytest.raises(InvalidInput, match=r"^task must be a ForecastTask[^\n]+$"):
        next_generation_reservoir(reference_windows.windows)
