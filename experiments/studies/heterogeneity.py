"""Heterogeneous networks against homogeneous ones, before and after pruning.

    lnpbrian sweep heterogeneity --scale medium --out runs/heterogeneity

An MRSNN has the graph of an HRSNN, and one time constant for all neurons. Both are pruned by LNP without step IV, which
needs laws. The mean of the time constants and one factor for all weights are chosen for each kind by the capacity of
networks of other seeds, so that neither wins by where it works best; a third kind is homogeneous at the mean that is
best for heterogeneous networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from brian2 import ms, second
from matplotlib.figure import Figure

from lnpbrian.experiments.common import Plan, Report, Result, Task, all_rows, claimed, finish, means, plus_minus, where
from lnpbrian.experiments.common.bed import at_factor, bed_measured, bed_samples, best_choice, paired, unbound, worth
from lnpbrian.learning import evaluate_benchmarks
from lnpbrian.models import HRSNN, MRSNN, LIFParameters
from lnpbrian.network import NetworkSpec, RecurrentNetwork

NAME = "heterogeneity"
MODELS = ("HRSNN", "MRSNN", "MRSNN, mean of HRSNN")
RATIOS = {"unpruned": 1.0, "LNP": 37.0}
SCORES = ("memory", "capacity", "narma10", "mackey_glass_30", "mackey_glass_84", "lorenz63_z", "lorenz63_x10")
# Factors of the weights and means of the time constants that are tried.
FACTORS, MEANS_MS = (0.85, 1.0, 1.2), (5.0, 10.0, 20.0)
TUNING, TUNING_SEED, FIRST_SEED = 3, 1100, 700


def sizes(plan: Plan) -> tuple[int, ...]:
    """Return the numbers of neurons."""
    return (min(plan.scale.neurons, 400),)


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the evaluations by size, kind, pruning and seed."""
    made: dict[Any, Task] = {}
    full_size = plan.scale.neurons >= 400
    choices = list(product(FACTORS, MEANS_MS)) if full_size else [(1.0, 20.0)]
    for neurons, kind, pruning in product(sizes(plan), MODELS, RATIOS):
        # The third kind takes what is best for the first.
        chosen = "HRSNN" if kind == MODELS[-1] else kind
        common = {"neurons": neurons, "pruning": pruning, "samples": bed_samples(plan)}
        tuning = [
            _task({**common, "kind": chosen}, TUNING_SEED + seed, {"factor": factor, "mean_ms": mean})
            for factor, mean in choices
            for seed in range(TUNING if full_size else 1)
        ]
        for seed in range(max(plan.scale.seeds, 2)):
            made[neurons, kind, pruning, seed] = _task({**common, "kind": kind}, FIRST_SEED + seed, {}, *tuning)
    return made


def _task(common: Mapping[str, Any], seed: int, tried: Mapping[str, float], *needs: Task) -> Task:
    options = {**common, "seed": seed, **tried}
    told = ", ".join(f"{name} {value:g}" for name, value in tried.items())
    name = "{pruning} {kind}, N = {neurons}, seed {seed} {told}".format(**options, told=told)
    return Task(name.strip(), f"{__name__}:{'tried' if tried else 'evaluated'}", options, needs)


def tried(options: Mapping[str, Any], *, report: Report) -> Result:
    """Return the capacity of a network with a factor of its weights and a mean of its time constants."""
    spec, _ = _made(options, options, report)
    score = evaluate_benchmarks(spec, names=["capacity"], seed=options["seed"], samples=options["samples"]).scores
    return Result({"factor": options["factor"], "mean_ms": options["mean_ms"], **score})


def evaluated(options: Mapping[str, Any], *tried: Result, report: Report) -> Result:
    """Return what a network is worth, with what was best on other networks."""
    best, _ = best_choice([result.record for result in tried], "factor", "mean_ms")
    spec, exponent = _made(options, best, report)
    found = worth(spec, SCORES, options, report)
    row = {
        **{name: options[name] for name in ("neurons", "kind", "pruning", "seed")},
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


def _made(options: Mapping[str, Any], choice: Mapping[str, float], report: Report) -> tuple[NetworkSpec, float | None]:
    """Return a network with its factor of the weights, and its largest exponent where it was pruned."""
    seed, neurons, mean = options["seed"], options["neurons"], choice["mean_ms"] * ms
    how = {"parameters": LIFParameters.recurrent(), "check_rate": False, "seed": seed}
    model: RecurrentNetwork = HRSNN(neurons, 0.1, time_constant_mean=mean, **how)
    if options["kind"] != "HRSNN":
        model = MRSNN(neurons, 0.1, time_constant=model.spec.time_constants.mean() * second, **how)
    drive, response = bed_measured(model.spec, seed)
    exponent: float | None = None
    if options["pruning"] == "LNP":
        removed = {"synapse_sparsity": 1 - 1 / RATIOS["LNP"], "neuron_sparsity": 0.0}
        result = unbound(model, ("I", "II", "III"), removed, drive=drive, seed=seed, report=report)
        exponent = result.after.largest_exponent_per_s
    return at_factor(model.spec, choice["factor"], response), exponent


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of single networks, means with errors, and what became of the claims."""
    rows = sorted(all_rows(results), key=lambda r: (r["neurons"], r["kind"], r["pruning"], r["seed"]))
    table = []
    parts: dict[str, list[tuple[str, bool]]] = {kind: [] for kind in MODELS[1:]}
    numbers = ("mean_rate_hz", "time_constant_mean_ms", "time_constant_sd_ms", "operations", *SCORES)
    for neurons, pruning in product(sizes(plan), RATIOS):
        ours = where(rows, neurons=neurons, kind="HRSNN", pruning=pruning)
        for kind in MODELS:
            mine = where(rows, neurons=neurons, kind=kind, pruning=pruning)
            line: dict[str, Any] = {"neurons": neurons, "kind": kind, "pruning": pruning, **means(mine, numbers)}
            line |= {name: mine[0][name] for name in ("factor", "mean_ms")} | {"HRSNN is better by": None}
            if kind != "HRSNN":
                leads = {name: paired(ours, mine, name) for name in SCORES}
                line["HRSNN is better by"] = leads
                parts[kind] += [
                    (f"{name}, {pruning}, N = {neurons}: {better:+.3g} ± {error:.2g}", bool(better > 2 * error))
                    for name, (better, error) in leads.items()
                ]
            table.append(line)
    text = "Heterogeneous networks are better than homogeneous ones by two standard errors"
    ends = dict(zip(MODELS[1:], ("each at its best mean", "both at the mean that is best for the first"), strict=True))
    return {
        "table": table,
        "claims": [claimed(f"{text}, {ends[k]}", found) for k, found in parts.items()],
        "rows": rows,
    }


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return what networks are worth, and by how much heterogeneous ones are better, heads first."""
    head = ["network", "pruning", "weights times", "time constants (ms)", "rate (Hz)", "operations", *SCORES]
    worth, better = [head], [["than", "pruning", *SCORES]]
    for r in content["table"]:
        constants = f"{r['time_constant_mean_ms'][0]:.1f} ± {r['time_constant_sd_ms'][0]:.1f}"
        cells = [r["kind"], r["pruning"], f"{r['factor']:g}", constants, plus_minus(r["mean_rate_hz"], 1)]
        cells += [f"{r['operations'][0]:,.0f}", *(plus_minus(r[name], _digits(name)) for name in SCORES)]
        worth.append(cells)
        lead = r["HRSNN is better by"]
        if lead is not None:
            better.append([r["kind"], r["pruning"], *(plus_minus(lead[name], _digits(name)) for name in SCORES)])
    return {"Networks": worth, "The heterogeneous network is better by": better}


def _digits(name: str) -> int:
    return 2 if name in ("memory", "capacity") else 3


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the capacity and an error of networks of the same seed, one against the other."""
    names = {"capacity": "capacity", "mackey_glass_30": "Mackey-Glass, 30 ahead: NRMSE"}
    figure = Figure(figsize=(4 * len(names), 4.8), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    neurons = max(r["neurons"] for r in content["rows"])
    for axis, (name, label) in zip(axes, names.items(), strict=True):
        for (kind, filled), (pruning, color) in product(
            zip(MODELS[1:], ("full", "none"), strict=True), zip(RATIOS, ("black", "tab:blue"), strict=True)
        ):
            x, y = (
                [r[name] for r in where(content["rows"], neurons=neurons, kind=k, pruning=pruning)]
                for k in (kind, "HRSNN")
            )
            axis.plot(x, y, "o", color=color, fillstyle=filled, label=f"{kind}, {pruning}")
        low, high = min(axis.get_xlim()[0], axis.get_ylim()[0]), max(axis.get_xlim()[1], axis.get_ylim()[1])
        axis.plot([low, high], [low, high], color="0.6", linewidth=0.7)
        axis.set(xlabel=f"homogeneous: {label}", ylabel=f"heterogeneous: {label}", aspect="equal")
        axis.set(xlim=(low, high), ylim=(low, high))
    return finish(figure, legend_of=axes[0], ncols=2)
