"""A network as a CUDA project: written on any machine, built where nvcc is, run where a GPU is, read back anywhere."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from brian2 import Network, Quantity, SpikeMonitor, TimedArray, second
from brian2.devices.device import Device, reset_device, set_device

from lnpbrian import checks, files, locks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.brian2_internals import run_network
from lnpbrian.network.devices import find_gpu, require_brian2cuda
from lnpbrian.network.drive import Drive
from lnpbrian.network.equations import build_objects
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.network.spikes import SpikeTrain
from lnpbrian.network.toolkit import (
    DEFAULT_CAPABILITY,
    CudaToolkit,
    brian2cuda_preferences,
    find_toolkit,
    finish_sources,
)
from lnpbrian.records import is_record, versions, write_json

__all__ = ["CudaProject", "require_tools", "write_cuda_project"]

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

Read     python -c 'from lnpbrian.network.cuda import CudaProject; print(CudaProject.load(".").activity())'
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
        _require_curand(find_toolkit())
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


def require_tools(*, build: bool = True, run: bool = False) -> None:
    """Refuse, in one line, if something is missing here to write, build or run CUDA projects.

    Raises
    ------
    InvalidInput
        Naming the first thing that is missing and how to get it.
    """
    require_brian2cuda()
    if build:
        _require_curand(find_toolkit())
    if run:
        find_gpu()


def _require_curand(toolkit: CudaToolkit) -> None:
    if toolkit.curand is None:
        raise InvalidInput(f"CUDA {toolkit.version} is here without curand; pip install {toolkit.curand_wheel}")


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
    toolkit = _toolkit_here()
    capability = _capability(compute_capability, toolkit)
    with locks.lock_folder("directory", directory) as lock:
        return _write(spec, lock.folder.resolve(), version, length, drive, plastic, toolkit, capability)


def _write(
    spec: NetworkSpec,
    folder: Path,
    version: str,
    length: float,
    drive: Drive | None,
    plastic: bool,
    toolkit: CudaToolkit | None,
    capability: str,
) -> CudaProject:
    _refuse_foreign(folder)
    timed = None if drive is None else _timed_array(drive, spec, length)
    with brian2cuda_preferences(toolkit, capability):
        from brian2cuda.device import CUDAStandaloneDevice

        # A device of its own: the one in Brian2's list may hold a network of the user.
        names = _generate(CUDAStandaloneDevice(), spec, folder, length, timed, plastic)
        finish_sources(folder, toolkit, capability)
    spec.save(folder / NETWORK)
    learns = plastic and spec.plasticity is not None
    description = {
        "versions": versions() | {"brian2cuda": version},
        "duration_s": length,
        "plastic": learns,
        "compute_capability": capability,
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
        capability=capability,
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


def _toolkit_here() -> CudaToolkit | None:
    """Return the toolkit, or None: sources are written without one as well."""
    try:
        return find_toolkit()
    except InvalidInput:
        return None


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


def _generate(
    device: Device, spec: NetworkSpec, folder: Path, length: float, timed: TimedArray | None, plastic: bool
) -> dict[str, str]:
    """Let a standalone device write its sources for a network, and return the files that will hold its results."""
    # Brian2 numbers names while objects of the same name are alive, such as those of a project written before.
    gc.collect()
    set_device(device, build_on_run=False)
    try:
        neurons, synapses = build_objects(spec, plastic=plastic, name=NAME)
        spikes = SpikeMonitor(neurons, name=f"{NAME}_spikes")
        network = Network(neurons, synapses, spikes, name=f"{NAME}_network")
        namespace = {}
        if timed is not None:
            # On the clock of the neurons: a second clock, off by rounding, would add steps, and brian2cuda counts
            # the age of spikes in steps of any clock.
            neurons.run_regularly(f"I_ext = {timed.name}(t, i)", name=f"{NAME}_drive_update")
            namespace[timed.name] = timed
        run_network(network, length * second, namespace=namespace)
        device.build(directory=str(folder), compile=False, run=False)
        variables = {
            "indices": spikes.variables["i"],
            "times": spikes.variables["t"],
            "pre": synapses.variables["_synaptic_pre"],
            "post": synapses.variables["_synaptic_post"],
            "weights": synapses.variables["w"],
        }
        return {name: Path(device.get_array_filename(variable)).name for name, variable in variables.items()}
    finally:
        reset_device()


# For `lnpbrian.network.project`, whose processes write one project each.
_PREFERENCES = ExitStack()


def prepare(directory: str) -> None:
    """Let brian2cuda write to `directory` without a GPU, until `finish`."""
    toolkit = find_toolkit()
    require_brian2cuda()
    _PREFERENCES.enter_context(brian2cuda_preferences(toolkit, _capability(None, toolkit)))


def finish(directory: str) -> None:
    """Make what brian2cuda wrote to `directory` compile."""
    _PREFERENCES.close()
    toolkit = find_toolkit()
    finish_sources(Path(directory), toolkit, _capability(None, toolkit))
