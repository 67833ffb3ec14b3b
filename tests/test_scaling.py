"""Synapses whose weight is a constant in their code, rescaled; rates that pruning brings back; linear responses."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, PoissonInput, SpikeMonitor, Synapses, ms, mV, prefs, seed
from numpy.testing import assert_allclose, assert_array_equal

from lnpbrian import InvalidInput, LiveNetwork, PruneOptions, prune
from lnpbrian.models import HRSNN, LIFParameters, uncoupled
from lnpbrian.network.brian2_internals import SCALE, Scalable, StoredState, commit
from lnpbrian.network.probing import linear_response
from lnpbrian.network.response import at_rates, lif_gain, lif_rate, slow_response
from lnpbrian.network.signals import Drive
from lnpbrian.network.simulate import simulated_spike_train
from lnpbrian.network.structure import remove_synapses
from lnpbrian.pruning import NoisePruning
from lnpbrian.pruning.prunable import _root

QUICK = PruneOptions(0.8, 0, iterations=2, realisations=1, observation=300 * ms, exponent_duration=40 * ms)


def excited_and_inhibited(n=200, weight="0.25*mV", inhibition="1.2*mV", add="v += {}", subtract="v -= {}"):
    """Return a network of two kinds of synapses whose weights are constants, driven by Poisson spikes."""
    seed(7)
    cells = NeuronGroup(
        n,
        "dv/dt = (14*mV - v)/(20*ms) : volt (unless refractory)",
        threshold="v > 15*mV",
        reset="v = 5*mV",
        refractory=2 * ms,
        method="exact",
        name="cells",
    )
    cells.v = "rand()*15*mV"
    most = round(0.8 * n)
    up = Synapses(cells[:most], cells, on_pre=add.format(weight), name="up")
    down = Synapses(cells[most:], cells, on_pre=subtract.format(inhibition), name="down")
    up.connect(p=0.2)
    down.connect(p=0.2)
    noise = PoissonInput(cells, "v", 20, 50 * Hz, weight=0.3 * mV)
    monitor = SpikeMonitor(cells, name="monitor")
    return Network(cells, up, down, noise, monitor)


@pytest.mark.parametrize("target", ["numpy", "cython"])
def test_a_factor_is_another_constant(target):
    """Twice the factor fires as twice the constant, bit for bit; factors of 1 as none."""
    spikes = []
    before = prefs.codegen.target
    prefs.codegen.target = target
    try:
        for factor, weight in ((None, "0.25*mV"), (1.0, "0.25*mV"), (None, "0.5*mV"), (2.0, "0.25*mV")):
            network = excited_and_inhibited(weight=weight)
            if factor is not None:
                commit([Scalable(network["up"], "v")])
                network["up"].variables[SCALE].get_value()[:] = factor
            network.run(200 * ms)
            spikes.append((np.array(network["monitor"].t), np.array(network["monitor"].i)))
    finally:
        prefs.codegen.target = before
    assert spikes[0][0].size > 100
    for a, b in ((0, 1), (2, 3)):
        assert_array_equal(spikes[a][0], spikes[b][0])
        assert_array_equal(spikes[a][1], spikes[b][1])
    assert spikes[0][0].size != spikes[2][0].size


def test_factors_go_with_their_synapses_and_with_restored_states():
    network = excited_and_inhibited()
    up = network["up"]
    network.store("before")
    size = len(up)
    commit([Scalable(up, "v")])
    up.variables[SCALE].get_value()[:] = np.arange(size)
    state = StoredState(network)
    remove_synapses(up, keep=np.arange(size) % 3 == 0)
    assert_array_equal(up.variables[SCALE].get_value(), np.arange(size)[::3])
    network.run(5 * ms)
    state.restore()
    assert_array_equal(up.variables[SCALE].get_value(), np.arange(size))
    network.restore("before")
    assert_array_equal(up.variables[SCALE].get_value(), np.ones(size))
    network.run(5 * ms)


def test_undone_it_is_as_it_was():
    network = excited_and_inhibited()
    up = network["up"]
    code, names = up.pre.code, set(up.variables)
    edit = Scalable(up, "v")
    edit.do()
    assert up.pre.code != code
    edit.undo()
    edit.undo()
    assert up.pre.code == code
    assert set(up.variables) == names
    network.run(5 * ms)


def test_weights_of_constants_are_read_and_set():
    network = excited_and_inhibited()
    live = LiveNetwork(network, namespace={})
    assert live.weights_can_be_set() == ""
    weights = live.weights()
    down, up = network["down"], network["up"]
    assert_allclose(np.unique(weights), [-1.2e-3, 0.25e-3], rtol=1e-12)
    live.set_weights(weights)
    assert SCALE not in up.variables  # nothing to do
    live.set_weights(np.where(weights > 0, 2 * weights, weights))
    assert_allclose(live.weights()[weights > 0], 0.5e-3, rtol=1e-12)
    assert_array_equal(up.variables[SCALE].get_value(), np.full(len(up), 2.0))
    assert SCALE not in down.variables
    assert_allclose(LiveNetwork(network, namespace={}).weights()[weights > 0], 2.0)  # the factor is a weight by itself


def test_what_cannot_be_scaled_says_so_and_is_pruned_as_it_is():
    network = excited_and_inhibited(add="v = v + {}")
    live = LiveNetwork(network, namespace={})
    assert live.weights_can_be_set() == (
        "the weight of 'up' is 250. uV, one for all: no statement of 'up' adds to 'v' with +="
    )
    with pytest.raises(InvalidInput, match="one for all: no statement of 'up' adds to 'v'"):
        prune(live, (NoisePruning(rescale="homeostatic"),), options=QUICK)
    result = prune(live, ("I",), options=replace(QUICK, rates=(0, 1e4)))
    assert "weights are not rescaled: the weight of 'up' is" in result.history[-1].status[-1]
    assert result.history[0].spectral_radius is None


def test_own_networks_keep_their_rates():
    """Without rescaling the same network fires half as much again."""
    rates = {}
    for how in ("none", "variance"):
        result = prune(
            LiveNetwork(excited_and_inhibited(weight="0.4*mV", inhibition="3*mV"), namespace={}),
            (NoisePruning(rescale=how),),
            options=replace(QUICK, rates=(0, 1e4)),
        )
        first, last = result.history[0], result.history[-1]
        assert last.synapses == round(0.2 * first.synapses)
        rates[how] = last.mean_rate_hz / first.mean_rate_hz
    assert abs(rates["variance"] - 1) < 0.1
    assert abs(rates["none"] - 1) > 0.3


def test_a_failed_run_leaves_the_weights():
    network = excited_and_inhibited()
    live = LiveNetwork(network, namespace={})
    weights, calls = live.weights(), []

    def stop(now):
        calls.append(now)
        if now.iteration == 1 and now.step == "exponents":
            raise RuntimeError

    with pytest.raises(RuntimeError):
        prune(live, ("I",), options=QUICK, report=stop)
    assert calls
    assert_array_equal(live.weights(), weights)


def test_pruning_is_applied_again_to_constants():
    network = excited_and_inhibited()
    network.store()
    result = prune(LiveNetwork(network, namespace={}), ("I",), options=replace(QUICK, rates=(0, 1e4)))
    weights = result.live.weights()
    assert len(np.unique(weights)) > 2
    with pytest.warns(UserWarning, match="restore"):
        network.restore()
    assert len(np.unique(result.live.weights())) == 2
    result.reapply()
    assert_allclose(result.live.weights(), weights, rtol=1e-12)


@pytest.mark.parametrize("zero", [0.0, 0.3, -0.42, 1.9])
def test_root_of_a_falling_function(zero):
    tried = []

    def excess(x):
        tried.append(x)
        return 2 * (zero - x)

    x, left = _root(excess)
    assert abs(left) <= 0.04
    assert abs(x - zero) <= 0.02 + 1e-9
    assert len(tried) <= 9


def test_the_best_is_taken_where_there_is_no_root():
    x, left = _root(lambda x: 0.5 + 0.1 * np.exp(-x))
    assert left == pytest.approx(0.5 + 0.1 * np.exp(-x))
    assert x > 0


# ---------------------------------------------------------------------------------------------------------------------
# Linear response


def test_gain_is_the_slope_of_the_rate():
    current, tau = np.linspace(1.2, 3, 7), 0.02
    step = 1e-6
    ends = [lif_rate(current + d, time_constants=tau, refractory_period=0.003) for d in (-step, step)]
    slope = (ends[1] - ends[0]) / (2 * step)
    assert_allclose(lif_gain(current, time_constants=tau, refractory_period=0.003, spread=1e-3), slope, rtol=1e-3)


def test_measured_gain_does_not_see_the_network():
    """Two neurons that excite each other strongly have the gains of single ones at their total input."""
    alone = uncoupled([20, 20] * ms, bias=[1.5, 1.6], synaptic_time_constant=100 * ms, dt=0.1 * ms)
    pair = replace(alone, pre=[0, 1], post=[1, 0], weights=[0.02, 0.02])
    found = linear_response(pair, duration=20 * 1000 * ms, transient=2000 * ms)
    level = pair.bias + pair.mean_input(found.rates)
    rate = lif_rate(level, time_constants=0.02, refractory_period=pair.refractory_period)
    assert_allclose(found.rates, rate, rtol=0.03)
    gains = lif_gain(level, time_constants=0.02, refractory_period=pair.refractory_period, spread=0.05)
    assert_allclose(found.gains, gains, rtol=0.05)
    assert_allclose(found.couplings, 0.1 * 0.02 * found.gains[::-1], rtol=1e-12)
    assert found.spectral_radius == pytest.approx(np.sqrt(np.prod(found.couplings)), rel=1e-9)


def test_response_predicts_the_change_of_rates():
    """A small step of bias of all neurons: (1 - J)^-1 gains, which is far from gains alone."""
    parameters = replace(LIFParameters.recurrent(), spectral_radius=0.6)
    spec = HRSNN(200, 0.1, parameters=parameters, check_rate=False, seed=3).spec
    drive = Drive(np.zeros((1, 200)), 1.0)
    found = linear_response(spec, drive, duration=10 * 1000 * ms, transient=2000 * ms)
    rng = np.random.default_rng(0)
    step = 0.02 * rng.choice([-1.0, 1.0], 200)

    def rates(sign):
        moved = replace(spec, bias=spec.bias + sign * step)
        return simulated_spike_train(moved, 22.0, drive=drive).after(2.0).rates

    measured = (rates(1) - rates(-1)) / 2
    predicted = np.linalg.solve(np.eye(200) - found.matrix.toarray(), found.gains * step)
    naive = found.gains * step
    assert np.corrcoef(measured, predicted)[0, 1] > 0.97
    assert np.mean((measured - predicted) ** 2) < 0.5 * np.mean((measured - naive) ** 2)


def test_recurrent_networks_are_where_they_are_said_to_be():
    for seed_ in range(3):
        spec = HRSNN(300, 0.1, parameters=LIFParameters.recurrent(), check_rate=False, seed=seed_).spec
        assert slow_response(spec, rates=_drawn_rates(spec, seed_)).spectral_radius == pytest.approx(1.0, rel=1e-6)


def _drawn_rates(spec, seed_):
    """Return the rates at the drive that was drawn, before it was centred."""
    drawn = HRSNN(
        300, 0.1, parameters=replace(LIFParameters.recurrent(), centred=False), check_rate=False, seed=seed_
    ).spec
    return lif_rate(drawn.bias, time_constants=spec.time_constants, refractory_period=spec.refractory_period)


def test_other_time_constants_at_the_same_rates():
    spec = HRSNN(100, 0.2, parameters=LIFParameters.recurrent(), check_rate=False, seed=1).spec
    before = simulated_spike_train(spec, 6.0).after(1.0).rates
    slow = replace(spec, time_constants=1.5 * spec.time_constants)
    after = [
        simulated_spike_train(s, 6.0).after(1.0).rates for s in (slow, at_rates(slow, before, spec.time_constants))
    ]
    assert abs(after[0].mean() / before.mean() - 1) > 0.15
    assert abs(after[1].mean() / before.mean() - 1) < 0.03


@pytest.mark.parametrize("how", ["spectral", "variance"])
def test_pruning_keeps_rate_and_radius(how):
    """At a tenth of the synapses; left alone, the radius falls to about a third."""
    parameters, options = LIFParameters.recurrent(), PruneOptions(0.9, 0, iterations=4)
    found = {}
    for rescale in (how, "none"):
        model = HRSNN(400, 0.1, parameters=parameters, check_rate=False, seed=12)
        history = prune(model, (NoisePruning(rescale=rescale),), options=options).history
        first, last = history[0], history[-1]
        assert abs(last.mean_rate_hz / first.mean_rate_hz - 1) < 0.05
        found[rescale] = last.spectral_radius / first.spectral_radius
    assert abs(found[how] - 1) < {"spectral": 0.1, "variance": 0.2}[how]
    assert found["none"] < 0.6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: slow_response(model), "spec must be a NetworkSpec, got HRSNN; give the spec of a model"),
        (lambda model: slow_response(model.spec, rates=[1.0]), r"rates must have shape \(20,\), got \(1,\)"),
        (lambda model: linear_response(model, 3), "drive must be a Drive, got int"),
        (lambda model: linear_response(model, probe=0), r"probe must be a number in \(0, inf\), got 0"),
        (lambda model: lif_rate("fast", time_constants=0.02, refractory_period=0.002), "mean_input must be"),
        (lambda model: at_rates(model.spec, [1.0], model.time_constants), r"rates must have shape \(20,\)"),
    ],
)
def test_responses_refuse_what_they_cannot_use(call, message):
    with pytest.raises(InvalidInput, match=message):
        call(HRSNN(20, 0.3, check_rate=False))
