"""Damage files, and hand them to what reads them: each is read as it was meant, or refused in one line.

Not a part of the suite: ``python tests/fuzz/files.py --count 2000 --seed 1`` damages that many files in turn: networks
(bits, lengths, entries of other types, sizes and shapes, headers, archives), series (separators, dates, numbers, rows,
encodings), and options of runs in JSON and TOML. It prints what came of them, and every
file that ended in a traceback, did not end, was taken although it cannot be what was written, or was lost. A short
part is ``tests/test_fuzz_files.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import BrianLogger, prefs
from harness import alarm, attempt

from lnpbrian import InvalidInput, NetworkSpec, cli
from lnpbrian.jobs import PruneJob
from lnpbrian.learning import read_series
from lnpbrian.models import HRSNN
from lnpbrian.records import plain


@dataclass(frozen=True)
class Outcome:
    """What came of a file: "read" or "refused", or what is wrong."""

    kind: str
    damage: str
    what: str
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether the file was neither read nor refused."""
        return self.what not in ("read", "refused")


# ---------------------------------------------------------------------------------------------------------------------
# Damage


def damaged_bytes(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """Return content with bits flipped, cut off, doubled, or bytes of another file in it."""
    what = draw.choice(["bits", "cut", "zeros", "insert", "double", "nothing", "empty"])
    data = bytearray(content)
    if what == "bits":
        for _ in range(draw.choice([1, 1, 2, 10])):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif what == "cut":
        del data[draw.randrange(len(data)) :]
    elif what == "zeros":
        at = draw.randrange(len(data))
        data[at : at + 50] = bytes(len(data[at : at + 50]))
    elif what == "insert":
        at = draw.randrange(len(data))
        data[at:at] = draw.randbytes(draw.choice([1, 8, 200]))
    elif what == "double":
        data = data * 2
    elif what == "nothing":
        data = bytearray(draw.randbytes(40))
    else:
        data.clear()
    return what, bytes(data)


def odd_array(array: np.ndarray, draw: random.Random) -> tuple[str, np.ndarray]:
    """Return an array that is not what the entry of a network may hold."""
    flat = array.astype(object).ravel()
    makers: dict[str, Callable[[], Any]] = {
        "NaN": lambda: _with(array.astype(float), np.nan, draw),
        "infinite": lambda: _with(array.astype(float), np.inf, draw),
        "complex": lambda: array.astype(complex) + 1j,
        "text": lambda: flat.astype(str),
        "dates": lambda: np.full(array.shape, np.datetime64("2020-01-01")),
        "durations": lambda: np.full(array.shape, np.timedelta64(1, "s")),
        "objects": lambda: np.array([{}], dtype=object),
        "fractions": lambda: _with(array.astype(float), 0.5, draw),
        "huge": lambda: _with(array.astype(float), 2.0**32 + 3, draw),
        "long": lambda: np.append(np.ravel(array), np.ravel(array)[:1] if array.size else 0),
        "square": lambda: np.zeros((3, 3), dtype=array.dtype if array.dtype.kind != "U" else float),
        "scalar": lambda: np.array(1.5),
        "none": lambda: np.zeros(0),
        "structured": lambda: np.zeros(2, dtype=[("a", float)]),
        "negative": lambda: -1 - abs(_numbers(array)),
    }
    what = draw.choice(list(makers))
    return what, makers[what]()


def _numbers(array: np.ndarray) -> np.ndarray:
    return np.ones(3) if array.dtype.kind not in "biuf" else array.astype(float)


def _with(array: np.ndarray, value: float, draw: random.Random) -> np.ndarray:
    array = np.atleast_1d(array).copy()
    if array.size:
        array.flat[draw.randrange(array.size)] = value
    return array


def network_file(path: Path, draw: random.Random) -> str:
    """Write a network with something wrong in it."""
    spec = HRSNN(20, 0.3, check_rate=False).spec
    spec.save(path)
    if draw.random() < 0.4:
        what, content = damaged_bytes(path.read_bytes(), draw)
        path.write_bytes(content)
        return what
    with np.load(path) as stored:
        arrays = dict(stored)
    name = draw.choice(list(arrays))
    how = draw.choice(["odd", "odd", "odd", "missing", "header", "not an array", "compressed"])
    if how == "odd":
        what, arrays[name] = (
            odd_array(arrays[name], draw) if arrays[name].dtype.kind != "U" else ("number", np.array(5.0))
        )
        np.savez(path, **arrays)
        return f"{name}: {what}"
    if how == "missing":
        del arrays[name]
        np.savez(path, **arrays)
        return f"{name} missing"
    method = zipfile.ZIP_LZMA if how == "compressed" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", method) as archive:
        for key, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, array)
            content = part.getvalue()
            if key == name and how == "header":
                shape = draw.choice(["(10**23,)", "(10000000000000,)", "(True,)", "(-1,)", "((((", "{", "(" * 300])
                text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
                content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
            if key == name and how == "not an array":
                content = draw.choice([b"", b"hello", bytes(100), content[:-3]])
            if key == name and how == "compressed":
                content = bytes(20_000_000)
            archive.writestr(f"{key}.npy", content)
    return f"{name}: {how}"


def series_file(path: Path, draw: random.Random) -> str:
    """Write prices with something wrong in them."""
    sep, decimal, encoding = ",", ".", "utf-8"
    header = ["Date", "Open", "Close", "Volume"]
    start = np.datetime64("2015-01-01")
    rows = [[str(start + k), f"{100 + k % 9:.2f}", f"{101 + k % 7:.2f}", str(1000 + k)] for k in range(60)]
    at = draw.randrange(len(rows))
    kinds = [
        "bytes",
        "price",
        "date",
        "ragged",
        "double name",
        "no close",
        "encoding",
        "ticker",
        "order",
        "few",
        "europe",
    ]
    what = draw.choice(kinds)
    if what == "price":
        odd = ["", "x", "nan", "inf", "1e309", "-5", "0", "1,5", "1e400", "\uff10", "None", "1_000"]
        rows[at][2] = value = draw.choice(odd)
        what = f"price {value!r}"
    elif what == "date":
        odd = ["", "x", "2015-13-01", "0000-01-01", "03/04/2015", "99999-01-01", "2015-02-30", rows[0][0], "NaT"]
        rows[at][0] = value = draw.choice(odd)
        what = f"date {value!r}"
    elif what == "ragged":
        rows[at] = rows[at][: draw.randrange(4)] if draw.random() < 0.5 else [*rows[at], "7"]
    elif what == "double name":
        header[1] = "Close"
    elif what == "no close":
        header[2] = "Klose"
    elif what == "ticker":
        header = ["Ticker", *header]
        rows = [["ABC" if k % 2 else "XYZ", *row] for k, row in enumerate(rows)]
    elif what == "order":
        draw.shuffle(rows)
    elif what == "few":
        rows = rows[: draw.randrange(4)]
    elif what == "europe":
        sep, decimal = ";", ","
        rows = [[f"{r[0][8:]}.{r[0][5:7]}.{r[0][:4]}", *(v.replace(".", decimal) for v in r[1:])] for r in rows]
    text = "\n".join(sep.join(row) for row in [header, *rows]) + "\n"
    if what == "encoding":
        encoding = draw.choice(["utf-16", "utf-32", "utf-8-sig", "latin-1"])
        text = text.replace("Open", "Öffnung")
        what = f"encoding {encoding}"
    content = text.encode(encoding)
    if what == "bytes":
        what, content = damaged_bytes(content, draw)
    path.write_bytes(content)
    return what


def options_file(path: Path, draw: random.Random) -> str:
    """Write options of a run with something wrong in them."""
    record: Any = plain(PruneJob(neurons=30, windows=1))
    odd: list[Any] = [None, True, -1, 0, 1e308, "x", "", [], {}, [1, 2], 2**70, "[/b]", {"a": 1}, [None]]
    what = draw.choice(["bytes", "value", "key", "deep", "double", "other"])
    place, name = record, draw.choice(list(record))
    if isinstance(record[name], dict) and record[name] and draw.random() < 0.8:
        place = record[name]
        name = draw.choice(list(place))
    if what == "value":
        place[name] = value = draw.choice(odd)
        what = f"{name} = {value!r}"
    elif what == "key":
        place[draw.choice(["neuron", "", "steps ", "__class__"])] = place.pop(name)
    elif what == "other":
        record = draw.choice([[], 5, "x", None, {"options": 3}, {"options": {"command": []}}])
    text = json.dumps(record)
    if what == "deep":
        text = draw.choice(["[" * 100_000, '{"a":' * 50_000])
    elif what == "double":
        text = '{"neurons": 5, ' + text[1:]
    content = text.encode()
    if what == "bytes":
        what, content = damaged_bytes(content, draw)
    path.write_bytes(content)
    return what


# ---------------------------------------------------------------------------------------------------------------------
# Readers


def read_network(path: Path) -> str:
    """Read a network; say what is wrong with one that was taken."""
    spec = NetworkSpec.load(path)
    n, s = spec.n_neurons, spec.n_synapses
    arrays = {
        name: np.asarray(getattr(spec, name)) for name in ("time_constants", "bias", "weights", "pre", "post", "alive")
    }
    sizes = {"time_constants": n, "bias": n, "weights": s, "pre": s, "post": s, "alive": n}
    wrong = [name for name, size in sizes.items() if arrays[name].shape != (size,)]
    wrong += [name for name in ("time_constants", "bias", "weights") if not np.isfinite(arrays[name]).all()]
    wrong += [name for name in ("pre", "post") if ((arrays[name] < 0) | (arrays[name] >= n)).any()]
    wrong += ["alive"] if arrays["alive"].dtype != bool else []
    wrong += ["time_constants"] if not (arrays["time_constants"] > 0).all() else []
    return ", ".join(wrong)


def read_prices(path: Path) -> str:
    """Read a series; say what is wrong with one that was taken."""
    series = read_series(path)
    return "" if np.isfinite(series.values).all() and len(series.values) >= 3 else "values"


def command(*arguments: str) -> str:
    """Run a command line; raise what it must not do."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main([*arguments])
    except SystemExit as end:
        lines = err.getvalue().strip().splitlines()
        if end.code == 0:
            return ""
        if end.code == 2 and len(lines) == 1:
            raise InvalidInput(lines[0]) from None
        return f"exit {end.code} with {len(lines)} lines"
    return ""


def read_options(path: Path) -> str:
    """Start a run from options that it cannot begin, since its folder is a file: they are read first."""
    blocked = path.parent / "blocked"
    blocked.write_text("")
    said = command("prune", "--config", str(path), "--out", str(blocked))
    return said if said else "a run began"


def info(path: Path) -> str:
    """Describe a network on the command line."""
    return command("info", str(path))


KINDS: dict[str, tuple[str, Callable[[Path, random.Random], str], Callable[[Path], str]]] = {
    "network": ("network.npz", network_file, read_network),
    "info": ("network.npz", network_file, info),
    "series": ("series.csv", series_file, read_prices),
    "options": ("run.json", options_file, read_options),
}


def outcome(kind: str, draw: random.Random, folder: Path) -> Outcome:
    """Return what comes of one damaged file."""
    name, write, read = KINDS[kind]
    path = folder / name
    damage = write(path, draw)
    content = path.read_bytes()
    what, detail = attempt(lambda: read(path))
    if what == "done":
        what = "taken" if detail else "read"
    if not path.exists() or path.read_bytes() != content:
        return Outcome(kind, damage, "lost")
    return Outcome(kind, damage, what, detail)


def tried(count: int, seed: int, only: str = "") -> Iterator[Outcome]:
    """Damage files of all kinds in turn."""
    warnings.simplefilter("ignore")
    BrianLogger.suppress_hierarchy("lnpbrian")
    prefs.codegen.target = "numpy"

    draw = random.Random(seed)
    kinds = [kind for kind in KINDS if only in kind]
    folder = Path(tempfile.mkdtemp())
    try:
        with alarm():
            for number in range(count):
                yield outcome(kinds[number % len(kinds)], draw, folder)
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Print what came of the files, and return 1 if there are faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a kind of file")
    parser.add_argument("--refused", action="store_true", help="print what was refused, and why")
    chosen = parser.parse_args()
    os.chdir(tempfile.mkdtemp())
    found: Counter[str] = Counter()
    for one in tried(chosen.count, chosen.seed, chosen.only):
        found[one.what] += 1
        if one.is_fault or (chosen.refused and one.what == "refused"):
            print(f"{one.what}: {one.kind}, {one.damage}: {one.detail}", flush=True)
    print(dict(found))
    return int(any(what not in ("read", "refused") for what in found))


if __name__ == "__main__":
    sys.exit(main())
