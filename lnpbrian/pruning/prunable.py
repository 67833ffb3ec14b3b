"""What is pruned answers for itself: a model of this package, or anybody's Brian2 network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.spectrum import number_of_exponents
from lnpbrian.network.devices import require_device
from lnpbrian.network.drive import Drive, noise_drive
from lnpbrian.network.edits import add_like, keep_synapses, rehearse, silence
from lnpbrian.network.live import LiveNetwork, Snapshot
from lnpbrian.network.recurrent import RecurrentNetwork, adopt
from lnpbrian.network.simulate import RATE_RANGE_HZ
from lnpbrian.network.spec import NetworkSpec, mean_input
from lnpbrian.pruning.laws import PLASTICITY_LIMITS
from lnpbrian.pruning.observation import ModelObserver, Observation, Report, observe_network
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.streams import Streams

__all__ = ["Prunable", "PrunableModel", "PrunableNetwork", "prunable"]

# Bounds of the mean rate of a network of the user's own, over its rate before pruning.
RATE_FACTOR = 4.0


class Prunable(ABC):
    """A network that is pruned, and what a step may ask and do.

    Attributes
    ----------
    live : LiveNetwork
        Edited in place.
    signs : ndarray of int, shape (N,)
        +1 for neurons that excited as the network came, -1 for those that inhibited, 0 for both or none.
    clusters : ndarray of int, shape (N,), or None
        Groups of neurons that are alike, if they are known.
    original_edges : (ndarray, ndarray), shapes (S,)
        Source and target of the synapses that the network came with.
    """

    live: LiveNetwork
    signs: np.ndarray
    clusters: np.ndarray | None = None

    def __init__(self, live: LiveNetwork, options: PruneOptions, streams: Streams) -> None:
        self.live, self.options, self.streams = live, options, streams
        self.original_edges = live.edges()

    def graph(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the surviving neurons, and source and target of every synapse in their numbering."""
        alive = np.flatnonzero(self.live.alive)
        number = np.full(self.live.n_neurons, -1)
        number[alive] = np.arange(alive.size)
        pre, post = self.live.edges()
        return alive, number[pre], number[post]

    def keep_synapses(self, keep: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Remove all synapses but those of the mask `keep`, shape (S,), and give these new weights, if any."""
        keep_synapses(self.live, keep)
        if weights is not None:
            self.live.set_weights(weights)

    def silence(self, neurons: np.ndarray) -> None:
        """Take neurons out: no spikes, no input, and no synapse of any kind from or to them."""
        silence(self.live, neurons)

    def add_synapses(self, pre: np.ndarray, post: np.ndarray, rng: np.random.Generator) -> int:
        """Add synapses like surviving ones from neurons `pre` to neurons `post`, and return how many it became."""
        return add_like(self.live, pre, post, signs=self.signs, rng=rng)

    @abstractmethod
    def same_input(self, rates: np.ndarray, excitability: str) -> Any:
        """Return a context in which an edit leaves each neuron its mean input at these rates, shape (N,)."""

    @abstractmethod
    def observe(self, report: Report) -> Observation:
        """Measure rates and exponents of the network as it is."""

    @abstractmethod
    def rate_bounds(self, before: float) -> tuple[float, float]:
        """Return within which the mean rate is to stay, in Hz, if it was `before` before pruning."""

    @abstractmethod
    def check(self) -> None:
        """Refuse options that the network does not have the means for."""

    def as_it_came(self) -> None:
        """Make the network what it was before pruning, if an error in `guarded` does not do so."""

    @abstractmethod
    def moment(self) -> Any:
        """Return what `go_back` needs to make the network what it is now."""

    @abstractmethod
    def go_back(self, moment: Any) -> None:
        """Make the network what it was."""

    def forget(self, moment: Any) -> None:
        """Drop a moment."""

    @contextmanager
    def guarded(self, steps: Sequence[Any]) -> Iterator[None]:
        """Return a context that leaves the network as it was if anything fails in it."""
        yield

    def close(self) -> None:
        """Remove what was compiled."""

    # What only a model has.

    @property
    def spec(self) -> NetworkSpec:
        """The model as it is now."""
        self.require_model("a spec", "use what is in `live`")
        raise NotImplementedError

    @property
    def start(self) -> NetworkSpec:
        """The model as it came."""
        return self.spec

    drive: Drive | None = None

    def set_time_constants(self, time_constants: np.ndarray) -> None:
        """Give the neurons other membrane time constants, shape (N,), in seconds."""
        self.require_model("another time constant", "leave it")

    def set_plasticity(self, spec: NetworkSpec) -> None:
        """Give the synapses the constants of plasticity of `spec`, which has the same synapses."""
        self.require_model("plasticity", "leave it")

    def require_model(self, what: str, remedy: str) -> None:
        """Raise `InvalidInput` if this is no model of `lnpbrian.models`."""

    def check_excitability(self, excitability: str) -> None:
        """Raise `InvalidInput` if the bias cannot make up for the mean input."""

    def check_weights(self, needed: bool, why: str) -> None:
        """Raise `InvalidInput` if weights are `needed` and there is a reason `why` they cannot be had."""


class PrunableModel(Prunable):
    """A model of this package: measured on fresh copies of its spec, which has all that there is to know.

    Parameters
    ----------
    live : RecurrentNetwork
    options : PruneOptions
        `options.device` says where copies run.
    streams : Streams
    drive : Drive, optional
        Of all N neurons; by default drawn from the streams.
    """

    live: RecurrentNetwork

    def __init__(
        self, live: RecurrentNetwork, options: PruneOptions, streams: Streams, drive: Drive | None = None
    ) -> None:
        super().__init__(live, options, streams)
        self._start = live.spec
        self.signs = np.where(self._start.excitatory, 1, -1)
        self.clusters = self._start.cluster
        if drive is None:
            drive = noise_drive(live.n_neurons, duration=options.observation, rng=streams.rng("noise drive"))
        self.drive = drive
        self._observer = ModelObserver(self._start, drive, options, streams)

    @property
    def spec(self) -> NetworkSpec:
        """The model as it is now."""
        return self.live.spec

    @property
    def start(self) -> NetworkSpec:
        """The model as it came."""
        return self._start

    def check(self) -> None:
        """Refuse a device that does not work here, and exponents that the model does not have."""
        if self.options.device != "runtime":
            require_device(self.options.device)
        if self.options.exponents == "spectrum":
            number_of_exponents(self._start, "all")
        if self.options.exponents == "tangent" and self._start.delays is not None:
            raise InvalidInput("exponents='tangent' does not know delays; use 'twins'")

    def keep_synapses(self, keep: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Remove all synapses but those of `keep`; weights that learn may leave the range that they had."""
        super().keep_synapses(keep, weights)
        synapses = self.live.synapses
        if "learning" in synapses.variables and len(synapses):
            largest = float(np.abs(self.live.weights()).max())
            synapses.w_max = max(float(synapses.w_max[:]), largest)

    @contextmanager
    def same_input(self, rates: np.ndarray, excitability: str) -> Iterator[None]:
        """Make up in the biases of the living for the mean input that the edit in the block changes."""
        before = self._mean_input(rates)
        yield
        if excitability != "keep":
            alive = np.flatnonzero(self.live.alive)
            change = before - self._mean_input(rates)
            self.live.neurons.variables["I_bias"].get_value()[alive] += change[alive]

    def observe(self, report: Report) -> Observation:
        """Measure a fresh copy, which runs from its initial potentials under the drive."""
        return self._observer.observe(self.spec, report=report)

    def rate_bounds(self, before: float) -> tuple[float, float]:
        """Return the range in which models are built."""
        return RATE_RANGE_HZ

    def as_it_came(self) -> None:
        """Take the first spec over."""
        adopt(self.live, self._start)

    def moment(self) -> NetworkSpec:
        """Return the spec."""
        return self.spec

    def go_back(self, moment: NetworkSpec) -> None:
        """Take the spec over."""
        adopt(self.live, moment)

    def set_time_constants(self, time_constants: np.ndarray) -> None:
        """Give the neurons other membrane time constants, shape (N,), in seconds."""
        self.live.set_time_constants(time_constants)

    def set_plasticity(self, spec: NetworkSpec) -> None:
        """Give the synapses the constants of plasticity of `spec`, which has the same synapses."""
        assert spec.plasticity is not None
        for name in PLASTICITY_LIMITS:
            self.live.synapses.variables[name].get_value()[:] = getattr(spec.plasticity, name)

    def close(self) -> None:
        """Remove what was compiled."""
        self._observer.close()

    def _mean_input(self, rates: np.ndarray) -> np.ndarray:
        gain = self._start.synaptic_time_constant or self.live.time_constants
        return mean_input(*self.live.edges(), self.live.weights(), rates=rates, gain=gain)


class PrunableNetwork(Prunable):
    """Anybody's Brian2 network: it is run to be measured, and set back to where it was."""

    def __init__(self, live: LiveNetwork, options: PruneOptions, streams: Streams) -> None:
        super().__init__(live, options, streams)
        self.signs = live.signs()

    def check(self) -> None:
        """Refuse what needs to know the equations."""
        if self.options.exponents not in ("auto", "twins"):
            self.require_model(f"exponents={self.options.exponents!r}", "use 'twins'")
        if self.options.device != "runtime":
            self.require_model(f"device={self.options.device!r}", "use 'runtime'")

    @contextmanager
    def same_input(self, rates: np.ndarray, excitability: str) -> Iterator[None]:
        """Do nothing: what a bias is, is not known."""
        yield

    def observe(self, report: Report) -> Observation:
        """Run the network from where it is, and set it back."""
        return observe_network(self.live, self.options, self.streams, report=report)

    def rate_bounds(self, before: float) -> tuple[float, float]:
        """Return bounds relative to the rate before pruning."""
        return before / RATE_FACTOR, before * RATE_FACTOR

    @contextmanager
    def guarded(self, steps: Sequence[Any]) -> Iterator[None]:
        """Try the edits that the steps may make, and leave the network as it was if anything fails in the block."""
        with Snapshot(self.live) as before:
            try:
                rehearse(
                    self.live,
                    neurons=self.options.neuron_sparsity > 0,
                    edges=any(step.synapse_factor(1.0) > 1 for step in steps),
                )
                yield
            except BaseException:
                before.restore()
                raise

    def moment(self) -> Snapshot:
        """Return a snapshot."""
        return Snapshot(self.live)

    def go_back(self, moment: Snapshot) -> None:
        """Restore a snapshot."""
        moment.restore()

    def forget(self, moment: Snapshot) -> None:
        """Free a snapshot."""
        moment.__exit__(None, None, None)

    def require_model(self, what: str, remedy: str) -> NoReturn:
        """Raise `InvalidInput`."""
        raise InvalidInput(f"{what} needs a model of lnpbrian.models; {remedy}")

    def check_excitability(self, excitability: str) -> None:
        """Refuse to make up for what is not known."""
        if excitability == "compensate":
            self.require_model("excitability='compensate'", "use 'keep'")

    def check_weights(self, needed: bool, why: str) -> None:
        """Refuse what cannot be done to the weights of these synapses."""
        if needed and why:
            raise InvalidInput(f"{why}; use NoisePruning(rescale='none', edge_strength='lyapunov')")


def prunable(
    network: LiveNetwork, options: PruneOptions, streams: Streams, drive: Drive | None = None
) -> PrunableModel | PrunableNetwork:
    """Return what is pruned.

    Raises
    ------
    InvalidInput
        If a network of somebody else gets a drive.
    """
    if isinstance(network, RecurrentNetwork):
        return PrunableModel(network, options, streams, drive)
    if drive is not None:
        raise InvalidInput("drive needs a model of lnpbrian.models; a network of your own brings its own input")
    return PrunableNetwork(network, options, streams)
