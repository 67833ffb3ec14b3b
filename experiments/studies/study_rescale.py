"""Which treatment of the kept weights leaves rate and largest exponent where they were.

    lnpbrian sweep study_rescale --scale medium --out runs/study_rescale

Networks lose synapses by step I alone, from all to 50, 20, 10, 5 and 2 % in turn, under every reading of METHODS, over
seeds. They are those of the plain model,
chaotic with spikes on the time grid, and those used for forecasting, all of whose neurons fire by themselves. A
reading passes at a density if, in the mean over seeds, the rate is within 20 % of that of the unpruned network and the
largest exponent is not above the unpruned one's by more than two standard errors of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from brian2 import second
from matplotlib.figure import Figure

from lnpbrian.experiments.common import Plan, Report, Result, Streams, Task, all_rows, finish, lead, unlike, where
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network import RecurrentNetwork, noise_drive
from lnpbrian.pruning import Iteration, NoisePruning, PruneOptions
from lnpbrian.pruning.prunable import Observation, prunable

NAME = "study_rescale"
KEPT = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
METHODS = {
    "1/p (paper)": NoisePruning(rescale="inverse", excitability="keep"),
    "1/p, bias": NoisePruning(rescale="inverse", excitability="compensate"),
    "1/p up to 3": NoisePruning(rescale="capped", cap=3.0, excitability="keep"),
    "none": NoisePruning(rescale="none", excitability="keep"),
    "none, bias": NoisePruning(rescale="none", excitability="compensate"),
    "variance, bias": NoisePruning(rescale="variance", excitability="compensate"),
    "spectral, bias": NoisePruning(rescale="spectral", excitability="compensate"),
    "homeostatic": NoisePruning(rescale="homeostatic", excitability="keep"),
    "homeostatic, bias": NoisePruning(rescale="homeostatic", excitability="compensate"),
    "homeostatic up to 3, bias": NoisePruning(rescale="homeostatic", cap=3.0, excitability="compensate"),
    "homeostatic, bias, |W|": NoisePruning(edge_strength="weight", rescale="homeostatic", excitability="compensate"),
    "homeostatic, bias, shifted D": NoisePruning(
        diagonal="shift", covariance="exact", rescale="homeostatic", excitability="compensate"
    ),
}
NETWORKS = {
    "plain": LIFParameters,
    "forecasting": LIFParameters.forecasting,
    "recurrent": LIFParameters.recurrent,
}
# Largest relative change of the mean rate.
RATE_CHANGE = 0.2


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the measurements by seed, network and reading."""
    return {
        (seed, network, method): Task(
            f"{network}, {method}, seed {seed}",
            f"{__name__}:measured",
            {"network": network, "method": method, "neurons": plan.scale.neurons, "seed": seed},
        )
        for seed in range(plan.scale.seeds)
        for network in NETWORKS
        for method in METHODS
    }


def measured(options: Mapping[str, Any], *, report: Report) -> Result:
    """Remove synapses step by step under one reading, and measure rate and exponents after each."""
    network, method, neurons, seed = (options[name] for name in ("network", "method", "neurons", "seed"))
    streams = Streams(seed).child("study_rescale")
    spec = HRSNN(neurons, 0.1, parameters=NETWORKS[network](), check_rate=False, seed=seed).spec
    model = RecurrentNetwork(spec)
    drive = noise_drive(neurons, duration=1 * second, rng=streams.rng("drive"))
    subject = prunable(model, PruneOptions(exponent_duration=1 * second), streams, drive)

    def look() -> Observation:
        return subject.observe(lambda what, fraction: None)

    seen = look()
    rows = [_row(network, method, seed, KEPT[0], model, seen)]
    first, rates = seen, subject.reference_rates(seen)
    for k, kept in enumerate(KEPT[1:], start=1):
        now = Iteration(
            k,
            len(KEPT) - 1,
            spec.n_neurons,
            round(kept * spec.n_synapses),
            seen,
            streams,
            power=subject.power(),
            reference_rates=rates,
            spectral_radius=None if first.response is None else first.response.spectral_radius,
        )
        step = METHODS[method]
        step(subject, now)
        step.finish(subject, now)
        seen = look()
        rows.append(_row(network, method, seed, kept, model, seen))
        report((k + 1) / len(KEPT), f"{kept:.0%} kept")
    return Result({"rows": rows})


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
        "spectral_radius": None if seen.response is None else seen.response.spectral_radius,
        "largest_exponent_per_s": seen.network_exponent[0],
        "largest_exponent_standard_error_per_s": seen.network_exponent[1],
        "exponent_median_per_s": float(np.median(seen.each.per_neuron)),
    }


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of single networks, and the verdicts."""
    rows = all_rows(results)
    return {"judged": judge(rows), "rows": rows}


def judge(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare every reading and density with the unpruned networks, seed by seed."""
    judged = []
    for network, method, kept in product(unlike(rows, "network"), unlike(rows, "method"), KEPT[1:]):
        before, after = (where(rows, network=network, method=method, kept=k) for k in (1.0, kept))
        rate, radius = (
            np.array([b[name] / a[name] for a, b in zip(before, after, strict=True)])
            for name in ("mean_rate_hz", "spectral_radius")
        )
        growth, error = lead(after, before, "largest_exponent_per_s")
        judged.append(
            {
                "network": network,
                "method": method,
                "kept": kept,
                "rate_ratio": float(rate.mean()),
                "rate_ratio_extremes": [float(rate.min()), float(rate.max())],
                "spectral_radius_ratio": float(radius.mean()),
                "spectral_radius_ratio_extremes": [float(radius.min()), float(radius.max())],
                "exponent_growth_per_s": growth,
                "exponent_growth_standard_error_per_s": error,
                "rate_holds": bool(abs(rate.mean() - 1) <= RATE_CHANGE),
                "spectral_radius_holds": bool(abs(radius.mean() - 1) <= RATE_CHANGE),
                "exponent_holds": bool(growth <= 2 * error),
            }
        )
    return judged


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return a table for each network: rate, growth of the largest exponent, and whether they hold, by density."""
    made: dict[str, list[list[str]]] = {}
    for r in content["judged"]:
        head = ["reading", "synapses kept (%)", "rate over that before", "holds"]
        head += ["spectral radius over that before", "holds", "exponent grows by (1/s)", "holds"]
        lines = made.setdefault(f"{r['network']} networks", [head])
        growth = f"{r['exponent_growth_per_s']:+.1f} ± {r['exponent_growth_standard_error_per_s']:.1f}"
        verdicts = ("yes" if r[f"{what}_holds"] else "no" for what in ("rate", "spectral_radius", "exponent"))
        ratios = (f"{r['rate_ratio']:.2f}", f"{r['spectral_radius_ratio']:.2f}")
        found = zip((*ratios, growth), verdicts, strict=True)
        lines.append([r["method"], f"{100 * r['kept']:.0f}", *(cell for pair in found for cell in pair)])
    return made


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw ratios of rate and spectral radius, and growth of the largest exponent, over the fraction kept."""
    judged = content["judged"]
    networks, methods = unlike(judged, "network"), unlike(judged, "method")
    figure = Figure(figsize=(11, 9), layout="constrained")
    axes = figure.subplots(3, len(networks), sharex=True, squeeze=False)
    colors = (
        *("#7a7a7a", "#b0a08a", "#c9c9c9", "#1b3a57", "#4f8fc0"),
        *("#e3a857", "#d1495b", "#8c5fa8", "#3a9188", "#000000", "#d98fb4", "#7fb069"),
    )
    for column, network in enumerate(networks):
        for m, method in enumerate(methods):
            mine = where(judged, network=network, method=method)
            kept = 100 * np.array([r["kept"] for r in mine]) * 1.03 ** (m - len(methods) / 2)
            style = {"color": colors[m % len(colors)], "marker": "o", "markersize": 4, "linewidth": 1.2}
            axes[0, column].plot(kept, [r["rate_ratio"] for r in mine], label=method, **style)
            axes[1, column].plot(kept, [r["spectral_radius_ratio"] for r in mine], **style)
            axes[2, column].errorbar(
                kept,
                [r["exponent_growth_per_s"] for r in mine],
                [r["exponent_growth_standard_error_per_s"] for r in mine],
                capsize=2,
                **style,
            )
        axes[0, column].axhspan(1 - RATE_CHANGE, 1 + RATE_CHANGE, color="black", alpha=0.08, linewidth=0)
        axes[0, column].set(title=f"{network} networks", xscale="log")
        axes[1, column].axhspan(1 - RATE_CHANGE, 1 + RATE_CHANGE, color="black", alpha=0.08, linewidth=0)
        axes[1, column].set(yscale="log")
        axes[2, column].axhline(0, color="black", linewidth=0.6)
        axes[2, column].set(xlabel="synapses kept (%)", xlim=(65, 1.6))
        axes[2, column].set_xticks([50, 20, 10, 5, 2], ["50", "20", "10", "5", "2"])
        axes[2, column].minorticks_off()
    axes[0, 0].set_ylabel("rate over that before")
    axes[1, 0].set_ylabel("spectral radius over that before")
    axes[2, 0].set_ylabel("growth of the largest exponent (1/s)")
    return finish(figure, axes[0, 0], 4)
