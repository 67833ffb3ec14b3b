"""Compiled loops over edges against dense products, and against what runs where nothing is compiled."""

import io
import os
import sys

import networkx as nx
import numpy as np
import pytest
from brian2 import prefs
from brian2.utils.logger import std_silent
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from lnpbrian.network.engines import extension, loops
from lnpbrian.network.engines.loops import FlowGraph, row_products, take_in_order
from lnpbrian.process import standard_streams


@pytest.fixture(params=["compiled", "not compiled"])
def kernel(request, monkeypatch):
    if request.param == "not compiled":
        monkeypatch.setattr(loops, "graph_loops", lambda: None)
        monkeypatch.setattr(loops, "BLOCK", 7)


@pytest.mark.parametrize("seed", range(5))
def test_row_products_are_those_of_dense_matrices(kernel, seed):
    rng = np.random.default_rng(seed)
    n, m, e = rng.integers(1, 70, 3)
    S, C = (rng.standard_normal((n, m)) * (rng.random((n, m)) < 0.3) for _ in range(2))
    i, j = rng.integers(0, n, (2, e))
    # Sums of at most 70 products below 20.
    np.testing.assert_allclose(
        row_products(csr_array(S), csr_array(C), i, j), (S[i] * C[j]).sum(axis=1), rtol=0, atol=70 * 20 * 3e-16
    )


@pytest.mark.parametrize("kind", [float, np.float32, int])
def test_row_products_of_entries_that_are_there_twice_and_of_other_numbers(kernel, kind):
    # Row 0 is 1 + 2 = 3 in its first column.
    twice = csr_array((np.array([1, 2, 3], dtype=kind), np.array([0, 0, 1]), np.array([0, 2, 3])), shape=(2, 2))
    once = csr_array(np.array([[1, 1], [1, 10]], dtype=kind))
    i, j = np.array([0, 1]), np.array([1, 1])
    assert row_products(twice, once, i, j).tolist() == [3, 30]
    assert row_products(once, twice, j, np.array([0, 1])).tolist() == [3, 30]


@pytest.mark.parametrize("size", [0, 5, 64, 1000])
def test_expected_degrees_are_those_of_numpy_to_the_bit(kernel, monkeypatch, size):
    monkeypatch.setattr(loops, "CACHED", 64)
    rng = np.random.default_rng(size)
    worth, a, b = 3 * rng.standard_normal(size), rng.standard_normal(7), 300 * rng.standard_normal(11)
    ends = rng.integers(0, 7, size).astype(np.int32), rng.integers(0, 11, size).astype(np.int32)
    # The power of a clipped sum, and a sum in order: np.add.at goes edge by edge.
    chance = -np.expm1(-np.exp(np.clip(worth + a[ends[0]] + b[ends[1]], -700, 7)))
    for side, n in ((0, 7), (1, 11)):
        expected = np.zeros(n)
        np.add.at(expected, ends[side], chance)
        np.testing.assert_array_equal(loops.expected_degrees(worth, a, b, ends, side), expected)


@pytest.mark.parametrize("n", [0, 1, 7, 60])
def test_products_with_eight_columns_are_those_of_scipy_to_the_bit(kernel, n):
    rng = np.random.default_rng(n)
    S = csr_array(rng.standard_normal((n, 30)) * (rng.random((n, 30)) < 0.3))
    for X in (rng.standard_normal((30, 8)), np.asfortranarray(rng.standard_normal((30, 8)))):
        np.testing.assert_array_equal(loops.times_eight(S, X), S @ X)
        np.testing.assert_allclose(loops.times_eight(S, X), S.toarray() @ X, atol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_edges_are_taken_while_there_is_room(kernel, seed):
    rng = np.random.default_rng(seed)
    lefts, leaves, targets, pools = sizes = rng.integers(1, 8, 4)
    left, leaf = rng.integers(0, lefts, 60), rng.integers(0, leaves, 60)
    target, pool = rng.integers(0, targets, leaves), rng.integers(0, pools, lefts)
    keep, order = rng.random(60) < 0.2, rng.permutation(60)[:50]
    rooms = [rng.integers(0, 9, size) for size in sizes]
    given, had = keep.copy(), [room.copy() for room in rooms]
    take_in_order(order, keep, (left, leaf, target, pool), rooms)
    new = keep & ~given
    # Each end has given room for each new edge, and no edge is left out that has room at all ends.
    ends = (left, leaf, target[leaf], pool[left])
    for room, before, at in zip(rooms, had, ends, strict=True):
        np.testing.assert_array_equal(before - room, np.bincount(at[new], minlength=room.size))
        assert (room >= 0).all()
    room_at_all = np.all([room[at] > 0 for room, at in zip(rooms, ends, strict=True)], axis=0)
    assert not (room_at_all & ~keep)[order].any()
    assert not new[np.setdiff1d(np.arange(60), order)].any()


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("density", [0, 0.05, 0.3, 1])
def test_common_sums_are_those_of_sets_to_the_bit(n, density):
    rng = np.random.default_rng(n)
    B = csr_array(rng.random((n, n)) < density)
    i, j = rng.integers(0, n, (2, 300)).astype(np.int32)
    value, count, total = rng.standard_normal(n), np.full(300, -1), np.full(300, np.nan)
    first, member = B.indptr.astype(np.int64), B.indices.astype(np.int32)
    loops.graph_loops().common_sums(first, member, i, j, value, count, total)
    sets = [set(member[first[k] : first[k + 1]].tolist()) for k in range(n)]
    for e in range(300):
        both = sorted(sets[i[e]] & sets[j[e]])
        assert count[e] == len(both)
        # One after another, as they come; NumPy and sum() would round otherwise.
        expected = 0.0
        for k in both:
            expected += value[k]
        assert total[e] == expected


@pytest.mark.parametrize("seed", range(40))
def test_largest_flow_is_that_of_scipy_and_conserved(kernel, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 40))
    density = rng.choice([0.05, 0.2, 0.8])
    tail, head = (ends for ends in np.nonzero(rng.random((n, n)) < density))
    # Some twice, some the other way round as well.
    again = rng.integers(0, max(tail.size, 1), tail.size // 3)
    tail, head = np.append(tail, head[again]), np.append(head, tail[again])
    tail, head = np.append(tail, tail[: n // 2]), np.append(head, head[: n // 2])
    tail, head = tail[tail != head], head[tail != head]
    forward, backward = rng.integers(0, 4, (2, tail.size)) * (rng.random((2, tail.size)) < 0.7)
    label = rng.permutation(n)
    graph = FlowGraph(tail, head, n)
    flow = graph.largest(forward, backward, label)

    dense = np.zeros((n, n), dtype=np.int32)
    np.add.at(dense, (label[tail], label[head]), forward)
    np.add.at(dense, (label[head], label[tail]), backward)
    expected = maximum_flow(csr_array(dense), label[-2], label[-1])
    np.testing.assert_array_equal(flow, expected.flow.toarray()[label[tail], label[head]])
    # Another time, from the same incidence.
    np.testing.assert_array_equal(graph.largest(forward, backward, label), flow)

    net = np.zeros((n, n), dtype=np.int64)
    net[tail, head], net[head, tail] = flow, -flow
    assert (net[:-2].sum(axis=1) == 0).all()
    value = nx.DiGraph()
    value.add_nodes_from(range(n))
    value.add_weighted_edges_from(((i, j, int(dense[i, j])) for i, j in np.argwhere(dense)), weight="capacity")
    assert net[-2].sum() == nx.maximum_flow_value(value, int(label[-2]), int(label[-1]))


def test_largest_flow_without_edges(kernel):
    none = np.zeros(0, dtype=int)
    assert FlowGraph(none, none, 4).largest(none, none, np.arange(4)).size == 0


def test_nothing_is_said_while_a_loop_is_compiled(tmp_path, monkeypatch):
    # In a notebook stderr is no file that Brian2 could silence.
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setitem(prefs, "codegen.runtime.cython.cache_dir", str(tmp_path))
    text = "def first(const double[::1] x, const long long[::1] k):\n    cdef double value = 0\n    with nogil:\n"
    made = extension.compiled(f"{text}        value = x[k[0]]\n    return value\n")
    assert made.first(np.array([1.0, 2.0]), np.array([1], dtype=np.int64)) == 2
    assert said.getvalue() == ""


def test_output_is_seen_after_two_threads_have_compiled(capfd, monkeypatch):
    monkeypatch.setitem(prefs, "logging.std_redirection", True)
    monkeypatch.setitem(prefs, "logging.std_redirection_to_file", True)
    with standard_streams():
        one, other = std_silent(), std_silent()
        # As threads do: each keeps what it finds, and the second one puts back what the first has put there.
        one.__enter__()
        other.__enter__()
        one.__exit__(None, None, None)
        other.__exit__(None, None, None)
        os.write(1, b"lost")
    os.write(1, b"seen")
    assert capfd.readouterr().out == "seen"
