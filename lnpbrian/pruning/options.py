"""What a pruning run can be told, and the schedule that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from brian2 import Quantity, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.betweenness import CENTRALITIES
from lnpbrian.network.project import DEVICES
from lnpbrian.pruning.noise import NoisePruneOptions

__all__ = ["DelocaliseOptions", "PruneOptions", "TuningOptions", "schedule"]

STEPS = ("I", "II", "III", "IV")
EXPONENTS = ("auto", "tangent", "twins", "spectrum")
RUN_DEVICES = ("runtime", *DEVICES)
EDGE_RULES = ("variance", "random")
ON_UNSTABLE = ("roll back", "keep", "raise")


@dataclass(frozen=True)
class DelocaliseOptions:
    """How step III adds edges.

    Parameters
    ----------
    fraction : float
        New edges over surviving ones, at least 0.
    rule : {"variance", "random"}
        Edges that raise the variance of the degrees most (the paper's), or between random pairs, as a control.
    edges_per_neuron : float, optional
        Largest number of new edges at one neuron in multiples of the mean number, at least 2. Without it the edges of
        the paper's rule gather at one neuron; see `lnpbrian.pruning.delocalise.delocalising_edges`.
    """

    fraction: float = 0.02
    rule: str = "variance"
    edges_per_neuron: float | None = 4.0

    def __post_init__(self) -> None:
        checks.real("fraction", self.fraction, at_least=0)
        checks.choice("rule", self.rule, EDGE_RULES)
        if self.edges_per_neuron is not None:
            checks.real("edges_per_neuron", self.edges_per_neuron, at_least=2)


@dataclass(frozen=True)
class TuningOptions:
    """How step IV searches for time constants.

    Parameters
    ----------
    every : int
        Iterations between two searches; the last iteration always ends with one.
    evaluations : int
        Networks that one search measures, the present one included.
    exponents : int
        Number of leading exponents of the unpruned network in the objective, beside the mean of all. Of a smaller
        network the same fraction of the spectrum is measured.
    duration : Quantity
        Time over which exponents and rate of a candidate are measured.
    mean, shape : float, at least 1
        The means and the shapes of the laws are searched between those of the unpruned network divided and multiplied
        by this. With 1 they stay.
    """

    every: int = 25
    evaluations: int = 12
    exponents: int = 20
    duration: Quantity = field(default_factory=lambda: 500 * ms)
    mean: float = 2.0
    shape: float = 1.5

    def __post_init__(self) -> None:
        checks.count("every", self.every)
        checks.count("evaluations", self.evaluations, minimum=2)
        checks.count("exponents", self.exponents)
        checks.seconds("duration", self.duration)
        checks.real("mean", self.mean, at_least=1)
        checks.real("shape", self.shape, at_least=1)
        if self.mean == self.shape == 1:
            raise InvalidInput("mean and shape are both 1, so that there is nothing to search; leave out step IV")


@dataclass(frozen=True)
class PruneOptions:
    """How far, in how many steps, and by which reading of the method to prune.

    Parameters
    ----------
    synapse_sparsity : float
        Fraction of the synapses to remove, in [0, 1).
    neuron_sparsity : float
        Fraction of the neurons to remove, in [0, 1).
    iterations : int
        Number of iterations, at least 1.
    noise : NoisePruneOptions
        Options of step I.
    steps : sequence of {"I", "II", "III", "IV"}, optional
        Steps of an iteration, in the order in which they are done. By default all of them that the network has the
        means for: IV takes a model of `lnpbrian.models` without delays whose time constants differ.
    centrality : {"auto", "exact", "degree"}
        By what step II chooses neurons; see `lnpbrian.network.betweenness.removal_centrality`.
    delocalise : DelocaliseOptions
        Options of step III.
    tuning : TuningOptions
        Options of step IV.
    minimum_neurons : int
        Pruning never leaves fewer.
    observation : Quantity
        Time over which rates are measured in each iteration.
    exponents : {"auto", "tangent", "twins", "spectrum"}
        Where the exponent of a neuron comes from: tangent vectors along one run, which are infinitely close twins;
        twins that are run (the paper's); or its share of the complete spectrum, in a time that grows with the cube of
        the neurons. All but twins take a model of `lnpbrian.models` without delays. "auto": "tangent" where possible.
    device : {"runtime", "cpp_standalone", "cuda_standalone"}
        Where a model runs to be measured: in this process, or as a program that is compiled once and handed the
        synapses of every iteration. Networks of your own run in this process.
    exponent_duration : Quantity
        Time over which exponents are measured.
    realisations : int
        Number of twins, or of tangent vectors.
    perturbation : float
        Standard deviation of the twins' perturbation, in units of the threshold of a model; in a network of your own,
        in units of the spread of the state variable among the neurons.
    rates : (float, float), optional
        Bounds of the mean rate in Hz. By default 5 and 50 for a model, and a quarter and four times of what it was at
        first for a network of your own.
    exponent_growth : float, optional
        How far the largest exponent may grow above that of the unpruned network, in 1/s, beside three standard errors
        of the difference; None for no bound. If that was not finite, above 0. An exponent that is not a number breaks
        any bound. Pruning stops after two iterations in a row that break this bound or that of the rates.
    on_unstable : {"roll back", "keep", "raise"}
        What becomes of a network that breaks a bound at the end, after the last iteration or where pruning has stopped.
        It goes back to the last iteration that broke none, or to what it was at first; or it stays as it is; or it goes
        back to what it was at first and InvalidInput is raised.
    """

    synapse_sparsity: float = 0.95
    neuron_sparsity: float = 0.3
    iterations: int = 10
    noise: NoisePruneOptions = field(default_factory=NoisePruneOptions)
    steps: Sequence[str] | None = None
    centrality: str = "auto"
    delocalise: DelocaliseOptions = field(default_factory=DelocaliseOptions)
    tuning: TuningOptions = field(default_factory=TuningOptions)
    minimum_neurons: int = 10
    observation: Quantity = field(default_factory=lambda: 1 * second)
    exponents: str = "auto"
    device: str = "runtime"
    exponent_duration: Quantity = field(default_factory=lambda: 500 * ms)
    realisations: int = 4
    perturbation: float = 1e-8
    rates: tuple[float, float] | None = None
    exponent_growth: float | None = 20.0
    on_unstable: str = "roll back"

    def __post_init__(self) -> None:
        checks.real("synapse_sparsity", self.synapse_sparsity, at_least=0, below=1)
        checks.real("neuron_sparsity", self.neuron_sparsity, at_least=0, below=1)
        checks.count("iterations", self.iterations)
        checks.count("minimum_neurons", self.minimum_neurons)
        checks.seconds("observation", self.observation)
        checks.choice("exponents", self.exponents, EXPONENTS)
        checks.choice("device", self.device, RUN_DEVICES)
        checks.choice("centrality", self.centrality, CENTRALITIES)
        checks.choice("on_unstable", self.on_unstable, ON_UNSTABLE)
        checks.seconds("exponent_duration", self.exponent_duration)
        checks.count("realisations", self.realisations)
        checks.real("perturbation", self.perturbation, above=0)
        if self.exponent_growth is not None:
            checks.real("exponent_growth", self.exponent_growth, at_least=0)
        if self.rates is not None:
            low, high = checks.array("rates", self.rates, shape=(2,), remedy="give the lower and the upper bound in Hz")
            if not 0 <= low < high:
                raise InvalidInput(f"rates must be (lower, upper) in Hz, got {self.rates}")
        for name, kind in (
            ("noise", NoisePruneOptions),
            ("delocalise", DelocaliseOptions),
            ("tuning", TuningOptions),
        ):
            if not isinstance(getattr(self, name), kind):
                raise InvalidInput(f"{name} must be {kind.__name__}(...), got {getattr(self, name)!r}")
        if self.steps is not None:
            object.__setattr__(self, "steps", _steps(self.steps))
        if not self.does("I") and self.synapse_sparsity > 0 and not self.does("II"):
            raise InvalidInput("synapse_sparsity needs step I or II; add one of them, or use synapse_sparsity=0")
        if not self.does("II") and self.neuron_sparsity > 0:
            raise InvalidInput("neuron_sparsity needs step II; add it, or use neuron_sparsity=0")

    def does(self, step: str) -> bool:
        """Whether `step` is among the steps, or left to what the network has the means for."""
        return self.steps is None or step in self.steps

    @classmethod
    def fidelity(
        cls, synapse_sparsity: float = 0.95, neuron_sparsity: float = 0.3, iterations: int = 10
    ) -> PruneOptions:
        """Return the reading closest to Chakraborty et al. (2024), arXiv 2403.03409.

        Signed harmonic means, weights rescaled by 1/p, exact covariance and betweenness, new edges without a bound per
        neuron, exponents from twins; pruning goes on whatever becomes of rates and exponents.

        >>> PruneOptions.fidelity().exponents
        'twins'
        """
        return cls(
            synapse_sparsity,
            neuron_sparsity,
            iterations,
            NoisePruneOptions.paper(),
            steps=STEPS,
            centrality="exact",
            delocalise=DelocaliseOptions(edges_per_neuron=None),
            exponents="twins",
            rates=(0.0, 1e4),
            exponent_growth=None,
        )


def _steps(given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InvalidInput(f"steps must be a sequence such as ('I', 'II', 'III', 'IV'), got {given!r}")
    steps = tuple(given)
    for step in steps:
        checks.choice("steps", step, STEPS)
    if not steps or len(set(steps)) < len(steps):
        raise InvalidInput(f"steps must name each step once, such as ('I', 'II', 'III', 'IV'), got {given!r}")
    return steps


def schedule(neurons: int, synapses: int, options: PruneOptions) -> list[tuple[int, int]]:
    """Return the numbers of neurons and synapses to be left after each iteration, falling geometrically.

    Raises
    ------
    InvalidInput
        If the targets cannot be reached together.

    Examples
    --------
    >>> schedule(100, 1000, PruneOptions(synapse_sparsity=0.75, neuron_sparsity=0.36, iterations=2))
    [(80, 500), (64, 250)]
    """
    final_neurons = round((1 - options.neuron_sparsity) * neurons)
    final_synapses = round((1 - options.synapse_sparsity) * synapses)
    if final_neurons < options.minimum_neurons:
        highest = 1 - options.minimum_neurons / neurons
        raise InvalidInput(
            f"neuron_sparsity {options.neuron_sparsity:g} would leave {final_neurons} of {neurons} neurons, fewer than "
            f"minimum_neurons = {options.minimum_neurons}; at most {max(highest, 0):.3g} can be removed"
        )
    if final_synapses < 1:
        raise InvalidInput(
            f"synapse_sparsity {options.synapse_sparsity:g} would leave none of {synapses} synapses; lower it"
        )
    # Neurons take their synapses along: in a random graph a fraction f of the neurons holds f^2 of the synapses.
    # Step III brings some back.
    left = (final_neurons / neurons) ** 2
    if options.does("III"):
        left = min(1.0, left * (1 + options.delocalise.fraction) ** options.iterations)
    if final_synapses > 1.02 * left * synapses:
        raise InvalidInput(
            f"synapse_sparsity {options.synapse_sparsity:g} cannot be kept with neuron_sparsity "
            f"{options.neuron_sparsity:g}: the removed neurons take about {1 - left:.3g} of the synapses along; "
            f"raise synapse_sparsity to {1 - left:.3g} or lower neuron_sparsity to "
            f"{1 - np.sqrt(1 - options.synapse_sparsity):.3g}"
        )
    if final_synapses > final_neurons * (final_neurons - 1) and synapses <= neurons * (neurons - 1):
        raise InvalidInput(
            f"synapse_sparsity {options.synapse_sparsity:g} would leave {final_synapses} synapses, more than the "
            f"{final_neurons * (final_neurons - 1)} pairs of {final_neurons} neurons; raise it or lower neuron_sparsity"
        )
    done = np.arange(1, options.iterations + 1) / options.iterations
    return [
        (round(neurons * (final_neurons / neurons) ** x), round(synapses * (final_synapses / synapses) ** x))
        for x in done
    ]
