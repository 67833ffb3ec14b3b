"""Other ways to a small network: exact sizes, order of removal by hand, the mean input that a bias makes up for."""

from dataclasses import fields, replace

import numpy as np
import pytest
from brian2 import ms, second
from hypothesis import given, settings
from hypothesis import strategies as st

from lnpbrian.checks import InvalidInput
from lnpbrian.models import HRSNN
from lnpbrian.models import uncoupled as neurons_with
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.simulate import observe
from lnpbrian.network.spec import mean_input
from lnpbrian.pruning.controls import (
    activity_pruning,
    iterative_magnitude_pruning,
    magnitude_pruning,
    random_network,
    silence,
)

FULL = HRSNN(60, 0.3, plastic=True, check_rate=False).spec
SYNAPTIC = {"pre", "post", "weights", *(f"stdp_{f.name}" for f in fields(FULL.plasticity))}
RATES = np.random.default_rng(7).uniform(1, 30, 60)


def network(edges, weights, n):
    """Return n equal neurons with the synapses `edges`, pairs of (pre, post)."""
    spec = neurons_with(np.full(n, 20) * ms)
    pre, post = (np.array(ends, dtype=int) for ends in (zip(*edges, strict=True) if edges else ((), ())))
    return replace(spec, pre=pre, post=post, weights=np.array(weights, dtype=float))


def pairs(spec):
    return list(zip(spec.pre.tolist(), spec.post.tolist(), strict=True))


def same(a, b, leave_out=()):
    x, y = a.to_arrays(), b.to_arrays()
    return x.keys() == y.keys() and all(np.array_equal(x[name], y[name]) for name in x if name not in leave_out)


def untrained(spec):
    return spec


# ------------------------------------------------------------------------------------------------- silent neurons


def test_silenced_neurons_keep_their_number_and_lose_their_synapses():
    gone = [3, 17, 41]
    mask = np.isin(np.arange(60), gone)
    spec = silence(FULL, gone)
    assert same(spec, silence(FULL, mask))
    assert np.flatnonzero(~spec.alive).tolist() == gone
    assert pairs(spec) == [(i, j) for i, j in pairs(FULL) if i not in gone and j not in gone]
    # Seen without the silent neurons it is the network without them.
    assert same(spec.compacted(), FULL.of_neurons(~mask))
    assert same(silence(spec, [5]), silence(FULL, [*gone, 5]))
    assert same(silence(FULL, []), FULL)


@pytest.mark.parametrize("neurons", [[60], [-1], [0.5], np.ones(59, dtype=bool)], ids=["60", "-1", "half", "59"])
def test_what_silences_no_neuron_is_refused(neurons):
    with pytest.raises(InvalidInput, match=r"^neurons must [^\n]+$"):
        silence(FULL, neurons)


def test_uncoupled_neurons_are_the_same_neurons():
    spec = FULL.uncoupled()
    assert spec.n_synapses == 0
    assert same(spec, FULL, leave_out=SYNAPTIC)


def test_uncoupled_neurons_may_keep_their_mean_input():
    rates = np.random.default_rng(0).uniform(0, 50, FULL.n_neurons)
    spec = FULL.uncoupled(rates)
    lost = np.zeros(FULL.n_neurons)
    for pre, post, weight in zip(FULL.pre, FULL.post, FULL.weights, strict=True):
        lost[post] += weight * FULL.synaptic_time_constant * rates[pre]
    np.testing.assert_allclose(spec.bias, FULL.bias + lost)
    assert same(spec, FULL, leave_out=(*SYNAPTIC, "bias"))


# -------------------------------------------------------------------------------------------------- random networks


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.floats(0, 1), st.integers(0, 2**32))
def test_random_network_has_the_sizes_that_were_asked_for(n, density, seed):
    m = round(density * n * (n - 1))
    spec = random_network(FULL, n_neurons=n, n_synapses=m, rng=np.random.default_rng(seed))
    assert (spec.n_neurons, spec.n_alive, spec.n_synapses) == (60, n, m)
    assert len(set(pairs(spec))) == m
    assert not (spec.pre == spec.post).any()
    assert spec.alive[spec.pre].all()
    assert spec.alive[spec.post].all()
    # 48 of the 60 neurons are excitatory.
    assert abs(spec.excitatory[spec.alive].sum() - 0.8 * n) <= 0.5
    assert ((spec.weights > 0) == spec.excitatory[spec.pre]).all()
    # A weight comes with the constants of plasticity of its synapse.
    known = set(zip(FULL.weights.tolist(), FULL.plasticity.tau_plus.tolist(), strict=True))
    assert set(zip(spec.weights.tolist(), spec.plasticity.tau_plus.tolist(), strict=True)) <= known
    assert same(spec, FULL, leave_out={"alive", *SYNAPTIC})


def test_random_synapses_and_weights_are_uniform():
    draws, n, m = 3000, 6, 12
    full = network([(i, j) for i in range(n) for j in range(n) if i != j], np.arange(1, 31), n)
    rng = np.random.default_rng(0)
    connected, weights = np.zeros((n, n)), np.zeros(30)
    for _ in range(draws):
        spec = random_network(full, n_neurons=n, n_synapses=m, rng=rng)
        connected[spec.pre, spec.post] += 1
        weights += np.bincount(spec.weights.astype(int) - 1, minlength=30)
    # Each of the 30 pairs is chosen with probability 12/30, and each of 36,000 weights is one of 30; 5 standard errors.
    off = connected[~np.eye(n, dtype=bool)] / draws
    assert np.abs(off - 0.4).max() < 5 * np.sqrt(0.4 * 0.6 / draws)
    assert np.abs(weights / (draws * m) - 1 / 30).max() < 5 * np.sqrt(29 / 30**2 / (draws * m))


def test_random_network_is_made_of_survivors_and_repeats():
    pruned = silence(FULL, np.arange(0, 60, 3))
    made = [random_network(pruned, n_neurons=20, n_synapses=50, rng=np.random.default_rng(4)) for _ in range(2)]
    assert same(*made)
    assert not made[0].alive[::3].any()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((61, 10), "n_neurons must be at most 60"),
        ((0, 0), "n_neurons must be a whole number of at least 1"),
        ((5, 21), "n_synapses must be at most 20"),
    ],
)
def test_random_networks_that_do_not_exist_are_refused(sizes, message):
    with pytest.raises(InvalidInput, match=rf"^{message}[^\n]+$"):
        random_network(FULL, n_neurons=sizes[0], n_synapses=sizes[1], rng=np.random.default_rng(0))


def test_weights_that_no_synapse_has_are_not_invented():
    # Both synapses of the full network come from excitatory neurons, neuron 2 is inhibitory.
    full = replace(network([(0, 1), (1, 0)], [1, 1], 3), excitatory=np.array([True, True, False]))
    with pytest.raises(InvalidInput, match=r"^the network has no synapse of one sign[^\n]+$"):
        random_network(full, n_neurons=3, n_synapses=6, rng=np.random.default_rng(0))


@pytest.mark.parametrize("rates", [np.ones(59), np.full(60, -1.0)], ids=["59", "negative"])
def test_rates_of_other_neurons_are_refused(rates):
    with pytest.raises(InvalidInput, match=r"^rates must [^\n]+$"):
        magnitude_pruning(FULL, n_neurons=60, n_synapses=10, rates=rates)


# ---------------------------------------------------------------------------------------------------- by magnitude


def test_magnitude_pruning_by_hand():
    #  Sums of |w|: neuron 0: 9 + 1, neuron 1: 9 + 2 + 4, neuron 2: 2 + 1 + 3, neuron 3: 4 + 3.
    full = network([(0, 1), (1, 2), (2, 0), (3, 1), (2, 3)], [9, -2, 1, -4, 3], 4)
    spec = magnitude_pruning(full, n_neurons=3, n_synapses=2)
    assert spec.alive.tolist() == [True, True, False, True]
    assert pairs(spec) == [(0, 1), (3, 1)]
    assert spec.weights.tolist() == [9, -4]
    assert pairs(magnitude_pruning(full, n_neurons=4, n_synapses=3)) == [(0, 1), (3, 1), (2, 3)]
    with pytest.raises(InvalidInput, match=r"^the 3 neurons that are kept have 2 synapses[^\n]+, not 3[^\n]+$"):
        magnitude_pruning(full, n_neurons=3, n_synapses=3)


def test_of_equal_neurons_the_one_with_fewer_synapses_goes_and_then_the_first():
    # All neurons have sums of |w| of 4; neurons 0 and 1 have two synapses, neurons 2 and 3 one.
    full = network([(0, 1), (1, 0), (2, 3)], [2, 2, 4], 4)
    survivors = [magnitude_pruning(full, n_neurons=n, n_synapses=0).alive for n in (3, 2, 1)]
    assert [np.flatnonzero(alive).tolist() for alive in survivors] == [[0, 1, 3], [0, 1], [1]]


def test_magnitude_pruning_in_steps_without_training_is_that_in_one():
    steps = []

    def note(spec):
        steps.append(spec.n_synapses)
        return spec

    spec = iterative_magnitude_pruning(FULL, n_synapses=40, retrain=note, iterations=4)
    assert same(spec, magnitude_pruning(FULL, n_neurons=60, n_synapses=40))
    ratio = (40 / FULL.n_synapses) ** 0.25
    assert steps == [round(FULL.n_synapses * ratio**k) for k in (1, 2, 3, 4)]


def test_magnitude_pruning_in_steps_sees_what_training_did():
    # Training makes the smallest of three weights the largest one, after the first iteration has removed another.
    full = network([(0, 1), (1, 2), (2, 0), (0, 2)], [4, 3, 2, 1], 3)

    def retrain(spec):
        return replace(spec, weights=np.where(spec.weights == spec.weights.min(), 10.0, spec.weights))

    spec = iterative_magnitude_pruning(full, n_synapses=2, retrain=retrain, iterations=2)
    # 4 -> round(4/sqrt(2)) = 3 -> 2 synapses: 1 goes, 2 becomes 10, 3 goes, 4 becomes 10.
    assert sorted(pairs(spec)) == [(0, 1), (2, 0)]
    assert spec.weights.tolist() == [10, 10]


def test_magnitude_pruning_in_steps_makes_up_for_input_in_every_step():
    spec = iterative_magnitude_pruning(FULL, n_synapses=40, retrain=untrained, iterations=3, activity=lambda now: RATES)
    # Of fixed rates and weights, the steps add up.
    expected = magnitude_pruning(FULL, n_neurons=60, n_synapses=40, rates=RATES).bias
    np.testing.assert_allclose(spec.bias, expected, rtol=0, atol=1e-12)


# ------------------------------------------------------------------------------------------------------ lost input


def total_input(spec, rates):
    """Return bias and mean current (or drift to the potential) of every neuron, synapse by synapse."""
    delta = spec.synaptic_time_constant == 0
    total = spec.bias.copy()
    for j, i, w in zip(spec.pre, spec.post, spec.weights, strict=True):
        total[i] += w * rates[j] * (spec.time_constants[i] if delta else spec.synaptic_time_constant)
    return total


@pytest.mark.parametrize("tau_syn", [5, 0], ids=["exponential", "delta"])
@pytest.mark.parametrize("method", ["random", "magnitude", "activity"])
def test_biases_make_up_for_lost_input(tau_syn, method):
    parameters = LIFParameters(synaptic_time_constant=tau_syn * ms)
    full = HRSNN(60, 0.3, parameters=parameters, check_rate=False).spec
    sizes = {"n_neurons": 30, "n_synapses": 50}

    def prune(rates):
        if method == "random":
            return random_network(full, **sizes, rng=np.random.default_rng(0), rates=rates)
        if method == "magnitude":
            return magnitude_pruning(full, **sizes, rates=rates)
        options = {"activity": lambda now: RATES, "retrain": untrained, "prune_rate": 0.2, "iterations": 3}
        return activity_pruning(full, **options, compensate=rates is not None).spec

    plain, made_up = prune(None), prune(RATES)
    assert same(plain, made_up, leave_out={"bias"})
    np.testing.assert_array_equal(plain.bias, full.bias)
    alive = made_up.alive
    # Sums of some 20 terms of order one, in another order.
    np.testing.assert_allclose(total_input(made_up, RATES)[alive], total_input(full, RATES)[alive], rtol=0, atol=1e-11)
    assert np.abs(plain.bias - made_up.bias)[alive].max() > 0.01
    if method != "activity":  # there neurons have lost input before they went
        np.testing.assert_array_equal(made_up.bias[~alive], full.bias[~alive])


def test_mean_input_by_hand():
    # Neuron 1 loses 2 at 10 Hz and gains 1 at 4 Hz, neuron 0 nothing: (-20 + 4) * 5 ms.
    change = mean_input([0, 2, 1], [1, 1, 0], [-2.0, 1.0, 0.0], rates=[10.0, 9.0, 4.0], gain=0.005)
    np.testing.assert_allclose(change, [0, -0.08, 0], rtol=1e-15, atol=0)
    # Of delta synapses each target has its own gain.
    each = mean_input([0, 0], [0, 1], [1.0, 1.0], rates=[10.0, 0.0], gain=[0.01, 0.02])
    np.testing.assert_allclose(each, [0.1, 0.2], rtol=1e-15)
    with pytest.raises(InvalidInput, match="gain must be a time above 0"):
        mean_input([0], [1], [1.0], rates=[1.0, 1.0], gain=-1.0)
    with pytest.raises(InvalidInput, match="rates must be at least 0 Hz, got -1"):
        mean_input([0], [1], [1.0], rates=[1.0, -1.0], gain=1.0)


# --------------------------------------------------------------------------------------------------- by activity


def test_activity_pruning_removes_the_least_active_neurons_first():
    rates = np.array([5.0, 1, 4, 2, 3, 9, 8, 7])
    full = network([(k, (k + 1) % 8) for k in range(8)], np.ones(8), 8)
    seen, trained = {}, []

    def retrain(spec):
        trained.append(spec.n_alive)
        return replace(spec, weights=2 * spec.weights)

    options = {"activity": lambda spec: rates, "retrain": retrain, "each": lambda k, spec: seen.update({k: spec})}
    result = activity_pruning(full, prune_rate=0.25, minimum_neurons=3, **options)
    # A quarter of 8, of 6 (1.5, rounded to even), of 4; and never fewer than 3.
    gone = {0: [], 1: [1, 3], 2: [1, 2, 3, 4], 3: [0, 1, 2, 3, 4]}
    assert {k: np.flatnonzero(~spec.alive).tolist() for k, spec in seen.items()} == gone
    assert trained == [6, 4, 3]
    # Synapses k -> k + 1 between those left: all 8; 4, 5, 6, 7 -> 0; 5, 6, 7; 5, 6.
    history = [(step.iteration, step.neurons, step.synapses, step.operations) for step in result.history]
    assert history == [(0, 8, 8, 39), (1, 6, 4, 27), (2, 4, 3, 24), (3, 3, 2, 17)]
    assert same(result.spec, seen[3])
    assert (result.spec.weights == 8).all()
    assert result.status == "no more than 3 neurons were left"


def test_activity_is_measured_again_after_training():
    full = network([], [], 6)

    def activity(spec):
        return np.arange(6.0) if spec.n_alive == 6 else np.arange(6.0)[::-1]

    result = activity_pruning(
        full, activity=activity, retrain=untrained, prune_rate=0.01, iterations=2, minimum_neurons=1
    )
    assert np.flatnonzero(~result.spec.alive).tolist() == [0, 5]
    assert result.status == "all iterations were done"


def test_of_equally_active_neurons_those_with_fewer_synapses_go_first():
    full = network([(0, 1), (0, 2), (1, 2), (3, 0)], np.ones(4), 4)  # degrees 3, 2, 2, 1
    order = []

    def note(k, spec):
        order.extend(i for i in np.flatnonzero(~spec.alive).tolist() if i not in order)

    options = {"activity": lambda spec: np.zeros(4), "retrain": untrained, "each": note}
    activity_pruning(full, prune_rate=0.01, minimum_neurons=1, **options)
    # Without 3 the degrees are 2, 2, 2, then the first goes, and of 1 and 2 the first again.
    assert order == [3, 0, 1]


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.05, 0.6))
def test_activity_pruning_stops_at_the_operations_with_no_neuron_too_few(fraction, rate):
    def operations(spec):
        return float(sum(RATES[j] for j in spec.pre))

    goal = fraction * operations(FULL)
    options = {"activity": lambda spec: RATES, "retrain": untrained, "minimum_neurons": 1}
    result = activity_pruning(FULL, operations=goal, prune_rate=rate, **options)
    assert operations(result.spec) <= goal
    assert result.status == "as few operations as were asked for"
    # With the most active of those that went still there, the operations would be more than that.
    order = np.argsort(RATES)
    assert set(np.flatnonzero(~result.spec.alive)) == set(order[: 60 - result.spec.n_alive])
    assert operations(silence(FULL, order[: 59 - result.spec.n_alive])) > goal


@pytest.mark.parametrize(("floor", "neurons"), [(30, 31), (6, 7)])
def test_activity_pruning_ends_before_the_performance_falls_below_a_tenth(floor, neurons):
    # 1 with more than `floor` neurons, then 0.1 (which is not below a tenth) once, then less.
    def performance(spec):
        return 1.0 if spec.n_alive > floor + 1 else 0.1 if spec.n_alive == floor + 1 else 0.0999

    trained = []

    def retrain(spec):
        trained.append(spec.n_alive)
        return spec

    options = {"activity": lambda spec: RATES, "retrain": retrain, "prune_rate": 0.01, "minimum_neurons": 1}
    result = activity_pruning(FULL, performance=performance, **options)
    assert result.spec.n_alive == neurons == result.history[-1].neurons
    assert trained[-1] == neurons - 1
    assert [step.performance for step in result.history[-2:]] == [1.0, 0.1]
    assert result.status == "the next network would perform less than a tenth as well"


def test_activity_pruning_of_a_running_network():
    spec = HRSNN(80, 0.2, seed=3, check_rate=False).spec
    drive = noise_drive(80, duration=300 * ms, rng=np.random.default_rng(0))

    def activity(now):
        return observe(RecurrentNetwork(now), 0.3 * second, drive=drive).rates

    result = activity_pruning(spec, activity=activity, retrain=untrained, prune_rate=0.5, iterations=1)
    before, after = activity(spec), activity(result.spec)
    gone = ~result.spec.alive
    assert gone.sum() == 40
    assert before[gone].max() <= before[~gone].min()
    assert (after[gone] == 0).all()
    assert after[~gone].max() > 0
    assert result.status == "all iterations were done"


def test_activity_pruning_says_that_the_last_iteration_reached_the_goal():
    full = network([(0, 1), (1, 0)], [1, 1], 3)
    options = {"activity": lambda spec: np.array([1.0, 2.0, 3.0]), "retrain": untrained, "minimum_neurons": 1}
    result = activity_pruning(full, operations=0, prune_rate=0.3, iterations=1, **options)
    assert (result.spec.n_alive, result.status) == (2, "as few operations as were asked for")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prune_rate": 1.0}, "prune_rate must be"),
        ({"iterations": 0}, "iterations must be"),
        ({"operations": -1.0}, "operations must be"),
        ({"performance": lambda spec: 0.0}, "performance must be"),
        ({"activity": lambda spec: np.zeros(59)}, "rates from activity must have shape"),
        ({"retrain": lambda spec: spec.compacted()}, "retrain must leave neurons and synapses"),
        ({"retrain": lambda spec: None}, "the result of retrain must be a NetworkSpec"),
    ],
)
def test_activity_pruning_refuses_what_it_cannot_use(options, message):
    usual = {"activity": lambda spec: RATES, "retrain": untrained}
    with pytest.raises(InvalidInput, match=rf"^{message}[^\n]+$"):
        activity_pruning(FULL, **{**usual, **options})
