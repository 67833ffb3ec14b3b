"""Step III: edges against localised eigenvectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lnpbrian.options import Options, option, options
from lnpbrian.pruning.steps.base import Iteration, Step
from lnpbrian.pruning.steps.connect import Connection, connect
from lnpbrian.pruning.steps.delocalise import delocalising_edges, random_edges
from lnpbrian.pruning.steps.noise import EXCITABILITIES

if TYPE_CHECKING:
    from lnpbrian.pruning.prunable import Prunable

__all__ = ["Delocalisation"]

EDGE_RULES = ("connect", "variance", "random")
EXCLUDED = ("pruned", "original")


@options
class Delocalisation(Options, Step):
    """Step III: keep eigenvectors from being localised, by swapped or added synapses.

    Notes
    -----
    Section 3.3 of arXiv 2403.03409 adds edges where they raise the variance of the degrees, against eigenvectors that
    are localised where pruning has cut the network into pieces. Such edges gather at few neurons, and hubs localise:
    measured, they do the opposite of their aim, see ``docs/choices.md``. Rule "connect" joins the pieces by swaps that
    leave all degrees as they are; see `lnpbrian.pruning.steps.connect.connect`. Of the paper's rule see
    `lnpbrian.pruning.steps.delocalise.delocalising_edges`.

    Examples
    --------
    >>> Delocalisation(0.1).synapse_factor(1.0), Delocalisation(0.1, rule="variance").synapse_factor(1.0)
    (1.0, 1.1)
    """

    fraction: float = option(
        default=0.02, help="New edges over surviving ones; of rule connect, at most.", at_least=0, flag="new-edges"
    )
    rule: str = option(
        default="connect",
        help="Swaps that make the network one strong component, and edges where these do not suffice; or edges that "
        "raise the variance of the degrees most (the paper's), or between random pairs, as a control.",
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
    adds_synapses: ClassVar[bool] = True

    def check(self, network: Prunable) -> None:
        """Refuse a bias that cannot make up for anything."""
        network.check_excitability(self.excitability)

    def synapse_factor(self, neurons: float) -> float:
        """The new edges come on top; swaps leave the number as it is."""
        return 1.0 if self.rule == "connect" else 1 + self.fraction

    def __call__(self, network: Prunable, now: Iteration) -> str:
        """Swap or add edges."""
        alive, pre, post = network.graph()
        count = round(self.fraction * pre.size)
        rng = now.rng("edges")
        number = np.full(network.live.n_neurons, -1)
        number[alive] = np.arange(alive.size)
        old_pre, old_post = (number[ends] for ends in network.original_edges)
        both = (old_pre >= 0) & (old_post >= 0)
        original = old_pre[both], old_post[both]
        if self.rule == "connect":
            return self._connect(
                network,
                now,
                alive,
                connect(pre, post, alive.size, candidates=original, rng=rng, max_new=count, signs=network.signs[alive]),
            )
        if count == 0:
            return "no edge to add"
        exclude = original if self.exclude == "original" else None
        if self.rule == "random":
            new_pre, new_post = random_edges(pre, post, alive.size, count=count, rng=rng, exclude=exclude)
        else:
            limit = self.edges_per_neuron
            at_most = None if limit is None else int(np.ceil(limit * 2 * count / alive.size))
            new_pre, new_post = delocalising_edges(pre, post, alive.size, count=count, exclude=exclude, at_most=at_most)
        with network.same_input(now.rates, self.excitability):
            added = network.add_synapses(alive[new_pre], alive[new_post], rng)
        return f"{added} edges added" + ("" if added == count else f", {count} were wanted")

    def _connect(self, network: Prunable, now: Iteration, alive: np.ndarray, found: Connection) -> str:
        if not found.new_pre.size:
            return found.status
        with network.same_input(now.rates, self.excitability):
            network.rewire(
                found.remove, alive[found.new_pre], alive[found.new_post], found.like, now.rng("weights of edges")
            )
        done = {"swaps": found.swaps, "synapses moved": found.moved, "edges added": found.added}
        shown = ", ".join(f"{n} {what}" for what, n in done.items() if n)
        return f"{found.status}: {found.components_before} -> {found.components_after} components by {shown}"
