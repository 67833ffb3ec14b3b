"""Localisation of eigenvectors against closed forms of inverse participation ratios, complete spectra and networkx."""

import networkx as nx
import numpy as np
import pytest

from lnpbrian.checks import InvalidInput
from lnpbrian.pruning.steps import localisation
from lnpbrian.pruning.steps.delocalise import delocalising_edges
from lnpbrian.pruning.steps.localisation import delocalisation_report


def random_graph(n, p, seed):
    """Self-connections included: they count for nothing."""
    rng = np.random.default_rng(seed)
    return np.nonzero(rng.random((n, n)) < p)


def simple(pre, post):
    return {(a, b) for a, b in zip(np.asarray(pre).tolist(), np.asarray(post).tolist(), strict=True) if a != b}


# Entries of eigenvectors of well separated eigenvalues carry an error of about N eps |A| / gap, below 1e-11 here.
CLOSE = 1e-9


def complete(n):
    return np.nonzero(~np.eye(n, dtype=bool))


@pytest.mark.parametrize("n", [5, 12, 101])
def test_ring(n):
    # Eigenvalues 2 - 2 cos(2 pi k / n) (Laplacian), 2 cos (adjacency); sine and cosine: mean of cos^4, 3/8, over the
    # square of the mean of cos^2, 1/2, gives 3 / (2 n) for every rotation of the pair; k = 0 and k = n / 2: 1 / n.
    # (Rotations of the pair k = n / 4 differ; their mean is the same.)
    i = np.arange(n)
    report = delocalisation_report(i, (i + 1) % n, n)
    k = np.arange(n)
    for found, values in (
        (report.laplacian, 2 - 2 * np.cos(2 * np.pi * k / n)),
        (report.adjacency, 2 * np.cos(2 * np.pi * k / n)),
    ):
        np.testing.assert_allclose(found.eigenvalues, np.sort(values), atol=CLOSE)
        expected = np.where((k == 0) | (2 * k == n), 1, 1.5) / n
        np.testing.assert_allclose(found.ipr, expected[np.argsort(values, kind="stable")], rtol=CLOSE)
        assert found.localised == 0
    assert (report.strong_components, report.largest_strong_component, report.degree_variance) == (1, n, 0)


def test_complete_graph():
    # The even vector, and n - 1 others: P = 1 - 1/n on the diagonal, 3 / (g (g + 2)) n P^2 with g = n - 1.
    n = 40
    report = delocalisation_report(*complete(n), n)
    rest = 3 * (n - 1) / (n * (n + 1))
    np.testing.assert_allclose(report.laplacian.ipr, [1 / n] + [rest] * (n - 1), rtol=CLOSE)
    np.testing.assert_allclose(report.adjacency.ipr, [rest] * (n - 1) + [1 / n], rtol=CLOSE)
    # Reciprocal edges count twice: A + A^T = 2 (1 - I).
    np.testing.assert_allclose(report.adjacency.eigenvalues, [-2.0] * (n - 1) + [2 * (n - 1)], atol=CLOSE)
    assert report.laplacian.localised == report.adjacency.localised == 0
    assert report.status == f"all {n} eigenvectors of 1 connected components"


def test_star():
    # Laplacian: 0, even; 1, (n - 2) times, on the leaves with sum 0: P = 1 - 1/(n - 1); n, (n - 1, -1, ..., -1).
    # Adjacency: +-sqrt(n - 1), (+-1, 1/sqrt(n - 1), ...)/sqrt(2); 0 as above.
    n = 60
    report = delocalisation_report(np.zeros(n - 1, int), np.arange(1, n), n)
    leaves = 3 / ((n - 2) * n) * (n - 2) ** 2 / (n - 1)
    hub = ((n - 1) ** 3 + 1) / (n**2 * (n - 1))
    np.testing.assert_allclose(report.laplacian.ipr, [1 / n] + [leaves] * (n - 2) + [hub], rtol=CLOSE)
    np.testing.assert_allclose(report.laplacian.eigenvalues, [0] + [1] * (n - 2) + [n], atol=CLOSE)
    ends = (1 + 1 / (n - 1)) / 4
    np.testing.assert_allclose(report.adjacency.ipr, [ends] + [leaves] * (n - 2) + [ends], rtol=CLOSE)
    assert report.laplacian.localised == 1  # hub, above 10 / n
    assert report.adjacency.localised == 2
    assert report.threshold == 10 / n
    assert report.laplacian.maximum == report.laplacian.ipr.max()
    assert report.laplacian.mean == pytest.approx((1 / n + (n - 2) * leaves + hub) / n)
    assert report.laplacian.median == report.laplacian.quantile_90 == pytest.approx(leaves)
    assert report.strong_components == n
    assert report.degree_variance == pytest.approx(((n - 1) ** 2 + n - 1) / n - (2 * (n - 1) / n) ** 2)


def test_disconnected_neurons_and_pieces():
    # Ring of 20 and of 10, and 3 neurons alone: each is an eigenvector, although all share eigenvalue 0.
    i = np.arange(20)
    pre, post = np.r_[i, 20 + i[:10]], np.r_[(i + 1) % 20, 20 + (i[:10] + 1) % 10]
    report = delocalisation_report(pre, post, 33)
    for found in (report.laplacian, report.adjacency):
        expected = [1.0] * 3 + [1 / 20] * 2 + [1.5 / 20] * 18 + [1 / 10] * 2 + [1.5 / 10] * 8
        np.testing.assert_allclose(np.sort(found.ipr), np.sort(expected), rtol=CLOSE)
        assert found.localised == 3
        assert (np.diff(found.eigenvalues) >= 0).all()
        assert (found.median, found.quantile_90) == pytest.approx((1.5 / 20, 1.5 / 10))  # entries 16 and 28.8 of 0..32
    assert (report.strong_components, report.largest_strong_component) == (5, 20)
    assert report.status == "all 33 eigenvectors of 5 connected components"


def test_matrices_and_ratios_by_definition():
    pre, post = random_graph(80, 0.05, 2)
    report = delocalisation_report(pre, post, 80)
    A = np.zeros((80, 80))
    A[pre, post] = 1
    np.fill_diagonal(A, 0)
    A += A.T
    for found, M in ((report.adjacency, A), (report.laplacian, np.diag(A.sum(axis=1)) - A)):
        values, V = np.linalg.eigh(M)
        np.testing.assert_allclose(found.eigenvalues, values, atol=CLOSE)
        simple_ = np.diff(values, prepend=-np.inf, append=np.inf)
        alone = (simple_[:-1] > 1e-6) & (simple_[1:] > 1e-6)
        assert alone.sum() > 70
        np.testing.assert_allclose(found.ipr[alone], (V**4).sum(axis=0)[alone], rtol=1e-7)


@pytest.mark.parametrize("seed", range(4))
def test_strong_components_as_networkx(seed):
    pre, post = random_graph(70, 0.02, seed)
    graph = nx.DiGraph(simple(pre, post))
    graph.add_nodes_from(range(70))
    sizes = [len(piece) for piece in nx.strongly_connected_components(graph)]
    report = delocalisation_report(pre, post, 70)
    assert (report.strong_components, report.largest_strong_component) == (len(sizes), max(sizes))
    degrees = [degree for _, degree in graph.degree()]
    assert report.degree_variance == pytest.approx(np.var(degrees), rel=1e-12)
    doubled = np.random.default_rng(seed).permutation(np.tile(np.arange(pre.size), 2))
    assert delocalisation_report(pre[doubled], post[doubled], 70).degree_variance == report.degree_variance


def with_greedy_edges(n, p, seed, at_most=None):
    pre, post = random_graph(n, p, seed)
    new = delocalising_edges(pre, post, n, count=pre.size // 50, at_most=at_most)
    return np.r_[pre, new[0]], np.r_[post, new[1]]


@pytest.mark.parametrize(
    ("pre", "post"),
    [
        random_graph(300, 0.05, 1),  # below 500: a complete diagonalisation underneath
        random_graph(700, 0.05, 1),
        random_graph(900, 0.005, 2),  # sparse, with neurons and pairs apart
        random_graph(600, 0.4, 3),
        with_greedy_edges(700, 0.03, 4),  # one hub
        with_greedy_edges(700, 0.03, 4, at_most=10),
    ],
)
def test_ends_of_the_spectrum(pre, post):
    n = max(pre.max(), post.max()) + 1
    pre, post = np.r_[pre, n], np.r_[post, n + 1]  # a pair apart: all of its two eigenvectors
    full = delocalisation_report(pre, post, n + 2, all_up_to=n)
    ends = delocalisation_report(pre, post, n + 2, all_up_to=0, per_end=5)
    graph = nx.Graph(list(simple(pre, post)))
    graph.add_nodes_from(range(n + 2))
    pieces = [len(piece) for piece in nx.connected_components(graph)]
    assert full.status == f"all {n + 2} eigenvectors of {len(pieces)} connected components"
    known = 10 + n + 2 - max(pieces)
    assert ends.status == (
        f"{known} of {n + 2} eigenvectors: 5 at either end of the spectrum of 1 of {len(pieces)} connected "
        "components, those of over 10 neurons"
    )
    for whole, part in ((full.laplacian, ends.laplacian), (full.adjacency, ends.adjacency)):
        assert part.ipr.size == known
        # Angle 0.1, gap below a tenth of the spectrum: eigenvalues to 0.1^2 of that.
        span = np.ptp(whole.eigenvalues)
        np.testing.assert_allclose(part.eigenvalues[-5:], whole.eigenvalues[-5:], rtol=0, atol=1e-3 * span)
        np.testing.assert_allclose(part.ipr[-5:], whole.ipr[-5:], rtol=0.01)
        if len(pieces) == 2:
            # Two zeros of the Laplacian, one of them of the pair, are in any order.
            lowest = 6 if part is ends.laplacian else 5
            np.testing.assert_allclose(np.sort(part.ipr[:lowest]), np.sort(whole.ipr[:lowest]), rtol=0.01)
    again = delocalisation_report(pre, post, n + 2, all_up_to=0, per_end=5)
    assert (again.laplacian.ipr == ends.laplacian.ipr).all()
    assert (again.adjacency.ipr == ends.adjacency.ipr).all()


def test_stripes_change_nothing(monkeypatch):
    pre, post = random_graph(700, 0.03, 6)
    one = delocalisation_report(pre, post, 700, all_up_to=0, per_end=5)
    monkeypatch.setattr(localisation, "STRIPE", 256)
    three = delocalisation_report(pre, post, 700, all_up_to=0, per_end=5)
    all_ = delocalisation_report(pre, post, 700, all_up_to=700)
    for a, b, c in ((one.laplacian, three.laplacian, all_.laplacian), (one.adjacency, three.adjacency, all_.adjacency)):
        np.testing.assert_allclose(a.ipr, b.ipr, rtol=1e-6)  # the order of sums differs
        np.testing.assert_allclose(c.ipr[-5:], b.ipr[-5:], rtol=0.01)


def test_ends_of_spectra_with_multiple_eigenvalues():
    # The start vectors reach two or three eigenspaces and no more: closed forms of test_star and test_complete_graph.
    n = 700
    star = delocalisation_report(np.zeros(n - 1, int), np.arange(1, n), n, all_up_to=0, per_end=3)
    np.testing.assert_allclose(star.laplacian.eigenvalues, [0, 1, 1, 1, 1, n], atol=1e-9 * n)
    np.testing.assert_allclose(star.adjacency.eigenvalues, np.sqrt(n - 1) * np.array([-1, 0, 0, 0, 0, 1]), atol=1e-7)
    hub = ((n - 1) ** 3 + 1) / (n**2 * (n - 1))
    np.testing.assert_allclose(star.laplacian.ipr[[0, -1]], [1 / n, hub], rtol=CLOSE)
    np.testing.assert_allclose(star.adjacency.ipr[[0, -1]], (1 + 1 / (n - 1)) / 4, rtol=CLOSE)
    even = delocalisation_report(*complete(n), n, all_up_to=0, per_end=3)
    np.testing.assert_allclose(even.laplacian.eigenvalues, [0] + [2 * n] * 5, atol=1e-9 * n)
    assert even.laplacian.ipr[0] == pytest.approx(1 / n, rel=CLOSE)
    assert even.adjacency.ipr[-1] == pytest.approx(1 / n, rel=CLOSE)
    assert "resolved" not in star.status + even.status


def test_unresolved_ends_are_told(monkeypatch):
    # Eigenvalues of a chain, 2 - 2 cos(pi k / n), are (pi k / n)^2 near an end: too close for 480 vectors.
    monkeypatch.setattr(localisation, "BASIS", 400)
    i = np.arange(3999)
    chain = delocalisation_report(i, i + 1, 4000, all_up_to=0, per_end=4)
    assert chain.status.endswith("; 16 of both matrices are not resolved from their neighbours")
    assert "resolved" not in delocalisation_report(*random_graph(700, 0.05, 1), 700, all_up_to=0, per_end=4).status


def test_ends_that_meet_are_all_eigenvectors():
    i = np.arange(12)
    report = delocalisation_report(i, (i + 1) % 12, 12, all_up_to=3, per_end=6)
    assert report.status == "all 12 eigenvectors of 1 connected components"
    assert report.laplacian.ipr.size == 12


def test_greedy_edges_localise_eigenvectors():
    # What the method is meant to prevent: the hub that the new edges make is a localised eigenvector of both matrices.
    pre, post = random_graph(300, 0.05, 0)
    new = delocalising_edges(pre, post, 300, count=pre.size // 50)
    before = delocalisation_report(pre, post, 300)
    after = delocalisation_report(np.r_[pre, new[0]], np.r_[post, new[1]], 300)
    assert after.degree_variance > 2 * before.degree_variance
    assert after.laplacian.maximum > before.laplacian.maximum
    assert after.adjacency.maximum > 5 * before.adjacency.maximum
    assert after.adjacency.localised > before.adjacency.localised


def test_report_without_synapses_and_wrong_requests():
    report = delocalisation_report([], [], 3)
    assert report.laplacian.ipr.tolist() == report.adjacency.ipr.tolist() == [1, 1, 1]
    assert (report.strong_components, report.largest_strong_component) == (3, 1)
    with pytest.raises(InvalidInput, match=r"pre must hold neuron indices"):
        delocalisation_report([-1], [1], 2)
    with pytest.raises(InvalidInput, match="n_neurons must be"):
        delocalisation_report([], [], 0)
