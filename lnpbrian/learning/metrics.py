"""What a forecast is worth."""

from __future__ import annotations

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = ["nrmse", "nrmse_trace", "smape", "valid_prediction_time"]


def nrmse_trace(forecast: np.ndarray, truth: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return the normalised error at every step of a forecast.

    Parameters
    ----------
    forecast, truth : ndarray, shape (..., T, D)
        Series in the same unit.
    sigma : ndarray, shape (D,)
        Long-term standard deviation of each dimension, positive.

    Returns
    -------
    ndarray, shape (..., T)
        ``NRMSE(t) = sqrt((1/D) sum_d ((forecast_d - truth_d)/sigma_d)^2)``; infinite where the forecast is not finite.

    Raises
    ------
    InvalidInput
        If the shapes differ, or a sigma is not positive.

    Notes
    -----
    Platt et al. 2022 (doi:10.1016/j.neunet.2022.06.025); arXiv 2403.03409, section 4.1.

    Examples
    --------
    >>> nrmse_trace(np.array([[3.0, 0.0]]), np.array([[0.0, 0.0]]), np.array([1.0, 1.0])) ** 2
    array([4.5])
    """
    forecast, truth = checks.array("forecast", forecast, finite=False), checks.array("truth", truth)
    if forecast.shape != truth.shape or truth.ndim == 0:
        raise InvalidInput(f"forecast and truth must have one shape, got {forecast.shape} and {truth.shape}")
    sigma = checks.array("sigma", sigma, shape=(truth.shape[-1],))
    if not (sigma > 0).all():
        raise InvalidInput(f"sigma must be positive, got {sigma.min():g}; drop constant dimensions of the series")
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.sqrt(np.mean(((forecast - truth) / sigma) ** 2, axis=-1))
    return np.where(np.isfinite(error), error, np.inf)


def nrmse(forecast: np.ndarray, truth: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return the root mean square of `nrmse_trace`, of which it has the parameters, over the horizon, shape (...).

    Notes
    -----
    The RMSE of arXiv 2403.03409, section 4.1.

    Examples
    --------
    >>> float(nrmse(np.array([[1.0], [7.0]]), np.array([[0.0], [0.0]]), np.array([1.0])))
    5.0
    """
    with np.errstate(over="ignore"):
        return np.sqrt(np.mean(nrmse_trace(forecast, truth, sigma) ** 2, axis=-1))


def smape(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the symmetric mean absolute percentage error over the horizon and the dimensions, 0..200.

    Parameters
    ----------
    forecast, truth : ndarray, shape (..., T, D)
        Series in their own unit, in which 0 means nothing; a z-scored series is the wrong argument.

    Returns
    -------
    ndarray, shape (...)
        ``200 mean(|forecast - truth|/(|forecast| + |truth|))``, where 0/0 counts as 0, and 200 what is not finite.

    Raises
    ------
    InvalidInput
        If the shapes differ.

    Notes
    -----
    The score of NeuroBench's Mackey-Glass task (Yik et al. 2025, doi:10.1038/s41467-025-56739-4).

    Examples
    --------
    >>> float(smape(np.array([[3.0], [2.0]]), np.array([[1.0], [2.0]])))
    50.0
    >>> float(smape(np.array([[np.nan], [2.0]]), np.array([[1.0], [2.0]])))
    100.0
    """
    forecast, truth = checks.array("forecast", forecast, finite=False), checks.array("truth", truth)
    if forecast.shape != truth.shape or truth.ndim < 2:
        raise InvalidInput(
            f"forecast and truth must have one shape of steps and dimensions, got {forecast.shape} and {truth.shape}"
        )
    valid = np.isfinite(forecast)
    given = np.where(valid, forecast, 0)
    # Over the power of two above the larger, so that nothing overflows and nothing is rounded.
    exponent = np.frexp(np.maximum(np.abs(given), np.abs(truth)))[1]
    a, b = (np.ldexp(values, -exponent) for values in (given, truth))
    error = np.abs(a - b) / np.maximum(np.abs(a) + np.abs(b), 0.5)
    return 200 * np.mean(np.where(valid, error, 1), axis=(-2, -1))


def valid_prediction_time(trace: np.ndarray, *, threshold: float = 0.1) -> np.ndarray:
    """Return the first step at which the error exceeds a threshold.

    Parameters
    ----------
    trace : ndarray, shape (..., T)
        NRMSE(t); step 0 is the first forecast.
    threshold : float
        eps, positive; the paper uses 0.1.

    Returns
    -------
    ndarray of int, shape (...)
        Number of steps before the first error above `threshold`; T where there is none.

    Raises
    ------
    InvalidInput
        If there is no step, or the threshold is not positive.

    Notes
    -----
    Platt et al. 2022 (doi:10.1016/j.neunet.2022.06.025); arXiv 2403.03409, section 4.1.

    Examples
    --------
    >>> int(valid_prediction_time(np.array([0.01, 0.05, 0.2, 0.04])))
    2
    >>> int(valid_prediction_time(np.array([0.01, 0.05])))
    2
    """
    trace = checks.array("trace", trace, finite=False)
    if trace.ndim == 0 or trace.shape[-1] == 0:
        raise InvalidInput(f"trace must have at least one step, got shape {trace.shape}")
    # What is not a number is no valid forecast.
    above = ~(trace <= checks.real("threshold", threshold, above=0))
    return np.where(above.any(axis=-1), above.argmax(axis=-1), trace.shape[-1])
