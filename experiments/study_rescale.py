"""Which treatment of the kept weights leaves rate and largest exponent where they were.

    python -m lnpbrian.experiments.study_rescale --out runs/study_rescale

writes ``study_rescale.json`` and ``study_rescale.png``. Networks of 1000 neurons lose synapses by step I alone, from
all to 50, 20, 10, 5 and 2 % in turn, under every reading of METHODS, over seeds. Networks are those of the plain model,
chaotic with spikes on the time grid, and those used for forecasting, all of whose neurons fire by themselves. A
reading passes at a density if, in the mean over seeds, the rate is within 20 % of that of the unpruned network and the
largest exponent is not above the unpruned one's by more than two standard errors of the difference. Each network and
seed is a part of its own, kept in ``parts/``: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import second
from matplotlib.figure import Figure

from lnpbrian import checks
from lnpbrian.experiments.common import compute_parts, output_directory, part, write_results
from lnpbrian.models import HRSNN
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.drive import noise_drive
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.pruning.prunable import Observation, prunable
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import Iteration, NoisePruning
from lnpbrian.streams import Streams

KEPT = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
METHODS = {
    "1/p (paper)": NoisePruning(rescale="inverse", excitability="keep"),
    "1/p, bias": NoisePruning(rescale="inverse", excitability="compensate"),
    "1/p up to 3": NoisePruning(rescale="capped", cap=3.0, excitability="keep"),
    "none": NoisePruning(rescale="none", excitability="keep"),
    "none, bias": NoisePruning(rescale="none", excitability="compensate"),
    "homeostatic": NoisePruning(rescale="homeostatic", excitability="keep"),
    "homeostatic, bias": NoisePruning(rescale="homeostatic", excitability="compensate"),
    "homeostatic up to 3, bias": NoisePruning(rescale="homeostatic", cap=3.0, excitability="compensate"),
    "homeostatic, bias, |W|": NoisePruning(edge_strength="weight", rescale="homeostatic", excitability="compensate"),
    "homeostatic, bias, shifted D": NoisePruning(
        diagonal="shift", covariance="exact", rescale="homeostatic", excitability="compensate"
    ),
}
NETWORKS = {"plain": LIFParameters, "forecasting": LIFParameters.forecasting}
# Largest relative change of the mean rate.
RATE_CHANGE = 0.2


def measure_part(
    network: str, method: str, neurons: int, seed: int, folder: Path, *, report: Callable[[float], None]
) -> list[dict[str, Any]]:
    """Return a row for every density of one network under one reading."""
    name = "".join(c if c.isalnum() else "_" for c in f"{network} {method} {seed}")
    key = {"network": network, "method": method, "neurons": neurons, "seed": seed}
    rows = part(folder / f"{name}.json", key, lambda: _measure(network, method, neurons, seed, report))
    report(1.0)
    return rows


def _measure(
    network: str, method: str, neurons: int, seed: int, report: Callable[[float], None]
) -> list[dict[str, Any]]:
    streams = Streams(seed).child("study_rescale")
    spec = HRSNN(neurons, 0.1, parameters=NETWORKS[network](), check_rate=False, seed=seed).spec
    model = RecurrentNetwork(spec)
    drive = noise_drive(neurons, duration=1 * second, rng=streams.rng("drive"))
    subject = prunable(model, PruneOptions(exponent_duration=1 * second), streams, drive)

    def look() -> Observation:
        return subject.observe(lambda what, fraction: None)

    seen = look()
    rows = [_row(network, method, seed, KEPT[0], model, seen)]
    for k, kept in enumerate(KEPT[1:], start=1):
        now = Iteration(k, len(KEPT) - 1, spec.n_neurons, round(kept * spec.n_synapses), seen, streams)
        METHODS[method](subject, now)
        seen = look()
        rows.append(_row(network, method, seed, kept, model, seen))
        report((k + 1) / len(KEPT))
    return rows


def _row(
    network: str, method: str, seed: int, kept: float, model: RecurrentNetwork, seen: Observation
) -> dict[str, Any]:
    return {
        "network": network,
        "method": method,
        "seed": seed,
        "kept": kept,
        "synapses": len(model.synapses),
        "mean_rate_hz": float(seen.rates.mean()),
        "largest_exponent_per_s": seen.network_exponent[0],
        "largest_exponent_standard_error_per_s": seen.network_exponent[1],
        "exponent_median_per_s": float(np.median(seen.each.per_neuron)),
    }


def judge(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare every reading and density with the unpruned networks, seed by seed."""
    judged = []
    for network in dict.fromkeys(r["network"] for r in rows):
        for method in dict.fromkeys(r["method"] for r in rows):
            mine = [r for r in rows if (r["network"], r["method"]) == (network, method)]
            start = {r["seed"]: r for r in mine if r["kept"] == 1}
            for kept in KEPT[1:]:
                pairs = [(start[r["seed"]], r) for r in mine if r["kept"] == kept]
                ratio = np.array([b["mean_rate_hz"] / a["mean_rate_hz"] for a, b in pairs])
                growth = np.array([b["largest_exponent_per_s"] - a["largest_exponent_per_s"] for a, b in pairs])
                n = len(pairs)
                error = float(growth.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
                judged.append(
                    {
                        "network": network,
                        "method": method,
                        "kept": kept,
                        "rate_ratio": float(ratio.mean()),
                        "rate_ratio_extremes": [float(ratio.min()), float(ratio.max())],
                        "exponent_growth_per_s": float(growth.mean()),
                        "exponent_growth_standard_error_per_s": error,
                        "rate_holds": bool(abs(ratio.mean() - 1) <= RATE_CHANGE),
                        "exponent_holds": bool(growth.mean() <= 2 * error),
                    }
                )
    return judged


def draw(content: dict[str, Any]) -> Figure:
    """Draw rate ratios and growth of the largest exponent over the fraction kept."""
    judged = content["judged"]
    networks = list(dict.fromkeys(r["network"] for r in judged))
    methods = list(dict.fromkeys(r["method"] for r in judged))
    figure = Figure(figsize=(10, 6.6), layout="constrained")
    axes = figure.subplots(2, len(networks), sharex=True, squeeze=False)
    colors = (
        *("#7a7a7a", "#b0a08a", "#c9c9c9", "#1b3a57", "#4f8fc0"),
        *("#e3a857", "#d1495b", "#8c5fa8", "#3a9188", "#000000"),
    )
    for column, network in enumerate(networks):
        for m, method in enumerate(methods):
            mine = [r for r in judged if (r["network"], r["method"]) == (network, method)]
            kept = 100 * np.array([r["kept"] for r in mine]) * 1.03 ** (m - len(methods) / 2)
            style = {"color": colors[m % len(colors)], "marker": "o", "markersize": 4, "linewidth": 1.2}
            axes[0, column].plot(kept, [r["rate_ratio"] for r in mine], label=method, **style)
            axes[1, column].errorbar(
                kept,
                [r["exponent_growth_per_s"] for r in mine],
                [r["exponent_growth_standard_error_per_s"] for r in mine],
                capsize=2,
                **style,
            )
        axes[0, column].axhspan(1 - RATE_CHANGE, 1 + RATE_CHANGE, color="black", alpha=0.08, linewidth=0)
        axes[0, column].set(title=f"{network} networks", xscale="log")
        axes[1, column].axhline(0, color="black", linewidth=0.6)
        axes[1, column].set(xlabel="synapses kept (%)", xlim=(65, 1.6))
        axes[1, column].set_xticks([50, 20, 10, 5, 2], ["50", "20", "10", "5", "2"])
        axes[1, column].minorticks_off()
    for axis in axes.ravel():
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("rate over that before")
    axes[1, 0].set_ylabel("growth of the largest exponent (1/s)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, ncols=4, loc="outside lower center")
    return figure


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--neurons", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("runs/study_rescale"))
    arguments = parser.parse_args()
    for method in arguments.methods:
        checks.choice("--methods", method, METHODS)
    directory = output_directory(arguments, "study_rescale")
    folder = checks.writable_directory("--out", directory / "parts")
    parts = [
        (network, method, arguments.neurons, seed, folder)
        for seed in range(arguments.seeds)
        for network in NETWORKS
        for method in arguments.methods
    ]
    rows = [row for done in compute_parts(measure_part, parts, jobs=arguments.jobs, name="networks") for row in done]
    judged = judge(rows)
    content = {"neurons": arguments.neurons, "seeds": arguments.seeds, "judged": judged, "rows": rows}
    write_results(directory, "study_rescale", content, draw)
    for r in judged:
        verdict = "rate " + ("holds" if r["rate_holds"] else "fails") + ", exponent "
        verdict += "holds" if r["exponent_holds"] else "grows"
        print(
            f"{r['network']:>12} {r['method']:<26} {100 * r['kept']:3.0f} %  rate x {r['rate_ratio']:.2f}  "
            f"{r['exponent_growth_per_s']:+7.1f} +- {r['exponent_growth_standard_error_per_s']:.1f} /s  {verdict}"
        )


if __name__ == "__main__":
    main()
