"""How the twin exponent of a spiking network depends on the size of the perturbation and on where spikes happen.

    python -m lnpbrian.experiments.twin_perturbation --out runs/twin_perturbation

writes ``twin_perturbation.json`` and ``twin_perturbation.png``. With spikes on the time grid, twins that fire on the
same step forget their difference, and twins that do not jump apart by a whole step: the exponent then says how often
the one and the other happened. With precise spikes it is a property of the network, for small perturbations.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

from brian2 import ms, second
from matplotlib.figure import Figure

from lnpbrian.experiments.common import output_directory, write_results
from lnpbrian.lyapunov.twins import DIRECTIONS, block_twin_exponents
from lnpbrian.models import HRSNN
from lnpbrian.network.drive import noise_drive
from lnpbrian.network.spec import SPIKE_TIMINGS
from lnpbrian.streams import Streams

PERTURBATIONS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)


def measure(neurons: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
    """Return a row for every spike timing and perturbation; all share network, drive and random perturbations."""
    streams = Streams(seed)
    spec = HRSNN(neurons, 0.1, check_rate=False, seed=seed).spec
    drive = noise_drive(neurons, duration=1200 * ms, rng=streams.rng("drive"))
    rows = []
    for directions, timing, size in itertools.product(DIRECTIONS, SPIKE_TIMINGS, PERTURBATIONS):
        twins = block_twin_exponents(
            spec.with_timing(timing),
            drive=drive,
            duration=1 * second,
            perturbation=size,
            directions=directions,
            rng=streams.rng("twins"),
        )
        found = (
            (twins.largest_exponent, twins.standard_error)
            if directions == "kept"
            else (twins.window_exponent, twins.window_standard_error)
        )
        rows.append(
            {
                "directions": directions,
                "spike_timing": timing,
                "perturbation": size,
                "largest_exponent_per_s": found[0],
                "standard_error_per_s": found[1],
                "floored_fraction": float(twins.floored.mean()),
                "mean_rate_hz": float(twins.rates.mean()),
            }
        )
        print(f"{directions:>6} {timing:>12} {size:.0e} {found[0]:8.1f} +- {found[1]:.1f} /s")
    return rows


def draw(content: dict[str, Any]) -> Figure:
    """Draw the exponent over the perturbation, a line for every spike timing."""
    rows = content["rows"]
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = dict(zip(DIRECTIONS, figure.subplots(1, 2, sharey=True), strict=True))
    colors = dict(zip(SPIKE_TIMINGS, ("#7a7a7a", "#e3a857", "#d1495b"), strict=True))
    for (directions, axis), timing in itertools.product(axes.items(), SPIKE_TIMINGS):
        mine = [r for r in rows if (r["directions"], r["spike_timing"]) == (directions, timing)]
        axis.errorbar(
            [r["perturbation"] for r in mine],
            [r["largest_exponent_per_s"] for r in mine],
            [r["standard_error_per_s"] for r in mine],
            fmt="o-",
            color=colors[timing],
            capsize=3,
            label=f"{timing} spikes",
        )
    for directions, axis in axes.items():
        axis.axhline(0, color="black", linewidth=0.6)
        axis.set(xscale="log", xlabel="perturbation of the potentials", title=f"{directions} directions")
        axis.spines[["top", "right"]].set_visible(False)
    axes["fresh"].set_ylabel("exponent of the network (1/s)")
    axes["fresh"].legend(frameon=False)
    return figure


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--neurons", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/twin_perturbation"))
    arguments = parser.parse_args()
    directory = output_directory(arguments, "twin_perturbation")
    rows = measure(arguments.neurons, arguments.seed)
    write_results(directory, "twin_perturbation", {"seed": arguments.seed, "rows": rows}, draw)


if __name__ == "__main__":
    main()
