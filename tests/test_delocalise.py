"""New edges against brute force, closed forms and networkx."""

import itertools
import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnpbrian.checks import InvalidInput
from lnpbrian.pruning.edits import donor_synapses
from lnpbrian.pruning.steps import delocalise
from lnpbrian.pruning.steps.delocalise import delocalising_edges, random_edges
from lnpbrian.pruning.steps.neurons import total_degree


@pytest.fixture(scope="module", autouse=True)
def from_nowhere():
    """Only the free greedy choice, unless a test asks for more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delocalise, "STARTS", 0)
        yield


@pytest.fixture
def from_anywhere(monkeypatch):
    """Greedy choices from every neuron of small graphs, as it is by default."""
    monkeypatch.setattr(delocalise, "STARTS", 2_000_000)


def random_graph(n, p, seed):
    """Self-connections included: they count for nothing."""
    rng = np.random.default_rng(seed)
    return np.nonzero(rng.random((n, n)) < p)


def simple(pre, post):
    return {(a, b) for a, b in zip(np.asarray(pre).tolist(), np.asarray(post).tolist(), strict=True) if a != b}


def admissible(edges, n, barred=()):
    near = [{b for a, b in edges if a == v} | {a for a, b in edges if b == v} for v in range(n)]
    pairs = itertools.permutations(range(n), 2)
    return [(u, v) for u, v in pairs if near[u] & near[v] and (u, v) not in edges and (u, v) not in barred]


def degrees(edges, n):
    return np.bincount(np.array(list(edges), dtype=int).ravel(), minlength=n)


def in_full(edges, n, count, barred=(), at_most=math.inf):
    """The best of the greedy choices: the free one, and those that begin at a neuron, of largest degree first."""
    d = degrees(edges, n)
    starts = beginnings(edges, n, count)
    found = [one for hub in (None, *starts) if len(one := greedy(edges, n, count, barred, at_most, hub)) == count]
    return max(found, key=lambda new: ((d + degrees(new, n)) ** 2).sum())  # the first of equal ones


def beginnings(edges, n, count):
    number = delocalise.STARTS // (len(edges) + n * count) if count > 1 else 0
    return np.argsort(-degrees(edges, n), kind="stable")[:number].tolist()


def greedy(edges, n, count, barred=(), at_most=math.inf, hub=None):
    """A greedy choice as it reads: all admissible edges are ordered anew at every step."""
    left, d, added, chosen = set(admissible(edges, n, barred)), degrees(edges, n), np.zeros(n), []

    def order(edge):
        first, second = sorted(edge, key=lambda w: (-d[w], w))
        return -(d[first] + d[second]), -d[first], first, second, edge[0]

    while len(chosen) < count:
        possible = [edge for edge in left if added[list(edge)].max() < at_most]
        if hub is not None and not any(hub in edge for edge in possible):
            hub = None
        if not possible:
            break
        u, v = min((edge for edge in possible if hub is None or hub in edge), key=order)
        left.remove((u, v))
        chosen.append((u, v))
        d[[u, v]] += 1
        added[[u, v]] += 1
    return chosen


def degree_variance(pre, post, n):
    return np.var(degrees(simple(pre, post), n))


def listed(new):
    return list(zip(new[0].tolist(), new[1].tolist(), strict=True))


# -------------------------------------------------------------------------------------------------------- new edges


@settings(max_examples=200, deadline=None)
@given(st.integers(3, 12), st.floats(0, 0.6), st.floats(0, 0.3), st.floats(0, 1), st.integers(0, 2**31))
def test_is_the_greedy_choice_and_keeps_the_constraints(n, p, excluded, fraction, seed):
    pre, post = random_graph(n, p, seed)
    exclude = random_graph(n, excluded, seed + 1)
    edges, barred = simple(pre, post), simple(*exclude)
    possible = set(admissible(edges, n, barred))
    count = round(fraction * len(possible))
    new = listed(delocalising_edges(pre, post, n, count=count, exclude=exclude))
    assert len(set(new)) == len(new) == count
    assert set(new) <= possible  # no self-connection, not present, not excluded, a common neighbour
    assert new == in_full(edges, n, count, barred)


@settings(max_examples=100, deadline=None)
@given(st.integers(3, 12), st.floats(0.1, 0.6), st.integers(1, 5), st.integers(0, 2**31))
def test_at_most_so_many_at_one_neuron(n, p, at_most, seed):
    pre, post = random_graph(n, p, seed)
    wanted = 1 + n * at_most // 2
    count = delocalising_edges(pre, post, n, count=wanted, at_most=at_most)[0].size
    assert count < wanted  # each edge has two ends
    new = delocalising_edges(pre, post, n, count=count, at_most=at_most)
    assert total_degree(*new, n).max(initial=0) <= at_most
    assert listed(new) == in_full(simple(pre, post), n, count, at_most=at_most)


@pytest.mark.parametrize(
    ("n", "mean_degree", "count", "at_most"), [(60, 2, 50, None), (60, 8, 20, None), (200, 4, 15, None), (70, 3, 50, 2)]
)
def test_is_the_greedy_choice_on_larger_graphs(n, mean_degree, count, at_most):
    # Sparse graphs exhaust one neuron after another; so does `at_most`, over more rows than are allotted at first.
    pre, post = random_graph(n, mean_degree / n, 3)
    new = delocalising_edges(pre, post, n, count=count, at_most=at_most)
    assert listed(new) == in_full(simple(pre, post), n, count, at_most=at_most or math.inf)


@pytest.mark.parametrize("at_most", [None, 3])
def test_is_the_greedy_choice_on_dense_graphs_with_a_tail(at_most):
    # Second neighbours of the core are found from both sides; those along the tail are one, two and three steps away.
    pre, post = random_graph(110, 0.5, 4)
    pre, post = np.r_[pre, 0, 110, 111, 112], np.r_[post, 110, 111, 112, 113]
    new = delocalising_edges(pre, post, 114, count=25, at_most=at_most, exclude=random_graph(114, 0.3, 5))
    barred = simple(*random_graph(114, 0.3, 5))
    assert listed(new) == in_full(simple(pre, post), 114, 25, barred, at_most=at_most or math.inf)


def test_all_admissible_edges_of_a_dense_graph_with_a_tail():
    # Neuron 80 is a second neighbour of those next to 0, 81 of 0, and 82 of 80 only.
    pre, post = random_graph(80, 0.6, 4)
    pre, post = np.r_[pre, 0, 80, 81], np.r_[post, 80, 81, 82]
    possible = admissible(simple(pre, post), 83)
    assert set(listed(delocalising_edges(pre, post, 83, count=len(possible)))) == set(possible)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 30), st.floats(0.05, 0.5), st.integers(0, 2**31))
def test_gain_formula(n, p, seed):
    pre, post = random_graph(n, p, seed)
    edges = simple(pre, post)
    count = min(10, len(admissible(edges, n)))
    new = delocalising_edges(pre, post, n, count=count)
    d = degrees(edges, n)
    before, gain, gains = (d**2).sum(), 0, []
    for u, v in listed(new):
        gains.append(2 * (d[u] + d[v]) + 2)
        gain += gains[-1]
        d[[u, v]] += 1
    variance = degree_variance(np.r_[pre, new[0]], np.r_[post, new[1]], n)
    # N^2 Var = N sum d^2 - (sum d)^2, in whole numbers; a variance of doubles of this size has a rounding below 1e-9.
    assert n**2 * variance == pytest.approx(n * (before + gain) - d.sum() ** 2, rel=1e-12, abs=1e-9)
    assert (d**2).sum() == before + gain


def best_and_greedy(pre, post, n, count):
    """Gains in sum d^2 of the best of all sets of `count` admissible edges, and of the greedy one."""
    edges = simple(pre, post)
    d, possible = degrees(edges, n), np.array(admissible(edges, n))
    sets = possible[np.array(list(itertools.combinations(range(len(possible)), count)))].reshape(-1, 2 * count)
    after = d + (sets[:, :, None] == np.arange(n)).sum(axis=1)
    found = d + degrees(listed(delocalising_edges(pre, post, n, count=count)), n)
    return (after**2).sum(axis=1).max() - (d**2).sum(), (found**2).sum() - (d**2).sum()


@pytest.mark.usefixtures("from_anywhere")
@pytest.mark.parametrize("at_most", [None, 2, 4])
def test_the_best_of_all_beginnings(at_most):
    for seed in range(40):
        n = 5 + seed % 4
        pre, post = random_graph(n, 0.3, [seed, 2])
        edges = simple(pre, post)
        new = delocalising_edges(pre, post, n, count=4, at_most=at_most)
        if len(new[0]) == 4:
            assert listed(new) == in_full(edges, n, 4, at_most=at_most or math.inf)


@pytest.mark.usefixtures("from_anywhere")
def test_near_the_optimum_on_small_random_graphs():
    ratios = []
    for seed in range(800):
        rng = np.random.default_rng(seed)
        n, p, count = int(rng.integers(3, 8)), rng.uniform(0.1, 0.6), int(rng.integers(1, 5))
        pre, post = random_graph(n, p, [seed, 1])
        possible = len(admissible(simple(pre, post), n))
        if possible < count or math.comb(possible, count) > 5000:
            continue
        best, greedy = best_and_greedy(pre, post, n, count)
        assert greedy <= best
        assert greedy == best or count > 1
        ratios.append(greedy / best)
    assert len(ratios) > 400
    assert min(ratios) >= 0.93  # 0.9375 is the worst of 6674 graphs
    assert np.mean(np.array(ratios) == 1) > 0.95


@pytest.mark.usefixtures("from_anywhere")
def test_edges_that_belong_together_are_found():
    # The largest single gain leads away from the best three: the sum of squares rises by 22, and the variance falls.
    graph, n = ([2, 3, 4, 4, 5], [6, 6, 0, 1, 6]), 7
    assert best_and_greedy(*graph, n, 3) == (26, 26)
    new = delocalising_edges(*graph, n, count=3)
    assert degree_variance(np.r_[graph[0], new[0]], np.r_[graph[1], new[1]], n) > degree_variance(*graph, n)
    free = greedy(simple(*graph), n, 3)
    assert ((degrees(simple(*graph), n) + degrees(free, n)) ** 2).sum() - (degrees(simple(*graph), n) ** 2).sum() == 22


def star_with_traps(t):
    """A star with t + 1 leaves, and t chains a <-> b -> c whose ends have more edges than a leaf but one pair only."""
    pre, post = [0] * (t + 1), list(range(1, t + 2))
    for k in range(t):
        a, b, c = (t + 2 + 3 * k + j for j in range(3))
        pre, post = [*pre, a, b, b], [*post, b, a, c]
    return pre, post, t + 2 + 3 * t


def test_no_constant_factor_is_guaranteed():
    # The ends of a chain have degrees 2 + 1, two leaves 1 + 1: the chains go first. A chain takes both directions,
    # 2 (2 + 1) + 2 and then 2 (3 + 2) + 2: 20 for two edges. The same 2 t edges from one leaf to t others, both ways:
    # (1 + 2 t)^2 - 1 at the one and 3^2 - 1 at each of the t, 4 t^2 + 12 t. Ratio 5 / (t + 3).
    for t in (1, 2, 7, 17):
        pre, post, n = star_with_traps(t)
        new = delocalising_edges(pre, post, n, count=2 * t)
        before, after = (
            degree_variance(*graph, n) for graph in ((pre, post), (np.r_[pre, new[0]], np.r_[post, new[1]]))
        )
        d, m = total_degree(pre, post, n), 2 * t
        shift = ((d.sum() + 2 * m) ** 2 - d.sum() ** 2) / n
        assert n * (after - before) + shift == pytest.approx(20 * t, rel=1e-9)
        leaves = np.arange(2, t + 2)
        star = d + total_degree(np.r_[np.ones(t, int), leaves], np.r_[leaves, np.ones(t, int)], n)
        assert (star**2).sum() - (d**2).sum() == 4 * t**2 + 12 * t
    assert best_and_greedy(*star_with_traps(2), 4) == (40, 40)  # 4 * 4 + 12 * 2: no better yet


def test_star_by_hand():
    # Leaves 1, 2, 3 around 0, degrees 3, 1, 1, 1; the hub shares no neighbour with a leaf. All pairs gain the same: the
    # lowest indices, both ways; then leaf 1 has degree 3 and 1 - 3 gains as much as 2 - 3: the lower index.
    for count in (6, 7):  # there are no more than six
        new = delocalising_edges([0, 0, 0], [1, 2, 3], 4, count=count)
        assert listed(new) == [(1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)]


def test_hub_collects_the_edges():
    # 0 has degree 3 and the second neighbour 4 through 1, 3; every other pair has less: 0 - 4, then what 0 still can.
    # 0 -> 1, 0 -> 2, 0 -> 3, 1 -> 4, 3 -> 4: degrees 3, 2, 1, 2, 2; pairs 0 - 4, 1 - 2, 1 - 3, 2 - 3.
    pre, post = [0, 0, 0, 1, 3], [1, 2, 3, 4, 4]
    assert listed(delocalising_edges(pre, post, 5, count=3)) == [(0, 4), (4, 0), (1, 3)]
    # Of a pair barred one way, the other way; a pair barred both ways is passed over.
    assert listed(delocalising_edges(pre, post, 5, count=2, exclude=([0], [4]))) == [(4, 0), (1, 3)]
    assert listed(delocalising_edges(pre, post, 5, count=2, exclude=([0, 4], [4, 0]))) == [(1, 3), (3, 1)]
    assert listed(delocalising_edges(pre, post, 5, count=2, at_most=1)) == [(0, 4), (1, 3)]


def test_reverse_of_a_synapse_is_a_new_edge_within_a_triangle():
    for count in (3, 4):  # all degrees 2, all pairs taken one way
        new = delocalising_edges([0, 1, 2], [1, 2, 0], 3, count=count)
        assert listed(new) == [(1, 0), (0, 2), (2, 1)]  # 0 - 1; then 0 and 1 have 3, and 0 is lower


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 20), st.floats(0.02, 0.2), st.integers(0, 2**31))
def test_pieces_stay_apart(n, p, seed):
    """A common neighbour is in the same piece: step III mends no network that has come apart."""
    pre, post = random_graph(n, p, seed)
    possible = len(admissible(simple(pre, post), n))
    new = delocalising_edges(pre, post, n, count=possible)

    def pieces(edges):
        graph = nx.Graph(list(edges))
        graph.add_nodes_from(range(n))
        return {frozenset(piece) for piece in nx.connected_components(graph)}

    assert pieces(simple(pre, post)) == pieces(simple(np.r_[pre, new[0]], np.r_[post, new[1]]))


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 25), st.floats(0.05, 0.4), st.integers(0, 2**31))
def test_order_and_multiplicity_of_synapses_decide_nothing(n, p, seed):
    pre, post = random_graph(n, p, seed)
    count = len(admissible(simple(pre, post), n)) // 2
    shuffled = np.random.default_rng(seed).permutation(np.tile(np.arange(pre.size), 2))
    first = delocalising_edges(pre, post, n, count=count)
    second = delocalising_edges(pre[shuffled], post[shuffled], n, count=count)
    assert listed(first) == listed(second)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0], [2], 2), {"count": 1}, r"post must hold neuron indices in 0\.\.1"),
        (([0, 1], [1, 2], 3), {"count": -1}, "count must be a whole number of at least 0"),
        (([0, 1], [1, 2], 3), {"count": 2, "at_most": 0}, "at_most must be a whole number of at least 1"),
        (([0, 1], [1, 2], 3), {"count": 1, "exclude": [0, 1, 2]}, r"exclude must be \(pre, post\)"),
        (([0, 1], [1, 2], 3), {"count": 1, "exclude": ([0], [3])}, r"post must hold neuron indices in 0\.\.2"),
    ],
)
def test_wrong_requests(arguments, options, message):
    with pytest.raises(InvalidInput, match=message):
        delocalising_edges(*arguments, **options)


@pytest.mark.parametrize(
    ("pre", "post", "n", "options", "found"),
    [
        ([0], [1], 2, {"count": 1}, 0),  # two neurons have no neighbour in common
        ([0, 1], [1, 2], 3, {"count": 3}, 2),
        ([0, 1], [1, 2], 3, {"count": 2, "at_most": 1}, 1),
        ([0, 1], [1, 2], 3, {"count": 1, "exclude": ([0, 2], [2, 0])}, 0),
    ],
)
def test_as_many_as_there_are(pre, post, n, options, found):
    assert len(listed(delocalising_edges(pre, post, n, **options))) == found


def test_nothing_to_add():
    for n in (1, 2, 5):
        new = delocalising_edges([], [], n, count=0)
        assert [x.shape for x in new] == [(0,), (0,)]
        assert [x.dtype for x in new] == [np.int64, np.int64]


# ------------------------------------------------------------------------------------------------------ random edges


def absent(edges, n, barred=()):
    return [pair for pair in itertools.permutations(range(n), 2) if pair not in edges and pair not in barred]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 12), st.floats(0, 1), st.floats(0, 0.3), st.floats(0, 1), st.integers(0, 2**31))
def test_random_edges_are_absent_pairs(n, p, excluded, fraction, seed):
    pre, post = random_graph(n, p, seed)
    exclude = random_graph(n, excluded, seed + 1)
    possible = absent(simple(pre, post), n, simple(*exclude))
    count = round(fraction * len(possible))
    rng = np.random.default_rng(seed)
    new = listed(random_edges(pre, post, n, count=count, rng=rng, exclude=exclude))
    assert len(set(new)) == len(new) == count
    assert set(new) <= set(possible)
    assert new == sorted(new)
    for more in (0, 1):
        everything = random_edges(pre, post, n, count=len(possible) + more, rng=rng, exclude=exclude)
        assert listed(everything) == possible


@pytest.mark.parametrize("count", [1, 2, 4])
def test_every_set_of_random_edges_is_as_likely(count):
    # Six absent pairs of four neurons: few are drawn one by one, many by what is left out.
    pre, post = [0, 0, 1, 2, 3, 3], [1, 3, 2, 0, 0, 2]
    sets = list(itertools.combinations(absent(simple(pre, post), 4), count))
    rng, draws = np.random.default_rng(7), 6000
    found = [tuple(listed(random_edges(pre, post, 4, count=count, rng=rng))) for _ in range(draws)]
    counts = np.array([found.count(each) for each in sets])
    assert counts.sum() == draws
    p = 1 / len(sets)
    assert (np.abs(counts - draws * p) < 5 * np.sqrt(draws * p * (1 - p))).all()


def test_random_edges_of_large_networks():
    # 4 * 10^10 pairs: a list of them would not fit. Both halves of the targets are as likely.
    pre, post = np.arange(200_000), (np.arange(200_000) + 1) % 200_000
    new_pre, new_post = random_edges(pre, post, 200_000, count=10_000, rng=np.random.default_rng(0))
    assert np.unique(new_pre * 200_000 + new_post).size == 10_000
    assert (new_pre != new_post).all()
    for ends in (new_pre, new_post):
        assert abs((ends < 100_000).sum() - 5000) < 5 * np.sqrt(2500)
    # All but three pairs present.
    u, v = np.nonzero(~np.eye(1000, dtype=bool))
    left = np.array([5, 77_000, 998_000])
    kept = np.ones(u.size, dtype=bool)
    kept[left] = False
    new = random_edges(u[kept], v[kept], 1000, count=3, rng=np.random.default_rng(0))
    assert listed(new) == listed((u[left], v[left]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": -1}, "count must be a whole number of at least 0"),
        ({"count": 1, "rng": 3}, "rng must be a generator"),
        ({"count": 1, "exclude": [0, 1, 2]}, r"exclude must be \(pre, post\)"),
    ],
)
def test_wrong_requests_for_random_edges(options, message):
    with pytest.raises(InvalidInput, match=message):
        random_edges([0, 1], [1, 2], 3, **({"rng": np.random.default_rng(0)} | options))


# ----------------------------------------------------------------------------------------------------------- weights


def dale(seed, n=50, synapses=400):
    rng = np.random.default_rng(seed)
    pre = rng.integers(0, n, synapses)
    weights = np.where(pre < 40, 1, -1) * rng.gamma(2, 1, synapses)
    return rng, pre, weights, np.arange(n) < 40


def test_donors_are_survivors_of_the_sign_of_the_source():
    rng, _, weights, excitatory = dale(0)
    weights[::50] = 0
    new_pre = rng.integers(0, 50, 40_000)
    donors = donor_synapses(new_pre, weights, signs=np.where(excitatory, 1, -1), rng=np.random.default_rng(1))
    np.testing.assert_array_equal(weights[donors] > 0, excitatory[new_pre])
    np.testing.assert_array_equal(weights[donors] < 0, ~excitatory[new_pre])
    for sign in (1, -1):
        pool = np.flatnonzero(weights * sign > 0)
        drawn = donors[weights[donors] * sign > 0]
        # Every synapse is as likely as any other: binomial counts.
        counts = np.bincount(drawn, minlength=weights.size)[pool]
        assert (np.abs(counts - drawn.size / pool.size) < 5 * np.sqrt(drawn.size / pool.size)).all()


def test_donors_of_neurons_without_a_sign_are_any():
    donors = donor_synapses(np.zeros(200, int), [1.0, -2.0, 0.0], signs=[0, 1], rng=np.random.default_rng(0))
    assert set(donors) == {0, 1}


@pytest.mark.parametrize(
    ("new_pre", "weights", "signs", "message"),
    [
        ([1, 1], [1.0], [1, -1], "no inhibitory synapse survives that 2 new ones"),
        ([0], [-1.0], [1, -1], "no excitatory synapse survives that 1 new"),
        ([0], [0.0], [0], "no other synapse survives"),
        ([0], [1.0], [2], "signs must be"),
        ([3], [1.0], [1, 1], r"new_pre must hold neuron indices in 0\.\.1, got 3"),
        ([0.5], [1.0], [1], "new_pre must be a list of neuron indices"),
    ],
)
def test_wrong_donors(new_pre, weights, signs, message):
    with pytest.raises(InvalidInput, match=message):
        donor_synapses(new_pre, weights, signs=signs, rng=np.random.default_rng(0))
