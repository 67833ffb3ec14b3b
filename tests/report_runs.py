"""Folders of made-up runs, and a reader of pages."""

import base64
import copy
import io
import math
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import numpy as np
from brian2 import ms
from PIL import Image

from lnpbrian import figures
from lnpbrian.jobs import PruneJob
from lnpbrian.models import uncoupled
from lnpbrian.records import plain, versions, write_json
from lnpbrian.resnets import ResNetJob

# Elements that have no end.
VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """What a page has: elements with attributes, tables as rows of cells, and text."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.tables, self.texts = [], [], {}, []
        self.title = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "div" and dict(attrs).get("class") == "box":
            self.title = dict(attrs)["aria-label"]
        if tag == "table":
            self.tables[self.title] = []
        if tag == "tr":
            self.below = dict(attrs).get("class") == "below"
            self.tables[self.title].append([])
        if tag in ("td", "th"):
            self.tables[self.title][-1].append("")
            self.kind = dict(attrs).get("class", "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.texts.append(data)
        if {"td", "th"} & set(self.open):
            # Powers of ten are raised.
            data = data.replace("\N{MIDDLE DOT}10", "e")
            self.tables[self.title][-1][-1] += data.strip() if "p" not in self.open else data

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def rows(self, title):
        """The rows of a table by their first cell, values and errors apart."""
        return {row[0]: row[1:] for row in self.tables[title][1:]}


def pictures(page):
    """Return the embedded figures by their caption."""
    found = {}
    for image in page.of("img"):
        head, _, data = image["src"].partition(",")
        assert head == "data:image/png;base64"
        found[image["alt"]] = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    return found


def draw(path, *, seed=0, size=(120, 60)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    # A figure has large areas of few colours.
    pixels = np.repeat(np.repeat(pixels[::20, ::20], 20, axis=0), 20, axis=1)
    Image.fromarray(pixels).save(path)
    return pixels


def network(neurons=30, synapses=60, *, seed=0, silent=0):
    rng = np.random.default_rng(seed)
    alive = np.arange(neurons) < neurons - silent
    ends = rng.integers(0, neurons - silent, (2, synapses)).astype(np.int32)
    return replace(
        uncoupled(np.full(neurons, 10.0) * ms), pre=ends[0], post=ends[1], weights=np.ones(synapses), alive=alive
    )


def network_state(**more):
    return {
        "neurons": 30,
        "synapses": 400,
        "mean_rate_hz": 36.2,
        "largest_exponent_per_s": 6.2,
        "largest_exponent_standard_error_per_s": 7.4,
        "window_exponent_per_s": 42.9,
        "spectral_radius": 1.01,
        **more,
    }


def forecast_state(nrmse, vpt, operations, **more):
    return {
        "task_rate_hz": 33.4,
        "synaptic_operations": operations,
        "readout_neurons": 30,
        "nrmse": float(np.mean(nrmse)),
        "nrmse_median": float(np.median(nrmse)),
        "readout_operations": 1039297,
        "vpt_steps": float(np.mean(vpt)),
        "nrmse_windows": list(nrmse),
        "vpt_windows": list(vpt),
        **more,
    }


def image_state(correct, operations, **more):
    p = float(np.mean(correct))
    return {
        "accuracy": p,
        "accuracy_standard_error": math.sqrt(p * (1 - p) / len(correct)),
        "task_rate_hz": 39.3,
        "synaptic_operations": operations,
        "readout_operations": 15729.4,
        "synaptic_operations_with_readout": operations + 15729.4,
        "energy_joules": 9e-13 * operations,
        "energy_with_readout_joules": 9e-13 * (operations + 15729.4),
        "energy_with_memory_joules": 1e-11 * (operations + 15729.4),
        "readout_neurons": 30,
        "correct": "".join("01"[int(c)] for c in correct),
        **more,
    }


def record(iteration, synapses, *status, **more):
    return {
        **network_state(synapses=synapses),
        "iteration": iteration,
        "stable": True,
        "status": list(status),
        "seconds": {"I": 0.5, "observation": 1.0},
        **more,
    }


@cache
def usual(**changes):
    """Return recorded options; a job checks its data, which takes a second."""
    return plain(PruneJob(neurons=30, seed=3, **changes))


def series_run(before=(0.9, 0.5, 0.7), after=(0.8, 0.55, 0.6), none=(1.2, 1.1, 1.3), *, job=None, **more):
    """Return the record of a run on a series."""
    return {
        "seed": 3,
        "versions": versions(),
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "options": {
            "model": "HRSNN",
            "neurons": 30,
            "task": {
                **{"name": "lorenz63_x", "windows": len(before), "train": 500, "warm_up": 50, "horizon": 20},
                **{"lyapunov_time_steps": 22.08, "columns": ["x"], "notes": []},
            },
            "command": plain(job) if job else copy.deepcopy(usual(task="lorenz63_x", windows=3)),
        },
        "before": network_state() | forecast_state(before, [3, 1, 5][: len(before)], 21284803),
        "after": network_state(synapses=60, largest_exponent_per_s=-2.0, largest_exponent_standard_error_per_s=0.4)
        | forecast_state(after, [1, 1, 3][: len(after)], 1114600),
        "uncoupled": {"neurons": 30, "synapses": 0, "spectral_radius": 0.0}
        | forecast_state(none, [0, 1, 4][: len(none)], 0),
        "ratios": {"synaptic_operations": 19.1, "neuron_sparsity": 0.0, "synapse_sparsity": 0.85},
        "status": "all iterations done",
        "iteration": 1,
        "warning": "",
        "history": [record(0, 400), record(1, 60, "I: kept 60 of 400 synapses", "II: no neuron to remove")],
        "seconds": {"forecast before": 19.8, "prune": 27.8},
        **more,
    }


def image_run(before=None, after=None, *, classes=("0", "1"), **more):
    """Return the record of a run on images."""
    rng = np.random.default_rng(0)
    before, after = (rng.random(200) < p if c is None else c for p, c in ((0.95, before), (0.94, after)))
    content = series_run()
    content["options"]["command"] = copy.deepcopy(usual(task="digits", windows=20))
    content["options"]["task"] = {
        **{"name": "digits", "train_images": 1297, "test_images": len(before), "shape": [8, 8, 1]},
        **{"classes": list(classes), "notes": ["split at random"]},
    }
    content |= {
        "before": network_state() | image_state(before, 32519.8),
        "after": network_state(synapses=60) | image_state(after, 1511.7),
        "uncoupled": {"neurons": 30, "synapses": 0, "spectral_radius": 0.0} | image_state(before, 0.0),
    }
    return content | more


def resnet_run(before=None, after=None, **more):
    """Return the record of a ResNet."""
    rng = np.random.default_rng(0)
    before, after = (rng.random(200) < p if c is None else c for p, c in ((0.95, before), (0.94, after)))

    def state(correct, weights):
        p = float(np.mean(correct))
        return {
            "accuracy": p,
            "standard_error": math.sqrt(p * (1 - p) / len(correct)),
            "correct": "".join("01"[int(c)] for c in correct),
            "synaptic_operations": 0.6 * weights,
            "operations_by_connection": {"block1.first": 0.4 * weights, "block1.second": 0.2 * weights},
            **{"stem_macs": 7744.0, "head_macs": 1280.0, "spikes": 1438.5, "weights": weights, "shortcuts": []},
            "sparsity": {"channels": 0.0, "neurons": 0.0, "weights": 1 - weights / 301056},
        }

    said = {"iteration": 1, "I": {"strength": "lyapunov", "weights": 15053}, "sparsity": {"weights": 0.95}}
    return {
        "resnet": plain(ResNetJob(seed=4)),
        **{"task": "digits", "data": None, "size": 32, "images": 400, "commit": None, "versions": versions()},
        **{"dense": state(before, 301056), "pruned": state(after, 15053)},
        "pruning": {"history": [said], "seen": "noise"},
        **more,
    }


def write_run(folder, content, *, pictures=True):
    """Write the files of a run, and return the pixels of its figures by name."""
    folder.mkdir(exist_ok=True)
    write_json(folder / "run.json", content)
    network().save(folder / "network.npz")
    names = figures.IMAGE_FIGURES if "accuracy" in content.get("before", {}) else figures.FIGURES
    if "resnet" in content or not pictures:
        return {}
    return {name: draw(folder / f"{name}.png", seed=k, size=(120 + 20 * k, 60)) for k, name in enumerate(names)}
