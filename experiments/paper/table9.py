"""Table 9 of the paper: masks found on some classes, and what they are worth on others.

    lnpbrian sweep table9 --scale medium --seeds 3 --data cifar10=cifar10.npz --out runs/table9

The first half of the classes is the source, the second the target. The mask of iterative magnitude pruning is found on
the source and trained on the target, beside one that was found on the target; step I and ERK look at no images, so that
theirs are the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lnpbrian.experiments.common import Plan, Report, Result, Task, all_rows, claimed, finish, mean_of, where
from lnpbrian.experiments.paper.table8 import (
    DENSE,
    described,
    difference,
    of_operations,
    percent,
    shown,
    size_of,
    task_of,
    worth,
)
from lnpbrian.models.resnet import SpikingResNet
from lnpbrian.records import from_plain
from lnpbrian.resnets import ResNetJob

NAME = "table9"
# The paper's, CIFAR-10 to CIFAR-100 with ResNet19: accuracy in % at the source and at the target.
PAPER = {"LNP": "89.96 -> 69.76", "IMP, from the source": "93.18 -> 68.95"}
TRANSFERRED = "IMP, from the source"
WAYS = (DENSE, "LNP", "ERK", "IMP")


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the networks by way of pruning and seed, all scored on the target.

    For table 9 of arXiv 2403.03409.
    """
    network = size_of(plan).networks[0]
    made: dict[Any, Task] = {}
    for seed in range(plan.scale.seeds):
        for way in WAYS:
            made[way, seed] = task_of(plan, network, "random", way, seed, classes="second")
        source = task_of(plan, network, "random", "IMP", seed, classes="first")
        made["source", seed] = source
        options = {**source.options, "classes": "second"}
        name = f"{TRANSFERRED}, seed {seed}"
        made[TRANSFERRED, seed] = Task(name, f"{__name__}:transferred", options, (source,), cost=float(network[4]))
    return made


def transferred(options: Mapping[str, Any], source: Result, *, report: Report) -> Result:
    """Train on the target what the source has left, from the same first weights.

    That masks may be of use on other data: Morcos et al. 2019, arXiv 1906.02773.
    """
    job, images = from_plain(ResNetJob, options["job"]), shown(options, options["classes"])
    found = SpikingResNet.from_arrays(source.arrays)
    fresh = job.network(images)
    made, record = job.finished(fresh.with_masks(found.masks), images, report=report)
    return Result({"rows": [described(job, TRANSFERRED, images) | record]}, made.to_arrays())


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return rows of single networks on the target, means, and what became of the claims."""
    target = {key: result for key, result in results.items() if key[0] != "source"}
    rows, table = all_rows(target), []
    for way in (*WAYS, TRANSFERRED):
        mine, dense = where(rows, way=way), where(rows, way=DENSE)
        line = {"way": way, **worth(mine, dense), "paper": PAPER.get(way)}
        table.append(line | {"weights": mean_of([r["sparsity"] for r in mine], "weights")})
    layout = rows[0]["layout"]

    def part(one: str, other: str, least: float) -> list[tuple[str, bool]]:
        d, error = difference(rows, layout, "random", one, other)
        return [(f"{d:+.1f} ± {error:.1f} points", d >= least)]

    made = [
        claimed("LNP is at most a point below a transferred IMP mask", part("LNP", TRANSFERRED, -1.0)),
        claimed("a mask found on the target is better than one from the source", part("IMP", TRANSFERRED, 0.0)),
        claimed("LNP is better than ERK", part("LNP", "ERK", 0.0)),
    ]
    source = [r for key, result in results.items() if key[0] == "source" for r in result.record["rows"]]
    return {"table": table, "claims": made, "rows": rows, "source_rows": source}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first.

    Table 9 of arXiv 2403.03409.
    """
    lines = [["pruning", "accuracy (%)", "SOPs an image", "SOP ratio", "weights gone (%)", "the paper's, other data"]]
    for r in content["table"]:
        lines.append(
            [
                r["way"],
                percent(r),
                f"{r['operations']:.3g}",
                f"{r['ratio']:.2f}",
                f"{100 * r['weights']:.1f}",
                r["paper"] or "",
            ]
        )
    return {"Second half of the classes": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw accuracy over operations."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axis = figure.subplots()
    of_operations(axis, content["table"])
    axis.set(ylabel="test images right (%)")
    return finish(figure)
