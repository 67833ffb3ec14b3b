"""Spike trains for the tangent dynamics to follow: exact ones, or those of a simulation by Brian2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from brian2 import SpikeMonitor, second

from lnpbrian.checks import InvalidInput
from lnpbrian.network.exact import DeltaNetwork, ExponentialNetwork
from lnpbrian.network.simulate import Drive, drive_operation
from lnpbrian.network.spec import NetworkSpec, RecurrentNetwork

__all__ = [
    "SpikeTrain",
    "exact_spike_train",
    "precise_timing",
    "simulated_spike_train",
    "spike_train",
    "twin_timing",
]

TRAJECTORIES = ("exact", "brian2")
# Twins need the same spikes on both sides; at this step few crossings are missed or mistaken.
LARGEST_STEP = 0.1e-3


@dataclass(frozen=True, repr=False)
class SpikeTrain:
    """The spikes of a network, in order.

    Parameters
    ----------
    times : ndarray, shape (n_spikes,)
        In seconds from the start of the run, not decreasing.
    indices : ndarray of int, shape (n_spikes,)
        Neuron of each spike.
    triggers : ndarray of int, shape (n_spikes,)
        The earlier spike that, directly or through others, lifted the potential over the threshold at that very
        instant; -1 where the potential crossed it by itself. Only delta synapses trigger spikes.
    """

    times: np.ndarray
    indices: np.ndarray
    triggers: np.ndarray

    def __repr__(self) -> str:
        return f"SpikeTrain({self.times.size} spikes)"


def precise_timing(spec: NetworkSpec, drive: Drive | None = None) -> NetworkSpec:
    """Return the same network with precise spikes, and with a step that is short enough for them.

    Raises
    ------
    InvalidInput
        If there is no refractory period, or synapses are delta synapses: those have no precise spikes.
    """
    if spec.refractory_period == 0:
        raise InvalidInput("precise spikes need a refractory period above 0")
    dt = min(spec.dt, LARGEST_STEP, spec.refractory_period / 2)
    if drive is not None:
        # The drive changes between steps, not within one.
        dt = drive.hold / np.ceil(drive.hold / dt - 1e-6)
    return replace(spec, dt=dt, spike_timing="precise")


def twin_timing(spec: NetworkSpec, drive: Drive | None = None) -> NetworkSpec:
    """Return the same network with the spike timing that twins need: precise where it exists, else its own."""
    longest = 0.0 if spec.delays is None or not spec.n_synapses else float(spec.delays.max())
    if spec.has_delta_synapses or longest >= spec.refractory_period:
        return spec
    return precise_timing(spec, drive)


def exact_spike_train(
    spec: NetworkSpec, duration: float, *, drive: Drive | None = None, report: Callable[[float], None] | None = None
) -> SpikeTrain:
    """Run a network from its initial potentials from event to event, and return its spikes, exact to rounding.

    Parameters
    ----------
    spec : NetworkSpec
        The network, without delays; its step and `spike_timing` do not matter.
    duration : float
        In seconds.
    drive : Drive, optional
        Of N neurons.
    report : callable, optional
        Called with the completed fraction.
    """
    network = (DeltaNetwork if spec.has_delta_synapses else ExponentialNetwork)(spec, drive)
    times, indices, triggers = network.run(duration, report)
    return SpikeTrain(np.array(times), np.array(indices, dtype=int), np.array(triggers, dtype=int))


def simulated_spike_train(spec: NetworkSpec, duration: float, *, drive: Drive | None = None) -> SpikeTrain:
    """Run a network by Brian2 with its own step and spike timing, and return its spikes.

    Parameters are those of `exact_spike_train`. A spike on the grid counts at the end of its step, where it acts.
    """
    live = RecurrentNetwork(spec, plastic=False)
    parts = [] if spec.spike_timing == "grid" else ["overshoot", "advance"]
    monitor = SpikeMonitor(live.neurons, variables=parts or None, when="after_resets", name="lnpbrian_spike_train")
    live.network.add(monitor)
    if drive is not None:
        live.network.add(drive_operation(live.neurons, drive))
    live.run(duration * second)
    times = np.array(monitor.t_[:]) + spec.dt
    for part in parts:
        times -= getattr(monitor, f"{part}_")[:]
    order = np.argsort(times, kind="stable")
    return SpikeTrain(times[order], np.array(monitor.i[:])[order], np.full(times.size, -1))


def spike_train(spec: NetworkSpec, duration: float, *, drive: Drive | None = None) -> SpikeTrain:
    """Run a network as cheaply as its tangent dynamics allow, and return its spikes.

    Parameters are those of `exact_spike_train`. A network with spikes on the time grid runs from event to event: slopes
    at the threshold are needed, and on the grid many are not those of a crossing. Brian2 runs it, with its own
    step and spike timing, if it has spikes between grid points, or delays.
    """
    if spec.spike_timing == "grid" and (spec.delays is None or not spec.delays.any()):
        return exact_spike_train(spec, duration, drive=drive)
    return simulated_spike_train(spec, duration, drive=drive)
