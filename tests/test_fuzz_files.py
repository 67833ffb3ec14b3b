"""A short part of the damaged files; ``python tests/fuzz/files.py`` damages more of them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

from files import KINDS, tried


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused_in_one_line(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = list(tried(40, 5, kind))
    assert [one for one in found if one.is_fault] == []
    assert sum(one.what == "refused" for one in found) > 10
