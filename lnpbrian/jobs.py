"""A pruning run as the command line starts it: its options, and the folder that lets it go on after an interruption."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from lnpbrian import files, locks
from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.encoding import INPUT_SCALE, CurrentEncoder, Encoder, PoissonEncoder
from lnpbrian.learning.readout import ReadoutOptions
from lnpbrian.learning.tasks import PROTOCOLS, SERIES, ForecastTask, forecast_task
from lnpbrian.models import CHRSNN, HRSNN, MRSNN
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.devices import require_device
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.options import Options, option, options
from lnpbrian.pruning.checkpoint import LATEST, STABLE, mark_folder, marked, remove_marked
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
from lnpbrian.records import from_plain, is_record, plain, write_json
from lnpbrian.streams import Streams
from lnpbrian.study import Report, Study, prune_and_forecast

__all__ = ["ENCODERS", "MODELS", "Model", "PruneJob"]

Model = HRSNN | CHRSNN | MRSNN
MODELS: dict[str, type[Model]] = {"hrsnn": HRSNN, "chrsnn": CHRSNN, "mrsnn": MRSNN}
ENCODERS = ("current", "poisson")

CHECKPOINT = "lnpbrian_checkpoint"
COMMAND = "command.json"
# What a run writes to CHECKPOINT, and to the folder of its results; RECORD is the last of these.
KEPT = (COMMAND, LATEST, STABLE, "forecast_before.npz")
RECORD, NETWORK = "run.json", "network.npz"
# Where versions before the first release kept checkpoints, without a marker.
FORMER = "checkpoint"


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
    task: str = option(default="lorenz63", help="Series to forecast.", choices=SERIES, flag="task")
    data: str | None = option(
        default=None, help="File of stock prices or wind, for --task google or wind.", flag="data"
    )
    protocol: str = option(default="short", help="How the series is cut.", choices=PROTOCOLS, flag="protocol")
    windows: int = option(default=20, help="Forecast windows.", flag="windows")
    encoder: str = option(default="current", help="How samples become input.", choices=ENCODERS, flag="encoder")
    readout: ReadoutOptions = field(default_factory=ReadoutOptions)
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
        self.chosen_steps, self.series  # noqa: B018

    @classmethod
    def fidelity(cls) -> Self:
        """Return the job in which every step is read as the paper has it."""
        noise, betweenness, delocalisation, tuning = paper_steps()
        return cls(
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

    def steps_for(self, live: RecurrentNetwork) -> tuple[Step, ...]:
        """Return the steps that are asked for, or those that the model has the means for."""
        if self.steps is not None:
            return self.chosen_steps
        return possible_steps(prunable(live, self.pruning, Streams(self.seed)), self.chosen_steps)

    @cached_property
    def series(self) -> ForecastTask:
        """The windows to forecast."""
        return forecast_task(self.task, data=self.data, protocol=self.protocol, n_windows=self.windows)

    def build(self) -> Model:
        """Build the network, and refuse targets that it cannot reach, and a device that does not work here."""
        if self.pruning.device != "runtime":
            require_device(self.pruning.device)
        live = MODELS[self.model](
            self.neurons, self.connection_probability, parameters=LIFParameters.forecasting(), seed=self.seed
        )
        schedule(live.spec.n_neurons, live.spec.n_synapses, self.pruning, self.steps_for(live))
        return live

    def input(self) -> Encoder:
        """Draw the encoder."""
        rng = Streams(self.seed).child("encoder").rng(self.encoder)
        dimensions = self.series.dimensions
        if self.encoder == "current":
            return CurrentEncoder.draw(self.neurons, dimensions, scale=INPUT_SCALE, rng=rng)
        return PoissonEncoder.draw(self.neurons, dimensions, rng=rng)

    def run(self, live: RecurrentNetwork, directory: Path, *, jobs: int, report: Report | None = None) -> Study:
        """Forecast, prune and forecast again, keeping in `directory` what an interruption must not lose."""
        return prune_and_forecast(
            live,
            self.input(),
            self.series,
            steps=self.steps_for(live),
            pruning=self.pruning,
            readout=self.readout,
            seed=self.seed,
            jobs=jobs,
            checkpoint=directory / CHECKPOINT,
            report=report,
        )

    def begin(self, directory: Path, results: Iterable[str] = ()) -> bool:
        """Note the options in `directory`; True if an unfinished run of the same options goes on.

        Parameters
        ----------
        directory : Path
            Folder of the run.
        results : iterable of str
            Files that will be written there, beside `RECORD` and `NETWORK`.

        Raises
        ------
        InvalidInput
            If the folder holds an unfinished run of other options, or files that the run would replace and that no
            earlier run accounts for.
        """
        folder = directory / CHECKPOINT
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
        write_json(folder / COMMAND, {"lnpbrian": __version__, "options": plain(self)})
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
            content: dict[str, Any] = json.loads(path.read_text())
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
        try:
            text = path.read_text()
            content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        except (OSError, ValueError) as error:
            raise InvalidInput(f"--config {str(path)!r} cannot be read ({error})") from error
        if isinstance(content, dict) and "versions" in content:
            content = content.get("options", {}).get("command")
        return from_plain(cls, content, f"--config {str(path)!r}")

    @staticmethod
    def abandon(directory: Path) -> None:
        """Delete the options of a run that was refused before anything of it was kept."""
        folder = directory / CHECKPOINT
        if not any((folder / name).exists() for name in KEPT if name != COMMAND):
            remove_marked(folder, [COMMAND])

    @staticmethod
    def finish(directory: Path) -> None:
        """Delete what was kept for an interruption, once all results are written."""
        remove_marked(directory / CHECKPOINT, KEPT)
