"""Swaps and edges that make a pruned network one strong component at even degrees (step III, rule "connect").

A synapse from ``pre[e]`` to ``post[e]`` is a directed edge. Self-connections and parallel synapses stay as they are;
none are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lnpbrian import checks
from lnpbrian.pruning.steps.delocalise import keys_of

__all__ = ["Connection", "connect"]

# Swaps that are looked at at a time, and how often other synapses of the same neurons are drawn.
PROPOSALS, DRAWS = 200_000, 3


@dataclass(frozen=True, eq=False)
class Connection:
    """Synapses to take out and to put in.

    Attributes
    ----------
    remove : array of bool, shape (S,)
        True for the synapses to take out.
    new_pre, new_post : array of int, shape (M,)
        Source and target of the edges to put in.
    like : array of int, shape (M,)
        The removed synapse that has the same source, whose weight the edge takes over; -1 where there is none.
    components_before, components_after : int
        Number of strong components among the neurons that can have both inputs and outputs.
    swaps : int
        Pairs of synapses that have exchanged their targets.
    moved : int
        Synapses of which one end went to a neuron that had no input or no output.
    added : int
        Edges by which synapses are more than before: ``new_pre.size - remove.sum()``.
    status : str
        How it ended.

    Notes
    -----
    `connect` makes one.

    Exchanges of targets keep the degrees (Maslov and Sneppen 2002, doi:10.1126/science.1065103).
    """

    remove: np.ndarray = field(repr=False)
    new_pre: np.ndarray = field(repr=False)
    new_post: np.ndarray = field(repr=False)
    like: np.ndarray = field(repr=False)
    components_before: int
    components_after: int
    swaps: int
    moved: int
    added: int
    status: str


def connect(
    pre: object,
    post: object,
    neurons: int,
    *,
    candidates: tuple[object, object] | None = None,
    rng: np.random.Generator,
    max_new: int | None = None,
    signs: object = None,
) -> Connection:
    """Make a directed graph one strong component with few changes that leave degrees as they are or more even.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse, in 0..N-1.
    neurons : int
        N.
    candidates : (array of int, array of int), optional
        Source and target of edges that are preferred, such as the synapses of the network before pruning. They also
        tell which neurons can have inputs and which outputs: those that have one among the synapses or the
        candidates. The others (a PoissonGroup, a population that only receives, neurons that are gone) get none.
        Without candidates every neuron can have both.
    rng : numpy.random.Generator
    max_new : int, at least 0, optional
        Largest number of edges added; no limit by default. Swaps and moves are free.
    signs : array of int, shape (N,), optional
        Sign of the weights of each neuron's outputs. Swaps and moves between sources of the same sign are preferred:
        targets then have as many inputs of each sign as before.

    Returns
    -------
    Connection

    Raises
    ------
    InvalidInput
        If an index is out of range, or an argument is not of its shape.

    Notes
    -----
    Made for this package; Chakraborty et al. (2024), arXiv 2403.03409, add edges instead. Three stages:

    1. *Moves.* A neuron without input from those that can have both gets one: of the synapses onto neurons with two or
       more inputs one gets it as its target, a candidate if there is one, of the target with most inputs. Likewise
       for outputs, where the synapse gets another source and so no weight (`like` is -1).
    2. *Swaps.* ``i -> a`` within one strong component and ``j -> b`` within another become ``i -> b`` and ``j -> a``.
       All degrees stay, and weights stay with their source. That always joins the two: the way from a to i, and those
       from a to any neuron and from any to i, do not need ``i -> a``; so ``a .. i -> b .. j -> a`` is a
       cycle that all of both components have ways to and from. Swaps with two candidates come first, then with one,
       then any; of these, those of equal signs. Once every neuron has an input and an output, every way forward and
       every way back ends in a component that has a cycle, so joining these joins everything.
    3. *New edges*, where moves and swaps do not suffice: the fewest that join the components, after Eswaran and Tarjan
       (1976), SIAM J. Comput. 5, 653, doi:10.1137/0205044; between neurons of low degree, candidates first.

    Components are computed a few times in all. A network of 5000 neurons and 5000 synapses takes less than a second.

    Examples
    --------
    Two cycles of two neurons, 0 <-> 1 and 2 <-> 3, become one of four:

    >>> found = connect([0, 1, 2, 3], [1, 0, 3, 2], 4, rng=np.random.default_rng(0))
    >>> found.components_before, found.components_after, found.swaps, found.added
    (2, 1, 1, 0)
    >>> found.status
    'strongly connected'
    """
    n = checks.count("neurons", neurons)
    source, target = checks.edge_arrays(pre, post, n)
    checks.generator("rng", rng)
    limit = n * n if max_new is None else checks.count("max_new", max_new, minimum=0)
    sign = np.ones(n) if signs is None else np.sign(checks.array("signs", signs, shape=(n,)))
    wanted = np.empty(0, dtype=np.int64) if candidates is None else keys_of("candidates", candidates, n)
    graph = _Graph(source, target, n, wanted, candidates is not None, sign, rng)
    before = graph.components()[0]
    graph.move_inputs()
    graph.move_outputs()
    graph.swap_all()
    graph.add_all(limit)
    return graph.result(before)


class _Graph:
    """The edges as they are by now, entry e < S being synapse e with its present ends."""

    def __init__(
        self,
        source: np.ndarray,
        target: np.ndarray,
        n: int,
        wanted: np.ndarray,
        told: bool,
        sign: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        self.first = (source, target)
        self.source, self.target = source.copy(), target.copy()
        self.n, self.wanted, self.sign, self.rng = n, wanted, sign, rng
        self.sends = np.bincount(np.concatenate([source, wanted // n]), minlength=n) > 0 if told else np.ones(n, bool)
        self.hears = np.bincount(np.concatenate([target, wanted % n]), minlength=n) > 0 if told else np.ones(n, bool)
        self.core = self.sends & self.hears
        self.base = np.sort(source * n + target)
        self.changes: dict[int, int] = {}
        self.swaps = self.moved = 0

    # ------------------------------------------------------------------------------------------ what there is

    def components(self) -> tuple[int, np.ndarray]:
        """Number of strong components of the core, and the component of each of its neurons (-1 of others)."""
        inner = self.core[self.source] & self.core[self.target]
        ends = (self.source[inner], self.target[inner])
        graph = sparse.csr_array((np.ones(ends[0].size, dtype=bool), ends), shape=(self.n, self.n))
        label = connected_components(graph, connection="strong")[1]
        found, number = np.unique(label[self.core], return_inverse=True)
        result = np.full(self.n, -1)
        result[self.core] = number
        return found.size, result

    def present(self, keys: np.ndarray) -> np.ndarray:
        """Which edges ``pre * n + post`` there are by now."""
        number = np.searchsorted(self.base, keys, side="right") - np.searchsorted(self.base, keys, side="left")
        if self.changes:
            changed = np.array(sorted(self.changes))
            by = np.array([self.changes[k] for k in changed.tolist()])
            at = np.minimum(np.searchsorted(changed, keys), changed.size - 1)
            number = number + np.where(changed[at] == keys, by[at], 0)
        return number > 0

    def is_wanted(self, keys: np.ndarray) -> np.ndarray:
        if not self.wanted.size:
            return np.zeros(keys.shape, dtype=bool)
        at = np.minimum(np.searchsorted(self.wanted, keys), self.wanted.size - 1)
        return self.wanted[at] == keys

    def set_edge(self, e: int, i: int, a: int) -> None:
        """Give edge e these ends."""
        for key, by in ((int(self.source[e]) * self.n + int(self.target[e]), -1), (i * self.n + a, 1)):
            self.changes[key] = self.changes.get(key, 0) + by
        self.source[e], self.target[e] = i, a

    # ------------------------------------------------------------------------------------------ moves

    def move_inputs(self) -> None:
        """Give each neuron that lacks an input (from the core, if it is of the core) one by moving a target."""
        self._move(self.source, self.target, self.hears, inputs=True)

    def move_outputs(self) -> None:
        """Give each neuron that lacks an output one by moving a source."""
        self._move(self.target, self.source, self.sends, inputs=False)

    def _move(self, stay: np.ndarray, go: np.ndarray, able: np.ndarray, *, inputs: bool) -> None:
        # The end `stay` of an edge remains, the end `go` moves. Self-connections do not count.
        n, core = self.n, self.core
        real = stay != go
        within = real & core[stay] & core[go]
        total = np.bincount(go[real], minlength=n)
        inner = np.bincount(go[within], minlength=n)
        other = np.bincount(stay[within], minlength=n)
        for v in self.rng.permutation(np.flatnonzero(able & (np.where(core, inner, total) == 0))).tolist():
            free = real & (np.where(within, inner[go], total[go]) >= 2) & (stay != v)
            if core[v]:
                free &= core[stay]
            else:
                free &= ~within | (other[stay] >= 2)
            joined = np.zeros(n, dtype=bool)
            joined[stay[go == v]] = True
            edges = np.flatnonzero(free & ~joined[stay])
            if not edges.size:
                continue
            keys = stay[edges] * n + v if inputs else v * n + stay[edges]
            # A candidate, then from a source of the same sign, then of the end that has most.
            same = 1.0 if inputs else self.sign[go[edges]] == self.sign[v]
            most = total[go[edges]] + self.rng.random(edges.size) / 2
            rank = (2.0 * self.is_wanted(keys) + same) * 2 * self.first[0].size + most
            e = int(edges[np.argmax(rank)])
            i, a = int(stay[e]), int(go[e])
            total[a] -= 1
            total[v] += 1
            if within[e]:
                inner[a] -= 1
                other[i] -= 1
            within[e] = core[i] and core[v]
            if within[e]:
                inner[v] += 1
                other[i] += 1
            self.set_edge(e, *((i, v) if inputs else (v, i)))
            self.moved += 1

    # ------------------------------------------------------------------------------------------ swaps

    def swap_all(self) -> None:
        """Join all components that contain a cycle."""
        while True:
            count, label = self.components()
            inner = self._inner(label)
            cyclic = np.unique(label[self.source[inner]])
            if cyclic.size < 2:
                return
            label = np.where(np.isin(label, cyclic), label, -1)
            left = cyclic.size
            for least in (2, 1):
                for _ in range(DRAWS if self.wanted.size else 0):
                    left = self._swap_candidates(label, left, least)
            self._swap_any(label, left)
            if self.components()[0] == count:
                return

    def _inner(self, label: np.ndarray) -> np.ndarray:
        a, b = label[self.source], label[self.target]
        return np.flatnonzero((a == b) & (a >= 0) & (self.source != self.target))

    def _swap_candidates(self, label: np.ndarray, left: int, least: int) -> int:
        """Swap where at least so many of the two new edges are candidates; the number of components left."""
        if left == 1:
            return left
        n, rng = self.n, self.rng
        inner = rng.permutation(self._inner(label))
        out, into = np.full(n, -1), np.full(n, -1)
        out[self.source[inner]] = inner  # a random one each
        into[self.target[inner]] = inner
        i, b = self.wanted // n, self.wanted % n
        across = np.flatnonzero((label[i] != label[b]) & (label[i] >= 0) & (label[b] >= 0))
        if across.size > PROPOSALS:
            # Those of the smaller components first: between large ones there are many.
            size = np.bincount(label[label >= 0], minlength=int(label.max()) + 1)
            smaller = np.minimum(size[label[i[across]]], size[label[b[across]]])
            across = across[np.lexsort((rng.random(across.size), smaller))]
            across = np.concatenate([across[: PROPOSALS // 2], rng.choice(across, PROPOSALS // 2, replace=False)])
        one, two = out[i[across]], into[b[across]]
        good = (one >= 0) & (two >= 0)
        return self._swap(one[good], two[good], label, left, least)

    def _swap_any(self, label: np.ndarray, left: int) -> None:
        """Swap random synapses of one component with those of another, more and more of them."""
        tries = 16
        while left > 1 and tries <= PROPOSALS:
            inner = self._inner(label)
            by = inner[np.argsort(label[self.source[inner]], kind="stable")]
            found, starts, sizes = np.unique(label[self.source[by]], return_index=True, return_counts=True)
            one = np.repeat(np.arange(found.size), -(-tries // found.size) if tries > 16 else tries)
            two = (one + self.rng.integers(1, found.size, size=one.size)) % found.size
            pairs = [by[starts[c] + self.rng.integers(sizes[c])] for c in (one, two)]
            before = left
            left = self._swap(pairs[0], pairs[1], label, left, 0)
            if left == before:
                tries *= 16

    def _swap(self, one: np.ndarray, two: np.ndarray, label: np.ndarray, left: int, least: int) -> int:
        """Make the swaps of these pairs of edges that join two components, the best first."""
        n = self.n
        i, a, j, b = self.source[one], self.target[one], self.source[two], self.target[two]
        keys = i * n + b, j * n + a
        known = self.is_wanted(keys[0]).astype(int) + self.is_wanted(keys[1])
        good = (known >= least) & ~self.present(keys[0]) & ~self.present(keys[1]) & self.core[i] & self.core[j]
        rank = 2 * known + (self.sign[i] == self.sign[j])
        pairs = np.flatnonzero(good)
        pairs = pairs[np.lexsort((self.rng.random(pairs.size), -rank[pairs]))]
        used: set[int] = set()
        made: set[int] = set()
        for start in range(0, pairs.size, 4096):
            some = pairs[start : start + 4096]
            some = some[label[i[some]] != label[b[some]]]
            for k in some.tolist():
                e, f, x, y = int(one[k]), int(two[k]), int(i[k]), int(j[k])
                first, second = int(keys[0][k]), int(keys[1][k])
                if label[x] == label[y] or e in used or f in used or first in made or second in made:
                    continue
                used |= {e, f}
                made |= {first, second}
                self.set_edge(e, x, int(b[k]))
                self.set_edge(f, y, int(a[k]))
                label[label == label[y]] = label[x]
                self.swaps += 1
                left -= 1
                if left == 1:
                    return left
        return left

    # ------------------------------------------------------------------------------------------ new edges

    def add_all(self, limit: int) -> None:
        """Join components, and then neurons outside of them, as far as the limit allows."""
        for between in (self._joining, self._outside):
            new = self._cheapest(between(limit - self.source.size + self.first[0].size))
            self.source = np.concatenate([self.source, new // self.n])
            self.target = np.concatenate([self.target, new % self.n])

    def _joining(self, limit: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Pairs of components that edges are to lead between."""
        count, label = self.components()
        a, b = label[self.source], label[self.target]
        across = (a != b) & (a >= 0) & (b >= 0)
        new = _joining_edges(a[across], b[across], count, limit, self.rng) if count > 1 else []
        return [(np.flatnonzero(label == x), np.flatnonzero(label == y)) for x, y in new]

    def _outside(self, limit: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Those that can only have inputs or only outputs and have none, with all they could be joined to."""
        deaf, mute = self._lacking()
        core = np.flatnonzero(self.core)
        if not core.size:
            return []
        return ([(core, np.array([v])) for v in deaf] + [(np.array([v]), core) for v in mute])[:limit]

    def _lacking(self) -> tuple[np.ndarray, np.ndarray]:
        """Neurons outside the core that have no input though they could, and those that have no output."""
        real = self.source != self.target
        deaf = self.hears & ~self.core & (np.bincount(self.target[real], minlength=self.n) == 0)
        mute = self.sends & ~self.core & (np.bincount(self.source[real], minlength=self.n) == 0)
        return np.flatnonzero(deaf), np.flatnonzero(mute)

    def _cheapest(self, between: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """For each pair of sets an edge from one to the other, a candidate if there is one, at low degrees."""
        n = self.n
        real = self.source != self.target
        out, into = (np.bincount(end[real], minlength=n) for end in (self.source, self.target))
        found = []
        for tails, heads in between:
            # Enough to meet a candidate where there are many.
            tails = tails[np.lexsort((self.rng.random(tails.size), out[tails]))][:64]
            heads = heads[np.lexsort((self.rng.random(heads.size), into[heads]))][:64]
            keys = (tails[:, None] * n + heads[None, :]).ravel()
            rank = 4 * self.first[0].size * ~self.is_wanted(keys) + out[keys // n] + into[keys % n]
            key = int(keys[np.argmin(rank)])
            out[key // n] += 1
            into[key % n] += 1
            found.append(key)
        return np.array(found, dtype=np.int64)

    # ------------------------------------------------------------------------------------------ what came out

    def result(self, before: int) -> Connection:
        pre, post = self.first
        source, target = self.source[: pre.size], self.target[: pre.size]
        remove = (source != pre) | (target != post)
        changed, added = np.flatnonzero(remove), np.arange(pre.size, self.source.size)
        edges = np.concatenate([changed, added])
        same = np.where(source == pre, np.arange(pre.size), -1)
        like = np.concatenate([same[changed], np.full(added.size, -1)])
        after = self.components()[0]
        return Connection(
            remove=remove,
            new_pre=self.source[edges],
            new_post=self.target[edges],
            like=like,
            components_before=before,
            components_after=after,
            swaps=self.swaps,
            moved=self.moved,
            added=added.size,
            status=self._status(after),
        )

    def _status(self, after: int) -> str:
        deaf, mute = self._lacking()
        if after <= 1 and not deaf.size and not mute.size:
            return "strongly connected"
        return (
            f"not strongly connected: {after} components, and outside of them {deaf.size} neurons without input "
            f"and {mute.size} without output; give more synapses or a larger max_new"
        )


def _joining_edges(
    tail: np.ndarray, head: np.ndarray, n: int, limit: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """The fewest edges that make an acyclic graph of n nodes strongly connected; as good a part if these are too many.

    A ring through pairs of a node without way in and one without way out that it leads to, and through single nodes;
    other nodes without way in and without way out are joined in pairs, which the ring leads to and from.
    """
    has_in, has_out = (np.bincount(end, minlength=n) > 0 for end in (head, tail))
    if np.count_nonzero(~has_in & has_out) > np.count_nonzero(has_in & ~has_out):
        return [(y, x) for x, y in _joining_edges(head, tail, n, limit, rng)]
    starts = rng.permutation(np.flatnonzero(~has_in & has_out)).tolist()
    ends = rng.permutation(np.flatnonzero(has_in & ~has_out)).tolist()
    alone = rng.permutation(np.flatnonzero(~has_in & ~has_out)).tolist()
    pairs = _leading(tail, head, starts, has_out)
    left_starts = [x for x in starts if x not in pairs]
    reached = set(pairs.values())
    left_ends = [x for x in ends if x not in reached]
    # There are at least as many ends as starts.
    single = left_ends[len(left_starts) :] + alone
    ring = ([*pairs.items()] + [(x, x) for x in single])[:limit]
    new = [(ring[k][1], ring[(k + 1) % len(ring)][0]) for k in range(len(ring))]
    new = [(x, y) for x, y in new if x != y]
    return (new + list(zip(left_ends, left_starts, strict=False)))[:limit]


def _leading(tail: np.ndarray, head: np.ndarray, starts: list[int], has_out: np.ndarray) -> dict[int, int]:
    """For as many starts as a depth-first search gives one, an end they lead to, no end twice."""
    order = np.argsort(tail, kind="stable")
    at = np.searchsorted(tail[order], np.arange(has_out.size + 1)).tolist()
    heads, goes_on = head[order].tolist(), has_out.tolist()
    seen = [False] * has_out.size
    pairs = {}
    for start in starts:
        stack = [start]
        while stack:
            x = stack.pop()
            if seen[x]:
                continue
            seen[x] = True
            if not goes_on[x]:
                pairs[start] = x
                break
            stack += heads[at[x] : at[x + 1]]
    return pairs
