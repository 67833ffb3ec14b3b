"""Time series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lnpbrian import checks


@dataclass(frozen=True, repr=False)
class Series:
    name: str
    values: np.ndarray
    columns: tuple[str, ...]
    scored: tuple[int, ...] = ()
    step: str = ""
    lyapunov_time: float | None = None
    training_part: int = 0
    notes: tuple[str, ...] = ()


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
) -> Series:
    """Return the Lorenz-63 series (samples, 3); its largest Lyapunov exponent is 0.9056 per time unit.

    Examples
    --------
    The fixed point (sqrt(beta (rho - 1)), same, rho - 1) stays:

    >>> c = (8 / 3 * 27) ** 0.5
    >>> bool(np.allclose(lorenz63(50, start=(c, c, 27)).values[-1], (c, c, 27)))
    True
    """

    def derivative(s: np.ndarray) -> np.ndarray:
        x, y, z = s
        return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])

    return Series("lorenz63", runge_kutta(derivative, np.asarray(start), step=step, samples=samples), ("x","y","z"), (), "0.01", 110.4, 11250)



def roessler(): ...
def mackey_glass(): ...
def google_stock():
    from matplotlib.cbook import get_sample_data
    d = np.load(get_sample_data("goog.npz", asfileobj=False) if False else str(get_sample_data("goog.npz", asfileobj=False)))["price_data"]
    v = d["close"].astype(float)[:, None]
    return Series("google", v, ("close",), (), "1 trading day", None, 588)
