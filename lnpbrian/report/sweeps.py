"""Pages of the results of a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lnpbrian.report.page import Page, Table, Verdict, cited, duration, embedded, flattened, provenance

__all__ = ["claims_verdict", "sweep_page"]


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
    figure = embedded(picture, caption)
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
        options=(Table(["option", "value"], list(flattened(content.get("plan", {}))), title="Plan"),),
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
