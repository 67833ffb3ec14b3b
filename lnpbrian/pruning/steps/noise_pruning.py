"""Step I: synapses by noise covariance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lnpbrian.checks import InvalidInput
from lnpbrian.options import option, options
from lnpbrian.pruning.steps.base import Iteration, Step
from lnpbrian.pruning.steps.noise import NoisePruneOptions, noise_prune, power_factors

if TYPE_CHECKING:
    from lnpbrian.pruning.prunable import Prunable

__all__ = ["NoisePruning"]


@options
class NoisePruning(NoisePruneOptions, Step):
    """Step I: keep the synapses that a random draw by the noise covariance of the linearised network chooses.

    Notes
    -----
    Section 3.1 of arXiv 2403.03409; the mathematics is in `lnpbrian.pruning.steps.noise.noise_prune`.

    Examples
    --------
    >>> NoisePruning(edge_strength="weight").name
    'I'
    """

    rho: float | None = option(
        default=None, help="Keep with probability min(1, rho score) instead of as many as are to be left.", at_least=0
    )
    epsilon: float | None = option(
        default=None, help="Spectral accuracy that decides how many are kept, instead of a number.", above=0
    )

    name: ClassVar[str] = "I"
    removes_synapses: ClassVar[bool] = True

    def check_together(self) -> None:
        """Refuse two numbers of synapses."""
        super().check_together()
        if self.rho is not None and self.epsilon is not None:
            raise InvalidInput("rho and epsilon both say how many synapses are kept; use one of them")

    def check(self, network: Prunable) -> None:
        """Refuse what the weights of the network do not allow."""
        network.check_excitability(self.excitability)
        if self.rescale == "spectral" or self.edge_strength == "response":
            why = network.live.weights_can_be_set()
            if why:
                raise InvalidInput(
                    f"the linear response needs weights that can be set, but {why}; use rescale='variance'"
                )
        for needs, why in (
            (self.rescale in ("inverse", "capped", "homeostatic"), network.live.weights_can_be_set()),
            (self.edge_strength != "lyapunov", network.live.weights_compare()),
        ):
            network.check_weights(needs, why)

    def __call__(self, network: Prunable, now: Iteration) -> str:
        """Keep about ``now.synapses`` synapses."""
        live, seen = network.live, now.observed
        alive, pre, post = network.graph()
        # A source of spikes has no state: it forgets at once.
        exponents = np.full(live.n_neurons, -1 / live.dt)
        exponents[seen.alive] = seen.each.per_neuron
        weights = live.weights()
        # Weights of 0 that learn have a sign too.
        signed = np.where(weights == 0, live.effects() * np.finfo(float).tiny, weights)
        result = noise_prune(
            pre,
            post,
            signed,
            exponents=exponents[alive],
            time_constants=live.forgetting_times(exponents, seen.each.resolution)[alive],
            resolution=seen.each.resolution,
            rng=now.rng("synapses"),
            count=min(now.synapses, pre.size) if self.rho is self.epsilon is None else None,
            rho=self.rho,
            epsilon=self.epsilon,
            rates=seen.rates[alive],
            synaptic_time_constants=live.synaptic_time_constants[alive],
            sensitivity=None if seen.response is None else seen.response.sensitivity[0][alive],
            kinds=2 * live.owners() + (signed < 0),
            groups=None if network.clusters is None else network.clusters[alive],
            # What a step takes from the mean input is made up for in the same way by all of them, and what the
            # iteration takes from the weights at its end.
            options=replace(self, excitability="keep", rescale="none" if self.waits else self.rescale),
        )
        with network.same_input(now.rates, self.excitability):
            kept = np.where(weights[result.keep] == 0, 0, result.weights)
            network.keep_synapses(result.keep, None if self.waits or self.rescale == "none" else kept)
        return result.status

    @property
    def waits(self) -> bool:
        """Whether weights are rescaled at the end of an iteration, for all that its steps have taken."""
        return self.rescale in ("auto", "spectral", "variance")

    def finish(self, network: Prunable, now: Iteration) -> str:
        """Rescale the weights that the iteration has left."""
        if not self.waits or now.power is None or network.live.n_synapses == 0:
            return ""
        with network.same_input(now.rates, self.excitability):
            if self.rescale == "variance" or (self.rescale == "auto" and not network.responds):
                why = network.live.weights_can_be_set()
                if why:
                    return f"weights are not rescaled: {why}"
                after = network.power()
                network.scale(power_factors(now.power, after))
                said = "variance of inputs kept"
            else:
                radius = network.response(now.observed).spectral_radius
                if not radius:
                    return "no cycle is left to scale"
                assert now.spectral_radius is not None
                factor = now.spectral_radius / radius
                network.scale(np.array(factor))
                said = f"weights scaled by {factor:.3g}"
        balanced = network.balance(now.rates, now.observed)
        return f"{said}; {balanced}" if balanced else said
