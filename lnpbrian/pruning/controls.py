"""What Lyapunov noise pruning is compared with: other ways to as small a network.

What a task is and how a network is trained comes from the caller, as callables. Networks keep their N neurons: those
that are gone are silent and have no synapses, so that an input keeps its numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.response import LinearResponse
from lnpbrian.network.spec import NetworkSpec, synaptic_operations
from lnpbrian.pruning.steps.connect import connect
from lnpbrian.pruning.steps.sampling import sample_edges

__all__ = [
    "ActivityPruning",
    "ActivityStep",
    "activity_pruning",
    "at_radius",
    "iterative_magnitude_pruning",
    "magnitude_pruning",
    "random_network",
    "silence",
    "thinned",
]

# Edges that connecting a thinned network may add, over its synapses.
NEW_EDGES = 0.02


def silence(spec: NetworkSpec, neurons: np.ndarray) -> NetworkSpec:
    """Return the network with some neurons silent and without synapses.

    Parameters
    ----------
    spec : NetworkSpec
    neurons : ndarray
        Mask of shape (N,), or indices in 0..N-1.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    InvalidInput
        If `neurons` is neither.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> spec = silence(HRSNN(20, 0.5, check_rate=False).spec, [3, 4])
    >>> np.flatnonzero(~spec.alive), bool(np.isin([3, 4], [spec.pre, spec.post]).any())
    (array([3, 4]), False)
    """
    chosen = np.asarray(neurons)
    if chosen.dtype == bool:
        chosen = np.flatnonzero(checks.array("neurons", chosen, shape=(spec.n_neurons,), dtype=bool))
    elif chosen.size == 0:
        chosen = np.zeros(0, dtype=np.intp)
    elif not np.issubdtype(chosen.dtype, np.integer) or chosen.min() < 0 or chosen.max() >= spec.n_neurons:
        raise InvalidInput(
            f"neurons must be a mask ({spec.n_neurons},) or indices in 0..{spec.n_neurons - 1}, got "
            f"{chosen.min()}..{chosen.max()} of type {chosen.dtype}"
        )
    alive = spec.alive.copy()
    alive[chosen] = False
    return replace(spec.of_synapses(alive[spec.pre] & alive[spec.post]), alive=alive)


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
        in `lnpbrian.pruning.steps.noise`.

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
    checks.generator("rng", rng)
    n_neurons, n_synapses = _sizes(spec, n_neurons, n_synapses, edges=n_neurons * (n_neurons - 1))
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


def thinned(
    spec: NetworkSpec,
    *,
    n_synapses: int,
    rng: np.random.Generator,
    sampling: str = "independent",
    connected: bool = False,
    rates: np.ndarray | None = None,
) -> NetworkSpec:
    """Keep synapses that are drawn whatever their scores, with all neurons.

    Parameters
    ----------
    spec : NetworkSpec
    n_synapses : int
        Synapses to keep; with "systematic" sampling only about as many.
    rng : numpy.random.Generator
    sampling : {"independent", "systematic", "even"}
        Any; as many inputs for each neuron; or as many inputs and outputs for each. See
        `lnpbrian.pruning.steps.sampling.sample_edges`.
    connected : bool
        Whether swaps make the network one strong component; see `lnpbrian.pruning.steps.connect.connect`.
    rates : ndarray, shape (N,), optional
        As for `random_network`.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    InvalidInput
        If there are not as many synapses.

    Notes
    -----
    Even and connected, at one input a neuron, it is a cycle: the reservoir of least complexity of Rodan and Tino
    (2011), doi:10.1109/TNN.2010.2089641.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> full = HRSNN(50, 0.2, check_rate=False).spec
    >>> cycle = thinned(full, n_synapses=50, rng=np.random.default_rng(0), sampling="even", connected=True)
    >>> np.unique(np.bincount(cycle.post)), np.unique(np.bincount(cycle.pre))
    (array([1]), array([1]))
    """
    _, n_synapses = _sizes(spec, spec.n_alive, n_synapses, edges=spec.n_synapses)
    if sampling == "independent":
        keep = np.isin(np.arange(spec.n_synapses), rng.choice(spec.n_synapses, n_synapses, replace=False))
    else:
        keep = sample_edges(
            np.full(spec.n_synapses, n_synapses / max(spec.n_synapses, 1)),
            rng=rng,
            method=sampling,
            pre=spec.pre,
            post=spec.post,
            neurons=spec.n_neurons,
            count=n_synapses if sampling == "even" else None,
            groups=spec.weights < 0,
            populations=spec.cluster if sampling == "even" else None,
        )
    made = spec.of_synapses(np.flatnonzero(keep))
    if connected:
        signs = np.where(spec.excitatory, 1, -1)
        found = connect(
            made.pre,
            made.post,
            spec.n_neurons,
            candidates=(spec.pre, spec.post),
            rng=rng,
            max_new=round(NEW_EDGES * n_synapses),
            signs=signs,
        )
        pool = [np.flatnonzero(spec.excitatory[made.pre] == sign) for sign in (False, True)]
        drawn = np.array([rng.choice(pool[int(sign)]) for sign in spec.excitatory[found.new_pre]], dtype=int)
        index = np.concatenate([np.flatnonzero(~found.remove), np.where(found.like >= 0, found.like, drawn)])
        pre, post = (
            np.concatenate([ends[~found.remove], new])
            for ends, new in ((made.pre, found.new_pre), (made.post, found.new_post))
        )
        made = replace(made.of_synapses(index), pre=pre, post=post)
    return _compensated(made, spec, rates)


def at_radius(spec: NetworkSpec, radius: float, *, response: LinearResponse) -> NetworkSpec:
    """Scale all weights by one factor, so that the linear response has a given spectral radius; mean inputs stay.

    Parameters
    ----------
    spec : NetworkSpec
        A pruned network.
    radius : float
    response : LinearResponse
        Of the network before pruning, whose rates and gains the pruned one is to have.

    Returns
    -------
    NetworkSpec
        The network as it is, if it has no cycle.

    Notes
    -----
    The scaling of echo state networks (Jaeger 2001, GMD report 148), of the linear response instead of the weights.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> from lnpbrian.network.response import slow_response
    >>> full = HRSNN(50, 0.2, check_rate=False).spec
    >>> found = slow_response(full)
    >>> half = full.of_synapses(np.arange(full.n_synapses) % 2 == 0)
    >>> scaled = at_radius(half, found.spectral_radius, response=found)
    >>> now = found.of_synapses(scaled.pre, scaled.post, scaled.weights)
    >>> round(now.spectral_radius / found.spectral_radius, 6)
    1.0
    """
    present = response.of_synapses(spec.pre, spec.post, spec.weights).spectral_radius
    factor = radius / present if present > 0 else 1.0
    return _compensated(replace(spec, weights=spec.weights * factor), spec, response.rates)


def magnitude_pruning(
    spec: NetworkSpec,
    *,
    n_neurons: int,
    n_synapses: int,
    per_sign: bool = False,
    rates: np.ndarray | None = None,
) -> NetworkSpec:
    """Keep the neurons with the largest sums of weights' magnitudes, and then the largest weights among them.

    Parameters
    ----------
    spec : NetworkSpec
        The unpruned network.
    n_neurons, n_synapses : int
        Surviving neurons and synapses.
    per_sign : bool
        Whether excitation and inhibition keep the same fraction of their synapses; else the sign of larger weights
        keeps nearly all that are kept.
    rates : ndarray, shape (N,), optional
        As for `random_network`.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    InvalidInput
        If there are not as many neurons, or not as many synapses between those that are kept.

    Notes
    -----
    Large weights are kept as in Han et al. (2015), arXiv 1506.02626. The sum of a neuron goes over its synapses in both
    directions. Of equal sums the neuron with fewer synapses goes, then the first; of equal weights the later one.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> full = HRSNN(50, 0.2, check_rate=False).spec
    >>> small = magnitude_pruning(full, n_neurons=50, n_synapses=10)
    >>> bool(np.abs(small.weights).min() >= np.sort(np.abs(full.weights))[-10])
    True
    """
    n_neurons, n_synapses = _sizes(spec, n_neurons, n_synapses, edges=spec.n_synapses)
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
    order = np.argsort(-np.abs(inner.weights), kind="stable")
    if per_sign:
        positive = inner.weights[order] > 0
        n_positive = round(n_synapses * positive.mean()) if order.size else 0
        order = np.concatenate([order[positive][:n_positive], order[~positive][: n_synapses - n_positive]])
    return _compensated(inner.of_synapses(np.sort(order[:n_synapses])), spec, rates)


@dataclass(frozen=True)
class ActivityStep:
    """The network after an iteration of `activity_pruning` (arXiv 2403.03409, algorithm 4); iteration 0 is how it came.

    Attributes
    ----------
    iteration, neurons, synapses : int
        Survivors.
    operations : float
        Synaptic operations a second.
    performance : float or None
        None where none is measured.
    """

    iteration: int
    neurons: int
    synapses: int
    operations: float
    performance: float | None


@dataclass(frozen=True, repr=False)
class ActivityPruning:
    """A network that was pruned and trained in turns (arXiv 2403.03409, algorithm 4).

    Attributes
    ----------
    spec : NetworkSpec
        What is left.
    history : tuple of ActivityStep
        One entry per iteration, the start included.
    status : str
        How it ended.
    """

    spec: NetworkSpec
    history: tuple[ActivityStep, ...]
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
    compensate: bool = False,
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
        Returns the network after training, with the same neurons alive and at most the same synapses.
    prune_rate : float
        Fraction of the surviving neurons that an iteration removes, in (0, 1).
    iterations : int
        Largest number of iterations.
    operations : float, optional
        Stop with the first network that makes at most so many synaptic operations a second. The last iteration removes
        no more neurons than that takes at the rates before it.
    performance : callable, optional
        The larger the better, positive for the unpruned network. Pruning stops before a network that has less than a
        tenth of that.
    minimum_neurons : int
        Pruning never leaves fewer.
    compensate : bool
        Before training, let the bias make up for the mean input that the neurons have lost, as in `noise`.
    each : callable, optional
        Called with the number of the iteration and the network, the start included.

    Returns
    -------
    ActivityPruning

    Raises
    ------
    InvalidInput
        If a number is out of range, or a callable returns something else than is described here.

    Notes
    -----
    arXiv 2403.03409, algorithm 4. Of equally active neurons those with fewer synapses go first, then the first ones.

    Examples
    --------
    Half of the neurons of lowest rate, without training:

    >>> from lnpbrian.models import HRSNN
    >>> full = HRSNN(20, 0.5, check_rate=False).spec
    >>> options = {"activity": lambda spec: np.arange(20.0), "retrain": lambda spec: spec}
    >>> result = activity_pruning(full, prune_rate=0.5, iterations=1, **options)
    >>> np.flatnonzero(result.spec.alive)
    array([10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    """
    rate = checks.real("prune_rate", prune_rate, above=0, below=1)
    iterations = checks.count("iterations", iterations)
    fewest = checks.count("minimum_neurons", minimum_neurons)
    goal = -1.0 if operations is None else checks.real("operations", operations, at_least=0)
    score = first = None if performance is None else checks.real("performance", performance(spec), above=0)
    rates = _measured(activity, spec)
    history: list[ActivityStep] = []

    def ended(status: str) -> ActivityPruning:
        return ActivityPruning(spec, tuple(history), status)

    for k in range(iterations + 1):
        history.append(ActivityStep(k, spec.n_alive, spec.n_synapses, synaptic_operations(rates, spec.pre), score))
        if each is not None:
            each(k, spec)
        if history[-1].operations <= goal:
            return ended("as few operations as were asked for")
        number = min(max(1, round(rate * spec.n_alive)), spec.n_alive - fewest)
        if number <= 0:
            return ended(f"no more than {fewest} neurons were left")
        if k == iterations:
            break
        order = _lowest(rates, spec, number)
        if synaptic_operations(rates, silence(spec, order).pre) <= goal:
            order = order[: _enough(spec, order, rates, goal)]
        smaller = silence(spec, order)
        smaller = _retrained(retrain, _compensated(smaller, spec, rates) if compensate else smaller)
        if performance is not None and first is not None:
            score = checks.real("performance", performance(smaller))
            if score < 0.1 * first:
                return ended("the next network would perform less than a tenth as well")
        spec, rates = smaller, _measured(activity, smaller)
    return ended("all iterations were done")


def iterative_magnitude_pruning(
    spec: NetworkSpec,
    *,
    n_synapses: int,
    retrain: Callable[[NetworkSpec], NetworkSpec],
    iterations: int = 10,
    activity: Callable[[NetworkSpec], np.ndarray] | None = None,
) -> NetworkSpec:
    """Remove the smallest weights in equal ratios and train what is left, again and again; neurons stay.

    Parameters
    ----------
    spec : NetworkSpec
    n_synapses : int
        Number of synapses at the end.
    retrain : callable
        Returns the network after training, with the same neurons alive and the same number of synapses.
    iterations : int
    activity : callable, optional
        Returns the rates of the neurons (N,) in Hz. With it the bias makes up for lost input before training.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    InvalidInput
        If the network has fewer synapses, or a callable returns something else than is described here.

    Notes
    -----
    The iterations of Frankle and Carbin (2019), arXiv 1803.03635, with one ratio for the whole network. They rewind the
    weights to their first values before each training; whether `retrain` does is its own affair.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> full = HRSNN(20, 0.5, check_rate=False).spec
    >>> iterative_magnitude_pruning(full, n_synapses=30, retrain=lambda spec: spec, iterations=3)
    NetworkSpec(HRSNN, 20 neurons (0 silent), 30 synapses)
    """
    checks.count("n_synapses", n_synapses)
    _sizes(spec, spec.n_alive, n_synapses, edges=spec.n_synapses)
    targets = np.geomspace(spec.n_synapses, n_synapses, checks.count("iterations", iterations) + 1)[1:]
    for target in targets.round().astype(int):
        rates = None if activity is None else _measured(activity, spec)
        smaller = magnitude_pruning(spec, n_neurons=spec.n_alive, n_synapses=int(target), rates=rates)
        spec = _retrained(retrain, smaller)
    return spec


def _measured(activity: Callable[[NetworkSpec], np.ndarray], spec: NetworkSpec) -> np.ndarray:
    return checks.array("rates from activity", activity(spec), shape=(spec.n_neurons,))


def _retrained(retrain: Callable[[NetworkSpec], NetworkSpec], spec: NetworkSpec) -> NetworkSpec:
    trained = retrain(spec)
    checks.instance("the result of retrain", trained, NetworkSpec, "return the network after training")
    if not np.array_equal(trained.alive, spec.alive) or trained.n_synapses > spec.n_synapses:
        raise InvalidInput(f"retrain must leave neurons and synapses as they are, got {trained!r} of {spec!r}")
    return trained


def _enough(spec: NetworkSpec, order: np.ndarray, rates: np.ndarray, goal: float) -> int:
    """Return how many of the neurons in `order` must go for the goal, by bisection: operations only fall."""
    few, enough = 0, len(order)
    while enough - few > 1:
        middle = (few + enough) // 2
        reached = synaptic_operations(rates, silence(spec, order[:middle]).pre) <= goal
        few, enough = (few, middle) if reached else (middle, enough)
    return enough


def _sizes(spec: NetworkSpec, n_neurons: int, n_synapses: int, *, edges: int) -> tuple[int, int]:
    n, m = checks.count("n_neurons", n_neurons), checks.count("n_synapses", n_synapses, minimum=0)
    if n > spec.n_alive:
        raise InvalidInput(f"n_neurons must be at most {spec.n_alive}, the neurons of the network; got {n}")
    if m > edges:
        raise InvalidInput(f"n_synapses must be at most {edges} here, got {m}")
    return n, m


def _lowest(values: np.ndarray, spec: NetworkSpec, number: int) -> np.ndarray:
    """Return the `number` living neurons of lowest value; of equals those with fewer synapses, then the first."""
    degree = np.bincount(spec.pre, minlength=spec.n_neurons) + np.bincount(spec.post, minlength=spec.n_neurons)
    living = np.flatnonzero(spec.alive)
    return living[np.lexsort((living, degree[living], np.asarray(values)[living]))[:number]]


def _compensated(pruned: NetworkSpec, spec: NetworkSpec, rates: np.ndarray | None) -> NetworkSpec:
    """Return the network with the mean input that its neurons have lost added to their bias."""
    if rates is None:
        return pruned
    lost = spec.mean_input(rates) - pruned.mean_input(rates)
    return replace(pruned, bias=pruned.bias + np.where(pruned.alive, lost, 0.0))
