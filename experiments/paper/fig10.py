"""Figure 10 of the paper: membrane time constants of the neurons, before and after pruning.

    lnpbrian sweep fig10 --scale medium --out runs/fig10

Networks are those of `table2`. LNP tunes the time constants in step IV, activity pruning only chooses among neurons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import wasserstein_distance

from lnpbrian.experiments.common import (
    COLORS,
    LORENZ,
    MODELS,
    Plan,
    Result,
    Task,
    claimed,
    finish,
    lead,
    means,
    plus_minus,
    where,
)
from lnpbrian.network import NetworkSpec

NAME = "fig10"
METHODS = ("unpruned", "AP", "LNP")
# Edges of the bins in ms, a tenth of a decade and more.
EDGES = np.geomspace(1, 200, 24)
Key = tuple[str, str, int]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the networks by method, model and seed; activity pruning trains as it prunes.

    For figure 10 of arXiv 2403.03409.
    """
    return {
        (method, model, seed): plan.trained(model, method, "STDP", LORENZ, seed)
        if method == "AP"
        else plan.network(model, method, seed)
        for seed in plan.seeds
        for model in MODELS
        for method in METHODS
    }


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return mean, spread and histogram of every network, means over networks, and what became of the claims."""
    found = {key: _milliseconds(result) for key, result in results.items()}
    rows = [
        {
            "method": method,
            "model": model,
            "seed": seed,
            "neurons": tau.size,
            "mean_ms": float(tau.mean()),
            "median_ms": float(np.median(tau)),
            "variation": float(tau.std() / tau.mean()),
            "moved_ms": float(wasserstein_distance(tau, found["unpruned", model, seed])),
            "fractions": (np.histogram(tau, EDGES)[0] / tau.size).tolist(),
        }
        for (method, model, seed), tau in found.items()
    ]
    table = []
    for model in MODELS:
        for method in METHODS:
            mine = where(rows, method=method, model=model)
            numbers = means(mine, ("neurons", "mean_ms", "median_ms", "variation", "moved_ms"))
            fractions = np.mean([r["fractions"] for r in mine], axis=0).tolist()
            table.append({"method": method, "model": model, **numbers, "fractions": fractions})
    content = {"seeds": list(plan.seeds), "edges_ms": EDGES.tolist(), "table": table}
    return {**content, "claims": claims(rows), "rows": rows}


def _milliseconds(result: Result) -> np.ndarray:
    spec = NetworkSpec.from_arrays(result.arrays)
    return 1e3 * spec.time_constants[spec.alive]


def claims(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say whether pruning moves the mean time constant, by pairs of equal seeds.

    arXiv 2403.03409, section B.1, says that LNP optimises time constants, and gives no numbers.
    """
    made = []
    for method, text in (
        ("LNP", "LNP changes the mean time constant of the neurons by more than two standard errors"),
        ("AP", "activity pruning changes it too, by the choice of the neurons"),
    ):
        parts = []
        for model in MODELS:
            before, after = (where(rows, method=which, model=model) for which in ("unpruned", method))
            moved, error = lead(after, before, "mean_ms")
            parts.append((f"{model}: {moved:+.2f} ± {error:.2f} ms", abs(moved) > 2 * error))
        made.append(claimed(text, parts))
    return made


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first."""
    lines = [["pruning", "model", "neurons", "mean (ms)", "median (ms)", "variation", "moved (ms)"]]
    for r in content["table"]:
        line = [r["method"], r["model"], f"{r['neurons'][0]:.0f}"]
        line += [plus_minus(r[name], 2) for name in ("mean_ms", "median_ms", "variation")]
        lines.append([*line, f"{r['moved_ms'][0]:.2f}"])
    return {"Time constants": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the histograms of the models, a line for each kind of pruning.

    Figure 10 of arXiv 2403.03409.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots(1, len(MODELS), sharey=True, squeeze=False)[0]
    for axis, model in zip(axes, MODELS, strict=True):
        for r in where(content["table"], model=model):
            color = COLORS[r["method"]]
            # Pruned networks may have the time constants that the unpruned ones have.
            width = 4.0 if r["method"] == "unpruned" else 1.4
            axis.stairs(r["fractions"], content["edges_ms"], color=color, linewidth=width, label=r["method"])
            axis.axvline(r["mean_ms"][0], color=color, linewidth=0.8, linestyle=":")
        axis.set(title=model, xscale="log", xlabel="membrane time constant (ms), means dotted")
    axes[0].set_ylabel("fraction of the neurons")
    return finish(figure, axes[0], 3)
