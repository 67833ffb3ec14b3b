"""The linear response of a network: how much a little more input raises each rate, and what the synapses make of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, eigs

from lnpbrian import checks
from lnpbrian.network.spec import NetworkSpec, firing_rates

__all__ = [
    "LinearResponse",
    "at_rates",
    "lif_gain",
    "lif_rate",
    "response_of",
    "slow_response",
    "spectral_radius",
]

# Standard deviation of the input of a neuron that is shown a series: weights uniform in +-0.3 times samples of unit
# variance.
INPUT_SPREAD = 0.3 / np.sqrt(3)
MEAN_FIELD_STEPS = 300
# All eigenvalues of so few neurons are as quick as the largest one, and those of so few can be waited for.
ALL_EIGENVALUES, MOST_EIGENVALUES = 400, 1500
# Vectors and steps by which growth is followed where no eigenvalue is found, and steps before it is counted.
VECTORS, STEPS, SKIPPED = 8, 400, 100


def lif_rate(mean_input: object, *, time_constants: object, refractory_period: float) -> np.ndarray:
    """Return the rate of a leaky integrate-and-fire neuron under constant input.

    Parameters
    ----------
    mean_input : array of float, shape (N,)
        I in units of the threshold.
    time_constants : float or array of float, shape (N,), s
        tau_m.
    refractory_period : float, s
        t_ref.

    Returns
    -------
    ndarray, shape (N,)
        In Hz: ``1/(t_ref + tau_m ln(I/(I - 1)))``, and 0 for I at most 1.

    Notes
    -----
    Gerstner et al. (2014), Neuronal Dynamics, section 1.3.

    Examples
    --------
    >>> lif_rate([0.9, 2.0], time_constants=0.02, refractory_period=0.002).round(2)
    array([ 0.  , 63.04])
    """
    current, tau = np.broadcast_arrays(
        checks.array("mean_input", mean_input), checks.array("time_constants", time_constants)
    )
    rates, fires = np.zeros(current.shape), current > 1
    with np.errstate(divide="ignore"):
        interval = refractory_period - tau[fires] * np.log1p(-1 / current[fires])
        rates[fires] = 1 / interval
    return rates


def lif_gain(
    mean_input: object, *, time_constants: object, refractory_period: float, spread: float = INPUT_SPREAD
) -> np.ndarray:
    """Return by how much the rate of a leaky integrate-and-fire neuron grows with its input, if that changes slowly.

    Parameters
    ----------
    mean_input, time_constants, refractory_period
        As for `lif_rate`.
    spread : float, > 0
        Standard deviation of the input in time, over which dr/dI is averaged.

    Returns
    -------
    ndarray, shape (N,)
        ``d E[r(I + spread xi)]/dI`` in Hz per threshold, xi a standard normal variable.

    Notes
    -----
    By Stein's lemma the derivative is ``E[xi r(I + spread xi)]/spread``, in which the cusp of r at the threshold does
    no harm.

    The lemma is in Stein 1981, doi:10.1214/aos/1176345632.

    Examples
    --------
    With a vanishing spread the derivative itself, ``r^2 tau_m/(I (I - 1))``:

    >>> rate = lif_rate(2.0, time_constants=0.02, refractory_period=0.002)
    >>> gain = lif_gain([2.0], time_constants=0.02, refractory_period=0.002, spread=1e-3)
    >>> bool(np.allclose(gain, rate**2 * 0.02 / 2, rtol=1e-4))
    True
    """
    sigma = checks.real("spread", spread, above=0)
    current, tau = np.broadcast_arrays(
        checks.array("mean_input", mean_input), checks.array("time_constants", time_constants)
    )
    xi = np.linspace(-5, 5, 401)
    density = np.exp(-(xi**2) / 2)
    density /= density.sum()
    gain = np.zeros(current.shape)
    for x, weight in zip(xi, density, strict=True):
        gain += x * weight * lif_rate(current + sigma * x, time_constants=tau, refractory_period=refractory_period)
    return gain / sigma


def at_rates(spec: NetworkSpec, rates: object, before: object) -> NetworkSpec:
    """Return a network whose biases make up for what other membrane time constants do to its rates.

    Parameters
    ----------
    spec : NetworkSpec
        With its new time constants.
    rates : array of float, shape (N,), Hz
        Rates that neurons are to keep.
    before : array of float, shape (N,), s
        Time constants at which they had these rates.

    Notes
    -----
    A neuron fires at rate r at the constant input ``1/(1 - exp(-(1/r - t_ref)/tau_m))``, see `lif_rate`; its bias is
    raised by the difference between this at the new and at the old time constant. Those that do not fire are left.

    Rates of a leaky integrate-and-fire neuron: Gerstner et al. (2014), Neuronal Dynamics, section 1.3.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> slow, rate = uncoupled([40] * ms, bias=2.0), lif_rate([2.0], time_constants=0.02, refractory_period=0.002)
    >>> adapted = at_rates(slow, rate, [0.02])
    >>> found = lif_rate(adapted.bias, time_constants=0.04, refractory_period=slow.refractory_period)
    >>> bool(np.allclose(found, rate))
    True
    """
    r = firing_rates(rates, spec.n_neurons)
    old = checks.array("before", before, shape=r.shape)
    fires = (r > 0) & (r * spec.refractory_period < 1)
    pause = 1 / np.where(fires, r, 1.0) - spec.refractory_period

    def level(tau: np.ndarray) -> np.ndarray:
        return np.where(fires, -1 / np.expm1(-np.where(fires, pause, 1.0) / tau), 0.0)

    # Delta synapses bring an input that goes with the time constant.
    recurrent = replace(spec, time_constants=old).mean_input(r) - spec.mean_input(r)
    return replace(spec, bias=spec.bias + level(spec.time_constants) - level(old) + recurrent)


def spectral_radius(matrix: sparse.csr_array) -> float:
    """Return the largest magnitude of the eigenvalues of a square matrix.

    Parameters
    ----------
    matrix : csr_array, shape (N, N)

    Returns
    -------
    float
        From all eigenvalues up to N = 400; beyond by Arnoldi iteration (ARPACK) to 1e-3. Where that does not converge,
        as on cycles, all of whose eigenvalues have one magnitude, from all eigenvalues up to N = 1500, and beyond from
        the mean growth of eight vectors over 300 steps, good to about two per cent.

    Notes
    -----
    ARPACK restarts its iteration implicitly (Lehoucq, Sorensen and Yang 1998, doi:10.1137/1.9780898719628).

    Examples
    --------
    A cycle of two weights has eigenvalues ``+-sqrt(2 * 8)``:

    >>> spectral_radius(sparse.csr_array([[0.0, 2.0], [8.0, 0.0]]))
    4.0
    """
    n = matrix.shape[0]
    if matrix.nnz == 0:
        return 0.0
    if n > ALL_EIGENVALUES:
        # Without a start of its own Arnoldi's iteration would draw one, and equal calls would differ in rounding.
        start = np.random.default_rng(0).standard_normal(n)
        try:
            found = eigs(matrix, k=1, v0=start, ncv=min(n, 60), maxiter=50, tol=1e-3, return_eigenvectors=False)
            return float(np.abs(found).max())
        except (ArpackError, ArpackNoConvergence):
            if n > MOST_EIGENVALUES:
                return _growth(matrix)
    return float(np.abs(np.linalg.eigvals(matrix.toarray())).max())


def _growth(matrix: sparse.csr_array) -> float:
    """Return the factor by which vectors grow a step in the long run."""
    vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((matrix.shape[0], VECTORS)))[0]
    total = 0.0
    for step in range(STEPS):
        vectors, triangle = np.linalg.qr(matrix @ vectors)
        if triangle[0, 0] == 0:  # nothing is left: there is no cycle
            return 0.0
        total += np.log(abs(triangle[0, 0])) if step >= SKIPPED else 0.0
    return float(np.exp(total / (STEPS - SKIPPED)))


@dataclass(frozen=True, eq=False)
class LinearResponse:
    """Rates, gains and the matrix ``J_ij = tau_syn w_ij dr_i/dI_i`` of a network, linearised about its activity.

    Attributes
    ----------
    rates : ndarray, shape (N,), Hz
    sensitivity : ndarray, shape (K, N)
        By what a weight of each of K Synapses objects becomes a coupling onto each neuron: ``tau_syn dr_i/dI_i``.
    pre, post : ndarray of int, shape (S,)
        Source and target of each synapse.
    weights : ndarray, shape (S,)
    owner : ndarray of int, shape (S,)
        Which of the K objects each synapse belongs to.
    time_constants : ndarray, shape (N,), s
        By which input outlasts a spike; 0 where that is not known.

    Notes
    -----
    How well rates of spiking networks follow such a linear theory: Sadeh and Rotter 2014,
    doi:10.1371/journal.pone.0114237.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN, LIFParameters
    >>> model = HRSNN(100, 0.2, parameters=LIFParameters.recurrent(), check_rate=False)
    >>> slow_response(model.spec)
    LinearResponse(100 neurons, spectral radius 1.00)
    """

    rates: np.ndarray = field(repr=False)
    sensitivity: np.ndarray = field(repr=False)
    pre: np.ndarray = field(repr=False)
    post: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    owner: np.ndarray = field(repr=False)
    time_constants: np.ndarray = field(repr=False)

    @property
    def gains(self) -> np.ndarray:
        """dr_i/dI_i in Hz per unit of input, shape (N,), where there is one Synapses object and its time constant is
        known."""
        return self.sensitivity[0] / self.time_constants

    @cached_property
    def couplings(self) -> np.ndarray:
        """J_ij of each synapse, shape (S,): by how much the rate of its target grows with that of its source."""
        return self.sensitivity[self.owner, self.post] * self.weights

    def among(self, alive: np.ndarray) -> LinearResponse:
        """Return the response of all neurons of a network, of whose survivors, a mask (N,), this one is."""
        number = np.flatnonzero(alive)

        def spread(values: np.ndarray) -> np.ndarray:
            whole = np.zeros((*values.shape[:-1], alive.size))
            whole[..., alive] = values
            return whole

        return replace(
            self,
            rates=spread(self.rates),
            sensitivity=spread(self.sensitivity),
            time_constants=spread(self.time_constants),
            pre=number[self.pre],
            post=number[self.post],
        )

    def of_neurons(self, kept: np.ndarray) -> LinearResponse:
        """Return the response of some neurons (indices) and the synapses between them."""
        number = np.full(self.rates.size, -1)
        number[kept] = np.arange(kept.size)
        inner = (number[self.pre] >= 0) & (number[self.post] >= 0)
        return replace(
            self,
            rates=self.rates[kept],
            sensitivity=self.sensitivity[:, kept],
            time_constants=self.time_constants[kept],
            pre=number[self.pre[inner]],
            post=number[self.post[inner]],
            weights=self.weights[inner],
            owner=self.owner[inner],
        )

    def of_synapses(
        self, pre: np.ndarray, post: np.ndarray, weights: np.ndarray, owner: np.ndarray | None = None
    ) -> LinearResponse:
        """Return the response of the same neurons with other synapses, by default all of the first object."""
        first = np.zeros(weights.size, dtype=int)
        return replace(self, pre=pre, post=post, weights=weights, owner=first if owner is None else owner)

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """J, shape (N, N): row i has the synapses onto neuron i."""
        n = self.rates.size
        return sparse.csr_array((self.couplings, (self.post, self.pre)), shape=(n, n))

    @cached_property
    def spectral_radius(self) -> float:
        """Largest magnitude of the eigenvalues of J.

        Far below 1 the synapses hardly matter; at 1 activity comes back about as strong as it went out, and the network
        remembers longest; well above 1 the network answers to itself.
        """
        return spectral_radius(self.matrix)

    @cached_property
    def participation(self) -> np.ndarray:
        """Inverse participation ratio ``sum_i |v_i|^4`` of each right eigenvector of J, shape (N,).

        From 1/N, spread evenly as in a cycle, to 1, a single neuron.
        """
        vectors = np.abs(np.linalg.eig(self.matrix.toarray())[1]) ** 2
        return (vectors**2).sum(axis=0) / vectors.sum(axis=0) ** 2

    def __repr__(self) -> str:
        return f"LinearResponse({self.rates.size} neurons, spectral radius {self.spectral_radius:.2f})"


def slow_response(spec: NetworkSpec, *, rates: object = None, spread: float = INPUT_SPREAD) -> LinearResponse:
    """Return the linear response of a network whose input changes slowly, in closed form.

    Parameters
    ----------
    spec : NetworkSpec
        Its neurons sit at their biases and the mean recurrent input that goes with their rates.
    rates : array of float, shape (N,), Hz, optional
        Measured rates. By default those of the mean-field fixed point, looked for from the rates of uncoupled neurons.
    spread : float
        Standard deviation of the input in time, in units of the threshold.

    Raises
    ------
    InvalidInput
        If what is given is no spec, or the rates do not fit or are negative.

    Notes
    -----
    It holds where inputs last longer than membranes and intervals, as those that are shown a series do. Under fast
    noise `linear_response` measures.

    Rates that agree with their own mean input: Amit and Brunel 1997, doi:10.1093/cercor/7.3.237, who have fast noise
    besides.

    Examples
    --------
    Neurons without synapses amplify nothing:

    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> slow_response(uncoupled([20, 20] * ms, bias=2.0)).spectral_radius
    0.0
    """
    checks.instance("spec", spec, NetworkSpec, "give the spec of a model of lnpbrian.models")
    constants: dict[str, Any] = {
        "time_constants": spec.time_constants,
        "refractory_period": spec.refractory_period,
    }

    def at(level: np.ndarray) -> np.ndarray:
        return np.where(spec.alive, lif_rate(level, **constants), 0.0)

    found = at(spec.bias) if rates is None else firing_rates(rates, spec.n_neurons)
    # Small steps: the curve is steep at the threshold, and inhibition would overshoot.
    for _ in range(MEAN_FIELD_STEPS if rates is None and spec.n_synapses else 0):
        moved = at(spec.bias + spec.mean_input(found)) - found
        found = found + 0.1 * moved
        if np.abs(moved).max() < 1e-3:
            break
    level = spec.bias + spec.mean_input(found)
    gains = np.where(spec.alive, lif_gain(level, spread=spread, **constants), 0.0)
    return response_of(spec, found, gains)


def response_of(spec: NetworkSpec, rates: np.ndarray, gains: np.ndarray) -> LinearResponse:
    """Return the linear response of a network whose rates and gains, both in Hz, shape (N,), are known.

    Examples
    --------
    Two neurons that answer a little more input with 2 and 3 Hz more, and send it to none:

    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> found = response_of(uncoupled([20, 20] * ms, bias=2.0), np.array([40.0, 40.0]), np.array([2.0, 3.0]))
    >>> found.gains.tolist(), found.spectral_radius
    ([2.0, 3.0], 0.0)
    """
    lasts = np.broadcast_to(spec.synaptic_time_constant or spec.time_constants, rates.shape)
    return LinearResponse(
        rates=firing_rates(rates),
        sensitivity=(lasts * gains)[np.newaxis],
        pre=spec.pre,
        post=spec.post,
        weights=spec.weights,
        owner=np.zeros(spec.n_synapses, dtype=int),
        time_constants=lasts,
    )
