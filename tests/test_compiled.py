"""Compiled networks do what the same networks do in runtime mode, and say so when they do not."""

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from brian2 import get_device, ms, second

import lnpbrian.lyapunov.twins as twins_module
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.device_twins import CompiledTwins, TwinProgram, describe_twins
from lnpbrian.lyapunov.twins import block_twin_exponents
from lnpbrian.models import CHRSNN, HRSNN, uncoupled
from lnpbrian.network.engines.compiled import CompiledNetwork
from lnpbrian.network.engines.standalone import DeviceError, Program, Project, describe, verify
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.simulate import observe, simulate, simulated_spike_train

N = 120
DURATION = 300 * ms


def rng(seed=0):
    return np.random.default_rng(seed)


# Shorter than a run: it starts over.
DRIVE = noise_drive(N, duration=200 * ms, rng=rng())


def hrsnn(**changes):
    return replace(HRSNN(N, 0.1, plastic=True, check_rate=False, seed=1).spec, **changes)


def chrsnn(**changes):
    return replace(CHRSNN(N, 0.1, clusters=6, check_rate=False, seed=2).spec, **changes)


def with_delays(spec, longest):
    return replace(spec, delays=longest * rng(3).random(spec.n_synapses))


def pruned(spec, seed=4):
    """Without two thirds of the synapses and a third of the neurons, which stay in place but fall silent."""
    generator = rng(seed)
    alive = generator.random(spec.n_neurons) < 0.7
    kept = generator.random(spec.n_synapses) < 0.35
    kept &= alive[spec.pre] & alive[spec.post]
    return replace(spec, alive=alive, bias=np.where(alive, spec.bias, 0.0)).of_synapses(kept)


def retuned(spec, seed=5):
    """With other time constants, biases, starts, signs and weights, in another order."""
    generator = rng(seed)
    other = replace(
        spec,
        time_constants=spec.time_constants * generator.uniform(0.9, 1.1, spec.n_neurons),
        bias=spec.bias * generator.uniform(0.95, 1.05, spec.n_neurons),
        initial_potential=generator.random(spec.n_neurons),
        excitatory=spec.excitatory[::-1],
        weights=np.abs(spec.weights) * np.where(spec.excitatory[::-1][spec.pre], 1, -1),
    )
    return other.of_synapses(generator.permutation(spec.n_synapses))


def assert_same_run(network, spec, drive=None):
    """The compiled run is that of RecurrentNetwork on the numpy target, spike by spike."""
    run = network.run(spec, drive=drive)
    live = RecurrentNetwork(spec, plastic=network.program.plastic)
    activity = observe(live, DURATION, drive=drive or (DRIVE if network.program.drive_hold else None))
    order = np.lexsort((activity.indices, activity.times))
    assert activity.indices.size > 100
    np.testing.assert_array_equal(run.activity.indices, activity.indices[order])
    np.testing.assert_array_equal(run.activity.times, activity.times[order])
    # A weight is the result of at most a few hundred updates, each with a rounding error of 1e-16.
    np.testing.assert_allclose(run.weights, live.synapses.w_[:], rtol=0, atol=1e-13)
    return run


@pytest.fixture(scope="module")
def plastic():
    with CompiledNetwork(hrsnn(), duration=DURATION, drive=DRIVE, plastic=True) as network:
        yield network


@pytest.mark.standalone
@pytest.mark.parametrize("change", [lambda s: s, pruned, retuned, lambda s: pruned(retuned(s), 6)])
def test_plastic_network_is_that_of_numpy(plastic, change):
    run = assert_same_run(plastic, change(hrsnn()))
    assert not np.array_equal(run.weights, change(hrsnn()).weights)


@pytest.mark.standalone
def test_no_synapse_is_a_network_too(plastic):
    assert assert_same_run(plastic, hrsnn().of_synapses(np.zeros(0, dtype=int))).weights.size == 0


@pytest.mark.standalone
def test_another_drive(plastic):
    assert_same_run(plastic, hrsnn(), noise_drive(N, duration=1 * second, rng=rng(7)))


@pytest.mark.standalone
@pytest.mark.cython
def test_plastic_network_is_that_of_cython(plastic, cython):
    for change in (lambda s: s, pruned):
        assert_same_run(plastic, change(hrsnn()))


@pytest.mark.standalone
def test_process_stays_in_runtime_mode(plastic):
    plastic.run()
    assert type(get_device()).__name__ == "RuntimeDevice"


@pytest.mark.standalone
def test_dense_form_with_delays():
    spec = with_delays(hrsnn(), 5e-3)
    with CompiledNetwork(spec, duration=DURATION, drive=DRIVE, plastic=True, form="dense") as network:
        assert_same_run(network, spec)
        assert_same_run(network, pruned(spec))
        # Any number of synapses.
        complete = hrsnn(plasticity=None)
        pairs = np.argwhere(~np.eye(N, dtype=bool))
        more = with_delays(replace(complete, pre=pairs[:, 0], post=pairs[:, 1], weights=np.full(len(pairs), 0.01)), 0.0)
        with pytest.raises(InvalidInput, match="plasticity of this network is None"):
            network.run(more)
        constants = {k: np.full(len(pairs), 0.02) for k in ("tau_plus", "tau_minus", "eta_plus", "eta_minus")}
        assert_same_run(network, replace(more, plasticity=replace(spec.plasticity, **constants)))
        twice = spec.of_synapses(np.r_[np.arange(spec.n_synapses), 0])
        with pytest.raises(InvalidInput, match="one synapse per pair"):
            network.run(twice)


@pytest.mark.standalone
def test_precise_spikes_with_delays():
    spec = with_delays(chrsnn(spike_timing="precise"), 1.5e-3)
    with CompiledNetwork(spec, duration=DURATION, drive=DRIVE) as network:
        for case in (spec, spec.of_synapses(slice(None, None, 2)), replace(spec, delays=None)):
            run = assert_same_run(network, case)
            train = simulated_spike_train(case, 0.3, drive=DRIVE)
            np.testing.assert_array_equal(run.spike_train.indices, train.indices)
            # Newton's method and exponentials differ in the last digits, and spikes pass these on.
            np.testing.assert_allclose(run.spike_train.times, train.times, rtol=0, atol=1e-9)


@pytest.mark.standalone
def test_interpolated_spikes(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spec = hrsnn(spike_timing="interpolated")
    with CompiledNetwork(spec, duration=DURATION, drive=DRIVE) as network:
        for case in (spec, pruned(spec)):
            run = assert_same_run(network, case)
            train = simulated_spike_train(case, 0.3, drive=DRIVE)
            np.testing.assert_array_equal(run.spike_train.indices, train.indices)
            np.testing.assert_allclose(run.spike_train.times, train.times, rtol=0, atol=1e-9)
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.standalone
def test_engine_of_simulate(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spec = hrsnn(spike_timing="interpolated")
    here, there = (simulate(spec, DURATION, drive=DRIVE, engine=name) for name in ("brian2", "cpp_standalone"))
    np.testing.assert_array_equal(there.indices, here.indices)
    np.testing.assert_allclose(there.times, here.times, rtol=0, atol=1e-9)
    assert len(here.times) > 100
    # A program of one run leaves nothing behind.
    assert not list(tmp_path.iterdir())


@pytest.mark.standalone
def test_delta_synapses_without_drive(plastic):
    spec = chrsnn(synaptic_time_constant=0.0)
    spec = replace(spec, weights=0.2 * spec.weights, bias=1.3 * spec.bias)
    assert spec.has_delta_synapses
    with CompiledNetwork(spec, duration=DURATION, capacity=2 * spec.n_synapses) as network:
        assert_same_run(network, spec)
        assert_same_run(network, pruned(spec))
        # Two programs at once.
        plastic.run()
        assert_same_run(network, spec.of_synapses(np.tile(np.arange(spec.n_synapses), 2)))
        with pytest.raises(InvalidInput, match="without a drive"):
            network.run(drive=DRIVE)
        assert (network.directory / "main").exists()
        assert not list(network.directory.glob("run_*"))
    with pytest.raises(DeviceError, match="closed"):
        network.run()


def sabotaged(monkeypatch, change):
    """Let `change` alter the files and arguments of the runs to come."""
    original = Project._hand_over

    def hand_over(self, values, folder):
        return change(original(self, values, folder), folder)

    monkeypatch.setattr(Project, "_hand_over", hand_over)


NAMES = Program.of(hrsnn(), DURATION, drive=DRIVE, plastic=True).shapes()


@pytest.mark.standalone
@pytest.mark.parametrize("name", NAMES)
def test_values_that_do_not_arrive_are_noticed(plastic, monkeypatch, name):
    sabotaged(monkeypatch, lambda given, _: [a for a in given if not a.startswith(f"{name}.")])
    with pytest.raises(DeviceError, match="did not use what it was handed"):
        plastic.run()


@pytest.mark.standalone
@pytest.mark.parametrize("name", NAMES)
def test_values_of_another_network_are_noticed(plastic, monkeypatch, name):
    other = plastic.program.values(pruned(retuned(hrsnn())), noise_drive(N, duration=300 * ms, rng=rng(9)))

    def replace_file(given, folder):
        other[name].tofile(folder / f"{name}.dat")
        return given

    sabotaged(monkeypatch, replace_file)
    with pytest.raises(DeviceError, match="did not use what it was handed"):
        plastic.run()


@pytest.mark.standalone
def test_a_short_file_and_a_last_digit_are_noticed(plastic, monkeypatch):
    def shorten(given, folder):
        os.truncate(folder / "neuron_tau.dat", 80)
        return given

    def nudge(given, folder):
        drive = np.fromfile(folder / "drive_current.dat")
        drive[1000] *= 1 + 1e-12
        drive.tofile(folder / "drive_current.dat")
        return given

    with monkeypatch.context() as patch:
        sabotaged(patch, shorten)
        with pytest.raises(DeviceError, match="tau_m differs in 120 of 120"):
            plastic.run()
    with monkeypatch.context() as patch:
        sabotaged(patch, nudge)
        with pytest.raises(DeviceError, match="drive_sum"):
            plastic.run()
    plastic.run()


@pytest.mark.standalone
def test_interrupted_run_leaves_the_program_usable(plastic):
    main = threading.main_thread().ident
    timer = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        plastic._keep(["sleep", "60"], plastic.directory / "log", {})
    assert time.monotonic() - start < 30
    assert plastic.run().activity.indices.size


@pytest.fixture(scope="module")
def twin_case():
    spec = HRSNN(60, 0.1, check_rate=False, seed=1).spec
    options = {"duration": 200 * ms, "transient": 50 * ms, "realisations": 2}
    return spec, {**options, "drive": noise_drive(60, duration=200 * ms, rng=rng())}


def twins_in_this_process(spec, drive, rng, **how):
    """Run what is otherwise compiled in runtime mode."""
    how = {"perturbation": 1e-8, "renormalise_every": 20 * ms, **how}
    program = TwinProgram.of_twins(spec, drive=drive, **how)
    values = program.values(spec, drive) | {"twin_perturbation": program.draw(rng, spec.alive)}
    description = describe_twins(program, values)
    description.network.run(program.duration * second, namespace={})
    return program.exponents({k: np.atleast_1d(v.get_value()) for k, v in description.results.items()}, spec.alive)


@pytest.mark.parametrize("directions", ["fresh", "kept"])
@pytest.mark.parametrize("kind", ["grid", "interpolated", "precise", "delta"])
def test_twins_in_runtime_are_those_of_python(twin_case, kind, directions, monkeypatch):
    # Those of the compiled loop agree to rounding, see test_native.
    monkeypatch.setattr(twins_module, "native_works", lambda: False)
    spec, options = twin_case
    if kind == "delta":
        spec = replace(spec, synaptic_time_constant=0.0, weights=0.3 * spec.weights)
    else:
        spec = spec.with_timing(kind)
    expected = block_twin_exponents(spec, directions=directions, rng=rng(5), **options)
    found = twins_in_this_process(spec, directions=directions, rng=rng(5), **options)
    # The same operations in the same order, but for the sum of squares of kept directions.
    tolerance = 1e-6 if directions == "kept" else 0
    np.testing.assert_allclose(found.per_neuron, expected.per_neuron, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.trace, expected.trace, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(found.rates, expected.rates)
    np.testing.assert_array_equal(found.floored, expected.floored)
    assert found.status == expected.status


@pytest.mark.standalone
def test_compiled_twins_are_those_of_python(twin_case, monkeypatch):
    spec, options = twin_case
    spec = spec.with_timing("interpolated")
    sparse = spec.of_synapses(rng(8).random(spec.n_synapses) < 0.3)
    with CompiledTwins(spec, directions="kept", **options) as twins:
        for case in (spec, sparse):
            expected = block_twin_exponents(case, directions="kept", rng=rng(5), **options)
            found = twins.run(case, rng=rng(5))
            np.testing.assert_array_equal(found.rates, expected.rates)
            # Rounding errors of 1e-16 in separations of 1e-8 and more; one window of 20 ms divides by 0.02 s, and a
            # spike may lift the share of the error in the separation a hundredfold.
            np.testing.assert_allclose(found.trace, expected.trace, rtol=0, atol=1e-8 / 0.02 * 100)
        sabotaged(monkeypatch, lambda given, _: [a for a in given if not a.startswith("twin_perturbation")])
        with pytest.raises(DeviceError, match="twin_sum"):
            twins.run(rng=rng(5))


def test_twins_refuse_delays(twin_case):
    spec, options = twin_case
    with pytest.raises(InvalidInput, match="spikes in flight"):
        CompiledTwins(with_delays(spec, 5e-3), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: HRSNN(60, 0.1, check_rate=False).spec, "compiled for n_neurons 120, got 60"),
        (lambda s: replace(s, dt=0.1e-3), "compiled for dt 0.0005, got 0.0001"),
        (lambda s: replace(s, refractory_period=5e-3), "refractory_period"),
        (lambda s: replace(s, plasticity=replace(s.plasticity, w_max=9.0)), "w_max"),
        (lambda s: replace(s, plasticity=None), "plasticity of this network is None"),
        (lambda s: with_delays(s, 5e-3), "compiled without delays"),
        (lambda s: s.of_synapses(np.tile(np.arange(s.n_synapses), 2)), "has room for"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    program = Program.of(hrsnn(), DURATION, drive=DRIVE, plastic=True)
    with pytest.raises(InvalidInput, match=message) as caught:
        program.values(change(hrsnn()), DRIVE)
    assert "\n" not in str(caught.value)


def test_drives_that_do_not_fit_are_refused():
    program = Program.of(hrsnn(), DURATION, drive=DRIVE)
    for drive in (
        noise_drive(N, duration=300 * ms, hold=1 * ms, rng=rng()),
        noise_drive(9, duration=1 * ms, rng=rng()),
    ):
        with pytest.raises(InvalidInput, match="compiled for a drive of 120 neurons in steps of 5 ms"):
            program.values(hrsnn(), drive)
    with pytest.raises(InvalidInput, match="with a drive"):
        program.values(hrsnn(), None)


@pytest.mark.parametrize("form", ["csr", "dense"])
def test_description_in_runtime_mode(form):
    spec = pruned(hrsnn())
    program = Program.of(spec, DURATION, drive=DRIVE, form=form, plastic=True, copies=2)
    values = program.values(spec, DRIVE)
    description = describe(program, values)
    description.network.run(DURATION, namespace={})
    used = {name: np.atleast_1d(v.get_value()) for name, v in description.echoes.items()}
    verify(program.echoes(spec, values), used)
    activity = observe(RecurrentNetwork(spec), DURATION, drive=DRIVE)
    indices = description.results["i"].get_value()
    for copy in (0, 1):
        of_copy = indices // N == copy
        np.testing.assert_array_equal(indices[of_copy] - copy * N, activity.indices)
        np.testing.assert_array_equal(description.results["t"].get_value()[of_copy], activity.times)


def test_program_survives_pickling_and_has_lower_case_names():
    program = Program.of(hrsnn(), DURATION, drive=DRIVE, plastic=True)
    assert pickle.loads(pickle.dumps(program)) == program
    assert all(name == name.lower() for name in program.shapes())


def test_missing_compiler_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="needs 'g\\+\\+', which was not found") as caught:
        CompiledNetwork(hrsnn(), duration=DURATION)
    assert "\n" not in str(caught.value)


def test_failed_compilation_shows_the_compilers_last_lines(monkeypatch, tmp_path):
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho 'fatal error: no such luck'\nexit 3\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(DeviceError, match=r"(?s)could not be compiled.*no such luck"):
        CompiledNetwork(uncoupled([10 * ms]), duration=DURATION)


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
    except FileNotFoundError:
        return True


PARENT = """
import json, subprocess, sys, time
command = [sys.executable, "-I", {keeper!r}, {folder!r}]
keeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
command = ["sh", "-c", "sleep 60 & echo $! > pid; wait"]
job = {{"command": command, "cwd": {cwd!r}, "log": {cwd!r} + "/log", "env": {{}}}}
keeper.stdin.write(json.dumps(job).encode() + b"\\n")
keeper.stdin.flush()
time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads processes from /proc")
def test_a_killed_parent_leaves_neither_processes_nor_folder(tmp_path):
    import lnpbrian.network.engines.keeper

    folder = tmp_path / "project"
    folder.mkdir()
    script = PARENT.format(keeper=lnpbrian.network.engines.keeper.__file__, folder=str(folder), cwd=str(tmp_path))
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        pid = int((tmp_path / "pid").read_text())
        assert not gone(pid)
    finally:
        parent.kill()
        parent.wait()
    while not gone(pid) or folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_keeper_answers_cancels_and_goes_on(tmp_path):
    import lnpbrian.network.engines.keeper

    script = lnpbrian.network.engines.keeper.__file__
    keeper = subprocess.Popen([sys.executable, "-I", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(*command, cancel=False):
        job = {"command": command, "cwd": str(tmp_path), "log": str(tmp_path / "log"), "env": {"GREETING": "hello"}}
        keeper.stdin.write(json.dumps(job) + "\n" + ("cancel\n" if cancel else ""))
        keeper.stdin.flush()
        return json.loads(keeper.stdout.readline())

    assert ask("sh", "-c", "echo $GREETING; exit 5")["status"] == 5
    assert (tmp_path / "log").read_text() == "hello\n"
    assert ask("sleep", "60", cancel=True)["status"] == -signal.SIGKILL
    # What is cancelled is answered as well, so that nobody takes the answer of one job for that of the next.
    assert json.loads(keeper.stdout.readline()) == {"cancelled": True}
    assert "No such file" in ask(str(tmp_path / "nothing"))["error"]
    assert ask("true")["status"] == 0
    keeper.stdin.close()
    assert keeper.wait(timeout=30) == 0
    keeper.stdout.close()
