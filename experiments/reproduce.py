"""The tables and figures of the paper: which experiment shows each, and reports of what the paper has and what we have.

    lnpbrian reproduce --list
    lnpbrian reproduce table2 fig7 --scale medium

The one place that says what belongs to what is `SHOWN`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from threadpoolctl import threadpool_limits

from lnpbrian import checks, files, locks
from lnpbrian.checks import InvalidInput
from lnpbrian.experiments import EXPERIMENTS, diagrams, experiment, sweeps
from lnpbrian.experiments.common import findings
from lnpbrian.experiments.common.findings import Finding, claimed_in
from lnpbrian.experiments.common.plan import Plan
from lnpbrian.experiments.sweeps import Tables, markdown, run_experiment
from lnpbrian.records import commit, is_record, read_json, versions, write_json
from lnpbrian.report.page import Page, Table, Verdict, caption_of, cited, duration, provenance, write_page
from lnpbrian.report.sweeps import claims_verdict, sweep_page
from lnpbrian.sweep import ClusterOptions, ResultStore, SweepProgress

__all__ = ["SHOWN", "Reproduction", "Shown", "catalogue", "chosen", "cost", "listing"]

INDEX, RECORD = "index.html", "index.json"
RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True)
class Shown:
    """A table or figure of the paper, and what shows it here.

    Attributes
    ----------
    name : str
        Its number in the paper, as "table7" or "fig8".
    title : str
        What it is about.
    experiment : str
        The sweep it is drawn from; empty for a diagram.
    note : str
        Where ours differs from the paper's.
    findings : callable
        Makes the lines of the report of the content of the experiment's JSON.
    data : tuple of (str, str)
        Names of data that are not shipped, and what is done without them.
    smoke_seconds : float
        Time of its tasks at smoke scale on one core, those it shares with others included.

    Notes
    -----
    The paper is Chakraborty et al. (2024), arXiv 2403.03409.
    """

    name: str
    title: str
    experiment: str
    note: str
    findings: Callable[[Mapping[str, Any]], list[Finding]] = claimed_in
    data: tuple[tuple[str, str], ...] = ()
    smoke_seconds: float = 0.0

    @property
    def command(self) -> str:
        """The command that runs its experiment alone."""
        return f"lnpbrian sweep {self.experiment}" if self.experiment else f"lnpbrian reproduce {self.name}"

    def missing(self, data: Mapping[str, str]) -> list[str]:
        """Return what is to be said of data that were not given.

        >>> chosen(["table6"])[0].missing({"google": "prices.csv"})
        ['no wind=FILE was given: wind is left out']
        """
        return [f"no {name}=FILE was given: {without}" for name, without in self.data if name not in data]


GOOGLE = ("google", "prices end in 2008, those of the paper in 2010")
IMAGES = ("cifar10", "scikit-learn's digits, or the images that were given, are shown in its place")

SHOWN: tuple[Shown, ...] = (
    Shown(
        "fig1",
        "the models and the four steps",
        "",
        "drawn from models of 60 neurons and their pruning",
        smoke_seconds=5,
    ),
    Shown("fig2", "the process of the experiments", "", "drawn from a run of prune", smoke_seconds=1),
    Shown(
        "fig3",
        "neurons, synapses and error over the iterations",
        "fig3",
        "first variable of Lorenz-63 in closed loop, after STDP; at medium scale 1000 neurons, the paper's 5000",
        findings.of_fig3,
        smoke_seconds=107,
    ),
    Shown(
        "fig6",
        "from a series through the network to a forecast",
        "",
        "the series comes in as currents, not spikes",
        smoke_seconds=1,
    ),
    Shown(
        "fig7",
        "Lyapunov spectra of three densities, unpruned, pruned, trained",
        "fig_spectra",
        "steps I and II; the spectrum of the spiking network itself, not of a network of rates",
        smoke_seconds=36,
    ),
    Shown(
        "fig8",
        "valid prediction time per operation on four series",
        "fig8",
        "activity pruning ends at LNP's operations, in the paper at six times as many",
        data=(GOOGLE, ("wind", "wind is left out")),
        smoke_seconds=102,
    ),
    Shown(
        "fig9", "error by noise of the input", "fig9", "first variable of Lorenz-63", findings.of_fig9, smoke_seconds=87
    ),
    Shown(
        "fig10",
        "time constants before and after pruning",
        "fig10",
        "the paper says nothing of its figure in numbers",
        smoke_seconds=25,
    ),
    Shown(
        "fig11",
        "accuracy over operations",
        "fig11",
        "as relays: half of the neurons see the image, the others are read",
        data=(IMAGES,),
        smoke_seconds=13,
    ),
    Shown(
        "fig12",
        "valid prediction time over operations on Lorenz-63",
        "fig12",
        "first variable of Lorenz-63",
        smoke_seconds=74,
    ),
    Shown(
        "fig13",
        "what each step does",
        "fig13",
        "on images; on Lorenz-63 it is `lnpbrian sweep ablation`",
        data=(IMAGES,),
        smoke_seconds=97,
    ),
    Shown(
        "table1",
        "accuracy and operations on images",
        "table1",
        "recurrent networks without convolutions",
        findings.of_table1,
        data=(IMAGES,),
        smoke_seconds=55,
    ),
    Shown(
        "table2",
        "operations and forecasts by pruning, model and training",
        "table2",
        "all variables seen is the paper's task; where one is seen synapses matter; no neurons are removed",
        findings.of_table2,
        data=(GOOGLE,),
        smoke_seconds=346,
    ),
    Shown(
        "table5",
        "sparsity with the readout",
        "table5",
        "heads of the paper's columns are lost",
        findings.of_table5,
        smoke_seconds=36,
    ),
    Shown(
        "table6",
        "forecasts of four series",
        "table6",
        "the paper's numbers are lost, but for those that are in its table 2 too",
        findings.of_table6,
        data=(GOOGLE, ("wind", "wind is left out")),
        smoke_seconds=102,
    ),
    Shown(
        "table7",
        "error by noise of the input, as numbers",
        "fig9",
        "first variable of Lorenz-63; noise is on what trains the readout",
        findings.of_table7,
        smoke_seconds=87,
    ),
    Shown(
        "table8",
        "spiking ResNets, random or converted",
        "table8",
        "narrow ResNets and few epochs",
        findings.of_table8,
        data=(IMAGES,),
        smoke_seconds=71,
    ),
    Shown(
        "table9",
        "masks found on some images, used on others",
        "table9",
        "halves of the classes of one set of images, and small parts of sets, in the paper CIFAR-10 and CIFAR-100",
        findings.of_table9,
        data=(IMAGES,),
        smoke_seconds=23,
    ),
)


def chosen(names: Iterable[str]) -> list[Shown]:
    """Return tables and figures by name, in the order of the paper's list; all of them if none is named.

    Raises
    ------
    InvalidInput
        If one is not known.

    Examples
    --------
    >>> [shown.experiment for shown in chosen(["table7", "fig7"])]
    ['fig_spectra', 'fig9']
    >>> chosen(["fig4"])
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: name must be one of fig1, fig2, fig3, ...
    """
    known = [shown.name for shown in SHOWN]
    wanted = {checks.choice("name", name, known) for name in names} or set(known)
    return [shown for shown in SHOWN if shown.name in wanted]


def cost(shown: Shown, scale: str) -> float | None:
    """Return the time in seconds of all tasks of a table or figure on one core, None where it is not known.

    At other scales than smoke that of the results that are kept, which are not part of an installed package.
    """
    if not shown.experiment or scale == "smoke":
        return shown.smoke_seconds or None
    try:
        content = read_json(RESULTS / f"{shown.experiment}.json")
        seconds = content["seconds"]["of_all_tasks"] if content["scale"] == scale else 0.0
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return float(seconds) or None


def listing(wanted: Iterable[Shown] = SHOWN) -> list[list[str]]:
    """Return a table of what there is as rows of text, its head first."""
    lines = [["name", "shows", "sweep", "smoke, one core", "medium", "without --data"]]
    for shown in wanted:
        missing = "; ".join(f"{name}: {without}" for name, without in shown.data)
        known = (cost(shown, scale) for scale in ("smoke", "medium"))
        times = (duration(seconds, 0) if seconds else "not measured" for seconds in known)
        lines.append([shown.name, shown.title, shown.experiment or "a diagram", *times, missing])
    return lines


def catalogue() -> list[list[str]]:
    """Return the table of ``docs/paper.md``: what belongs to what, and where ours differs.

    >>> catalogue()[1][:3]
    ['fig1', 'the models and the four steps', '`lnpbrian reproduce fig1`']
    """
    head = ["name", "shows", "alone", "where ours differs"]
    return [head, *([shown.name, shown.title, f"`{shown.command}`", shown.note] for shown in SHOWN)]


@dataclass
class Reproduction:
    """A folder with a report of each table and figure, and a page of them all.

    Use it in a ``with`` block, in which no other run may have the folder.

    Parameters
    ----------
    out : path-like
        Gets ``NAME/NAME.json``, ``.md``, ``.html`` and ``.png`` of each, the sweeps in ``sweeps/``, and `INDEX`.
    plan : Plan
        Size and data.
    scale : str
        What the size is called.
    store : ResultStore
        The results of single tasks.
    cluster : ClusterOptions
        Where tasks run.

    Raises
    ------
    InvalidInput
        If another run has `out`, or it holds an `INDEX` that is not of this package.
    """

    out: str | os.PathLike[str]
    plan: Plan
    scale: str
    store: ResultStore
    cluster: ClusterOptions
    _contents: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)

    def __enter__(self) -> Self:
        self._lock = locks.lock_folder("--out", self.out)
        self.folder = self._lock.folder
        try:
            accounted = is_record(self.folder / RECORD, "reports")
            locks.refuse_foreign(self.folder, (INDEX, RECORD), accounted=accounted, evidence=RECORD)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def refuse_foreign(self, shown: Shown) -> None:
        """Refuse to replace files where a report is to be written, if no earlier report accounts for them."""
        folder, record = self.folder / shown.name, f"{shown.name}.json"
        names = [f"{shown.name}.{suffix}" for suffix in ("json", "md", "html", "png")]
        if os.path.lexists(folder) and not folder.is_dir():
            raise InvalidInput(f"{os.fspath(folder)!r} is not a folder; choose another --out")
        locks.refuse_foreign(folder, names, accounted=is_record(folder / record, "shown"), evidence=record)

    def show(self, shown: Shown, report: Callable[[SweepProgress], None] | None = None) -> dict[str, Any]:
        """Make the report of a table or figure, and the page of all anew.

        Parameters
        ----------
        shown : Shown
            One of `SHOWN`.
        report : callable, optional
            See `lnpbrian.sweep.run_sweep`.

        Returns
        -------
        dict
            The record of the report. Its ``error`` says why there is none, if the experiment failed.
        """
        self.refuse_foreign(shown)
        folder = checks.writable_directory("--out", self.folder / shown.name)
        content: dict[str, Any] = {
            "shown": shown.name,
            "title": shown.title,
            "experiment": shown.experiment,
            "scale": self.scale,
            "plan": self.plan.describe(),
            "note": shown.note,
            "missing": shown.missing(self.plan.data),
            "findings": [],
            "tables": {},
            "seconds": None,
            "error": None,
            "seeds": list(range(self.plan.scale.seeds)) if shown.experiment else [],
            "versions": versions(),
            "commit": commit(),
        }
        record = folder / f"{shown.name}.json"
        if not is_record(record, "shown"):
            # By which the next run knows what an interruption leaves for its own.
            write_json(record, content | {"error": "it was interrupted"})
        try:
            content |= self._of_experiment(shown, folder, report) if shown.experiment else _diagram(shown, folder)
        except InvalidInput as error:
            content["error"] = str(error)
        write_json(record, content)
        page = _page(shown, content, folder)
        with files.replacing(folder / f"{shown.name}.md") as temporary:
            temporary.write_text(_markdown(page, content))
        write_page(page, folder / f"{shown.name}.html")
        self._index()
        return content

    def _of_experiment(
        self, shown: Shown, folder: Path, report: Callable[[SweepProgress], None] | None
    ) -> dict[str, Any]:
        name = checks.choice("experiment", shown.experiment, EXPERIMENTS)
        where = self.folder / "sweeps" / name
        if name not in self._contents:
            self._contents[name] = run_experiment(
                name, self.plan, where, scale=self.scale, store=self.store, cluster=self.cluster, report=report
            )
        content = self._contents[name]
        with files.replacing(folder / f"{shown.name}.png") as temporary:
            temporary.write_bytes((where / f"{name}.png").read_bytes())
        return {
            "findings": [asdict(finding) for finding in shown.findings(content)],
            "tables": experiment(name).tables(content),
            "seconds": content["seconds"]["of_all_tasks"],
        }

    def _index(self) -> None:
        """Write the page of all reports that are in the folder."""
        found = []
        for shown in SHOWN:
            path = self.folder / shown.name / f"{shown.name}.json"
            if is_record(path, *_USED):
                found.append((shown, read_json(path)))
        reports = {
            shown.name: {name: content[name] for name in ("scale", "seconds", "error")} for shown, content in found
        }
        write_json(self.folder / RECORD, {"versions": versions(), "reports": reports})
        write_page(_index_page(found), self.folder / INDEX)


def _diagram(shown: Shown, folder: Path) -> dict[str, Any]:
    start = time.process_time()
    # As the workers of sweeps: the number of threads changes the last bit of a sum, and with it the forecast.
    with threadpool_limits(1, user_api="blas"):
        figure = diagrams.DIAGRAMS[shown.name]()
    with files.replacing(folder / f"{shown.name}.png") as temporary:
        figure.savefig(temporary, dpi=150)
    return {"seconds": time.process_time() - start}


# ------------------------------------------------------------------------------------------------------------ the pages

# What the page of all reports needs of each.
_USED = ("shown", "experiment", "scale", "plan", "note", "missing", "findings", "seconds", "error")


def _about(content: Mapping[str, Any]) -> list[str]:
    """Return what a report is made of, as sentences."""
    said = [f"Ours: {content['note']}."] if content["note"] else []
    return said + ([f"All tasks took {duration(content['seconds'], 0)} on one core."] if content["seconds"] else [])


def _warnings(content: Mapping[str, Any]) -> list[str]:
    """Return what a report lacks, as sentences."""
    said = [f"{sentence[0].upper()}{sentence[1:]}." for sentence in content["missing"]]
    if content["scale"] == "smoke" and content["experiment"]:
        size = content["plan"]
        said.append(
            f"Smoke scale, {size['neurons']} neurons, {size['seeds']} networks of each kind: "
            "that it runs is shown, not what holds."
        )
    return said


def _command(shown: Shown, content: Mapping[str, Any]) -> str:
    return sweeps.command(content) if shown.experiment else shown.command


HEAD = ["what the paper says", "paper", "here", "verdict"]


def _rows(content: Mapping[str, Any]) -> list[list[str]]:
    return [[f["what"], f["paper"], f["ours"], f["verdict"]] for f in content["findings"]]


def _found(content: Mapping[str, Any], title: str, note: str = "") -> Table:
    """Return what was found as a table; what is long is below its line."""
    rows = _rows(content)
    long = [ours.split("; ") if "; " in ours or len(ours) > 40 else [] for _, _, ours, _ in rows]
    short = [
        [what, paper, "" if parts else ours, verdict]
        for parts, (what, paper, ours, verdict) in zip(long, rows, strict=True)
    ]
    return Table(HEAD if rows else (), short, title, note, long)


def _markdown(page: Page, content: Mapping[str, Any]) -> str:
    """Return a page as Markdown, of its figures the names."""
    lines = [f"# {page.title}", "", f"`{page.command}`", "", page.about, *page.warnings, ""]
    if content["error"]:
        return "\n".join([*lines, f"Not made: {content['error']}", ""])
    tables: Tables = {one.title: [HEAD, *_rows(content)] for one in page.results} | content["tables"]
    shown = [f"![{one.caption}]({one.name}.png)" for one in page.figures]
    return "\n".join([*lines, *shown, "", markdown(tables) if tables else ""])


def _page(shown: Shown, content: Mapping[str, Any], folder: Path) -> Page:
    drawn = experiment(shown.experiment).draw if content["tables"] else diagrams.DIAGRAMS.get(shown.name)
    page = sweep_page(
        {**content, "seconds": {}},
        content["tables"],
        folder / f"{shown.name}.png",
        about=" ".join(_about(content)),
        caption=(caption_of(drawn) if drawn else "") or shown.title,
        command=_command(shown, content),
    )
    verdict = page.verdict if shown.experiment else Verdict("drawn", ("A diagram, drawn from the objects themselves.",))
    if content["error"]:
        page, verdict = replace(page, figures=()), Verdict("not made", (content["error"],))
    return replace(
        page,
        title=_titled(shown),
        verdict=verdict,
        warnings=tuple(_warnings(content)),
        results=(_found(content, "What the paper says, and what is found here"),) if content["findings"] else (),
        more=page.results,
        options=page.options if shown.experiment else (),
        links=(("all tables and figures", f"../{INDEX}"),),
    )


def _index_page(found: Sequence[tuple[Shown, Mapping[str, Any]]]) -> Page:
    head = ["", "shows", "scale", "on one core", "held", "not or in part", "untested"]
    rows = [[_called(shown), shown.title, *_counted(content)] for shown, content in found]
    parts = [_found(one, _titled(shown), " ".join([*_about(one), *_warnings(one)])) for shown, one in found]
    origin = {"versions": versions(), "commit": commit()}
    return Page(
        title="The paper's tables and figures",
        about="The tables and figures of arXiv 2403.03409: what the paper says, its number, ours, and whether ours is "
        "as good: worse by no more than two of both errors together. What was measured on something else is not "
        "judged.",
        verdict=claims_verdict([finding for _, content in found for finding in content["findings"]]),
        warnings=tuple(f"{_called(shown)} was not made: {one['error']}" for shown, one in found if one["error"]),
        results=(Table(head, rows, links=[f"{shown.name}/{shown.name}.html" for shown, _ in found]), *parts),
        provenance=provenance(origin),
        command="\n".join(dict.fromkeys(_command(shown, content) for shown, content in found)),
        citation=cited(origin),
    )


def _counted(content: Mapping[str, Any]) -> list[str]:
    verdicts = [f["verdict"] for f in content["findings"]]
    held, untested = verdicts.count(findings.HELD), verdicts.count(findings.UNTESTED)
    took = duration(content["seconds"], 0) if content["seconds"] else "-"
    counts = [str(held), str(len(verdicts) - held - untested), str(untested)] if verdicts else ["-"] * 3
    return [content["scale"] if content["experiment"] else "-", took, *counts]


def _called(shown: Shown) -> str:
    """Return the name as one writes it.

    >>> _called(chosen(["fig10"])[0])
    'Figure 10'
    """
    kind = "Figure" if shown.name.startswith("fig") else "Table"
    return f"{kind} {shown.name.lstrip('abcdefghijklmnopqrstuvwxyz')}"


def _titled(shown: Shown) -> str:
    return f"{_called(shown)}: {shown.title}"
