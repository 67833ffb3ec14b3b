"""The loop: schedule, targets, in-place edits, history, own networks, bad input."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from brian2 import Network, NeuronGroup, PoissonInput, Synapses, ms, mV, second
from numpy.testing import assert_array_equal
from scipy.sparse.csgraph import connected_components

from lnpbrian.checks import InvalidInput
from lnpbrian.models import CHRSNN, HRSNN
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.compaction import compact
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.simulate import observe
from lnpbrian.pruning import loop as lnp
from lnpbrian.pruning.checkpoint import fingerprint
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.prunable import PrunableModel
from lnpbrian.pruning.schedule import PruneOptions, schedule
from lnpbrian.pruning.steps import NoisePruning, TimescaleTuning, as_steps

QUICK = PruneOptions(
    synapse_sparsity=0.9,
    neuron_sparsity=0.3,
    iterations=3,
    observation=200 * ms,
    exponent_duration=60 * ms,
    realisations=2,
    rates=(0, 500),
)
I_II = as_steps(("I", "II"))


def own_network(n=60, unit=1.0):
    """A network that nobody here built: potential in mV, Poisson input, its own names."""
    neurons = NeuronGroup(
        n,
        """dpsp/dt = (12*mV*drive - psp)/tau : volt (unless refractory)
        tau : second
        drive : 1""",
        threshold="psp > 10*mV",
        reset="psp = 0*mV",
        refractory=2 * ms,
        method="exact",
        namespace={"mV": mV},
        name="mine",
    )
    rng = np.random.default_rng(0)
    neurons.tau = rng.uniform(10, 30, n) * ms
    neurons.drive = rng.uniform(0.8, 1.4, n)
    neurons.psp = rng.uniform(0, 10, n) * mV
    synapses = Synapses(
        neurons, neurons, "strength : volt\nw_max : volt\nlearning : 1", on_pre="psp_post += strength", name="recurrent"
    )
    synapses.connect(i=rng.integers(n, size=600), j=rng.integers(n, size=600))
    synapses.strength = rng.normal(0, 0.2, 600) * mV
    background = PoissonInput(neurons, "psp", 10, 20 * unit / second, weight=0.5 * mV)
    return LiveNetwork(
        Network(neurons, synapses, background),
        synapses,
        weight="strength",
        state="psp",
        time_constant="tau",
        input="drive",
    )


@pytest.mark.parametrize("k", [1, 4, 10])
def test_schedule_is_geometric_and_ends_on_target(k):
    steps = schedule(1000, 100_000, PruneOptions(0.95, 0.5, iterations=k), I_II)
    assert steps[-1] == (500, 5000)
    # Ratios of successive counts are equal up to rounding of the counts (half a neuron in 500).
    neurons = np.array([1000, *[n for n, _ in steps]])
    assert np.ptp(neurons[1:] / neurons[:-1]) < 2 * 0.5 / 500


def test_prune_reaches_its_targets_on_the_live_objects():
    model = HRSNN(150, 0.2, check_rate=False)
    objects = (model.network, model.neurons, model.synapses)
    before = model.spec
    seen = []
    result = prune(model, I_II, options=QUICK, report=lambda p: seen.append(p.fraction))
    last = result.history[-1]
    assert (model.network, model.neurons, model.synapses) == objects
    assert last.neurons == 105 == int(model.neurons.alive_[:].sum())
    assert last.synapses == len(model.synapses)
    # Sampling noise of the last step, sum p(1 - p) <= count, five standard deviations, and the 10 % by which neurons
    # of low betweenness have fewer synapses than the mean one.
    target = 0.1 * before.n_synapses
    assert abs(last.synapses - target) < 5 * np.sqrt(target) + 0.1 * target
    assert len(result.history) == 4
    assert result.synapse_sparsity == 1 - last.synapses / before.n_synapses
    assert seen[-1] == 1.0
    assert (np.diff(seen) >= 0).all()
    after = model.spec
    assert set(zip(after.pre.tolist(), after.post.tolist(), strict=True)) <= set(
        zip(before.pre.tolist(), before.post.tolist(), strict=True)
    )
    assert after.alive[after.pre].all()
    assert after.alive[after.post].all()
    assert_array_equal(after.weights > 0, after.excitatory[after.pre])


def test_pruned_live_network_and_its_spec_fire_alike():
    model = HRSNN(120, 0.2, check_rate=False)
    prune(model, I_II, options=QUICK)
    spec = model.spec
    drive = noise_drive(120, duration=300 * ms, rng=np.random.default_rng(5))
    # Put the live network back to the initial state of the spec; what is edited stays.
    model.neurons.v = np.where(spec.alive, spec.initial_potential, 0)
    model.neurons.I_syn = 0
    model.neurons.lastspike = -1e4 * second
    live = observe(model, 300 * ms, drive=drive)
    rebuilt = observe(RecurrentNetwork(spec), 300 * ms, drive=drive)
    assert live.indices.size > 100
    assert_array_equal(live.indices, rebuilt.indices)
    assert np.abs(live.times - rebuilt.times).max() < 1e-9
    small = observe(compact(model), 300 * ms, drive=drive.of_neurons(spec.alive))
    assert_array_equal(live.indices, np.flatnonzero(spec.alive)[small.indices])
    assert_array_equal(np.unique(live.indices), np.intersect1d(np.unique(live.indices), np.flatnonzero(spec.alive)))


@pytest.mark.parametrize("model", [HRSNN, CHRSNN])
def test_same_seed_same_result_other_seed_other_result(model):
    def run(seed):
        live = model(100, 0.15, check_rate=False)
        history = prune(live, I_II, options=replace(QUICK, iterations=2), seed=seed).history
        return live.spec.weights, [replace(record, seconds={}) for record in history]

    (a, first), (b, again), (c, _) = run(1), run(1), run(2)
    assert_array_equal(a, b)
    assert first == again
    assert a.size != c.size or (a != c).any()


def test_plastic_network_keeps_its_constants_with_its_synapses():
    model = HRSNN(100, 0.15, plastic=True, check_rate=False)
    before = model.spec
    prune(model, I_II, options=replace(QUICK, iterations=2))
    after = model.spec
    where = {pair: k for k, pair in enumerate(zip(before.pre.tolist(), before.post.tolist(), strict=True))}
    index = np.array([where[pair] for pair in zip(after.pre.tolist(), after.post.tolist(), strict=True)])
    for name in ("tau_plus", "tau_minus", "eta_plus", "eta_minus"):
        assert_array_equal(getattr(after.plasticity, name), getattr(before.plasticity, name)[index])


def test_own_network_in_other_units_is_pruned():
    live = own_network()
    before = live.n_synapses
    result = prune(live, I_II, options=replace(QUICK, synapse_sparsity=0.7, iterations=2, perturbation=1e-9))
    assert result.history[-1].neurons == 42
    assert live.n_synapses < 0.4 * before
    assert_array_equal(np.asarray(live.groups[0].drive)[~live.alive], np.zeros(18))
    live.run(50 * ms)


def test_every_option_of_step_one_runs_the_loop():
    for noise in (
        NoisePruning(edge_strength="weight", rescale="none"),
        NoisePruning(edge_strength="lyapunov*weight", rescale="capped", cap=2.0, neighbours="in"),
        NoisePruning(diagonal="shift", rescale="inverse", excitability="compensate"),
    ):
        model = HRSNN(80, 0.2, check_rate=False)
        result = prune(model, (noise, "II"), options=replace(QUICK, iterations=1))
        assert result.history[-1].synapses < 0.15 * result.history[0].synapses


def test_compensated_bias_restores_the_mean_input():
    model = HRSNN(80, 0.2, check_rate=False)
    before = model.spec
    noise = NoisePruning(rescale="none", excitability="compensate")
    result = prune(model, (noise,), options=replace(QUICK, neuron_sparsity=0, iterations=1))
    after, rates = model.spec, result.rates_before

    def mean_input(spec):
        recurrent = np.bincount(spec.post, spec.weights * rates[spec.pre], minlength=80)
        return spec.bias + spec.synaptic_time_constant * recurrent

    np.testing.assert_allclose(mean_input(after), mean_input(before), atol=1e-12)


def test_stops_after_two_iterations_out_of_bounds():
    result = prune(HRSNN(80, 0.2, check_rate=False), I_II, options=replace(QUICK, iterations=5, rates=(400, 500)))
    assert len(result.history) == 3
    assert "stopped after iteration 2 of 5" in result.status


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"synapse_sparsity": 1.0}, r"synapse_sparsity must be a number in \[0, 1\), got 1.0"),
        ({"neuron_sparsity": -0.1}, "neuron_sparsity"),
        ({"iterations": 0}, "iterations must be a whole number of at least 1, got 0"),
        ({"observation": 3}, "observation must be a time such as 20"),
        ({"rates": (50, 5)}, r"rates must be \(lower, upper\)"),
        ({"rates": 5}, "rates must have shape"),
        ({"exponent_duration": 3 * mV}, "exponent_duration must be a time"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InvalidInput, match=message):
        PruneOptions(**options)


def test_unreachable_targets_name_the_reachable_ones():
    with pytest.raises(
        InvalidInput, match=r"cannot be kept .* raise synapse_sparsity to 0.75 or lower neuron_sparsity"
    ):
        schedule(100, 1000, PruneOptions(0.5, 0.5), I_II)
    with pytest.raises(InvalidInput, match=r"at most 0\.9 can be removed"):
        schedule(100, 1000, PruneOptions(0.999, 0.95), I_II)
    with pytest.raises(InvalidInput, match="would leave none of 10 synapses"):
        schedule(100, 10, PruneOptions(0.99, 0.1), I_II)


def test_silent_network_is_refused_before_anything_changes():
    model = HRSNN(60, 0.2, check_rate=False, parameters=LIFParameters(bias=(0, 0.01)))
    drive = noise_drive(60, duration=100 * ms, standard_deviation=0.0, rng=np.random.default_rng(0))
    model.neurons.v = 0
    with pytest.raises(InvalidInput, match="is silent: no spike"):
        prune(model, I_II, options=QUICK, drive=drive)
    assert len(model.synapses) == HRSNN(60, 0.2, check_rate=False).spec.n_synapses


def test_pruning_does_not_learn_and_rescaled_weights_stay():
    model = HRSNN(100, 0.3, plastic=True, check_rate=False)
    result = prune(model, I_II, options=replace(QUICK, iterations=2))
    pruned = model.spec
    assert np.abs(pruned.weights).max() <= pruned.plasticity.w_max
    # With learning switched off no spike may have touched a weight: a further observation of the same kind shows it.
    model.synapses.learning = 0
    observe(model, 100 * ms, drive=noise_drive(100, duration=100 * ms, rng=np.random.default_rng(0)))
    assert_array_equal(model.spec.weights, pruned.weights)
    model.synapses.learning = 1
    observe(model, 100 * ms, drive=noise_drive(100, duration=100 * ms, rng=np.random.default_rng(0)))
    assert (model.spec.weights != pruned.weights).any()
    assert result.history[-1].synapses == pruned.n_synapses


def test_learning_is_switched_back_on():
    model = HRSNN(60, 0.3, plastic=True, check_rate=False)
    prune(model, I_II, options=replace(QUICK, iterations=1))
    assert float(model.synapses.learning[:]) == 1


def test_input_through_a_subgroup_goes_with_the_neuron():
    live = own_network()
    source = NeuronGroup(5, "v : 1", threshold="v > 1", reset="v = 0", name="source")
    (neurons,) = live.groups
    afferents = Synapses(source, neurons[:30], on_pre="psp_post += 0*mV", namespace={"mV": mV}, name="afferents")
    afferents.connect()
    live.network.add(source, afferents)
    prune(live, I_II, options=replace(QUICK, synapse_sparsity=0.7, iterations=1, realisations=1))
    assert live.alive[np.array(afferents.j[:])].all()
    assert len(afferents) == 5 * live.alive[:30].sum()


def test_drive_is_for_models():
    drive = noise_drive(60, duration=100 * ms, rng=np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="brings its own input"):
        prune(own_network(), I_II, options=QUICK, drive=drive)


def test_step_that_does_not_divide_the_window():
    model = HRSNN(60, 0.2, check_rate=False, parameters=LIFParameters(dt=0.3 * ms))
    assert len(prune(model, I_II, options=replace(QUICK, iterations=1)).history) == 2


def test_module_has_no_task():
    # Pruning is task-agnostic: nothing in it can see a series.
    assert not {"tasks", "readout", "encoding"} & set(vars(lnp))


FOUR = replace(QUICK, synapse_sparsity=0.8, iterations=2, exponent_growth=None)
ALL_STEPS = as_steps(("I", "II", "III", TimescaleTuning(every=2, evaluations=3, exponents=3, duration=40 * ms)))


def test_history_holds_what_the_method_asks_for():
    model = HRSNN(60, 0.2, check_rate=False)
    start = model.spec
    seen = []
    result = prune(model, ALL_STEPS, options=FOUR, report=seen.append)
    assert [record.iteration for record in result.history] == [0, 1, 2]
    assert result.options is FOUR
    assert result.steps == ALL_STEPS
    for record, rates, exponents, spec in (
        (result.history[0], result.rates_before, result.exponents_before, start),
        (result.history[-1], result.rates_after, result.exponents_after, model.spec),
    ):
        assert (record.neurons, record.synapses) == (spec.n_alive, spec.n_synapses)
        assert record.mean_rate_hz == rates[spec.alive].mean() > 0
        assert not rates[~spec.alive].any()
        assert record.window_exponent_per_s == exponents.window_exponent
        assert record.window_exponent_standard_error_per_s == exponents.window_standard_error
        assert exponents.per_neuron.size == spec.n_alive
        assert record.exponent_quartiles_per_s == tuple(np.percentile(exponents.per_neuron, [25, 50, 75]))
        assert np.isfinite(record.largest_exponent_per_s)
        assert record.largest_exponent_standard_error_per_s >= 0
        # Degrees of the survivors, dead neurons left out.
        number = np.cumsum(spec.alive) - 1
        degree = np.bincount(number[np.concatenate([spec.pre, spec.post])], minlength=spec.n_alive)
        assert record.degree_variance == pytest.approx(degree.var(), rel=1e-12)
        graph = scipy.sparse.csr_array(
            (np.ones(spec.n_synapses), (number[spec.pre], number[spec.post])), shape=(spec.n_alive, spec.n_alive)
        )
        assert record.strong_components == connected_components(graph, connection="strong")[0]
        for ratio in (record.laplacian_ipr, record.adjacency_ipr):
            assert 1 / spec.n_alive <= ratio <= 1
        assert record.time_constant_mean_ms == pytest.approx(1e3 * spec.time_constants[spec.alive].mean(), rel=1e-12)
    steps = {"I", "II", "III"}
    assert [set(record.seconds) for record in result.history] == [
        {"observation", "rates", "localisation"},
        {"observation", "localisation", *steps},
        {"observation", "localisation", *steps, "IV"},
    ]
    assert all(seconds > 0 for record in result.history for seconds in record.seconds.values())
    assert [len(record.status) for record in result.history] == [0, 4, 4]  # the first one says how it was measured
    told = [progress.step for progress in seen]
    for step in ("rates", "exponents", "step I", "step II", "step III", "step IV"):
        assert step in told
    assert {progress.iterations for progress in seen} == {2}


@pytest.mark.parametrize("model", [HRSNN, CHRSNN])
def test_all_four_steps_repeat_with_the_seed(model):
    def run(seed):
        live = model(60, 0.15, check_rate=False)
        history = prune(live, ALL_STEPS, options=FOUR, seed=seed).history
        return fingerprint(live.spec), [replace(record, seconds={}) for record in history]

    first, again, other = run(1), run(1), run(2)
    assert first == again
    assert first[0] != other[0]
    # Another seed is another noise drive as well.
    assert first[1][0].mean_rate_hz != other[1][0].mean_rate_hz


def grown(monkeypatch, growth):
    """Let the largest exponent be `growth[k]` above that of the unpruned network after iteration k."""
    measure, calls = PrunableModel.measure, []

    def observe(*arguments, **options):
        found = measure(*arguments, **options)
        calls.append(found)
        value = 1000.0 + growth[len(calls) - 1]
        return replace(found, largest=replace(found.largest, largest_exponent=value, standard_error=2.0))

    monkeypatch.setattr(PrunableModel, "measure", observe)


@pytest.mark.parametrize(
    ("growth", "stable", "stops"),
    [
        # Bound 20 and three standard errors of the difference, sqrt(2^2 + 2^2): 28.485.
        ((0, 28.4, 28.4, 28.4, 28.4), [True, True, True, True, True], False),
        ((0, 28.6, 28.4, 28.6, 28.4), [True, False, True, False, True], False),
        ((0, 28.6, 28.6, 0, 0), [True, False, False], True),
        ((0, -500, 28.6, 99, 0), [True, True, False, False], True),
    ],
)
def test_stops_after_two_iterations_whose_largest_exponent_has_grown(monkeypatch, growth, stable, stops):
    grown(monkeypatch, growth)
    options = replace(QUICK, synapse_sparsity=0.6, iterations=4, exponent_growth=20.0)
    result = prune(HRSNN(60, 0.2, check_rate=False), I_II, options=options)
    assert [record.stable for record in result.history] == stable
    if stops:
        last = len(stable) - 1
        assert f"stopped after iteration {last} of 4: unstable twice, largest exponent 1" in result.status
        assert "1e+03 before pruning" in result.status
    else:
        assert result.status == "all iterations done"


def test_no_bound_on_the_exponent(monkeypatch):
    grown(monkeypatch, (0, 1e6, 1e6, 1e6))
    result = prune(HRSNN(60, 0.2, check_rate=False), I_II, options=replace(QUICK, exponent_growth=None))
    assert result.status == "all iterations done"


def test_an_unpruned_network_out_of_bounds_is_no_reason_to_stop():
    # Three records in a row are out of bounds, but the first is the network as it came: two iterations are done.
    model = HRSNN(60, 0.2, check_rate=False)
    rate = prune(HRSNN(60, 0.2, check_rate=False), I_II, options=QUICK).history[0].mean_rate_hz
    result = prune(model, I_II, options=replace(QUICK, iterations=3, rates=(rate + 100, 1000)))
    assert [record.stable for record in result.history] == [False, False, False]
    assert "stopped after iteration 2 of 3" in result.status
    assert f"mean rate {result.history[-1].mean_rate_hz:.3g} Hz outside {rate + 100:g}..1000 Hz" in result.status


def test_targets_out_of_reach_are_refused_before_anything_changes():
    model = HRSNN(60, 0.2, check_rate=False)
    before = fingerprint(model.spec)
    for options, message in (
        (replace(QUICK, synapse_sparsity=0.1, neuron_sparsity=0.8), "cannot be kept with neuron_sparsity 0.8"),
        (replace(QUICK, synapse_sparsity=0.99, neuron_sparsity=0.9), "minimum_neurons = 10"),
        (replace(QUICK, synapse_sparsity=0.9999), "would leave none of"),
    ):
        with pytest.raises(InvalidInput, match=message) as caught:
            prune(model, I_II, options=options)
        assert "\n" not in str(caught.value)
        assert fingerprint(model.spec) == before


def test_checkpoints_and_step_four_are_for_models(tmp_path):
    live = own_network()
    for given, message in (
        ({"checkpoint": tmp_path}, "checkpoint needs a model of lnpbrian.models"),
        ({"steps": ("I", "II", "IV")}, "step IV needs a model of lnpbrian.models; leave it out"),
        ({"options": replace(QUICK, exponents="tangent")}, "exponents='tangent' needs a model"),
    ):
        with pytest.raises(InvalidInput, match=message):
            prune(live, **{"options": QUICK, **given})
    assert not list(tmp_path.iterdir())
    assert live.n_synapses == 600


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"network": "net"}, r"network must be a Network, got str; use the brian2.Network that you run, or a model"),
        ({"options": {"iterations": 3}}, r"options must be a PruneOptions, got dict; use PruneOptions"),
        ({"drive": np.zeros((3, 40))}, r"drive must be a Drive, got ndarray; use noise_drive"),
    ],
)
def test_objects_of_the_wrong_kind_are_refused(given, message):
    model = HRSNN(40, 0.3, check_rate=False)
    before = len(model.synapses)
    with pytest.raises(InvalidInput, match=message):
        prune(**{"network": model, **given})
    assert len(model.synapses) == before


def test_the_reference_is_a_spec():
    with pytest.raises(InvalidInput, match="reference must be a NetworkSpec, got str"):
        TimescaleTuning(reference="before")
