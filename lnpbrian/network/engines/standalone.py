"""A recurrent network as a program of a standalone device of Brian2: described, generated, compiled, run, verified.

Its structure is compiled once, its numbers are read when the program starts. Connectivity, weights, time constants and
the drive stand in ``TimedArray`` objects, whose values a program takes from files; the index of an entry is its time in
seconds. The active device of Brian2 is global, so a child process owns it, and this one stays in runtime mode.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from brian2 import (
    BrianLogger,
    Function,
    Network,
    NeuronGroup,
    Quantity,
    SpikeMonitor,
    Synapses,
    TimedArray,
    get_device,
    prefs,
    second,
)
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice
from brian2.devices.device import Device, reset_device, set_device

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.brian2_internals import forget_failed_runs, run_network
from lnpbrian.network.equations import neuron_group, synapse_group
from lnpbrian.network.signals import Drive
from lnpbrian.network.spec import STDP, NetworkSpec
from lnpbrian.process import Held

__all__ = [
    "Build",
    "CppBuild",
    "Description",
    "DeviceError",
    "Program",
    "Project",
    "describe",
    "verify",
    "write_sources",
]

DEVICES = CPP, CUDA = "cpp_standalone", "cuda_standalone"
FORMS = ("csr", "dense")
# No weight; a finite number, since compilers are told not to care about the others.
ABSENT = -1e300
# brian2cuda lower-cases what a program is told to read, so every name and file name here is lower case.
NAME = "lnpbrian"
_FIXED = ("n_neurons", "dt", "spike_timing", "synaptic_time_constant", "refractory_period")
_STDP_ARRAYS = ("tau_plus", "tau_minus", "eta_plus", "eta_minus")


@dataclass(frozen=True)
class Program:
    """What is fixed when a network is compiled.

    Parameters
    ----------
    n_neurons : int
        N.
    synaptic_time_constant, refractory_period, dt : float
        In seconds, as in `NetworkSpec`.
    spike_timing : str
        As in `NetworkSpec`.
    duration : float
        Simulated time in seconds.
    form : {"csr", "dense"}
        How synapses are handed over: as the targets of each neuron in turn, or as an (N, N) matrix of weights.
    capacity : int
        Largest number of synapses of the form "csr".
    delays, plastic : bool
        Whether synapses have delays, and whether they learn.
    w_min, w_max : float
        Bounds of the magnitude of a plastic weight.
    drive_hold : float
        Length of a step of the drive in seconds; 0 without a drive.
    copies : int
        Number of uncoupled copies that run side by side.
    """

    n_neurons: int
    synaptic_time_constant: float
    refractory_period: float
    dt: float
    spike_timing: str
    duration: float
    form: str = "csr"
    capacity: int = 1
    delays: bool = False
    plastic: bool = False
    w_min: float = 0.0
    w_max: float = 0.0
    drive_hold: float = 0.0
    copies: int = 1

    @classmethod
    def of(
        cls,
        spec: NetworkSpec,
        duration: Quantity,
        *,
        drive: Drive | None = None,
        form: str = "csr",
        capacity: int | None = None,
        plastic: bool = False,
        copies: int = 1,
    ) -> Program:
        """Return the program that runs `spec`, and every other network that fits.

        Raises
        ------
        InvalidInput
            If a value is out of range or the network is of a kind that the form or plasticity excludes.
        """
        checks.choice("form", form, FORMS)
        if plastic and spec.plasticity is None:
            raise InvalidInput("plastic=True needs a network with constants of plasticity; its plasticity is None")
        if plastic and spec.spike_timing != "grid":
            raise InvalidInput("plastic synapses need spike_timing='grid'; use plastic=False")
        if form == "dense" and spec.n_neurons > 46_000:
            raise InvalidInput(f"form='dense' is for at most 46000 neurons, got {spec.n_neurons}; use form='csr'")
        stdp = spec.plasticity if plastic else None
        room = checks.count("capacity", spec.n_synapses if capacity is None else capacity, minimum=spec.n_synapses)
        return cls(
            n_neurons=spec.n_neurons,
            synaptic_time_constant=float(spec.synaptic_time_constant),
            refractory_period=float(spec.refractory_period),
            dt=float(spec.dt),
            spike_timing=spec.spike_timing,
            duration=checks.seconds("duration", duration),
            form=form,
            capacity=max(room, 1),
            delays=_has_delays(spec),
            plastic=plastic,
            w_min=0.0 if stdp is None else float(stdp.w_min),
            w_max=0.0 if stdp is None else float(stdp.w_max),
            drive_hold=0.0 if drive is None else float(drive.hold),
            copies=checks.count("copies", copies),
        )

    @property
    def drive_steps(self) -> int:
        """Number of steps of the drive that a run reads."""
        return int(np.ceil(self.duration / self.drive_hold - 1e-6)) if self.drive_hold else 0

    def require_fit(self, spec: NetworkSpec, drive: Drive | None) -> None:
        """Refuse a network or a drive that this program cannot run without being compiled again.

        Raises
        ------
        InvalidInput
            Naming the property that differs.
        """
        self._require_same(spec, _FIXED)
        if self.plastic:
            if spec.plasticity is None:
                raise InvalidInput("the program has plastic synapses, but the plasticity of this network is None")
            self._require_same(spec.plasticity, ("w_min", "w_max"))
        if self.form == "csr" and spec.n_synapses > self.capacity:
            raise InvalidInput(
                f"the program has room for {self.capacity} synapses, got {spec.n_synapses}; compile it with capacity="
            )
        if _has_delays(spec) and not self.delays:
            raise InvalidInput("the program was compiled without delays; compile it from a network that has them")
        if self.form == "dense" and not np.diff(np.sort(self.cells(spec), kind="stable")).all():
            raise InvalidInput("form='dense' has one synapse per pair of neurons; use form='csr'")
        if (drive is None) != (self.drive_hold == 0):
            built = "without a drive" if self.drive_hold == 0 else "with a drive"
            raise InvalidInput(f"the program was compiled {built}; compile another one")
        if drive is not None and (drive.hold != self.drive_hold or drive.values.shape[1] != self.n_neurons):
            raise InvalidInput(
                f"the program was compiled for a drive of {self.n_neurons} neurons in steps of "
                f"{1e3 * self.drive_hold:g} ms, got {drive}; compile another one"
            )

    def _require_same(self, part: NetworkSpec | STDP, names: tuple[str, ...]) -> None:
        for name in names:
            built, got = getattr(self, name), getattr(part, name)
            if built != got:
                raise InvalidInput(f"the program was compiled for {name} {built}, got {got}; compile this network")

    def cells(self, spec: NetworkSpec) -> np.ndarray:
        """Return the place of each synapse in the flattened (N, N) matrix."""
        return spec.pre.astype(np.int64) * self.n_neurons + spec.post

    def order(self, spec: NetworkSpec) -> np.ndarray:
        """Return the synapses of `spec` in the order in which the program has them, for one copy."""
        # Row by row; a matrix has its rows sorted, a list of targets keeps the order of `spec`.
        return np.argsort(spec.pre if self.form == "csr" else self.cells(spec), kind="stable")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the names and shapes of the arrays that a run reads."""
        neuron = ["neuron_tau", "neuron_bias", "neuron_start", "neuron_dale", "neuron_alive"]
        if self.spike_timing != "grid":
            neuron.append("neuron_kappa")
        synapse = ["synapse_weight"]
        if self.delays:
            synapse.append("synapse_delay")
        if self.plastic:
            synapse += [f"synapse_{name}" for name in _STDP_ARRAYS]
        shapes: dict[str, tuple[int, ...]] = {name: (self.n_neurons,) for name in neuron}
        if self.form == "csr":
            shapes |= {"row_start": (self.n_neurons + 1,), "synapse_post": (self.capacity,)}
            shapes |= {name: (self.capacity,) for name in synapse}
        else:
            shapes |= {name: (self.n_neurons, self.n_neurons) for name in synapse}
        if self.drive_hold:
            shapes["drive_current"] = (self.drive_steps, self.n_neurons)
        return shapes

    def values(self, spec: NetworkSpec, drive: Drive | None) -> dict[str, np.ndarray]:
        """Return the arrays that a run of `spec` under `drive` reads, by name, as float64."""
        self.require_fit(spec, drive)
        order = self.order(spec)
        synapse: dict[str, np.ndarray] = {"synapse_weight": spec.weights}
        values: dict[str, np.ndarray] = {
            "neuron_tau": spec.time_constants,
            "neuron_bias": spec.bias,
            "neuron_start": np.where(spec.alive, spec.initial_potential, 0.0),
            "neuron_dale": np.where(spec.excitatory, 1.0, -1.0),
            "neuron_alive": spec.alive.astype(float),
        }
        if self.spike_timing != "grid":
            tau_syn = self.synaptic_time_constant
            values["neuron_kappa"] = tau_syn / (tau_syn - spec.time_constants)
        if self.delays:
            synapse["synapse_delay"] = np.zeros(spec.n_synapses) if spec.delays is None else spec.delays
        if self.plastic:
            assert spec.plasticity is not None
            synapse |= {f"synapse_{name}": getattr(spec.plasticity, name) for name in _STDP_ARRAYS}
        if self.form == "csr":
            values["row_start"] = np.searchsorted(spec.pre[order], np.arange(self.n_neurons + 1)).astype(float)
            synapse["synapse_post"] = spec.post
            values |= {name: _padded(array[order], self.capacity) for name, array in synapse.items()}
        else:
            values |= {name: self._matrix(name, spec, array) for name, array in synapse.items()}
        if drive is not None:
            # Past its end a drive starts over.
            values["drive_current"] = drive.values[np.arange(self.drive_steps) % len(drive.values)]
        return {name: np.ascontiguousarray(array, dtype=float) for name, array in values.items()}

    def _matrix(self, name: str, spec: NetworkSpec, array: np.ndarray) -> np.ndarray:
        matrix = np.full((self.n_neurons, self.n_neurons), ABSENT if name == "synapse_weight" else 0.0)
        matrix.ravel()[self.cells(spec)] = array
        return matrix

    def echoes(self, spec: NetworkSpec, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what the program must report about the numbers it used, by the names of `Description.echoes`."""
        order = self.order(spec)
        names = {"neuron_tau": "tau_m", "neuron_bias": "bias", "neuron_start": "start", "neuron_kappa": "kappa"}
        names |= {"neuron_dale": "dale", "neuron_alive": "alive"}
        neuron = {echo: values[name] for name, echo in names.items() if name in values}
        if self.drive_hold:
            # Additions only: no compiler can fuse them, so they are exact on every device.
            sums = np.cumsum(values["drive_current"], axis=0)
            neuron |= {"drive_sum": sums[-1], "drive_sum_of_sums": np.cumsum(sums, axis=0)[-1]}
        synapse = {"weight": spec.weights}
        if self.delays:
            synapse["delay"] = np.zeros(spec.n_synapses) if spec.delays is None else spec.delays
            if self.spike_timing == "precise":
                synapse["delay_of_advance"] = synapse["delay"]
        if self.plastic:
            assert spec.plasticity is not None
            synapse |= {name: getattr(spec.plasticity, name) for name in _STDP_ARRAYS}
        echoes = {name: np.tile(array, self.copies) for name, array in neuron.items()}
        echoes |= {name: np.tile(array[order], self.copies) for name, array in synapse.items()}
        block = np.repeat(np.arange(self.copies) * self.n_neurons, spec.n_synapses)
        echoes |= {name: np.tile(end[order], self.copies) + block for name, end in (("i", spec.pre), ("j", spec.post))}
        if self.plastic:
            echoes |= {"w_min": np.array([self.w_min]), "w_max": np.array([self.w_max])}
        return echoes

    def blank(self) -> NetworkSpec:
        """Return a network of this structure without a synapse; its numbers mean nothing."""
        n, none = self.n_neurons * self.copies, np.zeros(0)
        return NetworkSpec(
            model="program",
            # Twice the synaptic time constant, where the exact integration is not singular.
            time_constants=np.full(n, 2 * self.synaptic_time_constant or 1.0),
            bias=np.zeros(n),
            initial_potential=np.zeros(n),
            excitatory=np.ones(n, dtype=bool),
            cluster=np.zeros(n),
            alive=np.ones(n, dtype=bool),
            pre=none,
            post=none,
            weights=none,
            synaptic_time_constant=self.synaptic_time_constant,
            refractory_period=self.refractory_period,
            dt=self.dt,
            delays=none if self.delays else None,
            plasticity=STDP(none, none, none, none, 0.0, 1.0) if self.plastic else None,
            spike_timing=self.spike_timing,
        )


def _has_delays(spec: NetworkSpec) -> bool:
    return spec.delays is not None and bool(spec.delays.any())


def _padded(array: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([array, np.zeros(size - array.size)])


@dataclass(frozen=True, eq=False)
class Description:
    """The Brian2 objects of a program on the active device.

    Parameters
    ----------
    network : Network
        All objects, ready to run.
    neurons : NeuronGroup
        Its neurons.
    results : dict
        Brian2 variables to read after a run, by name: spikes, and the final weights of plastic synapses.
    echoes : dict
        Brian2 variables that hold the numbers that the program used, by the names of `Program.echoes`.
    """

    network: Network
    neurons: NeuronGroup
    results: dict[str, Any]
    echoes: dict[str, Any]


def _number(index: Any) -> Any:
    return np.asarray(index)


def _synapse_number() -> Function:
    """Return the function that gives the number of a synapse in a string that sets its variables.

    Brian2 has no variable for it; functions that are evaluated for each element, as ``rand``, are handed it.
    """
    number = Function(
        _number, arg_units=[], return_unit=1, arg_types=[], return_type="integer", stateless=False, auto_vectorise=True
    )
    code = "static inline int synapse_number(const int _vectorisation_idx) { return _vectorisation_idx; }"
    for target, does in (("cpp", code), ("numpy", _number), ("cuda", f"__host__ __device__ {code}")):
        number.implementations.add_implementation(target, does, name="synapse_number")
    return number


def describe(program: Program, values: Mapping[str, np.ndarray], *, extra_neuron: str = "") -> Description:
    """Build the Brian2 objects of `program` on the active device.

    Parameters
    ----------
    program : Program
        The structure.
    values : mapping of ndarray
        What `Program.values` returned. In the sources of a standalone program they are placeholders, of these shapes.
    extra_neuron : str
        Declarations of more variables of the neurons.

    Returns
    -------
    Description
    """
    spec, n = program.blank(), program.n_neurons
    # Runs that read times would differ: the entries are looked up by number.
    known = {name: TimedArray(_with_unit(name, values[name]), dt=1 * second, name=name) for name in program.shapes()}
    known |= {"synapse_number": _synapse_number(), "drive_hold": program.drive_hold * second}
    echo = "start_echo : 1 (constant)\n"
    if program.drive_hold:
        echo += "drive_sum : 1\ndrive_sum_of_sums : 1\n"
    neurons = neuron_group(spec, NAME, extra=echo + extra_neuron)
    synapses = synapse_group(
        spec, neurons, NAME, plastic=program.plastic, extra="weight_echo : 1 (constant)\n" if program.plastic else ""
    )
    for group in (neurons, synapses):
        group.namespace.update(known)
    if hasattr(get_device(), "apply_run_args"):
        get_device().apply_run_args()
    cell = "i" if program.copies == 1 else f"(i % {n})"
    _set_neurons(program, neurons, cell)
    _connect(program, synapses, cell)
    if program.drive_hold:
        step = f"drive_current(timestep(t, drive_hold)*second, {cell})"
        neurons.run_regularly(
            f"I_ext = {step}\ndrive_sum += I_ext\ndrive_sum_of_sums += drive_sum",
            dt=program.drive_hold * second,
            when="start",
            name=f"{NAME}_drive",
        )
    parts = [] if program.spike_timing == "grid" else ["overshoot", "advance"]
    monitor = SpikeMonitor(neurons, variables=parts or None, when="after_resets", name=f"{NAME}_spikes")
    results = {name: monitor.variables[name] for name in ("i", "t", *parts)}
    if program.plastic:
        results["weight"] = synapses.variables["w"]
    network = Network(neurons, synapses, monitor, name=f"{NAME}_network")
    return Description(network, neurons, results, _echoes(program, neurons, synapses))


def _with_unit(name: str, values: np.ndarray) -> Any:
    return values * second if name.endswith(("_tau", "_delay", "_tau_plus", "_tau_minus")) else values


def _set_neurons(program: Program, neurons: NeuronGroup, cell: str) -> None:
    neurons.tau_m = f"neuron_tau({cell}*second)"
    if program.spike_timing != "grid":
        neurons.kappa = f"neuron_kappa({cell}*second)"
    neurons.I_bias = f"neuron_bias({cell}*second)"
    neurons.v = f"neuron_start({cell}*second)"
    neurons.start_echo = f"neuron_start({cell}*second)"
    neurons.dale = f"neuron_dale({cell}*second)"
    neurons.alive = f"neuron_alive({cell}*second) > 0.5"


def _connect(program: Program, synapses: Synapses, cell: str) -> None:
    n = program.n_neurons
    if program.form == "csr":
        block = "" if program.copies == 1 else f"{n}*(i//{n}) + "
        synapses.connect(
            j=f"{block}int(synapse_post(k*second)) for k in "
            f"range(int(row_start({cell}*second)), int(row_start(({cell} + 1)*second)))"
        )
        number = "synapse_number()"
        if program.copies > 1:
            number = f"({number} % int(row_start({n}*second)))"
        entry = f"({number}*second)"
    else:
        same = "" if program.copies == 1 else f"i//{n} == j//{n} and "
        target = "j" if program.copies == 1 else f"(j % {n})"
        entry = f"({cell}*second, {target})"
        synapses.connect(condition=f"{same}synapse_weight{entry} > {0.1 * ABSENT!r}")
    synapses.w = f"synapse_weight{entry}"
    if program.plastic:
        synapses.weight_echo = f"synapse_weight{entry}"
        for name in _STDP_ARRAYS:
            setattr(synapses, name, f"synapse_{name}{entry}")
        synapses.w_min, synapses.w_max, synapses.learning = program.w_min, program.w_max, 1
    if program.delays:
        synapses.delay = f"synapse_delay{entry}"
        if program.spike_timing == "precise":
            synapses.advance.delay = f"synapse_delay{entry}"


def _echoes(program: Program, neurons: NeuronGroup, synapses: Synapses) -> dict[str, Any]:
    of_neurons = {"tau_m": "tau_m", "bias": "I_bias", "start": "start_echo", "dale": "dale", "alive": "alive"}
    if program.spike_timing != "grid":
        of_neurons["kappa"] = "kappa"
    if program.drive_hold:
        of_neurons |= {"drive_sum": "drive_sum", "drive_sum_of_sums": "drive_sum_of_sums"}
    of_synapses = {"i": "_synaptic_pre", "j": "_synaptic_post", "weight": "w"}
    if program.plastic:
        of_synapses |= {"weight": "weight_echo", "w_min": "w_min", "w_max": "w_max"}
        of_synapses |= {name: name for name in _STDP_ARRAYS}
    found = {echo: neurons.variables[name] for echo, name in of_neurons.items()}
    found |= {echo: synapses.variables[name] for echo, name in of_synapses.items()}
    if program.delays:
        found["delay"] = synapses.pre.variables["delay"]
        if program.spike_timing == "precise":
            found["delay_of_advance"] = synapses.advance.variables["delay"]
    return found


class DeviceError(InvalidInput):
    """A program could not be compiled, failed, or did not use the values that it was handed."""


class Build(ABC):
    """How programs are written and compiled for one of Brian2's standalone devices, on this machine."""

    @abstractmethod
    def device(self) -> Device:
        """Return a new device: the one in Brian2's list may hold a network of the user."""

    def preferences(self) -> AbstractContextManager[None]:
        """Return the context of Brian2's preferences in which the device writes sources."""
        return nullcontext()

    @abstractmethod
    def finish(self, directory: Path) -> None:
        """Make the sources that the device wrote to `directory` compile, or compile faster."""


@dataclass(frozen=True)
class CppBuild(Build):
    """C++ programs, whose sources share one precompiled header: compiling it takes half of the time otherwise."""

    def device(self) -> Device:
        return CPPStandaloneDevice()

    def finish(self, directory: Path) -> None:
        own = ("objects.h", "brianlib/common_math.h", "brianlib/stdint_compat.h")
        headers = [f'#include "{name}"' for name in own] + [f"#include <{name}>" for name in _SHARED]
        (directory / "lnpbrian.h").write_text("\n".join([*headers, ""]))
        with open(directory / "makefile", "a") as makefile:
            makefile.write(_SHARED_FIRST)


_SHARED = ("chrono", "cmath", "ctime", "iostream", "fstream", "climits", "algorithm", "stdlib.h")
_SHARED_FIRST = """
PLAIN := $(CXXFLAGS)
CXXFLAGS += -include lnpbrian.h
$(OBJS): lnpbrian.h.gch
.INTERMEDIATE: lnpbrian.h.gch
lnpbrian.h.gch: lnpbrian.h $(H_SRCS)
	$(CXX) $(PLAIN) -x c++-header $< -o $@
"""


def write_sources(
    build: Build, directory: Path, describe: Callable[[], Description], duration: float
) -> dict[str, dict[str, tuple[str, str]]]:
    """Write the sources of what `describe` makes on the active device, for a run of `duration` seconds.

    Brian2's device and preferences are left as they were.

    Returns
    -------
    dict of dict of (str, str)
        Of the "results" and "echoes" of the description, by name: the file that a run will write, and its dtype.
    """
    device = build.device()
    with build.preferences():
        set_device(device, build_on_run=False)
        try:
            description = describe()
            run_network(description.network, duration * second, namespace={})
            device.build(directory=str(directory), compile=False, run=False)
        finally:
            reset_device()
    build.finish(directory)
    return {
        part: {name: (device.get_array_filename(v), np.dtype(v.dtype).str) for name, v in variables.items()}
        for part, variables in (("results", description.results), ("echoes", description.echoes))
    }


_REQUEST, _MANIFEST = "request.pickle", "manifest.json"
_GENERATE = "import sys; from lnpbrian.network.engines.standalone import generate; generate(sys.argv[1])"
_KEEPER = Path(__file__).with_name("keeper.py")


def generate(directory: str) -> None:
    """Write the sources of the project that was asked for in `directory`; for a process of its own."""
    prefs.logging.file_log = False
    prefs.logging.std_redirection = False
    BrianLogger.suppress_name("resolution_conflict")
    folder = Path(directory)
    with open(folder / _REQUEST, "rb") as request:
        describe, program, build = pickle.load(request)
    zeros = {name: np.zeros(shape) for name, shape in program.shapes().items()}
    manifest = write_sources(build, folder, lambda: describe(program, zeros), program.duration)
    (folder / _MANIFEST).write_text(json.dumps(manifest))


class Project:
    """A compiled program, in a temporary folder that `close` removes, and the end or the death of this process.

    Parameters
    ----------
    describe : callable
        Function of a module that builds the Brian2 objects of a program on the active device, as `describe` does.
    program : Program
        What `describe` takes.
    build : Build
        For which device.

    Raises
    ------
    DeviceError
        If the project cannot be generated or compiled.

    Attributes
    ----------
    directory : Path
        Where the project is.
    build_seconds : dict of float
        Wall-clock time to "generate" the sources and to "compile" them.
    """

    def __init__(self, describe: Callable[..., Description], program: Program, build: Build) -> None:
        self.program = program
        self.directory = Path(tempfile.mkdtemp(prefix="lnpbrian_"))
        self._lock = threading.Lock()
        self._keeper = _start_keeper(self.directory)
        self._close = weakref.finalize(self, _end_keeper, self._keeper)
        self.build_seconds: dict[str, float] = {}
        self.runs = 0
        try:
            (self.directory / _REQUEST).write_bytes(pickle.dumps((describe, program, build)))
            # The child imports what this process does, wherever that was found.
            path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
            self._job("generate", [sys.executable, "-c", _GENERATE, str(self.directory)], {"PYTHONPATH": path})
            jobs = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            self._job("compile", ["make", f"-j{jobs}"], {})
            self._manifest = json.loads((self.directory / _MANIFEST).read_text())
        except BaseException:
            self.close()
            raise

    def _job(self, name: str, command: list[str], env: dict[str, str]) -> None:
        log = self.directory / f"{name}.log"
        status, self.build_seconds[name] = self._keep(command, log, env)
        if status:
            raise DeviceError(f"the project could not be {name}d (exit status {status}):\n{_tail(log, 12)}")

    def _keep(self, command: list[str], log: Path, env: Mapping[str, str]) -> tuple[int, float]:
        """Run a command in the folder of the project through the keeper; return its exit status and seconds."""
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        job = {"command": command, "cwd": str(self.directory), "log": str(log), "env": dict(env)}
        forget_failed_runs()
        try:
            self._keeper.stdin.write(json.dumps(job) + "\n")
            self._keeper.stdin.flush()
            line = self._keeper.stdout.readline()
        except BrokenPipeError as error:
            raise DeviceError("the process that keeps the program has died; compile the network again") from error
        except BaseException:
            # Ctrl-C: the job ends, and its answer is taken away. The last answer is that to "cancel", whether or not
            # the job has begun, or has ended before.
            with Held(), contextlib.suppress(OSError):
                self._keeper.stdin.write("cancel\n")
                self._keeper.stdin.flush()
                while (line := self._keeper.stdout.readline()) and "cancelled" not in json.loads(line):
                    pass
            raise
        if not line:
            raise DeviceError("the process that keeps the program has died; compile the network again")
        answer = json.loads(line)
        if answer["error"]:
            raise DeviceError(f"{command[0]} cannot be started ({answer['error']})")
        return answer["status"], answer["seconds"]

    def execute(
        self, values: Mapping[str, np.ndarray], asked: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        """Run the program with `values`, by the names of its arrays, and verify its echoes against `asked`.

        Returns
        -------
        results : dict of ndarray
            What the program wrote, by the names of its description.
        seconds : dict of float
            Wall-clock time: "write" the values, "program" from start to end, of which "simulation", and "read" the
            results.

        Raises
        ------
        DeviceError
            If the program fails or did not use the values, or the project was closed.
        """
        with self._lock:
            if not self._close.alive:
                raise DeviceError("the program was closed; compile the network again")
            self.runs += 1
            # A new folder for every run: nothing of an earlier one can be taken for its results.
            folder = self.directory / f"run_{self.runs}"
            folder.mkdir()
            try:
                results, echoes, seconds = self._run(values, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        verify(asked, echoes)
        return results, seconds

    def _run(
        self, values: Mapping[str, np.ndarray], folder: Path
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, float]]:
        start = time.perf_counter()
        arguments = self._hand_over(values, folder)
        written = time.perf_counter()
        log = folder / "log"
        status, seconds = self._keep(["./main", "--results_dir", f"{folder.name}/", *arguments], log, {})
        if status:
            raise DeviceError(f"the program failed (exit status {status}):\n{_tail(log, 12)}")
        finished = time.perf_counter()
        info = folder / "last_run_info.txt"
        simulation, fraction = map(float, info.read_text().split()) if info.exists() else (0.0, 0.0)
        if fraction < 1:
            raise DeviceError(f"the program stopped after {100 * fraction:.0f} % of the run:\n{_tail(log, 12)}")
        results, echoes = (
            {name: _read(folder / file, dtype) for name, (file, dtype) in self._manifest[part].items()}
            for part in ("results", "echoes")
        )
        times = {"write": written - start, "program": seconds, "simulation": simulation}
        return results, echoes, times | {"read": time.perf_counter() - finished}

    def _hand_over(self, values: Mapping[str, np.ndarray], folder: Path) -> list[str]:
        """Write `values` and return the arguments that name them."""
        arguments = []
        for name, array in values.items():
            array.tofile(folder / f"{name}.dat")
            arguments.append(f"{name}.values={folder.name}/{name}.dat")
        return arguments

    def close(self) -> None:
        """End the program and remove its folder."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        what = f"{type(self).__name__}({self.program.n_neurons} neurons, {self.program.duration:g} s"
        return f"{what}, {str(self.directory)!r}{'' if self._close.alive else ', closed'})"


def verify(asked: Mapping[str, np.ndarray], used: Mapping[str, np.ndarray]) -> None:
    """Refuse a run whose program used other values than it was handed.

    Raises
    ------
    DeviceError
        Naming the first value that differs.

    Examples
    --------
    >>> verify({"tau_m": np.array([0.01, 0.02])}, {"tau_m": np.array([0.01, 0.0])})
    Traceback (most recent call last):
    lnpbrian.network.engines.standalone.DeviceError: the program did not use what it was handed: tau_m differs ...
    """
    head = "the program did not use what it was handed"
    for name, wanted in asked.items():
        if name not in used:
            raise DeviceError(f"{head}: it reports no {name}; compile the network again")
        got = used[name]
        if got.shape != wanted.shape:
            raise DeviceError(f"{head}: {name} has {got.size} entries, not {wanted.size}; compile the network again")
        wrong = np.flatnonzero(got != wanted)
        if wrong.size:
            raise DeviceError(
                f"{head}: {name} differs in {wrong.size} of {wanted.size} entries, first in entry {wrong[0]}, "
                f"where {wanted[wrong[0]]} was asked and {got[wrong[0]]} used; compile the network again"
            )


def _read(path: Path, dtype: str) -> np.ndarray:
    # An empty dynamic array leaves no file, or an empty one.
    return np.fromfile(path, dtype=dtype) if path.exists() else np.zeros(0, dtype=dtype)


def _tail(log: Path, lines: int) -> str:
    text = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return "\n".join(text[-lines:]) or "it printed nothing"


def _start_keeper(directory: Path) -> subprocess.Popen[str]:
    # Out of the reach of Ctrl-C: this process says when a job ends.
    return subprocess.Popen(
        [sys.executable, "-I", str(_KEEPER), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _end_keeper(keeper: subprocess.Popen[str]) -> None:
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    with contextlib.suppress(OSError):
        keeper.stdin.close()
    keeper.wait()
    keeper.stdout.close()
