"""Where the tasks of a sweep run: in processes of this machine, or at the workers of a Dask scheduler."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import queue
import re
import shutil
import signal
import threading
import time
import urllib.parse
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import brian2

from lnpbrian import checks
from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.parallel import SINGLE_THREAD, Event, Pool, cores, first_line, machine_memory, prepare_worker
from lnpbrian.sweep.sources import code_of

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
        Address of a running Dask scheduler, ``tcp://host:port`` or, with the certificates that Dask's configuration
        names, ``tls://host:port``, whose workers are used instead. They need one thread each: ``dask worker --nthreads
        1 --nworkers 4 tcp://host:port``.
    slurm : Mapping, optional
        Arguments of ``dask_jobqueue.SLURMCluster``: jobs are submitted to a batch system instead. Each of the `cores`
        of a job (default 1) is a worker. What they say to each other is encrypted and signed by a key of this run,
        which its jobs read from files of the user alone in `shared_temp_directory` (default the present folder).
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
    notes : sequence of str
        What users should know of them.
    """

    count: int
    dashboard: str

    @property
    def notes(self) -> Sequence[str]:
        """See above."""
        ...

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
            yield DaskWorkers(client, options)
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
    options : ClusterOptions
        What it was opened with.

    Raises
    ------
    InvalidInput
        By its methods, if the scheduler is gone; by `idle`, if all workers are refused.

    Notes
    -----
    Each worker is asked before its first call, those too that come or are started again later. One that has several
    threads, other code or other versions of what that stands on gets none.

    Dask: Rocklin 2015, doi:10.25080/Majora-7b98e3ed-013.
    """

    def __init__(self, client: Any, options: ClusterOptions) -> None:
        self.count = 0
        self.dashboard = client.dashboard_link or ""
        self._client = client
        self._needed = options.workers or 1
        self._code = code_of("lnpbrian.sweep.tasks")
        self._preparation = partial(
            _prepare_dask_worker,
            caches=None if options.caches is None else str(Path(options.caches).absolute()),
            target=brian2.prefs.codegen.target,
            # Ctrl-C reaches all processes of a terminal; who ends workers that were started here is their parent.
            ignore_interrupts=options.scheduler is None,
        )
        self._given: dict[Any, _Given] = {}
        self._told: queue.SimpleQueue[Event] = queue.SimpleQueue()
        # Why a worker is refused, empty if it is not, None while it is asked.
        self._verdicts: dict[tuple[str, str], str | None] = {}
        client.subscribe_topic(TOPIC, lambda event: self._told.put((tuple(event[1][0]), "progress", event[1][1])))

    @property
    def notes(self) -> list[str]:
        """Which workers are refused, and why."""
        return [f"worker {address} is refused: {why}" for (address, _), why in self._verdicts.items() if why]

    def idle(self) -> list[str]:
        """Return the workers that can be given a call: a second one would be blamed if the first killed them."""
        everybody = self._workers()
        verdicts = {address: self._verdict(address, state) for address, state in everybody.items()}
        workers = {address: everybody[address] for address, why in verdicts.items() if why == ""}
        self.count = len(workers)
        if len(verdicts) >= self._needed and all(verdicts.values()):
            raise InvalidInput(f"no worker can be used; {self.notes[-1]}")
        now = time.perf_counter()
        for ticket, given in self._given.items():
            if given.worker in workers:
                given.seen = now
            elif now - given.seen > GRACE and not given.future.done():
                # The call waits for a worker that is gone, and the scheduler is content with that.
                self._told.put((ticket, "died", None))
        busy = {given.worker for given in self._given.values()}
        return [name for name, state in workers.items() if name not in busy and state["status"] == "running"]

    def _verdict(self, address: str, state: Mapping[str, Any]) -> str | None:
        """Return why a worker is refused; of one that is not known yet None, and ask it."""
        # A process that is started again may have the address of the one before, but not its folder.
        process = (address, state["local_directory"])
        if process not in self._verdicts:
            self._verdicts[process] = None
            # One that hangs holds nobody up.
            threading.Thread(target=self._ask, args=(process, state["nthreads"]), daemon=True).start()
        return self._verdicts[process]

    def _ask(self, process: tuple[str, str], threads: int) -> None:
        self._verdicts[process] = self._examine(process[0], threads)
        self._told.put(((), "asked", None))

    def _examine(self, address: str, threads: int) -> str:
        """Compare a worker with this process, and prepare it."""
        if threads != 1:
            return f"it has {threads} threads, but a task needs a process; start: dask worker --nthreads 1"
        try:
            (code,) = self._client.run(self._code.here, workers=[address]).values()
            if different := code.difference(self._code):
                return f"it has other code than this process ({different}); install the same versions"
            self._client.run(self._preparation, workers=[address])
        except Exception as error:
            return f"it cannot be prepared for lnpbrian {__version__} ({first_line(error)}); install the same version"
        return ""

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
    """Give a ``distributed.Client`` of a running or a SLURM cluster.

    Raises
    ------
    InvalidInput
        If Dask is not installed, if the scheduler cannot be reached or has no workers, or if jobs cannot be submitted.

    Notes
    -----
    Dask: Rocklin 2015, doi:10.25080/Majora-7b98e3ed-013. SLURM: Yoo, Jette and Grondona 2003, doi:10.1007/10968987_3.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InvalidInput("other machines are reached through Dask; pip install 'lnpbrian[sweep]'") from error

    if options.scheduler is None:
        import dask

        if shutil.which("sbatch") is None:
            raise InvalidInput("sbatch is not found; SLURM jobs are submitted on a machine of the cluster that has it")
        with dask.config.set(SCHEDULER_CONFIG), _slurm(options.slurm or {}, options.dashboard) as cluster:
            # Jobs that end at their time limit are submitted again.
            cluster.adapt(minimum_jobs=options.workers or 1, maximum_jobs=options.workers or 1)
            try:
                with Client(cluster, set_as_default=False) as client:
                    yield client
            finally:
                # Files with the key, which dask-jobqueue leaves to the garbage collection.
                for name, value in vars(cluster).items():
                    if name.startswith("_job_") and hasattr(value, "close"):
                        value.close()
        return
    with _connected(options.scheduler) as client:
        if not client.scheduler_info()["workers"]:
            raise InvalidInput(
                f"the scheduler at {options.scheduler!r} has no workers; "
                f"start some with: dask worker --nthreads 1 --nworkers 2 {options.scheduler}"
            )
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
        complete = parts.scheme in ("tcp", "tls") and parts.hostname and parts.port
    except ValueError:
        complete = False
    if not complete:
        raise InvalidInput(f"scheduler must be an address such as tcp://host:8786, got {address!r}")


# What is decided here, or goes another way.
_NOT_FOR_SLURM = {
    **dict.fromkeys(("security", "protocol"), "workers are reached by TLS with a key of this run"),
    **dict.fromkeys(("n_workers", "scheduler", "job_cls", "scheduler_cls", "loop", "asynchronous"), "it is set here"),
    **dict.fromkeys(("dashboard_address", "host"), "it is one of scheduler_options"),
}
_LISTS = (
    *("job_script_prologue", "job_extra_directives", "job_directives_skip", "worker_extra_args"),
    *("env_extra", "job_extra", "header_skip", "extra"),  # their former names
)


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Keep what Ctrl-C does: dask-jobqueue makes it end the process, from when it is imported."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def _slurm(arguments: Mapping[str, Any], dashboard: str | None = None) -> Any:
    """Return a cluster that has not submitted anything yet."""
    try:
        import dask

        with _own_interrupts():
            from dask_jobqueue import SLURMCluster
            from dask_jobqueue.core import Job
        from distributed.security import Security

        security = Security.temporary()
    except ImportError as error:
        raise InvalidInput(
            "SLURM needs dask-jobqueue and cryptography; pip install 'lnpbrian[sweep]' cryptography"
        ) from error
    given = _require_slurm_arguments(arguments, (SLURMCluster, SLURMCluster.job_cls, Job))
    site = dask.config.get(f"jobqueue.{given.get('config_name', 'slurm')}", None)
    if site is None:
        raise InvalidInput(
            f"jobqueue.yaml has no section {given['config_name']!r}; leave out config_name, or write one"
        )

    def chosen(name: str) -> Any:
        return given[name] if name in given else site.get(name.replace("_", "-"))

    given["cores"] = chosen("cores") or 1
    given["processes"] = chosen("processes") or given["cores"]
    # dask-jobqueue leaves out the one if the other is there. Modules may set threads, so these lines come last.
    before = [*(chosen("env_extra") or ()), *(chosen("job_script_prologue") or ())]
    given["job_script_prologue"] = before + [f"export {name}='{value}'" for name, value in SINGLE_THREAD.items()]
    given.pop("env_extra", None)
    given["scheduler_options"] = {
        "dashboard_address": dashboard or "127.0.0.1:0",
        **site.get("scheduler-options", {}),
        **given.get("scheduler_options", {}),
    }
    if decided := {"protocol", "security"} & set(given["scheduler_options"]):
        raise InvalidInput(f"scheduler_options of SLURM cannot set {decided.pop()!r}; {_NOT_FOR_SLURM['protocol']}")
    try:
        with warnings.catch_warnings():
            # Of former names, and of the folder of the key: it is the present one.
            warnings.simplefilter("ignore")
            cluster = SLURMCluster(**given, security=security, protocol="tls")
    except (TypeError, ValueError, KeyError, RuntimeError, OSError) as error:
        raise InvalidInput(f"the arguments of the SLURM cluster do not fit: {first_line(error)}") from error
    threads = set(re.findall(r"--nthreads[ =](\S+)", cluster.job_script()))
    if threads != {"1"}:
        cluster.close()
        raise InvalidInput(
            f"SLURM workers would have {' or '.join(sorted(threads))} threads, but a task needs a process; "
            "leave out processes and --nthreads, a job has one worker for each of its cores then"
        )
    return cluster


def _require_slurm_arguments(arguments: Mapping[str, Any], classes: Iterable[type]) -> dict[str, Any]:
    """Return arguments that dask-jobqueue knows, and can use; those that are None are left to the site."""
    known = {
        name
        for kind in classes
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    for name, value in given.items():
        if name in _NOT_FOR_SLURM:
            raise InvalidInput(f"leave {name!r} out of the arguments of SLURM: {_NOT_FOR_SLURM[name]}")
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known - set(_NOT_FOR_SLURM)))}"
            )
            raise InvalidInput(f"SLURM has no argument {name!r}; {hint}")
        if name in _LISTS and (isinstance(value, str) or not all(isinstance(line, str) for line in _items(value))):
            raise InvalidInput(f"{name} of SLURM must be a list of lines, got {value!r}; write [{str(value)!r}]")
        if name in ("cores", "processes", "job_cpu"):
            checks.count(f"{name} of SLURM", value)
        if name == "scheduler_options" and not isinstance(value, Mapping):
            raise InvalidInput(f"scheduler_options of SLURM must be a table of options, got {value!r}")
        if name == "walltime" and not re.fullmatch(r"(\d+-)?\d+(:\d+){0,2}", str(value)):
            raise InvalidInput(f"walltime of SLURM must be minutes, hh:mm:ss or days-hh:mm:ss, got {value!r}")
    return given


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, Sequence) else [None]


def _prepare_dask_worker(*, ignore_interrupts: bool, **arguments: Any) -> None:
    if ignore_interrupts and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare_worker(**arguments)
