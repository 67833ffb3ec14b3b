"""Edits of a `LiveNetwork`: what a pruning step decides on one graph, done to the Brian2 objects that it is made of."""

from __future__ import annotations

import numpy as np
from brian2 import Synapses

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.brian2_internals import by_name, whole_group
from lnpbrian.network.live import LiveNetwork, Snapshot
from lnpbrian.network.structure import duplicate_synapses, remove_synapses, silence_neurons

__all__ = ["add_like", "donor_synapses", "keep_synapses", "rehearse", "rewire", "silence"]


def keep_synapses(live: LiveNetwork, keep: np.ndarray) -> None:
    """Remove all synapses but those of the mask `keep`, shape (S,), as they are numbered in `live`.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> model = HRSNN(20, 0.5, check_rate=False)
    >>> keep_synapses(model, model.weights() > 0)
    >>> bool(model.weights().min() > 0)
    True
    """
    for synapses, part in zip(live.connections, live.split(keep), strict=True):
        remove_synapses(synapses, keep=part)


def silence(live: LiveNetwork, neurons: np.ndarray) -> None:
    """Take neurons out: no spikes, no input, and no synapse of any kind from or to them.

    Parameters
    ----------
    live : LiveNetwork
    neurons : array of int, shape (n,)

    Raises
    ------
    InvalidInput
        As `silence_neurons`. Groups before the one that is refused have lost their neurons then; see `rehearse`.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> model = HRSNN(20, 0.5, check_rate=False)
    >>> silence(model, np.array([3, 4]))
    >>> model.n_alive, bool(np.isin([3, 4], model.edges()).any())
    (18, False)
    """
    for group, indices in live.by_group(neurons):
        touching = by_name(s for s in live.network.objects if isinstance(s, Synapses) and _touches(s, group.name))
        silence_neurons(group, indices, synapses=touching, **live.inputs_of(group))


def add_like(
    live: LiveNetwork, pre: np.ndarray, post: np.ndarray, *, signs: np.ndarray, rng: np.random.Generator
) -> int:
    """Add synapses like surviving ones, and return how many: the new edges of step III.

    A new synapse is like one, drawn at random, that has the sign of its source and belongs to a Synapses object
    between the groups of the two neurons. Where there is none, none is added.

    Parameters
    ----------
    live : LiveNetwork
    pre, post : array of int, shape (n,)
        Neurons that they come from and go to.
    signs : array of int, shape (N,)
        +1, -1, or 0 where any sign will do.
    rng : numpy.random.Generator

    Notes
    -----
    Chakraborty et al. (2024), arXiv 2403.03409, do not say which weights new edges get.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> model = HRSNN(20, 0.5, check_rate=False)
    >>> known = np.unique(model.weights())
    >>> add_like(model, np.array([0]), np.array([1]), signs=model.signs(), rng=np.random.default_rng(0))
    1
    >>> bool(model.weights()[-1] in known)
    True
    """
    weights = live.weights()
    owner = live.owners()
    number = np.concatenate([np.arange(len(s)) for s in live.connections])
    possible = np.array([_holds(live, s, pre, post) for s in live.connections])
    chosen = np.full(pre.size, -1)
    for objects in np.unique(possible.T, axis=0):
        new = np.flatnonzero((objects == possible.T).all(axis=1))
        pool = np.flatnonzero(objects[owner])
        # A neuron whose kind has lost all its synapses gets none: there is no weight to take.
        there = np.isin(signs[pre[new]], [0, *np.unique(np.sign(weights[pool]))]) & (weights[pool] != 0).any()
        new = new[there]
        chosen[new] = pool[donor_synapses(pre[new], weights[pool], signs=signs, rng=rng)]
    for k, synapses in enumerate(live.connections):
        new = np.flatnonzero((chosen >= 0) & (owner[chosen] == k))
        if new.size:
            _duplicate(live, synapses, number[chosen[new]], pre[new], post[new])
    return int((chosen >= 0).sum())


def rewire(
    live: LiveNetwork,
    remove: np.ndarray,
    pre: np.ndarray,
    post: np.ndarray,
    like: np.ndarray,
    *,
    signs: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Put in synapses, most of them with the values of present ones, and take out others: the swaps of step III.

    Parameters
    ----------
    live : LiveNetwork
    remove : array of bool, shape (S,)
        Synapses to take out; recorded ones stay.
    pre, post : array of int, shape (n,)
        Neurons that new ones come from and go to.
    like : array of int, shape (n,)
        Present synapse whose values each new one gets; -1 for one that is drawn, see `add_like`.
    signs, rng
        As for `add_like`.

    Notes
    -----
    Pairs that exchange their targets keep the degrees (Maslov and Sneppen 2002, doi:10.1126/science.1065103).

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> model = HRSNN(20, 0.5, check_rate=False)
    >>> (source, target), weight = model.edges(), model.weights()[0]
    >>> new = np.setdiff1d(np.arange(20), target[source == source[0]])[-1:]
    >>> first = np.arange(source.size) == 0
    >>> rewire(model, first, source[:1], new, np.array([0]), signs=model.signs(), rng=np.random.default_rng(0))
    >>> model.n_synapses == source.size, bool(model.weights()[-1] == weight)
    (True, True)
    """
    remove = remove & ~live.recorded()
    sizes = [len(s) for s in live.connections]
    begin = np.cumsum([0, *sizes[:-1]])
    owner = np.where(like >= 0, live.owners()[like], -1)
    drawn = np.ones(pre.size, dtype=bool)
    for k, synapses in enumerate(live.connections):
        new = np.flatnonzero((owner == k) & _holds(live, synapses, pre, post))
        drawn[new] = False
        if new.size:
            _duplicate(live, synapses, like[new] - begin[k], pre[new], post[new])
    if drawn.any():
        add_like(live, pre[drawn], post[drawn], signs=signs, rng=rng)
    for synapses, gone in zip(live.connections, np.split(remove, begin[1:]), strict=True):
        remove_synapses(synapses, keep=np.concatenate([~gone, np.ones(len(synapses) - gone.size, dtype=bool)]))


def rehearse(live: LiveNetwork, *, neurons: bool, edges: bool) -> None:
    """Refuse, before anything is changed, what the edits of pruning could not be done to.

    Parameters
    ----------
    live : LiveNetwork
    neurons, edges : bool
        Whether neurons are to be pruned, and edges to be added.

    Raises
    ------
    InvalidInput
        With the reason that the first edit that fails gives.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> model = HRSNN(20, 0.5, check_rate=False)
    >>> before = model.n_synapses
    >>> rehearse(model, neurons=True, edges=True)
    >>> model.n_synapses == before, model.n_alive
    (True, 20)
    """
    with Snapshot(live) as before:
        # Nothing differs yet: an object that cannot be set back shows here.
        before.restore()
        try:
            if edges:
                pre, post = live.edges()
                signs = np.zeros(live.n_neurons, dtype=int)
                add_like(live, pre[:1], post[:1], signs=signs, rng=np.random.default_rng(0))
            if neurons:
                silence(live, np.flatnonzero(live.measured & ~live.is_protected)[:1])
            keep_synapses(live, live.recorded())
        finally:
            before.restore()


def donor_synapses(new_pre: object, weights: object, *, signs: object, rng: np.random.Generator) -> np.ndarray:
    """Choose for each new synapse a surviving one to be like, among those of the sign of its source.

    The synapses are those of step III of Chakraborty et al. (2024), arXiv 2403.03409.

    Parameters
    ----------
    new_pre : array of int, shape (M,)
        Source neuron of each new synapse.
    weights : array of float, shape (S,)
        Of the surviving synapses. Those that are 0 have no sign and are not chosen.
    signs : array of int, shape (N,)
        +1 for an excitatory neuron, -1 for an inhibitory one, 0 for one that may be like any synapse.
    rng : numpy.random.Generator

    Returns
    -------
    array of int, shape (M,)
        Number of the surviving synapse, drawn evenly with replacement.

    Raises
    ------
    InvalidInput
        If no weight of a sign that is needed survives.

    Examples
    --------
    >>> donor_synapses([0, 1, 0], [0.5, -2.0, 0.0], signs=[1, -1], rng=np.random.default_rng(0))
    array([0, 1, 0])
    """
    sign = checks.array("signs", signs, shape=(None,), dtype=int)
    if not np.isin(sign, (-1, 0, 1)).all():
        raise InvalidInput("signs must be +1, -1 or 0")
    w = np.sign(checks.array("weights", weights, shape=(None,)))
    wanted = sign[checks.indices("new_pre", new_pre, sign.size)]
    donors = np.empty(wanted.size, dtype=np.int64)
    for s, name in ((1, "excitatory"), (-1, "inhibitory"), (0, "other")):
        new = wanted == s
        pool = np.flatnonzero(w == s if s else w)
        if new.any() and pool.size == 0:
            raise InvalidInput(f"no {name} synapse survives that {new.sum()} new ones could be like")
        if new.any():
            donors[new] = rng.choice(pool, int(new.sum()))
    return donors


def _duplicate(live: LiveNetwork, synapses: Synapses, like: np.ndarray, pre: np.ndarray, post: np.ndarray) -> None:
    """Add synapses between neurons of the network, like those of these numbers in `synapses`."""
    sources, targets = live.between(synapses)
    weight = live.weight_name(synapses) or ""
    duplicate_synapses(synapses, like, pre - sources.start, post - targets.start, weight=weight)


def _holds(live: LiveNetwork, synapses: Synapses, pre: np.ndarray, post: np.ndarray) -> np.ndarray:
    """Whether each new synapse could be one of `synapses`."""
    sources, targets = live.between(synapses)
    return (pre >= sources.start) & (pre < sources.stop) & (post >= targets.start) & (post < targets.stop)


def _touches(synapses: Synapses, group: str) -> bool:
    """Whether a side of `synapses` is the group of that name or a subgroup of it."""
    # A subgroup holds a proxy of its group, which is not the same object; names are unique within a network.
    return any(whole_group(side)[0].name == group for side in (synapses.source, synapses.target))
