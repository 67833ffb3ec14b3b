"""Time networks as compiled programs against Brian2's runtime mode, in the same run.

    make bench

prints a table and writes ``benchmarks/bench_devices.json``. Rows are: a network with other synapses handed to a program
(all time but that of the simulation) against compiling again, and a simulated second against the Cython and NumPy
targets of runtime mode. Every run of a program is checked against what was asked for; that is part of its time.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2 import ms, second
from common import row, timed, write_results
from rich.console import Console

from lnpbrian.models import HRSNN
from lnpbrian.network import CompiledNetwork, Drive, NetworkSpec, RecurrentNetwork, noise_drive, observe
from lnpbrian.network.engines.compiled import CompiledRun
from lnpbrian.network.signals import SpikeTrain
from lnpbrian.streams import Streams

DURATION = 0.5 * second
KEPT = 0.05
# (neurons, forms)
CASES = ((1000, ("csr", "dense")), (5000, ("csr", "dense")))


def bench(neurons: int, forms: tuple[str, ...], console: Console) -> list[dict[str, Any]]:
    spec = HRSNN(neurons, 0.1, check_rate=False).spec
    rng = Streams(0).rng("bench")
    drive = noise_drive(neurons, duration=DURATION, rng=rng)
    pruned = spec.of_synapses(rng.random(spec.n_synapses) < KEPT)
    cases = {"unpruned": spec, f"{KEPT:.0%} kept": pruned}
    runtime = {
        (target, name): simulate(case, drive, target) for target in ("numpy", "cython") for name, case in cases.items()
    }
    rows = []
    for form in forms:
        label = f"{form}, N = {neurons}, {spec.n_synapses} synapses"
        build, network = timed(lambda form=form: CompiledNetwork(spec, duration=DURATION, drive=drive, form=form))
        with network:
            network.run()
            for name, case in cases.items():
                total, run = timed(lambda case=case, network=network: network.run(case), 3)
                overhead = total - run.seconds["simulation"]
                load = os.getloadavg()[0]
                rows.append(
                    row(
                        f"new synapses, {name}, {label}",
                        "build",
                        overhead,
                        build + overhead,
                        total_seconds=total,
                        build_seconds=network.build_seconds,
                        program_seconds=run.seconds,
                        load_average=load,
                    )
                )
                cython, numpy = (runtime[target, name] for target in ("cython", "numpy"))
                simulated = float(DURATION / second)
                rows.append(
                    row(
                        f"simulated second, {name}, {label}",
                        "cython",
                        run.seconds["simulation"] / simulated,
                        cython[0] / simulated,
                        numpy_seconds=numpy[0] / simulated,
                        mean_rate_hz=float(run.activity.rates.mean()),
                        same_spikes_as_cython=same(run, cython[1]),
                        same_spikes_as_numpy=same(run, numpy[1]),
                        load_average=load,
                    )
                )
                console.print(f"{rows[-2]['step']}: {rows[-2]['seconds']:.3g} s")
    return rows


def simulate(spec: NetworkSpec, drive: Drive, target: str) -> tuple[float, SpikeTrain]:
    """Return the time of a run in runtime mode, without the compiler, and its spikes."""
    brian2.prefs.codegen.target = target
    # The first run finds or makes the compiled code; the second one has it.
    observe(RecurrentNetwork(spec, plastic=False), 1 * ms, drive=drive)
    live = RecurrentNetwork(spec, plastic=False)
    start = time.perf_counter()
    activity = observe(live, DURATION, drive=drive)
    return time.perf_counter() - start, activity


def same(run: CompiledRun, activity: SpikeTrain) -> bool:
    order = np.lexsort((activity.indices, activity.times))
    return np.array_equal(run.activity.indices, activity.indices[order]) and np.array_equal(
        run.activity.times, activity.times[order]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--neurons", type=int, help="only this case")
    arguments = parser.parse_args()
    brian2.prefs.logging.console_log_level = "ERROR"
    brian2.prefs.logging.warn_for_unused_objects = False
    console = Console()
    rows = []
    for neurons, forms in CASES:
        if arguments.neurons in (None, neurons):
            rows += bench(neurons, forms, console)
    write_results(rows, arguments.out)


if __name__ == "__main__":
    main()
