"""Lyapunov spectra of random networks of three densities: unpruned, pruned, and pruned and then trained.

    python -m lnpbrian.experiments.fig_spectra --out runs/fig_spectra

writes ``fig_spectra.json`` and ``fig_spectra.png`` (arXiv 2403.03409, appendix A.7). A plastic HRSNN is pruned without
data, then learns by STDP while it is shown a Lorenz-63 series, every half second scaling the weights onto each neuron,
of either sign, back to the sums they had (without that, potentiation drives it to its highest rates). Every spectrum is
that of frozen weights under the same noise drive. Each density and seed is a part of its own, kept in ``parts/``: a run
that was stopped goes on where it was, and one that is done only draws.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import ms, second
from matplotlib.figure import Figure

from lnpbrian import checks
from lnpbrian.experiments.common import compute_parts, output_directory, part, write_results
from lnpbrian.learning.encoding import CurrentEncoder
from lnpbrian.learning.series import lorenz63
from lnpbrian.lyapunov.spectrum import interpolate_spectrum
from lnpbrian.lyapunov.stability import SpectrumOptions, stability_record
from lnpbrian.models import HRSNN
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.drive import Drive
from lnpbrian.network.simulate import observe
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import BetweennessPruning, NoisePruning
from lnpbrian.streams import Streams

STAGES = ("unpruned", "pruned", "trained")
# Synaptic scaling happens this often, in s.
SCALING = 0.5
COLORS = ("#1b3a57", "#3a9188", "#d1495b")


@dataclass(frozen=True)
class Options:
    """What one part is computed with; a part of other options is computed anew."""

    neurons: int = 1000
    synapse_sparsity: float = 0.9
    neuron_sparsity: float = 0.3
    iterations: int = 5
    training_s: float = 10.0
    sample_ms: float = 50.0
    duration_ms: float = 1000.0
    reorthonormalise_every_ms: float = 20.0


def measure_part(
    p: float, seed: int, options: Options, folder: Path, *, report: Callable[[float], None]
) -> list[dict[str, Any]]:
    """Return the records of the three stages of one network, from its file if that is there."""
    key = {"p": p, "seed": seed, **asdict(options)}
    return part(folder / f"p{p:g}_seed{seed}.json", key, lambda: _measure(p, seed, options, report))


def _measure(p: float, seed: int, options: Options, report: Callable[[float], None]) -> list[dict[str, Any]]:
    streams = Streams(seed).child("fig_spectra")
    spectrum = SpectrumOptions(
        duration=options.duration_ms * ms, reorthonormalise_every=options.reorthonormalise_every_ms * ms
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
                report=lambda fraction: report(done + fraction / len(STAGES)),
            )
            | {"stage": stage, "p": p, "seed": seed}
        )

    # Weights drift, and are scaled back, as in the rule of the paper.
    parameters = LIFParameters(depression="independent")
    model = HRSNN(options.neurons, p, parameters=parameters, plastic=True, check_rate=False, seed=seed)
    record("unpruned")
    # A random network of the lowest density may fire faster than pruning would otherwise accept.
    pruning = PruneOptions(
        options.synapse_sparsity,
        options.neuron_sparsity,
        options.iterations,
        exponents="twins",
        rates=(0.5, 200),
        exponent_growth=None,
    )
    steps = (NoisePruning(rescale="homeostatic", excitability="keep"), BetweennessPruning(excitability="keep"))
    prune(model, steps, options=pruning, seed=seed)
    record("pruned")
    train(model, options, streams.rng("encoder"))
    record("trained")
    return records


def train(model: HRSNN, options: Options, rng: np.random.Generator) -> None:
    """Let `model` learn by STDP while it is shown a series, with synaptic scaling."""
    series = lorenz63().values
    hold = options.sample_ms * 1e-3
    z = ((series - series.mean(axis=0)) / series.std(axis=0))[: round(options.training_s / hold)]
    current = z @ CurrentEncoder.draw(options.neurons, z.shape[1], scale=0.5, rng=rng).weights.T
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


def claims(records: list[dict[str, Any]], densities: list[float]) -> list[dict[str, Any]]:
    """State what the paper says of its figure, with our numbers and whether they bear it out."""
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
        {
            "claim": "pruning makes the exponents more negative",
            "measure": "mean over the spectrum of pruned minus unpruned, 1/s, by density",
            "values": pruning,
            "held": all(value < 0 for value in pruning.values()),
        },
        {
            "claim": "pruning lowers the largest exponent",
            "measure": "largest exponent, 1/s, by stage and density",
            "values": leading,
            "standard_errors": {stage: largest_error(stage) for stage in STAGES},
            "held": all(leading["pruned"][p] < leading["unpruned"][p] for p in pruning),
        },
        {
            "claim": "training brings some of it back",
            "measure": "mean over the spectrum of trained minus pruned, 1/s, by density",
            "values": training,
            "held": all(0 < training[p] < abs(pruning[p]) for p in training),
        },
        {
            "claim": "the spectra of different densities converge",
            "measure": "root mean square deviation from the mean over densities, 1/s, by stage",
            "values": spreads,
            "held": spreads["unpruned"] > spreads["pruned"] and spreads["unpruned"] > spreads["trained"],
        },
        {
            "claim": "the sparsest random network is the least stable",
            "measure": "largest exponent of the unpruned network, 1/s, by density",
            "values": leading["unpruned"],
            "standard_errors": largest_error("unpruned"),
            "held": leading["unpruned"][sparsest] > max(0.0, leading["unpruned"][densest]),
        },
    ]


def rounded(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with its long lists to 0.01/s, a hundredth of their errors."""
    lists = ("exponents_per_s", "standard_errors_per_s")
    return record | {name: [round(value, 2) for value in record[name]] for name in lists}


def draw(content: dict[str, Any]) -> Figure:
    """Draw the spectra of every stage, a line for every density, from the content of the JSON file."""
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
            axis.spines[["top", "right"]].set_visible(False)
    every = np.concatenate([r["exponents_per_s"] for r in records])
    # The fastest membranes, down to -1000/s, would squeeze the rest.
    axes[0, 0].set_ylim(1.1 * float(np.percentile(every, 1)), float(every.max()) + 5)
    axes[0, 0].set_ylabel("Lyapunov exponent (1/s)")
    axes[1, 0].set_ylabel("Lyapunov exponent (1/s)")
    axes[0, 0].legend(frameon=False)
    return figure


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--neurons", type=int, default=Options.neurons)
    parser.add_argument("--densities", type=float, nargs="+", default=[0.001, 0.01, 0.1])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=Options.iterations)
    parser.add_argument("--training-s", type=float, default=Options.training_s)
    parser.add_argument("--duration-ms", type=float, default=Options.duration_ms)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("runs/fig_spectra"))
    arguments = parser.parse_args()
    directory = output_directory(arguments, "fig_spectra")
    folder = checks.writable_directory("--out", directory / "parts")
    options = Options(
        arguments.neurons,
        iterations=arguments.iterations,
        training_s=arguments.training_s,
        duration_ms=arguments.duration_ms,
    )
    parts = [(p, seed, options, folder) for p in arguments.densities for seed in range(arguments.seeds)]
    done = compute_parts(measure_part, parts, jobs=arguments.jobs, name="spectra")
    records = [rounded(record) for part in done for record in part]
    stated = claims(records, arguments.densities)
    content = {
        "options": asdict(options) | {"seeds": arguments.seeds, "densities": arguments.densities},
        "claims": stated,
        "networks": records,
    }
    write_results(directory, "fig_spectra", content, draw)
    for claim in stated:
        print(f"{'held' if claim['held'] else 'not held':>8}: {claim['claim']} ({claim['measure']})")


if __name__ == "__main__":
    main()
