"""The private attributes of Brian2's objects, read and written in this module only.

Tested with brian2 2.10.1 and 2.11.0. What makes edits possible: `Network.run` creates all code objects anew and lets
every pathway read its sources and delays again, so arrays that changed size between two runs are seen by the next
one. What is left to do is to shrink every per-synapse array together, to count again what Brian2 counts (``N``,
``N_incoming``, ``N_outgoing``, the multisynaptic index), and to renumber the synapses wherever their numbers are held:
in queues of spikes in flight, in monitors, and in synapses that connect to synapses.

An edit is an object that computes everything when it is created and changes nothing before `commit`, which does all
edits or none.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from types import MethodType
from typing import Any, Protocol, Self

import numpy as np
from brian2 import (
    BrianObject,
    Equations,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    Quantity,
    SpikeGeneratorGroup,
    StateMonitor,
    Subgroup,
    Synapses,
    second,
)
from brian2.codegen.codeobject import create_runner_codeobj
from brian2.codegen.generators.cython_generator import _BUFFER_SIZE
from brian2.core.base import weakproxy_with_fallback
from brian2.core.magic import MagicError, collect, magic_network
from brian2.core.network import _get_all_objects
from brian2.core.variables import ArrayVariable, DynamicArrayVariable, Variables
from brian2.devices.device import RuntimeDevice, get_device
from brian2.equations.equations import DIFFERENTIAL_EQUATION, FLOAT, SUBEXPRESSION, Expression, SingleEquation
from brian2.groups.group import CodeRunner
from brian2.parsing.expressions import is_boolean_expression
from brian2.utils.stringtools import get_identifiers

from lnpbrian.checks import InvalidInput, instance
from lnpbrian.process import Held, Watched, collect_all

__all__ = [
    "ALIVE",
    "SCALE",
    "Appended",
    "Assigned",
    "Edit",
    "Guarded",
    "Numbered",
    "Scalable",
    "StoredState",
    "add_operations",
    "after_restore",
    "by_name",
    "check_delays_differ",
    "check_no_links",
    "check_runtime",
    "commit",
    "conditions",
    "copy_state",
    "copy_synapses",
    "disown",
    "editable",
    "forget_failed_runs",
    "input_made_again",
    "inside_run",
    "is_guarded",
    "is_own",
    "is_owner",
    "is_scalable",
    "is_written",
    "link",
    "linked",
    "made_again",
    "matching",
    "neuron_indices",
    "own_arrays",
    "parts",
    "per_synapse",
    "recorded",
    "removals",
    "require_names",
    "run_network",
    "scalars_and_arrays",
    "settable_neuron_variables",
    "settable_synapse_variables",
    "states_of_equations",
    "synapse_pathways",
    "synapses_made_again",
    "take_over",
    "target_of_input",
    "tile_events",
    "touching",
    "unowned",
    "used_names",
    "visible_network",
    "whole_group",
    "why_not_scalable",
]

# The variable of a group that is False for its muted neurons.
ALIVE = "lnpbrian_alive"
# The variable that holds factors of synapses whose weight is a constant in their code.
SCALE = "lnpbrian_scale"
# Beginning of the names of the variables that hold the states at which its muted neurons rest.
_REST = "_lnpbrian_rest_"
# The variable of synapses that holds their numbers, from 1 on, while changes are recorded.
_NUMBER = "_lnpbrian_number"
# The flag of subexpressions that Brian2 stores for a time step.
_HELD = "constant over dt"


# ---------------------------------------------------------------------------------------------------------------------
# Edits


class Edit(Protocol):
    """A change that is prepared: `do` makes it; `undo` makes it unmade, whether or not it was begun, and repeatably."""

    def do(self) -> None: ...

    def undo(self) -> None: ...


def commit(edits: Sequence[Edit]) -> None:
    """Make all changes, or none if something is raised in between, Ctrl-C included.

    Examples
    --------
    >>> group = NeuronGroup(2, "v : 1")
    >>> group.v = 1
    >>> good = Assigned(group.variables["v"], np.array([0]), np.array([5.0]))
    >>> bad = Assigned(group.variables["v"], np.array([0]), np.array([5.0, 6.0]))
    >>> commit([good, bad])
    Traceback (most recent call last):
    ValueError: ...
    >>> group.v[:].tolist()
    [1.0, 1.0]
    """
    try:
        for edit in edits:
            edit.do()
    except BaseException:
        _undo(edits)
        raise


def _undo(edits: Sequence[Edit]) -> None:
    while True:
        try:
            for edit in reversed(edits):
                edit.undo()
            return
        except KeyboardInterrupt:  # one more Ctrl-C: the first is on its way to the user
            continue


class _Counts:
    """The sizes of a Synapses object and what Brian2 counts in it, to be put back."""

    def __init__(self, synapses: Synapses) -> None:
        self.synapses = synapses
        self.connected = synapses._connect_called
        self.n = len(synapses)
        counted = [synapses.variables["N_incoming"], synapses.variables["N_outgoing"]]
        if synapses.multisynaptic_index is not None:
            counted.append(synapses.variables[synapses.multisynaptic_index])
        self.arrays = [(v, v.get_value().copy()) for v in counted]

    def put_back(self) -> None:
        for variable in self.synapses._registered_variables:
            _set_size(variable, self.n)
        for variable, array in self.arrays:
            _put(variable, array)
        self.synapses.variables["N"].set_value(self.n)
        self.synapses._connect_called = self.connected


class Removed:
    """The synapses of a mask go; the others are numbered 0, 1, 2, ... again.

    `new_ends` are the new numbers of pre- and postsynaptic synapses, where an end is a Synapses object being edited.

    Notes
    -----
    Spikes in flight are circular arrays of synapse numbers, one list per time step (Brette and Goodman 2011,
    doi:10.1162/NECO_a_00123); the numbers of removed synapses are taken out of them, the others are changed.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> synapses.connect(i=[0, 1], j=[1, 2])
    >>> edit = Removed(synapses, np.array([False, True]), {})
    >>> edit.do()
    >>> during = len(synapses)
    >>> edit.undo()
    >>> during, len(synapses), edit.new_number
    (1, 2, array([-1,  0], dtype=int32))
    """

    def __init__(self, synapses: Synapses, keep: np.ndarray, new_ends: dict[str, np.ndarray]) -> None:
        self.synapses = synapses
        self.counts = _Counts(synapses)
        kept = np.flatnonzero(keep)
        self.n = kept.size
        self.new_number = np.full(keep.size, -1, dtype=np.int32)
        self.new_number[kept] = np.arange(kept.size, dtype=np.int32)
        self.before = [(v, v.get_value().copy()) for v in synapses._registered_variables]
        ends = {synapses.variables[name]: numbers for name, numbers in new_ends.items()}
        self.after = [(v, old[kept]) for v, old in self.before]
        self.after = [(v, ends[v][array] if v in ends else array) for v, array in self.after]
        self.queues = [(p.queue, p.queue._full_state()) for p in synapses._pathways]
        self.renumbered = [(queue, _renumbered_events(state, self.new_number)) for queue, state in self.queues]
        self.monitors = [(m, m.record, m.variables["_indices"].get_value().copy()) for m in _monitors(synapses)]
        self.records = [(m, self.new_number[indices]) for m, _, indices in self.monitors]

    def do(self) -> None:
        for variable, array in self.after:
            variable.resize(self.n)  # Synapses._resize refuses to shrink, the variables themselves do not
            variable.set_value(array)
        self.synapses.variables["N"].set_value(self.n)
        for name in ("N_incoming", "N_outgoing"):
            self.synapses.variables[name].get_value()[:] = 0
        # Counts the synapses from 0 on, numbers multiple ones, and sizes the counts as the ends are now.
        self.synapses._update_synapse_numbers(0)
        for queue, state in self.renumbered:
            queue._restore_from_full_state(state)
        for monitor, record in self.records:
            recorded = monitor.variables["_indices"]
            recorded.set_value(record)
            # The very array, not a copy: Network.restore writes into it, and `record` must follow.
            monitor.record = recorded.get_value()

    def undo(self) -> None:
        self.counts.put_back()
        for variable, array in self.before:
            _put(variable, array)
        for queue, state in self.queues:
            queue._restore_from_full_state(state)
        for monitor, record, indices in self.monitors:
            monitor.variables["_indices"].set_value(indices)
            monitor.record = record


class Appended:
    """New synapses come last; those that connect to these synapses count the new ones.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> w = synapses.variables["w"], np.array([0.5, 2.0])
    >>> commit([Appended(synapses, np.array([0, 1]), np.array([1, 2]), [w])])
    >>> len(synapses), synapses.w[:].tolist()
    (2, [0.5, 2.0])
    """

    def __init__(
        self, synapses: Synapses, pre: np.ndarray, post: np.ndarray, values: list[tuple[Any, np.ndarray]]
    ) -> None:
        self.synapses = synapses
        self.counts = _Counts(synapses)
        self.n = self.counts.n + pre.size
        self.pre = pre + _offset(synapses, "_source_offset")
        self.post = post + _offset(synapses, "_target_offset")
        self.values = values
        outer = [other for other in _connected_synapses() if any(end is synapses for end in _ends(other).values())]
        self.outer = [
            (other.variables[count], other.variables[count].get_value().copy())
            for other in outer
            for end, count in (("_synaptic_pre", "N_outgoing"), ("_synaptic_post", "N_incoming"))
            if _ends(other)[end] is synapses
        ]

    def do(self) -> None:
        old = self.counts.n
        self.synapses._connect_called = True  # else Brian2 refuses to run, or to set variables of, these synapses
        self.synapses._resize(self.n)  # new entries are zero
        self.synapses.variables["_synaptic_pre"].get_value()[old:] = self.pre
        self.synapses.variables["_synaptic_post"].get_value()[old:] = self.post
        self.synapses._update_synapse_numbers(old)
        for variable, array in self.values:
            variable.get_value()[old:] = array
        for count, _ in self.outer:
            count.resize(self.n)

    def undo(self) -> None:
        self.counts.put_back()
        for count, array in self.outer:
            _put(count, array)


class Assigned:
    """Entries of a variable get new values.

    Examples
    --------
    >>> group = NeuronGroup(3, "v : 1")
    >>> edit = Assigned(group.variables["v"], np.array([1]), np.array([5.0]))
    >>> edit.do()
    >>> during = group.v[:].tolist()
    >>> edit.undo()
    >>> during, group.v[:].tolist()
    ([0.0, 5.0, 0.0], [0.0, 0.0, 0.0])
    """

    def __init__(self, variable: Any, indices: np.ndarray, values: np.ndarray) -> None:
        self.variable, self.indices, self.values = variable, indices, values
        self.before = variable.get_value()[indices].copy()

    def do(self) -> None:
        self.variable.get_value()[self.indices] = self.values

    def undo(self) -> None:
        self.variable.get_value()[self.indices] = self.before


class Guarded:
    """Neurons have a variable, True for all but the muted ones; where it is False no event happens and states rest.

    A neuron that is muted in a state of `Network.store` is muted after `restore`; in states that were stored before
    the variable existed all neurons are alive.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "dv/dt = v**2/second : 1", threshold="v > 1", reset="v = 0")
    >>> neurons.v = [0.1, 0.2, np.nan]
    >>> commit([Guarded(neurons, np.array([0, 2]))])
    >>> neurons.events["spike"], neurons.lnpbrian_alive[:].tolist()
    ('(v > 1) and lnpbrian_alive', [False, True, False])
    >>> neurons.v[:].tolist()
    [0.1, 0.2, 0.2]
    """

    def __init__(self, group: NeuronGroup, muted: np.ndarray) -> None:
        self.group, self.muted = group, muted
        self.new = not is_guarded(group)
        self.events = group.events
        self.guarded = {event: f"({condition}) and {ALIVE}" for event, condition in group.events.items()}
        self.states = [group.variables[name] for name in sorted(group.equations.diff_eq_names)]
        touched = [] if self.new else [group.variables[ALIVE], *(group.variables[_REST + v.name] for v in self.states)]
        self.before = [(v, v.get_value().copy()) for v in (*self.states, *touched)]
        self.rest: _Rest | None = None

    def do(self) -> None:
        if self.new:
            alive = np.ones(len(self.group), dtype=bool)
            self.group.variables.add_array(ALIVE, size=alive.size, dtype=bool, values=alive)
            for v in self.states:
                values = _finite(v.get_value(), alive)
                self.group.variables.add_array(
                    _REST + v.name, size=alive.size, dimensions=v.dim, dtype=v.dtype, values=values, read_only=True
                )
            # Not into the same dictionary: Brian2 keeps the one that the user gave, who may use it for other groups.
            self.group.events = self.guarded
            group = weakproxy_with_fallback(self.group)
            self.group._restore_from_full_state = MethodType(_restore_guarded, group)
            self.rest = _Rest(self.group, [v.name for v in self.states])
        alive = self.group.variables[ALIVE].get_value()
        alive[self.muted] = False
        for v in self.states:
            values = v.get_value()
            values[self.muted] = _finite(values, alive)[self.muted]
            self.group.variables[_REST + v.name].get_value()[self.muted] = values[self.muted]

    def undo(self) -> None:
        for variable, array in self.before:
            variable.set_value(array)
        if not self.new:
            return
        self.group.events = self.events
        self.group.__dict__.pop("_restore_from_full_state", None)
        if self.rest is not None:
            self.rest.take_out(self.group)
        for name in (ALIVE, *(_REST + v.name for v in self.states)):
            _take_out(self.group, name)


class _Rest(BrianObject):
    """Keeps the states of muted neurons where they were muted.

    Undone is what equations do to them, at once, before anybody reads it: a potential that its threshold does not stop
    any more runs to infinity. And, at the end of a step, what inputs do to them. The others are not touched.
    """

    def __init__(self, group: NeuronGroup, names: list[str]) -> None:
        self._group = group
        # Last in the slot after that of the synapses: orders that users give are small.
        super().__init__(clock=group.clock, when="resets", order=2**30, name=f"{group.name}_lnpbrian_rest")
        self._alive = group.variables[ALIVE]
        self._pairs = [(group.variables[name], group.variables[_REST + name]) for name in names]
        self._update = group.state_updater.run
        # In its place, not in a slot: no object can come in between.
        group.state_updater.run = self._update_others
        group.contained_objects.append(self)

    @property
    def _network(self) -> Any:
        """That of the group: Brian2 refuses objects of which some have been run and others not."""
        return self._group._network

    @_network.setter
    def _network(self, _: Any) -> None:
        """Brian2 gives the group the same."""

    def __del__(self) -> None:
        """Say nothing: Brian2 warns of the group, if nobody has run it."""

    def take_out(self, group: NeuronGroup) -> None:
        group.contained_objects.remove(self)
        group.state_updater.__dict__.pop("run", None)

    def run(self) -> None:
        muted = ~self._alive.get_value()
        for state, rest in self._pairs:
            np.putmask(state.get_value(), muted, rest.get_value())

    def _update_others(self) -> None:
        if self._alive.get_value().all():
            self._update()
            return
        self.run()  # from where a user's operation, such as run_regularly, has moved them
        # Numpy warns of a muted neuron's overflow; compiled code does not.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._update()
        self.run()


def _finite(values: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Return values with the median of the living, or of all, or 0, in place of what is not finite."""
    finite = np.isfinite(values)
    among = values[finite & alive] if (finite & alive).any() else values[finite]
    return np.where(finite, values, np.median(among) if among.size else 0)


def _restore_guarded(group: NeuronGroup, state: dict[str, Any]) -> None:
    alive = np.ones(len(group), dtype=bool)
    group.__class__._restore_from_full_state(group, {ALIVE: (alive, alive.size), **state})


def is_guarded(group: NeuronGroup) -> bool:
    """Whether neurons of `group` can be muted already; raises if its model has a variable of the same name.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> before = is_guarded(neurons)
    >>> commit([Guarded(neurons, np.array([], dtype=int))])
    >>> before, is_guarded(neurons)
    (False, True)
    """
    if ALIVE in group.variables and "_restore_from_full_state" not in group.__dict__:
        raise InvalidInput(f"group '{group.name}' has a variable '{ALIVE}', which mute_neurons needs; rename yours")
    return ALIVE in group.variables


class Scalable:
    """Synapses have a variable, 1 at first, by which what a spike adds to a variable of their target is multiplied.

    It is set back with everything else: in states of `Network.store` from before it existed all factors are 1.

    Parameters
    ----------
    synapses : brian2.Synapses
    variable : str
        The variable of the targets that a spike adds to.

    Raises
    ------
    InvalidInput
        If no statement of the code adds to that variable, or the synapses have a variable of that name.

    Examples
    --------
    >>> neurons = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, on_pre="v_post -= 0.5")
    >>> synapses.connect(i=0, j=1)
    >>> commit([Scalable(synapses, "v")])
    >>> synapses.pre.code, synapses.lnpbrian_scale[:].tolist()
    ('v_post -= lnpbrian_scale*(0.5)', [1.0])
    """

    def __init__(self, synapses: Synapses, variable: str) -> None:
        why = why_not_scalable(synapses, variable)
        if why:
            raise InvalidInput(why)
        self.synapses = synapses
        self.new = not is_scalable(synapses)
        self.codes = [(p, p.code, _scaled(p.code, variable)) for p in synapses._pathways if p.prepost == "pre"]

    def do(self) -> None:
        """Make the factors, if they are not there yet."""
        if not self.new:
            return
        _add_factors(self.synapses)
        for pathway, _, scaled in self.codes:
            pathway.code = scaled

    def undo(self) -> None:
        """Take the factors out."""
        if not self.new:
            return
        s = self.synapses
        for pathway, code, _ in self.codes:
            pathway.code = code
        s.__dict__.pop("_restore_from_full_state", None)
        if SCALE in s.variables:
            factors = s.variables[SCALE]
            if factors in s._registered_variables:
                s.unregister_variable(factors)
            _take_out(s, SCALE)


def _add_factors(s: Synapses) -> None:
    s.variables.add_dynamic_array(SCALE, size=len(s), dtype=float)
    factors = s.variables[SCALE]
    s.register_variable(factors)
    factors.get_value()[:] = 1.0
    s._restore_from_full_state = MethodType(_restore_scalable, weakproxy_with_fallback(s))


def is_scalable(synapses: Synapses) -> bool:
    """Whether synapses have factors already."""
    return SCALE in synapses.variables and "_restore_from_full_state" in synapses.__dict__


def why_not_scalable(synapses: Synapses, variable: str) -> str:
    """Return why synapses cannot be given factors, or nothing.

    Examples
    --------
    >>> neurons = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    >>> why_not_scalable(Synapses(neurons, neurons, on_pre="v_post = v_post + 1", name="S"), "v")
    "no statement of 'S' adds to 'v' with +="
    """
    if is_scalable(synapses):
        return ""
    if SCALE in synapses.variables:
        return f"'{synapses.name}' has a variable '{SCALE}', which is needed for factors; rename yours"
    if all(_scaled(p.code, variable) == p.code for p in synapses._pathways if p.prepost == "pre"):
        return f"no statement of '{synapses.name}' adds to '{variable}' with +="
    return ""


def _scaled(code: str, variable: str) -> str:
    """Return code in which all that is added to a variable of the targets is multiplied by the factor."""
    adds = re.compile(rf"^(\s*{re.escape(variable)}(?:_post)?\s*[-+]=)\s*([^#]*?)\s*(#.*)?$")
    lines = re.sub(r";", "\n", code).splitlines() if ";" in code else code.splitlines()
    return "\n".join(adds.sub(rf"\1 {SCALE}*(\2)", line) for line in lines)


def _restore_scalable(synapses: Synapses, state: dict[str, Any]) -> None:
    n = len(state["_synaptic_pre"][0])
    synapses.__class__._restore_from_full_state(synapses, {SCALE: (np.ones(n), n), **state})


class Numbered:
    """In this context synapses bear the numbers that they had when it began, whatever is removed; new ones bear -1.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> synapses.connect(i=[0, 1], j=[1, 2])
    >>> with Numbered([synapses]) as numbered:
    ...     commit(removals([(synapses, np.array([False, True]))]))
    ...     commit([Appended(synapses, np.array([2]), np.array([0]), [])])
    ...     numbered.of(synapses).tolist()
    [1, -1]
    """

    def __init__(self, synapses: Iterable[Synapses]) -> None:
        self._synapses = list(synapses)

    def __enter__(self) -> Self:
        for s in self._synapses:
            s.variables.add_dynamic_array(_NUMBER, size=len(s), dtype=np.int32)
            variable = s.variables[_NUMBER]
            s.register_variable(variable)
            variable.get_value()[:] = 1 + np.arange(len(s))  # what is new gets 0
        return self

    def of(self, synapses: Synapses) -> np.ndarray:
        """Return the numbers, shape (S,)."""
        return synapses.variables[_NUMBER].get_value() - 1

    def __exit__(self, *_: object) -> None:
        for s in self._synapses:
            s.unregister_variable(s.variables[_NUMBER])
            _take_out(s, _NUMBER)


def per_synapse(synapses: Synapses) -> dict[str, Any]:
    """Return all variables with one value per synapse, delays included, but the neurons that it connects.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w", on_post="w += 1")
    >>> sorted(per_synapse(synapses))
    ['post.delay', 'pre.delay', 'w']
    """
    delays = {f"{p.objname}.delay": p._delays for p in synapses._pathways}
    counted = {*_ends(synapses), synapses.multisynaptic_index, _NUMBER, *(v.name for v in delays.values())}
    own = {v.name: v for v in synapses._registered_variables if v.name not in counted}
    own = {name: own[name] for name in sorted(own)}
    return own | {name: v for name, v in delays.items() if not v.scalar}


def scalars_and_arrays(group: Any) -> dict[str, Any]:
    """Return the variables of neurons, and the shared ones of synapses, that may be set.

    Examples
    --------
    >>> sorted(scalars_and_arrays(NeuronGroup(3, "v : 1\\nlevel : 1 (shared)")))
    ['level', 'v']
    """
    varying = group._registered_variables if isinstance(group, Synapses) else ()
    return {
        name: variable
        for name, variable in sorted(group.variables.items())
        if isinstance(variable, ArrayVariable)
        and not (variable.read_only or name.startswith("_") or name == ALIVE or variable in varying)
        and getattr(variable.owner, "name", None) == group.name
    }


def after_restore(network: Network, tell: Callable[[], None]) -> None:
    """Call `tell` after every ``network.restore``, in place of what was to be called so far.

    Examples
    --------
    >>> network = Network(NeuronGroup(1, "v : 1"))
    >>> network.store()
    >>> after_restore(network, lambda: print("restored"))
    >>> network.restore()
    restored
    """
    magic = isinstance(network, VisibleNetwork)
    restored = magic_network if magic else network
    back = weakproxy_with_fallback(restored)

    @wraps(Network.restore)
    def restore(*args: Any, **options: Any) -> None:
        if magic:  # looks for objects where it is called
            options["level"] = options.get("level", 0) + 1
        back.__class__.restore(back, *args, **options)
        tell()

    restored.restore = restore


def _take_out(group: Any, name: str) -> None:
    group.variables._variables.pop(name, None)
    group.variables.indices.pop(name, None)


def _set_size(variable: Any, size: int) -> None:
    if variable.size != size or len(variable.get_value()) != size:
        variable.resize(size)


def _put(variable: Any, array: np.ndarray) -> None:
    _set_size(variable, array.size)
    variable.set_value(array)


def _renumbered_events(state: tuple[int, list[list[int]]], new_number: np.ndarray) -> tuple[int, list[list[int]]]:
    """Return the state of a spike queue (position, synapse numbers per time step) without the removed synapses."""
    position, slots = state
    renumbered = (new_number[np.asarray(slot, dtype=np.intp)] for slot in slots)
    return position, [numbers[numbers >= 0].tolist() for numbers in renumbered]


def tile_events(synapses: Synapses, size: int, blocks: int) -> None:
    """Replace the events of all queues by those of the first `size` synapses, the same for each of `blocks`.

    `copy_block_events` checks the blocks first. Of queues see Brette and Goodman (2011), doi:10.1162/NECO_a_00123.

    Examples
    --------
    The spike of neuron 0 is on its way through synapse 0, and then through the synapse of the copy:

    >>> from brian2 import ms, second
    >>> neurons = NeuronGroup(4, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, on_pre="v_post += 0.5")
    >>> synapses.connect(i=[0, 2], j=[1, 3])
    >>> synapses.delay = 2*ms
    >>> neurons.v = [2, 0, 0, 0]
    >>> network = Network(neurons, synapses)
    >>> network.run(1*ms, namespace={})
    >>> tile_events(synapses, 1, 2)
    >>> network.run(2*ms, namespace={})
    >>> neurons.v[:].tolist()
    [0.0, 0.5, 0.0, 0.5]
    """
    shifts = size * np.arange(blocks)[:, np.newaxis]
    states = []
    for pathway in synapses._pathways:
        position, slots = pathway.queue._full_state()
        first = (np.asarray(slot, dtype=np.intp) for slot in slots)
        tiled = [(shifts + events[events < size]).ravel().tolist() for events in first]
        states.append((pathway.queue, (position, tiled)))
    for queue, state in states:
        queue._restore_from_full_state(state)


# ---------------------------------------------------------------------------------------------------------------------
# Running, storing and restoring


def run_network(network: Network, duration: Quantity, *, namespace: Mapping[str, Any], **options: Any) -> None:
    """Run `network` for all of `duration`, or raise: every run of a network comes through here.

    Brian2 takes Ctrl-C during a run for a wish to end it early, and returns as if it had come to its end.

    Parameters
    ----------
    network : Network
    duration : Quantity
        Time to simulate.
    namespace : mapping
        External identifiers of the equations.
    **options
        Further arguments of `Network.run`.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C was pressed during the run.
    InvalidInput
        If the network stopped itself before the end.

    Examples
    --------
    >>> from brian2 import ms, network_operation
    >>> @network_operation(dt=1*ms)
    ... def end(t):
    ...     if t >= 5*ms:
    ...         network.stop()
    >>> network = Network(end)
    >>> run_network(network, 10*ms, namespace={})
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: the network stopped itself after 0.006 of 0.01 s; take out its call of stop(), or ...
    """
    length, begin = float(duration), _time(network)
    forget_failed_runs()
    with Watched() as watch:
        try:
            network.run(duration, namespace=namespace, **options)
        finally:
            forget_failed_runs()
            network.t_ = _time(network)
        watch.check()
        # Outside the main thread the signal is not seen: it may have been `stop()`, but neither run is whole.
        if Network._globally_stopped and (watch.pressed or not watch.active):
            watch.deliver()
        done = network.t_ - begin
        if length - done > 1e-9:  # steps are longer, rounding errors of the time shorter
            raise InvalidInput(
                f"the network stopped itself after {done:g} of {length:g} s; take out its call of stop(), or the limit "
                "of its run time"
            )


class VisibleNetwork(Network):
    """The objects that ``brian2.run()`` would run, with the time that it would go on from.

    Brian2's own network of them (`MagicNetwork`) forgets its objects after every run, and no other network may have
    objects that it has run; this one passes for it.
    """

    def __init__(self, objects: Iterable[Any]) -> None:
        now = magic_network.t_
        super().__init__(name="visible_network*")
        self._id, self.objects, self.t_ = magic_network.id, set(objects), now

    @property
    def t_(self) -> float:
        """The time of the magic network, in seconds."""
        return float(magic_network.t_)

    @t_.setter
    def t_(self, value: float) -> None:
        magic_network.t_ = value


def visible_network(level: int = 0) -> VisibleNetwork:
    """Return the network that ``brian2.run()`` would run where the caller stands.

    Parameters
    ----------
    level : int
        How many calls further up to look for objects.

    Raises
    ------
    InvalidInput
        If no Synapses are visible there, or Brian2 would not know whether to go on or to begin anew.

    Examples
    --------
    >>> from brian2 import ms, run, start_scope
    >>> start_scope()
    >>> neurons = NeuronGroup(2, "v : 1", name="cells")
    >>> [obj.name for obj in by_name(visible_network().objects) if isinstance(obj, NeuronGroup)]
    ['cells']
    """
    found = collect(level + 1)
    new = [obj for obj in _get_all_objects(found) if obj._network is None]
    try:
        magic_network._update_magic_objects(level=level + 1)
    except MagicError as error:
        raise InvalidInput(
            "run() would refuse what is visible here, since some objects have been run before and others not; prune "
            "right before or after a run, or put the objects into a Network"
        ) from error
    finally:
        magic_network.objects.clear()
        disown(new)
    return VisibleNetwork(found)


def unowned(network: Network) -> list[Any]:
    """Return the objects of a network that no network has run yet.

    Examples
    --------
    >>> network = Network(NeuronGroup(1, "v : 1", name="cells"))
    >>> "cells" in [obj.name for obj in unowned(network)]
    True
    >>> network.run(0 * second)
    >>> unowned(network)
    []
    """
    return [obj for obj in _get_all_objects(network.objects) if obj._network is None]


def disown(objects: Iterable[Any]) -> None:
    """Let objects be put into any network again, or be run by ``brian2.run()``, as if none had run them."""
    for obj in objects:
        obj._network = None


def forget_failed_runs() -> None:
    """Let Ctrl-C outside a run be one again.

    After a run that failed Brian2 (2.10.1) believes for ever that it is still running, and lets its handler of Ctrl-C
    do no more than ask that run to stop.

    Examples
    --------
    >>> from brian2 import ms
    >>> neurons = NeuronGroup(1, "dv/dt = nonsense / second : 1")
    >>> try:
    ...     Network(neurons).run(1*ms, namespace={})
    ... except Exception:
    ...     forget_failed_runs()
    >>> Network._globally_running
    False
    """
    Network._globally_running = False


def _time(network: Network) -> float:
    """Return the time of a network in seconds; after a run that was stopped Brian2 has a view of a clock's there."""
    return float(np.asarray(network.t_).item())


class StoredState:
    """All that `Network.store` keeps of a network, and which objects it has.

    `Network.restore` goes through a set, so it fails halfway in another order every time, and arrays that compiled
    monitors have made longer are stored with the size that they had before (Brian2 2.10.1; see docs/brian2_notes.md).
    Here objects go by name, arrays have the size that they have, and one object that fails leaves none of the others
    behind.

    Raises
    ------
    InvalidInput
        If the state of an object cannot be had.

    Examples
    --------
    >>> neurons = NeuronGroup(2, "v : 1")
    >>> state = StoredState(Network(neurons))
    >>> neurons.v = 3
    >>> state.restore()
    >>> neurons.v[:].tolist()
    [0.0, 0.0]
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._objects = set(network.objects)
        self._time = network.t_ = _time(network)
        owners = _owners(network)
        for clock in {id(obj.clock): obj.clock for obj in _get_all_objects(network.objects)}.values():
            if hasattr(clock, "_set_t_update_dt"):  # else a clock of given times, which has no dt
                clock._set_t_update_dt(target_t=network.t)
        self._states = {name: _state_of(owner) for name, owner in owners.items()}
        self._random = _RandomState()

    def restore(self) -> None:
        """Set the network back, as a whole: Ctrl-C waits until it is done.

        Raises
        ------
        InvalidInput
            If an object refuses its state; all others have theirs.
        """
        with Held():
            present = self._network.objects
            for obj in present - self._objects:
                present.remove(obj)
            for obj in self._objects - present:
                present.add(obj)
            self._network.t_ = self._time
            self._random.restore()
            failed = ""
            for name, owner in _owners(self._network).items():
                if name not in self._states:  # made since, by what is being undone
                    continue
                # A copy: what an object takes out of its state must be there the next time.
                state = self._states[name]
                try:
                    owner._restore_from_full_state(dict(state))
                except Exception as error:
                    failed = failed or f"'{name}' cannot be set back to its own state ({error or type(error).__name__})"
                    _put_arrays(owner, state)
        if failed:
            raise InvalidInput(f"{failed}; take it out of the network for the time of the pruning")


class _RandomState:
    """The random numbers that come next, also those that compiled code has drawn in advance.

    Of its buffers Brian2 stores the addresses; compiled code has freed them when it has gone through them, so setting
    them back corrupts memory (2.10.1; see docs/brian2_notes.md). Here the numbers in them are stored.
    """

    _BUFFERS = ("rand_buffer", "randn_buffer")

    def __init__(self) -> None:
        self._state = get_device().get_random_state()
        self._numbers = {name: _buffer(self._state[name]).copy() for name in self._BUFFERS if name in self._state}

    def restore(self) -> None:
        device = get_device()
        present = device.get_random_state()
        buffers = {name: present[name] for name in self._numbers}
        device.set_random_state({**self._state, **buffers})
        for name, numbers in self._numbers.items():
            # Of a buffer that did not exist, or that was used up, the index is 0: it is filled anew.
            _buffer(buffers[name])[: numbers.size] = numbers


def _buffer(address: np.ndarray) -> np.ndarray:
    """Return the numbers in a buffer of compiled code, none if it has none."""
    if not address[0]:
        return np.empty(0)
    return np.ctypeslib.as_array(ctypes.cast(int(address[0]), ctypes.POINTER(ctypes.c_double)), (_BUFFER_SIZE,))


def _owners(network: Network) -> dict[str, Any]:
    """Return all that has a state in a network, in the order of the names: objects and their parts, then clocks."""
    objects = _get_all_objects(network.objects)
    clocks = {obj.clock.name: obj.clock for obj in objects}
    stored = {obj.name: obj for obj in objects if hasattr(obj, "_full_state")}
    return {name: stored[name] for name in sorted(stored)} | {name: clocks[name] for name in sorted(clocks)}


def _state_of(owner: Any) -> dict[str, Any]:
    try:
        state = dict(owner._full_state())
    except Exception as error:
        raise InvalidInput(
            f"the state of '{owner.name}' cannot be stored ({error or type(error).__name__}); take it out of the "
            "network for the time of the pruning"
        ) from error
    for name, values in _arrays(owner, state):
        if isinstance(owner.variables[name], DynamicArrayVariable):
            # Compiled code makes arrays longer without telling the variable.
            state[name] = (values, values.shape if values.ndim > 1 else len(values))
    return state


def _arrays(owner: Any, state: Mapping[str, Any]) -> list[tuple[str, np.ndarray]]:
    """Return what is an array of `owner` in its state."""
    variables = getattr(owner, "variables", {})
    pairs = [(name, entry[0]) for name, entry in state.items() if isinstance(entry, tuple) and len(entry) == 2]
    return [(n, v) for n, v in pairs if isinstance(v, np.ndarray) and isinstance(variables.get(n), ArrayVariable)]


def _put_arrays(owner: Any, state: Mapping[str, Any]) -> None:
    """Give an object that refuses its state at least all the arrays of it."""
    for name, values in _arrays(owner, state):
        variable = owner.variables[name]
        if variable.get_value().shape != values.shape:
            variable.resize(values.shape if values.ndim > 1 else len(values))
        variable.set_value(values)


# ---------------------------------------------------------------------------------------------------------------------
# Removing synapses, and with them the synapses that connect to them


def removals(masks: Sequence[tuple[Synapses, np.ndarray]]) -> list[Removed]:
    """Return the edits that remove the synapses outside masks, and with them the synapses that connect to these.

    Parameters
    ----------
    masks : sequence of (brian2.Synapses, array of bool, shape (its synapses,))
        True for each synapse that stays.

    Raises
    ------
    InvalidInput
        If one of them is impossible, with the reason.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> synapses.connect(i=[0, 1], j=[1, 2])
    >>> commit(removals([(synapses, np.array([False, True]))]))
    >>> synapses.i[:].tolist(), synapses.N_outgoing_pre.tolist()
    ([1], [0, 1, 0])
    """
    planned = _planned(masks)
    if _refusals(planned):
        _forget_deleted_objects()
        planned = _planned(masks)
    refused = _refusals(planned)
    if refused:
        raise InvalidInput(refused[0])
    edits: list[Removed] = []
    new_numbers: dict[int, np.ndarray] = {}
    for synapses, keep in planned:
        ends = _ends(synapses)
        renumbered = {name: new_numbers[id(end)] for name, end in ends.items() if id(end) in new_numbers}
        edits.append(Removed(synapses, keep, renumbered))
        new_numbers[id(synapses)] = edits[-1].new_number
    return edits


def _planned(masks: Sequence[tuple[Synapses, np.ndarray]]) -> list[tuple[Synapses, np.ndarray]]:
    """Return the masks of all synapses that change, each after those that it connects to."""
    asked = {id(synapses): mask for synapses, mask in masks if not mask.all()}
    planned: dict[int, tuple[Synapses, np.ndarray]] = {}
    for synapses in _inner_first([s for s, _ in masks] + _connected_synapses()):
        ends = {name: end for name, end in _ends(synapses).items() if id(end) in planned}
        if id(synapses) not in asked and not ends:
            continue
        keep = asked.get(id(synapses), np.ones(len(synapses), dtype=bool)).copy()
        for name, end in ends.items():
            keep &= planned[id(end)][1][synapses.variables[name].get_value()]
        planned[id(synapses)] = (synapses, keep)
    return list(planned.values())


def _inner_first(objects: Iterable[Synapses]) -> Iterator[Synapses]:
    seen: set[int] = set()

    def visit(synapses: Synapses) -> Iterator[Synapses]:
        if id(synapses) in seen:
            return
        seen.add(id(synapses))
        for end in _ends(synapses).values():
            if isinstance(end, Synapses):
                yield from visit(end)
        yield synapses

    for synapses in objects:
        yield from visit(synapses)


def _ends(synapses: Synapses) -> dict[str, Any]:
    return {"_synaptic_pre": synapses.source, "_synaptic_post": synapses.target}


def _connected_synapses() -> list[Synapses]:
    # Without synapses it holds no numbers, and Brian2 sizes its counts when it gets some.
    return [s for s in _instances(Synapses) if s._connect_called]


def _refusals(planned: Sequence[tuple[Synapses, np.ndarray]]) -> list[str]:
    return [reason for synapses, keep in planned if not keep.all() for reason in _refusals_of(synapses, keep)]


def _refusals_of(synapses: Synapses, keep: np.ndarray) -> Iterator[str]:
    if inside_run(synapses):
        yield _during_run(synapses)
    link = _linked_per_synapse(synapses)
    if link:
        yield link
    for group in [*_instances(NeuronGroup), *_instances(Synapses)]:
        if group is synapses or not group._linked_variables:
            continue
        # Brian2 links to subexpressions only, through references to the variables that these are made of.
        for name, variable in group.variables.items():
            index = group.variables.indices[name]
            if variable in synapses._registered_variables and index not in ("_presynaptic_idx", "_postsynaptic_idx"):
                yield (
                    f"'{group.name}' is linked to '{variable.name}' of synapses '{synapses.name}' by their numbers, "
                    f"which change; delete '{group.name}' first, or set weights to zero instead"
                )
    for monitor in _monitors(synapses):
        lost = monitor.record[~keep[monitor.record]]
        if lost.size:
            yield (
                f"StateMonitor '{monitor.name}' records synapse {lost[0]} of '{synapses.name}', which is to go; "
                "delete the monitor, or let it record only synapses that stay"
            )


def _forget_deleted_objects() -> None:
    """Let go of monitors and synapses that the user has deleted but Python has not."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        # Brian2 looks at the local variables of its callers. Up to Python 3.12 that leaves a copy of them in the
        # frame, deleted names included, until somebody looks again.
        _ = frame.f_locals
    del _
    collect_all()  # and Brian2's objects are in reference cycles


# ---------------------------------------------------------------------------------------------------------------------
# What can be edited


def editable(name: str, synapses: Synapses) -> Synapses:
    """Return `synapses`, which must be in runtime mode and not inside a run.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> editable("synapses", Synapses(neurons, neurons, name="between")).name
    'between'
    """
    instance(name, synapses, Synapses, "name a brian2.Synapses object")
    check_runtime(f"synapses '{synapses.name}'", synapses)
    if inside_run(synapses):
        raise InvalidInput(_during_run(synapses))
    return synapses


def _during_run(synapses: Synapses) -> str:
    # The code objects of the run in progress hold the number of synapses and the pathways their sources.
    return f"the synapses of '{synapses.name}' cannot be edited during a run; end the run, edit, then run again"


def check_runtime(what: str, group: Any) -> None:
    """Refuse groups of a standalone device.

    Parameters
    ----------
    what : str
        What a message calls it.
    group : brian2.Group

    Raises
    ------
    InvalidInput
        If the device on which the group was made is not that of runtime mode.
    """
    device = group.variables["N" if isinstance(group, Synapses) else "i"].device
    if not isinstance(device, RuntimeDevice):
        raise InvalidInput(
            f"{what} belong to {type(device).__name__}, whose program has a fixed number of synapses; "
            "build the network after set_device('runtime'), or set weights to zero instead"
        )


def inside_run(group: Any) -> bool:
    """Whether a Network that holds `group` is running further up the stack.

    Brian2 has no flag for this that is reset when a run fails (2.10.1), and none per network.

    Examples
    --------
    >>> from brian2 import ms, network_operation
    >>> neurons, seen = NeuronGroup(1, "v : 1"), []
    >>> @network_operation(dt=1*ms)
    ... def look():
    ...     seen.append(inside_run(neurons))
    >>> Network(neurons, look).run(1*ms, namespace={})
    >>> seen, inside_run(neurons)
    ([True], False)
    """
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "run":
            network = frame.f_locals.get("self")
            # A subgroup holds a proxy of its group: compare what both share.
            if isinstance(network, Network) and any(
                getattr(obj, "variables", None) is group.variables for obj in network.objects
            ):
                return True
    return False


def check_no_links(synapses: Synapses) -> None:
    """Refuse synapses with a variable that is linked synapse by synapse.

    Examples
    --------
    >>> from brian2 import linked_var
    >>> neurons = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "level : 1 (linked)", name="between")
    >>> synapses.connect(i=[0, 1], j=[1, 0])
    >>> synapses.level = linked_var(neurons, "v")
    >>> check_no_links(synapses)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: 'level' of synapses 'between' is linked to a variable of another group ...
    """
    link = _linked_per_synapse(synapses)
    if link:
        raise InvalidInput(link)


def _linked_per_synapse(synapses: Synapses) -> str:
    for name in sorted(synapses._linked_variables):
        # A link to one value shared by all synapses has index "0". Any other has an index per synapse, fixed once.
        if name in synapses.variables and synapses.variables.indices[name] != "0":
            return (
                f"'{name}' of synapses '{synapses.name}' is linked to a variable of another group synapse by synapse, "
                "which cannot be edited; make it a parameter and assign its values"
            )
    return ""


def check_delays_differ(synapses: Synapses, names: Iterable[str]) -> None:
    """Refuse delays per synapse for pathways with one delay for all.

    Examples
    --------
    >>> from brian2 import ms
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, on_pre="v_post += 1", delay=2*ms, name="late")
    >>> check_delays_differ(synapses, ["delay"])
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: pathway 'pre' of synapses 'late' has one delay for all synapses; ...
    """
    for pathway in synapses._pathways:
        shared = {f"{pathway.objname}.delay", "delay" if pathway.objname == "pre" else ""}
        if pathway._delays.scalar and shared.intersection(names):
            raise InvalidInput(
                f"pathway '{pathway.objname}' of synapses '{synapses.name}' has one delay for all synapses; "
                "leave the delay out here, or create the Synapses object without delay=..."
            )


# ---------------------------------------------------------------------------------------------------------------------
# Looking into groups


_BRIAN2_NAMES = frozenset({"N", "N_incoming", "N_outgoing", "delay", "i", "j", "lastupdate"})


def is_own(synapses: Synapses, name: str) -> bool:
    """Whether `name` is a variable that the user's synapse model defines (not one of the neurons, nor Brian2's own).

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> [name for name in ("w", "v_post", "i") if is_own(synapses, name)]
    ['w']
    """
    owner = getattr(synapses.variables[name].owner, "name", None)
    return owner == synapses.name and not name.startswith("_") and name not in _BRIAN2_NAMES


def settable_synapse_variables(synapses: Synapses) -> dict[str, Any]:
    """Return the variables that have one value per synapse and may be set, delays of pathways included.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> sorted(settable_synapse_variables(synapses))
    ['delay', 'pre.delay', 'w']
    """
    registered = synapses._registered_variables
    settable = {
        name: variable
        for name, variable in synapses.variables.items()
        if variable in registered
        and not (variable.read_only or name.startswith("_") or name in ("delay", synapses.multisynaptic_index))
    }
    for pathway in synapses._pathways:
        if pathway._delays in registered:  # else one delay for all synapses
            settable[f"{pathway.objname}.delay"] = pathway._delays
            if pathway.objname == "pre":
                settable["delay"] = pathway._delays
    return settable


def settable_neuron_variables(group: NeuronGroup) -> dict[str, Any]:
    """Return the variables that have one value per neuron and may be set.

    Examples
    --------
    >>> sorted(settable_neuron_variables(NeuronGroup(3, '''dv/dt = (a + I)/tau : 1
    ...                                                    a = 2*v : 1
    ...                                                    I : 1
    ...                                                    tau : second (shared)''')))
    ['I', 'v']
    """
    return {
        name: variable
        for name, variable in group.variables.items()
        if isinstance(variable, ArrayVariable)
        and not (variable.read_only or variable.scalar or name.startswith("_"))
        and group.variables.indices[name] == "_idx"
        and getattr(variable.owner, "name", None) == group.name  # else a link into another group
    }


def states_of_equations(synapses: Synapses) -> set[str]:
    """Return the names of the variables with a differential equation.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> traces = '''w : 1
    ...             dx/dt = -x/second : 1 (event-driven)'''
    >>> states_of_equations(Synapses(neurons, neurons, traces, on_pre="x += 1"))
    {'x'}
    """
    # Brian2 keeps event-driven equations apart.
    return synapses.equations.diff_eq_names | (synapses.event_driven.diff_eq_names if synapses.event_driven else set())


def synapse_pathways(synapses: Synapses) -> list[tuple[str, float, str]]:
    """Return of every pathway "pre" or "post", its shortest delay in seconds, and its code.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapse_pathways(Synapses(neurons, neurons, on_pre="v_post += 1"))
    [('pre', 0.0, 'v_post += 1')]
    """
    delays = [p._delays.get_value() for p in synapses._pathways]
    shortest = [float(d.min()) if d.size else 0.0 for d in delays]
    return [(p.prepost, d, p.code) for p, d in zip(synapses._pathways, shortest, strict=True)]


def is_written(synapses: Synapses, name: str, network: Network) -> bool:
    """Whether code of a network changes a variable of synapses: plasticity, equations, operations, other synapses.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> learning = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w", on_post="w += 0.1")
    >>> fixed = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> network = Network(neurons, learning, fixed)
    >>> is_written(learning, "w", network), is_written(fixed, "w", network)
    (True, False)
    """
    if name in states_of_equations(synapses):
        return True
    own = [obj.abstract_code or "" for obj in synapses.contained_objects if isinstance(obj, CodeRunner)]
    own += [pathway.code for pathway in synapses._pathways]
    outer = [s for s in network.objects if isinstance(s, Synapses) and synapses in (s.source, s.target)]
    return any(_writes(code, name) for code in own) or any(
        f"{name}_{side}" in s.summed_updaters or any(_writes(p.code, f"{name}_{side}") for p in s._pathways)
        for s in outer
        for side in ("pre", "post")
    )


def _writes(code: str, name: str) -> bool:
    return re.search(rf"(^|[;\n])\s*{re.escape(name)}\s*[-+*/%]*=[^=]", code) is not None


def require_names(network: Network, namespace: Mapping[str, Any]) -> None:
    """Refuse a network whose equations use names that are nowhere to be found.

    Raises
    ------
    InvalidInput
        With the names.

    Examples
    --------
    >>> neurons = NeuronGroup(1, "dv/dt = -v/tau : 1", name="cells")
    >>> require_names(Network(neurons), {})
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: the equations of 'cells' use 'tau', which is not visible here; ...
    """
    for group in by_name(obj for obj in network.objects if isinstance(obj, (NeuronGroup, Synapses))):
        codes = [*group.events.values(), *group.event_codes.values()] if isinstance(group, NeuronGroup) else []
        codes += [pathway.code for pathway in getattr(group, "_pathways", ())]
        codes = [re.sub(r"#.*", "", code).replace(";", "\n") for code in codes]
        made = {name for code in codes for name in re.findall(r"^\s*(\w+)\s*=[^=]", code, re.MULTILINE)}
        names = group.equations.identifiers.union(*(get_identifiers(code) for code in codes)) - made
        missing = sorted(n for n in names if not n.startswith("xi") and not _is_known(group, n, namespace))
        if missing:
            shown = ", ".join(f"'{name}'" for name in missing)
            raise InvalidInput(
                f"the equations of '{group.name}' use {shown}, which {'is' if len(missing) == 1 else 'are'} not "
                f"visible here; say LiveNetwork(network, namespace={{'{missing[0]}': ...}})"
            )


def _is_known(group: Any, name: str, namespace: Mapping[str, Any]) -> bool:
    try:
        group.resolve_all({name}, namespace, user_identifiers=set())
    except KeyError:
        return False
    except Exception:  # known, and of a kind that Brian2 will complain of
        return True
    return True


def matching(synapses: Synapses, condition: str, namespace: Mapping[str, Any]) -> np.ndarray:
    """Return the numbers of the synapses for which a condition holds, evaluated by Brian2.

    Parameters
    ----------
    synapses : brian2.Synapses
    condition : str
        As Brian2 takes it for these synapses.
    namespace : mapping of str to number or Quantity
        Values of other names in it.

    Raises
    ------
    TypeError
        If it is a number, and whatever Brian2 raises on a condition that it does not take.

    Notes
    -----
    Brian2 generates code for it (Stimberg et al. 2019, doi:10.7554/eLife.47314), as for ``synapses.w["i > 1"]``.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> synapses.connect(i=[0, 1, 2], j=[1, 2, 0])
    >>> matching(synapses, "i < j and j < limit", {"limit": 2})
    array([0])
    """
    names = get_identifiers(condition)
    variables = Variables(synapses)
    if "delay" in names and "delay" not in synapses.variables:  # as up to Brian2 2.10
        pathway = next((p for p in synapses._pathways if p.objname == "pre"), None)
        if pathway is not None:
            variables.add_reference("delay", pathway, index="0" if pathway._delays.scalar else "_idx")
    # is_boolean_expression knows only the variables that it is handed.
    known = synapses.resolve_all(names - set(variables), namespace, user_identifiers=set())
    if not is_boolean_expression(condition, {**known, **variables}):
        raise TypeError("it is a number, not true or false")
    variables.add_auxiliary_variable("_indices", dtype=np.int32)
    variables.add_auxiliary_variable("_cond", dtype=bool)
    # One value for each synapse, even where the condition has one for all of them.
    code = f"_cond = ({condition}) and (_synaptic_pre >= 0)"
    target = get_device().code_object_class(fallback_pref="codegen.string_expression_target")
    numbers = create_runner_codeobj(
        synapses,
        code,
        "group_get_indices",
        run_namespace=namespace,
        additional_variables=variables,
        codeobj_class=target,
    )()
    return np.asarray(numbers, dtype=np.int64)  # float64 on the numpy target


def by_name(objects: Iterable[Any]) -> list[Any]:
    """Return objects of Brian2 in the natural order of their names: ``synapses_2`` before ``synapses_10``.

    Brian2 keeps objects in sets, whose order is that of addresses in memory; names that it gives are numbered as the
    objects are made.

    Examples
    --------
    >>> [group.name for group in by_name(NeuronGroup(1, "v : 1", name=f"cell_{k}") for k in (10, 2))]
    ['cell_2', 'cell_10']
    """
    # Every second part is a number.
    return sorted(
        objects, key=lambda obj: [int(part) if k % 2 else part for k, part in enumerate(re.split(r"(\d+)", obj.name))]
    )


def whole_group(group: Any) -> tuple[Any, int]:
    """Return the group that numbers the neurons of `group`, and the number of the first one in it.

    Examples
    --------
    >>> neurons = NeuronGroup(5, "v : 1", name="cells")
    >>> group, start = whole_group(neurons[2:])
    >>> group.name, start
    ('cells', 2)
    """
    return (group.source, group.start) if isinstance(group, Subgroup) else (group, 0)


def touching(synapses: Synapses, group: NeuronGroup, chosen: np.ndarray) -> np.ndarray:
    """Return a mask (S,) of the synapses that start or end at neurons `chosen` of a group.

    Raises
    ------
    InvalidInput
        If neither side of the synapses is the group or a part of it.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, on_pre="v_post += 1")
    >>> synapses.connect(i=[0, 1, 2], j=[1, 2, 0])
    >>> touching(synapses, neurons, np.array([0]))
    array([ True, False,  True])
    """
    reached = np.zeros(len(group), dtype=bool)
    reached[chosen] = True
    mask = np.zeros(len(synapses), dtype=bool)
    sides = 0
    for numbers, side in _ends(synapses).items():
        # A subgroup holds a proxy of its group: compare what both share.
        if whole_group(side)[0].variables is group.variables:
            mask |= reached[synapses.variables[numbers].get_value()]
            sides += 1
    if not sides:
        raise InvalidInput(
            f"synapses '{synapses.name}' connect '{synapses.source.name}' to '{synapses.target.name}', "
            f"neither is group '{group.name}'"
        )
    return mask


def neuron_indices(synapses: Synapses) -> tuple[np.ndarray, np.ndarray]:
    """Return copies of the pre- and postsynaptic indices, relative to the subgroups.

    Examples
    --------
    >>> neurons = NeuronGroup(4, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons[2:], neurons, on_pre="v_post += 1")
    >>> synapses.connect(i=[0, 1], j=[1, 2])
    >>> neuron_indices(synapses)
    (array([0, 1], dtype=int32), array([1, 2], dtype=int32))
    """
    pre = synapses.variables["_synaptic_pre"].get_value() - _offset(synapses, "_source_offset")
    post = synapses.variables["_synaptic_post"].get_value() - _offset(synapses, "_target_offset")
    return pre, post


def _offset(synapses: Synapses, name: str) -> int:
    return int(synapses.variables[name].get_value())


def recorded(synapses: Synapses) -> np.ndarray:
    """Return the mask (S,) of the synapses that a StateMonitor records.

    Examples
    --------
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> synapses.connect(i=[0, 1], j=[1, 2])
    >>> monitor = StateMonitor(synapses, "w", record=[1])
    >>> recorded(synapses)
    array([False,  True])
    """
    mask = np.zeros(len(synapses), dtype=bool)
    for monitor in _monitors(synapses):
        mask[monitor.variables["_indices"].get_value()] = True
    return mask


def _monitors(synapses: Synapses) -> list[StateMonitor]:
    sources = [synapses, *synapses._pathways]
    return [m for m in _instances(StateMonitor) if any(m.source is s for s in sources)]


def _instances(cls: Any) -> list[Any]:
    """Return all live objects of a Brian2 class, by name; Brian2 keeps weak references to them."""
    objects = [reference() for reference in tuple(cls.__instances__())]
    # An object whose constructor has failed may live on in a traceback; the constructor sets this attribute last.
    return by_name(obj for obj in objects if obj is not None and hasattr(obj, "_group_attribute_access_active"))


# ---------------------------------------------------------------------------------------------------------------------
# Making objects again


def made_again(group: Any, *, size: int) -> Any:
    """Return a new source of spikes or group of neurons that is made as `group` was, of `size` neurons.

    Its values are those of new objects; see `copy_state`. Its name is the same, so both cannot be in one network.

    Parameters
    ----------
    group : NeuronGroup, PoissonGroup or SpikeGeneratorGroup
    size : int
        For other groups than a NeuronGroup what it has.

    Examples
    --------
    >>> cells = NeuronGroup(3, "dv/dt = -v/second : 1", threshold="v > 1", reset="v = 0", name="cells")
    >>> again = made_again(cells, size=2)
    >>> len(again), again.name, again.events
    (2, 'cells', {'spike': 'v > 1'})
    """
    common = {"clock": group.clock, "order": group.order, "name": group.name, "codeobj_class": group.codeobj_class}
    if isinstance(group, SpikeGeneratorGroup):
        new: Any = SpikeGeneratorGroup(
            size, group._neuron_index, group._spike_time * second, when=group.when, sorted=True, **common
        )
    elif isinstance(group, PoissonGroup):
        new = PoissonGroup(size, group._rates, when=group.when, namespace=group.namespace, **common)
    else:
        events = conditions(group)
        threshold = events.pop("spike", None)
        new = NeuronGroup(
            size,
            group.user_equations,
            method=group.method_choice,
            method_options=group.state_updater.method_options,
            threshold=threshold,
            reset=group.event_codes.get("spike"),
            refractory=group._refractory,
            events=events,
            namespace=group.namespace,
            dtype=_dtypes(group),
            **common,
        )
        for event, code in group.event_codes.items():
            if event != "spike":
                new.run_on_event(event, code)
    add_operations(group, new)
    _take_over_schedule(group, new)
    return new


def synapses_made_again(synapses: Synapses, source: Any, target: Any) -> Synapses:
    """Return new Synapses, without a synapse yet, that are made as others were, between other groups.

    Examples
    --------
    >>> cells = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> old = Synapses(cells, cells, '''w : 1
    ...                                 dx/dt = -x/second : 1 (event-driven)''', on_pre="v_post += w*x", name="old")
    >>> new = synapses_made_again(old, cells[:2], cells)
    >>> new.name, new.pre.code, len(new), sorted(per_synapse(new)) == sorted(per_synapse(old))
    ('old', 'v_post += w*x', 0, True)
    """
    paths = synapses._pathways
    updater = synapses.state_updater
    method = {} if updater is None else {"method": updater.method_choice, "method_options": updater.method_options}
    new = Synapses(
        source,
        target,
        _synapse_model(synapses),
        on_pre={p.objname: p.code for p in paths if p.prepost == "pre"},
        on_post={p.objname: p.code for p in paths if p.prepost == "post"},
        delay={p.objname: p._delays.get_value().item() * second for p in paths if p._delays.scalar},
        on_event={p.objname: p.event for p in paths},
        multisynaptic_index=synapses.multisynaptic_index,
        namespace=synapses.namespace,
        dtype=_dtypes(synapses),
        codeobj_class=synapses.codeobj_class,
        clock=synapses.clock,
        order=synapses.order,
        name=synapses.name,
        **method,
    )
    if is_scalable(synapses):
        _add_factors(new)
    add_operations(synapses, new)
    _take_over_schedule(synapses, new)
    return new


def input_made_again(poisson: PoissonInput, target: Any) -> PoissonInput:
    """Return a new PoissonInput like another one, to another group.

    Examples
    --------
    >>> from brian2 import Hz
    >>> cells = NeuronGroup(3, "v : 1")
    >>> new = input_made_again(PoissonInput(cells, "v", 10, 5*Hz, 0.1), cells[:2])
    >>> new.N, new.rate, new.weight, new.target_var
    (10, 5. * hertz, 0.1, 'v')
    """
    new = PoissonInput(target, poisson.target_var, poisson.N, poisson.rate, poisson.weight)
    take_over(poisson, new)
    return new


def target_of_input(poisson: PoissonInput) -> Any:
    """Return the group, or the subgroup, that a PoissonInput acts on.

    Examples
    --------
    >>> from brian2 import Hz
    >>> cells = NeuronGroup(1, "v : 1")
    >>> target_of_input(PoissonInput(cells, "v", 10, 5 * Hz, weight=0.1)) is cells
    True
    """
    return poisson._group


def take_over(old: Any, new: Any) -> None:
    """Give an object the name of another one, its place in a time step, and whether it is active."""
    new._name = old.name
    new.when, new.order, new._active = old.when, old.order, old._active


def conditions(group: NeuronGroup) -> dict[str, str]:
    """Return the condition of every event of a group, as it was before neurons were muted.

    Examples
    --------
    >>> cells = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> commit([Guarded(cells, np.array([1]))])
    >>> cells.events, conditions(cells)
    ({'spike': '(v > 1) and lnpbrian_alive'}, {'spike': 'v > 1'})
    """
    events = dict(group.events)
    if is_guarded(group):
        events = {e: c.removeprefix("(").removesuffix(f") and {ALIVE}") for e, c in events.items()}
    return events


def parts(group: Any) -> dict[str, Any]:
    """Return what runs as part of a group or of Synapses, by what it does; what is of another kind by its name.

    Examples
    --------
    >>> cells = NeuronGroup(3, "dv/dt = -v/second : 1", threshold="v > 1", reset="v = 0", name="cells")
    >>> _ = cells.run_regularly("v += 1")
    >>> list(parts(cells))
    ['threshold of spike', 'code of spike', 'states', 'operation 0']
    """
    found = {f"threshold of {event}": part for event, part in getattr(group, "thresholder", {}).items()}
    found |= {f"code of {event}": part for event, part in getattr(group, "resetter", {}).items()}
    found |= {f"pathway {p.objname}": p for p in getattr(group, "_pathways", ())}
    found |= {f"sum of {name}": part for name, part in getattr(group, "summed_updaters", {}).items()}
    found |= {"states": getattr(group, "state_updater", None)}
    found |= {"subexpressions": getattr(group, "subexpression_updater", None)}
    found = {role: part for role, part in found.items() if part is not None}
    known = {id(part) for part in found.values()}
    for part in group.contained_objects:
        # Synapses with an operation are also part of their source; they run as what they are.
        if isinstance(part, (_Rest, Synapses)) or id(part) in known:
            continue
        is_operation = type(part) is CodeRunner and part.template == "stateupdate"
        found[f"operation {len(found) - len(known)}" if is_operation else part.name] = part
    return found


def copy_state(old: Any, new: Any, kept: np.ndarray | None = None) -> None:
    """Give a group, or Synapses with as many synapses, the values of another one.

    Parameters
    ----------
    old, new : Group
        `new` is made as `old` was.
    kept : array of int, shape (n,), optional
        The neurons of `old` that those of `new` are; by default all.

    Notes
    -----
    Between two runs nobody has just spiked: Brian2 forgets the spikes of the last step at the end of a run.

    Examples
    --------
    >>> cells = NeuronGroup(3, "v : 1\\nlevel : 1 (shared)")
    >>> cells.v, cells.level = [1, 2, 3], 7
    >>> few = made_again(cells, size=2)
    >>> copy_state(cells, few, np.array([0, 2]))
    >>> few.v[:].tolist(), few.level[:].item()
    ([1.0, 3.0], 7.0)
    """
    if isinstance(old, SpikeGeneratorGroup):
        new._restore_from_full_state(old._full_state())
        return
    for name, variable in own_arrays(old).items():
        values = variable.get_value()
        new.variables[name].set_value(values if variable.scalar or kept is None else values[kept])


def copy_synapses(old: Synapses, new: Synapses, pre: np.ndarray, post: np.ndarray) -> None:
    """Give Synapses, which have none yet, those of others, with their values, delays and spikes in flight.

    Parameters
    ----------
    old, new : Synapses
        `new` is made as `old` was.
    pre, post : array of int, shapes (S,) and (S,)
        Which neurons of the source and of the target of `new` they connect.

    Notes
    -----
    Spikes in flight are in the queues of Brette and Goodman (2011), doi:10.1162/NECO_a_00123.

    Examples
    --------
    >>> cells = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> old = Synapses(cells, cells, "w : 1", on_pre="v_post += w")
    >>> old.connect(i=[0, 2], j=[2, 0])
    >>> old.w = [3, 4]
    >>> new = synapses_made_again(old, cells, cells)
    >>> copy_synapses(old, new, np.array([0, 1]), np.array([1, 0]))
    >>> new.i[:].tolist(), new.w[:].tolist()
    ([0, 1], [3.0, 4.0])
    """
    copy_state(old, new)
    if not old._connect_called:
        return
    to = per_synapse(new)
    values = [(to[name], variable.get_value()) for name, variable in per_synapse(old).items()]
    commit([Appended(new, pre, post, values)])
    for before, after in zip(old._pathways, new._pathways, strict=True):
        # Else the queue takes the first step that it meets for the one that its spikes are spaced by.
        after.initialise_queue()
        after.queue._restore_from_full_state(before.queue._full_state())


def own_arrays(group: Any) -> dict[str, Any]:
    """Return all that a group stores of its own but what is made with it, what muting adds and, of Synapses, what has
    a value per synapse.

    Examples
    --------
    >>> list(own_arrays(NeuronGroup(3, "dv/dt = -v/second : 1 (unless refractory)", refractory="v > 1")))
    ['v', 'lastspike', 'not_refractory']
    """
    made = {"i", "N", "N_incoming", "N_outgoing", ALIVE, *(f"_{event}space" for event in getattr(group, "events", ()))}
    made |= {group.variables.indices[name] for name in linked(group) if name in group.variables}
    varying = group._registered_variables if isinstance(group, Synapses) else ()
    return {
        name: variable
        for name, variable in group.variables.items()
        if isinstance(variable, ArrayVariable)
        and variable.owner is not None
        and variable.owner.name == group.name
        and name == variable.name
        and not (name in made or name.startswith(_REST) or variable in varying)
    }


def used_names(group: Any) -> set[str]:
    """Return all names that the equations and the code of a group, or of Synapses, use.

    Examples
    --------
    >>> cells = NeuronGroup(3, "dv/dt = (a - v)/second : 1\\na = i*b : 1", threshold="v > c", reset="v = d")
    >>> sorted(used_names(cells) - {"second", "v", "a"})
    ['b', 'c', 'd', 'i']
    """
    operating = [group, *(part for part in parts(group).values() if isinstance(part, Subgroup))]
    operations = [pair for each in operating for pair in parts(each).items()]
    texts = [part.abstract_code or "" for role, part in operations if role.startswith("operation ")]
    texts += [p.code for p in getattr(group, "_pathways", ())]
    texts += [code for code in getattr(group, "event_codes", {}).values() if isinstance(code, str)]
    if not isinstance(group, Synapses):
        texts += [c for c in (conditions(group) if isinstance(group, NeuronGroup) else group.events).values() if c]
        texts += [
            text for text in (getattr(group, n, None) for n in ("_refractory", "_rates")) if isinstance(text, str)
        ]
    names: set[str] = set()
    if isinstance(group, (NeuronGroup, Synapses)):
        model = _synapse_model(group) if isinstance(group, Synapses) else group.user_equations
        names |= set(model.identifiers)
    return names.union(*(get_identifiers(re.sub(r"#.*", "", text)) for text in texts))


def linked(group: Any) -> list[str]:
    """Return the names of the linked variables of a group.

    Examples
    --------
    >>> from brian2 import linked_var
    >>> one, other = NeuronGroup(1, "v : 1"), NeuronGroup(1, "u : 1 (linked)")
    >>> other.u = linked_var(one, "v")
    >>> linked(one), linked(other)
    ([], ['u'])
    """
    return sorted(getattr(group, "_linked_variables", ()))


def link(group: Any, name: str) -> tuple[Any, str, np.ndarray | None] | None:
    """Return the group and the variable that a variable is linked to, and to which entry each neuron.

    The entries are None where all see the one value of a shared variable. The whole is None where the link cannot be
    read: it is not set, leads to a subexpression, or goes by a variable of the user's.

    Examples
    --------
    >>> from brian2 import linked_var
    >>> cells = NeuronGroup(3, "v : 1", name="cells")
    >>> others = NeuronGroup(2, "u : 1 (linked)")
    >>> others.u = linked_var(cells, "v", index=[2, 0])
    >>> found = link(others, "u")
    >>> found[0].name, found[1], found[2].tolist()
    ('cells', 'v', [2, 0])
    """
    variable = group.variables.get(name)
    if not isinstance(variable, ArrayVariable):
        return None
    index = group.variables.indices[name]
    if index == "0":
        return variable.owner, variable.name, None
    if index == "_idx":
        return variable.owner, variable.name, np.arange(len(group))
    if index == f"_{name}_indices":
        return variable.owner, variable.name, group.variables[index].get_value()
    return None


def is_owner(group: Any, owner: Any) -> bool:
    """Whether the owner of a variable, which may be a proxy, is a group."""
    return getattr(owner, "variables", None) is group.variables


def _synapse_model(synapses: Synapses) -> Equations:
    """Return the model of Synapses as it was given; Brian2 keeps its parts only, those of one kind in their order."""
    updater = synapses.subexpression_updater
    codes = dict(line.split(" = ", 1) for line in updater.abstract_code.splitlines()) if updater else {}
    equations = {
        name: SingleEquation(SUBEXPRESSION, name, e.dim, e.var_type, Expression(codes[name]), [*e.flags, _HELD])
        if name in codes
        else e
        for name, e in synapses.equations.items()
        if name != synapses.multisynaptic_index
    }
    traces = [e for e in (synapses.event_driven or {}).values() if e.type == DIFFERENTIAL_EQUATION]
    sums = [
        SingleEquation(
            SUBEXPRESSION, name, synapses.variables[f"_summed_{name}"].dim, FLOAT, part.expression, ["summed"]
        )
        for name, part in synapses.summed_updaters.items()
    ]
    return Equations([*equations.values(), *traces, *sums])


def _dtypes(group: Any) -> dict[str, Any]:
    names = [*group.equations, *(getattr(group, "event_driven", None) or ())]
    return {name: group.variables[name].dtype for name in names if name in group.variables}


def add_operations(old: Any, new: Any) -> None:
    """Give a group, a subgroup or Synapses the operations of others (`run_regularly`).

    Examples
    --------
    >>> cells = NeuronGroup(3, "v : 1", name="cells")
    >>> _ = cells[:2].run_regularly("v += 1")
    >>> few = NeuronGroup(2, "v : 1", name="few")
    >>> add_operations(parts(cells)["cells_subgroup"], few)
    >>> list(parts(few)), parts(few)["operation 0"].abstract_code
    (['states', 'operation 0'], 'v += 1')
    """
    for role, part in parts(old).items():
        if role.startswith("operation "):
            again = new.run_on_clock(part.abstract_code, part.clock, part.when, part.order, part.name)
            again.codeobj_class = part.codeobj_class
            take_over(part, again)


def _take_over_schedule(old: Any, new: Any) -> None:
    take_over(old, new)
    made = parts(new)
    for role, part in parts(old).items():
        if role in made:
            take_over(part, made[role])
