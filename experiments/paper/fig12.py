"""Figure 12 of the paper: valid prediction time on Lorenz-63 over synaptic operations, by the way of pruning.

    lnpbrian sweep fig12 --scale medium --out runs/fig12

HRSNN after STDP; the first variable is seen, so that a network is needed. The networks are those of `fig11`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lnpbrian.experiments.common import COLORS, Plan, Result, Task, finish
from lnpbrian.experiments.common.by_operations import (
    METHODS,
    MODEL,
    claims,
    curve,
    few_seeds,
    forecast_with,
    lines,
    network,
    stops,
    summary,
)
from lnpbrian.experiments.common.reported import PREDICTION
from lnpbrian.experiments.common.statistics import windows

NAME = "fig12"
VALUE = "vpt"
Key = tuple[str, int, int]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the forecasts by method, iteration and seed.

    For figure 12 of arXiv 2403.03409.
    """
    points = [("unpruned", 0), ("uncoupled", 0), *((method, k) for method in METHODS for k in stops(plan))]
    return {
        (method, k, seed): forecast_with(plan, network(plan, method, seed, k), seed)
        for method, k in points
        for seed in few_seeds(plan)
    }


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return rows of single networks, means by method and operations, claims, and what the paper reports.

    What is claimed: arXiv 2403.03409, section B.4; what is reported: table 2.
    """
    rows = [
        {
            "method": method,
            "stop": k,
            "seed": seed,
            **{name: result.record[name] for name in ("neurons", "synapses", "readout_neurons", "synaptic_operations")},
            **{name: float(np.mean(windows(result.record, name))) for name in ("vpt", "nrmse")},
        }
        for (method, k, seed), result in results.items()
    ]
    text = "At equal operations LNP forecasts longer than {method} by two standard errors"
    return {
        "seeds": list(few_seeds(plan)),
        "model": MODEL,
        "curves": summary(rows, VALUE),
        "claims": claims(rows, VALUE, text, name="steps: "),
        "paper": [
            {
                "network": ", ".join(key),
                "operations": values["operations"],
                **{name: values[f"{name} vpt"] for name in ("lorenz63", "google")},
            }
            for key, values in PREDICTION.items()
        ],
        "rows": rows,
    }


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return tables as rows of text, heads first: ours, and what the paper reports.

    What the paper reports is in table 2 of arXiv 2403.03409.
    """

    def text(value: list[float] | None) -> str:
        return "-" if value is None else f"{value[0]:g} ± {value[1]:g}"

    return {
        "Lorenz-63, x seen": lines(content["curves"], VALUE, "VPT (steps)", unit=1, digits=1),
        "As the paper reports, with standard deviations": [
            ["network", "SOPs (M)", "VPT, Lorenz-63 (steps)", "VPT, Google (steps)"],
            *(
                [r["network"], *(text(r[name]) for name in ("operations", "lorenz63", "google"))]
                for r in content["paper"]
            ),
        ],
    }


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw valid prediction times over operations: ours, and what the paper reports.

    Figure 12 of arXiv 2403.03409.
    """
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    axis, paper = figure.subplots(1, 2)
    curve(axis, content["curves"], VALUE)
    alone = next(r for r in content["curves"] if r["method"] == "uncoupled")
    axis.axhline(alone[VALUE][0], color=COLORS["uncoupled"], linewidth=0.9, linestyle="--", label="uncoupled")
    axis.set(title="Lorenz-63, x seen", xlabel="synaptic operations a window", ylabel="valid prediction time (steps)")
    for r in content["paper"]:
        method, model, training = r["network"].split(", ")
        (x, dx), (y, dy) = r["operations"], r["lorenz63"]
        style = {"fmt": "o" if training == "STDP" else "^", "fillstyle": "full" if model == "HRSNN" else "none"}
        paper.errorbar(x, y, dy, dx, color=COLORS[method], capsize=2, **style)
    for marker, label in (("o", "STDP"), ("^", "BP")):
        paper.plot([], [], marker, color="grey", label=label)
    paper.plot([], [], "o", color="grey", fillstyle="none", label="hollow: CHRSNN")
    paper.legend(frameon=False, fontsize=8, loc="lower right")
    paper.set(title="Lorenz-63, as the paper reports", xscale="log", ylabel="valid prediction time (steps)")
    paper.set_xlabel("synaptic operations (M)")
    return finish(figure, axis, 4)
