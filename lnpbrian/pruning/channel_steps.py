"""The four steps on a spiking ResNet, as values, and the loop that calls them in turn.

What they read of data is told: without images they see independent noise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.depth import DepthExponents, depth_exponents, gradient_ratios, norm_excess
from lnpbrian.models.resnet import SpikingResNet, noise_images
from lnpbrian.options import Options, option, options
from lnpbrian.pruning.channels import CHANNEL_STRENGTHS, KERNELS, PER, noise_scores, sampled_masks
from lnpbrian.pruning.steps.laws import GammaLaw, Laws
from lnpbrian.pruning.steps.timescales import Measurement, SearchSpace, TimescaleOptimiser, spectrum_objective
from lnpbrian.streams import Streams

__all__ = [
    "CHANNEL_STEPS",
    "ChannelIteration",
    "ChannelNoise",
    "ChannelPotential",
    "ChannelStep",
    "DepthTimescales",
    "NormPreservation",
    "ResNetPruneResult",
    "prune_resnet",
]

# Noise images that scores, statistics and exponents are measured on.
IMAGES = 64
# Between which time constants, in steps, are kept.
SHORTEST, LONGEST = 0.5, 20.0
# Shape of the gamma law that equal time constants are taken to have, a coefficient of variation of 0.32.
SHAPE = 10.0
# A rate in spikes a step is told to the objective as one in Hz of steps of 1 ms.
STEPS_PER_SECOND = 1000.0


@dataclass(frozen=True)
class ChannelIteration:
    """What a step is told beside the network.

    Attributes
    ----------
    number, iterations : int
        This iteration, counted from 1, and how many there are.
    weights : int
        Weights that step I is to leave.
    channels : float
        Fraction of all channels that is to be left.
    images : array of float, shape (n, height, width, channels)
        What is looked at: images without labels, or noise.
    seen : str
        "noise" or "images".
    reference : DepthExponents or None
        Of the network as it came.
    streams : Streams

    Notes
    -----
    An iteration of arXiv 2403.03409, section B.2.
    """

    number: int
    iterations: int
    weights: int
    channels: float
    images: np.ndarray = field(repr=False)
    seen: str
    reference: DepthExponents | None
    streams: Streams

    def rng(self, name: str) -> np.random.Generator:
        """Return the random numbers of this iteration called `name`."""
        return self.streams.child(name).rng(self.number)


class ChannelStep(ABC):
    """Base of the steps: a frozen dataclass whose fields are its options.

    The paper's are in section B.2 of arXiv 2403.03409.
    """

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, network: SpikingResNet, now: ChannelIteration) -> tuple[SpikingResNet, dict[str, Any]]:
        """Return the changed network, and what is to be said of it as JSON types; the network comes calibrated."""


@options
class ChannelNoise(Options, ChannelStep):
    """Step I: keep the weights that a random draw by the noise covariance of the channels chooses.

    Notes
    -----
    `lnpbrian.pruning.channels.noise_scores`. In a network whose layers are fully connected all edges between two layers
    have the same neighbours, so that "lyapunov" is one number for both layers; "auto" is "lyapunov" for networks with
    random weights and "lyapunov*weight" for those to be converted, whose weights are trained.

    Step 1 of appendix B.2 of Chakraborty et al. (2024), arXiv 2403.03409.

    Examples
    --------
    >>> ChannelNoise(per="operation").name
    'I'
    """

    strength: str = option(
        default="auto", help="What makes a weight strong.", choices=("auto", *CHANNEL_STRENGTHS), flag="strength"
    )
    per: str = option(
        default="weight",
        help="Whether scores are divided by the operations that a weight causes.",
        choices=PER,
        flag="per",
    )
    kernel: str = option(
        default="sum",
        help="How strengths of weights make that of an edge between channels.",
        choices=KERNELS,
        flag="kernel",
    )

    name: ClassVar[str] = "I"

    def __call__(self, network: SpikingResNet, now: ChannelIteration) -> tuple[SpikingResNet, dict[str, Any]]:
        """Keep ``now.weights`` weights."""
        strength = self.strength
        if strength == "auto":
            strength = "lyapunov*weight" if network.neuron == "qcfs" else "lyapunov"
        exponents = None if strength == "weight" else depth_exponents(network, now.images, rng=now.rng("exponents"))
        meetings = None
        if self.per == "operation":
            if network.neuron == "qcfs":
                raise InvalidInput("per='operation' needs spikes, which networks to be converted do not have yet")
            meetings = network.meetings(now.images)
        scores = noise_scores(network, strength=strength, kernel=self.kernel, exponents=exponents, meetings=meetings)
        possible = sum(int((s > 0).sum()) for s in scores.values())
        masks, p = sampled_masks(scores, min(now.weights, possible), rng=now.rng("weights"))
        within = [s[s > 0].std() / s[s > 0].mean() for s in scores.values() if (s > 0).any()]
        told = {
            "strength": strength,
            "per": self.per,
            "kernel": self.kernel,
            "weights": sum(int(m.sum()) for m in masks.values()),
            # How much scores say about weights of one connection.
            "variation_within_connections": float(np.median(within)),
            "densities": {name: float(masks[name].mean()) for name in masks},
            "sure": float(np.mean(np.concatenate([(q == 1).ravel() for q in p.values()]))),
        }
        return network.with_masks(masks), told


@options
class ChannelPotential(Options, ChannelStep):
    """Step II: remove the channels whose membrane potentials are smallest.

    Notes
    -----
    The score of a channel is the mean of |V| before the reset over images, steps and positions, in units of the mean of
    its layer; channels that identity skips join are one, with the mean of their scores, and go together. Appendix B.2
    of arXiv 2403.03409. Behind batch normalisation all channels look alike on noise: `spread` in the record says by how
    much they differ.

    Examples
    --------
    >>> ChannelPotential().name
    'II'
    """

    name: ClassVar[str] = "II"

    def __call__(self, network: SpikingResNet, now: ChannelIteration) -> tuple[SpikingResNet, dict[str, Any]]:
        """Leave the fraction ``now.channels`` of the channels of every stream, at least one."""
        net, scores = network.architecture, network.potentials(now.images)
        spread = float(np.median([s[network.alive[a]].std() / s[network.alive[a]].mean() for a, s in scores.items()]))
        alive: dict[str, np.ndarray] = {}
        for stream in net.streams():
            living = network.alive[stream[0]]
            score = np.mean([scores[a] / scores[a][network.alive[a]].mean() for a in stream], axis=0)
            left = max(1, min(round(now.channels * living.size), int(living.sum())))
            best = np.argsort(np.where(living, -score, np.inf), kind="stable")[:left]
            keep = np.isin(np.arange(living.size), best)
            alive |= dict.fromkeys(stream, keep)
        made = network.without_channels(alive)
        return made, {"spread": spread, "channels": int(sum(a.sum() for a in made.alive.values())), "seen": now.seen}


@options
class NormPreservation(Options, ChannelStep):
    """Step III: add shortcuts that keep the norm of gradients.

    Notes
    -----
    Greedily the shortcut without parameters (subsampled, padded with zeros) that lowers ``Phi = sum (ln g)^2`` most, g
    the ratio of gradient norms before and behind a block (`lnpbrian.lyapunov.depth.gradient_ratios`), as long as one
    does. They lead from spikes to spikes: addition before the neurons would not be an identity. A neuron then sends a
    number, and costs as many operations. Fang et al. 2021, arXiv 2102.04159.

    Examples
    --------
    >>> NormPreservation(most=2).name
    'III'
    """

    most: int = option(default=1, help="Shortcuts that an iteration adds at most.", minimum=0, flag="shortcuts")
    gain: float = option(default=0.02, help="Part of Phi that a shortcut must take away.", at_least=0)

    name: ClassVar[str] = "III"

    def __call__(self, network: SpikingResNet, now: ChannelIteration) -> tuple[SpikingResNet, dict[str, Any]]:
        """Add the shortcuts."""
        outer = network.architecture.outer
        there = {*network.shortcuts}
        candidates = tuple(pair for pair in combinations(outer, 2) if pair not in there)
        gates = np.zeros(len(candidates))

        def measured(gates: np.ndarray) -> np.ndarray:
            # The same cotangents for all, so that they are compared and not the draw.
            rng = now.rng("cotangents")
            return gradient_ratios(network, now.images, rng=rng, candidates=candidates, gates=gates.tolist())

        before = measured(gates)
        phi = [norm_excess(before)]
        added: list[tuple[str, str]] = []
        for _ in range(self.most):
            tried = [
                norm_excess(measured(gates + np.eye(len(candidates))[k])) if not gates[k] else np.inf
                for k in range(len(candidates))
            ]
            best = int(np.nanargmin(tried)) if tried else -1
            if best < 0 or not tried[best] < (1 - self.gain) * phi[-1]:
                break
            gates[best] = 1.0
            added.append(candidates[best])
            phi.append(tried[best])
        told = {
            "log_ratios": before.tolist(),
            "phi_before": phi[0],
            "phi_after": phi[-1],
            "added": [f"{a} -> {b}" for a, b in added],
        }
        return replace(network, shortcuts=(*network.shortcuts, *added)), told


@options
class DepthTimescales(Options, ChannelStep):
    """Step IV: give each stage a law of time constants that brings back the depth exponents of the unpruned network.

    Notes
    -----
    A gamma law with a mean and a shape per stage; each channel keeps its quantile. `TimescaleOptimiser` minimises the
    Wasserstein-2 distance of the sorted depth exponents plus the drift of the rate; the present time constants stay if
    nothing tried is better.

    Step 4 of appendix B.2 of Chakraborty et al. (2024), arXiv 2403.03409, which looks at the Lyapunov spectrum.

    Examples
    --------
    >>> DepthTimescales(evaluations=20).name
    'IV'
    """

    evaluations: int = option(default=16, help="Laws that are tried.", minimum=2, flag="evaluations")
    mean: float = option(default=2.0, help="Factor by which means are searched, up and down.", above=1)
    shape: float = option(default=2.0, help="The same for shapes.", at_least=1)

    name: ClassVar[str] = "IV"

    def __call__(self, network: SpikingResNet, now: ChannelIteration) -> tuple[SpikingResNet, dict[str, Any]]:
        """Search, and give the channels the best time constants."""
        if network.neuron != "lif":
            raise InvalidInput(f"step IV needs neurons with a leak, got {network.neuron!r}; leave it out")
        if now.reference is None:
            raise InvalidInput("step IV needs the exponents of the network as it came")
        stages = _stages(network)
        u = {
            layer: (now.streams.child("quantiles").rng(layer).permutation(tau.size) + 0.5) / tau.size
            for layer, tau in network.time_constants.items()
        }
        start = [np.concatenate([network.time_constants[a] for a in layers]) for layers in stages]
        laws = Laws(tuple(GammaLaw(_shape(tau), float(tau.mean())) for tau in start))
        target = _measurement(network, now.reference)

        def with_laws(laws: Laws) -> SpikingResNet:
            made = {
                layer: np.clip(law.quantile(_ranked(network.time_constants[layer], u[layer])), SHORTEST, LONGEST)
                for law, layers in zip(laws.time_constants, stages, strict=True)
                for layer in layers
            }
            return replace(network, time_constants=made)

        def value(candidate: SpikingResNet) -> float:
            found = depth_exponents(candidate, now.images, rng=now.streams.rng("reference"))
            # Growth across layers is no instability, so that a positive exponent costs nothing.
            return spectrum_objective(_measurement(candidate, found), target, positive_weight=0).value

        optimiser = TimescaleOptimiser(
            SearchSpace.around(laws, mean=self.mean, shape=self.shape), rng=now.rng("laws"), initial=8
        )
        before = value(network)
        for _ in range(self.evaluations):
            asked = optimiser.ask()
            optimiser.tell(asked, value(with_laws(asked)))
        best = optimiser.best
        told = {"before": before, "after": min(before, best.value), "evaluations": self.evaluations}
        if best.value >= before:
            return network, told | {"means": None}
        return with_laws(best.laws), told | {"means": [law.mean for law in best.laws.time_constants]}


def _stages(network: SpikingResNet) -> list[list[str]]:
    """Return the layers of each stage, those with maps of one size and as many channels."""
    net = network.architecture
    found: dict[tuple[int, int], list[str]] = {}
    for layer, n, side in zip(net.layers, net.channels, net.maps, strict=True):
        found.setdefault((n, side), []).append(layer)
    return list(found.values())


def _shape(tau: np.ndarray) -> float:
    spread = float(tau.var())
    return min(SHAPE, float(tau.mean()) ** 2 / spread) if spread > 1e-12 else SHAPE


def _ranked(tau: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return the quantile of each value by its rank; equal values take those of `u`, drawn in turn."""
    order = np.lexsort((u, tau))
    ranked = np.empty(tau.size)
    ranked[order] = (np.arange(tau.size) + 0.5) / tau.size
    return ranked


def _measurement(network: SpikingResNet, found: DepthExponents) -> Measurement:
    values = np.concatenate([found.by_layer[a][network.alive[a]] for a in network.architecture.layers])
    return Measurement(values, STEPS_PER_SECOND * found.rate)


CHANNEL_STEPS: dict[str, type[ChannelStep]] = {
    step.name: step for step in (ChannelNoise, ChannelPotential, NormPreservation, DepthTimescales)
}


@dataclass(frozen=True)
class ResNetPruneResult:
    """A pruned spiking ResNet.

    Attributes
    ----------
    network : SpikingResNet
        Calibrated on what was looked at.
    history : list of dict
        One an iteration: what each step said, and sparsities.
    seen : str
        "noise", or "images" without labels.

    Notes
    -----
    The method is that of appendix B.2 of Chakraborty et al. (2024), arXiv 2403.03409; `prune_resnet` makes one.
    """

    network: SpikingResNet
    history: list[dict[str, Any]] = field(repr=False)
    seen: str


def prune_resnet(
    network: SpikingResNet,
    steps: Sequence[ChannelStep | str] = ("I", "II", "III", "IV"),
    *,
    weight_sparsity: float = 0.9432,
    channel_sparsity: float = 0.0,
    iterations: int = 1,
    images: object = None,
    seed: int = 0,
    report: Callable[[float, str], None] | None = None,
) -> ResNetPruneResult:
    """Prune a spiking ResNet by the four steps.

    Parameters
    ----------
    network : SpikingResNet
        With random weights, or trained and to be converted; not converted yet.
    steps : sequence of ChannelStep, or of {"I", "II", "III", "IV"}
        In the order in which they are called. For networks to be converted, leave out "IV": their neurons have no leak.
    weight_sparsity, channel_sparsity : float, in [0, 1)
        Fractions that are removed of weights between neurons and of channels: the paper's 90.48 % of the channels and
        94.32 % of the weights exclude each other, since 9.52 % of the channels have at most 0.91 % of the weights.
    iterations : int
        In which the same fraction goes each time.
    images : array of float, shape (n, height, width, channels), optional
        Looked at without labels; independent noise by default, so that nothing of a task is seen.
    seed : int
    report : callable, optional
        Called with the completed fraction and the step.

    Returns
    -------
    ResNetPruneResult

    Raises
    ------
    InvalidInput
        If a step or a number is not one of those above.

    Notes
    -----
    Appendix B.2 of Chakraborty et al. (2024), arXiv 2403.03409. Batch statistics are measured before every step.

    Examples
    --------
    >>> net = SpikingResNet.random(width=1/16, shape=(8, 8, 1), steps=2)
    >>> prune_resnet(net, ("I",), weight_sparsity=0.9).network.kept
    1882
    """
    if isinstance(steps, str) or not steps:
        raise InvalidInput(f"steps must be a sequence such as ('I', 'II'), got {steps!r}")
    chosen = [CHANNEL_STEPS[checks.choice("steps", s, CHANNEL_STEPS)]() if isinstance(s, str) else s for s in steps]
    if network.neuron == "if":
        raise InvalidInput("a converted network has no derivatives; prune it before conversion")
    kept = 1 - checks.real("weight_sparsity", weight_sparsity, at_least=0, below=1)
    living = 1 - checks.real("channel_sparsity", channel_sparsity, at_least=0, below=1)
    rounds, streams = checks.count("iterations", iterations), Streams(seed).child("resnet pruning")
    if images is None:
        seen, x = "noise", noise_images(IMAGES, network.shape, rng=streams.rng("noise"))
    else:
        seen, x = "images", checks.array("images", images, shape=(None, *network.shape))
    target = max(1, round(kept * network.prunable))
    if target > network.kept:
        raise InvalidInput(f"weight_sparsity would leave {target} weights, there are {network.kept}")
    counts = np.geomspace(network.kept, target, rounds + 1)[1:].round().astype(int)
    start = sum(int(a.sum()) for a in network.alive.values()) / sum(network.architecture.channels)
    fractions = np.geomspace(start, min(living, start), rounds + 1)
    network = network.calibrate(x)
    reference = None
    if any(step.name == "IV" for step in chosen):
        reference = depth_exponents(network, x, rng=streams.rng("reference"))
    history = []
    for k in range(rounds):
        record: dict[str, Any] = {"iteration": k + 1}
        # Channels that go after step I take their weights along, of both ends.
        names = [step.name for step in chosen]
        later = "II" in names and "I" in names and names.index("II") > names.index("I")
        extra = (fractions[k] / fractions[k + 1]) ** 2 if later else 1.0
        now = ChannelIteration(
            number=k + 1,
            iterations=rounds,
            weights=min(network.kept, round(counts[k] * extra)),
            channels=float(fractions[k + 1]),
            images=x,
            seen=seen,
            reference=reference,
            streams=streams,
        )
        for m, step in enumerate(chosen):
            if report is not None:
                report((k + m / len(chosen)) / rounds, f"step {step.name}")
            network, record[step.name] = step(network, now)
            network = network.calibrate(x)
        history.append(record | {"sparsity": network.sparsity()})
    if report is not None:
        report(1.0, "pruned")
    return ResNetPruneResult(network, history, seen)
