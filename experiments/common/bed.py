"""What the experiments on the test bed share: networks at a spectral radius, largest weights, comparisons by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from brian2 import second

from lnpbrian.experiments.common.plan import Plan
from lnpbrian.experiments.common.statistics import mean_and_error
from lnpbrian.learning.benchmarks import BENCHMARKS
from lnpbrian.network import Drive, NetworkSpec, noise_drive
from lnpbrian.network.probing import linear_response
from lnpbrian.network.response import LinearResponse, slow_response
from lnpbrian.network.simulate import mean_rates
from lnpbrian.network.spec import synaptic_operations
from lnpbrian.pruning.controls import activity_pruning, at_radius, magnitude_pruning
from lnpbrian.streams import Streams

__all__ = [
    "at_factor",
    "bed_drive",
    "bed_measured",
    "bed_response",
    "bed_samples",
    "best_choice",
    "by_activity",
    "largest_weights",
    "paired",
    "plus_minus",
    "restored",
    "tuned_factor",
]


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


def tuned_factor(tried: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Return the factor of the largest mean capacity, and that capacity; each trial has both.

    Examples
    --------
    >>> tuned_factor([{"factor": 1.0, "capacity": 4.0}, {"factor": 1.2, "capacity": 5.0}])
    (1.2, 5.0)
    """
    best, capacity = best_choice(tried, "factor")
    return best["factor"], capacity


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


def plus_minus(value: Sequence[float], digits: int) -> str:
    """Return a mean and its standard error as text.

    Examples
    --------
    >>> plus_minus((1.25, 0.5), 2)
    '1.25 ± 0.50'
    """
    return f"{value[0]:.{digits}f} ± {value[1]:.{digits}f}"
