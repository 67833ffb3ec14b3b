"""Tests run on Brian2's numpy target unless they are about code generation, and Brian2 stays quiet."""

import gc
import sys
from importlib.util import find_spec
from pathlib import Path

import brian2
import pytest
from _pytest import doctest

# Brian2 puts another class in its place, which fails on the doctests of an __init__.py.
doctest.DoctestModule = next(c for c in doctest.DoctestModule.__mro__ if c.__module__ == doctest.__name__)

ROOT = Path(__file__).parent
if not (ROOT / "lnpbrian" / "models").is_dir():
    # An unpacked sdist, or a checkout without symbolic links: the package is what is installed, not a part of it here.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT.resolve()]

# Its examples need JAX.
NEEDS_JAX = [
    *("lnpbrian/learning/bptt.py", "lnpbrian/lyapunov/depth.py", "lnpbrian/models/resnet.py"),
    *("lnpbrian/learning/vision/conversion.py", "lnpbrian/learning/vision/resnet_training.py"),
    "lnpbrian/pruning/channel_steps.py",
]
collect_ignore = [] if find_spec("jax") else NEEDS_JAX
brian2.prefs.codegen.target = "numpy"
brian2.prefs.logging.file_log = False
brian2.prefs.logging.warn_for_unused_objects = False
brian2.BrianLogger.suppress_name("resolution_conflict")


def _freeze():
    # Brian2 collects garbage before every run, which took half of the time of all tests.
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    # Workers must collect the same tests: names must not hold where an object lies.
    moving = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if moving:
        raise pytest.UsageError(f"give {moving[0]} ids that are the same in every process")


def pytest_collection_finish():
    _freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    result = yield
    if nextitem is None or nextitem.path != item.path:
        _freeze()  # what the last module has imported
    return result


@pytest.fixture
def cython():
    """Compile with Cython for the length of a test."""
    brian2.prefs.codegen.target = "cython"
    yield
    brian2.prefs.codegen.target = "numpy"
