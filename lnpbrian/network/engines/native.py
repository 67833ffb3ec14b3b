"""The time steps of a network as one compiled loop: what Brian2 computes, without what it takes to be general.

The loop is C++ (`native_source`), compiled once by what Brian2 compiles its own code with, and kept in Brian2's cache.
Each equation in it is one of `equations`. Brian2 is what it is tested against, and what runs where nothing can be
compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lnpbrian.checks import InvalidInput
from lnpbrian.network.engines.extension import compiled
from lnpbrian.network.engines.native_source import SOURCE
from lnpbrian.network.signals import Drive, SpikeTrain
from lnpbrian.network.spec import NetworkSpec

__all__ = ["NativeNetwork", "native_works"]

# Updates of a neuron between two looks at Ctrl-C: some tenths of a second.
UPDATES = 10**8
LONG_AGO = -(2**62)


def native_works() -> bool:
    """Return whether the loop is compiled here, or can be: the first call may take some seconds.

    Examples
    --------
    >>> native_works()
    True
    """
    return compiled(SOURCE) is not None


class NativeNetwork:
    """Copies of a network, advanced by the compiled loop.

    Parameters
    ----------
    spec : NetworkSpec
        N neurons; plastic synapses do not learn. They start from their initial potentials.
    copies : int
        Number of copies, which do not meet.

    Attributes
    ----------
    steps_done : int
        Steps of `spec.dt` so far.
    external : ndarray, shape (copies, N)
        External current, to be written to between runs.
    counts : ndarray of int, shape (copies, N)
        Spikes so far.

    Raises
    ------
    InvalidInput
        If the loop cannot be compiled here.

    Notes
    -----
    Exact integration between spikes, as Brian2's (Rotter and Diesmann 1999, doi:10.1007/s004220050570); spikes off the
    time grid after Morrison et al. 2007, doi:10.1162/neco.2007.19.1.47. A step costs one multiplication by the
    propagator per neuron, a spike its synapses: time falls with the synapses until the neurons are what costs.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> network = NativeNetwork(uncoupled([20, 20] * ms, bias=0.5), copies=2)
    >>> network.external[1] = 1.5
    >>> network.run(round(0.1 / network.dt))
    >>> network.counts.tolist()
    [[0, 0], [6, 6]]
    """

    def __init__(self, spec: NetworkSpec, *, copies: int = 1) -> None:
        module = compiled(SOURCE)
        if module is None:
            raise InvalidInput("engine='native' needs a C++ compiler, which Brian2 does not find; use 'brian2'")
        n, on_grid = spec.n_neurons, spec.spike_timing == "grid"
        self.spec, self.copies, self.dt = spec, copies, spec.dt
        self.steps_done = 0
        order = np.argsort(spec.pre, kind="stable")
        per_neuron = np.bincount(spec.pre, minlength=n)
        self._arrays: dict[str, np.ndarray] = {
            "tau_m": spec.time_constants.copy(),
            "bias": spec.bias.copy(),
            "alive": spec.alive.astype(np.uint8),
            "first": np.concatenate([[0], np.cumsum(per_neuron)]).astype(np.int64),
            "target": spec.post[order].astype(np.int32),
            "weight": spec.weights[order].astype(float),
            "v": np.tile(np.where(spec.alive, spec.initial_potential, 0.0), (copies, 1)),
            "last": np.full((copies, n), LONG_AGO),
            "release": np.full((copies, n), -1.0),
            "slope": np.ones((copies, n)),
            "count": np.zeros((copies, n), np.int64),
        }
        for name in ("I_syn", "I_ext", "overshoot", "decayed", "rise"):
            self._arrays[name] = np.zeros((copies, n))
        if spec.delays is not None:
            self._arrays["delay"] = (spec.delays[order] / spec.dt + 0.5).astype(np.int32)
        self._loop = module.Loop(
            self._arrays,
            timing=spec.spike_timing,
            delta=spec.has_delta_synapses,
            dt=spec.dt,
            tau_syn=spec.synaptic_time_constant,
            t_ref=spec.refractory_period,
            # Brian2 rounds a refractory period like this.
            held=int((spec.refractory_period + 1e-3 * spec.dt) / spec.dt) if on_grid else 0,
        )
        self.external = self._arrays["I_ext"]
        self.counts = self._arrays["count"]
        self._chunk = max(1, UPDATES // (copies * n))

    @property
    def time(self) -> float:
        """Simulated time in seconds."""
        return self.steps_done * self.dt

    def state(self, name: str) -> np.ndarray:
        """Return a state variable of all copies, shape (copies, N), to be read or written to between runs."""
        return self._arrays[name]

    def virtual_potentials(self) -> np.ndarray:
        """Return the potentials of all copies, shape (copies, N); those of held neurons show when they are released.

        Off the time grid a held neuron carries a perturbation as the time of its release: what its potential would rise
        by until then is taken off.
        """
        spec, a = self.spec, self._arrays
        if spec.spike_timing == "grid":
            return a["v"].copy()
        late = np.clip(a["rise"] / np.clip(a["slope"], 1e-9, 1e9), -2 * spec.dt, 2 * spec.dt)
        left = np.clip(a["release"] - late - self.time, 0, spec.refractory_period)
        return a["v"] - left * (spec.bias + a["I_ext"] + a["I_syn"]) / spec.time_constants

    def drive(self, drive: Drive) -> None:
        """Let all copies have the external current of a drive of N neurons, over and over from the first step on."""
        if drive.values.shape[1] != self.spec.n_neurons:
            raise InvalidInput(f"a drive for {drive.values.shape[1]} neurons does not fit {self.spec.n_neurons}")
        self._loop.drive(np.ascontiguousarray(drive.values, dtype=float), drive.hold)

    def filter_spikes(self, read: np.ndarray, *, order: int, tau: float) -> np.ndarray:
        """Filter the spikes of the neurons `read` from now on, and return moments (order, copies, n_read) to look at.

        With x = u/tau and u the time from a spike to the end of the run that is given to `run`, moment k gathers
        ``x^k/k! exp(-x)``.
        """
        places = np.full(self.spec.n_neurons, -1, dtype=np.int32)
        places[read] = np.arange(read.size)
        moments = np.zeros((order, self.copies, read.size))
        if read.size:
            self._loop.tap(places, moments, tau)
        return moments

    def connect(self, fan_out: np.ndarray, target: np.ndarray, size: np.ndarray) -> None:
        """Give D channels from outside synapses: a spike moves the current, or with delta synapses the potential.

        The synapses of channel d are entries ``fan_out[d]`` to ``fan_out[d + 1] - 1`` of `target`, a neuron, and
        `size`; `fan_out` has shape (D + 1,).
        """
        self._loop.connect(
            np.ascontiguousarray(fan_out, np.int64),
            np.ascontiguousarray(target, np.int32),
            np.ascontiguousarray(size, float),
        )

    def run(self, steps: int, *, place: np.ndarray | None = None, channel: np.ndarray | None = None) -> None:
        """Go on by a number of steps; filtered spikes are those of their end.

        Spikes of the channels of `connect`: spike s is of channel ``channel[s]``, and arrives in step k of copy c if
        ``place[s] = c steps + k``. Places do not fall.
        """
        end = (self.steps_done + steps) * self.dt
        if place is not None and channel is not None:
            number = np.bincount(place, minlength=self.copies * steps)
            first = np.concatenate([[0], np.cumsum(number)]).astype(np.int64)
            self._loop.run(self.steps_done, steps, False, end, (first, np.ascontiguousarray(channel, np.int32)))
            self.steps_done += steps
            return
        for part in self._parts(steps):
            self._loop.run(self.steps_done, part, False, end)
            self.steps_done += part

    def record(self, steps: int) -> SpikeTrain:
        """Go on by a number of steps, and return the spikes; those of copy c are of neurons ``c N`` and following."""
        begin, found = self.time, [(np.zeros(0, np.int64), np.zeros(0))]
        for part in self._parts(steps):
            found.append(self._loop.run(self.steps_done, part, True))
            self.steps_done += part
        index = np.concatenate([k for k, _ in found])
        times = np.concatenate([t for _, t in found]) - begin
        order = np.argsort(times, kind="stable")
        return SpikeTrain(index[order], times[order], self.copies * self.spec.n_neurons, steps * self.dt)

    def _parts(self, steps: int) -> list[int]:
        whole, rest = divmod(steps, self._chunk)
        return [self._chunk] * whole + [rest] * (rest > 0)

    def copy_events(self) -> None:
        """Give all copies the spikes on their way of the first one."""
        self._loop.copy_flight()

    def stored(self) -> Any:
        """Return the state, for `restore`."""
        names = ("v", "I_syn", "I_ext", "last", "release", "overshoot", "decayed", "rise", "slope", "count")
        return self.steps_done, {name: self._arrays[name].copy() for name in names}, self._loop.flight()

    def restore(self, stored: Any) -> None:
        """Go back to what was stored; filtered spikes are not part of it."""
        self.steps_done, arrays, flight = stored
        for name, values in arrays.items():
            self._arrays[name][:] = values
        self._loop.set_flight(flight)
