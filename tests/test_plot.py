"""What plots show, against the numbers; where they draw, and what they say of what is not shown."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, ms, mV, seed
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lnpbrian import PruneOptions, figures, plot, prune
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.forecasting import Forecast
from lnpbrian.learning.tasks import ForecastTask
from lnpbrian.learning.vision.classification import Classification
from lnpbrian.learning.vision.images import ImageTask
from lnpbrian.lyapunov import block_twin_exponents, map_spectrum
from lnpbrian.models import HRSNN, LIFParameters, uncoupled
from lnpbrian.network.response import slow_response
from lnpbrian.network.signals import SpikeTrain
from lnpbrian.pruning.steps.localisation import delocalisation_report
from lnpbrian.records import plain, write_json

ROOT = Path(__file__).parent.parent
QUICK: dict[str, Any] = {"observation": 100 * ms, "exponent_duration": 100 * ms, "rates": (0, 500)}


@pytest.fixture(scope="module")
def pruned() -> Any:
    """A model before, and how it was pruned in two iterations."""
    model = HRSNN(60, 0.3, check_rate=False, seed=1)
    before = model.spec
    return before, prune(model, ("I", "II"), options=PruneOptions(0.8, 0.2, iterations=2, **QUICK))


def made_forecast(prediction: np.ndarray, task: ForecastTask, vpt: list[int]) -> Forecast:
    rest = ("smape", "one_step_nrmse", "training_nrmse", "penalty", "synaptic_operations", "readout_operations")
    others: dict[str, Any] = dict.fromkeys((*rest, "mean_rate", "readout", "seconds"))
    return Forecast(prediction, task.truth, nrmse=task.nrmse(prediction), vpt_steps={0.1: np.array(vpt)}, **others)


@pytest.fixture(scope="module")
def study(pruned: Any) -> Any:
    """What a run of a forecast has, of three windows of a series in two dimensions."""
    before, result = pruned
    rng = np.random.default_rng(0)
    task = ForecastTask(
        "made",
        rng.standard_normal((3, 24, 2)),
        train=14,
        warm_up=4,
        mean=np.array([1.0, -2.0]),
        scale=np.array([2.0, 3.0]),
        sigma=np.ones(2),
        lyapunov_time=5.0,
        columns=("speed (m/s)", "angle (rad)"),
    )
    offsets = {"before": 0.1, "after": 0.2, "uncoupled": 0.5}
    of_task = {
        f"forecast_{name}": made_forecast(task.truth + by * np.array([1, 3, 2])[:, None, None], task, [6, 2, 4])
        for name, by in offsets.items()
    }
    trains = [SpikeTrain(np.array([0, 1, 0]), np.array([0.1, 0.2, 0.3]), 60, 0.5) for _ in range(2)]
    return SimpleNamespace(
        before=before,
        after=result.live.spec,
        pruning=result,
        task=task,
        raster_before=trains[0],
        raster_after=trains[1],
        **of_task,
    )


@pytest.fixture(scope="module")
def folder(pruned: Any, study: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run: its record and its network."""
    result = pruned[1]
    path = tmp_path_factory.mktemp("run")
    states = {
        name: {"nrmse_windows": plain(f.nrmse), "vpt_windows": plain(f.vpt_steps[0.1])}
        for name in ("before", "after", "uncoupled")
        for f in [getattr(study, f"forecast_{name}")]
    }
    record = {"options": {"task": {"lyapunov_time_steps": 5.0}}, "iteration": result.iteration, **states}
    write_json(path / "run.json", record | {"history": [plain(r) for r in result.history]})
    result.live.spec.save(path / "network.npz")
    return path


def doubled(lost: bool = False) -> Any:
    factors = np.array([2.0, 0.5, 0.0 if lost else 0.25])
    return map_spectrum(
        lambda x: factors * x,
        lambda _: np.diag(factors),
        np.zeros(3),
        duration=12,
        transient=100,
        rng=np.random.default_rng(0),
    )


def images() -> Any:
    pixels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1)
    task = ImageTask("two", pixels, np.array([0, 1]), pixels, np.array([0, 1]), ("cat", "dog"))
    kinds = {"before": [0, 1], "after": [0, 0], "uncoupled": [1, 0]}
    rest: tuple[Any, ...] = (None,) * 6
    found = {f"images_{k}": Classification(np.array(said), task.y_test, 2, *rest) for k, said in kinds.items()}
    return SimpleNamespace(task=task, **found)


def heights(axis: Axes) -> list[np.ndarray]:
    return [np.array([bar.get_height() for bar in group]) for group in axis.containers if hasattr(group, "patches")]


def edges(axis: Axes) -> np.ndarray:
    bars = next(group for group in axis.containers if hasattr(group, "patches"))
    return np.array([bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()])


CALLS: dict[str, Any] = {
    "history": lambda s, ax: plot.history(s.pruning, ax),
    "exponents": lambda s, ax: plot.exponents(s.pruning, ax),
    "convergence": lambda s, ax: plot.convergence(s.pruning, ax),
    "spectrum": lambda s, ax: plot.spectrum(doubled(), ax),
    "raster": lambda s, ax: plot.raster(s.raster_before, ax),
    "time_constants": lambda s, ax: plot.time_constants(s, ax),
    "degrees": lambda s, ax: plot.degrees(s, ax),
    "eigenvectors": lambda s, ax: plot.eigenvectors(s, ax),
    "forecast": lambda s, ax: plot.forecast(s, ax),
    "windows": lambda s, ax: plot.windows(s, ax),
    "confusion": lambda s, ax: plot.confusion(images(), ax),
    "image": lambda s, ax: plot.image(images(), ax),
}


@pytest.mark.parametrize("name", CALLS)
def test_axes_are_those_that_are_given_or_new_ones(name: str, study: Any):
    given = Figure().subplots(1, 2)
    drawn = CALLS[name](study, given[1])
    assert drawn is given[1]
    assert drawn.has_data()
    assert not given[0].has_data()
    one, other = CALLS[name](study, None), CALLS[name](study, None)
    assert one.figure is not other.figure
    assert one.figure._repr_png_().startswith(b"\x89PNG")
    # The same is drawn on both.
    assert [line.get_xydata().tolist() for line in one.lines] == [line.get_xydata().tolist() for line in drawn.lines]
    with pytest.raises(InvalidInput, match="ax must be an Axes, got ndarray"):
        CALLS[name](study, given)


def test_every_plot_is_tried():
    assert set(CALLS) == set(plot.__all__) - {"Picture", "panels", "save"}


def test_pyplot_keeps_nothing(study: Any):
    for draw in CALLS.values():
        draw(study, None)
    # Brian2 imports pyplot.
    assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_packages_do_not_import_plots():
    packages = "network", "models", "lyapunov", "pruning", "learning"
    code = f"import sys, lnpbrian.{', lnpbrian.'.join(packages)}; "
    code += "print([name for name in ('lnpbrian.plot', 'lnpbrian.figures') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------------------------------------------- the numbers


def test_history_is_that_of_the_records(pruned: Any, study: Any, folder: Path):
    result = pruned[1]
    for source in (
        result,
        study,
        list(result.history),
        folder,
        folder / "run.json",
        pickle.loads(pickle.dumps(result)),
    ):
        synapses, neurons = plot.history(source).lines[:2]
        assert synapses.get_xydata().tolist() == [[r.iteration, r.synapses] for r in result.history]
        assert neurons.get_xydata().tolist() == [[r.iteration, r.neurons] for r in result.history]
    axis = plot.history(folder, quantity="exponent")
    assert axis.get_ylabel() == "largest exponent (1/s)"
    bars = axis.containers[0].lines[2][0].get_segments()
    for bar, r in zip(bars, result.history, strict=True):
        value, error = r.largest_exponent_per_s, r.largest_exponent_standard_error_per_s
        np.testing.assert_allclose(bar[:, 1], [value - error, value + error])
    rate = plot.history(result, quantity="rate").lines[0]
    assert rate.get_ydata().tolist() == [r.mean_rate_hz for r in result.history]


@pytest.mark.parametrize("quantity", ["window exponent", "radius", "interval cv", "time constant", "localisation"])
def test_history_of_what_was_not_measured(quantity: str, pruned: Any):
    records = pruned[1].history
    assert len(plot.history(records, quantity=quantity).lines[0].get_xdata()) <= len(records)
    fields = ("spectral_radius", "interval_cv", "time_constant_mean_ms", "laplacian_ipr", "adjacency_ipr")
    gaps = [replace(r, **dict.fromkeys(fields) if r.iteration == 1 else {}) for r in records]
    if quantity != "window exponent":
        assert plot.history(gaps, quantity=quantity).lines[0].get_xdata().tolist() == [0, 2]
        nothing = plot.history([replace(r, **dict.fromkeys(fields)) for r in records], quantity=quantity)
        assert [text.get_text() for text in nothing.texts] == ["not measured"]


def test_history_says_where_step_iv_has_acted_and_what_was_rolled_back(pruned: Any):
    result = pruned[1]
    plainly = plot.history(result)
    assert not [line for line in plainly.lines if line.get_gid() == "step IV"]
    assert plainly.get_xlabel() == "iteration"
    records = [replace(r, seconds=r.seconds | ({"IV": 1.0} if r.iteration == 2 else {})) for r in result.history]
    axis = plot.history(replace(result, history=tuple(records), iteration=1))
    assert [line.get_xdata() for line in axis.lines if line.get_gid() == "step IV"] == [[2, 2]]
    assert "step IV searched" in axis.get_xlabel()
    span = next(patch for patch in axis.patches if patch.get_gid() == "rolled back")
    assert (span.get_x(), span.get_x() + span.get_width()) == (1.5, 2.5)


def test_an_error_that_is_not_known_has_no_bar(pruned: Any):
    records = [replace(r, largest_exponent_standard_error_per_s=np.inf) for r in pruned[1].history]
    axis = plot.history(records, quantity="exponent")
    assert np.isfinite(axis.get_ylim()).all()
    assert all(np.ptp(bar[:, 1]) == 0 for bar in axis.containers[0].lines[2][0].get_segments())


def test_exponents_are_fractions_of_neurons_and_the_largest_with_its_error(pruned: Any):
    result = pruned[1]
    axis = plot.exponents(result)
    for shown, found in zip(heights(axis), (result.exponents_before, result.exponents_after), strict=True):
        expected, _ = np.histogram(found.per_neuron, edges(axis))
        # A value may lie on an edge within rounding.
        np.testing.assert_allclose(shown, expected / found.per_neuron.size, atol=1.1 / found.per_neuron.size)
        assert shown.sum() == pytest.approx(1)
    points = [group for group in axis.containers if not hasattr(group, "patches")]
    for point, r in zip(points, (result.history[0], result.after), strict=True):
        value, error = r.largest_exponent_per_s, r.largest_exponent_standard_error_per_s
        assert point.lines[0].get_xdata() == pytest.approx([value])
        np.testing.assert_allclose(point.lines[2][0].get_segments()[0][:, 0], [value - error, value + error])
    assert "(1/s)" in axis.get_xlabel()


def test_tails_are_counted():
    values = np.concatenate([np.linspace(-10, 10, 998), [-500.0, 900.0]])
    axis = plot.exponents(values)
    # Half a per cent at either end: all that is below the sixth value, and above the sixth from above.
    inside = np.sort(values)
    low, high = edges(axis)[[0, -1]]
    assert (low, high) == pytest.approx((inside[4], inside[-5]))
    assert axis.get_xlabel().endswith("drawn in the end bins: 4 below, down to \N{MINUS SIGN}500; 4 above, up to 900")
    assert heights(axis)[0].sum() == pytest.approx(1)
    assert "end bins" not in plot.exponents(values[:100]).get_xlabel()


def test_convergence_is_the_trace_over_the_measured_time():
    spectrum = doubled()
    axis = plot.convergence({"map": spectrum}, number=2)
    for m, line in enumerate(axis.lines[:2]):
        np.testing.assert_allclose(line.get_xdata(), spectrum.interval * np.arange(1, len(spectrum.trace) + 1))
        np.testing.assert_array_equal(line.get_ydata(), spectrum.trace[:, m])
    assert axis.get_ylabel() == "running 2 leading exponents (1/unit of time)"
    twins = block_twin_exponents(
        uncoupled([10, 25] * ms, bias=0.5), duration=200 * ms, directions="kept", rng=np.random.default_rng(0)
    )
    axis = plot.convergence(twins)
    assert axis.lines[0].get_xdata()[-1] == pytest.approx(twins.duration)
    assert axis.lines[0].get_ydata()[-1] == pytest.approx(twins.largest_exponent)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("measured time (s)", "running largest exponent (1/s)")


def test_estimates_beyond_the_axis_are_counted():
    trace = np.array([900.0, -700.0, 5.0, 5.2, 5.1, 5.0])
    twins = block_twin_exponents(uncoupled([10] * ms, bias=0.5), rng=np.random.default_rng(0))
    one = replace(twins, trace=trace, largest_exponent=5.0, standard_error=0.1)
    axis = plot.convergence(one)
    assert axis.get_xlabel().endswith("\n2 estimates beyond the axis")
    low, high = axis.get_ylim()
    assert ((trace < low) | (trace > high)).sum() == 2
    bar = axis.containers[0].lines[2][0].get_segments()[0][:, 1]
    np.testing.assert_allclose(bar, [4.9, 5.1])


def test_spectrum_from_results_records_and_files(tmp_path: Path):
    spectrum = doubled()
    expected = np.column_stack([np.array([1, 2, 3]) / 3, np.log([2.0, 0.5, 0.25])])
    record = {
        "name": "doubled",
        "dimension": 3,
        "exponents_per_s": spectrum.exponents.tolist(),
        "standard_errors_per_s": spectrum.standard_errors.tolist(),
    }
    write_json(tmp_path / "spectrum.json", {"networks": [record]})
    sources = spectrum, spectrum.exponents, {"doubled": spectrum}, [record], tmp_path, str(tmp_path / "spectrum.json")
    for source in sources:
        for part in ("whole", "leading"):
            np.testing.assert_allclose(plot.spectrum(source, part=part).lines[0].get_xydata(), expected, atol=1e-9)
    assert plot.spectrum(spectrum).get_ylabel() == "Lyapunov exponent (1/unit of time)"
    assert plot.spectrum(tmp_path).get_ylabel() == "Lyapunov exponent (1/s)"


def test_exponents_below_the_axis_and_lost_directions_are_counted():
    # The lowest half per cent of 1000 exponents is five; the axis ends five per cent below the rest.
    fast = [-2000.0, -3000.0, -4000.0]
    axis = plot.spectrum(np.concatenate([np.linspace(0, -100, 997), fast]))
    assert axis.get_xlabel() == "i/D\n3 exponents below the axis, down to \N{MINUS SIGN}4e+03"
    assert axis.get_ylim()[0] > -2000
    assert plot.spectrum(doubled(lost=True)).get_xlabel().endswith("1 direction lost")


def test_bars_of_a_spectrum_are_its_standard_errors():
    record = {
        "name": "few",
        "dimension": 4,
        "exponents_per_s": [1.0, 0.0, -1.0, None],
        "standard_errors_per_s": [0.5, None, 0.25, None],
    }
    axis = plot.spectrum([record])
    ends = [segment[:, 1].tolist() for segment in axis.collections[0].get_segments() if len(segment)]
    assert ends == [[0.5, 1.5], [0.0, 0.0], [-1.25, -0.75]]


def test_raster_shows_every_spike_once():
    group = NeuronGroup(4, "v = t/second : 1", threshold="int(t/ms + 0.5) % (2 + i) == 0", name="clocks")
    monitor = SpikeMonitor(group)
    Network(group, monitor).run(10 * ms)
    train = SpikeTrain(np.array(monitor.i[:]), np.array(monitor.t / (1000 * ms)), 4, 0.01)
    for source in (monitor, train, (monitor.i[:], monitor.t), (train.indices, train.times)):
        axis = plot.raster(source)
        np.testing.assert_allclose(axis.lines[0].get_xdata(), 1e3 * train.times)
        np.testing.assert_array_equal(axis.lines[0].get_ydata(), train.indices)
    assert plot.raster(monitor).get_xlim() == pytest.approx((0, 10))
    some = plot.raster(train, neurons=[3, 1])
    assert sorted(some.lines[0].get_ydata().tolist()) == sorted({3: 0, 1: 1}[i] for i in train.indices if i in (1, 3))
    assert some.get_ylabel() == "2 of 4 neurons"
    assert some.get_xlabel() == "time (ms)"


def test_time_constants_and_degrees_of_results_and_files(pruned: Any, folder: Path):
    before, result = pruned
    after = result.live.spec
    counts = np.bincount(after.post, minlength=60)[after.alive]
    pickled = pickle.loads(pickle.dumps(result))
    for source in (after, result, pickled, folder, str(folder / "network.npz"), result.live):
        axis = plot.time_constants(source)
        expected, _ = np.histogram(1e3 * after.time_constants[after.alive], edges(axis))
        np.testing.assert_allclose(heights(axis)[0], expected / after.n_alive, atol=1.1 / after.n_alive)
        axis = plot.degrees(source)
        np.testing.assert_allclose(edges(axis), np.arange(counts.min(), counts.max() + 2) - 0.5)
        np.testing.assert_allclose(heights(axis)[0], np.bincount(counts)[counts.min() :] / after.n_alive)
        assert axis.get_legend_handles_labels()[1] == [f"mean {counts.mean():.1f}"]
    out = plot.degrees({"before": before, "after": after}, direction="out")
    sent = np.bincount(before.pre, minlength=60)
    expected, _ = np.histogram(sent, edges(out))
    np.testing.assert_allclose(heights(out)[0], expected / 60)
    assert out.get_xlabel() == "out-degree (synapses from a neuron)"
    np.testing.assert_allclose(heights(plot.time_constants([0.01, 0.02]))[0][[0, -1]], 0.5)
    assert plot.time_constants(np.array([10, 20]) * ms).get_xlim() == plot.time_constants([0.01, 0.02]).get_xlim()


def test_a_network_of_ones_own():
    seed(1)
    group = NeuronGroup(20, "dv/dt = (1.2 + 0.3*i/N - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact")
    synapses = Synapses(group, group, "w : 1", on_pre="v_post += w")
    synapses.connect(condition="i != j", p=0.5)
    synapses.w = 0.01
    result = prune(Network(group, synapses), ("I", "II"), options=PruneOptions(0.5, 0.1, 1, realisations=1, **QUICK))
    left = np.bincount(np.array(synapses.j[:]), minlength=20)[result.alive]
    assert plot.degrees(result).get_legend_handles_labels()[1] == [f"mean {left.mean():.1f}"]
    assert plot.eigenvectors(result).lines[0].get_xdata().size == result.alive.sum()
    assert len(plot.convergence(result).lines) >= 2
    with pytest.raises(InvalidInput, match="pickled without its network"):
        plot.degrees(pickle.loads(pickle.dumps(result)))


@pytest.mark.parametrize("matrix", ["laplacian", "adjacency"])
def test_eigenvectors_are_those_of_the_graph(matrix: str, pruned: Any):
    before, result = pruned
    axis = plot.eigenvectors(before, matrix=matrix)
    A = np.zeros((60, 60))
    A[before.pre, before.post] = 1
    S = A + A.T
    values, vectors = np.linalg.eigh(np.diag(S.sum(axis=0)) - S if matrix == "laplacian" else S)
    np.testing.assert_allclose(axis.lines[0].get_xdata(), values, atol=1e-9)
    apart = np.diff(values, prepend=-np.inf, append=np.inf).clip(max=1) > 1e-6
    simple = apart[:-1] & apart[1:]
    np.testing.assert_allclose(axis.lines[0].get_ydata()[simple], (vectors**4).sum(axis=0)[simple], atol=1e-9)
    # Silenced neurons have no eigenvectors.
    assert plot.eigenvectors(result, matrix=matrix).lines[0].get_xdata().size == result.after.neurons
    assert axis.lines[1].get_ydata()[0] == pytest.approx(10 / 60)


def test_eigenvectors_of_a_response():
    spec = HRSNN(50, 0.3, parameters=LIFParameters.recurrent(), check_rate=False).spec
    response = slow_response(spec)
    axis = plot.eigenvectors(response)
    assert axis.lines[0].get_xdata().max() == pytest.approx(response.spectral_radius, rel=1e-3)
    # The eigenvector of the largest eigenvalue, by powers of the matrix.
    values, vectors = np.linalg.eig(response.matrix.toarray())
    v = np.abs(vectors[:, np.abs(values).argmax()]) ** 2
    assert axis.lines[0].get_ydata()[axis.lines[0].get_xdata().argmax()] == pytest.approx((v**2).sum() / v.sum() ** 2)
    with pytest.raises(InvalidInput, match="no axis in common"):
        plot.eigenvectors({"graph": delocalisation_report([0, 1], [1, 0], 2), "response": response})


def test_forecast_is_in_units_and_lyapunov_times(study: Any):
    task = study.task
    axis = plot.forecast(study, dimension=1)
    # Errors are 0.2 times 1, 3 and 2: the last is the median one.
    truth, none, before, after = axis.lines
    time = np.arange(1, 11) / 5.0
    for line in axis.lines:
        np.testing.assert_allclose(line.get_xdata(), time)
    expected = -2.0 + 3.0 * task.windows[2, 14:, 1]
    np.testing.assert_allclose(truth.get_ydata(), expected)
    for line, by in ((none, 0.5), (before, 0.1), (after, 0.2)):
        np.testing.assert_allclose(line.get_ydata(), expected + 3.0 * 2 * by)
        assert line.get_label().endswith(f"NRMSE {2 * by:.2f}")
    assert axis.get_xlabel().startswith("Lyapunov times ahead (1 is 5 samples)")
    assert axis.get_ylabel() == "angle (rad)"
    assert "window 3 of 3" in axis.get_title()
    unknown = replace(task, lyapunov_time=None)
    axis = plot.forecast({"LNP": study.forecast_after}, task=unknown, window=0)
    assert axis.get_xlabel() == "samples ahead"
    assert axis.lines[0].get_xdata().tolist() == list(range(1, 11))
    with pytest.raises(InvalidInput, match=r"forecast\(..., task=...\)"):
        plot.forecast(study.forecast_after)


def test_forecasts_beyond_the_axis_are_counted(study: Any):
    task = study.task
    wild = study.forecast_after.prediction.copy()
    wild[0, 3:6, 0] = 1e3
    axis = plot.forecast({"wild": made_forecast(wild, task, [1, 1, 1])}, task=task, window=0)
    assert axis.get_xlabel().endswith("wild, 3 samples beyond the axis")
    assert axis.get_ylim()[1] < 1e3


def test_windows_are_those_of_the_run(study: Any, folder: Path):
    for source in (study, folder):
        axis = plot.windows(source)
        shown = np.array([line.get_ydata() for line in axis.lines[:3]])
        np.testing.assert_allclose(shown, np.array([[0.1, 0.2, 0.5], [0.3, 0.6, 1.5], [0.2, 0.4, 1.0]]))
        middle = axis.containers[0]
        assert float(middle.lines[0].get_ydata()[0]) == pytest.approx(0.2)
        np.testing.assert_allclose(middle.lines[2][0].get_segments()[0][:, 1], [0.15, 0.25])
        times = plot.windows(source, quantity="vpt")
        np.testing.assert_allclose([line.get_ydata()[0] for line in times.lines[:3]], [1.2, 0.4, 0.8])
        assert times.get_ylabel() == "valid prediction time (Lyapunov times)"


def test_windows_beyond_the_axis_are_counted():
    errors = np.concatenate([np.full(17, 0.2), [9.0, 10.0, 11.0]])
    task = ForecastTask("flat", np.zeros((20, 5, 1)), 3, 1, np.zeros(1), np.ones(1), np.ones(1))
    one = made_forecast(np.zeros((20, 2, 1)) + errors[:, None, None], task, [0] * 20)
    axis = plot.windows({"LNP": one})
    assert axis.get_xlabel() == "20 windows, median and quartiles\n3 windows beyond the axis"
    assert axis.get_ylim()[1] < 9


def test_forecasts_that_diverge_are_beyond_the_axis(tmp_path: Path):
    # Of four errors the upper quartile is a quarter of the way from the third to the largest; of five it is the fourth.
    inf = np.inf
    for errors, bar in (([1, 2, 3, 4, inf], [2, 4]), ([1, 1, 2, inf], None), ([inf] * 3, None)):
        axis = plot.windows({"a": Forecast(nrmse=np.array(errors), **BARE)})
        diverged = errors.count(inf)
        said = axis.get_xlabel().splitlines()[1:]
        assert said[0] == f"{diverged} window{'' if diverged == 1 else 's'} beyond the axis"
        assert (said[1:] == ["a: the median is infinite"]) == (len(errors) == 3) == (not axis.containers)
        assert np.isfinite(axis.get_ylim()).all()
        if bar:
            assert axis.containers[0].lines[2][0].get_segments()[0][:, 1].tolist() == bar
        axis.figure._repr_png_()


BARE: dict[str, Any] = dict.fromkeys(
    (
        *(
            "prediction",
            "truth",
            "vpt_steps",
            "smape",
            "one_step_nrmse",
            "training_nrmse",
            "penalty",
            "synaptic_operations",
        ),
        *("readout_operations", "mean_rate", "readout", "seconds"),
    )
)


def run_of(folder: Path, **entries: Any) -> Path:
    """The record of a run, of which nothing is there but a few entries."""
    write_json(folder / "run.json", {"history": [], **entries})
    return folder


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ([[], [], []], "of the same windows, at least one; got 0, 0, 0"),
        ([[1.0], [1.0, 2.0], [1.0]], "of the same windows, at least one; got 1, 2, 1"),
        ([["a"], ["b"], ["c"]], "nrmse_windows must be an array of float"),
        ([1.0, 2.0, 3.0], r"nrmse_windows must have shape \(any,\), got \(\)"),
    ],
)
def test_windows_that_do_not_go_together(windows: list[Any], message: str, tmp_path: Path):
    states = {name: {"nrmse_windows": w} for name, w in zip(("before", "after", "uncoupled"), windows, strict=True)}
    run = run_of(tmp_path, options={"task": {"lyapunov_time_steps": 3.0}}, **states)
    with pytest.raises(InvalidInput, match=message):
        plot.windows(run)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[1, 2], [3]], "classified must be an array of float, got list"),
        ([["a"]], "classified must be an array of float"),
        ([], "classified must have shape"),
        (None, "classified must have shape"),
        ([[1, 2, 3]], "square and counts images"),
        ([[-1, 2], [0, 1]], "square and counts images"),
        (np.eye(3).tolist(), "classes must name all 3 classes, got 2 names"),
    ],
)
def test_tables_that_are_no_confusions(table: Any, message: str, tmp_path: Path):
    run = run_of(tmp_path, options={"task": {"classes": ["cat", "dog"]}}, after={"confusion": table})
    with pytest.raises(InvalidInput, match=message):
        plot.confusion(run)


def test_classes_that_do_not_fit_a_table():
    assert plot.confusion(np.eye(2), classes=np.array(["a", "b"])).get_xticklabels()[1].get_text() == "b"
    for wrong, message in ((["a"], "all 2 classes, got 1 names"), (3, "classes must be a Sequence, got int")):
        with pytest.raises(InvalidInput, match=message):
            plot.confusion(np.eye(2), classes=wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exponents_per_s": [], "standard_errors_per_s": []}, "got 0 and 0"),
        ({"standard_errors_per_s": [0.1]}, "got 2 and 1"),
        ({"dimension": 0}, "dimension must be a whole number of at least 2, got 0"),
        ({"dimension": "x"}, "dimension must be a whole number"),
        ({"exponents_per_s": ["a", "b"]}, "exponents_per_s must be an array of float"),
    ],
)
def test_records_that_are_no_spectra(change: dict[str, Any], message: str):
    record = {"name": "x", "dimension": 2, "exponents_per_s": [1.0, None], "standard_errors_per_s": [0.1, None]}
    assert plot.spectrum([record]).get_xlabel() == "i/D\n1 direction lost"
    for part in ("whole", "leading"):
        with pytest.raises(InvalidInput, match=message):
            plot.spectrum([record | change], part=part)


def test_other_units_and_impossible_spikes_are_refused():
    assert plot.raster(([0], [1] * ms)).lines[0].get_xdata().tolist() == [1.0]
    for spikes, options, message in (
        (([0], [1] * mV), {}, "times of spikes must be in seconds or times"),
        (([0], [-1.0]), {}, "times of spikes must not be negative, got -1 s"),
        (([0, 1], [0.1, 0.2]), {"neurons": [0, 0]}, "each neuron once"),
        (([0, 1], [0.1, 0.2]), {"neurons": 1}, "neurons must be a list of neuron indices"),
    ):
        with pytest.raises(InvalidInput, match=message):
            plot.raster(spikes, **options)
    with pytest.raises(InvalidInput, match="time constants must be in seconds or times"):
        plot.time_constants([10, 20] * mV)
    with pytest.raises(InvalidInput, match="dpi must be a number"):
        plot.save(plot.confusion(np.eye(2)), "x.png", dpi=-1)


def test_degrees_of_a_network_without_neurons():
    spec = uncoupled([10, 20] * ms)
    axis = plot.degrees({"before": spec, "after": replace(spec, alive=[False, False])})
    assert axis.get_legend_handles_labels()[1] == ["before, mean 0.0", "after, no neuron"]


def test_confusion_is_a_share_of_each_class(tmp_path: Path):
    study = images()
    run = {"history": [], "options": {"task": {"classes": ["cat", "dog"]}}, "after": {"confusion": [[1, 0], [1, 0]]}}
    write_json(tmp_path / "run.json", run)
    for source in (study, tmp_path):
        axis = plot.confusion(source)
        assert axis.images[0].get_array().tolist() == [[100, 0], [100, 0]]
        assert axis.get_title() == "after pruning, 50.0 ± 35.4 % right"
        assert [label.get_text() for label in axis.get_xticklabels()] == ["cat", "dog"]
    assert plot.confusion(study, state="uncoupled").images[0].get_array().tolist() == [[0, 100], [100, 0]]
    assert plot.confusion(study.images_before).get_title() == "100.0 ± 0.0 % right"


def test_image_says_what_is_wrong():
    right, wrong = plot.image(images()), plot.image(images(), number=1)
    assert (right.get_title(), wrong.get_title()) == ("cat\ncat / cat", "dog\ndog / cat")
    assert right.title.get_color() == "black" != wrong.title.get_color()
    np.testing.assert_allclose(wrong.images[0].get_array(), np.array([[4, 5], [6, 7]]) / 255)


# ------------------------------------------------------------------------------------------------------ files, refusals


@pytest.mark.parametrize(
    ("suffix", "begin"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("SVG", b"<?xml")]
)
def test_files_by_suffix_and_the_same_again(suffix: str, begin: bytes, tmp_path: Path):
    one, other = (plot.save(plot.spectrum([1.0, -1.0]), tmp_path / f"{k}.{suffix}").read_bytes() for k in "ab")
    assert one.startswith(begin)
    assert one == other


def test_files_that_are_refused_leave_nothing(tmp_path: Path):
    axis = plot.spectrum([1.0, -1.0])
    for name in ("figure", "figure.txt"):
        with pytest.raises(InvalidInput, match=r"a figure is written as .*\.pdf.*\.svg"):
            plot.save(axis, tmp_path / name)
    with pytest.raises(InvalidInput, match="give what a plot returned"):
        plot.save("axis", tmp_path / "figure.png")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
    # The file that was asked for is named, not the one that is renamed to it.
    for path, kind in ((tmp_path / "gone" / "figure.png", FileNotFoundError), (tmp_path / "a.png", IsADirectoryError)):
        (tmp_path / "a.png").mkdir(exist_ok=True)
        with pytest.raises(kind) as refused:
            plot.save(axis, path)
        assert refused.value.filename == str(path)
        assert "lnpbrian-" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["history", "exponents", "convergence", "raster", "degrees", "time_constants"])
@pytest.mark.parametrize("given", [3, object(), "nowhere", {}], ids=["3", "object", "nowhere", "{}"])
def test_other_things_are_refused_in_a_line(name: str, given: Any):
    with pytest.raises(InvalidInput) as refused:
        getattr(plot, name)(given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"history": 3}',
        '{"history": [{}], "iteration": 0}',
        '{"history": [], "iteration": 0}',
        '{"networks": [3]}',
    ],
)
def test_files_of_something_else_are_refused(content: str, tmp_path: Path):
    path = tmp_path / "run.json"
    path.write_text(content)
    for draw in (plot.history, plot.windows, plot.confusion, plot.spectrum, plot.degrees):
        with pytest.raises(InvalidInput):
            draw(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("mean_rate_hz", value) for value in ("fast", None, [1.0], True)),
        *(("iteration", value) for value in ("1", 1.5, -1, 10**30)),
        *(("status", value) for value in ("I: done", [1])),
        *(("seconds", value) for value in (3, {"I": "long"})),
        ("largest_exponent_standard_error_per_s", -1.0),
        ("synapses", 3.5),
        ("stable", 1),
        ("spectral_radius", {}),
    ],
)
def test_a_run_that_was_edited_is_refused_in_a_line(pruned: Any, tmp_path: Path, name: str, value: Any):
    result = pruned[1]
    history = [plain(record) for record in result.history]
    write_json(tmp_path / "run.json", {"history": history, "iteration": 0})
    assert plot.history(tmp_path).lines[0].get_ydata().tolist() == [record.synapses for record in result.history]
    history[-1][name] = value
    write_json(tmp_path / "run.json", {"history": history, "iteration": 0})
    with pytest.raises(
        InvalidInput, match=rf"is no run of lnpbrian prune: {name} of an iteration cannot be"
    ) as refused:
        plot.history(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("left", "message"), [("0", "whole number"), (9, "at most"), (-1, "at least 0")])
def test_an_iteration_that_was_not_is_refused(pruned: Any, tmp_path: Path, left: Any, message: str):
    write_json(tmp_path / "run.json", {"history": [plain(record) for record in pruned[1].history], "iteration": left})
    with pytest.raises(InvalidInput, match=message):
        plot.history(tmp_path)


def test_figures_of_a_run_are_made_of_plots(study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert [path.name for path in figures.draw_all(study, tmp_path)] == [
        f"{name}.png" for name in ("raster", "exponents", "time_constants", "degrees", "forecast", "history")
    ]
    history = figures.history(study)
    quantities = ("survivors", "rate", "exponent", "radius")
    for axis, quantity in zip(history.axes, quantities, strict=True):
        alone = plot.history(study, quantity=quantity)
        assert axis.get_ylabel() == alone.get_ylabel()
        assert [x.get_xydata().tolist() for x in axis.lines] == [x.get_xydata().tolist() for x in alone.lines]
    assert [axis.get_ylabel() for axis in figures.forecast(study).axes] == ["speed (m/s)", "angle (rad)"]
    assert len(figures.examples(images()).axes) == 8
    assert len(figures.confusion(images()).axes) == 2


# -------------------------------------------------------------------------------------------------------------- tables


def test_spectra_and_twins_as_data_frames(monkeypatch: pytest.MonkeyPatch):
    pandas = pytest.importorskip("pandas")
    spectrum = doubled()
    table = spectrum.to_dataframe()
    assert isinstance(table, pandas.DataFrame)
    assert table.index.tolist() == [1, 2, 3]
    np.testing.assert_allclose(table["exponent"], np.log([2, 0.5, 0.25]))
    np.testing.assert_allclose(table["i/D"], [1 / 3, 2 / 3, 1])
    twins = block_twin_exponents(uncoupled([10, 25] * ms, bias=0.5), rng=np.random.default_rng(0))
    table = twins.to_dataframe()
    np.testing.assert_allclose(table["exponent"], [-100, -40], rtol=1e-3)
    assert table["rate_hz"].tolist() == [0, 0]
    assert {"standard_error", "floored"} <= set(table)
    monkeypatch.setitem(sys.modules, "pandas", None)
    for one in (spectrum, twins):
        with pytest.raises(InvalidInput, match="pip install pandas"):
            one.to_dataframe()
