"""Forecast a series with the spikes of a network: filtered spike trains, a ridge readout, and the loop closed in Brian2.

All windows of a task run side by side as copies of one network, each with its own input and its own readout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from brian2 import NetworkOperation, NeuronGroup, Quantity, SpikeMonitor, Synapses, ms, second

from lnpbrian import checks, metrics
from lnpbrian.betweenness import betweenness_centrality
from lnpbrian.checks import InvalidInput
from lnpbrian.encoding import Encoder
from lnpbrian.network import NetworkSpec, RecurrentNetwork
from lnpbrian.tasks import ForecastTask

__all__ = ["Forecast", "ReadoutOptions", "RidgeReadout", "forecast", "readout_neurons"]


@dataclass(frozen=True)
class ReadoutOptions:
    """How spikes become a forecast.

    Parameters
    ----------
    sample_time : Quantity
        How long each sample is shown.
    filters : tuple of Quantity
        Time constants of the exponential filters; each read neuron gives one feature per filter.
    fraction : float
        Fraction of the surviving neurons that is read, in (0, 1].
    ridge : float
        Penalty of the squared readout weights, for standardised features; above 0.
    """

    sample_time: Quantity = field(default_factory=lambda: 50 * ms)
    filters: tuple[Quantity, ...] = field(default_factory=lambda: (50 * ms, 150 * ms))
    fraction: float = 0.1
    ridge: float = 10.0

    def __post_init__(self) -> None:
        checks.seconds("sample_time", self.sample_time)
        for value in self.filters:
            checks.seconds("filters", value)
        if not self.filters:
            raise InvalidInput("filters must hold at least one time constant, e.g. (50*ms,)")
        checks.probability("fraction", self.fraction)
        checks.real("ridge", self.ridge, above=0)


@dataclass(frozen=True, repr=False)
class RidgeReadout:
    """Linear readout of the next step's increment, fitted by ridge regression on standardised features.

    Parameters
    ----------
    mean, scale : ndarray, shape (F,)
        Of the features in training.
    weights : ndarray, shape (F, D)
        Of the standardised features.
    intercept : ndarray, shape (D,)
        Mean increment.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, increments: np.ndarray, *, ridge: float) -> RidgeReadout:
        """Solve ``(X^T X + ridge I) B = X^T Y`` with X the standardised features (T, F), Y the centred increments.

        Examples
        --------
        With a vanishing penalty a linear law is found exactly:

        >>> x = np.random.default_rng(0).standard_normal((50, 3))
        >>> y = x @ np.array([[1.0], [-2.0], [0.5]]) + 3
        >>> bool(np.allclose(RidgeReadout.fit(x, y, ridge=1e-9)(x), y))
        True
        """
        mean, scale = features.mean(axis=0), features.std(axis=0)
        # A read neuron that never fired in training has no scale; its feature stays at zero.
        scale = np.where(scale > 1e-12, scale, np.inf)
        x = (features - mean) / scale
        intercept = increments.mean(axis=0)
        gram = x.T @ x + ridge * np.eye(x.shape[1])
        return cls(mean, scale, np.linalg.solve(gram, x.T @ (increments - intercept)), intercept)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the increments (..., D) for features (..., F)."""
        return (features - self.mean) / self.scale @ self.weights + self.intercept


@dataclass(frozen=True, repr=False)
class Forecast:
    """Closed-loop forecasts of all windows of a task, and what they cost.

    Attributes
    ----------
    prediction, truth : ndarray, shape (W, horizon, D)
        In the z-scored unit of the task, clipped to twice the range of each dimension in its window's training part.
    nrmse : ndarray, shape (W,)
        Root mean square of NRMSE(t) over the horizon.
    vpt_steps : dict of float to ndarray of int, shape (W,)
        Valid prediction time in steps, for each threshold.
    one_step_nrmse : ndarray, shape (W,)
        Error of the one-step forecast on the training samples (not a test).
    synaptic_operations : int
        Of the recurrent synapses, over all windows, training and forecast.
    mean_rate : float
        In Hz, over neurons and windows.
    readout : ndarray of int, shape (n_read,)
        Neurons that were read.
    seconds : float
        Simulated time of each window.
    """

    prediction: np.ndarray
    truth: np.ndarray
    nrmse: np.ndarray
    vpt_steps: dict[float, np.ndarray]
    one_step_nrmse: np.ndarray
    synaptic_operations: int
    mean_rate: float
    readout: np.ndarray
    seconds: float

    def __repr__(self) -> str:
        return (
            f"Forecast(NRMSE {self.nrmse.mean():.3f}, VPT {self.vpt_steps[0.1].mean():.1f} steps, mean of "
            f"{len(self.nrmse)} windows; {self.synaptic_operations:.3g} synaptic operations)"
        )


def readout_neurons(spec: NetworkSpec, fraction: float = 0.1) -> np.ndarray:
    """Return the `fraction` of neurons of highest betweenness, at least one, sorted (arXiv 2403.03409, section 3)."""
    fraction = checks.probability("fraction", fraction)
    centrality = betweenness_centrality(spec.pre, spec.post, spec.n_neurons)
    count = max(1, round(fraction * spec.n_neurons))
    # Stable: of equals the lower index is read.
    return np.sort(np.argsort(-centrality, kind="stable")[:count])


THRESHOLDS = (0.1, 0.3, 0.5)


def forecast(
    spec: NetworkSpec,
    encoder: Encoder,
    task: ForecastTask,
    *,
    options: ReadoutOptions | None = None,
    rng: np.random.Generator,
    report: Callable[[float], None] | None = None,
) -> Forecast:
    """Train a readout on every window of a task, and let the network forecast the rest of it in closed loop.

    Parameters
    ----------
    spec : NetworkSpec
        The network, without silent neurons (`spec.compacted()`); weights are held fixed.
    encoder : Encoder
        Input of its N neurons.
    task : ForecastTask
        W windows.
    options : ReadoutOptions, optional
        Sample time, filters, readout.
    rng : numpy.random.Generator
        Source of the encoder's randomness.
    report : callable, optional
        Called with the completed fraction after every sample.

    Returns
    -------
    Forecast

    Raises
    ------
    InvalidInput
        If the network has silent neurons, or the sample time is not a whole number of steps.

    Notes
    -----
    Feature k of sample n is the filtered spike train at the end of the sample, beside the sample itself; the readout
    predicts ``z(n+1) - z(n)``. It sees samples `warm_up` .. `train` - 2; the forecast starts from sample `train` - 1.
    """
    options = options or ReadoutOptions()
    if not spec.alive.all():
        raise InvalidInput("the network has silent neurons; forecast with spec.compacted() and encoder.of_neurons(alive)")
    hold = checks.seconds("sample_time", options.sample_time)
    if abs(hold / spec.dt - round(hold / spec.dt)) > 1e-6:
        raise InvalidInput(f"sample_time must be a whole number of steps of {1e3 * spec.dt:g} ms, got {1e3 * hold:g} ms")
    copies = task.n_windows
    live = RecurrentNetwork(spec.replicated(copies), plastic=False, name="lnpbrian_forecast")
    read = readout_neurons(spec, options.fraction)
    traces = _Traces(live, read, options.filters, copies)
    loop = _ClosedLoop(task, options.ridge, traces, report)
    length = (task.train + task.horizon) * hold
    source = encoder.attach(live, copies=copies, duration=length, rng=rng)
    loop.show = source.write
    operation = NetworkOperation(loop.next_sample, dt=hold * second, when="start", name="lnpbrian_forecast_loop")
    spikes = SpikeMonitor(live.neurons, record=False, name="lnpbrian_forecast_spikes")
    live.network.add(*source.objects, *traces.objects, operation, spikes)
    # The last prediction is read at the start of the step after its sample.
    simulated = length - hold + spec.dt
    live.run(simulated * second)
    counts = np.array(spikes.count[:]).reshape(copies, -1).sum(axis=0)
    trace = metrics.nrmse_trace(loop.prediction, task.truth, task.sigma)
    return Forecast(
        prediction=loop.prediction,
        truth=task.truth,
        nrmse=metrics.nrmse(loop.prediction, task.truth, task.sigma),
        vpt_steps={eps: metrics.valid_prediction_time(trace, threshold=eps) for eps in THRESHOLDS},
        one_step_nrmse=loop.one_step_error(),
        synaptic_operations=metrics.synaptic_operations(counts, spec.pre),
        mean_rate=float(counts.mean() / copies / simulated),
        readout=read,
        seconds=simulated,
    )


class _Traces:
    """Exponentially filtered spike trains of the read neurons of every copy."""

    def __init__(
        self, live: RecurrentNetwork, read: np.ndarray, filters: tuple[Quantity, ...], copies: int
    ) -> None:
        n = len(live.neurons) // copies
        names = [f"s{k}" for k in range(len(filters))]
        self.group = NeuronGroup(
            read.size * copies,
            "\n".join(f"d{name}/dt = -{name}/tau_{name} : 1" for name in names),
            method="exact",
            dt=live.dt * second,
            namespace={f"tau_{name}": tau for name, tau in zip(names, filters, strict=True)},
            name=f"{live.neurons.name}_traces",
        )
        self.taps = Synapses(
            live.neurons,
            self.group,
            on_pre="\n".join(f"{name}_post += 1" for name in names),
            dt=live.dt * second,
            name=f"{live.neurons.name}_taps",
        )
        sources = (read + n * np.arange(copies)[:, np.newaxis]).ravel()
        self.taps.connect(i=sources, j=np.arange(sources.size))
        self.objects = (self.group, self.taps)
        self._variables = [self.group.variables[name] for name in names]
        self._copies = copies

    def values(self) -> np.ndarray:
        """Return the features at this moment, shape (copies, n_read * n_filters)."""
        return np.concatenate([v.get_value().reshape(self._copies, -1) for v in self._variables], axis=1)


class _ClosedLoop:
    """What happens at the end of each sample: read the features, choose the next sample, show it."""

    def __init__(
        self, task: ForecastTask, ridge: float, traces: _Traces, report: Callable[[float], None] | None
    ) -> None:
        self.task = task
        self.ridge = ridge
        self.traces = traces
        self.report = report
        self.show: Callable[[np.ndarray], None] | None = None
        self.sample = -1
        self.features: list[np.ndarray] = []
        self.prediction = np.full(task.truth.shape, np.inf)
        self.readouts: list[RidgeReadout] = []
        self.current = task.windows[:, 0]
        # A lost forecast is held near what was seen in training, where its error stays finite and comparable.
        seen = task.windows[:, : task.train]
        low, high = seen.min(axis=1), seen.max(axis=1)
        self.range = (1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low)

    def next_sample(self) -> None:
        task = self.task
        if self.sample >= 0:
            # Features at the end of the sample that was shown, and that sample.
            features = np.concatenate([self.traces.values(), self.current], axis=1)
            self.current = self._following(features)
        self.sample += 1
        if self.sample < task.train + task.horizon and self.show is not None:
            self.show(self.current)
        if self.report is not None:
            self.report(self.sample / (task.train + task.horizon))

    def _following(self, features: np.ndarray) -> np.ndarray:
        task, n = self.task, self.sample
        if n < task.train - 1:
            self.features.append(features)
            return task.windows[:, n + 1]
        if not self.readouts:
            self._fit()
        step = np.stack([readout(f) for readout, f in zip(self.readouts, features, strict=True)])
        forecast = np.clip(self.current + step, *self.range)
        self.prediction[:, n + 1 - task.train] = forecast
        return forecast

    def _fit(self) -> None:
        task = self.task
        x = np.stack(self.features, axis=1)
        y = np.diff(task.windows[:, : task.train], axis=1)
        seen = slice(task.warm_up, task.train - 1)
        self.readouts = [RidgeReadout.fit(a[seen], b[seen], ridge=self.ridge) for a, b in zip(x, y, strict=True)]
        self._trained = x[:, seen], y[:, seen]

    def one_step_error(self) -> np.ndarray:
        """Return the NRMSE of one-step forecasts on the training samples, shape (W,)."""
        x, y = self._trained
        fitted = np.stack([readout(a) for readout, a in zip(self.readouts, x, strict=True)])
        return metrics.nrmse(fitted, y, self.task.sigma)
