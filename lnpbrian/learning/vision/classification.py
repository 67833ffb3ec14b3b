"""Which class a network says an image is of: a readout of spike counts, its accuracy, and what the answer costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.optimize import minimize

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.readout import READOUTS, ReadoutKind, moments, readout_neurons
from lnpbrian.learning.vision.image_input import ImageInput, Presentation, spike_counts
from lnpbrian.learning.vision.images import ImageTask
from lnpbrian.network.spec import NetworkSpec, synaptic_operations
from lnpbrian.options import option, options
from lnpbrian.streams import Streams

__all__ = [
    "Classification",
    "Classifier",
    "ClassifyOptions",
    "accuracy_difference",
    "classify",
    "fit_classifier",
    "read_images",
    "require_images",
    "standard_error",
]

# Joules of a synaptic operation (45 nm; Horowitz 2014, doi:10.1109/ISSCC.2014.6757323, as in arXiv 2403.03409), and of
# one byte moved between the processor and a small memory on the chip, by the same source: 10 pJ for 64 bits.
OPERATION_JOULES, BYTE_JOULES = 0.9e-12, 10e-12 / 8
# Target and weight of a synapse: four bytes each, read once an operation.
SYNAPSE_BYTES = 8
# Penalties of a ridge readout that are tried on the last fifth of the training images, per image.
PENALTIES = tuple(float(10.0**k) for k in np.arange(-3, 1.51, 0.5))


@options
class ClassifyOptions(ReadoutKind):
    """How spike counts become an answer.

    Raises
    ------
    InvalidInput
        If a value is out of range.

    Notes
    -----
    arXiv 2403.03409, appendix A.6, reads the tenth of highest betweenness by a perceptron of 20 hidden neurons.

    Examples
    --------
    >>> ClassifyOptions(fraction=0.1).fan_out(10), ClassifyOptions(kind="mlp").fan_out(10)
    (10, 20)
    """

    fraction: float = option(
        default=1.0,
        help="Fraction of the neurons that may be read, those of highest betweenness.",
        above=0,
        at_most=1,
    )
    kind: str = option(default="ridge", help="Linear readout, or a perceptron.", choices=READOUTS)
    hidden: int = option(default=20, help="Hidden neurons of the perceptron.")
    weight_decay: float = option(default=0.01, help="Penalty of the squared weights of the perceptron.", above=0)


# -------------------------------------------------------------------------------------------------------------- readout


@dataclass(frozen=True, repr=False)
class Classifier:
    """A readout: standardised features, one hidden layer of tanh units or none, and a score for each class.

    Parameters
    ----------
    mean, scale : ndarray, shape (F,)
        Of the features in training.
    layers : tuple of (ndarray, ndarray)
        Weights and intercepts, first layer first.
    penalty : float
        Of the squared weights.

    Notes
    -----
    The hidden layer is that of arXiv 2403.03409, appendix A.6.

    Examples
    --------
    >>> readout = Classifier(np.zeros(1), np.ones(1), ((np.array([[1.0, -1.0]]), np.zeros(2)),), 0.0)
    >>> readout(np.array([[3.0], [-3.0]])).tolist()
    [0, 1]
    """

    mean: np.ndarray
    scale: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    penalty: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return the score of each class, shape (M, K), for features (M, F)."""
        x = (features - self.mean) / self.scale
        for k, (weights, intercept) in enumerate(self.layers):
            x = (np.tanh(x) if k else x) @ weights + intercept
        return x

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the class of the highest score, shape (M,), for features (M, F)."""
        return self.scores(features).argmax(axis=1)


def require_images(number: int) -> None:
    """Refuse fewer images than a readout can be fitted to.

    Examples
    --------
    >>> require_images(4)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: a readout needs at least five images to be fitted to, got 4
    """
    if number < 5:
        raise InvalidInput(f"a readout needs at least five images to be fitted to, got {number}")


def fit_classifier(
    features: np.ndarray, labels: np.ndarray, *, classes: int, options: ClassifyOptions | None = None
) -> Classifier:
    """Fit a readout to labelled features.

    Parameters
    ----------
    features : ndarray, shape (M, F)
        Of the training images.
    labels : ndarray of int, shape (M,)
        Their classes, 0 .. K - 1.
    classes : int
        Number K of classes.
    options : ClassifyOptions, optional
        Kind and penalty.

    Returns
    -------
    Classifier

    Raises
    ------
    InvalidInput
        If there are fewer than five images, or as many labels as images are not given.

    Notes
    -----
    "ridge" minimises ``|Y - X B - c|^2 + M penalty |B|^2``, Y one in the column of the class and zero elsewhere, X the
    standardised features (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634); the penalty is the best of
    several on the last fifth of the images, with B fitted to the others. "mlp" minimises the cross-entropy of the
    softmax of the scores by L-BFGS, from weights that are always the same.

    Examples
    --------
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0], [0.5], [2.5]])
    >>> fit_classifier(x, np.array([0, 0, 1, 1, 0, 1]), classes=2)(x).tolist()
    [0, 0, 1, 1, 0, 1]
    """
    options = options or ClassifyOptions()
    x = checks.array("features", features, shape=(None, None))
    y = checks.array("labels", labels, shape=(len(x),), dtype=int)
    require_images(len(x))
    mean, scale = moments(x)
    z = (x - mean) / scale
    if options.kind == "mlp":
        return Classifier(mean, scale, _perceptron(z, y, classes, options), options.weight_decay)
    target = np.eye(classes)[y]
    held_out = len(z) - len(z) // 5
    fits = _ridge(z[:held_out], target[:held_out], PENALTIES)
    right = [int(((z[held_out:] @ b + c).argmax(axis=1) == y[held_out:]).sum()) for b, c in fits]
    # Of equals the middle one.
    best = np.flatnonzero(np.array(right) == max(right))
    penalty = PENALTIES[int(best[best.size // 2])]
    return Classifier(mean, scale, (_ridge(z, target, (penalty,))[0],), penalty)


def _ridge(x: np.ndarray, y: np.ndarray, penalties: tuple[float, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weights and intercepts for each penalty, all from one factorisation."""
    centre, level = x.mean(axis=0), y.mean(axis=0)
    z, target = x - centre, y - level
    values, axes = np.linalg.eigh(z.T @ z)
    along = axes.T @ (z.T @ target)
    found = []
    for penalty in penalties:
        weights = axes @ (along / (np.maximum(values, 0) + len(x) * penalty)[:, np.newaxis])
        found.append((weights, level - centre @ weights))
    return found


def _perceptron(x: np.ndarray, y: np.ndarray, classes: int, options: ClassifyOptions) -> tuple[tuple, ...]:
    """Return the layers that minimise the cross-entropy and ``weight_decay/2 |weights|^2``, an image on average."""
    shapes = ((x.shape[1], options.hidden), (options.hidden,), (options.hidden, classes), (classes,))
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    rng = np.random.default_rng(0)
    # Uniform as Glorot and Bengio 2010 draw weights; intercepts start at zero.
    start = [rng.uniform(-1, 1, s) * np.sqrt(6 / sum(s)) if len(s) == 2 else np.zeros(s) for s in shapes]
    truth = np.eye(classes)[y]

    def unpacked(parameters: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(s) for part, s in zip(np.split(parameters, ends[:-1]), shapes, strict=True)]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        into, b, out, c = unpacked(parameters)
        h = np.tanh(x @ into + b)
        score = h @ out + c
        score -= score.max(axis=1, keepdims=True)
        p = np.exp(score)
        total = p.sum(axis=1, keepdims=True)
        value = float(np.mean(np.log(total[:, 0]) - (score * truth).sum(axis=1)))
        error = (p / total - truth) / len(x)
        back = (error @ out.T) * (1 - h**2)
        decay = options.weight_decay
        parts = (x.T @ back + decay * into, back.sum(axis=0), h.T @ error + decay * out, error.sum(axis=0))
        value += decay / 2 * float(np.sum(into**2) + np.sum(out**2))
        return value, np.concatenate([part.ravel() for part in parts])

    begin = np.concatenate([part.ravel() for part in start])
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    into, b, out, c = unpacked(found.x)
    return (into, b), (out, c)


# ------------------------------------------------------------------------------------------------------- classification


@dataclass(frozen=True, repr=False)
class Classification:
    """What a network and its readout say of the test images, and what that costs.

    Attributes
    ----------
    predicted, truth : ndarray of int, shape (M,)
        Class that is said and class that is right, of each test image.
    n_classes : int
        Number K of classes.
    read : ndarray of int, shape (F,)
        Neurons that are read.
    synaptic_operations, readout_operations : float
        An image on average: along recurrent synapses, and along those of the readout.
    mean_rate : float
        Of the living neurons in Hz, silence included.
    penalty : float
        Of the squared weights of the readout.
    train_accuracy : float
        On the images that the readout was fitted to.

    Notes
    -----
    Synaptic operations are those of equation (9) of arXiv 2403.03409.
    """

    predicted: np.ndarray
    truth: np.ndarray
    n_classes: int
    read: np.ndarray
    synaptic_operations: float
    readout_operations: float
    mean_rate: float
    penalty: float
    train_accuracy: float

    @property
    def correct(self) -> np.ndarray:
        """Whether each answer is right, shape (M,)."""
        return self.predicted == self.truth

    @property
    def accuracy(self) -> float:
        """Fraction of the test images whose class is found."""
        return float(self.correct.mean())

    @property
    def accuracy_standard_error(self) -> float:
        """Binomial standard error of the accuracy."""
        return standard_error(self.accuracy, self.truth.size)

    @property
    def confusion(self) -> np.ndarray:
        """Test images of each class (row) that are said to be of each class (column), shape (K, K)."""
        table = np.zeros((self.n_classes,) * 2, int)
        np.add.at(table, (self.truth, self.predicted), 1)
        return table

    def energy(self, *, readout: bool, memory: bool = False) -> float:
        """Return an estimate of the energy of an image in joules.

        Parameters
        ----------
        readout : bool
            Whether the synapses of the readout count too.
        memory : bool
            Whether fetching target and weight of a synapse counts too, which costs more than adding the weight.
        """
        operations = self.synaptic_operations + (self.readout_operations if readout else 0.0)
        return operations * (OPERATION_JOULES + (SYNAPSE_BYTES * BYTE_JOULES if memory else 0.0))

    def __repr__(self) -> str:
        found = f"{100 * self.accuracy:.1f} ± {100 * self.accuracy_standard_error:.1f} % of {self.truth.size} images"
        cost = f"{self.synaptic_operations / 1e6:.3g} M synaptic operations an image"
        return f"Classification({found}, {cost}, {self.mean_rate:.1f} Hz)"

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as arrays, from which `from_arrays` makes it again."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Classification:
        """Return what `to_arrays` was made of."""
        values: dict[str, Any] = {name: value if value.ndim else value.item() for name, value in arrays.items()}
        return cls(**values)


def standard_error(accuracy: float, images: int) -> float:
    """Return the standard error of a fraction of independent images: ``sqrt(p (1 - p)/M)``.

    Notes
    -----
    An interval of a few of them is too short if p is near 0 or 1 (Brown, Cai and DasGupta 2001,
    doi:10.1214/ss/1009213286).

    Examples
    --------
    >>> standard_error(0.5, 100)
    0.05
    """
    return float(np.sqrt(accuracy * (1 - accuracy) / images))


def accuracy_difference(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the difference of two accuracies on the same images, and its standard error.

    Parameters
    ----------
    one, other : ndarray of bool, shape (M,)
        Whether each answer is right.

    Raises
    ------
    InvalidInput
        If they are not of the same images.

    Notes
    -----
    Images that both get right, or both wrong, say nothing: the error is that of the mean of the differences (as in the
    test of McNemar 1947, doi:10.1007/BF02295996).

    Examples
    --------
    Two answers of four differ, one for each side:

    >>> accuracy_difference(np.array([True, True, False, False]), np.array([True, False, True, False]))
    (0.0, 0.3535533905932738)
    """
    a, b = np.asarray(one, float), np.asarray(other, float)
    if a.shape != b.shape or a.size == 0:
        raise InvalidInput(f"accuracies are compared on the same images, got {a.size} and {b.size}")
    difference = a - b
    return float(difference.mean()), float(difference.std() / np.sqrt(a.size))


def read_images(spec: NetworkSpec, source: ImageInput, *, fraction: float = 1.0) -> np.ndarray:
    """Return the neurons that a readout sees, sorted: of those that may be read, the ones of highest betweenness.

    Parameters
    ----------
    spec : NetworkSpec
        Silent neurons are not read.
    source : ImageInput
        Its input; with a relay only neurons without input may be read.
    fraction : float
        Of those that may be read; at least one is.

    Raises
    ------
    InvalidInput
        If no living neuron may be read.

    Notes
    -----
    Neurons are ranked as by arXiv 2403.03409, appendix A.6; betweenness: Freeman 1977, doi:10.2307/3033543.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> relay = ImageInput(np.array([[1.0], [0.0], [0.0]]), np.array([True, False, False]))
    >>> read_images(uncoupled([20] * 3 * ms, bias=0.5), relay).tolist()
    [1, 2]
    """
    fraction = checks.probability("fraction", fraction)
    allowed = np.flatnonzero(source.may_be_read() & spec.alive)
    if allowed.size == 0:
        raise InvalidInput("no living neuron is without input, so none may be read; lower the part that gets input")
    if fraction == 1:
        return allowed
    # Betweenness in the whole network, as that is what images pass through.
    return readout_neurons(spec, fraction, among=source.may_be_read() & spec.alive)


def classify(
    spec: NetworkSpec,
    source: ImageInput,
    task: ImageTask,
    channels: tuple[np.ndarray, np.ndarray],
    *,
    options: ClassifyOptions | None = None,
    presentation: Presentation | None = None,
    read: np.ndarray | None = None,
    engine: str = "auto",
    streams: Streams | None = None,
    report: Callable[[float], None] | None = None,
) -> Classification:
    """Show all images of a task to a network, fit a readout to what trains, and test it.

    Parameters
    ----------
    spec : NetworkSpec
        N neurons; silent ones get no input and are not read.
    source : ImageInput
        Input of its N neurons.
    task : ImageTask
        For the labels.
    channels : (ndarray, ndarray), shapes (M, D)
        Of the images that train and that test, see `lnpbrian.learning.vision.image_input`.
    options : ClassifyOptions, optional
        The readout.
    presentation : Presentation, optional
        Time of an image.
    read : ndarray of int, optional
        Neurons to read, instead of those that `options` and the input say: equal ones where networks are compared.
    engine : {"auto", "native", "brian2"}
        See `spike_counts`.
    streams : Streams, optional
        Source of Poisson spikes.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    Classification

    Raises
    ------
    InvalidInput
        If network, input, images and labels do not fit, or none may be read.

    Notes
    -----
    arXiv 2403.03409, section 4.1: Poisson spikes for 100 ms, nothing for 100 ms, and a readout of the neurons of
    highest betweenness. Spikes are counted here.

    Examples
    --------
    Two neurons, each driven by one of two kinds of images, fire every ``2 ms + 20 ms ln 3``, 4 times in 200 ms:

    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> x, y = np.tile(np.eye(2), (5, 1)), np.tile([0, 1], 5)
    >>> task = ImageTask("two", *[(255 * x).astype(np.uint8).reshape(-1, 1, 2, 1), y] * 2, ("left", "right"))
    >>> source = ImageInput(1.5 * np.eye(2), np.ones(2, bool))
    >>> classify(uncoupled([20] * 2 * ms, bias=0.0), source, task, (x, x))
    Classification(100.0 ± 0.0 % of 10 images, 0 M synaptic operations an image, 10.0 Hz)
    """
    options, presentation = options or ClassifyOptions(), presentation or Presentation()
    streams = streams or Streams(0).child("images")
    train, test = channels
    for x, y, part in ((train, task.y_train, "training"), (test, task.y_test, "test")):
        if len(x) != len(y):
            raise InvalidInput(f"channels of {len(x)} {part} images do not fit {len(y)} labels")
    which = read_images(spec, source, fraction=options.fraction) if read is None else checks.indices(
        "read", read, spec.n_neurons
    )  # fmt: skip
    alive = np.flatnonzero(spec.alive)
    inner, input_ = spec.compacted(), source.of_neurons(spec.alive)
    # Where the neurons are in the network without its silent neurons.
    place = np.searchsorted(alive, which)
    if not np.isin(which, alive).all():
        raise InvalidInput("read names a silent neuron; read only living ones")
    share = len(train) / (len(train) + len(test))

    def shown(x: np.ndarray, part: str, begin: float, length: float) -> np.ndarray:
        tell = None if report is None else (lambda fraction: report(begin + length * fraction))
        return spike_counts(
            inner, input_, x, presentation=presentation, streams=streams.child(part), engine=engine, report=tell
        )

    counts = shown(train, "train", 0.0, share)[:, place].astype(float)
    readout = fit_classifier(counts, task.y_train, classes=task.n_classes, options=options)
    train_accuracy = float((readout(counts) == task.y_train).mean())
    answers = shown(test, "test", share, 1 - share)
    per_image = answers.mean(axis=0)
    read_spikes = float(per_image[place].sum())
    behind = options.synapses(0, task.n_classes)
    return Classification(
        predicted=readout(answers[:, place].astype(float)),
        truth=task.y_test,
        n_classes=task.n_classes,
        read=which,
        synaptic_operations=synaptic_operations(per_image, inner.pre),
        readout_operations=read_spikes * options.fan_out(task.n_classes) + behind,
        mean_rate=float(per_image.mean() / presentation.seconds),
        penalty=readout.penalty,
        train_accuracy=train_accuracy,
    )
