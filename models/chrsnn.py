"""Heterogeneous clusters wired as a small world (CHRSNN)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from brian2 import Quantity

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.models import drawing
from lnpbrian.models.drawing import DrawnNetwork, LIFParameters
from lnpbrian.streams import Streams

__all__ = ["CHRSNN"]


class CHRSNN(DrawnNetwork):
    """Clustered HRSNN: every cluster has its own gamma law of time constants; clusters form a small world.

    Parameters
    ----------
    neurons : int, default 1000
        N over all clusters, which differ in size by at most one neuron.
    connection_probability : float, default 0.1
        Overall p in (0, 1]: the expected number of synapses is p times that of all pairs, as for `HRSNN`.
    clusters : int, default 10
        Number of clusters K, at least 3.
    time_constant_means : sequence of Quantity, optional
        Mean membrane time constant of each cluster; by default log-spaced over 5..80 ms.
    time_constant_shape : float, default 3
        Shape of every gamma law.
    cluster_neighbours : int, default 4
        Clusters that each cluster is linked to in the ring lattice (even, below K).
    rewiring : float, default 0.1
        Watts-Strogatz rewiring probability of the links between clusters, in [0, 1].
    inside_over_between : float, default 5
        Connection probability inside a cluster over that between linked clusters, above 0.
    parameters, plastic, check_rate, seed
        As for `HRSNN`.

    Attributes
    ----------
    network, neurons, synapses, spec, mean_rate
        As for `HRSNN`; ``spec.cluster`` holds the cluster of each neuron.

    Raises
    ------
    InvalidInput
        If a value is out of range, if p asks for more synapses inside clusters than there are pairs, or if the mean
        rate is outside 5..50 Hz.

    Notes
    -----
    arXiv 2403.03409, section 2; Watts and Strogatz 1998 (doi:10.1038/30918) for the links between clusters.

    Examples
    --------
    >>> model = CHRSNN(60, 0.1, clusters=6, check_rate=False)
    >>> [int(k) for k in np.bincount(model.spec.cluster)]
    [10, 10, 10, 10, 10, 10]
    """

    def __init__(
        self,
        neurons: int = 1000,
        connection_probability: float = 0.1,
        *,
        clusters: int = 10,
        time_constant_means: Sequence[Quantity] | None = None,
        time_constant_shape: float = 3.0,
        cluster_neighbours: int = 4,
        rewiring: float = 0.1,
        inside_over_between: float = 5.0,
        parameters: LIFParameters | None = None,
        plastic: bool = False,
        check_rate: bool = True,
        seed: int = 0,
    ) -> None:
        n, p = drawing.checked_size(neurons, connection_probability)
        k = checks.count("clusters", clusters, minimum=3)
        if n < 2 * k:
            raise InvalidInput(f"{k} clusters need at least {2 * k} neurons, got {n}; lower clusters or raise neurons")
        shape = checks.real("time_constant_shape", time_constant_shape, above=0)
        means = _means(time_constant_means, k)
        constants = drawing.chosen_parameters(parameters)
        streams = Streams(seed).child("network")
        cluster = np.arange(n) * k // n
        links = small_world(k, cluster_neighbours, rewiring, streams.rng("small world"))
        inside, between = _probabilities(p, cluster, links, inside_over_between)
        pre, post = _connect(cluster, links, inside, between, streams.rng("connections"))
        tau = np.concatenate(
            [
                drawing.gamma_time_constants(
                    int(np.sum(cluster == c)),
                    shape=shape,
                    mean=means[c],
                    dt=float(constants.dt),
                    rng=streams.child("time constants").rng(c),
                )
                for c in range(k)
            ]
        )
        super().__init__(
            "CHRSNN",
            time_constants=tau,
            cluster=cluster,
            pre=pre,
            post=post,
            parameters=constants,
            plastic=plastic,
            check_rate=check_rate,
            streams=streams,
        )


def small_world(clusters: int, neighbours: int, rewiring: float, rng: np.random.Generator) -> np.ndarray:
    """Return the symmetric link matrix (K, K) of a connected Watts-Strogatz graph over clusters, its diagonal false.

    Raises
    ------
    InvalidInput
        If `neighbours` is odd or not below the number of clusters, or `rewiring` is outside [0, 1].

    Notes
    -----
    Watts and Strogatz 1998 (doi:10.1038/30918).

    Examples
    --------
    Without rewiring it is a ring:

    >>> small_world(4, 2, 0.0, np.random.default_rng(0)).astype(int).tolist()
    [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]
    """
    import networkx as nx

    degree = checks.count("cluster_neighbours", neighbours, minimum=2)
    if degree % 2 or degree >= clusters:
        raise InvalidInput(f"cluster_neighbours must be even and below the {clusters} clusters, got {degree}")
    beta = checks.real("rewiring", rewiring, at_least=0, at_most=1)
    graph = nx.connected_watts_strogatz_graph(clusters, degree, beta, tries=100, seed=rng)
    return nx.to_numpy_array(graph, nodelist=range(clusters), dtype=bool)


def _means(given: Sequence[Quantity] | None, clusters: int) -> list[float]:
    if given is None:
        return list(np.geomspace(5e-3, 80e-3, clusters))
    if not isinstance(given, (Sequence, Quantity)) or checks.any_array("time_constant_means", given).shape[:1] != (
        clusters,
    ):
        raise InvalidInput(f"time_constant_means must hold one time per cluster ({clusters}), got {given!r}")
    # Iterating over a Quantity array gives Quantities, over a list whatever the user put there.
    return [checks.seconds("time_constant_means", mean) for mean in given]


def _probabilities(p: float, cluster: np.ndarray, links: np.ndarray, ratio: float) -> tuple[float, float]:
    """Return the probabilities inside and between clusters that give p N (N - 1) synapses on average."""
    ratio = checks.real("inside_over_between", ratio, above=0)
    size = np.bincount(cluster)
    n = cluster.size
    pairs_inside = float(np.sum(size * (size - 1)))
    pairs_between = float(size @ links @ size)
    between = p * n * (n - 1) / (ratio * pairs_inside + pairs_between)
    inside = ratio * between
    if not 0 < between < np.inf:
        raise InvalidInput(f"inside_over_between {ratio:g} leaves no synapse between clusters; lower it")
    if max(inside, between) > 1:
        highest = p / max(inside, between)
        raise InvalidInput(
            f"connection_probability {p:g} needs more synapses than the linked clusters can hold; "
            f"at most {highest:.3g} with these clusters, or lower inside_over_between or clusters"
        )
    return inside, between


def _connect(
    cluster: np.ndarray, links: np.ndarray, inside: float, between: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    members = [np.flatnonzero(cluster == c) for c in range(len(links))]
    pairs = [
        drawing.random_pairs(members[a], members[b], inside if a == b else between, rng)
        for a in range(len(links))
        for b in range(len(links))
        if a == b or links[a, b]
    ]
    pre, post = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return pre, post
