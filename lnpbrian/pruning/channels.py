"""Step I and its controls on a spiking ResNet: the graph of its channels, its covariance, and masks of weights.

Nodes are channels of neurons. A weight is ``K[y, x, i, o]``, at a place of the kernel from channel i to channel o. The
first convolution, which reads the image, and the readout are not pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.depth import DepthExponents
from lnpbrian.models.resnet import EPSILON, SpikingResNet
from lnpbrian.pruning.steps.covariance import STRENGTHS
from lnpbrian.pruning.steps.lyapunov_matrix import lyapunov_matrix
from lnpbrian.pruning.steps.noise import keep_probability

__all__ = [
    "ChannelGraph",
    "channel_graph",
    "erk_masks",
    "iterative_magnitude_masks",
    "layered_covariance",
    "magnitude_masks",
    "noise_scores",
    "per_operation",
    "sampled_masks",
    "uniform_masks",
]

CHANNEL_STRENGTHS = STRENGTHS[:3]
PER = ("weight", "operation")
KERNELS = ("sum", "mean")
Masks = dict[str, np.ndarray]


# ------------------------------------------------------------------------------------------------------------ the graph


def folded_kernels(network: SpikingResNet) -> dict[str, np.ndarray]:
    """Return the kept kernels with batch normalisation folded in, in float64, zero where a weight is gone.

    ``K gamma / sqrt(variance + epsilon)``, of all connections but the first.

    Batch normalisation: Ioffe and Szegedy 2015, arXiv 1502.03167.
    """
    made = {}
    for c in network.architecture.inner:
        kernel = network.parameters[c.name].astype(float) * network.masks[c.name]
        if not network.folded:
            if not network.statistics:
                raise InvalidInput("the network has no batch statistics; call calibrate(images) first")
            scale = network.parameters[f"{c.name}/scale"].astype(float)
            kernel = kernel * scale / np.sqrt(network.statistics[f"{c.name}/variance"].astype(float) + EPSILON)
        made[c.name] = kernel
    return made


@dataclass(frozen=True, eq=False)
class ChannelGraph:
    """The linear network of channels, block by block.

    Attributes
    ----------
    layers : tuple of str
        In the order of depth.
    blocks : dict of (int, int) to array of float, shape (channels of target, channels of source)
        Signed strengths S from a layer to a later one, by their indices ``(target, source)``.
    decays : list of array of float, shape (channels,)
        D of each layer, above 0.
    strengths : dict of str to array of float
        Of every weight, by connection, in the shape of its kernel; 0 where it is gone.
    kernels : dict of str to array of float
        With batch normalisation folded in.

    Notes
    -----
    Equation (2) of Chakraborty et al. (2024), arXiv 2403.03409, with channels for neurons; `channel_graph` makes one.
    """

    layers: tuple[str, ...]
    blocks: dict[tuple[int, int], np.ndarray] = field(repr=False)
    decays: list[np.ndarray] = field(repr=False)
    strengths: dict[str, np.ndarray] = field(repr=False)
    kernels: dict[str, np.ndarray] = field(repr=False)


def channel_graph(
    network: SpikingResNet,
    *,
    strength: str = "lyapunov",
    kernel: str = "sum",
    exponents: DepthExponents | None = None,
) -> ChannelGraph:
    """Return the linear network A = -D + S of the channels of a spiking ResNet.

    Parameters
    ----------
    network : SpikingResNet
        Calibrated.
    strength : {"lyapunov", "weight", "lyapunov*weight"}
        Of a weight: |L| of the two channels, the harmonic mean of depth exponents around both; |K|, batch normalisation
        folded in; or their product.
    kernel : {"sum", "mean"}
        Of the strengths of its weights, which is that of an edge. With "mean" the weights of a kernel share the
        strength of its edge, so that a connection by kernels of one place counts as much as one of nine.
    exponents : DepthExponents, optional
        For all strengths but "weight".

    Returns
    -------
    ChannelGraph

    Raises
    ------
    InvalidInput
        If exponents are missing, or the network is not calibrated.

    Notes
    -----
    ``S_oi = sign(sum_k K_oik) sum_k s_oik``, an identity adds s to the diagonal of its block. D is row-dominant,
    ``1/tau + sum_j |S_ij|``; a channel without inputs from others decays by what it gives, since by its leak alone its
    variance would be an order larger than all others and the first block would keep nearly all weights. Equation (2) of
    Chakraborty et al. (2024), arXiv 2403.03409, and its appendix B.2.
    """
    checks.choice("strength", strength, CHANNEL_STRENGTHS)
    checks.choice("kernel", kernel, KERNELS)
    net, kernels = network.architecture, folded_kernels(network)
    start = np.concatenate([[0], np.cumsum(net.channels)])
    first = {layer: int(start[k]) for k, layer in enumerate(net.layers)}
    identities = (*net.identities, *network.shortcuts)
    between: dict[str, np.ndarray] = {}
    along: dict[tuple[str, str], np.ndarray] = {}
    if strength == "weight":
        between = {c.name: np.ones(net.kernel(c)[2:]) for c in net.inner}
        along = {(a, b): np.ones(min(net.width(a), net.width(b))) for a, b in identities}
    else:
        if exponents is None:
            raise InvalidInput(f"strength {strength!r} needs exponents; measure them with depth_exponents")
        between, along = _harmonic(network, exponents, first)
    strengths = {}
    for c in net.inner:
        size = np.abs(kernels[c.name]) if strength != "lyapunov" else np.ones(net.kernel(c))
        shared = 1 if kernel == "sum" else size.shape[0] * size.shape[1]
        strengths[c.name] = between[c.name] * size * network.masks[c.name] / shared
    index = {layer: k for k, layer in enumerate(net.layers)}
    blocks: dict[tuple[int, int], np.ndarray] = {}

    def add(source: str, target: str, block: np.ndarray) -> None:
        at = index[target], index[source]
        blocks[at] = blocks[at] + block if at in blocks else block

    for c in net.inner:
        add(c.source, c.target, (np.sign(kernels[c.name].sum((0, 1))) * strengths[c.name].sum((0, 1))).T)
    for (a, b), s in along.items():
        block = np.zeros((net.width(b), net.width(a)))
        np.fill_diagonal(block, s * (network.alive[a][: s.size] & network.alive[b][: s.size]))
        add(a, b, block)
    decays = []
    for k, layer in enumerate(net.layers):
        got = sum((np.abs(block).sum(1) for (m, _), block in blocks.items() if m == k), np.zeros(net.channels[k]))
        given = sum((np.abs(block).sum(0) for (_, n), block in blocks.items() if n == k), np.zeros(net.channels[k]))
        decays.append(1 / network.time_constants[layer] + np.where(got > 0, got, given))
    return ChannelGraph(net.layers, blocks, decays, strengths, kernels)


def _harmonic(
    network: SpikingResNet, exponents: DepthExponents, first: Mapping[str, int]
) -> tuple[dict[str, np.ndarray], dict[tuple[str, str], np.ndarray]]:
    """Return |L| between channels, by connection (source, target) and by identity (channels,)."""
    net = network.architecture
    values = np.concatenate([exponents.by_layer[layer] for layer in net.layers])
    finite = np.isfinite(values)
    # A channel that nothing reaches shrinks at least as fast as all others.
    values = np.where(finite, values, values[finite].min() if finite.any() else -1.0)
    pre, post, sizes = [], [], []
    for c in net.inner:
        i, o = np.nonzero(network.masks[c.name].any((0, 1)))
        pre.append(first[c.source] + i)
        post.append(first[c.target] + o)
        sizes.append(i.size)
    pairs = (*net.identities, *network.shortcuts)
    for a, b in pairs:
        same = np.arange(min(net.width(a), net.width(b)))
        pre.append(first[a] + same)
        post.append(first[b] + same)
        sizes.append(same.size)
    found = np.split(
        np.abs(lyapunov_matrix(np.concatenate(pre), np.concatenate(post), values, resolution=exponents.resolution)),
        np.cumsum(sizes)[:-1],
    )
    between = {}
    for c, each in zip(net.inner, found, strict=False):
        block = np.zeros(net.kernel(c)[2:])
        block[np.nonzero(network.masks[c.name].any((0, 1)))] = each
        between[c.name] = block
    return between, dict(zip(pairs, found[len(net.inner) :], strict=True))


def layered_covariance(blocks: Mapping[tuple[int, int], np.ndarray], decays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the stationary covariance of a layered linear network, exactly, by one pass forward.

    Parameters
    ----------
    blocks : mapping of (int, int) to array of float, shape (targets, sources)
        S from layer n to a later layer m, at ``(m, n)``.
    decays : sequence of array of float, > 0
        D of each layer.

    Returns
    -------
    array of float, shape (N, N)
        C with ``A C + C A^T + I = 0``, A = -D + S, the layers in a row; noise of another size scales it.

    Raises
    ------
    InvalidInput
        If a block does not lead to a later layer, or a decay is not above 0.

    Notes
    -----
    A is block lower triangular, so that block after block is known from earlier ones:
    ``C_mn = (S_m. C_.n + C_m. S_n.^T + delta_mn) / (d_m + d_n)``. The equation of Moore and Chaudhuri (2020),
    arXiv 2011.07334.

    Examples
    --------
    Two nodes, 0 -> 1 with strength 2, both with decay 1: C_00 = 1/2, C_10 = 2 (1/2)/2, C_11 = (2 * 2 C_10 + 1)/2.

    >>> layered_covariance({(1, 0): np.array([[2.0]])}, [np.ones(1), np.ones(1)])
    array([[0.5, 0.5],
           [0.5, 1.5]])
    """
    if any(not (np.asarray(d) > 0).all() for d in decays):
        raise InvalidInput("decays must be above 0")
    ends = np.concatenate([[0], np.cumsum([len(d) for d in decays])])
    place = [slice(int(a), int(b)) for a, b in pairwise(ends)]
    if any(not 0 <= n < m < len(decays) for m, n in blocks):
        raise InvalidInput(f"blocks must lead from a layer to a later one of {len(decays)}, got {sorted(blocks)}")
    onto: list[list[tuple[int, np.ndarray]]] = [[] for _ in decays]
    for (m, n), block in blocks.items():
        onto[m].append((n, np.asarray(block, float)))
    C = np.zeros((ends[-1], ends[-1]))
    for m in range(len(decays)):
        for n in range(m + 1):
            total = np.eye(len(decays[m])) if m == n else np.zeros((len(decays[m]), len(decays[n])))
            for p, S in onto[m]:
                total = total + S @ C[place[p], place[n]]
            for p, S in onto[n]:
                total = total + C[place[m], place[p]] @ S.T
            C[place[m], place[n]] = total / (decays[m][:, np.newaxis] + decays[n])
            C[place[n], place[m]] = C[place[m], place[n]].T
    return C


def noise_scores(
    network: SpikingResNet,
    *,
    strength: str = "lyapunov",
    kernel: str = "sum",
    exponents: DepthExponents | None = None,
    meetings: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Return the scores of step I of all weights, by connection, in the shapes of kernels.

    Parameters
    ----------
    network, strength, kernel, exponents
        As for `channel_graph`.
    meetings : mapping, optional
        `SpikingResNet.meetings`: scores are divided by the operations that a weight causes, see `per_operation`.

    Returns
    -------
    dict of str to array of float, at least 0

    Notes
    -----
    ``s (C_oo + C_ii - 2 sign(K) C_oi)``, equation (4) of Chakraborty et al. (2024), arXiv 2403.03409.
    """
    net = network.architecture
    graph = channel_graph(network, strength=strength, kernel=kernel, exponents=exponents)
    C = layered_covariance(graph.blocks, graph.decays)
    ends = np.concatenate([[0], np.cumsum(net.channels)])
    place = {layer: slice(int(ends[k]), int(ends[k + 1])) for k, layer in enumerate(net.layers)}
    c = C.diagonal()
    scores = {}
    for one in net.inner:
        i, o = place[one.source], place[one.target]
        level = c[i][:, np.newaxis] + c[o]
        bracket = level - 2 * np.sign(graph.kernels[one.name]) * C[i, o]
        scores[one.name] = graph.strengths[one.name] * np.maximum(bracket, 0)  # eq. (4)
    return scores if meetings is None else per_operation(scores, meetings)


def per_operation(scores: Mapping[str, np.ndarray], meetings: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return scores of weights, divided by the operations that a weight causes.

    Parameters
    ----------
    scores : mapping of str to array of float
        By connection, in the shapes of kernels.
    meetings : mapping of str to array of float
        `SpikingResNet.meetings`. What counts is the mean over the places of a kernel, a tenth of the mean over all
        being added. A weight that no spike meets costs nothing and is worth nothing: 0.

    Returns
    -------
    dict of str to array of float
    """
    each = {name: met.mean((0, 1)) for name, met in meetings.items()}
    floor = 0.1 * np.mean(np.concatenate(list(each.values())))
    return {
        name: np.where(meetings[name][..., np.newaxis] > 0, s / (each[name][:, np.newaxis] + floor), 0.0)
        for name, s in scores.items()
    }


# ------------------------------------------------------------------------------------------------------------ the masks


def sampled_masks(
    scores: Mapping[str, np.ndarray], count: int, *, rng: np.random.Generator
) -> tuple[Masks, dict[str, np.ndarray]]:
    """Keep weights with probability min(1, rho score), as many as asked for; return masks and probabilities.

    Parameters
    ----------
    scores : mapping of str to array of float, at least 0
    count : int
        Weights to be kept.
    rng : numpy.random.Generator

    Raises
    ------
    InvalidInput
        If fewer weights have a score above 0.

    Notes
    -----
    Systematic sampling (Madow 1949, doi:10.1214/aoms/1177729988) in random order: each weight is kept with its
    probability exactly, and their number is the one asked for.

    Examples
    --------
    >>> masks, p = sampled_masks({"a": np.array([8.0, 1.0, 1.0])}, 2, rng=np.random.default_rng(0))
    >>> p["a"], int(masks["a"].sum())
    (array([1. , 0.5, 0.5]), 2)
    """
    checks.generator("rng", rng)
    flat = np.concatenate([np.ravel(s) for s in scores.values()])
    p = keep_probability(flat, count=checks.count("count", count, minimum=0)).probability
    order = rng.permutation(p.size)
    # A running sum of p, which passes a point of a grid of step 1; rounding of the last bits must not lose one.
    running = np.cumsum(p[order])
    running *= round(running[-1]) / running[-1] if running[-1] else 1.0
    marks = np.floor(running - rng.random() + 1e-9)
    kept = np.zeros(p.size, bool)
    kept[order] = np.diff(marks, prepend=-1.0) > 0
    return _shaped(kept, scores), _shaped(p, scores)


def _shaped(flat: np.ndarray, like: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    parts = np.split(flat, np.cumsum([value.size for value in like.values()])[:-1])
    return {name: part.reshape(value.shape) for (name, value), part in zip(like.items(), parts, strict=True)}


def _count(network: SpikingResNet, count: int) -> int:
    if not 0 < checks.count("count", count) <= network.kept:
        raise InvalidInput(f"count must be at most the {network.kept} weights that there are, got {count}")
    return count


def magnitude_masks(network: SpikingResNet, count: int) -> Masks:
    """Keep the weights of largest magnitude in the whole network.

    Raises
    ------
    InvalidInput
        If the network has fewer weights.

    Notes
    -----
    One threshold for all layers, as Frankle and Carbin (2019), arXiv 1803.03635, have for deep networks.
    """
    sizes = {c.name: np.abs(network.parameters[c.name]) for c in network.architecture.inner}
    flat = np.concatenate([np.where(network.masks[name], size, -1.0).ravel() for name, size in sizes.items()])
    kept = np.zeros(flat.size, bool)
    kept[np.argsort(-flat, kind="stable")[: _count(network, count)]] = True
    return _shaped(kept, sizes)


def uniform_masks(network: SpikingResNet, count: int, *, rng: np.random.Generator) -> Masks:
    """Keep weights at random, each with the same probability.

    How far random pruning goes: Liu et al. (2022), arXiv 2202.02643.
    """
    weights = {c.name: network.masks[c.name].astype(float) for c in network.architecture.inner}
    return sampled_masks(weights, _count(network, count), rng=rng)[0]


def erk_masks(
    network: SpikingResNet,
    count: int,
    *,
    rng: np.random.Generator,
    meetings: Mapping[str, np.ndarray] | None = None,
) -> Masks:
    """Keep weights at random, with densities of layers after Erdos and Renyi: what step I has to be better than.

    Parameters
    ----------
    network : SpikingResNet
    count : int
        Weights to be kept.
    rng : numpy.random.Generator
    meetings : mapping, optional
        `SpikingResNet.meetings`: densities are divided by the operations that a weight causes, see `per_operation`.

    Raises
    ------
    InvalidInput
        If the network has fewer weights.

    Notes
    -----
    Density in proportion to ``(sources + targets + height + width)/(sources targets height width)`` of the kernel, at
    most 1 (Evci et al. 2020, arXiv 1911.11134). By the number of weights of a layer that is its share in `count`.
    """
    net, weights = network.architecture, {}
    for c in net.inner:
        kernel = net.kernel(c)
        weights[c.name] = network.masks[c.name] * (sum(kernel) / np.prod(kernel))
    if meetings is not None:
        weights = per_operation(weights, meetings)
    return sampled_masks(weights, _count(network, count), rng=rng)[0]


def iterative_magnitude_masks(
    network: SpikingResNet,
    count: int,
    *,
    train: Callable[[SpikingResNet, int], tuple[SpikingResNet, SpikingResNet]],
    rounds: int = 5,
) -> SpikingResNet:
    """Train, remove the smallest weights, set the others back, again and again; return the last network, set back.

    Parameters
    ----------
    network : SpikingResNet
    count : int
        Weights to be kept in the end.
    train : callable
        Called with the network and the round; returns it after its first epoch, to which weights are set back, and
        after all.
    rounds : int
        Each removes the same fraction of the weights.

    Returns
    -------
    SpikingResNet
        With the weights after the first epoch of the first round.

    Raises
    ------
    InvalidInput
        If the network has fewer weights.

    Notes
    -----
    Iterative magnitude pruning with late rewinding (Frankle et al. 2020, arXiv 1912.05671), of spiking networks Kim et
    al. 2022, arXiv 2207.01382: 15 rounds of a quarter of the weights, 300 epochs each.
    """
    _count(network, count)
    targets = np.geomspace(network.kept, count, checks.count("rounds", rounds) + 1)[1:].round().astype(int)
    early: Any = None
    for number, target in enumerate(targets):
        rewound, trained = train(network, number)
        early = rewound if early is None else early
        masks = magnitude_masks(trained, int(target))
        network = early.with_masks({name: masks[name] & network.masks[name] for name in masks})
    return network
