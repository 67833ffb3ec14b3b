"""What pruning keeps of what a network says of images, beside as small networks that know nothing of exponents.

    lnpbrian sweep images_kept --scale medium --data fashion=FOLDER --out runs/images_kept

HRSNN of spectral radius 1, with input to all neurons or as a relay: input to a random half, the others read, so that
the synapses must carry the image. All pruned networks come from the same unpruned ones, have a fortieth of the
synapses, the mean input of every neuron and the spectral radius from there; none has seen an image. Without a data
folder, scikit-learn's digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lnpbrian.experiments.common import (
    Plan,
    Report,
    Result,
    Streams,
    Task,
    claimed,
    finish,
    lead,
    mean_and_error,
    mean_of,
    means,
    plus_minus,
    ranking,
    ratios,
    unlike,
    where,
)
from lnpbrian.experiments.common.bed import as_small, bed_measured, unbound
from lnpbrian.experiments.paper.table1 import PROTOCOLS, SCALE, datasets, few_images, some_images, titled
from lnpbrian.learning import ImageInput, classify, pixel_channels
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.pruning import at_radius

NAME = "images_kept"
METHODS = ("unpruned", "LNP", "even and connected", "fixed in-degree", "random", "magnitude per sign", "uncoupled")
# Synapses of the unpruned network over those that are left: more than the 37 of operations that are aimed at.
RATIO, OPERATIONS = 40, 37
# Seeds that nothing was chosen on.
FIRST_SEED, SEEDS = 800, 5


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the classifications by images, method and seed."""
    seeds = min(max(plan.scale.seeds, 2), SEEDS)
    return {
        (name, method, seed): Task(
            f"{name}: {method}, seed {seed}",
            f"{__name__}:evaluated",
            {
                **{"images": name, **plan.file(name), **few_images(plan, 10_000)},
                **{"neurons": plan.scale.neurons, "method": method, "seed": FIRST_SEED + seed},
            },
            cost=2.0 if method == "unpruned" else 1.0,
        )
        for name in datasets(plan)
        for method in METHODS
        for seed in range(seeds)
    }


def evaluated(options: Mapping[str, Any], *, report: Report) -> Result:
    """Return how often a network is right, with input to all neurons and as a relay."""
    method, seed, neurons = options["method"], options["seed"], options["neurons"]
    report(0.0, "building")
    model = HRSNN(neurons, 0.1, parameters=LIFParameters.images(), check_rate=False, seed=seed)
    full, streams = model.spec, Streams(seed).child(NAME)
    drive, response = bed_measured(full, seed)
    spec = full
    if method == "LNP":
        unbound(model, None, {"synapse_sparsity": 1 - 1 / RATIO}, drive=drive, seed=seed, report=report)
        spec = model.spec
    elif method != "unpruned":
        n, way = round(full.n_synapses / RATIO), method.removesuffix(" per sign")
        spec = as_small(way, full, n_synapses=n, n_neurons=neurons, rng=streams.rng(method), rates=response.rates)
        if method != "uncoupled":
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
    for name, protocol, method in product(datasets(plan), PROTOCOLS, METHODS):
        mine, full, lnp = (
            [r[protocol] for r in where(rows, images=name, method=one)] for one in (method, "unpruned", "LNP")
        )
        line: dict[str, Any] = {"images": name, "protocol": protocol, "method": method}
        line |= means(mine, ("accuracy", "mean_rate_hz"))
        line |= {"LNP is better by": lead(lnp, mine), "operation_ratio": float(np.mean(ratios(full, mine)))}
        table.append(line | {one: mean_of(mine, one) for one in ("synaptic_operations", "readout_neurons")})
    return {"table": table, "claims": _claims(rows, table), "rows": rows}


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
            full, lnp = (where(rows, images=r["images"], method=method) for method in ("unpruned", "LNP"))
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
        title = titled(r["images"], r["protocol"])
        head = ["network", "accuracy (%)", "LNP is better by (points)", "operations an image", "ratio", "rate (Hz)"]
        lines = made.setdefault(title, [[*head, "neurons read"]])
        lines.append(
            [
                r["method"],
                plus_minus(r["accuracy"], 2, 100),
                "-" if r["method"] == "LNP" else plus_minus(r["LNP is better by"], 2, 100),
                f"{r['synaptic_operations']:,.0f}",
                "-" if r["method"] == "uncoupled" else f"{r['operation_ratio']:.1f}",
                plus_minus(r["mean_rate_hz"], 1),
                f"{r['readout_neurons']:.0f}",
            ]
        )
    return made


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw accuracies, a row for each set of images, a column for each protocol."""
    names = unlike(content["table"], "images")
    figure = Figure(figsize=(10, 3.2 * len(names) + 0.4), layout="constrained")
    axes = figure.subplots(len(names), len(PROTOCOLS), squeeze=False)
    for row, name in zip(axes, names, strict=True):
        for axis, protocol in zip(row, PROTOCOLS, strict=True):
            mine = where(content["table"], images=name, protocol=protocol)
            # Chance is far away, and is in the table.
            shown = {r["method"]: r["accuracy"] for r in mine if protocol == "all" or r["method"] != "uncoupled"}
            ranking(axis, shown, lambda m: {"LNP": "tab:blue", "unpruned": "black"}.get(m, "0.5"), unit=100)
            axis.set(title=titled(name, protocol))
            axis.set_xlabel("accuracy (%)")
    return finish(figure)
