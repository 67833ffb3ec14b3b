"""The report on devices and the toolkit: what it says where something is missing, and the makefile it leads to."""

import os
import shlex
import shutil
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from lnpbrian import cli
from lnpbrian.checks import InvalidInput
from lnpbrian.network.engines import cuda
from lnpbrian.network.engines import devices as device
from lnpbrian.network.engines.cuda import CudaBuild, CudaToolkit, Curand, Gpu, find_toolkit
from lnpbrian.network.engines.devices import DeviceReport, Part, devices

FOLDERS = ("include", "lib")


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def fake_toolkit(root: Path, version: str, *, codes: str = "sm_75 sm_90", curand: bool = False) -> Path:
    """A CUDA toolkit as nvcc describes itself: version, architectures, and the folders it hands on."""
    include, library = root / "targets" / "include", root / "targets" / "lib"
    for folder in (include, library, library / "stubs"):
        folder.mkdir(parents=True)
    if curand:
        (include / "curand.h").touch()
        (library / "libcurand.so").touch()
    (library / "stubs" / "libcurand.so").touch()
    return executable(
        root / "bin" / "nvcc",
        f"""case "$1" in
--version) echo "Cuda compilation tools, release {version}, V{version}.88" ;;
--list-gpu-code) printf '%s\\n' {codes} ;;
--dryrun) echo '#$ INCLUDES="-I{include}"' >&2
          echo '#$ LIBRARIES=  "-L{library}/stubs" "-L{library}"' >&2 ;;
*) exit 1 ;;
esac""",
    )


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """Only what a test puts there: an empty PATH, no folders of CUDA, no wheels of NVIDIA, no driver."""
    for name in ("CUDA_PATH", "CUDA_HOME", "CXX", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(cuda, "_USUAL_FOLDERS", (str(tmp_path / "usual"),))
    monkeypatch.setattr(cuda, "sys", SimpleNamespace(path=[]))
    monkeypatch.setattr(cuda, "_load_driver", lambda: None)
    return tmp_path


def wheel(folder: Path, name: str) -> Path:
    place = folder / "nvidia" / name
    for inner in FOLDERS:
        (place / inner).mkdir(parents=True)
    (place / "include" / "curand.h").touch()
    (place / "lib" / "libcurand.so.10").touch()
    cuda.sys.path.append(str(folder))
    return place


def parts(name: str) -> dict[str, Part]:
    (report,) = (report for report in devices() if report.name == name)
    return {part.name: part for part in report.parts}


# ---------------------------------------------------------------------------------------------------------------------
# The toolkit


@pytest.mark.parametrize("place", ["PATH", "CUDA_PATH", "CUDA_HOME", "usual"])
def test_toolkit_is_found_wherever_it_is(bare, monkeypatch, place):
    nvcc = fake_toolkit(bare / "usual", "12.4", codes="sm_120 sm_90 sm_90 sm_50", curand=True)
    if place == "usual":
        fake_toolkit(bare / "other", "13.0")
    else:
        nvcc = fake_toolkit(bare / "mine", "13.0", codes="sm_120 sm_90 sm_90 sm_50", curand=True)
        monkeypatch.setenv(place, str(nvcc.parent if place == "PATH" else nvcc.parent.parent))
    found = find_toolkit()
    assert found.nvcc == nvcc
    assert (found.version, found.major) == (("12.4", 12) if place == "usual" else ("13.0", 13))
    assert found.capabilities == ("5.0", "9.0", "12.0")
    # The library that programs are linked against at run time, not the stub that nvcc names first.
    root = nvcc.parent.parent / "targets"
    assert found.curand == Curand(root / "include", root / "lib" / "libcurand.so", in_toolkit=True)


def test_a_script_that_calls_nvcc_leads_to_the_same_toolkit(bare):
    nvcc = fake_toolkit(bare / "cuda", "13.0", curand=True)
    executable(bare / "bin" / "nvcc", f'exec {nvcc} "$@"')
    found = find_toolkit()
    assert found.nvcc == bare / "bin" / "nvcc"
    assert found.curand is not None
    assert found.curand.include == bare / "cuda" / "targets" / "include"


def test_no_toolkit(bare, monkeypatch):
    with pytest.raises(InvalidInput, match="no nvcc on the PATH"):
        find_toolkit()
    monkeypatch.setenv("CUDA_PATH", str(bare / "gone"))
    with pytest.raises(InvalidInput, match="install the CUDA toolkit"):
        find_toolkit()
    executable(bare / "bin" / "nvcc", "exit 3")
    with pytest.raises(InvalidInput, match=r"bin/nvcc does not say its version"):
        find_toolkit()


@pytest.mark.parametrize(("version", "right", "wrong"), [("13.0", "cu13", "curand"), ("12.4", "curand", "cu13")])
def test_curand_comes_from_the_wheel_of_that_cuda(bare, version, right, wrong):
    fake_toolkit(bare / "usual", version)
    assert find_toolkit().curand is None
    wheel(bare / "other", wrong)
    assert find_toolkit().curand is None
    place = wheel(bare / "packages", right)
    assert find_toolkit().curand == Curand(place / "include", place / "lib" / "libcurand.so.10", in_toolkit=False)


def test_curand_of_the_toolkit_goes_before_the_wheel(bare):
    fake_toolkit(bare / "usual", "13.0", curand=True)
    wheel(bare / "packages", "cu13")
    found = find_toolkit().curand
    assert found is not None
    assert found.in_toolkit


def test_half_a_wheel_is_none(bare):
    fake_toolkit(bare / "usual", "13.0")
    place = wheel(bare / "packages", "cu13")
    (place / "include" / "curand.h").unlink()
    assert find_toolkit().curand is None


# ---------------------------------------------------------------------------------------------------------------------
# The report


def test_report_of_this_machine():
    reports = devices()
    assert [report.name for report in reports] == ["numpy", "cython", "cpp_standalone", "cuda_standalone"]
    for report in reports:
        assert report.works == all(part.found for part in report.parts) == (report.status == "works")
        for part in report.parts:
            assert bool(part.found) != bool(part.remedy)
            assert "\n" not in part.remedy
    # The suite cannot run without a compiler.
    assert all(report.works for report in reports[:3])


def test_without_a_compiler(bare):
    for name in ("cython", "cpp_standalone"):
        part = parts(name)["C++ compiler"]
        assert not part.found
        assert "there is no C++ compiler" in part.remedy
        assert "apt install g++" in part.remedy
    assert "there is no make" in parts("cpp_standalone")["make"].remedy
    assert devices()[0].works


def test_with_a_compiler_that_does_not_work(bare, monkeypatch):
    executable(bare / "bin" / "c++", 'echo "ld: error: cannot find crt1.o" >&2; exit 1')
    monkeypatch.setenv("CXX", "c++ -O2")
    assert parts("cpp_standalone")["C++ compiler"].remedy == "c++ -O2 does not compile (ld: error: cannot find crt1.o)"
    executable(bare / "bin" / "c++", 'echo "probe.cpp:1:10: fatal error: Python.h: No such file" >&2; exit 1')
    assert "apt install python3-dev" in parts("cython")["C++ compiler"].remedy
    # What it builds must run.
    output = 'for last; do :; done; [ "$last" = --version ] && exit'
    program = 'printf "#!/bin/sh\\nexit 1\\n" > "$last"; /bin/chmod +x "$last"'
    executable(bare / "bin" / "c++", f"{output}; {program}")
    assert parts("cpp_standalone")["C++ compiler"].remedy == "programs built by c++ -O2 do not run"


@pytest.mark.parametrize(
    ("lacking", "status"),
    [
        (set(), "works"),
        ({"GPU"}, "compiles, does not run"),
        ({"GPU", "curand"}, "writes projects, does not compile"),
        ({"GPU", "curand", "nvcc"}, "writes projects, does not compile"),
        ({"nvcc", "curand"}, "writes projects, does not compile"),
        ({"brian2cuda"}, "does not work"),
        ({"brian2cuda", "GPU"}, "does not work"),
    ],
)
def test_stages_of_cuda(lacking, status):
    needed = ("brian2cuda", "nvcc", "curand", "GPU")
    report = DeviceReport("cuda_standalone", tuple(Part(n, "" if n in lacking else f"{n} 1", "get it") for n in needed))
    assert report.status == status
    assert report.works == (not lacking)
    assert {part.name for part in report.missing} == lacking
    assert report.uses == ", ".join(f"{n} 1" for n in needed if n not in lacking)


def test_cuda_from_nothing_to_a_toolkit(bare):
    found = parts("cuda_standalone")
    assert "install the CUDA toolkit" in found["nvcc"].remedy
    assert found["curand"].remedy == "curand comes with the CUDA toolkit"
    assert "no NVIDIA driver" in found["GPU"].remedy
    for version, name in (("13.0", "nvidia-curand"), ("12.4", "nvidia-curand-cu12")):
        shutil.rmtree(bare / "usual", ignore_errors=True)
        nvcc = fake_toolkit(bare / "usual", version)
        found = parts("cuda_standalone")
        assert found["nvcc"].found == f"nvcc {version} ({nvcc})"
        assert found["curand"].remedy == f"CUDA {version} is here without curand; pip install {name}"


class Distribution:
    version = "1.0b1"

    def __init__(self, *requires):
        self.requires = requires


def test_brian2cuda_that_does_not_fit(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(cuda.metadata, "distribution", missing)
    with pytest.raises(InvalidInput, match=r"brian2cuda is not installed; pip install 'lnpbrian\[cuda\]'"):
        cuda.require_brian2cuda()
    monkeypatch.setattr(cuda.metadata, "distribution", lambda _: Distribution("numpy", "brian2==0.1"))
    with pytest.raises(InvalidInput, match=r"brian2cuda 1.0b1 needs Brian2 0.1, here is 2\."):
        cuda.require_brian2cuda()
    monkeypatch.setattr(cuda.metadata, "distribution", lambda _: Distribution())
    monkeypatch.setitem(sys.modules, "brian2cuda", None)
    with pytest.raises(InvalidInput, match=r"brian2cuda 1.0b1 cannot be imported"):
        cuda.require_brian2cuda()


DRIVER = """
extern "C" {
int cuInit(unsigned) { return INIT; }
int cuDeviceGetCount(int *n) { *n = COUNT; return 0; }
int cuDeviceGet(int *handle, int k) { *handle = 7; return k; }
int cuDeviceGetName(char *to, int size, int handle) {
    const char *name = "Fake H1"; int i = 0;
    while (handle == 7 && i < size && (to[i] = name[i])) i++;
    return 0;
}
int cuDeviceGetAttribute(int *to, int which, int handle) {
    *to = handle != 7 ? -1 : which == 75 ? 8 : which == 76 ? 6 : -1; return 0;
}
int cuDriverGetVersion(int *to) { *to = 12040; return 0; }
}
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Builds a driver library with the entry points of the real one."""

    def load(**defines):
        import ctypes

        source, library = tmp_path / "driver.cpp", tmp_path / f"driver{len(list(tmp_path.iterdir()))}.so"
        source.write_text(DRIVER)
        flags = [f"-D{name}={value}" for name, value in defines.items()]
        subprocess.run(["g++", "-shared", "-fPIC", *flags, str(source), "-o", str(library)], check=True)
        monkeypatch.setattr(cuda, "_load_driver", lambda: ctypes.CDLL(str(library)))

    return load


def test_gpu_as_the_driver_tells(driver, monkeypatch):
    driver(INIT=0, COUNT=2)
    assert cuda.find_gpu() == Gpu("Fake H1", "8.6", "12.4")

    def with_toolkit(version, *capabilities):
        monkeypatch.setattr(device, "find_toolkit", lambda: CudaToolkit(Path("nvcc"), version, capabilities, None))
        return parts("cuda_standalone")["GPU"]

    fits = with_toolkit("12.6", "7.5", "8.6")
    assert fits.found == "Fake H1 (compute capability 8.6, driver for CUDA 12.4)"
    for part, message in (
        (with_toolkit("13.0", "8.6"), "runs CUDA up to 12.4, the toolkit is 13.0; update"),
        (with_toolkit("12.4", "9.0"), "does not build for compute capability 8.6; use one of 9.0"),
    ):
        assert not part.found
        assert message in part.remedy


def test_driver_without_a_gpu(driver):
    driver(INIT=0, COUNT=0)
    with pytest.raises(InvalidInput, match=r"shows no GPU \(none is visible\)"):
        cuda.find_gpu()
    driver(INIT=100, COUNT=1)
    with pytest.raises(InvalidInput, match=r"shows no GPU \(error 100\)"):
        cuda.find_gpu()


def test_command(bare, capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["devices"])
    assert exit_.value.code == 0
    said = capsys.readouterr().out
    assert "cpp_standalone: there is no C++ compiler 'g++'; install one" in said
    assert "cuda_standalone: there is no nvcc on the PATH" in said
    assert "does not work" in said


# ---------------------------------------------------------------------------------------------------------------------
# The makefile

GENERATED = """PROGRAM = main

SRCS = rand.cu main.cu code_objects/a.cu
H_SRCS = main.h brianlib/clocks.h
OBJS = ${SRCS:.cu=.o}
NVCC = @/usr/local/cuda/bin/nvcc -ccbin $(CXX)
NVCCFLAGS = -I. -std=c++11 -arch=sm_75 -w -use_fast_math  -Xcompiler "-I/venv/include -march=native -std=c++11"
LFLAGS = -lcurand -I. -arch=sm_75 -L/venv/lib -Xlinker -rpath,/venv/lib -w
"""


@pytest.fixture
def project(tmp_path):
    """Sources for the fixture, and an nvcc that notes how it is called."""
    folder = tmp_path / "project"
    (folder / "brianlib").mkdir(parents=True)
    (folder / "code_objects").mkdir()
    for name in ("rand.cu", "main.cu", "code_objects/a.cu", "main.h", "brianlib/clocks.h"):
        (folder / name).touch()
    (folder / "makefile").write_text(GENERATED)
    executable(tmp_path / "nvcc", f'echo "$@" >> {tmp_path}/calls; for last; do :; done; : > "$last"')
    return folder


def calls(project: Path, *arguments: str) -> list[list[str]]:
    log = project.parent / "calls"
    log.unlink(missing_ok=True)
    command = ["make", "-C", str(project), f"NVCC={project.parent / 'nvcc'}", *arguments]
    subprocess.run(command, check=True, capture_output=True)
    return [shlex.split(line) for line in log.read_text().splitlines()] if log.exists() else []


def write(project: Path, curand: Curand | None, capability: str = "9.0") -> None:
    CudaBuild(CudaToolkit(Path("/x/nvcc"), "13.0", (), curand), capability).finish(project)


def test_makefile_builds_with_cpp17_and_the_wheel(project, tmp_path):
    place = tmp_path / "wheel"
    (place / "lib").mkdir(parents=True)
    write(project, Curand(place / "include", place / "lib" / "libcurand.so.10", in_toolkit=False))
    *compiled, linked = calls(project)
    assert {call[-3] for call in compiled} == {"rand.cu", "main.cu", "code_objects/a.cu"}
    for call in compiled:
        assert [flag for flag in call if flag.startswith("-std")] == ["-std=c++17"]
        assert {"-arch=sm_90", f"-I{place}/include", "-dc"} <= set(call)
    assert {f"-L{place}/lib", f"-rpath,{place}/lib", "-l:libcurand.so.10", "-arch=sm_90"} <= set(linked)
    assert not any("/venv" in flag for call in [*compiled, linked] for flag in call)


def test_makefile_where_the_toolkit_has_curand(project):
    write(project, Curand(Path("/cuda/include"), Path("/cuda/lib64/libcurand.so"), in_toolkit=True), "7.5")
    linked = calls(project)[-1]
    assert {"-lcurand", "-rpath,/cuda/lib64", "-arch=sm_75"} <= set(linked)


def test_makefile_on_another_machine(project, tmp_path):
    # The wheel it was written with is not there: curand is the toolkit's, or what is named.
    write(project, Curand(tmp_path / "gone" / "include", tmp_path / "gone" / "lib" / "x.so.10", in_toolkit=False))
    *compiled, linked = calls(project, "ARCH=sm_86")
    assert "-lcurand" in linked
    assert not any("gone" in flag for call in [*compiled, linked] for flag in call)
    assert all("-arch=sm_86" in call for call in [*compiled, linked])
    subprocess.run(["make", "-C", str(project), "clean"], check=True, capture_output=True)
    *compiled, linked = calls(project, "CURAND=/opt/curand")
    assert all("-I/opt/curand/include" in call for call in compiled)
    assert "-L/opt/curand/lib" in linked


def test_make_builds_again_what_changed_and_nothing_else(project):
    write(project, None)
    assert len(calls(project)) == 4
    assert calls(project) == []
    (project / "makefile").write_text(GENERATED)  # brian2cuda writes the project again
    (project / "code_objects" / "b.cu").touch()  # of another network
    write(project, None)
    assert calls(project) == []
    assert [path.name for path in (project / "code_objects").glob("*.cu")] == ["a.cu"]
    later = (project / "main.o").stat().st_mtime + 10
    os.utime(project / "main.cu", (later, later))
    assert [call[-1] for call in calls(project)] == ["main.o", "main"]
    later += 10
    os.utime(project / "brianlib" / "clocks.h", (later, later))
    assert len(calls(project)) == 4


def test_makefile_of_another_brian2cuda(project):
    (project / "makefile").write_text("all: main\n")
    with pytest.raises(InvalidInput, match="has no list of sources"):
        CudaBuild(None, "7.5").finish(project)


def test_clock_of_synapses(project):
    source = project / "code_objects" / "a.cu"
    source.write_text("if (defaultclock.timestep[0] >= d)\n  k<<<1>>>(n, s_clock.timestep[0], b);\n")
    write(project, None)
    assert source.read_text() == "if (s_clock.timestep[0] >= d)\n  k<<<1>>>(n, s_clock.timestep[0], b);\n"
    # Synapses that are on the default clock stay there.
    text = "if (defaultclock.timestep[0] >= d)\n  k<<<1>>>(n, defaultclock.timestep[0], b);\n"
    assert cuda.synapses_on_their_clock(text) == text
