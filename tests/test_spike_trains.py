"""Exact spike trains against independent event-driven integrators, and what Brian2 makes of the same networks."""

import itertools
from dataclasses import replace

import brian2
import numpy as np
import pytest
from brian2 import ms, second
from event_driven import EventDrivenLIF, random_arrays
from event_spectrum import EventDrivenDelta

from lnpbrian.checks import InvalidInput
from lnpbrian.models import uncoupled
from lnpbrian.network.signals import SpikeTrain, noise_drive
from lnpbrian.network.simulate import ENGINES, exact_spike_train, precise_timing, simulate, simulated_spike_train
from lnpbrian.network.spec import NetworkSpec

brian2.prefs.codegen.target = "numpy"


def exponential(n=40, seed=1, *, gain=0.3, t_ref=2e-3, dt=1e-4, p=0.2, timing="grid"):
    arrays = random_arrays(n, p, seed, gain=gain)
    arrays["bias"] = arrays["bias"] + 0.1
    return NetworkSpec(
        model="random",
        **arrays,
        synaptic_time_constant=5e-3,
        refractory_period=t_ref,
        dt=dt,
        spike_timing=timing,
    )


def delta(n=20, seed=0, *, low=-0.3, high=0.0, t_ref=2e-3, p=0.3):
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random((n, n)) < p, rng.uniform(low, high, (n, n)), 0)
    np.fill_diagonal(weights, 0)
    post, pre = np.nonzero(weights)
    bias, tau, start = rng.uniform(1.1, 1.8, n), rng.uniform(8e-3, 30e-3, n), rng.uniform(0, 1, n)
    base = uncoupled(tau * second, bias=bias, synaptic_time_constant=0 * ms, refractory_period=t_ref * second)
    return replace(base, pre=pre, post=post, weights=weights[post, pre], initial_potential=start)


def reference_delta(spec):
    weights = np.zeros((spec.n_neurons, spec.n_neurons))
    weights[spec.post, spec.pre] = spec.weights
    return EventDrivenDelta(spec.time_constants, spec.refractory_period, spec.bias, weights)


def held(drive):
    return {} if drive is None else {"drive": drive.values, "hold": drive.hold}


# Both integrate exactly: rounding (1e-16 of the times, 0.4 s) grows by what the network amplifies, at most by some
# hundred in 0.4 s here (measured: 3e-14). Gain 1.5 with t_ref 0.3 ms makes neurons fire twice within a window.
@pytest.mark.parametrize("with_drive", [True, False])
@pytest.mark.parametrize(("gain", "t_ref"), [(0.3, 2e-3), (1.5, 2e-3), (1.5, 0.3e-3), (0.5, 0.0)])
def test_exponential_synapses(gain, t_ref, with_drive):
    spec = exponential(gain=gain, t_ref=t_ref)
    drive = noise_drive(40, duration=400 * ms, rng=np.random.default_rng(3)) if with_drive else None
    model = EventDrivenLIF.of_spec(spec)
    times, indices, _ = model.run(model.rest(spec.initial_potential), 0.4, **held(drive))
    train = exact_spike_train(spec, 0.4, drive=drive)
    assert train.indices.tolist() == indices.tolist()
    assert train.times == pytest.approx(times, abs=1e-12)
    assert (train.triggers == -1).all()


@pytest.mark.parametrize("with_drive", [True, False])
@pytest.mark.parametrize("high", [0.0, 0.3], ids=["inhibition", "excitation"])
@pytest.mark.parametrize("t_ref", [2e-3, 0.0])
def test_delta_synapses(t_ref, high, with_drive):
    spec = delta(t_ref=t_ref, high=high)
    drive = noise_drive(20, duration=300 * ms, rng=np.random.default_rng(3)) if with_drive else None
    model = reference_delta(spec)
    times, indices, _ = model.run(model.rest(spec.initial_potential), 0.4, **held(drive))
    train = exact_spike_train(spec, 0.4, drive=drive)
    assert train.indices.tolist() == indices.tolist()
    assert train.times == pytest.approx(times, abs=1e-12)
    triggered = np.flatnonzero(train.triggers >= 0)
    assert (triggered.size > 0) == (high > 0)
    # A triggered spike shares its instant with the one that triggered it, which crossed the threshold by itself.
    assert (train.times[triggered] == train.times[train.triggers[triggered]]).all()
    assert (train.triggers[train.triggers[triggered]] == -1).all()


def test_a_chain_of_jumps_fires_at_one_instant():
    # 0 fires at 10 ms ln(2/1) = 6.93 ms and lifts 1, which lifts 2; 3 is lifted but not enough.
    spec = replace(
        uncoupled([10 * ms] * 4, bias=[2, 0.5, 0.5, 0.5], synaptic_time_constant=0 * ms),
        pre=[0, 1, 0],
        post=[1, 2, 3],
        weights=[0.9, 0.8, 0.4],
    )
    train = exact_spike_train(spec, 9e-3)
    assert train.indices.tolist() == [0, 1, 2]
    assert train.times == pytest.approx([10e-3 * np.log(2)] * 3, abs=1e-15)
    assert train.triggers.tolist() == [-1, 0, 0]


@pytest.mark.parametrize("tau_syn", [0 * ms, 5 * ms])
def test_periodic_firing_and_silenced_neurons(tau_syn):
    spec = replace(uncoupled([10 * ms, 20 * ms, 7 * ms], bias=[1.5, 3, 2], synaptic_time_constant=tau_syn))
    spec = replace(spec, alive=[True, True, False])
    train = exact_spike_train(spec, 0.3)
    for i, (tau, b) in enumerate(((10e-3, 1.5), (20e-3, 3))):
        climb = tau * np.log(b / (b - 1))
        own = train.times[train.indices == i]
        assert own == pytest.approx(climb + (climb + 2e-3) * np.arange(own.size), abs=1e-14)
        assert own.size == int((0.3 - climb) / (climb + 2e-3)) + 1
    assert 2 not in train.indices


# Without missed crossings (the weak network follows the exact one spike by spike) times converge by second order: a
# factor of 4 by halving; between 2.5 and 6 allows for what happens to share a step.
def test_simulated_trains_converge_to_the_exact_one():
    spec = exponential(seed=3, gain=0.05, timing="precise")
    drive = noise_drive(40, duration=100 * ms, rng=np.random.default_rng(3))
    exact = exact_spike_train(spec, 0.1, drive=drive)
    order = np.lexsort((exact.times, exact.indices))
    errors = []
    for dt in (0.2e-3, 0.1e-3, 0.05e-3):
        train = simulated_spike_train(replace(spec, dt=dt), 0.1, drive=drive)
        own = np.lexsort((train.times, train.indices))
        assert train.indices[own].tolist() == exact.indices[order].tolist()
        errors.append(np.abs(train.times[own] - exact.times[order]).mean())
    assert (np.diff(train.times) >= 0).all()
    for coarse, fine in itertools.pairwise(errors):
        assert 2.5 < coarse / fine < 6


def test_precise_timing():
    spec = exponential(t_ref=0.7e-3, dt=1e-3)
    assert precise_timing(spec).dt == 0.1e-3
    assert precise_timing(spec).spike_timing == "precise"
    # 5 ms in whole steps of at most 0.07 ms.
    fast = precise_timing(exponential(t_ref=0.14e-3), noise_drive(40, duration=10 * ms, rng=np.random.default_rng(0)))
    assert fast.dt == pytest.approx(5e-3 / 72, rel=1e-12)
    with pytest.raises(InvalidInput, match="refractory period above 0"):
        precise_timing(exponential(t_ref=0.0))
    with pytest.raises(InvalidInput, match="exponential synapses"):
        precise_timing(delta())


def test_progress_and_repr():
    seen = []
    exact_spike_train(exponential(n=10), 0.02, report=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert repr(SpikeTrain(np.zeros(3, int), np.zeros(3), 2, 0.5)) == "SpikeTrain(3 spikes of 2 neurons in 0.5 s)"


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_network_or_drive_is_refused(engine):
    with pytest.raises(InvalidInput, match="spec must be a NetworkSpec, got NeuronGroup; use the spec of a model"):
        simulate(brian2.NeuronGroup(1, "v : 1"), 10 * ms, engine=engine)
    with pytest.raises(InvalidInput, match="drive must be a Drive, got ndarray; use noise_drive"):
        simulate(uncoupled([20] * ms, bias=2.0), 10 * ms, drive=np.zeros(3), engine=engine)
