"""Precise spike timing against closed forms and against the event-driven integrator of `event_driven.py`."""

from dataclasses import replace

import brian2
import numpy as np
import pytest
from brian2 import SpikeMonitor, second
from event_driven import EventDrivenLIF, first_crossing

from lnpbrian.network import RecurrentNetwork
from lnpbrian.simulate import drive_operation

brian2.prefs.codegen.target = "numpy"


def spikes(spec, duration, drive=None):
    """Run `spec`; return the times of its spikes in seconds, sorted within each neuron, their neurons, and the network.

    A spike counts at the end of its step: "grid" spikes act there, "precise" ones happen overshoot + advance before.
    """
    live = RecurrentNetwork(spec)
    extra = None if spec.spike_timing == "grid" else ["overshoot", "advance"]
    monitor = SpikeMonitor(live.neurons, variables=extra, when="after_resets", name="observed")
    live.network.add(monitor)
    if drive is not None:
        live.network.add(drive_operation(live.neurons, drive))
    live.run(duration * second)
    times = np.array(monitor.t_[:]) + spec.dt
    if extra:
        times = times - np.array(monitor.overshoot_[:]) - np.array(monitor.advance_[:])
    order = np.lexsort((times, monitor.i[:]))
    return times[order], np.array(monitor.i[:])[order], live


def reference(spec, duration, drive=None):
    model = EventDrivenLIF.of_spec(spec)
    held = {} if drive is None else {"drive": drive.values, "hold": drive.hold}
    times, indices, state = model.run(model.rest(spec.initial_potential), duration, **held)
    order = np.lexsort((times, indices))
    return times[order], indices[order], state


def pair(spec, weights, potential):
    """Neurons 0 and 1 of `spec`, with weights (onto 1 from 0, onto 0 from 1)."""
    return replace(spec, pre=[0, 1], post=[1, 0], weights=weights, initial_potential=potential)


# --- the reference itself --------------------------------------------------------------------------------------------


# v = b + c x + d x^2 with x = e^(-s/20 ms) where tau_syn = 20 ms = 2 tau_m: a quadratic equation.
@pytest.mark.parametrize(
    ("b", "current"),
    [(0.0, 5.0), (0.0, 1.9), (0.5, 2.0), (0.5, 0.9), (1.5, 0.0), (1.2, -3.0), (0.9, -3.0)],
)
def test_first_crossing_solves_a_quadratic(b, current):
    # c = I tau_syn/(tau_syn - tau_m) = 2 I, d = -b - c from v = 0. With b = 0 the peak of 2 I (x - x^2) is I/2: 2.5 and 0.95.
    c = 2 * current
    d = -b - c
    found = first_crossing(b, c, d, 20e-3, 10e-3, 0.5)
    roots = np.roots([d, c, b - 1])
    # The earliest crossing has the largest x = e^(-s/20 ms) in (0, 1).
    roots = [float(x.real) for x in roots if abs(x.imag) < 1e-12 and np.exp(-0.5 / 20e-3) < x.real < 1]
    if not roots:
        assert found is None
    else:
        # Both solvers are at rounding; dv/ds > 1/s here, so 1e-15 of v is below 1e-14 s, tau eps/x adds as much.
        assert found == pytest.approx(-20e-3 * np.log(max(roots)), abs=1e-14, rel=0)
