"""A short part of the calls with wrong arguments; ``python tests/fuzz/calls.py`` makes more of them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

from calls import calls, outcome, tried


def test_the_arguments_work():
    """Else it is not the odd one that is refused."""
    unexpected = [call.name for call in calls() if outcome(call, {}).what != "taken"]
    assert unexpected == ["read_series"]


@pytest.mark.parametrize("seed", range(4))
def test_wrong_arguments_are_taken_or_refused_in_one_line(seed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where folders are made of odd names
    found = list(tried(250, seed))
    assert [one for one in found if one.is_fault] == []
    assert sum(one.what == "refused" for one in found) > 150
