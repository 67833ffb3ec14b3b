"""Step I on spiking ResNets against ERK at more operations, where the weights of a kernel share an edge's strength.

    lnpbrian sweep resnet_edges --scale medium --data cifar10=cifar10.npz --out runs/resnet_edges

Scores are divided by the operations that a weight causes. That the weights of a kernel share the strength that
exponents give their edge keeps connections of one place, which carry the residual stream. Controls are random: with the
densities of layers of ERK, and a tenth more operations on noise, since training changes how many there are; and with
these densities divided by operations too, and as many weights: what exponents add to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lnpbrian.experiments.common import Plan, Result, Task, claimed, finish, mean_of, unlike, where
from lnpbrian.experiments.paper import table8
from lnpbrian.experiments.paper.table8 import compared, of_operations, percent, scores, size_of, task_of

NAME = "resnet_edges"
LNP, ERK, CHEAP = "LNP", "ERK, a tenth more operations", "ERK, per operation"
SPARSITY = 0.8
TIMES = 1.1
# Seeds that nothing was chosen on.
FIRST_SEED = 200


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the networks by way of pruning and seed."""
    network = size_of(plan).networks[0]
    made: dict[Any, Task] = {}
    for seed in range(FIRST_SEED, FIRST_SEED + plan.scale.seeds):
        base = task_of(plan, network, "random", "LNP, per operation", seed)
        job = {**base.options["job"], "kernel": "mean", "weight_sparsity": SPARSITY}
        erk = {**job, "method": "erk"}

        def of(way: str, job: Mapping[str, Any], *needs: Task, base: Task = base, **more: Any) -> Task:
            options = {**base.options, "job": job, "way": way, **more}
            return Task(f"{way}, seed {job['seed']}", base.function, options, needs, cost=base.cost)

        made[LNP, seed] = of(LNP, job)
        made[ERK, seed] = of(table8.EQUAL, {**erk, "per": "weight"}, made[LNP, seed], times=TIMES)
        made[CHEAP, seed] = of(CHEAP, erk)
    return made


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return rows of single networks, their means, and whether a reading beats its control."""
    rows = [row | {"way": way} for (way, _), result in results.items() for row in result.record["rows"]]
    table = []
    for way in unlike(rows, "way"):
        mine = where(rows, way=way)
        table.append(
            {
                "way": way,
                **scores(mine),
                "on_noise": mean_of(mine, "synaptic_operations_on_noise"),
                "weights": mean_of([r["sparsity"] for r in mine], "weights"),
            }
        )
    claims = [
        claimed(f"step I is better than {way}, by two errors", [compared(rows, "random", LNP, way)])
        for way in (ERK, CHEAP)
    ]
    return {"table": table, "claims": claims, "rows": rows}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first."""
    lines = [["pruning", "accuracy (%)", "SOPs an image", "on noise", "weights gone (%)"]]
    for r in content["table"]:
        line = [r["way"], percent(r), f"{r['operations']:.3g}", f"{r['on_noise']:.3g}"]
        lines.append([*line, f"{100 * r['weights']:.1f}"])
    return {content["rows"][0]["images"]: lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw accuracy over operations."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    of_operations(axis, content["table"])
    axis.set_ylabel("test images right (%)")
    return finish(figure)
