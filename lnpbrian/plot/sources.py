"""What plots are drawn of: results, networks and files, as the numbers that they hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Quantity, SpikeMonitor, have_same_dimensions, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.exponents import Exponents, Spectrum
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import SpikeTrain
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.pruning.history import PruneResult, Record, record_from
from lnpbrian.records import read_json

__all__: list[str] = []

RECORD, NETWORK, SPECTRUM = "run.json", "network.npz", "spectrum.json"


def run_record(path: str | os.PathLike[str]) -> Any:
    """Return what a ``run.json`` holds, by its path or that of its folder."""
    return _json(path, RECORD, "history", "run of lnpbrian prune")


def _json(path: str | os.PathLike[str], name: str, entry: str, what: str) -> Any:
    file = Path(path) / name if Path(path).is_dir() else Path(path)
    try:
        content = read_json(file)
        content[entry]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{os.fspath(path)!r} is no {what} ({error!r})") from error
    return content


def records_of(result: Any) -> tuple[Sequence[Record], int]:
    """Return the records of a run, and the iteration that its network is left of."""
    result = getattr(result, "pruning", result)
    if isinstance(result, PruneResult):
        return result.history, result.iteration
    if isinstance(result, (str, os.PathLike)):
        run = run_record(result)
        try:
            records = [record_from(record) for record in run["history"]]
            left = checks.count("iteration", run["iteration"], minimum=0, at_most=len(records) - 1)
        except (KeyError, TypeError) as error:
            raise InvalidInput(f"{os.fspath(result)!r} is no run of lnpbrian prune ({error!r})") from error
        except InvalidInput as error:
            raise InvalidInput(f"{os.fspath(result)!r} is no run of lnpbrian prune: {error}") from error
        return records, left
    if isinstance(result, Sequence) and result and all(isinstance(record, Record) for record in result):
        return result, result[-1].iteration
    raise InvalidInput(f"history draws a PruneResult, or the folder of a run, got {type(result).__name__}")


def by_name(given: Any) -> dict[str, Any]:
    """Return things by name, of which a single one has none.

    Examples
    --------
    >>> by_name("a network"), by_name({"before": 1, "after": 2})
    ({'': 'a network'}, {'before': 1, 'after': 2})
    """
    if not isinstance(given, Mapping):
        return {"": given}
    if not given:
        raise InvalidInput("there is nothing to draw; give at least one")
    return {str(name): one for name, one in given.items()}


def networks_of(given: Any, also: tuple[type, ...] = ()) -> dict[str, Any]:
    """Return networks by name: specs, live networks, arrays, or what else is allowed.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> networks_of({"small": uncoupled([10] * ms)})
    {'small': NetworkSpec(uncoupled, 1 neurons (0 silent), 0 synapses)}
    """
    if hasattr(given, "pruning") and isinstance(getattr(given, "before", None), NetworkSpec):
        return {"before": given.before, "after": given.after}
    return {name: _network(one, also) for name, one in by_name(given).items()}


def _network(one: Any, also: tuple[type, ...]) -> Any:
    if isinstance(one, PruneResult):
        if "live" in one.__dict__:
            return _network(one.live, also)
        if one.spec is None:
            raise InvalidInput("this result was pickled without its network, of which there is nothing to draw")
        return one.spec
    if isinstance(one, (str, os.PathLike)):
        return NetworkSpec.load(Path(one) / NETWORK if Path(one).is_dir() else one)
    if isinstance(one, RecurrentNetwork):
        return one.spec
    if isinstance(one, (NetworkSpec, LiveNetwork, np.ndarray, list, tuple, *also)):
        return one
    raise InvalidInput(f"a network is drawn of a NetworkSpec, live objects or a file, got {type(one).__name__}")


def time_constants_of(network: Any) -> np.ndarray:
    """Return the time constants of living neurons in seconds.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> time_constants_of(uncoupled([10, 20] * ms)).tolist()
    [0.01, 0.02]
    """
    if isinstance(network, NetworkSpec):
        return network.time_constants[network.alive]
    if not isinstance(network, LiveNetwork):
        return checks.array("time constants", in_seconds("time constants", network), shape=(None,))
    known = network.time_constants[network.alive & network.is_neuron]
    if np.isnan(known).any():
        raise InvalidInput("time constants of this network are not known; say them to LiveNetwork")
    return known


def in_seconds(name: str, given: Any) -> Any:
    """Return times without their unit; other units are refused.

    Examples
    --------
    >>> from brian2 import ms
    >>> in_seconds("times", [5, 20] * ms).tolist(), in_seconds("times", 0.5)
    ([0.005, 0.02], 0.5)
    """
    if not isinstance(given, Quantity):
        return given
    if not have_same_dimensions(given, second):
        raise InvalidInput(f"{name} must be in seconds or times, got dimension {given.dim}")
    return np.asarray(given)


def graph_of(network: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return source and target of every synapse, and which neurons live.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> pair = replace(uncoupled([10, 20] * ms), pre=[0], post=[1], weights=[2.0])
    >>> [part.tolist() for part in graph_of(pair)]
    [[0], [1], [True, True]]
    """
    if isinstance(network, NetworkSpec):
        return network.pre, network.post, network.alive
    if isinstance(network, LiveNetwork):
        return *network.edges(), network.alive & network.is_neuron
    raise InvalidInput(f"synapses are drawn of a NetworkSpec, live objects or a file, got {type(network).__name__}")


def spectra_of(given: Any) -> tuple[list[Mapping[str, Any]], str]:
    """Return spectra as records of ``spectrum.json``, and the unit of exponents."""
    keys = {"name", "dimension", "exponents_per_s", "standard_errors_per_s"}

    def are_records(there: Any) -> bool:
        return (
            isinstance(there, Sequence)
            and bool(there)
            and all(isinstance(r, Mapping) and keys <= set(r) for r in there)
        )

    if isinstance(given, (str, os.PathLike)):
        path, given = given, _json(given, SPECTRUM, "networks", "file of lnpbrian spectrum")["networks"]
        if not are_records(given):
            raise InvalidInput(f"{os.fspath(path)!r} is no file of lnpbrian spectrum; it holds no spectra")
    if are_records(given):
        return [_checked_record(record) for record in given], "1/s"
    if isinstance(given, Sequence) and not given:
        raise InvalidInput("there is no spectrum to draw; give at least one")
    named = by_name(given)
    records: list[Mapping[str, Any]] = []
    for name, one in named.items():
        if isinstance(one, Spectrum):
            values, errors, dimension = one.exponents, one.standard_errors, one.dimension
        else:
            values = checks.array("exponents", one, shape=(None,), finite=False)
            if not values.size:
                raise InvalidInput("there is no exponent to draw; give at least one")
            errors, dimension = np.full(values.size, np.nan), values.size
        records.append(
            {
                "name": name,
                "dimension": dimension,
                "exponents_per_s": values,
                "standard_errors_per_s": errors,
            }
        )
    return records, unit_of([one for one in named.values() if isinstance(one, Spectrum)])


@dataclass(frozen=True)
class Estimates:
    """Running estimates of leading exponents, shape (intervals, k), what they are of, and the errors of their ends."""

    name: str
    interval: float
    values: np.ndarray
    errors: Sequence[float | None] | np.ndarray
    what: str = "largest exponent"
    unit: str = "1/s"


def estimates_of(given: Any) -> list[Estimates]:
    """Return the running estimates of exponents, by the objects or the records that have them."""
    if isinstance(given, (str, os.PathLike, Sequence)):
        return [_recorded(record) for record in spectra_of(given)[0]]
    result = getattr(given, "pruning", given)
    if isinstance(result, PruneResult):
        named: dict[str, Any] = {"before": result.exponents_before, "after": result.exponents_after}
    else:
        named = by_name(given)
    for one in named.values():
        checks.instance("measured", one, Exponents, "give a Spectrum, TwinExponents or PruneResult")
    unit = unit_of(named.values())
    return [_estimates(name, one, unit) for name, one in named.items()]


def _recorded(record: Mapping[str, Any]) -> Estimates:
    try:
        trace, interval = record["largest_exponent_trace_per_s"], record["options"]["reorthonormalise_every_ms"]
        values = checks.array("trace", [np.nan if x is None else x for x in trace], shape=(None,), finite=False)
        interval = 1e-3 * checks.real("reorthonormalise_every_ms", interval, above=0)
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"the record of {record['name']!r} holds no running estimate (no {error})") from error
    return Estimates(str(record["name"]), interval, values[:, np.newaxis], record["standard_errors_per_s"][:1])


def _estimates(name: str, one: Exponents, unit: str) -> Estimates:
    if isinstance(one, Spectrum):
        return Estimates(name, one.interval, one.trace, one.standard_errors, unit=unit)
    kept = one.largest_exponent is not None
    error = one.standard_error if kept else getattr(one, "window_standard_error", None)
    trace = one.trace if one.trace.ndim > 1 else one.trace[:, np.newaxis]
    interval = one.duration / max(len(trace), 1)
    return Estimates(name, interval, trace, [error], "largest exponent" if kept else "window exponent", unit)


def _checked_record(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record of a spectrum with arrays, in which what is not known is NaN."""
    names = ("exponents_per_s", "standard_errors_per_s")
    values, errors = (
        checks.array(name, [np.nan if x is None else x for x in record[name]], shape=(None,), finite=False)
        for name in names
    )
    if not values.size or errors.shape != values.shape:
        raise InvalidInput(f"a spectrum has exponents, each with an error, got {values.size} and {errors.size}")
    dimension = checks.count("dimension", record["dimension"], minimum=values.size, at_most=None)
    return {**record, "dimension": dimension, names[0]: values, names[1]: errors}


def unit_of(measured: Iterable[Any]) -> str:
    """Return the unit of exponents; those of systems without spikes have no rates."""
    systems = [isinstance(one, Spectrum) and not one.rates.size for one in measured]
    return "1/unit of time" if systems and all(systems) else "1/s"


def spikes_of(spikes: Any) -> SpikeTrain:
    if isinstance(spikes, SpikeTrain):
        return spikes
    if isinstance(spikes, SpikeMonitor):
        order = np.argsort(spikes.t_, kind="stable")
        end = float(spikes.clock.t / second)
        return SpikeTrain(np.array(spikes.i[:])[order], np.array(spikes.t_[:])[order], len(spikes.source), end)
    if not isinstance(spikes, (tuple, list)) or len(spikes) != 2:
        raise InvalidInput(
            f"raster draws a SpikeTrain, a SpikeMonitor, or neurons and times, got {type(spikes).__name__}"
        )
    times = checks.array("times of spikes", in_seconds("times of spikes", spikes[1]), shape=(None,))
    indices = checks.array("neurons of spikes", spikes[0], shape=times.shape, dtype=int)
    if indices.size and indices.min() < 0:
        raise InvalidInput(f"neurons of spikes must not be negative, got {indices.min()}")
    if times.size and times.min() < 0:
        raise InvalidInput(f"times of spikes must not be negative, got {times.min():g} s")
    n, end = (int(indices.max()) + 1, float(times.max())) if indices.size else (1, 1.0)
    return SpikeTrain(indices, times, n, end or 1.0)
