"""Nothing is deleted or replaced that may be the user's own, and one run at a time writes to a folder."""

import json
import multiprocessing
import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from brian2 import ms

from lnpbrian import files, jobs
from lnpbrian.checks import InvalidInput
from lnpbrian.experiments.sweeps import refuse_foreign_results
from lnpbrian.files import LOCK, remove_leftovers, replacing
from lnpbrian.jobs import CHECKPOINT, COMMAND, PruneJob
from lnpbrian.locks import lock_folder
from lnpbrian.models import HRSNN
from lnpbrian.network.engines import cuda
from lnpbrian.network.engines.cuda import CudaProject
from lnpbrian.network.engines.standalone import Project
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.pruning.checkpoint import MARKER, mark_folder, marked, remove_marked
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.records import versions, write_json
from lnpbrian.sweep import ResultStore

posix = pytest.mark.skipif(os.name != "posix", reason="signals and links of POSIX")
QUICK = PruneOptions(0.5, 0.0, 1, observation=50 * ms, exponent_duration=40 * ms, realisations=1, rates=(0, 500))
JOB = PruneJob(neurons=50, windows=1, steps="I", pruning=PruneOptions(neuron_sparsity=0.0))


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def refused(message, call, *arguments, **options):
    with pytest.raises(InvalidInput, match=message) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)


def child(code: str, *arguments) -> subprocess.Popen:
    """Start another process that says when it is ready, and then waits."""
    code += "\nprint('ready', flush=True)\ninput()\n"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


# --------------------------------------------------------------------------------------------------------------- locks


@posix
def test_a_lock_ends_with_its_process(tmp_path):
    other = child("import sys; from lnpbrian.locks import lock_folder; lock = lock_folder('x', sys.argv[1])", tmp_path)
    refused(rf"--out .* is in use by another run \(process {other.pid}\); wait", lock_folder, "--out", tmp_path)
    kill(other)
    assert (tmp_path / LOCK).exists()  # by itself it means nothing
    with lock_folder("--out", tmp_path):
        pass
    assert not list(tmp_path.iterdir())


@posix
def test_a_forked_process_does_not_keep_the_lock_nor_end_it(tmp_path):
    lock = lock_folder("--out", tmp_path)
    context = multiprocessing.get_context("fork")
    go = context.Event()

    def work():
        lock.release()  # not its own
        go.wait(60)

    process = context.Process(target=work)
    process.start()
    try:
        refused("in use", lock_folder, "--out", tmp_path)
        assert (tmp_path / LOCK).exists()
        lock.release()
        with lock_folder("--out", tmp_path):
            pass
    finally:
        go.set()
        process.join()


def test_one_process_locks_a_folder_once_whatever_its_name(tmp_path):
    folder = tmp_path / "a"
    with lock_folder("x", folder) as lock:
        refused("in use", lock_folder, "x", folder)
        refused("in use", lock_folder, "x", tmp_path / "b" / ".." / "a")
        with lock_folder("x", lock):  # of the same call
            pass
        refused("in use", lock_folder, "x", folder)
    with lock_folder("x", folder):
        pass


def test_a_file_of_the_name_of_the_lock_stays(tmp_path):
    (tmp_path / LOCK).write_text("mine")
    refused("is no lock of lnpbrian", lock_folder, "--out", tmp_path)
    assert content(tmp_path) == {LOCK: "mine"}


@posix
def test_a_link_of_the_name_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / LOCK).symlink_to(tmp_path / "target")
    refused("is no lock of lnpbrian", lock_folder, "--out", tmp_path / "folder")
    assert not (tmp_path / "target").exists()


def test_two_prunings_in_one_folder(tmp_path):
    begun, go, ends = threading.Event(), threading.Event(), []

    def wait(now):
        begun.set()
        go.wait(60)

    def first():
        ends.append(prune(HRSNN(50, 0.2, check_rate=False), ("I",), options=QUICK, checkpoint=tmp_path, report=wait))

    thread = threading.Thread(target=first)
    thread.start()
    assert begun.wait(60)
    second = HRSNN(50, 0.2, check_rate=False)
    before = len(second.synapses)
    try:
        refused(
            f"checkpoint .* is in use by another run .process {os.getpid()}",
            prune,
            second,
            ("I",),
            options=QUICK,
            checkpoint=tmp_path,
        )
    finally:
        go.set()
        thread.join()
    assert len(second.synapses) == before
    assert len(ends) == 1
    prune(second, ("I",), options=QUICK, checkpoint=tmp_path)  # after it
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


# ----------------------------------------------------------------------------------------------------- temporary files


def leftover(folder: Path, process: int, name: str = "run", suffix: str = ".json", machine: str | None = None) -> Path:
    path = folder / f".{name}.lnpbrian-{machine or files._HERE}-{process}{suffix}"
    path.write_text("half")
    return path


@pytest.fixture
def dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@posix
def test_leftovers_of_dead_processes_only(tmp_path, dead):
    gone = [leftover(tmp_path, dead), leftover(tmp_path, dead, "a.b", ".npz"), leftover(tmp_path, dead, "c", "")]
    kept = [
        leftover(tmp_path, os.getpid()),
        leftover(tmp_path, os.getppid()),
        leftover(tmp_path, dead, machine="0" * 8),
    ]
    for name in (f".run.{dead}.json", "lnpbrian-notes", f".x.lnpbrian-{dead}.json"):
        kept.append(tmp_path / name)
        kept[-1].write_text("mine")
    link, folder = (tmp_path / f".{name}.lnpbrian-{files._HERE}-{dead}.json" for name in ("link", "folder"))
    link.symlink_to(kept[-1])
    folder.mkdir()
    remove_leftovers(tmp_path)
    assert not [path for path in gone if path.exists()]
    assert {*tmp_path.iterdir()} == {*kept, link, folder}


@posix
def test_killed_in_the_middle_of_a_file(tmp_path):
    code = """
import sys
from pathlib import Path
from lnpbrian.files import replacing
block = replacing(Path(sys.argv[1]) / "network.npz")
block.__enter__().write_text("half")
"""
    other = child(code, tmp_path)
    with lock_folder("--out", tmp_path):
        assert len(files.visible(tmp_path)) == 0
        assert len(list(tmp_path.glob(".network*"))) == 1  # it lives
    kill(other)
    with lock_folder("--out", tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@posix
def test_result_store_removes_leftovers_of_its_own(tmp_path, dead):
    ResultStore(tmp_path / "store")
    inner, foreign = tmp_path / "store" / "ab", tmp_path / "foreign"
    for folder in (inner, foreign):
        folder.mkdir()
        leftover(folder, dead)
    (tmp_path / "store" / "cd").symlink_to(foreign)
    living = leftover(inner, os.getpid())
    ResultStore(tmp_path / "store")
    assert list(inner.iterdir()) == [living]
    assert len(list(foreign.iterdir())) == 1


def test_temporary_name_is_that_of_this_process(tmp_path):
    with replacing(tmp_path / "a.npz") as temporary:
        assert temporary.suffix == ".npz"
        assert files._TEMPORARY.fullmatch(temporary.name)["process"] == str(os.getpid())
        assert platform.node() == "" or platform.node() not in temporary.name
        temporary.write_text("whole")
    assert content(tmp_path) == {"a.npz": "whole"}


# ---------------------------------------------------------------------------------------------- folders of checkpoints


def test_marked_folder_goes_with_what_was_written_only(tmp_path):
    folder = tmp_path / CHECKPOINT
    mark_folder("--out", folder)
    (folder / COMMAND).write_text("ours")
    remove_marked(folder, [COMMAND, "never written"])
    assert not folder.exists()
    mark_folder("--out", folder)
    for name in (COMMAND, "thesis.txt", "checkpoint (copy).npz"):
        (folder / name).write_text(name)
    (folder / "mine").mkdir()
    remove_marked(folder, [COMMAND, "mine"])
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint (copy).npz", MARKER, "mine", "thesis.txt"]
    mark_folder("--out", folder)  # the next run can use it


@pytest.mark.parametrize("marker", [None, "", "something else", b"\xff\xfe"])
def test_unmarked_folders_are_refused_and_stay(tmp_path, marker):
    folder = tmp_path / CHECKPOINT
    folder.mkdir()
    (folder / COMMAND).write_text("mine")
    if marker is not None:
        (folder / MARKER).write_bytes(marker if isinstance(marker, bytes) else marker.encode())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert not marked(folder)
    refused("holds other files than checkpoints; move it, or choose another --out", JOB.begin, tmp_path)
    refused("is not a folder of checkpoints", PruneJob.load, tmp_path)
    PruneJob.abandon(tmp_path)
    PruneJob.finish(tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_called_like_the_folder(tmp_path):
    (tmp_path / CHECKPOINT).write_text("mine")
    refused("is a file, where checkpoints are kept; move it", JOB.begin, tmp_path)
    PruneJob.finish(tmp_path)
    assert content(tmp_path) == {CHECKPOINT: "mine"}


@posix
@pytest.mark.parametrize("target", ["marked", "unmarked", "missing"])
def test_links_are_not_followed(tmp_path, target):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    if target != "missing":
        elsewhere.mkdir()
        (elsewhere / COMMAND).write_text("{}")
    if target == "marked":
        (elsewhere / COMMAND).unlink()
        mark_folder("--out", elsewhere)
        (elsewhere / COMMAND).write_text("{}")
    before = content(tmp_path)
    (out / CHECKPOINT).symlink_to(elsewhere)
    refused("is a link; remove it", JOB.begin, out)
    refused("is not a folder of checkpoints", PruneJob.load, out)
    PruneJob.finish(out)
    PruneJob.abandon(out)
    assert (out / CHECKPOINT).is_symlink()
    (out / CHECKPOINT).unlink()
    assert content(tmp_path) == before


def test_former_folder_is_refused_and_stays(tmp_path):
    former = tmp_path / jobs.FORMER
    former.mkdir()
    for name in (COMMAND, jobs.LATEST):
        (former / name).write_text("old")
    refused("was begun by an earlier lnpbrian", PruneJob.load, tmp_path)
    assert JOB.begin(tmp_path) is False
    assert PruneJob.load(tmp_path) == JOB
    PruneJob.finish(tmp_path)
    assert content(tmp_path) == {f"checkpoint/{COMMAND}": "old", f"checkpoint/{jobs.LATEST}": "old"}


# ------------------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize("name", ["run.json", "network.npz", "raster.png"])
def test_results_that_may_be_the_users_are_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("mine")
    refused(f"holds a {name} that may be yours", JOB.begin, tmp_path, ["raster.png"])
    assert content(tmp_path) == {name: "mine"}
    # Those of an earlier run are.
    write_json(tmp_path / "run.json", {"versions": versions(), "before": {}, "after": {}})
    assert JOB.begin(tmp_path, ["raster.png"]) is False


def test_experiments_replace_their_own_only(tmp_path):
    write_json(tmp_path / "table2.json", {"versions": versions()})
    (tmp_path / "table2.md").write_text("ours")
    refuse_foreign_results(tmp_path, "table2")
    (tmp_path / "fig3.md").write_text("mine")
    refused("holds a fig3.md that may be yours", refuse_foreign_results, tmp_path, "fig3")


def test_cuda_folders_of_others(tmp_path, monkeypatch):
    (tmp_path / cuda.DESCRIPTION).write_text(json.dumps({"name": "my web page"}))
    refused("holds other files than a CUDA project", cuda._refuse_foreign, tmp_path)
    record = {"versions": versions(), "duration_s": 1, "files": {}, "sources": ["a.cu"]}
    write_json(tmp_path / cuda.DESCRIPTION, record)
    (tmp_path / cuda.SOURCES).mkdir()
    (tmp_path / cuda.SOURCES / "a.cu").touch()
    cuda._refuse_foreign(tmp_path)
    (tmp_path / cuda.SOURCES / "mine.cu").touch()
    refused("mine.cu' was not written here", cuda._refuse_foreign, tmp_path)


@posix
def test_cuda_run_clears_its_own_results_only(tmp_path, monkeypatch):
    monkeypatch.setattr(cuda, "find_gpu", lambda: None)
    spec: NetworkSpec = HRSNN(50, 0.2, check_rate=False).spec
    project = CudaProject(tmp_path, spec, 0.1, False, {"indices": "spikes"})
    (tmp_path / "main").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "main").chmod(0o700)
    (tmp_path / "results" / "plots").mkdir(parents=True)
    for name in ("spikes", "_dynamic_array_x_1", "last_run_info.txt", "notes.txt", "plots/a.png"):
        (tmp_path / "results" / name).touch()
    refused("failed", project.run)
    assert content(tmp_path / "results").keys() == {"notes.txt", "plots/a.png"}


def test_run_folder_of_a_program_is_a_new_one(tmp_path):
    project = Project.__new__(Project)
    project.directory, project.runs, project._lock = tmp_path, 0, threading.Lock()
    project._close = type("alive", (), {"alive": True})()
    (tmp_path / "run_1").mkdir()
    (tmp_path / "run_1" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError):
        project.execute({}, {})
    assert content(tmp_path) == {"run_1/thesis.txt": "years of work"}
