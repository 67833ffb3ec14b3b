"""How far noise pruning with the fast (local) covariance is from noise pruning with the exact one.

    lnpbrian sweep covariance_accuracy --scale medium --neurons 1500 --out runs/covariance_accuracy

For three families of networks and three densities,
unpruned, it compares the scores of the synapses, their keep probabilities, and the spectra of the networks that are
kept. Two controls: the score that only looks at degrees, strength (1/D_i + 1/D_j), which is what a row-dominant
diagonal leaves of the covariance to first order; and a diagonal without row dominance ("shift"), where the local
covariance misses the slow mode of the network. The exponents of the neurons are not measured but drawn from a normal
law of mean -20 /s and standard deviation 10 /s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import sparse
from scipy.stats import mannwhitneyu, spearmanr

from lnpbrian.checks import InvalidInput
from lnpbrian.experiments.common import Plan, Report, Result, Streams, Task, all_rows, finish
from lnpbrian.models import CHRSNN, HRSNN, gamma_time_constants
from lnpbrian.pruning.steps.covariance import LinearNetwork, linear_network, local_covariance, noise_covariance
from lnpbrian.pruning.steps.lyapunov_matrix import entries, estimated_lyapunov_matrix, lyapunov_matrix
from lnpbrian.pruning.steps.noise import keep_probability, keep_scores, sample_edges

NAME = "covariance_accuracy"
SEED = 0
FAMILIES = ("HRSNN", "CHRSNN", "heavy-tailed")
DENSITIES = (0.1, 0.02, 0.005)
KEPT = (0.5, 0.2, 0.05)
DRAWS = 10
MEAN_EXPONENT, EXPONENT_SPREAD = -20.0, 10.0
# One over the averaging time of exponents measured for a second.
RESOLUTION = 1.0
# Exponent of the power law of in- and out-degrees.
TAIL = 2.5

COLORS = dict(zip(FAMILIES, ("#1b3a57", "#d1495b", "#e3a857"), strict=True))
MARKERS = dict(zip(DENSITIES, ("o", "s", "^"), strict=True))


def network(family: str, neurons: int, density: float, seed: int) -> dict[str, np.ndarray]:
    """Return synapses, signs, time constants (s) and clusters of a network of the family."""
    if family == "heavy-tailed":
        return heavy_tailed(neurons, density, Streams(seed).rng("heavy-tailed"))
    spec = {"HRSNN": HRSNN, "CHRSNN": CHRSNN}[family](neurons, density, check_rate=False, seed=seed).spec
    return {
        "pre": spec.pre,
        "post": spec.post,
        "sign": np.sign(spec.weights),
        "time_constants": spec.time_constants,
        "cluster": spec.cluster,
    }


def heavy_tailed(neurons: int, density: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return a network whose in- and out-degrees follow independent power laws, cut at the number of neurons."""
    incoming, outgoing = 1 + rng.pareto(TAIL - 1, (2, neurons))
    likely = np.outer(incoming, outgoing)
    np.fill_diagonal(likely, 0)
    for _ in range(50):  # probabilities are cut at 1
        likely = np.minimum(likely * (density * neurons * (neurons - 1) / likely.sum()), 1)
    post, pre = np.nonzero(rng.random((neurons, neurons)) < likely)
    return {
        "pre": pre,
        "post": post,
        "sign": np.where(rng.random(neurons) < 0.8, 1.0, -1.0)[pre],
        "time_constants": gamma_time_constants(neurons, shape=3.0, mean=0.02, dt=1e-4, rng=rng),
        "cluster": np.zeros(neurons, dtype=int),
    }


def tasks(plan: Plan) -> dict[Any, Task]:
    """Return the comparisons by family and density."""
    made = {}
    for family in FAMILIES:
        for density in DENSITIES:
            options = {"family": family, "density": density, "neurons": plan.scale.neurons, "seed": SEED}
            made[family, density] = Task(f"{family}, {density:g}", f"{__name__}:measured", options)
    return made


def measured(options: Mapping[str, Any], *, report: Report) -> Result:
    """Compare scores, keep probabilities and kept networks of one network."""
    family, density, seed = options["family"], options["density"], options["seed"]
    net = network(family, options["neurons"], density, seed)
    return Result({"rows": compare(family, density, net, Streams(seed))})


def summarise(plan: Plan, results: Mapping[Any, Result]) -> dict[str, Any]:
    """Return a row for every family, density and diagonal."""
    return {"seeds": [SEED], "rows": all_rows(results)}


def compare(family: str, density: float, net: dict[str, np.ndarray], streams: Streams) -> list[dict[str, Any]]:
    """Return the rows of one network, one for each diagonal."""
    pre, post, sign, tau = net["pre"], net["post"], net["sign"], net["time_constants"]
    exponents = streams.rng("exponents").normal(MEAN_EXPONENT, EXPONENT_SPREAD, tau.size)
    strength = lyapunov_matrix(pre, post, exponents, resolution=RESOLUTION)
    estimate = estimated_lyapunov_matrix(
        pre, post, exponents, resolution=RESOLUTION, groups=net["cluster"], rng=streams.rng("overlap")
    )
    rows = []
    for diagonal in ("row-dominant", "shift"):
        linear = linear_network(pre, post, sign * strength, time_constants=tau, diagonal=diagonal)
        D = linear.D
        exact = keep_scores(pre, post, sign, strength=strength, covariance=noise_covariance(linear.A, 1.0).covariance)
        degree = strength * (1 / D[post] + 1 / D[pre])
        row: dict[str, Any] = {
            "family": family,
            "density": density,
            "synapses": int(pre.size),
            "diagonal": diagonal,
            "spearman_degree": spearman(degree, exact),
        }
        try:
            local = local_covariance(linear.A, 1.0, rng=streams.rng("connections"))
        except InvalidInput as refused:
            rows.append({**row, "refused": str(refused)})
            continue
        fast = keep_scores(pre, post, sign, strength=strength, covariance=local.covariance)
        row |= {
            "spearman_local": spearman(fast, exact),
            "largest_relative_error": float(np.abs(fast / exact - 1).max()),
            "reported_error": local.error,
        }
        if diagonal == "row-dominant":
            again = linear_network(pre, post, sign * estimate.lyapunov, time_constants=tau)
            C = local_covariance(again.A, 1.0, rng=streams.rng("connections")).covariance
            both = keep_scores(pre, post, sign, strength=estimate.lyapunov, covariance=C)
            row |= {
                "spearman_local_and_expected_overlap": spearman(both, exact),
                "expected_overlap_reported_error": estimate.error,
            }
        row["kept"] = [kept_row(k, exact, fast, degree, net, linear, streams, row) for k in KEPT]
        rows.append(row)
    return rows


def kept_row(
    fraction: float,
    exact: np.ndarray,
    fast: np.ndarray,
    degree: np.ndarray,
    net: dict[str, np.ndarray],
    linear: LinearNetwork,
    streams: Streams,
    row: dict[str, Any],
) -> dict[str, Any]:
    """Return what the two sets of keep probabilities, and draws with them, have in common at one target."""
    p, q, r = (keep_probability(scores, fraction=fraction).probability for scores in (exact, fast, degree))
    found: dict[str, Any] = {
        "fraction": fraction,
        "total_variation": total_variation(p, q),
        "total_variation_degree": total_variation(p, r),
        "largest_difference": float(np.abs(p - q).max()),
    }
    if row["diagonal"] != "row-dominant":
        return found
    draws = {}
    for name, probability in (("exact", p), ("local", q)):
        rng = streams.child(row["family"]).child(name).rng(round(1e4 * row["density"] + 1e2 * fraction))
        drawn = [spectral_errors(net, linear, probability, rng) for _ in range(DRAWS)]
        draws[name] = np.array(drawn).T
    for k, name in enumerate(("operator", "quadratic_form")):
        one, other = draws["exact"][k], draws["local"][k]
        found[name] = {
            "exact": [float(f"{x:.5g}") for x in one],
            "local": [float(f"{x:.5g}") for x in other],
            "mann_whitney_p": float(mannwhitneyu(one, other).pvalue),
        }
    return found


def spectral_errors(
    net: dict[str, np.ndarray], linear: LinearNetwork, probability: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    """Return how far one draw, its kept S divided by p, is from the network, E = D^-1/2 (A' - A) D^-1/2.

    The norm of E, which bounds the relative change of every quadratic form x^T A x against x^T D x, and the root mean
    square of that change over 100 normal vectors D^1/2 x.

    What is to be kept: the quadratic form of Moore and Chaudhuri (2020), arXiv 2011.07334.
    """
    n = linear.D.size
    keep = sample_edges(probability, rng=rng)
    i, j = net["post"][keep], net["pre"][keep]
    pruned = sparse.csr_array((entries(linear.S, i, j) / probability[keep], (i, j)), shape=(n, n))
    root = sparse.diags_array(1 / np.sqrt(linear.D))
    E = sparse.csr_array(root @ (pruned - linear.S) @ root)
    operator = sparse.linalg.svds(E, k=1, return_singular_vectors=False, v0=np.ones(n), tol=1e-3)[0]
    y = np.random.default_rng(0).standard_normal((n, 100))
    change = (y * (E @ y)).sum(axis=0) / (y * y).sum(axis=0)
    return float(operator), float(np.sqrt((change**2).mean()))


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Return the rank correlation.

    Spearman 1904, doi:10.2307/1412159.

    Examples
    --------
    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0]))
    1.0
    """
    return float(spearmanr(one, other).statistic)


def total_variation(p: np.ndarray, q: np.ndarray) -> float:
    """Return the total variation distance of two vectors of probabilities, each divided by its sum.

    Examples
    --------
    Half and half, and a quarter and three quarters:

    >>> total_variation(np.array([1.0, 1.0]), np.array([1.0, 3.0]))
    0.25
    """
    return float(np.abs(p / p.sum() - q / q.sum()).sum() / 2)


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return rank correlations, and distances of the keep probabilities."""
    head = [
        "family",
        "density",
        "diagonal",
        "rank correlation",
        "by degrees alone",
        f"total variation, {KEPT[-1]:.0%} kept",
    ]
    lines = [head]
    for r in content["rows"]:
        found = ["refused", "", ""]
        if "refused" not in r:
            ranks = (f"{r[name]:.5f}" for name in ("spearman_local", "spearman_degree"))
            found = [*ranks, f"{r['kept'][-1]['total_variation']:.1e}"]
        lines.append([r["family"], f"{r['density']:g}", r["diagonal"], *found])
    return {"The local covariance against the exact one": lines, "How far sparse networks are": _distances(content)}


def _distances(content: Mapping[str, Any]) -> list[list[str]]:
    """Return epsilon of equation (3) of arXiv 2403.03409, with kept weights divided by their probabilities."""
    lines = [["family", "density", "kept", "largest change of a quadratic form", "of a random vector"]]
    for r in content["rows"]:
        for kept in r.get("kept", ()) if r["diagonal"] == "row-dominant" else ():
            changes = (f"{np.mean(kept[name]['exact']):.3f}" for name in ("operator", "quadratic_form"))
            lines.append([r["family"], f"{r['density']:g}", f"{kept['fraction']:.0%}", *changes])
    return lines


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw rank correlations, distances of keep probabilities, and spectral errors of the kept networks."""
    rows = content["rows"]
    figure = Figure(figsize=(12, 4), layout="constrained")
    ranks, distances, spectra = figure.subplots(1, 3)
    lines = (
        ("row-dominant", "", "o-", "local"),
        ("row-dominant", "degree", "o:", "degrees only"),
        ("shift", "", "o--", "local, diagonal without row dominance"),
    )
    for family, (diagonal, control, style, _) in ((f, line) for f in FAMILIES for line in lines):
        mine = [r for r in rows if (r["family"], r["diagonal"]) == (family, diagonal) and "kept" in r]
        density = [r["density"] for r in mine]
        look = {"color": COLORS[family], "markersize": 4}
        ranks.plot(density, [1 - r["spearman_" + (control or "local")] for r in mine], style, **look)
        key = "total_variation" + ("_" + control if control else "")
        distances.plot(density, [r["kept"][-1][key] for r in mine], style, **look)
    ranks.set(ylabel="1 - rank correlation with the exact one", title="scores")
    distances.set(ylabel="total variation from the exact one", title=f"keep probabilities, {KEPT[-1]:.0%} kept")
    for axis in (ranks, distances):
        axis.set(xscale="log", yscale="log", xlabel="density")
        axis.set_xticks(DENSITIES, [f"{d:g}" for d in DENSITIES])
        axis.minorticks_off()
    styles = [ranks.plot([], [], style[1:], color="black", label=label)[0] for *_, style, label in lines]
    colors = [Line2D([], [], color=COLORS[f], linewidth=3, label=f) for f in FAMILIES]
    figure.legend(handles=[*colors, *styles], loc="outside lower center", ncols=6, frameon=False)

    for row in (r for r in rows if r["diagonal"] == "row-dominant" and "kept" in r):
        color, marker = COLORS[row["family"]], MARKERS[row["density"]]
        for kept in row["kept"]:
            both = [kept["operator"][name] for name in ("exact", "local")]
            (x, y), (x_spread, y_spread) = np.mean(both, axis=1), np.std(both, axis=1, ddof=1)
            spectra.errorbar(x, y, y_spread, x_spread, marker, color=color, markersize=5)
    spectra.axline((1, 1), slope=1, color="black", linewidth=0.6)
    spectra.set(
        xscale="log",
        yscale="log",
        xlabel="drawn with the exact covariance",
        ylabel="drawn with the local covariance",
        title=r"$\|D^{-1/2}(A' - A)D^{-1/2}\|$ of kept networks",
    )
    ticks = (0.2, 0.5, 1, 2, 5)
    spectra.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    spectra.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    spectra.minorticks_off()
    marks = [Line2D([], [], color="black", marker=m, linestyle="", label=f"density {d:g}") for d, m in MARKERS.items()]
    spectra.legend(handles=marks, frameon=False, loc="upper left")
    return finish(figure)
