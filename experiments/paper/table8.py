"""Table 8 of the paper: spiking ResNets on images, random or converted, pruned in several ways.

    lnpbrian sweep table8 --scale medium --seeds 3 --data cifar10=cifar10.npz --out runs/table8

Images are those of CIFAR-10, or of another set that is given, of which few are used; without a file scikit-learn's
digits. "ERK, equal operations" has the densities of layers of random Erdos-Renyi graphs and as many weights as cost
what "LNP, per operation" costs on noise: the two differ by which weights are kept, and by nothing that step I could
have been spared for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from lnpbrian.experiments.common import (
    Plan,
    Report,
    Result,
    Streams,
    Task,
    all_rows,
    claimed,
    finish,
    lead,
    mean_and_error,
    mean_of,
    plain_log_axis,
    plus_minus,
    ratios,
    unlike,
    where,
)
from lnpbrian.experiments.common.plan import SCALES
from lnpbrian.learning.vision.images import IMAGES
from lnpbrian.learning.vision.resnet_training import ResNetTrainingOptions
from lnpbrian.models.resnet import SpikingResNet
from lnpbrian.pruning.channels import erk_masks
from lnpbrian.records import from_plain, plain
from lnpbrian.resnets import ImageArrays, ResNetJob, image_arrays

NAME = "table8"
Key = tuple[str, str, str, int]

# What the paper has for CIFAR-10 with ResNet19: accuracy and loss in points, sparsity in %.
PAPER = {
    ("random", "LNP"): "93.29 (-2.15) at 94.32 %; 89.96 in its table 9",
    ("converted", "LNP"): "loss 0.04 at 98.19 %",
    ("random", "IMP"): "93.22 (-0.04) at 97.54 % (Kim et al. 2022)",
}
DENSE, EQUAL = "dense", "ERK, equal operations"
# By what they are called: the start and the options of a job.
WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "random": {
        DENSE: {},
        "LNP": {"method": "lnp"},
        "LNP, per operation": {"method": "lnp", "per": "operation"},
        "LNP, steps I to IV": {"method": "lnp", "pruning": ["I", "II", "III", "IV"], "channel_sparsity": 0.1},
        "ERK": {"method": "erk"},
        EQUAL: {"method": "erk"},
        "uniform": {"method": "uniform"},
        "magnitude": {"method": "magnitude"},
        "IMP": {"method": "imp"},
    },
    "converted": {
        DENSE: {},
        "LNP": {"method": "lnp"},
        "LNP, weights only": {"method": "lnp", "strength": "weight"},
        "LNP, weight-blind": {"method": "lnp", "strength": "lyapunov"},
        "ERK": {"method": "erk"},
        "magnitude": {"method": "magnitude"},
    },
}
SPARSITY = {"random": 0.95, "converted": 0.8}


Network = tuple[str, float, int, int, int]


@dataclass(frozen=True)
class Size:
    """Trainings of a scale, and its networks: layout, width, side of images, time steps and epochs of each.

    `deeper` is that of `table8_resnet19`; `transferred` is how many images are used at most of other sets than
    CIFAR-10, and where masks go from one set to another.
    """

    networks: tuple[Network, ...]
    deeper: Network
    images: int | None
    rounds: int
    fine_tuning: int
    batch: int = 64
    transferred: int | None = None


WIDE = ("resnet19", 1.0, 32, 5, 300)
SIZES = {
    "smoke": Size((("resnet8", 1 / 16, 8, 2, 2),), ("resnet19", 1 / 16, 8, 2, 1), 256, 2, 1, 32, 256),
    "medium": Size((("resnet8", 0.25, 16, 4, 5),), ("resnet19", 0.125, 32, 4, 8), None, 5, 3, transferred=3000),
    "paper": Size((WIDE,), WIDE, None, 15, 30),
}


def size_of(plan: Plan) -> Size:
    """Return the size of a plan: that of the largest scale whose recurrent networks are not larger."""
    fitting = [name for name in SIZES if SCALES[name].neurons <= plan.scale.neurons]
    return SIZES[fitting[-1] if fitting else "smoke"]


def images_of(plan: Plan) -> dict[str, Any]:
    """Return which images there is a file of, CIFAR-10's before others, as options of a task."""
    name = next((name for name in ("cifar10", *IMAGES) if name in plan.data), "cifar10")
    others = {"images": name, "most": size_of(plan).transferred}
    return plan.file(name) | (others if name != "cifar10" else {})


def task_of(plan: Plan, network: Network, start: str, way: str, seed: int, **more: Any) -> Task:
    """Return the task of a network that is pruned in some way and trained; `more` says which images are shown."""
    size = size_of(plan)
    layout, width, side, steps, epochs = network
    job = ResNetJob(
        layout=layout,
        width=width,
        steps=steps,
        start=start,
        weight_sparsity=SPARSITY[start],
        rounds=size.rounds,
        fine_tuning=size.fine_tuning,
        seed=seed,
        training=ResNetTrainingOptions(epochs=epochs, batch=size.batch),
    )
    changes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in WAYS[start][way].items()}
    job = replace(job, **changes)
    options = {"way": way, "job": plain(job), "side": side, "most": size.images, **images_of(plan), **more}
    needs: tuple[Task, ...] = ()
    if way != DENSE and (start == "converted" or way == "magnitude"):
        needs = (task_of(plan, network, start, DENSE, seed, **more),)
    elif way == EQUAL:
        needs = (task_of(plan, network, start, "LNP, per operation", seed, **more),)
    told = [f", {more[name]}" for name in ("images", "classes") if name in more]
    cost = epochs * (size.rounds + 1 if way == "IMP" else 1) * (8 if layout == "resnet19" else 1)
    return Task(
        f"{way}, {start} {layout}{''.join(told)}, seed {seed}", f"{__name__}:measured", options, needs, cost=float(cost)
    )


def tasks(plan: Plan, *, networks: Sequence[Network] | None = None) -> dict[Key, Task]:
    """Return the networks by layout, start, way of pruning and seed.

    For table 8 of arXiv 2403.03409.
    """
    return {
        (network[0], start, way, seed): task_of(plan, network, start, way, seed)
        for seed in range(plan.scale.seeds)
        for network in networks or size_of(plan).networks
        for start, ways in WAYS.items()
        for way in ways
    }


def shown(options: Mapping[str, Any], classes: str | None = None) -> ImageArrays:
    """Return the images of a task: those of its set, or a half of the classes."""
    name = options.get("images") or ("digits" if options["data"] is None else "cifar10")
    images = image_arrays(name, options["data"], size=options["side"])
    if classes is not None:
        half = images.classes // 2
        images = images.of_classes({"first": range(half), "second": range(half, images.classes)}[classes])
    most = options["most"]
    return replace(
        images,
        x_train=images.x_train[:most],
        y_train=images.y_train[:most],
        x_test=images.x_test[:most],
        y_test=images.y_test[:most],
    )


def measured(options: Mapping[str, Any], *needs: Result, report: Report) -> Result:
    """Prune a network, train it, and say what it scores and costs."""
    job, way = from_plain(ResNetJob, options["job"]), options["way"]
    images = shown(options, options.get("classes"))
    fresh = job.network(images)
    told: dict[str, Any] = {}
    if way == DENSE:
        made = job.train(fresh, images, report=report).network
        _, record = job.scored(made, images)
    else:
        trained = SpikingResNet.from_arrays(needs[0].arrays) if needs and way != EQUAL else None
        if way == EQUAL:
            other = SpikingResNet.from_arrays(needs[0].arrays)
            made = at_equal_operations(job, fresh, other, times=options.get("times", 1.0))
        else:
            base = trained if job.start == "converted" and trained is not None else fresh

            def pruning(fraction: float, what: str) -> None:
                report(0.8 * fraction, what)

            made, told = job.prune(base, images, trained=trained, report=pruning)
        made, record = job.finished(made, images, report=report)
    row = described(job, way, images) | record | {"pruning": told.get("history"), "seen": told.get("seen")}
    # What others need: before conversion.
    return Result({"rows": [row]}, made.to_arrays())


def described(job: ResNetJob, way: str, images: ImageArrays) -> dict[str, Any]:
    """Return what a row of a network is about."""
    told = {name: getattr(job, name) for name in ("layout", "width", "start", "seed")}
    return {**told, "way": way, "images": images.name}


def at_equal_operations(
    job: ResNetJob, network: SpikingResNet, other: SpikingResNet, *, times: float = 1.0
) -> SpikingResNet:
    """Return a network with ERK densities whose weights meet as many spikes, on noise, as those of another.

    Or as many `times` that.

    Spikes are counted in the dense network for both, so that their number of weights is all that is chosen.

    ERK densities: Evci et al. 2020, arXiv 1911.11134.
    """
    met = job.meetings_on_noise(network)

    def cost(masks: Mapping[str, np.ndarray]) -> float:
        return sum(float((met[name] * mask.sum(3)).sum()) for name, mask in masks.items())

    goal = times * cost(other.masks)
    low, high = 1, network.prunable
    while high - low > max(1, network.prunable // 2000):
        middle = (low + high) // 2
        masks = erk_masks(network, middle, rng=Streams(job.seed).child("masks").rng("equal"))
        low, high = (middle, high) if cost(masks) < goal else (low, middle)
    return network.with_masks(erk_masks(network, low, rng=Streams(job.seed).child("masks").rng("equal")))


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return rows of single networks, means of the table, and what became of the claims."""
    rows = all_rows(results)
    return {"table": table_of(rows), "claims": claims(rows), "rows": rows}


def table_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return means and standard errors over seeds, with the loss and the SOP ratio by pairs of equal seeds."""
    lines = []
    for layout, start, way in unlike(rows, "layout", "start", "way"):
        mine, dense = (where(rows, layout=layout, start=start, way=w) for w in (way, DENSE))
        before = [r["accuracy_before_fine_tuning"] for r in mine if "accuracy_before_fine_tuning" in r]
        lines.append(
            {
                **{"layout": layout, "start": start, "way": way},
                **worth(mine, dense),
                "loss": lead(dense, mine),
                "before_fine_tuning": float(np.mean(before)) if before else None,
                "stem_macs": mine[0]["stem_macs"],
                "sparsity": {k: float(np.mean([r["sparsity"][k] for r in mine])) for k in mine[0]["sparsity"]},
                "paper": PAPER.get((start, way)),
            }
        )
    return lines


def scores(mine: list[dict[str, Any]]) -> dict[str, Any]:
    """Return accuracy and operations of networks."""
    return {
        "accuracy": mean_and_error([r["accuracy"] for r in mine]),
        "error_of_images": mean_of(mine, "standard_error"),
        "operations": mean_of(mine, "synaptic_operations"),
    }


def worth(mine: list[dict[str, Any]], dense: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the same, and times as many operations of dense networks of the same seeds."""
    return {**scores(mine), "ratio": float(np.mean(ratios(dense, mine)))}


def difference(rows: list[dict[str, Any]], layout: str, start: str, one: str, other: str) -> tuple[float, float]:
    """Return the mean difference of accuracies of two ways, in points, and its standard error over seeds and images.

    All seeds see the same images, so that both are drawn: of mean squares over seeds, over images and of what is left,
    the variance is the sum of the first two less the third, by seeds and images (Searle, Casella and McCulloch 1992,
    doi:10.1002/9780470316856, chapter 4).
    """
    found = {
        (r["way"], r["seed"]): np.array([c == "1" for c in r["correct"]], float)
        for r in where(rows, layout=layout, start=start)
    }
    d = np.array(
        [found[one, seed] - found[other, seed] for way, seed in found if way == one and (other, seed) in found]
    )
    seeds, images = d.shape
    by_image = seeds * d.mean(0).var(ddof=1)
    if seeds == 1:
        return 100 * float(d.mean()), 100 * float(np.sqrt(by_image / images))
    by_seed = images * d.mean(1).var(ddof=1)
    left = d - d.mean(0) - d.mean(1, keepdims=True) + d.mean()
    rest = (left**2).sum() / ((seeds - 1) * (images - 1))
    # An estimate below what either alone would leave is chance.
    variance = max(by_seed + by_image - rest, by_seed, by_image) / d.size
    return 100 * float(d.mean()), 100 * float(np.sqrt(variance))


Held = Callable[[float, float], bool]


def by_two_errors(difference: float, error: float) -> bool:
    """Whether a difference is above two of its errors.

    >>> by_two_errors(1.3, 0.5), by_two_errors(0.2, 0.5)
    (True, False)
    """
    return difference > 2 * error


def compared(
    rows: list[dict[str, Any]], start: str, one: str, other: str, held: Held = by_two_errors
) -> tuple[str, bool]:
    """Return the difference of two ways and its error, as text, and whether that is enough."""
    d, error = difference(rows, rows[0]["layout"], start, one, other)
    return f"{d:+.1f} ± {error:.1f} points", held(d, error)


def claims(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say what was to be found, what was, and whether it is enough: errors are standard errors.

    Random and converted networks are those of arXiv 2403.03409, section B.3.
    """
    layouts = unlike(rows, "layout")

    def parts(start: str, one: str, other: str, held: Held = by_two_errors) -> list[tuple[str, bool]]:
        found = [(layout, compared(where(rows, layout=layout), start, one, other, held)) for layout in layouts]
        return [(f"{layout}: {text}", enough) for layout, (text, enough) in found]

    return [
        claimed(
            "random: LNP step I is as accurate as ERK random, within 1.5 points (two-sided, 1.645 errors)",
            parts("random", "LNP", "ERK", lambda d, e: abs(d) + 1.645 * e < 1.5),
        ),
        claimed(
            "random: LNP per operation is better than ERK random at equal operations by two errors",
            parts("random", "LNP, per operation", EQUAL),
        ),
        claimed("random: IMP is better than LNP by 1 point", parts("random", "IMP", "LNP", lambda d, e: d >= 1)),
        claimed(
            "converted: LNP after fine-tuning is within 2 points of dense",
            parts("converted", "LNP", DENSE, lambda d, e: d >= -2),
        ),
    ]


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return tables as rows of text, heads first.

    Table 8 of arXiv 2403.03409.
    """
    made: dict[str, list[list[str]]] = {}
    for r in content["table"]:
        title = f"{r['layout']}, {r['start']}"
        if title not in made:
            made[title] = [
                [
                    *("pruning", "accuracy (%)", "loss (points)", "before training (%)", "SOPs an image", "SOP ratio"),
                    *("channels gone (%)", "neurons gone (%)", "weights gone (%)", "the paper's, ResNet19"),
                ]
            ]
        before, gone = r["before_fine_tuning"], r["sparsity"]
        made[title].append(
            [
                r["way"],
                percent(r),
                "" if r["way"] == DENSE else "{:+.1f} ± {:.1f}".format(*(100 * x for x in r["loss"])),
                "" if before is None else f"{100 * before:.1f}",
                f"{r['operations']:.3g}",
                f"{r['ratio']:.2f}",
                *(f"{100 * gone[k]:.1f}" for k in ("channels", "neurons", "weights")),
                r["paper"] or "",
            ]
        )
    return made


def percent(r: Mapping[str, Any]) -> str:
    """Return the accuracy of a line, whose error is at least that of the images, in per cent."""
    mean, error = r["accuracy"]
    return plus_minus((mean, max(error, r["error_of_images"])), unit=100)


def of_operations(axis: Axes, table: Iterable[Mapping[str, Any]]) -> None:
    """Draw accuracies of ways of pruning over operations an image; errors are at least those of the images."""
    for k, r in enumerate(table):
        a, error = r["accuracy"]
        bar = 100 * max(error, r["error_of_images"])
        axis.errorbar(r["operations"], 100 * a, bar, fmt="o", color=f"C{k}", label=r["way"])
    plain_log_axis(axis, "x")
    axis.set_xlabel("synaptic operations an image")
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    # Below, where no point is.
    axis.legend(frameon=False, fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw accuracy over operations, as figures 11 and 12 of the paper have it.

    They belong to section B.4 of arXiv 2403.03409.
    """
    groups = unlike(content["table"], "layout", "start")
    figure = Figure(figsize=(4.5 * len(groups), 4), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(groups)))
    for axis, (layout, start) in zip(axes, groups, strict=True):
        of_operations(axis, where(content["table"], layout=layout, start=start))
        axis.set(title=f"{layout}, {start}")
    axes[0].set_ylabel("test images right (%)")
    return finish(figure)
