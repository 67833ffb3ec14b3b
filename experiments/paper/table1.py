"""Table 1 of the paper on images: accuracy and operations of unpruned, AP-, LNP-pruned and control networks.

    lnpbrian sweep table1 --scale medium --data fashion=FOLDER --out runs/table1

The networks are those of `table2`, pruned without a look at any task, and shown images on a time grid of 1 ms. With
"all" every neuron gets input; with "relay" a random half, and only the others are read, so that synapses must carry
the image. Controls and what activity pruning leaves have the spectral radius of the unpruned network, as LNP means its
networks to have.
Without a data folder, scikit-learn's digits. Beside them what needs no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lnpbrian.experiments.common import (
    COLORS,
    MODELS,
    Plan,
    Report,
    Result,
    Streams,
    Task,
    all_rows,
    claimed,
    finish,
    mean_and_error,
    plus_minus,
    ratios,
    unlike,
    where,
)
from lnpbrian.experiments.common.bed import bed_measured
from lnpbrian.experiments.common.by_operations import control_of
from lnpbrian.experiments.common.reported import IMAGES as REPORTED
from lnpbrian.experiments.common.statistics import spread
from lnpbrian.learning import (
    ClassifyOptions,
    ImageInput,
    ImageTask,
    classify,
    image_task,
    patch_filters,
    pixel_channels,
    spike_counts,
)
from lnpbrian.learning.vision.classification import accuracy_difference, fit_classifier, read_images, standard_error
from lnpbrian.learning.vision.image_input import Presentation
from lnpbrian.learning.vision.image_training import ImageBPOptions, train_images_bp, train_images_stdp
from lnpbrian.learning.vision.images import IMAGES
from lnpbrian.network import NetworkSpec, synaptic_operations
from lnpbrian.pruning import activity_pruning, at_radius

NAME = "table1"
METHODS = ("unpruned", "AP", "LNP", "random", "magnitude", "uncoupled")
TRAININGS = ("readout", "STDP", "BP")
PROTOCOLS = {"all": 1.0, "relay": 0.5}
CONTROLS = ("linear on pixels", "random features", "patches without a network")
# Standard deviation of a neuron's current where a pixel has variance 1; see docs/images.md.
SCALE = 3.0
# Part of the neurons that may be read which BP's perceptron reads, as in the paper.
READ = 0.1
# Neurons from which on nothing is left out to save time.
FULL_SIZE = 2000
# What a network is told from others by, beside its seed.
KEY = ("images", "protocol", "method", "model", "training")
Key = tuple[str, str, str, str, str, int]


def titled(images: str, protocol: str) -> str:
    """Return the title of what is shown of images under a protocol.

    >>> titled("digits", "relay")
    'digits, input to half, the others read'
    """
    return f"{images}, input to {'all' if protocol == 'all' else 'half, the others read'}"


def datasets(plan: Plan) -> tuple[str, ...]:
    """Return the sets of images that there are files of, or the digits."""
    return tuple(name for name in plan.data if name in IMAGES) or ("digits",)


def amounts(plan: Plan) -> dict[str, int]:
    """Return how many images train and test at most, train recurrent weights, and how often."""
    if plan.scale.neurons < 400:
        return {"train": 300, "test": 150, "stdp": 10, "bp": 300, "epochs": 3, "batch": 50}
    if plan.scale.neurons < FULL_SIZE:
        return {"train": 5_000, "test": 5_000, "stdp": 100, "bp": 2_000, "epochs": 5, "batch": 128}
    return {"train": 60_000, "test": 10_000, "stdp": 500, "bp": 10_000, "epochs": 10, "batch": 128}


def few_images(plan: Plan, most: int = 5_000) -> dict[str, int]:
    """Return how many images train and test at most, where recurrent weights are not trained."""
    return {"train": 300, "test": 150} if plan.scale.neurons < 400 else {"train": most, "test": most}


def trainings(plan: Plan, protocol: str, model: str) -> tuple[str, ...]:
    """Return how networks are trained; below the paper's size only where synapses must carry the image."""
    if plan.scale.neurons >= FULL_SIZE:
        return TRAININGS
    quick = plan.scale.neurons < 400 and model != "HRSNN"
    return TRAININGS if protocol == "relay" and not quick else TRAININGS[:1]


def seeds(plan: Plan) -> range:
    """Return the seeds of the networks, five at most, one where it is to be quick."""
    return plan.seeds[: 1 if plan.scale.neurons < 400 else 5]


def tasks(plan: Plan) -> dict[Key, Task]:
    """Return the classifications by images, protocol, method, model, training and seed, and the controls.

    For table 1 of arXiv 2403.03409.
    """
    made: dict[Key, Task] = {}
    for name in datasets(plan):
        common = {"images": name, **plan.file(name), **amounts(plan)}
        for seed in seeds(plan):
            for protocol in PROTOCOLS:
                for model in MODELS:
                    for method in METHODS:
                        for training in trainings(plan, protocol, model):
                            made[name, protocol, method, model, training, seed] = classification(
                                plan, common, (name, protocol, method, model, training, seed)
                            )
            made[name, "all", "controls", "", "", seed] = Task(
                f"{name} without a network, seed {seed}",
                f"{__name__}:controlled",
                {**common, "seed": seed, "features": plan.scale.neurons},
                (),
            )
    return made


def network(plan: Plan, method: str, model: str, seed: int) -> Task:
    """Return the task of a network, of controls at the radius of the unpruned one."""
    if method in ("random", "magnitude"):
        return control_of(plan, method, model, seed, plan.network(model, "LNP", seed))
    return plan.network(model, method, seed)


def classification(plan: Plan, common: Mapping[str, Any], key: Key, **more: Any) -> Task:
    """Return the task of training a network and classifying with it; `more` are options of `classified`."""
    name, protocol, method, model, training, seed = key
    networks = ("unpruned", "LNP") if method == "AP" else (method,)
    options = {**common, "method": method, "protocol": protocol, "training": training, "seed": seed, **more}
    if method == "AP":
        options["prune_rate"] = plan.scale.prune_rate
    return Task(
        f"{name}, {protocol}, {training}: {method} {model}, seed {seed}",
        f"{__name__}:classified",
        options,
        tuple(network(plan, one, model, seed) for one in networks),
        cost={"readout": 1, "STDP": 3, "BP": 4}[training],
    )


# ------------------------------------------------------------------------------------------------------------ the units


def classified(options: Mapping[str, Any], *needs: Result, report: Report) -> Result:
    """Train a network on images, fit a readout, and test it."""
    task = some_images(options)
    channels = pixel_channels(task)
    spec = _on_grid(NetworkSpec.from_arrays(needs[0].arrays))
    streams = Streams(options["seed"]).child("images")
    source = ImageInput.draw(
        spec.n_neurons,
        channels[0].shape[1],
        rng=streams.rng("input"),
        scale=SCALE,
        fraction=PROTOCOLS[options["protocol"]],
    )
    training = options["training"]
    if options["method"] == "AP":
        like = _on_grid(NetworkSpec.from_arrays(needs[1].arrays))
        spec = _activity_pruned(spec, like, source, channels[0], options)
    record: dict[str, Any] = {}
    readout, read = ClassifyOptions(**options.get("readout", {})), None
    if "read" in options:
        # As many neurons in every network, those of highest betweenness.
        allowed = int((source.may_be_read() & spec.alive).sum())
        read = read_images(spec, source, fraction=min(1.0, options["read"] / max(allowed, 1)))
    if training == "STDP" and spec.n_synapses:
        learnt = train_images_stdp(
            spec, source, channels[0][: options["stdp"]], report=lambda fraction: report(0.5 * fraction, "STDP")
        )
        spec, record["weight_change"] = learnt.spec, learnt.mean_change
    if training == "BP":
        readout = ClassifyOptions(kind="mlp")
        spec, source = spec.compacted(), source.of_neurons(spec.alive)
        read = read_images(spec, source, fraction=READ)
        few = options["bp"]
        part = replace(task, x_train=task.x_train[:few], y_train=task.y_train[:few])
        found = train_images_bp(
            spec,
            source,
            part,
            (channels[0][:few], channels[1]),
            read=read,
            options=ImageBPOptions(epochs=options["epochs"], batch=options["batch"]),
            rng=streams.rng("BP"),
            report=lambda fraction: report(0.5 * fraction, "BP"),
        )
        spec, source = found.spec, found.source
        record["losses"], record["accuracy_at_5_ms"] = found.losses.tolist(), found.accuracy
    said = classify(
        spec,
        source,
        task,
        channels,
        options=readout,
        read=read,
        report=lambda fraction: report(0.5 + 0.5 * fraction, "images"),
    )
    record |= {
        "neurons": spec.n_alive,
        "synapses": spec.n_synapses,
        "accuracy": said.accuracy,
        "accuracy_standard_error": said.accuracy_standard_error,
        "train_accuracy": said.train_accuracy,
        "synaptic_operations": said.synaptic_operations,
        "readout_operations": said.readout_operations,
        "readout_neurons": int(said.read.size),
        "task_rate_hz": said.mean_rate,
        "chance": task.chance,
    }
    return Result(record, {"correct": said.correct})


def _activity_pruned(
    spec: NetworkSpec, like: NetworkSpec, source: ImageInput, x: np.ndarray, options: Mapping[str, Any]
) -> NetworkSpec:
    """Remove the least active neurons, and train by STDP where that is the training, down to another's operations."""
    shown, time = x[:100], Presentation().seconds

    def rates(now: NetworkSpec) -> np.ndarray:
        return spike_counts(now, source, shown).mean(axis=0) / time

    def retrain(now: NetworkSpec) -> NetworkSpec:
        return train_images_stdp(now, source, x[:5]).spec if options["training"] == "STDP" else now

    goal = synaptic_operations(rates(like), like.pre)
    left = activity_pruning(
        spec, activity=rates, retrain=retrain, prune_rate=options["prune_rate"], operations=goal, compensate=True
    ).spec
    _, response = bed_measured(spec, options["seed"])
    return at_radius(left, response.spectral_radius, response=response)


def _on_grid(spec: NetworkSpec) -> NetworkSpec:
    return replace(spec, dt=1e-3, spike_timing="grid")


def some_images(options: Mapping[str, Any]) -> ImageTask:
    """Return at most as many images as options say."""
    whole = image_task(options["images"], options["data"], seed=options["seed"])
    few, rest = options["train"], options["test"]
    # Images lie in a random order.
    return replace(
        whole,
        x_train=whole.x_train[:few],
        y_train=whole.y_train[:few],
        x_test=whole.x_test[:rest],
        y_test=whole.y_test[:rest],
    )


def controlled(options: Mapping[str, Any], *, report: Report) -> Result:
    """Classify without a network, by the same readout: of pixels, of as many random features, of patches.

    Patches: Coates and Ng 2011; see `lnpbrian.learning.vision.image_input.PatchFilters`.
    """
    task = some_images(options)
    rng = Streams(options["seed"]).child("images").rng("controls")
    pixels = pixel_channels(task)
    centre = pixels[0].mean(axis=0)
    random = rng.standard_normal((pixels[0].shape[1], options["features"])) / np.sqrt(pixels[0].shape[1])
    patches = patch_filters(task.intensities(task.x_train), rng=rng, patches=min(50_000, 100 * len(task.y_train)))
    features = {
        CONTROLS[0]: pixels,
        CONTROLS[1]: tuple(np.maximum((x - centre) @ random, 0) for x in pixels),
        CONTROLS[2]: patches.of_task(task),
    }
    rows = []
    for k, (name, (train, test)) in enumerate(features.items()):
        report(k / len(features), name)
        readout = fit_classifier(train, task.y_train, classes=task.n_classes)
        accuracy = float((readout(test) == task.y_test).mean())
        rows.append({"name": name, "features": train.shape[1], "accuracy": accuracy, "test": len(test)})
    return Result({"rows": rows})


# ---------------------------------------------------------------------------------------------------------- the summary


def summarise(plan: Plan, results: Mapping[Key, Result]) -> dict[str, Any]:
    """Return rows of single networks, rows of the table, controls, and what became of the claims.

    Beside the values of table 1 of arXiv 2403.03409.
    """
    networks = {key: result for key, result in results.items() if key[2] != "controls"}
    rows = all_rows(networks, *KEY, "seed")
    used = list(seeds(plan))
    return {
        "seeds": used,
        "table": [_line(rows, dict(zip(KEY, key, strict=True))) for key in unlike(rows, *KEY)],
        "controls": [
            {"images": name, **_control([results[name, "all", "controls", "", "", s].record["rows"][k] for s in used])}
            for name in datasets(plan)
            for k in range(len(CONTROLS))
        ],
        "claims": _claims(plan, results),
        "rows": rows,
    }


def _line(rows: list[dict[str, Any]], key: Mapping[str, str]) -> dict[str, Any]:
    method = key["method"]
    mine, before = where(rows, **key), where(rows, **{**key, "method": "unpruned"})
    reported = REPORTED.get((method, key["model"], key["training"]))
    return {
        **key,
        **_accuracy(mine, mine[0]["accuracy_standard_error"]),
        **{
            name: spread(r[name] for r in mine)
            for name in ("neurons", "synapses", "readout_neurons", "synaptic_operations")
        },
        "with_readout": spread(r["synaptic_operations"] + r["readout_operations"] for r in mine),
        "operation_ratio": None if method == "uncoupled" else float(np.mean(ratios(before, mine))),
        "paper": None if reported is None else {"cifar10": reported[0], "operation_ratio": reported[1]},
    }


def _accuracy(rows: Sequence[Mapping[str, Any]], of_images: float) -> dict[str, float]:
    """Return the mean accuracy and its error over networks, of a single one over images."""
    mean, error = mean_and_error([r["accuracy"] for r in rows])
    return {"accuracy": mean, "accuracy_standard_error": error if len(rows) > 1 else of_images}


def _control(rows: list[dict[str, Any]]) -> dict[str, Any]:
    first = rows[0]
    told = {name: first[name] for name in ("name", "features")}
    return told | _accuracy(rows, standard_error(first["accuracy"], first["test"]))


def _claims(plan: Plan, results: Mapping[Key, Result]) -> list[dict[str, Any]]:
    """State what was aimed at, with our numbers and whether they bear it out."""

    def accuracies(name: str, protocol: str, method: str, model: str) -> np.ndarray:
        return np.array([results[name, protocol, method, model, "readout", s].record["accuracy"] for s in seeds(plan)])

    def by(name: str, model: str, training: str, other: str) -> tuple[str, bool]:
        """Return by how much LNP is better as relays, network by network, and whether that is two errors."""
        correct = (
            [results[name, "relay", method, model, training, s].arrays["correct"] for s in seeds(plan)]
            for method in ("LNP", other)
        )
        pairs = [accuracy_difference(*pair) for pair in zip(*correct, strict=True)]
        gain, error = mean_and_error([pair[0] for pair in pairs])
        error = error or pairs[0][1]
        return (
            f"{name}, {model}, {training}: {100 * gain:+.1f} ± {100 * error:.1f} points",
            bool(gain > 2 * error),
        )

    close, kept, without = [], [], []
    better: dict[str, list[tuple[str, bool]]] = {"random": [], "magnitude": []}
    for name in datasets(plan):
        for model in MODELS:
            lnp, full = (accuracies(name, "all", method, model).mean() for method in ("LNP", "unpruned"))
            close.append((f"{name}, {model}: {100 * (lnp - full):+.1f} points", bool(lnp >= full - 0.01)))
            chance = results[name, "relay", "LNP", model, "readout", seeds(plan)[0]].record["chance"]
            lnp, full = (accuracies(name, "relay", method, model).mean() - chance for method in ("LNP", "unpruned"))
            kept.append((f"{name}, {model}: {100 * lnp / full:.0f} %", bool(lnp >= 0.9 * full)))
            for other, parts in better.items():
                parts += [by(name, model, training, other) for training in trainings(plan, "relay", model)]
            alone, full = (accuracies(name, "all", method, model).mean() for method in ("uncoupled", "unpruned"))
            without.append((f"{name}, {model}: {100 * (full - alone):+.1f} points", bool(full > alone + 0.01)))
    return [
        claimed("Input to all: LNP is within one point of the unpruned network", close),
        claimed("Relay: LNP keeps at least 90 % of the accuracy above chance", kept),
        *(
            claimed(f"Relay: LNP is better than {other} networks of its size by two standard errors", parts)
            for other, parts in better.items()
        ),
        claimed("Input to all: synapses bring more than a point over the same neurons without any", without),
    ]


# ------------------------------------------------------------------------------------------------- from the JSON alone


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return tables as rows of text, heads first: networks by images and protocol, and what needs none.

    Table 1 of arXiv 2403.03409, as far as its networks are recurrent.
    """
    made: dict[str, list[list[str]]] = {}
    for r in content["table"]:
        title = titled(r["images"], r["protocol"])
        head = ["pruning", "model", "training", "accuracy (%)", "read", "synapses", "SOPs/image (M)", "with readout"]
        lines = made.setdefault(title, [[*head, "ratio", "paper, CIFAR-10 (%)", "paper's ratio"]])
        line = [r["method"], r["model"], r["training"], _percent(r)]
        line += [f"{r[name]['mean']:.0f}" for name in ("readout_neurons", "synapses")]
        line += [f"{r[name]['mean'] * 1e-6:.4f}" for name in ("synaptic_operations", "with_readout")]
        line.append("-" if r["operation_ratio"] is None else f"{r['operation_ratio']:.1f}")
        paper = r["paper"]
        line += ["-", "-"] if paper is None else [f"{paper['cifar10']:g}", f"{paper['operation_ratio']:g}"]
        lines.append(line)
    made["Without a network"] = [
        ["images", "readout of", "features", "accuracy (%)"],
        *([r["images"], r["name"], str(r["features"]), _percent(r)] for r in content["controls"]),
    ]
    return made


def _percent(r: Mapping[str, float]) -> str:
    return plus_minus((r["accuracy"], r["accuracy_standard_error"]), unit=100)


MARKERS = {"readout": "o", "STDP": "s", "BP": "^"}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the accuracy by kind of pruning, a column for each protocol, a row for each set of images."""
    names = unlike(content["table"], "images")
    figure = Figure(figsize=(12, 3.8 * len(names) + 0.6), layout="constrained")
    axes = figure.subplots(len(names), 2, sharey="row", squeeze=False)
    models = list(MODELS)
    for row, name in enumerate(names):
        for axis, protocol in zip(axes[row], PROTOCOLS, strict=True):
            for r in content["table"]:
                if (r["images"], r["protocol"]) != (name, protocol):
                    continue
                x = METHODS.index(r["method"]) + 0.3 * (models.index(r["model"]) - 0.5)
                x += 0.08 * (TRAININGS.index(r["training"]) - 1)
                axis.errorbar(
                    x,
                    100 * r["accuracy"],
                    100 * r["accuracy_standard_error"],
                    fmt=MARKERS[r["training"]],
                    color=COLORS.get(r["method"], "tab:purple"),
                    fillstyle="full" if r["model"] == models[0] else "none",
                    capsize=2,
                )
            for k, control in enumerate(c for c in content["controls"] if c["images"] == name):
                axis.axhline(100 * control["accuracy"], color="grey", linewidth=0.8, linestyle=("-", "--", ":")[k])
            axis.set_xticks(range(len(METHODS)), METHODS)
            axis.set_title(titled(name, protocol))
        axes[row, 0].set_ylabel("accuracy (%)")
    legend = [axes[0, 0].plot([], [], m, color="grey", label=t)[0] for t, m in MARKERS.items()]
    legend.append(axes[0, 0].plot([], [], "o", color="grey", fillstyle="none", label=f"hollow: {models[-1]}")[0])
    legend += [
        axes[0, 0].plot([], [], color="grey", linestyle=style, linewidth=0.8, label=label)[0]
        for style, label in zip(("-", "--", ":"), CONTROLS, strict=True)
    ]
    figure.legend(handles=legend, frameon=False, ncols=7, loc="outside lower center", fontsize=8)
    return finish(figure)
