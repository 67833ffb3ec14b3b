"""Step I on the graph of channels, and its controls: against SciPy, definitions in loops, and probabilities."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov

from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.depth import depth_exponents
from lnpbrian.models.resnet import SpikingResNet, noise_images
from lnpbrian.pruning import channels
from lnpbrian.pruning.channels import (
    channel_graph,
    erk_masks,
    iterative_magnitude_masks,
    layered_covariance,
    magnitude_masks,
    noise_scores,
    sampled_masks,
    uniform_masks,
)

pytest.importorskip("jax")

SHAPE = (8, 8, 1)


def images():
    return noise_images(8, SHAPE, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def network():
    net = SpikingResNet.random(
        layout="resnet19", width=1 / 32, shape=SHAPE, classes=3, steps=2, seed=3, precision="float64"
    )
    rng = np.random.default_rng(0)
    net = net.with_masks({name: rng.random(mask.shape) < 0.7 for name, mask in net.masks.items()})
    return replace(net, shortcuts=(("stem", "block4"),)).calibrate(images())


@pytest.fixture(scope="module")
def exponents(network):
    return depth_exponents(network, images(), rng=np.random.default_rng(2))


def matrices(graph):
    ends = np.concatenate([[0], np.cumsum([d.size for d in graph.decays])])
    S = np.zeros((ends[-1], ends[-1]))
    for (m, n), block in graph.blocks.items():
        S[ends[m] : ends[m + 1], ends[n] : ends[n + 1]] = block
    return S, np.concatenate(graph.decays)


@pytest.mark.parametrize("strength", ["lyapunov", "weight", "lyapunov*weight"])
def test_covariance_solves_the_lyapunov_equation(network, exponents, strength):
    graph = channel_graph(network, strength=strength, exponents=exponents)
    S, D = matrices(graph)
    A = S - np.diag(D)
    C = layered_covariance(graph.blocks, graph.decays)
    noise = np.eye(D.size)
    residual = np.abs(A @ C + C @ A.T + noise).max() / np.abs(noise).max()
    assert residual < 1e-12
    np.testing.assert_allclose(C, solve_continuous_lyapunov(A, -noise), atol=1e-12 * C.max())
    # All nodes are row-dominant, also those that get nothing from others, by what they give.
    sources = np.abs(S).sum(1) == 0
    assert sources.sum() == network.architecture.channels[0]
    strong = np.where(sources, np.abs(S).sum(0), np.abs(S).sum(1))
    np.testing.assert_allclose(D, strong + np.concatenate([1 / t for t in network.time_constants.values()]), rtol=1e-12)


def test_graph_is_made_of_folded_kernels(network):
    graph = channel_graph(network, strength="weight")
    S, _ = matrices(graph)
    net = network.architecture
    first = dict(zip(net.layers, np.concatenate([[0], np.cumsum(net.channels)])[:-1], strict=True))
    expected = np.zeros_like(S)
    for c in net.inner:
        variance, scale = network.statistics[f"{c.name}/variance"], network.parameters[f"{c.name}/scale"]
        for i in range(net.width(c.source)):
            for o in range(net.width(c.target)):
                k = (network.parameters[c.name] * network.masks[c.name])[:, :, i, o] * scale[o]
                k = k / np.sqrt(variance[o] + 1e-5)
                expected[first[c.target] + o, first[c.source] + i] += np.sign(k.sum()) * np.abs(k).sum()
    for a, b in (*net.identities, ("stem", "block4")):
        for k in range(min(net.width(a), net.width(b))):
            expected[first[b] + k, first[a] + k] += 1
    np.testing.assert_allclose(S, expected, atol=1e-12)


def test_weights_of_a_kernel_can_share_the_strength_of_its_edge(network, exponents):
    whole = channel_graph(network, exponents=exponents)
    shared = channel_graph(network, exponents=exponents, kernel="mean")
    edges = {name: s.sum((0, 1)) for name, s in shared.strengths.items()}
    for name, s in whole.strengths.items():
        np.testing.assert_allclose(edges[name], s.sum((0, 1)) / (s.shape[0] * s.shape[1]), rtol=1e-12)
    # Edges of one place and of nine, where all of a kernel is there, then count by their exponents alone.
    kept = {name: mask.all((0, 1)) for name, mask in network.masks.items()}
    size = {name: mask.shape[0] * mask.shape[1] for name, mask in network.masks.items()}
    assert {1, 9} == set(size.values())
    for name, edge in edges.items():
        np.testing.assert_allclose(edge[kept[name]], whole.strengths[name].max((0, 1))[kept[name]], rtol=1e-12)
    with pytest.raises(InvalidInput, match="kernel must be one of sum, mean; got 'max'"):
        channel_graph(network, exponents=exponents, kernel="max")


def test_scores_are_equation_4(network, exponents):
    graph = channel_graph(network, strength="lyapunov", exponents=exponents)
    C = layered_covariance(graph.blocks, graph.decays)
    scores = noise_scores(network, strength="lyapunov", exponents=exponents)
    net = network.architecture
    first = dict(zip(net.layers, np.concatenate([[0], np.cumsum(net.channels)])[:-1], strict=True))
    c = next(c for c in net.inner if c.name == "block4.second")
    for y, x, i, o in [(0, 0, 0, 0), (1, 2, 3, 1), (2, 1, 5, 7)]:
        a, b = first[c.source] + i, first[c.target] + o
        sign = np.sign(network.parameters[c.name][y, x, i, o]) * network.masks[c.name][y, x, i, o]
        value = graph.strengths[c.name][y, x, i, o] * (C[a, a] + C[b, b] - 2 * sign * C[a, b])
        np.testing.assert_allclose(scores[c.name][y, x, i, o], value, rtol=1e-12)
    assert all((scores[name] > 0)[~mask].sum() == 0 for name, mask in network.masks.items())


def test_scores_per_operation_prefer_what_is_cheap(network, exponents):
    met = network.meetings(images())
    plain = noise_scores(network, exponents=exponents)
    cheap = noise_scores(network, exponents=exponents, meetings=met)
    count = network.kept // 5

    def expected_cost(scores):
        _, p = sampled_masks(scores, count, rng=np.random.default_rng(0))
        return sum(float((met[name][..., np.newaxis] * p[name]).sum()) for name in p)

    assert expected_cost(cheap) < 0.8 * expected_cost(plain)


def test_erk_per_operation_costs_less_at_as_many_weights(network):
    met, count = network.meetings(images()), network.kept // 5

    def cost(masks):
        assert sum(int(mask.sum()) for mask in masks.values()) == count
        return sum(float((met[name][..., np.newaxis] * mask).sum()) for name, mask in masks.items())

    draws = range(5)
    plain, cheap = (
        np.mean([cost(erk_masks(network, count, rng=np.random.default_rng(k), meetings=m)) for k in draws])
        for m in (None, met)
    )
    assert cheap < 0.8 * plain


def test_lyapunov_strength_in_a_dense_net_is_one_number_per_pair_of_layers():
    # All edges between two layers have the same neighbours: the reading that leaves a coin toss within a layer.
    net = SpikingResNet.random(layout="resnet8", width=1 / 32, shape=SHAPE, steps=2).calibrate(images())
    found = depth_exponents(net, images(), rng=np.random.default_rng(0))
    graph = channel_graph(net, strength="lyapunov", exponents=found)
    for s in graph.strengths.values():
        np.testing.assert_allclose(s, s[0, 0, 0, 0], rtol=1e-6)


def test_samples_have_the_number_and_the_probabilities_asked_for():
    scores = {"a": np.array([[5.0, 1.0], [0.0, 2.0]]), "b": np.array([1.0, 0.5, 9.0])}
    runs = 4000
    total = {name: np.zeros(s.shape) for name, s in scores.items()}
    for k in range(runs):
        masks, p = sampled_masks(scores, 3, rng=np.random.default_rng(k))
        assert sum(mask.sum() for mask in masks.values()) == 3
        for name, mask in masks.items():
            total[name] += mask
    for name in scores:
        error = np.sqrt(p[name] * (1 - p[name]) / runs)
        assert (np.abs(total[name] / runs - p[name]) <= 5 * error).all()


def test_random_controls_have_their_densities(network):
    dense = network.with_masks({name: np.ones_like(mask) for name, mask in network.masks.items()})
    count = dense.prunable // 20
    erk, uniform = (make(dense, count, rng=np.random.default_rng(0)) for make in (erk_masks, uniform_masks))
    assert sum(m.sum() for m in erk.values()) == sum(m.sum() for m in uniform.values()) == count
    share = {}
    for c in dense.architecture.inner:
        shape = erk[c.name].shape
        share[c.name] = sum(shape) / np.prod(shape)
        n = np.prod(shape)
        sd = np.sqrt(0.05 * 0.95 / n)
        assert abs(uniform[c.name].mean() - 0.05) < 5 * sd
    # Where no density reaches 1, they are in proportion to (i + o + 3 + 3)/(9 i o).
    wide = ["block4.second", "block7.second"]
    ratio = share[wide[0]] / share[wide[1]]
    got = erk[wide[0]].mean() / erk[wide[1]].mean()
    relative = np.sqrt(sum(1 / erk[name].sum() for name in wide))
    assert abs(got / ratio - 1) < 5 * relative


def test_magnitude_keeps_the_largest_of_what_is_there(network):
    masks = magnitude_masks(network, 500)
    sizes = {name: np.abs(network.parameters[name]) for name in masks}
    least = min(sizes[name][mask].min() for name, mask in masks.items() if mask.any())
    assert sum(mask.sum() for mask in masks.values()) == 500
    for name, mask in masks.items():
        assert not (mask & ~network.masks[name]).any()
        assert (sizes[name][network.masks[name] & ~mask] <= least).all()


def test_iterative_magnitude_pruning_sets_weights_back(network):
    seen = []

    def train(net, number):
        seen.append(net.kept)
        rng = np.random.default_rng(number)
        after = {name: rng.standard_normal(value.shape) for name, value in net.parameters.items()}
        early = {name: value + 1 for name, value in net.parameters.items()}
        return replace(net, parameters=early), replace(net, parameters=after)

    final = iterative_magnitude_masks(network, 400, train=train, rounds=3)
    assert final.kept == 400
    # The same fraction goes each time: kept_k = kept_0 (400/kept_0)^(k/3).
    np.testing.assert_allclose(seen, [network.kept * (400 / network.kept) ** (k / 3) for k in range(3)], atol=0.51)
    for name, value in network.parameters.items():
        np.testing.assert_array_equal(final.parameters[name], value + 1)


def test_refusals(network):
    with pytest.raises(InvalidInput, match="needs exponents"):
        channel_graph(network, strength="lyapunov")
    with pytest.raises(InvalidInput, match="decays must be above 0"):
        layered_covariance({}, [np.zeros(2)])
    with pytest.raises(InvalidInput, match="from a layer to a later one"):
        layered_covariance({(0, 1): np.ones((1, 1))}, [np.ones(1), np.ones(1)])
    with pytest.raises(InvalidInput, match="at most the"):
        channels.magnitude_masks(network, network.kept + 1)
