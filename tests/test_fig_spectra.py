"""The experiment of the paper's figure of spectra: its claims, its run, its figure."""

from dataclasses import replace

import brian2
import numpy as np
import pytest
from experiment_runs import TINY, run

from lnpbrian.experiments.common.plan import Plan
from lnpbrian.experiments.paper import fig_spectra

brian2.prefs.codegen.target = "numpy"


def record(stage, p, exponents, seed=0):
    values = {"exponents_per_s": list(exponents), "standard_errors_per_s": [0.6] * len(exponents)}
    return {"stage": stage, "p": p, "seed": seed, "dimension": len(exponents), **values}


def test_claims_follow_from_the_numbers():
    start = {0.1: np.array([1.0, -1.0, -3.0, -5.0]), 0.2: np.array([-1.0, -3.0, -5.0, -7.0])}
    records = []
    for p, values in start.items():
        # Pruned: 2 and 1 lower. Trained: half of it back.
        down = 2.0 if p == 0.1 else 1.0
        records += [record("unpruned", p, values), record("pruned", p, values - down)]
        records += [record("trained", p, values - down / 2)]
    stated = {claim["claim"]: claim for claim in fig_spectra.claims(records, [0.1, 0.2])}
    assert stated["pruning makes the exponents more negative"]["values"] == {"0.1": -2.0, "0.2": -1.0}
    assert stated["training brings some of it back"]["values"] == {"0.1": 1.0, "0.2": 0.5}
    # Two densities 2, 1 and 1.5 apart: half of that from their mean.
    spreads = stated["the spectra of different densities converge"]["values"]
    assert spreads == pytest.approx({"unpruned": 1.0, "pruned": 0.5, "trained": 0.75})
    leading = stated["pruning lowers the largest exponent"]
    assert leading["values"]["pruned"] == {"0.1": -1.0, "0.2": -2.0}
    assert leading["standard_errors"]["pruned"] == {"0.1": 0.6, "0.2": 0.6}
    assert all(claim["verdict"] == "held" for claim in stated.values())
    turned = [r | {"exponents_per_s": [-x for x in r["exponents_per_s"]]} for r in records]
    verdicts = {claim["claim"]: claim["verdict"] for claim in fig_spectra.claims(turned, [0.1, 0.2])}
    assert verdicts["pruning makes the exponents more negative"] == "not held"
    assert verdicts["training brings some of it back"] == "not held"


def test_seeds_are_put_on_a_common_grid():
    records = [record("pruned", 0.1, [0.0, -2.0]), record("pruned", 0.1, [0.0, -1.0, -2.0, -3.0], seed=1)]
    spectra = fig_spectra.mean_spectrum(records, "pruned", 0.1, 4)
    assert spectra.tolist() == [[0, 0, -1, -2], [0, -1, -2, -3]]


def test_runs(tmp_path, monkeypatch):
    monkeypatch.setitem(fig_spectra.OPTIONS, "iterations", 1)
    scale = replace(TINY, neurons=40, densities=(0.2, 0.3), seeds=1, training_s=0.2, exponents_ms=60.0)
    content, tables = run(fig_spectra, Plan(scale, {}), tmp_path)
    assert [(r["stage"], r["p"]) for r in content["networks"]] == [
        (stage, p) for p in (0.2, 0.3) for stage in fig_spectra.STAGES
    ]
    unpruned, pruned, trained = content["networks"][:3]
    assert pruned["neurons"] == trained["neurons"] == 28 < unpruned["neurons"]
    assert pruned["synapses"] == trained["synapses"] < unpruned["synapses"]
    assert pruned["exponents_per_s"] != trained["exponents_per_s"]
    assert len(content["claims"]) == len(tables["Claims"]) - 1 == 5
    # Other options are other tasks.
    longer = fig_spectra.tasks(Plan(replace(scale, exponents_ms=80.0), {}))
    assert not set(longer.values()) & set(fig_spectra.tasks(Plan(scale, {})).values())
