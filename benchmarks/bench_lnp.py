"""Time whole iterations of Lyapunov noise pruning, against a straightforward implementation and on a large network.

    python benchmarks/bench_lnp.py
    python benchmarks/bench_lnp.py --sections large --large-neurons 10000

prints a table and writes ``benchmarks/bench_lnp.json``. Networks are `HRSNN` with the constants for forecasting; the
iterations are the first of a hundred that lead to 5 % of the synapses and 20 % of the neurons. Sections:

* `steps`: seconds of every step of an iteration. "I", "II" and "III" edit the Brian2 network, "observation" runs it and
  follows tangent vectors, "localisation" is the report on eigenvectors, "IV" is done once, after the last iteration.
* `naive`: steps I to III of one iteration, as they are by default, against the same with networkx, SciPy and loops in
  Python. The references edit arrays only; new edges are looked for in order of degree, since looking at all pairs for
  each takes minutes. Raises if, with exact covariance and the same random numbers, the two end with other networks.
* `large`: one iteration of 50,000 neurons and 25 million synapses, with the building of the network.

Each section runs in a process of its own, whose peak memory is stated.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import brian2
import networkx as nx
import numpy as np
import scipy.linalg
from brian2 import ms
from common import relative_difference, row, timed, write_results
from rich.console import Console

from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network import NetworkSpec
from lnpbrian.network.betweenness import betweenness_centrality
from lnpbrian.pruning import (
    BetweennessPruning,
    Delocalisation,
    NoisePruning,
    Progress,
    PruneOptions,
    PruneResult,
    TimescaleTuning,
    prune,
    with_options,
)
from lnpbrian.pruning.schedule import schedule
from lnpbrian.pruning.steps.covariance import linear_network, noise_covariance
from lnpbrian.pruning.steps.lyapunov_matrix import lyapunov_matrix
from lnpbrian.streams import Streams

SECTIONS = ("steps", "naive", "large")
STRUCTURAL = ("I", "II", "III")

# Where the whole schedule leads, and in how many iterations.
SYNAPSES_LEFT, NEURONS_LEFT, ITERATIONS = 0.05, 0.2, 100
DENSITY, LARGE_DENSITY = 0.1, 0.01
# Largest relative difference from the straightforward implementation: the Lyapunov matrix may be in float32.
TOLERANCE = 1e-5

console = Console()


def first_iterations(count: int, **more: Any) -> PruneOptions:
    """Return options whose iterations are the first `count` of the whole schedule."""
    part = count / ITERATIONS
    return PruneOptions(1 - SYNAPSES_LEFT**part, 1 - NEURONS_LEFT**part, iterations=count, **more)


def network(neurons: int, density: float = DENSITY) -> HRSNN:
    return HRSNN(neurons, density, parameters=LIFParameters.forecasting(), check_rate=False)


def warm_up() -> None:
    """Compile what the iterations run; names and equations are the same at every size."""
    prune(network(100, 0.2), STRUCTURAL, options=first_iterations(1, observation=50 * ms))


def peak_memory_mb() -> float:
    """Return the largest memory that this process has had."""
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


# ------------------------------------------------------------------------------------------------ the steps, one by one


def bench_steps(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for neurons in arguments.neurons:
        live, what = network(neurons), f"N = {neurons}"
        synapses = len(live.synapses)
        console.print(f"steps, {what} ...")
        options = first_iterations(arguments.iterations)
        tuning = TimescaleTuning(evaluations=arguments.evaluations)
        history = prune(live, (*STRUCTURAL, tuning), options=options).history
        each = {name: [r.seconds[name] for r in history[1:] if name in r.seconds] for name in history[-1].seconds}
        mean = {name: float(np.mean(seconds)) for name, seconds in each.items()}
        iteration = sum(seconds for name, seconds in mean.items() if name != "IV")
        rows += [{"step": f"{name}, {what}", "seconds": mean[name], "each": seconds} for name, seconds in each.items()]
        rows[-len(each)]["status"] = list(history[1].status)
        whole = {
            "step": f"iteration without IV, {what}",
            "seconds": iteration,
            "synapses": synapses,
            "iterations": arguments.iterations,
            "rates_hz": [r.mean_rate_hz for r in history],
            "peak_mb": peak_memory_mb(),
        }
        if "IV" in mean:
            whole["seconds_with_part_of_IV"] = iteration + mean["IV"] / tuning.every
            whole["evaluations_of_IV"] = arguments.evaluations
        rows.append(whole)
    return rows


# ----------------------------------------------------------------------------------- the straightforward implementation


class Naive:
    """Steps I to III as the formulas read, on the arrays of a network before its first iteration."""

    def __init__(self, spec: NetworkSpec, result: PruneResult) -> None:
        options = result.options
        self.n = spec.n_neurons
        self.edges = list(zip(spec.pre.tolist(), spec.post.tolist(), strict=True))
        self.weights = spec.weights.tolist()
        self.time_constants = spec.time_constants.tolist()
        self.exponents = result.exponents_before.per_neuron.tolist()
        self.resolution = result.exponents_before.resolution
        self.rates = result.rates_before.tolist()
        self.left, synapses = schedule(self.n, spec.n_synapses, options, result.steps)[0]
        (new_edges,) = (step for step in result.steps if isinstance(step, Delocalisation))
        self.fraction = new_edges.fraction
        self.per_neuron = new_edges.edges_per_neuron
        self.wanted = round(synapses / ((self.left / self.n) ** 2 * (1 + self.fraction)))
        self.rng = Streams(0).child("prune").child("synapses").rng(1)

    def lyapunov_matrix(self) -> list[float]:
        neighbours: list[set[int]] = [set() for _ in range(self.n)]
        for j, i in self.edges:
            neighbours[i].add(j)
            neighbours[j].add(i)
        inverse = [1 / max(abs(x), self.resolution) for x in self.exponents]
        found = []
        for j, i in self.edges:
            union = neighbours[i] | neighbours[j]
            found.append(len(union) / sum(inverse[k] for k in union))
        self.lyapunov = found
        return found

    def covariance(self) -> np.ndarray:
        A = np.zeros((self.n, self.n))
        for i, tau in enumerate(self.time_constants):
            A[i, i] = -1 / tau
        for (j, i), w, strength in zip(self.edges, self.weights, self.lyapunov, strict=True):
            A[i, j] += np.sign(w) * strength
            A[i, i] -= strength
        self.C = scipy.linalg.solve_continuous_lyapunov(A, -np.eye(self.n))
        return self.C

    def sample(self) -> None:
        """Keep probabilities, sampling and homeostatic rescaling."""
        scores = []
        for (j, i), w, strength in zip(self.edges, self.weights, self.lyapunov, strict=True):
            sign = 1 if w > 0 else -1
            scores.append(strength * (self.C[i, i] + self.C[j, j] - 2 * sign * self.C[i, j]))
        rho, clipped = 0.0, -1
        while clipped < (certain := sum(rho * s >= 1 for s in scores)):
            clipped = certain
            rho = (self.wanted - clipped) / sum(s for s in scores if rho * s < 1)
        keep = [self.rng.random() < min(1.0, rho * s) for s in scores]

        groups: dict[tuple[int, bool], list[int]] = {}
        for e, (_, i) in enumerate(self.edges):
            groups.setdefault((i, self.weights[e] > 0), []).append(e)
        rescaled = list(self.weights)
        for members in groups.values():
            drive = {e: abs(self.weights[e]) * self.rates[self.edges[e][0]] for e in members}
            if sum(drive.values()) == 0:
                drive = {e: abs(self.weights[e]) for e in members}
            after = sum(drive[e] for e in members if keep[e])
            factor = sum(drive.values()) / after if after > 0 else 1.0
            for e in members:
                rescaled[e] *= factor
        self.edges = [edge for edge, kept in zip(self.edges, keep, strict=True) if kept]
        self.weights = [w for w, kept in zip(rescaled, keep, strict=True) if kept]

    def betweenness(self) -> np.ndarray:
        graph = nx.DiGraph()
        graph.add_nodes_from(range(self.n))
        graph.add_edges_from(self.edges)
        found = nx.betweenness_centrality(graph, normalized=False)
        return np.array([found[v] for v in range(self.n)])

    def remove(self, centrality: np.ndarray) -> None:
        degree = self._degrees()
        order = sorted(range(self.n), key=lambda v: (float(f"{centrality[v]:.9e}"), degree[v], v))
        gone = set(order[: self.n - self.left])
        kept = [e for e, (j, i) in enumerate(self.edges) if j not in gone and i not in gone]
        self.edges = [self.edges[e] for e in kept]
        self.weights = [self.weights[e] for e in kept]

    def add_edges(self) -> None:
        """Greedy: look through the pairs in order of degree for each new edge, as far as one can be the best."""
        count = round(self.fraction * len(self.edges))
        most = int(np.ceil(self.per_neuron * 2 * count / self.left)) if self.per_neuron else 2 * self.n
        present, degree, added = set(self.edges), self._degrees(), [0] * self.n
        neighbours: list[set[int]] = [set() for _ in range(self.n)]
        for j, i in self.edges:
            neighbours[i].add(j)
            neighbours[j].add(i)
        taken: set[tuple[int, int]] = set()

        def admissible(u: int, v: int) -> bool:
            both = (u, v) in present and (v, u) in present
            return not both and (u, v) not in taken and not neighbours[u].isdisjoint(neighbours[v])

        new: list[tuple[int, int]] = []
        while len(new) < count:
            # Ties: the larger single degree, then the lower index of its end, then that of the other end.
            order = sorted((v for v in range(self.n) if added[v] < most), key=lambda v: (-degree[v], v))
            best, largest = None, -1
            for place, u in enumerate(order[:-1]):
                if degree[u] + degree[order[place + 1]] <= largest:
                    break
                v = next((v for v in order[place + 1 :] if admissible(u, v)), None)
                if v is not None and degree[u] + degree[v] > largest:
                    best, largest = (u, v), degree[u] + degree[v]
            if best is None:
                break
            u, v = sorted(best)
            free = [edge for edge in ((u, v), (v, u)) if edge not in present]
            free = free[: min(count - len(new), most - max(added[u], added[v]))]
            new += free
            taken |= {(u, v), (v, u)}
            for w in (u, v):
                degree[w] += len(free)
                added[w] += len(free)
        self.edges += new

    def _degrees(self) -> list[int]:
        degree = [0] * self.n
        for j, i in self.edges:
            degree[i] += 1
            degree[j] += 1
        return degree


def bench_naive(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    warm_up()
    n = arguments.naive_neurons
    live, what = network(n), f"N = {n}"
    spec = live.spec
    # What `Naive` does, to be compared number by number; what is timed differs by the fast covariance.
    fast_steps = (
        NoisePruning(sampling="independent", leak="membrane", rescale="homeostatic", excitability="keep"),
        BetweennessPruning(centrality="exact", excitability="keep"),
        Delocalisation(rule="variance", exclude="pruned", excitability="keep"),
    )
    exact_steps = with_options(fast_steps, covariance="exact", overlap="exact")
    result = prune(live, exact_steps, options=first_iterations(1))
    fast = prune(network(n), fast_steps, options=first_iterations(1))
    ours, exactly = fast.history[1].seconds, result.history[1].seconds

    naive = Naive(spec, result)
    stages: dict[str, float] = {}

    def stage(name: str, action: Any) -> Any:
        console.print(f"naive, {what}: {name} ...")
        stages[name], found = timed(action)
        console.print(f"    {stages[name]:.2f} s")
        return found

    lyapunov = np.array(stage("Lyapunov matrix", naive.lyapunov_matrix))
    covariance = stage("covariance", naive.covariance)
    stage("probabilities, sampling, rescaling", naive.sample)
    after_first = np.array(naive.edges), np.array(naive.weights)
    centrality = stage("betweenness", naive.betweenness)
    stage("removal of neurons", lambda: naive.remove(centrality))
    stage("new edges", naive.add_edges)

    differences = _differences(spec, result, lyapunov, covariance, after_first[0], centrality)
    _require_same(live.spec, naive, differences)
    of_step = {
        "I": ("Lyapunov matrix", "covariance", "probabilities, sampling, rescaling"),
        "II": ("betweenness", "removal of neurons"),
        "III": ("new edges",),
    }
    with_what = {"I": "loops, SciPy's Lyapunov solver", "II": "networkx", "III": "pairs in order of degree"}
    theirs = {name: sum(stages[part] for part in parts) for name, parts in of_step.items()}
    rows = [
        row(f"{name}, {what}", with_what[name], ours[name], theirs[name], stages={s: stages[s] for s in parts})
        for name, parts in of_step.items()
    ]
    total, reference = sum(ours[name] for name in STRUCTURAL), sum(theirs.values())
    whole = row(f"I + II + III, {what}", "straightforward", total, reference, largest_relative_differences=differences)
    whole["synapses"] = spec.n_synapses
    whole["seconds_with_exact_covariance"] = sum(exactly[name] for name in STRUCTURAL)
    whole["ratio_without_III"] = (reference - theirs["III"]) / (total - ours["III"])
    same = {name: ours[name] for name in ("observation", "localisation")}
    rows += [whole, *({"step": f"{name} (in addition), {what}", "seconds": s} for name, s in same.items())]
    return [r | {"peak_mb": peak_memory_mb()} for r in rows]


def _differences(
    spec: NetworkSpec,
    result: PruneResult,
    lyapunov: np.ndarray,
    covariance: np.ndarray,
    kept: np.ndarray,
    centrality: np.ndarray,
) -> dict[str, float]:
    """Return the largest relative difference of ours from the straightforward results."""
    each = result.exponents_before
    L = lyapunov_matrix(spec.pre, spec.post, each.per_neuron, resolution=each.resolution)
    A = linear_network(spec.pre, spec.post, np.sign(spec.weights) * L, time_constants=spec.time_constants).A
    found = {
        "lyapunov": relative_difference(L, lyapunov),
        "covariance": relative_difference(np.asarray(noise_covariance(A, 1.0).covariance), covariance),
        "betweenness": relative_difference(betweenness_centrality(kept[:, 0], kept[:, 1], spec.n_neurons), centrality),
    }
    wrong = {name: difference for name, difference in found.items() if not difference <= TOLERANCE}
    if wrong:
        raise RuntimeError(f"results differ from the straightforward ones by {wrong}, relative to the largest")
    return found


def _require_same(pruned: NetworkSpec, naive: Naive, differences: dict[str, float]) -> None:
    """Raise unless both have arrived at the same network; weights of new synapses are drawn, not computed."""
    edges = list(zip(pruned.pre.tolist(), pruned.post.tolist(), strict=True))
    if edges != naive.edges:
        raise RuntimeError("the straightforward implementation ends with other synapses")
    kept = len(naive.weights)
    differences["weights"] = relative_difference(pruned.weights[:kept], np.array(naive.weights))
    if not differences["weights"] <= TOLERANCE:
        raise RuntimeError(f"the straightforward implementation ends with other weights, by {differences['weights']}")


# ------------------------------------------------------------------------------------------------------ a large network


def bench_large(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    warm_up()
    console.print(f"large, {arguments.large_neurons} neurons ...")
    begun = time.perf_counter()
    live = network(arguments.large_neurons, LARGE_DENSITY)
    building, peaks = time.perf_counter() - begun, [peak_memory_mb()]
    stages: list[tuple[int, str]] = []

    def note(progress: Progress) -> None:
        """Note the peak before each stage: an observation, rates first, or a step."""
        stage = progress.iteration, progress.step
        if progress.step != "exponents" and stage not in stages:
            console.print(f"large: {progress.step}, iteration {progress.iteration} ...")
            stages.append(stage)
            peaks.append(peak_memory_mb())

    options = first_iterations(1, observation=200 * ms, exponent_duration=200 * ms, realisations=1, rates=(0.0, 1e4))
    result = prune(live, STRUCTURAL, options=options, report=note)
    whole = time.perf_counter() - begun
    peaks.append(peak_memory_mb())
    before, after = (record.seconds for record in result.history)
    seconds = {
        "building": building,
        "first observation": before["observation"],
        **{name: after[name] for name in STRUCTURAL},
        "second observation": after["observation"],
    }
    what = f"N = {arguments.large_neurons}"
    # The first of the notes is made when the network stands; each is what the process has needed at most so far.
    rows: list[dict[str, Any]] = [
        {"step": f"{name}, {what}", "seconds": taken, "peak_mb": peak}
        for (name, taken), peak in zip(seconds.items(), peaks[1:], strict=True)
    ]
    history = result.history
    rows.append(
        {
            "step": f"all, {what}",
            "seconds": whole,
            "peak_mb": peaks[-1],
            "localisation_seconds": before["localisation"] + after["localisation"],
            "rates_hz": [r.mean_rate_hz for r in history],
            "neurons": [r.neurons for r in history],
            "synapses": [r.synapses for r in history],
            "status": list(history[1].status),
        }
    )
    return rows


# --------------------------------------------------------------------------------------------------------------- script


def run_section(name: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    brian2.prefs.logging.console_log_level = "ERROR"
    brian2.prefs.logging.warn_for_unused_objects = False
    bench = {"steps": bench_steps, "naive": bench_naive, "large": bench_large}[name]
    return [{"section": name, **r} for r in bench(arguments)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="default: all of them")
    parser.add_argument("--neurons", nargs="+", type=int, default=[1000, 5000], help="of section steps")
    parser.add_argument("--iterations", type=int, default=2, help="of section steps")
    parser.add_argument("--evaluations", type=int, default=12, help="of step IV, in section steps")
    parser.add_argument("--naive-neurons", type=int, default=1000)
    parser.add_argument("--large-neurons", type=int, default=50_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in arguments.sections:
        # A new process each: memory that an earlier section has had does not count.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            rows += pool.submit(run_section, name, arguments).result()
    write_results(rows, arguments.out)


if __name__ == "__main__":
    main()
