"""Synapses added to a pruned network, and how localised its eigenvectors are (step III).

A synapse from ``pre[e]`` to ``post[e]`` is a directed edge; parallel synapses are one edge, self-connections are none.
The degree of a neuron is the number of its edges, incoming and outgoing: a reciprocal pair counts twice. Neighbours
are joined by an edge in either direction. The matrices of the report are those of the symmetrised graph,
``A + A^T`` (entries 0, 1, 2) and its Laplacian ``diag(d) - A - A^T``, so that the degree is the Laplacian's diagonal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = [
    "DelocalisationReport",
    "Localisation",
    "degree_variance",
    "delocalisation_report",
    "delocalising_edges",
    "random_edges",
]

# No partner is left: below every sum of degrees.
NONE = -(1 << 40)
# Eigenvalues closer than this, relative to the largest magnitude, are one eigenvalue: far above rounding.
DEGENERATE = 1e-9
# Of the Lanczos method: start vectors, largest angle (rad) between eigenvector and approximation, largest basis.
BLOCK = 8
ANGLE = 0.1
BASIS = 1000
# Columns of a matrix that are multiplied at a time: vectors of this length stay in the processor's cache.
STRIPE = 8192
# Smaller matrices are diagonalised completely even if only the ends are wanted: that is as fast.
SMALL = 500


def degree_variance(pre: object, post: object, n_neurons: int) -> float:
    """Variance of the degrees over all neurons, ``sum d^2 / N - (sum d / N)^2``.

    >>> degree_variance([0, 0, 0], [1, 2, 3], 4)  # degrees 3, 1, 1, 1
    0.75
    """
    n = checks.count("n_neurons", n_neurons)
    return float(np.var(_degrees(_edge_keys(*checks.edge_arrays(pre, post, n), n), n)))


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
    if exclude is None:
        return present
    if not isinstance(exclude, (tuple, list)) or len(exclude) != 2:
        raise InvalidInput(f"exclude must be (pre, post), two arrays of indices, got {type(exclude).__name__}")
    return _distinct(np.concatenate([present, _edge_keys(*checks.edge_arrays(*exclude, n), n)]))


def _room(wanted: int, barred: np.ndarray, n: int) -> int:
    room = n * (n - 1) - barred.size
    if wanted > room:
        raise InvalidInput(f"count must be at most the number of absent edges ({room} at {n} neurons), got {wanted}")
    return room


def _degrees(keys: np.ndarray, n: int) -> np.ndarray:
    return np.bincount(keys // n, minlength=n) + np.bincount(keys % n, minlength=n)


def _matrix(keys: np.ndarray, n: int, dtype: type = bool) -> sparse.csr_array:
    starts = np.searchsorted(keys, np.arange(n + 1) * n)
    return sparse.csr_array((np.ones(keys.size, dtype=dtype), keys % n, starts), shape=(n, n))


# -------------------------------------------------------------------------------------------------------- new edges


def delocalising_edges(
    pre: object,
    post: object,
    n_neurons: int,
    *,
    count: int,
    exclude: tuple[object, object] | None = None,
    at_most: int | None = None,
    fewer: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """New edges that raise the variance of the degrees most, one after another.

    Greedy solution of ``max Var(d)`` over sets of `count` new directed edges u -> v which are no self-connections, are
    neither present nor excluded, and whose ends have a common neighbour in the given graph. The edge u -> v raises
    ``sum d^2`` by ``2 (d_u + d_v) + 2``; every edge is the one of largest gain at the degrees it meets.

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
    fewer : bool
        Return what is admissible where that is less than `count`.

    Returns
    -------
    new_pre, new_post : array of int, shape (count,)
        In the order of choice.

    Raises
    ------
    InvalidInput
        If an index is out of range, or fewer than `count` edges are admissible, with their number, unless `fewer`.

    Notes
    -----
    Equation (5) of Chakraborty et al. (2024), arXiv 2403.03409, whose printed form is lost. Since the mean degree
    depends on `count` only, the largest variance is the largest ``sum d^2``.

    *Ties* go to the pair that holds the larger single degree, then to the lower index of its end of larger degree
    (of two equal ones, of the lower index), then to the lower index of the other end. *Direction*: both directions of
    a pair have the same gain, and after the first the second gains most; so a pair gets both where both are
    admissible, first the one from the neuron of lower index.

    The objective is supermodular: each edge makes those that share an end with it worth more. The edges therefore
    pile up at one neuron until it is joined to all of its second neighbours, then at the next; and no constant
    factor of the optimum is guaranteed. On 10,700 random graphs of 4 to 9 neurons with 1 to 6 new edges the gain was
    that of the best set in 88 % and 0.8 of it at worst; the test suite has graphs where it is below 5 / t for any t.

    A common neighbour is in the same piece of the network: pieces that have come apart stay apart.

    *Effect on eigenvectors.* Random directed graphs of 500 neurons and 2500 (10,000) synapses, 2 % new ones, means
    of 20. Localised eigenvectors of the Laplacian, as `delocalisation_report` counts them: 81 (64) before, 92
    (74) after, standard error of the difference 1. Largest inverse participation ratio of the adjacency matrix: 12 (26)
    times that before, up to nearly 1/4, half of an eigenvector on one neuron. With ``at_most=10``: 87 (82), and 4 (3)
    times. The same number of edges between random pairs: 81 (63), and 1 (1). The larger variance of the degrees thus
    localises on these graphs; compare the report before and after on yours.

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
    if not fewer:
        if wanted and n < 3:
            raise InvalidInput(f"new edges join neurons with a common neighbour: that takes 3 neurons, got {n}")
        _room(wanted, barred, n)

    pairs = _Pairs(present, barred, n)
    added = np.zeros(n, dtype=np.int64)
    chosen: list[tuple[int, int]] = []
    while len(chosen) < wanted:
        best = pairs.best()
        if best is None and fewer:
            break
        if best is None:
            why = "" if at_most is None else f" with at_most={limit} at a neuron"
            raise InvalidInput(
                f"count={wanted} new edges are more than the {len(chosen)} that could be placed{why}: the ends of a "
                "new edge need a common neighbour, and it must be neither present nor excluded; lower count"
            )
        u, v = min(best), max(best)
        free = [edge for edge in ((u, v), (v, u)) if not _holds(barred, edge[0] * n + edge[1])]
        free = free[: min(wanted - len(chosen), limit - max(added[u], added[v]))]
        chosen += free
        added[[u, v]] += len(free)
        pairs.take(u, v, len(free))
        for w in (u, v):
            if added[w] == limit:
                pairs.retire(w)
    edges = np.array(chosen, dtype=np.int64).reshape(-1, 2)
    return edges[:, 0].copy(), edges[:, 1].copy()


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
    fewer: bool = False,
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
    fewer : bool
        Return all such edges where there are fewer than `count`.

    Returns
    -------
    new_pre, new_post : array of int, shape (count,)
        Every set of `count` edges which are no self-connections and neither present nor excluded is as likely as any
        other; in ascending order.

    Raises
    ------
    InvalidInput
        If an index is out of range, or `count` is larger than the number of such edges, unless `fewer`.

    Notes
    -----
    Positions among the absent edges are drawn, and found by bisection: time grows with S and `count`, however dense
    the network is.

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
    if fewer:
        wanted = min(wanted, n * (n - 1) - barred.size)
    drawn = _draw_distinct(_room(wanted, barred, n), wanted, rng)
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


# ----------------------------------------------------------------------------------------------------------- weights


# ------------------------------------------------------------------------------------------------------ localisation


@dataclass(frozen=True, eq=False)
class Localisation:
    """How localised the eigenvectors of one symmetric matrix are.

    Attributes
    ----------
    eigenvalues : array of float, shape (K,)
        Ascending; all, or those at both ends of the spectrum.
    ipr : array of float, shape (K,)
        Inverse participation ratio of each eigenvector, from 1/N (spread evenly) to 1 (a single neuron).
    mean, median, quantile_90, maximum : float
        Of `ipr`.
    localised : int
        Number of eigenvectors above the threshold of the report.
    """

    eigenvalues: np.ndarray = field(repr=False)
    ipr: np.ndarray = field(repr=False)
    mean: float
    median: float
    quantile_90: float
    maximum: float
    localised: int


@dataclass(frozen=True, eq=False)
class DelocalisationReport:
    """Eigenvectors, components and degrees of a network.

    Attributes
    ----------
    laplacian, adjacency : Localisation
        Of ``diag(d) - A - A^T`` and ``A + A^T``.
    threshold : float
        An eigenvector with a larger inverse participation ratio counts as localised.
    strong_components : int
        Number of strongly connected components.
    largest_strong_component : int
        Neurons in the largest.
    degree_variance : float
    status : str
        Which eigenvectors were computed.
    """

    laplacian: Localisation
    adjacency: Localisation
    threshold: float
    strong_components: int
    largest_strong_component: int
    degree_variance: float
    status: str


def delocalisation_report(
    pre: object,
    post: object,
    n_neurons: int,
    *,
    spread: float = 0.1,
    all_up_to: int = 2000,
    per_end: int = 10,
) -> DelocalisationReport:
    """Inverse participation ratios of Laplacian and adjacency eigenvectors, components and degree variance.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse, in 0..N-1.
    n_neurons : int
        N, the surviving neurons: every neuron without synapses is a localised eigenvector of its own.
    spread : float, in (0, 1]
        An eigenvector is localised if its participation ratio, 1/IPR, is below this fraction of N, that is, if
        ``IPR > 1 / (spread N)``. For the eigenvectors of a dense random matrix 1/IPR is N/3.
    all_up_to : int, at least 0
        Of connected components up to this size, all eigenvectors (time grows with the cube). With 0 a shrinking
        network is always judged by the same: the ends of its spectra.
    per_end : int, at least 1
        Of larger ones, this many eigenvectors at either end of the spectrum; the bulk of the spectrum is left out, and
        with it what it adds to `mean`, `median`, `quantile_90` and `localised`.

    Returns
    -------
    DelocalisationReport

    Notes
    -----
    ``IPR(v) = sum_i v_i^4`` for an eigenvector of norm 1. The connected components of the symmetrised graph are
    treated one by one, so that an eigenvector lives on one of them. Inside a component, the eigenvectors of an
    eigenvalue of multiplicity g are any orthonormal basis of its space; what is stated for each is the mean over all
    rotations of the basis, with P the projector on the space,

        IPR = 3 / (g (g + 2)) sum_i P_ii^2,

    which is ``sum_i v_i^4`` for g = 1. Multiplicities cut off at the end of an incomplete spectrum are not seen.

    *Ends* of components of over 500 neurons come from a block Lanczos method with full orthogonalisation (Golub and
    Underwood 1977), always started from the same vectors. It stops once each eigenvector is known to an angle of 0.1,
    by its residual and the distance of its eigenvalue from the next; IPRs are then right to 1 % on random graphs, most
    of them to 1e-4. The basis is limited to 1000 + 20 `per_end` vectors; where that is not enough, as at the lower
    end of the Laplacian of a long chain, `status` gives the number of eigenvectors that are not resolved.

    Examples
    --------
    A ring: pairs of sine and cosine, 3 / (2 N), around one even vector, 1 / N.

    >>> i = np.arange(5)
    >>> report = delocalisation_report(i, (i + 1) % 5, 5)
    >>> report.laplacian.ipr, report.strong_components, report.degree_variance
    (array([0.2, 0.3, 0.3, 0.3, 0.3]), 1, 0.0)
    """
    n = checks.count("n_neurons", n_neurons)
    keys = _edge_keys(*checks.edge_arrays(pre, post, n), n)
    threshold = 1 / (checks.real("spread", spread, above=0, at_most=1) * n)
    whole = checks.count("all_up_to", all_up_to, minimum=0)
    ends = checks.count("per_end", per_end)
    directed = _matrix(keys, n, float)
    degree = _degrees(keys, n)
    S = sparse.csr_array(directed + directed.T)
    labels = connected_components(S, directed=False)[1]
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])
    partial = sum(_incomplete(m.size, whole, ends) for m in members)
    pieces = [_stripes(S[m][:, m] if m.size < n else S) for m in members]
    found = []
    unresolved = 0
    # The Laplacian diag(d) - S, and S itself.
    for diagonal, sign in ((degree.astype(float), -1), (np.zeros(n), 1)):
        parts = [
            _component_ipr(piece, diagonal[m], sign, ends if _incomplete(m.size, whole, ends) else None)
            for m, piece in zip(members, pieces, strict=True)
        ]
        values, ipr = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        unresolved += sum(part[2] for part in parts)
        order = np.argsort(values, kind="stable")
        found.append(
            Localisation(
                eigenvalues=values[order],
                ipr=ipr[order],
                mean=float(ipr.mean()),
                median=float(np.median(ipr)),
                quantile_90=float(np.quantile(ipr, 0.9)),
                maximum=float(ipr.max()),
                localised=int((ipr > threshold).sum()),
            )
        )
    strong = np.bincount(connected_components(directed, directed=True, connection="strong")[1])
    status = f"all {n} eigenvectors of {len(members)} connected components"
    if partial:
        status = (
            f"{found[0].ipr.size} of {n} eigenvectors: {ends} at either end of the spectrum of {partial} of "
            f"{len(members)} connected components, those of over {max(whole, 2 * ends)} neurons"
        )
    if unresolved:
        status += f"; {unresolved} of both matrices are not resolved from their neighbours"
    return DelocalisationReport(
        laplacian=found[0],
        adjacency=found[1],
        threshold=threshold,
        strong_components=strong.size,
        largest_strong_component=int(strong.max()),
        degree_variance=float(np.var(degree)),
        status=status,
    )


def _incomplete(size: int, whole: int, ends: int) -> bool:
    return size > whole and size > 2 * ends


def _stripes(S: sparse.csr_array) -> list[sparse.csr_array]:
    n = S.shape[0]
    return [sparse.csr_array(S[:, k : k + STRIPE]) for k in range(0, n, STRIPE)] if n > STRIPE else [S]


def _component_ipr(
    stripes: list[sparse.csr_array], diagonal: np.ndarray, sign: int, ends: int | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Eigenvalues of ``diag(diagonal) + sign S``, ascending, the IPR of each eigenvector, how many are unresolved.

    All of them, or so many at either end.
    """
    n, unresolved = diagonal.size, 0

    def apply(X: np.ndarray) -> np.ndarray:
        Y = diagonal[:, np.newaxis] * X
        for k, part in enumerate(stripes):
            Y += sign * (part @ X[k * STRIPE : (k + 1) * STRIPE])
        return Y

    if ends is not None and n > SMALL:
        values, vectors, unresolved = _lanczos(apply, n, ends)
    else:
        S = np.hstack([part.toarray() for part in stripes])
        values, vectors = linalg.eigh(np.diag(diagonal) + sign * S, driver="evd")
    group = np.concatenate(([0], np.cumsum(_apart(values))))
    first = np.flatnonzero(np.diff(group, prepend=-1))
    P = np.add.reduceat(vectors**2, first, axis=1)
    g = np.bincount(group)
    ipr = (3 / (g * (g + 2)) * (P**2).sum(axis=0))[group]
    kept = np.arange(values.size) if ends is None else _both_ends(values.size, ends)
    return values[kept], ipr[kept], unresolved


def _apart(values: np.ndarray) -> np.ndarray:
    """Whether an eigenvalue, but the last, is another one than the next."""
    return np.diff(values) > DEGENERATE * np.abs(values).max()


def _both_ends(size: int, ends: int) -> np.ndarray:
    return np.r_[:ends, size - ends : size]


def _lanczos(apply: Callable[[np.ndarray], np.ndarray], n: int, ends: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Eigenvalues, ascending, and eigenvectors at both ends of a symmetric matrix, and how many are unresolved."""
    rng = np.random.default_rng(0)
    limit = min(BASIS + 20 * ends, n - BLOCK)
    basis = np.empty((n, limit + BLOCK), order="F")
    T = np.empty((limit + BLOCK,) * 2)
    X = np.linalg.qr(rng.standard_normal((n, BLOCK)))[0]
    size, look = 0, max(20 * BLOCK, 6 * ends)
    while True:
        last = slice(size, size + BLOCK)
        basis[:, last] = X
        size += BLOCK
        Q = basis[:, :size]
        Y = apply(X)
        scale = np.linalg.norm(Y, axis=0).max()
        H = _orthogonalise(Y, Q)
        T[:size, last], T[last, :size] = H, H.T
        # The basis holds the images of all its vectors but those in X: of those, Y is missing.
        if size >= look or size >= limit:
            values, V = linalg.eigh(T[:size, :size], driver="evd")
            kept = _both_ends(size, ends)
            residual = np.linalg.norm(Y @ V[np.ix_(np.arange(size)[last], kept)], axis=0)
            unresolved = int((residual > ANGLE * _gaps(values)[kept]).sum())
            if unresolved == 0 or size >= limit:
                return values[kept], Q @ V[:, kept], unresolved
            look = int(1.12 * size)
        X, R = np.linalg.qr(Y)
        empty = np.abs(np.diag(R)) <= 1e-10 * scale
        if empty.any():
            # The basis holds all images of some vectors: go on from new ones.
            X[:, empty] = rng.standard_normal((n, int(empty.sum())))
            _orthogonalise(X, Q)
            X = np.linalg.qr(X)[0]


def _orthogonalise(Y: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Take from Y its projection on the columns of Q, and return the coordinates of that."""
    # But for rounding, what is to be taken lies in the last two blocks: one pass over all is enough after those.
    H = np.zeros((Q.shape[1], Y.shape[1]))
    recent = slice(max(0, Q.shape[1] - 2 * BLOCK), None)
    H[recent] = Q[:, recent].T @ Y
    Y -= Q[:, recent] @ H[recent]
    for _ in range(3):
        before = np.linalg.norm(Y, axis=0)
        C = Q.T @ Y
        Y -= Q @ C
        H += C
        if (np.linalg.norm(Y, axis=0) > 0.7 * before).all():
            break
    return H


def _gaps(values: np.ndarray) -> np.ndarray:
    """Distance of each eigenvalue, ascending, from the next one that is another."""
    apart = np.concatenate(([0], np.cumsum(_apart(values))))
    first = np.flatnonzero(np.diff(apart, prepend=-1))
    distance = np.concatenate(([np.inf], values[first[1:]] - values[first[1:] - 1], [np.inf]))
    return np.minimum(distance[:-1], distance[1:])[apart]
