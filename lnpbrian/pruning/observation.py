"""What a pruning iteration looks at: firing rates and Lyapunov exponents of the network as it is now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from brian2 import ms, second

from lnpbrian.lyapunov.device_twins import CompiledTwins
from lnpbrian.lyapunov.spectrum import Spectrum, lyapunov_spectrum
from lnpbrian.lyapunov.twins import (
    TwinExponents,
    block_twin_exponents,
    restored_twin_exponents,
    tangent_twin_exponents,
    twin_window,
)
from lnpbrian.network.compiled import CompiledNetwork
from lnpbrian.network.drive import Drive
from lnpbrian.network.live import LiveNetwork, Snapshot
from lnpbrian.network.simulate import observe, spike_train, twin_timing
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.network.spikes import SpikeTrain
from lnpbrian.pruning.schedule import SETTLE, PruneOptions
from lnpbrian.streams import Streams

__all__ = ["ModelObserver", "Observation", "observe_model", "observe_network"]

Report = Callable[[str, float], None]


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
    """

    rates: np.ndarray
    each: TwinExponents | Spectrum
    largest: TwinExponents | Spectrum
    alive: np.ndarray

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


class ModelObserver:
    """Measures a model, and what pruning makes of it, as often as is asked for.

    Parameters
    ----------
    spec : NetworkSpec
        The network with the most synapses of all that will be measured.
    drive : Drive, optional
        Of all N neurons.
    options : PruneOptions
        `options.device` says where networks run. A program is compiled when it is first needed.
    streams : Streams
    """

    def __init__(self, spec: NetworkSpec, drive: Drive | None, options: PruneOptions, streams: Streams) -> None:
        self._drive, self._options, self._streams = drive, options, streams
        # Step III may bring a few more than there were.
        self._capacity = round(1.05 * spec.n_synapses) + 100
        self._network: CompiledNetwork | None = None
        self._twins: dict[str, CompiledTwins] = {}

    def observe(self, spec: NetworkSpec, *, report: Report) -> Observation:
        """Run a fresh copy of a model from its initial potentials under the drive, and measure it.

        Equal networks give equal observations, bit for bit, whatever happened before.
        """
        options, streams = self._options, self._streams
        inner = spec.compacted()
        own = None if self._drive is None else self._drive.of_neurons(spec.alive)
        kind = options.exponents
        if kind == "auto":
            kind = "twins" if inner.delays is not None else "tangent"
        report("rates", 0.0)
        settle = float(SETTLE)
        spikes = self._spikes(spec, inner, own)
        rates = np.zeros(spec.n_neurons)
        counts = np.bincount(spikes.indices[spikes.times > settle], minlength=inner.n_neurons)
        rates[spec.alive] = counts / float(options.observation)
        report("exponents", 0.4)

        def tell(fraction: float) -> None:
            report("exponents", 0.4 + 0.6 * fraction)

        if kind == "spectrum":
            whole = lyapunov_spectrum(
                inner, duration=options.exponent_duration, inputs=own, rng=streams.rng("vectors"), report=tell
            )
            return Observation(rates, whole, whole, spec.alive)
        if kind == "tangent":
            twins = tangent_twin_exponents(
                inner,
                spikes=spikes,
                drive=own,
                duration=min(options.exponent_duration, options.observation),
                transient=SETTLE,
                realisations=options.realisations,
                rng=streams.rng("twins"),
                report=tell,
            )
            return Observation(rates, twins, twins, spec.alive)
        fresh = self._twin_exponents(spec, "fresh", tell, 0.0)
        return Observation(rates, fresh, self._twin_exponents(spec, "kept", tell, 0.5), spec.alive)

    def close(self) -> None:
        """Remove what was compiled."""
        for program in (self._network, *self._twins.values()):
            if program is not None:
                program.close()

    def _spikes(self, spec: NetworkSpec, inner: NetworkSpec, own: Drive | None) -> SpikeTrain:
        """Return the spikes of the living neurons, in their numbering."""
        length = float(SETTLE) + float(self._options.observation)
        if self._options.device == "runtime":
            return spike_train(inner, length, drive=own)
        timed = twin_timing(spec, self._drive)
        if self._network is None:
            self._network = CompiledNetwork(
                timed,
                duration=length * second,
                drive=self._drive,
                device=self._options.device,
                capacity=self._capacity,
            )
        train = self._network.run(timed).spike_train
        return replace(train, indices=(np.cumsum(spec.alive) - 1)[train.indices], n_neurons=inner.n_neurons)

    def _twin_exponents(
        self, spec: NetworkSpec, directions: str, tell: Callable[[float], None], begun: float
    ) -> TwinExponents:
        options, timed = self._options, twin_timing(spec, self._drive)
        how: dict[str, Any] = {
            "directions": directions,
            "duration": options.exponent_duration,
            "renormalise_every": twin_window(timed.dt) * second,
            "realisations": options.realisations if directions == "fresh" else 1,
            "perturbation": options.perturbation,
        }
        rng = self._streams.rng("twins")
        # Spikes in flight cannot be handed from one twin to another in a compiled program.
        if options.device == "runtime" or timed.delays is not None:
            return block_twin_exponents(
                timed.compacted(),
                drive=None if self._drive is None else self._drive.of_neurons(spec.alive),
                rng=rng,
                report=lambda fraction: tell(begun + 0.5 * fraction),
                **how,
            )
        if directions not in self._twins:
            self._twins[directions] = CompiledTwins(
                timed, drive=self._drive, device=options.device, capacity=self._capacity, **how
            )
        found = self._twins[directions].run(timed, rng=rng)
        tell(begun + 0.5)
        return found


def observe_model(
    spec: NetworkSpec, drive: Drive | None, options: PruneOptions, streams: Streams, *, report: Report
) -> Observation:
    """Measure a model once, as `ModelObserver` does."""
    observer = ModelObserver(spec, drive, options, streams)
    try:
        return observer.observe(spec, report=report)
    finally:
        observer.close()


def observe_network(live: LiveNetwork, options: PruneOptions, streams: Streams, *, report: Report) -> Observation:
    """Run any Brian2 network from where it is, measure it with twins, and set it back to where it was.

    So every iteration of a pruning run meets the same input and the same random numbers.
    """
    report("rates", 0.0)
    with Snapshot(live) as before:
        try:
            observe(live, SETTLE)
            with Snapshot(live) as settled:
                rates = observe(live, options.observation).rates
                settled.restore()
            report("exponents", 0.4)
            twins = restored_twin_exponents(
                live,
                transient=0 * ms,
                renormalise_every=twin_window(live.dt) * second,
                duration=options.exponent_duration,
                realisations=options.realisations,
                perturbation=options.perturbation,
                # The same perturbations in every iteration: differences come from the network.
                rng=streams.rng("twins"),
                report=lambda fraction: report("exponents", 0.4 + 0.6 * fraction),
            )
        finally:
            before.restore()
    return Observation(rates, twins, twins, live.measured)
