"""Figure 8 of the paper: valid prediction time per synaptic operation, by series, model and kind of pruning.

    lnpbrian sweep fig8 --scale medium --data wind=FILE --out runs/fig8

Networks and forecasts are those of `table6`. Activity pruning here ends at the operations that LNP has left, so that
only the unpruned network is behind by its size alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lnpbrian.experiments.common import MODELS, Plan, Result, bars, claimed, finish, plus_minus
from lnpbrian.experiments.common.statistics import median_and_quartiles
from lnpbrian.experiments.paper import table6
from lnpbrian.experiments.paper.table6 import TITLES, tasks

__all__ = ["NAME", "draw", "summarise", "tables", "tasks"]

NAME = "fig8"
MEASURE = "VPT per million operations"


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the efficiencies of table 6, and what became of the paper's claims.

    Efficiency: valid prediction time by FLOPS in arXiv 2403.03409, section B.1, by synaptic operations here.
    """
    content = table6.summarise(plan, results)
    kept = ("method", "model", "operations_per_window")
    table = [
        {name: r[name] for name in kept} | {name: r[f"{name} efficiency"] for name in content["series"]}
        for r in content["table"]
    ]
    return {"seeds": content["seeds"], "series": content["series"], "table": table, "claims": claims(content, table)}


def claims(content: Mapping[str, Any], table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say where LNP has the most valid prediction time per operation, and on which series its CHRSNN lead.

    What is claimed: arXiv 2403.03409, section B.1.
    """

    def median(method: str, model: str, series: str) -> float:
        (line,) = (r for r in table if (r["method"], r["model"]) == (method, model))
        return line[series]["median"]

    made = []
    for other, called in (("unpruned", "the unpruned network"), ("AP", "activity pruning")):
        parts = []
        for series in content["series"]:
            for model in MODELS:
                a, b = (median(method, model, series) for method in ("LNP", other))
                parts.append((f"{series}, {model}: {a:.3g} against {b:.3g}", a > b))
        made.append(claimed(f"LNP is more efficient than {called} ({MEASURE}, median)", parts))
    parts = []
    for series in content["series"]:
        a, b = (median("LNP", model, series) for model in ("CHRSNN", "HRSNN"))
        parts.append((f"{series}: {a:.3g} against {b:.3g}", a > b))
    return [*made, claimed("CHRSNN pruned by LNP are more efficient than HRSNN", parts)]


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first."""
    lines = [["pruning", "model", "SOPs (M)", *(TITLES[name] for name in content["series"])]]
    for r in content["table"]:
        line = [r["method"], r["model"], plus_minus(r["operations_per_window"], 2, 1e-6)]
        lines.append([*line, *(median_and_quartiles(r[name], 3) for name in content["series"])])
    return {f"{MEASURE}, median and quartiles": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the efficiency by series, a bar for each model and kind of pruning.

    Figure 8 of arXiv 2403.03409.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    axis = figure.subplots()
    bars(axis, content["table"], content["series"])
    # Networks that forecast nothing have none.
    axis.set_yscale("symlog", linthresh=1e-2)
    axis.set(ylabel=MEASURE, ylim=(0, None))
    axis.set_xticks(range(len(content["series"])), [TITLES[name] for name in content["series"]])
    return finish(figure, axis, 3)
