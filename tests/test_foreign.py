"""Pruning in place the networks of `foreign_networks.py` is exact.

A network runs, loses 70 % of every projection with spikes in flight, and runs on. Then it must do, bit for bit and
without a tolerance, what a network that was built with only the kept synapses and given the same state does, and what
the network with weights of zero does where such a synapse does nothing (`Foreign.twin`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import PopulationRateMonitor, StateMonitor, Synapses, ms, seed
from brian2.core.spikesource import SpikeSource
from brian2.core.variables import ArrayVariable
from foreign_networks import NETWORKS, Foreign, Kept, modulated

from lnpbrian.network.structure import remove_synapses

KEPT = 0.3
# Brian2 counts these itself, when synapses are made.
COUNTED = ("N", "N_incoming", "N_outgoing")
INDICES = ("i", "j", "_synaptic_pre", "_synaptic_post", "_presynaptic_idx", "_postsynaptic_idx")

each_network = pytest.mark.parametrize("build", NETWORKS, ids=lambda build: build.__name__)


def run(foreign: Foreign, duration: float, *, random: int) -> None:
    seed(random)  # pruned or not, both sides draw the same numbers
    foreign.network.run(duration * ms, namespace={})


def at_edit(build: Any) -> Foreign:
    foreign = build()
    run(foreign, foreign.before, random=100)
    return foreign


def run_on(foreign: Foreign) -> None:
    run(foreign, foreign.after, random=200)


def masks(foreign: Foreign) -> dict[str, np.ndarray]:
    """Return which synapses to keep: three of ten, and those that are recorded."""
    rng = np.random.default_rng(0)
    keep = {synapses.name: rng.random(len(synapses)) < KEPT for synapses in foreign.synapses}
    for monitor in foreign.recorded:
        if monitor.source.name in keep:
            keep[monitor.source.name][np.asarray(monitor.record)] = True
    return keep


def activity(foreign: Foreign) -> list[np.ndarray]:
    """Return what the monitors recorded since the edit."""
    found = []
    for monitor in (*foreign.spikes, *foreign.recorded):
        times = np.array(monitor.t_)
        since = times > (foreign.before - 0.01) / 1000  # a hundredth of a millisecond is less than a step
        found.append(times[since])
        if isinstance(monitor, StateMonitor):
            values = [np.array(getattr(monitor, f"{name}_"))[:, since] for name in monitor.record_variables]
            assert all(np.ptp(value, axis=1).any() for value in values)  # not only what stays as it is
            found += values
        elif isinstance(monitor, PopulationRateMonitor):
            found.append(np.array(monitor.rate_)[since])
        else:
            found.append(np.array(monitor.i)[since])
    return found


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def variables(obj: Any) -> dict[str, ArrayVariable]:
    """Return the arrays that belong to an object itself."""
    return {
        name: variable
        for name, variable in obj.variables.items()
        if isinstance(variable, ArrayVariable) and getattr(variable.owner, "name", None) == obj.name
    }


def per_synapse(synapses: Synapses) -> dict[str, ArrayVariable]:
    """Return the arrays with one entry for each synapse, the delays of each pathway included."""
    skipped = (*COUNTED, *INDICES, synapses.multisynaptic_index)
    found = {
        name: variable
        for name, variable in variables(synapses).items()
        if variable in synapses._registered_variables and name not in skipped
    }
    for pathway in synapses._pathways:
        delays = pathway.variables["delay"]
        if not delays.scalar:
            found[f"{pathway.objname}.delay"] = delays
    return found


def simulated(foreign: Foreign) -> list[Any]:
    """Return the objects that have a state of their own."""
    return [obj for obj in foreign.network.objects if isinstance(obj, (SpikeSource, Synapses))]


def states(foreign: Foreign, keep: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Return copies of all variables, of the kept synapses only where `keep` is given."""
    found: dict[str, np.ndarray] = {}
    for obj in simulated(foreign):
        if isinstance(obj, Synapses):
            mask = slice(None) if keep is None or obj.name not in keep else keep[obj.name]
            arrays = {name: variable.get_value()[mask] for name, variable in per_synapse(obj).items()}
            arrays |= {"pre": np.array(obj.i)[mask], "post": np.array(obj.j)[mask]}
        else:
            arrays = {name: variable.get_value() for name, variable in variables(obj).items() if name != "N"}
        found |= {f"{obj.name}.{name}": np.array(array) for name, array in arrays.items()}
    return found


def counts(foreign: Foreign) -> dict[str, np.ndarray]:
    """Return what Brian2 counts."""
    found: dict[str, np.ndarray] = {}
    for synapses in foreign.synapses:
        names = list(COUNTED)
        names += [synapses.multisynaptic_index] if synapses.multisynaptic_index else []
        found |= {f"{synapses.name}.{name}": np.array(synapses.variables[name].get_value()) for name in names}
    return found


def assert_equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def in_flight(foreign: Foreign) -> dict[str, np.ndarray]:
    """Return the numbers of the synapses with spikes in flight; one may be there more than once."""
    return {
        s.name: np.array([n for p in s._pathways for slot in p.queue._full_state()[1] for n in slot], dtype=int)
        for s in foreign.synapses
    }


def built_anew(build: Any, old: Foreign, keep: dict[str, np.ndarray]) -> Foreign:
    """Return a network with only the kept synapses that is in the state of `old`."""
    only = {
        s.name: Kept(np.array(s.i)[keep[s.name]], np.array(s.j)[keep[s.name]], np.flatnonzero(keep[s.name]))
        for s in old.synapses
    }
    new = build(only)
    new.network.run(0 * ms, namespace={})  # makes the queues
    new.network.t_ = old.network.t_
    olds = {obj.name: obj for obj in simulated(old)}
    for obj in simulated(new):
        from_ = olds[obj.name]
        if not isinstance(obj, Synapses):
            copy(variables(from_), variables(obj))
            continue
        mask = keep.get(obj.name, np.ones(len(from_), dtype=bool))
        copy(per_synapse(from_), per_synapse(obj), mask)
        ranks = {number: rank for rank, number in enumerate(np.flatnonzero(mask).tolist())}
        for pathway, other in zip(obj._pathways, from_._pathways, strict=True):
            position, slots = other.queue._full_state()
            kept = [[ranks[number] for number in slot if number in ranks] for slot in slots]
            pathway.queue._restore_from_full_state((position, kept))
    return new


def copy(source: dict[str, Any], target: dict[str, Any], mask: np.ndarray | None = None) -> None:
    assert source.keys() == target.keys()
    for name, variable in source.items():
        value = variable.get_value()
        if name != "N" and not name.startswith(("_clock", "_timebin")):
            target[name].set_value(value.copy() if mask is None else value[mask])


@each_network
def test_pruned_in_place(build: Any):
    other = at_edit(build)
    keep = masks(other)
    other.network.store("edit")
    anew = built_anew(build, other, keep)
    run_on(other)
    unpruned = activity(other)
    other.network.restore("edit")

    pruned = at_edit(build)
    if any((p.variables["delay"].get_value() > 0).any() for s in pruned.synapses for p in s._pathways):
        kept_in_flight = np.concatenate([keep[name][numbers] for name, numbers in in_flight(pruned).items()])
        assert kept_in_flight.any()
        assert not kept_in_flight.all()
    pruned.network.store("edit")
    for synapses in pruned.synapses:
        mask = keep[synapses.name]
        assert remove_synapses(synapses, keep=mask) == np.count_nonzero(~mask) > 0.6 * mask.size
    run_on(pruned)

    assert pruned.spikes[0].t_[-1] > (pruned.before + pruned.after / 2) / 1000
    assert sum((np.array(m.t_) > pruned.before / 1000).sum() for m in pruned.spikes) > 50
    assert not same(activity(pruned), unpruned)  # the removed synapses mattered

    run_on(anew)
    assert same(activity(pruned), activity(anew))
    assert_equal(states(pruned), states(anew))
    assert_equal(counts(pruned), counts(anew))

    if pruned.twin == "zeroed":
        for synapses, weight in zip(other.synapses, other.weight, strict=True):
            getattr(synapses, str(weight))[np.flatnonzero(~keep[synapses.name])] = 0
        run_on(other)
        assert same(activity(pruned), activity(other))
        assert_equal(states(pruned), states(other, keep))

    pruned.network.restore("edit")
    run_on(pruned)
    assert same(activity(pruned), unpruned)


def test_synapses_go_with_what_acts_on_them():
    pruned, zeroed, unpruned = (at_edit(modulated) for _ in range(3))
    targets = {
        name: next(obj for obj in f.network.objects if obj.name == "synapses")
        for name, f in (("pruned", pruned), ("zeroed", zeroed))
    }
    keep = np.random.default_rng(0).random(len(targets["pruned"])) < KEPT
    number = np.array(pruned.synapses[0].j)
    above = keep[number]
    assert above.any()
    assert not above.all()
    remove_synapses(targets["pruned"], keep=keep)
    targets["zeroed"].w[np.flatnonzero(~keep)] = 0
    for foreign in (pruned, zeroed, unpruned):
        run_on(foreign)
    assert not same(activity(pruned), activity(unpruned))
    assert same(activity(pruned), activity(zeroed))
    assert len(pruned.spikes[0].t) > 50
    remaining = states(zeroed, {"synapses": keep, "modulation": above})
    remaining["modulation.post"] = (np.cumsum(keep) - 1)[number[above]]
    assert_equal(states(pruned), remaining)
