"""Step IV: time constants on the Lyapunov spectrum."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from brian2 import Quantity, ms

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.response import at_rates
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.options import Options, option, options
from lnpbrian.pruning.steps.base import Iteration, Step
from lnpbrian.pruning.steps.laws import PLASTICITY_LIMITS, Laws, fit_laws
from lnpbrian.pruning.steps.noise import EXCITABILITIES
from lnpbrian.pruning.steps.timescales import DISTANCES, Measurement, SearchSpace, tune_time_constants

if TYPE_CHECKING:
    from lnpbrian.pruning.prunable import Prunable

__all__ = ["TimescaleTuning"]


@options
class TimescaleTuning(Options, Step):
    """Step IV: give the neurons time constants that bring the spectrum back to that of the unpruned network.

    Notes
    -----
    Section 3.4 of arXiv 2403.03409. The laws of the time constants are searched by Bayesian optimisation; a search
    measures the present laws first, and goes on from those that the last one found. The largest exponent of a chaotic
    network is noisy, so that some of many laws look better by chance: those found are measured again. It takes a model
    of `lnpbrian.models` without delays whose time constants differ.

    Examples
    --------
    >>> TimescaleTuning(every=10).is_due(20, 25), TimescaleTuning(every=10).is_due(25, 25)
    (True, True)
    """

    every: int = option(
        default=25, help="Iterations between two searches; the last iteration always ends with one.", flag="tune-every"
    )
    evaluations: int = option(
        default=12, help="Networks that one search measures, the present one included.", minimum=2, flag="evaluations"
    )
    exponents: int = option(
        default=20,
        help="Number of leading exponents of the unpruned network in the objective, beside the mean of all. Of a "
        "smaller network the same fraction of the spectrum is measured.",
    )
    duration: Quantity = option(
        default=500 * ms, help="Time over which exponents and rate of a candidate are measured."
    )
    mean: float = option(
        default=2.0,
        help="The means of the laws are searched between those of the unpruned network divided and multiplied by this.",
        at_least=1,
    )
    shape: float = option(default=1.5, help="The same for the shapes of the laws. With 1 they stay.", at_least=1)
    positive_weight: float = option(
        default=1.0, help="Weight in the objective of a positive largest exponent above the unpruned one's.", at_least=0
    )
    rate_weight: float = option(default=1.0, help="Weight of the drift of the rate in the objective.", at_least=0)
    initial: int = option(default=8, help="Evaluations before the surrogate is used.", minimum=2)
    confirmations: int = option(
        default=4,
        help="Other draws of start and drive in each of which laws that were found must be better than the present "
        "ones. With 0 the best of the search is taken.",
        minimum=0,
        flag="confirmations",
    )
    distance: str = option(
        default="wasserstein",
        help="Between laws, for the surrogate: of each law by itself, sliced, or Sinkhorn's of all together.",
        choices=DISTANCES,
        flag="distance",
    )
    regularisation: float = option(default=0.05, help="Of Sinkhorn's distance.", above=0)
    stdp: tuple[str, ...] = option(
        default=(), help="Constants of plasticity whose laws are tuned too: tau_plus, tau_minus, eta_plus, eta_minus."
    )
    excitability: str = option(
        default="auto",
        help="Whether the bias makes up for what other time constants do to the rates.",
        choices=EXCITABILITIES,
        flag="excitability",
    )
    reference: NetworkSpec | None = option(
        default=None,
        help="The network that was unpruned, if the model has been pruned before; by default the model as it comes.",
        recorded=False,
    )

    name: ClassVar[str] = "IV"
    measures: ClassVar[bool] = True

    def check_together(self) -> None:
        """Refuse a search of nothing."""
        if self.mean == self.shape == 1:
            raise InvalidInput("mean and shape are both 1, so that there is nothing to search; leave out step IV")
        if self.reference is not None:
            checks.instance("reference", self.reference, NetworkSpec, "use the spec that the model had")
        for name in self.stdp:
            checks.choice("stdp", name, PLASTICITY_LIMITS)

    def check(self, network: Prunable) -> None:
        """Refuse what has no laws, or no spectrum that is known."""
        start, now = self._unpruned(network), network.spec
        if start.n_neurons != now.n_neurons:
            raise InvalidInput(
                f"reference has {start.n_neurons} neurons, the network has {now.n_neurons}; it must be the one "
                "that the network descends from"
            )
        if start.delays is not None or now.delays is not None:
            raise InvalidInput("step IV needs the spectrum, which is not known with delays; leave it out")
        try:
            fit_laws(start)
        except InvalidInput:
            raise InvalidInput("step IV needs time constants that differ within each cluster; leave it out") from None
        if self.stdp:
            fit_laws(now, stdp=self.stdp)

    def is_due(self, number: int, iterations: int) -> bool:
        """Now and then, and in the end."""
        return number % self.every == 0 or number == iterations

    def __call__(self, network: Prunable, now: Iteration) -> str:
        """Search, and give the neurons the best time constants."""
        start, found = self._unpruned(network), now.memory.get("laws")
        # Plasticity has constants for the synapses that there are, and keeps those.
        before = fit_laws(start)
        if self.stdp:
            before = replace(fit_laws(network.spec, stdp=self.stdp), time_constants=before.time_constants)

        present = network.spec

        def adapted(spec: NetworkSpec) -> NetworkSpec:
            return spec if self.excitability == "keep" else at_rates(spec, now.rates, present.time_constants)

        def measure(spec: NetworkSpec) -> Measurement:
            return self.measure(adapted(spec), network, now)

        result = tune_time_constants(
            # Clipped time constants forget their order, so laws always act on those that the network began with.
            replace(present, time_constants=start.time_constants),
            measure=measure,
            target=self._target(network, now),
            space=SearchSpace.around(before, mean=self.mean, shape=self.shape),
            evaluations=self.evaluations,
            rng=now.rng("tuning"),
            laws=before,
            also=() if found is None else (Laws.from_dict(found),),
            positive_weight=self.positive_weight,
            rate_weight=self.rate_weight,
            initial=self.initial,
            distance=self.distance,
            regularisation=self.regularisation,
            measure_again=lambda spec, draw: self.measure(adapted(spec), network, now, draw),
            confirmations=self.confirmations,
            report=now.report,
        )
        now.memory["laws"] = result.laws.to_dict()
        network.set_time_constants(result.spec.time_constants)
        network.set_bias(adapted(result.spec).bias)
        if self.stdp:
            network.set_plasticity(result.spec)
        return result.status

    def measure(self, spec: NetworkSpec, network: Prunable, now: Iteration, draw: int = 0) -> Measurement:
        """Return the leading exponents of a network, as large a part of its spectrum as of the unpruned one's."""
        part = min(1.0, self.exponents / self._unpruned(network).compacted().n_neurons)
        per_neuron = 1 if spec.has_delta_synapses else 2
        wanted = max(2, int(np.ceil(part * spec.n_alive)))
        found = network.spectrum_of(
            spec,
            min(wanted, per_neuron * spec.n_alive),
            duration=self.duration,
            rng=now.streams.rng("vectors"),
            restart=now.streams.child("start").rng(draw) if draw else None,
        )
        mean = None if found.mean_log_det is None else found.mean_log_det / found.dimension
        return Measurement(found.exponents, float(found.rates.mean()), found.dimension, mean)

    def _unpruned(self, network: Prunable) -> NetworkSpec:
        network.require_model("step IV", "leave it out")
        return network.start if self.reference is None else self.reference

    def _target(self, network: Prunable, now: Iteration) -> Measurement:
        """Return what is aimed at, which is measured once."""
        if "target" not in now.memory:
            exponents, *rest = self.measure(self._unpruned(network), network, now)
            now.memory["target"] = [exponents.tolist(), *rest]
        exponents, *rest = now.memory["target"]
        return Measurement(np.array(exponents), *rest)
