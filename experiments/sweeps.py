"""The experiments by name, how they are run, and the files that are made of their results."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure

from lnpbrian import checks, files, locks
from lnpbrian.checks import InvalidInput
from lnpbrian.experiments import EXPERIMENTS, experiment, summary
from lnpbrian.experiments.common import Plan, Result, Task
from lnpbrian.experiments.common.findings import parts_of
from lnpbrian.experiments.common.plan import SCALES
from lnpbrian.learning import forecast_task, image_task
from lnpbrian.learning.vision.images import IMAGES
from lnpbrian.records import commit, is_record, read_json, versions, write_json
from lnpbrian.report.page import Page, caption_of, write_page
from lnpbrian.report.sweeps import sweep_page
from lnpbrian.sweep import ClusterOptions, ResultStore, Stamps, SweepProgress, run_sweep

Tables = dict[str, list[list[str]]]

__all__ = ["Experiment", "command", "data_notes", "redraw", "refuse_foreign_results", "rewrite_page", "run_experiment"]


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
    commit()  # of the code as it is now, whatever becomes of the checkout until the end
    start = time.perf_counter()
    tasks = module.tasks(plan)
    results = run_sweep(list(tasks.values()), kept, cluster=cluster, report=report)
    content = {
        "experiment": name,
        "scale": scale,
        "plan": plan.describe(),
        "seeds": _seeds(tasks.values()),
        "data_notes": {name: list(data_notes(name, path)) for name, path in plan.data.items()},
        "versions": versions(),
        "commit": commit(),
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


def _seeds(tasks: Iterable[Task]) -> list[int]:
    """Return the seeds that the options of tasks have, as they are or as those of a job."""
    parts = (part for task in tasks for part in (task.options, task.options.get("job", {})))
    return sorted({part["seed"] for part in parts if "seed" in part})


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
    module, content, tables = _read(source)
    with files.replacing(source.with_suffix(".png")) as temporary:
        module.draw(content).savefig(temporary, dpi=150)
    with files.replacing(source.with_suffix(".md")) as temporary:
        temporary.write_text(markdown(tables))
    write_page(page(module, content, tables, source.with_suffix(".png")), source.with_suffix(".html"))
    return tables


def rewrite_page(path: str | os.PathLike[str]) -> Page:
    """Write the page of an experiment again, from its JSON and the figure beside it; return what it says."""
    source = Path(path)
    module, content, tables = _read(source)
    with _whole(source):
        made = page(module, content, tables, source.with_suffix(".png"))
    write_page(made, source.with_suffix(".html"))
    return made


def _read(source: Path) -> tuple[Experiment, dict[str, Any], Tables]:
    """Return an experiment, what its JSON holds, and its tables."""
    with _whole(source):
        content = read_json(source)
        module: Experiment = experiment(checks.choice("experiment", content["experiment"], EXPERIMENTS))
        tables = module.tables(content)
        if content.get("claims"):
            rows = [[c["claim"], c["verdict"], parts_of(c)] for c in content["claims"]]
            tables["Claims"] = [["claim", "verdict", "found"], *rows]
    return module, content, tables


@contextmanager
def _whole(source: Path) -> Iterator[None]:
    """Say which file it is that lacks what was looked for."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{str(source)!r} holds no results of a sweep ({error!r})") from error


def markdown(tables: Tables) -> str:
    """Return tables as Markdown."""

    def text(lines: list[list[str]]) -> str:
        head, *body = ("| " + " | ".join(line) + " |" for line in lines)
        return "\n".join([head, "|" + "---|" * len(lines[0]), *body])

    return "\n\n".join(f"**{title}**\n\n{text(lines)}" for title, lines in tables.items()) + "\n"


def page(module: Experiment, content: Mapping[str, Any], tables: Tables, picture: Path) -> Page:
    """Return the same, and the figure, as a page."""
    name = content["experiment"]
    return sweep_page(
        content, tables, picture, about=summary(name), caption=caption_of(module.draw), command=command(content)
    )


def command(content: Mapping[str, Any]) -> str:
    """Return the command that repeats a sweep."""
    plan, usual = content.get("plan", {}), SCALES.get(content["scale"])
    given = (
        []
        if usual is None
        else [
            text
            for name in ("seeds", "windows", "neurons")
            if plan.get(name, getattr(usual, name)) != getattr(usual, name)
            for text in (f"--{name}", str(plan[name]))
        ]
    )
    data = [text for name, file in plan.get("data", {}).items() for text in ("--data", f"{name}={file}")]
    return shlex.join(["lnpbrian", "sweep", content["experiment"], "--scale", content["scale"], *given, *data])
