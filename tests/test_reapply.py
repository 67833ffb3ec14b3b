"""Pruning again after `Network.restore`. The oracle is the network that pruning left, array by array, bit for bit."""

import pickle
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Network,
    NetworkOperation,
    NeuronGroup,
    SpikeMonitor,
    Synapses,
    ms,
    restore,
    run,
    seed,
    start_scope,
    store,
)
from numpy.testing import assert_array_equal

from lnpbrian import LiveNetwork, NoisePruning, PruneOptions, prune
from lnpbrian.checks import InvalidInput
from lnpbrian.models import HRSNN
from lnpbrian.network.brian2_internals import per_synapse, scalars_and_arrays
from lnpbrian.network.structure import remove_synapses
from lnpbrian.records import same

QUICK: dict[str, Any] = {
    "iterations": 2,
    "realisations": 1,
    "observation": 100 * ms,
    "exponent_duration": 60 * ms,
    "rates": (0, 5000),
    "exponent_growth": None,
}


def foreign(kind: str = "plain") -> SimpleNamespace:
    """Return a network with delays, several synapses between two neurons, and synapses that are not pruned."""
    seed(1)
    group = NeuronGroup(
        24,
        "dv/dt = (1.2 + drive - v)/(10*ms) : 1\ndrive : 1\nawake : boolean",
        threshold="v > 1 and awake" if kind == "switch" else "v > 1",
        reset="v = 0",
        method="exact",
        name="g",
    )
    group.awake, group.drive = True, np.linspace(0, 0.4, 24)
    traces = "\ndx/dt = -x/(10*ms) : 1 (event-driven)" if kind == "plastic" else ""
    learning = "; x += 1; w += 1e-4*x" if kind == "plastic" else ""
    synapses = Synapses(
        group, group, f"w : 1{traces}", on_pre={"pre": f"v_post += w{learning}", "second": "v_post -= w/4"}, name="s"
    )
    synapses.connect(condition="i != j", p=0.4)
    synapses.connect(i=[0, 0, 1, 1], j=[1, 1, 2, 2])
    synapses.w, synapses.delay = "0.02*rand()", "3*ms*rand()"
    synapses.second.delay = "3*ms*rand()"
    other = Synapses(group, group, "g : 1", on_pre="v_post += g", name="other")
    other.connect(j="(i + 1) % 24")
    other.g = 0.001
    spikes = SpikeMonitor(group, name="m")
    net = Network(group, synapses, other, spikes)
    inputs = {"drive": 0, "awake": False} if kind == "switch" else "drive"
    return SimpleNamespace(
        net=net, group=group, synapses=synapses, spikes=spikes, live=LiveNetwork(net, synapses, input=inputs)
    )


def values(net: Network) -> dict[str, np.ndarray]:
    found = {}
    for obj in net.objects:
        if isinstance(obj, (NeuronGroup, Synapses)):
            found |= {f"{obj.name}.{name}": np.array(v.get_value()) for name, v in scalars_and_arrays(obj).items()}
        if isinstance(obj, Synapses):
            found |= {f"{obj.name}.{name}": np.array(v.get_value()) for name, v in per_synapse(obj).items()}
            found |= {f"{obj.name}.{name}": np.array(getattr(obj, name)[:]) for name in ("i", "j", "N_incoming")}
    return found


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert_array_equal(value, other[name], err_msg=name)


def pruned(system: SimpleNamespace, kind: str) -> Any:
    first = NoisePruning(rescale={"rescaled": "homeostatic", "new edges": "auto"}.get(kind, "none"))
    steps = {"no neurons": (first,), "new edges": (first, "II", "III")}.get(kind, (first, "II"))
    return prune(system.live, steps, options=PruneOptions(0.6, 0.2 if "II" in steps else 0, **QUICK))


KINDS = ["plain", "plastic", "rescaled", "no neurons", "new edges", "switch"]


@pytest.mark.parametrize("kind", KINDS)
def test_reapplied_is_pruned(kind: str):
    system = foreign(kind)
    system.net.run(20 * ms)
    system.net.store("before")
    came = values(system.net)
    result = pruned(system, kind)
    left, alive = values(system.net), system.live.alive
    seed(7)
    system.net.run(40 * ms)
    spikes = system.spikes.i[:].copy(), system.spikes.t[:].copy()
    with pytest.warns(UserWarning, match=r"restore\(\) has undone the pruning"):
        system.net.restore("before")
    assert_same(came, {name: value for name, value in values(system.net).items() if name in came})
    assert (result.live.n_synapses, result.live.n_alive) == (result.history[0].synapses, 24)
    for _ in range(2):
        result.reapply()
        result.reapply()
        assert_same(left, values(system.net))
        assert_array_equal(system.live.alive, alive)
        assert_array_equal(result.alive, alive)
        seed(7)
        system.net.run(40 * ms)
        assert_array_equal(system.spikes.i[:], spikes[0])
        assert_array_equal(system.spikes.t[:], spikes[1])
        result.reapply()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # whoever reapplies knows
            system.net.restore("before")


@pytest.mark.parametrize("run_before", [True, False])
def test_scripts_without_a_network(run_before: bool):
    start_scope()
    seed(1)
    group = NeuronGroup(24, "dv/dt = (1.3 - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact")
    group.v = "rand()"
    synapses = Synapses(group, group, "w : 1", on_pre="v_post += w")
    synapses.connect(condition="i != j", p=0.4)
    synapses.w = 0.01
    if run_before:
        run(20 * ms)
    store()
    result = prune(steps=("I", "II"), options=PruneOptions(0.6, 0.2, **QUICK))
    left = len(synapses), result.live.n_alive
    run(20 * ms)
    with pytest.warns(UserWarning, match="has undone"):
        restore()
    assert len(synapses) == result.history[0].synapses
    result.reapply()
    assert (len(synapses), result.live.n_alive) == left
    run(20 * ms)


@pytest.mark.parametrize("kind", ["plain", "plastic", "rescaled"])
def test_kept_synapses_have_the_weights_of_the_restored_state(kind: str):
    system = foreign(kind)
    system.net.store("early")
    early = system.synapses.w[:].copy()
    system.synapses.w[:] = system.synapses.w[:] * np.linspace(1, 2, len(early))
    found, pairs = system.synapses.w[:].copy(), system.synapses.delay[:].copy()
    result = pruned(system, kind)
    kept = np.flatnonzero(np.isin(pairs, system.synapses.delay[:]))  # delays are drawn, so all differ
    assert kept.size == len(system.synapses)
    factor = system.synapses.w[:] / found[kept]
    system.net.restore("early")
    result.reapply()
    np.testing.assert_allclose(system.synapses.w[:], early[kept] * factor, rtol=4e-16)
    assert (np.abs(factor - 1).max() > 0.1) == (kind == "rescaled")


def test_a_state_of_after_pruning_is_restored_with_its_spikes_in_flight(tmp_path: Path):
    system = foreign("new edges")
    system.net.run(20 * ms)
    result = pruned(system, "new edges")
    system.net.run(5 * ms)
    system.net.store("pruned")
    system.net.store("pruned", filename=str(tmp_path / "state"))
    left = values(system.net)
    system.net.run(20 * ms)
    spikes = system.spikes.i[:].copy()
    for filename in (None, str(tmp_path / "state")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            system.net.restore("pruned", filename=filename)
        result.reapply()
        assert_same(left, values(system.net))
        system.net.run(20 * ms)
        assert_array_equal(system.spikes.i[:], spikes)


def test_time_constants_that_were_tuned():
    model = HRSNN(40, 0.4, check_rate=False, seed=6)
    model.network.store()
    before = model.time_constants
    result = prune(model, ("I", "IV"), options=PruneOptions(0.5, 0, **QUICK))
    tuned = model.spec
    assert not np.array_equal(tuned.time_constants, before)
    with pytest.warns(UserWarning, match="has undone"):
        model.network.restore()
    assert_array_equal(model.spec.time_constants, before)
    result.reapply()
    assert same(model.spec, tuned)


@pytest.mark.parametrize("how", ["finished", "rolled back", "taken up"])
def test_models_with_biases_and_rescaled_weights(how: str, tmp_path: Path):
    def model() -> HRSNN:
        return HRSNN(40, 0.4, check_rate=False, seed=3)

    bounds = {"exponent_growth": -0.0, "rates": (0, 1e-3)} if how == "rolled back" else {}
    options = PruneOptions(0.6, 0.2, **{**QUICK, **bounds})
    steps = (NoisePruning(rescale="homeostatic"), "II", "III")
    checkpoint = tmp_path / "folder" if how == "taken up" else None
    if checkpoint is not None:
        prune(model(), steps, options=options, checkpoint=checkpoint)
    network = model()
    network.network.store()
    result = prune(network, steps, options=options, checkpoint=checkpoint)
    left = values(network.network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.network.restore()
    assert network.n_synapses == result.history[0].synapses
    result.reapply()
    assert_same(left, values(network.network))
    assert network.n_synapses == result.after.synapses
    assert network.n_alive == result.after.neurons


def test_what_was_edited_otherwise_is_refused_and_left_alone():
    system = foreign()
    system.net.store()
    result = pruned(system, "plain")
    remove_synapses(system.synapses, "i == 3")
    left = values(system.net)
    with pytest.raises(InvalidInput, match="neither as it came nor as pruning left it") as refused:
        result.reapply()
    assert "\n" not in str(refused.value)
    assert_same(left, values(system.net))
    with pytest.raises(InvalidInput, match="this result was pickled"):
        pickle.loads(pickle.dumps(result)).reapply()


def test_not_during_a_run():
    system = foreign()
    result = pruned(system, "plain")
    said: list[str] = []

    def again() -> None:
        try:
            result.reapply()
        except InvalidInput as error:
            said.append(str(error))

    system.net.add(NetworkOperation(again, dt=1 * ms))
    system.net.run(1 * ms)
    assert said == ["reapply() cannot be called during a run; end the run first"]


def test_what_fails_on_the_way_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    system = foreign("new edges")
    system.net.store()
    result = pruned(system, "new edges")
    with pytest.warns(UserWarning, match="has undone"):
        system.net.restore()
    came = values(system.net)

    def fails(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("lnpbrian.pruning.changes.Guarded", fails)
        with pytest.raises(MemoryError):
            result.reapply()
    assert_same(came, values(system.net))
    result.reapply()
    assert len(system.synapses) == result.after.synapses


def test_two_prunings_are_reapplied_in_their_order():
    system = foreign()
    system.net.store()
    first = pruned(system, "plain")
    between = values(system.net)
    second = pruned(system, "no neurons")
    left = values(system.net)
    with pytest.raises(InvalidInput, match="neither"):
        first.reapply()
    system.net.restore()
    with pytest.raises(InvalidInput, match="neither"):
        second.reapply()
    first.reapply()
    assert_same(between, values(system.net))
    second.reapply()
    assert_same(left, values(system.net))
