"""The command that makes the paper's tables and figures, its one list of what belongs to what, and docs/paper.md."""

import json
import re
from dataclasses import replace
from pathlib import Path

import matplotlib.figure
import pytest
from experiment_runs import TINY, numpy_target, run  # noqa: F401
from test_sweeps import made_up

from lnpbrian import cli
from lnpbrian.checks import InvalidInput
from lnpbrian.experiments import EXPERIMENTS, diagrams, experiment, reproduce, sweeps
from lnpbrian.experiments.common import findings
from lnpbrian.experiments.common.findings import Finding
from lnpbrian.experiments.common.plan import Plan
from lnpbrian.experiments.common.reported import PREDICTION
from lnpbrian.experiments.common.statistics import claimed
from lnpbrian.experiments.paper import fig3, fig8, fig9, fig10, table2, table6
from lnpbrian.experiments.reproduce import SHOWN, Reproduction, chosen, cost
from lnpbrian.records import read_json, versions, write_json
from lnpbrian.sweep import Result, ResultStore, Task
from lnpbrian.sweep.cluster import ClusterOptions

pytestmark = pytest.mark.usefixtures("numpy_target")

ROOT = Path(__file__).parent.parent


def test_every_table_and_figure_is_there():
    names = [shown.name for shown in SHOWN]
    tables, figures = (1, 2, 5, 6, 7, 8, 9), (1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13)
    assert sorted(names) == sorted([*(f"table{k}" for k in tables), *(f"fig{k}" for k in figures)])
    assert {shown.name for shown in SHOWN if not shown.experiment} == set(diagrams.DIAGRAMS) == {"fig1", "fig2", "fig6"}
    assert {shown.experiment for shown in SHOWN if shown.experiment} <= set(EXPERIMENTS)
    for shown in SHOWN:
        # Measured once, on one core of a busy machine.
        assert shown.smoke_seconds > 0
        if shown.experiment:
            assert callable(experiment(shown.experiment).tasks)


def test_what_is_not_known_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, message in (
        (["fig4"], "name must be one of fig1, fig2, fig3"),
        (["fig1", "--scale", "huge"], "--scale must be one of smoke, medium, paper"),
        (["fig1", "--data", "rain=x.csv"], "--data must be google=FILE"),
        (["fig1", "--workers", "0"], "workers"),
    ):
        with pytest.raises(SystemExit) as done:
            cli.main(["reproduce", *arguments])
        assert done.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    Path("mine").mkdir()
    Path("mine/index.html").write_text("my pages")
    with pytest.raises(SystemExit) as done:
        cli.main(["reproduce", "fig1", "--out", "mine"])
    assert done.value.code == 2
    assert "holds an index.html that may be yours" in capsys.readouterr().err
    assert Path("mine/index.html").read_text() == "my pages"


def test_list_says_what_there_is_and_what_it_costs(capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(["reproduce", "--list"])
    assert done.value.code == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["name", "shows", "sweep"]
    assert [line.split()[0] for line in lines] == [shown.name for shown in SHOWN]
    (line,) = (line for line in lines if line.startswith("table2 "))
    # Of the results that are kept.
    kept = json.loads((reproduce.RESULTS / "table2.json").read_text())
    assert f"{kept['seconds']['of_all_tasks'] / 3600:.1f} h" in line
    assert "prices end in 2008" in line


def test_list_takes_names(capsys):
    with pytest.raises(SystemExit):
        cli.main(["reproduce", "--list", "table2"])
    _, line = capsys.readouterr().out.splitlines()
    assert line.startswith("table2 ")
    with pytest.raises(SystemExit) as done:
        cli.main(["reproduce", "--list", "fig4"])
    assert done.value.code == 2
    assert "name must be one of fig1" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["a figure", "a file in place of a folder"])
def test_what_is_in_the_way_of_a_report_is_kept(kind, tmp_path, capsys):
    mine = tmp_path / "table9" / "table9.png" if kind == "a figure" else tmp_path / "table9"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(SystemExit) as done:
        cli.main(["reproduce", "fig1", "table9", "--out", str(tmp_path), "--store", str(tmp_path / "store")])
    assert done.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert ("holds a table9.png that may be yours" if kind == "a figure" else "is not a folder") in line
    # It is said before anything is made.
    assert mine.read_text() == "mine"
    assert not (tmp_path / "fig1").exists()


def test_what_an_interruption_leaves_is_made_anew(tmp_path, monkeypatch, capsys):
    command = ["reproduce", "fig1", "--out", str(tmp_path), "--store", str(tmp_path / "store")]

    def interrupted(shown, folder):
        (folder / "fig1.png").write_bytes(b"drawn")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(reproduce, "_diagram", interrupted)
        with pytest.raises(SystemExit) as done:
            cli.main(command)
        assert done.value.code == 130
    assert read_json(tmp_path / "fig1" / "fig1.json")["error"] == "it was interrupted"
    monkeypatch.setitem(diagrams.DIAGRAMS, "fig1", lambda: matplotlib.figure.Figure(figsize=(1, 1)))
    with pytest.raises(SystemExit) as done:
        cli.main(command)
    assert done.value.code == 0, capsys.readouterr().err
    assert read_json(tmp_path / "fig1" / "fig1.json")["error"] is None
    assert (tmp_path / "fig1" / "fig1.png").read_bytes()[:4] == b"\x89PNG"


def test_a_damaged_report_of_another_figure_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setitem(diagrams.DIAGRAMS, "fig1", lambda: matplotlib.figure.Figure(figsize=(1, 1)))
    (tmp_path / "fig2").mkdir()
    write_json(tmp_path / "fig2" / "fig2.json", {"versions": versions(), "shown": "fig2"})
    with pytest.raises(SystemExit) as done:
        cli.main(["reproduce", "fig1", "--out", str(tmp_path), "--store", str(tmp_path / "store")])
    assert done.value.code == 0
    assert list(read_json(tmp_path / "index.json")["reports"]) == ["fig1"]


def test_costs_are_those_of_the_results(tmp_path, monkeypatch):
    (table,) = chosen(["table2"])
    assert cost(table, "smoke") == table.smoke_seconds
    monkeypatch.setattr(reproduce, "RESULTS", tmp_path)
    assert cost(table, "medium") is None
    (tmp_path / "table2.json").write_text(json.dumps({"scale": "medium", "seconds": {"of_all_tasks": 30.0}}))
    assert cost(table, "medium") == 30
    assert cost(table, "paper") is None


# ------------------------------------------------------------------------------------------------------------ the run


def small(monkeypatch, name, keys, **parts):
    """Let an experiment have a few tasks, and tell what it finds of them."""
    module = experiment(name)
    for part, value in {
        "tasks": lambda plan: keys,
        "tables": lambda content: {"Found": [["n"], ["1"]]},
        **parts,
    }.items():
        monkeypatch.setattr(module, part, value)
    monkeypatch.setattr(module, "draw", lambda content: matplotlib.figure.Figure(figsize=(1, 1)))


def doubled(options, *, report):
    """A task."""
    if options["k"] < 0:
        raise InvalidInput("k must not be negative, got -1")
    return Result({"k": 2 * options["k"]})


def of(k):
    return Task(f"task {k}", "test_reproduce:doubled", {"k": k})


@pytest.fixture
def reproduction(tmp_path, monkeypatch):
    """A run whose tasks are done in this process."""
    done = []

    def here(tasks, store, **_):
        found = {}
        for task in tasks:
            done.append(task.name)
            try:
                found[task] = doubled(task.options, report=None)
            except InvalidInput as error:
                raise InvalidInput(f"{task.name}: {error}") from error
        return found

    monkeypatch.setattr(sweeps, "run_sweep", here)
    store = ResultStore(tmp_path / "store")
    plan = Plan(TINY, {"google": "prices.csv"})
    monkeypatch.setattr(sweeps, "data_notes", lambda name, path: ())
    return Reproduction(tmp_path / "out", plan, "smoke", store, ClusterOptions(workers=1)), done


def test_reports_from_sweeps_that_are_run_once(reproduction, monkeypatch, tmp_path):
    run, done = reproduction
    summary = {"claims": [claimed("it <doubles>", [("2", True)])], "table": []}
    small(monkeypatch, "fig9", {1: of(1)}, summarise=lambda plan, results: summary)
    small(monkeypatch, "fig10", {1: of(-1)}, summarise=lambda plan, results: summary)
    monkeypatch.setattr(findings, "of_fig9", findings.claimed_in)
    with run:
        for name in ("fig9", "table7", "fig10", "table6"):
            (shown,) = chosen([name])
            if name in ("fig9", "table7"):
                shown = replace(shown, findings=findings.claimed_in)
            if name == "table6":
                shown = replace(shown, experiment="table60")
            run.show(shown)
    # Figure 9 and table 7 are one sweep; figure 10 fails, and the run goes on; no such sweep as the last.
    assert done == ["task 1", "task -1"]
    out = tmp_path / "out"
    record = json.loads((out / "table7" / "table7.json").read_text())
    assert record["findings"] == [{"what": "it <doubles>", "paper": "", "ours": "2", "verdict": "held"}]
    assert (out / "table7" / "table7.png").read_bytes() == (out / "sweeps" / "fig9" / "fig9.png").read_bytes()
    page, index = ((out / name).read_text() for name in ("table7/table7.html", "index.html"))
    assert "it &lt;doubles&gt;" in page
    assert '<td class="good">held</td>' in page
    assert '<a href="../index.html">' in page
    assert '<a href="table7/table7.html">Table 7</a>' in index
    assert "networks of each kind: that it runs is shown, not what holds" in page
    assert "task -1: k must not be negative, got -1" in index
    assert "experiment must be one of" in json.loads((out / "table6" / "table6.json").read_text())["error"]
    # What was given is not missed.
    assert "Wind is left out" not in index
    assert "No wind=FILE was given: wind is left out." in index
    assert "google=FILE" not in index
    for text in (page, index):
        assert not re.search(r'src="(https?:)?//|<link[^>]*href="(https?:)?//', text)
        assert f"version = {{{versions()['lnpbrian']}}}" in text
    assert set(json.loads((out / "index.json").read_text())["reports"]) == {"fig9", "table7", "fig10", "table6"}
    # Another run keeps what is there, and replaces its own.
    with run:
        run.show(replace(chosen(["fig9"])[0], findings=findings.claimed_in))
    assert "Table 7" in (out / "index.html").read_text()


def test_the_command_ends_with_what_could_not_be_made(monkeypatch, tmp_path, capsys):
    def show(run, shown, report=None):
        return {"error": "no luck" if shown.name == "table2" else None}

    monkeypatch.setattr(Reproduction, "show", show)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as done:
        cli.main(["reproduce", "fig1", "table2"])
    assert done.value.code == 1
    shown = capsys.readouterr()
    assert "table2 could not be made" in shown.err
    assert "no google=FILE was given" in shown.out
    assert "Wrote 1 reports and index.html" in shown.out

    def stopped(run, shown, report=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(Reproduction, "show", stopped)
    with pytest.raises(SystemExit) as done:
        cli.main(["reproduce", "fig1"])
    assert done.value.code == 130
    assert "the same command goes on" in capsys.readouterr().err
    # The folder is free again.
    monkeypatch.setattr(Reproduction, "show", show)
    with pytest.raises(SystemExit) as done:
        cli.main(["reproduce", "fig1"])
    assert done.value.code == 0


# --------------------------------------------------------------------------------------------------------- the verdicts


@pytest.mark.parametrize(
    ("paper", "ours", "more", "verdict"),
    [
        # Two of sqrt(0.3^2 + 0.4^2) = 0.5 are 1.
        ((10.0, 0.3), (9.0, 0.4), True, "held"),
        ((10.0, 0.3), (8.99, 0.4), True, "not held"),
        ((10.0, 0.3), (11.0, 0.4), False, "held"),
        ((10.0, 0.3), (11.01, 0.4), False, "not held"),
        ((10.0, 0.0), (50.0, 0.0), True, "held"),
        (None, (50.0, 0.0), True, "untested"),
    ],
)
def test_numbers_are_judged_by_both_errors(paper, ours, more, verdict):
    assert findings.beside("x", paper, ours, more=more).verdict == verdict
    assert findings.beside("x", paper, ours, more=more, judged=False).verdict == "untested"


def by_what(made):
    return {finding.what: finding for finding in made}


def test_findings_of_table_2():
    plan = Plan(TINY, {})
    content = table2.summarise(plan, made_up(table2.tasks(plan)))
    found = by_what(findings.of_table2(content))
    # 1000/20 operations; the paper's ratio is 710.76/18.22. NRMSE 0.31 in every window, VPT 50.
    assert found["LNP HRSNN, STDP: times fewer operations"] == Finding(
        "LNP HRSNN, STDP: times fewer operations", "39", "50", "held"
    )
    assert found["LNP HRSNN, STDP: Lorenz-63, NRMSE"].paper == "0.70 ± 0.10"
    assert found["LNP HRSNN, STDP: Lorenz-63, NRMSE"].verdict == "held"
    assert len([what for what in found if what.startswith("LNP HRSNN") or what.startswith("LNP CHRSNN")]) == 4 * 5
    assert found["LNP forecasts better than activity pruning at equal operations"].verdict == "held"


def test_findings_of_table_6_and_figure_8():
    plan = Plan(TINY, {})
    results = made_up(table6.tasks(plan))
    found = by_what(findings.of_table6(table6.summarise(plan, results)))
    assert found["LNP has a lower error than activity pruning (median)"].verdict == "held"
    # 0.31 against 0.3, and 50 steps against 60.
    assert found["LNP has a lower error than the unpruned network (median)"].verdict == "not held"
    assert found["LNP has the lowest error on wind"].ours == "no file of wind was given"
    content = fig8.summarise(plan, results)
    found = by_what(findings.claimed_in(content))
    # 50/20 against 60/1000 and 20/20 steps per operation.
    assert {f.verdict for what, f in found.items() if "more efficient than" in what and "CHRSNN" not in what} == {
        "held"
    }
    assert found["CHRSNN pruned by LNP are more efficient than HRSNN"].verdict == "not held"
    (lines,) = fig8.tables(content).values()
    assert lines[-1][3] == "2500000.000 [2500000.000, 2500000.000]"


def test_findings_of_figure_9_and_table_7():
    plan = Plan(TINY, {})
    found = by_what(findings.of_table7(fig9.summarise(plan, made_up(fig9.tasks(plan)))))
    assert found["activity pruning has the largest error at every signal-to-noise ratio"].verdict == "held"
    assert found["the unpruned network has the smallest error"].verdict == "held"
    # The made up errors are the same at all levels.
    assert found["errors grow as the signal-to-noise ratio falls"].verdict == "not held"
    assert found["AP HRSNN at 10 dB: NRMSE (median)"] == Finding(
        "AP HRSNN at 10 dB: NRMSE (median)", "3.11 ± 0.55", "0.9", "held"
    )


def test_findings_of_figure_3():
    plan = Plan(TINY, {})
    results = made_up(fig3.tasks(plan))
    for key in results:
        if key[1] is None:
            ap, last = key[0] == "AP", 40 + 10 * (key[2] % 2) * (key[0] == "AP")
            sizes = [{"neurons": 60, "synapses": 600}] * TINY.path_iterations
            results[key] = Result({"path": [*sizes, {"neurons": last, "synapses": 200 if ap else 100}]})
    found = by_what(findings.of_fig3(fig3.summarise(plan, results)))
    # AP ends at 40 and 50 neurons, LNP at 40; both without a spread in synapses.
    assert found["LNP ends with fewer neurons and synapses than activity pruning"].verdict == "held"
    spreads = found["sizes vary more under activity pruning (standard deviation over networks)"]
    assert spreads.verdict == "held in 1 of 2"
    assert spreads.ours.startswith("neurons: 7.07 against 0;")
    assert found["LNP loses less than activity pruning (median NRMSE at the end)"].verdict == "held"


def test_images_that_are_not_the_papers_are_not_judged():
    def line(images, method, accuracy):
        shared = {"images": images, "protocol": "all", "model": "HRSNN", "training": "STDP", "method": method}
        paper = {"cifar10": 90.26, "operation_ratio": 39.01} if method == "LNP" else None
        return shared | {
            "accuracy": accuracy,
            "accuracy_standard_error": 0.003,
            "operation_ratio": 40.0,
            "paper": paper,
        }

    for images, verdicts in (("digits", ("untested", "untested", "held")), ("cifar10", ("not held", "held", "held"))):
        content = {"table": [line(images, "unpruned", 0.8), line(images, "LNP", 0.79)]}
        made = findings.of_table1(content)
        assert tuple(finding.verdict for finding in made) == verdicts
        # 1.0 +- 0.3 sqrt(2) points lost, the paper 0.76 +- 0.07.
        assert made[1].ours == "-1.00 ± 0.42"


def test_time_constants_before_and_after(tmp_path, monkeypatch):
    monkeypatch.setattr(fig10, "MODELS", ("HRSNN",))
    content, tables = run(fig10, Plan(replace(TINY, seeds=1), {}), tmp_path)
    assert len(content["rows"]) == 3
    for r in content["rows"]:
        assert sum(r["fractions"]) == pytest.approx(1)
        assert (r["moved_ms"] == 0) == (r["method"] == "unpruned") or r["method"] == "LNP"
        # By Jensen's inequality no shift of the mean is larger than the distance of the laws.
        before = next(
            b for b in content["rows"] if (b["method"], b["model"], b["seed"]) == ("unpruned", r["model"], r["seed"])
        )
        assert abs(r["mean_ms"] - before["mean_ms"]) <= r["moved_ms"] + 1e-9
    assert len(tables["Time constants"]) == 1 + 3


# ----------------------------------------------------------------------------------------------------------- diagrams


def test_diagrams_show_the_objects():
    one = diagrams.fig1(30)
    titles = [axis.get_title() for axis in one.axes[:10]]
    assert titles[0].startswith("HRSNN\n30 neurons, ")
    assert titles[5].startswith("CHRSNN\n30 neurons, ")
    sizes = [list(map(int, re.findall(r"(\d+) (?:neurons|synapses)", title))) for title in titles[:4]]
    (n0, m0), (n1, m1), (n2, m2), (n3, m3) = sizes
    assert (n0, n1, n2, n3) == (30, 30, 24, 24)
    assert m0 > m1 > m2
    # Step III adds a fifth.
    assert m3 == m2 + round(0.2 * m2)
    # As many points as neurons, and as many lines as synapses.
    for axis, (n, m) in zip(one.axes[:4], sizes, strict=True):
        *lines, _, alive = axis.collections
        assert sum(len(collection.get_segments()) for collection in lines) == m
        assert len(alive.get_offsets()) == n
    two = diagrams.fig2(60, 2)
    assert "2 iterations of\nI  noise pruning\nII  betweenness pruning" in "".join(
        t.get_text() for t in two.axes[0].texts
    )
    assert two.axes[1].lines[0].get_xdata().tolist() == [0, 1, 2]


# ------------------------------------------------------------------------------------------------------ docs/paper.md

PAPER = (ROOT / "docs" / "paper.md").read_text()
NUMBER = r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?"
VERDICTS = {"held", "not held", "in part", "untested", "cannot be"}


def claims_of_the_page():
    for line in PAPER.partition("## Tables and figures")[0].splitlines():
        cells = [cell.strip() for cell in line[1:-1].split("|")]
        if line.startswith("| ") and not cells[0].startswith("the paper"):
            yield cells


def test_every_claim_has_a_verdict():
    claims = list(claims_of_the_page())
    assert len(claims) > 40
    assert {len(cells) for cells in claims} == {4}
    assert {cells[3] for cells in claims} == VERDICTS
    # Every claim of the experiment on spectra, with its verdict or a more careful one.
    content = json.loads((ROOT / "experiments" / "results" / "fig_spectra.json").read_text())
    judged = {cells[0]: cells[3] for cells in claims}
    for claim in content["claims"]:
        assert judged[claim["claim"]] in (claim["verdict"], "in part")


@pytest.mark.parametrize("cells", list(claims_of_the_page()), ids=lambda cells: cells[0][:40])
def test_numbers_are_those_of_the_results(cells):
    what, here, origin, _ = cells
    text = "\n".join((ROOT / "docs" / link).read_text() for link in re.findall(r"\]\((\S+?results/\S+?\.md)\)", origin))
    # Commands and links are no numbers, and what stands before "=" says which networks.
    plain = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", here)
    values = re.findall(rf"{NUMBER} ± {NUMBER}|{NUMBER}", re.sub(r"Lorenz-63", "", plain))
    if not text:
        assert not values
    known = set(re.findall(rf"{NUMBER} ± {NUMBER}|{NUMBER}", text))
    known |= {number for value in known for number in value.split(" ± ")}
    assert not [value for value in values if value not in known]
    reported = {f"{v[0]:g} ± {v[1]:g}" for line in PREDICTION.values() for v in line.values() if v}
    for value in re.findall(rf"{NUMBER} ± {NUMBER}", what):
        assert "{} ± {}".format(*(f"{float(x):g}" for x in value.split(" ± "))) in reported


def test_the_page_has_the_list_of_what_belongs_to_what():
    head, *body = ("| " + " | ".join(line) + " |" for line in reproduce.catalogue())
    assert "\n".join([head, "|---|---|---|---|", *body]) in PAPER
