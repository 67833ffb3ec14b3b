"""What pruning has changed: tables of before and after, and the verdict on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnpbrian.learning.vision.classification import accuracy_difference
from lnpbrian.report.page import Table, Verdict, with_error

__all__ = [
    "as_ratio",
    "classifies_images",
    "resnet_table",
    "resnet_verdict",
    "run_verdict",
    "side_of_zero",
    "state_table",
]

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


def classifies_images(content: Mapping[str, Any]) -> bool:
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
    if classifies_images(content):
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
            "" if state.get(key) is None else with_error(state[key], None if error is None else error(state), shown)
            for state in states
        ]
        made.append([label, *values[:2], "" if "exponent" in key else as_ratio(states[0], states[1], key), values[2]])
    return Table(["", "before", "after", "ratio", "uncoupled"], made)


def _with_readout(state: Mapping[str, Any]) -> dict[str, Any]:
    total = state.get("synaptic_operations"), state.get("readout_operations")
    return {**state} if None in total else {**state, "with_readout": sum(total)}


def as_ratio(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> str:
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
        rows.append([label, shown.format(before[key]), shown.format(after[key]), as_ratio(before, after, key)])
    for key in ("channels", "neurons", "weights"):
        rows.append([f"{key} removed (%)", *(f"{100 * of['sparsity'][key]:.2f}" for of in (before, after)), ""])
    accuracy = [f"{100 * of['accuracy']:.1f} ± {100 * of['standard_error']:.1f}" for of in (before, after)]
    return Table(["", "dense", "pruned", "ratio"], [*rows, ["test images right (%)", *accuracy, ""]])


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
    return with_error(state["nrmse"], _of_windows("nrmse_windows")(state), "{:.3f}")


def _compared(before: Mapping[str, Any], after: Mapping[str, Any], task: Mapping[str, Any]) -> tuple[_Difference, str]:
    """Return what is between two states of a run, and in words."""
    if "accuracy" not in before:
        found = _paired(before["nrmse_windows"], after["nrmse_windows"])
        return found, _interval(found, "{:.3f}")
    found, paired = _accuracies(before, after, task["test_images"])
    how = "image by image" if paired else "errors added in quadrature, which of the same images is too much"
    return found, f"{_interval(found, '{:.1f}', ' percentage points')}; {how}"


def run_verdict(content: Mapping[str, Any]) -> Verdict:
    before, after, task = content["before"], content["after"], content["options"]["task"]
    operations = f"{_fewer(before['synaptic_operations'], after['synaptic_operations'])} synaptic operations"
    whole = [_with_readout(state).get("with_readout") for state in (before, after)]
    if None not in whole:
        operations += f" ({_fewer(*whole)} with those of the readout)"  # type: ignore[arg-type]
    found, difference = _compared(before, after, task)
    if classifies_images(content):
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
        return f"{with_error(value, error, '{:.1f}')} 1/s", side_of_zero(value, error)

    (one, was), (two, now) = found(before), found(after)
    sides = f"both {now}" if was == now else f"{was} before, {now} after"
    return f"The largest Lyapunov exponent is {two} after pruning and was {one} before ({sides})."


def side_of_zero(value: float, error: float) -> str:
    decided = math.isfinite(error) and abs(value) > 2 * error
    return ("above zero" if value > 0 else "below zero") if decided else "zero within two standard errors"


def resnet_verdict(content: Mapping[str, Any]) -> Verdict:
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
