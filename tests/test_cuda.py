"""CUDA projects: what is written, that it compiles, how results are read back, and one line for every mistake.

Writing needs brian2cuda, compiling nvcc, running a GPU: what is not here is skipped. Compiling takes a minute or two
for each network and is done by `make test-cuda` alone.
"""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import brian2
import numpy as np
import pytest
from brian2 import ms, second
from brian2.devices.device import runtime_device

from lnpbrian import cli
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.device_twins import CompiledTwins
from lnpbrian.models import CHRSNN, HRSNN
from lnpbrian.network.engines import cuda
from lnpbrian.network.engines.compiled import CompiledNetwork
from lnpbrian.network.engines.cuda import CudaBuild, CudaProject, CudaToolkit, Gpu, find_toolkit, write_cuda_project
from lnpbrian.network.engines.standalone import CppBuild, Project, write_sources
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import Drive, noise_drive
from lnpbrian.network.simulate import observe
from lnpbrian.network.spec import NetworkSpec

FILES = {"indices": "i", "times": "t", "pre": "pre", "post": "post", "weights": "w"}


def missing(needs) -> str:
    """Return why something is not here, or nothing."""
    try:
        needs()
    except InvalidInput as error:
        return str(error)
    return ""


NO_BRIAN2CUDA, NO_GPU = missing(cuda.require_brian2cuda), missing(cuda.find_gpu)
NO_NVCC = missing(lambda: find_toolkit().require_curand())
writes = [pytest.mark.cuda, pytest.mark.skipif(bool(NO_BRIAN2CUDA), reason=NO_BRIAN2CUDA)]


@pytest.fixture
def compiling(request):
    """Skip what compiles for minutes unless it is asked for."""
    if NO_NVCC:
        pytest.skip(NO_NVCC)
    if not request.config.getoption("markexpr"):
        pytest.skip("takes minutes to compile; make test-cuda")


def pruned(spec: NetworkSpec, seed: int = 0) -> NetworkSpec:
    """A network as pruners leave it: fewer synapses, and silent neurons without any."""
    rng = np.random.default_rng(seed)
    alive = rng.random(spec.n_neurons) > 0.2
    kept = (rng.random(spec.n_synapses) > 0.7) & alive[spec.pre] & alive[spec.post]
    return replace(spec.of_synapses(kept), alive=alive, bias=np.where(alive, spec.bias, 0))


def hrsnn(**options) -> NetworkSpec:
    return HRSNN(60, 0.15, check_rate=False, seed=1, **options).spec


def chrsnn(**options) -> NetworkSpec:
    return CHRSNN(60, 0.15, clusters=5, check_rate=False, seed=2, **options).spec


def delayed(spec: NetworkSpec, largest: int) -> NetworkSpec:
    steps = np.random.default_rng(3).integers(1, largest + 1, spec.n_synapses)
    return replace(spec, delays=steps * spec.dt)


NETWORKS = {
    "hrsnn": hrsnn,
    "hrsnn, pruned": lambda: pruned(hrsnn()),
    "chrsnn": chrsnn,
    "chrsnn, pruned": lambda: pruned(chrsnn()),
    "plastic": lambda: hrsnn(plastic=True),
    "plastic, delayed": lambda: delayed(chrsnn(plastic=True), 9),
    "precise": lambda: pruned(chrsnn()).with_timing("precise"),
    "interpolated": lambda: hrsnn().with_timing("interpolated"),
    "delta": lambda: replace(hrsnn(), synaptic_time_constant=0.0),
    "no synapses": lambda: hrsnn().of_synapses(np.array([], dtype=int)),
}


def drive_for(spec: NetworkSpec, duration) -> Drive:
    return noise_drive(spec.n_neurons, duration=duration, rng=np.random.default_rng(4))


# ---------------------------------------------------------------------------------------------------------------------
# What is written


def static(folder: Path, name: str, dtype: type) -> np.ndarray:
    return np.fromfile(folder / "static_arrays" / name, dtype)


@pytest.mark.parametrize("name", [pytest.param(name, marks=writes) for name in NETWORKS])
def test_project_holds_every_number_of_the_network(tmp_path, name):
    spec = NETWORKS[name]()
    drive = drive_for(spec, 50 * ms)
    project = write_cuda_project(spec, tmp_path, duration=50 * ms, drive=drive, compute_capability="8.6")
    neurons, synapses = (f"_static_array_{kind}_lnpbrian_cuda" for kind in ("_array", "_dynamic_array"))
    assert np.array_equal(static(tmp_path, f"{neurons}_neurons_tau_m", float), spec.time_constants)
    assert np.array_equal(static(tmp_path, f"{neurons}_neurons_I_bias", float), spec.bias)
    assert np.array_equal(static(tmp_path, f"{neurons}_neurons_alive", bool), spec.alive)
    assert np.array_equal(static(tmp_path, "lnpbrian_cuda_drive_values", float), drive.values.ravel())
    if spec.n_synapses:
        assert np.array_equal(static(tmp_path, f"{neurons}_synapses_sources", np.int32), spec.pre)
        assert np.array_equal(static(tmp_path, f"{neurons}_synapses_targets", np.int32), spec.post)
        assert np.array_equal(static(tmp_path, f"{synapses}_synapses_w", float), spec.weights)
    if spec.delays is not None:
        assert np.array_equal(static(tmp_path, f"{synapses}_synapses_delay", float), spec.delays)
    if spec.plasticity is not None:
        assert np.array_equal(static(tmp_path, f"{synapses}_synapses_eta_plus", float), spec.plasticity.eta_plus)
    assert project.plastic == (spec.plasticity is not None)
    loaded = CudaProject.load(tmp_path)
    assert (loaded.directory, loaded.duration, loaded.plastic) == (tmp_path, 0.05, project.plastic)
    assert loaded.files == project.files
    assert np.array_equal(loaded.spec.weights, spec.weights)


@pytest.fixture
def written(tmp_path):
    spec = pruned(hrsnn())
    write_cuda_project(spec, tmp_path / "p", duration=50 * ms, drive=drive_for(spec, 50 * ms))
    return tmp_path / "p"


def lines(folder: Path) -> dict[str, list[str]]:
    # Brian2 goes through its clocks, which are equal, in an order of chance.
    texts = sources(folder) | {"GNUmakefile": (folder / "GNUmakefile").read_text()}
    return {
        name: sorted(re.sub(r"(neurons|synapses)_clock", "clock", text).splitlines()) for name, text in texts.items()
    }


def sources(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.suffix in (".cu", ".h")}


@pytest.mark.cuda
@pytest.mark.skipif(bool(NO_BRIAN2CUDA), reason=NO_BRIAN2CUDA)
def test_project_stands_on_its_own(written, tmp_path):
    texts = sources(written)
    assert {"main.cu", "objects.cu", "network.cu", "rand.cu", "brianlib/clocks.h"} <= set(texts)
    makefile = (written / "GNUmakefile").read_text()
    lists = next(line for line in makefile.splitlines() if line.startswith("SRCS = ")).split()[2:]
    assert set(lists) == {name for name in texts if name.endswith(".cu")}
    # No other makefile, no path of this machine but the default for curand, no clock that does not exist.
    assert not (written / "makefile").exists()
    assert not any(str(tmp_path) in text or "site-packages" in text for text in texts.values())
    assert not any("defaultclock.timestep" in text for name, text in texts.items() if "synapses" in name)
    readme = (written / "README.txt").read_text()
    assert "make -j2" in readme
    files = json.loads((written / "project.json").read_text())["files"]
    assert files["indices"] in readme
    assert files["times"] in readme


@pytest.mark.cuda
@pytest.mark.skipif(bool(NO_BRIAN2CUDA), reason=NO_BRIAN2CUDA)
def test_writing_leaves_brian2_as_it_was_and_gives_the_same_again(written):
    assert brian2.get_device() is runtime_device
    cuda_preferences = brian2.prefs["devices.cuda_standalone.cuda_backend.detect_gpus"]
    assert cuda_preferences is True
    assert brian2.prefs["devices.cuda_standalone.cuda_backend.gpu_id"] is None
    activity = observe(RecurrentNetwork(hrsnn()), 20 * ms)
    assert activity.indices.size
    before = lines(written)
    spec = NetworkSpec.load(written / "network.npz")
    write_cuda_project(spec, written, duration=50 * ms, drive=drive_for(spec, 50 * ms))
    assert lines(written) == before


@pytest.mark.parametrize("build", [CppBuild(), pytest.param(CudaBuild(None, "8.6"), marks=writes)])
def test_writing_that_fails_leaves_brian2_as_it_was(tmp_path, build):
    def fails():
        assert brian2.get_device() is not runtime_device
        raise InvalidInput("a drive that does not fit")

    build.device()  # brian2cuda registers its preferences when it is first imported
    before = brian2.prefs.as_file
    with pytest.raises(InvalidInput, match="does not fit"):
        write_sources(build, tmp_path, fails, 0.1)
    assert brian2.get_device() is runtime_device
    assert brian2.prefs.as_file == before


@pytest.mark.cuda
@pytest.mark.skipif(bool(NO_BRIAN2CUDA), reason=NO_BRIAN2CUDA)
def test_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "makefile").write_text("mine")
    with pytest.raises(InvalidInput, match="holds other files than a CUDA project; name a new folder"):
        write_cuda_project(hrsnn(), tmp_path, duration=50 * ms)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("makefile", "mine")]


@pytest.mark.cuda
@pytest.mark.skipif(bool(NO_BRIAN2CUDA), reason=NO_BRIAN2CUDA)
def test_drive_starts_over_and_must_fit(tmp_path):
    spec = hrsnn()
    drive = Drive(np.arange(3 * 60.0).reshape(3, 60) / 1e3, 10 * spec.dt)
    write_cuda_project(spec, tmp_path, duration=45 * spec.dt * second, drive=drive)
    assert np.array_equal(static(tmp_path, "lnpbrian_cuda_drive_values", float), drive.values[[0, 1, 2, 0, 1]].ravel())
    for wrong, message in (
        (Drive(np.zeros((3, 59)), 10 * spec.dt), "a drive for 59 neurons does not fit 60 neurons"),
        (Drive(np.zeros((3, 60)), 1.5 * spec.dt), "must be whole multiples of those of the network"),
    ):
        with pytest.raises(InvalidInput, match=message):
            write_cuda_project(spec, tmp_path, duration=50 * ms, drive=wrong)


def test_compute_capability(monkeypatch):
    def without(*_):
        raise InvalidInput("not here")

    thirteen, eleven = (
        CudaToolkit(Path("nvcc"), version, known, None)
        for version, known in (("13.0", ("7.5", "9.0", "12.0")), ("11.8", ("3.5", "7.5", "8.6")))
    )
    newest = CudaToolkit(Path("nvcc"), "15.0", ("8.0", "12.0"), None)
    monkeypatch.setattr(cuda, "find_gpu", without)
    assert cuda._capability("9.0", thirteen) == cuda._capability("9.0", None) == "9.0"
    # The least that the toolkit builds for, and 7.5 where that is less or not known.
    assert [cuda._capability(None, toolkit) for toolkit in (None, eleven, thirteen, newest)] == [
        *("7.5", "7.5", "7.5", "8.0")
    ]
    monkeypatch.setattr(cuda, "find_gpu", lambda: Gpu("G", "8.6", "13.0"))
    # That of the GPU, if the toolkit builds for it.
    assert [cuda._capability(None, toolkit) for toolkit in (None, eleven, thirteen)] == ["8.6", "8.6", "7.5"]
    for wrong in ("9", "sm_90", "4.9", "9.00", "", "nan"):
        with pytest.raises(InvalidInput, match=r"compute_capability must be one of a GPU, such as 9\.0"):
            cuda._capability(wrong, None)
    with pytest.raises(InvalidInput, match=r"CUDA 13\.0 does not build for compute capability 8\.6; use one of 7\.5"):
        cuda._capability("8.6", thirteen)


# ---------------------------------------------------------------------------------------------------------------------
# Building


@pytest.mark.cuda
@pytest.mark.skipif(bool(NO_BRIAN2CUDA or NO_NVCC), reason=NO_BRIAN2CUDA or NO_NVCC)
@pytest.mark.parametrize("kind", ["csr", "dense, delayed", "plastic", "precise", "twins"])
def test_programs_for_any_network_are_written(monkeypatch, kind):
    """The programs of lnpbrian.network.engines.compiled, whose numbers are handed over when they start."""
    job = Project._job
    monkeypatch.setattr(Project, "_job", lambda self, name, *rest: name == "compile" or job(self, name, *rest))
    spec = hrsnn(plastic=kind == "plastic").with_timing("precise" if kind == "precise" else "grid")
    options = {"duration": 50 * ms, "drive": drive_for(spec, 50 * ms), "device": "cuda_standalone"}
    if kind == "twins":
        program = CompiledTwins(spec, realisations=2, transient=20 * ms, **options)
    else:
        spec = delayed(spec, 3) if "delayed" in kind else spec
        form = kind.split(",")[0] if "," in kind or kind == "csr" else "csr"
        program = CompiledNetwork(spec, form=form, plastic=kind == "plastic", **options)
    with program:
        texts = sources(program.directory)
        assert "-std=c++17" in (program.directory / "GNUmakefile").read_text()
    # It is told the values by name, and turns what it is told into lower case.
    told = re.findall(r'name == "([\w.]+)\.values"', texts["objects.cu"])
    assert {"neuron_tau", "synapse_weight", "drive_current"} <= set(told)
    assert all(name == name.lower() for name in told)
    assert not any("defaultclock.timestep" in text for name, text in texts.items() if "synapses" in name)
    # A loop invariant that is used is defined.
    for name, text in texts.items():
        used = set(re.findall(r"\b_lio_\d+\b", text))
        assert all(re.search(rf"\b(double|int\w*|bool|char) {lio}\b", text) for lio in used), name


def compiled_program(folder: Path) -> None:
    spec = pruned(delayed(chrsnn(), 2)).with_timing("precise")
    drive = drive_for(spec, 50 * ms)
    with CompiledNetwork(spec, duration=50 * ms, drive=drive, device="cuda_standalone") as network:
        assert network.build_seconds["compile"] > 0
        shutil.copy(network.directory / "main", folder)


def compiled_project(folder: Path) -> None:
    spec = delayed(hrsnn(plastic=True), 9)
    project = write_cuda_project(spec, folder, duration=50 * ms, drive=drive_for(spec, 50 * ms))
    project.build(jobs=2)
    log = (folder / cuda.LOG).read_text()
    assert "-std=c++17" in log
    assert "-std=c++11" not in log
    if NO_GPU:
        # Up to the first call of the driver it runs: all libraries are found.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cuda, "find_gpu", lambda: Gpu("none", "7.5", "13.0"))
            with pytest.raises(InvalidInput, match=r"cudaSetDevice.*failed"):
                project.run()


@pytest.mark.cuda
@pytest.mark.skipif(bool(NO_BRIAN2CUDA), reason=NO_BRIAN2CUDA)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("write", [compiled_project, compiled_program])
def test_compiles(tmp_path, compiling, write):
    # For one compute capability. Two cores need 90 s for the project, 150 s for the program.
    write(tmp_path)
    assert os.access(tmp_path / "main", os.X_OK)


@pytest.fixture
def saved(tmp_path):
    """A project without sources, as its folder is read."""
    spec = chrsnn()
    spec.save(tmp_path / cuda.NETWORK)
    (tmp_path / cuda.DESCRIPTION).write_text(json.dumps({"duration_s": 0.5, "plastic": False, "files": FILES}))
    (tmp_path / "results").mkdir()
    return CudaProject.load(tmp_path)


@pytest.fixture
def with_toolkit(monkeypatch):
    monkeypatch.setattr(cuda, "find_toolkit", lambda: CudaToolkit(Path("nvcc"), "13.0", (), object()))
    monkeypatch.setattr(cuda, "find_gpu", lambda: Gpu("G", "9.0", "13.0"))


def test_build_names_the_first_error(saved, with_toolkit):
    (saved.directory / "GNUmakefile").write_text("all:\n\techo built > main\n")
    saved.build()
    (saved.directory / "GNUmakefile").write_text(
        "all:\n\t@echo compiling\n\t@echo 'a.cu(3): error: b is undefined'; exit 2\n"
    )
    with pytest.raises(
        InvalidInput, match=r"does not compile \(a\.cu\(3\): error: b is undefined\); the rest is in .*log"
    ):
        saved.build()
    assert "compiling" in (saved.directory / cuda.LOG).read_text()


def test_build_needs_curand(saved, monkeypatch):
    monkeypatch.setattr(cuda, "find_toolkit", lambda: CudaToolkit(Path("nvcc"), "12.4", (), None))
    with pytest.raises(InvalidInput, match=r"CUDA 12\.4 is here without curand; pip install nvidia-curand-cu12"):
        saved.build()


# ---------------------------------------------------------------------------------------------------------------------
# Results


def results(project: CudaProject, **changed) -> None:
    spec = project.spec
    values = {
        "indices": np.array([3, 7, 1, 0], np.int32),
        "times": np.array([0.1, 0.2, 0.1, 0.05]),
        "pre": spec.pre,
        "post": spec.post,
        "weights": spec.weights,
    } | changed
    for name, file in FILES.items():
        values[name].tofile(project.directory / "results" / file)
    (project.directory / "results" / "last_run_info.txt").write_text(f"0.7 {changed.get('completed', 1)}\n")


def test_spikes_come_in_order(saved):
    results(saved)
    activity = saved.activity()
    assert activity.indices.tolist() == [0, 1, 3, 7]
    assert activity.times.tolist() == [0.05, 0.1, 0.1, 0.2]
    assert (activity.n_neurons, activity.duration) == (60, 0.5)


def test_other_numbers_than_those_of_the_network_are_noticed(saved):
    spec = saved.spec
    for name, value in (
        ("weights", np.nextafter(spec.weights, 1)),
        ("weights", spec.weights[:-1]),
        ("pre", spec.pre[::-1]),
        ("post", np.zeros_like(spec.post)),
    ):
        results(saved, **{name: value})
        with pytest.raises(InvalidInput, match=rf"ran with other synapses than those of the network \({name} differ\)"):
            saved.activity()
    # Weights that learn are no mistake.
    results(saved, weights=0.9 * spec.weights)
    assert replace(saved, plastic=True).activity().indices.size == 4


def test_results_that_are_not_whole(saved):
    with pytest.raises(InvalidInput, match=r"does not hold the results of a run .*; run \./main there"):
        saved.activity()
    results(saved, completed=0.4)
    with pytest.raises(InvalidInput, match="the run ended after 40 % of its time"):
        saved.activity()


def program(project: CudaProject, script: str) -> None:
    path = project.directory / "main"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_run(saved, with_toolkit):
    with pytest.raises(InvalidInput, match="has not been built"):
        saved.run()
    results(saved)
    (saved.directory / "results").rename(saved.directory / "kept")
    program(saved, "cp kept/* results/")
    assert saved.run().indices.tolist() == [0, 1, 3, 7]
    # Old results are not taken for those of a run that failed, nor is an error that did not stop the program ignored.
    program(saved, "true")
    with pytest.raises(InvalidInput, match="does not hold the results of a run"):
        saved.run()
    program(saved, "cp kept/* results/; echo \"Error reading 'x'\" >&2")
    with pytest.raises(InvalidInput, match=r"failed \(Error reading 'x'\)"):
        saved.run()
    program(saved, "exit 3")
    with pytest.raises(InvalidInput, match=r"failed \(exit code 3\)"):
        saved.run()


def test_run_without_a_gpu(saved, monkeypatch):
    program(saved, "true")
    monkeypatch.setattr(cuda, "_load_driver", lambda: None)
    with pytest.raises(InvalidInput, match="there is no NVIDIA driver"):
        saved.run()


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"duration_s": "x", "plastic": false, "files": {}}', '{"duration_s": 1, "plastic": 0}']
)
def test_not_a_project(tmp_path, text):
    (tmp_path / cuda.DESCRIPTION).write_text(text)
    with pytest.raises(InvalidInput, match="is not a CUDA project"):
        CudaProject.load(tmp_path)
    with pytest.raises(InvalidInput, match="is not a CUDA project"):
        CudaProject.load(tmp_path / "none")


def counted(activity, dt: float) -> list[tuple[int, int]]:
    return sorted(zip(np.rint(activity.times / dt).astype(int).tolist(), activity.indices.tolist(), strict=True))


def test_what_is_written_runs_as_in_runtime_mode(tmp_path, with_toolkit):
    """The same description on Brian2's C++ device, built, run and read back as a CUDA project is."""
    spec = pruned(chrsnn())
    drive = drive_for(spec, 60 * ms)  # shorter than the run: starts over
    timed = cuda._timed_array(drive, spec, 0.1)
    found = write_sources(CppBuild(), tmp_path, lambda: cuda._describe(spec, timed, plastic=True), 0.1)
    files = {name: file for name, (file, _) in found["results"].items()}
    project = CudaProject(tmp_path, spec, 0.1, plastic=False, files=files)
    project.build()
    activity = project.run()
    assert activity.indices.size > 50
    # Rounding (1e-16) grows by exp(50/s 0.1 s) < 1000: no spike moves to another step.
    assert counted(activity, spec.dt) == counted(observe(RecurrentNetwork(spec), 100 * ms, drive=drive), spec.dt)
    assert brian2.get_device() is runtime_device


# ---------------------------------------------------------------------------------------------------------------------
# On a GPU


@pytest.mark.gpu
@pytest.mark.skipif(bool(NO_BRIAN2CUDA or NO_NVCC or NO_GPU), reason=NO_BRIAN2CUDA or NO_NVCC or NO_GPU)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["hrsnn, pruned", "plastic, delayed", "precise", "delta"])
def test_gpu_spikes_as_runtime_mode_does(tmp_path, name):
    spec = NETWORKS[name]()
    drive = drive_for(spec, 200 * ms)
    project = write_cuda_project(spec, tmp_path, duration=200 * ms, drive=drive)
    project.build(jobs=os.cpu_count() or 2)
    activity = project.run()  # compares the synapses
    reference = observe(RecurrentNetwork(spec), 200 * ms, drive=drive)
    # Sums of currents and exp differ by 1e-15 of a threshold a step. Small networks amplify this by less than
    # exp(100/s 0.2 s) = 5e8 to 1e-6 of a threshold: of the few hundred spikes, at a slope of 0.01 threshold per step,
    # one in 1e4 could move by a step. Two are allowed to.
    mine, theirs = counted(activity, spec.dt), counted(reference, spec.dt)
    assert len(theirs) > 50
    assert len(set(mine) ^ set(theirs)) <= 4
    assert abs(len(mine) - len(theirs)) <= 2


@pytest.mark.gpu
@pytest.mark.skipif(bool(NO_BRIAN2CUDA or NO_NVCC or NO_GPU), reason=NO_BRIAN2CUDA or NO_NVCC or NO_GPU)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("form", ["csr", "dense"])
def test_gpu_takes_other_networks_without_compiling(form):
    whole = delayed(hrsnn(), 3)
    drive = drive_for(whole, 200 * ms)
    networks = [whole, pruned(whole), pruned(whole, seed=1), whole]
    options = {"duration": 200 * ms, "drive": drive, "form": form}
    with (
        CompiledNetwork(whole, device="cuda_standalone", **options) as on_gpu,
        CompiledNetwork(whole, **options) as on_cpu,
    ):
        # Every run compares the numbers that the program used with those that it was told.
        runs = [(on_gpu.run(spec).activity, on_cpu.run(spec).activity) for spec in networks]
    for mine, theirs in runs:
        # As above; the counts of neurons differ where a spike moved over the end of the run.
        assert np.abs(np.sort(mine.counts) - np.sort(theirs.counts)).sum() <= 2
    assert len({mine.indices.size for mine, _ in runs[:3]}) == 3


@pytest.mark.gpu
@pytest.mark.skipif(bool(NO_BRIAN2CUDA or NO_NVCC or NO_GPU), reason=NO_BRIAN2CUDA or NO_NVCC or NO_GPU)
@pytest.mark.timeout(1800)
def test_gpu_twins_are_those_of_cpp():
    spec = hrsnn().with_timing("interpolated")
    sparse = spec.of_synapses(np.random.default_rng(6).random(spec.n_synapses) > 0.7)
    options = {
        "duration": 200 * ms,
        "transient": 50 * ms,
        "realisations": 2,
        "directions": "kept",
        "drive": drive_for(spec, 200 * ms),
    }
    found = []
    for name in ("cuda_standalone", "cpp_standalone"):
        with CompiledTwins(spec, device=name, **options) as twins:
            found.append([twins.run(case, rng=np.random.default_rng(5)) for case in (spec, sparse)])
    for mine, theirs in zip(*found, strict=True):
        # Rounding of 1e-16 to 1e-15 in separations of 1e-8, a hundredfold by spikes, over windows of 20 ms.
        np.testing.assert_allclose(mine.trace, theirs.trace, rtol=0, atol=1e-7 / 0.02 * 100)
        np.testing.assert_allclose(mine.rates, theirs.rates, rtol=0, atol=2 / 0.2)


# ---------------------------------------------------------------------------------------------------------------------
# The command


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["cuda", *(str(a) for a in arguments)])
    return exit_.value.code


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "network.npz"
    pruned(hrsnn()).save(path)
    return path


def refused(capsys, message, *arguments):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("lnpbrian: ")
    assert error.count("\n") == 1


@pytest.fixture
def brian2cuda_here(monkeypatch):
    monkeypatch.setattr(cuda, "require_brian2cuda", lambda: "1.0b1")


def test_mistakes_are_one_line(tmp_path, file, capsys, brian2cuda_here):
    out = tmp_path / "out"
    refused(capsys, "cannot be read as a network file", tmp_path / "none.npz", "--out", out)
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(file.read_bytes()[:-200])
    refused(capsys, "cannot be read as a network file", damaged, "--out", out)
    refused(capsys, "duration must be a number in (0, inf), got 0.0", file, "--out", out, "--duration", "0")
    refused(capsys, "noise must be a number in [0, inf), got -1.0", file, "--out", out, "--noise", "-1")
    refused(capsys, "seed must be a whole number", file, "--out", out, "--seed", "-1")
    refused(capsys, "jobs must be a whole number", file, "--out", out, "--jobs", "-1")
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    refused(capsys, "is not a folder that can be written to", file, "--out", blocked / "out")
    assert not out.exists()


def test_what_is_missing_shows_before_anything_is_written(tmp_path, file, capsys, monkeypatch):
    out = tmp_path / "out"

    def without(what):
        def find(*_):
            raise InvalidInput(f"no {what}")

        return find

    monkeypatch.setattr(cuda, "require_brian2cuda", without("brian2cuda"))
    refused(capsys, "no brian2cuda", file, "--out", out)
    monkeypatch.setattr(cuda, "require_brian2cuda", lambda: "1.0b1")
    monkeypatch.setattr(cuda, "find_toolkit", without("nvcc"))
    refused(capsys, "no nvcc", file, "--out", out, "--build")
    monkeypatch.setattr(cuda, "find_toolkit", lambda: CudaToolkit(Path("nvcc"), "13.0", (), None))
    refused(capsys, "CUDA 13.0 is here without curand", file, "--out", out, "--run")
    monkeypatch.setattr(cuda, "find_toolkit", lambda: CudaToolkit(Path("nvcc"), "13.0", (), object()))
    monkeypatch.setattr(cuda, "find_gpu", without("GPU"))
    refused(capsys, "no GPU", file, "--out", out, "--run")
    assert not out.exists()


@pytest.mark.skipif(not NO_BRIAN2CUDA, reason="brian2cuda is here")
def test_without_brian2cuda(tmp_path, file, capsys):
    refused(capsys, "lnpbrian[cuda]", file, "--out", tmp_path / "out")
    with pytest.raises(InvalidInput, match=r"lnpbrian\[cuda\]"):
        write_cuda_project(NetworkSpec.load(file), tmp_path, duration=10 * ms)


@pytest.mark.cuda
@pytest.mark.skipif(bool(NO_BRIAN2CUDA), reason=NO_BRIAN2CUDA)
def test_command_writes_the_noise_of_its_seed(tmp_path, file, capsys):
    for name, options in (("a", ()), ("again", ()), ("other", ("--seed", 1)), ("quiet", ("--noise", 0))):
        assert run(file, "--out", tmp_path / name, "--duration", 20, *options) == 0
        assert "README.txt says how to build and run it" in capsys.readouterr().out
    drives = {
        name: tmp_path / name / "static_arrays" / "lnpbrian_cuda_drive_values" for name in ("a", "again", "other")
    }
    assert np.fromfile(drives["a"]).size == 4 * 60
    assert drives["a"].read_bytes() == drives["again"].read_bytes() != drives["other"].read_bytes()
    assert "no external current" in (tmp_path / "quiet" / "README.txt").read_text()
    refused(capsys, "compute_capability must be", file, "--out", tmp_path / "a", "--compute-capability", "90")


def test_command_builds_and_runs(tmp_path, file, capsys, monkeypatch, brian2cuda_here):
    spec = NetworkSpec.load(file)
    made = []

    class Project:
        def build(self, *, jobs):
            made.append(jobs)

        def run(self):
            quiet = np.zeros(spec.n_neurons)
            return type("SpikeTrain", (), {"indices": np.arange(5), "rates": np.where(spec.alive, 40.0, quiet)})()

    monkeypatch.setattr(cli, "write_cuda_project", lambda *_, **__: Project())
    monkeypatch.setattr(cuda, "find_toolkit", lambda: CudaToolkit(Path("nvcc"), "13.0", (), object()))
    for module in (cli, cuda):
        monkeypatch.setattr(module, "find_gpu", lambda: Gpu("G", "9.0", "13.0"))
    assert run(file, "--out", tmp_path / "out", "--build", "--jobs", 3) == 0
    assert "spikes" not in capsys.readouterr().out
    assert run(file, "--out", tmp_path / "out", "--run", "--jobs", 3) == 0
    # Silent neurons do not count.
    assert "5 spikes in 1000 ms on G, 40.0 Hz per neuron" in capsys.readouterr().out
    assert made == [3, 3]
