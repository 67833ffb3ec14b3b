"""Supervised training of networks on images, and what they score: AdamW with one cycle, masks kept, epochs kept.

It trains whatever has parameters, masks and a pure forward pass, such as `lnpbrian.models.resnet.SpikingResNet`.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from lnpbrian import checks, files
from lnpbrian.checks import InvalidInput
from lnpbrian.options import Options, option, options
from lnpbrian.streams import Streams

__all__ = ["Evaluation", "ResNetTraining", "ResNetTrainingOptions", "Trainable", "evaluate_resnet", "train_resnet"]

# Images whose statistics the inputs of neurons are normalised by after training.
CALIBRATION = 1024
# One cycle: the part in which the step grows, from which fraction of the largest, and to which it falls.
RISE, FIRST, LAST = 0.3, 1 / 25, 1e-5
SMALLEST_THRESHOLD = 1e-3


@runtime_checkable
class Trainable(Protocol):
    """What can be trained: numbers, masks, and a pure function of them. A frozen dataclass."""

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """What is trained, by name."""

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """Kept entries of some parameters, by their names."""

    @property
    def classes(self) -> int:
        """Number of outputs."""

    @property
    def neuron(self) -> str:
        """Kind of the neurons; "if" cannot be trained."""

    @property
    def static(self) -> Any:
        """Hashable, the first argument of `forward`."""

    @property
    def arrays(self) -> Any:
        """A named tuple with `parameters` and `masks`, the second argument of `forward`."""

    def precision(self) -> Any:
        """A context in which JAX computes in the precision of the parameters."""

    def calibrate(self, images: Any) -> Self:
        """Return the network with the batch statistics of images."""

    def logits(self, images: Any) -> np.ndarray:
        """Return outputs (n, classes)."""

    def operations(self, images: Any) -> Any:
        """Return the costs of an image."""


@options
class ResNetTrainingOptions(Options):
    """How a network on images is trained.

    Notes
    -----
    AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) with one cycle of the step size (Smith and Topin 2019, arXiv
    1708.07120).

    Examples
    --------
    >>> ResNetTrainingOptions(epochs=3).batch
    64
    """

    epochs: int = option(default=15, help="Passes over the images.", flag="epochs")
    batch: int = option(default=64, help="Images between two steps.", minimum=2)
    learning_rate: float = option(default=4e-3, help="Largest step of the cycle.", above=0, flag="learning-rate")
    weight_decay: float = option(default=0.02, help="Of kernels and of the readout.", at_least=0)
    flip: bool = option(default=True, help="Whether images are mirrored at random, left and right.")
    shift: float = option(default=0.125, help="Part of their size by which images are shifted.", at_least=0, below=1)


@dataclass(frozen=True)
class Evaluation:
    """What a network scores on images.

    Attributes
    ----------
    accuracy, standard_error : float
        Fraction that is right, and its binomial standard error.
    correct : array of bool, shape (n,)
        For comparisons image by image.
    """

    accuracy: float
    standard_error: float
    correct: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class ResNetTraining:
    """A network after training.

    Attributes
    ----------
    network : Trainable
        Calibrated on the first 1024 training images, without their labels.
    early : Trainable
        The network after its first epoch, not calibrated.
    losses : array of float, shape (epochs,)
        Mean cross-entropy of each epoch, in nats.
    seconds : float
        Of this call, compilation included.

    Notes
    -----
    Surrogate gradients: Neftci et al. 2019, doi:10.1109/MSP.2019.2931595.
    """

    network: Any
    early: Any = field(repr=False)
    losses: np.ndarray
    seconds: float


def _jax() -> Any:
    try:
        import jax
        import optax  # noqa: F401
    except ImportError:
        raise InvalidInput("training on images needs JAX and Optax; pip install 'lnpbrian[bp]'") from None
    return jax


def learning_rate(step: int, steps: int, largest: float) -> float:
    """Return the size of a step of one cycle, which rises and falls like a cosine.

    One cycle: Smith and Topin 2019, arXiv 1708.07120; along cosines: Loshchilov and Hutter 2017, arXiv 1608.03983.

    >>> [round(learning_rate(k, 10, 1.0), 3) for k in (0, 3, 10)]
    [0.04, 1.0, 0.0]
    """
    top = RISE * steps
    start, end, part = (FIRST, 1.0, step / top) if step <= top else (1.0, LAST, (step - top) / (steps - top))
    return largest * (end + (start - end) * (1 + math.cos(math.pi * part)) / 2)


@functools.cache
def _compiled_step(static: Any, forward: Callable[..., Any], decay: float) -> Any:
    """Return the function of one step: parameters and moments before and after it, and the loss."""
    jax = _jax()
    import optax

    adam = optax.scale_by_adam()

    def masked(tree: Mapping[str, Any], masks: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value * masks[name] if name in masks else value for name, value in tree.items()}

    def loss(parameters: Any, arrays: Any, images: Any, labels: Any) -> Any:
        logits = forward(static, arrays._replace(parameters=parameters), images).logits
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def step(arrays: Any, state: Any, images: Any, labels: Any, size: Any) -> Any:
        old, masks = arrays.parameters, arrays.masks
        value, gradient = jax.value_and_grad(loss)(old, arrays, images, labels)
        update, state = adam.update(masked(gradient, masks), state)
        # Moments of what is gone too: they would bring it back.
        state = state._replace(mu=masked(state.mu, masks), nu=masked(state.nu, masks))
        new = {}
        for name, parameter in old.items():
            change = update[name] + (decay * parameter if parameter.ndim > 1 else 0.0)
            new[name] = parameter - (size * change).astype(parameter.dtype)
            if name.endswith("/threshold"):
                new[name] = jax.numpy.maximum(new[name], SMALLEST_THRESHOLD)
        return masked(new, masks), state, value

    return adam.init, jax.jit(step)


def augmented(images: np.ndarray, options: ResNetTrainingOptions, rng: np.random.Generator) -> np.ndarray:
    """Return images that are mirrored and shifted at random; what comes in at the border is 0.

    He et al. 2016, doi:10.1109/CVPR.2016.90, section 4.2.

    >>> one = np.arange(4.0).reshape(1, 1, 4, 1)
    >>> augmented(one, ResNetTrainingOptions(shift=0), np.random.default_rng(1)).ravel()
    array([0., 1., 2., 3.])
    """
    n, height, width, _ = images.shape
    mirrored = (rng.random(n) < 0.5) & np.full(n, options.flip)
    out = np.where(mirrored[:, np.newaxis, np.newaxis, np.newaxis], images[:, :, ::-1], images)
    far = round(options.shift * height)
    if far:
        padded = np.pad(out, ((0, 0), (far, far), (far, far), (0, 0)))
        moves = rng.integers(0, 2 * far + 1, (n, 2))
        out = np.stack([p[y : y + height, x : x + width] for p, (y, x) in zip(padded, moves, strict=True)])
    return out


def _labelled(network: Trainable, images: object, labels: object) -> tuple[np.ndarray, np.ndarray]:
    x = checks.array("images", images, shape=(None, None, None, None))
    y = checks.array("labels", labels, shape=(len(x),), dtype=int)
    if not len(x) or y.min() < 0 or y.max() >= network.classes:
        raise InvalidInput(f"labels must be in 0..{network.classes - 1}, of at least one image")
    return x, y


def evaluate_resnet(network: Trainable, images: object, labels: object) -> Evaluation:
    """Return which images a network is right about.

    Parameters
    ----------
    network : Trainable
        Calibrated.
    images : array of float, shape (n, height, width, channels)
        In 0..1.
    labels : array of int, shape (n,)

    Raises
    ------
    InvalidInput
        If the network is not calibrated, or shapes do not fit.

    Examples
    --------
    >>> from collections import namedtuple
    >>> class Constant(namedtuple("Constant", "classes")):
    ...     def logits(self, images):
    ...         return np.tile([0.0, 1.0], (len(images), 1))
    >>> evaluate_resnet(Constant(2), np.zeros((4, 1, 1, 1)), [1, 1, 1, 0])
    Evaluation(accuracy=0.75, standard_error=0.2165...)
    """
    x, y = _labelled(network, images, labels)
    correct = network.logits(x).argmax(axis=1) == y
    accuracy = float(correct.mean())
    return Evaluation(accuracy, math.sqrt(accuracy * (1 - accuracy) / len(y)), correct)


def train_resnet(
    network: Trainable,
    images: object,
    labels: object,
    *,
    options: ResNetTrainingOptions | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Callable[[float, str], None] | None = None,
) -> ResNetTraining:
    """Train all parameters of a network by gradients of the cross-entropy, in place of none that is masked.

    Parameters
    ----------
    network : Trainable
    images : array of float, shape (n, height, width, channels)
        In 0..1.
    labels : array of int, shape (n,)
    options : ResNetTrainingOptions, optional
    seed : int
        Of the order of images, their mirroring and shifts.
    checkpoint : path-like, optional
        A file that gets the state after each epoch; a training that was stopped goes on from it, bit for bit, and one
        that was finished is read from it.
    report : callable, optional
        Called with the completed fraction and a word on the loss.

    Returns
    -------
    ResNetTraining

    Raises
    ------
    InvalidInput
        If shapes do not fit, the checkpoint is of another training, the loss is not finite, or JAX or Optax is missing.

    Notes
    -----
    Weights that are masked, and their moments in the optimiser, are exactly 0 after every step. Batch statistics are
    those of each batch; afterwards they are measured, not averaged along the way.

    Decoupled weight decay: Loshchilov and Hutter 2019, arXiv 1711.05101. Statistics that are measured after training:
    Wu and Johnson 2021, arXiv 2105.07576.

    Examples
    --------
    >>> from lnpbrian.models.resnet import SpikingResNet
    >>> images = np.random.default_rng(0).random((8, 8, 8, 1))
    >>> quick = ResNetTrainingOptions(epochs=1, batch=4)
    >>> net = SpikingResNet.random(width=1/16, shape=(8, 8, 1), classes=2, steps=2)
    >>> train_resnet(net, images, np.arange(8) % 2, options=quick).losses.shape
    (1,)
    """
    start, chosen = time.perf_counter(), options or ResNetTrainingOptions()
    _jax()
    if network.neuron == "if":
        raise InvalidInput("spikes of a converted network have no gradient; train the network before conversion")
    x, y = _labelled(network, images, labels)
    checks.callback("report", report)
    dtype = network.parameters["head"].dtype
    x = x.astype(dtype)
    batch = min(chosen.batch, len(x))
    each = len(x) // batch
    begin, step = _compiled_step(network.static, network.forward, chosen.weight_decay)  # type: ignore[attr-defined]
    streams = Streams(seed).child("training")
    path = None if checkpoint is None else Path(checkpoint)
    mark = _digest(network, x, y, chosen, seed)
    with network.precision():
        arrays = network.arrays
        kept = {name: arrays.parameters[name] * mask for name, mask in arrays.masks.items()}
        parameters = arrays.parameters | kept
        state = begin(parameters)
        early, losses = dict(parameters), np.empty(0)
        if path is not None and path.exists():
            parameters, state, early, losses = _read(path, mark, parameters, state)
        for epoch in range(losses.size, chosen.epochs):
            total = 0.0
            for k, (these, their) in enumerate(_shown(x, y, batch, chosen, streams.rng(epoch))):
                size = learning_rate(epoch * each + k, chosen.epochs * each, chosen.learning_rate)
                parameters, state, loss = step(arrays._replace(parameters=parameters), state, these, their, size)
                total += float(loss)
                if report is not None and k % 8 == 7:
                    report((epoch + (k + 1) / each) / chosen.epochs, f"epoch {epoch + 1} of {chosen.epochs}")
            if not math.isfinite(total):
                raise InvalidInput(f"the loss is {total} in epoch {epoch + 1}; lower learning_rate")
            losses = np.append(losses, total / each)
            if epoch == 0:
                early = dict(parameters)
            if path is not None:
                _write(path, mark, parameters, state, early, losses)
            if report is not None:
                report((epoch + 1) / chosen.epochs, f"loss {losses[-1]:.3f}")
        made, first = (
            replace(network, parameters={name: np.asarray(value) for name, value in tree.items()})  # type: ignore[type-var]
            for tree in (parameters, early)
        )
    return ResNetTraining(made.calibrate(x[:CALIBRATION]), first, losses, time.perf_counter() - start)


def _shown(
    x: np.ndarray, y: np.ndarray, batch: int, options: ResNetTrainingOptions, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    order = rng.permutation(len(x))
    for k in range(0, len(x) - batch + 1, batch):
        chosen = order[k : k + batch]
        yield augmented(x[chosen], options, rng), y[chosen]


def _digest(network: Any, x: np.ndarray, y: np.ndarray, options: ResNetTrainingOptions, seed: int) -> str:
    """Return what a training is: network, images, options and seed."""
    found = hashlib.sha256(f"{network.static} {options} {seed} {x.shape}".encode())
    arrays = network.arrays
    for tree in arrays:
        for name in sorted(tree):
            found.update(name.encode())
            found.update(np.ascontiguousarray(tree[name]).tobytes())
    found.update(np.ascontiguousarray(x).tobytes())
    found.update(np.ascontiguousarray(y).tobytes())
    return found.hexdigest()


def _write(path: Path, mark: str, parameters: Any, state: Any, early: Any, losses: np.ndarray) -> None:
    trees = {"parameters": parameters, "mu": state.mu, "nu": state.nu, "early": early}
    arrays: dict[str, Any] = {
        f"{kind}:{name}": np.asarray(value) for kind, tree in trees.items() for name, value in tree.items()
    }
    with files.replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, mark=np.array(mark), losses=losses, count=np.asarray(state.count), **arrays)


def _read(path: Path, mark: str, parameters: Mapping[str, Any], state: Any) -> tuple[Any, Any, Any, np.ndarray]:
    try:
        content = files.read_arrays(path)
        if str(content["mark"]) != mark:
            raise InvalidInput(f"{str(path)!r} is of another training; remove it, or choose another checkpoint")
        trees = {
            kind: {name: content[f"{kind}:{name}"] for name in parameters}
            for kind in ("parameters", "mu", "nu", "early")
        }
        state = state._replace(count=content["count"], mu=trees["mu"], nu=trees["nu"])
        return trees["parameters"], state, trees["early"], content["losses"]
    except (ValueError, KeyError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{str(path)!r} holds no state of a training ({error}); remove it") from error
