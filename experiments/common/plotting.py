"""What figures share: colours of the kinds of pruning, spreads, axes, legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

__all__ = ["COLORS", "finish", "median_bar", "median_line", "plain_log_axis", "whiskers"]

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
    """Draw a median with its quartiles."""
    axis.errorbar(x, values["median"], whiskers([values]), capsize=2, **style)


def median_line(axis: Axes, x: Sequence[float], values: Sequence[Mapping[str, float]], color: str, label: str) -> None:
    """Draw medians as a line, their quartiles as a band."""
    low, middle, high = ([v[name] for v in values] for name in ("quartile_1", "median", "quartile_3"))
    axis.plot(x, middle, "o-", color=color, label=label)
    axis.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def plain_log_axis(axis: Axes, along: Literal["x", "y"] = "y") -> None:
    """Give an axis a logarithmic scale with numbers as one writes them."""
    axis.set(**{f"{along}scale": "log"})
    one = axis.xaxis if along == "x" else axis.yaxis
    one.set_major_locator(LogLocator(subs=(1, 2, 5)))
    one.set_major_formatter(StrMethodFormatter("{x:g}"))
    one.set_minor_formatter(NullFormatter())


Place = Literal["outside lower center", "outside upper center"]


def finish(
    figure: Figure, legend_of: Axes | None = None, ncols: int = 1, place: Place = "outside lower center"
) -> Figure:
    """Take the frames away, and put the legend of an axis outside."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    if legend_of is not None:
        figure.legend(*legend_of.get_legend_handles_labels(), frameon=False, ncols=ncols, loc=place)
    return figure
