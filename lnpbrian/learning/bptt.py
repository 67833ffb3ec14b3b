"""Supervised training: backpropagation through time with surrogate gradients, in JAX.

The forward pass is that of `lnpbrian.network.spec` for spikes on the grid or between grid points, step for step.
"""

from __future__ import annotations

import functools
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from brian2 import Quantity

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.encoding import CurrentEncoder, require_fit
from lnpbrian.learning.readout import ReadoutOptions, RidgeReadout, readout_neurons
from lnpbrian.network.signals import Drive, SpikeTrain
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.options import Options, option, options

__all__ = ["BPOptions", "BPResult", "spikes", "train_bp"]

PRECISIONS = ("float32", "float64")
# Steps of the forward pass whose spikes are held at a time.
_BLOCK = 1000
# An error that grew by more than this factor means divergence; it jitters by a few per cent with any change of weights.
_WORSE = 1.5
# Newton steps to a threshold crossing: as in Brian2's equations, and as single precision needs.
_NEWTON = {"float64": 3, "float32": 1}


@options
class BPOptions(Options):
    """How a network is trained by backpropagation through time.

    Raises
    ------
    InvalidInput
        If a value is out of range.

    Notes
    -----
    Backpropagation through time: Werbos 1990, doi:10.1109/5.58337.

    Examples
    --------
    >>> BPOptions(epochs=2).learning_rate
    0.01
    """

    epochs: int = option(default=6, help="Passes over the samples.")
    learning_rate: float = option(
        default=0.01,
        help="Step of Adam (Kingma and Ba 2015, arXiv 1412.6980), in units of the mean size of the weights.",
        above=0,
    )
    truncation: int = option(
        default=5, help="Samples that a gradient reaches back at most; weights change after as many."
    )
    batch: int = option(default=10, help="Stretches of the series that are shown side by side.")
    warm_up: int = option(default=10, help="Samples shown before each stretch, that nothing is learnt from.")
    surrogate_slope: float = option(
        default=10.0,
        help="Slope beta of the surrogate derivative 1/(1 + beta abs(v - 1))^2 of spikes on the grid, per unit of the "
        "threshold; interpolated spikes have a gradient of their own.",
        above=0,
    )
    train_time_constants: bool = option(default=False, help="Whether the membrane time constants are trained too.")
    checkpointing: bool = option(
        default=False,
        help="Whether the states within a sample are worked out again in the backward pass, instead of kept: less "
        "memory.",
    )
    precision: str = option(default="float32", help="Of the training.", choices=PRECISIONS)


@dataclass(frozen=True, repr=False)
class BPResult:
    """A network after supervised training.

    Attributes
    ----------
    spec : NetworkSpec
        The network with its new weights, and time constants if they were trained; its synapses are the same.
    losses : ndarray, shape (epochs,)
        Mean squared error of the one-step forecast in each epoch, in units of the variance of the increments.
    before, after : float
        The same error of the untrained and of the trained network, each with a readout that was solved for it.
    seconds : float
        Wall-clock time, compilation included.
    note : str
        "trained", or why the network was given back as it was.

    Notes
    -----
    Surrogate gradients: Neftci et al. 2019, doi:10.1109/MSP.2019.2931595; `train_bp` makes one.
    """

    spec: NetworkSpec
    losses: np.ndarray
    before: float
    after: float
    seconds: float
    note: str

    def __repr__(self) -> str:
        return f"BPResult(error {self.before:.4g} -> {self.after:.4g} in {self.losses.size} epochs, {self.note})"


class _Static(NamedTuple):
    """What a compiled function depends on beside the shapes of its arguments."""

    dt: float
    tau_syn: float
    refractory: float
    interpolated: bool
    newton: int
    slope: float
    steps: int = 1
    filter_time: float = 1.0
    order: int = 1
    checkpointing: bool = False
    train_time_constants: bool = False


class _Neurons(NamedTuple):
    """Constants of the neurons, each of shape (N,); an argument of the compiled functions."""

    tau_m: Any
    bias: Any
    alive: Any


class _State(NamedTuple):
    """Potentials, synaptic currents and steps until release, each of shape (B, N), and moments of the read neurons."""

    v: Any
    current: Any
    left: Any


def _jax() -> Any:
    try:
        import jax
        import optax  # noqa: F401
    except ImportError:
        raise InvalidInput("training by backpropagation needs JAX and Optax; pip install 'lnpbrian[bp]'") from None
    return jax


def _supported(spec: NetworkSpec) -> None:
    if spec.spike_timing == "precise":
        raise InvalidInput("precise spikes have no gradient here; use spec.with_timing('interpolated')")
    if spec.has_delta_synapses:
        raise InvalidInput("delta synapses cannot be trained by backpropagation; give a synaptic_time_constant above 0")
    if spec.delays is not None and spec.delays.any():
        raise InvalidInput("delays are not simulated by the forward pass in JAX; use a network without delays")


def _static(spec: NetworkSpec, precision: str, slope: float) -> _Static:
    interpolated = spec.spike_timing == "interpolated"
    steps = spec.refractory_period / spec.dt
    return _Static(
        dt=spec.dt,
        tau_syn=spec.synaptic_time_constant,
        # On the grid a neuron is free in the step that begins t_ref after its spike; Brian2 rounds with this tolerance.
        refractory=steps if interpolated else max(math.floor(steps + 1e-3) - 1, 0),
        interpolated=interpolated,
        newton=_NEWTON[precision],
        slope=slope,
    )


def surrogate_spike(u: Any, slope: float) -> Any:
    """Return the Heaviside step of u, differentiated as ``1/(1 + slope |u|)^2``.

    Parameters
    ----------
    u : jax array of any shape
        Distance from the threshold.
    slope : float
        Per unit of u.

    Notes
    -----
    SuperSpike (Zenke and Ganguli 2018, doi:10.1162/neco_a_01086); why surrogates: Neftci et al. 2019,
    doi:10.1109/MSP.2019.2931595.

    Examples
    --------
    >>> import jax
    >>> float(surrogate_spike(jax.numpy.asarray(0.5), 2.0))
    1.0
    >>> float(jax.grad(surrogate_spike)(0.5, 2.0))  # 1/(1 + 1)^2
    0.25
    """
    jax = _jax()
    smooth = u / (1 + slope * abs(u))
    return (u >= 0).astype(u.dtype) + smooth - jax.lax.stop_gradient(smooth)


def _overshoot(fixed: _Static, b: Any, c: Any, d: Any, y: Any, x: float, spike: Any) -> Any:
    """Return the steps from threshold crossings to the end of the step; its derivative is the implicit function's.

    Backwards in time the potential is ``d exp(s y) + c exp(s x) + b``, with s in steps.
    """
    jnp, still = _jax().numpy, _jax().lax.stop_gradient

    def excess(s: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
        p, q = d * jnp.exp(s * y), c * jnp.exp(s * x)
        return p + q + b - 1, jnp.where(spike, p * y + q * x, -1)

    b_, c_, d_ = still(b), still(c), still(d)
    s = jnp.clip(-(d_ + c_ + b_ - 1) / jnp.where(spike, d_ * y + c_ * x, -1), 0, 2)
    for _ in range(fixed.newton):
        value, derivative = excess(s, b_, c_, d_)
        s = jnp.clip(s - value / derivative, 0, 2)
    s = still(s)
    value, derivative = excess(s, b, c, d)
    return jnp.where(spike, s - (value - still(value)) / still(derivative), 0)


def _step(fixed: _Static, neurons: _Neurons, weights: Any, state: _State, external: Any, extra: Any) -> Any:
    """Return the state after one step, and its spikes and overshoots in steps, each of shape (B, N).

    `extra` is added to the synaptic currents with the spikes of the step.
    """
    jax = _jax()
    jnp = jax.numpy
    x, y = fixed.dt / fixed.tau_syn, fixed.dt / neurons.tau_m
    b = neurons.bias + external
    # The part of the step in which the neuron is free. Its potential feels I_syn by y (e^-x - e^-y)/(y - x).
    ya = y * jnp.clip(1 - state.left, 0, 1)
    decay_m, decay_s = jnp.exp(-ya), math.exp(-x)
    z = ya - x
    near = abs(z) < 1e-3
    ratio = (decay_s - decay_m) / jnp.where(near, 1, z)
    series = decay_s * (1 - z / 2 * (1 - z / 3 * (1 - z / 4 * (1 - z / 5))))
    felt = ya * jnp.where(near, series, ratio)
    v = state.v * decay_m + b * (1 - decay_m) + felt * state.current
    current = state.current * decay_s
    spike = (v >= 1) & neurons.alive
    left = jnp.maximum(state.left - 1, 0)
    if fixed.interpolated:
        c = current * fixed.tau_syn / (fixed.tau_syn - neurons.tau_m)
        overshoot = _overshoot(fixed, b, c, v - b - c, y, x, spike)
        fired = spike.astype(v.dtype)
        out = fired * jnp.exp(-x * overshoot)
    else:
        overshoot = jnp.zeros_like(v)
        fired = out = surrogate_spike(v - 1, fixed.slope) * neurons.alive
    left = jnp.where(spike, fixed.refractory - overshoot, left)
    return _State(jnp.where(spike, 0, v), current + out @ weights + extra, left), (fired, overshoot)


def _initial(spec: NetworkSpec, batch: int, dtype: str) -> _State:
    v = np.where(spec.alive, spec.initial_potential, 0)
    zero = np.zeros((batch, spec.n_neurons), dtype)
    return _State(np.tile(v, (batch, 1)).astype(dtype), zero, zero)


def _constants(spec: NetworkSpec, dtype: str) -> _Neurons:
    return _Neurons(spec.time_constants.astype(dtype), spec.bias.astype(dtype), spec.alive)


def _dense(spec: NetworkSpec, weights: np.ndarray, dtype: str) -> np.ndarray:
    """Return the weights (N, N), from row to column; parallel synapses add up."""
    matrix = np.zeros((spec.n_neurons, spec.n_neurons), dtype)
    np.add.at(matrix, (spec.pre, spec.post), weights.astype(dtype))
    return matrix


@functools.cache
def _compiled_block(fixed: _Static) -> Any:
    jax = _jax()

    def block(neurons: _Neurons, weights: Any, state: _State, values: Any, rows: Any) -> Any:
        def step(state: _State, row: Any) -> Any:
            state, (fired, _) = _step(fixed, neurons, weights, state, values[row], 0)
            return state, fired[0] > 0

        return jax.lax.scan(step, state, rows)

    return jax.jit(block)


def spikes(spec: NetworkSpec, drive: Drive, duration: Quantity) -> SpikeTrain:
    """Run a network under a frozen drive in JAX, in double precision and without Brian2.

    Parameters
    ----------
    spec : NetworkSpec
        A network with exponential synapses without delays, and spikes on the grid or interpolated.
    drive : Drive
        Current of its N neurons; past its end it starts over.
    duration : Quantity
        Rounded to whole steps.

    Returns
    -------
    SpikeTrain
        The spikes that ``observe(RecurrentNetwork(spec, plastic=False), duration, drive=drive)`` finds.

    Raises
    ------
    InvalidInput
        If the network has delta synapses, delays or precise spikes, the drive does not fit it, or JAX is missing.

    Notes
    -----
    The equations of `lnpbrian.network.spec.NetworkSpec`; between grid points after Morrison et al. 2007
    (doi:10.1162/neco.2007.19.1.47).

    Examples
    --------
    A neuron of bias 2 needs 20 ms ln 2 = 13.9 ms from 0 to the threshold; on a grid of 0.5 ms that is in the step that
    begins at 13.5 ms, and after 2 ms of refractoriness 13.5 ms later again:

    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> spikes(uncoupled([20] * ms, bias=2.0), Drive(np.zeros((1, 1)), 0.01), 35 * ms).times.round(6).tolist()
    [0.0135, 0.029]
    """
    _supported(spec)
    n, length = spec.n_neurons, checks.seconds("duration", duration)
    if drive.values.shape[1] != n:
        raise InvalidInput(f"a drive for {drive.values.shape[1]} neurons does not fit {n} neurons")
    jax, steps = _jax(), round(length / spec.dt)
    rows = (np.arange(steps) * spec.dt / drive.hold + 1e-6).astype(int) % len(drive.values)
    found = []
    with jax.enable_x64(True):
        block = _compiled_block(_static(spec, "float64", 1.0))
        neurons, weights = _constants(spec, "float64"), jax.numpy.asarray(_dense(spec, spec.weights, "float64"))
        state, values = _initial(spec, 1, "float64"), jax.numpy.asarray(drive.values, "float64")
        for first in range(0, steps, _BLOCK):
            state, fired = block(neurons, weights, state, values, rows[first : first + _BLOCK])
            step, index = np.nonzero(np.asarray(fired))
            found.append((index, (first + step) * spec.dt))
    indices, times = (np.concatenate(part) for part in zip(*found, strict=True))
    return SpikeTrain(indices, times, n, length)


class _Linear(NamedTuple):
    """A ridge readout as an argument of the compiled functions; `gain` is one over the scale of the features."""

    mean: Any
    gain: Any
    feature_weights: Any
    current_weights: Any
    intercept: Any
    unit: Any


class _Chunk(NamedTuple):
    """Samples shown in a row: inputs (L, B, N), samples and increments (L, B, D)."""

    external: Any
    z: Any
    increments: Any


def _sample(fixed: _Static, neurons: _Neurons, weights: Any, read: Any, carry: Any, shown: Any) -> Any:
    """Show one sample; return the carry, the features (B, F) and the spikes and overshoots (steps, B, N)."""
    jax = _jax()
    jnp = jax.numpy
    external, extra = shown

    def step(state: _State, extra: Any) -> Any:
        return _step(fixed, neurons, weights, state, external, extra)

    state, moments = carry
    # Of every step only the state is kept for the backward pass; the rest is cheaper to work out again than to store.
    state, (fired, overshoot) = jax.lax.scan(jax.checkpoint(step), state, extra)
    # Moment k gathers (u/tau)^k/k! exp(-u/tau) over spikes of age u at the end of the sample.
    since = np.arange(fixed.steps)[::-1, np.newaxis, np.newaxis]
    age = (overshoot[:, :, read] + since) * (fixed.dt / fixed.filter_time)
    term = fired[:, :, read] * jnp.exp(-age)
    new = []
    for k in range(fixed.order):
        new.append(term.sum(axis=0))
        term = term * age / (k + 1)
    h = fixed.steps * fixed.dt / fixed.filter_time
    shift = [math.exp(-h) * h**k / math.factorial(k) for k in range(fixed.order)]
    moments = [new[k] + sum(shift[k - j] * moments[j] for j in range(k + 1)) for k in range(fixed.order)]
    return (state, moments), (moments[-1], fired, overshoot)


def _loss(
    fixed: _Static,
    extra: Any,
    tau_m: Any,
    neurons: _Neurons,
    weights: Any,
    read: Any,
    carry: Any,
    chunk: _Chunk,
    linear: _Linear,
) -> Any:
    """Return the mean squared one-step error, and the carry, the features and what the spikes gave to I_syn."""
    jax = _jax()
    neurons = neurons._replace(tau_m=tau_m)
    sample = functools.partial(_sample, fixed, neurons, weights, read)
    if fixed.checkpointing:
        sample = jax.checkpoint(sample)
    carry, (features, fired, overshoot) = jax.lax.scan(sample, carry, (chunk.external, extra))
    predicted = (features - linear.mean) * linear.gain @ linear.feature_weights
    predicted = predicted + chunk.z @ linear.current_weights + linear.intercept
    loss = (((predicted - chunk.increments) / linear.unit) ** 2).mean()
    out = jax.lax.stop_gradient(fired * jax.numpy.exp(-overshoot * fixed.dt / fixed.tau_syn))
    return loss, (carry, features, out)


@functools.cache
def _compiled_gradient(fixed: _Static) -> Any:
    jax = _jax()

    def gradient(neurons: _Neurons, weights: Any, read: Any, carry: Any, chunk: _Chunk, linear: _Linear) -> Any:
        """Return the loss, its gradients by the weights (N, N) and time constants (N,), the carry and the features.

        The gradient by the weights is one product over all steps at the end, of what each spike gave to I_syn and the
        gradient by I_syn; a sum in the loop over time would move the whole matrix in every step.
        """
        n_samples, batch, n = chunk.external.shape
        extra = jax.numpy.zeros((n_samples, fixed.steps, batch, n), weights.dtype)
        which = (0, 1) if fixed.train_time_constants else (0,)
        function = jax.value_and_grad(functools.partial(_loss, fixed), which, has_aux=True)
        (loss, (carry, features, out)), found = function(
            extra, neurons.tau_m, neurons, weights, read, carry, chunk, linear
        )
        by_weights = out.reshape(-1, n).T @ found[0].reshape(-1, n)
        return loss, by_weights, found[1:], carry, features

    return jax.jit(gradient)


@functools.cache
def _compiled_forward(fixed: _Static) -> Any:
    jax = _jax()

    def forward(neurons: _Neurons, weights: Any, read: Any, carry: Any, external: Any) -> Any:
        """Return the carry and the features (L, B, F)."""

        def sample(carry: Any, shown: Any) -> Any:
            extra = jax.numpy.zeros((fixed.steps, 1, 1), weights.dtype)
            carry, (features, _, _) = _sample(fixed, neurons, weights, read, carry, (shown, extra))
            return carry, features

        return jax.lax.scan(sample, carry, external)

    return jax.jit(forward)


@functools.cache
def _compiled_adam() -> tuple[Any, Any]:
    """Return Adam's initial state for, and its step on, a dict of vectors; steps are of size 1."""
    import optax

    adam = optax.scale_by_adam(b1=0.9, b2=0.99, eps=1e-12)
    return adam.init, _jax().jit(adam.update)


def train_bp(
    spec: NetworkSpec,
    encoder: CurrentEncoder,
    z: np.ndarray,
    *,
    options: BPOptions | None = None,
    readout: ReadoutOptions | None = None,
    rng: np.random.Generator,
    report: Callable[[float], None] | None = None,
) -> BPResult:
    """Train recurrent weights such that a linear readout of a few neurons forecasts a series by one step.

    Parameters
    ----------
    spec : NetworkSpec
        A network without silent neurons (`spec.compacted()`), with exponential synapses without delays, and spikes on
        the grid or interpolated.
    encoder : CurrentEncoder
        Input of its N neurons.
    z : ndarray, shape (T, D)
        z-scored samples in a row.
    options : BPOptions, optional
        Epochs, step size, truncation.
    readout : ReadoutOptions, optional
        Sample time, filters, fraction of neurons that is read, ridge; the readout is linear whatever its `kind`.
    rng : numpy.random.Generator
        Draws where the stretches begin in each epoch.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    BPResult

    Raises
    ------
    InvalidInput
        If the network has silent neurons, delta synapses, delays or precise spikes, the series is too short or has a
        constant column, or JAX or Optax is missing.

    Notes
    -----
    The readout is solved by ridge regression after every chunk, on the features of the last T samples. A weight keeps
    its sign (Dale's law): it stops at zero.

    The gradient of interpolated spikes goes through the times at which potentials cross the threshold, and is exact as
    long as no spike changes its time step; a surrogate beside it would count every spike twice, and explodes. Spikes on
    the grid have no such times, and take the surrogate derivative (`surrogate_spike`).

    Gradients by the times of spikes: Bohte et al. 2002 (doi:10.1016/S0925-2312(01)00658-0); surrogates: Neftci et al.
    2019 (doi:10.1109/MSP.2019.2931595); truncation: Williams and Peng 1990 (doi:10.1162/neco.1990.2.4.490).
    """
    options, readout = options or BPOptions(), readout or ReadoutOptions()
    start = time.perf_counter()
    training, losses = _Training(spec, encoder, z, options, readout, rng), []
    with _jax().enable_x64(options.precision == "float64"):
        before = training.error()
        for epoch in range(options.epochs):
            # The steps shrink like a cosine, so that the last epoch settles.
            losses.append(training.epoch(0.5 + 0.5 * math.cos(math.pi * epoch / options.epochs)))
            if report is not None:
                report((epoch + 1) / options.epochs)
        after = training.error()
    trained, note = training.snapshot(), "trained"
    if not after < _WORSE * before:
        trained, note = spec, f"unchanged, since the error rose to {after:.3g}; lower learning_rate"
    return BPResult(trained, np.array(losses), before, after, time.perf_counter() - start, note)


class _Training:
    """A network in training: its parameters, their optimiser and the readout."""

    def __init__(
        self,
        spec: NetworkSpec,
        encoder: CurrentEncoder,
        z: np.ndarray,
        options: BPOptions,
        readout: ReadoutOptions,
        rng: np.random.Generator,
    ) -> None:
        _supported(spec)
        checks.generator("rng", rng)
        checks.instance("encoder", encoder, CurrentEncoder, "Poisson spikes have no gradient")
        if not spec.alive.all():
            raise InvalidInput("the network has silent neurons; train spec.compacted() with encoder.of_neurons(alive)")
        if spec.n_synapses == 0:
            raise InvalidInput("the network has no synapses, so there is nothing to train")
        self._z = checks.array("z", z, shape=(None, None))
        require_fit(encoder, spec.n_neurons, self._z.shape[1])
        steps = checks.steps("sample_time", readout.sample_time, spec.dt)
        # Every stretch learns from `length` samples; the last sample of all has no successor.
        usable = len(self._z) - 1 - options.warm_up
        self._length = usable // (options.batch * options.truncation) * options.truncation
        if self._length == 0:
            need = options.batch * options.truncation + options.warm_up + 1
            raise InvalidInput(f"z must have at least {need} samples, got {len(z)}; lower batch, truncation or warm_up")
        self._slack = usable - options.batch * self._length
        _jax()
        self._spec, self._encoder, self._options, self._ridge, self._rng = spec, encoder, options, readout.ridge, rng
        self._dtype = options.precision
        self._fixed = _static(spec, options.precision, options.surrogate_slope)._replace(
            steps=steps,
            filter_time=float(readout.filter_time),
            order=readout.order,
            checkpointing=options.checkpointing,
            train_time_constants=options.train_time_constants,
        )
        self._read = readout_neurons(spec, readout.fraction)
        self._sign = np.where(spec.weights != 0, np.sign(spec.weights), np.where(spec.excitatory, 1, -1)[spec.pre])
        self._size = np.abs(spec.weights)
        self._tau = spec.time_constants.copy()
        # The range of the models, or that of the network where it is wider.
        self._tau_range = min(2 * spec.dt, self._tau.min()), max(0.2, self._tau.max())
        self._step_size = options.learning_rate * self._size.mean()
        self._moments: Any = None
        self._linear: RidgeReadout | None = None
        self._seen: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=self._length // options.truncation)
        self._unit = np.diff(self._z, axis=0).std(axis=0)
        if not (self._unit > 0).all():
            raise InvalidInput(f"column {int(np.argmin(self._unit))} of z grows by a constant; drop it")

    def snapshot(self) -> NetworkSpec:
        """Return the network as it is now."""
        return replace(self._spec, weights=self._sign * self._size, time_constants=self._tau)

    def error(self) -> float:
        """Return the mean squared error of the network as it is, with a readout that is solved for it."""
        self._show(0.0)
        return self._solve()

    def epoch(self, rate: float) -> float:
        """Show the series once, change weights and readout after every chunk, and return the mean loss."""
        return float(np.mean(self._show(rate)))

    def _show(self, rate: float) -> list[float]:
        options = self._options
        learning = rate > 0
        offset = int(self._rng.integers(self._slack + 1)) if learning else 0
        begin = offset + self._length * np.arange(options.batch)[:, np.newaxis]
        constants, weights = self._arguments()
        state = _initial(self._spec, options.batch, self._dtype)
        moments = [np.zeros((options.batch, self._read.size), self._dtype)] * self._fixed.order
        forward, gradient = _compiled_forward(self._fixed), _compiled_gradient(self._fixed)
        settling = self._external(begin + np.arange(options.warm_up))
        carry, _ = forward(constants, weights, self._read, (state, moments), settling)
        losses = []
        for k in range(options.warm_up, options.warm_up + self._length, options.truncation):
            samples = begin + np.arange(k, k + options.truncation)
            if learning:
                linear = self._readout_arguments()
                loss, by_weights, by_tau, carry, features = gradient(
                    constants, weights, self._read, carry, self._chunk(samples), linear
                )
                losses.append(float(loss))
                self._change(np.asarray(by_weights), by_tau, rate)
                constants, weights = self._arguments()
            else:
                carry, features = forward(constants, weights, self._read, carry, self._external(samples))
            self._seen.append((np.asarray(features, float).reshape(-1, self._read.size), samples.T.ravel()))
            if learning:
                self._solve()
        return losses

    def _solve(self) -> float:
        """Solve the readout for the features of the last chunks, as many as an epoch has; return its error there."""
        z = self._z
        x = np.concatenate([features for features, _ in self._seen])
        rows = np.concatenate([samples for _, samples in self._seen])
        increments = z[rows + 1] - z[rows]
        self._linear = RidgeReadout.fit(x, z[rows], increments, ridge=self._ridge)
        return float(np.mean(((self._linear(x, z[rows]) - increments) / self._unit) ** 2))

    def _arguments(self) -> tuple[_Neurons, np.ndarray]:
        """Return the constants of the neurons and the weights (N, N) as they are now."""
        neurons = _constants(replace(self._spec, time_constants=self._tau), self._dtype)
        return neurons, _dense(self._spec, self._sign * self._size, self._dtype)

    def _external(self, samples: np.ndarray) -> np.ndarray:
        """Return the input (L, B, N) of samples (B, L)."""
        return (self._z[samples.T] @ self._encoder.weights.T).astype(self._dtype)

    def _chunk(self, samples: np.ndarray) -> _Chunk:
        z = self._z[samples.T]
        increments = self._z[samples.T + 1] - z
        return _Chunk(self._external(samples), z.astype(self._dtype), increments.astype(self._dtype))

    def _readout_arguments(self) -> _Linear:
        linear = self._linear
        assert linear is not None
        values = (
            linear.mean,
            1 / linear.scale,
            linear.feature_weights,
            linear.current_weights,
            linear.intercept,
            self._unit,
        )
        return _Linear(*(value.astype(self._dtype) for value in values))

    def _change(self, by_weights: np.ndarray, by_tau: Any, rate: float) -> None:
        spec = self._spec
        gradients = {"size": (self._sign * by_weights[spec.pre, spec.post]).astype(self._dtype)}
        if by_tau:
            gradients["log tau"] = (np.asarray(by_tau[0]) * self._tau).astype(self._dtype)
        start, step = _compiled_adam()
        moments = start(gradients) if self._moments is None else self._moments
        directions, self._moments = step(gradients, moments)
        self._size = np.maximum(self._size - self._step_size * rate * np.asarray(directions["size"]), 0)
        if by_tau:
            factor = np.exp(-self._options.learning_rate * rate * np.asarray(directions["log tau"], float))
            tau, tau_syn = np.clip(self._tau * factor, *self._tau_range), spec.synaptic_time_constant
            # The exact integration is singular where the two time constants are equal.
            self._tau = np.where(abs(tau - tau_syn) < 1e-4 * tau_syn, 1.0001 * tau_syn, tau)
