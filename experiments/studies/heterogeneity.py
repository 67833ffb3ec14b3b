"""Heterogeneous networks against homogeneous ones, before and after pruning.

    lnpbrian sweep heterogeneity --scale medium --out runs/heterogeneity

An MRSNN has the graph, weights and biases of an HRSNN, and one time constant for all neurons: the HRSNN's mean, or
another fraction of it, in case a homogeneous network has its best elsewhere. Both are pruned by LNP without step IV,
which needs laws. One factor for all weights is chosen for each kind by the capacity of networks of other seeds, and so
is the fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
from brian2 import second
from matplotlib.figure import Figure

from lnpbrian.experiments.common.bed import at_factor, bed_measured, bed_samples, paired, plus_minus
from lnpbrian.experiments.common.plan import Plan
from lnpbrian.experiments.common.plotting import finish
from lnpbrian.experiments.common.statistics import all_rows, claimed, mean_and_error
from lnpbrian.learning import evaluate_benchmarks
from lnpbrian.models import HRSNN, MRSNN, LIFParameters
from lnpbrian.network import RecurrentNetwork
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.sweep import Result, Task

NAME = "heterogeneity"
MODELS = ("HRSNN", "MRSNN")
RATIOS = {"unpruned": 1.0, "LNP": 37.0}
SCORES = ("memory", "capacity", "narma10", "mackey_glass_30", "mackey_glass_84", "lorenz63_z", "lorenz63_x10")
# Factors of the weights, and time constants of the homogeneous networks over the mean of the heterogeneous ones.
FACTORS, FRACTIONS = (0.85, 1.0, 1.2), (0.5, 1.0, 2.0)
TUNING, TUNING_SEED, FIRST_SEED = 3, 1100, 700


def sizes(plan: Plan) -> tuple[int, ...]:
    """Return the numbers of neurons."""
    return (min(plan.scale.neurons, 400),)


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the evaluations by size, model, pruning and seed."""
    made: dict[Any, Task] = {}
    full_size = plan.scale.neurons >= 400
    for neurons, model, pruning in product(sizes(plan), MODELS, RATIOS):
        common = {"neurons": neurons, "model": model, "pruning": pruning, "samples": bed_samples(plan)}
        fractions = FRACTIONS if model == "MRSNN" else (1.0,)
        choices = product(fractions, FACTORS) if full_size else [(1.0, 1.0)]
        tuning = [
            _task(common, TUNING_SEED + seed, {"fraction": fraction, "factor": factor})
            for fraction, factor in choices
            for seed in range(TUNING if full_size else 1)
        ]
        for seed in range(max(plan.scale.seeds, 2)):
            made[neurons, model, pruning, seed] = _task(common, FIRST_SEED + seed, {}, *tuning)
    return made


def _task(common: Mapping[str, Any], seed: int, tried: Mapping[str, float], *needs: Task) -> Task:
    options = {**common, "seed": seed, **tried}
    told = ", ".join(f"{name} {value:g}" for name, value in tried.items())
    name = "{pruning} {model}, N = {neurons}, seed {seed} {told}".format(**options, told=told)
    return Task(name.strip(), f"{__name__}:{'tried' if tried else 'evaluated'}", options, needs)


def tried(options: Mapping[str, Any], *, report: Callable[[float, str], None]) -> Result:
    """Return the capacity of a network with a factor of its weights and a fraction of the time constant."""
    spec, _ = _made(options, options, report)
    score = evaluate_benchmarks(spec, names=["capacity"], seed=options["seed"], samples=options["samples"]).scores
    return Result({"factor": options["factor"], "fraction": options["fraction"], **score})


def evaluated(options: Mapping[str, Any], *tried: Result, report: Callable[[float, str], None]) -> Result:
    """Return what a network is worth, with what was best on other networks."""
    best = best_of([result.record for result in tried])
    spec, exponent = _made(options, best, report)
    found = evaluate_benchmarks(
        spec,
        names=SCORES,
        seed=options["seed"],
        samples=options["samples"],
        report=lambda fraction: report(0.5 + 0.5 * fraction, "benchmarks"),
    )
    row = {
        **{name: options[name] for name in ("neurons", "model", "pruning", "seed")},
        **best,
        "synapses": spec.n_synapses,
        "operations": found.synaptic_operations,
        "mean_rate_hz": found.mean_rate,
        "time_constant_mean_ms": float(1e3 * spec.time_constants.mean()),
        "time_constant_sd_ms": float(1e3 * spec.time_constants.std()),
        "largest_exponent_per_s": exponent,
        **found.scores,
    }
    return Result({"rows": [row]})


def best_of(tried: list[dict[str, float]]) -> dict[str, float]:
    """Return the factor and the fraction of the largest mean capacity.

    >>> best_of([{"factor": 1, "fraction": 0.5, "capacity": 4}, {"factor": 2, "fraction": 0.5, "capacity": 5}])
    {'factor': 2, 'fraction': 0.5}
    """
    by_choice: dict[tuple[float, float], list[float]] = {}
    for one in tried:
        by_choice.setdefault((one["factor"], one["fraction"]), []).append(one["capacity"])
    factor, fraction = max(by_choice, key=lambda choice: float(np.mean(by_choice[choice])))
    return {"factor": factor, "fraction": fraction}


def _made(
    options: Mapping[str, Any], choice: Mapping[str, float], report: Callable[[float, str], None]
) -> tuple[Any, float | None]:
    """Return a network with its factor of the weights, and its largest exponent where it was pruned."""
    seed, neurons = options["seed"], options["neurons"]
    parameters = LIFParameters.recurrent()
    model: RecurrentNetwork = HRSNN(neurons, 0.1, parameters=parameters, check_rate=False, seed=seed)
    if options["model"] == "MRSNN":
        mean = float(model.spec.time_constants.mean()) * choice["fraction"]
        model = MRSNN(neurons, 0.1, time_constant=mean * second, parameters=parameters, check_rate=False, seed=seed)
    drive, response = bed_measured(model.spec, seed)
    exponent: float | None = None
    if options["pruning"] == "LNP":
        result = prune(
            model,
            ("I", "II", "III"),
            options=PruneOptions(1 - 1 / RATIOS["LNP"], 0.0, rates=(0.0, 1e4), exponent_growth=None),
            drive=drive,
            seed=seed,
            report=lambda now: report(0.5 * now.fraction, now.step),
        )
        exponent = result.after.largest_exponent_per_s
    return at_factor(model.spec, choice["factor"], response), exponent


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of single networks, means with errors, and what became of the claim."""
    rows = sorted(all_rows(results), key=lambda r: (r["neurons"], r["model"], r["pruning"], r["seed"]))
    table, parts = [], []
    for neurons, pruning in product(sizes(plan), RATIOS):
        one, other = (_of(rows, neurons, model, pruning) for model in MODELS)
        for model, mine in zip(MODELS, (one, other), strict=True):
            line: dict[str, Any] = {"neurons": neurons, "model": model, "pruning": pruning}
            line |= {name: mine[0][name] for name in ("factor", "fraction")}
            for name in ("mean_rate_hz", "time_constant_mean_ms", "time_constant_sd_ms", "operations", *SCORES):
                line[name] = mean_and_error([r[name] for r in mine])
            line["HRSNN is better by"] = {name: paired(one, other, name) for name in SCORES} if mine is other else None
            table.append(line)
        for name in SCORES:
            better, error = paired(one, other, name)
            parts.append((f"{name}, {pruning}, N = {neurons}: {better:+.3g} ± {error:.2g}", bool(better > 2 * error)))
    claim = claimed("Heterogeneous networks are better than homogeneous ones by two standard errors", parts)
    return {"table": table, "claims": [claim], "rows": rows}


def _of(rows: list[dict[str, Any]], neurons: int, model: str, pruning: str) -> list[dict[str, Any]]:
    return [r for r in rows if (r["neurons"], r["model"], r["pruning"]) == (neurons, model, pruning)]


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return what networks are worth, and by how much heterogeneous ones are better, heads first."""
    head = ["network", "pruning", "weights times", "time constants (ms)", "rate (Hz)", "operations", *SCORES]
    worth, better = [head], [["pruning", *SCORES]]
    for r in content["table"]:
        constants = f"{r['time_constant_mean_ms'][0]:.1f} ± {r['time_constant_sd_ms'][0]:.1f}"
        cells = [r["model"], r["pruning"], f"{r['factor']:g}", constants, plus_minus(r["mean_rate_hz"], 1)]
        cells += [f"{r['operations'][0]:,.0f}", *(plus_minus(r[name], _digits(name)) for name in SCORES)]
        worth.append(cells)
        lead = r["HRSNN is better by"]
        if lead is not None:
            better.append([r["pruning"], *(plus_minus(lead[name], _digits(name)) for name in SCORES)])
    return {"Networks": worth, "The heterogeneous network is better by": better}


def _digits(name: str) -> int:
    return 2 if name in ("memory", "capacity") else 3


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the capacity and the error of networks of the same seed, one against the other."""
    names = {"capacity": "capacity", "mackey_glass_30": "Mackey-Glass, 30 ahead: NRMSE"}
    figure = Figure(figsize=(4 * len(names), 4.4), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axis, (name, label) in zip(axes, names.items(), strict=True):
        for pruning, color in zip(RATIOS, ("black", "tab:blue"), strict=True):
            for neurons in sorted({r["neurons"] for r in content["rows"]}):
                x, y = ([r[name] for r in _of(content["rows"], neurons, model, pruning)] for model in reversed(MODELS))
                axis.plot(x, y, "o", color=color, label=f"{pruning}, N = {neurons}")
        low, high = min(axis.get_xlim()[0], axis.get_ylim()[0]), max(axis.get_xlim()[1], axis.get_ylim()[1])
        axis.plot([low, high], [low, high], color="0.6", linewidth=0.7)
        axis.set(xlabel=f"MRSNN, {label}", ylabel=f"HRSNN, {label}", xlim=(low, high), ylim=(low, high), aspect="equal")
    return finish(figure, legend_of=axes[0], ncols=len(RATIOS))
