"""Where scores count: networks with structure, pruned to a twentieth with scores and without them.

    lnpbrian sweep structured --scale medium --seeds 8 --out runs/structured

Clusters, chains of clusters with input to the first one, weights with a heavy tail, weights that STDP has trained, and
a random network as the control. All ways keep as many synapses, the mean input of every neuron, and the spectral radius
times the factor that suits each of them best on networks of other seeds. On these the best way with scores and the best
without are chosen too, so that of many comparisons one is asked on the networks that are reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
from brian2 import ms
from matplotlib.figure import Figure

from lnpbrian.experiments.common import (
    Plan,
    Report,
    Result,
    Streams,
    Task,
    all_rows,
    claimed,
    finish,
    mean_and_error,
    means,
    plus_minus,
    ranking,
    ratios,
    where,
)
from lnpbrian.experiments.common.bed import (
    as_small,
    bed_drive,
    bed_response,
    bed_samples,
    best_choice,
    largest_weights,
    paired,
    restored,
    unbound,
    worth,
)
from lnpbrian.learning import CurrentEncoder, evaluate_benchmarks, train_stdp
from lnpbrian.learning.benchmarks import STREAMS, draw_stream
from lnpbrian.models import CHRSNN, HRSNN, LIFParameters, gamma_time_constants
from lnpbrian.models.drawing import DrawnNetwork, random_pairs
from lnpbrian.network import LinearResponse, NetworkSpec, RecurrentNetwork, slow_response, synaptic_operations
from lnpbrian.pruning import NoisePruning, Step

NAME = "structured"
SCORES = ("memory", "capacity", "mackey_glass_30")
RATIO = 20.0
FACTORS, TUNING, TUNING_SEED, FIRST_SEED = (0.85, 1.0, 1.2), 3, 1000, 300
NETWORKS = ("random", "clusters", "chain", "chain, strong bridges", "heavy tail", "STDP")
# Those in which synapses between clusters are counted.
BRIDGED = ("clusters", "chain", "chain, strong bridges")
SCORED: dict[str, tuple[Step | str, ...]] = {
    "LNP": ("I", "III"),
    **{
        f"{strength}, {sampling}": (NoisePruning(edge_strength=strength, sampling=sampling),)
        for strength in ("lyapunov", "response", "weight")
        for sampling in ("even", "independent")
    },
    "response, independent, 1/p": (NoisePruning(edge_strength="response", sampling="independent", rescale="inverse"),),
    "magnitude per sign": (),
}
UNSCORED = {"even and connected": "even and connected", "even, no scores": "even", "random": "random"}
METHODS = ("unpruned", *SCORED, *UNSCORED)
# Of small networks, which are there to see that all works.
FEW = ("unpruned", "LNP", "even and connected", "random")
# Of chains: clusters, the probabilities of a synapse inside and to the next one, and how much stronger the latter are
# in one of the two, in which two fifths of the capacity are left without them (seeds of tuning).
CLUSTERS, INSIDE, BRIDGES, STRONGER = 5, 0.45, 0.05, 3.0
HEAVY_TAIL = 1.5
# Samples of Mackey-Glass by which STDP trains, of another series than the one that is forecast: after as many, weights
# stay where they are, one part in twenty from where they were.
TRAINING, OTHER_SERIES = 1000, 10_000


def methods(plan: Plan) -> tuple[str, ...]:
    """Return the ways of pruning that are compared."""
    return METHODS if plan.scale.neurons >= 400 else FEW


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the evaluations by network, method and seed."""
    neurons, samples = min(plan.scale.neurons, 400), bed_samples(plan)

    def needs(network: str, method: str, seed: int) -> tuple[Task, Task]:
        options = {"neurons": neurons, "network": network, "seed": seed, "training": TRAINING if neurons == 400 else 40}
        full = Task(f"{network}, seed {seed}", f"{__name__}:built", options, cost=2 if network == "STDP" else 0.5)
        how = {"method": method, "seed": seed, "ratio": RATIO if neurons == 400 else 5.0}
        how["iterations"] = plan.scale.iterations
        return full, Task(f"{network} pruned by {method}, seed {seed}", f"{__name__}:pruned", how, (full,))

    made = {}
    for network in NETWORKS:
        for method in methods(plan):
            tuning = [
                Task(
                    f"{network}, {method}, factor {factor:g}, tuning seed {seed}",
                    f"{__name__}:tried",
                    {"seed": TUNING_SEED + seed, "factor": factor, "samples": samples, "network": network},
                    needs(network, method, TUNING_SEED + seed),
                )
                for factor in (FACTORS if neurons == 400 else (1.0,))
                for seed in range(TUNING if neurons == 400 else 1)
            ]
            for seed in range(max(plan.scale.seeds, 2)):
                options = {"network": network, "method": method, "seed": FIRST_SEED + seed, "samples": samples}
                name = f"{network} by {method}, seed {seed}, benchmarks"
                known = needs(network, method, FIRST_SEED + seed)
                made[network, method, seed] = Task(name, f"{__name__}:evaluated", options, (*known, *tuning))
    return made


def built(options: Mapping[str, Any], *, report: Report) -> Result:
    """Build a network, and measure its rates."""
    report(0.0, "building")
    network, neurons, seed = options["network"], options["neurons"], options["seed"]
    usual, common = LIFParameters.recurrent(), {"check_rate": False, "seed": seed}
    if network == "clusters":
        spec = CHRSNN(neurons, 0.1, parameters=usual, **common).spec
    elif network.startswith("chain"):
        spec = chain(neurons, seed, stronger=1.0 if network == "chain" else STRONGER)
    elif network == "STDP":
        spec = _trained(HRSNN(neurons, 0.1, parameters=usual, plastic=True, **common).spec, options, report)
    else:
        spread = HEAVY_TAIL if network == "heavy tail" else usual.weight_spread
        spec = HRSNN(neurons, 0.1, parameters=replace(usual, weight_spread=spread), **common).spec
    return Result({"synapses": spec.n_synapses}, {**spec.to_arrays(), "rates": bed_response(spec, seed).rates})


def chain(neurons: int, seed: int, stronger: float = 1.0) -> NetworkSpec:
    """Return clusters in a row, dense inside, with few synapses from each to the next, so many times stronger.

    Examples
    --------
    >>> spec = chain(60, 0)
    >>> np.unique(spec.cluster[spec.post] - spec.cluster[spec.pre])
    array([0, 1], dtype=int32)
    """
    chosen, streams = LIFParameters.recurrent(), Streams(seed).child("chain")
    cluster, rng = np.arange(neurons) * CLUSTERS // neurons, streams.rng("connections")
    members = [np.flatnonzero(cluster == c) for c in range(CLUSTERS)]
    pairs = [random_pairs(a, a, INSIDE, rng) for a in members]
    pairs += [random_pairs(a, b, BRIDGES, rng) for a, b in pairwise(members)]
    pre, post = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    tau = gamma_time_constants(neurons, shape=3.0, mean=20e-3, dt=float(chosen.dt), rng=streams.rng("time constants"))
    how: dict[str, Any] = {"parameters": chosen, "plastic": False, "check_rate": False, "streams": streams}
    spec = DrawnNetwork("chain", time_constants=tau, cluster=cluster, pre=pre, post=post, **how).spec
    strong = replace(spec, weights=spec.weights * np.where(cluster[pre] == cluster[post], 1.0, stronger))
    rates = slow_response(spec).rates
    return replace(strong, bias=spec.bias + spec.mean_input(rates) - strong.mean_input(rates))


def _trained(spec: NetworkSpec, options: Mapping[str, Any], report: Report) -> NetworkSpec:
    """Return a network with the weights that STDP has learnt from a series, its mean inputs and radius as before."""
    seed = options["seed"]
    series = draw_stream("mackey_glass", max(options["training"], 200), seed=OTHER_SERIES + seed)
    shown = series.shown[: options["training"]]
    rng = Streams(seed).child(NAME).rng("training input")
    encoder = CurrentEncoder.draw(spec.n_neurons, 1, scale=STREAMS["mackey_glass"], rng=rng)
    learnt = train_stdp(
        spec, encoder, shown, sample_time=100 * ms, rng=rng, report=lambda fraction: report(fraction, "STDP")
    ).spec
    plain = replace(spec, plasticity=None)
    return restored(replace(learnt, plasticity=None), plain, bed_response(plain, seed))


def _built(arrays: Mapping[str, np.ndarray]) -> tuple[NetworkSpec, LinearResponse]:
    """Return an unpruned network and its response."""
    spec = NetworkSpec.from_arrays({name: array for name, array in arrays.items() if name != "rates"})
    return spec, slow_response(spec, rates=arrays["rates"])


def pruned(options: Mapping[str, Any], built: Result, *, report: Report) -> Result:
    """Prune a network; what is left has its mean inputs, and weights up to one factor."""
    (full, response), method, seed = _built(built.arrays), options["method"], options["seed"]
    rates, ratio = response.rates, options["ratio"]
    if method == "unpruned":
        spec = full
    elif method in UNSCORED:
        rng = Streams(seed).child(NAME).rng(method)
        spec = as_small(UNSCORED[method], full, n_synapses=round(full.n_synapses / ratio), rng=rng)
    elif method == "magnitude per sign":
        spec = largest_weights(full, rates, synaptic_operations(rates, full.pre) / ratio)
    else:
        model = RecurrentNetwork(full, plastic=False)
        removed = {"synapse_sparsity": 1 - 1 / ratio, "neuron_sparsity": 0.0, "iterations": options["iterations"]}
        unbound(model, SCORED[method], removed, drive=bed_drive(full, seed), seed=seed, report=report, end=1.0)
        spec = model.spec
    return Result({"synapses": spec.n_synapses}, spec.to_arrays())


def _scaled(built: Result, pruned: Result, factor: float) -> tuple[NetworkSpec, NetworkSpec, LinearResponse]:
    """Return a pruned network at a factor of the radius, the unpruned one, and the response of the pruned one."""
    full, response = _built(built.arrays)
    spec = restored(NetworkSpec.from_arrays(pruned.arrays), full, response, factor)
    return spec, full, response.of_synapses(spec.pre, spec.post, spec.weights)


def _receives(spec: NetworkSpec, network: str) -> np.ndarray | None:
    """Return which neurons get input: of a chain those of its first cluster."""
    return spec.cluster == 0 if network.startswith("chain") else None


def tried(options: Mapping[str, Any], built: Result, pruned: Result, *, report: Report) -> Result:
    """Return the capacity of a pruned network at a factor of the radius."""
    spec, _, _ = _scaled(built, pruned, options["factor"])
    how = {"seed": options["seed"], "samples": options["samples"], "receives": _receives(spec, options["network"])}
    score = evaluate_benchmarks(spec, names=["capacity"], **how).scores["capacity"]
    return Result({"factor": options["factor"], "capacity": score})


def evaluated(options: Mapping[str, Any], built: Result, pruned: Result, *tried: Result, report: Report) -> Result:
    """Return what a pruned network is worth, at the factor that was best on other networks."""
    best, capacity = best_choice([result.record for result in tried], "factor")
    factor = best["factor"]
    spec, full, response = _scaled(built, pruned, factor)
    receives = _receives(spec, options["network"])
    found = worth(spec, SCORES, options, report, span=(0.0, 1.0), receives=receives)
    row = {
        **{name: options[name] for name in ("network", "method", "seed")},
        "factor": factor,
        "tuning_capacity": capacity,
        "synapses": spec.n_synapses,
        "operations": found.synaptic_operations,
        "mean_rate_hz": found.mean_rate,
        "spectral_radius": response.spectral_radius,
        "bridges_kept": bridges_kept(full, spec),
        **found.scores,
    }
    return Result({"rows": [row]})


def bridges_kept(full: NetworkSpec, spec: NetworkSpec) -> float:
    """Return the fraction of the synapses between clusters that are still there; 0 where there are none.

    Examples
    --------
    >>> full = chain(60, 0)
    >>> bridges_kept(full, full.of_synapses(full.cluster[full.pre] == full.cluster[full.post]))
    0.0
    """
    between = full.cluster[full.pre] != full.cluster[full.post]
    keys, left = (x.pre.astype(int) * x.n_neurons + x.post for x in (full, spec))
    return float(np.isin(keys[between], left).mean()) if between.any() else 0.0


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of single networks, means, scores against none, and what became of the claims."""
    rows = sorted(all_rows(results), key=lambda r: r["seed"])
    table, against = [], []
    for network in NETWORKS:
        found = {method: where(rows, network=network, method=method) for method in methods(plan)}
        for method, mine in found.items():
            line: dict[str, Any] = {"network": network, "method": method}
            line |= {name: mine[0][name] for name in ("factor", "tuning_capacity")}
            line["operation_ratio"] = mean_and_error(ratios(found["unpruned"], mine, "operations"))
            table.append(line | means(mine, (*SCORES, "synapses", "mean_rate_hz", "spectral_radius", "bridges_kept")))
        best = {kind: chosen(table, network, kind) for kind in ("scored", "unscored")}
        for method, other in product(SCORED, UNSCORED):
            if {method, other} <= set(methods(plan)):
                differences = {name: paired(found[method], found[other], name) for name in SCORES}
                both = best == {"scored": method, "unscored": other}
                against.append({"network": network, "method": method, "other": other, "chosen": both, **differences})
    return {"table": table, "against": against, "claims": _claims(against), "rows": rows}


def chosen(table: Sequence[Mapping[str, Any]], network: str, kind: str) -> str:
    """Return the way, "scored" or "unscored", of the largest capacity on the networks that factors are chosen on."""
    names = SCORED if kind == "scored" else UNSCORED
    mine = [r for r in where(table, network=network) if r["method"] in names]
    return str(max(mine, key=lambda r: r["tuning_capacity"])["method"])


def _claims(against: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    def parts(which: Sequence[Mapping[str, Any]], name: str) -> list[tuple[str, bool]]:
        return [
            (
                f"{r['network']}, {r['method']} against {r['other']}: {plus_minus(r[name], 3)}",
                bool(r[name][0] >= 3 * r[name][1] and r[name][0] > 0),
            )
            for r in which
        ]

    best = [r for r in against if r["chosen"]]
    return [
        *(
            claimed(
                f"The best way with scores beats the best without by three standard errors in {name}", parts(best, name)
            )
            for name in SCORES
        ),
        *(
            claimed(
                f"{network}: scores beat {other} by three standard errors in capacity",
                parts(where(against, network=network, other=other), "capacity"),
            )
            for network in NETWORKS
            for other in ("random", "even and connected")
        ),
    ]


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return the best with scores against the best without, and a table for every network, heads first."""
    lines = [["network", "with scores", "without", *(f"better in {name}" for name in SCORES)]]
    for r in content["against"]:
        if r["chosen"]:
            lines.append([r["network"], r["method"], r["other"], *(plus_minus(r[name], 3) for name in SCORES)])
    made = {"Chosen on other networks": lines}
    head = ["pruned by", "operations: ratio", "factor", "rate (Hz)", "spectral radius", "bridges kept", *SCORES]
    for r in content["table"]:
        kept = plus_minus(r["bridges_kept"], 3) if r["network"] in BRIDGED else "-"
        cells = [r["method"], f"{r['operation_ratio'][0]:.1f}", f"{r['factor']:g}", plus_minus(r["mean_rate_hz"], 1)]
        cells += [plus_minus(r["spectral_radius"], 2), kept]
        cells += [plus_minus(r[name], 3 if name == "mackey_glass_30" else 2) for name in SCORES]
        made.setdefault(r["network"], [head]).append(cells)
    return made


def _color(method: str) -> str:
    return "black" if method == "unpruned" else "tab:blue" if method in SCORED else "tab:green"


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the capacity and the error of every network and way of pruning."""
    figure = Figure(figsize=(3.2 * len(NETWORKS), 8), layout="constrained")
    axes = figure.subplots(2, len(NETWORKS), sharey=True)
    for column, network in enumerate(NETWORKS):
        mine = where(content["table"], network=network)
        for axis, name in zip(axes[:, column], ("capacity", "mackey_glass_30"), strict=True):
            values = {r["method"]: r[name] for r in mine}
            ranking(axis, values, _color)
            axis.axvline(values["unpruned"][0], color="black", linewidth=0.6)
            axis.set_xlabel("capacity" if name == "capacity" else "Mackey-Glass 30: NRMSE")
        axes[0, column].set_title(network)
    return finish(figure)
