"""Experiments that are sweeps of many tasks: their tasks, and the files that are made of the results."""

from __future__ import annotations

import html
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure

from lnpbrian import checks, files
from lnpbrian.checks import InvalidInput
from lnpbrian.cluster import ClusterOptions
from lnpbrian.experiments import fig3, fig9, table2, table6
from lnpbrian.experiments.comparison import Plan
from lnpbrian.records import versions, write_json
from lnpbrian.sweep import Result, ResultStore, SweepProgress, Task, run_sweep

__all__ = ["EXPERIMENTS", "Experiment", "redraw", "run_experiment"]


class Experiment(Protocol):
    """What a module of a sweep offers."""

    NAME: str

    def tasks(self, plan: Plan) -> Mapping[Any, Task]:
        """Return the tasks whose results the experiment needs, by what they are."""
        ...

    def summarise(self, plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
        """Return everything that figure and table show."""
        ...

    def table(self, content: Mapping[str, Any]) -> list[list[str]]:
        """Return the table as rows of text, its head first."""
        ...

    def draw(self, content: Mapping[str, Any]) -> Figure:
        """Draw the figure."""
        ...


EXPERIMENTS: dict[str, Experiment] = {module.NAME: module for module in (table2, table6, fig3, fig9)}


def run_experiment(
    name: str,
    plan: Plan,
    directory: str | os.PathLike[str],
    *,
    scale: str,
    store: str | os.PathLike[str],
    cluster: ClusterOptions,
    report: Callable[[SweepProgress], None] | None = None,
) -> dict[str, Any]:
    """Compute what is missing of an experiment, and write its JSON, figure and tables.

    Parameters
    ----------
    name : str
        One of `EXPERIMENTS`.
    plan : Plan
        Its size and data.
    directory : path-like
        Gets ``name.json``, ``name.png``, ``name.md`` and ``name.html``.
    scale : str
        What the size is called.
    store : path-like
        Folder of the results of single tasks, shared by experiments.
    cluster : ClusterOptions
        Where tasks run.
    report : callable, optional
        See `lnpbrian.sweep.run_sweep`.

    Raises
    ------
    InvalidInput
        If tasks failed; what was finished stays in the store.
    """
    experiment = EXPERIMENTS[checks.choice("experiment", name, EXPERIMENTS)]
    out = checks.writable_directory("--out", directory)
    start = time.perf_counter()
    tasks = experiment.tasks(plan)
    results = run_sweep(list(tasks.values()), ResultStore(store), cluster=cluster, report=report)
    content = {
        "experiment": name,
        "scale": scale,
        "plan": plan.describe(),
        "seeds": list(range(plan.scale.seeds)),
        "versions": versions(),
        "seconds": {
            "of_this_run": time.perf_counter() - start,
            "of_all_tasks": sum(result.seconds for result in results.values()),
        },
        **experiment.summarise(plan, {key: results[task] for key, task in tasks.items()}),
    }
    write_json(out / f"{name}.json", content)
    redraw(out / f"{name}.json")
    return content


def redraw(path: str | os.PathLike[str]) -> list[list[str]]:
    """Draw the figure and write the tables of an experiment beside its JSON, from that alone; return the table."""
    source = Path(path)
    try:
        content = json.loads(source.read_text())
        experiment = EXPERIMENTS[content["experiment"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{str(source)!r} holds no results of a sweep ({error!r})") from error
    lines = experiment.table(content)
    with files.replacing(source.with_suffix(".png")) as temporary:
        experiment.draw(content).savefig(temporary, dpi=150)
    for suffix, text in ((".md", markdown(lines, content)), (".html", page(lines, content))):
        with files.replacing(source.with_suffix(suffix)) as temporary:
            temporary.write_text(text)
    return lines


def markdown(lines: Sequence[Sequence[str]], content: Mapping[str, Any]) -> str:
    """Return a table, and what became of the claims, as Markdown."""
    head, *body = lines
    text = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    text += ["| " + " | ".join(line) + " |" for line in body]
    if content.get("claims"):
        text += ["", "| claim | verdict | found |", "|---|---|---|"]
        text += [f"| {c['claim']} | {c['verdict']} | {_parts(c)} |" for c in content["claims"]]
    return "\n".join(text) + "\n"


def page(lines: Sequence[Sequence[str]], content: Mapping[str, Any]) -> str:
    """Return the same as a page of HTML."""

    def rows(cells: Sequence[Sequence[str]]) -> str:
        head, *body = ["".join(f"<td>{html.escape(cell)}</td>" for cell in line) for line in cells]
        return "\n".join(f"<tr>{line}</tr>" for line in [head.replace("td>", "th>"), *body])

    title = f"{content['experiment']}, {content['scale']} scale"
    tables = [lines]
    if content.get("claims"):
        rows_of_claims = [[c["claim"], c["verdict"], _parts(c)] for c in content["claims"]]
        tables.append([["claim", "verdict", "found"], *rows_of_claims])
    body = "\n".join(f"<table>\n{rows(table)}\n</table>" for table in tables)
    style = "body{font:14px sans-serif}table{border-collapse:collapse;margin:2em 0}"
    style += "td,th{padding:.3em .6em;border:1px solid #ccc;text-align:left}"
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{style}</style>\n<h1>{html.escape(title)}</h1>\n{body}\n</html>\n"
    )


def _parts(claim: Mapping[str, Any]) -> str:
    return "; ".join(part["found"] + ("" if part["held"] else " (no)") for part in claim["parts"])
