"""What plots share: a figure that needs no pyplot, files of any format, colours, histograms, what is not on an axis."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from lnpbrian import checks, files
from lnpbrian.checks import InvalidInput

__all__ = ["AFTER", "BEFORE", "COLORS", "TRUTH", "UNCOUPLED", "Picture", "panels", "save"]

BEFORE, AFTER, TRUTH, UNCOUPLED = "#7a7a7a", "#d1495b", "#1b3a57", "#d9b44a"
# By the name of a state; others take the rest in turn.
COLORS = {"before": BEFORE, "after": AFTER, "truth": TRUTH, "uncoupled": UNCOUPLED, "unpruned": BEFORE, "pruned": AFTER}
OTHERS = ("#d1495b", "#1b3a57", "#3a9188", "#d9b44a", "#8a5a9e", "#7a7a7a")
BINS = 40


class Picture(Figure):
    """A figure that a notebook shows without pyplot.

    Examples
    --------
    >>> Picture(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        written = io.BytesIO()
        self.savefig(written, format="png", dpi=100)
        return written.getvalue()


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 7.0, height: float = 3.6, **options: Any
) -> tuple[Picture, np.ndarray]:
    """Return a new figure and its axes, shape (rows, columns), without frames.

    Examples
    --------
    >>> figure, axes = panels(1, 2)
    >>> axes.shape
    (1, 2)
    """
    figure = Picture(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(drawn: Axes | Figure, path: str | os.PathLike[str], *, dpi: float = 150) -> Path:
    """Write a figure, or that of an axes, in the format of the suffix, whole or not at all; return the path.

    Parameters
    ----------
    drawn : matplotlib.axes.Axes or matplotlib.figure.Figure
    path : path-like
        Ends in ``.png``, ``.svg``, ``.pdf``, or what else Matplotlib writes.
    dpi : float
        Pixels an inch of what is not drawn as lines.

    Raises
    ------
    InvalidInput
        If Matplotlib has no such format.
    OSError
        If the file cannot be written.

    Notes
    -----
    The same figure gives the same bytes: no date is written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(panels()[0], Path(folder, "empty.svg")).read_text()[:5]
    '<?xml'
    """
    figure = drawn.get_figure(root=True) if isinstance(drawn, Axes) else drawn
    checks.instance("drawn", figure, Figure, "give what a plot returned, or its figure")
    assert figure is not None
    dpi = checks.real("dpi", dpi, above=0)
    target = Path(path)
    known = figure.canvas.get_supported_filetypes()
    kind = target.suffix.removeprefix(".").lower()
    if kind not in known:
        raise InvalidInput(f"a figure is written as .{', .'.join(sorted(known))}, got {target.name!r}")
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with files.replacing(target) as temporary, matplotlib.rc_context({"svg.hashsalt": "lnpbrian"}):
        figure.savefig(temporary, dpi=dpi, format=kind, metadata=undated)
    return target


def on(ax: Axes | None) -> Axes:
    if ax is None:
        return panels()[1][0, 0]
    checks.instance("ax", ax, Axes, "a plot is drawn on one axes; give one, as axes[0] of plt.subplots(1, 2)[1]")
    return ax


def histogram(
    axis: Axes, groups: Sequence[tuple[np.ndarray, str]], colors: Mapping[str, str], *, whole: bool = False
) -> list[str]:
    """Draw fractions of values per bin, of whole numbers in bins of such, and return what lies outside of its bin.

    Examples
    --------
    >>> axis = panels()[1][0, 0]
    >>> histogram(axis, [(np.array([1, 2, 2, 3]), "")], {"": "black"}, whole=True)
    []
    >>> [float(bar.get_height()) for bar in axis.patches]
    [0.25, 0.5, 0.25]
    """
    everything = np.concatenate([values for values, _ in groups]).astype(float)
    if not everything.size:
        raise InvalidInput("there is no neuron to draw; give at least one")
    # The outermost 1 % falls into the end bins, so that one outlier does not squeeze the rest. Of few values, none.
    low, high = np.percentile(everything, 0.5, method="lower"), np.percentile(everything, 99.5, method="higher")
    if whole:
        width = np.ceil((high - low + 1) / BINS)
        edges = np.arange(low - 0.5, high + width, width)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        edges = np.linspace(low, max(high, low + 1e-9), BINS + 1)
    for values, label in groups:
        inside = np.clip(values, edges[0], edges[-1])
        share = np.full(inside.size, 1 / max(inside.size, 1))
        axis.hist(inside, edges.tolist(), weights=share, color=colors[label], alpha=0.55, label=label or None)
    axis.set_ylabel("fraction of neurons per bin")
    below, above = everything[everything < edges[0]], everything[everything > edges[-1]]
    said = [f"{below.size} below, down to {written(below.min())}"] if below.size else []
    said += [f"{above.size} above, up to {written(above.max())}"] if above.size else []
    return ["drawn in the end bins: " + "; ".join(said)] if said else []


def written(value: float) -> str:
    """Return a number as axes have it, with a minus sign.

    Examples
    --------
    >>> written(12.345), hex(ord(written(-0.5)[0]))
    ('12.3', '0x2212')
    """
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def fit_axis(axis: Axes, inside: np.ndarray, everything: np.ndarray, what: str) -> list[str]:
    """Let an axis span the finite values of `inside`, and return how many of `everything` are beyond.

    Examples
    --------
    >>> axis = panels()[1][0, 0]
    >>> fit_axis(axis, np.array([0.0, 1.0]), np.array([0.0, 1.0, 9.0]), "exponents")
    ['1 exponent beyond the axis']
    """
    finite = inside[np.isfinite(inside)]
    if not finite.size:
        return [f"no finite {what}"]
    low, high = min(finite.min(), 0.0), max(finite.max(), 0.0)
    margin = 0.08 * (high - low) or 1.0
    axis.set_ylim(low - margin, high + margin)
    beyond = int(((everything < low - margin) | (everything > high + margin)).sum())
    return [f"{counted(beyond, what.removesuffix('s'))} beyond the axis"] if beyond else []


def axis_label(axis: Axes, text: str, notes: Iterable[str] = ()) -> None:
    """Write what the axis is, and below it what is not on it.

    Examples
    --------
    >>> axis = panels()[1][0, 0]
    >>> axis_label(axis, "rate (Hz)", ["2 values beyond the axis"])
    >>> axis.get_xlabel().splitlines()
    ['rate (Hz)', '2 values beyond the axis']
    """
    axis.set_xlabel("\n".join([text, *notes]))


def legend(axis: Axes, **options: Any) -> None:
    """Say what is what, where there are names."""
    if axis.get_legend_handles_labels()[1]:
        axis.legend(frameon=False, fontsize=8, **options)


def colors_of(names: Iterable[str]) -> dict[str, str]:
    others = iter(range(10**6))
    return {name: COLORS.get(name) or OTHERS[next(others) % len(OTHERS)] for name in names}


def shades(names: Sequence[str]) -> list[Any]:
    if all(name in COLORS for name in names):
        return [COLORS[name] for name in names]
    shade = matplotlib.colormaps["viridis"]
    return [shade(0.9 * k / max(len(names) - 1, 1)) for k in range(len(names))]


def plain_log(axis: Axes) -> None:
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
