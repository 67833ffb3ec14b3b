"""Figure 3 of the paper: networks over the iterations of pruning, and what they can forecast on the way.

    lnpbrian sweep fig3 --scale medium --out runs/fig3

(a, b) Neurons and synapses of activity pruning and LNP, with the spread over repeats; (c) error on Lorenz-63 of which
the first variable is seen, after STDP of both, and of random networks of LNP's size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lnpbrian.experiments.common import COLORS, LORENZ, Plan, Result, Task, finish, median_line, plus_minus
from lnpbrian.experiments.common.statistics import median_and_quartiles, spread, windows

NAME = "fig3"
MODEL = "HRSNN"
METHODS = ("AP", "LNP", "random")
POINTS = 5
Key = tuple[str, int | None, int]


def stops(plan: Plan) -> list[int]:
    """Return the iterations whose networks forecast, the start excluded."""
    return [round(k) for k in np.linspace(0, plan.scale.path_iterations, POINTS + 1)[1:]]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the paths (iteration None) and forecasts by method, iteration and seed.

    For figure 3 of arXiv 2403.03409: LNP, activity pruning, and random networks of LNP's size.
    """
    made: dict[Key, Task] = {}
    for seed in plan.seeds:
        for method in ("AP", "LNP"):
            made[method, None, seed] = plan.path(MODEL, method, seed, stops(plan))
        for method in METHODS:
            for k in stops(plan):
                made[method, k, seed] = plan.forecast_on_path(MODEL, method, seed, k, stops(plan))
        made["unpruned", 0, seed] = plan.forecast(MODEL, "unpruned", "STDP", LORENZ, seed)
    return made


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return the spreads of sizes by method and iteration, and those of the error.

    Sizes are figure 3a and 3b of arXiv 2403.03409, errors figure 3c.
    """
    paths: dict[str, Any] = {}
    for method in ("AP", "LNP"):
        records = [result.record["path"] for (name, k, _), result in results.items() if name == method and k is None]
        iterations = min(map(len, records))
        paths[method] = {
            "iteration": list(range(iterations)),
            **{
                size: [spread(record[k][size] for record in records) for k in range(iterations)]
                for size in ("neurons", "synapses")
            },
        }
    errors: dict[str, list[dict[str, Any]]] = {}
    for method in METHODS:
        errors[method] = [
            {"iteration": k}
            | {
                name: spread(
                    x
                    for (which, at, _), result in results.items()
                    if (which, at) == ((method, k) if k else ("unpruned", 0))
                    for x in windows(result.record, name)
                )
                for name in ("nrmse", "vpt")
            }
            for k in (0, *stops(plan))
        ]
    rows = [
        {"method": method, "iteration": k, "seed": seed, **result.record}
        for (method, k, seed), result in results.items()
        if k is not None
    ]
    return {"seeds": list(plan.seeds), "paths": paths, "errors": errors, "rows": rows}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first."""
    lines = [["pruning", "iteration", "neurons", "synapses", "NRMSE", "VPT"]]
    for method in METHODS:
        path = content["paths"]["LNP" if method == "random" else method]
        for point in content["errors"][method]:
            k = min(point["iteration"], len(path["iteration"]) - 1)
            lines.append(
                [
                    method,
                    str(point["iteration"]),
                    *(plus_minus(path[size][k], 0) for size in ("neurons", "synapses")),
                    median_and_quartiles(point["nrmse"], 3),
                    median_and_quartiles(point["vpt"], 1),
                ]
            )
    return {"Over the iterations": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw sizes with their standard deviations, and the error with its quartiles, over the iterations.

    Figure 3 of arXiv 2403.03409.
    """
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, size in zip(axes, ("synapses", "neurons"), strict=False):
        for method in ("AP", "LNP"):
            path = content["paths"][method]
            mean = np.array([v["mean"] for v in path[size]])
            sd = np.array([v["sd"] for v in path[size]])
            axis.plot(path["iteration"], mean, color=COLORS[method], label=method)
            axis.fill_between(path["iteration"], mean - sd, mean + sd, color=COLORS[method], alpha=0.25, linewidth=0)
        axis.set(ylabel=size, xlabel="iteration", ylim=(0, None))
        # Where no curve is.
        inset = axis.inset_axes((0.62, 0.66, 0.36, 0.3) if size == "synapses" else (0.1, 0.08, 0.3, 0.2))
        ends = [content["paths"][method][size][-1] for method in ("AP", "LNP")]
        inset.bar((0, 1), [end["sd"] for end in ends], color=[COLORS["AP"], COLORS["LNP"]])
        inset.set_xticks((0, 1), ("AP", "LNP"), fontsize=7)
        inset.set_title("sd at the end", fontsize=7)
        inset.tick_params(labelsize=7)
    for method in METHODS:
        points = content["errors"][method]
        x, values = [p["iteration"] for p in points], [p["nrmse"] for p in points]
        median_line(axes[2], x, values, COLORS[method], method)
    axes[2].set(ylabel="NRMSE on Lorenz-63", xlabel="iteration", yscale="log")
    return finish(figure, axes[2], 3)
