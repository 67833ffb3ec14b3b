"""The linear network of step I, dr/dt = A r + b + sigma xi, and the stationary covariance of its rates.

Synapse `e` goes from neuron ``pre[e]`` to neuron ``post[e]``; rates are in 1/s.
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
from lnpbrian.network.engines.loops import row_products
from lnpbrian.pruning.steps.lyapunov_matrix import DENSE_NEURONS, entries

__all__ = [
    "LinearNetwork",
    "NoiseCovariance",
    "edge_strength",
    "linear_network",
    "local_covariance",
    "noise_covariance",
    "spectral_abscissa",
]

STRENGTHS = ("lyapunov", "weight", "lyapunov*weight", "response")
DIAGONALS = ("row-dominant", "shift", "leak")
COVARIANCES = ("auto", "exact", "local")

# "auto" takes the exact covariance up to this size: a third of a second (two cores; 2 s at twice the size).
EXACT_NEURONS = 500
# Up to this size the spectral abscissa is read off all eigenvalues (a second); beyond, Arnoldi iteration comes first.
ALL_EIGENVALUES = 600
# Relative residual above which a covariance is refined once, and a remaining excess told.
RESIDUAL = 1e-10
# The error of a local covariance is measured on so many connections: those of the largest part left out, and those of
# the smallest bracket. Up to so many are looked at, and from this error on the status warns.
LEFT_OUT, SMALLEST = 48, 16
CANDIDATES = 1 << 16
LOCAL_ERROR = 0.05
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


def edge_strength(weights: object, lyapunov: object = None, *, kind: str = "lyapunov") -> np.ndarray:
    """Strength of each synapse in the linear network, before its sign.

    Parameters
    ----------
    weights : array of float, shape (S,)
        Synaptic weights.
    lyapunov : array of float, shape (S,), 1/s
        `lyapunov_matrix` of the synapses; may be left out for "weight" and "response".
    kind : {"lyapunov", "weight", "lyapunov*weight", "response"}
        |L_ij| (Chakraborty et al. 2024), |W_ij| (Moore and Chaudhuri 2020, arXiv 2011.07334), or their product. For
        "response" `weights` are couplings of the linear response over the time constant of their target, |J_ij|/tau.

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
    if kind in ("weight", "response"):
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

    Notes
    -----
    Equation (2) of Chakraborty et al. (2024), arXiv 2403.03409; noise-driven, it is that of Moore and Chaudhuri (2020),
    arXiv 2011.07334. `linear_network` makes one.
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
    """One line on a matrix that is not Hurwitz, or not clearly so: by how much, and what to do.

    Parameters
    ----------
    abscissa : float, 1/s
        Largest real part of an eigenvalue.

    Examples
    --------
    >>> print(not_decaying(2.0))
    the linear network does not decay: its spectral abscissa is 2 1/s and must be below 0; ...
    """
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

    Raises
    ------
    InvalidInput
        If A is no finite matrix.

    Examples
    --------
    >>> spectral_abscissa([[-1.0, 5.0], [0.0, -2.0]])
    -1.0

    Notes
    -----
    ARPACK restarts its iteration implicitly (Lehoucq, Sorensen and Yang 1998, doi:10.1137/1.9780898719628).
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


@dataclass(frozen=True, eq=False)
class NoiseCovariance:
    """Stationary covariance C of dr/dt = A r + sigma xi, and how good it is.

    Attributes
    ----------
    covariance : array of float, shape (N, N), or csr_array with the diagonal and the connected pairs only
        Symmetric, in units of sigma^2 times seconds.
    error : float
        From `noise_covariance` the relative residual ||A C + C A^T + sigma^2 I|| / ||sigma^2 I|| (Frobenius norms);
        from `local_covariance` the largest relative error of C_ii + C_jj - 2 s C_ij on the connections on which it is
        expected to be largest.
    iterations : int
        Doublings (after k of them 2^k terms of the series are summed), or fixed-point steps of the local equations.
    status : str
        What to know about the result.

    Notes
    -----
    The covariance in equation (4) of Chakraborty et al. (2024), arXiv 2403.03409; it solves
    ``A C + C A^T + sigma^2 I = 0``.
    """

    covariance: np.ndarray | sparse.csr_array = field(repr=False)
    error: float
    iterations: int
    status: str


def noise_covariance(A: Any, sigma: float) -> NoiseCovariance:
    """Solve A C + C A^T + sigma^2 I = 0 for the stationary covariance C.

    Parameters
    ----------
    A : array or sparse array of float, shape (N, N), 1/s
        Must be Hurwitz. Worked on as a dense matrix: five arrays of N x N float64 at a time.
    sigma : float, > 0
        Standard deviation of the white noise on every neuron, per square root of a second.

    Returns
    -------
    NoiseCovariance
        Where the relative residual is above 1e-10, one refinement is made, and a remaining excess told in the status.

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
    One neuron: C = sigma^2 / (2 a). Two, coupled one way, of which the first has 2^2/2 and passes half of it on:

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
    if residual > RESIDUAL:
        correction, _ = _smith(R, q, (2 * q) * (R @ rest @ R.T))
        better = C + (correction + correction.T) / 2
        _, improved = _residual(M, better, noise)
        if improved < residual:
            C, residual = better, improved
    if residual > MEANINGLESS:
        raise InvalidInput(not_decaying(spectral_abscissa(M)))
    status = f"exact: relative residual {residual:.1e} after {doublings} doublings"
    if residual > RESIDUAL:
        status += f", above the tolerance of {RESIDUAL:.1e}: A is close to losing stability"
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


def local_covariance(A: Any, sigma: float, *, rng: np.random.Generator) -> NoiseCovariance:
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
        Draws 65,536 of the connections, if there are more, for the error to be measured on some of them.

    Returns
    -------
    NoiseCovariance
        With `covariance` as a csr_array: the diagonal and the connected pairs, in both orders. The status warns of a
        measured relative error above 0.05.

    Raises
    ------
    InvalidInput
        If the local equations do not converge, or most of the measured connections do not decay.

    Notes
    -----
    The error is measured on the 48 connections with the largest part that was left out, relative to the bracket, and on
    the 16 with the smallest bracket. On random, clustered and heavy-tailed networks of 500 neurons and densities of 0.1
    to 0.005 it was 0.56 to 1 times the largest error of all connections; that of 16 random ones was 0.1 to 0.57 times.

    On each measured connection, ``sigma^2 int |exp(A^T t)(e_i - s e_j)|^2 dt``, which is the exact
    ``C_ii + C_jj - 2 s C_ij`` of Moore and Chaudhuri (2020), arXiv 2011.07334, is computed in a growing Krylov space
    until it changes by less than 1e-5; it is then right within 1e-4. Connections that take more than 80 dimensions are
    left out of the measurement.

    With row-dominant A and the Lyapunov strengths, N = 1500, densities 0.1 to 0.005, the rank correlation with the
    exact scores is above 0.9998, and keep probabilities move by 0.1 % of their sum at most; the largest error of a
    single score is 0.3 to 2 % in random networks, 0.7 to 3 % in clustered ones and 3 to 7 % with heavy-tailed degrees.
    With ``diagonal="shift"`` a global mode is close to instability and the errors reach 14 to 99 %
    (`lnpbrian.experiments.studies.covariance_accuracy`).

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
    errors = []
    seen = np.arange(off.nnz) if off.nnz <= CANDIDATES else rng.choice(off.nnz, size=CANDIDATES, replace=False)
    i, j, s = row[seen], column[seen], np.sign(off.data[seen])
    bracket = c[i] + c[j] - 2 * s * entries(C, i, j)
    share = _left_out(off, C, d, i, j, off.data[seen]) / bracket
    chosen = np.union1d(np.argsort(-share, kind="stable")[:LEFT_OUT], np.argsort(bracket, kind="stable")[:SMALLEST])
    for low in range(0, chosen.size, COLUMNS):
        at = chosen[low : low + COLUMNS]
        exact = noise * _unit_brackets(M, i[at], j[at], s[at])
        errors.append(np.abs(bracket[at] / exact - 1))
    measured = np.concatenate([np.zeros(0), *errors])
    measured = measured[np.isfinite(measured)]
    if 2 * measured.size < chosen.size:
        raise InvalidInput(
            f"the linear network does not decay, or too slowly to measure the error of its local covariance within "
            f"{MAXIMUM_DIMENSION} dimensions; raise its leak"
        )
    error = float(measured.max(initial=0))
    status = f"local: largest relative error {error:.1e} on {measured.size} connections on which it should be largest"
    if error > LOCAL_ERROR:
        status += f", above the tolerance of {LOCAL_ERROR:.1e}: use noise_covariance"
    return NoiseCovariance(C, error, iterations, status)


def _left_out(
    S: sparse.csr_array, C: sparse.csr_array, d: np.ndarray, i: np.ndarray, j: np.ndarray, strength: np.ndarray
) -> np.ndarray:
    """Magnitude of what third neurons would add to C_ij, to first order, for pairs (i, j) of this `strength` S_ij."""
    c = C.diagonal()
    through = row_products(S, C, i, j) + row_products(S, C, j, i)
    return np.abs(through - strength * c[j] - entries(S, j, i) * c[i]) / (d[i] + d[j])


def _unit_brackets(A: sparse.csr_array, i: np.ndarray, j: np.ndarray, s: np.ndarray) -> np.ndarray:
    """int_0^inf |exp(A^T t) u|^2 dt, u = e_i - s e_j, one column per pair; NaN where it is not found.

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
    return np.where(open_ | ~np.isfinite(found), np.nan, length**2 * found)


def stationary_covariance(
    network: LinearNetwork, *, sigma: float, method: str, rng: np.random.Generator
) -> NoiseCovariance:
    """Return the covariance of a linear network, exact or local.

    Parameters
    ----------
    network : LinearNetwork
    sigma : float, > 0
        Standard deviation of the white noise on every neuron, per square root of a second.
    method : {"auto", "exact", "local"}
        `noise_covariance`; `local_covariance`; or local above 500 neurons where the diagonal is row-dominant.
    rng : numpy.random.Generator
        Draws the connections on which the error of a local one is measured.

    Returns
    -------
    NoiseCovariance

    Raises
    ------
    InvalidInput
        If the exact one is needed and too large for dense matrices, or as the two do.

    Notes
    -----
    The covariance in equation (4) of Chakraborty et al. (2024), arXiv 2403.03409. The exact one is by Smith's doubling
    (Smith 1968, doi:10.1137/0116017).

    Examples
    --------
    Independent neurons, ``C_ii = sigma^2 / (2 D_ii)``:

    >>> network = linear_network([], [], [], time_constants=[0.1, 0.05])
    >>> stationary_covariance(network, sigma=1.0, method="auto", rng=np.random.default_rng(0)).covariance.diagonal()
    array([0.05 , 0.025])
    """
    n = network.D.size
    if method == "auto":
        method = "local" if n > EXACT_NEURONS and network.diagonal == "row-dominant" else "exact"
        if method == "exact" and n > DENSE_NEURONS:
            raise InvalidInput(
                f"diagonal={network.diagonal!r} needs the exact covariance, five dense matrices of {n} x {n}; use "
                f"diagonal='row-dominant' with more than {DENSE_NEURONS} neurons"
            )
    if method == "exact":
        return noise_covariance(network.A, sigma)
    return local_covariance(network.A, sigma, rng=rng)
