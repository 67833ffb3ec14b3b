"""The command line: files, numbers, repeatability, and one line for every mistake."""

import hashlib
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from lnpbrian import cli
from lnpbrian.jobs import STAGES
from lnpbrian.models import HRSNN
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.pruning.checkpoint import CheckpointFolder

SMALL = [
    *("prune", "--neurons", "80", "--connection-probability", "0.15", "--iterations", "1", "--windows", "2"),
    *("--sample-time", "6", "--synapse-sparsity", "0.9", "--neuron-sparsity", "0.2", "--jobs", "1"),
]


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(a) for a in arguments])
    return exit_.value.code


def without_times(content):
    if isinstance(content, dict):
        return {k: without_times(v) for k, v in content.items() if k not in ("seconds", "versions")}
    return [without_times(v) for v in content] if isinstance(content, list) else content


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of a run with all that it writes, and of one that leaves out the figures."""
    folder = tmp_path_factory.mktemp("runs")
    assert run(*SMALL, "--seed", 1, "--out", folder / "a") == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lnpbrian.figures.draw_all", lambda *_: [])
        assert run(*SMALL, "--seed", 1, "--out", folder / "again") == 0
    return folder


def test_prune_writes_what_it_promises(results):
    names = {path.name for path in (results / "a").iterdir()}
    figures = {"raster.png", "exponents.png", "time_constants.png", "degrees.png", "forecast.png", "history.png"}
    assert names == {"run.json", "network.npz", "report.html"} | figures
    for figure in figures:
        assert (results / "a" / figure).read_bytes().startswith(b"\x89PNG")


def test_a_run_writes_its_report(results):
    content = json.loads((results / "a" / "run.json").read_text())
    page = (results / "a" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 6
    for state in ("before", "after"):
        assert f">{content[state]['nrmse']:.3f}<" in page
        assert f">{content[state]['synapses']}<" in page
        assert content["graph"][state]["synapses"] == content[state]["synapses"]
    # Without figures it says so.
    assert "raster.png is missing" in (results / "again" / "report.html").read_text()


def test_run_json_holds_the_whole_record(results):
    content = json.loads((results / "a" / "run.json").read_text())
    assert content["seed"] == 1
    assert content["options"]["command"]["connection_probability"] == 0.15
    assert {"lnpbrian", "brian2", "numpy", "python"} <= set(content["versions"])
    for state in ("before", "after"):
        assert {
            *("neurons", "synapses", "mean_rate_hz", "largest_exponent_per_s", "synaptic_operations"),
            *("nrmse", "vpt_steps", "nrmse_windows", "vpt_windows"),
        } <= set(content[state])
        assert len(content[state]["nrmse_windows"]) == len(content[state]["vpt_windows"]) == 2
        assert content[state]["nrmse"] == pytest.approx(np.mean(content[state]["nrmse_windows"]))
    before, after, ratios = content["before"], content["after"], content["ratios"]
    assert ratios["synaptic_operations"] == before["synaptic_operations"] / after["synaptic_operations"]
    assert ratios["synapse_sparsity"] == pytest.approx(1 - after["synapses"] / before["synapses"])
    assert ratios["neuron_sparsity"] == pytest.approx(0.2)
    assert [record["iteration"] for record in content["history"]] == [0, 1]
    assert set(content["seconds"]) == set(STAGES)


def test_network_file_is_the_pruned_network(results):
    content = json.loads((results / "a" / "run.json").read_text())
    spec = NetworkSpec.load(results / "a" / "network.npz")
    assert (spec.n_alive, spec.n_synapses) == (content["after"]["neurons"], content["after"]["synapses"])


def test_same_seed_same_numbers(results):
    a, again = (without_times(json.loads((results / name / "run.json").read_text())) for name in ("a", "again"))
    assert a == again


@pytest.mark.parametrize("name", ["[/b]", "[bold]x", ":smile:"])
def test_names_are_not_markup(tmp_path, capsys, name):
    spec = HRSNN(20, 0.3, check_rate=False).spec
    replace(spec, model=name).save(tmp_path / f"[{name.strip('[/]')}].npz")
    assert run("info", tmp_path / f"[{name.strip('[/]')}].npz") == 0
    assert name in capsys.readouterr().out


def test_info(results, capsys):
    assert run("info", results / "a" / "network.npz") == 0
    text = capsys.readouterr().out
    assert "HRSNN" in text
    assert "64 alive of 80" in text
    assert run("info") == 0
    assert "brian2" in capsys.readouterr().out


@pytest.mark.parametrize("encoder", ["poisson"])
@pytest.mark.parametrize("model", ["chrsnn", "mrsnn"])
def test_other_models_and_encoders(tmp_path, model, encoder):
    assert run(*SMALL, "--model", model, "--encoder", encoder, "--out", tmp_path) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--neurons", "-5"], "neurons must be a whole number of at least 2, got -5"),
        (["--neurons", "many"], "Input should be a valid integer"),
        (["--connection-probability", "0"], "--connection-probability must be a number in (0, 1], got 0.0"),
        (["--connection-probability", "1.5"], "--connection-probability"),
        (["--synapse-sparsity", "1"], "--synapse-sparsity must be a number in [0, 1), got 1.0"),
        (["--synapse-sparsity", "0.1", "--neuron-sparsity", "0.8"], "raise synapse_sparsity to 0.96 or"),
        (["--neuron-sparsity", "0.95", "--synapse-sparsity", "0.999"], "minimum_neurons = 10"),
        (["--iterations", "0"], "iterations"),
        (["--windows", "0"], "windows must be a whole number of at least 1, got 0"),
        (["--sample-time", "-1"], "--sample-time (in seconds)"),
        (["--sample-time", "0.7"], "whole number of steps"),
        (["--model", "esn"], "model must be one of hrsnn, chrsnn, mrsnn; got 'esn'"),
        (["--task", "weather"], "task must be one of lorenz63"),
        (["--encoder", "morse"], "encoder must be one of current, poisson"),
        (["--device", "gpu"], "device must be one of runtime, cpp_standalone, cuda_standalone; got 'gpu'"),
        (["--rescale", "double"], "rescale must be one of"),
        (["--rescale", "capped"], "needs cap"),
        (["--seed", "-1"], "seed"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, capsys, arguments, message):
    out = tmp_path / "out"
    assert run(*SMALL, "--out", out, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert not out.exists()


def test_unwritable_out(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run(*SMALL, "--out", blocked / "out") == 2
    assert "--out" in capsys.readouterr().err
    if os.geteuid() != 0:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        assert run(*SMALL, "--out", locked) == 2


def test_unknown_network_file(tmp_path, capsys):
    assert run("info", tmp_path / "none.npz") == 2
    assert "cannot be read as a network file" in capsys.readouterr().err


def test_old_files_survive_a_failed_run(tmp_path, monkeypatch):
    (tmp_path / "run.json").write_text("old")

    def fail(*_, **__):
        raise OSError(28, "No space left on device", "run.json")

    monkeypatch.setattr("lnpbrian.records.json.dumps", fail)
    assert run(*SMALL, "--out", tmp_path) == 2
    assert (tmp_path / "run.json").read_text() == "old"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


# ---------------------------------------------------------------------------------------------------------------------
# Going on with a run


LONGER = [
    *(*SMALL, "--windows", "1", "--sample-time", "2", "--iterations", "3"),
    *("--steps", "I,II,III", "--new-edges", "0.1", "--seed", "4"),
]


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr("lnpbrian.figures.draw_all", lambda *_: [])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lnpbrian.figures.draw_all", lambda *_: [])
        assert run(*LONGER, "--out", folder) == 0
    return folder


def test_another_seed_other_numbers(whole, tmp_path, no_figures):
    assert run(*LONGER, "--seed", 5, "--out", tmp_path) == 0
    one, other = (json.loads((folder / "run.json").read_text()) for folder in (whole, tmp_path))
    assert one["before"]["nrmse_windows"] != other["before"]["nrmse_windows"]
    assert one["after"]["synapses"] != other["after"]["synapses"]


def interrupt(monkeypatch, after):
    """Let Ctrl-C come once `after` checkpoints are written."""
    save, calls = CheckpointFolder.save, []

    def save_and_stop(self, checkpoint):
        save(self, checkpoint)
        calls.append(checkpoint)
        if len(calls) == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointFolder, "save", save_and_stop)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The folder of a run that was interrupted after its first iteration."""
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 2)
        assert run(*LONGER, "--out", folder) == 130
    return folder


@pytest.fixture
def unfinished(interrupted, tmp_path):
    return shutil.copytree(interrupted, tmp_path / "unfinished")


def refused(folder, message, capsys, *arguments):
    """Be refused in one line, and find the folder as it was."""
    capsys.readouterr()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_resumed_run_is_the_uninterrupted_one(whole, unfinished, monkeypatch, capsys, no_figures):
    assert sorted(path.name for path in unfinished.iterdir()) == ["lnpbrian_checkpoint"]
    kept = sorted(path.name for path in (unfinished / "lnpbrian_checkpoint").iterdir())
    assert kept == ["checkpoint.npz", "command.json", "forecast_before.npz", "lnpbrian_checkpoint.txt"]

    def fail(*_, **__):
        raise AssertionError("the first forecast is done again")

    monkeypatch.setattr("lnpbrian.jobs.Forecast.to_arrays", fail)
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, 1)  # once more, after the next iteration
        assert run("prune", "--resume", unfinished) == 130
    said = capsys.readouterr()
    assert said.err == f"lnpbrian: interrupted; go on with: lnpbrian prune --resume {unfinished}\n"
    assert "going on with the run" in said.out
    # The same command goes on as well.
    assert run(*LONGER, "--out", unfinished) == 0
    assert {path.name for path in unfinished.iterdir()} == {"run.json", "network.npz", "report.html"}
    assert (whole / "network.npz").read_bytes() == (unfinished / "network.npz").read_bytes()
    one, other = (without_times(json.loads((folder / "run.json").read_text())) for folder in (whole, unfinished))
    assert one == other
    assert [record["iteration"] for record in one["history"]] == [0, 1, 2, 3]
    refused(unfinished, "holds no unfinished run; start one with --out", capsys, "prune", "--resume", unfinished)


def test_nothing_to_resume(tmp_path, capsys):
    refused(tmp_path, "holds no unfinished run; start one with --out", capsys, "prune", "--resume", tmp_path)
    assert not list(tmp_path.iterdir())
    missing = tmp_path / "missing"
    refused(tmp_path, "holds no unfinished run", capsys, "prune", "--resume", missing)
    assert not missing.exists()


def test_resume_refuses_what_does_not_fit(unfinished, capsys):
    resume = ("prune", "--resume", unfinished)
    takes_all = "--resume takes all options from the run; leave out --"
    refused(unfinished, takes_all + "seed", capsys, *resume, "--seed", "4")
    refused(unfinished, takes_all + "synapse-sparsity", capsys, *resume, "--synapse-sparsity", "0.9")
    refused(unfinished, takes_all + "out", capsys, *resume, "--out", unfinished)
    refused(unfinished, takes_all + "fidelity", capsys, *resume, "--fidelity")
    other = "holds an unfinished run of other options: finish it with --resume, delete"
    refused(unfinished, other, capsys, *LONGER, "--seed", "5", "--out", unfinished)
    refused(unfinished, other, capsys, *LONGER, "--fidelity", "--out", unfinished)
    command, checkpoint = (unfinished / "lnpbrian_checkpoint" / name for name in ("command.json", "checkpoint.npz"))
    content, network = json.loads(command.read_text()), checkpoint.read_bytes()
    command.write_text(json.dumps(content | {"lnpbrian": "9.9"}))
    refused(unfinished, "was begun by lnpbrian 9.9, this is", capsys, *resume)
    for broken in ("{", "[]", "{}", json.dumps({"lnpbrian": content["lnpbrian"]})):
        command.write_text(broken)
        refused(unfinished, "cannot be read (", capsys, *resume)
    for options in ({"unknown": 3}, {"neurons": -5}, {"neurons": "many"}, {"windows": None}):
        command.write_text(json.dumps(content | {"options": content["options"] | options}))
        assert run(*resume) == 2
        assert capsys.readouterr().err.count("\n") == 1
    # The network that was kept belongs to the options.
    command.write_text(json.dumps(content | {"options": content["options"] | {"seed": 5}}))
    refused(unfinished, "belongs to another network, other options or another seed", capsys, *resume)
    command.write_text(json.dumps(content))
    checkpoint.write_bytes(network[:1000])
    refused(unfinished, "cannot be read as a network file", capsys, *resume)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--rescale", "none"), ("--edge-strength", "weight"), ("--exponents", "twins"), ("--cap", "2")],
)
def test_fidelity_decides_how_steps_are_read(tmp_path, capsys, option, value):
    message = f"--fidelity decides how steps are read; leave out {option}"
    refused(tmp_path, message, capsys, *SMALL, "--fidelity", option, value, "--out", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_full_disk_leaves_a_run_that_can_go_on(tmp_path, monkeypatch, capsys):
    write, calls = np.savez, []

    def savez(path, **arrays):
        write(path, **arrays)
        calls.append(path)
        if len(calls) == 3:  # the first forecast and the start are kept, the first iteration is not
            os.truncate(path, 1000)
            raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(np, "savez", savez)
    assert run(*LONGER, "--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in (tmp_path / "lnpbrian_checkpoint").iterdir()) == [
        *("checkpoint.npz", "command.json", "forecast_before.npz", "lnpbrian_checkpoint.txt")
    ]
    spec, note = NetworkSpec.load_with_note(tmp_path / "lnpbrian_checkpoint" / "checkpoint.npz")
    assert [record["synapses"] for record in json.loads(note)["state"]["history"]] == [spec.n_synapses]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--version"], f"lnpbrian {cli.__version__}\n"),
        (["-h"], "--install-completion"),
        (["prune", "-h"], "--synapse-sparsity"),
        (["sweep", "-h"], "--redraw"),
    ],
)
def test_version_and_short_help(arguments, shown, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 0
    printed = capsys.readouterr()
    assert shown in printed.out
    assert not printed.err


def test_a_refused_run_leaves_no_folder(tmp_path):
    too_few = ("prune", "--neurons", "50", "--neuron-sparsity", "0.99", "--out", tmp_path / "new" / "run")
    assert run(*too_few) == 2
    assert list(tmp_path.iterdir()) == []
    # What was there stays.
    (tmp_path / "new").mkdir()
    assert run(*too_few) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert list((tmp_path / "new").iterdir()) == []


# ---------------------------------------------------------------------------------------------------------------------
# Images


IMAGES = [
    *("prune", "--task", "digits", "--neurons", "60", "--connection-probability", "0.2", "--iterations", "2"),
    *("--synapse-sparsity", "0.8", "--train-images", "200", "--test-images", "100", "--seed", "2"),
]


def test_images_end_like_every_run(tmp_path):
    assert run(*IMAGES, "--relay", "--out", tmp_path) == 0
    content = json.loads((tmp_path / "run.json").read_text())
    for state in ("before", "after", "uncoupled"):
        one = content[state]
        p = one["accuracy"]
        assert one["accuracy_standard_error"] == pytest.approx(np.sqrt(p * (1 - p) / 100))
        assert np.trace(one["confusion"]) == 100 * p
        assert np.sum(one["confusion"]) == 100
        assert one["energy_joules"] == pytest.approx(0.9e-12 * one["synaptic_operations"])
        assert one["readout_neurons"] == 30
    # Input to half of the neurons, the others read: without synapses all answers are the same.
    assert np.count_nonzero(np.sum(content["uncoupled"]["confusion"], axis=0)) == 1
    assert content["before"]["accuracy"] > 0.3 > content["uncoupled"]["accuracy"]
    assert content["options"]["task"]["train_images"] == 200
    ratio = content["before"]["synaptic_operations"] / content["after"]["synaptic_operations"]
    assert content["ratios"]["synaptic_operations"] == pytest.approx(ratio)
    for figure in ("confusion", "examples", "raster", "history"):
        assert (tmp_path / f"{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_images_are_said_by_networks_that_have_learnt(tmp_path, monkeypatch):
    monkeypatch.setattr("lnpbrian.figures.draw_all", lambda *_: [])
    found = {}
    for training in ("readout", "stdp", "bp"):
        out = tmp_path / training
        assert run(*IMAGES, "--relay", "--read", "0.5", "--training", training, "--out", out) == 0
        found[training] = json.loads((out / "run.json").read_text())
        assert found[training]["options"]["training"] == training
        # Relays without synapses learn nothing: one answer for all.
        assert np.count_nonzero(np.sum(found[training]["uncoupled"]["confusion"], axis=0)) == 1
        assert found[training]["before"]["accuracy"] > 0.3
    for state in ("before", "after"):
        # Weights have changed, and with them rates.
        assert len({found[training][state]["synaptic_operations"] for training in found}) == 3
    # What is written is the network as pruning left it, whatever it learnt afterwards.
    left = [np.load(tmp_path / training / "network.npz")["weights"] for training in ("readout", "bp")]
    np.testing.assert_array_equal(*left)
    assert run("prune", "--training", "bp", "--out", tmp_path / "series") == 2


def test_images_go_on_where_they_were_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr("lnpbrian.figures.draw_all", lambda *_: [])
    assert run(*IMAGES, "--out", tmp_path / "whole") == 0

    def stopped(*_, **__):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lnpbrian.jobs.prune", stopped)
        assert run(*IMAGES, "--out", tmp_path / "part") == 130
    assert (tmp_path / "part" / "lnpbrian_checkpoint" / "images_before.npz").exists()
    used = []
    classify = __import__("lnpbrian.jobs", fromlist=["classify"]).classify
    monkeypatch.setattr("lnpbrian.jobs.classify", lambda *a, **k: used.append(1) or classify(*a, **k))
    assert run("prune", "--resume", tmp_path / "part") == 0
    # After, and without synapses: before is known.
    assert len(used) == 2
    whole, part = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("whole", "part"))
    assert without_times(whole) == without_times(part)
    assert not (tmp_path / "part" / "lnpbrian_checkpoint").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "digits are those of scikit-learn and take no data"),
        (["--task", "fashion"], "fashion comes from files; give the folder"),
        (["--task", "cifar10", "--data", "nowhere"], "'nowhere' does not exist"),
        (["--channels", "edges"], "channels must be one of pixels, patches; got 'edges'"),
        (["--channels", "patches", "--encoder", "poisson"], "patches have answers below zero"),
        (["--train-images", "0"], "--train-images must be a whole number of at least 1"),
        (["--train-images", "4", "--training", "bp"], "a readout needs at least five images to be fitted to, got 4"),
        (["--test-images", "501"], "test must be at most the 500 images"),
        (["--task", "lorenz63"], "are of images, and lorenz63 is a series"),
    ],
)
def test_mistakes_with_images(tmp_path, capsys, arguments, message):
    out = tmp_path / "out"
    assert run(*IMAGES, "--out", out, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists() or not list(out.iterdir())


# ---------------------------------------------------------------------------------------------------------------------
# Pruning a network that a file holds


OF_FILE = [
    *("--iterations", "3", "--windows", "1", "--sample-time", "2", "--synapse-sparsity", "0.5", "--jobs", "1"),
    *("--neuron-sparsity", "0.1", "--steps", "I,II", "--on-unstable", "keep", "--seed", "4"),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A network in a file: no model draws it with these options, and some of its neurons are silent."""
    spec = HRSNN(90, 0.2, parameters=LIFParameters(bias=(1.2, 1.9)), check_rate=False, seed=7).spec
    path = tmp_path_factory.mktemp("saved") / "mine.npz"
    replace(spec, model="mine", alive=np.arange(90) % 9 > 0).save(path)
    return path


@pytest.fixture(scope="module")
def of_file(saved):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lnpbrian.figures.draw_all", lambda *_: [])
        assert run("prune", saved, *OF_FILE, "--out", saved.parent / "whole") == 0
    return saved.parent / "whole"


def test_the_network_of_a_file_is_pruned(saved, of_file):
    content, before = json.loads((of_file / "run.json").read_text()), NetworkSpec.load(saved).compacted()
    assert (content["before"]["neurons"], content["before"]["synapses"]) == (80, before.n_synapses)
    after = NetworkSpec.load(of_file / "network.npz")
    assert (after.n_neurons, after.n_alive, after.model) == (80, 72, "mine")
    assert after.n_synapses == pytest.approx(before.n_synapses / 2, rel=0.05)
    np.testing.assert_array_equal(after.time_constants, before.time_constants)
    # What is left was there.
    pairs = [set(zip(one.pre.tolist(), one.post.tolist(), strict=True)) for one in (before, after)]
    assert pairs[1] < pairs[0]


def test_the_record_names_the_file(saved, of_file):
    text = (of_file / "run.json").read_text()
    command = json.loads(text)["options"]["command"]
    assert command["file"] == "mine.npz"
    assert command["file_digest"] == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert command["neurons"] == 80
    # No folder of the user, and no model that was not used.
    assert str(saved.parent) not in text
    assert not {"model", "connection_probability"} & set(command)
    assert not (of_file / "lnpbrian_checkpoint").exists()


def test_a_run_of_a_file_goes_on_without_it(saved, of_file, tmp_path, monkeypatch, capsys, no_figures):
    mine = shutil.copy(saved, tmp_path / "mine.npz")
    with monkeypatch.context() as patch:
        interrupt(patch, 2)
        assert run("prune", mine, *OF_FILE, "--out", tmp_path / "part") == 130
    mine.unlink()
    refused(
        tmp_path,
        "--resume takes all options from the run; leave out FILE",
        capsys,
        *("prune", saved, "--resume", tmp_path / "part"),
    )
    assert run("prune", "--resume", tmp_path / "part") == 0
    assert (tmp_path / "part" / "network.npz").read_bytes() == (of_file / "network.npz").read_bytes()
    one, other = (json.loads((folder / "run.json").read_text()) for folder in (of_file, tmp_path / "part"))
    assert without_times(one) == without_times(other)
    assert not (tmp_path / "part" / "lnpbrian_checkpoint").exists()


def test_a_run_of_a_file_begins_again_from_its_record(saved, of_file, tmp_path, capsys, no_figures):
    again = ("prune", "--config", of_file / "run.json", "--jobs", 1, "--out", tmp_path / "again")
    refused(tmp_path, "pruned the network of 'mine.npz'; give it too: lnpbrian prune mine.npz --config", capsys, *again)
    assert run(*again, saved) == 0
    assert (tmp_path / "again" / "network.npz").read_bytes() == (of_file / "network.npz").read_bytes()


def test_a_copy_that_was_changed(saved, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        interrupt(patch, 2)
        assert run("prune", saved, *OF_FILE, "--out", tmp_path) == 130
    HRSNN(80, 0.2, check_rate=False).spec.save(tmp_path / "lnpbrian_checkpoint" / "start.npz")
    refused(tmp_path, "is not the network of 'mine.npz' that the run was begun", capsys, "prune", "--resume", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--neurons", "80"], "FILE brings its own network; leave out --neurons"),
        (["--model", "hrsnn"], "FILE brings its own network; leave out --model"),
        (["--connection-probability", "0.1"], "leave out --connection-probability"),
        (["--sample-time", "0.7"], "whole number of steps"),
        (["--synapse-sparsity", "0.1", "--neuron-sparsity", "0.8"], "raise synapse_sparsity"),
    ],
)
def test_what_a_file_leaves_no_choice_of(saved, tmp_path, capsys, arguments, message):
    refused(saved.parent, message, capsys, "prune", saved, *OF_FILE, "--out", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_pruned(saved, of_file, tmp_path, capsys):
    out = ("--out", tmp_path / "out")
    refused(tmp_path, "cannot be read as a network file", capsys, "prune", tmp_path / "none.npz", *out)
    refused(tmp_path, "cannot be read as a network file", capsys, "prune", tmp_path, *out)
    refused(tmp_path, "cannot be read as a network file", capsys, "prune", of_file / "run.json", *out)
    path = of_file / "network.npz"
    refused(of_file, "would replace", capsys, "prune", path, *OF_FILE, "--out", of_file)
    quiet = replace(NetworkSpec.load(saved), bias=np.full(90, -5.0))
    quiet.save(tmp_path / "quiet.npz")
    refused(tmp_path, "fires no spike under noise", capsys, "prune", tmp_path / "quiet.npz", *OF_FILE, *out)
    assert not (tmp_path / "out").exists()


FEW_IMAGES = ("--task", "digits", "--train-images", "20", "--test-images", "10", "--iterations", "1", "--steps", "I")


def test_stdp_needs_a_file_with_plastic_synapses(saved, tmp_path, capsys, no_figures):
    out, training = ("--out", tmp_path / "out"), ("--training", "stdp", "--relay")
    refused(tmp_path, "mine.npz has no plastic synapses", capsys, "prune", saved, *FEW_IMAGES, *training, *out)
    assert not (tmp_path / "out").exists()
    spec = HRSNN(60, 0.2, parameters=LIFParameters.images(), plastic=True, check_rate=False).spec
    spec.save(tmp_path / "plastic.npz")
    assert run("prune", tmp_path / "plastic.npz", *FEW_IMAGES, *training, "--on-unstable", "keep", *out) == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["options"]["training"] == "stdp"
    assert record["before"]["synapses"] == spec.n_synapses
    assert NetworkSpec.load(tmp_path / "out" / "network.npz").plasticity is not None


def test_a_file_whose_steps_do_not_fit_images(saved, tmp_path, capsys, monkeypatch):
    replace(NetworkSpec.load(saved), dt=3e-3).save(tmp_path / "slow.npz")
    arguments = (*FEW_IMAGES, "--training", "bp", "--out", tmp_path / "out")

    def trained(*_, **__):
        raise AssertionError("it may take hours")

    monkeypatch.setattr("lnpbrian.jobs.train_images", trained)
    refused(
        tmp_path, "shown must be a whole number of steps of 3 ms", capsys, "prune", tmp_path / "slow.npz", *arguments
    )
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------------------------------------------------
# Export


def test_export(saved, tmp_path, capsys):
    spec = NetworkSpec.load(saved)
    for out, to in (("a.nir", "nir"), ("folder/b.npz", "csr"), ("c", "csr")):
        for _ in range(2):  # what an export wrote, another replaces
            assert run("export", saved, "--to", to, "--out", tmp_path / out) == 0
    assert "80 neurons (0 silent)" in capsys.readouterr().out
    made = NetworkSpec.from_nir(tmp_path / "a.nir")
    assert made.model == "mine"
    np.testing.assert_array_equal(np.sort(made.weights), np.sort(spec.compacted().weights))
    with np.load(tmp_path / "c.npz") as file:
        assert file["indptr"].size == 81
        np.testing.assert_array_equal(file["neuron"], np.flatnonzero(spec.alive))


@pytest.mark.parametrize("to", ["nir", "csr"])
def test_export_replaces_nothing_of_others(saved, tmp_path, capsys, to):
    shutil.copy(saved, tmp_path / "network.npz")
    np.savez(tmp_path / "data.npz", x=1)
    other = "csr" if to == "nir" else "nir"
    assert run("export", saved, "--to", other, "--out", tmp_path / "export.npz") == 0
    for name in ("network.npz", "data.npz", "export.npz"):
        refused(tmp_path, "may be yours", capsys, "export", saved, "--to", to, "--out", tmp_path / name)


@pytest.mark.parametrize("to", ["nir", "csr"])
def test_export_to_a_folder_is_refused(saved, tmp_path, capsys, monkeypatch, to):
    inner = tmp_path / "here" / "mine"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner.parent)
    for folder in (".", "mine", "mine/", ""):
        refused(tmp_path, "is a folder; name the file", capsys, "export", saved, "--to", to, "--out", folder)


def test_export_refuses_what_a_format_cannot_carry(saved, tmp_path, capsys):
    out = ("--out", tmp_path / "out.nir")
    refused(tmp_path, "to must be one of nir, csr; got 'neuroml'", capsys, "export", saved, "--to", "neuroml", *out)
    refused(tmp_path, "norse cannot hold", capsys, "export", saved, "--to", "nir", "--reader", "norse", *out)
    refused(tmp_path, "is of NIR files", capsys, "export", saved, "--to", "csr", "--reader", "norse", *out)
    between = tmp_path / "between.npz"
    plastic = HRSNN(30, 0.3, plastic=True, check_rate=False).spec
    plastic.with_timing("interpolated").save(between)
    refused(tmp_path, "NIR has no plasticity", capsys, "export", between, "--to", "nir", *out)
    refused(tmp_path, "no interpolated spikes", capsys, "export", between, "--to", "nir", "--fixed", *out)
    assert run("export", between, "--to", "nir", "--fixed", "--grid", *out) == 0
    assert NetworkSpec.from_nir(tmp_path / "out.nir").n_synapses == plastic.n_synapses
