"""Lyapunov spectra of event-driven spiking networks in plain NumPy: the independent reference of the tests.

Written from the equations alone (nothing of lnpbrian): one dense Jacobian per event, multiplied into an orthonormal
frame that a QR decomposition renews after each interval.

The tangent vector of a LIF network holds, neuron by neuron, x_i and (exponential synapses only) y_i = delta I_i. x_i is
delta v_i of a free neuron; a held (refractory) neuron has v = 0 whatever happens and x_i is the shift delta t_i of its
last spike, in seconds, which is also the shift of its release. Let f = dv/dt. To first order in the shift delta t:

    spike of k      delta t_k = -delta v_k / f_k(before);   x_k = delta t_k
      current jump  I_i += w comes late by delta t_k:   y_i += w/tau_syn delta t_k  (it has decayed for less long),
                    and f_i, if i is free, lacks w/tau_i during delta t_k:   delta v_i -= w/tau_i delta t_k
      voltage jump  v_i += w comes late by delta t_k: f_i(before) holds for delta t_k more and f_i(after) for as much
                    less, and f_i(before) - f_i(after) = w/tau_i:   delta v_i += w/tau_i delta t_k
    release of k    v_k leaves 0 late by delta t_k:   delta v_k = -f_k(after) delta t_k
    otherwise       delta v and delta I follow the linear equations of the flow; a held x_k stays.

A step of the drive is no event: its time is fixed and the state is continuous there.
"""

from dataclasses import dataclass

import numpy as np
from event_driven import State


@dataclass
class Spectrum:
    """Exponents in 1/s in the order of the frame, shape (n,), and what they were computed from.

    logs: ln of the diagonal of R, shape (n_intervals, n); mean_log_det: time mean of ln|det| of the Jacobians in 1/s,
    by LU and whatever n is (the sum of the exponents if all are computed); spikes: their number in `duration`; state:
    the last one.
    """

    exponents: np.ndarray
    logs: np.ndarray
    mean_log_det: float
    spikes: int
    duration: float
    state: object


def qr_positive(a):
    """Return the QR decomposition of `a` with a diagonal of R that is not negative."""
    q, r = np.linalg.qr(a)
    sign = np.where(np.diag(r) < 0, -1.0, 1.0)
    return q * sign, sign[:, None] * r


def qr_spectrum(advance, state, dimension, *, transient, duration, interval, n, rng):
    """Return the leading n exponents; `advance(state, until)` gives the Jacobians in order, the new state, the spikes.

    The frame starts at random and is carried along during the transient too. A diagonal entry of R that is only
    rounding is a direction lost at a singular Jacobian: its exponent is -inf.
    """
    frame = qr_positive(rng.standard_normal((dimension, dimension if n is None else n)))[0]
    skip, keep = round(transient / interval), round(duration / interval)
    start, logs, log_dets, spikes = state.t, [], [], 0
    for window in range(skip + keep):
        jacobians, state, count = advance(state, start + (window + 1) * interval)
        for jacobian in jacobians:
            frame = jacobian @ frame
        frame, r = qr_positive(frame)
        if window >= skip:
            diagonal = np.diag(r)
            lost = diagonal <= 1e-13 * np.linalg.norm(r, axis=0)
            logs.append(np.log(diagonal, where=~lost, out=np.full(diagonal.size, -np.inf)))
            log_dets.append(sum(np.linalg.slogdet(jacobian)[1] for jacobian in jacobians))
            spikes += count
    length = keep * interval
    logs = np.array(logs)
    return Spectrum(logs.sum(0) / length, logs, sum(log_dets) / length, spikes, length, state)


def pieces(t, end, n_neurons, drive, hold):
    """Cut [t, end] where the drive changes; return (end, row of the drive) of each piece."""
    if drive is None:
        return [(end, np.zeros(n_neurons))]
    found = []
    while t < end - 1e-12:
        step = int(t / hold + 1e-6)
        t = min(end, (step + 1) * hold)
        found.append((t, drive[step % len(drive)]))
    return found


# LIF neurons with exponential synapses


def lif_jacobians(model, state, until, drive=None, hold=None):
    """Return the Jacobians (2N, 2N) whose product takes the tangent vector (x, y) to `until`, the state, the spikes.

    The currents are followed here from the spike times alone, and v is 1 before a spike and 0 at a release: the model's
    v is not used.
    """
    n = len(model.tau_m)
    tau_m, tau_syn, weights = np.array(model.tau_m), model.tau_syn, model.weights
    jacobians, count = [], 0
    for end, row in pieces(state.t, until, n, drive, hold):
        b = model.bias + row
        times, indices, after = model.run(state, end, row[None], np.inf)
        held = state.release > state.t
        events = [("release", state.release[k], k) for k in np.flatnonzero(held)]
        for t, k in zip(times, indices, strict=True):
            events += [("spike", t, k), ("release", t + model.t_ref, k)]
        # The sort is stable: with t_ref = 0 a release stays right behind its spike.
        events = sorted((event for event in events if event[1] <= end), key=lambda event: event[1])

        t, current = state.t, state.current.copy()
        for kind, time, k in [*events, ("end", end, None)]:
            jacobian = lif_flow(tau_m, tau_syn, held, time - t)
            current *= np.exp(-(time - t) / tau_syn)
            t = time
            if kind == "spike":
                jump = np.eye(2 * n)
                shift = -1.0 / ((b[k] + current[k] - 1.0) / tau_m[k])  # delta t_k per delta v_k
                held[k] = True
                jump[k, k] = shift
                for i in np.flatnonzero(weights[:, k]):
                    jump[n + i, k] += weights[i, k] / tau_syn * shift
                    if not held[i]:
                        jump[i, k] -= weights[i, k] / tau_m[i] * shift
                current += weights[:, k]
                jacobian = jump @ jacobian
            elif kind == "release":
                jump = np.eye(2 * n)
                jump[k, k] = -(b[k] + current[k]) / tau_m[k]
                held[k] = False
                jacobian = jump @ jacobian
            jacobians.append(jacobian)
        state, count = after, count + len(times)
    return jacobians, state, count


def lif_flow(tau_m, tau_syn, held, s):
    """Return the tangent flow over a time s without events, of shape (2N, 2N).

    tau_m dx/dt = y - x, tau_syn dy/dt = -y:   x(s) = x e_m + y tau_syn/(tau_syn - tau_m) (e_syn - e_m).
    """
    n = len(tau_m)
    e_m, e_syn = np.exp(-s / tau_m), np.exp(-s / tau_syn)
    flow = np.zeros((2 * n, 2 * n))
    i = np.arange(n)
    flow[i, i] = np.where(held, 1.0, e_m)
    flow[i, n + i] = np.where(held, 0.0, tau_syn / (tau_syn - tau_m) * (e_syn - e_m))
    flow[n + i, n + i] = e_syn
    return flow


def lif_spectrum(model, state, *, transient, duration, interval, drive=None, hold=None, n=None, rng):
    """Return the Spectrum of an EventDrivenLIF, 2N exponents or the leading n; times in seconds.

    Row m of `drive` (steps, N) is added to the bias from m hold to (m + 1) hold; it starts over past its end.
    """

    def advance(state, until):
        return lif_jacobians(model, state, until, drive, hold)

    size = 2 * len(model.tau_m)
    return qr_spectrum(advance, state, size, transient=transient, duration=duration, interval=interval, n=n, rng=rng)


def tangent_difference(twin, state):
    """Return (x, y) of shape (2N,) that leads from `state` to a `twin` of the same time whose same neurons are held."""
    held = state.release > state.t
    with np.errstate(invalid="ignore"):  # -inf - -inf of neurons that never spiked
        x = np.where(held, twin.release - state.release, twin.v - state.v)
    return np.concatenate([x, twin.current - state.current])


def displaced(state, vector):
    """Return `state` moved by the tangent vector (x, y) of shape (2N,)."""
    x, y = np.split(vector, 2)
    held = state.release > state.t
    v, release = state.v + np.where(held, 0.0, x), state.release + np.where(held, x, 0.0)
    return State(state.t, v, state.current + y, release)


def twin_largest(model, state, *, transient, duration, interval, drive=None, hold=None, eps=1e-7, rng):
    """Return the largest exponent (1/s) and the logs (n_intervals,) of the separation of two event-driven runs.

    All 2N coordinates are perturbed at random, |(x, y)| = eps, and the direction is kept (Benettin). Where an interval
    ends between a spike or a release and its twin's, the separation is not renormalised there and the growth is counted
    at the next end: the log of that interval is 0.
    """
    direction = rng.standard_normal(2 * len(model.tau_m))
    twin = displaced(state, eps * direction / np.linalg.norm(direction))
    skip, keep = round(transient / interval), round(duration / interval)
    start, logs = state.t, []
    ahead = np.zeros(len(model.tau_m), int)  # spikes of the twin minus spikes of the reference
    for window in range(skip + keep):
        until = start + (window + 1) * interval
        _, spikes, state = model.run(state, until, drive, hold)
        _, twin_spikes, twin = model.run(twin, until, drive, hold)
        ahead += np.bincount(twin_spikes, minlength=ahead.size) - np.bincount(spikes, minlength=ahead.size)
        if ahead.any() or ((twin.release > until) != (state.release > until)).any():
            logs.append(0.0)
            continue
        vector = tangent_difference(twin, state)
        length = np.linalg.norm(vector)
        logs.append(np.log(length / eps))
        twin = displaced(state, eps * vector / length)
    logs = np.array(logs[skip:])
    return logs.sum() / (keep * interval), logs


# LIF neurons with voltage jumps


@dataclass
class DeltaState:
    """Where a delta network is at time `t`; a neuron is held until its `release`."""

    t: float
    v: np.ndarray
    release: np.ndarray


class EventDrivenDelta:
    """LIF neurons whose spikes add `weights[i, j]` to v of i, no delays; times in seconds.

    A held neuron ignores jumps. A jump that lifts v to the threshold 1 or above makes the target fire at the same
    instant; the jumps of one generation add up before the next is determined. A neuron that fires is at 0 right after
    the instant and ignores the jumps of that instant, also with t_ref = 0 (the limit of a small t_ref).
    """

    def __init__(self, tau_m, t_ref, bias, weights):
        self.tau_m, self.t_ref = np.array(tau_m, float), float(t_ref)
        self.bias, self.weights = np.array(bias, float), np.array(weights, float)

    def rest(self, v):
        return DeltaState(0.0, np.array(v, float), np.full(len(v), -np.inf))

    def run(self, state, end, drive=None, hold=None):
        """Run from `state` to time `end`; return spike times, neuron indices and the last state."""
        times, indices = [], []
        for until, row in pieces(state.t, end, len(self.tau_m), drive, hold):
            instants, state = self.instants(state, until, self.bias + row)
            for t, fired in instants:
                times += [t] * len(fired)
                indices += fired
        return np.array(times), np.array(indices, int), state

    def instants(self, state, end, b):
        """Run with the constant input b; return the (time, neurons that fire, the crossing one first), the state."""
        t, v, release = state.t, state.v.copy(), state.release.copy()
        found = []
        while True:
            # A neuron leaves v at `begin`; b - v shrinks as e^(-s/tau_m) and is b - 1 at the spike.
            begin = np.maximum(t, release)
            crosses = b > 1
            wait = np.full(v.size, np.inf)
            wait[crosses] = self.tau_m[crosses] * np.log((b - v)[crosses] / (b - 1)[crosses])
            spike = begin + np.maximum(wait, 0.0)
            k = int(np.argmin(spike))
            now = min(spike[k], end)
            v = b + (v - b) * np.exp(-np.maximum(now - begin, 0.0) / self.tau_m)
            t = now
            if spike[k] > end:
                return found, DeltaState(end, v, release)
            free = release <= now
            fired = generation = [k]
            while generation:
                free[generation] = False
                v[free] += self.weights[np.ix_(free, generation)].sum(1)
                generation = np.flatnonzero(free & (v >= 1)).tolist()
                fired = fired + generation
            v[fired], release[fired] = 0.0, now + self.t_ref
            found.append((now, fired))


def delta_jacobians(model, state, until, drive=None, hold=None):
    """Return the Jacobians (N, N) whose product takes the tangent vector x to `until`, the state, the number of spikes.

    All neurons that fire at one instant share the shift of the one that crossed the threshold; the own directions of
    the others are lost.
    """
    n, tau_m, weights = len(model.tau_m), model.tau_m, model.weights
    jacobians, count = [], 0
    for end, row in pieces(state.t, until, n, drive, hold):
        b = model.bias + row
        instants, after = model.instants(state, end, b)
        held = state.release > state.t
        events = [("release", state.release[k], [k]) for k in np.flatnonzero(held)]
        for t, fired in instants:
            events += [("spike", t, fired), ("release", t + model.t_ref, fired)]
        events = sorted((event for event in events if event[1] <= end), key=lambda event: event[1])

        t = state.t
        for kind, time, neurons in [*events, ("end", end, [])]:
            jacobian = np.diag(np.where(held, 1.0, np.exp(-(time - t) / tau_m)))
            t = time
            jump = np.eye(n)
            if kind == "spike":
                k = neurons[0]
                shift = -1.0 / ((b[k] - 1.0) / tau_m[k])  # delta t_k per delta v_k
                held[neurons] = True
                jump[:, neurons] = 0.0
                jump[neurons, k] = shift
                for i in np.flatnonzero(~held):
                    jump[i, k] += weights[i, neurons].sum() / tau_m[i] * shift
            elif kind == "release":
                jump[neurons, neurons] = -b[neurons] / tau_m[neurons]
                held[neurons] = False
            jacobians.append(jump @ jacobian)
        state = after
        count += sum(len(fired) for _, fired in instants)
    return jacobians, state, count


def delta_spectrum(model, state, *, transient, duration, interval, drive=None, hold=None, n=None, rng):
    """Return the Spectrum of an EventDrivenDelta, N exponents or the leading n; arguments as in lif_spectrum."""

    def advance(state, until):
        return delta_jacobians(model, state, until, drive, hold)

    size = len(model.tau_m)
    return qr_spectrum(advance, state, size, transient=transient, duration=duration, interval=interval, n=n, rng=rng)


# Phase networks (Monteforte and Wolf)


@dataclass
class PhaseState:
    """The phases at time `t`."""

    t: float
    phase: np.ndarray


class PhaseNetwork:
    """Neurons whose phases all grow by `velocity` per tau and jump at each other's spikes: inhibitory `weights[i, j]`.

    A spike of j comes late by delta t = -delta phi_j tau/velocity. Seen at that instant the target's phase is off by
    delta phi_i + velocity delta t/tau = delta phi_i - delta phi_j, which the jump multiplies by the slope d of its
    phase transition curve; back at a fixed time delta phi_i <- d delta phi_i + (1 - d) delta phi_j.
    """

    def __init__(self, tau, velocity, threshold, reset, weights):
        self.tau, self.velocity, self.threshold, self.reset = tau, velocity, threshold, reset
        weights = np.asarray(weights, float)
        if (weights > 0).any():
            raise ValueError("a phase network has inhibitory weights: no jump may cross the threshold")
        self.targets = [np.flatnonzero(column) for column in weights.T]
        self.jumps = [column[targets] for column, targets in zip(weights.T, self.targets, strict=True)]

    def start(self, fractions):
        """Return the state at time 0 with the phases at these fractions of the way from reset to threshold."""
        return PhaseState(0.0, self.reset + fractions * (self.threshold - self.reset))

    def transition(self, phase, jump):
        """Return the phase after a jump, and its derivative by the phase before."""
        raise NotImplementedError

    def run(self, state, end, observe=None):
        """Run to time `end`; return the spike times, neurons, state. `observe(k, targets, d)` is told of each spike."""
        t, phase = state.t, state.phase.copy()
        times, indices = [], []
        while True:
            k = int(np.argmax(phase))
            wait = (self.threshold - phase[k]) / self.velocity * self.tau
            if t + wait > end:
                state = PhaseState(end, phase + (end - t) / self.tau * self.velocity)
                return np.array(times), np.array(indices, int), state
            phase += self.threshold - phase[k]
            t += wait
            targets = self.targets[k]
            phase[targets], slope = self.transition(phase[targets], self.jumps[k])
            phase[k] = self.reset
            times.append(t)
            indices.append(k)
            if observe is not None:
                observe(k, targets, slope)

    def jacobian(self, state, until):
        """Return the Jacobian (N, N) of the phases from `state` to `until`, the state then, the number of spikes."""
        jacobian = np.eye(state.phase.size)

        def observe(k, targets, slope):
            jacobian[targets] = slope[:, None] * jacobian[targets] + (1 - slope)[:, None] * jacobian[k]

        times, _, state = self.run(state, until, observe)
        return jacobian, state, len(times)


class ThetaNetwork(PhaseNetwork):
    """tau dV/dt = V^2 + current with V = sqrt(current) tan(phi/2), phi from -pi to pi; a spike adds its weight to V."""

    def __init__(self, tau, current, weights):
        super().__init__(tau, 2 * np.sqrt(current), np.pi, -np.pi, weights)

    def transition(self, phase, jump):
        before = np.tan(phase / 2)
        after = before + 2 * jump / self.velocity
        return 2 * np.arctan(after), (before**2 + 1) / (after**2 + 1)


class LIFPhaseNetwork(PhaseNetwork):
    """tau dV/dt = 1 + current - V, threshold 1, reset 0, with V = (1 + current)(1 - e^(-phi/velocity)), phi up to 1."""

    def __init__(self, tau, current, weights):
        super().__init__(tau, 1 / np.log(1 + 1 / current), 1.0, 0.0, weights)
        self.current = current

    def transition(self, phase, jump):
        before = np.exp(-phase / self.velocity)  # (1 + current - V)/(1 + current)
        after = before - jump / (1 + self.current)
        return -self.velocity * np.log(after), before / after

    def voltage(self, phase):
        """Return V, and its derivative by the phase."""
        decay = np.exp(-phase / self.velocity)
        return (1 + self.current) * (1 - decay), (1 + self.current) / self.velocity * decay


def phase_spectrum(network, state, *, transient, duration, interval, n=None, rng):
    """Return the Spectrum of a PhaseNetwork, N exponents or the leading n; times in seconds."""

    def advance(state, until):
        jacobian, state, count = network.jacobian(state, until)
        return [jacobian], state, count

    size = state.phase.size
    return qr_spectrum(advance, state, size, transient=transient, duration=duration, interval=interval, n=n, rng=rng)


def random_inhibition(n, k, weight, rng):
    """Return weights (n, n) of a random graph with k inputs a neuron on average, each -|weight|."""
    connected = rng.random((n, n)) < k / (n - 1)
    np.fill_diagonal(connected, False)
    return np.where(connected, -abs(weight), 0.0)


def current_of_rate(network_class, tau, weights, rate, *, duration, rng):
    """Return the current at which a phase network fires at `rate` (Hz, population mean), by the secant method."""
    n = len(weights)
    fractions = rng.random(n)

    def excess(current):
        network = network_class(tau, current, weights)
        state = network.run(network.start(fractions), 0.5)[2]
        return len(network.run(state, 0.5 + duration)[0]) / (n * duration) - rate

    # The balance of the mean inputs is where to start.
    first = -weights.sum(1).mean() * rate * tau
    second = 0.9 * first
    f_first, f_second = excess(first), excess(second)
    for _ in range(8):
        if abs(f_second) < 0.005 * rate or f_second == f_first:
            break
        step = f_second * (second - first) / (f_second - f_first)
        first, second = second, max(second - step, second / 4)
        f_first, f_second = f_second, excess(second)
    return second
