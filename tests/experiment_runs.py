"""Runs of experiments in this process, at a size that takes seconds."""

import importlib
import json

import brian2
import pytest

from lnpbrian.experiments import sweeps
from lnpbrian.experiments.common.plan import Scale

TINY = Scale(
    neurons=60,
    seeds=2,
    windows=2,
    iterations=1,
    connection_probability=0.15,
    synapse_sparsity={"HRSNN": 0.6, "CHRSNN": 0.6},
    sample_ms=6.0,
    phase=40,
    epochs=1,
    prune_rate=0.4,
    path_iterations=3,
)


@pytest.fixture
def numpy_target():
    before = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    yield
    brian2.prefs.codegen.target = before


def quiet(*_):
    pass


def compute(task, done):
    """Do a task and what it needs in this process."""
    if task not in done:
        needs = [compute(need, done) for need in task.needs]
        module, _, function = task.function.partition(":")
        done[task] = getattr(importlib.import_module(module), function)(task.options, *needs, report=quiet)
    return done[task]


def run(module, plan, folder):
    """Do the tasks of an experiment, write its JSON and what is made of it; return the content and the tables."""
    done = {}
    results = {key: compute(task, done) for key, task in module.tasks(plan).items()}
    content = {"experiment": module.NAME, "scale": "tiny", **module.summarise(plan, results)}
    path = folder / f"{module.NAME}.json"
    path.write_text(json.dumps(content, allow_nan=False))
    tables = sweeps.redraw(path)
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    for lines in tables.values():
        assert {len(line) for line in lines} == {len(lines[0])}
        assert all(isinstance(cell, str) for line in lines for cell in line)
    return json.loads(path.read_text()), tables
