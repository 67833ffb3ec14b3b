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


def by_norse(path):
    """Run a file in norse, in single precision as it reads it."""
    norse = pytest.importorskip("norse.torch")
    from nirtorch.graph_executor import GraphExecutorState
    from norse.torch.functional.leaky_integrator_box import LIBoxState
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState

    graph = nir.read(path)
    lif = graph.nodes["lif"]
    current, potential = (torch.as_tensor(x).float() for x in (lif.v_leak, lif.metadata["initial_potential"]))
    # By itself it would start from v_leak.
    start = (LIBoxState(current), LIFBoxFeedForwardState(potential))
    module = norse.from_nir(graph, dt=float(lif.metadata["dt"]))
    return stepped(module, GraphExecutorState(state={"lif": (start,)}), torch.zeros(lif.r.size))


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


@pytest.mark.parametrize("name", NETWORKS)
def test_norse_fires_every_spike(name, tmp_path):
    spec = NETWORKS[name]()
    write_nir(tmp_path / "network.nir", spec, reader="norse")
    assert_array_equal(by_norse(tmp_path / "network.nir"), raster(spec))


@pytest.mark.parametrize("name", NETWORKS)
def test_snntorch_fires_every_spike(name, tmp_path, monkeypatch):
    spec = NETWORKS[name]()
    write_nir(tmp_path / "network.nir", spec, reader="snntorch")
    assert_array_equal(by_snntorch(tmp_path / "network.nir", monkeypatch), raster(spec))


def test_snntorch_in_single_precision_keeps_the_rates(tmp_path, monkeypatch):
    spec = drawn()
    write_nir(tmp_path / "network.nir", spec, reader="snntorch")
    single, exact = by_snntorch(tmp_path / "network.nir", monkeypatch, torch.float32), raster(spec)
    # Spikes move, 64 a neuron: counts of a chaotic network differ by a few per cent of their square root.
    assert (single != exact).any()
    assert abs(single.sum() - exact.sum()) < 0.02 * exact.sum()


@pytest.mark.parametrize("run", [by_norse, by_snntorch])
def test_what_holds_no_refractory_period_would_fire_three_times_as_much(run, tmp_path, monkeypatch):
    spec = drawn(bias=(2.0, 4.0), refractory_period=15 * ms)
    reader = run.__name__.removeprefix("by_")
    path = tmp_path / "network.nir"
    with pytest.raises(InvalidInput, match=f"{reader} cannot hold a refractory period"):
        write_nir(path, spec, reader=reader)
    assert not path.exists()
    write_nir(path, replace(spec, refractory_period=0.0), reader=reader)
    free = run(path) if run is by_norse else run(path, monkeypatch)
    assert free.sum() > 3 * raster(spec).sum()


@pytest.mark.parametrize(("run", "reader"), [(by_norse, "norse"), (by_snntorch, "snntorch")])
def test_constants_of_the_equations_are_not_stepped_right(run, reader, tmp_path, monkeypatch):
    # Why a file is made for a reader: norse counts v_leak twice, snnTorch refuses it.
    spec = drawn()
    write_nir(tmp_path / "network.nir", spec)
    if reader == "snntorch":
        with pytest.raises(AssertionError, match="v_leak not supported"):
            run(tmp_path / "network.nir", monkeypatch)
    else:
        assert run(tmp_path / "network.nir").sum() > 1.5 * raster(spec).sum()
