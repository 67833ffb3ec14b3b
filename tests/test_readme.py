"""The Python of the README and of the pages of docs/ runs as it stands, on smaller networks."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from brian2 import start_scope

from lnpbrian.experiments.sweeps import redraw

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = ("structure", "own_network", "devices", "architecture", "nir")
STRUCTURE, OWN_NETWORK, DEVICES, ARCHITECTURE, NIR = ((ROOT / "docs" / f"{name}.md").read_text() for name in PAGES)


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)


BLOCKS = blocks(README)


@pytest.mark.parametrize("code", BLOCKS)
def test_examples_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(code.replace("1000", "100"), {})


def test_page_on_structure_runs_from_top_to_bottom():
    names: dict[str, Any] = {}
    for code in blocks(STRUCTURE):
        exec(code.replace("1000", "100").replace("200", "20"), names)
    assert names["removed"] > 0
    assert len(names["synapses"]) > 100
    assert names["gates"].j[:].tolist() == [0, 1]


def test_page_on_networks_of_your_own():
    script, own, trials, alone = blocks(OWN_NETWORK)
    start_scope()
    names: dict[str, Any] = {}
    exec(script, names)
    assert len(names["recurrent"]) < 1000
    names = {}
    exec(own, names)
    assert names["result"].history[-1].neurons == 108
    with pytest.warns(UserWarning, match="has undone the pruning"):
        exec(trials, names)
    assert len(names["up"]) + len(names["down"]) == names["result"].after.synapses
    exec(alone, names)
    assert len(names["small"].network["cells"]) == 108


def test_page_on_architecture_adds_a_step():
    (code,) = blocks(ARCHITECTURE)
    names: dict[str, Any] = {}
    exec(code.replace("1000", "100"), names)
    (note, _) = names["result"].history[1].status[-2:]
    assert re.fullmatch(r"largest weights: \d+ synapses kept", note)
    assert 150 < names["result"].history[-1].synapses < 250
    (step, _) = names["result"].steps
    assert step.blur == 0.5


@pytest.mark.standalone
def test_page_on_devices():
    loop, program = blocks(DEVICES)
    names: dict[str, Any] = {}
    exec(loop.replace("1000", "100"), names)  # compares by itself
    assert names["oracle"].indices.size > 0
    exec(program.replace("1000", "100"), names)
    assert names["before"].activity.indices.size > 0


def test_page_on_nir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code in blocks(NIR):
        exec(code.replace("1000", "100"), names)
    assert names["again"].n_synapses == names["spec"].n_synapses == names["weights"].nnz
    assert (names["jumps"] != 0).sum() == (names["spec"].pre == 0).sum()


def test_there_are_examples():
    assert len(BLOCKS) >= 2
    assert len(blocks(STRUCTURE)) >= 5


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.stem
)
def test_linked_files_exist(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert links or page.stem != "README"
    assert not missing


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "experiments" / "results").glob("*.json")))
def test_the_pages_of_results_are_those_of_their_numbers(tmp_path, name):
    results = ROOT / "experiments" / "results"
    shutil.copy(results / f"{name}.json", tmp_path)
    redraw(tmp_path / f"{name}.json")
    for suffix in (".md", ".html"):
        # Another Matplotlib draws the embedded figure otherwise.
        made, kept = (
            re.sub('data:image/png[^"]*', "", (folder / f"{name}{suffix}").read_text(encoding="utf-8"))
            for folder in (tmp_path, results)
        )
        assert made == kept


def test_the_comparison_is_that_of_the_results():
    page = (ROOT / "experiments" / "results" / "kept.md").read_text()
    table = page.split("**At a 37th of the operations**\n\n")[1].split("\n\n")[0]
    assert table.count("\n") == 17
    assert table in (ROOT / "docs" / "results.md").read_text()
