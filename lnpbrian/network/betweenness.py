"""Betweenness centrality of neurons, exact and fast on dense directed graphs.

A synapse from ``pre[e]`` to ``post[e]`` is a directed edge; parallel synapses are one edge, self-connections are none.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

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
        parallel synapses). Computed by networkx: minutes from 1000 neurons on. Default: every edge has length 1.

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


def _weighted(pre: np.ndarray, post: np.ndarray, n: int, weights: object) -> np.ndarray:
    # Half a second to import, and hardly ever needed.
    import networkx as nx

    w = np.abs(checks.array("weights", weights, shape=pre.shape))
    if (w == 0).any():
        e = int(w.argmin())
        raise InvalidInput(f"weights must not be 0 as path lengths 1/|w|, got 0 at synapse {pre[e]} -> {post[e]}")
    graph = nx.DiGraph()
    graph.add_nodes_from(range(n))
    order = np.argsort(w)  # of parallel synapses the strongest is written last
    graph.add_weighted_edges_from((int(pre[e]), int(post[e]), 1 / float(w[e])) for e in order if pre[e] != post[e])
    found = nx.betweenness_centrality(graph, weight="weight", normalized=False)
    return np.array([found[v] for v in range(n)])
