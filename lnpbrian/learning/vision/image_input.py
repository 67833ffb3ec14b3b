"""What a network is shown of images, as channels and as input of its neurons, and how often its neurons answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from brian2 import Quantity, SpikeGeneratorGroup, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.encoding import afferent_synapses
from lnpbrian.learning.vision.images import ImageTask
from lnpbrian.network.engines.native import NativeNetwork, native_works
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import spike_counter
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.options import Options, option, options
from lnpbrian.streams import Streams

__all__ = ["CHANNELS", "ImageInput", "PatchFilters", "Presentation", "patch_filters", "pixel_channels", "spike_counts"]

CHANNELS = ("pixels", "patches")
INPUTS = ("current", "poisson")
ENGINES = ("auto", "native", "brian2")
# Rate in Hz at full intensity (Diehl and Cook 2015, doi:10.3389/fncom.2015.00099).
FULL_RATE = 63.75
# Images at a time: states of copies that stay in the processor's cache, or that Brian2 holds side by side.
_BATCH = {"native": 32, "brian2": 20}


# ------------------------------------------------------------------------------------------------------------- channels


def pixel_channels(task: ImageTask) -> tuple[np.ndarray, np.ndarray]:
    """Return the intensities of the pixels of all images that train and test, shapes (M, H W C).

    Examples
    --------
    >>> from lnpbrian.learning.vision.images import image_task
    >>> train, test = pixel_channels(image_task("digits"))
    >>> train.shape, test.shape, float(train.max())
    ((1297, 64), (500, 64), 1.0)
    """
    train, test = (task.intensities(x).reshape(len(x), -1) for x in (task.x_train, task.x_test))
    return train, test


@dataclass(frozen=True, repr=False)
class PatchFilters:
    """Filters of small patches, learnt without labels, whose answers are averaged over the quadrants of an image.

    Parameters
    ----------
    filters : ndarray, shape (K, size size C)
        Of length 1, for whitened patches.
    whitening : ndarray, shape (size size C, size size C)
        Symmetric matrix that whitens patches.
    mean : ndarray, shape (size size C,)
        Of normalised patches.
    size, stride : int
        Side of a patch and distance between neighbours, in pixels.
    threshold : float
        What an answer must exceed.

    Notes
    -----
    Coates and Ng 2011 ("The importance of encoding versus training with sparse coding and vector quantization", ICML):
    patches are contrast-normalised and whitened, filters are spherical k-means, channels are
    ``max(0, filter . patch - threshold)`` averaged over the four quadrants of the image.
    """

    filters: np.ndarray
    whitening: np.ndarray
    mean: np.ndarray
    size: int
    stride: int
    threshold: float

    def __repr__(self) -> str:
        return f"PatchFilters({len(self.filters)} filters of {self.size} x {self.size} pixels, every {self.stride})"

    def channels(self, intensities: np.ndarray) -> np.ndarray:
        """Return the channels of images (M, H, W, C), shape (M, 4 K)."""
        found = np.empty((len(intensities), 4 * len(self.filters)), np.float32)
        basis = (self.whitening @ self.filters.T).astype(np.float32)
        shift = (self.mean @ basis).astype(np.float32) + self.threshold
        for k in range(0, len(intensities), 200):
            patches, (rows, columns) = _patches(intensities[k : k + 200], self.size, self.stride)
            answers = np.maximum(_normalised(patches) @ basis - shift, 0)
            answers = answers.reshape(-1, rows, columns, len(self.filters))
            half = (rows + 1) // 2, (columns + 1) // 2
            # An odd row or column in the middle belongs to both sides.
            parts = [
                answers[:, down, across].mean(axis=(1, 2))
                for down in (slice(half[0]), slice(rows - half[0], rows))
                for across in (slice(half[1]), slice(columns - half[1], columns))
            ]
            found[k : k + 200] = np.concatenate(parts, axis=1)
        return found

    def of_task(self, task: ImageTask) -> tuple[np.ndarray, np.ndarray]:
        """Return the channels of the images that train and test, z-scored by those that train, shapes (M, 4 K)."""
        train, test = (self.channels(task.intensities(x)) for x in (task.x_train, task.x_test))
        mean, scale = train.mean(axis=0), train.std(axis=0)
        scale[scale == 0] = 1
        return (train - mean) / scale, (test - mean) / scale


def patch_filters(
    intensities: np.ndarray,
    *,
    rng: np.random.Generator,
    filters: int = 100,
    size: int = 6,
    stride: int = 2,
    patches: int = 50_000,
    threshold: float = 0.5,
    rounds: int = 10,
) -> PatchFilters:
    """Learn filters from patches of images; labels are not seen.

    Parameters
    ----------
    intensities : ndarray, shape (M, H, W, C)
        In [0, 1].
    rng : numpy.random.Generator
        Where patches are taken, and where filters begin.
    filters, size, stride, patches, rounds : int
        Number K of filters, side of a patch, distance of patches, number of patches that are learnt from, and rounds of
        k-means.
    threshold : float
        What an answer must exceed.

    Returns
    -------
    PatchFilters

    Raises
    ------
    InvalidInput
        If images are smaller than patches, or a number is out of range.

    Notes
    -----
    See `PatchFilters`. Whitening adds 0.1 to the variances, as there.

    Spherical k-means as by Coates and Ng 2012, Learning feature representations with k-means.

    Examples
    --------
    >>> from lnpbrian.learning.vision.images import image_task
    >>> task = image_task("digits")
    >>> found = patch_filters(task.intensities(task.x_train), rng=np.random.default_rng(0), filters=5, patches=500)
    >>> found
    PatchFilters(5 filters of 6 x 6 pixels, every 2)
    >>> found.of_task(task)[0].shape
    (1297, 20)
    """
    x = np.asarray(intensities, np.float32)
    if x.ndim != 4 or len(x) == 0:
        raise InvalidInput(f"intensities must have shape (images, height, width, channels), got {x.shape}")
    checks.generator("rng", rng)
    k, side = checks.count("filters", filters), checks.count("size", size, minimum=2)
    step, number = checks.count("stride", stride), checks.count("patches", patches, minimum=k)
    m, height, width, _ = x.shape
    if side > min(height, width):
        raise InvalidInput(f"size must be at most {min(height, width)} for images of {height} x {width}, got {side}")
    image = rng.integers(m, size=number)
    top, left = rng.integers(height - side + 1, size=number), rng.integers(width - side + 1, size=number)
    rows = top[:, np.newaxis, np.newaxis] + np.arange(side)[:, np.newaxis]
    columns = left[:, np.newaxis, np.newaxis] + np.arange(side)
    taken = _normalised(x[image[:, np.newaxis, np.newaxis], rows, columns].reshape(number, -1))
    mean = taken.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(taken - mean, rowvar=False, dtype=float))
    whitening = axes / np.sqrt(np.maximum(variances, 0) + 0.1) @ axes.T
    white = (taken - mean) @ whitening
    found = _unit_rows(rng.standard_normal((k, white.shape[1])))
    for _ in range(checks.count("rounds", rounds)):
        # Each patch pulls the one filter that it is most like, or most unlike.
        likeness = white @ found.T
        best = np.abs(likeness).argmax(axis=1)
        pull = np.zeros_like(found)
        np.add.at(pull, best, likeness[np.arange(number), best][:, np.newaxis] * white)
        # A filter that no patch is like stays where it is.
        found = _unit_rows(np.where(np.any(pull != 0, axis=1, keepdims=True), pull, found))
    return PatchFilters(found, whitening, mean, side, step, checks.real("threshold", threshold, at_least=0))


def _unit_rows(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _patches(x: np.ndarray, size: int, stride: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Return all patches of images (M, H, W, C), one after the other, and their numbers of rows and columns."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    shape = windows.shape[1:3]
    return np.moveaxis(windows, 3, -1).reshape(-1, size * size * x.shape[3]), (shape[0], shape[1])


def _normalised(patches: np.ndarray) -> np.ndarray:
    """Take the mean off each patch, and divide by its standard deviation; noise of 10 levels^2 is not blown up."""
    centred = patches - patches.mean(axis=1, keepdims=True)
    return centred / np.sqrt(centred.var(axis=1, keepdims=True) + 10 / 255**2)


# ---------------------------------------------------------------------------------------------------------------- input


@options
class Presentation(Options):
    """How long an image is shown, and how long nothing is shown after it; arXiv 2403.03409 has 100 ms of both.

    Raises
    ------
    InvalidInput
        If a value is out of range or has the wrong unit.

    Examples
    --------
    >>> Presentation().steps(0.001)
    (100, 100)
    """

    shown: Quantity = option(default=100 * ms, help="Time an image is shown.")
    silence: Quantity = option(default=100 * ms, help="Time after it in which nothing is shown.", at_least=0)

    def steps(self, dt: float) -> tuple[int, int]:
        """Return both in steps of `dt` seconds.

        Raises
        ------
        InvalidInput
            If one is no whole number of steps.
        """
        silent = float(self.silence) > 0
        return checks.steps("shown", self.shown, dt), checks.steps("silence", self.silence, dt) if silent else 0

    @property
    def seconds(self) -> float:
        """Time of an image in seconds."""
        return float(self.shown) + float(self.silence)


@dataclass(frozen=True, repr=False)
class ImageInput:
    """Input weights of a network that is shown images, and which of its neurons get any.

    Parameters
    ----------
    weights : ndarray, shape (N, D)
        Onto each neuron from each channel; rows of neurons without input are zero. For ``mode="current"`` the current
        is ``weights @ channels``, in units of the threshold; for "poisson" a spike of channel d adds ``weights[:, d]``
        to the synaptic current.
    receives : ndarray of bool, shape (N,)
        Which neurons get input.
    mode : {"current", "poisson"}
        With "poisson" channel d fires with the rate 63.75 Hz times its intensity, at most once in a time step.

    Notes
    -----
    Rates proportional to the intensity: arXiv 2403.03409, section 4.1; 63.75 Hz at the most: Diehl and Cook 2015,
    doi:10.3389/fncom.2015.00099.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ImageInput.draw(100, 64, rng=rng, fraction=0.5)
    ImageInput(current of 64 channels to 50 of 100 neurons)
    """

    weights: np.ndarray
    receives: np.ndarray
    mode: str = "current"

    @classmethod
    def draw(
        cls,
        n_neurons: int,
        dimensions: int,
        *,
        rng: np.random.Generator,
        mode: str = "current",
        scale: float = 1.0,
        fraction: float = 1.0,
        inputs_per_neuron: int | None = None,
    ) -> ImageInput:
        """Draw weights from ``N(0, scale^2/D)``, for a random part of the neurons.

        Parameters
        ----------
        n_neurons, dimensions : int
            N and D.
        rng : numpy.random.Generator
            Source of the weights, and of the part.
        mode : {"current", "poisson"}
            See `ImageInput`.
        scale : float
            Standard deviation of a neuron's current for channels of variance 1; for "poisson", of the jumps of
            `inputs_per_neuron` spikes together.
        fraction : float
            Part of the neurons that get input, in (0, 1]; below 1 the others are to be read ("relay").
        inputs_per_neuron : int, optional
            Channels onto a neuron, drawn at random; by default all for a current and 50 for spikes.

        Raises
        ------
        InvalidInput
            If a number is out of range.

        Examples
        --------
        >>> drawn = ImageInput.draw(1000, 400, rng=np.random.default_rng(0), scale=2.0)
        >>> float(drawn.weights.std().round(2))  # 2/sqrt(400)
        0.1
        """
        n, d = checks.count("n_neurons", n_neurons), checks.count("dimensions", dimensions)
        checks.generator("rng", rng)
        checks.choice("mode", mode, INPUTS)
        size = checks.real("scale", scale, above=0)
        part = checks.probability("fraction", fraction)
        receives = np.zeros(n, bool)
        receives[rng.permutation(n)[: max(1, round(part * n))]] = True
        usual = d if mode == "current" else 50
        k = min(d, usual if inputs_per_neuron is None else checks.count("inputs_per_neuron", inputs_per_neuron))
        weights = rng.standard_normal((n, d)) * (size / np.sqrt(k))
        if k < d:
            weights[rng.random((n, d)).argsort(axis=1).argsort(axis=1) >= k] = 0
        weights[~receives] = 0
        return cls(weights, receives, mode)

    @property
    def n_neurons(self) -> int:
        """Number of neurons N."""
        return self.weights.shape[0]

    @property
    def dimensions(self) -> int:
        """Number of channels D."""
        return self.weights.shape[1]

    @property
    def is_relay(self) -> bool:
        """Whether only a part of the neurons gets input."""
        return not self.receives.all()

    def may_be_read(self) -> np.ndarray:
        """Return the mask (N,) of the neurons that a readout may see: those without input, if there are such."""
        return ~self.receives if self.is_relay else np.ones(self.n_neurons, bool)

    def of_neurons(self, kept: np.ndarray) -> ImageInput:
        """Return the input of the neurons in the mask `kept`."""
        return replace(self, weights=self.weights[kept], receives=self.receives[kept])

    def currents(self, channels: np.ndarray) -> np.ndarray:
        """Return the currents (B, N) of channels (B, D)."""
        return np.asarray(channels, float) @ self.weights.T

    def spikes(self, channels: np.ndarray, numbers: np.ndarray, *, steps: int, dt: float, streams: Streams) -> _Spikes:
        """Return the spikes of the channels (B, D) of images that have numbers (B,).

        Each image has a stream of its own, so that its spikes do not depend on those shown beside it.
        """
        most = FULL_RATE * dt
        if most > 1:
            raise InvalidInput(f"a channel fires at most once in a step: dt must be below {1 / FULL_RATE:.3g} s")
        p = (most * np.clip(np.asarray(channels, float), 0, 1)).astype(np.float32)
        found = []
        for b, number in enumerate(numbers):
            drawn = streams.rng(int(number)).random((steps, p.shape[1]), np.float32)
            place, channel = np.nonzero(drawn < p[b])
            found.append((np.full(place.size, b), place, channel))
        copy, step, channel = (np.concatenate(part) for part in zip(*found, strict=True))
        return _Spikes(copy, step, channel)

    @cached_property
    def synapses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First synapse of each channel (D + 1,), and targets and weights of the synapses from channels that spike."""
        channel, neuron = np.nonzero(self.weights.T)
        first = np.concatenate([[0], np.cumsum(np.bincount(channel, minlength=self.dimensions))])
        return first.astype(np.int64), neuron.astype(np.int32), self.weights[neuron, channel]

    def __repr__(self) -> str:
        kind = "current" if self.mode == "current" else "Poisson spikes"
        return f"ImageInput({kind} of {self.dimensions} channels to {self.receives.sum()} of {self.n_neurons} neurons)"


@dataclass(frozen=True)
class _Spikes:
    """Spikes of channels in the order of their copies and steps; each array has shape (spikes,)."""

    copy: np.ndarray
    step: np.ndarray
    channel: np.ndarray


# --------------------------------------------------------------------------------------------------------------- engine


def spike_counts(
    spec: NetworkSpec,
    source: ImageInput,
    channels: np.ndarray,
    *,
    presentation: Presentation | None = None,
    streams: Streams | None = None,
    engine: str = "auto",
    report: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Show images to a network, one by one from its initial state, and count the spikes of each neuron.

    Parameters
    ----------
    spec : NetworkSpec
        N neurons; plastic synapses do not learn.
    source : ImageInput
        Input of its neurons.
    channels : ndarray, shape (M, D)
        Of the images; intensities in [0, 1] for Poisson spikes.
    presentation : Presentation, optional
        Time of an image; spikes in the silence after it count too.
    streams : Streams, optional
        Source of Poisson spikes, by the number of the image.
    engine : {"auto", "native", "brian2"}
        The compiled loop, or copies of the network in Brian2; "auto" takes the loop where there is a compiler.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    ndarray of int, shape (M, N)

    Raises
    ------
    InvalidInput
        If input and network do not fit, or the engine does not work here.

    Notes
    -----
    Images are shown to copies of the network that do not meet. Both engines count alike (see tests).

    Examples
    --------
    A neuron of bias 0.5 that gets 1.5 for 100 ms fires every ``2 ms + 20 ms ln 2``, six times:

    >>> from lnpbrian.models import uncoupled
    >>> source = ImageInput(np.array([[1.5]]), np.ones(1, bool))
    >>> spike_counts(uncoupled([20] * ms, bias=0.5), source, np.array([[0.0], [1.0]])).tolist()
    [[0], [6]]
    """
    x = checks.array("channels", channels, shape=(None, None))
    if (source.n_neurons, source.dimensions) != (spec.n_neurons, x.shape[1]):
        raise InvalidInput(
            f"an input of {source.dimensions} channels to {source.n_neurons} neurons does not fit images of "
            f"{x.shape[1]} channels and a network of {spec.n_neurons} neurons"
        )
    presentation = presentation or Presentation()
    checks.choice("engine", engine, ENGINES)
    checks.callback("report", report)
    if engine == "auto":
        engine = "native" if native_works() else "brian2"
    shown = _Native(spec, source, presentation) if engine == "native" else _Brian2(spec, source, presentation)
    streams = streams or Streams(0).child("images")
    counts = np.empty((len(x), spec.n_neurons), np.int32)
    size = _BATCH[engine]
    for k in range(0, len(x), size):
        part = x[k : k + size]
        counts[k : k + size] = shown.counts(part, np.arange(k, k + len(part)), streams)
        if report is not None:
            report(min((k + size) / len(x), 1.0))
    return counts


class _Native:
    """Copies that the compiled loop runs."""

    def __init__(self, spec: NetworkSpec, source: ImageInput, presentation: Presentation) -> None:
        self._network = NativeNetwork(spec, copies=_BATCH["native"])
        self._start = self._network.stored()
        self._source, (self._on, self._off) = source, presentation.steps(spec.dt)
        if source.mode == "poisson":
            self._network.connect(*source.synapses)

    def counts(self, x: np.ndarray, numbers: np.ndarray, streams: Streams) -> np.ndarray:
        network, source, number = self._network, self._source, len(x)
        network.restore(self._start)
        if number < network.copies:
            # The last images: copies without one are shown the last again, and not looked at.
            x = np.concatenate([x, np.repeat(x[-1:], network.copies - number, axis=0)])
            numbers = np.concatenate([numbers, np.repeat(numbers[-1:], network.copies - number)])
        if source.mode == "current":
            network.external[:] = source.currents(x)
            network.run(self._on)
            network.external[:] = 0
        else:
            spikes = source.spikes(x, numbers, steps=self._on, dt=network.dt, streams=streams)
            network.run(self._on, place=spikes.copy * self._on + spikes.step, channel=spikes.channel)
        network.run(self._off)
        return network.counts[:number]


class _Brian2:
    """Copies side by side in one Brian2 network, built anew for every batch."""

    def __init__(self, spec: NetworkSpec, source: ImageInput, presentation: Presentation) -> None:
        self._spec, self._source = spec, source
        self._on, self._off = presentation.steps(spec.dt)

    def counts(self, x: np.ndarray, numbers: np.ndarray, streams: Streams) -> np.ndarray:
        spec, source, copies = self._spec, self._source, len(x)
        live = RecurrentNetwork(spec.replicated(copies), plastic=False)
        counter = spike_counter(live.neurons)
        live.network.add(counter)
        if source.mode == "current":
            live.neurons.I_ext_ = source.currents(x).ravel()
        else:
            spikes = source.spikes(x, numbers, steps=self._on, dt=spec.dt, streams=streams)
            # In the middle of its step, so that rounding does not move a spike to the one before.
            channels = SpikeGeneratorGroup(
                source.dimensions * copies,
                spikes.copy * source.dimensions + spikes.channel,
                (spikes.step + 0.5) * spec.dt * second,
                dt=spec.dt * second,
                name=f"{live.neurons.name}_channels",
            )
            first, neuron, weight = source.synapses
            channel = np.repeat(np.arange(source.dimensions), np.diff(first))
            live.network.add(channels, afferent_synapses(channels, live, (channel, neuron, weight), copies))
        live.run(self._on * spec.dt * second)
        live.neurons.I_ext_ = 0
        if self._off:
            live.run(self._off * spec.dt * second)
        return np.array(counter.count[:]).reshape(copies, -1)
