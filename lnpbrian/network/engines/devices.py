"""Which of Brian2's devices work on this machine, and what is missing for those that do not."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.engines.cuda import CudaBuild, CudaToolkit, find_gpu, find_toolkit, require_brian2cuda
from lnpbrian.network.engines.standalone import CPP, CUDA, Build, CppBuild, DeviceError

__all__ = ["DeviceReport", "Part", "build_for", "devices", "require_device"]


@dataclass(frozen=True)
class Part:
    """Something that a device needs.

    Parameters
    ----------
    name : str
        What it is.
    found : str
        What is used, with its version; empty if it is missing or does not work.
    remedy : str
        What is wrong and how to get it, in one line; empty if nothing is.
    """

    name: str
    found: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class DeviceReport:
    """Whether a device works here.

    Parameters
    ----------
    name : str
        ``"numpy"`` and ``"cython"`` are targets of Brian2's runtime mode, ``"cpp_standalone"`` and
        ``"cuda_standalone"`` devices.
    parts : tuple of Part
        What it needs, in the order in which it is needed.

    Examples
    --------
    >>> parts = Part("C++ compiler", "g++ 12.2.0"), Part("make", remedy="install make")
    >>> report = DeviceReport("cpp_standalone", parts)
    >>> report.works, report.missing[0].remedy, report.uses
    (False, 'install make', 'g++ 12.2.0')
    """

    name: str
    parts: tuple[Part, ...]

    @property
    def works(self) -> bool:
        """Whether a network can be run on it."""
        return not self.missing

    @property
    def missing(self) -> tuple[Part, ...]:
        """Parts that are missing or do not work."""
        return tuple(part for part in self.parts if not part.found)

    @property
    def uses(self) -> str:
        """Everything that was found, in one line."""
        return ", ".join(part.found for part in self.parts if part.found)

    @property
    def status(self) -> str:
        """``"works"``, or how far it goes."""
        return "works" if self.works else _WITHOUT.get(self.missing[0].name, "does not work")


_COMPILER = "writes projects, does not compile"
_WITHOUT = {"nvcc": _COMPILER, "curand": _COMPILER, "GPU": "compiles, does not run"}


def devices() -> tuple[DeviceReport, ...]:
    """Try what each of Brian2's devices needs, and say what works.

    Compilers are tried on a program of one line; nothing is kept.

    Returns
    -------
    tuple of DeviceReport
        numpy, cython, cpp_standalone and cuda_standalone, in this order.

    Examples
    --------
    >>> report = devices()[0]
    >>> report.name, report.works
    ('numpy', True)
    """
    return (
        DeviceReport("numpy", (Part("numpy", f"numpy {np.__version__}"),)),
        DeviceReport("cython", (_cython(), _extension_compiler())),
        *(DeviceReport(name, device.parts()) for name, device in STANDALONE.items()),
    )


def require_device(name: str) -> None:
    """Refuse a standalone device that does not work here, naming the first thing that is missing.

    Raises
    ------
    InvalidInput
        With the remedy that `devices` gives.

    Examples
    --------
    >>> require_device("tpu")
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: device must be one of cpp_standalone, cuda_standalone; got 'tpu'
    """
    device = STANDALONE[checks.choice("device", name, STANDALONE)]
    for part in DeviceReport(name, device.parts()).missing:
        raise InvalidInput(f"{name} does not work here: {part.remedy}")


def build_for(device: str) -> Build:
    """Return how this machine builds programs of a standalone device, for `Project`.

    Raises
    ------
    InvalidInput
        If there is no such device, or one of its tools is missing.
    """
    build = STANDALONE[checks.choice("device", device, STANDALONE)].build()
    if os.name != "posix":
        raise DeviceError(f"compiled networks need Linux or macOS, not {sys.platform}; use Brian2's runtime mode")
    compiler = os.environ.get("CXX", "g++").split()[0]
    for tool, remedy in ((compiler, "a C++ compiler such as g++"), ("make", "GNU make")):
        if shutil.which(tool) is None:
            raise DeviceError(f"device={device!r} needs {tool!r}, which was not found; install {remedy}")
    return build


def _cython() -> Part:
    try:
        cython = importlib.import_module("Cython")
    except ImportError as error:
        return Part("Cython", remedy=f"Cython cannot be imported ({error}); pip install cython")
    return Part("Cython", f"Cython {cython.__version__}")


_INSTALL_COMPILER = "install one (Debian, Ubuntu: apt install g++; macOS: xcode-select --install)"


def _extension_compiler() -> Part:
    """Build what Brian2's Cython target builds: a shared object that includes Python.h."""
    command = shlex.split(os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "g++")
    flags = ["-shared", "-fPIC", f"-I{sysconfig.get_path('include')}"]
    trouble = _trouble(command, flags, '#include <Python.h>\nextern "C" int one() { return 1; }\n', run=False)
    if not trouble:
        return Part("C++ compiler", _compiler_version(command))
    if "Python.h" in trouble:
        trouble = "Python.h is missing; install the headers of Python (Debian, Ubuntu: apt install python3-dev)"
    return Part("C++ compiler", remedy=trouble)


def _program_compiler() -> Part:
    """Build and run a program, with the compiler that the makefile of a C++ project takes."""
    command = shlex.split(os.environ.get("CXX", "g++"))
    trouble = _trouble(command, [], "#include <vector>\nint main() { return int(std::vector<int>(3).size()) - 3; }\n")
    return Part("C++ compiler", remedy=trouble) if trouble else Part("C++ compiler", _compiler_version(command))


def _trouble(command: list[str], flags: list[str], source: str, *, run: bool = True) -> str:
    """Compile a source and run what comes out; return what went wrong, in one line, or nothing."""
    if shutil.which(command[0]) is None:
        return f"there is no C++ compiler {command[0]!r}; {_INSTALL_COMPILER}, or set CXX to yours"
    with tempfile.TemporaryDirectory() as folder:
        path, program = Path(folder, "probe.cpp"), Path(folder, "probe")
        path.write_text(source)
        try:
            built = subprocess.run(
                [*command, str(path), *flags, "-o", str(program)], capture_output=True, text=True, timeout=60
            )
            if built.returncode:
                errors = [line for line in built.stderr.splitlines() if "error" in line] or ["no reason given"]
                return f"{shlex.join(command)} does not compile ({errors[0].replace(folder, '').strip('/')})"
            if run and subprocess.run([str(program)], timeout=60).returncode:
                return f"programs built by {shlex.join(command)} do not run"
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{shlex.join(command)} does not work ({error})".replace(folder, "")
    return ""


def _compiler_version(command: list[str]) -> str:
    told = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60).stdout
    # g++ (Debian 12.2.0-14) 12.2.0: without the packager's name.
    return re.sub(r" \(.*\)", "", told.splitlines()[0]).strip() if told else shlex.join(command)


def _make() -> Part:
    if shutil.which("make") is None:
        return Part("make", remedy="there is no make; install it (Debian, Ubuntu: apt install make)")
    return Part("make", _compiler_version(["make"]))


def _part(name: str, find: Callable[[], str]) -> Part:
    try:
        return Part(name, find())
    except InvalidInput as error:
        return Part(name, remedy=str(error))


def _cuda() -> tuple[Part, ...]:
    toolkit: CudaToolkit | None = None
    try:
        toolkit = find_toolkit()
        nvcc = Part("nvcc", f"nvcc {toolkit.version} ({toolkit.nvcc})")
    except InvalidInput as error:
        nvcc = Part("nvcc", remedy=str(error))
    return (
        _part("brian2cuda", lambda: f"brian2cuda {require_brian2cuda()}"),
        nvcc,
        _part("curand", lambda: _curand_of(toolkit)),
        _part("GPU", lambda: _gpu_for(toolkit)),
    )


def _curand_of(toolkit: CudaToolkit | None) -> str:
    if toolkit is None:
        raise InvalidInput("curand comes with the CUDA toolkit")
    curand = toolkit.require_curand()
    return f"curand ({'toolkit' if curand.in_toolkit else curand.include.parent})"


def _gpu_for(toolkit: CudaToolkit | None) -> str:
    gpu = find_gpu()
    if toolkit is not None:
        toolkit.require_capability(gpu.capability)
        if toolkit.major > int(gpu.driver.split(".")[0]):
            raise InvalidInput(
                f"the driver of the {gpu.name} runs CUDA up to {gpu.driver}, the toolkit is {toolkit.version}; "
                "update the driver, or put an older toolkit in CUDA_PATH"
            )
    return f"{gpu.name} (compute capability {gpu.capability}, driver for CUDA {gpu.driver})"


@dataclass(frozen=True)
class Standalone:
    """A standalone device: how it is built for, and what it needs to run."""

    build: Callable[[], Build]
    parts: Callable[[], tuple[Part, ...]]


STANDALONE = {
    CPP: Standalone(CppBuild, lambda: (_program_compiler(), _make())),
    CUDA: Standalone(CudaBuild.here, _cuda),
}
