"""Exact simulation of LIF networks from one threshold crossing to the next, without a time grid.

With delta synapses a potential is one exponential, and its crossing a logarithm. With exponential synapses it is

    v(s) = b + c e^(-s/tau_syn) + d e^(-s/tau_m),    c = kappa I(0),  kappa = tau_syn/(tau_syn - tau_m)

with the time s since the start of a window; a jump w of the current at s adds kappa w e^(s/tau_syn) to c and takes
kappa w e^(s/tau_m) from d. It has at most one extremum, so that a crossing can be bracketed and found to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import exp, log

import numpy as np
import scipy.sparse as sp

from lnpbrian.network.signals import Drive
from lnpbrian.network.spec import NetworkSpec

__all__ = ["DeltaNetwork", "ExponentialNetwork"]

Report = Callable[[float], None]

# Windows in which crossings of exponential networks are looked for: short enough that few neurons cross in one.
WINDOW = 0.5e-3


def pieces(duration: float, drive: Drive | None, longest: float) -> Iterator[tuple[float, float, np.ndarray | None]]:
    """Yield start and end (s) of stretches in which the drive is constant, and the drive (N,), None without one.

    Parameters
    ----------
    duration, longest : float, s
        Of the whole, and of a stretch.
    drive : Drive or None

    Examples
    --------
    >>> for start, end, current in pieces(0.03, Drive(np.array([[1.0], [2.0]]), hold=0.02), longest=0.01):
    ...     print(round(start, 3), round(end, 3), current)
    0.0 0.01 [1.]
    0.01 0.02 [1.]
    0.02 0.03 [2.]
    """
    hold = duration if drive is None else drive.hold
    for k in range(int(np.ceil(duration / hold - 1e-9))):
        start, end = k * hold, min((k + 1) * hold, duration)
        parts = max(1, int(np.ceil((end - start) / longest - 1e-9)))
        current = None if drive is None else drive.values[k % len(drive.values)]
        for m in range(parts):
            yield start + m * (end - start) / parts, start + (m + 1) * (end - start) / parts, current


class _EventDriven:
    """What both kinds of networks are made of.

    Parameters
    ----------
    spec : NetworkSpec
        The network; delays and `spike_timing` are not looked at.
    drive : Drive, optional
        Of N neurons.
    """

    def __init__(self, spec: NetworkSpec, drive: Drive | None) -> None:
        n = spec.n_neurons
        self.spec, self.drive = spec, drive
        # Column k: the synapses from neuron k; parallel ones are summed.
        self.out = sp.csc_array((spec.weights, (spec.post, spec.pre)), shape=(n, n))
        self.tau = spec.time_constants
        self.v = np.where(spec.alive, spec.initial_potential, 0.0)
        self.b = spec.bias
        self.crossing = np.full(n, np.inf)
        self.times: list[float] = []
        self.indices: list[int] = []


class ExponentialNetwork(_EventDriven):
    """LIF neurons with exponential synapses; parameters are those of `_EventDriven`.

    Notes
    -----
    Exact integration from event to event (Brette 2007, doi:10.1162/neco.2007.19.10.2604). His roots are those of a
    polynomial, as time constants are multiples of one; here they are any, and Newton's method runs in a bracket.

    Examples
    --------
    Neuron 0 fires at 20 ms ln 2 and lifts neuron 1 over its threshold. With tau = 20 ms, tau_syn = 5 ms and w = 3 its
    potential after s is 0.9 + e^(-s/tau) - e^(-s/tau_syn):

    >>> from dataclasses import replace
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> spec = uncoupled([20, 20] * ms, bias=[2.0, 0.9])
    >>> spec = replace(spec, initial_potential=[0.0, 0.9], pre=[0], post=[1], weights=[3.0])
    >>> times, neurons, _ = ExponentialNetwork(spec, None).run(0.016)
    >>> s = np.diff(times)
    >>> neurons, bool(np.allclose(0.9 + np.exp(-s / 0.02) - np.exp(-s / 0.005), 1))
    ([0, 1], True)
    """

    def __init__(self, spec: NetworkSpec, drive: Drive | None) -> None:
        super().__init__(spec, drive)
        self.tau_s = spec.synaptic_time_constant
        self.kappa = self.tau_s / (self.tau_s - self.tau)
        self.c, self.d = np.zeros(spec.n_neurons), np.zeros(spec.n_neurons)
        # When a neuron moves freely; like `crossing`, from the start of the window on.
        self.free = np.zeros(spec.n_neurons)

    def run(self, duration: float, report: Report | None = None) -> tuple[list[float], list[int], list[int]]:
        """Return times, neurons and triggers of the spikes."""
        everyone = np.arange(self.v.size)
        self.free[~self.spec.alive] = np.inf
        for start, end, current in pieces(duration, self.drive, WINDOW):
            span = end - start
            self.b = self.spec.bias if current is None else self.spec.bias + current
            self.d = self.v - self.b - self.c
            self._release(np.flatnonzero((self.free > 0) & (self.free < span)))
            self._foresee(everyone, 0.0, span)
            while True:
                k = int(np.argmin(self.crossing))
                now = float(self.crossing[k])
                if now == np.inf:
                    break
                self.times.append(start + now)
                self.indices.append(k)
                self._fire(k, now, span)
            self.v = self.b + self.c * exp(-span / self.tau_s) + self.d * np.exp(-span / self.tau)
            self.c *= exp(-span / self.tau_s)
            self.v[self.free >= span] = 0.0
            self.free = np.maximum(self.free - span, 0.0)
            if report is not None:
                report(end / duration)
        return self.times, self.indices, [-1] * len(self.times)

    def _release(self, which: np.ndarray) -> None:
        """Let neurons start from v = 0 at the end of their refractory periods."""
        s = self.free[which]
        c = self.c[which] * np.exp(-s / self.tau_s)
        self.d[which] = -(self.b[which] + c) * np.exp(s / self.tau[which])

    def _fire(self, k: int, now: float, span: float) -> None:
        part = slice(self.out.indptr[k], self.out.indptr[k + 1])
        targets, jump = self.out.indices[part], self.out.data[part]
        self.free[k] = now + self.spec.refractory_period
        self.crossing[k] = np.inf
        jump = jump * self.kappa[targets]
        self.c[targets] += jump * exp(now / self.tau_s)
        self.d[targets] -= jump * np.exp(now / self.tau[targets])
        free = self.free[targets]
        self._release(targets[(free > now) & (free < span)])
        self._foresee(targets[free < span], now, span)
        if self.free[k] < span:
            self._release(np.array([k]))
            self._foresee(np.array([k]), now, span)

    def _foresee(self, which: np.ndarray, now: float, span: float) -> None:
        """Find when the neurons `which` cross the threshold between `now`, or their release, and the window's end."""
        b, c, d, tau, tau_s = self.b[which], self.c[which], self.d[which], self.tau[which], self.tau_s
        start = np.maximum(self.free[which], now)
        late_c, late_d = c * exp(-span / tau_s), d * np.exp(-span / tau)
        first_c, first_d = c * np.exp(-start / tau_s), d * np.exp(-start / tau)
        rises_first = first_c / tau_s + first_d / tau < 0
        rises_last = late_c / tau_s + late_d / tau < 0
        ends_above = b + late_c + late_d >= 1
        self.crossing[which] = np.inf
        for m in np.flatnonzero((start < span) & (ends_above | (rises_first & ~rises_last))).tolist():
            self.crossing[which[m]] = _crossing(
                float(b[m]), float(c[m]), float(d[m]), float(tau[m]), tau_s, float(start[m]), span
            )


def _crossing(b: float, c: float, d: float, tau: float, tau_s: float, low: float, high: float) -> float:
    """Return the first s in [low, high] with b + c e^(-s/tau_s) + d e^(-s/tau) = 1 from below, or inf."""
    ratio = -d * tau_s / (c * tau) if c else -1.0
    if ratio > 0:
        # The slope vanishes where e^(s (1/tau - 1/tau_s)) = ratio.
        extremum = log(ratio) / (1 / tau - 1 / tau_s)
        if low < extremum < high:
            if b + c * exp(-extremum / tau_s) + d * exp(-extremum / tau) >= 1:
                high = extremum
            else:
                low = extremum
    if b + c * exp(-high / tau_s) + d * exp(-high / tau) < 1:
        return np.inf
    # Between `low` and `high` v rises through 1: Newton's method, bisection where it would leave.
    s = high
    for _ in range(100):
        slow, fast = c * exp(-s / tau_s), d * exp(-s / tau)
        above = b + slow + fast - 1
        if above < 0:
            low = s
        else:
            high = s
        slope = -slow / tau_s - fast / tau
        better = s - above / slope if slope > 0 else low
        if not low < better < high:
            better = (low + high) / 2
        if abs(better - s) <= 1e-18 + 4e-16 * s:
            return better
        s = better
    return s


class DeltaNetwork(_EventDriven):
    """LIF neurons with delta synapses; jumps that lift a neuron over its threshold fire it at that very instant.

    Parameters are those of `_EventDriven`.

    Notes
    -----
    Between events every potential is one exponential, so that each next spike is known in closed form (event-driven
    simulation as in Mattia and Del Giudice 2000, doi:10.1162/089976600300014953).

    Examples
    --------
    Neuron 0 fires at 20 ms ln 2, and neuron 1 with it, triggered by spike 0:

    >>> from dataclasses import replace
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> spec = uncoupled([20, 20] * ms, bias=[2.0, 0.5], synaptic_time_constant=0 * ms)
    >>> times, neurons, triggers = DeltaNetwork(replace(spec, pre=[0], post=[1], weights=[1.0]), None).run(0.015)
    >>> neurons, triggers, times[0] == times[1]
    ([0, 1], [-1, 0], True)
    """

    def __init__(self, spec: NetworkSpec, drive: Drive | None) -> None:
        super().__init__(spec, drive)
        # The time at which `v` holds; in the future for a neuron that is held until then.
        self.at = np.zeros(spec.n_neurons)
        self.triggers: list[int] = []

    def run(self, duration: float, report: Report | None = None) -> tuple[list[float], list[int], list[int]]:
        """Return times, neurons and triggers of the spikes."""
        self.at[~self.spec.alive] = np.inf
        for start, end, current in pieces(duration, self.drive, np.inf):
            self._move_on(np.flatnonzero(self.at < start), start)
            self.b = self.spec.bias if current is None else self.spec.bias + current
            self._foresee(np.arange(self.v.size))
            while True:
                k = int(np.argmin(self.crossing))
                if not self.crossing[k] <= end:
                    break
                self._fire(k, float(self.crossing[k]))
                if report is not None:
                    report(self.times[-1] / duration)
        return self.times, self.indices, self.triggers

    def _move_on(self, which: np.ndarray, now: float) -> None:
        b = self.b[which]
        self.v[which] = b + (self.v[which] - b) * np.exp((self.at[which] - now) / self.tau[which])
        self.at[which] = now

    def _foresee(self, which: np.ndarray) -> None:
        b, v = self.b[which], self.v[which]
        reaches = b > 1
        wait = np.log((b - v)[reaches] / (b[reaches] - 1)) * self.tau[which][reaches]
        self.crossing[which] = np.inf
        self.crossing[which[reaches]] = self.at[which[reaches]] + wait

    def _fire(self, first: int, now: float) -> None:
        """Fire a neuron and, generation by generation, all that jumps lift over the threshold at the same instant.

        The jumps of a generation add up. A neuron that fires ignores all jumps of that instant.
        """
        root = len(self.times)
        free = self.at <= now
        generation, changed = np.array([first]), []
        while generation.size:
            self.times += [now] * generation.size
            self.triggers += [root if len(self.indices) > root else -1] * generation.size
            self.indices += generation.tolist()
            free[generation] = False
            out = self.out[:, generation]
            hit = free[out.indices]
            targets = np.unique(out.indices[hit])
            self._move_on(targets, now)
            np.add.at(self.v, out.indices[hit], out.data[hit])
            changed += [generation, targets]
            generation = targets[self.v[targets] >= 1]
        fired = self.indices[root:]
        self.v[fired], self.at[fired] = 0.0, now + self.spec.refractory_period
        self._foresee(np.unique(np.concatenate(changed)))
