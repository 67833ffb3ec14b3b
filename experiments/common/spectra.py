"""Numbers of a linear response: how localised, how connected, how normal it is, and what it should remember."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eig, expm

from lnpbrian.experiments.common.graphs import strong_components
from lnpbrian.network.response import INPUT_SPREAD, LinearResponse

__all__ = ["MEASURES", "measures"]

# What is measured, and how it is called.
MEASURES = {
    "ipr_right": "IPR, right eigenvectors",
    "ipr_left": "IPR, left eigenvectors",
    "ipr_leading": "IPR, leading eigenvectors",
    "largest_component": "largest component",
    "in_degree_variance": "variance of in-degrees",
    "out_degree_variance": "variance of out-degrees",
    "departure": "departure from normality",
    "near_circle": "eigenvalues near the circle",
    "abscissa": "largest real part",
    "gramian_rank": "effective rank of the Gramian",
    "expected_memory": "memory expected of the response",
}
# An eigenvector is leading if its eigenvalue is among the largest tenth; an eigenvalue is near the circle from this
# fraction of the radius on.
LEADING, NEAR = 0.1, 0.8
# Samples of 100 ms after which an input is forgotten, and inputs that are drawn for the Gramian.
HORIZON, INPUTS = 50, 4
# Of a rate that is read from the spikes of a sample: about a third of a spike in 100 ms.
READING_ERROR_HZ = 3.0


def measures(response: LinearResponse) -> dict[str, float]:
    """Return the numbers of `MEASURES`, and the spectral radius.

    Notes
    -----
    Participation: Bell and Dean 1970, doi:10.1039/DF9705000055; departure from normality: Henrici 1962,
    doi:10.1007/BF01386298; memory: White, Lee and Sompolinsky 2004, doi:10.1103/PhysRevLett.92.148102.

    Examples
    --------
    Of a cycle of equal weights all eigenvectors are Fourier modes, all eigenvalues are on the circle, and it is normal:

    >>> from dataclasses import replace
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> from lnpbrian.network.response import slow_response
    >>> i = np.arange(5)
    >>> five = uncoupled([20] * 5 * ms, bias=1.5, synaptic_time_constant=100 * ms)
    >>> cycle = replace(five, pre=i, post=(i + 1) % 5, weights=np.full(5, 0.1))
    >>> found = measures(slow_response(cycle))
    >>> [round(found[name], 6) for name in ("ipr_right", "near_circle", "departure", "in_degree_variance")]
    [0.2, 1.0, 0.0, 0.0]
    """
    J, n = response.matrix.toarray(), response.rates.size
    values, left, right = eig(J, left=True, right=True)
    size = np.abs(values)
    radius = float(size.max())
    leading = np.argsort(size)[::-1][: max(round(LEADING * n), 1)]
    iprs = {side: _participation(vectors) for side, vectors in (("right", right), ("left", left))}
    power = float((J**2).sum())
    components = strong_components(response.pre, response.post, n)[0]
    remembered = [_remembered(overlaps) for overlaps in _overlaps(J, response.gains)]
    return {
        "spectral_radius": radius,
        "ipr_right": float(iprs["right"].mean()),
        "ipr_left": float(iprs["left"].mean()),
        "ipr_leading": float(np.mean([ipr[leading].mean() for ipr in iprs.values()])),
        "largest_component": float(components.max(initial=0) / n),
        **{
            f"{side}_degree_variance": float(np.bincount(end, minlength=n).var())
            for side, end in (("in", response.post), ("out", response.pre))
        },
        # Henrici (1962), doi:10.1007/BF01386298, over the norm.
        "departure": float(np.sqrt(max(power - (size**2).sum(), 0) / power)) if power else 0.0,
        "near_circle": float(np.mean(size >= NEAR * radius)) if radius else 0.0,
        "abscissa": float(values.real.max()),
        **dict(zip(("gramian_rank", "expected_memory"), np.mean(remembered, axis=0).tolist(), strict=True)),
    }


def _participation(vectors: np.ndarray) -> np.ndarray:
    power = np.abs(vectors) ** 2
    return (power**2).sum(axis=0) / power.sum(axis=0) ** 2


def _overlaps(J: np.ndarray, gains: np.ndarray) -> list[np.ndarray]:
    """Return the scalar products (lags, lags) of what is left in the rates of samples of 0, 1, ... ago, by input.

    The synapses are filters, ``tau_syn ds/dt = -s + J s + gain u``, and a sample lasts as long as their time constant:
    from one to the next s goes with ``exp(J - 1)``, and a sample adds the integral of ``exp((J - 1) t)``.
    """
    n = len(J)
    both = expm(np.block([[J - np.eye(n), np.eye(n)], [np.zeros((n, 2 * n))]]))
    found = []
    for seed in range(INPUTS):
        left = [both[:n, n:] @ (gains * INPUT_SPREAD * np.random.default_rng(seed).uniform(-1, 1, n))]
        for _ in range(HORIZON):
            left.append(both[:n, :n] @ left[-1])
        found.append(np.array(left) @ np.array(left).T)
    return found


def _remembered(overlaps: np.ndarray) -> tuple[float, float]:
    """Return the effective rank of the Gramian, and the linear memory of lags 1..25.

    The Gramian, the covariance of s under white samples, has the eigenvalues of the overlaps; its rank is the
    exponential of their entropy. A lag is remembered as far as the best linear readout of rates that are known to
    within READING_ERROR_HZ tells its sample from the others (White, Lee and Sompolinsky 2004,
    doi:10.1103/PhysRevLett.92.148102).
    """
    values = np.maximum(np.linalg.eigvalsh(overlaps), 0)
    share = values[values > 0] / values.sum()
    told = np.linalg.solve(overlaps + READING_ERROR_HZ**2 * np.eye(len(overlaps)), overlaps)
    return float(np.exp(-(share * np.log(share)).sum())), float(np.diag(told)[1:26].sum())
