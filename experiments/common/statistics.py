"""Numbers of many networks: their spreads, how they are looked up and written, and what became of a claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from lnpbrian.sweep import Result

__all__ = [
    "Rows",
    "against",
    "all_rows",
    "claimed",
    "lead",
    "mean_and_error",
    "mean_of",
    "means",
    "median_and_quartiles",
    "over_networks",
    "over_windows",
    "plus_minus",
    "ratios",
    "spread",
    "unlike",
    "where",
    "windows",
]


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return mean, standard deviation, median and quartiles.

    Examples
    --------
    >>> found = spread([1.0, 2.0, 6.0])
    >>> found["mean"], found["median"], found["quartile_3"]
    (3.0, 2.0, 4.0)
    """
    x = np.asarray(list(values), dtype=float)
    low, median, high = np.quantile(x, (0.25, 0.5, 0.75))
    return {
        "mean": float(x.mean()),
        "sd": float(x.std(ddof=1)) if x.size > 1 else 0.0,
        "median": float(median),
        "quartile_1": float(low),
        "quartile_3": float(high),
    }


def mean_and_error(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the mean and its standard error, 0 of a single value.

    Examples
    --------
    >>> mean_and_error([1.0, 3.0]), mean_and_error([2.0])
    ((2.0, 1.0), (2.0, 0.0))
    """
    n = len(values)
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else 0.0


def plus_minus(value: Sequence[float] | Mapping[str, float], digits: int = 1, unit: float = 1.0) -> str:
    """Return a mean and its error, or the mean and the standard deviation of a spread, as text.

    Examples
    --------
    >>> plus_minus((1.25, 0.5), 2), plus_minus({"mean": 0.5, "sd": 0.1}, unit=100)
    ('1.25 ± 0.50', '50.0 ± 10.0')
    """
    mean, error = (value["mean"], value["sd"]) if isinstance(value, Mapping) else value
    return f"{mean * unit:.{digits}f} ± {error * unit:.{digits}f}"


def median_and_quartiles(values: Mapping[str, float], digits: int = 2) -> str:
    """Return the median and the quartiles as text.

    Examples
    --------
    >>> median_and_quartiles(spread([1.0, 2.0, 3.0]))
    '2.00 [1.50, 2.50]'
    """
    low, median, high = (values[name] for name in ("quartile_1", "median", "quartile_3"))
    return f"{median:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def all_rows(results: Mapping[Any, Result], *names: str) -> list[dict[str, Any]]:
    """Return the rows of all results, one after the other; if the parts of a key are named, a row of each result.

    Examples
    --------
    >>> all_rows({1: Result({"rows": [{"vpt": 30}]}), 2: Result({"rows": [{"vpt": 40}, {"vpt": 50}]})})
    [{'vpt': 30}, {'vpt': 40}, {'vpt': 50}]
    >>> all_rows({("LNP", 3): Result({"vpt": 30})}, "method", "seed")
    [{'method': 'LNP', 'seed': 3, 'vpt': 30}]
    """
    if names:
        return [dict(zip(names, key, strict=True)) | dict(result.record) for key, result in results.items()]
    return [row for result in results.values() for row in result.record["rows"]]


def where(rows: Iterable[Mapping[str, Any]], **wanted: Any) -> list[Any]:
    """Return the rows that have these values, in the order of their seeds.

    Examples
    --------
    >>> where([{"way": "LNP", "seed": 1}, {"way": "AP", "seed": 0}, {"way": "LNP", "seed": 0}], way="LNP")
    [{'way': 'LNP', 'seed': 0}, {'way': 'LNP', 'seed': 1}]
    """
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return sorted(found, key=lambda row: row.get("seed", 0))


def unlike(rows: Iterable[Mapping[str, Any]], *names: str) -> list[Any]:
    """Return the values, or groups of values, that rows have, each once, as they come.

    Examples
    --------
    >>> rows = [{"images": "digits", "seed": 0}, {"images": "digits", "seed": 1}]
    >>> unlike(rows, "images"), unlike(rows, "images", "seed")
    (['digits'], [('digits', 0), ('digits', 1)])
    """
    return list(dict.fromkeys(row[names[0]] if len(names) == 1 else tuple(row[n] for n in names) for row in rows))


def mean_of(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return the mean of a number over rows.

    >>> mean_of([{"vpt": 30}, {"vpt": 40}], "vpt")
    35.0
    """
    return float(np.mean([row[name] for row in rows]))


def means(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Return means and standard errors of numbers over rows, by their names.

    >>> means([{"vpt": 30}, {"vpt": 40}], ["vpt"])
    {'vpt': (35.0, 5.0)}
    """
    return {name: mean_and_error([row[name] for row in rows]) for name in names}


def lead(
    mine: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]], name: str = "accuracy"
) -> tuple[float, float]:
    """Return by how much a number of mine is larger than that of others, pair by pair: the mean and its error.

    Student 1908, doi:10.1093/biomet/6.1.1.

    Examples
    --------
    >>> lead([{"accuracy": 4.0}, {"accuracy": 6.0}], [{"accuracy": 3.0}, {"accuracy": 3.0}])
    (2.0, 1.0)
    """
    return mean_and_error([a[name] - b[name] for a, b in zip(mine, others, strict=True)])


def ratios(
    before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]], name: str = "synaptic_operations"
) -> list[float]:
    """Return operations before over those after, pair by pair; where none is left as if one were.

    >>> ratios([{"synaptic_operations": 60}], [{"synaptic_operations": 3}])
    [20.0]
    """
    return [a[name] / max(b[name], 1) for a, b in zip(before, after, strict=True)]


class Rows:
    """Records of single networks, looked up by method, model, training and series.

    Examples
    --------
    >>> one = {"model": "HRSNN", "training": "STDP", "series": "wind", "seed": 0}
    >>> rows = [one | {"method": m, "synaptic_operations": n} for m, n in (("unpruned", 60), ("LNP", 3))]
    >>> Rows(rows).ratios("LNP", "HRSNN").tolist()
    [20.0]
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = sorted(rows, key=lambda r: r["seed"])

    def of(self, method: str, model: str, training: str | None = None, series: str | None = None) -> list[Mapping]:
        """Return the records in the order of the seeds."""
        return [
            r
            for r in self._rows
            if (r["method"], r["model"]) == (method, model)
            and training in (None, r["training"])
            and series in (None, r["series"])
        ]

    def median(self, name: str, method: str, model: str, training: str | None, series: str) -> float:
        """Return the median over seeds and windows."""
        return float(np.median([windows(r, name) for r in self.of(method, model, training, series)]))

    def by_seed(self, name: str, method: str, model: str, training: str, series: str) -> np.ndarray:
        """Return the median over the windows of each seed."""
        return np.array([np.median(windows(r, name)) for r in self.of(method, model, training, series)])

    def ratios(self, method: str, model: str, training: str | None = None, series: str | None = None) -> np.ndarray:
        """Return the operations of the unpruned network over those of each network."""
        before, after = (
            np.array([r["synaptic_operations"] for r in self.of(which, model, training, series)])
            for which in ("unpruned", method)
        )
        return before / np.maximum(after, 1)


def windows(record: Mapping[str, Any], name: str) -> list[float]:
    """Return the NRMSE or VPT of each window.

    Valid prediction times are those at 0.1 (section 4.1 of arXiv 2403.03409).

    Examples
    --------
    >>> windows({"nrmse": [0.2, 0.4], "vpt_steps": {"0.1": [30, 9]}}, "vpt")
    [30, 9]
    """
    return record["vpt_steps"]["0.1"] if name == "vpt" else record[name]


def over_windows(records: Sequence[Mapping], name: str) -> dict[str, float]:
    """Return the spread of an error over networks and windows.

    Examples
    --------
    All windows count alike:

    >>> over_windows([{"nrmse": [1.0, 3.0]}, {"nrmse": [5.0]}], "nrmse")["mean"]
    3.0
    """
    return spread(x for r in records for x in windows(r, name))


def over_networks(records: Sequence[Mapping], name: str) -> dict[str, float]:
    """Return the spread over networks, as the paper has it: of each the mean over its windows.

    The paper is arXiv 2403.03409, table 2.

    Examples
    --------
    All networks count alike:

    >>> over_networks([{"nrmse": [1.0, 3.0]}, {"nrmse": [5.0]}], "nrmse")["mean"]
    3.5
    """
    return spread(float(np.mean(windows(r, name))) for r in records)


def claimed(text: str, parts: Sequence[tuple[str, bool]]) -> dict[str, Any]:
    """Return a claim with its parts, each what was found and whether that bears it out, and the verdict.

    Examples
    --------
    >>> claimed("errors grow", [("0.2 to 0.4", True), ("0.3 to 0.1", False)])["verdict"]
    'held in 1 of 2'
    """
    held = [good for _, good in parts]
    verdict = "held" if all(held) else "not held" if not any(held) else f"held in {sum(held)} of {len(held)}"
    verdict = verdict if parts else "not tested"
    return {"claim": text, "verdict": verdict, "parts": [{"found": found, "held": good} for found, good in parts]}


def against(found: Rows, other: str, model: str, training: str, series: str) -> tuple[str, bool]:
    """Return LNP's error beside that of another method, with a signed-rank test over seeds, and whether LNP's is less.

    For "unpruned": whether it is at most 10 % larger.

    The test is that of Wilcoxon 1945, doi:10.2307/3001968.
    """
    mine, theirs = (found.by_seed("nrmse", method, model, training, series) for method in ("LNP", other))
    a, b = (found.median("nrmse", method, model, training, series) for method in ("LNP", other))
    margin = 1.1 if other == "unpruned" else 1.0
    p = wilcoxon(mine, theirs).pvalue if len(mine) > 1 and (mine != theirs).any() else 1.0
    alike = other in ("unpruned", "uncoupled")
    operations = "" if alike else f", operations x {_share(found, other, model, training, series):.2f}"
    return f"{series}, {model}, {training}: {a:.3g} against {b:.3g} (p = {p:.2g}{operations})", bool(a < margin * b)


def _share(found: Rows, other: str, model: str, training: str, series: str) -> float:
    """Return the operations of another method over those of LNP."""
    ratios = found.ratios("LNP", model, training, series) / found.ratios(other, model, training, series)
    return float(np.median(ratios))
