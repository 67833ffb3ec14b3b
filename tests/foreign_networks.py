"""Networks as other people write them: small Brian2 networks after well known papers, none of them made for lnpbrian.

Each function of `NETWORKS` builds one and returns it as `Foreign`. Equations and parameters are those of the papers
named there, fewer neurons and stronger synapses aside. A builder called twice returns equal networks.

`twin` says what a network with some synapses removed has to equal:

* ``zeroed``: itself with the weights of these synapses set to zero, since all that a synapse does is proportional to
  its weight, and a weight of zero stays zero. Also what is built anew.
* ``anew``: only a network that was built without them (`only`) and given the same state. `why` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from brian2 import (
    Clock,
    EventMonitor,
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PoissonInput,
    PopulationRateMonitor,
    Quantity,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
    mV,
    nS,
    pA,
    pF,
    second,
    seed,
    umetre,
)

__all__ = ["NETWORKS", "Foreign", "Kept"]


class Kept(NamedTuple):
    """The synapses that a network built anew has: as `Synapses.connect` takes them, and their numbers before."""

    pre: np.ndarray
    post: np.ndarray
    numbers: np.ndarray


Only = Mapping[str, Kept] | None


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A network, and what its parts are called.

    `weight` is the name of the weight of each of `synapses`, or its value where all share a constant; `inhibitory`
    whether these synapses inhibit. `state` and `time_constant` have an entry per group: the potential, and the variable
    or the value of its time constant (None without one). `inputs` are the objects or the names of variables that drive
    it. `before` and `after` are the times in ms to run before and after an edit.
    """

    network: Network
    groups: tuple[NeuronGroup, ...]
    synapses: tuple[Synapses, ...]
    weight: tuple[str | float | Quantity, ...]
    inhibitory: tuple[bool, ...] = (False,)
    state: tuple[str, ...] = ("v",)
    time_constant: tuple[str | Quantity | None, ...]
    inputs: tuple[object, ...] = ("drive",)
    spikes: tuple[EventMonitor, ...]
    recorded: tuple[StateMonitor | PopulationRateMonitor, ...] = ()
    twin: Literal["zeroed", "anew"]
    why: str
    before: float = 40
    after: float = 45


def _wire(synapses: Synapses, only: Only, values: Mapping[str, Any] | None = None, /, **rule: Any) -> None:
    """Connect by `rule` and set `values`, or only the synapses of `only`, whose values come later."""
    if only is None:
        synapses.connect(**rule)
        for name, value in (values or {}).items():
            setattr(synapses, name, value)
    else:
        synapses.connect(i=only[synapses.name].pre, j=only[synapses.name].post)


def _numbers(only: Only, synapses: Synapses, record: list[int]) -> list[int]:
    """Return the numbers that the synapses `record` have now."""
    return record if only is None else np.searchsorted(only[synapses.name].numbers, record).tolist()


def _foreign(objects: tuple[Any, ...], **fields: Any) -> Foreign:
    """Return the network of these objects; `fields` are those of `Foreign` that do not follow from them."""

    def of(*kinds: type) -> tuple[Any, ...]:
        return tuple(obj for obj in objects if isinstance(obj, kinds))

    found: dict[str, Any] = {
        "groups": of(NeuronGroup),
        "synapses": of(Synapses),
        "spikes": of(EventMonitor),
        "recorded": of(StateMonitor, PopulationRateMonitor),
    }
    return Foreign(network=Network(*objects), **(found | fields))


def _driven(n: int, names: dict[str, Any], more: str = "", reset: str = "v = 0") -> NeuronGroup:
    """Return neurons that leak towards a drive of their own; those with a drive above 1 fire."""
    neurons = NeuronGroup(
        n,
        f"""dv/dt = (drive - v)/tau : 1 (unless refractory)
        drive : 1 (constant)
        {more}""",
        threshold="v > 1",
        reset=reset,
        refractory=2 * ms,
        method="exact",
        namespace=names,
        name="neurons",
    )
    neurons.v = "rand()"
    return neurons


CONDUCTANCES = {
    "capacity": 200 * pF,
    "leak": 10 * nS,
    "rest": -60 * mV,
    "E_e": 0 * mV,
    "E_i": -80 * mV,
    "tau_e": 5 * ms,
    "tau_i": 10 * ms,
}


def current_based(only: Only = None) -> Foreign:
    """CUBA of Brette et al. 2007 (after Vogels and Abbott 2005): weights are constants in the namespace."""
    seed(1)
    names = {
        "tau": 20 * ms,
        "tau_e": 5 * ms,
        "tau_i": 10 * ms,
        "rest": -49 * mV,
        "threshold": -50 * mV,
        "reset": -60 * mV,
        "w_e": 2.5 * mV,
        "w_i": -9 * mV,
    }
    neurons = NeuronGroup(
        200,
        """dv/dt = (rest - v + exc + inh)/tau : volt (unless refractory)
        dexc/dt = -exc/tau_e : volt
        dinh/dt = -inh/tau_i : volt""",
        threshold="v > threshold",
        reset="v = reset",
        refractory=5 * ms,
        method="exact",
        namespace=names,
        name="neurons",
    )
    neurons.v = "reset + rand()*(threshold - reset)"
    excitation = Synapses(neurons[:160], neurons, on_pre="exc_post += w_e", namespace=names, name="excitation")
    inhibition = Synapses(neurons[160:], neurons, on_pre="inh_post += w_i", namespace=names, name="inhibition")
    _wire(excitation, only, p=0.2)
    _wire(inhibition, only, p=0.2)
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, excitation, inhibition, spikes),
        weight=(names["w_e"], names["w_i"]),
        inhibitory=(False, True),
        time_constant=(names["tau"],),
        inputs=("rest",),
        twin="anew",
        why="the weights are constants of the namespace",
    )


def conductance_based(only: Only = None) -> Foreign:
    """COBA of Brette et al. 2007: conductances, synapses from subgroups, a weight each."""
    seed(2)
    names = CONDUCTANCES | {"threshold": -50 * mV}
    neurons = NeuronGroup(
        200,
        """dv/dt = (leak*(rest - v) + g_e*(E_e - v) + g_i*(E_i - v) + drive)/capacity : volt (unless refractory)
        dg_e/dt = -g_e/tau_e : siemens
        dg_i/dt = -g_i/tau_i : siemens
        drive : amp""",
        threshold="v > threshold",
        reset="v = rest",
        refractory=5 * ms,
        method="euler",
        namespace=names,
        name="neurons",
    )
    neurons.v = "rest + rand()*(threshold - rest)"
    neurons.drive = "120*pA + 80*pA*rand()"
    excitation = Synapses(neurons[:160], neurons, "w : siemens", on_pre="g_e_post += w", name="excitation")
    inhibition = Synapses(neurons[160:], neurons, "w : siemens", on_pre="g_i_post += w", name="inhibition")
    _wire(excitation, only, {"w": "6*nS*rand()"}, p=0.2)
    _wire(inhibition, only, {"w": "67*nS*rand()"}, p=0.2)
    spikes = SpikeMonitor(neurons, name="spikes")
    rate = PopulationRateMonitor(neurons, name="rate")
    return _foreign(
        (neurons, excitation, inhibition, spikes, rate),
        weight=("w", "w"),
        inhibitory=(False, True),
        time_constant=(names["capacity"] / names["leak"],),
        twin="zeroed",
        why="conductances grow by the weight",
    )


def hodgkin_huxley(only: Only = None) -> Foreign:
    """COBAHH of Brette et al. 2007: currents of Traub and Miles 1991, refractory while the potential is high."""
    seed(3)
    names = CONDUCTANCES | {"sodium": 20000 * nS, "potassium": 6000 * nS}
    names |= {"E_Na": 50 * mV, "E_K": -90 * mV, "V_T": -63 * mV}
    neurons = NeuronGroup(
        100,
        """dv/dt = (leak*(rest - v) + g_e*(E_e - v) + g_i*(E_i - v) + drive
                    + sodium*m**3*h*(E_Na - v) + potassium*n**4*(E_K - v))/capacity : volt
        dm/dt = 0.32*(13 - u)/(exp((13 - u)/4) - 1)/ms*(1 - m) - 0.28*(u - 40)/(exp((u - 40)/5) - 1)/ms*m : 1
        dh/dt = 0.128*exp((17 - u)/18)/ms*(1 - h) - 4/(1 + exp((40 - u)/5))/ms*h : 1
        dn/dt = 0.032*(15 - u)/(exp((15 - u)/5) - 1)/ms*(1 - n) - 0.5*exp((10 - u)/40)/ms*n : 1
        u = (v - V_T)/mV : 1
        dg_e/dt = -g_e/tau_e : siemens
        dg_i/dt = -g_i/tau_i : siemens
        drive : amp""",
        threshold="v > -20*mV",
        refractory="v > -40*mV",
        method="exponential_euler",
        namespace=names,
        name="neurons",
    )
    neurons.v = "rest + 5*mV*randn()"
    neurons.drive = "150*pA + 250*pA*rand()"
    excitation = Synapses(neurons[:80], neurons, "w : siemens", on_pre="g_e_post += w", name="excitation")
    inhibition = Synapses(neurons[80:], neurons, "w : siemens", on_pre="g_i_post += w", name="inhibition")
    _wire(excitation, only, {"w": "6*nS"}, p=0.2)
    _wire(inhibition, only, {"w": "67*nS", "delay": "1*ms + 2*ms*rand()"}, p=0.2)
    spikes = SpikeMonitor(neurons, name="spikes")
    potential = StateMonitor(neurons, ["v", "n"], record=[0, 99], name="potential")
    return _foreign(
        (neurons, excitation, inhibition, spikes, potential),
        weight=("w", "w"),
        inhibitory=(False, True),
        time_constant=(names["capacity"] / names["leak"],),
        twin="zeroed",
        why="conductances grow by the weight",
        before=25,
    )


def additive_stdp(only: Only = None) -> Foreign:
    """Song, Miller and Abbott 2000: Poisson inputs, event-driven traces, a monitor of two of the weights."""
    seed(4)
    neuron_names = {"tau": 10 * ms, "tau_e": 5 * ms, "rest": -74 * mV, "E_e": 0 * mV}
    names = {"tau_pre": 20 * ms, "tau_post": 20 * ms, "largest": 0.1, "up": 0.02, "down": -0.021}
    inputs = PoissonGroup(200, rates=40 * Hz, name="inputs")
    neurons = NeuronGroup(
        20,
        """dv/dt = (g*(E_e - v) + rest - v)/tau : volt
        dg/dt = -g/tau_e : 1""",
        threshold="v > -54*mV",
        reset="v = -60*mV",
        method="euler",
        namespace=neuron_names,
        name="neurons",
    )
    neurons.v = "-60*mV - 14*mV*rand()"
    synapses = Synapses(
        inputs,
        neurons,
        """w : 1
        dA/dt = -A/tau_pre : 1 (event-driven)
        dB/dt = -B/tau_post : 1 (event-driven)""",
        on_pre="""g_post += w
        A += up
        w = clip(w + B, 0, largest)""",
        on_post="""B += down
        w = clip(w + A, 0, largest)""",
        namespace=names,
        name="synapses",
    )
    _wire(synapses, only, {"w": "largest*rand()"})
    weights = StateMonitor(synapses, "w", record=_numbers(only, synapses, [7, 1234]), dt=1 * ms, name="weights")
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (inputs, neurons, synapses, weights, spikes),
        weight=("w",),
        time_constant=(neuron_names["tau"],),
        inputs=(inputs,),
        twin="anew",
        why="a weight of zero grows again",
    )


def four_projections(only: Only = None) -> Foreign:
    """Two populations, four projections with a delay per synapse, drive from a PoissonInput each."""
    rng = np.random.default_rng(5)
    seed(5)
    names = {"rest": 0 * mV}
    model = """dv/dt = (rest - v)/tau : volt (unless refractory)
    tau : second (constant)"""
    options = {"threshold": "v > 15*mV", "reset": "v = 0*mV", "method": "exact", "namespace": names}
    excitatory = NeuronGroup(120, model, refractory=2 * ms, name="excitatory", **options)
    inhibitory = NeuronGroup(30, model, refractory=1 * ms, name="inhibitory", **options)
    excitatory.tau = rng.uniform(15, 25, 120) * ms
    inhibitory.tau = rng.uniform(8, 12, 30) * ms
    excitatory.v = rng.uniform(0, 15, 120) * mV
    inputs = tuple(
        PoissonInput(group, "v", N=100, rate=rate, weight=0.8 * mV)
        for group, rate in ((excitatory, 16 * Hz), (inhibitory, 22 * Hz))
    )
    projections = []
    for source, target, probability, mean in (
        (excitatory, excitatory, 0.1, 0.8),
        (excitatory, inhibitory, 0.2, 1.0),
        (inhibitory, excitatory, 0.3, -2.5),
        (inhibitory, inhibitory, 0.3, -2.0),
    ):
        name = f"{source.name[0]}_to_{target.name[0]}"
        synapses = Synapses(source, target, "w : volt", on_pre="v_post += w", name=name)
        values = {"w": f"{mean}*mV*2*rand()", "delay": "0.3*ms + 4*ms*rand()"}
        _wire(synapses, only, values, condition="True", p=probability)
        projections.append(synapses)
    spikes = (SpikeMonitor(excitatory, name="spikes_e"), SpikeMonitor(inhibitory, name="spikes_i"))
    return _foreign(
        (excitatory, inhibitory, *inputs, *projections, *spikes),
        weight=("w",) * 4,
        inhibitory=(False, False, True, True),
        state=("v", "v"),
        time_constant=("tau", "tau"),
        inputs=inputs,
        twin="zeroed",
        why="potentials jump by the weight",
        after=80,
    )


def sparse_noisy(only: Only = None) -> Foreign:
    """Brunel 2000: one delay and one weight for all synapses of a kind, with white noise for the external spikes."""
    seed(6)
    names = {"tau": 20 * ms, "drive": 22 * mV, "noise": 5 * mV}
    neurons = NeuronGroup(
        200,
        "dv/dt = (drive - v)/tau + noise*sqrt(2/tau)*xi : volt (unless refractory)",
        threshold="v > 20*mV",
        reset="v = 10*mV",
        refractory=2 * ms,
        method="euler",
        namespace=names,
        name="neurons",
    )
    neurons.v = "20*mV*rand()"
    shared = {"model": "w : volt (shared)", "on_pre": "v_post += w", "delay": 1.5 * ms}
    excitation = Synapses(neurons[:160], neurons, name="excitation", **shared)
    inhibition = Synapses(neurons[160:], neurons, name="inhibition", **shared)
    _wire(excitation, only, condition="i != j", p=0.1)
    _wire(inhibition, only, condition="i + 160 != j", p=0.1)
    excitation.w, inhibition.w = 1 * mV, -5 * mV
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, excitation, inhibition, spikes),
        weight=("w", "w"),
        inhibitory=(False, True),
        time_constant=(names["tau"],),
        twin="anew",
        why="one weight is shared by all synapses",
    )


def short_term_plasticity(only: Only = None) -> Foreign:
    """Tsodyks, Uziel and Markram 2000: facilitation and depression, with time constants of every synapse's own."""
    seed(7)
    names = {"tau": 30 * ms, "tau_s": 3 * ms}
    neurons = NeuronGroup(
        120,
        """dv/dt = (drive - v + current)/tau : volt (unless refractory)
        dcurrent/dt = -current/tau_s : volt
        drive : volt (constant)""",
        threshold="v > 15*mV",
        reset="v = 13.5*mV",
        refractory=3 * ms,
        method="exact",
        namespace=names,
        name="neurons",
    )
    neurons.v = "15*mV*rand()"
    neurons.drive = "14.5*mV + 2*mV*rand()"
    synapses = Synapses(
        neurons,
        neurons,
        """A : volt
        U : 1 (constant)
        tau_rec : second (constant)
        tau_facil : second (constant)
        du/dt = -u/tau_facil : 1 (event-driven)
        dx/dt = (1 - x)/tau_rec : 1 (event-driven)""",
        on_pre="""u += U*(1 - u)
        current_post += A*u*x
        x -= u*x""",
        method="exact",
        name="synapses",
    )
    values = {
        "A": "20*mV*(0.5 + rand())*(1 - 3*int(i >= 100))",
        "U": "0.1 + 0.5*rand()",
        "tau_rec": "100*ms + 400*ms*rand()",
        "tau_facil": "10*ms + 500*ms*rand()",
        "delay": "0.5*ms + 1.5*ms*rand()",
        "x": 1,
    }
    _wire(synapses, only, values, condition="i != j", p=0.1)
    states = StateMonitor(synapses, ["u", "x"], record=_numbers(only, synapses, [5, 800, 1100]), name="states")
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, synapses, states, spikes),
        weight=("A",),
        time_constant=(names["tau"],),
        twin="zeroed",
        why="the current grows by A u x, and u and x do not depend on A",
    )


def gap_junctions(only: Only = None) -> Foreign:
    """Integrate-and-fire neurons coupled electrically (a summed variable, no pathway) and by inhibition."""
    seed(8)
    names = {"tau": 10 * ms}
    neurons = NeuronGroup(
        100,
        """dv/dt = (drive - v + gap)/tau : 1 (unless refractory)
        gap : 1
        drive : 1 (constant)""",
        threshold="v > 1",
        reset="v = 0",
        refractory=1 * ms,
        method="euler",
        namespace=names,
        name="neurons",
    )
    neurons.v = "rand()"
    neurons.drive = "1.05 + 0.4*rand()"
    junctions = Synapses(
        neurons,
        neurons,
        """w : 1
        gap_post = w*(v_pre - v_post) : 1 (summed)""",
        name="junctions",
    )
    inhibition = Synapses(neurons, neurons, "w : 1", on_pre="v_post -= w", name="inhibition")
    _wire(junctions, only, {"w": "0.05*rand()"}, condition="i != j and abs(i - j) < 8")
    _wire(inhibition, only, {"w": "0.06*rand()", "delay": "2*ms*rand()"}, condition="i != j", p=0.1)
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, junctions, inhibition, spikes),
        weight=("w", "w"),
        inhibitory=(False, True),
        time_constant=(names["tau"],),
        twin="zeroed",
        why="the summed current and the jump are proportional to the weight",
    )


def slow_gating(only: Only = None) -> Foreign:
    """NMDA synapses of Wang 2002: clock-driven gating in every synapse, summed variables, fast inhibition."""
    seed(9)
    names = {
        "capacity": 500 * pF,
        "leak": 25 * nS,
        "rest": -70 * mV,
        "E_i": -70 * mV,
        "tau_i": 5 * ms,
        "tau_rise": 2 * ms,
        "tau_decay": 100 * ms,
        "alpha": 0.5 / ms,
    }
    neurons = NeuronGroup(
        80,
        """dv/dt = (leak*(rest - v) - g_nmda*v/(1 + exp(-62*v/volt)/3.57) + g_i*(E_i - v) + drive)/capacity
            : volt (unless refractory)
        dg_i/dt = -g_i/tau_i : siemens
        g_nmda : siemens
        drive : amp (constant)""",
        threshold="v > -50*mV",
        reset="v = -55*mV",
        refractory=2 * ms,
        method="euler",
        namespace=names,
        name="neurons",
    )
    neurons.v = "-70*mV + 20*mV*rand()"
    neurons.drive = "0.48*nA + 0.1*nA*rand()"
    slow = Synapses(
        neurons[:60],
        neurons,
        """w : siemens
        ds/dt = -s/tau_decay + alpha*x*(1 - s) : 1 (clock-driven)
        dx/dt = -x/tau_rise : 1 (clock-driven)
        g_nmda_post = w*s : siemens (summed)""",
        on_pre="x += 1",
        method="euler",
        namespace=names,
        name="slow",
    )
    fast = Synapses(neurons[60:], neurons, "w : siemens", on_pre="g_i_post += w", delay=0.5 * ms, name="fast")
    _wire(slow, only, {"w": "2*nS*rand()", "delay": "0.5*ms + rand()*ms"}, p=0.3)
    _wire(fast, only, {"w": "10*nS*rand()"}, p=0.3)
    gates = StateMonitor(slow, ["s", "x"], record=_numbers(only, slow, [100, 700, 1400]), name="gates")
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, slow, fast, gates, spikes),
        weight=("w", "w"),
        inhibitory=(False, True),
        time_constant=(names["capacity"] / names["leak"],),
        twin="zeroed",
        why="the summed conductance is w s, and s does not depend on w",
    )


def inhibitory_plasticity(only: Only = None) -> Foreign:
    """Vogels et al. 2011: inhibition that learns to balance excitation; only one of three projections is plastic."""
    seed(10)
    names = CONDUCTANCES | {"drive": 200 * pA, "tau_stdp": 20 * ms}
    names |= {"eta": 0.2, "alpha": 3 * Hz * 20 * ms * 2, "largest": 100}
    neurons = NeuronGroup(
        150,
        """dv/dt = (leak*(rest - v) + g_e*(E_e - v) + g_i*(E_i - v) + drive)/capacity : volt (unless refractory)
        dg_e/dt = -g_e/tau_e : siemens
        dg_i/dt = -g_i/tau_i : siemens""",
        threshold="v > -50*mV",
        reset="v = rest",
        refractory=5 * ms,
        method="euler",
        namespace=names,
        name="neurons",
    )
    neurons.v = "-60*mV + 10*mV*rand()"
    excitatory, inhibitory = neurons[:120], neurons[120:]
    fixed = {"model": "w : 1", "namespace": names}
    excitation = Synapses(excitatory, neurons, on_pre="g_e_post += w*nS", name="excitation", **fixed)
    inhibition = Synapses(inhibitory, inhibitory, on_pre="g_i_post += w*nS", name="inhibition", **fixed)
    plastic = Synapses(
        inhibitory,
        excitatory,
        """w : 1
        dA/dt = -A/tau_stdp : 1 (event-driven)
        dB/dt = -B/tau_stdp : 1 (event-driven)""",
        on_pre="""A += 1
        w = clip(w + (B - alpha)*eta, 0, largest)
        g_i_post += w*nS""",
        on_post="""B += 1
        w = clip(w + A*eta, 0, largest)""",
        namespace=names,
        name="plastic",
    )
    _wire(excitation, only, {"w": "3*(0.5 + rand())"}, p=0.1)
    _wire(inhibition, only, {"w": 6}, p=0.2)
    _wire(plastic, only, {"w": "5*rand()", "delay": "1*ms + 3*ms*rand()"}, p=0.4)
    weights = StateMonitor(plastic, ["w", "A"], record=_numbers(only, plastic, [33, 600]), name="weights")
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, excitation, inhibition, plastic, weights, spikes),
        weight=("w", "w", "w"),
        inhibitory=(False, True, True),
        time_constant=(names["capacity"] / names["leak"],),
        twin="anew",
        why="a weight of zero grows again",
    )


def several_per_pair(only: Only = None) -> Foreign:
    """Delay lines: three synapses between the same two neurons, whose number among them sets delay and strength."""
    seed(11)
    names = {"tau": 15 * ms}
    neurons = _driven(100, names)
    neurons.drive = "1.1 + 0.4*rand()"
    synapses = Synapses(
        neurons, neurons, "w : 1", on_pre="v_post += w/(number + 1)", multisynaptic_index="number", name="synapses"
    )
    _wire(synapses, only, {"w": "0.06*randn()", "delay": "1*ms + number*1.7*ms"}, condition="i != j", p=0.06, n=3)
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, synapses, spikes),
        weight=("w",),
        time_constant=(names["tau"],),
        twin="anew",
        why="the strength reads the number of a synapse among those of its pair",
    )


def spatial(only: Only = None) -> Foreign:
    """A sheet of neurons: where they lie decides on connections, delays, and the weight, which is a subexpression."""
    seed(12)
    names = {"tau": 20 * ms, "grid": 30 * umetre, "width": 90 * umetre, "speed": 100 * umetre / ms}
    neurons = _driven(
        144,
        names,
        """x : metre (constant)
        y : metre (constant)""",
    )
    neurons.x, neurons.y = "(i // 12)*grid", "(i % 12)*grid"
    neurons.drive = "1.05 + 0.4*rand()"
    synapses = Synapses(
        neurons,
        neurons,
        """strength : 1
        distance = sqrt((x_pre - x_post)**2 + (y_pre - y_post)**2) : metre
        w = strength*exp(-(distance/width)**2) : 1""",
        on_pre="v_post += w",
        namespace=names,
        name="synapses",
    )
    squared = "(x_pre - x_post)**2 + (y_pre - y_post)**2"
    values = {"strength": "0.25*randn()", "delay": "distance/speed"}
    _wire(synapses, only, values, condition="i != j", p=f"exp(-({squared})/(2*width**2))/2")
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, synapses, spikes),
        weight=("strength",),
        time_constant=(names["tau"],),
        twin="zeroed",
        why="the potential jumps in proportion to the strength",
    )


def normalised(only: Only = None) -> Foreign:
    """Weights divided by the number of synapses that a neuron receives, now."""
    seed(13)
    names = {"tau": 15 * ms, "total": 1.5}
    neurons = _driven(100, names)
    neurons.drive = "1.02 + 0.3*rand()"
    synapses = Synapses(
        neurons,
        neurons,
        """share : 1
        w = total*share/N_incoming : 1""",
        on_pre="v_post += w*sqrt(10.0/N_outgoing)",
        namespace=names,
        name="synapses",
    )
    _wire(synapses, only, {"share": "0.5 + rand()", "delay": "2*ms*rand()"}, condition="i != j", p=0.1)
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, synapses, spikes),
        weight=("share",),
        time_constant=(names["tau"],),
        twin="anew",
        why="the weight reads N_incoming and N_outgoing",
    )


def homeostatic(only: Only = None) -> Foreign:
    """Synaptic scaling (Turrigiano et al. 1998): every 2 ms all weights are scaled towards a rate of their target."""
    seed(14)
    names = {"tau": 15 * ms, "tau_rate": 50 * ms, "target": 30 * Hz, "eta": 0.001 * second}
    neurons = _driven(120, names, "drate/dt = -rate/tau_rate : Hz", reset="v = 0; rate += 1/tau_rate")
    neurons.drive = "1.05 + 0.3*rand()"
    synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w", namespace=names, name="synapses")
    synapses.run_regularly("w *= 1 + eta*(target - rate_post)", dt=2 * ms)
    _wire(synapses, only, {"w": "0.2*rand()", "delay": "1*ms + 3*ms*rand()"}, condition="i != j", p=0.08)
    weights = StateMonitor(synapses, "w", record=_numbers(only, synapses, [2, 10, 700]), name="weights")
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, synapses, weights, spikes),
        weight=("w",),
        time_constant=(names["tau"],),
        twin="zeroed",
        why="scaling leaves a weight of zero at zero",
    )


def modulated(only: Only = None) -> Foreign:
    """Glia that enhance release (after De Pitta et al. 2011): synapses from astrocytes onto synapses."""
    seed(15)
    names = {"tau": 15 * ms, "tau_gain": 20 * ms, "period": 8 * ms}
    neurons = _driven(100, names)
    neurons.drive = "1.05 + 0.3*rand()"
    glia = NeuronGroup(
        20, "dphase/dt = 1/period : 1", threshold="phase > 1", reset="phase = 0", namespace=names, name="glia"
    )
    glia.phase = "rand()"
    # Not among those to prune, since what acts on them would go with them.
    synapses = Synapses(
        neurons,
        neurons,
        """w : 1
        dgain/dt = -gain/tau_gain : 1 (event-driven)""",
        on_pre="v_post += w*(1 + gain)",
        namespace=names,
        name="synapses",
    )
    synapses.connect(condition="i != j", p=0.08)
    synapses.w, synapses.delay = "0.04*randn()", "1*ms + 2*ms*rand()"
    # Event-driven equations of the target are brought up to now by its own pathways only: gain is read there.
    modulation = Synapses(glia, synapses, "boost : 1", on_pre="gain_post += boost", name="modulation")
    _wire(modulation, only, {"boost": "rand()", "delay": "1.5*ms*rand()"}, p=0.1)
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, glia, synapses, modulation, spikes),
        groups=(neurons,),
        synapses=(modulation,),
        weight=("boost",),
        time_constant=(names["tau"],),
        twin="zeroed",
        why="the gain grows by the boost",
    )


def unreliable(only: Only = None) -> Foreign:
    """Release with a probability: every spike draws a random number for each of its synapses."""
    seed(16)
    names = {"tau": 15 * ms}
    neurons = _driven(100, names)
    neurons.drive = "1.1 + 0.3*rand()"
    synapses = Synapses(
        neurons,
        neurons,
        """w : 1
        release : 1 (constant)""",
        on_pre="v_post += w*int(rand() < release)",
        name="synapses",
    )
    values = {"w": "0.08*randn()", "release": "0.2 + 0.6*rand()", "delay": "1*ms + 2*ms*rand()"}
    _wire(synapses, only, values, condition="i != j", p=0.1)
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, synapses, spikes),
        weight=("w",),
        time_constant=(names["tau"],),
        twin="anew",
        why="a synapse of weight zero still draws random numbers",
    )


def synfire_chain(only: Only = None) -> Foreign:
    """Diesmann, Gewaltig and Aertsen 1999: layers of neurons, alpha functions, pulses into the first layer."""
    rng = np.random.default_rng(17)
    seed(17)
    names = {"tau": 10 * ms, "tau_psp": 0.325 * ms, "rest": -70 * mV, "layer": 20}
    neurons = NeuronGroup(
        120,
        """dv/dt = (rest - v + a + background)/tau + 1.5*mV*xi/sqrt(tau) : volt (unless refractory)
        da/dt = (b - a)/tau_psp : volt
        db/dt = -b/tau_psp : volt
        background : volt (constant)""",
        threshold="v > -55*mV",
        reset="v = rest",
        refractory=1 * ms,
        method="euler",
        namespace=names,
        name="neurons",
    )
    neurons.v, neurons.background = "rest + 12*mV*rand()", "10*mV + 2*mV*rand()"
    times = np.concatenate([at + rng.uniform(0, 1, 20) for at in np.arange(5, 120, 9)])
    pulses = SpikeGeneratorGroup(20, np.tile(np.arange(20), times.size // 20), times * ms, name="pulses")
    into = Synapses(pulses, neurons[:20], on_pre="b_post += 40*mV", name="into")
    chain = Synapses(neurons, neurons, on_pre="b_post += 40*mV", delay=3 * ms, name="chain")
    _wire(into, only)
    _wire(chain, only, j="k for k in range((i//layer + 1)*layer, (i//layer + 2)*layer) if i < 100", namespace=names)
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, pulses, into, chain, spikes),
        weight=(40 * mV, 40 * mV),
        inhibitory=(False, False),
        time_constant=(names["tau"],),
        inputs=(pulses,),
        twin="anew",
        why="the weight is a number in the code of the pathway",
    )


def simple_model(only: Only = None) -> Foreign:
    """Izhikevich 2003: all to all, dimensionless, steps of half a millisecond, thalamic noise."""
    seed(18)
    clock = Clock(dt=0.5 * ms)
    neurons = NeuronGroup(
        100,
        """dv/dt = (0.04*v**2 + 5*v + 140 - u + thalamus)/ms : 1
        du/dt = a*(b*v - u)/ms : 1
        a : 1 (constant)
        b : 1 (constant)
        c : 1 (constant)
        d : 1 (constant)
        thalamus : 1""",
        threshold="v >= 30",
        reset="v = c; u += d",
        method="euler",
        clock=clock,
        namespace={},
        name="neurons",
    )
    neurons.run_regularly("thalamus = 8*randn()", dt=1 * ms)
    first, last = neurons[:80], neurons[80:]
    first.a, first.b, first.c, first.d = 0.02, 0.2, "-65 + 15*rand()**2", "8 - 6*rand()**2"
    last.a, last.b, last.c, last.d = "0.02 + 0.08*rand()", "0.25 - 0.05*rand()", -65, 2
    neurons.v = -65
    neurons.u = "b*v"
    excitation = Synapses(first, neurons, "w : 1", on_pre="v_post += w", clock=clock, name="excitation")
    inhibition = Synapses(last, neurons, "w : 1", on_pre="v_post += w", clock=clock, name="inhibition")
    _wire(excitation, only, {"w": "3*rand()", "delay": "1*ms + 20*ms*rand()"})
    _wire(inhibition, only, {"w": "-6*rand()", "delay": 1 * ms})
    spikes = SpikeMonitor(neurons, name="spikes")
    return _foreign(
        (neurons, excitation, inhibition, spikes),
        weight=("w", "w"),
        inhibitory=(False, True),
        time_constant=(None,),
        inputs=("thalamus",),
        twin="zeroed",
        why="potentials jump by the weight",
        before=150,
        after=200,
    )


def two_events(only: Only = None) -> Foreign:
    """Neurons with an event below the threshold: one synapse object has pathways of its own for either event."""
    seed(19)
    names = {"tau": 15 * ms, "tau_s": 4 * ms}
    neurons = NeuronGroup(
        100,
        """dv/dt = (drive - v + graded)/tau : 1 (unless refractory)
        dgraded/dt = -graded/tau_s : 1
        armed : boolean
        drive : 1 (constant)""",
        threshold="v > 1",
        reset="v = 0; armed = True",
        events={"onset": "v > 0.6 and armed"},
        refractory=2 * ms,
        method="exact",
        namespace=names,
        name="neurons",
    )
    neurons.run_on_event("onset", "armed = False")
    neurons.v, neurons.drive, neurons.armed = "rand()", "1.05 + 0.3*rand()", True
    synapses = Synapses(
        neurons,
        neurons,
        """w : 1
        early : 1""",
        on_pre={"spike": "v_post += w", "rise": "graded_post += w*early"},
        on_event={"spike": "spike", "rise": "onset"},
        name="synapses",
    )
    _wire(synapses, only, {"w": "0.08*randn()", "early": "2*rand()"}, condition="i != j", p=0.1)
    if only is None:
        synapses.spike.delay, synapses.rise.delay = "1*ms + 2*ms*rand()", "3*ms*rand()"
    spikes = SpikeMonitor(neurons, name="spikes")
    onsets = EventMonitor(neurons, "onset", name="onsets")
    return _foreign(
        (neurons, synapses, spikes, onsets),
        weight=("w",),
        time_constant=(names["tau"],),
        twin="zeroed",
        why="both pathways are proportional to the weight",
    )


NETWORKS: tuple[Callable[..., Foreign], ...] = (
    current_based,
    conductance_based,
    hodgkin_huxley,
    additive_stdp,
    four_projections,
    sparse_noisy,
    short_term_plasticity,
    gap_junctions,
    slow_gating,
    inhibitory_plasticity,
    several_per_pair,
    spatial,
    normalised,
    homeostatic,
    modulated,
    unreliable,
    synfire_chain,
    simple_model,
    two_events,
)
