"""What the experiments on the test bed share: networks at a spectral radius, largest weights, comparisons by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import second

from lnpbrian.checks import InvalidInput
from lnpbrian.experiments.common.plan import Plan, Report
from lnpbrian.experiments.common.statistics import mean_and_error
from lnpbrian.learning.benchmarks import BENCHMARKS, BenchmarkResult, evaluate_benchmarks
from lnpbrian.network import (
    Drive,
    LinearResponse,
    NetworkSpec,
    RecurrentNetwork,
    linear_response,
    mean_rates,
    noise_drive,
    slow_response,
    synaptic_operations,
)
from lnpbrian.pruning.controls import activity_pruning, at_radius, magnitude_pruning, random_network, thinned
from lnpbrian.streams import Streams

if TYPE_CHECKING:
    from lnpbrian.pruning import Progress, PruneResult, Step

__all__ = [
    "THINNED",
    "as_small",
    "at_factor",
    "bed_drive",
    "bed_measured",
    "bed_response",
    "bed_samples",
    "best_choice",
    "by_activity",
    "largest_weights",
    "paired",
    "restored",
    "unbound",
    "worth",
]


# Ways of thinning a network without scores.
THINNED: dict[str, dict[str, Any]] = {
    "even and connected": {"sampling": "even", "connected": True},
    "even": {"sampling": "even"},
    "fixed in-degree": {"sampling": "systematic"},
    "random": {},
}


def unbound(
    model: RecurrentNetwork,
    steps: Sequence[Step | str] | None,
    options: Mapping[str, Any],
    *,
    drive: Drive,
    seed: int,
    report: Report,
    end: float = 0.5,
) -> PruneResult:
    """Prune a model, whatever its rates and exponents come to; `end` is how far the task is then."""
    from lnpbrian.pruning import PruneOptions, prune

    chosen = PruneOptions(**options, rates=(0.0, 1e4), exponent_growth=None)

    def told(now: Progress) -> None:
        report(end * now.fraction, f"iteration {now.iteration}, {now.step}")

    return prune(model, steps, options=chosen, drive=drive, seed=seed, report=told)


def as_small(
    way: str,
    full: NetworkSpec,
    *,
    n_synapses: int,
    n_neurons: int | None = None,
    rng: np.random.Generator,
    rates: np.ndarray | None = None,
) -> NetworkSpec:
    """Return a network made of a full one without exponents: one of `THINNED`, Erdos-Renyi, magnitude, uncoupled.

    With `rates` it has the mean inputs of the full one. Random networks of LNP's size: arXiv 2403.03409, section 4.1.

    Examples
    --------
    >>> from lnpbrian.models import HRSNN
    >>> full = HRSNN(50, 0.2, check_rate=False).spec
    >>> cycle = as_small("even and connected", full, n_synapses=50, rng=np.random.default_rng(0))
    >>> np.unique(np.bincount(cycle.post)), np.unique(np.bincount(cycle.pre))
    (array([1]), array([1]))
    """
    n = full.n_alive if n_neurons is None else n_neurons
    if way in THINNED:
        return thinned(full, n_synapses=n_synapses, rng=rng, rates=rates, **THINNED[way])
    if way == "Erdos-Renyi":
        return random_network(full, n_neurons=n, n_synapses=n_synapses, rng=rng, rates=rates)
    if way == "magnitude":
        return magnitude_pruning(full, n_neurons=n, n_synapses=n_synapses, per_sign=True, rates=rates)
    if way == "uncoupled":
        return full.uncoupled(rates)
    known = (*THINNED, "Erdos-Renyi", "magnitude", "uncoupled")
    raise InvalidInput(f"unknown way {way!r} to a smaller network; use one of {', '.join(known)}")


def worth(
    spec: NetworkSpec,
    names: Sequence[str],
    options: Mapping[str, Any],
    report: Report,
    *,
    span: tuple[float, float] = (0.5, 1.0),
    **more: Any,
) -> BenchmarkResult:
    """Return what a network is worth in benchmarks; `span` is how far the task is before and after."""
    begin, end = span
    return evaluate_benchmarks(
        spec,
        names=names,
        seed=options["seed"],
        samples=options["samples"],
        report=lambda fraction: report(begin + (end - begin) * fraction, "benchmarks"),
        **more,
    )


def bed_samples(plan: Plan) -> int:
    """Return how many samples of a stream are shown."""
    return 1600 if plan.scale.neurons >= 400 else 300


def bed_drive(spec: NetworkSpec, seed: int) -> Drive:
    """Return the noise by which rates of the test bed are measured."""
    return noise_drive(spec.n_neurons, duration=1 * second, rng=Streams(seed).child("kept").rng("drive"))


def bed_response(spec: NetworkSpec, seed: int) -> LinearResponse:
    """Return the response to slow input at the rates that a network has under noise."""
    return slow_response(spec, rates=mean_rates(spec, 5.0, settle=1.0, drive=bed_drive(spec, seed)))


def bed_measured(spec: NetworkSpec, seed: int) -> tuple[Drive, LinearResponse]:
    """Return the noise, and the response under it at rates that are measured for longer."""
    drive = bed_drive(spec, seed)
    rates = mean_rates(spec, 5.0, settle=1.0, drive=drive)
    return drive, replace(linear_response(spec, drive, transient=1 * second), rates=rates)


def by_activity(spec: NetworkSpec, drive: Drive, operations: float) -> NetworkSpec:
    """Remove the least active neurons, without training, down to so many operations a second.

    Algorithm 4 of arXiv 2403.03409 without its retraining.
    """
    return activity_pruning(
        spec,
        activity=lambda now: mean_rates(now, 2.0, settle=1.0, drive=drive),
        retrain=lambda now: now,
        operations=operations,
        compensate=True,
    ).spec


def at_factor(spec: NetworkSpec, factor: float, response: LinearResponse) -> NetworkSpec:
    """Return a network with all weights times a factor, and the same mean inputs at the rates of a response."""
    present = response.of_synapses(spec.pre, spec.post, spec.weights).spectral_radius
    return at_radius(spec, factor * present, response=response)


def restored(spec: NetworkSpec, full: NetworkSpec, response: LinearResponse, factor: float = 1.0) -> NetworkSpec:
    """Return a pruned network with the mean inputs of the full one and a factor of its spectral radius.

    Where no cycle is left, the sum of squares of the weights takes the place of the radius. `response` is that of the
    full network.
    """
    present = response.of_synapses(spec.pre, spec.post, spec.weights).spectral_radius
    if present > 0:
        by = factor * response.spectral_radius / present
    else:
        by = factor * np.sqrt((full.weights**2).sum() / (spec.weights**2).sum())
    scaled = replace(spec, weights=spec.weights * by, bias=full.bias)
    return replace(scaled, bias=full.bias + full.mean_input(response.rates) - scaled.mean_input(response.rates))


def largest_weights(spec: NetworkSpec, rates: np.ndarray, operations: float) -> NetworkSpec:
    """Keep the largest weights of each sign, as many as so many operations a second allow.

    Magnitude pruning (Han et al. 2015, arXiv 1506.02626), sign by sign.
    """
    low, high = 1, spec.n_synapses
    while high - low > 1:
        middle = (low + high) // 2
        kept = magnitude_pruning(spec, n_neurons=spec.n_alive, n_synapses=middle, per_sign=True)
        low, high = (middle, high) if synaptic_operations(rates, kept.pre) <= operations else (low, middle)
    return magnitude_pruning(spec, n_neurons=spec.n_alive, n_synapses=low, per_sign=True, rates=rates)


def best_choice(tried: Sequence[Mapping[str, float]], *names: str) -> tuple[dict[str, float], float]:
    """Return what was chosen where the mean capacity is largest, by its names, and that capacity; each trial has all.

    >>> best_choice([{"factor": 1, "mean_ms": 20, "capacity": 4.0}, {"factor": 2, "mean_ms": 20, "capacity": 5.0}],
    ...             "factor", "mean_ms")
    ({'factor': 2, 'mean_ms': 20}, 5.0)
    """
    by_choice: dict[tuple[float, ...], list[float]] = {}
    for one in tried:
        by_choice.setdefault(tuple(one[name] for name in names), []).append(one["capacity"])
    best = max(by_choice, key=lambda choice: float(np.mean(by_choice[choice])))
    return dict(zip(names, best, strict=True)), float(np.mean(by_choice[best]))


def paired(mine: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Return by how much mine are better in a benchmark, seed by seed: mean and standard error of the difference.

    Student 1908, doi:10.1093/biomet/6.1.1.
    """
    sign = 1 if BENCHMARKS[name].higher_is_better else -1
    return list(mean_and_error([sign * (a[name] - b[name]) for a, b in zip(mine, others, strict=True)]))
