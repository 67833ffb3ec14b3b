"""What pruning keeps of a network whose recurrence matters: benchmarks at equal operations, by the way of pruning.

    lnpbrian sweep kept --scale medium --out runs/kept

All networks are pruned from the same unpruned ones, have the mean input of every neuron from there, and one factor for
all weights. That factor is chosen for each way of pruning, and for the unpruned networks, by the capacity of networks
of other seeds: nobody wins by where it works best. No data of a benchmark is used by pruning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from brian2 import second
from matplotlib.figure import Figure

from lnpbrian.experiments.common import (
    Plan,
    Report,
    Result,
    Streams,
    Task,
    claimed,
    finish,
    mean_and_error,
    means,
    plus_minus,
    ranking,
    ratios,
)
from lnpbrian.experiments.common.bed import (
    THINNED,
    as_small,
    at_factor,
    bed_drive,
    bed_measured,
    bed_samples,
    best_choice,
    by_activity,
    largest_weights,
    paired,
    unbound,
    worth,
)
from lnpbrian.learning import evaluate_benchmarks
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network import LinearResponse, NetworkSpec, linear_response, synaptic_operations
from lnpbrian.network.response import lif_rate
from lnpbrian.pruning import NoisePruning, Step, at_radius

NAME = "kept"
LNP: dict[str, tuple[Step | str, ...]] = {
    "LNP": ("I", "II", "III", "IV"),
    "LNP, without step IV": ("I", "II", "III"),
    "LNP, 30 % of the neurons": ("I", "II", "III"),
    "LNP, not connected": (NoisePruning(),),
    "LNP, systematic": (NoisePruning(sampling="systematic"),),
    "LNP, independent": (NoisePruning(sampling="independent"),),
    "noise by weight": (NoisePruning(edge_strength="weight", sampling="independent"),),
}
METHODS = ("unpruned", *LNP, *THINNED, "Erdos-Renyi", "magnitude per sign", "activity", "uncoupled")
# What is compared with LNP at high ratios, at low ones, and in large networks.
CONTROLS = ("activity", "magnitude per sign", "noise by weight", "random", "Erdos-Renyi", "fixed in-degree")
MOST = ("unpruned", "LNP", "even and connected", *CONTROLS, "uncoupled")
FEW = ("unpruned", "LNP", "even and connected", "random")
RATIOS = {400: (37.0, 60.0, 20.0, 10.0), 1000: (37.0, 60.0), 5000: (37.0,)}
NAMES = ("memory", "capacity", "narma10", "mackey_glass_30", "mackey_glass_84", "lorenz63_z", "lorenz63_x10")
# Factors of the spectral radius that are tried, and the first seed of the networks on which they are.
FACTORS, TUNING, TUNING_SEED = (0.85, 1.0, 1.2), 3, 1000
NEURON_SPARSITY = 0.3
# Of large networks fewer are made, for tuning but one.
LARGE, LARGE_SEEDS = 5000, 4
SUMMARY = "At a 37th of the operations"
# Seeds that are reported begin here: those before were looked at while the method was made.
FIRST_SEED = 600


def ratios_at(neurons: int) -> tuple[float, ...]:
    """Return the ratios of operations at which networks of a size are compared."""
    return RATIOS.get(neurons, (37.0,))


def methods(neurons: int, ratio: float) -> tuple[str, ...]:
    """Return what is compared there."""
    if neurons >= LARGE or ratio < 37:
        return FEW
    return METHODS if ratio == 37 and neurons <= 400 else MOST


def sizes(plan: Plan) -> tuple[int, ...]:
    """Return the numbers of neurons."""
    return (plan.scale.neurons,) if plan.scale.neurons <= 400 else (400, plan.scale.neurons, LARGE)


def compared(plan: Plan) -> list[tuple[int, float, str]]:
    """Return all that is compared: numbers of neurons, ratios and methods."""
    return [(n, ratio, method) for n in sizes(plan) for ratio in ratios_at(n) for method in methods(n, ratio)]


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the evaluations by size, ratio, method and seed."""
    seeds = max(plan.scale.seeds, 2)
    made: dict[Any, Task] = {}
    for neurons, ratio, method in compared(plan):
        # What is not pruned is the same at all ratios.
        told = 1.0 if method in ("unpruned", "uncoupled") else ratio
        common = {"neurons": neurons, "ratio": told, "method": method}
        tuning = range(0 if method == "uncoupled" else TUNING if 400 <= neurons < LARGE else 1)
        needs = tuple(_tried(common, seed, factor) for factor in FACTORS for seed in tuning)
        for seed in range(seeds if neurons < LARGE else min(seeds, LARGE_SEEDS)):
            made[neurons, ratio, method, seed] = Task(
                f"{method}, N = {neurons}, ratio {ratio:g}, seed {seed}",
                f"{__name__}:evaluated",
                {**common, "seed": FIRST_SEED + seed, "samples": bed_samples(plan)},
                needs,
                cost=neurons / 100,
            )
    return made


def _tried(common: Mapping[str, Any], seed: int, factor: float) -> Task:
    options = {**common, "seed": TUNING_SEED + seed, "factor": factor}
    return Task(
        "{method}, N = {neurons}, ratio {ratio:g}, factor {factor:g}, tuning seed {seed}".format(
            **options | {"seed": seed}
        ),
        f"{__name__}:tried",
        options,
        cost=common["neurons"] / 400,
    )


def tried(options: Mapping[str, Any], *, report: Report) -> Result:
    """Return the capacity of a network at a spectral radius of `factor` times that of the unpruned one."""
    spec, _, _ = _made(options, options["factor"], report)
    score = evaluate_benchmarks(spec, names=["capacity"], seed=options["seed"]).scores["capacity"]
    return Result({"factor": options["factor"], "capacity": score})


def evaluated(options: Mapping[str, Any], *tried: Result, report: Report) -> Result:
    """Return what a network is worth in the benchmarks, at the factor that was best on other networks."""
    factor = best_choice([result.record for result in tried], "factor")[0]["factor"] if tried else 1.0
    spec, response, largest = _made(options, factor, report)
    found = worth(spec, NAMES, options, report)
    drive = bed_drive(spec, options["seed"])
    now = linear_response(spec.compacted(), drive.of_neurons(spec.alive), transient=1 * second)
    row = {
        **{name: options[name] for name in ("neurons", "ratio", "method", "seed")},
        "factor": factor,
        "survivors": spec.n_alive,
        "synapses": spec.n_synapses,
        "operations": found.synaptic_operations,
        "expected_operations": float(synaptic_operations(response.rates, spec.pre)),
        "task_rate_hz": found.mean_rate,
        "mean_rate_hz": float(now.rates.mean()),
        "spectral_radius": now.spectral_radius,
        **largest,
        **found.scores,
    }
    return Result({"rows": [row]})


def _made(
    options: Mapping[str, Any], factor: float, report: Report
) -> tuple[NetworkSpec, LinearResponse, dict[str, Any]]:
    """Return a pruned network, the response of the unpruned one, and exponents before and after, where LNP pruned."""
    method, seed, neurons = options["method"], options["seed"], options["neurons"]
    report(0.0, "building")
    model = HRSNN(neurons, 0.1, parameters=LIFParameters.recurrent(), check_rate=False, seed=seed)
    full, rng = model.spec, Streams(seed).child("kept").rng(method)
    drive, response = bed_measured(full, seed)
    rates = response.rates
    # What an equal number of operations allows.
    n = round(full.n_synapses / options["ratio"])
    allowed = synaptic_operations(rates, full.pre) / options["ratio"]
    exponents: dict[str, Any] = {}
    if method == "unpruned":
        spec = full
    elif method == "uncoupled":
        # At the drive that was drawn, where the network is centred: its own activity may be elsewhere.
        centre = HRSNN(neurons, 0.1, parameters=_drawn_drive(), check_rate=False, seed=seed).spec
        drawn = lif_rate(centre.bias, time_constants=centre.time_constants, refractory_period=centre.refractory_period)
        return full.uncoupled(drawn), response, exponents
    elif method in LNP:
        removed = NEURON_SPARSITY if method == "LNP, 30 % of the neurons" else 0.0
        sparsity = {"synapse_sparsity": 1 - 1 / options["ratio"], "neuron_sparsity": removed}
        result = unbound(model, LNP[method], sparsity, drive=drive, seed=seed, report=report)
        spec, first, last = model.spec, result.history[0], result.after
        exponents = {
            f"largest_exponent_{when}_per_s": [r.largest_exponent_per_s, r.largest_exponent_standard_error_per_s]
            for when, r in (("before", first), ("after", last))
        }
        return at_factor(spec, factor, response), response, exponents
    elif method == "activity":
        spec = by_activity(full, drive, allowed)
    elif method == "magnitude per sign":
        spec = largest_weights(full, rates, allowed)
    else:
        spec = as_small(method, full, n_synapses=n, n_neurons=neurons, rng=rng, rates=rates)
    return at_radius(spec, factor * response.spectral_radius, response=response), response, exponents


def _drawn_drive() -> LIFParameters:
    return replace(LIFParameters.recurrent(), centred=False)


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of single networks, means with errors, paired tests, and what became of the claims."""
    rows = list({id(row): row for result in results.values() for row in result.record["rows"]}.values())
    table = []
    for neurons, ratio, method in compared(plan):
        mine, full, lnp = (_of(rows, neurons, ratio, one) for one in (method, "unpruned", "LNP"))
        line: dict[str, Any] = {"neurons": neurons, "ratio": ratio, "method": method, "factor": mine[0]["factor"]}
        line["operation_ratio"] = float(np.mean(ratios(full, mine, "operations")))
        line |= means(mine, (*NAMES, "survivors", "synapses", "mean_rate_hz", "spectral_radius"))
        table.append(line | {f"{name} against LNP": paired(lnp, mine, name) for name in NAMES})
    return {"table": table, "claims": _claims(plan, rows), "rows": rows}


def _of(rows: list[dict[str, Any]], neurons: int, ratio: float, method: str) -> list[dict[str, Any]]:
    mine = {
        r["seed"]: r for r in rows if (r["neurons"], r["method"]) == (neurons, method) and r["ratio"] in (ratio, 1.0)
    }
    return [mine[seed] for seed in sorted(mine)]


def _claims(plan: Plan, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def parts(name: str, others: tuple[str, ...], errors: float, which: tuple[float, ...]) -> list[tuple[str, bool]]:
        found, there = [], compared(plan)
        for neurons, ratio, other in product(sizes(plan), which, others):
            if (neurons, ratio, other) in there:
                better, error = paired(_of(rows, neurons, ratio, "LNP"), _of(rows, neurons, ratio, other), name)
                said = f"{other}, N = {neurons}, ratio {ratio:g}: {better:+.3g} ± {error:.2g}"
                found.append((said, bool(better >= errors * error)))
        return found

    kept = [
        (text, better > -abs(float(text.split("± ")[1]))) for name in NAMES for text, better in _kept(plan, rows, name)
    ]
    return [
        claimed("LNP keeps at least what the unpruned network is worth, to one standard error", kept),
        *(
            claimed(f"LNP beats controls by three standard errors in {name}", parts(name, CONTROLS, 3.0, (37.0, 60.0)))
            for name in ("capacity", "mackey_glass_30")
        ),
        claimed(
            "LNP beats random thinning at ratio 20 by two standard errors in capacity",
            parts("capacity", ("random",), 2.0, (20.0,)),
        ),
        claimed(
            "LNP beats even and connected networks without scores by two standard errors in capacity",
            parts("capacity", ("even and connected",), 2.0, (10.0, 20.0, 37.0, 60.0)),
        ),
        *(
            claimed(f"LNP keeps the {what} within 5 %", [_share(rows, n, name) for n in sizes(plan)])
            for what, name in (("mean rate", "mean_rate_hz"), ("spectral radius times the factor", "spectral_radius"))
        ),
        claimed(
            "the largest exponent does not grow by more than its standard error",
            [_exponent(rows, n) for n in sizes(plan)],
        ),
    ]


def _share(rows: list[dict[str, Any]], neurons: int, name: str) -> tuple[str, bool]:
    """Return by how much LNP's networks have more of something than unpruned ones at the same factor."""
    mine, full = (_of(rows, neurons, 37.0, method) for method in ("LNP", "unpruned"))
    factor = [a["factor"] / b["factor"] if name == "spectral_radius" else 1.0 for a, b in zip(mine, full, strict=True)]
    more, error = mean_and_error([a[name] / b[name] / f - 1 for a, b, f in zip(mine, full, factor, strict=True)])
    return f"N = {neurons}: {100 * more:+.1f} ± {100 * error:.1f} %", abs(more) <= 0.05


def _exponent(rows: list[dict[str, Any]], neurons: int) -> tuple[str, bool]:
    mine = _of(rows, neurons, 37.0, "LNP")
    before, after = (np.array([r[f"largest_exponent_{when}_per_s"][0] for r in mine]) for when in ("before", "after"))
    more, error = mean_and_error(after - before)
    return f"N = {neurons}: {before.mean():.1f} -> {after.mean():.1f}, {more:+.1f} ± {error:.1f} / s", more <= error


def _kept(plan: Plan, rows: list[dict[str, Any]], name: str) -> list[tuple[str, float]]:
    found = []
    for neurons in sizes(plan):
        better, error = paired(_of(rows, neurons, 37.0, "LNP"), _of(rows, neurons, 37.0, "unpruned"), name)
        found.append((f"{name}, N = {neurons}: {better:+.3g} ± {error:.2g}", better))
    return found


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return what matters most at the first ratio, and a table for every size and ratio, heads first."""
    made = {SUMMARY: _summary(content["table"])}
    for r in content["table"]:
        head = ["network", "operations: ratio", "factor", "rate (Hz)", "spectral radius", *NAMES]
        lines = made.setdefault(f"N = {r['neurons']}, ratio {r['ratio']:g}", [head])
        cells = [r["method"], "-" if r["method"] == "uncoupled" else f"{r['operation_ratio']:.1f}", f"{r['factor']:g}"]
        cells += [plus_minus(r["mean_rate_hz"], 1), plus_minus(r["spectral_radius"], 2)]
        lines.append([*cells, *(plus_minus(r[name], 2 if r[name][0] > 1.5 else 3) for name in NAMES)])
    return made


def _summary(table: list[dict[str, Any]]) -> list[list[str]]:
    neurons = sorted({r["neurons"] for r in table})
    names = ("capacity", "mackey_glass_30")
    lines = [["network", *(f"{name}, N = {n}" for n in neurons for name in ("capacity", "Mackey-Glass 30"))]]
    for method in METHODS:
        cells = [method]
        for n in neurons:
            mine = [r for r in table if (r["neurons"], r["ratio"], r["method"]) == (n, 37, method)]
            for name, digits in zip(names, (2, 3), strict=True):
                cells.append(plus_minus(mine[0][name], digits) if mine else "")
        lines.append(cells)
    return lines


def _color(method: str) -> str:
    return "tab:blue" if method.startswith("LNP") else "black" if method == "unpruned" else "0.5"


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw by how much LNP is better than each other network, in standard deviations of the unpruned ones."""
    table = [r for r in content["table"] if r["ratio"] == 37]
    neurons = sorted({r["neurons"] for r in table})
    figure = Figure(figsize=(10, 4 + 3.2 * len(neurons)), layout="constrained")
    axes = figure.subplots(len(neurons), 2, squeeze=False)
    for row, n in zip(axes, neurons, strict=True):
        mine = [r for r in table if r["neurons"] == n]
        for axis, name in zip(row, ("capacity", "mackey_glass_30"), strict=True):
            ranking(axis, {r["method"]: r[name] for r in mine}, _color)
            unit = "capacity" if name == "capacity" else "Mackey-Glass, 30 ahead: NRMSE"
            axis.set(title=f"N = {n}", xlabel=unit)
            axis.axvline(next(r[name][0] for r in mine if r["method"] == "unpruned"), color="black", linewidth=0.6)
    return finish(figure)
