"""Training on images: what learns and what does not, the same network in JAX and in the loop, and table 1."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms
from experiment_runs import TINY, run

from lnpbrian.checks import InvalidInput
from lnpbrian.experiments.common.plan import Plan
from lnpbrian.experiments.paper import table1
from lnpbrian.learning import bptt
from lnpbrian.learning.vision.classification import classify, read_images
from lnpbrian.learning.vision.image_input import ImageInput, Presentation, pixel_channels, spike_counts
from lnpbrian.learning.vision.image_training import ImageBPOptions, _Trainer, train_images_bp, train_images_stdp
from lnpbrian.learning.vision.images import image_task
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.streams import Streams

SHORT = Presentation(shown=50 * ms, silence=20 * ms)


@pytest.fixture(scope="module")
def bed():
    task = image_task("digits", train=300, test=200)
    spec = HRSNN(60, 0.2, parameters=LIFParameters.images(), plastic=True, check_rate=False, seed=1).spec
    source = ImageInput.draw(60, 64, rng=Streams(1).rng("input"), scale=3.0, fraction=0.5)
    return task, pixel_channels(task), spec, source, read_images(spec, source, fraction=0.3)


def test_forward_pass_in_jax_counts_as_the_loop(bed):
    task, (x, _), spec, source, read = bed
    spec = replace(spec, dt=5e-3)
    fixed = bptt._static(spec, "float32", 10.0)
    rng = np.random.default_rng(0)
    trainer = _Trainer(fixed, spec, source, task, read, ImageBPOptions(), SHORT.steps(5e-3), rng)
    counts = trainer.answers(x[:50].astype(np.float32))[1]
    expected = spike_counts(spec, source, x[:50], presentation=SHORT)
    # The surrogate leaves a rounding error; single precision moves a spike to another step now and then.
    assert (counts.round() == expected).mean() > 0.995
    assert expected.sum() > 1000


def test_bp_learns_and_keeps_the_graph(bed):
    task, channels, spec, source, read = bed
    results = {
        part: train_images_bp(
            spec, source, task, channels, read=read, presentation=SHORT, rng=np.random.default_rng(0),
            options=ImageBPOptions(
                train=part, epochs=12, batch=50, readout_rate=0.02, input_rate=0.01, recurrent_rate=0.003
            ),
        )
        for part in ("readout", "all")
    }  # fmt: skip
    readout, everything = results["readout"], results["all"]
    # Only the readout has changed, up to single precision.
    assert readout.spec.weights == pytest.approx(spec.weights, rel=1e-6)
    assert readout.source.weights == pytest.approx(source.weights, rel=1e-6)
    assert everything.losses[-1] < 0.7 * everything.losses[0]
    assert everything.accuracy > readout.accuracy + 3 * readout.accuracy_standard_error
    # No synapse is new, none has changed its sign, and neurons without input have none.
    assert (everything.spec.pre == spec.pre).all()
    assert (everything.spec.weights * spec.weights >= 0).all()
    assert not everything.source.weights[source.weights == 0].any()
    assert abs(everything.spec.weights - spec.weights).max() > 1e-4
    # What was learnt at steps of 5 ms holds at 1 ms, with a readout of its own.
    before, after = (
        classify(s, i, task, channels, read=read, presentation=SHORT)
        for s, i in ((spec, source), (everything.spec, everything.source))
    )
    assert after.accuracy > before.accuracy + 2 * before.accuracy_standard_error


def test_bp_without_synapses_and_what_it_refuses(bed):
    task, channels, spec, source, read = bed
    few = {"read": read, "rng": np.random.default_rng(0), "options": ImageBPOptions(epochs=1, batch=100)}
    alone = train_images_bp(spec.uncoupled(), source, task, channels, presentation=SHORT, **few)
    # Relay: nothing that is read depends on the image.
    assert len(set(alone.predicted)) == 1
    assert alone.synaptic_operations == 0
    with pytest.raises(InvalidInput, match="no gradient"):
        train_images_bp(spec, replace(source, mode="poisson"), task, channels, **few)
    with pytest.raises(InvalidInput, match="delays"):
        train_images_bp(replace(spec, delays=np.full(spec.n_synapses, 0.002)), source, task, channels, **few)


def test_stdp_learns_from_images_without_labels(bed):
    _, (x, _), spec, source, _ = bed
    learnt = train_images_stdp(spec, source, x[:4], presentation=Presentation(shown=20 * ms, silence=20 * ms))
    assert learnt.mean_change > 0
    assert (np.sign(learnt.spec.weights) == np.sign(spec.weights)).all()
    with pytest.raises(InvalidInput, match="as currents"):
        train_images_stdp(spec, replace(source, mode="poisson"), x[:4])
    with pytest.raises(InvalidInput, match="equal times"):
        train_images_stdp(spec, source, x[:4], presentation=SHORT)


def test_table1_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(table1, "MODELS", {"HRSNN": HRSNN})
    monkeypatch.setattr(table1, "TRAININGS", ("readout", "BP"))
    few = {"train": 60, "test": 40, "stdp": 3, "bp": 40, "epochs": 1, "batch": 20}
    monkeypatch.setattr(table1, "amounts", lambda plan: few)
    content, tables = run(table1, Plan(replace(TINY, seeds=1), {}), tmp_path)
    assert len(content["rows"]) == 6 + 6 * 2
    rows = {(r["protocol"], r["method"], r["training"]): r for r in content["rows"]}
    lnp, full = (rows["relay", method, "readout"] for method in ("LNP", "unpruned"))
    assert lnp["synaptic_operations"] < full["synaptic_operations"]
    assert rows["all", "uncoupled", "readout"]["synaptic_operations"] == 0
    assert rows["relay", "uncoupled", "readout"]["accuracy"] <= rows["relay", "uncoupled", "readout"]["chance"]
    # The same neurons are read in networks that are compared.
    assert (
        len({rows["relay", m, "readout"]["readout_neurons"] for m in ("unpruned", "LNP", "random", "magnitude")}) == 1
    )
    assert rows["relay", "AP", "readout"]["synaptic_operations"] < 1.5 * lnp["synaptic_operations"]
    assert [c["features"] for c in content["controls"]] == [64, 60, 400]
    reported = {(r["method"], r["training"]): r["paper"] for r in content["table"]}
    assert reported["LNP", "BP"] == {"cifar10": 92.37, "operation_ratio": 35.67}
    assert reported["random", "BP"] is None
    assert list(tables)[2:] == ["Without a network", "Claims"]
