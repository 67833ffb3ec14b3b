"""The experiments by name, how they are run, and the files that are made of their results."""

from __future__ import annotations

import html
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure

from lnpbrian import checks, files, locks
from lnpbrian.checks import InvalidInput
from lnpbrian.cluster import ClusterOptions
from lnpbrian.experiments import EXPERIMENTS, experiment
from lnpbrian.experiments.common.comparison import Plan
from lnpbrian.learning import forecast_task, image_task
from lnpbrian.learning.images import IMAGES
from lnpbrian.records import is_record, read_json, versions, write_json
from lnpbrian.sweep import Result, ResultStore, Stamps, SweepProgress, Task, run_sweep

Tables = dict[str, list[list[str]]]

__all__ = ["Experiment", "data_notes", "redraw", "refuse_foreign_results", "run_experiment"]


class Experiment(Protocol):
    """What a module of an experiment offers."""

    NAME: str

    def tasks(self, plan: Plan) -> Mapping[Any, Task]:
        """Return the tasks whose results the experiment needs, by what they are."""
        ...

    def summarise(self, plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
        """Return everything that figure and table show."""
        ...

    def tables(self, content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
        """Return tables as rows of text, heads first, by title."""
        ...

    def draw(self, content: Mapping[str, Any]) -> Figure:
        """Draw the figure."""
        ...


def run_experiment(
    name: str,
    plan: Plan,
    directory: str | os.PathLike[str],
    *,
    scale: str,
    store: ResultStore,
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
    store : ResultStore
        The results of single tasks, shared by experiments.
    cluster : ClusterOptions
        Where tasks run.
    report : callable, optional
        See `lnpbrian.sweep.run_sweep`.

    Raises
    ------
    InvalidInput
        If tasks failed; what was finished stays in the store. Or if another run has `directory`, or it holds files of
        these names that no sweep wrote.
    """
    module = experiment(checks.choice("experiment", name, EXPERIMENTS))
    with locks.lock_folder("--out", directory) as lock:
        refuse_foreign_results(lock.folder, name)
        return _run(module, plan, lock.folder, scale, store, cluster, report)


def refuse_foreign_results(folder: Path, name: str) -> None:
    """Refuse to replace files of an experiment's name that no ``name.json`` of a sweep accounts for."""
    record = f"{name}.json"
    names = [f"{name}.{suffix}" for suffix in ("json", "png", "md", "html")]
    locks.refuse_foreign(folder, names, accounted=is_record(folder / record), evidence=record)


def _run(
    module: Experiment,
    plan: Plan,
    out: Path,
    scale: str,
    kept: ResultStore,
    cluster: ClusterOptions,
    report: Callable[[SweepProgress], None] | None,
) -> dict[str, Any]:
    name = module.NAME
    start = time.perf_counter()
    tasks = module.tasks(plan)
    results = run_sweep(list(tasks.values()), kept, cluster=cluster, report=report)
    content = {
        "experiment": name,
        "scale": scale,
        "plan": plan.describe(),
        "seeds": list(range(plan.scale.seeds)),
        "data_notes": {name: list(data_notes(name, path)) for name, path in plan.data.items()},
        "versions": versions(),
        **({"results_of_other_code": len(kept.outdated)} if kept.stale == "accept" and kept.outdated else {}),
        "seconds": {
            "of_this_run": time.perf_counter() - start,
            "of_all_tasks": _seconds(tasks.values(), kept),
        },
        **module.summarise(plan, {key: results[task] for key, task in tasks.items()}),
    }
    write_json(out / f"{name}.json", content)
    redraw(out / f"{name}.json")
    return content


def data_notes(name: str, path: str) -> tuple[str, ...]:
    """Return what was done to the data of a series, or where images come from; what is wrong with them is an error."""
    if name in IMAGES:
        return image_task(name, path).notes
    return forecast_task(name, data=path, n_windows=1).notes


def _seconds(tasks: Iterable[Task], store: ResultStore) -> float:
    """Return the time that tasks, and everything that they need, took in this run or before it."""
    stamps = Stamps()
    seen: set[Task] = set()
    waiting, total = list(tasks), 0.0
    while waiting:
        task = waiting.pop()
        if task not in seen:
            seen.add(task)
            waiting.extend(task.needs)
            result = store.get(task, stamps)
            total += result.seconds if result else 0.0
    return total


def redraw(path: str | os.PathLike[str]) -> Tables:
    """Draw the figure and write the tables of an experiment beside its JSON, from that alone; return the tables."""
    source = Path(path)
    try:
        content = read_json(source)
        module: Experiment = experiment(checks.choice("experiment", content["experiment"], EXPERIMENTS))
        tables = module.tables(content)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{str(source)!r} holds no results of a sweep ({error!r})") from error
    if content.get("claims"):
        rows = [[c["claim"], c["verdict"], _parts(c)] for c in content["claims"]]
        tables["Claims"] = [["claim", "verdict", "found"], *rows]
    with files.replacing(source.with_suffix(".png")) as temporary:
        module.draw(content).savefig(temporary, dpi=150)
    for suffix, text in ((".md", markdown(tables)), (".html", page(tables, content))):
        with files.replacing(source.with_suffix(suffix)) as temporary:
            temporary.write_text(text)
    return tables


def markdown(tables: Tables) -> str:
    """Return tables as Markdown."""

    def text(lines: list[list[str]]) -> str:
        head, *body = ("| " + " | ".join(line) + " |" for line in lines)
        return "\n".join([head, "|" + "---|" * len(lines[0]), *body])

    return "\n\n".join(f"**{title}**\n\n{text(lines)}" for title, lines in tables.items()) + "\n"


def page(tables: Tables, content: Mapping[str, Any]) -> str:
    """Return the same as a page of HTML."""

    def text(lines: list[list[str]]) -> str:
        head, *body = ("".join(f"<td>{html.escape(cell)}</td>" for cell in line) for line in lines)
        rows = "\n".join(f"<tr>{line}</tr>" for line in [head.replace("td>", "th>"), *body])
        return f"<table>\n{rows}\n</table>"

    title = f"{content['experiment']}, {content['scale']} scale"
    body = "\n".join(f"<h2>{html.escape(name)}</h2>\n{text(lines)}" for name, lines in tables.items())
    style = "body{font:14px sans-serif}table{border-collapse:collapse;margin:1em 0 2em}"
    style += "td,th{padding:.3em .6em;border:1px solid #ccc;text-align:left}"
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{style}</style>\n<h1>{html.escape(title)}</h1>\n{body}\n</html>\n"
    )


def _parts(claim: Mapping[str, Any]) -> str:
    return "; ".join(part["found"] + ("" if part["held"] else " (no)") for part in claim["parts"])
