"""Figures of a study, each drawn on a Matplotlib figure of its own and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lnpbrian import files

if TYPE_CHECKING:
    from lnpbrian.jobs import ImageStudy, Study

__all__ = ["FIGURES", "IMAGE_FIGURES", "draw_all", "spectra"]

BEFORE, AFTER, TRUTH, UNCOUPLED = "#7a7a7a", "#d1495b", "#1b3a57", "#d9b44a"
RASTER_NEURONS = 200
# Fraction of a spectrum that counts as its leading end.
LEADING = 0.05
MOST_LABELS = 24
EXAMPLES, EXAMPLE_COLUMNS = 32, 8


def draw_all(study: Study | ImageStudy, directory: str | os.PathLike[str]) -> list[Path]:
    """Draw every figure of `study` into `directory` and return the paths."""
    paths = []
    drawn: Mapping[str, Callable[[Any], Figure]] = IMAGE_FIGURES if hasattr(study, "images_after") else FIGURES
    for name, draw in drawn.items():
        path = Path(directory) / f"{name}.png"
        with files.replacing(path) as temporary:
            draw(study).savefig(temporary, dpi=150)
        paths.append(path)
    return paths


def _figure(
    rows: int = 1, columns: int = 1, *, width: float = 7.0, height: float = 3.6, **options: Any
) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, **options)
    for axis in np.ravel(axes):
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def raster(study: Study | ImageStudy) -> Figure:
    """Draw the spikes of the same neurons under the same noise, before and after."""
    figure, axes = _figure(1, 2, width=9, sharey=True, sharex=True)
    survivors = np.flatnonzero(study.after.alive)[:RASTER_NEURONS]
    row = np.full(study.before.n_neurons, -1)
    row[survivors] = np.arange(survivors.size)
    for axis, activity, color, title in (
        (axes[0], study.raster_before, BEFORE, "before"),
        (axes[1], study.raster_after, AFTER, "after"),
    ):
        y = row[activity.indices]
        axis.plot(1e3 * activity.times[y >= 0], y[y >= 0], ".", color=color, markersize=1.8)
        rate = activity.rates[study.after.alive].mean()
        axis.set(title=f"{title} pruning, {rate:.1f} Hz", xlabel="time (ms)", xlim=(0, 1e3 * activity.duration))
    axes[0].set_ylabel(f"{survivors.size} surviving neurons")
    return figure


def exponents(study: Study | ImageStudy) -> Figure:
    """Draw the distribution of per-neuron Lyapunov exponents."""
    figure, axis = _figure()
    groups = (
        (study.pruning.exponents_before, BEFORE, "before"),
        (study.pruning.exponents_after, AFTER, "after"),
    )
    _histogram(axis, [(twins.per_neuron, color, label) for twins, color, label in groups])
    records = study.pruning.history[0], study.pruning.after
    for record, (_, color, label) in zip(records, groups, strict=True):
        value, error = record.largest_exponent_per_s, record.largest_exponent_standard_error_per_s
        if np.isfinite(error):
            axis.axvspan(value - error, value + error, color=color, alpha=0.15, linewidth=0)
        axis.axvline(
            value,
            color=color,
            linestyle="--",
            linewidth=1.2,
            label=f"largest of the network, with standard error, {label}",
        )
    axis.axvline(0, color="black", linewidth=0.6)
    axis.set(xlabel="exponent of a neuron (1/s)", ylabel="fraction of neurons per bin")
    figure.legend(frameon=False, ncols=2, fontsize=8, loc="outside lower center")
    return figure


def time_constants(study: Study | ImageStudy) -> Figure:
    """Draw the distribution of membrane time constants, of all neurons before and of the survivors as they are now."""
    figure, axis = _figure()
    before, after = (1e3 * spec.time_constants[spec.alive] for spec in (study.before, study.after))
    _histogram(axis, [(before, BEFORE, "before"), (after, AFTER, "after")])
    axis.set(xlabel="membrane time constant (ms)", ylabel="fraction of neurons per bin")
    axis.legend(frameon=False)
    return figure


def degrees(study: Study | ImageStudy) -> Figure:
    """Draw the distributions of in- and out-degree."""
    figure, axes = _figure(1, 2, width=9, sharey=True)
    for axis, side, title in ((axes[0], "post", "in-degree"), (axes[1], "pre", "out-degree")):
        groups = []
        for spec, color, label in ((study.before, BEFORE, "before"), (study.after, AFTER, "after")):
            degree = np.bincount(getattr(spec, side), minlength=spec.n_neurons)[spec.alive]
            groups.append((degree, color, f"{label}, mean {degree.mean():.1f}"))
        _histogram(axis, groups)
        axis.set(xlabel=title)
        axis.legend(frameon=False)
    axes[0].set_ylabel("fraction of neurons per bin")
    return figure


def forecast(study: Study) -> Figure:
    """Draw forecasts against truth: the window whose error after pruning is the median one."""
    before, after, task = study.forecast_before, study.forecast_after, study.task
    none = study.forecast_uncoupled
    window = int(np.argsort(after.nrmse, kind="stable")[after.nrmse.size // 2])
    dimensions = task.truth.shape[-1]
    figure, axes = _figure(dimensions, 1, height=1.3 * dimensions + 1, sharex=True)
    steps = np.arange(1, task.horizon + 1)
    for d, axis in enumerate(np.ravel(axes)):
        physical = (
            task.mean[d]
            + task.scale[d]
            * np.stack([task.truth, before.prediction, after.prediction, none.prediction])[:, window, :, d]
        )
        low, high = physical[0].min(), physical[0].max()
        margin = 0.35 * (high - low)
        axis.plot(steps, physical[0], color=TRUTH, linewidth=2.2, label="truth")
        axis.plot(steps, physical[3], color=UNCOUPLED, label=f"no synapses, NRMSE {none.nrmse[window]:.2f}")
        axis.plot(steps, physical[1], color=BEFORE, label=f"unpruned, NRMSE {before.nrmse[window]:.2f}")
        axis.plot(steps, physical[2], color=AFTER, label=f"pruned, NRMSE {after.nrmse[window]:.2f}")
        axis.set(ylabel=task.columns[d] if task.columns else f"dimension {d}", ylim=(low - margin, high + margin))
    top, bottom = np.ravel(axes)[0], np.ravel(axes)[-1]
    top.set_title(
        f"{task.name}: window {window + 1} of {task.n_windows} (median error of the pruned network)", fontsize=10
    )
    figure.legend(*top.get_legend_handles_labels(), frameon=False, ncols=4, fontsize=8, loc="outside lower center")
    bottom.set_xlabel("steps forecast in closed loop")
    return figure


def history(study: Study | ImageStudy) -> Figure:
    """Draw synapses, neurons, rate, largest exponent and spectral radius over the iterations."""
    figure, axes = _figure(1, 4, width=12, height=3.2)
    records = study.pruning.history
    k = [r.iteration for r in records]
    axes[0].semilogy(k, [r.synapses for r in records], "o-", color=AFTER, markersize=4, label="synapses")
    axes[0].semilogy(k, [r.neurons for r in records], "s-", color=TRUTH, markersize=4, label="neurons")
    axes[0].set(ylabel="survivors")
    axes[0].legend(frameon=False)
    axes[1].plot(k, [r.mean_rate_hz for r in records], "o-", color=AFTER, markersize=4)
    axes[1].set(ylabel="mean rate (Hz)", ylim=(0, 1.1 * max(r.mean_rate_hz for r in records)))
    axes[2].errorbar(
        k,
        [r.largest_exponent_per_s for r in records],
        [r.largest_exponent_standard_error_per_s for r in records],
        fmt="o-",
        color=AFTER,
        markersize=4,
        capsize=2,
    )
    axes[2].axhline(0, color="black", linewidth=0.6)
    axes[2].set(ylabel="largest exponent (1/s)")
    known = [(r.iteration, r.spectral_radius) for r in records if r.spectral_radius is not None]
    axes[3].plot(*zip(*known, strict=True), "o-", color=AFTER, markersize=4)
    axes[3].set(ylabel="spectral radius of the response", ylim=(0, 1.2 * max(radius for _, radius in known)))
    for axis in axes:
        axis.set_xlabel("iteration")
        axis.xaxis.get_major_locator().set_params(integer=True)
    return figure


def spectra(records: Sequence[Mapping[str, Any]], styles: Sequence[Mapping[str, Any]] | None = None) -> Figure:
    """Draw Lyapunov spectra over i/D: all of them, and the leading ones where they cross zero.

    Parameters
    ----------
    records : sequence of mappings
        Entries of ``spectrum.json``, with the keys ``name``, ``dimension``, ``exponents_per_s`` and
        ``standard_errors_per_s``.
    styles : sequence of mappings, optional
        Options of Matplotlib's ``plot`` for each of them.
    """
    figure, axes = _figure(1, 2, width=10, height=4.2, gridspec_kw={"width_ratios": (3, 2)})
    shade = matplotlib.colormaps["viridis"]
    lowest, reach = 0.0, LEADING
    for k, record in enumerate(records):
        style = styles[k] if styles is not None else {"color": shade(0.9 * k / max(len(records) - 1, 1))}
        # A direction that is lost has no place in the figure.
        values = np.array([np.nan if x is None else x for x in record["exponents_per_s"]])
        errors = np.array([0.0 if x is None else x for x in record["standard_errors_per_s"]])
        place = np.arange(1, values.size + 1) / record["dimension"]
        axes[0].plot(place, values, label=record["name"], **{"linewidth": 1.4, **style})
        near = place <= max(LEADING, 3 / record["dimension"])
        reach = max(reach, place[near][-1])
        axes[1].plot(place[near], values[near], **{"linewidth": 1.4, **style})
        band = {"color": style["color"], "alpha": 0.2, "linewidth": 0}
        axes[1].fill_between(place[near], (values - errors)[near], (values + errors)[near], **band)
        lowest = min(lowest, float(np.nanpercentile(values, 0.5)))
    for axis in axes:
        axis.axhline(0, color="black", linewidth=0.6)
        axis.set_xlabel("i/D")
    # The last half per cent of the fastest membranes would squeeze the rest.
    axes[0].set(ylabel="Lyapunov exponent (1/s)", ylim=(1.05 * lowest, None), title="spectrum")
    axes[1].set(xlim=(0, reach), title="leading exponents, with standard errors")
    if len(records) <= MOST_LABELS:
        figure.legend(
            *axes[0].get_legend_handles_labels(), frameon=False, ncols=4, fontsize=8, loc="outside lower center"
        )
    return figure


def _histogram(axis: Axes, groups: list[tuple[np.ndarray, str, str]]) -> None:
    everything = np.concatenate([values for values, _, _ in groups]).astype(float)
    low, high = np.percentile(everything, [0.5, 99.5])
    edges = np.linspace(low, max(high, low + 1e-9), 41).tolist()
    for values, color, label in groups:
        # The outermost 1 % falls into the end bins, so that one outlier does not squeeze the rest.
        inside = np.clip(values, edges[0], edges[-1])
        axis.hist(inside, edges, weights=np.full(inside.size, 1 / inside.size), color=color, alpha=0.55, label=label)


def confusion(study: ImageStudy) -> Figure:
    """Draw how many of each hundred images of a class are said to be of each class, before and after."""
    figure, axes = _figure(1, 2, width=10, height=4.9, sharey=True)
    task = study.task
    named = task.n_classes <= MOST_LABELS
    for axis, found, title in ((axes[0], study.images_before, "before"), (axes[1], study.images_after, "after")):
        table = found.confusion
        share = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        axis.imshow(share, cmap="Blues", vmin=0, vmax=100)
        accuracy, error = 100 * found.accuracy, 100 * found.accuracy_standard_error
        axis.set(title=f"{title} pruning, {accuracy:.1f} ± {error:.1f} % right", xlabel="said to be")
        if not named:
            continue
        for row, line in enumerate(share):
            for column, value in enumerate(line):
                if value >= 0.5:
                    color = "white" if value > 55 else "black"
                    axis.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=color)
        axis.set_xticks(range(task.n_classes), task.classes, rotation=60, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(task.n_classes), task.classes)
    axes[0].set_ylabel("class of the image")
    figure.suptitle(f"{task.name}: of 100 test images of each class", fontsize=10)
    return figure


def examples(study: ImageStudy) -> Figure:
    """Draw the first test images, with their class and what the network says of them before and after."""
    task, before, after = study.task, study.images_before, study.images_after
    number = min(EXAMPLES, task.y_test.size)
    figure, axes = _figure(-(-number // EXAMPLE_COLUMNS), EXAMPLE_COLUMNS, width=10, height=1.75 * (number // 8) + 1)
    for axis in np.ravel(axes):
        axis.set_axis_off()
    for k, axis in zip(range(number), np.ravel(axes), strict=False):
        picture = task.intensities(task.x_test[k])
        axis.imshow(picture[..., 0] if picture.shape[-1] == 1 else picture, cmap="gray_r", vmin=0, vmax=1)
        said = [task.classes[int(found.predicted[k])] for found in (before, after)]
        right = bool(after.correct[k])
        text = f"{task.classes[int(task.y_test[k])]}\n{said[0]} / {said[1]}"
        axis.set_title(text, fontsize=7, color="black" if right else AFTER)
    figure.suptitle(
        f"{task.name}: class, and below it what is said before / after pruning (red where wrong after)", fontsize=10
    )
    return figure


FIGURES: dict[str, Callable[[Study], Figure]] = {
    "raster": raster,
    "exponents": exponents,
    "time_constants": time_constants,
    "degrees": degrees,
    "forecast": forecast,
    "history": history,
}
IMAGE_FIGURES: dict[str, Callable[[ImageStudy], Figure]] = {
    "raster": raster,
    "exponents": exponents,
    "time_constants": time_constants,
    "degrees": degrees,
    "confusion": confusion,
    "examples": examples,
    "history": history,
}
