"""The README runs as it stands, within the times that it says; the pages of docs/ on smaller networks."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from brian2 import ms, start_scope

from lnpbrian.experiments.sweeps import redraw
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.records import read_json

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = ("structure", "own_network", "devices", "architecture", "nir")
STRUCTURE, OWN_NETWORK, DEVICES, ARCHITECTURE, NIR = ((ROOT / "docs" / f"{name}.md").read_text() for name in PAGES)


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)


BLOCKS = blocks(README)
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL) for line in block.splitlines() if line
]
UNITS = {"s": 1, "min": 60, "h": 3600}


def bound(text: str) -> float:
    """Return the time in seconds that is written beside a command or an example."""
    (found,) = re.findall(r"# .*?\bunder (\d+) (s|min|h)\b", text)
    return int(found[0]) * UNITS[found[1]]


def within(seconds: float, *arguments: str) -> None:
    """Run Python, and count its CPU time and that of its children, which others on this machine do not change."""
    before = os.times()
    # As a user has it: Brian2 compiles.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
    after = os.times()
    assert done.returncode == 0, done.stderr
    took = after.children_user + after.children_system - before.children_user - before.children_system
    assert 1 < took < seconds


def test_the_time_of_a_child_of_a_child_counts():
    busy = "import time\nwhile time.process_time() < 2: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}], check=True)"
    within(60, "-c", code)
    with pytest.raises(AssertionError):
        within(1.5, "-c", code)


@pytest.mark.cython
@pytest.mark.timeout(900)  # of a busy machine
@pytest.mark.parametrize("code", BLOCKS, ids=lambda code: code.splitlines()[-1])
def test_examples_run_within_the_time_beside_them(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    within(bound(code), "-c", code)


def test_every_command_has_its_time():
    assert len(COMMANDS) > 15
    assert all(bound(line) for line in COMMANDS)


@pytest.mark.parametrize("line", [line for line in COMMANDS if bound(line) <= 60])
def test_quick_commands_run_within_the_time_beside_them(line, tmp_path, monkeypatch):
    if line.startswith("lnpbrian cuda") and find_spec("brian2cuda") is None:
        pytest.skip("brian2cuda is in an environment of its own")
    monkeypatch.chdir(tmp_path)
    Path("runs/prune").mkdir(parents=True)
    spec = HRSNN(1000, 0.1, parameters=LIFParameters(dt=2 * ms), check_rate=False).spec
    spec.save("runs/prune/network.npz")
    program, *arguments = shlex.split(line, comments=True)
    assert program == "lnpbrian"
    within(bound(line), "-m", "lnpbrian", *arguments)


@pytest.mark.parametrize("line", [line for line in COMMANDS if "--scale medium" in line])
def test_sweeps_took_less_than_the_time_beside_them(line):
    seconds = read_json(ROOT / "experiments" / "results" / f"{line.split()[2]}.json")["seconds"]
    assert 0 < max(seconds["of_all_tasks"], seconds["of_this_run"]) < bound(line)


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
