"""Lyapunov exponents from perturbed twins inside one compiled program.

The reference and its twins run side by side, as in `lnpbrian.lyapunov.twins.block_twin_exponents`, but all that happens
between windows is Brian2 code: no Python function is called while the network runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from brian2 import Clock, NeuronGroup, Quantity, StateMonitor, Synapses, linked_var, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.growth import DIRECTIONS, Growth, TwinExponents, state_names, twin_exponents, twin_plan
from lnpbrian.network.engines.devices import build_for
from lnpbrian.network.engines.standalone import NAME, Description, Program, Project, describe
from lnpbrian.network.signals import Drive
from lnpbrian.network.spec import NetworkSpec

__all__ = ["CompiledTwins"]


@dataclass(frozen=True)
class TwinProgram(Program):
    """What is fixed when the twins of a network are compiled.

    Parameters
    ----------
    window : float
        Time between renormalisations in seconds.
    settle : int
        Windows of the transient.
    windows : int
        Windows that are measured.
    perturbation : float
        Standard deviation of a fresh perturbation.
    directions : {"fresh", "kept"}
        As in `block_twin_exponents`.

    Notes
    -----
    The measurement is that of arXiv 2403.03409, section A.1.
    """

    window: float = 0.0
    settle: int = 0
    windows: int = 0
    perturbation: float = 0.0
    directions: str = "fresh"

    @classmethod
    def of_twins(
        cls,
        spec: NetworkSpec,
        *,
        drive: Drive | None,
        duration: Quantity,
        transient: Quantity,
        renormalise_every: Quantity,
        realisations: int,
        perturbation: float,
        directions: str,
        capacity: int | None = None,
    ) -> TwinProgram:
        """Return the program that runs the twins of `spec`, and of every other network that fits; see `CompiledTwins`.

        Raises
        ------
        InvalidInput
            If a value is out of range, or the network has delays.
        """
        _require_no_delays(spec)
        plan = twin_plan(duration, transient, renormalise_every, realisations, spec.dt)
        # The last window ends at the start of the step after it.
        length = plan.transient + plan.n_windows * plan.window + spec.dt
        base = Program.of(spec, length * second, drive=drive, capacity=capacity, copies=plan.realisations + 1)
        base.require_fit(spec, drive)
        return cls(
            **{field.name: getattr(base, field.name) for field in fields(base)},
            window=plan.window,
            settle=round(plan.transient / plan.window),
            windows=plan.n_windows,
            perturbation=checks.real("perturbation", perturbation, above=0, below=1),
            directions=checks.choice("directions", directions, DIRECTIONS),
        )

    @property
    def events(self) -> int:
        """Number of renormalisations, the first one at t = 0 and the last one after the last window."""
        return self.settle + self.windows + 1

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the names and shapes of the arrays that a run reads."""
        return super().shapes() | {"twin_perturbation": (self.events, self.copies * self.n_neurons)}

    def draw(self, rng: np.random.Generator, alive: np.ndarray) -> np.ndarray:
        """Return the perturbations of every renormalisation, zero for the reference and for silent neurons."""
        drawn = np.zeros((self.events, self.copies, self.n_neurons))
        # Fresh twins stay with the reference until the transient is over; kept ones turn from the start.
        first = self.settle if self.directions == "fresh" else 0
        size = (self.events - first, self.copies - 1, int(alive.sum()))
        drawn[first:, 1:, alive] = self.perturbation * rng.standard_normal(size)
        return drawn.reshape(self.events, -1)

    def exponents(self, results: dict[str, np.ndarray], alive: np.ndarray) -> TwinExponents:
        """Return the statistics of what a run recorded, of the neurons that are alive."""
        twins = (self.events, self.copies - 1, self.n_neurons)
        # In one piece, as block twins have them: the order of a sum follows the layout.
        start, end = (
            np.ascontiguousarray(results[name].reshape(twins)[..., alive]) for name in ("gap_start", "gap_end")
        )
        reference = results["reference"].reshape(self.events, self.n_neurons)[:, alive]
        growth = Growth(self.window)
        for k in range(self.settle + 1, self.events):
            growth.add(start[k - 1], end[k], reference[k])
        counts = np.bincount(results["i"], minlength=self.n_neurons * self.copies)[: self.n_neurons][alive]
        return twin_exponents(counts / self.duration, {self.directions: growth})


def describe_twins(program: TwinProgram, values: Mapping[str, np.ndarray]) -> Description:
    """Build the Brian2 objects of the reference and its twins on the active device; see `describe`."""
    n, spec = program.n_neurons, program.blank()
    types = {name: "second" for name in ("lastspike", "release", "overshoot")}
    types |= {"not_refractory": "boolean", "slope": "Hz"}
    state = {name: types.get(name, "1") for name in state_names(spec)}
    # What the reference has is copied before it is used: no statement reads an array that it writes.
    extra = "".join(f"{name}_there : {kind} (linked)\n{name}_of_reference : {kind}\n" for name, kind in state.items())
    extra += "compared : 1\ncompared_there : 1 (linked)\ngap_start : 1\ngap_end : 1\n"
    extra += "twin_sum : 1\ntwin_sum_of_sums : 1\n"
    if program.directions == "kept":
        extra += "gap_squared : 1 (linked)\n"
    description = describe(program, values, extra_neuron=extra)
    neurons = description.neurons
    reference = np.tile(np.arange(n), program.copies)
    for name in (*state, "compared"):
        setattr(neurons, f"{name}_there", linked_var(neurons, name, index=reference))
    clock = Clock(program.window * second, name=f"{NAME}_window")
    neurons.namespace["twin_window"] = program.window * second

    def at_window(name: str, order: int, code: str) -> None:
        # Before the drive of the new step is set: a window ends with the drive it ran under.
        neurons.run_regularly(code, clock=clock, when="start", order=order, name=f"{NAME}_{name}")

    compared = "v" if spec.spike_timing == "grid" else "virtual_v"
    gap = "abs(compared - compared_there)"
    copies = "".join(f"\n{name}_of_reference = {name}_there" for name in state)
    at_window("compared_end", -9, f"compared = {compared}{copies}")
    at_window("gap_end", -8, f"gap_end = {gap}")
    if program.directions == "kept":
        description.network.add(*_norms(program, neurons, clock))
    at_window("set_back", -6, _set_back(program, state))
    at_window("compared_start", -5, f"compared = {compared}")
    at_window("gap_start", -4, f"gap_start = {gap}")
    record = {"clock": clock, "when": "start", "order": -3}
    gaps = StateMonitor(
        neurons, ["gap_start", "gap_end"], record=np.arange(n, n * program.copies), name=f"{NAME}_gaps", **record
    )
    potentials = StateMonitor(neurons, "v", record=np.arange(n), name=f"{NAME}_potentials", **record)
    description.network.add(gaps, potentials)
    description.results.update({name: gaps.variables[name] for name in ("gap_start", "gap_end")})
    description.results["reference"] = potentials.variables["v"]
    description.echoes.update({name: neurons.variables[name] for name in ("twin_sum", "twin_sum_of_sums")})
    return description


def _set_back(program: TwinProgram, state: dict[str, str]) -> str:
    """Return the code that sets every twin back close to its reference."""
    fresh = "fresh_ = 1.0\nfactor_ = 0.0\n"
    if program.directions == "kept":
        size = float(program.perturbation * np.sqrt(program.n_neurons))
        # A difference that is gone, or not finite, has no direction to keep.
        fresh = "fresh_ = 1.0 - int(gap_squared > 0 and gap_squared < 1e300)\n"
        fresh += f"factor_ = (1.0 - fresh_)*{size!r}/sqrt(fresh_ + (1.0 - fresh_)*gap_squared)\n"
    code = fresh + "drawn_ = twin_perturbation(timestep(t, twin_window)*second, i)\n"
    code += "twin_sum += drawn_\ntwin_sum_of_sums += twin_sum\n"
    if "not_refractory" in state:
        # Brian2 skips writes to the potential of a held neuron, also these.
        code += "free_ = not_refractory_of_reference\nnot_refractory = True\nlastspike = lastspike_of_reference\n"
    for name, kind in state.items():
        if kind == "boolean" or name == "lastspike":
            continue
        more = " + fresh_*drawn_" if name == "v" else ""
        code += f"{name} = {name}_of_reference + factor_*({name} - {name}_of_reference){more}\n"
    return code + ("not_refractory = free_\n" if "not_refractory" in state else "")


def _norms(program: TwinProgram, neurons: NeuronGroup, clock: Clock) -> tuple[NeuronGroup, Synapses]:
    """Return the group that holds the squared norm of each twin's separation, and what sums it."""
    n = program.n_neurons
    blocks = NeuronGroup(program.copies, "gap_squared : 1", dt=program.dt * second, name=f"{NAME}_blocks", namespace={})
    sums = Synapses(
        neurons,
        blocks,
        "gap_squared_post = gap_end_pre**2 : 1 (summed)",
        clock=clock,
        name=f"{NAME}_sums",
        namespace={},
    )
    sums.connect(j=f"i//{n}")
    updater = sums.summed_updaters["gap_squared_post"]
    updater.when, updater.order = "start", -7
    neurons.gap_squared = linked_var(blocks, "gap_squared", index=np.repeat(np.arange(program.copies), n))
    return blocks, sums


class CompiledTwins(Project):
    """The twins of a network as a program of a standalone device, compiled once for all networks that fit.

    Parameters
    ----------
    spec, drive, duration, transient, renormalise_every, realisations, perturbation, directions
        As in `lnpbrian.lyapunov.twins.block_twin_exponents`; `spec` and `drive` may be replaced in a run.
    device, capacity
        As in `lnpbrian.network.engines.compiled.CompiledNetwork`.

    Raises
    ------
    InvalidInput
        If a value is out of range, or the network has delays.
    DeviceError
        If the program cannot be compiled.

    Notes
    -----
    The difference from `block_twin_exponents` is that no Python runs between windows. In runtime mode that is no
    advantage: the code of a window costs more to build than a Python function to call.

    The method is that of arXiv 2403.03409, section A.1.

    Examples
    --------
    A neuron below threshold forgets at the rate 1/tau_m:

    >>> from lnpbrian.models import uncoupled
    >>> spec = uncoupled([10*ms, 25*ms], bias=0.5)
    >>> with CompiledTwins(spec) as twins:  # doctest: +SKIP
    ...     twins.run(rng=np.random.default_rng(0)).per_neuron.round(3).tolist()
    [-100.0, -40.0]
    """

    program: TwinProgram

    def __init__(
        self,
        spec: NetworkSpec,
        *,
        drive: Drive | None = None,
        duration: Quantity = 1 * second,
        transient: Quantity = 200 * ms,
        renormalise_every: Quantity = 20 * ms,
        realisations: int = 4,
        perturbation: float = 1e-8,
        directions: str = "fresh",
        device: str = "cpp_standalone",
        capacity: int | None = None,
    ) -> None:
        program = TwinProgram.of_twins(
            spec,
            drive=drive,
            duration=duration,
            transient=transient,
            renormalise_every=renormalise_every,
            realisations=realisations,
            perturbation=perturbation,
            directions=directions,
            capacity=capacity,
        )
        super().__init__(describe_twins, program, build_for(device))
        self._spec, self._drive = spec, drive

    def run(
        self, spec: NetworkSpec | None = None, *, drive: Drive | None = None, rng: np.random.Generator
    ) -> TwinExponents:
        """Measure the exponents of a network.

        Parameters
        ----------
        spec : NetworkSpec, optional
            Any network that fits the program; that from which it was built by default.
        drive : Drive, optional
            A drive with steps of the same length; the one it was built with by default.
        rng : numpy.random.Generator
            Source of the perturbations.

        Returns
        -------
        TwinExponents
            Of the neurons that are alive. With the same `rng`, those of `block_twin_exponents` of ``spec.compacted()``,
            to rounding errors and what the network makes of them.

        Raises
        ------
        InvalidInput
            If the network or the drive does not fit.
        DeviceError
            If the program fails, or did not use the numbers that it was handed.
        """

        program = self.program
        chosen, driven = self._spec if spec is None else spec, self._drive if drive is None else drive
        _require_no_delays(chosen)
        values = program.values(chosen, driven)
        values["twin_perturbation"] = program.draw(rng, chosen.alive)
        sums = np.cumsum(values["twin_perturbation"], axis=0)
        drawn = {"twin_sum": sums[-1], "twin_sum_of_sums": np.cumsum(sums, axis=0)[-1]}
        results, _ = self.execute(values, program.echoes(chosen, values) | drawn)
        return program.exponents(results, chosen.alive)


def _require_no_delays(spec: NetworkSpec) -> None:
    if spec.delays is not None and spec.delays.any():
        raise InvalidInput(
            "twins in one program cannot copy spikes in flight, and the network has delays; use block_twin_exponents"
        )
