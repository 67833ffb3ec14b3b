"""What the models have in common: how connections, time constants, weights and plasticity are drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from brian2 import Quantity, ms

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.simulate import require_active
from lnpbrian.network.spec import STDP, NetworkSpec, check_timing
from lnpbrian.streams import Streams

__all__ = ["LIFParameters"]

_MAX_TIME_CONSTANT = 0.2
DEPRESSIONS = ("balanced", "independent")


@dataclass(frozen=True)
class LIFParameters:
    """Constants of the neurons and of their weights, the same for every model.

    Parameters
    ----------
    bias : (float, float)
        I_bias is uniform between the two, in units of the threshold.
    gain : float
        Size of the recurrent weights: with K inputs per neuron on average, the mean excitatory weight is
        ``gain/sqrt(K) (20 ms/tau_syn)``, so that the current a spike brings in total depends on neither. In the limit
        tau_syn -> 0 that is a jump of ``gain/sqrt(K)`` of the potential of a neuron with tau_m = 20 ms: the mean
        excitatory weight of delta synapses, whatever the target's tau_m.
    inhibition : float
        Mean magnitude of an inhibitory weight over that of an excitatory one; 4 balances 80 % against 20 %.
    weight_spread : float
        Standard deviation of the logarithm of a weight's magnitude.
    excitatory_fraction : float
        Fraction of excitatory neurons.
    synaptic_time_constant : Quantity
        tau_syn; ``0*ms`` for delta synapses, which need grid timing.
    refractory_period, dt : Quantity
        t_ref and the simulation step.
    spike_timing : {"grid", "interpolated", "precise"}
        See `lnpbrian.network.spec.NetworkSpec`.
    depression : {"balanced", "independent"}
        Learning rates of depression in plastic networks: such that pairs of uncorrelated spikes leave each weight where
        it is on average, see `STDP.balanced`; or drawn by the law of those of potentiation, by which
        weights drift to the middle of their range whatever the input, and rates with them.

    Raises
    ------
    InvalidInput
        If a value is out of range or has the wrong unit.

    Examples
    --------
    >>> LIFParameters(bias=(1.4, 0.8))
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: bias must be (lower, upper), got (1.4, 0.8)
    """

    bias: tuple[float, float] = (0.8, 1.4)
    gain: float = 0.2
    inhibition: float = 4.0
    weight_spread: float = 0.5
    excitatory_fraction: float = 0.8
    synaptic_time_constant: Quantity = field(default_factory=lambda: 10 * ms)
    refractory_period: Quantity = field(default_factory=lambda: 2 * ms)
    dt: Quantity = field(default_factory=lambda: 0.5 * ms)
    spike_timing: str = "grid"
    depression: str = "balanced"

    @classmethod
    def forecasting(cls) -> LIFParameters:
        """Return the constants tuned for forecasting, on a Lorenz-63 series that is not among the test windows.

        All neurons are above threshold, and a long refractory period bends their rates smoothly: a threshold inside the
        range of the input is a kink that a linear readout cannot undo. Interpolated spikes keep the rates exact at a
        step of 1 ms.
        """
        return cls(
            bias=(2.2, 4.2),
            gain=0.3,
            synaptic_time_constant=100 * ms,
            refractory_period=15 * ms,
            dt=1 * ms,
            spike_timing="interpolated",
        )

    def __post_init__(self) -> None:
        low, high = checks.array("bias", self.bias, shape=(2,), remedy="give its lower and upper bound")
        if low > high:
            raise InvalidInput(f"bias must be (lower, upper), got {self.bias}")
        for name in ("gain", "inhibition", "weight_spread"):
            checks.real(name, getattr(self, name), at_least=0)
        checks.real("excitatory_fraction", self.excitatory_fraction, at_least=0, at_most=1)
        tau_syn = checks.seconds("synaptic_time_constant", self.synaptic_time_constant, at_least=0)
        checks.seconds("refractory_period", self.refractory_period, at_least=0)
        checks.seconds("dt", self.dt)
        check_timing(self.spike_timing, tau_syn)
        checks.choice("depression", self.depression, DEPRESSIONS)


def gamma_time_constants(n: int, *, shape: float, mean: float, dt: float, rng: np.random.Generator) -> np.ndarray:
    """Draw n time constants in seconds from Gamma(shape, mean/shape), clipped to [2 dt, 200 ms].

    Gamma laws of membrane time constants are those of Perez-Nieves et al. (2021), doi:10.1038/s41467-021-26022-3.

    Examples
    --------
    >>> tau = gamma_time_constants(10_000, shape=3.0, mean=0.02, dt=0.0005, rng=np.random.default_rng(0))
    >>> bool(abs(tau.mean() - 0.02) < 5 * 0.02 / np.sqrt(3 * 10_000)), bool(tau.min() >= 0.001)
    (True, True)
    """
    return np.clip(rng.gamma(shape, mean / shape, n), 2 * dt, _MAX_TIME_CONSTANT)


def bernoulli_slots(n_slots: int, p: float, rng: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of the successes of `n_slots` Bernoulli(p) trials, at a cost that grows with them.

    The gaps between successes are drawn, which are geometric (Batagelj and Brandes 2005,
    doi:10.1103/PhysRevE.71.036113).

    Examples
    --------
    >>> bernoulli_slots(4, 1.0, np.random.default_rng(0))
    array([0, 1, 2, 3])
    """
    found: list[np.ndarray] = []
    last = -1
    while last < n_slots:
        size = int(1.1 * p * (n_slots - last)) + 100
        positions = last + np.cumsum(rng.geometric(p, size))
        found.append(positions)
        last = int(positions[-1])
    slots = np.concatenate(found)
    return slots[slots < n_slots]


def random_pairs(
    sources: np.ndarray, targets: np.ndarray, p: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Connect each source to each target with probability p, never a neuron to itself; return (pre, post).

    Examples
    --------
    >>> random_pairs(np.array([0, 1]), np.array([1, 2]), 1.0, np.random.default_rng(0))
    (array([0, 0, 1]), array([1, 2, 2]))
    """
    slots = bernoulli_slots(sources.size * targets.size, p, rng)
    pre, post = sources[slots // targets.size], targets[slots % targets.size]
    other = pre != post
    return pre[other], post[other]


def assemble(
    model: str,
    *,
    time_constants: np.ndarray,
    cluster: np.ndarray,
    excitatory: np.ndarray,
    pre: np.ndarray,
    post: np.ndarray,
    parameters: LIFParameters,
    plastic: bool,
    streams: Streams,
) -> NetworkSpec:
    """Draw weights, biases, initial potentials and plasticity for the given graph.

    Parameters
    ----------
    model : str
        What to call it.
    time_constants, cluster, excitatory : ndarray, shape (N,)
        Of the neurons, as in `NetworkSpec`.
    pre, post : ndarray of int, shape (S,)
    parameters : LIFParameters
    plastic : bool
        Whether synapses get constants of STDP.
    streams : Streams
        Every kind of number has a stream of its own.

    Raises
    ------
    InvalidInput
        If there is no synapse.

    Examples
    --------
    Two synapses of neuron 0, which excites:

    >>> spec = assemble("three", time_constants=np.full(3, 0.02), cluster=np.zeros(3), excitatory=np.ones(3, bool),
    ...                 pre=np.array([0, 0]), post=np.array([1, 2]), parameters=LIFParameters(weight_spread=0.0),
    ...                 plastic=False, streams=Streams(1))
    >>> bool(np.allclose(spec.weights, 0.2 / np.sqrt(2 / 3) * 20 / 10))
    True
    """
    n = time_constants.size
    if pre.size == 0:
        raise InvalidInput(f"none of the {n} neurons is connected; raise connection_probability or neurons")
    tau_syn = float(parameters.synaptic_time_constant)
    mean = parameters.gain / np.sqrt(pre.size / n)
    if tau_syn > 0:
        mean = mean * 20e-3 / tau_syn
    sign = np.where(excitatory[pre], 1.0, -parameters.inhibition)
    spread = streams.rng("weights").standard_normal(pre.size)
    # exp(spread^2/2) is the mean of the lognormal.
    weights = mean * sign * np.exp(parameters.weight_spread * spread - parameters.weight_spread**2 / 2)
    return NetworkSpec(
        model=model,
        time_constants=time_constants,
        bias=streams.rng("bias").uniform(*parameters.bias, n),
        initial_potential=streams.rng("initial potential").uniform(0, 1, n),
        excitatory=excitatory,
        cluster=cluster,
        alive=np.ones(n, bool),
        pre=pre,
        post=post,
        weights=weights,
        synaptic_time_constant=tau_syn,
        refractory_period=float(parameters.refractory_period),
        dt=float(parameters.dt),
        spike_timing=parameters.spike_timing,
        plasticity=_stdp(weights, parameters.depression, streams.child("stdp")) if plastic else None,
    )


def checked_mean_rate(spec: NetworkSpec, streams: Streams) -> float:
    """Return the mean rate in Hz under half a second of noise drive, or refuse the network."""
    drive = noise_drive(spec.n_neurons, duration=500 * ms, rng=streams.rng("rate check"))
    return float(require_active(spec, drive).rates.mean())


def _stdp(weights: np.ndarray, depression: str, streams: Streams) -> STDP:
    def gamma(name: str) -> np.ndarray:
        return np.clip(streams.rng(name).gamma(3.0, 20e-3 / 3.0, weights.size), 1e-3, _MAX_TIME_CONSTANT)

    def lognormal(name: str) -> np.ndarray:
        return np.minimum(1e-3 * np.exp(0.5 * streams.rng(name).standard_normal(weights.size)), 1.0)

    stdp = STDP(
        tau_plus=gamma("tau_plus"),
        tau_minus=gamma("tau_minus"),
        eta_plus=lognormal("eta_plus"),
        eta_minus=lognormal("eta_minus"),
        w_min=0.0,
        w_max=float(np.abs(weights).max()),
    )
    return stdp.balanced(weights) if depression == "balanced" else stdp
