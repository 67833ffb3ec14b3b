"""Betweenness centrality of neurons, exact and fast on dense directed graphs.

A synapse from ``pre[e]`` to ``post[e]`` is a directed edge; parallel synapses are one edge, self-connections are none.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, dijkstra

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = ["betweenness_centrality"]

# Sources in one batch, and entries of its arrays of N x sources (about 60 bytes each: 1 GB).
SOURCES = 1024
BATCH = 1 << 24
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
# Weighted paths whose lengths differ by less, relatively, are equally long: far above the rounding of their sums.
TIE = 1e-10


def betweenness_centrality(pre: object, post: object, n: int, *, weights: object = None) -> np.ndarray:
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
        parallel synapses), and lengths that differ by less than 1e-10, relatively, are equal: rounding does not
        separate ties. One search for each source: minutes at some thousand neurons. Default: every edge has length 1.

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
    numbers that it holds exactly, everything else in float64.

    Examples
    --------
    The path 0 -> 1 -> 2 -> 3: neuron 1 lies between (0, 2) and (0, 3).

    >>> betweenness_centrality([0, 1, 2], [1, 2, 3], 4)
    array([0., 2., 2., 0.])
    """
    size = checks.count("n", n)
    pre, post = checks.edge_arrays(pre, post, size)
    if weights is not None:
        return _weighted(pre, post, size, weights)
    proper = pre != post
    graph = _Graph(sparse.csr_array((np.ones(int(proper.sum())), (post[proper], pre[proper])), shape=(size, size)))
    centrality = np.zeros(size)
    batch = max(1, min(SOURCES, BATCH // size))
    for low in range(0, size, batch):
        centrality += graph.dependencies(np.arange(low, min(low + batch, size)))
    return centrality


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
        _refuse_uncountable(sigma)
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


def _weighted(pre: np.ndarray, post: np.ndarray, n: int, weights: object) -> np.ndarray:
    w = np.abs(checks.array("weights", weights, shape=pre.shape))
    with np.errstate(divide="ignore", over="ignore"):
        length = 1 / w
    if not np.isfinite(length).all():
        e = int(w.argmin())
        raise InvalidInput(
            f"weights must not be {w[e]:g} as path lengths 1/|w| must be finite, see synapse {pre[e]} -> {post[e]}"
        )
    proper = np.flatnonzero(pre != post)
    order = proper[np.lexsort((length[proper], post[proper], pre[proper]))]
    u, v, length = pre[order], post[order], length[order]
    strongest = np.concatenate([[True], (np.diff(u) != 0) | (np.diff(v) != 0)])[: u.size]
    u, v, length = u[strongest], v[strongest], length[strongest]
    graph = sparse.csr_array((length, (u, v)), shape=(n, n))
    centrality = np.zeros(n)
    for source in range(n):
        distance, before = dijkstra(graph, indices=source, return_predecessors=True)
        reached = np.isfinite(distance[u])
        a, b, d = u[reached], v[reached], length[reached]
        # Beside the path that was found, what is as long but for rounding; forward only, so that there is no cycle.
        forward = (distance[a] < distance[b]) & (distance[a] + d <= distance[b] * (1 + TIE))
        on_path = forward | (before[b] == a)
        a, b = a[on_path], b[on_path]
        sigma = _passed_on(a, b, np.bincount([source], minlength=n).astype(float))
        _refuse_uncountable(sigma)
        share = np.divide(1, sigma, out=np.zeros(n), where=sigma > 0)
        dependency = sigma * _passed_on(b, a, np.bincount(a, share[b], minlength=n))
        dependency[source] = 0
        centrality += dependency
    return centrality


def _passed_on(source: np.ndarray, target: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum over all walks along edges without a cycle of the value at their start, at their end."""
    total = values
    while values.any():
        values = np.bincount(target, values[source], minlength=values.size)
        total = total + values
    return total


def _refuse_uncountable(sigma: np.ndarray) -> None:
    if not np.isfinite(sigma).all():
        raise InvalidInput("a pair of neurons has over 1e308 shortest paths; their counts cannot be represented")
