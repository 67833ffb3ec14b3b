"""The documentation site is complete: pages, reference, gallery and experiments; `make docs` builds it."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import lnpbrian.learning
import lnpbrian.lyapunov
import lnpbrian.models
import lnpbrian.network
import lnpbrian.pruning
from lnpbrian.experiments import EXPERIMENTS, summary

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GALLERY = sorted((DOCS / "gallery").glob("*.py"))
PACKAGES = ("network", "models", "lyapunov", "pruning", "learning", "plot")


@pytest.fixture(scope="module")
def site():
    description = importlib.util.spec_from_file_location("site_pages", DOCS / "site_pages.py")
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return module


def toctrees(page: Path) -> list[str]:
    """Return the pages that the toctrees of a page name."""
    text = page.read_text()
    blocks = re.findall(r"```\{toctree\}\n(.*?)```", text, flags=re.DOTALL)
    blocks += re.findall(r"\.\. toctree::\n((?: +.*\n|\n)*)", text)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(":")]


def test_every_page_is_reached_from_the_first_one():
    reached, waiting = set(), ["index"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        for suffix in (".md", ".rst"):
            if not name.startswith("auto_") and (page := DOCS / f"{name}{suffix}").exists():
                folder = "" if "/" not in name else name.rsplit("/", 1)[0] + "/"
                waiting += [folder + other for other in toctrees(page) if folder + other not in reached]
    pages = {path.stem for path in DOCS.glob("*.md")} | {f"reference/{p.stem}" for p in DOCS.glob("reference/*.rst")}
    assert pages <= reached
    made = {"auto_gallery/index", "auto_experiments/*"}
    assert made <= reached
    assert reached - made == pages


def listed(page: Path) -> set[tuple[str, str]]:
    """Return the module and the name of everything that the autosummaries of a page list."""
    found, module, inside = set(), "", False
    for line in page.read_text().splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split()[-1]
        if line.strip():
            inside = line.startswith((".. autosummary::", "   ")) and (inside or line.startswith(".. autosummary::"))
        if inside and re.fullmatch(r"   \w+", line):
            found.add((module, line.strip()))
    return found


def test_every_public_name_is_in_the_reference_once():
    pages = sorted((DOCS / "reference").glob("*.rst"))
    names = [entry for page in pages for entry in listed(page)]
    assert len(names) == len(set(names))
    public = set()
    for package in PACKAGES:
        name = f"lnpbrian.{package}"
        if importlib.util.find_spec(name):
            module = importlib.import_module(name)
            public |= {(name, each) for each in module.__all__}
    shared = {n for n in lnpbrian.__all__ if n != "__version__"} - {n for _, n in public}
    assert set(names) == public | {("lnpbrian", n) for n in shared}


def test_every_experiment_has_a_page_and_a_line_in_the_table(site, tmp_path):
    site.write_experiments(tmp_path)
    table = (tmp_path / "table.md").read_text()
    for name in EXPERIMENTS:
        page = (tmp_path / f"{name}.md").read_text()
        command = f"lnpbrian sweep {name} "
        assert summary(name) in page
        assert command in page
        (row,) = [line for line in table.splitlines() if f"/{name}.md)" in line]
        assert summary(name) in row
        assert command in row
    assert "{include} auto_experiments/table.md" in (DOCS / "commands.md").read_text()


def test_a_page_of_an_experiment_that_is_gone_goes(site, tmp_path):
    (tmp_path / "former.md").write_text("# former\n")
    site.write_experiments(tmp_path)
    assert not (tmp_path / "former.md").exists()


def test_links_of_pages_hold_on_the_site(site):
    kept = "[b](../benchmarks/bench_scale.json) ![f](../experiments/results/kept.png) [g](guide.md)"
    assert site.site_links(kept) == kept
    assert site.site_links("[k](../experiments/results/kept.md)") == "[k](auto_experiments/kept.md)"
    assert site.site_links("[models/](../models)") == "models/"
    assert site.site_links("[r](../README.md)") == "{download}`r <../README.md>`"


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_a_page_of_the_gallery_has_a_title_a_text_and_a_figure(path):
    code = path.read_text()
    title, line, _, *text = ast.get_docstring(ast.parse(code)).splitlines()
    assert set(line) == {"="}
    assert len(line) >= len(title)
    assert len(" ".join(text)) > 100
    assert re.search(r"plt\.subplots\(", code)
    assert len(re.findall(r"[xy]label=", code)) >= 1
    # The package says by its public names what the page is about.
    assert re.search(r"^from lnpbrian|^import lnpbrian", code, flags=re.MULTILINE) or '"lnpbrian", "sweep"' in code
    # Random numbers have seeds.
    assert "np.random.rand" not in code
    assert "default_rng()" not in code


def test_the_gallery_has_an_order(site):
    assert {path.stem for path in GALLERY} == set(site.GALLERY)
    assert len(GALLERY) >= 12


def test_the_page_of_results_has_the_table_of_the_results():
    page = (ROOT / "experiments" / "results" / "kept.md").read_text()
    table = page.split("**At a 37th of the operations**\n\n")[1].split("\n\n")[0]
    assert table in (DOCS / "results.md").read_text()
