"""Edit the connectivity of a live Brian2 network between two runs, exactly.

Brian2 has no public way to remove synapses (its issue 166, open since 2013). Edits work in runtime mode, on the numpy
and Cython targets, with brian2 2.10.1 and 2.11.0. An edit is done as a whole or, if anything goes wrong, not at all.

Orientation: entry ``[i, j]`` of a weight matrix is the weight **onto** neuron i **from** neuron j; Brian2's
``Synapses.i`` is the presynaptic index and ``Synapses.j`` the postsynaptic one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import scipy.sparse
from brian2 import BrianObjectException, DimensionMismatchError, NeuronGroup, Quantity, Subgroup, Synapses
from brian2.core.variables import Subexpression
from brian2.units.fundamentalunits import DIMENSIONLESS, fail_for_dimension_mismatch, get_unit
from numpy.typing import ArrayLike

from lnpbrian.checks import InvalidInput, any_array, flag, instance, keep_mask
from lnpbrian.network.brian2_internals import (
    Appended,
    Assigned,
    Edit,
    Guarded,
    check_delays_differ,
    check_no_links,
    check_runtime,
    commit,
    editable,
    inside_run,
    is_guarded,
    is_own,
    matching,
    neuron_indices,
    removals,
    settable_neuron_variables,
    settable_synapse_variables,
    states_of_equations,
    touching,
    whole_group,
)

__all__ = [
    "add_synapses",
    "connectivity",
    "duplicate_synapses",
    "mute_neurons",
    "remove_synapses",
    "silence_neurons",
    "switches",
]


def connectivity(synapses: Synapses, weight: str = "w") -> scipy.sparse.csr_array:
    """Return the weight matrix of a Synapses object.

    Parameters
    ----------
    synapses : brian2.Synapses
        Connected synapses between two groups (or subgroups, or one group and itself).
    weight : str
        Name of the weight: a per-synapse variable, a shared one, or a subexpression.

    Returns
    -------
    scipy.sparse.csr_array
        Shape (N_post, N_pre), float64 in SI base units; entry [i, j] is the weight onto neuron i from neuron j, with
        indices relative to the subgroup where a side is a subgroup. Several synapses between the same two neurons are
        added up. A weight of zero stays a stored entry: ``nnz`` counts connections. Column indices are sorted. The
        arrays are copies.

    Raises
    ------
    InvalidInput
        If `synapses` has no variable of that name, or is not yet connected (standalone mode before the build).

    Examples
    --------
    Neuron 0 excites neuron 1, which inhibits neuron 2:

    >>> from brian2 import NeuronGroup, Synapses
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> add_synapses(synapses, [0, 1], [1, 2], w=[0.5, -2.0])
    >>> connectivity(synapses).toarray()
    array([[ 0. ,  0. ,  0. ],
           [ 0.5,  0. ,  0. ],
           [ 0. , -2. ,  0. ]])
    """
    instance("synapses", synapses, Synapses, "name a brian2.Synapses object")
    try:
        pre, post = neuron_indices(synapses)
    except NotImplementedError as error:
        raise InvalidInput(
            f"the synapses of '{synapses.name}' do not exist before the standalone program has run; "
            "build and run it, then ask for its connectivity"
        ) from error
    shape = (len(synapses.target), len(synapses.source))
    matrix = scipy.sparse.coo_array((_weights(synapses, weight, pre.size), (post, pre)), shape=shape).tocsr()
    matrix.sum_duplicates()
    matrix.sort_indices()
    return matrix


def remove_synapses(
    synapses: Synapses,
    where: str | ArrayLike | None = None,
    *,
    keep: ArrayLike | None = None,
    namespace: Mapping[str, Any] | None = None,
) -> int:
    """Remove synapses from a Synapses object that may already have run.

    The network then behaves, spike for spike and bit for bit, as if the weights of these synapses had been set to
    zero, but they are no longer stored, updated or propagated to. Delays (one for all, or one each), spikes in flight
    on the kept synapses, and the state of event-driven equations stay as they are. Spikes in flight on removed
    synapses are dropped. The kept synapses keep their order and are numbered 0, 1, 2, ... again.

    Parameters
    ----------
    synapses : brian2.Synapses
        In runtime mode, and not inside a run.
    where : str or array_like of bool, shape (number of synapses,)
        The synapses that go: a mask, or a condition such as ``"abs(w) < 0.1*mV and i != j"``. It may use what a string
        of Brian2 may use for these synapses: their variables, subexpressions and shared variables, ``i``, ``j``,
        ``v_pre``, ``v_post``, ``delay`` (of pathway ``pre``), ``rand()``, units and functions.
    keep : array_like of bool, shape (number of synapses,)
        True for each synapse that stays. Give this or `where`.
    namespace : mapping of str to number or Quantity
        Values of other names in the condition, beside those in the namespace of the Synapses object. Local variables
        are not looked at.

    Returns
    -------
    int
        How many of these synapses were removed.

    Raises
    ------
    InvalidInput
        If the mask does not fit, Brian2 cannot evaluate the condition, on a standalone device, during a run, or where
        something else holds synapse numbers that would go stale: a linked variable, a StateMonitor that records one
        of the removed synapses. Nothing has changed then.

    Notes
    -----
    * Other Synapses objects may connect to (or from) these synapses. Their synapses at a removed one are removed as
      well, and the rest is renumbered; so it goes on with what connects to those.
    * What Brian2 counts is counted again: ``N_incoming``, ``N_outgoing`` and the multisynaptic index are what they
      would be in a network built without the removed synapses. Equations that read them (such as a weight divided
      by ``N_incoming``) see the new values, which zeroing weights would not have done.
    * "As with zero weights" is meant for synapses whose whole effect is proportional to the weight: a pathway that
      does ``x_post += 1``, or a summed variable without the weight, loses the removed synapses' share as well, and
      equations that draw random numbers per synapse draw fewer.
    * Spikes in flight are lists of synapse numbers, one per time step (Brette and Goodman 2011,
      doi:10.1162/NECO_a_00123); these numbers change, and so does the ``record`` of a StateMonitor whose recorded
      synapses all stay.
    * `Network.store` before and `Network.restore` after an edit brings the removed synapses back, exactly.
    * Whatever is raised on the way, ``MemoryError`` and Ctrl-C included: nothing has changed then.
    * Brian2 hands out views: ``w = S.w[:]`` taken before an edit shows other values afterwards. Use ``np.array(S.w)``.
      The memory is kept for later growth, not given back to the operating system.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> add_synapses(synapses, [0, 0, 1, 2], [1, 2, 2, 0], w=[1.0, 2.0, 3.0, 4.0])
    >>> remove_synapses(synapses, keep=[True, False, True, True])
    1
    >>> remove_synapses(synapses, "w > limit and i != j", namespace={"limit": 3.5})
    1
    >>> connectivity(synapses).toarray()
    array([[0., 0., 0.],
           [1., 0., 0.],
           [0., 3., 0.]])
    """
    checked = editable("synapses", synapses)
    mask = _kept(checked, keep, where, namespace)
    commit(removals([(checked, mask)]))
    return int(mask.size - np.count_nonzero(mask))


def add_synapses(synapses: Synapses, pre: ArrayLike, post: ArrayLike, **values: Any) -> None:
    """Append synapses to a Synapses object that may already be connected and may already have run.

    Existing synapses keep their numbers, their state and their spikes in flight. The new ones come last, in the order
    given; spikes fired before they existed do not reach them.

    Parameters
    ----------
    synapses : brian2.Synapses
        In runtime mode, and not inside a run.
    pre, post : array_like of int, shape (n,)
        Presynaptic and postsynaptic neuron of each new synapse (relative to the subgroup where a side is a subgroup).
    **values : Quantity or array_like, scalar or shape (n,)
        Values of per-synapse variables, in the units that the model states. ``delay`` is the delay of pathway
        ``pre``; the delay of any pathway is ``"<pathway>.delay"``, as in ``**{"post.delay": 1*ms}``. What is not
        given is zero, as in Brian2, except ``lastupdate`` of event-driven equations: this is the present time.

    Raises
    ------
    InvalidInput
        If an index is out of range, lengths differ, a name is not a per-synapse variable that can be set, a unit is
        wrong, a value is NaN or a delay negative; on a standalone device or during a run; or if the Synapses object
        has linked variables. Nothing has changed then.

    Notes
    -----
    No code is generated, so this is also a fast substitute for ``Synapses.connect(i=..., j=...)``. A StateMonitor
    created with ``record=True`` goes on recording the synapses that existed when it was created.

    Spikes in flight are in the queues of Brette and Goodman (2011), doi:10.1162/NECO_a_00123, which hold numbers of
    synapses: those of the old ones stay.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses, ms
    >>> neurons = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> add_synapses(synapses, [0, 1], [1, 0], w=0.5, delay=[1, 2]*ms)
    >>> print(synapses.delay[:])
    [1. 2.] ms
    >>> add_synapses(synapses, [2], [0], w=0.5)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: pre must hold indices from 0 to 1 (neurongroup... has 2 entries), got 2 at position 0
    """
    checked = editable("synapses", synapses)
    sources = _index_array("pre", pre, len(checked.source), checked.source.name)
    targets = _index_array("post", post, len(checked.target), checked.target.name)
    if sources.size != targets.size:
        raise InvalidInput(f"pre and post must have the same length, got {sources.size} and {targets.size} entries")
    check_no_links(checked)
    new_values = _new_synapse_values(checked, values, sources.size)
    commit([Appended(checked, sources, targets, new_values)])


def duplicate_synapses(
    synapses: Synapses, donors: ArrayLike, pre: ArrayLike, post: ArrayLike, *, weight: str = "w"
) -> None:
    """Append synapses between other neurons that are like existing ones.

    Parameters
    ----------
    synapses : brian2.Synapses
        In runtime mode, and not inside a run.
    donors : array_like of int, shape (n,)
        Number of the synapse that each new one takes its weight, its parameters and its delays from. State variables
        of its equations, such as traces, start at zero.
    pre, post : array_like of int, shape (n,)
        As in `add_synapses`.
    weight : str
        Name of the weight, which is taken over even where it is a state variable.

    Raises
    ------
    InvalidInput
        As `add_synapses`, and if a donor does not exist. Nothing has changed then.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses, ms
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> add_synapses(synapses, [0, 1], [1, 0], w=[0.5, 2.0])
    >>> duplicate_synapses(synapses, [1], [1], [2])
    >>> connectivity(synapses).toarray()[2]
    array([0., 2., 0.])
    """
    checked = editable("synapses", synapses)
    chosen = _index_array("donors", donors, len(checked), checked.name)
    instance("weight", weight, str, "name the variable that holds the weights")
    settable = settable_synapse_variables(checked)
    states = states_of_equations(checked)
    values = {}
    for name, variable in settable.items():
        if name == weight or not (name in states or name == "lastupdate"):
            values[name] = Quantity(variable.get_value()[chosen], dim=variable.dim)
    if "delay" in values:
        del values["pre.delay"]
    add_synapses(checked, pre, post, **values)


def mute_neurons(neurons: NeuronGroup | Subgroup, indices: ArrayLike) -> None:
    """Keep neurons from firing, whatever their drive and whatever their model.

    Parameters
    ----------
    neurons : brian2.NeuronGroup or Subgroup
        With a threshold or other events; in runtime mode.
    indices : array_like of int, shape (n,)
        The neurons, relative to the subgroup if `neurons` is one. None is allowed: see the notes.

    Raises
    ------
    InvalidInput
        If an index is out of range, the group has no threshold, its model has a variable of that name, on a standalone
        device; or during a run, unless the group was prepared before. Nothing has changed then.

    Notes
    -----
    * The group gets a boolean variable ``lnpbrian_alive``, and the condition of its threshold and of all its other
      events becomes ``(<condition>) and lnpbrian_alive``. Nothing changes for the others: a threshold or an equation
      that draws random numbers draws the same ones, except where compiled code draws only if it must, which the muted
      neuron's state may decide: write ``rand() < p or v > 1``, not ``v > 1 or rand() < p``.
    * The states of a muted neuron (what has a differential equation) stay what they are: equations and inputs move them
      no more, whatever the model; one that is not finite becomes the median of the neurons that are not muted. Numpy's
      warnings of overflow are off while such a group is updated. Other variables, also what is written to states by
      hand until the next step, are as the user sets them.
    * ``neurons.lnpbrian_alive[3] = True`` lets neuron 3 fire again, from where it rests; ``False`` sets it back there.
    * `Network.store` and `Network.restore` take it along; restoring a state from before brings all neurons back. To
      restore a file in a new process, prepare the group by ``mute_neurons(neurons, [])`` first.

    Examples
    --------
    >>> from brian2 import Network, NeuronGroup, SpikeMonitor, ms
    >>> neurons = NeuronGroup(3, "dv/dt = 2 / ms : 1", threshold="v > 1", reset="v = 0", method="euler")
    >>> mute_neurons(neurons, [0, 2])
    >>> spikes = SpikeMonitor(neurons)
    >>> Network(neurons, spikes).run(5*ms, namespace={"ms": ms})
    >>> print(set(spikes.i[:].tolist()))
    {1}
    >>> print(neurons.lnpbrian_alive[:])
    [False  True False]
    """
    group, chosen = _neurons(neurons, indices)
    if not group.events:
        raise InvalidInput(f"group '{group.name}' has no threshold: its neurons do not fire; leave them as they are")
    commit([_muting(group, chosen)])


def silence_neurons(
    neurons: NeuronGroup | Subgroup,
    indices: ArrayLike,
    *,
    synapses: Synapses | Iterable[Synapses] = (),
    mute: bool = True,
    **values: Any,
) -> None:
    """Disconnect neurons and keep them from firing, so that they take no part in the network any more.

    Parameters
    ----------
    neurons : brian2.NeuronGroup or Subgroup
        The group; it keeps its size.
    indices : array_like of int, shape (n,)
        The neurons, relative to the subgroup if `neurons` is one.
    synapses : Synapses or iterable of Synapses
        Every synapse of these that starts or ends at one of the neurons is removed, spikes in flight included. Only
        the sides that belong to the same group (directly, or as a subgroup of it) are looked at.
    mute : bool
        Whether they must not fire, whatever still reaches them: `mute_neurons` is done then, unless each event of the
        group has a condition such as ``v > 1 and alive``, and ``alive=False`` is among the `values`.
    **values : Quantity or array_like, scalar or shape (n,)
        Values for variables of these neurons, such as ``alive=False, I_bias=0``.

    Raises
    ------
    InvalidInput
        If an index is out of range, a name is not a variable of the group that can be set, a unit is wrong, a Synapses
        object does not touch the group, or `remove_synapses` or `mute_neurons` would refuse. Nothing has changed then.

    Notes
    -----
    A PoissonInput or another Synapses object that is not listed still reaches a silenced neuron. With ``mute=False`` it
    moves its potential, and the neuron fires, unless its model has a variable that prevents it.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses
    >>> neurons = NeuronGroup(3, "drive : 1", threshold="drive > 1", reset="")
    >>> neurons.drive = 2
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="drive_post += w")
    >>> add_synapses(synapses, [0, 1, 2], [1, 2, 0], w=[1.0, 2.0, 3.0])
    >>> silence_neurons(neurons, [0], synapses=[synapses], drive=0)
    >>> print(neurons.drive[:], synapses.i[:], synapses.j[:])
    [0. 2. 2.] [1] [2]
    """
    group, chosen = _neurons(neurons, indices)
    if isinstance(synapses, Synapses):
        synapses = (synapses,)
    elif not np.iterable(synapses):
        raise InvalidInput(f"synapses must be Synapses objects, got {synapses!r}")
    mute, listed = flag("mute", mute), tuple(synapses)
    distinct = {id(s): editable("synapses", s) for s in listed}.values()
    masks = [(s, ~touching(s, group, chosen)) for s in distinct]
    settable = settable_neuron_variables(group)
    new_values = {
        name: (variable, _values(name, variable, values[name], chosen.size))
        for name, variable in _select(settable, values, f"group '{neurons.name}'")
    }
    edits: list[Edit] = [Assigned(variable, chosen, array) for variable, array in new_values.values()]
    off = {name for name, (variable, array) in new_values.items() if variable.is_boolean and not array.any()}
    if mute and not (group.events and all(_conjuncts(condition) & off for condition in group.events.values())):
        edits.append(_muting(group, chosen))
    commit([*removals(masks), *edits])


def switches(group: NeuronGroup, values: Mapping[str, Any]) -> list[str]:
    """Return the boolean variables without which no event happens, and that `values` switch off.

    Examples
    --------
    >>> group = NeuronGroup(3, "v : 1\\nalive : boolean\\nflag : boolean", threshold="v > 1 and alive")
    >>> switches(group, {"alive": False, "flag": False, "v": 0})
    ['alive']
    """
    off = {name for name, value in values.items() if group.variables[name].is_boolean and not np.any(value)}
    return sorted(off.intersection(*map(_conjuncts, group.events.values()))) if group.events else []


# ---------------------------------------------------------------------------------------------------------------------
# Reading what the user handed in


def _neurons(neurons: NeuronGroup | Subgroup, indices: ArrayLike) -> tuple[NeuronGroup, np.ndarray]:
    """Return the whole group, and the numbers of the chosen neurons in it."""
    if not isinstance(neurons, (NeuronGroup, Subgroup)):
        raise InvalidInput(f"neurons must be a brian2.NeuronGroup or a Subgroup of one, got {type(neurons).__name__}")
    group, offset = whole_group(neurons)
    if not isinstance(group, NeuronGroup):
        raise InvalidInput(f"neurons must be a Subgroup of a brian2.NeuronGroup, got one of '{group.name}'")
    check_runtime(f"neurons '{neurons.name}'", group)
    return group, offset + _index_array("indices", indices, len(neurons), neurons.name)


def _muting(group: NeuronGroup, chosen: np.ndarray) -> Guarded:
    if not is_guarded(group) and inside_run(group):
        raise InvalidInput(
            f"neurons of '{group.name}' cannot be muted for the first time during a run; "
            f"call mute_neurons({group.name}, []) before it"
        )
    return Guarded(group, chosen)


def _conjuncts(condition: str) -> set[str]:
    """Return the variables that must all be true for a condition to hold.

    >>> sorted(_conjuncts("v > 1 and alive"))
    ['alive']
    """
    tree = ast.parse(f"({condition})", mode="eval").body
    parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
    return {part.id for part in parts if isinstance(part, ast.Name)}


def _kept(
    synapses: Synapses, keep: ArrayLike | None, where: str | ArrayLike | None, namespace: Mapping[str, Any] | None
) -> np.ndarray:
    if isinstance(keep, str):
        raise InvalidInput(f"keep must be a mask, got {keep!r}; to remove where a condition holds, leave out keep=")
    if (keep is None) == (where is None):
        raise InvalidInput("give either where, which says which synapses go, or keep, a mask of those that stay")
    if namespace is not None and not isinstance(where, str):
        raise InvalidInput("a namespace belongs to a condition in a string; leave it out with a mask")
    if not isinstance(where, str):
        return keep_mask("keep", keep, len(synapses)) if where is None else ~keep_mask("where", where, len(synapses))
    mask = np.ones(len(synapses), dtype=bool)
    mask[_matching(synapses, where, {} if namespace is None else namespace)] = False
    return mask


def _matching(synapses: Synapses, condition: str, namespace: Mapping[str, Any]) -> np.ndarray:
    if not isinstance(namespace, Mapping):
        raise InvalidInput(f"namespace must be a dictionary of names and values, got {type(namespace).__name__}")
    reason: object
    try:
        one_line = " ".join(condition.split())
        ast.parse(one_line, mode="eval")  # an expression, not statements
        return matching(synapses, one_line, namespace)
    except KeyError as error:
        reason = f"{str(error.args[0]).rstrip('.')}; give other names by namespace={{...}}"
    except (
        SyntaxError,
        TypeError,
        ValueError,
        DimensionMismatchError,
        NotImplementedError,
        BrianObjectException,
    ) as error:
        reason = error.__cause__ or error if isinstance(error, BrianObjectException) else error
    what = f"the condition {condition!r} for synapses '{synapses.name}'"
    raise InvalidInput(f"{what} cannot be evaluated: {' '.join(str(reason).split())}")


def _index_array(name: str, value: ArrayLike, size: int, group_name: str) -> np.ndarray:
    indices = np.atleast_1d(any_array(name, value))
    if indices.size == 0:
        return np.zeros(0, dtype=np.int64)
    if indices.ndim != 1 or not np.issubdtype(indices.dtype, np.integer):
        raise InvalidInput(
            f"{name} must be a one-dimensional array of whole numbers, "
            f"got shape {indices.shape} of type {indices.dtype}"
        )
    outside = np.flatnonzero((indices < 0) | (indices >= size))
    if outside.size:
        raise InvalidInput(
            f"{name} must hold indices from 0 to {size - 1} ({group_name} has {size} entries), "
            f"got {indices[outside[0]]} at position {outside[0]}"
        )
    return indices.astype(np.int64)


def _new_synapse_values(synapses: Synapses, values: dict[str, Any], size: int) -> list[tuple[Any, np.ndarray]]:
    check_delays_differ(synapses, values)
    settable = settable_synapse_variables(synapses)
    new_values = []
    if synapses.event_driven is not None and "lastupdate" not in values:
        # The traces of a new synapse are those given, now: they must not decay since t = 0 at its first spike.
        now = synapses.variables["t"].get_value().item()
        new_values.append((settable["lastupdate"], np.full(size, now)))
    for name, variable in _select(settable, values, f"synapses '{synapses.name}'"):
        array = _values(name, variable, values[name], size)
        if (name == "delay" or name.endswith(".delay")) and not ((array >= 0) & np.isfinite(array)).all():
            raise InvalidInput(f"{name} must be finite and not negative")
        new_values.append((variable, array))
    return new_values


def _select(settable: dict[str, Any], values: dict[str, Any], owner: str) -> list[tuple[str, Any]]:
    """Return (name, variable) of each value; raise if a name is not among the settable variables."""
    for name in values:
        if name not in settable:
            raise InvalidInput(
                f"'{name}' is not a variable of {owner} that has one value each and can be set; "
                f"these are: {', '.join(sorted(settable)) or 'none'}"
            )
    return [(name, settable[name]) for name in values]


def _values(name: str, variable: Any, value: object, size: int) -> np.ndarray:
    """Return `value` in SI units as an array of `size` entries of the variable's type."""
    try:
        array = np.asarray(value)
    except ValueError:  # nested sequences of different lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{name} must be a number or an array of numbers, got {value!r}")
    try:
        fail_for_dimension_mismatch(variable.dim, value)
    except DimensionMismatchError as error:
        unit = "without a unit" if variable.dim is DIMENSIONLESS else f"in units of {get_unit(variable.dim)}"
        raise InvalidInput(f"{name} must be given {unit}, got {value}") from error
    if array.shape not in ((), (size,)):
        raise InvalidInput(f"{name} must be one value or {size} values, got shape {array.shape}")
    if not np.can_cast(array.dtype, variable.dtype, "same_kind"):
        raise InvalidInput(f"{name} must be of type {np.dtype(variable.dtype)}, got {array.dtype}")
    if np.isnan(array).any():
        raise InvalidInput(f"{name} must not be NaN")
    return np.broadcast_to(array, (size,)).astype(variable.dtype)


def _weights(synapses: Synapses, name: str, size: int) -> np.ndarray:
    instance("weight", name, str, "name the variable that holds the weights")
    variable = synapses.variables.get(name)
    own = [n for n in synapses.variables if is_own(synapses, n)]
    if variable is None or name not in own:
        raise InvalidInput(
            f"synapses '{synapses.name}' have no variable '{name}'; they have: {', '.join(own) or 'none'}"
        )
    if not isinstance(variable, Subexpression):
        return np.broadcast_to(variable.get_value(), (size,)).astype(np.float64)
    try:
        values = variable.get_addressable_value(name, synapses).get_item(slice(None), namespace={})
    except KeyError as error:
        raise InvalidInput(
            f"'{name}' of synapses '{synapses.name}' refers to names that are not known here; "
            "create the Synapses object with namespace={...}"
        ) from error
    return np.broadcast_to(values, (size,)).astype(np.float64)
