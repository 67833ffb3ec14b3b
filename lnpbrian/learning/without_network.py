"""Forecasters that need no network: linear autoregression, and the next-generation reservoir."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.tasks import ForecastTask

__all__ = ["autoregression", "next_generation_reservoir"]

# Forecasts are held within this many standard deviations, so that a law that runs away stays finite.
LIMIT = 10.0
RIDGE = 1e-8
RIDGES = tuple(10.0**k for k in range(-8, 1))


def autoregression(task: ForecastTask, lags: int, *, ridge: float | None = None) -> np.ndarray:
    """Forecast every window with a linear law of the last samples.

    Parameters
    ----------
    task : ForecastTask
        W windows. The law is fitted on the training part of each, or on the stretches `fit` of a task that has them.
    lags : int
        Number of samples in the law, at most `task.warm_up` + 1.
    ridge : float, optional
        Penalty of its squared coefficients, above 0. By default 1e-8, or the one of a few decades that forecasts the
        validation part of the task best.

    Returns
    -------
    ndarray, shape (W, horizon, D)
        z-scored as the task.

    Raises
    ------
    InvalidInput
        If the warm-up is too short for the lags.

    Notes
    -----
    What predicts one step best may not be stable when it is fed back, as explicit multistep methods of the highest
    order are not (Dahlquist 1956, doi:10.7146/math.scand.a-10454); the penalty is then what keeps the forecast bounded.

    Examples
    --------
    A line goes on:

    >>> z = np.arange(30.0).reshape(1, 30, 1) / 10
    >>> task = ForecastTask("line", z, 26, 2, np.zeros(1), np.ones(1), np.ones(1))
    >>> autoregression(task, 2).ravel().round(6)
    array([2.6, 2.7, 2.8, 2.9])
    """
    return _closed_loop(task, lambda past: past, checks.count("lags", lags), ridge)


def next_generation_reservoir(task: ForecastTask, *, ridge: float | None = None) -> np.ndarray:
    """Forecast every window with a linear law of the last two samples and all products of two of their values.

    Parameters
    ----------
    task, ridge
        As for `autoregression`.

    Returns
    -------
    ndarray, shape (W, horizon, D)

    Raises
    ------
    InvalidInput
        If the task has no warm-up.

    Notes
    -----
    Gauthier et al. 2021, doi:10.1038/s41467-021-25801-2.

    Examples
    --------
    A parabola, whose increments are a linear law of the last two samples, goes on:

    >>> z = (np.arange(30.0).reshape(1, 30, 1) / 10) ** 2
    >>> task = ForecastTask("parabola", z, 26, 2, np.zeros(1), np.ones(1), np.ones(1))
    >>> next_generation_reservoir(task, ridge=1e-10).ravel().round(4)
    array([6.76, 7.29, 7.84, 8.41])
    """

    def features(past: np.ndarray) -> np.ndarray:
        i, j = np.triu_indices(past.shape[-1])
        return np.concatenate([past, past[..., i] * past[..., j]], axis=-1)

    return _closed_loop(task, features, 2, ridge)


def _closed_loop(
    task: ForecastTask, features: Callable[[np.ndarray], np.ndarray], lags: int, ridge: float | None
) -> np.ndarray:
    """Fit increments on features of the last samples (..., lags D), newest first, and feed forecasts back."""
    checks.instance("task", task, ForecastTask, "make one with short_protocol(...)")
    if task.warm_up < lags - 1:
        raise InvalidInput(f"{lags} lags need a warm-up of at least {lags - 1} samples, got {task.warm_up}; lower lags")

    if ridge is not None:
        ridge = checks.real("ridge", ridge, above=0)
    elif task.fit is None or task.validation is None:
        ridge = RIDGE
    else:
        ridge = _best_ridge(task, features, lags)

    def rows(past: np.ndarray) -> np.ndarray:
        x = features(past.reshape(*past.shape[:-2], -1))
        return np.concatenate([x, np.ones((*x.shape[:-1], 1))], axis=-1)

    def law(parts: np.ndarray) -> np.ndarray:
        """Return the coefficients (F, D) fitted on stretches (M, T, D)."""
        past = np.moveaxis(sliding_window_view(parts[:, :-1], lags, axis=1), -1, 2)[:, task.warm_up - lags + 1 :, ::-1]
        x = rows(past).reshape(-1, rows(past[0, 0]).size)
        y = np.diff(parts, axis=1)[:, task.warm_up :].reshape(len(x), -1)
        return np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)

    if task.fit is not None:
        laws = np.repeat(law(task.fit)[np.newaxis], task.n_windows, axis=0)
    else:
        laws = np.array([law(window[np.newaxis, : task.train]) for window in task.windows])
    past = task.windows[:, task.train - lags : task.train][:, ::-1]
    prediction = np.empty(task.truth.shape)
    for n in range(task.horizon):
        step = np.einsum("wf,wfd->wd", rows(past), laws)
        prediction[:, n] = np.clip(past[:, 0] + step, -LIMIT, LIMIT)
        past = np.concatenate([prediction[:, n : n + 1], past[:, :-1]], axis=1)
    return prediction


def _best_ridge(task: ForecastTask, features: Callable[[np.ndarray], np.ndarray], lags: int) -> float:
    """Return the penalty whose closed-loop forecasts of the validation part are best."""
    assert task.validation is not None
    shown = task.validation[:, : task.warm_up + task.horizon]
    trial = replace(task, windows=shown, train=task.warm_up, validation=None)
    return min(RIDGES, key=lambda ridge: float(trial.nrmse(_closed_loop(trial, features, lags, ridge)).mean()))
