"""A pruning run that is killed goes on where it was, to the same network; what cannot go on says so in one line."""

import errno
import gc
import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import ms

from lnpbrian.checks import InvalidInput
from lnpbrian.models import CHRSNN, HRSNN
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.pruning import checkpoint as checkpoint_module
from lnpbrian.pruning import loop as lnp
from lnpbrian.pruning import prunable
from lnpbrian.pruning.checkpoint import Checkpoint, CheckpointFolder, fingerprint
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.schedule import PruneOptions, schedule
from lnpbrian.pruning.steps import NoisePruning, TimescaleTuning, as_steps
from lnpbrian.pruning.steps.timescales import Measurement

ALL_STEPS = as_steps(("I", "II", "III", TimescaleTuning(every=3, evaluations=5, exponents=3, duration=20 * ms)))
I_II = ALL_STEPS[:2]
OPTIONS = PruneOptions(
    synapse_sparsity=0.8,
    neuron_sparsity=0.2,
    iterations=6,
    observation=50 * ms,
    exponent_duration=40 * ms,
    realisations=1,
    rates=(0, 500),
    exponent_growth=None,
)
QUICK = replace(OPTIONS, iterations=2)
MODELS = {
    "HRSNN": lambda: HRSNN(50, 0.2, check_rate=False),
    "CHRSNN": lambda: CHRSNN(50, 0.2, clusters=3, cluster_neighbours=2, check_rate=False),
    "plastic": lambda: HRSNN(50, 0.2, plastic=True, check_rate=False),
}
CHECKPOINT = "checkpoint.npz"


def numbers(history):
    """Return what two runs must share of their histories: all but the seconds."""
    return [replace(record, seconds={}) for record in history]


def job(model: str, folder: Path) -> None:
    """Prune a model with checkpoints, and leave the network and its history beside them."""
    live = MODELS[model]()
    result = prune(live, ALL_STEPS, options=OPTIONS, checkpoint=folder / "checkpoints")
    live.spec.save(folder / "network.npz")
    (folder / "history.txt").write_text(repr(numbers(result.history)))


def known_measurement(step, spec, network, now, draw=0):
    """Exponents that depend on time constants and synapses, so that pruning always calls for other time constants."""
    leak = np.sort(1 / spec.time_constants[spec.alive])
    return Measurement(-leak * (1 + spec.n_synapses / 300), 10.0)


def start(target, *arguments):
    # A forked process has everything imported already.
    process = multiprocessing.get_context("fork").Process(target=_child, args=(target, *arguments))
    process.start()
    return process


def _child(target, *arguments) -> None:
    gc.freeze()  # collecting what the tests before have left takes longer than the work
    target(*arguments)


def finish(process) -> None:
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize(("model", "kills"), [("HRSNN", 8), ("CHRSNN", 6), ("plastic", 6)])
def test_killed_at_random_moments_and_resumed_is_never_killed(tmp_path, monkeypatch, model, kills):
    monkeypatch.setattr(prunable, "SETTLE", 20 * ms)
    monkeypatch.setattr(TimescaleTuning, "measure", known_measurement)
    whole, again = tmp_path / "whole", tmp_path / "again"
    whole.mkdir()
    again.mkdir()
    job(model, whole)  # here, so that the processes below inherit what Brian2 and step IV have loaded
    begun = time.perf_counter()
    finish(start(job, model, again))
    duration = time.perf_counter() - begun
    tuned, original = NetworkSpec.load(whole / "network.npz"), MODELS[model]().spec
    assert (tuned.time_constants != original.time_constants).any()  # step IV had an effect that must be remembered

    rng = np.random.default_rng(kills)
    killed = taken_up = 0
    for run in range(10 * kills):
        folder = tmp_path / str(run)
        folder.mkdir()
        for delay in duration * rng.random(rng.integers(1, 6)):  # up to five kills of one run
            process = start(job, model, folder)
            process.join(float(delay))
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            if process.exitcode == 0:  # it was faster
                break
            assert process.exitcode == -signal.SIGKILL
            killed += 1
            taken_up += (folder / "checkpoints" / CHECKPOINT).exists()
        finish(start(job, model, folder))
        for name in ("network.npz", "history.txt"):
            assert (folder / name).read_bytes() == (whole / name).read_bytes()
        if killed >= kills:
            break
    assert killed >= kills
    assert taken_up >= 2


@pytest.mark.parametrize("moment", ["half written", "written", "renamed"])
def test_killed_while_a_checkpoint_is_written(tmp_path, moment):
    def killed_at_the_second_checkpoint():
        calls = []
        write, rename = np.savez, os.replace

        def die():
            os.kill(os.getpid(), signal.SIGKILL)

        def savez(path, **arrays):
            write(path, **arrays)
            calls.append(path)
            if len(calls) == 2 and moment != "renamed":
                if moment == "half written":
                    os.truncate(path, os.path.getsize(path) // 2)
                die()

        def replace_file(a, b):
            rename(a, b)
            if len(calls) == 2:
                die()

        np.savez, os.replace = savez, replace_file
        prune(MODELS["HRSNN"](), I_II, options=QUICK, checkpoint=tmp_path)

    process = start(killed_at_the_second_checkpoint)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    state = json.loads(NetworkSpec.load_with_note(tmp_path / CHECKPOINT)[1])["state"]
    assert len(state["history"]) == (2 if moment == "renamed" else 1)
    assert_same_end(*pruned(), *pruned(checkpoint=tmp_path))


def pruned(options=QUICK, model="HRSNN", steps=I_II, **how):
    live = MODELS[model]()
    return live, prune(live, steps, options=options, **how)


def assert_same_end(live, result, other, other_result):
    assert fingerprint(live.spec) == fingerprint(other.spec)
    assert numbers(result.history) == numbers(other_result.history)
    np.testing.assert_array_equal(result.rates_before, other_result.rates_before)
    np.testing.assert_array_equal(result.rates_after, other_result.rates_after)
    assert result.exponents_after.window_exponent == other_result.exponents_after.window_exponent
    assert result.exponents_after.largest_exponent == other_result.exponents_after.largest_exponent
    assert result.status == other_result.status


def interrupt_at(fraction):
    """Return a report callback that the user's Ctrl-C hits once `fraction` is done."""

    def report(now):
        if now.fraction >= fraction:
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize("model", ["HRSNN", "plastic"])
def test_interrupt_leaves_a_checkpoint_that_goes_on(tmp_path, model):
    # With the measured spectrum, and with step IV in the middle of an iteration.
    options = replace(OPTIONS, iterations=4)
    order = (ALL_STEPS[0], replace(ALL_STEPS[3], every=2), *ALL_STEPS[1:3])
    seen = []
    whole = pruned(options, model, order, report=lambda now: seen.append(now.fraction))
    assert seen[0] >= 0
    assert (np.diff(seen) >= 0).all()
    assert seen[-1] == 1
    resumed = []
    for fraction in (0.0, 0.5, 0.7, 0.95):
        with pytest.raises(KeyboardInterrupt):
            pruned(options, model, order, checkpoint=tmp_path, report=interrupt_at(fraction))
        assert not list(tmp_path.glob(".*"))
    again = pruned(options, model, order, checkpoint=tmp_path, report=lambda now: resumed.append(now.fraction))
    assert_same_end(*whole, *again)
    assert (np.diff(resumed) >= 0).all()
    assert resumed[-1] == 1
    # A finished run is not done again.
    steps = []
    once_more = pruned(options, model, order, checkpoint=tmp_path, report=lambda now: steps.append(now.step))
    assert_same_end(*whole, *once_more)
    assert not [step for step in steps if step.startswith("step")]


def test_fractions_end_at_one_whatever_the_schedule():
    # The last partial sum of eleven or more numbers differs by rounding from their sum, for about every third schedule.
    for iterations in range(1, 31):
        options = PruneOptions(0.93, 0.3, iterations=iterations)
        live = SimpleNamespace(n_synapses=48217)
        seen = []
        loop = lnp._Loop(
            SimpleNamespace(live=live),
            I_II,
            options,
            None,
            schedule(1000, 48217, options, I_II),
            None,
            lambda now, seen=seen: seen.append(now.fraction),
        )
        for k in range(iterations + 1):
            for within in np.linspace(0, 1, 7):
                loop._tell(k, "", within)
        assert seen[0] == 0
        assert seen[-1] == 1
        assert (np.diff(seen) >= 0).all()


def test_a_stopped_run_stays_stopped(tmp_path):
    options = replace(QUICK, iterations=5, rates=(400, 500))
    whole = pruned(options)
    assert "stopped after iteration 2 of 5" in whole[1].status
    with pytest.raises(KeyboardInterrupt):
        pruned(options, checkpoint=tmp_path, report=interrupt_at(0.5))
    for _ in range(2):
        assert_same_end(*whole, *pruned(options, checkpoint=tmp_path))


# ---------------------------------------------------------------------------------------------------------------------
# What is refused


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """The checkpoint of a run that was interrupted after its first iteration."""
    folder = tmp_path_factory.mktemp("unfinished")
    with pytest.raises(KeyboardInterrupt):
        pruned(checkpoint=folder, report=interrupt_at(0.9))
    return (folder / CHECKPOINT).read_bytes()


@pytest.fixture
def folder(tmp_path, unfinished):
    (tmp_path / CHECKPOINT).write_bytes(unfinished)
    return tmp_path


def refused(folder, message, live=None, **how):
    """Prune, be refused in one line, and find model and checkpoint as they were."""
    live = MODELS["HRSNN"]() if live is None else live
    before, content = fingerprint(live.spec), (folder / CHECKPOINT).read_bytes()
    with pytest.raises(InvalidInput, match=message) as caught:
        prune(live, checkpoint=folder, **{"steps": I_II, "options": QUICK, **how})
    assert "\n" not in str(caught.value)
    assert fingerprint(live.spec) == before
    assert (folder / CHECKPOINT).read_bytes() == content


def test_only_the_run_that_wrote_a_checkpoint_goes_on(folder, monkeypatch):
    belongs = "belongs to another network, other options or another seed; choose another folder"
    refused(folder, belongs, HRSNN(50, 0.2, check_rate=False, seed=1))
    refused(folder, belongs, options=replace(QUICK, realisations=2))
    refused(folder, belongs, options=replace(QUICK, observation=60 * ms))
    refused(folder, belongs, steps=(NoisePruning(sigma=2.0), "II"))
    refused(folder, belongs, seed=1)
    refused(folder, belongs, drive=noise_drive(50, duration=50 * ms, rng=np.random.default_rng(0)))
    refused(folder, belongs, steps=I_II[::-1])
    monkeypatch.setattr(checkpoint_module, "__version__", "9.9")
    refused(folder, r"was written by lnpbrian .*, this is 9\.9; finish the run with that version, or start anew")


def test_the_edited_model_of_an_interrupted_run_is_another_network(tmp_path):
    live = MODELS["HRSNN"]()
    with pytest.raises(KeyboardInterrupt):
        prune(live, I_II, options=QUICK, checkpoint=tmp_path, report=interrupt_at(0.95))
    assert len(live.synapses) < MODELS["HRSNN"]().spec.n_synapses
    refused(tmp_path, "belongs to another network", live)


def test_damaged_checkpoints(folder, unfinished):
    path = folder / CHECKPOINT
    for length in (0, 1, 100, len(unfinished) // 2, len(unfinished) - 50, len(unfinished) - 1):
        path.write_bytes(unfinished[:length])
        refused(folder, "cannot be read as a network file")
    path.write_text("not a zip file")
    refused(folder, "cannot be read as a network file")
    np.savez(path, note="no network")
    refused(folder, "is not an lnpbrian network of format 1")
    for note in ("", "some words", "[1, 2]", '{"run": "x"}'):
        MODELS["HRSNN"]().spec.save(path, note=note)
        refused(folder, "is no checkpoint .*; choose another folder")
    path.unlink()
    path.mkdir()
    with pytest.raises(InvalidInput, match="cannot be read as a network file"):
        pruned(checkpoint=folder)


def test_no_flipped_byte_goes_unnoticed(folder, unfinished):
    """Either the file is refused in one line, or it holds what it held: some bytes are padding or dates."""
    path = folder / CHECKPOINT
    whole, note = NetworkSpec.load_with_note(path)
    rng = np.random.default_rng(0)
    # The directory of the archive is at its end and has about 70 bytes for each of 18 arrays.
    directory = unfinished.index(b"PK\x01\x02")
    places = np.concatenate([rng.integers(directory, size=100), rng.integers(directory, len(unfinished), size=300)])
    messages = []
    for place in places:
        damaged = bytearray(unfinished)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            spec, said = NetworkSpec.load_with_note(path)
        except InvalidInput as error:
            messages.append(str(error))
        else:
            assert fingerprint(spec) == fingerprint(whole)
            assert said == note
    assert len(messages) > 100
    assert not [message for message in messages if "\n" in message]


def test_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    write, calls = np.savez, []

    def savez(path, **arrays):
        write(path, **arrays)
        calls.append(path)
        if len(calls) == 3:
            os.truncate(path, 1000)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(np, "savez", savez)
    options = replace(QUICK, iterations=3)
    with pytest.raises(OSError, match="No space left on device"):
        pruned(options, checkpoint=tmp_path)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    state = json.loads(NetworkSpec.load_with_note(tmp_path / CHECKPOINT)[1])["state"]
    assert [record["iteration"] for record in state["history"]] == [0, 1]
    assert_same_end(*pruned(options), *pruned(options, checkpoint=tmp_path))


def test_folders_that_cannot_be_written_to(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    blocked = [file, file / "below"]
    if os.geteuid() != 0:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        blocked.append(locked)
    for folder in blocked:
        with pytest.raises(InvalidInput, match=r"checkpoint .* is not a folder that can be written to") as caught:
            pruned(checkpoint=folder)
        assert "\n" not in str(caught.value)


def test_arrays_beside_the_checkpoint(tmp_path, monkeypatch):
    folder = CheckpointFolder(tmp_path, "run")
    assert folder.load() is None
    assert folder.load_arrays("forecast") is None
    values = {"a": np.arange(5.0), "b": np.array([[1, 2]])}
    folder.save_arrays("forecast", values)
    found = folder.load_arrays("forecast")
    assert found.keys() == values.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value)
    with pytest.raises(InvalidInput, match="belongs to another network"):
        CheckpointFolder(tmp_path, "other run").load_arrays("forecast")
    path = tmp_path / "forecast.npz"
    content = path.read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InvalidInput, match=r"is damaged .*; delete it"):
            folder.load_arrays("forecast")
    np.savez(path, a=1)
    with pytest.raises(InvalidInput, match=r"is damaged .*; delete it"):
        folder.load_arrays("forecast")


def test_checkpoint_is_what_was_saved(tmp_path):
    spec = MODELS["plastic"]().spec
    folder = CheckpointFolder(tmp_path, "run")
    state = {"history": [{"x": 0.1 + 0.2}], "memory": {}}
    folder.save(Checkpoint(spec, state))
    found = folder.load()
    assert fingerprint(found.spec) == fingerprint(spec)
    assert found.state == state


def test_fingerprint_sees_every_number():
    spec = MODELS["plastic"]().spec
    digests = {fingerprint(spec, QUICK, 0)}
    weights = spec.weights.copy()
    weights[-1] = np.nextafter(weights[-1], 1)
    stdp = spec.plasticity
    for other in (
        (replace(spec, weights=weights), QUICK, 0),
        (replace(spec, dt=2 * spec.dt), QUICK, 0),
        (replace(spec, plasticity=replace(stdp, eta_minus=stdp.eta_minus / 2)), QUICK, 0),
        (spec, (QUICK, NoisePruning(sigma=2.0)), 0),
        (spec, replace(QUICK, exponent_duration=41 * ms), 0),
        (spec, QUICK, 1),
    ):
        digests.add(fingerprint(*other))
    assert len(digests) == 7
    assert fingerprint(MODELS["plastic"]().spec, replace(QUICK), 0) in digests
