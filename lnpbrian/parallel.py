"""Processes of this machine that are given calls one by one, and report while they work; no port is opened."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import platform
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import brian2

from lnpbrian.checks import InvalidInput
from lnpbrian.process import frozen_garbage

__all__ = ["Event", "Pool", "cores", "machine_memory", "prepare_worker", "run_parts"]

# What the call with a ticket has to tell: "progress" (the arguments of its report), "result", "error", or "died".
Event = tuple[Any, str, Any]
Report = Callable[[float], None]

# One task, one core: the libraries below must not start threads of their own.
SINGLE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
# So many processes in a row may die before they are ready.
STARTS = 3


@dataclass(eq=False)
class _Worker:
    process: Any
    connection: Connection
    ready: bool = False
    ticket: Hashable | None = None


class Pool:
    """Worker processes that take one call at a time; one that dies is replaced.

    Parameters
    ----------
    workers : int
        Number of processes.
    prepare : callable
        Called without arguments in every process before anything else; picklable.
    environment : Mapping of str to str, optional
        Environment variables of the processes beside those of this one.
    memory_limit : int, optional
        Bytes; a process that holds more is killed. Needs ``/proc``.
    script : bool
        Whether processes import the script that runs, which calls of its own functions need; it must have the guard
        ``if __name__ == "__main__":`` then.

    Raises
    ------
    InvalidInput
        By `events`, if processes cannot be started or prepared.

    Notes
    -----
    Processes are spawned. They ignore Ctrl-C, which reaches all processes of a terminal, and end with the block, or
    when this process is killed. Calls go through pipes.
    """

    dashboard = ""
    notes = ()

    def __init__(
        self,
        workers: int,
        *,
        prepare: Callable[[], None],
        environment: Mapping[str, str] | None = None,
        memory_limit: int | None = None,
        script: bool = True,
    ) -> None:
        self.count = workers
        self._prepare = prepare
        self._environment = environment or {}
        self._memory_limit = memory_limit
        self._script = script
        self._failed_starts = 0
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        try:
            for _ in range(self.count):
                self._start()
        except BaseException:
            self.__exit__(RuntimeError)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for worker in self._workers:
            worker.connection.close()
            if kind is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            worker.process.kill()
            worker.process.join()

    def idle(self) -> list[_Worker]:
        """Return the workers that can be given a call."""
        return [worker for worker in self._workers if worker.ready and worker.ticket is None]

    def submit(self, worker: _Worker, ticket: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Let a worker call ``function(*arguments, report=...)``; what it tells comes with `ticket` from `events`."""
        worker.ticket = ticket
        # One that has just died is noticed with the next events.
        with suppress(OSError):
            worker.connection.send((function, arguments))

    def events(self, timeout: float) -> list[Event]:
        """Return what workers have to tell, after at most `timeout` seconds."""
        found: list[Event] = []
        talking = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(talking), timeout):
            worker = talking[connection]  # type: ignore[index]
            try:
                message = worker.connection.recv_bytes()
            except (EOFError, OSError):
                self._replace(worker)
                if worker.ticket is not None:
                    found.append((worker.ticket, "died", None))
                continue
            try:
                kind, value = pickle.loads(message)
            except Exception as error:
                kind, value = "error", error
            if kind == "ready":
                worker.ready, self._failed_starts = True, 0
            elif kind == "unprepared":
                raise InvalidInput(f"the worker processes cannot be prepared ({first_line(value)})") from value
            else:
                found.append((worker.ticket, kind, value))
                worker.ticket = worker.ticket if kind == "progress" else None
        for worker in self._workers if self._memory_limit else ():
            if _resident(worker.process.pid) > (self._memory_limit or 0):
                worker.process.kill()
        return found

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        arguments = (there, self._prepare, brian2.prefs.codegen.target)
        process = context.Process(target=_serve, args=arguments, daemon=True)
        # Ctrl-C is for this process: a child is born deaf to it, and this one hears it after the start. Not the first
        # one, if it were that which starts Python's tracker of resources: that makes this process hear it again.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with _variables(self._environment), nullcontext() if self._script else _no_script():
                process.start()
            self._workers.append(_Worker(process, here))
        finally:
            there.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _replace(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.kill()
        worker.process.join()
        self._failed_starts += not worker.ready
        if self._failed_starts >= STARTS:
            raise InvalidInput('the worker processes do not start; a script needs the guard if __name__ == "__main__":')
        self._start()


def _serve(connection: Connection, prepare: Callable[[], None], target: str) -> None:
    """Make calls until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _be_quiet(target)
    try:
        prepare()
    except Exception as error:
        _send(connection, "unprepared", error)
        return
    connection.send(("ready", None))
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            return
        try:
            function, arguments = pickle.loads(message)
            with frozen_garbage():
                answer = function(*arguments, report=lambda *told: connection.send(("progress", told)))
        except Exception as error:
            error.add_note("in a worker process:\n" + traceback.format_exc())
            _send(connection, "error", error)
        else:
            _send(connection, "result", answer)


def _send(connection: Connection, kind: str, value: Any) -> None:
    """Send what can be pickled; of anything else, that it cannot."""
    try:
        connection.send((kind, value))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        said = value if isinstance(value, BaseException) else error
        connection.send(("error", RuntimeError(f"{type(said).__name__}: {said}")))


def _end_with_parent() -> None:
    """Do not work on for a parent that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _be_quiet(target: str) -> None:
    brian2.prefs.logging.console_log_level = "ERROR"
    brian2.prefs.logging.warn_for_unused_objects = False
    brian2.prefs.codegen.target = target


def run_parts(work: Callable[..., Any], parts: Sequence[tuple], *, jobs: int, report: Report | None = None) -> list:
    """Return ``[work(*part, report=...) for part in parts]``, computed by up to `jobs` processes.

    Parameters
    ----------
    work : callable
        A function of a module, so that another process can import it; its last argument is `report`.
    parts : sequence of tuple
        Its other arguments, picklable.
    jobs : int
        Number of processes; with 1 the work is done in this one.
    report : callable, optional
        Called with the mean of the fractions that the parts have reported.

    Raises
    ------
    InvalidInput
        If a process was killed.

    Notes
    -----
    Processes are spawned: a script that asks for more than one job needs ``if __name__ == "__main__":``. They share the
    cache of compiled code and use this process's code generation target. What a part raises is raised here, at once.
    """
    fractions = [0.0] * len(parts)

    def note(k: int, fraction: float) -> None:
        fractions[k] = fraction
        if report is not None:
            report(sum(fractions) / len(parts))

    if jobs == 1 or len(parts) == 1:
        with frozen_garbage():
            return [work(*part, report=partial(note, k)) for k, part in enumerate(parts)]
    results: dict[int, Any] = {}
    waiting = list(enumerate(parts))[::-1]
    with Pool(min(jobs, len(parts)), prepare=_nothing) as pool:
        while len(results) < len(parts):
            for worker in pool.idle()[: len(waiting)]:
                k, part = waiting.pop()
                pool.submit(worker, k, work, *part)
            for k, kind, value in pool.events(0.2):
                if kind == "progress":
                    note(k, *value)
                elif kind == "result":
                    results[k] = value
                elif kind == "error":
                    raise value
                else:
                    raise InvalidInput("a process was killed, probably for lack of memory; use fewer jobs")
    return [results[k] for k in range(len(parts))]


def _nothing() -> None:
    """Prepare nothing."""


# ------------------------------------------------------------------------------------------------ workers of a sweep


# Keeps the lock of this worker's caches, and the limit of its threads.
_held: list[Any] = []


def prepare_worker(*, caches: str | None, target: str) -> None:
    """Make this process a worker: one thread for every library, quiet, with caches that no other process uses.

    Parameters
    ----------
    caches : str or None
        Folder of the caches of all workers; by default in ``$XDG_CACHE_HOME/lnpbrian`` or ``~/.cache/lnpbrian``.
    target : str
        Code generation target.
    """
    os.environ.update(SINGLE_THREAD)
    _be_quiet(target)
    if not _held:
        from threadpoolctl import threadpool_limits

        folder, lock = _own_folder(_default_caches() if caches is None else Path(caches))
        _held.extend([lock, threadpool_limits(1)])
        brian2.prefs.codegen.runtime.cython.cache_dir = str(folder / "cython")
        brian2.prefs.codegen.runtime.cython.multiprocess_safe = False
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "jax")


def _default_caches() -> Path:
    # Machines may share a home folder, but not compiled code.
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "lnpbrian" / (platform.node() or "workers")


def _own_folder(caches: Path) -> tuple[Path, Any]:
    """Return the first folder that no running process has locked, and its lock: caches stay warm between sweeps."""
    import fcntl

    k = 0
    while True:
        folder = caches / str(k)
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            k += 1
            continue
        return folder, lock


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the block: processes started in it inherit them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _no_script() -> Iterator[None]:
    """Hide the script that runs from processes that start in the block: they would import it."""
    script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_memory() -> int | None:
    """Return the bytes of memory that this process and its children may use; None where nothing says what they use."""
    if not Path("/proc/self/statm").exists():
        return None
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            limits.append(int((Path("/sys/fs/cgroup") / name).read_text()))
    return min(limits)


def _resident(pid: int) -> int:
    """Return the bytes of memory that a process holds, 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says.

    Examples
    --------
    >>> first_line(ValueError("no such file\\nlook elsewhere")), first_line(KeyboardInterrupt())
    ('no such file', 'KeyboardInterrupt')
    """
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
