"""Options that are written once: what records, files of options and the command line make of them."""

import inspect
import json
import os
from dataclasses import fields, replace

import numpy as np
import pytest
from brian2 import Quantity, ms, second
from typer.testing import CliRunner

from lnpbrian import cli
from lnpbrian.checks import InvalidInput
from lnpbrian.jobs import PruneJob
from lnpbrian.learning.readout import ReadoutOptions
from lnpbrian.learning.vision.images import IMAGES
from lnpbrian.options import Options, default_of, flags, kind_of, option, options
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import BetweennessPruning, Delocalisation, NoisePruning, TimescaleTuning, paper_steps
from lnpbrian.pruning.steps.noise import NoisePruneOptions
from lnpbrian.records import from_plain, plain

KINDS = (
    *(PruneOptions, NoisePruneOptions, NoisePruning, BetweennessPruning, Delocalisation, TimescaleTuning),
    *(ReadoutOptions, PruneJob),
)
SMALL = [
    *("prune", "--neurons", "60", "--connection-probability", "0.2", "--iterations", "1", "--windows", "1"),
    *("--sample-time", "2", "--synapse-sparsity", "0.8", "--neuron-sparsity", "0.1", "--jobs", "1"),
]
# Where half of the default is out of range, or text means something.
OTHERS = {
    "exponents": 7,
    "steps": "II,I",
    "data": "prices.csv",
    "file": "network.npz",
    "file_digest": 64 * "0",
    "stdp": ("tau_plus", "eta_minus"),
    "rates": (1.5, 80.0),
    "cap": 3.0,
    "edges_per_neuron": 6.5,
    "mean": 2.5,
    "shape": 1.25,
    "connection_probability": 0.3,
    "fraction": 0.25,
    "train_images": 40,
    "test_images": 30,
}
# Options that no series has.
OF_IMAGES = ("channels", "relay", "training", "train_images", "test_images")


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(a) for a in arguments])
    return exit_.value.code


def other_values(one):
    """Values of an option that are not its default, each of which it may have."""
    value = default_of(one)
    if one.metadata["choices"]:
        # Some series and images are read from a file.
        return [c for c in one.metadata["choices"] if c not in (value, "google", "wind", *IMAGES[1:])]
    if kind_of(one) == "bool":
        return [not value]
    if isinstance(value, Quantity):
        return [1.5 * value, value / 4]
    if one.name in OTHERS:
        return [OTHERS[one.name]]
    return [value + 1] if kind_of(one) == "int" else [value / 2 if value else 0.5]


def declared():
    return [
        pytest.param(kind, one, id=f"{kind.__name__}.{one.name}")
        for kind in KINDS
        for one in fields(kind)
        if one.metadata.get("recorded") and (kind, one.name) != (PruneJob, "data")
    ]


@pytest.mark.parametrize(("kind", "one"), declared())
def test_every_option_comes_back_from_a_record(kind, one):
    for value in other_values(one):
        also = {"cap": 2.0} if value == "capped" else {"task": "digits"} if one.name in OF_IMAGES else {}
        made = kind(**{one.name: value}, **also)
        assert made != kind(**also)
        read = from_plain(kind, json.loads(json.dumps(plain(made), allow_nan=False)))
        assert read == made
        assert repr(read) == repr(made)
    # Of those that may be None, None.
    if default_of(one) is None or "None" in str(one.type):
        none = kind(**{one.name: None})
        assert from_plain(kind, json.loads(json.dumps(plain(none)))) == none


def test_fidelity_sets_steps_input_readout_and_iterations():
    job = PruneJob.fidelity()
    assert (job.encoder, job.readout.kind, job.readout.fraction, job.pruning.iterations) == ("poisson", "mlp", 0.1, 100)
    assert job.chosen_steps == paper_steps()
    assert job.delocalisation.exclude == PruneJob().delocalisation.exclude == "original"


def test_what_is_made_of_options_comes_back():
    job = PruneJob.fidelity()
    job = replace(
        job,
        readout=replace(job.readout, filter_time=0.0175 * second, kind="mlp"),
        pruning=replace(job.pruning, rates=(0.5, 99)),
        tuning=replace(job.tuning, stdp=["tau_plus"], duration=50 * ms),
    )
    assert from_plain(PruneJob, json.loads(json.dumps(plain(job)))) == job != PruneJob.fidelity()
    # What is not said has its default; nothing at all is the default.
    assert from_plain(PruneJob, {}) == PruneJob()
    assert from_plain(PruneJob, {"pruning": {"iterations": 3}}) == PruneJob(pruning=PruneOptions(iterations=3))


@pytest.mark.parametrize(
    ("kind", "name", "given", "held"),
    [
        (PruneOptions, "iterations", 3.0, 3),
        (PruneOptions, "iterations", np.int64(3), 3),
        (PruneOptions, "realisations", np.float32(2), 2),
        (PruneOptions, "perturbation", np.float64(0.5), 0.5),
        (PruneOptions, "exponent_growth", 1, 1.0),
        (PruneOptions, "rates", [0, np.int64(50)], (0.0, 50.0)),
        (PruneOptions, "rates", np.array([0.0, 50.0]), (0.0, 50.0)),
        (TimescaleTuning, "stdp", ["tau_plus"], ("tau_plus",)),
    ],
)
def test_an_option_is_held_in_its_type(kind, name, given, held):
    found = getattr(kind(**{name: given}), name)
    assert repr(found) == repr(held)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PruneOptions(iterations=2.5), "iterations must be a whole number of at least 1, got 2.5"),
        (lambda: PruneOptions(iterations=True), "iterations must be a whole number"),
        (lambda: PruneOptions(rates=("1", "50")), "rates must be an array of float"),
        (lambda: PruneOptions(rates=(50, 1)), r"rates must be \(lower, upper\)"),
        (lambda: PruneOptions(rates=5), r"rates must have shape \(2,\)"),
        (lambda: PruneOptions(exponents=None), "exponents must be one of"),
        (lambda: PruneOptions(perturbation=10**400), "perturbation must be a number"),
        (lambda: NoisePruning(signed=1), "signed must be True or False, got 1"),
        (lambda: NoisePruning(signed="false"), "signed must be True or False"),
        (lambda: TimescaleTuning(stdp=3), "stdp must be a sequence of texts, got 3"),
        (lambda: TimescaleTuning(stdp="tau_plus"), "stdp must be a sequence of texts"),
        (lambda: TimescaleTuning(stdp=("tau",)), "stdp must be one of"),
        (lambda: PruneJob(steps=["I", "II"]), "steps must be text, got"),
        (lambda: PruneJob(data=3), "data must be text, got 3"),
        (lambda: PruneJob(pruning=None), r"pruning must be a PruneOptions, got NoneType; use PruneOptions\(...\)"),
        (lambda: PruneJob(noise=NoisePruneOptions()), "noise must be a NoisePruning, got NoisePruneOptions"),
    ],
)
def test_values_that_do_not_fit(make, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------------------------------------------------------
# Flags


@options
class Soup(Options):
    """A bowl of soup."""

    spoons: int = option(default=1, help="Spoons.", flag="spoons")
    hot: bool = option(default=False, help="Whether it is hot.", flag="hot")
    taste: str = option(default="as it is", help="Taste.", choices=("as it is", "salt-free"), flag="taste")
    wait: Quantity = option(default=2 * ms, help="Wait.", flag="wait")
    hidden: float = option(default=0.5, help="Nobody sees it.")


def test_flags_are_what_the_fields_say():
    given = Soup().with_flags({"spoons": 3.0, "hot": True, "taste": "as-it-is", "wait": 4.0, "hidden": 7, "else": 1})
    assert given == Soup(spoons=3, hot=True, wait=4 * ms)
    assert isinstance(given.spoons, int)
    assert Soup().with_flags({"taste": "salt-free"}).taste == "salt-free"
    assert Soup(hot=True).with_flags({"hot": False}) == Soup(hot=False)
    assert Soup(hot=True, spoons=2).with_flags({"hot": None, "spoons": None}) == Soup(hot=True, spoons=2)
    with pytest.raises(InvalidInput, match=r"spoons must be a whole number of at least 1, got 3.5"):
        Soup().with_flags({"spoons": 3.5})
    with pytest.raises(InvalidInput, match="wait"):
        Soup().with_flags({"wait": float("nan")})


def test_one_flag_reaches_all_that_have_it():
    job = PruneJob().with_flags({"excitability": "keep", "sample-time": 6.0, "on-unstable": "roll-back"})
    steps = (job.noise, job.betweenness, job.delocalisation, job.tuning)
    assert [step.excitability for step in steps] == ["keep"] * 4
    assert job == PruneJob(
        readout=ReadoutOptions(sample_time=6 * ms),
        noise=NoisePruning(excitability="keep"),
        betweenness=BetweennessPruning(excitability="keep"),
        delocalisation=Delocalisation(excitability="keep"),
        tuning=TimescaleTuning(excitability="keep"),
    )


def test_help_tells_every_choice_and_default():
    names = [flag for flag, _ in flags(PruneJob)]
    assert len(names) == len(set(names)) > 25
    said = CliRunner().invoke(cli.app, ["prune", "--help"], env={"COLUMNS": "300"}).output
    said = " ".join(said.split())
    # A flag that takes no value is followed by its help.
    places = {
        flag: said.index(f" --{flag} {one.metadata['help'] if kind_of(one) == 'bool' else '<'}")
        for flag, one in flags(PruneJob)
    }
    begins = list(places.values())
    for flag, one in flags(PruneJob):
        begin = places[flag]
        text = said[begin : min([b for b in begins if b > begin], default=said.index(" --fidelity "))]
        # Long words are broken at their hyphens.
        text = text.replace("- ", "-")
        for choice in one.metadata["choices"]:
            assert choice in text, flag
        default = default_of(one)
        if default is not None and kind_of(one) != "bool":
            shown = float(default / ms) if isinstance(default, Quantity) else default
            assert f"[default: {shown}]" in text, flag
        assert ("In ms." in text) == (kind_of(one) == "Quantity")


@pytest.mark.parametrize("kind", KINDS)
def test_docstrings_tell_every_option(kind):
    text = inspect.getdoc(kind)
    for one in fields(kind):
        assert f"\n{one.name} : " in text
        for choice in one.metadata.get("choices", ()):
            assert f'"{choice}"' in text


# ---------------------------------------------------------------------------------------------------------------------
# Files of options


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run with options that no flag is there for."""
    folder = tmp_path_factory.mktemp("finished")
    first = folder / "first.toml"
    first.write_text(
        'steps = "II,I,III"\n[pruning]\nobservation_ms = 200.0\nexponent_duration_ms = 40\nrates = [0, 500]\n'
        "[noise]\nsigned = true\n[delocalisation]\nedges_per_neuron = 3\n[readout]\norder = 3\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lnpbrian.figures.draw_all", lambda *_: [])
        assert run(*SMALL, "--seed", 3, "--config", first, "--out", folder / "run") == 0
    return folder / "run"


def test_a_run_starts_from_the_record_of_another(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("lnpbrian.figures.draw_all", lambda *_: [])
    record = json.loads((finished / "run.json").read_text())
    job = PruneJob.from_record(finished / "run.json")
    assert (job.pruning.observation, job.noise.signed, job.readout.order, job.neurons) == (200 * ms, True, 3, 60)
    assert run("prune", "--config", finished / "run.json", "--jobs", 1, "--out", tmp_path / "again") == 0
    assert (tmp_path / "again" / "network.npz").read_bytes() == (finished / "network.npz").read_bytes()
    again = json.loads((tmp_path / "again" / "run.json").read_text())
    assert again["options"] == record["options"]
    assert again["after"] == record["after"]
    # Flags are heard after the record.
    assert run("prune", "--config", finished / "run.json", "--seed", 4, "--jobs", 1, "--out", tmp_path / "other") == 0
    other = json.loads((tmp_path / "other" / "run.json").read_text())["options"]["command"]
    assert other == record["options"]["command"] | {"seed": 4}
    assert (tmp_path / "other" / "network.npz").read_bytes() != (finished / "network.npz").read_bytes()


def refused(path, message, capsys):
    """Be refused in one line, and find nothing written."""
    out = path.parent / "out"
    assert run(*SMALL, "--config", path, "--out", out) == 2
    said = capsys.readouterr()
    assert said.err.startswith("lnpbrian: ")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not said.out
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"neuron": 80}, "has no option 'neuron'; did you mean 'neurons'?"),
        ({"zzz": 80}, "has no option 'zzz'; known are model, neurons"),
        ({"pruning": {"observation": 80}}, "pruning has no option 'observation'; did you mean 'observation_ms'?"),
        ({"pruning": {"iterations_ms": 80}}, "pruning has no option 'iterations_ms'; did you mean 'iterations'?"),
        ({"pruning": {"observation_ms": "80"}}, "observation_ms must be a number in"),
        ({"pruning": {"observation_ms": None}}, "observation_ms must be a number in"),
        ({"pruning": {"observation_ms": -80}}, "observation"),
        ({"pruning": {"rates": [1]}}, "rates must have shape (2,)"),
        ({"pruning": {"rates": ["1", "2"]}}, "rates must be an array of float"),
        ({"pruning": {"rates": "1, 2"}}, "rates must be an array of float"),
        ({"pruning": {"iterations": {"a": 1}}}, "iterations must be a whole number"),
        ({"pruning": {"iterations": [3]}}, "iterations must be a whole number"),
        ({"pruning": {"exponent_growth": float("nan")}}, "exponent_growth must be a number"),
        ({"pruning": {"exponents": ["twins"]}}, "exponents must be one of"),
        ({"pruning": [1]}, "pruning must be a table of options, got [1]"),
        ({"pruning": None}, "pruning must be a table of options, got None"),
        ({"tuning": {"reference": "a.npz"}}, "tuning has no option 'reference'"),
        ({"tuning": {"stdp": 3}}, "stdp must be a sequence of texts, got 3"),
        ({"tuning": {"mean": 1, "shape": 1}}, "nothing to search"),
        ({"noise": {"rescale": "capped"}}, "needs cap"),
        ({"noise": {"signed": "no"}}, "signed must be True or False, got 'no'"),
        ({"noise": {"cap": 10**400}}, "cap must be a number"),
        ({"data": {}}, "data must be text, got {}"),
        ({"steps": ["I", "II"]}, "steps must be text, got ('I', 'II')"),
        ({"steps": "I,V"}, "steps must be one of I, II, III, IV; got 'V'"),
        ({"model": None}, "model must be one of hrsnn, chrsnn, mrsnn; got None"),
        ({"readout": {"sample_time_ms": True}}, "sample_time_ms must be a number"),
        ([], "must be a table of options, got []"),
        (None, "must be a table of options, got None"),
        ("prune", "must be a table of options, got 'prune'"),
        ({"versions": {}}, "is not the run.json of lnpbrian prune"),
        ({"versions": {}, "options": []}, "is not the run.json of lnpbrian prune"),
        ({"versions": {}, "options": {"command": None}}, "must be a table of options, got None"),
    ],
)
def test_records_that_are_wrong(tmp_path, capsys, content, message):
    path = tmp_path / "options.json"
    path.write_text(json.dumps(content))
    refused(path, message, capsys)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", b"[prunning]\niterations = 3\n", "has no option 'prunning'; did you mean 'pruning'?"),
        ("a.toml", b"[pruning.noise]\nsigned = true\n", "pruning has no option 'noise'"),
        ("a.toml", b"seed = 1979-05-27\n", "seed must be a whole number"),
        ("a.toml", b"seed =\n", "cannot be read ("),
        ("a.toml", b'{"seed": 3}', "cannot be read ("),
        ("a.json", b"seed = 3", "cannot be read ("),
        ("a.json", b"", "cannot be read ("),
        ("a.json", b"\x89PNG\r\n\x1a\n\xff\x00", "cannot be read ("),
        ("a.toml", b"\x89PNG\r\n\x1a\n\xff\x00", "cannot be read ("),
        ("a.json", b"[" * 100_000, "cannot be read ("),
        ("a.json", b'{"a": "' + b"x" * 20, "cannot be read ("),
    ],
)
def test_files_that_are_no_record(tmp_path, capsys, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, message, capsys)


def test_what_is_no_file(tmp_path, capsys):
    refused(tmp_path / "none.json", "cannot be read (", capsys)
    (tmp_path / "folder").mkdir()
    refused(tmp_path / "folder", "is no file; give a run.json, or a TOML file of the same keys", capsys)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.json")
        refused(tmp_path / "pipe.json", "is no file", capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        *(("--centrality", "degree"), ("--exclude", "pruned"), ("--edge-rule", "random")),
        *(("--diagonal", "shift"), ("--neighbours", "in"), ("--excitability", "auto")),
    ],
)
def test_no_flag_changes_the_reading_of_the_paper(tmp_path, capsys, arguments):
    assert run(*SMALL, "--fidelity", *arguments, "--out", tmp_path / "out") == 2
    assert f"--fidelity decides how steps are read; leave out {arguments[0]}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
