"""What the models have in common: how connections, time constants, weights and plasticity are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from brian2 import Quantity, ms
from scipy import sparse

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.response import lif_rate, slow_response, spectral_radius
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.simulate import require_active
from lnpbrian.network.spec import SPIKE_TIMINGS, STDP, NetworkSpec, check_timing
from lnpbrian.options import Options, option, options
from lnpbrian.streams import Streams

__all__ = ["DrawnNetwork", "LIFParameters", "bernoulli_slots", "gamma_time_constants", "random_pairs"]

_MAX_TIME_CONSTANT = 0.2
DEPRESSIONS = ("balanced", "independent")


@options
class LIFParameters(Options):
    """Constants of the neurons and of their weights, the same for every model.

    Raises
    ------
    InvalidInput
        If a value is out of range or has the wrong unit.

    Notes
    -----
    In the limit tau_syn -> 0 a spike is a jump of ``gain/sqrt(K)`` of the potential of a neuron with tau_m = 20 ms: the
    mean excitatory weight of delta synapses, whatever the target's tau_m. Weights of size ``1/sqrt(K)`` that balance
    each other: van Vreeswijk and Sompolinsky 1996 (doi:10.1126/science.274.5293.1724).

    Examples
    --------
    >>> LIFParameters(gain=0.5).gain
    0.5
    >>> LIFParameters(dt=1)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: dt must be a time such as 20*ms, got 1
    """

    bias: tuple[float, float] = option(
        default=(0.8, 1.4),
        help="I_bias is uniform between the two, in units of the threshold.",
        at_least=-np.inf,
        distinct=False,
    )
    gain: float = option(
        default=0.2,
        help="Size of the recurrent weights: with K inputs per neuron on average, the mean excitatory weight is "
        "gain/sqrt(K) (20 ms/tau_syn), so that the current a spike brings in total depends on neither.",
        at_least=0,
    )
    spectral_radius: float | None = option(
        default=None,
        help="Spectral radius of the linear response to slow input, to which all weights are scaled by one factor, "
        "instead of by gain; see `lnpbrian.network.response.slow_response`.",
        above=0,
    )
    centred: bool = option(
        default=False,
        help="Whether bias is the whole mean input of a neuron: I_bias is then lower by the mean recurrent input at "
        "the rates of uncoupled neurons, so that none is silent or saturated by the weights that it happens to get.",
    )
    inhibition: float = option(
        default=4.0,
        help="Mean magnitude of an inhibitory weight over that of an excitatory one; 4 balances 80 % against 20 %.",
        at_least=0,
    )
    weight_spread: float = option(
        default=0.5, help="Standard deviation of the logarithm of a weight's magnitude.", at_least=0
    )
    excitatory_fraction: float = option(default=0.8, help="Fraction of excitatory neurons.", at_least=0, at_most=1)
    synaptic_time_constant: Quantity = option(
        default=10 * ms, help="tau_syn; 0*ms for delta synapses, which need grid timing.", at_least=0
    )
    refractory_period: Quantity = option(default=2 * ms, help="t_ref.", at_least=0)
    dt: Quantity = option(default=0.5 * ms, help="Simulation step.")
    spike_timing: str = option(
        default="grid", help="When spikes count, see `lnpbrian.network.spec.NetworkSpec`.", choices=SPIKE_TIMINGS
    )
    depression: str = option(
        default="balanced",
        help="Learning rates of depression in plastic networks: such that pairs of uncorrelated spikes leave each "
        "weight where it is on average, see `STDP.balanced`; or drawn by the law of those of potentiation, by which "
        "weights drift to the middle of their range whatever the input, and rates with them.",
        choices=DEPRESSIONS,
    )

    @classmethod
    def forecasting(cls) -> LIFParameters:
        """Return the constants tuned for forecasting, on a Lorenz-63 series that is not among the test windows.

        All neurons are above threshold, and a long refractory period bends their rates smoothly: a threshold inside the
        range of the input is a kink that a linear readout cannot undo. Interpolated spikes keep the rates exact at a
        step of 1 ms.

        >>> LIFParameters.forecasting().bias
        (2.2, 4.2)
        """
        return cls(
            bias=(2.2, 4.2),
            gain=0.3,
            synaptic_time_constant=100 * ms,
            refractory_period=15 * ms,
            dt=1 * ms,
            spike_timing="interpolated",
        )

    @classmethod
    def recurrent(cls) -> LIFParameters:
        """Return the constants of a network whose recurrence matters: the spectral radius of its response is 1.

        Then input comes back about as strong as it went out, and the network remembers longest (Jaeger 2001, GMD report
        152). With those of `forecasting` the radius is 0.1, and the same neurons without synapses do as well. Rates are
        near 42 Hz.

        >>> LIFParameters.recurrent().spectral_radius
        1.0
        """
        return cls(
            bias=(1.1, 1.8),
            spectral_radius=1.0,
            centred=True,
            synaptic_time_constant=100 * ms,
            refractory_period=5 * ms,
            dt=2 * ms,
            spike_timing="interpolated",
        )

    @classmethod
    def images(cls) -> LIFParameters:
        """Return the constants of `recurrent` on a time grid of 1 ms, as images are shown.

        In networks whose input reaches only half of the neurons, the others tell more of an image than with the
        constants of `LIFParameters`, see ``docs/images.md``.

        >>> LIFParameters.images().spike_timing
        'grid'
        """
        return replace(cls.recurrent(), dt=1 * ms, spike_timing="grid")

    def check_together(self) -> None:
        """Refuse a spike timing that the synapses have not, and levels that no rate goes with."""
        if self.spectral_radius is not None and self.bias[1] <= 1:
            raise InvalidInput(
                f"spectral_radius needs neurons that fire without synapses: a bias above 1, got {self.bias}"
            )
        check_timing(self.spike_timing, float(self.synaptic_time_constant))


def checked_size(neurons: object, connection_probability: object) -> tuple[int, float]:
    """Return the number of neurons and the probability of a synapse, if Brian2 can number what they give.

    Examples
    --------
    >>> checked_size(1_000_000, 0.1)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: 1000000 neurons with connection_probability 0.1 have 1e+11 synapses, more than ...
    """
    n = checks.count("neurons", neurons, minimum=2)
    p = checks.probability("connection_probability", connection_probability)
    if p * n * n >= 2**31 or n >= 2**31:
        raise InvalidInput(
            f"{n} neurons with connection_probability {p:g} have {p * n * n:.3g} synapses, more than Brian2 can number "
            "(2.1e+09); lower one of them"
        )
    return n, p


def chosen_parameters(given: LIFParameters | None) -> LIFParameters:
    """Return the parameters of a model, by default `LIFParameters`.

    Examples
    --------
    >>> chosen_parameters(None) == LIFParameters()
    True
    """
    checks.optional("parameters", given, LIFParameters, "use LIFParameters(...)")
    return LIFParameters() if given is None else given


def gamma_time_constants(n: int, *, shape: float, mean: float, dt: float, rng: np.random.Generator) -> np.ndarray:
    """Draw time constants from Gamma(shape, mean/shape), clipped to [2 dt, 200 ms].

    Parameters
    ----------
    n : int
        How many.
    shape : float
        Shape k > 0 of the law, whose coefficient of variation is ``1/sqrt(k)``.
    mean, dt : float
        Mean of the law and simulation step, in seconds.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    ndarray, shape (n,)
        In seconds.

    Notes
    -----
    The law of Perez-Nieves et al. 2021 (doi:10.1038/s41467-021-26022-3).

    Examples
    --------
    A law as narrow as this one has its mean everywhere:

    >>> gamma_time_constants(3, shape=1e9, mean=0.02, dt=1e-4, rng=np.random.default_rng(0)).round(4).tolist()
    [0.02, 0.02, 0.02]
    """
    k = checks.real("shape", shape, above=0)
    scale = checks.real("mean", mean, above=0) / k
    shortest = 2 * checks.real("dt", dt, above=0)
    checks.generator("rng", rng)
    return np.clip(rng.gamma(k, scale, checks.count("n", n, minimum=0)), shortest, _MAX_TIME_CONSTANT)


def bernoulli_slots(n_slots: int, p: float, rng: np.random.Generator) -> np.ndarray:
    """Return the sorted indices of the successes of `n_slots` Bernoulli(p) trials, at a cost that grows with them.

    Notes
    -----
    The gaps between successes are geometric (Batagelj and Brandes 2005, doi:10.1103/PhysRevE.71.036113).

    Examples
    --------
    >>> bernoulli_slots(4, 1.0, np.random.default_rng(0)).tolist()
    [0, 1, 2, 3]
    """
    found: list[np.ndarray] = []
    last = -1
    while last < n_slots:
        size = int(1.1 * p * (n_slots - last)) + 100
        # A gap beyond the end is as good as any other: the sum must stay in range.
        positions = last + np.cumsum(np.minimum(rng.geometric(p, size), n_slots + 1))
        found.append(positions)
        last = int(positions[-1])
    slots = np.concatenate(found)
    return slots[slots < n_slots]


def random_pairs(
    sources: np.ndarray, targets: np.ndarray, p: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Connect each source to each target with probability p, never a neuron to itself; return (pre, post).

    Notes
    -----
    Gilbert 1959 (doi:10.1214/aoms/1177706098), usually called an Erdos-Renyi graph.

    Examples
    --------
    >>> pre, post = random_pairs(np.arange(2), np.arange(3), 1.0, np.random.default_rng(0))
    >>> list(zip(pre.tolist(), post.tolist()))
    [(0, 1), (0, 2), (1, 0), (1, 2)]
    """
    slots = bernoulli_slots(sources.size * targets.size, p, rng)
    pre, post = sources[slots // targets.size], targets[slots % targets.size]
    other = pre != post
    return pre[other], post[other]


class DrawnNetwork(RecurrentNetwork):
    """A network whose weights, biases, initial potentials and plasticity are drawn for a given graph.

    Parameters
    ----------
    model : str
        Name of the model, for people.
    time_constants : ndarray, shape (N,)
        Membrane time constants in seconds.
    cluster : ndarray of int, shape (N,)
        Cluster of each neuron, in increasing order; the first neurons of every cluster are excitatory.
    pre, post : ndarray of int, shape (S,)
        Neurons that a synapse comes from and goes to.
    parameters, plastic, check_rate
        As for `lnpbrian.models.HRSNN`.
    streams : Streams
        Source of what is drawn.

    Raises
    ------
    InvalidInput
        If there is no synapse, or the mean rate is outside 5..50 Hz.

    Notes
    -----
    A neuron excites all its targets or inhibits all (the principle of Dale; Eccles, Fatt and Koketsu 1954, J. Physiol.
    126:524).
    """

    def __init__(
        self,
        model: str,
        *,
        time_constants: np.ndarray,
        cluster: np.ndarray,
        pre: np.ndarray,
        post: np.ndarray,
        parameters: LIFParameters,
        plastic: bool,
        check_rate: bool,
        streams: Streams,
    ) -> None:
        plastic, check_rate = checks.flag("plastic", plastic), checks.flag("check_rate", check_rate)
        n = time_constants.size
        if pre.size == 0:
            raise InvalidInput(f"none of the {n} neurons is connected; raise connection_probability or neurons")
        excitatory = _excitatory(cluster, parameters.excitatory_fraction)
        tau_syn = float(parameters.synaptic_time_constant)
        mean = parameters.gain / np.sqrt(pre.size / n)
        if tau_syn > 0:
            mean = mean * 20e-3 / tau_syn
        sign = np.where(excitatory[pre], 1.0, -parameters.inhibition)
        spread = streams.rng("weights").standard_normal(pre.size)
        # exp(spread^2/2) is the mean of the lognormal.
        weights = mean * sign * np.exp(parameters.weight_spread * spread - parameters.weight_spread**2 / 2)
        spec = NetworkSpec(
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
        )
        spec = _at_level(spec, parameters)
        if plastic:
            spec = replace(spec, plasticity=_stdp(spec.weights, parameters, streams.child("stdp")))
        self.mean_rate: float | None = None
        if check_rate:
            drive = noise_drive(n, duration=500 * ms, rng=streams.rng("rate check"))
            self.mean_rate = float(require_active(spec, drive).rates.mean())
        super().__init__(spec, plastic=plastic)


def _at_level(spec: NetworkSpec, parameters: LIFParameters) -> NetworkSpec:
    """Return the network with the spectral radius and the mean input that `parameters` ask for."""
    if parameters.spectral_radius is not None:
        uncoupled = replace(spec, weights=np.zeros_like(spec.weights))
        gains = slow_response(uncoupled).gains
        lasts = spec.synaptic_time_constant or spec.time_constants[spec.post]
        couplings = lasts * spec.weights * gains[spec.post]
        radius = spectral_radius(sparse.csr_array((couplings, (spec.post, spec.pre)), shape=(gains.size,) * 2))
        if radius == 0:
            raise InvalidInput(
                "spectral_radius cannot be reached: the network has no cycle; raise connection_probability"
            )
        spec = replace(spec, weights=spec.weights * (parameters.spectral_radius / radius))
    if parameters.centred:
        rates = lif_rate(spec.bias, time_constants=spec.time_constants, refractory_period=spec.refractory_period)
        spec = replace(spec, bias=spec.bias - spec.mean_input(rates))
    return spec


def _excitatory(cluster: np.ndarray, fraction: float) -> np.ndarray:
    """Make the first `fraction` of every cluster excitatory."""
    size = np.bincount(cluster)
    rank = np.arange(cluster.size) - np.concatenate([[0], np.cumsum(size)[:-1]])[cluster]
    return rank < np.round(fraction * size)[cluster]


def _stdp(weights: np.ndarray, parameters: LIFParameters, streams: Streams) -> STDP:
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
    return stdp.balanced(weights, float(parameters.dt)) if parameters.depression == "balanced" else stdp
