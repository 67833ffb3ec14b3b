"""Tangent dynamics of LIF networks along a recorded spike train, exact between spikes and at them.

The tangent flow of a LIF network is linear and known, and its jumps depend on nothing but the spike times, the weights
and the drive. So the vectors can follow any spike train, whatever simulated it. Coordinates are, for every neuron, its
potential v, or, while the neuron is held at the reset, ``y = -shift/tau_m`` of its spike time; and its synaptic current
where synapses are exponential.

Within a segment of time the vectors are kept as amplitudes of the exponentials they decay with, so that nothing
happens between spikes. Spikes are handled one by one in a compiled loop (`tangent_source`), or in NumPy where nothing
can be compiled.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.tangent_source import SOURCE
from lnpbrian.network.engines.extension import compiled
from lnpbrian.network.signals import Drive, SpikeTrain
from lnpbrian.network.spec import NetworkSpec

__all__ = ["LIFTangent"]

# Amplitudes of the fastest membrane grow by exp of this within a segment.
_LARGEST_EXPONENT = 40.0


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
        The compiled loop, or the same in NumPy; "auto" takes the first where it can be compiled.

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
        self._native = None if engine == "numpy" else compiled(SOURCE)
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
        neurons = self.spikes.indices[which]
        trigger = np.where(is_spike, self.spikes.triggers[which], -1)
        trigger = np.where(trigger >= 0, self.spikes.indices[trigger], -1)
        events = neurons, when - self.time, is_spike, trigger, self._input(neurons, when)
        if self._native is None:
            expansion, flat = self._pass_in_numpy(vectors, *events)
        else:
            held, spikes = self._held.view(np.uint8), is_spike.view(np.uint8)
            expansion, flat = self._native.pass_events(
                *(vectors, held, self._current, self._tau, self._kappa, self._tau_syn),
                *(self._first, self._target, self._out.data, self._effects),
                *(*events[:2], spikes, *events[3:], self._delta),
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

    def _input(self, neurons: np.ndarray, when: np.ndarray) -> np.ndarray:
        """Return bias and drive of `neurons` at the times `when`."""
        total = self.spec.bias[neurons]
        if self.drive is not None:
            # A spike on the time grid ends the step that led to it, also where the drive changes.
            step = np.maximum(when / self.drive.hold - 1e-9, 0).astype(int) % len(self.drive.values)
            total = total + self.drive.values[step, neurons]
        return total

    def _pass_in_numpy(
        self,
        vectors: np.ndarray,
        neurons: np.ndarray,
        times: np.ndarray,
        is_spike: np.ndarray,
        triggers: np.ndarray,
        inputs: np.ndarray,
    ) -> tuple[float, int]:
        """Carry amplitudes through events as `tangent_source` does, and return what it returns."""
        n, delta, tau_s = self.spec.n_neurons, self._delta, self._tau_syn
        x, z = vectors[:n], vectors[n:]
        expansion, flat = 0.0, 0
        for i, t, fires, trigger, total in zip(neurons, times, is_spike, triggers, inputs, strict=True):
            tau, kappa, grown = self._tau[i], self._kappa[i], np.exp(t / self._tau[i])
            grown_s = 0.0 if delta else np.exp(t / tau_s)
            if not delta:
                total = total + self._current[i] / grown_s
            if not fires:
                # A neuron is released with v = I y; what its current brings from then on is part of the amplitude.
                x[i] *= total * grown
                if not delta:
                    x[i] -= kappa * grown / grown_s * z[i]
                self._held[i] = False
                expansion += np.log(np.abs(total)) + t / tau
                continue
            if trigger >= 0:  # it takes over the time of the spike that triggered it
                shift = -self._tau[trigger] * x[trigger]
                expansion = -np.inf
            else:
                slope = (total - 1) / tau
                shift = -x[i] / grown / slope if delta else -(x[i] / grown + kappa / grown_s * z[i]) / slope
                flat += int(slope <= 0)
                expansion -= np.log(np.abs(slope * tau)) + t / tau
            x[i] = -shift / tau
            self._held[i] = True
            synapses = slice(self._first[i], self._first[i + 1])
            targets, weights = self._target[synapses], self._out.data[synapses]
            effects = self._effects[synapses] * np.exp(t / self._tau[targets])
            x[targets] += np.outer(np.where(self._held[targets], 0.0, effects), shift)
            if not delta:
                z[targets] += np.outer(weights * (grown_s / tau_s), shift)
                self._current[targets] += weights * grown_s
        return expansion, flat
