"""What every result file has in common: plain JSON types, versions, and that it is written whole or not at all."""

from __future__ import annotations

import html
import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from brian2 import Quantity, ms

from lnpbrian import checks, files
from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput

__all__ = [
    "as_html",
    "commit",
    "data_frame",
    "from_plain",
    "is_record",
    "plain",
    "read_json",
    "same",
    "versions",
    "write_json",
]

# JSON has no words for these.
WORDS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


def plain(value: Any) -> Any:
    """Return `value` as JSON types; a field that holds a time becomes one called ``..._ms``.

    Examples
    --------
    >>> plain({"filter_time": 20 * ms, "ridge": np.float64(2)})
    {'filter_time_ms': 20.0, 'ridge': 2.0}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return plain({f.name: getattr(value, f.name) for f in fields(value) if f.metadata.get("recorded", True)})
    if isinstance(value, Mapping):
        return {f"{key}_ms" if isinstance(item, Quantity) else str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Quantity):
        # Rounded to what a person wrote: 0.05 s / 1 ms is 50.00000000000001.
        return round(float(value / ms), 9)
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def from_plain[T](kind: type[T], content: Any, where: str = "") -> T:
    """Return the dataclass that `plain` wrote; what is not said has its default.

    Parameters
    ----------
    kind : type
        A dataclass whose fields are plain values, times, or dataclasses of such.
    content : mapping
        What `plain` returned, or a part of it.
    where : str
        What an error calls it.

    Raises
    ------
    InvalidInput
        If there is a key that is not known, or a value that does not fit.

    Examples
    --------
    >>> from lnpbrian.learning import ReadoutOptions
    >>> from_plain(ReadoutOptions, plain(ReadoutOptions(sample_time=20 * ms))).sample_time
    20. * msecond
    """
    if not isinstance(content, Mapping):
        raise InvalidInput(f"{where or kind.__name__} must be a table of options, got {content!r}")
    kinds = get_type_hints(kind)
    recorded = [f.name for f in fields(kind) if f.metadata.get("recorded", True)]  # type: ignore[arg-type]
    known = {f"{name}_ms" if kinds[name] is Quantity else name: name for name in recorded}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise InvalidInput(f"{where or kind.__name__} has no option {key!r}; {hint}")
        name = known[key]
        inner = kinds[name]
        if inner is Quantity:
            values[name] = checks.real(key, value) * ms
        elif isinstance(inner, type) and is_dataclass(inner):
            values[name] = from_plain(inner, value, name)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def versions() -> dict[str, str]:
    """Return the versions of what results depend on: this package, Python, and packages that compute.

    Examples
    --------
    >>> sorted(versions())
    ['brian2', 'cython', 'lnpbrian', 'networkx', 'numpy', 'python', 'scipy']
    """
    packages = ("brian2", "numpy", "scipy", "networkx", "cython")
    found = {"lnpbrian": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def commit() -> str | None:
    """Return the commit of the checkout that this package runs from, as it was at the first call.

    Returns
    -------
    str or None
        Forty digits, and a "+" if files are changed that Git keeps. None of an installed package, or without Git.

    Examples
    --------
    >>> found = commit()
    >>> found is None or len(found.rstrip("+")) == 40
    True
    """
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    ask = ("git", "-C", root, "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+")
    try:
        return subprocess.run(ask, capture_output=True, text=True, timeout=30, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def is_record(path: str | os.PathLike[str], *entries: str) -> bool:
    """Return whether `path` is a JSON file with the version of this package that wrote it, and with these entries.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "run.json")
    ...     write_json(path, {"versions": versions(), "seed": 1})
    ...     print(is_record(path, "seed"), is_record(path, "options"))
    True False
    """
    try:
        content = files.read_json(path)
        return "lnpbrian" in content["versions"] and all(entry in content for entry in entries)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> None:
    """Write `content` to `path` as JSON (RFC 8259), whole or not at all, a list of plain values on one line.

    Numbers that JSON has no word for are written as "Infinity", "-Infinity" and "NaN", which `read_json` (and `float`)
    read.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder, "run.json"), {"rates": [1.0, 2.5]})
    ...     print(Path(folder, "run.json").read_text())
    {
      "rates": [1.0, 2.5]
    }
    <BLANKLINE>
    """
    text = json.dumps(_spelled(content), indent=2, allow_nan=False)
    text = re.sub(r"\[\s+([^\[\]{}\"]*?)\s+\]", lambda found: "[" + " ".join(found[1].split()) + "]", text)
    with files.replacing(path) as temporary:
        temporary.write_text(text + "\n")


def same(one: Any, other: Any) -> bool:
    """Whether two results hold the same values, arrays and NaN included.

    Of dataclasses the fields count that take part in comparisons.

    Examples
    --------
    >>> same({"rates": np.array([1.0, np.nan])}, {"rates": np.array([1.0, np.nan])}), same((1, 2), (1, 3))
    (True, False)
    """
    if is_dataclass(one) and not isinstance(one, type):
        names = [f.name for f in fields(one) if f.compare]
        return type(one) is type(other) and all(same(getattr(one, n), getattr(other, n)) for n in names)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (np.ndarray, float)) and isinstance(other, (np.ndarray, float)):
        numbers = np.asarray(one).dtype.kind in "fc" and np.asarray(other).dtype.kind in "fc"
        return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=numbers)
    return bool(one == other)


def as_html(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table for a notebook; the first entry of each row is what it is about.

    Examples
    --------
    >>> as_html("a < b", ["", "before"], [["neurons", 3]])
    '<table><caption>a &lt; b</caption><tr><th></th><th>before</th></tr><tr><th>neurons</th><td>3</td></tr></table>'
    """
    first = "".join(f"<th>{html.escape(entry)}</th>" for entry in head)
    lines = "".join(
        f"<tr><th>{html.escape(str(name))}</th>{''.join(f'<td>{html.escape(str(x))}</td>' for x in values)}</tr>"
        for name, *values in rows
    )
    return f"<table><caption>{html.escape(caption)}</caption><tr>{first}</tr>{lines}</table>"


def data_frame(content: Sequence[Mapping[str, Any]] | Mapping[str, Any], index: str) -> Any:
    """Return rows, or columns by name, as a pandas DataFrame; the column `index` is its index.

    Raises
    ------
    InvalidInput
        If pandas is not installed.

    Examples
    --------
    >>> from importlib.util import find_spec
    >>> content = {"neuron": [0, 1], "synapses": [30, 9]}
    >>> data_frame(content, "neuron").synapses.tolist() if find_spec("pandas") else [30, 9]
    [30, 9]
    """
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise InvalidInput("to_dataframe() needs pandas, which is not here: pip install pandas") from error
    return pandas.DataFrame(content).set_index(index)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return what `write_json` wrote to `path`.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no JSON.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder, "run.json"), {"error": math.inf, "rates": [1.0, math.nan]})
    ...     print(read_json(Path(folder, "run.json")))
    {'error': inf, 'rates': [1.0, nan]}
    """
    return _mapped(files.read_json(path), lambda one: WORDS.get(one, one) if isinstance(one, str) else one)


def _spelled(content: Any) -> Any:
    def word(one: Any) -> Any:
        if not isinstance(one, float) or math.isfinite(one):
            return one
        return "NaN" if math.isnan(one) else "Infinity" if one > 0 else "-Infinity"

    return _mapped(content, word)


def _mapped(content: Any, change: Callable[[Any], Any]) -> Any:
    """Return JSON values with every one that is no list or table changed."""
    if isinstance(content, Mapping):
        return {key: _mapped(item, change) for key, item in content.items()}
    return [_mapped(item, change) for item in content] if isinstance(content, (list, tuple)) else change(content)
