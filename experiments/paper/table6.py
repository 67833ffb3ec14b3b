"""Table 6 of the paper: unpruned, activity-pruned and LNP-pruned networks on four series.

    lnpbrian sweep table6 --scale medium --data wind=FILE --out runs/table6

The paper's numbers of this table are lost in the sources at hand; those of Lorenz-63 and Google are in `table2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lnpbrian.experiments.common import LORENZ, MODELS, SEEN, Plan, Result, Task, all_rows, bars, finish, plus_minus
from lnpbrian.experiments.common.reported import PREDICTION
from lnpbrian.experiments.common.statistics import Rows, median_and_quartiles, over_windows, spread, windows

NAME = "table6"
METHODS = ("unpruned", "AP", "LNP")
TITLES = {
    LORENZ: "Lorenz-63, x seen",
    SEEN: "Lorenz-63",
    "roessler": "Roessler",
    "google": "Google stock",
    "wind": "Wind",
}
TRAINING = "STDP"
Key = tuple[str, str, str, int]


def series(plan: Plan) -> list[str]:
    """Return the series: wind only if there is a file of it.

    The four series are those of arXiv 2403.03409, section A.4.

    Examples
    --------
    >>> from lnpbrian.experiments.common.plan import SCALES
    >>> series(Plan(SCALES["smoke"], {}))[-1], series(Plan(SCALES["smoke"], {"wind": "wind.csv"}))[-1]
    ('google', 'wind')
    """
    return [name for name in TITLES if name != "wind" or "wind" in plan.data]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the forecasts by method, model, series and seed.

    For table 6 of arXiv 2403.03409.
    """
    return {
        (method, model, name, seed): plan.forecast(model, method, TRAINING, name, seed)
        for seed in plan.seeds
        for model in MODELS
        for method in METHODS
        for name in series(plan)
    }


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return rows of single networks, and rows of the table."""
    rows = [{"training": TRAINING, **row} for row in all_rows(results, "method", "model", "series", "seed")]
    found = Rows(rows)
    table = []
    for method in METHODS:
        for model in MODELS:
            mine = found.of(method, model)
            line: dict[str, Any] = {
                "method": method,
                "model": model,
                "operations_per_window": spread(r["synaptic_operations"] for r in mine),
                "operation_ratio": spread(found.ratios(method, model)),
                "paper": {},
            }
            for name in series(plan):
                records = found.of(method, model, TRAINING, name)
                for error in ("nrmse", "vpt", "one_step_nrmse"):
                    line[f"{name} {error}"] = over_windows(records, error)
                # Figure 8: valid prediction time per operation.
                line[f"{name} efficiency"] = spread(
                    float(np.mean(windows(r, "vpt"))) / (1e-6 * r["synaptic_operations"]) for r in records
                )
                line["paper"][name] = PREDICTION.get((method, model, TRAINING), {}).get(f"{name} nrmse")
            table.append(line)
    return {"seeds": list(plan.seeds), "series": series(plan), "table": table, "rows": rows}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first.

    Table 6 of arXiv 2403.03409.
    """
    head = ["pruning", "model", "SOPs (M)", "ratio"]
    for name in content["series"]:
        head += [f"{TITLES[name]} NRMSE", "paper", "VPT", "one step"]
    lines = [head]
    for r in content["table"]:
        line = [r["method"], r["model"], plus_minus(r["operations_per_window"], unit=1e-6)]
        line.append(f"{r['operation_ratio']['median']:.1f}")
        for name in content["series"]:
            paper = r["paper"][name]
            line += [
                median_and_quartiles(r[f"{name} nrmse"], 3),
                "-" if paper is None else f"{paper[0]:g} ± {paper[1]:g}",
                median_and_quartiles(r[f"{name} vpt"], 1),
                median_and_quartiles(r[f"{name} one_step_nrmse"], 3),
            ]
        lines.append(line)
    return {"Networks": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw error and efficiency (VPT per million operations, the paper's figure 8) by series.

    Table 6 of arXiv 2403.03409 as a figure, with the efficiency of its figure 8.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    names = content["series"]
    labels = {"nrmse": "NRMSE", "efficiency": "VPT per million operations"}
    for axis, (error, label) in zip(axes, labels.items(), strict=True):
        bars(axis, content["table"], [f"{name} {error}" for name in names])
        axis.set(ylabel=label, yscale="log")
    axes[1].set_xticks(range(len(names)), [TITLES[name] for name in names])
    return finish(figure, axes[0], 3)
