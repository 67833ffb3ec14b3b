"""Spike trains with the times of spikes between the steps of the time grid, for the tangent dynamics.

Networks with exponential synapses run in Brian2 with precise spikes. Delta synapses have a closed form from event to
event, without a time grid, and jumps that lift a neuron over its threshold fire it at that very instant.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from brian2 import SpikeMonitor, second

from lnpbrian.checks import InvalidInput
from lnpbrian.network import NetworkSpec, RecurrentNetwork
from lnpbrian.simulate import Drive, drive_operation

__all__ = ["SpikeTrain", "precise_timing", "spike_train"]

# Crossings missed or mistaken within a step are of first order in it, their times of second.
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
        The earlier spike whose jump lifted the potential over the threshold at that very instant; -1 where the
        potential crossed it by itself. Only delta synapses trigger spikes.
    """

    times: np.ndarray
    indices: np.ndarray
    triggers: np.ndarray

    def __repr__(self) -> str:
        return f"SpikeTrain({self.times.size} spikes)"


def precise_timing(spec: NetworkSpec, drive: Drive | None = None) -> NetworkSpec:
    """Return the same network with spikes between the steps, and a step short enough for that.

    Networks with delta synapses are returned as they are: `spike_train` needs no steps for them.

    Raises
    ------
    InvalidInput
        If synapses are exponential and there is no refractory period.
    """
    if spec.has_delta_synapses:
        return spec
    if spec.refractory_period == 0:
        raise InvalidInput("precise spikes of exponential synapses need a refractory period above 0")
    dt = min(spec.dt, LARGEST_STEP, spec.refractory_period / 2)
    if drive is not None:
        # The drive changes between steps, not within one.
        dt = drive.hold / np.ceil(drive.hold / dt - 1e-6)
    return replace(spec, dt=dt, spike_timing="precise")


def spike_train(spec: NetworkSpec, duration: float, *, drive: Drive | None = None) -> SpikeTrain:
    """Run a network from its initial potentials and return its spikes.

    Parameters
    ----------
    spec : NetworkSpec
        The network. With exponential synapses it is run by Brian2 in its own `spike_timing`; a spike on the grid
        counts at the end of its step, where it acts.
    duration : float
        In seconds.
    drive : Drive, optional
        Of N neurons.

    Raises
    ------
    InvalidInput
        If delta synapses make a neuron without refractory period fire twice at one instant.
    """
    if spec.has_delta_synapses:
        return _EventDriven(spec, drive).run(duration)
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


class _EventDriven:
    """LIF neurons with delta synapses, from one threshold crossing to the next."""

    def __init__(self, spec: NetworkSpec, drive: Drive | None) -> None:
        n = spec.n_neurons
        self.spec, self.drive = spec, drive
        # Column k: the synapses from neuron k; parallel ones are summed.
        self.out = sp.csc_array((spec.weights, (spec.post, spec.pre)), shape=(n, n))
        self.v = np.where(spec.alive, spec.initial_potential, 0.0)
        # The time at which `v` holds; in the future for a neuron that is held until then.
        self.at = np.zeros(n)
        self.input = spec.bias.copy()
        self.crossing = np.full(n, np.inf)
        self.times: list[float] = []
        self.indices: list[int] = []
        self.triggers: list[int] = []

    def run(self, duration: float) -> SpikeTrain:
        now = 0.0
        for stop, current in self._pieces(duration):
            self._move_on(np.flatnonzero(self.at < now), now)
            self.input = self.spec.bias if current is None else self.spec.bias + current
            self._foresee(np.arange(self.v.size))
            while True:
                k = int(np.argmin(self.crossing))
                if not self.crossing[k] <= stop:
                    break
                self._fire(k, float(self.crossing[k]))
            now = stop
        return SpikeTrain(np.array(self.times), np.array(self.indices, int), np.array(self.triggers, int))

    def _pieces(self, duration: float) -> list[tuple[float, np.ndarray | None]]:
        """Return the ends of the stretches of constant drive, and the drive in each."""
        if self.drive is None:
            return [(duration, None)]
        n_pieces = int(np.ceil(duration / self.drive.hold - 1e-9))
        return [
            (min((k + 1) * self.drive.hold, duration), self.drive.values[k % len(self.drive.values)])
            for k in range(n_pieces)
        ]

    def _move_on(self, which: np.ndarray, now: float) -> None:
        b = self.input[which]
        self.v[which] = b + (self.v[which] - b) * np.exp((self.at[which] - now) / self.spec.time_constants[which])
        self.at[which] = now

    def _foresee(self, which: np.ndarray) -> None:
        b, v = self.input[which], self.v[which]
        reaches = b > 1
        wait = np.log((b - v)[reaches] / (b[reaches] - 1)) * self.spec.time_constants[which][reaches]
        self.crossing[which] = np.inf
        self.crossing[which[reaches]] = self.at[which[reaches]] + wait

    def _fire(self, first: int, now: float) -> None:
        """Fire a neuron, and all that its jump lifts over the threshold, generation by generation."""
        waiting = deque([(first, -1)])
        lifted, changed = {first}, []
        while waiting:
            k, trigger = waiting.popleft()
            own = len(self.times)
            self.times.append(now)
            self.indices.append(k)
            self.triggers.append(trigger)
            self.v[k], self.at[k] = 0.0, now + self.spec.refractory_period
            part = slice(self.out.indptr[k], self.out.indptr[k + 1])
            free = self.at[self.out.indices[part]] <= now
            targets, weights = self.out.indices[part][free], self.out.data[part][free]
            self._move_on(targets, now)
            above = self.v[targets] >= 1
            self.v[targets] += weights
            for i in targets[(self.v[targets] >= 1) & ~above].tolist():
                if i in lifted:
                    raise InvalidInput(
                        f"neuron {i} is lifted over the threshold twice at one instant, {1e3 * now:g} ms; "
                        "give the network a refractory period or weaker excitation"
                    )
                lifted.add(i)
                waiting.append((i, own))
            changed.append(targets)
        self._foresee(np.unique(np.concatenate([*changed, list(lifted)])))
