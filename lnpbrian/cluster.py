"""Where the tasks of a sweep run: in processes of this machine, or at the workers of a Dask scheduler."""

from __future__ import annotations

import asyncio
import importlib
import os
import platform
import queue
import re
import signal
import threading
import time
import urllib.parse
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import brian2

from lnpbrian import checks
from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.parallel import SINGLE_THREAD, Event, Pool, cores, first_line, machine_memory, prepare_worker

__all__ = ["ClusterOptions", "DaskWorkers", "Workers", "open_client", "open_workers"]

TOPIC = "lnpbrian-progress"
# Seconds.
CONNECT_TIMEOUT = 10.0
# Seconds in which a scheduler tells by itself that a worker has died.
GRACE = 5.0
# A task may kill this many workers before it is given up.
DEATHS = 3

# Who hands out the tasks counts deaths, and chooses the worker of the next attempt.
SCHEDULER_CONFIG = {"distributed.scheduler.allowed-failures": 0}


@dataclass(frozen=True)
class ClusterOptions:
    """Where the tasks of a sweep run.

    Parameters
    ----------
    workers : int, optional
        Worker processes that are started on this machine, by default one for each core; with `slurm`, jobs (default 1).
    scheduler : str, optional
        Address of a running Dask scheduler, ``tcp://host:port``, whose workers are used instead. They need one thread
        each: ``dask worker --nthreads 1 --nworkers 4 tcp://host:port``.
    slurm : Mapping, optional
        Arguments of ``dask_jobqueue.SLURMCluster``: jobs are submitted to a batch system instead.
    memory_limit : str, optional
        Of each worker process on this machine, such as "8GiB"; one beyond it is started again, and its task too. By
        default the memory of the machine, shared out. Needs ``/proc``.
    dashboard : str, optional
        Address of Dask's dashboard, with `slurm`; any free port with None.
    caches : path-like, optional
        Folder of the workers' caches of compiled code, each in a folder of its own, which stay for the next sweep. By
        default in ``$XDG_CACHE_HOME/lnpbrian`` (or ``~/.cache/lnpbrian``) of the machine of the worker.

    Raises
    ------
    InvalidInput
        If a value is out of range, or values exclude each other.
    """

    workers: int | None = None
    scheduler: str | None = None
    slurm: Mapping[str, Any] | None = None
    memory_limit: str | None = None
    dashboard: str | None = "127.0.0.1:8787"
    caches: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.workers is not None:
            object.__setattr__(self, "workers", checks.count("workers", self.workers))
        given = [name for name in ("workers", "slurm", "memory_limit") if getattr(self, name) is not None]
        if self.scheduler is not None:
            _require_address(self.scheduler)
        if self.scheduler is not None and given:
            raise InvalidInput(f"a running scheduler has workers of its own; leave out either scheduler or {given[0]}")
        if self.slurm is not None and self.memory_limit is not None:
            raise InvalidInput("the memory of SLURM jobs is one of their arguments; give slurm={'memory': ...} instead")
        if self.memory_limit is not None:
            _bytes(self.memory_limit)
            if machine_memory() is None:
                raise InvalidInput("the memory of workers cannot be watched on this system; leave memory_limit out")


def _bytes(text: str) -> int:
    """Return a size such as "8GiB" or "500 MB" in bytes."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", str(text).lower())
    if not found or not float(found[1]):
        raise InvalidInput(f"memory_limit must be a size such as 8GiB, got {text!r}")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** " kmgt".index(found[2] or " "))


class Workers(Protocol):
    """Those who do the tasks of a sweep, one at a time each.

    Attributes
    ----------
    count : int
        How many there are.
    dashboard : str
        Address of a page that shows what they do; empty if there is none.
    """

    count: int
    dashboard: str

    def idle(self) -> list[Any]:
        """Return the workers that can be given a call."""
        ...

    def submit(self, worker: Any, ticket: Hashable, function: Callable[..., Any], *arguments: Any) -> None:
        """Let a worker call ``function(*arguments, report=...)``."""
        ...

    def events(self, timeout: float) -> list[Event]:
        """Return what workers have to tell, after at most `timeout` seconds."""
        ...


@contextmanager
def open_workers(options: ClusterOptions, *, script: bool = True) -> Iterator[Workers]:
    """Give workers that are prepared; those that were started here end with the block.

    Parameters
    ----------
    options : ClusterOptions
        Where they run.
    script : bool
        Whether they must know the functions of the script that runs; see `Pool`.

    Raises
    ------
    InvalidInput
        See `open_client`; or if processes cannot be started.
    """
    if options.scheduler is not None or options.slurm is not None:
        with open_client(options) as client:
            yield DaskWorkers(client)
        return
    workers = options.workers or cores()
    memory = machine_memory()
    caches = None if options.caches is None else str(Path(options.caches).absolute())
    with Pool(
        workers,
        prepare=partial(prepare_worker, caches=caches, target=brian2.prefs.codegen.target),
        environment=SINGLE_THREAD,
        memory_limit=_bytes(options.memory_limit) if options.memory_limit else memory and memory // workers,
        script=script,
    ) as pool:
        yield pool


@dataclass
class _Given:
    """A call at a worker, and when that was last seen."""

    future: Any
    worker: str
    seen: float


class DaskWorkers:
    """The workers of a Dask client, as `Workers`.

    Parameters
    ----------
    client : distributed.Client
        Of `open_client`.

    Raises
    ------
    InvalidInput
        By its methods, if the scheduler is gone.
    """

    def __init__(self, client: Any) -> None:
        self.count = 0
        self.dashboard = client.dashboard_link or ""
        self._client = client
        self._given: dict[Any, _Given] = {}
        self._told: queue.SimpleQueue[Event] = queue.SimpleQueue()
        client.subscribe_topic(TOPIC, lambda event: self._told.put((tuple(event[1][0]), "progress", event[1][1])))

    def idle(self) -> list[str]:
        """Return the workers that can be given a call: a second one would be blamed if the first killed them."""
        workers = self._workers()
        self.count = len(workers)
        now = time.perf_counter()
        for ticket, given in self._given.items():
            if given.worker in workers:
                given.seen = now
            elif now - given.seen > GRACE and not given.future.done():
                # The call waits for a worker that is gone, and the scheduler is content with that.
                self._told.put((ticket, "died", None))
        busy = {given.worker for given in self._given.values()}
        return [name for name, state in workers.items() if name not in busy and state["status"] == "running"]

    def submit(self, worker: str, ticket: Any, function: Callable[..., Any], *arguments: Any) -> None:
        """Let a worker call ``function(*arguments, report=...)``."""
        key = "-".join(("lnpbrian", *map(str, ticket)))
        with self._watched(), warnings.catch_warnings():
            # Arguments are sent whole on purpose: data that lived on a worker would die with it.
            warnings.filterwarnings("ignore", message="Sending large graph")
            future = self._client.submit(_call, ticket, function, arguments, key=key, workers=[worker], pure=False)
        self._given[ticket] = _Given(future, worker, time.perf_counter())
        future.add_done_callback(lambda _: self._told.put((ticket, "done", None)))

    def events(self, timeout: float) -> list[Event]:
        """Return what workers have to tell, after at most `timeout` seconds."""
        try:
            ticket, kind, value = self._told.get(timeout=timeout)
        except queue.Empty:
            return []
        if ticket not in self._given:
            return []
        if kind == "progress":
            return [(ticket, kind, value)]
        future = self._given.pop(ticket).future
        if kind == "done":
            kind, value = self._outcome(future)
        future.release()
        return [(ticket, kind, value)]

    def _outcome(self, future: Any) -> tuple[str, Any]:
        try:
            return "result", future.result()
        except (Exception, CancelledError) as error:
            if self._lost(error):
                raise _LOST from error
            # Whatever a task raises is its own failure; the others go on.
            return ("died", None) if type(error).__name__ == "KilledWorker" else ("error", error)

    def _workers(self) -> Mapping[str, Any]:
        with self._watched():
            return self._client.scheduler_info()["workers"]

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:
            if self._lost(error):
                raise _LOST from error
            raise

    def _lost(self, error: BaseException) -> bool:
        return self._client.status != "running" or isinstance(error, CancelledError)


_LOST = InvalidInput("the scheduler is gone; what is finished is kept, the same call goes on with what is missing")


def _call(ticket: Any, function: Callable[..., Any], arguments: tuple) -> Any:
    """Make a call on a Dask worker."""
    worker = importlib.import_module("distributed").get_worker()
    return function(*arguments, report=lambda *told: worker.log_event(TOPIC, [ticket, told]))


@contextmanager
def open_client(options: ClusterOptions) -> Iterator[Any]:
    """Give a ``distributed.Client`` of a running or a SLURM cluster, whose workers are prepared.

    Raises
    ------
    InvalidInput
        If Dask is not installed, if the scheduler cannot be reached or has no workers, if jobs cannot be submitted, or
        if workers have several threads, another Python or another version of lnpbrian.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InvalidInput("other machines are reached through Dask; pip install 'lnpbrian[sweep]'") from error

    if options.scheduler is None:
        import dask

        with dask.config.set(SCHEDULER_CONFIG), _slurm(options) as cluster:
            # Jobs that end at their time limit are submitted again.
            cluster.adapt(minimum_jobs=options.workers or 1, maximum_jobs=options.workers or 1)
            with Client(cluster, set_as_default=False) as client:
                _prepare(client, options)
                yield client
        return
    with _connected(options.scheduler) as client:
        if not client.scheduler_info()["workers"]:
            raise InvalidInput(
                f"the scheduler at {options.scheduler!r} has no workers; "
                f"start some with: dask worker --nthreads 1 --nworkers 2 {options.scheduler}"
            )
        _prepare(client, options)
        yield client


def _connected(address: str) -> Any:
    from distributed import Client
    from distributed.comm import connect

    async def greet() -> None:
        comm = await asyncio.wait_for(connect(address, timeout=CONNECT_TIMEOUT), 1.5 * CONNECT_TIMEOUT)
        comm.abort()

    try:
        # Before Dask's client, which may wait for ever where no scheduler is.
        with ThreadPoolExecutor(1) as thread:  # a notebook has a running loop
            thread.submit(lambda: asyncio.run(greet())).result()
        return Client(address, timeout=CONNECT_TIMEOUT, set_as_default=False)
    except OSError as error:
        raise InvalidInput(
            f"no scheduler answers at {address!r} ({first_line(error)}); start one with: dask scheduler"
        ) from error


def _require_address(address: str) -> None:
    try:
        parts = urllib.parse.urlsplit(address)
        complete = parts.scheme == "tcp" and parts.hostname and parts.port
    except ValueError:
        complete = False
    if not complete:
        raise InvalidInput(f"scheduler must be an address such as tcp://host:8786, got {address!r}")


def _slurm(options: ClusterOptions) -> Any:
    prologue = [f"export {name}='{value}'" for name, value in SINGLE_THREAD.items()]
    given = {"cores": 1, "processes": 1, **(options.slurm or {})}
    given["job_script_prologue"] = prologue + list(given.get("job_script_prologue", ()))
    given["scheduler_options"] = {
        "dashboard_address": options.dashboard or "127.0.0.1:0",
        **given.get("scheduler_options", {}),
    }
    try:
        return importlib.import_module("dask_jobqueue").SLURMCluster(**given)
    except ImportError as error:
        raise InvalidInput("SLURM needs dask-jobqueue; pip install 'lnpbrian[sweep]'") from error
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        raise InvalidInput(f"the arguments of the SLURM cluster do not fit: {first_line(error)}") from error


def _prepare(client: Any, options: ClusterOptions) -> None:
    from distributed import WorkerPlugin
    from distributed.comm import CommClosedError

    class Preparation(WorkerPlugin):
        """Prepares every worker, those too that come or are started again later."""

        name = "lnpbrian"

        def __init__(self, **arguments: Any) -> None:
            self.arguments = arguments

        def setup(self, worker: Any) -> None:
            _prepare_dask_worker(threads=worker.state.nthreads, **self.arguments)

    plugin = Preparation(
        client_has=about(),
        caches=None if options.caches is None else str(Path(options.caches).absolute()),
        target=brian2.prefs.codegen.target,
        # Ctrl-C reaches all processes of a terminal; who ends workers that were started here is their parent.
        ignore_interrupts=options.scheduler is None,
    )
    for attempt in range(DEATHS):
        try:
            found = set(client.run(about).values())
            for other in sorted(found - {about()}):
                raise InvalidInput(f"workers have {other}, this is {about()}; install the same versions")
            client.register_plugin(plugin)
            return
        except InvalidInput:
            raise
        except CommClosedError as error:
            # A worker died; another one takes its place.
            if attempt == DEATHS - 1:
                raise InvalidInput(f"workers die when they load lnpbrian ({first_line(error)})") from error
        except Exception as error:
            raise InvalidInput(f"the workers cannot be prepared for lnpbrian ({first_line(error)})") from error


def about() -> str:
    """Return what must be the same everywhere."""
    return f"lnpbrian {__version__} on Python {'.'.join(platform.python_version_tuple()[:2])}"


def _prepare_dask_worker(*, client_has: str, threads: int, ignore_interrupts: bool, **arguments: Any) -> None:
    if about() != client_has:
        raise InvalidInput(f"a worker has {about()}, the client has {client_has}; install the same versions")
    if threads != 1:
        raise InvalidInput(
            f"a worker has {threads} threads, but a task needs a process; start: dask worker --nthreads 1"
        )
    if ignore_interrupts and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare_worker(**arguments)
