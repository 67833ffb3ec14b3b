"""Time every step of an iteration against its reference, in the same run.

    make bench

prints a table and writes ``benchmarks/bench_steps.json``. igraph is needed for one of the references only; networkx and
igraph take minutes. Times are the best of `--repeats` (references: of one), since noise only adds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import brian2
import igraph
import networkx as nx
import numpy as np
import scipy.linalg
from brian2 import ms, second
from common import relative_difference, row, timed, write_results
from rich.console import Console
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import maximum_flow

from lnpbrian.lyapunov import block_twin_exponents
from lnpbrian.models import HRSNN
from lnpbrian.network import RecurrentNetwork, noise_drive, observe, remove_synapses
from lnpbrian.network.betweenness import betweenness_centrality
from lnpbrian.network.engines.loops import FlowGraph
from lnpbrian.pruning.steps.covariance import linear_network, noise_covariance
from lnpbrian.streams import Streams


def bench_betweenness(repeats: int) -> list[dict[str, Any]]:
    small = HRSNN(1000, 0.1, check_rate=False).spec
    ours, values = timed(lambda: betweenness_centrality(small.pre, small.post, 1000), repeats)
    graph = nx.DiGraph(list(zip(small.pre.tolist(), small.post.tolist(), strict=True)))
    theirs, reference = timed(lambda: nx.betweenness_centrality(graph, normalized=False))
    error = relative_difference(values, np.array([reference[i] for i in range(1000)]))
    rows = [row("betweenness, N = 1000, p = 0.1", "networkx", ours, theirs, largest_relative_difference=error)]

    large = HRSNN(5000, 0.1, check_rate=False).spec
    ours, values = timed(lambda: betweenness_centrality(large.pre, large.post, 5000), repeats)
    edges = np.stack([large.pre, large.post], axis=1)
    other = igraph.Graph(5000, edges, directed=True)
    theirs, reference = timed(lambda: np.array(other.betweenness()))
    error = relative_difference(values, reference)
    return [*rows, row("betweenness, N = 5000, p = 0.1", "igraph", ours, theirs, largest_relative_difference=error)]


def bench_covariance(repeats: int) -> list[dict[str, Any]]:
    spec = HRSNN(2000, 0.1, check_rate=False).spec
    network = linear_network(spec.pre, spec.post, 40 * np.sign(spec.weights), time_constants=spec.time_constants)
    dense = network.A.toarray() if hasattr(network.A, "toarray") else np.asarray(network.A)
    ours, result = timed(lambda: noise_covariance(network.A, 1.0), repeats)
    theirs, reference = timed(lambda: scipy.linalg.solve_continuous_lyapunov(dense, -np.eye(2000)))
    error = relative_difference(result.covariance, reference)
    return [
        row(
            "covariance, N = 2000",
            "scipy solve_continuous_lyapunov",
            ours,
            theirs,
            relative_residual=result.error,
            largest_relative_difference=error,
        )
    ]


def bench_largest_flow(repeats: int) -> list[dict[str, Any]]:
    """Repair degrees as the even sample does: half of the neurons lack one of the synapses that are kept."""
    spec = HRSNN(5000, 0.1, check_rate=False).spec
    n, rng = spec.n_neurons, Streams(0).rng("flow")
    source, sink = np.full(n, 2 * n), np.full(n, 2 * n + 1)
    tail = np.concatenate([spec.pre, source, n + np.arange(n)])
    head = np.concatenate([n + spec.post, np.arange(n), sink])
    kept = rng.random(spec.n_synapses) < 0.96
    forward = np.concatenate([~kept, rng.integers(0, 2, 2 * n)])
    backward = np.concatenate([kept, np.zeros(2 * n, dtype=int)])
    label = rng.permutation(2 * n + 2)
    ours, flow = timed(lambda: FlowGraph(tail, head, 2 * n + 2).largest(forward, backward, label), repeats)
    ends = label[tail].astype(np.int32), label[head].astype(np.int32)

    def by_scipy() -> Any:
        both = np.concatenate([forward, backward]).astype(np.int32)
        some = both > 0
        ways = [np.concatenate(way)[some] for way in (ends, ends[::-1])]
        capacity = both[some], (ways[0], ways[1])
        graph = coo_matrix(capacity, shape=(2 * n + 2, 2 * n + 2)).tocsr()
        return maximum_flow(graph, int(label[-2]), int(label[-1])).flow

    theirs, reference = timed(by_scipy)
    differing = int((np.asarray(reference[ends]).ravel() != flow).sum())
    return [row("largest flow, N = 5000, p = 0.1", "scipy maximum_flow", ours, theirs, edges_that_differ=differing)]


def bench_removal() -> list[dict[str, Any]]:
    spec = HRSNN(5000, 0.1, check_rate=False).spec
    live = RecurrentNetwork(spec)
    drive = noise_drive(5000, duration=1 * second, rng=Streams(0).rng("bench"))
    observe(live, 100 * ms, drive=drive)
    # Again without compiling.
    before, _ = timed(lambda: observe(live, 100 * ms, drive=drive))
    keep = Streams(0).rng("keep").random(spec.n_synapses) < 0.1
    removal, _ = timed(lambda: remove_synapses(live.synapses, keep=keep))
    after, _ = timed(lambda: observe(live, 100 * ms, drive=drive))
    return [
        {"step": f"remove 90 % of {spec.n_synapses} synapses", "seconds": removal},
        row("100 ms of simulation after removal", "the same before removal", after, before),
    ]


def bench_twins(repeats: int) -> list[dict[str, Any]]:
    spec = HRSNN(1000, 0.1, check_rate=False).spec
    drive = noise_drive(1000, duration=1 * second, rng=Streams(0).rng("bench"))
    rows = []
    for timing in ("grid", "precise"):
        timed_spec = spec.with_timing(timing)

        def twins(spec=timed_spec) -> Any:
            rng = Streams(0).rng("twins")
            return block_twin_exponents(
                spec, drive=drive, duration=980 * ms, transient=20 * ms, realisations=1, rng=rng
            )

        def plain(spec=timed_spec) -> None:
            for _ in range(2):
                observe(RecurrentNetwork(spec), 1 * second, drive=drive)

        # The first calls compile.
        twins(), plain()
        ours, _ = timed(twins, repeats)
        theirs, _ = timed(plain, repeats)
        rows.append(row(f"twin exponents of 1 s, N = 1000, {timing} spikes", "two plain runs", ours, theirs))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    brian2.prefs.logging.console_log_level = "ERROR"
    brian2.prefs.logging.warn_for_unused_objects = False
    console = Console()
    rows: list[dict[str, Any]] = []
    for name, bench in (
        ("betweenness", lambda: bench_betweenness(arguments.repeats)),
        ("covariance", lambda: bench_covariance(arguments.repeats)),
        ("largest flow", lambda: bench_largest_flow(arguments.repeats)),
        ("removal", bench_removal),
        ("twins", lambda: bench_twins(arguments.repeats)),
    ):
        with console.status(name):
            rows += bench()
    write_results(rows, arguments.out, igraph=igraph.__version__)


if __name__ == "__main__":
    main()
