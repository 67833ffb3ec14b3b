"""Lyapunov matrix of the synapses and the linear network built on it (step I, first half).

Synapses are given as three aligned arrays: synapse `e` goes from neuron ``pre[e]`` to neuron ``post[e]`` with weight
``weights[e]``, so that ``W[post[e], pre[e]] = weights[e]``. Every per-synapse result is in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = [
    "LinearNetwork",
    "edge_strength",
    "linear_network",
    "lyapunov_matrix",
    "spectral_abscissa",
]

NEIGHBOURS = ("both", "in", "out")
STRENGTHS = ("lyapunov", "weight", "lyapunov*weight")
DIAGONALS = ("row-dominant", "shift", "leak")

# One traversed entry of a sparse product costs about as much as 1000 multiply-adds of a dense one (two cores, OpenBLAS:
# 14 ns against 12 ps, half of the dense product being left out); only the speed depends on it.
SPARSE_COST = 1000
# A signed harmonic mean is singular when the sum of 1/lambda cancels to this fraction of the sum of 1/|lambda|.
CANCELLED = 1e-9
# Up to this size the spectral abscissa is read off all eigenvalues (a second); beyond, Arnoldi iteration comes first.
ALL_EIGENVALUES = 600
# Block of rows of a dense intermediate, in entries (32 MiB of float64).
BLOCK = 1 << 22


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
    x = 1 / max(|lambda|, resolution), the sum over it is (B x)_i + (B x)_j - (B diag(x) B^T)_ij.

    Examples
    --------
    A chain 0 -> 1 -> 2. Synapse 0 -> 1: N(0) = {1}, N(1) = {0, 2}, all three neurons:

    >>> lyapunov_matrix([0, 1], [1, 2], [-10.0, -20.0, 20.0], resolution=0.1)
    array([15., 15.])
    >>> lyapunov_matrix([0, 1], [1, 2], [-10.0, -20.0, 20.0], resolution=0.1, neighbours="in")
    array([10.        , 13.33333333])
    """
    lam = checks.array("exponents", exponents, shape=(None,))
    n = lam.size
    pre, post = checks.edge_arrays(pre, post, n)
    floor = checks.real("resolution", resolution, above=0)
    checks.choice("neighbours", neighbours, NEIGHBOURS)
    B = _neighbour_matrix(pre, post, n, neighbours)
    if not signed:
        x = 1 / np.maximum(np.abs(lam), floor)
        size, total = _union_sums(B, pre, post, [np.ones(n), x])
        return size / total  # eq. (1)
    if (lam == 0).any():
        raise InvalidInput(
            f"exponents must not be zero in a signed harmonic mean, got 0 at neuron {np.abs(lam).argmin()}"
        )
    size, plus, minus = _union_sums(B, pre, post, [np.ones(n), np.maximum(1 / lam, 0), np.maximum(-1 / lam, 0)])
    total = plus - minus
    singular = np.flatnonzero(np.abs(total) <= CANCELLED * (plus + minus))
    if singular.size:
        e = singular[0]
        raise InvalidInput(
            f"the signed harmonic mean is singular at {singular.size} of {pre.size} synapses: the sum of 1/exponent "
            f"around synapse {pre[e]} -> {post[e]} is {total[e]:.3g} s; use signed=False"
        )
    return size / total  # eq. (1)


def _neighbour_matrix(pre: np.ndarray, post: np.ndarray, n: int, neighbours: str) -> sparse.csr_array:
    """Boolean B (as 0.0 and 1.0): B[i, k] = 1 if k is a neighbour of i."""
    ones = np.ones(pre.size)
    B = sparse.csr_array((ones, (post, pre)), shape=(n, n))
    if neighbours != "in":
        out = sparse.csr_array((ones, (pre, post)), shape=(n, n))
        B = out if neighbours == "out" else B + out
    B.sum_duplicates()
    B.data[:] = 1
    return B


def _union_sums(B: sparse.csr_array, pre: np.ndarray, post: np.ndarray, values: list[np.ndarray]) -> list[np.ndarray]:
    """For each non-negative x in `values`: sum of x over N(post) union N(pre), per synapse."""
    shared = [np.empty(pre.size) for _ in values]
    for edges, products in _shared_blocks(B, pre, post, values):
        for out, product in zip(shared, products, strict=True):
            out[edges] = product
    return [(B @ x)[post] + (B @ x)[pre] - both for x, both in zip(values, shared, strict=True)]


def _shared_blocks(
    B: sparse.csr_array, pre: np.ndarray, post: np.ndarray, values: list[np.ndarray]
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Yield (synapses, [(B diag(x) B^T)[post, pre] for x in values]), by blocks of rows of the lower triangle."""
    n = B.shape[0]
    row, column = np.maximum(pre, post), np.minimum(pre, post)  # the product is symmetric
    order = np.argsort(row, kind="stable")
    starts = np.searchsorted(row[order], np.arange(n + 1))
    traversed = float((B.sum(axis=0) ** 2).sum())
    dense = traversed * SPARSE_COST > float(n) ** 3
    # Counts are whole numbers below 2**24: exact in float32.
    types = [np.float32 if (x == 1).all() else np.float64 for x in values]
    full = {kind: B.toarray().astype(kind) for kind in set(types)} if dense else {}
    height = max(1, BLOCK // max(n, 1))
    for low in range(0, n, height):
        high = min(low + height, n)
        edges = order[starts[low] : starts[high]]
        if edges.size == 0:
            continue
        products = []
        for x, kind in zip(values, types, strict=True):
            if dense:
                block = (full[kind][low:high] * x.astype(kind)) @ full[kind][:high].T
            else:
                block = (B[low:high] @ (B[:high] * x[None, :]).T).toarray()
            products.append(block[row[edges] - low, column[edges]])
        yield edges, products


def edge_strength(weights: object, lyapunov: object = None, *, kind: str = "lyapunov") -> np.ndarray:
    """Strength of each synapse in the linear network, before its sign.

    Parameters
    ----------
    weights : array of float, shape (S,)
        Synaptic weights.
    lyapunov : array of float, shape (S,), 1/s
        `lyapunov_matrix` of the synapses; may be left out for ``kind="weight"``.
    kind : {"lyapunov", "weight", "lyapunov*weight"}
        |L_ij| (Chakraborty et al. 2024), |W_ij| (Moore and Chaudhuri 2020, arXiv 2011.07334), or their product.

    Returns
    -------
    array of float, shape (S,), at least 0

    Raises
    ------
    InvalidInput
        If `lyapunov` is needed and missing, or not aligned with `weights`.

    Examples
    --------
    >>> edge_strength([0.5, -2.0], [10.0, -4.0])
    array([10.,  4.])
    >>> edge_strength([0.5, -2.0], [10.0, -4.0], kind="lyapunov*weight")
    array([5., 8.])
    """
    w = np.abs(checks.array("weights", weights, shape=(None,)))
    checks.choice("kind", kind, STRENGTHS)
    if kind == "weight":
        return w
    if lyapunov is None:
        raise InvalidInput(f"edge_strength of kind {kind!r} needs lyapunov; compute it with lyapunov_matrix")
    L = np.abs(checks.array("lyapunov", lyapunov, shape=w.shape))
    return L if kind == "lyapunov" else L * w


@dataclass(frozen=True, eq=False)
class LinearNetwork:
    """dr/dt = A r + b + sigma xi with A = -D + S, all rates in 1/s.

    Attributes
    ----------
    A : csr_array of float, shape (N, N), 1/s
    D : array of float, shape (N,), 1/s
        Decay of each neuron.
    S : csr_array of float, shape (N, N), 1/s
        Signed strengths, ``S[post, pre]``.
    diagonal : str
        How `D` was chosen.
    abscissa : float, 1/s
        Largest real part of an eigenvalue of A, or an upper bound of it where row dominance gives one.
    """

    A: sparse.csr_array = field(repr=False)
    D: np.ndarray = field(repr=False)
    S: sparse.csr_array = field(repr=False)
    diagonal: str
    abscissa: float

    def __repr__(self) -> str:
        return (
            f"LinearNetwork({self.D.size} neurons, {self.S.nnz} connections, diagonal={self.diagonal!r}, "
            f"slowest decay at least {-self.abscissa:.4g} 1/s)"
        )


def linear_network(
    pre: object,
    post: object,
    signed_strength: object,
    *,
    time_constants: object,
    diagonal: str = "row-dominant",
    margin: float | None = None,
) -> LinearNetwork:
    """Linear network A = -D + S on the synapses, with a diagonal that makes it decay.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse.
    signed_strength : array of float, shape (S,), 1/s
        ``sign(W_ij) * strength_ij``. Parallel synapses add up.
    time_constants : array of float, shape (N,), s, > 0
        Membrane time constants; 1 / tau_i is the leak.
    diagonal : {"row-dominant", "shift", "leak"}
        * "row-dominant": ``D_ii = 1/tau_i + sum_j |S_ij|``. By Gershgorin's theorem every eigenvalue then has a real
          part of at most ``-min(1/tau)``.
        * "shift": ``D_ii = 1/tau_i + c`` with the smallest c >= 0 for which the spectral abscissa is at most
          ``-margin``. Costs the eigenvalue of largest real part.
        * "leak": ``D_ii = 1/tau_i``; refused if that does not decay.
    margin : float, 1/s, > 0
        For "shift"; the default is the slowest leak, ``min(1/tau)``, the bound that row dominance gives.

    Returns
    -------
    LinearNetwork

    Raises
    ------
    InvalidInput
        If A is not Hurwitz (an eigenvalue has a real part >= 0), with that real part.

    Notes
    -----
    Equation (2) of Chakraborty et al. (2024), arXiv 2403.03409. Their text calls a positive D_ii "increased
    excitability", the sign of A = +D + S; what noise pruning needs is the decaying A = -D + S of Moore and Chaudhuri
    (2020), arXiv 2011.07334.

    Examples
    --------
    >>> net = linear_network([0, 1], [1, 0], [3.0, -4.0], time_constants=[0.1, 0.2])
    >>> net.A.toarray()
    array([[-14.,  -4.],
           [  3.,  -8.]])
    >>> linear_network([0, 1], [1, 0], [30.0, 30.0], time_constants=[0.1, 0.1], diagonal="leak")
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: the linear network does not decay: its spectral abscissa is 20 1/s ...
    """
    tau = checks.array("time_constants", time_constants, shape=(None,))
    if tau.size == 0 or not (tau > 0).all():
        raise InvalidInput(f"time_constants must be above 0 s, got {tau.min() if tau.size else 'none'}")
    n = tau.size
    pre, post = checks.edge_arrays(pre, post, n)
    s = checks.array("signed_strength", signed_strength, shape=pre.shape)
    checks.choice("diagonal", diagonal, DIAGONALS)
    leak = 1 / tau
    gap = checks.real("margin", leak.min() if margin is None else margin, above=0)

    S = sparse.csr_array((s, (post, pre)), shape=(n, n))
    S.sum_duplicates()
    D, abscissa = leak, -float(leak.min())
    if diagonal == "row-dominant":
        D = leak + np.bincount(post, weights=np.abs(s), minlength=n)
    else:
        abscissa = spectral_abscissa(S - sparse.diags_array(leak))
    if diagonal == "shift":
        shift = max(0.0, abscissa + gap)
        D, abscissa = leak + shift, abscissa - shift
    if abscissa >= 0:
        raise InvalidInput(not_decaying(abscissa))
    A = sparse.csr_array(S - sparse.diags_array(D))  # eq. (2)
    return LinearNetwork(A=A, D=D, S=S, diagonal=diagonal, abscissa=float(abscissa))


def not_decaying(abscissa: float) -> str:
    """One line on a matrix that is not Hurwitz, or not clearly so: by how much, and what to do."""
    if abscissa < 0:
        return (
            "the noise covariance of the linear network is lost in rounding: its spectral abscissa is "
            f"{abscissa:.4g} 1/s, but it grows by orders of magnitude before it decays; use diagonal='row-dominant'"
        )
    return (
        f"the linear network does not decay: its spectral abscissa is {abscissa:.4g} 1/s and must be below 0; "
        f"use diagonal='row-dominant', or raise the leak of every neuron by more than {abscissa:.4g} 1/s"
    )


def spectral_abscissa(A: Any) -> float:
    """Largest real part of an eigenvalue of A.

    Parameters
    ----------
    A : array or sparse array of float, shape (N, N)

    Returns
    -------
    float
        From all eigenvalues for N <= 600; beyond, by Arnoldi iteration (ARPACK) from a fixed start vector, to a
        relative accuracy of 1e-6 of its modulus, and from all eigenvalues where that does not converge.

    Examples
    --------
    >>> spectral_abscissa([[-1.0, 5.0], [0.0, -2.0]])
    -1.0
    """
    matrix: Any = A if sparse.issparse(A) else checks.array("A", A, shape=(None, None))
    n = matrix.shape[0]
    if n > ALL_EIGENVALUES:
        start = np.random.default_rng(0).standard_normal(n)
        try:
            found = sparse.linalg.eigs(matrix, k=1, which="LR", v0=start, tol=1e-6, return_eigenvectors=False)
            return float(found[0].real)
        except sparse.linalg.ArpackNoConvergence:
            pass
    return float(np.linalg.eigvals(matrix.toarray() if sparse.issparse(matrix) else matrix).real.max())
