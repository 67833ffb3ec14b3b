"""Step II: neurons by betweenness."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lnpbrian.checks import InvalidInput
from lnpbrian.options import Options, option, options
from lnpbrian.pruning.steps.base import Iteration, Step
from lnpbrian.pruning.steps.neurons import CENTRALITIES, lowest_neurons, removal_centrality, total_degree
from lnpbrian.pruning.steps.noise import EXCITABILITIES

if TYPE_CHECKING:
    from lnpbrian.pruning.prunable import Prunable

__all__ = ["BetweennessPruning"]


@options
class BetweennessPruning(Options, Step):
    """Step II: silence the neurons of lowest betweenness, with all their synapses.

    Notes
    -----
    Section 3.2 of arXiv 2403.03409; ties are broken by degree, then by index.

    Examples
    --------
    >>> BetweennessPruning(centrality="exact").minimum_neurons
    10
    """

    centrality: str = option(
        default="auto",
        help="Betweenness, the product of the degrees, or what the size allows; see `removal_centrality`.",
        choices=CENTRALITIES,
        flag="centrality",
    )
    minimum_neurons: int = option(default=10, help="Pruning never leaves fewer.", flag="minimum-neurons")
    weighted: bool = option(
        default=False, help="Whether a synapse has the length 1/abs(w), which takes minutes from 1000 neurons on."
    )
    threshold: float | None = option(
        default=None,
        help="Remove all neurons of a centrality below it, instead of as many as the schedule says.",
        at_least=0,
    )
    excitability: str = option(
        default="auto",
        help="Whether the bias makes up for the mean input that neurons lose.",
        choices=EXCITABILITIES,
        flag="excitability",
    )

    name: ClassVar[str] = "II"
    removes_neurons: ClassVar[bool] = True

    def check_together(self) -> None:
        """Refuse lengths of paths where none are looked at."""
        if self.weighted and self.centrality == "degree":
            raise InvalidInput("weighted=True needs centrality='auto' or 'exact'; degrees know no weights")

    def check(self, network: Prunable) -> None:
        """Refuse a bias that cannot make up for anything."""
        network.check_excitability(self.excitability)

    def synapse_factor(self, neurons: float) -> float:
        """Neurons take their synapses along: in a random graph a fraction f of the neurons holds f^2 of them."""
        return neurons**2

    def __call__(self, network: Prunable, now: Iteration) -> str:
        """Silence neurons until ``now.neurons`` are alive."""
        live = network.live
        alive, pre, post = network.graph()
        surplus = live.n_alive - now.neurons if self.threshold is None else None
        if surplus is not None and surplus <= 0:
            return "no neuron to remove"
        weights = live.weights() if self.weighted else None
        found = removal_centrality(pre, post, alive.size, method=self.centrality, weights=weights)
        protected = np.flatnonzero(live.is_protected[alive])
        lowest = lowest_neurons(
            found.values,
            total_degree(pre, post, alive.size),
            count=surplus,
            threshold=self.threshold,
            minimum=self.minimum_neurons + alive.size - live.n_alive,
            protect=protected,
        )
        with network.same_input(now.rates, self.excitability):
            network.silence(alive[lowest])
        by = {"exact": "betweenness", "degree": "in-degree times out-degree"}[found.method]
        return f"{lowest.size} neurons of lowest {by} silenced"
