"""The main job: use a network, prune it, use it again, and once without synapses; survive interruptions."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from brian2 import ms

from lnpbrian import checks, files, locks
from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.learning import CurrentEncoder, ForecastTask, PoissonEncoder, ReadoutOptions, forecast, forecast_task
from lnpbrian.learning.encoding import INPUT_SCALE, Encoder
from lnpbrian.learning.forecasting import Forecast
from lnpbrian.learning.tasks import PROTOCOLS, SERIES
from lnpbrian.learning.vision.classification import Classification, ClassifyOptions, classify, require_images
from lnpbrian.learning.vision.image_input import CHANNELS, ImageInput, Presentation, patch_filters, pixel_channels
from lnpbrian.learning.vision.image_training import TRAININGS, train_images
from lnpbrian.learning.vision.images import IMAGES, ImageTask, image_task
from lnpbrian.locks import lock_folder
from lnpbrian.models import CHRSNN, HRSNN, MRSNN, LIFParameters
from lnpbrian.network import Drive, NetworkSpec, RecurrentNetwork, noise_drive, observe
from lnpbrian.network.engines.devices import require_device
from lnpbrian.network.graph import graph_statistics
from lnpbrian.network.signals import SpikeTrain
from lnpbrian.network.simulate import mean_rates
from lnpbrian.network.spec import not_a_network
from lnpbrian.options import Options, option, options
from lnpbrian.process import standard_streams
from lnpbrian.pruning.checkpoint import (
    LATEST,
    STABLE,
    CheckpointFolder,
    fingerprint,
    mark_folder,
    marked,
    remove_marked,
)
from lnpbrian.pruning.history import Progress, PruneResult
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.prunable import prunable
from lnpbrian.pruning.schedule import PruneOptions, schedule
from lnpbrian.pruning.steps import (
    BetweennessPruning,
    Delocalisation,
    NoisePruning,
    Step,
    TimescaleTuning,
    as_steps,
    paper_steps,
    possible_steps,
)
from lnpbrian.records import commit, from_plain, is_record, plain, versions, write_json
from lnpbrian.streams import Streams

__all__ = [
    "ENCODERS",
    "IMAGE_STAGES",
    "MODELS",
    "STAGES",
    "ImageStudy",
    "Model",
    "PruneJob",
    "Study",
]

Model = HRSNN | CHRSNN | MRSNN
MODELS: dict[str, type[Model]] = {"hrsnn": HRSNN, "chrsnn": CHRSNN, "mrsnn": MRSNN}
ENCODERS = ("current", "poisson")

CHECKPOINT = "lnpbrian_checkpoint"
COMMAND = "command.json"
# A copy of the network that a file holds.
START = "start.npz"
# What a run writes to CHECKPOINT, and to the folder of its results; RECORD is the last of these.
KEPT = (COMMAND, START, LATEST, STABLE, "forecast_before.npz", "images_before.npz")
RECORD, NETWORK = "run.json", "network.npz"
# Where versions before the first release kept checkpoints, without a marker.
FORMER = "checkpoint"
# Called with the stage, the completed fraction of it, and what it is doing.
Report = Callable[[str, float, str], None]

STAGES = ("forecast before", "prune", "forecast after", "forecast uncoupled")
IMAGE_STAGES = ("images before", "prune", "images after", "images uncoupled")
# Tasks that a network without synapses does badly, and the scale of the input of networks that are made for them.
NEED_RECURRENCE = ("lorenz63_x",)
RECURRENT_INPUT = 0.5
NETWORKS = ("auto", "recurrent", "forecasting", "images")
# Scale of the weights from the channels of images; chosen on networks that no result is of, see docs/images.md.
IMAGE_INPUT = {("current", "pixels"): 3.0, ("current", "patches"): 1.0, ("poisson", "pixels"): 1.0}
# With a relay so many neurons get input, and the others are read.
RELAY = 0.5
# Images that train by default, where there are more.
MOST_IMAGES = 10_000


@dataclass(frozen=True, repr=False)
class _Studied:
    """A network before and after pruning, and how it was pruned."""

    before: NetworkSpec
    after: NetworkSpec
    raster_before: SpikeTrain
    raster_after: SpikeTrain
    pruning: PruneResult
    seed: int
    seconds: dict[str, float]

    @property
    def operation_ratio(self) -> float:
        """Synaptic operations of the unpruned over those of the pruned network, on the same task."""
        raise NotImplementedError

    def _of_task(self) -> dict[str, Any]:
        """Return what decides the task."""
        raise NotImplementedError

    def _states(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Return what the network does in the task before and after, and without synapses."""
        raise NotImplementedError

    def summary(self) -> dict[str, Any]:
        """Return the content of ``run.json``: plain numbers, strings, lists and dictionaries."""
        first, last = self.pruning.history[0], self.pruning.after
        before, after, uncoupled = self._states()
        return {
            "seed": self.seed,
            "versions": versions(),
            "commit": commit(),
            "options": {
                "model": self.before.model,
                "neurons": self.before.n_neurons,
                **self._of_task(),
                "pruning": plain(self.pruning.options),
                "steps": {step.name: plain(step) for step in self.pruning.steps},
            },
            "before": _network_state(first) | before,
            "after": _network_state(last) | after,
            "uncoupled": {"neurons": first.neurons, "synapses": 0, "spectral_radius": 0.0, **uncoupled},
            "ratios": {
                "synaptic_operations": self.operation_ratio,
                "neuron_sparsity": self.pruning.neuron_sparsity,
                "synapse_sparsity": self.pruning.synapse_sparsity,
            },
            "graph": {"before": graph_statistics(self.before), "after": graph_statistics(self.after)},
            "status": self.pruning.status,
            "iteration": self.pruning.iteration,
            "warning": self.pruning.warning,
            "history": [plain(record) for record in self.pruning.history],
            "seconds": self.seconds,
        }

    def write_json(self, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> None:
        """Write `summary` to `path`, whole or not at all; `extra` is merged into its options."""
        content = self.summary()
        content["options"] |= plain(extra or {})
        write_json(path, content)


@dataclass(frozen=True, repr=False)
class Study(_Studied):
    """A network before and after pruning, with its forecasts.

    Attributes
    ----------
    before, after : NetworkSpec
        The network as it was built, and as it was left, silent neurons included.
    raster_before, raster_after : SpikeTrain
        Half a second under the noise drive.
    pruning : PruneResult
    seed : int
    seconds : dict of str to float
        Wall-clock time of each stage.
    forecast_before, forecast_after, forecast_uncoupled : Forecast
        With all synapses, with those that are left, and with none, at the same mean input.
    task : ForecastTask
    readout : ReadoutOptions

    Notes
    -----
    The process is that of figure 2 of Chakraborty et al. (2024), arXiv 2403.03409: pruned without data, then used.
    """

    forecast_before: Forecast
    forecast_after: Forecast
    forecast_uncoupled: Forecast
    task: ForecastTask
    readout: ReadoutOptions

    def __repr__(self) -> str:
        return f"Study({self.pruning!r}, {self.forecast_before!r} -> {self.forecast_after!r})"

    @property
    def operation_ratio(self) -> float:
        """Synaptic operations of the unpruned over those of the pruned network, on the same task."""
        return self.forecast_before.synaptic_operations / max(self.forecast_after.synaptic_operations, 1)

    def _of_task(self) -> dict[str, Any]:
        return {
            "task": {
                "name": self.task.name,
                "windows": self.task.n_windows,
                "train": self.task.train,
                "warm_up": self.task.warm_up,
                "horizon": self.task.horizon,
                "lyapunov_time_steps": self.task.lyapunov_time,
                "columns": list(self.task.columns),
                "notes": list(self.task.notes),
            },
            "readout": plain(self.readout),
        }

    def _states(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        before, after, uncoupled = self.forecast_before, self.forecast_after, self.forecast_uncoupled
        return _forecast_state(before), _forecast_state(after), _forecast_state(uncoupled)


@dataclass(frozen=True, repr=False)
class ImageStudy(_Studied):
    """A network before and after pruning, with what it says of images.

    Attributes
    ----------
    before, after, raster_before, raster_after, pruning, seed, seconds
        As of `Study`.
    images_before, images_after, images_uncoupled : Classification
        With all synapses, with those that are left, and with none, at the same mean input.
    task : ImageTask
    source : ImageInput
        Of the unpruned network.
    readout : ClassifyOptions
    training : str
        What was trained each time, see `lnpbrian.learning.vision.image_training.train_images`. `before` and `after` are
        as they were before that.

    Notes
    -----
    The process is that of figure 2 of Chakraborty et al. (2024), arXiv 2403.03409: pruned without data, then used.
    """

    images_before: Classification
    images_after: Classification
    images_uncoupled: Classification
    task: ImageTask
    source: ImageInput
    readout: ClassifyOptions
    training: str = "readout"

    def __repr__(self) -> str:
        return f"ImageStudy({self.pruning!r}, {self.images_before!r} -> {self.images_after!r})"

    @property
    def operation_ratio(self) -> float:
        """Synaptic operations an image of the unpruned over those of the pruned network."""
        before, after = self.images_before.synaptic_operations, self.images_after.synaptic_operations
        return before / max(after, 1 / self.task.y_test.size)

    def _of_task(self) -> dict[str, Any]:
        source = self.source
        return {
            "task": self.task.record(),
            "input": {
                "mode": source.mode,
                "channels": source.dimensions,
                "neurons_with_input": int(source.receives.sum()),
                "neurons_that_may_be_read": int(source.may_be_read().sum()),
            },
            "training": self.training,
            "readout": plain(self.readout),
        }

    def _states(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        before, after, uncoupled = self.images_before, self.images_after, self.images_uncoupled
        return _image_state(before), _image_state(after), _image_state(uncoupled)


@dataclass(frozen=True)
class _Use[M: Forecast | Classification]:
    """What is done with a network before and after it is pruned."""

    stages: tuple[str, str, str, str]
    # Files of the first result in the folder of checkpoints, and how it is made of them.
    kept: str
    load: Callable[[Mapping[str, np.ndarray]], M]
    # Of a network, telling the completed fraction.
    measure: Callable[[NetworkSpec, Callable[[float], None]], M]
    # Whether pruning has to wait for the first result.
    alone: bool
    # What decides it, beside the network.
    of: tuple[Any, ...]


def _prune_between[M: Forecast | Classification](
    model: RecurrentNetwork,
    use: _Use[M],
    *,
    steps: Sequence[Step],
    pruning: PruneOptions,
    seed: int,
    checkpoint: Path,
    report: Report | None,
) -> tuple[tuple[M, M, M], dict[str, Any]]:
    """Use a network, prune it, use what is left, and the same without synapses; return what was found."""
    commit()  # of the code as it is now, whatever becomes of the checkout until the end
    seconds: dict[str, float] = {}
    stopped = threading.Event()

    def tell(stage: str, fraction: float, what: str) -> None:
        if stopped.is_set():
            raise _Stopped
        if report is not None:
            report(stage, fraction, what)

    def stage(name: str, action: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        tell(name, 0.0, "building")
        result = action()
        tell(name, 1.0, "done")
        seconds[name] = time.perf_counter() - start
        return result

    def used(name: str, spec: NetworkSpec) -> M:
        return use.measure(spec, lambda fraction: tell(name, fraction, "simulating"))

    rates: Future[np.ndarray] = Future()

    def known(found: np.ndarray | None) -> None:
        if found is not None and not rates.done():
            rates.set_result(found)

    def progress(now: Progress) -> None:
        known(now.rates_before)
        tell("prune", now.fraction, f"iteration {now.iteration} of {now.iterations}: {now.step}")

    before = model.spec
    folder = CheckpointFolder(checkpoint, fingerprint(before, *use.of, steps, pruning, seed))
    first, second, third, fourth = use.stages

    def first_use() -> M:
        saved = folder.load_arrays(use.kept)
        if saved is not None:
            return use.load(saved)
        made = used(first, before)
        folder.save_arrays(use.kept, made.to_arrays())
        return made

    def last_use() -> M:
        return used(fourth, before.uncoupled(rates.result()))

    def while_pruning() -> tuple[M, M | None]:
        made = stage(first, first_use)
        return made, None if use.alone else stage(fourth, last_use)

    def pruned() -> PruneResult:
        return prune(model, steps, options=pruning, seed=seed, checkpoint=held, report=progress)

    with (
        lock_folder("checkpoint", checkpoint) as held,
        _background(while_pruning, stopped, wait=use.alone) as first_results,
    ):
        try:
            result = stage(second, pruned)
            known(result.rates_before)
        finally:
            rates.cancel()  # nobody waits any more for what never came
        after = model.spec
        made_after = stage(third, lambda: used(third, after))
        made_before, made_uncoupled = first_results()
    if made_uncoupled is None:
        made_uncoupled = stage(fourth, last_use)
    rng = Streams(seed).child("study").rng("raster")
    drive = noise_drive(before.n_neurons, duration=500 * ms, rng=rng)
    return (made_before, made_after, made_uncoupled), {
        "before": before,
        "after": after,
        "raster_before": _raster(before, drive),
        "raster_after": _raster(after, drive),
        "pruning": result,
        "seed": seed,
        "seconds": seconds,
    }


class _Stopped(Exception):
    """Raised by the progress of work that nobody waits for any more."""


@contextmanager
def _background(work: Callable[[], Any], stopped: threading.Event, *, wait: bool) -> Iterator[Callable[[], Any]]:
    """Do work in a thread, or at once if it has to `wait`, and give what returns its result.

    An error in the block stops it.
    """
    if wait:
        found = work()
        yield lambda: found
        return
    with standard_streams(), ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        try:
            yield done.result
        except BaseException:
            stopped.set()
            raise


def _raster(spec: NetworkSpec, drive: Drive) -> SpikeTrain:
    return observe(RecurrentNetwork(spec, plastic=False), 500 * ms, drive=drive)


def _network_state(record: Any) -> dict[str, Any]:
    names = (
        *("neurons", "synapses", "mean_rate_hz", "largest_exponent_per_s", "largest_exponent_standard_error_per_s"),
        *("window_exponent_per_s", "spectral_radius"),
    )
    return {name: getattr(record, name) for name in names}


def _image_state(result: Classification) -> dict[str, Any]:
    return {
        "accuracy": result.accuracy,
        "accuracy_standard_error": result.accuracy_standard_error,
        "train_accuracy": result.train_accuracy,
        "task_rate_hz": result.mean_rate,
        "synaptic_operations": result.synaptic_operations,
        "readout_operations": result.readout_operations,
        "synaptic_operations_with_readout": result.synaptic_operations + result.readout_operations,
        "energy_joules": result.energy(readout=False),
        "energy_with_readout_joules": result.energy(readout=True),
        "energy_with_memory_joules": result.energy(readout=True, memory=True),
        "readout_neurons": int(result.read.size),
        "penalty": result.penalty,
        "confusion": result.confusion.tolist(),
        "correct": "".join("01"[int(right)] for right in result.correct),
    }


def _forecast_state(result: Forecast) -> dict[str, Any]:
    return {
        "task_rate_hz": result.mean_rate,
        "synaptic_operations": result.synaptic_operations,
        "readout_neurons": int(result.readout.size),
        "nrmse": float(np.mean(result.nrmse)),
        "one_step_nrmse": float(np.mean(result.one_step_nrmse)),
        "readout_operations": result.readout_operations,
        "nrmse_median": float(np.median(result.nrmse)),
        "vpt_steps": float(np.mean(result.vpt_steps[0.1])),
        "vpt_steps_by_threshold": {f"{eps:g}": float(np.mean(v)) for eps, v in result.vpt_steps.items()},
        "nrmse_windows": [float(x) for x in result.nrmse],
        "vpt_windows": [int(x) for x in result.vpt_steps[0.1]],
    }


class _SavedNetwork(RecurrentNetwork):
    """A network of a file without its silent neurons, and its mean rate in Hz under noise."""

    def __init__(self, spec: NetworkSpec, rng: np.random.Generator) -> None:
        inner = spec.compacted()
        drive = noise_drive(inner.n_neurons, duration=600 * ms, rng=rng)
        self.mean_rate = float(mean_rates(inner, 0.5, settle=0.1, drive=drive).mean())
        if self.mean_rate == 0:
            raise InvalidInput(f"{inner!r} fires no spike under noise; prune one that does, such as with a higher bias")
        super().__init__(inner)


@options
class PruneJob(Options):
    """Options of ``lnpbrian prune``: a network, a task, how to read it, how far to prune, and how each step is read.

    Raises
    ------
    InvalidInput
        If a value is out of range or two of them exclude each other.
    """

    model: str = option(default="hrsnn", help="Network model.", choices=MODELS, flag="model")
    neurons: int = option(default=1000, help="Number of neurons.", flag="neurons", minimum=2)
    connection_probability: float = option(
        default=0.1, help="Connection probability.", flag="connection-probability", above=0, at_most=1
    )
    file: str | None = option(default=None, help="Name of the file of the network, if it is no new model.")
    file_digest: str | None = option(default=None, help="SHA-256 of that file.")
    network: str = option(
        default="auto",
        help="Constants of the neurons: recurrent, where the network remembers, images, the same with a step of 1 ms, "
        "or forecasting, where each neuron is a smooth function of its input and synapses hardly matter. Auto is the "
        "first for lorenz63_x, the second for images, the third for other series.",
        choices=NETWORKS,
        flag="network",
    )
    task: str = option(
        default="lorenz63_x",
        help="Series to forecast, or images to classify; lorenz63_x is the first variable of Lorenz-63 alone.",
        choices=(*SERIES, *IMAGES),
        flag="task",
    )
    data: str | None = option(
        default=None,
        help="File of stock prices or wind, for --task google or wind, or folder of images, for all images but digits.",
        flag="data",
    )
    protocol: str = option(default="short", help="How the series is cut.", choices=PROTOCOLS, flag="protocol")
    windows: int = option(default=20, help="Forecast windows.", flag="windows")
    encoder: str = option(
        default="current", help="How samples or images become input.", choices=ENCODERS, flag="encoder"
    )
    channels: str = option(
        default="pixels",
        help="What is shown of images: pixels, or the answers of filters of patches, learnt without labels.",
        choices=CHANNELS,
        flag="channels",
    )
    relay: bool = option(
        default=False,
        help="Show images to half of the neurons and read the others, so that synapses must carry the image.",
        flag="relay",
    )
    train_images: int | None = option(
        default=None, help="Images that train the readout. Default: all, at most 10000.", flag="train-images"
    )
    test_images: int | None = option(default=None, help="Images that test it. Default: all.", flag="test-images")
    training: str = option(
        default="readout",
        help="What is trained on images, before pruning and again after it: a readout only, recurrent weights by STDP "
        "on 200 images, or input and recurrent weights by backpropagation (extra bp).",
        choices=TRAININGS,
        flag="training",
    )
    readout: ReadoutOptions = field(default_factory=ReadoutOptions)
    read: float | None = option(
        default=None,
        help="Fraction of the surviving neurons that is read, those of highest betweenness. Default: a tenth in a "
        "network made for forecasting, all in others.",
        above=0,
        at_most=1,
        flag="read",
    )
    pruning: PruneOptions = field(default_factory=PruneOptions)
    steps: str | None = option(
        default=None,
        help="Steps of an iteration, in order: I (synapses by noise), II (neurons by betweenness), III (edges against "
        "localisation), IV (time constants on the spectrum). Default: all that the model allows.",
        flag="steps",
    )
    noise: NoisePruning = field(default_factory=NoisePruning)
    betweenness: BetweennessPruning = field(default_factory=BetweennessPruning)
    delocalisation: Delocalisation = field(default_factory=Delocalisation)
    tuning: TimescaleTuning = field(default_factory=TimescaleTuning)
    seed: int = option(default=0, help="Seed of everything random.", flag="seed", minimum=0)

    def check_together(self) -> None:
        """Refuse here, before the work begins, what would be refused later."""
        self.chosen_steps  # noqa: B018
        if self.is_images:
            if self.encoder == "poisson" and self.channels == "patches":
                raise InvalidInput("patches have answers below zero, which no rate has; use --encoder current")
            if self.encoder == "poisson" and self.training != "readout":
                raise InvalidInput(f"training by {self.training} shows images as currents; use --encoder current")
            require_images(len(self.images.y_train))
            return
        if (
            self.training != "readout"
            or self.relay
            or self.channels != "pixels"
            or self.train_images
            or self.test_images
        ):
            raise InvalidInput(
                f"relay, channels, training, train-images and test-images are of images, and {self.task} is a series; "
                f"use --task {', '.join(IMAGES)}"
            )
        self.series  # noqa: B018
        if self.file is None:
            checks.steps("sample_time", self.readout.sample_time, float(self.parameters.dt))

    def of_file(self, path: Path) -> Self:
        """Return the job for the network in a file, in place of a model.

        Raises
        ------
        InvalidInput
            If the file holds no network, or one whose steps do not fit the samples or images.
        """
        try:
            content = files.read_bytes(path)
        except (OSError, ValueError) as error:
            raise not_a_network(path, error) from error
        spec = NetworkSpec.load(path).compacted()
        if self.is_images:
            Presentation().steps(spec.dt)
        else:
            checks.steps("sample_time", self.readout.sample_time, spec.dt)
        # What the file decides is as if it had not been said.
        usual = PruneJob()
        return replace(
            self,
            model=usual.model,
            connection_probability=usual.connection_probability,
            neurons=spec.n_neurons,
            file=path.name,
            file_digest=hashlib.sha256(content).hexdigest(),
        )

    def record(self) -> dict[str, Any]:
        """Return the options for files, without those that the network of a file leaves no choice of."""
        told: dict[str, Any] = plain(self)
        unused = () if self.file is None else ("model", "connection_probability")
        return {name: value for name, value in told.items() if name not in unused}

    @classmethod
    def fidelity(cls) -> Self:
        """Return the job in which steps, input and readout are read as the paper has them, in its 100 iterations.

        The number of neurons and the constants of models and filters are not set, and step IV, of whose settings the
        paper says nothing, has its own defaults.
        """
        noise, betweenness, delocalisation, tuning = paper_steps()
        return cls(
            encoder="poisson",
            readout=ReadoutOptions(kind="mlp"),
            read=0.1,
            pruning=PruneOptions.fidelity(),
            noise=noise,
            betweenness=betweenness,
            delocalisation=delocalisation,
            tuning=tuning,
        )

    @property
    def chosen_steps(self) -> tuple[Step, ...]:
        """The steps of an iteration."""
        known: dict[str, Step] = {
            step.name: step for step in (self.noise, self.betweenness, self.delocalisation, self.tuning)
        }
        if self.steps is None:
            return tuple(known.values())
        return as_steps([known.get(name.strip(), name.strip()) for name in self.steps.split(",")])

    @property
    def is_recurrent(self) -> bool:
        """Whether the constants are those of a network that remembers."""
        return self.parameters.spectral_radius is not None

    @property
    def parameters(self) -> LIFParameters:
        """Constants of the neurons and of their weights."""
        usual = "images" if self.is_images else "recurrent" if self.task in NEED_RECURRENCE else "forecasting"
        made = {
            "recurrent": LIFParameters.recurrent,
            "images": LIFParameters.images,
            "forecasting": LIFParameters.forecasting,
        }
        return made[usual if self.network == "auto" else self.network]()

    @property
    def is_images(self) -> bool:
        """Whether images are to be classified."""
        return self.task in IMAGES

    @property
    def chosen_readout(self) -> ReadoutOptions:
        """The readout, of the fraction of the neurons that is to be read."""
        usual = 1.0 if self.is_recurrent else self.readout.fraction
        return replace(self.readout, fraction=usual if self.read is None else self.read)

    @property
    def classifier(self) -> ClassifyOptions:
        """The readout of images."""
        return ClassifyOptions(
            fraction=self.chosen_readout.fraction, kind=self.readout.kind, hidden=self.readout.hidden
        )

    def steps_for(self, live: RecurrentNetwork) -> tuple[Step, ...]:
        """Return the steps that are asked for, or those that the model has the means for."""
        if self.steps is not None:
            return self.chosen_steps
        return possible_steps(prunable(live, self.pruning, Streams(self.seed)), self.chosen_steps)

    @cached_property
    def series(self) -> ForecastTask:
        """The windows to forecast."""
        return forecast_task(self.task, data=self.data, protocol=self.protocol, n_windows=self.windows)

    @cached_property
    def images(self) -> ImageTask:
        """The images to classify."""
        task = image_task(self.task, self.data, train=self.train_images, test=self.test_images, seed=self.seed)
        if self.train_images is None and len(task.y_train) > MOST_IMAGES:
            return image_task(self.task, self.data, train=MOST_IMAGES, test=self.test_images, seed=self.seed)
        return task

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the data."""
        return self.images.notes if self.is_images else self.series.notes

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of the run."""
        return IMAGE_STAGES if self.is_images else STAGES

    def image_channels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the channels of the images that train and that test."""
        task = self.images
        if self.channels == "pixels":
            return pixel_channels(task)
        rng = Streams(self.seed).child("encoder").rng("patches")
        return patch_filters(task.intensities(task.x_train), rng=rng).of_task(task)

    def image_input(self, dimensions: int) -> ImageInput:
        """Draw the input of images of so many channels."""
        return ImageInput.draw(
            self.neurons,
            dimensions,
            mode=self.encoder,
            scale=IMAGE_INPUT[self.encoder, self.channels],
            fraction=RELAY if self.relay else 1.0,
            rng=Streams(self.seed).child("encoder").rng("images"),
        )

    def build(self, directory: Path | None = None) -> Model | _SavedNetwork:
        """Build the network, and refuse targets that it cannot reach, and a device that does not work here.

        That of a file is the copy that `begin` made in `directory`.
        """
        if self.pruning.device != "runtime":
            require_device(self.pruning.device)
        live: Model | _SavedNetwork
        if self.file is not None:
            rng = Streams(self.seed).child("network").rng("rate check")
            live = _SavedNetwork(self._start(Path(directory or ".") / CHECKPOINT / START), rng)
            if self.training == "stdp" and live.spec.plasticity is None:
                raise InvalidInput(f"{self.file} has no plastic synapses, which training by stdp needs")
        else:
            live = MODELS[self.model](
                self.neurons,
                self.connection_probability,
                parameters=self.parameters,
                plastic=self.training == "stdp",
                seed=self.seed,
            )
        schedule(live.spec.n_neurons, live.spec.n_synapses, self.pruning, self.steps_for(live))
        return live

    def _start(self, copy: Path) -> NetworkSpec:
        try:
            same = hashlib.sha256(files.read_bytes(copy)).hexdigest() == self.file_digest
        except OSError:
            same = False
        if not same:
            raise InvalidInput(
                f"{str(copy)!r} is not the network of {self.file!r} that the run was begun with; delete "
                f"{str(copy.parent)!r} and start anew"
            )
        return NetworkSpec.load(copy)

    def input(self) -> Encoder:
        """Draw the encoder."""
        rng = Streams(self.seed).child("encoder").rng(self.encoder)
        dimensions = self.series.dimensions
        if self.encoder == "current":
            scale = RECURRENT_INPUT if self.is_recurrent else INPUT_SCALE
            return CurrentEncoder.draw(self.neurons, dimensions, scale=scale, rng=rng)
        return PoissonEncoder.draw(self.neurons, dimensions, rng=rng)

    def run(
        self, live: RecurrentNetwork, directory: Path, *, jobs: int, report: Report | None = None
    ) -> Study | ImageStudy:
        """Forecast or classify, prune, and do it again with what is left, and without synapses.

        Pruning looks at no series and at no images, as in arXiv 2403.03409, section 4.1.

        Parameters
        ----------
        live : RecurrentNetwork
            Of `build`; it is edited in place. The survivors keep their input.
        directory : Path
            Keeps the first result and every iteration: the same call goes on where it was interrupted.
        jobs : int
            Number of processes that share the windows of a forecast; see `forecast`. With more than one the network is
            pruned while the unpruned one forecasts, and then the one without synapses.
        report : callable, optional
            Called as ``report(stage, fraction, what)`` with a stage of `stages`.

        Raises
        ------
        InvalidInput
            As `lnpbrian.prune` and `lnpbrian.learning.classify`; if another run uses the folder for checkpoints.
        """
        how: dict[str, Any] = {
            "steps": self.steps_for(live),
            "pruning": self.pruning,
            "seed": self.seed,
            "checkpoint": directory / CHECKPOINT,
            "report": report,
        }
        return self._classified(live, how) if self.is_images else self._forecast(live, how, jobs)

    def _forecast(self, live: RecurrentNetwork, how: dict[str, Any], jobs: int) -> Study:
        encoder, task, readout = self.input(), self.series, self.chosen_readout
        streams = Streams(self.seed).child("study")

        def measure(spec: NetworkSpec, tell: Callable[[float], None]) -> Forecast:
            return forecast(
                spec.compacted(),
                encoder.of_neurons(spec.alive),
                task,
                options=readout,
                # Before and after get the same input spikes, neuron by neuron of the encoder.
                rng=streams.rng("input"),
                jobs=jobs,
                report=tell,
            )

        # The forecast is simulated by processes of its own, unless it has but one part.
        alone = min(jobs, task.n_windows) == 1
        use = _Use(STAGES, "forecast_before", Forecast.from_arrays, measure, alone, (encoder, task, readout))
        (before, after, uncoupled), of_network = _prune_between(live, use, **how)
        return Study(
            **of_network,
            forecast_before=before,
            forecast_after=after,
            forecast_uncoupled=uncoupled,
            task=task,
            readout=readout,
        )

    def _classified(self, live: RecurrentNetwork, how: dict[str, Any]) -> ImageStudy:
        channels, task, readout, training = self.image_channels(), self.images, self.classifier, self.training
        source = self.image_input(channels[0].shape[1])
        require_images(len(channels[0]))
        streams = Streams(self.seed).child("study").child("images")

        def measure(spec: NetworkSpec, tell: Callable[[float], None]) -> Classification:
            share = 0.0 if training == "readout" else 0.5
            learnt, input_ = train_images(
                spec,
                source,
                task,
                channels,
                training=training,
                fraction=readout.fraction,
                rng=streams.rng("training"),
                report=lambda fraction: tell(share * fraction),
            )
            return classify(
                learnt,
                input_,
                task,
                channels,
                options=readout,
                streams=streams,
                report=lambda fraction: tell(share + (1 - share) * fraction),
            )

        decides = (source, task, list(channels), readout, training)
        use = _Use(IMAGE_STAGES, "images_before", Classification.from_arrays, measure, True, decides)
        (before, after, uncoupled), of_network = _prune_between(live, use, **how)
        return ImageStudy(
            **of_network,
            images_before=before,
            images_after=after,
            images_uncoupled=uncoupled,
            task=task,
            source=source,
            readout=readout,
            training=training,
        )

    def begin(self, directory: Path, results: Iterable[str] = (), *, network: Path | None = None) -> bool:
        """Note the options in `directory`; True if an unfinished run of the same options goes on.

        Parameters
        ----------
        directory : Path
            Folder of the run.
        results : iterable of str
            Files that will be written there, beside `RECORD` and `NETWORK`.
        network : Path, optional
            The file of `of_file`, which is copied.

        Raises
        ------
        InvalidInput
            If the run would replace the file of its network; if the folder holds an unfinished run of other options, or
            files that the run would replace and that no earlier run accounts for.
        """
        folder = directory / CHECKPOINT
        if network is not None and (directory / NETWORK).exists() and network.samefile(directory / NETWORK):
            raise InvalidInput(f"the run would replace {str(network)!r} by the pruned network; choose another --out")
        going_on = marked(folder) and (folder / COMMAND).exists()
        if not going_on:
            known = is_record(directory / RECORD, "before", "after")
            locks.refuse_foreign(directory, (RECORD, NETWORK, *results), accounted=known, evidence=RECORD)
        mark_folder("--out", folder)
        if going_on:
            if self.load(directory) != self:
                raise InvalidInput(
                    f"{str(directory)!r} holds an unfinished run of other options: finish it with --resume, "
                    f"delete {str(folder)!r}, or choose another --out"
                )
            return True
        if network is not None:
            with files.replacing(folder / START) as temporary:
                temporary.write_bytes(files.read_bytes(network))
        write_json(folder / COMMAND, {"lnpbrian": __version__, "options": self.record()})
        return False

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Return the options of the unfinished run in `directory`.

        Raises
        ------
        InvalidInput
            If there is none, or it was begun by another version.
        """
        path = Path(directory) / CHECKPOINT / COMMAND
        former = Path(directory) / FORMER
        try:
            if files.is_link(path.parent) or (path.exists() and not marked(path.parent)):
                raise InvalidInput(f"{str(path.parent)!r} is not a folder of checkpoints that lnpbrian made")
            content: dict[str, Any] = files.read_json(path)
            version, options = content["lnpbrian"], content["options"]
        except InvalidInput:
            raise
        except FileNotFoundError:
            if (former / COMMAND).is_file() and (former / LATEST).is_file():
                raise InvalidInput(
                    f"the run in {str(former)!r} was begun by an earlier lnpbrian, which kept checkpoints there; "
                    "finish it with that one, or start anew with --out"
                ) from None
            raise InvalidInput(f"{str(directory)!r} holds no unfinished run; start one with --out") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{str(path)!r} cannot be read ({error}); delete the folder and start anew") from error
        if version != __version__:
            raise InvalidInput(
                f"the run in {str(directory)!r} was begun by lnpbrian {version}, this is {__version__}; "
                "finish it with that version"
            )
        try:
            return from_plain(cls, options)
        except InvalidInput as error:
            raise InvalidInput(
                f"{str(path)!r} has other options ({error}); delete the folder and start anew"
            ) from error

    @classmethod
    def from_record(cls, path: Path) -> Self:
        """Return the options of a finished run, from its run.json, or from a TOML file of the same keys.

        Raises
        ------
        InvalidInput
            If the file cannot be read, or holds an option that is not known.
        """
        what = f"--config {str(path)!r}"
        if path.exists() and not path.is_file():
            raise InvalidInput(f"{what} is no file; give a run.json, or a TOML file of the same keys")
        try:
            is_toml = path.suffix == ".toml"
            content = tomllib.loads(files.read_bytes(path).decode()) if is_toml else files.read_json(path)
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidInput(f"{what} cannot be read ({error})") from error
        if isinstance(content, dict) and "versions" in content:
            of_run = content.get("options")
            if not isinstance(of_run, dict) or "command" not in of_run:
                raise InvalidInput(f"{what} is not the run.json of lnpbrian prune; give one")
            content = of_run["command"]
        return from_plain(cls, content, what)

    @staticmethod
    def abandon(directory: Path) -> None:
        """Delete the options of a run that was refused before anything of it was kept."""
        folder = directory / CHECKPOINT
        begun = (COMMAND, START)
        if not any((folder / name).exists() for name in KEPT if name not in begun):
            remove_marked(folder, begun)

    @staticmethod
    def finish(directory: Path) -> None:
        """Delete what was kept for an interruption, once all results are written."""
        remove_marked(directory / CHECKPOINT, KEPT)
