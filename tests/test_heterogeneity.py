"""The study of heterogeneous against homogeneous networks: what it compares, what it says, and a small run."""

import numpy as np
import pytest
from experiment_runs import TINY, numpy_target, run  # noqa: F401

from lnpbrian.experiments.common.plan import SCALES, Plan
from lnpbrian.experiments.studies import heterogeneity
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.sweep import Result

pytestmark = pytest.mark.usefixtures("numpy_target")

SCORES = heterogeneity.SCORES


def made_up(value):
    """Results of which `value` says the score of a kind and a seed."""
    plan = Plan(TINY, {})
    made = {}
    for neurons, kind, pruning, seed in heterogeneity.tasks(plan):
        row = {"neurons": neurons, "kind": kind, "pruning": pruning, "seed": seed, "factor": 1.0, "mean_ms": 20.0}
        row |= dict.fromkeys(("mean_rate_hz", "time_constant_mean_ms", "time_constant_sd_ms", "operations"), 1.0)
        row |= {name: value(kind, seed) for name in SCORES}
        made[neurons, kind, pruning, seed] = Result({"rows": [row]})
    return plan, made


def test_what_is_tried_is_tried_on_other_networks_and_the_same_for_both():
    plan = Plan(SCALES["medium"], {})
    tasks = heterogeneity.tasks(plan)
    assert len(tasks) == 3 * 2 * 8
    for (_, kind, _, _), task in tasks.items():
        tried = {(need.options["factor"], need.options["mean_ms"]) for need in task.needs}
        assert len(tried) == 9
        assert {need.options["kind"] for need in task.needs} == {kind[-5:]}
        assert task.options["seed"] not in {need.options["seed"] for need in task.needs}
        assert {need.options["pruning"] for need in task.needs} == {task.options["pruning"]}


def test_the_claim_has_a_direction():
    # Of errors less is better, of capacities more.
    found = heterogeneity.summarise(*made_up(lambda kind, seed: seed % 3 + (kind == "HRSNN")))
    parts = {part["found"].partition(",")[0]: part["held"] for part in found["claims"][0]["parts"]}
    assert parts == {name: name in ("memory", "capacity") for name in SCORES}
    (line,) = [r for r in found["table"] if (r["kind"], r["pruning"]) == ("MRSNN", "LNP")]
    assert line["HRSNN is better by"]["capacity"] == pytest.approx([1, 0])


def test_heterogeneity_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(heterogeneity, "SCORES", ("memory", "capacity", "mackey_glass_30"))
    content, tables = run(heterogeneity, Plan(TINY, {}), tmp_path)
    one, other, same = ([r for r in content["rows"] if r["kind"] == kind] for kind in heterogeneity.MODELS)
    assert [r["time_constant_sd_ms"] for r in other] == pytest.approx([0] * len(other), abs=1e-9)
    # At this size nothing is tuned.
    assert [r["capacity"] for r in same] == [r["capacity"] for r in other]
    for a, b in zip(one, other, strict=True):
        spec = HRSNN(a["neurons"], 0.1, parameters=LIFParameters.recurrent(), check_rate=False, seed=a["seed"]).spec
        assert a["time_constant_sd_ms"] == pytest.approx(1e3 * np.std(spec.time_constants))
        assert a["time_constant_mean_ms"] == pytest.approx(b["time_constant_mean_ms"])
    assert {(r["kind"], r["pruning"], r["synapses"]) for r in one} >= {
        ("HRSNN", "unpruned", spec.n_synapses),
        ("HRSNN", "LNP", round(spec.n_synapses / 37)),
    }
    assert len(tables["Networks"]) == 1 + 6
