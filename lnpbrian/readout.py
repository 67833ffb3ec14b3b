"""Forecast a series with a network: filtered spike trains, a ridge readout, and the loop closed inside Brian2.

All windows of a task run side by side as copies of one network, each with its own input and its own readout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from brian2 import NetworkOperation, NeuronGroup, Quantity, Synapses, ms, second

from lnpbrian import checks, metrics
from lnpbrian.betweenness import betweenness_centrality
from lnpbrian.checks import InvalidInput
from lnpbrian.encoding import Encoder
from lnpbrian.network import NetworkSpec, RecurrentNetwork
from lnpbrian.parallel import run_parts
from lnpbrian.simulate import spike_counter
from lnpbrian.tasks import ForecastTask

__all__ = ["Forecast", "ReadoutOptions", "RidgeReadout", "forecast", "readout_neurons"]


# In closed loop a standardised feature is held within this many standard deviations of its training values.
FEATURE_LIMIT = 5.0
THRESHOLDS = (0.1, 0.3, 0.5)


@dataclass(frozen=True)
class ReadoutOptions:
    """How spikes become a forecast.

    Parameters
    ----------
    sample_time : Quantity
        How long each sample is shown.
    filter_time : Quantity
        Time constant tau of the filter of the spike trains.
    order : int
        Number n of exponential filters in a row: a spike of age u adds ``(u/tau)^(n-1)/(n-1)! exp(-u/tau)`` to its
        neuron's feature. One is the plain exponential filter; more of them hide the phase of single spikes.
    fraction : float
        Fraction of the surviving neurons that is read, in (0, 1].
    ridge : float
        Penalty of the squared weights of the standardised features, above 0; the current sample is not penalised.

    Raises
    ------
    InvalidInput
        If a value is out of range or has the wrong unit.
    """

    sample_time: Quantity = field(default_factory=lambda: 100 * ms)
    filter_time: Quantity = field(default_factory=lambda: 25 * ms)
    order: int = 5
    fraction: float = 0.1
    ridge: float = 0.01

    def __post_init__(self) -> None:
        checks.seconds("sample_time", self.sample_time)
        checks.seconds("filter_time", self.filter_time)
        checks.count("order", self.order)
        checks.probability("fraction", self.fraction)
        checks.real("ridge", self.ridge, above=0)


@dataclass(frozen=True, repr=False)
class RidgeReadout:
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
    """

    mean: np.ndarray
    scale: np.ndarray
    feature_weights: np.ndarray
    current_weights: np.ndarray
    intercept: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, current: np.ndarray, increments: np.ndarray, *, ridge: float) -> RidgeReadout:
        """Minimise ``|Y - X B - Z C - c|^2 + ridge |B|^2`` over B, C and c.

        X are the standardised features (T, F), Z the current samples (T, D) and Y their increments (T, D).

        Examples
        --------
        With a vanishing penalty a linear law is found exactly:

        >>> rng = np.random.default_rng(0)
        >>> x, z = rng.standard_normal((50, 3)), rng.standard_normal((50, 1))
        >>> y = x @ np.array([[1.0], [-2.0], [0.5]]) - z + 3
        >>> bool(np.allclose(RidgeReadout.fit(x, z, y, ridge=1e-9)(x, z), y))
        True
        """
        mean, scale = features.mean(axis=0), features.std(axis=0)
        # A read neuron that never fired in training has no scale; its feature stays at zero.
        scale = np.where(scale > 1e-12, scale, np.inf)
        centre = current.mean(axis=0)
        x = np.concatenate([(features - mean) / scale, current - centre], axis=1)
        y = increments - increments.mean(axis=0)
        n_features = features.shape[1]
        # A trace of penalty keeps the system regular when the current sample is a combination of itself and features.
        penalty = np.where(np.arange(x.shape[1]) < n_features, ridge, 1e-6)
        weights = np.linalg.solve(x.T @ x + np.diag(penalty), x.T @ y)
        b, c = weights[:n_features], weights[n_features:]
        return cls(mean, scale, b, c, increments.mean(axis=0) - centre @ c)

    def __call__(self, features: np.ndarray, current: np.ndarray) -> np.ndarray:
        """Return the increments (..., D) for features (..., F) and current samples (..., D)."""
        x = np.clip((features - self.mean) / self.scale, -FEATURE_LIMIT, FEATURE_LIMIT)
        return x @ self.feature_weights + current @ self.current_weights + self.intercept


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

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the forecast as named arrays, for a file."""
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.name != "vpt_steps"}
        return arrays | {f"vpt_{eps:g}": steps for eps, steps in self.vpt_steps.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Forecast:
        """Return the forecast that `to_arrays` was made of."""
        values: dict[str, Any] = {name: value.item() if value.ndim == 0 else value for name, value in arrays.items()}
        vpt = {float(name.removeprefix("vpt_")): values.pop(name) for name in list(values) if name.startswith("vpt_")}
        return cls(**values, vpt_steps=vpt)


def readout_neurons(spec: NetworkSpec, fraction: float = 0.1) -> np.ndarray:
    """Return the `fraction` of neurons of highest betweenness, at least one, sorted (arXiv 2403.03409, section 3)."""
    fraction = checks.probability("fraction", fraction)
    centrality = betweenness_centrality(spec.pre, spec.post, spec.n_neurons)
    count = max(1, round(fraction * spec.n_neurons))
    # Stable: of equals the lower index is read.
    return np.sort(np.argsort(-centrality, kind="stable")[:count])


def forecast(
    spec: NetworkSpec,
    encoder: Encoder,
    task: ForecastTask,
    *,
    options: ReadoutOptions | None = None,
    rng: np.random.Generator,
    jobs: int = 1,
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
    jobs : int
        Number of processes that share the windows; the result does not depend on it. More than one needs the guard
        ``if __name__ == "__main__":`` in a script.
    report : callable, optional
        Called with the completed fraction as the samples go by.

    Returns
    -------
    Forecast

    Raises
    ------
    InvalidInput
        If the network has silent neurons, or the sample time is not a whole number of steps.

    Notes
    -----
    A feature is a neuron's filtered spike train at the end of sample n. From the features and the sample itself the
    readout predicts ``z(n+1) - z(n)``. It is fitted on samples `warm_up` .. `train` - 2; the forecast starts from
    sample `train` - 1.
    """
    options = options or ReadoutOptions()
    if not spec.alive.all():
        raise InvalidInput(
            "the network has silent neurons; forecast with spec.compacted() and encoder.of_neurons(alive)"
        )
    hold = checks.seconds("sample_time", options.sample_time)
    if abs(hold / spec.dt - round(hold / spec.dt)) > 1e-6:
        raise InvalidInput(
            f"sample_time must be a whole number of steps of {1e3 * spec.dt:g} ms, got {1e3 * hold:g} ms"
        )
    read = readout_neurons(spec, options.fraction)
    # Every window has a stream of its own, so that the result does not depend on how the windows are shared out.
    rngs = rng.spawn(task.n_windows)
    shares = np.array_split(np.arange(task.n_windows), min(checks.count("jobs", jobs), task.n_windows))
    parts = [
        (spec, encoder, replace(task, windows=task.windows[share]), options, read, [rngs[w] for w in share])
        for share in shares
    ]
    blocks = run_parts(_forecast_windows, parts, jobs=jobs, report=report)
    prediction = np.concatenate([block.prediction for block in blocks])
    trace = metrics.nrmse_trace(prediction, task.truth, task.sigma)
    counts = np.sum([block.counts for block in blocks], axis=0)
    return Forecast(
        prediction=prediction,
        truth=task.truth,
        nrmse=metrics.nrmse(prediction, task.truth, task.sigma),
        vpt_steps={eps: metrics.valid_prediction_time(trace, threshold=eps) for eps in THRESHOLDS},
        one_step_nrmse=np.concatenate([block.one_step_nrmse for block in blocks]),
        synaptic_operations=metrics.synaptic_operations(counts, spec.pre),
        mean_rate=float(counts.mean() / task.n_windows / blocks[0].seconds),
        readout=read,
        seconds=blocks[0].seconds,
    )


@dataclass(frozen=True)
class _Block:
    """What some of the windows gave, with the spike counts (N,) summed over them."""

    prediction: np.ndarray
    one_step_nrmse: np.ndarray
    counts: np.ndarray
    seconds: float


def _forecast_windows(
    spec: NetworkSpec,
    encoder: Encoder,
    task: ForecastTask,
    options: ReadoutOptions,
    read: np.ndarray,
    rngs: list[np.random.Generator],
    *,
    report: Callable[[float], None],
) -> _Block:
    """Run all windows of `task` side by side."""
    hold, copies = float(options.sample_time), task.n_windows
    live = RecurrentNetwork(spec.replicated(copies), plastic=False)
    traces = _Traces(live, read, options, copies)
    source = encoder.attach(live, rngs=rngs, duration=(task.train + task.horizon) * hold)
    loop = _ClosedLoop(task, options.ridge, traces, source.write, report)
    operation = NetworkOperation(loop.next_sample, dt=hold * second, when="start", name="lnpbrian_forecast_loop")
    spikes = spike_counter(live.neurons)
    live.network.add(*source.objects, *traces.objects, operation, spikes)
    # The last prediction is read at the start of the step after its sample.
    simulated = (task.train + task.horizon - 1) * hold + spec.dt
    live.run(simulated * second)
    counts = np.array(spikes.count[:]).reshape(copies, -1).sum(axis=0)
    return _Block(loop.prediction, loop.one_step_nrmse, counts, simulated)


class _Traces:
    """Filtered spike trains of the read neurons of every copy, worked out spike by spike.

    With x = u/tau and u the time from a spike to the end of the sample, moment k gathers ``x^k/k! exp(-x)``; between
    the ends of two samples the moments follow from each other in closed form.
    """

    def __init__(self, live: RecurrentNetwork, read: np.ndarray, options: ReadoutOptions, copies: int) -> None:
        n = len(live.neurons) // copies
        self.tau, self.order, self.hold = float(options.filter_time), options.order, float(options.sample_time)
        names = [f"s{k}" for k in range(self.order)]
        since = "" if "overshoot" not in live.neurons.variables else " + overshoot_pre"
        on_pre = [f"x_ = (sample_end - t - dt{since})/tau_filter", "decayed_ = exp(-x_)"]
        on_pre += [f"{name}_post += x_**{k}*decayed_/{math.factorial(k)}" for k, name in enumerate(names)]
        self.group = NeuronGroup(
            read.size * copies,
            "\n".join(f"{name} : 1" for name in names),
            dt=live.dt * second,
            name=f"{live.neurons.name}_traces",
        )
        self.taps = Synapses(
            live.neurons,
            self.group,
            "sample_end : second (shared)",
            on_pre="\n".join(on_pre),
            dt=live.dt * second,
            namespace={"tau_filter": options.filter_time},
            name=f"{live.neurons.name}_taps",
        )
        sources = (read + n * np.arange(copies)[:, np.newaxis]).ravel()
        self.taps.connect(i=sources, j=np.arange(sources.size))
        self.taps.sample_end = self.hold * second
        self.objects = (self.group, self.taps)
        self._moments = [self.group.variables[name] for name in names]
        self._copies = copies

    def next_sample(self) -> np.ndarray:
        """Return the features at the end of the sample, shape (copies, n_read), and turn to the next one."""
        moments = [variable.get_value() for variable in self._moments]
        features = moments[-1].reshape(self._copies, -1).copy()
        x = self.hold / self.tau
        shift = [np.exp(-x) * x**k / math.factorial(k) for k in range(self.order)]
        for k in reversed(range(self.order)):
            moments[k][:] = sum(shift[k - j] * moments[j] for j in range(k + 1))
        self.taps.sample_end = self.taps.sample_end + self.hold * second
        return features


class _ClosedLoop:
    """What happens at the end of each sample: read the features, choose the next sample, show it."""

    def __init__(
        self,
        task: ForecastTask,
        ridge: float,
        traces: _Traces,
        show: Callable[[np.ndarray], None],
        report: Callable[[float], None],
    ) -> None:
        self.task = task
        self.ridge = ridge
        self.traces = traces
        self.show = show
        self.report = report
        self.sample = -1
        self.features: list[np.ndarray] = []
        self.prediction = np.full(task.truth.shape, np.inf)
        self.readouts: list[RidgeReadout] = []
        self.one_step_nrmse = np.full(task.n_windows, np.nan)
        self.current = task.windows[:, 0]
        # A lost forecast is held near what was seen in training, where its error stays finite and comparable.
        seen = task.windows[:, : task.train]
        low, high = seen.min(axis=1), seen.max(axis=1)
        self.range = (1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low)

    def next_sample(self) -> None:
        task = self.task
        if self.sample >= 0:
            self.current = self._following(self.traces.next_sample())
        self.sample += 1
        self.show(self.current)
        self.report(self.sample / (task.train + task.horizon - 1))

    def _following(self, features: np.ndarray) -> np.ndarray:
        task, n = self.task, self.sample
        if n < task.train - 1:
            self.features.append(features)
            return task.windows[:, n + 1]
        if not self.readouts:
            self._fit()
        increments = [r(x, z) for r, x, z in zip(self.readouts, features, self.current, strict=True)]
        forecast = np.clip(self.current + increments, *self.range)
        self.prediction[:, n + 1 - task.train] = forecast
        return forecast

    def _fit(self) -> None:
        """Fit a readout for every window."""
        task = self.task
        seen = slice(task.warm_up, task.train - 1)
        for w, (x, window) in enumerate(zip(np.stack(self.features, axis=1), task.windows, strict=True)):
            current, increments = window[seen], np.diff(window[: task.train], axis=0)[seen]
            readout = RidgeReadout.fit(x[seen], current, increments, ridge=self.ridge)
            self.readouts.append(readout)
            self.one_step_nrmse[w] = metrics.nrmse(readout(x[seen], current), increments, task.sigma)
