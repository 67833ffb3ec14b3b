"""The figures of a run: plots of `lnpbrian.plot` side by side, each figure written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from lnpbrian import plot
from lnpbrian.plot.drawing import AFTER, BEFORE
from lnpbrian.plot.networks import RASTER_NEURONS
from lnpbrian.plot.stability import MOST_LABELS

if TYPE_CHECKING:
    from lnpbrian.jobs import ImageStudy, Study

__all__ = ["FIGURES", "IMAGE_FIGURES", "SPECTRUM_FIGURES", "draw_all", "spectra"]

EXAMPLES, EXAMPLE_COLUMNS = 32, 8
# What the history of a run shows, of all that `plot.history` can.
HISTORY = ("survivors", "rate", "exponent", "radius")


def draw_all(study: Study | ImageStudy, directory: str | os.PathLike[str]) -> list[Path]:
    """Draw every figure of `study` into `directory` and return the paths."""
    drawn: Mapping[str, Callable[[Any], Figure]] = IMAGE_FIGURES if hasattr(study, "images_after") else FIGURES
    return [plot.save(draw(study), Path(directory) / f"{name}.png") for name, draw in drawn.items()]


def raster(study: Study | ImageStudy) -> Figure:
    """Draw the spikes of the same neurons under the same noise, before and after."""
    figure, axes = plot.panels(1, 2, width=9, sharey=True, sharex=True)
    alive = study.after.alive
    survivors = np.flatnonzero(alive)[:RASTER_NEURONS]
    states = (("before", study.raster_before, BEFORE), ("after", study.raster_after, AFTER))
    for axis, (state, spikes, color) in zip(axes.flat, states, strict=True):
        plot.raster(spikes, axis, neurons=survivors, color=color)
        axis.set(title=f"{state} pruning, {spikes.rates[alive].mean():.1f} Hz", ylabel="")
    count = f"{survivors.size} of {alive.sum()}" if survivors.size < alive.sum() else f"{survivors.size}"
    axes.flat[0].set_ylabel(f"{count} surviving neurons")
    return figure


def exponents(study: Study | ImageStudy) -> Figure:
    """Draw the distribution of the neurons' Lyapunov exponents, and the largest of the network, before and after."""
    axis = plot.exponents(study)
    return _legend_below(axis.get_figure(), axis, 3)


def time_constants(study: Study | ImageStudy) -> Figure:
    """Draw the distribution of membrane time constants, of all neurons before and of the survivors as they are now.

    The final ones are figure 10 of arXiv 2403.03409.
    """
    return plot.time_constants({"before": study.before, "after": study.after}).get_figure()  # type: ignore[return-value]


def degrees(study: Study | ImageStudy) -> Figure:
    """Draw the distributions of in- and out-degree."""
    figure, axes = plot.panels(1, 2, width=9, sharey=True)
    for axis, direction in zip(axes.flat, ("in", "out"), strict=True):
        plot.degrees({"before": study.before, "after": study.after}, axis, direction=direction)
    axes.flat[1].set_ylabel("")
    return figure


def forecast(study: Study) -> Figure:
    """Draw forecasts against truth: the window whose error after pruning is the median one."""
    dimensions = study.task.dimensions
    figure, axes = plot.panels(dimensions, 1, height=1.3 * dimensions + 1, sharex=True)
    for d, axis in enumerate(axes.flat):
        plot.forecast(study, axis, dimension=d)
        if d:
            axis.set_title("")
        if d < dimensions - 1:  # what is beyond the axis stays
            axis.set_xlabel(axis.get_xlabel().partition("\n")[2], fontsize=8)
    return _legend_below(figure, axes.flat[0], 4)


def history(study: Study | ImageStudy) -> Figure:
    """Draw synapses, neurons, rate, largest exponent and spectral radius over the iterations.

    Neurons and synapses over iterations are in figure 3 of arXiv 2403.03409.
    """
    figure, axes = plot.panels(1, len(HISTORY), width=12, height=3.2)
    for axis, quantity in zip(axes.flat, HISTORY, strict=True):
        plot.history(study, axis, quantity=quantity)
        if axis is not axes.flat[0]:  # once is enough for what dotted lines are
            axis.set_xlabel("iteration")
    return figure


def spectra(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw Lyapunov spectra over i/D: all of them, and the leading ones where they cross zero.

    Parameters
    ----------
    records : sequence of mappings
        Entries of ``spectrum.json``, with the keys ``name``, ``dimension``, ``exponents_per_s`` and
        ``standard_errors_per_s``.

    Notes
    -----
    Axes as in figure 7 of arXiv 2403.03409.
    """
    figure, axes = plot.panels(1, 2, width=10, height=4.2, gridspec_kw={"width_ratios": (3, 2)})
    whole, leading = axes.flat
    plot.spectrum(records, whole).set_title("spectrum")
    plot.spectrum(records, leading, part="leading").set(title="leading exponents, with standard errors", ylabel="")
    return _legend_below(figure, whole, 4) if len(records) <= MOST_LABELS else figure


def convergence(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw running estimates of the largest exponents, and at the end their standard errors.

    Parameters
    ----------
    records : sequence of mappings
        Entries of ``spectrum.json``.
    """
    figure, axes = plot.panels(1, 1)
    axis = plot.convergence(records, axes[0, 0])
    return _legend_below(figure, axis, 3) if len(records) <= MOST_LABELS else figure


def confusion(study: ImageStudy) -> Figure:
    """Draw how many of each hundred images of a class are said to be of each class, before and after."""
    figure, axes = plot.panels(1, 2, width=10, height=4.9, sharey=True)
    for axis, state in zip(axes.flat, ("before", "after"), strict=True):
        plot.confusion(study, axis, state=state)
    axes.flat[1].set_ylabel("")
    figure.suptitle(f"{study.task.name}: of 100 test images of each class", fontsize=10)
    return figure


def examples(study: ImageStudy) -> Figure:
    """Draw the first test images, with their class and what the network says of them before and after."""
    number = min(EXAMPLES, study.task.y_test.size)
    rows = -(-number // EXAMPLE_COLUMNS)
    figure, axes = plot.panels(rows, EXAMPLE_COLUMNS, width=10, height=1.75 * (number // 8) + 1)
    for k, axis in enumerate(axes.flat):
        if k < number:
            plot.image(study, axis, number=k)
        else:
            axis.set_axis_off()
    said = "class, and below it what is said before / after pruning (red where wrong after)"
    figure.suptitle(f"{study.task.name}: {said}", fontsize=10)
    return figure


def _legend_below(figure: Any, axis: Any, ncols: int) -> Figure:
    """Put what axes say of their lines below the figure, once for all."""
    handles = axis.get_legend_handles_labels()
    for each in figure.axes:
        if each.get_legend() is not None:
            each.get_legend().remove()
    figure.legend(*handles, frameon=False, ncols=ncols, fontsize=8, loc="outside lower center")
    return figure


_OF_NETWORKS: dict[str, Callable[[Study | ImageStudy], Figure]] = {
    "raster": raster,
    "exponents": exponents,
    "time_constants": time_constants,
    "degrees": degrees,
}
FIGURES: dict[str, Callable[[Study], Figure]] = {**_OF_NETWORKS, "forecast": forecast, "history": history}
SPECTRUM_FIGURES: dict[str, Callable[[Sequence[Mapping[str, Any]]], Figure]] = {
    "spectrum": spectra,
    "convergence": convergence,
}
IMAGE_FIGURES: dict[str, Callable[[ImageStudy], Figure]] = {
    **_OF_NETWORKS,
    "confusion": confusion,
    "examples": examples,
    "history": history,
}
