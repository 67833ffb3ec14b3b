"""What networks are like: spikes, time constants, degrees, eigenvectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.response import LinearResponse
from lnpbrian.plot.drawing import AFTER, axis_label, colors_of, histogram, legend, on, plain_log
from lnpbrian.plot.sources import graph_of, networks_of, spikes_of, time_constants_of
from lnpbrian.pruning.steps.localisation import DelocalisationReport, delocalisation_report

__all__ = ["degrees", "eigenvectors", "raster", "time_constants"]

RASTER_NEURONS = 200


def raster(
    spikes: Any,
    ax: Axes | None = None,
    *,
    neurons: object = None,
    color: str = AFTER,
) -> Axes:
    """Draw spikes over time, a row for every neuron.

    Parameters
    ----------
    spikes : SpikeTrain, brian2.SpikeMonitor, or pair of ndarray
        A pair is the neuron of every spike and its time, in seconds or as a Quantity.
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.
    neurons : array of int, optional
        Which, from bottom to top; by default the first 200.
    color : str

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `spikes` or `ax` is something else, or an index is out of range.

    Examples
    --------
    >>> from lnpbrian.network.signals import SpikeTrain
    >>> axis = raster(SpikeTrain(np.array([0, 2, 0]), np.array([0.1, 0.3, 0.4]), n_neurons=3, duration=0.5))
    >>> axis.lines[0].get_xydata().tolist()
    [[100.0, 0.0], [300.0, 2.0], [400.0, 0.0]]
    """
    train = spikes_of(spikes)
    if neurons is None:
        rows = np.arange(min(train.n_neurons, RASTER_NEURONS))
    else:
        rows = checks.indices("neurons", neurons, train.n_neurons)
        if np.unique(rows).size < rows.size:
            raise InvalidInput("neurons must name each neuron once; each has one row")
    row = np.full(train.n_neurons, -1)
    row[rows] = np.arange(rows.size)
    axis = on(ax)
    y = row[train.indices]
    axis.plot(1e3 * train.times[y >= 0], y[y >= 0], ".", color=color, markersize=1.8)
    left = train.n_neurons - rows.size
    more = f" of {train.n_neurons}" if left else ""
    axis.set(xlabel="time (ms)", ylabel=f"{rows.size}{more} neurons", xlim=(0, 1e3 * train.duration))
    axis.set_ylim(-1, max(rows.size, 1))
    return axis


def time_constants(networks: Any, ax: Axes | None = None) -> Axes:
    """Draw the distribution of the membrane time constants of living neurons.

    Parameters
    ----------
    networks : NetworkSpec, live network, PruneResult, Study, array of shape (N,), path-like, or mapping of str to such
        Of a `PruneResult` the network as it is now, of a study before and after. Arrays are in seconds or a Quantity. A
        path is that of a ``network.npz`` or of the folder of a run.
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `networks` or `ax` is something else, a file is no network, or time constants are not known.

    Notes
    -----
    The outermost 1 % of the values are drawn in the first and the last bin, and counted below the axis.

    What step IV makes of them is figure 10 of Chakraborty et al. (2024), arXiv 2403.03409.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> axis = time_constants({"before": uncoupled([10, 20, 30] * ms), "after": uncoupled([20, 20] * ms)})
    >>> axis.get_xlabel(), len(axis.containers)
    ('membrane time constant (ms)', 2)
    """
    groups = [(1e3 * time_constants_of(one), label) for label, one in networks_of(networks).items()]
    axis = on(ax)
    tails = histogram(axis, groups, colors_of(label for _, label in groups))
    axis_label(axis, "membrane time constant (ms)", tails)
    legend(axis)
    return axis


def degrees(networks: Any, ax: Axes | None = None, *, direction: str = "in") -> Axes:
    """Draw the distribution of the number of synapses onto living neurons, or from them.

    Parameters
    ----------
    networks : NetworkSpec, live network, PruneResult, Study, path-like, or mapping of str to such
        As for `time_constants`.
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.
    direction : {"in", "out"}
        Synapses onto a neuron, or from it.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `networks` or `ax` is something else, or a file is no network.

    Notes
    -----
    The outermost 1 % of the values are drawn in the first and the last bin, and counted below the axis.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> spec = HRSNN(50, 0.2, check_rate=False).spec
    >>> axis = degrees(spec, direction="out")
    >>> axis.get_legend_handles_labels()[1] == [f"mean {spec.n_synapses / 50:.1f}"]
    True
    """
    checks.choice("direction", direction, ("in", "out"))
    named = networks_of(networks)
    groups = []
    for label, one in named.items():
        pre, post, alive = graph_of(one)
        degree = np.bincount(post if direction == "in" else pre, minlength=alive.size)[alive]
        mean = f"mean {degree.mean():.1f}" if degree.size else "no neuron"
        groups.append((degree, f"{label}{', ' if label else ''}{mean}"))
    axis = on(ax)
    colors = colors_of(named)
    tails = histogram(axis, groups, dict(zip((name for _, name in groups), colors.values(), strict=True)), whole=True)
    axis_label(axis, f"{direction}-degree (synapses {'onto' if direction == 'in' else 'from'} a neuron)", tails)
    legend(axis)
    return axis


def eigenvectors(networks: Any, ax: Axes | None = None, *, matrix: str = "laplacian") -> Axes:
    """Draw how localised the eigenvectors of networks are: inverse participation ratio over eigenvalue.

    Parameters
    ----------
    networks : DelocalisationReport, LinearResponse, what `time_constants` takes but arrays, or mapping
        Of a response the eigenvectors of its matrix J over the magnitude of the eigenvalue.
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.
    matrix : {"laplacian", "adjacency"}
        Of the symmetrised graph, see `lnpbrian.pruning.steps.localisation.delocalisation_report`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `networks` or `ax` is something else, or a file is no network.

    Notes
    -----
    ``sum_i v_i^4`` (Bell and Dean 1970, doi:10.1039/DF9705000055) is 1/N where all N neurons take part and 1 where one
    does. Above the dotted line, 10/N, an eigenvector counts as localised.

    Examples
    --------
    >>> from lnpbrian.pruning.steps.localisation import delocalisation_report
    >>> i = np.arange(5)
    >>> axis = eigenvectors(delocalisation_report(i, (i + 1) % 5, 5))
    >>> axis.lines[0].get_ydata().round(6).tolist()
    [0.2, 0.3, 0.3, 0.3, 0.3]
    """
    checks.choice("matrix", matrix, ("laplacian", "adjacency"))
    kinds = (DelocalisationReport, LinearResponse)
    named = {"": networks} if isinstance(networks, kinds) else networks_of(networks, kinds)
    axis = on(ax)
    colors = colors_of(named)
    responses = [isinstance(one, LinearResponse) for one in named.values()]
    if any(responses) and not all(responses):
        raise InvalidInput("eigenvectors of a LinearResponse and of a graph have no axis in common; draw them apart")
    for label, one in named.items():
        values, ipr, threshold = _localised(one, matrix)
        said = f"{label}{': ' if label else ''}{int((ipr > threshold).sum())} of {ipr.size} localised"
        axis.plot(values, ipr, "o", color=colors[label], markersize=3, alpha=0.6, label=said)
        axis.axhline(threshold, color=colors[label], linestyle=":", linewidth=1)
    of = "of the linear response, magnitude" if all(responses) else f"of the {matrix.replace('lap', 'Lap')}"
    axis.set_ylabel("inverse participation ratio")
    axis_label(axis, f"eigenvalue {of}", ["dotted: 10/N, above which it is localised"])
    plain_log(axis)
    legend(axis)
    return axis


def _localised(one: Any, matrix: str) -> tuple[np.ndarray, np.ndarray, float]:
    if isinstance(one, LinearResponse):
        # The same call as that of `participation`, so in the same order.
        values = np.abs(np.linalg.eig(one.matrix.toarray())[0])
        return values, one.participation, 10 / values.size
    if not isinstance(one, DelocalisationReport):
        pre, post, alive = graph_of(one)
        number, inner = np.cumsum(alive) - 1, alive[pre] & alive[post]
        one = delocalisation_report(number[pre[inner]], number[post[inner]], int(alive.sum()))
    found = getattr(one, matrix)
    return found.eigenvalues, found.ipr, one.threshold
