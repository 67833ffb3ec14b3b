"""Pages in a browser: they load nothing, complain of nothing, and are readable on a telephone."""

import json
import shutil
from pathlib import Path

import pytest
from brian2 import ms
from report_runs import draw, image_run, network, resnet_run, series_run, write_run

from lnpbrian import figures, plot
from lnpbrian.experiments import reproduce
from lnpbrian.experiments.common.plan import SCALES, Plan
from lnpbrian.experiments.reproduce import Reproduction, chosen
from lnpbrian.experiments.sweeps import rewrite_page
from lnpbrian.lyapunov.stability import SpectrumOptions, stability_record
from lnpbrian.network.graph import graph_statistics
from lnpbrian.records import versions, write_json
from lnpbrian.report.page import REPORT
from lnpbrian.report.runs import write_report
from lnpbrian.sweep import ResultStore
from lnpbrian.sweep.cluster import ClusterOptions

pytestmark = pytest.mark.browser

RESULTS = Path(__file__).parent.parent / "experiments" / "results"
QUIET = ("no-sandbox", "disable-gpu", "disable-background-networking", "disable-component-update", "disable-sync")
LONG = "I: kept 1495 of 4057 synapses; covariance exact: relative residual 6.9e-16 after 4 doublings; " * 3


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on the PATH")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=[f"--{flag}" for flag in QUIET])
        yield opened
        opened.close()


def of_run(folder, content):
    content.get("history", [{}])[-1]["status"] = [LONG]
    drawn = write_run(folder, content)
    # As wide as a run draws them.
    for name in drawn:
        draw(folder / f"{name}.png", size=(1800, 480))
    write_report(folder)
    return folder / REPORT, len(drawn)


def series(folder):
    return of_run(folder, series_run(graph={"before": graph_statistics(network(30, 400))}, warning="mean rate rose"))


def images(folder):
    # One word that is wider than the page.
    content = image_run(classes=("a", "b"))
    content["options"]["task"]["name"] = "digits" * 30
    content["options"]["command"]["data"] = "/folder" * 30
    return of_run(folder, content)


def resnet(folder):
    return of_run(folder, resnet_run())


def sweep(name):
    def made(folder):
        for suffix in (".json", ".png"):
            shutil.copy(RESULTS / f"{name}{suffix}", folder)
        content = json.loads((folder / f"{name}.json").read_text())
        assert content["claims"]
        rewrite_page(folder / f"{name}.json")
        return folder / f"{name}.html", 1

    return made


def spectra(folder):
    options = SpectrumOptions(duration=100 * ms, transient=20 * ms)
    records = [stability_record(network(30, 400), "folder/" * 30 + name, options=options, seed=0) for name in "ab"]
    write_json(folder / "spectrum.json", {"versions": versions(), "networks": records})
    for name, made in figures.SPECTRUM_FIGURES.items():
        plot.save(made(records), folder / f"{name}.png")
    write_report(folder)
    return folder / REPORT, 2


def reproduction(folder):
    """The page of a table, and of all, of results that are kept."""

    def kept(name, plan, where, **_):
        write_json(where / f"{name}.json", json.loads((RESULTS / f"{name}.json").read_text()))
        shutil.copy(RESULTS / f"{name}.png", where)
        return json.loads((where / f"{name}.json").read_text())

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reproduce, "run_experiment", kept)
        for name in ("table2", "table5"):
            (folder / "sweeps" / name).mkdir(parents=True)
        store = ResultStore(folder / "store")
        with Reproduction(folder, Plan(SCALES["medium"], {}), "medium", store, ClusterOptions(workers=1)) as made:
            for shown in chosen(["table2", "table5"]):
                assert made.show(shown)["error"] is None


def table(folder):
    reproduction(folder)
    return folder / "table2" / "table2.html", 1


def index(folder):
    reproduction(folder)
    return folder / "index.html", 0


@pytest.mark.parametrize(
    "make",
    [series, images, resnet, sweep("table2"), sweep("kept"), spectra, table, index],
    ids=["series", "images", "resnet", "table2", "kept", "spectra", "reproduced", "index"],
)
@pytest.mark.parametrize("width", [400, 1200])
def test_page_in_a_browser(browser, tmp_path, make, width):
    path, figures = make(tmp_path)
    asked, said = [], []
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri(), wait_until="load")
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert said == []
    # The page does not scroll sideways, its tables do.
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.eval_on_selector_all(".box", "all => all.map(box => [box.clientWidth, box.scrollWidth])")
    assert all(inner <= width for inner, _ in boxes)
    assert width > 400 or not figures or any(outer > inner for inner, outer in boxes)
    widths = page.eval_on_selector_all("img", "all => all.map(image => image.naturalWidth)")
    assert len(widths) == figures
    assert all(natural > 0 for natural in widths)
    # What each step said is read without scrolling.
    ends = page.eval_on_selector_all("tr.below div", "all => all.map(one => one.getBoundingClientRect().right)")
    assert all(end <= width for end in ends)
    assert ends or make in (resnet, table, index)
    page.close()


@pytest.mark.parametrize("make", [series, images, resnet])
def test_a_printed_page_is_not_cut(browser, tmp_path, make):
    path, _ = make(tmp_path)
    # A4 at 96 dots per inch, with the margins of browsers.
    page = browser.new_page(viewport={"width": 718, "height": 1000})
    page.emulate_media(media="print")
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    # What is folded on the screen is printed.
    rows = page.eval_on_selector_all("details tr", "all => all.map(row => row.getBoundingClientRect().height)")
    assert len(rows) > 10
    assert min(rows) > 0
    page.close()


def test_links_between_pages_lead_there_and_back(browser, tmp_path):
    path, _ = index(tmp_path)
    page = browser.new_page()
    page.goto(path.as_uri())
    page.click("text=Table 5 >> nth=0")
    assert page.url == (tmp_path / "table5" / "table5.html").as_uri()
    assert page.title().startswith("Table 5: ")
    page.click("text=all tables and figures")
    assert page.url == path.as_uri()
    page.close()


def test_text_is_dark_on_white(browser, tmp_path):
    path, _ = series(tmp_path)
    page = browser.new_page()
    page.goto(path.as_uri())
    colours = page.eval_on_selector_all(
        "body *", "all => all.filter(one => one.innerText).map(one => [getComputedStyle(one).color, one.tagName])"
    )
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for colour, _ in colours:
        red, green, blue = (int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        # WCAG 2.2, 1.4.3: a contrast of at least 4.5.
        assert 1.05 / (luminance + 0.05) >= 4.5
    page.close()
