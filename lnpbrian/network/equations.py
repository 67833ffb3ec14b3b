"""Recurrent leaky integrate-and-fire neurons as Brian2 equations: the equation strings are the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from brian2 import Hz, NeuronGroup, Synapses, second

from lnpbrian.checks import InvalidInput

if TYPE_CHECKING:
    from lnpbrian.network.spec import NetworkSpec

__all__ = ["build_objects", "neuron_group", "set_time_constants", "synapse_group"]

_PARAMETERS = """I_ext : 1
I_bias : 1
tau_m : second (constant)
dale : 1 (constant)
alive : boolean
"""
NEURON_EQUATIONS = f"""
dv/dt = (I_bias + I_ext + I_syn - v)/tau_m : 1 (unless refractory)
dI_syn/dt = -I_syn/tau_syn : 1
{_PARAMETERS}"""
# Delta synapses: a spike moves the potential itself, unless the target is held (Brian2 skips writes to such variables).
DELTA_NEURON_EQUATIONS = f"""
dv/dt = (I_bias + I_ext - v)/tau_m : 1 (unless refractory)
{_PARAMETERS}"""

RESET = "v = 0"

# The same neuron with spikes between the steps of the time grid. `active` is the part of a step after refractoriness;
# `overshoot + advance` the time from a spike to the end of its step: `overshoot` is found by running the subthreshold
# solution backwards with Newton's method (kappa I_syn is its particular part), `advance` is the first-order effect of
# the spikes that arrived earlier in the same step. A held neuron carries a perturbation as the time of its release;
# `virtual_v` takes off what it rises until then, so that the difference between twins shows.
OFF_GRID_NEURON_EQUATIONS = """
dv/dt = active*(I_bias + I_ext + I_syn - v)/tau_m : 1
dI_syn/dt = -I_syn/tau_syn : 1
active = clip((t + dt - release + advance)/dt, 0, 1) : 1 (constant over dt)
virtual_v = v - clip(release - advance - t, 0*second, t_ref)*(I_bias + I_ext + I_syn)/tau_m : 1
I_ext : 1
I_bias : 1
tau_m : second (constant)
kappa : 1 (constant)
release : second
overshoot : second
decayed : 1
rise : 1
advance = clip(rise/clip(slope, 1e-9*Hz, 1e9*Hz), -2*dt, 2*dt) : second
slope : Hz
dale : 1 (constant)
alive : boolean
"""
_NEWTON_STEP = """
s_ = clip(s_ - (d_*exp(s_/tau_m) + c_*exp(s_/tau_syn) + b_ - 1)
          /(d_*exp(s_/tau_m)/tau_m + c_*exp(s_/tau_syn)/tau_syn), 0*second, 2*dt)
""".replace("\n          ", "")
OFF_GRID_RESET = (
    """
b_ = I_bias + I_ext
c_ = kappa*I_syn
d_ = v - b_ - c_
s_ = clip((1 - v)*tau_m/(d_ + c_*tau_m/tau_syn), 0*second, 2*dt)
"""
    + 3 * _NEWTON_STEP
    + """
overshoot = s_
decayed = exp(-s_/tau_syn)
rise = 0
slope = -d_*exp(s_/tau_m)/tau_m - c_*exp(s_/tau_syn)/tau_syn
release = t + dt - s_ + t_ref
v = 0
"""
)

SYNAPSE_EQUATIONS = "w : 1"
ON_PRE = "I_syn_post += w"
DELTA_ON_PRE = "v_post += w"
INTERPOLATED_ON_PRE = "I_syn_post += w*decayed_pre"
# Between grid points, in two passes: a spike advances the later threshold crossings of its targets in the same step,
# then it reaches every target, whose potential has felt it by the end of the step unless it is held.
PRECISE_ADVANCE = """
lead_ = clip(overshoot_pre - overshoot_post, 0*second, 2*dt)*int(release_post > t + t_ref)
rise_post += w*kappa_post*(exp(-lead_/tau_syn) - exp(-lead_/tau_m_post))
slope_post += w*kappa_post*(exp(-lead_/tau_m_post)/tau_m_post - exp(-lead_/tau_syn)/tau_syn)*int(lead_ > 0*second)
"""
PRECISE_ON_PRE = """
since_ = overshoot_pre + advance_pre
I_syn_post += w*exp(-since_/tau_syn)
free_ = t + dt - release_post + advance_post
felt_ = clip(free_, -2*dt, since_)*int(free_ > 0*second)
v_post += w*kappa_post*(exp(-since_/tau_syn) - exp(-(since_ - felt_)/tau_syn - felt_/tau_m_post))
"""


@dataclass(frozen=True)
class _Dynamics:
    """Equations of the neurons, their reset, and what a spike does to its targets."""

    neurons: str
    reset: str
    on_pre: str | dict[str, str]


# By the time course of a synapse and the timing of spikes.
_DYNAMICS = {
    ("exponential", "grid"): _Dynamics(NEURON_EQUATIONS, RESET, ON_PRE),
    ("exponential", "interpolated"): _Dynamics(OFF_GRID_NEURON_EQUATIONS, OFF_GRID_RESET, INTERPOLATED_ON_PRE),
    ("exponential", "precise"): _Dynamics(
        OFF_GRID_NEURON_EQUATIONS, OFF_GRID_RESET, {"pre": PRECISE_ON_PRE, "advance": PRECISE_ADVANCE}
    ),
    ("delta", "grid"): _Dynamics(DELTA_NEURON_EQUATIONS, RESET, DELTA_ON_PRE),
}

STDP_EQUATIONS = """
w : 1
dtrace_plus/dt = -trace_plus/tau_plus : 1 (event-driven)
dtrace_minus/dt = -trace_minus/tau_minus : 1 (event-driven)
tau_plus : second (constant)
tau_minus : second (constant)
eta_plus : 1 (constant)
eta_minus : 1 (constant)
w_min : 1 (shared)
w_max : 1 (shared)
learning : 1 (shared)
"""
# Follows what the spike does to its target.
STDP_ON_PRE = """
trace_plus += 1
w = dale_pre*clip(abs(w) - learning*eta_minus*(abs(w) - w_min)*trace_minus, w_min, w_max)
"""
STDP_ON_POST = """
trace_minus += 1
w = dale_pre*clip(abs(w) + learning*eta_plus*(w_max - abs(w))*trace_plus, w_min, w_max)
"""


def _dynamics(spec: NetworkSpec) -> _Dynamics:
    return _DYNAMICS["delta" if spec.has_delta_synapses else "exponential", spec.spike_timing]


class _Owned:
    """Objects of a model: that Brian2 never ran them is no mistake, since a compiled loop may run in their place."""

    def __del__(self) -> None:
        """Do not warn, as Brian2 does, of an object that was in no run."""


class LIFNeurons(_Owned, NeuronGroup):
    """Neurons of a model.

    Leaky integrate-and-fire neurons: Gerstner et al. (2014), Neuronal Dynamics, section 1.3.
    """


class LIFSynapses(_Owned, Synapses):
    """Synapses of a model."""


def build_objects(spec: NetworkSpec, *, plastic: bool, name: str) -> tuple[NeuronGroup, Synapses]:
    """Return the Brian2 objects of a network on whatever device is set; standalone ones can be run, but not edited.

    Parameters
    ----------
    spec : NetworkSpec
    plastic : bool
        Whether synapses with `spec.plasticity` learn.
    name : str
        Prefix of the names of both objects.

    Notes
    -----
    Spikes off the time grid are equations too: the crossing within a step is found there, and what follows from it is
    written to variables that the pathways read (after Morrison et al. 2007, doi:10.1162/neco.2007.19.1.47).

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> neurons, synapses = build_objects(uncoupled([10, 20] * ms), plastic=False, name="two")
    >>> neurons.name, synapses.name, len(synapses)
    ('two_neurons', 'two_synapses', 0)
    """
    neurons = neuron_group(spec, name)
    set_time_constants(neurons, spec)
    neurons.I_bias = spec.bias
    neurons.v = np.where(spec.alive, spec.initial_potential, 0)
    neurons.dale = np.where(spec.excitatory, 1, -1)
    neurons.alive = spec.alive
    return neurons, _build_synapses(spec, neurons, name, plastic)


def neuron_group(spec: NetworkSpec, name: str, *, extra: str = "") -> NeuronGroup:
    """Return the neurons of a network without any of its arrays, to be filled by a program.

    Parameters
    ----------
    spec : NetworkSpec
        Its kind of synapses and of spikes, its size, tau_syn, t_ref and dt are used.
    name : str
        Prefix of the name of the group.
    extra : str
        Declares more variables.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> print(neuron_group(uncoupled([10, 20] * ms), "two", extra="input : 1").tau_m[:])
    [0. 0.] s
    """
    dynamics = _dynamics(spec)
    on_grid = spec.spike_timing == "grid"
    tau_syn = spec.synaptic_time_constant
    neurons = LIFNeurons(
        spec.n_neurons,
        dynamics.neurons + extra,
        threshold="v >= 1 and alive",
        reset=dynamics.reset,
        refractory=spec.refractory_period * second if on_grid else False,
        method="exact",
        dt=spec.dt * second,
        namespace={"tau_syn": tau_syn * second, "t_ref": spec.refractory_period * second},
        name=f"{name}_neurons",
    )
    if not on_grid:
        # Targets need the overshoot of the spike they receive.
        neurons.resetter["spike"].when = "before_synapses"
        neurons.release = -1 * second
        neurons.slope = 1 * Hz
    return neurons


def set_time_constants(neurons: NeuronGroup, spec: NetworkSpec) -> None:
    """Give the neurons the membrane time constants of `spec`.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> neurons = neuron_group(uncoupled([10, 20] * ms), "pair")
    >>> set_time_constants(neurons, uncoupled([8, 16] * ms))
    >>> print(neurons.tau_m[:])
    [ 8. 16.] ms
    """
    neurons.tau_m = spec.time_constants * second
    if spec.spike_timing != "grid":
        tau_syn = spec.synaptic_time_constant
        neurons.kappa = tau_syn / (tau_syn - spec.time_constants)


def synapse_group(spec: NetworkSpec, neurons: NeuronGroup, name: str, *, plastic: bool, extra: str = "") -> Synapses:
    """Return the synapses of a network before any of them is made.

    Parameters
    ----------
    spec : NetworkSpec
    neurons : brian2.NeuronGroup
        `neuron_group` of it.
    name : str
        Prefix of the name of the object.
    plastic : bool
        Whether they have the equations of STDP.
    extra : str
        Declares more variables.

    Raises
    ------
    InvalidInput
        If synapses are to learn from precise spikes.

    Notes
    -----
    The rule of STDP is that of Chakraborty and Mukhopadhyay (2023), doi:10.3389/fnins.2023.994517; see `STDP`.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> spec = uncoupled([10, 20] * ms)
    >>> synapses = synapse_group(spec, neuron_group(spec, "both"), "both", plastic=True)
    >>> "trace_plus" in synapses.variables, len(synapses)
    (True, 0)
    """
    equations, on_post = SYNAPSE_EQUATIONS, None
    on_pre = _dynamics(spec).on_pre
    namespace = {"tau_syn": spec.synaptic_time_constant * second, "t_ref": spec.refractory_period * second}
    if plastic:
        if spec.spike_timing == "precise":
            raise InvalidInput("plastic synapses need spike_timing 'grid' or 'interpolated'; use plastic=False")
        equations, on_pre, on_post = STDP_EQUATIONS, f"\n{on_pre}{STDP_ON_PRE}", STDP_ON_POST
    synapses = LIFSynapses(
        neurons,
        neurons,
        equations + extra,
        on_pre=on_pre,
        on_post=on_post,
        dt=spec.dt * second,
        namespace=namespace,
        name=f"{name}_synapses",
    )
    if spec.spike_timing == "precise":
        synapses.advance.order = -1
    return synapses


def _build_synapses(spec: NetworkSpec, neurons: NeuronGroup, name: str, plastic: bool) -> Synapses:
    stdp = spec.plasticity if plastic else None
    synapses = synapse_group(spec, neurons, name, plastic=stdp is not None)
    if spec.n_synapses == 0:
        synapses.connect(condition=False)
        return synapses
    synapses.connect(i=spec.pre, j=spec.post)
    synapses.w = spec.weights
    if stdp is not None:
        synapses.tau_plus = stdp.tau_plus * second
        synapses.tau_minus = stdp.tau_minus * second
        synapses.eta_plus = stdp.eta_plus
        synapses.eta_minus = stdp.eta_minus
        synapses.w_min, synapses.w_max, synapses.learning = stdp.w_min, stdp.w_max, 1
    if spec.delays is not None:
        synapses.delay = spec.delays * second
        if spec.spike_timing == "precise":
            synapses.advance.delay = spec.delays * second
    return synapses
