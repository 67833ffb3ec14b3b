"""Time the compiled loop against Brian2, in the same run.

    python benchmarks/bench_native.py

prints a table and writes ``benchmarks/bench_native.json``. Rows are a simulated second of a network whose recurrence
matters (rate about 40 Hz), unpruned and with a 40th of the synapses, and of twenty copies of it side by side, as
forecasts and benchmarks run them. Building is left out on both sides; spikes are compared first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import prefs, second
from common import row, timed, write_results

from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network import NetworkSpec, RecurrentNetwork
from lnpbrian.network.engines.native import NativeNetwork
from lnpbrian.network.signals import spike_counter
from lnpbrian.pruning.controls import thinned
from lnpbrian.streams import Streams

RATIO = 40


def bench(neurons: int, copies: int, timing: str, seconds: float) -> list[dict[str, Any]]:
    full = HRSNN(neurons, 0.1, parameters=LIFParameters.recurrent(), check_rate=False).spec.with_timing(timing)
    few = thinned(full, n_synapses=full.n_synapses // RATIO, rng=Streams(0).rng("bench"))
    rows = []
    for name, spec in (("unpruned", full), (f"a {RATIO}th", few)):
        ours, theirs = native(spec, copies), brian2(spec, copies)
        same = bool(np.array_equal(ours(0.2), theirs(0.2)))
        native_time, _ = timed(lambda ours=ours: ours(seconds), 3)
        brian2_time, _ = timed(lambda theirs=theirs: theirs(seconds), 3)
        label = f"simulated second, {name}, N = {neurons}, {copies} copies, {timing}"
        rows.append(row(label, "Brian2, cython", native_time / seconds, brian2_time / seconds, same_counts=same))
    unpruned, pruned = (r["seconds"] for r in rows)
    rows.append(row(f"pruned, N = {neurons}, {copies} copies, {timing}", "unpruned", pruned, unpruned))
    return rows


def native(spec: NetworkSpec, copies: int) -> Callable[[float], np.ndarray]:
    network = NativeNetwork(spec, copies=copies)

    def run(length: float) -> np.ndarray:
        network.run(round(length / spec.dt))
        return network.counts.ravel().copy()

    return run


def brian2(spec: NetworkSpec, copies: int) -> Callable[[float], np.ndarray]:
    live = RecurrentNetwork(spec.replicated(copies), plastic=False)
    counter = spike_counter(live.neurons)
    live.network.add(counter)

    def run(length: float) -> np.ndarray:
        live.run(length * second)
        return np.array(counter.count[:])

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("bench_native.json"))
    parser.add_argument("--seconds", type=float, default=2.0, help="simulated time of a measurement")
    options = parser.parse_args()
    prefs.codegen.target = "cython"
    rows = []
    for neurons, copies in ((1000, 1), (1000, 20), (5000, 1)):
        for timing in ("grid", "interpolated"):
            rows += bench(neurons, copies, timing, options.seconds)
    write_results(rows, options.out)


if __name__ == "__main__":
    main()
