"""The compiled loop against Brian2: the same spikes on the grid, the same within rounding off it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms, second

import lnpbrian.lyapunov.twins as twins_module
from lnpbrian.checks import InvalidInput
from lnpbrian.learning import CurrentEncoder, PoissonEncoder, ReadoutOptions
from lnpbrian.learning.vision.features import Brian2Copies, NativeCopies, ReadNetwork
from lnpbrian.models import CHRSNN, HRSNN, LIFParameters, uncoupled
from lnpbrian.network import noise_drive
from lnpbrian.network.engines import native
from lnpbrian.network.engines.native import NativeNetwork
from lnpbrian.network.signals import Drive, SpikeTrain
from lnpbrian.network.simulate import brian2_spike_train, simulate, simulated_spike_train
from lnpbrian.network.spec import NetworkSpec

KINDS = ("grid", "interpolated", "precise", "delta")
PARAMETERS = (LIFParameters(), LIFParameters.forecasting(), LIFParameters.recurrent())


def network(kind: str, *, seed: int = 0, neurons: int = 60, delays: bool = False, constants: int = 0) -> NetworkSpec:
    spec = HRSNN(neurons, 0.2, parameters=PARAMETERS[constants], check_rate=False, seed=seed).spec
    if kind == "delta":
        spec = replace(spec.with_timing("grid"), synaptic_time_constant=0.0, weights=0.1 * spec.weights)
    else:
        spec = spec.with_timing(kind)
    if delays:
        # Off the grid delays are shorter than the refractory period.
        longest = 0.01 if kind in ("grid", "delta") else 0.9 * spec.refractory_period
        spec = replace(spec, delays=np.random.default_rng(seed).uniform(0, longest, spec.n_synapses))
    return spec


def noise(n: int, *, seed: int = 0, hold: float = 5) -> Drive:
    return noise_drive(n, duration=0.17 * second, rng=np.random.default_rng(seed), hold=hold * ms)


def by_neuron(train: SpikeTrain) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((train.times, train.indices))
    return train.indices[order], train.times[order]


def assert_same(found: SpikeTrain, expected: SpikeTrain, *, within: float) -> None:
    assert expected.indices.size > 20
    (who, when), (who_too, when_too) = by_neuron(found), by_neuron(expected)
    assert np.array_equal(who, who_too)
    assert np.abs(when - when_too).max() <= within
    assert found.duration == expected.duration


@pytest.mark.parametrize("delays", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("constants", range(len(PARAMETERS)))
def test_the_spikes_are_those_of_brian2(kind: str, delays: bool, constants: int) -> None:
    spec = network(kind, seed=constants, delays=delays, constants=constants)
    drive = noise(60)
    # Off the grid rounding differs, and neurons that graze the threshold enlarge it: 1e-14 s at first.
    within = 0 if kind in ("grid", "delta") else 1e-6
    assert_same(
        simulated_spike_train(spec, 0.5, drive=drive, engine="native"),
        brian2_spike_train(spec, 0.5, drive=drive),
        within=within,
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_counts_on_the_grid_are_equal_on_random_networks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(10, 40))
    spec = network(("grid", "delta")[seed % 2], seed=seed, neurons=n, delays=seed % 3 == 0, constants=seed % 3)
    spec = replace(
        spec,
        refractory_period=float(rng.choice([0.0, 1.2e-3, 5e-3])),
        dt=float(rng.choice([1e-4, 5e-4, 1e-3])),
        alive=rng.random(n) < 0.9,
    )
    drive = noise(n, seed=seed, hold=float(rng.choice([0.3, 2.5, 20.0])))
    found, expected = (simulate(spec, 0.3 * second, drive=drive, engine=e) for e in ("native", "brian2"))
    assert np.array_equal(found.counts, expected.counts)
    assert np.array_equal(found.times, expected.times)


def test_a_clustered_network_with_silent_neurons() -> None:
    spec = CHRSNN(60, clusters=5, check_rate=False).spec
    spec = replace(spec.with_timing("grid"), alive=np.arange(60) % 7 > 0)
    found, expected = simulated_spike_train(spec, 0.3, engine="native"), brian2_spike_train(spec, 0.3)
    assert_same(found, expected, within=0)
    assert not found.counts[::7].any()


@pytest.mark.parametrize("duration", [0.0103, 0.01, 0.0099, 3 * 0.1])
def test_a_step_that_has_begun_is_run_to_its_end(duration: float) -> None:
    spec = replace(uncoupled([20] * ms, bias=30.0), refractory_period=0.0, dt=1e-3)
    found, expected = simulated_spike_train(spec, duration, engine="native"), brian2_spike_train(spec, duration)
    assert np.array_equal(found.times, expected.times)


def test_parts_of_a_run_are_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, drive = network("interpolated", delays=True), noise(60)
    whole = simulated_spike_train(spec, 0.3, drive=drive, engine="native")
    monkeypatch.setattr(native, "UPDATES", 60 * 7)  # seven steps at a time
    parts = simulated_spike_train(spec, 0.3, drive=drive, engine="native")
    assert np.array_equal(parts.indices, whole.indices)
    # Times count from the start of a part; they are added up.
    assert np.abs(parts.times - whole.times).max() < 1e-12


def test_copies_do_not_meet() -> None:
    spec = network("interpolated", delays=True)
    both, alone = NativeNetwork(spec, copies=2), NativeNetwork(spec)
    both.external[1] = 0.3
    for one in (both, alone):
        one.run(300)
    assert np.array_equal(both.counts[0], alone.counts[0])
    assert both.counts[1].sum() > both.counts[0].sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delays", [False, True])
def test_what_is_restored_goes_on_in_the_same_way(kind: str, delays: bool) -> None:
    one = NativeNetwork(network(kind, delays=delays), copies=2)
    one.external[1] = 0.1
    one.run(200)
    stored = one.stored()
    first = one.record(200)
    one.restore(stored)
    again = one.record(200)
    assert first.times.size > 20
    assert np.array_equal(again.times, first.times)
    assert np.array_equal(again.indices, first.indices)


@pytest.mark.parametrize("encoder", ["current", "poisson"])
@pytest.mark.parametrize("kind", KINDS)
def test_features_of_shown_samples(kind: str, encoder: str) -> None:
    spec = network(kind, seed=1)
    rng = np.random.default_rng(2)
    draw = {"current": CurrentEncoder.draw, "poisson": PoissonEncoder.draw}[encoder]
    options = ReadoutOptions(sample_time=40 * ms, filter_time=15 * ms, order=3)
    read = ReadNetwork(spec, draw(60, 2, rng=rng), options, np.arange(5, 50))
    samples = rng.standard_normal((5, 3, 2))
    found = []
    for kind_of_copies in (NativeCopies, Brian2Copies):
        copies = kind_of_copies(read, [np.random.default_rng(k) for k in range(3)], 12)
        before = copies.through(samples, lambda _: None)
        copies.store()
        there = copies.through(samples[::-1], lambda _: None)
        copies.restore()
        again = copies.through(samples[::-1], lambda _: None)
        assert np.array_equal(there, again)
        found.append((before, there, copies.counts()))
    (before, there, counts), (before_too, there_too, counts_too) = found
    assert counts_too.sum() > 100
    assert np.array_equal(counts, counts_too)
    # Sums of terms of order 1, whose spikes move by rounding; see above.
    assert np.abs(before - before_too).max() < 1e-6
    assert np.abs(there - there_too).max() < 1e-4


@pytest.mark.parametrize("directions", ["fresh", "kept"])
@pytest.mark.parametrize("kind", ["precise", "delta", "delays"])
def test_twins(kind: str, directions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = network("precise" if kind == "delays" else kind, seed=3, delays=kind == "delays")
    how = {"drive": noise(60), "duration": 0.3 * second, "directions": directions, "perturbation": 1e-6}
    found = twins_module.block_twin_exponents(spec, rng=np.random.default_rng(4), **how)
    monkeypatch.setattr(twins_module, "native_works", lambda: False)
    expected = twins_module.block_twin_exponents(spec, rng=np.random.default_rng(4), **how)
    assert np.abs(found.rates - expected.rates).max() < 1e-9
    # A separation of 1e-6 is known to 1e-9 of itself in steps of 2e-16, and a window is 0.02 s.
    if directions == "fresh":
        assert found.window_exponent == pytest.approx(expected.window_exponent, abs=1e-2)
    else:
        assert found.largest_exponent == pytest.approx(expected.largest_exponent, abs=1e-2)


def test_without_a_compiler_brian2_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "compiled", lambda text: None)
    spec = network("grid")
    assert_same(simulated_spike_train(spec, 0.2), brian2_spike_train(spec, 0.2), within=0)
    with pytest.raises(InvalidInput, match=r"engine='native' needs a C\+\+ compiler"):
        simulate(spec, 0.2 * second, engine="native")


def test_a_drive_of_other_neurons_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a drive for 3 neurons does not fit 60"):
        simulated_spike_train(network("grid"), 0.1, drive=noise(3), engine="native")


def test_a_drive_that_must_not_be_written_to_is_read() -> None:
    spec, drive = network("grid"), noise(60)
    frozen = drive.values.copy()
    frozen.flags.writeable = False
    found = simulated_spike_train(spec, 0.1, drive=Drive(frozen, drive.hold), engine="native")
    assert np.array_equal(found.times, simulated_spike_train(spec, 0.1, drive=drive, engine="native").times)


def test_ctrl_c_ends_a_long_run_between_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    one = NativeNetwork(network("grid"))
    monkeypatch.setattr(one, "_chunk", 10)
    loop, calls = one._loop, []

    class Interrupted:
        def run(self, *args: object) -> None:
            calls.append(args)
            if len(calls) == 3:
                raise KeyboardInterrupt
            loop.run(*args)

    monkeypatch.setattr(one, "_loop", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        one.run(1000)
    assert one.steps_done == 20
