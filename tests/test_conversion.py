"""Conversion of quantised activations into spikes: against loops in float64, and where it is exact."""

from dataclasses import replace

import numpy as np
import pytest
import resnet_reference as reference

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.vision.conversion import convert, folded
from lnpbrian.models.resnet import SpikingResNet, noise_images

pytest.importorskip("jax")

SHAPE = (7, 7, 2)


@pytest.fixture(scope="module")
def network():
    net = SpikingResNet.random(
        layout="resnet8", width=1 / 32, shape=SHAPE, classes=3, neuron="qcfs", seed=1, precision="float64"
    )
    rng = np.random.default_rng(0)
    changed = {
        name: value + 0.3 * rng.standard_normal(value.shape)
        for name, value in net.parameters.items()
        if name.endswith(("/scale", "/offset"))
    }
    changed |= {
        f"{layer}/threshold": np.array(t)
        for layer, t in zip(net.architecture.layers, rng.uniform(1, 3, 7), strict=True)
    }
    net = replace(net, parameters=net.parameters | changed)
    net = net.with_masks({name: rng.random(mask.shape) < 0.8 for name, mask in net.masks.items()})
    return net.calibrate(images())


def images():
    return noise_images(6, SHAPE, rng=np.random.default_rng(5)).astype(float)


def integrate_and_fire(net, x, steps):
    """Return outputs (B, classes) and spikes by layer of the converted network, from the parameters before it."""
    arch, p, stats = net.architecture, net.parameters, net.statistics
    image = (x - 0.5) / 0.25
    spikes, out = {}, {}
    for k, layer in enumerate(arch.layers):
        theta = float(p[f"{layer}/threshold"])
        shape = (len(x), arch.maps[k], arch.maps[k], arch.channels[k])
        v = np.full(shape, theta / 2)
        spikes[layer] = np.zeros((steps, *shape))
        for t in range(steps):
            current = np.zeros(shape)
            for c in arch.connections:
                if c.target == layer:
                    kernel = p[c.name] * (net.masks[c.name] if c.source else 1)
                    y = reference.convolve(out[c.source][t] if c.source else image, kernel, c.stride)
                    y = (y - stats[f"{c.name}/mean"]) / np.sqrt(stats[f"{c.name}/variance"] + 1e-5)
                    current += y * p[f"{c.name}/scale"] + p[f"{c.name}/offset"]
            v = v + current
            spikes[layer][t] = v >= theta
            v = v - theta * spikes[layer][t]
        out[layer] = theta * spikes[layer]
    return out[arch.layers[-1]].mean((0, 2, 3)) @ p["head"] + p["head/offset"], spikes


def test_converted_network_is_one_of_integrate_and_fire_neurons(network):
    x = images()
    logits, spikes = integrate_and_fire(network, x, 4)
    made = convert(network, steps=4)
    assert sum(s.sum() for s in spikes.values()) > 500
    # Potentials are sums of some dozen terms near 1; none is that near the threshold.
    np.testing.assert_allclose(made.logits(x), logits, atol=1e-11)
    for layer, counts in made.spike_counts(x).items():
        np.testing.assert_allclose(counts, spikes[layer].sum((0, 1)) / len(x), rtol=1e-12)


def test_folding_changes_nothing(network):
    np.testing.assert_allclose(folded(network).logits(images()), network.logits(images()), atol=1e-12)
    assert folded(folded(network)) is not network


def test_first_layer_spikes_as_often_as_its_activation_says(network):
    # Constant input: after T = 4 steps mean spikes are the activation of 4 levels exactly; at inputs within rounding of
    # a step of the staircase, which do not occur here, they need not be.
    x = images()
    made = convert(network, steps=4)
    c, p, stats = network.architecture.connections[0], network.parameters, network.statistics
    y = reference.convolve((x - 0.5) / 0.25, p["stem"], c.stride)
    y = (y - stats["stem/mean"]) / np.sqrt(stats["stem/variance"] + 1e-5) * p["stem/scale"] + p["stem/offset"]
    expected = np.clip(np.floor(4 * y / p["stem/threshold"] + 0.5), 0, 4)
    assert len(np.unique(expected)) == 5
    np.testing.assert_allclose(made.spike_counts(x)["stem"], expected.mean(0), rtol=1e-12)


def test_refusals(network):
    with pytest.raises(InvalidInput, match="only networks with neurons 'qcfs'"):
        convert(SpikingResNet.random(width=1 / 32, shape=SHAPE))
    with pytest.raises(InvalidInput, match="no batch statistics"):
        convert(replace(network, statistics={}))
