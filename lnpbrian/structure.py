"""Edit the connectivity of a live Brian2 network between two runs, exactly.

Brian2 has no public way to remove synapses (its issue 166, open since 2013). This is the only module of the package
that touches Brian2's private attributes; it is tested with brian2 2.10.1 and 2.11.0 on the numpy and Cython targets.

What makes it work: `Network.run` creates all code objects anew and lets every pathway read its sources and delays
again, so arrays that changed size between two runs are seen by the next one. What is left to do is to shrink every
per-synapse array together, to count again what Brian2 counts (``N``, ``N_incoming``, ``N_outgoing``, the multisynaptic
index), and to renumber the synapses in the queues of spikes that are still in flight.

Orientation: entry ``[i, j]`` of a weight matrix is the weight **onto** neuron i **from** neuron j; Brian2's
``Synapses.i`` is the presynaptic index and ``Synapses.j`` the postsynaptic one.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse
from brian2 import DimensionMismatchError, Network, NeuronGroup, Quantity, StateMonitor, Subgroup, Synapses, second
from brian2.core.variables import ArrayVariable, Subexpression
from brian2.devices.device import RuntimeDevice
from brian2.units.fundamentalunits import DIMENSIONLESS, fail_for_dimension_mismatch, get_unit
from numpy.typing import ArrayLike

from lnpbrian.checks import InvalidInput, count, keep_mask
from lnpbrian.network import NetworkSpec, RecurrentNetwork

__all__ = [
    "add_synapses",
    "adopt",
    "compact",
    "connectivity",
    "copy_block_events",
    "duplicate_synapses",
    "remove_synapses",
    "silence_neurons",
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
    checked = _synapses("synapses", synapses)
    try:
        pre, post = _neuron_indices(checked)
    except NotImplementedError as error:
        raise InvalidInput(
            f"the synapses of '{checked.name}' do not exist before the standalone program has run; "
            "build and run it, then ask for its connectivity"
        ) from error
    shape = (_side_size(checked, "N_post"), _side_size(checked, "N_pre"))
    matrix = scipy.sparse.coo_array((_weights(checked, weight, pre.size), (post, pre)), shape=shape).tocsr()
    matrix.sum_duplicates()
    matrix.sort_indices()
    return matrix


def remove_synapses(synapses: Synapses, keep: ArrayLike) -> int:
    """Remove synapses from a Synapses object that may already have run.

    The network then behaves, spike for spike and bit for bit, as if the weights of these synapses had been set to
    zero, but they are no longer stored, updated or propagated to. Delays (one for all, or one each), spikes in flight
    on the kept synapses, and the state of event-driven equations stay as they are. Spikes in flight on removed
    synapses are dropped. The kept synapses keep their order and are numbered 0, 1, 2, ... again.

    Parameters
    ----------
    synapses : brian2.Synapses
        In runtime mode, and not inside a run.
    keep : array_like of bool, shape (number of synapses,)
        True for each synapse that stays.

    Returns
    -------
    int
        How many synapses were removed.

    Raises
    ------
    InvalidInput
        If the mask does not fit, on a standalone device, during a run, or where something else holds synapse numbers
        that would go stale: other synapses connected to these ones, a linked variable, a StateMonitor that records
        one of the removed synapses. Nothing has changed then.

    Notes
    -----
    * What Brian2 counts is counted again: ``N_incoming``, ``N_outgoing`` and the multisynaptic index are what they
      would be in a network built without the removed synapses. Equations that read them (such as a weight divided
      by ``N_incoming``) see the new values, which zeroing weights would not have done.
    * "As with zero weights" is meant for synapses whose whole effect is proportional to the weight: a pathway that
      does ``x_post += 1``, or a summed variable without the weight, loses the removed synapses' share as well, and
      equations that draw random numbers per synapse draw fewer.
    * A StateMonitor whose recorded synapses all stay keeps recording them: its ``record`` is renumbered.
    * `Network.store` before and `Network.restore` after an edit brings the removed synapses back, exactly.
    * Brian2 hands out views: ``w = S.w[:]`` taken before an edit shows other values afterwards. Use ``np.array(S.w)``.
      The memory is kept for later growth, not given back to the operating system.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses
    >>> neurons = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> add_synapses(synapses, [0, 0, 1], [1, 2, 2], w=[1.0, 2.0, 3.0])
    >>> remove_synapses(synapses, [True, False, True])
    1
    >>> connectivity(synapses).toarray()
    array([[0., 0., 0.],
           [1., 0., 0.],
           [0., 3., 0.]])
    """
    checked = _editable("synapses", synapses)
    mask = keep_mask("keep", keep, len(checked))
    removed = int(mask.size - np.count_nonzero(mask))
    if removed:
        _check_removal(checked, mask)
        _remove(checked, mask)
    return removed


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
    checked = _editable("synapses", synapses)
    sources = _index_array("pre", pre, _side_size(checked, "N_pre"), checked.source.name)
    targets = _index_array("post", post, _side_size(checked, "N_post"), checked.target.name)
    if sources.size != targets.size:
        raise InvalidInput(f"pre and post must have the same length, got {sources.size} and {targets.size} entries")
    _check_no_links(checked)
    new_values = _new_synapse_values(checked, values, sources.size)
    _append(checked, sources, targets, new_values)


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
    checked = _editable("synapses", synapses)
    chosen = _index_array("donors", donors, len(checked), checked.name)
    settable = _settable_synapse_variables(checked)
    # Brian2 keeps event-driven equations apart.
    states = checked.equations.diff_eq_names | (checked.event_driven.diff_eq_names if checked.event_driven else set())
    values = {}
    for name, variable in settable.items():
        if name == weight or not (name in states or name == "lastupdate"):
            values[name] = Quantity(variable.get_value()[chosen], dim=variable.dim)
    if "delay" in values:
        del values["pre.delay"]
    add_synapses(checked, pre, post, **values)


def silence_neurons(
    neurons: NeuronGroup | Subgroup,
    indices: ArrayLike,
    *,
    synapses: Synapses | Iterable[Synapses] = (),
    **values: Any,
) -> None:
    """Disconnect neurons and set some of their variables, so that they take no part in the network any more.

    Parameters
    ----------
    neurons : brian2.NeuronGroup or Subgroup
        The group; it keeps its size.
    indices : array_like of int, shape (n,)
        The neurons, relative to the subgroup if `neurons` is one.
    synapses : Synapses or iterable of Synapses
        Every synapse of these that starts or ends at one of the neurons is removed, spikes in flight included. Only
        the sides that belong to the same group (directly, or as a subgroup of it) are looked at.
    **values : Quantity or array_like, scalar or shape (n,)
        Values for variables of these neurons, such as ``alive=False, I_bias=0``.

    Raises
    ------
    InvalidInput
        If an index is out of range, a name is not a variable of the group that can be set, a unit is wrong, a Synapses
        object does not touch the group, or `remove_synapses` would refuse. Nothing has changed then.

    Notes
    -----
    A neuron stops firing only if its model has a variable for that (a drive set to zero, or ``v > 1 and alive`` as
    threshold). A PoissonInput or another Synapses object that is not listed still reaches it.

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
    if not isinstance(neurons, (NeuronGroup, Subgroup)):
        raise InvalidInput(f"neurons must be a brian2.NeuronGroup or a Subgroup of one, got {type(neurons).__name__}")
    group, offset = _whole_group(neurons)
    _check_runtime(f"neurons '{neurons.name}'", group.variables["i"].device)
    chosen = offset + _index_array("indices", indices, len(neurons), neurons.name)
    listed = (synapses,) if isinstance(synapses, Synapses) else tuple(synapses)
    distinct = {id(s): _editable("synapses", s) for s in listed}.values()
    masks = [(s, _not_touching(s, group, chosen)) for s in distinct]
    masks = [(s, mask) for s, mask in masks if not mask.all()]
    for s, mask in masks:
        _check_removal(s, mask)
    settable = _settable_neuron_variables(group)
    new_values = [
        (variable, _values(name, variable, values[name], chosen.size))
        for name, variable in _select(settable, values, f"group '{neurons.name}'")
    ]
    for s, mask in masks:
        _remove(s, mask)
    for variable, array in new_values:
        variable.get_value()[chosen] = array


def compact(model: RecurrentNetwork) -> RecurrentNetwork:
    """Return the smaller network without the silent neurons of a model.

    Parameters
    ----------
    model : RecurrentNetwork
        A model of `lnpbrian.models`, pruned or not; it is left as it is.

    Returns
    -------
    RecurrentNetwork
        The survivors, renumbered in order, with their synapses, weights and biases as they are now. It starts at t = 0
        from their initial potentials; traces of plasticity and spikes in flight are not taken over.

    Raises
    ------
    InvalidInput
        If `model` is not such a network, or no neuron is alive.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> model = HRSNN(20, 0.5, check_rate=False)
    >>> silence_neurons(model.neurons, [0, 3], synapses=model.synapses, alive=False, I_bias=0)
    >>> len(compact(model).neurons)
    18
    """
    if not isinstance(model, RecurrentNetwork):
        raise InvalidInput(f"model must be a RecurrentNetwork such as HRSNN(...), got {type(model).__name__}")
    return RecurrentNetwork(model.spec.compacted(), plastic="eta_plus" in model.synapses.variables)


# What makes a network another one.
_NEVER_EDITED = (
    *("initial_potential", "excitatory", "cluster"),
    *("synaptic_time_constant", "refractory_period", "dt", "spike_timing"),
)


def adopt(model: RecurrentNetwork, spec: NetworkSpec) -> None:
    """Make a model the network of `spec`, in place: its synapses, time constants, biases and silent neurons.

    Parameters
    ----------
    model : RecurrentNetwork
        A model of `lnpbrian.models` that `spec` descends from. Potentials, currents and the time stay; spikes in flight
        and traces are lost.
    spec : NetworkSpec
        Such as one that was saved while the model was being edited.

    Raises
    ------
    InvalidInput
        If `spec` has other neurons, one of the two has delays or plasticity and the other has not, or `remove_synapses`
        would refuse. Nothing has changed then.
    """
    now, synapses = model.spec, model.synapses
    if any(not np.array_equal(getattr(spec, name), getattr(now, name)) for name in _NEVER_EDITED):
        raise InvalidInput(f"{spec!r} has other neurons than {now!r}; use the network that it descends from")
    if (spec.delays is None) != (now.delays is None) or (spec.plasticity is None) != (now.plasticity is None):
        raise InvalidInput(f"{spec!r} and {now!r} must both have delays or none, and be both plastic or not")
    values: dict[str, Any] = {"w": spec.weights}
    if spec.delays is not None:
        values["delay"] = spec.delays * second
        if spec.spike_timing == "precise":
            values["advance.delay"] = spec.delays * second
    stdp = spec.plasticity if "eta_plus" in synapses.variables else None
    if stdp is not None:
        values |= {"tau_plus": stdp.tau_plus * second, "tau_minus": stdp.tau_minus * second}
        values |= {"eta_plus": stdp.eta_plus, "eta_minus": stdp.eta_minus}
    remove_synapses(synapses, np.zeros(len(synapses), dtype=bool))
    add_synapses(synapses, spec.pre, spec.post, **values)
    if stdp is not None:
        synapses.w_min, synapses.w_max = stdp.w_min, stdp.w_max
    model.set_time_constants(spec.time_constants)
    model.neurons.I_bias = spec.bias
    model.neurons.alive = spec.alive


def copy_block_events(synapses: Synapses, n_blocks: int) -> None:
    """Give the copies of a network the spikes in flight of the first one.

    Parameters
    ----------
    synapses : brian2.Synapses
        Connects a group of B*M neurons with itself and is block diagonal: B copies of one network of M neurons and S
        synapses; synapse s of copy b is entry b*S + s and connects the neurons of synapse s shifted by b*M.
    n_blocks : int
        B, the number of copies, the first one included.

    Raises
    ------
    InvalidInput
        If the synapses are not made of that many identical blocks (indices or delays differ), or on a standalone
        device.

    Notes
    -----
    In every pathway, the events waiting for the synapses of copies 1 ... B-1 are replaced by those of copy 0, at the
    same times. State variables are not copied. Unlike the edits of this module it leaves the number of synapses alone,
    so a network operation may call it during a run.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses
    >>> neurons = NeuronGroup(4, "v : 1", threshold="v > 1", reset="v = 0")
    >>> twins = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> add_synapses(twins, [0, 2], [1, 3], w=1.0)
    >>> copy_block_events(twins, 2)
    >>> copy_block_events(twins, 4)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: 2 synapses between 4 neurons cannot be 4 identical blocks
    """
    checked = _synapses("synapses", synapses)
    _check_runtime(f"synapses '{checked.name}'", checked.variables["N"].device)
    blocks = count("n_blocks", n_blocks)
    size = _check_blocks(checked, blocks)
    states = [(p.queue, _tiled_events(p.queue, size, blocks)) for p in checked._pathways]
    for queue, state in states:
        queue._restore_from_full_state(state)


# ---------------------------------------------------------------------------------------------------------------------
# Changing a Synapses object. Nothing below this line and above the next one can fail on a user's input.


def _remove(synapses: Synapses, keep: np.ndarray) -> None:
    kept = np.flatnonzero(keep)
    new_number = np.full(keep.size, -1, dtype=np.int32)
    new_number[kept] = np.arange(kept.size, dtype=np.int32)
    # Everything is computed before anything is changed, so that running out of memory leaves the network as it was.
    survivors = [(v, v.get_value()[kept]) for v in synapses._registered_variables]
    queues = [(p.queue, _renumbered_events(p.queue, new_number)) for p in synapses._pathways]
    records = [(m, new_number[m.record]) for m in _monitors(synapses)]
    for variable, array in survivors:
        variable.resize(kept.size)  # Synapses._resize refuses to shrink, the variables themselves do not
        variable.set_value(array)
    synapses.variables["N"].set_value(kept.size)
    _recount(synapses)
    for queue, state in queues:
        queue._restore_from_full_state(state)
    for monitor, record in records:
        recorded = monitor.variables["_indices"]
        recorded.set_value(record)
        # The very array, not a copy: Network.restore writes into it, and `record` must follow.
        monitor.record = recorded.get_value()


def _append(synapses: Synapses, pre: np.ndarray, post: np.ndarray, new_values: list[tuple[Any, np.ndarray]]) -> None:
    old = len(synapses)
    pre = pre + _offset(synapses, "_source_offset")
    post = post + _offset(synapses, "_target_offset")
    synapses._connect_called = True  # else Brian2 refuses to run, or to set variables of, these synapses
    synapses._resize(old + pre.size)  # new entries are zero
    synapses.variables["_synaptic_pre"].get_value()[old:] = pre
    synapses.variables["_synaptic_post"].get_value()[old:] = post
    synapses._update_synapse_numbers(old)
    for variable, array in new_values:
        variable.get_value()[old:] = array


def _recount(synapses: Synapses) -> None:
    for name in ("N_incoming", "N_outgoing"):
        synapses.variables[name].get_value()[:] = 0
    synapses._update_synapse_numbers(0)  # counts the synapses from 0 on, and numbers multiple ones


def _renumbered_events(queue: Any, new_number: np.ndarray) -> tuple[int, list[list[int]]]:
    """Return the state of a spike queue (position, synapse numbers per time step) without the removed synapses."""
    position, slots = queue._full_state()
    renumbered = (new_number[np.asarray(slot, dtype=np.intp)] for slot in slots)
    return position, [numbers[numbers >= 0].tolist() for numbers in renumbered]


def _tiled_events(queue: Any, size: int, blocks: int) -> tuple[int, list[list[int]]]:
    """Return the state of a spike queue in which every block has the events of the first `size` synapses."""
    position, slots = queue._full_state()
    shifts = size * np.arange(blocks)[:, np.newaxis]
    tiled = []
    for slot in slots:
        events = np.asarray(slot, dtype=np.intp)
        tiled.append((shifts + events[events < size]).ravel().tolist())
    return position, tiled


# ---------------------------------------------------------------------------------------------------------------------
# Refusing what cannot be done


def _synapses(name: str, value: object) -> Synapses:
    if not isinstance(value, Synapses):
        raise InvalidInput(f"{name} must be a brian2.Synapses object, got {type(value).__name__}")
    return value


def _editable(name: str, value: object) -> Synapses:
    synapses = _synapses(name, value)
    _check_runtime(f"synapses '{synapses.name}'", synapses.variables["N"].device)
    if _inside_run(synapses):
        # The code objects of the run in progress hold the number of synapses and the pathways their sources.
        raise InvalidInput(
            f"the synapses of '{synapses.name}' cannot be edited during a run; end the run, edit, then run again"
        )
    return synapses


def _check_runtime(what: str, device: object) -> None:
    if not isinstance(device, RuntimeDevice):
        raise InvalidInput(
            f"{what} belong to {type(device).__name__}, whose program has a fixed number of synapses; "
            "build the network after set_device('runtime'), or set weights to zero instead"
        )


def _inside_run(synapses: Synapses) -> bool:
    """Whether a Network that holds `synapses` is running further up the stack.

    Brian2 has no flag for this that is reset when a run fails (2.10.1), and none per network.
    """
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == "run":
            network = frame.f_locals.get("self")
            if isinstance(network, Network) and any(obj is synapses for obj in network.objects):
                return True
    return False


def _check_removal(synapses: Synapses, keep: np.ndarray) -> None:
    _check_no_links(synapses)
    if _refusals(synapses, keep):
        _forget_deleted_objects()
    refusals = _refusals(synapses, keep)
    if refusals:
        raise InvalidInput(refusals[0])


def _forget_deleted_objects() -> None:
    """Let go of monitors and synapses that the user has deleted but Python has not."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        # Brian2 looks at the local variables of its callers. Up to Python 3.12 that leaves a copy of them in the
        # frame, deleted names included, until somebody looks again.
        _ = frame.f_locals
    del _
    gc.collect()  # and Brian2's objects are in reference cycles


def _refusals(synapses: Synapses, keep: np.ndarray) -> list[str]:
    found = [
        f"the synapses of '{synapses.name}' cannot be removed while '{other.name}' connects to them (its indices are "
        f"their numbers); delete '{other.name}' first, or set weights to zero instead"
        for other in _instances(Synapses)
        if other is not synapses and (other.source is synapses or other.target is synapses) and len(other)
    ]
    for monitor in _monitors(synapses):
        lost = monitor.record[~keep[monitor.record]]
        if lost.size:
            found.append(
                f"StateMonitor '{monitor.name}' records synapse {lost[0]} of '{synapses.name}', which is to go; "
                "delete the monitor, or let it record only synapses that stay"
            )
    return found


def _check_no_links(synapses: Synapses) -> None:
    for name in sorted(synapses._linked_variables):
        # A link to one value shared by all synapses has index "0". Any other has an index per synapse, fixed once.
        if name in synapses.variables and synapses.variables.indices[name] != "0":
            raise InvalidInput(
                f"'{name}' of synapses '{synapses.name}' is linked to a variable of another group synapse by synapse, "
                "which cannot be edited; make it a parameter and assign its values"
            )


def _check_delays_differ(synapses: Synapses, names: Iterable[str]) -> None:
    for pathway in synapses._pathways:
        shared = {f"{pathway.objname}.delay", "delay" if pathway.objname == "pre" else ""}
        if pathway._delays.scalar and shared.intersection(names):
            raise InvalidInput(
                f"pathway '{pathway.objname}' of synapses '{synapses.name}' has one delay for all synapses; "
                "leave the delay out here, or create the Synapses object without delay=..."
            )


def _check_blocks(synapses: Synapses, blocks: int) -> int:
    """Return the number of synapses in each of `blocks` identical blocks."""
    if not (synapses.source is synapses.target and isinstance(synapses.source, NeuronGroup)):
        raise InvalidInput(
            f"synapses '{synapses.name}' must connect one NeuronGroup with itself, "
            f"got '{synapses.source.name}' to '{synapses.target.name}'"
        )
    n_synapses, n_neurons = len(synapses), len(synapses.source)
    if n_synapses % blocks or n_neurons % blocks:
        raise InvalidInput(f"{n_synapses} synapses between {n_neurons} neurons cannot be {blocks} identical blocks")
    size = n_synapses // blocks
    shift = (n_neurons // blocks) * np.arange(blocks)[:, np.newaxis]
    for name, neuron in zip(("i", "j"), _neuron_indices(synapses), strict=True):
        _check_equal_blocks(synapses, name, neuron.reshape(blocks, size) - shift)
    for pathway in synapses._pathways:
        if not pathway._delays.scalar:
            delays = pathway._delays.get_value().reshape(blocks, size)
            _check_equal_blocks(synapses, f"{pathway.objname}.delay", delays)
    return size


def _check_equal_blocks(synapses: Synapses, name: str, blocks: np.ndarray) -> None:
    different = np.argwhere(blocks != blocks[0])
    if different.size:
        block, entry = (int(k) for k in different[0])
        raise InvalidInput(
            f"the blocks of synapses '{synapses.name}' are not identical: {name} of synapse {entry} of block {block} "
            "does not match block 0"
        )


# ---------------------------------------------------------------------------------------------------------------------
# Reading what the user handed in


def _index_array(name: str, value: ArrayLike, size: int, group_name: str) -> np.ndarray:
    indices = np.atleast_1d(np.asarray(value))
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
    _check_delays_differ(synapses, values)
    settable = _settable_synapse_variables(synapses)
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
    variable = synapses.variables.get(name)
    own = [n for n in synapses.variables if _is_own(synapses, n)]
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


# ---------------------------------------------------------------------------------------------------------------------
# Looking into Brian2 objects


_BRIAN2_NAMES = frozenset({"N", "N_incoming", "N_outgoing", "delay", "i", "j", "lastupdate"})


def _is_own(synapses: Synapses, name: str) -> bool:
    """Whether `name` is a variable that the user's synapse model defines (not one of the neurons, nor Brian2's own)."""
    owner = getattr(synapses.variables[name].owner, "name", None)
    return owner == synapses.name and not name.startswith("_") and name not in _BRIAN2_NAMES


def _settable_synapse_variables(synapses: Synapses) -> dict[str, Any]:
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


def _settable_neuron_variables(group: NeuronGroup) -> dict[str, Any]:
    return {
        name: variable
        for name, variable in group.variables.items()
        if isinstance(variable, ArrayVariable)
        and not (variable.read_only or variable.scalar or name.startswith("_"))
        and group.variables.indices[name] == "_idx"
        and getattr(variable.owner, "name", None) == group.name  # else a link into another group
    }


def _whole_group(group: Any) -> tuple[Any, int]:
    """Return the group that numbers the neurons of `group`, and the number of the first one in it."""
    return (group.source, group.start) if isinstance(group, Subgroup) else (group, 0)


def _not_touching(synapses: Synapses, group: NeuronGroup, chosen: np.ndarray) -> np.ndarray:
    """Return a mask of the synapses that neither start nor end at neurons `chosen` of `group`."""
    touched = np.zeros(len(group), dtype=bool)
    touched[chosen] = True
    keep = np.ones(len(synapses), dtype=bool)
    sides = 0
    for side, numbers in ((synapses.source, "_synaptic_pre"), (synapses.target, "_synaptic_post")):
        # A subgroup holds a proxy of its group: compare what both share.
        if _whole_group(side)[0].variables is group.variables:
            keep &= ~touched[synapses.variables[numbers].get_value()]
            sides += 1
    if not sides:
        raise InvalidInput(
            f"synapses '{synapses.name}' connect '{synapses.source.name}' to '{synapses.target.name}', "
            f"neither is group '{group.name}'"
        )
    return keep


def _neuron_indices(synapses: Synapses) -> tuple[np.ndarray, np.ndarray]:
    """Return copies of the pre- and postsynaptic indices, relative to the subgroups."""
    pre = synapses.variables["_synaptic_pre"].get_value() - _offset(synapses, "_source_offset")
    post = synapses.variables["_synaptic_post"].get_value() - _offset(synapses, "_target_offset")
    return pre, post


def _offset(synapses: Synapses, name: str) -> int:
    return int(synapses.variables[name].get_value())


def _side_size(synapses: Synapses, name: str) -> int:
    return int(synapses.variables[name].item())


def _monitors(synapses: Synapses) -> list[StateMonitor]:
    sources = [synapses, *synapses._pathways]
    return [m for m in _instances(StateMonitor) if any(m.source is s for s in sources)]


def _instances(cls: Any) -> list[Any]:
    """Return all live objects of a Brian2 class; Brian2 keeps weak references to them."""
    objects = [reference() for reference in tuple(cls.__instances__())]
    # An object whose constructor has failed may live on in a traceback; the constructor sets this attribute last.
    return [obj for obj in objects if obj is not None and hasattr(obj, "_group_attribute_access_active")]
