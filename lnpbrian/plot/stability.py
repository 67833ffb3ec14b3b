"""Lyapunov exponents: of neurons, of networks, whole spectra, and whether they have converged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lnpbrian import checks
from lnpbrian.lyapunov.exponents import Exponents
from lnpbrian.plot.drawing import (
    axis_label,
    colors_of,
    counted,
    finite,
    fit_axis,
    histogram,
    legend,
    on,
    shades,
    written,
)
from lnpbrian.plot.sources import by_name, estimates_of, spectra_of, unit_of
from lnpbrian.pruning.history import PruneResult

__all__ = ["convergence", "exponents", "spectrum"]

# Fraction of a spectrum that counts as its leading end.
LEADING = 0.05
# Of more spectra none is named.
MOST_LABELS = 24
# Fewer points than these have an error bar each, more of them a band.
BARS = 25


def exponents(measured: Any, ax: Axes | None = None) -> Axes:
    """Draw the distribution of the neurons' Lyapunov exponents, and the largest of the network with its standard error.

    Parameters
    ----------
    measured : PruneResult, Study, Spectrum, TwinExponents, ndarray of shape (N,), or mapping of str to such
        Of a result of pruning, before and after. Arrays are in 1/s.
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `measured` or `ax` is something else.

    Notes
    -----
    The outermost 1 % of the values are drawn in the first and the last bin, and counted below the axis.

    Examples
    --------
    >>> axis = exponents(np.array([-3.0, -2.0, -2.0, -1.0]))
    >>> axis.get_xlabel(), round(float(sum(bar.get_height() for bar in axis.patches)), 9)
    ('exponent of a neuron (1/s)', 1.0)
    """
    result = getattr(measured, "pruning", measured)
    largest: dict[str, tuple[float | None, float | None]] = {}
    if isinstance(result, PruneResult):
        named: dict[str, Any] = {"before": result.exponents_before, "after": result.exponents_after}
        for label, r in (("before", result.history[0]), ("after", result.after)):
            largest[label] = r.largest_exponent_per_s, r.largest_exponent_standard_error_per_s
    else:
        named = by_name(measured)
        largest = {k: (e.largest_exponent, e.standard_error) for k, e in named.items() if isinstance(e, Exponents)}
    axis = on(ax)
    groups = []
    for label, one in named.items():
        found = one.per_neuron if isinstance(one, Exponents) else checks.array("exponents", one, shape=(None,))
        groups.append((found, label))
    colors = colors_of(named)
    tails = histogram(axis, groups, colors)
    known: dict[str, tuple[float, float | None]] = {}
    for label, (value, error) in largest.items():
        if value is not None and np.isfinite(value):
            known[label] = value, finite(error)
    has_errors = any(error is not None for _, error in known.values())
    # One below the other above the bars, where they hide neither these nor each other; named once, colours tell them.
    for k, (label, (at, error)) in enumerate(known.items()):
        axis.errorbar(
            at,
            0.96 - 0.1 * k / max(len(known) - 1, 1),
            xerr=error,
            fmt="D",
            markersize=4,
            capsize=3,
            color=colors[label],
            markeredgecolor="black",
            markeredgewidth=0.5,
            transform=axis.get_xaxis_transform(),
            label=None if k else f"largest of the network{' ± standard error' if has_errors else ''}",
        )
    if known:
        axis.set_ylim(0, 1.4 * axis.dataLim.y1)
    axis.axvline(0, color="black", linewidth=0.6)
    unit = unit_of([one for one in named.values() if isinstance(one, Exponents)])
    axis_label(axis, f"exponent of a neuron ({unit})", tails)
    legend(axis, loc="upper left")
    return axis


def convergence(measured: Any, ax: Axes | None = None, *, number: int = 1) -> Axes:
    """Draw the running estimate of exponents over the time that was measured, and what it ended with.

    Parameters
    ----------
    measured : Spectrum, TwinExponents, PruneResult, Study, mapping of str to such, sequence of records, or path-like
        Of a result of pruning, before and after. Records and paths are those of ``spectrum.json``, as for `spectrum`.
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.
    number : int
        How many leading exponents of a spectrum; records hold one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `measured` or `ax` is something else, or `number` is not positive.

    Notes
    -----
    The bar behind the end is the standard error: an estimate that has converged stays within about two of them. The
    axis spans the values of the second half of the measured time; what is beyond is counted below it.

    Examples
    --------
    Halving one coordinate and doubling another:

    >>> from lnpbrian.lyapunov import map_spectrum
    >>> factors = np.array([0.5, 2.0])
    >>> doubled = map_spectrum(
    ...     lambda x: factors * x, lambda x: np.diag(factors), np.zeros(2),
    ...     duration=10, transient=100, rng=np.random.default_rng(0))
    >>> lines = convergence(doubled, number=2).lines
    >>> [round(float(line.get_ydata()[-1]) / float(np.log(2)), 6) for line in lines[:2]]
    [1.0, -1.0]
    """
    number = checks.count("number", number)
    found = estimates_of(measured)
    axis = on(ax)
    names = [one.name for one in found]
    # Networks of a file have the colours that `spectrum` gives them.
    of_file = isinstance(measured, (str, os.PathLike, Sequence))
    colors = dict(zip(names, shades(names), strict=True)) if of_file else colors_of(names)
    late, outside, bars = [], [], []
    for one in found:
        time = one.interval * np.arange(1, len(one.values) + 1)
        for m, (values, error) in enumerate(zip(one.values.T[:number], one.errors, strict=False)):
            label, faint = one.name if m == 0 else "", 1 / (1 + 0.6 * m)
            axis.plot(time, values, color=colors[one.name], linewidth=1.4, alpha=faint, label=label or None)
            outside.append(values)
            late.append(values[values.size // 2 :])
            if finite(error) is not None and np.isfinite(values[-1]):
                reach = values[-1] - error, values[-1] + error
                late.append(np.array(reach))
                bars.append((time[-1], values[-1], error, colors[one.name]))
    for k, (end, value, error, color) in enumerate(bars, 1):
        # Each a little further on, so that none hides another.
        axis.errorbar(end * (1 + 0.02 * k), value, error, fmt="D", color=color, markersize=4, capsize=3)
    axis.axhline(0, color="black", linewidth=0.6)
    notes = fit_axis(axis, np.concatenate(late), np.concatenate(outside), "estimates")
    what = " or ".join(sorted({one.what for one in found})) if number == 1 else f"{number} leading exponents"
    unit = found[0].unit
    axis.set_ylabel(f"running {what} ({unit})")
    axis_label(axis, f"measured time ({'s' if unit == '1/s' else 'units of the system'})", notes)
    legend(axis)
    return axis


def spectrum(spectra: Any, ax: Axes | None = None, *, part: str = "whole") -> Axes:
    """Draw Lyapunov spectra over i/D, with their standard errors.

    Parameters
    ----------
    spectra : Spectrum, ndarray of shape (D,), mapping of str to such, sequence of records, or path-like
        Records are those of ``spectrum.json`` (`lnpbrian.lyapunov.stability.stability_record`); a path is that of such
        a file, or of its folder. Arrays are in 1/s, and complete.
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.
    part : {"whole", "leading"}
        All exponents, or the leading 5 % (at least three), where they cross zero.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `spectra` or `ax` is something else, or the file is not that of a spectrum.

    Notes
    -----
    The last half per cent of the fastest membranes would squeeze the rest: it is left below the axis, and counted, as
    are directions that are lost.

    arXiv 2403.03409, appendix A.7, has its spectra over i/N too.

    Examples
    --------
    >>> axis = spectrum(np.array([0.5, -1.0, -2.0]))
    >>> axis.lines[0].get_xydata().round(3).tolist()
    [[0.333, 0.5], [0.667, -1.0], [1.0, -2.0]]
    """
    checks.choice("part", part, ("whole", "leading"))
    records, unit = spectra_of(spectra)
    axis = on(ax)
    colors = shades([r["name"] for r in records])
    lowest, below, lost, reach = 0.0, [], 0, LEADING
    for record, color in zip(records, colors, strict=True):
        values, errors = (np.array(record[name], float) for name in ("exponents_per_s", "standard_errors_per_s"))
        values[~np.isfinite(values)], errors[~np.isfinite(errors)] = np.nan, np.nan
        place = np.arange(1, values.size + 1) / record["dimension"]
        if part == "leading":
            near = place <= max(LEADING, 3 / record["dimension"])
            place, values, errors = place[near], values[near], errors[near]
            reach = max(reach, place[-1])
        marker = "o" if place.size <= BARS else ""
        axis.plot(place, values, marker=marker, markersize=3, color=color, linewidth=1.4, label=record["name"] or None)
        _with_errors(axis, place, values, errors, color)
        lost += int(np.isnan(values).sum())
        below.append(values[~np.isnan(values)])
        if np.isfinite(values).any():
            lowest = min(lowest, float(np.nanpercentile(values, 0.5)))
    axis.axhline(0, color="black", linewidth=0.6)
    notes = []
    if part == "whole":
        axis.set_ylim(1.05 * lowest, None)
        under = np.concatenate(below)
        under = under[under < axis.get_ylim()[0]]
        notes = (
            [f"{counted(under.size, 'exponent')} below the axis, down to {written(under.min())}"] if under.size else []
        )
    else:
        axis.set_xlim(0, 1.03 * reach)
    notes += [f"{counted(lost, 'direction')} lost"] if lost else []
    axis.set_ylabel(f"Lyapunov exponent ({unit})")
    axis_label(axis, "i/D" if part == "whole" else "i/D, leading end", notes)
    if len(records) <= MOST_LABELS:
        legend(axis)
    return axis


def _with_errors(axis: Axes, x: np.ndarray, values: np.ndarray, errors: np.ndarray, color: Any) -> None:
    low, high = values - np.nan_to_num(errors), values + np.nan_to_num(errors)
    if x.size <= BARS:
        axis.vlines(x, low, high, color=color, linewidth=1)
    else:
        axis.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
