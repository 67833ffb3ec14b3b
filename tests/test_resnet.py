"""Spiking ResNets: the forward pass, its derivatives and its costs against NumPy, position by position."""

import builtins
from dataclasses import replace

import numpy as np
import pytest
import resnet_reference as reference

from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.depth import depth_exponents, gradient_ratios
from lnpbrian.models.resnet import Architecture, SpikingResNet, forward, noise_images, quantised

jax = pytest.importorskip("jax")

SHAPE = (7, 7, 2)  # odd, so that strides end at a border


def images(n=6, seed=1):
    return noise_images(n, SHAPE, rng=np.random.default_rng(seed)).astype(float)


def network(layout="resnet8", *, steps=3, sparse=True, seed=3):
    net = SpikingResNet.random(
        layout=layout, width=1 / 32, shape=SHAPE, classes=3, steps=steps, seed=seed, precision="float64"
    )
    rng = np.random.default_rng(seed)
    tau = {layer: rng.uniform(0.5, 3.0, n.size) for layer, n in net.time_constants.items()}
    net = replace(net, time_constants=tau)
    if sparse:
        net = net.with_masks({name: rng.random(mask.shape) < 0.6 for name, mask in net.masks.items()})
        net = net.without_channels({"block1.inner": np.array([True, True, False, True])})
    return net.calibrate(images())


def test_forward_pass_is_that_of_loops_over_positions():
    net, x = network(), images(4, seed=2)
    logits, spikes, potentials, _ = reference.run(net, x)
    with net.precision():
        found = jax.jit(forward, static_argnums=0)(net.static, net.arrays, x, net.statistics)
        mine = {layer: np.asarray(s) for layer, s in found.events.items()}
    assert sum(s.sum() for s in spikes.values()) > 100
    for layer in net.architecture.layers:
        np.testing.assert_array_equal(mine[layer], spikes[layer])
        # Sums of a few dozen terms near 1 in another order.
        np.testing.assert_allclose(found.potentials[layer], potentials[layer], atol=1e-11)
    np.testing.assert_allclose(net.logits(x), logits, atol=1e-12)


def test_operations_are_counted_spike_by_spike_and_weight_by_weight():
    net, x = network("resnet19-tdbn"), images(2, seed=2)
    _, spikes, _, _ = reference.run(net, x)
    arch = net.architecture
    expected = {}
    for c in arch.inner:
        around, side = c.size // 2, arch.side(c.target)
        total = 0
        for _, _, y, z, i in np.argwhere(spikes[c.source]):
            for a in range(c.size):
                for b in range(c.size):
                    # The target positions that have this spike under place (a, b) of their kernel.
                    row, column = y + around - a, z + around - b
                    if row % c.stride or column % c.stride:
                        continue
                    if 0 <= row // c.stride < side and 0 <= column // c.stride < side:
                        total += int(net.masks[c.name][a, b, i].sum())
        expected[c.name] = total / len(x)
    for a, b in arch.identities:
        expected[f"{a} -> {b}"] = spikes[a][..., net.alive[b]].sum() / len(x)
    found = net.operations(x)
    assert found.by_connection.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found.by_connection[name], value, rtol=1e-12)
    np.testing.assert_allclose(found.synaptic, sum(expected.values()), rtol=1e-12)
    assert found.spikes == sum(s.sum() for s in spikes.values()) / len(x)
    # Every position of the first convolution has those of 9 places that lie on the image; one thing is multiplied each.
    inside = reference.convolve(np.ones((1, *SHAPE)), np.ones((3, 3, SHAPE[2], arch.channels[0])), 1).sum()
    assert found.stem_macs == inside


def test_surrogate_gradients_go_through_time_but_not_through_the_reset():
    net, x = network(), images(3, seed=2)
    rng = np.random.default_rng(0)
    direction = rng.standard_normal((net.steps, 3, 7, 7, 2))
    *_, expected = reference.run(net, x, direction)
    zero = np.zeros_like(direction)
    with net.precision():

        def potentials(change):
            return forward(net.static, net.arrays, x, net.statistics, perturbation=change).potentials

        _, found = jax.jit(lambda x, d: jax.jvp(potentials, (x,), (d,)))(zero, direction)
    for layer in net.architecture.layers:
        assert np.abs(expected[layer]).max() > 1e-3
        np.testing.assert_allclose(found[layer], expected[layer], atol=1e-11)


def test_depth_exponents_are_ratios_of_derivatives():
    net, x = network("resnet19-tdbn"), images()
    found = depth_exponents(net, x, rng=np.random.default_rng(4))
    arch = net.architecture
    direction = np.random.default_rng(4).standard_normal((net.steps, len(x), 7, 7, 2))
    *_, d = reference.run(net, x, direction)  # calibrated on the same images
    size = {layer: np.sqrt((dv**2).mean((0, 1, 2, 3))) for layer, dv in d.items()}

    def rms(layer):
        return np.sqrt((size[layer][net.alive[layer]] ** 2).mean())

    ratio = np.log(size["stem"] / np.sqrt((direction**2).mean()))
    np.testing.assert_allclose(found.by_layer["stem"], ratio, rtol=1e-9)
    alive = net.alive["block1.inner"]
    ratio = np.log(size["block1.inner"][alive] / rms("stem"))
    np.testing.assert_allclose(found.by_layer["block1.inner"][alive], ratio, rtol=1e-9)
    # A block's end has two parents, whose mean squares count alike.
    both = np.sqrt((rms("block1") ** 2 + rms("block2.inner") ** 2) / 2)
    assert ("block1", "block2") in arch.identities
    np.testing.assert_allclose(found.by_layer["block2"], np.log(size["block2"] / both), rtol=1e-9)


def test_gradient_ratios_of_a_block_that_does_nothing_are_zero():
    # With all kernels of a block gone, its neurons see the identity alone: the gradient changes by the derivative of
    # the neurons; an added shortcut around it, which is linear, adds 1.
    net = network("resnet19", sparse=False, steps=1)
    gone = {name: mask & (not name.startswith("block2.")) for name, mask in net.masks.items()}
    net = replace(net.with_masks(gone), parameters=net.parameters | {"block2.second/offset": np.zeros(4)})
    x = images(4)
    net = net.calibrate(x)
    closed, open_ = (
        gradient_ratios(net, x, rng=np.random.default_rng(0), candidates=(("block1", "block2"),), gates=(gate,))
        for gate in (0.0, 1.0)
    )
    _, _, u, _ = reference.run(net, x)
    alpha = np.exp(-1 / net.time_constants["block2"])
    slope = (1 - alpha) / (1 + (np.pi * (u["block2"] - 1)) ** 2)
    assert np.log(slope.min()) < closed[1] < np.log(slope.max())
    assert np.log(1 + slope.min()) < open_[1] < np.log(1 + slope.max())


def test_calibration_gives_inputs_mean_0_and_variance_1():
    net, x = network(sparse=False), images()
    _, spikes, _, _ = reference.run(net, x)
    y = np.concatenate([reference.convolve(s, net.parameters["block1.first"], 2) for s in spikes["stem"]])
    np.testing.assert_allclose(y.mean((0, 1, 2)), net.statistics["block1.first/mean"], atol=1e-12)
    np.testing.assert_allclose(y.var((0, 1, 2)), net.statistics["block1.first/variance"], rtol=1e-10)


def test_quantised_activation_is_a_staircase_with_the_derivative_of_a_ramp():
    x = np.array([-1.0, 0.4, 0.6, 1.4, 3.4, 3.6, 9.0])
    with jax.enable_x64(True):
        np.testing.assert_array_equal(quantised(jax.numpy.asarray(x), 4.0), [0, 0, 1, 1, 3, 4, 4])
        slope = jax.vmap(jax.grad(lambda v: quantised(v, 4.0)))(x)
    np.testing.assert_array_equal(slope, [0, 1, 1, 1, 1, 1, 0])


def test_removed_channels_neither_spike_nor_cost():
    net, x = network(sparse=False), images()
    keep = np.array([True, False, True, True])
    less = net.without_channels({"block1": keep})
    assert not less.masks["block1.second"][..., 1].any()
    assert not less.masks["block2.first"][:, :, 1].any()
    assert less.spike_counts(x)["block1"][..., 1].sum() == 0 < net.spike_counts(x)["block1"][..., 1].sum()
    assert less.sparsity()["channels"] == pytest.approx(1 / sum(net.architecture.channels))
    assert less.sparsity()["neurons"] == pytest.approx(16 / net.architecture.neurons)


def test_files_give_back_every_bit(tmp_path):
    net = replace(network(), shortcuts=(("stem", "block2"),))
    net.save(tmp_path / "net.npz")
    again = SpikingResNet.load(tmp_path / "net.npz")
    assert again.static == net.static
    for kind in ("parameters", "masks", "statistics", "time_constants", "alive"):
        for name, value in getattr(net, kind).items():
            np.testing.assert_array_equal(getattr(again, kind)[name], value)
    np.testing.assert_array_equal(again.logits(images()), net.logits(images()))
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(InvalidInput, match="holds no spiking ResNet"):
        SpikingResNet.load(tmp_path / "other.npz")
    small = replace(net, parameters=net.parameters | {"head": np.zeros((2, 3))})
    small.save(tmp_path / "small.npz")
    with pytest.raises(InvalidInput, match="head has shape"):
        SpikingResNet.load(tmp_path / "small.npz")


def test_refusals():
    with pytest.raises(InvalidInput, match="layout must be one of resnet8"):
        SpikingResNet.random(layout="vgg")
    with pytest.raises(InvalidInput, match="at least one of 64 channels"):
        Architecture.of("resnet8", width=0.001)
    with pytest.raises(InvalidInput, match="no batch statistics"):
        SpikingResNet.random(shape=SHAPE, width=1 / 32).logits(images())
    with pytest.raises(InvalidInput, match=r"images must have shape \(any, 7, 7, 2\)"):
        network().logits(np.zeros((2, 8, 8, 2)))
    with pytest.raises(InvalidInput, match="convert it first"):
        SpikingResNet.random(shape=SHAPE, width=1 / 32, neuron="qcfs").operations(images())


def test_without_jax_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name == "jax":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InvalidInput, match=r"lnpbrian\[bp\]"):
        SpikingResNet.random()
