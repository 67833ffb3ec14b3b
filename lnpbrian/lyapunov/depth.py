"""How perturbations grow from layer to layer of a spiking ResNet, and how gradients shrink from block to block.

A network without recurrence has no other exponents in time than those of its neurons, ln(alpha): its tangent map of a
time step is block triangular. What differs is growth across layers, in finite time: *depth exponents*.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.models.resnet import Architecture, Arrays, SpikingResNet, forward

__all__ = ["DepthExponents", "depth_exponents", "gradient_ratios", "norm_excess"]


@dataclass(frozen=True)
class DepthExponents:
    """Growth of a perturbation across layers.

    Attributes
    ----------
    by_layer : dict of str to array of float, shape (channels,)
        ``ln(rms dv / rms dv of the parents)`` of each channel, without unit: per layer, not per time.
    resolution : float
        Their median standard error over images.
    rate : float
        Mean spikes a neuron and step.

    Notes
    -----
    That perturbations grow with depth in one regime and shrink in the other: Poole et al. 2016, arXiv 1606.05340.
    """

    by_layer: dict[str, np.ndarray] = field(repr=False)
    resolution: float
    rate: float


def parents(net: Architecture, shortcuts: Sequence[tuple[str, str]], layer: str) -> tuple[str, ...]:
    """Return the layers whose spikes a layer gets."""
    found = [c.source for c in net.connections if c.target == layer and c.source]
    found += [a for a, b in (*net.identities, *shortcuts) if b == layer]
    return tuple(dict.fromkeys(found))


@functools.cache
def _compiled_tangent(static: Any) -> Any:
    import jax

    def tangent(arrays: Arrays, images: Any, direction: Any) -> Any:
        """Return by layer the mean square of dv of each image and channel (B, C), and the mean rate."""
        statistics = forward(static, arrays, images).statistics

        def run(perturbation: Any) -> Any:
            seen = forward(static, arrays, images, statistics, perturbation=perturbation)
            return seen.potentials, seen.events

        # The perturbation is of the input of the first layer.
        (_, events), (dv, _) = jax.jvp(run, (jax.numpy.zeros_like(direction),), (direction,))
        squares = {layer: (d**2).mean((0, 2, 3)) for layer, d in dv.items()}
        return squares, {layer: s.sum() for layer, s in events.items()}

    return jax.jit(tangent)


def _images(network: SpikingResNet, images: object) -> np.ndarray:
    """Return images as a network takes them, if its neurons have a derivative."""
    if network.neuron == "if":
        raise InvalidInput("neurons of a converted network have no derivative; measure the network before conversion")
    return checks.array("images", images, shape=(None, *network.shape)).astype(network.dtype)


def depth_exponents(network: SpikingResNet, images: object, *, rng: np.random.Generator) -> DepthExponents:
    """Measure how a perturbation of the input of the first layer grows, or shrinks, from layer to layer.

    Parameters
    ----------
    network : SpikingResNet
        Its inputs of neurons are normalised by the statistics of `images`.
    images : array of float, shape (n, height, width, channels)
        In 0..1.
    rng : numpy.random.Generator
        Draws the perturbation, one normal number a neuron and step.

    Returns
    -------
    DepthExponents
        Channels that no perturbation reaches have -inf.

    Raises
    ------
    InvalidInput
        If the neurons have no derivative ("if").

    Notes
    -----
    One forward-mode derivative with the surrogate derivative of spikes. Finite-time exponents across layers, in place
    of those in time that step I of Chakraborty et al. (2024), arXiv 2403.03409, is about.

    Examples
    --------
    >>> from lnpbrian.models.resnet import noise_images
    >>> network = SpikingResNet.random(width=1/16, shape=(8, 8, 1), steps=2)
    >>> images = noise_images(8, (8, 8, 1), rng=np.random.default_rng(0))
    >>> found = depth_exponents(network, images, rng=np.random.default_rng(1))
    >>> found.by_layer["stem"].shape
    (4,)
    """
    checks.generator("rng", rng)
    net = network.architecture
    x = _images(network, images)
    size = (network.steps, len(x), net.maps[0], net.maps[0], net.channels[0])
    with network.precision():
        direction = rng.standard_normal(size).astype(network.dtype)
        squares, spikes = _compiled_tangent(network.static)(network.arrays, x, direction)
    growth = {layer: np.asarray(value, float) for layer, value in squares.items()}
    before = float((np.asarray(direction, float) ** 2).mean())
    by_layer, errors = {}, []
    with np.errstate(divide="ignore"):
        for layer in net.layers:
            above = parents(net, network.shortcuts, layer)
            scale = np.mean([growth[a][:, network.alive[a]].mean() for a in above]) if above else before
            mean = growth[layer].mean(axis=0)
            by_layer[layer] = 0.5 * (np.log(mean) - np.log(scale))
            if len(x) > 1:
                spread = growth[layer].std(axis=0, ddof=1) / np.sqrt(len(x))
                errors.append(0.5 * spread[mean > 0] / mean[mean > 0])
    resolution = float(np.median(np.concatenate(errors))) if errors else 0.0
    living = sum(int(network.alive[layer].sum()) * side**2 for layer, side in zip(net.layers, net.maps, strict=True))
    total = sum(float(s) for s in spikes.values())
    return DepthExponents(by_layer, max(resolution, 1e-6), total / (len(x) * network.steps * max(living, 1)))


@functools.cache
def _compiled_gradients(static: Any, candidates: tuple[tuple[str, str], ...]) -> Any:
    import jax

    def gradients(arrays: Arrays, images: Any, cotangent: Any, gates: Any) -> Any:
        """Return the norm of the gradient by the output of each outer layer."""
        net = static.architecture
        open_gates = {pair: gates[k] for k, pair in enumerate(candidates)}
        statistics = forward(static, arrays, images, gates=open_gates).statistics

        def run(probes: Any) -> Any:
            return forward(static, arrays, images, statistics, probes=probes, gates=open_gates).logits

        probes = {
            layer: jax.numpy.zeros(
                (static.steps, images.shape[0], net.side(layer), net.side(layer), net.width(layer)), images.dtype
            )
            for layer in net.outer
        }
        _, pull = jax.vjp(run, probes)
        (found,) = pull(cotangent)
        return {layer: jax.numpy.sqrt((g**2).sum()) for layer, g in found.items()}

    return jax.jit(gradients)


def gradient_ratios(
    network: SpikingResNet,
    images: object,
    *,
    rng: np.random.Generator,
    candidates: Sequence[tuple[str, str]] = (),
    gates: Sequence[float] = (),
) -> np.ndarray:
    """Return ln g of each block: of the norms of the gradient before and behind it.

    Parameters
    ----------
    network : SpikingResNet
    images : array of float, shape (n, height, width, channels)
        In 0..1; they give the batch statistics too.
    rng : numpy.random.Generator
        Draws the cotangents of the outputs, one normal number an image and class.
    candidates, gates : sequence of (str, str), and of float, optional
        Shortcuts that are added for the measurement, and their factors.

    Returns
    -------
    array of float, shape (blocks,)

    Raises
    ------
    InvalidInput
        If the neurons have no derivative ("if").

    Notes
    -----
    ``g = |d<u, y>/dx_l| / |d<u, y>/dx_(l+1)|`` (Zaeemzadeh, Rahnavard and Shah 2018, arXiv 1805.07477: identity skips
    keep it near 1), with the surrogate derivative of spikes.

    Examples
    --------
    >>> from lnpbrian.models.resnet import noise_images
    >>> network = SpikingResNet.random(width=1/16, shape=(8, 8, 1), steps=2)
    >>> images = noise_images(4, (8, 8, 1), rng=np.random.default_rng(0))
    >>> gradient_ratios(network, images, rng=np.random.default_rng(1)).shape
    (3,)
    """
    checks.generator("rng", rng)
    x = _images(network, images)
    run = _compiled_gradients(network.static, tuple(candidates))
    with network.precision():
        cotangent = rng.standard_normal((len(x), network.classes)).astype(network.dtype)
        factors = np.asarray(gates, network.dtype).reshape(len(candidates))
        found: Mapping[str, Any] = run(network.arrays, x, cotangent, factors)
    norms = np.array([float(found[layer]) for layer in network.architecture.outer])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(norms[:-1]) - np.log(norms[1:])


def norm_excess(ratios: np.ndarray) -> float:
    """Return Phi, the sum of squares of ln g: 0 where every block keeps the norm of the gradient.

    Norms of gradients across blocks: Zaeemzadeh, Rahnavard and Shah 2018, arXiv 1805.07477.

    >>> norm_excess(np.log([2.0, 0.5])).__round__(4)  # 2 ln(2)^2
    0.9609
    """
    return float((np.asarray(ratios) ** 2).sum())
