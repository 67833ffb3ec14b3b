"""What networks do in tasks: forecasts, and what is said of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.forecasting import Forecast
from lnpbrian.learning.tasks import ForecastTask
from lnpbrian.learning.vision.classification import Classification
from lnpbrian.plot.drawing import AFTER, BEFORE, TRUTH, axis_label, colors_of, counted, legend, on
from lnpbrian.plot.sources import by_name, run_record

__all__ = ["confusion", "forecast", "image", "windows"]

# Of more classes none is named.
MOST_CLASSES = 24
# Stands for infinite errors where quartiles are interpolated: infinity times nothing would be no number.
FAR = 1e300
STATES = {"before": "unpruned", "after": "pruned", "uncoupled": "no synapses"}


def forecast(
    forecasts: Any,
    ax: Axes | None = None,
    *,
    task: ForecastTask | None = None,
    window: int | None = None,
    dimension: int = 0,
) -> Axes:
    """Draw forecasts in closed loop against the truth, over Lyapunov times where the task knows them.

    Parameters
    ----------
    forecasts : Study, Forecast, or mapping of str to Forecast
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.
    task : ForecastTask, optional
        What was forecast; a study knows it.
    window : int, optional
        Which, from 0; by default the one whose error is the median one of the last of the forecasts, of a study of the
        pruned network.
    dimension : int
        Which dimension of the series.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `forecasts` or `ax` is something else, there is no `task`, or no such window or dimension.

    Notes
    -----
    A Lyapunov time is the inverse of the largest exponent of the series: in it a small error grows e-fold. The axis
    spans what is to be forecast and a third around it; forecasts that leave it are counted below.

    Forecasts over Lyapunov times: Platt et al. 2022, doi:10.1016/j.neunet.2022.06.025.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> ramp = np.arange(5.0).reshape(1, 5, 1)
    >>> task = ForecastTask("ramp", ramp, 3, 1, np.zeros(1), np.ones(1), np.ones(1), lyapunov_time=4.0)
    >>> guess = Forecast(task.truth + 0.1, task.truth, nrmse=np.array([0.1]), **dict.fromkeys(
    ...     ["vpt_steps", "smape", "one_step_nrmse", "training_nrmse", "penalty", "synaptic_operations",
    ...      "readout_operations", "mean_rate", "readout", "seconds"]))
    >>> axis = forecast(guess, task=task)
    >>> axis.lines[1].get_xydata().tolist(), axis.get_xlabel()
    ([[0.25, 3.1], [0.5, 4.1]], 'Lyapunov times ahead (1 is 4 samples)')
    """
    named, task = _forecasts(forecasts, task)
    last = next(reversed(named.values()))
    chosen = int(np.argsort(last.nrmse, kind="stable")[last.nrmse.size // 2]) if window is None else window
    chosen = checks.count("window", chosen, minimum=0, at_most=task.n_windows - 1)
    d = checks.count("dimension", dimension, minimum=0, at_most=task.dimensions - 1)
    axis = on(ax)
    unit = task.lyapunov_time or 1.0
    time = np.arange(1, task.horizon + 1) / unit
    truth = task.in_units(task.truth[chosen])[:, d]
    low, high = truth.min(), truth.max()
    margin = 0.35 * (high - low) or 1.0
    axis.plot(time, truth, color=TRUTH, linewidth=2.2, label="truth")
    colors, notes = colors_of(named), []
    for label, one in named.items():
        values = task.in_units(one.prediction[chosen])[:, d]
        said = f"{STATES.get(label, label)}, " if label else ""
        axis.plot(time, values, color=colors[label], linewidth=1.5, label=f"{said}NRMSE {one.nrmse[chosen]:.2f}")
        beyond = int(((values < low - margin) | (values > high + margin)).sum())
        notes += [f"{said}{counted(beyond, 'sample')} beyond the axis"] if beyond else []
    axis.set(ylabel=task.columns[d] if task.columns else f"dimension {d}", ylim=(low - margin, high + margin))
    axis.set_xlim(0, time[-1] + time[0])
    per = f"Lyapunov times ahead (1 is {unit:.3g} samples)" if task.lyapunov_time else "samples ahead"
    axis_label(axis, per, notes)
    legend(axis)
    how = f" (median error{' of the pruned network' if 'after' in named else ''})" if window is None else ""
    axis.set_title(f"{task.name}: window {chosen + 1} of {task.n_windows}{how}", fontsize=10)
    return axis


def _forecasts(forecasts: Any, task: ForecastTask | None) -> tuple[dict[str, Any], ForecastTask]:
    named, task = _forecasts_by_name(forecasts, ("uncoupled", "before", "after"), task)
    checks.instance("task", task, ForecastTask, "forecast(..., task=...) needs what was forecast")
    assert task is not None
    return named, task


def _forecasts_by_name(
    forecasts: Any, states: tuple[str, ...], task: ForecastTask | None
) -> tuple[dict[str, Any], ForecastTask | None]:
    """Return forecasts by name, of a study those of its states, and what was forecast."""
    if hasattr(forecasts, "forecast_after"):
        return {name: getattr(forecasts, f"forecast_{name}") for name in states}, forecasts.task
    named = by_name(forecasts)
    for one in named.values():
        checks.instance("forecasts", one, Forecast, "give a Study, a Forecast or a mapping of names to such")
    return named, task


def windows(
    forecasts: Any, ax: Axes | None = None, *, quantity: str = "nrmse", task: ForecastTask | None = None
) -> Axes:
    """Draw the error, or the valid prediction time, of every window of a forecast, with median and quartiles.

    Parameters
    ----------
    forecasts : Study, Forecast, mapping of str to Forecast, or path-like
        A path is that of a run's folder, or of its ``run.json``.
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.
    quantity : {"nrmse", "vpt"}
        Error over the horizon, or time until it is above 0.1, in Lyapunov times where the task knows them.
    task : ForecastTask, optional
        What was forecast; studies and runs know it, and without one prediction times are in samples.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `forecasts` or `ax` is something else, or the file is not that of a run that forecasts.

    Notes
    -----
    A line joins what is forecast of one window. Errors beyond twice the largest upper quartile are counted below the
    axis, and so are those of forecasts that diverge.

    Error, prediction time and the threshold of 0.1 are those of arXiv 2403.03409, section 4.1.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> guess = Forecast(nrmse=np.array([0.1, 0.2, 0.9]), **dict.fromkeys(
    ...     ["prediction", "truth", "vpt_steps", "smape", "one_step_nrmse", "training_nrmse", "penalty",
    ...      "synaptic_operations", "readout_operations", "mean_rate", "readout", "seconds"]))
    >>> windows({"LNP": guess}).lines[0].get_ydata().tolist()
    [0.1]
    """
    checks.choice("quantity", quantity, ("nrmse", "vpt"))
    named, lyapunov_time = _by_window(forecasts, quantity, task)
    axis = on(ax)
    sizes = [len(values) for values in named.values()]
    if min(sizes) == 0 or min(sizes) < max(sizes):
        raise InvalidInput(f"forecasts must be of the same windows, at least one; got {', '.join(map(str, sizes))}")
    table = np.array([np.asarray(values, float) for values in named.values()])
    table[np.isnan(table)] = np.inf
    unit = 1.0
    if quantity == "vpt" and lyapunov_time:
        unit = lyapunov_time
    table = table / unit
    at = np.arange(len(table))
    for values in table.T:
        axis.plot(at, values, "-", marker=".", color=BEFORE, alpha=0.4, linewidth=0.6, markersize=4)
    low, middle, high = np.percentile(np.minimum(table, FAR), [25, 50, 75], axis=1)
    finite = table[np.isfinite(table)]
    reach = high[high < FAR / 8].max(initial=0) or finite.max(initial=0)
    top = min(finite.max(), 2 * reach) if reach > 0 else 1.0
    names = [STATES.get(name, name) for name in named]
    for x, color in zip(at, colors_of(named).values(), strict=True):
        if middle[x] < FAR / 8:
            whiskers = [[middle[x] - low[x]], [min(high[x], max(middle[x], 2 * top)) - middle[x]]]
            axis.errorbar(x, middle[x], whiskers, fmt="D", color=color, capsize=4, elinewidth=2, markersize=6, zorder=3)
    axis.set_ylim(0, 1.05 * top)
    beyond = int((table > 1.05 * top).any(axis=0).sum())
    axis.set_xticks(at, names)
    axis.set_xlim(-0.5, len(at) - 0.5)
    time = "Lyapunov times" if unit != 1.0 else "samples"
    axis.set_ylabel("NRMSE" if quantity == "nrmse" else f"valid prediction time ({time})")
    notes = [f"{counted(beyond, 'window')} beyond the axis"] if beyond else []
    notes += [f"{names[x] or 'forecast'}: the median is infinite" for x in at if middle[x] >= FAR / 8]
    notes += [f"1 Lyapunov time is {unit:.3g} samples"] if unit != 1.0 else []
    axis_label(axis, f"{counted(table.shape[1], 'window')}, median and quartiles", notes)
    return axis


def _by_window(forecasts: Any, quantity: str, task: ForecastTask | None) -> tuple[dict[str, Any], float | None]:
    if isinstance(forecasts, (str, os.PathLike)):
        run = run_record(forecasts)
        try:
            name = f"{quantity}_windows"
            named: dict[str, Any] = {
                state: checks.array(name, run[state][name], shape=(None,), finite=False)
                for state in ("before", "after", "uncoupled")
            }
            known = run["options"]["task"]["lyapunov_time_steps"]
            return named, checks.real("lyapunov_time_steps", known, above=0) if known else None
        except (KeyError, TypeError) as error:
            raise InvalidInput(f"{os.fspath(forecasts)!r} is no run that forecasts; it has no {error}") from error
    named, task = _forecasts_by_name(forecasts, ("before", "after", "uncoupled"), task)
    values = {name: one.nrmse if quantity == "nrmse" else one.vpt_steps[0.1] for name, one in named.items()}
    return values, None if task is None else task.lyapunov_time


def confusion(
    classified: Any, ax: Axes | None = None, *, state: str = "after", classes: Sequence[str] | None = None
) -> Axes:
    """Draw how many of each hundred images of a class are said to be of each class.

    Parameters
    ----------
    classified : ImageStudy, Classification, ndarray of shape (K, K), or path-like
        An array counts images of each class (row) that are said to be of each class (column). A path is that of the
        folder of a run that classifies, or of its ``run.json``.
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.
    state : {"before", "after", "uncoupled"}
        Of a study or a run.
    classes : sequence of str, optional
        Names of the K classes; studies and runs know them. Of more than 24 none is written.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        If `classified` or `ax` is something else, or the file is not that of a run that classifies.

    Examples
    --------
    >>> axis = confusion(np.array([[3, 1], [0, 4]]), classes=("cat", "dog"))
    >>> axis.images[0].get_array().tolist(), axis.get_title()
    ([[75.0, 25.0], [0.0, 100.0]], '87.5 ± 11.7 % right')
    """
    checks.choice("state", state, ("before", "after", "uncoupled"))
    found, known, title = _confusion(classified, state)
    table = checks.array("classified", found, shape=(None, None))
    if table.shape[0] != table.shape[1] or not table.size or table.min() < 0:
        raise InvalidInput(f"a table of confusions is square and counts images, got shape {table.shape}")
    classes = known if classes is None else classes
    if classes is not None:
        classes = classes.tolist() if isinstance(classes, np.ndarray) else classes
        checks.instance("classes", classes, Sequence, "give the name of every class")
        if len(classes) != len(table):
            raise InvalidInput(f"classes must name all {len(table)} classes, got {len(classes)} names")
    share = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axis = on(ax)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=100)
    accuracy, n = np.trace(table) / max(table.sum(), 1), max(table.sum(), 1)
    right = f"{100 * accuracy:.1f} ± {100 * np.sqrt(accuracy * (1 - accuracy) / n):.1f} % right"
    axis.set(title=f"{title}{right}", xlabel="said to be", ylabel="class of the image")
    if classes is None or len(classes) > MOST_CLASSES:
        return axis
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.5:
            color = "white" if value > 55 else "black"
            axis.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=color)
    axis.set_xticks(range(len(classes)), classes, rotation=60, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(classes)), classes)
    return axis


def _confusion(classified: Any, state: str) -> tuple[Any, Sequence[str] | None, str]:
    """Return a table, the names of its classes if they are known, and what it is of."""
    titles = {"before": "before pruning, ", "after": "after pruning, ", "uncoupled": "no synapses, "}
    if isinstance(classified, (str, os.PathLike)):
        run = run_record(classified)
        try:
            return run[state]["confusion"], run["options"]["task"]["classes"], titles[state]
        except (KeyError, TypeError) as error:
            raise InvalidInput(f"{os.fspath(classified)!r} is no run that classifies; it has no {error}") from error
    if hasattr(classified, "images_after"):
        return getattr(classified, f"images_{state}").confusion, classified.task.classes, titles[state]
    return classified.confusion if isinstance(classified, Classification) else classified, None, ""


def image(study: Any, ax: Axes | None = None, *, number: int = 0) -> Axes:
    """Draw a test image, its class, and what a network says of it before and after pruning.

    Parameters
    ----------
    study : ImageStudy
    ax : matplotlib.axes.Axes, optional
        Where to; without one, on a new figure.
    number : int
        Which of the test images.

    Returns
    -------
    matplotlib.axes.Axes
        The title is red where the pruned network is wrong.

    Raises
    ------
    InvalidInput
        If `study` or `ax` is something else, or there is no such image.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from lnpbrian.learning.vision.images import ImageTask
    >>> pixels = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    >>> task = ImageTask("two", pixels, np.array([0, 1]), pixels, np.array([0, 1]), ("dark", "light"))
    >>> found = Classification(np.array([0, 0]), task.y_test, 2, *6 * [None])
    >>> image(SimpleNamespace(task=task, images_before=found, images_after=found), number=1).get_title()
    'light\\ndark / dark'
    """
    if not hasattr(study, "images_after"):
        raise InvalidInput(f"image draws what a study of images has, got {type(study).__name__}")
    task = study.task
    k = checks.count("number", number, minimum=0, at_most=len(task.y_test) - 1)
    axis = on(ax)
    axis.set_axis_off()
    picture = task.intensities(task.x_test[k])
    axis.imshow(picture[..., 0] if picture.shape[-1] == 1 else picture, cmap="gray_r", vmin=0, vmax=1)
    said = [task.classes[int(found.predicted[k])] for found in (study.images_before, study.images_after)]
    right = bool(study.images_after.correct[k])
    text = f"{task.classes[int(task.y_test[k])]}\n{said[0]} / {said[1]}"
    axis.set_title(text, fontsize=7, color="black" if right else AFTER)
    return axis
