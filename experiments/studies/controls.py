"""Controls of LNP: what other ways to as small a network forecast, and what its synapses bring at all.

    lnpbrian sweep controls --scale medium --out runs/controls

Networks have the neurons and synapses that LNP leaves (those of `magnitude in turns` all neurons, those that are
`uncoupled` no synapses); STDP, then a readout for every window of Lorenz-63 of which the first variable is seen, as in
`table2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lnpbrian.experiments.common import (
    LORENZ,
    MODELS,
    Plan,
    Result,
    Task,
    all_rows,
    claimed,
    finish,
    median_bar,
    plain_log_axis,
    plus_minus,
)
from lnpbrian.experiments.common.plan import CONTROLS
from lnpbrian.experiments.common.statistics import (
    Rows,
    against,
    median_and_quartiles,
    over_networks,
    over_windows,
    spread,
)

NAME = "controls"
METHODS = ("unpruned", "LNP", *CONTROLS)
TRAINING, SERIES = "STDP", LORENZ
Key = tuple[str, str, int]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the forecasts by method, model and seed."""
    return {
        (method, model, seed): plan.forecast(model, method, TRAINING, SERIES, seed)
        for seed in plan.seeds
        for model in MODELS
        for method in METHODS
    }


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return rows of single networks, rows of the table, and whether LNP is better than each control."""
    common = {"training": TRAINING, "series": SERIES}
    rows = [common | row for row in all_rows(results, "method", "model", "seed")]
    found = Rows(rows)
    table = []
    for model in MODELS:
        for method in METHODS:
            mine = found.of(method, model)
            line: dict[str, Any] = {"method": method, "model": model}
            for name in ("neurons", "synapses", "synaptic_operations", "task_rate_hz"):
                line[name] = spread(r[name] for r in mine)
            for name in ("nrmse", "vpt"):
                line[name] = over_windows(mine, name)
                line[f"{name} of networks"] = over_networks(mine, name)
            table.append(line)
    claims = [
        claimed(
            f"LNP forecasts better than: {method}",
            [against(found, method, model, TRAINING, SERIES) for model in MODELS],
        )
        for method in CONTROLS
    ]
    return {"seeds": list(plan.seeds), "table": table, "claims": claims, "rows": rows}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first."""
    lines = [["model", "network", "neurons", "synapses", "SOPs (M)", "NRMSE", "mean ± sd", "VPT", "mean ± sd"]]
    for r in content["table"]:
        line = [r["model"], r["method"], *(f"{r[name]['mean']:.0f}" for name in ("neurons", "synapses"))]
        line.append(plus_minus(r["synaptic_operations"], unit=1e-6))
        for name, digits in (("nrmse", 3), ("vpt", 1)):
            line.append(median_and_quartiles(r[name], digits))
            line.append(plus_minus(r[f"{name} of networks"], digits))
        lines.append(line)
    return {"Lorenz-63 of which the first variable is seen, after STDP": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw error and valid prediction time by method: median and quartiles over networks and windows."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    colors = dict(zip(MODELS, ("tab:blue", "tab:orange"), strict=True))
    for axis, name in zip(axes, ("nrmse", "vpt"), strict=True):
        for r in content["table"]:
            x = METHODS.index(r["method"]) + 0.2 * (list(MODELS).index(r["model"]) - 0.5)
            label = r["model"] if r["method"] == METHODS[0] else None
            median_bar(axis, x, r[name], fmt="o", color=colors[r["model"]], label=label)
    plain_log_axis(axes[0])
    axes[0].set_ylabel("NRMSE, median and quartiles")
    axes[1].set(ylabel="VPT (steps), median and quartiles", ylim=(0, None))
    axes[1].set_xticks(range(len(METHODS)), [method.replace(" ", "\n", 1) for method in METHODS])
    return finish(figure, axes[0], 2)
