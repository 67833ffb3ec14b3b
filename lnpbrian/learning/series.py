"""Time series to forecast: chaotic systems that are generated, and a sample of stock prices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = [
    "LORENZ63_EXPONENT",
    "MACKEY_GLASS",
    "ROESSLER_EXPONENT",
    "TRAINING_FRACTION",
    "Series",
    "google_stock",
    "lorenz63",
    "lorenz63_velocity",
    "lorenz63_x",
    "lorenz96_velocity",
    "mackey_glass",
    "roessler",
    "roessler_velocity",
    "runge_kutta",
]

# Largest Lyapunov exponents a time unit, of the published parameters.
LORENZ63_EXPONENT, _LORENZ63 = 0.9056, {"sigma": 10.0, "rho": 28.0, "beta": 8 / 3}
ROESSLER_EXPONENT = 0.0888

# Of a series without published parts; that of Lorenz-63, 11250 of 20000.
TRAINING_FRACTION = 0.5625

# tau: Lyapunov time, constant past. NeuroBench (Yik et al. 2025, doi:10.1038/s41467-025-56739-4).
MACKEY_GLASS = {
    17: (197.0, 0.7206597),
    18: (138.0, 0.7744313),
    19: (315.0, 0.7783468),
    20: (131.0, 0.9225991),
    21: (191.0, 0.9479431),
    22: (119.0, 0.5455960),
    23: (106.0, 0.8622247),
    24: (97.0, 0.3259660),
    25: (98.0, 0.8297825),
    26: (104.0, 1.0033490),
    27: (112.0, 0.6491406),
    28: (119.0, 1.0957495),
    29: (131.0, 0.9256179),
    30: (139.0, 0.2713639),
}
# Samples a Lyapunov time, and Lyapunov times that train, of the same task.
_PER_LYAPUNOV_TIME, _TRAINING_TIMES = 75, 10


@dataclass(frozen=True, repr=False)
class Series:
    """Samples of a system at equal distances in time.

    Parameters
    ----------
    name : str
        For people.
    values : ndarray, shape (T, D)
        At least three samples, finite.
    columns : tuple of str
        Names of the D columns, with their units.
    scored : tuple of int
        Columns whose forecast is judged; the others are only fed back. Empty for all.
    step : str
        Time between samples, in words.
    lyapunov_time : float or None
        Inverse of the largest Lyapunov exponent, in samples.
    training_part : int
        Number of samples, from the first on, whose mean and standard deviation scale the series; 0 for all.
    notes : tuple of str
        What was done to the data, a sentence each.

    Raises
    ------
    InvalidInput
        If values are too few or not finite, or if columns, scored columns or training part do not fit them.

    Examples
    --------
    >>> Series("ramp", np.arange(4.0)[:, np.newaxis], ("height (m)",), step="1 s")
    Series(ramp: 4 samples of 1 s, height (m))
    """

    name: str
    values: np.ndarray
    columns: tuple[str, ...]
    scored: tuple[int, ...] = ()
    step: str = "1 sample"
    lyapunov_time: float | None = None
    training_part: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        values = checks.array("values", self.values, shape=(None, None), remedy="one row per sample").copy()
        n, dimensions = values.shape
        if n < 3 or dimensions < 1:
            raise InvalidInput(f"{self.name} must have at least 3 samples and a column, got values of {values.shape}")
        if checks.any_array("columns", self.columns).ndim != 1 or len(self.columns) != dimensions:
            raise InvalidInput(f"columns must name the {dimensions} columns of values, got {self.columns!r}")
        if checks.any_array("scored", self.scored).ndim != 1:
            raise InvalidInput(f"scored must be a tuple of columns, got {self.scored!r}")
        columns = tuple(self.columns)
        scored = tuple(checks.count("a column in scored", column, minimum=0) for column in list(self.scored))
        if len(set(scored)) != len(scored) or not set(scored) <= set(range(dimensions)):
            raise InvalidInput(f"scored must hold distinct columns in 0..{dimensions - 1}, got {self.scored!r}")
        if checks.any_array("notes", self.notes).ndim != 1:
            raise InvalidInput(f"notes must be a tuple of sentences, got {self.notes!r}")
        if self.lyapunov_time is not None:
            checks.real("lyapunov_time", self.lyapunov_time, above=0)
        part = checks.count("training_part", self.training_part, minimum=0) or n
        if not 2 <= part <= n:
            raise InvalidInput(f"training_part must be 2..{n} samples, or 0 for all, got {self.training_part}")
        values.flags.writeable = False
        kept = {"values": values, "columns": columns, "scored": scored, "training_part": part}
        for key, value in {**kept, "notes": tuple(self.notes)}.items():
            object.__setattr__(self, key, value)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Series({self.name}: {len(self)} samples of {self.step}, {', '.join(self.columns)})"


def runge_kutta(
    derivative: Callable[[np.ndarray], np.ndarray], start: np.ndarray, *, step: float, samples: int
) -> np.ndarray:
    """Integrate an autonomous system with the classical fourth-order method of Runge and Kutta (Kutta 1901).

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

    Raises
    ------
    InvalidInput
        If step or samples is out of range, or the solution leaves the range of numbers.

    Examples
    --------
    A straight line is exact:

    >>> runge_kutta(lambda x: np.array([2.0]), np.zeros(1), step=0.5, samples=3).ravel().tolist()
    [0.0, 1.0, 2.0]
    """
    h = checks.real("step", step, above=0)
    x = checks.array("start", start, shape=(None,))
    series = np.empty((checks.count("samples", samples), len(x)))
    series[0] = x
    with np.errstate(over="ignore", invalid="ignore"):
        for n in range(1, len(series)):
            k1 = derivative(x)
            k2 = derivative(x + h / 2 * k1)
            k3 = derivative(x + h / 2 * k2)
            k4 = derivative(x + h * k3)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            series[n] = x
    if not np.isfinite(series).all():
        n = int(np.argmin(np.isfinite(series).all(axis=1)))
        raise InvalidInput(f"the solution has no finite value at sample {n}; use a smaller step or another start")
    return series


def lorenz63_velocity(x: np.ndarray, *, sigma: float = 10.0, rho: float = 28.0, beta: float = 8 / 3) -> np.ndarray:
    """Return dx/dt of the Lorenz-63 system at a state of shape (3,), or at states of shape (3, T).

    Notes
    -----
    Lorenz 1963, equations (25) to (27); see `lorenz63`.

    Examples
    --------
    >>> lorenz63_velocity(np.array([1.0, 2.0, 3.0])).tolist()
    [10.0, 23.0, -6.0]
    """
    return np.array([sigma * (x[1] - x[0]), x[0] * (rho - x[2]) - x[1], x[0] * x[1] - beta * x[2]])


def lorenz96_velocity(x: np.ndarray) -> np.ndarray:
    """Return dx/dt of the Lorenz-96 system with F = 8 at a state of shape (N,), N at least 4.

    Notes
    -----
    ``dx_i/dt = (x_(i+1) - x_(i-2)) x_(i-1) - x_i + F``, i modulo N (Lorenz 1996, Predictability: a problem partly
    solved).

    Examples
    --------
    All variables at F stay there:

    >>> lorenz96_velocity(np.full(4, 8.0)).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    return (np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + 8.0


def roessler_velocity(x: np.ndarray) -> np.ndarray:
    """Return dx/dt of the Roessler system at a state of shape (3,), or at states of shape (3, T).

    Notes
    -----
    Of a = 0.15, b = 0.2 and c = 10; Roessler 1976 (doi:10.1016/0375-9601(76)90101-8); see `roessler`.

    Examples
    --------
    >>> roessler_velocity(np.array([10.0, 2.0, 3.0])).round(12).tolist()
    [-5.0, 10.3, 0.2]
    """
    return np.array([-x[1] - x[2], x[0] + 0.15 * x[1], 0.2 + x[2] * (x[0] - 10.0)])


def lorenz63(
    samples: int = 20000,
    *,
    start: tuple[float, float, float] = (-8.0, 7.0, 27.0),
    step: float = 0.01,
    sigma: float = 10.0,
    rho: float = 28.0,
    beta: float = 8 / 3,
) -> Series:
    """Return a series of the Lorenz-63 system, one Runge-Kutta step a sample.

    Parameters
    ----------
    samples : int
        Number of samples, the start included; at least 3.
    start : tuple of float
        State at sample 0.
    step : float
        Units of time between samples.
    sigma, rho, beta : float
        Parameters of the system.

    Returns
    -------
    Series

    Raises
    ------
    InvalidInput
        If a value is out of range, or the solution diverges.

    Notes
    -----
    dx/dt = sigma (y - x), dy/dt = x (rho - z) - y, dz/dt = x y - beta z. The largest Lyapunov exponent is 0.9056 for
    the parameters of Lorenz (1963, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2); with others no Lyapunov time is
    given. Start, step and the training part of 11250 samples are those of arXiv 2403.03409, table 3.

    Examples
    --------
    The fixed point (sqrt(beta (rho - 1)), same, rho - 1) stays:

    >>> c = (8 / 3 * 27) ** 0.5
    >>> bool(np.allclose(lorenz63(50, start=(c, c, 27)).values[-1], (c, c, 27)))
    True
    """
    given = {key: checks.real(key, value) for key, value in {"sigma": sigma, "rho": rho, "beta": beta}.items()}
    exponent = LORENZ63_EXPONENT if given == _LORENZ63 else None

    def velocity(x: np.ndarray) -> np.ndarray:
        return lorenz63_velocity(x, **given)

    return _flow("lorenz63", velocity, start, step, samples, exponent=exponent, training=11250)


def lorenz63_x(samples: int = 4000) -> Series:
    """Return the first variable of the Lorenz-63 system alone, every 0.05 units of time.

    The other two have to be inferred from what was seen before: a readout of neurons without synapses cannot.

    Parameters
    ----------
    samples : int
        At least 3.

    Returns
    -------
    Series

    Notes
    -----
    Parameters, start and step of integration (0.01) are those of `lorenz63`. Forecasts from one variable rest on its
    past (Takens 1981, doi:10.1007/BFb0091924).

    Examples
    --------
    >>> lorenz63_x(100)
    Series(lorenz63_x: 100 samples of 0.05 time units, x)
    """
    n, every = checks.count("samples", samples, minimum=3), 5
    whole = lorenz63(every * n)
    assert whole.lyapunov_time is not None
    return Series(
        "lorenz63_x",
        whole.values[::every, :1],
        whole.columns[:1],
        step="0.05 time units",
        lyapunov_time=whole.lyapunov_time / every,
        training_part=min(2250, n),
    )


def roessler(samples: int = 5000, *, step: float = 0.03, discard: int = 7700) -> Series:
    """Return a series of the Roessler system from (1, 1, 1), one Runge-Kutta step a sample.

    Parameters
    ----------
    samples : int
        Number of samples; at least 3.
    step : float
        Units of time between samples.
    discard : int
        Samples that are left out at the start.

    Returns
    -------
    Series

    Raises
    ------
    InvalidInput
        If a value is out of range, or the solution diverges.

    Notes
    -----
    dx/dt = -y - z, dy/dt = x + 0.15 y, dz/dt = 0.2 + z (x - 10) (Roessler 1976, doi:10.1016/0375-9601(76)90101-8). The
    largest Lyapunov exponent is 0.0888 +- 0.0005, by `lnpbrian.lyapunov.flow_spectrum` over 60,000 units of time; Wolf
    et al. (1985, doi:10.1016/0167-2789(85)90011-9) have 0.13 bits, which is 0.090.
    Start, step, the 7700 samples and the training part of 3000 are those of arXiv 2403.03409, table 4.

    Examples
    --------
    >>> roessler(3, discard=0).values[0].tolist()
    [1.0, 1.0, 1.0]
    """
    return _flow(
        "roessler", roessler_velocity, (1, 1, 1), step, samples, discard, exponent=ROESSLER_EXPONENT, training=3000
    )


def _flow(
    name: str,
    velocity: Callable[[np.ndarray], np.ndarray],
    start: tuple[float, float, float],
    step: float,
    samples: int,
    discard: int = 0,
    *,
    exponent: float | None,
    training: int,
) -> Series:
    samples, discard = checks.count("samples", samples, minimum=3), checks.count("discard", discard, minimum=0)
    state = checks.array("start", start, shape=(3,))
    values = runge_kutta(velocity, state, step=step, samples=discard + samples)[discard:]
    return Series(
        name,
        values,
        ("x", "y", "z"),
        step=f"{step:g} time units",
        lyapunov_time=None if exponent is None else 1 / (exponent * step),
        training_part=min(training, samples),
        notes=(f"The first {discard} samples are left out.",) if discard else (),
    )


def mackey_glass(
    tau: int = 17,
    *,
    samples: int = 3000,
    start: float | None = None,
    step: float | None = None,
    steps_per_delay: int = 200,
) -> Series:
    """Return a series of the Mackey-Glass equation, by default with 75 samples a Lyapunov time.

    Parameters
    ----------
    tau : int
        Delay, 17..30.
    samples : int
        Number of samples, the start included; at least 3.
    start : float, optional
        x at all times up to 0, at least 0; by default that of the table `MACKEY_GLASS`.
    step : float, optional
        Units of time between samples.
    steps_per_delay : int
        Integration steps a delay.

    Returns
    -------
    Series

    Raises
    ------
    InvalidInput
        If a value is out of range.

    Notes
    -----
    dx/dt = 0.2 x(t - tau)/(1 + x(t - tau)^10) - 0.1 x (Mackey and Glass 1977, doi:10.1126/science.267326). The
    classical Runge-Kutta method takes delayed values inside a step from cubic Hermite interpolation; its steps divide
    tau, so that none crosses a kink of the solution at 0, tau, 2 tau, ..., and samples are interpolated alike. All of
    it is of fourth order. Delays, Lyapunov times, starts and sampling are those of NeuroBench
    (doi:10.1038/s41467-025-56739-4), as is the training part, ten Lyapunov times. Its files come from another solver
    and are not reproduced sample by sample: solutions of two solvers part within some Lyapunov times.

    Examples
    --------
    The fixed point (0.2/0.1 - 1)^(1/10) = 1 stays:

    >>> mackey_glass(17, samples=5, start=1.0).values.ravel().tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if not isinstance(tau, (int, np.integer)) or tau not in MACKEY_GLASS:
        raise InvalidInput(f"tau must be a whole number in {min(MACKEY_GLASS)}..{max(MACKEY_GLASS)}, got {tau!r}")
    samples, steps_per_delay = (
        checks.count("samples", samples, minimum=3),
        checks.count("steps_per_delay", steps_per_delay),
    )
    lyapunov_time, past = MACKEY_GLASS[tau]
    if start is not None:
        past = checks.real("start", start, at_least=0)
    every = lyapunov_time / _PER_LYAPUNOV_TIME if step is None else checks.real("step", step, above=0)
    times = every * np.arange(samples)
    x = _delay_equation(times, float(tau), past, steps_per_delay)
    return Series(
        f"mackey_glass_{tau}",
        x[:, np.newaxis],
        ("x",),
        step=f"{every:.4g} time units",
        lyapunov_time=_PER_LYAPUNOV_TIME if step is None else lyapunov_time / every,
        training_part=min(_TRAINING_TIMES * _PER_LYAPUNOV_TIME, samples),
    )


def _delay_equation(times: np.ndarray, tau: float, past: float, m: int) -> np.ndarray:
    """Return x at `times`, from `m` Runge-Kutta steps a delay."""
    h = tau / m
    n_steps = int(np.ceil(times[-1] / h)) + 1

    def production(delayed: float) -> float:
        return 0.2 * delayed / (1 + delayed**10)

    xs = [past] * (m + 1)  # x at -tau, -tau + h, ..., 0
    slopes = [0.0] * m  # of the same, up to -h
    x = past
    slopes.append(production(past) - 0.1 * x)
    for n in range(n_steps):
        # The slope jumps at 0: the steps before it are constant.
        middle = past if n < m else (xs[n] + xs[n + 1]) / 2 + h / 8 * (slopes[n] - slopes[n + 1])
        p_half, p_end = production(middle), production(xs[n + 1])
        k1 = slopes[n + m]
        k2 = p_half - 0.1 * (x + h / 2 * k1)
        k3 = p_half - 0.1 * (x + h / 2 * k2)
        k4 = p_end - 0.1 * (x + h * k3)
        x += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        xs.append(x)
        slopes.append(p_end - 0.1 * x)
    y, slope = np.array(xs[m:]), h * np.array(slopes[m:])
    k = np.minimum((times / h).astype(int), n_steps - 1)
    s = times / h - k
    return (
        (1 + 2 * s) * (1 - s) ** 2 * y[k]
        + s * (1 - s) ** 2 * slope[k]
        + s**2 * (3 - 2 * s) * y[k + 1]
        + s**2 * (s - 1) * slope[k + 1]
    )


def google_stock() -> Series:
    """Return the daily closing prices of Google stock that Matplotlib ships, 2004-08-19 to 2008-10-14.

    Returns
    -------
    Series
        1047 prices in USD.

    Raises
    ------
    InvalidInput
        If this Matplotlib has no such sample.

    Notes
    -----
    arXiv 2403.03409 uses the prices up to 2010-09-21; `read_series` reads a file of them.

    Examples
    --------
    >>> google_stock()
    Series(google: 1047 samples of 1 trading day, close (USD))
    """
    from matplotlib.cbook import get_sample_data

    try:
        with np.load(str(get_sample_data("goog.npz", asfileobj=False))) as sample:
            prices = sample["price_data"]
    except (OSError, KeyError) as error:
        raise InvalidInput("this Matplotlib has no stock prices (goog.npz); give a file of prices instead") from error
    return Series(
        "google",
        prices["close"].astype(float)[:, np.newaxis],
        ("close (USD)",),
        step="1 trading day",
        training_part=int(TRAINING_FRACTION * len(prices)),
        notes=(f"Closing prices of {prices['date'][0]} to {prices['date'][-1]}, as Matplotlib ships them.",),
    )
