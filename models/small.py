"""Networks small enough to solve by hand, for tests and examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from brian2 import Quantity, ms

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.spec import NetworkSpec

__all__ = ["uncoupled"]


def uncoupled(
    time_constants: Sequence[Quantity] | Quantity,
    *,
    bias: float | Sequence[float] = 0.5,
    synaptic_time_constant: Quantity = 5 * ms,
    refractory_period: Quantity = 2 * ms,
    dt: Quantity = 0.5 * ms,
) -> NetworkSpec:
    """Return LIF neurons without synapses, at rest.

    Parameters
    ----------
    time_constants : sequence of Quantity, length N
        Membrane time constants.
    bias : float or sequence of N floats
        I_bias, in units of the threshold.
    synaptic_time_constant : Quantity
        Of synapses that are added to them; ``0*ms`` for delta synapses.
    refractory_period, dt : Quantity
        t_ref and the simulation step.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    InvalidInput
        If a value is out of range or has the wrong unit.

    Notes
    -----
    With ``bias < 1`` they stay below threshold, where every exponent is exactly -1/tau_m; with ``bias > 1`` neuron i
    fires every ``t_ref + tau_i ln(bias_i/(bias_i - 1))``.

    The time between spikes is that of Gerstner et al. (2014), Neuronal Dynamics, section 1.3.

    Examples
    --------
    >>> uncoupled([10, 20] * ms).time_constants.tolist()
    [0.01, 0.02]
    """
    if (
        not isinstance(time_constants, (Sequence, Quantity))
        or checks.any_array("time_constants", time_constants).ndim == 0
    ):
        raise InvalidInput(f"time_constants must be a sequence of times such as [10, 20]*ms, got {time_constants!r}")
    tau = np.array([checks.seconds("time_constants", value) for value in time_constants])
    nothing = np.zeros(0)
    return NetworkSpec(
        model="uncoupled",
        time_constants=tau,
        bias=np.broadcast_to(checks.array("bias", bias), tau.shape),
        initial_potential=np.zeros(tau.size),
        excitatory=np.ones(tau.size, bool),
        cluster=np.zeros(tau.size),
        alive=np.ones(tau.size, bool),
        pre=nothing,
        post=nothing,
        weights=nothing,
        synaptic_time_constant=checks.seconds("synaptic_time_constant", synaptic_time_constant, at_least=0),
        refractory_period=checks.seconds("refractory_period", refractory_period, at_least=0),
        dt=checks.seconds("dt", dt),
    )
