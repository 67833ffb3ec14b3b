"""Forecasts one step ahead, by the long protocol, of noisy series, with a perceptron, of dimensions not judged."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.encoding import CurrentEncoder, PoissonEncoder
from lnpbrian.learning.forecasting import RIDGES, forecast
from lnpbrian.learning.metrics import nrmse
from lnpbrian.learning.readout import MLPReadout, ReadoutOptions, fit_readout
from lnpbrian.learning.series import Series
from lnpbrian.learning.tasks import ForecastTask, forecast_task, long_protocol, named_series, short_protocol
from lnpbrian.models import HRSNN, uncoupled

QUICK = ReadoutOptions(sample_time=5 * ms, filter_time=20 * ms, order=1, fraction=0.3, ridge=1.0)


def wave(samples=600, columns=2, **changes):
    t = np.arange(samples)
    values = np.stack([np.sin(0.2 * t + k) + 0.3 * np.sin(0.05 * t) for k in range(columns)], axis=1)
    names = tuple(f"x{k}" for k in range(columns))
    return Series(name="wave", values=values, columns=names, training_part=samples, **changes)


def network(neurons=40, **options):
    return HRSNN(neurons, 0.2, check_rate=False, **options).spec


def encoder(neurons=40, dimensions=2):
    return CurrentEncoder.draw(neurons, dimensions, scale=0.5, rng=np.random.default_rng(1))


def test_one_step_ahead_by_a_second_closed_loop_of_one_step():
    # The one-step forecast at step h is the first forecast of a window whose shown part ends with sample train + h - 1,
    # if the readout is the same: one that is fitted on the first samples only, and shared.
    task = short_protocol(wave(), n_windows=1, train=60, horizon=4, warm_up=5, discard=100)
    shared = replace(task, fit=task.windows[:, :60])
    spec = network()
    # A shared readout is fitted without the pair (train - 1, train), as a window's own is.
    result = forecast(spec, encoder(), shared, options=QUICK, rng=np.random.default_rng(0))
    errors = []
    for h in range(4):
        longer = replace(shared, windows=task.windows[:, : 60 + h + 1], train=60 + h)
        one = forecast(spec, encoder(), longer, options=QUICK, rng=np.random.default_rng(0))
        errors.append(one.prediction[0, 0] - longer.truth[0, 0])
    expected = nrmse(np.array(errors), np.zeros((4, 2)), task.sigma)
    np.testing.assert_allclose(result.one_step_nrmse[0], expected, rtol=1e-9)
    own = forecast(spec, encoder(), task, options=QUICK, rng=np.random.default_rng(0))
    np.testing.assert_allclose(own.prediction, result.prediction, rtol=1e-9)


def test_going_back_for_the_one_step_forecast_leaves_the_closed_loop_as_it_was():
    # Poisson input has state of its own. A horizon of one needs no going back, and must agree with the first step.
    task = short_protocol(wave(), n_windows=2, train=40, horizon=3, warm_up=5, discard=100)
    poisson = PoissonEncoder.draw(40, 2, channels=20, rng=np.random.default_rng(0))
    spec = network()
    long = forecast(spec, poisson, task, options=QUICK, rng=np.random.default_rng(0))
    short = forecast(
        spec, poisson, replace(task, windows=task.windows[:, :41]), options=QUICK, rng=np.random.default_rng(0)
    )
    np.testing.assert_allclose(long.prediction[:, 0], short.prediction[:, 0], rtol=1e-9)


def test_long_protocol_cuts_the_series_in_three():
    series = wave(1000)
    task = long_protocol(series, train=300, validation=150, test=400, n_windows=3, horizon=50, warm_up=10, stretches=5)
    z = (series.values - series.values[:300].mean(axis=0)) / series.values[:300].std(axis=0)
    assert task.fit.shape == (5, 68, 2)
    assert task.validation.shape == (5, 38, 2)
    np.testing.assert_array_equal(task.fit[1], z[58:126])
    np.testing.assert_array_equal(task.validation[0], z[300:338])
    # The first window is warmed up within the test part, the last one ends with it.
    np.testing.assert_array_equal(task.windows[0], z[450:510])
    np.testing.assert_array_equal(task.windows[-1], z[790:850])
    np.testing.assert_array_equal(task.phase, z[:300])


def test_long_protocol_chooses_the_penalty_on_its_validation_part():
    task = long_protocol(
        wave(1000), train=300, validation=150, test=400, n_windows=2, horizon=10, warm_up=10, stretches=3
    )
    result = forecast(network(), encoder(), task, options=QUICK, rng=np.random.default_rng(0))
    assert result.penalty in RIDGES
    errors = {}
    for ridge in RIDGES:
        fixed = replace(task, validation=None)
        # The error on the validation part, as windows of one step would have it, is not known from outside; but the
        # forecast must be that of the penalty that was chosen.
        options = replace(QUICK, ridge=ridge)
        errors[ridge] = forecast(network(), encoder(), fixed, options=options, rng=np.random.default_rng(0))
    np.testing.assert_allclose(errors[result.penalty].prediction, result.prediction, rtol=1e-9)
    assert np.isnan(result.training_nrmse).all()


def test_only_scored_dimensions_are_judged():
    task = short_protocol(wave(scored=(1,)), n_windows=1, train=60, horizon=5, warm_up=5, discard=100)
    result = forecast(network(), encoder(), task, options=QUICK, rng=np.random.default_rng(0))
    assert result.prediction.shape == (1, 5, 2)
    expected = nrmse(result.prediction[..., [1]], task.truth[..., [1]], task.sigma[[1]])
    units = (task.in_units(part)[0, :, 1] for part in (result.prediction, task.truth))
    guess, truth = units
    assert result.smape[0] == pytest.approx(200 * np.mean(abs(guess - truth) / (abs(guess) + abs(truth))))
    np.testing.assert_allclose(result.nrmse, expected)
    assert nrmse(result.prediction, task.truth, task.sigma) != result.nrmse


def test_noise_has_the_ratio_that_was_asked_for():
    task = short_protocol(wave(20000), n_windows=2, train=5000, horizon=100, warm_up=5, discard=1000)
    noisy = task.with_noise(10.0, np.random.default_rng(0))
    np.testing.assert_array_equal(noisy.truth, task.truth)
    noise = (noisy.windows - task.windows)[:, :5000].reshape(-1, 2)
    # 10 dB: a tenth of the variance; the variance of 10000 samples is known within 5 sqrt(2/10000) = 7 %.
    np.testing.assert_allclose(noise.var(axis=0) / task.sigma**2, 0.1, rtol=0.07)
    assert (noisy.phase != task.phase).all()
    np.testing.assert_array_equal(task.with_noise(np.inf, np.random.default_rng(0)).windows, task.windows)
    with pytest.raises(InvalidInput, match="snr must be"):
        task.with_noise(float("nan"), np.random.default_rng(0))


def test_perceptron_learns_what_a_line_cannot():
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((400, 3)), rng.standard_normal((400, 1))
    y = x[:, :1] * x[:, 1:2]
    options = ReadoutOptions(kind="mlp", weight_decay=1e-4)
    mlp, line = fit_readout(x, z, y, options=options), fit_readout(x, z, y, options=ReadoutOptions())
    fresh, current = rng.standard_normal((400, 3)), rng.standard_normal((400, 1))
    truth = fresh[:, :1] * fresh[:, 1:2]
    # A product is orthogonal to every line: its error is all of the variance.
    assert np.mean((line(fresh, current) - truth) ** 2) > 0.8 * truth.var()
    assert np.mean((mlp(fresh, current) - truth) ** 2) < 0.1 * truth.var()
    assert isinstance(mlp, MLPReadout)
    assert mlp.hidden_weights.shape == (4, 20)
    again = fit_readout(x, z, y, options=options)
    np.testing.assert_array_equal(mlp.hidden_weights, again.hidden_weights)


def test_perceptron_minimises_what_it_says():
    rng = np.random.default_rng(0)
    x, z, y = rng.standard_normal((60, 4)), rng.standard_normal((60, 3)), rng.standard_normal((60, 3))
    mlp = MLPReadout.fit(x, z, y, hidden=3, weight_decay=2.0)
    names = ("hidden_weights", "hidden_intercept", "output_weights", "output_intercept")

    def loss(**parts):
        moved = replace(mlp, **parts)
        weights = sum(np.sum(getattr(moved, name) ** 2) for name in names if name.endswith("weights"))
        return (np.sum(((moved(x, z) - y) / mlp.unit) ** 2) + 2.0 * weights) / 120

    # At a minimum no direction goes down, and the slope along each is zero.
    for name in names:
        for _ in range(5):
            value = getattr(mlp, name)
            direction = rng.standard_normal(value.shape)
            up, down = (loss(**{name: value + h * direction}) for h in (1e-4, -1e-4))
            assert abs(up - down) / 2e-4 < 1e-3
            assert min(up, down) > loss() - 1e-8


def test_perceptron_forecasts_and_counts_its_operations():
    task = short_protocol(wave(), n_windows=2, train=60, horizon=5, warm_up=5, discard=100)
    result = forecast(
        network(), encoder(), task, options=replace(QUICK, kind="mlp", hidden=7), rng=np.random.default_rng(0)
    )
    assert np.isfinite(result.nrmse).all()
    ridge = forecast(network(), encoder(), task, options=QUICK, rng=np.random.default_rng(0))
    # Hidden layer: 7 synapses for every spike that is read, and 7 x 2 for each of the 64 samples of two windows.
    spikes = (result.readout_operations - 2 * 64 * 14) / 7
    assert spikes == pytest.approx(ridge.readout_operations / 2, rel=0.05)
    assert replace(QUICK, kind="mlp").synapses(12, 2) == 12 * 20 + 20 * 2
    assert QUICK.synapses(12, 2) == 24


def test_windows_leave_a_phase_to_train_on_even_in_short_series():
    task = short_protocol(wave(1047), n_windows=20)
    # 447 samples are before the last window; half of them precede the first one.
    assert task.phase.shape == (223, 2)
    np.testing.assert_array_equal(task.windows[0, 0], (wave(1047).values[223] - task.mean) / task.scale)


@pytest.mark.parametrize("name", ["lorenz63", "roessler", "mackey_glass", "google"])
def test_named_tasks(name):
    task = forecast_task(name, n_windows=3)
    assert task.n_windows == 3
    assert np.isfinite(task.windows).all()
    if name in ("lorenz63", "roessler"):
        assert forecast_task(name, protocol="long", n_windows=3).fit is not None


def test_whole_numbers_may_be_floats():
    one, other = (short_protocol(wave(), n_windows=n, train=t) for n, t in ((3, 100), (3.0, 100.0)))
    np.testing.assert_array_equal(one.windows, other.windows)


def test_mackey_glass_follows_neurobench():
    task = forecast_task("mackey_glass", n_windows=30)
    assert task.windows.shape == (30, 1500, 1)
    assert (task.train, task.warm_up, task.lyapunov_time) == (750, 45, 75)


@pytest.mark.parametrize("protocol", ["short", "long"])
def test_a_series_of_your_own_is_cut_as_a_named_one(protocol):
    named = forecast_task("roessler", protocol=protocol, n_windows=3)
    given = forecast_task(named_series("roessler"), protocol=protocol, n_windows=3)
    np.testing.assert_array_equal(given.windows, named.windows)
    np.testing.assert_array_equal(given.phase, named.phase)


def test_a_task_scores_any_forecast_where_it_is_judged():
    # Off by 0.3 from step 2 on in the column that is judged, by 100 in the other; sigma is 1.5.
    truth = np.array([[1.0, 2.0, 4.0, 5.0, 3.0]])
    windows = np.stack([truth, truth], axis=-1)
    task = ForecastTask("two", windows, 1, 0, np.full(2, 10.0), np.full(2, 2.0), np.full(2, 1.5), scored=(1,))
    guess = task.truth + np.array([100.0, 0.3]) * (np.arange(4) >= 2)[:, np.newaxis]
    np.testing.assert_allclose(task.nrmse(guess), [0.2 * 0.5**0.5])
    assert task.valid_prediction_time(guess) == 2
    assert task.valid_prediction_time(guess, threshold=0.25) == 4
    # In the unit of the series the truth is 2 z + 10: 14, 18, 20, 16, and the guess 0.6 more.
    np.testing.assert_allclose(task.smape(guess), [200 * (0.6 / 40.6 + 0.6 / 32.6) / 4])
    np.testing.assert_allclose(task.nrmse(guess[0], task.truth[0] - 0.3), (0.2**2 / 2 + 0.4**2 / 2) ** 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: forecast_task(wave(), protocol="long"), "wave has no long protocol"),
        (lambda: forecast_task(wave(), data="x.csv"), "a file needs the name of its series"),
        (lambda: forecast_task(np.ones((900, 1))), "series must be a Series, got ndarray"),
        (lambda: named_series("wind"), "wind needs"),
        (lambda: named_series("lorenz63", "x.csv"), "lorenz63 is generated and takes no data file"),
        (lambda: named_series("weather"), "series must be one of lorenz63"),
        (lambda: forecast_task("google", protocol="long"), "google has no long protocol"),
        (lambda: forecast_task("google", protocol="medium"), "protocol must be one of"),
        (lambda: short_protocol(np.ones((900, 1))), "series must be a Series, got ndarray"),
        (lambda: short_protocol(wave(300)), "wave has 300 samples, but windows need 600"),
        (lambda: long_protocol(wave(300)), "wave has 300 samples, but its parts need 20000"),
        (lambda: short_protocol(wave(900), discard=-5, n_windows=1), "discard must be a whole number of at least 0"),
        (lambda: forecast_task("mackey_glass", n_windows=42), "n_windows must be at most 41 for mackey_glass"),
        (lambda: replace(wave(), scored=0), "scored must be a tuple of columns"),
        (lambda: short_protocol(wave(900), starts=np.arange(20)), "windows must start at samples"),
        (
            lambda: long_protocol(wave(900), train=300, validation=100, test=160, n_windows=20, warm_up=50),
            "n_windows must be at most 11",
        ),
        (lambda: ReadoutOptions(kind="svm"), "kind must be one of ridge, mlp"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()


def test_a_task_of_one_silent_network_still_ends():
    task = ForecastTask("still", np.zeros((1, 30, 1)) + np.arange(30)[:, None] % 3, 20, 2, *(np.ones(1),) * 3)
    result = forecast(
        uncoupled([20 * ms], bias=0.0),
        CurrentEncoder(np.zeros((1, 1))),
        task,
        options=replace(QUICK, fraction=1.0),
        rng=np.random.default_rng(0),
    )
    assert result.synaptic_operations == result.readout_operations == 0
