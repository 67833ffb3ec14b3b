"""Run the independent parts of a piece of work in processes of their own, with one progress for all."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import brian2

from lnpbrian.checks import InvalidInput
from lnpbrian.process import frozen_garbage

__all__ = ["run_parts"]

Report = Callable[[float], None]

_progress: Any = None


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

    Notes
    -----
    Processes are spawned: a script that asks for more than one job needs ``if __name__ == "__main__":``. They share the
    cache of compiled code and use this process's code generation target.
    """
    fractions = [0.0] * len(parts)

    def note(k: int, fraction: float) -> None:
        fractions[k] = fraction
        if report is not None:
            report(sum(fractions) / len(parts))

    if jobs == 1 or len(parts) == 1:
        with frozen_garbage():
            return [work(*part, report=lambda f, k=k: note(k, f)) for k, part in enumerate(parts)]
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    setup = (messages, brian2.prefs.codegen.target)
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(min(jobs, len(parts)), context, _start, setup) as pool:
        futures = [pool.submit(_run, work, k, part) for k, part in enumerate(parts)]
        pending = set(futures)
        try:
            while pending:
                done, pending = wait(pending, timeout=0.2, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                while True:
                    try:
                        note(*messages.get_nowait())
                    except queue.Empty:
                        break
        except BaseException as error:
            # An error or Ctrl-C: do not wait for the other parts.
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise InvalidInput("a process was killed, probably for lack of memory; use fewer jobs") from error
            raise
        return [future.result() for future in futures]


def _start(messages: Any, target: str) -> None:
    global _progress
    _progress = messages
    threading.Thread(target=_end_with_parent, daemon=True).start()
    brian2.prefs.codegen.target = target
    brian2.prefs.logging.console_log_level = "ERROR"
    brian2.prefs.logging.warn_for_unused_objects = False


def _end_with_parent() -> None:
    """Do not work on for a parent that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(work: Callable[..., Any], k: int, part: tuple) -> Any:
    with frozen_garbage():
        return work(*part, report=lambda fraction: _progress.put((k, fraction)))
