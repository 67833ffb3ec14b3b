"""Networks as NIR: a few lines of NumPy that read nothing but the file fire every spike that Brian2 fires."""

import builtins
import sys
from contextlib import suppress
from dataclasses import fields, replace
from functools import cache

import nir
import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_allclose, assert_array_equal

from lnpbrian.checks import InvalidInput
from lnpbrian.models import CHRSNN, HRSNN, uncoupled
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.nir import export_network, from_nir, is_csr, is_nir, to_csr, to_nir, write_csr, write_nir
from lnpbrian.network.simulate import brian2_spike_train
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import BetweennessPruning, NoisePruning


def interpret(path, seconds):
    """Run a NIR file by what it says, and return its spikes, shape (steps, N)."""
    graph = nir.read(path)
    lif, w = graph.nodes["lif"], graph.nodes["recurrent"].weight
    told, delta = lif.metadata, isinstance(lif, nir.LIF)
    tau = lif.tau if delta else lif.tau_mem
    a = np.exp(-told["dt"] / tau)
    v, current, held, spikes = told["initial_potential"].copy(), np.zeros(tau.size), np.zeros(tau.size, int), []
    if not delta:
        s = np.exp(-told["dt"] / lif.tau_syn)
        c = lif.r * lif.tau_syn / (lif.tau_syn - tau) * (s - a)
    for _ in range(round(seconds / told["dt"])):
        moves = held == 0
        v = np.where(moves, a * v + (1 - a) * lif.v_leak + (0 if delta else c * current), v)
        spikes.append(moves & (v >= lif.v_threshold))
        jumps = w @ spikes[-1]
        current = current if delta else s * current + jumps * lif.w_in / lif.tau_syn
        v = np.where(spikes[-1], lif.v_reset, v + jumps * lif.r / tau * moves if delta else v)
        held = np.where(spikes[-1], max(told["refractory_steps"] - 1, 0), np.maximum(held - 1, 0))
    return np.array(spikes)


def raster(spec, seconds):
    """Run the living neurons of a network in Brian2, and return their spikes, shape (steps, N)."""
    inner = spec.compacted()
    found = brian2_spike_train(inner, seconds)
    spikes = np.zeros((round(seconds / spec.dt), inner.n_neurons), dtype=bool)
    # A spike on the grid counts at the end of its step.
    spikes[np.round(found.times / spec.dt).astype(int) - 1, found.indices] = True
    return spikes


def drawn(model=HRSNN, n=80, p=0.2, seed=1, **parameters):
    return model(n, p, parameters=LIFParameters(**parameters), check_rate=False, seed=seed).spec


@cache
def pruned():
    model = HRSNN(100, 0.2, parameters=LIFParameters(bias=(1.0, 1.6)), check_rate=False, seed=3)
    options = PruneOptions(synapse_sparsity=0.6, neuron_sparsity=0.2, iterations=1, on_unstable="keep")
    prune(model, (NoisePruning(), BetweennessPruning()), options=options)
    assert model.spec.n_alive == 80
    return model.spec


DELTA = {"synaptic_time_constant": 0 * ms, "bias": (1.0, 1.6)}
NETWORKS = {
    "held for four steps": drawn,
    "held for ten": lambda: drawn(bias=(1.5, 3.0), refractory_period=5 * ms),
    "never held": lambda: drawn(refractory_period=0 * ms),
    "a period between steps": lambda: drawn(refractory_period=1.3 * ms),
    "clusters": lambda: drawn(CHRSNN, n=120, p=0.1, dt=0.25 * ms),
    "strong weights": lambda: drawn(gain=1.5, bias=(0.9, 1.8)),
    "pruned": pruned,
    "delta": lambda: drawn(**DELTA),
    "delta, strong": lambda: drawn(**DELTA, gain=1.0),
    "delta, never held": lambda: drawn(**DELTA, gain=1.0, refractory_period=0 * ms),
    "delta, held for one step": lambda: drawn(**DELTA, gain=1.0, refractory_period=0.5 * ms),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_alone_fires_every_spike_of_brian2(name, tmp_path):
    spec = NETWORKS[name]()
    write_nir(tmp_path / "network.nir", spec)
    expected = raster(spec, 1.0)
    assert expected.sum() > 10 * spec.n_alive
    assert_array_equal(interpret(tmp_path / "network.nir", 1.0), expected)


def test_without_the_refractory_period_the_rate_triples(tmp_path):
    spec = drawn(bias=(2.0, 4.0), refractory_period=15 * ms)
    write_nir(tmp_path / "held.nir", spec)
    write_nir(tmp_path / "free.nir", replace(spec, refractory_period=0.0))
    held, free = (interpret(tmp_path / f"{name}.nir", 1.0).sum() for name in ("held", "free"))
    assert free > 3 * held


def in_order(spec):
    return spec.of_synapses(np.lexsort((spec.pre, spec.post)))


def assert_equal_specs(one, other):
    for field in fields(NetworkSpec):
        assert_array_equal(getattr(one, field.name), getattr(other, field.name), field.name)


@pytest.mark.parametrize("name", NETWORKS)
def test_round_trip(name, tmp_path):
    spec = NETWORKS[name]()
    expected = in_order(spec.compacted())
    assert_equal_specs(NetworkSpec.from_nir(spec.to_nir()), expected)
    write_nir(tmp_path / "network.nir", spec)
    again = NetworkSpec.from_nir(tmp_path / "network.nir")
    assert_equal_specs(again, expected)
    assert again.time_constants.dtype == float


def test_synapses_of_one_pair_and_of_weight_zero_come_back():
    spec = replace(uncoupled([10, 20] * ms), pre=[0, 0, 1], post=[1, 1, 0], weights=[0.5, 0.25, 0.0])
    graph = spec.to_nir()
    assert_array_equal(graph.nodes["recurrent"].weight, [[0, 0], [0.75, 0]])
    assert_equal_specs(NetworkSpec.from_nir(graph), in_order(spec))


def test_silent_neurons_are_left_out_and_the_others_keep_their_numbers():
    spec = replace(uncoupled([10, 20, 30] * ms), alive=[True, False, True], pre=[0, 1], post=[2, 0], weights=[0.5, 1.0])
    lif = spec.to_nir().nodes["lif"]
    assert lif.metadata["neuron"].tolist() == [0, 2]
    assert lif.tau_mem.tolist() == [0.01, 0.03]
    assert NetworkSpec.from_nir(spec.to_nir()).weights.tolist() == [0.5]


def test_zero_delays_are_none():
    spec = replace(uncoupled([10, 20] * ms), pre=[0], post=[1], weights=[0.5], delays=[0.0])
    assert NetworkSpec.from_nir(spec.to_nir()).delays is None


# --- graphs of others ------------------------------------------------------------------------------------------------


def foreign(edges=(("in", "n"), ("n", "w"), ("w", "n"), ("n", "out")), **nodes):
    constants = {"v_leak": [-60.0, -65.0], "v_threshold": [-50.0, -50.0], "v_reset": [-70.0, -60.0], "r": [2.0, 1.0]}
    constants |= {"tau_mem": [0.02, 0.01], "tau_syn": [0.005, 0.005], "w_in": [0.5, 0.25]}
    made = {
        "in": nir.Input({"input": np.array([2])}),
        "n": nir.CubaLIF(**{name: np.array(values) for name, values in constants.items()}),
        "w": nir.Linear(np.array([[0.0, 0.1], [0.2, 0.0]])),
        "out": nir.Output({"output": np.array([2])}),
    } | nodes
    return nir.NIRGraph(made, list(edges))


def test_graphs_of_others_are_brought_to_threshold_one_and_reset_zero():
    spec = NetworkSpec.from_nir(foreign(), dt=1 * ms, refractory_period=2 * ms)
    assert_allclose(spec.bias, [10 / 20, -5 / 10])
    # r w_in w/tau_syn over threshold less reset, to neuron 0 from 1 and to neuron 1 from 0.
    assert_allclose(spec.weights, [2 * 0.5 * 0.1 / 0.005 / 20, 1 * 0.25 * 0.2 / 0.005 / 10])
    assert (spec.pre.tolist(), spec.post.tolist()) == ([1, 0], [0, 1])
    assert (spec.dt, spec.refractory_period, spec.synaptic_time_constant) == (0.001, 0.002, 0.005)
    assert spec.excitatory.all()


def test_a_graph_of_lif_neurons_has_delta_synapses():
    lif = nir.LIF(tau=np.array([0.02, 0.01]), r=np.ones(2), v_leak=np.zeros(2), v_threshold=2 * np.ones(2))
    spec = NetworkSpec.from_nir(foreign(n=lif), dt=1 * ms, refractory_period=0 * ms)
    assert spec.has_delta_synapses
    assert_allclose(spec.weights, [0.1 / 0.02 / 2, 0.2 / 0.01 / 2])


def test_a_graph_without_recurrent_weights():
    graph = foreign()
    del graph.nodes["w"]
    graph.edges = [("in", "n"), ("n", "out")]
    assert NetworkSpec.from_nir(graph, dt=1 * ms, refractory_period=0 * ms).n_synapses == 0


@pytest.mark.parametrize(
    ("graph", "told"),
    [
        (foreign(), "does not say its dt"),
        (foreign(edges=[("in", "w"), ("w", "n"), ("n", "out")]), "a graph of one CubaLIF"),
        (foreign(w=nir.Affine(np.ones((2, 2)), np.ones(2))), "a graph of one CubaLIF or LIF can be read"),
        (foreign(w=nir.Scale(np.ones(2))), "w: Scale"),
        (uncoupled([10, 20] * ms, refractory_period=0 * ms).to_nir(reader="norse"), "was made for norse"),
    ],
)
def test_graphs_that_cannot_be_read(graph, told):
    with pytest.raises(InvalidInput, match=told):
        NetworkSpec.from_nir(graph)


def test_times_that_the_graph_says_are_not_given_twice():
    with pytest.raises(InvalidInput, match="says its dt"):
        NetworkSpec.from_nir(uncoupled([10, 20] * ms).to_nir(), dt=1 * ms)


@pytest.mark.parametrize(
    ("constant", "value", "told"),
    [
        ("tau_syn", [0.005, 0.006], "one time for all"),
        ("tau_mem", [0.02, 0.0], "above 0 s"),
        ("v_reset", [0.0, 0.0], "above v_reset"),
        ("v_leak", [1.0], r"v_leak must have shape \(2,\), got \(1,\)"),
        ("v_threshold", [1.0, 1.0, 1.0], r"v_threshold must have shape \(2,\), got \(3,\)"),
        ("v_reset", [], r"v_reset must have shape \(2,\), got \(0,\)"),
        ("r", [[1.0, 1.0]], "r must"),
    ],
)
def test_constants_that_no_network_here_has(constant, value, told):
    graph = foreign()
    setattr(graph.nodes["n"], constant, np.array(value))
    with pytest.raises(InvalidInput, match=told):
        NetworkSpec.from_nir(graph, dt=1 * ms, refractory_period=0 * ms)


@pytest.mark.parametrize("damage", ["weight", "indices", "indptr"])
def test_synapses_that_are_not_those_of_the_weights(damage):
    graph = drawn(n=20).to_nir()
    linear = graph.nodes["recurrent"]
    if damage == "weight":
        linear.weight[3, 4] += 1
    else:
        linear.metadata[damage] = linear.metadata[damage][::-1]
    with pytest.raises(InvalidInput, match="are not those of its weight"):
        NetworkSpec.from_nir(graph)


def test_indices_from_the_end_are_none():
    graph = drawn(n=20).to_nir()
    listed = graph.nodes["recurrent"].metadata
    listed["indices"] = np.where(listed["indices"] == 3, 3 - 20, listed["indices"])
    with pytest.raises(InvalidInput, match="are not those of its weight"):
        NetworkSpec.from_nir(graph)


def test_a_graph_without_neurons_and_what_is_no_graph():
    graph = drawn(n=20).to_nir()
    node, linear = graph.nodes["lif"], graph.nodes["recurrent"]
    for name in ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"):
        setattr(node, name, np.zeros(0))
    linear.weight = np.zeros((0, 0))
    with pytest.raises(InvalidInput, match="has no neuron"):
        NetworkSpec.from_nir(graph)
    for source in (None, 3, linear):
        with pytest.raises(InvalidInput, match=f"the path of a file, got {type(source).__name__}"):
            NetworkSpec.from_nir(source)


@pytest.mark.parametrize("to", ["nir", "csr"])
def test_a_folder_is_no_file_to_write(to, tmp_path):
    with pytest.raises(InvalidInput, match="is a folder; name the file"):
        export_network(drawn(n=20), tmp_path, to=to)
    assert not tmp_path.with_name(f"{tmp_path.name}.npz").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_files_that_are_none(content, tmp_path):
    (tmp_path / "file.nir").write_bytes(content)
    with pytest.raises(InvalidInput, match="cannot be read as a NIR file"):
        NetworkSpec.from_nir(tmp_path / "file.nir")
    assert not is_nir(tmp_path / "file.nir")
    with pytest.raises(InvalidInput, match="cannot be read"):
        from_nir(tmp_path / "missing.nir")


def test_damaged_files(tmp_path):
    write_nir(tmp_path / "whole.nir", drawn(n=20))
    whole = (tmp_path / "whole.nir").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(whole)
        for place in rng.integers(0, len(whole), 8):
            broken[place] = rng.integers(256)
        (tmp_path / "broken.nir").write_bytes(broken[: rng.integers(len(whole) // 2, len(whole) + 1)])
        # Another error would end the test; what was hit may be no number of the network.
        with suppress(InvalidInput):
            NetworkSpec.from_nir(tmp_path / "broken.nir")


# --- what NIR cannot carry -------------------------------------------------------------------------------------------


def with_delays():
    return replace(uncoupled([10, 20] * ms), pre=[0], post=[1], weights=[0.5], delays=[0.001])


REFUSED = {
    "no delays of single synapses.*delays=None.*--to csr": (with_delays, "exact"),
    "no plasticity.*plasticity=None.*--fixed": (
        lambda: HRSNN(20, 0.2, plastic=True, check_rate=False).spec,
        "exact",
    ),
    r"no interpolated spikes.*with_timing\('grid'\).*--grid": (
        lambda: uncoupled([10, 20] * ms).with_timing("interpolated"),
        "exact",
    ),
    "no precise spikes": (lambda: uncoupled([10, 20] * ms).with_timing("precise"), "exact"),
    r"norse cannot hold a refractory period of 2 ms \(4 steps\).*reader='exact'": (
        lambda: uncoupled([10, 20] * ms),
        "norse",
    ),
    r"snntorch cannot hold a refractory period of 1 ms \(2 steps\)": (
        lambda: uncoupled([10, 20] * ms, refractory_period=1 * ms),
        "snntorch",
    ),
    "norse lets delta synapses": (
        lambda: uncoupled([10, 20] * ms, refractory_period=0 * ms, synaptic_time_constant=0 * ms),
        "norse",
    ),
    "weights are dense in NIR, 2 GiB for 16385 neurons.*--to csr": (
        lambda: uncoupled(np.full(2**14 + 1, 20) * ms),
        "exact",
    ),
    "reader must be one of": (lambda: uncoupled([10, 20] * ms), "lava"),
}


@pytest.mark.parametrize("told", REFUSED)
def test_refusals(told):
    make, reader = REFUSED[told]
    with pytest.raises(InvalidInput, match=told) as caught:
        to_nir(make(), reader=reader)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", [lambda: uncoupled([10, 20] * ms).to_nir(), lambda: NetworkSpec.from_nir("file.nir")])
def test_without_the_package(call, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "nir":
            raise ImportError("No module named 'nir'")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "nir")
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InvalidInput, match=r"pip install 'lnpbrian\[nir\]'"):
        call()


# --- one sparse matrix -----------------------------------------------------------------------------------------------


def rebuilt(path):
    """Build a network from a CSR file alone."""
    with np.load(path) as file:
        made = {name: file[name] for name in file.files}
    n = int(made["shape"][0])
    own = {name: made[name] for name in ("pre", "post") if name in made}
    assert not own
    for name in ("format", "about", "shape", "neuron", "refractory_steps"):
        del made[name]
    post = np.repeat(np.arange(n), np.diff(made.pop("indptr")))
    pre, weights = made.pop("indices"), made.pop("data")
    return NetworkSpec.from_arrays(made | {"pre": pre, "post": post, "weights": weights, "alive": np.ones(n, bool)})


@pytest.mark.parametrize(
    "make",
    [
        *NETWORKS.values(),
        with_delays,
        lambda: HRSNN(30, 0.2, plastic=True, check_rate=False).spec,
        lambda: uncoupled([10, 20] * ms).with_timing("interpolated"),
    ],
)
def test_a_csr_file_has_all_that_the_network_is_made_of(make, tmp_path):
    spec = make()
    write_csr(tmp_path / "network.npz", spec)
    again, expected = rebuilt(tmp_path / "network.npz"), in_order(spec.compacted())
    for name, values in expected.to_arrays().items():
        assert_array_equal(again.to_arrays()[name], values, name)
    assert is_csr(tmp_path / "network.npz")
    assert not is_nir(tmp_path / "network.npz")


def test_the_matrix_is_the_dense_one_of_nir():
    from scipy.sparse import csr_array

    spec = pruned()
    made = to_csr(spec)
    matrix = csr_array((made["data"], made["indices"], made["indptr"]), made["shape"])
    assert matrix.nnz == spec.compacted().n_synapses
    assert_array_equal(matrix.toarray(), spec.to_nir().nodes["recurrent"].weight)
