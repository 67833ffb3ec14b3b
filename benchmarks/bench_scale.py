"""Measure what an iteration of pruning costs from 1,000 to 100,000 neurons, and extrapolate to a million.

    python benchmarks/bench_scale.py            # half an hour of one core, 10 GB
    python benchmarks/bench_scale.py --redraw   # writes docs/scale.md anew from benchmarks/bench_scale.json

Of each network the first of the hundred iterations that lead to 5 % of the synapses and 20 % of the neurons is done, in
a process of its own with one thread. Times are seconds of the processor, step by step, and what a process holds at most
is its memory. Every step's time is fitted by ``a N + b S`` for N neurons and S synapses, with a and b not negative and
equal weights for relative errors, to all sizes but the largest, which is predicted.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from common import write_results
from rich.console import Console
from scipy.optimize import nnls
from threadpoolctl import threadpool_limits

from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.pruning import Progress, PruneOptions, prune
from lnpbrian.records import read_json

# Neurons and connection probability; the last is predicted from the others.
SIZES = ((1000, 0.1), (2000, 0.1), (5000, 0.1), (10_000, 0.05), (20_000, 0.02), (50_000, 0.01), (100_000, 0.002))
# Step IV looks at exponents some dozens of times; where one look takes minutes it is left out.
TUNED = 5000
STEPS = ("building", "rates", "linear response", "exponents", "step I", "step II", "step III", "step IV", "the rest")
# Up to so many neurons betweenness is exact; what takes so much longer than predicted grows faster than the network.
EXACT, FASTER = 10_000, 1.5
GOALS = ((10**6, 10**8), (10**6, 10**9))
DOCS = Path(__file__).parents[1] / "docs" / "scale.md"

console = Console()


def cost(neurons: int, probability: float) -> dict[str, Any]:
    """Return what one iteration costs: seconds of the processor by step, and memory in MB."""
    with threadpool_limits(1):
        brian2.prefs.logging.file_log = False
        # Compile what the iteration runs.
        prune(HRSNN(100, 0.2, check_rate=False), options=_first(100), seed=1)
        seconds = dict.fromkeys(STEPS, 0.0)
        start = time.process_time()
        model = HRSNN(neurons, probability, parameters=LIFParameters.recurrent(), check_rate=False, seed=1)
        synapses, doing, since = model.n_synapses, "the rest", time.process_time()
        seconds["building"] = since - start

        def report(now: Progress) -> None:
            nonlocal doing, since
            at = time.process_time()
            seconds[doing] += at - since
            doing, since = (now.step if now.step in seconds else "the rest"), at

        steps = ("I", "II", "III", "IV") if neurons <= TUNED else ("I", "II", "III")
        prune(model, steps, options=_first(100), seed=1, report=report)
        seconds[doing] += time.process_time() - since
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = sum(seconds.values())
    return {"step": f"N = {neurons}", "neurons": neurons, "synapses": synapses, "seconds": total, "peak_mb": memory} | {
        "steps": seconds
    }


def _first(iterations: int) -> PruneOptions:
    """Return the options of the first of so many iterations."""
    synapses, neurons = 1 - 0.05 ** (1 / iterations), 1 - 0.2 ** (1 / iterations)
    return PruneOptions(synapses, neurons, iterations=1, rates=(0.0, 1e4), exponent_growth=None, on_unstable="keep")


def fitted(rows: list[dict[str, Any]], values: np.ndarray, offset: bool = False) -> np.ndarray:
    """Return the parts per neuron and per synapse, and a constant, of the best fit of relative errors."""
    features = np.array([[r["neurons"], r["synapses"], float(offset)] for r in rows])
    return nnls(features / values[:, np.newaxis], np.ones(values.size))[0]


def predicted(parts: np.ndarray, neurons: float, synapses: float) -> float:
    """Return what the fit says of a size."""
    return float(parts @ [neurons, synapses, 1.0])


def page(rows: list[dict[str, Any]]) -> str:
    """Return docs/scale.md."""
    known, last = rows[:-1], rows[-1]
    lines = ["| neurons | synapses | " + " | ".join(STEPS) + " | one iteration (s) | memory (GB) |"]
    lines += ["|" + "---:|" * (len(STEPS) + 4)]
    for r in rows:
        cells = [f"{r['neurons']:,}", f"{r['synapses']:,}"]
        cells += [_seconds(r["steps"][s]) if s != "step IV" or r["neurons"] <= TUNED else "" for s in STEPS]
        lines.append("| " + " | ".join([*cells, _seconds(_iteration(r)), f"{r['peak_mb'] / 1024:.1f}"]) + " |")
    at = f"{last['neurons']:,} neurons: predicted, measured (s)"
    goals = "".join(f" {n:.0e} neurons, {s:.0e} synapses |".replace("e+0", "e") for n, s in GOALS)
    model = [
        f"| step | µs a neuron | µs a synapse | largest error | {at} |{goals}",
        "|---|" + "---:|" * (4 + len(GOALS)),
    ]
    sums = np.zeros(len(GOALS))
    for step in STEPS:
        cells, far = _modelled(step, known, last)
        if step not in ("building", "step IV"):
            sums += far
        model.append(f"| {step} | " + " | ".join([*cells, *(_time(x) for x in far)]) + " |")
    model.append("| **one iteration** | | | | | " + " | ".join(_time(x) for x in sums) + " |")
    memory = fitted(known, np.array([r["peak_mb"] for r in known]), offset=True)
    far = " | ".join(f"{predicted(memory, n, s) / 1024:,.0f} GB" for n, s in GOALS)
    there = predicted(memory, last["neurons"], last["synapses"]) / 1024
    model.append(
        f"| **memory** | {memory[0] * 1024:.3g} kB | {memory[1] * 1024**2:.0f} bytes | | {there:.1f}, "
        f"{last['peak_mb'] / 1024:.1f} GB | {far} |"
    )
    return TEXT.format(measured="\n".join(lines), model="\n".join(model))


def _modelled(step: str, known: list[dict[str, Any]], last: dict[str, Any]) -> tuple[list[str], list[float]]:
    """Return the cells of a step, and its time at the goals."""
    # Step II is another one for large networks, step IV is not done there.
    regime = {"step II": lambda n: n > EXACT, "step IV": lambda n: n <= TUNED}.get(step, lambda n: True)
    of = [r for r in known if regime(r["neurons"])]
    values = np.array([max(r["steps"][step], 1e-3) for r in of])
    parts = fitted(of, values)
    error = max(abs(predicted(parts, r["neurons"], r["synapses"]) / v - 1) for r, v in zip(of, values, strict=True))
    there, seen = predicted(parts, last["neurons"], last["synapses"]), last["steps"][step]
    far = [predicted(parts, n, s) for n, s in GOALS]
    cells = [f"{1e6 * parts[0]:.3g}", f"{1e6 * parts[1]:.3g}", f"{100 * error:.0f} %"]
    if step == "step IV":
        return [*cells, f"{_seconds(there)}, not run"], far
    if there > 1 and seen > FASTER * there:
        # It grows faster than the network: by a power of the synapses, from those networks that have most of them.
        by_size = sorted([*of, last], key=lambda r: r["synapses"])
        most = by_size[-1]
        before = [r for r in by_size if 2 * r["synapses"] < most["synapses"]][-1]
        times = most["steps"][step], before["steps"][step]
        power = float(np.log(times[0] / times[1]) / np.log(most["synapses"] / before["synapses"]))
        far = [times[0] * (s / most["synapses"]) ** power for _, s in GOALS]
        cells[0], cells[1] = "", f"S^{power:.1f}"
    return [*cells, f"{_seconds(there)}, {_seconds(seen)}"], far


def _iteration(r: dict[str, Any]) -> float:
    return sum(seconds for step, seconds in r["steps"].items() if step not in ("building", "step IV"))


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _time(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds > 3600
        else f"{seconds / 60:.0f} min"
        if seconds > 100
        else f"{seconds:.0f} s"
    )


TEXT = """# What it costs at scale

Written by `python benchmarks/bench_scale.py` from [bench_scale.json](../benchmarks/bench_scale.json).

Seconds of one core, of the first of a hundred iterations that lead to 5 % of the synapses and 20 % of the neurons, of
networks of `LIFParameters.recurrent()` (42 Hz). Step IV is done once, after the last iteration; `the rest` is reading
the network, eigenvectors and the record.

{measured}

Every step as so much a neuron and so much a synapse, fitted to all sizes but the largest, which is predicted:

{model}

A step that took more than one and a half times as long as predicted grows faster than the network: it has a power of
the synapses S, from the two networks with most of them, and is extrapolated by that.

* **10^6 neurons and 10^8 synapses** need the memory in the last row, a machine of 64 or 128 GB. A hundred iterations to
  5 % of the synapses take as long as 32 of the first, where time goes with the synapses. That is of one core.
* **Step II** is exact up to 10,000 neurons (N times the synapses) and takes products of degrees for betweenness beyond
  (`centrality="auto"`); with `neuron_sparsity=0`, the default, it is not done.
* **Step III** joins strong components by swaps, round by round. Without it (`steps=("I", "II")`) networks are as even,
  and fall apart only where less than two synapses a neuron are left.
* **Step IV** measures exponents some twenty times; at 10^6 neurons it is left out, or its law is found on a smaller
  network of the same kind.
* Step I (even samples, the covariance of connected pairs, the Lyapunov matrix), exponents, and rates and response,
  which are simulated seconds, grow with the synapses.
"""


def main() -> None:
    """Measure, or write the page anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redraw", action="store_true", help="write the page anew from what was measured")
    parser.add_argument("--largest", type=int, default=100_000, help="neurons of the largest network")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    if not options.redraw:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        rows = []
        for neurons, probability in SIZES:
            if neurons <= options.largest:
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    rows.append(pool.submit(cost, neurons, probability).result())
                console.print(f"{neurons} neurons: {rows[-1]['seconds']:.0f} s, {rows[-1]['peak_mb']:.0f} MB")
                write_results(rows, options.out)
    if options.largest >= SIZES[-1][0]:
        DOCS.write_text(page(read_json(options.out)["rows"]))


if __name__ == "__main__":
    sys.exit(main())
