"""Run a network, its number or its live objects, and return its spikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from brian2 import Quantity, SpikeMonitor, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.network.engines.exact import DeltaNetwork, ExponentialNetwork
from lnpbrian.network.engines.native import NativeNetwork, native_works
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import Drive, SpikeTrain, drive_operation
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.process import Held

__all__ = [
    "brian2_spike_train",
    "exact_spike_train",
    "mean_rates",
    "observe",
    "precise_timing",
    "require_active",
    "simulate",
    "simulated_spike_train",
    "spike_train",
    "twin_timing",
]

RATE_RANGE_HZ = (5.0, 50.0)
TRAJECTORIES = ("exact", "brian2")
# Twins need the same spikes on both sides; at this step few crossings are missed or mistaken.
LARGEST_STEP = 0.1e-3


def observe(
    live: LiveNetwork,
    duration: Quantity,
    *,
    drive: Drive | None = None,
    report: Callable[..., None] | None = None,
) -> SpikeTrain:
    """Run a live network, and return its spikes.

    Parameters
    ----------
    live : LiveNetwork
        Goes on from where it is, and stays where the run ends.
    duration : Quantity
        Time to simulate.
    drive : Drive, optional
        Of the N neurons of a `RecurrentNetwork`, from now on; a network of the user's own brings its input.
    report : callable, optional
        Called as Brian2 calls its progress reporters: ``report(elapsed, completed, start, duration)``.

    Returns
    -------
    SpikeTrain
        Times count from the start of this run.

    Raises
    ------
    InvalidInput
        If `duration` is no time, the drive does not fit, or the network stops itself.

    Examples
    --------
    A neuron with bias 2 fires every 2 ms + 20 ms ln 2 = 15.9 ms:

    >>> from lnpbrian.models import uncoupled
    >>> observe(RecurrentNetwork(uncoupled([20, 20] * ms, bias=[2.0, 0.5])), 50 * ms).counts
    array([3, 0])
    """
    length = checks.seconds("duration", duration)
    start = float(live.network.t_)
    first = [where.start for where, _ in live.spiking]
    monitors = [SpikeMonitor(group, name=f"{group.name}_observer") for _, group in live.spiking]
    extra = list(monitors)
    if drive is not None:
        assert isinstance(live, RecurrentNetwork)  # a network of the user's own brings its own input
        extra.append(drive_operation(live.neurons, drive))
    try:
        live.network.add(*extra)
        live.run(length * second, report=report, report_period=0.2 * second)
    finally:
        with Held():
            live.network.remove(*(obj for obj in extra if obj in live.network.objects))
    indices = np.concatenate([k + np.array(m.i[:]) for k, m in zip(first, monitors, strict=True)])
    times = np.concatenate([np.array(m.t_[:]) for m in monitors]) - start
    order = np.argsort(times, kind="stable")
    return SpikeTrain(indices[order], times[order], live.n_neurons, length)


COMPILED = ("cpp_standalone", "cuda_standalone")
CLOCKED = ("auto", "native", "brian2")
ENGINES = (*CLOCKED, "exact", *COMPILED)


def simulate(
    spec: NetworkSpec,
    duration: Quantity,
    *,
    drive: Drive | None = None,
    engine: str = "auto",
    report: Callable[[float], None] | None = None,
) -> SpikeTrain:
    """Run a network from its initial potentials, and return its spikes.

    Parameters
    ----------
    spec : NetworkSpec
        Plastic synapses do not learn.
    duration : Quantity
        Simulated time.
    drive : Drive, optional
        Of N neurons; past its end it starts over.
    engine : {"auto", "native", "brian2", "exact", "cpp_standalone", "cuda_standalone"}
        Clock-driven, with the step and the spike timing of the network: by one compiled loop, by Brian2 in this
        process, or by Brian2 as a compiled program on the processor or a GPU; "auto" takes the loop where there is a
        compiler, else Brian2. Or "exact", from one threshold crossing to the next, exact to rounding, without delays.
        `CompiledNetwork` compiles once for many runs, and `lnpbrian.learning.bptt.spikes` runs a network in JAX; it
        returns the same type.
    report : callable, optional
        Called with the completed fraction; "exact" only.

    Returns
    -------
    SpikeTrain

    Raises
    ------
    InvalidInput
        If the engine is not known, it cannot run such a network, or what is given is no network or no drive.
    DeviceError
        If a compiled program cannot be built or run.

    Notes
    -----
    Exact simulation goes back to Brette (2007), doi:10.1162/neco.2007.19.10.2604; with exponential synapses, spikes off
    the grid in a clock-driven one to Morrison et al. (2007), doi:10.1162/neco.2007.19.1.47. Brian2 is that of Stimberg
    et al. (2019), doi:10.7554/eLife.47314.

    Examples
    --------
    A neuron of bias b fires every ``t_ref + tau ln(b/(b - 1))``, here 2 ms + 20 ms ln 2:

    >>> from lnpbrian.models import uncoupled
    >>> train = simulate(uncoupled([20] * ms, bias=2.0), 100 * ms, engine="exact")
    >>> bool(np.allclose(np.diff(train.times), 0.002 + 0.02 * np.log(2)))
    True

    Six of them in 100 ms, the first after 20 ms ln 2:

    >>> simulate(uncoupled([20] * ms, bias=2.0), 100 * ms).counts
    array([6])
    """
    checks.instance("spec", spec, NetworkSpec, "use the spec of a model")
    checks.optional("drive", drive, Drive, "use noise_drive(...) or Drive(values, hold)")
    checks.callback("report", report)
    length = checks.seconds("duration", duration)
    if checks.choice("engine", engine, ENGINES) in CLOCKED:
        return simulated_spike_train(spec, length, drive=drive, engine=engine)
    if engine in COMPILED:
        from lnpbrian.network.engines.compiled import CompiledNetwork  # few runs need a compiler

        with CompiledNetwork(spec, duration=duration, drive=drive, device=engine) as program:
            return program.run().spike_train
    if spec.delays is not None and spec.delays.any():
        raise InvalidInput("engine='exact' does not know delays; use 'brian2'")
    return exact_spike_train(spec, length, drive=drive, report=report)


def require_active(
    spec: NetworkSpec,
    drive: Drive,
    *,
    settle: Quantity = 100 * ms,
) -> SpikeTrain:
    """Run a fresh copy of `spec` under `drive`, and refuse a network whose mean rate is out of bounds.

    Parameters
    ----------
    spec : NetworkSpec
        The network; silent neurons do not count.
    drive : Drive
        Frozen drive; it is observed once, after `settle`.
    settle : Quantity
        Time before the observation.

    Returns
    -------
    SpikeTrain

    Raises
    ------
    InvalidInput
        If the mean rate is below 5 or above 50 Hz; the message names the knob to turn.

    Examples
    --------
    >>> from lnpbrian.models import uncoupled
    >>> require_active(uncoupled([20] * ms, bias=0.5), Drive(np.zeros((1, 1)), hold=0.05), settle=1 * ms)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: the network is silent: mean rate 0.00 Hz is below 5 Hz; raise bias or gain, ...
    """
    live = RecurrentNetwork(spec, plastic=False)
    observe(live, settle, drive=drive)
    activity = observe(live, drive.duration * second, drive=drive)
    rate, (low, high) = float(activity.rates[spec.alive].mean()), RATE_RANGE_HZ
    if rate < low:
        raise InvalidInput(
            f"the network is silent: mean rate {rate:.2f} Hz is below {low:g} Hz; "
            "raise bias or gain, or lower inhibition"
        )
    if rate > high:
        raise InvalidInput(
            f"the network is saturated: mean rate {rate:.1f} Hz is above {high:g} Hz; "
            "lower bias or gain, or raise inhibition"
        )
    return activity


def precise_timing(spec: NetworkSpec, drive: Drive | None = None) -> NetworkSpec:
    """Return the same network with precise spikes, and with a step that is short enough for them.

    Raises
    ------
    InvalidInput
        If there is no refractory period, or synapses are delta synapses: those have no precise spikes.

    Notes
    -----
    The step is at most 0.1 ms and half the refractory period, and a whole fraction of that of the drive: few crossings
    within a step are then missed (of these see Morrison et al. 2007, doi:10.1162/neco.2007.19.1.47).

    Examples
    --------
    >>> from lnpbrian.models import uncoupled
    >>> precise_timing(uncoupled([20] * ms, dt=0.5 * ms)).dt
    0.0001
    """
    if spec.refractory_period == 0:
        raise InvalidInput("precise spikes need a refractory period above 0")
    dt = min(spec.dt, LARGEST_STEP, spec.refractory_period / 2)
    if drive is not None:
        # The drive changes between steps, not within one.
        dt = drive.hold / np.ceil(drive.hold / dt - 1e-6)
    return replace(spec, dt=dt, spike_timing="precise")


def twin_timing(spec: NetworkSpec, drive: Drive | None = None) -> NetworkSpec:
    """Return the same network with the spike timing that twins need: precise where it exists, else its own.

    Spikes on a time grid move by whole steps or not at all, so that twins fall together or jump apart.

    Notes
    -----
    Spikes between grid points: Morrison et al. 2007, doi:10.1162/neco.2007.19.1.47.

    Examples
    --------
    Delta synapses have no precise spikes:

    >>> from lnpbrian.models import uncoupled
    >>> [twin_timing(uncoupled([20] * ms, synaptic_time_constant=t * ms)).spike_timing for t in (5, 0)]
    ['precise', 'grid']
    """
    longest = 0.0 if spec.delays is None or not spec.n_synapses else float(spec.delays.max())
    if spec.has_delta_synapses or longest >= spec.refractory_period:
        return spec
    return precise_timing(spec, drive)


def exact_spike_train(
    spec: NetworkSpec, duration: float, *, drive: Drive | None = None, report: Callable[[float], None] | None = None
) -> SpikeTrain:
    """Run a network from its initial potentials from event to event, and return its spikes, exact to rounding.

    Parameters
    ----------
    spec : NetworkSpec
        The network, without delays; its step and `spike_timing` do not matter.
    duration : float
        In seconds.
    drive : Drive, optional
        Of N neurons.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    SpikeTrain

    Notes
    -----
    Between spikes the potential is a sum of exponentials, whose crossing is bracketed and found to rounding (after
    Brette 2007, doi:10.1162/neco.2007.19.10.2604).

    Examples
    --------
    From 0 a neuron of bias 2 reaches the threshold after ``tau ln 2``:

    >>> from lnpbrian.models import uncoupled
    >>> (exact_spike_train(uncoupled([20] * ms, bias=2.0), 0.02).times / np.log(2)).round(12).tolist()
    [0.02]
    """
    network = (DeltaNetwork if spec.has_delta_synapses else ExponentialNetwork)(spec, drive)
    times, indices, triggers = network.run(duration, report)
    found = np.array(indices, dtype=int)
    return SpikeTrain(found, np.array(times), spec.n_neurons, duration, np.array(triggers, dtype=int))


def simulated_spike_train(
    spec: NetworkSpec, duration: float, *, drive: Drive | None = None, engine: str = "auto"
) -> SpikeTrain:
    """Run a network with its own step and spike timing, and return its spikes.

    Parameters are those of `exact_spike_train`, and one of the engines "native", the compiled loop, "brian2" and
    "auto", the loop where there is one. A spike on the grid counts at the end of its step, where it acts, and is the
    same by both.

    Returns
    -------
    SpikeTrain

    Notes
    -----
    Between spikes the loop is exact (Rotter and Diesmann 1999, doi:10.1007/s004220050570).

    Examples
    --------
    The first spike at 20 ms ln 2 = 13.86 ms, at the end of its step of 0.5 ms, or within it:

    >>> from lnpbrian.models import uncoupled
    >>> spec = uncoupled([20] * ms, bias=2.0)
    >>> [simulated_spike_train(spec.with_timing(t), 0.02).times.round(5).tolist() for t in ("grid", "interpolated")]
    [[0.014], [0.01386]]
    """
    if engine == "brian2" or (engine == "auto" and not native_works()):
        return brian2_spike_train(spec, duration, drive=drive)
    network = NativeNetwork(spec)
    if drive is not None:
        network.drive(drive)
    # Brian2 runs a step that has begun to its end.
    return replace(network.record(int(np.ceil(duration / spec.dt - 1e-4))), duration=duration)


def brian2_spike_train(spec: NetworkSpec, duration: float, *, drive: Drive | None = None) -> SpikeTrain:
    """Run a network by Brian2; see `simulated_spike_train`.

    Notes
    -----
    Brian2: Stimberg et al. 2019, doi:10.7554/eLife.47314.

    Examples
    --------
    >>> from lnpbrian.models import uncoupled
    >>> brian2_spike_train(uncoupled([20] * ms, bias=2.0), 0.02)
    SpikeTrain(1 spikes of 1 neurons in 0.02 s)
    """
    live = RecurrentNetwork(spec, plastic=False)
    parts = [] if spec.spike_timing == "grid" else ["overshoot", "advance"]
    monitor = SpikeMonitor(live.neurons, variables=parts or None, when="after_resets", name="lnpbrian_spike_train")
    live.network.add(monitor)
    if drive is not None:
        live.network.add(drive_operation(live.neurons, drive))
    live.run(duration * second)
    times = np.array(monitor.t_[:]) + spec.dt
    for part in parts:
        times -= getattr(monitor, f"{part}_")[:]
    order = np.argsort(times, kind="stable")
    return SpikeTrain(np.array(monitor.i[:])[order], times[order], spec.n_neurons, duration)


def spike_train(spec: NetworkSpec, duration: float, *, drive: Drive | None = None) -> SpikeTrain:
    """Run a network as cheaply as its tangent dynamics allow, and return its spikes.

    Parameters are those of `exact_spike_train`. A network with spikes on the time grid runs from event to event: slopes
    at the threshold are needed, and on the grid many are not those of a crossing. With spikes between grid points, or
    with delays, it runs with its own step and spike timing.

    Notes
    -----
    From event to event: Brette 2007, doi:10.1162/neco.2007.19.10.2604.

    Examples
    --------
    >>> from lnpbrian.models import uncoupled
    >>> spike_train(uncoupled([20] * ms, bias=2.0), 0.02)
    SpikeTrain(1 spikes of 1 neurons in 0.02 s)
    """
    if spec.spike_timing == "grid" and (spec.delays is None or not spec.delays.any()):
        return exact_spike_train(spec, duration, drive=drive)
    return simulated_spike_train(spec, duration, drive=drive)


def mean_rates(spec: NetworkSpec, length: float, *, settle: float, drive: Drive | None = None) -> np.ndarray:
    """Run a network and return its rates in Hz, shape (N,), 0 of its silent neurons.

    Parameters
    ----------
    spec : NetworkSpec
        It starts from its initial potentials.
    length, settle : float
        Time over which spikes are counted, and time before it, in seconds.
    drive : Drive, optional
        Of all N neurons.

    Examples
    --------
    >>> from lnpbrian.models import uncoupled
    >>> mean_rates(uncoupled([20, 20] * ms, bias=[2.0, 0.5]), 0.1, settle=0.02).round(6).tolist()
    [60.0, 0.0]
    """
    rates = np.zeros(spec.n_neurons)
    own = None if drive is None else drive.of_neurons(spec.alive)
    rates[spec.alive] = simulated_spike_train(spec.compacted(), settle + length, drive=own).after(settle).rates
    return rates
