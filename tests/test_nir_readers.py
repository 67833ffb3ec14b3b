"""NIR files in other simulators, through their own importers: they fire the spikes that Brian2 fires.

Run with ``make test-readers``; elsewhere these are skipped.
"""

import functools
from dataclasses import replace

import nir
import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_array_equal

from lnpbrian.checks import InvalidInput
from lnpbrian.models import CHRSNN, HRSNN
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.nir import write_nir
from lnpbrian.network.simulate import brian2_spike_train

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.readers

STEPS = 2000


def drawn(model=HRSNN, p=0.2, n=100, seed=1, refractory_period=0 * ms, **constants):
    parameters = LIFParameters(refractory_period=refractory_period, **constants)
    return model(n, p, parameters=parameters, check_rate=False, seed=seed).spec


def pruned():
    """A network that lost synapses and neurons: which ones does not matter here."""
    spec, rng = drawn(bias=(1.0, 1.6)), np.random.default_rng(0)
    return replace(spec.of_synapses(rng.random(spec.n_synapses) < 0.3), alive=rng.random(100) < 0.8)


NETWORKS = {
    "never held": drawn,
    "held for one step": lambda: drawn(refractory_period=0.5 * ms, seed=2),
    "clusters": lambda: drawn(CHRSNN, p=0.1, n=120),
    "pruned": pruned,
}


def raster(spec):
    """Run the living neurons of a network in Brian2, and return their spikes, shape (steps, N)."""
    inner = spec.compacted()
    found = brian2_spike_train(inner, STEPS * spec.dt)
    spikes = np.zeros((STEPS, inner.n_neurons), dtype=bool)
    spikes[np.round(found.times / spec.dt).astype(int) - 1, found.indices] = True
    assert spikes.sum() > 10 * inner.n_neurons
    return spikes


def stepped(module, state, zero):
    """Run a module that an importer made, without input."""
    spikes = []
    with torch.no_grad():
        for _ in range(STEPS):
            fired, state = module(zero, state)
            spikes.append(fired.numpy() > 0)
    return np.array(spikes)


def by_norse(path, monkeypatch, dtype=torch.float64):
    """Run a file in norse, in double precision unless another is asked for; by itself it reads in single."""
    norse = pytest.importorskip("norse.torch")
    from nirtorch.graph_executor import GraphExecutorState
    from norse.torch.functional.leaky_integrator_box import LIBoxState
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState
    from norse.torch.utils import import_nir

    def read(values):
        return torch.as_tensor(values).to(dtype)

    monkeypatch.setattr(import_nir, "_to_tensor", read)
    graph = nir.read(path)
    lif = graph.nodes["lif"]
    # By itself it would start from v_leak.
    start = (LIBoxState(read(lif.v_leak)), LIFBoxFeedForwardState(read(lif.metadata["initial_potential"])))
    module = norse.from_nir(graph, dt=float(lif.metadata["dt"]))
    return stepped(module, GraphExecutorState(state={"lif": (start,)}), torch.zeros(lif.r.size, dtype=dtype))


def by_snntorch(path, monkeypatch, dtype=torch.float64):
    """Run a file in snnTorch, in double precision unless another is asked for."""
    importer = pytest.importorskip("snntorch.import_nir")
    monkeypatch.setattr(
        importer.nirtorch, "nir_to_torch", functools.partial(importer.nirtorch.nir_to_torch, dtype=dtype)
    )
    told = nir.read(path).nodes["lif"].metadata
    torch.set_default_dtype(dtype)
    try:
        module = importer.import_from_nir(nir.read(path))
        (neurons,) = (part for part in module.modules() if hasattr(part, "mem"))
        # By itself it would start from 0.
        neurons.mem, neurons.syn = (torch.tensor(told[f"initial_{x}"], dtype=dtype) for x in ("potential", "current"))
        return stepped(module, None, torch.zeros(neurons.mem.shape))
    finally:
        torch.set_default_dtype(torch.float32)


READERS = {"norse": by_norse, "snntorch": by_snntorch}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_spike_is_fired(name, reader, tmp_path, monkeypatch):
    spec = NETWORKS[name]()
    write_nir(tmp_path / "network.nir", spec, reader=reader)
    assert_array_equal(READERS[reader](tmp_path / "network.nir", monkeypatch), raster(spec))


@pytest.mark.parametrize("reader", READERS)
def test_single_precision_keeps_the_rates(reader, tmp_path, monkeypatch):
    # It decides by chance which spike near the threshold moves first, and what follows is another run of the same
    # network: norse moves one in this network, snnTorch in that.
    spec = drawn(seed={"norse": 8, "snntorch": 1}[reader])
    write_nir(tmp_path / "network.nir", spec, reader=reader)
    single, exact = READERS[reader](tmp_path / "network.nir", monkeypatch, torch.float32), raster(spec)
    assert abs(single.sum() - exact.sum()) < 0.02 * exact.sum()
    assert_array_equal(single[:50], exact[:50])


@pytest.mark.parametrize("reader", READERS)
def test_what_holds_no_refractory_period_would_fire_three_times_as_much(reader, tmp_path, monkeypatch):
    spec = drawn(bias=(2.0, 4.0), refractory_period=15 * ms)
    path = tmp_path / "network.nir"
    with pytest.raises(InvalidInput, match=f"{reader} cannot hold a refractory period"):
        write_nir(path, spec, reader=reader)
    assert not path.exists()
    write_nir(path, replace(spec, refractory_period=0.0), reader=reader)
    assert READERS[reader](path, monkeypatch).sum() > 3 * raster(spec).sum()


def test_constants_of_the_equations_are_not_stepped_right(tmp_path, monkeypatch):
    # Why a file is made for a reader: norse counts v_leak twice, snnTorch refuses it.
    spec = drawn()
    write_nir(tmp_path / "network.nir", spec)
    assert by_norse(tmp_path / "network.nir", monkeypatch).sum() > 1.5 * raster(spec).sum()
    with pytest.raises(AssertionError, match="v_leak not supported"):
        by_snntorch(tmp_path / "network.nir", monkeypatch)


def test_snntorch_holds_nothing_where_a_period_of_two_steps_would(tmp_path, monkeypatch):
    # It used to reset one step late, which a network held for two steps could use; now it resets at once.
    spec = drawn(refractory_period=1 * ms)
    write_nir(tmp_path / "network.nir", replace(spec, refractory_period=0.0), reader="snntorch")
    fired = by_snntorch(tmp_path / "network.nir", monkeypatch)
    assert (fired != raster(spec)).any()
    assert_array_equal(fired, raster(replace(spec, refractory_period=0.0)))
