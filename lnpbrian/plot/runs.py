"""How a network is pruned, iteration by iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lnpbrian import checks
from lnpbrian.plot.drawing import AFTER, BEFORE, TRUTH, UNCOUPLED, axis_label, finite, legend, on, plain_log
from lnpbrian.plot.sources import records_of
from lnpbrian.pruning.history import Record

__all__ = ["QUANTITIES", "history"]

# What `history` draws, and what its axis says.
QUANTITIES = {
    "survivors": "survivors",
    "rate": "mean rate (Hz)",
    "exponent": "largest exponent (1/s)",
    "window exponent": "growth over one window (1/s)",
    "radius": "spectral radius of the response",
    "interval cv": "variation of intervals (CV)",
    "time constant": "mean membrane time constant (ms)",
    "localisation": "largest inverse participation ratio",
}
# By field of a Record, what it is called where there are two.
_FIELDS = {
    "survivors": {"synapses": "synapses", "neurons": "neurons"},
    "rate": {"mean_rate_hz": ""},
    "exponent": {"largest_exponent_per_s": ""},
    "window exponent": {"window_exponent_per_s": ""},
    "radius": {"spectral_radius": ""},
    "interval cv": {"interval_cv": ""},
    "time constant": {"time_constant_mean_ms": ""},
    "localisation": {"laplacian_ipr": "Laplacian", "adjacency_ipr": "adjacency"},
}
# Of these zero is a place of its own.
_FROM_ZERO = ("rate", "radius", "interval cv", "time constant")


def history(result: Any, ax: Axes | None = None, *, quantity: str = "survivors") -> Axes:
    """Draw what became of a network over the iterations of pruning.

    Parameters
    ----------
    result : PruneResult, sequence of Record, Study, or path-like
        A path is that of a run's folder, or of its ``run.json``.
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.
    quantity : {"survivors", "rate", "exponent", "window exponent", "radius", "interval cv", "time constant", \
"localisation"}
        Neurons and synapses that are left, or a number of each `Record`. Exponents have their standard errors.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `result` or `ax` is something else, or the file is not that of a run.

    Notes
    -----
    Dotted lines mark the iterations in which step IV acted, a shade those that were rolled back.

    The iterations are those of algorithm 1 of Chakraborty et al. (2024), arXiv 2403.03409.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian import PruneOptions, prune
    >>> from lnpbrian.models import HRSNN
    >>> quick = PruneOptions(0.8, 0.2, iterations=1, observation=100*ms, rates=(0, 500))
    >>> result = prune(HRSNN(60, 0.3, check_rate=False), ("I", "II"), options=quick)
    >>> history(result).lines[1].get_ydata().tolist()
    [60, 48]
    """
    checks.choice("quantity", quantity, QUANTITIES)
    records, left = records_of(result)
    axis = on(ax)
    shown = 0
    for (name, label), color, marker in zip(_FIELDS[quantity].items(), (AFTER, TRUTH), "os", strict=False):
        known = [record for record in records if getattr(record, name) is not None]
        if not known:
            continue
        shown += 1
        at, values = [r.iteration for r in known], [getattr(r, name) for r in known]
        axis.plot(at, values, color=color, marker=marker, markersize=4, label=label or None)
        if name.endswith("exponent_per_s"):
            errors = [finite(getattr(r, name.replace("_per_s", "_standard_error_per_s"))) or 0.0 for r in known]
            axis.errorbar(at, values, errors, fmt="none", ecolor=color, elinewidth=1, capsize=3)
    if not shown:
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", color=BEFORE)
    legend(axis)
    if quantity == "survivors":
        plain_log(axis)
    elif quantity in _FROM_ZERO and shown:
        axis.set_ylim(0, 1.1 * axis.dataLim.y1 or 1.0)
    elif quantity.endswith("exponent"):
        axis.axhline(0, color="black", linewidth=0.6)
    axis_label(axis, "iteration", _mark_steps(axis, records, left))
    axis.set_ylabel(QUANTITIES[quantity])
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return axis


def _mark_steps(axis: Axes, records: Sequence[Record], left: int) -> list[str]:
    """Mark what was done in some iterations only, and return what the marks are."""
    top = axis.get_xaxis_transform()
    tuned = [record.iteration for record in records if "IV" in record.seconds]
    for k in tuned:
        axis.axvline(k, color=UNCOUPLED, linestyle=":", linewidth=1.2, zorder=0, gid="step IV")
        axis.text(k, 1.01, "IV", transform=top, ha="center", fontsize=8, color="#8f7016")
    last = records[-1].iteration
    if left < last:
        axis.axvspan(left + 0.5, last + 0.5, color=BEFORE, alpha=0.2, linewidth=0, gid="rolled back")
        axis.text(last + 0.45, 0.02, "rolled back", transform=top, ha="right", fontsize=8)
    return ["dotted: step IV searched"] if tuned else []
