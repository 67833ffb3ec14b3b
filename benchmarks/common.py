"""What the benchmarks share: timing, rows against a reference, the closing table, the results file and the page.

    python benchmarks/common.py

writes ``docs/benchmarks.md`` from the results files; every benchmark does so at its end.
"""

from __future__ import annotations

import ast
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from lnpbrian.parallel import cores
from lnpbrian.records import read_json, versions, write_json

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written by the programs below from what they measured (`make bench` runs most of them). A ratio is how many times longer
the reference took, in the same run on the same machine. Of forecasters the errors are compared.
"""


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
    if out.parent == HERE:
        PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return docs/benchmarks.md: a section for each results file."""
    parts = [HEAD]
    for path in sorted(HERE.glob("bench_*.json")):
        content, program = read_json(path), path.with_suffix(".py")
        title = (ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or "").splitlines()[0]
        known = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
        parts += [
            f"## {title.rstrip('.')}",
            "",
            f"`python benchmarks/{program.name}`, {content['machine']['cores']} cores",
        ]
        parts += [f"({known})", "", *_table(content["rows"]), ""]
    return "\n".join(parts)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    if "forecaster" in rows[0]:
        lines = ["| forecaster | series | NRMSE, median | VPT (steps), median | seconds |", "|---|---|---:|---:|---:|"]
        names = ("nrmse_median", "vpt_steps_median", "seconds")
        cells = [(r["forecaster"], r["series"], *(f"{r[name]:.3g}" for name in names)) for r in rows]
    else:
        lines = ["| step | seconds | reference | its seconds | ratio |", "|---|---:|---|---:|---:|"]
        names = ("reference_seconds", "ratio")
        cells = [
            (
                r["step"],
                f"{r['seconds']:.3g}",
                r.get("reference", ""),
                *(f"{r[x]:.3g}" if x in r else "" for x in names),
            )
            for r in rows
        ]
    return [*lines, *(f"| {' | '.join(line)} |" for line in cells)]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
