"""Call what is public with wrong arguments: each call works, or says in one line what was wrong.

Not a part of the suite: ``python tests/fuzz/calls.py --count 12000 --seed 1`` makes that many calls, each a call that
works with one or two of its arguments replaced by something odd, under a limit of time. It prints how many were taken,
how many refused, and every call that ended in anything but `InvalidInput` with one line, or did not end. A short part
is ``tests/test_fuzz_calls.py``.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import os
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import (
    BrianLogger,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeMonitor,
    Synapses,
    ms,
    nS,
    prefs,
    second,
    volt,
)
from harness import alarm, attempt

import lnpbrian
from lnpbrian import learning, lyapunov, models, network, pruning
from lnpbrian.learning import metrics
from lnpbrian.network import betweenness
from lnpbrian.pruning.steps import delocalise, localisation


def odd_values() -> list[Any]:
    """Return what people hand over by mistake."""
    values: list[Any] = [None, True, False, -1, 0, 1, 2, 3, 300, 2**40, 2**70, -(2**70), 0.0, 0.5, -0.5, 1.5, 1e-300]
    values += [
        1e308,
        np.nan,
        np.inf,
        -np.inf,
        1j,
        "",
        "x",
        "w",
        "v",
        "all",
        "[/b]",
        "\0",
        "a" * 10_000,
        b"x",
        [],
        (),
        {},
    ]
    values += [
        set(),
        [1],
        [1, 2, 3],
        [0.5] * 10,
        ["a"],
        [None],
        [[1, 2], [3]],
        [np.nan, 1.0],
        {"w": 1},
        {1, 2},
        object(),
    ]
    values += [lambda *a: None, range(3), iter([1, 2]), (x for x in [0.5]), int, Exception(), slice(None), Ellipsis]
    values += [
        np.float64(0.3),
        np.float32(2),
        np.int8(3),
        np.uint64(2**63),
        np.bool_(True),
        np.array(2.5),
        np.array([]),
    ]
    values += [np.zeros(3), np.zeros((2, 2)), np.zeros((0, 5)), np.full(20, np.nan), np.arange(20), -np.arange(20.0)]
    values += [np.ones(20, dtype=bool), np.ones(20, dtype=complex), np.array(["a", "b"]), np.array([None, 1])]
    values += [np.array(["2020-01-01"], dtype="datetime64[D]"), np.ma.masked_array([1.0, 2.0], [True, False])]
    values += [np.zeros(3, dtype=[("a", float)]), np.ones((3, 3, 3)), np.array([2**62]), np.random.default_rng(1)]
    values += [
        np.random.RandomState(1),
        1 * second,
        -1 * ms,
        0 * ms,
        20 * ms,
        1e300 * second,
        np.nan * second,
        3 * volt,
    ]
    values += [[1, 2] * ms, [] * ms, 5 * nS, Fraction(1, 3), Decimal("0.5"), Path("nowhere"), datetime.date(2020, 1, 1)]
    return values


@dataclass(frozen=True)
class Call:
    """Something public, and arguments with which it works, made anew for every call."""

    name: str
    function: Callable[..., Any]
    arguments: Callable[[], dict[str, Any]]


def small_network() -> dict[str, Any]:
    """Return the objects of a Brian2 network."""
    cells = NeuronGroup(20, "dv/dt = (I - v)/(10*ms) : 1\nI : 1", threshold="v > 1", reset="v = 0", method="exact")
    cells.v, cells.I = np.linspace(0, 0.9, 20), 1.3
    synapses = Synapses(cells, cells, "w : 1", on_pre="v_post += w", delay=1 * ms)
    synapses.connect(i=np.repeat(np.arange(20), 4), j=np.random.default_rng(0).integers(20, size=80))
    synapses.w = 0.01
    noise = PoissonGroup(2, 10 / second)
    monitor = SpikeMonitor(cells)
    net = Network(cells, synapses, noise, monitor)
    return {"network": net, "cells": cells, "synapses": synapses}


def calls() -> list[Call]:
    """Return everything public that takes arguments, with arguments that work."""
    spec = models.HRSNN(20, 0.3, check_rate=False).spec
    task = learning.forecast_task("lorenz63", n_windows=1)
    rng = np.random.default_rng
    quick = lnpbrian.PruneOptions(
        0.3, 0.1, iterations=1, realisations=1, observation=40 * ms, exponent_duration=20 * ms
    )
    short = {"duration": 40 * ms, "transient": 0 * ms}
    drive = network.noise_drive(20, duration=60 * ms, rng=rng(0))
    edges = {"pre": spec.pre, "post": spec.post, "weights": spec.weights}

    def of_network(**arguments: Any) -> Callable[[], dict[str, Any]]:
        def make() -> dict[str, Any]:
            parts = small_network()
            return {
                name: parts[value] if isinstance(value, str) and value in parts else value
                for name, value in arguments.items()
            }

        return make

    def of_fields(value: Any) -> Callable[[], dict[str, Any]]:
        return lambda: {f.name: getattr(value, f.name) for f in fields(value) if f.init}

    found = [
        Call(
            "HRSNN",
            models.HRSNN,
            lambda: {
                "neurons": 20,
                "connection_probability": 0.3,
                "time_constant_mean": 20 * ms,
                "time_constant_shape": 3.0,
                "parameters": None,
                "plastic": False,
                "check_rate": False,
                "seed": 0,
            },
        ),
        Call(
            "CHRSNN",
            models.CHRSNN,
            lambda: {
                "neurons": 20,
                "connection_probability": 0.3,
                "clusters": 4,
                "time_constant_means": None,
                "time_constant_shape": 3.0,
                "cluster_neighbours": 2,
                "rewiring": 0.1,
                "inside_over_between": 5.0,
                "parameters": None,
                "plastic": False,
                "check_rate": False,
                "seed": 0,
            },
        ),
        Call("MRSNN", models.MRSNN, lambda: {"neurons": 20, "connection_probability": 0.3, "check_rate": False}),
        Call("uncoupled", models.uncoupled, lambda: {"time_constants": [10, 20] * ms}),
        Call(
            "gamma_time_constants",
            models.gamma_time_constants,
            lambda: {"n": 5, "shape": 3.0, "mean": 0.02, "dt": 1e-3, "rng": rng(0)},
        ),
        Call("LIFParameters", models.LIFParameters, of_fields(models.LIFParameters())),
        Call("NetworkSpec", lnpbrian.NetworkSpec, of_fields(spec)),
        Call("PruneOptions", lnpbrian.PruneOptions, of_fields(quick)),
        *(Call(type(step).__name__, type(step), of_fields(step)) for step in lnpbrian.paper_steps()),
        Call(
            "noise_drive",
            network.noise_drive,
            lambda: {"n_neurons": 20, "duration": 60 * ms, "rng": rng(0), "standard_deviation": 0.3, "hold": 5 * ms},
        ),
        Call("Drive", network.Drive, lambda: {"values": np.zeros((3, 20)), "hold": 0.005}),
        Call(
            "simulate",
            network.simulate,
            lambda: {"spec": spec, "duration": 20 * ms, "drive": drive, "engine": "exact", "report": None},
        ),
        Call("compact", network.compact, lambda: {"network": models.HRSNN(20, 0.3, check_rate=False)}),
        Call(
            "run_time",
            network.run_time,
            lambda: {"network": models.HRSNN(20, 0.3, check_rate=False), "duration": 5 * ms, "repeats": 1},
        ),
        Call("remove_synapses", network.remove_synapses, of_network(synapses="synapses", where="i < 3", namespace={})),
        Call(
            "remove_synapses(keep)", network.remove_synapses, of_network(synapses="synapses", keep=np.arange(80) < 40)
        ),
        Call("add_synapses", network.add_synapses, of_network(synapses="synapses", pre=[1], post=[2], w=[0.1])),
        Call(
            "duplicate_synapses",
            network.duplicate_synapses,
            of_network(synapses="synapses", donors=[0], pre=[1], post=[2], weight="w"),
        ),
        Call(
            "silence_neurons",
            network.silence_neurons,
            of_network(neurons="cells", indices=[1], synapses="synapses", mute=True, I=0),
        ),
        Call("mute_neurons", network.mute_neurons, of_network(neurons="cells", indices=[1])),
        Call("connectivity", network.connectivity, of_network(synapses="synapses", weight="w")),
        Call(
            "LiveNetwork",
            network.LiveNetwork,
            of_network(
                network="network",
                synapses="synapses",
                weight="w",
                inhibitory=(),
                time_constant=10 * ms,
                state="v",
                input="I",
                protect=(),
                namespace={},
            ),
        ),
        Call(
            "prune",
            lnpbrian.prune,
            of_network(
                network="network",
                steps=("I",),
                options=replace(quick, neuron_sparsity=0),
                drive=None,
                seed=0,
                checkpoint=None,
                report=None,
            ),
        ),
        Call(
            "prune(model)",
            lnpbrian.prune,
            lambda: {
                "network": models.HRSNN(20, 0.3, check_rate=False),
                "steps": ("I", "II"),
                "options": replace(quick, rates=(0, 500)),
                "drive": None,
                "seed": 0,
                "checkpoint": None,
                "report": None,
            },
        ),
        Call("with_options", pruning.with_options, lambda: {"steps": lnpbrian.paper_steps()}),
        Call(
            "noise_prune",
            pruning.noise_prune,
            lambda: {
                **edges,
                "exponents": -np.ones(20),
                "time_constants": np.full(20, 0.02),
                "resolution": 1.0,
                "rng": rng(0),
                "fraction": 0.5,
                "rates": np.ones(20),
                "options": None,
            },
        ),
        Call(
            "lyapunov_spectrum",
            lnpbrian.lyapunov_spectrum,
            lambda: {
                "network": spec,
                "n_exponents": 2,
                **short,
                "reorthonormalise_every": 10 * ms,
                "inputs": None,
                "trajectory": "exact",
                "rng": rng(0),
                "report": None,
            },
        ),
        Call(
            "tangent_twin_exponents",
            lyapunov.tangent_twin_exponents,
            lambda: {
                "spec": spec,
                "drive": drive,
                **short,
                "renormalise_every": 20 * ms,
                "realisations": 1,
                "spikes": None,
                "rng": rng(0),
                "report": None,
            },
        ),
        Call(
            "block_twin_exponents",
            lyapunov.block_twin_exponents,
            lambda: {
                "spec": spec,
                "drive": drive,
                **short,
                "renormalise_every": 20 * ms,
                "realisations": 1,
                "perturbation": 1e-8,
                "directions": "fresh",
                "rng": rng(0),
            },
        ),
        Call(
            "rate_network_spectrum",
            lyapunov.rate_network_spectrum,
            lambda: {
                "weights": np.eye(3),
                "dt": 0.1,
                "n_exponents": 2,
                "duration": 5.0,
                "transient": 1.0,
                "reorthonormalise_every": 1.0,
                "rng": rng(0),
            },
        ),
        Call(
            "map_spectrum",
            lyapunov.map_spectrum,
            lambda: {
                "step": lambda x: 0.5 * x,
                "jacobian": lambda x: 0.5 * np.eye(2),
                "state": np.ones(2),
                "n_exponents": 1,
                "duration": 10,
                "transient": 1,
                "rng": rng(0),
            },
        ),
        Call(
            "flow_spectrum",
            lyapunov.flow_spectrum,
            lambda: {
                "velocity": lambda x: -x,
                "jacobian": lambda x: -np.eye(2),
                "state": np.ones(2),
                "step": 0.1,
                "n_exponents": 1,
                "duration": 5.0,
                "transient": 1.0,
                "rng": rng(0),
            },
        ),
        Call("interpolate_spectrum", lyapunov.interpolate_spectrum, lambda: {"exponents": [1.0, 0.0, -1.0], "size": 5}),
        Call("kaplan_yorke_dimension", lyapunov.kaplan_yorke_dimension, lambda: {"exponents": [1.0, 0.0, -2.0]}),
        Call("entropy_rate", lyapunov.entropy_rate, lambda: {"exponents": [1.0, 0.0, -2.0]}),
        Call("Series", learning.Series, of_fields(replace(learning.lorenz63(300), training_part=200))),
        Call(
            "lorenz63",
            learning.lorenz63,
            lambda: {"samples": 50, "start": (1.0, 1.0, 1.0), "step": 0.01, "sigma": 10.0},
        ),
        Call(
            "mackey_glass",
            learning.mackey_glass,
            lambda: {"tau": 17, "samples": 50, "start": None, "steps_per_delay": 50},
        ),
        Call("read_series", learning.read_series, lambda: {"path": "nowhere.csv"}),
        Call(
            "forecast_task",
            learning.forecast_task,
            lambda: {"series": "lorenz63", "data": None, "protocol": "short", "n_windows": 1},
        ),
        Call("autoregression", learning.autoregression, lambda: {"task": task, "lags": 2, "ridge": None}),
        Call("next_generation_reservoir", learning.next_generation_reservoir, lambda: {"task": task, "ridge": None}),
        Call("CurrentEncoder", learning.CurrentEncoder, lambda: {"weights": np.ones((20, 3))}),
        Call("ReadoutOptions", learning.ReadoutOptions, of_fields(learning.ReadoutOptions())),
        Call("BPOptions", learning.BPOptions, of_fields(learning.BPOptions())),
        Call(
            "nrmse",
            metrics.nrmse,
            lambda: {"forecast": np.zeros((5, 2)), "truth": np.ones((5, 2)), "sigma": np.ones(2)},
        ),
        Call("smape", metrics.smape, lambda: {"forecast": np.zeros((5, 2)), "truth": np.ones((5, 2))}),
        Call("valid_prediction_time", metrics.valid_prediction_time, lambda: {"trace": np.ones(5), "threshold": 0.1}),
        Call(
            "betweenness",
            betweenness.betweenness_centrality,
            lambda: {"pre": [0, 1], "post": [1, 2], "n": 3, "weights": None},
        ),
        Call(
            "delocalising_edges",
            delocalise.delocalising_edges,
            lambda: {"pre": [0, 1, 2], "post": [1, 2, 3], "n_neurons": 4, "count": 1},
        ),
        Call(
            "delocalisation_report",
            localisation.delocalisation_report,
            lambda: {"pre": [0, 1], "post": [1, 0], "n_neurons": 2},
        ),
    ]
    return found


@dataclass(frozen=True)
class Outcome:
    """What came of a call: "taken", "refused", or what is wrong with it."""

    call: str
    replaced: str
    what: str
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether it is neither taken nor refused."""
        return self.what not in ("taken", "refused")


def outcome(call: Call, replaced: dict[str, Any]) -> Outcome:
    """Return what comes of one call."""
    shown = ", ".join(f"{name}={_shown(value)}" for name, value in replaced.items())
    arguments = call.arguments() | replaced
    what, detail = attempt(lambda: call.function(**arguments))
    return Outcome(call.name, shown, "taken") if what == "done" else Outcome(call.name, shown, what, detail)


def _shown(value: Any) -> str:
    try:
        return " ".join(f"{type(value).__name__} {value!r}".split())[:60]
    except Exception:  # what cannot be shown is odd enough
        return type(value).__name__


def tried(count: int, seed: int, only: str = "") -> Iterator[Outcome]:
    """Make calls in turn, of every function each argument with values drawn from the odd ones."""
    warnings.simplefilter("ignore")
    BrianLogger.suppress_hierarchy("lnpbrian")
    prefs.codegen.target = "numpy"

    with alarm():
        chosen = [call for call in calls() if only in call.name]
        for call in chosen:
            works = outcome(call, {})
            if works.is_fault:
                yield works
        draw = random.Random(seed)
        pairs = [(call, name) for call in chosen for name in call.arguments()]
        for number in range(count):
            call, name = pairs[number % len(pairs)]
            replaced = {name: draw.choice(odd_values())}
            if name == "report" and callable(replaced[name]):
                continue  # a report of the caller's own fails as it likes
            if name == "options" and replaced[name] is None and call.name.startswith("prune("):
                continue  # a whole run of ten iterations
            if draw.random() < 0.2:
                replaced[draw.choice(list(call.arguments()))] = draw.choice(odd_values())
            yield outcome(call, replaced)
            if number % 200 == 0:
                gc.collect()


def main() -> int:
    """Print what came of the calls, and return 1 if there are faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of the name of a function")
    parser.add_argument("--taken", action="store_true", help="print the calls that were taken too")
    chosen = parser.parse_args()
    found: Counter[str] = Counter()
    os.chdir(tempfile.mkdtemp())  # where folders are made of odd names
    for one in tried(chosen.count, chosen.seed, chosen.only):
        found[one.what] += 1
        if one.is_fault or (chosen.taken and one.what == "taken"):
            print(f"{one.what}: {one.call}({one.replaced}) {one.detail}", flush=True)
    print(dict(found))
    return int(any(what not in ("taken", "refused") for what in found))


if __name__ == "__main__":
    sys.exit(main())
