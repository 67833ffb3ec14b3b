"""What STDP does to weights, rate and forecast, with depression that is balanced or drawn independently.

    lnpbrian sweep stdp_drift --scale medium --out runs/stdp_drift

One network of each kind; the Lorenz-63 series starts at (12, 2, 9): it is none of those that results are reported of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from brian2 import ms
from matplotlib.figure import Figure

from lnpbrian import models
from lnpbrian.experiments.common import MODELS, Plan, Report, Result, Streams, Task, all_rows, finish
from lnpbrian.learning import CurrentEncoder, ReadoutOptions, forecast, forecast_task, lorenz63, train_stdp
from lnpbrian.models import LIFParameters
from lnpbrian.models.drawing import DEPRESSIONS

NAME = "stdp_drift"
SEED = 101
KEPT = (1.0, 0.03)
SAMPLES = 500
SAMPLE_TIME = 60 * ms


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the measurements by model and depression."""
    size = {"neurons": plan.scale.neurons, "windows": plan.scale.windows, "seed": SEED}
    return {
        (model, depression): Task(
            f"{model}, {depression}", f"{__name__}:measured", {"model": model, "depression": depression, **size}
        )
        for model in MODELS
        for depression in DEPRESSIONS
    }


def measured(options: Mapping[str, Any], *, report: Report) -> Result:
    """Train and forecast with each fraction of the synapses, kept at random."""
    model, depression, neurons, seed = (options[name] for name in ("model", "depression", "neurons", "seed"))
    task = forecast_task(lorenz63(start=(12.0, 2.0, 9.0)), n_windows=options["windows"])
    assert task.phase is not None
    parameters = replace(LIFParameters.forecasting(), dt=2 * ms, depression=depression)
    full = getattr(models, model)(neurons, parameters=parameters, plastic=True, check_rate=False, seed=seed).spec
    rng = Streams(seed).child("encoder").rng("current")
    encoder = CurrentEncoder.draw(neurons, task.dimensions, rng=rng)
    readout = ReadoutOptions(sample_time=SAMPLE_TIME, filter_time=20 * ms)
    rows = []
    for k, kept in enumerate(KEPT):
        spec = full.of_synapses(np.random.default_rng(0).random(full.n_synapses) < kept)
        learnt = train_stdp(spec, encoder, task.phase[:SAMPLES], sample_time=SAMPLE_TIME, rng=np.random.default_rng(0))
        before, after = (
            forecast(network, encoder, task, options=readout, rng=np.random.default_rng(0))
            for network in (spec, learnt.spec)
        )
        rows.append(
            {
                "model": model,
                "depression": depression,
                "kept": kept,
                "seed": seed,
                "weight_change": learnt.mean_change,
                "rate_first_hz": learnt.rate_first,
                "rate_last_hz": learnt.rate_last,
                "vpt_before": float(before.vpt_steps[0.1].mean()),
                "vpt_after": float(after.vpt_steps[0.1].mean()),
                "nrmse_before": float(before.nrmse.mean()),
                "nrmse_after": float(after.nrmse.mean()),
            }
        )
        report((k + 1) / len(KEPT), f"{kept:.0%} kept")
    return Result({"rows": rows})


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of single networks."""
    return {"seeds": [SEED], "rows": all_rows(results)}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first."""
    head = [
        "network",
        "synapses kept (%)",
        "depression",
        "change of weights (%)",
        "rate (Hz)",
        "VPT before",
        "VPT after",
    ]
    lines = [head]
    for r in content["rows"]:
        line = [r["model"], f"{100 * r['kept']:.0f}", r["depression"], f"{100 * r['weight_change']:.0f}"]
        line.append(f"{r['rate_first_hz']:.1f} to {r['rate_last_hz']:.1f}")
        lines.append([*line, f"{r['vpt_before']:.1f}", f"{r['vpt_after']:.1f}"])
    return {"Lorenz-63 before and after STDP": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the valid prediction time before and after, a line for each network."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for r in content["rows"]:
        label = f"{r['model']}, {100 * r['kept']:.0f} %, {r['depression']}"
        line = "o-" if r["depression"] == "balanced" else "o:"
        axis.plot(("before", "after"), (r["vpt_before"], r["vpt_after"]), line, label=label)
    axis.set(ylabel="VPT (steps)", ylim=(0, None))
    return finish(figure, axis, 2)
