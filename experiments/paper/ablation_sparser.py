"""The ablation at an operation ratio above 35: the unpruned network, all steps, and a random network of that size.

lnpbrian sweep ablation_sparser --scale medium --out runs/ablation_sparser
"""

from __future__ import annotations

from typing import Any

from lnpbrian.experiments.common import Plan, Task
from lnpbrian.experiments.paper import ablation
from lnpbrian.experiments.paper.ablation import draw, summarise, tables

__all__ = ["NAME", "draw", "summarise", "tables", "tasks"]

NAME = "ablation_sparser"
POINTS = ("E", "random")


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the measurements by seed and point.

    Points A and E are those of arXiv 2403.03409, figure 13.
    """
    return ablation.tasks(plan, kept=plan.scale.kept[1], points=POINTS)
