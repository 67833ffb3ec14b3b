"""What the site adds to the pages of docs/: a page for each experiment, links that hold there, the gallery's order."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from lnpbrian.experiments import EXPERIMENTS, PAPER, STUDIES, summary

DOCS = Path(__file__).parent
ROOT = DOCS.parent
RESULTS = ROOT / "experiments" / "results"
EXPERIMENT_PAGES = "auto_experiments"

# Of the gallery, in the order of the site.
GALLERY = (
    *("own_script", "rewire", "compact"),
    *("spectrum", "converged", "known_exponents", "recurrence_matters"),
    *("ways_of_pruning", "forecast", "stdp", "images", "resnet_depth"),
    *("nir", "slurm", "paper_figure"),
)


class GalleryOrder:
    """Sorts the pages of the gallery; those that are not known come last."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> int:
        stem = Path(name).stem
        return GALLERY.index(stem) if stem in GALLERY else len(GALLERY)

    def __repr__(self) -> str:
        return "GalleryOrder"


def reset_brian2(conf: dict[str, Any], name: str) -> None:
    """Forget the Brian2 objects and seeds of the last page of the gallery."""
    import brian2

    brian2.start_scope()
    brian2.seed(0)


def command(name: str) -> str:
    """Return the first command of the text of an experiment.

    >>> command("fig9")
    'lnpbrian sweep fig9 --scale medium --out runs/fig9'
    """
    room = "paper" if name in PAPER else "studies"
    text = (ROOT / "experiments" / room / f"{name}.py").read_text(encoding="utf-8")
    found = re.search(rf"^ *(lnpbrian sweep {name} .*)$", text, flags=re.MULTILINE)
    if found is None:
        raise ValueError(f"the text of experiment {name} has no line 'lnpbrian sweep {name} ...'")
    return found[1].strip()


def experiment_table() -> str:
    """Return which command draws which table or figure, as Markdown."""
    parts = []
    for title, names in (("The paper's tables and figures", PAPER), ("Studies beside them", STUDIES)):
        rows = [
            f"| {summary(name)} | `{command(name)}` | [{_kept(name)}]({EXPERIMENT_PAGES}/{name}.md) |" for name in names
        ]
        parts.append(
            "\n".join([f"## {title}", "", "| what is shown | command | results here |", "|---|---|---|", *rows])
        )
    return "\n\n".join(parts) + "\n"


def experiment_page(name: str) -> str:
    """Return the page of an experiment: its command, and the figure and the tables that are kept of it."""
    kept = ""
    if (RESULTS / f"{name}.md").exists():
        tables = (RESULTS / f"{name}.md").read_text(encoding="utf-8")
        kept = f"![{summary(name)}](../../experiments/results/{name}.png)\n\n{tables}\n"
        kept += f"All numbers: [{name}.json](../../experiments/results/{name}.json).\n"
    else:
        kept = "No results of it are kept here; `--scale smoke` shows in minutes what comes out.\n"
    return f"# {name}\n\n{summary(name)}\n\n```sh\n{command(name)}\n```\n\n{kept}"


def write_experiments(folder: Path) -> None:
    """Write a page for each experiment and the table of all, where they have changed."""
    folder.mkdir(exist_ok=True)
    pages = {"table.md": experiment_table(), **{f"{name}.md": experiment_page(name) for name in EXPERIMENTS}}
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()


def site_links(text: str) -> str:
    """Return a page whose links to results lead to their pages, and whose links to folders are text.

    Other files outside docs are offered as downloads.

    >>> site_links("[kept](../experiments/results/kept.md), [models/](../models), [guide](guide.md)")
    '[kept](auto_experiments/kept.md), models/, [guide](guide.md)'
    """
    text = re.sub(r"\]\(\.\./experiments/results/(\w+)\.md\)", rf"]({EXPERIMENT_PAGES}/\1.md)", text)

    def kept(link: re.Match[str]) -> str:
        if (DOCS / link[2]).is_dir():
            return link[1]
        # A link to a page that is none of the site is an error to MyST, to any other file a download.
        return f"{{download}}`{link[1]} <{link[2]}>`" if link[2].endswith(".md") else link[0]

    return re.sub(r"(?<!!)\[([^\]]*)\]\((\.\./[^)#]*)\)", kept, text)


def _kept(name: str) -> str:
    return "table and figure" if (RESULTS / f"{name}.md").exists() else "none yet"


def _rewrite(app: Any, docname: str, source: list[str]) -> None:
    if os.path.dirname(docname) == "" and (DOCS / f"{docname}.md").exists():
        source[0] = site_links(source[0])


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", lambda app: write_experiments(DOCS / EXPERIMENT_PAGES))
    app.connect("source-read", _rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
