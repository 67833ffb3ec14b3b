"""Lyapunov noise pruning, and other ways to as small a network; no data of a task is used."""

from lnpbrian.pruning.history import Progress, PruneResult, Record
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import (
    BetweennessPruning,
    Delocalisation,
    Iteration,
    NoisePruning,
    Step,
    TimescaleTuning,
    paper_steps,
    with_options,
)
from lnpbrian.pruning.steps.noise import NoisePruneOptions, noise_prune

__all__ = [
    "BetweennessPruning",
    "Delocalisation",
    "Iteration",
    "NoisePruneOptions",
    "NoisePruning",
    "Progress",
    "PruneOptions",
    "PruneResult",
    "Record",
    "Step",
    "TimescaleTuning",
    "noise_prune",
    "paper_steps",
    "prune",
    "with_options",
]
