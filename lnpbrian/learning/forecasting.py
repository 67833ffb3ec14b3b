"""Forecast a series with a network, in a loop that is closed inside Brian2.

All windows of a task run side by side as copies of one network, each with its own input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.encoding import Encoder, require_fit
from lnpbrian.learning.readout import Readout, ReadoutOptions, fit_readout, readout_neurons
from lnpbrian.learning.tasks import ForecastTask
from lnpbrian.learning.vision.features import ReadNetwork, shown_copies, stretch_features
from lnpbrian.network.spec import NetworkSpec, synaptic_operations
from lnpbrian.parallel import run_parts

__all__ = ["Forecast", "forecast"]

THRESHOLDS = (0.1, 0.3, 0.5)
# Where a task has a validation part, the penalty of a ridge readout is the best of these there.
RIDGES = tuple(10.0**k for k in range(-4, 3))


@dataclass(frozen=True, repr=False)
class Forecast:
    """Closed-loop forecasts of all windows of a task, and what they cost.

    Attributes
    ----------
    prediction, truth : ndarray, shape (W, horizon, D)
        In the z-scored unit of the task. Forecasts, by one step too, are held within twice the range of each dimension
        in what the readout was fitted on.
    nrmse : ndarray, shape (W,)
        Root mean square of NRMSE(t) over the horizon.
    vpt_steps : dict of float to ndarray of int, shape (W,)
        Valid prediction time in steps, for each threshold.
    smape : ndarray, shape (W,)
        Symmetric mean absolute percentage error over the horizon, in the unit of the series.
    one_step_nrmse : ndarray, shape (W,)
        Error over the horizon when every forecast starts from the true sample before it.
    training_nrmse : ndarray, shape (W,)
        One-step error on the samples that the window's readout was fitted on; NaN where all windows share one.
    penalty : float
        Penalty of the readout's weights.
    synaptic_operations : int
        Of the recurrent synapses, over all windows, training and forecast in closed loop.
    readout_operations : int
        Of the readout in the same time: for every spike of a neuron that is read its synapses onto the readout, and for
        every sample the synapses behind a hidden layer.
    mean_rate : float
        In Hz, over neurons and windows.
    readout : ndarray of int, shape (n_read,)
        Neurons that were read.
    seconds : float
        Simulated time of each window.

    Notes
    -----
    NRMSE and valid prediction time are those of arXiv 2403.03409, section 4.1; operations those of its equation (9).
    """

    prediction: np.ndarray
    truth: np.ndarray
    nrmse: np.ndarray
    vpt_steps: dict[float, np.ndarray]
    smape: np.ndarray
    one_step_nrmse: np.ndarray
    training_nrmse: np.ndarray
    penalty: float
    synaptic_operations: int
    readout_operations: int
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
        If the network has silent neurons, the encoder is for other numbers of neurons or dimensions, or the sample time
        is not a whole number of steps.

    Notes
    -----
    A feature is a neuron's filtered spike train at the end of sample n. From the features and the sample itself the
    readout predicts ``z(n+1) - z(n)``. In a task without `fit` a window's own readout is fitted on samples `warm_up` ..
    `train` - 2; the forecast starts from sample `train` - 1 (arXiv 2403.03409, section 4.1).

    Examples
    --------
    Neurons that never fire leave the readout its constant, which is all that a ramp needs:

    >>> from brian2 import ms
    >>> from lnpbrian.learning import CurrentEncoder, Series
    >>> from lnpbrian.learning.tasks import short_protocol
    >>> from lnpbrian.models import uncoupled
    >>> ramp = Series("ramp", np.arange(30.0)[:, np.newaxis], ("height (m)",))
    >>> task = short_protocol(ramp, n_windows=1, train=20, horizon=5, warm_up=2)
    >>> network, encoder = uncoupled([20] * ms, bias=0.0), CurrentEncoder(np.zeros((1, 1)))
    >>> brief, rng = ReadoutOptions(sample_time=10 * ms), np.random.default_rng(0)
    >>> found = forecast(network, encoder, task, options=brief, rng=rng)
    >>> task.in_units(found.prediction).ravel().round(6).tolist()
    [22.0, 23.0, 24.0, 25.0, 26.0]
    >>> found.nrmse.round(6).tolist(), found.synaptic_operations
    ([0.0], 0)
    """
    options = options or ReadoutOptions()
    if not spec.alive.all():
        raise InvalidInput(
            "the network has silent neurons; forecast with spec.compacted() and encoder.of_neurons(alive)"
        )
    checks.generator("rng", rng)
    checks.instance("task", task, ForecastTask, "use forecast_task or short_protocol")
    require_fit(encoder, spec.n_neurons, task.dimensions)
    checks.steps("sample_time", options.sample_time, spec.dt)
    hold = float(options.sample_time)
    read = readout_neurons(spec, options.fraction)
    # Every window and stretch has a stream of its own, so that nothing depends on how they are shared out.
    rngs = rng.spawn(task.n_windows + sum(len(part) for part in (task.fit, task.validation) if part is not None))
    jobs = checks.count("jobs", jobs)
    simulated = ReadNetwork(spec, encoder, options, read)
    learning = 0.0 if task.fit is None else task.fit.size / (task.fit.size + task.windows.size)
    shared, penalty = None, options.ridge if options.kind == "ridge" else options.weight_decay
    if task.fit is not None:
        shared, penalty = _shared_readout(
            simulated, task, rngs[task.n_windows :], jobs=jobs, report=_part(report, 0.0, learning)
        )
    shares = np.array_split(np.arange(task.n_windows), min(jobs, task.n_windows))
    parts = [
        (simulated, replace(task, windows=task.windows[share]), shared, [rngs[w] for w in share]) for share in shares
    ]
    blocks = run_parts(_forecast_windows, parts, jobs=jobs, report=_part(report, learning, 1.0))
    prediction = np.concatenate([block.prediction for block in blocks])
    one_step = np.concatenate([block.one_step for block in blocks])
    counts = np.sum([block.counts for block in blocks], axis=0)
    seconds = blocks[0].seconds
    samples = task.n_windows * round(seconds / hold)
    behind = options.synapses(0, task.dimensions)
    return Forecast(
        prediction=prediction,
        truth=task.truth,
        nrmse=task.nrmse(prediction),
        vpt_steps={eps: task.valid_prediction_time(prediction, threshold=eps) for eps in THRESHOLDS},
        smape=task.smape(prediction),
        one_step_nrmse=task.nrmse(one_step),
        training_nrmse=np.concatenate([block.training_nrmse for block in blocks]),
        penalty=penalty,
        synaptic_operations=int(synaptic_operations(counts, spec.pre)),
        readout_operations=int(counts[read].sum()) * options.fan_out(task.dimensions) + samples * behind,
        mean_rate=float(counts.mean() / task.n_windows / seconds),
        readout=read,
        seconds=seconds,
    )


def _part(report: Callable[[float], None] | None, begin: float, end: float) -> Callable[[float], None] | None:
    return None if report is None else lambda fraction: report(begin + fraction * (end - begin))


def _shared_readout(
    network: ReadNetwork,
    task: ForecastTask,
    rngs: list[np.random.Generator],
    *,
    jobs: int,
    report: Callable[[float], None] | None,
) -> tuple[Readout, float]:
    """Fit one readout on the stretches of a task, and return it with its penalty."""
    assert task.fit is not None
    options = network.options
    # Only a ridge readout has a penalty that is chosen.
    validation = task.validation if options.kind == "ridge" else None
    stretches = task.fit if validation is None else [*task.fit, *validation]
    shares = np.array_split(np.arange(len(stretches)), min(jobs, len(stretches)))
    parts = [(network, [stretches[k] for k in share], [rngs[k] for k in share]) for share in shares]
    features = [x for block in run_parts(stretch_features, parts, jobs=jobs, report=report) for x in block]

    def gathered(first: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        chosen = range(first, first + count)
        x = np.concatenate([features[k][task.warm_up :] for k in chosen])
        z = np.concatenate([stretches[k][task.warm_up : -1] for k in chosen])
        return x, z, np.concatenate([np.diff(stretches[k], axis=0)[task.warm_up :] for k in chosen])

    known = gathered(0, len(task.fit))
    if validation is None:
        return fit_readout(*known, options=options), options.ridge if options.kind == "ridge" else options.weight_decay
    x, z, increments = gathered(len(task.fit), len(validation))
    found = []
    for ridge in RIDGES:
        readout = fit_readout(*known, options=replace(options, ridge=ridge))
        error = ((readout(x, z) - increments) / task.sigma)[:, task.judged]
        found.append((float(np.mean(error**2)), ridge, readout))
    _, ridge, readout = min(found, key=lambda entry: entry[0])
    return readout, ridge


@dataclass(frozen=True)
class _Block:
    """What some of the windows gave, with the spike counts (N,) summed over them."""

    prediction: np.ndarray
    one_step: np.ndarray
    training_nrmse: np.ndarray
    counts: np.ndarray
    seconds: float


def _forecast_windows(
    network: ReadNetwork,
    task: ForecastTask,
    shared: Readout | None,
    rngs: list[np.random.Generator],
    *,
    report: Callable[[float], None],
) -> _Block:
    """Run all windows of `task` side by side."""
    samples = task.train + task.horizon - 1
    shown = shown_copies(network, rngs, samples)
    total, done = samples + task.horizon - 1, 0

    def tell() -> None:
        nonlocal done
        done += 1
        report(min(done / total, 1.0))

    features: list[np.ndarray] = []

    def known(found: np.ndarray) -> np.ndarray:
        features.append(found)
        tell()
        return task.windows[:, len(features)]

    features.append(shown.run(task.windows[:, 0], task.train, known))
    readouts, training = _fit(np.stack(features, axis=1), task, network.options, shared)
    # A lost forecast is held near what was seen in training, where its error stays finite and comparable.
    seen = task.windows[:, : task.train] if task.fit is None else np.concatenate(task.fit)[np.newaxis]
    low, high = seen.min(axis=1), seen.max(axis=1)
    bounds = (1.5 * low - 0.5 * high, 1.5 * high - 0.5 * low)

    def predict(found: np.ndarray, current: np.ndarray) -> np.ndarray:
        increments = [r(x, z) for r, x, z in zip(readouts, found, current, strict=True)]
        return np.clip(current + increments, *bounds)

    first = predict(features[-1], task.windows[:, task.train - 1])
    prediction, one_step = [first], [first]

    def fed_back(found: np.ndarray) -> np.ndarray:
        prediction.append(predict(found, prediction[-1]))
        tell()
        return prediction[-1]

    def shown_truth(found: np.ndarray) -> np.ndarray:
        one_step.append(predict(found, task.truth[:, len(one_step) - 1]))
        tell()
        return task.truth[:, len(one_step) - 1]

    shown.store()
    if task.horizon > 1:
        fed_back(shown.run(first, task.horizon - 1, fed_back))
    counts = shown.counts()
    if task.horizon > 1:
        shown.restore()
        shown_truth(shown.run(task.truth[:, 0], task.horizon - 1, shown_truth))
    return _Block(np.stack(prediction, axis=1), np.stack(one_step, axis=1), training, counts, samples * shown.hold)


def _fit(
    features: np.ndarray, task: ForecastTask, options: ReadoutOptions, shared: Readout | None
) -> tuple[list[Readout], np.ndarray]:
    """Return a readout for every window, and its error on what it was fitted on; features (W, train, F)."""
    if shared is not None:
        return [shared] * task.n_windows, np.full(task.n_windows, np.nan)
    seen = slice(task.warm_up, task.train - 1)
    readouts, errors = [], []
    for x, window in zip(features, task.windows, strict=True):
        current, increments = window[seen], np.diff(window[: task.train], axis=0)[seen]
        readouts.append(fit_readout(x[seen], current, increments, options=options))
        errors.append(task.nrmse(readouts[-1](x[seen], current), increments))
    return readouts, np.array(errors)
