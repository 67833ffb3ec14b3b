"""Encoders, features, readout and the closed loop."""

import math
from dataclasses import replace

import numpy as np
import pytest
from brian2 import SpikeMonitor, ms, mV, second

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.encoding import CurrentEncoder, PoissonEncoder
from lnpbrian.learning.forecasting import forecast
from lnpbrian.learning.readout import ReadoutOptions, RidgeReadout, readout_neurons
from lnpbrian.learning.series import lorenz63
from lnpbrian.learning.tasks import ForecastTask, short_protocol
from lnpbrian.models import HRSNN, uncoupled
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import Drive, drive_operation

QUICK = ReadoutOptions(sample_time=5 * ms, filter_time=20 * ms, order=1, fraction=0.3, ridge=1.0)


def small_task(n_windows=2, train=60, horizon=10):
    return short_protocol(lorenz63(4000), n_windows=n_windows, train=train, horizon=horizon, warm_up=5)


def test_ridge_solves_its_normal_equations():
    rng = np.random.default_rng(0)
    x, z, y = rng.standard_normal((40, 5)) * [1, 10, 0.1, 3, 1] + 7, rng.standard_normal((40, 2)), rng.random((40, 2))
    readout = RidgeReadout.fit(x, z, y, ridge=2.0)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    residual = readout(x, z) - y
    # The derivative in B, in C and in c vanishes, up to rounding in sums of 40 terms of size one, and up to the trace
    # of penalty (1e-6) on C.
    assert np.abs(standard.T @ residual + 2.0 * readout.feature_weights).max() < 1e-12
    assert np.abs((z - z.mean(axis=0)).T @ residual).max() < 2e-6
    assert np.abs(residual.sum(axis=0)).max() < 1e-12


def test_feature_of_a_silent_neuron_is_ignored():
    x = np.random.default_rng(0).standard_normal((40, 2))
    x[:, 1] = 0
    readout = RidgeReadout.fit(x, np.zeros((40, 1)), x[:, :1], ridge=1e-9)
    np.testing.assert_allclose(readout(np.array([[0.5, 100.0]]), np.zeros((1, 1))), [[0.5]], atol=1e-8)


def test_readout_neurons_have_the_highest_betweenness():
    spec = HRSNN(60, 0.1, check_rate=False).spec
    import networkx as nx

    graph = nx.DiGraph(list(zip(spec.pre.tolist(), spec.post.tolist(), strict=True)))
    central = nx.betweenness_centrality(graph)
    expected = sorted(sorted(central, key=central.get)[-6:])
    np.testing.assert_array_equal(readout_neurons(spec, 0.1), expected)


def test_of_equal_neurons_evenly_spaced_ones_are_read():
    spec = HRSNN(60, 0.1, check_rate=False).spec
    # A path through neurons 0, 7 and 9: neuron 7 alone has a betweenness.
    path = replace(spec.of_synapses(np.array([0, 1])), pre=np.array([0, 7]), post=np.array([7, 9]))
    np.testing.assert_array_equal(readout_neurons(path, 0.05), [0, 7, 30])
    nothing = spec.of_synapses(np.zeros(spec.n_synapses, dtype=bool))
    np.testing.assert_array_equal(readout_neurons(nothing, 0.1), [0, 10, 20, 30, 40, 50])


def test_closed_loop_copies_a_law_that_the_features_hold():
    # z(n+1) = z(n)/2 is linear in the current sample, which is among the features: the loop must reproduce it.
    z = 0.5 ** np.arange(40.0)[:, np.newaxis]
    windows = np.stack([z, -z])
    task = ForecastTask("decay", windows, 30, 2, np.zeros(1), np.ones(1), np.ones(1))
    spec = uncoupled([20 * ms, 30 * ms], bias=0.2)
    encoder = CurrentEncoder(np.ones((2, 1)))
    options = replace(QUICK, fraction=1.0, ridge=1e-12)
    result = forecast(spec, encoder, task, options=options, rng=np.random.default_rng(0))
    np.testing.assert_allclose(result.prediction, task.truth, atol=1e-6)
    assert result.synaptic_operations == 0


@pytest.mark.parametrize(("order", "timing"), [(1, "grid"), (3, "grid"), (2, "interpolated"), (2, "precise")])
def test_features_are_filtered_spike_trains_and_the_loop_feeds_back(order, timing):
    # The whole forecast again by hand, from spike times recorded in an open-loop run that is shown what the closed loop
    # predicted.
    task = small_task(n_windows=1)
    spec = replace(HRSNN(50, 0.2, check_rate=False).spec, spike_timing=timing)
    encoder = CurrentEncoder.draw(50, 3, scale=0.5, rng=np.random.default_rng(1))
    options = replace(QUICK, order=order)
    result = forecast(spec, encoder, task, options=options, rng=np.random.default_rng(0))
    shown = np.concatenate([task.windows[0, :60], result.prediction[0, :-1]])
    live = RecurrentNetwork(spec)
    parts = {"grid": [], "interpolated": ["overshoot"], "precise": ["overshoot", "advance"]}[timing]
    monitor = SpikeMonitor(live.neurons, variables=parts, when="after_resets")
    live.network.add(monitor)
    live.network.add(drive_operation(live.neurons, Drive(shown @ encoder.weights.T, 5e-3)))
    live.run(5 * ms * len(shown))
    # On the grid a spike in the step from t to t + dt enters at the end of that step.
    times = monitor.t_[:] + spec.dt - sum(getattr(monitor, f"{part}_")[:] for part in parts)
    read = readout_neurons(spec, 0.3)

    features = []
    for n in range(len(shown)):
        past = monitor.t_[:] + spec.dt < 5e-3 * (n + 1) + 1e-9
        x = (5e-3 * (n + 1) - times[past]) / 20e-3
        weight = x ** (order - 1) / math.factorial(order - 1) * np.exp(-x)
        features.append(np.bincount(monitor.i[:][past], weight, minlength=50)[read])
    features, seen = np.array(features), slice(5, 59)
    readout = RidgeReadout.fit(features[seen], shown[seen], np.diff(task.windows[0, :60], axis=0)[seen], ridge=1.0)
    expected = shown[59:] + readout(features[59:], shown[59:])
    np.testing.assert_allclose(result.prediction[0], expected, rtol=1e-6, atol=1e-9)
    counts, degree = np.array(monitor.count[:]), np.bincount(spec.pre, minlength=50)
    assert result.synaptic_operations == counts @ degree
    assert result.readout_operations == 3 * counts[read].sum()
    # One step ahead the features are those of the true series, so the first forecast is that of the closed loop.
    one_step = result.one_step_nrmse
    assert one_step < result.nrmse


def test_windows_do_not_touch_each_other():
    task = small_task(n_windows=3)
    spec = HRSNN(40, 0.2, check_rate=False).spec
    encoder = CurrentEncoder.draw(40, 3, scale=0.5, rng=np.random.default_rng(1))
    together = forecast(spec, encoder, task, options=QUICK, rng=np.random.default_rng(0))
    alone = forecast(
        spec, encoder, replace(task, windows=task.windows[1:2]), options=QUICK, rng=np.random.default_rng(0)
    )
    np.testing.assert_allclose(together.prediction[1], alone.prediction[0], rtol=1e-9)


def test_poisson_encoder_has_the_rates_it_claims_and_is_frozen():
    encoder = PoissonEncoder.draw(30, 2, channels=50, base_rate=40, rng=np.random.default_rng(0))
    z = np.array([[1.0, -0.5]])

    def counts(seed):
        live = RecurrentNetwork(uncoupled(30 * [20 * ms], bias=0.1))
        source = encoder.attach(live, rngs=[np.random.default_rng(seed)], duration=20.0)
        monitor = SpikeMonitor(source.objects[0], record=False)
        live.network.add(*source.objects, monitor)
        source.write(z)
        live.run(20 * second)
        return np.array(monitor.count[:])

    first, again, other = counts(1), counts(1), counts(2)
    expected = 20 * np.maximum(0, 40 * (1 + encoder.fields @ z[0]))
    # At most one spike per 0.5 ms step loses a few per cent at 150 Hz; five standard deviations beside that.
    assert (np.abs(first - expected) <= 5 * np.sqrt(expected) + 0.05 * expected).all()
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("kind", [CurrentEncoder, PoissonEncoder])
def test_encoder_of_survivors(kind):
    options = {"scale": 0.5} if kind is CurrentEncoder else {}
    encoder = kind.draw(20, 3, rng=np.random.default_rng(0), **options)
    kept = np.arange(20) % 3 == 0
    spec = HRSNN(20, 0.5, check_rate=False).spec.of_neurons(kept)
    result = forecast(spec, encoder.of_neurons(kept), small_task(), options=QUICK, rng=np.random.default_rng(0))
    assert np.isfinite(result.nrmse).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ReadoutOptions(sample_time=3 * mV), "sample_time must be a time"),
        (lambda: ReadoutOptions(filter_time=2), "filter_time must be a time"),
        (lambda: ReadoutOptions(ridge=0.0), "ridge"),
        (lambda: ReadoutOptions(order=0), "order must be a whole number of at least 1, got 0"),
        (lambda: ReadoutOptions(fraction=1.5), "fraction"),
        (lambda: CurrentEncoder.draw(10, 3, scale=-1, rng=np.random.default_rng(0)), "scale"),
    ],
)
def test_bad_options(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()


def test_bad_forecast_input():
    spec = HRSNN(20, 0.5, check_rate=False).spec
    encoder = CurrentEncoder.draw(20, 3, scale=0.5, rng=np.random.default_rng(0))
    with pytest.raises(InvalidInput, match=r"whole number of steps of 0.5 ms, got 5.2 ms"):
        forecast(
            spec, encoder, small_task(), options=replace(QUICK, sample_time=5.2 * ms), rng=np.random.default_rng(0)
        )
    with pytest.raises(InvalidInput, match="rng must be a generator"):
        forecast(spec, encoder, small_task(), options=QUICK, rng=0)
    with pytest.raises(InvalidInput, match="task must be a ForecastTask"):
        forecast(spec, encoder, lorenz63(4000), options=QUICK, rng=np.random.default_rng(0))
    silent = replace(spec, alive=np.arange(20) > 3)
    with pytest.raises(InvalidInput, match="silent neurons"):
        forecast(silent, encoder, small_task(), options=QUICK, rng=np.random.default_rng(0))


@pytest.mark.parametrize("kind", [CurrentEncoder, PoissonEncoder])
def test_an_encoder_fits_neurons_and_samples(kind):
    spec, options = HRSNN(20, 0.5, check_rate=False).spec, {"scale": 0.5} if kind is CurrentEncoder else {}
    for neurons, dimensions, message in ((10, 3, "of 10 neurons does not fit 20"), (20, 1, "of 1 dimensions does not")):
        encoder = kind.draw(neurons, dimensions, rng=np.random.default_rng(0), **options)
        with pytest.raises(InvalidInput, match=message):
            forecast(spec, encoder, small_task(), options=QUICK, rng=np.random.default_rng(0))


@pytest.mark.parametrize("kind", [CurrentEncoder, PoissonEncoder])
def test_result_does_not_depend_on_the_number_of_jobs(kind):
    options = {"scale": 0.5} if kind is CurrentEncoder else {}
    encoder = kind.draw(40, 3, rng=np.random.default_rng(0), **options)
    spec = HRSNN(40, 0.3, check_rate=False).spec
    one, three = (
        forecast(spec, encoder, small_task(n_windows=3), options=QUICK, rng=np.random.default_rng(0), jobs=jobs)
        for jobs in (1, 3)
    )
    np.testing.assert_array_equal(one.prediction, three.prediction)
    assert one.synaptic_operations == three.synaptic_operations


def test_poisson_channels_never_run_dry():
    encoder = PoissonEncoder(1, np.array([[10.0]]), 20.0, np.array([0]), np.array([0]), np.array([0.1]))
    live = RecurrentNetwork(uncoupled([20 * ms], bias=0.1))
    # 220 Hz for 4 s is more than five times the gaps that are drawn for the base rate of 20 Hz.
    source = encoder.attach(live, rngs=[np.random.default_rng(0)], duration=4.0)
    monitor = SpikeMonitor(source.objects[0])
    live.network.add(*source.objects, monitor)
    source.write(np.array([[1.0]]))
    live.run(4 * second)
    assert np.histogram(monitor.t_[:], 4, (0, 4))[0].min() > 150


@pytest.mark.parametrize(("samples", "features"), [(30, 31), (30, 200), (2, 5)])
@pytest.mark.parametrize("ridge", [1e-3, 1.0, 1e3])
def test_more_features_than_samples_give_the_same_readout(samples, features, ridge):
    rng = np.random.default_rng(samples + features)
    x, z, y = (rng.standard_normal((samples, k)) for k in (features, 2, 3))
    readout = RidgeReadout.fit(x, z, y, ridge=ridge)
    standard, centred = (x - x.mean(axis=0)) / x.std(axis=0), z - z.mean(axis=0)
    # As one problem of least squares without a penalty, by a decomposition into singular values.
    rows = np.block(
        [
            [standard, centred],
            [np.sqrt(ridge) * np.eye(features), np.zeros((features, 2))],
            [np.zeros((2, features)), 1e-3 * np.eye(2)],
        ]
    )
    right = np.concatenate([y - y.mean(axis=0), np.zeros((features + 2, 3))])
    expected = np.linalg.lstsq(rows, right)[0]
    found = np.concatenate([readout.feature_weights, readout.current_weights])
    # Of 1e-16 of the condition of the penalised problem, at most 1e6 squared, little matters in what is predicted.
    seen = np.concatenate([standard, centred], axis=1)
    np.testing.assert_allclose(seen @ found, seen @ expected, atol=1e-8 * np.abs(y).max())
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())
