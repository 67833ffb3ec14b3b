"""What each step of Lyapunov noise pruning does to cost and forecast: the paper's points A to E, and its other paths.

    lnpbrian sweep ablation --scale medium --out runs/ablation

Figure 13 and appendix B.5 of the paper, with Lorenz-63 in closed loop, of which one variable is seen, for CIFAR-10.
Networks have a spectral radius of 1; a readout is all that is trained. Step I makes B of the unpruned network A, step
II makes C of B, III makes D of C, IV makes E of D; beside it B -III-> D' -IV-> E', B -IV-> E'' and C -IV-> E''', and by
the paper's rule of step III "D variance" of C. Controls: C with synapses removed at random, or by degree alone, in
place of step I; a random network with the neurons and synapses of E; and A without synapses. All are at A's radius.
"E sparser" and its random network have fewer synapses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lnpbrian.experiments.common import (
    LORENZ,
    Plan,
    Report,
    Result,
    Streams,
    Task,
    claimed,
    finish,
    lead,
    mean_and_error,
    plus_minus,
    ratios,
    unlike,
    where,
)
from lnpbrian.experiments.common.bed import bed_response, restored
from lnpbrian.experiments.common.statistics import windows
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network import NetworkSpec, RecurrentNetwork
from lnpbrian.pruning import (
    BetweennessPruning,
    Delocalisation,
    NoisePruning,
    PruneOptions,
    Step,
    TimescaleTuning,
    prune,
)
from lnpbrian.pruning.controls import at_radius
from lnpbrian.pruning.steps.noise import keep_probability, sample_edges

NAME = "ablation"
# Step III adds this fraction of the synapses.
NEW_EDGES = 0.1
# Point: the point it is made of, and the step that makes it.
PATHS = {
    "B": ("A", "I"),
    "C": ("B", "II"),
    "D": ("C", "III"),
    "D variance": ("C", "III variance"),
    "E": ("D", "IV"),
    "D'": ("B", "III"),
    "E'": ("D'", "IV"),
    "E''": ("B", "IV"),
    "E'''": ("C", "IV"),
    "B random": ("A", "random"),
    "C random": ("B random", "II"),
    "B degree": ("A", "degree"),
    "C degree": ("B degree", "II"),
    "random": ("E", "new"),
    "uncoupled": ("A", "none"),
}
# Networks that others are made of, of no interest by themselves.
ON_THE_WAY = ("B random", "B degree")
CONSTANTS = {"recurrent": LIFParameters.recurrent, "images": LIFParameters.images}
POINTS = tuple(point for point in ("A", *PATHS) if point not in ON_THE_WAY)
# Points that are shown at the second fraction of synapses of a scale as well.
SPARSER, MARK = ("E", "random"), " sparser"
# What the paper says of its figure, and two sentences of ours: of two points the first forecasts longer.
SAID = (
    ("Step II: C forecasts for less long than B", "B", "C"),
    ("Step III: D forecasts longer than C", "D", "C"),
    ("Step III by the paper's rule: D forecasts longer than C", "D variance", "C"),
    ("Step IV: E forecasts longer than D", "E", "D"),
    ("All steps: E forecasts longer than C -IV-> E'''", "E", "E'''"),
    ("Without step II: E' forecasts longer than E", "E'", "E"),
    ("Without steps II and III: E'' forecasts for less long than E'", "E'", "E''"),
    ("Beside the paper: step I makes B, which forecasts longer than A", "B", "A"),
    ("Beside the paper: E forecasts longer than a random network of its size", "E", "random"),
)
COLORS = {"I": "#1b3a57", "II": "#4f8fc0", "III": "#e3a857", "IV": "#3a9188"}


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the forecasts by seed and point.

    The points are those of arXiv 2403.03409, figure 13, which has them on CIFAR-10.
    """

    def measurement(point: str, seed: int) -> Task:
        like = plan.forecast("HRSNN", "unpruned", "none", LORENZ, seed)
        kept = plan.scale.kept[point.endswith(MARK)]
        need = network(plan, point.removesuffix(MARK), seed, kept=kept)
        return Task(f"forecast of {point}, seed {seed}", like.function, like.options, (need,), cost=like.cost)

    shown = (*POINTS, *(point + MARK for point in SPARSER))
    return {(seed, point): measurement(point, seed) for seed in plan.seeds for point in shown}


def network(
    plan: Plan, point: str, seed: int, *, kept: float | None = None, constants: str = "recurrent", rule: str = "connect"
) -> Task:
    """The task of making the network of a point, with the constants of `CONSTANTS` and step III by a rule."""
    s = plan.scale
    options: dict[str, Any] = {"point": point, "seed": seed, "neurons": s.neurons, "constants": constants}
    needs: tuple[Task, ...] = ()
    if point != "A":
        options |= {
            "kept": kept or s.kept[0],
            "neuron_sparsity": s.neurons_of_figures,
            "iterations": s.iterations,
            "rule": rule,
            "new_edges": NEW_EDGES,
        }
        before, unpruned = (
            network(plan, p, seed, kept=kept, constants=constants, rule=rule) for p in (PATHS[point][0], "A")
        )
        needs = (before, unpruned)
    return Task(f"{point}, seed {seed}", f"{__name__}:made", options, needs, cost=2)


def made(options: Mapping[str, Any], *needs: Result, report: Report) -> Result:
    """Make the network of a point of the one that it comes from; the unpruned network is the last of what it needs.

    Which point is made of which, and by which step: arXiv 2403.03409, section B.5.
    """
    point, seed = options["point"], options["seed"]
    if point == "A":
        spec = _unpruned(options["neurons"], 0.1, seed, options)
    else:
        origin, unpruned = (NetworkSpec.from_arrays(need.arrays) for need in needs)
        spec = _stepped(origin, unpruned, options)
    return Result({"neurons": spec.n_alive, "synapses": spec.n_synapses}, spec.to_arrays())


def _stepped(spec: NetworkSpec, unpruned: NetworkSpec, options: Mapping[str, Any]) -> NetworkSpec:
    seed, step = options["seed"], PATHS[options["point"]][1]
    # Step II takes this fraction of the synapses along, so that C has the number asked for.
    kept = options["kept"] / (1 - options["neuron_sparsity"]) ** 2
    if step in ("random", "degree"):
        return _without_synapses(spec, kept, step, seed)
    if step == "new":
        return _random_network(spec, unpruned, options)
    if step == "none":
        return spec.uncoupled(bed_response(spec, seed).rates)
    model = RecurrentNetwork(spec)
    settings: dict[str, dict[str, Any]] = {
        "I": {"synapse_sparsity": 1 - kept, "iterations": options["iterations"]},
        "II": {"neuron_sparsity": options["neuron_sparsity"], "iterations": options["iterations"]},
    }
    targets = {"synapse_sparsity": 0.0, "neuron_sparsity": 0.0, "iterations": 1} | settings.get(step, {})
    if step == "II":
        targets["synapse_sparsity"] = 1 - (1 - options["neuron_sparsity"]) ** 2
    chosen = PruneOptions(**targets, rates=(0, 1e4), exponent_growth=None)
    by_variance = Delocalisation(options["new_edges"], rule="variance")
    steps: dict[str, Step] = {
        "I": NoisePruning(),
        "II": BetweennessPruning(),
        "III": by_variance if options["rule"] == "variance" else Delocalisation(rule=options["rule"]),
        "III variance": by_variance,
        "IV": TimescaleTuning(reference=unpruned),
    }
    prune(model, (steps[step],), options=chosen, seed=seed)
    return model.spec


def _without_synapses(spec: NetworkSpec, kept: float, by: str, seed: int) -> NetworkSpec:
    """Return `spec` with a fraction of its synapses, chosen at random or by the degrees of their ends alone."""
    score = np.ones(spec.n_synapses)
    if by == "degree":
        degree = np.bincount(spec.post, minlength=spec.n_neurons)
        # What the score of step I comes to when all exponents are equal: C_ii + C_jj of a row-dominant network.
        score = 1 / degree[spec.post] + 1 / np.maximum(degree[spec.pre], 1)
    rng = Streams(seed).child("ablation").rng(by)
    keep = sample_edges(keep_probability(score, fraction=kept).probability, rng=rng)
    return restored(spec.of_synapses(np.flatnonzero(keep)), spec, bed_response(spec, seed))


def _unpruned(neurons: int, p: float, seed: int, options: Mapping[str, Any]) -> NetworkSpec:
    constants = options["constants"]
    # What is to learn images by STDP is plastic.
    plastic = constants == "images"
    return HRSNN(neurons, p, parameters=CONSTANTS[constants](), plastic=plastic, check_rate=False, seed=seed).spec


def _random_network(spec: NetworkSpec, unpruned: NetworkSpec, options: Mapping[str, Any]) -> NetworkSpec:
    """Return a random network drawn anew, as large as `spec`, with the spectral radius of the unpruned one."""
    n, wanted, seed = spec.n_alive, spec.n_synapses, options["seed"]
    # Drawn with more synapses than wanted, by five standard deviations, of which as many as wanted stay.
    p = min(1.0, (wanted + 5 * np.sqrt(wanted) + 5) / (n * (n - 1)))
    dense = _unpruned(n, p, seed + 1000, options)
    rng = Streams(seed).child("ablation").rng("random network")
    small = dense.of_synapses(np.sort(rng.choice(dense.n_synapses, min(wanted, dense.n_synapses), replace=False)))
    return at_radius(small, bed_response(unpruned, seed).spectral_radius, response=bed_response(dense, seed))


def made_of(point: str) -> tuple[str, str]:
    """Return the point that one is made of, and the step; nothing of A.

    >>> made_of("E sparser"), made_of("A")
    (('D', 'IV'), ('', ''))
    """
    return PATHS.get(point.removesuffix(MARK), ("", ""))


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of single networks, and their means."""
    plain = ("neurons", "synapses", "synaptic_operations", "task_rate_hz")
    rows = [
        {
            **{"point": point, "seed": seed, **{name: result.record[name] for name in plain}},
            **{f"{name}_windows": windows(result.record, name) for name in ("nrmse", "vpt")},
        }
        for (seed, point), result in results.items()
    ]
    shown = unlike(rows, "point")
    of_networks = _over_windows(rows)
    claims = [claimed(text, [_found(of_networks, *pair)]) for text, *pair in SAID if set(pair) <= set(shown)]
    return {"seeds": list(plan.seeds), "summary": means(rows), "claims": claims, "rows": rows}


def _over_windows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with means and medians over their windows."""
    return [
        {
            **r,
            "nrmse": np.mean(r["nrmse_windows"]),
            "nrmse_median": np.median(r["nrmse_windows"]),
            "vpt_steps": np.mean(r["vpt_windows"]),
        }
        for r in rows
    ]


def _found(rows: list[dict[str, Any]], more: str, less: str) -> tuple[str, bool]:
    """Return by how many steps one point forecasts longer, network by network, and whether by two standard errors."""
    first, second = (where(rows, point=point) for point in (more, less))
    gain, error = lead(first, second, "vpt_steps")
    # Of one network nothing is known.
    held = bool(len(first) > 1 and gain > 2 * error)
    return f"{gain:+.2f} ± {error:.2f} steps, operations x {np.mean(ratios(first, second)):.2f}", held


def means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return means over seeds and windows for every point; standard errors are over seeds."""
    rows, found = _over_windows(rows), []
    before = where(rows, point="A")
    for point in unlike(rows, "point"):
        mine = where(rows, point=point)
        entry: dict[str, Any] = {"point": point}
        for name, values in (
            *((name, [r[name] for r in mine]) for name in ("neurons", "synapses")),
            ("operation_ratio", ratios(before, mine)),
            *((name, [r[name] for r in mine]) for name in ("task_rate_hz", "nrmse", "nrmse_median", "vpt_steps")),
        ):
            entry[name], entry[f"{name}_standard_error"] = mean_and_error(values)
        entry["beside A"] = lead(mine, before, "nrmse_median")
        found.append(entry)
    return found


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first."""
    head = ["network", "made of", "by", "neurons", "synapses", "operations", "NRMSE, mean", "median", "beside A"]
    lines = [[*head, "VPT (steps)"]]
    for r in content["summary"]:
        line = [r["point"], *made_of(r["point"]), f"{r['neurons']:.0f}", f"{r['synapses']:.0f}"]
        line.append("-" if r["point"] == "uncoupled" else f"/ {r['operation_ratio']:.1f}")
        line += [f"{r['nrmse']:.3f}", f"{r['nrmse_median']:.3f}"]
        line.append("-" if r["point"] == "A" else plus_minus(r["beside A"], 3))
        lines.append([*line, plus_minus((r["vpt_steps"], r["vpt_steps_standard_error"]))])
    return {"Points": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw valid prediction time and error of every point, coloured by the step that made it, over its operations.

    Figure 13 of arXiv 2403.03409 has accuracies.
    """
    entries = content["summary"]
    names = [entry["point"] for entry in entries]
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    for axis, name, label in (
        (axes[0], "vpt_steps", "valid prediction time (steps)"),
        (axes[1], "nrmse_median", "median NRMSE in closed loop"),
    ):
        path = [entry[name] for entry in entries if entry["point"] in "ABCDE"]
        axis.plot([k for k, point in enumerate(names) if point in "ABCDE"], path, color="#c9c9c9", zorder=0)
        for k, entry in enumerate(entries):
            before, step = made_of(entry["point"])
            step = step.removesuffix(" variance")
            control = before in ON_THE_WAY or step not in COLORS
            axis.errorbar(
                k,
                entry[name],
                entry[f"{name}_standard_error"],
                fmt="x" if control else "o",
                color="#7a7a7a" if control else COLORS[step],
                markersize=7,
                capsize=3,
            )
        axis.axhline(entries[0][name], color="black", linewidth=0.6, linestyle=":")
        axis.set_ylabel(label)
    shares = []
    for entry in entries:
        share = 0.0 if entry["point"] == "uncoupled" else 100 / entry["operation_ratio"]
        shares.append("\n".join((*entry["point"].split(), f"{share:.1f} %")))
    axes[1].set_xticks(range(len(names)), shares, fontsize=9)
    axes[1].set_xlabel("network, and its synaptic operations in per cent of those of A")
    for step, color in COLORS.items():
        axes[0].plot([], [], "o", color=color, label=f"step {step}")
    axes[0].plot([], [], "x", color="#7a7a7a", label="unpruned, controls")
    return finish(figure, axes[0], 5, "outside upper center")
