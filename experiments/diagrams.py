"""Figures 1, 2 and 6 of the paper, which are diagrams, drawn from the objects that they are about.

Nothing in them is put there by hand: graphs are those of small models, numbers those of their pruning, signals those of
a forecast.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import ms, second
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from lnpbrian.experiments.common.plotting import COLORS, finish
from lnpbrian.learning import CurrentEncoder, ReadoutOptions, forecast, forecast_task
from lnpbrian.models import CHRSNN, HRSNN, LIFParameters
from lnpbrian.network import Drive, NetworkSpec, RecurrentNetwork, observe
from lnpbrian.pruning import Delocalisation, PruneOptions, Record, TimescaleTuning, prune
from lnpbrian.pruning.steps import STEPS
from lnpbrian.streams import Streams

__all__ = ["DIAGRAMS", "fig1", "fig2", "fig6"]

# Of figure 1: as many neurons as one can tell apart.
NEURONS = 60
SHADES = ("#1b3a57", "#3a9188", "#d1495b")
STEP_COLORS = {"I": "#1b3a57", "II": "#4f8fc0", "III": "#e3a857", "IV": "#3a9188"}


def _free(synapses: float, neurons: float = 0.0, iterations: int = 1) -> PruneOptions:
    """Return options that let the small networks of the diagrams be what they become."""
    return PruneOptions(synapses, neurons, iterations, rates=(0, 1e4), exponent_growth=None)


# ------------------------------------------------------------------------------------------------------------- figure 1


def fig1(neurons: int = NEURONS) -> Figure:
    """Draw a HRSNN and a CHRSNN, and what each of the four steps makes of them.

    Returns
    -------
    Figure
        A row for each model: its graph as drawn, after steps I, II and III, and its time constants before and after IV.

    Notes
    -----
    Figure 1 of arXiv 2403.03409.
    """
    settings = {"I": _free(0.8), "II": _free(0.36, 0.2), "III": _free(0.0)}
    figure = Figure(figsize=(16, 6.6), layout="constrained")
    axes = figure.subplots(2, 5)
    colours = ScalarMappable(LogNorm(4, 100), "viridis")
    for row, kind in zip(axes, (HRSNN, CHRSNN), strict=True):
        # A ring of as few clusters as make one.
        more: dict[str, Any] = {"clusters": 5} if kind is CHRSNN else {}
        model = kind(neurons, 0.2, parameters=LIFParameters.recurrent(), check_rate=False, seed=2, **more)
        unpruned = model.spec
        places = _places(unpruned)
        _graph(row[0], model.spec, places, colours)
        row[0].set_title(f"{kind.__name__}\n{_size(model.spec)}", fontsize=10)
        for axis, name in zip(row[1:4], settings, strict=True):
            before = model.spec
            # Eq. (5) of the paper: synapses that make degrees vary most.
            step = Delocalisation(0.2, rule="variance") if name == "III" else STEPS[name]()
            prune(model, (step,), options=settings[name], seed=1)
            _graph(axis, model.spec, places, colours, before=before)
            axis.set_title(f"step {name}, {_words(type(step).__name__)}\n{_size(model.spec)}", fontsize=10)
        before = model.spec
        prune(model, (TimescaleTuning(reference=unpruned),), options=_free(0.0), seed=1)
        _time_constants(row[4], before, model.spec)
        row[4].set_title(f"step IV, {_words(TimescaleTuning.__name__)}", fontsize=10)
    bar: dict[str, Any] = {"location": "bottom", "shrink": 0.4, "aspect": 40, "pad": 0.0}
    figure.colorbar(colours, ax=axes[1, :4], label="membrane time constant of a neuron (ms)", **bar)
    return figure


def _words(name: str) -> str:
    """Return the name of a class as words.

    >>> _words("NoisePruning")
    'noise pruning'
    """
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def _size(spec: NetworkSpec) -> str:
    return f"{spec.n_alive} neurons, {spec.n_synapses} synapses"


def _places(spec: NetworkSpec) -> np.ndarray:
    """Return where neurons are drawn, shape (N, 2): spread evenly over a disc, clusters on discs around a ring."""
    if not spec.cluster.any():
        return _disc(spec.n_neurons)
    names = np.unique(spec.cluster)
    places = np.empty((spec.n_neurons, 2))
    for k, name in enumerate(names):
        angle = 2 * np.pi * k / names.size
        mine = spec.cluster == name
        places[mine] = 0.34 * _disc(int(mine.sum())) + 0.7 * np.array((np.cos(angle), np.sin(angle)))
    return places


def _disc(n: int) -> np.ndarray:
    """Return n points of a disc of radius 1, each the golden angle from the one before (Vogel 1979)."""
    k = np.arange(n)
    angle, radius = k * np.pi * (3 - np.sqrt(5)), np.sqrt((k + 0.5) / n)
    return np.column_stack((radius * np.cos(angle), radius * np.sin(angle)))


def _graph(
    axis: Axes, spec: NetworkSpec, places: np.ndarray, colours: ScalarMappable, before: NetworkSpec | None = None
) -> None:
    """Draw synapses as lines, inhibitory ones red, those that were not there before broad; removed neurons hollow."""
    pairs = spec.pre.astype(np.int64) * spec.n_neurons + spec.post
    old = pairs if before is None else before.pre.astype(np.int64) * before.n_neurons + before.post
    new = ~np.isin(pairs, old)
    lines = np.stack((places[spec.pre], places[spec.post]), axis=1)
    alpha = min(0.6, 60 / max(spec.n_synapses, 1) + 0.12)
    for chosen, style in (
        ((spec.weights >= 0) & ~new, {"color": "#4a6fa5", "linewidths": 0.5, "alpha": alpha}),
        ((spec.weights < 0) & ~new, {"color": "#c44e52", "linewidths": 0.5, "alpha": alpha}),
        (new, {"color": STEP_COLORS["III"], "linewidths": 1.3}),
    ):
        axis.add_collection(LineCollection(list(lines[chosen]), zorder=1, **style))
    alive = spec.alive
    axis.scatter(
        places[~alive, 0], places[~alive, 1], s=18, facecolors="none", edgecolors="#bbbbbb", linewidths=0.7, zorder=2
    )
    shades = colours.to_rgba(1e3 * spec.time_constants[alive])
    axis.scatter(places[alive, 0], places[alive, 1], s=22, c=shades, edgecolors="white", linewidths=0.4, zorder=3)
    axis.set(xlim=(-1.12, 1.12), ylim=(-1.12, 1.12), aspect="equal")
    axis.set_axis_off()


def _time_constants(axis: Axes, before: NetworkSpec, after: NetworkSpec) -> None:
    for spec, label, style in (
        (before, "before", {"color": "#c9c9c9", "linewidth": 3.5}),
        (after, "after", {"color": STEP_COLORS["IV"]}),
    ):
        tau = np.sort(1e3 * spec.time_constants[spec.alive])
        axis.plot(tau, np.arange(1, tau.size + 1) / tau.size, label=label, drawstyle="steps-post", **style)
    axis.set(xscale="log", xlabel="membrane time constant (ms)", ylabel="fraction of the neurons below")
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)


# ------------------------------------------------------------------------------------------------------------- figure 2


def fig2(neurons: int = 200, iterations: int = 8) -> Figure:
    """Draw the way of a network through `prune`, and what becomes of it on the way.

    Returns
    -------
    Figure
        Above, what is done one after the other, with the options of the run; below, the record of every iteration.

    Notes
    -----
    Figure 2 of arXiv 2403.03409.
    """
    model = HRSNN(neurons, 0.15, parameters=LIFParameters.recurrent(), check_rate=False, seed=3)
    first = _size(model.spec)
    options = _free(0.95, 0.3, iterations)
    result = prune(model, options=options, seed=1)
    figure = Figure(figsize=(12, 6), layout="constrained")
    top, *axes = figure.subplot_mosaic([["way"] * 4, list("abcd")], height_ratios=(1, 1.5)).values()
    steps = "\n".join(f"{step.name}  {_words(type(step).__name__)}" for step in result.steps)
    _flow(
        top,
        (
            (f"{type(model).__name__}\nrandom, dense\n{first}", "black"),
            (f"{options.iterations} iterations of\n{steps}", STEP_COLORS["I"]),
            (f"sparse\n{_size(model.spec)}\nno data of a task was used", COLORS["LNP"]),
            ("STDP, BP or\nno training of the synapses\na readout for every task", "#7a7a7a"),
            ("forecasts of series\nclasses of images", STEP_COLORS["IV"]),
        ),
        again=1,
    )
    _records(axes, result.history)
    return finish(figure)


def _flow(axis: Axes, boxes: Sequence[tuple[str, str]], again: int) -> None:
    """Draw boxes from left to right with arrows between them, and one of them back onto itself."""
    axis.set(xlim=(0, len(boxes)), ylim=(0, 1))
    axis.set_axis_off()
    drawn = []
    for k, (text, color) in enumerate(boxes):
        box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": color, "linewidth": 1.5}
        drawn.append(axis.text(k + 0.5, 0.45, text, ha="center", va="center", fontsize=9, bbox=box))
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 14, "color": "#555555", "linewidth": 1.2}
    for k, (one, other) in enumerate(itertools.pairwise(drawn)):
        between: dict[str, Any] = {
            "patchA": one.get_bbox_patch(),
            "patchB": other.get_bbox_patch(),
            "shrinkA": 3,
            "shrinkB": 3,
        }
        axis.add_patch(FancyArrowPatch((k + 0.5, 0.45), (k + 1.5, 0.45), **between, **style))
    loop = FancyArrowPatch((again + 0.7, 0.78), (again + 0.3, 0.78), connectionstyle="arc3,rad=0.4", **style)
    axis.add_patch(loop)


def _records(axes: Sequence[Axes], history: Sequence[Record]) -> None:
    k = [record.iteration for record in history]
    for axis, name, label in (
        (axes[0], "synapses", "synapses"),
        (axes[1], "neurons", "neurons"),
        (axes[2], "mean_rate_hz", "mean rate (Hz)"),
    ):
        values = [getattr(record, name) for record in history]
        axis.plot(k, values, "o-", markersize=4, color=COLORS["LNP"])
        axis.set(xlabel="iteration", ylabel=label, ylim=(0, 1.1 * max(values)))
    names = ("largest_exponent_per_s", "largest_exponent_standard_error_per_s")
    exponents, errors = ([getattr(record, name) for record in history] for name in names)
    axes[3].errorbar(k, exponents, errors, fmt="o-", markersize=4, capsize=2, color=COLORS["LNP"])
    axes[3].axhline(0, color="black", linewidth=0.6)
    axes[3].set(xlabel="iteration", ylabel="largest exponent (1/s)")


# ------------------------------------------------------------------------------------------------------------- figure 6


def fig6(neurons: int = 200) -> Figure:
    """Draw the signals on the way from a series through a network to its forecast.

    Returns
    -------
    Figure
        Series, currents, spikes, filtered spikes that are read, and the forecast beside the truth.

    Notes
    -----
    Figure 6 of arXiv 2403.03409, whose input is spikes.
    """
    streams = Streams(1).child("diagram")
    sample, shown = 100 * ms, 12
    task = forecast_task("lorenz63_x", n_windows=1)
    parameters = LIFParameters.recurrent()
    spec = HRSNN(neurons, 0.1, parameters=parameters, check_rate=False, seed=4).spec
    encoder = CurrentEncoder.draw(neurons, task.dimensions, scale=0.5, rng=streams.rng("encoder"))
    options = ReadoutOptions(sample_time=sample, filter_time=20 * ms, order=5, ridge=0.01, fraction=1.0)
    found = forecast(spec, encoder, task, options=options, rng=streams.rng("input"))
    assert task.phase is not None
    series = task.phase[:shown]
    drive = Drive(series @ encoder.weights.T, float(sample / second))
    seen = observe(RecurrentNetwork(spec), drive.duration * second, drive=drive)
    figure = Figure(figsize=(16, 3.4), layout="constrained")
    axes = figure.subplots(1, 5)
    t = np.arange(shown + 1) * float(sample / ms)
    few = np.argsort(encoder.weights[:, 0])[np.linspace(0, neurons - 1, len(SHADES)).astype(int)]
    axes[0].stairs(series[:, 0], t, baseline=None, color="black")
    axes[0].set(ylabel="standard deviations")
    axes[0].set_title(f"series: {task.dimensions} variable seen")
    for k, color in zip(few, SHADES, strict=False):
        axes[1].stairs(drive.values[:, k], t, baseline=None, color=color)
    axes[1].set(title=f"input of {few.size} of {neurons} neurons", ylabel="current (threshold = 1)")
    axes[2].scatter(1e3 * seen.times, seen.indices, s=0.8, color=COLORS["LNP"], linewidths=0)
    axes[2].set(title=f"spikes: {spec.n_synapses} synapses", ylabel="neuron", ylim=(0, neurons))
    _filtered(axes[3], seen.times, seen.indices, few, options, drive.duration)
    _forecasts(axes[4], found.prediction[0, :, 0], found.truth[0, :, 0], int(found.vpt_steps[0.1][0]))
    for axis in axes[:4]:
        axis.set(xlabel="time (ms)", xlim=(0, 1e3 * drive.duration))
    for axis in axes:
        axis.set_title(axis.get_title(), pad=18, fontsize=11)
    _joined(figure, axes)
    return finish(figure)


def _filtered(
    axis: Axes, times: np.ndarray, indices: np.ndarray, few: np.ndarray, options: ReadoutOptions, duration: float
) -> None:
    """Draw spikes through as many exponential filters in a row as the readout has."""
    tau, t = float(options.filter_time / second), np.linspace(0, duration, 800)
    scale = float(np.prod(np.arange(1, options.order)))
    for k, color in zip(few, SHADES, strict=False):
        since = np.maximum(t[:, None] - times[indices == k], 0) / tau
        response = np.where(since > 0, since ** (options.order - 1) * np.exp(-since), 0).sum(axis=1)
        axis.plot(1e3 * t, response / (scale * tau), linewidth=1, color=color)
    axis.set(title=f"read: {options.order} filters of {1e3 * tau:g} ms", ylabel="filtered rate (Hz)")


def _forecasts(axis: Axes, prediction: np.ndarray, truth: np.ndarray, valid: int) -> None:
    axis.plot(truth, color="black", label="truth")
    axis.plot(prediction, color=COLORS["LNP"], label="forecast")
    axis.axvline(valid, color="#7a7a7a", linestyle=":", linewidth=1)
    axis.set(title=f"closed loop, valid for {valid} step{'s' * (valid != 1)}", xlabel="step")
    axis.legend(frameon=False, fontsize=8)


def _joined(figure: Figure, axes: Sequence[Axes]) -> None:
    """Draw an arrow from every axis to the next, once their places are known."""
    figure.draw_without_rendering()
    for one, other in itertools.pairwise(axes):
        left, right = one.get_position(), other.get_position()
        style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 16, "color": "#555555"}
        y = left.y1 + 0.035
        figure.patches.append(
            FancyArrowPatch((left.x1 - 0.03, y), (right.x0 + 0.03, y), transform=figure.transFigure, **style)
        )


DIAGRAMS = {"fig1": fig1, "fig2": fig2, "fig6": fig6}
