"""What a step is: options as fields, a word on the schedule, and a call that edits the network and says what it did."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lnpbrian.streams import Streams

if TYPE_CHECKING:
    from lnpbrian.pruning.prunable import Observation, Prunable

__all__ = ["Iteration", "Step"]


@dataclass(frozen=True)
class Iteration:
    """What a step is told beside the network.

    Attributes
    ----------
    number, iterations : int
        This iteration, counted from 1, and how many there are.
    neurons : int
        Neurons that are to be left.
    synapses : int
        Synapses that this step is to leave: those that are to be left after the iteration, corrected for what the later
        steps of the iteration do to them.
    observed : Observation
        Rates, exponents and linear response at the start of the iteration.
    power : ndarray, shape (K, N), or None
        Sum of squares of the weights of each Synapses object onto each neuron at the start of the iteration, see
        `Prunable.power`, which a step may bring back at its end.
    reference_rates : ndarray, shape (N,), or None
        Rates in Hz of the network as it came, measured for longer than those of an iteration.
    spectral_radius : float or None
        Of the linear response of the network as it came.
    streams : Streams
        Random streams of the run; `rng` has those of this iteration.
    memory : dict
        What the step wants to remember until its next call, as JSON types: it is part of every checkpoint.
    report : callable
        To be called with the completed fraction of a step that takes long.
    """

    number: int
    iterations: int
    neurons: int
    synapses: int
    observed: Observation
    streams: Streams
    power: np.ndarray | None = None
    reference_rates: np.ndarray | None = None
    spectral_radius: float | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    report: Callable[[float], None] = lambda fraction: None

    @property
    def rates(self) -> np.ndarray:
        """Rates at which mean inputs are to stay, shape (N,).

        Those of the network as it came: errors of rates that are measured anew in every iteration would add up.
        """
        return self.observed.rates if self.reference_rates is None else self.reference_rates

    def rng(self, name: str) -> np.random.Generator:
        """Return the random numbers of this iteration called `name`."""
        return self.streams.child(name).rng(self.number)


class Step(ABC):
    """Base of all steps: a frozen dataclass whose fields are its options.

    A new step is a subclass with a `name` and a `__call__`; what it does to the numbers of neurons and synapses it says
    in the attributes and methods below.

    Attributes
    ----------
    name : str
        How history, progress and the command line call it.
    removes_neurons, removes_synapses : bool
        Whether it takes away what it is told, so that a target of the schedule can be reached.
    adds_synapses : bool
        Whether it may put synapses in.
    measures : bool
        Whether it measures the network: the steps before it are finished first.
    minimum_neurons : int
        A step that removes neurons never leaves fewer.

    Notes
    -----
    The paper's four steps are in section 3 of Chakraborty et al. (2024), arXiv 2403.03409.

    Examples
    --------
    >>> from lnpbrian import PruneOptions, prune
    >>> from lnpbrian.models import HRSNN
    >>> from brian2 import ms
    >>> class Weakest(Step):
    ...     name, removes_synapses = "weakest", True
    ...     def __call__(self, network, now):
    ...         order = np.argsort(abs(network.live.weights()))
    ...         network.keep_synapses(np.isin(np.arange(order.size), order[-now.synapses:]))
    ...         return f"{now.synapses} largest weights kept"
    >>> quick = PruneOptions(0.8, 0, iterations=1, observation=100*ms, rates=(0, 500))
    >>> model = HRSNN(60, 0.3, check_rate=False)
    >>> before = len(model.synapses)
    >>> prune(model, (Weakest(),), options=quick).history[-1].synapses == round(0.2 * before)
    True
    """

    name: ClassVar[str]
    removes_neurons: ClassVar[bool] = False
    removes_synapses: ClassVar[bool] = False
    adds_synapses: ClassVar[bool] = False
    measures: ClassVar[bool] = False
    minimum_neurons: int = 0

    def __repr__(self) -> str:
        # Of a step that is no dataclass; a checkpoint knows a run by it.
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def check(self, network: Prunable) -> None:
        """Raise `InvalidInput` if the network lacks what the step needs, before anything is measured or changed."""

    def is_due(self, number: int, iterations: int) -> bool:
        """Whether the step has something to do in an iteration."""
        return True

    def synapse_factor(self, neurons: float) -> float:
        """Return by what the step multiplies the number of synapses, if it is not told how many to leave.

        `neurons` is the fraction of the present neurons that is to be left.
        """
        return 1.0

    def finish(self, network: Prunable, now: Iteration) -> str:
        """Do what is left once all steps of the iteration are done, and return a sentence for the history, if any.

        It may be called more than once in an iteration: before a step that measures, and at the end.
        """
        return ""

    @abstractmethod
    def __call__(self, network: Prunable, now: Iteration) -> str:
        """Edit the network in place, and return a sentence for the history."""
