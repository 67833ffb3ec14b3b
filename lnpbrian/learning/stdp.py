"""Unsupervised training: recurrent weights learn by spike-timing-dependent plasticity while a series is shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from brian2 import Quantity, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.encoding import Encoder, require_fit, show_samples
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.spec import NetworkSpec

__all__ = ["STDPResult", "train_stdp"]


@dataclass(frozen=True, repr=False)
class STDPResult:
    """A network after its unsupervised phase.

    Attributes
    ----------
    spec : NetworkSpec
        The network with its new weights; everything else is as it was.
    rate_first, rate_last : float
        Mean rate in Hz over the surviving neurons in the first and the last fifth of the samples.
    mean_change : float
        Mean of |new weight - old weight| over that of |old weight|.
    seconds : float
        Wall-clock time.

    Notes
    -----
    The training of arXiv 2403.03409, section 4.2, without labels; `train_stdp` makes one.
    """

    spec: NetworkSpec
    rate_first: float
    rate_last: float
    mean_change: float
    seconds: float

    def __repr__(self) -> str:
        return (
            f"STDPResult(weights changed by {100 * self.mean_change:.1f} %, rate {self.rate_first:.1f} -> "
            f"{self.rate_last:.1f} Hz)"
        )


def train_stdp(
    spec: NetworkSpec,
    encoder: Encoder,
    samples: np.ndarray,
    *,
    sample_time: Quantity,
    rng: np.random.Generator,
    report: Callable[[float], None] | None = None,
) -> STDPResult:
    """Show samples to a plastic network, and return it with the weights that it has learnt.

    Parameters
    ----------
    spec : NetworkSpec
        A network with constants of plasticity; weights change, the set of synapses does not.
    encoder : Encoder
        Input of its N neurons.
    samples : ndarray, shape (T, D)
        z-scored samples in a row, at least five.
    sample_time : Quantity
        How long each is shown.
    rng : numpy.random.Generator
        Source of the encoder's randomness.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    STDPResult

    Raises
    ------
    InvalidInput
        If the network has no constants of plasticity or precise spikes, there are too few samples, the encoder is for
        other numbers of neurons or dimensions, or the sample time is not a whole number of steps.

    Notes
    -----
    How weights change: `lnpbrian.network.spec.STDP`, after Song et al. 2000 (doi:10.1038/78829). The unsupervised phase
    precedes the fit of a readout (arXiv 2403.03409, section 4.2), during which weights are fixed.

    Examples
    --------
    Without synapses there is nothing to learn:

    >>> from brian2 import ms
    >>> from lnpbrian.learning import CurrentEncoder
    >>> from lnpbrian.network.spec import STDP
    >>> n = np.zeros(2)
    >>> rule = STDP(*[np.zeros(0)] * 4, w_min=0.0, w_max=1.0)
    >>> spec = NetworkSpec("pair", n + 0.02, n, n, n, n, n + 1, *[n[:0]] * 3, 0.005, 0.002, 0.001, plasticity=rule)
    >>> encoder = CurrentEncoder.draw(2, 1, rng=np.random.default_rng(0))
    >>> train_stdp(spec, encoder, np.zeros((5, 1)), sample_time=10 * ms, rng=np.random.default_rng(1))
    STDPResult(weights changed by 0.0 %, rate 0.0 -> 0.0 Hz)
    """
    if spec.plasticity is None:
        raise InvalidInput("the network has no constants of plasticity; build the model with plastic=True")
    z = checks.array("samples", samples, shape=(None, None))
    if len(z) < 5:
        raise InvalidInput(f"STDP needs at least five samples, got {len(z)}")
    checks.generator("rng", rng)
    require_fit(encoder, spec.n_neurons, z.shape[1])
    checks.steps("sample_time", sample_time, spec.dt)
    hold = float(sample_time)
    start = time.perf_counter()
    live = RecurrentNetwork(spec)
    counts: list[int] = []

    def turn() -> None:
        counts.append(int(np.sum(spikes.count[:])))
        show(z[np.newaxis, len(counts) - 1])
        if report is not None:
            report(len(counts) / len(z))

    show, spikes = show_samples(encoder, live, turn, hold=hold, samples=len(z), rngs=[rng])
    live.run(len(z) * hold * second)
    counts.append(int(np.sum(spikes.count[:])))
    fifth = len(z) // 5
    scale = fifth * hold * max(spec.n_alive, 1)
    weights = np.array(live.synapses.w_[:])
    size = np.abs(spec.weights).mean() if spec.n_synapses else 1.0
    return STDPResult(
        spec=replace(spec, weights=weights),
        rate_first=counts[fifth] / scale,
        rate_last=(counts[-1] - counts[-1 - fifth]) / scale,
        mean_change=float(np.abs(weights - spec.weights).mean() / size) if spec.n_synapses else 0.0,
        seconds=time.perf_counter() - start,
    )
