"""The survivors alone do what the pruned network does in place, bit for bit, or `compact` says why not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brian2 import (
    EventMonitor,
    Function,
    Hz,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    PopulationRateMonitor,
    SpatialNeuron,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    defaultclock,
    linked_var,
    ms,
    run,
    second,
    seed,
    start_scope,
    um,
    volt,
)
from brian2.spatialneuron.morphology import Cylinder
from foreign_networks import NETWORKS, Foreign
from test_structure import assert_same_state

from lnpbrian import InvalidInput, LiveNetwork, PruneOptions, compact, prune, run_time
from lnpbrian.network import CompactNetwork
from lnpbrian.network.brian2_internals import per_synapse, whole_group
from lnpbrian.network.structure import add_synapses, mute_neurons, silence_neurons

AT = 40  # ms of the edit


def silenced(live: LiveNetwork, share: float = 0.2) -> LiveNetwork:
    """Silence some neurons of every group, with all their synapses but those that are recorded."""
    rng = np.random.default_rng(0)
    for group in live.groups:
        if not isinstance(group, NeuronGroup):
            continue
        touching = [s for s in live.network.objects if isinstance(s, Synapses)]
        touching = [s for s in touching if group.name in {whole_group(e)[0].name for e in (s.source, s.target)}]
        held = [np.array([], dtype=int)]
        for s in touching:
            recorded = live.connections.index(s) if s in live.connections else None
            if recorded is not None:
                mask = live.split(live.recorded())[recorded]
                for end, side in ((s.source, s.i[:]), (s.target, s.j[:])):
                    if whole_group(end)[0].name == group.name:
                        held.append(np.asarray(side)[mask] + getattr(end, "start", 0))
        free = np.setdiff1d(np.arange(len(group)), np.concatenate(held))
        silence_neurons(group, rng.permutation(free)[: int(share * len(group))], synapses=touching)
    return live


def assert_same_from(old: Network, small: CompactNetwork, since: float) -> int:
    """Compare what both have recorded and hold now, bit for bit; return the number of spikes and events."""
    counted = 0
    for new in small.network.objects:
        before: Any = next(obj for obj in old.objects if obj.name == new.name)
        if isinstance(new, EventMonitor):
            late = np.array(before.t_) > since - 1e-6
            source = before.source
            numbers = small.index[getattr(source, "source", source).name]
            start = getattr(source, "start", 0)
            inside = numbers[start : start + len(source)]
            moved = np.where(inside < 0, -1, inside - inside[inside >= 0].min())
            np.testing.assert_array_equal(moved[np.array(before.i)[late]], new.i[:])
            for name in new.record_variables - {"i"}:
                np.testing.assert_array_equal(np.array(getattr(before, name))[late], np.array(getattr(new, name)))
            counted += len(new.i)
        elif isinstance(new, StateMonitor):
            late = np.array(before.t_) > since - 1e-6
            record = np.asarray(before.record)
            if before.source.name in small.index:
                record = small.index[before.source.name][record]
            for name in new.record_variables:
                values = np.array(getattr(before, f"{name}_"))[record >= 0][:, late]
                np.testing.assert_array_equal(values, np.array(getattr(new, f"{name}_")))
        elif isinstance(new, Synapses):
            a, b = per_synapse(before), per_synapse(new)
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_array_equal(a[name].get_value(), b[name].get_value())
        elif isinstance(new, NeuronGroup):
            alive = small.index[new.name] >= 0
            for name in new.equations.names:
                a, b = (np.asarray(getattr(g, f"{name}_")[:]) for g in (before, new))
                np.testing.assert_array_equal(a[alive] if a.ndim else a, b)
    return counted


def both_run(network: Network, small: CompactNetwork, duration: float, random: int = 7) -> None:
    for each in (network, small.network):
        seed(random)
        each.run(duration * ms, namespace=small.namespace)


# ------------------------------------------------------------------------------------------------------ equal activity


def everything() -> SimpleNamespace:
    """Return a network with most of what Brian2 has, and spikes in flight after AT."""
    rng = np.random.default_rng(3)
    neurons = NeuronGroup(
        50,
        """dv/dt = (drive - v + ge - gi + 0.1*half)/tau : 1 (unless refractory)
        dge/dt = -ge/(5*ms) : 1
        dgi/dt = -gi/(7*ms) : 1
        half = v/2 : 1
        held = v**2 : 1 (constant over dt)
        drive : 1
        gap : 1
        tau : second (constant)
        level : 1 (shared)
        fired : integer""",
        threshold="v > 1",
        reset="v = 0; fired += 1",
        refractory="1*ms + 2*ms*int(drive > 1.2)",
        events={"high": "v > 0.95"},
        method="euler",
        dtype={"gi": np.float32},
        name="neurons",
    )
    neurons.run_on_event("high", "drive += 0.001*level")
    neurons.set_event_schedule("high", when="after_resets")
    neurons.run_regularly("drive += 0.001*held", dt=5 * ms, when="end")
    neurons[20:].run_regularly("drive += 0.002", dt=7 * ms)
    neurons.drive, neurons.v, neurons.level = 1 + 0.4 * rng.random(50), rng.random(50), 2
    neurons.tau = (8 + 4 * rng.random(50)) * ms
    others = NeuronGroup(
        20,
        """dv/dt = (1.05 - v + ge + 0.1*u)/(9*ms) : 1
        dge/dt = -ge/(5*ms) : 1
        u : 1 (linked)""",
        threshold="v > 1",
        reset="v = 0",
        method="euler",
        name="others",
    )
    others.u = linked_var(neurons, "v", index=np.arange(20) // 2)
    others.v = rng.random(20)
    source = SpikeGeneratorGroup(8, np.arange(400) % 8, np.arange(400) * 0.5 * ms, name="source")
    plastic = Synapses(
        neurons[:40],
        neurons,
        """w : 1
        top : 1 (shared)
        dbefore/dt = -before/(20*ms) : 1 (event-driven)
        dafter/dt = -after/(15*ms) : 1 (event-driven)""",
        on_pre={"pre": "ge_post += w; before += 0.01; w = clip(w + after, 0, top)", "late": "gi_post += 0.3*w"},
        on_post="after -= 0.012; w = clip(w + before, 0, top)",
        name="plastic",
    )
    pairs = rng.integers(0, 40, 300), rng.integers(0, 50, 300)
    plastic.connect(i=pairs[0], j=pairs[1])
    plastic.w, plastic.top = 0.1 * rng.random(300), 0.2
    plastic.pre.delay, plastic.late.delay = 10 * rng.random(300) * ms, 20 * rng.random(300) * ms
    onto = Synapses(neurons, others, on_pre="ge += 0.1", delay=2 * ms, name="onto")
    onto.connect(i=rng.integers(0, 50, 100), j=rng.integers(0, 20, 100))
    back = Synapses(others, neurons[10:], "w : 1", on_pre="gi_post += w", name="back")
    back.connect(i=rng.integers(0, 20, 100), j=rng.integers(0, 40, 100))
    back.w, back.delay = 0.05, 5 * rng.random(100) * ms
    fed = Synapses(
        source,
        neurons,
        "w : 1\ndx/dt = (1 - x)/(50*ms) : 1 (clock-driven)",
        on_pre="ge += w*x; x *= 0.8",
        method="exact",
        multisynaptic_index="which",
        name="fed",
    )
    fed.connect(i=rng.integers(0, 8, 90), j=rng.integers(0, 50, 90), n=2)
    fed.w, fed.x = 0.3, 1
    gaps = Synapses(neurons, neurons, "gap_post = 0.01*(v_pre - v_post) : 1 (summed)", name="gaps")
    gaps.connect(i=rng.integers(0, 50, 60), j=rng.integers(0, 50, 60))
    onto_synapses = Synapses(source, plastic, on_pre="w_post *= 0.999", name="onto_synapses")
    onto_synapses.connect(i=np.arange(100) % 8, j=np.arange(100))
    monitors = (
        SpikeMonitor(neurons, variables="v", name="spikes"),
        SpikeMonitor(neurons[30:], name="part"),
        SpikeMonitor(others, name="other_spikes"),
        EventMonitor(neurons, "high", name="highs"),
        StateMonitor(neurons, ["v", "half", "gap"], record=[0, 5, 31, 49], dt=0.3 * ms, name="states"),
        StateMonitor(plastic, "w", record=[0, 1], name="weights"),
        PopulationRateMonitor(neurons, name="rate"),
    )
    seen: list[Any] = []
    operation = NetworkOperation(lambda t: seen.append(t), dt=10 * ms, name="operation")
    synapses = (plastic, onto, back, fed, gaps)
    network = Network(neurons, others, source, *synapses, onto_synapses, *monitors, operation)
    network.run(AT * ms, namespace={})
    return SimpleNamespace(network=network, neurons=neurons, others=others, synapses=synapses)


def pruned_everything(**more: Any) -> SimpleNamespace:
    s = everything()
    s.live = LiveNetwork(
        s.network, s.synapses[:3], weight=["w", 0.1, "w"], inhibitory=s.synapses[2], state="v", namespace={}, **more
    )
    recorded = {int(s.synapses[0].i[k]) for k in (0, 1)} | {int(s.synapses[0].j[k]) for k in (0, 1)}
    s.gone = np.setdiff1d([1, 5, 12, 33, 44, 45], list(recorded | set(range(10))))
    silence_neurons(s.neurons, s.gone, synapses=s.synapses, drive=0)
    silence_neurons(s.others, [2, 19], synapses=s.synapses[1:3])
    return s


def test_everything_goes_on_as_in_place():
    s = pruned_everything()
    flying = [p.queue._full_state() for x in s.synapses for p in x._pathways]
    assert sum(len(slot) for _, slots in flying for slot in slots) > 50
    before = s.network._full_state()
    small = compact(s.live)
    assert_same_state(before, s.network._full_state())
    assert (small.network.t, small.differs, small.left_out) == (AT * ms, (), ())
    assert len(small.network["neurons"]) == 50 - s.gone.size < 50
    both_run(s.network, small, 60)
    assert assert_same_from(s.network, small, AT / 1000) > 300
    order = [obj.name for obj in s.network.sorted_objects if not obj.name.endswith("_rest")]
    assert [obj.name for obj in small.network.sorted_objects] == order
    assert (small.n_alive, small.n_synapses) == (s.live.n_alive, s.live.n_synapses)
    np.testing.assert_array_equal(small.weights(), s.live.weights())
    np.testing.assert_array_equal(small.signs(), s.live.signs()[s.live.alive])
    np.testing.assert_array_equal(small.time_constants, s.live.time_constants[s.live.alive])


def test_nothing_is_shared_with_the_old_network():
    s = pruned_everything()
    small = compact(s.live)
    before = s.network._full_state()
    small.run(20 * ms)
    after = s.network._full_state()
    clocks = {obj.clock.name for obj in s.network.sorted_objects}  # these are shared, and set by every run
    for state in (before, after):
        for name in clocks:
            state.pop(name)
    assert_same_state(before, after)


def test_a_network_that_lost_nobody_is_copied():
    s = everything()
    small = compact(LiveNetwork(s.network, s.synapses[0], weight="w", state="v", namespace={}))
    both_run(s.network, small, 30)
    assert assert_same_from(s.network, small, AT / 1000) > 100


# Networks that draw random numbers for each neuron.
RANDOM = {"four_projections", "sparse_noisy", "synfire_chain", "simple_model"}


@pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)
def test_networks_after_papers_go_on_as_in_place(build):
    foreign: Foreign = build()
    seed(5)
    foreign.network.run(foreign.before * ms, namespace={})
    weights = {
        s: w for s, w in zip(foreign.synapses, foreign.weight, strict=True) if not isinstance(s.target, Synapses)
    }
    weights = weights or {foreign.network["synapses"]: "w"}
    states = {g.name: s for g, s in zip(foreign.groups, foreign.state, strict=False)}
    live = LiveNetwork(foreign.network, list(weights), weight=list(weights.values()), state=states, namespace={})
    silenced(live)
    assert not live.alive.all()
    small = compact(live)
    both_run(foreign.network, small, foreign.after)
    assert bool(small.differs) == (build.__name__ in RANDOM)
    if not small.differs:
        assert assert_same_from(foreign.network, small, foreign.before / 1000) > 20


# ------------------------------------------------------------------------------------------------------------ pruning


def pulses(n: int = 60, **more: Any) -> SimpleNamespace:
    rng = np.random.default_rng(1)
    cells = NeuronGroup(
        n,
        "dv/dt = (drive - v)/(10*ms) : 1\ndrive : 1",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        name="cells",
        **more,
    )
    cells.v, cells.drive = rng.random(n), 1.05 + 0.3 * rng.random(n)
    synapses = Synapses(cells, cells, on_pre="v_post += 0.02", delay=1 * ms, name="synapses")
    synapses.connect(i=rng.integers(0, n, 6 * n), j=rng.integers(0, n, 6 * n))
    spikes = SpikeMonitor(cells, name="spikes")
    return SimpleNamespace(cells=cells, synapses=synapses, spikes=spikes, network=Network(cells, synapses, spikes))


QUICK = PruneOptions(0.6, 0.2, iterations=1, realisations=1, observation=60 * ms, exponent_duration=30 * ms)


def test_pruned_and_compact_and_pruned_again():
    s = pulses()
    result = prune(LiveNetwork(s.network, namespace={}), options=QUICK)
    small = compact(result.live)  # the weight is a constant, so pruning has given each synapse a factor
    assert (len(small.network["cells"]), small.n_alive) == (48, 48)
    both_run(s.network, small, 50)
    assert assert_same_from(s.network, small, 0) > 50
    again = prune(small, options=QUICK)
    assert again.after.neurons == 38
    smaller = compact(small)
    both_run(small.network, smaller, 50)
    assert assert_same_from(small.network, smaller, 0.05) > 20
    assert small.describe().splitlines()[1].split()[0] == "synapses"


def test_a_script_without_a_network():
    start_scope()
    s = pulses()
    cells, synapses, spikes = s.cells, s.synapses, s.spikes
    operation = cells.run_regularly("drive += 0.001", dt=5 * ms)
    run(10 * ms, namespace={})
    silence_neurons(cells, [3, 4], synapses=synapses)
    small = compact(LiveNetwork())
    run(30 * ms, namespace={})
    small.run(30 * ms)
    numbers = small.index["cells"]
    late = np.array(spikes.t_) > 0.01 - 1e-6
    np.testing.assert_array_equal(numbers[np.array(spikes.i)[late]], small.network["spikes"].i[:])
    assert operation.name in {part.name for part in small.network["cells"].contained_objects}


def test_a_plain_network_with_muted_neurons():
    s = pulses()
    other = NeuronGroup(5, "dv/dt = 1.5/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="other")
    s.network.add(other)
    mute_neurons(other, [0])
    small = compact(s.network)
    assert len(small.network["other"]) == 4
    np.testing.assert_array_equal(small.index["other"], [-1, 0, 1, 2, 3])


def test_monitors_of_some_neurons():
    s = pulses()
    lost = StateMonitor(s.cells, "v", record=[2], name="lost")
    kept = StateMonitor(s.cells, "v", record=[1, 2, 3], name="kept")
    s.network.add(lost, kept)
    silence_neurons(s.cells, [2], synapses=s.synapses)
    small = compact(LiveNetwork(s.network, namespace={}))
    assert small.left_out == ("lost",)
    assert small.network["kept"].record.tolist() == [1, 2]


def test_random_numbers_are_said():
    s = pulses()
    poisson = PoissonInput(s.cells, "v", 10, 20 * Hz, 0.01)
    feed = PoissonGroup(5, 50 * Hz, name="feed")
    fed = Synapses(feed, s.cells, on_pre="v_post += 0.1", name="fed")
    fed.connect(i=[0, 1], j=[8, 9])
    s.network.add(poisson, feed, fed)
    silence_neurons(s.cells, [2], synapses=[s.synapses, fed])
    small = compact(LiveNetwork(s.network, s.synapses, namespace={}))
    assert small.differs == (f"'{poisson.name}' draws random numbers for each neuron of 'cells'",)
    small.run(50 * ms)
    assert len(small.network["spikes"].i) > 20


# ----------------------------------------------------------------------------------------------------------- refusals


def of_number(s: SimpleNamespace) -> str:
    s.cells.run_regularly("drive = 1 + 0.01*i/N", dt=5 * ms)
    return "the code of 'cells' uses 'N', and 'cells' becomes smaller; the code of 'cells' uses 'i'"


def of_operation(s: SimpleNamespace) -> str:
    cells = s.cells
    s.network.add(NetworkOperation(lambda: cells.v[:].sum(), name="looks"))
    return "the function of 'looks' refers to 'cells'"


def of_operation_hidden(s: SimpleNamespace) -> str:
    class Watcher:
        def __init__(self, view: Any) -> None:
            self.kept = {"views": [view]}

        def look(self) -> None:
            self.other()

        def other(self) -> None:
            pass

    s.network.add(NetworkOperation(Watcher(s.cells.v).look, name="looks"))
    return "the function of 'looks' refers to 'cells'"


def of_operation_array(s: SimpleNamespace) -> str:
    values = s.cells.variables["v"].get_value()[3:]
    s.network.add(NetworkOperation(lambda: values.sum(), name="looks"))
    return "the function of 'looks' refers to values of the network"


def of_operation_network(s: SimpleNamespace) -> str:
    network = s.network
    network.add(NetworkOperation(lambda: network.stop(), name="stops"))
    return "the function of 'stops' refers to the network"


def of_function(s: SimpleNamespace) -> str:
    mine = Function(lambda x: x - x.mean(), arg_units=[1], return_unit=1)
    other = NeuronGroup(3, "dv/dt = -mine(v)/second : 1", method="euler", name="other", namespace={"mine": mine})
    s.network.add(other)
    return "'other' uses the function mine()"


def of_class(s: SimpleNamespace) -> str:
    class Mine(NeuronGroup):
        pass

    s.network.add(Mine(3, "v : 1", name="mine"))
    return "'mine' is a Mine, which is not known here"


def of_spatial(s: SimpleNamespace) -> str:
    s.network.add(SpatialNeuron(Cylinder(length=9 * um, diameter=1 * um, n=3), "Im = 0*amp/meter**2 : amp/meter**2"))
    return "is a SpatialNeuron, which is not known here"


def of_link(s: SimpleNamespace) -> str:
    other = NeuronGroup(3, "u : 1 (linked)", name="other")
    other.u = linked_var(s.cells, "v", index=[1, 2, 3])
    s.network.add(other)
    return "'u' of 'other' is linked to removed neurons of 'cells'"


def of_named_link(s: SimpleNamespace) -> str:
    other = NeuronGroup(3, "u : 1 (linked)\nwhere : integer (constant)", name="other")
    other.where = [4, 5, 6]
    other.u = linked_var(s.cells, "v", index="where")
    s.network.add(other)
    return "the link of 'u' of 'other' cannot be followed"


def of_synapses_left(s: SimpleNamespace) -> str:
    add_synapses(s.synapses, [2], [5])
    return "'synapses' has synapses at removed neurons of 'cells'; remove these"


def of_synapse_numbers(s: SimpleNamespace) -> str:
    shifted = Synapses(s.cells, s.cells, on_pre="v_post += 0.001*int(i < N_pre/2)", name="shifted")
    shifted.connect(i=[5], j=[6])
    s.network.add(shifted)
    return "the code of 'shifted' uses 'N_pre', and 'cells' becomes smaller; the code of 'shifted' uses 'i'"


def of_nobody(s: SimpleNamespace) -> str:
    pair = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="pair")
    s.network.add(pair)
    mute_neurons(pair, [0, 1])
    return "no neuron of 'pair' is left"


def of_nobody_in_part(s: SimpleNamespace) -> str:
    s.network.add(SpikeMonitor(s.cells[2:3], name="part"))
    return "no neuron of 'cells_subgroup' is left, which 'part' refers to"


def of_two_dimensions(s: SimpleNamespace) -> str:
    drawn = TimedArray(np.zeros((3, 60)), dt=1 * ms)
    s.cells.namespace["drawn"] = drawn
    s.cells.run_regularly("drive += drawn(t, i)", dt=5 * ms)
    return "the code of 'cells' uses 'i', and 'cells' becomes smaller"


def of_part_operation(s: SimpleNamespace) -> str:
    s.part = s.cells[2:3]
    s.part.run_regularly("drive += 0.01", dt=5 * ms)
    return "is left, which 'cells' refers to"


def of_part_numbers(s: SimpleNamespace) -> str:
    s.part = s.cells[10:20]
    s.part.run_regularly("drive += 0.01*i", dt=5 * ms)
    return "the code of 'cells' uses 'i'"


def of_variable(s: SimpleNamespace) -> str:
    s.cells.variables.add_array("mine", size=60)
    return "'cells' stores 'mine', which its equations do not define"


def of_contained(s: SimpleNamespace) -> str:
    s.cells.contained_objects.append(NetworkOperation(lambda: None, name="inner"))
    return "'cells' has a NetworkOperation, 'inner'"


def of_missing(s: SimpleNamespace) -> str:
    s.outside = NeuronGroup(3, "v : volt", threshold="v > 1*volt", reset="v = 0*volt", name="outside")
    s.outside.v = 0 * volt
    s.network.add(StateMonitor(s.outside, "v", record=[0], name="states"))
    return "'states' refers to 'outside', which is not a group of the network"


REFUSED = [value for name, value in sorted(globals().items()) if name.startswith("of_")]


def with_silent(make: Any) -> tuple[SimpleNamespace, LiveNetwork, str]:
    start_scope()
    s = pulses(namespace={})
    silence_neurons(s.cells, [2], synapses=s.synapses)
    live = LiveNetwork(s.network, s.synapses, namespace={"second": second, "ms": ms})
    return s, live, make(s)


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_refused(make):
    s, live, why = with_silent(make)
    before = {name: v.get_value().copy() for name, v in s.cells.variables.items() if hasattr(v, "resize") or v.array}
    with pytest.raises(InvalidInput) as refused:
        compact(live)
    text = str(refused.value)
    assert why in text
    assert "\n" not in text
    assert all(np.array_equal(s.cells.variables[name].get_value(), values) for name, values in before.items())


def test_all_that_stands_in_the_way_is_named():
    s, live, first = with_silent(of_number)
    reasons = [first, of_operation(s), of_function(s), of_link(s)]
    with pytest.raises(InvalidInput) as refused:
        compact(live)
    assert all(reason in str(refused.value) for reason in reasons)


def test_operations_that_look_at_nothing_of_the_network_are_taken_over():
    s, live, _ = with_silent(lambda s: "")
    elsewhere, table = NeuronGroup(3, "v : 1", name="elsewhere"), {"a": [np.zeros(3)]}
    s.network.add(NetworkOperation(lambda: (elsewhere.v, table, np.mean, run, defaultclock.dt), name="looks"))
    assert "looks" in {obj.name for obj in compact(live).network.objects}


def test_during_a_run():
    s, live, _ = with_silent(lambda s: "")
    said: list[str] = []

    def look() -> None:
        with pytest.raises(InvalidInput) as refused:
            compact(live)
        said.append(str(refused.value))

    s.network.add(NetworkOperation(look, dt=10 * ms))
    s.network.run(1 * ms, namespace={})
    assert said == ["a network cannot be made compact during its run; end the run first"]


@pytest.mark.parametrize("wrong", [3, None, "net"])
def test_other_things_are_refused(wrong):
    for function in (compact, run_time):
        with pytest.raises(InvalidInput, match=r"network must be"):
            function(wrong)


# ------------------------------------------------------------------------------------------------------------- times


def test_times_are_measured_from_the_present_state():
    s, live, _ = with_silent(lambda s: "")
    before = run_time(live, 5 * ms, repeats=2)
    small = compact(live)
    state = s.network._full_state()
    found = small.speedup(5 * ms, repeats=2, before=before)
    assert_same_state(state["cells"], s.network._full_state()["cells"])
    assert (s.network.t, small.network.t) == (0 * ms, 0 * ms)
    assert found.before is before
    assert found.factor == before.median / found.compact.median
    assert min(found.in_place.per_second + found.compact.per_second) > 0
    assert run_time(s.network, 5 * ms, repeats=1).preparation > 0
    Network(*s.network.objects).run(1 * ms, namespace={})  # as if nobody had run them
