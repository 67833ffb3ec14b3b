"""What a page of HTML says, as plain text and tables: one file that loads nothing else.

How it looks is ``templates/report.html``.
"""

from __future__ import annotations

import base64
import io
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnpbrian import files
from lnpbrian.checks import InvalidInput

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = [
    "CITATION",
    "REPORT",
    "Figure",
    "Page",
    "Table",
    "Verdict",
    "caption_of",
    "cited",
    "duration",
    "embedded",
    "embedded_figures",
    "flattened",
    "provenance",
    "refuse_foreign_report",
    "render",
    "with_error",
    "write_page",
]

REPORT = "report.html"
# What a page says of itself, by which a later run knows that it may be replaced.
MARK = '<meta name="generator" content="lnpbrian">'
# Colours of an embedded figure: a third of its bytes, and no difference that one sees.
COLOURS = 256
PAPER = "Sparse Spiking Neural Network: Exploiting Heterogeneity in Timescales for Pruning Recurrent SNN"
CITATION = f"""\
@inproceedings{{chakraborty2024sparse,
  title     = {{{PAPER}}},
  author    = {{Chakraborty, Biswadeep and Kang, Beomseok and Kumar, Harshit and Mukhopadhyay, Saibal}},
  booktitle = {{International Conference on Learning Representations (ICLR 2024)}},
  year      = {{2024}},
  eprint    = {{2403.03409}},
  archivePrefix = {{arXiv}},
  url       = {{https://arxiv.org/abs/2403.03409}}
}}

@software{{lnpbrian,
  title   = {{lnpbrian: Lyapunov noise pruning of recurrent spiking networks in Brian2}},
  author  = {{{{The lnpbrian developers}}}},
  version = {{VERSION}}
}}"""
CAPTIONS = {
    "raster": "Spikes of the same neurons under the same noise, before (grey) and after pruning (red).",
    "exponents": "Lyapunov exponents of the single neurons. Dashed: the largest of the network, the band its standard "
    "error. The outermost per cent is in the end bins.",
    "time_constants": "Membrane time constants, of all neurons before, of the survivors as they are after pruning.",
    "degrees": "Synapses onto a neuron (in-degree) and from it (out-degree), before and after pruning.",
    "forecast": "Closed-loop forecasts of the window whose error after pruning is the median one, beside the truth and "
    "the network without synapses.",
    "convergence": "Running estimate of the largest exponent over the measured time, its standard error at its end: "
    "one that has converged stays within two of them.",
    "history": "What is left after each iteration, mean rate, largest Lyapunov exponent with its standard error, and "
    "spectral radius of the linear response.",
    "confusion": "Of a hundred test images of each class, how many are said to be of each class.",
    "examples": "Test images, with their class and what is said of them before / after pruning (red: wrong after).",
}


@dataclass(frozen=True)
class Table:
    """Rows of text under a head, lines of text `below` each row, and `links` to what its first cell names.

    Without a head it is a title and a note. Of numbers with errors, such as "6.2 ± 7.4", both parts are aligned.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    note: str = ""
    below: Sequence[Sequence[str]] = ()
    links: Sequence[str] = ()


@dataclass(frozen=True)
class Figure:
    """A picture as a data URI, its size in pixels, and what it shows."""

    name: str
    caption: str
    uri: str = field(repr=False)
    width: int
    height: int


@dataclass(frozen=True)
class Verdict:
    """What came out, in a word ("improved", "kept within errors", "lost", or another), and in sentences."""

    word: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """What a page says.

    Attributes
    ----------
    title, about : str
    verdict : Verdict
    key_numbers : tuple of (str, str)
        A number, and of what it is.
    warnings : tuple of str
    results, more : tuple of Table
        Before the figures, and behind them.
    figures : tuple of Figure
    options : tuple of Table
        The last of which is long.
    provenance : tuple of (str, str)
    command : str
        Repeats it; empty if that is not known.
    citation : str
    links : tuple of (str, str)
        To pages that belong to it: what they are, and where.
    """

    title: str
    about: str
    verdict: Verdict
    key_numbers: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    results: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    more: tuple[Table, ...] = ()
    options: tuple[Table, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    command: str = ""
    citation: str = CITATION
    links: tuple[tuple[str, str], ...] = ()


def write_page(page: Page, path: Path) -> None:
    """Write a page, whole or not at all."""
    # File names may hold bytes that no text can.
    raw = render(page).encode(errors="replace")
    with files.replacing(path) as temporary:
        temporary.write_bytes(raw)


def refuse_foreign_report(folder: Path) -> None:
    """Refuse to replace a ``report.html`` that this package did not write."""
    path = folder / REPORT
    if not os.path.lexists(path):
        return
    try:
        ours = MARK.encode() in files.read_bytes(path)[:1000]
    except OSError:
        ours = False
    if not ours:
        raise InvalidInput(f"{os.fspath(folder)!r} holds a {REPORT} that may be yours; rename it")


def render(page: Page) -> str:
    """Return a page as HTML; whatever stands in it is text, never markup.

    Examples
    --------
    >>> "a &lt; b" in render(Page("a < b", "", Verdict("kept", ())))
    True
    """
    return _template().render(page=page, mark=MARK)


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lnpbrian"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "columns": _columns,
        "number": _number,
        "tight": _tight,
        "tone": _tone,
        "lines": str.splitlines,
    }
    return environment.get_template(REPORT)


_NUMBER = r"(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?inf|nan)"
# A number, with an error or with quartiles behind it.
_VALUE = re.compile(rf"{_NUMBER}(?P<error> ± {_NUMBER}| \[{_NUMBER}, {_NUMBER}\])?|/ {_NUMBER}|{_NUMBER} ?%")
_EMPTY = ("", "-")


def _columns(table: Table) -> list[str]:
    """Return of each column whether it holds text, numbers, or numbers with errors.

    >>> _columns(Table(["", "a", "b", "c"], [["rate", "1", "1 ± 2", "3 [2, 4]"], ["none", "-", "", "3"]]))
    ['text', 'number', 'error', 'error']
    """
    kinds = []
    for k in range(len(table.head)):
        found = [_VALUE.fullmatch(row[k]) for row in table.rows if row[k] not in _EMPTY]
        if not found or not all(found):
            kinds.append("text")
        else:
            kinds.append("error" if any(one["error"] for one in found if one) else "number")
    return kinds


def _number(text: str) -> Any:
    """Return a number such as 2.1e+07 with its power of ten raised, other text as it is.

    >>> print(_number("2.1e-07"), _number("<b>"))
    2.1&middot;10<sup>-7</sup> <b>
    """
    from markupsafe import Markup

    found = re.fullmatch(r"([-+]?[\d.]+)e\+?(-?)0*(\d+)", text)
    return Markup("{}&middot;10<sup>{}{}</sup>").format(*found.groups()) if found else text


def _tight(text: str) -> str:
    """Return text in which numbers and what belongs to them stay on one line."""
    return re.sub(r" (± |%|1/s)", lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def _tone(text: str) -> str:
    """Return the class of what is good or bad, or long."""
    counted = re.fullmatch(r"(\d+) of (\d+) claims held", text)
    if text in ("held", "improved") or (counted and counted[1] == counted[2]):
        return "good"
    if text in ("not held", "lost", "not made") or (counted and counted[1] == "0"):
        return "bad"
    if text.startswith("held in ") or counted:
        return "part"
    return "long" if len(text) > 40 else ""


def with_error(value: float, error: float | None, shown: str) -> str:
    if error is None or not math.isfinite(error):
        return shown.format(value)
    return f"{shown.format(value)} ± {shown.format(error)}"


def embedded_figures(folder: Path, drawn: Mapping[str, Callable[..., Any]]) -> tuple[tuple[Figure, ...], list[str]]:
    """Return the figures that a run draws and that are there, and what is missing or damaged."""
    found = []
    for name, draw in drawn.items():
        found.append(embedded(folder / f"{name}.png", CAPTIONS.get(name) or caption_of(draw)))
    return tuple(one for one in found if isinstance(one, Figure)), [one for one in found if isinstance(one, str)]


def caption_of(draw: Callable[..., Any]) -> str:
    """Return what a function that draws says it draws.

    Examples
    --------
    >>> def draw():
    ...     '''Draw accuracy over operations.'''
    >>> caption_of(draw)
    'Accuracy over operations.'
    """
    said = " ".join((draw.__doc__ or "").strip().partition("\n\n")[0].removeprefix("Draw ").split())
    return said[:1].upper() + said[1:]


def embedded(path: Path, caption: str) -> Figure | str:
    """Return a figure in as few bytes as show it, or what is wrong with its file."""
    from PIL import Image, UnidentifiedImageError

    if not path.exists():
        return f"{path.name} is missing"
    try:
        with Image.open(io.BytesIO(files.read_bytes(path)), formats=("PNG",)) as picture:
            small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    except UnidentifiedImageError:  # which names an object in memory
        return f"{path.name} is damaged (it is no PNG)"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"{path.name} is damaged ({error})"
    raw = io.BytesIO()
    small.save(raw, "PNG", optimize=True)
    uri = f"data:image/png;base64,{base64.b64encode(raw.getvalue()).decode()}"
    return Figure(path.stem, caption, uri, *small.size)


def flattened(content: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Return nested options as names and values in words."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from flattened(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, _said(content)


def _said(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def provenance(content: Mapping[str, Any], seed: object = "") -> tuple[tuple[str, str], ...]:
    """Return with what a record was made: seed, versions, commit and how long it took."""
    versions = ", ".join(f"{name} {version}" for name, version in content.get("versions", {}).items())
    seconds = content.get("seconds") or {}
    took = ", ".join(f"{stage} {duration(value)}" for stage, value in seconds.items())
    commit = content.get("commit")
    if commit and commit.endswith("+"):
        commit = f"{commit[:-1]}, with changes that were not committed"
    return (
        *([] if seed == "" else [("seed" if isinstance(seed, int) else "seeds", str(seed))]),
        ("versions", versions or "not recorded"),
        ("commit", commit or "not known (not run from a checkout, or by an earlier version)"),
        *([("took", took)] if took else []),
    )


def duration(seconds: float, digits: int = 1) -> str:
    """Return a time as text, seconds to some digits.

    Examples
    --------
    >>> duration(42.0), duration(42.0, 0), duration(200.0), duration(6000.0)
    ('42.0 s', '42 s', '3 min', '1.7 h')
    """
    minutes = round(seconds / 60)
    return (
        f"{seconds:.{digits}f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"
    )


def cited(content: Mapping[str, Any]) -> str:
    """Return how to cite the method, and the software of the version that made a record."""
    return CITATION.replace("VERSION", content.get("versions", {}).get("lnpbrian", "not recorded"))
