"""Turn the samples of a series into the input of a network: a current, or Poisson spikes.

An encoder is a frozen set of arrays; `attach` gives it to the live copies of a network as an `Input`, whose `write`
sets the sample that is shown from then on. It can be called during a run, so that a forecast can be fed back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from brian2 import (
    BrianObject,
    Hz,
    NetworkOperation,
    NeuronGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    Synapses,
    TimedArray,
    second,
)

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.signals import spike_counter

if TYPE_CHECKING:
    from lnpbrian.network.engines.native import NativeNetwork
    from lnpbrian.network.recurrent import RecurrentNetwork

# Tuned together with `LIFParameters.forecasting`.
INPUT_SCALE = 0.8

__all__ = ["CurrentEncoder", "Encoder", "Feed", "Input", "PoissonEncoder", "require_fit", "show_samples"]


def _project(z: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``z @ weights.T`` such that a row does not depend on how many others there are, as BLAS would make it."""
    return (z[:, np.newaxis, :] * weights).sum(axis=-1)


@dataclass(frozen=True)
class Input:
    """An encoder at work: Brian2 objects to add to the network, and the function that shows a sample.

    Parameters
    ----------
    objects : tuple of BrianObject
        To add to the network.
    write : callable
        Shows samples of shape (copies, D) from then on.
    """

    objects: tuple[BrianObject, ...]
    write: Callable[[np.ndarray], None]


class Encoder(Protocol):
    """What turns samples into input.

    That of arXiv 2403.03409, section A.6, makes spikes of samples, as `PoissonEncoder` does.
    """

    @property
    def n_neurons(self) -> int:
        """Neurons that it gives input to."""
        ...

    @property
    def dimensions(self) -> int:
        """Dimensions D of a sample."""
        ...

    def of_neurons(self, kept: np.ndarray) -> Encoder:
        """Return the encoder of the neurons in the mask `kept`."""
        ...

    def attach(self, live: RecurrentNetwork, *, rngs: Sequence[np.random.Generator], duration: float) -> Input:
        """Connect to copies side by side, one for each of `rngs`, for a run of `duration` seconds."""
        ...

    def feed(self, network: NativeNetwork, *, rngs: Sequence[np.random.Generator], duration: float) -> Feed:
        """Do the same for the copies of the compiled loop."""
        ...


class Feed(Protocol):
    """An encoder at work on the copies of the compiled loop."""

    def show(self, z: np.ndarray, steps: int) -> None:
        """Advance the network by a number of steps while samples (copies, D) are shown."""
        ...

    def stored(self) -> Any:
        """Return the state of the input, for `restore`."""
        ...

    def restore(self, stored: Any) -> None:
        """Go back to what was stored."""
        ...


def require_fit(encoder: Encoder, n_neurons: int, dimensions: int) -> None:
    """Refuse an encoder that is not for so many neurons, or not for samples of so many dimensions.

    Raises
    ------
    InvalidInput
        If it is so.

    Examples
    --------
    >>> require_fit(CurrentEncoder(np.ones((4, 3))), 4, 1)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: an encoder of 3 dimensions does not fit samples of 1
    """
    if encoder.n_neurons != n_neurons:
        raise InvalidInput(
            f"an encoder of {encoder.n_neurons} neurons does not fit {n_neurons}; draw one for them, or use of_neurons"
        )
    if encoder.dimensions != dimensions:
        raise InvalidInput(f"an encoder of {encoder.dimensions} dimensions does not fit samples of {dimensions}")


def show_samples(
    encoder: Encoder,
    live: RecurrentNetwork,
    turn: Callable[[], None],
    *,
    hold: float,
    samples: int,
    rngs: Sequence[np.random.Generator],
) -> tuple[Callable[[np.ndarray], None], SpikeMonitor]:
    """Give live copies their input, one for each of `rngs`, and call `turn` at the start of each of `samples` samples.

    Returns the function that shows samples (copies, D) from then on, for `turn` to call, and a counter of spikes. A
    sample lasts `hold` seconds.
    """
    source, counter = encoder.attach(live, rngs=rngs, duration=samples * hold), spike_counter(live.neurons)
    operation = NetworkOperation(turn, dt=hold * second, when="start", name="lnpbrian_next_sample")
    live.network.add(*source.objects, operation, counter)
    return source.write, counter


def afferent_synapses(
    channels: NeuronGroup | SpikeGeneratorGroup,
    live: RecurrentNetwork,
    connections: tuple[np.ndarray, np.ndarray, np.ndarray],
    copies: int,
) -> Synapses:
    """Return the synapses from channels of spikes onto live copies, each of which has channels of its own.

    `connections` are channel, neuron and weight of the synapses of a copy, shapes (C,). A spike adds the weight to the
    synaptic current of the neuron, or to its potential in a network with delta synapses.
    """
    channel, neuron, weights = connections
    target = "I_syn" if "I_syn" in live.neurons.variables else "v"
    afferents = Synapses(
        channels,
        live.neurons,
        "w : 1",
        on_pre=f"{target}_post += w",
        dt=live.dt * second,
        name=f"{live.neurons.name}_afferents",
    )
    block = np.repeat(np.arange(copies), weights.size)
    afferents.connect(
        i=np.tile(channel, copies) + len(channels) // copies * block,
        j=np.tile(neuron, copies) + len(live.neurons) // copies * block,
    )
    afferents.w = np.tile(weights, copies)
    return afferents


@dataclass(frozen=True, repr=False)
class CurrentEncoder:
    """Deterministic drive ``I_ext = W_in z``, held while a sample is shown (the reservoir convention).

    Parameters
    ----------
    weights : ndarray, shape (N, D)
        W_in, in units of the threshold per standard deviation of the series.

    Notes
    -----
    The input of echo state networks (Jaeger 2001, GMD report 148).

    Examples
    --------
    >>> encoder = CurrentEncoder(np.array([[1.0], [2.0], [3.0]]))
    >>> encoder
    CurrentEncoder(1 dimensions to 3 neurons)
    >>> encoder.of_neurons(np.array([True, False, True])).weights.ravel().tolist()
    [1.0, 3.0]
    """

    weights: np.ndarray

    @classmethod
    def draw(
        cls, n_neurons: int, dimensions: int, *, scale: float = INPUT_SCALE, rng: np.random.Generator
    ) -> CurrentEncoder:
        """Draw W_in uniformly from [-scale, scale].

        Parameters
        ----------
        n_neurons, dimensions : int
            N and D.
        scale : float
            Above 0, in units of the threshold per standard deviation of the series.
        rng : numpy.random.Generator
            Source of the weights.

        Raises
        ------
        InvalidInput
            If a number is out of range.

        Examples
        --------
        >>> encoder = CurrentEncoder.draw(100, 3, scale=0.5, rng=np.random.default_rng(0))
        >>> encoder.weights.shape, bool((abs(encoder.weights) <= 0.5).all())
        ((100, 3), True)
        """
        shape = (checks.count("n_neurons", n_neurons), checks.count("dimensions", dimensions))
        scale = checks.real("scale", scale, above=0)
        return cls(rng.uniform(-scale, scale, shape))

    @property
    def n_neurons(self) -> int:
        """Neurons that it gives input to."""
        return self.weights.shape[0]

    @property
    def dimensions(self) -> int:
        """Dimensions D of a sample."""
        return self.weights.shape[1]

    def __repr__(self) -> str:
        return f"CurrentEncoder({self.dimensions} dimensions to {self.n_neurons} neurons)"

    def of_neurons(self, kept: np.ndarray) -> CurrentEncoder:
        """Return the encoder of the neurons in the mask `kept`."""
        return CurrentEncoder(self.weights[kept])

    def attach(self, live: RecurrentNetwork, *, rngs: Sequence[np.random.Generator], duration: float) -> Input:
        """Write to ``I_ext`` of each copy; nothing random, nothing added to the network."""
        current, copies = live.neurons.variables["I_ext"], len(rngs)

        def write(z: np.ndarray) -> None:
            current.get_value().reshape(copies, -1)[:] = _project(z, self.weights)

        return Input((), write)

    def feed(self, network: NativeNetwork, *, rngs: Sequence[np.random.Generator], duration: float) -> Feed:
        """Write to the external current of each copy."""
        return _CurrentFeed(network, self.weights)


class _CurrentFeed:
    """External currents of the copies of the compiled loop."""

    def __init__(self, network: NativeNetwork, weights: np.ndarray) -> None:
        self._network, self._weights = network, weights

    def show(self, z: np.ndarray, steps: int) -> None:
        self._network.external[:] = _project(z, self._weights)
        self._network.run(steps)

    def stored(self) -> None:
        """The network stores its external currents."""

    def restore(self, stored: Any) -> None:
        """The network restores them."""


@dataclass(frozen=True, repr=False)
class PoissonEncoder:
    """Poisson spike trains whose rates are affine in the sample through random receptive fields (the paper's coding).

    Parameters
    ----------
    n_neurons : int
        Neurons that it gives input to.
    fields : ndarray, shape (M, D)
        Receptive field of each channel; its rate is ``max(0, base_rate (1 + fields @ z))``.
    base_rate : float
        Rate in Hz at z = 0.
    channel, neuron : ndarray of int, shape (C,)
        Connections from channels to neurons.
    weights : ndarray, shape (C,)
        Jump of the neuron's I_syn at a spike of the channel, or of its potential in a network with delta synapses.

    Notes
    -----
    Each channel carries a frozen unit-rate Poisson process in operational time: it fires when the integral of its rate
    passes the next of its exponential gaps. The spikes are thus a function of the samples shown and the seed alone,
    although the rates of a closed loop are not known beforehand (time rescaling: Brown et al. 2002,
    doi:10.1162/08997660252741149). A channel fires at most once per time step.

    Examples
    --------
    Two channels onto two neurons; without the second neuron its connection goes too:

    >>> encoder = PoissonEncoder(2, np.ones((2, 1)), 50.0, np.array([0, 1]), np.array([0, 1]), np.array([0.1, -0.1]))
    >>> encoder
    PoissonEncoder(2 channels, 2 connections)
    >>> encoder.of_neurons(np.array([True, False])).weights.tolist()
    [0.1]
    """

    n_neurons: int
    fields: np.ndarray
    base_rate: float
    channel: np.ndarray
    neuron: np.ndarray
    weights: np.ndarray

    @classmethod
    def draw(
        cls,
        n_neurons: int,
        dimensions: int,
        *,
        rng: np.random.Generator,
        channels: int = 300,
        base_rate: float = 50.0,
        field_scale: float = 0.5,
        inputs_per_neuron: int = 10,
        weight: float = 0.1,
    ) -> PoissonEncoder:
        """Draw receptive fields from ``N(0, field_scale^2)`` and the channels of each neuron, of either sign.

        Parameters
        ----------
        n_neurons, dimensions : int
            N and D.
        rng : numpy.random.Generator
            Source of the draws.
        channels : int
            Number M of channels.
        base_rate : float
            Rate of a channel at z = 0, in Hz.
        field_scale : float
            Standard deviation of the receptive fields, per standard deviation of the series.
        inputs_per_neuron : int
            Channels that each neuron is connected to.
        weight : float
            Size of a jump of I_syn, in units of the threshold.

        Raises
        ------
        InvalidInput
            If a number is out of range.

        Examples
        --------
        >>> PoissonEncoder.draw(20, 3, rng=np.random.default_rng(0), channels=30, inputs_per_neuron=4)
        PoissonEncoder(30 channels, 80 connections)
        """
        n, d = checks.count("n_neurons", n_neurons), checks.count("dimensions", dimensions)
        m = checks.count("channels", channels)
        k = checks.count("inputs_per_neuron", inputs_per_neuron)
        return cls(
            n,
            fields=checks.real("field_scale", field_scale, above=0) * rng.standard_normal((m, d)),
            base_rate=checks.real("base_rate", base_rate, above=0),
            channel=rng.integers(m, size=n * k),
            neuron=np.repeat(np.arange(n), k),
            weights=checks.real("weight", weight, above=0) * rng.choice([-1.0, 1.0], n * k),
        )

    @property
    def dimensions(self) -> int:
        """Dimensions D of a sample."""
        return self.fields.shape[1]

    def __repr__(self) -> str:
        return f"PoissonEncoder({len(self.fields)} channels, {self.weights.size} connections)"

    def of_neurons(self, kept: np.ndarray) -> PoissonEncoder:
        """Return the encoder of the neurons in the mask `kept`."""
        number, stays = np.cumsum(kept) - 1, kept[self.neuron]
        return replace(
            self,
            n_neurons=int(np.sum(kept)),
            channel=self.channel[stays],
            neuron=number[self.neuron[stays]],
            weights=self.weights[stays],
        )

    def attach(self, live: RecurrentNetwork, *, rngs: Sequence[np.random.Generator], duration: float) -> Input:
        """Add the channels and their synapses; every copy has spikes of its own."""
        copies = len(rngs)
        gaps = self._gaps(rngs, duration)
        channels = NeuronGroup(
            len(self.fields) * copies,
            """dphase/dt = rate : 1
            rate : Hz
            next_phase : 1
            fired : integer""",
            threshold="phase >= next_phase",
            reset="fired += 1\nnext_phase += gap((fired % n_gaps)*step, i)",
            method="euler",
            dt=live.dt * second,
            namespace={
                "gap": TimedArray(gaps, dt=live.dt * second, name="lnpbrian_gaps"),
                "step": live.dt * second,
                "n_gaps": len(gaps),
            },
            name=f"{live.neurons.name}_channels",
        )
        channels.next_phase = gaps[0]
        afferents = afferent_synapses(channels, live, (self.channel, self.neuron, self.weights), copies)

        def write(z: np.ndarray) -> None:
            channels.rate = self.rates(z).ravel() * Hz

        return Input((channels, afferents), write)

    def feed(self, network: NativeNetwork, *, rngs: Sequence[np.random.Generator], duration: float) -> Feed:
        """Run the channels beside the network."""
        return _PoissonFeed(network, self, self._gaps(rngs, duration))

    def rates(self, z: np.ndarray) -> np.ndarray:
        """Return the rates (copies, M) of the channels in Hz while samples (copies, D) are shown."""
        return np.maximum(0, self.base_rate * (1 + _project(z, self.fields)))

    def _gaps(self, rngs: Sequence[np.random.Generator], duration: float) -> np.ndarray:
        """Return gaps between spikes in operational time, one column for each channel of each copy."""
        # A channel that fires more often than twice the base rate on average uses its gaps again.
        shape = (int(2 * self.base_rate * duration) + 100, len(self.fields))
        return np.concatenate([rng.standard_exponential(shape) for rng in rngs], axis=1)


class _PoissonFeed:
    """Channels of Poisson spikes for the copies of the compiled loop."""

    def __init__(self, network: NativeNetwork, encoder: PoissonEncoder, gaps: np.ndarray) -> None:
        self._network, self._encoder, self._gaps = network, encoder, gaps
        order = np.argsort(encoder.channel, kind="stable")
        number = np.bincount(encoder.channel, minlength=len(encoder.fields))
        network.connect(np.concatenate([[0], np.cumsum(number)]), encoder.neuron[order], encoder.weights[order])
        self._phase, self._next = np.zeros(gaps.shape[1]), gaps[0].copy()
        self._fired = np.zeros(gaps.shape[1], dtype=int)

    def show(self, z: np.ndarray, steps: int) -> None:
        moved = self._encoder.rates(z).ravel() * self._network.dt
        spikes = [self._step(moved) for _ in range(steps)]
        step = np.repeat(np.arange(steps), [k.size for k in spikes])
        copy, channel = np.divmod(np.concatenate(spikes), len(self._encoder.fields))
        order = np.argsort(copy * steps + step, kind="stable")
        self._network.run(steps, place=(copy * steps + step)[order], channel=channel[order])

    def _step(self, moved: np.ndarray) -> np.ndarray:
        """Move the channels on by a step, and return those that fire."""
        self._phase += moved
        fires = np.flatnonzero(self._phase >= self._next)
        self._fired[fires] += 1
        self._next[fires] += self._gaps[self._fired[fires] % len(self._gaps), fires]
        return fires

    def stored(self) -> tuple[np.ndarray, ...]:
        return self._phase.copy(), self._next.copy(), self._fired.copy()

    def restore(self, stored: Any) -> None:
        self._phase, self._next, self._fired = (values.copy() for values in stored)
