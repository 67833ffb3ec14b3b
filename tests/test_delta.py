"""Delta synapses: a spike moves the potential of its targets at once, unless they are held."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import SpikeMonitor, StateMonitor, ms
from numpy.testing import assert_allclose, assert_array_equal

from lnpbrian import cli
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.encoding import PoissonEncoder
from lnpbrian.lyapunov.twins import block_twin_exponents
from lnpbrian.models import CHRSNN, HRSNN, MRSNN, uncoupled
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.simulate import observe
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import BetweennessPruning, NoisePruning

DELTA = LIFParameters(synaptic_time_constant=0 * ms)
DT = 0.5e-3


def small(n=80, p=0.2, **options):
    return HRSNN(n, p, parameters=DELTA, check_rate=False, **options)


def connected(taus, pre, post, weights, **changes):
    """Neurons with the time constants `taus` in ms, at rest and without bias, and the synapses given."""
    spec = uncoupled([tau * ms for tau in taus], bias=0, synaptic_time_constant=0 * ms)
    return replace(spec, pre=pre, post=post, weights=weights, **changes)


def step(live, fire=(), steps=1):
    """Run whole steps; the neurons `fire` cross the threshold in the first of them."""
    for neuron in fire:
        live.neurons.v[neuron] = 5
    live.run(steps * DT * 1000 * ms)


# --- one spike -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delayed", [0, 7])
def test_a_spike_moves_the_potential_and_the_membrane_forgets_it(delayed):
    taus = np.array([20, 10, 35])
    delays = None if not delayed else np.full(2, delayed * DT)
    live = RecurrentNetwork(connected(taus, [0, 0], [1, 2], [0.3, -0.7], delays=delays))
    # Values at the start of steps: step k begins at k dt, the jump comes at the end of step `delayed`.
    monitor = StateMonitor(live.neurons, "v", record=[1, 2], when="start")
    live.network.add(monitor)
    step(live, fire=[0], steps=60)
    since = np.arange(60) - 1 - delayed
    decayed = np.exp(-since * DT / (1e-3 * taus[1:, np.newaxis]))
    expected = np.where(since >= 0, np.array([[0.3], [-0.7]]) * decayed, 0)
    # Rounding of at most 60 multiplications by exp(-dt/tau).
    assert_allclose(monitor.v[:], expected, rtol=1e-13, atol=0)


def test_spikes_of_one_step_add_up():
    live = RecurrentNetwork(connected([20, 20, 20, 20], [0, 1, 2], [3, 3, 3], [0.3, -0.1, 0.15]))
    step(live, fire=[0, 1, 2])
    assert live.neurons.v[3] == pytest.approx(0.35, rel=1e-15)


# Brian2 holds a neuron in the step of its spike and in those that begin less than t_ref = 2 ms = 4 dt after it began.
@pytest.mark.parametrize(("steps_after", "felt"), [(0, 0), (1, 0), (3, 0), (4, 0.3), (5, 0.3)])
def test_a_held_target_ignores_the_jump(steps_after, felt):
    live = RecurrentNetwork(connected([20, 20], [0], [1], [0.3]))
    if steps_after:
        step(live, fire=[1], steps=steps_after)
        step(live, fire=[0])
    else:
        step(live, fire=[0, 1])
    assert live.neurons.v[1] == felt


# From v = 0.9 at the jump: 0.9 + 0.5 decays to 1.37 in a step, 1.01 falls back to 0.985 before it is looked at.
@pytest.mark.parametrize(("jump", "steps"), [(0.5, [0, 1]), (0.11, [0])])
def test_a_jump_over_the_threshold_makes_a_spike_in_the_next_step(jump, steps):
    live = RecurrentNetwork(connected([20, 20], [0], [1], [jump]))
    live.neurons.v[1] = 0.9 * np.exp(DT / 20e-3)
    monitor = SpikeMonitor(live.neurons)
    live.network.add(monitor)
    step(live, fire=[0], steps=20)
    assert_array_equal(np.round(monitor.t_[:] / DT), steps)
    assert_array_equal(monitor.i[:], [0, 1][: len(steps)])


def test_a_silenced_neuron_stays_silent():
    live = RecurrentNetwork(connected([20, 20], [0], [1], [3.0], alive=[True, False]))
    monitor = SpikeMonitor(live.neurons)
    live.network.add(monitor)
    step(live, fire=[0], steps=10)
    assert_array_equal(monitor.i[:], [0])


def test_plastic_delta_synapses_by_hand():
    # As for exponential synapses, one pre spike 10 ms before one post spike; here the pre spike also moves v.
    spec = small(20, 0.3, plastic=True).spec
    spec = replace(spec, bias=np.zeros(20), initial_potential=np.zeros(20))
    live = RecurrentNetwork(spec)
    synapse = int(np.flatnonzero(spec.excitatory[spec.pre])[0])
    pre, post, w = int(spec.pre[synapse]), int(spec.post[synapse]), spec.weights[synapse]
    step(live, fire=[pre])
    assert live.neurons.v[post] == w
    step(live, steps=19)
    assert live.neurons.v[post] == pytest.approx(w * np.exp(-19 * DT / spec.time_constants[post]), rel=1e-13)
    step(live, fire=[post])
    stdp = spec.plasticity
    expected = w + stdp.eta_plus[synapse] * (stdp.w_max - w) * np.exp(-10e-3 / stdp.tau_plus[synapse])
    assert live.synapses.w_[synapse] == pytest.approx(expected, rel=1e-12)


def test_input_spikes_are_delta_synapses_too():
    spec = uncoupled([20 * ms, 50 * ms], bias=0, synaptic_time_constant=0 * ms)
    encoder = PoissonEncoder(
        n_neurons=2,
        fields=np.zeros((2, 1)),
        base_rate=100.0,
        channel=np.array([0, 1]),
        neuron=np.array([0, 1]),
        weights=np.array([0.02, -0.3]),
    )
    live = RecurrentNetwork(spec)
    source = encoder.attach(live, rngs=[np.random.default_rng(0)], duration=0.2)
    channels, _ = source.objects
    monitor = SpikeMonitor(channels)
    live.network.add(*source.objects, monitor)
    source.write(np.zeros((1, 1)))
    live.run(200 * ms)
    age = 0.2 - DT - monitor.t_[:]
    decayed = np.array([0.02, -0.3])[monitor.i[:]] * np.exp(-age / spec.time_constants[monitor.i[:]])
    assert monitor.count[:].min() > 5
    assert_allclose(live.neurons.v[:], np.bincount(monitor.i[:], decayed, minlength=2), rtol=1e-11)


# --- networks --------------------------------------------------------------------------------------------------------


def test_weights_are_the_limit_of_short_synapses():
    short = HRSNN(60, 0.2, parameters=LIFParameters(synaptic_time_constant=1e-3 * ms), check_rate=False).spec
    # A current that jumps by w and decays brings w tau_syn, and so moves a membrane of 20 ms by w tau_syn/(20 ms).
    assert_allclose(small(60, 0.2).spec.weights, short.weights * 1e-6 / 20e-3, rtol=1e-12)


@pytest.mark.parametrize("build", [HRSNN, CHRSNN])
def test_models_are_active_with_the_default_bias_and_gain(build):
    # The builder itself refuses rates outside 5..50 Hz; across seeds and sizes they are 25..41 Hz.
    assert 5 < build(200, 0.1, parameters=DELTA).mean_rate < 50


@pytest.mark.parametrize("plastic", [False, True])
def test_spec_and_file_rebuild_the_network_exactly(tmp_path, plastic):
    spec = replace(small(plastic=plastic).spec, synaptic_time_constant=0)
    spec = replace(spec, delays=np.random.default_rng(0).integers(0, 5, spec.n_synapses) * DT)
    spec.save(tmp_path / "network.npz")
    loaded = NetworkSpec.load(tmp_path / "network.npz")
    assert loaded.has_delta_synapses
    drive = noise_drive(80, duration=100 * ms, rng=np.random.default_rng(0))
    a, b, c = (RecurrentNetwork(s) for s in (spec, loaded, RecurrentNetwork(loaded).spec))
    first = observe(a, 100 * ms, drive=drive)
    assert first.indices.size > 50
    for other in (b, c):
        again = observe(other, 100 * ms, drive=drive)
        assert_array_equal(first.indices, again.indices)
        assert_array_equal(first.times, again.times)
        assert_array_equal(a.spec.weights, other.spec.weights)


def test_no_time_constant_is_singular():
    with np.errstate(divide="raise"):
        spec = MRSNN(20, 0.5, time_constant=10 * ms, parameters=DELTA, check_rate=False).spec
    assert spec.has_delta_synapses
    assert not uncoupled([20 * ms]).has_delta_synapses


def test_info_says_so(tmp_path, capsys):
    for name, spec in (("delta", small(30).spec), ("exponential", uncoupled([20 * ms]))):
        spec.save(tmp_path / f"{name}.npz")
        with pytest.raises(SystemExit) as end:
            cli.main(["info", str(tmp_path / f"{name}.npz")])
        assert end.value.code == 0
        assert ("delta synapses" in capsys.readouterr().out) == (name == "delta")


@pytest.mark.parametrize("timing", ["interpolated", "precise"])
def test_off_the_grid_is_refused(timing):
    message = f"^{timing} spikes need exponential synapses; use spike_timing='grid' with synaptic_time_constant = 0$"
    for call in (
        lambda: uncoupled([20 * ms], synaptic_time_constant=0 * ms).with_timing(timing),
        lambda: LIFParameters(synaptic_time_constant=0 * ms, spike_timing=timing),
    ):
        with pytest.raises(InvalidInput, match=message):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: uncoupled([20 * ms], synaptic_time_constant=-1 * ms), r"synaptic_time_constant.*\[0, inf\)"),
        (lambda: LIFParameters(synaptic_time_constant=-1 * ms), r"synaptic_time_constant.*\[0, inf\)"),
        (lambda: replace(uncoupled([20 * ms]), synaptic_time_constant=-1e-3), "synaptic_time_constant"),
        (lambda: replace(uncoupled([20 * ms]), synaptic_time_constant=20e-3), "singular"),
        (lambda: LIFParameters(synaptic_time_constant=0), "must be a time such as 20"),
    ],
)
def test_bad_time_constants(call, message):
    with pytest.raises(InvalidInput, match=message) as error:
        call()
    assert "\n" not in str(error.value)


# --- exponents and pruning -------------------------------------------------------------------------------------------


def test_below_threshold_the_exponent_is_that_of_the_membrane():
    # Neuron 0 fires and moves the others; both twins get the same jumps, so that their difference only decays.
    spec = connected([20, 10, 40], [0, 0], [1, 2], [0.1, -0.2], bias=[2.0, 0.5, 0.5])
    twins = block_twin_exponents(spec, rng=np.random.default_rng(0))
    assert twins.rates[0] > 40
    # A difference of 1e-8 is known to 1e-16/1e-8, smaller by e^2 at the end of 20 ms: 1e-7/20 ms = 5e-6/s.
    assert_allclose(twins.per_neuron[1:], [-100, -25], atol=1e-5, rtol=0)


QUICK = PruneOptions(
    synapse_sparsity=0.9,
    neuron_sparsity=0.3,
    iterations=2,
    observation=200 * ms,
    exponent_duration=60 * ms,
    realisations=2,
    rates=(0, 500),
)


@pytest.mark.parametrize("plastic", [False, True])
def test_pruning_removes_what_it_was_asked_to(plastic):
    live = small(plastic=plastic)
    before = len(live.synapses)
    result = prune(live, ("I", "II"), options=QUICK)
    assert result.history[-1].neurons == 56
    # The count is drawn: sqrt(sum p (1 - p)) is at most the root of the number kept.
    assert abs(len(live.synapses) - 0.1 * before) < 5 * np.sqrt(0.1 * before)
    assert live.spec.has_delta_synapses
    assert result.history[-1].mean_rate_hz > 0


def test_compensated_bias_keeps_the_mean_input():
    live = small()
    before = live.spec
    noise = NoisePruning(rescale="none", excitability="compensate")
    result = prune(live, (noise,), options=replace(QUICK, neuron_sparsity=0, iterations=1))
    after, rates = live.spec, result.rates_before

    def mean_input(spec):
        # The mean of dv/dt = (b - v)/tau + sum_j w_j sum_k delta(t - t_jk), multiplied by tau.
        return spec.bias + spec.time_constants * np.bincount(spec.post, spec.weights * rates[spec.pre], minlength=80)

    assert np.abs(after.bias - before.bias).max() > 0.01
    assert_allclose(mean_input(after), mean_input(before), atol=1e-12)


def test_compensation_goes_on_with_the_survivors():
    # From the second iteration on there are fewer neurons than the network was built with.
    live = small()
    noise = NoisePruning(rescale="none", excitability="compensate")
    prune(live, (noise, BetweennessPruning()), options=QUICK)
    assert live.neurons.I_bias_[:][~live.alive].tolist() == [0.0] * 24
