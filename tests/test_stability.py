"""The record of a network's stability, the command that writes it, and its figure."""

import json
from dataclasses import replace

import brian2
import numpy as np
import pytest
from brian2 import ms, second

from lnpbrian import cli, figures
from lnpbrian.lyapunov.stability import SpectrumOptions, stability_record
from lnpbrian.models import HRSNN, uncoupled
from lnpbrian.models.drawing import LIFParameters

brian2.prefs.codegen.target = "numpy"

FIELDS = {
    *("name", "model", "neurons", "neurons_before_pruning", "synapses", "dimension", "exponents_per_s"),
    *("standard_errors_per_s", "sum_per_s", "mean_log_det_per_s", "kaplan_yorke_dimension", "entropy_rate_per_s"),
    *("largest_from_twins_per_s", "largest_from_twins_standard_error_per_s", "mean_rate_hz", "status", "options"),
    "seconds",
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
    assert set(content) == {"versions", "networks"}
    whole, pruned = content["networks"]
    for record in (whole, pruned):
        assert set(record) == FIELDS
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
