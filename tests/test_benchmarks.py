"""Benchmarks of fixed networks: targets by hand, readouts by closed form, input that survivors keep, the control."""

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from brian2 import ms

from lnpbrian import records
from lnpbrian.checks import InvalidInput
from lnpbrian.learning import benchmarks
from lnpbrian.learning.benchmarks import (
    AHEAD,
    BENCHMARKS,
    PENALTIES,
    STREAMS,
    BenchmarkResult,
    Parts,
    Stream,
    draw_stream,
    evaluate_benchmarks,
    linear_scores,
    narma10,
    ridge_predictions,
    uncoupled_control,
)
from lnpbrian.learning.series import lorenz96_velocity, mackey_glass, runge_kutta
from lnpbrian.models import HRSNN, LIFParameters, uncoupled


@lru_cache
def network(neurons=30, seed=1):
    return HRSNN(neurons, 0.2, parameters=LIFParameters.recurrent(), check_rate=False, seed=seed).spec


def delay_line(stream, lags):
    return np.concatenate([stream.at(-d) for d in lags], axis=1)


def chance(samples, features, seed=0):
    return np.random.default_rng(seed).standard_normal((samples, features))


@pytest.mark.parametrize("lags", [range(1, 4), range(3, 13)])
def test_a_delay_line_remembers_as_many_lags_as_it_has(lags):
    stream = draw_stream("white", 1000)
    score = linear_scores(["memory"], delay_line(stream, lags), stream)["memory"]
    # A penalty of 1e-5 shrinks weights by 1e-5; the other lags are white and give nothing: each of 22 readouts of 10
    # features and 540 samples explains at most some percent by chance, mostly less than nothing, which counts as 0.
    assert score == pytest.approx(len(lags), abs=0.05)


def test_memory_begins_before_the_shown_sample_and_ends_after_25():
    stream = draw_stream("white", 2000)
    scores = [linear_scores(["memory"], stream.at(-d), stream)["memory"] for d in (0, 1, 25, 26)]
    assert scores == pytest.approx([0, 1, 1, 0], abs=0.05)


def test_terms_of_the_capacity():
    stream = draw_stream("white", 1000)
    u = [stream.at(-d) for d in range(26)]
    assert BENCHMARKS["capacity"].targets(stream).shape == (1000, 25 + 6 + 6)
    # Squares of three lags, products of two pairs, one of which is not a term; and u(n), of which no linear term is.
    known = np.concatenate([u[0] ** 2, u[1] ** 2, u[5] ** 2, u[0] * u[3], u[0] * u[4], u[0]], axis=1)
    assert linear_scores(["capacity"], known, stream)["capacity"] == pytest.approx(4, abs=0.1)
    # Legendre polynomials and products are orthogonal: means of 1000 products of size below 1 are below 5/sqrt(1000).
    terms = BENCHMARKS["capacity"].targets(stream)[100:]
    correlations = np.corrcoef(terms.T) - np.eye(terms.shape[1])
    assert np.abs(correlations).max() < 5 / np.sqrt(900)


def test_narma_by_hand():
    u = np.zeros(20)
    u[3], u[12] = 0.4, 0.5
    y = [0.0]
    for n in range(19):
        past = [y[n - i] for i in range(10) if n - i >= 0]
        drive = 1.5 * 0.4 * 0.5 if n == 12 else 0.0
        y.append(0.3 * y[n] + 0.05 * y[n] * sum(past) + drive + 0.1)
    np.testing.assert_allclose(narma10(u), y, rtol=1e-14)
    # Constant input u: y = 0.3 y + 0.5 y^2 + 1.5 u^2 + 0.1, here with u = 0.2.
    fixed = 0.7 - np.sqrt(0.49 - 2 * 0.16)
    assert narma10(np.full(400, 0.2))[-1] == pytest.approx(fixed, rel=1e-9)


def test_targets_of_xor_by_hand():
    u = np.array([0.5, -0.2, -0.1, 0.3, 0.4, -0.6, -0.7])[:, np.newaxis]
    stream = Stream(u, np.concatenate([u, np.zeros((AHEAD, 1))]))
    targets = BENCHMARKS["xor"].targets(stream)
    assert targets.shape == (7, 6)
    assert targets[1:, 0].tolist() == [1, -1, 1, -1, 1, -1]
    assert targets[2:, 1].tolist() == targets[1:-1, 0].tolist()


def test_xor_needs_a_product():
    stream = draw_stream("white", 2000)
    signs = np.sign(delay_line(stream, range(7)))
    assert linear_scores(["xor"], signs[:, :-1] * signs[:, 1:], stream)["xor"] == pytest.approx(6, abs=1e-9)
    # 2 accuracy - 1 of guesses has a standard deviation of 1/sqrt(475), the mean of its positive part is 0.4 of that;
    # six of them, with five standard deviations each.
    assert linear_scores(["xor"], signs, stream)["xor"] < 6 * 5 / np.sqrt(475)


@pytest.mark.parametrize("name", [n for n in BENCHMARKS if n != "digits"])
def test_what_a_line_can_do_is_done_and_noise_is_at_chance(name):
    task = BENCHMARKS[name]
    stream = draw_stream(task.stream, 800)
    targets = task.targets(stream)
    # A rotation is as well conditioned as the targets are.
    mixed = targets @ np.linalg.qr(chance(targets.shape[1], targets.shape[1]))[0] + 5
    best, worst = (linear_scores([name], x, stream)[name] for x in (mixed, chance(800, 20)))
    if task.measure == "NRMSE":
        # The penalty is a hundred-thousandth of the features' variance, and hurts where targets are nearly collinear.
        assert best < 0.05
        assert worst > 0.9
    else:
        assert best == pytest.approx(targets.shape[1], rel=0.02)
        assert worst < 0.15 * targets.shape[1]
    assert task.higher_is_better == (task.measure != "NRMSE")


def test_digits_from_their_pixels_and_from_noise():
    stream = draw_stream("digits", 1600)
    assert stream.shown.shape == (750, 64)
    assert 0 <= stream.shown.min() < stream.shown.max() == 1
    # Ridge classifiers of this data have 0.93 (scikit-learn's documentation); guesses 0.1 +- 0.02.
    assert linear_scores(["digits"], stream.shown, stream)["digits"] > 0.88
    assert linear_scores(["digits"], chance(750, 20), stream)["digits"] < 0.2


def test_readouts_agree_with_the_normal_equations():
    x, parts = chance(400, 8), Parts.of_stream(400)
    y = x @ chance(8, 3, 1) + 20 * chance(400, 3, 2)
    mean, scale = x[parts.train].mean(axis=0), x[parts.train].std(axis=0)
    z = (x - mean) / scale
    n, level = len(z[parts.train]), y[parts.train].mean(axis=0)
    expected = np.empty((75, 3))
    for k in range(3):
        fits = [
            np.linalg.solve(
                z[parts.train].T @ z[parts.train] / n + penalty * np.eye(8),
                z[parts.train].T @ (y[parts.train, k] - level[k]) / n,
            )
            for penalty in PENALTIES
        ]
        errors = [np.mean((z[parts.validation] @ b + level[k] - y[parts.validation, k]) ** 2) for b in fits]
        expected[:, k] = z[parts.test] @ fits[int(np.argmin(errors))] + level[k]
    np.testing.assert_allclose(ridge_predictions(x, y, parts), expected, rtol=1e-9)


def test_features_that_are_constant_in_training_count_for_nothing():
    x, parts = chance(400, 4), Parts.of_stream(400)
    y = x[:, :1].copy()
    late = np.zeros((400, 1))
    late[parts.test] = 1e6
    with_it = ridge_predictions(np.concatenate([x, late], axis=1), y, parts)
    np.testing.assert_allclose(with_it, ridge_predictions(x, y, parts), rtol=1e-12)


def test_parts_follow_each_other():
    parts = Parts.of_stream(1600)
    assert (parts.train, parts.validation, parts.test) == (slice(100, 1000), slice(1000, 1225), slice(1225, 1600))
    assert Parts.of_digits(750) == Parts(slice(0, 400), slice(400, 500), slice(500, 750))


def test_series_are_what_they_say():
    white = draw_stream("white", 5000)
    # Variance 1/3 of the uniform law, known within 5 sqrt((1/5 - 1/9)/5000).
    assert white.values.var() == pytest.approx(1 / 3, abs=5 * np.sqrt((1 / 5 - 1 / 9) / 5000))
    assert np.abs(white.values).max() <= 1
    seen, alone = draw_stream("lorenz63", 400), draw_stream("lorenz63_x", 400)
    np.testing.assert_array_equal(seen.shown[:, :1], alone.shown)
    np.testing.assert_array_equal(seen.values, alone.values)
    for kind in ("mackey_glass", "lorenz63", "lorenz96"):
        stream = draw_stream(kind, 400)
        basis = stream.values[Parts.of_stream(400).train]
        np.testing.assert_allclose(basis.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(basis.std(axis=0), 1)
        assert len(stream.values) == len(stream.shown) + AHEAD
        other = draw_stream(kind, 400, seed=1)
        assert not np.allclose(other.values, stream.values)
    assert BENCHMARKS["lorenz96"].targets(draw_stream("lorenz96", 400)).shape == (400, 4)


@pytest.mark.parametrize(
    ("name", "ahead", "columns"),
    [
        ("mackey_glass_30", 10, [0]),
        ("mackey_glass_84", 28, [0]),
        ("lorenz63_z", 0, [2]),
        ("lorenz63_x10", 10, [0]),
        ("lorenz63_seen_4", 4, [0, 1, 2]),
        ("lorenz63_seen_10", 10, [0, 1, 2]),
        ("lorenz96", 0, [1, 3, 5, 7]),
    ],
)
def test_targets_of_series_are_as_far_ahead_as_they_say(name, ahead, columns):
    stream = draw_stream(BENCHMARKS[name].stream, 200)
    expected = stream.values[ahead : 200 + ahead, columns]
    np.testing.assert_array_equal(BENCHMARKS[name].targets(stream), expected)
    # What is shown is another part of the same, or the same now.
    seen = [0, 2, 4, 6] if name == "lorenz96" else list(range(stream.shown.shape[1]))
    np.testing.assert_array_equal(stream.shown, stream.values[:200, seen])


def test_lorenz96_keeps_its_energy_without_friction_and_forcing():
    # sum x_i (x_(i+1) - x_(i-2)) x_(i-1) = 0: what is left of d|x|^2/2 is -|x|^2 + F sum x.
    x = chance(1, 8)[0]
    assert x @ lorenz96_velocity(x) == pytest.approx(-x @ x + 8 * x.sum())


def test_mackey_glass_at_another_step():
    # Samples are interpolated between the same integration steps.
    fine, coarse = mackey_glass(17, samples=25, step=0.5), mackey_glass(17, samples=5, step=3.0)
    np.testing.assert_allclose(coarse.values, fine.values[::6], rtol=1e-12)
    assert coarse.lyapunov_time == pytest.approx(197 / 3)
    assert runge_kutta(lorenz96_velocity, np.full(4, 8.0), step=0.1, samples=3)[-1].tolist() == [8.0] * 4


def test_survivors_keep_their_input():
    spec = replace(network(), alive=np.arange(30) % 3 > 0)
    found = []
    for bed in (
        benchmarks._Bed(network(), network().alive, np.arange(30), benchmarks._names(4)),
        benchmarks._Bed(spec.compacted(), spec.alive, np.arange(20), benchmarks._names(4)),
    ):
        found.append(bed.encoder({"white": 1, "lorenz63": 3}).weights)
    np.testing.assert_array_equal(found[0][spec.alive], found[1])
    assert np.abs(found[0][:, 0]).max() <= STREAMS["white"] < np.abs(found[0][:, 1:]).max() <= STREAMS["lorenz63"]
    # Among other streams the weights are the same.
    other = benchmarks._Bed(network(), network().alive, np.arange(30), benchmarks._names(4)).encoder({"lorenz63": 3})
    np.testing.assert_array_equal(other.weights, found[0][:, 1:])


def test_silent_neurons_are_as_good_as_absent_and_scores_do_not_depend_on_company():
    alive = np.arange(30) != 7
    spec = replace(network(), alive=alive)
    names = ["lorenz63_z", "memory", "narma10"]
    fractions = []
    one = evaluate_benchmarks(spec, names=names, samples=200, seed=3, report=fractions.append)
    assert list(one.scores) == names
    assert evaluate_benchmarks(spec, names=names, samples=200, seed=3) == one
    assert fractions[-1] == pytest.approx(1, abs=0.01)
    assert fractions == sorted(fractions)
    assert one.neurons == 29
    assert one.seconds == pytest.approx(2 * 20)
    alone = evaluate_benchmarks(spec, names=["memory"], samples=200, seed=3)
    assert alone.scores["memory"] == one.scores["memory"]
    assert alone.synaptic_operations < one.synaptic_operations
    # Synapses of the silent neuron carry nothing.
    inner = spec.of_synapses(alive[spec.pre] & alive[spec.post])
    assert evaluate_benchmarks(inner, names=["memory"], samples=200, seed=3) == alone
    other = evaluate_benchmarks(spec, names=["memory"], samples=200, seed=4)
    assert other.scores != alone.scores
    few = evaluate_benchmarks(spec, names=["memory"], samples=200, seed=3, fraction=0.2)
    assert (few.neurons, few.synaptic_operations) == (6, alone.synaptic_operations)


def test_digits_are_read_at_the_end_of_their_last_row():
    # Uncoupled neurons that each see one row: all that is known of the first rows is gone 400 ms later.
    spec = uncoupled([20] * 40 * ms, bias=np.linspace(1.1, 1.8, 40), dt=5 * ms)
    bed = benchmarks._Bed(spec, spec.alive, np.arange(40), benchmarks._names(0))
    image, other, same_end = np.ones(64), np.zeros(64), np.ones(64)
    same_end[:8] = 0
    images = np.stack([image, other, same_end] + [image] * 9)
    run = bed.digits(Stream(images, np.eye(12)), lambda fraction: None)
    x = run.features["digits"]
    assert x.shape == (12, 40)
    assert not np.allclose(x[0], x[1])
    # 750 ms for each copy's first and 500 ms for its second one, in ten copies.
    assert run.seconds == pytest.approx(10 * (0.2 + 2 * 0.5))
    # Phases of spikes differ by the first row, rates do not.
    gap = np.abs(x[0] - x[2]).mean() / np.abs(x[0] - x[1]).mean()
    assert gap < 0.5


def test_uncoupled_control_has_the_drive_that_was_drawn():
    model = HRSNN(60, 0.2, parameters=LIFParameters.recurrent(), check_rate=False)
    control = uncoupled_control(model.spec)
    assert control.n_synapses == 0
    # Of centred networks the whole mean input is uniform in 1.1..1.8. Rates in the network differ from those that its
    # biases were made with, by what fluctuations do to them.
    assert np.abs(control.bias.mean() - 1.45) < 0.1
    assert np.corrcoef(control.bias, uncoupled_control(model.spec, rates=np.zeros(60)).bias)[0, 1] < 0.9
    np.testing.assert_array_equal(uncoupled_control(model.spec, rates=np.zeros(60)).bias, model.spec.bias)
    silenced = replace(model.spec, alive=np.arange(60) > 0)
    assert uncoupled_control(silenced).bias[0] == model.spec.bias[0]


def test_synapses_remember():
    spec = HRSNN(100, 0.1, parameters=LIFParameters.recurrent(), check_rate=False, seed=5).spec
    scores = [
        evaluate_benchmarks(one, names=["memory"], samples=400, seed=5).scores["memory"]
        for one in (spec, uncoupled_control(spec))
    ]
    # Without synapses the filters alone keep the sample before the last.
    assert 0.5 < scores[1] < 1.3
    assert scores[0] > 1.5 * scores[1]


def test_results_are_plain():
    result = BenchmarkResult({"memory": 1.5}, 40.0, 10, 2.0, 5)
    assert json.loads(json.dumps(records.plain(result)))["scores"] == {"memory": 1.5}
    assert repr(result) == "BenchmarkResult(memory 1.500; 10 synaptic operations)"


def test_results_are_shown_as_tables():
    result = BenchmarkResult({"memory": 1.5}, 40.0, 10, 2.0, 5)
    assert f"<tr><th>memory</th><td>1.5</td><td>{BENCHMARKS['memory'].measure}</td></tr>" in result._repr_html_()
    pytest.importorskip("pandas")
    table = result.to_dataframe()
    assert table.index.tolist() == ["memory"]
    assert table.loc["memory", ["score", "higher_is_better"]].tolist() == [1.5, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ["memory", "chess"]}, "a name in names must be one of memory, .*; got 'chess'"),
        ({"names": "memory"}, "names must be a list of benchmarks"),
        ({"names": []}, "names must be a list of benchmarks"),
        ({"names": [{}]}, "a name in names must be one of"),
        ({"samples": 199}, "samples must be a whole number of at least 200, got 199"),
        ({"fraction": 0}, "fraction must be a number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"report": 3}, "report must be a function"),
    ],
)
def test_errors_in_one_line(arguments, message):
    with pytest.raises(InvalidInput, match=message) as found:
        evaluate_benchmarks(network(), **arguments)
    assert "\n" not in str(found.value)


def test_other_errors_in_one_line():
    with pytest.raises(InvalidInput, match="spec must be a NetworkSpec, got int"):
        evaluate_benchmarks(3)
    with pytest.raises(InvalidInput, match=r"whole number of steps of 0\.7 ms"):
        evaluate_benchmarks(uncoupled([20] * ms, dt=0.7 * ms))
    with pytest.raises(InvalidInput, match="rates must have shape"):
        uncoupled_control(network(), rates=np.ones(3))
    with pytest.raises(InvalidInput, match="targets must have shape"):
        ridge_predictions(np.zeros((300, 2)), np.zeros((299, 1)), Parts.of_stream(300))
    with pytest.raises(InvalidInput, match="kind must be one of"):
        draw_stream("chess", 300)
