"""Experiments on where evenness and scores count: graphs, numbers of responses, correlations, and small runs."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms
from experiment_runs import TINY, numpy_target, run  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

from lnpbrian.checks import InvalidInput
from lnpbrian.experiments.common import bed, graphs, spectra
from lnpbrian.experiments.common.plan import SCALES, Plan
from lnpbrian.experiments.studies import evenness, structured
from lnpbrian.learning import evaluate_benchmarks
from lnpbrian.learning.benchmarks import BenchmarkResult
from lnpbrian.models import HRSNN, LIFParameters, uncoupled
from lnpbrian.network.response import INPUT_SPREAD, slow_response

pytestmark = pytest.mark.usefixtures("numpy_target")
FULL = HRSNN(120, 0.2, parameters=LIFParameters.recurrent(), check_rate=False, seed=3).spec


def degrees(spec):
    return [np.bincount(end, minlength=spec.n_neurons) for end in (spec.pre, spec.post)]


# ------------------------------------------------------------------------------------------------------------- graphs


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(60, 600),
    inputs=st.booleans(),
    outputs=st.booleans(),
    components=st.sampled_from(("as it comes", "one", "many")),
    seed=st.integers(0, 1000),
)
def test_thinned_graphs_are_what_they_are_called(count, inputs, outputs, components, seed):
    how = {"count": count, "inputs": inputs, "outputs": outputs}
    made = graphs.thinned_graph(FULL, components=components, rng=np.random.default_rng(seed), **how)
    key = made.pre.astype(int) * 120 + made.post
    assert np.unique(key).size == key.size
    assert (made.pre != made.post).all()
    # A weight stays with its source.
    for neuron in range(120):
        assert set(made.weights[made.pre == neuron]) <= set(FULL.weights[FULL.pre == neuron])
    out, into = degrees(made)
    if components != "many":  # where the last doubles are dropped
        # Of systematic samples the number of a neuron is certain within one, so that of all is to a few roots.
        assert made.n_synapses == count if inputs == outputs else abs(made.n_synapses - count) <= 5 * np.sqrt(120 / 4)
        assert np.ptp(into) <= 1 or not inputs
        # Outputs are even sign by sign, each within one of its mean.
        assert np.ptp(out) <= (2 if inputs else 1) or not outputs
    sizes, _ = graphs.strong_components(made.pre, made.post, 120)
    if components == "one":
        assert sizes.size <= 1
        if inputs and outputs and count < 120:
            assert sizes.tolist() == [count]
    if components == "many" and inputs and outputs and count % 120 == 0:
        assert sizes.max() <= graphs.GROUP


def test_exchanges_leave_degrees():
    how = {"count": 240, "inputs": False, "outputs": False}
    one, as_it_comes = (
        graphs.thinned_graph(FULL, components=c, rng=np.random.default_rng(1), **how) for c in ("one", "as it comes")
    )
    np.testing.assert_array_equal(degrees(one), degrees(as_it_comes))


def test_joined_cycles_are_cycles_through_all_neurons():
    how = {"count": 360, "inputs": True, "outputs": True, "components": "joined cycles"}
    made = graphs.thinned_graph(FULL, rng=np.random.default_rng(0), **how)
    np.testing.assert_array_equal(degrees(made), np.full((2, 120), 3))
    for layer in range(3):
        at = slice(120 * layer, 120 * (layer + 1))
        assert graphs.strong_components(made.pre[at], made.post[at], 120)[0].tolist() == [120]


# ------------------------------------------------------------------------------------------------------------ numbers


def neurons(n):
    return uncoupled([20] * n * ms, bias=1.5, synaptic_time_constant=100 * ms)


def test_measures_of_a_line_and_of_nothing():
    i = np.arange(3)
    line = spectra.measures(slow_response(replace(neurons(4), pre=i, post=i + 1, weights=np.full(3, 0.05))))
    # No cycle: all eigenvalues are 0, so that all of the norm is departure from normality.
    assert line["spectral_radius"] == pytest.approx(0, abs=1e-6)
    assert line["departure"] == pytest.approx(1, abs=1e-6)
    assert line["largest_component"] == 0
    assert line["in_degree_variance"] == pytest.approx(3 / 16)  # one of four has none
    assert spectra.measures(slow_response(neurons(4)))["departure"] == 0


def test_memory_of_neurons_without_synapses():
    """One number is left of the past, ``a sum_k exp(-k) u(n - k)``: lag k has its share of the variance."""
    response = slow_response(neurons(1))
    found = spectra.measures(response)
    expected = []
    for seed in range(spectra.INPUTS):
        weight = INPUT_SPREAD * np.random.default_rng(seed).uniform(-1, 1, 1)[0]
        left = response.gains[0] * weight * (1 - np.exp(-1)) * np.exp(-np.arange(spectra.HORIZON + 1.0))
        expected.append((left[1:26] ** 2).sum() / ((left**2).sum() + spectra.READING_ERROR_HZ**2))
    assert found["expected_memory"] == pytest.approx(np.mean(expected), rel=1e-9)
    assert found["gramian_rank"] == pytest.approx(1, abs=1e-6)


def made_up(score):
    return [
        {"seed": seed, "ratio": ratio, "kind": kind, "x": x, "y": score(x, ratio)}
        for seed in range(3)
        for ratio in (10.0, 20.0)
        for kind, x in (("a", seed + ratio), ("b", 2 * seed + ratio + 0.5))
    ]


def test_correlations_are_within_a_ratio():
    # Over all networks x and y go together; at a ratio y falls with x.
    found = evenness.explains(made_up(lambda x, ratio: 100 * ratio - x), "y", "x")
    assert set(found) == {"ratio 10", "ratio 20", "given the ratio", "given the kind"}
    for value, error in found.values():
        assert value == pytest.approx(-1, abs=1e-12)
        assert error == pytest.approx(0, abs=1e-12)
    assert evenness.explains(made_up(lambda x, ratio: ratio), "y", "x")["given the ratio"] == [0, 0]


def test_effects_by_hand():
    values = {"even": 8.0, "even inputs": 5.0, "even outputs": 4.0, "uneven": 1.0}
    others = dict.fromkeys((*spectra.MEASURES, *evenness.SCORES), 0.0)
    rows = [
        {**others, "ratio": 10.0, "kind": f"{name}, as it comes", "seed": seed, "capacity": value + seed}
        for name, value in values.items()
        for seed in (0, 1)
    ] + [
        {**others, "ratio": 10.0, "kind": f"{name}, many", "seed": s, "capacity": s} for name in values for s in (0, 1)
    ]
    found = {e["property"]: e["capacity"] for e in evenness._effects(rows, 10.0)}
    # (8 - 4 + 5 - 1)/2 as it comes, nothing in many components.
    assert found["even inputs"] == [2.0, 0.0]
    assert found["even outputs"] == [1.5, 0.0]
    assert found["both even"] == [3.5, 0.0]
    assert found["many components"] == [-4.5, 0.0]
    assert "joined cycles" not in found


def test_restored_networks_have_radius_and_mean_input():
    full = FULL
    response = slow_response(full)
    half = full.of_synapses(np.arange(full.n_synapses) % 2 == 0)
    made = bed.restored(half, full, response, 0.9)
    now = response.of_synapses(made.pre, made.post, made.weights)
    assert now.spectral_radius == pytest.approx(0.9 * response.spectral_radius, rel=1e-9)
    mean = [spec.bias + spec.mean_input(response.rates) for spec in (full, made)]
    np.testing.assert_allclose(*mean, atol=1e-12)
    forward = full.of_synapses(full.pre < full.post)
    assert (bed.restored(forward, full, response).weights ** 2).sum() == pytest.approx((full.weights**2).sum())


def test_input_reaches_those_that_receive_it():
    spec = replace(neurons(6), dt=0.005, refractory_period=0.01, spike_timing="interpolated")
    how = {"names": ["memory"], "samples": 200}
    assert evaluate_benchmarks(spec, receives=np.ones(6, bool), **how).scores == evaluate_benchmarks(spec, **how).scores
    rate = evaluate_benchmarks(spec, receives=np.zeros(6, bool), **how).mean_rate
    assert rate == pytest.approx(slow_response(spec).rates[0], rel=0.01)  # spikes of 20 s
    with pytest.raises(InvalidInput, match="receives"):
        evaluate_benchmarks(spec, receives=np.ones(5, bool), **how)


# --------------------------------------------------------------------------------------------------------------- runs


def test_networks_that_are_compared():
    plan = Plan(replace(SCALES["medium"], seeds=8), {})
    assert len(evenness.tasks(plan)) == 8 * (9 + 9 + 13 + 12)
    made = structured.tasks(plan)
    assert len(made) == 8 * 6 * 13
    tuning = {need for task in made.values() for need in task.needs if need.function.endswith(":tried")}
    assert len(tuning) == 6 * 13 * 3 * 3
    assert {need.options["seed"] for need in tuning} == {1000, 1001, 1002}
    assert {task.options["seed"] for task in made.values()} == set(range(300, 308))


@pytest.fixture
def quick(monkeypatch):
    """What simulates for long gives numbers at once: tests of benchmarks and of rates are elsewhere."""

    def evaluate(spec, *, names, **_):
        score = float(np.abs(spec.weights).mean())
        return BenchmarkResult(dict.fromkeys(names, score), 40.0, spec.n_synapses, 1.0, spec.n_neurons)

    for module in (bed, structured):
        monkeypatch.setattr(module, "evaluate_benchmarks", evaluate)
    for module in (evenness, structured):
        monkeypatch.setattr(module, "bed_response", lambda spec, seed: slow_response(spec))


def test_evenness_runs(tmp_path, quick):
    content, tables = run(evenness, Plan(TINY, {}), tmp_path)
    for ratio in (4.0, 11.0):
        assert [r["kind"] for r in content["table"] if r["ratio"] == ratio] == list(evenness.kinds(60, ratio))
    assert len(tables["Ratio 4"]) == 1 + len(evenness.kinds(60, 4.0))
    assert {e["property"] for e in content["effects"]} >= {*evenness.COMPARED, "many components", "one component"}
    assert all(e["measure"] in spectra.MEASURES for e in content["explained"])


def test_structured_runs(tmp_path, monkeypatch, quick):
    monkeypatch.setattr(structured, "NETWORKS", ("chain", "STDP"))
    monkeypatch.setattr(structured, "FEW", ("unpruned", "response, independent", "random"))
    content, tables = run(structured, Plan(TINY, {}), tmp_path)
    by = {(r["network"], r["method"]): r for r in content["table"]}
    assert by["chain", "unpruned"]["bridges_kept"] == [1.0, 0.0]
    assert 0 <= by["chain", "random"]["bridges_kept"][0] < 1
    assert len(tables["Chosen on other networks"]) == 3
    assert [r["chosen"] for r in content["against"]] == [True, True]
