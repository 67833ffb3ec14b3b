"""Experiments run on small networks, and their controls give published numbers."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from brian2 import ms
from experiment_runs import TINY, run

from lnpbrian.experiments.common.comparison import FORECASTERS
from lnpbrian.experiments.common.plan import Plan
from lnpbrian.experiments.paper import ablation
from lnpbrian.experiments.studies import (
    covariance_accuracy,
    forecast_controls,
    stdp_drift,
    study_rescale,
    twin_perturbation,
    twins_and_tangents,
)
from lnpbrian.learning.forecasting import forecast
from lnpbrian.learning.readout import ReadoutOptions
from lnpbrian.models import HRSNN
from lnpbrian.models.drawing import DEPRESSIONS, LIFParameters
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import TimescaleTuning


def small(**changes):
    return Plan(replace(TINY, seeds=1, windows=1, **changes), {})


def test_forecast_controls_run(tmp_path, monkeypatch):
    monkeypatch.setattr(forecast_controls, "forecast", partial(forecast, options=ReadoutOptions(sample_time=1 * ms)))
    content, tables = run(forecast_controls, small(neurons=20), tmp_path)
    rows = content["rows"]
    assert [row["forecaster"] for row in rows] == [*FORECASTERS, "HRSNN, N = 20", "the same, uncoupled"]
    assert all(len(row["nrmse_windows"]) == 1 for row in rows)
    assert rows[-1]["synaptic_operations"] == 0 < rows[-2]["synaptic_operations"]
    assert len(tables["Lorenz-63"]) == 6


def test_stdp_drift_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(stdp_drift, "SAMPLES", 10)
    monkeypatch.setattr(stdp_drift, "SAMPLE_TIME", 4 * ms)
    monkeypatch.setattr(stdp_drift, "MODELS", {"HRSNN": HRSNN})
    monkeypatch.setattr(stdp_drift, "KEPT", (0.5,))
    rows = run(stdp_drift, small(neurons=30), tmp_path)[0]["rows"]
    assert [(r["model"], r["depression"], r["kept"]) for r in rows] == [("HRSNN", d, 0.5) for d in DEPRESSIONS]
    assert all(r["weight_change"] > 0 for r in rows)


def test_twin_perturbation_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(twin_perturbation, "PERTURBATIONS", (1e-8,))
    content, tables = run(twin_perturbation, small(neurons=30), tmp_path)
    assert len(content["rows"]) == 6
    assert len(tables) == 2


def test_twins_and_tangents_runs(tmp_path, monkeypatch):
    quick = {
        "CHAOTIC": LIFParameters(gain=0.5, synaptic_time_constant=5 * ms, dt=0.1 * ms),
        "PERTURBATIONS": (1e-8,),
        "SETTLING": 20 * ms,
        "DURATION": 40 * ms,
        "WATCHED": 20 * ms,
        "STEPS_MS": (0.5, 0.25),
        "INPUTS": 1,
    }
    for name, value in quick.items():
        monkeypatch.setattr(twins_and_tangents, name, value)
    content, _ = run(twins_and_tangents, small(neurons=30), tmp_path)
    difference = content["difference"]
    assert len(difference["precise"]) == len(difference["time_ms"]) == 11
    # The step of 0.1 ms leaves differences of 4e-4 here; a held neuron in another coordinate some tens of per cent.
    assert difference["precise"] == pytest.approx(difference["tangent"], rel=0.01)
    assert len(content["exponents"]["twins"]) == 2
    assert len(content["spectra"]["rows"]) == 4


# ---------------------------------------------------------------------------------------------------------------------
# Which rescaling


def test_study_rescale_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(study_rescale, "KEPT", (1.0, 0.5, 0.3))
    monkeypatch.setattr(study_rescale, "NETWORKS", {"plain": LIFParameters})
    methods = {name: study_rescale.METHODS[name] for name in ("none", "1/p, bias")}
    monkeypatch.setattr(study_rescale, "METHODS", methods)
    first, tables = run(study_rescale, small(neurons=40), tmp_path)
    assert {(row["method"], row["kept"]) for row in first["rows"]} == {
        (method, kept) for method in ("none", "1/p, bias") for kept in (1.0, 0.5, 0.3)
    }
    for method in ("none", "1/p, bias"):
        synapses = [row["synapses"] for row in first["rows"] if row["method"] == method]
        for kept, found in zip((0.5, 0.3), synapses[1:], strict=True):
            wanted = kept * synapses[0]
            # Synapses are drawn one by one: a variance of at most the number kept.
            assert abs(found - wanted) < 5 * np.sqrt(wanted) + 1
    # Both begin with the same network.
    starts = [
        {name: value for name, value in row.items() if name != "method"} for row in first["rows"] if row["kept"] == 1
    ]
    assert starts[0] == starts[1]
    assert len(first["judged"]) == 4
    assert len(tables["plain networks"]) == 5


def rescaled(method, seed, kept, rate, largest):
    return {
        **{"network": "plain", "method": method, "seed": seed, "kept": kept},
        # Twice the rate has half the radius.
        **{"mean_rate_hz": rate, "largest_exponent_per_s": largest, "spectral_radius": 10 / rate},
    }


def test_judge_by_hand(monkeypatch):
    monkeypatch.setattr(study_rescale, "KEPT", (1.0, 0.5, 0.1))
    rows = [
        rescaled("a", 0, 1.0, 10.0, -5.0),
        rescaled("a", 1, 1.0, 20.0, -10.0),
        # Rates over those of the same seed 1.5 and 0.9, mean 1.2: just within 20 %. Growths 1 and 3: mean 2, standard
        # deviation sqrt(2), standard error 1, so that 2 <= 2 * 1 holds.
        rescaled("a", 0, 0.5, 15.0, -4.0),
        rescaled("a", 1, 0.5, 18.0, -7.0),
        # 0.5 and 1.0, mean 0.75. Growths 4 and 5: mean 4.5, standard error 0.5.
        rescaled("a", 0, 0.1, 5.0, -1.0),
        rescaled("a", 1, 0.1, 20.0, -5.0),
        # With a single seed nothing is known of the error.
        rescaled("b", 0, 1.0, 8.0, 3.0),
        rescaled("b", 0, 0.5, 8.0, 3.5),
        rescaled("b", 0, 0.1, 16.0, -3.0),
    ]
    found = {(entry["method"], entry["kept"]): entry for entry in study_rescale.judge(rows)}
    assert len(found) == 4

    def numbers(method, kept):
        entry = found[method, kept]
        names = ("rate_ratio", "exponent_growth_per_s", "exponent_growth_standard_error_per_s")
        return [*(entry[name] for name in names), *entry["rate_ratio_extremes"]]

    def verdict(method, kept):
        entry = found[method, kept]
        return entry["rate_holds"], entry["exponent_holds"]

    # Sums of two or three numbers of order 1: a few units of rounding.
    assert numbers("a", 0.5) == pytest.approx([1.2, 2, 1, 0.9, 1.5], rel=1e-14)
    assert numbers("a", 0.1) == pytest.approx([0.75, 4.5, 0.5, 0.5, 1], rel=1e-14)
    assert numbers("b", 0.5) == pytest.approx([1, 0.5, 0, 1, 1], rel=1e-14)
    assert numbers("b", 0.1) == pytest.approx([2, -6, 0, 2, 2], rel=1e-14)
    # 2/3 and 10/9.
    assert found["a", 0.5]["spectral_radius_ratio"] == pytest.approx(8 / 9, rel=1e-14)
    assert found["a", 0.5]["spectral_radius_ratio_extremes"] == pytest.approx([2 / 3, 10 / 9], rel=1e-14)
    assert found["a", 0.5]["spectral_radius_holds"]
    assert not found["b", 0.1]["spectral_radius_holds"]
    assert verdict("a", 0.1) == (False, False)
    assert verdict("b", 0.5) == (True, False)
    assert verdict("b", 0.1) == (False, True)
    for rate, holds in ((1.19, True), (1.21, False), (0.81, True), (0.79, False)):
        one = [rescaled("c", 0, 1.0, 1.0, 0.0), rescaled("c", 0, 0.5, rate, 0.0), rescaled("c", 0, 0.1, 1.0, 0.0)]
        assert study_rescale.judge(one)[0]["rate_holds"] == holds


# ---------------------------------------------------------------------------------------------------------------------
# What each step does


SPARSER = ("E sparser", "random sparser")
OTHERS = ("D variance", "B degree", "C degree", "random", "uncoupled")


@pytest.fixture
def quick_ablation(monkeypatch):
    paths = {name: ablation.PATHS[name] for name in ("B", "C", "D", "E", *OTHERS)}
    quick = {
        **{"observation": 100 * ms, "exponent_duration": 40 * ms, "realisations": 1},
    }
    tuning = {"evaluations": 2, "exponents": 2, "duration": 40 * ms}
    monkeypatch.setattr(ablation, "PATHS", paths)
    monkeypatch.setattr(ablation, "POINTS", ("A", "B", "C", "D", "E", "D variance", "C degree", "random", "uncoupled"))
    monkeypatch.setattr(ablation, "TimescaleTuning", partial(TimescaleTuning, **tuning))
    monkeypatch.setattr(ablation, "PruneOptions", partial(PruneOptions, **quick))


def test_ablation_runs(tmp_path, quick_ablation):
    content, tables = run(ablation, small(iterations=2, kept=(0.1, 0.05)), tmp_path)
    rows = {row["point"]: row for row in content["rows"]}
    assert list(rows) == ["A", "B", "C", "D", "E", "D variance", "C degree", "random", "uncoupled", *SPARSER]
    assert [rows[point]["neurons"] for point in rows] == [60, 60, 42, 42, 42, 42, 42, 42, 60, 42, 42]
    assert rows["E sparser"]["synapses"] == rows["random sparser"]["synapses"] < rows["E"]["synapses"]
    assert rows["uncoupled"]["synapses"] == rows["uncoupled"]["synaptic_operations"] == 0
    whole = rows["A"]["synapses"]
    # Step I keeps what step II, which takes half of them along, is to leave a tenth of.
    wanted = 0.1 / 0.7**2 * whole
    assert abs(rows["B"]["synapses"] - wanted) < 5 * np.sqrt(wanted) + 1
    assert rows["C degree"]["synapses"] < wanted
    # Swaps, and edges of a fiftieth at most where they do not suffice; the paper's rule adds a tenth.
    before = rows["C"]["synapses"]
    assert before <= rows["D"]["synapses"] <= before + 0.02 * before + 1
    assert rows["D variance"]["synapses"] == before + round(0.1 * before)
    for name in ("neurons", "synapses"):
        assert rows["random"][name] == rows["E"][name] == rows["D"][name]
    assert len(tables["Points"]) == 12


def test_sparser_points_are_made_of_networks_of_their_own(monkeypatch):
    full = ablation.tasks(small())
    sparse = {key: task for key, task in full.items() if key[1].endswith(" sparser")}
    assert [point for _, point in sparse] == ["E sparser", "random sparser"]
    (network,) = full[400, "E sparser"].needs
    assert network.options["kept"] == small().scale.kept[1] < full[400, "E"].needs[0].options["kept"]
    # All come from the same unpruned network.
    assert network.needs[1] == full[400, "A"].needs[0]
    monkeypatch.setattr(ablation, "NEW_EDGES", 0.2)
    changed = ablation.tasks(small())
    assert [key for key in full if changed[key] == full[key]] == [(400, "A")]


def test_summary_by_hand(monkeypatch):
    monkeypatch.setattr(ablation, "POINTS", ("A", "B"))

    def row(point, seed, operations, nrmse, vpt, **more):
        others = {"neurons": 10, "synapses": 20, "task_rate_hz": 5.0}
        return {
            **{"point": point, "seed": seed, "synaptic_operations": operations},
            **{"nrmse_windows": nrmse, "vpt_windows": vpt, **others, **more},
        }

    rows = [
        row("A", 0, 100, [0.1, 0.2, 0.9], [10, 20, 30]),
        row("A", 1, 300, [0.3, 0.5, 0.4], [40, 40, 40]),
        # Operations of the same seed over these: 10 and 30; mean 20, standard error 20/sqrt(2)/sqrt(2) = 10.
        row("B", 0, 10, [1.0, 2.0, 6.0], [1, 2, 3], synapses=4),
        row("B", 1, 10, [5.0, 5.0, 5.0], [4, 4, 4], synapses=8),
    ]
    a, b = ablation.means(rows)
    assert (a["point"], b["point"]) == ("A", "B")
    expected = {
        "operation_ratio": (20, 10),
        "synapses": (6, 2),
        "neurons": (10, 0),
        "nrmse": (4, 1),  # 3 and 5
        "nrmse_median": (3.5, 1.5),  # 2 and 5
        "vpt_steps": (3, 1),  # 2 and 4
        "task_rate_hz": (5, 0),
    }
    # Sums of a few numbers of order 1 to 100: some units of rounding.
    for name, (mean, error) in expected.items():
        assert b[name] == pytest.approx(mean, rel=1e-14)
        assert b[f"{name}_standard_error"] == pytest.approx(error, rel=1e-14, abs=1e-14)
    assert (a["operation_ratio"], a["operation_ratio_standard_error"]) == (1, 0)
    silent = ablation.means([rows[0], row("B", 0, 0, [1.0], [0])])[1]
    assert (silent["operation_ratio"], silent["nrmse_standard_error"]) == (100, 0)  # a single seed has no error


# ---------------------------------------------------------------------------------------------------------------------
# How exact the local covariance is


def test_covariance_accuracy_runs(tmp_path, monkeypatch):
    densities = (0.1, 0.05)
    monkeypatch.setattr(covariance_accuracy, "DENSITIES", densities)
    monkeypatch.setattr(covariance_accuracy, "MARKERS", dict(zip(densities, "os", strict=True)))
    monkeypatch.setattr(covariance_accuracy, "DRAWS", 3)
    rows = run(covariance_accuracy, small(neurons=80), tmp_path)[0]["rows"]
    assert len(rows) == 3 * 2 * 2
    dominant = [row for row in rows if row["diagonal"] == "row-dominant"]
    assert {(row["family"], row["density"]) for row in dominant} == {
        (family, density) for family in covariance_accuracy.FAMILIES for density in densities
    }
    for row in dominant:
        # The local covariance says itself how far off it is, and ranks almost as the exact one does.
        assert row["spearman_degree"] <= 1
        assert row["spearman_local"] > 0.98
        for kept, fraction in zip(row["kept"], covariance_accuracy.KEPT, strict=True):
            assert kept["fraction"] == fraction
            assert 0 <= kept["total_variation"] <= 1
            assert len(kept["operator"]["exact"]) == len(kept["operator"]["local"]) == 3


def test_measures_of_covariance_accuracy_by_hand():
    ranks = covariance_accuracy.spearman
    assert ranks(np.array([1.0, 2, 3]), np.array([10.0, 100, 1000])) == pytest.approx(1, rel=1e-14)
    assert ranks(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1, rel=1e-14)
    distance = covariance_accuracy.total_variation
    # (1/2, 1/2) and (1, 0) after division: |1/2 - 1| + |1/2 - 0| = 1, of which half.
    assert distance(np.array([1.0, 1]), np.array([3.0, 0])) == 0.5
    assert distance(np.array([1.0, 3]), np.array([2.0, 6])) == 0
