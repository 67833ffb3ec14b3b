"""Images through networks: engines that count alike, relays, readouts against scikit-learn's, costs by hand."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms
from sklearn.linear_model import Ridge

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.vision.classification import (
    Classification,
    ClassifyOptions,
    accuracy_difference,
    classify,
    fit_classifier,
    read_images,
)
from lnpbrian.learning.vision.image_input import (
    FULL_RATE,
    ImageInput,
    Presentation,
    patch_filters,
    pixel_channels,
    spike_counts,
)
from lnpbrian.learning.vision.images import ImageTask, image_task
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network.engines.native import native_works
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.streams import Streams

compiled = pytest.mark.skipif(not native_works(), reason="there is no compiler")
SHORT = Presentation(shown=20 * ms, silence=10 * ms)


def network(seed, *, n=40, **changes):
    parameters = LIFParameters(dt=1 * ms, gain=0.6, **changes)
    return HRSNN(n, 0.2, parameters=parameters, check_rate=False, seed=seed).spec


@pytest.fixture(scope="module")
def digits():
    return image_task("digits", train=300, test=200)


# --- the engines ------------------------------------------------------------------------------------------------------


@compiled
@pytest.mark.parametrize("seed", range(20))
def test_compiled_loop_counts_as_brian2(seed):
    """Twenty random networks: currents and Poisson spikes, relays, delta synapses, delays, interpolated spikes."""
    rng = np.random.default_rng(seed)
    changes = [{}, {"synaptic_time_constant": 0 * ms}, {"spike_timing": "interpolated"}, {"refractory_period": 0 * ms}]
    spec = network(seed, **changes[seed % 4])
    if seed % 5 == 4 and seed % 4 != 2:
        spec = replace(spec, delays=rng.integers(0, 4, spec.n_synapses) * 1e-3)
    mode = ("current", "poisson")[seed // 2 % 2]
    source = ImageInput.draw(40, 12, rng=rng, mode=mode, scale=3.0, fraction=(1.0, 0.5)[seed % 2])
    # More images than copies of Brian2, fewer than a batch of the loop.
    x = rng.random((23, 12))
    counts = [
        spike_counts(spec, source, x, presentation=SHORT, engine=engine, streams=Streams(seed))
        for engine in ("native", "brian2")
    ]
    assert (counts[0] == counts[1]).all()
    assert counts[0].sum() > 100
    # Images are told apart, and each is seen by a network that has seen no other.
    assert len(np.unique(counts[0], axis=0)) > 15
    alone = spike_counts(spec, source, x[:1], presentation=SHORT, streams=Streams(seed))
    assert (alone[0] == counts[0][0]).all()


def test_poisson_rates():
    source = ImageInput(np.zeros((1, 3)), np.ones(1, bool), "poisson")
    x = np.tile([0.0, 0.5, 1.0], (400, 1))
    spikes = source.spikes(x, np.arange(400), steps=100, dt=1e-3, streams=Streams(0))
    trials = 400 * 100
    for channel, intensity in enumerate((0.0, 0.5, 1.0)):
        p = FULL_RATE * 1e-3 * intensity
        found = int((spikes.channel == channel).sum())
        assert abs(found - trials * p) <= 5 * np.sqrt(trials * p * (1 - p))
    # Another image has other spikes, the same one the same.
    first, again = (source.spikes(x[:1], np.array([k]), steps=100, dt=1e-3, streams=Streams(0)) for k in (3, 3))
    assert (first.step == again.step).all()
    assert (first.step == spikes.step[spikes.copy == 3]).all()


def test_poisson_charge_by_hand():
    """One channel at full rate onto one neuron that cannot fire: its spikes are those of the drawn trains."""
    spec = NetworkSpec.from_arrays(network(0).to_arrays()).of_neurons(np.arange(40) < 1)
    # A jump of 50 of I_syn takes any of these neurons over the threshold within a step or two of 1 ms.
    spec = replace(spec, bias=np.zeros(1), initial_potential=np.zeros(1), time_constants=np.array([0.02]))
    source = ImageInput(np.array([[50.0]]), np.ones(1, bool), "poisson")
    one = Presentation(shown=5 * ms, silence=0 * ms)
    x = np.ones((60, 1))
    spikes = source.spikes(x, np.arange(60), steps=5, dt=1e-3, streams=Streams(4))
    early = np.zeros(60, bool)
    early[spikes.copy[spikes.step <= 3]] = True
    assert 0 < early.sum() < 60
    counts = spike_counts(spec, source, x, presentation=one, streams=Streams(4))[:, 0]
    # A channel's spike in step k acts from step k + 1 on: 50 (1 ms/20 ms) is far above the threshold.
    assert ((counts > 0) == early).all()


def test_silent_after_the_image():
    """Without bias and synapses nothing fires once the image is gone."""
    spec = replace(network(1), bias=np.zeros(40)).uncoupled()
    source = ImageInput.draw(40, 4, rng=np.random.default_rng(0), scale=5.0)
    x = np.random.default_rng(1).random((5, 4))
    shown, longer = (
        spike_counts(spec, source, x, presentation=Presentation(shown=30 * ms, silence=t * ms)) for t in (0, 40)
    )
    assert (shown == longer).all()
    assert shown.sum() > 0


def test_what_does_not_fit():
    spec, source = network(0), ImageInput.draw(40, 4, rng=np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="does not fit images of 3 channels"):
        spike_counts(spec, source, np.zeros((2, 3)))
    with pytest.raises(InvalidInput, match="shown"):
        spike_counts(spec, source, np.zeros((2, 4)), presentation=Presentation(shown=1.5 * ms))
    with pytest.raises(InvalidInput, match="mode must be one of"):
        ImageInput.draw(4, 4, rng=np.random.default_rng(0), mode="light")
    poisson = ImageInput.draw(40, 4, rng=np.random.default_rng(0), mode="poisson")
    with pytest.raises(InvalidInput, match="at most once in a step"):
        poisson.spikes(np.zeros((1, 4)), np.zeros(1), steps=1, dt=0.02, streams=Streams(0))


# --- input ------------------------------------------------------------------------------------------------------------


def test_weights_of_the_input():
    rng = np.random.default_rng(0)
    source = ImageInput.draw(500, 200, rng=rng, scale=2.0, fraction=0.3)
    assert source.receives.sum() == 150
    assert not source.weights[~source.receives].any()
    assert (source.may_be_read() == ~source.receives).all()
    # Standard deviation 2/sqrt(200) of 30,000 weights, known to 1 in sqrt(60,000).
    assert source.weights[source.receives].std() == pytest.approx(2 / np.sqrt(200), rel=5 / np.sqrt(60_000))
    few = ImageInput.draw(50, 200, rng=rng, mode="poisson")
    assert ((few.weights != 0).sum(axis=1) == 50).all()
    assert ImageInput.draw(50, 20, rng=rng).may_be_read().all()


def test_relay_without_synapses_knows_nothing(digits):
    channels = pixel_channels(digits)
    relay = ImageInput.draw(60, 64, rng=np.random.default_rng(2), scale=3.0, fraction=0.5)
    spec = network(3, n=60)
    coupled, uncoupled = (classify(s, relay, digits, channels, presentation=SHORT) for s in (spec, spec.uncoupled()))
    # Nothing that is read depends on the image: every answer is the same.
    assert len(set(uncoupled.predicted)) == 1
    assert uncoupled.synaptic_operations == 0
    assert coupled.accuracy > uncoupled.accuracy + 5 * coupled.accuracy_standard_error
    assert (coupled.read == np.flatnonzero(~relay.receives)).all()


def test_patches_of_one_image_by_hand():
    """Two filters, no whitening: each patch is normalised, compared, thresholded and averaged by quadrant."""
    rng = np.random.default_rng(0)
    x = rng.random((2, 8, 8, 1)).astype(np.float32)
    found = patch_filters(x, rng=rng, filters=3, size=3, stride=1, patches=200, threshold=0.25, rounds=2)
    assert np.linalg.norm(found.filters, axis=1) == pytest.approx(1)
    answers = np.zeros((6, 6, 3))
    for i in range(6):
        for j in range(6):
            patch = x[1, i : i + 3, j : j + 3, 0].ravel()
            patch = (patch - patch.mean()) / np.sqrt(patch.var() + 10 / 255**2)
            answers[i, j] = np.maximum(found.filters @ (found.whitening @ (patch - found.mean)) - 0.25, 0)
    quadrants = [answers[a : a + 3, b : b + 3].mean(axis=(0, 1)) for a in (0, 3) for b in (0, 3)]
    assert found.channels(x)[1] == pytest.approx(np.concatenate(quadrants), abs=1e-5)


def test_patches_whiten_and_are_standardised(digits):
    found = patch_filters(
        digits.intensities(digits.x_train), rng=np.random.default_rng(0), filters=8, size=4, patches=2000
    )
    train, test = found.of_task(digits)
    assert train.shape == (300, 32)
    assert train.mean(axis=0) == pytest.approx(0, abs=1e-5)
    assert abs(test.mean()) < 0.3
    with pytest.raises(InvalidInput, match="size must be at most 8"):
        patch_filters(digits.intensities(digits.x_train), rng=np.random.default_rng(0), size=9)


# --- readouts ---------------------------------------------------------------------------------------------------------


def test_ridge_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    x, y = rng.poisson(3, (200, 30)).astype(float), rng.integers(4, size=200)
    mine = fit_classifier(x, y, classes=4)
    theirs = Ridge(alpha=200 * mine.penalty).fit((x - x.mean(0)) / x.std(0), np.eye(4)[y])
    fresh = rng.poisson(3, (50, 30)).astype(float)
    assert mine.scores(fresh) == pytest.approx(theirs.predict((fresh - x.mean(0)) / x.std(0)), abs=1e-9)


def test_perceptron_finds_what_no_line_does():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 2))
    y = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(int)
    options = ClassifyOptions(kind="mlp", weight_decay=1e-4)
    assert (fit_classifier(x, y, classes=2, options=options)(x) == y).mean() > 0.95
    assert (fit_classifier(x, y, classes=2)(x) == y).mean() < 0.7


def test_perceptron_is_at_a_minimum():
    """At a minimum of its loss no small change of any weight makes it smaller."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((60, 3)), rng.integers(3, size=60)
    options = ClassifyOptions(kind="mlp", hidden=2, weight_decay=0.1)
    found = fit_classifier(x, y, classes=3, options=options)

    def loss(layers):
        scores = replace(found, layers=layers).scores(x)
        log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return -log_p[np.arange(60), y].mean() + 0.05 * sum((w**2).sum() for w, _ in layers)

    best = loss(found.layers)
    for k in range(2):
        for part in range(2):
            for place in np.ndindex(found.layers[k][part].shape):
                for change in (0.05, -0.05):
                    layers = [list(layer) for layer in found.layers]
                    layers[k][part] = layers[k][part].copy()
                    layers[k][part][place] += change
                    assert loss(tuple(map(tuple, layers))) > best


def test_neurons_that_never_fire_do_no_harm():
    x = np.array([[0.0, 0], [1, 0], [2, 0], [3, 0], [0, 0], [3, 0]])
    readout = fit_classifier(x, np.array([0, 0, 1, 1, 0, 1]), classes=2)
    assert np.isfinite(readout.scores(x)).all()
    with pytest.raises(InvalidInput, match="at least five"):
        fit_classifier(x[:4], np.zeros(4, int), classes=2)


def test_read_by_betweenness():
    spec = network(5)
    source = ImageInput.draw(40, 4, rng=np.random.default_rng(0), fraction=0.5)
    tenth = read_images(spec, source, fraction=0.1)
    assert tenth.size == 2
    assert not source.receives[tenth].any()
    everyone = replace(source, receives=np.ones(40, bool))
    assert read_images(spec, everyone, fraction=0.1).size == 4
    assert read_images(spec, everyone).size == 40
    none = replace(spec, alive=source.receives, pre=spec.pre[:0], post=spec.post[:0], weights=spec.weights[:0])
    with pytest.raises(InvalidInput, match="none may be read"):
        read_images(none, source)


# --- what it says, and what it costs ----------------------------------------------------------------------------------


def test_record_by_hand():
    found = Classification(
        predicted=np.array([0, 1, 1, 2]), truth=np.array([0, 1, 2, 2]), n_classes=3, read=np.arange(2),
        synaptic_operations=1000.0, readout_operations=200.0, mean_rate=10.0, penalty=1.0, train_accuracy=1.0,
    )  # fmt: skip
    assert found.accuracy == 0.75
    assert found.accuracy_standard_error == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert found.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert found.energy(readout=False) == pytest.approx(0.9e-9)
    assert found.energy(readout=True) == pytest.approx(1.08e-9)
    # Eight bytes a synapse at 10 pJ for eight bytes.
    assert found.energy(readout=False, memory=True) == pytest.approx(1000 * 10.9e-12)
    again = Classification.from_arrays(found.to_arrays())
    assert repr(again) == repr(found)
    assert (again.predicted == found.predicted).all()


def test_operations_by_brute_force(digits):
    few = image_task("digits", train=20, test=6)
    spec = network(7)
    kept = spec.of_synapses(np.flatnonzero((spec.pre != 3) & (spec.post != 3)))
    spec = replace(kept, alive=np.arange(40) != 3)
    source = ImageInput.draw(40, 64, rng=np.random.default_rng(0), scale=3.0)
    channels = pixel_channels(few)
    for kind, fan_out, behind in (("ridge", 10, 0), ("mlp", 20, 200)):
        found = classify(spec, source, few, channels, presentation=SHORT, options=ClassifyOptions(kind=kind))
        counts = spike_counts(spec, source, channels[1], presentation=SHORT)
        brute = sum(int(counts[m, pre]) for m in range(6) for pre in spec.pre)
        assert found.synaptic_operations == pytest.approx(brute / 6)
        read = counts[:, found.read].sum() / 6
        assert found.readout_operations == pytest.approx(read * fan_out + behind)
        assert 3 not in found.read
        assert found.mean_rate == pytest.approx(counts[:, spec.alive].mean() / 0.03)


def test_differences_are_paired():
    rng = np.random.default_rng(0)
    one = rng.random(2000) < 0.8
    other = one.copy()
    other[:50] ^= True
    difference, error = accuracy_difference(one, other)
    changed = np.sign(one[:50].astype(int) - other[:50])
    assert difference == pytest.approx(changed.sum() / 2000)
    # Fifty of +-1 among 2000, the rest zero.
    assert error == pytest.approx(np.sqrt((50 / 2000 - difference**2) / 2000))
    with pytest.raises(InvalidInput, match="same images"):
        accuracy_difference(one, other[1:])


def test_classify_refuses():
    x = np.zeros((6, 4, 4, 1), np.uint8)
    task = ImageTask("mine", x, np.arange(6) % 2, x, np.arange(6) % 2, ("a", "b"))
    spec, source = network(0), ImageInput.draw(40, 16, rng=np.random.default_rng(0))
    channels = pixel_channels(task)
    with pytest.raises(InvalidInput, match="5 training images do not fit 6 labels"):
        classify(spec, source, task, (channels[0][:5], channels[1]))
    with pytest.raises(InvalidInput, match="neuron indices"):
        classify(spec, source, task, channels, read=np.array([40]))
