"""Lyapunov matrix of the synapses: the first part of step I.

Synapses are given as three aligned arrays: synapse `e` goes from neuron ``pre[e]`` to neuron ``post[e]`` with weight
``weights[e]``, so that ``W[post[e], pre[e]] = weights[e]``. Every per-synapse result is in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.engines.loops import graph_loops

__all__ = ["LyapunovEstimate", "estimated_lyapunov_matrix", "lyapunov_matrix"]

NEIGHBOURS = ("both", "in", "out")

# Up to this size N x N matrices are worked on as dense ones, of bits (12 MB) or, where nothing is compiled, of float64.
DENSE_NEURONS = 10_000
# Entries of rows of B that may be traversed one by one: 20 to 30 s.
AFFORDABLE_ENTRIES = 1e9
# Where nothing is compiled, a traversed entry of a row costs about as much as 1500 multiply-adds of the two dense
# products (two cores, OpenBLAS: 23 ns against 14 ps, half of each being left out); only the speed depends on it.
SPARSE_COST = 1500
# Classes of neurons in an estimate, and synapses on which its error is measured.
CLASSES = 64
SAMPLES = 1000
# A signed harmonic mean is singular when the sum of 1/lambda cancels to this fraction of the sum of 1/|lambda|.
CANCELLED = 1e-9
# Block of rows of a dense intermediate, in entries (32 MiB of float64).
BLOCK = 1 << 22
# Synapses that the compiled loop takes before Ctrl-C is heeded: about a second.
UNINTERRUPTED = 1 << 21


def lyapunov_matrix(
    pre: object,
    post: object,
    exponents: object,
    *,
    resolution: float,
    neighbours: str = "both",
    signed: bool = False,
) -> np.ndarray:
    """Harmonic mean of the Lyapunov exponents around every synapse.

    For the synapse onto neuron i from neuron j, with N(i) the set of neighbours of i,

        L_ij = n / sum_k 1 / max(|lambda_k|, resolution),    k in N(i) union N(j),    n = |N(i) union N(j)|.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse, in 0..N-1. Parallel synapses count once as neighbourhood.
    exponents : array of float, shape (N,), 1/s
        One Lyapunov exponent per neuron.
    resolution : float, 1/s, > 0
        Smallest magnitude that the measurement resolves: one over the averaging time. Smaller magnitudes are raised to
        it, so that an exponent that happens to be near zero does not decide every mean it enters. Unused if `signed`.
    neighbours : {"both", "in", "out"}
        N(i) = presynaptic and postsynaptic partners of i ("both"), the presynaptic ones ("in") or the postsynaptic
        ones ("out"). Whichever it is, i and j themselves belong to the union only as partners: with "both" always.
    signed : bool
        Take 1 / lambda_k as it is, the paper's formula as far as it is known. Exponents of both signs cancel.

    Returns
    -------
    array of float, shape (S,), 1/s
        L of each synapse. Between the smallest and the largest magnitude met, or of any size and sign if `signed`.

    Raises
    ------
    InvalidInput
        If `signed` and an exponent is zero, or the sum of 1/lambda_k cancels to less than 1e-9 of its terms.

    Notes
    -----
    Equation (1) of Chakraborty et al. (2024), arXiv 2403.03409; its printed form is not recoverable beyond "harmonic
    mean" over "all neighbours" of both ends. The union is never built: with B the boolean neighbour matrix and
    x = 1 / max(|lambda|, resolution), the sum over it is (B x)_i + (B x)_j - (B diag(x) B^T)_ij. Exact overlaps take
    a second at N = 5000 and 2.5 M synapses; for larger dense networks see `estimated_lyapunov_matrix`.

    Examples
    --------
    A chain 0 -> 1 -> 2. Synapse 0 -> 1: N(0) = {1}, N(1) = {0, 2}, all three neurons:

    >>> lyapunov_matrix([0, 1], [1, 2], [-10.0, -20.0, 20.0], resolution=0.1)
    array([15., 15.])
    >>> lyapunov_matrix([0, 1], [1, 2], [-10.0, -20.0, 20.0], resolution=0.1, neighbours="in")
    array([10.        , 13.33333333])
    """
    pre, post, B, values = _neighbourhoods(pre, post, exponents, resolution, neighbours, signed)
    shared = _shared(B, post, pre, values)
    return _harmonic_means(pre, post, *_union_sums(B, post, pre, values, shared))


@dataclass(frozen=True, eq=False)
class LyapunovEstimate:
    """Lyapunov matrix from expected overlaps of neighbourhoods, and how good it is.

    Attributes
    ----------
    lyapunov : array of float, shape (S,), 1/s
        L of each synapse.
    error : float
        Largest relative error of L on a sample of the synapses, where it was computed exactly.
    status : str
        What to know about the result.

    Notes
    -----
    Of L as in equation (1) of Chakraborty et al. (2024), arXiv 2403.03409; `estimated_lyapunov_matrix` makes one.
    """

    lyapunov: np.ndarray = field(repr=False)
    error: float
    status: str


def estimated_lyapunov_matrix(
    pre: object,
    post: object,
    exponents: object,
    *,
    resolution: float,
    rng: np.random.Generator,
    groups: object = None,
    neighbours: str = "both",
    signed: bool = False,
) -> LyapunovEstimate:
    """Lyapunov matrix with the expected overlap of the two neighbourhoods of each synapse instead of the exact one.

    For networks whose exact overlaps are out of reach: time 64 S, memory 64 (N + 1) beside the result, with 64 classes
    of neurons. Half of them hold one neuron each, those of many neighbours and an exponent far from the mean, whose
    part in the overlaps is then exact. The others are shared among the groups, at least one each: intervals of the
    degree with equal sums of squared degrees, so that hubs are with few others.

    Parameters
    ----------
    pre, post, exponents, resolution, neighbours, signed
        As for `lyapunov_matrix`.
    rng : numpy.random.Generator
        Draws the synapses, at most 1000, on which the error is measured.
    groups : array of int, shape (N,), optional
        Cluster of each neuron. Neurons of a cluster of equal degree should be alike in whom they are connected with.

    Returns
    -------
    LyapunovEstimate

    Raises
    ------
    InvalidInput
        As `lyapunov_matrix`.

    Notes
    -----
    Equation (1) of Chakraborty et al. (2024), arXiv 2403.03409, estimated. If neuron i has a_ig neighbours in class g
    of n_g neurons, and j has a_jg, both drawn without regard to each other, the expected number in common is a_ig a_jg
    / n_g (hypergeometric law). With X_ig the sum of x over the neighbours of i in g and T_g that over all of g, the sum
    of x over the common ones is (X_ig a_jg + a_ig X_jg) / n_g - T_g a_ig a_jg / n_g^2, its regression on both sums. The
    memberships of i and j themselves are known and taken as they are. Exact where each neuron has all or none of a
    class as neighbours.

    Examples
    --------
    Each of three neurons connected with the others, so that all three are around each synapse:

    >>> pre, post = [0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]
    >>> found = estimated_lyapunov_matrix(pre, post, [-10.0, -20.0, 20.0], resolution=0.1, rng=np.random.default_rng(0))
    >>> found.lyapunov.round(4)
    array([15., 15., 15., 15., 15., 15.])
    """
    pre, post, B, values = _neighbourhoods(pre, post, exponents, resolution, neighbours, signed)
    n = B.shape[0]
    checks.generator("rng", rng)
    group = np.zeros(n, dtype=int) if groups is None else checks.array("groups", groups, shape=(n,), dtype=int)
    label = _classes(B, group, np.sum(values[1:], axis=0), CLASSES)
    expected = _expected_shared(B, post, pre, values, label, mutual=neighbours == "both")
    found = _harmonic_means(pre, post, *_union_sums(B, post, pre, values, expected))
    chosen = rng.choice(pre.size, size=min(SAMPLES, pre.size), replace=False)
    i, j = post[chosen], pre[chosen]
    exact = _harmonic_means(j, i, *_union_sums(B, i, j, values, _shared_sparse(B, i, j, values)))
    off = np.abs(found[chosen] / exact - 1)
    error, typical = float(off.max(initial=0)), float(np.sqrt(off @ off / max(off.size, 1)))
    status = (
        f"expected overlap in {label.max(initial=-1) + 1} classes: relative error at most {error:.1e}, "
        f"root mean square {typical:.1e}, on {chosen.size} sampled synapses"
    )
    return LyapunovEstimate(found, error, status)


def exact_overlap_is_affordable(pre: np.ndarray, post: np.ndarray, n: int) -> bool:
    """Whether `lyapunov_matrix` takes less than about half a minute and 1 GB: N <= 10,000, or few common neighbours.

    Examples
    --------
    >>> exact_overlap_is_affordable(np.array([0, 1]), np.array([1, 2]), 3)
    True
    """
    degree = np.bincount(pre, minlength=n) + np.bincount(post, minlength=n)
    return n <= DENSE_NEURONS or float(degree.astype(float) @ degree) <= AFFORDABLE_ENTRIES


def _neighbourhoods(
    pre: object, post: object, exponents: object, resolution: float, neighbours: str, signed: bool
) -> tuple[np.ndarray, np.ndarray, sparse.csr_array, list[np.ndarray]]:
    """Checked synapses, B, and what is summed over neighbourhoods: 1, then 1/lambda (positive and negative parts)."""
    lam = checks.array("exponents", exponents, shape=(None,))
    n = lam.size
    pre, post = checks.edge_arrays(pre, post, n)
    floor = checks.real("resolution", resolution, above=0, at_most=1e15)
    checks.choice("neighbours", neighbours, NEIGHBOURS)
    if not signed:
        inverse = [1 / np.maximum(np.abs(lam), floor)]
    elif (lam == 0).any():
        raise InvalidInput(
            f"exponents must not be zero in a signed harmonic mean, got 0 at neuron {np.abs(lam).argmin()}"
        )
    else:
        inverse = [np.maximum(1 / lam, 0), np.maximum(-1 / lam, 0)]
    return pre, post, _neighbour_matrix(pre, post, n, neighbours), [np.ones(n), *inverse]


def _neighbour_matrix(pre: np.ndarray, post: np.ndarray, n: int, neighbours: str) -> sparse.csr_array:
    """Boolean B (as 0.0 and 1.0): B[i, k] = 1 if k is a neighbour of i."""
    ones = np.ones(pre.size, dtype=np.float32)
    i, k = post.astype(np.int32), pre.astype(np.int32)  # half the memory of int64
    B = sparse.csr_array((ones, (k, i) if neighbours == "out" else (i, k)), shape=(n, n))
    if neighbours == "both":
        B = B + B.T.tocsr()
    B.data[:] = 1
    return B


def _union_sums(
    B: sparse.csr_array, i: np.ndarray, j: np.ndarray, values: list[np.ndarray], shared: list[np.ndarray]
) -> list[np.ndarray]:
    """For each x in `values`: sum of x over N(i) union N(j), given that over the intersection."""
    sums = []
    for x, both in zip(values, shared, strict=True):
        around = B @ x
        sums.append(around[i] + around[j] - both)
    return sums


def _harmonic_means(pre: np.ndarray, post: np.ndarray, size: np.ndarray, *sums: np.ndarray) -> np.ndarray:
    """Equation (1) from the size of the union and the sums of 1/lambda over it, or of their two parts."""
    if len(sums) == 1:
        return size / sums[0]  # eq. (1)
    plus, minus = sums
    total = plus - minus
    singular = np.flatnonzero(np.abs(total) <= CANCELLED * (plus + minus))
    if singular.size:
        e = singular[0]
        raise InvalidInput(
            f"the signed harmonic mean is singular at {singular.size} of {pre.size} synapses: the sum of 1/exponent "
            f"around synapse {pre[e]} -> {post[e]} is {total[e]:.3g} s; use signed=False"
        )
    return size / total  # eq. (1)


def _shared(B: sparse.csr_array, i: np.ndarray, j: np.ndarray, values: list[np.ndarray]) -> list[np.ndarray]:
    """(B diag(x) B^T)[i, j] for each x in `values`: by a compiled loop, dense products, or row by row of B."""
    n = B.shape[0]
    loops = graph_loops()
    if loops is not None and n <= DENSE_NEURONS:
        return _shared_compiled(loops, B, i, j, values)
    traversed = float((np.diff(B.indptr).astype(float)[i] + np.diff(B.indptr)[j]).sum())
    if traversed * SPARSE_COST <= float(n) ** 3:
        return _shared_sparse(B, i, j, values)
    # The product is symmetric: its lower triangle is enough.
    row, column = np.maximum(i, j), np.minimum(i, j)
    at = np.arange(i.size, dtype=np.int32)
    by_row = sparse.csr_array((np.ones(i.size, dtype=np.int8), (row.astype(np.int32), at)), shape=(n, i.size))
    shared: list[np.ndarray] = [np.empty(i.size) for _ in values]
    full = B.toarray().astype(float)
    scales: list[np.ndarray | None] = [None if (x == 1).all() else x for x in values]
    height = max(1, BLOCK // n)
    for low in range(0, n, height):
        high = min(low + height, n)
        edges = by_row.indices[by_row.indptr[low] : by_row.indptr[high]]
        r, c = row[edges] - low, column[edges]
        for out, scale in zip(shared, scales, strict=True):
            block = full[low:high] if scale is None else full[low:high] * scale
            out[edges] = (block @ full[:high].T)[r, c]
    return shared


def _shared_compiled(
    loops: Any, B: sparse.csr_array, i: np.ndarray, j: np.ndarray, values: list[np.ndarray]
) -> list[np.ndarray]:
    """(B diag(x) B^T)[i, j] for each x in `values`, of which the first is 1, from the common bits of rows i and j."""
    rows = B.indptr.astype(np.int64), B.indices.astype(np.int32)
    synapses = i.astype(np.int32), j.astype(np.int32)
    count, shared = np.empty(i.size, dtype=np.int64), []
    for x in values[1:]:
        shared.append(np.empty(i.size))
        for low in range(0, i.size, UNINTERRUPTED):
            at = slice(low, low + UNINTERRUPTED)
            loops.common_sums(*rows, *(ends[at] for ends in synapses), x, count[at], shared[-1][at])
    return [count, *shared]


def _shared_sparse(B: sparse.csr_array, i: np.ndarray, j: np.ndarray, values: list[np.ndarray]) -> list[np.ndarray]:
    """(B diag(x) B^T)[i, j] for each x in `values`, from the common entries of rows i and j."""
    X = np.stack(values, axis=1)
    shared = np.empty((i.size, len(values)))
    degree = np.diff(B.indptr).astype(np.int64)
    ends = np.cumsum(degree[i] + degree[j])
    low = 0
    while low < i.size:
        done = ends[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(ends, done + BLOCK)))
        shared[low:high] = B[i[low:high]].multiply(B[j[low:high]]) @ X
        low = high
    return list(shared.T)


def _classes(B: sparse.csr_array, group: np.ndarray, x: np.ndarray, classes: int) -> np.ndarray:
    """Class of each neuron, 0, 1, ...: alone if it matters most, else its group divided by degree."""
    n, degree = group.size, B.sum(axis=0).astype(float)
    names, group = np.unique(group, return_inverse=True)
    # Presence of neuron k moves L by about x_k L - 1 parts of the union's size.
    influence = (degree * (x / x.mean() - 1)) ** 2 if n else degree
    alone = np.argsort(influence, kind="stable")[n - min(classes // 2, n) :]
    parts = max(1, (classes - alone.size) // max(names.size, 1))
    share = degree**2 + 1e-9  # no division by 0 where there are no neighbours
    order = np.lexsort((share, group))
    passed = np.cumsum(share[order]) - share[order] / 2
    total = np.bincount(group, weights=share)
    before = np.concatenate(([0.0], np.cumsum(total)))[group[order]]
    part = np.clip((passed - before) / total[group[order]] * parts, 0, parts - 1).astype(int)
    label = np.empty(n, dtype=int)
    label[order] = group[order] * parts + part
    label[alone] = names.size * parts + np.arange(alone.size)
    return np.unique(label, return_inverse=True)[1]


def _expected_shared(
    B: sparse.csr_array, i: np.ndarray, j: np.ndarray, values: list[np.ndarray], label: np.ndarray, *, mutual: bool
) -> list[np.ndarray]:
    """Expected (B diag(x) B^T)[i, j] for each x in `values`, from the numbers of neighbours in each class.

    `mutual` says that i and j are neighbours of each other.
    """
    n, classes = B.shape[0], int(label.max(initial=-1)) + 1
    one_hot = np.zeros((n, classes))
    one_hot[np.arange(n), label] = 1
    size, a = one_hot.sum(axis=0), B @ one_hot
    own = B.diagonal()
    sums = [B @ (one_hot * x[:, None]) for x in values]
    totals = [x @ one_hot for x in values]
    factors = [
        (np.hstack([a, X]).astype(np.float32), np.hstack([X / size - a * (T / size**2), a / size]).astype(np.float32))
        for X, T in zip(sums, totals, strict=True)
    ]
    around = [X.sum(axis=1) for X in sums]
    shared = [np.empty(i.size) for _ in values]
    height = max(1, BLOCK // (2 * max(classes, 1)))
    for low in range(0, i.size, height):
        edges = slice(low, low + height)
        k, m = i[edges], j[edges]
        km, mk = (1, 1) if mutual else (entries(B, k, m), entries(B, m, k))
        kk, mm = own[k], own[m]
        for out, x, X, T, whole, (left, right) in zip(shared, values, sums, totals, around, factors, strict=True):
            total = np.einsum("eg,eg->e", left[k], right[m]).astype(float)
            total += kk * mk * x[k] + km * mm * x[m]
            # In the classes of k and m, put what is left without those two in the place of what was added.
            for g, once in ((label[k], True), (label[m], label[k] != label[m])):
                has_k, has_m = label[k] == g, label[m] == g
                full = a[k, g], X[k, g], a[m, g], X[m, g], size[g], T[g]
                rest = (
                    full[0] - kk * has_k - km * has_m,
                    full[1] - kk * has_k * x[k] - km * has_m * x[m],
                    full[2] - mk * has_k - mm * has_m,
                    full[3] - mk * has_k * x[k] - mm * has_m * x[m],
                    full[4] - has_k - has_m,
                    full[5] - has_k * x[k] - has_m * x[m],
                )
                total += once * (_common(*rest) - _common(*full))
            out[edges] = np.where(k == m, whole[k], total)
    return shared


def _common(a: np.ndarray, X: np.ndarray, b: np.ndarray, Y: np.ndarray, n: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Expected sum over the common ones of a and b members, with sums X and Y, of a class of n with sum T."""
    n = np.maximum(n, 1)
    return (X * b + a * Y) / n - T * a * b / n**2


def entries(matrix: np.ndarray | sparse.csr_array, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """matrix[i, j] for aligned index arrays; what a sparse one does not hold is 0.

    Examples
    --------
    >>> entries(sparse.csr_array(np.array([[1.0, 2.0], [0.0, 3.0]])), np.array([0, 1]), np.array([1, 0]))
    array([2., 0.])
    """
    if not i.size:
        return np.zeros(0, matrix.dtype)  # SciPy returns objects
    return np.asarray(matrix[i, j]).ravel()
