"""How far and how fast a network is pruned, how it is measured meanwhile, and the schedule that follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from brian2 import Quantity, ms, second

from lnpbrian.checks import InvalidInput
from lnpbrian.network.engines.standalone import DEVICES
from lnpbrian.options import Options, option, options

if TYPE_CHECKING:
    from lnpbrian.pruning.steps.base import Step

__all__ = ["PruneOptions", "schedule"]

EXPONENTS = ("auto", "tangent", "twins", "spectrum")
ON_UNSTABLE = ("roll back", "keep", "raise")
RUN_DEVICES = ("runtime", *DEVICES)
SYNAPSE_SPARSITY = 0.95
# A network settles for this long before anything is measured.
SETTLE = 100 * ms


@options
class PruneOptions(Options):
    """How far and in how many iterations to prune, how to measure the network, and within which bounds it is to stay.

    Notes
    -----
    What the steps of an iteration do is said by the steps themselves, see `lnpbrian.pruning.steps`.

    Exponents by "tangent" are those of infinitely close twins, along one run; "twins" are run, as in the paper; with
    "spectrum" each neuron has its share of the complete spectrum, in a time that grows with the cube of the neurons.
    All but twins take a model of `lnpbrian.models` without delays; "auto" is "tangent" where possible. A device other
    than "runtime" is a program that is compiled once and handed the synapses of every iteration; networks of your own
    run in this process.

    The paper is Chakraborty et al. (2024), arXiv 2403.03409: twins are in its appendix A.1.

    Examples
    --------
    >>> PruneOptions(synapse_sparsity=0.9, iterations=5.0).iterations
    5
    >>> PruneOptions(synapse_sparsity=1)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: synapse_sparsity must be a number in [0, 1), got 1
    """

    synapse_sparsity: float | None = option(
        default=None,
        help="Fraction of the synapses to remove. By default 0.95, or more where removed neurons take more: half of "
        "those that would be left go too.",
        flag="synapse-sparsity",
        at_least=0,
        below=1,
    )
    neuron_sparsity: float = option(
        default=0.0,
        help="Fraction of the neurons to remove. What a network can remember goes with its neurons, at equal "
        "operations too.",
        flag="neuron-sparsity",
        at_least=0,
        below=1,
    )
    iterations: int = option(default=10, help="Pruning iterations.", flag="iterations")
    observation: Quantity = option(default=1 * second, help="Time over which rates are measured in each iteration.")
    exponents: str = option(
        default="auto", help="Where the exponent of a neuron comes from.", choices=EXPONENTS, flag="exponents"
    )
    device: str = option(
        default="runtime", help="Where a model runs to be measured.", choices=RUN_DEVICES, flag="device"
    )
    exponent_duration: Quantity = option(default=500 * ms, help="Time over which exponents are measured.")
    realisations: int = option(default=4, help="Number of twins, or of tangent vectors.")
    perturbation: float = option(
        default=1e-8,
        help="Standard deviation of the twins' perturbation, in units of the threshold of a model; in a network of "
        "your own, in units of the spread of the state variable among the neurons.",
        above=0,
    )
    rates: tuple[float, float] | None = option(
        default=None,
        help="Bounds of the mean rate in Hz. By default 5 and 50 for a model, and a quarter and four times of what it "
        "was at first for a network of your own.",
    )
    exponent_growth: float | None = option(
        default=20.0,
        help="How far the largest exponent may grow above that of the unpruned network, in 1/s, beside three standard "
        "errors of the difference; None for no bound. If that was not finite, above 0. One below 0 breaks no bound, "
        "one that is not a number any. Pruning stops after two iterations in a row that break this bound or that of "
        "the rates.",
        at_least=0,
    )
    on_unstable: str = option(
        default="roll back",
        help="What becomes of a network that breaks a bound at the end, after the last iteration or where pruning has "
        "stopped. It goes back to the last iteration that broke none, or to what it was at first; or it stays as it "
        "is; or it goes back to what it was at first and an error is raised.",
        choices=ON_UNSTABLE,
        flag="on-unstable",
    )

    @property
    def removed_synapses(self) -> float:
        """Fraction of the synapses to remove, also where it was not given.

        >>> PruneOptions().removed_synapses, round(PruneOptions(neuron_sparsity=0.8).removed_synapses, 6)
        (0.95, 0.98)
        """
        if self.synapse_sparsity is not None:
            return self.synapse_sparsity
        return max(SYNAPSE_SPARSITY, 1 - (1 - self.neuron_sparsity) ** 2 / 2)

    @classmethod
    def fidelity(
        cls, synapse_sparsity: float | None = None, neuron_sparsity: float = 0.3, iterations: int = 100
    ) -> PruneOptions:
        """Return the reading closest to Chakraborty et al. (2024), arXiv 2403.03409, to go with `paper_steps`.

        Exponents from twins; pruning goes on whatever becomes of rates and exponents.

        >>> PruneOptions.fidelity().exponents
        'twins'
        """
        return cls(
            synapse_sparsity,
            neuron_sparsity,
            iterations,
            exponents="twins",
            rates=(0.0, 1e4),
            exponent_growth=None,
        )


def schedule(neurons: int, synapses: int, options: PruneOptions, steps: Sequence[Step]) -> list[tuple[int, int]]:
    """Return the numbers of neurons and synapses to be left after each iteration, falling geometrically.

    Raises
    ------
    InvalidInput
        If the targets cannot be reached together, or not by these steps.

    Notes
    -----
    Each iteration leaves the same fraction of what there is, as in Frankle and Carbin (2019), arXiv 1803.03635.

    Examples
    --------
    >>> from lnpbrian.pruning.steps import as_steps
    >>> schedule(100, 1000, PruneOptions(0.75, 0.36, iterations=2), as_steps(("I", "II")))
    [(80, 500), (64, 250)]
    """
    removes_neurons, sparsity = any(step.removes_neurons for step in steps), options.removed_synapses
    if sparsity > 0 and not removes_neurons and not any(step.removes_synapses for step in steps):
        raise InvalidInput("synapse_sparsity needs step I or II; add one of them, or use synapse_sparsity=0")
    if options.neuron_sparsity > 0 and not removes_neurons:
        raise InvalidInput("neuron_sparsity needs step II; add it, or use neuron_sparsity=0")
    final_neurons = round((1 - options.neuron_sparsity) * neurons)
    final_synapses = round((1 - sparsity) * synapses)
    fewest = max((step.minimum_neurons for step in steps if step.removes_neurons), default=0)
    if final_neurons < fewest and options.neuron_sparsity > 0:
        highest = 1 - fewest / neurons
        raise InvalidInput(
            f"neuron_sparsity {options.neuron_sparsity:g} would leave {final_neurons} of {neurons} neurons, fewer than "
            f"minimum_neurons = {fewest}; at most {max(highest, 0):.3g} can be removed"
        )
    if final_synapses < 1:
        raise InvalidInput(f"synapse_sparsity {sparsity:g} would leave none of {synapses} synapses; lower it")
    # Removed neurons take their synapses along, other steps bring some back.
    added = np.prod([step.synapse_factor(1.0) for step in steps]) ** options.iterations
    left = min(1.0, (final_neurons / neurons) ** 2 * added)
    if final_synapses > 1.02 * left * synapses:
        raise InvalidInput(
            f"synapse_sparsity {sparsity:g} cannot be kept with neuron_sparsity "
            f"{options.neuron_sparsity:g}: the removed neurons take about {1 - left:.3g} of the synapses along; "
            f"raise synapse_sparsity to {1 - left:.3g} or lower neuron_sparsity to "
            f"{1 - np.sqrt(1 - sparsity):.3g}"
        )
    if final_synapses > final_neurons * (final_neurons - 1) and synapses <= neurons * (neurons - 1):
        raise InvalidInput(
            f"synapse_sparsity {sparsity:g} would leave {final_synapses} synapses, more than the "
            f"{final_neurons * (final_neurons - 1)} pairs of {final_neurons} neurons; raise it or lower neuron_sparsity"
        )
    done = np.arange(1, options.iterations + 1) / options.iterations
    return [
        (round(neurons * (final_neurons / neurons) ** x), round(synapses * (final_synapses / synapses) ** x))
        for x in done
    ]
