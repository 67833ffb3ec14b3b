"""Projects of Brian2's standalone devices: generated and compiled in child processes, and run with new values.

The active device of Brian2 is global, so a child process owns it, and this one stays in runtime mode.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from brian2 import BrianLogger, get_device, prefs, second, set_device

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.brian2_internals import forget_failed_runs, run_network
from lnpbrian.process import Held

__all__ = ["DeviceError", "Project", "ProjectRun", "generate", "verify"]

DEVICES = ("cpp_standalone", "cuda_standalone")
_REQUEST, _MANIFEST = "request.pickle", "manifest.json"
_KEEPER = Path(__file__).with_name("keeper.py")

# Compiling the headers that all sources of a C++ project share takes half of the time, unless it is done once.
_SHARED = ("chrono", "cmath", "ctime", "iostream", "fstream", "climits", "algorithm", "stdlib.h")
_SHARED_FIRST = """
PLAIN := $(CXXFLAGS)
CXXFLAGS += -include lnpbrian.h
$(OBJS): lnpbrian.h.gch
.INTERMEDIATE: lnpbrian.h.gch
lnpbrian.h.gch: lnpbrian.h $(H_SRCS)
	$(CXX) $(PLAIN) -x c++-header $< -o $@
"""


class DeviceError(InvalidInput):
    """A program could not be compiled, failed, or did not use the values that it was handed."""


@dataclass(frozen=True, repr=False)
class ProjectRun:
    """What a run of a program left.

    Parameters
    ----------
    results, echoes : dict of ndarray
        Arrays that the program wrote, by the names of its description.
    seconds : dict of float
        Wall-clock time: "write" the values, "program" from start to end, of which "simulation", and "read" the results.
    """

    results: dict[str, np.ndarray]
    echoes: dict[str, np.ndarray]
    seconds: dict[str, float]

    def __repr__(self) -> str:
        return f"ProjectRun({', '.join(self.results)}; {self.seconds['program']:.3g} s)"


class Project:
    """A compiled program of a standalone device.

    Parameters
    ----------
    describe : callable
        Function of a module that builds the Brian2 objects of `program` on the active device.
    program : object
        What `describe` takes; it has a `duration` in seconds.
    device : {"cpp_standalone", "cuda_standalone"}
        Brian2 device.
    directory : path, optional
        Folder for the project, empty or new; it is kept. Without one a temporary folder is used, and removed by
        `close`, at the end of the program, and if this process is killed.

    Raises
    ------
    InvalidInput
        If a value is out of range or the folder is not empty.
    DeviceError
        If the project cannot be generated or compiled.

    Attributes
    ----------
    directory : Path
        Where the project is.
    seconds : dict of float
        Wall-clock time to "generate" and to "compile" it.
    """

    def __init__(
        self,
        describe: Callable[[Any], Any],
        program: Any,
        *,
        device: str = "cpp_standalone",
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        checks.choice("device", device, DEVICES)
        _require_tools(device)
        if directory is None:
            self.directory = Path(tempfile.mkdtemp(prefix="lnpbrian_"))
        else:
            self.directory = checks.writable_directory("directory", directory).resolve()
            if any(self.directory.iterdir()):
                raise InvalidInput(f"directory {str(self.directory)!r} is not empty; name a new one")
        self._lock = threading.Lock()
        self._keeper = _start_keeper("" if directory is not None else str(self.directory))
        self._close = weakref.finalize(self, _end_keeper, self._keeper)
        self.seconds: dict[str, float] = {}
        self.runs = 0
        try:
            self._build(describe, program, device)
        except BaseException:
            self.close()
            raise

    def _build(self, describe: Callable[[Any], Any], program: Any, device: str) -> None:
        with open(self.directory / _REQUEST, "wb") as request:
            pickle.dump((describe, program, device), request)
        # The child imports what this process does, wherever that was found.
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        code = "import sys; from lnpbrian.network.project import generate; generate(sys.argv[1])"
        command = [sys.executable, "-c", code]
        self._job("generate", [*command, str(self.directory)], {"PYTHONPATH": path})
        jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._job("compile", ["make", f"-j{jobs}"], {})
        self._manifest = json.loads((self.directory / _MANIFEST).read_text())

    def _job(self, name: str, command: list[str], env: dict[str, str]) -> None:
        log = self.directory / f"{name}.log"
        status, self.seconds[name] = self._execute(command, log, env)
        if status:
            raise DeviceError(f"the project could not be {name}d (exit status {status}):\n{_tail(log, 12)}")

    def _execute(self, command: list[str], log: Path, env: Mapping[str, str]) -> tuple[int, float]:
        """Run a command in the folder of the project through the keeper; return its exit status and seconds."""
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        job = {"command": command, "cwd": str(self.directory), "log": str(log), "env": dict(env)}
        forget_failed_runs()
        try:
            self._keeper.stdin.write(json.dumps(job) + "\n")
            self._keeper.stdin.flush()
            line = self._keeper.stdout.readline()
        except BrokenPipeError as error:
            raise DeviceError("the process that keeps the program has died; compile the network again") from error
        except BaseException:
            # Ctrl-C: the job ends, and its answer is taken away. The last answer is that to "cancel", whether or not
            # the job has begun, or has ended before.
            with Held(), contextlib.suppress(OSError):
                self._keeper.stdin.write("cancel\n")
                self._keeper.stdin.flush()
                while (line := self._keeper.stdout.readline()) and "cancelled" not in json.loads(line):
                    pass
            raise
        if not line:
            raise DeviceError("the process that keeps the program has died; compile the network again")
        answer = json.loads(line)
        if answer["error"]:
            raise DeviceError(f"{command[0]} cannot be started ({answer['error']})")
        return answer["status"], answer["seconds"]

    def run(self, values: Mapping[str, np.ndarray]) -> ProjectRun:
        """Run the program with `values`, by the names of its arrays.

        Raises
        ------
        DeviceError
            If the program fails, or the project was closed.
        """
        with self._lock:
            if not self._close.alive:
                raise DeviceError("the program was closed; compile the network again")
            self.runs += 1
            # A new folder for every run: nothing of an earlier one can be taken for its results.
            folder = self.directory / f"run_{self.runs}"
            folder.mkdir()
            try:
                return self._run(values, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _run(self, values: Mapping[str, np.ndarray], folder: Path) -> ProjectRun:
        start = time.perf_counter()
        arguments = self._hand_over(values, folder)
        written = time.perf_counter()
        log = folder / "log"
        status, seconds = self._execute(["./main", "--results_dir", f"{folder.name}/", *arguments], log, {})
        if status:
            raise DeviceError(f"the program failed (exit status {status}):\n{_tail(log, 12)}")
        finished = time.perf_counter()
        info = folder / "last_run_info.txt"
        simulation, fraction = map(float, info.read_text().split()) if info.exists() else (0.0, 0.0)
        if fraction < 1:
            raise DeviceError(f"the program stopped after {100 * fraction:.0f} % of the run:\n{_tail(log, 12)}")
        parts = {
            part: {name: _read(folder / file, dtype) for name, (file, dtype) in self._manifest[part].items()}
            for part in ("results", "echoes")
        }
        return ProjectRun(
            **parts,
            seconds={
                "write": written - start,
                "program": seconds,
                "simulation": simulation,
                "read": time.perf_counter() - finished,
            },
        )

    def _hand_over(self, values: Mapping[str, np.ndarray], folder: Path) -> list[str]:
        """Write `values` and return the arguments that name them."""
        arguments = []
        for name, array in values.items():
            array.tofile(folder / f"{name}.dat")
            arguments.append(f"{name}.values={folder.name}/{name}.dat")
        return arguments

    def close(self) -> None:
        """End the keeper, and remove the folder if it is a temporary one; the program can run no more."""
        self._close()

    def __repr__(self) -> str:
        return f"Project({str(self.directory)!r}{'' if self._close.alive else ', closed'})"


def verify(asked: Mapping[str, np.ndarray], used: Mapping[str, np.ndarray]) -> None:
    """Refuse a run whose program used other values than it was handed.

    Raises
    ------
    DeviceError
        Naming the first value that differs.

    Examples
    --------
    >>> verify({"tau_m": np.array([0.01, 0.02])}, {"tau_m": np.array([0.01, 0.0])})
    Traceback (most recent call last):
    lnpbrian.network.project.DeviceError: the program did not use what it was handed: tau_m differs in 1 of 2 ...
    """
    head = "the program did not use what it was handed"
    for name, wanted in asked.items():
        if name not in used:
            raise DeviceError(f"{head}: it reports no {name}; compile the network again")
        got = used[name]
        if got.shape != wanted.shape:
            raise DeviceError(f"{head}: {name} has {got.size} entries, not {wanted.size}; compile the network again")
        wrong = np.flatnonzero(got != wanted)
        if wrong.size:
            raise DeviceError(
                f"{head}: {name} differs in {wrong.size} of {wanted.size} entries, first in entry {wrong[0]}, "
                f"where {wanted[wrong[0]]} was asked and {got[wrong[0]]} used; compile the network again"
            )


def _read(path: Path, dtype: str) -> np.ndarray:
    # An empty dynamic array leaves no file, or an empty one.
    return np.fromfile(path, dtype=dtype) if path.exists() else np.zeros(0, dtype=dtype)


def _tail(log: Path, lines: int) -> str:
    text = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return "\n".join(text[-lines:]) or "it printed nothing"


def _require_tools(device: str) -> None:
    if device == "cuda_standalone":
        importlib.import_module("lnpbrian.network.cuda").require_tools()
    if os.name != "posix":
        raise DeviceError(f"compiled networks need Linux or macOS, not {sys.platform}; use Brian2's runtime mode")
    compiler = os.environ.get("CXX", "g++").split()[0]
    for tool, remedy in ((compiler, "a C++ compiler such as g++"), ("make", "GNU make")):
        if shutil.which(tool) is None:
            raise DeviceError(f"device={device!r} needs {tool!r}, which was not found; install {remedy}")


def _start_keeper(directory: str) -> subprocess.Popen[str]:
    # Out of the reach of Ctrl-C: this process says when a job ends.
    return subprocess.Popen(
        [sys.executable, "-I", str(_KEEPER), directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _end_keeper(keeper: subprocess.Popen[str]) -> None:
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    with contextlib.suppress(OSError):
        keeper.stdin.close()
    keeper.wait()
    keeper.stdout.close()


def generate(directory: str) -> None:
    """Write the sources of the project that was asked for in `directory`; for a process of its own.

    The module ``lnpbrian.network.cuda`` prepares and finishes projects of ``cuda_standalone``.
    """
    prefs.logging.file_log = False
    prefs.logging.std_redirection = False
    BrianLogger.suppress_name("resolution_conflict")
    with open(os.path.join(directory, _REQUEST), "rb") as request:
        describe, program, device = pickle.load(request)
    cuda: ModuleType | None = importlib.import_module("lnpbrian.network.cuda") if device == "cuda_standalone" else None
    if cuda is not None:
        cuda.prepare(directory)
    set_device(device, build_on_run=False, directory=directory)
    description = describe(program)
    run_network(description.network, program.duration * second, namespace={})
    get_device().build(directory=directory, compile=False, run=False)
    if cuda is None:
        _share_headers(Path(directory))
    manifest = {
        part: {
            name: (get_device().get_array_filename(variable), np.dtype(variable.dtype).str)
            for name, variable in getattr(description, part).items()
        }
        for part in ("results", "echoes")
    }
    Path(directory, _MANIFEST).write_text(json.dumps(manifest))
    if cuda is not None:
        cuda.finish(directory)


def _share_headers(project: Path) -> None:
    headers = [f'#include "{name}"' for name in ("objects.h", "brianlib/common_math.h", "brianlib/stdint_compat.h")]
    (project / "lnpbrian.h").write_text("\n".join([*headers, *(f"#include <{name}>" for name in _SHARED), ""]))
    with open(project / "makefile", "a") as makefile:
        makefile.write(_SHARED_FIRST)
