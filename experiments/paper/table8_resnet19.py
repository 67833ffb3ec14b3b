"""Table 8 of the paper with its own layout, ResNet-19, which is narrow but at the scale of the paper.

lnpbrian sweep table8_resnet19 --scale medium --seeds 3 --data cifar10=cifar10.npz --out runs/table8_resnet19
"""

from __future__ import annotations

from lnpbrian.experiments.common import Plan, Task
from lnpbrian.experiments.paper import table8
from lnpbrian.experiments.paper.table8 import Key, draw, summarise, tables

__all__ = ["NAME", "draw", "summarise", "tables", "tasks"]

NAME = "table8_resnet19"


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the networks by layout, start, way of pruning and seed.

    For table 8 of arXiv 2403.03409.
    """
    return table8.tasks(plan, networks=[table8.size_of(plan).deeper])
