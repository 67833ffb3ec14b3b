"""Samples of synapses: marginals, degrees, kinds, optimal matchings, and what no even network can be drawn from."""

import itertools
import time

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnpbrian.checks import InvalidInput
from lnpbrian.pruning.steps import sampling
from lnpbrian.pruning.steps.noise import keep_probability
from lnpbrian.pruning.steps.sampling import sample_edges


def random_graph(n, density, seed):
    mask = np.random.default_rng(seed).random((n, n)) < density
    np.fill_diagonal(mask, False)
    return np.nonzero(mask)


def even(p, pre, post, seed=0, **more):
    return sample_edges(p, rng=np.random.default_rng(seed), method="even", pre=pre, post=post, **more)


def degrees(pre, post, keep, n):
    return np.bincount(pre[keep], minlength=n), np.bincount(post[keep], minlength=n)


# ------------------------------------------------------------------------------------------ independent, systematic


def test_independent_draws_are_the_uniform_numbers_of_the_generator():
    p = np.random.default_rng(0).random(1000)
    np.testing.assert_array_equal(
        sample_edges(p, rng=np.random.default_rng(5)), np.random.default_rng(5).random(1000) < p
    )


def test_systematic_marginals_are_the_probabilities():
    pre, post = random_graph(12, 0.5, 0)
    p = np.random.default_rng(1).random(pre.size) ** 2
    p[:4] = [0, 1, 1e-3, 1 - 1e-3]
    rng, draws = np.random.default_rng(2), 5000
    kept = sum(sample_edges(p, rng=rng, method="systematic", post=post).astype(int) for _ in range(draws))
    # Each count is binomial: 5 standard errors.
    assert (np.abs(kept / draws - p) <= 5 * np.sqrt(p * (1 - p) / draws)).all()
    assert kept[0] == 0
    assert kept[1] == draws


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=30, deadline=None)
def test_systematic_inputs_are_within_one_of_their_expectation(seed, kinds):
    pre, post = random_graph(20, 0.5, seed)
    rng = np.random.default_rng(seed)
    # Eighths make many expectations whole, and sums exact: then the number is the expectation.
    p = rng.integers(0, 9, pre.size) / 8
    groups = rng.integers(-1, 2, pre.size) if kinds else None
    keep = sample_edges(p, rng=rng, method="systematic", post=post, groups=groups)
    for kind in (None,) if groups is None else (None, -1, 0, 1):
        of = np.ones(pre.size, dtype=bool) if kind is None else groups == kind
        expected = np.bincount(post[of], weights=p[of], minlength=20)
        number = np.bincount(post[of & keep], minlength=20)
        assert (np.abs(number - expected) < 1).all()
    assert not keep[p == 0].any()
    assert keep[p == 1].all()


# --------------------------------------------------------------------------------------------------- even: degrees


@given(st.integers(0, 10**6), st.integers(8, 30), st.floats(0.3, 1), st.floats(0, 1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_even_degrees_are_within_one_of_their_mean_where_the_graph_has_such(seed, n, density, fraction, matchings):
    # The union of random permutations is a graph that has an even network of every size.
    rng = np.random.default_rng(seed)
    k = max(1, int(density * n / 2))
    shifts = rng.permutation(np.arange(1, n))[:k]
    relabel, other = rng.permutation(n), rng.permutation(n)
    pre, post = (np.concatenate([side] * k) for side in (relabel, np.arange(n)))
    post = other[(post + np.repeat(shifts, n)) % n]
    p = rng.random(pre.size) ** 3
    count = int(fraction * pre.size)
    with pytest.MonkeyPatch.context() as patch:
        if not matchings:
            patch.setattr(sampling, "MATCHINGS", 0)
        keep = even(p, pre, post, seed, count=count)
    assert keep.sum() == count
    for number in degrees(pre, post, keep, n):
        assert set(number) <= {count // n, -(-count // n)}


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_even_finds_an_even_network_where_networkx_finds_one(seed):
    # Sparse graphs, many of which have none: a flow with bounds on the degrees, by networkx, decides.
    rng = np.random.default_rng(seed)
    n = 8
    pre, post = random_graph(n, 0.45, seed)
    sources, targets = np.unique(pre), np.unique(post)
    count = int(rng.integers(1, pre.size + 1))
    keep = even(rng.random(pre.size), pre, post, seed, count=count)
    assert keep.sum() == count
    graph = nx.DiGraph()
    for side, nodes in (("s", sources), ("t", targets)):
        low, high = count // nodes.size, -(-count // nodes.size)
        for k in nodes:
            # Lower bounds as demand: low units must pass.
            ends = ("hub", ("s", k)) if side == "s" else (("t", k), "hub")
            graph.add_edge(*ends, capacity=high - low)
            graph.nodes[ends[0]]["demand"] = graph.nodes[ends[0]].get("demand", 0) + low
            graph.nodes[ends[1]]["demand"] = graph.nodes[ends[1]].get("demand", 0) - low
    # The total is count: the hub is split by an arc of exactly that.
    split = nx.DiGraph()
    for a, b, data in graph.edges(data=True):
        split.add_edge("in" if a == "hub" else a, "out" if b == "hub" else b, **data)
    for node, data in graph.nodes(data=True):
        if node != "hub":
            split.nodes[node]["demand"] = data["demand"]
    split.nodes["in"]["demand"] = count // sources.size * sources.size - count
    split.nodes["out"]["demand"] = count - count // targets.size * targets.size
    for i, a in zip(pre, post, strict=True):
        split.add_edge(("s", i), ("t", a), capacity=1)
    try:
        nx.network_simplex(split)
        exists = True
    except nx.NetworkXUnfeasible:
        exists = False
    found = all(
        set(np.bincount(end[keep], minlength=n)[nodes]) <= {count // nodes.size, -(-count // nodes.size)}
        for end, nodes in ((pre, sources), (post, targets))
    )
    assert found == exists


def test_neurons_of_few_synapses_keep_them_all_and_the_others_share_the_rest():
    # Neuron 0 has one output; 57 outputs of the others are as even as can be.
    n = 20
    pre, post = random_graph(n, 1, 0)
    some = (pre != 0) | (post == 1)
    pre, post = pre[some], post[some]
    out, into = degrees(pre, post, even(np.full(pre.size, 0.2), pre, post, count=58), n)
    assert out[0] == 1
    assert set(out[1:]) <= {3}
    assert set(into) <= {2, 3}


def test_bounds_give_way_where_they_cannot_be_met_and_elsewhere_hold():
    # 0 and 1 reach 10 and 11 only, by four synapses: two each, where 30 of ten sources would be three each.
    left, right = np.array([0, 0, 1, 1]), np.array([10, 11, 10, 11])
    pre, post = random_graph(8, 1, 0)
    pre, post = np.concatenate([left, pre + 2]), np.concatenate([right, post])
    for seed in range(5):
        keep = even(np.full(pre.size, 0.5), pre, post, seed, count=30)
        assert keep.sum() == 30
        assert keep[:4].all()
        out, into = degrees(pre, post, keep, 12)
        assert np.ptp(out[2:10]) <= 1
        assert np.ptp(into[:8]) <= 1


def test_source_only_and_target_only_populations_do_not_count_on_the_other_side():
    # 10 inputs that get none, 20 neurons, 5 readouts that send none.
    rng = np.random.default_rng(0)
    mask = np.zeros((35, 35), dtype=bool)
    mask[:30, 10:] = rng.random((30, 25)) < 0.6
    pre, post = np.nonzero(mask)
    for count in (25, 30, 75, 100):
        out, into = degrees(pre, post, even(np.full(pre.size, 0.1), pre, post, count=count), 35)
        assert set(out[:30]) <= {count // 30, -(-count // 30)}
        assert set(into[10:]) <= {count // 25, -(-count // 25)}


def test_impossible_synapses_are_never_kept_and_certain_ones_are_where_degrees_allow():
    pre, post = random_graph(30, 0.5, 0)
    p = np.full(pre.size, 0.3)
    p[::3] = 0
    cycle = (post == (pre + 1) % 30) & (np.arange(pre.size) >= 0)
    pre = np.concatenate([pre[~cycle], np.arange(30)])
    post = np.concatenate([post[~cycle], (np.arange(30) + 1) % 30])
    p = np.concatenate([p[~cycle], np.ones(30)])
    for count in (30, 90, 260):
        keep = even(p, pre, post, count=count)
        assert keep[p == 1].all()
        assert not keep[p == 0].any()


def test_no_synapses_and_all_synapses():
    pre, post = random_graph(10, 0.3, 0)
    assert not even(np.ones(pre.size), pre, post, count=0).any()
    assert even(np.full(pre.size, 0.5), pre, post, count=pre.size).all()
    assert even(np.full(pre.size, 0.5), pre, post).sum() == round(pre.size / 2)
    empty = np.empty(0, dtype=int)
    assert even(np.empty(0), empty, empty).shape == (0,)


def test_parallel_synapses():
    # Three between each two of four neurons: of these, eight keep the degrees even.
    pre, post = (np.repeat(x, 3) for x in random_graph(4, 1, 0))
    for seed in range(5):
        for number in degrees(pre, post, even(np.full(pre.size, 0.2), pre, post, seed, count=28), 4):
            assert set(number) == {7}


# -------------------------------------------------------------------------------------------- even: what is chosen


def test_matching_is_the_best_of_all():
    n = 5
    pre, post = random_graph(n, 1, 0)
    at = {(i, a): e for e, (i, a) in enumerate(zip(pre, post, strict=True))}
    for seed in range(10):
        score = np.random.default_rng(seed).normal(size=pre.size)
        keep = sampling._matchings(pre, post, score, n, np.random.default_rng(0))
        best = max(
            sum(score[at[i, a]] for i, a in enumerate(perm))
            for perm in itertools.permutations(range(n))
            if all(i != a for i, a in enumerate(perm))
        )
        assert score[keep].sum() == pytest.approx(best)


def test_matchings_end_for_all_scores():
    # With costs that were no whole numbers, SciPy 1.18 went on for ever at seed 16.
    pre, post = random_graph(400, 0.1, 0)
    p = keep_probability(np.exp(np.random.default_rng(1).normal(0, 1, pre.size)), count=1200).probability
    for seed in range(40):
        assert even(p, pre, post, seed, count=1200).sum() == 1200


def test_greedy_choice_is_close_to_the_best_matching(monkeypatch):
    # The scores vary by 2.3 (noise and p); a random matching is lower by several of them a synapse.
    n = 200
    pre, post = random_graph(n, 0.3, 0)
    p = np.exp(np.random.default_rng(1).normal(-3, 1, pre.size)).clip(max=0.5)
    mean = {}
    for matchings in (6, 0):
        monkeypatch.setattr(sampling, "MATCHINGS", matchings)
        mean[matchings] = np.mean([np.log(p[even(p, pre, post, seed, count=3 * n)]).mean() for seed in range(10)])
    assert mean[0] > np.log(p).mean() + 0.8 * (mean[6] - np.log(p).mean())


@pytest.mark.parametrize("matchings", [6, 0])
@pytest.mark.parametrize("count", [12, 30])
def test_synapses_that_a_symmetry_exchanges_are_kept_equally_often(monkeypatch, matchings, count):
    # A circulant, i -> i + s: rotations carry a synapse into all others of its shift s.
    monkeypatch.setattr(sampling, "MATCHINGS", matchings)
    n, shifts, draws = 12, np.array([1, 2, 3, -1, -2, -3]), 1500
    pre = np.repeat(np.arange(n), shifts.size)
    post = (pre + np.tile(shifts, n)) % n
    p = np.full(pre.size, 0.5)
    kept = sum(even(p, pre, post, seed, count=count).astype(int) for seed in range(draws))
    by_shift = kept.reshape(n, -1).mean(axis=0) / draws
    f = count / pre.size
    assert (np.abs(kept / draws - np.tile(by_shift, n)) < 5 * np.sqrt(f * (1 - f) / draws)).all()
    assert np.abs(by_shift - f).max() < 0.15 * f


def test_likelier_synapses_are_kept_more_often():
    pre, post = random_graph(60, 1, 0)
    p = np.where(np.random.default_rng(0).random(pre.size) < 0.5, 0.02, 0.18)
    # Independently, nine tenths of those kept have the larger p.
    for count in (60, 360, 600):
        share = np.mean([np.mean(p[even(p, pre, post, seed, count=count)] > 0.1) for seed in range(10)])
        assert 0.8 < share < 0.95


def test_equal_seeds_give_equal_samples():
    pre, post = random_graph(50, 0.4, 0)
    p = np.random.default_rng(0).random(pre.size)
    for count in (50, 400):
        np.testing.assert_array_equal(even(p, pre, post, 3, count=count), even(p, pre, post, 3, count=count))
        assert (even(p, pre, post, 3, count=count) != even(p, pre, post, 4, count=count)).any()


# ---------------------------------------------------------------------------------------------------- even: kinds


@pytest.mark.parametrize("count", [600, 1234, 3000])
def test_each_sign_is_even_where_it_has_several_inputs(count):
    n = 100
    pre, post = random_graph(n, 0.6, 0)
    p = np.random.default_rng(1).random(pre.size)
    sign = np.where(pre < 70, 1, -1)
    keep = even(p, pre, post, groups=sign, count=count)
    assert keep.sum() == count
    for s, sources in ((1, 70), (-1, 30)):
        of = keep & (sign == s)
        assert abs(of.sum() - count * p[sign == s].sum() / p.sum()) < 1
        out, into = degrees(pre, post, of, n)
        assert (np.abs(into - of.sum() / n) < 1).all()
        assert (np.abs(out[out > 0] - of.sum() / sources) < 1).all()
    assert (np.abs(np.bincount(post[keep], minlength=n) - count / n) < 1).all()


def test_one_input_a_neuron_whatever_its_sign():
    n = 100
    pre, post = random_graph(n, 0.3, 0)
    keep = even(np.full(pre.size, 0.1), pre, post, groups=np.where(pre < 80, 1, -1), count=n)
    for number in degrees(pre, post, keep, n):
        assert set(number) == {1}


def test_a_kind_of_few_inputs_fills_up_what_the_others_give():
    # 0.9 of the share is excitatory: 9 and 1 input a neuron.
    n = 100
    pre, post = random_graph(n, 0.6, 0)
    sign = np.where(pre < 90, 1, -1)
    keep = even(np.full(pre.size, 0.1), pre, post, groups=sign, count=10 * n + 37)
    assert set(np.bincount(post[keep], minlength=n)) == {10, 11}
    assert np.ptp(np.bincount(post[keep & (sign == 1)], minlength=n)) <= 1


def test_pairs_of_populations():
    n = 100
    pre, post = random_graph(n, 0.6, 0)
    pair = 2 * (pre >= 70) + (post >= 40)
    keep = even(np.full(pre.size, 0.2), pre, post, groups=pair, count=2000)
    for k in range(4):
        of, has = keep & (pair == k), pair == k
        assert abs(of.sum() - 2000 * has.mean()) < 1
        for end in (pre, post):
            number = np.bincount(end[of], minlength=n)[np.unique(end[has])]
            assert (np.abs(number - number.mean()) < 1).all()


# --------------------------------------------------------------------------------------------------- limits, speed


def test_what_cannot_be_is_refused_in_one_line():
    pre, post = np.array([0, 1]), np.array([1, 0])
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInput, match="method must be one of independent, systematic, even; got 'odd'"):
        sample_edges([0.5, 0.5], rng=rng, method="odd")
    with pytest.raises(InvalidInput, match="method='even' needs pre and post"):
        sample_edges([0.5, 0.5], rng=rng, method="even", post=post)
    with pytest.raises(InvalidInput, match="method='systematic' needs post"):
        sample_edges([0.5, 0.5], rng=rng, method="systematic")
    with pytest.raises(InvalidInput, match="count is for method='even'"):
        sample_edges([0.5, 0.5], rng=rng, count=1)
    with pytest.raises(InvalidInput, match=r"count must be at most .* \(1 of 2\), got 2"):
        even([0.5, 0.0], pre, post, count=2)
    with pytest.raises(InvalidInput, match="pre and post must have one entry per probability"):
        even([0.5], pre, post)
    with pytest.raises(InvalidInput, match="groups must have shape"):
        even([0.5, 0.5], pre, post, groups=[1])
    with pytest.raises(InvalidInput, match=r"indices in 0..0, got 1"):
        even([0.5, 0.5], pre, post, neurons=1)


def test_millions_of_synapses_take_seconds():
    n = 5000
    pre, post = random_graph(n, 0.1, 0)
    p = np.random.default_rng(1).random(pre.size)
    start = time.perf_counter()
    for count in (n, pre.size // 2):
        out, into = degrees(pre, post, even(p, pre, post, count=count), n)
        assert max(np.ptp(out), np.ptp(into)) <= 1
    # 5 s on two cores.
    assert time.perf_counter() - start < 60


def _chain(clusters=4, size=50):
    """A chain of clusters, each of which leads to the next one by a tenth of its synapses."""
    n, cluster = clusters * size, np.repeat(np.arange(clusters), size)
    step = cluster - cluster[:, np.newaxis]
    chance = np.where(step == 0, 0.45, np.where(step == 1, 0.05, 0.0)) * ~np.eye(n, dtype=bool)
    pre, post = np.nonzero(np.random.default_rng(7).random((n, n)) < chance)
    return pre, post, cluster


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.6, 1.0])
def test_populations_keep_what_flows_along_a_chain(fraction):
    pre, post, cluster = _chain()
    count = round(fraction * pre.size)
    how = {"method": "even", "pre": pre, "post": post, "neurons": cluster.size, "count": count, "groups": pre % 5 == 0}
    keep = sample_edges(np.full(pre.size, fraction), rng=np.random.default_rng(1), populations=cluster, **how)
    assert keep.sum() == count
    for c in range(4):
        # The sources of a population give its part, to the rounding of two kinds.
        assert abs(keep[cluster[pre] == c].sum() - fraction * (cluster[pre] == c).sum()) <= 2
        given, got = (np.bincount(x[keep], minlength=cluster.size)[cluster == c] for x in (pre, post))
        # Inputs are within one of their mean, outputs within one in each kind of source.
        # Where many are kept, some neurons have no more.
        assert np.ptp(got) <= 2 or fraction > 0.2
        assert np.ptp(given) <= 2 or fraction > 0.2
    bridges = cluster[pre] != cluster[post]
    kept = keep[bridges].sum() / (fraction * bridges.sum())
    # Throughout even, as many synapses enter the last cluster as leave it: nearly none.
    assert kept > 0.5
    alike = sample_edges(np.full(pre.size, fraction), rng=np.random.default_rng(1), **how)
    if fraction <= 0.2:
        assert alike[bridges].sum() < 0.75 * keep[bridges].sum()


def test_populations_of_other_neurons_are_refused():
    with pytest.raises(InvalidInput, match=r"populations must have shape \(3,\)"):
        sample_edges(
            [0.5, 0.5], rng=np.random.default_rng(0), method="even", pre=[0, 1], post=[1, 2], neurons=3, populations=[0]
        )
    # Also where no synapse is kept, and where the number of neurons is not given.
    with pytest.raises(InvalidInput, match="populations must have one entry per neuron, got 1"):
        sample_edges([0.5], rng=np.random.default_rng(0), method="even", pre=[0], post=[1], populations=[0])


# Neither wider upper bounds nor lower ones help alone here.
def test_bounds_that_must_give_way_on_both_sides_do_and_the_draw_ends(monkeypatch):
    rng = np.random.default_rng(684)
    n, density = int(rng.integers(10, 60)), rng.uniform(0.1, 0.5)
    mask = rng.random((n, n)) < density
    np.fill_diagonal(mask, False)
    pre, post = np.nonzero(mask)
    kinds = (rng.random(n) < 0.2).astype(int)
    p = np.minimum(1, rng.uniform(0.6, 0.9) * rng.gamma(20, 0.05, pre.size))
    tries, circulate = [], sampling._Flow._circulate

    def counted(*arguments):
        tries.append(1)
        assert len(tries) < 100
        return circulate(*arguments)

    monkeypatch.setattr(sampling._Flow, "_circulate", counted)
    keep = sample_edges(p, rng=rng, method="even", pre=pre, post=post, neurons=n, count=79, groups=kinds[pre])
    assert keep.sum() == 79
