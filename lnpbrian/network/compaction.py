"""The surviving neurons of a pruned network as a network of their own, and what time it gains.

Pruning leaves a neuron that it removes in its group, where it is updated in every step. Here groups are made again
without them, and all that refers to the groups with the numbers of the survivors.
"""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any, overload

import numpy as np
from brian2 import (
    EventMonitor,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    PopulationRateMonitor,
    Quantity,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Subgroup,
    Synapses,
    TimedArray,
    linked_var,
    second,
)
from brian2.core.base import BrianObject
from brian2.core.functions import DEFAULT_FUNCTIONS, Function
from brian2.core.namespace import get_local_namespace
from brian2.core.variables import ArrayVariable, Variable, VariableView
from brian2.groups.group import Group
from brian2.input.binomial import BinomialFunction
from brian2.utils.stringtools import get_identifiers

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.brian2_internals import (
    ALIVE,
    StoredState,
    add_operations,
    by_name,
    check_runtime,
    copy_state,
    copy_synapses,
    disown,
    input_made_again,
    inside_run,
    is_guarded,
    is_owner,
    link,
    linked,
    made_again,
    neuron_indices,
    own_arrays,
    parts,
    run_network,
    synapses_made_again,
    take_over,
    target_of_input,
    touching,
    unowned,
    used_names,
    whole_group,
)
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.recurrent import RecurrentNetwork

__all__ = ["CompactNetwork", "RunTime", "Speedup", "compact", "run_time"]

# What a network may consist of. Classes of the user's that are made from these may do anything.
_GROUPS = (NeuronGroup, PoissonGroup, SpikeGeneratorGroup)
_MONITORS = (SpikeMonitor, EventMonitor, StateMonitor, PopulationRateMonitor)
_KNOWN = (*_GROUPS, *_MONITORS, Synapses, PoissonInput, NetworkOperation, Subgroup)
# Functions that draw numbers, one for each neuron.
_RANDOM = {"rand", "randn", "poisson"}


# ---------------------------------------------------------------------------------------------------------------------
# What it costs to run


@dataclass(frozen=True)
class RunTime:
    """Wall time of a network.

    Attributes
    ----------
    per_second : tuple of float
        Seconds that a simulated second takes, one value for each run.
    preparation : float
        Seconds before the first step of a run, in which Brian2 prepares its code: the median.

    Examples
    --------
    >>> RunTime((0.5, 0.4, 0.6), 0.1)
    RunTime(0.5 s per simulated second (0.4..0.6 in 3 runs), 0.1 s before each run)
    """

    per_second: tuple[float, ...]
    preparation: float

    @property
    def median(self) -> float:
        """Seconds that a simulated second takes."""
        return median(self.per_second)

    def __repr__(self) -> str:
        low, high = min(self.per_second), max(self.per_second)
        return (
            f"RunTime({self.median:.3g} s per simulated second ({low:.3g}..{high:.3g} in {len(self.per_second)} runs), "
            f"{self.preparation:.2g} s before each run)"
        )


@dataclass(frozen=True)
class Speedup:
    """Wall time of a pruned network where it is, and of its survivors alone.

    Attributes
    ----------
    in_place, compact : RunTime
    before : RunTime or None
        As it came, where that was measured before it was pruned.

    Examples
    --------
    >>> Speedup(RunTime((0.5,), 0.1), RunTime((0.2,), 0.1), RunTime((0.6,), 0.1))
    Speedup(0.6 s before, 0.5 s in place, 0.2 s compact per simulated second; 3.0-fold)
    """

    in_place: RunTime
    compact: RunTime
    before: RunTime | None = None

    @property
    def factor(self) -> float:
        """How many times faster the survivors alone are, than before pruning if that was measured, else in place."""
        return (self.before or self.in_place).median / self.compact.median

    def __repr__(self) -> str:
        before = f"{self.before.median:.3g} s before, " if self.before else ""
        return (
            f"Speedup({before}{self.in_place.median:.3g} s in place, {self.compact.median:.3g} s compact per "
            f"simulated second; {self.factor:.1f}-fold)"
        )


def run_time(network: LiveNetwork | Network, duration: Quantity = 1 * second, *, repeats: int = 3) -> RunTime:
    """Measure how long a network takes to run, and set it back to where it was.

    Parameters
    ----------
    network : LiveNetwork or brian2.Network
        In runtime mode; equations of a Network may use what is visible where this is called.
    duration : Quantity
        Simulated time of one run.
    repeats : int
        Runs, each from the present state and with the same random numbers.

    Returns
    -------
    RunTime
        Of the steps alone; before the first one Brian2 prepares its code, which compiles it if it is new. That is done
        in a run of its own, and its time is given apart.

    Raises
    ------
    InvalidInput
        If an argument is of the wrong kind, or a state cannot be stored.

    Notes
    -----
    What else the machine does is measured too: compare times of one machine that was idle, and look at their range.
    What Python functions in the network remember is not set back.

    Examples
    --------
    >>> from brian2 import ms
    >>> network = Network(NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="exact"))
    >>> found = run_time(network, 10*ms, repeats=2)
    >>> len(found.per_second), found.median > 0, network.t
    (2, True, 0. * second)
    """
    if isinstance(network, LiveNetwork):
        return _run_times([(network.network, network.namespace)], duration, repeats)[0]
    checks.instance("network", network, Network, "use the brian2.Network that you run, or a LiveNetwork")
    return _run_times([(network, get_local_namespace(1))], duration, repeats)[0]


def _timed(network: Network, namespace: dict[str, Any], duration: Quantity) -> tuple[float, float]:
    """Return the wall times before the first step and from there on, of a run after which all is as before."""
    state, new = StoredState(network), unowned(network)
    steps: list[float] = []

    def report(elapsed: Quantity, *_: object) -> None:
        steps.append(float(elapsed))

    try:
        begin = time.perf_counter()
        # Called right before the first step and right after the last one.
        options: dict[str, Any] = {"report": report, "report_period": 1e9 * second}
        run_network(network, duration, namespace=namespace, **options)
        whole = time.perf_counter() - begin
    finally:
        state.restore()
        disown(new)
    return whole - steps[-1], steps[-1]


def _run_times(networks: list[tuple[Network, dict[str, Any]]], duration: Quantity, repeats: int) -> list[RunTime]:
    length = checks.seconds("duration", duration)
    checks.count("repeats", repeats)
    for network, namespace in networks:
        steps = [float(obj.clock.dt) for obj in network.objects if hasattr(obj.clock, "dt")]
        _timed(network, namespace, 2 * max(steps, default=0.001) * second)  # what is new is compiled
    # In turn: what else the machine does changes from minute to minute.
    times = [[_timed(*each, duration) for each in networks] for _ in range(repeats)]
    return [
        RunTime(tuple(run / length for _, run in column), median(before for before, _ in column))
        for column in zip(*times, strict=True)
    ]


# ---------------------------------------------------------------------------------------------------------------------
# The survivors


class CompactNetwork(LiveNetwork):
    """The survivors of a pruned network as new Brian2 objects; made by `compact`.

    Attributes
    ----------
    network : brian2.Network
        The new objects, which have the names of the old ones: ``small.network["cells"]``.
    index : dict of str to ndarray of int
        Of each group the new number of every old neuron, shape (N,); -1 of those that are gone.
    differs : tuple of str
        Why spikes are not those of the network in place; empty where they are, bit for bit.
    left_out : tuple of str
        Monitors that recorded nothing but removed neurons, and have no counterpart.
    source : LiveNetwork
        The network in place.

    Examples
    --------
    >>> from brian2 import ms
    >>> cells = NeuronGroup(3, "dv/dt = (1.2 - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0", name="cells")
    >>> synapses = Synapses(cells, cells, "w : 1", on_pre="v_post += w")
    >>> synapses.connect(i=[0, 0, 2], j=[1, 2, 0])
    >>> from lnpbrian.network.structure import silence_neurons
    >>> silence_neurons(cells, [1], synapses=synapses)
    >>> small = compact(LiveNetwork(Network(cells, synapses)))
    >>> small, small.index, len(small.network["cells"])
    (CompactNetwork(2 neurons alive, 2 synapses), {'cells': array([ 0, -1,  1])}, 2)
    """

    def __init__(
        self,
        source: LiveNetwork,
        network: Network,
        index: dict[str, np.ndarray],
        *,
        differs: Iterable[str] = (),
        left_out: Iterable[str] = (),
    ) -> None:
        # Of the equations nothing is read again: what was said of the network in place holds.
        super().__init__(
            network,
            [network[s.name] for s in source.connections],
            weight=list(source._weight),
            inhibitory=(),
            state={g.name: source._states.get(g.name) for g in source.groups},
            time_constant={},
            input={},
            namespace=source.namespace,
        )
        kept = {name: np.flatnonzero(numbers >= 0) for name, numbers in index.items()}
        among = np.concatenate([source._begin[g.name] + kept[g.name] for g in source.groups])
        self._factor = [
            factor if isinstance(factor, float) else factor[kept[whole_group(s.source)[0].name]]
            for s, factor in zip(source.connections, source._factor, strict=True)
        ]
        self._inputs = {name: dict(inputs) for name, inputs in source._inputs.items()}
        self._switches = {name: list(names) for name, names in source._switches.items()}
        self.time_constants = source.time_constants[among]
        self.is_protected = source.is_protected[among]
        self.source = source
        self.index = index
        self.differs, self.left_out = tuple(differs), tuple(left_out)

    def speedup(self, duration: Quantity = 1 * second, *, repeats: int = 3, before: RunTime | None = None) -> Speedup:
        """Measure how much faster the survivors alone run than the network in place.

        Parameters
        ----------
        duration : Quantity
            Simulated time of one run.
        repeats : int
            Runs of each, in turn.
        before : RunTime, optional
            What `run_time` has measured before pruning, on this machine.

        Returns
        -------
        Speedup

        Raises
        ------
        InvalidInput
            If an argument is of the wrong kind, or a state cannot be stored.

        Notes
        -----
        Each is run from where it is now, and set back. Where nobody has run either since `compact`, they do the same.
        """
        checks.optional("before", before, RunTime, "use run_time(...)")
        both = [(live.network, live.namespace) for live in (self.source, self)]
        in_place, alone = _run_times(both, duration, repeats)
        return Speedup(in_place, alone, before)


@overload
def compact(network: RecurrentNetwork) -> RecurrentNetwork: ...  # type: ignore[overload-overlap]


@overload
def compact(network: LiveNetwork | Network) -> CompactNetwork: ...


def compact(network: LiveNetwork | Network) -> LiveNetwork:
    """Return a network of the survivors alone; the pruned one is left as it is.

    Parameters
    ----------
    network : LiveNetwork or brian2.Network
        Such as ``result.live`` of a `PruneResult`, in runtime mode: a network of your own, or a model of
        `lnpbrian.models`.

    Returns
    -------
    CompactNetwork or RecurrentNetwork
        Of a network of your own new objects that go on from the same time and the same state. Of a model a new model,
        which starts at t = 0 from the initial potentials of the survivors; traces of plasticity and spikes in flight
        are not taken over.

    Raises
    ------
    InvalidInput
        If something stands in the way, with all that does. Nothing has changed then. These are objects and classes that
        are not known here, equations of smaller groups that use the number of a neuron or how many there are
        (``i``, ``N``), functions of the user's in equations, network operations that refer to old objects, links to
        removed neurons, synapses that removed neurons still have, groups and subgroups of which nobody is left, a
        standalone device. So is a call during a run.

    Notes
    -----
    Taken over are equations, events, refractoriness, operations, links, schedules, values of all variables, delays,
    spikes in flight, traces of plasticity and the time. Monitors record the survivors from now on; what they have
    recorded stays with the old ones. A StateMonitor of some neurons records those that are left of them, and a
    PopulationRateMonitor the rate over the survivors alone. Clocks, namespaces and functions of network operations are
    the same objects as before.

    What a neuron does depends on its own values and on what reaches it, in an order that stays. So do its spikes, bit
    for bit, where Brian2's code (Stimberg et al. 2019, doi:10.7554/eLife.47314) computes each neuron alike. A compiler
    is free to compute the exponential of the last neurons of a group in another way than of the others. Random numbers
    are drawn for each neuron, so all are others if a smaller group draws some: `differs` says where.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> from lnpbrian.network.structure import silence_neurons
    >>> model = HRSNN(20, 0.5, check_rate=False)
    >>> silence_neurons(model.neurons, [0, 3], synapses=model.synapses, alive=False, I_bias=0)
    >>> len(compact(model).neurons)
    18
    """
    if isinstance(network, RecurrentNetwork):
        return RecurrentNetwork(network.spec.compacted(), plastic="eta_plus" in network.synapses.variables)
    if not isinstance(network, LiveNetwork):
        checks.instance("network", network, Network, "use the brian2.Network that you run, result.live or a model")
        network = LiveNetwork(network, namespace=get_local_namespace(1))
    return _Compaction(network).made()


@dataclass
class _Compaction:
    """Who survives, and the new objects by the names of the old ones."""

    live: LiveNetwork
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    new: dict[str, Any] = field(default_factory=dict)
    # A subgroup that several objects share is one again.
    subgroups: dict[int, Subgroup] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        network = self.live.network
        # Synapses with an operation may be in the network as part of their source alone.
        inner = [part for obj in network.objects for part in obj.contained_objects]
        everything = by_name({*network.objects, *(part for part in inner if isinstance(part, Synapses))})
        inside = {id(part) for part in inner if not isinstance(part, Synapses)}
        # Of a script without a Network those that are a variable of it are among the objects.
        self.objects = [obj for obj in everything if id(obj) not in inside and not isinstance(obj, Subgroup)]
        for group in self.of(_GROUPS):
            check_runtime(f"neurons '{group.name}'", group)
            if inside_run(group):
                raise InvalidInput("a network cannot be made compact during its run; end the run first")
            self.kept[group.name] = np.flatnonzero(self.alive(group))

    def of(self, *kinds: Any) -> list[Any]:
        return [obj for obj in self.objects if isinstance(obj, kinds)]

    def alive(self, group: Group) -> np.ndarray:
        if any(group is known for known in self.live.groups):
            return self.live.alive_in(group)
        if isinstance(group, NeuronGroup) and is_guarded(group):
            return group.variables[ALIVE].get_value().copy()
        return np.ones(len(group), dtype=bool)

    def is_smaller(self, group: Any) -> bool:
        whole = whole_group(group)[0]
        return whole.name in self.kept and self.kept[whole.name].size < len(whole)

    def made(self) -> CompactNetwork:
        in_the_way = list(dict.fromkeys(_Obstacles(self).found()))
        if in_the_way:
            raise InvalidInput(
                f"{self.live!r} cannot be made compact: {'; '.join(in_the_way)}; take out what stands in the way, or "
                "leave its silent neurons where they are"
            )
        try:
            network = self.network()
        except InvalidInput:
            raise
        except Exception as error:
            reason = " ".join(str(error.__cause__ or error or type(error).__name__).split())
            raise InvalidInput(f"{self.live!r} cannot be made compact: Brian2 refuses a copy ({reason})") from error
        index = {g.name: _new_numbers(self.kept[g.name], len(g)) for g in self.of(_GROUPS)}
        return CompactNetwork(self.live, network, index, differs=self.drawing(), left_out=self.left_out)

    def drawing(self) -> Iterator[str]:
        """Say which of the smaller groups draw random numbers, so that other neurons get them."""
        for obj in self.of(*_GROUPS, PoissonInput):
            group = target_of_input(obj) if isinstance(obj, PoissonInput) else obj
            if self.is_smaller(group) and (isinstance(obj, PoissonInput) or self.is_random(obj)):
                yield f"'{obj.name}' draws random numbers for each neuron of '{whole_group(group)[0].name}'"

    def is_random(self, group: Any) -> bool:
        names = used_names(group)
        return any(
            name in _RANDOM
            or name.split("_")[0] == "xi"
            or isinstance(_function(group, name, self.live.namespace), BinomialFunction)
            for name in names
        )

    # ------------------------------------------------------------------------------------------------------- objects

    def network(self) -> Network:
        old = self.live.network
        for group in self.of(_GROUPS):
            self.new[group.name] = made_again(group, size=self.kept[group.name].size)
        for group in self.of(_GROUPS):
            copy_state(group, self.new[group.name], self.kept[group.name])
            self.relink(group)
            for part in group.contained_objects:
                if isinstance(part, Subgroup):
                    add_operations(part, self.side(part))
        waiting = self.of(Synapses)
        while waiting:
            # Synapses may connect to synapses.
            ready = [s for s in waiting if not any(end is other for end in (s.source, s.target) for other in waiting)]
            for synapses in ready:
                self.new[synapses.name] = self.synapses(synapses)
            waiting = [s for s in waiting if not any(s is done for done in ready)]
        for poisson in self.of(PoissonInput):
            self.new[poisson.name] = input_made_again(poisson, self.side(target_of_input(poisson)))
        for operation in self.of(NetworkOperation):
            self.new[operation.name] = again = NetworkOperation(operation.function, clock=operation.clock)
            take_over(operation, again)
        for monitor in self.of(_MONITORS):
            watching = self.monitor(monitor)
            if watching is None:
                self.left_out.append(monitor.name)
            else:
                take_over(monitor, watching)
                self.new[monitor.name] = watching
        network = Network(self.new.values())
        network.schedule = old.schedule
        network.t_ = float(np.asarray(old.t_).item())
        return network

    def side(self, group: Any) -> Any:
        """Return the new group, subgroup or Synapses in place of an old one."""
        if not isinstance(group, Subgroup):
            return self.new[group.name]
        if id(group) not in self.subgroups:
            inside = self.inside(group)
            new = self.new[whole_group(group)[0].name]
            self.subgroups[id(group)] = Subgroup(new, int(inside[0]), int(inside[-1]) + 1, name=group.name)
        return self.subgroups[id(group)]

    def inside(self, group: Any) -> np.ndarray:
        """Return the new numbers of the survivors in a group or subgroup, which follow each other."""
        whole, start = whole_group(group)
        kept = self.kept[whole.name]
        return np.flatnonzero((kept >= start) & (kept < start + len(group)))

    def renumbered(self, group: Any, numbers: np.ndarray) -> np.ndarray:
        """Return the new numbers, in a group or subgroup, of those that had `numbers` in it; -1 of removed ones."""
        if isinstance(group, Synapses):
            return numbers
        whole, start = whole_group(group)
        own = self.kept[whole.name][self.inside(group)] - start
        return _new_numbers(own, len(group))[numbers]

    def relink(self, group: Any) -> None:
        for name in linked(group):
            found = link(group, name)
            assert found is not None
            owner, variable, entries = found
            to = next(other for other in self.of(_GROUPS) if is_owner(other, owner))
            numbers = None if entries is None else _new_numbers(self.kept[to.name], len(to))[entries]
            index = None if numbers is None else numbers[self.kept[group.name]]
            setattr(self.new[group.name], name, linked_var(self.new[to.name], variable, index=index))

    def synapses(self, old: Synapses) -> Synapses:
        new = synapses_made_again(old, self.side(old.source), self.side(old.target))
        pre, post = neuron_indices(old)
        copy_synapses(old, new, self.renumbered(old.source, pre), self.renumbered(old.target, post))
        return new

    def monitor(self, old: Any) -> Any:
        source = self.side(old.source)
        common = {"name": old.name, "codeobj_class": old.codeobj_class}
        if isinstance(old, PopulationRateMonitor):
            return PopulationRateMonitor(source, dtype=old.variables["rate"].dtype, **common)
        if isinstance(old, StateMonitor):
            record: Any = True
            if not old.record_all:
                recorded = self.renumbered(old.source, np.asarray(old.record))
                record = recorded[recorded >= 0]
                if not record.size and len(old.record):
                    return None
            return StateMonitor(source, list(old.record_variables), record, clock=old.clock, **common)
        variables = sorted(set(old.record_variables) - {"i", "t"})
        if isinstance(old, SpikeMonitor):
            return SpikeMonitor(source, variables, old.record, **common)
        return EventMonitor(source, old.event, variables, old.record, **common)


def _new_numbers(kept: np.ndarray, size: int) -> np.ndarray:
    numbers = np.full(size, -1)
    numbers[kept] = np.arange(kept.size)
    return numbers


# ---------------------------------------------------------------------------------------------------------------------
# What stands in the way


class _Obstacles:
    """All reasons why a network cannot be made again without its silent neurons."""

    def __init__(self, compaction: _Compaction) -> None:
        self.plan, self.live = compaction, compaction.live
        self.groups = compaction.of(_GROUPS)

    def found(self) -> Iterator[str]:
        for obj in self.plan.objects:
            if type(obj) not in _KNOWN:
                yield f"'{obj.name}' is a {type(obj).__name__}, which is not known here"
            elif isinstance(obj, (*_GROUPS, Synapses)):
                yield from self.of_group(obj)
            elif isinstance(obj, PoissonInput):
                yield from self.of_side(target_of_input(obj), obj.name)
                yield from self.of_numbers(target_of_input(obj), obj.name, set(get_identifiers(str(obj.weight))))
            elif isinstance(obj, NetworkOperation):
                yield from self.of_function(obj)
            else:
                yield from self.of_side(obj.source, obj.name)

    def of_group(self, group: Any) -> Iterator[str]:
        for role, part in parts(group).items():
            if isinstance(part, Subgroup):
                yield from self.of_side(part, group.name)
                yield from self.of_group(part)
            elif role == part.name:
                yield f"'{group.name}' has a {type(part).__name__}, '{part.name}'"
        if isinstance(group, Subgroup):
            return
        if not isinstance(group, Synapses):
            expected = {*getattr(group, "equations", ()), "lastspike", "not_refractory", "rates"}
            for name in own_arrays(group):
                if name not in expected and not isinstance(group, SpikeGeneratorGroup):
                    yield f"'{group.name}' stores '{name}', which its equations do not define"
            if not self.plan.kept[group.name].size:
                yield f"no neuron of '{group.name}' is left"
            yield from self.of_numbers(group, group.name, used_names(group))
        else:
            yield from self.of_synapses(group)
        yield from self.of_links(group)
        for name in sorted(used_names(group)):
            function = _function(group, name, self.live.namespace)
            if function is not None and not isinstance(function, (TimedArray, BinomialFunction)):
                yield f"'{group.name}' uses the function {name}()"

    def of_synapses(self, synapses: Synapses) -> Iterator[str]:
        names = used_names(synapses)
        for end, used in ((synapses.source, {"i", "i_pre", "N_pre"}), (synapses.target, {"j", "i_post", "N_post"})):
            if isinstance(end, Synapses):
                continue
            whole = whole_group(end)[0]
            yield from self.of_side(end, synapses.name)
            if not self.plan.is_smaller(end):
                continue
            for name in sorted(names & used):
                yield f"the code of '{synapses.name}' uses '{name}', and '{whole.name}' becomes smaller"
            gone = np.setdiff1d(np.arange(len(whole)), self.plan.kept[whole.name])
            if len(synapses) and touching(synapses, whole, gone).any():
                yield f"'{synapses.name}' has synapses at removed neurons of '{whole.name}'; remove these"

    def of_side(self, end: Any, name: str) -> Iterator[str]:
        """Say why a group or subgroup that an object refers to has no counterpart."""
        if isinstance(end, Synapses):
            if not any(end is s for s in self.plan.of(Synapses)):
                yield f"'{name}' refers to '{end.name}', which is not in the network"
            return
        whole = whole_group(end)[0] if isinstance(end, Group) else end
        # A subgroup holds a proxy of its group.
        if not any(is_owner(group, whole) for group in self.groups):
            yield f"'{name}' refers to '{end.name}', which is not a group of the network"
        elif isinstance(end, Subgroup) and not self.plan.inside(end).size:
            yield f"no neuron of '{end.name}' is left, which '{name}' refers to"

    def of_numbers(self, group: Any, name: str, names: set[str]) -> Iterator[str]:
        if self.plan.is_smaller(group):
            for used in sorted(names & {"i", "N"}):
                yield f"the code of '{name}' uses '{used}', and '{whole_group(group)[0].name}' becomes smaller"

    def of_links(self, group: Any) -> Iterator[str]:
        for name in linked(group):
            found = None if isinstance(group, Synapses) else link(group, name)
            to = found and next((other for other in self.groups if is_owner(other, found[0])), None)
            if found is None or to is None:
                yield f"the link of '{name}' of '{group.name}' cannot be followed"
            elif found[2] is not None:
                target = found[2][self.plan.kept[group.name]]
                if (_new_numbers(self.plan.kept[to.name], len(to))[target] < 0).any():
                    yield f"'{name}' of '{group.name}' is linked to removed neurons of '{to.name}'"

    def of_function(self, operation: NetworkOperation) -> Iterator[str]:
        old = _refers_to(operation.function, self.live.network, self.plan.objects)
        if old:
            yield f"the function of '{operation.name}' refers to {old}"


def _function(group: Any, name: str, namespace: dict[str, Any]) -> Function | None:
    """Return the function that a name in the code of a group stands for, if it is none of Brian2's own."""
    if name in DEFAULT_FUNCTIONS:
        return None
    try:
        found = group.resolve_all({name}, namespace, user_identifiers=set())[name]
    except Exception:  # a variable of the code itself, or what Brian2 will complain of
        return None
    return found if isinstance(found, Function) else None


# Of functions in these nothing is looked at: they know no objects of the user's.
_FOREIGN = {"brian2", "numpy", "scipy", "matplotlib", "sympy", "lnpbrian", *sys.stdlib_module_names} - {"__main__"}
_MOST_LOOKED_AT = 100_000


def _refers_to(function: Callable[..., Any], network: Network, objects: list[Any]) -> str:
    """Return what a function refers to of a network, or nothing: by its closure, globals, defaults and attributes."""
    parts_too = [*objects, *(part for obj in objects for part in obj.contained_objects)]
    names = {obj.name for obj in parts_too}
    # Not those of clocks, which both networks have.
    variables = {
        id(v): v
        for obj in parts_too
        for v in getattr(obj, "variables", {}).values()
        if getattr(getattr(v, "owner", None), "name", None) in names
    }
    stores = {id(obj.variables) for obj in parts_too if hasattr(obj, "variables")}
    known = {id(obj) for obj in parts_too}
    arrays = [v.get_value() for v in variables.values() if isinstance(v, ArrayVariable)]
    waiting: list[Any] = [function]
    seen: set[int] = set()
    alive = []  # an id is one as long as its object lives
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, (str, bytes, int, float, complex, types.ModuleType, type(None))):
            continue
        if isinstance(item, (type, types.FunctionType)) and (item.__module__ or "").split(".")[0] in _FOREIGN:
            continue
        seen.add(id(item))
        alive.append(item)
        if len(seen) > _MOST_LOOKED_AT:
            return "more than can be looked at"
        if item is network:
            return "the network"
        if isinstance(item, (BrianObject, VariableView, Variable)):
            item_of = item.group if isinstance(item, VariableView) else item
            if id(item) in known or id(item) in variables or id(getattr(item_of, "variables", None)) in stores:
                return f"'{item_of.name}'"
            if isinstance(item, Subgroup) and id(item.source.variables) in stores:
                return f"'{item.name}'"
        elif isinstance(item, np.ndarray):
            if any(np.may_share_memory(item, array) for array in arrays):
                return "values of the network"
            if item.dtype == object:
                waiting.extend(item.ravel().tolist())
        elif isinstance(item, types.FunctionType):
            waiting.extend(_reached_by(item))
        elif isinstance(item, types.MethodType):
            waiting.extend((item.__self__, item.__func__))
        elif isinstance(item, dict):
            waiting.extend((*item.keys(), *item.values()))
        elif isinstance(item, (list, tuple, set, frozenset)):
            waiting.extend(item)
        else:
            waiting.extend(getattr(item, "__dict__", {}).values())
            waiting.extend(getattr(item, name, None) for name in ("func", "args", "keywords", "__func__", "fget"))
            waiting.extend(() if isinstance(item, type) else type(item).__mro__)
    return ""


def _reached_by(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # of a name that has no value yet
            yield cell.cell_contents
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        yield from (function.__globals__[name] for name in code.co_names if name in function.__globals__)
        codes.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
