"""An event-driven LIF network in plain Python and NumPy: the independent reference of the tests.

Written from the equations alone (no Brian2, nothing of lnpbrian). Between two events - a spike, a release from
refractoriness, a change of the drive - a neuron follows

    I(s) = I e^(-s/tau_syn),   v(s) = b + c e^(-s/tau_syn) + d e^(-s/tau_m),
    b = bias + drive,   c = I tau_syn/(tau_syn - tau_m),   d = v - b - c,

which has at most one extremum, so that the first crossing of the threshold 1 can be bracketed and solved to rounding.
"""

from dataclasses import dataclass
from math import exp, log

import numpy as np


@dataclass
class State:
    """Where a network is at time `t`; a neuron keeps its `v` until its `release`."""

    t: float
    v: np.ndarray
    current: np.ndarray
    release: np.ndarray

    def perturbed(self, delta):
        return State(self.t, self.v + delta, self.current.copy(), self.release.copy())


def first_crossing(b, c, d, tau_syn, tau_m, span):
    """Return the first s in [0, span] with b + c e^(-s/tau_syn) + d e^(-s/tau_m) = 1 from below, or None."""

    def height(s):
        return b - 1 + c * exp(-s / tau_syn) + d * exp(-s / tau_m)

    def slope(s):
        return -c / tau_syn * exp(-s / tau_syn) - d / tau_m * exp(-s / tau_m)

    if height(0.0) >= 0:
        return 0.0
    low, high = 0.0, span
    # slope = 0 where e^(s (1/tau_m - 1/tau_syn)) = -d tau_syn/(c tau_m)
    ratio = -d * tau_syn / (c * tau_m) if c else -1.0
    if ratio > 0:
        extremum = log(ratio) / (1 / tau_m - 1 / tau_syn)
        if 0 < extremum < span:
            if height(extremum) >= 0:
                high = extremum
            else:
                low = extremum
    if height(high) < 0:
        return None
    # On [low, high] the height is monotone and changes sign: Newton's method, bisection where it would leave.
    s = (low + high) / 2
    for _ in range(200):
        value = height(s)
        if value < 0:
            low = s
        else:
            high = s
        rise = slope(s)
        step = s - value / rise if rise > 0 else low
        s_next = step if low < step < high else (low + high) / 2
        if abs(s_next - s) <= 1e-16 + 4e-16 * s:
            return s_next
        s = s_next
    return s


class EventDrivenLIF:
    """LIF neurons with exponential synapses and no delays; `weights[i, j]` is onto i from j, times in seconds."""

    def __init__(self, tau_m, tau_syn, t_ref, bias, weights):
        self.tau_m = [float(tau) for tau in tau_m]
        self.tau_syn, self.t_ref = float(tau_syn), float(t_ref)
        self.bias = np.array(bias, float)
        self.weights = np.array(weights, float)
        columns = self.weights.T
        self.targets = [[(int(i), float(column[i])) for i in np.flatnonzero(column)] for column in columns]

    @classmethod
    def of_spec(cls, spec):
        weights = np.zeros((spec.n_neurons, spec.n_neurons))
        np.add.at(weights, (spec.post, spec.pre), spec.weights)
        return cls(spec.time_constants, spec.synaptic_time_constant, spec.refractory_period, spec.bias, weights)

    def rest(self, v):
        v = np.array(v, float)
        return State(0.0, v, np.zeros(v.size), np.full(v.size, -np.inf))

    def run(self, state, end, drive=None, hold=None):
        """Run from `state` to time `end`; return spike times, neuron indices and the last state.

        Row m of `drive` is added to the bias from m hold to (m + 1) hold; it starts over past its end.
        """
        times, indices = [], []
        while state.t < end - 1e-12:
            step = 0 if drive is None else int(state.t / hold + 1e-6)
            until = end if drive is None else min(end, (step + 1) * hold)
            total = self.bias if drive is None else self.bias + drive[step % len(drive)]
            state = self._segment(state, until, total.tolist(), times, indices)
        return np.array(times), np.array(indices, int), state

    def _segment(self, state, end, b, times, indices):
        n, tau_syn = len(self.tau_m), self.tau_syn
        at = [state.t] * n
        v, current, release = state.v.tolist(), state.current.tolist(), state.release.tolist()

        def coefficients(i, current_i):
            c = current_i * tau_syn / (tau_syn - self.tau_m[i])
            return c, v[i] - b[i] - c

        def advance(i, to):
            start = max(at[i], release[i])
            if to > start:
                c, d = coefficients(i, current[i] * exp(-(start - at[i]) / tau_syn))
                v[i] = b[i] + c * exp(-(to - start) / tau_syn) + d * exp(-(to - start) / self.tau_m[i])
            current[i] *= exp(-(to - at[i]) / tau_syn)
            at[i] = to

        def crossing(i):
            start = max(at[i], release[i])
            if start >= end:
                return np.inf
            c, d = coefficients(i, current[i] * exp(-(start - at[i]) / tau_syn))
            s = first_crossing(b[i], c, d, tau_syn, self.tau_m[i], end - start)
            return np.inf if s is None else start + s

        upcoming = [crossing(i) for i in range(n)]
        while True:
            now = min(upcoming)
            if now == np.inf:
                break
            k = upcoming.index(now)
            times.append(now)
            indices.append(k)
            advance(k, now)
            v[k], release[k] = 0.0, now + self.t_ref
            for i, w in self.targets[k]:
                advance(i, now)
                current[i] += w
                upcoming[i] = crossing(i)
            upcoming[k] = crossing(k)
        for i in range(n):
            advance(i, end)
        return State(end, np.array(v), np.array(current), np.array(release))

    def coordinate(self, state, drive=0.0):
        """Return v, of a held neuron what its release will bring: less what it would rise in the time until then."""
        held = np.maximum(state.release - state.t, 0.0)
        return state.v - held * (self.bias + drive + state.current) / np.array(self.tau_m)

    def twin_separations(self, state, windows, length, *, perturbations, drive=None, hold=None):
        """Return the separations |x - x'| at start and end of each window, each of shape (windows, R, N).

        `perturbations` has the shape (windows, R, N): a copy is the reference plus one row, at the start of a window.
        x is extrapolated with the drive of the step that ends at that time.
        """
        starts, ends = [], []
        first = round(state.t / length)

        def present(t):
            return 0.0 if drive is None else drive[int(t / hold - 1e-6) % len(drive)]

        for window, deltas in zip(range(first, first + windows), perturbations, strict=True):
            until = (window + 1) * length
            twins = [state.perturbed(delta) for delta in deltas]
            x = self.coordinate(state, present(state.t))
            starts.append([np.abs(self.coordinate(twin, present(state.t)) - x) for twin in twins])
            twins = [self.run(twin, until, drive, hold)[2] for twin in twins]
            state = self.run(state, until, drive, hold)[2]
            x = self.coordinate(state, present(until))
            ends.append([np.abs(self.coordinate(twin, present(until)) - x) for twin in twins])
        return np.array(starts), np.array(ends)


def random_arrays(n, p, seed, *, gain=0.3, inhibition=4.0):
    """Arrays of a balanced random network: gamma time constants, 80 % excitatory neurons, biases around threshold."""
    rng = np.random.default_rng(seed)
    excitatory = np.arange(n) < round(0.8 * n)
    connected = rng.random((n, n)) < p
    np.fill_diagonal(connected, False)
    post, pre = np.nonzero(connected)
    weights = gain / np.sqrt(p * n) * np.exp(0.5 * rng.standard_normal(pre.size))
    return {
        "time_constants": np.clip(rng.gamma(3.0, 20e-3 / 3.0, n), 1e-3, 0.2),
        "bias": rng.uniform(0.8, 1.4, n),
        "initial_potential": rng.uniform(0, 1, n),
        "excitatory": excitatory,
        "cluster": np.zeros(n),
        "alive": np.ones(n, bool),
        "pre": pre,
        "post": post,
        "weights": np.where(excitatory[pre], weights, -inhibition * weights),
    }
