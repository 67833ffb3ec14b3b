"""Training on images: recurrent weights by STDP on a stream of them, or all weights by backpropagation through time."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from brian2 import Quantity, ms

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning import bptt
from lnpbrian.learning.encoding import CurrentEncoder
from lnpbrian.learning.stdp import STDPResult, train_stdp
from lnpbrian.learning.vision.classification import read_images, standard_error
from lnpbrian.learning.vision.image_input import ImageInput, Presentation
from lnpbrian.learning.vision.images import ImageTask
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.options import Options, option, options

__all__ = ["TRAININGS", "ImageBPOptions", "ImageBPResult", "train_images", "train_images_bp", "train_images_stdp"]

TRAININGS = ("readout", "stdp", "bp")
# Images of a stream for STDP, at most.
STDP_IMAGES = 200
TRAINED = ("readout", "recurrent", "input", "all")


def train_images(
    spec: NetworkSpec,
    source: ImageInput,
    task: ImageTask,
    channels: tuple[np.ndarray, np.ndarray],
    *,
    training: str,
    fraction: float = 1.0,
    options: ImageBPOptions | None = None,
    rng: np.random.Generator,
    report: Callable[[float], None] | None = None,
) -> tuple[NetworkSpec, ImageInput]:
    """Return a network and its input after what comes before the readout is fitted.

    Parameters
    ----------
    spec : NetworkSpec
        N neurons, silent ones among them; for "stdp" with constants of plasticity.
    source : ImageInput
        Input of its N neurons, a current.
    task : ImageTask
        For the labels, which "bp" sees.
    channels : (ndarray, ndarray), shapes (M, D)
        Of the images that train and that test.
    training : {"readout", "stdp", "bp"}
        Nothing; `train_images_stdp` on the first 200 images, where there are synapses; `train_images_bp`.
    fraction : float
        Of the neurons that may be read: those that the readout of "bp" sees.
    options : ImageBPOptions, optional
        Of "bp".
    rng : numpy.random.Generator
        Of "bp".
    report : callable, optional
        Called with the completed fraction.

    Raises
    ------
    InvalidInput
        As `train_images_stdp` and `train_images_bp`, or if there is no such training.

    Notes
    -----
    arXiv 2403.03409, section 4.2, has "stdp" and surrogate gradients, which are "bp" here.

    Examples
    --------
    >>> from lnpbrian.learning.vision.image_input import pixel_channels
    >>> from lnpbrian.learning.vision.images import image_task
    >>> from lnpbrian.models import HRSNN
    >>> task, spec = image_task("digits", train=5, test=5), HRSNN(30, 0.2, plastic=True, check_rate=False).spec
    >>> rng = np.random.default_rng(0)
    >>> source = ImageInput.draw(30, 64, rng=rng)
    >>> learnt, same = train_images(spec, source, task, pixel_channels(task), training="stdp", rng=rng)
    >>> same is source, bool(np.abs(learnt.weights - spec.weights).max() > 0)
    (True, True)
    """
    training = checks.choice("training", training, TRAININGS)
    if training == "stdp" and spec.n_synapses:
        return train_images_stdp(spec, source, channels[0][:STDP_IMAGES], report=report).spec, source
    if training != "bp":
        return spec, source
    alive = np.flatnonzero(spec.alive)
    read = np.searchsorted(alive, read_images(spec, source, fraction=fraction))
    found = train_images_bp(
        spec.compacted(), source.of_neurons(spec.alive), task, channels, read=read, options=options, rng=rng,
        report=report,
    )  # fmt: skip
    weights = source.weights.copy()
    weights[alive] = found.source.weights
    # Silent neurons have no synapses: those of the compacted network are in the same order.
    return replace(spec, weights=found.spec.weights), replace(source, weights=weights)


def train_images_stdp(
    spec: NetworkSpec,
    source: ImageInput,
    channels: np.ndarray,
    *,
    presentation: Presentation | None = None,
    report: Callable[[float], None] | None = None,
) -> STDPResult:
    """Show images in a row to a plastic network, and return it with the weights that it has learnt without labels.

    Parameters
    ----------
    spec : NetworkSpec
        A network with constants of plasticity.
    source : ImageInput
        Input of its N neurons, a current.
    channels : ndarray, shape (M, D)
        Of at least three images; potentials go on from one to the next.
    presentation : Presentation, optional
        Equal times of image and silence.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    STDPResult

    Raises
    ------
    InvalidInput
        As `train_stdp`; if the input is of spikes, or silence is not as long as an image.

    Notes
    -----
    See `train_stdp`. A readout is fitted afterwards, with weights that stay (arXiv 2403.03409, section 4.2).

    Examples
    --------
    >>> from lnpbrian.models import HRSNN, LIFParameters
    >>> spec = HRSNN(30, 0.2, parameters=LIFParameters.images(), plastic=True, check_rate=False).spec
    >>> source = ImageInput.draw(30, 4, rng=np.random.default_rng(0))
    >>> learnt = train_images_stdp(spec, source, np.eye(4))
    >>> bool(learnt.mean_change > 0), bool((np.sign(learnt.spec.weights) == np.sign(spec.weights)).all())
    (True, True)
    """
    presentation = presentation or Presentation()
    if source.mode != "current":
        raise InvalidInput("images are shown to a plastic network as currents; use mode='current'")
    if float(presentation.silence) != float(presentation.shown):
        raise InvalidInput("a plastic network is shown images and silence of equal times; set silence to shown")
    x = checks.array("channels", channels, shape=(None, source.dimensions))
    stream = np.zeros((2 * len(x), x.shape[1]))
    stream[::2] = x
    return train_stdp(
        spec,
        CurrentEncoder(source.weights),
        stream,
        sample_time=presentation.shown,
        # Currents draw nothing.
        rng=np.random.default_rng(0),
        report=report,
    )


@options
class ImageBPOptions(Options):
    """How a network is trained on images by backpropagation through time.

    Raises
    ------
    InvalidInput
        If a value is out of range.

    Notes
    -----
    Backpropagation through time: Werbos 1990, doi:10.1109/5.58337. Adam: Kingma and Ba 2015, arXiv 1412.6980. The
    surrogate is that of Zenke and Ganguli 2018, doi:10.1162/neco_a_01086.
    """

    epochs: int = option(default=20, help="Passes over the images.")
    batch: int = option(default=128, help="Images of a step.")
    train: str = option(default="all", help="Weights that learn beside the readout.", choices=TRAINED)
    step: Quantity = option(default=5 * ms, help="Time step of the training; spikes are on its grid.")
    hidden: int = option(default=20, help="Hidden neurons of the readout.")
    readout_rate: float = option(default=3e-3, help="Step of Adam for the readout.", above=0)
    input_rate: float = option(default=1e-3, help="Step of Adam for the input weights.", above=0)
    recurrent_rate: float = option(default=3e-4, help="Step of Adam for the recurrent weights.", above=0)
    surrogate_slope: float = option(
        default=10.0, help="Slope beta of the surrogate derivative 1/(1 + beta |v - 1|)^2.", above=0
    )


@dataclass(frozen=True, repr=False)
class ImageBPResult:
    """A network after training on images, and how well it does on the training's own time grid.

    Attributes
    ----------
    spec : NetworkSpec
        With its new weights; no synapse was added, none has changed its sign, and its time step is as it was.
    source : ImageInput
        With its new weights; neurons that had no input have none.
    losses : ndarray, shape (epochs,)
        Mean cross-entropy of each epoch.
    predicted, truth : ndarray of int, shape (M,)
        Of the test images.
    synaptic_operations : float
        An image on average.
    seconds : float
        Wall-clock time.

    Notes
    -----
    Surrogate gradients: Neftci et al. 2019, doi:10.1109/MSP.2019.2931595; `train_images_bp` makes one.
    """

    spec: NetworkSpec
    source: ImageInput
    losses: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    synaptic_operations: float
    seconds: float

    @property
    def accuracy(self) -> float:
        """Fraction of the test images whose class is found."""
        return float((self.predicted == self.truth).mean())

    @property
    def accuracy_standard_error(self) -> float:
        """Binomial standard error of the accuracy."""
        return standard_error(self.accuracy, self.truth.size)

    def __repr__(self) -> str:
        return (
            f"ImageBPResult({100 * self.accuracy:.1f} ± {100 * self.accuracy_standard_error:.1f} % of "
            f"{self.truth.size} images after {self.losses.size} epochs)"
        )


def train_images_bp(
    spec: NetworkSpec,
    source: ImageInput,
    task: ImageTask,
    channels: tuple[np.ndarray, np.ndarray],
    *,
    read: np.ndarray,
    options: ImageBPOptions | None = None,
    presentation: Presentation | None = None,
    rng: np.random.Generator,
    report: Callable[[float], None] | None = None,
) -> ImageBPResult:
    """Train input weights, recurrent weights and a readout of spike counts on labelled images.

    Parameters
    ----------
    spec : NetworkSpec
        N neurons, without silent ones (`spec.compacted()`), exponential synapses, no delays.
    source : ImageInput
        A current.
    task : ImageTask
        For the labels.
    channels : (ndarray, ndarray), shapes (M, D)
        Of the images that train and that test.
    read : ndarray of int, shape (F,)
        Neurons whose counts the readout sees.
    options : ImageBPOptions, optional
    presentation : Presentation, optional
    rng : numpy.random.Generator
        Of the order of the images, and of the first weights of the readout.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    ImageBPResult

    Raises
    ------
    InvalidInput
        If the network is not of that kind, or JAX or Optax is missing.

    Notes
    -----
    Surrogate gradients: Neftci et al. 2019, doi:10.1109/MSP.2019.2931595. Only weights that exist are parameters of the
    optimiser, so that what was pruned has neither a weight nor moments. A recurrent weight keeps its sign (Dale's law):
    it stops at zero.
    """
    options, presentation = options or ImageBPOptions(), presentation or Presentation()
    bptt._supported(spec)
    checks.generator("rng", rng)
    if source.mode != "current":
        raise InvalidInput("Poisson spikes have no gradient; use mode='current'")
    if not spec.alive.all():
        raise InvalidInput("the network has silent neurons; train spec.compacted() with source.of_neurons(alive)")
    read = checks.indices("read", read, spec.n_neurons)
    begin = time.perf_counter()
    coarse = replace(spec, dt=float(options.step), spike_timing="grid")
    fixed = bptt._static(coarse, "float32", options.surrogate_slope)
    trainer = _Trainer(fixed, coarse, source, task, read, options, presentation.steps(coarse.dt), rng)
    train, test = (np.asarray(x, np.float32) for x in channels)
    losses = []
    for epoch in range(options.epochs):
        losses.append(trainer.epoch(train, task.y_train))
        if report is not None:
            report((epoch + 1) / options.epochs)
    predicted, counts = trainer.answers(test)
    weights, inputs = trainer.weights()
    fan_out = np.bincount(spec.pre, minlength=spec.n_neurons)
    return ImageBPResult(
        replace(spec, weights=weights),
        replace(source, weights=inputs),
        np.array(losses),
        predicted,
        task.y_test,
        float(counts.mean(axis=0) @ fan_out),
        time.perf_counter() - begin,
    )


class _Trainer:
    """Parameters of a network and a readout, their optimiser, and compiled steps."""

    def __init__(
        self,
        fixed: Any,
        spec: NetworkSpec,
        source: ImageInput,
        task: ImageTask,
        read: np.ndarray,
        options: ImageBPOptions,
        steps: tuple[int, int],
        rng: np.random.Generator,
    ) -> None:
        jax = bptt._jax()
        import optax

        self._rng, self._batch = rng, options.batch
        self._spec, self._source = spec, source
        # Parameters are the sizes of the weights that exist; W and W_in are made of them.
        self._sign = np.where(spec.weights != 0, np.sign(spec.weights), np.where(spec.excitatory, 1, -1)[spec.pre])
        self._rows, self._columns = np.nonzero(source.weights)
        shape = (read.size, options.hidden), (options.hidden, task.n_classes)
        first, second = (rng.uniform(-1, 1, s).astype(np.float32) * np.float32(np.sqrt(6 / sum(s))) for s in shape)
        self.parameters: dict[str, Any] = {
            "recurrent": np.abs(spec.weights).astype(np.float32),
            "input": source.weights[self._rows, self._columns].astype(np.float32),
            "readout": [first, np.zeros(options.hidden, np.float32), second, np.zeros(task.n_classes, np.float32)],
        }
        learns = {"readout"} | ({"recurrent", "input"} if options.train == "all" else {options.train})
        rates = {
            "recurrent": options.recurrent_rate,
            "input": options.input_rate,
            "readout": options.readout_rate,
        }
        parts = {name: optax.adam(rate) if name in learns else optax.set_to_zero() for name, rate in rates.items()}
        self._optimiser = optax.multi_transform(parts, {name: name for name in rates})
        self._state = self._optimiser.init(self.parameters)
        forward = functools.partial(self._forward, fixed, steps, read)

        def loss(parameters: Any, x: Any, y: Any) -> Any:
            scores, _ = forward(parameters, x)
            return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()

        def change(parameters: Any, state: Any, x: Any, y: Any) -> Any:
            value, gradient = jax.value_and_grad(loss)(parameters, x, y)
            updates, state = self._optimiser.update(gradient, state, parameters)
            parameters = optax.apply_updates(parameters, updates)
            parameters["recurrent"] = jax.numpy.maximum(parameters["recurrent"], 0)
            return value, parameters, state

        self._change, self._answer = jax.jit(change), jax.jit(forward)

    def _forward(self, fixed: Any, steps: tuple[int, int], read: np.ndarray, parameters: Any, x: Any) -> Any:
        """Return the scores (B, K) of images (B, D), and the spike counts (B, N)."""
        jax = bptt._jax()
        jnp, spec = jax.numpy, self._spec
        n = spec.n_neurons
        # XLA would check the places of hundreds of thousands of weights while it compiles.
        known = {"mode": "promise_in_bounds"}
        signed = self._sign.astype(np.float32) * parameters["recurrent"]
        weights = jnp.zeros((n, n)).at[spec.pre, spec.post].add(signed, **known)
        inputs = jnp.zeros(self._source.weights.shape)
        inputs = inputs.at[self._rows, self._columns].set(parameters["input"], unique_indices=True, **known)
        neurons = bptt._constants(spec, "float32")
        external = x @ inputs.T

        def step(carry: Any, shown: Any) -> Any:
            state, counts = carry
            state, (fired, _) = bptt._step(fixed, neurons, weights, state, shown * external, 0)
            return (state, counts + fired), None

        shown = np.repeat(np.array([1, 0], np.float32), steps)
        start = bptt._State(
            jnp.tile(spec.initial_potential.astype(np.float32), (x.shape[0], 1)), *[jnp.zeros((x.shape[0], n))] * 2
        )
        (_, counts), _ = jax.lax.scan(step, (start, jnp.zeros((x.shape[0], n))), shown)
        into, b, out, c = parameters["readout"]
        # Of the order of one for a neuron near 40 Hz.
        features = counts[:, read] / (40 * fixed.dt * shown.size) - 1
        return jnp.tanh(features @ into + b) @ out + c, counts

    def epoch(self, x: np.ndarray, y: np.ndarray) -> float:
        """Learn from all images once, in a new order, and return the mean loss."""
        order, size = self._rng.permutation(len(x)), min(self._batch, len(x))
        losses = []
        for k in range(0, len(x) - size + 1, size):
            chosen = order[k : k + size]
            value, self.parameters, self._state = self._change(self.parameters, self._state, x[chosen], y[chosen])
            losses.append(float(value))
        return float(np.mean(losses))

    def answers(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes (M,) and the spike counts (M, N)."""
        parts = [self._answer(self.parameters, x[k : k + 256]) for k in range(0, len(x), 256)]
        scores, counts = (np.concatenate([np.asarray(part[k]) for part in parts]) for k in range(2))
        return scores.argmax(axis=1), counts

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the recurrent weights (S,) and those of the input (N, D)."""
        inputs = np.zeros(self._source.weights.shape)
        inputs[self._rows, self._columns] = np.asarray(self.parameters["input"], float)
        return self._sign * np.asarray(self.parameters["recurrent"], float), inputs
