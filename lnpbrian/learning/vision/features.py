"""Copies of a network that are shown samples, and the filtered spike trains that a readout sees at their ends."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from brian2 import NeuronGroup, Synapses, second

from lnpbrian.learning.encoding import Encoder, show_samples
from lnpbrian.learning.readout import ReadoutOptions
from lnpbrian.network.engines.native import NativeNetwork, native_works
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.spec import NetworkSpec

__all__ = [
    "Brian2Copies",
    "FilteredSpikes",
    "NativeCopies",
    "ReadNetwork",
    "ShownCopies",
    "shown_copies",
    "stretch_features",
]


@dataclass(frozen=True)
class ReadNetwork:
    """A network with its input, and which of its neurons are read how."""

    spec: NetworkSpec
    encoder: Encoder
    options: ReadoutOptions
    read: np.ndarray


def stretch_features(
    network: ReadNetwork,
    stretches: list[np.ndarray],
    rngs: list[np.random.Generator],
    *,
    report: Callable[[float], None],
) -> list[np.ndarray]:
    """Return the features (L - 1, F) of each stretch (L, D), at the end of every sample but the last."""
    shown = shown_copies(network, rngs, max(len(z) for z in stretches))
    # Stretches of training and validation may differ in length: the shorter ones end on a sample that stays.
    length = max(len(z) for z in stretches)
    padded = np.stack([np.concatenate([z, np.repeat(z[-1:], length - len(z), axis=0)]) for z in stretches])
    features = shown.through(np.swapaxes(padded[:, :-1], 0, 1), report)
    return [x[: len(z) - 1] for x, z in zip(np.swapaxes(features, 0, 1), stretches, strict=True)]


def shown_copies(network: ReadNetwork, rngs: list[np.random.Generator], samples: int) -> ShownCopies:
    """Return copies of a network, one for each of `rngs`, that are shown so many samples.

    The compiled loop runs them, or Brian2 where there is none.
    """
    return (NativeCopies if native_works() else Brian2Copies)(network, rngs, samples)


class ShownCopies(ABC):
    """Copies of a network that are shown samples, one after the other, and read at the end of each."""

    def __init__(self, options: ReadoutOptions) -> None:
        self.hold, self.order = float(options.sample_time), options.order
        # In units of the filter.
        self._sample = self.hold / float(options.filter_time)

    @abstractmethod
    def run(self, first: np.ndarray, samples: int, following: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Show `samples` samples (copies, D), and return the features at the end of the last one.

        The first is `first`; `following` maps the features (copies, F) at the end of a sample to the next one.
        """

    @abstractmethod
    def counts(self) -> np.ndarray:
        """Return the number of spikes of each neuron so far, summed over the copies, shape (N,)."""

    @abstractmethod
    def store(self) -> None:
        """Remember the state at the end of a sample."""

    @abstractmethod
    def restore(self) -> None:
        """Go back to what was stored."""

    def through(self, samples: np.ndarray, report: Callable[[float], None]) -> np.ndarray:
        """Show samples (T, copies, D), and return the features (T, copies, F) at the end of each."""
        found: list[np.ndarray] = []

        def following(features: np.ndarray) -> np.ndarray:
            found.append(features)
            report(len(found) / len(samples))
            return samples[len(found)]

        found.append(self.run(samples[0], len(samples), following))
        return np.stack(found)

    def _turn_moments(self, moments: Sequence[np.ndarray]) -> None:
        """Move the moments on to the end of the next sample."""
        x = self._sample
        shift = [np.exp(-x) * x**k / math.factorial(k) for k in range(self.order)]
        for k in reversed(range(self.order)):
            moments[k][:] = sum(shift[k - j] * moments[j] for j in range(k + 1))


class NativeCopies(ShownCopies):
    """Copies that the compiled loop runs."""

    def __init__(self, network: ReadNetwork, rngs: list[np.random.Generator], samples: int) -> None:
        super().__init__(network.options)
        self._network = NativeNetwork(network.spec, copies=len(rngs))
        self._steps = round(self.hold / self._network.dt)
        self._moments = self._network.filter_spikes(
            network.read, order=self.order, tau=float(network.options.filter_time)
        )
        self._feed = network.encoder.feed(self._network, rngs=rngs, duration=samples * self.hold)

    def run(self, first: np.ndarray, samples: int, following: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """See `ShownCopies`."""
        z = first
        for left in reversed(range(samples)):
            self._feed.show(z, self._steps)
            features = self._moments[-1].copy()
            self._turn_moments(list(self._moments))
            if left:
                z = following(features)
        return features

    def counts(self) -> np.ndarray:
        """See `ShownCopies`."""
        return self._network.counts.sum(axis=0)

    def store(self) -> None:
        """See `ShownCopies`."""
        self._stored = (self._network.stored(), self._feed.stored(), self._moments.copy())

    def restore(self) -> None:
        """See `ShownCopies`."""
        network, source, self._moments[:] = self._stored
        self._network.restore(network)
        self._feed.restore(source)


class Brian2Copies(ShownCopies):
    """Copies side by side in one Brian2 network."""

    def __init__(self, network: ReadNetwork, rngs: list[np.random.Generator], samples: int) -> None:
        super().__init__(network.options)
        self._copies = len(rngs)
        self._live = RecurrentNetwork(network.spec.replicated(self._copies), plastic=False)
        self._traces = FilteredSpikes(self._live, network.read, network.options, self._copies)
        self._show, self._spikes = show_samples(
            network.encoder, self._live, self._turn, hold=self.hold, samples=samples, rngs=rngs
        )
        self._live.network.add(*self._traces.objects)
        self._following: Callable[[np.ndarray], np.ndarray] | None = None
        self._at_first = True

    def run(self, first: np.ndarray, samples: int, following: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """See `ShownCopies`."""
        self._show(first)
        self._following, self._at_first = following, True
        self._live.run(samples * self.hold * second)
        return self._next_sample()

    def _turn(self) -> None:
        if self._at_first:
            self._at_first = False
            return
        assert self._following is not None
        self._show(self._following(self._next_sample()))

    def _next_sample(self) -> np.ndarray:
        """Return the features at the end of the sample, shape (copies, n_read), and turn to the next one."""
        moments = [variable.get_value() for variable in self._traces.moments]
        features = moments[-1].reshape(self._copies, -1).copy()
        self._turn_moments(moments)
        self._traces.taps.sample_end = self._traces.taps.sample_end + self.hold * second
        return features

    def counts(self) -> np.ndarray:
        """See `ShownCopies`."""
        return np.array(self._spikes.count[:]).reshape(self._copies, -1).sum(axis=0)

    def store(self) -> None:
        """See `ShownCopies`."""
        self._live.network.store("lnpbrian_end_of_sample")

    def restore(self) -> None:
        """See `ShownCopies`."""
        self._live.network.restore("lnpbrian_end_of_sample")


class FilteredSpikes:
    """Filtered spike trains of the read neurons of every copy, worked out spike by spike.

    With x = u/tau and u the time from a spike to the end of the sample, moment k gathers ``x^k/k! exp(-x)``; between
    the ends of two samples the moments follow from each other in closed form.

    Moments are the gamma memory of de Vries and Principe 1992, doi:10.1016/S0893-6080(05)80035-8.
    """

    def __init__(self, live: RecurrentNetwork, read: np.ndarray, options: ReadoutOptions, copies: int) -> None:
        n = len(live.neurons) // copies
        names = [f"s{k}" for k in range(options.order)]
        parts = [] if live.spec.spike_timing == "grid" else ["overshoot_pre"]
        parts += ["advance_pre"] if live.spec.spike_timing == "precise" else []
        since = "".join(f" + {part}" for part in parts)
        on_pre = [f"x_ = (sample_end - t - dt{since})/tau_filter", "decayed_ = exp(-x_)"]
        on_pre += [f"{name}_post += x_**{k}*decayed_/{math.factorial(k)}" for k, name in enumerate(names)]
        self.group = NeuronGroup(
            read.size * copies,
            "\n".join(f"{name} : 1" for name in names),
            dt=live.dt * second,
            name=f"{live.neurons.name}_traces",
        )
        self.taps = Synapses(
            live.neurons,
            self.group,
            "sample_end : second (shared)",
            on_pre="\n".join(on_pre),
            dt=live.dt * second,
            namespace={"tau_filter": options.filter_time},
            name=f"{live.neurons.name}_taps",
        )
        # After the recurrent synapses, which shift precise spikes.
        self.taps.pre.order = 0
        sources = (read + n * np.arange(copies)[:, np.newaxis]).ravel()
        self.taps.connect(i=sources, j=np.arange(sources.size))
        self.taps.sample_end = options.sample_time
        self.objects = (self.group, self.taps)
        self.moments = [self.group.variables[name] for name in names]
