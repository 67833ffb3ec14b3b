"""Pages of runs and sweeps: what they say is what the record holds, they load nothing, and names are no markup."""

import copy
import json
import math
import re
import shlex
import statistics
import subprocess
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from brian2 import ms
from report_runs import Reader, draw, image_run, network, pictures, resnet_run, series_run, write_run
from scipy import stats

from lnpbrian import cli
from lnpbrian.checks import InvalidInput
from lnpbrian.experiments import sweeps
from lnpbrian.jobs import PruneJob
from lnpbrian.learning import ReadoutOptions
from lnpbrian.models import uncoupled
from lnpbrian.network.graph import graph_statistics
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import TimescaleTuning
from lnpbrian.records import commit, plain, write_json
from lnpbrian.report.commands import command_line
from lnpbrian.report.page import CITATION, REPORT, Page, Verdict, render
from lnpbrian.report.runs import run_page, write_report
from lnpbrian.resnets import ResNetJob

ROOT = Path(__file__).parent.parent
RUNS = {"series": series_run, "images": image_run, "resnet": resnet_run}


def read(folder):
    return Reader((folder / REPORT).read_text(encoding="utf-8"))


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(a) for a in arguments])
    return exit_.value.code


@pytest.mark.parametrize("kind", RUNS)
def test_every_figure_is_in_the_page_and_nothing_is_loaded(tmp_path, kind):
    drawn = write_run(tmp_path, RUNS[kind]())
    said = write_report(tmp_path)
    page = read(tmp_path)
    embedded = pictures(page)
    assert len(embedded) == len(drawn) == len(said.figures)
    for pixels, found, caption in zip(drawn.values(), embedded.values(), page.of("img"), strict=True):
        # A figure of few colours keeps them.
        np.testing.assert_array_equal(found, pixels)
        assert (caption["width"], caption["height"]) == (str(pixels.shape[1]), str(pixels.shape[0]))
        assert len(caption["alt"]) > 20
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "embed", "video", "audio", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            loads = name in ("src", "srcset", "data", "poster", "background") or (name == "href" and tag != "a")
            assert not loads or value.startswith("data:")
    source = (tmp_path / REPORT).read_text()
    assert "url(" not in source
    assert "@import" not in source
    assert said.warnings == ()


def pairs(row):
    """Return the cells of a row of the first table: value and error of each state, the ratio in between."""
    before, e1, after, e2, ratio, none, e3 = row
    return {"before": (before, e1), "after": (after, e2), "ratio": ratio, "uncoupled": (none, e3)}


SERIES_ROWS = {
    "neurons": "neurons",
    "synapses": "synapses",
    "synaptic operations": "synaptic_operations",
    "mean rate under noise (Hz)": "mean_rate_hz",
    "mean rate in the task (Hz)": "task_rate_hz",
    "largest exponent (1/s)": "largest_exponent_per_s",
    "spectral radius of the response": "spectral_radius",
    "NRMSE, mean of 3 windows": "nrmse",
    "NRMSE, median": "nrmse_median",
    "VPT (steps), mean": "vpt_steps",
}
IMAGE_ROWS = {
    **{label: key for label, key in SERIES_ROWS.items() if key in ("neurons", "synapses", "mean_rate_hz")},
    "synaptic operations an image": "synaptic_operations",
    "energy an image (J)": "energy_joules",
    "with the readout (J)": "energy_with_readout_joules",
    "with memory traffic too (J)": "energy_with_memory_joules",
    "neurons read": "readout_neurons",
    "accuracy on 200 images": "accuracy",
}


@pytest.mark.parametrize(("kind", "labels"), [("series", SERIES_ROWS), ("images", IMAGE_ROWS)])
def test_values_before_and_after_are_those_of_the_record(tmp_path, kind, labels):
    write_run(tmp_path, RUNS[kind]())
    content = json.loads((tmp_path / "run.json").read_text())
    write_report(tmp_path)
    rows = read(tmp_path).rows("Before and after")
    for label, key in labels.items():
        cells = pairs(rows[label])
        for state in ("before", "after", "uncoupled"):
            if key in content[state]:
                # At least two digits are written, so half of the second is what may be lost.
                assert float(cells[state][0]) == pytest.approx(content[state][key], rel=0.05, abs=0.005), label
            else:
                assert cells[state] == ("", "")
        if cells["ratio"]:
            assert float(cells["ratio"]) == pytest.approx(content["before"][key] / content["after"][key], abs=0.005)
    assert len(rows) == len(labels) + (1 if kind == "series" else 4)
    errors = {
        state: {
            "largest exponent (1/s)": content[state].get("largest_exponent_standard_error_per_s"),
            **(
                {
                    "NRMSE, mean of 3 windows": statistics.stdev(content[state]["nrmse_windows"]) / math.sqrt(3),
                    "VPT (steps), mean": statistics.stdev(content[state]["vpt_windows"]) / math.sqrt(3),
                }
                if kind == "series"
                else {"accuracy on 200 images": content[state]["accuracy_standard_error"]}
            ),
        }
        for state in ("before", "after", "uncoupled")
    }
    for state, of_state in errors.items():
        for label, error in of_state.items():
            shown = pairs(rows[label])[state][1]
            assert shown == "" if error is None else float(shown.removeprefix("± ")) == pytest.approx(error, abs=0.05)


def test_values_of_a_resnet_are_those_of_the_record(tmp_path):
    content = resnet_run()
    write_run(tmp_path, content)
    write_report(tmp_path)
    page = read(tmp_path)
    rows = page.rows("Dense and pruned")
    for at, state in ((0, content["dense"]), (2, content["pruned"])):
        for label, key in (("weights between neurons", "weights"), ("spikes an image", "spikes")):
            assert float(rows[label][at]) == pytest.approx(state[key], rel=1e-3)
        assert float(rows["test images right (%)"][at]) == pytest.approx(100 * state["accuracy"], abs=0.05)
        error = float(rows["test images right (%)"][at + 1].removeprefix("± "))
        assert error == pytest.approx(100 * state["standard_error"], abs=0.05)
    layers = page.rows("Synaptic operations an image, by connection")
    assert float(layers["block1.second"][1]) == pytest.approx(0.2 * 15053, rel=1e-3)
    assert "lnpbrian resnet --seed 4 --images 400" in page.text


def test_iterations_say_what_each_step_said(tmp_path):
    first, second = series_run()["history"]
    write_run(tmp_path, series_run(history=[first, second, second | {"iteration": 2}], iteration=2))
    said = write_report(tmp_path)
    table = read(tmp_path).tables["Iterations"]
    assert [row[0] for row in table[1:] if len(row) > 1] == ["0", "1", "2"]
    assert [row[0] for row in table if len(row) == 1] == ["I: kept 60 of 400 synapsesII: no neuron to remove"] * 2
    assert table[1][4:6] == ["6.2", "± 7.4"]
    assert table[1][-1] == "1.5"
    assert said.warnings == ()
    rolled = series_run(iteration=0, status="rolled back", warning="mean rate rose 1.4-fold")
    write_run(tmp_path, rolled)
    warnings = write_report(tmp_path).warnings
    assert warnings == ("rolled back", "the network is that of iteration 0 of 1: it was rolled back", rolled["warning"])


# -------------------------------------------------------------------------------------------------------------- verdict


def oracle(p, gain):
    return "kept within errors" if p > 0.05 else "improved" if gain > 0 else "lost"


def test_the_verdict_on_a_series_is_that_of_the_paired_t_test(tmp_path):
    rng = np.random.default_rng(0)
    seen = set()
    for shift in (0, 0.02, -0.02, 0.2, -0.2) * 4:
        before = rng.uniform(0.3, 0.6, 8)
        after = before + shift + 0.05 * rng.standard_normal(8)
        none = after + 0.5
        write_run(tmp_path, series_run(before.tolist(), after.tolist(), none.tolist()), pictures=False)
        verdict = run_page(tmp_path).verdict
        # Of an error less is better.
        expected = oracle(stats.ttest_rel(after, before).pvalue, -float(np.mean(after - before)))
        assert verdict.word == expected
        low, high = stats.ttest_rel(after, before).confidence_interval(0.95)
        assert f"95 % interval {low:.3f} to {high:.3f})" in verdict.sentences[0]
        assert "at 19.1 times fewer synaptic operations (10.4 times fewer with" in verdict.sentences[0]
        assert verdict.sentences[1].endswith("the synapses that are left are worth having.")
        seen.add(expected)
    assert seen == {"kept within errors", "improved", "lost"}


@pytest.mark.parametrize("make", [image_run, resnet_run])
def test_the_verdict_on_images_is_that_of_single_images(tmp_path, make):
    rng = np.random.default_rng(1)
    seen = set()
    for worse, better in ((0, 0), (3, 2), (25, 2), (2, 25), (9, 9)):
        before = np.r_[np.ones(300, bool), np.zeros(100, bool)]
        after = before.copy()
        after[rng.choice(300, worse, replace=False)] = False
        after[300 + rng.choice(100, better, replace=False)] = True
        write_run(tmp_path, make(before, after), pictures=False)
        # McNemar's test, exact: of the images that changed, as many for the better as for the worse.
        p = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
        found = run_page(tmp_path).verdict
        assert found.word == oracle(p, better - worse)
        assert "image by image" in found.sentences[0]
        seen.add(found.word)
    assert seen == {"kept within errors", "improved", "lost"}


def test_without_single_images_errors_are_added(tmp_path):
    before, after = np.arange(400) < 300, np.arange(400) < 260
    content = image_run(before, after)
    for state in ("before", "after", "uncoupled"):
        del content[state]["correct"]
    write_run(tmp_path, content, pictures=False)
    verdict = run_page(tmp_path).verdict
    # sqrt(0.75 0.25/400 + 0.65 0.35/400) = 3.2 points, the difference is 10.
    assert "difference -10.0 ± 3.2, " in verdict.sentences[0]
    assert "quadrature" in verdict.sentences[0]
    assert verdict.word == "lost"


def test_one_window_decides_nothing(tmp_path):
    write_run(tmp_path, series_run([0.9], [0.1], [1.0]), pictures=False)
    verdict = run_page(tmp_path).verdict
    assert verdict.word == "not decided"
    assert "one window has no error" in verdict.sentences[0]
    assert "±" not in verdict.sentences[0]


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ([0.5, 0.6, 0.7], [0.5, math.inf, 0.7], "lost"),
        ([math.inf, math.inf, 0.7], [0.5, math.inf, 0.9], "improved"),
        ([math.inf, 0.6, 0.7], [0.5, math.inf, 0.9], "not decided"),
        ([math.inf], [0.5], "improved"),
    ],
)
def test_forecasts_that_diverge_are_counted(tmp_path, before, after, word):
    write_run(tmp_path, series_run(before, after, before), pictures=False)
    verdict = write_report(tmp_path).verdict
    assert verdict.word == word
    counts = [sum(map(math.isinf, errors)) for errors in (before, after)]
    assert f"diverged in {counts[0]} of {len(before)} windows before, in {counts[1]} after" in verdict.sentences[0]
    rows = read(tmp_path).rows("Before and after")
    (label,) = [label for label in rows if label.startswith("NRMSE, mean")]
    assert rows[label][2] == f"{np.mean(after):.3f}"


@pytest.mark.parametrize(
    ("none", "end"),
    [
        ([0.3, 0.3, 0.3], "which is better: this run does not show what synapses are good for."),
        ([0.8, 0.56, 0.6], "the same within errors: this run does not show what synapses are good for."),
    ],
)
def test_a_network_without_synapses_that_is_as_good_is_said(tmp_path, none, end):
    write_run(tmp_path, series_run((0.9, 0.5, 0.7), (0.8, 0.7, 0.75), [*none]), pictures=False)
    if "same" in end:
        write_run(tmp_path, series_run(none=none), pictures=False)
    assert run_page(tmp_path).verdict.sentences[1].endswith(end)


def test_operations_are_counted_as_they_are(tmp_path):
    for operations, words in ((2 * 21284803, "2.0 times more"), (21284803, "as many"), (0, "at no synaptic")):
        content = series_run()
        content["after"]["synaptic_operations"] = operations
        write_run(tmp_path, content, pictures=False)
        page = run_page(tmp_path)
        assert words in page.verdict.sentences[0]
        assert not any("fewer" in what for _, what in page.key_numbers) or operations == 21284803


def test_exponents_are_compared_with_zero(tmp_path):
    write_run(tmp_path, series_run(), pictures=False)
    said = run_page(tmp_path).verdict.sentences[-1]
    # 6.2 is less than twice 7.4, and 2.0 is more than twice 0.4.
    assert said.endswith("(zero within two standard errors before, below zero after).")


# ----------------------------------------------------------------------------------------------------- names and files

EVIL = '<script>alert(1)</script>"><img src="http://example.org/x" onerror=alert(2)>{{ 7 * 7 }}'


def test_names_are_no_markup(tmp_path):
    folder = tmp_path / "<b>&amp;"
    content = image_run(classes=(EVIL, "b"), status=EVIL, warning=EVIL)
    content["options"]["model"] = content["options"]["task"]["name"] = EVIL
    content["options"]["task"]["notes"] = [EVIL]
    content["options"]["command"]["data"] = EVIL
    content["history"][1]["status"] = [EVIL]
    content["commit"] = EVIL
    content["versions"][EVIL] = EVIL
    drawn = write_run(folder, content)
    write_report(folder)
    page = read(folder)
    assert page.of("script") == []
    assert len(page.of("img")) == len(drawn)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    # Everywhere it stands as it is.
    assert page.text.count(EVIL) >= 10
    assert "49" not in page.text.replace(EVIL, "")[:200]
    (folder / "raster.png").unlink()
    write_run(folder, resnet_run(task=EVIL))
    write_report(folder)
    assert read(folder).of("img") == []


def test_names_that_are_no_text_are_written(tmp_path):
    # Of a file whose name is not UTF-8.
    content = series_run()
    content["options"]["command"]["data"] = "\udcff.csv"
    write_run(tmp_path, content, pictures=False)
    write_report(tmp_path)
    assert "?.csv" in (tmp_path / REPORT).read_text(encoding="utf-8")


def test_an_old_run_says_what_is_missing(tmp_path, capsys):
    content = image_run()
    for name in ("commit", "seconds", "uncoupled", "warning", "status"):
        del content[name]
    del content["options"]["command"]
    write_run(tmp_path, content, pictures=False)
    (tmp_path / "network.npz").unlink()
    draw(tmp_path / "degrees.png")
    (tmp_path / "history.png").write_bytes((tmp_path / "degrees.png").read_bytes()[:60])
    (tmp_path / "exponents.png").write_bytes(b"text")
    assert run("report", tmp_path) == 0
    out = capsys.readouterr().out
    page = read(tmp_path)
    for missing in (
        *(f"{name}.png is missing" for name in ("raster", "time_constants", "confusion", "examples")),
        "history.png is damaged",
        "exponents.png is damaged (it is no PNG)",
        "network.npz is missing",
        "the command is not known",
    ):
        assert missing in page.text
        assert missing in " ".join(out.split())
    assert not [line for line in out.splitlines() if line.endswith("report.html: ")]
    assert "The graph" not in page.tables
    assert len(page.of("img")) == 1
    assert "not known (not run from a checkout" in page.text


def test_a_network_of_another_run_is_noticed(tmp_path):
    write_run(tmp_path, series_run(), pictures=False)
    network(30, 61).save(tmp_path / "network.npz")
    page = run_page(tmp_path)
    assert any("it is of another run" in warning for warning in page.warnings)
    # Nor are its numbers those of this run.
    assert "The graph" not in {table.title for table in page.more}


def test_the_same_files_make_the_same_page(tmp_path):
    write_run(tmp_path, series_run())
    write_report(tmp_path)
    first = (tmp_path / REPORT).read_bytes()
    assert run("report", tmp_path) == 0
    assert (tmp_path / REPORT).read_bytes() == first
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "holds no finished run (no run.json, no spectrum.json) and no results of a sweep"),
        ("", "is no whole record of a run"),
        ("[]", "is no whole record of a run"),
        ('{"versions": {}}', "is no whole record of a run"),
        ('{"versions": {"lnpbrian": "0.1.0"}}', "is no whole record of a run"),
        ('{"versions": {"lnpbrian": "0.1.0"}, "resnet": 3}', "is no whole record of a run"),
        (json.dumps(plain(series_run()))[:900], "is no whole record of a run"),
    ],
)
def test_folders_without_a_whole_run_are_refused_in_one_line(tmp_path, capsys, text, message):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    assert run("report", tmp_path) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / REPORT).exists()
    assert run("report", tmp_path / "nowhere") == 2
    assert "holds no finished run" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("kind", RUNS)
def test_records_that_lack_anything_make_a_page_or_are_refused(tmp_path, kind):
    write_run(tmp_path, RUNS[kind](), pictures=False)
    (tmp_path / "network.npz").unlink()
    content = json.loads((tmp_path / "run.json").read_text())
    made = 0
    for path in [(a,) for a in content] + [(a, b) for a in content if isinstance(content[a], dict) for b in content[a]]:
        for value in (None, "x", [3]):
            broken = copy.deepcopy(content)
            holder = broken if len(path) == 1 else broken[path[0]]
            if value is None:
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
            write_json(tmp_path / "run.json", broken)
            try:
                page = Reader(render(run_page(tmp_path)))
            except InvalidInput:
                # One line, as all of them.
                continue
            made += 1
            assert page.text
    assert made > 20


def test_a_page_of_somebody_else_stays(tmp_path, capsys):
    write_run(tmp_path, series_run(), pictures=False)
    (tmp_path / REPORT).write_text("<p>my thesis")
    assert run("report", tmp_path) == 2
    assert "holds a report.html that may be yours" in capsys.readouterr().err
    assert run("prune", "--neurons", 80, "--out", tmp_path) == 2
    assert (tmp_path / REPORT).read_text() == "<p>my thesis"


# ------------------------------------------------------------------------------------------- command, commit, citation


def captured(monkeypatch, words):
    """Return the options of a command line, which is not run."""
    found = []

    def begin(job, *_, **__):
        found.append(job)
        raise InvalidInput("enough")

    monkeypatch.setattr(PruneJob, "begin", begin)
    assert run(*words) == 2
    return found[0]


@pytest.mark.parametrize(
    ("job", "flags"),
    [
        (PruneJob(), 0),
        (PruneJob(neurons=300, connection_probability=0.07, seed=9, steps="I,III", windows=7), 5),
        (PruneJob(readout=ReadoutOptions(sample_time=50 * ms, kind="mlp"), read=0.25), 3),
        (PruneJob(pruning=PruneOptions(0.9, 0.1, iterations=4, on_unstable="roll back", rates=(1.0, 90.0))), None),
        (PruneJob(task="digits", relay=True, encoder="poisson", train_images=200), 4),
        (replace(PruneJob.fidelity(), neurons=500), 2),
        (PruneJob(tuning=TimescaleTuning(distance="sinkhorn")), None),
    ],
)
def test_the_command_makes_the_same_options(tmp_path, monkeypatch, capsys, job, flags):
    content = series_run(job=job)
    write_run(tmp_path, content, pictures=False)
    words = shlex.split(run_page(tmp_path).command)
    assert words[:2] == ["lnpbrian", "prune"]
    if flags is not None:
        assert sum(word.startswith("--") for word in words) == flags
    monkeypatch.chdir(tmp_path)
    assert captured(monkeypatch, [*words[1:], "--out", str(tmp_path / "again")]) == job


def test_the_command_names_the_file_that_was_pruned(tmp_path):
    uncoupled([20, 10] * ms).save(tmp_path / "mine.npz")
    content = series_run(job=PruneJob())
    content["options"]["command"] = PruneJob(windows=7).of_file(tmp_path / "mine.npz").record()
    write_run(tmp_path, content, pictures=False)
    assert shlex.split(run_page(tmp_path).command) == ["lnpbrian", "prune", "mine.npz", "--windows", "7"]


def test_options_that_no_flag_makes_have_no_command_line():
    recorded = plain(ResNetJob())
    assert command_line(recorded, ResNetJob()) == []
    recorded["training"]["batch"] = 8
    assert command_line(recorded, ResNetJob()) is None
    assert command_line(plain(ResNetJob()) | {"unheard": 1}, ResNetJob()) is None


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an sdist has no commits")
def test_commit_is_that_of_the_checkout():
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run(["git", "-C", ROOT, "diff", "--quiet", "HEAD"]).returncode
    commit.cache_clear()
    assert commit() == head.stdout.strip() + ("+" if changed else "")


def test_the_citation_is_that_of_the_citation_file():
    stated = (ROOT / "CITATION.cff").read_text()
    for name in (*re.findall(r"family-names: (.+)", stated), *re.findall(r"given-names: (.+)", stated)):
        assert name in CITATION
    for title in re.findall(r'title: "(.+)"', stated):
        assert title in CITATION
    for pattern in (r"collection-title: (.+)", r"year: (\d+)", r"url: (.+)", r"arXiv:([\d.]+)", r"name: (The .+)"):
        (found,) = re.findall(pattern, stated)
        assert found.strip('"') in CITATION
    assert "version = {1.2}" in render(Page("", "", Verdict("", ()), citation=CITATION.replace("VERSION", "1.2")))


# ---------------------------------------------------------------------------------------------------------------- graph


@pytest.mark.parametrize("seed", range(4))
def test_statistics_of_the_graph_are_those_of_networkx(seed):
    spec = network(40, (0, 30, 60, 400)[seed], seed=seed, silent=5)
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(35))
    graph.add_edges_from(zip(spec.pre.tolist(), spec.post.tolist(), strict=True))
    simple = nx.DiGraph(graph)
    simple.remove_edges_from(list(nx.selfloop_edges(simple)))
    degrees = {name: [d for _, d in of()] for name, of in (("in", graph.in_degree), ("out", graph.out_degree))}
    found = graph_statistics(spec)
    assert found["neurons"] == 35
    assert found["synapses"] == graph.number_of_edges()
    assert found["density"] == pytest.approx(graph.number_of_edges() / (35 * 34))
    for name, values in degrees.items():
        assert found[f"{name}_degree_mean"] == pytest.approx(statistics.mean(values))
        assert found[f"{name}_degree_sd"] == pytest.approx(statistics.pstdev(values))
        assert found[f"{name}_degree_max"] == max(values)
    assert found["neurons_without_synapse"] == nx.number_of_isolates(nx.Graph(graph))
    assert found["strong_components"] == nx.number_strongly_connected_components(simple)
    assert found["largest_strong_component"] == max(map(len, nx.strongly_connected_components(simple)))
    assert found["weak_components"] == nx.number_weakly_connected_components(simple)
    assert found["largest_weak_component"] == max(map(len, nx.weakly_connected_components(simple)))
    if simple.number_of_edges():
        assert found["reciprocity"] == pytest.approx(nx.overall_reciprocity(simple))
    else:
        assert found["reciprocity"] == 0


def test_the_graph_in_the_page_is_that_of_the_network(tmp_path):
    found = graph_statistics(network())
    write_run(tmp_path, series_run(graph={"before": graph_statistics(network(30, 400, seed=1))}), pictures=False)
    write_report(tmp_path)
    rows = read(tmp_path).rows("The graph")
    assert float(rows["synapses"][1]) == found["synapses"] == 60
    assert float(rows["synapses"][0]) == 400
    assert float(rows["reciprocity"][1]) == pytest.approx(found["reciprocity"], abs=5e-5)
    assert float(rows["in-degree, largest"][1]) == found["in_degree_max"]


# --------------------------------------------------------------------------------------------------------------- sweeps


@pytest.fixture
def sweep_folder(tmp_path):
    """Results of which the page has claims and tables."""
    results = ROOT / "experiments" / "results"
    content = json.loads((results / "images_kept.json").read_text())
    content |= {"scale": "smoke", "results_of_other_code": 3, "data_notes": {"fashion": [EVIL]}}
    content["claims"][0]["claim"] = EVIL
    (tmp_path / "images_kept.json").write_text(json.dumps(content))
    draw(tmp_path / "images_kept.png")
    return tmp_path


def test_the_page_of_a_sweep_has_its_tables_and_claims(sweep_folder, capsys):
    assert run("report", sweep_folder) == 0
    assert "images_kept, smoke scale; 3 of 4 claims held" in " ".join(capsys.readouterr().out.split())
    page = Reader((sweep_folder / "images_kept.html").read_text())
    content = json.loads((sweep_folder / "images_kept.json").read_text())
    _, _, tables = sweeps._read(sweep_folder / "images_kept.json")
    claims = tables.pop("Claims")
    for title, lines in tables.items():
        shown = page.tables[title]
        assert [" ".join(filter(None, row)) for row in shown[1:]] == [" ".join(filter(None, row)) for row in lines[1:]]
        assert shown[0] == lines[0]
    rows = [row for row in page.tables["Claims"] if len(row) > 1]
    assert rows[1:] == [[claim, verdict] for claim, verdict, _ in claims[1:]]
    for claim in content["claims"]:
        for part in claim["parts"]:
            assert part["found"] in page.text
    assert page.of("script") == []
    assert len(page.of("img")) == 1
    assert "Of 4 claims that were tested, 3 held, 1 in part, 0 not." in page.text
    assert "this is the smoke scale" in page.text
    assert "3 stored results are of other code" in page.text
    assert EVIL in page.text
    assert "lnpbrian sweep images_kept --scale smoke" in page.text


def test_a_sweep_without_its_figure_says_so(sweep_folder):
    (sweep_folder / "images_kept.png").unlink()
    assert any(
        "images_kept.png is missing" in one for one in sweeps.rewrite_page(sweep_folder / "images_kept.json").warnings
    )


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ([], "measured"),
        (["held", "not held", "held in 2 of 5", "not tested"], "1 of 3 claims held"),
    ],
)
def test_claims_are_counted(sweep_folder, verdicts, words):
    path = sweep_folder / "images_kept.json"
    content = json.loads(path.read_text())
    content["claims"] = [{"claim": "c", "verdict": v, "parts": []} for v in verdicts]
    path.write_text(json.dumps(content))
    verdict = sweeps.rewrite_page(path).verdict
    assert verdict.word == words
    assert not verdicts or "1 held, 1 in part, 1 not. 1 could not be tested." in verdict.sentences[0]
