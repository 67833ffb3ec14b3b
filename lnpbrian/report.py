"""Pages of HTML about runs and sweeps: one file each, made of what lies in their folder, that loads nothing else.

What a page says is a `Page`, plain text and tables; how it looks is ``templates/report.html``.
"""

from __future__ import annotations

import base64
import io
import math
import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import Quantity

from lnpbrian import files
from lnpbrian.checks import InvalidInput
from lnpbrian.jobs import NETWORK, RECORD, PruneJob
from lnpbrian.learning.vision.classification import accuracy_difference
from lnpbrian.lyapunov.stability import SPECTRUM
from lnpbrian.network.graph import graph_statistics
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.options import Options, kind_of
from lnpbrian.records import plain, read_json
from lnpbrian.resnets import ResNetJob

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
    "claims_verdict",
    "command_line",
    "duration",
    "provenance",
    "refuse_foreign_report",
    "render",
    "resnet_table",
    "run_page",
    "spectrum_table",
    "state_table",
    "sweep_page",
    "write_page",
    "write_report",
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


def write_report(folder: str | os.PathLike[str]) -> Page:
    """Write ``report.html`` of the finished run in `folder`, from its files alone.

    Parameters
    ----------
    folder : path-like
        With the ``run.json`` of ``lnpbrian prune`` or ``lnpbrian resnet``, or the ``spectrum.json`` of ``lnpbrian
        spectrum``. Of figures or a network that are not there
        the page says so.

    Returns
    -------
    Page
        What it says.

    Raises
    ------
    InvalidInput
        If there is no such run, its record is damaged, or there is a ``report.html`` that is not of this package.
    """
    directory = Path(folder)
    page = run_page(directory)
    refuse_foreign_report(directory)
    write_page(page, directory / REPORT)
    return page


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


# ---------------------------------------------------------------------------------------------------------------- cells

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


def _with_error(value: float, error: float | None, shown: str) -> str:
    if error is None or not math.isfinite(error):
        return shown.format(value)
    return f"{shown.format(value)} ± {shown.format(error)}"


# ------------------------------------------------------------------------------------------------------- before | after

# Name in the record, what it is with its unit, how it is written, the error, and whether a ratio makes sense.
Row = tuple[str, str, str, Callable[[Mapping[str, Any]], float | None] | None]


def _of_windows(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    def error(state: Mapping[str, Any]) -> float | None:
        values = state[name]
        if len(values) < 2 or not np.isfinite(values).all():
            return None
        return float(np.std(values, ddof=1) / np.sqrt(len(values)))

    return error


def _of_name(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda state: state.get(name)


def _is_images(content: Mapping[str, Any]) -> bool:
    return "accuracy" in content["before"]


def state_table(content: Mapping[str, Any]) -> Table:
    """Return what a run found before and after, the ratio, and without synapses; errors are standard errors.

    Parameters
    ----------
    content : mapping
        What ``run.json`` holds.
    """
    task = content["options"]["task"]
    rows: list[Row] = [
        ("neurons", "neurons", "{:d}", None),
        ("synapses", "synapses", "{:d}", None),
        ("mean_rate_hz", "mean rate under noise (Hz)", "{:.1f}", None),
        ("task_rate_hz", "mean rate in the task (Hz)", "{:.1f}", None),
        (
            "largest_exponent_per_s",
            "largest exponent (1/s)",
            "{:.1f}",
            _of_name("largest_exponent_standard_error_per_s"),
        ),
        ("spectral_radius", "spectral radius of the response", "{:.2f}", None),
    ]
    if _is_images(content):
        rows += [
            ("synaptic_operations", "synaptic operations an image", "{:.3g}", None),
            ("synaptic_operations_with_readout", "with the readout", "{:.3g}", None),
            ("energy_joules", "energy an image (J)", "{:.2g}", None),
            ("energy_with_readout_joules", "with the readout (J)", "{:.2g}", None),
            ("energy_with_memory_joules", "with memory traffic too (J)", "{:.2g}", None),
            ("readout_neurons", "neurons read", "{:d}", None),
            ("accuracy", f"accuracy on {task['test_images']} images", "{:.3f}", _of_name("accuracy_standard_error")),
        ]
    else:
        rows[2:2] = [
            ("synaptic_operations", "synaptic operations", "{:.3g}", None),
            ("with_readout", "with the readout", "{:.3g}", None),
        ]
        rows += [
            ("nrmse", f"NRMSE, mean of {task['windows']} windows", "{:.3f}", _of_windows("nrmse_windows")),
            ("nrmse_median", "NRMSE, median", "{:.3f}", None),
            ("vpt_steps", "VPT (steps), mean", "{:.1f}", _of_windows("vpt_windows")),
        ]
    states = [_with_readout(content.get(name, {})) for name in ("before", "after", "uncoupled")]
    made = []
    for key, label, shown, error in rows:
        values = [
            "" if state.get(key) is None else _with_error(state[key], None if error is None else error(state), shown)
            for state in states
        ]
        made.append([label, *values[:2], "" if "exponent" in key else _ratio(states[0], states[1], key), values[2]])
    return Table(["", "before", "after", "ratio", "uncoupled"], made)


def _with_readout(state: Mapping[str, Any]) -> dict[str, Any]:
    total = state.get("synaptic_operations"), state.get("readout_operations")
    return {**state} if None in total else {**state, "with_readout": sum(total)}


def _ratio(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> str:
    one, two = before.get(key), after.get(key)
    return f"{one / two:.2f}" if one and two and one > 0 and two > 0 else ""


def resnet_table(content: Mapping[str, Any]) -> Table:
    """Return what a ResNet scores and costs, dense and pruned, and the ratio; errors are standard errors."""
    before, after = content["dense"], content["pruned"]
    rows = []
    for key, label, shown in (
        ("weights", "weights between neurons", "{:d}"),
        ("synaptic_operations", "synaptic operations an image", "{:.4g}"),
        ("spikes", "spikes an image", "{:.4g}"),
        ("stem_macs", "multiplications of the first layer", "{:.4g}"),
        ("head_macs", "multiplications of the readout", "{:.4g}"),
    ):
        rows.append([label, shown.format(before[key]), shown.format(after[key]), _ratio(before, after, key)])
    for key in ("channels", "neurons", "weights"):
        rows.append([f"{key} removed (%)", *(f"{100 * of['sparsity'][key]:.2f}" for of in (before, after)), ""])
    accuracy = [f"{100 * of['accuracy']:.1f} ± {100 * of['standard_error']:.1f}" for of in (before, after)]
    return Table(["", "dense", "pruned", "ratio"], [*rows, ["test images right (%)", *accuracy, ""]])


# -------------------------------------------------------------------------------------------------------------- verdict


@dataclass(frozen=True)
class _Difference:
    """After minus before with its standard error, whether less is better, and why there is no number."""

    value: float
    error: float
    samples: int
    less_is_better: bool
    why: str = ""

    @property
    def reach(self) -> float:
        """Half the width of the 95 % interval, by Student's t."""
        from scipy.stats import t

        return float(t.ppf(0.975, self.samples - 1)) * self.error

    @property
    def word(self) -> str:
        if math.isnan(self.value) or (self.samples < 2 and math.isfinite(self.value)):
            return "not decided"
        if math.isfinite(self.value) and abs(self.value) <= self.reach:
            return "kept within errors"
        return "improved" if (self.value < 0) == self.less_is_better else "lost"


def _paired(before: Sequence[float], after: Sequence[float]) -> _Difference:
    """Return the difference of errors of the same windows; where forecasts diverge, their number decides."""
    n = len(before)
    diverged = [int(np.isinf(errors).sum()) for errors in (before, after)]
    if any(diverged):
        value = math.nan if diverged[0] == diverged[1] else math.copysign(math.inf, diverged[1] - diverged[0])
        why = f"forecasts diverged in {diverged[0]} of {n} windows before, in {diverged[1]} after"
        return _Difference(value, math.nan, n, less_is_better=True, why=why)
    if n < 2:
        why = "one window has no error, so whether that is a change cannot be said"
        return _Difference(after[0] - before[0], math.nan, n, less_is_better=True, why=why)
    d = np.subtract(after, before)
    return _Difference(float(d.mean()), float(d.std(ddof=1) / np.sqrt(n)), n, less_is_better=True)


def _accuracies(before: Mapping[str, Any], after: Mapping[str, Any], images: int) -> tuple[_Difference, bool]:
    """Return the difference of two accuracies in per cent, and whether it is that of the single images."""
    error = "accuracy_standard_error" if "accuracy_standard_error" in before else "standard_error"
    answers = [np.array([c == "1" for c in state.get("correct", "")]) for state in (after, before)]
    if answers[0].size == answers[1].size > 0:
        value, of_it = accuracy_difference(*answers)
        return _Difference(100 * value, 100 * of_it, images, less_is_better=False), True
    value, of_it = after["accuracy"] - before["accuracy"], math.hypot(after[error], before[error])
    return _Difference(100 * value, 100 * of_it, images, less_is_better=False), False


def _interval(found: _Difference, shown: str, unit: str = "") -> str:
    if found.why:
        return found.why
    low, high = found.value - found.reach, found.value + found.reach
    text = f"difference {shown} ± {shown}, 95 % interval {shown} to {shown}{unit}"
    return text.format(found.value, found.error, low, high)


def _fewer(before: float, after: float) -> str:
    """Return how many times fewer something is, in words.

    >>> _fewer(100, 5), _fewer(5, 10), _fewer(5, 0)
    ('20.0 times fewer', '2.0 times more', 'no')
    """
    if after == 0:
        return "as few" if before == 0 else "no"
    ratio = before / after
    if abs(ratio - 1) < 0.005:
        return "as many"
    return f"{ratio:.1f} times fewer" if ratio > 1 else f"{1 / ratio:.1f} times more"


def _score(state: Mapping[str, Any]) -> str:
    """Return the accuracy in per cent or the mean NRMSE, with the standard error."""
    if "accuracy" in state:
        error = state.get("accuracy_standard_error", state.get("standard_error"))
        return f"{100 * state['accuracy']:.1f} ± {100 * error:.1f} %"
    return _with_error(state["nrmse"], _of_windows("nrmse_windows")(state), "{:.3f}")


def _compared(before: Mapping[str, Any], after: Mapping[str, Any], task: Mapping[str, Any]) -> tuple[_Difference, str]:
    """Return what is between two states of a run, and in words."""
    if "accuracy" not in before:
        found = _paired(before["nrmse_windows"], after["nrmse_windows"])
        return found, _interval(found, "{:.3f}")
    found, paired = _accuracies(before, after, task["test_images"])
    how = "image by image" if paired else "errors added in quadrature, which of the same images is too much"
    return found, f"{_interval(found, '{:.1f}', ' percentage points')}; {how}"


def _run_verdict(content: Mapping[str, Any]) -> Verdict:
    before, after, task = content["before"], content["after"], content["options"]["task"]
    operations = f"{_fewer(before['synaptic_operations'], after['synaptic_operations'])} synaptic operations"
    whole = [_with_readout(state).get("with_readout") for state in (before, after)]
    if None not in whole:
        operations += f" ({_fewer(*whole)} with those of the readout)"  # type: ignore[arg-type]
    found, difference = _compared(before, after, task)
    if _is_images(content):
        said = f"Of {task['test_images']} test images of {task['name']}, {_score(after)} are right after pruning, "
        said += f"{_score(before)} were before"
    else:
        said = f"The NRMSE of {task['windows']} forecast windows of {task['name']} is {_score(after)} after pruning, "
        said += f"and was {_score(before)} before"
    sentences = [f"{said} ({difference}), at {operations}.", _stability(before, after)]
    if none := content.get("uncoupled"):
        control, _ = _compared(none, after, task)
        sentences.insert(1, f"Without any synapse it would be {_score(none)}{_CONTROL[control.word]}")
    return Verdict(found.word, tuple(sentences))


# What it means where the network after pruning is better than without synapses, worse, or neither.
_CONTROL = {
    "improved": ": the synapses that are left are worth having.",
    "lost": ", which is better: this run does not show what synapses are good for.",
    "kept within errors": ", the same within errors: this run does not show what synapses are good for.",
    "not decided": ".",
}


def _stability(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return a sentence about the largest exponents, each beside zero."""

    def found(state: Mapping[str, Any]) -> tuple[str, str]:
        value, error = state["largest_exponent_per_s"], state["largest_exponent_standard_error_per_s"]
        return f"{_with_error(value, error, '{:.1f}')} 1/s", _side(value, error)

    (one, was), (two, now) = found(before), found(after)
    sides = f"both {now}" if was == now else f"{was} before, {now} after"
    return f"The largest Lyapunov exponent is {two} after pruning and was {one} before ({sides})."


def _side(value: float, error: float) -> str:
    decided = math.isfinite(error) and abs(value) > 2 * error
    return ("above zero" if value > 0 else "below zero") if decided else "zero within two standard errors"


def _resnet_verdict(content: Mapping[str, Any]) -> Verdict:
    before, after = content["dense"], content["pruned"]
    images = len(before["correct"])
    found, difference = _compared(before, after, {"test_images": images})
    said = (
        f"Of {images} test images of {content['task']}, the pruned network has {_score(after)} right, the dense one "
        f"{_score(before)} ({difference}), at "
        f"{_fewer(before['synaptic_operations'], after['synaptic_operations'])} synaptic operations an image and "
        f"{_fewer(before['weights'], after['weights'])} weights."
    )
    return Verdict(found.word, (said,))


def claims_verdict(claims: Sequence[Mapping[str, Any]]) -> Verdict:
    """Return how many of some claims held.

    Examples
    --------
    >>> claims_verdict([{"verdict": "held"}, {"verdict": "untested"}])
    Verdict(word='1 of 1 claims held', sentences=('Of 1 claims that were tested, ... 1 could not be tested.',))
    """
    if not claims:
        return Verdict("measured", ("No claim is tested here; what was found stands in the tables.",))
    tested = [c for c in claims if c["verdict"] not in ("not tested", "untested")]
    held = sum(c["verdict"] == "held" for c in tested)
    lost = sum(c["verdict"] == "not held" for c in tested)
    rest = len(claims) - len(tested)
    if not tested:
        return Verdict("not tested", (f"{rest} claims could not be tested.",))
    said = f"Of {len(tested)} claims that were tested, {held} held, {len(tested) - held - lost} in part, {lost} not."
    return Verdict(f"{held} of {len(tested)} claims held", (said + (f" {rest} could not be tested." if rest else ""),))


# ----------------------------------------------------------------------------------------------------------------- runs


def run_page(folder: Path) -> Page:
    """Return what the page of a finished run says; see `write_report`."""
    path = next((folder / name for name in (RECORD, SPECTRUM) if (folder / name).exists()), None)
    if path is None:
        raise InvalidInput(f"{os.fspath(folder)!r} holds no finished run (no {RECORD}, no {SPECTRUM})")
    try:
        content = read_json(path)
        if "lnpbrian" not in content["versions"]:
            raise KeyError("lnpbrian")
        if path.name == SPECTRUM:
            return _spectrum_page(folder, content)
        return _resnet_page(folder, content) if "resnet" in content else _prune_page(folder, content)
    except InvalidInput:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise InvalidInput(f"{os.fspath(path)!r} is no whole record of a run ({error!r})") from error


def _prune_page(folder: Path, content: Mapping[str, Any]) -> Page:
    options, after = content["options"], content["after"]
    task, before = options["task"], content["before"]
    # Matplotlib is slow to load.
    from lnpbrian import figures

    drawn, missing = _figures(folder, figures.IMAGE_FIGURES if _is_images(content) else figures.FIGURES)
    graphs, no_network = _graph_table(folder, content)
    command, why_not = _run_command(content)
    removed = [f"{100 * content['ratios'][f'{kind}_sparsity']:.1f} %" for kind in ("synapse", "neuron")]
    ratio = _ratio(before, after, "synaptic_operations")
    last = content["history"][-1]["iteration"]
    left = content.get("iteration", last)
    ended = content.get("status", "")
    warnings = [
        *([ended] if ended and not ended.startswith("all") else []),
        *([] if left == last else [f"the network is that of iteration {left} of {last}: it was rolled back"]),
        *([content["warning"]] if content.get("warning") else []),
        *missing,
        *no_network,
        *why_not,
    ]
    return Page(
        title=f"{options['model']} of {options['neurons']} neurons, pruned: {task['name']}",
        about=_about_images(task) if _is_images(content) else _about_series(task),
        verdict=_run_verdict(content),
        key_numbers=(
            *([(f"{float(ratio):.3g} times", "fewer synaptic operations")] if ratio and float(ratio) >= 1 else []),
            (removed[0], f"of the synapses removed, {after['synapses']} left"),
            (removed[1], f"of the neurons removed, {after['neurons']} left"),
        ),
        warnings=tuple(warnings),
        results=(replace(_spoken(state_table(content)), title="Before and after", note=_note(content)),),
        figures=drawn,
        more=(_history_table(content), *graphs),
        options=_option_tables(options.get("command"), _usual_runs()[()]),
        provenance=(
            *provenance(content, content["seed"]),
            *([("data", "; ".join(task["notes"]))] if task.get("notes") else []),
        ),
        command=command,
        citation=cited(content),
    )


def _spoken(table: Table) -> Table:
    return replace(table, head=["", *table.head[1:4], "without synapses"])


def _note(content: Mapping[str, Any]) -> str:
    said = "± is one standard error. Ratio: before over after. "
    if _is_images(content):
        return said + "Energy is an estimate from operations, not a measurement."
    return said + (
        "NRMSE: root mean square error over the standard deviation of the series, at 1 as large as that of its mean; "
        f"VPT: steps until this error exceeds 0.1; {_steps(content['options']['task'])}"
    )


def _steps(task: Mapping[str, Any]) -> str:
    known = task.get("lyapunov_time_steps")
    return f"a Lyapunov time of the series is {known:.1f} steps." if known else "the series has no known Lyapunov time."


def _about_series(task: Mapping[str, Any]) -> str:
    return (
        f"Forecast of {task['name']} in closed loop: {task['windows']} windows of {task['horizon']} steps, each after "
        f"{task['train']} steps that train the readout and {task['warm_up']} of warm-up. The network was pruned "
        "without a look at the series."
    )


def _about_images(task: Mapping[str, Any]) -> str:
    return (
        f"Classification of {task['name']}: {task['train_images']} images train the readout, {task['test_images']} "
        f"test it, {len(task['classes'])} classes. The network was pruned without a look at the images."
    )


def _history_table(content: Mapping[str, Any]) -> Table:
    rows = []
    for r in content["history"]:
        exponent = r["largest_exponent_per_s"], r["largest_exponent_standard_error_per_s"]
        radius = r.get("spectral_radius")
        rows.append(
            [
                str(r["iteration"]),
                str(r["neurons"]),
                str(r["synapses"]),
                f"{r['mean_rate_hz']:.1f}",
                _with_error(*exponent, "{:.1f}"),
                "" if radius is None else f"{radius:.2f}",
                "yes" if r["stable"] else "no",
                f"{sum(r.get('seconds', {}).values()):.1f}",
            ]
        )
    head = [
        *("iteration", "neurons", "synapses", "mean rate (Hz)", "largest exponent (1/s)", "spectral radius"),
        *("stable", "took (s)"),
    ]
    note = "Iteration 0 is the network as it came; below each other one stands what each step said. Stable: rate and "
    note += "largest exponent are within the bounds of the options. ± is one standard error."
    said = [r["status"] for r in content["history"]]
    return Table(head, rows, title="Iterations", note=note, below=said)


# Name in `graph_statistics`, what it is, and how it is written.
_GRAPH = (
    ("neurons", "neurons", "{:.0f}"),
    ("excitatory_neurons", "of them excitatory", "{:.0f}"),
    ("synapses", "synapses", "{:.0f}"),
    ("density", "density", "{:.4f}"),
    ("in_degree_mean", "in-degree, mean", "{:.2f}"),
    ("in_degree_sd", "in-degree, standard deviation", "{:.2f}"),
    ("in_degree_max", "in-degree, largest", "{:.0f}"),
    ("out_degree_mean", "out-degree, mean", "{:.2f}"),
    ("out_degree_sd", "out-degree, standard deviation", "{:.2f}"),
    ("out_degree_max", "out-degree, largest", "{:.0f}"),
    ("neurons_without_synapse", "neurons without any synapse", "{:.0f}"),
    ("strong_components", "strongly connected components", "{:.0f}"),
    ("largest_strong_component", "neurons of the largest of them", "{:.0f}"),
    ("weak_components", "weakly connected components", "{:.0f}"),
    ("largest_weak_component", "neurons of the largest of them", "{:.0f}"),
    ("reciprocity", "reciprocity", "{:.4f}"),
)


def _graph_table(folder: Path, content: Mapping[str, Any]) -> tuple[list[Table], list[str]]:
    """Return the statistics of the graph before and after, and what is missing for it."""
    kept, missing = content.get("graph", {}), []
    before, after = kept.get("before"), kept.get("after")
    try:
        spec = NetworkSpec.load(folder / NETWORK)
        known = content["after"]["neurons"], content["after"]["synapses"]
        if (spec.n_alive, spec.n_synapses) == known:
            after = graph_statistics(spec)
        else:
            missing.append(
                f"{NETWORK} has {spec.n_alive} neurons and {spec.n_synapses} synapses, and the run left {known[0]} and "
                f"{known[1]}: it is of another run"
            )
    except InvalidInput as error:
        gone = not (folder / NETWORK).exists()
        missing.append(f"{NETWORK} is missing: no network to go on with" if gone else str(error))
    if after is None:
        return [], missing
    states = [state for state in (before, after) if state is not None]
    rows = [[label, *(shown.format(state[key]) for state in states)] for key, label, shown in _GRAPH]
    note = "Of the neurons that are alive. In a random graph the expected reciprocity is the density."
    if before is None:
        note += " The run kept no statistics of the network before pruning."
    head = ["", "before", "after"] if before is not None else ["", "after"]
    return [Table(head, rows, title="The graph", note=note)], missing


def _resnet_page(folder: Path, content: Mapping[str, Any]) -> Page:
    before, after = content["dense"], content["pruned"]
    told = content.get("pruning", {})
    layers = [
        [
            name,
            f"{value:.4g}",
            f"{after['operations_by_connection'][name]:.4g}" if name in after["operations_by_connection"] else "",
        ]
        for name, value in before["operations_by_connection"].items()
    ]
    said = [
        [
            str(one["iteration"]),
            "\n".join(f"{key}: {_words(value)}" for key, value in one.items() if key != "iteration"),
        ]
        for one in told.get("history", [])
    ]
    options = content["resnet"]
    gone = [] if (folder / NETWORK).exists() else [f"{NETWORK} is missing: no network to go on with"]
    command, why_not = _run_command(content)
    ratio = _ratio(before, after, "synaptic_operations")
    return Page(
        title=f"Spiking {options['layout']}, pruned by {options['method']}: {content['task']}",
        about=f"A dense network and a pruned one are trained on the images of {content['task']} and tested on "
        f"{len(before['correct'])} others. Pruning has seen: {told.get('seen', 'not recorded')}.",
        verdict=_resnet_verdict(content),
        key_numbers=(
            *(
                [(f"{float(ratio):.3g} times", "fewer synaptic operations an image")]
                if ratio and float(ratio) >= 1
                else []
            ),
            (f"{100 * after['sparsity']['weights']:.1f} %", f"of the weights removed, {after['weights']} left"),
            (f"{100 * after['sparsity']['channels']:.1f} %", "of the channels removed"),
        ),
        warnings=(*gone, *why_not),
        results=(
            replace(resnet_table(content), title="Dense and pruned", note="± is one standard error, over test images."),
        ),
        more=(
            *([Table(["iteration", "what each step said"], said, title="Iterations")] if said else []),
            Table(["connection", "dense", "pruned"], layers, title="Synaptic operations an image, by connection"),
        ),
        options=_option_tables(options, ResNetJob()),
        provenance=provenance(content, options["seed"]),
        command=command,
        citation=cited(content),
    )


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_words(one)}" for key, one in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# -------------------------------------------------------------------------------------------------------------- spectra


def spectrum_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """Return what was measured of the stability of networks; errors are standard errors."""

    def shown(value: float | None, error: float | None = None) -> str:
        return "-" if value is None else _with_error(value, error, "{:.1f}")

    head = ("network", "rate (Hz)", "largest (1/s)", "by twins", "mean", "dimension", "entropy rate")
    rows = [
        [
            r["name"],
            shown(r["mean_rate_hz"]),
            shown(*_first(r)),
            shown(*_twins(r)),
            shown(None if r["sum_per_s"] is None else r["sum_per_s"] / r["dimension"]),
            shown(r["kaplan_yorke_dimension"]),
            shown(r["entropy_rate_per_s"]),
        ]
        for r in records
    ]
    return Table(head, rows, below=[r["status"].split("; ") for r in records])


def _spectrum_page(folder: Path, content: Mapping[str, Any]) -> Page:
    # Matplotlib is slow to load.
    from lnpbrian import figures

    records = content["networks"]
    first, options = records[0], records[0]["options"]
    drawn, missing = _figures(folder, figures.SPECTRUM_FIGURES)
    command, why_not = _spectrum_command(content)
    stages = {stage: sum(r["seconds"][stage] for r in records) for stage in first["seconds"]}
    several = f"{len(records)} networks" if len(records) > 1 else ""
    wanted = len((content.get("command") or {}).get("networks") or records)
    stopped = f"{len(records)} of {wanted} networks were measured: the run was interrupted"
    inputs = "" if options["inputs"] == 1 else f", averaged over {options['inputs']} inputs"
    table = spectrum_table(records)
    return Page(
        title=f"Lyapunov spectra of {several}" if several else f"Lyapunov spectrum of {first['name']}",
        about=f"Measured over {options['duration_ms']:g} ms under noise{inputs}, after {options['transient_ms']:g} ms "
        f"in which networks settle; {options['n_exponents']} exponents, the largest first.",
        verdict=Verdict(
            "measured" if several else f"largest exponent: {_largest(first)[0]}",
            tuple(f"{r['name']}: {_stability_of(r)}" if several else _stability_of(r) for r in records),
        ),
        key_numbers=() if several else _spectrum_keys(first),
        warnings=(
            *(f"{r['name']}: {doubt}" for r in records for doubt in _doubts(r)),
            *([stopped] if len(records) < wanted else []),
            *missing,
            *why_not,
        ),
        results=(replace(table, title="What was measured", note=_SPECTRUM_NOTE),),
        figures=drawn,
        options=(Table(["option", "value"], [list(pair) for pair in _flat(options)], title="All options"),),
        provenance=provenance({**content, "seconds": stages}, options["seed"]),
        command=command,
        citation=cited(content),
    )


_SPECTRUM_NOTE = (
    "Exponents and the entropy rate are in 1/s, ± is one standard error. Mean: of all exponents, if all were measured; "
    "dimension: that of Kaplan and Yorke. Below each network stands what is to be known of its estimate."
)


def _spectrum_keys(record: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    dimension, value, error = record["kaplan_yorke_dimension"], *_first(record)
    return (
        *([] if value is None else [(_with_error(value, error, "{:.1f}"), "1/s, the largest exponent")]),
        *([] if dimension is None else [(f"{dimension:.1f}", f"of {record['dimension']}, Kaplan-Yorke dimension")]),
        (f"{record['mean_rate_hz']:.1f} Hz", f"mean rate of {record['neurons']} neurons"),
    )


def _first(record: Mapping[str, Any]) -> tuple[float | None, float | None]:
    return record["exponents_per_s"][0], record["standard_errors_per_s"][0]


def _largest(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return on which side of zero the largest exponent of a network is, and what it is."""
    value, error = _first(record)
    if value is None:
        return "lost", "lost"
    return _side(value, math.inf if error is None else error), f"{_with_error(value, error, '{:.1f}')} 1/s"


def _stability_of(record: Mapping[str, Any]) -> str:
    """Return what was found of a network, and whether it has converged, in sentences."""
    (side, largest), dimension, twins = _largest(record), record["kaplan_yorke_dimension"], _twins(record)
    known = "needs more exponents" if dimension is None else f"is {dimension:.1f} of {record['dimension']}"
    by_twins = "" if twins[0] is None else f", by twins {_with_error(*twins, '{:.1f}')} 1/s"  # type: ignore[arg-type]
    said = f"The largest Lyapunov exponent is {largest} ({side}{by_twins}); the Kaplan-Yorke dimension {known}."
    return f"{said} {_CONVERGED[record.get('has_converged')]}"


_HALF = "two standard errors of its end over the second half of the measured time."
_CONVERGED = {
    True: f"It has converged: the running estimate stays within {_HALF}",
    False: f"It has not converged: the running estimate does not stay within {_HALF}",
    None: "Whether it has converged is not known.",
}


def _twins(record: Mapping[str, Any]) -> tuple[float | None, float | None]:
    return record["largest_from_twins_per_s"], record["largest_from_twins_standard_error_per_s"]


def _doubts(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what speaks against the largest exponent of a network."""
    if record.get("has_converged") is False:
        yield "the largest exponent has not converged; a longer --duration helps"
    (value, error), (twins, of_twins) = _first(record), _twins(record)
    if None not in (value, error, twins, of_twins):
        apart, both = abs(value - twins), math.hypot(error, of_twins)  # type: ignore[arg-type, operator]
        if apart > 2 * both:
            yield f"the largest exponent and that of twins differ by {apart / both:.1f} standard errors"


def _spectrum_command(content: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the command that measures spectra again, and why there is none."""
    made = content.get("command")
    if not made:
        return "", ["the command is not known: an earlier version did not record it"]
    given = {name: value for name, value in made.items() if name != "networks"} | content["networks"][0]["options"]
    flags = [
        text for name, value in given.items() for text in _given(name.removesuffix("_ms").replace("_", "-"), value)
    ]
    return shlex.join(["lnpbrian", "spectrum", *made.get("networks", ()), *flags]), []


# --------------------------------------------------------------------------------------------------------------- sweeps


def sweep_page(
    content: Mapping[str, Any],
    tables: Mapping[str, Sequence[Sequence[str]]],
    picture: Path,
    *,
    about: str,
    caption: str,
    command: str,
) -> Page:
    """Return what the page of an experiment says.

    Parameters
    ----------
    content : mapping
        What its JSON holds.
    tables : mapping of str to rows
        Heads first, by title.
    picture : Path
        Its figure.
    about : str
        What it shows.
    caption : str
        What the figure shows.
    command : str
        What repeats it.
    """
    name, scale = content["experiment"], content["scale"]
    figure = _figure(picture, caption)
    made = {title: Table(head, body, title) for title, (head, *body) in tables.items()}
    first = []
    if claims := made.pop("Claims", None):
        # What was found may be long.
        found = [row[-1].split("; ") for row in claims.rows]
        first = [Table(claims.head[:-1], [row[:-1] for row in claims.rows], "Claims", _FOUND, found)]
    others = content.get("results_of_other_code")
    seconds = content.get("seconds", {})
    took = [f"{duration(seconds[key])} {what}" for key, what in _TOOK if seconds.get(key)]
    return Page(
        title=f"{name}, {scale} scale",
        about=about,
        verdict=claims_verdict(content.get("claims") or content.get("findings") or []),
        warnings=(
            *(
                ["this is the smoke scale, which shows that everything runs: its numbers mean little"]
                if scale == "smoke"
                else []
            ),
            *([f"{others} stored results are of other code"] if others else []),
            *([figure] if isinstance(figure, str) else []),
        ),
        results=(*first, *made.values()),
        figures=() if isinstance(figure, str) else (figure,),
        options=(Table(["option", "value"], list(_flat(content.get("plan", {}))), title="Plan"),),
        provenance=(
            *provenance({**content, "seconds": {}}, _listed(content.get("seeds", []))),
            *([("took", ", ".join(took))] if took else []),
            *((f"data, {name}", "; ".join(notes)) for name, notes in content.get("data_notes", {}).items() if notes),
        ),
        command=command,
        citation=cited(content),
    )


_FOUND = 'Below each claim stands what was found, with "(no)" where that does not bear it out.'
_TOOK = (("of_this_run", "this run"), ("of_all_tasks", "all tasks together, in this run and before"))


def _listed(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


# -------------------------------------------------------------------------------------------------------------- figures


def _figures(folder: Path, drawn: Mapping[str, Callable[..., Any]]) -> tuple[tuple[Figure, ...], list[str]]:
    """Return the figures that a run draws and that are there, and what is missing or damaged."""
    found = []
    for name, draw in drawn.items():
        found.append(_figure(folder / f"{name}.png", CAPTIONS.get(name) or caption_of(draw)))
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


def _figure(path: Path, caption: str) -> Figure | str:
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


# ----------------------------------------------------------------------------------------- options, versions, commands


def _flat(content: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Return nested options as names and values in words."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, _said(content)


def _said(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _option_tables(recorded: Any, usual: Options) -> tuple[Table, ...]:
    """Return the options that are not the usual ones, and all of them."""
    if not recorded:
        return ()
    now, defaults = dict(_flat(recorded)), dict(_flat(plain(usual)))
    changed = [[name, value, defaults.get(name, "")] for name, value in now.items() if value != defaults.get(name)]
    made = [Table(["option", "value", "default"], changed, title="Options that are not the default")] if changed else []
    return (*made, Table(["option", "value"], [list(pair) for pair in now.items()], title="All options"))


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


# What the record of a run says of the file that it has pruned.
OF_FILE = ("file", "file_digest", "neurons")


def _run_command(content: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the command that repeats a run, and why there is none."""
    if "resnet" in content:
        if "images" not in content:
            return "", ["the command is not known: an earlier version did not record how many images were used"]
        more = {
            "steps": (",".join(content["resnet"]["pruning"]), "I"),
            "task": (content["task"], "digits"),
            "data": (content["data"], None),
            "size": (content["size"], 32),
            "images": (content["images"], None),
        }
        given = [text for name, (value, usual) in more.items() if value != usual for text in _given(name, value)]
        found = command_line(content["resnet"], ResNetJob(), but=("pruning",))
        if found is None:
            return "", ["no command line repeats this run: it has options that only Python can set"]
        return shlex.join(["lnpbrian", "resnet", *found, *given]), []
    recorded = content["options"].get("command")
    if not recorded:
        return "", ["the command is not known: the run was not started by one"]
    file = [recorded["file"]] if recorded.get("file") else []
    options = {name: value for name, value in recorded.items() if name not in OF_FILE} if file else recorded
    for start, usual in _usual_runs().items():
        found = command_line(options, usual)
        if found is not None:
            return shlex.join(["lnpbrian", "prune", *file, *start, *found]), []
    # Whatever the options are, the record holds them.
    return shlex.join(["lnpbrian", "prune", *file, "--config", RECORD]), []


@cache
def _usual_runs() -> dict[tuple[str, ...], PruneJob]:
    """Return the options of a run without any, by the flags that choose them; to check them takes a second."""
    return {(): PruneJob(), ("--fidelity",): PruneJob.fidelity()}


def command_line(recorded: Mapping[str, Any], usual: Options, *, but: Iterable[str] = ()) -> list[str] | None:
    """Return the flags that make recorded options of the usual ones, None if flags cannot.

    Parameters
    ----------
    recorded : mapping
        What `lnpbrian.records.plain` made of options.
    usual : Options
    but : iterable of str
        Options that are left out.

    Examples
    --------
    >>> command_line(plain(ResNetJob(seed=3, width=0.5)), ResNetJob())
    ['--width', '0.5', '--seed', '3']
    """
    flags: dict[str, set[tuple[str, ...]]] = {}
    changed: dict[str, bool] = {}
    for flag, value, default in _flagged(recorded, usual, tuple(but)):
        if value == default and flag is None:
            continue
        if flag is None:
            return None
        flags.setdefault(flag, set()).add(_given(flag, value))
        changed[flag] = changed.get(flag, False) or value != default
    wanted = {flag: texts for flag, texts in flags.items() if changed[flag]}
    # A flag sets all options that have it, and nothing to None.
    if any(len(texts) > 1 or not all(texts) for texts in wanted.values()):
        return None
    return [text for (texts,) in wanted.values() for text in texts]


def _flagged(
    recorded: Mapping[str, Any], usual: Options, but: tuple[str, ...]
) -> Iterator[tuple[str | None, Any, Any]]:
    """Return flag, recorded and usual value of every option."""
    known = plain(usual)
    seen = set()
    for one in fields(usual):  # type: ignore[arg-type]
        inner = getattr(usual, one.name)
        key = f"{one.name}_ms" if isinstance(inner, Quantity) or kind_of(one) == "Quantity" else one.name
        seen.add(key)
        if key not in known or one.name in but:
            continue
        if isinstance(inner, Options):
            yield from _flagged(recorded.get(key, {}), inner, ())
        else:
            yield one.metadata.get("flag"), recorded.get(key, known[key]), known[key]
    if unknown := set(recorded) - seen:
        yield None, sorted(unknown), None


def _given(flag: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, bool):
        return (f"--{flag}" if value else f"--no-{flag}",)
    text = f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
    # What begins with a dash would be taken for a flag.
    return (f"--{flag}={text}",) if text.startswith("-") else (f"--{flag}", text)
