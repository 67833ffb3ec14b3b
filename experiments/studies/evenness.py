"""Why even degrees keep memory: networks thinned evenly or not, to one component or many, and their linear response.

    lnpbrian sweep evenness --scale medium --seeds 8 --out runs/evenness

No scores are used: networks differ in how even their inputs and outputs are, in their strong components, and in how
many synapses are kept. All have the mean input of every neuron from the unpruned network and its spectral radius, or,
where no cycle is left, its sum of squares of weights. Beside what they are worth stands what their linear response is
like, and how well its numbers say which network remembers more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import rankdata

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
    unlike,
    where,
)
from lnpbrian.experiments.common.bed import bed_response, bed_samples, paired, restored, worth
from lnpbrian.experiments.common.graphs import thinned_graph
from lnpbrian.experiments.common.spectra import MEASURES, measures
from lnpbrian.models import HRSNN, LIFParameters

NAME = "evenness"
SCORES = ("memory", "capacity", "mackey_glass_30")
# Seeds that are reported begin here: 300 to 302 were looked at while the measures were made.
FIRST_SEED = 310
DEGREES = {
    "even": (True, True),
    "even inputs": (True, False),
    "even outputs": (False, True),
    "uneven": (False, False),
}
DRAWN = (("ipr_leading", "capacity"), ("near_circle", "capacity"), ("expected_memory", "memory"))
JOINED = "even, joined cycles"
# Degrees that differ in one property.
COMPARED = {
    "even inputs": [("even", "even outputs"), ("even inputs", "uneven")],
    "even outputs": [("even", "even inputs"), ("even outputs", "uneven")],
    "both even": [("even", "uneven")],
}
MEASURES_OF_EFFECTS = ("ipr_leading", "departure", "near_circle", "abscissa", "gramian_rank", "expected_memory")


def ratios(plan: Plan) -> tuple[float, ...]:
    """Return the numbers of synapses of the unpruned networks over those that are kept."""
    return (10.0, 20.0, 37.0, 60.0) if plan.scale.neurons >= 400 else (4.0, 11.0)


def kinds(neurons: int, ratio: float) -> dict[str, tuple[bool, bool, str]]:
    """Return the networks of a ratio: whether inputs and outputs are even, and what components they have."""
    kept = 0.1 * neurons / ratio
    # With two synapses a neuron and more what is on cycles is one component anyway.
    components = ("as it comes", "many") if kept >= 1.9 else ("as it comes", "one", "many")
    made = {f"{name}, {parts}": (*even, parts) for (name, even), parts in product(DEGREES.items(), components)}
    return made | ({JOINED: (True, True, "joined cycles")} if kept > 1 else {})


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the networks by ratio, kind and seed."""
    neurons = min(plan.scale.neurons, 400)
    return {
        (ratio, kind, seed): Task(
            f"{kind}, ratio {ratio:g}, seed {seed}",
            f"{__name__}:evaluated",
            {
                **{"neurons": neurons, "ratio": ratio, "kind": kind, "how": list(how)},
                **{"seed": FIRST_SEED + seed, "samples": bed_samples(plan)},
            },
        )
        for ratio in ratios(plan)
        for kind, how in kinds(neurons, ratio).items()
        for seed in range(max(plan.scale.seeds, 2))
    }


def evaluated(options: Mapping[str, Any], *, report: Report) -> Result:
    """Return what a thinned network is worth, and what its linear response is like."""
    report(0.0, "building")
    seed, (inputs, outputs, components) = options["seed"], options["how"]
    parameters = LIFParameters.recurrent()
    full = HRSNN(options["neurons"], 0.1, parameters=parameters, check_rate=False, seed=seed).spec
    response = bed_response(full, seed)
    # Networks of equal degrees are the same draw, whatever is made of their components.
    rng = Streams(seed).child(NAME).rng(f"{inputs} {outputs} {components == 'joined cycles'}")
    count = round(full.n_synapses / options["ratio"])
    thin = thinned_graph(full, count=count, inputs=inputs, outputs=outputs, components=components, rng=rng)
    spec = restored(thin, full, response)
    found = worth(spec, SCORES, options, report, span=(0.0, 1.0))
    row = {
        **{name: options[name] for name in ("ratio", "kind", "seed")},
        "synapses": spec.n_synapses,
        "mean_rate_hz": found.mean_rate,
        "scaled_by": float(np.abs(spec.weights).sum() / np.abs(thin.weights).sum()),
        **measures(response.of_synapses(spec.pre, spec.post, spec.weights)),
        **found.scores,
    }
    return Result({"rows": [row]})


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return the rows of single networks, means, what each property changes, and what explains the memory."""
    rows = sorted(all_rows(results), key=lambda r: (r["ratio"], r["kind"], r["seed"]))
    table, effects = [], []
    for ratio in ratios(plan):
        for kind in kinds(400 if plan.scale.neurons >= 400 else plan.scale.neurons, ratio):
            numbers = (*SCORES, "spectral_radius", "mean_rate_hz", "scaled_by", *MEASURES)
            table.append({"ratio": ratio, "kind": kind, **means(where(rows, ratio=ratio, kind=kind), numbers)})
        effects += _effects(rows, ratio)
    explained = [
        {"score": score, "measure": name, **explains(rows, score, name)} for score in SCORES for name in MEASURES
    ]
    return {
        "table": table,
        "effects": effects,
        "explained": explained,
        "claims": _claims(effects, explained),
        "rows": rows,
    }


def _effects(rows: Sequence[Mapping[str, Any]], ratio: float) -> list[dict[str, Any]]:
    """Return by how much networks with a property are better than those without: other properties equal, by seed."""
    there = {r["kind"] for r in rows if r["ratio"] == ratio}
    parts = sorted({kind.partition(", ")[2] for kind in there} - {JOINED.partition(", ")[2]})
    compared = {name: [(f"{a}, {p}", f"{b}, {p}") for a, b in pair for p in parts] for name, pair in COMPARED.items()}
    compared["one component"] = [(f"{a}, one", f"{a}, as it comes") for a in DEGREES if "one" in parts]
    compared["many components"] = [(f"{a}, many", f"{a}, as it comes") for a in DEGREES]
    compared["one component, even degrees"] = [("even, one", "even, as it comes")] if "one" in parts else []
    compared["joined cycles"] = [(JOINED, "even, as it comes")] if JOINED in there else []
    compared["joined cycles against uneven"] = [(JOINED, "uneven, as it comes")] if JOINED in there else []
    found = []
    for name, all_pairs in compared.items():
        if all_pairs:
            line: dict[str, Any] = {"ratio": ratio, "property": name}
            for score in SCORES:
                line[score] = _mean_of_pairs(rows, ratio, all_pairs, score)
            for measure in MEASURES_OF_EFFECTS:
                one, other = (_mean_by_seed(rows, ratio, k, measure) for k in zip(*all_pairs, strict=True))
                line[measure] = mean_and_error(one - other)
            found.append(line)
    return found


def _mean_by_seed(rows: Sequence[Mapping[str, Any]], ratio: float, chosen: Sequence[str], name: str) -> np.ndarray:
    return np.mean([[r[name] for r in where(rows, ratio=ratio, kind=kind)] for kind in chosen], axis=0)


def _mean_of_pairs(
    rows: Sequence[Mapping[str, Any]], ratio: float, pairs: Sequence[tuple[str, str]], name: str
) -> list[float]:
    with_it, without = (
        [{name: x} for x in _mean_by_seed(rows, ratio, kind, name)] for kind in zip(*pairs, strict=True)
    )
    return paired(with_it, without, name)


def explains(rows: Sequence[Mapping[str, Any]], score: str, measure: str) -> dict[str, Any]:
    """Return rank correlations of a score and a measure, with standard errors by leaving out one seed after the other.

    "ratio 37": over all networks of a ratio. "given the ratio": of ranks within each ratio. "given the kind": of ranks
    within each ratio, less their mean over the networks of a kind. Errors are those of the jackknife (Efron and Stein
    1981, doi:10.1214/aos/1176345462).
    """
    seeds = sorted({r["seed"] for r in rows})
    whole = _correlations(rows, score, measure)
    parts = [_correlations([r for r in rows if r["seed"] != seed], score, measure) for seed in seeds]
    spread = np.sqrt(len(seeds) - 1)
    return {name: [value, float(spread * np.std([part[name] for part in parts]))] for name, value in whole.items()}


def _correlations(rows: Sequence[Mapping[str, Any]], score: str, measure: str) -> dict[str, float]:
    ratio, kind = np.array([r["ratio"] for r in rows]), np.array([r["kind"] for r in rows])
    ranks, left = np.empty((2, len(rows))), np.empty((2, len(rows)))
    values = np.array([[r[name] for r in rows] for name in (score, measure)])
    found = {}
    for one in np.unique(ratio):
        at = np.flatnonzero(ratio == one)
        ranks[:, at] = rankdata(values[:, at], axis=1) - (at.size + 1) / 2
        found[f"ratio {one:g}"] = _cosine(ranks[:, at])
        for other in np.unique(kind[at]):
            cell = at[kind[at] == other]
            left[:, cell] = ranks[:, cell] - ranks[:, cell].mean(axis=1, keepdims=True)
    return found | {"given the ratio": _cosine(ranks), "given the kind": _cosine(left)}


def _cosine(pair: np.ndarray) -> float:
    size = np.sqrt((pair**2).sum(axis=1).prod())
    return float(pair[0] @ pair[1] / size) if size > 0 else 0.0


def _claims(effects: Sequence[Mapping[str, Any]], explained: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    def better(text: str, which: str, errors: float, sign: int = 1, only: float | None = None) -> dict[str, Any]:
        chosen = [e for e in effects if e["property"] == which and e["ratio"] == (only or e["ratio"])]
        parts = [
            (
                f"ratio {e['ratio']:g}: {plus_minus(e['capacity'], 2)}",
                sign * e["capacity"][0] >= errors * e["capacity"][1],
            )
            for e in chosen
        ]
        return claimed(text, parts)

    def tells(text: str, names: Sequence[str], within: str) -> dict[str, Any]:
        chosen = [e for e in explained if e["score"] == "memory" and e["measure"] in names]
        parts = [
            (f"{MEASURES[e['measure']]}: {plus_minus(e[within], 2)}", abs(e[within][0]) >= 3 * e[within][1] > 0)
            for e in chosen
        ]
        return claimed(text, parts)

    iprs = ("ipr_right", "ipr_left", "ipr_leading")
    others = [name for name in MEASURES if name not in iprs]
    return [
        better("Even inputs raise the capacity by three standard errors", "even inputs", 3),
        better("Even outputs raise the capacity by three standard errors", "even outputs", 3),
        better("One component raises the capacity by three standard errors", "one component", 3),
        better("Many components lower the capacity by three standard errors", "many components", 3, -1),
        better("Joined cycles lower the capacity by two standard errors", "joined cycles", 2, -1),
        tells(
            "Inverse participation ratios tell the memory at a ratio, by three standard errors", iprs, "given the ratio"
        ),
        tells("The same among networks of one kind", iprs, "given the kind"),
        tells("Other measures tell the memory at a ratio, by three standard errors", others, "given the ratio"),
        tells("The same among networks of one kind", others, "given the kind"),
    ]


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return what networks are worth, what their responses are like, effects and correlations, heads first."""
    made: dict[str, list[list[str]]] = {}
    effects = [["ratio", "property", *(f"better in {name}" for name in SCORES), *MEASURES_OF_EFFECTS]]
    for e in content["effects"]:
        cells = [plus_minus(e[name], 2 if name != "mackey_glass_30" else 3) for name in SCORES]
        effects.append([f"{e['ratio']:g}", e["property"], *cells, *(plus_minus(e[m], 3) for m in MEASURES_OF_EFFECTS)])
    made["What a property changes"] = effects
    within = list(content["explained"][0])[2:]
    made["Rank correlations"] = [["score", "measure", *within]] + [
        [e["score"], MEASURES[e["measure"]], *(plus_minus(e[w], 2) for w in within)] for e in content["explained"]
    ]
    for r in content["table"]:
        head = ["network", *SCORES, "rate (Hz)", "weights times", "radius", *MEASURES.values()]
        lines = made.setdefault(f"Ratio {r['ratio']:g}", [head])
        cells = [plus_minus(r[name], 2 if name != "mackey_glass_30" else 3) for name in SCORES]
        cells += [plus_minus(r["mean_rate_hz"], 1), plus_minus(r["scaled_by"], 1), plus_minus(r["spectral_radius"], 2)]
        lines.append([r["kind"], *cells, *(plus_minus(r[m], 3 if m.startswith("ipr") else 2) for m in MEASURES)])
    return made


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw what networks are worth over numbers of their linear response."""
    found = sorted({r["ratio"] for r in content["rows"]})
    figure = Figure(figsize=(3.6 * len(found), 10), layout="constrained")
    axes = figure.subplots(len(DRAWN), len(found), squeeze=False, sharey="row")
    colors = dict(zip((*DEGREES, JOINED), ("tab:blue", "tab:cyan", "tab:orange", "0.5", "black"), strict=True))
    for column, ratio in enumerate(found):
        for row, (x, y) in enumerate(DRAWN):
            axis = axes[row, column]
            for kind in unlike(where(content["rows"], ratio=ratio), "kind"):
                mine = where(content["rows"], ratio=ratio, kind=kind)
                degrees, _, parts = kind.partition(", ")
                color = colors[JOINED if kind == JOINED else degrees]
                filled = {"as it comes": "o", "one": "s", "many": "x"}.get(parts, "*")
                axis.plot([r[x] for r in mine], [r[y] for r in mine], filled, color=color, markersize=4, label=kind)
            axis.set_xlabel(MEASURES[x])
            if column == 0:
                axis.set_ylabel(y)
        axes[0, column].set_title(f"ratio {ratio:g}")
    return finish(figure, legend_of=max(axes[0], key=lambda axis: len(axis.lines)), ncols=3)
