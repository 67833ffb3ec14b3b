"""What goes into a network and what comes out of it: frozen currents that drive it, and its spikes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from brian2 import NetworkOperation, NeuronGroup, Quantity, SpikeMonitor, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = ["Drive", "SpikeTrain", "drive_operation", "interval_cv", "noise_drive", "spike_counter"]


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

    Notes
    -----
    Frozen input, the same again and again: Mainen and Sejnowski 1995, doi:10.1126/science.7770778.

    Examples
    --------
    >>> Drive(np.array([[0.5, 1.0], [0.0, 0.0], [0.5, 1.0]]), hold=0.01)
    Drive(2 neurons, 0.03 s in steps of 10 ms)
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

    Notes
    -----
    Exponents of spiking networks under one frozen drive: Lajoie, Lin and Shea-Brown 2013,
    doi:10.1103/PhysRevE.87.052901.

    Examples
    --------
    >>> noise_drive(3, duration=12*ms, rng=np.random.default_rng(0)).values.shape
    (3, 3)
    """
    n_neurons = checks.count("n_neurons", n_neurons)
    sigma = checks.real("standard_deviation", standard_deviation, at_least=0)
    step = checks.seconds("hold", hold)
    checks.generator("rng", rng)
    n_steps = int(np.ceil(round(checks.seconds("duration", duration) / step, 9)))
    return Drive(sigma * rng.standard_normal((n_steps, n_neurons)), step)


def drive_operation(neurons: NeuronGroup, drive: Drive, *, copies: int = 1) -> NetworkOperation:
    """Return the operation that writes `drive` to ``neurons.I_ext`` from the present time on, to each of `copies`.

    Parameters
    ----------
    neurons : brian2.NeuronGroup
        Has the variable ``I_ext``; copy b owns neurons b N .. (b + 1) N - 1.
    drive : Drive
        Of N neurons; past its end it starts over.
    copies : int

    Raises
    ------
    InvalidInput
        If N times `copies` is not the number of neurons.

    Examples
    --------
    >>> neurons = NeuronGroup(4, "I_ext : 1")
    >>> operation = drive_operation(neurons, Drive(np.array([[1.0, 2.0]]), hold=0.01), copies=2)
    >>> neurons.I_ext[:].tolist()
    [1.0, 2.0, 1.0, 2.0]
    """
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


@dataclass(frozen=True, repr=False)
class SpikeTrain:
    """Spikes of a network over a stated time, in order.

    Parameters
    ----------
    indices : ndarray of int, shape (n_spikes,)
        Neuron of each spike.
    times : ndarray, shape (n_spikes,)
        Time of each spike in seconds from the start of the run, not decreasing.
    n_neurons : int
        N.
    duration : float
        Length of the run in seconds.
    triggers : ndarray of int, shape (n_spikes,), optional
        The earlier spike that, directly or through others, lifted the potential over the threshold at that very
        instant; -1 where the potential crossed it by itself, as without delta synapses it always does.

    Examples
    --------
    >>> train = SpikeTrain(np.array([0, 2, 0]), np.array([0.1, 0.3, 0.4]), n_neurons=3, duration=0.5)
    >>> train.rates.tolist(), train.after(0.2).counts.tolist()
    ([4.0, 0.0, 2.0], [1, 0, 1])
    """

    indices: np.ndarray
    times: np.ndarray
    n_neurons: int
    duration: float
    triggers: np.ndarray = field(default=None)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        if self.triggers is None:
            object.__setattr__(self, "triggers", np.full(self.indices.size, -1))

    @property
    def counts(self) -> np.ndarray:
        """Number of spikes of each neuron, shape (N,)."""
        return np.bincount(self.indices, minlength=self.n_neurons)

    @property
    def rates(self) -> np.ndarray:
        """Firing rate of each neuron in Hz, shape (N,)."""
        return self.counts / self.duration

    def after(self, start: float) -> SpikeTrain:
        """Return the spikes after `start` seconds, with times from there."""
        late = self.times > start
        return SpikeTrain(self.indices[late], self.times[late] - start, self.n_neurons, self.duration - start)

    def __repr__(self) -> str:
        return f"SpikeTrain({self.indices.size} spikes of {self.n_neurons} neurons in {self.duration:g} s)"


def interval_cv(train: SpikeTrain) -> float:
    """Return the coefficient of variation of the intervals between spikes, mean over neurons.

    Parameters
    ----------
    train : SpikeTrain

    Returns
    -------
    float
        0 for clocks, 1 for Poisson processes; NaN where no neuron has three spikes.

    Notes
    -----
    Softky and Koch 1993, doi:10.1523/JNEUROSCI.13-01-00334.1993.

    Examples
    --------
    >>> times = np.array([0.1, 0.2, 0.4])
    >>> round(interval_cv(SpikeTrain(np.zeros(3, int), times, n_neurons=2, duration=0.5)), 6)
    0.333333
    """
    order = np.argsort(train.indices, kind="stable")
    who, intervals = train.indices[order][1:], np.diff(train.times[order])
    same = who == train.indices[order][:-1]
    who, intervals = who[same], intervals[same]
    number = np.bincount(who, minlength=train.n_neurons)
    enough = number >= 2
    if not enough.any():
        return float("nan")
    mean = np.bincount(who, weights=intervals, minlength=train.n_neurons)[enough] / number[enough]
    square = np.bincount(who, weights=intervals**2, minlength=train.n_neurons)[enough] / number[enough]
    # Spikes of one instant have no interval to vary.
    known = mean > 0
    return (
        float((np.sqrt(np.maximum(square - mean**2, 0))[known] / mean[known]).mean()) if known.any() else float("nan")
    )


def spike_counter(neurons: NeuronGroup) -> SpikeMonitor:
    """Return a monitor that counts spikes; one name for all, so that Brian2 compiles its code once.

    Examples
    --------
    >>> from lnpbrian.models import uncoupled
    >>> from lnpbrian.network import RecurrentNetwork
    >>> live = RecurrentNetwork(uncoupled([20] * ms, bias=2.0))
    >>> counter = spike_counter(live.neurons)
    >>> live.network.add(counter)
    >>> live.run(100 * ms)
    >>> counter.count[:].tolist()
    [6]
    """
    return SpikeMonitor(neurons, record=False, name=f"{neurons.name}_counter")
