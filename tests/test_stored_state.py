"""Networks whose objects Brian2 cannot store or set back: they are pruned all the same, or refused unharmed."""

from contextlib import contextmanager

import numpy as np
import pytest
from brian2 import (
    EventMonitor,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
    prefs,
)
from numpy.testing import assert_array_equal
from test_live import QUICK, assert_same_state, full_state

from lnpbrian import InvalidInput, LiveNetwork, prune
from lnpbrian.network.brian2_internals import StoredState
from lnpbrian.network.live import Snapshot


def network_with(*kinds):
    """A network that runs, and objects of a kind that records it, or whatever a function makes of the cells."""
    cells = NeuronGroup(
        20,
        "dv/dt = (1.2 - v)/(10*ms) : 1",
        threshold="v > 1",
        reset="v = 0",
        method="exact",
        events={"high": "v > 0.9"},
        name="cells",
    )
    cells.v = np.linspace(0, 1, 20)
    between = Synapses(cells, cells, "w : 1", on_pre="v_post += w", name="between")
    between.connect(i=np.repeat(np.arange(20), 5), j=np.random.default_rng(0).integers(20, size=100))
    between.w = 0.01
    return Network(cells, between, [kind(cells) for kind in kinds]), between


MONITORS = {
    "rate": lambda cells: PopulationRateMonitor(cells, name="rate"),
    "spikes": lambda cells: SpikeMonitor(cells, variables="v", name="spikes"),
    "events": lambda cells: EventMonitor(cells, "high", name="events"),
    "state": lambda cells: StateMonitor(cells, "v", record=[0, 3], name="state"),
    "generator": lambda cells: SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="generator"),
}


def lengthened(monitor):
    """Do to a monitor what compiled code does: its arrays get longer, and their variables do not know."""
    for variable in monitor.variables.values():
        if getattr(variable, "owner", None) is not None and variable.owner.name == monitor.name and variable.dynamic:
            variable.size = 0 if np.ndim(variable.get_value()) == 1 else (0, 2)


@pytest.mark.parametrize("kind", MONITORS)
def test_arrays_that_are_longer_than_their_variables_say(kind):
    network, between = network_with(MONITORS[kind])
    network.run(5 * ms)
    lengthened(network[kind])
    before = full_state(network)
    pre = np.array(between.i)
    result = prune(LiveNetwork(network, time_constant=10 * ms), options=QUICK)
    assert 0 < len(between) == result.history[-1].synapses < pre.size
    recorded = {key: value for key, value in before.items() if key[0] == kind}
    assert_same_state({k: v for k, v in full_state(network).items() if k in recorded}, recorded)
    network.run(2 * ms)


@pytest.mark.cython
@pytest.mark.usefixtures("cython")
def test_compiled_monitors():
    network, between = network_with(*MONITORS.values())
    network.run(5 * ms)
    before = full_state(network)
    assert before["rate", "t"].size == 50
    result = prune(LiveNetwork(network, time_constant=10 * ms), options=QUICK)
    assert 0 < len(between) == result.history[-1].synapses < 100
    for key, values in before.items():
        if key[0] in ("rate", "spikes", "events", "state"):
            assert_array_equal(full_state(network)[key], values, err_msg=str(key))


def refusing(step, times=1):
    """Spikes of a user's own class that cannot be stored, or set back: the first `times` times, halfway."""

    class Own(SpikeGeneratorGroup):
        left = times

        def _full_state(self):
            if step == "store":
                raise TypeError("no state")
            return super()._full_state()

        def _restore_from_full_state(self, state):
            if step == "restore" and Own.left:
                Own.left -= 1
                self.variables["spike_time"].resize(0)
                raise ValueError("not me")
            super()._restore_from_full_state(state)

    return lambda cells: Own(2, [0, 1], [1, 2] * ms, name="a_own")


@pytest.mark.parametrize("times", [1, 100])
@pytest.mark.parametrize("step", ["store", "restore"])
def test_what_cannot_be_set_back_is_refused_unharmed(step, times):
    network, between = network_with(refusing(step, times), MONITORS["spikes"])
    network.run(5 * ms)
    before = full_state(network)
    with pytest.raises(InvalidInput, match=r"'a_own'.*take it out") as refused:
        prune(LiveNetwork(network, between, time_constant=10 * ms), options=QUICK)
    assert "\n" not in str(refused.value)
    assert_same_state(full_state(network), before)
    network.run(2 * ms)


def test_one_that_fails_later_leaves_the_others_set_back():
    network, between = network_with(refusing("restore"), MONITORS["spikes"])
    network.run(5 * ms)
    live = LiveNetwork(network, between, namespace={})
    before = full_state(network)
    snapshot = Snapshot(live)
    live.run(10 * ms)
    with pytest.raises(InvalidInput, match="'a_own' cannot be set back to its own state"):
        snapshot.restore()
    assert_same_state(full_state(network), before)


def test_what_was_added_since_goes():
    network, between = network_with()
    network.run(1 * ms)
    live = LiveNetwork(network, between, namespace={})
    objects = set(network.objects)
    snapshot = Snapshot(live)
    network.add(SpikeMonitor(network["cells"], name="late"))
    live.run(1 * ms)
    snapshot.restore()
    assert network.objects == objects


@pytest.mark.parametrize("draws", ["randn", "rand", "both"])
@pytest.mark.parametrize("begun", [False, True])
def test_random_numbers_drawn_in_advance_come_back(draws, begun):
    """Compiled code draws 20,000 numbers at once, and frees the old ones when they are used up."""
    rate = {"randn": "xi/sqrt(ms)", "rand": "rand()/ms", "both": "(rand() + 0.1*randn())/ms"}[draws]
    with compiled():
        cells = NeuronGroup(500, f"dv/dt = -v/(10*ms) + {rate} : 1", method="euler", name="cells")
        network = Network(cells)
        if begun:
            network.run(3.3 * ms)
        before = StoredState(network)
        seen = []
        for _ in range(4):
            network.run(21 * ms)  # 105,000 numbers
            seen.append(np.array(cells.v))
            before.restore()
    for values in seen[1:]:
        assert_array_equal(values, seen[0])
    assert np.ptp(seen[0]) > 0


@contextmanager
def compiled():
    target = prefs.codegen.target
    prefs.codegen.target = "cython"
    try:
        yield
    finally:
        prefs.codegen.target = target
