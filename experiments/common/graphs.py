"""Thinned networks whose degrees are even or not, in one strong component or in many; no scores are used.

Degrees are those of the draw: components are made and unmade by synapses that exchange their targets, and a weight
stays with its source.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lnpbrian.network import NetworkSpec
from lnpbrian.pruning.steps.sampling import sample_edges

__all__ = ["COMPONENTS", "grouped", "joined", "strong_components", "thinned_graph"]

COMPONENTS = ("as it comes", "one", "many", "joined cycles")
# Neurons of a group of a network in many components; exchanges that are tried for a pair of components or a synapse.
GROUP, TRIES = 20, 200


def thinned_graph(
    spec: NetworkSpec, *, count: int, inputs: bool, outputs: bool, components: str, rng: np.random.Generator
) -> NetworkSpec:
    """Keep about `count` synapses.

    Parameters
    ----------
    spec : NetworkSpec
        Without silent neurons.
    count : int
    inputs, outputs : bool
        Whether all neurons keep as many inputs, or outputs, as every other.
    components : {"as it comes", "one", "many", "joined cycles"}
        "one": what is on cycles is one strong component; with fewer synapses than neurons and even degrees all synapses
        make one cycle. "many": groups of 20 neurons, as far as their numbers of inputs and outputs agree. "joined
        cycles": one cycle through all neurons after the other, the last one cut.
    rng : numpy.random.Generator

    Returns
    -------
    NetworkSpec

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> full = HRSNN(60, 0.2, check_rate=False).spec
    >>> how = {"inputs": True, "outputs": True, "rng": np.random.default_rng(0)}
    >>> cycle = thinned_graph(full, count=60, components="one", **how)
    >>> strong_components(cycle.pre, cycle.post, 60)[0], np.unique(np.bincount(cycle.pre))
    (array([60]), array([1]))
    """
    n = spec.n_neurons
    if components == "joined cycles":
        return _cycles(spec, count, rng)
    possible = np.ones(spec.n_synapses, bool)
    if components == "one" and inputs and outputs and count < n:
        chosen = np.isin(np.arange(n), rng.choice(n, count, replace=False))
        possible = chosen[spec.pre] & chosen[spec.post]
    made = spec.of_synapses(_drawn(spec, possible, count, inputs, outputs, rng))
    if components == "one":
        return replace(made, post=joined(made.pre, made.post, n, rng))
    return grouped(made, rng) if components == "many" else made


def _drawn(
    spec: NetworkSpec, possible: np.ndarray, count: int, inputs: bool, outputs: bool, rng: np.random.Generator
) -> np.ndarray:
    """Return a mask of about `count` of the synapses that are possible."""
    n = spec.n_neurons
    if not inputs and not outputs:
        return np.isin(np.arange(spec.n_synapses), rng.choice(np.flatnonzero(possible), count, replace=False))
    if inputs and outputs:
        p = possible * (count / possible.sum())
        ends = {"pre": spec.pre, "post": spec.post, "groups": spec.weights < 0}
        return sample_edges(p, rng=rng, method="even", neurons=n, count=count, **ends)
    # One number a neuron, and the running sum of equal probabilities over its synapses.
    end = spec.post if inputs else spec.pre
    p = np.minimum(count / n / np.bincount(end, minlength=n)[end], 1.0)
    return sample_edges(p, rng=rng, method="systematic", post=end, neurons=n, groups=spec.weights < 0)


def strong_components(pre: np.ndarray, post: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sizes of the strong components that hold a cycle, and the component of each neuron.

    Notes
    -----
    SciPy finds them by the algorithm of Pearce 2005.

    Examples
    --------
    >>> strong_components(np.array([0, 1, 2, 3]), np.array([1, 0, 3, 0]), 4)[0]
    array([2])
    """
    graph = sparse.csr_array((np.ones(pre.size, bool), (pre, post)), shape=(n, n))
    label = connected_components(graph, connection="strong")[1]
    cyclic = np.unique(label[pre[(label[pre] == label[post])]])
    return np.bincount(label)[cyclic], label


def joined(
    pre: np.ndarray, post: np.ndarray, n: int, rng: np.random.Generator, taken: frozenset[int] = frozenset()
) -> np.ndarray:
    """Return other targets, at which all components that hold a cycle are one, as far as they can be joined.

    An exchange of targets between two components always joins them. It makes no synapse twice, and none of `taken`
    (``pre n + post``).

    Notes
    -----
    Exchanges of targets keep all degrees (Maslov and Sneppen 2002, doi:10.1126/science.1065103).

    Examples
    --------
    >>> i = np.arange(4)
    >>> strong_components(i, joined(i, np.array([1, 0, 3, 2]), 4, np.random.default_rng(0)), 4)[0]
    array([4])
    """
    post = post.copy()
    edges = set((pre * n + post).tolist()) | taken
    while True:
        label = strong_components(pre, post, n)[1]
        inner = np.flatnonzero(label[pre] == label[post])
        found = np.unique(label[pre[inner]])
        if found.size < 2:
            return post
        for _ in range(TRIES):
            one, two = rng.choice(found, 2, replace=False)
            e, f = (rng.choice(inner[label[pre[inner]] == c]) for c in (one, two))
            new = {int(pre[e] * n + post[f]), int(pre[f] * n + post[e])}
            if not new & edges:
                edges = (edges - {int(pre[e] * n + post[e]), int(pre[f] * n + post[f])}) | new
                post[[e, f]] = post[[f, e]]
                break
        else:
            return post


def grouped(spec: NetworkSpec, rng: np.random.Generator) -> NetworkSpec:
    """Give synapses targets in the group of 20 of their source, where there are targets left, else any that are left.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> full = HRSNN(60, 0.2, check_rate=False).spec
    >>> few = full.of_synapses(np.random.default_rng(0).choice(full.n_synapses, 90, replace=False))
    >>> many = grouped(few, np.random.default_rng(1))
    >>> bool((np.bincount(many.post, minlength=60) <= np.bincount(few.post, minlength=60)).all())
    True
    """
    n = spec.n_neurons
    group = rng.permutation(n) * max(n // GROUP, 1) // n
    synapses, targets = rng.permutation(spec.n_synapses), rng.permutation(spec.post)
    post, kind = np.empty(spec.n_synapses, dtype=int), np.full(spec.n_synapses, -1)
    left: list[tuple[np.ndarray, np.ndarray]] = []
    for g in range(group.max() + 1):
        mine, theirs = synapses[group[spec.pre[synapses]] == g], targets[group[targets] == g]
        m = min(mine.size, theirs.size)
        post[mine[:m]], kind[mine[:m]] = theirs[:m], g
        left.append((mine[m:], theirs[m:]))
    # A group is left with sources or with targets, so that what is between groups closes few cycles.
    post[np.concatenate([mine for mine, _ in left])] = np.concatenate([theirs for _, theirs in left])
    return _without_doubles(replace(spec, post=post), kind, rng)


def _without_doubles(spec: NetworkSpec, kind: np.ndarray, rng: np.random.Generator) -> NetworkSpec:
    """Exchange targets within a kind until no synapse is there twice or of a neuron with itself; drop the last ones."""
    pre, post, n = spec.pre.astype(int), spec.post.astype(int), spec.n_neurons

    def bad() -> np.ndarray:
        key = pre * n + post
        first = np.zeros(key.size, bool)
        first[np.unique(key, return_index=True)[1]] = True
        return ~first | (pre == post)

    for _ in range(TRIES):
        wrong = np.flatnonzero(bad())
        if not wrong.size:
            break
        for e in wrong:
            f = rng.choice(np.flatnonzero(kind == kind[e]))
            post[[e, f]] = post[[f, e]]
    keep = ~bad()
    return replace(spec, post=post).of_synapses(keep)


def _cycles(spec: NetworkSpec, count: int, rng: np.random.Generator) -> NetworkSpec:
    """Keep matchings of sources and targets, each made one cycle, the last one cut at random."""
    n, left = spec.n_neurons, np.ones(spec.n_synapses, bool)
    index, post = np.empty(0, dtype=int), np.empty(0, dtype=int)
    while index.size < count:
        p = left * (n / left.sum())
        found = np.flatnonzero(
            sample_edges(p, rng=rng, method="even", pre=spec.pre, post=spec.post, neurons=n, count=n)
        )
        left[found] = False
        taken = frozenset((spec.pre[index].astype(int) * n + post).tolist())
        turned = joined(spec.pre[found].astype(int), spec.post[found].astype(int), n, rng, taken)
        part = rng.permutation(n)[: count - index.size]
        index, post = np.concatenate([index, found[part]]), np.concatenate([post, turned[part]])
    return replace(spec.of_synapses(index), post=post)
