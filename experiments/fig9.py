"""Figure 9 of the paper: Lorenz-63 forecasts by networks whose input is noisy.

    lnpbrian sweep fig9 --scale medium --out runs/fig9

Networks are those of `table2` after STDP. Noise is on every sample that trains the readout; what is forecast is clean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lnpbrian.experiments.common import median_and_quartiles
from lnpbrian.experiments.comparison import METHODS, MODELS, Plan, spread
from lnpbrian.experiments.paper import INPUT_NOISE
from lnpbrian.experiments.table2 import COLORS
from lnpbrian.sweep import Result, Task

NAME = "fig9"
LEVELS = (50, 40, 30, 20, 10)
TRAINING = "STDP"
Key = tuple[str, str, int, int]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the forecasts by method, model, signal-to-noise ratio in dB and seed."""
    return {
        (method, model, level, seed): plan.forecast(model, method, TRAINING, "lorenz63", seed, snr=float(level))
        for seed in range(plan.scale.seeds)
        for model in MODELS
        for method in METHODS
        for level in LEVELS
    }


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return rows of single networks, and the spreads by method, model and level."""
    rows = [
        {"method": method, "model": model, "snr_db": level, "seed": seed, **result.record}
        for (method, model, level, seed), result in results.items()
    ]
    table = []
    for method in METHODS:
        for model in MODELS:
            line: dict[str, Any] = {"method": method, "model": model, "nrmse": {}, "vpt": {}, "paper": {}}
            for level in LEVELS:
                mine = [r for r in rows if (r["method"], r["model"], r["snr_db"]) == (method, model, level)]
                line["nrmse"][str(level)] = spread(x for r in mine for x in r["nrmse"])
                line["vpt"][str(level)] = spread(x for r in mine for x in r["vpt_steps"]["0.1"])
                line["paper"][str(level)] = INPUT_NOISE.get((method, model), {}).get(level)
            table.append(line)
    return {"table": table, "rows": rows}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first."""
    lines = [["pruning", "model", *(cell for level in LEVELS for cell in (f"{level} dB", "paper"))]]
    for r in content["table"]:
        line = [r["method"], r["model"]]
        for level in map(str, LEVELS):
            paper = r["paper"][level]
            line.append(median_and_quartiles(r["nrmse"][level], 3))
            line.append("-" if paper is None else f"{paper[0]:g} ± {paper[1]:g}")
        lines.append(line)
    return {"NRMSE by signal-to-noise ratio of the input": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the error over the signal-to-noise ratio, ours full and the paper's dashed."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, model in zip(axes, MODELS, strict=True):
        for r in content["table"]:
            if r["model"] != model:
                continue
            values = [r["nrmse"][str(level)] for level in LEVELS]
            color = COLORS[r["method"]]
            middle = [v["median"] for v in values]
            axis.plot(LEVELS, middle, "o-", color=color, label=r["method"])
            axis.fill_between(
                LEVELS,
                [v["quartile_1"] for v in values],
                [v["quartile_3"] for v in values],
                color=color,
                alpha=0.15,
                linewidth=0,
            )
            reported = [(level, r["paper"][str(level)]) for level in LEVELS if r["paper"][str(level)]]
            if reported:
                means = [p[0] for _, p in reported]
                axis.plot([level for level, _ in reported], means, "--", color=color, linewidth=0.8)
        axis.set(title=model, xlabel="signal-to-noise ratio of the input (dB)", yscale="log", xlim=(52, 8))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].plot([], [], "--", color="grey", label="the paper's")
    axes[0].set_ylabel("NRMSE, median and quartiles")
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, ncols=5, loc="outside lower center")
    return figure
