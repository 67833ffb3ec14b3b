"""Time series to forecast, and how they are cut into windows for training and test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = ["ForecastTask", "lorenz63", "runge_kutta", "short_protocol"]


def runge_kutta(
    derivative: Callable[[np.ndarray], np.ndarray], start: np.ndarray, *, step: float, samples: int
) -> np.ndarray:
    """Integrate an autonomous system with the classical fourth-order Runge-Kutta method.

    Parameters
    ----------
    derivative : callable
        dx/dt of a state of shape (D,).
    start : ndarray, shape (D,)
        State at sample 0.
    step : float
        Time between samples, one Runge-Kutta step each.
    samples : int
        Number of samples, the start included.

    Returns
    -------
    ndarray, shape (samples, D)
    """
    h = checks.real("step", step, above=0)
    series = np.empty((checks.count("samples", samples), np.size(start)))
    series[0] = x = checks.array("start", start)
    for n in range(1, len(series)):
        k1 = derivative(x)
        k2 = derivative(x + h / 2 * k1)
        k3 = derivative(x + h / 2 * k2)
        k4 = derivative(x + h * k3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        series[n] = x
    return series


def lorenz63(
    samples: int = 20000,
    *,
    start: tuple[float, float, float] = (-8.0, 7.0, 27.0),
    step: float = 0.01,
    sigma: float = 10.0,
    rho: float = 28.0,
    beta: float = 8 / 3,
) -> np.ndarray:
    """Return the Lorenz-63 series (samples, 3); its largest Lyapunov exponent is 0.9056 per time unit.

    Examples
    --------
    The fixed point (sqrt(beta (rho - 1)), same, rho - 1) stays:

    >>> c = (8 / 3 * 27) ** 0.5
    >>> bool(np.allclose(lorenz63(50, start=(c, c, 27))[-1], (c, c, 27)))
    True
    """

    def derivative(s: np.ndarray) -> np.ndarray:
        x, y, z = s
        return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])

    return runge_kutta(derivative, np.asarray(start), step=step, samples=samples)


@dataclass(frozen=True, repr=False)
class ForecastTask:
    """Windows of a z-scored series: train on the first part of each, forecast the rest in closed loop.

    Parameters
    ----------
    name : str
        For people.
    windows : ndarray, shape (W, train + horizon, D)
        z-scored samples.
    train : int
        Training samples of each window.
    warm_up : int
        Training samples that the readout does not see.
    mean, scale : ndarray, shape (D,)
        z = (x - mean)/scale.
    sigma : ndarray, shape (D,)
        Long-term standard deviation of z, which normalises errors.
    lyapunov_time : float or None
        In samples.
    """

    name: str
    windows: np.ndarray
    train: int
    warm_up: int
    mean: np.ndarray
    scale: np.ndarray
    sigma: np.ndarray
    lyapunov_time: float | None = None

    @property
    def horizon(self) -> int:
        """Number of steps to forecast."""
        return self.windows.shape[1] - self.train

    @property
    def n_windows(self) -> int:
        """Number of windows W."""
        return len(self.windows)

    @property
    def truth(self) -> np.ndarray:
        """What is to be forecast, shape (W, horizon, D)."""
        return self.windows[:, self.train :]

    def __repr__(self) -> str:
        return f"ForecastTask({self.name}, {self.n_windows} windows of {self.train} + {self.horizon} samples)"


def short_protocol(
    series: np.ndarray,
    *,
    name: str = "series",
    n_windows: int = 20,
    train: int = 500,
    horizon: int = 100,
    warm_up: int = 50,
    discard: int = 1000,
    training_part: int = 11250,
    lyapunov_time: float | None = None,
) -> ForecastTask:
    """Cut a series into windows at fixed, equally spaced positions (the paper's protocol, section 4.1).

    Parameters
    ----------
    series : ndarray, shape (T, D)
        Samples at equal intervals.
    name : str
        For people.
    n_windows, train, horizon, warm_up : int
        Number of windows, and the samples of each that train, are forecast, and are left out of training at its start.
    discard : int
        Samples before the first window.
    training_part : int
        The series is z-scored with the mean and standard deviation of its first `training_part` samples.
    lyapunov_time : float, optional
        In samples.

    Returns
    -------
    ForecastTask

    Raises
    ------
    InvalidInput
        If the series holds a NaN, is constant, or is too short for the windows.
    """
    x = checks.array("series", series, shape=(None, None), remedy="fill or cut the gaps before handing the series over")
    sizes = {"n_windows": n_windows, "train": train, "horizon": horizon}
    for key, value in sizes.items():
        checks.count(key, value)
    checks.count("warm_up", warm_up, minimum=0)
    if warm_up >= train - 1:
        raise InvalidInput(f"warm_up must leave at least two of the {train} training samples, got {warm_up}")
    length = train + horizon
    last = len(x) - length
    if last < discard:
        raise InvalidInput(f"series has {len(x)} samples, but windows need {discard + length}; lower discard or train")
    if n_windows > last - discard + 1:
        raise InvalidInput(f"n_windows must be at most {last - discard + 1} for distinct windows, got {n_windows}")
    starts = np.linspace(discard, last, n_windows).astype(int)
    basis = x[: min(training_part, len(x))]
    mean, scale = basis.mean(axis=0), basis.std(axis=0)
    if not (scale > 0).all():
        raise InvalidInput(f"dimension {int(np.argmin(scale))} of the series is constant; drop it")
    z = (x - mean) / scale
    windows = np.stack([z[s : s + length] for s in starts])
    return ForecastTask(name, windows, train, warm_up, mean, scale, z.std(axis=0), lyapunov_time)
