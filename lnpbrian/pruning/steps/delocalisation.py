"""Step III: edges against localised eigenvectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lnpbrian.options import Options, option, options
from lnpbrian.pruning.delocalise import delocalising_edges, random_edges
from lnpbrian.pruning.noise import EXCITABILITIES
from lnpbrian.pruning.steps.base import Iteration, Step

if TYPE_CHECKING:
    from lnpbrian.pruning.prunable import Prunable

__all__ = ["Delocalisation"]

EDGE_RULES = ("variance", "random")
EXCLUDED = ("pruned", "original")


@options
class Delocalisation(Options, Step):
    """Step III: add synapses like the surviving ones, where they raise the variance of the degrees.

    Notes
    -----
    Section 3.3 of arXiv 2403.03409. Without a bound per neuron the edges of the paper's rule gather at one neuron; see
    `lnpbrian.pruning.delocalise.delocalising_edges`.

    Examples
    --------
    >>> Delocalisation(0.1).synapse_factor(1.0)
    1.1
    """

    fraction: float = option(default=0.02, help="New edges over surviving ones.", at_least=0, flag="new-edges")
    rule: str = option(
        default="variance",
        help="Edges that raise the variance of the degrees most (the paper's), or between random pairs, as a control.",
        choices=EDGE_RULES,
        flag="edge-rule",
    )
    edges_per_neuron: float | None = option(
        default=4.0, help="Largest number of new edges at one neuron in multiples of the mean number.", at_least=2
    )
    exclude: str = option(
        default="original",
        help="Edges that new ones may not be: those that are there, or also those of the start (the paper's).",
        choices=EXCLUDED,
        flag="exclude",
    )
    excitability: str = option(
        default="auto",
        help="Whether the bias makes up for the mean input that neurons gain.",
        choices=EXCITABILITIES,
        flag="excitability",
    )

    name: ClassVar[str] = "III"

    def check(self, network: Prunable) -> None:
        """Refuse a bias that cannot make up for anything."""
        network.check_excitability(self.excitability)

    def synapse_factor(self, neurons: float) -> float:
        """The new edges come on top."""
        return 1 + self.fraction

    def __call__(self, network: Prunable, now: Iteration) -> str:
        """Add edges."""
        alive, pre, post = network.graph()
        count = round(self.fraction * pre.size)
        if count == 0:
            return "no edge to add"
        rng = now.rng("edges")
        how: dict[str, Any] = {"count": count, "fewer": True}
        if self.exclude == "original":
            number = np.full(network.live.n_neurons, -1)
            number[alive] = np.arange(alive.size)
            old_pre, old_post = (number[ends] for ends in network.original_edges)
            both = (old_pre >= 0) & (old_post >= 0)
            how["exclude"] = (old_pre[both], old_post[both])
        if self.rule == "random":
            new_pre, new_post = random_edges(pre, post, alive.size, rng=rng, **how)
        else:
            limit = self.edges_per_neuron
            at_most = None if limit is None else int(np.ceil(limit * 2 * count / alive.size))
            new_pre, new_post = delocalising_edges(pre, post, alive.size, at_most=at_most, **how)
        with network.same_input(now.rates, self.excitability):
            added = network.add_synapses(alive[new_pre], alive[new_post], rng)
        return f"{added} edges added" + ("" if added == count else f", {count} were wanted")
