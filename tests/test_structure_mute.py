"""Neurons that must not fire. The oracle is a model with a variable for it in its threshold, bit for bit."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brian2 import EventMonitor, Network, NetworkOperation, NeuronGroup, SpikeMonitor, Synapses, ms, prefs, seed
from test_structure import assert_same_state, full_state, run

from lnpbrian.checks import InvalidInput
from lnpbrian.network.structure import mute_neurons, silence_neurons


def driven(guard: str = "", *, n: int = 8, refractory: Any = 2 * ms) -> SimpleNamespace:
    """Return a network driven beyond threshold, that fires by chance as well, with an event of its own."""
    group = NeuronGroup(
        n,
        "dv/dt = (2 + I - v)/(10*ms) : 1 (unless refractory)\ndI/dt = -I/(5*ms) : 1\nalive : boolean",
        threshold=f"(v > 1 or rand() < 0.01) and {guard}" if guard else "v > 1 or rand() < 0.01",
        reset="v = 0",
        refractory=refractory,
        events={"high": f"v > 0.8 and {guard}" if guard else "v > 0.8"},
        method="exact",
        name="g",
    )
    group.v, group.alive = np.linspace(0, 0.9, n), True
    synapses = Synapses(group, group, "w : 1", on_pre="I_post += w", delay=1 * ms, name="s")
    synapses.connect(i=np.arange(n), j=(np.arange(n) + 1) % n)
    synapses.w = 0.3
    spikes, events = SpikeMonitor(group, name="m"), EventMonitor(group, "high", name="e")
    net = Network(group, synapses, spikes, events)
    return SimpleNamespace(net=net, group=group, synapses=synapses, spikes=spikes, events=events)


def assert_same_trains(a: SimpleNamespace, b: SimpleNamespace) -> None:
    for name in ("spikes", "events"):
        one, other = getattr(a, name), getattr(b, name)
        np.testing.assert_array_equal(one.i[:], other.i[:])
        np.testing.assert_array_equal(one.t_[:], other.t_[:])
    np.testing.assert_array_equal(a.group.v[:], b.group.v[:])


def spikes_after(system: SimpleNamespace, t: Any) -> np.ndarray:
    return system.spikes.i[:][system.spikes.t[:] > t]


@pytest.mark.parametrize(
    ("target", "refractory"),
    [
        ("numpy", False),
        ("numpy", 2 * ms),
        ("numpy", "v > 0.5"),
        pytest.param("cython", 2 * ms, marks=pytest.mark.cython),
    ],
)
def test_muted_is_a_threshold_with_a_variable(monkeypatch: pytest.MonkeyPatch, target: str, refractory: Any):
    monkeypatch.setitem(prefs, "codegen.target", target)
    muted, reference = driven(refractory=refractory), driven("alive", refractory=refractory)
    seed(1)
    run(muted, 7)
    mute_neurons(muted.group, [2, 5])
    run(muted, 12)
    seed(1)
    run(reference, 7)
    reference.group.alive[[2, 5]] = False
    run(reference, 12)
    assert_same_trains(muted, reference)
    late = spikes_after(muted, 7 * ms)
    assert set(late.tolist()) == set(range(8)) - {2, 5}
    assert not np.isin(muted.events.i[muted.events.t > 7 * ms], [2, 5]).any()
    muted.group.lnpbrian_alive[2] = True
    run(muted, 12)
    assert 2 in spikes_after(muted, 19 * ms)
    assert 5 not in spikes_after(muted, 7 * ms)


def test_a_network_in_which_no_neuron_is_muted_goes_on_as_before():
    prepared, untouched = driven(), driven()
    mute_neurons(prepared.group, [])
    for system in (prepared, untouched):
        seed(2)
        run(system, 15)
    assert_same_trains(prepared, untouched)


def test_muting_again_adds_to_the_muted_ones():
    system = driven()
    for indices in ([1], [3], []):
        mute_neurons(system.group, indices)
    assert np.flatnonzero(~system.group.lnpbrian_alive[:]).tolist() == [1, 3]
    assert system.group.events["high"].count("lnpbrian_alive") == 1


def test_subgroups_are_numbered_from_their_start():
    system = driven()
    part = system.group[3:6]
    mute_neurons(part, [0, 2])
    assert np.flatnonzero(~system.group.lnpbrian_alive[:]).tolist() == [3, 5]
    assert part.events == {"spike": "v > 1 or rand() < 0.01", "high": "v > 0.8"}  # only its names matter to Brian2
    watcher = SpikeMonitor(system.group[3:6])
    system.net.add(watcher)
    run(system, 20)
    assert set(watcher.i[:].tolist()) == {1}


def test_restore_knows_who_was_muted_when():
    system, reference = driven(), driven()
    seed(3)
    run(system, 5)
    system.net.store("before")
    mute_neurons(system.group, [0, 1])
    run(system, 5)
    system.net.store("two")
    mute_neurons(system.group, [2])
    system.net.store("three")
    system.net.restore("two")
    assert np.flatnonzero(~system.group.lnpbrian_alive[:]).tolist() == [0, 1]
    system.net.restore("three")
    assert np.flatnonzero(~system.group.lnpbrian_alive[:]).tolist() == [0, 1, 2]
    system.net.restore("before")
    assert system.group.lnpbrian_alive[:].all()
    seed(4)
    run(system, 10)
    seed(3)
    run(reference, 5)
    seed(4)
    run(reference, 10)
    assert_same_trains(system, reference)


def test_restore_from_files(tmp_path: Path):
    system = driven()
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    system.net.store(filename=old)
    mute_neurons(system.group, [4])
    system.net.store(filename=new)
    state = full_state(system)
    del system
    again = driven()
    mute_neurons(again.group, [1])
    again.net.restore(filename=old)
    assert again.group.lnpbrian_alive[:].all()
    again.net.restore(filename=new)
    assert_same_state(state, full_state(again))


def test_a_dictionary_of_events_that_groups_share_is_left_alone():
    events = {"high": "v > 1"}
    one, other = NeuronGroup(2, "v : 1", events=events), NeuronGroup(2, "v : 1", events=events)
    mute_neurons(one, [0])
    assert events == other.events == {"high": "v > 1"}


def test_groups_that_cannot_be_muted():
    silent = NeuronGroup(2, "v : 1", name="silent")
    with pytest.raises(InvalidInput, match="group 'silent' has no threshold: its neurons do not fire"):
        mute_neurons(silent, [0])
    silence_neurons(silent, [0], v=1)
    taken = NeuronGroup(2, "v : 1\nlnpbrian_alive : 1", threshold="v > 1", name="taken")
    with pytest.raises(InvalidInput, match="'taken' has a variable 'lnpbrian_alive', which mute_neurons needs; rename"):
        mute_neurons(taken, [0])
    with pytest.raises(InvalidInput, match="indices must hold indices from 0 to 1"):
        mute_neurons(taken, [2])
    with pytest.raises(InvalidInput, match=r"neurons must be a brian2\.NeuronGroup or a Subgroup"):
        mute_neurons(Synapses(taken, taken, on_pre="v_post += 1"), [0])


def test_during_a_run_only_prepared_groups():
    system = driven()
    messages = []

    def edit() -> None:
        try:
            mute_neurons(system.group, [3])
        except InvalidInput as error:
            messages.append(str(error))

    system.net.add(NetworkOperation(edit, dt=100 * ms))
    run(system, 1)
    assert messages == [
        "neurons of 'g' cannot be muted for the first time during a run; call mute_neurons(g, []) before it"
    ]
    assert "lnpbrian_alive" not in system.group.variables
    mute_neurons(system.group, [])
    run(system, 119)  # the operation comes again at 100 ms
    assert len(messages) == 1
    assert 3 in system.spikes.i
    assert 3 not in spikes_after(system, 100 * ms)


@pytest.mark.parametrize(
    ("threshold", "values", "muted"),
    [
        ("v > 1 and alive", {"alive": False}, False),
        ("(v > 1) and (alive)", {"alive": [False, False]}, False),
        ("alive and v > 1 and True", {"alive": False}, False),
        ("v > 1 and alive", {"alive": [True, False]}, True),
        ("v > 1 and alive", {"alive": True}, True),
        ("v > 1 and alive", {}, True),
        ("v > 1 or alive", {"alive": False}, True),
        ("v > 1 and not alive", {"alive": False}, True),
        ("v > 1", {"v": 0}, True),
    ],
)
def test_silenced_neurons_are_muted_unless_their_threshold_has_it(threshold: str, values: dict[str, Any], muted: bool):
    def group() -> NeuronGroup:
        return NeuronGroup(3, "v : 1\nalive : boolean", threshold=threshold)

    silenced = group()
    silence_neurons(silenced, [0, 2], **values)
    assert ("lnpbrian_alive" in silenced.variables) == muted
    if muted:
        assert silenced.lnpbrian_alive[:].tolist() == [False, True, False]
    left = group()
    silence_neurons(left, [0, 2], mute=False, **values)
    assert "lnpbrian_alive" not in left.variables


def test_silenced_neurons_do_not_fire_whatever_reaches_them():
    system = driven()
    silence_neurons(system.group, [1, 6], synapses=system.synapses)
    feed = Synapses(system.group, system.group, on_pre="I_post += 5", name="feed")
    feed.connect(i=[0, 0], j=[1, 6])
    system.net.add(feed)
    run(system, 30)
    assert (system.group.v[[1, 6]] > 2).all()
    assert set(system.spikes.i[:].tolist()) == set(range(8)) - {1, 6}
