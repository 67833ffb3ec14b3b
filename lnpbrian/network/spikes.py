"""The spikes of a network, whatever simulated it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["SpikeTrain"]


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
