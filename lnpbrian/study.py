"""The main job from end to end: forecast with a network, prune it, forecast again, and write down what changed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from brian2 import ms

from lnpbrian.learning.encoding import Encoder
from lnpbrian.learning.forecasting import Forecast, forecast
from lnpbrian.learning.readout import ReadoutOptions
from lnpbrian.learning.tasks import ForecastTask
from lnpbrian.locks import lock_folder
from lnpbrian.network.drive import Drive, noise_drive
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.simulate import observe
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.network.spikes import SpikeTrain
from lnpbrian.pruning.checkpoint import CheckpointFolder, fingerprint
from lnpbrian.pruning.history import Progress, PruneResult
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import Step
from lnpbrian.records import plain, versions, write_json
from lnpbrian.streams import Streams

__all__ = ["Study", "prune_and_forecast"]

# Called with the stage, the completed fraction of it, and what it is doing.
Report = Callable[[str, float, str], None]

STAGES = ("forecast before", "prune", "forecast after")


@dataclass(frozen=True, repr=False)
class Study:
    """A network before and after pruning, with its forecasts.

    Attributes
    ----------
    before, after : NetworkSpec
        The network as it was built, and as it was left, silent neurons included.
    forecast_before, forecast_after : Forecast
    raster_before, raster_after : SpikeTrain
        Half a second under the noise drive.
    pruning : PruneResult
    task : ForecastTask
    readout : ReadoutOptions
    seed : int
    seconds : dict of str to float
        Wall-clock time of each stage.
    """

    before: NetworkSpec
    after: NetworkSpec
    forecast_before: Forecast
    forecast_after: Forecast
    raster_before: SpikeTrain
    raster_after: SpikeTrain
    pruning: PruneResult
    task: ForecastTask
    readout: ReadoutOptions
    seed: int
    seconds: dict[str, float]

    def __repr__(self) -> str:
        return f"Study({self.pruning!r}, {self.forecast_before!r} -> {self.forecast_after!r})"

    @property
    def operation_ratio(self) -> float:
        """Synaptic operations of the unpruned over those of the pruned network, on the same task."""
        return self.forecast_before.synaptic_operations / max(self.forecast_after.synaptic_operations, 1)

    def summary(self) -> dict[str, Any]:
        """Return the content of ``run.json``: plain numbers, strings, lists and dictionaries."""
        first, last = self.pruning.history[0], self.pruning.after
        return {
            "seed": self.seed,
            "versions": versions(),
            "options": {
                "model": self.before.model,
                "neurons": self.before.n_neurons,
                "task": {
                    "name": self.task.name,
                    "windows": self.task.n_windows,
                    "train": self.task.train,
                    "warm_up": self.task.warm_up,
                    "horizon": self.task.horizon,
                    "lyapunov_time_steps": self.task.lyapunov_time,
                    "columns": list(self.task.columns),
                    "notes": list(self.task.notes),
                },
                "readout": plain(self.readout),
                "pruning": plain(self.pruning.options),
                "steps": {step.name: plain(step) for step in self.pruning.steps},
            },
            "before": _state(first, self.forecast_before),
            "after": _state(last, self.forecast_after),
            "ratios": {
                "synaptic_operations": self.operation_ratio,
                "neuron_sparsity": self.pruning.neuron_sparsity,
                "synapse_sparsity": self.pruning.synapse_sparsity,
            },
            "status": self.pruning.status,
            "iteration": self.pruning.iteration,
            "warning": self.pruning.warning,
            "history": [plain(record) for record in self.pruning.history],
            "seconds": self.seconds,
        }

    def write_json(self, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> None:
        """Write `summary` to `path`, whole or not at all; `extra` is merged into its options."""
        content = self.summary()
        content["options"] |= plain(extra or {})
        write_json(path, content)


def prune_and_forecast(
    model: RecurrentNetwork,
    encoder: Encoder,
    task: ForecastTask,
    *,
    steps: Sequence[Step] | None = None,
    pruning: PruneOptions | None = None,
    readout: ReadoutOptions | None = None,
    seed: int = 0,
    jobs: int = 1,
    checkpoint: str | os.PathLike[str] | None = None,
    report: Report | None = None,
) -> Study:
    """Forecast with `model`, prune it in place, and forecast again with what is left.

    Parameters
    ----------
    model : RecurrentNetwork
        A model of `lnpbrian.models`; it is edited in place.
    encoder : Encoder
        Input of its N neurons; the survivors keep theirs.
    task : ForecastTask
        Windows of a series.
    steps : sequence of Step, optional
    pruning : PruneOptions, optional
    readout : ReadoutOptions, optional
    seed : int
        Seed of everything random.
    jobs : int
        Number of processes that share the windows of a forecast; see `forecast`. With more than
        one the network is pruned while the unpruned one forecasts.
    checkpoint : path-like, optional
        Folder in which the first forecast and every iteration are kept; the same call goes on where it was interrupted.
    report : callable, optional
        Called as ``report(stage, fraction, what)`` with a stage of `STAGES`.

    Returns
    -------
    Study

    Raises
    ------
    InvalidInput
        As `lnpbrian.prune`; if another run uses the folder for checkpoints.
    """
    pruning, readout = pruning or PruneOptions(), readout or ReadoutOptions()
    streams = Streams(seed).child("study")
    seconds: dict[str, float] = {}
    stopped = threading.Event()

    def tell(stage: str, fraction: float, what: str) -> None:
        if stopped.is_set():
            raise _Stopped
        if report is not None:
            report(stage, fraction, what)

    def stage(name: str, action: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        tell(name, 0.0, "building")
        result = action()
        tell(name, 1.0, "done")
        seconds[name] = time.perf_counter() - start
        return result

    def forecast_with(name: str, spec: NetworkSpec) -> Forecast:
        return forecast(
            spec.compacted(),
            encoder.of_neurons(spec.alive),
            task,
            options=readout,
            # Before and after get the same input spikes, neuron by neuron of the encoder.
            rng=streams.rng("input"),
            jobs=jobs,
            report=lambda fraction: tell(name, fraction, "simulating"),
        )

    def progress(now: Progress) -> None:
        tell("prune", now.fraction, f"iteration {now.iteration} of {now.iterations}: {now.step}")

    before = model.spec
    folder = None
    if checkpoint is not None:
        folder = CheckpointFolder(checkpoint, fingerprint(before, encoder, task, readout, steps, pruning, seed))

    def first_forecast() -> Forecast:
        saved = None if folder is None else folder.load_arrays("forecast_before")
        if saved is not None:
            return Forecast.from_arrays(saved)
        made = forecast_with(STAGES[0], before)
        if folder is not None:
            folder.save_arrays("forecast_before", made.to_arrays())
        return made

    def pruned() -> PruneResult:
        return prune(model, steps, options=pruning, seed=seed, checkpoint=held, report=progress)

    # The forecast is simulated by processes of its own, unless it has but one part.
    alone = min(jobs, task.n_windows) == 1
    with (
        nullcontext() if checkpoint is None else lock_folder("checkpoint", checkpoint) as held,
        _Background(lambda: stage(STAGES[0], first_forecast), stopped, wait=alone) as background,
    ):
        result = stage(STAGES[1], pruned)
        forecast_before = background.result()
    after = model.spec
    forecast_after = stage(STAGES[2], lambda: forecast_with(STAGES[2], after))
    drive = noise_drive(before.n_neurons, duration=500 * ms, rng=streams.rng("raster"))
    return Study(
        before=before,
        after=after,
        forecast_before=forecast_before,
        forecast_after=forecast_after,
        raster_before=_raster(before, drive),
        raster_after=_raster(after, drive),
        pruning=result,
        task=task,
        readout=readout,
        seed=seed,
        seconds=seconds,
    )


class _Stopped(Exception):
    """Raised by the progress of work that nobody waits for any more."""


class _Background:
    """Work that is done in a thread, or at once if it has to `wait`; an error in the block stops it."""

    def __init__(self, work: Callable[[], Any], stopped: threading.Event, *, wait: bool) -> None:
        self._work = work
        self._stopped = stopped
        self._wait = wait
        self._pool = ThreadPoolExecutor(1)
        self._future: Future[Any] = Future()

    def __enter__(self) -> Self:
        if self._wait:
            self._future.set_result(self._work())
        else:
            self._future = self._pool.submit(self._work)
        return self

    def result(self) -> Any:
        """Wait for the result."""
        return self._future.result()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._stopped.set()
        self._pool.shutdown()


def _raster(spec: NetworkSpec, drive: Drive) -> SpikeTrain:
    return observe(RecurrentNetwork(spec, plastic=False), 500 * ms, drive=drive)


def _state(record: Any, result: Forecast) -> dict[str, Any]:
    return {
        "neurons": record.neurons,
        "synapses": record.synapses,
        "mean_rate_hz": record.mean_rate_hz,
        "task_rate_hz": result.mean_rate,
        "largest_exponent_per_s": record.largest_exponent_per_s,
        "largest_exponent_standard_error_per_s": record.largest_exponent_standard_error_per_s,
        "window_exponent_per_s": record.window_exponent_per_s,
        "synaptic_operations": result.synaptic_operations,
        "readout_neurons": int(result.readout.size),
        "nrmse": float(np.mean(result.nrmse)),
        "one_step_nrmse": float(np.mean(result.one_step_nrmse)),
        "readout_operations": result.readout_operations,
        "nrmse_median": float(np.median(result.nrmse)),
        "vpt_steps": float(np.mean(result.vpt_steps[0.1])),
        "vpt_steps_by_threshold": {f"{eps:g}": float(np.mean(v)) for eps, v in result.vpt_steps.items()},
        "nrmse_windows": [float(x) for x in result.nrmse],
        "vpt_windows": [int(x) for x in result.vpt_steps[0.1]],
    }
