"""The record of a network's stability, the command that writes it, and its figure."""

import json
import shlex
from dataclasses import replace

import brian2
import numpy as np
import pytest
from brian2 import ms, second
from scipy import stats

from lnpbrian import cli, figures, plot
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.stability import SpectrumOptions, has_converged, stability_record
from lnpbrian.models import HRSNN, uncoupled
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.report.runs import run_page

brian2.prefs.codegen.target = "numpy"

FIELDS = {
    *("name", "model", "neurons", "neurons_before_pruning", "synapses", "dimension", "exponents_per_s"),
    *("standard_errors_per_s", "sum_per_s", "mean_log_det_per_s", "kaplan_yorke_dimension", "entropy_rate_per_s"),
    *("largest_from_twins_per_s", "largest_from_twins_standard_error_per_s", "mean_rate_hz", "status", "options"),
    *("largest_exponent_trace_per_s", "has_converged", "seconds"),
}
SMALL = ("spectrum", "--neurons", 30, "--connection-probability", 0.2, "--duration", 100, "--transient", 20)


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(a) for a in arguments])
    return exit_.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("spectrum")
    model = HRSNN(30, 0.2, check_rate=False, seed=2)
    model.spec.save(path / "a.npz")
    alive = np.arange(30) < 25
    replace(model.spec, alive=alive).save(path / "b.npz")
    assert run("spectrum", path / "a.npz", path / "b.npz", *SMALL[-4:], "--seed", 1, "--out", path / "out") == 0
    return path


def test_spectrum_json_holds_the_whole_record(folder):
    content = json.loads((folder / "out" / "spectrum.json").read_text())
    assert set(content) == {"versions", "commit", "command", "networks"}
    whole, pruned = content["networks"]
    for record in (whole, pruned):
        assert set(record) == FIELDS
        # The running estimate ends with the exponent, after 10 intervals.
        assert len(record["largest_exponent_trace_per_s"]) == 10
        assert record["largest_exponent_trace_per_s"][-1] == pytest.approx(record["exponents_per_s"][0], rel=1e-12)
        assert len(record["exponents_per_s"]) == len(record["standard_errors_per_s"]) == record["dimension"]
        assert record["sum_per_s"] == pytest.approx(sum(record["exponents_per_s"]), rel=1e-12)
        assert record["sum_per_s"] == pytest.approx(record["mean_log_det_per_s"], rel=1e-6)
        assert record["entropy_rate_per_s"] == pytest.approx(sum(x for x in record["exponents_per_s"] if x > 0))
        assert record["options"] == {
            "n_exponents": "all",
            "duration_ms": 100.0,
            "transient_ms": 20.0,
            "reorthonormalise_every_ms": 10.0,
            "inputs": 1,
            "seed": 1,
        }
    assert (whole["neurons"], whole["dimension"]) == (30, 60)
    assert (pruned["neurons"], pruned["neurons_before_pruning"], pruned["dimension"]) == (25, 30, 50)
    assert whole["name"].endswith("a.npz")
    assert (folder / "out" / "spectrum.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_says_what_the_record_holds(folder):
    whole, pruned = json.loads((folder / "out" / "spectrum.json").read_text())["networks"]
    page = run_page(folder / "out")
    assert len(page.figures) == 2
    assert not any("missing" in warning for warning in page.warnings)
    for record, row, said in zip((whole, pruned), page.results[0].rows, page.verdict.sentences, strict=True):
        assert row[0] == record["name"]
        value, error = float(row[2].split(" ± ")[0]), float(row[2].split(" ± ")[1])
        assert value == pytest.approx(record["exponents_per_s"][0], abs=0.05)
        assert error == pytest.approx(record["standard_errors_per_s"][0], abs=0.05)
        sides = [abs(value) <= 2 * error, value > 2 * error, value < -2 * error]
        words = ["zero within two standard errors", "above zero", "below zero"]
        assert f"({words[sides.index(True)]}, by twins" in said
        trace, end = record["largest_exponent_trace_per_s"], record["exponents_per_s"][0]
        late = max(abs(value - end) for value in trace[5:])
        assert ("It has converged" in said) == (late <= 2 * record["standard_errors_per_s"][0])
    assert page.command.startswith(f"lnpbrian spectrum {folder / 'a.npz'} {folder / 'b.npz'} --n-exponents all")
    before = (folder / "out" / "report.html").read_bytes()
    (folder / "out" / "report.html").unlink()
    assert run("report", folder / "out") == 0
    assert (folder / "out" / "report.html").read_bytes() == before


def test_the_command_of_the_page_repeats_it(tmp_path):
    options = ("--model", "mrsnn", "--n-exponents", 3, "--inputs", 2, "--seed", 4)
    assert run(*SMALL, *options, "--out", tmp_path / "one") == 0
    again = shlex.split(run_page(tmp_path / "one").command)
    assert run(*again[1:], "--out", tmp_path / "two") == 0
    one, two = (json.loads((tmp_path / name / "spectrum.json").read_text()) for name in ("one", "two"))
    for content in (one, two):
        del content["networks"][0]["seconds"]
    assert one == two


def test_pages_of_others_are_kept(folder, tmp_path, capsys):
    (tmp_path / "report.html").write_text("mine")
    assert run(*SMALL, "--out", tmp_path) == 2
    assert "holds a report.html that may be yours" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    (tmp_path / "report.html").unlink()
    (tmp_path / "run.json").write_text("{}")
    assert run(*SMALL, "--out", tmp_path) == 2
    assert "holds a run, whose report.html would be replaced" in capsys.readouterr().err


def test_an_older_file_has_a_page(folder, tmp_path):
    content = json.loads((folder / "out" / "spectrum.json").read_text())
    del content["command"], content["commit"]
    for record in content["networks"]:
        del record["has_converged"], record["largest_exponent_trace_per_s"]
    (tmp_path / "spectrum.json").write_text(json.dumps(content))
    page = run_page(tmp_path)
    assert "Whether it has converged is not known." in page.verdict.sentences[0]
    assert {"spectrum.png is missing", "convergence.png is missing"} < set(page.warnings)
    assert page.command == ""
    with pytest.raises(InvalidInput, match="holds no running estimate"):
        plot.convergence(tmp_path)
    for damaged in ({"versions": content["versions"], "networks": []}, {"networks": content["networks"]}):
        (tmp_path / "spectrum.json").write_text(json.dumps(damaged))
        with pytest.raises(InvalidInput, match="no whole record of a run"):
            run_page(tmp_path)


def test_convergence_is_drawn_from_the_file(folder):
    records = json.loads((folder / "out" / "spectrum.json").read_text())["networks"]
    axis = plot.convergence(folder / "out")
    for record, line in zip(records, axis.lines, strict=False):
        np.testing.assert_allclose(line.get_ydata(), record["largest_exponent_trace_per_s"])
        np.testing.assert_allclose(line.get_xdata(), 0.01 * np.arange(1, 11))


def test_estimates_of_white_noise_converge():
    # sup |W| over [0, 1] exceeds 2 with probability 4 (1 - Phi(2)) = 0.0910, but for terms of 4 (1 - Phi(6)).
    growth = np.random.default_rng(0).standard_normal((1500, 2000))
    traces = np.cumsum(growth, axis=1) / np.arange(1, 2001)
    said = [has_converged(trace, 1 / np.sqrt(2000)) for trace in traces]
    expected = 4 * stats.norm.sf(2)
    # Five standard errors, and what is missed between 1000 steps.
    assert abs(1 - np.mean(said) - expected) < 5 * np.sqrt(expected * (1 - expected) / 1500) + 0.01
    drift = traces + np.linspace(0, 10 / np.sqrt(2000), 2000)
    assert not any(has_converged(trace, 1 / np.sqrt(2000)) for trace in drift)
    assert has_converged(np.ones(1), 0.1) is None
    assert has_converged(np.ones(5), np.inf) is None


def test_same_seed_same_numbers(folder, tmp_path):
    assert run("spectrum", folder / "a.npz", *SMALL[-4:], "--seed", 1, "--out", tmp_path) == 0
    first = json.loads((folder / "out" / "spectrum.json").read_text())["networks"][0]
    again = json.loads((tmp_path / "spectrum.json").read_text())["networks"][0]
    assert {k: v for k, v in first.items() if k != "seconds"} == {k: v for k, v in again.items() if k != "seconds"}


def test_leading_exponents_of_a_model(tmp_path, capsys):
    assert run(*SMALL, "--model", "mrsnn", "--n-exponents", 4, "--inputs", 2, "--out", tmp_path) == 0
    (record,) = json.loads((tmp_path / "spectrum.json").read_text())["networks"]
    assert record["model"] == "MRSNN"
    assert len(record["exponents_per_s"]) == 4
    assert record["sum_per_s"] is None
    assert "2 inputs" in record["status"]
    assert "largest" in capsys.readouterr().out


def test_what_is_done_is_kept(folder, tmp_path, monkeypatch):
    def stop_at_the_second(spec, name, **options):
        if name.endswith("b.npz"):
            raise KeyboardInterrupt
        return stability_record(spec, name, **options)

    monkeypatch.setattr(cli, "stability_record", stop_at_the_second)
    files = (folder / "a.npz", folder / "b.npz")
    assert run("spectrum", *files, *SMALL[-4:], "--n-exponents", 2, "--out", tmp_path) == 130
    assert len(json.loads((tmp_path / "spectrum.json").read_text())["networks"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n-exponents", "61"], "n_exponents must be at most the dimension of the tangent space, 60; got 61"),
        (["--n-exponents", "0"], "n_exponents must be a whole number of at least 1, got 0"),
        (["--n-exponents", "most"], "--n-exponents must be one of all, a whole number; got 'most'"),
        (["--duration", "5"], "duration must hold at least one interval of 10 ms"),
        (["--duration", "-5"], "duration must be a number in (0, inf)"),
        (["--reorthonormalise-every", "0"], "reorthonormalise_every must be a number in (0, inf)"),
        (["--inputs", "0"], "inputs must be a whole number of at least 1, got 0"),
        (["--model", "esn"], "--model must be one of hrsnn, chrsnn, mrsnn; got 'esn'"),
        (["--connection-probability", "2"], "connection_probability must be a number in (0, 1], got 2.0"),
        (["--seed", "-1"], "seed must be a whole number"),
        (["nowhere.npz"], "nowhere.npz"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, capsys, arguments, message):
    out = tmp_path / "out"
    assert run(*SMALL, "--out", out, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists() or not list(out.iterdir())


def quick(**options):
    return SpectrumOptions(**{"duration": 60 * ms, "transient": 20 * ms, **options})


def test_twins_measure_the_same_exponent():
    # Far below threshold: the slowest membrane, 1/40 ms, in both.
    spec = uncoupled([10 * ms, 40 * ms], bias=0.0)
    record = stability_record(spec, "quiet", options=quick(duration=400 * ms, transient=1 * second), seed=0)
    assert record["exponents_per_s"][0] == pytest.approx(-25, abs=1e-6)
    assert record["largest_from_twins_per_s"] == pytest.approx(-25, abs=1e-3)
    assert "no neuron fired" in record["status"]


def test_too_few_exponents_for_the_dimension():
    # Chaotic: the leading exponent alone does not make the sum negative.
    parameters = LIFParameters(gain=1.0, bias=(1.5, 2.5), synaptic_time_constant=2 * ms)
    spec = HRSNN(100, 0.2, parameters=parameters, check_rate=False, seed=1).spec
    record = stability_record(spec, "chaotic", options=quick(n_exponents=1, duration=300 * ms), seed=0)
    assert record["exponents_per_s"][0] > 3 * record["standard_errors_per_s"][0]
    assert record["kaplan_yorke_dimension"] is None
    assert record["entropy_rate_per_s"] is None
    assert "the Kaplan-Yorke dimension needs more exponents" in record["status"]


def test_delta_synapses_have_no_twins():
    parameters = LIFParameters(synaptic_time_constant=0 * ms)
    spec = HRSNN(20, 0.3, parameters=parameters, check_rate=False).spec
    record = stability_record(spec, "delta", options=quick(), seed=0)
    assert record["dimension"] == 20
    assert record["largest_from_twins_per_s"] is None
    assert "no twins" in record["status"]
    # Excitatory jumps trigger spikes, and a direction that is gone is no number in JSON.
    assert "triggered" in record["status"]
    assert record["exponents_per_s"][-1] is None
    json.dumps(record, allow_nan=False)
    figures.spectra([record])


def test_figure_takes_spectra_of_any_size():
    def record(n, k):
        values = list(-np.arange(k, dtype=float))
        return {"name": str(n), "dimension": n, "exponents_per_s": values, "standard_errors_per_s": [0.1] * k}

    figure = figures.spectra([record(200, 200), record(10, 10), record(400, 3)])
    whole, leading = figure.axes
    assert [line.get_xdata()[-1] for line in whole.lines[:3]] == [1.0, 1.0, 3 / 400]
    assert len(leading.lines) == 4
