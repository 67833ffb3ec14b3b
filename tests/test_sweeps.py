"""Experiments of many networks: their tasks, units, tables and claims, and the command."""

import importlib
import json
from dataclasses import replace

import numpy as np
import pytest
from experiment_runs import TINY, compute, numpy_target, quiet  # noqa: F401
from report_runs import Reader

from lnpbrian import cli
from lnpbrian.checks import InvalidInput
from lnpbrian.experiments import EXPERIMENTS, sweeps
from lnpbrian.experiments import experiment as load
from lnpbrian.experiments.common import comparison
from lnpbrian.experiments.common.plan import SCALES, Plan
from lnpbrian.experiments.common.reported import INPUT_NOISE, PREDICTION
from lnpbrian.experiments.paper import fig3, fig9, table2, table6
from lnpbrian.experiments.studies import controls
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.sweep import Result
from lnpbrian.sweep.cluster import ClusterOptions

pytestmark = pytest.mark.usefixtures("numpy_target")


def record(operations, nrmse, vpt, *, neurons=10):
    return Result(
        {
            "neurons": neurons,
            "synapses": 10 * neurons,
            "readout_neurons": 2,
            "readout_operations": 10.0,
            "readout_synapses": 6,
            "synaptic_operations": operations,
            "task_rate_hz": 40.0,
            "nrmse": [nrmse, nrmse],
            "one_step_nrmse": [nrmse / 10, nrmse / 10],
            "vpt_steps": {"0.1": [vpt, vpt], "0.3": [vpt, vpt], "0.5": [vpt, vpt]},
            "learning": {},
        }
    )


def made_up(keys, method_at=0):
    """Return results in which LNP costs 1/50 and is better than AP, and worse than random networks."""
    quality = {"unpruned": (1000, 0.3, 60), "AP": (20, 0.9, 20), "LNP": (20, 0.31, 50), "random": (20, 0.25, 55)}
    return {key: record(*quality.get(key[method_at], (20, 0.4, 40))) for key in keys}


def test_equal_work_has_one_task():
    plan = Plan(SCALES["medium"], {})
    tables = table2.tasks(plan), table6.tasks(plan)
    # Table 6 asks for forecasts that table 2 has made: those after STDP on Lorenz-63 (two kinds) and Google.
    shared = set(tables[0].values()) & set(tables[1].values())
    assert len(shared) == 8 * 2 * 3 * 3
    assert len(set(tables[0].values())) == 8 * 2 * 5 * 2 * 3
    networks = {need.needs[0] for need in (task.needs[0] for task in tables[0].values())}
    assert len([task for task in networks if "LNP" in task.name]) == 16
    other = Plan(replace(SCALES["medium"], ridge=1.0), {})
    assert not set(table2.tasks(other).values()) & set(tables[0].values())


def test_data_count_by_their_content(tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("x")
    second.write_text("x")
    plans = [Plan(TINY, {"google": str(path)}) for path in (first, second)]
    options = [plan.forecast("HRSNN", "LNP", "STDP", "google", 0).options for plan in plans]
    assert options[0]["data_sha256"] == options[1]["data_sha256"]
    assert "data_sha256" not in plans[0].forecast("HRSNN", "LNP", "STDP", "lorenz63", 0).options


@pytest.fixture(scope="module")
def done():
    """Results of tasks: what one test has computed, another finds."""
    return {}


@pytest.mark.parametrize("method", ["AP", *controls.METHODS])
def test_every_method_from_network_to_forecast(method, done):
    plan = Plan(TINY, {})
    result = compute(plan.forecast("HRSNN", method, "STDP", "google", 0), done)
    assert len(result.record["nrmse"]) == 2
    assert np.isfinite(result.record["nrmse"]).all()
    assert json.loads(json.dumps(result.record)) == result.record
    assert set(result.record["vpt_steps"]) == {"0.1", "0.3", "0.5"}
    lnp = done.get(plan.network("HRSNN", "LNP", 0))
    if method in ("random", "magnitude"):
        assert (result.record["neurons"], result.record["synapses"]) == (
            lnp.record["neurons"],
            lnp.record["synapses"],
        )
    if method == "AP":
        goal = done[plan.trained("HRSNN", "LNP", "STDP", "google", 0)].record["operations_per_s"]
        reached = done[plan.trained("HRSNN", "AP", "STDP", "google", 0)].record["operations_per_s"]
        # The last neuron that went decides; training on all of the phase moves the rate a little.
        assert reached < 1.3 * goal
    if method == "magnitude in turns":
        assert (result.record["neurons"], result.record["synapses"]) == (
            60,
            done[plan.network("HRSNN", "LNP", 0)].record["synapses"],
        )
    if method == "uncoupled":
        assert result.record["synaptic_operations"] == 0
        assert result.record["neurons"] == lnp.record["neurons"]


def test_backpropagation_is_a_unit_as_well(done):
    pytest.importorskip("jax")
    plan = Plan(replace(TINY, phase=60), {})
    result = compute(plan.forecast("CHRSNN", "LNP", "BP", "lorenz63", 0), done)
    assert np.isfinite(result.record["learning"]["losses"]).all()
    trained = done[plan.trained("CHRSNN", "LNP", "BP", "lorenz63", 0)]
    before = NetworkSpec.from_arrays(done[plan.network("CHRSNN", "LNP", 0)].arrays)
    after = NetworkSpec.from_arrays(trained.arrays)
    assert (after.weights != before.weights).any()
    np.testing.assert_array_equal(after.pre, before.pre)
    assert (after.weights * before.weights >= 0).all()


def test_noise_reaches_the_forecast(done):
    plan = Plan(TINY, {})
    clean = compute(plan.forecast("HRSNN", "unpruned", "STDP", "lorenz63", 0), done)
    noisy = compute(plan.forecast("HRSNN", "unpruned", "STDP", "lorenz63", 0, snr=0.0), done)
    assert np.mean(noisy.record["one_step_nrmse"]) > 2 * np.mean(clean.record["one_step_nrmse"])


def test_paths_keep_the_networks_at_their_stops(done):
    plan = Plan(TINY, {})
    stops = fig3.stops(plan)
    lnp, ap = (compute(plan.path("HRSNN", method, 0, stops), done) for method in ("LNP", "AP"))
    for path in (lnp, ap):
        sizes = [step["neurons"] for step in path.record["path"]]
        assert len(sizes) == TINY.path_iterations + 1
        assert sizes[0] == 60
        assert sizes == sorted(sizes, reverse=True)
        for k in set(stops):
            assert comparison.network_at(path, k).n_alive == sizes[k]
    random = compute(plan.forecast_on_path("HRSNN", "random", 0, stops[-1], stops), done)
    assert random.record["synapses"] == lnp.record["path"][-1]["synapses"]


def test_paths_that_end_early_stay_where_they_end(done):
    # So many iterations that every one removes a neuron, until activity pruning may not go on.
    plan = Plan(replace(TINY, neurons=20, connection_probability=0.4, path_iterations=14), {})
    stops = fig3.stops(plan)
    ap = compute(plan.path("HRSNN", "AP", 0, stops), done)
    sizes = [step["neurons"] for step in ap.record["path"]]
    assert sizes == [max(20 - k, 10) for k in range(15)]
    assert comparison.network_at(ap, 14).n_alive == 10


def test_table_of_made_up_results():
    plan = Plan(TINY, {})
    content = table2.summarise(plan, made_up(table2.tasks(plan)))
    line = next(r for r in content["table"] if (r["method"], r["model"], r["training"]) == ("LNP", "HRSNN", "BP"))
    assert line["operation_ratio"]["median"] == 50
    beside = next(r for r in content["with_readout"] if (r["method"], r["model"]) == ("LNP", "HRSNN"))
    # (1000 + 10)/(20 + 10): the readout is not pruned.
    assert beside["operation_ratio_with_readout"] == pytest.approx(1010 / 30)
    # 100 synapses of 100, and 2 neurons that are read by 3 outputs, or by 20 hidden neurons and these by 3 outputs.
    assert beside["recurrent"] == 0
    assert line["paper"]["operation_ratio"] == pytest.approx(815.77 / 22.87)
    verdicts = {c["claim"]: c["verdict"] for c in content["claims"]}
    assert verdicts["HRSNN: LNP needs at least 35 times fewer synaptic operations"] == "held"
    assert verdicts["LNP forecasts better than activity pruning at equal operations"] == "held"
    assert verdicts["LNP forecasts better than random networks of the same size"] == "not held"
    assert verdicts["BP trains better than STDP (median NRMSE on Lorenz-63, x seen)"] == "not held"
    tables = table2.tables(json.loads(json.dumps(content)))
    for title in table2.TITLES.values():
        lines = tables[title]
        assert {len(line) for line in lines} == {len(lines[0])}
        assert len(lines) == 1 + 5 * 2 * 2
        assert lines[-1][5] == "-"
    assert len(tables["Without a network"]) == 1 + 9
    assert len(tables["With the readout"]) == 1 + 6


def test_controls_of_made_up_results():
    plan = Plan(TINY, {})
    content = controls.summarise(plan, made_up(controls.tasks(plan)))
    verdicts = {c["claim"].partition(": ")[2]: c["verdict"] for c in content["claims"]}
    assert verdicts == {name: "not held" if name == "random" else "held" for name in controls.CONTROLS}
    (lines,) = controls.tables(content).values()
    assert len(lines) == 1 + 2 * 7
    # All but those of two methods are those of table 2: nothing is done twice.
    shared = set(controls.tasks(plan).values()) & set(table2.tasks(plan).values())
    assert len(shared) == 2 * 4 * TINY.seeds


@pytest.mark.parametrize("module", [table2, controls, table6, fig3, fig9])
def test_figures_and_tables_come_from_the_json_alone(module, tmp_path):
    plan = Plan(TINY, {})
    keys = module.tasks(plan)
    results = made_up(keys)
    if module is fig3:
        sizes = [{"neurons": 60 - k, "synapses": 600 - 10 * k} for k in range(TINY.path_iterations + 1)]
        results |= {key: Result({"path": sizes}) for key in keys if key[1] is None}
    content = {"experiment": module.NAME, "scale": "tiny", **module.summarise(plan, results)}
    path = tmp_path / f"{module.NAME}.json"
    path.write_text(json.dumps(content))
    rows = sum(map(len, sweeps.redraw(path).values()))
    assert path.with_suffix(".png").stat().st_size > 10_000
    markdown = path.with_suffix(".md").read_text()
    tables = Reader(path.with_suffix(".html").read_text()).tables
    shown = [row for name, lines in tables.items() if name != "Plan" for row in lines if len(row) > 1]
    assert len(shown) == rows
    assert markdown.count("\n|") == rows + len(tables) - 1
    assert any("LNP" in row for row in shown)


def test_the_papers_values_are_complete():
    # The ratios of the paper's prediction table: 35.7, 39.0, 45.3, 50.4.
    ratios = [table2.paper_ratio("LNP", m, t) for m in ("HRSNN", "CHRSNN") for t in ("BP", "STDP")]
    np.testing.assert_allclose(ratios, (35.7, 39.0, 45.3, 50.4), atol=0.05)
    assert len(PREDICTION) == 12
    assert all(set(levels) == {50, 40, 30, 20, 10} for levels in INPUT_NOISE.values())


@pytest.mark.parametrize(("width", "cut"), [(80, 4), (200, 0)])
def test_tables_that_the_terminal_would_cut_are_left_to_their_page(width, cut, tmp_path, monkeypatch, capsys):
    plan = Plan(TINY, {})
    content = {"experiment": "table2", "scale": "tiny", **table2.summarise(plan, made_up(table2.tasks(plan)))}
    (tmp_path / "table2.json").write_text(json.dumps(content))
    monkeypatch.setattr(cli.console, "width", width)
    with pytest.raises(SystemExit) as done:
        cli.main(["sweep", "table2", "--redraw", "--out", str(tmp_path)])
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert shown.count("too wide for this terminal") == cut
    assert "…" not in shown
    assert "Without a network" in shown


def test_command_from_start_to_table_and_on(tmp_path, monkeypatch, capsys):
    # One kind of network instead of 64 tasks.
    monkeypatch.setattr(table2, "METHODS", ("unpruned", "random"))
    small = replace(TINY, seeds=1, windows=1)
    monkeypatch.setitem(SCALES, "smoke", small)
    wanted = ("unpruned", "random")
    keys = {
        (m, "HRSNN", "STDP", s, 0): Plan(small, {}).forecast("HRSNN", m, "STDP", s, 0)
        for m in wanted
        for s in table2.SERIES
    }
    monkeypatch.setattr(table2, "tasks", lambda plan: keys)
    monkeypatch.setattr(table2, "summarise", lambda plan, results: {"found": len(results)})
    monkeypatch.setattr(table2, "tables", lambda content: {"Found": [["found"], [str(content["found"])]]})
    monkeypatch.setattr(table2, "draw", lambda content: __import__("matplotlib.figure").figure.Figure())
    arguments = ["sweep", "table2", "--workers", "2", "--dashboard", "none"]
    arguments += ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    for _ in range(2):
        with pytest.raises(SystemExit) as done:
            cli.main(arguments)
        assert done.value.code == 0
    content = json.loads((tmp_path / "out" / "table2.json").read_text())
    assert content["found"] == 6
    assert content["seeds"] == [0]
    # The second time nothing was left to do.
    assert content["seconds"]["of_this_run"] < 5 < content["seconds"]["of_all_tasks"]
    # Two forecasted networks on three series, and what they need: the time of every task counts once.
    kept = [json.loads(path.read_text()) for path in (tmp_path / "store").glob("*/*.json")]
    assert len(kept) > 4
    np.testing.assert_allclose(content["seconds"]["of_all_tasks"], sum(record["seconds"] for record in kept))
    assert "Wrote table2.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["figure7"],
            "experiment must be one of table1, table2, table5, table6, table8, table8_resnet19",
        ),
        (["table2", "--scale", "huge"], "--scale must be one of smoke, medium, paper"),
        (["table2", "--seeds", "0"], "--seeds must be a whole number of at least 1"),
        (["table2", "--data", "rain=x.csv"], "--data must be google=FILE or wind=FILE"),
        (["table2", "--data", "google=missing.csv"], "missing.csv"),
        (["table2", "--slurm", "missing.json"], "--slurm 'missing.json' cannot be read as JSON"),
        (
            ["table2", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"],
            "a running scheduler has workers of its own",
        ),
        (["table2", "--redraw"], "holds no results of a sweep"),
    ],
)
def test_refusals_are_one_line(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as done:
        cli.main(["sweep", *arguments])
    assert done.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    "change", [{"claims": [{"claim": "x"}]}, {"claims": 3}, {"plan": ["seeds"]}, {"plan": 3}, {"seeds": 3}]
)
def test_results_that_are_not_whole_have_no_page(change, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(table2, "tables", lambda content: {"Found": [["n"], ["1"]]})
    content = {"versions": {"lnpbrian": "1"}, "experiment": "table2", "scale": "smoke", "seeds": [0], "claims": []}
    path = tmp_path / "table2.json"
    path.write_text(json.dumps(content))
    assert sweeps.rewrite_page(path).title == "table2, smoke scale"
    path.with_suffix(".html").unlink()
    path.write_text(json.dumps(content | change))
    with pytest.raises(SystemExit) as done:
        cli.main(["report", str(tmp_path)])
    assert done.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "table2.json' holds no results of a sweep" in line
    assert not path.with_suffix(".html").exists()


def test_help_has_a_line_for_every_experiment(capsys):
    with pytest.raises(SystemExit):
        cli.main(["sweep", "--help"])
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.partition("Experiments:\n")[2].splitlines()]
    assert [line[0] for line in lines] == list(EXPERIMENTS)
    assert ["fig9", "Figure 9 of the paper: Lorenz-63 forecasts by networks whose input is noisy"] in lines


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_tasks_are_found_and_none_is_of_another_size(name):
    experiment = load(name)
    assert name == experiment.NAME
    assert name in (experiment.__doc__ or "")
    one, two, larger = (
        set(experiment.tasks(Plan(scale, {})).values())
        for scale in (replace(TINY, seeds=1), TINY, replace(TINY, neurons=70))
    )
    for task in two:
        module, _, function = task.function.partition(":")
        assert callable(getattr(importlib.import_module(module), function))
    # Of two networks only the second is new; other sizes are new.
    assert one <= two
    assert {task for task in two & larger if "neurons" in task.options} == set()


def test_unknown_parts_are_refused():
    with pytest.raises(InvalidInput, match="unknown method 'lottery'"):
        comparison.pruned(Plan(TINY, {}).network("HRSNN", "lottery", 0).options, report=quiet)
    with pytest.raises(InvalidInput, match="workers"):
        ClusterOptions(workers=0)
