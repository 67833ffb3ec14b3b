"""Lorenz-63 forecasts of unpruned networks beside those of forecasters without spikes, on the same windows.

    python -m lnpbrian.experiments.forecast_controls --out runs/forecast_controls

writes ``forecast_controls.json``. The controls are linear autoregressions, the next-generation reservoir (one lag, its
quadratic products; Gauthier et al. 2021, doi:10.1038/s41467-021-25801-2), and the same spiking network without its
recurrent synapses. The windows are those of ``lnpbrian prune``; nothing was tuned on them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lnpbrian.experiments.common import output_directory
from lnpbrian.learning.encoding import INPUT_SCALE, CurrentEncoder
from lnpbrian.learning.forecasting import forecast
from lnpbrian.learning.metrics import nrmse, nrmse_trace, valid_prediction_time
from lnpbrian.learning.series import lorenz63
from lnpbrian.learning.tasks import ForecastTask, short_protocol
from lnpbrian.learning.without_network import autoregression, next_generation_reservoir
from lnpbrian.models import HRSNN
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.pruning.controls import uncoupled
from lnpbrian.records import versions, write_json
from lnpbrian.streams import Streams

CONTROLS: dict[str, Callable[[ForecastTask], np.ndarray]] = {
    "autoregression, 1 lag": partial(autoregression, lags=1),
    "autoregression, 10 lags": partial(autoregression, lags=10),
    "next-generation reservoir": next_generation_reservoir,
}


def row(name: str, seed: int | None, error: np.ndarray, steps: np.ndarray, operations: int | None) -> dict[str, Any]:
    """Return a line of the result, and print it."""
    median = np.median(error)
    who = name if seed is None else f"{name}, seed {seed}"
    print(f"{who:<32} NRMSE {error.mean():.3f} (median {median:.3f}) VPT {steps.mean():.1f}", flush=True)
    return {
        "forecaster": name,
        "seed": seed,
        "nrmse": float(error.mean()),
        "nrmse_median": float(median),
        "vpt_steps": float(steps.mean()),
        "synaptic_operations": operations,
        "nrmse_windows": error.tolist(),
        "vpt_windows": steps.tolist(),
    }


def measure(task: ForecastTask, seeds: int, jobs: int) -> list[dict[str, Any]]:
    """Return a row for every forecaster and seed."""
    rows = []
    for name, control in CONTROLS.items():
        prediction = control(task)
        steps = valid_prediction_time(nrmse_trace(prediction, task.truth, task.sigma))
        rows.append(row(name, None, nrmse(prediction, task.truth, task.sigma), steps, None))
    for seed in range(seeds):
        streams = Streams(seed)
        spec = HRSNN(parameters=LIFParameters.forecasting(), check_rate=False, seed=seed).spec
        rng = streams.child("encoder").rng("current")
        encoder = CurrentEncoder.draw(spec.n_neurons, 3, scale=INPUT_SCALE, rng=rng)
        for name, network in (("HRSNN, N = 1000", spec), ("the same, uncoupled", uncoupled(spec))):
            result = forecast(network, encoder, task, rng=streams.rng("input"), jobs=jobs)
            rows.append(row(name, seed, result.nrmse, result.vpt_steps[0.1], result.synaptic_operations))
    return rows


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("runs/forecast_controls"))
    arguments = parser.parse_args()
    directory = output_directory(arguments, "forecast_controls")
    task = short_protocol(lorenz63(), n_windows=arguments.windows)
    rows = measure(task, arguments.seeds, arguments.jobs)
    write_json(directory / "forecast_controls.json", {"versions": versions(), "rows": rows})


if __name__ == "__main__":
    main()
