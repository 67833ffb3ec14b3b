"""CUDA: the toolkit and the GPU of this machine, and networks as CUDA projects.

A project is written on any machine, built where nvcc is, run where a GPU is, and read back anywhere. brian2cuda writes
the sources; it looks for a GPU and a toolkit while it does so, and its makefile is that of the machine it ran on. Here
they are written without either, with a makefile that works elsewhere.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Self

import brian2
import numpy as np
from brian2 import Network, Quantity, SpikeMonitor, TimedArray, prefs, second
from brian2.devices.device import Device

from lnpbrian import checks, files, locks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.engines.standalone import Build, Description, write_sources
from lnpbrian.network.equations import build_objects
from lnpbrian.network.signals import Drive, SpikeTrain
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.records import is_record, versions, write_json

__all__ = [
    "CudaBuild",
    "CudaProject",
    "CudaToolkit",
    "Curand",
    "Gpu",
    "find_gpu",
    "find_toolkit",
    "require_brian2cuda",
    "require_tools",
    "write_cuda_project",
]

# Where nothing else is known: the least that CUDA 13 builds for. CUDA 12 builds for it as well.
DEFAULT_CAPABILITY = "7.5"


@dataclass(frozen=True)
class Curand:
    """Header and library of curand.

    Parameters
    ----------
    include, library : Path
        The folder with ``curand.h``, and the library itself.
    in_toolkit : bool
        Whether nvcc finds them by itself.
    """

    include: Path
    library: Path
    in_toolkit: bool


@dataclass(frozen=True)
class CudaToolkit:
    """A CUDA compiler and what belongs to it.

    Parameters
    ----------
    nvcc : Path
        The compiler.
    version : str
        Release of the toolkit, such as ``"13.0"``.
    capabilities : tuple of str
        Compute capabilities it builds for, in increasing order; empty if it does not say.
    curand : Curand or None
        None if neither the toolkit nor a wheel has it.

    Examples
    --------
    >>> toolkit = CudaToolkit(Path("/opt/cuda/bin/nvcc"), "13.0", ("7.5", "9.0"), curand=None)
    >>> toolkit.major
    13
    >>> toolkit.require_capability("6.1")
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: CUDA 13.0 does not build for compute capability 6.1; use one of 7.5, 9.0
    """

    nvcc: Path
    version: str
    capabilities: tuple[str, ...]
    curand: Curand | None

    @property
    def major(self) -> int:
        """First number of the version."""
        return int(self.version.split(".")[0])

    def require_capability(self, capability: str) -> None:
        """Refuse a compute capability that this toolkit does not build for."""
        if self.capabilities and capability not in self.capabilities:
            raise InvalidInput(
                f"CUDA {self.version} does not build for compute capability {capability}; "
                f"use one of {', '.join(self.capabilities)}"
            )

    def require_curand(self) -> Curand:
        """Return curand, or refuse a toolkit without it."""
        if self.curand is None:
            wheel = "nvidia-curand" if self.major >= 13 else f"nvidia-curand-cu{self.major}"
            raise InvalidInput(f"CUDA {self.version} is here without curand; pip install {wheel}")
        return self.curand


def find_toolkit() -> CudaToolkit:
    """Look for nvcc in CUDA_PATH, CUDA_HOME, on the PATH and in the usual folders, and ask it what it is.

    Raises
    ------
    InvalidInput
        If there is none, or it does not work.
    """
    nvcc = _find_nvcc()
    if nvcc is None:
        raise InvalidInput(
            "there is no nvcc on the PATH, in CUDA_PATH or in /usr/local/cuda; install the CUDA toolkit "
            "(https://developer.nvidia.com/cuda-downloads) and put its bin folder on the PATH"
        )
    release = re.search(r"release (\d+\.\d+)", _output(nvcc, "--version"))
    if release is None:
        raise InvalidInput(f"{nvcc} does not say its version; install the CUDA toolkit again")
    version = release.group(1)
    codes = re.findall(r"sm_(\d+)(\d)\b", _output(nvcc, "--list-gpu-code"))
    capabilities = sorted({(int(major), int(minor)) for major, minor in codes})
    return CudaToolkit(nvcc, version, tuple(f"{a}.{b}" for a, b in capabilities), _find_curand(nvcc, version))


def _find_nvcc() -> Path | None:
    folders = [Path(os.environ[name], "bin") for name in ("CUDA_PATH", "CUDA_HOME") if os.environ.get(name)]
    found = next((folder / "nvcc" for folder in folders if os.access(folder / "nvcc", os.X_OK)), None)
    if found is None and (on_path := shutil.which("nvcc")):
        found = Path(on_path)
    usual = (Path(folder, "bin/nvcc") for folder in _USUAL_FOLDERS)
    return found or next((path for path in usual if os.access(path, os.X_OK)), None)


_USUAL_FOLDERS = ("/usr/local/cuda", "/opt/cuda")


def _output(program: Path, *arguments: str) -> str:
    """Return what a program prints, on both streams; nothing if it fails."""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr if done.returncode == 0 else ""


def _find_curand(nvcc: Path, version: str) -> Curand | None:
    # nvcc may be a script or a link: its own folders are those that it hands to the host compiler.
    told = _output(nvcc, "--dryrun", "-x", "cu", os.devnull)
    own = {flag: [Path(path) for path in re.findall(rf'"?-{flag}"?([^"\s]+)', told)] for flag in "IL"}
    # The C compiler's own folder is not among them; stubs are only for linking.
    includes, libraries = [*own["I"], Path("/usr/include")], [path for path in own["L"] if path.name != "stubs"]
    header = next((folder for folder in includes if (folder / "curand.h").is_file()), None)
    library = _first(libraries, "libcurand.so")
    if header is not None and library is not None:
        return Curand(header, library, in_toolkit=True)
    # The wheels of NVIDIA: nvidia/cu13 since CUDA 13, nvidia/curand before.
    folder = f"cu{version.split('.')[0]}" if int(version.split(".")[0]) >= 13 else "curand"
    for place in (Path(entry or ".", "nvidia", folder) for entry in sys.path):
        library = _first([place / "lib"], "libcurand.so*")
        if library is not None and (place / "include" / "curand.h").is_file():
            return Curand((place / "include").resolve(), library.resolve(), in_toolkit=False)
    return None


def _first(folders: list[Path], pattern: str) -> Path | None:
    return next((path for folder in folders for path in sorted(folder.glob(pattern))), None)


@dataclass(frozen=True)
class Gpu:
    """The first GPU that CUDA shows.

    Parameters
    ----------
    name : str
        As the driver calls it.
    capability : str
        Compute capability, such as ``"9.0"``.
    driver : str
        Highest version of CUDA that the driver runs, such as ``"13.0"``.
    """

    name: str
    capability: str
    driver: str


def find_gpu() -> Gpu:
    """Ask the driver for the first GPU that ``CUDA_VISIBLE_DEVICES`` leaves.

    Raises
    ------
    InvalidInput
        If there is no driver or no GPU.
    """
    driver = _load_driver()
    if driver is None:
        raise InvalidInput("there is no NVIDIA driver (libcuda.so.1); run the project on a machine with an NVIDIA GPU")
    count, version, numbers = ctypes.c_int(), ctypes.c_int(), (ctypes.c_int(), ctypes.c_int())
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if failed or count.value == 0:
        reason = f"error {failed}" if failed else "none is visible"
        raise InvalidInput(f"the NVIDIA driver shows no GPU ({reason}); check nvidia-smi and CUDA_VISIBLE_DEVICES")
    name, handle = ctypes.create_string_buffer(256), ctypes.c_int()
    driver.cuDeviceGet(ctypes.byref(handle), 0)
    driver.cuDeviceGetName(name, len(name), handle)
    # 75 and 76: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
    for attribute, number in zip((75, 76), numbers, strict=True):
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, handle)
    driver.cuDriverGetVersion(ctypes.byref(version))
    major, minor = (number.value for number in numbers)
    return Gpu(name.value.decode(), f"{major}.{minor}", f"{version.value // 1000}.{version.value % 1000 // 10}")


def _load_driver() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return None


def require_brian2cuda() -> str:
    """Return the version of brian2cuda.

    Raises
    ------
    InvalidInput
        If it is not installed, is made for another Brian2, or cannot be imported.
    """
    here = brian2.__version__
    install = "pip install 'lnpbrian[cuda]' in an environment of its own"
    try:
        found = metadata.distribution("brian2cuda")
    except metadata.PackageNotFoundError:
        raise InvalidInput(
            f"brian2cuda is not installed; {install} (brian2cuda 1.0b1 needs Brian2 2.10.1, here is {here})"
        ) from None
    needed = re.search(r"brian2\s*==\s*([\w.]+)", " ".join(found.requires or ()), re.IGNORECASE)
    if needed and needed[1] != here:
        raise InvalidInput(f"brian2cuda {found.version} needs Brian2 {needed[1]}, here is {here}; {install}")
    try:
        importlib.import_module("brian2cuda")
    except Exception as error:
        raise InvalidInput(f"brian2cuda {found.version} cannot be imported ({error}); {install}") from error
    return found.version


def require_tools(*, build: bool = True, run: bool = False) -> None:
    """Refuse, in one line, if something is missing here to write, build or run CUDA projects.

    Raises
    ------
    InvalidInput
        Naming the first thing that is missing and how to get it.
    """
    require_brian2cuda()
    if build:
        find_toolkit().require_curand()
    if run:
        find_gpu()


@dataclass(frozen=True)
class CudaBuild(Build):
    """CUDA programs, written by brian2cuda as if there were no GPU, with a makefile for this machine and others.

    Parameters
    ----------
    toolkit : CudaToolkit or None
        Supplies the defaults of the makefile; None where there is none, what is written is the same.
    capability : str
        Compute capability, such as ``"9.0"``.
    """

    toolkit: CudaToolkit | None
    capability: str

    @classmethod
    def here(cls) -> Self:
        """Return what fits the toolkit and the GPU of this machine; refuse, in one line, if something is missing."""
        require_brian2cuda()
        toolkit = find_toolkit()
        toolkit.require_curand()
        return cls(toolkit, _capability(None, toolkit))

    def device(self) -> Device:
        from brian2cuda.device import CUDAStandaloneDevice

        return CUDAStandaloneDevice()

    @contextmanager
    def preferences(self) -> Iterator[None]:
        """Let brian2cuda write sources without looking for a GPU or a toolkit, for the length of a block."""
        import brian2cuda  # noqa: F401  (registers the preferences)

        told = {
            "detect_gpus": False,
            # Without it a GPU is looked for all the same; 0 is the first that CUDA_VISIBLE_DEVICES leaves.
            "gpu_id": 0,
            "compute_capability": float(self.capability),
            "detect_cuda": False,
            "cuda_runtime_version": float(self.toolkit.version) if self.toolkit else 12.0,
            "cuda_path": str(self.toolkit.nvcc.parent.parent) if self.toolkit else "/usr/local/cuda",
        }
        wanted = {f"devices.cuda_standalone.cuda_backend.{name}": value for name, value in told.items()}
        # Its monitors of expressions use loop invariants that they do not define; nvcc moves them out of loops itself.
        wanted["codegen.loop_invariant_optimisations"] = False
        # It tells all its preferences, at a level that Brian2 prints.
        logger = logging.getLogger("brian2.brian2cuda")
        level = logger.level
        before = {name: prefs[name] for name in wanted}
        try:
            logger.setLevel(logging.WARNING)
            _set_preferences(wanted)
            yield
        finally:
            logger.setLevel(level)
            _set_preferences(before)

    def finish(self, directory: Path) -> None:
        """Make the project that brian2cuda wrote to `directory` one that compiles, on this machine and others.

        Files that are right already are not touched, so that make has nothing to do again.

        Raises
        ------
        InvalidInput
            If the makefile of brian2cuda has no list of sources.
        """
        generated = directory / "makefile"
        text = self._makefile(generated.read_text())
        for source in sorted(directory.glob("code_objects/*.*")):
            if source.suffix in (".cu", ".h") and f" code_objects/{source.name}" not in text:
                source.unlink()  # of another network that was written here
            elif source.suffix == ".cu":
                _write_changed(source, synapses_on_their_clock(source.read_text()))
        # make looks for GNUmakefile first. brian2cuda writes its own anew each time, which would build all again.
        _write_changed(directory / "GNUmakefile", text)
        generated.unlink()

    def _makefile(self, generated: str) -> str:
        """Return the makefile, with the lists of files of the one that brian2cuda wrote.

        That is for the machine it was written on, asks for C++11, and does not build again what has other headers.
        """
        lists = {name: re.search(rf"^{name} = (.*)$", generated, re.MULTILINE) for name in ("SRCS", "H_SRCS")}
        if not all(lists.values()):
            raise InvalidInput(
                "the makefile that brian2cuda wrote has no list of sources; use the version that lnpbrian[cuda] "
                "installs"
            )
        sources, headers = (" ".join(sorted(found.group(1).split())) for found in lists.values() if found)
        toolkit, curand = self.toolkit, self.toolkit.curand if self.toolkit else None
        outside = curand is not None and not curand.in_toolkit
        return MAKEFILE.format(
            capability=self.capability,
            nvcc="nvcc" if toolkit is None or shutil.which("nvcc") == str(toolkit.nvcc) else toolkit.nvcc,
            arch="sm_" + self.capability.replace(".", ""),
            # On another machine the folder is not there, and curand comes with the toolkit.
            curand=f"$(wildcard {curand.include.parent})" if curand is not None and outside else "",
            soname=curand.library.name if curand is not None and outside else "libcurand.so.10",
            run_path=f" -Xlinker -rpath,{curand.library.parent.resolve()}" if curand and not outside else "",
            sources=sources,
            headers=headers,
        )


def _set_preferences(preferences: Mapping[str, object]) -> None:
    from brian2cuda.utils import gputools

    for name, value in preferences.items():
        prefs[name] = value
    # It remembers what it found, or was told, before.
    gputools.reset_cuda_installation()
    gputools.reset_gpu_selection()


def synapses_on_their_clock(source: str) -> str:
    """Return a source of synapses without ``defaultclock``, which brian2cuda 1.0b1 takes for the clock of all synapses.

    >>> synapses_on_their_clock("if (defaultclock.timestep[0] >= d) run(s_clock.timestep[0], n);")
    'if (s_clock.timestep[0] >= d) run(s_clock.timestep[0], n);'
    """
    own = re.search(r"\b(?!defaultclock\b)(\w+)\.timestep\[0\],", source)
    return source if own is None else source.replace("defaultclock.timestep[0]", f"{own.group(1)}.timestep[0]")


def _write_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def _capability(wanted: str | None, toolkit: CudaToolkit | None) -> str:
    if wanted is not None:
        # brian2cuda needs 5.0.
        if not re.fullmatch(r"[1-9]\d?\.\d", wanted) or float(wanted) < 5:
            raise InvalidInput(f"compute_capability must be one of a GPU, such as 9.0, at least 5.0; got {wanted!r}")
        if toolkit is not None:
            toolkit.require_capability(wanted)
        return wanted
    known = toolkit.capabilities if toolkit is not None else ()
    try:
        here = find_gpu().capability
    except InvalidInput:
        here = ""
    if here and (not known or here in known):
        return here
    return known[0] if known and float(known[0]) > float(DEFAULT_CAPABILITY) else DEFAULT_CAPABILITY


MAKEFILE = """\
# make -j2                 build ./main
# make NVCC=/path/to/nvcc  with another compiler
# make ARCH=sm_90          for another compute capability than {capability}
# make CURAND=/folder      where the toolkit has no curand: a folder with include/curand.h and lib/{soname}
NVCC ?= {nvcc}
ARCH ?= {arch}
CURAND ?= {curand}

SRCS = {sources}
HEADERS = {headers}
OBJS = $(SRCS:.cu=.o)

# Thrust of CUDA 13 needs C++17. Without -use_fast_math: it saves nothing in double precision.
NVCCFLAGS = -I. -std=c++17 -arch=$(ARCH) -O3 -w -ccbin $(CXX)
LFLAGS = -arch=$(ARCH) -w -ccbin $(CXX)
ifneq ($(CURAND),)
NVCCFLAGS += -I$(CURAND)/include
# Wheels have the library under its full name only.
LFLAGS += -L$(CURAND)/lib -Xlinker -rpath,$(CURAND)/lib -l:{soname}
else
LFLAGS += -lcurand{run_path}
endif

.PHONY: all clean
all: main

main: $(OBJS)
\t$(NVCC) $(OBJS) $(LFLAGS) -o $@

%.o: %.cu $(HEADERS) GNUmakefile
\t$(NVCC) $(NVCCFLAGS) -dc $< -o $@

clean:
\trm -f $(OBJS) main
"""


# Not the name of networks in runtime mode, beside which Brian2 would number it. In lower case: brian2cuda 1.0b1 makes
# lower case of the values of run_args, and keeps the old values where it then finds no file.
NAME = "lnpbrian_cuda"
DESCRIPTION = "project.json"
NETWORK = "network.npz"
LOG = "make.log"
SOURCES = "code_objects"

# What programs of Brian2 write.
_RESULT = re.compile(r"_(dynamic_)?array_\w+|last_run_info\.txt|profiling_info\.txt|random_generator_state\w*")

README = """\
{network}
under {drive},
for {duration:g} s in steps of {dt:g} ms. Written by lnpbrian {lnpbrian} with brian2cuda {brian2cuda}.

Build    make -j2
    It needs the CUDA toolkit (11 or newer), a C++ compiler and GNU make; no Python. The program is for GPUs of compute
    capability {capability}; another one: make ARCH=sm_90. Another compiler: make NVCC=/path/to/nvcc. Where the toolkit
    comes without curand: pip install nvidia-curand (CUDA 13) or nvidia-curand-cu12, and
    make CURAND=/path/to/site-packages/nvidia/cu13, or .../nvidia/curand for CUDA 12.
    After a change of ARCH or NVCC: make clean.

Run      ./main
    In this folder, on a machine with an NVIDIA GPU. CUDA_VISIBLE_DEVICES chooses among several. The folder results must
    be there; everything is written to it. Errors are told, and some of them do not stop the program.

Read     python -c 'from lnpbrian.network.engines.cuda import CudaProject; print(CudaProject.load(".").activity())'
    This compares the synapses that were run with those of {file} as well. By hand, spikes are pairs of
    results/{indices} (int32, the neuron)
    results/{times} (float64, seconds), in any order within a time step.
"""


@dataclass(frozen=True, repr=False)
class CudaProject:
    """A folder with the sources of a network, its numbers, and a makefile.

    Parameters
    ----------
    directory : Path
        The folder.
    spec : NetworkSpec
        The network.
    duration : float
        Simulated time in seconds.
    plastic : bool
        Whether synapses learn.
    files : mapping
        Files in ``results`` that hold the spikes (``indices``, ``times``) and the synapses (``pre``, ``post``,
        ``weights``).
    """

    directory: Path
    spec: NetworkSpec
    duration: float
    plastic: bool
    files: dict[str, str]

    def __repr__(self) -> str:
        return f"CudaProject({str(self.directory)!r}, {self.spec!r}, {self.duration:g} s)"

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Return the project that `write_cuda_project` wrote to `directory`, on whatever machine.

        Raises
        ------
        InvalidInput
            If the folder holds no such project.
        """
        folder = Path(directory)
        try:
            content = json.loads((folder / DESCRIPTION).read_text())
            duration, plastic = float(content["duration_s"]), bool(content["plastic"])
            files = {name: str(content["files"][name]) for name in ("indices", "times", "pre", "post", "weights")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                f"{os.fspath(folder)!r} is not a CUDA project ({type(error).__name__}: {error}); write one with "
                "lnpbrian cuda"
            ) from error
        return cls(folder, NetworkSpec.load(folder / NETWORK), duration, plastic, files)

    def build(self, *, jobs: int = 2) -> None:
        """Compile the project with the CUDA toolkit of this machine; what make says is kept in make.log.

        Parameters
        ----------
        jobs : int
            Files that are compiled at the same time.

        Raises
        ------
        InvalidInput
            If there is no toolkit or no curand, or the project does not compile.
        """
        find_toolkit().require_curand()
        command = ["make", f"-j{checks.count('jobs', jobs)}"]
        try:
            with open(self.directory / LOG, "w") as log:
                failed = subprocess.run(command, cwd=self.directory, stdout=log, stderr=subprocess.STDOUT).returncode
        except OSError as error:
            raise InvalidInput(f"make cannot be run ({error}); install it") from error
        if failed:
            said = (self.directory / LOG).read_text(errors="replace").splitlines()
            errors = [line.strip() for line in said if re.search(r"\berror\b|\*\*\*", line)]
            raise InvalidInput(
                f"the project does not compile ({errors[0] if errors else 'make failed'}); "
                f"the rest is in {self.directory / LOG}"
            )

    def run(self) -> SpikeTrain:
        """Run the program on the GPU of this machine and return the spikes.

        Raises
        ------
        InvalidInput
            If there is no GPU, the project has not been built, or the program fails.
        """
        if not (self.directory / "main").is_file():
            raise InvalidInput(f"{str(self.directory)!r} has not been built; build it with make, or with --build")
        find_gpu()
        results = self.directory / "results"
        if files.is_link(results):
            raise InvalidInput(f"{str(results)!r} is a link; make it a folder")
        results.mkdir(exist_ok=True)
        # A run that fails must not leave the results of another.
        for path in results.iterdir():
            if path.name in self.files.values() or _RESULT.fullmatch(path.name):
                path.unlink()
        done = subprocess.run(["./main"], cwd=self.directory, capture_output=True, text=True)
        # Some failures are only told.
        complaints = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        if done.returncode or complaints:
            said = complaints[0] if complaints else f"exit code {done.returncode}"
            raise InvalidInput(f"the program of {str(self.directory)!r} failed ({said})")
        return self.activity()

    def activity(self) -> SpikeTrain:
        """Return the spikes that the last run left, in the order of time and neuron.

        Raises
        ------
        InvalidInput
            If there are none, the run did not end, or other synapses were run than those of the network.
        """
        try:
            _, completed = (self.directory / "results" / "last_run_info.txt").read_text().split()
            pre, post, indices = (self._read(name, np.int32) for name in ("pre", "post", "indices"))
            weights, times = (self._read(name, np.float64) for name in ("weights", "times"))
        except (OSError, ValueError) as error:
            raise InvalidInput(
                f"{str(self.directory / 'results')!r} does not hold the results of a run ({error}); run ./main there"
            ) from error
        if float(completed) < 1:
            raise InvalidInput(f"the run ended after {100 * float(completed):.0f} % of its time; run it again")
        run = {"pre": (pre, self.spec.pre), "post": (post, self.spec.post)}
        if not self.plastic:
            run["weights"] = (weights, self.spec.weights)
        for name, (had, wanted) in run.items():
            if not np.array_equal(had, wanted):
                raise InvalidInput(
                    f"the program ran with other synapses than those of the network ({name} differ); "
                    "write the project anew, build and run it"
                )
        order = np.lexsort((indices, times))
        return SpikeTrain(indices[order], times[order], self.spec.n_neurons, self.duration)

    def _read(self, name: str, dtype: type) -> np.ndarray:
        return np.fromfile(self.directory / "results" / self.files[name], dtype=dtype)


def write_cuda_project(
    spec: NetworkSpec,
    directory: str | os.PathLike[str],
    *,
    duration: Quantity,
    drive: Drive | None = None,
    plastic: bool = True,
    compute_capability: str | None = None,
) -> CudaProject:
    """Write a network as a CUDA project that needs neither Python nor this machine.

    Parameters
    ----------
    spec : NetworkSpec
        The network, pruned or not.
    directory : path
        Where to write, a new or empty folder; a project that is there is replaced.
    duration : Quantity
        Simulated time, whole steps.
    drive : Drive, optional
        External current of the N neurons, in steps that are whole multiples of ``spec.dt``; starts over at its end.
    plastic : bool
        Whether synapses with `spec.plasticity` learn.
    compute_capability : str, optional
        Such as ``"9.0"``: the least of the GPUs that the program is for. By default that of the GPU here, or else the
        least that the toolkit here builds for.

    Returns
    -------
    CudaProject

    Raises
    ------
    InvalidInput
        If brian2cuda is missing or does not fit, or an argument is out of range.

    Notes
    -----
    On a GPU the currents of simultaneous spikes are added in an order that changes from run to run: two runs, and runs
    on two devices, agree up to rounding, which a chaotic network amplifies.
    """
    version = require_brian2cuda()
    length = checks.seconds("duration", duration)
    try:
        toolkit = find_toolkit()
    except InvalidInput:  # sources are written without one as well
        toolkit = None
    build = CudaBuild(toolkit, _capability(compute_capability, toolkit))
    with locks.lock_folder("directory", directory) as lock:
        return _write(build, spec, lock.folder.resolve(), version, length, drive, plastic)


def _write(
    build: CudaBuild,
    spec: NetworkSpec,
    folder: Path,
    version: str,
    length: float,
    drive: Drive | None,
    plastic: bool,
) -> CudaProject:
    _refuse_foreign(folder)
    timed = None if drive is None else _timed_array(drive, spec, length)
    # Brian2 numbers names while objects of the same name are alive, such as those of a project written before.
    gc.collect()
    found = write_sources(build, folder, lambda: _describe(spec, timed, plastic), length)["results"]
    names = {name: file for name, (file, _) in found.items()}
    spec.save(folder / NETWORK)
    learns = plastic and spec.plasticity is not None
    description = {
        "versions": versions() | {"brian2cuda": version},
        "duration_s": length,
        "plastic": learns,
        "compute_capability": build.capability,
        "files": names,
        "sources": _sources(folder),
    }
    write_json(folder / DESCRIPTION, description)
    text = README.format(
        network=repr(spec),
        drive="no external current"
        if drive is None
        else f"an external current in steps of {1e3 * drive.hold:g} ms (static_arrays/{NAME}_drive_values)",
        duration=length,
        dt=1e3 * spec.dt,
        lnpbrian=versions()["lnpbrian"],
        brian2cuda=version,
        capability=build.capability,
        file=NETWORK,
        indices=names["indices"],
        times=names["times"],
    )
    (folder / "README.txt").write_text(text)
    return CudaProject(folder, spec, length, learns, names)


def _sources(folder: Path) -> list[str]:
    """Return the sources that belong to the network, which those of another one replace."""
    return sorted(path.name for path in (folder / SOURCES).glob("*.*") if path.suffix in (".cu", ".h"))


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder with files that this module may not have written."""
    there = files.visible(folder)
    if there and not is_record(folder / DESCRIPTION, "duration_s", "files"):
        raise InvalidInput(f"{str(folder)!r} holds other files than a CUDA project; name a new folder")
    if not there:
        return
    for name in (SOURCES, "results", "static_arrays"):
        if files.is_link(folder / name):
            raise InvalidInput(f"{str(folder / name)!r} is a link; name a new folder")
    written = json.loads((folder / DESCRIPTION).read_text()).get("sources", [])
    if foreign := [name for name in _sources(folder) if name not in written]:
        raise InvalidInput(f"{str(folder / SOURCES / foreign[0])!r} was not written here; name a new folder")


def _timed_array(drive: Drive, spec: NetworkSpec, length: float) -> TimedArray:
    if drive.values.shape[1] != spec.n_neurons:
        raise InvalidInput(f"a drive for {drive.values.shape[1]} neurons does not fit {spec.n_neurons} neurons")
    steps = drive.hold / spec.dt
    if abs(steps - round(steps)) > 1e-6:
        raise InvalidInput(
            f"steps of the drive ({1e3 * drive.hold:g} ms) must be whole multiples of those of the network "
            f"({1e3 * spec.dt:g} ms)"
        )
    rows = np.arange(int(np.ceil(round(length / drive.hold, 9)))) % len(drive.values)
    return TimedArray(drive.values[rows], dt=drive.hold * second, name=f"{NAME}_drive")


def _describe(spec: NetworkSpec, timed: TimedArray | None, plastic: bool) -> Description:
    """Build the Brian2 objects of a network with its numbers, on the active device."""
    neurons, synapses = build_objects(spec, plastic=plastic, name=NAME)
    if timed is not None:
        # On the clock of the neurons: a second clock, off by rounding, would add steps, and brian2cuda counts the age
        # of spikes in steps of any clock.
        neurons.run_regularly(f"I_ext = {timed.name}(t, i)", name=f"{NAME}_drive_update")
        neurons.namespace[timed.name] = timed
    spikes = SpikeMonitor(neurons, name=f"{NAME}_spikes")
    results = {
        "indices": spikes.variables["i"],
        "times": spikes.variables["t"],
        "pre": synapses.variables["_synaptic_pre"],
        "post": synapses.variables["_synaptic_post"],
        "weights": synapses.variables["w"],
    }
    return Description(Network(neurons, synapses, spikes, name=f"{NAME}_network"), neurons, results, {})
