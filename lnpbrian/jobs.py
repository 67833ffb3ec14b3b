"""A pruning run as the command line starts it: its options, and the folder that lets it go on after an interruption."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from brian2 import ms

from lnpbrian import checks, files
from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.learning.encoding import INPUT_SCALE, CurrentEncoder, Encoder, PoissonEncoder
from lnpbrian.learning.readout import READOUTS, ReadoutOptions
from lnpbrian.learning.tasks import PROTOCOLS, SERIES, ForecastTask, forecast_task
from lnpbrian.models import CHRSNN, HRSNN, MRSNN
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.devices import require_device
from lnpbrian.network.spec import RecurrentNetwork
from lnpbrian.pruning.checkpoint import LATEST, STABLE, mark_folder, marked, remove_marked
from lnpbrian.pruning.noise import NoisePruneOptions
from lnpbrian.pruning.options import ON_UNSTABLE, DelocaliseOptions, PruneOptions, TuningOptions, schedule
from lnpbrian.records import is_record, write_json
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


@dataclass(frozen=True)
class PruneJob:
    """Options of ``lnpbrian prune``, as plain values; the command line says what they mean.

    Raises
    ------
    InvalidInput
        If a value is out of range or two of them exclude each other.
    """

    model: str = "hrsnn"
    neurons: int = 1000
    connection_probability: float = 0.1
    iterations: int = 10
    synapse_sparsity: float = 0.95
    neuron_sparsity: float = 0.3
    steps: str | None = None
    fidelity: bool = False
    task: str = "lorenz63"
    data: str | None = None
    protocol: str = "short"
    readout_kind: str = "ridge"
    encoder: str = "current"
    windows: int = 20
    sample_time: float = 100.0
    edge_strength: str = "lyapunov"
    exponents: str = "auto"
    device: str = "runtime"
    rescale: str = NoisePruneOptions.rescale
    cap: float | None = None
    excitability: str = NoisePruneOptions.excitability
    new_edges: float = DelocaliseOptions.fraction
    tune_every: int = TuningOptions.every
    evaluations: int = TuningOptions.evaluations
    on_unstable: str = PruneOptions.on_unstable
    seed: int = 0

    def __post_init__(self) -> None:
        choices: dict[str, Iterable[str]] = {
            "model": MODELS,
            "task": SERIES,
            "protocol": PROTOCOLS,
            "encoder": ENCODERS,
            "readout_kind": READOUTS,
            "on_unstable": ON_UNSTABLE,
        }
        for name, known in choices.items():
            checks.choice(f"--{name.replace('_', '-')}", getattr(self, name), known)
        checks.count("neurons", self.neurons, minimum=2)
        checks.count("seed", self.seed, minimum=0)
        checks.probability("connection_probability", self.connection_probability)
        checks.real("new_edges", self.new_edges, at_least=0)
        checks.count("tune_every", self.tune_every)
        # What is refused, is refused here, before the work begins.
        self.pruning, self.readout, self.series  # noqa: B018

    @property
    def pruning(self) -> PruneOptions:
        """Options of the loop."""
        if self.fidelity:
            paper = PruneOptions.fidelity(self.synapse_sparsity, self.neuron_sparsity, self.iterations)
            return dataclasses.replace(
                paper,
                steps=self._steps,
                delocalise=self._delocalise(None),
                tuning=self._tuning,
                device=self.device,
                on_unstable=self.on_unstable,
            )
        return PruneOptions(
            self.synapse_sparsity,
            self.neuron_sparsity,
            self.iterations,
            NoisePruneOptions(
                edge_strength=self.edge_strength, rescale=self.rescale, cap=self.cap, excitability=self.excitability
            ),
            steps=self._steps,
            exponents=self.exponents,
            device=self.device,
            delocalise=self._delocalise(DelocaliseOptions.edges_per_neuron),
            tuning=self._tuning,
            on_unstable=self.on_unstable,
        )

    @property
    def _steps(self) -> tuple[str, ...] | None:
        return None if self.steps is None else tuple(step.strip() for step in self.steps.split(","))

    def _delocalise(self, edges_per_neuron: float | None) -> DelocaliseOptions:
        return DelocaliseOptions(self.new_edges, edges_per_neuron=edges_per_neuron)

    @property
    def _tuning(self) -> TuningOptions:
        return TuningOptions(every=self.tune_every, evaluations=self.evaluations)

    @property
    def readout(self) -> ReadoutOptions:
        """Options of the readout."""
        return ReadoutOptions(
            sample_time=checks.real("sample_time", self.sample_time, above=0) * ms, kind=self.readout_kind
        )

    @cached_property
    def series(self) -> ForecastTask:
        """The windows to forecast."""
        return forecast_task(self.task, data=self.data, protocol=self.protocol, n_windows=self.windows)

    def build(self) -> Model:
        """Build the network, and refuse targets that it cannot reach, and a device that does not work here."""
        if self.device != "runtime":
            require_device(self.device)
        live = MODELS[self.model](
            self.neurons, self.connection_probability, parameters=LIFParameters.forecasting(), seed=self.seed
        )
        schedule(live.spec.n_neurons, live.spec.n_synapses, self.pruning)
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
            files.refuse_foreign(directory, (RECORD, NETWORK, *results), accounted=known, evidence=RECORD)
        mark_folder("--out", folder)
        if going_on:
            if self.load(directory) != self:
                raise InvalidInput(
                    f"{str(directory)!r} holds an unfinished run of other options: finish it with --resume, "
                    f"delete {str(folder)!r}, or choose another --out"
                )
            return True
        write_json(folder / COMMAND, {"lnpbrian": __version__, "options": dataclasses.asdict(self)})
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
            return cls(**options)
        except TypeError as error:
            raise InvalidInput(
                f"{str(path)!r} has other options ({error}); delete the folder and start anew"
            ) from error

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
