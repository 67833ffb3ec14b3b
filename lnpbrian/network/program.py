"""A recurrent network as a program: its structure is compiled once, its numbers are read when the program starts.

Connectivity, weights, time constants and the drive stand in ``TimedArray`` objects, whose values a program of a
standalone device takes from files. The index of an entry is its time in seconds. Nothing here compiles or runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import (
    Function,
    Network,
    NeuronGroup,
    Quantity,
    SpikeMonitor,
    Synapses,
    TimedArray,
    get_device,
    second,
)

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.drive import Drive
from lnpbrian.network.equations import neuron_group, synapse_group
from lnpbrian.network.spec import STDP, NetworkSpec

__all__ = ["Description", "Program", "describe"]

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
    network, neurons, synapses
        Ready to run; `network` has everything.
    arrays : dict of TimedArray
        What a run reads, by name.
    results : dict
        Brian2 variables to read after a run, by name: spikes, and the final weights of plastic synapses.
    echoes : dict
        Brian2 variables that hold the numbers that the program used, by the names of `Program.echoes`.
    """

    network: Network
    neurons: NeuronGroup
    synapses: Synapses
    arrays: dict[str, TimedArray]
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
    number.implementations.add_implementation("cpp", code, name="synapse_number")
    number.implementations.add_implementation("numpy", _number, name="synapse_number")
    cuda = f"__host__ __device__ {code}"
    number.implementations.add_implementation("cuda", cuda, name="synapse_number")
    return number


def describe(program: Program, values: dict[str, np.ndarray] | None = None, *, extra_neuron: str = "") -> Description:
    """Build the Brian2 objects of `program` on the active device.

    Parameters
    ----------
    program : Program
        The structure.
    values : dict of ndarray, optional
        What `Program.values` returned; needed in runtime mode. A standalone program has zeros without them, and is
        handed its values when it runs.
    extra_neuron : str
        Declarations of more variables of the neurons.

    Returns
    -------
    Description
    """
    given = values or {name: np.zeros(shape) for name, shape in program.shapes().items()}
    spec, n = program.blank(), program.n_neurons
    arrays = {
        # Runs that read times would differ: the entries are looked up by number.
        name: TimedArray(_with_unit(name, given[name]), dt=1 * second, name=name)
        for name in program.shapes()
    }
    echo = "start_echo : 1 (constant)\n"
    if program.drive_hold:
        echo += "drive_sum : 1\ndrive_sum_of_sums : 1\n"
    neurons = neuron_group(spec, NAME, extra=echo + extra_neuron)
    synapses = synapse_group(
        spec, neurons, NAME, plastic=program.plastic, extra="weight_echo : 1 (constant)\n" if program.plastic else ""
    )
    known = {**arrays, "synapse_number": _synapse_number(), "drive_hold": program.drive_hold * second}
    for group in (neurons, synapses):
        group.namespace.update(known)
    standalone = hasattr(get_device(), "apply_run_args")
    if standalone:
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
    return Description(network, neurons, synapses, arrays, results, _echoes(program, neurons, synapses))


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
