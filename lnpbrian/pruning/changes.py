"""What edits have made of a network, to be made of it again after `Network.restore` has undone them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from brian2 import Network, NeuronGroup, Synapses

from lnpbrian.checks import InvalidInput
from lnpbrian.network.brian2_internals import (
    ALIVE,
    Appended,
    Assigned,
    Edit,
    Guarded,
    Numbered,
    StoredState,
    after_restore,
    by_name,
    commit,
    inside_run,
    is_guarded,
    neuron_indices,
    per_synapse,
    removals,
    scalars_and_arrays,
    states_of_equations,
)

__all__ = ["Changes", "Recording"]


@dataclass(frozen=True)
class _Changed:
    """Entries of a variable, and their values before and after."""

    variable: Any
    where: np.ndarray
    before: np.ndarray
    after: np.ndarray

    def edit(self, *, scale: bool = False) -> Assigned:
        """Return the edit that makes the change; a value that is another one by now is scaled likewise, if it can."""
        now = self.variable.get_value()[self.where]
        values = self.after
        if scale and now.dtype.kind == "f":
            with np.errstate(divide="ignore", invalid="ignore"):
                scaled = now * (self.after / self.before)
            values = np.where((now == self.before) | ~np.isfinite(scaled), self.after, scaled)
        return Assigned(self.variable, self.where, values)


@dataclass(frozen=True)
class _Synapses:
    """What has become of one Synapses object: who is kept, what is appended, and what has changed in the kept ones."""

    synapses: Synapses
    before: tuple[np.ndarray, np.ndarray]
    after: tuple[np.ndarray, np.ndarray]
    keep: np.ndarray
    new_values: dict[str, np.ndarray]
    changed: list[_Changed]


class Changes:
    """The difference that edits have made to a network; made by a `Recording`.

    Kept synapses and neurons have the values of the restored state, except where the edits changed a value: there it is
    that of the edits, or, for a value per synapse that was another one when it was edited, such as a plastic weight,
    scaled by the same factor. New synapses have the values that they got.
    """

    def __init__(
        self,
        network: Network,
        synapses: list[_Synapses],
        alive: dict[str, tuple[NeuronGroup, np.ndarray, np.ndarray]],
        changed: list[_Changed],
    ) -> None:
        self._network, self._synapses, self._alive, self._changed = network, synapses, alive, changed
        self._known = False

    def watch(self) -> None:
        """Warn when the user restores a state of the network from before the edits, until `make` is called."""
        after_restore(self._network, self._warn)

    def made(self) -> bool:
        """Whether the network is as the edits left it; False if it is as it came.

        Raises
        ------
        InvalidInput
            If it is neither.
        """
        after = self._is(lambda s: s.after, 2)
        before = self._is(lambda s: s.before, 1)
        if after and before:  # nothing but values has changed
            changed = [*self._changed, *(c for s in self._synapses for c in s.changed)]
            return not changed or not all(np.array_equal(c.variable.get_value()[c.where], c.before) for c in changed)
        if not (after or before):
            raise InvalidInput(
                "the network is neither as it came nor as pruning left it: it was edited since; restore a state that "
                "was stored before or after pruning"
            )
        return after

    def make(self) -> None:
        """Make the changes again, all or none; nothing is done where they are made.

        Raises
        ------
        InvalidInput
            As `made`, and during a run.
        """
        for s in self._synapses:
            if inside_run(s.synapses):
                raise InvalidInput("reapply() cannot be called during a run; end the run first")
        self._known = True
        if self.made():
            return
        state = StoredState(self._network)
        try:
            commit(removals([(s.synapses, s.keep) for s in self._synapses]))
            for s in self._synapses:
                n = int(s.keep.sum())
                if s.after[0].size > n:
                    commit([Appended(s.synapses, s.after[0][n:], s.after[1][n:], _values(s))])
            edits: list[Edit] = [c.edit() for c in self._changed]
            edits += [c.edit(scale=True) for s in self._synapses for c in s.changed]
            edits += [Guarded(group, np.flatnonzero(before & ~after)) for group, before, after in self._alive.values()]
            commit(edits)
        except BaseException:
            state.restore()
            raise

    def _is(self, ends: Callable[[_Synapses], tuple[np.ndarray, np.ndarray]], place: int) -> bool:
        same = all(
            np.array_equal(now, then)
            for s in self._synapses
            for now, then in zip(neuron_indices(s.synapses), ends(s), strict=True)
        )
        return same and all(np.array_equal(_alive(entry[0]), entry[place]) for entry in self._alive.values())

    def _warn(self) -> None:
        try:
            if self._known or self.made():
                return
        except InvalidInput:
            return  # edited since by somebody who knows
        warnings.warn(
            "restore() has undone the pruning: the state was stored before it; call reapply() of the result, or store "
            "again after pruning",
            stacklevel=3,
        )


class Recording:
    """Records what edits in this context make of a network.

    Examples
    --------
    >>> from lnpbrian.network.structure import remove_synapses
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> synapses.connect(i=[0, 1], j=[1, 2])
    >>> network = Network(neurons, synapses)
    >>> network.store()
    >>> with Recording(network) as recording:
    ...     removed, synapses.w = remove_synapses(synapses, "i == 0"), 3
    ...     changes = recording.changes()
    >>> network.restore()
    >>> changes.make()
    >>> synapses.i[:].tolist(), synapses.w[:].tolist()
    ([1], [3.0])
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._synapses = [s for s in by_name(o for o in network.objects if isinstance(o, Synapses)) if len(s)]
        self._groups = by_name(o for o in network.objects if isinstance(o, NeuronGroup))
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self._numbers = self._held.enter_context(Numbered(self._synapses))
        self._ends = {s.name: neuron_indices(s) for s in self._synapses}
        self._values = {s.name: _copies(per_synapse(s)) for s in self._synapses}
        self._shared = {o.name: _copies(scalars_and_arrays(o)) for o in (*self._groups, *self._synapses)}
        self._alive = {g.name: _alive(g) for g in self._groups}
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def changes(self) -> Changes:
        """Return what has changed so far."""
        changed = [
            change
            for owner in (*self._groups, *self._synapses)
            for name, variable in scalars_and_arrays(owner).items()
            for change in _difference(variable, self._shared[owner.name][name], variable.get_value())
        ]
        alive = {g.name: (g, self._alive[g.name], _alive(g)) for g in self._groups}
        alive = {name: entry for name, entry in alive.items() if not np.array_equal(entry[1], entry[2])}
        return Changes(self._network, [self._of(s) for s in self._synapses], alive, changed)

    def _of(self, synapses: Synapses) -> _Synapses:
        before, after = self._ends[synapses.name], neuron_indices(synapses)
        numbers, skipped = self._numbers.of(synapses), {"lastupdate"}
        if (numbers < 0).all():
            # Made anew, as those of a model are that is rolled back or taken up: their traces are lost.
            numbers, skipped = _by_ends(before, after), {"lastupdate", *states_of_equations(synapses)}
        n = int((numbers >= 0).sum())
        keep = np.zeros(before[0].size, dtype=bool)
        keep[numbers[:n]] = True
        values = self._values[synapses.name]
        changed, new = [], {}
        for name, variable in per_synapse(synapses).items():
            now = variable.get_value()
            new[name] = now[n:].copy()
            if name not in skipped:
                # Factors are 1 where there were none.
                then = values[name][numbers[:n]] if name in values else np.ones_like(now[:n])
                changed += _difference(variable, then, now[:n])
        return _Synapses(synapses, before, after, keep, new, changed)


def _copies(variables: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.array(variable.get_value()) for name, variable in variables.items()}


def _alive(group: NeuronGroup) -> np.ndarray:
    return np.array(group.variables[ALIVE].get_value()) if is_guarded(group) else np.ones(len(group), dtype=bool)


def _difference(variable: Any, before: np.ndarray, after: np.ndarray) -> list[_Changed]:
    where = np.flatnonzero((before != after) & ~((before != before) & (after != after)))
    return [_Changed(variable, where, before[where], after[where].copy())] if where.size else []


def _values(s: _Synapses) -> list[tuple[Any, np.ndarray]]:
    variables = per_synapse(s.synapses)
    now = s.synapses.variables["t"].get_value().item()
    return [
        (variables[name], np.full_like(values, now) if name == "lastupdate" else values)
        for name, values in s.new_values.items()
    ]


def _by_ends(before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the numbers before of synapses that are known by their neurons alone, as long as they rise; else -1."""
    number = {ends: k for k, ends in enumerate(zip(*(e.tolist() for e in before), strict=True))}
    found = np.array([number.get(ends, -1) for ends in zip(*(e.tolist() for e in after), strict=True)], dtype=int)
    falls = np.flatnonzero(np.diff(found, prepend=-1) <= 0)
    found[falls[0] if falls.size else found.size :] = -1
    return found
