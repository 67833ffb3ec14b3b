"""Table 9 of the paper: masks found on some images, and what they are worth on others.

    lnpbrian sweep table9 --scale medium --seeds 3 --data cifar10=cifar10.npz --data fashion=FOLDER --out runs/table9

Masks of iterative magnitude pruning are found on a source and trained on a target, beside those that were found on the
target; step I and ERK look at no images, so that theirs are the same for both. The first half of the classes is the
source of the second, and every set of images that there is a file of that of every other.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

from matplotlib.figure import Figure

from lnpbrian.experiments.common import (
    Plan,
    Report,
    Result,
    Task,
    claimed,
    finish,
    mean_of,
    unlike,
    where,
)
from lnpbrian.experiments.paper.table8 import (
    DENSE,
    Held,
    by_two_errors,
    compared,
    described,
    of_operations,
    percent,
    shown,
    size_of,
    task_of,
    worth,
)
from lnpbrian.learning.vision.images import IMAGES
from lnpbrian.models.resnet import SpikingResNet
from lnpbrian.records import from_plain
from lnpbrian.resnets import ResNetJob

NAME = "table9"
# The paper's, CIFAR-10 to CIFAR-100 with ResNet19: accuracy in % at the source and at the target.
PAPER = {"LNP": "89.96 -> 69.76", "IMP, transferred": "93.18 -> 68.95"}
WAYS = (DENSE, "LNP", "ERK", "IMP")
HALVES = ("first half", "second half")
Key = tuple[str, str, int]


def transferred_from(source: str) -> str:
    """Return what a mask is called that was found on other images.

    >>> transferred_from("fashion")
    'IMP, from fashion'
    """
    return f"IMP, from {source}"


def domains(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return options of tasks, by what their images are called: halves of the classes, and sets that have files."""
    made: dict[str, dict[str, Any]] = {HALVES[0]: {"classes": "first"}, HALVES[1]: {"classes": "second"}}
    sets = [name for name in IMAGES if name in plan.data]
    if len(sets) > 1:
        most = size_of(plan).transferred
        made |= {name: {"images": name, **plan.file(name), "most": most} for name in sets}
    return made


def transfers(plan: Plan) -> list[tuple[str, str]]:
    """Return from which images to which masks go."""
    return [HALVES, *permutations([name for name in domains(plan) if name not in HALVES], 2)]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the networks by way of pruning, the images that they are trained on, and seed.

    For table 9 of arXiv 2403.03409.
    """
    network, of = size_of(plan).networks[0], domains(plan)
    made: dict[Key, Task] = {}
    for seed in range(plan.scale.seeds):
        for name, images in of.items():
            for way in WAYS:
                made[way, name, seed] = task_of(plan, network, "random", way, seed, **images)
        for source, target in transfers(plan):
            found = made["IMP", source, seed]
            options = {**made["IMP", target, seed].options, "source": source}
            way = transferred_from(source)
            made[way, target, seed] = Task(
                f"{way}, on {target}, seed {seed}", f"{__name__}:transferred", options, (found,), cost=float(network[4])
            )
    return made


def transferred(options: Mapping[str, Any], source: Result, *, report: Report) -> Result:
    """Train on the target what the source has left, from the same first weights.

    That masks may be of use on other data: Morcos et al. 2019, arXiv 1906.02773.
    """
    job, images = from_plain(ResNetJob, options["job"]), shown(options, options.get("classes"))
    found = SpikingResNet.from_arrays(source.arrays)
    fresh = job.network(images)
    made, record = job.finished(fresh.with_masks(found.masks), images, report=report)
    return Result({"rows": [described(job, transferred_from(options["source"]), images) | record]}, made.to_arrays())


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return rows of single networks, means, and what became of the claims."""
    rows = [
        row | {"way": way, "target": target}
        for (way, target, _), result in results.items()
        for row in result.record["rows"]
    ]
    table = []
    for target, way in unlike(rows, "target", "way"):
        mine, dense = where(rows, target=target, way=way), where(rows, target=target, way=DENSE)
        line = {"target": target, "images": mine[0]["images"], "way": way, **worth(mine, dense)}
        line["weights"] = mean_of([r["sparsity"] for r in mine], "weights")
        table.append(line | {"paper": PAPER.get(way if way in WAYS else "IMP, transferred")})
    return {"table": table, "claims": claims(rows, transfers(plan)), "rows": rows}


def claims(rows: list[dict[str, Any]], pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Say what was to be found, what was, and whether it is enough: errors are standard errors.

    Of table 9 of arXiv 2403.03409, where LNP is better at the target than a mask of IMP from the source.
    """

    def part(target: str, told: str, one: str, other: str, held: Held = by_two_errors) -> tuple[str, bool]:
        text, enough = compared(where(rows, target=target), "random", one, other, held)
        return f"{told}: {text}", enough

    carried = [(target, f"{source} to {target}", transferred_from(source)) for source, target in pairs]
    return [
        claimed(
            "LNP is better than a mask of IMP from other images, by two errors",
            [part(target, told, "LNP", way) for target, told, way in carried],
        ),
        claimed(
            "a mask of IMP from other images is within a point of one found on the target",
            [part(target, told, way, "IMP", lambda d, e: d >= -1.0) for target, told, way in carried],
        ),
        claimed(
            "a mask of IMP from other images is better than ERK, by two errors",
            [part(target, told, way, "ERK") for target, told, way in carried],
        ),
        claimed(
            "LNP is better than ERK, by two errors",
            [part(target, target, "LNP", "ERK") for target in unlike(rows, "target")],
        ),
    ]


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return a table for the images of each target as rows of text, heads first.

    Table 9 of arXiv 2403.03409.
    """
    made: dict[str, list[list[str]]] = {}
    head = ["pruning", "accuracy (%)", "SOPs an image", "SOP ratio", "weights gone (%)", "the paper's, other data"]
    for r in content["table"]:
        lines = made.setdefault(_titled(r), [head])
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
    return made


def _titled(r: Mapping[str, Any]) -> str:
    return r["images"] if r["images"] == r["target"] else f"{r['target']} ({r['images']})"


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw accuracy over operations, an axis for each target."""
    targets = unlike(content["table"], "target")
    columns = min(3, len(targets))
    lines = -(-len(targets) // columns)
    figure = Figure(figsize=(4.5 * columns, 3.6 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, target in zip(axes, targets, strict=False):
        mine = where(content["table"], target=target)
        of_operations(axis, mine)
        axis.set_title(_titled(mine[0]))
    for axis in axes[len(targets) :]:
        axis.set_axis_off()
    for axis in axes[::columns]:
        axis.set_ylabel("test images right (%)")
    return finish(figure)
