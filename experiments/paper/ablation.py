"""What each step of Lyapunov noise pruning does to cost and forecast: the paper's points A to E, and its other paths.

    lnpbrian sweep ablation --scale medium --out runs/ablation

Figure 13 and appendix B.5 of the paper, with Lorenz-63 in closed loop for CIFAR-10. Step I makes B of the unpruned
network A, step II makes C of B, III makes D of C, IV makes E of D; beside it B -III-> D' -IV-> E', B -IV-> E'' and
C -IV-> E'''. Controls: C with synapses removed at random, or by degree alone, in place of step I; and random networks
with the neurons and synapses of E.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    all_rows,
    finish,
    mean_and_error,
    plus_minus,
    ratios,
    unlike,
    where,
)
from lnpbrian.learning import CurrentEncoder, forecast, forecast_task
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network import NetworkSpec, RecurrentNetwork, noise_drive
from lnpbrian.pruning import (
    BetweennessPruning,
    Delocalisation,
    NoisePruning,
    PruneOptions,
    Step,
    TimescaleTuning,
    prune,
)
from lnpbrian.pruning.prunable import prunable
from lnpbrian.pruning.steps.noise import keep_probability, sample_edges

NAME = "ablation"
# Step III adds this fraction of the synapses.
NEW_EDGES = 0.1
# Point: the point it is made of, and the step that makes it.
PATHS = {
    "B": ("A", "I"),
    "C": ("B", "II"),
    "D": ("C", "III"),
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
}
# Networks that others are made of, of no interest by themselves.
ON_THE_WAY = ("B random", "B degree")
# Of the neurons; the first are those of this experiment.
CONSTANTS = {None: LIFParameters.forecasting, "images": LIFParameters.images}
POINTS = tuple(point for point in ("A", *PATHS) if point not in ON_THE_WAY)
COLORS = {"I": "#1b3a57", "II": "#4f8fc0", "III": "#e3a857", "IV": "#3a9188"}


def tasks(plan: Plan, *, kept: float | None = None, points: Sequence[str] | None = None) -> dict[Any, Task]:
    """Return the measurements by seed and point.

    The points are those of arXiv 2403.03409, figure 13, which has them on CIFAR-10.
    """
    s = plan.scale

    def measurement(point: str, seed: int) -> Task:
        options = {"point": point, "seed": seed, "neurons": s.neurons, "windows": s.windows}
        need = network(plan, point, seed, kept=kept)
        return Task(f"forecast of {point}, seed {seed}", f"{__name__}:measured", options, (need,))

    return {
        (seed, point): measurement(point, seed)
        for seed in range(s.seeds)
        for point in dict.fromkeys(("A", *(points or POINTS)))
    }


def network(plan: Plan, point: str, seed: int, *, kept: float | None = None, constants: str | None = None) -> Task:
    """The task of making the network of a point, with the constants of `CONSTANTS` of that name."""
    s = plan.scale
    options: dict[str, Any] = {"point": point, "seed": seed, "neurons": s.neurons}
    needs: tuple[Task, ...] = ()
    if constants is not None:
        options["constants"] = constants
    if point != "A":
        options |= {
            "kept": kept or s.kept[0],
            "neuron_sparsity": s.neurons_of_figures,
            "iterations": s.iterations,
            "new_edges": NEW_EDGES,
        }
        before, unpruned = (network(plan, p, seed, kept=kept, constants=constants) for p in (PATHS[point][0], "A"))
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
    streams = Streams(seed).child("ablation")
    if step in ("random", "degree"):
        return _without_synapses(spec, kept, step, streams)
    if step == "new":
        return _random_network(spec, seed, options)
    model = RecurrentNetwork(spec)
    settings: dict[str, dict[str, Any]] = {
        "I": {"synapse_sparsity": 1 - kept, "iterations": options["iterations"]},
        "II": {"neuron_sparsity": options["neuron_sparsity"], "iterations": options["iterations"]},
        "III": {"iterations": 1},
        "IV": {"iterations": 1},
    }
    targets = {"synapse_sparsity": 0.0, "neuron_sparsity": 0.0} | settings[step]
    if step == "II":
        targets["synapse_sparsity"] = 1 - (1 - options["neuron_sparsity"]) ** 2
    chosen = PruneOptions(**targets, rates=(0, 1e4), exponent_growth=None)
    made: dict[str, Step] = {
        "I": NoisePruning(),
        "II": BetweennessPruning(),
        "III": Delocalisation(options["new_edges"], rule="variance"),
        "IV": TimescaleTuning(reference=unpruned),
    }
    prune(model, (made[step],), options=chosen, seed=seed)
    return model.spec


def _unseen(what: str, fraction: float) -> None:
    """Progress that nobody looks at."""


def _without_synapses(spec: NetworkSpec, kept: float, by: str, streams: Streams) -> NetworkSpec:
    """Return `spec` with a fraction of its synapses, chosen at random or by the degrees of their ends alone."""
    rng = streams.rng(by)
    score = np.ones(spec.n_synapses)
    if by == "degree":
        degree = np.bincount(spec.post, minlength=spec.n_neurons)
        # What the score of step I comes to when all exponents are equal: C_ii + C_jj of a row-dominant network.
        score = 1 / degree[spec.post] + 1 / np.maximum(degree[spec.pre], 1)
    keep = sample_edges(keep_probability(score, fraction=kept).probability, rng=rng)
    model, options = RecurrentNetwork(spec), PruneOptions()
    drive = noise_drive(spec.n_neurons, duration=options.observation, rng=streams.rng("drive"))
    network = prunable(model, options, streams, drive)
    with network.same_input(network.observe(_unseen).rates, "compensate"):
        network.keep_synapses(keep)
    return model.spec


def _unpruned(neurons: int, p: float, seed: int, options: Mapping[str, Any]) -> NetworkSpec:
    constants = options.get("constants")
    parameters = CONSTANTS[constants]()
    # What is to learn images by STDP is plastic.
    plastic = constants == "images"
    return HRSNN(neurons, p, parameters=parameters, plastic=plastic, check_rate=False, seed=seed).spec


def _random_network(spec: NetworkSpec, seed: int, options: Mapping[str, Any]) -> NetworkSpec:
    """Return a random network drawn anew with as many neurons and synapses as `spec`."""
    n, wanted = spec.n_alive, spec.n_synapses
    # Drawn with more synapses than wanted, by five standard deviations, of which as many as wanted stay.
    p = min(1.0, (wanted + 5 * np.sqrt(wanted) + 5) / (n * (n - 1)))
    dense = _unpruned(n, p, seed + 1000, options)
    rng = Streams(seed).child("ablation").rng("random network")
    return dense.of_synapses(np.sort(rng.choice(dense.n_synapses, min(wanted, dense.n_synapses), replace=False)))


def measured(options: Mapping[str, Any], network: Result, *, report: Report) -> Result:
    """Measure a network under noise, and let it forecast."""
    spec, neurons, seed = NetworkSpec.from_arrays(network.arrays), options["neurons"], options["seed"]
    streams = Streams(seed).child("ablation")
    task = forecast_task("lorenz63", n_windows=options["windows"])
    weights = CurrentEncoder.draw(neurons, task.dimensions, rng=streams.rng("encoder"))
    # A network drawn anew has inputs of its own: those of the first neurons.
    alive = spec.alive if spec.n_neurons == neurons else np.arange(neurons) < spec.n_neurons
    drive = noise_drive(neurons, duration=1 * second, rng=streams.rng("drive")).of_neurons(
        np.arange(neurons) < spec.n_neurons
    )
    seen = prunable(RecurrentNetwork(spec), PruneOptions(), streams, drive).observe(_unseen)
    found = forecast(spec.compacted(), weights.of_neurons(alive), task, rng=streams.rng("input"))
    row = {
        "point": options["point"],
        "seed": seed,
        "neurons": spec.n_alive,
        "synapses": spec.n_synapses,
        "mean_rate_hz": float(seen.rates[spec.alive].mean()),
        "largest_exponent_per_s": seen.network_exponent[0],
        "synaptic_operations": found.synaptic_operations,
        "nrmse_windows": [float(x) for x in found.nrmse],
        "vpt_windows": [int(x) for x in found.vpt_steps[0.1]],
    }
    return Result({"rows": [row]})


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of single networks, and their means."""
    rows = all_rows(results)
    return {"summary": means(rows), "rows": rows}


def means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return means over seeds and windows for every point; standard errors are over seeds."""
    before = where(rows, point="A")
    found = []
    for point in unlike(rows, "point"):
        mine = where(rows, point=point)
        entry: dict[str, Any] = {"point": point}
        for name, values in (
            *((name, [r[name] for r in mine]) for name in ("neurons", "synapses")),
            ("operation_ratio", ratios(before, mine)),
            *((name, [r[name] for r in mine]) for name in ("mean_rate_hz", "largest_exponent_per_s")),
            ("nrmse", [np.mean(r["nrmse_windows"]) for r in mine]),
            ("nrmse_median", [np.median(r["nrmse_windows"]) for r in mine]),
            ("vpt_steps", [np.mean(r["vpt_windows"]) for r in mine]),
        ):
            entry[name], entry[f"{name}_standard_error"] = mean_and_error(values)
        found.append(entry)
    return found


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the table as rows of text, its head first."""
    head = ["network", "made of", "by", "neurons", "synapses", "operations", "NRMSE, mean", "median", "VPT (steps)"]
    lines = [head]
    for r in content["summary"]:
        line = [r["point"], *PATHS.get(r["point"], ("", "")), f"{r['neurons']:.0f}", f"{r['synapses']:.0f}"]
        line += [f"/ {r['operation_ratio']:.1f}", f"{r['nrmse']:.3f}", f"{r['nrmse_median']:.3f}"]
        lines.append([*line, plus_minus((r["vpt_steps"], r["vpt_steps_standard_error"]))])
    return {"Points": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw valid prediction time and error of every point, coloured by the step that made it, over its operations.

    Figure 13 of arXiv 2403.03409 has accuracies.
    """
    entries = content["summary"]
    names = [entry["point"] for entry in entries]
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    for axis, name, label in (
        (axes[0], "vpt_steps", "valid prediction time (steps)"),
        (axes[1], "nrmse", "NRMSE in closed loop"),
    ):
        path = [entry[name] for entry in entries if entry["point"] in "ABCDE"]
        axis.plot([k for k, point in enumerate(names) if point in "ABCDE"], path, color="#c9c9c9", zorder=0)
        for k, entry in enumerate(entries):
            step = PATHS.get(entry["point"], ("", ""))[1]
            control = " " in entry["point"] or step not in COLORS
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
    shares = [f"{point}\n{100 / entry['operation_ratio']:.1f} %" for point, entry in zip(names, entries, strict=True)]
    axes[1].set_xticks(range(len(names)), shares, fontsize=9)
    axes[1].set_xlabel("network, and its synaptic operations in per cent of those of A")
    for step, color in COLORS.items():
        axes[0].plot([], [], "o", color=color, label=f"step {step}")
    axes[0].plot([], [], "x", color="#7a7a7a", label="unpruned, controls")
    return finish(figure, axes[0], 5, "outside upper center")
