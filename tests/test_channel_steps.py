"""The four steps on spiking ResNets: what each leaves, measures and says."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.depth import depth_exponents, gradient_ratios, norm_excess
from lnpbrian.models.resnet import SpikingResNet, noise_images
from lnpbrian.pruning.channel_steps import (
    ChannelIteration,
    ChannelNoise,
    ChannelPotential,
    DepthTimescales,
    NormPreservation,
    prune_resnet,
)
from lnpbrian.streams import Streams

pytest.importorskip("jax")

SHAPE = (8, 8, 1)


def images():
    return noise_images(8, SHAPE, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def network():
    net = SpikingResNet.random(layout="resnet19", width=1 / 32, shape=SHAPE, classes=3, steps=2, seed=3)
    return net.calibrate(images())


def iteration(network, reference=None):
    return ChannelIteration(1, 1, network.kept // 10, 0.5, images(), "images", reference, Streams(5))


def test_step_1_leaves_what_it_is_told():
    network = SpikingResNet.random(layout="resnet8", width=1 / 32, shape=SHAPE, classes=3, steps=2, seed=3)
    network = network.calibrate(images())
    made, told = ChannelNoise()(network, iteration(network))
    assert made.kept == network.kept // 10
    assert told["strength"] == "lyapunov"
    made, told = ChannelNoise(strength="weight")(network, iteration(network))
    # Of weights that differ scores differ; a normal |w| has a coefficient of variation of sqrt(pi/2 - 1) = 0.76.
    assert 0.6 < told["variation_within_connections"] < 0.9


def test_step_2_takes_streams_as_one_and_the_quietest_first(network):
    # One stream has four layers: a channel that is quiet in one and loud in three stays.
    made, told = ChannelPotential()(network, iteration(network))
    net = network.architecture
    scores = network.potentials(images())
    for stream in net.streams():
        alive = made.alive[stream[0]]
        assert alive.sum() == round(alive.size / 2)
        for layer in stream:
            np.testing.assert_array_equal(made.alive[layer], alive)
        mean = np.mean([scores[layer] / scores[layer].mean() for layer in stream], axis=0)
        assert mean[alive].min() >= mean[~alive].max()
    assert len({len(stream) for stream in net.streams()}) > 1
    assert told["channels"] == sum(a.sum() for a in made.alive.values())


def test_step_3_adds_the_shortcut_that_lowers_phi_most():
    net = SpikingResNet.random(layout="resnet8", width=1 / 32, shape=SHAPE, classes=3, steps=2, seed=3)
    now = iteration(net)
    made, told = NormPreservation(most=1, gain=0)(net, now)
    pairs = tuple(combinations(net.architecture.outer, 2))
    assert len(pairs) == 6

    def phi(network, gates=(0,) * 6):
        rng = now.rng("cotangents")
        return norm_excess(gradient_ratios(network, now.images, rng=rng, candidates=pairs, gates=gates))

    tried = {pair: phi(net, np.eye(6)[k]) for k, pair in enumerate(pairs)}
    best = min(tried, key=tried.get)
    assert told["phi_before"] == pytest.approx(phi(net), rel=1e-4)
    assert tried[best] < told["phi_before"]
    assert made.shortcuts == (best,)
    # Measured with a gate, and as the network that has it.
    without_gates = norm_excess(gradient_ratios(made, now.images, rng=now.rng("cotangents")))
    assert told["phi_after"] == pytest.approx(without_gates, rel=1e-3)


def test_step_4_brings_exponents_back():
    net = SpikingResNet.random(layout="resnet8", width=1 / 32, shape=SHAPE, classes=3, steps=3, seed=3)
    net = net.calibrate(images())
    now = iteration(net, depth_exponents(net, images(), rng=Streams(5).rng("reference")))
    # As it came it is where it is aimed at.
    same, told = DepthTimescales(evaluations=2)(net, now)
    assert told["before"] == 0.0
    assert same is net
    slow = replace(net, time_constants={layer: 2.5 * tau for layer, tau in net.time_constants.items()})
    made, told = DepthTimescales(evaluations=9, mean=3.0)(slow, now)
    assert told["after"] < 0.8 * told["before"]
    mean = np.mean([tau.mean() for tau in made.time_constants.values()])
    assert mean < np.mean([tau.mean() for tau in slow.time_constants.values()])


def test_the_loop_reaches_its_sparsities_and_sees_no_task():
    net = SpikingResNet.random(layout="resnet8", width=1 / 32, shape=SHAPE, classes=3, steps=2, seed=3)
    runs = [
        prune_resnet(net, ("I", "II"), weight_sparsity=0.9, channel_sparsity=0.25, iterations=2, seed=1)
        for _ in range(2)
    ]
    assert runs[0].seen == "noise"
    sparsity = runs[0].network.sparsity()
    assert sparsity["channels"] == pytest.approx(0.25, abs=0.03)
    # Step I leaves more by the share that channels are expected to take: it is a sample of some hundred weights.
    assert sparsity["weights"] == pytest.approx(0.9, abs=0.02)
    for name, mask in runs[0].network.masks.items():
        np.testing.assert_array_equal(runs[1].network.masks[name], mask)


def test_refusals(network):
    with pytest.raises(InvalidInput, match="steps must be one of I, II, III, IV"):
        prune_resnet(network, ("V",))
    with pytest.raises(InvalidInput, match="leave it out"):
        prune_resnet(SpikingResNet.random(width=1 / 32, shape=SHAPE, neuron="qcfs"), ("IV",))
    with pytest.raises(InvalidInput, match="weight_sparsity must be a number"):
        prune_resnet(network, weight_sparsity=1.0)
