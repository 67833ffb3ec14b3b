"""Lyapunov spectra of random networks of three densities: unpruned, pruned, and pruned and then trained.

    lnpbrian sweep fig_spectra --scale medium --out runs/fig_spectra

Appendix A.7 of the paper. A plastic HRSNN is pruned without
data, then learns by STDP while it is shown a Lorenz-63 series, every half second scaling the weights onto each neuron,
of either sign, back to the sums they had (without that, potentiation drives it to its highest rates). Every spectrum is
that of frozen weights under the same noise drive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from brian2 import ms, second
from matplotlib.figure import Figure

from lnpbrian.experiments.common import Plan, Report, Result, Streams, Task, all_rows, claimed, finish
from lnpbrian.learning import CurrentEncoder, lorenz63
from lnpbrian.lyapunov import interpolate_spectrum
from lnpbrian.lyapunov.stability import SpectrumOptions, stability_record
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network import Drive, observe
from lnpbrian.pruning import BetweennessPruning, NoisePruning, PruneOptions, prune

NAME = "fig_spectra"
STAGES = ("unpruned", "pruned", "trained")
# Synaptic scaling happens this often, in s.
SCALING = 0.5
COLORS = ("#1b3a57", "#3a9188", "#d1495b")


OPTIONS = {
    "synapse_sparsity": 0.9,
    "neuron_sparsity": 0.3,
    "iterations": 5,
    "sample_ms": 50.0,
    "reorthonormalise_every_ms": 20.0,
}


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the measurements by density and seed.

    The densities at full size are those of arXiv 2403.03409, section A.7.
    """
    made = {}
    for p in plan.scale.densities:
        for seed in range(plan.scale.seeds):
            options = {"p": p, "seed": seed, **_options(plan)}
            made[p, seed] = Task(f"p = {p:g}, seed {seed}", f"{__name__}:measured", options)
    return made


def _options(plan: Plan) -> dict[str, Any]:
    s = plan.scale
    return {"neurons": s.neurons, **OPTIONS, "training_s": s.training_s, "duration_ms": s.exponents_ms}


def measured(options: Mapping[str, Any], *, report: Report) -> Result:
    """Measure the spectra of the three stages of one network.

    The stages are those of arXiv 2403.03409, figure 7.
    """
    p, seed, neurons = options["p"], options["seed"], options["neurons"]
    streams = Streams(seed).child("fig_spectra")
    spectrum = SpectrumOptions(
        duration=options["duration_ms"] * ms, reorthonormalise_every=options["reorthonormalise_every_ms"] * ms
    )
    records: list[dict[str, Any]] = []

    def record(stage: str) -> None:
        done = len(records) / len(STAGES)
        records.append(
            stability_record(
                model.spec,
                f"{stage}, p = {p:g}",
                options=spectrum,
                seed=seed,
                report=lambda fraction: report(done + fraction / len(STAGES), stage),
            )
            | {"stage": stage, "p": p, "seed": seed}
        )

    # Weights drift, and are scaled back, as in the rule of the paper.
    parameters = LIFParameters(depression="independent")
    model = HRSNN(neurons, p, parameters=parameters, plastic=True, check_rate=False, seed=seed)
    record("unpruned")
    # A random network of the lowest density may fire faster than pruning would otherwise accept.
    pruning = PruneOptions(
        options["synapse_sparsity"],
        options["neuron_sparsity"],
        options["iterations"],
        exponents="twins",
        rates=(0.5, 200),
        exponent_growth=None,
    )
    steps = (NoisePruning(rescale="homeostatic", excitability="keep"), BetweennessPruning(excitability="keep"))
    prune(model, steps, options=pruning, seed=seed)
    record("pruned")
    train(model, options, streams.rng("encoder"))
    record("trained")
    return Result({"rows": [rounded(record) for record in records]})


def train(model: HRSNN, options: Mapping[str, Any], rng: np.random.Generator) -> None:
    """Let `model` learn by STDP while it is shown a series, with synaptic scaling.

    Synaptic scaling: Turrigiano et al. 1998, doi:10.1038/36103.
    """
    series = lorenz63().values
    hold = options["sample_ms"] * 1e-3
    z = ((series - series.mean(axis=0)) / series.std(axis=0))[: round(options["training_s"] / hold)]
    current = z @ CurrentEncoder.draw(options["neurons"], z.shape[1], scale=0.5, rng=rng).weights.T
    group = 2 * np.array(model.synapses.j[:]) + (model.synapses.w_[:] > 0)
    sums = np.bincount(group, np.abs(model.synapses.w_[:]))
    samples = round(SCALING / hold)
    for start in range(0, len(z), samples):
        drive = Drive(current[start : start + samples], hold)
        observe(model, drive.duration * second, drive=drive)
        weights = model.synapses.w_[:]
        now = np.bincount(group, np.abs(weights), minlength=sums.size)
        model.synapses.w = weights * (sums / np.where(now > 0, now, 1))[group]


def mean_spectrum(records: list[dict[str, Any]], stage: str, p: float, size: int) -> np.ndarray:
    """Return the spectra of all seeds on the common grid i/size, shape (seeds, size)."""
    mine = [r["exponents_per_s"] for r in records if (r["stage"], r["p"]) == (stage, p)]
    return np.array([interpolate_spectrum(np.array(exponents), size) for exponents in mine])


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return every exponent, and whether they bear out what the paper says of its figure."""
    records = all_rows(results)
    return {"options": _options(plan), "claims": claims(records, plan.scale.densities), "networks": records}


def claims(records: list[dict[str, Any]], densities: Sequence[float]) -> list[dict[str, Any]]:
    """State what the paper says of its figure, with our numbers and whether they bear it out.

    What is claimed: arXiv 2403.03409, section A.7.
    """
    size = max(r["dimension"] for r in records)
    spectra = {(s, p): mean_spectrum(records, s, p, size) for s in STAGES for p in densities}

    def change(later: str, earlier: str) -> dict[str, float]:
        return {f"{p:g}": float(np.mean(spectra[later, p] - spectra[earlier, p])) for p in densities}

    def largest(stage: str) -> dict[str, float]:
        return {f"{p:g}": float(spectra[stage, p][:, 0].mean()) for p in densities}

    def largest_error(stage: str) -> dict[str, float]:
        errors = {
            p: [r["standard_errors_per_s"][0] for r in records if (r["stage"], r["p"]) == (stage, p)] for p in densities
        }
        return {f"{p:g}": float(np.linalg.norm(e) / len(e)) for p, e in errors.items()}

    def spread(stage: str) -> float:
        means = np.array([spectra[stage, p].mean(axis=0) for p in densities])
        return float(np.sqrt(np.mean((means - means.mean(axis=0)) ** 2)))

    pruning, training = change("pruned", "unpruned"), change("trained", "pruned")
    spreads = {stage: spread(stage) for stage in STAGES}
    leading = {stage: largest(stage) for stage in STAGES}
    sparsest, densest = f"{min(densities):g}", f"{max(densities):g}"
    return [
        _claim(
            "pruning makes the exponents more negative",
            all(value < 0 for value in pruning.values()),
            "mean over the spectrum of pruned minus unpruned, 1/s, by density",
            pruning,
        ),
        _claim(
            "pruning lowers the largest exponent",
            all(leading["pruned"][p] < leading["unpruned"][p] for p in pruning),
            "largest exponent, 1/s, by stage and density",
            leading,
            standard_errors={stage: largest_error(stage) for stage in STAGES},
        ),
        _claim(
            "training brings some of it back",
            all(0 < training[p] < abs(pruning[p]) for p in training),
            "mean over the spectrum of trained minus pruned, 1/s, by density",
            training,
        ),
        _claim(
            "the spectra of different densities converge",
            spreads["unpruned"] > spreads["pruned"] and spreads["unpruned"] > spreads["trained"],
            "root mean square deviation from the mean over densities, 1/s, by stage",
            spreads,
        ),
        _claim(
            "the sparsest random network is the least stable",
            leading["unpruned"][sparsest] > max(0.0, leading["unpruned"][densest]),
            "largest exponent of the unpruned network, 1/s, by density",
            leading["unpruned"],
            standard_errors=largest_error("unpruned"),
        ),
    ]


def _claim(text: str, held: bool, measure: str, values: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return a claim of one part, with the numbers that it was judged by."""
    return claimed(text, [(f"{measure}: {_written(values)}", held)]) | {"measure": measure, "values": values, **more}


def _written(values: Any) -> str:
    if not isinstance(values, Mapping):
        return f"{values:.3g}"
    return ", ".join(
        f"{key} ({_written(v)})" if isinstance(v, Mapping) else f"{key}: {v:.3g}" for key, v in values.items()
    )


def rounded(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with its long lists to 0.01/s, a hundredth of their errors."""
    lists = ("exponents_per_s", "standard_errors_per_s")
    return record | {name: [round(value, 2) for value in record[name]] for name in lists}


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return size and largest exponent of every network."""
    lines = [["network", "density", "seed", "neurons", "synapses", "largest exponent (1/s)"]]
    for r in content["networks"]:
        line = [r["stage"], f"{r['p']:g}", str(r["seed"]), str(r["neurons"]), str(r["synapses"])]
        lines.append([*line, f"{r['exponents_per_s'][0]:.2f} ± {r['standard_errors_per_s'][0]:.2f}"])
    return {"Networks": lines}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the spectra of every stage, a line for every density, from the content of the JSON file.

    Figure 7 of arXiv 2403.03409.
    """
    records = content["networks"]
    densities = sorted({r["p"] for r in records})
    size = max(r["dimension"] for r in records)
    grid = np.arange(1, size + 1) / size
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    axes = figure.subplots(2, len(STAGES), sharey="row", sharex="row", height_ratios=(3, 2))
    leading = grid <= 0.05
    for column, stage in enumerate(STAGES):
        for p, color in zip(densities, COLORS, strict=False):
            spectra = mean_spectrum(records, stage, p, size)
            mean, low, high = spectra.mean(axis=0), spectra.min(axis=0), spectra.max(axis=0)
            for axis, shown in ((axes[0, column], slice(None)), (axes[1, column], leading)):
                axis.plot(grid[shown], mean[shown], color=color, linewidth=1.4, label=f"p = {p:g}")
                axis.fill_between(grid[shown], low[shown], high[shown], color=color, alpha=0.2, linewidth=0)
        axes[0, column].set(title=stage, xlabel="i/D")
        axes[1, column].set(xlabel="i/D, leading 5 %")
        for axis in axes[:, column]:
            axis.axhline(0, color="black", linewidth=0.6)
    every = np.concatenate([r["exponents_per_s"] for r in records])
    # The fastest membranes, down to -1000/s, would squeeze the rest.
    axes[0, 0].set_ylim(1.1 * float(np.percentile(every, 1)), float(every.max()) + 5)
    axes[0, 0].set_ylabel("Lyapunov exponent (1/s)")
    axes[1, 0].set_ylabel("Lyapunov exponent (1/s)")
    axes[0, 0].legend(frameon=False)
    return finish(figure)
