"""Time compiled networks on a GPU against the same programs in C++, and compare their spikes.

    make bench-cuda

prints a table and writes ``benchmarks/results/cuda.json``: seconds to build, for new synapses, per simulated second,
of N = 5000 with 2.5 million and N = 100,000 with 100 million synapses, unpruned and with 5 % kept. It needs a GPU; with
``--device cpp_standalone --neurons 200`` it compares C++ with itself.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2 import second
from common import row, timed, write_results
from rich.console import Console

from lnpbrian.checks import InvalidInput
from lnpbrian.models import HRSNN
from lnpbrian.network import CompiledNetwork, Drive, NetworkSpec, noise_drive
from lnpbrian.network.engines.compiled import CompiledRun
from lnpbrian.network.engines.cuda import find_gpu
from lnpbrian.network.engines.devices import require_device
from lnpbrian.streams import Streams

DURATION = 0.5 * second
KEPT = 0.05
# (neurons, connection probability)
CASES = ((5000, 0.1), (100_000, 0.01))


def bench(neurons: int, p: float, device: str, console: Console) -> list[dict[str, Any]]:
    spec = HRSNN(neurons, p, check_rate=False).spec
    rng = Streams(0).rng("bench")
    drive = noise_drive(neurons, duration=DURATION, rng=rng)
    cases = {"unpruned": spec, f"{KEPT:.0%} kept": spec.of_synapses(rng.random(spec.n_synapses) < KEPT)}
    label = f"N = {neurons}, {spec.n_synapses} synapses"
    theirs = runs(spec, cases, drive, "cpp_standalone")
    ours = runs(spec, cases, drive, device)
    rows = [row(f"build, {label}", "cpp_standalone", ours["build"][0], theirs["build"][0])]
    for name in cases:
        (seconds, run), (reference_seconds, reference) = ours[name], theirs[name]
        simulated = float(DURATION / second)
        rows += [
            row(
                f"new synapses, {name}, {label}",
                "cpp_standalone",
                seconds - run.seconds["simulation"],
                reference_seconds - reference.seconds["simulation"],
            ),
            row(
                f"simulated second, {name}, {label}",
                "cpp_standalone",
                run.seconds["simulation"] / simulated,
                reference.seconds["simulation"] / simulated,
                **agreement(run, reference),
            ),
        ]
        console.print(f"{rows[-1]['step']}: {rows[-1]['seconds']:.3g} s")
    return rows


def runs(spec: NetworkSpec, cases: dict[str, NetworkSpec], drive: Drive, device: str) -> dict[str, Any]:
    """Return seconds and result of the build and of every run on one device."""
    build, network = timed(lambda: CompiledNetwork(spec, duration=DURATION, drive=drive, device=device))
    with network:
        return {"build": (build, None)} | {
            name: timed(lambda c=case: network.run(c), 2) for name, case in cases.items()
        }


def agreement(run: CompiledRun, reference: CompiledRun) -> dict[str, Any]:
    ours, theirs = run.activity, reference.activity
    # Until rounding errors have grown to a step, spikes are the same.
    common = min(ours.indices.size, theirs.indices.size)
    same = (ours.indices[:common] == theirs.indices[:common]) & (
        np.abs(ours.times[:common] - theirs.times[:common]) < 1e-9
    )
    first = common if same.all() else int(np.argmin(same))
    return {
        "spikes": int(ours.indices.size),
        "reference_spikes": int(theirs.indices.size),
        "identical_until_s": float(theirs.times[first - 1]) if first else 0.0,
        "largest_difference_of_counts": int(np.abs(ours.counts - theirs.counts).max()),
        "mean_rate_hz": float(ours.rates.mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "cuda.json")
    parser.add_argument("--device", default="cuda_standalone")
    parser.add_argument("--neurons", type=int, help="only this number, with p = 0.1")
    arguments = parser.parse_args()
    brian2.prefs.logging.console_log_level = "ERROR"
    brian2.prefs.logging.warn_for_unused_objects = False
    try:
        require_device(arguments.device)
    except InvalidInput as error:
        raise SystemExit(str(error)) from None
    gpu = asdict(find_gpu()) if arguments.device == "cuda_standalone" else {"name": "none"}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    cases = CASES if arguments.neurons is None else ((arguments.neurons, 0.1),)
    console, rows = Console(), []
    for neurons, p in cases:
        rows += bench(neurons, p, arguments.device, console)
        # A later case may be too large for the machine.
        write_results(rows, arguments.out, gpu=gpu["name"])


if __name__ == "__main__":
    main()
