"""Tests run on Brian2's numpy target unless they are about code generation, and Brian2 stays quiet."""

import brian2
import pytest

brian2.prefs.codegen.target = "numpy"
brian2.prefs.logging.file_log = False
brian2.prefs.logging.warn_for_unused_objects = False
brian2.BrianLogger.suppress_name("resolution_conflict")


@pytest.fixture
def cython():
    """Compile with Cython for the length of a test."""
    brian2.prefs.codegen.target = "cython"
    yield
    brian2.prefs.codegen.target = "numpy"
