"""Spiking ResNets from start to table: a dense network, one that a method has pruned, and what each scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.learning import image_task
from lnpbrian.learning.vision.conversion import convert
from lnpbrian.learning.vision.resnet_training import (
    ResNetTraining,
    ResNetTrainingOptions,
    evaluate_resnet,
    train_resnet,
)
from lnpbrian.models.resnet import LAYOUTS, SpikingResNet, noise_images
from lnpbrian.options import Options, option, options
from lnpbrian.pruning.channel_steps import CHANNEL_STEPS, ChannelNoise, ChannelStep, prune_resnet
from lnpbrian.pruning.channels import (
    CHANNEL_STRENGTHS,
    KERNELS,
    PER,
    erk_masks,
    iterative_magnitude_masks,
    magnitude_masks,
    uniform_masks,
)
from lnpbrian.streams import Streams

__all__ = ["METHODS", "STARTS", "ImageArrays", "ResNetJob", "image_arrays"]

METHODS = ("lnp", "imp", "erk", "magnitude", "uniform")
STARTS = ("random", "converted")
# Test images on which operations are counted.
COUNTED = 256
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class ImageArrays:
    """Images in 0..1, (n, side, side, channels), and labels, to train and to test with.

    `mirrored` says whether an image and its mirror image are of the same kind.
    """

    name: str
    x_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    x_test: np.ndarray = field(repr=False)
    y_test: np.ndarray = field(repr=False)
    mirrored: bool = True

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(max(self.y_train.max(), self.y_test.max())) + 1

    def of_classes(self, classes: range) -> ImageArrays:
        """Return the images of some classes, numbered from 0."""
        train, test = (np.isin(y, classes) for y in (self.y_train, self.y_test))
        return replace(
            self,
            name=f"{self.name}, classes {classes[0]} to {classes[-1]}",
            x_train=self.x_train[train],
            y_train=self.y_train[train] - classes[0],
            x_test=self.x_test[test],
            y_test=self.y_test[test] - classes[0],
        )


def image_arrays(
    name: str = "digits", data: str | os.PathLike[str] | None = None, *, size: int = 32, most: int | None = None
) -> ImageArrays:
    """Return the images of a task.

    Parameters
    ----------
    name, data
        As for `lnpbrian.learning.image_task`.
    size : int
        Pixels of a side, at most: squares of 2 x 2, 3 x 3, ... pixels of larger images are averaged.
    most : int, optional
        Training and test images that are used at most.

    Returns
    -------
    ImageArrays

    Raises
    ------
    InvalidInput
        As `lnpbrian.learning.image_task`.

    Examples
    --------
    >>> image_arrays(most=500).x_train.shape
    (500, 8, 8, 1)
    """
    task = image_task(name, data)
    # They lie in a random order.
    x_train, x_test = (_smaller(task.intensities(x[:most]), size) for x in (task.x_train, task.x_test))
    mirrored = name not in ("digits", "mnist")
    return ImageArrays(name, x_train, task.y_train[:most], x_test, task.y_test[:most], mirrored=mirrored)


def _smaller(x: np.ndarray, size: int) -> np.ndarray:
    factor = -(-x.shape[1] // size)
    side = x.shape[1] // factor * factor
    n = side // factor
    return x[:, :side, :side].reshape(len(x), n, factor, n, factor, -1).mean((2, 4)).astype(np.float32)


@options
class ResNetJob(Options):
    """A spiking ResNet: which, how it is pruned, and how it is trained.

    Notes
    -----
    Steps are those of appendix B.2 of Chakraborty et al. (2024), arXiv 2403.03409.

    Examples
    --------
    >>> ResNetJob(method="erk").weight_sparsity
    0.95
    """

    layout: str = option(default="resnet8", help="Layers.", choices=LAYOUTS, flag="layout")
    width: float = option(default=0.25, help="Factor of 64, 128, 256, 512 channels.", above=0, flag="width")
    steps: int = option(default=4, help="Time steps an image is shown.", flag="time-steps")
    start: str = option(
        default="random",
        help="Random weights, pruned and then trained; or a network of quantised activations, trained, pruned, trained "
        "on for some epochs and converted.",
        choices=STARTS,
        flag="start",
    )
    method: str = option(default="lnp", help="How it is pruned.", choices=METHODS, flag="method")
    weight_sparsity: float = option(
        default=0.95, help="Fraction of the weights between neurons that goes.", at_least=0, below=1, flag="sparsity"
    )
    channel_sparsity: float = option(
        default=0.0, help="Fraction of the channels that step II removes.", at_least=0, below=1, flag="channel-sparsity"
    )
    pruning: tuple[str, ...] = option(default=("I",), help="Steps of LNP.")
    strength: str = option(
        default="auto", help="Of a weight, in step I.", choices=("auto", *CHANNEL_STRENGTHS), flag="strength"
    )
    per: str = option(
        default="weight", help="What a score of step I, or a density of ERK, is of.", choices=PER, flag="per"
    )
    kernel: str = option(
        default="sum", help="Strength of an edge, of those of its weights.", choices=KERNELS, flag="kernel"
    )
    rounds: int = option(default=5, help="Rounds of iterative magnitude pruning.", flag="rounds")
    converted_steps: int = option(default=8, help="Time steps of the converted network.", flag="converted-steps")
    fine_tuning: int = option(
        default=3, help="Epochs that a pruned network to be converted is trained on.", minimum=0, flag="fine-tuning"
    )
    seed: int = option(default=0, help="Of everything random.", minimum=0, flag="seed")
    training: ResNetTrainingOptions = option(default=ResNetTrainingOptions())

    def check_together(self) -> None:
        """Refuse steps that are none, and what networks to be converted cannot do."""
        if not self.pruning:
            raise InvalidInput("steps must name at least one of I, II, III, IV")
        for name in self.pruning:
            checks.choice("steps", name, CHANNEL_STEPS)
        if self.start == "converted" and ("IV" in self.pruning or self.per == "operation"):
            raise InvalidInput("networks to be converted have no leak and no spikes yet: leave out step IV and --per")

    def noise(self, network: SpikingResNet) -> np.ndarray:
        """Return the noise images on which operations are counted without a look at others."""
        return noise_images(64, network.shape, rng=Streams(self.seed).rng("noise"))

    def meetings_on_noise(self, network: SpikingResNet) -> dict[str, np.ndarray]:
        """Return `SpikingResNet.meetings` on noise, of the network calibrated there."""
        noise = self.noise(network)
        return network.calibrate(noise).meetings(noise)

    def network(self, task: ImageArrays) -> SpikingResNet:
        """Return the dense network, with random weights."""
        return SpikingResNet.random(
            layout=self.layout,
            width=self.width,
            shape=task.x_train.shape[1:],
            classes=task.classes,
            steps=self.steps,
            neuron="lif" if self.start == "random" else "qcfs",
            seed=self.seed,
        )

    def train(
        self,
        network: SpikingResNet,
        task: ImageArrays,
        *,
        epochs: int | None = None,
        part: float = 1.0,
        checkpoint: Path | None = None,
        report: Report | None = None,
    ) -> ResNetTraining:
        """Train a network; `epochs` and the part of the step size are others than those of the job for fine tuning."""
        chosen = replace(
            self.training,
            flip=self.training.flip and task.mirrored,
            epochs=epochs or self.training.epochs,
            learning_rate=part * self.training.learning_rate,
        )
        return train_resnet(
            network,
            task.x_train,
            task.y_train,
            options=chosen,
            seed=self.seed,
            checkpoint=checkpoint,
            report=report,
        )

    @property
    def lnp_steps(self) -> tuple[ChannelStep, ...]:
        """The steps of LNP with the options of the job."""
        noise = ChannelNoise(strength=self.strength, per=self.per, kernel=self.kernel)
        return tuple(noise if name == "I" else CHANNEL_STEPS[name]() for name in self.pruning)

    def prune(
        self,
        network: SpikingResNet,
        task: ImageArrays,
        *,
        trained: SpikingResNet | None = None,
        folder: Path | None = None,
        report: Report | None = None,
    ) -> tuple[SpikingResNet, dict[str, Any]]:
        """Return the pruned network, to be trained, and what was told.

        Parameters
        ----------
        network : SpikingResNet
            Random, or trained if it is to be converted.
        task : ImageArrays
            Seen by "imp" only; "magnitude" sees it through `trained`.
        trained : SpikingResNet, optional
            The dense network after training: of "magnitude" the one whose weights decide.
        folder : path, optional
            For the checkpoints of the rounds.
        report : callable, optional
        """
        count = max(1, round((1 - self.weight_sparsity) * network.prunable))
        rng = Streams(self.seed).child("masks").rng(self.method)
        if self.method == "lnp":
            result = prune_resnet(
                network,
                self.lnp_steps,
                weight_sparsity=self.weight_sparsity,
                channel_sparsity=self.channel_sparsity,
                seed=self.seed,
                report=report,
            )
            return result.network, {"history": result.history, "seen": result.seen}
        if self.method == "imp":

            def round_of(net: SpikingResNet, number: int) -> tuple[SpikingResNet, SpikingResNet]:
                path = None if folder is None else folder / f"round{number + 1}.npz"

                def told(fraction: float, what: str) -> None:
                    if report is not None:
                        report((number + fraction) / self.rounds, f"round {number + 1} of {self.rounds}, {what}")

                made = self.train(net, task, checkpoint=path, report=told)
                return made.early, made.network

            return iterative_magnitude_masks(network, count, train=round_of, rounds=self.rounds), {"seen": "labels"}
        if self.method == "magnitude":
            if trained is None:
                raise InvalidInput("magnitude needs the dense network after training")
            return network.with_masks(magnitude_masks(trained, count)), {"seen": "labels"}
        if self.method == "uniform":
            return network.with_masks(uniform_masks(network, count, rng=rng)), {"seen": "nothing"}
        met = self.meetings_on_noise(network) if self.per == "operation" else None
        return network.with_masks(erk_masks(network, count, rng=rng, meetings=met)), {"seen": "nothing"}

    def finished(
        self,
        network: SpikingResNet,
        task: ImageArrays,
        *,
        checkpoint: Path | None = None,
        report: Report | None = None,
    ) -> tuple[SpikingResNet, dict[str, Any]]:
        """Train a pruned network, convert it if it is to be, and return it and what it scores."""
        told: dict[str, Any] = {}
        if self.start == "converted" and self.method != "imp":
            # As it was pruned, its statistics measured anew on training images without labels.
            bare = network.calibrate(task.x_train[:1024])
            told["accuracy_before_fine_tuning"] = evaluate_resnet(bare, task.x_test, task.y_test).accuracy
            if self.fine_tuning:
                made = self.train(
                    network, task, epochs=self.fine_tuning, part=0.25, checkpoint=checkpoint, report=report
                )
                network = made.network
            else:
                network = bare
        else:
            network = self.train(network, task, checkpoint=checkpoint, report=report).network
        return self.scored(network, task, told)

    def scored(
        self, network: SpikingResNet, task: ImageArrays, told: Mapping[str, Any] | None = None
    ) -> tuple[SpikingResNet, dict[str, Any]]:
        """Return a trained network, converted if it is to be, and its record."""
        record: dict[str, Any] = dict(told or {})
        if network.neuron == "qcfs":
            record["accuracy_before_conversion"] = evaluate_resnet(network, task.x_test, task.y_test).accuracy
            network = convert(network, steps=self.converted_steps)
        found = evaluate_resnet(network, task.x_test, task.y_test)
        cost = network.operations(task.x_test[:COUNTED])
        record |= {
            "accuracy": found.accuracy,
            "standard_error": found.standard_error,
            "correct": "".join("01"[int(c)] for c in found.correct),
            "synaptic_operations": cost.synaptic,
            "synaptic_operations_on_noise": network.operations(self.noise(network)).synaptic,
            "operations_by_connection": cost.by_connection,
            "stem_macs": cost.stem_macs,
            "head_macs": cost.head_macs,
            "spikes": cost.spikes,
            "weights": network.kept,
            "sparsity": network.sparsity(),
            "shortcuts": [f"{a} -> {b}" for a, b in network.shortcuts],
        }
        return network, record
