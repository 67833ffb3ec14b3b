"""Spiking residual networks on images, in JAX: architecture, forward pass, batch statistics, operations, files.

A network is frozen numbers and pure functions of them; pruning makes masks, training makes parameters. Layers are
called ``stem``, ``block1.inner``, ``block1``, ``block2.inner`` and so on, in the order of depth; a connection is a
convolution from one layer to another, and is called ``stem``, ``block1.first``, ``block1.second`` or
``block1.shortcut``.
"""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np

from lnpbrian import checks, files
from lnpbrian.checks import InvalidInput
from lnpbrian.streams import Streams

__all__ = ["LAYOUTS", "Architecture", "Connection", "Operations", "SpikingResNet", "noise_images"]

# Blocks and first stride of each stage. Kim et al. (2022), arXiv 2207.01382, halve the map in every stage, Zheng et al.
# (2021), arXiv 2011.05280, from the second on; ResNet-8 has one block a stage.
LAYOUTS: dict[str, tuple[tuple[int, int], ...]] = {
    "resnet8": ((1, 2), (1, 2), (1, 2)),
    "resnet19": ((3, 2), (3, 2), (2, 2)),
    "resnet19-tdbn": ((3, 1), (3, 2), (2, 2)),
}
STEM, STAGES = 64, (128, 256, 512)
NEURONS = ("lif", "qcfs", "if")
# Added to variances, as everywhere.
EPSILON = 1e-5
# exp(-1/tau) is 1/4: the decay of Kim et al., whose tau = 4/3 is that of an Euler step, 1 - 1/tau.
TIME_CONSTANT = 1 / math.log(4)
LEVELS = 4
# Threshold that quantised activations begin with, four standard deviations of a normalised input.
FIRST_THRESHOLD = 4.0
# Images at a time.
BATCH = 128
# Values of images 0..1 become (x - 1/2)/(1/4).
CENTRE, UNIT = 0.5, 0.25


def _jax() -> Any:
    try:
        import jax
        import optax  # noqa: F401
    except ImportError:
        raise InvalidInput("spiking ResNets need JAX and Optax; pip install 'lnpbrian[bp]'") from None
    return jax


class Connection(NamedTuple):
    """A convolution from a layer ("" for the image) to another, its stride and the size of its kernel."""

    name: str
    source: str
    target: str
    stride: int
    size: int


@dataclass(frozen=True)
class Architecture:
    """Layers of neurons and what connects them.

    Attributes
    ----------
    layers : tuple of str
        In the order of depth: a layer gets input from earlier ones only.
    channels, maps : tuple of int
        Channels, and height and width, of each layer.
    connections : tuple of Connection
    identities : tuple of (str, str)
        Skip connections without a kernel, before the neurons of the target.
    inputs : int
        Channels of the images.

    Notes
    -----
    He et al. 2016, doi:10.1109/CVPR.2016.90, with a neuron after the sum of both branches.

    Examples
    --------
    >>> network = Architecture.of("resnet19", inputs=3, size=32)
    >>> network.weights, network.neurons  # without the readout
    (12486336, 393216)
    >>> Architecture.of("resnet19-tdbn", inputs=3, size=32).neurons
    1376256
    """

    layers: tuple[str, ...]
    channels: tuple[int, ...]
    maps: tuple[int, ...]
    connections: tuple[Connection, ...]
    identities: tuple[tuple[str, str], ...]
    inputs: int

    @classmethod
    def of(cls, layout: str, *, width: float = 1.0, inputs: int = 3, size: int = 32) -> Self:
        """Return the architecture of a layout, its channels multiplied by `width`, for images of `size` squared.

        Raises
        ------
        InvalidInput
            If the layout is unknown, or images or width are so small that nothing is left of a map or of channels.
        """
        stages = LAYOUTS[checks.choice("layout", layout, LAYOUTS)]
        factor = checks.real("width", width, above=0, at_most=8)
        stem, *wide = (round(factor * n) for n in (STEM, *STAGES))
        side = checks.count("size", size, minimum=4, at_most=1024)
        if stem < 1:
            raise InvalidInput(f"width must leave at least one of {STEM} channels, got {width}")
        layers, channels, maps = ["stem"], [stem], [side]
        made, identities = [Connection("stem", "", "stem", 1, 3)], []
        block = 0
        for (blocks, first), n in zip(stages, wide, strict=True):
            for k in range(blocks):
                block += 1
                stride, before, here = first if k == 0 else 1, layers[-1], f"block{block}"
                made.append(Connection(f"{here}.first", before, f"{here}.inner", stride, 3))
                made.append(Connection(f"{here}.second", f"{here}.inner", here, 1, 3))
                if stride != 1 or n != channels[-1]:
                    made.append(Connection(f"{here}.shortcut", before, here, stride, 1))
                else:
                    identities.append((before, here))
                side = (side - 1) // stride + 1
                layers += [f"{here}.inner", here]
                channels += [n, n]
                maps += [side, side]
        inputs = checks.count("inputs", inputs, at_most=64)
        return cls(tuple(layers), tuple(channels), tuple(maps), tuple(made), tuple(identities), inputs)

    def width(self, layer: str) -> int:
        """Number of channels of a layer, "" for the image."""
        return self.channels[self.layers.index(layer)] if layer else self.inputs

    def side(self, layer: str) -> int:
        """Height and width of a layer, "" for the image."""
        return self.maps[self.layers.index(layer)] if layer else self.maps[0]

    def kernel(self, connection: Connection) -> tuple[int, int, int, int]:
        """Shape of the kernel of a connection: height, width, channels of source and target."""
        return (connection.size, connection.size, self.width(connection.source), self.width(connection.target))

    @property
    def inner(self) -> tuple[Connection, ...]:
        """Connections between neurons: all but the first, whose input is the image; those that are pruned."""
        return tuple(c for c in self.connections if c.source)

    @property
    def outer(self) -> tuple[str, ...]:
        """Layers between blocks, the first one included."""
        return tuple(layer for layer in self.layers if not layer.endswith(".inner"))

    @property
    def weights(self) -> int:
        """Weights of all kernels."""
        return sum(math.prod(self.kernel(c)) for c in self.connections)

    @property
    def neurons(self) -> int:
        """Neurons: channels times positions."""
        return sum(n * side**2 for n, side in zip(self.channels, self.maps, strict=True))

    def streams(self) -> tuple[tuple[str, ...], ...]:
        """Layers whose channels are one: those that identities join; every other layer by itself."""
        groups: list[list[str]] = []
        for layer in self.layers:
            joined = next((g for g in groups for a, b in self.identities if b == layer and a in g), None)
            if joined is None:
                groups.append([layer])
            else:
                joined.append(layer)
        return tuple(map(tuple, groups))


@dataclass(frozen=True)
class Operations:
    """What one image costs, by what is counted.

    Attributes
    ----------
    synaptic : float
        Additions that spikes cause at kept weights, identities and added shortcuts, an image.
    by_connection : dict of str to float
        The same by connection; identities and shortcuts are called ``source -> target``.
    stem_macs, head_macs : float
        Multiplications of the first convolution, once an image, and of the readout of mean spikes: not synaptic.
    spikes : float
        Spikes an image.

    Notes
    -----
    Synaptic operations are those of equation (9) of Chakraborty et al. (2024), arXiv 2403.03409, counted weight by
    weight.
    """

    synaptic: float
    by_connection: dict[str, float] = field(repr=False)
    stem_macs: float
    head_macs: float
    spikes: float


def noise_images(n: int, shape: tuple[int, int, int], *, rng: np.random.Generator) -> np.ndarray:
    """Return images of independent normal values, with the mean and spread that images are normalised by.

    Parameters
    ----------
    n : int
    shape : (int, int, int)
        Height, width, channels.
    rng : numpy.random.Generator

    Returns
    -------
    array of float32, shape (n, height, width, channels)

    Examples
    --------
    >>> noise_images(2, (8, 8, 3), rng=np.random.default_rng(0)).shape
    (2, 8, 8, 3)
    """
    checks.generator("rng", rng)
    size = (checks.count("n", n), *(checks.count("shape", s) for s in shape))
    return (CENTRE + UNIT * rng.standard_normal(size)).astype(np.float32)


class _Static(NamedTuple):
    """What compiled functions depend on beside the shapes of their arguments."""

    architecture: Architecture
    neuron: str
    steps: int
    folded: bool
    shortcuts: tuple[tuple[str, str], ...]


class Arrays(NamedTuple):
    """What the forward pass is a function of: parameters, masks, decays and living channels, by name."""

    parameters: dict[str, Any]
    masks: dict[str, Any]
    decays: dict[str, Any]
    alive: dict[str, Any]


class Pass(NamedTuple):
    """What a forward pass gives: logits (B, K), and by layer or connection what is told below.

    `events`, `potentials`: spikes, and potentials before the reset, of each layer, (T, B, H, W, C). `statistics`: mean
    and variance of each channel behind each convolution.
    """

    logits: Any
    events: dict[str, Any]
    potentials: dict[str, Any]
    statistics: dict[str, Any]


def spike(u: Any) -> Any:
    """Return the Heaviside step of u, differentiated as ``1/(1 + (pi u)^2)``.

    Notes
    -----
    The arctangent of Fang et al. 2021, doi:10.1109/ICCV48922.2021.00266, with slope alpha = 2.

    Examples
    --------
    >>> import jax
    >>> float(spike(jax.numpy.asarray(0.5))), float(jax.grad(spike)(1 / np.pi))  # 1/(1 + 1)
    (1.0, 0.5)
    """
    jax = _jax()
    smooth = jax.numpy.arctan(math.pi * u) / math.pi
    # The brackets: a spike is exactly 1.
    return (u >= 0).astype(u.dtype) + (smooth - jax.lax.stop_gradient(smooth))


def quantised(x: Any, threshold: Any) -> Any:
    """Return x between 0 and the threshold, rounded to four steps: the activation of networks to be converted.

    Notes
    -----
    ``theta clip(floor(4 x/theta + 1/2)/4, 0, 1)``, differentiated as if nothing were rounded. The quantisation
    clip-floor-shift function of arXiv 2303.04347 (2022), eq. (12).

    Examples
    --------
    >>> quantised(np.array([-1.0, 0.4, 0.6, 9.0]), 4.0).tolist()
    [0.0, 0.0, 1.0, 4.0]
    """
    jax = _jax()
    part = jax.numpy.clip(x / threshold, 0, 1)
    steps = jax.numpy.floor(LEVELS * part + 0.5) / LEVELS
    return threshold * (jax.lax.stop_gradient(steps) + (part - jax.lax.stop_gradient(part)))


def convolved(x: Any, kernel: Any, connection: Connection) -> Any:
    """Convolve (..., H, W, C) with zeros of half a kernel around it."""
    size, stride = connection.size, connection.stride
    around, lead = size // 2, x.shape[:-3]
    x = x.reshape(-1, *x.shape[-3:])
    side = (x.shape[1] - 1) // stride + 1
    if 1 < size <= side:
        y = _jax().lax.conv_general_dilated(
            x,
            kernel,
            (stride, stride),
            ((around, around), (around, around)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
    else:
        # On processors, XLA takes ten times as long over maps smaller than the kernel, and longer over single places.
        y = _patches(x, size, stride, side) @ kernel.reshape(-1, kernel.shape[-1])
    return y.reshape(*lead, *y.shape[-3:])


def _patches(x: Any, size: int, stride: int, side: int) -> Any:
    """Return what a kernel sees at each position of maps (n, H, W, C): (n, side, side, size^2 C)."""
    around, end = size // 2, stride * (side - 1) + 1
    numpy = _jax().numpy
    x = numpy.pad(x, ((0, 0), (around, around), (around, around), (0, 0)))
    seen = [x[:, i : i + end : stride, j : j + end : stride] for i in range(size) for j in range(size)]
    return numpy.concatenate(seen, axis=-1)


def _resampled(x: Any, side: int, channels: int) -> Any:
    """Return a map with fewer positions and more channels: a shortcut without parameters."""
    stride = x.shape[-2] // side
    x = x[..., ::stride, ::stride, :][..., :side, :side, :channels]
    return _jax().numpy.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, channels - x.shape[-1])])


def _neurons(static: _Static, current: Any, decay: Any, threshold: Any) -> tuple[Any, Any, Any]:
    """Return outputs, spikes and potentials before the reset, (T, ...), of neurons with input `current` (T, ...)."""
    jax = _jax()
    if static.neuron == "qcfs":
        y = quantised(current, threshold)
        return y, y, current
    outputs, events, potentials = [], [], []
    v = jax.numpy.zeros_like(current[0]) if static.neuron == "lif" else jax.numpy.full_like(current[0], threshold / 2)
    for x in current:
        if static.neuron == "lif":
            before = decay * v + (1 - decay) * x
            s = spike(before - 1)
            v = before * (1 - jax.lax.stop_gradient(s))
            outputs.append(s)
        else:
            before = v + x
            s = (before >= threshold).astype(x.dtype)
            v = before - threshold * s
            outputs.append(threshold * s)
        events.append(s)
        potentials.append(before)
    return jax.numpy.stack(outputs), jax.numpy.stack(events), jax.numpy.stack(potentials)


def forward(
    static: _Static,
    arrays: Arrays,
    images: Any,
    statistics: Mapping[str, Any] | None = None,
    *,
    perturbation: Any = 0.0,
    probes: Mapping[str, Any] | None = None,
    gates: Mapping[tuple[str, str], Any] | None = None,
) -> Pass:
    """Show images (B, H, W, C) and return what the network does; pure, to be differentiated and compiled.

    Parameters
    ----------
    static, arrays
        See `SpikingResNet.static` and `SpikingResNet.arrays`.
    images : array
        In 0..1.
    statistics : mapping, optional
        By which the inputs of neurons are normalised; those of the batch without them.
    perturbation : array, broadcast to (T, B, H, W, C)
        Added to the input of the first layer.
    probes, gates : mapping, optional
        Added to the outputs of layers; factors of shortcuts beside those of the network.

    Notes
    -----
    The network of `SpikingResNet`; what goes into neurons is normalised over images and time steps, as by Zheng et al.
    2021, arXiv 2011.05280.
    """
    jax = _jax()
    jnp = jax.numpy
    net, p = static.architecture, arrays.parameters
    image = (images - CENTRE) / UNIT
    outputs: dict[str, Any] = {}
    events: dict[str, Any] = {}
    potentials: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for layer in net.layers:
        current: Any = 0.0
        for c in net.connections:
            if c.target != layer:
                continue
            kernel = p[c.name] * arrays.masks[c.name] if c.source else p[c.name]
            y = convolved(outputs[c.source] if c.source else image[jnp.newaxis], kernel, c)
            if static.folded:
                y = y + p[f"{c.name}/offset"]
            else:
                axes = tuple(range(y.ndim - 1))
                if statistics is None:
                    mean, variance = y.mean(axes), y.var(axes)
                else:
                    mean, variance = statistics[f"{c.name}/mean"], statistics[f"{c.name}/variance"]
                found[f"{c.name}/mean"], found[f"{c.name}/variance"] = mean, variance
                gain = p[f"{c.name}/scale"] / jnp.sqrt(variance + EPSILON)
                y = (y - mean) * gain + p[f"{c.name}/offset"]
            current = current + y
        for source, target in net.identities:
            if target == layer:
                current = current + outputs[source]
        if layer == "stem":
            # The image stays for all steps.
            current = jnp.broadcast_to(current, (static.steps, *current.shape[1:])) + perturbation
        y, s, v = _neurons(static, current, arrays.decays[layer], p.get(f"{layer}/threshold", 1.0))
        y, s = y * arrays.alive[layer], s * arrays.alive[layer]
        added = [(a, 1.0) for a, b in static.shortcuts if b == layer]
        added += [(a, gate) for (a, b), gate in (gates or {}).items() if b == layer]
        for a, gate in added:
            y = y + gate * _resampled(outputs[a], net.side(layer), net.width(layer))
            s = s + gate * _resampled(events[a], net.side(layer), net.width(layer))
        if probes and layer in probes:
            y = y + probes[layer]
        outputs[layer], events[layer], potentials[layer] = y, s, v
    pooled = outputs[net.layers[-1]].mean((0, 2, 3))
    return Pass(pooled @ p["head"] + p["head/offset"], events, potentials, found)


# What is asked of a forward pass.
_SEEN: dict[str, Callable[[Pass], Any]] = {
    "logits": lambda seen: seen.logits,
    "measured": lambda seen: seen.statistics,
    "counted": lambda seen: {layer: s.sum((0, 1)) for layer, s in seen.events.items()},
    "potentials": lambda seen: {layer: abs(v).mean((0, 2, 3)).sum(0) for layer, v in seen.potentials.items()},
}


@functools.cache
def _compiled(static: _Static, what: str) -> Callable[..., Any]:
    """Return a compiled function of arrays, images and statistics; what is not asked for is not computed."""

    def run(arrays: Arrays, images: Any, statistics: Any = None) -> Any:
        return _SEEN[what](forward(static, arrays, images, statistics))

    return _jax().jit(run)


@dataclass(frozen=True, eq=False)
class SpikingResNet:
    """A spiking residual network on images, as frozen numbers.

    Attributes
    ----------
    layout : {"resnet8", "resnet19", "resnet19-tdbn"}
    width : float
        Factor of the numbers of channels, 64 in the first layer and 128, 256, 512 in the stages.
    shape : (int, int, int)
        Height, width and channels of images.
    classes, steps : int
        Outputs, and time steps that an image is shown.
    neuron : {"lif", "qcfs", "if"}
        Leaky neurons with a hard reset; the quantised activations of the network that is trained to be converted; and
        neurons without leak and with a soft reset, into which it is converted.
    parameters : dict of str to array
        Kernels (height, width, source, target) by connection, ``connection/scale`` and ``connection/offset`` of batch
        normalisation, ``head`` (channels, classes), ``head/offset``, and ``layer/threshold`` of neurons but "lif".
    masks : dict of str to array of bool
        Kept weights of all connections but the first.
    statistics : dict of str to array
        ``connection/mean`` and ``connection/variance``; empty before `calibrate`.
    time_constants : dict of str to array of float, shape (channels,)
        In steps; a potential decays by exp(-1/tau) in a step.
    alive : dict of str to array of bool, shape (channels,)
        Channels that may spike.
    shortcuts : tuple of (str, str)
        Shortcuts without parameters, from spikes to spikes.
    folded : bool
        Whether batch normalisation is in the kernels.

    Notes
    -----
    ``u = alpha v + (1 - alpha) I``, a spike where u >= 1, ``v = u`` without and 0 with a spike; the reset has no
    gradient, spikes have that of an arctangent. Kim et al. 2022, arXiv 2207.01382; residual blocks of Zheng et al.
    2021, arXiv 2011.05280. The readout is linear, of mean spikes of the last block: their two layers with neurons in
    between are silent in narrow networks.

    Examples
    --------
    >>> SpikingResNet.random(layout="resnet8", width=1/16, shape=(8, 8, 1), steps=2, seed=1)
    SpikingResNet(resnet8, width 0.0625, 2 steps, lif, 116 channels, 18816 of 18816 weights)
    """

    layout: str
    width: float
    shape: tuple[int, int, int]
    classes: int
    steps: int
    neuron: str
    parameters: dict[str, np.ndarray] = field(repr=False)
    masks: dict[str, np.ndarray] = field(repr=False)
    statistics: dict[str, np.ndarray] = field(repr=False)
    time_constants: dict[str, np.ndarray] = field(repr=False)
    alive: dict[str, np.ndarray] = field(repr=False)
    shortcuts: tuple[tuple[str, str], ...] = ()
    folded: bool = False

    def __repr__(self) -> str:
        channels = sum(int(a.sum()) for a in self.alive.values())
        return (
            f"SpikingResNet({self.layout}, width {self.width:g}, {self.steps} steps, {self.neuron}, "
            f"{channels} channels, {self.kept} of {self.prunable} weights)"
        )

    @classmethod
    def random(
        cls,
        *,
        layout: str = "resnet8",
        width: float = 0.25,
        shape: tuple[int, int, int] = (32, 32, 3),
        classes: int = 10,
        steps: int = 4,
        neuron: str = "lif",
        seed: int = 0,
        precision: str = "float32",
    ) -> Self:
        """Return a network with random weights (He et al. 2015, arXiv 1502.01852).

        Parameters
        ----------
        layout, width, shape, classes, steps
            As the attributes.
        neuron : {"lif", "qcfs"}
            With "qcfs" there are no time steps.
        seed : int
        precision : {"float32", "float64"}

        Raises
        ------
        InvalidInput
            If a value is out of range, or JAX or Optax is missing.
        """
        _jax()
        checks.choice("neuron", neuron, NEURONS[:2])
        dtype = checks.choice("precision", precision, ("float32", "float64"))
        if len(shape) != 3 or shape[0] != shape[1]:
            raise InvalidInput(f"shape must be (side, side, channels) of images, got {shape}")
        net = Architecture.of(layout, width=width, inputs=shape[2], size=shape[0])
        rng = Streams(seed).child("resnet").rng("weights")
        parameters: dict[str, np.ndarray] = {}
        for c in net.connections:
            kernel = net.kernel(c)
            parameters[c.name] = rng.standard_normal(kernel) * math.sqrt(2 / math.prod(kernel[:3]))
            parameters[f"{c.name}/scale"] = np.ones(kernel[3])
            parameters[f"{c.name}/offset"] = np.zeros(kernel[3])
        bound = 1 / math.sqrt(net.channels[-1])
        n = checks.count("classes", classes, minimum=2)
        parameters["head"] = rng.uniform(-bound, bound, (net.channels[-1], n))
        parameters["head/offset"] = np.zeros(n)
        if neuron == "qcfs":
            parameters |= {f"{layer}/threshold": np.array(FIRST_THRESHOLD) for layer in net.layers}
        return cls(
            layout=layout,
            width=float(width),
            shape=(int(shape[0]), int(shape[1]), int(shape[2])),
            classes=n,
            steps=checks.count("steps", steps) if neuron == "lif" else 1,
            neuron=neuron,
            parameters={name: value.astype(dtype) for name, value in parameters.items()},
            masks={c.name: np.ones(net.kernel(c), bool) for c in net.inner},
            statistics={},
            time_constants={
                layer: np.full(n, TIME_CONSTANT) for layer, n in zip(net.layers, net.channels, strict=True)
            },
            alive={layer: np.ones(n, bool) for layer, n in zip(net.layers, net.channels, strict=True)},
        )

    # ----------------------------------------------------------------------------------------------- what it is made of

    @property
    def architecture(self) -> Architecture:
        """Layers and connections."""
        return Architecture.of(self.layout, width=self.width, inputs=self.shape[2], size=self.shape[0])

    @property
    def static(self) -> _Static:
        """What compiled functions depend on."""
        return _Static(self.architecture, self.neuron, self.steps, self.folded, tuple(self.shortcuts))

    @property
    def dtype(self) -> np.dtype:
        """Precision of the parameters."""
        return self.parameters["head"].dtype

    @property
    def arrays(self) -> Arrays:
        """What `forward` is a function of."""
        kind = self.dtype
        return Arrays(
            dict(self.parameters),
            {name: mask.astype(kind) for name, mask in self.masks.items()},
            {layer: np.exp(-1 / tau).astype(kind) for layer, tau in self.time_constants.items()},
            {layer: alive.astype(kind) for layer, alive in self.alive.items()},
        )

    def precision(self) -> Any:
        """Return a context in which JAX computes in the precision of the parameters."""
        return _jax().enable_x64(self.dtype == np.float64)

    @property
    def prunable(self) -> int:
        """Weights between neurons."""
        return sum(mask.size for mask in self.masks.values())

    @property
    def kept(self) -> int:
        """Weights between neurons that are kept."""
        return sum(int(mask.sum()) for mask in self.masks.values())

    def sparsity(self) -> dict[str, float]:
        """Return the fractions of channels, of neurons (channel, row, column) and of weights that are gone.

        Examples
        --------
        >>> SpikingResNet.random(width=1/16, shape=(8, 8, 1)).sparsity()
        {'channels': 0.0, 'neurons': 0.0, 'weights': 0.0}
        """
        net = self.architecture
        living = np.array([self.alive[layer].sum() for layer in net.layers])
        squares = np.array(net.maps) ** 2
        return {
            "channels": float(1 - living.sum() / sum(net.channels)),
            "neurons": float(1 - living @ squares / net.neurons),
            "weights": 1 - self.kept / self.prunable,
        }

    def without_channels(self, alive: Mapping[str, np.ndarray]) -> SpikingResNet:
        """Return the network without channels, by layer, and the weights onto and from them."""
        net = self.architecture
        left = {
            layer: self.alive[layer] & checks.keep_mask(f"alive[{layer!r}]", alive.get(layer, self.alive[layer]), n)
            for layer, n in zip(net.layers, net.channels, strict=True)
        }
        masks = {
            c.name: self.masks[c.name] & left[c.source][:, np.newaxis] & left[c.target][np.newaxis] for c in net.inner
        }
        return replace(self, alive=left, masks=masks)

    def with_masks(self, masks: Mapping[str, np.ndarray]) -> SpikingResNet:
        """Return the network with other kept weights, those of living channels only.

        Raises
        ------
        InvalidInput
            If a mask is missing, is no mask or of another shape.
        """
        for name, own in self.masks.items():
            mask = np.asarray(masks.get(name))
            if mask.dtype != bool or mask.shape != own.shape:
                raise InvalidInput(f"masks[{name!r}] must be a boolean mask of shape {own.shape}, got {mask.shape}")
        return replace(self, masks={name: np.array(masks[name]) for name in self.masks}).without_channels({})

    # ----------------------------------------------------------------------------------------------------- what it does

    # Pure: what training differentiates, called with `static` and `arrays`.
    forward = staticmethod(forward)

    def logits(self, images: object) -> np.ndarray:
        """Return the outputs for images.

        Parameters
        ----------
        images : array of float, shape (n, height, width, channels)
            In 0..1.

        Returns
        -------
        array of float, shape (n, classes)

        Raises
        ------
        InvalidInput
            If the network is not calibrated, or images are of another shape.
        """
        run, x = _compiled(self.static, "logits"), self._images(images)
        with self.precision():
            parts = [np.asarray(run(self.arrays, part, self._calibrated))[:n] for part, n in _padded(x)]
        return np.concatenate(parts)

    def calibrate(self, images: object) -> SpikingResNet:
        """Return the network with the batch statistics of images, each the mean of those of batches.

        Parameters
        ----------
        images : array of float, shape (n, height, width, channels)
            In 0..1, without labels; whole batches of 128 of them are used, or all if there are fewer.

        Notes
        -----
        Running averages with a momentum are mostly those of the start after a few batches; scores, exponents and
        gradient ratios are then artefacts.

        Examples
        --------
        >>> network = SpikingResNet.random(width=1/16, shape=(8, 8, 1), steps=2)
        >>> images = noise_images(20, (8, 8, 1), rng=np.random.default_rng(0))
        >>> network.calibrate(images).logits(images).shape
        (20, 10)
        """
        x = self._images(images)
        if self.folded:
            return self
        run, batches = _compiled(self.static, "measured"), max(1, len(x) // BATCH)
        total: dict[str, Any] = {}
        with self.precision():
            for k in range(batches):
                found = run(self.arrays, x[k * BATCH : (k + 1) * BATCH])
                total = {name: total.get(name, 0.0) + np.asarray(value) / batches for name, value in found.items()}
        return replace(self, statistics={name: value.astype(self.dtype) for name, value in total.items()})

    def spike_counts(self, images: object) -> dict[str, np.ndarray]:
        """Return the mean number of spikes an image of every neuron, by layer, shape (height, width, channels)."""
        if self.neuron == "qcfs":
            raise InvalidInput("activations of a network that is to be converted are no spikes; convert it first")
        return self._means("counted", images)

    def potentials(self, images: object) -> dict[str, np.ndarray]:
        """Return the mean of |potential before the reset| over images, steps and positions, by layer (channels,)."""
        return self._means("potentials", images)

    def _means(self, what: str, images: object) -> dict[str, np.ndarray]:
        """Return means over images of what a compiled pass adds up, by layer."""
        run, x = _compiled(self.static, what), self._images(images)
        total: dict[str, Any] = {}
        with self.precision():
            for part in _batches(x):
                found = run(self.arrays, part, self._calibrated)
                total = {layer: total.get(layer, 0.0) + np.asarray(s, float) for layer, s in found.items()}
        return {layer: s / len(x) for layer, s in total.items()}

    def meetings(self, images: object) -> dict[str, np.ndarray]:
        """Return how many spikes an image meet each place of a kernel, by connection, shape (size, size, source).

        A weight from channel i at place k of the kernel costs as many additions, to whatever channel it leads: spikes
        at borders and between strides meet fewer weights.
        """
        return self._meetings(self.spike_counts(images))

    def _meetings(self, counts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        net, met = self.architecture, {}
        for c in net.inner:
            around, n = c.size // 2, net.side(c.target)
            padded = np.pad(counts[c.source], ((around, around), (around, around), (0, 0)))
            reach = c.stride * (n - 1) + 1
            met[c.name] = np.array(
                [
                    [padded[y : y + reach : c.stride, x : x + reach : c.stride].sum((0, 1)) for x in range(c.size)]
                    for y in range(c.size)
                ]
            )
        return met

    def operations(self, images: object) -> Operations:
        """Return what the network costs an image, measured on images.

        Examples
        --------
        >>> network = SpikingResNet.random(width=1/16, shape=(8, 8, 1), steps=2)
        >>> images = noise_images(20, (8, 8, 1), rng=np.random.default_rng(0))
        >>> network.calibrate(images).operations(images).stem_macs  # 8 x 8 positions, 3 x 3 places, 4 channels; borders
        1936.0
        """
        net, counts = self.architecture, self.spike_counts(images)
        by = {name: float((met * self.masks[name].sum(3)).sum()) for name, met in self._meetings(counts).items()}
        for a, b in (*net.identities, *self.shortcuts):
            stride = net.side(a) // net.side(b)
            reached = counts[a][::stride, ::stride, : net.width(b)]
            by[f"{a} -> {b}"] = float(reached[..., self.alive[b][: reached.shape[-1]]].sum())
        side = net.maps[0]
        # Along one axis the outer places of the kernel meet one position less.
        stem = (3 * side - 2) ** 2 * self.shape[2] * int(self.alive["stem"].sum())
        return Operations(
            synaptic=sum(by.values()),
            by_connection=by,
            stem_macs=float(stem),
            head_macs=float(self.alive[net.layers[-1]].sum() * self.classes),
            spikes=float(sum(s.sum() for s in counts.values())),
        )

    @property
    def _calibrated(self) -> dict[str, np.ndarray]:
        if not self.statistics and not self.folded:
            raise InvalidInput("the network has no batch statistics; call calibrate(images) first")
        return self.statistics

    def _images(self, images: object) -> np.ndarray:
        x = checks.array("images", images, shape=(None, *self.shape))
        if not len(x):
            raise InvalidInput("images must hold at least one image")
        return x.astype(self.dtype)

    # --------------------------------------------------------------------------------------------------------- its file

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the network as arrays by name, which `from_arrays` takes."""
        about = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _KINDS}
        arrays = {f"{kind}:{name}": value for kind in _KINDS for name, value in getattr(self, kind).items()}
        return {"about": np.array(json.dumps(about)), **arrays}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the network that `to_arrays` described.

        Raises
        ------
        InvalidInput
            If it is none.
        """
        try:
            about = json.loads(str(arrays["about"]))
            parts: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in _KINDS}
            for key, value in arrays.items():
                kind, _, name = key.partition(":")
                if name:
                    parts[kind][name] = value
            about["shape"] = tuple(about["shape"])
            about["shortcuts"] = tuple((a, b) for a, b in about["shortcuts"])
            network = cls(**about, **parts)  # type: ignore[arg-type]
            network._check()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(f"these arrays are no spiking ResNet ({error})") from error
        return network

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network as an ``.npz`` file, whole or not at all."""
        arrays: dict[str, Any] = self.to_arrays()
        with files.replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the network of a file that `save` wrote.

        Raises
        ------
        OSError
            If the file cannot be read.
        InvalidInput
            If it holds no such network.
        """
        try:
            return cls.from_arrays(files.read_arrays(path))
        except ValueError as error:
            raise InvalidInput(f"{os.fspath(path)!r} holds no spiking ResNet ({error})") from error

    def _check(self) -> None:
        """Refuse arrays that are not those of the architecture."""
        net = self.architecture
        wanted: dict[str, tuple[int, ...]] = {c.name: net.kernel(c) for c in net.connections}
        wanted["head"] = (net.channels[-1], self.classes)
        for name, shape in wanted.items():
            if self.parameters[name].shape != shape:
                raise ValueError(f"{name} has shape {self.parameters[name].shape}, {shape} is needed")
        for c in net.inner:
            checks.array(f"mask of {c.name}", self.masks[c.name], shape=net.kernel(c), dtype=bool)
        for layer, n in zip(net.layers, net.channels, strict=True):
            checks.array(f"time constants of {layer}", self.time_constants[layer], shape=(n,))
            checks.array(f"alive of {layer}", self.alive[layer], shape=(n,), dtype=bool)


_KINDS = ("parameters", "masks", "statistics", "time_constants", "alive")


def _batches(x: np.ndarray) -> Iterator[np.ndarray]:
    for k in range(0, len(x), BATCH):
        yield x[k : k + BATCH]


def _padded(x: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Return batches of one size, the last filled up with zeros, and how many images each holds."""
    for part in _batches(x):
        whole = np.zeros((min(BATCH, len(x)), *x.shape[1:]), x.dtype)
        whole[: len(part)] = part
        yield whole, len(part)
