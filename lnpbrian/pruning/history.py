"""What a pruning run leaves behind: a record of every iteration, and the result."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from types import UnionType
from typing import TYPE_CHECKING, Any, TextIO, get_args, get_origin, get_type_hints

import numpy as np

from lnpbrian.checks import InvalidInput
from lnpbrian.records import as_html, data_frame, same

if TYPE_CHECKING:
    from lnpbrian.lyapunov.exponents import Spectrum
    from lnpbrian.lyapunov.growth import TwinExponents
    from lnpbrian.network.live import LiveNetwork
    from lnpbrian.network.spec import NetworkSpec
    from lnpbrian.pruning.changes import Changes
    from lnpbrian.pruning.schedule import PruneOptions
    from lnpbrian.pruning.steps.base import Step

__all__ = ["Progress", "PruneResult", "Record"]

# A change of the mean rate, or of the variation of intervals, by more than this factor is worth a word, within the
# bounds or not.
CHANGE = 1.2
# Below this variation neurons fire like clocks, pruned or not.
IRREGULAR = 0.3


@dataclass(frozen=True)
class Record:
    """The network at the end of an iteration; iteration 0 is the network as it came.

    Attributes
    ----------
    iteration, neurons, synapses : int
        Survivors.
    mean_rate_hz : float
        Of the surviving neurons, under the noise drive.
    largest_exponent_per_s, largest_exponent_standard_error_per_s : float
        Of the network, from a direction that is kept, or from the spectrum. Where it comes from the spectrum, and for a
        network of your own from fresh directions, it is the same as the next.
    window_exponent_per_s, window_exponent_standard_error_per_s : float
        Mean growth over one window from fresh directions.
    spectral_radius : float or None
        Of the linear response, see `lnpbrian.network.response.LinearResponse`; None where it was not measured.
    response_ipr : float or None
        Median inverse participation ratio of the eigenvectors of the linear response, at the start and the end, of at
        most 1000 neurons; None elsewhere.
    interval_cv : float or None
        Coefficient of variation of the intervals between spikes, mean over neurons; None if hardly one fired.
    exponent_quartiles_per_s : tuple of float
        Of the per-neuron exponents.
    laplacian_ipr, adjacency_ipr : float or None
        Largest inverse participation ratio among the eigenvectors at the ends of the spectra of the graph.
    strong_components : int or None
        Number of strongly connected components.
    degree_variance : float or None
        These four are None of a network of over 10,000 neurons, and four times in five of one of over 2000.
    time_constant_mean_ms : float or None
        Of the surviving neurons; None if one of them is not known.
    stable : bool
        Whether rate and largest exponent are within the bounds of the options.
    status : tuple of str
        What the steps have to say.
    seconds : dict of str to float
        Wall-clock time of each step; no part of comparisons.

    Notes
    -----
    Inverse participation ratio: Bell and Dean 1970, doi:10.1039/DF9705000055. Coefficient of variation of the
    intervals: Softky and Koch 1993, doi:10.1523/JNEUROSCI.13-01-00334.1993.
    """

    iteration: int
    neurons: int
    synapses: int
    mean_rate_hz: float
    largest_exponent_per_s: float
    largest_exponent_standard_error_per_s: float
    window_exponent_per_s: float
    window_exponent_standard_error_per_s: float
    spectral_radius: float | None
    response_ipr: float | None
    interval_cv: float | None
    exponent_quartiles_per_s: tuple[float, ...]
    laplacian_ipr: float | None
    adjacency_ipr: float | None
    strong_components: int | None
    degree_variance: float | None
    time_constant_mean_ms: float | None
    stable: bool
    status: tuple[str, ...]
    seconds: dict[str, float] = field(compare=False)


@dataclass(frozen=True, repr=False, eq=False)
class PruneResult:
    """The pruned network and how it came about.

    Attributes
    ----------
    live : LiveNetwork
        The network that was handed in, edited in place; its `alive` and `alive_in` say which neurons survive.
    history : tuple of Record
        One record per iteration, the start included, and those that were rolled back.
    exponents_before, exponents_after : TwinExponents or Spectrum
        Of the network as it came, and as it is now.
    rates_before, rates_after : ndarray, shapes (N,) and (N,)
        Firing rates in Hz under the noise drive, of all neurons, silent ones included. Those of a model as it came are
        measured for five times as long: at these, pruning keeps mean inputs.
    steps : tuple of Step
    options : PruneOptions
    status : str
        How it ended.
    iteration : int
        The iteration that the network is left of: the last one, or an earlier one if that was unstable.
    rate_bounds : tuple of float
        Bounds of a stable network's mean rate in Hz.
    alive : ndarray of bool, shape (N,)
        The neurons that pruning has left, sources of spikes included.
    changes : Changes or None
        What `reapply` does; None once it was pickled.

    Notes
    -----
    Results are equal that hold the same values, wherever their networks are and however long they took. What is pickled
    is all but `live`, and the `spec` of a model, from which ``RecurrentNetwork(result.spec)`` makes it again.

    The iterations are those of algorithm 1 of Chakraborty et al. (2024), arXiv 2403.03409.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian import PruneOptions, prune
    >>> from lnpbrian.models import HRSNN
    >>> quick = PruneOptions(0.8, 0.2, iterations=1, observation=100*ms, rates=(0, 500))
    >>> result = prune(HRSNN(60, 0.3, check_rate=False), ("I", "II"), options=quick)
    >>> result.status, result.after.neurons, round(result.neuron_sparsity, 6)
    ('all iterations done', 48, 0.2)
    """

    live: LiveNetwork = field(compare=False)
    history: tuple[Record, ...]
    exponents_before: TwinExponents | Spectrum
    exponents_after: TwinExponents | Spectrum
    rates_before: np.ndarray
    rates_after: np.ndarray
    steps: tuple[Step, ...]
    options: PruneOptions
    status: str
    iteration: int
    rate_bounds: tuple[float, float]
    alive: np.ndarray
    changes: Changes | None = field(default=None, compare=False)

    def reapply(self) -> None:
        """Prune the network again after ``network.restore()`` has set it back to a state from before pruning.

        For trials: ``network.restore(); result.reapply(); network.run(...)``. Where the network is as pruning left it,
        nothing is done.

        Raises
        ------
        InvalidInput
            If the network was edited otherwise, during a run, or if this result was pickled. Nothing has changed then.

        Notes
        -----
        Removed are the same synapses, silenced the same neurons, which rest where they are now, and added the same
        synapses as by pruning. Everything else is as it was restored (time, states, plastic weights, traces, spikes in
        flight, delays), except values that pruning has changed, such as biases, time constants and rescaled weights.
        They are those of pruning; a value of a synapse that is not what pruning found there, such as a weight that
        learns, is scaled by the factor by which pruning did so.
        """
        if self.changes is None:
            raise InvalidInput("this result was pickled, and its network is elsewhere; prune again to reapply it")
        self.changes.make()

    @property
    def spec(self) -> NetworkSpec | None:
        """A model of `lnpbrian.models` as it is now, or was when this was pickled; None of any other network."""
        return self.__dict__.get("_spec") if "live" not in self.__dict__ else getattr(self.live, "spec", None)

    @property
    def after(self) -> Record:
        """The record of the network as it is now."""
        return self.history[self.iteration]

    @property
    def neuron_sparsity(self) -> float:
        """Fraction of the neurons that was removed."""
        return 1 - self.after.neurons / self.history[0].neurons

    @property
    def synapse_sparsity(self) -> float:
        """Fraction of the synapses that was removed."""
        return 1 - self.after.synapses / self.history[0].synapses

    @property
    def warning(self) -> str:
        """Says that the mean rate is outside its bounds, or that it or the variation of intervals has changed by more
        than a factor of 1.2; else empty."""
        before, now = self.history[0].mean_rate_hz, self.after.mean_rate_hz
        low, high = self.rate_bounds
        said = []
        if not low <= now <= high:
            said.append(f"mean rate {now:.3g} Hz is outside {low:g}..{high:g} Hz")
        if now > CHANGE * before:
            said.append(f"mean rate rose {now / before:.1f}-fold")
        elif before > CHANGE * now:
            said.append(f"mean rate fell {before / now:.1f}-fold" if now else "no neuron fires any more")
        varied, varies = self.history[0].interval_cv, self.after.interval_cv
        if varied and varies and max(varied, varies) > IRREGULAR and not 1 / CHANGE <= varies / varied <= CHANGE:
            said.append(f"variation of intervals went from {varied:.2f} to {varies:.2f}")
        return ", ".join(said)

    def to_dataframe(self) -> Any:
        """Return the history as a pandas DataFrame, one row per iteration.

        Raises
        ------
        InvalidInput
            If pandas is not installed.
        """
        return data_frame([asdict(record) for record in self.history], "iteration")

    def __eq__(self, other: object) -> bool:
        return same(self, other) if isinstance(other, PruneResult) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def __getstate__(self) -> dict[str, Any]:
        return {**{k: v for k, v in self.__dict__.items() if k != "live"}, "changes": None, "_spec": self.spec}

    def __getattr__(self, name: str) -> Any:
        if name == "live" and "history" in self.__dict__:
            raise InvalidInput(
                "this result was pickled, which live Brian2 objects cannot be; use its `alive`, `spec` and `history`"
            )
        raise AttributeError(f"a PruneResult has no attribute {name!r}")

    def _repr_html_(self) -> str:
        first, now = self.history[0], self.after
        rows = [
            ("neurons", first.neurons, now.neurons),
            ("synapses", first.synapses, now.synapses),
            ("mean rate (Hz)", f"{first.mean_rate_hz:.1f}", f"{now.mean_rate_hz:.1f}"),
            ("largest exponent (1/s)", _exponent(first), _exponent(now)),
            *(
                [("spectral radius", *(f"{r.spectral_radius:.2f}" for r in (first, now)))]
                if first.spectral_radius
                else []
            ),
        ]
        history = [
            (r.iteration, r.neurons, r.synapses, f"{r.mean_rate_hz:.1f}", _exponent(r), "yes" if r.stable else "no")
            for r in self.history
        ]
        said = f"{self.status}{f'; warning: {self.warning}' if self.warning else ''}"
        head = ["iteration", "neurons", "synapses", "mean rate (Hz)", "largest exponent (1/s)", "stable"]
        return as_html(said, ["", "before", "after"], rows) + as_html("history", head, history)

    def __repr__(self) -> str:
        first, now = self.history[0], self.after
        return (
            f"PruneResult({first.neurons} -> {now.neurons} neurons, {first.synapses} -> {now.synapses} synapses, "
            f"{first.mean_rate_hz:.1f} -> {now.mean_rate_hz:.1f} Hz{_radii(first, now)}; {self.status}"
            f"{f'; warning: {self.warning}' if self.warning else ''})"
        )


@dataclass(frozen=True)
class Progress:
    """Where a pruning run is: `fraction` of the whole, and what it is doing.

    Attributes
    ----------
    rates_before : array of float, shape (N,), Hz, optional
        `PruneResult.rates_before`, as soon as it is known.
    """

    iteration: int
    iterations: int
    step: str
    fraction: float
    rates_before: np.ndarray | None = field(default=None, repr=False, compare=False)


class Bar:
    """Shows `Progress` as one line that grows, in a notebook or a terminal, else as a line every tenth of the way.

    Parameters
    ----------
    file : text file, optional
        Where to, by default standard error.

    Examples
    --------
    >>> import sys
    >>> bar = Bar(sys.stdout)
    >>> for done in (0.0, 0.05, 0.5, 1.0):
    ...     bar(Progress(1, 2, "step I", done))
    [                    ]   0 %  iteration 1 of 2, step I
    [##########          ]  50 %  iteration 1 of 2, step I
    [####################] 100 %  iteration 1 of 2, step I
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self.file = sys.stderr if file is None else file
        self.grows = self.file.isatty() or "ipykernel" in sys.modules
        self.shown = -1

    def __call__(self, now: Progress) -> None:
        """Show where the run is."""
        tenths, length = int(10 * now.fraction + 1e-9), int(20 * now.fraction + 1e-9)
        if not self.grows and tenths <= self.shown:
            return
        self.shown = tenths
        where = f"iteration {now.iteration} of {now.iterations}, {now.step}"
        line = f"[{'#' * length:20}] {100 * now.fraction:3.0f} %  {where}"
        print(f"\r{line:79}" if self.grows else line, end="" if self.grows else "\n", file=self.file, flush=True)

    def close(self) -> None:
        """End the line."""
        if self.grows and self.shown >= 0:
            print(file=self.file)


def _radii(first: Record, now: Record) -> str:
    if first.spectral_radius is None or now.spectral_radius is None:
        return ""
    return f", spectral radius {first.spectral_radius:.2f} -> {now.spectral_radius:.2f}"


def _exponent(record: Record) -> str:
    return f"{record.largest_exponent_per_s:.3g} ± {record.largest_exponent_standard_error_per_s:.2g}"


def record_from(saved: dict[str, Any]) -> Record:
    """Return the record that was written as JSON types.

    Raises
    ------
    InvalidInput
        If an entry is missing, not known, or of another type.
    """
    try:
        values: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in saved.items()}
        record = Record(**values)
    except (TypeError, AttributeError) as error:
        raise InvalidInput(f"an iteration is not recorded as it was written ({error})") from error
    for name, kind in get_type_hints(Record).items():
        if not _fits(values[name], kind) or ("standard_error" in name and values[name] < 0):
            raise InvalidInput(f"{name} of an iteration cannot be {saved[name]!r}")
    return record


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of the type of a field of `Record`; whole numbers are numbers too."""
    inner = get_args(kind)
    if isinstance(kind, UnionType):
        return any(_fits(value, one) for one in inner)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(one, inner[0]) for one in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(_fits(one, inner[1]) for one in value.values())
    if kind is float and type(value) is int:
        return abs(value) < 2**63
    return type(value) is kind and (kind is not int or 0 <= value < 2**63)
