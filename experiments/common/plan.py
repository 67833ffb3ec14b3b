"""What the comparisons consist of: how large they are, and the tasks of their networks, trainings and forecasts.

The functions behind the tasks are in `lnpbrian.experiments.common.comparison`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brian2 import ms

from lnpbrian.learning.readout import ReadoutOptions
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.sweep import Result, Task

__all__ = ["SCALES", "Plan", "Scale", "network_at", "readout_options"]

Report = Callable[[float, str], None]

# The module of the functions that tasks name.
UNITS = "lnpbrian.experiments.common.comparison"
MODELS = ("HRSNN", "CHRSNN")
METHODS = ("unpruned", "AP", "LNP", "random", "uncoupled")
# Lorenz-63 of which the first variable is seen, which needs a network, and all three, as in the paper, which does not.
LORENZ, SEEN = "lorenz63_x", "lorenz63"
# Networks that were not looked at while the method was made.
FIRST_SEED = 400
CONTROLS = ("noise without Lyapunov", "magnitude", "magnitude in turns", "random", "uncoupled")
TRAININGS = ("BP", "STDP")


@dataclass(frozen=True)
class Scale:
    """How large a comparison is.

    Attributes
    ----------
    neurons, connection_probability, iterations
        Of the unpruned networks, and of pruning.
    neuron_sparsity, synapse_sparsity
        What LNP removes; the second for each model.
    neurons_of_figures
        What it removes of the neurons where that is what is shown: in figure 3, the ablation and the spectra.
    seeds, windows
        Networks, and forecast windows of each.
    step_ms, sample_ms, filter_ms, order, ridge
        Time step, time a sample is shown, readout.
    phase
        Samples on which recurrent weights are trained.
    epochs
        Passes of BP over them.
    prune_rate
        Fraction of the neurons that an iteration of activity pruning removes.
    path_iterations
        Iterations of figure 3.
    kept
        Fractions of the synapses that the ablation leaves, and at its sparser points.
    densities, training_s, exponents_ms
        Of the figure of spectra: connection probabilities, time of training in s, time of measuring in ms.

    Notes
    -----
    "paper" has the 5000 neurons and 100 iterations of arXiv 2403.03409, appendix B.1 and section 4.1.
    """

    neurons: int
    seeds: int
    windows: int
    iterations: int = 10
    connection_probability: float = 0.1
    neuron_sparsity: float = 0.0
    neurons_of_figures: float = 0.3
    synapse_sparsity: Mapping[str, float] = None  # type: ignore[assignment]
    step_ms: float = 2.0
    sample_ms: float = 100.0
    filter_ms: float = 20.0
    order: int = 5
    ridge: float = 0.01
    phase: int = 300
    epochs: int = 6
    prune_rate: float = 0.4
    path_iterations: int = 100
    kept: tuple[float, float] = (0.025, 0.0155)
    densities: tuple[float, ...] = (0.001, 0.01, 0.1)
    training_s: float = 10.0
    exponents_ms: float = 1000.0

    def __post_init__(self) -> None:
        if self.synapse_sparsity is None:
            object.__setattr__(self, "synapse_sparsity", {"HRSNN": 0.974, "CHRSNN": 0.98})

    @property
    def drawn(self) -> dict[str, Any]:
        """How networks are drawn, as options of a task."""
        return {name: getattr(self, name) for name in ("neurons", "connection_probability", "step_ms")}

    @property
    def read(self) -> dict[str, Any]:
        """How they are shown a series and read, as options of a task."""
        return {name: getattr(self, name) for name in ("sample_ms", "filter_ms", "order", "ridge")}


SCALES = {
    "smoke": Scale(
        neurons=120,
        seeds=2,
        windows=2,
        iterations=2,
        connection_probability=0.15,
        synapse_sparsity={"HRSNN": 0.8, "CHRSNN": 0.8},
        sample_ms=20.0,
        phase=60,
        epochs=1,
        path_iterations=5,
        kept=(0.2, 0.15),
        densities=(0.1, 0.2, 0.3),
        training_s=1.0,
        exponents_ms=200.0,
    ),
    "medium": Scale(neurons=1000, seeds=8, windows=20),
    "paper": Scale(neurons=5000, seeds=5, windows=20, iterations=100),
}


@dataclass(frozen=True)
class Plan:
    """Makes the tasks of a comparison, so that equal work has one name and is done once.

    Parameters
    ----------
    scale : Scale
    data : Mapping of str to str
        Files of the series that need one.

    Examples
    --------
    >>> plan = Plan(SCALES["smoke"], {})
    >>> plan.seeds, plan.network("HRSNN", "LNP", 400).name
    (range(400, 402), 'LNP HRSNN, seed 400')
    """

    scale: Scale
    data: Mapping[str, str]

    @property
    def seeds(self) -> range:
        """Seeds of the networks."""
        return range(FIRST_SEED, FIRST_SEED + self.scale.seeds)

    def network(self, model: str, method: str, seed: int) -> Task:
        """The task of building a network and pruning it without a look at any series."""
        s = self.scale
        options = {"model": model, "method": method, "seed": seed, **s.drawn}
        needs: tuple[Task, ...] = ()
        if method in ("LNP", "noise without Lyapunov"):
            options |= {
                "iterations": s.iterations,
                "neuron_sparsity": s.neuron_sparsity,
                "synapse_sparsity": s.synapse_sparsity[model],
            }
        elif method in ("random", "magnitude", "uncoupled"):
            needs = (self.network(model, "LNP", seed),)
        return Task(
            f"{method} {model}, seed {seed}",
            f"{UNITS}:pruned",
            options,
            needs,
            cost=5 if method in ("LNP", "noise without Lyapunov") else 0.2,
        )

    def trained(self, model: str, method: str, training: str, series: str, seed: int) -> Task:
        """The task of training a network on a series; some methods train as they prune."""
        s = self.scale
        options = {
            **self._series(series),
            "training": training,
            "seed": seed,
            "phase": s.phase,
            "epochs": s.epochs,
            **s.read,
        }
        needs: tuple[Task, ...]
        if method == "AP":
            # Down to the operations that LNP has left.
            needs = (self.network(model, "unpruned", seed), self.trained(model, "LNP", training, series, seed))
            name, options["prune_rate"] = "activity_pruned", s.prune_rate
        elif method == "magnitude in turns":
            needs = (self.network(model, "unpruned", seed), self.network(model, "LNP", seed))
            name, options["iterations"] = "magnitude_pruned", s.iterations
        else:
            needs, name = (self.network(model, method, seed),), "trained"
        return Task(
            f"{training} on {series}: {method} {model}, seed {seed}",
            f"{UNITS}:{name}",
            options,
            needs,
            cost=3 if method in ("AP", "magnitude in turns", "unpruned") else 1,
        )

    def forecast(
        self, model: str, method: str, training: str, series: str, seed: int, *, snr: float | None = None
    ) -> Task:
        """The task of forecasting a series with a trained network."""
        s = self.scale
        options = {**self._series(series), "windows": s.windows, "seed": seed, **s.read}
        if snr is not None:
            options["snr_db"] = snr
        return Task(
            f"forecast of {series}: {training} {method} {model}, seed {seed}",
            f"{UNITS}:forecasted",
            options,
            (self.trained(model, method, training, series, seed),),
            cost=6 if method == "unpruned" else 2,
        )

    def path(self, model: str, method: str, seed: int, stops: Sequence[int]) -> Task:
        """The task of pruning in many iterations, whose networks at some `stops` are kept."""
        s = self.scale
        options = {
            **self._series(LORENZ),
            "method": method,
            "seed": seed,
            "stops": list(stops),
            "iterations": s.path_iterations,
            "neuron_sparsity": s.neurons_of_figures,
            "synapse_sparsity": s.synapse_sparsity[model],
            "model": model,
            **s.drawn,
            "training": "STDP",
            "phase": s.phase,
            "sample_ms": s.sample_ms,
        }
        needs = () if method == "LNP" else (self.path(model, "LNP", seed, stops),)
        return Task(f"{method} of {model} step by step, seed {seed}", f"{UNITS}:path", options, needs, cost=20)

    def forecast_on_path(self, model: str, method: str, seed: int, stop: int, stops: Sequence[int]) -> Task:
        """The task of training and forecasting with a network at a stop of `path`."""
        s = self.scale
        options = {
            **self._series(LORENZ),
            "method": method,
            "stop": stop,
            "seed": seed,
            "training": "STDP",
            "phase": s.phase,
            "windows": s.windows,
            **s.read,
        }
        needs: tuple[Task, ...] = (self.path(model, "LNP" if method == "random" else method, seed, stops),)
        if method == "random":
            needs += (self.network(model, "unpruned", seed),)
        return Task(
            f"forecast after {stop} iterations: {method} {model}, seed {seed}",
            f"{UNITS}:forecasted_on_path",
            options,
            needs,
            cost=3,
        )

    def _series(self, name: str) -> dict[str, Any]:
        return {"series": name, **self.file(name)}

    def file(self, name: str) -> dict[str, Any]:
        """Return the file or folder of data of a name, if one was given, as options of a task."""
        if name not in self.data:
            return {"data": None}
        # The content decides, wherever it lies.
        path, digest = Path(self.data[name]), hashlib.sha256()
        if path.is_dir():
            for one in sorted(path.iterdir()):
                if one.is_file():
                    digest.update(one.name.encode() + one.read_bytes())
        else:
            digest.update(path.read_bytes())
        return {"data": self.data[name], "data_sha256": digest.hexdigest()}

    def describe(self) -> dict[str, Any]:
        """Return the scale as JSON types, and the names of files, wherever they lie."""
        names = {name: Path(path).name for name, path in self.data.items()}
        return asdict(self.scale) | {"synapse_sparsity": dict(self.scale.synapse_sparsity), "data": names}


def readout_options(options: Mapping[str, Any]) -> ReadoutOptions:
    """Return the readout that the options of a task describe.

    Examples
    --------
    >>> made = readout_options({"sample_ms": 50, "filter_ms": 100, "order": 5, "ridge": 1.0})
    >>> made.filter_time, made.order
    (100. * msecond, 5)
    """
    return ReadoutOptions(
        sample_time=options["sample_ms"] * ms,
        filter_time=options["filter_ms"] * ms,
        order=options["order"],
        ridge=options["ridge"],
        fraction=1.0,
    )


def network_at(path: Result, stop: int) -> NetworkSpec:
    """Return a network that the task of `Plan.path` has kept."""
    prefix = f"{stop} "
    return NetworkSpec.from_arrays(
        {name.removeprefix(prefix): array for name, array in path.arrays.items() if name.startswith(prefix)}
    )
