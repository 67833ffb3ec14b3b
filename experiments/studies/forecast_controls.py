"""Lorenz-63 forecasts of unpruned networks beside those of forecasters without spikes, on the same windows.

    lnpbrian sweep forecast_controls --scale medium --out runs/forecast_controls

The controls are linear autoregressions, the next-generation reservoir (one lag, its quadratic products; Gauthier et
al. 2021, doi:10.1038/s41467-021-25801-2), and the same spiking network without its recurrent synapses. The windows are
those of ``lnpbrian prune``; nothing was tuned on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lnpbrian.experiments.common import Plan, Report, Result, Streams, Task, all_rows, finish
from lnpbrian.experiments.common.comparison import FORECASTERS, without_network
from lnpbrian.learning import CurrentEncoder, forecast, forecast_task
from lnpbrian.models import HRSNN, LIFParameters

NAME = "forecast_controls"
UNCOUPLED = "the same, uncoupled"


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the forecasts by forecaster and seed, None without a network."""
    s = plan.scale
    made: dict[Any, Task] = {}
    for name in FORECASTERS:
        options = {"forecaster": name, "seed": None, "windows": s.windows}
        made[name, None] = Task(name, f"{__name__}:measured", options)
    for seed in range(s.seeds):
        for name in (f"HRSNN, N = {s.neurons}", UNCOUPLED):
            options = {"forecaster": name, "seed": seed, "windows": s.windows, "neurons": s.neurons}
            made[name, seed] = Task(f"{name}, seed {seed}", f"{__name__}:measured", options, cost=60)
    return made


def measured(options: Mapping[str, Any], *, report: Report) -> Result:
    """Forecast the windows.

    Windows as in arXiv 2403.03409, section 4.1.
    """
    name, seed, operations = options["forecaster"], options["seed"], None
    task = forecast_task("lorenz63", n_windows=options["windows"])
    if seed is None:
        error, steps = without_network(name, task)
    else:
        streams, parameters = Streams(seed), LIFParameters.forecasting()
        spec = HRSNN(options["neurons"], parameters=parameters, check_rate=False, seed=seed).spec
        rng = streams.child("encoder").rng("current")
        encoder = CurrentEncoder.draw(spec.n_neurons, 3, rng=rng)
        network = spec.uncoupled() if name == UNCOUPLED else spec
        found = forecast(
            network, encoder, task, rng=streams.rng("input"), report=lambda fraction: report(fraction, "forecasting")
        )
        error, steps, operations = found.nrmse, found.vpt_steps[0.1], found.synaptic_operations
    row = {
        "forecaster": name,
        "seed": seed,
        "nrmse": float(error.mean()),
        "nrmse_median": float(np.median(error)),
        "vpt_steps": float(steps.mean()),
        "synaptic_operations": operations,
        "nrmse_windows": error.tolist(),
        "vpt_windows": steps.tolist(),
    }
    return Result({"rows": [row]})


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of all forecasters and seeds."""
    return {"rows": all_rows(results)}


def _by_forecaster(content: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    names = dict.fromkeys(r["forecaster"] for r in content["rows"])
    return {name: [r for r in content["rows"] if r["forecaster"] == name] for name in names}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return means over seeds as rows of text, the head first."""
    lines = [["forecaster", "seeds", "NRMSE, mean", "NRMSE, median", "VPT (steps)", "synaptic operations"]]
    for name, mine in _by_forecaster(content).items():
        means = (np.mean([r[value] for r in mine]) for value in ("nrmse", "nrmse_median", "vpt_steps"))
        numbers = [form.format(mean) for form, mean in zip(("{:.3f}", "{:.3f}", "{:.1f}"), means, strict=True)]
        operations = [r["synaptic_operations"] for r in mine]
        lines.append([name, str(len(mine)), *numbers, "" if None in operations else f"{np.mean(operations):.2e}"])
    return {"Lorenz-63": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the valid prediction time of every window."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axis = figure.subplots()
    found = _by_forecaster(content)
    axis.boxplot([[x for r in mine for x in r["vpt_windows"]] for mine in found.values()])
    axis.set_xticks(range(1, 1 + len(found)), [name.replace(", ", ",\n") for name in found], fontsize=8)
    axis.set_ylabel("VPT (steps) of all windows")
    return finish(figure)
