"""The steps of an iteration: values that are composed, left out and reordered, and called on what is pruned."""

from lnpbrian.pruning.steps.base import Iteration, Step
from lnpbrian.pruning.steps.betweenness_pruning import BetweennessPruning
from lnpbrian.pruning.steps.delocalisation import Delocalisation
from lnpbrian.pruning.steps.named import STEPS, as_steps, default_steps, paper_steps, possible_steps, with_options
from lnpbrian.pruning.steps.noise_pruning import NoisePruning
from lnpbrian.pruning.steps.timescale_tuning import TimescaleTuning

__all__ = [
    "STEPS",
    "BetweennessPruning",
    "Delocalisation",
    "Iteration",
    "NoisePruning",
    "Step",
    "TimescaleTuning",
    "as_steps",
    "default_steps",
    "paper_steps",
    "possible_steps",
    "with_options",
]
