"""What is beside the package: which slow checks are due, the oldest versions that setup.cfg allows, the citation."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import lnpbrian

ROOT = Path(__file__).parent.parent


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


slow_checks, floors, structure = tool("slow_checks"), tool("floors"), tool("structure")
PASSES, FAILS = "def test_it():\n    pass\n", "def test_it():\n    assert 0\n"
SKIPS = "import pytest\n\ndef test_it():\n    pass\n\n@pytest.mark.skip\ndef test_other():\n    pass\n"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr(slow_checks, "CHECKS", {"one": ("first.txt", "part/*.py"), "other": ("other.txt",)})
    (tmp_path / ".ci").mkdir()
    (tmp_path / "part").mkdir()
    for name in ("first.txt", "part/a.py", "other.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


def run(tree, test=PASSES):
    (tree / "test_it.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tree / "test_it.py")]
    return slow_checks.check(tree, "one", command)


def has_passed(tree):
    slow_checks.note(tree, "one", slow_checks.digest(tree, slow_checks.CHECKS["one"]))


def test_a_check_is_due_until_it_has_passed_with_these_files(tree, capfd):
    assert slow_checks.due(tree) == ["one", "other"]
    assert run(tree) == 0
    assert slow_checks.due(tree) == ["other"]
    # What others depend on does not matter.
    (tree / "other.txt").write_text("new")
    assert slow_checks.due(tree) == ["other"]
    slow_checks.note(tree, "other", slow_checks.digest(tree, ["other.txt"]))
    assert slow_checks.due(tree) == []


@pytest.mark.parametrize("change", ["content", "new", "gone", "renamed"])
def test_a_change_of_its_files_makes_it_due(tree, change):
    has_passed(tree)
    part = tree / "part"
    if change == "content":
        (part / "a.py").write_text("other")
    elif change == "new":
        (part / "b.py").write_text("")
    elif change == "gone":
        (part / "a.py").unlink()
    else:
        (part / "a.py").rename(part / "b.py")
    assert "one" in slow_checks.due(tree)


def test_what_was_before_is_no_longer_due_when_it_comes_back(tree):
    has_passed(tree)
    (tree / "first.txt").write_text("other")
    (tree / "first.txt").write_text("first.txt")
    assert "one" not in slow_checks.due(tree)


@pytest.mark.parametrize("test", [FAILS, SKIPS, "", "import pathlib\n" + PASSES.replace("pass", "{change}")])
def test_only_what_has_passed_is_noted(tree, test, capfd):
    change = f"pathlib.Path({str(tree / 'first.txt')!r}).write_text('changed meanwhile')"
    status = run(tree, test.replace("{change}", change))
    assert (status != 0) == (test in (FAILS, ""))
    assert "one" in slow_checks.due(tree)


def test_a_link_is_the_file_that_windows_makes_of_it(tree):
    link = tree / "link"
    link.symlink_to("../part")
    digest = slow_checks.digest(tree, ["link"])
    link.unlink()
    link.write_text("../part\n")
    assert slow_checks.digest(tree, ["link"]) == digest
    link.write_text("../parts\n")
    assert slow_checks.digest(tree, ["link"]) != digest


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an sdist has no links")
@pytest.mark.parametrize(
    "pattern", sorted({pattern for patterns in slow_checks.CHECKS.values() for pattern in patterns})
)
def test_every_pattern_is_that_of_a_file(pattern):
    assert list(ROOT.glob(pattern))


def test_the_checks_are_targets_of_make():
    makefile = (ROOT / "Makefile").read_text()
    for name in slow_checks.CHECKS:
        assert f"\ntest-{name}: " in makefile
        assert f"$(call noted,{name}) " in makefile


def test_command_lists_what_is_due():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "slow_checks.py"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == slow_checks.due(ROOT)


def test_citation_is_of_this_version():
    lines = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {lnpbrian.__version__}" in lines
    assert "    url: https://arxiv.org/abs/2403.03409" in lines


SETUP = """[options]
install_requires =
    brian2 >= 2.10.1
    scikit-optimize >= 0.10

[options.extras_require]
bp =
    jax >= 0.8
    optax >= 0.2
test =
    pytest
"""


def test_floors():
    assert floors.floors(SETUP) == ["brian2==2.10.1", "scikit-optimize==0.10"]
    assert floors.floors(SETUP, ["bp"])[2:] == ["jax==0.8", "optax==0.2"]
    with pytest.raises(SystemExit, match="'pytest' has no floor"):
        floors.floors(SETUP, ["test"])


def test_every_dependency_has_a_floor():
    names = {line.split("==")[0] for line in floors.floors((ROOT / "setup.cfg").read_text(), ["bp", "sweep"])}
    assert {"brian2", "numpy", "scipy", "rich", "jax", "distributed"} <= names


def test_the_page_of_benchmarks_is_that_of_their_results():
    made = subprocess.run(
        [sys.executable, "-c", "import common; print(common.page(), end='')"],
        cwd=ROOT / "benchmarks",
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == (ROOT / "docs" / "benchmarks.md").read_text()


def test_the_longest_chain_of_a_graph_by_hand():
    graph = {"a": {"b", "d"}, "b": {"c"}, "c": {"d"}, "d": set(), "e": {"a", "c"}}
    assert structure.longest_chain(graph) == ["e", "a", "b", "c", "d"]


def test_no_folder_and_no_chain_of_imports_grows_without_end():
    folders, graph = structure.folders_and_graph(ROOT)
    assert max(folders.values()) <= 16
    assert len(structure.longest_chain(graph)) <= 12
