"""Tasks that need a network: what linear readouts of a fixed one make of streams of samples.

Memory, products of past inputs, hidden variables of a chaotic system, an image shown row by row: a readout of neurons
without synapses among them cannot do these. All streams of one kind run side by side as copies of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from brian2 import Quantity, ms

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning import metrics
from lnpbrian.learning.encoding import CurrentEncoder
from lnpbrian.learning.readout import FEATURE_LIMIT, ReadoutOptions, moments, readout_neurons
from lnpbrian.learning.series import lorenz63_velocity, lorenz96_velocity, mackey_glass, runge_kutta
from lnpbrian.learning.vision.features import ReadNetwork, shown_copies
from lnpbrian.network.simulate import mean_rates
from lnpbrian.network.spec import NetworkSpec, synaptic_operations
from lnpbrian.records import as_html, data_frame
from lnpbrian.streams import Streams

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "BenchmarkResult",
    "Parts",
    "Stream",
    "draw_stream",
    "evaluate_benchmarks",
    "linear_scores",
    "narma10",
    "ridge_predictions",
    "uncoupled_control",
]

# In samples; 0 is the one that is shown.
LAGS = range(1, 26)
QUADRATIC_LAGS = range(6)
PRODUCT_LAGS = range(4)
XOR_DELAYS = range(6)
# Samples at the start that nothing is learnt from; more than any target looks back.
DROPPED = 100
# By how many samples the targets may be ahead of what is shown.
AHEAD = 28
TRAINING, VALIDATION = 0.6, 0.15
# Of the weights of standardised features, per training sample.
PENALTIES = tuple(10.0**k for k in range(-5, 0))
LEAST_SAMPLES = 200

DIGITS_PER_SAMPLE = 750 / 1600
DIGIT_COPIES = 10
ROWS, GAP, LEAD = 8, 2, 4  # samples of 50 ms: of a digit, before it, and before the first


@dataclass(frozen=True, eq=False, repr=False)
class Stream:
    """What a network is shown, and what targets are made of.

    Parameters
    ----------
    shown : ndarray, shape (T, D)
        Samples.
    values : ndarray, shape (T + AHEAD, V)
        What lies behind them, from the same sample on; the last AHEAD ones are only forecast.
    """

    shown: np.ndarray
    values: np.ndarray

    def at(self, ahead: int) -> np.ndarray:
        """Return the values (T, V) so many samples ahead of what is shown, or behind; zeros where there are none.

        Examples
        --------
        >>> ramp = np.arange(1.0, 3 + AHEAD + 1)[:, np.newaxis]
        >>> stream = Stream(ramp[:3], ramp)
        >>> stream.at(2).ravel().tolist(), stream.at(-1).ravel().tolist()
        ([3.0, 4.0, 5.0], [0.0, 1.0, 2.0])
        """
        samples = len(self.shown)
        before = np.zeros((max(-ahead, 0), self.values.shape[1]))
        return np.concatenate([before, self.values])[max(ahead, 0) :][:samples]


@dataclass(frozen=True)
class Parts:
    """Samples that a readout is fitted on, that its penalty is chosen on, and that it is judged on.

    Examples
    --------
    >>> Parts.of_stream(300)
    Parts(train=slice(100, 220, None), validation=slice(220, 250, None), test=slice(250, 300, None))
    """

    train: slice
    validation: slice
    test: slice

    @classmethod
    def of_stream(cls, samples: int) -> Parts:
        """Cut a stream in three, after the samples that are dropped."""
        left = samples - DROPPED
        train = DROPPED + round(TRAINING * left)
        validation = train + round(VALIDATION * left)
        return cls(slice(DROPPED, train), slice(train, validation), slice(validation, samples))

    @classmethod
    def of_digits(cls, digits: int) -> Parts:
        """Two thirds train, the last fifth of which chooses the penalty; the rest tests."""
        known = round(digits * 2 / 3)
        train = round(0.8 * known)
        return cls(slice(0, train), slice(train, known), slice(known, digits))


@dataclass(frozen=True)
class Benchmark:
    """A task of linear readouts.

    Parameters
    ----------
    name : str
        As in `BENCHMARKS`.
    stream : str
        What is shown, see `STREAMS`.
    meaning : str
        A sentence.
    measure : str
        What the score is.
    higher_is_better : bool
        Of the score.
    targets : callable
        Makes targets (T, K) of a `Stream`.
    score : callable
        Makes a number of predictions and truth, both (T, K).
    """

    name: str
    stream: str
    meaning: str
    measure: str
    higher_is_better: bool
    targets: Callable[[Stream], np.ndarray] = field(repr=False)
    score: Callable[[np.ndarray, np.ndarray], float] = field(repr=False)


def _determination(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the sum over targets of ``max(0, 1 - mean squared error/variance)``; guesses of the mean give 0."""
    return float(np.maximum(1 - np.mean((prediction - truth) ** 2, axis=0) / truth.var(axis=0), 0).sum())


def _nrmse(prediction: np.ndarray, truth: np.ndarray) -> float:
    return float(metrics.nrmse(prediction, truth, truth.std(axis=0)))


def _agreement(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return ``sum max(0, 2 accuracy - 1)`` over targets of +-1."""
    accuracy = np.mean((prediction > 0) == (truth > 0), axis=0)
    return float(np.maximum(2 * accuracy - 1, 0).sum())


def _accuracy(prediction: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean(prediction.argmax(axis=1) == truth.argmax(axis=1)))


def _memory(stream: Stream) -> np.ndarray:
    return np.concatenate([stream.at(-d) for d in LAGS], axis=1)


def _capacity(stream: Stream) -> np.ndarray:
    u = {d: stream.at(-d) for d in {*LAGS, *QUADRATIC_LAGS, *PRODUCT_LAGS}}
    linear = [u[d] for d in LAGS]
    quadratic = [(3 * u[d] ** 2 - 1) / 2 for d in QUADRATIC_LAGS]
    products = [u[d] * u[e] for d, e in combinations(PRODUCT_LAGS, 2)]
    return np.concatenate([*linear, *quadratic, *products], axis=1)


def _xor(stream: Stream) -> np.ndarray:
    return np.concatenate([np.where(stream.at(-d) * stream.at(-d - 1) < 0, 1.0, -1.0) for d in XOR_DELAYS], axis=1)


def _narma10(stream: Stream) -> np.ndarray:
    return narma10((stream.shown[:, 0] + 1) / 4)[:, np.newaxis]


def _columns(ahead: int, *columns: int) -> Callable[[Stream], np.ndarray]:
    return lambda stream: stream.at(ahead)[:, list(columns)]


def _all(*benchmarks: tuple[Any, ...]) -> dict[str, Benchmark]:
    return {entry[0]: Benchmark(*entry) for entry in benchmarks}


_R2, _NRMSE = "sum of R^2", "NRMSE"
# Streams of samples of 100 ms, and how strong their input is: W_in is uniform in +- this.
STREAMS = {"white": 0.3, "mackey_glass": 0.5, "lorenz63_x": 0.5, "lorenz63": 0.5, "lorenz96": 0.5, "digits": 1.0}
BENCHMARKS = _all(
    ("memory", "white", "Linear memory of an input: lags 1..25.", _R2, True, _memory, _determination),
    (
        "capacity",
        "white",
        "Information processing capacity: u of lags 1..25, (3 u^2 - 1)/2 of lags 0..5, and the products of two inputs "
        "of different lags 0..3.",
        _R2,
        True,
        _capacity,
        _determination,
    ),
    (
        "narma10",
        "white",
        "Output of a nonlinear filter of ten steps, which has not met the last input yet.",
        _NRMSE,
        False,
        _narma10,
        _nrmse,
    ),
    (
        "xor",
        "white",
        "Whether two successive inputs had different signs, 0..5 samples ago.",
        "sum of max(0, 2 accuracy - 1)",
        True,
        _xor,
        _agreement,
    ),
    (
        "mackey_glass_30",
        "mackey_glass",
        "Mackey-Glass, delay 17, samples 3 apart: 30 units of time ahead.",
        _NRMSE,
        False,
        _columns(10, 0),
        _nrmse,
    ),
    (
        "mackey_glass_84",
        "mackey_glass",
        "The same, 84 units of time ahead.",
        _NRMSE,
        False,
        _columns(28, 0),
        _nrmse,
    ),
    ("lorenz63_z", "lorenz63_x", "Lorenz-63 of which x is seen: z.", _NRMSE, False, _columns(0, 2), _nrmse),
    ("lorenz63_x10", "lorenz63_x", "The same: x ten samples on.", _NRMSE, False, _columns(10, 0), _nrmse),
    (
        "lorenz96",
        "lorenz96",
        "Lorenz-96 of eight variables, every second of which is seen: the others.",
        _NRMSE,
        False,
        _columns(0, 1, 3, 5, 7),
        _nrmse,
    ),
    (
        "digits",
        "digits",
        "Images of digits, shown row by row and read at the end of the last row.",
        "accuracy",
        True,
        lambda stream: stream.values,
        _accuracy,
    ),
    (
        "lorenz63_seen_4",
        "lorenz63",
        "Control: Lorenz-63 of which all is seen, four samples on.",
        _NRMSE,
        False,
        _columns(4, 0, 1, 2),
        _nrmse,
    ),
    (
        "lorenz63_seen_10",
        "lorenz63",
        "Control: the same, ten samples on.",
        _NRMSE,
        False,
        _columns(10, 0, 1, 2),
        _nrmse,
    ),
)


@dataclass(frozen=True)
class BenchmarkResult:
    """What a network is worth in each benchmark, and what that costs.

    Attributes
    ----------
    scores : dict of str to float
        By name, in the measure of the benchmark.
    mean_rate : float
        In Hz, of neurons that are alive, over all streams.
    synaptic_operations : int
        Of the recurrent synapses, over all streams.
    seconds : float
        Simulated time, over all streams.
    neurons : int
        That were read.

    Notes
    -----
    Operations are those of equation (9) of Chakraborty et al. (2024), arXiv 2403.03409.
    """

    scores: dict[str, float]
    mean_rate: float
    synaptic_operations: int
    seconds: float
    neurons: int

    def to_dataframe(self) -> Any:
        """Return the scores as a pandas DataFrame, a row for every benchmark, with its measure and which way is up.

        Raises
        ------
        InvalidInput
            If pandas is not installed.
        """
        rows = []
        for name, score in self.scores.items():
            measure = {key: getattr(BENCHMARKS[name], key) for key in ("measure", "higher_is_better")}
            rows.append({"benchmark": name, "score": score, **measure})
        return data_frame(rows, "benchmark")

    def _repr_html_(self) -> str:
        rows = [(name, f"{score:.3g}", BENCHMARKS[name].measure) for name, score in self.scores.items()]
        said = f"{self.mean_rate:.1f} Hz, {self.synaptic_operations:.3g} synaptic operations"
        return as_html(said, ["benchmark", "score", "measure"], rows)

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {score:.3f}" for name, score in self.scores.items())
        return f"BenchmarkResult({scores}; {self.synaptic_operations:.3g} synaptic operations)"


def narma10(u: np.ndarray) -> np.ndarray:
    """Return the nonlinear autoregressive moving average of order ten of an input.

    Parameters
    ----------
    u : ndarray, shape (T,)
        Inputs in [0, 0.5]; before the first one inputs and outputs are 0.

    Returns
    -------
    ndarray, shape (T,)
        ``y(n+1) = 0.3 y(n) + 0.05 y(n) sum_(i<10) y(n-i) + 1.5 u(n-9) u(n) + 0.1``, with y(0) = 0.

    Notes
    -----
    Atiya and Parlos 2000 (doi:10.1109/72.846741), equation (86). It runs away for some inputs.

    Examples
    --------
    Without input the third value is ``0.1 + 0.3 0.1 + 0.05 0.1 0.1``:

    >>> narma10(np.zeros(3)).round(6).tolist()
    [0.0, 0.1, 0.1305]
    """
    inputs = np.concatenate([np.zeros(9), checks.array("u", u, shape=(None,))])
    y = np.zeros(len(inputs) + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        for n in range(9, len(inputs)):
            y[n + 1] = 0.3 * y[n] + 0.05 * y[n] * y[n - 9 : n + 1].sum() + 1.5 * inputs[n - 9] * inputs[n] + 0.1
    return y[9:-1]


def ridge_predictions(features: np.ndarray, targets: np.ndarray, parts: Parts, *, shared: bool = False) -> np.ndarray:
    """Fit a linear readout for every target, and return what it makes of the test part.

    Parameters
    ----------
    features : ndarray, shape (T, F)
        Standardised here with the moments of their training part, and held within 5 standard deviations; one that is
        constant there counts for nothing.
    targets : ndarray, shape (T, K)
        Each has the penalty of `PENALTIES` that is best on the validation part.
    parts : Parts
    shared : bool
        Whether all targets have one penalty, as outputs that are compared with each other need.

    Returns
    -------
    ndarray, shape (T_test, K)

    Raises
    ------
    InvalidInput
        If features and targets differ in length, or are not finite.

    Notes
    -----
    Weights minimise ``|Y - X B|^2/T + penalty |B|^2`` (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634). One
    eigendecomposition of ``X'X/T`` serves all penalties and targets.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((300, 2))
    >>> y, parts = x @ np.array([[1.0], [-2.0]]) + 3, Parts.of_stream(300)
    >>> bool(np.allclose(ridge_predictions(x, y, parts), y[parts.test], atol=1e-3))
    True
    """
    features = checks.array("features", features, shape=(None, None))
    targets = checks.array("targets", targets, shape=(len(features), None), remedy="each sample has features")
    mean, scale = moments(features[parts.train])
    x, level = np.clip((features - mean) / scale, -FEATURE_LIMIT, FEATURE_LIMIT), targets[parts.train].mean(axis=0)
    known = x[parts.train]
    values, vectors = np.linalg.eigh(known.T @ known / len(known))
    values = np.maximum(values, 0)[:, np.newaxis]
    turned = vectors.T @ (known.T @ (targets[parts.train] - level)) / len(known)
    trial, truth = x[parts.validation] @ vectors, targets[parts.validation] - level
    errors = [np.mean((trial @ (turned / (values + penalty)) - truth) ** 2, axis=0) for penalty in PENALTIES]
    if shared:
        errors = [np.mean(error, keepdims=True) for error in errors]
    chosen = np.array(PENALTIES)[np.argmin(errors, axis=0)]
    return x[parts.test] @ (vectors @ (turned / (values + chosen))) + level


def _white(samples: int, rng: np.random.Generator) -> Stream:
    # NARMA-10 of a few inputs runs away; others are drawn then.
    while True:
        u = rng.uniform(-1, 1, (samples + AHEAD, 1))
        stream = Stream(u[:samples], u)
        if _narma10(stream).max() < 1.5:
            return stream


def _series(values: np.ndarray, seen: Sequence[int], samples: int) -> Stream:
    """Return the stream of a series, z-scored by what its readouts are trained on."""
    basis = values[Parts.of_stream(samples).train]
    z = (values - basis.mean(axis=0)) / basis.std(axis=0)
    return Stream(z[:samples, list(seen)], z)


def _mackey_glass(samples: int, rng: np.random.Generator) -> Stream:
    # What depends on the constant past is left out.
    transient = 100
    x = mackey_glass(17, samples=transient + samples + AHEAD, start=rng.uniform(0.5, 1.2), step=3.0, steps_per_delay=50)
    return _series(x.values[transient:], [0], samples)


def _flow(velocity: Callable[[np.ndarray], np.ndarray], start: np.ndarray, samples: int) -> np.ndarray:
    """Return samples 0.05 units of time apart of a flow on its attractor."""
    every, transient = 5, 400
    x = runge_kutta(velocity, start, step=0.05 / every, samples=(transient + samples + AHEAD - 1) * every + 1)
    return x[::every][transient:]


@lru_cache(maxsize=1)  # two streams show the same
def _lorenz63(samples: int, streams: Streams) -> np.ndarray:
    rng = streams.rng("lorenz63")
    return _flow(lorenz63_velocity, np.array([1.0, 1.0, 25.0]) + rng.standard_normal(3), samples)


def _lorenz96(samples: int, rng: np.random.Generator) -> np.ndarray:
    return _flow(lorenz96_velocity, 8 + rng.standard_normal(8), samples)


def _digits(number: int, rng: np.random.Generator) -> Stream:
    """Return images as samples of 64 pixels, with their digits in words of one bit in ten."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InvalidInput("the digits come with scikit-learn; install it, or leave digits out of names") from error
    images, labels = load_digits(return_X_y=True)
    chosen = rng.permutation(len(images))[:number]
    return Stream(images[chosen] / 16, np.eye(10)[labels[chosen]])


def draw_stream(kind: str, samples: int, *, seed: int = 0) -> Stream:
    """Return what a network is shown in some of the benchmarks.

    Parameters
    ----------
    kind : str
        Of `STREAMS`: "white" is uniform in [-1, 1], series are z-scored by what their readouts are trained on, and of
        "digits" a sample is an image of 64 pixels in [0, 1].
    samples : int
        At least 200; 15 in 32 times as many images, up to 1797.
    seed : int

    Returns
    -------
    Stream

    Raises
    ------
    InvalidInput
        If the kind is not known, there are too few samples, or digits are asked for without scikit-learn.

    Notes
    -----
    Independent samples: Jaeger 2001 (GMD report 152) and Dambre et al. 2012, doi:10.1038/srep00514. Mackey-Glass:
    Mackey and Glass 1977, doi:10.1126/science.267326. Digits are those of scikit-learn (Alpaydin and Kaynak 1998,
    doi:10.24432/C50P49).

    Examples
    --------
    >>> draw_stream("lorenz63_x", 200).shown.shape, draw_stream("lorenz63_x", 200).values.shape
    ((200, 1), (228, 3))
    """
    checks.choice("kind", kind, STREAMS)
    samples, streams = checks.count("samples", samples, minimum=LEAST_SAMPLES), _names(seed)
    if kind == "white":
        return _white(samples, streams.rng("white"))
    if kind == "mackey_glass":
        return _mackey_glass(samples, streams.rng("mackey_glass"))
    if kind == "lorenz96":
        return _series(_lorenz96(samples, streams.rng("lorenz96")), [0, 2, 4, 6], samples)
    if kind == "digits":
        return _digits(round(DIGITS_PER_SAMPLE * samples), streams.rng("digits"))
    return _series(_lorenz63(samples, streams), [0] if kind == "lorenz63_x" else [0, 1, 2], samples)


def _names(seed: int) -> Streams:
    return Streams(seed).child("benchmarks")


@dataclass(frozen=True, eq=False)
class _Run:
    """Features of streams, the spike counts (N,) of all of them, and the time of all of them in seconds."""

    features: dict[str, np.ndarray]
    counts: np.ndarray
    seconds: float


@dataclass(frozen=True, eq=False)
class _Bed:
    """A network without silent neurons, the mask of its neurons among all, the neurons that are read, and the mask of
    those among all that get input."""

    spec: NetworkSpec
    alive: np.ndarray
    read: np.ndarray
    streams: Streams
    receives: np.ndarray | None = None

    def encoder(self, dimensions: dict[str, int]) -> CurrentEncoder:
        """Return W_in with a block of columns for each stream, drawn for all neurons, silent or not."""
        blocks = [
            CurrentEncoder.draw(self.alive.size, d, scale=STREAMS[kind], rng=self.streams.child("input").rng(kind))
            for kind, d in dimensions.items()
        ]
        weights = np.concatenate([b.weights for b in blocks], axis=1)
        if self.receives is not None:
            weights[~self.receives] = 0
        return CurrentEncoder(weights).of_neurons(self.alive)

    def run(
        self, shown: np.ndarray, encoder: CurrentEncoder, options: ReadoutOptions, report: Callable[[float], None]
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Show samples (T, copies, D); return features (T, copies, F), spike counts (N,) and time in seconds."""
        samples, copies, _ = shown.shape
        # Current is not random: the generators only say how many copies there are.
        rngs = [np.random.default_rng(0)] * copies
        live = shown_copies(ReadNetwork(self.spec, encoder, options, self.read), rngs, samples)
        return live.through(shown, report), live.counts(), samples * copies * float(options.sample_time)

    def series(self, streams: dict[str, Stream], report: Callable[[float], None]) -> _Run:
        """Show every stream to a copy of its own, with zeros for the others."""
        dimensions = {kind: stream.shown.shape[1] for kind, stream in streams.items()}
        samples = len(next(iter(streams.values())).shown)
        shown, first = np.zeros((samples, len(streams), sum(dimensions.values()))), 0
        for copy, stream in enumerate(streams.values()):
            d = stream.shown.shape[1]
            shown[:, copy, first : first + d] = stream.shown
            first += d
        features, counts, seconds = self.run(shown, self.encoder(dimensions), _options(100 * ms, 5, 4), report)
        return _Run(dict(zip(streams, np.swapaxes(features, 0, 1), strict=True)), counts, seconds)

    def digits(self, stream: Stream, report: Callable[[float], None]) -> _Run:
        """Show images row by row, the next ones to the next copies, and read each at the end of its last row."""
        number = len(stream.shown)
        turns = -(-number // DIGIT_COPIES)
        shown = np.zeros((turns * DIGIT_COPIES, GAP + ROWS, ROWS))
        shown[:number, GAP:] = stream.shown.reshape(number, ROWS, ROWS)
        shown = shown.reshape(turns, DIGIT_COPIES, GAP + ROWS, ROWS).swapaxes(1, 2).reshape(-1, DIGIT_COPIES, ROWS)
        shown = np.concatenate([np.zeros((LEAD, DIGIT_COPIES, ROWS)), shown])
        features, counts, seconds = self.run(shown, self.encoder({"digits": ROWS}), _options(50 * ms, 3, 3), report)
        last = features[LEAD + GAP + ROWS - 1 :: GAP + ROWS]
        return _Run({"digits": last.reshape(-1, last.shape[-1])[:number]}, counts, seconds)


def _options(sample_time: Quantity, order: int, filters: int) -> ReadoutOptions:
    return ReadoutOptions(sample_time=sample_time, filter_time=sample_time / filters, order=order)


def evaluate_benchmarks(
    spec: NetworkSpec,
    *,
    names: Sequence[str] = tuple(BENCHMARKS),
    seed: int = 0,
    samples: int = 1600,
    fraction: float = 1.0,
    receives: object = None,
    report: Callable[[float], None] | None = None,
) -> BenchmarkResult:
    """Say what linear readouts of a fixed network are worth in tasks that need one.

    Parameters
    ----------
    spec : NetworkSpec
        With its silent neurons: input weights are drawn for all N, so that survivors keep theirs.
    names : sequence of str
        Of `BENCHMARKS`; a score does not depend on which others there are.
    seed : int
        Of input weights and streams.
    samples : int
        Of 100 ms of each stream, at least 200: 100 are dropped, then 60, 15 and 25 % train, choose the penalty and
        test. 15 in 32 times as many digits, up to 1797, are shown; two thirds train.
    fraction : float
        Fraction of the surviving neurons that is read, those of highest betweenness.
    receives : array of bool, shape (N,), optional
        Neurons that get input; all by default.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    BenchmarkResult

    Raises
    ------
    InvalidInput
        If a name is not known, a value is out of range, or 50 ms are not a whole number of steps.

    Notes
    -----
    W_in is uniform in +-0.3 for the white input, +-0.5 for z-scored series and +-1 for digits. A feature is a spike
    train behind five filters of 25 ms in a row, or three of 16.7 ms for digits, at the end of a sample. The white input
    is uniform in [-1, 1].
    Memory capacity: Jaeger 2001 (GMD report 152); information processing capacity: Dambre et al. 2012
    (doi:10.1038/srep00514), of the terms in `BENCHMARKS`. Both are sums of ``R^2 = max(0, 1 - error^2/variance)`` in
    the test part, where the squared correlation would add its chance level, one over the number of samples, for each
    term. NARMA-10 has inputs ``(u + 1)/4``. Lorenz-63 and Lorenz-96 are sampled every 0.05 units of time.

    Examples
    --------
    Neurons that never fire know nothing:

    >>> from lnpbrian.models import uncoupled
    >>> evaluate_benchmarks(uncoupled([20] * ms, bias=-2.0), names=["memory"], samples=200).scores
    {'memory': 0.0}
    """
    checks.instance("spec", spec, NetworkSpec, "give the spec of a model of lnpbrian.models")
    if isinstance(names, str) or checks.any_array("names", names).ndim != 1 or not len(names):
        raise InvalidInput(f"names must be a list of benchmarks such as ['memory'], got {names!r}")
    known = [checks.choice("a name in names", name, BENCHMARKS) for name in names]
    chosen = [BENCHMARKS[name] for name in dict.fromkeys(known)]
    samples = checks.count("samples", samples, minimum=LEAST_SAMPLES)
    fraction = checks.probability("fraction", fraction)
    checks.callback("report", report)
    checks.steps("a sample of 50 ms", 50 * ms, spec.dt)
    small = spec.compacted()
    read = np.arange(small.n_neurons) if fraction == 1 else readout_neurons(small, fraction)
    mask = None if receives is None else checks.array("receives", receives, shape=(spec.n_neurons,), dtype=bool)
    bed = _Bed(small, spec.alive, read, _names(seed), mask)
    kinds = [kind for kind in STREAMS if any(b.stream == kind for b in chosen)]
    shown = {kind: draw_stream(kind, samples, seed=seed) for kind in kinds}
    series = {kind: stream for kind, stream in shown.items() if kind != "digits"}
    # Digits take about a quarter of the time.
    share = 0.75 if series and "digits" in kinds else float(bool(series))
    runs = [bed.series(series, _part(report, 0, share))] if series else []
    if "digits" in kinds:
        runs.append(bed.digits(shown["digits"], _part(report, share, 1)))
    features = {kind: x for run in runs for kind, x in run.features.items()}
    scores: dict[str, float] = {}
    for kind in kinds:
        scores |= linear_scores([b.name for b in chosen if b.stream == kind], features[kind], shown[kind])
    counts, seconds = sum(run.counts for run in runs), sum(run.seconds for run in runs)
    return BenchmarkResult(
        scores={b.name: scores[b.name] for b in chosen},
        mean_rate=float(np.mean(counts) / seconds),
        synaptic_operations=int(synaptic_operations(counts, small.pre)),
        seconds=float(seconds),
        neurons=int(read.size),
    )


def _part(report: Callable[[float], None] | None, begin: float, end: float) -> Callable[[float], None]:
    return lambda fraction: None if report is None else report(begin + fraction * (end - begin))


def linear_scores(names: Sequence[str], features: np.ndarray, stream: Stream) -> dict[str, float]:
    """Return what linear readouts of any features are worth in benchmarks of one stream.

    Parameters
    ----------
    names : sequence of str
        Of `BENCHMARKS`, all of the kind of the stream.
    features : ndarray, shape (T, F)
        At the end of every sample.
    stream : Stream
        Of T samples.

    Returns
    -------
    dict of str to float
        By name.

    Notes
    -----
    Readouts are those of `ridge_predictions` (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634).

    Examples
    --------
    The inputs one and two samples ago have a memory of two, and a little by chance:

    >>> stream = draw_stream("white", 300)
    >>> x = np.concatenate([stream.at(-1), stream.at(-2)], axis=1)
    >>> round(linear_scores(["memory"], x, stream)["memory"], 1)
    2.0
    """
    benchmarks = [BENCHMARKS[checks.choice("a name in names", name, BENCHMARKS)] for name in names]
    images = benchmarks[0].stream == "digits"
    parts = (Parts.of_digits if images else Parts.of_stream)(len(stream.shown))
    targets = [b.targets(stream) for b in benchmarks]
    predictions = ridge_predictions(features, np.concatenate(targets, axis=1), parts, shared=images)
    ends = np.cumsum([y.shape[1] for y in targets])[:-1]
    return {
        b.name: b.score(p, y[parts.test])
        for b, y, p in zip(benchmarks, targets, np.split(predictions, ends, axis=1), strict=True)
    }


def uncoupled_control(spec: NetworkSpec, *, rates: object = None) -> NetworkSpec:
    """Return the same neurons without synapses, at the same mean input.

    Parameters
    ----------
    spec : NetworkSpec
    rates : array of float, shape (N,), Hz, optional
        Rates at which the mean recurrent input is taken over into the bias. By default those of three seconds without
        external input, after one.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    InvalidInput
        If the rates do not fit or are negative.

    Notes
    -----
    ``bias_i + tau_syn sum_j w_ij r_j``. What it cannot do and the network can is owed to the synapses.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from lnpbrian.models import uncoupled
    >>> pair = replace(uncoupled([10, 20] * ms), pre=[0], post=[1], weights=[2.0])
    >>> uncoupled_control(pair, rates=[10, 0]).bias.tolist()  # 10 spikes a second, each 2 for 5 ms
    [0.5, 0.6]
    """
    checks.instance("spec", spec, NetworkSpec, "give the spec of a model of lnpbrian.models")
    if rates is None:
        rates = mean_rates(spec, 3.0, settle=1.0)
    return spec.uncoupled(rates)
