"""Compiled loops over the edges of graphs, for what NumPy and BLAS do in many times the operations."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import maximum_flow

from lnpbrian.network.engines.extension import compiled

__all__ = ["FlowGraph", "expected_degrees", "graph_loops", "row_products", "take_in_order", "times_eight"]

# Rows that SciPy multiplies at a time where nothing is compiled.
BLOCK = 4096
# Edges whose numbers stay in the cache of a core through several operations.
CACHED = 1 << 15

LOOPS = r"""
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace lnpbrian {

// Brandes' accumulation for one source after another (betweenness.py). Each step of the search goes along the edges
// that leave the last level, or along those that enter what is not yet reached, whichever are fewer; so do the steps
// back. Loops without branches where many edges meet few neurons, as nearly every neuron is found in them.
struct Brandes {
    int64_t n;
    const int64_t *out_first, *in_first;
    const int32_t *out, *in;
    bool connected;  // then the search is over when all are reached
    std::vector<int64_t> depth;
    std::vector<int32_t> order, unreached;
    std::vector<int64_t> level;  // where each level starts in `order`
    std::vector<double> sigma, delta, x, sum;
    static constexpr int64_t FAR = int64_t(1) << 62;

    int64_t out_degree(int32_t v) const { return out_first[v + 1] - out_first[v]; }
    int64_t in_degree(int32_t v) const { return in_first[v + 1] - in_first[v]; }

    void prepare() {
        depth.assign(n, FAR);
        sigma.assign(n, 0);
        delta.assign(n, 0);
        x.assign(n, 0);
        sum.assign(n, 0);
        order.reserve(n);
        unreached.reserve(n);
    }

    // Add the dependencies of a source to `total`; false if a number of paths is not finite.
    bool add(int32_t source, double* total) {
        search(source);
        for (int32_t v : order)
            if (!std::isfinite(sigma[v])) return false;
        for (size_t d = level.size() - 2; d >= 2; --d) back(d);
        for (size_t k = 1; k < order.size(); ++k) total[order[k]] += delta[order[k]];
        for (int32_t v : order) depth[v] = FAR, sigma[v] = delta[v] = 0;
        return true;
    }

    void search(int32_t source) {
        order.assign(1, source);
        level.assign(1, 0);
        unreached.clear();
        int64_t entering = in_first[n] - in_degree(source);  // edges into what is not yet reached
        for (int32_t v = 0; v < n; ++v)
            if (v != source) unreached.push_back(v);
        depth[source] = 0;
        sigma[source] = 1;
        for (int64_t d = 1; int64_t(order.size()) > level.back(); ++d) {
            const int64_t begin = level.back(), end = order.size();
            level.push_back(end);
            if (connected && end == n) break;
            int64_t leaving = 0;
            for (int64_t k = begin; k < end; ++k) leaving += out_degree(order[k]);
            if (entering < leaving) pull(d);
            else if (leaving > n) scatter(d, begin, end);
            else push(d, begin, end);
            for (int64_t k = end; k < int64_t(order.size()); ++k) entering -= in_degree(order[k]);
        }
        if (level.back() != int64_t(order.size())) level.push_back(order.size());
    }

    void reach(int32_t v, int64_t d, double paths) {
        depth[v] = d;
        sigma[v] = paths;
        order.push_back(v);
    }

    void pull(int64_t d) {
        size_t left = 0;
        for (int32_t v : unreached) {
            if (depth[v] < d) continue;
            double paths = 0;
            for (int64_t e = in_first[v]; e < in_first[v + 1]; ++e) paths += depth[in[e]] == d - 1 ? sigma[in[e]] : 0;
            if (paths > 0) reach(v, d, paths);
            else unreached[left++] = v;
        }
        unreached.resize(left);
    }

    void scatter(int64_t d, int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            const double paths = sigma[order[k]];
            for (int64_t e = out_first[order[k]]; e < out_first[order[k] + 1]; ++e) sum[out[e]] += paths;
        }
        size_t left = 0;
        for (int32_t v : unreached) {
            if (depth[v] < d) continue;
            if (sum[v] > 0) reach(v, d, sum[v]);
            else unreached[left++] = v;
        }
        unreached.resize(left);
        sum.assign(n, 0);
    }

    void push(int64_t d, int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            const int32_t u = order[k];
            for (int64_t e = out_first[u]; e < out_first[u + 1]; ++e) {
                if (depth[out[e]] == FAR) reach(out[e], d, sigma[u]);
                else if (depth[out[e]] == d) sigma[out[e]] += sigma[u];
            }
        }
    }

    // From level d to the one above.
    void back(size_t d) {
        const int64_t above = level[d - 1], begin = level[d], end = level[d + 1];
        int64_t entering = n, leaving = 0;
        for (int64_t k = begin; k < end; ++k) {
            const int32_t v = order[k];
            x[v] = (1 + delta[v]) / sigma[v];
            entering += in_degree(v);
        }
        for (int64_t k = above; k < begin; ++k) leaving += out_degree(order[k]);
        if (entering < leaving) {
            for (int64_t k = begin; k < end; ++k)
                for (int64_t e = in_first[order[k]]; e < in_first[order[k] + 1]; ++e) sum[in[e]] += x[order[k]];
            for (int64_t k = above; k < begin; ++k) delta[order[k]] = sigma[order[k]] * sum[order[k]];
            sum.assign(n, 0);
        } else {
            for (int64_t k = above; k < begin; ++k) {
                const int32_t u = order[k];
                double received = 0;
                for (int64_t e = out_first[u]; e < out_first[u + 1]; ++e) received += x[out[e]];
                delta[u] = sigma[u] * received;
            }
        }
        for (int64_t k = begin; k < end; ++k) x[order[k]] = 0;
    }
};

// Product of a sparse matrix and one of K columns, in C order.
template <int K>
void times(int64_t rows, const int64_t* first, const int32_t* column, const double* value, const double* x, double* y) {
    for (int64_t i = 0; i < rows; ++i) {
        double sum[K] = {};
        for (int64_t e = first[i]; e < first[i + 1]; ++e)
            for (int k = 0; k < K; ++k) sum[k] += value[e] * x[int64_t(column[e]) * K + k];
        for (int k = 0; k < K; ++k) y[i * K + k] = sum[k];
    }
}

// Sums of values over the common members of two sets, by bits: 64 members a word.
struct Common {
    int64_t words;
    std::vector<uint64_t> bits;

    void fill(int64_t n, const int64_t* first, const int32_t* member) {
        words = (n + 63) / 64;
        bits.assign(n * words, 0);
        for (int64_t i = 0; i < n; ++i)
            for (int64_t e = first[i]; e < first[i + 1]; ++e)
                bits[i * words + member[e] / 64] |= uint64_t(1) << (member[e] % 64);
    }

    // How many are common, and the sum of `value` over them.
    void sums(int64_t edges, const int32_t* i, const int32_t* j, const double* value, int64_t* count, double* sum) {
        int64_t members = 0;
        for (uint64_t word : bits) members += __builtin_popcountll(word);
        const double density = members / (64.0 * bits.size());
        if (64 * density * density > 1.2) list<4>(edges, i, j, value, count, sum);
        else list<2>(edges, i, j, value, count, sum);
    }

    // The first few of a word are listed whether they are there or not: a loop over so few costs more in wrong guesses.
    static constexpr uint64_t LAST = uint64_t(1) << 63;  // none is at 64

    template <int FEW>
    void list(int64_t edges, const int32_t* i, const int32_t* j, const double* value, int64_t* count, double* sum) {
        std::vector<int32_t> both_members(words * 64 + FEW);
        for (int64_t e = 0; e < edges; ++e) {
            const uint64_t *a = &bits[i[e] * words], *b = &bits[j[e] * words];
            int32_t* next = both_members.data();
            for (int64_t w = 0; w < words; ++w) {
                uint64_t both = a[w] & b[w];
                int32_t* const end = next + __builtin_popcountll(both);
                for (int k = 0; k < FEW; ++k, both &= both - 1) next[k] = w * 64 + __builtin_ctzll(both | LAST);
                for (next += FEW; both; both &= both - 1) *next++ = w * 64 + __builtin_ctzll(both);
                next = end;
            }
            double total = 0;
            for (const int32_t* k = both_members.data(); k < next; ++k) total += value[*k];
            count[e] = next - both_members.data();
            sum[e] = total;
        }
    }
};

// A largest flow by Dinic's algorithm: in each phase, paths of the fewest edges, the next one always through the nodes
// of lowest label. Entries of a node v are those from first[v] on, one for each of its edges, with the other end: 2 e
// of edge e from its tail, 2 e + 1 from its head; `room` is what may still pass that way. Of the levels, those that do
// not lead to the sink are left out first, and of a node's edges only those of the phase are looked at again.
struct Dinic {
    int64_t n;
    const int64_t* first;
    const int32_t* other;
    const int64_t* entry;
    const int64_t* label;
    int32_t* room;
    int32_t source, sink;
    std::vector<int32_t> level, order, rest, found;
    std::vector<size_t> starts;  // of each level in `order`
    std::vector<uint8_t> leads;
    // Of a node within the phase, by label, the next one last.
    std::vector<std::vector<std::pair<int64_t, int64_t>>> ways;
    std::vector<int64_t> path;

    void run() {
        ways.resize(n);
        while (search()) {
            trim();
            for (auto& way : ways) way.clear();
            while (pass()) {}
        }
    }

    int64_t degree(int32_t v) const { return first[v + 1] - first[v]; }

    // Levels up to that of the sink; false if it is out of reach. A level is found along the edges of the one before,
    // or along those of what has none yet, whichever are fewer.
    bool search() {
        level.assign(n, -1);
        order.assign(1, source);
        starts.assign(1, 0);
        rest.clear();
        int64_t open = 0;
        for (int32_t v = 0; v < n; ++v)
            if (v != source) rest.push_back(v), open += degree(v);
        level[source] = 0;
        for (int32_t d = 1; level[sink] < 0; ++d) {
            const size_t begin = starts.back(), end = order.size();
            if (begin == end) return false;
            starts.push_back(end);
            int64_t leaving = 0;
            for (size_t k = begin; k < end; ++k) leaving += degree(order[k]);
            if (leaving <= open) {
                for (size_t k = begin; k < end; ++k)
                    for (int64_t a = first[order[k]]; a < first[order[k] + 1]; ++a)
                        if (level[other[a]] < 0 && room[entry[a]]) reach(other[a], d);
            } else {
                for (int32_t w : rest)
                    if (level[w] < 0 && touches(w, d - 1, 1)) reach(w, d);
            }
            size_t left = 0;
            for (int32_t w : rest)
                if (level[w] < 0) rest[left++] = w;
            rest.resize(left);
            for (size_t k = end; k < order.size(); ++k) open -= degree(order[k]);
        }
        starts.push_back(order.size());
        return true;
    }

    void reach(int32_t w, int32_t d) {
        level[w] = d;
        order.push_back(w);
    }

    // Whether there is room from a neighbour of level d (way = 1), or to one that leads to the sink (way = 0).
    bool touches(int32_t w, int32_t d, int way) const {
        for (int64_t a = first[w]; a < first[w + 1]; ++a)
            if (level[other[a]] == d && (way || leads[other[a]]) && room[entry[a] ^ way]) return true;
        return false;
    }

    // Mark what leads to the sink.
    void trim() {
        leads.assign(n, 0);
        leads[sink] = 1;
        rest.assign(1, sink);
        for (int32_t d = level[sink] - 1; d >= 0; --d) {
            int64_t entering = 0, leaving = 0;
            for (int32_t w : rest) entering += degree(w);
            for (size_t k = starts[d]; k < starts[d + 1]; ++k) leaving += degree(order[k]);
            found.clear();
            if (entering <= leaving) {
                for (int32_t w : rest)
                    for (int64_t a = first[w]; a < first[w + 1]; ++a) {
                        const int32_t v = other[a];
                        if (level[v] == d && !leads[v] && room[entry[a] ^ 1]) leads[v] = 1, found.push_back(v);
                    }
            } else {
                for (size_t k = starts[d]; k < starts[d + 1]; ++k)
                    if (touches(order[k], d + 1, 0)) leads[order[k]] = 1, found.push_back(order[k]);
            }
            rest.swap(found);
        }
    }

    void list(int32_t v) {
        for (int64_t a = first[v]; a < first[v + 1]; ++a)
            if (leads[other[a]] && level[other[a]] == level[v] + 1 && room[entry[a]])
                ways[v].emplace_back(-label[other[a]], a);
        std::sort(ways[v].begin(), ways[v].end());
        if (ways[v].empty()) leads[v] = 0;
    }

    // Send what passes along the next path; false if there is none.
    bool pass() {
        path.clear();
        int32_t v = source;
        while (v != sink) {
            if (leads[v] && ways[v].empty()) list(v);
            while (!ways[v].empty()) {
                const int64_t a = ways[v].back().second;
                if (leads[other[a]] && room[entry[a]]) break;
                ways[v].pop_back();
            }
            if (!ways[v].empty()) {
                path.push_back(ways[v].back().second);
                v = other[path.back()];
                continue;
            }
            leads[v] = 0;
            if (v == source) return false;
            path.pop_back();
            v = path.empty() ? source : other[path.back()];
        }
        int32_t most = room[entry[path[0]]];
        for (int64_t a : path) most = std::min(most, room[entry[a]]);
        for (int64_t a : path) room[entry[a]] -= most, room[entry[a] ^ 1] += most;
        return true;
    }
};

}  // namespace lnpbrian
"""

MODULE = r'''
"""Loops over the edges of graphs. Indices are not checked."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

cdef extern from *:
    """
    GRAPH_HPP
    """
    cdef cppclass Brandes "lnpbrian::Brandes":
        int64_t n
        const int64_t* out_first
        const int64_t* in_first
        const int32_t* out
        const int32_t* in_ "in"
        cbool connected
        void prepare() nogil
        cbool add(int32_t source, double* total) nogil

    void times8 "lnpbrian::times<8>"(
        int64_t rows, const int64_t* first, const int32_t* column, const double* value, const double* x, double* y
    ) nogil

    cdef cppclass Dinic "lnpbrian::Dinic":
        int64_t n
        const int64_t* first
        const int32_t* other
        const int64_t* entry
        const int64_t* label
        int32_t* room
        int32_t source, sink
        void run() nogil

    cdef cppclass Common "lnpbrian::Common":
        void fill(int64_t n, const int64_t* first, const int32_t* member) nogil
        void sums(
            int64_t edges, const int32_t* i, const int32_t* j, const double* value, int64_t* count, double* total
        ) nogil


def dependencies(
    const int64_t[::1] out_first, const int32_t[::1] out, const int64_t[::1] in_first, const int32_t[::1] in_,
    bint connected, int64_t low, int64_t high, double[::1] total,
):
    """Add the dependencies of the sources low..high-1 to `total`; False if a number of paths is not finite."""
    cdef Brandes search
    cdef cbool finite = True
    cdef int64_t source
    if not out.shape[0]:
        return True
    search.n = out_first.shape[0] - 1
    search.out_first, search.out, search.in_first, search.in_ = &out_first[0], &out[0], &in_first[0], &in_[0]
    search.connected = connected
    with nogil:
        search.prepare()
        for source in range(low, high):
            finite = search.add(source, &total[0])
            if not finite:
                break
    return finite


def common_sums(
    const int64_t[::1] first, const int32_t[::1] member, const int32_t[::1] i, const int32_t[::1] j,
    const double[::1] value, int64_t[::1] count, double[::1] total,
):
    """Write to count[e] how many k are members of both i[e] and j[e], to total[e] the sum of value[k] over these."""
    cdef Common common
    if not i.shape[0] or not member.shape[0]:
        count[...], total[...] = 0, 0
        return
    with nogil:
        common.fill(first.shape[0] - 1, &first[0], &member[0])
        common.sums(i.shape[0], &i[0], &j[0], &value[0], &count[0], &total[0])


def row_products(
    const int64_t[::1] first, const int32_t[::1] column, const double[::1] value,
    const int64_t[::1] other_first, const int32_t[::1] other_column, const double[::1] other_value,
    const int64_t[::1] i, const int64_t[::1] j, int64_t columns, double[::1] out,
):
    """Write to out[e] the product of row i[e] of a matrix and row j[e] of another; equal i[e] best come together."""
    cdef int64_t e, k, last = -1
    cdef double total
    cdef vector[double] row
    with nogil:
        row.resize(columns)
        for e in range(i.shape[0]):
            if i[e] != last:
                if last >= 0:
                    for k in range(first[last], first[last + 1]):
                        row[column[k]] = 0
                last = i[e]
                for k in range(first[last], first[last + 1]):
                    row[column[k]] += value[k]
            total = 0
            for k in range(other_first[j[e]], other_first[j[e] + 1]):
                total += row[other_column[k]] * other_value[k]
            out[e] = total


def times_eight(
    const int64_t[::1] first, const int32_t[::1] column, const double[::1] value, const double[:, ::1] x,
    double[:, ::1] y,
):
    """Write to y the product of a matrix and x, which has eight columns."""
    if not y.shape[0]:
        return
    if not value.shape[0]:
        y[...] = 0
        return
    with nogil:
        times8(y.shape[0], &first[0], &column[0], &value[0], &x[0, 0], &y[0, 0])


def sums_at_ends(
    const double[::1] value, const double[::1] a, const double[::1] b, const int32_t[::1] left,
    const int32_t[::1] leaf, double least, double most, double[::1] out,
):
    """Write the sum of what an edge and its ends have, within bounds."""
    cdef int64_t e
    cdef double total
    with nogil:
        for e in range(out.shape[0]):
            total = value[e] + a[left[e]] + b[leaf[e]]
            total = least if total < least else total
            out[e] = most if total > most else total


def take_off(double[::1] total, const int32_t[::1] at, const double[::1] value):
    """Subtract the values, one after another, where they belong."""
    cdef int64_t e
    cdef int32_t last
    cdef double there
    if not at.shape[0]:
        return
    with nogil:
        last, there = at[0], total[at[0]]
        for e in range(at.shape[0]):
            if at[e] != last:
                total[last] = there
                last = at[e]
                there = total[last]
            there -= value[e]
        total[last] = there


def take_in_order(
    const int64_t[::1] order, const int64_t[::1] left, const int64_t[::1] leaf, const int64_t[::1] target_of,
    const int64_t[::1] pool_of, int64_t[::1] lefts, int64_t[::1] leaves, int64_t[::1] targets, int64_t[::1] pools,
    uint8_t[::1] keep,
):
    """Keep edges in order while there is room at their left, leaf, target and pool."""
    cdef int64_t k, e, i, j, t, g
    with nogil:
        for k in range(order.shape[0]):
            e = order[k]
            i, j = left[e], leaf[e]
            t, g = target_of[j], pool_of[i]
            if keep[e] or lefts[i] <= 0 or leaves[j] <= 0 or targets[t] <= 0 or pools[g] <= 0:
                continue
            lefts[i] -= 1
            leaves[j] -= 1
            targets[t] -= 1
            pools[g] -= 1
            keep[e] = 1


def largest_flow(
    const int64_t[::1] first, const int32_t[::1] other, const int64_t[::1] entry, const int64_t[::1] label,
    int32_t[::1] room, int32_t source, int32_t sink,
):
    """Send as much as can be from source to sink; `room` becomes what is left of it."""
    cdef Dinic dinic
    if not room.shape[0]:
        return
    dinic.n, dinic.first, dinic.other, dinic.entry = first.shape[0] - 1, &first[0], &other[0], &entry[0]
    dinic.label, dinic.room, dinic.source, dinic.sink = &label[0], &room[0], source, sink
    with nogil:
        dinic.run()
'''

SOURCE = MODULE.replace("GRAPH_HPP", LOOPS)


def row_products(S: Any, C: Any, i: Any, j: Any) -> Any:
    """Sum over k of S[i, k] C[j, k] for aligned index arrays, without the rows being built.

    Parameters
    ----------
    S, C : csr_array, shape (N, N)
        Entries that are there twice are added up.
    i, j : array of int, shape (E,)

    Returns
    -------
    array of float, shape (E,)

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> S, C = csr_array([[1.0, 2.0], [0.0, 3.0]]), csr_array([[5.0, 0.0], [7.0, 1.0]])
    >>> row_products(S, C, np.array([0, 1]), np.array([1, 0]))
    array([9., 0.])
    """
    loops = graph_loops()
    if loops is None:
        blocks = [slice(low, low + BLOCK) for low in range(0, i.size, BLOCK)]
        return np.concatenate([np.zeros(0), *((S[i[at]] * C[j[at]]).sum(axis=1) for at in blocks)])
    found = np.empty(i.size)
    rows = []
    for M in (S, C):
        rows += [M.indptr.astype(np.int64), M.indices.astype(np.int32), M.data.astype(float, copy=False)]
    by = np.argsort(i, kind="stable")
    loops.row_products(*rows, i[by].astype(np.int64), j[by].astype(np.int64), C.shape[1], found)
    result = np.empty_like(found)
    result[by] = found
    return result


def expected_degrees(worth: Any, a: Any, b: Any, ends: Any, side: int) -> Any:
    """Sum the probabilities ``1 - exp(-exp(worth + a + b))`` of edges at their left ends, or at their leaves.

    Parameters
    ----------
    worth : array of float, shape (S,)
    a, b : arrays of float
        What the left ends and the leaves add; sums are kept within -700 and 7.
    ends : two arrays of int32, shape (S,)
        Left end and leaf of each edge.
    side : int
        0 for left ends, 1 for leaves.

    Returns
    -------
    array of float, as many as there are ends on that side

    Examples
    --------
    Twice log 2, so that each edge has probability ``1 - exp(-2)``, and both lead to the same leaf:

    >>> ends, half = (np.array([0, 1], np.int32), np.zeros(2, np.int32)), np.full(2, np.log(2) / 2)
    >>> expected_degrees(half, half, np.zeros(1), ends, 1) / (1 - np.exp(-2))
    array([2.])
    """
    loops = graph_loops()
    left, leaf = ends
    if loops is None:
        exponent = np.clip(worth + a[left] + b[leaf], -700, 7)
        return np.bincount(ends[side], weights=-np.expm1(-np.exp(exponent)), minlength=(a, b)[side].size)
    total, space = np.zeros((a, b)[side].size), np.empty(min(CACHED, worth.size))
    for low in range(0, worth.size, CACHED):
        at = slice(low, low + CACHED)
        x = space[: min(CACHED, worth.size - low)]
        loops.sums_at_ends(worth[at], a, b, left[at], leaf[at], -700.0, 7.0, x)
        np.exp(x, out=x)
        np.negative(x, out=x)
        np.expm1(x, out=x)
        loops.take_off(total, ends[side][at], x)
    return total


def times_eight(S: Any, X: Any) -> Any:
    """Return the product of a sparse matrix and one of eight columns, to the bit that of SciPy.

    Parameters
    ----------
    S : csr_array, shape (M, N)
    X : array of float, shape (N, 8)

    Returns
    -------
    array of float, shape (M, 8)

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> times_eight(csr_array([[1.0, 2.0]]), np.arange(16.0).reshape(2, 8))
    array([[16., 19., 22., 25., 28., 31., 34., 37.]])
    """
    loops = graph_loops()
    if loops is None:
        return S @ X
    Y = np.empty((S.shape[0], 8))
    entries = S.indptr.astype(np.int64), S.indices.astype(np.int32, copy=False), S.data.astype(float, copy=False)
    loops.times_eight(*entries, np.ascontiguousarray(X, dtype=float), Y)
    return Y


def take_in_order(order: Any, keep: Any, ends: Any, rooms: Any) -> None:
    """Keep edges in order while there is room at all their ends.

    Parameters
    ----------
    order : array of int64
        Edges, the best first.
    keep : array of bool, shape (S,)
        What is kept; changed.
    ends : sequence of four arrays of int64
        Left and leaf of each edge, target of each leaf, pool of each left.
    rooms : sequence of four arrays of int64
        How many more edges each left, leaf, target and pool takes; changed.

    Examples
    --------
    Three edges onto one target that takes two, from one pool:

    >>> one, keep, rooms = np.zeros(1, int), np.zeros(3, bool), [np.array([9, 9, 9]), *np.array([[9], [2], [9]])]
    >>> take_in_order(np.array([2, 0, 1]), keep, (np.arange(3), np.zeros(3, int), one, np.zeros(3, int)), rooms)
    >>> keep, int(rooms[2][0])
    (array([ True, False,  True]), 0)
    """
    loops = graph_loops()
    if loops is not None:
        loops.take_in_order(order, *ends, *rooms, keep.view(np.uint8))
        return
    left, leaf, target, pool = ends
    for e in order.tolist():
        at = (left[e], leaf[e], target[leaf[e]], pool[left[e]])
        if not keep[e] and all(room[k] > 0 for room, k in zip(rooms, at, strict=True)):
            keep[e] = True
            for room, k in zip(rooms, at, strict=True):
                room[k] -= 1


class FlowGraph:
    """A graph in which largest flows are looked for, of different capacities.

    Parameters
    ----------
    tail, head : array of int, shape (E,)
        Ends of the edges, which may be parallel, in 0..N-1. No edge leads from a node to itself.
    nodes : int
        N. Flows go from the last node but one to the last.

    Examples
    --------
    Two ways from 2 to 3, of which the one through 0 takes 5 and the one through 1 takes 1:

    >>> graph = FlowGraph(np.array([2, 0, 2, 1]), np.array([0, 3, 1, 3]), 4)
    >>> graph.largest(np.array([5, 9, 7, 1]), np.zeros(4, int), np.arange(4))
    array([5, 5, 1, 1])
    """

    def __init__(self, tail: Any, head: Any, nodes: int) -> None:
        self.tail, self.head, self.nodes = tail.astype(np.int32), head.astype(np.int32), nodes
        self._loops = graph_loops()
        if self._loops is not None:
            # Entry 2 e is edge e from its tail, 2 e + 1 from its head.
            ends = np.stack([self.tail, self.head], axis=1).ravel()
            place = ends, np.arange(ends.size)
            of_nodes = sparse.csr_array((np.ones(ends.size, dtype=bool), place), shape=(nodes, ends.size))
            entry = of_nodes.indices.astype(np.int64)
            self._incidence = of_nodes.indptr.astype(np.int64), ends[entry ^ 1], entry
            # Edges between the same two nodes, whatever their directions, have one number.
            between = np.minimum(tail, head) * np.int64(nodes) + np.maximum(tail, head)
            self._pair = np.unique(between, return_inverse=True)[1]

    def largest(self, forward: Any, backward: Any, label: Any) -> Any:
        """Send as much as the capacities let through; the flow along each edge.

        Parameters
        ----------
        forward, backward : array of int, shape (E,), at least 0
            Capacity from tail to head, and from head to tail.
        label : array of int64, shape (N,)
            A permutation: of the largest flows the one that SciPy finds if nodes are numbered so.

        Returns
        -------
        array of int, shape (E,)
            What goes from tail to head, less what goes back, along this edge and all that are parallel to it.

        Notes
        -----
        Dinic's algorithm (1970, Soviet Math. Doklady 11, 1277).
        """
        if self._loops is None:
            return self._by_scipy(forward, backward, label)
        before = np.empty(2 * forward.size, dtype=np.int32)
        before[0::2], before[1::2] = forward, backward
        room = before.copy()
        self._loops.largest_flow(*self._incidence, label, room, self.nodes - 2, self.nodes - 1)
        way = np.where(self.tail < self.head, 1, -1)
        total = np.bincount(self._pair, weights=way * (before - room)[0::2])
        return way * total[self._pair].astype(np.int64)

    def _by_scipy(self, forward: Any, backward: Any, label: Any) -> Any:
        n, tail, head = self.nodes, label[self.tail], label[self.head]
        capacity = np.concatenate([forward, backward]).astype(np.int32)
        ends = np.concatenate([tail, head])[capacity > 0], np.concatenate([head, tail])[capacity > 0]
        graph = sparse.coo_matrix((capacity[capacity > 0], ends), shape=(n, n)).tocsr()
        flow = maximum_flow(graph, int(label[-2]), int(label[-1])).flow.tocoo()
        key = flow.row.astype(np.int64) * n + flow.col
        by = np.argsort(key)
        key, value = np.append(key[by], n * n), np.append(flow.data[by], 0).astype(np.int64)
        at = np.searchsorted(key, tail * n + head)
        return np.where(key[at] == tail * n + head, value[at], 0)


@cache
def graph_loops() -> Any:
    """Return the compiled loops, or None where nothing can be compiled.

    Examples
    --------
    >>> graph_loops().__doc__.splitlines()[0]
    'Loops over the edges of graphs. Indices are not checked.'
    """
    return compiled(SOURCE)
