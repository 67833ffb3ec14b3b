"""Figure 9 of the paper: Lorenz-63 forecasts by networks whose input is noisy.

    lnpbrian sweep fig9 --scale medium --out runs/fig9

Networks are those of `table2` after STDP. Noise is on every sample that trains the readout; what is forecast is clean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lnpbrian.experiments.common import COLORS, LORENZ, MODELS, Plan, Result, Task, all_rows, finish, median_line, where
from lnpbrian.experiments.common.plan import METHODS
from lnpbrian.experiments.common.reported import INPUT_NOISE
from lnpbrian.experiments.common.statistics import median_and_quartiles, over_windows

NAME = "fig9"
LEVELS = (50, 40, 30, 20, 10)
TRAINING = "STDP"
Key = tuple[str, str, int, int]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the forecasts by method, model, signal-to-noise ratio in dB and seed.

    The levels of noise are those of arXiv 2403.03409, table 7.
    """
    return {
        (method, model, level, seed): plan.forecast(model, method, TRAINING, LORENZ, seed, snr=float(level))
        for seed in plan.seeds
        for model in MODELS
        for method in METHODS
        for level in LEVELS
    }


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return rows of single networks, and the spreads by method, model and level."""
    rows = all_rows(results, "method", "model", "snr_db", "seed")
    table = []
    for method in METHODS:
        for model in MODELS:
            line: dict[str, Any] = {"method": method, "model": model, "nrmse": {}, "vpt": {}, "paper": {}}
            for level in LEVELS:
                mine = where(rows, method=method, model=model, snr_db=level)
                line["nrmse"][str(level)] = over_windows(mine, "nrmse")
                line["vpt"][str(level)] = over_windows(mine, "vpt")
                line["paper"][str(level)] = INPUT_NOISE.get((method, model), {}).get(level)
            table.append(line)
    return {"seeds": list(plan.seeds), "table": table, "rows": rows}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first.

    Table 7 of arXiv 2403.03409.
    """
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
    """Draw the error over the signal-to-noise ratio, ours full and the paper's dashed.

    Figure 9 of arXiv 2403.03409.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, model in zip(axes, MODELS, strict=True):
        for r in where(content["table"], model=model):
            color = COLORS[r["method"]]
            median_line(axis, LEVELS, [r["nrmse"][str(level)] for level in LEVELS], color, r["method"])
            reported = [(level, r["paper"][str(level)]) for level in LEVELS if r["paper"][str(level)]]
            if reported:
                means = [p[0] for _, p in reported]
                axis.plot([level for level, _ in reported], means, "--", color=color, linewidth=0.8)
        axis.set(title=model, xlabel="signal-to-noise ratio of the input (dB)", yscale="log", xlim=(52, 8))
    axes[0].plot([], [], "--", color="grey", label="the paper's")
    axes[0].set_ylabel("NRMSE, median and quartiles")
    return finish(figure, axes[0], 5)
