"""The CUDA toolkit of this machine: its compiler, curand, what they can build for, and the makefile that uses them.

brian2cuda writes CUDA sources for a network. It looks for a GPU and a toolkit while it does so, and its makefile is
that of the machine it ran on; here the sources are written on any machine, with a makefile that works on others.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brian2 import prefs

from lnpbrian.checks import InvalidInput

__all__ = ["CudaToolkit", "Curand", "find_toolkit"]

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
    >>> toolkit.major, toolkit.curand_wheel
    (13, 'nvidia-curand')
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

    @property
    def curand_wheel(self) -> str:
        """Name of the package that holds curand for this toolkit."""
        return "nvidia-curand" if self.major >= 13 else f"nvidia-curand-cu{self.major}"

    def require_capability(self, capability: str) -> None:
        """Refuse a compute capability that this toolkit does not build for."""
        if self.capabilities and capability not in self.capabilities:
            raise InvalidInput(
                f"CUDA {self.version} does not build for compute capability {capability}; "
                f"use one of {', '.join(self.capabilities)}"
            )


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


@contextmanager
def brian2cuda_preferences(toolkit: CudaToolkit | None, capability: str) -> Iterator[None]:
    """Let brian2cuda write sources without looking for a GPU or a toolkit, for the length of a block.

    Parameters
    ----------
    toolkit : CudaToolkit or None
        None where there is none; what is written is the same.
    capability : str
        Compute capability.
    """
    import brian2cuda  # noqa: F401  (registers the preferences and the device)

    told = {
        "detect_gpus": False,
        # Without it a GPU is looked for all the same; 0 is the first that CUDA_VISIBLE_DEVICES leaves.
        "gpu_id": 0,
        "compute_capability": float(capability),
        "detect_cuda": False,
        "cuda_runtime_version": float(toolkit.version) if toolkit else 12.0,
        "cuda_path": str(toolkit.nvcc.parent.parent) if toolkit else "/usr/local/cuda",
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


def _set_preferences(preferences: Mapping[str, object]) -> None:
    from brian2cuda.utils import gputools

    for name, value in preferences.items():
        prefs[name] = value
    # It remembers what it found, or was told, before.
    gputools.reset_cuda_installation()
    gputools.reset_gpu_selection()


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


def makefile(generated: str, toolkit: CudaToolkit | None, capability: str) -> str:
    """Return the makefile of a project, made from the one that brian2cuda wrote.

    Parameters
    ----------
    generated : str
        Text of that makefile; the lists of files are taken from it. It is for the machine it was written on, asks for
        C++11, and does not build files again whose headers have changed.
    toolkit : CudaToolkit or None
        Supplies the defaults of NVCC and CURAND.
    capability : str
        Compute capability, such as ``"9.0"``.

    Raises
    ------
    InvalidInput
        If the lists are not in the text.

    Examples
    --------
    >>> text = makefile(os.linesep.join(["SRCS = main.cu b.cu", "H_SRCS = b.h"]), None, "9.0")
    >>> [line for line in text.splitlines() if line.startswith(("ARCH", "SRCS", "HEADERS"))]
    ['ARCH ?= sm_90', 'SRCS = b.cu main.cu', 'HEADERS = b.h']
    """
    lists = {name: re.search(rf"^{name} = (.*)$", generated, re.MULTILINE) for name in ("SRCS", "H_SRCS")}
    if not all(lists.values()):
        raise InvalidInput(
            "the makefile that brian2cuda wrote has no list of sources; use the version that lnpbrian[cuda] installs"
        )
    sources, headers = (" ".join(sorted(found.group(1).split())) for found in lists.values() if found)
    curand = toolkit.curand if toolkit else None
    outside = curand is not None and not curand.in_toolkit
    return MAKEFILE.format(
        capability=capability,
        nvcc="nvcc" if toolkit is None or shutil.which("nvcc") == str(toolkit.nvcc) else toolkit.nvcc,
        arch="sm_" + capability.replace(".", ""),
        # On another machine the folder is not there, and curand comes with the toolkit.
        curand=f"$(wildcard {curand.include.parent})" if curand is not None and outside else "",
        soname=curand.library.name if curand is not None and outside else "libcurand.so.10",
        run_path=f" -Xlinker -rpath,{curand.library.parent.resolve()}" if curand is not None and not outside else "",
        sources=sources,
        headers=headers,
    )


def finish_sources(directory: Path, toolkit: CudaToolkit | None, capability: str) -> None:
    """Make the project that brian2cuda wrote to `directory` one that compiles, on this machine and others.

    Files that are right already are not touched, so that make has nothing to do again.
    """
    generated = directory / "makefile"
    text = makefile(generated.read_text(), toolkit, capability)
    for source in sorted(directory.glob("code_objects/*.*")):
        if source.suffix in (".cu", ".h") and f" code_objects/{source.name}" not in text:
            source.unlink()  # of another network that was written here
        elif source.suffix == ".cu":
            _write_changed(source, synapses_on_their_clock(source.read_text()))
    # make looks for GNUmakefile first. brian2cuda writes its own anew each time, which would build everything again.
    _write_changed(directory / "GNUmakefile", text)
    generated.unlink()


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
