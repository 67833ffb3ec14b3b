"""Noise pruning of synapses: scores, keep probabilities, sampling, rescaling, and all of step I together.

Synapse arrays (``pre``, ``post``, ``weights``, scores, probabilities, masks) are aligned: entry `e` belongs to the
synapse onto neuron ``post[e]`` from neuron ``pre[e]``. Rates are in 1/s, weights in the unit of the caller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.response import spectral_radius
from lnpbrian.network.spec import firing_rates, mean_input
from lnpbrian.options import Options, option, options
from lnpbrian.pruning.steps.covariance import (
    COVARIANCES,
    DIAGONALS,
    STRENGTHS,
    edge_strength,
    linear_network,
    stationary_covariance,
)
from lnpbrian.pruning.steps.lyapunov_matrix import (
    NEIGHBOURS,
    entries,
    estimated_lyapunov_matrix,
    exact_overlap_is_affordable,
    lyapunov_matrix,
)
from lnpbrian.pruning.steps.sampling import SAMPLINGS, probabilities, sample_edges

__all__ = [
    "KeepProbability",
    "NoisePruneOptions",
    "NoisePruneResult",
    "RescaledWeights",
    "keep_probability",
    "keep_scores",
    "noise_prune",
    "rescale",
    "sample_edges",
]

RESCALES = ("auto", "spectral", "variance", "inverse", "capped", "none", "homeostatic")
LEAKS = ("slower", "membrane")
EXCITABILITIES = ("auto", "keep", "compensate")
OVERLAPS = ("auto", "exact", "expected")

# Scores this far below the largest one count as zero: their keep probability could not be represented.
NEGLIGIBLE = 1e-100


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
    The complete graph of N neurons with equal excitatory weights w and a leak s: ``sigma^2 / (N w + s)``.

    >>> from lnpbrian.pruning.steps.covariance import noise_covariance
    >>> w, s, pairs = 2.0, 4.0, np.ones((3, 3)) - np.eye(3)
    >>> C = noise_covariance(w * pairs - (2 * w + s) * np.eye(3), 1.0).covariance
    >>> keep_scores(*np.nonzero(pairs), np.ones(6), strength=np.ones(6), covariance=C).round(12)
    array([0.1, 0.1, 0.1, 0.1, 0.1, 0.1])

    By the sign of the weight, ``10 (2 + 3 - 2 * 0.5)`` and ``1 (2 + 3 + 2 * 0.5)``:

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

    Notes
    -----
    Equation (4) of Chakraborty et al. (2024), arXiv 2403.03409; `keep_probability` makes one.
    """

    probability: np.ndarray = field(repr=False)
    rho: float
    expected_count: float


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
    return KeepProbability(p, factor, float(p.sum()))


def _enough(scores: np.ndarray, wanted: float) -> np.ndarray:
    """Return scores that `wanted` synapses have: where there are fewer, those without one are kept after all others."""
    none = scores <= NEGLIGIBLE * scores.max(initial=0)
    if wanted > scores.size or wanted <= np.count_nonzero(~none):
        return scores
    return np.where(none, 1e-9 * scores[~none].min(initial=1.0), scores)


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


@dataclass(frozen=True, eq=False)
class RescaledWeights:
    """Weights of the kept synapses.

    Attributes
    ----------
    weights : array of float, shape (S_kept,)
        In the order of the kept synapses.
    capped : int
        Number of kept synapses whose factor was cut to `cap`.
    uncompensated : int
        For "homeostatic": number of (neuron, sign) groups that had mean input and kept no synapse to carry it; for
        "variance": number of neurons that had input and kept no synapse.

    Notes
    -----
    Moore and Chaudhuri (2020), arXiv 2011.07334, divide by the keep probability: method "inverse" of `rescale`.
    """

    weights: np.ndarray = field(repr=False)
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
    sensitivity: object = None,
) -> RescaledWeights:
    """Weights of the kept synapses, scaled up for what was removed.

    Parameters
    ----------
    weights : array of float, shape (S,)
        Before pruning.
    keep : array of bool, shape (S,)
    probability : array of float, shape (S,), in [0, 1]
        Keep probabilities, for "inverse" and "capped".
    method : {"spectral", "variance", "inverse", "capped", "none", "homeostatic"}
        * "spectral": ``w f``, with one factor for all, such that the spectral radius of the linear response
          ``J_ij = a_i W_ij`` stays what it was.
        * "variance": ``w f_i``, with one factor per target neuron, such that the sum of squares of its weights, and
          with it the variance of its input, stays what it was.
        * "inverse": ``w / p``, so that the expected network is the network before (Moore and Chaudhuri 2020).
        * "capped": ``w min(1/p, cap)``.
        * "none": ``w``.
        * "homeostatic": ``w f``, with one factor f >= 1 per target neuron and sign, such that the mean excitatory and
          the mean inhibitory input, ``sum_j W_ij r_j`` over the synapses of that sign, stay what they were.
    cap : float, at least 1
        Largest factor: needed by "capped", optional for "homeostatic".
    pre, post : array of int, shape (S,)
        Source and target neurons, for "homeostatic" and "spectral"; "variance" needs `post`.
    sensitivity : array of float, shape (N,)
        For "spectral": a_i, by which a weight becomes a coupling, ``tau_syn dr_i/dI_i``.
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

    Notes
    -----
    "inverse" is the rescaling of Moore and Chaudhuri (2020), arXiv 2011.07334. In spiking networks it raises rates by
    a factor where few synapses are kept. Random matrices say why: the spectral radius goes with the root of the sum of
    squares (Rajan and Abbott 2006, doi:10.1103/PhysRevLett.97.188104), so that weights left alone lower it by the root
    of the kept fraction, and weights divided by that fraction raise it by as much.

    Examples
    --------
    Twice and four times the weight at a half and a quarter; or as much excitation, ``1 + 2``, from one synapse:

    >>> rescale([1.0, 2.0, -1.0], [True, False, True], [0.5, 0.1, 0.25], method="inverse").weights
    array([ 2., -4.])
    >>> rescale([1.0, 2.0, -1.0], [True, False, True], pre=[0, 1, 2], post=[3, 3, 3]).weights
    array([ 3., -1.])
    """
    w = checks.array("weights", weights, shape=(None,))
    kept = checks.keep_mask("keep", keep, w.size)
    checks.choice("method", method, RESCALES[1:])
    limit = math.inf if cap is None else checks.real("cap", cap, at_least=1)
    if method == "capped" and cap is None:
        raise InvalidInput("rescale by 'capped' needs cap, the largest factor")
    uncompensated = 0
    if method in ("inverse", "capped"):
        if probability is None:
            raise InvalidInput(f"rescale by {method!r} needs probability")
        p = probabilities(probability)
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
    elif method == "variance":
        if post is None:
            raise InvalidInput("rescale by 'variance' needs post")
        target = checks.indices("post", post, 2**31)
        if target.shape != w.shape:
            raise InvalidInput(f"post must have one entry per synapse ({w.size}), got {target.size}")
        n = 1 + int(target.max(initial=0))
        before, after = input_power(target, w, n), input_power(target[kept], w[kept], n)
        factor, uncompensated = power_factors(before, after)[target[kept]], int(((before > 0) & (after == 0)).sum())
    elif method == "spectral":
        if pre is None or post is None or sensitivity is None:
            raise InvalidInput("rescale by 'spectral' needs pre, post and sensitivity")
        a = checks.array("sensitivity", sensitivity, shape=(None,))
        source, target = checks.edge_arrays(pre, post, a.size)
        couplings = a[target] * w
        radii = [
            spectral_radius(sparse.csr_array((couplings[e], (target[e], source[e])), shape=(a.size,) * 2))
            for e in (slice(None), kept)
        ]
        factor = np.full(int(kept.sum()), radii[0] / radii[1] if radii[1] > 0 else 1.0)
    else:
        factor = np.ones(int(kept.sum()))
    capped = int((factor > limit).sum())
    factor = np.minimum(factor, limit)
    return RescaledWeights(w[kept] * factor, capped, uncompensated)


def input_power(post: np.ndarray, weights: np.ndarray, n: int) -> np.ndarray:
    """Return the sum of squares of the weights onto each of `n` neurons.

    Examples
    --------
    >>> input_power(np.array([0, 0, 2]), np.array([3.0, -4.0, 1.0]), 3)
    array([25.,  0.,  1.])
    """
    return np.bincount(post, weights=weights**2, minlength=n)


def power_factors(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the factors that bring sums of squares back to what they were, 1 where nothing is left.

    Examples
    --------
    >>> power_factors(np.array([4.0, 1.0]), np.array([1.0, 0.0]))
    array([2., 1.])
    """
    return np.sqrt(np.divide(before, after, out=np.ones_like(before), where=after > 0))


def _input_ratio(w: np.ndarray, kept: np.ndarray, pre: object, post: object, rates: object) -> tuple[np.ndarray, int]:
    """Per kept synapse: input of its (target, sign) group before over after; and how many groups cannot be repaired."""
    n = 1 + max(np.max(ends, initial=0) for ends in (np.asarray(pre), np.asarray(post)))
    r = np.ones(n) if rates is None else firing_rates(rates)
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


@options
class NoisePruneOptions(Options):
    """How noise pruning reads the points that the paper leaves open.

    Notes
    -----
    `edge_strength`, `lyapunov_matrix` and `linear_network` say what the first five options do, `rescale` what becomes
    of weights. Of the covariances, the exact one takes a time that grows with the cube of the neurons, the local one
    grows with the synapses; "auto" is the exact one up to 500 neurons and wherever the diagonal is not row-dominant. Of
    the overlaps of neighbourhoods, the expected one is an estimate; "auto" is the exact one up to 10,000 neurons or a
    sum of squared degrees of 1e9.

    Examples
    --------
    Noise pruning by weights alone (Moore and Chaudhuri 2020, arXiv 2011.07334):

    >>> NoisePruneOptions(edge_strength="weight", rescale="inverse").covariance
    'auto'
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
    sampling: str = option(
        default="even",
        help="How synapses are drawn: with as equal numbers of inputs and of outputs as can be; with as many inputs as "
        "are to be expected; or each by itself (the paper's). See `lnpbrian.pruning.steps.sampling.sample_edges`.",
        choices=SAMPLINGS,
        flag="sampling",
    )
    leak: str = option(
        default="slower",
        help="Leak of the linear network: the slower of membrane and synapse, by which rates relax; or the membrane's, "
        "which keeps slow and quiet neurons.",
        choices=LEAKS,
        flag="leak",
    )
    rescale: str = option(
        default="auto",
        help="How kept weights are rescaled: by one factor, so that the spectral radius of the linear response stays; "
        "per target, so that the variance of its input stays; by 1/p (the paper's), with or without a cap; not at all; "
        "or per target and sign, so that mean inputs stay. Auto is the first for models and the second elsewhere.",
        choices=RESCALES,
        flag="rescale",
    )
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
            sampling="independent",
            leak="membrane",
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

    Notes
    -----
    Step I of Chakraborty et al. (2024), arXiv 2403.03409; `noise_prune` makes one.
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
    synaptic_time_constants: object = 0.0,
    sensitivity: object = None,
    groups: object = None,
    kinds: object = None,
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
        One over the averaging time of the exponents; see `lnpbrian.pruning.steps.lyapunov_matrix.lyapunov_matrix`.
    rng : numpy.random.Generator
        Draws the synapses to keep, and through generators of its own those on which errors are measured.
    fraction, count, rho, epsilon
        Exactly one; see `keep_probability`.
    rates : array of float, shape (N,), Hz
        Measured rates, for the homeostatic rescaling (default: all equal) and the bias.
    gain : float or array of float, shape (N,), s
        tau_syn, or tau_m with delta synapses, for the bias; see `lnpbrian.network.spec.mean_input`.
    synaptic_time_constants : float or array of float, shape (N,), s, at least 0
        tau_syn of the synapses onto each neuron, for the leak; 0 where a spike is a jump of the potential.
    sensitivity : array of float, shape (N,)
        ``tau_syn dr_i/dI_i``, by which a weight becomes a coupling, for the strength "response" and the rescaling
        "spectral"; see `lnpbrian.network.response.linear_response`.
    groups : array of int, shape (N,), optional
        Cluster of each neuron, for even samples, which are even within each, and for expected overlaps; see
        `sample_edges` and `lnpbrian.pruning.steps.lyapunov_matrix.estimated_lyapunov_matrix`.
    kinds : array of int, shape (S,), optional
        Kind of each synapse, by default its sign; even samples are even in each kind.
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
    checks.optional("options", options, NoisePruneOptions, "use NoisePruneOptions(...)")
    checks.generator("rng", rng)
    chosen = NoisePruneOptions() if options is None else options
    known = rates is not None and gain is not None
    compensate = chosen.excitability == "compensate" or (chosen.excitability == "auto" and known)
    if compensate and not known:
        raise InvalidInput("excitability='compensate' needs rates and gain (tau_syn, or tau_m with delta synapses)")
    tau = checks.array("time_constants", time_constants, shape=(None,))
    n = tau.size
    pre, post = checks.edge_arrays(pre, post, n)
    w = checks.array("weights", weights, shape=pre.shape)
    if chosen.leak == "slower":
        tau = np.maximum(tau, np.broadcast_to(checks.array("synaptic_time_constants", synaptic_time_constants), (n,)))
    couplings = None
    if chosen.edge_strength == "response":
        if sensitivity is None:
            raise InvalidInput("edge_strength='response' needs sensitivity (tau_syn dr/dI)")
        couplings = checks.array("sensitivity", sensitivity, shape=(n,))[post] * w / tau[post]

    overlap_rng, covariance_rng = rng.spawn(2)
    lyapunov, lyapunov_error, told = np.empty(0), 0.0, "not used"
    if chosen.edge_strength in ("lyapunov", "lyapunov*weight"):
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
    strength = edge_strength(w if couplings is None else couplings, lyapunov, kind=chosen.edge_strength)
    network = linear_network(
        pre, post, np.sign(w) * strength, time_constants=tau, diagonal=chosen.diagonal, margin=chosen.margin
    )
    solution = stationary_covariance(network, sigma=chosen.sigma, method=chosen.covariance, rng=covariance_rng)
    scores = keep_scores(pre, post, w, strength=strength, covariance=solution.covariance)
    if count is not None:
        scores = _enough(scores, checks.real("count", count, at_least=0))
    elif fraction is not None:
        scores = _enough(scores, checks.real("fraction", fraction, at_least=0, at_most=1) * w.size)
    kept = keep_probability(
        scores, fraction=fraction, count=count, rho=rho, epsilon=epsilon, neurons=n, sigma=chosen.sigma
    )
    keep = sample_edges(
        kept.probability,
        rng=rng,
        method=chosen.sampling,
        pre=pre,
        post=post,
        neurons=n,
        groups=w < 0 if kinds is None else kinds,
        populations=groups,
    )
    new = rescale(
        w,
        keep,
        kept.probability,
        method="variance" if chosen.rescale == "auto" else chosen.rescale,
        cap=chosen.cap if chosen.rescale in ("capped", "homeostatic") else None,
        pre=pre,
        post=post,
        rates=rates,
        sensitivity=sensitivity,
    )
    bias = np.zeros(n)
    if compensate:
        after = np.zeros_like(w)
        after[keep] = new.weights
        bias = -mean_input(pre, post, after - w, rates=rates, gain=gain)
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
