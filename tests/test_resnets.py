"""Spiking ResNets from the command line and in experiments: the whole way at a size that takes seconds."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lnpbrian import cli
from lnpbrian.experiments.common.plan import SCALES, Plan
from lnpbrian.experiments.paper import table8, table8_resnet19, table9
from lnpbrian.experiments.studies import resnet_edges
from lnpbrian.models.resnet import SpikingResNet
from lnpbrian.pruning.channels import erk_masks
from lnpbrian.resnets import ResNetJob, image_arrays
from lnpbrian.streams import Streams

pytest.importorskip("jax")


def row(way, seed, accuracy, *, start="random", operations=1000.0, n=400):
    """Return the record of a network that is right about the first images."""
    correct = np.arange(n) < accuracy * n
    return {
        "layout": "resnet8",
        "start": start,
        "way": way,
        "seed": seed,
        "accuracy": accuracy,
        "standard_error": 0.02,
        "correct": "".join("01"[int(c)] for c in correct),
        "synaptic_operations": operations,
        "stem_macs": 10.0,
        "sparsity": {"channels": 0.0, "neurons": 0.0, "weights": 0.95},
    }


def quiet(fraction, what):
    """Tell nobody how far it is."""


def test_command_trains_prunes_and_goes_on(tmp_path, capsys):
    arguments = ["resnet", "--width", "0.0625", "--images", "64", "--epochs", "1", "--time-steps", "2"]
    arguments += ["--method", "erk", "--sparsity", "0.9", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as done:
        cli.main(arguments)
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "synaptic operations an image" in shown
    record = json.loads((tmp_path / "run.json").read_text())
    network = SpikingResNet.load(tmp_path / "network.npz")
    assert network.kept == record["pruned"]["weights"] == round(0.1 * network.prunable)
    x = image_arrays(most=64).x_test
    assert network.operations(x).synaptic == pytest.approx(record["pruned"]["synaptic_operations"], rel=1e-6)
    # Again: both trainings are read from their checkpoints, and the same comes out.
    with pytest.raises(SystemExit) as done:
        cli.main(arguments)
    assert done.value.code == 0
    again = json.loads((tmp_path / "run.json").read_text())
    assert again["pruned"] == record["pruned"]


@pytest.mark.parametrize("when", ["the record is written", "the network is written"])
def test_a_run_killed_at_its_end_goes_on(when, tmp_path, capsys, monkeypatch):
    arguments = ["resnet", "--width", "0.0625", "--images", "64", "--epochs", "1", "--time-steps", "2"]
    arguments += ["--method", "uniform", "--out", str(tmp_path)]

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        where = (cli, "write_json") if when == "the record is written" else (SpikingResNet, "save")
        patched.setattr(*where, killed)
        with pytest.raises(SystemExit) as done:
            cli.main(arguments)
        assert done.value.code == 130
    assert not (tmp_path / "network.npz").exists()
    with pytest.raises(SystemExit) as done:
        cli.main(arguments)
    assert done.value.code == 0, capsys.readouterr().err
    record = json.loads((tmp_path / "run.json").read_text())
    assert SpikingResNet.load(tmp_path / "network.npz").kept == record["pruned"]["weights"]
    # A network that no record accounts for is somebody's.
    (tmp_path / "run.json").unlink()
    with pytest.raises(SystemExit) as done:
        cli.main(arguments)
    assert done.value.code == 2
    assert "holds a network.npz that may be yours" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "cifar10"], "cifar10 comes from files; give the folder of its data_batch_1"),
        (["--steps", "V"], "steps must be one of I, II, III, IV"),
        (["--start", "converted", "--per", "operation"], "leave out step IV and --per"),
        (["--method", "lottery"], "--method must be one of lnp, imp"),
        (["--time-steps", "0"], "--time-steps must be a whole number of at least 1, got 0"),
        (["--sparsity", "1"], "--sparsity must be a number in [0, 1), got 1.0"),
        (["--task", "lorenz63"], "--task must be one of digits, fashion"),
    ],
)
def test_refusals_are_one_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(["resnet", *arguments, "--out", str(tmp_path)])
    assert done.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_images_are_read_and_averaged_down(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    y = np.array([0, 1, 2, 3], np.uint8)
    np.savez(tmp_path / "four.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    task = image_arrays("cifar10", tmp_path / "four.npz", size=16)
    first = np.flatnonzero(task.y_train == 1)[0]
    expected = x[1, 4:6, 6:8].reshape(4, 3).mean(0) / 255
    np.testing.assert_allclose(task.x_train[first, 2, 3], expected, rtol=1e-6)
    # At most as many pixels as asked for.
    assert image_arrays("cifar10", tmp_path / "four.npz", size=20).x_test.shape[1:] == (16, 16, 3)
    half = task.of_classes(range(2, 4))
    assert sorted(half.y_test) == [0, 1]
    np.testing.assert_array_equal(half.x_test, task.x_test[task.y_test >= 2])


def test_control_at_equal_operations_costs_as_much():
    job = ResNetJob(width=1 / 8, steps=2, seed=1)
    images = image_arrays(most=64)
    fresh = job.network(images)
    other = fresh.with_masks(erk_masks(fresh, fresh.prunable // 7, rng=Streams(9).rng("other")))
    made = table8.at_equal_operations(job, fresh, other)
    # Of the same kind of mask, so that it needs as many weights, too: the spread of a sum over some thousand draws.
    assert made.kept == pytest.approx(other.kept, rel=0.05)


def test_errors_of_differences_are_those_of_other_seeds_and_other_images():
    """Seeds and images drawn anew each time: the spread of the differences is the error that is told."""
    rng = np.random.default_rng(0)
    seeds, images, differences, errors = 4, 200, [], []
    for _ in range(300):
        hard = rng.uniform(-0.3, 0.3, images)
        rows = []
        for seed in range(seeds):
            good = rng.normal(0, 0.03)
            for way, better in (("LNP", 0.05 + good), ("ERK", 0.0)):
                # Some images suit one way: what makes the choice of images matter for a difference.
                p = np.clip(0.5 + hard * (1 if way == "LNP" else -1) + better, 0, 1)
                right = "".join("01"[int(x)] for x in rng.uniform(size=images) < p)
                rows.append(row(way, seed, 0.5) | {"correct": right})
        d, error = table8.difference(rows, "resnet8", "random", "LNP", "ERK")
        differences.append(d)
        errors.append(error**2)
    assert np.mean(differences) == pytest.approx(5, abs=0.7)
    # Relative error of a standard deviation of 300: 4 %; that of the sum of both errors would be 1.2 times too large.
    assert np.sqrt(np.mean(errors)) == pytest.approx(np.std(differences), rel=0.1)
    one, error = table8.difference([r for r in rows if r["seed"] == 0], "resnet8", "random", "LNP", "ERK")
    bits = [np.array([c == "1" for c in r["correct"]], float) for r in rows[:2]]
    assert one == pytest.approx(100 * (bits[0] - bits[1]).mean())
    assert error == pytest.approx(100 * (bits[0] - bits[1]).std(ddof=1) / np.sqrt(images))


def test_tables_and_claims():
    ways = [(start, way) for start, each in table8.WAYS.items() for way in each]
    accuracy = {"dense": 0.5, "LNP": 0.42, "ERK": 0.42, "IMP": 0.48}
    rows = [
        row(way, seed, accuracy.get(way, 0.4), start=start, operations=1e6 if way == "dense" else 1e5)
        for start, way in ways
        for seed in (0, 1)
    ]
    table, claims = table8.table_of(rows), table8.claims(rows)
    lnp = next(r for r in table if (r["start"], r["way"]) == ("random", "LNP"))
    assert lnp["ratio"] == pytest.approx(10)
    assert lnp["loss"][0] == pytest.approx(0.08)
    assert [c["verdict"] for c in claims] == ["held", "not held", "held", "not held"]
    shown = table8.tables({"table": table})
    assert {len(line) for line in shown["resnet8, random"]} == {10}
    # No line of a method without its ratio of operations.
    assert all(line[5] for lines in shown.values() for line in lines[1:])
    table8.draw({"table": table})


def test_readings_of_an_edge_are_compared_with_what_costs_more(monkeypatch):
    # Without training, which is not what is looked at.
    monkeypatch.setattr(
        ResNetJob, "finished", lambda job, net, task, **_: job.scored(net.calibrate(task.x_train[:64]), task)
    )
    plan = Plan(replace(SCALES["smoke"], seeds=1), {})
    (seed,) = {seed for _, seed in resnet_edges.tasks(plan)}
    made = {way: task for (way, _), task in resnet_edges.tasks(plan).items()}
    # Nothing but the method tells the second control from what is tested.
    jobs = {way: dict(task.options["job"]) for way, task in made.items()}
    assert jobs[resnet_edges.LNP] | {"method": "erk"} == jobs[resnet_edges.CHEAP]
    assert seed == jobs[resnet_edges.LNP]["seed"] == resnet_edges.FIRST_SEED
    lnp = table8.measured(made[resnet_edges.LNP].options, report=quiet)
    assert made[resnet_edges.ERK].needs == (made[resnet_edges.LNP],)
    results = {
        (resnet_edges.LNP, seed): lnp,
        (resnet_edges.ERK, seed): table8.measured(made[resnet_edges.ERK].options, lnp, report=quiet),
        (resnet_edges.CHEAP, seed): table8.measured(made[resnet_edges.CHEAP].options, report=quiet),
    }
    weights = {way: result.record["rows"][0]["weights"] for (way, _), result in results.items()}
    assert weights[resnet_edges.LNP] == weights[resnet_edges.CHEAP] > weights[resnet_edges.ERK]
    content = resnet_edges.summarise(plan, results)
    assert [r["way"] for r in content["table"]] == [resnet_edges.LNP, resnet_edges.ERK, resnet_edges.CHEAP]
    assert {len(line) for line in resnet_edges.tables(content)["digits"]} == {5}
    resnet_edges.draw(content)


def test_masks_go_between_all_sets_that_have_files(tmp_path):
    """Images of both sets have other shapes and channels; masks of kernels do not."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8), np.arange(40, dtype=np.uint8) % 10
    np.savez(tmp_path / "grey.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    x = rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "colours.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    files = {"cifar10": str(tmp_path / "colours.npz"), "fashion": str(tmp_path / "grey.npz")}
    plan = Plan(replace(SCALES["smoke"], seeds=1), files)
    made = table9.tasks(plan)
    # One set is not another's: of the first that is given are the halves, and table 8.
    assert "images" not in table8.images_of(plan)
    assert table8.images_of(Plan(plan.scale, {"fashion": files["fashion"]}))["images"] == "fashion"
    assert table9.transfers(plan) == [table9.HALVES, ("fashion", "cifar10"), ("cifar10", "fashion")]
    found = table8.measured(made["IMP", "fashion", 0].options, report=quiet)
    carried = made["IMP, from fashion", "cifar10", 0]
    assert carried.needs == (made["IMP", "fashion", 0],)
    after = table9.transferred(carried.options, found, report=quiet)
    masks = [SpikingResNet.from_arrays(result.arrays).masks for result in (found, after)]
    assert all(np.array_equal(masks[0][name], masks[1][name]) for name in masks[0])
    # Trained on the target: what it is right about are that set's images.
    (line,) = after.record["rows"]
    assert (line["images"], len(line["correct"])) == ("cifar10", 40)


def test_claims_of_masks_compare_on_the_images_of_the_target():
    accuracies = {"dense": 0.6, "LNP": 0.5, "ERK": 0.5, "IMP": 0.55, "IMP, from a": 0.4}
    rows = [
        row(way, seed, value + (0.1 if target == "a" else 0)) | {"target": target, "images": f"{target}, all"}
        for target in "ab"
        for way, value in accuracies.items()
        for seed in (0, 1)
        if (way, target) != ("IMP, from a", "a")
    ]
    better, close, _, than_erk = table9.claims(rows, [("a", "b")])
    assert better["parts"] == [{"found": "a to b: +10.0 ± 1.5 points", "held": True}]
    assert (close["verdict"], than_erk["verdict"]) == ("not held", "not held")


def test_experiments_share_what_they_can():
    plan = Plan(replace(SCALES["smoke"], seeds=1), {})
    source = table9.tasks(plan)["IMP", "first half", 0]
    carried = table9.tasks(plan)["IMP, from first half", "second half", 0]
    assert carried.needs == (source,)
    assert source.options["classes"] == "first" != carried.options["classes"]
    deeper = table8_resnet19.tasks(plan)
    assert {(layout, task.options["job"]["layout"]) for (layout, *_), task in deeper.items()} == {("resnet19",) * 2}
    assert len(deeper) == len(table8.tasks(plan))
    converted = table8.tasks(plan)["resnet8", "converted", "LNP", 0]
    assert converted.needs == (table8.tasks(plan)["resnet8", "converted", "dense", 0],)
