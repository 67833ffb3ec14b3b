"""What the benchmarks share: timing, rows against a reference, the closing table and the results file."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from lnpbrian.parallel import cores
from lnpbrian.records import versions, write_json


def timed(action: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """Return the shortest time of `repeats` calls in seconds, and the result of that call."""
    best, result = np.inf, None
    for _ in range(repeats):
        start = time.perf_counter()
        found = action()
        seconds = time.perf_counter() - start
        if seconds < best:
            best, result = seconds, found
    return best, result


def row(step: str, reference: str, ours: float, theirs: float, **extra: Any) -> dict[str, Any]:
    return {
        "step": step,
        "reference": reference,
        "seconds": ours,
        "reference_seconds": theirs,
        "ratio": theirs / ours,
        **extra,
    }


def relative_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def write_results(rows: list[dict[str, Any]], out: Path, **more_versions: str) -> None:
    """Print a table of `rows`, with the peak memory of those that state it, and write them to `out`."""
    has_memory = any("peak_mb" in r for r in rows)
    table = Table("step", "seconds", "reference", "seconds", "ratio", *(["peak MB"] if has_memory else []))
    for r in rows:
        reference = (
            (r["reference"], f"{r['reference_seconds']:.3g}", f"{r['ratio']:.3g}") if "ratio" in r else ("", "", "")
        )
        memory = (f"{r['peak_mb']:.0f}" if "peak_mb" in r else "",) if has_memory else ()
        table.add_row(r["step"], f"{r['seconds']:.3g}", *reference, *memory)
    Console().print(table)
    machine = {"processor": platform.processor() or platform.machine(), "cores": cores()}
    write_json(out, {"versions": versions() | more_versions, "machine": machine, "rows": rows})
