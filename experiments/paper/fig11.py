"""Figure 11 of the paper on images: accuracy over synaptic operations, by the way of pruning.

    lnpbrian sweep fig11 --scale medium --data fashion=FOLDER --out runs/fig11

HRSNN as relays: input to a random half of the neurons, the others read. The networks are those of `fig12`; activity
pruning is there twice: by its activity under the images, and by that under Lorenz-63, the other task. Without a data
folder, scikit-learn's digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from lnpbrian.experiments.common import Plan, Result, Task, all_rows, finish, unlike, where
from lnpbrian.experiments.common.by_operations import (
    METHODS,
    MODEL,
    claims,
    curve,
    few_seeds,
    lines,
    network,
    stops,
    summary,
)
from lnpbrian.experiments.common.reported import IMAGES, IMAGES_100, PEERS
from lnpbrian.experiments.paper.table1 import datasets, few_images, titled

NAME = "fig11"
PROTOCOL = "relay"
VALUE = "accuracy"
Key = tuple[str, str, int, int]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the classifications by images, method, iteration and seed.

    For figure 11 of arXiv 2403.03409.
    """
    points = [("unpruned", 0), ("uncoupled", 0), *((method, k) for method in (*METHODS, "AP") for k in stops(plan))]
    return {
        (name, method, k, seed): _classification(plan, name, method, k, seed)
        for name in datasets(plan)
        for method, k in points
        for seed in few_seeds(plan)
    }


def _classification(plan: Plan, name: str, method: str, k: int, seed: int) -> Task:
    options = {"images": name, **plan.file(name), **few_images(plan), "method": method, "protocol": PROTOCOL}
    options |= {"training": "readout", "seed": seed}
    needs: tuple[Task, ...] = (network(plan, method, seed, k),)
    if method == "AP":
        options["prune_rate"] = plan.scale.prune_rate
        # Down to the operations of LNP's network.
        needs = (network(plan, "unpruned", seed, 0), network(plan, "LNP", seed, k))
    return Task(
        f"{name}: {method} after {k} iterations, seed {seed}",
        "lnpbrian.experiments.paper.table1:classified",
        options,
        needs,
    )


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return rows of single networks, means by method and operations, claims, and what the paper reports.

    What is claimed: arXiv 2403.03409, section B.4.
    """
    rows = all_rows(results, "images", "method", "stop", "seed")
    of = {name: where(rows, images=name) for name in datasets(plan)}
    text = "As relays, at equal operations, LNP is more accurate than {method} by two standard errors"
    return {
        "seeds": list(few_seeds(plan)),
        "model": MODEL,
        "curves": [{"images": name, **entry} for name, mine in of.items() for entry in summary(mine, VALUE)],
        "claims": [
            claim
            for name, mine in of.items()
            for claim in claims(mine, VALUE, text, unit=100, name=f"{name}, points: ")
        ],
        "paper": reported(),
        "rows": rows,
    }


def reported() -> list[dict[str, Any]]:
    """Return what the paper reports: accuracies in per cent, and ratios of operations.

    Table 1 of arXiv 2403.03409.
    """
    found = [
        {"network": f"{method}, {model}, {training}", "cifar10": one, "cifar100": IMAGES_100[method, model, training]}
        for (method, model, training), one in IMAGES.items()
    ]
    return found + [{"network": name, "cifar10": one, "cifar100": None} for name, one in PEERS.items()]


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return a table for every set of images, and one of what the paper reports, heads first."""
    made = {
        titled(name, PROTOCOL): lines(where(content["curves"], images=name), VALUE, "accuracy (%)", unit=100, digits=2)
        for name in unlike(content["curves"], "images")
    }
    head = ["network", "CIFAR-10 (%)", "ratio of operations", "CIFAR-100 (%)", "ratio of operations"]
    made["As the paper reports"] = [
        head,
        *(
            [r["network"], *(f"{x:g}" for x in r["cifar10"]), *(f"{x:g}" for x in r["cifar100"] or ())]
            + ([] if r["cifar100"] else ["-", "-"])
            for r in content["paper"]
        ),
    ]
    return made


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw accuracies over operations, a panel for each set of images, and last what the paper reports.

    Figure 11 of arXiv 2403.03409.
    """
    names = unlike(content["curves"], "images")
    figure = Figure(figsize=(4.6 * (len(names) + 1), 4.2), layout="constrained")
    *axes, paper = figure.subplots(1, len(names) + 1, squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        curve(axis, where(content["curves"], images=name), VALUE, unit=100)
        axis.set(title=f"{name}, relay", xlabel="synaptic operations an image", ylabel="accuracy (%)")
    for r in content["paper"]:
        accuracy, ratio = r["cifar10"]
        recurrent = "HRSNN" in r["network"]
        color = "tab:blue" if r["network"].startswith("LNP") else "0.5"
        paper.plot(ratio, accuracy, "o" if recurrent else "s", color=color)
        # Of two points close to each other one is named on the left, or below.
        left = r["network"].startswith(("GradR, 6 conv 2 fc (", "LNP, CHRSNN, STDP"))
        below = r["network"].startswith(("IMP", "STDS"))
        paper.annotate(
            r["network"].split(" (")[0],
            (ratio, accuracy),
            xytext=(-5 if left else 5, -10 if below else 4),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=6.5,
        )
    paper.set(title="CIFAR-10, as the paper reports", xscale="log", xlim=(1.7, 150), ylabel="accuracy (%)")
    paper.set_xlabel("ratio of operations, unpruned over pruned")
    return finish(figure, axes[0], 4)
