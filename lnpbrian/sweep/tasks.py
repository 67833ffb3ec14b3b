"""Many tasks in processes or on a cluster, whose results are kept by what they are results of.

A sweep knows nothing of networks: a task is the name of a function, plain options, and the tasks whose results it
needs. The process that runs the sweep hands out tasks one by one and writes every result the moment it arrives, so
that a worker that dies costs its running task only, and a sweep that is killed goes on with what is missing.
"""

from __future__ import annotations

import hashlib
import heapq
import importlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np

from lnpbrian import checks, files
from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.process import frozen_garbage
from lnpbrian.records import read_json, write_json
from lnpbrian.sweep.cluster import DEATHS, ClusterOptions, Workers, open_workers
from lnpbrian.sweep.sources import Code, code_of

__all__ = ["STALE", "Result", "ResultStore", "Stamps", "SweepProgress", "Task", "run_sweep"]


# What becomes of results of other code.
STALE = ("recompute", "accept")
# How results are named.
LAYOUT = 2


@dataclass(frozen=True, eq=False)
class Task:
    """A piece of work that can be done anywhere. Tasks are equal if their results are, whatever their name and cost.

    Parameters
    ----------
    name : str
        For people.
    function : str
        ``"package.module:function"``. It is called as ``function(options, *results_of_needs, report=report)``, where
        ``report(fraction, what)`` tells how far it is, and returns a `Result`.
    options : Mapping
        JSON types; kept as what JSON makes of them. Of a file, ``data`` with ``data_sha256`` beside it, the content
        counts, wherever it lies.
    needs : tuple of Task
        Tasks whose results it gets.
    cost : float
        Expected time relative to other tasks, positive; of tasks that could begin, that with the longest way to the end
        does.

    Attributes
    ----------
    key : str
        Digest of what is asked for: function, options and needs. What code answers it is for the store to note.

    Raises
    ------
    InvalidInput
        If the function is not named as above, options are not plain JSON, or the cost is not positive.

    Examples
    --------
    >>> one, other = Task("one", "m:f", {"a": 1, "b": (2, 3)}), Task("other", "m:f", {"b": [2, 3], "a": 1}, cost=2)
    >>> one == other, one.options
    (True, {'a': 1, 'b': [2, 3]})
    >>> here, there = (Task("t", "m:f", {"data": path, "data_sha256": "ab"}) for path in ("a.csv", "/b/a.csv"))
    >>> here == there
    True
    """

    name: str
    function: str
    options: Mapping[str, Any]
    needs: tuple[Task, ...] = ()
    cost: float = 1.0
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        module, _, function = self.function.partition(":")
        if not module or not function.isidentifier():
            raise InvalidInput(f'function of {self.name!r} must be "package.module:function", got {self.function!r}')
        checks.real(f"cost of {self.name!r}", self.cost, above=0)
        try:
            text = json.dumps(dict(self.options), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"options of {self.name!r} must be plain JSON values: {error}") from error
        # What the function gets is what the key was made of, and cannot change afterwards.
        object.__setattr__(self, "options", json.loads(text))
        object.__setattr__(self, "needs", tuple(self.needs))
        told = {name: value for name, value in self.options.items() if f"{name}_sha256" not in self.options}
        content = [self.function, told, [need.key for need in self.needs]]
        text = json.dumps(content, sort_keys=True, allow_nan=False)
        object.__setattr__(self, "key", hashlib.sha256(text.encode()).hexdigest())

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self.key == other.key


@dataclass(frozen=True, repr=False)
class Result:
    """What a task gives: a record of JSON types, and arrays.

    `seconds` is the time that the task took; it is set by who runs it.

    Examples
    --------
    >>> Result({"nrmse": 0.2}, {"spikes": np.zeros(3)})
    Result(nrmse, spikes)
    """

    record: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: float = 0.0

    def __repr__(self) -> str:
        return f"Result({', '.join([*self.record, *self.arrays])})"


@dataclass(frozen=True)
class SweepProgress:
    """How far a sweep is.

    Attributes
    ----------
    done, total : int
        Tasks, those that were there from the start included.
    found : int
        Tasks that were there from the start.
    running : dict of str to (float, str)
        Fraction and present work of the tasks that run, by name.
    remaining_seconds : float or None
        Estimate from the costs; None before the first task is done.
    dashboard : str
        Address of Dask's dashboard; empty for processes of this machine.
    notes : tuple of str
        What went wrong so far.
    """

    done: int
    total: int
    found: int
    running: dict[str, tuple[float, str]]
    remaining_seconds: float | None
    dashboard: str
    notes: tuple[str, ...]


class Stamps:
    """What results that are computed now are stamped with: digests of the code of their tasks, and of what these need.

    The code of a function is looked at once.
    """

    def __init__(self) -> None:
        self._codes: dict[str, Code] = {}
        self._stamps: dict[str, str] = {}

    def code(self, task: Task) -> Code:
        """Return the code of the function of a task."""
        module = task.function.partition(":")[0]
        if module not in self._codes:
            self._codes[module] = code_of(module)
        return self._codes[module]

    def of(self, task: Task) -> str:
        """Return the stamp of a task."""
        waiting = [] if task.key in self._stamps else [task]
        while waiting:
            missing = [need for need in waiting[-1].needs if need.key not in self._stamps]
            waiting += missing
            if not missing:
                self.renew(waiting.pop())
        return self._stamps[task.key]

    def renew(self, task: Task) -> None:
        """Make the stamp of a task of those that its needs have by now."""
        content = [self.code(task).digest, *(self._stamps[need.key] for need in task.needs)]
        self._stamps[task.key] = hashlib.sha256(" ".join(content).encode()).hexdigest()[:16]

    def take(self, task: Task, stamp: str) -> None:
        """Let the result with another stamp be that of a task."""
        self._stamps[task.key] = stamp


class ResultStore:
    """A folder of results, each in files named after its task and its code and written whole or not at all.

    Parameters
    ----------
    folder : path-like
        Made if it does not exist.
    stale : {"recompute", "accept"}
        What becomes of results of other code (a module that the function stands on was changed, or a package it
        imports has another version): they are computed anew, and stay beside the new ones, or the last of them is
        taken.

    Attributes
    ----------
    damaged : list of str
        Files that could not be read, and were taken as missing.
    outdated : dict of str to str
        What was different for each task of which there were only results of other code, by its key; empty where that
        is the code of what it needs.

    Raises
    ------
    InvalidInput
        If the folder cannot be written to, or holds other files or results that do not say what code computed them.
    """

    def __init__(self, folder: str | os.PathLike[str], *, stale: str = "recompute") -> None:
        self.stale = checks.choice("stale", stale, STALE)
        self.folder = checks.writable_directory("store", folder)
        self.damaged: list[str] = []
        self.outdated: dict[str, str] = {}
        for place in (self.folder, *self.folder.glob("[0-9a-f][0-9a-f]")):
            if not files.is_link(place):
                files.remove_leftovers(place)
        note = self.folder / "store.json"
        try:
            content = files.read_json(note)
            version, layout = content["lnpbrian"], content.get("layout", 1)
        except FileNotFoundError:
            if any(not path.name.startswith(".") for path in self.folder.iterdir()):
                raise InvalidInput(f"{str(self.folder)!r} holds other files; choose an empty folder") from None
            write_json(note, {"lnpbrian": __version__, "layout": LAYOUT})
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(f"{str(note)!r} cannot be read ({error}); choose another folder") from error
        if layout != LAYOUT:
            raise InvalidInput(
                f"{str(self.folder)!r} was written by lnpbrian {version}, which names results in another way; "
                "choose another folder, or delete it to compute everything anew"
            )

    def __repr__(self) -> str:
        return f"ResultStore({str(self.folder)!r})"

    def __contains__(self, task: Task) -> bool:
        return self.get(task) is not None

    def get(self, task: Task, stamps: Stamps | None = None) -> Result | None:
        """Return the result of a task, None if there is none of its code (see `stale`), or none that can be read."""
        stamps = stamps or Stamps()
        stamp = stamps.of(task)
        result = self._load(task, stamp)
        if result is not None:
            return result
        paths = [path for path in self.folder.glob(f"{task.key[:2]}/{task.key}-*.json") if path.is_file()]
        others = sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in others:
            other = path.stem.rpartition("-")[2]
            result = None if other == stamp else self._load(task, other)
            if result is not None:
                self.outdated.setdefault(task.key, self._difference(path, stamps.code(task)))
                if self.stale == "recompute":
                    return None
                stamps.take(task, other)
                return result
        return None

    def _difference(self, path: Path, now: Code) -> str:
        content = files.read_json(path)
        return now.difference(Code(content.get("sources", {}), content.get("versions", {})))

    def _load(self, task: Task, stamp: str) -> Result | None:
        path = self._path(task, stamp, ".json")
        try:
            content = read_json(path)
            record, seconds, names = content["record"], float(content["seconds"]), content["arrays"]
            if content["key"] != task.key or content["stamp"] != stamp or not isinstance(record, dict):
                raise ValueError("not the result of this task")
            arrays = {}
            if names:
                path = self._path(task, stamp, ".npz")
                stored = files.read_arrays(path)
                arrays = {name: stored[name] for name in names}
        except (OSError, ValueError, KeyError, TypeError) as error:
            if not (isinstance(error, FileNotFoundError) and path.suffix == ".json") and str(path) not in self.damaged:
                self.damaged.append(str(path))
            return None
        return Result(record, arrays, seconds)

    def put(self, task: Task, result: Result, stamps: Stamps | None = None) -> None:
        """Keep the result of a task, as one of the code as it is now or when `stamps` looked at it.

        Raises
        ------
        InvalidInput
            If the result is not made of JSON types and of arrays of numbers or text.
        OSError
            If it cannot be written, on a full disk for example; nothing of it is left then.
        """
        stamps = stamps or Stamps()
        stamp, code = stamps.of(task), stamps.code(task)
        path = self._path(task, stamp, ".json")
        content = {
            "name": task.name,
            "key": task.key,
            "stamp": stamp,
            "function": task.function,
            "options": task.options,
            "needs": [f"{need.key}-{stamps.of(need)}" for need in task.needs],
            "versions": dict(code.versions),
            "sources": dict(code.sources),
            "seconds": result.seconds,
            "arrays": sorted(result.arrays),
            "record": result.record,
        }
        path.parent.mkdir(exist_ok=True)
        try:
            if result.arrays:
                with files.replacing(self._path(task, stamp, ".npz")) as temporary:
                    np.savez_compressed(temporary, allow_pickle=False, **result.arrays)
            # Last, since it says that all is there.
            write_json(path, content)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"the result is not made of plain JSON values and arrays: {error}") from error

    def _path(self, task: Task, stamp: str, suffix: str) -> Path:
        return self.folder / task.key[:2] / f"{task.key}-{stamp}{suffix}"


def run_sweep(
    tasks: Sequence[Task],
    store: ResultStore,
    *,
    cluster: ClusterOptions | None = None,
    report: Callable[[SweepProgress], None] | None = None,
) -> dict[Task, Result]:
    """Compute the results of tasks, and of what they need, that are not in the store.

    Parameters
    ----------
    tasks : sequence of Task
        Equal ones are computed once.
    store : ResultStore
        Keeps every result.
    cluster : ClusterOptions, optional
        Where tasks run; by default one process for each core of this machine.
    report : callable, optional
        Called about once a second, and when a task has ended, with a `SweepProgress`.

    Returns
    -------
    dict of Task to Result

    Raises
    ------
    InvalidInput
        If tasks failed: with an error, by killing three workers, or because something they need failed. All others are
        done and kept; the first error of a task is the cause of this one. Or if the cluster cannot be used, or is lost.
    KeyboardInterrupt
        On Ctrl-C, when the workers that were started here have ended.

    Notes
    -----
    Worker processes are spawned: a script whose own functions are tasks (``"__main__:function"``) needs the guard
    ``if __name__ == "__main__":``. Workers of a running scheduler end the task they are at when a sweep is interrupted,
    but its result is not kept.
    """
    run = _Sweep(tasks, store, report)
    if run.missing:
        try:
            script = any(task.function.startswith("__main__:") for task in run.missing.values())
            with open_workers(cluster or ClusterOptions(), script=script) as workers:
                run.compute(workers)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the sweep was stopped; the same call goes on with what is missing") from None
    run.tell(force=True)
    if run.failed:
        shown = "; ".join(f"{task.name}: {why}" for task, why in list(run.failed.items())[:3])
        more = f"; and {len(run.failed) - 3} more" if len(run.failed) > 3 else ""
        raise InvalidInput(
            f"{len(run.failed)} of {run.total} tasks failed ({shown}{more}); what is finished is kept, "
            "the same call tries the others again"
        ) from run.first_error
    found = {}
    for task in tasks:
        found[task] = _read(store, task, run.stamps)
    return found


def _read(store: ResultStore, task: Task, stamps: Stamps) -> Result:
    result = store.get(task, stamps)
    if result is None:
        raise InvalidInput(f"the result of {task.name!r} in {str(store.folder)!r} is gone; run the sweep again")
    return result


class _Sweep:
    """Who needs whom, what is done, and what runs."""

    def __init__(
        self, tasks: Iterable[Task], store: ResultStore, report: Callable[[SweepProgress], None] | None
    ) -> None:
        self.store = store
        self.report = report
        self.stamps = Stamps()
        self.missing: dict[str, Task] = {}
        self.found = 0
        seen: set[str] = set()
        waiting = list(tasks)
        while waiting:
            task = waiting.pop()
            if task.key in seen:
                continue
            seen.add(task.key)
            if store.get(task, self.stamps) is not None:
                self.found += 1
            else:
                self.missing[task.key] = task
                waiting.extend(task.needs)
        self.total = self.found + len(self.missing)
        self.failed: dict[Task, str] = {}
        self.first_error: BaseException | None = None
        self.running: dict[str, tuple[float, str]] = {}
        self.handed_out: set[str] = set()
        self.deaths: dict[str, int] = {}
        self.workers = 0
        self.dashboard = ""
        self.notes: Sequence[str] = ()
        self._ended: set[str] = set()
        self._start = time.perf_counter()
        self._told = 0.0
        # What each task still waits for, and who waits for it.
        self.waits_for = {
            key: {need.key for need in task.needs if need.key in self.missing} for key, task in self.missing.items()
        }
        self.needed_by: dict[str, list[str]] = {key: [] for key in self.missing}
        for key, needs in self.waits_for.items():
            for need in needs:
                self.needed_by[need].append(key)
        self.urgency = self._urgencies()
        self.ready = [(-self.urgency[key], key) for key, needs in self.waits_for.items() if not needs]
        heapq.heapify(self.ready)

    def _urgencies(self) -> dict[str, float]:
        """Return the longest way from each task to the end."""
        urgency: dict[str, float] = {}
        for key in reversed([*TopologicalSorter(self.waits_for).static_order()]):
            after = max((urgency[other] for other in self.needed_by[key]), default=0.0)
            urgency[key] = self.missing[key].cost + after
        return urgency

    def compute(self, workers: Workers) -> None:
        """Hand out what is missing, and keep what comes back."""
        self._start = time.perf_counter()
        self.dashboard = workers.dashboard
        while self.ready or self.handed_out:
            self._hand_out(workers)
            for (key, attempt), kind, value in workers.events(1.0):
                if key not in self.handed_out or attempt != self.deaths[key]:
                    continue
                if kind == "progress":
                    self.running[key] = value
                    continue
                self.handed_out.remove(key)
                self.running.pop(key, None)
                if kind == "died":
                    self._worker_died(key)
                    continue
                # Before the result is written: no worker waits for the disk.
                self._hand_out(workers)
                self._end(key, value)
                self.tell(force=True)
            self.tell()

    def _hand_out(self, workers: Workers) -> None:
        """Give every free worker one task."""
        for worker in workers.idle():
            if not self.ready:
                break
            _, key = heapq.heappop(self.ready)
            task, attempt = self.missing[key], self.deaths.setdefault(key, 0)
            needs = [_read(self.store, need, self.stamps) for need in task.needs]
            self.stamps.renew(task)  # older results may have been accepted for its needs
            self.handed_out.add(key)
            code = self.stamps.code(task)
            workers.submit(worker, (key, attempt), _execute, task.function, task.options, needs, code)
        self.workers = workers.count
        self.notes = workers.notes

    def _worker_died(self, key: str) -> None:
        """Put a task back whose worker died, unless that was so too often."""
        self.deaths[key] += 1
        if self.deaths[key] < DEATHS:
            heapq.heappush(self.ready, (-self.urgency[key], key))
        else:
            self._end(key, InvalidInput(f"{DEATHS} of its workers died, probably for lack of memory"))
        self.tell(force=True)

    def _end(self, key: str, outcome: Result | BaseException) -> None:
        """Write a result, or note why there is none."""
        self._ended.add(key)
        if isinstance(outcome, Result):
            try:
                self.store.put(self.missing[key], outcome, self.stamps)
            except InvalidInput as error:
                outcome = error
            except OSError as error:
                raise InvalidInput(
                    f"results cannot be written to {str(self.store.folder)!r} ({error.strerror or error}); "
                    "the same call goes on when they can"
                ) from error
            else:
                for other in self.needed_by[key]:
                    self.waits_for[other].discard(key)
                    if not self.waits_for[other]:
                        heapq.heappush(self.ready, (-self.urgency[other], other))
                return
        self.first_error = self.first_error or outcome
        self.failed[self.missing[key]] = _reason(outcome)
        cut_off = [(other, key) for other in self.needed_by[key]]
        while cut_off:
            other, need = cut_off.pop()
            if other not in self._ended:
                self._ended.add(other)
                self.failed[self.missing[other]] = f"needs {self.missing[need].name!r}"
                cut_off += [(further, other) for further in self.needed_by[other]]

    def tell(self, *, force: bool = False) -> None:
        """Report, at most once a second unless forced."""
        now = time.perf_counter()
        if self.report is None or (now - self._told < 1 and not force):
            return
        self._told = now
        running = {key: state for key, state in list(self.running.items()) if key in self.handed_out}
        done = sum(self.missing[key].cost for key in self._ended)
        left = sum(task.cost for task in self.missing.values()) - done
        begun = sum(self.missing[key].cost * min(max(fraction, 0.0), 1.0) for key, (fraction, _) in running.items())
        remaining = (now - self._start) * (left - begun) / (done + begun) if self._ended else None
        notes = [f"{path} was damaged and is computed again" for path in self.store.damaged]
        notes += [*self._outdated(), *self.notes]
        notes += [f"{task.name} failed: {why}" for task, why in self.failed.items()]
        if (self.ready or self.handed_out) and not self.workers:
            notes.append("no workers; waiting for some")
        self.report(
            SweepProgress(
                done=self.found + len(self._ended),
                total=self.total,
                found=self.found,
                running={self.missing[key].name: state for key, state in running.items()},
                remaining_seconds=remaining,
                dashboard=self.dashboard,
                notes=tuple(notes),
            )
        )

    def _outdated(self) -> list[str]:
        """Say in one line what results of other code were found, and what becomes of them."""
        number = len(self.store.outdated)
        if not number:
            return []
        differences = [difference for difference in dict.fromkeys(self.store.outdated.values()) if difference]
        what = f"{number} stored result{'s are' if number > 1 else ' is'} of other code"
        fate = "accepted" if self.store.stale == "accept" else "computed anew; stale='accept' takes what is there"
        return [f"{what} ({'; '.join(differences[:2]) or 'of what they need'}): {fate}"]


def _reason(error: BaseException) -> str:
    kind = type(error).__name__
    lines = str(error).strip().splitlines()
    if isinstance(error, InvalidInput) and lines:
        return lines[0]
    return f"{kind}: {lines[0]}" if lines else kind


# Digests of the code that this worker has.
_checked: set[str] = set()


def _execute(
    function: str,
    options: Mapping[str, Any],
    needs: Sequence[Result],
    code: Code,
    *,
    report: Callable[[float, str], None],
) -> Result:
    """Do a task on a worker, with the code that its result will be filed under."""
    last = -math.inf

    def tell(fraction: float, what: str) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last > 1:
            last = now
            report(float(fraction), str(what))

    tell(0.0, "starting")
    module, _, name = function.partition(":")
    work = getattr(importlib.import_module(module), name)
    # What has been loaded does not change any more.
    if code.digest not in _checked:
        if different := code.here().difference(code):
            raise InvalidInput(f"its worker has other code than this process had at first ({different}); try again")
        _checked.add(code.digest)
    start = time.perf_counter()
    with frozen_garbage():
        result = work(options, *needs, report=tell)
    if not isinstance(result, Result):
        raise InvalidInput(f"{function} must return a Result, got {type(result).__name__}")
    return replace(result, seconds=time.perf_counter() - start)
