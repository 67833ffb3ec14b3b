"""What pruning is compared with: other ways to a small network, and forecasters that need none.

Networks keep their N neurons: those that are gone are silent and have no synapses, so that an input keeps its numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network import NetworkSpec
from lnpbrian.noise import NoisePruneOptions, excitability_shift
from lnpbrian.options import PruneOptions
from lnpbrian.tasks import ForecastTask

__all__ = [
    "ActivityPruning",
    "activity_pruning",
    "autoregression",
    "iterative_magnitude_pruning",
    "magnitude_pruning",
    "next_generation_reservoir",
    "noise_pruning_without_lyapunov",
    "random_network",
    "silence",
    "uncoupled",
]


def silence(spec: NetworkSpec, neurons: np.ndarray) -> NetworkSpec:
    """Return the network with some neurons silent and without synapses; `neurons` is a mask (N,) or indices."""
    alive = spec.alive.copy()
    alive[neurons] = False
    return replace(spec.of_synapses(alive[spec.pre] & alive[spec.post]), alive=alive)


def uncoupled(spec: NetworkSpec) -> NetworkSpec:
    """Return the same neurons without any synapse."""
    return spec.of_synapses(np.zeros(spec.n_synapses, dtype=bool))


def random_network(
    spec: NetworkSpec,
    *,
    n_neurons: int,
    n_synapses: int,
    rng: np.random.Generator,
    rates: np.ndarray | None = None,
) -> NetworkSpec:
    """Return an Erdos-Renyi network of a given size, made of neurons and weights of `spec`.

    Parameters
    ----------
    spec : NetworkSpec
        The unpruned network.
    n_neurons, n_synapses : int
        Surviving neurons, drawn such that the fraction of excitatory ones is kept, and synapses between them, each pair
        of neurons at most once.
    rng : numpy.random.Generator
    rates : ndarray, shape (N,), optional
        Rates in Hz of the unpruned network. With them the bias makes up for the mean input that a neuron has lost, as
        in `lnpbrian.noise`.

    Returns
    -------
    NetworkSpec
        A weight is drawn from those of the presynaptic neuron's sign; constants of plasticity come with it.

    Raises
    ------
    InvalidInput
        If there are not as many neurons, or not as many pairs of them.

    Notes
    -----
    arXiv 2403.03409, section 4.1 and figure 3(c).

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> full = HRSNN(50, 0.2, check_rate=False).spec
    >>> small = random_network(full, n_neurons=20, n_synapses=30, rng=np.random.default_rng(0))
    >>> small.n_alive, small.n_synapses, int(small.excitatory[small.alive].sum())
    (20, 30, 16)
    """
    _check_sizes(spec, n_neurons, n_synapses, edges=n_neurons * (n_neurons - 1))
    living = np.flatnonzero(spec.alive)
    excitatory = living[spec.excitatory[living]]
    inhibitory = living[~spec.excitatory[living]]
    n_excitatory = min(max(round(n_neurons * excitatory.size / living.size), n_neurons - inhibitory.size), n_neurons)
    kept = np.concatenate(
        [
            rng.choice(excitatory, n_excitatory, replace=False),
            rng.choice(inhibitory, n_neurons - n_excitatory, replace=False),
        ]
    )
    kept.sort()
    slots = np.sort(rng.choice(n_neurons * (n_neurons - 1), n_synapses, replace=False))
    row, column = np.divmod(slots, max(n_neurons - 1, 1))
    pre, post = kept[row], kept[column + (column >= row)]
    donors = np.empty(n_synapses, dtype=np.intp)
    for sign in (True, False):
        wanted, known = spec.excitatory[pre] == sign, np.flatnonzero(spec.excitatory[spec.pre] == sign)
        if wanted.any():
            if known.size == 0:
                raise InvalidInput("the network has no synapse of one sign to draw weights from; use a denser one")
            donors[wanted] = rng.choice(known, int(wanted.sum()))
    alive = np.zeros(spec.n_neurons, dtype=bool)
    alive[kept] = True
    made = replace(spec.of_synapses(donors), pre=pre, post=post, alive=alive)
    return _compensated(made, spec, rates)


def magnitude_pruning(
    spec: NetworkSpec, *, n_neurons: int, n_synapses: int, rates: np.ndarray | None = None
) -> NetworkSpec:
    """Keep the neurons with the largest sums of weights' magnitudes, and then the largest weights among them.

    Parameters
    ----------
    spec, n_neurons, n_synapses, rates
        As for `random_network`.

    Raises
    ------
    InvalidInput
        If there are not as many neurons, or not as many synapses between those that are kept.
    """
    _check_sizes(spec, n_neurons, n_synapses, edges=spec.n_synapses)
    size = np.abs(spec.weights)
    n = spec.n_neurons
    strength = np.bincount(spec.pre, size, minlength=n) + np.bincount(spec.post, size, minlength=n)
    inner = silence(spec, _lowest(strength, spec, spec.n_alive - n_neurons))
    if inner.n_synapses < n_synapses:
        raise InvalidInput(
            f"the {n_neurons} neurons that are kept have {inner.n_synapses} synapses between them, not {n_synapses}; "
            "keep more neurons or fewer synapses"
        )
    # Stable: of equals the first is kept.
    order = np.argsort(-np.abs(inner.weights), kind="stable")[:n_synapses]
    return _compensated(inner.of_synapses(np.sort(order)), spec, rates)


def noise_pruning_without_lyapunov(options: PruneOptions) -> PruneOptions:
    """Return the options with weights in place of Lyapunov exponents in step I (Moore and Chaudhuri 2020)."""
    weights = {"edge_strength": "weight"}
    return replace(options, noise=NoisePruneOptions(**{**vars(options.noise), **weights}))


@dataclass(frozen=True, repr=False)
class ActivityPruning:
    """A network that was pruned and trained in turns.

    Attributes
    ----------
    spec : NetworkSpec
        What is left.
    history : tuple of dict
        Neurons, synapses and synaptic operations per second after each iteration.
    status : str
        How it ended.
    """

    spec: NetworkSpec
    history: tuple[dict[str, float], ...]
    status: str

    def __repr__(self) -> str:
        return f"ActivityPruning({self.spec.n_alive} neurons, {self.spec.n_synapses} synapses; {self.status})"


def activity_pruning(
    spec: NetworkSpec,
    *,
    activity: Callable[[NetworkSpec], np.ndarray],
    retrain: Callable[[NetworkSpec], NetworkSpec],
    prune_rate: float = 0.1,
    iterations: int = 100,
    operations: float | None = None,
    performance: Callable[[NetworkSpec], float] | None = None,
    minimum_neurons: int = 10,
    each: Callable[[int, NetworkSpec], None] | None = None,
) -> ActivityPruning:
    """Remove the least active neurons and train what is left, again and again.

    Parameters
    ----------
    spec : NetworkSpec
        The network to start from.
    activity : callable
        Returns the rates of the neurons (N,) in Hz.
    retrain : callable
        Returns the network after training; neurons and synapses are to stay the same.
    prune_rate : float
        Fraction of the surviving neurons that an iteration removes, in (0, 1).
    iterations : int
        Largest number of iterations.
    operations : float, optional
        Stop with the first network that makes at most so many synaptic operations a second. The last iteration removes
        no more neurons than that takes.
    performance : callable, optional
        The larger the better. Pruning stops before a network that has less than a tenth of that of the first one.
    minimum_neurons : int
        Pruning never leaves fewer.
    each : callable, optional
        Called with the number of the iteration and the network, the start included.

    Returns
    -------
    ActivityPruning

    Notes
    -----
    arXiv 2403.03409, algorithm 4. Of equally active neurons those with fewer synapses go first, then the first ones.
    """
    rate = checks.probability("prune_rate", prune_rate)
    first = None if performance is None else performance(spec)
    history: list[dict[str, float]] = []
    rates = activity(spec)

    def note(k: int) -> None:
        sizes = {"neurons": spec.n_alive, "synapses": spec.n_synapses}
        history.append({"iteration": k, **sizes, "operations": _operations(spec, rates)})
        if each is not None:
            each(k, spec)

    note(0)
    for k in range(1, checks.count("iterations", iterations) + 1):
        if operations is not None and history[-1]["operations"] <= operations:
            return ActivityPruning(spec, tuple(history), "as few operations as were asked for")
        number = min(max(1, round(rate * spec.n_alive)), spec.n_alive - minimum_neurons)
        if number <= 0:
            return ActivityPruning(spec, tuple(history), f"no more than {minimum_neurons} neurons were left")
        order = _lowest(rates, spec, number)
        if operations is not None and _operations(silence(spec, order), rates) <= operations:
            # Bisection: the operations fall with every neuron that goes.
            few, enough = 0, number
            while enough - few > 1:
                middle = (few + enough) // 2
                reached = _operations(silence(spec, order[:middle]), rates) <= operations
                few, enough = (few, middle) if reached else (middle, enough)
            order = order[:enough]
        smaller = retrain(silence(spec, order))
        if performance is not None and first is not None and performance(smaller) < 0.1 * first:
            return ActivityPruning(spec, tuple(history), "the next network would perform less than a tenth as well")
        spec, rates = smaller, activity(smaller)
        note(k)
    return ActivityPruning(spec, tuple(history), "all iterations were done")


def iterative_magnitude_pruning(
    spec: NetworkSpec,
    *,
    n_synapses: int,
    retrain: Callable[[NetworkSpec], NetworkSpec],
    iterations: int = 10,
) -> NetworkSpec:
    """Remove the smallest weights in equal ratios and train what is left, again and again; neurons stay.

    Parameters
    ----------
    spec : NetworkSpec
    n_synapses : int
        Number of synapses at the end.
    retrain : callable
        Returns the network after training.
    iterations : int

    Returns
    -------
    NetworkSpec
    """
    _check_sizes(spec, spec.n_alive, n_synapses, edges=spec.n_synapses)
    targets = np.geomspace(spec.n_synapses, n_synapses, checks.count("iterations", iterations) + 1)[1:]
    for target in targets.round().astype(int):
        spec = retrain(magnitude_pruning(spec, n_neurons=spec.n_alive, n_synapses=int(target)))
    return spec


def _check_sizes(spec: NetworkSpec, n_neurons: int, n_synapses: int, *, edges: int) -> None:
    checks.count("n_neurons", n_neurons)
    checks.count("n_synapses", n_synapses, minimum=0)
    if n_neurons > spec.n_alive:
        raise InvalidInput(f"n_neurons must be at most {spec.n_alive}, the neurons of the network; got {n_neurons}")
    if n_synapses > edges:
        raise InvalidInput(f"n_synapses must be at most {edges} here, got {n_synapses}")


def _lowest(values: np.ndarray, spec: NetworkSpec, number: int) -> np.ndarray:
    """Return the `number` living neurons of lowest value; of equals those with fewer synapses, then the first."""
    degree = np.bincount(spec.pre, minlength=spec.n_neurons) + np.bincount(spec.post, minlength=spec.n_neurons)
    living = np.flatnonzero(spec.alive)
    return living[np.lexsort((living, degree[living], np.asarray(values)[living]))[:number]]


def _operations(spec: NetworkSpec, rates: np.ndarray) -> float:
    return float((rates * spec.alive) @ np.bincount(spec.pre, minlength=spec.n_neurons))


def _compensated(pruned: NetworkSpec, spec: NetworkSpec, rates: np.ndarray | None) -> NetworkSpec:
    """Return the network with the mean input that its neurons have lost added to their bias."""
    if rates is None:
        return pruned
    # A spike brings a current of w tau_syn in total, or moves the potential of its target by w.
    gain = spec.synaptic_time_constant or spec.time_constants

    def taken(network: NetworkSpec) -> np.ndarray:
        nothing = np.zeros(network.n_synapses)
        return excitability_shift(
            network.pre, network.post, network.weights, pruned_weights=nothing, rates=rates, gain=gain
        )

    return replace(pruned, bias=pruned.bias - np.where(pruned.alive, taken(spec) - taken(pruned), 0.0))


# ------------------------------------------------------------------------------------------------- without a network


def autoregression(task: ForecastTask, lags: int, *, ridge: float = 1e-8) -> np.ndarray:
    """Forecast every window with a linear law of the last samples, fitted on its training part.

    Parameters
    ----------
    task : ForecastTask
        Windows with training parts of their own.
    lags : int
        Number of samples in the law.
    ridge : float
        Penalty of its squared weights.

    Returns
    -------
    ndarray, shape (W, horizon, D)
    """
    lags = checks.count("lags", lags)
    return _closed_loop(task, lambda z: z[-lags:][::-1].ravel(), lags, ridge)


def next_generation_reservoir(task: ForecastTask, *, ridge: float = 1e-8) -> np.ndarray:
    """Forecast every window with a linear law of the last two samples and all products of two of their values.

    Parameters and result are those of `autoregression`.

    Notes
    -----
    Gauthier et al. 2021, doi:10.1038/s41467-021-25801-2.
    """

    def features(z: np.ndarray) -> np.ndarray:
        linear = z[-2:][::-1].ravel()
        return np.concatenate([linear, np.outer(linear, linear)[np.triu_indices(linear.size)]])

    return _closed_loop(task, features, 2, ridge)


def _closed_loop(
    task: ForecastTask, features: Callable[[np.ndarray], np.ndarray], lags: int, ridge: float
) -> np.ndarray:
    if task.warm_up < lags - 1 or task.fit is not None:
        raise InvalidInput(f"the windows need training parts of their own and a warm-up of at least {lags - 1} samples")
    checks.real("ridge", ridge, above=0)
    predictions = []
    for window in task.windows:
        known = range(task.warm_up, task.train - 1)
        x = np.array([np.append(features(window[: n + 1]), 1.0) for n in known])
        y = np.diff(window[: task.train], axis=0)[task.warm_up :]
        weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
        series = list(window[: task.train])
        for _ in range(task.horizon):
            step = np.append(features(np.array(series[-lags:])), 1.0) @ weights
            series.append(np.clip(series[-1] + step, -10, 10))
        predictions.append(series[task.train :])
    return np.array(predictions)
