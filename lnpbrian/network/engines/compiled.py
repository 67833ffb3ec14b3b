"""Networks as compiled programs: built once, run with any synapses, weights, time constants and drive that fit.

Pruning removes synapses and neurons from a program by handing it other arrays; nothing is compiled again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from brian2 import Quantity

from lnpbrian.network.engines.devices import build_for
from lnpbrian.network.engines.standalone import Program, Project, describe
from lnpbrian.network.signals import Drive, SpikeTrain
from lnpbrian.network.spec import NetworkSpec

__all__ = ["CompiledNetwork", "CompiledRun"]


@dataclass(frozen=True, repr=False)
class CompiledRun:
    """What a compiled network did in one run.

    Parameters
    ----------
    activity : SpikeTrain
        Its spikes, in order of time and then of neurons; times are those of a ``SpikeMonitor``, the start of the step.
    spike_train : SpikeTrain
        The same spikes as `lnpbrian.network.simulate.simulated_spike_train` gives them, for exponents to follow.
    weights : ndarray, shape (S,)
        Weights at the end, in the order of the synapses of the network that was run.
    seconds : dict of float
        Wall-clock time: "write" the values, "program" from start to end, of which "simulation", and "read" the results.
    """

    activity: SpikeTrain
    spike_train: SpikeTrain
    weights: np.ndarray
    seconds: dict[str, float]

    def __repr__(self) -> str:
        return f"CompiledRun({self.activity}, {self.seconds['program']:.3g} s)"


class CompiledNetwork(Project):
    """A recurrent network as a program of a standalone device.

    Parameters
    ----------
    spec : NetworkSpec
        The network to run unless another one is given; it fixes the number of neurons, the step, the kind of synapses
        and of spikes, and the refractory period.
    duration : Quantity
        Simulated time of a run.
    drive : Drive, optional
        Frozen drive of N neurons; it fixes the length of its steps. Past its end it starts over. Without one, I_ext = 0
        in every run.
    plastic : bool
        Whether synapses with `spec.plasticity` learn. Every run starts from the weights of its network.
    device : {"cpp_standalone", "cuda_standalone"}
        Where it runs: compiled C++ on the processor, or a GPU.
    form : {"csr", "dense"}
        How synapses are handed over. "csr": as lists of targets, with memory for `capacity` synapses. "dense": as an
        (N, N) matrix with any number of them, one per pair.
    capacity : int, optional
        Largest number of synapses of a run with form "csr"; the number in `spec` by default.

    Raises
    ------
    InvalidInput
        If a value is out of range.
    DeviceError
        If there is no compiler, or compilation fails; the message ends with the compiler's last lines.

    Notes
    -----
    Equations are those of `RecurrentNetwork`. After every run the numbers that the program used are read back and
    compared with those that were asked for: synapses, weights, delays, constants of plasticity, time constants, biases,
    initial potentials, and running sums of the drive.

    The program is generated in a process of its own, so this one stays in Brian2's runtime mode and may hold any
    number of compiled networks. Use it as a context manager, or call `close`, to remove its temporary folder early.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import HRSNN
    >>> spec = HRSNN(neurons=100, connection_probability=0.1).spec
    >>> strong = np.abs(spec.weights) > np.median(np.abs(spec.weights))
    >>> with CompiledNetwork(spec, duration=200 * ms) as network:  # doctest: +SKIP
    ...     before = network.run()
    ...     after = network.run(spec.of_synapses(strong))  # no compiler this time
    """

    def __init__(
        self,
        spec: NetworkSpec,
        *,
        duration: Quantity,
        drive: Drive | None = None,
        plastic: bool = False,
        device: str = "cpp_standalone",
        form: str = "csr",
        capacity: int | None = None,
    ) -> None:
        program = Program.of(spec, duration, drive=drive, form=form, capacity=capacity, plastic=plastic)
        # Refused here rather than after the compiler has run.
        program.require_fit(spec, drive)
        super().__init__(describe, program, build_for(device))
        self._spec, self._drive = spec, drive

    def run(self, spec: NetworkSpec | None = None, *, drive: Drive | None = None) -> CompiledRun:
        """Run a network from its initial state, and return its spikes.

        Parameters
        ----------
        spec : NetworkSpec, optional
            Any network that fits the program; the one it was built from by default.
        drive : Drive, optional
            A drive with steps of the same length; the one it was built with by default.

        Raises
        ------
        InvalidInput
            If the network or the drive does not fit.
        DeviceError
            If the program fails, or did not use the numbers that it was handed.
        """
        spec = self._spec if spec is None else spec
        drive = self._drive if drive is None else drive
        program = self.program
        values = program.values(spec, drive)
        results, seconds = self.execute(values, program.echoes(spec, values))
        weights = spec.weights.copy()
        if program.plastic:
            weights[program.order(spec)] = results["weight"]
        return CompiledRun(*_spikes(program, results), weights=weights, seconds=seconds)


def _spikes(program: Program, results: dict[str, np.ndarray]) -> tuple[SpikeTrain, SpikeTrain]:
    indices, times = results["i"].astype(int), results["t"]
    order = np.lexsort((indices, times))
    activity = SpikeTrain(indices[order], times[order], program.n_neurons, program.duration)
    # As of `simulated_spike_train`: on the grid a spike counts at the end of its step.
    exact = times + program.dt
    for part in ("overshoot", "advance"):
        if part in results:
            exact = exact - results[part]
    by_time = np.argsort(exact, kind="stable")
    return activity, SpikeTrain(indices[by_time], exact[by_time], program.n_neurons, program.duration)
