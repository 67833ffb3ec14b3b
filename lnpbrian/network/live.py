"""Any Brian2 network as one graph of neurons, whatever groups and Synapses it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from brian2 import Network, NeuronGroup, Quantity, Subgroup, Synapses, get_unit, second
from brian2.core.magic import magic_network
from brian2.core.namespace import get_local_namespace
from brian2.core.variables import ArrayVariable
from brian2.groups.group import Group
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions, have_same_dimensions
from numpy.typing import ArrayLike

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.brian2_internals import (
    ALIVE,
    SCALE,
    Scalable,
    StoredState,
    by_name,
    check_runtime,
    commit,
    is_guarded,
    is_scalable,
    is_written,
    recorded,
    run_network,
    visible_network,
    whole_group,
    why_not_scalable,
)
from lnpbrian.network.roles import Roles
from lnpbrian.network.structure import switches

__all__ = ["LiveNetwork", "Snapshot"]

type Per = str | Quantity | float


class Snapshot:
    """The state of a network at one time, random numbers included, to which it can be set back.

    Structure comes back too: synapses that were removed since, neurons that were silenced, objects that were added. As
    a context manager it forgets the state at the end, and restores nothing by itself.

    Raises
    ------
    InvalidInput
        If an object of the network has a state that cannot be stored.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> from lnpbrian.network.structure import remove_synapses
    >>> model = HRSNN(20, 0.5, check_rate=False)
    >>> with Snapshot(model) as before:
    ...     n, removed = model.n_synapses, remove_synapses(model.synapses, "w < 0")
    ...     before.restore()
    >>> removed > 0, model.n_synapses == n
    (True, True)
    """

    def __init__(self, live: LiveNetwork) -> None:
        self._live = live
        self.take()

    def take(self) -> None:
        """Take the present state instead."""
        self._state = StoredState(self._live.network)

    def restore(self) -> None:
        """Set the network back, as a whole: Ctrl-C waits until that is done."""
        self._state.restore()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        del self._state


class LiveNetwork:
    """A Brian2 network in runtime mode, and the names of those of its variables that pruning needs.

    The neurons of all groups between which the `synapses` run are numbered through, group by group in the order in
    which the synapses name them, and so are the synapses. Without a list of `synapses` their order is that of their
    names, numbers in names counting as numbers: ``synapses_2`` comes before ``synapses_10``.

    What is not said is read from the equations (`describe` shows it as a table): which synapses act by spikes, what
    their weights are called and whether they excite, the variable that the threshold looks at, the time constant of the
    membrane, and its input.

    Parameters
    ----------
    network : brian2.Network, optional
        Holds the neurons, the synapses and whatever else drives them. By default what ``brian2.run()`` would run here.
    synapses : brian2.Synapses or sequence of them, optional
        What to prune: synapses between NeuronGroups or their subgroups, or from sources of spikes (PoissonGroup,
        SpikeGeneratorGroup, a NeuronGroup whose threshold looks at no state) to these. By default all that act by
        spikes between spiking neurons: not gap junctions, not inactive ones, and those that are summed (gates of
        NMDA receptors) only if there are no others.
    weight : str, number or Quantity, or one for each of the synapses, optional
        Variable that holds the weights, or the one weight of all synapses where the model has it as a constant; the
        sign of a number is that of the effect. One for each takes `synapses` in an order: a list or a tuple of them.
        By default what a spike adds to its target.
    inhibitory : Synapses or sequence of them, optional
        Those of `synapses` whose positive weights inhibit, as conductances with a low reversal potential do. By default
        those that move the state of their targets away from the threshold.
    time_constant : str, Quantity or mapping from group names to these, optional
        Membrane time constants: the name of a variable of the neurons, one time, or (N,) times; of several groups
        these take `synapses` in an order, as `weight` does. By default that of the membrane without synapses, where the
        equation is linear in the state; else a neuron counts as forgetting at the rate at which its twins are measured
        to approach each other.
    state : str, or mapping from group names to str or None, optional
        State variable of the neurons in which twins are moved and compared, None for a group that is a source of
        spikes. By default the one that the threshold looks at.
    input : str, sequence of str, or mapping from names to values, optional
        Variables of the neurons through which they are driven from outside; a pruned neuron gets 0 there, or the value
        of the mapping. By default the parameters that the equation of the state adds.
    protect : NeuronGroup, Subgroup or sequence of them
        Neurons that are never pruned, such as those that are read out.
    namespace : mapping, optional
        External identifiers of the equations, handed to every ``run``; by default what is visible where the object is
        made, as for Brian2's `run`.

    Attributes
    ----------
    groups : tuple
        Groups that the neurons belong to, sources of spikes included.
    connections : tuple of brian2.Synapses
        The synapses, object by object.
    time_constants : ndarray, shape (N,)
        In seconds; NaN where unknown.

    Raises
    ------
    InvalidInput
        If an object or a variable is missing or of the wrong kind.

    Notes
    -----
    Any network of Brian2 (Stimberg et al. 2019, doi:10.7554/eLife.47314) will do whose neurons have a state to compare
    and whose synapses have a weight; nothing in it is changed before it is pruned. A synapse excites if what it adds
    lets the state grow, through all the equations in between, with the state at the threshold and all else as it is.

    Examples
    --------
    Two groups, one of which inhibits:

    >>> from brian2 import mV
    >>> model = "dv/dt = -v/(20*ms) : volt"
    >>> E, I = (NeuronGroup(n, model, threshold="v > 10*mV", reset="v = 0*mV") for n in (4, 2))
    >>> excite = Synapses(E, I, "w : volt", on_pre="v_post += w")
    >>> excite.connect()
    >>> excite.w = 2*mV
    >>> inhibit = Synapses(I, E, on_pre="v_post -= 3*mV")
    >>> inhibit.connect(i=[0, 1], j=[0, 0])
    >>> live = LiveNetwork(Network(E, I, excite, inhibit))
    >>> live
    LiveNetwork(6 neurons alive, 10 synapses)
    >>> live.signs(), live.weights()[-2:]
    (array([ 1,  1,  1,  1, -1, -1]), array([-0.003, -0.003]))
    """

    def __init__(
        self,
        network: Network | None = None,
        synapses: Synapses | Sequence[Synapses] | None = None,
        *,
        weight: Per | Sequence[Per] | None = None,
        inhibitory: Synapses | Sequence[Synapses] | None = None,
        time_constant: str | Quantity | Mapping[str, str | Quantity] | None = None,
        state: str | Mapping[str, str | None] | None = None,
        input: str | Sequence[str] | Mapping[str, Any] | None = None,
        protect: Group | Sequence[Group] = (),
        namespace: Mapping[str, Any] | None = None,
    ) -> None:
        if network is None or network is magic_network:
            network = visible_network(1)
        checks.instance("network", network, Network, "use the brian2.Network that you run")
        self.network = network
        if namespace is None:
            namespace = get_local_namespace(1)
        checks.instance("namespace", namespace, Mapping, "give a dictionary of names and values")
        self.namespace = dict(namespace)
        ordered = isinstance(synapses, (Group, Sequence))
        self.roles = Roles(network, self.namespace)
        self.connections = _connections(self.roles, synapses)
        for s in self.connections:
            check_runtime(f"synapses '{s.name}'", s)
        self.groups = _groups(network, self.connections)
        sizes = [len(group) for group in self.groups]
        self._begin = dict(zip((g.name for g in self.groups), np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
        self.n_neurons = sum(sizes)
        self._weight = _weights(self.roles, self.connections, weight, ordered)
        self._factor = _factors(self.roles, self.connections, weight, inhibitory)
        states = {g.name: _state(g, state, self.roles) for g in self.groups if isinstance(g, NeuronGroup)}
        self._states = {name: found for name, found in states.items() if found is not None}
        self._inputs = _inputs(self.groups, input, self.roles)
        self.is_neuron = self._mask(g for g in self.groups if g.name in self._states)
        self.time_constants = self._time_constants(time_constant, ordered)
        self._switches = {g.name: switches(g, self._inputs[g.name]) for g in self.groups if g.name in self._inputs}
        self.is_protected = ~self.is_neuron | self._mask(_listed("protect", protect, (NeuronGroup, Subgroup)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n_alive} neurons alive, {self.n_synapses} synapses)"

    # ------------------------------------------------------------------------------------------------------- neurons

    @property
    def alive(self) -> np.ndarray:
        """Mask of the neurons that have not been pruned, sources of spikes included, shape (N,)."""
        alive = np.ones(self.n_neurons, dtype=bool)
        for group in self.groups:
            if isinstance(group, NeuronGroup):
                names = [*self._switches[group.name], *([ALIVE] if is_guarded(group) else [])]
                for name in names:
                    alive[self._numbers(group)] &= group.variables[name].get_value()
        return alive

    @property
    def n_alive(self) -> int:
        """Number of neurons that have not been pruned, without sources of spikes."""
        return int((self.alive & self.is_neuron).sum())

    def alive_in(self, group: Group) -> np.ndarray:
        """Return the mask of the surviving neurons of one group or subgroup, shape (its neurons,)."""
        return self.alive[self._numbers(group)]

    def by_group(self, neurons: np.ndarray) -> list[tuple[NeuronGroup, np.ndarray]]:
        """Return the groups that some of `neurons` belong to, each with their indices in it."""
        found = []
        for group in self.groups:
            inside = neurons - self._begin[group.name]
            inside = inside[(inside >= 0) & (inside < len(group))]
            if inside.size:
                found.append((group, inside))
        return found

    def inputs_of(self, group: NeuronGroup) -> dict[str, Any]:
        """Return the variables that drive the neurons of a group, with the values that pruned ones get."""
        return self._inputs[group.name]

    @property
    def measured(self) -> np.ndarray:
        """Mask of the surviving neurons that have a state in which twins can differ, shape (N,)."""
        return self.alive & self.is_neuron

    def states(self) -> list[tuple[slice, np.ndarray]]:
        """Return, for every group that has one, where its neurons are and the values of their state, to be written."""
        return [
            (self._numbers(group), group.variables[self._states[group.name]].get_value())
            for group in self.groups
            if group.name in self._states
        ]

    def state_values(self) -> np.ndarray:
        """Return the values in which twins are compared, shape (N,), in SI units; 0 where there are none.

        Raises
        ------
        InvalidInput
            If that of a living neuron is not finite.
        """
        values = np.zeros(self.n_neurons)
        for where, state in self.states():
            values[where] = state
        wrong = self.alive & ~np.isfinite(values)
        if wrong.any():
            name = max((g for g in self._states if self._begin[g] <= wrong.argmax()), key=self._begin.__getitem__)
            k = int(wrong.argmax()) - self._begin[name]
            raise InvalidInput(
                f"{self._states[name]} of neuron {k} of {name} is {values[wrong.argmax()]}; "
                "give it a finite start, or a smaller dt"
            )
        return values

    def state_scales(self) -> np.ndarray:
        """Return the unit in which differences of the state are measured, shape (N,), in SI units.

        This is the standard deviation among the living neurons of a group, at least a thousandth of their mean
        magnitude, and 1 if all are zero.
        """
        scales = np.ones(self.n_neurons)
        alive = self.alive
        self.state_values()
        for where, values in self.states():
            present = values[alive[where]]
            if present.size:
                # Neurons that are all alike have hardly a spread: their rounding errors are relative to their values.
                scales[where] = max(present.std(), 1e-3 * np.abs(present).mean()) or 1.0
        return scales

    @property
    def dt(self) -> float:
        """Simulation step in seconds, the longest one if they differ."""
        return max(float(group.clock.dt_) for group in self.groups)

    @property
    def synaptic_time_constants(self) -> np.ndarray:
        """Time constants by which input outlasts a spike, in seconds, shape (N,); 0 where they are not known."""
        return np.zeros(self.n_neurons)

    def forgetting_times(self, exponents: np.ndarray, resolution: float) -> np.ndarray:
        """Return the time constants (N,), with ``1/|exponent|`` where they are not known.

        A neuron that does not forget within the averaging time gets that time.
        """
        measured = 1 / np.maximum(-exponents, resolution)
        return np.where(np.isnan(self.time_constants), measured, self.time_constants)

    # ------------------------------------------------------------------------------------------------------ synapses

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return sum(len(s) for s in self.connections)

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """Return views of values (S,) of all synapses, one for each Synapses object."""
        return np.split(values, np.cumsum([len(s) for s in self.connections])[:-1])

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Return source and target neuron of every synapse, shapes (S,)."""
        pre = [np.array(s.i[:]) + self._numbers(s.source).start for s in self.connections]
        post = [np.array(s.j[:]) + self._numbers(s.target).start for s in self.connections]
        return np.concatenate(pre), np.concatenate(post)

    def weights(self) -> np.ndarray:
        """Return the weight of every synapse, negative where it inhibits, shape (S,), in SI units."""
        return np.concatenate(
            [
                factor * _values(s, w) * np.broadcast_to(_own_factors(s, w), (len(s),))
                for s, w, factor in zip(self.connections, self._weight, self.factors(), strict=True)
            ]
        )

    def owners(self) -> np.ndarray:
        """Return the number of the Synapses object that each synapse belongs to, shape (S,)."""
        return np.repeat(np.arange(len(self.connections)), [len(s) for s in self.connections])

    def factors(self) -> list[float | np.ndarray]:
        """Return of every Synapses object the effect of positive weights, 1 or -1: one, or that of each synapse."""
        return [
            factor
            if isinstance(factor, float)
            else factor[s.source.start + s.i[:] if isinstance(s.source, Subgroup) else s.i[:]]
            for s, factor in zip(self.connections, self._factor, strict=True)
        ]

    def effects(self) -> np.ndarray:
        """Return the sign of every weight, shape (S,); that of a weight of 0 that learns is what it would be."""
        signs = np.sign(self.weights())
        for part, s, w, factor in zip(self.split(signs), self.connections, self._weight, self.factors(), strict=True):
            if not part.all() and is_written(s, str(w), self.network):
                part[part == 0] = np.broadcast_to(factor, part.shape)[part == 0]
        return signs.astype(int)

    def recorded(self) -> np.ndarray:
        """Return the mask of the synapses that a StateMonitor records, shape (S,)."""
        return np.concatenate([recorded(s) for s in self.connections])

    def weights_can_be_set(self) -> str:
        """Return why new weights could not be given to the synapses, or nothing.

        Where the weight is a constant, or one variable for all, each synapse can be given a factor; see
        `lnpbrian.network.brian2_internals.Scalable`.
        """
        for s, w in zip(self.connections, self._weight, strict=True):
            if _is_shared(s, w):
                why = why_not_scalable(s, self.adds_to(s))
                if why:
                    return f"the weight of '{s.name}' is {w}, one for all: {why}"
        return ""

    def adds_to(self, synapses: Synapses) -> str:
        """Return the variable of its targets that a spike of one of the Synapses objects adds to."""
        return self.roles.synapses(synapses).statement.split(" ")[0]

    def channels(self) -> np.ndarray:
        """Return numbers (K,) that are equal for Synapses objects whose weights have the same unit and effect.

        They add to the same variable of their targets.
        """
        known: dict[tuple[str, str, Any], int] = {}
        found = []
        for s, w in zip(self.connections, self._weight, strict=True):
            key = (whole_group(s.target)[0].name, self.adds_to(s), _dimensions(s, w))
            found.append(known.setdefault(key, len(known)))
        return np.array(found)

    def weights_compare(self) -> str:
        """Return why weights of different Synapses objects cannot be compared, or nothing."""
        for s, w in zip(self.connections, self._weight, strict=True):
            if _dimensions(s, w) != _dimensions(self.connections[0], self._weight[0]):
                return f"the weights of '{s.name}' and '{self.connections[0].name}' have different units"
        return ""

    def set_weights(self, weights: np.ndarray) -> None:
        """Give the synapses weights (S,) in the sense of `weights`."""
        for s, w, factor, part in zip(self.connections, self._weight, self.factors(), self.split(weights), strict=True):
            if not _is_shared(s, w):
                s.variables[str(w)].get_value()[:] = factor * part
            elif (part != factor * _values(s, w) * _own_factors(s, w)).any():
                commit([Scalable(s, self.adds_to(s))])
                s.variables[SCALE].get_value()[:] = factor * part / _values(s, w)

    def weight_name(self, synapses: Synapses) -> str | None:
        """Return the name of the variable that holds the weights of one of the Synapses objects, if there is one."""
        for s, name in zip(self.connections, self._weight, strict=True):
            if s is synapses:
                return name if isinstance(name, str) else None
        raise InvalidInput(f"'{synapses.name}' is not among the synapses to be pruned")

    def signs(self) -> np.ndarray:
        """Return +1 for neurons whose weights are all positive, -1 for all negative, 0 for both or none; shape (N,)."""
        effects, pre = self.effects(), self.edges()[0]
        positive = np.bincount(pre[effects > 0], minlength=self.n_neurons) > 0
        negative = np.bincount(pre[effects < 0], minlength=self.n_neurons) > 0
        return positive.astype(int) - negative

    def between(self, connection: Synapses) -> tuple[slice, slice]:
        """Return which neurons the synapses of one object may come from and go to."""
        return self._numbers(connection.source), self._numbers(connection.target)

    def describe(self) -> str:
        """Return as a table what is pruned, and what was read from the equations.

        Examples
        --------
        >>> from brian2 import ms
        >>> model = "dv/dt = (1.2 - v)/(10*ms) : 1"
        >>> cells = NeuronGroup(4, model, threshold="v > 1", reset="v = 0", name="cells")
        >>> inhibit = Synapses(cells, cells, on_pre="v -= 0.1", name="inhibit")
        >>> inhibit.connect("i != j")
        >>> print(LiveNetwork(Network(cells, inhibit)).describe())
        synapses  from -> to      weight  effect    at a spike
        inhibit   cells -> cells  0.1     inhibits  v -= 0.1
        neurons  state  time constant  input
        cells    v      10 ms          -
        """
        synapses = [("synapses", "from -> to", "weight", "effect", "at a spike")]
        shown = {(1,): "excites", (-1,): "inhibits", (): "-"}
        for s, w, signs in zip(self.connections, self._weight, self.split(self.effects()), strict=True):
            effect = shown.get(tuple(np.unique(signs[signs != 0])), "both")
            ends = f"{s.source.name} -> {s.target.name}"
            synapses.append((s.name, ends, str(w), effect, self.roles.synapses(s).statement))
        neurons = [("neurons", "state", "time constant", "input")]
        for group in self.groups:
            times = 1e3 * self.time_constants[self._numbers(group)]
            low, high = (f"{t:.3g}" for t in (times.min(), times.max()))
            constant = "measured" if np.isnan(times).any() else f"{low} ms" if low == high else f"{low}..{high} ms"
            state = self._states.get(group.name)
            inputs = ", ".join(self._inputs.get(group.name, {})) or "-"
            neurons.append(
                (group.name, state, constant, inputs) if state else (group.name, "-", "source of spikes", "-")
            )
        chosen = {id(s) for s in self.connections}
        others = by_name(s for s in self.network.objects if isinstance(s, Synapses) and id(s) not in chosen)
        left = [("left alone", s.name, self.roles.synapses(s).why_not or "was not named") for s in others]
        return "\n".join(line for table in (synapses, neurons, left) for line in _columns(table))

    # ----------------------------------------------------------------------------------------------------------- run

    @property
    def spiking(self) -> list[tuple[slice, Group]]:
        """Where the neurons of each group are that has spikes, and the group."""
        return [(self._numbers(g), g) for g in self.groups if "spike" in getattr(g, "events", ("spike",))]

    def run(self, duration: Quantity, **options: Any) -> None:
        """Run the network for all of `duration` with its own namespace, or raise; see `run_network`."""
        run_network(self.network, duration, namespace=self.namespace, **options)

    # ------------------------------------------------------------------------------------------------------- private

    def _numbers(self, group: Group) -> slice:
        whole, start = whole_group(group)
        if whole.name not in self._begin:
            raise InvalidInput(f"no synapse to be pruned touches the group '{whole.name}'")
        begin = self._begin[whole.name] + start
        return slice(begin, begin + len(group))

    def _mask(self, groups: Iterable[Group]) -> np.ndarray:
        mask = np.zeros(self.n_neurons, dtype=bool)
        for group in groups:
            mask[self._numbers(group)] = True
        return mask

    def _time_constants(self, given: str | Quantity | Mapping[str, str | Quantity] | None, ordered: bool) -> np.ndarray:
        times = np.full(self.n_neurons, np.nan)
        neurons = [g for g in self.groups if g.name in self._states]
        if isinstance(given, Mapping):
            for name in given:
                if name not in self._begin:
                    raise InvalidInput(f"time_constant: there is no group '{name}'; there are {', '.join(self._begin)}")
            parts = [(g, given[g.name]) for g in neurons if g.name in given]
        elif given is None:
            read = {g.name: self.roles.neurons(g.name).time_constant for g in neurons}
            parts = [(g, read[g.name] * second) for g in neurons if read[g.name] is not None]
        elif isinstance(given, str) or checks.any_array("time_constant", given).ndim == 0:
            parts = [(g, given) for g in neurons]
        elif ordered or len(self.groups) == 1:
            return _times(given, self.n_neurons)
        else:
            raise InvalidInput(
                f"time_constant is a list, but the order of the groups {', '.join(self._begin)} is not given; say "
                "time_constant={group name: times}, or name the Synapses objects: synapses=[...]"
            )
        for group, value in parts:
            if isinstance(value, str):
                _require_variable(group, value, "time_constant")
                value = getattr(group, value)[:]
            times[self._numbers(group)] = _times(value, len(group))
        # A source of spikes has no state, and nothing to remember.
        for group in self.groups:
            if group.name not in self._states:
                times[self._numbers(group)] = float(group.clock.dt_)
        return times


def _is_shared(synapses: Synapses, weight: Per) -> bool:
    """Whether a weight is one for all synapses."""
    return not isinstance(weight, str) or synapses.variables[weight].read_only or synapses.variables[weight].scalar


def _dimensions(synapses: Synapses, weight: Per) -> Any:
    return synapses.variables[weight].dim if isinstance(weight, str) else get_dimensions(weight)


def _values(synapses: Synapses, weight: Per) -> np.ndarray:
    value = synapses.variables[weight].get_value() if isinstance(weight, str) else float(weight)
    return np.broadcast_to(value, (len(synapses),))


def _own_factors(synapses: Synapses, weight: Per) -> np.ndarray | float:
    """Return what shared weights are multiplied by, synapse by synapse."""
    own = _is_shared(synapses, weight) and is_scalable(synapses)
    return synapses.variables[SCALE].get_value() if own else 1.0


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _listed(name: str, value: Any, kind: Any) -> tuple[Any, ...]:
    """Return one object, or a sequence of objects, as a tuple."""
    items = (value,) if isinstance(value, Group) or not np.iterable(value) else tuple(value)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    for item in items:
        if not isinstance(item, kinds):
            wanted = " or ".join(k.__name__ for k in kinds)
            raise InvalidInput(f"{name} must be a Brian2 {wanted}, or several of them, got {type(item).__name__}")
    return items


def _connections(roles: Roles, synapses: Any) -> tuple[Synapses, ...]:
    network = roles.network
    if synapses is None:
        there = by_name(s for s in network.objects if isinstance(s, Synapses))
        found = tuple(s for s in there if not roles.synapses(s).why_not)
        found = found or tuple(s for s in there if roles.synapses(s).gates)
        if not found:
            raise InvalidInput(_nothing_to_prune(roles, there))
        return found
    found = _listed("synapses", synapses, Synapses)
    if not isinstance(synapses, (Group, Sequence)):
        # Sets have an order of their own, another one in every run.
        found = tuple(by_name(found))
    if not found:
        raise InvalidInput("synapses must name at least one Synapses object, got none")
    if len({id(s) for s in found}) < len(found):
        raise InvalidInput("synapses must name each Synapses object once")
    for s in found:
        if not any(s is obj for obj in network.objects):
            raise InvalidInput(f"synapses '{s.name}' are not part of the network; add them to it")
        for side in (s.source, s.target):
            if isinstance(side, Synapses):
                raise InvalidInput(
                    f"synapses '{s.name}' connect to the synapses '{side.name}', which are no neurons; prune "
                    f"'{side.name}' instead: what connects to its synapses goes with them"
                )
        if not isinstance(s.target, (NeuronGroup, Subgroup)):
            raise InvalidInput(f"synapses '{s.name}' must go to a NeuronGroup, got {type(s.target).__name__}")
    return found


def _nothing_to_prune(roles: Roles, there: Sequence[Synapses]) -> str:
    if not there:
        return "the network has no Synapses to prune"
    if not any(role.state is not None for role in map(roles.neurons, roles.groups)):
        return "the network has no spiking neurons: no group has a threshold that looks at a state"
    why = "; ".join(f"'{s.name}' {roles.synapses(s).why_not}" for s in there)
    return f"the network has no synapses that act by spikes between spiking neurons: {why}; name others: synapses=[...]"


def _groups(network: Network, connections: Iterable[Synapses]) -> tuple[Group, ...]:
    """Return the groups that the synapses touch, in the order in which they are met."""
    objects = {obj.name: obj for obj in network.objects}
    groups: dict[str, Group] = {}
    for s in connections:
        for side in (s.source, s.target):
            name = whole_group(side)[0].name
            if name not in objects:
                raise InvalidInput(f"group '{name}' is not part of the network; add it")
            groups.setdefault(name, objects[name])
    return tuple(groups.values())


def _weights(roles: Roles, connections: tuple[Synapses, ...], given: Any, ordered: bool) -> list[Per]:
    if given is None:
        return [_read_weight(roles, s) for s in connections]
    single = isinstance(given, (str, Quantity)) or not isinstance(given, Sequence)
    weights = [given] * len(connections) if single else list(given)
    if not (single or ordered):
        raise InvalidInput(
            f"weight is a list, but the order of the Synapses objects is not given; name them in the order of their "
            f"weights: synapses=[{', '.join(s.name for s in connections)}]"
        )
    if len(weights) != len(connections):
        raise InvalidInput(
            f"weight must be one or {len(connections)}, one for each of the synapses, got {len(weights)}"
        )
    for s, weight in zip(connections, weights, strict=True):
        if isinstance(weight, str):
            _require_variable(s, weight, "weight")
            variable = s.variables[weight]
            if not isinstance(variable, ArrayVariable):
                raise InvalidInput(
                    f"weight '{weight}' of '{s.name}' is computed from other variables; name the one that is stored"
                )
            owner = getattr(variable.owner, "name", None)
            if owner != s.name or weight in ("i", "j", "N") or not np.issubdtype(variable.dtype, np.floating):
                raise InvalidInput(f"weight must name a floating-point variable of '{s.name}', got '{weight}'")
        elif not _is_number(weight):
            raise InvalidInput(f"weight of '{s.name}' must be a name, or one number other than 0, got {weight!r}")
    return weights


def _read_weight(roles: Roles, synapses: Synapses) -> Per:
    role = roles.measured(synapses)
    if role.weight is None:
        does = role.statement or role.why_not
        raise InvalidInput(
            f"the weight of '{synapses.name}' is not plain from what a spike does ({does}); say weight=..."
        )
    if not isinstance(role.weight, str) and not np.any(role.sign):
        raise InvalidInput(
            f"whether '{synapses.name}' excites shows neither in its code ({role.statement}) nor in rates; say "
            f"weight={role.weight} or weight={-role.weight}"
        )
    return role.weight


def _factors(roles: Roles, connections: tuple[Synapses, ...], weight: Any, inhibitory: Any) -> list[float | np.ndarray]:
    """Return the effect of positive weights of each object, one or that of each source neuron."""
    if inhibitory is not None:
        inhibiting = _listed("inhibitory", inhibitory, Synapses)
        for s in inhibiting:
            if not any(s is own for own in connections):
                raise InvalidInput(f"inhibitory: '{s.name}' is not among the synapses to be pruned")
        return [-1.0 if any(s is own for own in inhibiting) else 1.0 for s in connections]
    given = weight if isinstance(weight, Sequence) and not isinstance(weight, str) else [weight] * len(connections)
    factors: list[float | np.ndarray] = []
    for s, w in zip(connections, given, strict=True):
        # The sign of a number that was given is that of its effect.
        sign = roles.measured(s).sign if w is None or isinstance(w, str) else 1.0
        factors.append(sign if np.any(sign) else 1.0)
    return factors


def _is_number(value: object) -> bool:
    """Whether this is one finite number other than 0, with or without a unit."""
    if not isinstance(value, (int, float, np.number, Quantity)) or np.ndim(value) != 0:
        return False
    number = float(value)
    return bool(np.isfinite(number)) and number != 0


def _state(group: NeuronGroup, given: str | Mapping[str, str | None] | None, roles: Roles) -> str | None:
    """Return the state variable of a group, None of a source of spikes."""
    if isinstance(given, Mapping):
        if group.name not in given:
            raise InvalidInput(f"state says nothing of the group '{group.name}'")
        given = given[group.name]
        if given is None:
            return None
    if given is None or (isinstance(given, str) and given not in group.variables):
        role = roles.neurons(group.name)
        if role.why_not:
            raise InvalidInput(f"group '{group.name}' {role.why_not}; prune synapses between groups that spike")
        if given is None or role.state is None:
            return role.state
    checks.instance("state", given, str, "name a state variable of the neurons")
    _require_variable(group, given, "state")
    variable = group.variables[given]
    if not isinstance(variable, ArrayVariable) or variable.read_only or not np.issubdtype(variable.dtype, np.floating):
        raise InvalidInput(
            f"state must name a floating-point variable of '{group.name}' that can be set, got '{given}'"
        )
    return given


def _inputs(groups: Iterable[Group], given: Any, roles: Roles) -> dict[str, dict[str, Any]]:
    neurons = [g for g in groups if isinstance(g, NeuronGroup)]
    if given is None:
        read = {g.name: roles.neurons(g.name).inputs for g in neurons}
        return {g.name: {n: 0 * get_unit(g.variables[n].dim) for n in read[g.name]} for g in neurons}
    if isinstance(given, Mapping):
        values: dict[str, Any] = dict(given)
    else:
        names = (given,) if isinstance(given, str) or not isinstance(given, Sequence) else given
        for name in names:
            checks.instance("input", name, str, "name variables of the neurons, or give a mapping of names to values")
        values = dict.fromkeys(names)
    found: dict[str, dict[str, Any]] = {g.name: {} for g in neurons}
    for name, value in values.items():
        having = [g for g in neurons if name in g.variables]
        if not having:
            _require_variable(neurons[0], name, "input")
        for group in having:
            unit = get_unit(group.variables[name].dim)
            if value is None:
                value = 0 * unit
            if not have_same_dimensions(value, unit):
                shown = "no unit" if group.variables[name].dim is DIMENSIONLESS else f"the unit {unit}"
                raise InvalidInput(f"input: {name} of '{group.name}' has {shown}, got {value!s}")
            found[group.name][name] = value
    return found


def _times(value: ArrayLike, size: int) -> np.ndarray:
    """Return one time or (size,) times as an array in seconds."""
    if not isinstance(value, Quantity) or value.dim is not second.dim:
        raise InvalidInput(f"time_constant must be times such as 20*ms, or the name of a variable, got {value!r}")
    times = np.asarray(value, dtype=float)
    if times.shape not in ((), (size,)) or not (times > 0).all():
        raise InvalidInput(f"time_constant must be positive, one or {size} of them, got {value!s}")
    return np.broadcast_to(times, (size,)).copy()


def _require_variable(group: Group, name: str, role: str) -> None:
    if name not in group.variables:
        known = ", ".join(sorted(group.equations.names)) or "nothing"
        raise InvalidInput(
            f"{role}: '{group.name}' has no variable '{name}'; its equations define: {known}; say {role}=..."
        )
