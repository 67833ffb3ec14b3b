"""How the twin exponent of a spiking network depends on the size of the perturbation and on where spikes happen.

    lnpbrian sweep twin_perturbation --scale medium --out runs/twin_perturbation

With spikes on the time grid, twins that fire on the
same step forget their difference, and twins that do not jump apart by a whole step: the exponent then says how often
the one and the other happened. With precise spikes it is a property of the network, for small perturbations.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from brian2 import ms, second
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lnpbrian.experiments.common import Plan, Report, Result, Streams, Task, all_rows, finish
from lnpbrian.lyapunov import TwinExponents, block_twin_exponents
from lnpbrian.lyapunov.twins import DIRECTIONS
from lnpbrian.models import HRSNN
from lnpbrian.network import noise_drive
from lnpbrian.network.spec import SPIKE_TIMINGS

NAME = "twin_perturbation"
SEED = 0
PERTURBATIONS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the measurements by directions, spike timing and perturbation."""
    made = {}
    for directions, timing, size in itertools.product(DIRECTIONS, SPIKE_TIMINGS, PERTURBATIONS):
        options = {"directions": directions, "spike_timing": timing, "perturbation": size}
        options |= {"neurons": plan.scale.neurons, "seed": SEED}
        made[directions, timing, size] = Task(f"{directions}, {timing}, {size:g}", f"{__name__}:measured", options)
    return made


def measured(options: Mapping[str, Any], *, report: Report) -> Result:
    """Measure the exponent of twins; all share network, drive and random perturbations.

    Twins that are brought close again: arXiv 2403.03409, section A.1, and Benettin et al. 1980, doi:10.1007/BF02128236.
    """
    neurons, streams = options["neurons"], Streams(options["seed"])
    spec = HRSNN(neurons, 0.1, check_rate=False, seed=options["seed"]).spec
    drive = noise_drive(neurons, duration=1200 * ms, rng=streams.rng("drive"))
    row = {name: options[name] for name in ("directions", "spike_timing", "perturbation")}
    twins = block_twin_exponents(
        spec.with_timing(row["spike_timing"]),
        drive=drive,
        duration=1 * second,
        perturbation=row["perturbation"],
        directions=row["directions"],
        rng=streams.rng("twins"),
    )
    return Result({"rows": [row | twin_record(twins)]})


def twin_record(twins: TwinExponents) -> dict[str, Any]:
    """Return what figures show of twins: growth in kept directions if there are any, else in fresh ones."""
    kept = twins.largest_exponent is not None
    return {
        "largest_exponent_per_s": twins.largest_exponent if kept else twins.window_exponent,
        "standard_error_per_s": twins.standard_error if kept else twins.window_standard_error,
        "floored_fraction": float(twins.floored.mean()),
        "mean_rate_hz": float(twins.rates.mean()),
    }


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return a row for every direction, spike timing and perturbation."""
    return {"seeds": [SEED], "rows": all_rows(results)}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the exponents by perturbation, a table for each kind of directions."""
    made = {}
    for directions in DIRECTIONS:
        mine = [r for r in content["rows"] if r["directions"] == directions]
        lines = [["perturbation", *(f"{timing} spikes (1/s)" for timing in SPIKE_TIMINGS)]]
        for size in dict.fromkeys(r["perturbation"] for r in mine):
            lines.append([f"{size:g}", *(exponent_text(r) for r in mine if r["perturbation"] == size)])
        made[f"Exponents from {directions} directions"] = lines
    return made


def exponent_text(row: Mapping[str, float]) -> str:
    """Return an exponent and its standard error as text.

    Examples
    --------
    >>> exponent_text({"largest_exponent_per_s": 12.34, "standard_error_per_s": 0.5})
    '12.3 ± 0.5'
    """
    return f"{row['largest_exponent_per_s']:.1f} ± {row['standard_error_per_s']:.1f}"


def draw_exponents(axis: Axes, rows: Sequence[Mapping[str, Any]], **style: Any) -> None:
    """Draw exponents over the perturbation."""
    x, y, error = (
        [r[name] for r in rows] for name in ("perturbation", "largest_exponent_per_s", "standard_error_per_s")
    )
    axis.errorbar(x, y, error, fmt="o-", capsize=3, **style)


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the exponent over the perturbation, a line for every spike timing."""
    rows = content["rows"]
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = dict(zip(DIRECTIONS, figure.subplots(1, 2, sharey=True), strict=True))
    colors = dict(zip(SPIKE_TIMINGS, ("#7a7a7a", "#e3a857", "#d1495b"), strict=True))
    for (directions, axis), timing in itertools.product(axes.items(), SPIKE_TIMINGS):
        mine = [r for r in rows if (r["directions"], r["spike_timing"]) == (directions, timing)]
        draw_exponents(axis, mine, color=colors[timing], label=f"{timing} spikes")
    for directions, axis in axes.items():
        axis.axhline(0, color="black", linewidth=0.6)
        axis.set(xscale="log", xlabel="perturbation of the potentials", title=f"{directions} directions")
    axes["fresh"].set_ylabel("exponent of the network (1/s)")
    axes["fresh"].legend(frameon=False)
    return finish(figure)
