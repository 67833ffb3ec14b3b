"""Edges to be added to a pruned network (step III).

A synapse from ``pre[e]`` to ``post[e]`` is a directed edge; parallel synapses are one edge, self-connections are none.
The degree of a neuron is the number of its edges, incoming and outgoing: a reciprocal pair counts twice. Neighbours
are joined by an edge in either direction.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = ["delocalising_edges", "random_edges"]

# No partner is left: below every sum of degrees.
NONE = -(1 << 40)
# Work that is spent on beginning at other neurons, in (edges + neurons x new edges).
STARTS = 2_000_000


def keys_of(name: str, edges: tuple[object, object], n: int) -> np.ndarray:
    """Edges (pre, post) as ascending ``pre * n + post``; the name is what an error calls them.

    Examples
    --------
    >>> keys_of("exclude", ([0, 1, 1, 2], [1, 0, 0, 2]), 3)
    array([1, 3])
    """
    if not isinstance(edges, (tuple, list)) or len(edges) != 2:
        raise InvalidInput(f"{name} must be (pre, post), two arrays of indices, got {type(edges).__name__}")
    return _edge_keys(*checks.edge_arrays(*edges, n), n)


def _edge_keys(pre: np.ndarray, post: np.ndarray, n: int) -> np.ndarray:
    """Edges of the simple graph as ascending ``pre * n + post``."""
    proper = pre != post
    return _distinct(pre[proper] * n + post[proper])


def _distinct(keys: np.ndarray) -> np.ndarray:
    # np.unique hashes before it sorts: several times slower on millions of keys.
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=-1) > 0]


def _barred(present: np.ndarray, exclude: tuple[object, object] | None, n: int) -> np.ndarray:
    """Edges that are present or excluded."""
    return present if exclude is None else _distinct(np.concatenate([present, keys_of("exclude", exclude, n)]))


def _degrees(keys: np.ndarray, n: int) -> np.ndarray:
    return np.bincount(keys // n, minlength=n) + np.bincount(keys % n, minlength=n)


def _matrix(keys: np.ndarray, n: int) -> sparse.csr_array:
    starts = np.searchsorted(keys, np.arange(n + 1) * n)
    return sparse.csr_array((np.ones(keys.size, dtype=bool), keys % n, starts), shape=(n, n))


# -------------------------------------------------------------------------------------------------------- new edges


def delocalising_edges(
    pre: object,
    post: object,
    n_neurons: int,
    *,
    count: int,
    exclude: tuple[object, object] | None = None,
    at_most: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """New edges that raise the variance of the degrees as far as greedy choices do.

    The best of several greedy solutions of ``max Var(d)`` over sets of `count` new directed edges u -> v which are no
    self-connections, are neither present nor excluded, and whose ends have a common neighbour in the given graph. The
    edge u -> v raises ``sum d^2`` by ``2 (d_u + d_v) + 2``; every edge is the one of largest gain at the degrees it
    meets. The first solution is free; each of the others begins with all edges of one neuron, those of largest
    degree before others, as many as take little time: all on graphs of 70 neurons, none on 5000 with 125,000 synapses.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse of the pruned network, in 0..N-1.
    n_neurons : int
        N.
    count : int, at least 0
        Number of new edges.
    exclude : (array of int, array of int), optional
        Source and target of edges that must not come back, such as those of the network before pruning.
    at_most : int, at least 1, optional
        Largest number of new edges at one neuron, incoming and outgoing together. Without it the edges gather at as
        few neurons as can take them: at one, for 2500 edges on a random network of 5000 neurons and 125,000 synapses.

    Returns
    -------
    new_pre, new_post : array of int, shape (M,)
        In the order of choice; M is `count`, or how many are admissible where these are fewer.

    Raises
    ------
    InvalidInput
        If an index is out of range.

    Notes
    -----
    Equation (5) of Chakraborty et al. (2024), arXiv 2403.03409, whose printed form is lost. Since the mean degree
    depends on `count` only, the largest variance is the largest ``sum d^2``.

    *Ties* go to the pair that holds the larger single degree, then to the lower index of its end of larger degree
    (of two equal ones, of the lower index), then to the lower index of the other end. *Direction*: both directions of
    a pair have the same gain, and after the first the second gains most; so a pair gets both where both are
    admissible, first the one from the neuron of lower index.

    The objective is supermodular: each edge makes those that share an end with it worth more. The edges therefore
    pile up at one neuron until it is joined to all of its second neighbours, then at the next. What is guaranteed: one
    new edge, and all that are admissible, are the best set; no result is below the free greedy one. No constant factor
    of the optimum is: where only that is tried, the test suite has graphs with a gain of 5 / (t + 3) of the best, for
    any t. On 6674 random graphs of 4 to 9 neurons with 1 to 6 new edges the gain in ``sum d^2`` was that of the best
    set in 97 % and 0.94 of it at worst (the free solution alone: 88 % and 0.78). The *variance* falls where so many
    edges among neurons of few edges cannot but lower it; in 4 of these graphs it fell where another set would have kept
    it.

    A common neighbour is in the same piece of the network: pieces that have come apart stay apart.

    *Effect on eigenvectors.* Random directed graphs of 500 neurons and 2500 (10,000) synapses, 2 % new ones, means
    of 20. Localised eigenvectors of the Laplacian, counted as by `lnpbrian.pruning.steps.localisation`: 81 (64)
    before, 92 (74) after, standard error of the difference 1. Largest inverse participation ratio of the adjacency
    matrix: 12 (26) times that before, up to nearly 1/4, half of an eigenvector on one neuron. With ``at_most=10``: 87
    (82), and 4 (3) times. The same number of edges between random pairs: 81 (63), and 1 (1). The larger variance of
    the degrees thus localises on these graphs; compare the report before and after on yours.

    Two neurons that have no row of candidates yet cannot gain more than their degrees allow, so rows are built in the
    order of degree as far as needed; a handful of them on a dense random graph.

    Examples
    --------
    A path 0 -> 1 -> 2 with two more edges from 2. Degrees are 1, 2, 3, 1, 1; the ends of 1 - 3 have neighbour 2 in
    common and degrees 2 + 1, as have those of 1 - 4; 0 - 2 have 1 + 3, the most.

    >>> delocalising_edges([0, 1, 2, 2], [1, 2, 3, 4], 5, count=3)
    (array([0, 2, 1]), array([2, 0, 3]))
    """
    n = checks.count("n_neurons", n_neurons)
    pre, post = checks.edge_arrays(pre, post, n)
    wanted = checks.count("count", count, minimum=0)
    limit = 2 * n if at_most is None else checks.count("at_most", at_most)
    present = _edge_keys(pre, post, n)
    barred = _barred(present, exclude, n)
    chosen, most = _greedy(_Pairs(present, barred, n), barred, wanted, limit)
    if len(chosen) == wanted > 1:
        for hub in _hubs(present, n, wanted):
            edges, squares = _greedy(_Pairs(present, barred, n), barred, wanted, limit, hub)
            if len(edges) == wanted and squares > most:
                chosen, most = edges, squares
    new = np.array(chosen, dtype=np.int64).reshape(-1, 2)
    return new[:, 0].copy(), new[:, 1].copy()


def _hubs(present: np.ndarray, n: int, wanted: int) -> list[int]:
    """Neurons at which the edges may begin, as many as take little time, of largest degree first."""
    order = np.argsort(-_degrees(present, n), kind="stable")
    return order[: STARTS // (present.size + n * wanted)].tolist()


def _greedy(
    pairs: _Pairs, barred: np.ndarray, wanted: int, limit: int, hub: int | None = None
) -> tuple[list[tuple[int, int]], int]:
    """Return up to `wanted` edges, those at `hub` before all others, and the sum of squared degrees that they make."""
    n = pairs.n
    added = np.zeros(n, dtype=np.int64)
    chosen: list[tuple[int, int]] = []
    while len(chosen) < wanted:
        best = pairs.best_of(hub) if hub is not None else None
        if best is None:
            hub, best = None, pairs.best()
        if best is None:
            break
        u, v = min(best), max(best)
        free = [edge for edge in ((u, v), (v, u)) if not _holds(barred, edge[0] * n + edge[1])]
        free = free[: min(wanted - len(chosen), limit - max(added[u], added[v]))]
        chosen += free
        added[[u, v]] += len(free)
        pairs.take(u, v, len(free))
        for w in (u, v):
            if added[w] == limit:
                pairs.retire(w)
    return chosen, int((pairs.degree**2).sum())


def _holds(keys: np.ndarray, key: int) -> bool:
    at = int(np.searchsorted(keys, key))
    return at < keys.size and bool(keys[at] == key)


def random_edges(
    pre: object,
    post: object,
    n_neurons: int,
    *,
    count: int,
    rng: np.random.Generator,
    exclude: tuple[object, object] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """New edges between random neurons: what the edges of `delocalising_edges` are to be compared with.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse, in 0..N-1.
    n_neurons : int
        N.
    count : int, at least 0
        Number of new edges.
    rng : numpy.random.Generator
    exclude : (array of int, array of int), optional
        Source and target of edges that must not come back.

    Returns
    -------
    new_pre, new_post : array of int, shape (M,)
        Every set of `count` edges which are no self-connections and neither present nor excluded is as likely as any
        other; all of them where there are fewer. In ascending order.

    Raises
    ------
    InvalidInput
        If an index is out of range.

    Notes
    -----
    The control of step III of Chakraborty et al. (2024), arXiv 2403.03409. Positions among the absent edges are drawn,
    and found by bisection: time grows with S and `count`, however dense the network is.

    Examples
    --------
    Of the six edges of three neurons, one is left:

    >>> random_edges([0, 1, 2, 0, 2], [1, 2, 0, 2, 1], 3, count=1, rng=np.random.default_rng(0))
    (array([1]), array([0]))
    """
    n = checks.count("n_neurons", n_neurons)
    pre, post = checks.edge_arrays(pre, post, n)
    wanted = checks.count("count", count, minimum=0)
    checks.generator("rng", rng)
    barred = _barred(_edge_keys(pre, post, n), exclude, n)
    room = n * (n - 1) - barred.size
    drawn = _draw_distinct(room, min(wanted, room), rng)
    # Number every pair but self-connections, in order; barred[j] then has barred[j] - j absent pairs before it.
    source, target = barred // n, barred % n
    before = source * (n - 1) + target - (target > source) - np.arange(barred.size)
    pair = drawn + np.searchsorted(before, drawn, side="right")
    new_pre = pair // max(1, n - 1)
    new_post = pair - new_pre * (n - 1)
    return new_pre, new_post + (new_post >= new_pre)


def _draw_distinct(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` distinct integers below n, ascending, every set equally likely."""
    # Generator.choice without replacement lists all n unless count is below n/50.
    if 2 * count > n:
        left_out = np.zeros(n, dtype=bool)
        left_out[_draw_distinct(n, n - count, rng)] = True
        return np.flatnonzero(~left_out)
    drawn = np.empty(0, dtype=np.int64)
    while drawn.size < count:
        drawn = _distinct(np.concatenate([drawn, rng.integers(n, size=count - drawn.size)]))
    return drawn


class _Pairs:
    """Admissible pairs by the sum of their degrees.

    A neuron is *ranked* once its row of admissible partners is known; then `best_degree` is an upper bound of the
    degrees among them, exact if `partner` is still admissible. A pair of two unranked neurons cannot exceed twice the
    largest unranked degree. A neuron that takes no more edges leaves its place to the last of the ranked.
    """

    def __init__(self, present: np.ndarray, barred: np.ndarray, n: int) -> None:
        self.n = n
        self.degree = _degrees(present, n)
        graph = _matrix(present, n)
        self.neighbours = sparse.csr_array(graph + graph.T)
        self.barred_out = graph if barred is present else _matrix(barred, n)
        self.barred_in = sparse.csr_array(self.barred_out.T)
        self.open = np.ones(n, dtype=bool)
        self.unranked = np.where(self.degree > 0, self.degree, NONE)
        self.top = int(self.unranked.argmax())
        self.n_ranked = 0
        self.place = np.full(n, -1)
        self.rows = np.empty((16, -(-n // 8)), dtype=np.uint8)  # packed: one bit per partner
        self.ranked, self.best_degree, self.partner = (np.empty(16, dtype=np.int64) for _ in range(3))

    def best(self) -> tuple[int, int] | None:
        """The pair of largest gain, or None if none is left."""
        while True:
            found, order = self._best_ranked()
            top = int(self.unranked[self.top])
            if top > NONE and (2 * top, top, -self.top) >= order:
                self._rank(self.top)
            elif found is None:
                return None
            elif self._admissible(found, int(self.partner[found])):
                return int(self.ranked[found]), int(self.partner[found])
            else:
                self._search(found)

    def best_of(self, u: int) -> tuple[int, int] | None:
        """The pair of largest gain among those of neuron u, or None."""
        if not self.open[u] or self.degree[u] == 0:
            return None
        if self.place[u] < 0:
            self._rank(u)
        place = int(self.place[u])
        self._search(place)
        return (u, int(self.partner[place])) if self.best_degree[place] >= 0 else None

    def _best_ranked(self) -> tuple[int | None, tuple[int, int, int]]:
        """Place of the ranked neuron with the best pair, and (sum, larger degree, minus its index) of that."""
        nothing = None, (NONE, NONE, NONE)
        if self.n_ranked == 0:
            return nothing
        ranked, best_degree = self.ranked[: self.n_ranked], self.best_degree[: self.n_ranked]
        total = self.degree[ranked] + best_degree
        most = total.max()
        if most < 0:
            return nothing
        at = (total == most).nonzero()[0]
        u, v = ranked[at], self.partner[at]
        d, e = self.degree[u], best_degree[at]
        u_first = (d > e) | ((d == e) & (u < v))
        larger, first = np.maximum(d, e), np.where(u_first, u, v)
        k = int(np.lexsort((np.where(u_first, v, u), first, -larger))[0]) if at.size > 1 else 0
        return int(at[k]), (int(most), int(larger[k]), -int(first[k]))

    def _admissible(self, place: int, v: int) -> bool:
        return bool(self.open[v] and self.rows[place, v >> 3] & (128 >> (v & 7)))

    def _rank(self, u: int) -> None:
        """Give neuron u its row: second neighbours, but for itself and pairs barred both ways."""
        row = self._second_neighbours(u)
        row[np.intersect1d(_row(self.barred_out, u), _row(self.barred_in, u), assume_unique=True)] = False
        row[u] = False
        place = self.n_ranked
        row[self.ranked[:place]] = self._column(u)  # some of these pairs are taken by now
        if place == len(self.rows):
            for name in ("rows", "ranked", "best_degree", "partner"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.empty_like(old)]))
        self.rows[place] = np.packbits(row)
        self.place[u] = place
        self.ranked[place] = u
        self.n_ranked += 1
        self._search(place)
        self._leave_unranked(u)

    def _second_neighbours(self, u: int) -> np.ndarray:
        """Mask of the neurons that share a neighbour with u; of those that take no more edges, perhaps not all."""
        found = np.zeros(self.n, dtype=bool)
        near = _row(self.neighbours, u)
        for done, v in enumerate(near.tolist()):
            # On dense graphs a few neighbours reach almost all: the rest is looked for from the other side.
            if done % 32 == 31:
                missing = (self.open & ~found).nonzero()[0]
                if 8 * missing.size < near.size - done:
                    adjacent = np.zeros(self.n, dtype=bool)
                    adjacent[near] = True
                    found[[w for w in missing.tolist() if adjacent[_row(self.neighbours, w)].any()]] = True
                    break
            found[_row(self.neighbours, v)] = True
        return found

    def _leave_unranked(self, u: int) -> None:
        self.unranked[u] = NONE
        if u == self.top:
            self.top = int(self.unranked.argmax())

    def _column(self, v: int) -> np.ndarray:
        """Which of the ranked neurons have v among their admissible partners."""
        return (self.rows[: self.n_ranked, v >> 3] & (128 >> (v & 7))) > 0

    def _search(self, place: int) -> None:
        """Find the partner of largest degree, the first of equal ones."""
        row = np.unpackbits(self.rows[place], count=self.n).view(bool)
        row &= self.open
        degrees = np.where(row, self.degree, NONE)
        v = int(degrees.argmax())
        self.partner[place], self.best_degree[place] = v, degrees[v]

    def take(self, u: int, v: int, edges: int) -> None:
        """Both neurons have got this many edges; their pair is admissible no more."""
        for a, b in ((u, v), (v, u)):
            if self.place[a] >= 0:
                self.rows[self.place[a], b >> 3] &= 255 - (128 >> (b & 7))
        self.degree[[u, v]] += edges
        for w in (u, v):
            d = int(self.degree[w])
            if self.place[w] < 0:
                self.unranked[w] = d
                if (d, -w) > (self.unranked[self.top], -self.top):
                    self.top = w
            at = self._column(w).nonzero()[0]
            best = self.best_degree[at]
            at = at[(d > best) | ((d == best) & (w < self.partner[at]))]
            self.best_degree[at], self.partner[at] = d, w

    def retire(self, u: int) -> None:
        """Neuron u takes no more edges."""
        self.open[u] = False
        place, last = int(self.place[u]), self.n_ranked - 1
        if place < 0:
            self._leave_unranked(u)
            return
        for array in (self.rows, self.ranked, self.best_degree, self.partner):
            array[place] = array[last]
        self.place[self.ranked[place]] = place
        self.place[u] = -1
        self.n_ranked = last


def _row(matrix: sparse.csr_array, u: int) -> np.ndarray:
    return matrix.indices[matrix.indptr[u] : matrix.indptr[u + 1]]
