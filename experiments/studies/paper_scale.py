"""The paper's scale: 5000 neurons pruned in 100 iterations, and what of the paper's claims holds there.

    lnpbrian sweep paper_scale --scale medium --out runs/paper_scale

One network, pruned by Lyapunov noise pruning with all its neurons and with a fifth of them, as the paper does, and by
the ways that the paper compares it with, to as many synaptic operations. Tasks are those of the test bed and Lorenz-63
of which the first variable is seen, in closed loop; errors of the latter are over windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import ms, second
from matplotlib.figure import Figure

from lnpbrian.experiments.common import LORENZ, Plan, Report, Result, Streams, Task, claimed, finish, mean_and_error
from lnpbrian.experiments.common.bed import as_small, bed_drive, bed_measured, bed_samples, by_activity, unbound, worth
from lnpbrian.learning import BENCHMARKS, CurrentEncoder, ReadoutOptions, forecast, forecast_task
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network import NetworkSpec, linear_response, synaptic_operations
from lnpbrian.pruning import Record, at_radius

NAME = "paper_scale"
# What is removed: of the synapses, and of the neurons.
LNP = {"LNP": (1 - 1 / 37, 0.0), "LNP, 80 % of the neurons": (1 - 1 / 37, 0.8)}
METHODS = ("unpruned", *LNP, "random", "activity", "uncoupled")
NAMES = ("memory", "capacity", "narma10", "mackey_glass_30", "mackey_glass_84", "lorenz63_z", "lorenz63_x10")
# Of the paper; those that try the experiment are smaller.
NEURONS = 5000
SEED = 700
THRESHOLD = 0.3


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the evaluations by method.

    Scale and ways of pruning: arXiv 2403.03409, section 4.1.
    """
    scale = plan.scale
    neurons = NEURONS if scale.neurons >= 400 else scale.neurons
    made: dict[Any, Task] = {}
    for method in METHODS:
        options = {"neurons": neurons, "method": method, "windows": scale.windows, "samples": bed_samples(plan)}
        if method in LNP:
            options["iterations"] = scale.path_iterations
        needs = (made["LNP"],) if method in ("random", "activity") else ()
        made[method] = Task(f"{method}, N = {neurons}", f"{__name__}:evaluated", options, needs, cost=10)
    return made


def evaluated(options: Mapping[str, Any], *lnp: Result, report: Report) -> Result:
    """Return what a network is worth, and how it came about where LNP pruned."""
    method, neurons = options["method"], options["neurons"]
    report(0.0, "building")
    model = HRSNN(neurons, 0.1, parameters=LIFParameters.recurrent(), check_rate=False, seed=SEED)
    full, rng = model.spec, Streams(SEED).child(NAME).rng(method)
    drive, response = bed_measured(full, SEED)
    rates = response.rates
    spec, history = full, list[Record]()
    if method in LNP:
        synapses, removed = LNP[method]
        sparsity = {"synapse_sparsity": synapses, "neuron_sparsity": removed, "iterations": options["iterations"]}
        result = unbound(model, None, sparsity, drive=drive, seed=SEED, report=report, end=0.7)
        spec, history = model.spec, list(result.history)
    elif method == "random":
        # An Erdos-Renyi graph of the same size, as in figure 3c.
        like = lnp[0].record
        spec = as_small("Erdos-Renyi", full, n_synapses=like["synapses"], n_neurons=neurons, rng=rng, rates=rates)
        spec = at_radius(spec, response.spectral_radius, response=response)
    elif method == "activity":
        spec = by_activity(full, drive, lnp[0].record["expected_operations"])
        spec = at_radius(spec, response.spectral_radius, response=response)
    elif method == "uncoupled":
        spec = full.uncoupled(rates)
    return Result({"method": method, **_worth(spec, options, report), **_path(history)})


def _worth(spec: NetworkSpec, options: Mapping[str, Any], report: Report) -> dict[str, Any]:
    drive = bed_drive(spec, SEED)
    now = linear_response(spec.compacted(), drive.of_neurons(spec.alive), transient=1 * second)
    found = worth(spec, NAMES, {"seed": SEED, **options}, report, span=(0.7, 0.85))
    rng = Streams(SEED).child(NAME).rng("input")
    encoder = CurrentEncoder.draw(spec.n_neurons, 1, scale=0.5, rng=rng).of_neurons(spec.alive)
    task = forecast_task(LORENZ, n_windows=options["windows"])
    readout = ReadoutOptions(sample_time=100 * ms, filter_time=20 * ms, order=5, ridge=0.01, fraction=1.0)
    said = forecast(
        spec.compacted(), encoder, task, options=readout, rng=rng, report=lambda f: report(0.85 + 0.15 * f, "forecast")
    )
    return {
        "neurons": spec.n_alive,
        "synapses": spec.n_synapses,
        "operations": found.synaptic_operations,
        "expected_operations": float(synaptic_operations(now.rates, spec.compacted().pre)),
        "mean_rate_hz": float(now.rates.mean()),
        "spectral_radius": now.spectral_radius,
        **found.scores,
        "nrmse": said.nrmse.tolist(),
        "vpt": said.vpt_steps[THRESHOLD].tolist(),
    }


def _path(history: list[Record]) -> dict[str, Any]:
    names = ("neurons", "synapses", "mean_rate_hz", "spectral_radius", "response_ipr", "strong_components")
    exponents = ("largest_exponent_per_s", "largest_exponent_standard_error_per_s")
    return {"path": {name: [getattr(record, name) for record in history] for name in (*names, *exponents)}}


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return what each network is worth, and what became of the paper's claims.

    What is claimed: arXiv 2403.03409, section 4.2.
    """
    rows = {method: results[method].record for method in METHODS}
    table = [
        {
            **{name: r[name] for name in ("method", "neurons", "synapses", "mean_rate_hz", "spectral_radius", *NAMES)},
            "operation_ratio": rows["unpruned"]["operations"] / max(r["operations"], 1),
            "nrmse": mean_and_error(r["nrmse"]),
            "vpt": mean_and_error(r["vpt"]),
        }
        for r in rows.values()
    ]
    return {"table": table, "claims": _claims(rows), "paths": {name: rows[name]["path"] for name in LNP}}


def _claims(rows: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    def ratio(name: str) -> tuple[str, bool]:
        found = rows["unpruned"]["operations"] / rows[name]["operations"]
        return f"{name}: {found:.1f} times fewer", bool(found >= 35)

    def better(name: str, other: str, *, by: float) -> list[tuple[str, bool]]:
        """Whether one is better by a share of what the other one has, or is not worse by that, if it is negative."""
        found = []
        for task in NAMES:
            a, b, sign = rows[name][task], rows[other][task], 1 if BENCHMARKS[task].higher_is_better else -1
            found.append((f"{task}: {a:.3g}, {other} {b:.3g}", bool(sign * (a - b) > by * abs(b))))
        less, error = mean_and_error(np.array(rows[other]["nrmse"]) - np.array(rows[name]["nrmse"]))
        margin = by * np.mean(rows[other]["nrmse"])
        return [*found, (f"closed loop, NRMSE less than {other}'s by {less:.3g} ± {error:.2g}", bool(less > margin))]

    paths = {name: rows[name]["path"] for name in LNP}
    exponents, eigenvectors = [], []
    for name, path in paths.items():
        first, last = (path["largest_exponent_per_s"][k] for k in (0, -1))
        error = float(np.hypot(*(path["largest_exponent_standard_error_per_s"][k] for k in (0, -1))))
        exponents.append((f"{name}: {first:.1f} -> {last:.1f}, error {error:.1f} / s", bool(last - first <= error)))
        known = [x for x in path["response_ipr"] if x is not None]
        parts = path["strong_components"][-1]
        if known:
            text = f"{name}: inverse participation ratio {known[0]:.2g} -> {known[-1]:.2g}, {parts} components"
            eigenvectors.append((text, bool(known[-1] <= 2 * known[0])))
    few = "LNP, 80 % of the neurons"
    return [
        claimed("at least 35 times fewer synaptic operations", [ratio(name) for name in LNP]),
        claimed("LNP keeps what the unpruned network is worth, within 5 %", better("LNP", "unpruned", by=-0.05)),
        claimed("80 % of the neurons can go as well, within 5 %", better(few, "unpruned", by=-0.05)),
        claimed("LNP is better than activity pruning at as many operations", better("LNP", "activity", by=0.0)),
        claimed("LNP is better than a random graph of its size", better("LNP", "random", by=0.0)),
        claimed("the largest exponent does not grow by more than its standard error", exponents),
        claimed("eigenvectors of the response stay delocalised, within a factor of 2", eigenvectors),
        claimed("synapses matter: without them each error is larger by a tenth", better("LNP", "uncoupled", by=0.1)),
    ]


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return what each network is worth, heads first."""
    head = ["network", "neurons", "synapses", "operations: ratio", "rate (Hz)", "spectral radius", *NAMES]
    lines = [[*head, "closed loop: NRMSE", f"VPT at {THRESHOLD:g} (steps)"]]
    for r in content["table"]:
        cells = [r["method"], f"{r['neurons']:,}", f"{r['synapses']:,}"]
        cells += ["-" if r["method"] == "uncoupled" else f"{r['operation_ratio']:.1f}"]
        cells += [f"{r['mean_rate_hz']:.1f}", f"{r['spectral_radius']:.2f}"]
        cells += [f"{r[name]:.2f}" if r[name] > 1.5 else f"{r[name]:.3f}" for name in NAMES]
        lines.append([*cells, "{:.3f} ± {:.3f}".format(*r["nrmse"]), "{:.1f} ± {:.1f}".format(*r["vpt"])])
    return {"Networks": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw both ways of LNP iteration by iteration."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True)
    labels = ("synapses", "mean rate (Hz)", "spectral radius of the response", "largest exponent (1/s)")
    names = ("synapses", "mean_rate_hz", "spectral_radius", "largest_exponent_per_s")
    for axis, name, label in zip(axes.flat, names, labels, strict=True):
        for color, (method, path) in zip(("tab:blue", "tab:orange"), content["paths"].items(), strict=True):
            iterations = np.arange(len(path[name]))
            axis.plot(iterations, path[name], color=color, label=method)
            if name == "largest_exponent_per_s":
                error = np.array(path["largest_exponent_standard_error_per_s"])
                middle = np.array(path[name])
                axis.fill_between(iterations, middle - error, middle + error, color=color, alpha=0.2, linewidth=0)
        axis.set(ylabel=label)
        if name == "synapses":
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
    for axis in axes[-1]:
        axis.set_xlabel("iteration")
    axes[0, 0].legend()
    return finish(figure)
