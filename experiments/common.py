"""What experiments share: a quiet start from the command line, and parts that are computed once."""

from __future__ import annotations

import argparse
import atexit
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import brian2
from matplotlib.figure import Figure
from rich.progress import Progress

from lnpbrian import files, locks
from lnpbrian.checks import InvalidInput
from lnpbrian.locks import FolderLock, lock_folder
from lnpbrian.parallel import run_parts
from lnpbrian.records import is_record, versions, write_json

__all__ = [
    "compute_parts",
    "median_and_quartiles",
    "output_directory",
    "part",
    "plus_minus",
    "refuse_foreign_results",
    "write_results",
]


_locks: dict[str, FolderLock] = {}


def output_directory(arguments: argparse.Namespace, name: str) -> Path:
    """Silence Brian2, and return the folder ``--out``, locked until this process ends.

    Raises
    ------
    InvalidInput
        If another process has it, or it holds a ``name.json`` or ``name.png`` that no experiment wrote.
    """
    brian2.prefs.logging.console_log_level = "ERROR"
    brian2.prefs.logging.warn_for_unused_objects = False
    identity = os.path.realpath(arguments.out)
    if identity not in _locks:
        _locks[identity] = lock_folder("--out", arguments.out)
        atexit.register(_locks[identity].release)
    refuse_foreign_results(Path(arguments.out), name, ("json", "png"))
    return Path(arguments.out)


def refuse_foreign_results(folder: Path, name: str, suffixes: Sequence[str]) -> None:
    """Refuse to replace files of an experiment's name that no ``name.json`` of an experiment accounts for."""
    record = f"{name}.json"
    known = is_record(folder / record)
    locks.refuse_foreign(folder, [f"{name}.{suffix}" for suffix in suffixes], accounted=known, evidence=record)


def part(path: Path, key: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
    """Return what `compute` gives, from the file at `path` if that was computed with the same `key`."""
    if path.exists():
        if not is_record(path, "key", "content"):
            raise InvalidInput(f"{str(path)!r} is no part of an experiment, or damaged; move it away")
        stored = json.loads(path.read_text())
        if stored["key"] == key:
            return stored["content"]
    content = compute()
    write_json(path, {"key": key, "versions": versions(), "content": content})
    return content


def compute_parts(work: Callable[..., Any], parts: Sequence[tuple], *, jobs: int, name: str) -> list[Any]:
    """Return `run_parts` of the parts, with a bar."""
    with Progress() as bars:
        bar = bars.add_task(name, total=1.0)
        return run_parts(work, parts, jobs=jobs, report=lambda fraction: bars.update(bar, completed=fraction))


def write_results(directory: Path, name: str, content: Mapping[str, Any], draw: Callable[[Any], Figure]) -> None:
    """Write ``name.json``, and ``name.png`` drawn from what is in it."""
    write_json(directory / f"{name}.json", {"versions": versions(), **content})
    with files.replacing(directory / f"{name}.png") as temporary:
        draw(json.loads((directory / f"{name}.json").read_text())).savefig(temporary, dpi=150)


def plus_minus(values: Mapping[str, float], unit: float = 1.0, *, digits: int = 1) -> str:
    """Return mean and standard deviation as text."""
    return f"{values['mean'] * unit:.{digits}f} ± {values['sd'] * unit:.{digits}f}"


def median_and_quartiles(values: Mapping[str, float], digits: int = 2) -> str:
    """Return the median and the quartiles as text."""
    low, median, high = (values[name] for name in ("quartile_1", "median", "quartile_3"))
    return f"{median:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
