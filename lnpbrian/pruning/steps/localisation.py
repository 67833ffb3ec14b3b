"""How localised the eigenvectors of a network are: what step III is to lower, before and after.

A synapse from ``pre[e]`` to ``post[e]`` is a directed edge; parallel synapses are one edge, self-connections are none.
The degree of a neuron is the number of its edges, incoming and outgoing: a reciprocal pair counts twice. The matrices
are those of the symmetrised graph, ``A + A^T`` (entries 0, 1, 2) and its Laplacian ``diag(d) - A - A^T``, so that the
degree is the Laplacian's diagonal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components

from lnpbrian import checks
from lnpbrian.network.engines.loops import times_eight

__all__ = ["DelocalisationReport", "Localisation", "delocalisation_report"]

# An eigenvector is localised if its participation ratio, 1/IPR, is below this fraction of N.
SPREAD = 0.1
# Eigenvalues closer than this, relative to the largest magnitude, are one eigenvalue: far above rounding.
DEGENERATE = 1e-9
# Of the Lanczos method: start vectors, largest angle (rad) between eigenvector and approximation, largest basis.
BLOCK = 8  # as `times_eight` takes them
ANGLE = 0.1
BASIS = 1000
# Columns of a matrix that are multiplied at a time: vectors of this length stay in the processor's cache.
STRIPE = 8192
# Smaller matrices are diagonalised completely even if only the ends are wanted: that is as fast.
SMALL = 500


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

    Notes
    -----
    The inverse participation ratio is that of Bell and Dean (1970), doi:10.1039/DF9705000055: ``sum_i v_i^4``.
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
    """Eigenvectors, components and degrees of a network, before or after step III of arXiv 2403.03409.

    Attributes
    ----------
    laplacian, adjacency : Localisation
        Of ``diag(d) - A - A^T`` and ``A + A^T``.
    threshold : float
        An eigenvector with a larger inverse participation ratio counts as localised: ``10 / N``.
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
    all_up_to : int, at least 0
        Of connected components up to this size, all eigenvectors (time grows with the cube). With 0 a shrinking
        network is always judged by the same: the ends of its spectra.
    per_end : int, at least 1
        Of larger ones, this many eigenvectors at either end of the spectrum; the bulk of the spectrum is left out, and
        with it what it adds to `mean`, `median`, `quantile_90` and `localised`.

    Returns
    -------
    DelocalisationReport

    Raises
    ------
    InvalidInput
        If an index or a number is out of range.

    Notes
    -----
    ``IPR(v) = sum_i v_i^4`` for an eigenvector of norm 1; what step III of Chakraborty et al. (2024), arXiv 2403.03409,
    is to lower. An eigenvector is localised if ``1/IPR``, the number of neurons that take part in it, is below N/10;
    for the eigenvectors of a dense random matrix it is N/3. The connected components of the symmetrised graph are
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
    directed = _adjacency(*checks.edge_arrays(pre, post, n), n)
    threshold = 1 / (SPREAD * n)
    whole = checks.count("all_up_to", all_up_to, minimum=0)
    ends = checks.count("per_end", per_end)
    S = sparse.csr_array(directed + directed.T)
    degree = S.sum(axis=1)
    labels = connected_components(S, directed=False)[1]
    members = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1])
    partial = sum(_incomplete(m.size, whole, ends) for m in members)
    pieces = [_stripes(S[m][:, m] if m.size < n else S) for m in members]
    found = []
    unresolved = 0
    # The Laplacian diag(d) - S, and S itself.
    for diagonal, sign in ((degree, -1), (np.zeros(n), 1)):
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


def _adjacency(pre: np.ndarray, post: np.ndarray, n: int) -> sparse.csr_array:
    """A[u, v] = 1.0 for an edge u -> v of the simple graph."""
    proper = pre != post
    A = sparse.csr_array((np.ones(int(proper.sum())), (pre[proper], post[proper])), shape=(n, n))
    A.sum_duplicates()
    A.data[:] = 1
    return A


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
            Y += sign * times_eight(part, X[k * STRIPE : (k + 1) * STRIPE])
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
