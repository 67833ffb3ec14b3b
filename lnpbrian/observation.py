"""What a pruning iteration looks at: firing rates and Lyapunov exponents of the network as it is now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from brian2 import ms, second

from lnpbrian.live import LiveNetwork, Snapshot
from lnpbrian.lyapunov import TwinExponents, block_twin_exponents, restored_twin_exponents, twin_window
from lnpbrian.network import NetworkSpec
from lnpbrian.options import PruneOptions
from lnpbrian.simulate import Drive, observe
from lnpbrian.spectrum import Spectrum, lyapunov_spectrum
from lnpbrian.spike_trains import spike_train, twin_timing
from lnpbrian.streams import Streams
from lnpbrian.tangent_twins import tangent_twin_exponents

__all__ = ["Observation", "observe_model", "observe_network"]

Report = Callable[[str, float], None]

# A network settles for this long before anything is measured.
SETTLE = 100 * ms


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
    flat : int
        Spikes whose slope at the threshold was not positive by the recorded times.
    """

    rates: np.ndarray
    each: TwinExponents | Spectrum
    largest: TwinExponents | Spectrum
    alive: np.ndarray
    flat: int = 0


def observe_model(
    spec: NetworkSpec, drive: Drive | None, options: PruneOptions, streams: Streams, *, report: Report
) -> Observation:
    """Run a fresh copy of a model from its initial potentials under `drive`, and measure it.

    Equal networks give equal observations, bit for bit, whatever happened before.
    """
    inner = spec.compacted()
    own = None if drive is None else drive.of_neurons(spec.alive)
    kind = options.exponents
    if kind == "auto":
        kind = "twins" if inner.delays is not None else "tangent"
    report("rates", 0.0)
    settle = float(SETTLE)
    spikes = spike_train(inner, settle + float(options.observation), drive=own)
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
        return Observation(rates, twins.fresh, twins.kept, spec.alive, twins.flat)
    timed = twin_timing(inner, own)

    def measured(directions: str, realisations: int, begun: float) -> TwinExponents:
        return block_twin_exponents(
            timed,
            drive=own,
            directions=directions,
            duration=options.exponent_duration,
            renormalise_every=twin_window(timed.dt) * second,
            realisations=realisations,
            perturbation=options.perturbation,
            rng=streams.rng("twins"),
            report=lambda fraction: tell(begun + 0.5 * fraction),
        )

    return Observation(rates, measured("fresh", options.realisations, 0.0), measured("kept", 1, 0.5), spec.alive)


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
