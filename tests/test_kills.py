"""Runs that are killed in a simulation, at a file, in a garbage collection: the short part of fuzz/kills.py."""

import importlib.util
import signal
from pathlib import Path
from types import SimpleNamespace

import brian2
import pytest

SPEC = importlib.util.spec_from_file_location("kills", Path(__file__).parent / "fuzz" / "kills.py")
kills = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(kills)
# Where, and after which part of the times that an undisturbed run is there.
PLACES = {"simulation": 0.6, "file": 0.8, "garbage": 0.3}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an undisturbed run leaves, and how often it is at each place; figures are left out."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        target, brian2.prefs.codegen.target = brian2.prefs.codegen.target, "numpy"
        patch.setattr("lnpbrian.figures.draw_all", lambda *_: [])
        patch.setattr(
            kills, "COMMAND", [*kills.COMMAND, "--neurons", "40", "--iterations", "2", "--minimum-neurons", "30"]
        )
        seen = {}
        for place in PLACES:
            counts = folder / f"{place}.txt"
            assert kills.end(kills.start(kills.prune, folder / place, place, 0, None, counts)) == 0
            seen[place] = int(counts.read_text())
        files = [kills.left(folder / place) for place in PLACES]
        assert files[0] == files[1] == files[2]
        yield SimpleNamespace(seen=seen, files=files[0])
        brian2.prefs.codegen.target = target


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_killed_at_a_place_and_started_again_is_never_killed(tmp_path, whole, sent, place):
    process = kills.start(kills.prune, tmp_path, place, int(PLACES[place] * whole.seen[place]), sent)
    assert kills.end(process) == (130 if sent == signal.SIGINT else -signal.SIGKILL)
    assert kills.left(tmp_path) != whole.files
    assert kills.end(kills.start(kills.prune, tmp_path)) == 0
    assert kills.left(tmp_path) == whole.files
