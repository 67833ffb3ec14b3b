"""Lyapunov exponents per neuron from twins that are infinitely close: tangent vectors along one spike train.

What block twins measure with copies of a network, in the limit of a vanishing perturbation, at the cost of one run
of the network and a few vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from brian2 import Quantity, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.lif_tangent import LIFTangent
from lnpbrian.lyapunov.twins import Growth, TwinExponents
from lnpbrian.network.drive import Drive
from lnpbrian.network.simulate import spike_train
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.network.spikes import SpikeTrain

__all__ = ["TangentTwins", "tangent_twin_exponents"]


@dataclass(frozen=True)
class TangentTwins:
    """What tangent vectors say of a network.

    Attributes
    ----------
    fresh, kept : TwinExponents
        From directions drawn anew in every window, and from one that is kept: `TwinExponents.largest` of the latter is
        the largest Lyapunov exponent. `rates` are those of the measured time.
    flat : int
        Spikes at which the potential, by the recorded times, was not rising: errors of the simulation at grazing
        crossings.
    """

    fresh: TwinExponents
    kept: TwinExponents
    flat: int


def tangent_twin_exponents(
    spec: NetworkSpec,
    *,
    drive: Drive | None = None,
    duration: Quantity = 1 * second,
    transient: Quantity = 100 * ms,
    renormalise_every: Quantity = 20 * ms,
    realisations: int = 4,
    spikes: SpikeTrain | None = None,
    rng: np.random.Generator,
    report: Callable[[float], None] | None = None,
) -> TangentTwins:
    """Measure Lyapunov exponents with tangent vectors along one run of the network.

    Parameters
    ----------
    spec : NetworkSpec
        The network, N neurons, none of them silent, without delays; weights are held fixed.
    drive : Drive, optional
        Frozen drive of N neurons; without one, I_ext = 0.
    duration : Quantity
        Measured time, in whole windows.
    transient : Quantity
        Time before it.
    renormalise_every : Quantity
        Length of a window.
    realisations : int
        Number of fresh directions in every window.
    spikes : SpikeTrain, optional
        A run of the network from its initial potentials under `drive`, of at least `transient` and `duration`. By
        default that of `lnpbrian.network.spike_trains.spike_train`.
    rng : numpy.random.Generator
        Draws the directions.
    report : callable, optional
        Called with the completed fraction after every window.

    Returns
    -------
    TangentTwins

    Raises
    ------
    InvalidInput
        If the network has silent neurons or delays, or a time is out of range.

    Notes
    -----
    As in `block_twin_exponents`, a fresh direction moves potentials only, and separations are those
    of the potentials; a held neuron's is the one that its release will bring.

    Examples
    --------
    >>> from lnpbrian.models import uncoupled
    >>> spec = uncoupled([10*ms, 25*ms], bias=0.5)
    >>> tangent_twin_exponents(spec, rng=np.random.default_rng(0)).fresh.per_neuron.round(3).tolist()
    [-100.0, -40.0]
    """
    checks.instance("spec", spec, NetworkSpec, "use the spec of a model")
    checks.generator("rng", rng)
    if not spec.alive.all():
        raise InvalidInput("the network has silent neurons, whose exponents mean nothing; use spec.compacted()")
    if spec.delays is not None and spec.n_synapses:
        raise InvalidInput("tangent dynamics do not know delays; use block_twin_exponents")
    window = checks.seconds("renormalise_every", renormalise_every)
    settle = checks.seconds("transient", transient, at_least=0)
    length = checks.seconds("duration", duration)
    n_windows = int(length / window + 1e-9)
    if n_windows < 1:
        raise InvalidInput(f"duration must hold at least one window of {window * 1e3:g} ms, got {length * 1e3:g} ms")
    count = checks.count("realisations", realisations)

    n = spec.n_neurons
    whole = settle + n_windows * window
    followed = spike_train(spec, whole, drive=drive) if spikes is None else spikes
    system = LIFTangent(spec, followed, drive)
    # The last column is the kept direction.
    vectors = np.zeros((system.dimension, count + 1))
    vectors[:n, -1] = rng.standard_normal(n)
    if settle > 0:
        system.advance(vectors, settle)
    fresh, kept = Growth(window), Growth(window)
    everyone = np.ones(n)
    for k in range(n_windows):
        vectors[:, :-1] = 0
        vectors[:n, :-1] = rng.standard_normal((n, count))
        vectors[:, -1] /= np.linalg.norm(vectors[:, -1])
        start = np.abs(system.potentials(vectors)).T
        system.advance(vectors, window)
        end = np.abs(system.potentials(vectors)).T
        fresh.add(start[:-1], end[:-1], everyone)
        kept.add(start[-1:], end[-1:], everyone)
        if report is not None:
            report((k + 1) / n_windows)
    measured = (followed.times > settle) & (followed.times <= whole)
    rates = np.bincount(followed.indices[measured], minlength=n) / (n_windows * window)
    return TangentTwins(fresh.result(rates, "fresh"), kept.result(rates, "kept"), system.flat)
