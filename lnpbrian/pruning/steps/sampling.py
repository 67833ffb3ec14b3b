"""Which synapses a pruned network keeps: samples drawn with given keep probabilities.

Synapse arrays (``probability``, ``pre``, ``post``, ``groups``, masks) are aligned: entry `e` belongs to the synapse
onto neuron ``post[e]`` from neuron ``pre[e]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.engines.loops import FlowGraph, expected_degrees, take_in_order

__all__ = ["SAMPLINGS", "sample_edges"]

SAMPLINGS = ("independent", "systematic", "even")

# Perfect matchings of largest score are found up to so many kept synapses a neuron and synapses in all.
MATCHINGS, MATCHING_SYNAPSES = 6, 200_000
# Inputs of one kind a target from which on a kind is kept even by itself.
SEVERAL = 2.0
# Score of a synapse of probability 1; the largest double below 1 has log(-log(1 - p)) = 3.6.
CERTAIN = 30.0
# Rounding error of a sum of probabilities, far below what a sample could show.
ROUNDING = 1e-9


def sample_edges(
    probability: object,
    *,
    rng: np.random.Generator,
    method: str = "independent",
    pre: object = None,
    post: object = None,
    neurons: int | None = None,
    count: int | None = None,
    groups: object = None,
    populations: object = None,
) -> np.ndarray:
    """Draw the synapses to keep.

    Parameters
    ----------
    probability : array of float, shape (S,), in [0, 1]
        Synapses of probability 0 are never kept.
    rng : numpy.random.Generator
    method : {"independent", "systematic", "even"}
        * "independent": each synapse by itself, with its probability. The number kept spreads by
          ``sqrt(sum p (1 - p))``.
        * "systematic": one uniform number a target neuron, and the running sum of p over its synapses in random order.
          Each synapse is kept with its probability exactly, and the number of inputs a neuron keeps is its expectation
          rounded up or down.
        * "even": exactly `count` synapses, such that in-degrees and out-degrees are as equal as the graph allows, of
          large probability before others; see Notes. Probabilities then are weights: a synapse onto a neuron all of
          whose inputs have small p is kept more often than p says.
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse; "systematic" needs `post`, "even" both.
    neurons : int, optional
        Number of neurons N, which indices are below.
    count : int, at least 0, optional
        Number of synapses that "even" keeps; the sum of p, rounded, by default.
    groups : array of int, shape (S,), optional
        The kind of each synapse, such as its sign or its pair of populations. "even" gives each kind its share of
        `count`, in proportion to its sum of p, and keeps each kind even; "systematic" rounds the number of inputs of
        each kind up or down. "independent" does not need it.
    populations : array of int, shape (N,), optional
        The population of each neuron. "even" is even within each of them: its neurons get as many inputs, and give as
        many outputs, as its part of the sum of p. By default all are one population.

    Returns
    -------
    array of bool, shape (S,)
        True for synapses to keep.

    Raises
    ------
    InvalidInput
        If a probability is outside [0, 1], an array is missing, or `count` is above the number of synapses with a
        probability above 0 or given for another method than "even".

    Notes
    -----
    *Independent* is the sampling of Moore and Chaudhuri (2020), arXiv 2011.07334; *systematic* that of Madow (1949),
    Ann. Math. Stat. 20, 333, doi:10.1214/aoms/1177729988.

    *Even.* The score of a synapse is ``log(-log(1 - p)) + g``, g Gumbel noise: above 0 with probability p exactly, so
    that a threshold instead of equal degrees gives the independent sample. It is ``log p + g`` where p is small. What
    is kept is a union of perfect matchings of sources and targets, each of largest total score among the synapses that
    the former have left, the last one cut at random. Such matchings are found where sources are as many as targets,
    up to 6 synapses kept a neuron and 200,000 in all. Elsewhere synapses are taken in the order of their scores, less
    a potential of the source and of the target that makes expected degrees even (it changes no sum of scores at equal
    degrees), while both ends have room; then degrees are repaired by a largest flow. If an even network exists, repair
    finds one. Where none does, lower bounds of degrees give way first, then upper ones.

    Means are over the neurons that have a synapse of p > 0 on that side; a neuron with fewer synapses than the mean
    keeps all, and the others share what it leaves. With equal p, synapses that a symmetry of the graph carries into
    each other are kept equally often: on a complete graph all.

    *Populations.* A neuron that gets as many inputs as it gives outputs passes on what it gets: in a network that is
    even throughout as many synapses enter any set of neurons as leave it, and the synapses that lead along a chain of
    populations would go. With inputs and outputs of each population in proportion to what it had, the difference of
    what enters and leaves it is kept in proportion too.

    *Kinds.* Where a kind has 2 or more inputs a target (mean over the targets that have it), its number of synapses is
    its share exactly, and the numbers of inputs and of outputs of this kind differ from their means by less than one.
    The kinds of fewer inputs are one kind together, which gets the shares of all and is even whatever the kinds: at one
    input a neuron, each neuron gets one input and gives one output, excitatory or inhibitory. Their inputs fill up
    what the other kinds give, so that the inputs of all kinds make a total within one of its mean. A source's outputs
    are even kind by kind only.

    Examples
    --------
    >>> sample_edges([1.0, 0.0, 1.0], rng=np.random.default_rng(1))
    array([ True, False,  True])

    Of the six synapses among three neurons, three make one input and one output each: a cycle.

    >>> pre, post = np.array([0, 0, 1, 1, 2, 2]), np.array([1, 2, 0, 2, 0, 1])
    >>> keep = sample_edges(np.full(6, 0.5), rng=np.random.default_rng(0), method="even", pre=pre, post=post)
    >>> np.bincount(pre[keep]), np.bincount(post[keep])
    (array([1, 1, 1]), array([1, 1, 1]))
    """
    p = probabilities(probability)
    checks.generator("rng", rng)
    checks.choice("method", method, SAMPLINGS)
    if count is not None and method != "even":
        raise InvalidInput(f"count is for method='even', got it for {method!r}, whose numbers are random")
    if method == "independent":
        return rng.random(p.size) < p
    kind = _kinds(groups, p.size)
    if post is None or (pre is None and method == "even"):
        raise InvalidInput(f"method={method!r} needs {'pre and post' if method == 'even' else 'post'}")
    source, target = _ends(pre if pre is not None else post, post, neurons, p.size)
    if method == "systematic":
        return _systematic(p, target, kind, rng)
    possible = np.flatnonzero(p > 0)
    wanted = round(float(p.sum())) if count is None else checks.count("count", count, minimum=0)
    if wanted > possible.size:
        raise InvalidInput(
            f"count must be at most the number of synapses with a probability above 0 ({possible.size} of {p.size}), "
            f"got {wanted}"
        )
    keep, of_neuron = np.zeros(p.size, dtype=bool), _populations(populations, neurons, source, target)
    if wanted:
        # Without the impossible ones: they count neither as synapses of their neurons nor as room.
        keep[possible] = _even(p[possible], source[possible], target[possible], kind[possible], of_neuron, wanted, rng)
    return keep


def probabilities(value: object) -> np.ndarray:
    """Return `value` as an array of floats in [0, 1], or refuse it.

    Examples
    --------
    >>> probabilities([0.5, 1])
    array([0.5, 1. ])
    """
    p = checks.array("probability", value, shape=(None,))
    if ((p < 0) | (p > 1)).any():
        raise InvalidInput(f"probability must be in [0, 1], got {p[(p < 0) | (p > 1)][0]}")
    return p


def _ends(pre: object, post: object, neurons: int | None, size: int) -> tuple[np.ndarray, np.ndarray]:
    n = 2**31 - 1 if neurons is None else checks.count("neurons", neurons)
    source, target = checks.edge_arrays(pre, post, n)
    if source.size != size:
        raise InvalidInput(f"pre and post must have one entry per probability ({size}), got {source.size}")
    return source, target


def _kinds(groups: object, size: int) -> np.ndarray:
    """Kinds as 0, 1, ..., one per synapse."""
    if groups is None:
        return np.zeros(size, dtype=np.int64)
    return np.unique(checks.array("groups", groups, shape=(size,), dtype=int), return_inverse=True)[1]


def _populations(populations: object, neurons: int | None, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Populations as 0, 1, ..., one per neuron."""
    last = max(int(source.max(initial=-1)), int(target.max(initial=-1)))
    if populations is None:
        return np.zeros(1 + last, dtype=np.int64)
    of_neuron = checks.array("populations", populations, shape=(neurons,), dtype=int)
    if of_neuron.size <= last:
        raise InvalidInput(f"populations must have one entry per neuron, got {of_neuron.size}")
    return np.unique(of_neuron, return_inverse=True)[1]


def _systematic(p: np.ndarray, target: np.ndarray, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shuffled = rng.permutation(p.size)
    # Every run of consecutive synapses has its expected number within one, so kinds stand together.
    order = shuffled[np.lexsort((kind[shuffled], target[shuffled]))]
    first = np.diff(target[order], prepend=-1) > 0
    segment = np.cumsum(first) - 1
    total = np.cumsum(p[order])
    before = (total - p[order])[first]
    reached = total - before[segment]
    whole = np.rint(reached)
    reached = np.where(np.abs(reached - whole) < ROUNDING, whole, reached)
    level = np.floor(reached + rng.random(before.size)[segment]).astype(np.int64)
    keep = np.zeros(p.size, dtype=bool)
    keep[order] = level > np.where(first, 0, np.roll(level, 1))
    return (keep & (p > 0)) | (p == 1)  # whatever rounding did


# ------------------------------------------------------------------------------------------------------- even degrees


def _even(
    p: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    kind: np.ndarray,
    population: np.ndarray,
    wanted: int,
    rng: np.random.Generator,
) -> np.ndarray:
    with np.errstate(divide="ignore"):
        worth = np.minimum(np.log(-np.log1p(-p)), CERTAIN)
    score = worth + rng.gumbel(size=p.size)
    flow = _Flow(p, source, target, population, *_merge_kinds(target, kind, _shares(p, kind, wanted)))
    if flow.square() and p.size <= MATCHING_SYNAPSES and wanted <= MATCHINGS * flow.left_n:
        keep = _matchings(flow.left, flow.target[flow.leaf], score, wanted, rng)
        flow.start(keep)
    else:
        potential = flow.potentials(worth)
        score = score + potential
    order = np.argsort(-score)
    flow.greedy(order)
    flow.repair(order, rng)
    return flow.keep


def _shares(p: np.ndarray, kind: np.ndarray, wanted: int) -> np.ndarray:
    """How many synapses of each kind: in proportion to the sum of p, at most what there are, `wanted` in all."""
    available = np.bincount(kind)
    return _rounded(_fill(np.bincount(kind, weights=p), available, wanted), wanted)


def _rounded(exact: np.ndarray, total: int) -> np.ndarray:
    """Round to whole numbers whose sum is `total`, that of `exact`, by largest remainders."""
    whole = np.floor(exact + ROUNDING).astype(np.int64)
    whole[np.argsort(-(exact - whole), kind="stable")[: total - int(whole.sum())]] += 1
    return whole


def _merge_kinds(target: np.ndarray, kind: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make the kinds of few inputs one, kind 0, which may be empty; the kind of each synapse and the share of each."""
    targets = np.array([np.count_nonzero(np.bincount(target[kind == g])) for g in range(share.size)])
    several = (share >= SEVERAL * targets) & (share.size > 1)  # of a single kind, the total of a target says it all
    new = np.where(several, np.cumsum(several), 0)
    return new[kind], np.bincount(new, weights=share).astype(np.int64)


def _fill(mean: np.ndarray, available: np.ndarray, total: float) -> np.ndarray:
    """``min(available, t * mean)`` with the t at which these sum to `total`, which must not be above all there is."""
    ratio = available / mean
    order = np.argsort(ratio)
    full = np.concatenate([[0], np.cumsum(available[order])])[:-1]
    rest = np.cumsum(mean[order][::-1])[::-1]
    # The t at which the first k are full and the others have t * mean; the right one is the first below the next ratio.
    t = (total - full) / rest
    k = int(np.argmax(t <= ratio[order] * (1 + 1e-12)))
    return np.minimum(available, t[k] * mean)


def _matchings(
    left: np.ndarray, right: np.ndarray, score: np.ndarray, wanted: int, rng: np.random.Generator
) -> np.ndarray:
    """Union of perfect matchings, each of largest score among the rest, as far as there are any."""
    n = int(left.max()) + 1
    keep = np.zeros(left.size, dtype=bool)
    order = np.lexsort((-score, right, left))
    # Above 0, as a stored 0 is no edge; whole, as SciPy's search may never end where sums of costs are rounded.
    cost = np.rint((score.max() - score) * 2**20) + 1
    kept = 0
    while kept < wanted:
        free = order[~keep[order]]
        key = left[free] * n + right[free]
        free = free[np.diff(key, prepend=-1) > 0]  # of parallel synapses the best
        graph = sparse.csr_array((cost[free], (left[free], right[free])), shape=(n, n))
        try:
            row, column = min_weight_full_bipartite_matching(graph)
        except ValueError:  # there is no perfect matching
            break
        position = np.searchsorted(left[free] * n + right[free], row.astype(np.int64) * n + column)
        chosen = free[position]
        if wanted - kept < n:
            chosen = rng.permutation(chosen)[: wanted - kept]
        keep[chosen] = True
        kept += chosen.size
    return keep


@dataclass
class _Bounds:
    """Present number and bounds of synapses at each node of one layer."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    room: np.ndarray
    now: np.ndarray

    @classmethod
    def even(cls, mean: np.ndarray, available: np.ndarray, total: np.ndarray, part: np.ndarray) -> _Bounds:
        """Within one of the mean; in each part of the nodes, those with fewer synapses leave their share to others."""
        level = np.zeros(mean.size)
        for k in range(total.size):
            at = np.flatnonzero((part == k) & (mean > 0))
            if at.size:
                level[at] = _fill(mean[at], available[at], min(total[k], available[at].sum()))
        low = np.floor(level + ROUNDING).astype(np.int64)
        high = np.ceil(level - ROUNDING).astype(np.int64)
        return cls(mean, low, high, available.astype(np.int64), np.zeros(mean.size, dtype=np.int64))

    @classmethod
    def exactly(cls, number: np.ndarray, now: np.ndarray) -> _Bounds:
        return cls(number, number, number, number, now)

    def widen(self) -> bool:
        """Raise the upper bounds by one, or by a few percent of large ones, up to what there is; False if they are."""
        before, self.high = self.high, np.minimum(self.high + np.maximum(1, self.high // 16), self.room)
        return bool((self.high > before).any())


class _Flow:
    """Degrees as a flow with lower and upper bounds: hub -> pool -> left -> leaf -> target -> hub.

    A *pool* is a kind within a population of sources, whose number of synapses is fixed, *left* a source within a kind,
    *leaf* a target within a kind.
    A synapse is the arc left -> leaf, of capacity 1. A node is (layer, index). Kind 0 has too few inputs to be even at
    each target: its inputs fill up what the other kinds give.
    """

    def __init__(
        self,
        p: np.ndarray,
        source: np.ndarray,
        target: np.ndarray,
        population: np.ndarray,
        kind: np.ndarray,
        share: np.ndarray,
    ) -> None:
        n, several = population.size, 1 + int(population.max())
        self.keep = np.zeros(source.size, dtype=bool)

        self.left, _ = _number(kind * n + source, share.size * n)
        self.leaf, at = _number(kind * n + target, share.size * n)
        leaf_kind = at // n
        self.target, targets = _number(at % n, n)
        self.left_n, self.leaf_n = 1 + int(self.left.max()), self.target.size

        # Parts are kinds within populations: what they get is in proportion to their sum of p.
        giving, getting = (share.size * population[x] + kind for x in (source, target))
        left_total, leaf_total = (_of_parts(p, x, share, several) for x in (giving, getting))
        self.pool, leaf_part = np.zeros(self.left_n, dtype=np.int64), np.zeros(self.leaf_n, dtype=np.int64)
        self.pool[self.left], leaf_part[self.leaf] = giving, getting
        self.pool_total = _rounded(left_total, int(share.sum()))
        self.pool_now = np.zeros_like(self.pool_total)
        self.lefts = _Bounds.even(_mean(left_total, self.pool), np.bincount(self.left), left_total, self.pool)
        mean, room = _mean(leaf_total, leaf_part), np.bincount(self.leaf)
        self.leaves = _Bounds.even(mean, room, leaf_total, leaf_part)
        free = leaf_kind == 0
        self.leaves.low[free], self.leaves.high[free] = 0, room[free]
        target_mean, total = (np.bincount(self.target, weights=x) for x in (mean, room))
        part = population[targets]
        self.targets = _Bounds.even(target_mean, total, leaf_total.reshape(several, -1).sum(axis=1), part)

    def square(self) -> bool:
        return self.pool_total.size == 1 and self.leaf_n == self.left_n

    def start(self, keep: np.ndarray) -> None:
        self.keep = keep
        self.lefts.now = np.bincount(self.left[keep], minlength=self.left_n)
        self.leaves.now = np.bincount(self.leaf[keep], minlength=self.leaf_n)
        self.targets.now = np.bincount(self.target, weights=self.leaves.now).astype(np.int64)
        self.pool_now = np.bincount(self.pool, weights=self.lefts.now, minlength=self.pool_total.size).astype(np.int64)

    def potentials(self, worth: np.ndarray) -> np.ndarray:
        """What to add to the scores, by source and target, such that a threshold of 0 gives even degrees on average."""
        a, b = np.zeros(self.left_n), np.zeros(self.leaf_n)
        ends = self.left.astype(np.int32), self.leaf.astype(np.int32)
        for _ in range(30):
            worst = 0.0
            for side, (shift, bounds) in enumerate(((a, self.lefts), (b, self.leaves))):
                expected = expected_degrees(worth, a, b, ends, side)
                ratio = np.clip(bounds.mean / np.maximum(expected, 1e-300), 1e-3, 1e3)
                shift += np.clip(np.log(ratio), -3, 3)
                worst = max(worst, float(np.abs(np.log(ratio)).mean()))
            if worst < 0.01:
                break
        return a[self.left] + b[self.leaf]

    def greedy(self, order: np.ndarray) -> None:
        """Take synapses in order while both ends have room: first up to the lower bounds, then up to the upper ones."""
        for low in (True, False):
            caps = [self.lefts.low if low else self.lefts.high, self.leaves.high]
            caps.append(self.targets.low if low else self.targets.high)
            self._greedy(order, *caps)

    def _greedy(self, order: np.ndarray, left_cap: np.ndarray, leaf_cap: np.ndarray, target_cap: np.ndarray) -> None:
        rooms = [left_cap - self.lefts.now, leaf_cap - self.leaves.now]
        rooms += [target_cap - self.targets.now, self.pool_total - self.pool_now]
        take_in_order(order, self.keep, (self.left, self.leaf, self.target, self.pool), rooms)
        self.start(self.keep)

    def repair(self, order: np.ndarray, rng: np.random.Generator) -> None:
        """Bring numbers within their bounds by a largest flow, as far as the graph allows; numbers of kinds always."""
        if self._within():
            return
        # Enough as a rule, and the better part: what is kept and as many of the best of the rest.
        rest = order[~self.keep[order]]
        best = np.sort(np.concatenate([np.flatnonzero(self.keep), rest[: 2 * int(self.pool_total.sum())]]))
        synapses = best
        graph = self._graph(synapses)
        lack = np.inf
        while not self._within():
            if self._circulate(graph, synapses, order, rng):
                continue
            before, lack = lack, self.stuck[0].sum()
            if synapses.size < order.size:
                synapses, lack = np.arange(order.size), np.inf
                graph = self._graph(synapses)
            elif lack == before:
                # There is no even network of this size, and the lower bounds that were lowered did not help.
                if not self._widen():
                    self._relax()
            elif not self._relax():
                self._widen()

    def _within(self) -> bool:
        layers = (self.lefts, self.leaves, self.targets)
        return bool((self.pool_now == self.pool_total).all() and all((b.now >= b.low).all() for b in layers))

    def _arcs(self) -> list[tuple[np.ndarray, np.ndarray, _Bounds]]:
        """Tails and heads of what leads from one layer to the next, but for the synapses, and its bounds."""
        at, _ = self._layers()
        pool, left, leaf, target = (np.arange(at[k], at[k + 1]) for k in range(4))
        hub = np.zeros(target.size, dtype=np.int64)
        return [
            (hub[:1].repeat(pool.size), pool, _Bounds.exactly(self.pool_total, self.pool_now)),
            (pool[self.pool], left, self.lefts),
            (leaf, target[self.target], self.leaves),
            (target, hub, self.targets),
        ]

    def _graph(self, synapses: np.ndarray) -> FlowGraph:
        """All arcs: synapses, those between layers, and those from the source and to the sink of what is missing."""
        at, n = self._layers()
        arcs, everywhere = self._arcs(), np.arange(n)
        tails = [at[1] + self.left[synapses], *(tail for tail, _, _ in arcs), np.full(n, n), everywhere]
        heads = [at[2] + self.leaf[synapses], *(head for _, head, _ in arcs), everywhere, np.full(n, n + 1)]
        return FlowGraph(np.concatenate(tails), np.concatenate(heads), n + 2)

    def _circulate(self, graph: FlowGraph, synapses: np.ndarray, order: np.ndarray, rng: np.random.Generator) -> bool:
        """Meet all bounds, or note in `stuck` what cannot be met."""
        _, n = self._layers()
        arcs, kept = self._arcs(), self.keep[synapses]
        forward, backward = [~kept], [kept]
        supply, demand = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        for tail, head, bounds in arcs:
            # An arc below its lower bound is filled up to it; what that takes is sent around from its head to its tail.
            missing = np.maximum(bounds.low - bounds.now, 0)
            filled = bounds.now + missing
            forward.append(bounds.high - filled)
            backward.append(filled - bounds.low)
            np.add.at(supply, head, missing)
            np.add.at(demand, tail, missing)
        forward += [supply, demand]
        backward.append(np.zeros(2 * n, dtype=np.int64))
        room, back = (np.maximum(np.concatenate(x), 0) for x in (forward, backward))
        label = rng.permutation(n + 2)  # no neuron is nearer because of its number
        flow = graph.largest(room, back, label)

        sizes = [synapses.size, *(tail.size for tail, _, _ in arcs), n, n]
        change, *others, sent, got = np.split(flow, np.cumsum(sizes[:-1]))
        self.stuck = (supply - sent, demand - got)
        if sent.sum() < supply.sum():
            return False
        for (_, _, bounds), more in zip(arcs, others, strict=True):
            bounds.now += np.maximum(bounds.low - bounds.now, 0) + more
        self._switch(change, synapses, order)
        self.start(self.keep)
        return True

    def _layers(self) -> tuple[np.ndarray, int]:
        """First node of each layer, the hub being node 0, and the number of nodes."""
        sizes = [1, self.pool_total.size, self.left_n, self.leaf_n, self.targets.now.size]
        at = np.cumsum(sizes)
        return at, int(at[-1])

    def _switch(self, change: np.ndarray, synapses: np.ndarray, order: np.ndarray) -> None:
        """Take and drop synapses: as many of those between two neurons as the change of each says."""
        some = np.flatnonzero(change)
        change, edges = change[some], synapses[some]
        rank = np.empty(order.size, dtype=np.int64)
        rank[order] = np.arange(order.size)
        for sign in (1, -1):
            # Of parallel synapses the best are taken first, the worst dropped first.
            at = np.flatnonzero((sign * change > 0) & (self.keep[edges] == (sign < 0)))
            u, r = self.left[edges[at]], self.leaf[edges[at]]
            by = np.lexsort((sign * rank[edges[at]], r, u))
            first = (np.diff(u[by], prepend=-1) != 0) | (np.diff(r[by], prepend=-1) != 0)
            position = np.arange(by.size)
            since = position - np.maximum.accumulate(np.where(first, position, 0))
            at = at[by[since < np.abs(change[at[by]])]]
            self.keep[edges[at]] = sign > 0

    def _widen(self) -> bool:
        """Raise the upper bounds; False if there is no more room."""
        return any([bounds.widen() for bounds in (self.lefts, self.leaves, self.targets)])

    def _relax(self) -> bool:
        """Lower the lower bounds that could not be met; False if there is none."""
        at, _ = self._layers()
        lack, excess = self.stuck
        layers = (
            (self.lefts, lack[at[1] : at[2]]),
            (self.leaves, excess[at[2] : at[3]]),
            (self.targets, excess[at[3] : at[4]]),
        )
        missing = [np.maximum(bounds.low - bounds.now, 0) for bounds, _ in layers]
        less = [np.minimum(m, stuck) for m, (_, stuck) in zip(missing, layers, strict=True)]
        if not any(x.any() for x in less):
            less = missing  # whose it is cannot be told
        for (bounds, _), x in zip(layers, less, strict=True):
            bounds.low -= x
        return any(bool(x.any()) for x in less)


def _of_parts(p: np.ndarray, part: np.ndarray, share: np.ndarray, populations: int) -> np.ndarray:
    """How many synapses of each part, entry ``population * kinds + kind``: as the sum of p, at most what there are."""
    size = populations * share.size
    expected = np.bincount(part, weights=p, minlength=size).reshape(populations, -1)
    available = np.bincount(part, minlength=size).reshape(populations, -1)
    found = np.zeros(expected.shape)
    for kind in np.flatnonzero(share):
        there = available[:, kind] > 0
        found[there, kind] = _fill(expected[there, kind], available[there, kind], share[kind])
    return found.ravel()


def _mean(share: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The share of the part of each node over the number of nodes of that part."""
    return (share / np.maximum(np.bincount(part, minlength=share.size), 1))[part]


def _number(key: np.ndarray, below: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the distinct keys 0, 1, ...: the number of each entry, and the key of each number."""
    present = np.bincount(key, minlength=below) > 0
    return (np.cumsum(present) - 1)[key], np.flatnonzero(present)
