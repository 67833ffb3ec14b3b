"""STDP on a stream of samples: by hand for two neurons, balance, and what a network keeps."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import SpikeMonitor, ms, second

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.encoding import CurrentEncoder
from lnpbrian.learning.stdp import train_stdp
from lnpbrian.models import HRSNN, uncoupled
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import Drive, drive_operation
from lnpbrian.network.spec import STDP


def pair(**changes):
    """Two neurons that fire by their bias, and one weak synapse from 0 to 1."""
    spec = uncoupled([20 * ms, 31 * ms], bias=1.5)
    constants = STDP(*(np.array([x]) for x in (0.017, 0.023, 0.03, 0.02)), w_min=0.0, w_max=0.5)
    arrays = {"pre": np.array([0]), "post": np.array([1]), "weights": np.array([0.1])}
    return replace(spec, **{**arrays, "plasticity": constants, **changes})


def by_hand(spec, times, ids, weight, sign=1):
    """Follow one weight spike by spike: traces decay, then the spike acts, presynaptic ones first."""
    c = spec.plasticity
    tau_plus, tau_minus, eta_plus, eta_minus = (float(x[0]) for x in (c.tau_plus, c.tau_minus, c.eta_plus, c.eta_minus))
    plus = minus = last = 0.0
    for t, i in sorted(zip(times, ids, strict=True)):
        plus, minus, last = plus * np.exp(-(t - last) / tau_plus), minus * np.exp(-(t - last) / tau_minus), t
        if i == 0:
            plus += 1
            weight -= eta_minus * (weight - c.w_min) * minus
        else:
            minus += 1
            weight += eta_plus * (c.w_max - weight) * plus
        weight = min(max(weight, c.w_min), c.w_max)
    return sign * weight


@pytest.mark.parametrize("timing", ["grid", "interpolated"])
def test_two_neurons_by_hand(timing):
    spec = pair(spike_timing=timing)
    z = np.random.default_rng(0).uniform(-0.4, 0.4, (30, 1))
    encoder = CurrentEncoder(np.array([[1.0], [-0.5]]))
    learnt = train_stdp(spec, encoder, z, sample_time=10 * ms, rng=np.random.default_rng(0))
    # The spikes themselves: the same run, whose weights are followed at the steps in which spikes occur.
    live = RecurrentNetwork(spec)
    spikes = SpikeMonitor(live.neurons)
    live.network.add(spikes, drive_operation(live.neurons, Drive(z @ encoder.weights.T, 10e-3)))
    live.run(0.3 * second)
    assert spikes.count[0] > 5
    assert spikes.count[1] > 5
    expected = by_hand(spec, spikes.t_[:], spikes.i[:], 0.1)
    np.testing.assert_allclose(learnt.spec.weights, expected, rtol=1e-12)
    assert learnt.mean_change == pytest.approx(abs(expected - 0.1) / 0.1)


def test_an_inhibitory_synapse_learns_its_magnitude():
    spec = pair()
    spec = replace(spec, weights=-spec.weights, excitatory=np.array([False, True]))
    learnt = train_stdp(
        spec, CurrentEncoder(np.zeros((2, 1))), np.zeros((30, 1)), sample_time=10 * ms, rng=np.random.default_rng(0)
    )
    live = RecurrentNetwork(spec)
    spikes = SpikeMonitor(live.neurons)
    live.network.add(spikes)
    live.run(0.3 * second)
    np.testing.assert_allclose(learnt.spec.weights, by_hand(spec, spikes.t_[:], spikes.i[:], 0.1, sign=-1), rtol=1e-12)


def constants_of(n, rng):
    return STDP(*rng.uniform(0.005, 0.03, (2, n)), *rng.uniform(5e-6, 2e-5, (2, n)), w_min=1e-7, w_max=1e-6)


@pytest.mark.parametrize("dt", [1e-4, 5e-4, 1e-3, 2.5e-3])
def test_both_sides_of_balanced_plasticity_are_equal(dt):
    # Sums over all lags at which the rule pairs two spikes: from 0 on in potentiation, from 1 on in depression.
    rng = np.random.default_rng(0)
    weights = rng.uniform(2e-7, 8e-7, 50) * rng.choice([-1, 1], 50)
    before = constants_of(50, rng)
    c = before.balanced(weights, dt)
    lag = dt * np.arange(round(40 * 0.03 / dt))[:, np.newaxis]
    up = c.eta_plus * (c.w_max - abs(weights)) * np.exp(-lag / c.tau_plus).sum(axis=0)
    down = c.eta_minus * (abs(weights) - c.w_min) * np.exp(-lag[1:] / c.tau_minus).sum(axis=0)
    np.testing.assert_allclose(up, down, rtol=1e-12)
    np.testing.assert_array_equal(c.eta_plus, before.eta_plus)
    assert (before.balanced(np.full(50, 1e-7), dt).eta_minus == 1).all()


def test_a_step_is_needed_for_balance():
    with pytest.raises(InvalidInput, match=r"dt must be a number in \(0, inf\)"):
        constants_of(1, np.random.default_rng(0)).balanced(np.ones(1), 0.0)


@pytest.mark.parametrize("dt", [1e-4, 5e-4, 1e-3, 2.5e-3])
def test_uncorrelated_spikes_do_not_move_balanced_weights(dt):
    # Neuron k excites neuron n + k, too little to be felt; currents make each fire in a tenth of all steps.
    n, steps, rng = 500, 1000, np.random.default_rng(1)
    weights = rng.uniform(2e-7, 8e-7, n)
    c = constants_of(n, rng).balanced(weights, dt)
    spec = uncoupled(np.full(2 * n, 20) * ms, bias=0.0, synaptic_time_constant=5 * ms)
    arrays = {"pre": np.arange(n), "post": n + np.arange(n), "weights": weights, "plasticity": c}
    live = RecurrentNetwork(replace(spec, **arrays, dt=dt, refractory_period=0.0))
    drive = Drive(1e4 * (rng.random((steps, 2 * n)) < 0.1), dt)
    spikes = SpikeMonitor(live.neurons, record=False)
    live.network.add(spikes, drive_operation(live.neurons, drive))
    live.run(steps * dt * second)
    assert spikes.num_spikes == np.count_nonzero(drive.values)
    # Over what potentiation alone makes of it, to first order in the rates of learning (1e-5).
    area = 1 / -np.expm1(-dt / c.tau_plus)
    drift = (live.synapses.w_[:] - weights) / (0.01 * steps * area * c.eta_plus * (c.w_max - weights))
    error = drift.std(ddof=1) / np.sqrt(n)
    assert error < 0.02
    assert abs(drift.mean()) < 5 * error


def test_balance_keeps_the_rate_where_independent_rates_of_learning_raise_it():
    z = np.random.default_rng(1).standard_normal((40, 1))
    encoder = CurrentEncoder.draw(150, 1, scale=0.5, rng=np.random.default_rng(0))

    def learnt(depression):
        parameters = LIFParameters(depression=depression, dt=1 * ms)
        spec = HRSNN(150, 0.2, plastic=True, parameters=parameters, check_rate=False).spec
        return train_stdp(spec, encoder, z, sample_time=50 * ms, rng=np.random.default_rng(0))

    balanced, independent = learnt("balanced"), learnt("independent")
    assert balanced.rate_last / balanced.rate_first < 1.2
    assert independent.rate_last / independent.rate_first > 1.5
    assert balanced.mean_change < 0.3 < independent.mean_change


def test_the_graph_and_the_constants_stay():
    spec = HRSNN(60, 0.2, plastic=True, check_rate=False).spec
    encoder = CurrentEncoder.draw(60, 2, scale=0.5, rng=np.random.default_rng(0))
    fractions = []
    learnt = train_stdp(
        spec, encoder, np.ones((10, 2)), sample_time=20 * ms, rng=np.random.default_rng(0), report=fractions.append
    )
    assert (learnt.spec.weights != spec.weights).any()
    np.testing.assert_array_equal(learnt.spec.pre, spec.pre)
    np.testing.assert_array_equal(learnt.spec.plasticity.eta_minus, spec.plasticity.eta_minus)
    assert (learnt.spec.weights * spec.weights >= 0).all()
    assert fractions[-1] == 1
    assert "Hz" in repr(learnt)


def test_input_that_does_not_fit():
    def train(encoder, sample_time):
        train_stdp(pair(), encoder, np.zeros((9, 1)), sample_time=sample_time, rng=np.random.default_rng(0))

    with pytest.raises(InvalidInput, match="of 2 dimensions does not fit samples of 1"):
        train(CurrentEncoder(np.zeros((2, 2))), 10 * ms)
    with pytest.raises(InvalidInput, match="of 3 neurons does not fit 2"):
        train(CurrentEncoder(np.zeros((3, 1))), 10 * ms)
    with pytest.raises(InvalidInput, match="sample_time must be a whole number of steps"):
        train(CurrentEncoder(np.zeros((2, 1))), 10.03 * ms)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau_plus": np.array([0.02, 0.0])}, "tau_plus must be positive"),
        ({"tau_minus": np.array([0.02])}, r"tau_minus must have shape \(2,\)"),
        ({"eta_minus": np.array([0.5, 1.5])}, r"eta_minus must be in \[0, 1\], got 0.5..1.5"),
        ({"eta_plus": np.array([np.nan, 0.5])}, "eta_plus must be finite"),
        ({"w_min": 2.0}, r"w_max must be a number in \[2, inf\)"),
        ({"w_min": -1.0}, r"w_min must be a number in \[0, inf\)"),
    ],
)
def test_constants_of_plasticity_are_checked(change, message):
    given = {name: np.full(2, 0.02) for name in ("tau_plus", "tau_minus", "eta_plus", "eta_minus")}
    with pytest.raises(InvalidInput, match=message):
        STDP(**{**given, "w_min": 0.0, "w_max": 1.0, **change})
    spec = HRSNN(20, 0.2, check_rate=False).spec
    with pytest.raises(InvalidInput, match="plasticity is of 2 synapses"):
        replace(spec, plasticity=STDP(**given, w_min=0.0, w_max=1.0))


@pytest.mark.parametrize(
    ("change", "samples", "message"),
    [
        ({"plasticity": None}, 10, "no constants of plasticity; build the model with plastic=True"),
        ({"spike_timing": "precise"}, 10, "plastic synapses need spike_timing 'grid' or 'interpolated'"),
        ({}, 3, "at least five samples, got 3"),
    ],
)
def test_refusals(change, samples, message):
    with pytest.raises(InvalidInput, match=message):
        train_stdp(
            pair(**change),
            CurrentEncoder(np.zeros((2, 1))),
            np.zeros((samples, 1)),
            sample_time=10 * ms,
            rng=np.random.default_rng(0),
        )
