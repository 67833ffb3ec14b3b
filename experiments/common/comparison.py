"""Units of work of the comparisons: prune a network, train it, forecast with it; each a function of plain options.

`lnpbrian.sweep` runs them in any order on any machine: a unit gets its options and the results of the units it needs.
`lnpbrian.experiments.common.plan` makes the tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from brian2 import ms, second

from lnpbrian import checks, models
from lnpbrian.checks import InvalidInput
from lnpbrian.experiments.common.plan import TRAININGS, Report, network_at, readout_options
from lnpbrian.learning import (
    BPOptions,
    CurrentEncoder,
    ForecastTask,
    autoregression,
    forecast,
    forecast_task,
    next_generation_reservoir,
    train_bp,
    train_stdp,
)
from lnpbrian.models import LIFParameters
from lnpbrian.network import Drive, NetworkSpec, RecurrentNetwork, noise_drive, observe, synaptic_operations
from lnpbrian.pruning import (
    NoisePruning,
    Progress,
    PruneOptions,
    activity_pruning,
    iterative_magnitude_pruning,
    magnitude_pruning,
    prune,
    random_network,
)
from lnpbrian.streams import Streams
from lnpbrian.sweep import Result

__all__ = ["FORECASTERS", "without_network"]

# Without a network.
FORECASTERS: dict[str, Callable[[ForecastTask], np.ndarray]] = {
    "autoregression, 1 lag": partial(autoregression, lags=1),
    "autoregression, 10 lags": partial(autoregression, lags=10),
    "next-generation reservoir": next_generation_reservoir,
}
# Largest weight of the input, per standard deviation of the series.
INPUT = 0.5
# Samples on which pruning and training in turns trains in an iteration.
RETRAINING = 60


# ------------------------------------------------------------------------------------------------------------ the units


def pruned(options: Mapping[str, Any], *needs: Result, report: Report) -> Result:
    """Build a network, and prune it by a method that looks at no series.

    The random control is that of arXiv 2403.03409, section 4.1 and figure 3(c).
    """
    seed, method = options["seed"], options["method"]
    report(0.0, "building")
    model = _model(options)
    spec, history = model.spec, []
    if method in ("LNP", "noise without Lyapunov"):
        # Moore and Chaudhuri (2020): weights in place of Lyapunov exponents in step I.
        steps = None if method == "LNP" else (NoisePruning(edge_strength="weight"), "II", "III", "IV")

        def told(now: Progress) -> None:
            report(now.fraction, _step(now))

        result = prune(model, steps, options=_pruning(options), seed=seed, report=told)
        spec, history = model.spec, [_short(record) for record in result.history]
    elif method in ("random", "magnitude", "uncoupled"):
        like = NetworkSpec.from_arrays(needs[0].arrays)
        if method == "random":
            spec = _random_like(like, spec, seed)
        elif method == "magnitude":
            rates = _noise_rates(spec, seed)
            spec = magnitude_pruning(spec, n_neurons=like.n_alive, n_synapses=like.n_synapses, rates=rates)
        else:
            spec = like.uncoupled(_noise_rates(like, seed))
    elif method != "unpruned":
        raise InvalidInput(f"unknown method {method!r}")
    return Result({**_sizes(spec), "history": history}, spec.to_arrays())


def trained(options: Mapping[str, Any], network: Result, *, report: Report) -> Result:
    """Train a network on the samples before the first window.

    By STDP (Song et al. 2000, doi:10.1038/78829) or surrogate gradients (Neftci et al. 2019,
    doi:10.1109/MSP.2019.2931595).
    """
    spec = NetworkSpec.from_arrays(network.arrays)
    task, encoder = _task(options), _encoder(options, spec.n_neurons)
    spec, record = _train(spec, encoder, _phase(options, task), options, report=report)
    return Result(record | _operations(spec, encoder, task, options), spec.to_arrays())


def activity_pruned(options: Mapping[str, Any], network: Result, goal: Result, *, report: Report) -> Result:
    """Remove the least active neurons and train what is left, until it has the operations of another network.

    Algorithm 4 of arXiv 2403.03409, down to a number of operations.
    """
    spec = NetworkSpec.from_arrays(network.arrays)
    task, encoder = _task(options), _encoder(options, spec.n_neurons)
    phase = _phase(options, task)
    target = goal.record["operations_per_s"]
    retrain = _in_turns(encoder, phase, options, report)

    def rates(now: NetworkSpec) -> np.ndarray:
        return _rates(now, encoder, task, options)

    result = activity_pruning(
        spec,
        operations=target,
        prune_rate=options["prune_rate"],
        activity=rates,
        retrain=retrain,
    )
    spec, record = _train(result.spec, encoder, phase, options, report=report)
    return Result(
        record | {"iterations": len(result.history)} | _operations(spec, encoder, task, options), spec.to_arrays()
    )


def magnitude_pruned(options: Mapping[str, Any], network: Result, like: Result, *, report: Report) -> Result:
    """Remove the smallest weights and train what is left, in turns, until it has the synapses of another network.

    In turns as in Han et al. (2015), arXiv 1506.02626.
    """
    spec = NetworkSpec.from_arrays(network.arrays)
    task, encoder = _task(options), _encoder(options, spec.n_neurons)
    phase = _phase(options, task)
    spec = iterative_magnitude_pruning(
        spec,
        n_synapses=like.record["synapses"],
        retrain=_in_turns(encoder, phase, options, report),
        iterations=options["iterations"],
        activity=lambda now: _rates(now, encoder, task, options),
    )
    spec, record = _train(spec, encoder, phase, options, report=report)
    return Result(record | _operations(spec, encoder, task, options), spec.to_arrays())


def path(options: Mapping[str, Any], *needs: Result, report: Report) -> Result:
    """Prune in many iterations, and keep the networks at some of them.

    Figure 3 of arXiv 2403.03409.
    """
    kept: dict[str, np.ndarray] = {}
    steps: dict[int, dict[str, int]] = {}

    def note(k: int, spec: NetworkSpec) -> None:
        steps[k] = _sizes(spec)
        report(k / options["iterations"], f"iteration {k}, {spec.n_alive} neurons")
        if k in options["stops"]:
            kept.update({f"{k} {name}": array for name, array in spec.to_arrays().items()})

    model = _model(options)
    if options["method"] == "LNP":

        def before(now: Progress) -> None:
            # Reports come before every step of an iteration, and before the first one.
            if now.iteration >= 1 and now.iteration - 1 not in steps:
                note(now.iteration - 1, model.spec)

        prune(model, options=_pruning(options), seed=options["seed"], report=before)
        last = model.spec
    else:
        (like,) = needs
        last = _activity_path(model.spec, network_at(like, options["stops"][-1]), options, each=note)
    # Pruning that ended early stays where it ended.
    for k in range(len(steps), options["iterations"] + 1):
        note(k, last)
    return Result({"path": [steps[k] for k in sorted(steps)]}, kept)


def _activity_path(
    spec: NetworkSpec, like: NetworkSpec, options: Mapping[str, Any], *, each: Callable[[int, NetworkSpec], None]
) -> NetworkSpec:
    """Remove the least active neurons, down to the operations of another network in as many iterations."""
    task, encoder = _task(options), _encoder(options, spec.n_neurons)
    at_first, wanted = (_operations(s, encoder, task, options)["operations_per_s"] for s in (spec, like))
    return activity_pruning(
        spec,
        activity=lambda now: _rates(now, encoder, task, options),
        retrain=_in_turns(encoder, _phase(options, task), options, _silent),
        # Operations fall with the square of the neurons.
        prune_rate=1 - (wanted / at_first) ** (0.5 / options["iterations"]),
        iterations=options["iterations"],
        each=each,
    ).spec


def forecasted_on_path(options: Mapping[str, Any], *needs: Result, report: Report) -> Result:
    """Train and forecast with a network at a stop of a path, or with a random one of its size.

    Random networks of the size that pruning has come to: figure 3(c) of arXiv 2403.03409.
    """
    spec = network_at(needs[0], options["stop"])
    if options["method"] == "random":
        full = NetworkSpec.from_arrays(needs[1].arrays)
        spec = _random_like(spec, full, options["seed"])
    result = trained(options, Result({}, spec.to_arrays()), report=report)
    return forecasted(options, result, report=report)


def forecasted(options: Mapping[str, Any], network: Result, *, report: Report) -> Result:
    """Forecast the windows of a series.

    Protocol and measures of arXiv 2403.03409, section 4.1.
    """
    spec = NetworkSpec.from_arrays(network.arrays)
    task, encoder = _task(options), _encoder(options, spec.n_neurons)
    streams = Streams(options["seed"]).child("comparison")
    if options.get("snr_db") is not None:
        task = task.with_noise(options["snr_db"], streams.rng("noise of the input"))
    result = forecast(
        spec.compacted(),
        encoder.of_neurons(spec.alive),
        task,
        options=readout_options(options),
        rng=streams.rng("input"),
        report=lambda fraction: report(fraction, "forecasting"),
    )
    kept = ("rate_first_hz", "rate_last_hz", "weight_change", "history", "iterations", "losses")
    return Result(
        {
            **_sizes(spec),
            "readout_neurons": int(result.readout.size),
            "synaptic_operations": result.synaptic_operations / task.n_windows,
            "readout_operations": result.readout_operations / task.n_windows,
            "readout_synapses": readout_options(options).synapses(result.readout.size, task.dimensions),
            "task_rate_hz": result.mean_rate,
            "nrmse": result.nrmse.tolist(),
            "one_step_nrmse": result.one_step_nrmse.tolist(),
            "vpt_steps": {f"{eps:g}": steps.tolist() for eps, steps in result.vpt_steps.items()},
            "learning": {name: network.record[name] for name in kept if name in network.record},
        }
    )


def without_network(name: str, task: ForecastTask) -> tuple[np.ndarray, np.ndarray]:
    """Return NRMSE and valid prediction time of one of `FORECASTERS`, for each window.

    The reservoir among them is that of Gauthier et al. 2021, doi:10.1038/s41467-021-25801-2.
    """
    prediction = FORECASTERS[name](task)
    return task.nrmse(prediction), task.valid_prediction_time(prediction)


# ---------------------------------------------------------------------------------------------------------- their parts


def _model(options: Mapping[str, Any]) -> RecurrentNetwork:
    parameters = replace(LIFParameters.recurrent(), dt=options["step_ms"] * ms)
    return getattr(models, options["model"])(
        options["neurons"],
        options["connection_probability"],
        parameters=parameters,
        plastic=True,
        seed=options["seed"],
    )


def _pruning(options: Mapping[str, Any]) -> PruneOptions:
    return PruneOptions(
        options["synapse_sparsity"], options["neuron_sparsity"], options["iterations"], on_unstable="keep"
    )


def _noise_rates(spec: NetworkSpec, seed: int) -> np.ndarray:
    """Return the rates under noise, with which pruning makes up for lost input."""
    rng = Streams(seed).child("comparison").rng("noise")
    drive = noise_drive(spec.n_neurons, duration=1 * second, rng=rng)
    return observe(RecurrentNetwork(spec, plastic=False), 1 * second, drive=drive).rates


def _random_like(like: NetworkSpec, full: NetworkSpec, seed: int) -> NetworkSpec:
    rng = Streams(seed).child("comparison").rng("random network")
    rates = _noise_rates(full, seed)
    return random_network(full, n_neurons=like.n_alive, n_synapses=like.n_synapses, rng=rng, rates=rates)


def _train(
    spec: NetworkSpec, encoder: CurrentEncoder, phase: np.ndarray, options: Mapping[str, Any], *, report: Report
) -> tuple[NetworkSpec, dict[str, Any]]:
    training = checks.choice("training", options["training"], (*TRAININGS, "none"))
    streams = Streams(options["seed"]).child("comparison").child("training")
    if training == "none" or spec.n_synapses == 0:
        return spec, {}
    if training == "STDP":
        learnt = train_stdp(
            spec,
            encoder,
            phase,
            sample_time=options["sample_ms"] * ms,
            rng=streams.rng("input"),
            report=lambda fraction: report(fraction, "STDP"),
        )
        return learnt.spec, {
            "rate_first_hz": learnt.rate_first,
            "rate_last_hz": learnt.rate_last,
            "weight_change": learnt.mean_change,
        }
    inner = spec.compacted()
    result = train_bp(
        inner,
        encoder.of_neurons(spec.alive),
        phase,
        options=_bp_options(options, len(phase)),
        readout=readout_options(options),
        rng=streams.rng("BP"),
        report=lambda fraction: report(fraction, "BP"),
    )
    change = np.abs(result.spec.weights - inner.weights).mean() / np.abs(inner.weights).mean()
    # Silent neurons have no synapses, so the order of the synapses is that of the compacted network.
    return replace(spec, weights=result.spec.weights), {
        "losses": [float(loss) for loss in result.losses],
        "weight_change": float(change),
    }


def _in_turns(
    encoder: CurrentEncoder, phase: np.ndarray, options: Mapping[str, Any], report: Report
) -> Callable[[NetworkSpec], NetworkSpec]:
    """Return what trains a network between two steps of pruning, every time on the next stretch of the phase."""
    stretches = np.array_split(phase, max(1, len(phase) // RETRAINING))
    done = 0

    def retrain(spec: NetworkSpec) -> NetworkSpec:
        nonlocal done
        done += 1
        report(min(done / 10, 0.9), f"{spec.n_alive} neurons, {spec.n_synapses} synapses")
        stretch = stretches[(done - 1) % len(stretches)]
        return _train(spec, encoder, stretch, options, report=_silent)[0]

    return retrain


def _silent(fraction: float, what: str) -> None:
    """Tell nobody."""


def _bp_options(options: Mapping[str, Any], samples: int) -> BPOptions:
    """Return the options of BP, with as many stretches as the samples allow, each of at least four truncations."""
    default = BPOptions(epochs=options["epochs"])
    fitting = (samples - 1 - default.warm_up) // (4 * default.truncation)
    return replace(default, batch=min(max(fitting, 1), default.batch))


def _task(options: Mapping[str, Any]) -> ForecastTask:
    return forecast_task(options["series"], data=options["data"], n_windows=options.get("windows", 1))


def _phase(options: Mapping[str, Any], task: ForecastTask) -> np.ndarray:
    assert task.phase is not None
    return task.phase[: options["phase"]]


def _encoder(options: Mapping[str, Any], neurons: int) -> CurrentEncoder:
    rng = Streams(options["seed"]).child("encoder").rng("current")
    return CurrentEncoder.draw(neurons, _task(options).dimensions, scale=INPUT, rng=rng)


def _rates(spec: NetworkSpec, encoder: CurrentEncoder, task: ForecastTask, options: Mapping[str, Any]) -> np.ndarray:
    """Return the rates of the neurons while the first samples of the phase are shown."""
    phase = _phase(options, task)[:100]
    drive = Drive(phase @ encoder.weights.T, options["sample_ms"] * 1e-3)
    return observe(RecurrentNetwork(spec, plastic=False), drive.duration * second, drive=drive).rates


def _operations(
    spec: NetworkSpec, encoder: CurrentEncoder, task: ForecastTask, options: Mapping[str, Any]
) -> dict[str, float]:
    """Return how many synaptic operations a second the network makes while samples are shown."""
    rates = _rates(spec, encoder, task, options)
    return {"operations_per_s": synaptic_operations(rates, spec.pre), **_sizes(spec)}


def _sizes(spec: NetworkSpec) -> dict[str, int]:
    return {"neurons": spec.n_alive, "synapses": spec.n_synapses}


def _step(now: Progress) -> str:
    return f"iteration {now.iteration} of {now.iterations}"


def _short(record: Any) -> dict[str, Any]:
    names = ("iteration", "neurons", "synapses", "mean_rate_hz", "largest_exponent_per_s", "time_constant_mean_ms")
    return {name: getattr(record, name) for name in names}
