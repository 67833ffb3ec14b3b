"""The linear response of a network, measured: two copies of its neurons get a little more and a little less input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from brian2 import Quantity, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.response import LinearResponse, response_of
from lnpbrian.network.signals import Drive, SpikeTrain
from lnpbrian.network.simulate import simulated_spike_train
from lnpbrian.network.spec import NetworkSpec

__all__ = ["linear_response", "response_and_spikes"]

# By how much the bias is raised and lowered to measure a gain: a few spikes more a second, well within the curve.
PROBE = 0.1


def linear_response(
    network: NetworkSpec | RecurrentNetwork,
    drive: Drive | None = None,
    *,
    duration: Quantity = 1 * second,
    transient: Quantity = 100 * ms,
    probe: float = PROBE,
) -> LinearResponse:
    """Measure the linear response of a network: by how much each rate grows with the neuron's own input.

    Parameters
    ----------
    network : NetworkSpec or a model
        It starts from its initial potentials; what is given is left as it is.
    drive : Drive, optional
        Of its N neurons.
    duration, transient : Quantity
        Time over which spikes are counted, after the transient.
    probe : float, > 0
        By how much the input of each neuron is raised and lowered, in units of the threshold.

    Returns
    -------
    LinearResponse

    Raises
    ------
    InvalidInput
        If an argument is out of range.

    Notes
    -----
    Beside the network run two copies of its neurons, which get all that the neurons get and send nothing back, one with
    more and one with less input: the difference of their rates is that of one neuron whose surroundings do not answer.
    ``dr_i/dI_i`` is good to about ``0.5 sqrt(2)/(2 probe duration)``, 3.5 Hz by default, neuron by neuron.

    Examples
    --------
    Uncoupled neurons with the gain of `lif_gain`:

    >>> from lnpbrian.models import uncoupled
    >>> from lnpbrian.network.response import lif_gain
    >>> spec = uncoupled([20] * 50 * ms, bias=np.linspace(1.5, 1.7, 50), dt=0.5 * ms)
    >>> found = linear_response(spec, duration=2 * second).gains.mean()
    >>> expected = lif_gain(spec.bias, time_constants=0.02, refractory_period=spec.refractory_period, spread=1e-3)
    >>> bool(abs(found / expected.mean() - 1) < 0.05)
    True
    """
    return response_and_spikes(network, drive, duration=duration, transient=transient, probe=probe)[0]


def response_and_spikes(
    network: NetworkSpec | RecurrentNetwork,
    drive: Drive | None = None,
    *,
    duration: Quantity = 1 * second,
    transient: Quantity = 100 * ms,
    probe: float = PROBE,
) -> tuple[LinearResponse, SpikeTrain]:
    """Measure the linear response, and return the spikes of the network on the way, from the start of the transient.

    Parameters, errors and method are those of `linear_response`.

    Examples
    --------
    >>> from lnpbrian.models import uncoupled
    >>> response, train = response_and_spikes(uncoupled([20] * ms, bias=2.0), duration=1 * second)
    >>> train.duration, bool(train.after(0.1).rates == response.rates)
    (1.1, True)
    """
    spec = network.spec if isinstance(network, RecurrentNetwork) else network
    checks.instance("network", spec, NetworkSpec, "give a model of lnpbrian.models, or its spec")
    checks.optional("drive", drive, Drive, "use noise_drive(...) or Drive(values, hold)")
    delta = checks.real("probe", probe, above=0)
    length, settle = checks.seconds("duration", duration), checks.seconds("transient", transient, at_least=0)
    n, copies = spec.n_neurons, 3
    if drive is not None and drive.values.shape[1] != n:
        raise InvalidInput(f"a drive of {drive.values.shape[1]} neurons does not fit {n}; draw one for them")
    beside = spec.replicated(copies)
    block = np.repeat(n * np.arange(copies), spec.n_synapses)
    probes = replace(
        beside,
        pre=beside.pre - block,
        bias=beside.bias + np.repeat([0.0, delta, -delta], n),
        plasticity=None,
    )
    tiled = None if drive is None else Drive(np.tile(drive.values, (1, copies)), drive.hold)
    train = simulated_spike_train(probes, settle + length, drive=tiled)
    rates, more, less = train.after(settle).rates.reshape(copies, n)
    own = train.indices < n
    return response_of(spec, rates, (more - less) / (2 * delta)), SpikeTrain(
        train.indices[own], train.times[own], n, train.duration
    )
