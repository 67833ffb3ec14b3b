"""What figures share: colours of the kinds of pruning, spreads, axes, legends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

__all__ = ["COLORS", "bars", "finish", "median_bar", "median_line", "plain_log_axis", "ranking"]

COLORS = {"unpruned": "black", "AP": "tab:orange", "LNP": "tab:blue", "random": "tab:green", "uncoupled": "tab:grey"}


def whiskers(values: Sequence[Mapping[str, float]]) -> list[list[float]]:
    """Return how far the quartiles are below and above the medians.

    Examples
    --------
    >>> whiskers([{"quartile_1": 1.5, "median": 2.0, "quartile_3": 4.0}])
    [[0.5], [2.0]]
    """
    return [[v["median"] - v["quartile_1"] for v in values], [v["quartile_3"] - v["median"] for v in values]]


def median_bar(axis: Axes, x: float, values: Mapping[str, float], **style: Any) -> None:
    """Draw a median with its quartiles.

    Examples
    --------
    >>> axis = Figure().subplots()
    >>> median_bar(axis, 0, {"quartile_1": 1.0, "median": 2.0, "quartile_3": 4.0}, fmt="o")
    >>> axis.lines[0].get_ydata().tolist()
    [2.0]
    """
    axis.errorbar(x, values["median"], whiskers([values]), capsize=2, **style)


def median_line(axis: Axes, x: Sequence[float], values: Sequence[Mapping[str, float]], color: str, label: str) -> None:
    """Draw medians as a line, their quartiles as a band.

    Examples
    --------
    >>> axis = Figure().subplots()
    >>> spreads = [{"quartile_1": m - 1, "median": m, "quartile_3": m + 1} for m in (2.0, 5.0)]
    >>> median_line(axis, [10, 20], spreads, "black", "LNP")
    >>> axis.lines[0].get_ydata().tolist()
    [2.0, 5.0]
    """
    low, middle, high = ([v[name] for v in values] for name in ("quartile_1", "median", "quartile_3"))
    axis.plot(x, middle, "o-", color=color, label=label)
    axis.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def plain_log_axis(axis: Axes, along: Literal["x", "y"] = "y") -> None:
    """Give an axis a logarithmic scale with numbers as one writes them.

    Examples
    --------
    >>> axis = Figure().subplots()
    >>> plain_log_axis(axis, "x")
    >>> axis.get_xscale(), axis.xaxis.get_major_formatter()(0.5)
    ('log', '0.5')
    """
    axis.set(**{f"{along}scale": "log"})
    one = axis.xaxis if along == "x" else axis.yaxis
    one.set_major_locator(LogLocator(subs=(1, 2, 5)))
    one.set_major_formatter(StrMethodFormatter("{x:g}"))
    one.set_minor_formatter(NullFormatter())


def bars(axis: Axes, table: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Draw medians and quartiles of some spreads of networks side by side, a bar for each model and kind of pruning.

    Examples
    --------
    >>> axis = Figure().subplots()
    >>> one = {"quartile_1": 1.0, "median": 2.0, "quartile_3": 4.0}
    >>> bars(axis, [{"method": "LNP", "model": model, "vpt": one} for model in ("HRSNN", "CHRSNN")], ["vpt"])
    >>> [round(float(bar.get_x()), 2) for bar in axis.patches]
    [-0.38, 0.02]
    """
    width = 0.8 / len(table)
    for k, r in enumerate(table):
        values = [r[name] for name in names]
        axis.bar(
            np.arange(len(names)) + (k - (len(table) - 1) / 2) * width,
            [v["median"] for v in values],
            0.9 * width,
            yerr=whiskers(values),
            color=COLORS[r["method"]],
            hatch="//" if r["model"] == "CHRSNN" else None,
            edgecolor="white",
            error_kw={"linewidth": 0.8},
            label=f"{r['method']} {r['model']}",
        )


def ranking(
    axis: Axes, values: dict[str, Sequence[float]], color_of: Callable[[str], str], *, unit: float = 1.0
) -> None:
    """Draw means with their errors below each other, the first on top, each with its name.

    Examples
    --------
    >>> axis = Figure().subplots()
    >>> ranking(axis, {"LNP": (5.0, 0.5), "random": (4.0, 0.5)}, lambda name: "black")
    >>> [label.get_text() for label in axis.get_yticklabels()]
    ['random', 'LNP']
    """
    for k, (name, (mean, error)) in enumerate(reversed(values.items())):
        axis.errorbar(unit * mean, k, xerr=unit * error, fmt="o", color=color_of(name), capsize=3)
    axis.set_yticks(range(len(values)), list(reversed(values)))
    axis.locator_params(axis="x", nbins=5)


Place = Literal["outside lower center", "outside upper center"]


def finish(
    figure: Figure, legend_of: Axes | None = None, ncols: int = 1, place: Place = "outside lower center"
) -> Figure:
    """Take the frames away, and put the legend of an axis outside.

    Examples
    --------
    >>> figure = Figure()
    >>> line = figure.subplots().plot([1, 2], label="LNP")
    >>> [text.get_text() for text in finish(figure, figure.axes[0]).legends[0].get_texts()]
    ['LNP']
    """
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    if legend_of is not None:
        figure.legend(*legend_of.get_legend_handles_labels(), frameon=False, ncols=ncols, loc=place)
    return figure
