"""The steps of an iteration: values that are composed, left out and reordered, and called on what is pruned.

Those of the paper are known by their names "I" to "IV"; a step of your own is a subclass of `Step`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.pruning.steps.base import Iteration, Step
from lnpbrian.pruning.steps.betweenness_pruning import BetweennessPruning
from lnpbrian.pruning.steps.delocalisation import Delocalisation
from lnpbrian.pruning.steps.noise_pruning import NoisePruning
from lnpbrian.pruning.steps.timescale_tuning import TimescaleTuning

if TYPE_CHECKING:
    from lnpbrian.pruning.prunable import Prunable

__all__ = [
    "STEPS",
    "BetweennessPruning",
    "Delocalisation",
    "Iteration",
    "NoisePruning",
    "Step",
    "TimescaleTuning",
    "as_steps",
    "paper_steps",
    "possible_steps",
    "with_options",
]

STEPS: dict[str, type[Step]] = {
    step.name: step for step in (NoisePruning, BetweennessPruning, Delocalisation, TimescaleTuning)
}


def as_steps(given: Sequence[Step | str]) -> tuple[Step, ...]:
    """Return steps, those of the paper that are given by name with their default options.

    Raises
    ------
    InvalidInput
        If one is neither a step nor the name of one, one is named twice, or there is none.

    Notes
    -----
    The paper is Chakraborty et al. (2024), arXiv 2403.03409, section 3.

    Examples
    --------
    >>> [step.name for step in as_steps(("II", Delocalisation(0.1)))]
    ['II', 'III']
    """
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise InvalidInput(f"steps must be a sequence such as (NoisePruning(), BetweennessPruning()), got {given!r}")
    steps = []
    for one in given:
        if isinstance(one, str):
            steps.append(STEPS[checks.choice("steps", one, STEPS)]())
        elif isinstance(one, Step):
            steps.append(one)
        else:
            raise InvalidInput(f"steps must be made of steps such as NoisePruning(), or of their names, got {one!r}")
    names = [step.name for step in steps]
    if len(set(names)) < len(names):
        raise InvalidInput(f"steps must have each step once, got {', '.join(names)}")
    return tuple(steps)


def possible_steps(network: Prunable, steps: Sequence[Step] | None = None) -> tuple[Step, ...]:
    """Return the steps, without the tuning of time constants if a network has not the means for it.

    By default they are those of the paper, Chakraborty et al. (2024), arXiv 2403.03409, section 3, with their default
    options.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> from lnpbrian.pruning import PruneOptions
    >>> from lnpbrian.pruning.prunable import prunable
    >>> from lnpbrian.streams import Streams
    >>> model = HRSNN(20, 0.5, check_rate=False)
    >>> [step.name for step in possible_steps(prunable(model, PruneOptions(), Streams(0)))]
    ['I', 'II', 'III', 'IV']
    """

    def possible(step: Step) -> bool:
        try:
            step.check(network)
        except InvalidInput:
            return False
        return True

    wanted = as_steps(tuple(STEPS)) if steps is None else steps
    return tuple(step for step in wanted if not isinstance(step, TimescaleTuning) or possible(step))


def paper_steps() -> tuple[NoisePruning, BetweennessPruning, Delocalisation, TimescaleTuning]:
    """Return the four steps in the reading closest to Chakraborty et al. (2024), arXiv 2403.03409.

    Signed harmonic means, weights rescaled by 1/p, exact covariance and betweenness, new edges without a bound per
    neuron and none that was there at first, biases as they are.

    Examples
    --------
    >>> [step.name for step in paper_steps()]
    ['I', 'II', 'III', 'IV']
    """
    return (
        NoisePruning(**vars(NoisePruning.paper())),
        BetweennessPruning(centrality="exact", excitability="keep"),
        Delocalisation(rule="variance", edges_per_neuron=None, exclude="original", excitability="keep"),
        TimescaleTuning(excitability="keep"),
    )


def with_options(steps: Sequence[Step], **changes: object) -> tuple[Step, ...]:
    """Return the steps with new values of the options that they have, by name.

    Raises
    ------
    InvalidInput
        If they are no steps, or none has an option.

    Examples
    --------
    >>> with_options(paper_steps(), excitability="auto")[1].excitability
    'auto'
    """
    steps = as_steps(steps)
    for name in changes:
        if not any(hasattr(step, name) for step in steps):
            raise InvalidInput(f"no step has an option {name}; the steps are {', '.join(step.name for step in steps)}")
    return tuple(
        replace(step, **{name: value for name, value in changes.items() if hasattr(step, name)})
        if is_dataclass(step)
        else step
        for step in steps
    )
