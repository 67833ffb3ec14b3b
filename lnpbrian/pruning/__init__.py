"""Lyapunov noise pruning, and other ways to as small a network; no data of a task is used."""

from lnpbrian.pruning.controls import (
    activity_pruning,
    at_radius,
    iterative_magnitude_pruning,
    magnitude_pruning,
    random_network,
    thinned,
)
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
    "activity_pruning",
    "at_radius",
    "iterative_magnitude_pruning",
    "magnitude_pruning",
    "noise_prune",
    "paper_steps",
    "prune",
    "random_network",
    "thinned",
    "with_options",
]
