"""What networks are worth at equal operations: figures 11 and 12, whose networks are the same.

LNP prunes in a few iterations, and its networks at several of them are kept. Of the size of each there are networks
made in other ways, and activity pruning goes down to the operations of the last. These have the spectral radius of the
unpruned network and, but for activity pruning, its neurons' mean inputs; LNP's are as LNP leaves them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lnpbrian.checks import InvalidInput
from lnpbrian.experiments.common.bed import bed_measured, plus_minus
from lnpbrian.experiments.common.plan import LORENZ, Plan, network_at
from lnpbrian.experiments.common.plotting import COLORS
from lnpbrian.experiments.common.statistics import claimed, mean_and_error
from lnpbrian.network import NetworkSpec
from lnpbrian.pruning.controls import at_radius, magnitude_pruning, random_network, thinned
from lnpbrian.streams import Streams
from lnpbrian.sweep import Result, Task

__all__ = [
    "AP",
    "METHODS",
    "MODEL",
    "Rows",
    "better",
    "claims",
    "control_of",
    "curve",
    "few_seeds",
    "forecast_with",
    "lines",
    "network",
    "small_plan",
    "stops",
    "summary",
]

Report = Callable[[float, str], None]
Rows = Sequence[Mapping[str, Any]]

MODEL = "HRSNN"
# Its activity is that under Lorenz-63, on which it trains by STDP in turns.
AP = "AP on Lorenz-63"
CONTROLS = ("even and connected", "random", "magnitude")
METHODS = ("LNP", *CONTROLS, AP)
# Where networks are of full size: iterations, networks that are kept of them, and what is removed of the synapses.
ITERATIONS, POINTS, SPARSITY = 10, 5, 0.99
SEEDS = 5


def small_plan(plan: Plan) -> Plan:
    """Return a plan of pruning in few iterations, without removing neurons."""
    s = plan.scale
    few = min(s.path_iterations, ITERATIONS)
    # A small network has no synapses to spare.
    sparsity = s.synapse_sparsity if s.neurons < 400 else dict.fromkeys(s.synapse_sparsity, SPARSITY)
    return replace(plan, scale=replace(s, path_iterations=few, neurons_of_figures=0.0, synapse_sparsity=sparsity))


def few_seeds(plan: Plan) -> range:
    """Return the seeds of the networks, five at most."""
    return plan.seeds[:SEEDS]


def stops(plan: Plan) -> list[int]:
    """Return the iterations whose networks are kept."""
    whole = small_plan(plan).scale.path_iterations
    return sorted({round(k) for k in np.linspace(0, whole, min(POINTS, whole) + 1)[1:]})


def network(plan: Plan, method: str, seed: int, stop: int) -> Task:
    """The task of a network by its method and the iteration; 0 is the unpruned one, whatever the method."""
    small = small_plan(plan)
    unpruned = small.network(MODEL, "unpruned", seed)
    if method == "uncoupled":
        return control_of(small, method, MODEL, seed, unpruned)
    if stop == 0:
        return unpruned
    if method in CONTROLS:
        return control_of(small, method, MODEL, seed, network(plan, "LNP", seed, stop))
    path = small.path(MODEL, "LNP" if method == "LNP" else "AP", seed, stops(plan))
    return Task(
        f"{method} after {stop} iterations, seed {seed}",
        f"{__name__}:at_stop",
        {"stop": stop, "seed": seed, "at_radius": method != "LNP"},
        (path, unpruned),
        cost=0.1,
    )


def control_of(plan: Plan, method: str, model: str, seed: int, like: Task) -> Task:
    """The task of making a network of the size of another, of the same unpruned one."""
    return Task(
        f"{method}, of the size of: {like.name}",
        f"{__name__}:control",
        {"method": method, "seed": seed},
        (like, plan.network(model, "unpruned", seed)),
        cost=0.1,
    )


def forecast_with(plan: Plan, network: Task, seed: int) -> Task:
    """The task of training a network by STDP and forecasting Lorenz-63, of which one variable is seen."""
    like = plan.forecast(MODEL, "unpruned", "STDP", LORENZ, seed)
    (learnt,) = like.needs
    trained = Task(f"STDP on {LORENZ}: {network.name}", learnt.function, learnt.options, (network,))
    return Task(f"forecast of {LORENZ}: {network.name}", like.function, like.options, (trained,), cost=2)


# ------------------------------------------------------------------------------------------------------------ the units


def at_stop(options: Mapping[str, Any], path: Result, unpruned: Result, *, report: Report) -> Result:
    """Return a network at a stop of a path, if asked at the spectral radius of the unpruned one."""
    spec = network_at(path, options["stop"])
    if options["at_radius"]:
        _, response = bed_measured(NetworkSpec.from_arrays(unpruned.arrays), options["seed"])
        spec = at_radius(spec, response.spectral_radius, response=response)
    return Result({"neurons": spec.n_alive, "synapses": spec.n_synapses}, spec.to_arrays())


def control(options: Mapping[str, Any], like: Result, unpruned: Result, *, report: Report) -> Result:
    """Return a network of the size of another, with the mean inputs and the spectral radius of the unpruned one.

    Random networks of LNP's size: arXiv 2403.03409, section 4.1.
    """
    method, seed = options["method"], options["seed"]
    full, small = (NetworkSpec.from_arrays(one.arrays) for one in (unpruned, like))
    _, response = bed_measured(full, seed)
    rates, rng = response.rates, Streams(seed).child("control").rng(method)
    n, synapses = small.n_alive, small.n_synapses
    if method == "uncoupled":
        spec = full.uncoupled(rates)
    elif method == "even and connected":
        spec = thinned(full, n_synapses=synapses, rng=rng, sampling="even", connected=True, rates=rates)
    elif method == "random":
        spec = random_network(full, n_neurons=n, n_synapses=synapses, rng=rng, rates=rates)
    elif method == "magnitude":
        spec = magnitude_pruning(full, n_neurons=n, n_synapses=synapses, per_sign=True, rates=rates)
    else:
        raise InvalidInput(f"unknown way {method!r} to a smaller network; use uncoupled or one of {CONTROLS}")
    spec = at_radius(spec, response.spectral_radius, response=response)
    return Result({"neurons": spec.n_alive, "synapses": spec.n_synapses}, spec.to_arrays())


# ---------------------------------------------------------------------------------------------------------- the summary


def better(rows: Rows, value: str, method: str, seed: int) -> dict[int, float]:
    """Return by how much LNP's value is higher than a method's at LNP's operations, by iteration, for one seed.

    The method's value is interpolated over the logarithm of the operations, from the unpruned network on. Where it
    has no network of as few operations, that of its fewest counts.

    What is claimed: arXiv 2403.03409, section B.4.

    Examples
    --------
    >>> def row(method, stop, operations, x):
    ...     return {"method": method, "seed": 0, "stop": stop, "synaptic_operations": operations, "x": x}
    >>> rows = [row("unpruned", 0, 100, 5.0), row("LNP", 1, 10, 4.0), row("AP", 1, 1, 1.0)]
    >>> better(rows, "x", "AP", 0)  # half way between 5 and 1
    {1: 1.0}
    """
    mine = [r for r in rows if r["seed"] == seed]
    points = sorted((np.log10(r["synaptic_operations"]), r[value]) for r in mine if r["method"] in ("unpruned", method))
    x, y = zip(*points, strict=True)
    return {
        r["stop"]: float(r[value] - np.interp(np.log10(r["synaptic_operations"]), x, y))
        for r in mine
        if r["method"] == "LNP"
    }


def summary(rows: Rows, value: str) -> list[dict[str, Any]]:
    """Return means over networks by method and iteration, with LNP's lead at its own operations."""
    made = []
    seeds = sorted({r["seed"] for r in rows})
    for method, stop in dict.fromkeys((r["method"], r["stop"]) for r in rows):
        mine = [r for r in rows if (r["method"], r["stop"]) == (method, stop)]
        lead = None
        if method not in ("unpruned", "uncoupled", "LNP"):
            lead = mean_and_error([better(rows, value, method, seed)[stop] for seed in seeds])
        made.append(
            {
                "method": method,
                "iteration": stop,
                "neurons": float(np.mean([r["neurons"] for r in mine])),
                "synapses": float(np.mean([r["synapses"] for r in mine])),
                "readout_neurons": float(np.mean([r["readout_neurons"] for r in mine])),
                "synaptic_operations": float(np.mean([r["synaptic_operations"] for r in mine])),
                value: mean_and_error([r[value] for r in mine]),
                "LNP is better by": lead,
            }
        )
    return made


def claims(rows: Rows, value: str, text: str, *, unit: float = 1.0, name: str = "") -> list[dict[str, Any]]:
    """Return for each method whether LNP is better at equal operations, in the mean over its networks of a seed.

    What is claimed: arXiv 2403.03409, section B.4.
    """
    seeds = sorted({r["seed"] for r in rows})
    made = []
    for method in dict.fromkeys(r["method"] for r in rows):
        if method in ("unpruned", "uncoupled", "LNP"):
            continue
        leads = [unit * float(np.mean(list(better(rows, value, method, seed).values()))) for seed in seeds]
        mean, error = mean_and_error(leads)
        # Of one network nothing is known.
        held = bool(len(leads) > 1 and mean > 2 * error)
        made.append(claimed(text.format(method=method), [(f"{name}{mean:+.2f} ± {error:.2f}", held)]))
    return made


def lines(entries: Sequence[Mapping[str, Any]], value: str, label: str, *, unit: float, digits: int) -> list[list[str]]:
    """Return a table of what `summary` says, its head first."""
    full = next(r["synaptic_operations"] for r in entries if r["method"] == "unpruned")
    made = [["network", "neurons", "read", "synapses", "operations", "ratio", label, "LNP is better by"]]
    for r in entries:
        operations, lead = r["synaptic_operations"], r["LNP is better by"]
        made.append(
            [
                r["method"],
                *(f"{r[name]:.0f}" for name in ("neurons", "readout_neurons", "synapses")),
                f"{operations:,.0f}",
                "-" if r["method"] == "uncoupled" else f"{full / operations:.1f}",
                plus_minus([unit * x for x in r[value]], digits),
                "-" if lead is None else plus_minus([unit * x for x in lead], digits),
            ]
        )
    return made


STYLES: dict[str, dict[str, Any]] = {
    "LNP": {"color": COLORS["LNP"], "marker": "o", "linewidth": 2.0},
    "even and connected": {"color": "tab:cyan", "marker": "s", "linewidth": 1.0},
    "random": {"color": COLORS["random"], "marker": "^", "linewidth": 1.0},
    "magnitude": {"color": "tab:purple", "marker": "v", "linewidth": 1.0},
    "AP": {"color": COLORS["AP"], "marker": "D", "linewidth": 1.0},
    AP: {"color": "tab:red", "marker": "d", "linewidth": 1.0},
}


def curve(axis: Axes, entries: Sequence[Mapping[str, Any]], value: str, *, unit: float = 1.0) -> None:
    """Draw means with their standard errors over operations, a line for each method.

    Figures 11 and 12 of arXiv 2403.03409.
    """
    full = next(r for r in entries if r["method"] == "unpruned")
    axis.axhline(unit * full[value][0], color="black", linewidth=0.7, linestyle=":")
    axis.errorbar(
        full["synaptic_operations"], unit * full[value][0], unit * full[value][1], fmt="o", color="black", capsize=3,
        label="unpruned",
    )  # fmt: skip
    for method in dict.fromkeys(r["method"] for r in entries):
        if method in ("unpruned", "uncoupled"):
            continue
        mine = sorted((r for r in entries if r["method"] == method), key=lambda r: r["synaptic_operations"])
        x = [r["synaptic_operations"] for r in mine]
        mean, error = ([unit * r[value][k] for r in mine] for k in range(2))
        axis.errorbar(x, mean, error, capsize=2, markersize=5, label=method, **STYLES[method])
    axis.set_xscale("log")
