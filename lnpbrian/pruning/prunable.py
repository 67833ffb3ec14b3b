"""What is pruned answers for itself: a model of this package, or anybody's Brian2 network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from brian2 import Quantity, ms, second

from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.device_twins import CompiledTwins
from lnpbrian.lyapunov.exponents import Spectrum
from lnpbrian.lyapunov.growth import TwinExponents, twin_window
from lnpbrian.lyapunov.spectrum import lyapunov_spectrum, number_of_exponents
from lnpbrian.lyapunov.twins import block_twin_exponents, restored_twin_exponents, tangent_twin_exponents
from lnpbrian.network.brian2_internals import disown, unowned
from lnpbrian.network.engines.compiled import CompiledNetwork
from lnpbrian.network.engines.devices import require_device
from lnpbrian.network.live import LiveNetwork, Snapshot
from lnpbrian.network.probing import linear_response, response_and_spikes
from lnpbrian.network.recurrent import RecurrentNetwork, adopt
from lnpbrian.network.response import LinearResponse, slow_response
from lnpbrian.network.signals import Drive, SpikeTrain, interval_cv, noise_drive
from lnpbrian.network.simulate import RATE_RANGE_HZ, mean_rates, observe, spike_train, twin_timing
from lnpbrian.network.spec import NetworkSpec, mean_input
from lnpbrian.pruning.edits import add_like, keep_synapses, rehearse, rewire, silence
from lnpbrian.pruning.schedule import SETTLE, PruneOptions
from lnpbrian.pruning.steps.laws import PLASTICITY_LIMITS
from lnpbrian.pruning.steps.noise import input_power
from lnpbrian.streams import Streams

__all__ = ["Observation", "Prunable", "PrunableModel", "PrunableNetwork", "prunable"]

Report = Callable[[str, float], None]

# Part by which inputs are raised and lowered to measure a linear response of a network of the user's own.
PROBE = 0.1
# Logarithm of the rate over what it is to be that is good enough, after at most so many runs, and the largest logarithm
# of a factor of excitation or inhibition whose variance the other makes up for.
RATE_LEFT, RATE_EVALUATIONS, RATE_FACTORS = 0.04, 9, 1.5

# Slow networks fluctuate for longer than one observation, and what is kept wrongly at first stays wrong.
REFERENCE = 5

# Between two orthonormalisations of candidates for time constants.
REORTHONORMALISE_EVERY = 10 * ms

# Bounds of the mean rate of a network of the user's own, over its rate before pruning.
RATE_FACTOR = 4.0


@dataclass(frozen=True)
class Observation:
    """Rates and exponents of a network.

    Attributes
    ----------
    rates : ndarray, shape (N,)
        Firing rates in Hz of all neurons, silent ones included.
    each : TwinExponents or Spectrum
        Where the exponents of the neurons come from; of those that are alive.
    largest : TwinExponents or Spectrum
        Where the largest exponent of the network comes from.
    alive : ndarray of bool, shape (N,)
        The neurons that were alive.
    interval_cv : float
        Coefficient of variation of the intervals between spikes, mean over the neurons with three spikes and more; NaN
        if there is none.
    response : LinearResponse or None
        Of all N neurons; None of a network whose response was not measured.
    time_constants : ndarray, shape (N,), or None
        Of a model's membranes.

    Notes
    -----
    Variation of intervals: Softky and Koch 1993, doi:10.1523/JNEUROSCI.13-01-00334.1993.
    """

    rates: np.ndarray
    each: TwinExponents | Spectrum
    largest: TwinExponents | Spectrum
    alive: np.ndarray
    interval_cv: float = np.nan
    response: LinearResponse | None = None
    time_constants: np.ndarray | None = None

    @property
    def network_exponent(self) -> tuple[float, float]:
        """The largest exponent with its standard error; that of a window where no direction was kept."""
        found = self.largest
        if found.largest_exponent is None or found.standard_error is None:
            return _of_window(found)
        return found.largest_exponent, found.standard_error

    @property
    def window_exponent(self) -> tuple[float, float]:
        """Mean growth over one window with its standard error; of a spectrum, its leading exponent."""
        return _of_window(self.each)


def _of_window(found: TwinExponents | Spectrum) -> tuple[float, float]:
    if isinstance(found, Spectrum):
        return found.largest_exponent, found.standard_error
    assert found.window_exponent is not None
    assert found.window_standard_error is not None
    return found.window_exponent, found.window_standard_error


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
    notes : tuple of str
        What was done to it before the first measurement.
    responds : bool
        Whether its linear response is good to every single neuron, and its bias makes up for mean inputs.
    """

    live: LiveNetwork
    signs: np.ndarray
    clusters: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    responds = False

    def __init__(self, live: LiveNetwork, options: PruneOptions, streams: Streams) -> None:
        self.live, self.options, self.streams = live, options, streams
        # Currents need several of their time constants to get to where they stay.
        self.settle = max(SETTLE, 10 * float(live.synaptic_time_constants.max(initial=0)) * second)
        self.original_edges = live.edges()

    @property
    def n_acting(self) -> int:
        """Number of synapses that have an effect."""
        return self.live.n_synapses

    def graph(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the surviving neurons, and source and target of every synapse in their numbering."""
        alive = np.flatnonzero(self.live.alive)
        number = np.full(self.live.n_neurons, -1)
        number[alive] = np.arange(alive.size)
        pre, post = self.live.edges()
        return alive, number[pre], number[post]

    def keep_synapses(self, keep: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Remove all synapses but those of the mask `keep`, shape (S,), and give these new weights, if any."""
        if weights is not None and weights.shape != (keep.sum(),):
            raise InvalidInput(f"weights must be those of the {keep.sum()} synapses that are kept, got {weights.size}")
        keep_synapses(self.live, keep)
        if weights is not None:
            self.live.set_weights(weights)

    def silence(self, neurons: np.ndarray) -> None:
        """Take neurons out: no spikes, no input, and no synapse of any kind from or to them."""
        silence(self.live, neurons)

    def add_synapses(self, pre: np.ndarray, post: np.ndarray, rng: np.random.Generator) -> int:
        """Add synapses like surviving ones from neurons `pre` to neurons `post`, and return how many it became."""
        return add_like(self.live, pre, post, signs=self.signs, rng=rng)

    def rewire(
        self, remove: np.ndarray, pre: np.ndarray, post: np.ndarray, like: np.ndarray, rng: np.random.Generator
    ) -> None:
        """Put in synapses from `pre` to `post`, each with the values of a present one `like`, and take out others.

        Where `like` is -1, or cannot be between these neurons, the synapse is like one that is drawn.
        """
        rewire(self.live, remove, pre, post, like, signs=self.signs, rng=rng)

    def power(self) -> np.ndarray:
        """Return the sum of squares of the weights onto each neuron, shape (K, N).

        Those of each of the K Synapses objects are summed with all that act likewise.
        """
        channels, post, weights = self.live.channels(), self.live.edges()[1], self.live.weights()
        channel = channels[self.live.owners()]
        one_by_one = [
            input_power(post[channel == c], weights[channel == c], self.live.n_neurons)
            for c in range(channels.max(initial=0) + 1)
        ]
        return np.array(one_by_one)[channels]

    def scale(self, factors: np.ndarray) -> None:
        """Scale the weights of each Synapses object onto each neuron by a factor, shape (K, N), or one for all."""
        where = np.broadcast_to(factors, (len(self.live.connections), self.live.n_neurons))
        self.live.set_weights(self.live.weights() * where[self.live.owners(), self.live.edges()[1]])

    def balance(self, rates: np.ndarray, observed: Observation) -> str:
        """Bring the mean rate back to that of `rates`, shape (N,), by excitation and inhibition, and say how.

        Where the bias makes up for the mean input there is nothing left to do.
        """
        return ""

    def response(self, observed: Observation) -> LinearResponse:
        """Return the linear response with the synapses that there are now, at the gains that were observed."""
        if observed.response is None:
            raise InvalidInput(f"no linear response was measured: {self.live.weights_can_be_set()}")
        return observed.response.of_synapses(*self.live.edges(), self.live.weights(), self.live.owners())

    @abstractmethod
    def same_input(self, rates: np.ndarray, excitability: str) -> Any:
        """Return a context in which an edit leaves each neuron its mean input at these rates, shape (N,)."""

    @abstractmethod
    def observe(self, report: Report) -> Observation:
        """Measure rates and exponents of the network as it is."""

    def reference_rates(self, first: Observation) -> np.ndarray:
        """Return the rates (N,) of the network as it came, at which pruning keeps mean inputs."""
        return first.rates

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
        """Return a context in which the steps edit; a network whose spec is not known is set back if they fail."""
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

    def set_bias(self, bias: np.ndarray) -> None:
        """Give the neurons other biases, shape (N,)."""
        self.require_model("another bias", "leave it")

    def set_plasticity(self, spec: NetworkSpec) -> None:
        """Give the synapses the constants of plasticity of `spec`, which has the same synapses."""
        self.require_model("plasticity", "leave it")

    def spectrum_of(
        self,
        spec: NetworkSpec,
        n_exponents: int,
        *,
        duration: Quantity,
        rng: np.random.Generator,
        restart: np.random.Generator | None = None,
    ) -> Spectrum:
        """Return the leading exponents of what the network may become under its drive, from another start if wanted."""
        self.require_model("a spectrum", "leave it")
        raise NotImplementedError

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
    responds = True

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
        # Programs are compiled when they are first needed; new edges may make a few more synapses than there were.
        self._capacity = round(1.05 * self._start.n_synapses) + 100
        self._network: CompiledNetwork | None = None
        self._twins: dict[str, CompiledTwins] = {}

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
        self._widen()

    def scale(self, factors: np.ndarray) -> None:
        """Scale the weights onto each neuron; those that learn may leave the range that they had."""
        super().scale(factors)
        self._widen()

    def _widen(self) -> None:
        synapses = self.live.synapses
        if "learning" in synapses.variables and len(synapses):
            largest = float(np.abs(self.live.weights()).max())
            synapses.w_max = max(float(synapses.w_max[:]), largest)

    @contextmanager
    def same_input(self, rates: np.ndarray, excitability: str) -> Iterator[None]:
        """Make up in the biases of the living for the mean input that the edit in the block changes."""
        if excitability == "keep":
            yield
            return
        before = self._mean_input(rates)
        yield
        alive = np.flatnonzero(self.live.alive)
        change = before - self._mean_input(rates)
        self.live.neurons.variables["I_bias"].get_value()[alive] += change[alive]

    def observe(self, report: Report) -> Observation:
        """Measure a fresh copy, which runs from its initial potentials under the drive."""
        return self.measure(self.spec, report)

    def measure(self, spec: NetworkSpec, report: Report) -> Observation:
        """Run a fresh copy of the model, or of what pruning makes of it, under the drive, and measure it.

        It starts from its initial potentials.
        Equal networks give equal observations, bit for bit, whatever happened before.
        """
        options, streams = self.options, self.streams
        inner = spec.compacted()
        own = None if self.drive is None else self.drive.of_neurons(spec.alive)
        kind = options.exponents
        if kind == "auto":
            kind = "twins" if inner.delays is not None else "tangent"
        report("rates", 0.0)
        settle = float(self.settle)
        response: LinearResponse | None = None
        each: TwinExponents | Spectrum
        largest: TwinExponents | Spectrum
        if options.device == "runtime" and inner.spike_timing != "grid":
            # The network that its neurons are probed beside spikes as it does by itself.
            response, spikes = response_and_spikes(inner, own, duration=options.observation, transient=self.settle)
        else:
            spikes = self._spikes(spec, inner, own)
        rates = np.zeros(spec.n_neurons)
        counts = np.bincount(spikes.indices[spikes.times > settle], minlength=inner.n_neurons)
        rates[spec.alive] = counts / float(options.observation)
        cv = interval_cv(spikes.after(settle))
        report("linear response", 0.3)
        response = (response or self._response(inner, own, rates[spec.alive])).among(spec.alive)
        report("exponents", 0.4)

        def tell(fraction: float) -> None:
            report("exponents", 0.4 + 0.6 * fraction)

        if kind == "spectrum":
            each = largest = lyapunov_spectrum(
                inner, duration=options.exponent_duration, inputs=own, rng=streams.rng("vectors"), report=tell
            )
        elif kind == "tangent":
            each = largest = tangent_twin_exponents(
                inner,
                spikes=spikes,
                drive=own,
                duration=min(options.exponent_duration, options.observation),
                transient=self.settle,
                realisations=options.realisations,
                rng=streams.rng("twins"),
                report=tell,
            )
        else:
            each = self._twin_exponents(spec, "fresh", tell, 0.0)
            largest = self._twin_exponents(spec, "kept", tell, 0.5)
        return Observation(rates, each, largest, spec.alive, cv, response, spec.time_constants)

    def response(self, observed: Observation) -> LinearResponse:
        """Return the linear response as it is now; gains are measured anew where time constants are other ones."""
        spec = self.spec
        if observed.time_constants is not None and (spec.time_constants != observed.time_constants).any():
            own = None if self.drive is None else self.drive.of_neurons(spec.alive)
            again = self._response(spec.compacted(), own, observed.rates[spec.alive]).among(spec.alive)
            observed = replace(observed, response=again)
        return super().response(observed)

    def reference_rates(self, first: Observation) -> np.ndarray:
        """Return rates that are measured `REFERENCE` times as long as those of an iteration."""
        length = REFERENCE * float(self.options.observation)
        return mean_rates(self._start, length, settle=float(self.settle), drive=self.drive)

    def _response(self, inner: NetworkSpec, own: Drive | None, rates: np.ndarray) -> LinearResponse:
        """Return the linear response of the living neurons, in their numbering."""
        if self.options.device != "runtime":
            return slow_response(inner, rates=rates)
        return linear_response(inner, own, duration=self.options.observation, transient=self.settle)

    def _spikes(self, spec: NetworkSpec, inner: NetworkSpec, own: Drive | None) -> SpikeTrain:
        """Return the spikes of the living neurons, in their numbering."""
        length = float(self.settle) + float(self.options.observation)
        if self.options.device == "runtime":
            return spike_train(inner, length, drive=own)
        timed = twin_timing(spec, self.drive)
        if self._network is None:
            self._network = CompiledNetwork(
                timed,
                duration=length * second,
                drive=self.drive,
                device=self.options.device,
                capacity=self._capacity,
            )
        train = self._network.run(timed).spike_train
        return replace(train, indices=(np.cumsum(spec.alive) - 1)[train.indices], n_neurons=inner.n_neurons)

    def _twin_exponents(
        self, spec: NetworkSpec, directions: str, tell: Callable[[float], None], begun: float
    ) -> TwinExponents:
        options, timed = self.options, twin_timing(spec, self.drive)
        how: dict[str, Any] = {
            "directions": directions,
            "duration": options.exponent_duration,
            "renormalise_every": twin_window(timed.dt) * second,
            "realisations": options.realisations if directions == "fresh" else 1,
            "perturbation": options.perturbation,
        }
        rng = self.streams.rng("twins")
        # Spikes in flight cannot be handed from one twin to another in a compiled program.
        if options.device == "runtime" or timed.delays is not None:
            return block_twin_exponents(
                timed.compacted(),
                drive=None if self.drive is None else self.drive.of_neurons(spec.alive),
                rng=rng,
                report=lambda fraction: tell(begun + 0.5 * fraction),
                **how,
            )
        if directions not in self._twins:
            self._twins[directions] = CompiledTwins(
                timed, drive=self.drive, device=options.device, capacity=self._capacity, **how
            )
        found = self._twins[directions].run(timed, rng=rng)
        tell(begun + 0.5)
        return found

    def rate_bounds(self, before: float) -> tuple[float, float]:
        """Return the range in which models are built."""
        return RATE_RANGE_HZ

    def as_it_came(self) -> None:
        """Take the first spec over."""
        adopt(self.live, self._start)

    @contextmanager
    def guarded(self, steps: Sequence[Any]) -> Iterator[None]:
        """Make room for the edges that the steps add, in programs that are yet to be compiled."""
        added = max(1.0, float(np.prod([step.synapse_factor(1.0) for step in steps])))
        if not any(step.removes_synapses for step in steps):
            added **= self.options.iterations
        self._capacity = round(1.05 * added * self._start.n_synapses) + 100
        yield

    def moment(self) -> NetworkSpec:
        """Return the spec."""
        return self.spec

    def go_back(self, moment: NetworkSpec) -> None:
        """Take the spec over."""
        adopt(self.live, moment)

    def set_time_constants(self, time_constants: np.ndarray) -> None:
        """Give the neurons other membrane time constants, shape (N,), in seconds."""
        self.live.set_time_constants(time_constants)

    def set_bias(self, bias: np.ndarray) -> None:
        """Give the neurons other biases, shape (N,)."""
        self.live.neurons.variables["I_bias"].get_value()[:] = bias

    def set_plasticity(self, spec: NetworkSpec) -> None:
        """Give the synapses the constants of plasticity of `spec`, which has the same synapses."""
        assert spec.plasticity is not None
        for name in PLASTICITY_LIMITS:
            self.live.synapses.variables[name].get_value()[:] = getattr(spec.plasticity, name)

    def spectrum_of(
        self,
        spec: NetworkSpec,
        n_exponents: int,
        *,
        duration: Quantity,
        rng: np.random.Generator,
        restart: np.random.Generator | None = None,
    ) -> Spectrum:
        """Return the leading exponents of what the model may become under its drive, from another start if wanted.

        `restart` draws that: the potentials of other neurons, and the drive of another time.
        """
        drive = self.drive
        if restart is not None:
            spec = replace(spec, initial_potential=restart.permutation(spec.initial_potential))
            if drive is not None:
                drive = Drive(np.roll(drive.values, restart.integers(len(drive.values)), axis=0), drive.hold)
        return lyapunov_spectrum(
            spec,
            n_exponents=n_exponents,
            duration=duration,
            transient=self.settle,
            reorthonormalise_every=REORTHONORMALISE_EVERY,
            inputs=drive,
            # As in `spike_train`: on the grid slopes at the threshold are not those of a crossing.
            trajectory="exact" if spec.spike_timing == "grid" else "brian2",
            rng=rng,
        )

    def close(self) -> None:
        """Remove what was compiled."""
        for program in (self._network, *self._twins.values()):
            if program is not None:
                program.close()

    def _mean_input(self, rates: np.ndarray) -> np.ndarray:
        gain = self._start.synaptic_time_constant or self.live.time_constants
        return mean_input(*self.live.edges(), self.live.weights(), rates=rates, gain=gain)


def _populations(live: LiveNetwork) -> np.ndarray:
    """Number the sets of neurons between which the Synapses of a network tell no difference, shape (N,)."""
    ends = [where for where, _ in live.spiking]
    ends += [where for synapses in live.connections for where in live.between(synapses)]
    borders = np.unique([k for where in ends for k in (where.start, where.stop)])
    return np.unique(np.searchsorted(borders, np.arange(live.n_neurons), side="right"), return_inverse=True)[1]


class PrunableNetwork(Prunable):
    """Anybody's Brian2 network: it is run to be measured, and set back to where it was."""

    def __init__(self, live: LiveNetwork, options: PruneOptions, streams: Streams) -> None:
        super().__init__(live, options, streams)
        self.signs = live.signs()
        self.clusters = _populations(live)
        # A dense matrix has zeros where there is no synapse; those that learn may become one.
        self._idle = live.effects() == 0
        self.original_edges = tuple(ends[~self._idle] for ends in self.original_edges)
        if self._idle.any():
            self.notes = (f"{self._idle.sum()} synapses of weight 0 removed, which did nothing",)

        # What is recorded stays, and the neurons on either side of it.
        recorded = live.recorded()
        for synapses, part in zip(live.connections, live.split(recorded), strict=True):
            if 2 * part.sum() > part.size:
                raise InvalidInput(
                    f"StateMonitors record {part.sum()} of {part.size} synapses of '{synapses.name}', which then have "
                    "to stay; record fewer, or take the monitors out and record the surviving synapses afterwards"
                )
        for ends in live.edges():
            live.is_protected[ends[recorded]] = True

    def keep_synapses(self, keep: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Remove all synapses but those of `keep` and those that are recorded."""
        stay = keep | self.live.recorded()
        if weights is not None and weights.size == keep.sum():
            weights = np.insert(weights, np.cumsum(keep)[stay & ~keep], self.live.weights()[stay & ~keep])
        super().keep_synapses(stay, weights)

    @property
    def n_acting(self) -> int:
        """Number of synapses whose weight is not 0, or may change."""
        return int((~self._idle).sum())

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
        """Run the network from where it is, measure it with twins, and set it back to where it was.

        So every iteration of a pruning run meets the same input and the same random numbers.
        """
        report("rates", 0.0)
        with Snapshot(self.live) as before:
            try:
                observe(self.live, self.settle)
                with Snapshot(self.live) as settled:
                    spikes = observe(self.live, self.options.observation)
                    settled.restore()
                    report("linear response", 0.3)
                    response = self._response(settled, spikes.rates)
                report("exponents", 0.4)
                twins = restored_twin_exponents(
                    self.live,
                    transient=0 * ms,
                    renormalise_every=twin_window(self.live.dt) * second,
                    duration=self.options.exponent_duration,
                    realisations=self.options.realisations,
                    perturbation=self.options.perturbation,
                    # The same perturbations in every iteration: differences come from the network.
                    rng=self.streams.rng("twins"),
                    report=lambda fraction: report("exponents", 0.4 + 0.6 * fraction),
                )
            finally:
                before.restore()
        return Observation(spikes.rates, twins, twins, self.live.measured, interval_cv(spikes), response)

    def _response(self, settled: Snapshot, rates: np.ndarray) -> LinearResponse | None:
        """Return the linear response by runs from where the network has settled, in which weights are a little changed.

        The inputs of a random half of the neurons are raised by `PROBE`, those of the others lowered, so that what the
        network makes of it cancels. The slope of the changes of their rates is one number for all neurons of a group
        and each kind of synapse.
        """
        live = self.live
        if live.weights_can_be_set():
            return None
        (pre, post), weights, owner = live.edges(), live.weights(), live.owners()
        channels = live.channels()
        raised = self.streams.rng("probes").choice([-1.0, 1.0], live.n_neurons)
        sensitivity = np.zeros((len(live.connections), live.n_neurons))
        for channel in np.unique(channels):
            mine = channels[owner] == channel
            inputs = [np.where(mine & (np.sign(weights) == sign), weights * rates[pre], 0.0) for sign in (1, -1)]
            # Excitation and inhibition of one kind may cancel: the stronger of them tells.
            strongest = max(inputs, key=lambda given: float(np.abs(given).sum()))
            level = np.bincount(post, weights=strongest, minlength=live.n_neurons)
            if not level.any():
                continue
            live.set_weights(np.where(strongest != 0, weights * (1 + PROBE * raised[post]), weights))
            changed = observe(live, self.options.observation).rates - rates
            settled.restore()
            slope = float((raised * level * changed).sum() / (PROBE * (level**2).sum()))
            sensitivity[np.ix_(channels == channel, level != 0)] = slope
        return LinearResponse(rates, sensitivity, pre, post, weights, owner, np.zeros(live.n_neurons))

    def balance(self, rates: np.ndarray, observed: Observation) -> str:
        """Bring the mean rate back by less excitation and more inhibition, or the other way round.

        One is lowered, and the other raised so that the variance of the inputs stays, each neuron's coupling counting
        as in the linear response; beyond, both change by the same factor.
        """
        live = self.live
        wanted = float(rates[live.measured].mean())
        if not wanted or observed.response is None:
            return ""
        weights, signs, pre = live.weights(), live.effects(), live.edges()[0]
        parts = self.response(observed).couplings ** 2 * rates[pre]
        excitation, inhibition = (float(parts[signs == sign].sum()) for sign in (1, -1))

        def factors(x: float) -> tuple[float, float]:
            """Return those of excitation and of inhibition."""
            lowered, grown = np.exp(-min(abs(x), RATE_FACTORS)), np.exp(max(abs(x) - RATE_FACTORS, 0.0))
            down, up = (excitation, inhibition) if x > 0 else (inhibition, excitation)
            raised = np.sqrt(1 + (1 - lowered**2) * down / up) if up else 1.0
            pair = lowered / grown, raised * grown
            return pair if x > 0 else pair[::-1]

        def changed(x: float) -> np.ndarray:
            more, less = factors(x)
            return weights * np.where(signs > 0, more, np.where(signs < 0, less, 1.0))

        def excess(x: float) -> float:
            with Snapshot(live) as before:
                try:
                    live.set_weights(changed(x))
                    observe(live, self.settle)
                    found = observe(live, self.options.observation).rates[live.measured].mean()
                finally:
                    before.restore()
            return float(np.log(max(found, 1e-3 * wanted) / wanted))

        x, left = _root(excess)
        shown = f"mean rate {100 * np.expm1(left):+.0f} %"
        if not x:
            return shown
        live.set_weights(changed(x))
        return f"excitation x {factors(x)[0]:.2f}, inhibition x {factors(x)[1]:.2f}, {shown}"

    def rate_bounds(self, before: float) -> tuple[float, float]:
        """Return bounds relative to the rate before pruning."""
        return before / RATE_FACTOR, before * RATE_FACTOR

    @contextmanager
    def guarded(self, steps: Sequence[Any]) -> Iterator[None]:
        """Try the edits that the steps may make, and leave the network as it was if anything fails in the block."""
        new = unowned(self.live.network)
        with Snapshot(self.live) as before:
            try:
                rehearse(
                    self.live,
                    neurons=self.options.neuron_sparsity > 0,
                    edges=any(step.adds_synapses or step.synapse_factor(1.0) > 1 for step in steps),
                )
                if self._idle.any():
                    self.keep_synapses(~self._idle)
                yield
            except BaseException:
                before.restore()
                raise
            finally:
                # The script may go on with a network of its own, or with run().
                disown(new)

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
            raise InvalidInput(f"{why}; use NoisePruning(rescale='variance', edge_strength='lyapunov')")


def _root(excess: Callable[[float], float]) -> tuple[float, float]:
    """Return where a falling function is about 0, and its value there, from few and costly evaluations.

    Examples
    --------
    >>> _root(lambda x: 0.3 - 2 * x)
    (0.15, 0.0)
    """
    known = {0.0: excess(0.0)}
    x = 0.1 * np.sign(known[0.0])
    while min(np.abs(list(known.values()))) > RATE_LEFT and len(known) < RATE_EVALUATIONS:
        known[float(x)] = excess(float(x))
        above = max((p for p, value in known.items() if value > 0), default=None)
        below = min((p for p, value in known.items() if value <= 0), default=None)
        if above is None or below is None or above > below:  # not enclosed yet, or not falling
            ends = sorted(known)
            x = ends[0] - 2 * max(-ends[0], 0.1) if known[ends[0]] < 0 else ends[-1] + 2 * max(ends[-1], 0.1)
            if abs(x) > 2 * RATE_FACTORS:
                break
        else:
            share = known[above] / (known[above] - known[below])
            x = round(above + min(max(share, 0.1), 0.9) * (below - above), 12)
    best = min(known, key=lambda p: abs(known[p]))
    return best, round(known[best], 12)


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
