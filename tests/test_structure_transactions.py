"""An edit happens as a whole or not at all: it is stopped at every line of what it does, one after the other."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import brian2
import numpy as np
import pytest
from brian2 import StateMonitor, Synapses, ms
from brian2.core.variables import ArrayVariable, DynamicArrayVariable
from test_structure import assert_same_state, full_state, run
from test_structure_nested import nested

from lnpbrian.network import brian2_internals
from lnpbrian.network.structure import add_synapses, mute_neurons, remove_synapses, silence_neurons

PLACES = {
    brian2_internals.__file__,
    *(str(Path(brian2.__file__).parent / name) for name in ("core/variables.py", "synapses/synapses.py")),
}


@contextmanager
def stopped_at(line: int, error: BaseException) -> Iterator[SimpleNamespace]:
    """Raise `error` when the given number of lines of `PLACES` has been run inside `commit`."""
    count = SimpleNamespace(lines=0, inside=False)

    def local(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_name == "commit":
            count.inside = event != "return"
        if event == "line" and count.inside:
            count.lines += 1
            if count.lines == line:
                raise error  # Python traces no more after that
        return local

    def trace(frame: FrameType, _: str, __: Any) -> Any:
        if frame.f_code.co_filename not in PLACES:
            return None
        count.inside = count.inside or frame.f_code.co_name == "commit"
        return local

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(before)


def everything(system: SimpleNamespace) -> Any:
    """Return the state of a system, with what Brian2 does not store."""
    synapses = [getattr(system, name) for name in ("synapses", "outer", "onto_outer", "from_inner", "within")]
    return {
        "stored": full_state(system),
        "sizes": [sorted((v.name, v.size, len(v.get_value())) for v in s._registered_variables) for s in synapses],
        "connected": [s._connect_called for s in synapses],
        "records": system.monitor.record,
        "events": [list(system.group.events.items())],
        "variables": [sorted(obj.variables) for obj in (system.group, *synapses)],
        "own attributes": sorted(vars(system.group)),
    }


def prepared() -> SimpleNamespace:
    system = nested(3)
    system.monitor = StateMonitor(system.outer, "a", record=[4, 2], name="watched")
    system.net.add(system.monitor)
    run(system, 12)
    return system


def remove(system: SimpleNamespace) -> None:
    keep = np.arange(len(system.synapses)) % 3 > 0
    keep[system.outer.j[[2, 4]]] = True  # recorded
    remove_synapses(system.synapses, keep=keep)


def add(system: SimpleNamespace) -> None:
    add_synapses(system.synapses, [0, 1, 2], [2, 0, 1], w=[0.5, 1, 1.5], delay=2 * ms)


def silence(system: SimpleNamespace) -> None:
    silent = [i for i in range(10) if i not in system.outer.i[[2, 4]]][:2]
    silence_neurons(system.group, silent, synapses=[system.outer, system.from_inner], v=0.5, I=0)


def mute(system: SimpleNamespace) -> None:
    mute_neurons(system.group, [3])


def mute_more(system: SimpleNamespace) -> None:
    mute_neurons(system.group, [4])


EDITS = [remove, add, silence, mute, mute_more]


def go_on(system: SimpleNamespace) -> Any:
    run(system, 10)
    return full_state(system)


@pytest.mark.parametrize(("edit", "stride"), [(remove, 9), (add, 5), (silence, 25), (mute, 1), (mute_more, 1)])
def test_stopped_at_any_line_it_has_not_begun(edit: Callable[[SimpleNamespace], None], stride: int):
    """With a stride of 1 it passes as well, in minutes."""
    system, edited = prepared(), prepared()
    if edit is mute_more:
        mute(system)
        mute(edited)
    before = everything(system)
    line = 1
    while True:
        error = MemoryError() if line % 2 else KeyboardInterrupt()
        with stopped_at(line, error) as count:
            try:
                edit(system)
            except type(error):
                assert count.lines == line
            else:
                break
        assert_same_state(before, everything(system))
        line += stride
    assert line > 8
    # In the end it went through, as if nothing had been before.
    edit(edited)
    assert_same_state(everything(system), everything(edited))
    assert_same_state(go_on(system), go_on(edited))


def test_stopped_in_the_middle_it_goes_on_as_before():
    stopped, untouched = prepared(), prepared()
    for edit in (remove, add, silence, mute):
        with stopped_at(20, MemoryError()), pytest.raises(MemoryError):
            edit(stopped)
    assert_same_state(go_on(stopped), go_on(untouched))


@pytest.mark.parametrize("edit", [remove, add, silence])
def test_an_array_that_cannot_be_resized(edit: Callable[[SimpleNamespace], None], monkeypatch: pytest.MonkeyPatch):
    """The very call that fails keeps failing, while everything is put back as well."""
    resize = DynamicArrayVariable.resize
    system = prepared()
    before = everything(system)
    calls = 0
    for name in ("N_outgoing", "w", "_synaptic_pre", "N_incoming"):

        def failing(variable: Any, size: Any, name: str = name) -> None:
            nonlocal calls
            if variable.name == name:
                calls += 1
                raise MemoryError(name)
            resize(variable, size)

        with monkeypatch.context() as patch:
            patch.setattr(DynamicArrayVariable, "resize", failing)
            try:
                edit(system)
            except MemoryError:
                assert_same_state(before, everything(system))
                continue
        system = prepared()  # the edit did not resize it
    assert calls >= 3


@pytest.mark.parametrize("step", ["_update_synapse_numbers", "set_value"])
def test_a_failing_step_of_brian2(step: str, monkeypatch: pytest.MonkeyPatch):
    owner = Synapses if step == "_update_synapse_numbers" else ArrayVariable
    original = getattr(owner, step)
    system = prepared()
    before = everything(system)
    for n in range(1, 9 if step == "set_value" else 4):
        seen = 0

        def failing(*args: Any, n: int = n) -> None:
            nonlocal seen
            seen += 1
            if seen == n:
                raise ValueError("stopped")
            original(*args)

        with monkeypatch.context() as patch:
            patch.setattr(owner, step, failing)
            with pytest.raises(ValueError, match="stopped"):
                remove(system)
        assert_same_state(before, everything(system))


@pytest.mark.parametrize("edit", EDITS[:4])
def test_a_second_interrupt_does_not_stop_the_way_back(
    edit: Callable[[SimpleNamespace], None], monkeypatch: pytest.MonkeyPatch
):
    system = prepared()
    before = everything(system)
    interrupts = []

    class Once:
        def do(self) -> None:
            raise KeyboardInterrupt("first")

        def undo(self) -> None:
            if not interrupts:
                interrupts.append(1)
                raise KeyboardInterrupt("second")

    commit = brian2_internals.commit
    monkeypatch.setattr("lnpbrian.network.structure.commit", lambda edits: commit([*edits, Once()]))
    with pytest.raises(KeyboardInterrupt, match="first"):
        edit(system)
    assert interrupts
    assert_same_state(before, everything(system))
