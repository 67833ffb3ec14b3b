"""The code that a function stands on: every module that is not installed, and versions of those that are."""

import sys
from dataclasses import replace

import pytest

from lnpbrian.sweep import sources
from lnpbrian.sweep.sources import Code, code_of

FILES = {
    "start_here.py": "import json, numpy\nfrom tree.branch import leaf\ndef f():\n    import late_one as other\n",
    "late_one.py": "raise RuntimeError('nobody imports this to read it')\n",
    "tree/__init__.py": "from .near import *\n",
    "tree/near.py": "from . import beside\n",
    "tree/beside.py": "",
    "tree/branch/__init__.py": "",
    "tree/branch/leaf.py": "from ..far.thing import name\nimport not_there_at_all\n",
    "tree/far/thing.py": "name = 1\n",  # a folder without __init__.py
    "tree/unused.py": "",
    "apart.py": "import start_here\n",
}
USED = {
    *("start_here", "late_one", "tree", "tree.near", "tree.beside", "tree.branch", "tree.branch.leaf", "tree.far"),
    "tree.far.thing",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_all_that_is_imported_at_any_depth_and_nothing_else(project):
    before = set(sys.modules)
    code = code_of("start_here")
    assert set(code.sources) == USED
    assert {"numpy", "brian2", "python"} <= set(code.versions)
    assert not {"json", "not_there_at_all"} & set(code.versions)
    assert set(sys.modules) == before


@pytest.mark.parametrize("name", FILES)
def test_an_edit_of_any_of_it_is_another_code(project, name):
    before = code_of("start_here")
    path = project / name
    path.write_text(path.read_text() + "# again\n")
    module = name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    now = code_of("start_here")
    assert (now.digest != before.digest) == (module in USED)
    assert now.difference(before) == (module if module in USED else "")
    assert before.here() == now


def test_another_version_is_another_code(monkeypatch):
    before = code_of("lnpbrian.streams")
    monkeypatch.setattr(sources, "_version", lambda name: "9.9" if name == "scipy" else before.versions[name])
    now = code_of("lnpbrian.streams")
    assert now.digest != before.digest
    assert now.difference(before) == f"scipy 9.9 instead of {before.versions['scipy']}"
    assert before.here() == now


def test_this_package_counts_wherever_it_is_installed(monkeypatch):
    monkeypatch.setattr(sources, "_is_installed", lambda spec: True)
    code = code_of("lnpbrian.experiments.common.comparison")
    assert {"lnpbrian.learning.stdp", "lnpbrian.pruning.steps.noise", "lnpbrian.models.hrsnn"} <= set(code.sources)
    assert {"numpy", "scipy", "brian2", "networkx", "scikit-optimize", "pot", "jax"} - set(code.versions) <= {"jax"}
    # How tasks are handed out, what is printed and what is drawn of results decides nothing.
    outside = {"lnpbrian.sweep.cluster", "lnpbrian.cli", "lnpbrian.experiments.common.plotting"}
    assert not outside & set(code.sources)


def test_a_long_difference_is_one_short_line():
    one = Code({name: "1" for name in "abcdef"}, {})
    assert one.difference(replace(one, sources={})) == "a, b, c, 3 more modules"
