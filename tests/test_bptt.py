"""Training by backpropagation through time: the same spikes as Brian2, exact gradients, and what must not change."""

import builtins
from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms

from lnpbrian.checks import InvalidInput
from lnpbrian.learning import bptt
from lnpbrian.learning.bptt import BPOptions, spikes, surrogate_spike, train_bp
from lnpbrian.learning.encoding import CurrentEncoder, PoissonEncoder
from lnpbrian.learning.readout import ReadoutOptions, readout_neurons
from lnpbrian.learning.series import lorenz63
from lnpbrian.models import CHRSNN, HRSNN
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import Drive, noise_drive
from lnpbrian.network.simulate import observe
from lnpbrian.network.spec import NetworkSpec

jax = pytest.importorskip("jax")

READOUT = ReadoutOptions(sample_time=20 * ms)
# 20 ms samples, 41 of them are enough for two stretches.
QUICK = BPOptions(epochs=2, truncation=4, batch=2, warm_up=3, learning_rate=0.05)


def network(n=40, p=0.2, *, timing="interpolated", seed=0, **changes):
    parameters = replace(LIFParameters.forecasting(), dt=2 * ms, spike_timing=timing, **changes)
    return HRSNN(n, p, parameters=parameters, check_rate=False, seed=seed).spec


def encoder(spec, dimensions=3):
    return CurrentEncoder.draw(spec.n_neurons, dimensions, scale=0.8, rng=np.random.default_rng(5))


def series(samples=41):
    z = lorenz63(samples, start=(12.0, 2.0, 9.0)).values
    return (z - z.mean(axis=0)) / z.std(axis=0)


def sparse(spec):
    """Keep 5 % of the synapses, and silence a tenth of the neurons."""
    rng = np.random.default_rng(0)
    kept = spec.of_synapses(rng.random(spec.n_synapses) < 0.05)
    return replace(kept, alive=rng.random(spec.n_neurons) < 0.9)


# The drive steps every 5 ms, which is no whole number of 2 ms steps, and starts over after 200 ms.
@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("timing", ["grid", "interpolated"])
@pytest.mark.parametrize("parameters", [LIFParameters(), replace(LIFParameters.forecasting(), dt=2 * ms)])
@pytest.mark.parametrize("model", [HRSNN, CHRSNN])
def test_spikes_are_those_of_brian2(model, parameters, timing, pruned):
    parameters = replace(parameters, spike_timing=timing)
    spec = model(200, parameters=parameters, check_rate=False, plastic=True, seed=1).spec
    if pruned:
        spec = sparse(spec)
    drive = noise_drive(200, duration=200 * ms, rng=np.random.default_rng(3))
    expected = observe(RecurrentNetwork(spec, plastic=False), 500 * ms, drive=drive)
    found = spikes(spec, drive, 500 * ms)
    assert expected.indices.size > 500
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(np.rint(found.times / spec.dt), np.rint(expected.times / spec.dt))
    assert not found.counts[~spec.alive].any()


def test_long_runs_go_on_where_a_block_ends(monkeypatch):
    spec = network()
    drive = noise_drive(40, duration=300 * ms, rng=np.random.default_rng(3))
    whole = spikes(spec, drive, 300 * ms)
    monkeypatch.setattr(bptt, "_BLOCK", 37)
    np.testing.assert_array_equal(spikes(spec, drive, 300 * ms).times, whole.times)


def test_surrogate_derivative():
    # SuperSpike: 1/(1 + slope |u|)^2; the value is the step, 1 at 0.
    u = np.array([-0.5, -0.1, 0.0, 0.1, 2.0])
    with jax.enable_x64(True):
        value = surrogate_spike(jax.numpy.asarray(u), 10.0)
        slope = jax.vmap(jax.grad(lambda x: surrogate_spike(x, 10.0)))(u)
    np.testing.assert_array_equal(value, [0, 0, 1, 1, 1])
    np.testing.assert_allclose(slope, [1 / 36, 1 / 4, 1, 1 / 4, 1 / 441], rtol=1e-12)


def gradient(spec, z, *, slope=10.0, weights=None, tau_m=None, readout=None, checkpointing=False):
    """Return the loss of a linear readout in double precision, and its gradients by weights and time constants."""
    read = readout_neurons(spec, 0.5)
    fixed = bptt._static(spec, "float64", slope)._replace(
        steps=10, filter_time=0.025, order=3, checkpointing=checkpointing, train_time_constants=True
    )
    weights = spec.weights if weights is None else weights
    spec = replace(spec, weights=weights, time_constants=spec.time_constants if tau_m is None else tau_m)
    rng = np.random.default_rng(2)
    d = z.shape[1]
    linear = bptt._Linear(
        np.zeros(read.size),
        np.ones(read.size),
        rng.standard_normal((read.size, d)),
        np.zeros((d, d)),
        np.zeros(d),
        np.ones(d),
    )
    external = (z[:-1] @ encoder(spec, d).weights.T)[:, np.newaxis]
    chunk = bptt._Chunk(external, z[:-1, np.newaxis], np.diff(z, axis=0)[:, np.newaxis])
    with jax.enable_x64(True):
        carry = (bptt._initial(spec, 1, "float64"), [np.zeros((1, read.size))] * 3)
        loss, by_weights, by_tau, _, features = bptt._compiled_gradient(fixed)(
            bptt._constants(spec, "float64"), bptt._dense(spec, weights, "float64"), read, carry, chunk, linear
        )
    by_synapse = np.asarray(by_weights)[spec.pre, spec.post]
    return float(loss), by_synapse, np.asarray(by_tau[0]), np.asarray(features)


def test_gradient_by_crossing_times_is_exact():
    # A spike on the grid of time moves nothing within a step; one between grid points moves smoothly, and as long as
    # none changes its step, a central difference of step h = 1e-6 has error h^2 f'''/6 + 1e-16/h, below 1e-6 of f'.
    spec, z, h = network(20, 0.3), series(5), 1e-6
    _, by_weights, by_tau, _ = gradient(spec, z)
    rng = np.random.default_rng(1)
    for k in range(3):
        way = rng.standard_normal(spec.n_synapses)
        ends = [gradient(spec, z, weights=spec.weights + s * h * way)[0] for s in (1, -1)]
        np.testing.assert_allclose(by_weights @ way, (ends[0] - ends[1]) / (2 * h), rtol=1e-5, err_msg=f"weights {k}")
        way = rng.standard_normal(20) * spec.time_constants
        ends = [gradient(spec, z, tau_m=spec.time_constants + s * h * way)[0] for s in (1, -1)]
        np.testing.assert_allclose(by_tau @ way, (ends[0] - ends[1]) / (2 * h), rtol=1e-5, err_msg=f"tau_m {k}")
    assert np.abs(by_weights).max() > 1e-3


def test_gradient_on_the_grid_is_that_of_the_surrogate():
    # Without a surrogate (slope -> infinity) spikes on the grid have no gradient at all.
    spec, z = network(20, 0.3, timing="grid"), series(4)
    _, steep, _, _ = gradient(spec, z, slope=1e12)
    _, smooth, _, _ = gradient(spec, z, slope=100.0)
    assert np.abs(steep).max() < 1e-6 * np.abs(smooth).max()


def test_surrogate_gradient_of_one_spike_in_closed_form():
    # Neuron 0 fires at once; its spike makes I_syn of neuron 1 jump by w, whose potential 0.5 then rises by
    # w (e^-x - e^-y) y/(y - x) in the next step. The derivative by w is that by the jump, since out = 1.
    spec = NetworkSpec(
        "pair",
        time_constants=np.array([0.02, 0.02]),
        bias=np.array([0.0, 0.5]),
        initial_potential=np.array([0.0, 0.5]),
        excitatory=np.ones(2),
        cluster=np.zeros(2),
        alive=np.ones(2),
        pre=np.array([0]),
        post=np.array([1]),
        weights=np.array([1e-9]),
        synaptic_time_constant=0.005,
        refractory_period=0.002,
        dt=0.001,
    )
    fixed = bptt._static(spec, "float64", 4.0)
    external = np.array([[100.0, 0.0]])

    def last(jump):
        """Return the surrogate spike of neuron 1, one step after its current jumped by `jump`."""
        state, weights = bptt._initial(spec, 1, "float64"), jax.numpy.zeros((2, 2))
        extra = jax.numpy.zeros((1, 2)).at[0, 1].set(jump)
        state, (first, _) = bptt._step(fixed, bptt._constants(spec, "float64"), weights, state, external, extra)
        state, (second, _) = bptt._step(fixed, bptt._constants(spec, "float64"), weights, state, external, 0)
        return second[0, 1], first[0, 0]

    with jax.enable_x64(True):
        slope, fired = jax.grad(last, has_aux=True)(0.0)
    x, y = 0.001 / 0.005, 0.001 / 0.02
    rise = y * (np.exp(-x) - np.exp(-y)) / (y - x)
    assert fired == 1
    np.testing.assert_allclose(slope, rise / (1 + 4 * 0.5) ** 2, rtol=1e-7)


def test_checkpointing_changes_nothing_but_memory():
    spec, z = network(20, 0.3), series(5)
    plain, again = (gradient(spec, z, checkpointing=c) for c in (False, True))
    for a, b in zip(plain, again, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_features_are_filtered_spike_trains():
    # Spikes of age u at the end of a sample give (u/tau)^2/2 exp(-u/tau); on the grid u counts from the end of a step.
    spec, z = network(20, 0.3, timing="grid"), series(5)
    *_, features = gradient(spec, z)
    drive = Drive(z[:-1] @ encoder(spec).weights.T, 0.02)
    found, read = spikes(spec, drive, 80 * ms), readout_neurons(spec, 0.5)
    for n, row in enumerate(features[:, 0]):
        u = (0.02 * (n + 1) - found.times - spec.dt) / 0.025
        kernel = np.where(u > -1e-9, u**2 / 2 * np.exp(-u), 0)
        expected = np.bincount(found.indices, kernel, minlength=20)[read]
        np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("timing", ["grid", "interpolated"])
def test_signs_and_synapses_stay(timing):
    # Steps of half a mean weight carry many weights to zero, where they stop.
    spec = network(timing=timing)
    spec = spec.of_synapses(np.random.default_rng(0).random(spec.n_synapses) < 0.3)
    options = replace(QUICK, learning_rate=0.5)
    result = train_bp(spec, encoder(spec), series(), options=options, readout=READOUT, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(result.spec.pre, spec.pre)
    np.testing.assert_array_equal(result.spec.post, spec.post)
    assert (result.spec.weights * spec.weights >= 0).all()
    assert (result.spec.weights == 0).any()
    assert not np.array_equal(result.spec.weights, spec.weights)
    np.testing.assert_array_equal(result.spec.time_constants, spec.time_constants)


def test_a_weight_of_zero_takes_the_sign_of_its_neuron():
    spec = network()
    spec = replace(spec, weights=np.where(np.arange(spec.n_synapses) % 2, spec.weights, 0))
    options = replace(QUICK, learning_rate=0.01)
    found = train_bp(spec, encoder(spec), series(), options=options, readout=READOUT, rng=np.random.default_rng(0)).spec
    dale = np.where(spec.excitatory, 1, -1)[spec.pre]
    assert (found.weights * dale >= 0).all()
    assert (found.weights[::2] != 0).any()


def test_same_seed_same_network():
    spec, z = network(), series()
    runs = [
        train_bp(spec, encoder(spec), z, options=QUICK, readout=READOUT, rng=np.random.default_rng(seed))
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0].spec.weights, runs[1].spec.weights)
    np.testing.assert_array_equal(runs[0].losses, runs[1].losses)
    assert not np.array_equal(runs[0].spec.weights, runs[2].spec.weights)


def test_time_constants_are_trained_if_asked():
    spec = network()
    options = replace(QUICK, train_time_constants=True)
    found = train_bp(spec, encoder(spec), series(), options=options, readout=READOUT, rng=np.random.default_rng(0)).spec
    assert not np.array_equal(found.time_constants, spec.time_constants)
    assert found.time_constants.min() >= 2 * spec.dt
    assert found.time_constants.max() <= 0.2


def test_losses_and_reports():
    spec, done = network(), []
    options = replace(QUICK, epochs=3)
    result = train_bp(
        spec,
        encoder(spec),
        series(),
        options=options,
        readout=READOUT,
        rng=np.random.default_rng(0),
        report=done.append,
    )
    assert result.losses.shape == (3,)
    assert np.isfinite(result.losses).all()
    assert done == [1 / 3, 2 / 3, 1]
    assert result.note == "trained"
    # The error is a function of the network alone: going on from the trained one starts where it ended.
    again = train_bp(result.spec, encoder(spec), series(), options=QUICK, readout=READOUT, rng=np.random.default_rng(1))
    assert 0 < again.before != result.before
    np.testing.assert_allclose(again.before, result.after, rtol=1e-9)
    assert result.seconds > 0


def test_a_network_that_got_worse_is_given_back_unchanged():
    # Steps of 1e4 mean weights leave nothing of the network's dynamics.
    spec = network()
    options = replace(QUICK, learning_rate=1e4)
    result = train_bp(spec, encoder(spec), series(), options=options, readout=READOUT, rng=np.random.default_rng(0))
    assert result.after > 1.5 * result.before
    assert result.note.startswith("unchanged")
    assert result.spec is spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.with_timing("precise"), "precise spikes"),
        (lambda s: replace(s, delays=np.full(s.n_synapses, 0.002)), "delays"),
        (lambda s: replace(s.with_timing("grid"), synaptic_time_constant=0.0), "delta synapses"),
    ],
)
def test_networks_that_are_refused(change, message):
    spec = change(network())
    drive = noise_drive(40, duration=20 * ms, rng=np.random.default_rng(0))
    for call in (
        lambda: spikes(spec, drive, 20 * ms),
        lambda: train_bp(spec, encoder(spec), series(), options=QUICK, readout=READOUT, rng=np.random.default_rng(0)),
    ):
        with pytest.raises(InvalidInput, match=message) as error:
            call()
        assert "\n" not in str(error.value)


def test_input_that_is_refused():
    spec, z, rng = network(), series(), np.random.default_rng(0)
    poisson = PoissonEncoder.draw(40, 3, rng=rng)
    silent = replace(spec, alive=np.arange(40) > 0)
    good = {"spec": spec, "encoder": encoder(spec), "z": z, "rng": rng, "options": QUICK, "readout": READOUT}
    for change, message in [
        ({"spec": silent}, "silent neurons"),
        ({"spec": spec.of_synapses(np.zeros(spec.n_synapses, bool))}, "no synapses"),
        ({"encoder": poisson}, "CurrentEncoder"),
        ({"encoder": encoder(network(30))}, "30 neurons"),
        ({"z": z[:, :2]}, "of 3 dimensions does not fit samples of 2"),
        ({"z": z[:10]}, "at least 12 samples"),
        ({"z": z * [1, 0, 1]}, "column 1 of z grows by a constant"),
        ({"readout": ReadoutOptions(sample_time=21 * ms)}, "whole number of steps"),
        ({"rng": 3}, "generator"),
    ]:
        call = good | change
        with pytest.raises(InvalidInput, match=message) as error:
            train_bp(call.pop("spec"), call.pop("encoder"), call.pop("z"), **call)
        assert "\n" not in str(error.value)
    with pytest.raises(InvalidInput, match="30 neurons"):
        spikes(spec, noise_drive(30, duration=20 * ms, rng=rng), 20 * ms)
    for wrong in ({"epochs": 0}, {"learning_rate": 0}, {"surrogate_slope": -1.0}, {"precision": "float16"}):
        with pytest.raises(InvalidInput):
            BPOptions(**wrong)


def test_without_jax_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "jax":
            raise ImportError
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidInput, match=r"pip install 'lnpbrian\[bp\]'"):
        spikes(network(), noise_drive(40, duration=20 * ms, rng=np.random.default_rng(0)), 20 * ms)
