"""Dask clusters whose workers do not get into each other's way."""

from __future__ import annotations

import asyncio
import importlib
import os
import platform
import signal
import threading
import urllib.parse
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brian2

from lnpbrian import checks
from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput

__all__ = ["ClusterOptions", "open_client"]

# One task, one core: the libraries below must not start threads of their own.
SINGLE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
# Seconds.
CONNECT_TIMEOUT = 10.0
# A task may kill this many workers before it is given up.
DEATHS = 3

# Who hands out the tasks counts deaths, and chooses the worker of the next attempt.
SCHEDULER_CONFIG = {"distributed.scheduler.allowed-failures": 0}
LOCAL_CONFIG = {
    **SCHEDULER_CONFIG,
    "distributed.worker.multiprocessing-method": "spawn",
    # A worker that is started again imports for long on a busy machine; it would be given up meanwhile.
    "distributed.deploy.lost-worker-timeout": "1 day",
    # Compiled code may hold the interpreter for long; a process that ended is noticed without a heartbeat.
    "distributed.scheduler.worker-ttl": None,
    # A worker that is paused for its memory would never be asked again, since nothing of it can be spilt to disk.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}


@dataclass(frozen=True)
class ClusterOptions:
    """Where the tasks of a sweep run.

    Parameters
    ----------
    workers : int, optional
        Worker processes that are started on this machine, by default one for each core; with `slurm`, jobs (default 1).
    scheduler : str, optional
        Address of a running scheduler, ``tcp://host:port``, whose workers are used instead. They need one thread each:
        ``dask worker --nthreads 1 --nworkers 4 tcp://host:port``.
    slurm : Mapping, optional
        Arguments of ``dask_jobqueue.SLURMCluster``: jobs are submitted to a batch system instead.
    memory_limit : str, optional
        Of each worker started here, such as "8GiB"; a worker beyond it is started again, and its task too. By default
        the memory of the machine, shared out.
    dashboard : str, optional
        Address of Dask's dashboard; another free port is taken if this one is in use, or with None.
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


@contextmanager
def open_client(options: ClusterOptions) -> Iterator[Any]:
    """Give a ``distributed.Client`` whose workers are prepared; workers that were started here end with the block.

    Raises
    ------
    InvalidInput
        If the scheduler cannot be reached or has no workers, if workers cannot be started, or if they have several
        threads, another Python or another version of lnpbrian.
    """
    from distributed import Client

    if options.scheduler is None:
        with _started(options) as cluster, Client(cluster, set_as_default=False) as client:
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
            f"no scheduler answers at {address!r} ({_first_line(error)}); start one with: dask scheduler"
        ) from error


def _require_address(address: str) -> None:
    try:
        parts = urllib.parse.urlsplit(address)
        complete = parts.scheme == "tcp" and parts.hostname and parts.port
    except ValueError:
        complete = False
    if not complete:
        raise InvalidInput(f"scheduler must be an address such as tcp://host:8786, got {address!r}")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _started(options: ClusterOptions) -> Iterator[Any]:
    import dask

    if options.slurm is not None:
        with dask.config.set(SCHEDULER_CONFIG), _slurm(options.slurm) as cluster:
            # Jobs that end at their time limit are submitted again.
            cluster.adapt(minimum_jobs=options.workers or 1, maximum_jobs=options.workers or 1)
            yield cluster
        return
    from distributed import LocalCluster
    from distributed.system import MEMORY_LIMIT

    workers = options.workers or os.cpu_count() or 1
    with _environment(SINGLE_THREAD), dask.config.set(LOCAL_CONFIG):
        try:
            with warnings.catch_warnings():
                # The dashboard takes another port; its address is told.
                warnings.filterwarnings("ignore", message=".*Port .* is already in use")
                cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=options.memory_limit or MEMORY_LIMIT // workers,
                    dashboard_address=options.dashboard or "127.0.0.1:0",
                    silence_logs=50,
                )
        except (RuntimeError, OSError, ValueError) as error:
            raise InvalidInput(
                f'the workers did not start ({_first_line(error)}); a script needs the guard if __name__ == "__main__":'
            ) from error
        with cluster:
            yield cluster


def _slurm(arguments: Mapping[str, Any]) -> Any:
    prologue = [f"export {name}='{value}'" for name, value in SINGLE_THREAD.items()]
    given = {"cores": 1, "processes": 1, **arguments}
    given["job_script_prologue"] = prologue + list(given.get("job_script_prologue", ()))
    try:
        return importlib.import_module("dask_jobqueue").SLURMCluster(**given)
    except ImportError as error:
        raise InvalidInput("SLURM needs dask-jobqueue; pip install 'lnpbrian[cluster]'") from error
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        raise InvalidInput(f"the arguments of the SLURM cluster do not fit: {_first_line(error)}") from error


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
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


def _prepare(client: Any, options: ClusterOptions) -> None:
    from distributed import WorkerPlugin
    from distributed.comm import CommClosedError

    class Preparation(WorkerPlugin):
        """Prepares every worker, those too that come or are started again later."""

        name = "lnpbrian"

        def __init__(self, **arguments: Any) -> None:
            self.arguments = arguments

        def setup(self, worker: Any) -> None:
            prepare_worker(threads=worker.state.nthreads, **self.arguments)

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
                raise InvalidInput(f"workers die when they load lnpbrian ({_first_line(error)})") from error
        except Exception as error:
            raise InvalidInput(f"the workers cannot be prepared for lnpbrian ({_first_line(error)})") from error


def about() -> str:
    """Return what must be the same everywhere."""
    return f"lnpbrian {__version__} on Python {'.'.join(platform.python_version_tuple()[:2])}"


# Keeps the lock of this worker's caches, and the limit of its threads.
_held: list[Any] = []


def prepare_worker(*, client_has: str, threads: int, caches: str | None, target: str, ignore_interrupts: bool) -> None:
    """Make this process a worker: one thread for every library, quiet, with caches that no other process uses."""
    if about() != client_has:
        raise InvalidInput(f"a worker has {about()}, the client has {client_has}; install the same versions")
    if threads != 1:
        raise InvalidInput(
            f"a worker has {threads} threads, but a task needs a process; start: dask worker --nthreads 1"
        )
    if ignore_interrupts and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(SINGLE_THREAD)
    brian2.prefs.logging.console_log_level = "ERROR"
    brian2.prefs.logging.warn_for_unused_objects = False
    brian2.prefs.codegen.target = target
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
