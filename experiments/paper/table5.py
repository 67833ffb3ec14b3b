"""Table 5 of the paper: sparsity and synaptic operations of LNP's networks, without the readout and with it.

    lnpbrian sweep table5 --scale medium --data fashion=FOLDER --out runs/table5

Neurons are pruned too, so that the readout shrinks with them. A readout is linear and sees all neurons that may be
read, or, as in the paper, a perceptron of 20 that sees a tenth of them, those of highest betweenness. Images, and
Lorenz-63 after STDP. Without a data folder, scikit-learn's digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lnpbrian.experiments.common import (
    MODELS,
    SEEN,
    Plan,
    Result,
    Task,
    all_rows,
    claimed,
    finish,
    mean_and_error,
    mean_of,
    plain_log_axis,
    plus_minus,
    unlike,
    where,
)
from lnpbrian.experiments.common.reported import RATIO, READOUT
from lnpbrian.experiments.paper.table1 import PROTOCOLS, READ, classification, datasets, few_images
from lnpbrian.learning import ClassifyOptions

NAME = "table5"
METHODS = ("unpruned", "LNP")
READOUTS: dict[str, dict[str, Any]] = {"linear": {}, "perceptron": {"kind": "mlp", "fraction": READ}}
SERIES = f"{SEEN}, all seen"
SEEDS = 5
# What a use of networks is told from others by, beside method and seed.
KEY = ("task", "protocol", "readout", "model")
MEASURES = {
    "neuron sparsity": "neurons",
    "synapse sparsity": "synapses",
    "ratio of operations": "synaptic_operations",
}
Key = tuple[str, str, str, str, str, int]


def seeds(plan: Plan) -> range:
    """Return the seeds of the networks, five at most."""
    return plan.seeds[:SEEDS]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the uses of networks by task, protocol, readout, model, method and seed.

    For table 5 of arXiv 2403.03409.
    """
    fewer = replace(plan, scale=replace(plan.scale, neuron_sparsity=plan.scale.neurons_of_figures))
    made: dict[Key, Task] = {}
    for seed in seeds(plan):
        for model in MODELS:
            for method in METHODS:
                for name in datasets(plan):
                    common = {"images": name, **plan.file(name), **few_images(plan)}
                    for protocol in PROTOCOLS:
                        for kind, readout in READOUTS.items():
                            key = (name, protocol, method, model, "readout", seed)
                            made[name, protocol, kind, model, method, seed] = classification(
                                fewer, common, key, readout=readout
                            )
                made[SERIES, "all", "linear", model, method, seed] = fewer.forecast(model, method, "STDP", SEEN, seed)
    return made


# ---------------------------------------------------------------------------------------------------------- the summary


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return rows of single networks, what the readout changes, and what became of the claims."""
    rows = all_rows(results, *KEY, "method", "seed")
    for r in rows:
        r["of_readout"] = _of_readout(r, READOUTS[r["readout"]], images=r["task"] != SERIES)
    table = [_line(rows, dict(zip(KEY, kind, strict=True))) for kind in unlike(rows, *KEY)]
    return {
        "seeds": list(seeds(plan)),
        "table": table,
        "claims": _claims(table),
        "paper": {model: list(values) for model, values in READOUT.items()},
        "rows": rows,
    }


def _of_readout(record: Mapping[str, Any], options: Mapping[str, Any], *, images: bool) -> dict[str, float]:
    """Return neurons, synapses and operations of a readout."""
    if not images:
        # A linear readout of three variables.
        return {
            "neurons": 3,
            "synapses": record["readout_synapses"],
            "synaptic_operations": record["readout_operations"],
        }
    classes, readout = round(1 / record["chance"]), ClassifyOptions(**options)
    return {
        "neurons": classes + (0 if readout.kind == "ridge" else readout.hidden),
        "synapses": readout.synapses(record["readout_neurons"], classes),
        "synaptic_operations": record["readout_operations"],
    }


def measures(before: Mapping[str, Any], after: Mapping[str, Any], *, readout: bool) -> dict[str, float]:
    """Return sparsities and the ratio of operations of one network, without or with the readout.

    That the readout is not pruned but shrinks with the network: arXiv 2403.03409, section A.6.

    Examples
    --------
    >>> def network(n):
    ...     return dict.fromkeys(MEASURES.values(), n) | {"of_readout": dict.fromkeys(MEASURES.values(), 10)}
    >>> measures(network(90), network(10), readout=True)
    {'neuron sparsity': 0.8, 'synapse sparsity': 0.8, 'ratio of operations': 5.0}
    """
    found = {}
    for title, name in MEASURES.items():
        first, last = (float(r[name] + (r["of_readout"][name] if readout else 0)) for r in (before, after))
        found[title] = first / max(last, 1) if "ratio" in title else 1 - last / first
    return found


def _line(rows: list[dict[str, Any]], kind: Mapping[str, str]) -> dict[str, Any]:
    before, after = (where(rows, **kind, method=method) for method in METHODS)
    without, including = (
        [measures(a, b, readout=readout) for a, b in zip(before, after, strict=True)] for readout in (False, True)
    )
    line: dict[str, Any] = dict(kind)
    for name in MEASURES:
        a, b = (np.array([one[name] for one in many]) for many in (without, including))
        line[name] = {
            "without": mean_and_error(a),
            "with": mean_and_error(b),
            # Where none was removed there is nothing to change.
            "change": mean_and_error(b / a - 1) if (a > 0).all() else None,
        }
    line["neurons_read"] = [mean_of(many, "readout_neurons") for many in (before, after)]
    if kind["task"] != SERIES:
        line["accuracy"] = [mean_and_error([r["accuracy"] for r in many]) for many in (before, after)]
    return line


def _claims(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    largest = min(min(values) for values in READOUT.values())
    small, cheap = [], []
    for r in table:
        name = f"{r['task']}, {r['protocol']}, {r['readout']}, {r['model']}"
        change, ratio = r["synapse sparsity"]["change"], r["ratio of operations"]["with"][0]
        if change is not None:
            small.append((f"{name}: {100 * change[0]:+.1f} %", bool(change[0] >= largest)))
        cheap.append((f"{name}: {ratio:.1f}", bool(ratio >= RATIO[r["model"]])))
    goals = ", ".join(f"{RATIO[model]:g} ({model})" for model in MODELS)
    return [
        claimed(f"The readout changes synapse sparsity by {-100 * largest:.0f} % at most, as in the paper", small),
        claimed(f"With the readout the operations are still so many times fewer: {goals}", cheap),
    ]


# ------------------------------------------------------------------------------------------------- from the JSON alone


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return tables as rows of text, heads first: sparsities, operations and accuracies, and the paper's values.

    Table 5 of arXiv 2403.03409.
    """
    first = [["task", "readout", "model", "measure", "without readout", "with it", "relative change (%)"]]
    second = [["task", "readout", "model", "neurons read", "after LNP", "accuracy (%)", "after LNP"]]
    for r in content["table"]:
        name = _named(r)
        for measure in MEASURES:
            found, digits = r[measure], 1 if "ratio" in measure else 4
            line = [*name, measure, *(plus_minus(found[which], digits) for which in ("without", "with"))]
            change = found["change"]
            first.append([*line, "-" if change is None else plus_minus(change, 2, 100)])
        accuracy = [plus_minus(a, 2, 100) for a in r.get("accuracy", ())] or ["-", "-"]
        second.append([*name, *(f"{n:.0f}" for n in r["neurons_read"]), *accuracy])
    paper = [["model", *("relative change, head lost" for _ in range(4))]]
    paper += [[model, *(f"{x:.2f}" for x in values)] for model, values in content["paper"].items()]
    return {"Without the readout and with it": first, "What is read, and how well": second, "The paper's": paper}


def _named(r: Mapping[str, Any]) -> list[str]:
    return [f"{r['task']}, relay" if r["protocol"] == "relay" else r["task"], r["readout"], r["model"]]


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw synapse sparsity and the ratio of operations, without the readout and with it."""
    table = content["table"]
    figure = Figure(figsize=(10, 1.6 + 0.3 * len(table)), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, name in zip(axes, ("synapse sparsity", "ratio of operations"), strict=True):
        for k, r in enumerate(table[::-1]):
            (a, da), (b, db) = r[name]["without"], r[name]["with"]
            axis.plot([a, b], [k, k], color="0.8", zorder=0)
            axis.errorbar(a, k, xerr=da, fmt="o", color="tab:blue", capsize=2, label="" if k else "without readout")
            axis.errorbar(b, k, xerr=db, fmt="s", color="tab:orange", capsize=2, label="" if k else "with readout")
        axis.set_xlabel(name)
    names = [", ".join(_named(r)) for r in table[::-1]]
    axes[0].set_yticks(range(len(names)), names, fontsize=8)
    plain_log_axis(axes[1], "x")
    return finish(figure, axes[0], 2)
