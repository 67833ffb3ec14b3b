"""What pruning keeps of what a network says of images, beside as small networks that know nothing of exponents.

    lnpbrian sweep images_kept --scale medium --data fashion=FOLDER --out runs/images_kept

HRSNN of spectral radius 1, with input to all neurons or as a relay: input to a random half, the others read, so that
the synapses must carry the image. All pruned networks come from the same unpruned ones, have a fortieth of the
synapses, the mean input of every neuron and the spectral radius from there; none has seen an image. Without a data
folder, scikit-learn's digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lnpbrian.experiments.common.bed import bed_measured, plus_minus
from lnpbrian.experiments.common.plan import Plan
from lnpbrian.experiments.common.plotting import finish
from lnpbrian.experiments.common.statistics import claimed, mean_and_error
from lnpbrian.experiments.paper.table1 import PROTOCOLS, SCALE, datasets, image_files, some_images
from lnpbrian.learning.vision.classification import classify
from lnpbrian.learning.vision.image_input import ImageInput, pixel_channels
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.pruning.controls import at_radius, magnitude_pruning, thinned
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.streams import Streams
from lnpbrian.sweep import Result, Task

NAME = "images_kept"
THINNED = {
    "even and connected": {"sampling": "even", "connected": True},
    "fixed in-degree": {"sampling": "systematic"},
    "random": {},
}
METHODS = ("unpruned", "LNP", *THINNED, "magnitude per sign", "uncoupled")
# Synapses of the unpruned network over those that are left: more than the 37 of operations that are aimed at.
RATIO, OPERATIONS = 40, 37
# Seeds that nothing was chosen on.
FIRST_SEED, SEEDS = 800, 5


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the classifications by images, method and seed."""
    seeds = min(max(plan.scale.seeds, 2), SEEDS)
    few = {"train": 300, "test": 150} if plan.scale.neurons < 400 else {"train": 10_000, "test": 10_000}
    return {
        (name, method, seed): Task(
            f"{name}: {method}, seed {seed}",
            f"{__name__}:evaluated",
            {
                **image_files(plan, name),
                **few,
                "neurons": plan.scale.neurons,
                "method": method,
                "seed": FIRST_SEED + seed,
            },
            cost=2.0 if method == "unpruned" else 1.0,
        )
        for name in datasets(plan)
        for method in METHODS
        for seed in range(seeds)
    }


def evaluated(options: Mapping[str, Any], *, report: Callable[[float, str], None]) -> Result:
    """Return how often a network is right, with input to all neurons and as a relay."""
    method, seed, neurons = options["method"], options["seed"], options["neurons"]
    report(0.0, "building")
    model = HRSNN(neurons, 0.1, parameters=LIFParameters.images(), check_rate=False, seed=seed)
    full, streams = model.spec, Streams(seed).child(NAME)
    drive, response = bed_measured(full, seed)
    rates = response.rates
    spec, n = full, round(full.n_synapses / RATIO)
    if method == "LNP":
        chosen = PruneOptions(1 - 1 / RATIO, rates=(0.0, 1e4), exponent_growth=None)
        prune(model, options=chosen, drive=drive, seed=seed, report=lambda now: report(0.5 * now.fraction, now.step))
        spec = model.spec
    elif method == "uncoupled":
        spec = full.uncoupled(rates)
    elif method != "unpruned":
        if method in THINNED:
            rng = streams.rng(method)
            spec = thinned(full, n_synapses=n, rng=rng, rates=rates, **THINNED[method])  # type: ignore[arg-type]
        else:
            spec = magnitude_pruning(full, n_neurons=neurons, n_synapses=n, per_sign=True, rates=rates)
        spec = at_radius(spec, response.spectral_radius, response=response)
    task = some_images(options)
    channels = pixel_channels(task)
    record: dict[str, Any] = {"method": method, "seed": seed, "synapses": spec.n_synapses, "chance": task.chance}
    for k, (protocol, fraction) in enumerate(PROTOCOLS.items()):
        report(0.5 + 0.25 * k, f"images, {protocol}")
        # The same input for all networks of a seed.
        source = ImageInput.draw(
            neurons, channels[0].shape[1], rng=streams.rng(f"input {protocol}"), scale=SCALE, fraction=fraction
        )
        said = classify(spec, source, task, channels)
        record[protocol] = {
            "accuracy": said.accuracy,
            "synaptic_operations": said.synaptic_operations,
            "readout_operations": said.readout_operations,
            "readout_neurons": int(said.read.size),
            "mean_rate_hz": said.mean_rate,
        }
    return Result(record)


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return means with errors over networks, paired differences from LNP, and what became of the claims."""
    rows = [{"images": name, **result.record} for (name, _, _), result in results.items()]
    table = []
    for name in datasets(plan):
        for protocol in PROTOCOLS:
            for method in METHODS:
                mine, full, lnp = (_of(rows, name, one) for one in (method, "unpruned", "LNP"))
                less = [b[protocol]["accuracy"] - a[protocol]["accuracy"] for a, b in zip(mine, lnp, strict=True)]
                ratios = [
                    a[protocol]["synaptic_operations"] / max(b[protocol]["synaptic_operations"], 1)
                    for a, b in zip(full, mine, strict=True)
                ]
                table.append(
                    {
                        "images": name,
                        "protocol": protocol,
                        "method": method,
                        "accuracy": mean_and_error([r[protocol]["accuracy"] for r in mine]),
                        "LNP is better by": mean_and_error(less),
                        "operation_ratio": float(np.mean(ratios)),
                        "synaptic_operations": float(np.mean([r[protocol]["synaptic_operations"] for r in mine])),
                        "readout_neurons": float(np.mean([r[protocol]["readout_neurons"] for r in mine])),
                        "mean_rate_hz": mean_and_error([r[protocol]["mean_rate_hz"] for r in mine]),
                    }
                )
    return {"table": table, "claims": _claims(rows, table), "rows": rows}


def _of(rows: list[dict[str, Any]], images: str, method: str) -> list[dict[str, Any]]:
    return sorted((r for r in rows if (r["images"], r["method"]) == (images, method)), key=lambda r: r["seed"])


def _claims(rows: list[dict[str, Any]], table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    close, kept, ratios, better = [], [], [], []
    for r in table:
        less, error = r["LNP is better by"]
        text = f"{r['images']}, {r['protocol']}"
        if r["method"] == "LNP":
            ratios.append((f"{text}: {r['operation_ratio']:.1f}", bool(r["operation_ratio"] >= OPERATIONS)))
        elif r["method"] == "unpruned" and r["protocol"] == "all":
            close.append((f"{text}: {100 * less:+.2f} ± {100 * error:.2f} points", bool(less >= -0.01)))
        elif r["method"] == "unpruned":
            full, lnp = (_of(rows, r["images"], method) for method in ("unpruned", "LNP"))
            shares = [
                (b["relay"]["accuracy"] - b["chance"]) / (a["relay"]["accuracy"] - a["chance"])
                for a, b in zip(full, lnp, strict=True)
            ]
            share, error = mean_and_error(shares)
            kept.append((f"{text}: {100 * share:.1f} ± {100 * error:.1f} %", bool(share >= 0.9)))
        elif r["protocol"] == "relay" and r["method"] != "uncoupled":
            said = f"{r['images']}, {r['method']}: {100 * less:+.2f} ± {100 * error:.2f} points"
            better.append((said, bool(less > 2 * error)))
    return [
        claimed(f"LNP's networks do at least {OPERATIONS} times fewer synaptic operations an image", ratios),
        claimed("Input to all: LNP is within one point of the unpruned network", close),
        claimed("Relay: LNP keeps at least 90 % of the accuracy above chance", kept),
        claimed("Relay: LNP is better than as small networks of the same radius by two standard errors", better),
    ]


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return a table for every set of images and protocol, heads first."""
    made: dict[str, list[list[str]]] = {}
    for r in content["table"]:
        title = f"{r['images']}, input to {'all' if r['protocol'] == 'all' else 'half, the others read'}"
        head = ["network", "accuracy (%)", "LNP is better by (points)", "operations an image", "ratio", "rate (Hz)"]
        lines = made.setdefault(title, [[*head, "neurons read"]])
        percent = {name: [100 * x for x in r[name]] for name in ("accuracy", "LNP is better by")}
        lines.append(
            [
                r["method"],
                plus_minus(percent["accuracy"], 2),
                "-" if r["method"] == "LNP" else plus_minus(percent["LNP is better by"], 2),
                f"{r['synaptic_operations']:,.0f}",
                "-" if r["method"] == "uncoupled" else f"{r['operation_ratio']:.1f}",
                plus_minus(r["mean_rate_hz"], 1),
                f"{r['readout_neurons']:.0f}",
            ]
        )
    return made


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw accuracies, a row for each set of images, a column for each protocol."""
    names = list(dict.fromkeys(r["images"] for r in content["table"]))
    figure = Figure(figsize=(10, 3.2 * len(names) + 0.4), layout="constrained")
    axes = figure.subplots(len(names), len(PROTOCOLS), squeeze=False)
    for row, name in zip(axes, names, strict=True):
        for axis, protocol in zip(row, PROTOCOLS, strict=True):
            mine = [r for r in content["table"] if (r["images"], r["protocol"]) == (name, protocol)]
            # Chance is far away, and is in the table.
            mine = [r for r in mine if protocol == "all" or r["method"] != "uncoupled"][::-1]
            for k, r in enumerate(mine):
                color = {"LNP": "tab:blue", "unpruned": "black"}.get(r["method"], "0.5")
                axis.errorbar(100 * r["accuracy"][0], k, xerr=100 * r["accuracy"][1], fmt="o", color=color, capsize=3)
            axis.set_yticks(range(len(mine)), [r["method"] for r in mine])
            axis.set(title=f"{name}, input to {'all' if protocol == 'all' else 'half, the others read'}")
            axis.set_xlabel("accuracy (%)")
    return finish(figure)
