"""Which synapses a pruned network keeps: samples drawn with given keep probabilities.

Synapse arrays (``probability``, ``pre``, ``post``, ``groups``, masks) are aligned: entry `e` belongs to the synapse onto
neuron ``post[e]`` from neuron ``pre[e]``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

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
    that a threshold instead of equal degrees gives the independent sample. It is ``log p + g`` where p is small. What is
    kept is a union of perfect matchings of sources and targets, each of largest total score among the synapses that
    the former have left, the last one cut at random. Such matchings are found where sources are as many as targets,
    up to 6 synapses kept a neuron and 200,000 in all. Elsewhere synapses are taken in the order of their scores, less
    a potential of the source and of the target that makes expected degrees even (it changes no sum of scores at equal
    degrees), while both ends have room; then degrees are repaired along alternating paths until none is left. If an
    even network exists, repair finds one.

    Means are over the neurons that have a synapse of p > 0 on that side; a neuron with fewer synapses than the mean
    keeps all, and the others share what it leaves. With equal p on a vertex-transitive graph all synapses are
    kept equally often.

    *Kinds.* Where a kind has 2 or more inputs a target (mean over the targets that have it), its number of synapses is
    its share exactly, and the numbers of inputs and of outputs of this kind differ from their means by less than one.
    The kinds of fewer inputs are one kind together, which gets the shares of all and is even whatever the kinds: at one
    input a neuron, each neuron gets one input and gives one output, excitatory or inhibitory. Their inputs fill up
    what the other kinds give, so that the inputs of all kinds make a total within one of its mean.

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
    keep = np.zeros(p.size, dtype=bool)
    if wanted:
        # Without the impossible ones: they count neither as synapses of their neurons nor as room.
        keep[possible] = _even(p[possible], source[possible], target[possible], kind[possible], wanted, rng)
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
    p: np.ndarray, source: np.ndarray, target: np.ndarray, kind: np.ndarray, wanted: int, rng: np.random.Generator
) -> np.ndarray:
    with np.errstate(divide="ignore"):
        worth = np.minimum(np.log(-np.log1p(-p)), CERTAIN)
    score = worth + rng.gumbel(size=p.size)
    flow = _Flow(source, target, *_merge_kinds(target, kind, _shares(p, kind, wanted)))
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
    exact = _fill(np.bincount(kind, weights=p), available, wanted)
    share = np.floor(exact + ROUNDING).astype(np.int64)
    missing = wanted - int(share.sum())
    share[np.argsort(-(exact - share), kind="stable")[:missing]] += 1
    return share


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
    """Union of perfect matchings, each of largest score among the rest, as far as there are any; the last one is cut."""
    n = int(left.max()) + 1
    keep = np.zeros(left.size, dtype=bool)
    order = np.lexsort((-score, right, left))
    cost = score.max() - score + 1  # above 0: a stored 0 is no edge
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

    def widen(self) -> bool:
        """Raise the upper bounds by one, or by a few percent of large ones; False if all room was open already."""
        if (self.high >= self.room).all():
            return False
        self.high = np.minimum(self.high + np.maximum(1, self.high // 16), self.room)
        return True


class _Flow:
    """Degrees as a flow with lower and upper bounds: hub -> pool -> left -> leaf -> target -> hub.

    A *pool* is a kind, whose number of synapses is fixed, *left* a source within a kind, *leaf* a target within a kind.
    A synapse is the arc left -> leaf, of capacity 1. A node is (layer, index). Kind 0 has too few inputs to be even at
    each target: its inputs fill up what the other kinds give.
    """

    def __init__(self, source: np.ndarray, target: np.ndarray, kind: np.ndarray, share: np.ndarray) -> None:
        n = 1 + max(int(source.max()), int(target.max()))
        self.pool_total = share
        self.pool_now = np.zeros_like(share)
        self.keep = np.zeros(source.size, dtype=bool)

        self.left, at = _number(kind * n + source, share.size * n)
        self.pool = at // n
        self.leaf, at = _number(kind * n + target, share.size * n)
        leaf_kind = at // n
        self.target, targets = _number(at % n, n)
        self.left_n, self.leaf_n = self.pool.size, self.target.size

        mean = (share / np.maximum(np.bincount(self.pool, minlength=share.size), 1))[self.pool]
        self.lefts = _Bounds.even(mean, np.bincount(self.left), share, self.pool)
        mean, room = (share / np.maximum(np.bincount(leaf_kind, minlength=share.size), 1))[leaf_kind], np.bincount(self.leaf)
        self.leaves = _Bounds.even(mean, room, share, leaf_kind)
        free = leaf_kind == 0
        self.leaves.low[free], self.leaves.high[free] = 0, room[free]
        mean, room = (np.bincount(self.target, weights=x) for x in (mean, room))
        self.targets = _Bounds.even(mean, room, share.sum(keepdims=True), np.zeros(targets.size, dtype=np.int64))
        self.leaves_of = _rows(self.target, np.arange(self.leaf_n), targets.size)
        self.lefts_of = _rows(self.pool, np.arange(self.left_n), share.size)

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
        for _ in range(30):
            worst = 0.0
            for shift, at, bounds in ((a, self.left, self.lefts), (b, self.leaf, self.leaves)):
                exponent = np.clip(worth + a[self.left] + b[self.leaf], -700, 7)
                expected = np.bincount(at, weights=-np.expm1(-np.exp(exponent)), minlength=shift.size)
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
        left_room, leaf_room = left_cap - self.lefts.now, leaf_cap - self.leaves.now
        target_room, pool_room = target_cap - self.targets.now, self.pool_total - self.pool_now
        chosen: list[int] = []
        for start in range(0, order.size, 1 << 15):
            e = order[start : start + (1 << 15)]
            u, r = self.left[e], self.leaf[e]
            free = (left_room[u] > 0) & (leaf_room[r] > 0) & (target_room[self.target[r]] > 0)
            free &= (pool_room[self.pool[u]] > 0) & ~self.keep[e]
            e, u, r = e[free], u[free], r[free]
            if not e.size:
                continue
            rooms = [room.tolist() for room in (left_room, leaf_room, target_room, pool_room)]
            lefts, leaves, targets, pools = rooms
            ends = zip(
                e.tolist(), u.tolist(), r.tolist(), self.target[r].tolist(), self.pool[u].tolist(), strict=True
            )
            for edge, i, j, t, g in ends:
                if lefts[i] > 0 and leaves[j] > 0 and targets[t] > 0 and pools[g] > 0:
                    lefts[i] -= 1
                    leaves[j] -= 1
                    targets[t] -= 1
                    pools[g] -= 1
                    chosen.append(edge)
            left_room, leaf_room, target_room, pool_room = (np.array(room) for room in rooms)
            if not (pool_room > 0).any() or not (left_room > 0).any() or not (target_room > 0).any():
                break
        self.keep[chosen] = True
        self.start(self.keep)

    # Repair: for an arc a -> b below its lower bound, a path from b to a along which flow can change by one.

    def repair(self, order: np.ndarray, rng: np.random.Generator) -> None:
        """Bring numbers within their bounds, as far as the graph allows; the total always."""
        if self._within():
            return
        self.out = _rows(self.left[order], order, self.left_n)  # of large score first
        self.into = _rows(self.leaf[order[::-1]], order[::-1], self.leaf_n)  # of small score first
        self._fill_pools(rng)
        for layer, bounds in ((LEFT, self.lefts), (LEAF, self.leaves), (TARGET, self.targets)):
            self._raise_all(layer, rng.permutation(np.flatnonzero(bounds.now < bounds.low)), bounds.now, bounds.low)

    def _raise_all(self, layer: int, nodes: np.ndarray, now: np.ndarray, low: np.ndarray) -> None:
        """Raise the flow at these nodes up to `low`, as far as there are paths."""
        closed: set[Node] = set()  # no arc with room leaves it, and no later path can change that
        for k in nodes.tolist():
            start, goal = self._ends(layer, k)
            while now[k] < low[k] and not (start in closed and goal not in closed):
                path, seen = self._path(start, goal)
                if path is None:
                    closed |= seen
                    break
                for a, b, edge in path:
                    self._push(a, b, edge)
                now[k] += 1

    def _ends(self, layer: int, k: int) -> tuple[Node, Node]:
        """Of the path that closes a cycle with the arc to (pool, left) or from (leaf, target) this node."""
        if layer == POOL:
            return (POOL, k), HUB
        if layer == LEFT:
            return (LEFT, k), (POOL, int(self.pool[k]))
        if layer == LEAF:
            return (TARGET, int(self.target[k])), (LEAF, k)
        return HUB, (TARGET, k)

    def _within(self) -> bool:
        layers = (self.lefts, self.leaves, self.targets)
        return bool((self.pool_now == self.pool_total).all() and all((b.now >= b.low).all() for b in layers))

    def _fill_pools(self, rng: np.random.Generator) -> None:
        while True:
            short = rng.permutation(np.flatnonzero(self.pool_now < self.pool_total))
            self._raise_all(POOL, short, self.pool_now, self.pool_total)
            if not (self.pool_now < self.pool_total).any():
                return
            # No even network of this size exists. (All room open, every synapse can be taken.)
            widened = [bounds.widen() for bounds in (self.lefts, self.leaves, self.targets)]
            if not any(widened):
                return

    def _push(self, a: Node, b: Node, edge: int) -> None:
        """Change the flow from a to b by one."""
        if edge >= 0:
            self.keep[edge] = a[0] == LEFT
            return
        forward = (b[0] - a[0]) % 5 == 1
        tail, head = (a, b) if forward else (b, a)
        step = 1 if forward else -1
        if tail == HUB:
            self.pool_now[head[1]] += step
        elif tail[0] == POOL:
            self.lefts.now[head[1]] += step
        elif tail[0] == LEAF:
            self.leaves.now[tail[1]] += step
        else:
            self.targets.now[tail[1]] += step

    def _path(self, start: Node, goal: Node) -> tuple[list[tuple[Node, Node, int]] | None, set[Node]]:
        """A path of few arcs with room: (from, to, synapse or -1); if there is none, all that is reached."""
        came: dict[Node, tuple[Node, int]] = {start: (start, -1)}
        seen_left, seen_leaf = np.zeros(self.left_n, dtype=bool), np.zeros(self.leaf_n, dtype=bool)
        if start[0] == LEFT:
            seen_left[start[1]] = True
        queue = deque([start])
        while queue:
            a = queue.popleft()
            found: list[tuple[Node, int]]
            if a[0] == LEFT:
                found = self._from_left(a[1], seen_leaf)
            elif a[0] == LEAF:
                found = self._from_leaf(a[1], seen_left)
            else:
                found = [(b, -1) for b in self._from_other(a)]
            for b, edge in found:
                if b in came:
                    continue
                came[b] = (a, edge)
                if b[0] == LEFT:
                    seen_left[b[1]] = True
                elif b[0] == LEAF:
                    seen_leaf[b[1]] = True
                queue.append(b)
                if b == goal:
                    return _trace(came, start, goal), set()
                # What closes the path at once need not wait for its turn.
                for c in self._onward(b, goal):
                    if c not in came:
                        came[c] = (b, -1)
                        b = c
                    if c == goal:
                        return _trace(came, start, goal), set()
        return None, set(came)

    def _onward(self, b: Node, goal: Node) -> list[Node]:
        if goal == HUB and b[0] == LEAF and self.leaves.now[b[1]] < self.leaves.high[b[1]]:
            t = int(self.target[b[1]])
            if self.targets.now[t] < self.targets.high[t]:
                return [(TARGET, t), HUB]
        return []

    def _from_left(self, u: int, seen: np.ndarray) -> list[tuple[Node, int]]:
        edges = self.out[1][self.out[0][u] : self.out[0][u + 1]]
        leaf = self.leaf[edges]
        new = ~self.keep[edges] & ~seen[leaf]
        edges, leaf = edges[new], leaf[new]
        # Those with room first: a stable order keeps the better scores first among them.
        full = (self.leaves.now[leaf] >= self.leaves.high[leaf]) | (
            self.targets.now[self.target[leaf]] >= self.targets.high[self.target[leaf]]
        )
        by = np.argsort(full, kind="stable")
        found = [((LEAF, r), e) for r, e in zip(leaf[by].tolist(), edges[by].tolist(), strict=True)]
        if self.lefts.now[u] > self.lefts.low[u]:
            found.insert(0, ((POOL, int(self.pool[u])), -1))
        return found

    def _from_leaf(self, r: int, seen: np.ndarray) -> list[tuple[Node, int]]:
        edges = self.into[1][self.into[0][r] : self.into[0][r + 1]]
        left = self.left[edges]
        new = self.keep[edges] & ~seen[left]
        found = [((LEFT, u), e) for u, e in zip(left[new].tolist(), edges[new].tolist(), strict=True)]
        if self.leaves.now[r] < self.leaves.high[r]:
            found.insert(0, ((TARGET, int(self.target[r])), -1))
        return found

    def _from_other(self, a: Node) -> list[Node]:
        layer, k = a
        if a == HUB:
            pools = np.flatnonzero(self.pool_now < self.pool_total)
            targets = np.flatnonzero(self.targets.now > self.targets.low)
            return [(POOL, g) for g in pools.tolist()] + [(TARGET, t) for t in targets.tolist()]
        if layer == POOL:
            lefts = self.lefts_of[1][self.lefts_of[0][k] : self.lefts_of[0][k + 1]]
            return [(LEFT, u) for u in lefts[self.lefts.now[lefts] < self.lefts.high[lefts]].tolist()]
        leaves = self.leaves_of[1][self.leaves_of[0][k] : self.leaves_of[0][k + 1]]
        found: list[Node] = [(LEAF, r) for r in leaves[self.leaves.now[leaves] > self.leaves.low[leaves]].tolist()]
        return [HUB, *found] if self.targets.now[k] < self.targets.high[k] else found


type Node = tuple[int, int]
POOL, LEFT, LEAF, TARGET = 1, 2, 3, 4
HUB: Node = (0, 0)


def _trace(came: dict[Node, tuple[Node, int]], start: Node, goal: Node) -> list[tuple[Node, Node, int]]:
    path = []
    while goal != start:
        a, edge = came[goal]
        path.append((a, goal, edge))
        goal = a
    return path


def _number(key: np.ndarray, below: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the distinct keys 0, 1, ...: the number of each entry, and the key of each number."""
    present = np.bincount(key, minlength=below) > 0
    return (np.cumsum(present) - 1)[key], np.flatnonzero(present)


def _rows(row: np.ndarray, entry: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Entries by row, in the order given: (starts, entries)."""
    # Sixteen bits are sorted by radix, several times faster.
    key = row.astype(np.uint16) if n <= 1 << 16 else row
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))])
    return starts, entry[np.argsort(key, kind="stable")]
