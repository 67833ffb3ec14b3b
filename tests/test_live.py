"""Networks of other people as one graph: numbering, weights, snapshots, edits, and pruning in place."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    get_device,
    ms,
    mV,
    seed,
    set_device,
    siemens,
)
from numpy.testing import assert_array_equal

from lnpbrian import Delocalisation, InvalidInput, LiveNetwork, NoisePruning, PruneOptions, prune
from lnpbrian.network.live import Snapshot
from lnpbrian.network.structure import mute_neurons
from lnpbrian.pruning.edits import add_like, donor_synapses, keep_synapses, silence

QUICK = PruneOptions(
    synapse_sparsity=0.6,
    neuron_sparsity=0.2,
    iterations=2,
    observation=60 * ms,
    exponent_duration=40 * ms,
    realisations=1,
)
STEPS = ("I", "II", Delocalisation(0.1))
NAMESPACE = {"tau": 20 * ms, "mV": mV, "Hz": Hz}


def two_groups(excitatory=30, inhibitory=10, p=0.4, delay=True):
    """E and I cells as groups of their own, four Synapses objects, Poisson input to a part of E, monitors."""
    rng = np.random.default_rng(1)
    model = {
        "model": "dv/dt = (drive - v)/tau : volt (unless refractory)\ndrive : volt",
        "threshold": "v > 10*mV",
        "reset": "v = 0*mV",
        "refractory": 2 * ms,
        "method": "exact",
        "namespace": NAMESPACE,
    }
    e, i = NeuronGroup(excitatory, name="cells_e", **model), NeuronGroup(inhibitory, name="cells_i", **model)
    for group in (e, i):
        group.v = rng.uniform(0, 10, len(group)) * mV
        group.drive = rng.uniform(9, 13, len(group)) * mV
    synapses = []
    for source, target, scale in ((e, e, 0.4), (e, i, 0.4), (i, e, -1.2), (i, i, -1.2)):
        s = Synapses(source, target, "w : volt", on_pre="v_post += w", name=f"{source.name[-1]}_to_{target.name[-1]}")
        pre, post = np.nonzero(rng.random((len(source), len(target))) < p)
        s.connect(i=pre, j=post)
        s.w = scale * rng.uniform(0.5, 1.5, pre.size) * mV
        if delay:
            s.delay = rng.uniform(0.1, 3, pre.size) * ms
        synapses.append(s)
    noise = PoissonGroup(5, 50 * Hz, name="noise")
    afferents = Synapses(noise, e[:20], "w : volt", on_pre="v_post += w", name="afferents")
    afferents.connect(p=1)
    afferents.w = 0.3 * mV
    spikes = SpikeMonitor(e, name="spikes_e")
    return Network(e, i, *synapses, noise, afferents, spikes), synapses


def live_pair(**arguments):
    network, synapses = two_groups(**arguments)
    return LiveNetwork(network, synapses, time_constant=20 * ms, input="drive", namespace={}), synapses


# ---------------------------------------------------------------------------------------------------------- numbering


def test_neurons_and_synapses_are_numbered_through():
    live, (ee, ei, ie, ii) = live_pair()
    assert [g.name for g in live.groups] == ["cells_e", "cells_i"]
    pre, post = live.edges()
    assert_array_equal(pre, np.concatenate([ee.i, ei.i, 30 + np.array(ie.i), 30 + np.array(ii.i)]))
    assert_array_equal(post, np.concatenate([ee.j, 30 + np.array(ei.j), ie.j, 30 + np.array(ii.j)]))
    assert_array_equal(live.weights(), np.concatenate([s.w_[:] for s in (ee, ei, ie, ii)]))
    assert_array_equal(live.signs(), [1] * 30 + [-1] * 10)
    assert (live.n_neurons, live.n_alive, live.n_synapses) == (40, 40, sum(map(len, (ee, ei, ie, ii))))


def test_subgroups_count_in_their_group():
    cells = NeuronGroup(10, "v : 1", threshold="v > 1", reset="v = 0", name="whole")
    upper = Synapses(cells[6:], cells[2:5], "w : 1", on_pre="v_post += w", name="upper")
    upper.connect(i=[0, 3], j=[1, 2])
    upper.w = [1, 2]
    live = LiveNetwork(Network(cells, upper), upper, protect=cells[2:4])
    assert_array_equal(live.edges(), [[6, 9], [3, 4]])
    assert_array_equal(np.flatnonzero(live.is_protected), [2, 3])
    mute_neurons(cells, [3, 7])
    assert_array_equal(live.alive_in(cells[2:5]), [True, False, True])
    assert live.n_alive == 8


def test_by_default_all_synapses_between_neurons():
    network, synapses = two_groups()
    live = LiveNetwork(network, namespace={})
    assert {s.name for s in live.connections} == {s.name for s in synapses}


def test_constant_weights_and_inhibitory_conductances():
    cells = NeuronGroup(4, "v : 1\ng : siemens", threshold="v > 1", reset="v = 0", name="cells")
    units = {"siemens": siemens}
    up = Synapses(cells, cells, on_pre="g_post += 1*siemens", namespace=units, name="up")
    down = Synapses(
        cells, cells, "w : siemens", on_pre="v_post -= w/siemens", namespace={"siemens": siemens}, name="down"
    )
    up.connect(i=[0], j=[1])
    down.connect(i=[2, 3], j=[1, 1])
    down.w = [3, 4] * siemens
    network = Network(cells, up, down)
    live = LiveNetwork(network, [up, down], weight=[2 * siemens, "w"], inhibitory=down)
    assert_array_equal(live.weights(), [2, -3, -4])
    assert_array_equal(live.signs(), [1, 0, -1, -1])
    assert live.weights_can_be_set().startswith("the weight of 'up' is 2. S, one for all: no statement of 'up' adds")
    only = LiveNetwork(network, down, inhibitory=[down])
    assert not only.weights_can_be_set()
    only.set_weights(np.array([-5.0, -6.0]))
    assert_array_equal(down.w_[:], [5, 6])


def test_sources_of_spikes_are_no_neurons():
    network, _ = two_groups()
    afferents = next(obj for obj in network.objects if obj.name == "afferents")
    live = LiveNetwork(network, afferents, namespace={})
    assert live.n_neurons == 35
    assert live.n_alive == 30
    assert_array_equal(live.is_protected, [True] * 5 + [False] * 30)
    assert_array_equal(live.time_constants[:5], [1e-4] * 5)


def test_time_constants_by_group_and_from_exponents():
    network, synapses = two_groups()
    live = LiveNetwork(network, synapses, time_constant={"cells_i": 10 * ms}, namespace={})
    assert np.isnan(live.time_constants[:30]).all()
    exponents = np.full(40, -50.0)
    exponents[:2] = [3.0, -0.1]
    times = live.forgetting_times(exponents, resolution=2.0)
    assert_array_equal(times, [0.5, 0.5] + [0.02] * 28 + [0.01] * 10)


# ---------------------------------------------------------------------------------------------------------- snapshots


def full_state(network):
    return {
        (obj.name, name): np.array(variable.get_value())
        for obj in network.objects
        for name, variable in getattr(obj, "variables", {}).items()
        if hasattr(variable, "get_value") and not name.endswith("_space") and variable.owner is not None
    }


def assert_same_state(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert_array_equal(value, second[key], err_msg=str(key))


def test_a_snapshot_brings_back_structure_time_and_random_numbers():
    live, _ = live_pair()
    seed(5)
    live.run(20 * ms)
    before = full_state(live.network)
    with Snapshot(live) as snapshot:
        live.run(30 * ms)
        first = np.array(live.network["spikes_e"].t_)
        snapshot.restore()
        keep_synapses(live, np.arange(live.n_synapses) % 3 == 0)
        silence(live, np.array([3, 35]))
        live.run(30 * ms)
        assert np.array(live.network["spikes_e"].t_).tolist() != first.tolist()
        snapshot.restore()
        assert_same_state({k: v for k, v in full_state(live.network).items() if k in before}, before)
        assert live.alive.all()
        live.run(30 * ms)
        assert_array_equal(np.array(live.network["spikes_e"].t_), first)
    assert not live.network._stored_state


# -------------------------------------------------------------------------------------------------------------- edits


def test_synapses_are_kept_across_objects():
    live, _ = live_pair()
    keep = np.random.default_rng(0).random(live.n_synapses) < 0.5
    edges, weights = live.edges(), live.weights()
    keep_synapses(live, keep)
    assert_array_equal(live.edges(), np.array(edges)[:, keep])
    assert_array_equal(live.weights(), weights[keep])


def test_silenced_neurons_lose_input_and_all_synapses_and_never_fire():
    live, synapses = live_pair()
    silence(live, np.array([0, 7, 31]))
    everything = [*synapses, next(obj for obj in live.network.objects if obj.name == "afferents")]
    for s in everything:
        for side, numbers in ((s.source, s.i), (s.target, s.j)):
            gone = {"cells_e": [0, 7], "cells_i": [1]}.get(getattr(side, "source", side).name, [])
            assert not np.isin(np.array(numbers), gone).any(), s.name
    e, i = live.groups
    assert_array_equal(np.array(e.drive_)[[0, 7]], [0, 0])
    assert i.drive_[1] == 0
    # Even a strong push makes no spike.
    e.v[[0, 7]] = 20 * mV
    live.run(30 * ms)
    assert not np.isin([0, 7], np.array(live.network["spikes_e"].i)).any()
    assert live.network["spikes_e"].num_spikes > 20


def test_new_synapses_are_like_those_of_their_objects():
    live, (ee, ei, ie, ii) = live_pair()
    before = [len(s) for s in (ee, ei, ie, ii)]
    pre, post = np.array([0, 1, 2, 33, 34]), np.array([4, 31, 32, 5, 36])
    added = add_like(live, pre, post, signs=live.signs(), rng=np.random.default_rng(0))
    assert added == 5
    assert [len(s) - n for s, n in zip((ee, ei, ie, ii), before, strict=True)] == [1, 2, 1, 1]
    assert (ei.i[-2:].tolist(), ei.j[-2:].tolist()) == ([1, 2], [1, 2])
    for s, n in zip((ee, ei, ie, ii), before, strict=True):
        donors = set(zip(s.w_[:n].tolist(), s.delay_[:n].tolist(), strict=True))
        assert set(zip(s.w_[n:].tolist(), s.delay_[n:].tolist(), strict=True)) <= donors


def test_no_new_synapse_where_no_object_leads():
    network, (ee, ei, *_) = two_groups()
    live = LiveNetwork(network, [ee, ei], namespace={})
    # From I to E nothing leads; a target that never had a synapse of the sign gets none either.
    assert add_like(live, np.array([30, 0]), np.array([0, 3]), signs=live.signs(), rng=np.random.default_rng(0)) == 1
    wrong = np.full(40, -1)
    assert add_like(live, np.array([0]), np.array([3]), signs=wrong, rng=np.random.default_rng(0)) == 0


# -------------------------------------------------------------------------------------------------------------- prune


def test_pruning_in_place_leaves_time_monitors_and_random_numbers():
    network, synapses = two_groups()
    seed(3)
    network.run(25 * ms)
    spikes = network["spikes_e"].num_spikes
    draws = get_device().get_random_state()
    result = prune(LiveNetwork(network, synapses, time_constant=20 * ms, input="drive"), STEPS, options=QUICK)
    assert network.t == 25 * ms
    assert network["spikes_e"].num_spikes == spikes
    np.testing.assert_equal(get_device().get_random_state(), draws)
    assert not network._stored_state
    assert result.history[-1].neurons == 32 == result.live.n_alive
    assert result.history[-1].synapses == sum(map(len, synapses)) < 0.45 * result.history[0].synapses
    network.run(25 * ms)
    fired = np.array(network["spikes_e"].i)[spikes:]
    assert fired.size
    assert result.live.alive_in(network["cells_e"])[fired].all()


def test_a_second_pruning_goes_on_with_what_is_left():
    network, synapses = two_groups()
    first = prune(LiveNetwork(network, synapses, input="drive"), STEPS, options=QUICK)
    second = prune(LiveNetwork(network, synapses, input="drive"), STEPS, options=QUICK)
    assert second.history[0].neurons == first.history[-1].neurons == 32
    assert second.history[-1].neurons == second.live.n_alive == 26
    assert not (second.live.alive & ~first.live.alive).any()


def test_pruned_is_zeroed():
    """Without steps II and III, what is left fires as the same network with the pruned weights set to zero."""
    options = replace(QUICK, neuron_sparsity=0.0)
    spikes = []
    kept = None
    for edit in ("prune", "zero"):
        network, synapses = two_groups()
        before = sum(map(len, synapses))
        seed(3)
        network.run(25 * ms)
        if edit == "prune":
            prune(LiveNetwork(network, synapses), (NoisePruning(rescale="none"),), options=options)
            # Weights are all different, and say which synapse it was.
            kept = [set(s.w_[:].tolist()) for s in synapses]
            assert 0 < sum(map(len, kept)) < 0.6 * before
        else:
            for s, stay in zip(synapses, kept, strict=True):
                gone = np.flatnonzero([w not in stay for w in s.w_[:].tolist()])
                s.w[gone] = 0 * mV
        seed(4)
        network.run(60 * ms)
        monitor = network["spikes_e"]
        spikes.append((np.array(monitor.t_), np.array(monitor.i)))
    assert spikes[0][0].size > 50
    assert_array_equal(spikes[0][0], spikes[1][0])
    assert_array_equal(spikes[0][1], spikes[1][1])


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_network_as_it_was(error):
    network, synapses = two_groups()
    network.run(10 * ms)
    before = full_state(network)

    def fail(progress):
        if progress.iteration == 2:
            raise error("stop")

    with pytest.raises(error, match="stop"):
        prune(LiveNetwork(network, synapses, input="drive"), STEPS, options=QUICK, report=fail)
    assert_same_state({k: v for k, v in full_state(network).items() if k in before}, before)
    assert not network._stored_state
    network.run(10 * ms)


def test_names_of_the_caller_are_seen():
    def build():
        cells = NeuronGroup(
            40,
            "dv/dt = (level - v)/span : 1\nlevel : 1",
            threshold="v > 1",
            reset="v = 0",
            method="exact",
            name="cells",
        )
        cells.level = np.linspace(1.2, 1.6, 40)
        between = Synapses(cells, cells, "w : 1", on_pre="v_post += w", name="between")
        between.connect(i=np.repeat(np.arange(40), 6), j=np.random.default_rng(0).integers(40, size=240))
        between.w = 0.01
        return Network(cells, between)

    network = build()
    with pytest.raises(InvalidInput, match="use 'span', which is not visible here"):
        prune(LiveNetwork(network, namespace={}), options=QUICK)
    span = 20 * ms  # noqa: F841 -- the equations ask for it
    assert prune(network, options=QUICK).history[-1].neurons == 32


def test_readouts_and_sources_stay():
    network, synapses = two_groups()
    afferents = next(obj for obj in network.objects if obj.name == "afferents")
    inhibitory = network["cells_i"]
    options = replace(QUICK, neuron_sparsity=0.5, synapse_sparsity=0.8)
    live = LiveNetwork(network, [*synapses, afferents], protect=inhibitory, input="drive")
    result = prune(live, STEPS, options=options)
    assert result.live.alive_in(inhibitory).all()
    assert result.live.alive_in(network["noise"]).all()
    assert result.live.alive_in(network["cells_e"]).sum() == 10
    assert 0 < len(afferents) < 100


def test_drive_by_poisson_input_timed_arrays_and_operations_is_the_same_in_every_iteration():
    network, synapses = two_groups()
    wave = TimedArray([0, 1, 2, 1] * mV, dt=5 * ms)
    cells = network["cells_e"]
    times = []

    def push():
        times.append(float(network.t))
        cells.v += wave(network.t)

    network.add(NetworkOperation(push, dt=5 * ms), PoissonInput(cells, "v", 5, 20 * Hz, weight=0.2 * mV))
    steps = (NoisePruning(rescale="none"),)
    prune(LiveNetwork(network, synapses, input="drive"), steps, options=replace(QUICK, neuron_sparsity=0.0))
    # Three observations, each from t = 0: settle, rates, then windows and their twins.
    assert times.count(0.0) == 3


# ---------------------------------------------------------------------------------------------------------- bad input


def cells_of(n=3, name="cells*"):
    return NeuronGroup(n, "v : 1\nx : 1\nu = 2*v : 1", threshold="v > 1", reset="v = 0", name=name)


def between(source, target, name="synapses*", **options):
    s = Synapses(source, target, "w : 1\ndouble = 2*w : 1", on_pre="v_post += w", name=name, **options)
    s.connect(i=[0, 1], j=[1, 2])
    return s


BAD_DESCRIPTIONS = [
    ({"weight": "g"}, "weight: 'mine' has no variable 'g'; its equations define: double, w; say weight=..."),
    ({"weight": "double"}, "weight 'double' of 'mine' is computed from other variables; name the one that is stored"),
    ({"weight": "i"}, "weight must name a floating-point variable of 'mine', got 'i'"),
    ({"weight": 0.0}, "weight of 'mine' must be a name, or one number other than 0, got 0.0"),
    ({"weight": {"mine": 2}}, "weight of 'mine' must be a name, or one number other than 0, got {'mine': 2}"),
    ({"input": 3}, "input must be a str, got int; name variables of the neurons"),
    ({"namespace": 3}, "namespace must be a Mapping, got int"),
    ({"weight": ["w", "w"]}, "weight must be one or 1, one for each of the synapses, got 2"),
    ({"time_constant": 20 * mV}, "time_constant must be times such as 20*ms"),
    ({"time_constant": 0 * ms}, "time_constant must be positive, one or 3 of them"),
    ({"time_constant": [1, 2] * ms}, "time_constant must be positive, one or 3 of them"),
    ({"time_constant": "tau"}, "time_constant: 'three' has no variable 'tau'; its equations define: u, v, x"),
    ({"time_constant": {"other": 3 * ms}}, "time_constant: there is no group 'other'; there are three"),
    ({"state": "m"}, "state: 'three' has no variable 'm'"),
    ({"state": "u"}, "state must name a floating-point variable of 'three' that can be set, got 'u'"),
    ({"state": {"four": "v"}}, "state says nothing of the group 'three'"),
    ({"state": 3}, "state must be a str, got int"),
    ({"input": "drive"}, "input: 'three' has no variable 'drive'"),
    ({"input": {"x": 1 * mV}}, "input: x of 'three' has no unit, got 1. mV"),
    ({"synapses": 3}, "synapses must be a Brian2 Synapses, or several of them, got int"),
    ({"synapses": []}, "synapses must name at least one Synapses object, got none"),
    ({"inhibitory": "mine"}, "inhibitory must be a Brian2 Synapses"),
    ({"protect": 3}, "protect must be a Brian2 NeuronGroup or Subgroup"),
    ({"network": 3}, "network must be a Network, got int"),
]


@pytest.mark.parametrize(("given", "message"), BAD_DESCRIPTIONS)
def test_bad_descriptions(given, message):
    cells = cells_of(name="three")
    mine = between(cells, cells, name="mine")
    with pytest.raises(InvalidInput) as caught:
        LiveNetwork(**{"network": Network(cells, mine), "synapses": mine, **given})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_objects_that_are_not_there():
    cells, others = cells_of(name="here"), cells_of(name="there")
    mine, theirs = between(cells, cells, name="mine"), between(cells, others, name="theirs")
    with pytest.raises(InvalidInput, match="synapses 'mine' are not part of the network; add them to it"):
        LiveNetwork(Network(cells), mine)
    with pytest.raises(InvalidInput, match="group 'there' is not part of the network; add it"):
        LiveNetwork(Network(cells, theirs), theirs)
    with pytest.raises(InvalidInput, match="inhibitory: 'theirs' is not among the synapses"):
        LiveNetwork(Network(cells, mine), mine, inhibitory=theirs)
    with pytest.raises(InvalidInput, match="no synapse to be pruned touches the group 'there'"):
        LiveNetwork(Network(cells, mine), mine, protect=others)
    with pytest.raises(InvalidInput, match="synapses must name each Synapses object once"):
        LiveNetwork(Network(cells, mine), [mine, mine])
    with pytest.raises(InvalidInput, match="the network has no Synapses to prune"):
        LiveNetwork(Network(cells))


def test_what_pruning_refuses_before_anything_changes():
    network, synapses = two_groups()
    states = full_state(network)

    def refused(message, *, description=None, **options):
        live = LiveNetwork(network, synapses, **(description or {}))
        with pytest.raises(InvalidInput, match=message):
            prune(live, **{"steps": STEPS, "options": QUICK, **options})
        assert_same_state({k: v for k, v in full_state(network).items() if k in states}, states)

    refused("cannot be kept with neuron_sparsity", options=replace(QUICK, synapse_sparsity=0.1))
    everyone = [network["cells_e"], network["cells_i"]]
    refused(
        "would leave 32 neurons, but 40 are protected; lower it or protect fewer", description={"protect": everyone}
    )
    refused("report must be a function that takes a Progress, or 'bar', got 3", report=3)
    monitor = StateMonitor(synapses[0], "w", record=True, name="watch")
    network.add(monitor)
    states = full_state(network)
    refused("StateMonitors record 380 of 380 synapses of 'e_to_e', which then have to stay")


def test_donors_in_one_object_are_those_of_the_pure_function():
    network, (only, *_) = two_groups()
    single = LiveNetwork(network, only, namespace={})
    pre, post = np.array([1, 2, 3]), np.array([7, 8, 9])
    donors = donor_synapses(pre, single.weights(), signs=single.signs(), rng=np.random.default_rng(2))
    weights = single.weights()[donors]
    add_like(single, pre, post, signs=single.signs(), rng=np.random.default_rng(2))
    assert_array_equal(only.w_[-3:], weights)


def test_standalone_devices_are_refused(tmp_path):
    previous = get_device()
    set_device("cpp_standalone", build_on_run=False, directory=str(tmp_path / "program"))
    try:
        cells = cells_of(name="cells")
        only = between(cells, cells, name="only")
        network = Network(cells, only)
        with pytest.raises(InvalidInput, match="synapses 'only' belong to CPPStandaloneDevice"):
            prune(LiveNetwork(network, only, namespace={}), options=QUICK)
    finally:
        get_device().reinit()
        set_device(previous)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("when", ["start", "run"])
def test_a_state_that_is_no_number_is_called_so(when, wrong):
    # Where hot is 1 the potential grows as 1/(t0 - t), beyond all bounds within 1 ms.
    model = "dv/dt = hot*v**2/(0.1*ms) : 1\nhot : 1"
    cells = NeuronGroup(30, model, threshold="v > 1", reset="v *= 1", method="euler")
    cells.hot[7] = 1
    cells.v[7] = wrong if when == "start" else 3
    synapses = Synapses(cells, cells, "w : 1", on_pre="v_post += 0*w")
    synapses.connect(p=0.3)
    synapses.w = 0.1
    before = np.array(synapses.i[:])
    with pytest.raises(InvalidInput, match=r"v of neuron 7 of neurongroup.* is (nan|inf); give it a finite start"):
        prune(LiveNetwork(Network(cells, synapses), synapses, state="v"), STEPS, options=QUICK)
    np.testing.assert_array_equal(synapses.i[:], before)
