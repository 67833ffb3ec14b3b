"""Validation of what users hand in: every failure is one line that names the value and the remedy.

Functions return the value in the form the rest of the package computes with: ``int``, ``float`` in SI units,
or a C-contiguous array.
"""

from __future__ import annotations

import numbers
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from brian2 import Quantity, second
from brian2.units.fundamentalunits import have_same_dimensions

__all__ = ["InvalidInput"]

_LONGEST = 2000  # characters of a message
LONGEST_TIME = 1e9  # seconds, 30 years: what is longer was meant otherwise


class InvalidInput(ValueError):
    """A value handed to lnpbrian cannot be used; the message says what was wrong and what to do.

    Examples
    --------
    >>> try:
    ...     probability("fraction", 2)
    ... except ValueError as error:
    ...     print(error)
    fraction must be a number in (0, 1], got 2
    """

    def __init__(self, message: object) -> None:
        line = " ".join(str(message).split())
        # What was handed over may be large; what to do about it stands at the end.
        super().__init__(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 505]} ... {line[-500:]}")


def count(name: str, value: object, *, minimum: int = 1, at_most: int | None = 2**31 - 1) -> int:
    """Return a whole number of at least `minimum` as an int; by default it is one of things that Brian2 could number.

    Raises
    ------
    InvalidInput
        If `value` is not whole, below `minimum`, above `at_most`, or a bool.

    Examples
    --------
    >>> count("neurons", 100.0)
    100
    >>> count("neurons", -5)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: neurons must be a whole number of at least 1, got -5
    """
    ok = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not ok and isinstance(value, (float, np.floating)):
        ok = float(value).is_integer()
    if not ok or int(value) < minimum:  # type: ignore[call-overload]
        raise InvalidInput(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    if at_most is not None and int(value) > at_most:  # type: ignore[call-overload]
        raise InvalidInput(f"{name} must be a whole number of at most {at_most}, got {value!r}")
    return int(value)  # type: ignore[call-overload]


def real(
    name: str,
    value: object,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    """Return a number without unit as a finite float inside the stated interval.

    Raises
    ------
    InvalidInput
        If `value` is no number, not finite, outside, or has a unit.

    Examples
    --------
    >>> real("connection_probability", 1.5, above=0, at_most=1)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: connection_probability must be a number in (0, 1], got 1.5
    """
    if above is None and at_least is None:
        left = "(-inf"
    else:
        left = f"({above:g}" if above is not None else f"[{at_least:g}"
    if below is None and at_most is None:
        right = "inf)"
    else:
        right = f"{below:g})" if below is not None else f"{at_most:g}]"
    message = f"{name} must be a number in {left}, {right}, got {value!r}"
    scalar = isinstance(value, numbers.Real) or (
        isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iuf"
    )
    if isinstance(value, bool) or not scalar:
        raise InvalidInput(message)
    if isinstance(value, Quantity) and not have_same_dimensions(value, 1):
        raise InvalidInput(f"{message} (a plain number without unit is needed)")
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        number = np.inf
    if (
        not np.isfinite(number)
        or (above is not None and not number > above)
        or (at_least is not None and not number >= at_least)
        or (below is not None and not number < below)
        or (at_most is not None and not number <= at_most)
    ):
        raise InvalidInput(message)
    return number


def probability(name: str, value: object) -> float:
    """Return `value` as a float in (0, 1], or raise as `real` does.

    Examples
    --------
    >>> probability("fraction", 1)
    1.0
    """
    return real(name, value, above=0, at_most=1)


def seconds(name: str, value: object, *, above: float | None = 0.0, at_least: float | None = None) -> float:
    """Return a Brian2 time as a float in seconds, above or at least a bound in seconds.

    Raises
    ------
    InvalidInput
        If `value` has not the unit of a time, is an array, outside, or longer than 30 years.

    Examples
    --------
    >>> from brian2 import ms, mV
    >>> seconds("duration", 20*ms)
    0.02
    >>> seconds("duration", 20*mV)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: duration must be a time such as 20*ms, got 20. mV
    >>> seconds("duration", 20)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: duration must be a time such as 20*ms, got 20
    """
    if not isinstance(value, Quantity) or not have_same_dimensions(value, second) or np.ndim(value) != 0:
        shown = str(value) if isinstance(value, Quantity) else repr(value)
        raise InvalidInput(f"{name} must be a time such as 20*ms, got {shown}")
    lowest = None if at_least is not None else above
    length = real(f"{name} (in seconds)", float(value), above=lowest, at_least=at_least)
    if length > LONGEST_TIME:
        raise InvalidInput(f"{name} must be at most {LONGEST_TIME:g} s, got {value!s}")
    return length


def steps(name: str, value: object, dt: float) -> int:
    """Return how many steps of `dt` seconds a Brian2 time is.

    Raises
    ------
    InvalidInput
        If that is not a whole number of at least 1.

    Examples
    --------
    >>> from brian2 import ms
    >>> steps("sample_time", 5*ms, 0.0005)
    10
    >>> steps("sample_time", 5.2*ms, 0.0005)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: sample_time must be a whole number of steps of 0.5 ms, got 5.2 ms
    """
    length = seconds(name, value)
    ratio = length / dt
    if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-6:
        raise InvalidInput(f"{name} must be a whole number of steps of {1e3 * dt:g} ms, got {1e3 * length:g} ms")
    return round(ratio)


def array(
    name: str,
    value: object,
    *,
    shape: tuple[int | None, ...] | None = None,
    dtype: type = float,
    finite: bool = True,
    remedy: str = "",
) -> np.ndarray:
    """Return `value` as a (finite) array of the stated shape (``None`` leaves an axis free).

    Raises
    ------
    InvalidInput
        If it cannot be an array of this `dtype`, has another shape, or is not finite; `remedy` ends the message.

    Examples
    --------
    >>> array("weights", [[1, 2]], shape=(1, None))
    array([[1., 2.]])
    >>> array("pre", [0, 0.5], dtype=int)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: pre must be an array of int, got 0.5 at index (1,)
    >>> array("weights", [0.0, float("nan")])
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: weights must be finite, got nan at index (1,)
    """
    tail = f"; {remedy}" if remedy else ""
    wanted = f"{name} must be an array of {dtype.__name__}"
    try:
        given = np.asarray(value)
        with np.errstate(invalid="ignore", over="ignore"):
            # Text and dates would be parsed, and of a complex number half would be lost.
            result: np.ndarray | None = np.asarray(given, dtype=dtype) if given.dtype.kind in "biufO" else None
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"{wanted}, got {type(value).__name__}{tail}") from error
    if result is None:
        raise InvalidInput(f"{wanted}, got one of type {given.dtype}{tail}")
    if shape is not None and (
        result.ndim != len(shape)
        or any(want is not None and have != want for have, want in zip(result.shape, shape, strict=True))
    ):
        sizes = "(" + ", ".join("any" if s is None else str(s) for s in shape) + ("," if len(shape) == 1 else "") + ")"
        raise InvalidInput(f"{name} must have shape {sizes}, got {result.shape}{tail}")
    if result.dtype.kind in "biu" and (changed := np.argwhere(result != given)).size:
        first = tuple(int(k) for k in changed[0])
        raise InvalidInput(f"{wanted}, got {given[first]} at index {first}{tail}")
    if finite and np.issubdtype(result.dtype, np.floating) and not np.isfinite(result).all():
        first = tuple(int(k) for k in np.argwhere(~np.isfinite(result))[0])
        raise InvalidInput(f"{name} must be finite, got {result[first]} at index {first}{tail}")
    return result


def flag(name: str, value: object) -> bool:
    """Return `value` if it is true or false, and refuse what only counts as such.

    Examples
    --------
    >>> flag("plastic", "no")
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: plastic must be True or False, got 'no'
    """
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidInput(f"{name} must be True or False, got {value!r}")
    return bool(value)


def any_array(name: str, value: object) -> np.ndarray:
    """Return `value` as an array of whatever it holds; what has no shape is refused.

    Examples
    --------
    >>> any_array("pre", [[1, 2], [3]])
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: pre must be an array, got list with parts of different lengths
    """
    try:
        return np.asarray(value)
    except ValueError as error:
        raise InvalidInput(
            f"{name} must be an array, got {type(value).__name__} with parts of different lengths"
        ) from error


def edge_arrays(pre: object, post: object, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `pre` and `post`, shapes (S,), as int64 arrays of neuron indices below `n`.

    Raises
    ------
    InvalidInput
        If they are not whole numbers, differ in length, or leave 0..n-1.

    Examples
    --------
    >>> edge_arrays([0], [2], 2)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: post must hold neuron indices in 0..1, got 2 at synapse 0
    """
    source, target = (
        _indices(name, value, n, wanted="one neuron index per synapse", where=" at synapse {}")
        for name, value in (("pre", pre), ("post", post))
    )
    if source.shape != target.shape:
        raise InvalidInput(f"pre and post must have one entry per synapse each, got {source.size} and {target.size}")
    return source, target


def indices(name: str, value: object, n: int) -> np.ndarray:
    """Return neuron indices in 0..n-1 as int64; others are refused.

    Examples
    --------
    >>> indices("pre", [0, 3], 3)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: pre must hold neuron indices in 0..2, got 3
    """
    return _indices(name, value, n, wanted="a list of neuron indices")


def _indices(name: str, value: object, n: int, *, wanted: str, where: str = "") -> np.ndarray:
    index = any_array(name, value)
    if index.ndim != 1 or (index.size and not np.issubdtype(index.dtype, np.integer)):
        raise InvalidInput(f"{name} must be {wanted}, got shape {index.shape} of type {index.dtype}")
    wrong = np.flatnonzero((index < 0) | (index >= n))
    if wrong.size:
        found = f"{index[wrong[0]]}{where.format(wrong[0])}"
        raise InvalidInput(f"{name} must hold neuron indices in 0..{n - 1}, got {found}")
    return index.astype(np.int64)


def keep_mask(name: str, value: object, size: int) -> np.ndarray:
    """Return `value` if it is a boolean mask of `size` entries; numbers are refused, whatever they are.

    Examples
    --------
    >>> keep_mask("keep", [True, False], 3)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: keep must be a boolean mask with one entry per synapse (3), got 2 entries of type bool
    """
    mask = any_array(name, value)
    if mask.dtype != bool or mask.shape != (size,):
        raise InvalidInput(
            f"{name} must be a boolean mask with one entry per synapse ({size}), "
            f"got {mask.size} entries of type {mask.dtype}"
        )
    return mask


def generator(name: str, value: object) -> None:
    """Refuse `value` if it does not draw random numbers as numpy.random.Generator does.

    Examples
    --------
    >>> generator("rng", np.random.default_rng(0))
    >>> generator("rng", 0)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: rng must be a generator such as np.random.default_rng(0), got 0
    """
    if not hasattr(value, "standard_normal") or isinstance(value, (type, np.random.RandomState)):
        raise InvalidInput(f"{name} must be a generator such as np.random.default_rng(0), got {value!r}")


def with_article(word: str) -> str:
    """Return a word, or the name of a file, with "a" or "an".

    Examples
    --------
    >>> with_article("index.html"), with_article("run.json")
    ('an index.html', 'a run.json')
    """
    return f"{'an' if word[:1].lower() in 'aeio' else 'a'} {word}"


def instance(name: str, value: object, kind: type, remedy: str) -> None:
    """Refuse a `value` that is no `kind`; the remedy says where to get one.

    Examples
    --------
    >>> instance("path", "runs", Path, "wrap it in Path(...)")
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: path must be a Path, got str; wrap it in Path(...)
    """
    if not isinstance(value, kind):
        raise InvalidInput(f"{name} must be {with_article(kind.__name__)}, got {type(value).__name__}; {remedy}")


def optional(name: str, value: object, kind: type, remedy: str) -> None:
    """Refuse a `value` that is neither ``None`` nor a `kind`, as `instance` does.

    Examples
    --------
    >>> optional("path", None, Path, "wrap it in Path(...)")
    """
    if value is not None:
        instance(name, value, kind, remedy)


def callback(name: str, value: object) -> None:
    """Refuse a `value` that is neither ``None`` nor can be called.

    Examples
    --------
    >>> callback("report", print)
    >>> callback("report", 3)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: report must be a function or None, got 3
    """
    if value is not None and not callable(value):
        raise InvalidInput(f"{name} must be a function or None, got {value!r}")


def choice(name: str, value: object, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`, else refuse it and name them.

    Examples
    --------
    >>> choice("method", "exact", ("exact", "local"))
    'exact'
    >>> choice("method", "fast", ("exact", "local"))
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: method must be one of exact, local; got 'fast'
    """
    known = tuple(options)
    if not isinstance(value, str) or value not in known:
        raise InvalidInput(f"{name} must be one of {', '.join(known)}; got {value!r}")
    return str(value)


def writable_directory(name: str, path: str | os.PathLike[str]) -> Path:
    """Make a folder if needed and return it.

    Raises
    ------
    InvalidInput
        If it cannot be made, or files cannot be written there, with the reason of the system.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     writable_directory("--out", folder + "/runs/first").name
    'first'
    """
    try:
        directory = Path(path)
    except TypeError as error:
        raise InvalidInput(f"{name} must be the path of a folder, got {path!r}") from error
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Where the system can, without a name that a killed process would leave.
        with tempfile.TemporaryFile(dir=directory):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(f"{name} {str(directory)!r} is not a folder that can be written to ({reason})") from error
    return directory
