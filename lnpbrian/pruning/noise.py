"""Noise pruning of synapses: covariance of the linear network, keep probabilities, sampling, rescaling (step I).

Synapse arrays (``pre``, ``post``, ``weights``, scores, probabilities, masks) are aligned: entry `e` belongs to the
synapse onto neuron ``post[e]`` from neuron ``pre[e]``. Rates are in 1/s, weights in the unit of the caller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import solve_continuous_lyapunov

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.options import Options, option, options
from lnpbrian.pruning.linearise import (
    DENSE_NEURONS,
    DIAGONALS,
    NEIGHBOURS,
    STRENGTHS,
    LinearNetwork,
    edge_strength,
    entries,
    estimated_lyapunov_matrix,
    exact_overlap_is_affordable,
    linear_network,
    lyapunov_matrix,
    not_decaying,
    spectral_abscissa,
)

__all__ = [
    "KeepProbability",
    "NoiseCovariance",
    "NoisePruneOptions",
    "NoisePruneResult",
    "RescaledWeights",
    "excitability_shift",
    "keep_probability",
    "keep_scores",
    "local_covariance",
    "noise_covariance",
    "noise_prune",
    "rescale",
    "sample_edges",
]

RESCALES = ("inverse", "capped", "none", "homeostatic")
EXCITABILITIES = ("auto", "keep", "compensate")
COVARIANCES = ("auto", "exact", "local")
OVERLAPS = ("auto", "exact", "expected")

# "auto" takes the exact covariance up to this size: a third of a second (two cores; 2 s at twice the size).
EXACT_NEURONS = 500

# Doubling stops when the rest of the series is below this fraction of the covariance.
SERIES_END = 1e-14
# 2**60 terms: an A that needs more is not Hurwitz in float64.
MAXIMUM_DOUBLINGS = 60
DIVERGED = 1e60
NOT_DOMINANT = "the local covariance needs a row-dominant A; use noise_covariance or diagonal='row-dominant'"
# With a relative residual above this, the slowest decay is lost in rounding.
MEANINGLESS = 1e-3
MAXIMUM_LOCAL_STEPS = 20_000
# Sampled connections integrated at a time, and dimensions of their Krylov spaces: arrays of N x COLUMNS x dimension.
COLUMNS = 16
MAXIMUM_DIMENSION = 80
# Relative change of a sampled bracket in two successive dimensions at which it counts as found.
SETTLED = 1e-5
# Scores this far below the largest one count as zero: their keep probability could not be represented.
NEGLIGIBLE = 1e-100


# ---------------------------------------------------------------------------------------------------- covariance


@dataclass(frozen=True, eq=False)
class NoiseCovariance:
    """Stationary covariance C of dr/dt = A r + sigma xi, and how good it is.

    Attributes
    ----------
    covariance : array of float, shape (N, N), or csr_array with the diagonal and the connected pairs only
        Symmetric, in units of sigma^2 times seconds.
    error : float
        From `noise_covariance` the relative residual ||A C + C A^T + sigma^2 I|| / ||sigma^2 I|| (Frobenius norms);
        from `local_covariance` the largest relative error of C_ii + C_jj - 2 s C_ij on a sample of the connections.
    iterations : int
        Doublings (after k of them 2^k terms of the series are summed), or fixed-point steps of the local equations.
    status : str
        What to know about the result.
    """

    covariance: np.ndarray | sparse.csr_array = field(repr=False)
    error: float
    iterations: int
    status: str


def noise_covariance(A: Any, sigma: float, *, tolerance: float = 1e-10) -> NoiseCovariance:
    """Solve A C + C A^T + sigma^2 I = 0 for the stationary covariance C.

    Parameters
    ----------
    A : array or sparse array of float, shape (N, N), 1/s
        Must be Hurwitz. Worked on as a dense matrix: five arrays of N x N float64 at a time.
    sigma : float, > 0
        Standard deviation of the white noise on every neuron, per square root of a second.
    tolerance : float, > 0
        Relative residual above which one refinement is made, and a remaining excess is told in the status.

    Returns
    -------
    NoiseCovariance

    Raises
    ------
    InvalidInput
        If A is not Hurwitz, or by no more than rounding, with its spectral abscissa.

    Notes
    -----
    With q > 0, R = (A - q I)^-1 and G = R (A + q I) (Cayley transform), the equation is equivalent to
    C = G C G^T + 2 q sigma^2 R R^T, whose series C = sum_k G^k (2 q sigma^2 R R^T) (G^k)^T is summed by doubling:
    C <- C + G C G^T, G <- G^2 (squared Smith iteration; R. A. Smith, SIAM J. Appl. Math. 16:198, 1968,
    doi:10.1137/0116017). The spectral radius of G is below 1 exactly if A is Hurwitz, for any q; near
    q = sqrt(a b), where -a and -b bound the real parts of the spectrum, it is smallest.

    Examples
    --------
    One neuron: C = sigma^2 / (2 a). Two, coupled one way:

    >>> noise_covariance([[-2.0]], 1.0).covariance
    array([[0.25]])
    >>> noise_covariance([[-1.0, 0.0], [1.0, -1.0]], 2.0).covariance
    array([[2., 1.],
           [1., 3.]])
    >>> noise_covariance([[0.5]], 1.0)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: the linear network does not decay: its spectral abscissa is 0.5 1/s ...
    """
    M: Any = A.astype(float) if sparse.issparse(A) else checks.array("A", A, shape=(None, None))
    n = M.shape[0]
    if M.shape != (n, n) or n == 0:
        raise InvalidInput(f"A must be square and not empty, got shape {M.shape}")
    noise = checks.real("sigma", sigma, above=0) ** 2
    limit = checks.real("tolerance", tolerance, above=0)
    dense = M.toarray() if sparse.issparse(M) else M
    if np.trace(dense) >= 0:
        raise InvalidInput(not_decaying(spectral_abscissa(M)))

    q = _shift(M, n)
    eye = np.eye(n)
    try:
        R = np.linalg.inv(dense - q * eye)
    except np.linalg.LinAlgError:
        raise InvalidInput(not_decaying(spectral_abscissa(M))) from None
    C, doublings = _smith(R, q, (2 * q * noise) * (R @ R.T))
    if not np.isfinite(C).all() or doublings >= MAXIMUM_DOUBLINGS:
        raise InvalidInput(not_decaying(spectral_abscissa(M)))

    rest, residual = _residual(M, C, noise)
    if residual > limit:
        correction, _ = _smith(R, q, (2 * q) * (R @ rest @ R.T))
        better = C + (correction + correction.T) / 2
        _, improved = _residual(M, better, noise)
        if improved < residual:
            C, residual = better, improved
    if residual > MEANINGLESS:
        raise InvalidInput(not_decaying(spectral_abscissa(M)))
    status = f"exact: relative residual {residual:.1e} after {doublings} doublings"
    if residual > limit:
        status += f", above the tolerance of {limit:.1e}: A is close to losing stability"
    return NoiseCovariance(C, residual, doublings, status)


def _shift(M: Any, n: int) -> float:
    """q = sqrt(a b) from power iterations; a wrong guess costs doublings, never accuracy."""
    start = np.random.default_rng(0).standard_normal(n)

    def radius(offset: float) -> float:
        x, growth = start / np.linalg.norm(start), []
        for _ in range(24):
            x = M @ x + offset * x
            growth.append(float(np.linalg.norm(x)))
            if growth[-1] == 0:
                return 0.0
            x = x / growth[-1]
        return math.exp(float(np.mean(np.log(growth[-8:]))))

    b = radius(0.0)
    a = b - radius(b)
    return math.sqrt(min(max(a, 1e-3 * b), b) * b)


def _smith(R: np.ndarray, q: float, C: np.ndarray) -> tuple[np.ndarray, int]:
    """Sum of G^k C (G^k)^T over all k >= 0, with G = I + 2 q R; (NaN, MAXIMUM_DOUBLINGS) if it diverges."""
    G = 2 * q * R
    G[np.diag_indices_from(G)] += 1
    for doublings in range(MAXIMUM_DOUBLINGS):
        rest = float(np.linalg.norm(G)) ** 2  # what the sum lacks, relative to C, is at most this
        if rest <= SERIES_END:
            return C, doublings
        if rest > DIVERGED:
            break
        C = C + (G @ C) @ G.T
        if rest**2 <= SERIES_END:
            return (C + C.T) / 2, doublings + 1
        G = G @ G
    return np.full_like(C, np.nan), MAXIMUM_DOUBLINGS


def _residual(M: Any, C: np.ndarray, noise: float) -> tuple[np.ndarray, float]:
    """A C + C A^T + sigma^2 I and its norm relative to that of sigma^2 I."""
    rest = M @ C
    rest = rest + rest.T
    rest[np.diag_indices_from(rest)] += noise
    return rest, float(np.linalg.norm(rest)) / (noise * math.sqrt(len(C)))


def local_covariance(
    A: Any, sigma: float, *, rng: np.random.Generator, samples: int = 16, tolerance: float = 0.05
) -> NoiseCovariance:
    """Covariances of connected pairs only, at a cost that grows with the connections, with a measured error.

    Of the equation for a pair, ``(d_i + d_j) C_ij = sum_{k != i} A_ik C_kj + sum_{k != j} C_ik A_jk`` with d the
    negative diagonal of A, the terms of the direct connections (k = j, k = i) are kept and those through third neurons
    left out:

        C_ij = (A_ij C_jj + A_ji C_ii) / (d_i + d_j),    2 d_i C_ii = sigma^2 + 2 sum_k A_ik C_ik.

    Parameters
    ----------
    A : sparse array or array of float, shape (N, N), 1/s
        Meant for row-dominant A, for which the equations have one solution.
    sigma : float, > 0
        Standard deviation of the white noise.
    rng : numpy.random.Generator
        Draws the connections on which the error is measured.
    samples : int, > 0
        Number of those connections. For each, ``sigma^2 int |exp(A^T t)(e_i - s e_j)|^2 dt``, which is the exact
        ``C_ii + C_jj - 2 s C_ij`` of Moore and Chaudhuri (2020), is computed in a growing Krylov space until it
        changes by less than 1e-5; it is then right within 1e-4.
    tolerance : float, > 0
        Sampled relative error above which the status warns.

    Returns
    -------
    NoiseCovariance
        With `covariance` as a csr_array: the diagonal and the connected pairs, in both orders.

    Raises
    ------
    InvalidInput
        If the local equations do not converge, or a sampled connection does not decay.

    Notes
    -----
    With row-dominant A and the Lyapunov strengths, N = 1500, densities 0.1 to 0.005, the rank correlation with the
    exact scores is above 0.9998, and keep probabilities move by 0.1 % of their sum at most; the largest error of a
    single score is 0.3 to 2 % in random networks, 0.7 to 3 % in clustered ones and 3 to 7 % with heavy-tailed degrees.
    With ``diagonal="shift"`` a global mode is close to instability and the errors reach 14 to 99 %
    (`lnpbrian.experiments.covariance_accuracy`).

    Examples
    --------
    Exact for two neurons: between weight w = 1 both ways and leak w + s = 3, C_ii + C_jj - 2 C_ij = 1 / (2 w + s).

    >>> from scipy.sparse import csr_array
    >>> A = csr_array([[-3.0, 1.0], [1.0, -3.0]])
    >>> C = local_covariance(A, 1.0, rng=np.random.default_rng(0)).covariance.toarray()
    >>> bool(np.isclose(C[0, 0] + C[1, 1] - 2 * C[0, 1], 1 / 4))
    True
    """
    M = sparse.csr_array(A if sparse.issparse(A) else checks.array("A", A, shape=(None, None)), dtype=float)
    n = M.shape[0]
    noise = checks.real("sigma", sigma, above=0) ** 2
    checks.count("samples", samples)
    limit = checks.real("tolerance", tolerance, above=0)
    d = -M.diagonal()
    if not (d > 0).all():
        raise InvalidInput(not_decaying(float(-d.min())))

    off = sparse.csr_array(M + sparse.diags_array(d))
    off.eliminate_zeros()
    off.sort_indices()
    row, column = np.repeat(np.arange(n, dtype=np.int32), np.diff(off.indptr)), off.indices
    mutual = off.multiply(off.T.tocsr()).tocoo()
    i, j = mutual.coords
    own = np.bincount(i, weights=mutual.data / (d[i] + d[j]), minlength=n)
    data = off.data**2 / (d[row] + d[column])
    other = sparse.csr_array((data, column, off.indptr), shape=(n, n))
    if not (d > own).all():
        raise InvalidInput(NOT_DOMINANT)
    c, iterations = noise / (2 * d), 0
    for _ in range(MAXIMUM_LOCAL_STEPS):
        iterations += 1
        previous, c = c, (noise / 2 + other @ c) / (d - own)
        if np.abs(c - previous).max() <= 1e-12 * c.max():
            break
    else:
        raise InvalidInput(NOT_DOMINANT)

    other.data = off.data * c[column] / (d[row] + d[column])
    half = sparse.csr_array(other + sparse.diags_array(c / 2))
    C = half + half.T.tocsr()
    error = 0.0
    chosen = rng.choice(off.nnz, size=min(samples, off.nnz), replace=False)
    for low in range(0, chosen.size, COLUMNS):
        at = chosen[low : low + COLUMNS]
        i, j, s = row[at], column[at], np.sign(off.data[at])
        exact = noise * _unit_brackets(M, i, j, s)
        error = max(error, float(np.abs((c[i] + c[j] - 2 * s * entries(C, i, j)) / exact - 1).max()))
    status = f"local: largest relative error {error:.1e} on {chosen.size} sampled connections"
    if error > limit:
        status += f", above the tolerance of {limit:.1e}: use noise_covariance"
    return NoiseCovariance(C, error, iterations, status)


def _unit_brackets(A: sparse.csr_array, i: np.ndarray, j: np.ndarray, s: np.ndarray) -> np.ndarray:
    """int_0^inf |exp(A^T t) u|^2 dt, u = e_i - s e_j, one column per pair.

    With an orthonormal basis V of span(u, A^T u, ..., A^T^(m-1) u) and H = V^T A^T V, exp(A^T t) u is about
    |u| V exp(H t) e_1, and the integral |u|^2 X_11 with H^T X + X H + I = 0 (Arnoldi; Y. Saad, SIAM Journal on
    Numerical Analysis 29:209, 1992, doi:10.1137/0729014).
    """
    pairs = np.arange(i.size)
    u = np.zeros((A.shape[0], i.size))
    u[i, pairs] = 1
    u[j, pairs] -= s
    length = np.linalg.norm(u, axis=0)
    basis = [u / length]
    H = np.zeros((i.size, MAXIMUM_DIMENSION + 1, MAXIMUM_DIMENSION))
    found, changes = np.full(i.size, np.inf), np.full((2, i.size), np.inf)
    open_ = np.ones(i.size, dtype=bool)
    for m in range(1, MAXIMUM_DIMENSION + 1):
        w = A.T @ basis[-1]
        size = np.linalg.norm(w, axis=0)
        for k, v in enumerate(basis):
            H[:, k, m - 1] = (v * w).sum(axis=0)
            w -= H[:, k, m - 1] * v
        rest = np.linalg.norm(w, axis=0)
        closed = rest <= 1e-12 * size  # the space is invariant: the value is exact
        H[:, m, m - 1] = np.where(closed, 0, rest)
        basis.append(np.divide(w, rest, out=np.zeros_like(w), where=~closed))
        decays = np.linalg.eigvals(H[:, :m, :m]).real.max(axis=1) < 0
        for e in np.flatnonzero(open_):
            h = H[e, :m, :m]
            value = float(solve_continuous_lyapunov(h.T, -np.eye(m))[0, 0]) if decays[e] else math.inf
            change = abs(value / found[e] - 1) if found[e] < math.inf else math.inf
            changes[:, e], found[e] = (changes[1, e], change), value
        open_ &= ~(closed | (changes.max(axis=0) <= SETTLED))
        if not open_.any():
            break
    if open_.any() or not np.isfinite(found).all():
        raise InvalidInput(
            f"the linear network does not decay, or too slowly to measure the error of its local covariance within "
            f"{MAXIMUM_DIMENSION} dimensions; raise its leak"
        )
    return length**2 * found


# ------------------------------------------------------------------------------------------- scores and probabilities


def keep_scores(
    pre: object, post: object, weights: object, *, strength: object, covariance: np.ndarray | sparse.csr_array
) -> np.ndarray:
    """Keep probability of every synapse up to its common factor rho.

    ``strength_ij (C_ii + C_jj - 2 sign(W_ij) C_ij)``: the noise power of the difference of the two rates for an
    excitatory synapse, of their sum for an inhibitory one.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse.
    weights : array of float, shape (S,)
        Only their sign enters.
    strength : array of float, shape (S,), 1/s, at least 0
        `edge_strength` of the synapses.
    covariance : array of float or csr_array, shape (N, N)
        The `covariance` of `noise_covariance` or `local_covariance`.

    Returns
    -------
    array of float, shape (S,), at least 0
        0 for a synapse of weight 0, which the linear network does not contain, and for an excitatory self-connection.

    Raises
    ------
    InvalidInput
        If a score is negative beyond rounding: the covariance is then not one.

    Notes
    -----
    Equation (4) of Chakraborty et al. (2024), arXiv 2403.03409, after Moore and Chaudhuri (2020), arXiv 2011.07334. The
    case is decided by the sign of the weight.

    Examples
    --------
    >>> C = np.array([[2.0, 0.5], [0.5, 3.0]])
    >>> keep_scores([0, 1], [1, 0], [0.1, -0.1], strength=[10.0, 1.0], covariance=C)
    array([40.,  6.])
    """
    C = covariance if sparse.issparse(covariance) else checks.array("covariance", covariance, shape=(None, None))
    n = C.shape[0]
    pre, post = checks.edge_arrays(pre, post, n)
    sign = np.sign(checks.array("weights", weights, shape=pre.shape))
    size = checks.array("strength", strength, shape=pre.shape)
    if (size < 0).any():
        raise InvalidInput(f"strength must be at least 0, got {size.min()}; use edge_strength")
    c = C.diagonal()
    level = c[post] + c[pre]
    bracket = level - 2 * sign * entries(C, post, pre)
    wrong = np.flatnonzero(bracket < -1e-8 * np.abs(level))
    if wrong.size:
        e = wrong[0]
        raise InvalidInput(
            f"covariance must be positive semidefinite, got {bracket[e]:.3g} between neurons {pre[e]} and {post[e]}"
        )
    return np.abs(sign) * size * np.maximum(bracket, 0)  # eq. (4)


@dataclass(frozen=True, eq=False)
class KeepProbability:
    """Keep probabilities ``min(1, rho * score)``, the factor and their sum.

    Attributes
    ----------
    probability : array of float, shape (S,)
        In [0, 1].
    rho : float
        In the inverse unit of the scores.
    expected_count : float
        Sum of the probabilities.
    certain : int
        Number of synapses with probability 1.
    """

    probability: np.ndarray = field(repr=False)
    rho: float
    expected_count: float
    certain: int


def keep_probability(
    scores: object,
    *,
    fraction: float | None = None,
    count: float | None = None,
    rho: float | None = None,
    epsilon: float | None = None,
    neurons: int | None = None,
    sigma: float | None = None,
) -> KeepProbability:
    """Keep probabilities p = min(1, rho * score), with rho from exactly one of four statements.

    Parameters
    ----------
    scores : array of float, shape (S,), at least 0
        `keep_scores` of the synapses.
    fraction : float, in [0, 1]
        Expected fraction of the S synapses kept; the same as ``count = fraction * S``.
    count : float, at least 0
        Expected number of synapses kept. rho then solves ``sum(min(1, rho * scores)) = count`` exactly: the sum is
        piecewise linear and increasing in rho, its breakpoints are the inverse scores.
    rho : float, at least 0
        The factor itself.
    epsilon : float, > 0
        Spectral accuracy: ``rho = 8 ln(neurons) / (epsilon^2 sigma^2)``, which bounds the change of the spectrum of a
        symmetric diagonally dominant A by a factor 1 +- epsilon with high probability. Needs `neurons` and `sigma`.
    neurons : int
        Number of neurons N, for `epsilon`.
    sigma : float, > 0
        The noise the covariance was computed with, for `epsilon`.

    Returns
    -------
    KeepProbability

    Raises
    ------
    InvalidInput
        If not exactly one of the four is given, or more synapses are asked for than have a score above 0.

    Notes
    -----
    rho of equation (4) of Chakraborty et al. (2024), arXiv 2403.03409, K of Moore and Chaudhuri (2020), arXiv
    2011.07334, whose code normalises first and clips afterwards and so keeps fewer than asked.

    Examples
    --------
    Two of three wanted, the largest score is clipped: 1 + rho (1 + 1) = 2.

    >>> result = keep_probability([8.0, 1.0, 1.0], count=2)
    >>> result.probability, result.rho
    (array([1. , 0.5, 0.5]), 0.5)
    """
    s = checks.array("scores", scores, shape=(None,))
    if (s < 0).any():
        raise InvalidInput(f"scores must be at least 0, got {s.min()}")
    given = {"fraction": fraction, "count": count, "rho": rho, "epsilon": epsilon}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise InvalidInput(f"exactly one of {', '.join(given)} is needed, got {', '.join(named) or 'none'}")
    if rho is not None:
        factor = checks.real("rho", rho, at_least=0)
    elif epsilon is not None:
        eps = checks.real("epsilon", epsilon, above=0)
        if neurons is None or sigma is None:
            raise InvalidInput("epsilon needs neurons and sigma as well")
        n = checks.count("neurons", neurons)
        factor = 8 * math.log(n) / (eps**2 * checks.real("sigma", sigma, above=0) ** 2)
    elif fraction is not None:
        factor = _solve_rho(s, checks.real("fraction", fraction, at_least=0, at_most=1) * s.size)
    else:
        factor = _solve_rho(s, checks.real("count", count, at_least=0))
    p = np.minimum(factor * s, 1.0)
    return KeepProbability(p, factor, float(p.sum()), int((p == 1).sum()))


def _solve_rho(scores: np.ndarray, target: float) -> float:
    """The rho for which sum(min(1, rho * scores)) = target."""
    positive = scores[scores > NEGLIGIBLE * scores.max(initial=0)]
    if target > positive.size * (1 + 1e-12):
        raise InvalidInput(
            f"count must be at most the number of synapses with a score above 0 ({positive.size} of {scores.size}), "
            f"got {target:g}"
        )
    if target == 0:
        return 0.0
    x = np.sort(positive)[::-1]
    tail = np.cumsum(x[::-1])[::-1]  # tail[m] = x[m] + x[m+1] + ...
    # With rho = 1 / x[m], the sum is m + tail[m] / x[m]: non-decreasing in m. Those below the target are clipped.
    clipped = int(np.searchsorted(np.arange(x.size) + tail / x, target, side="left"))
    if clipped == x.size:
        return float(1 / x[-1])
    return float((target - clipped) / x[clipped:].sum())


def sample_edges(probability: object, *, rng: np.random.Generator) -> np.ndarray:
    """Keep each synapse independently with its probability.

    Parameters
    ----------
    probability : array of float, shape (S,), in [0, 1]
    rng : numpy.random.Generator

    Returns
    -------
    array of bool, shape (S,)
        True where U < probability, U uniform on [0, 1): never at 0, always at 1.

    Examples
    --------
    >>> sample_edges([1.0, 0.0, 1.0], rng=np.random.default_rng(1))
    array([ True, False,  True])
    """
    p = _probabilities(probability)
    return rng.random(p.size) < p


def _probabilities(value: object) -> np.ndarray:
    p = checks.array("probability", value, shape=(None,))
    if ((p < 0) | (p > 1)).any():
        raise InvalidInput(f"probability must be in [0, 1], got {p[(p < 0) | (p > 1)][0]}")
    return p


# ------------------------------------------------------------------------------------------------ kept weights, input


@dataclass(frozen=True, eq=False)
class RescaledWeights:
    """Weights of the kept synapses.

    Attributes
    ----------
    weights : array of float, shape (S_kept,)
        In the order of the kept synapses.
    largest_factor : float
        Largest ratio of new to old weight (1 if nothing was kept).
    capped : int
        Number of kept synapses whose factor was cut to `cap`.
    uncompensated : int
        For "homeostatic": number of (neuron, sign) groups that had mean input and kept no synapse to carry it.
    """

    weights: np.ndarray = field(repr=False)
    largest_factor: float
    capped: int
    uncompensated: int


def rescale(
    weights: object,
    keep: object,
    probability: object = None,
    *,
    method: str = "homeostatic",
    cap: float | None = None,
    pre: object = None,
    post: object = None,
    rates: object = None,
) -> RescaledWeights:
    """Weights of the kept synapses, scaled up for what was removed.

    Parameters
    ----------
    weights : array of float, shape (S,)
        Before pruning.
    keep : array of bool, shape (S,)
    probability : array of float, shape (S,), in [0, 1]
        Keep probabilities, for "inverse" and "capped".
    method : {"inverse", "capped", "none", "homeostatic"}
        * "inverse": ``w / p``, so that the expected network is the network before (Moore and Chaudhuri 2020).
        * "capped": ``w min(1/p, cap)``.
        * "none": ``w``.
        * "homeostatic": ``w f``, with one factor f >= 1 per target neuron and sign, such that the mean excitatory and
          the mean inhibitory input, ``sum_j W_ij r_j`` over the synapses of that sign, stay what they were.
    cap : float, at least 1
        Largest factor: needed by "capped", optional for "homeostatic".
    pre, post : array of int, shape (S,)
        Source and target neurons, for "homeostatic".
    rates : array of float, shape (N,), Hz, at least 0
        Measured rates, for "homeostatic". A group all of whose presynaptic neurons are silent is scaled as if they all
        fired at the same rate. ``None``: all neurons at the same rate.

    Returns
    -------
    RescaledWeights
        A group that keeps no synapse, or only ones from silent neurons, cannot be compensated: its weights stay as they
        are and it is counted in `uncompensated`.

    Raises
    ------
    InvalidInput
        If an argument the method needs is missing, or a kept synapse has probability 0.

    Examples
    --------
    >>> rescale([1.0, 2.0, -1.0], [True, False, True], [0.5, 0.1, 0.25], method="inverse").weights
    array([ 2., -4.])
    >>> rescale([1.0, 2.0, -1.0], [True, False, True], pre=[0, 1, 2], post=[3, 3, 3]).weights
    array([ 3., -1.])
    """
    w = checks.array("weights", weights, shape=(None,))
    kept = checks.keep_mask("keep", keep, w.size)
    checks.choice("method", method, RESCALES)
    limit = math.inf if cap is None else checks.real("cap", cap, at_least=1)
    if method == "capped" and cap is None:
        raise InvalidInput("rescale by 'capped' needs cap, the largest factor")
    uncompensated = 0
    if method in ("inverse", "capped"):
        if probability is None:
            raise InvalidInput(f"rescale by {method!r} needs probability")
        p = _probabilities(probability)
        if p.shape != w.shape:
            raise InvalidInput(f"probability must have one entry per synapse ({w.size}), got {p.size}")
        if (p[kept] == 0).any():
            raise InvalidInput("a kept synapse has probability 0 and cannot be rescaled; keep only sampled synapses")
        factor = 1 / p[kept]
        limit = limit if method == "capped" else math.inf
    elif method == "homeostatic":
        if pre is None or post is None:
            raise InvalidInput("rescale by 'homeostatic' needs pre and post")
        factor, uncompensated = _input_ratio(w, kept, pre, post, rates)
    else:
        factor = np.ones(int(kept.sum()))
    capped = int((factor > limit).sum())
    factor = np.minimum(factor, limit)
    return RescaledWeights(w[kept] * factor, float(factor.max(initial=1.0)), capped, uncompensated)


def _input_ratio(w: np.ndarray, kept: np.ndarray, pre: object, post: object, rates: object) -> tuple[np.ndarray, int]:
    """Per kept synapse: input of its (target, sign) group before over after; and how many groups cannot be repaired."""
    n = 1 + max(np.max(ends, initial=0) for ends in (np.asarray(pre), np.asarray(post)))
    r = np.ones(n) if rates is None else _rates(rates)
    pre, post = checks.edge_arrays(pre, post, r.size)
    if pre.shape != w.shape:
        raise InvalidInput(f"pre and post must have one entry per synapse ({w.size}), got {pre.size}")
    group = 2 * post + (w < 0)
    drive = np.abs(w) * r[pre]

    def per_group(values: np.ndarray, which: np.ndarray) -> np.ndarray:
        return np.bincount(group[which], weights=values[which], minlength=2 * r.size)

    every = np.ones(w.size, dtype=bool)
    silent = per_group(drive, every) == 0
    drive = np.where(silent[group], np.abs(w), drive)
    before, after = per_group(drive, every), per_group(drive, kept)
    ratio = np.divide(before, after, out=np.ones_like(before), where=after > 0)
    return ratio[group[kept]], int(((before > 0) & (after == 0)).sum())


def _rates(value: object) -> np.ndarray:
    r = checks.array("rates", value, shape=(None,))
    if (r < 0).any():
        raise InvalidInput(f"rates must be at least 0 Hz, got {r.min()}")
    return r


def excitability_shift(
    pre: object, post: object, weights: object, *, pruned_weights: object, rates: object, gain: object
) -> np.ndarray:
    """Change of every neuron's mean input by pruning; subtract it from the neuron's bias to compensate.

    ``Delta_i = gain_i sum_j (W'_ij - W_ij) r_j``.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse before pruning.
    weights : array of float, shape (S,)
        Before pruning.
    pruned_weights : array of float, shape (S,)
        After it, with 0 for a removed synapse.
    rates : array of float, shape (N,), Hz
        Presynaptic rates.
    gain : float or array of float, shape (N,), s, > 0
        Mean input per weight and rate: tau_syn for a current that jumps by the weight and decays exponentially, the
        target's tau_m for delta synapses, where the potential jumps by the weight.

    Returns
    -------
    array of float, shape (N,)
        In the unit of the bias; negative where excitation was lost.

    Notes
    -----
    The diagonal correction of the linear network (Moore and Chaudhuri 2020, arXiv 2011.07334: A_ii - Delta_i), read as
    excitability of a spiking neuron.

    Examples
    --------
    >>> excitability_shift([0, 1], [1, 0], [2.0, -3.0], pruned_weights=[0.0, -3.0], rates=[10.0, 5.0], gain=0.01)
    array([ 0. , -0.2])
    """
    r = _rates(rates)
    pre, post = checks.edge_arrays(pre, post, r.size)
    w = checks.array("weights", weights, shape=pre.shape)
    new = checks.array("pruned_weights", pruned_weights, shape=pre.shape)
    tau = checks.array("gain", gain)
    if tau.shape not in ((), r.shape) or not (tau > 0).all():
        raise InvalidInput(f"gain must be a time above 0 s, one or one per neuron ({r.size}), got {gain!r}")
    return tau * np.bincount(post, weights=(new - w) * r[pre], minlength=r.size)


# ------------------------------------------------------------------------------------------------------- all together


@options
class NoisePruneOptions(Options):
    """How noise pruning reads the points that the paper leaves open.

    Notes
    -----
    `edge_strength`, `lyapunov_matrix` and `linear_network` say what the first four options do, `rescale` what becomes
    of weights. Of the covariances, the exact one takes a time that grows with the cube of the neurons, the local one
    grows with the synapses; "auto" is the exact one up to 500 neurons and wherever the diagonal is not row-dominant. Of
    the overlaps of neighbourhoods, the expected one is an estimate; "auto" is the exact one up to 10,000 neurons or a
    sum of squared degrees of 1e9.
    """

    edge_strength: str = option(
        default="lyapunov", help="What makes a synapse strong.", choices=STRENGTHS, flag="edge-strength"
    )
    neighbours: str = option(
        default="both", help="Neighbourhoods of the Lyapunov matrix.", choices=NEIGHBOURS, flag="neighbours"
    )
    signed: bool = option(default=False, help="Signed harmonic mean of the exponents.")
    diagonal: str = option(
        default="row-dominant", help="Diagonal of the linear network.", choices=DIAGONALS, flag="diagonal"
    )
    margin: float | None = option(
        default=None, help="How far below 0 the shift brings the spectral abscissa, in 1/s.", above=0
    )
    sigma: float = option(
        default=1.0,
        help="Noise of the linear network; it scales scores and 1/rho and cancels unless rho is given.",
        above=0,
    )
    covariance: str = option(default="auto", help="How the covariance is computed.", choices=COVARIANCES)
    overlap: str = option(default="auto", help="How overlaps of neighbourhoods are computed.", choices=OVERLAPS)
    rescale: str = option(default="none", help="How kept weights are rescaled.", choices=RESCALES, flag="rescale")
    cap: float | None = option(default=None, help="Largest rescaling factor.", flag="cap", at_least=1)
    excitability: str = option(
        default="auto",
        help="Whether the bias makes up for the mean input that neurons lose, auto: where it is known.",
        choices=EXCITABILITIES,
        flag="excitability",
    )

    def check_together(self) -> None:
        """Refuse a cap that is missing."""
        if self.rescale == "capped" and self.cap is None:
            raise InvalidInput("rescale='capped' needs cap, the largest factor")

    @classmethod
    def paper(cls) -> NoisePruneOptions:
        """The reading closest to Chakraborty et al. (2024).

        >>> NoisePruneOptions.paper().rescale
        'inverse'
        """
        return cls(
            edge_strength="lyapunov",
            signed=True,
            diagonal="row-dominant",
            covariance="exact",
            overlap="exact",
            rescale="inverse",
            excitability="keep",
        )


@dataclass(frozen=True, eq=False)
class NoisePruneResult:
    """What noise pruning decided.

    Attributes
    ----------
    keep : array of bool, shape (S,)
    weights : array of float, shape (S_kept,)
        Weights of the kept synapses, rescaled.
    probability : array of float, shape (S,)
    rho : float
    expected_count : float
        Sum of the probabilities.
    bias_shift : array of float, shape (N,)
        To be added to the bias: zero with ``excitability="keep"``.
    lyapunov : array of float, shape (S,), 1/s
        L of each synapse; empty if the strength does not use it.
    lyapunov_error : float
        `LyapunovEstimate.error`; 0 if L was not estimated.
    covariance_error : float
        `NoiseCovariance.error`.
    uncompensated : int
        `RescaledWeights.uncompensated`.
    capped : int
        `RescaledWeights.capped`.
    options : NoisePruneOptions
    status : str
        What to know about the result.
    """

    keep: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    probability: np.ndarray = field(repr=False)
    rho: float
    expected_count: float
    bias_shift: np.ndarray = field(repr=False)
    lyapunov: np.ndarray = field(repr=False)
    lyapunov_error: float
    covariance_error: float
    uncompensated: int
    capped: int
    options: NoisePruneOptions = field(repr=False)
    status: str


def noise_prune(
    pre: object,
    post: object,
    weights: object,
    *,
    exponents: object,
    time_constants: object,
    resolution: float,
    rng: np.random.Generator,
    fraction: float | None = None,
    count: float | None = None,
    rho: float | None = None,
    epsilon: float | None = None,
    rates: object = None,
    gain: object = None,
    groups: object = None,
    options: NoisePruneOptions | None = None,
) -> NoisePruneResult:
    """Step I of Lyapunov noise pruning: which synapses stay, and with which weights.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse.
    weights : array of float, shape (S,)
    exponents : array of float, shape (N,), 1/s
        One Lyapunov exponent per neuron.
    time_constants : array of float, shape (N,), s, > 0
        Membrane time constants.
    resolution : float, 1/s, > 0
        One over the averaging time of the exponents; see `lnpbrian.pruning.linearise.lyapunov_matrix`.
    rng : numpy.random.Generator
        Draws the synapses to keep, and through generators of its own those on which errors are measured.
    fraction, count, rho, epsilon
        Exactly one; see `keep_probability`.
    rates : array of float, shape (N,), Hz
        Measured rates, for the homeostatic rescaling (default: all equal) and the bias.
    gain : float or array of float, shape (N,), s
        tau_syn, or tau_m with delta synapses, for the bias; see `excitability_shift`.
    groups : array of int, shape (N,), optional
        Cluster of each neuron, for expected overlaps; see `lnpbrian.pruning.linearise.estimated_lyapunov_matrix`.
    options : NoisePruneOptions

    Returns
    -------
    NoisePruneResult
        Its status says which covariance and overlaps were used, and with which measured error.

    Raises
    ------
    InvalidInput
        As the functions it is made of; if ``excitability="compensate"`` comes without `rates` or `gain`; and if
        ``covariance="auto"`` has neither a row-dominant diagonal nor 10,000 neurons or fewer.

    Notes
    -----
    Equations (1), (2) and (4) of Chakraborty et al. (2024), arXiv 2403.03409, one function each: `lyapunov_matrix`,
    `linear_network`, `noise_covariance`, `keep_scores`, `keep_probability`, `sample_edges`, `rescale`.

    Examples
    --------
    >>> ring = np.arange(4)
    >>> result = noise_prune(ring, (ring + 1) % 4, np.ones(4), exponents=-50 * np.ones(4), resolution=0.5,
    ...                      time_constants=0.02 * np.ones(4), count=4, rng=np.random.default_rng(0))
    >>> result.keep, result.lyapunov
    (array([ True,  True,  True,  True]), array([50., 50., 50., 50.]))
    """
    chosen = NoisePruneOptions() if options is None else options
    known = rates is not None and gain is not None
    compensate = chosen.excitability == "compensate" or (chosen.excitability == "auto" and known)
    if compensate and not known:
        raise InvalidInput("excitability='compensate' needs rates and gain (tau_syn, or tau_m with delta synapses)")
    tau = checks.array("time_constants", time_constants, shape=(None,))
    n = tau.size
    pre, post = checks.edge_arrays(pre, post, n)
    w = checks.array("weights", weights, shape=pre.shape)

    overlap_rng, covariance_rng = rng.spawn(2)
    lyapunov, lyapunov_error, told = np.empty(0), 0.0, "not used"
    if chosen.edge_strength != "weight":
        lam = checks.array("exponents", exponents, shape=(n,))
        how: dict[str, Any] = {
            "resolution": resolution,
            "neighbours": chosen.neighbours,
            "signed": chosen.signed,
        }
        exact = chosen.overlap == "exact" or (chosen.overlap == "auto" and exact_overlap_is_affordable(pre, post, n))
        if exact:
            lyapunov, told = lyapunov_matrix(pre, post, lam, **how), "exact overlap"
        else:
            estimate = estimated_lyapunov_matrix(pre, post, lam, groups=groups, rng=overlap_rng, **how)
            lyapunov, lyapunov_error, told = estimate.lyapunov, estimate.error, estimate.status
    strength = edge_strength(w, lyapunov, kind=chosen.edge_strength)
    network = linear_network(
        pre, post, np.sign(w) * strength, time_constants=tau, diagonal=chosen.diagonal, margin=chosen.margin
    )
    solution = _covariance(network, chosen, covariance_rng)
    scores = keep_scores(pre, post, w, strength=strength, covariance=solution.covariance)
    kept = keep_probability(
        scores, fraction=fraction, count=count, rho=rho, epsilon=epsilon, neurons=n, sigma=chosen.sigma
    )
    keep = sample_edges(kept.probability, rng=rng)
    new = rescale(
        w,
        keep,
        kept.probability,
        method=chosen.rescale,
        cap=None if chosen.rescale in ("inverse", "none") else chosen.cap,
        pre=pre,
        post=post,
        rates=rates,
    )
    bias = np.zeros(n)
    if compensate:
        after = np.zeros_like(w)
        after[keep] = new.weights
        bias = -excitability_shift(pre, post, w, pruned_weights=after, rates=rates, gain=gain)
    status = (
        f"kept {keep.sum()} of {w.size} synapses ({kept.expected_count:.1f} expected); covariance {solution.status}; "
        f"lyapunov matrix {told}"
    )
    if new.uncompensated:
        status += f"; {new.uncompensated} input groups lost all their synapses"
    return NoisePruneResult(
        keep=keep,
        weights=new.weights,
        probability=kept.probability,
        rho=kept.rho,
        expected_count=kept.expected_count,
        bias_shift=bias,
        lyapunov=lyapunov,
        lyapunov_error=lyapunov_error,
        covariance_error=solution.error,
        uncompensated=new.uncompensated,
        capped=new.capped,
        options=chosen,
        status=status,
    )


def _covariance(network: LinearNetwork, chosen: NoisePruneOptions, rng: np.random.Generator) -> NoiseCovariance:
    """The covariance that the options ask for; "auto" decides by size and diagonal."""
    n, method = network.D.size, chosen.covariance
    if method == "auto":
        method = "local" if n > EXACT_NEURONS and chosen.diagonal == "row-dominant" else "exact"
        if method == "exact" and n > DENSE_NEURONS:
            raise InvalidInput(
                f"diagonal={chosen.diagonal!r} needs the exact covariance, five dense matrices of {n} x {n}; use "
                f"diagonal='row-dominant' with more than {DENSE_NEURONS} neurons"
            )
    if method == "exact":
        return noise_covariance(network.A, chosen.sigma)
    return local_covariance(network.A, chosen.sigma, rng=rng)
