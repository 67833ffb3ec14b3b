"""Forecast with reservoirpy's echo state network and NVAR on the windows that spiking networks forecast.

    pip install 'lnpbrian[bench]'
    python benchmarks/bench_forecasters.py

prints a table and writes ``benchmarks/bench_forecasters.json``. Every window has a readout of its own, fitted on its
training part, which predicts increments from features and the current sample, as that of a network does. Leak, spectral
radius, input scaling and penalty of the echo state network are the best of a random search on windows of another
Lorenz-63 series, started at (12, 2, 9); so is the penalty of NVAR, whose features have no other constant. Beside them
are this package's own forecasters without a network.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from reservoirpy.nodes import NVAR, Reservoir, Ridge
from rich.console import Console
from rich.table import Table

from lnpbrian.learning import ForecastTask, autoregression, forecast_task, lorenz63, next_generation_reservoir
from lnpbrian.learning.without_network import LIMIT
from lnpbrian.parallel import cores
from lnpbrian.records import versions, write_json
from lnpbrian.streams import Streams

SERIES = ("lorenz63", "google")
console = Console()


def closed_loop(task: ForecastTask, node: Callable[[], Any], *, ridge: float, current: bool) -> np.ndarray:
    """Return the forecasts (W, horizon, D) of a node, the same in every window, with or without the current sample."""
    prediction = np.empty(task.truth.shape)
    for w, window in enumerate(task.windows):
        features, readout = node(), Ridge(ridge=ridge)
        shown = window[: task.train]

        def seen(x: np.ndarray, z: np.ndarray) -> np.ndarray:
            return np.concatenate([x, z], axis=-1) if current else x

        x = seen(features.run(shown[:-1]), shown[:-1])
        readout.fit(x, np.diff(shown, axis=0), warmup=task.warm_up)
        z = shown[-1]
        for n in range(task.horizon):
            z = np.clip(z + readout.step(seen(features.step(z), z)), -LIMIT, LIMIT)
            prediction[w, n] = z
    return prediction


def echo_state_network(task: ForecastTask, seed: int, *, units: int, **constants: float) -> np.ndarray:
    """Return the forecasts of a reservoir of `units` tanh neurons that is drawn from `seed`."""

    def node() -> Reservoir:
        return Reservoir(
            units=units, lr=constants["leak"], sr=constants["radius"], input_scaling=constants["scaling"], seed=seed
        )

    return closed_loop(task, node, ridge=constants["ridge"], current=True)


def nvar(task: ForecastTask, *, ridge: float) -> np.ndarray:
    """Return the forecasts of two lags and their quadratic products."""
    return closed_loop(task, lambda: NVAR(delay=2, order=2), ridge=ridge, current=False)


def tuned_reservoir(task: ForecastTask, units: int, trials: int, rng: np.random.Generator) -> dict[str, float]:
    """Return the constants of lowest mean NRMSE among `trials` random ones."""
    best, lowest = {}, np.inf
    for trial in range(trials):
        constants = {
            "leak": float(rng.uniform(0.1, 1)),
            "radius": float(rng.uniform(0.05, 1.5)),
            "scaling": float(10 ** rng.uniform(-2, 0.5)),
            "ridge": float(10 ** rng.uniform(-9, 0)),
        }
        found = float(task.nrmse(echo_state_network(task, trial, units=units, **constants)).mean())
        if found < lowest:
            best, lowest = constants, found
    console.print(f"{units} units: NRMSE {lowest:.3f} on the tuning windows with {best}")
    return best | {"tuning_nrmse": lowest}


def row(forecaster: str, task: ForecastTask, runs: list[np.ndarray], seconds: float, **options: Any) -> dict[str, Any]:
    """Return a line of the results: means over the windows of all `runs`."""
    errors = np.array([task.nrmse(run) for run in runs])
    steps = np.array([task.valid_prediction_time(run) for run in runs])
    return {
        "forecaster": forecaster,
        "series": task.name,
        "nrmse": float(errors.mean()),
        "nrmse_median": float(np.median(errors)),
        "vpt_steps": float(steps.mean()),
        "vpt_steps_median": float(np.median(steps)),
        "seconds": seconds / len(runs),
        "options": options,
        "nrmse_windows": errors.tolist(),
        "vpt_windows": steps.tolist(),
    }


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    rng = Streams(0).child("benchmark").rng("search")
    tuning = forecast_task(lorenz63(start=(12.0, 2.0, 9.0)), n_windows=arguments.tuning_windows)
    tuned = {units: tuned_reservoir(tuning, units, arguments.trials, rng) for units in arguments.units}
    ridge = min((10.0**k for k in range(-9, 1)), key=lambda ridge: tuning.nrmse(nvar(tuning, ridge=ridge)).mean())
    rows = []

    def add(name: str, task: ForecastTask, forecast: Callable[[int], np.ndarray], runs: int, **options: Any) -> None:
        begun = time.perf_counter()
        found = [forecast(run) for run in range(runs)]
        rows.append(row(name, task, found, time.perf_counter() - begun, **options))

    for name in arguments.series:
        task = forecast_task(name, n_windows=arguments.windows)
        for units, constants in tuned.items():
            chosen = {k: v for k, v in constants.items() if k != "tuning_nrmse"}
            add(
                f"reservoirpy, echo state network of {units}",
                task,
                # Other reservoirs than those that were tuned.
                lambda run, u=units, c=chosen, t=task: echo_state_network(t, 1000 + run, units=u, **c),
                arguments.seeds,
                **constants,
            )
        add("reservoirpy, NVAR", task, lambda _, t=task: nvar(t, ridge=ridge), 1, ridge=ridge)
        add("next-generation reservoir", task, lambda _, t=task: next_generation_reservoir(t), 1)
        for lags in (1, 10):
            add(f"autoregression, lags: {lags}", task, lambda _, t=task, k=lags: autoregression(t, k), 1, lags=lags)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES), help="default: all of them")
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--units", nargs="+", type=int, default=[100, 500], help="neurons of the echo state networks")
    parser.add_argument("--trials", type=int, default=60, help="of the random search")
    parser.add_argument("--tuning-windows", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5, help="echo state networks")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    rows = measure(arguments)
    table = Table("series", "forecaster", "NRMSE", "median", "VPT", "median", "seconds")
    for r in rows:
        figures = (r[k] for k in ("nrmse", "nrmse_median", "vpt_steps", "vpt_steps_median", "seconds"))
        table.add_row(r["series"], r["forecaster"], *(f"{x:.3g}" for x in figures))
    console.print(table)
    machine = {"processor": platform.processor() or platform.machine(), "cores": cores()}
    found = {"versions": versions() | {"reservoirpy": version("reservoirpy")}, "machine": machine, "rows": rows}
    write_json(arguments.out, found)


if __name__ == "__main__":
    main()
