"""Run a network under a frozen drive and say how active it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from brian2 import NetworkOperation, NeuronGroup, Quantity, SpikeMonitor, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.interrupts import Held
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.spec import NetworkSpec, RecurrentNetwork

__all__ = ["Activity", "Drive", "noise_drive", "observe", "require_active"]

RATE_RANGE_HZ = (5.0, 50.0)


@dataclass(frozen=True, repr=False)
class Drive:
    """A frozen external current, constant over steps of `hold`.

    Parameters
    ----------
    values : ndarray, shape (K, N)
        I_ext of every neuron in each of K steps, in units of the threshold.
    hold : float
        Length of a step in seconds.

    Raises
    ------
    InvalidInput
        If a value is not finite, there is none, or `hold` is not positive.
    """

    values: np.ndarray
    hold: float

    def __post_init__(self) -> None:
        if checks.array("values of a drive", self.values, shape=(None, None)).size == 0:
            raise InvalidInput("a drive needs at least one step and one neuron")
        checks.real("hold", self.hold, above=0)

    @property
    def duration(self) -> float:
        """Total length in seconds."""
        return len(self.values) * self.hold

    def __repr__(self) -> str:
        return f"Drive({self.values.shape[1]} neurons, {self.duration:g} s in steps of {1e3 * self.hold:g} ms)"

    def of_neurons(self, kept: np.ndarray) -> Drive:
        """Return the drive of the neurons in the mask `kept`."""
        return Drive(self.values[:, kept], self.hold)


def noise_drive(
    n_neurons: int,
    *,
    duration: Quantity,
    rng: np.random.Generator,
    standard_deviation: float = 0.3,
    hold: Quantity = 5 * ms,
) -> Drive:
    """Draw the noise drive: independent Gaussian currents of zero mean, constant over steps of `hold`.

    Parameters
    ----------
    n_neurons : int
        N.
    duration : Quantity
        Rounded up to whole steps.
    rng : numpy.random.Generator
        Source of the noise.
    standard_deviation : float
        In units of the threshold, at least 0.
    hold : Quantity
        Length of a step.

    Returns
    -------
    Drive

    Raises
    ------
    InvalidInput
        If a size, a time or the standard deviation is out of range.

    Examples
    --------
    >>> noise_drive(3, duration=12*ms, rng=np.random.default_rng(0)).values.shape
    (3, 3)
    """
    n_neurons = checks.count("n_neurons", n_neurons)
    sigma = checks.real("standard_deviation", standard_deviation, at_least=0)
    step = checks.seconds("hold", hold)
    n_steps = int(np.ceil(round(checks.seconds("duration", duration) / step, 9)))
    return Drive(sigma * rng.standard_normal((n_steps, n_neurons)), step)


def drive_operation(neurons: NeuronGroup, drive: Drive, *, copies: int = 1) -> NetworkOperation:
    """Return the operation that writes `drive` to ``neurons.I_ext`` from the present time on, to each of `copies`."""
    if drive.values.shape[1] * copies != len(neurons):
        raise InvalidInput(
            f"a drive for {drive.values.shape[1]} neurons in {copies} copies does not fit {len(neurons)} neurons"
        )
    now, current = neurons.variables["t"], neurons.variables["I_ext"]
    start = now.get_value().item()

    def write() -> None:
        # Past its end the drive starts over; 1e-6 of a step absorbs the rounding of t.
        step = int((now.get_value().item() - start) / drive.hold + 1e-6) % len(drive.values)
        current.get_value().reshape(copies, -1)[:] = drive.values[step]

    # A start between two steps of `hold` is before the operation's first tick.
    write()
    return NetworkOperation(write, dt=drive.hold * second, when="start", name=f"{neurons.name}_drive")


def spike_counter(neurons: NeuronGroup) -> SpikeMonitor:
    """Return a monitor that counts spikes; one name for all, so that Brian2 compiles its code once."""
    return SpikeMonitor(neurons, record=False, name=f"{neurons.name}_counter")


@dataclass(frozen=True, repr=False)
class Activity:
    """Spikes of a network over a stated time.

    Parameters
    ----------
    indices : ndarray of int, shape (n_spikes,)
        Neuron of each spike.
    times : ndarray, shape (n_spikes,)
        Time of each spike in seconds from the start of the observation.
    n_neurons : int
        N.
    duration : float
        Observed time in seconds.
    """

    indices: np.ndarray
    times: np.ndarray
    n_neurons: int
    duration: float

    @property
    def counts(self) -> np.ndarray:
        """Number of spikes of each neuron, shape (N,)."""
        return np.bincount(self.indices, minlength=self.n_neurons)

    @property
    def rates(self) -> np.ndarray:
        """Firing rate of each neuron in Hz, shape (N,)."""
        return self.counts / self.duration

    def __repr__(self) -> str:
        return f"Activity({self.indices.size} spikes of {self.n_neurons} neurons in {self.duration:g} s)"


def observe(
    live: LiveNetwork,
    duration: Quantity,
    *,
    drive: Drive | None = None,
    report: Callable[..., None] | None = None,
) -> Activity:
    """Run `live` for `duration`, under `drive` if one is given, and return its spikes.

    The network goes on from where it is, and stays where the run ends. `report` is called as Brian2 calls its own
    progress reporters: ``report(elapsed, completed, start, duration)``.
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
    return Activity(indices[order], times[order], live.n_neurons, length)


def require_active(
    spec: NetworkSpec,
    drive: Drive,
    *,
    allowed: tuple[float, float] = RATE_RANGE_HZ,
    settle: Quantity = 100 * ms,
) -> Activity:
    """Run a fresh copy of `spec` under `drive`, and refuse a network whose mean rate is out of bounds.

    Parameters
    ----------
    spec : NetworkSpec
        The network; silent neurons do not count.
    drive : Drive
        Frozen drive; it is observed once, after `settle`.
    allowed : (float, float)
        Bounds of the mean rate in Hz.
    settle : Quantity
        Time before the observation.

    Returns
    -------
    Activity

    Raises
    ------
    InvalidInput
        If the mean rate is below or above `allowed`; the message names the knob to turn.
    """
    live = RecurrentNetwork(spec, plastic=False)
    observe(live, settle, drive=drive)
    activity = observe(live, drive.duration * second, drive=drive)
    rate, (low, high) = float(activity.rates[spec.alive].mean()), allowed
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
