"""Tangent dynamics of LIF networks along a recorded spike train, exact between spikes and at them.

The tangent flow of a LIF network is linear and known, and its jumps depend on nothing but the spike times, the weights
and the drive. So the vectors can follow any spike train, whatever simulated it. Coordinates are, for every neuron, its
potential v, or, while the neuron is held at the reset, ``y = -shift/tau_m`` of its spike time; and its synaptic current
where synapses are exponential.

Within a segment of time the vectors are kept as amplitudes of the exponentials they decay with, so that nothing
happens between spikes. Spikes are handled one by one in a compiled loop (`tangent_source`); where nothing can be
compiled, in groups, by one triangular solve and two sparse products each.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.tangent_source import source
from lnpbrian.network.engines.extension import compiled
from lnpbrian.network.signals import Drive, SpikeTrain
from lnpbrian.network.spec import NetworkSpec

__all__ = ["LIFTangent"]

# Amplitudes of the fastest membrane grow by exp of this within a segment.
_LARGEST_EXPONENT = 40.0
# Spikes of one group: the solve costs their square per vector, everything else a constant per group.
_GROUP = 96


class LIFTangent:
    """The tangent system of a LIF network along a spike train.

    Parameters
    ----------
    spec : NetworkSpec
        The network, N neurons, none of them silenced, without delays.
    spikes : SpikeTrain
        A run of it from its initial potentials.
    drive : Drive, optional
        The drive of that run.
    engine : {"auto", "native", "numpy"}
        The compiled loop, or groups of spikes in NumPy; "auto" takes the first where it can be compiled.

    Attributes
    ----------
    dimension : int
        2 N with exponential synapses, N with delta synapses.
    collapses : int
        Triggered spikes so far: each makes the tangent map singular, since the neuron takes over the time of the
        spike that triggered it and its own potential is forgotten.
    flat : int
        Spikes so far at which the potential, by the recorded times, was not rising: errors of the simulation at
        grazing crossings.

    Raises
    ------
    InvalidInput
        If the engine is none of these, or is to be compiled and cannot be.

    Notes
    -----
    A spike of neuron k at which the total input is I_k moves by ``dt_k = -dv_k tau_k/(I_k - 1)``. At a jump of the
    current by W_ik, ``dI_i += W_ik/tau_syn dt_k`` and ``dv_i -= W_ik/tau_i dt_k``; at a jump of the potential,
    ``dv_i += W_ik/tau_i dt_k``. At the release from refractoriness ``dv_k = -I_k/tau_k dt_k`` with the input of that
    time. These are the saltation matrices of a spike and of a release (Bizzarri, Brambilla and Storti Gajani 2013,
    doi:10.1007/s10827-013-0448-6; on the refractory period, Zhou et al. 2010, doi:10.1007/s10827-009-0201-3).

    Examples
    --------
    Below threshold both coordinates of a neuron decay, by tau_m = 20 ms and tau_syn = 5 ms:

    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> silent = SpikeTrain(np.zeros(0, dtype=int), np.zeros(0), n_neurons=1, duration=0.1)
    >>> float(LIFTangent(uncoupled([20] * ms), silent).advance(np.eye(2), 0.1)) / 0.1
    -250.0
    """

    def __init__(
        self, spec: NetworkSpec, spikes: SpikeTrain, drive: Drive | None = None, *, engine: str = "auto"
    ) -> None:
        checks.choice("engine", engine, ("auto", "native", "numpy"))
        self._native = None if engine == "numpy" else compiled(source())
        if engine == "native" and self._native is None:
            raise InvalidInput("engine='native' needs a C++ compiler, which Brian2 does not find; use 'numpy'")
        n = spec.n_neurons
        self.spec = spec
        self.spikes = spikes
        self.drive = drive
        self.time = 0.0
        self.collapses = 0
        self.flat = 0
        self._tau = spec.time_constants
        self._tau_syn = spec.synaptic_time_constant
        self._delta = spec.has_delta_synapses
        self.dimension = n if self._delta else 2 * n
        # Column k: the weights of the synapses from neuron k.
        self._out = sp.csc_array((spec.weights, (spec.post, spec.pre)), shape=(n, n))
        self._first, self._target = self._out.indptr.astype(np.int64), self._out.indices.astype(np.int32)
        # The membrane's part of a current e^(-t/tau_syn); -1 makes the jump of a potential the same formula.
        self._kappa = -np.ones(n) if self._delta else self._tau_syn / (self._tau_syn - self._tau)
        # What a shift of the spike of a column adds to the amplitude of the membrane of a row, at the time of 0.
        self._effects = -self._kappa[self._out.indices] * self._out.data / self._tau[self._out.indices]
        self._release_times = spikes.times + spec.refractory_period
        self._held = np.zeros(n, dtype=bool)
        self._current = np.zeros(n)
        self._longest = _LARGEST_EXPONENT * float(self._tau.min())

    def advance(self, vectors: np.ndarray, duration: float) -> float:
        """See `lnpbrian.lyapunov.systems.TangentSystem`; `vectors` is C-contiguous, potentials first."""
        n_segments = int(np.ceil(duration / self._longest))
        start, log_det = self.time, 0.0
        for k in range(n_segments):
            log_det += self._segment(vectors, start + (k + 1) * duration / n_segments)
        return log_det

    def potentials(self, vectors: np.ndarray) -> np.ndarray:
        """Return the differences of the potentials, (N, k); of a held neuron the one that its release will bring."""
        held = np.flatnonzero(self._held)
        v = vectors[: self.spec.n_neurons].copy()
        total = self._input(held, np.full(held.size, self.time))
        v[held] *= (total + self._current[held])[:, np.newaxis]
        return v

    def _segment(self, vectors: np.ndarray, stop: float) -> float:
        n, tau, span = self.spec.n_neurons, self._tau, stop - self.time
        x, z = vectors[:n], vectors[n:]
        if not self._delta:
            x -= np.where(self._held, 0.0, self._kappa)[:, np.newaxis] * z
        log_det = 0.0
        log_det += self._pass_events(vectors, stop)
        x *= np.where(self._held, 1.0, np.exp(-span / tau))[:, np.newaxis]
        if not self._delta:
            decay = np.exp(-span / self._tau_syn)
            z *= decay
            x += np.where(self._held, 0.0, self._kappa)[:, np.newaxis] * z
            self._current *= decay
            log_det -= n * span / self._tau_syn
        self.time = stop
        return log_det - float(np.sum(span / tau[~self._held]))

    def _pass_events(self, vectors: np.ndarray, stop: float) -> float:
        """Carry the amplitudes through the spikes and releases up to `stop`, and return the logarithm of expansion."""
        which, is_spike, when = self._events(stop)
        n = self.spec.n_neurons
        if self._native is None:
            return sum(self._pass_group(vectors[:n], vectors[n:], g) for g in self._groups(which, is_spike, when))
        neurons = self.spikes.indices[which]
        trigger = np.where(is_spike, self.spikes.triggers[which], -1)
        trigger = np.where(trigger >= 0, self.spikes.indices[trigger], -1)
        held = self._held.view(np.uint8)
        expansion, flat = self._native.pass_events(
            *(vectors, held, self._current, self._tau, self._kappa, self._tau_syn),
            *(self._first, self._target, self._out.data, self._effects),
            *(neurons, when - self.time, is_spike.view(np.uint8), trigger, self._input(neurons, when), self._delta),
        )
        self.flat += flat
        self.collapses += int((trigger >= 0).sum())
        return float(expansion)

    def _events(self, stop: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the spikes and releases up to `stop` in order: which spike, whether it is one, and when."""
        spikes = np.arange(*np.searchsorted(self.spikes.times, [self.time, stop], side="right"))
        releases = np.arange(*np.searchsorted(self._release_times, [self.time, stop], side="right"))
        which = np.concatenate([spikes, releases])
        is_spike = np.arange(which.size) < spikes.size
        when = np.concatenate([self.spikes.times[spikes], self._release_times[releases]])
        # At equal times the spikes come first: who fires at an instant ignores its jumps.
        order = np.lexsort((which, ~is_spike, when))
        return which[order], is_spike[order], when[order]

    def _groups(self, which: np.ndarray, is_spike: np.ndarray, when: np.ndarray) -> list[_Events]:
        """Cut spikes and releases into groups in which no neuron fires after another event of its."""
        neurons = self.spikes.indices[which]
        # For a spike, the place of the event of the same neuron before it.
        before = np.full(which.size, -1)
        by_neuron = np.argsort(neurons, kind="stable")
        same = neurons[by_neuron][1:] == neurons[by_neuron][:-1]
        before[by_neuron[1:][same]] = by_neuron[:-1][same]
        before[~is_spike] = -1
        # A group may begin anywhere but at a spike that another one of the same instant triggered.
        begins = np.append((self.spikes.triggers[which] < 0) | ~is_spike, True)
        groups, start = [], 0
        while start < which.size:
            end = min(start + 2 * _GROUP, which.size)
            conflicts = np.flatnonzero(before[start:end] >= start)
            end = start + int(conflicts[0]) if conflicts.size else end
            earlier = np.flatnonzero(begins[start + 1 : end + 1])
            end = start + 1 + int(earlier[-1] if earlier.size else np.argmax(begins[start + 1 :]))
            part = slice(start, end)
            groups.append(_Events(which[part], neurons[part], when[part] - self.time, is_spike[part], self.spikes))
            start = end
        return groups

    def _input(self, neurons: np.ndarray, when: np.ndarray) -> np.ndarray:
        """Return bias and drive of `neurons` at the times `when`."""
        total = self.spec.bias[neurons]
        if self.drive is not None:
            # A spike on the time grid ends the step that led to it, also where the drive changes.
            step = np.maximum(when / self.drive.hold - 1e-9, 0).astype(int) % len(self.drive.values)
            total = total + self.drive.values[step, neurons]
        return total

    def _pass_group(self, x: np.ndarray, z: np.ndarray, events: _Events) -> float:
        """Carry the amplitudes `x` of the membranes (y where held) and `z` of the currents through one group."""
        fired, released, t, r = events.fired, events.released, events.spike_times, events.release_times
        tau_f, tau_r, tau_s = self._tau[fired], self._tau[released], self._tau_syn
        out = _Outgoing(self._out, self._effects, fired, released)
        # Weights among the events of the group, where the spike of the column comes before the event of the row.
        onto_fired = out.onto(fired) * np.tri(fired.size, k=-1)
        onto_released = out.onto(released) * (events.order_of_spikes < events.order_of_releases[:, np.newaxis])
        since_f = np.maximum(t[:, np.newaxis] - t, 0)
        since_r = np.maximum(r[:, np.newaxis] - t, 0)

        input_f = self._input(fired, self.time + t)
        input_r = self._input(released, self.time + r)
        base = x[fired] * np.exp(-t / tau_f)[:, np.newaxis]
        response = -np.exp(-since_f / tau_f[:, np.newaxis]) / tau_f[:, np.newaxis]
        if not self._delta:
            input_f += self._current[fired] * np.exp(-t / tau_s) + (onto_fired * np.exp(-since_f / tau_s)).sum(axis=1)
            input_r += self._current[released] * np.exp(-r / tau_s)
            input_r += (onto_released * np.exp(-since_r / tau_s)).sum(axis=1)
            base += z[fired] * (self._kappa[fired] * np.exp(-t / tau_s))[:, np.newaxis]
            response += np.exp(-since_f / tau_s) / tau_s

        # shift_l = -(dv_l/slope_l), dv_l = base_l + sum_g coupling_lg shift_g
        triggered = events.triggers >= 0
        slope = np.where(triggered, 1.0, (input_f - 1) / tau_f)
        coupling = onto_fired * self._kappa[fired][:, np.newaxis] * response / slope[:, np.newaxis]
        right = base / -slope[:, np.newaxis]
        coupling[triggered], right[triggered] = 0, 0
        coupling[triggered, events.triggers[triggered]] = -1
        shifts = scipy.linalg.solve_triangular(
            coupling, right, lower=True, unit_diagonal=True, overwrite_b=True, check_finite=False
        )
        y = shifts / -tau_f[:, np.newaxis]

        # A neuron is released with v = I y; what its current brings from then on is part of the amplitude.
        own = events.spike_of_release
        y_released = x[released]
        y_released[own >= 0] = y[own[own >= 0]]
        x[released] = (input_r * np.exp(r / tau_r))[:, np.newaxis] * y_released
        if not self._delta:
            x[released] -= (self._kappa[released] * np.exp(r / tau_r - r / tau_s))[:, np.newaxis] * z[released]
        self._held[fired] = True
        self._held[released] = False
        change = out.product(self._onto_membranes(out, events), shifts)
        change[self._held] = 0
        x += change
        still = self._held[fired]
        x[fired[still]] = y[still]
        if not self._delta:
            rise = np.exp(t / tau_s)
            z += out.product(out.weights, shifts * (rise / tau_s)[:, np.newaxis])
            self._current += out.product(out.weights, rise[:, np.newaxis])[:, 0]

        self.flat += int(np.sum(slope <= 0))
        self.collapses += int(triggered.sum())
        if triggered.any():
            return -np.inf
        expansion = np.log(np.abs(input_r)).sum() - np.log(np.abs(slope * tau_f)).sum()
        return float(expansion + np.sum(r / tau_r) - np.sum(t / tau_f))

    def _onto_membranes(self, out: _Outgoing, events: _Events) -> np.ndarray:
        """Return, for every synapse, how much of its spike's shift goes to the amplitude of its target's membrane.

        Where the target is held it does not count.
        """
        tau_s = self._tau_syn
        effect = out.effects * np.exp(events.spike_times[out.columns] / self._tau[out.rows])
        # Before a release the spike acts through the current alone.
        release_order = np.full(self.spec.n_neurons, -1)
        release_order[events.released] = events.order_of_releases
        hit = out.onto_events
        early = hit[events.order_of_spikes[out.columns[hit]] < release_order[out.rows[hit]]]
        if self._delta:
            effect[early] = 0
        else:
            rows = out.rows[early]
            release = np.zeros(self.spec.n_neurons)
            release[events.released] = events.release_times
            r, t = release[rows], events.spike_times[out.columns[early]]
            scale = -self._kappa[rows] * out.weights[early]
            effect[early] = scale * np.exp(r / self._tau[rows] + (t - r) / tau_s) / tau_s
        return effect


class _Outgoing:
    """The synapses of a group of spikes: a column for each spike."""

    def __init__(self, matrix: sp.csc_array, effects: np.ndarray, fired: np.ndarray, released: np.ndarray) -> None:
        n = matrix.shape[0]
        sizes = matrix.indptr[fired + 1] - matrix.indptr[fired]
        self._starts = np.concatenate(([0], np.cumsum(sizes)))
        self.columns = np.repeat(np.arange(fired.size), sizes)
        synapses = np.arange(self._starts[-1]) + np.repeat(matrix.indptr[fired] - self._starts[:-1], sizes)
        self.rows = matrix.indices[synapses]
        self.weights = matrix.data[synapses]
        self.effects = effects[synapses]
        self._n = n
        # The few synapses onto neurons that have an event in the group.
        eventful = np.zeros(n, dtype=bool)
        eventful[fired] = True
        eventful[released] = True
        self.onto_events = np.flatnonzero(eventful[self.rows])

    def onto(self, neurons: np.ndarray) -> np.ndarray:
        """Return the weights onto `neurons` with an event in the group, a row each."""
        place = np.full(self._n, -1)
        place[neurons] = np.arange(neurons.size)
        rows = place[self.rows[self.onto_events]]
        hit = self.onto_events[rows >= 0]
        dense = np.zeros((neurons.size, self._starts.size - 1))
        np.add.at(dense, (rows[rows >= 0], self.columns[hit]), self.weights[hit])
        return dense

    def product(self, values: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the product of the matrix that holds `values` at the synapses with `right`."""
        matrix = sp.csc_array((values, self.rows, self._starts), shape=(self._n, self._starts.size - 1))
        return matrix @ right


class _Events:
    """A group of spikes and releases in order; times count from the start of the segment."""

    def __init__(
        self, which: np.ndarray, neurons: np.ndarray, when: np.ndarray, is_spike: np.ndarray, spikes: SpikeTrain
    ) -> None:
        order = np.arange(which.size)
        self.fired, self.released = neurons[is_spike], neurons[~is_spike]
        self.spike_times, self.release_times = when[is_spike], when[~is_spike]
        self.order_of_spikes, self.order_of_releases = order[is_spike], order[~is_spike]
        first = which[is_spike]
        # Places in the group, -1 where the spike is not in it.
        self.spike_of_release = _places(which[~is_spike], first)
        self.triggers = _places(spikes.triggers[first], first)


def _places(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return where each value stands in the increasing array `among`, -1 where it does not."""
    if not among.size:
        return np.full(values.size, -1)
    place = np.searchsorted(among, values).clip(max=among.size - 1)
    return np.where(among[place] == values, place, -1)
