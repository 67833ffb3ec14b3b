"""How a series is cut into parts that train and windows that are forecast."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning import metrics
from lnpbrian.learning.series import Series, google_stock, lorenz63, lorenz63_x, mackey_glass, roessler
from lnpbrian.learning.series_files import WIND_HELP, read_series

__all__ = ["PROTOCOLS", "SERIES", "ForecastTask", "forecast_task", "long_protocol", "named_series", "short_protocol"]

SERIES = ("lorenz63_x", "lorenz63", "roessler", "mackey_glass", "google", "wind")
PROTOCOLS = ("short", "long")
# What a file must hold.
_KINDS = {"google": "stock", "wind": "wind"}
# Training, validation and test samples (arXiv 2403.03409, tables 3 and 4).
_LONG = {"lorenz63_x": (2250, 750, 1000), "lorenz63": (11250, 3750, 5000), "roessler": (3000, 1000, 1000)}
# As far ahead as 100 samples of Lorenz-63.
_HORIZONS = {"lorenz63_x": 20}


@dataclass(frozen=True, repr=False)
class ForecastTask:
    """Windows of a z-scored series: the first part of each is shown, the rest is forecast in closed loop.

    Parameters
    ----------
    name : str
        For people.
    windows : ndarray, shape (W, train + horizon, D)
        z-scored samples.
    train : int
        Samples of each window that are shown.
    warm_up : int
        Shown samples that no readout is fitted on.
    mean, scale : ndarray, shape (D,)
        z = (x - mean)/scale.
    sigma : ndarray, shape (D,)
        Long-term standard deviation of z, which normalises errors.
    lyapunov_time : float or None
        In samples.
    columns : tuple of str
        Names of the dimensions.
    notes : tuple of str
        What was done to the data before they became a series.
    scored : tuple of int
        Dimensions whose forecast is judged; the others are only fed back. Empty for all.
    fit, validation : ndarray, shape (M, warm_up + L, D), optional
        Stretches of the series on which one readout for all windows is fitted, and the penalty of a ridge readout is
        chosen. Without them each window has a readout of its own, fitted on its training part.
    phase : ndarray, shape (T, D), optional
        Samples in a row on which recurrent weights may be trained. They end before the first window begins.

    Examples
    --------
    One window of a ramp, three samples of which are shown and two forecast; 0.5 too much of an error of 2 is 0.25:

    >>> ramp = np.arange(5.0).reshape(1, 5, 1)
    >>> task = ForecastTask("ramp", ramp, 3, 1, mean=np.zeros(1), scale=np.ones(1), sigma=np.full(1, 2.0))
    >>> task
    ForecastTask(ramp, 1 windows of 3 + 2 samples)
    >>> task.nrmse(task.truth + 0.5).tolist()
    [0.25]
    >>> task.valid_prediction_time(task.truth + [[[0.1], [0.5]]]).tolist()
    [1]
    """

    name: str
    windows: np.ndarray
    train: int
    warm_up: int
    mean: np.ndarray
    scale: np.ndarray
    sigma: np.ndarray
    lyapunov_time: float | None = None
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    scored: tuple[int, ...] = ()
    fit: np.ndarray | None = None
    validation: np.ndarray | None = None
    phase: np.ndarray | None = None

    @property
    def dimensions(self) -> int:
        """Number of dimensions D."""
        return self.windows.shape[2]

    @property
    def horizon(self) -> int:
        """Number of steps to forecast."""
        return self.windows.shape[1] - self.train

    def in_units(self, z: np.ndarray) -> np.ndarray:
        """Return samples (..., D) in the unit of the series."""
        return z * self.scale + self.mean

    @property
    def n_windows(self) -> int:
        """Number of windows W."""
        return len(self.windows)

    @property
    def truth(self) -> np.ndarray:
        """What is to be forecast, shape (W, horizon, D)."""
        return self.windows[:, self.train :]

    @property
    def judged(self) -> list[int]:
        """The dimensions whose forecast is judged."""
        return list(self.scored) or list(range(self.dimensions))

    def nrmse(self, prediction: np.ndarray, truth: np.ndarray | None = None) -> np.ndarray:
        """Return `metrics.nrmse` of forecasts (W, horizon, D), shape (W,), in the dimensions that are judged.

        They are compared with what is to be forecast, or with another truth of their shape.
        """
        d = self.judged
        return metrics.nrmse(prediction[..., d], (self.truth if truth is None else truth)[..., d], self.sigma[d])

    def valid_prediction_time(self, prediction: np.ndarray, *, threshold: float = 0.1) -> np.ndarray:
        """Return `metrics.valid_prediction_time` of forecasts (W, horizon, D) in steps, shape (W,)."""
        d = self.judged
        trace = metrics.nrmse_trace(prediction[..., d], self.truth[..., d], self.sigma[d])
        return metrics.valid_prediction_time(trace, threshold=threshold)

    def smape(self, prediction: np.ndarray) -> np.ndarray:
        """Return `metrics.smape` of forecasts (W, horizon, D) in the unit of the series, shape (W,)."""
        return metrics.smape(*(self.in_units(part)[..., self.judged] for part in (prediction, self.truth)))

    def __repr__(self) -> str:
        return f"ForecastTask({self.name}, {self.n_windows} windows of {self.train} + {self.horizon} samples)"

    def with_noise(self, snr: float, rng: np.random.Generator) -> ForecastTask:
        """Return the task with Gaussian white noise on every sample that is shown; what is forecast stays clean.

        Parameters
        ----------
        snr : float
            Ratio of the variances of series and noise in dB; ``inf`` adds none.
        rng : numpy.random.Generator
            Source of the noise.

        Raises
        ------
        InvalidInput
            If `snr` is not a number of dB.

        Notes
        -----
        arXiv 2403.03409 reports errors under noise of 50 to 10 dB.
        """
        if not snr > -np.inf:
            raise InvalidInput(f"snr must be a number of dB, got {snr!r}")
        noise = self.sigma * 10 ** (-snr / 20)

        def noisy(part: np.ndarray | None) -> np.ndarray | None:
            return None if part is None else part + noise * rng.standard_normal(part.shape)

        windows = self.windows.copy()
        windows[:, : self.train] += noise * rng.standard_normal(windows[:, : self.train].shape)
        return replace(
            self, windows=windows, fit=noisy(self.fit), validation=noisy(self.validation), phase=noisy(self.phase)
        )


def named_series(name: str, data: str | os.PathLike[str] | None = None) -> Series:
    """Return a series by its name, from a file where the name stands for measurements.

    Parameters
    ----------
    name : {"lorenz63_x", "lorenz63", "roessler", "mackey_glass", "google", "wind"}
        See `lorenz63_x`, `lorenz63`, `roessler`, `mackey_glass`, `google_stock`; "wind" comes from a file.
    data : path-like, optional
        File of stock prices or of wind, see `read_series`. Without one, "google" is the sample
        that Matplotlib ships.

    Returns
    -------
    Series

    Raises
    ------
    InvalidInput
        If "wind" has no file, or a generated series has one.

    Notes
    -----
    "lorenz63", "roessler", "google" and "wind" are the series of arXiv 2403.03409, appendix A.4.

    Examples
    --------
    >>> named_series("roessler")
    Series(roessler: 5000 samples of 0.03 time units, x, y, z)
    """
    checks.choice("series", name, SERIES)
    if data is not None:
        if name not in _KINDS:
            raise InvalidInput(f"{name} is generated and takes no data file; use google or wind with one")
        return read_series(data, kind=_KINDS[name], name=name)
    if name == "wind":
        raise InvalidInput(WIND_HELP)
    generated: dict[str, Callable[[], Series]] = {
        "lorenz63_x": lorenz63_x,
        "lorenz63": lorenz63,
        "roessler": roessler,
        "mackey_glass": mackey_glass,
        "google": google_stock,
    }
    return generated[name]()


def forecast_task(
    series: str | Series,
    *,
    data: str | os.PathLike[str] | None = None,
    protocol: str = "short",
    n_windows: int = 20,
) -> ForecastTask:
    """Return the task of a series by one of the paper's protocols.

    Parameters
    ----------
    series : {"lorenz63_x", "lorenz63", "roessler", "mackey_glass", "google", "wind"} or Series
        Name of a series, see `named_series`, or a series of your own.
    data : path-like, optional
        File of a named series.
    protocol : {"short", "long"}
        See `short_protocol` and `long_protocol`, which take windows and parts of other sizes. The short one of
        `mackey_glass` is that of NeuroBench.
    n_windows : int
        Number of windows.

    Returns
    -------
    ForecastTask

    Raises
    ------
    InvalidInput
        If the series is too short or constant, has no long protocol, or comes with a file that it does not take.

    Notes
    -----
    NeuroBench (Yik et al. 2025, doi:10.1038/s41467-025-56739-4) trains on ten Lyapunov times of 75 samples, the first
    0.6 of which warm up, forecasts the next ten, and shifts the windows by half a Lyapunov time.

    Examples
    --------
    >>> forecast_task("lorenz63", n_windows=2)
    ForecastTask(lorenz63, 2 windows of 500 + 100 samples)
    >>> forecast_task(mackey_glass(21), n_windows=3).train
    750
    """
    checks.choice("protocol", protocol, PROTOCOLS)
    if isinstance(series, str):
        series = named_series(series, data)
    elif data is not None:
        raise InvalidInput("a file needs the name of its series; give google or wind, or data=None")
    _values(series)
    name = series.name
    if protocol == "long":
        if name not in _LONG:
            raise InvalidInput(f"{name} has no long protocol; use short, or one of {', '.join(_LONG)}")
        train, validation, test = _LONG[name]
        sizes = {"train": train, "validation": validation, "test": test}
        return long_protocol(series, n_windows=n_windows, horizon=_HORIZONS.get(name, 100), **sizes)
    if name.startswith("mackey_glass"):
        most = int((len(series) - 1500) / 37.5) + 1
        n_windows = checks.count("n_windows", n_windows)
        if n_windows > most:
            raise InvalidInput(f"n_windows must be at most {most} for mackey_glass, got {n_windows}")
        starts = (37.5 * np.arange(n_windows)).astype(int)
        return short_protocol(series, n_windows=n_windows, train=750, horizon=750, warm_up=45, discard=0, starts=starts)
    return short_protocol(series, n_windows=n_windows, horizon=_HORIZONS.get(name, 100))


def short_protocol(
    series: Series,
    *,
    n_windows: int = 20,
    train: int = 500,
    horizon: int = 100,
    warm_up: int = 50,
    discard: int | None = None,
    starts: np.ndarray | None = None,
) -> ForecastTask:
    """Cut a series into windows at fixed, equally spaced positions, each with a readout of its own.

    Parameters
    ----------
    series : Series
        What to forecast. It is z-scored with mean and standard deviation of its training part.
    n_windows, train, horizon, warm_up : int
        Number of windows, and the samples of each that train, are forecast, and are left out of training at its start.
    discard : int, optional
        Samples before the first window, on which recurrent weights may be trained. By default 1000, or half of what the
        windows leave in a shorter series.
    starts : ndarray of int, shape (n_windows,), optional
        First samples of the windows, instead of equally spaced ones.

    Returns
    -------
    ForecastTask

    Raises
    ------
    InvalidInput
        If the series is constant, or too short for the windows.

    Notes
    -----
    arXiv 2403.03409, section 4.1: 500 samples train, the next 100 are forecast.

    Examples
    --------
    >>> series = Series("ramp", np.arange(20.0)[:, np.newaxis], ("x",))
    >>> task = short_protocol(series, n_windows=2, train=6, horizon=4, warm_up=1, discard=0)
    >>> task.in_units(task.truth).ravel().round(9).tolist()
    [6.0, 7.0, 8.0, 9.0, 16.0, 17.0, 18.0, 19.0]
    """
    x = _values(series)
    n_windows, train = checks.count("n_windows", n_windows), checks.count("train", train)
    horizon, warm_up = checks.count("horizon", horizon), checks.count("warm_up", warm_up, minimum=0)
    if warm_up >= train - 1:
        raise InvalidInput(f"warm_up must leave at least two of the {train} training samples, got {warm_up}")
    length = train + horizon
    last = len(x) - length
    if discard is None:
        discard = min(1000, last // 2) if last >= 0 else 0
    discard = checks.count("discard", discard, minimum=0)
    if last < discard:
        raise InvalidInput(
            f"{series.name} has {len(x)} samples, but windows need {discard + length}; "
            "use a longer series, or lower train or horizon"
        )
    if starts is None:
        if n_windows > last - discard + 1:
            raise InvalidInput(f"n_windows must be at most {last - discard + 1} for distinct windows, got {n_windows}")
        starts = np.linspace(discard, last, n_windows).astype(int)
    starts = checks.array("starts", starts, shape=(n_windows,), dtype=int)
    if starts.min() < discard or starts.max() > last:
        raise InvalidInput(f"windows must start at samples {discard}..{last}, got {starts.min()}..{starts.max()}")
    task = _standardised(series, x)
    z = task.windows[0]
    return replace(
        task,
        windows=np.stack([z[s : s + length] for s in starts]),
        train=train,
        warm_up=warm_up,
        phase=z[:discard],
    )


def long_protocol(
    series: Series,
    *,
    train: int = 11250,
    validation: int = 3750,
    test: int = 5000,
    n_windows: int = 20,
    horizon: int = 100,
    warm_up: int = 50,
    stretches: int = 20,
) -> ForecastTask:
    """Fit one readout on a long training part, and forecast windows of the test part at its end.

    Parameters
    ----------
    series : Series
        What to forecast.
    train, validation, test : int
        Samples of the three parts, one after the other.
    n_windows, horizon : int
        Windows of the test part, equally spaced, and the samples of each that are forecast.
    warm_up : int
        Samples that are shown before a window is forecast, or before a stretch is learnt from.
    stretches : int
        Number of stretches that the training part is cut into, so that they can be simulated side by side.

    Returns
    -------
    ForecastTask

    Raises
    ------
    InvalidInput
        If the series is constant, or shorter than its parts.

    Notes
    -----
    arXiv 2403.03409, tables 3 and 4: Lorenz-63 11250, 3750, 5000; Roessler 3000, 1000, 1000.

    Examples
    --------
    >>> task = long_protocol(lorenz63(), n_windows=3)
    >>> task.fit.shape, task.validation.shape, task.windows.shape
    ((20, 610, 3), (20, 235, 3), (3, 150, 3))
    """
    x = _values(series)
    train, validation, test = (
        checks.count(name, value) for name, value in (("train", train), ("validation", validation), ("test", test))
    )
    n_windows, horizon = checks.count("n_windows", n_windows), checks.count("horizon", horizon)
    warm_up, stretches = checks.count("warm_up", warm_up), checks.count("stretches", stretches)
    if len(x) < train + validation + test:
        raise InvalidInput(
            f"{series.name} has {len(x)} samples, but its parts need {train + validation + test}; "
            "use a longer series, or lower train, validation or test"
        )
    if n_windows > test - horizon - warm_up + 1:
        raise InvalidInput(
            f"n_windows must be at most {max(test - horizon - warm_up + 1, 0)} for distinct windows, got {n_windows}"
        )
    for name, samples in (("train", train), ("validation", validation)):
        if samples < warm_up + 2 * stretches:
            raise InvalidInput(f"{name} must be at least warm_up + 2 stretches = {warm_up + 2 * stretches} samples")
    task = _standardised(replace(series, training_part=train), x)
    z = task.windows[0]
    first = train + validation + warm_up
    starts = np.linspace(first, train + validation + test - horizon, n_windows).astype(int)
    return replace(
        task,
        windows=np.stack([z[s - warm_up : s + horizon] for s in starts]),
        train=warm_up,
        warm_up=warm_up,
        fit=_cut(z[:train], warm_up, stretches),
        validation=_cut(z[train : train + validation], warm_up, stretches),
        phase=z[:train],
    )


def _cut(z: np.ndarray, warm_up: int, stretches: int) -> np.ndarray:
    """Return stretches (M, warm_up + L, D) whose last L samples follow each other; a rest at the end is dropped."""
    length = (len(z) - warm_up) // stretches
    return np.stack([z[k * length : warm_up + (k + 1) * length] for k in range(stretches)])


def _values(series: Series) -> np.ndarray:
    checks.instance("series", series, Series, "use lorenz63(), read_series(...) or Series(...)")
    return series.values


def _standardised(series: Series, x: np.ndarray) -> ForecastTask:
    """Return a task whose only window is the whole series, z-scored by its training part."""
    basis = x[: series.training_part]
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = basis.mean(axis=0), basis.std(axis=0)
        z = (x - mean) / np.where(scale > 0, scale, 1)
        sigma = z.std(axis=0)
    wide = ~np.isfinite([mean, scale, sigma]).all(axis=0)
    if wide.any():
        k = int(wide.argmax())
        raise InvalidInput(
            f"column {k} ({series.columns[k]}) of {series.name} reaches {np.abs(x[:, k]).max():.3g}, too large to be "
            "z-scored; change its unit or its first rows"
        )
    if not (scale > 0).all():
        k = int(np.argmin(scale))
        raise InvalidInput(f"column {k} ({series.columns[k]}) of {series.name} is constant in training; drop it")
    return ForecastTask(
        name=series.name,
        windows=z[np.newaxis],
        train=len(z),
        warm_up=0,
        mean=mean,
        scale=scale,
        sigma=sigma,
        lyapunov_time=series.lyapunov_time,
        columns=series.columns,
        notes=series.notes,
        scored=series.scored,
    )
