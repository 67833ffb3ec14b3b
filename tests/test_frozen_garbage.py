"""What exists already is left out of the garbage collections inside a block, and collected after it."""

import gc
import threading
import weakref

import pytest
from brian2 import Network, NeuronGroup, StateMonitor, Synapses, ms

from lnpbrian.network.structure import remove_synapses
from lnpbrian.process import FROZEN_ON_PURPOSE, frozen_garbage


class Node:
    """Is in a reference cycle, as Brian2's objects are."""

    def __init__(self):
        self.me = self


@pytest.fixture(autouse=True)
def nothing_frozen():
    """Take back what the test run itself has frozen."""
    gc.unfreeze()
    yield
    gc.enable()
    gc.collect()
    gc.freeze()


def frozen():
    return gc.get_freeze_count() > FROZEN_ON_PURPOSE


def test_what_was_there_before_is_collected_after():
    old = Node()
    gone = weakref.ref(old)
    with frozen_garbage():
        assert frozen()
        young = Node()
        gone_young = weakref.ref(young)
        del old, young
        gc.collect()
        assert gone() is not None
        assert gone_young() is None
    assert not frozen()
    gc.collect()
    assert gone() is None


def test_an_inner_block_does_not_end_the_outer_one_and_errors_end_it():
    def fail():
        with frozen_garbage():
            with frozen_garbage():
                assert frozen()
            assert frozen()
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fail()
    assert not frozen()


def test_blocks_of_two_threads_overlap():
    begun, ended = threading.Event(), threading.Event()

    def other():
        with frozen_garbage():
            begun.set()
            ended.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait(30)
    with frozen_garbage():
        ended.set()
        thread.join()
    assert not frozen()


def test_what_the_user_has_decided_stays():
    gc.disable()
    with frozen_garbage():
        assert not frozen()
    assert not gc.isenabled()
    gc.enable()
    gc.freeze()
    with frozen_garbage():
        assert frozen()
    assert frozen()


def test_monitors_that_are_gone_are_no_reason_to_refuse_an_edit_in_a_block():
    group = NeuronGroup(3, "v : 1")
    synapses = Synapses(group, group, "w : 1")
    synapses.connect(j="i")
    monitor = StateMonitor(synapses, "w", record=True)
    Network(group, synapses, monitor).run(0 * ms)
    holder = Node()
    holder.monitor = monitor
    with frozen_garbage():
        del monitor, holder
        remove_synapses(synapses, keep=[True, False, True])
        assert frozen()
    assert len(synapses) == 2
