"""One recurrent population: heterogeneous (HRSNN) and, as its control, homogeneous (MRSNN)."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Quantity, ms

from lnpbrian import checks
from lnpbrian.models import drawing
from lnpbrian.models.drawing import DrawnNetwork, LIFParameters
from lnpbrian.streams import Streams

__all__ = ["HRSNN", "MRSNN"]


class HRSNN(DrawnNetwork):
    """Heterogeneous recurrent spiking network: LIF neurons whose membrane time constants come from a gamma law.

    Parameters
    ----------
    neurons : int, default 1000
        N, at least 2; the paper's scale is 5000.
    connection_probability : float, default 0.1
        p in (0, 1] of an Erdos-Renyi graph without self-connections; the paper studies 0.001, 0.01, 0.1.
    time_constant_mean : Quantity, default 20 ms
        Mean of the gamma law of the membrane time constants.
    time_constant_shape : float, default 3
        Its shape k > 0; the coefficient of variation is ``1/sqrt(k)``.
    parameters : LIFParameters
        Constants of neurons and weights.
    plastic : bool, default False
        Whether the synapses learn by heterogeneous STDP.
    check_rate : bool, default True
        Whether to run the network for half a second of noise drive and refuse a silent or saturated one.
    seed : int, default 0
        Seed of everything drawn.

    Attributes
    ----------
    network, neurons, synapses
        The live Brian2 objects.
    spec, mean_rate
        Arrays that rebuild the network as it is now, a `NetworkSpec`; and its mean rate in Hz under the noise drive,
        None if that was not checked.

    Raises
    ------
    InvalidInput
        If a value is out of range, or the mean rate is outside 5..50 Hz.

    Notes
    -----
    arXiv 2403.03409, section 2; the gamma law with k = 3 and mean 20 ms is that of Perez-Nieves et al. 2021
    (doi:10.1038/s41467-021-26022-3), since the paper's own values are not stated.

    Examples
    --------
    >>> model = HRSNN(50, 0.2, check_rate=False, seed=1)
    >>> model.spec
    NetworkSpec(HRSNN, 50 neurons (0 silent), ... synapses)
    """

    def __init__(
        self,
        neurons: int = 1000,
        connection_probability: float = 0.1,
        *,
        time_constant_mean: Quantity = 20 * ms,
        time_constant_shape: float = 3.0,
        parameters: LIFParameters | None = None,
        plastic: bool = False,
        check_rate: bool = True,
        seed: int = 0,
    ) -> None:
        n, p = drawing.checked_size(neurons, connection_probability)
        mean = checks.seconds("time_constant_mean", time_constant_mean)
        shape = checks.real("time_constant_shape", time_constant_shape, above=0)
        constants = drawing.chosen_parameters(parameters)
        streams = Streams(seed).child("network")
        tau = drawing.gamma_time_constants(
            n, shape=shape, mean=mean, dt=float(constants.dt), rng=streams.rng("time constants")
        )
        self._build("HRSNN", tau, p, streams, parameters=constants, plastic=plastic, check_rate=check_rate)

    def _build(self, model: str, tau: np.ndarray, p: float, streams: Streams, **drawn: Any) -> None:
        everyone = np.arange(tau.size)
        pre, post = drawing.random_pairs(everyone, everyone, p, streams.rng("connections"))
        super().__init__(
            model,
            time_constants=tau,
            cluster=np.zeros(tau.size, int),
            pre=pre,
            post=post,
            streams=streams,
            **drawn,
        )


class MRSNN(HRSNN):
    """Homogeneous control of `HRSNN`: the same graph, weights and biases, every time constant equal to the mean.

    Parameters
    ----------
    neurons, connection_probability, parameters, plastic, check_rate, seed
        As for `HRSNN`.
    time_constant : Quantity, default 20 ms
        Membrane time constant of every neuron.

    Notes
    -----
    The homogeneous network of Chakraborty and Mukhopadhyay (2023), arXiv 2302.11618.

    Examples
    --------
    >>> model = MRSNN(50, 0.2, check_rate=False, seed=1)
    >>> bool((model.spec.pre == HRSNN(50, 0.2, check_rate=False, seed=1).spec.pre).all())
    True
    """

    def __init__(
        self,
        neurons: int = 1000,
        connection_probability: float = 0.1,
        *,
        time_constant: Quantity = 20 * ms,
        parameters: LIFParameters | None = None,
        plastic: bool = False,
        check_rate: bool = True,
        seed: int = 0,
    ) -> None:
        n, p = drawing.checked_size(neurons, connection_probability)
        tau = np.full(n, checks.seconds("time_constant", time_constant))
        constants, streams = drawing.chosen_parameters(parameters), Streams(seed).child("network")
        self._build("MRSNN", tau, p, streams, parameters=constants, plastic=plastic, check_rate=check_rate)
