"""Readouts: from the filtered spike trains of a few neurons to the next step of a series."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from brian2 import Quantity, ms
from scipy.optimize import minimize

from lnpbrian import checks
from lnpbrian.network.betweenness import betweenness_centrality
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.options import Options, option, options

__all__ = ["MLPReadout", "Readout", "ReadoutOptions", "RidgeReadout", "fit_readout", "moments", "readout_neurons"]


# In closed loop a standardised feature is held within this many standard deviations of its training values.
FEATURE_LIMIT = 5.0
READOUTS = ("ridge", "mlp")


class ReadoutKind(Options):
    """Base of the options of readouts that are linear or a perceptron with one hidden layer."""

    kind: str
    hidden: int

    def fan_out(self, outputs: int) -> int:
        """Return the number of synapses that a neuron which is read has onto the readout."""
        return outputs if self.kind == "ridge" else self.hidden

    def synapses(self, neurons: int, outputs: int) -> int:
        """Return the number of synapses of the readout of `neurons`, without those of the current sample."""
        behind = 0 if self.kind == "ridge" else self.hidden * outputs
        return neurons * self.fan_out(outputs) + behind


@options
class ReadoutOptions(ReadoutKind):
    """How spikes become a forecast.

    Raises
    ------
    InvalidInput
        If a value is out of range or has the wrong unit.

    Notes
    -----
    Exponential filters in a row have the kernel of a gamma law (de Vries and Principe 1992,
    doi:10.1016/S0893-6080(05)80035-8).

    Examples
    --------
    The three outputs of a linear readout have a synapse from each of 100 neurons:

    >>> ReadoutOptions().synapses(100, 3)
    300
    """

    sample_time: Quantity = option(default=100 * ms, help="Time each sample is shown.", flag="sample-time")
    filter_time: Quantity = option(default=25 * ms, help="Time constant tau of the filter of the spike trains.")
    order: int = option(
        default=5,
        help="Number n of exponential filters in a row: a spike of age u adds (u/tau)^(n-1)/(n-1)! exp(-u/tau) to its "
        "neuron's feature. One is the plain exponential filter; more of them hide the phase of single spikes.",
    )
    fraction: float = option(default=0.1, help="Fraction of the surviving neurons that is read.", above=0, at_most=1)
    ridge: float = option(
        default=0.01,
        help="Penalty of the squared weights of the standardised features; the current sample is not penalised.",
        above=0,
    )
    kind: str = option(
        default="ridge",
        help="Linear readout, or the paper's perceptron with one hidden layer.",
        choices=READOUTS,
        flag="readout-kind",
    )
    hidden: int = option(default=20, help="Hidden neurons of the perceptron.")
    weight_decay: float = option(default=0.01, help="Penalty of the squared weights of the perceptron.", above=0)


@dataclass(frozen=True, repr=False)
class Readout:
    """What predicts the increments (..., D) to the next sample from features (..., F) and current samples (..., D).

    Parameters
    ----------
    mean, scale : ndarray, shape (F,)
        Of the features in training.
    """

    mean: np.ndarray
    scale: np.ndarray

    def __call__(self, features: np.ndarray, current: np.ndarray) -> np.ndarray:
        """Return the increments (..., D) for features (..., F) and current samples (..., D)."""
        return self._increments(np.clip((features - self.mean) / self.scale, -FEATURE_LIMIT, FEATURE_LIMIT), current)

    def _increments(self, x: np.ndarray, current: np.ndarray) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class RidgeReadout(Readout):
    """Linear readout of the next step's increment from filtered spikes and the current sample.

    Parameters
    ----------
    mean, scale : ndarray, shape (F,)
        Of the features in training.
    feature_weights : ndarray, shape (F, D)
        Of the standardised features.
    current_weights : ndarray, shape (D, D)
        Of the current sample.
    intercept : ndarray, shape (D,)
        Increment where features and current sample are at 0.

    Notes
    -----
    Hoerl and Kennard 1970 (doi:10.1080/00401706.1970.10488634).

    Examples
    --------
    Twice the feature, minus the sample, plus 1:

    >>> readout = RidgeReadout(np.zeros(1), np.ones(1), np.array([[2.0]]), np.array([[-1.0]]), np.ones(1))
    >>> readout(np.array([3.0]), np.array([4.0])).tolist()
    [3.0]
    """

    feature_weights: np.ndarray
    current_weights: np.ndarray
    intercept: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, current: np.ndarray, increments: np.ndarray, *, ridge: float) -> RidgeReadout:
        """Minimise ``|Y - X B - Z C - c|^2 + ridge |B|^2`` over B, C and c.

        X are the standardised features (T, F), Z the current samples (T, D) and Y their increments (T, D).

        Notes
        -----
        With fewer samples than features B is found from T equations in place of F: ``B = X^T M^-1 (Y - Z C)`` with
        ``M = X X^T + ridge`` (Saunders, Gammerman and Vovk 1998, Proc. ICML, 515), which is the same but for rounding.

        Examples
        --------
        With a vanishing penalty a linear law is found exactly:

        >>> rng = np.random.default_rng(0)
        >>> x, z = rng.standard_normal((50, 3)), rng.standard_normal((50, 1))
        >>> y = x @ np.array([[1.0], [-2.0], [0.5]]) - z + 3
        >>> bool(np.allclose(RidgeReadout.fit(x, z, y, ridge=1e-9)(x, z), y))
        True
        """
        mean, scale = moments(features)
        centre = current.mean(axis=0)
        x, z, y = (features - mean) / scale, current - centre, increments - increments.mean(axis=0)
        b, c = _least_squares(x, z, y, ridge) if len(x) > x.shape[1] else _dual_least_squares(x, z, y, ridge)
        return cls(mean, scale, b, c, increments.mean(axis=0) - centre @ c)

    def _increments(self, x: np.ndarray, current: np.ndarray) -> np.ndarray:
        return x @ self.feature_weights + current @ self.current_weights + self.intercept


# A trace of penalty keeps the system regular when the current sample is a combination of itself and features.
TRACE = 1e-6


def _least_squares(x: np.ndarray, z: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    both, n = np.concatenate([x, z], axis=1), x.shape[1]
    penalty = np.where(np.arange(both.shape[1]) < n, ridge, TRACE)
    weights = np.linalg.solve(both.T @ both + np.diag(penalty), both.T @ y)
    return weights[:n], weights[n:]


def _dual_least_squares(x: np.ndarray, z: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """The same from T equations; the penalty of Z is in units of what B leaves of it."""
    M = x @ x.T + ridge * np.eye(len(x))
    of_y, of_z = np.split(np.linalg.solve(M, np.concatenate([y, z], axis=1)), [y.shape[1]], axis=1)
    c = np.linalg.solve(z.T @ of_z + TRACE / ridge * np.eye(z.shape[1]), z.T @ of_y)
    return x.T @ (of_y - of_z @ c), c


@dataclass(frozen=True, repr=False)
class MLPReadout(Readout):
    """Perceptron with one hidden layer of tanh units, trained by L-BFGS.

    Parameters
    ----------
    mean, scale : ndarray, shape (F,)
        Of the features in training.
    hidden_weights : ndarray, shape (F + D, H)
        Of the standardised features and the current sample.
    hidden_intercept : ndarray, shape (H,)
        Of the hidden units.
    output_weights, output_intercept : ndarrays, shapes (H, D) and (D,)
        Of the outputs.
    unit : ndarray, shape (D,)
        Standard deviation of the increments in training, in which the outputs are.

    Notes
    -----
    arXiv 2403.03409, A.6; L-BFGS: Liu and Nocedal 1989 (doi:10.1007/BF01589116).

    Examples
    --------
    Where all weights are zero the output is its intercept, in units of the increments:

    >>> weights = np.zeros((2, 4)), np.zeros(4), np.zeros((4, 1)), np.array([0.5])
    >>> MLPReadout(np.zeros(1), np.ones(1), *weights, np.array([2.0]))(np.ones(1), np.ones(1)).tolist()
    [1.0]
    """

    hidden_weights: np.ndarray
    hidden_intercept: np.ndarray
    output_weights: np.ndarray
    output_intercept: np.ndarray
    unit: np.ndarray

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        current: np.ndarray,
        increments: np.ndarray,
        *,
        hidden: int,
        weight_decay: float,
    ) -> MLPReadout:
        """Minimise ``(|errors|^2 + weight_decay |weights|^2)/(2 T)`` from weights that are always the same.

        Features (T, F), current samples (T, D) and increments (T, D) are as for `RidgeReadout.fit`.
        """
        mean, scale = moments(features)
        unit = increments.std(axis=0)
        unit = np.where(unit > 0, unit, 1.0)
        x, y = np.concatenate([(features - mean) / scale, current], axis=1), increments / unit
        shapes = ((x.shape[1], hidden), (hidden,), (hidden, y.shape[1]), (y.shape[1],))
        rng = np.random.default_rng(0)
        start = []
        for shape in shapes:
            # Uniform as Glorot and Bengio 2010 draw weights; intercepts start at zero.
            bound = np.sqrt(6 / sum(shape)) if len(shape) == 2 else 0.0
            start.append(rng.uniform(-bound, bound, shape).ravel())
        found = minimize(
            _perceptron_loss,
            np.concatenate(start),
            args=(shapes, x, y, weight_decay),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500},
        )
        hidden_weights, b, output_weights, c = _unpacked(found.x, shapes)
        return cls(mean, scale, hidden_weights, b, output_weights, c, unit)

    def _increments(self, x: np.ndarray, current: np.ndarray) -> np.ndarray:
        h = np.tanh(np.concatenate([x, current], axis=-1) @ self.hidden_weights + self.hidden_intercept)
        return (h @ self.output_weights + self.output_intercept) * self.unit


def fit_readout(
    features: np.ndarray, current: np.ndarray, increments: np.ndarray, *, options: ReadoutOptions
) -> Readout:
    """Fit the kind of readout that `options` name.

    Parameters
    ----------
    features : ndarray, shape (T, F)
        Filtered spike trains at the end of T samples.
    current, increments : ndarray, shape (T, D)
        These samples, and what the next ones add to them.
    options : ReadoutOptions
        Kind and penalty.

    Returns
    -------
    Readout

    Notes
    -----
    Ridge: Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634; perceptron: arXiv 2403.03409, appendix A.6.

    Examples
    --------
    >>> x, z = np.arange(6.0)[:, np.newaxis], np.zeros((6, 1))
    >>> readout = fit_readout(x, z, 3 * x, options=ReadoutOptions(ridge=1e-9))
    >>> readout(np.array([2.5]), np.zeros(1)).round(6).tolist()
    [7.5]
    """
    if options.kind == "ridge":
        return RidgeReadout.fit(features, current, increments, ridge=options.ridge)
    return MLPReadout.fit(features, current, increments, hidden=options.hidden, weight_decay=options.weight_decay)


def _unpacked(parameters: np.ndarray, shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    parts = np.split(parameters, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _perceptron_loss(
    parameters: np.ndarray, shapes: tuple[tuple[int, ...], ...], x: np.ndarray, y: np.ndarray, weight_decay: float
) -> tuple[float, np.ndarray]:
    """Return ``(|errors|^2 + weight_decay |weights|^2)/(2 T)`` of a perceptron, and its gradient."""
    into, b, out, c = _unpacked(parameters, shapes)
    h = np.tanh(x @ into + b)
    error = h @ out + c - y
    loss = np.sum(error**2) + weight_decay * (np.sum(into**2) + np.sum(out**2))
    back = (error @ out.T) * (1 - h**2)
    gradient = [
        x.T @ back + weight_decay * into,
        back.sum(axis=0),
        h.T @ error + weight_decay * out,
        error.sum(axis=0),
    ]
    return loss / (2 * len(x)), np.concatenate([part.ravel() for part in gradient]) / len(x)


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and scale (F,) of features (T, F); a neuron that never fired has no scale: its feature stays zero.

    Examples
    --------
    >>> mean, scale = moments(np.array([[1.0, 0.0], [3.0, 0.0]]))
    >>> mean.tolist(), scale.tolist()
    ([2.0, 0.0], [1.0, inf])
    """
    scale = features.std(axis=0)
    return features.mean(axis=0), np.where(scale > 1e-12, scale, np.inf)


def readout_neurons(spec: NetworkSpec, fraction: float = 0.1, *, among: np.ndarray | None = None) -> np.ndarray:
    """Return the neurons of highest betweenness.

    Of equals at the end, evenly spaced ones are read: neurons next to each other may be of one cluster.

    Parameters
    ----------
    spec : NetworkSpec
        The network.
    fraction : float
        Fraction of its neurons in (0, 1]; at least one is read.
    among : ndarray of bool, shape (N,), optional
        Neurons that may be read; the fraction is then of those.

    Returns
    -------
    ndarray of int, shape (n_read,)
        Sorted.

    Raises
    ------
    InvalidInput
        If the fraction is out of range.

    Notes
    -----
    arXiv 2403.03409, section 3; Freeman 1977 (doi:10.2307/3033543).

    Examples
    --------
    On a path all shortest paths between others lead through the middle:

    >>> n, path = np.zeros(3), (np.array([0, 1]), np.array([1, 2]))
    >>> spec = NetworkSpec("path", n + 0.02, n, n, n + 1, n, n + 1, *path, np.ones(2), 0.005, 0.002, 0.001)
    >>> readout_neurons(spec, 1 / 3).tolist()
    [1]
    """
    fraction = checks.probability("fraction", fraction)
    centrality = betweenness_centrality(spec.pre, spec.post, spec.n_neurons)
    if among is not None:
        centrality = np.where(among, centrality, -1.0)
    count = max(1, round(fraction * (spec.n_neurons if among is None else int(among.sum()))))
    lowest = np.sort(centrality)[-count]
    above, equal = np.flatnonzero(centrality > lowest), np.flatnonzero(centrality == lowest)
    chosen = np.linspace(0, equal.size, count - above.size, endpoint=False).astype(int)
    return np.sort(np.concatenate([above, equal[chosen]]))
