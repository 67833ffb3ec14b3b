"""Models: what is drawn follows its law, what is built follows its arrays, and the spec rebuilds it exactly."""

import gc

import numpy as np
import pytest
from brian2 import SpikeMonitor, ms, mV, prefs, second
from brian2.utils.logger import catch_logs
from numpy.testing import assert_array_equal

from lnpbrian.checks import InvalidInput
from lnpbrian.models import CHRSNN, HRSNN, MRSNN, uncoupled
from lnpbrian.models.drawing import LIFParameters, bernoulli_slots
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.simulate import observe, require_active
from lnpbrian.network.spec import NetworkSpec


def spikes(spec, duration=200 * ms, seed=0, **options):
    live = RecurrentNetwork(spec, **options)
    drive = noise_drive(spec.n_neurons, duration=duration, rng=np.random.default_rng(seed))
    activity = observe(live, duration, drive=drive)
    return activity.indices, activity.times, np.array(live.synapses.w_[:])


def test_gamma_time_constants_and_their_clipping():
    spec = HRSNN(4000, 0.001, check_rate=False).spec
    tau = spec.time_constants
    # Mean 20 ms, standard deviation 20/sqrt(3) ms; clipping at 1 ms moves the mean by less than 1e-4 of it.
    assert abs(tau.mean() - 20e-3) < 5 * 20e-3 / np.sqrt(3 * 4000)
    assert tau.min() >= 1e-3
    assert tau.max() <= 0.2


@pytest.mark.parametrize("p", [0.001, 0.01, 0.1, 1.0])
def test_bernoulli_slots_have_the_right_number_and_are_sorted(p):
    found = bernoulli_slots(200_000, p, np.random.default_rng(1))
    assert abs(found.size - 200_000 * p) <= 5 * np.sqrt(200_000 * p * (1 - p))
    assert (np.diff(found) > 0).all()
    assert found.size == 0 or (found[0] >= 0 and found[-1] < 200_000)


def test_erdos_renyi_without_self_connections_and_dales_law():
    spec = HRSNN(600, 0.1, check_rate=False).spec
    pairs = 600 * 599
    assert abs(spec.n_synapses - 0.1 * pairs) < 5 * np.sqrt(0.1 * 0.9 * pairs)
    assert not (spec.pre == spec.post).any()
    assert len(set(zip(spec.pre.tolist(), spec.post.tolist(), strict=True))) == spec.n_synapses
    assert_array_equal(spec.weights > 0, spec.excitatory[spec.pre])
    assert spec.excitatory.sum() == 480


def test_homogeneous_control_differs_in_time_constants_only():
    a, b = HRSNN(100, 0.1, check_rate=False).spec, MRSNN(100, 0.1, check_rate=False).spec
    for name in ("bias", "initial_potential", "pre", "post", "weights"):
        assert_array_equal(getattr(a, name), getattr(b, name))
    assert_array_equal(b.time_constants, np.full(100, 20e-3))


def test_clusters_are_dense_inside_and_linked_as_a_small_world():
    model = CHRSNN(1000, 0.1, clusters=10, cluster_neighbours=4, inside_over_between=5, check_rate=False, seed=3)
    spec = model.spec
    counts = np.zeros((10, 10))
    np.add.at(counts, (spec.cluster[spec.pre], spec.cluster[spec.post]), 1)
    linked = counts > 0
    assert linked.sum() - 10 == 10 * 4  # K k/2 undirected links
    assert_array_equal(linked, linked.T)
    # Overall p: (5 * 10 * 100 * 99 + 40 * 100 * 100) p_between = 0.1 * 1000 * 999, five standard deviations.
    between = 0.1 * 1000 * 999 / (5 * 10 * 100 * 99 + 40 * 100 * 100)
    inside = 5 * between
    off = linked & ~np.eye(10, dtype=bool)
    assert np.abs(np.diag(counts) / 9900 - inside).max() < 5 * np.sqrt(inside * (1 - inside) / 9900)
    assert np.abs(counts[off] / 1e4 - between).max() < 5 * np.sqrt(between * (1 - between) / 1e4)
    # Means log-spaced over 5..80 ms: each within five standard errors of its gamma law.
    for c, mean in enumerate(np.geomspace(5e-3, 80e-3, 10)):
        tau = spec.time_constants[spec.cluster == c]
        assert abs(tau.mean() - mean) < 5 * mean / np.sqrt(3 * 100) + 1e-3 * (mean > 0.06)


def test_the_same_seed_gives_the_same_network_and_another_another():
    a, b, c = (HRSNN(80, 0.1, check_rate=False, seed=s).spec for s in (1, 1, 2))
    assert_array_equal(a.weights, b.weights)
    assert a.weights.size != c.weights.size or (a.weights != c.weights).any()


@pytest.mark.parametrize("plastic", [False, True])
def test_spec_and_file_rebuild_the_network_exactly(tmp_path, plastic):
    model = HRSNN(120, 0.1, plastic=plastic, check_rate=False, seed=4)
    spec = model.spec
    spec.save(tmp_path / "network.npz")
    again = NetworkSpec.load(tmp_path / "network.npz")
    for a, b in zip(spikes(spec), spikes(again), strict=True):
        assert_array_equal(a, b)
    with np.load(tmp_path / "network.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)
    assert [p.name for p in tmp_path.iterdir()] == ["network.npz"]


def test_replicated_copies_behave_as_the_original():
    spec = HRSNN(60, 0.2, check_rate=False).spec
    drive = noise_drive(60, duration=200 * ms, rng=np.random.default_rng(0))
    alone = observe(RecurrentNetwork(spec), 200 * ms, drive=drive)
    tripled = type(drive)(np.tile(drive.values, 3), drive.hold)
    three = observe(RecurrentNetwork(spec.replicated(3)), 200 * ms, drive=tripled)
    for b in range(3):
        mine = three.indices // 60 == b
        assert_array_equal(three.indices[mine] - 60 * b, alone.indices)
        assert_array_equal(three.times[mine], alone.times)


def test_compacted_network_behaves_as_the_one_with_silent_neurons():
    spec = HRSNN(80, 0.2, check_rate=False).spec
    alive = np.random.default_rng(0).random(80) < 0.6
    inner = alive[spec.pre] & alive[spec.post]
    silent = NetworkSpec(**{**vars(spec.of_synapses(inner)), "alive": alive, "bias": np.where(alive, spec.bias, 0)})
    drive = noise_drive(80, duration=300 * ms, rng=np.random.default_rng(0))
    a = observe(RecurrentNetwork(silent), 300 * ms, drive=drive)
    b = observe(RecurrentNetwork(silent.compacted()), 300 * ms, drive=drive.of_neurons(alive))
    assert a.indices.size > 100
    assert_array_equal(a.indices, np.flatnonzero(alive)[b.indices])
    assert_array_equal(a.times, b.times)


def test_interspike_interval_of_a_single_neuron():
    # t_ref + tau ln(b/(b - 1)) = 2 + 20 ln 3 = 23.97 ms; on the grid the crossing is late by up to one step of 0.5 ms,
    # and Brian2 counts refractoriness from the start of the step of the spike, one step early.
    live = RecurrentNetwork(uncoupled([20 * ms], bias=1.5))
    monitor = SpikeMonitor(live.neurons)
    live.network.add(monitor)
    live.run(1 * second)
    exact = 2e-3 + 20e-3 * np.log(3)
    interval = np.diff(monitor.t_[:])
    assert (np.abs(interval - exact) < 0.5e-3).all()


def test_stdp_changes_weights_within_bounds_and_keeps_signs():
    model = HRSNN(80, 0.2, plastic=True, check_rate=False)
    before = model.spec
    observe(model, 400 * ms, drive=noise_drive(80, duration=400 * ms, rng=np.random.default_rng(0)))
    after = model.spec
    assert (after.weights != before.weights).mean() > 0.5
    assert_array_equal(np.sign(after.weights)[after.weights != 0], np.sign(before.weights)[after.weights != 0])
    assert np.abs(after.weights).max() <= before.plasticity.w_max


def test_stdp_pairing_by_hand():
    # One pair, pre at t0 and post at t0 + d: the post spike adds eta_plus (w_max - w) exp(-d/tau_plus), the pre spike
    # before it depresses nothing since no post spike came earlier.
    spec = HRSNN(20, 0.3, plastic=True, check_rate=False).spec
    live = RecurrentNetwork(spec)
    live.neurons.alive = False
    live.neurons.I_bias = 0
    synapse = int(np.flatnonzero(spec.excitatory[spec.pre])[0])
    pre, post = int(spec.pre[synapse]), int(spec.post[synapse])

    def fire(neuron):
        live.neurons.v = 0
        live.neurons.alive[neuron] = True
        live.neurons.v[neuron] = 5
        live.run(0.5 * ms)
        live.neurons.alive = False
        live.neurons.v = 0

    fire(pre)
    live.run(9.5 * ms)
    fire(post)
    stdp = spec.plasticity
    w = spec.weights[synapse]
    expected = w + stdp.eta_plus[synapse] * (stdp.w_max - w) * np.exp(-10e-3 / stdp.tau_plus[synapse])
    assert live.synapses.w_[synapse] == pytest.approx(expected, rel=1e-12)


def test_rate_check_names_the_knob():
    drive = noise_drive(60, duration=200 * ms, rng=np.random.default_rng(0))
    quiet = HRSNN(60, 0.1, check_rate=False, parameters=LIFParameters(bias=(0, 0.1))).spec
    with pytest.raises(InvalidInput, match=r"silent.*raise bias or gain"):
        require_active(quiet, drive)
    loud = HRSNN(60, 0.1, check_rate=False, parameters=LIFParameters(bias=(8, 9))).spec
    with pytest.raises(InvalidInput, match=r"saturated.*lower bias or gain"):
        require_active(loud, drive)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HRSNN(-3), "neurons must be a whole number of at least 2, got -3"),
        (lambda: HRSNN(0), "neurons must be a whole number"),
        (lambda: HRSNN(100, 0.0), r"connection_probability must be a number in \(0, 1\], got 0.0"),
        (lambda: HRSNN(100, 1.2), "connection_probability"),
        (lambda: HRSNN(100, time_constant_mean=20 * mV), "time_constant_mean must be a time such as 20"),
        (lambda: HRSNN(100, time_constant_mean=20), "time_constant_mean must be a time"),
        (lambda: HRSNN(100, seed=-1), "seed"),
        (lambda: HRSNN(2, 1e-9, check_rate=False), "raise connection_probability or neurons"),
        (lambda: CHRSNN(10, 0.1), "clusters need at least 20 neurons"),
        (lambda: CHRSNN(100, 0.9), "at most .* with these clusters"),
        (lambda: CHRSNN(100, 0.1, cluster_neighbours=3), "cluster_neighbours must be even"),
        (lambda: CHRSNN(100, 0.1, time_constant_means=[5 * ms]), "one time per cluster"),
        (lambda: LIFParameters(bias=(2, 1)), "lower, upper"),
        (lambda: LIFParameters(gain=-0.1), r"gain must be a number in \[0, inf\)"),
        (lambda: LIFParameters(excitatory_fraction=1.1), "excitatory_fraction must be a number"),
        (lambda: LIFParameters(depression="none"), "depression must be one of balanced, independent"),
        (lambda: LIFParameters(spike_timing="exact"), "spike_timing must be one of grid"),
        (lambda: LIFParameters(dt=0 * ms), "dt"),
        (lambda: MRSNN(20, 0.5, time_constant=10 * ms, check_rate=False), "singular"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(InvalidInput, match=message) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bias", [(-0.5, 0.5), (1.2, 1.2)])
def test_biases_may_be_negative_or_all_the_same(bias):
    found = HRSNN(200, 0.1, parameters=LIFParameters(bias=bias), check_rate=False).spec.bias
    assert bias[0] <= found.min() <= found.max() <= bias[1]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated", b"not a network"])
def test_broken_network_files(tmp_path, content):
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="cannot be read as a network file"):
        NetworkSpec.load(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        NetworkSpec.load(tmp_path / "missing.npz")
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(InvalidInput, match="not an lnpbrian network"):
        NetworkSpec.load(tmp_path / "other.npz")


def test_damaged_network_files_never_give_a_traceback(tmp_path):
    HRSNN(30, 0.2, plastic=True, check_rate=False).spec.save(tmp_path / "good.npz")
    good = (tmp_path / "good.npz").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(100):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= 0xFF
        (tmp_path / "bad.npz").write_bytes(bad)
        try:
            NetworkSpec.load(tmp_path / "bad.npz")
        except InvalidInput:
            refused += 1
    assert refused > 50
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(InvalidInput, match="cannot be read"):
        NetworkSpec.load(tmp_path / "array.npy")


def test_delays_off_the_grid_stay_below_the_refractory_period():
    spec = HRSNN(30, 0.2, check_rate=False).spec
    delayed = NetworkSpec(**{**vars(spec), "delays": np.full(spec.n_synapses, 5e-3)})
    with pytest.raises(InvalidInput, match=r"delays below the refractory period \(2 ms\), got 5 ms"):
        delayed.with_timing("precise")


def test_a_model_that_brian2_never_ran_is_deleted_in_silence() -> None:
    prefs.logging.warn_for_unused_objects = True
    try:
        with catch_logs() as logs:
            model = HRSNN(10, 0.3, check_rate=False, seed=1)
            del model
            gc.collect()
    finally:
        prefs.logging.warn_for_unused_objects = False
    assert not logs
