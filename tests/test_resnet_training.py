"""Training on images: what is gone stays gone, what was stopped goes on bit for bit, and something is learnt."""

import numpy as np
import pytest

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.vision import resnet_training
from lnpbrian.learning.vision.resnet_training import (
    ResNetTrainingOptions,
    augmented,
    evaluate_resnet,
    learning_rate,
    train_resnet,
)
from lnpbrian.models.resnet import SpikingResNet

jax = pytest.importorskip("jax")

SHAPE = (8, 8, 1)
QUICK = ResNetTrainingOptions(epochs=3, batch=16, learning_rate=0.02, flip=False)


def task(n=64, seed=0):
    """Bars that lie or stand, in noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    x = 0.15 * rng.random((n, *SHAPE))
    for image, label, at in zip(x, y, rng.integers(2, 6, n), strict=True):
        (image[at] if label else image[:, at])[...] += 0.8
    return x, y


@pytest.fixture(scope="module")
def network():
    net = SpikingResNet.random(width=1 / 16, shape=SHAPE, classes=2, steps=2, seed=2)
    rng = np.random.default_rng(0)
    return net.with_masks({name: rng.random(mask.shape) < 0.5 for name, mask in net.masks.items()})


def test_bars_are_learnt(network):
    x, y = task()
    trained = train_resnet(network, x, y, options=QUICK, seed=1)
    found = evaluate_resnet(trained.network, *task(100, seed=9))
    # Chance is 0.5 with a standard error of 0.05.
    assert found.accuracy > 0.75
    assert found.standard_error == pytest.approx(np.sqrt(found.accuracy * (1 - found.accuracy) / 100))
    assert trained.losses[-1] < trained.losses[0]


def test_what_is_gone_stays_gone_in_weights_and_moments(network, tmp_path):
    x, y = task()
    path = tmp_path / "state.npz"
    trained = train_resnet(network, x, y, options=QUICK, checkpoint=path).network
    state = np.load(path)
    for name, mask in network.masks.items():
        assert not mask.all()
        for value in (trained.parameters[name], state[f"mu:{name}"], state[f"nu:{name}"]):
            assert (value[~mask] == 0).all()
            assert value[mask].any()


def test_a_training_that_was_stopped_goes_on_bit_for_bit(network, tmp_path):
    x, y = task()
    whole = train_resnet(network, x, y, options=QUICK, seed=4)
    path = tmp_path / "state.npz"

    class Stopped(Exception):
        pass

    def stop(fraction, what):
        # In the middle of the second epoch nothing of it is kept.
        if "loss" in what and fraction > 0.6:
            raise Stopped

    with pytest.raises(Stopped):
        train_resnet(network, x, y, options=QUICK, seed=4, checkpoint=path, report=stop)
    assert np.load(path)["losses"].size == 2
    again = train_resnet(network, x, y, options=QUICK, seed=4, checkpoint=path)
    np.testing.assert_array_equal(again.losses, whole.losses)
    for name, value in whole.network.parameters.items():
        np.testing.assert_array_equal(again.network.parameters[name], value)
        np.testing.assert_array_equal(again.early.parameters[name], whole.early.parameters[name])
    with pytest.raises(InvalidInput, match="is of another training"):
        train_resnet(network, x, y, options=QUICK, seed=5, checkpoint=path)
    path.write_bytes(b"no archive")
    with pytest.raises(InvalidInput, match="holds no state of a training"):
        train_resnet(network, x, y, options=QUICK, seed=4, checkpoint=path)


def test_a_step_is_that_of_adamw(network):
    x, y = task(16)
    static, arrays = network.static, network.arrays
    begin, step = resnet_training._compiled_step(static, network.forward, QUICK.weight_decay)
    p = arrays.parameters | {name: arrays.parameters[name] * mask for name, mask in arrays.masks.items()}
    x = x.astype(np.float32)

    def loss(p):
        logits = network.forward(static, arrays._replace(parameters=p), x).logits
        return -jax.nn.log_softmax(logits)[np.arange(16), y].mean()

    told, g = jax.jit(jax.value_and_grad(loss))(p)
    g = {name: np.asarray(slope) for name, slope in g.items()}
    after, state, value = step(arrays._replace(parameters=p), begin(p), x, y, 0.01)
    assert float(value) == pytest.approx(float(told), rel=1e-5)
    for name, before in p.items():
        # The first step is by the sign of the gradient (epsilon 1e-8 aside), and decays kernels.
        gradient = g[name] * arrays.masks.get(name, 1)
        expected = before - 0.01 * (gradient / (np.abs(gradient) + 1e-8) + 0.02 * before * (before.ndim > 1))
        clear = np.abs(gradient) > 1e-5
        assert clear.any() or name.endswith("/offset"), name
        np.testing.assert_allclose(after[name][clear], expected[clear], atol=2e-5)
        np.testing.assert_allclose(state.mu[name], 0.1 * gradient, atol=1e-6)  # 1 - beta_1


def test_one_cycle():
    sizes = [learning_rate(k, 100, 0.3) for k in range(101)]
    assert np.argmax(sizes) == 30
    assert sizes[0] == pytest.approx(0.3 / 25)
    assert sizes[30] == pytest.approx(0.3)
    assert sizes[65] == pytest.approx(0.15, rel=1e-4)  # half way down a cosine


def test_images_are_mirrored_and_shifted_whole():
    x = np.zeros((200, 8, 8, 1))
    x[:, 3, 2] = 1.0
    out = augmented(x, ResNetTrainingOptions(shift=0.25), np.random.default_rng(0))
    rows, columns = np.nonzero(out[..., 0])[1:]
    assert rows.size == 200
    # Rows 3 +- 2; columns 2 +- 2, or mirrored 5 +- 2.
    assert set(rows) == {1, 2, 3, 4, 5}
    assert set(columns) == set(range(8))
    np.testing.assert_array_equal(augmented(x, ResNetTrainingOptions(shift=0, flip=False), np.random.default_rng(0)), x)


def test_refusals(network):
    x, y = task(8)
    with pytest.raises(InvalidInput, match=r"labels must be in 0\.\.1"):
        train_resnet(network, x, y + 1)
    with pytest.raises(InvalidInput, match="labels must have shape"):
        evaluate_resnet(network, x, y[:3])
