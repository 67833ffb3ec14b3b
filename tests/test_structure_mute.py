"""Neurons that must not fire. The oracle is a model with a variable for it in its threshold, bit for bit."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brian2 import (
    EventMonitor,
    Hz,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonInput,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
    prefs,
    seed,
)
from test_structure import assert_same_state, full_state, run

from lnpbrian.checks import InvalidInput
from lnpbrian.network.structure import mute_neurons, silence_neurons


def driven(guard: str = "", *, n: int = 8, refractory: Any = 2 * ms) -> SimpleNamespace:
    """Return a network driven beyond threshold, that fires by chance as well, with an event of its own."""
    group = NeuronGroup(
        n,
        "dv/dt = (2 + I - v)/(10*ms) : 1 (unless refractory)\ndI/dt = -I/(5*ms) : 1\nalive : boolean",
        threshold=f"(rand() < 0.01 or v > 1) and {guard}" if guard else "rand() < 0.01 or v > 1",
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
    living = a.group.lnpbrian_alive[:] if "lnpbrian_alive" in a.group.variables else slice(None)
    np.testing.assert_array_equal(a.group.v[living], b.group.v[living])


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
    assert part.events == {"spike": "rand() < 0.01 or v > 1", "high": "v > 0.8"}  # only its names matter to Brian2
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
    assert (system.group.I[[1, 6]] == 0).all()
    assert set(system.spikes.i[:].tolist()) == set(range(8)) - {1, 6}


RUNAWAYS = {
    "exponential": ("dv/dt = (-v + 2*exp((v - 1)/0.1) + drive)/(20*ms) : 1", "v > 3", "v = 0", "euler"),
    "quadratic": ("dv/dt = (v**2 + drive)/(5*ms) : 1", "v > 10", "v = -1", "rk4"),
    "adaptive": (
        "dv/dt = (0.04*v**2 + 5*v + 140 - u + 10*drive)/ms : 1\ndu/dt = 0.02*(0.2*v - u)/ms : 1",
        "v > 30",
        "v = -65; u += 8",
        "euler",
    ),
    "noisy": (
        "dv/dt = (v**2 + drive)/(5*ms) + 0.3*xi/ms**0.5 : 1 (unless refractory)",
        "v > 10",
        "v = -1",
        "euler",
    ),
}


def runaway(kind: str) -> SimpleNamespace:
    model, threshold, reset, method = RUNAWAYS[kind]
    group = NeuronGroup(
        20,
        f"{model}\ndrive : 1\nfield : 1",
        threshold=threshold,
        reset=reset,
        method=method,
        refractory=1 * ms,
        name="g",
    )
    group.v, group.drive = np.linspace(-0.5, 0.5, 20) - 65 * (kind == "adaptive"), np.linspace(1, 3, 20)
    # With (unless refractory), how many numbers PoissonInput draws depends on who is refractory.
    background = [] if kind == "noisy" else [PoissonInput(group, "v", 10, 50 * Hz, 0.01)]
    states = StateMonitor(group, "v", record=True, when="end")
    return SimpleNamespace(
        net=Network(group, *background, states, SpikeMonitor(group, name="m")), group=group, states=states
    )


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("kind", list(RUNAWAYS))
def test_states_of_muted_neurons_rest_and_the_others_go_on_bit_for_bit(kind: str):
    muted, reference = runaway(kind), runaway(kind)
    for system in (muted, reference):
        seed(5)
        run(system, 5)
        if system is muted:
            mute_neurons(system.group[10:], [0, 3])
            rest = np.array(system.group.v[[10, 13]])
        run(system, 10)
        run(system, 10)
    others = np.setdiff1d(np.arange(20), [10, 13])
    np.testing.assert_array_equal(muted.states.v[others], reference.states.v[others])
    late = muted.states.t > 5 * ms
    np.testing.assert_array_equal(muted.states.v[[10, 13]][:, late], rest[:, np.newaxis] * np.ones(late.sum()))


@pytest.mark.cython
def test_states_rest_in_compiled_code_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(prefs, "codegen.target", "cython")
    system = runaway("exponential")
    run(system, 5)
    mute_neurons(system.group, [2])
    rest = float(system.group.v[2])
    run(system, 20)
    assert float(system.group.v[2]) == rest
    assert np.isfinite(system.group.v[:]).all()


def test_nobody_sees_a_muted_neuron_move():
    system = runaway("exponential")
    mute_neurons(system.group, [4])
    rest, seen = float(system.group.v[4]), []
    system.group.run_regularly("v += 100*int(i == 4)", dt=1 * ms)
    for slot in ("after_groups", "after_thresholds", "after_resets", "end"):
        system.net.add(NetworkOperation(lambda: seen.append(float(system.group.v[4])), when=slot))
    run(system, 3)
    assert set(seen) == {rest}


@pytest.mark.parametrize(("spoilt", "rest"), [([3], 2.5), ([0, 1, 2, 3, 4], 0.0)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_becomes_the_median_of_the_living(spoilt: list[int], rest: float, value: float):
    group = NeuronGroup(5, "dv/dt = v**2/ms : 1", threshold="v > 10", reset="v = 0", method="euler")
    group.v = [1.0, 2.0, 3.0, 4.0, 5.0]
    group.v[spoilt] = value
    silence_neurons(group, [3])
    assert float(group.v[3]) == rest
    Network(group).run(1 * ms, namespace={"ms": ms})
    assert float(group.v[3]) == rest


def test_rest_is_stored_restored_and_undone():
    system = runaway("quadratic")
    system.net.store("before")
    start = np.array(system.group.v[:])
    mute_neurons(system.group, [1])
    run(system, 2)
    mute_neurons(system.group, [2])
    rest = np.array(system.group.v[[1, 2]])
    system.net.store("two")
    system.net.restore("before")
    np.testing.assert_array_equal(system.group.v[:], start)
    run(system, 2)
    assert not np.isin(system.group.v[[1, 2]], rest).any()
    system.net.restore("two")
    run(system, 2)
    np.testing.assert_array_equal(system.group.v[[1, 2]], rest)


def test_a_value_given_when_silencing_is_where_a_neuron_rests():
    system = runaway("quadratic")
    silence_neurons(system.group, [7], v=-0.75, drive=0)
    run(system, 5)
    assert float(system.group.v[7]) == -0.75
