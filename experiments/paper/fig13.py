"""Figure 13 of the paper on images: accuracy and operations of the points A to E, and of its other paths.

    lnpbrian sweep fig13 --scale medium --data fashion=FOLDER --out runs/fig13

The steps are those of `ablation`, on HRSNN of spectral radius 1: I makes B of the unpruned network A, II makes C of B,
III makes D of C, IV makes E of D; beside it B -III-> D' -IV-> E', B -IV-> E'' and C -IV-> E'''. Control: a network
drawn anew with the neurons and synapses of E. Equal numbers of neurons are read, those of highest betweenness.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from lnpbrian.experiments.common import (
    Plan,
    Result,
    Task,
    all_rows,
    claimed,
    finish,
    lead,
    mean_of,
    means,
    plus_minus,
    ratios,
    unlike,
    where,
)
from lnpbrian.experiments.paper.ablation import COLORS, PATHS, network
from lnpbrian.experiments.paper.table1 import PROTOCOLS, READ, datasets, titled

NAME = "fig13"
POINTS = ("A", "B", "C", "D", "E", "D'", "E'", "E''", "E'''", "random")
TRAININGS = ("readout", "STDP")
SEEDS = 5
# What is compared network by network.
KEY = ("images", "protocol", "training")
Key = tuple[str, str, str, str, int]

# What the paper says of the figure: of two points the first is more accurate, and whether it does more operations.
SAID = (
    ("Step II: C does less than B, and is less accurate", "B", "C", True),
    ("Step III: D does more than C, and is more accurate", "D", "C", True),
    ("Step IV: E is more accurate than D", "E", "D", None),
    ("All steps: E is more accurate than C -IV-> E'''", "E", "E'''", None),
    ("Without step II: E' does more than E, and is more accurate", "E'", "E", True),
    ("Without steps II and III: E'' is less accurate than E'", "E'", "E''", None),
    ("Beside the paper: E is more accurate than a random network of its size", "E", "random", None),
)


def amounts(plan: Plan) -> dict[str, int]:
    """Return how many images train and test at most, and how many train recurrent weights by STDP."""
    if plan.scale.neurons < 400:
        return {"train": 300, "test": 150, "stdp": 5}
    return {"train": 5000, "test": 5000, "stdp": 100}


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the classifications by images, protocol, training, point and seed.

    The points are those of arXiv 2403.03409, figure 13.
    """
    return {
        (name, protocol, training, point, seed): Task(
            f"{name}, {protocol}, {training}: {point}, seed {seed}",
            "lnpbrian.experiments.paper.table1:classified",
            {
                **{"images": name, **plan.file(name)},
                **amounts(plan),
                "method": point,
                "protocol": protocol,
                "training": training,
                "seed": seed,
                "read": round(READ * plan.scale.neurons),
            },
            (network(plan, point, seed, constants="images", rule="variance"),),
            cost={"readout": 1, "STDP": 2}[training],
        )
        for name in datasets(plan)
        for protocol in PROTOCOLS
        for training in TRAININGS
        for point in POINTS
        for seed in range(min(plan.scale.seeds, SEEDS))
    }


# ---------------------------------------------------------------------------------------------------------- the summary


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return rows of single networks, their means, and which of the paper's sentences hold.

    The sentences are those of arXiv 2403.03409, section B.5.
    """
    rows, table = all_rows(results, *KEY, "point", "seed"), []
    kinds = [dict(zip(KEY, kind, strict=True)) for kind in unlike(rows, *KEY)]
    for kind in kinds:
        full = where(rows, **kind, point="A")
        for point in POINTS:
            mine = where(rows, **kind, point=point)
            line = {**kind, "point": point, **means(mine, ("accuracy", "synaptic_operations"))}
            line |= {"beside A": lead(mine, full), "operation_ratio": float(np.mean(ratios(full, mine)))}
            plain = ("neurons", "synapses", "readout_neurons", "task_rate_hz", "chance")
            table.append(line | {name: mean_of(mine, name) for name in plain})
    claims = [claimed(text, [_found(rows, kind, *parts) for kind in kinds]) for text, *parts in SAID]
    return {"table": table, "claims": claims, "rows": rows}


def _found(
    rows: list[dict[str, Any]], kind: Mapping[str, str], more: str, less: str, costs: bool | None
) -> tuple[str, bool]:
    """Return by how much one point is more accurate, network by network, and whether by two standard errors."""
    first, second = (where(rows, **kind, point=point) for point in (more, less))
    gain, error = lead(first, second)
    share = np.mean(ratios(first, second))
    # Of one network nothing is known.
    held = len(first) > 1 and gain > 2 * error and (costs is None or share > 1)
    text = f"{', '.join(kind.values())}: {100 * gain:+.2f} ± {100 * error:.2f} points, operations x {share:.2f}"
    return text, bool(held)


# ------------------------------------------------------------------------------------------------- from the JSON alone


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return a table for every set of images, protocol and training, heads first."""
    made: dict[str, list[list[str]]] = {}
    head = ["network", "made of", "by", "neurons", "synapses", "read", "SOPs/image (M)", "ratio", "accuracy (%)"]
    for r in content["table"]:
        lines = made.setdefault(_title(r), [[*head, "beside A (points)"]])
        line = [r["point"], *PATHS.get(r["point"], ("", "")), f"{r['neurons']:.0f}", f"{r['synapses']:.0f}"]
        line += [f"{r['readout_neurons']:.0f}", f"{r['synaptic_operations'][0] * 1e-6:.4f}"]
        line += [f"{r['operation_ratio']:.1f}", plus_minus(r["accuracy"], 2, 100)]
        lines.append([*line, "-" if r["point"] == "A" else plus_minus(r["beside A"], 2, 100)])
    return made


def _title(r: Mapping[str, Any]) -> str:
    trained = "a readout only" if r["training"] == "readout" else "after STDP"
    return f"{titled(r['images'], r['protocol'])}, {trained}"


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw accuracy over operations, a step of the method as a line; solid where it is the method's own path.

    Figure 13 of arXiv 2403.03409. The axis of operations is broken before the unpruned network.
    """
    kinds = list(dict.fromkeys(_title(r) for r in content["table"]))
    columns = len(TRAININGS)
    figure = Figure(figsize=(6.5 * columns, 4.0 * len(kinds) / columns + 0.5), layout="constrained")
    pairs = figure.subplots(len(kinds) // columns, 2 * columns, squeeze=False, width_ratios=(6, 1) * columns)
    for k, title in enumerate(kinds):
        row, column = divmod(k, columns)
        left, right = pairs[row, 2 * column : 2 * column + 2]
        right.sharey(left)
        found = {r["point"]: r for r in content["table"] if _title(r) == title}
        for axis in (left, right):
            _panel(axis, found)
        pruned = [r["synaptic_operations"][0] for point, r in found.items() if point != "A"]
        left.set(xlim=(min(pruned) / 1.12, max(pruned) * 1.12), ylabel="accuracy (%)")
        left.set(title=title.replace(", ", ",\n", 1), xlabel="synaptic operations an image")
        full = found["A"]["synaptic_operations"][0]
        right.set(xlim=(full / 1.1, full * 1.1))
        right.xaxis.set_major_locator(FixedLocator([float(f"{full:.2g}")]))
        left.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 4, 5, 6, 8)))
        for axis in (left, right):
            axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1e3:g} k"))
            axis.xaxis.set_minor_locator(NullLocator())
        right.tick_params(axis="y", left=False, labelleft=False)
        right.spines["left"].set_visible(False)
    for step, color in COLORS.items():
        pairs[0, 0].plot([], [], color=color, label=f"step {step}")
    pairs[0, 0].plot([], [], ":", color="grey", label="dotted: other paths")
    pairs[0, 0].plot([], [], "x", color="0.5", label="random, of the size of E")
    return finish(figure, pairs[0, 0], 6)


def _panel(axis: Axes, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw the networks of one task; those of step IV, which changes no synapses, a little to the right."""
    place = {}
    for point, r in found.items():
        aside = 1.012 if point[0] == "E" else 0.988 if point == "random" else 1.0
        place[point] = (aside * r["synaptic_operations"][0], 100 * r["accuracy"][0])
    for point, r in found.items():
        origin, step = PATHS.get(point, ("", ""))
        color = COLORS.get(step, "black" if point == "A" else "0.5")
        if step in COLORS:
            style = "-" if point in "BCDE" else ":"
            axis.plot(*zip(place[origin], place[point], strict=True), style, color=color, linewidth=1.4, zorder=0)
        axis.errorbar(
            *place[point], 100 * r["accuracy"][1], fmt="x" if point == "random" else "o", color=color, markersize=5,
            elinewidth=0.7, alpha=0.9,
        )  # fmt: skip
        beside = point[0] == "E"
        axis.annotate(
            point,
            place[point],
            xytext=(6 if beside else -6, 0),
            textcoords="offset points",
            ha="left" if beside else "right",
            va="center",
            fontsize=9,
            annotation_clip=True,
        )
    axis.set_xscale("log")
