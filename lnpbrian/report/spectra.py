"""Pages of Lyapunov exponents."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lnpbrian.options import as_flag
from lnpbrian.report.before_after import side_of_zero
from lnpbrian.report.page import (
    Page,
    Table,
    Verdict,
    cited,
    embedded_figures,
    flattened,
    provenance,
    with_error,
)

__all__ = ["spectrum_page", "spectrum_table"]


def spectrum_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """Return what was measured of the stability of networks; errors are standard errors."""

    def shown(value: float | None, error: float | None = None) -> str:
        return "-" if value is None else with_error(value, error, "{:.1f}")

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


def spectrum_page(folder: Path, content: Mapping[str, Any]) -> Page:
    # Matplotlib is slow to load.
    from lnpbrian import figures

    records = content["networks"]
    first, options = records[0], records[0]["options"]
    drawn, missing = embedded_figures(folder, figures.SPECTRUM_FIGURES)
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
        options=(Table(["option", "value"], [list(pair) for pair in flattened(options)], title="All options"),),
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
        *([] if value is None else [(with_error(value, error, "{:.1f}"), "1/s, the largest exponent")]),
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
    return side_of_zero(value, math.inf if error is None else error), f"{with_error(value, error, '{:.1f}')} 1/s"


def _stability_of(record: Mapping[str, Any]) -> str:
    """Return what was found of a network, and whether it has converged, in sentences."""
    (side, largest), dimension, twins = _largest(record), record["kaplan_yorke_dimension"], _twins(record)
    known = "needs more exponents" if dimension is None else f"is {dimension:.1f} of {record['dimension']}"
    by_twins = "" if twins[0] is None else f", by twins {with_error(*twins, '{:.1f}')} 1/s"  # type: ignore[arg-type]
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
        text for name, value in given.items() for text in as_flag(name.removesuffix("_ms").replace("_", "-"), value)
    ]
    return shlex.join(["lnpbrian", "spectrum", *made.get("networks", ()), *flags]), []
