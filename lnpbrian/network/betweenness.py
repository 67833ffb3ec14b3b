"""Betweenness centrality of neurons, exact and fast on dense directed graphs, and whom to remove (step II).

A synapse from ``pre[e]`` to ``post[e]`` is a directed edge; parallel synapses are one edge, self-connections are none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import networkx as nx
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = [
    "CENTRALITIES",
    "RemovalCentrality",
    "betweenness_centrality",
    "degree_product",
    "lowest_neurons",
    "removal_centrality",
    "total_degree",
]

CENTRALITIES = ("auto", "exact", "degree")

# Sources in one batch, and entries of its arrays of N x sources (about 60 bytes each: 1 GB).
SOURCES = 1024
BATCH = 1 << 24
# Exact betweenness counts as affordable up to this size, or this many synapses times sources: one to two minutes.
DENSE_NEURONS = 10_000
AFFORDABLE_STEPS = 5e9
# Costs of the two sparse kernels per elementary step, in multiply-adds of the dense one; they decide only the speed.
# Seconds of CPU on one core (OpenBLAS), N = 1000, with one kernel for all levels, and with the cheapest for each level:
#     p                        0.1    0.05   0.02   0.01   0.005  0.002
#     dense                    0.16   0.22   0.21   0.32   0.53   1.46
#     sparse matrix, dense X   0.26   0.17   0.13   0.14   0.16   0.20
#     both sparse              0.36   0.33   0.23   0.24   0.20   0.10
#     cheapest (400, 25)       0.12   0.16   0.10   0.11   0.11   0.12
SPARSE_COST = 400
EDGE_COST = 25
# Whole numbers up to here are exact in float32.
EXACT_SINGLE = 2.0**24
# Centralities closer than this, relative to the larger, are ties: far above rounding (1e-13), far below the
# smallest difference between distinct values of practical graphs.
TIE = 1e-9


def betweenness_centrality(
    pre: object, post: object, n: int, *, weights: object = None, normalized: bool = False
) -> np.ndarray:
    """Betweenness centrality of every neuron.

    ``C_B(v) = sum over s != v != t of sigma_st(v) / sigma_st``: over all ordered pairs of other neurons with a path
    from s to t, the fraction of shortest paths from s to t that pass through v.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse, in 0..n-1.
    n : int
        Number of neurons.
    weights : array of float, shape (S,), optional
        Synaptic weights: paths are then measured with the length ``1 / |w|`` of each edge (of the strongest, among
        parallel synapses). Computed by networkx: minutes from 1000 neurons on. Default: every edge has length 1.
    normalized : bool
        Divide by the number of ordered pairs, ``(n - 1) (n - 2)``.

    Returns
    -------
    array of float, shape (n,)
        Exact but for rounding: relative error below 1e-12, and 0 exactly where no shortest path passes through.

    Raises
    ------
    InvalidInput
        If an index is out of range, a weight is zero or not finite, or a pair has over 1e308 shortest paths.

    Notes
    -----
    Brandes' accumulation (J. Math. Sociol. 25:163, 2001, doi:10.1080/0022250X.2001.9990249) for a batch of sources
    at a time, one level of the breadth-first search after another. With W[v, u] = 1 for an edge u -> v, sigma_d the
    path counts (neurons x sources) at level d and delta the dependencies,

        sigma_(d+1) = W sigma_d   where not yet reached,
        delta_(d-1) = sigma_(d-1) * (W^T ((1 + delta_d) / sigma_d))   at level d - 1,

    and C_B is the sum of delta over the sources. Each product is done by BLAS or one of two sparse kernels, whichever
    is cheapest for that level. On a graph in which every neuron reaches every other within two steps (a dense random
    graph) this amounts to the closed form with two dense products. Path counts are in float32 while they are whole
    numbers that it holds exactly, everything else in float64. Used in step II of Chakraborty et al. (2024), arXiv
    2403.03409.

    Examples
    --------
    The path 0 -> 1 -> 2 -> 3: neuron 1 lies between (0, 2) and (0, 3).

    >>> betweenness_centrality([0, 1, 2], [1, 2, 3], 4)
    array([0., 2., 2., 0.])
    """
    size = checks.count("n", n)
    pre, post = checks.edge_arrays(pre, post, size)
    if weights is not None:
        return _weighted(pre, post, size, weights, normalized)
    proper = pre != post
    graph = _Graph(sparse.csr_array((np.ones(int(proper.sum())), (post[proper], pre[proper])), shape=(size, size)))
    centrality = np.zeros(size)
    batch = max(1, min(SOURCES, BATCH // size))
    for low in range(0, size, batch):
        centrality += graph.dependencies(np.arange(low, min(low + batch, size)))
    return centrality / max((size - 1) * (size - 2), 1) if normalized else centrality


class _Graph:
    """The graph as two matrices, W[v, u] = 1 for an edge u -> v and its transpose, and three ways to multiply by them.

    Arrays over (neuron, source) are flat; entry (v, s) is at ``v * b + s`` for b sources.
    """

    def __init__(self, W: sparse.csr_array) -> None:
        W.sum_duplicates()
        W.data[:] = 1
        self.n = W.shape[0]
        self.matrix = {"forward": W, "backward": sparse.csr_array(W.T)}
        self.fan_out = {"forward": np.diff(self.matrix["backward"].indptr), "backward": np.diff(W.indptr)}
        self._dense: np.ndarray | None = None
        # In a strongly connected graph the search is over when all are reached; else one level later.
        self.connected = connected_components(W, directed=True, connection="strong")[0] == 1

    def dependencies(self, sources: np.ndarray) -> np.ndarray:
        """Sum over s in `sources` of delta_s(v), for every v."""
        n, b = self.n, sources.size
        unreached, wanted = np.ones(n * b, dtype=bool), np.zeros(n * b, dtype=bool)
        sigma, delta = np.zeros(n * b), np.zeros(n * b)
        levels = [sources * b + np.arange(b)]
        sigma[levels[0]] = 1
        unreached[levels[0]] = False
        left = n * b - b
        while levels[-1].size and (left or not self.connected):
            at, paths = self.product("forward", levels[-1], sigma[levels[-1]], unreached)
            sigma[at] = paths
            unreached[at] = False
            left -= at.size
            levels.append(at)
        if not np.isfinite(sigma).all():
            raise InvalidInput("a pair of neurons has over 1e308 shortest paths; their counts cannot be represented")
        for here, above in zip(levels[:1:-1], levels[-2:0:-1], strict=True):
            wanted[above] = True
            at, received = self.product("backward", here, (1 + delta[here]) / sigma[here], wanted)
            delta[at] = sigma[at] * received
            wanted[above] = False
        return delta.reshape(n, b).sum(axis=1)

    def product(
        self, way: str, at: np.ndarray, values: np.ndarray, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Non-zero entries among `wanted` of M X, where X (n x b) holds `values` at the ascending rows of `at`."""
        n, b = self.n, wanted.size // self.n
        M, row = self.matrix[way], at // b
        traversed = float(self.fan_out[way][row].sum())
        dense, by_edge = float(n) * n * b, float(M.nnz) * b * EDGE_COST
        if traversed * SPARSE_COST < min(dense, by_edge):
            starts = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=n))))
            Y = (M @ sparse.csr_array((values, at - row * b, starts), shape=(n, b))).tocoo()
            found = Y.coords[0].astype(np.int64) * b + Y.coords[1]
            chosen = wanted[found] & (Y.data > 0)
            return found[chosen], Y.data[chosen]
        X = np.zeros(n * b)
        X[at] = values
        X = X.reshape(n, b)
        Y = (M @ X if by_edge < dense else self._blas(way, X)).ravel()
        found = np.flatnonzero((Y > 0) & wanted)
        return found, Y[found].astype(np.float64)

    def _blas(self, way: str, X: np.ndarray) -> np.ndarray:
        """M X by BLAS: in float32 where that is exact, else in float64 with the matrix widened block by block."""
        if self._dense is None:
            self._dense = self.matrix["forward"].astype(np.float32).toarray()
        W = self._dense
        if way == "forward" and X.sum(axis=0).max() < EXACT_SINGLE:
            return W @ X.astype(np.float32)
        Y = np.empty_like(X)
        for low in range(0, self.n, SOURCES):
            rows = slice(low, low + SOURCES)
            Y[rows] = (W[rows] if way == "forward" else W[:, rows].T).astype(np.float64) @ X
        return Y


def _weighted(pre: np.ndarray, post: np.ndarray, n: int, weights: object, normalized: bool) -> np.ndarray:
    w = np.abs(checks.array("weights", weights, shape=pre.shape))
    if (w == 0).any():
        e = int(w.argmin())
        raise InvalidInput(f"weights must not be 0 as path lengths 1/|w|, got 0 at synapse {pre[e]} -> {post[e]}")
    graph = nx.DiGraph()
    graph.add_nodes_from(range(n))
    order = np.argsort(w)  # of parallel synapses the strongest is written last
    graph.add_weighted_edges_from((int(pre[e]), int(post[e]), 1 / float(w[e])) for e in order if pre[e] != post[e])
    found = nx.betweenness_centrality(graph, weight="weight", normalized=normalized)
    return np.array([found[v] for v in range(n)])


def total_degree(pre: object, post: object, n: int) -> np.ndarray:
    """Number of synapses of every neuron, incoming and outgoing.

    >>> total_degree([0, 0], [1, 2], 3)
    array([2, 1, 1])
    """
    size = checks.count("n", n)
    pre, post = checks.edge_arrays(pre, post, size)
    return np.bincount(pre, minlength=size) + np.bincount(post, minlength=size)


def degree_product(pre: object, post: object, n: int) -> np.ndarray:
    """In-degree times out-degree: an estimate of the betweenness order where the exact one is out of reach.

    On dense directed random graphs its lowest tenth holds 92 to 94 % of the exact one's (N = 1000 to 2000, p = 0.1 to
    0.02; 83 % at p = 0.005, and at N = 20,000 with 200,000 synapses). It does not see clusters and how hubs are
    connected: 66 to 79 % in clustered networks (`CHRSNN`, N = 1500, p = 0.1 to 0.005), 65 to 80 % with heavy-tailed
    degrees.

    >>> degree_product([0, 1, 2], [1, 2, 3], 4)
    array([0, 1, 1, 0])
    """
    size = checks.count("n", n)
    pre, post = checks.edge_arrays(pre, post, size)
    return np.bincount(pre, minlength=size) * np.bincount(post, minlength=size)


@dataclass(frozen=True, eq=False)
class RemovalCentrality:
    """What neurons are ranked by before the lowest are removed.

    Attributes
    ----------
    values : array of float, shape (N,)
        Betweenness, or in-degree times out-degree.
    method : {"exact", "degree"}
        Which of the two.
    """

    values: np.ndarray = field(repr=False)
    method: str


def removal_centrality(pre: object, post: object, n: int, *, method: str = "auto") -> RemovalCentrality:
    """Betweenness of every neuron where it is affordable, else an estimate of its order.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse, in 0..n-1.
    n : int
        Number of neurons.
    method : {"auto", "exact", "degree"}
        "exact": `betweenness_centrality`; "degree": `degree_product`; "auto": exact for n <= 10,000 or n S <= 5e9
        (N = 20,000 and 200,000 synapses: 75 s on one core), else degree.

    Returns
    -------
    RemovalCentrality

    Raises
    ------
    InvalidInput
        If an index is out of range or `method` is unknown.

    Notes
    -----
    What the estimate costs in accuracy is told at `degree_product`; sampled betweenness finds the lowest tenth no
    better than chance on dense graphs.

    Examples
    --------
    >>> found = removal_centrality([0, 1, 2], [1, 2, 3], 4)
    >>> found, found.values
    (RemovalCentrality(method='exact'), array([0., 2., 2., 0.]))
    """
    size = checks.count("n", n)
    checks.choice("method", method, CENTRALITIES)
    pre, post = checks.edge_arrays(pre, post, size)
    if method == "auto":
        steps = float(size) * pre.size
        method = "exact" if size <= DENSE_NEURONS or steps <= AFFORDABLE_STEPS else "degree"
    if method == "exact":
        return RemovalCentrality(betweenness_centrality(pre, post, size), "exact")
    return RemovalCentrality(degree_product(pre, post, size).astype(float), "degree")


def lowest_neurons(
    centrality: object,
    degree: object,
    *,
    fraction: float | None = None,
    count: int | None = None,
    threshold: float | None = None,
    protect: object = (),
    protect_at_least: int = 1,
    minimum: int = 1,
) -> np.ndarray:
    """Neurons of lowest centrality, to be removed.

    The neurons are put in order of centrality, ties by degree, ties of both by index; the lowest go first.

    Parameters
    ----------
    centrality : array of float, shape (N,), at least 0
    degree : array of float, shape (N,)
        `total_degree`.
    fraction : float, in [0, 1]
        Remove ``floor(fraction * N)`` neurons. Exactly one of `fraction`, `count` and `threshold` is needed.
    count : int, at least 0
        Remove this many.
    threshold : float
        Remove those with a centrality below it.
    protect : array of int
        Readout neurons, of which `protect_at_least` survive: the highest of them in the order above are never removed.
        The others may go; where a protected one is passed over, the next in the order takes its place.
    protect_at_least : int, at least 0
        All of `protect` survive if it holds no more than this many.
    minimum : int, at least 0
        Number of neurons that survive in any case: the removal ends there, however many were asked for.

    Returns
    -------
    array of int
        Indices to remove, ascending.

    Notes
    -----
    Centralities whose difference is within 1e-9 of the larger are ties, and so is a chain of such neighbours in the
    order: the result does not depend on the rounding of one BLAS or another. With `threshold`, a neuron within 1e-9 of
    it is not below it.

    Examples
    --------
    >>> lowest_neurons([5.0, 1.0, 1.0, 1.0, 9.0], [4, 3, 2, 3, 4], count=2)
    array([1, 2])
    >>> lowest_neurons([5.0, 1.0, 1.0, 1.0, 9.0], [4, 3, 2, 3, 4], threshold=5.0, protect=[1, 2])
    array([2, 3])
    """
    c = checks.array("centrality", centrality, shape=(None,))
    k = checks.array("degree", degree, shape=c.shape)
    if (c < 0).any():
        raise InvalidInput(f"centrality must be at least 0, got {c.min()}")
    given = {"fraction": fraction, "count": count, "threshold": threshold}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise InvalidInput(f"exactly one of {', '.join(given)} is needed, got {', '.join(named) or 'none'}")
    readouts = np.unique(checks.array("protect", protect, shape=(None,), dtype=int))
    if readouts.size and (readouts[0] < 0 or readouts[-1] >= c.size):
        raise InvalidInput(f"protect must hold neuron indices in 0..{c.size - 1}, got {readouts[[0, -1]].tolist()}")
    survivors = checks.count("protect_at_least", protect_at_least, minimum=0)
    floor = checks.count("minimum", minimum, minimum=0)

    order = np.lexsort((np.arange(c.size), k, _tie_groups(c)))
    ranked = order[np.isin(order, readouts)]
    held = ranked[max(ranked.size - survivors, 0) :]
    order = order[~np.isin(order, held)]
    if fraction is not None:
        wanted = int(np.floor(checks.real("fraction", fraction, at_least=0, at_most=1) * c.size + TIE))
    elif count is not None:
        wanted = checks.count("count", count, minimum=0)
    else:
        level = checks.real("threshold", threshold)
        wanted = int((c[order] < level - TIE * abs(level)).sum())
    return np.sort(order[: max(min(wanted, c.size - floor), 0)])


def _tie_groups(c: np.ndarray) -> np.ndarray:
    """Rank of each centrality, equal for ties."""
    order = np.argsort(c, kind="stable")
    ascending = c[order]
    step = np.diff(ascending, prepend=ascending[:1]) > TIE * ascending
    groups = np.empty(c.size, dtype=np.int64)
    groups[order] = np.cumsum(step)
    return groups
