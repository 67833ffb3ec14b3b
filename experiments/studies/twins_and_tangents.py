"""Where perturbed twins and tangent dynamics of a spiking network agree, and where the time grid keeps them apart.

    lnpbrian sweep twins_and_tangents --scale medium --neurons 200 --out runs/twins_and_tangents

How a small difference grows in a chaotic network,
the largest exponent over the size of the perturbation, and how spectra along clock-driven trajectories approach the
exact one. On the time grid a spike on the same step in both twins erases the difference of its neuron, so that a small
one never grows, while a larger one makes spikes fall on different steps and jumps. Precise twins follow the tangent
vector until they are too far apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from brian2 import NetworkOperation, ms, second
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from lnpbrian.experiments.common import Plan, Report, Result, Streams, Task, finish
from lnpbrian.experiments.studies.twin_perturbation import draw_exponents, exponent_text, twin_record
from lnpbrian.lyapunov import block_twin_exponents, lyapunov_spectrum
from lnpbrian.lyapunov.lif_tangent import LIFTangent
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network import Drive, NetworkSpec, RecurrentNetwork, noise_drive
from lnpbrian.network.signals import drive_operation
from lnpbrian.network.simulate import simulated_spike_train
from lnpbrian.records import plain

NAME = "twins_and_tangents"
SEED = 0
TIMINGS = ("grid", "precise")
# Fast synapses: their chaos is strong enough to be seen within a few hundred milliseconds.
CHAOTIC = LIFParameters(gain=0.5, synaptic_time_constant=2 * ms, dt=0.01 * ms)
SETTLING, DURATION = 200 * ms, 1 * second
PERTURBATIONS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
# Of the differences that are followed: their first sizes, how many there are of each, how long and how often one looks.
SIZES, TWINS, WATCHED, EVERY = (1e-6, 1e-4), 4, 400 * ms, 2 * ms
# Weak synapses, and inputs above threshold that are constant: no crossing is so flat that a step misses it, and no
# spike slips past a change of the drive.
STABLE = LIFParameters(gain=0.05, bias=(2.0, 2.6))
INPUTS = 8
STEPS_MS = (0.5, 0.25, 0.125, 0.0625, 0.03125)

COLORS = {"grid": "#7a7a7a", "precise": "#d1495b", "tangent": "#1b3a57"}


def tasks(plan: Plan) -> dict[str, Task]:
    """Return the measurements of the three panels; the first two share network and drive."""
    options = {"neurons": plan.scale.neurons, "seed": SEED}
    return {
        panel: Task(panel, f"{__name__}:measured", {"panel": panel, **options})
        for panel in ("difference", "exponents", "spectra")
    }


def measured(options: Mapping[str, Any], *, report: Report) -> Result:
    """Measure the numbers of a panel."""
    neurons, panel, streams = options["neurons"], options["panel"], Streams(options["seed"])
    if panel == "spectra":
        return Result(measure_spectra(streams))
    spec = HRSNN(neurons, 0.1, parameters=CHAOTIC, check_rate=False, seed=options["seed"]).spec
    drive = noise_drive(neurons, duration=SETTLING + DURATION, rng=streams.rng("drive"))
    if panel == "exponents":
        return Result(measure_exponents(spec, drive, streams))
    return Result(measure_difference(spec, drive, streams.rng("perturbations")))


def summarise(plan: Plan, results: Mapping[str, Result]) -> dict[str, Any]:
    """Return the numbers of the three panels."""
    found = {panel: result.record for panel, result in results.items()}
    return {"seeds": [SEED], "neurons": plan.scale.neurons, "dt_ms": plain(CHAOTIC.dt), **found}


def measure_difference(spec: NetworkSpec, drive: Drive, rng: np.random.Generator) -> dict[str, Any]:
    """Follow differences of twins, and the tangent vectors along the run of the precise ones, from one perturbation."""
    first_sizes = np.repeat(SIZES, TWINS)
    moved = first_sizes[:, np.newaxis] * np.tile(rng.standard_normal((TWINS, spec.n_neurons)), (len(SIZES), 1))
    grid, _ = twin_differences(spec, drive, moved)
    precise, reference = twin_differences(spec.with_timing("precise"), drive, moved)
    tangent = tangent_differences(spec, drive, moved, reference)
    # A row for each look, a column for each twin.
    ratio = (root_mean_square(precise) / root_mean_square(tangent))[root_mean_square(precise) < 1e-3]
    return {
        "first_sizes": first_sizes.tolist(),
        "time_ms": [round(float(k * EVERY / ms), 6) for k in range(len(grid))],
        # Of the grid all twins, of the others the first one.
        "grid": [rounded(column) for column in root_mean_square(grid).T],
        "precise": rounded(root_mean_square(precise)[:, 0]),
        "tangent": rounded(root_mean_square(tangent)[:, 0]),
        "last_sizes": {name: rounded(root_mean_square(d)[-1]) for name, d in (("grid", grid), ("precise", precise))},
        "precise_over_tangent_below_1e-3": rounded(np.quantile(ratio, [0.05, 0.25, 0.5, 0.75, 0.95])),
    }


def twin_differences(
    spec: NetworkSpec, drive: Drive, moved: np.ndarray
) -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """Return the differences of all twins at each look, and what turns a tangent vector into one of potentials."""
    copies = len(moved) + 1
    live = RecurrentNetwork(spec.replicated(copies), plastic=False)
    neurons, n = live.neurons, spec.n_neurons
    differences: list[np.ndarray] = []
    reference: list[tuple[np.ndarray, np.ndarray]] = []

    def look() -> None:
        now = float(live.network.t_)
        if now < float(SETTLING) - spec.dt / 2:
            return
        if spec.spike_timing == "precise":
            left = np.clip(neurons.release_[:n] - neurons.advance_[:n] - now, 0, spec.refractory_period)
            held = left > 0
            current = neurons.I_bias_[:n] + neurons.I_ext_[:n] + neurons.I_syn_[:n]
            reference.append((np.where(held, current, 1.0), left / spec.time_constants))
        else:
            held = ~neurons.not_refractory_[:n]
        if not differences:
            neurons.v_[n:] = neurons.v_[n:] + np.where(held, 0.0, moved).ravel()
        blocks = live.state_values().reshape(copies, n)
        differences.append(blocks[1:] - blocks[0])

    live.network.add(NetworkOperation(look, dt=EVERY, when="start", order=-1, name="lnpbrian_look"))
    live.network.add(drive_operation(neurons, drive, copies=copies))
    # The last look is at the start of the step after the end.
    live.run(SETTLING + WATCHED + spec.dt * second)
    return differences, reference


def tangent_differences(
    spec: NetworkSpec, drive: Drive, moved: np.ndarray, reference: list[tuple[np.ndarray, np.ndarray]]
) -> list[np.ndarray]:
    """Return the tangent vectors, in the potentials that precise twins are compared in, at each look."""
    n = spec.n_neurons
    spikes = simulated_spike_train(spec.with_timing("precise"), float(SETTLING + WATCHED), drive=drive)
    system = LIFTangent(spec, spikes, drive)
    vectors = np.zeros((2 * n, len(moved)))
    system.advance(vectors, float(SETTLING))
    free = reference[0][1] == 0
    vectors[:n][free] = moved.T[free]
    differences = []
    for k, (scale, left) in enumerate(reference):
        if k:
            system.advance(vectors, float(EVERY))
        # A held neuron's coordinate is -shift/tau of its release, from which its potential is extrapolated back.
        differences.append((scale * vectors[:n].T) - left * vectors[n:].T)
    return differences


def root_mean_square(differences: list[np.ndarray]) -> np.ndarray:
    """Return the root mean square over neurons, the last axis.

    Examples
    --------
    >>> root_mean_square([np.array([1.0, 7.0]), np.array([2.0, -2.0])]).tolist()
    [5.0, 2.0]
    """
    return np.sqrt(np.mean(np.square(differences), axis=-1))


def rounded(values: np.ndarray) -> list[float]:
    """Return numbers of five digits.

    Examples
    --------
    >>> rounded(np.array([1.234567, 1e-9]))
    [1.2346, 1e-09]
    """
    return [float(f"{value:.5g}") for value in values]


def measure_exponents(spec: NetworkSpec, drive: Drive, streams: Streams) -> dict[str, Any]:
    """Return the largest exponent of twins by timing and perturbation, and that of the tangent dynamics.

    Twins as in arXiv 2403.03409, section A.1; tangent dynamics as in Benettin et al. 1980, doi:10.1007/BF02128236.
    """
    tangents = {}
    for trajectory in ("exact", "brian2"):
        spectrum = lyapunov_spectrum(
            spec.with_timing("precise"),
            n_exponents=1,
            duration=DURATION,
            transient=SETTLING,
            inputs=drive,
            trajectory=trajectory,
            rng=streams.rng("vectors"),
        )
        tangents[trajectory] = {
            "largest_exponent_per_s": spectrum.largest_exponent,
            "standard_error_per_s": spectrum.standard_error,
            "mean_rate_hz": float(spectrum.rates.mean()),
        }
    rows, silent = [], np.zeros(0)
    for timing in TIMINGS:
        for size in PERTURBATIONS:
            twins = block_twin_exponents(
                spec.with_timing(timing),
                drive=drive,
                duration=DURATION,
                transient=SETTLING,
                perturbation=size,
                directions="kept",
                realisations=2,
                rng=streams.rng("twins"),
            )
            rows.append({"spike_timing": timing, "perturbation": size, **twin_record(twins)})
            if timing == "grid":
                silent = spec.time_constants[twins.rates == 0]
    return {
        "tangent": tangents,
        "twins": rows,
        "neurons_that_never_fire": int(silent.size),
        # No spike ever erases their difference.
        "slowest_of_them_per_s": -1 / float(silent.max()) if silent.size else None,
    }


def measure_spectra(streams: Streams) -> dict[str, Any]:
    """Return the errors of whole spectra along trajectories of Brian2, averaged over inputs, by timing and step.

    Spectra by QR decomposition: Benettin et al. 1980, doi:10.1007/BF02128236.
    """
    neurons, duration = 30, 200 * ms
    base = HRSNN(neurons, 0.2, parameters=STABLE, check_rate=False, seed=streams.seed).spec
    generator = streams.rng("drives of the stable network")
    drives = [noise_drive(neurons, duration=duration, hold=duration, rng=generator) for _ in range(INPUTS)]
    specs = {(timing, dt): replace(base, spike_timing=timing, dt=1e-3 * dt) for timing in TIMINGS for dt in STEPS_MS}
    errors: dict[Any, list[float]] = {key: [] for key in specs}
    miscounted = dict.fromkeys(specs, 0)
    magnitudes, spikes = [], 0
    for drive in drives:
        options: dict[str, Any] = {"inputs": drive, "transient": 0 * ms, "duration": duration}
        exact = lyapunov_spectrum(base, rng=streams.rng("vectors"), **options)
        magnitudes.append(np.abs(exact.exponents).mean())
        spikes += round(float(exact.rates.sum() * exact.duration))
        for key, spec in specs.items():
            spectrum = lyapunov_spectrum(spec, trajectory="brian2", rng=streams.rng("vectors"), **options)
            errors[key].append(np.abs(spectrum.exponents - exact.exponents).mean())
            miscounted[key] += round(float(np.abs(spectrum.rates - exact.rates).sum() * exact.duration))
    rows = [
        {
            "spike_timing": timing,
            "dt_ms": dt,
            "mean_absolute_error_per_s": float(np.mean(errors[timing, dt])),
            "largest_of_an_input_per_s": float(np.max(errors[timing, dt])),
            "spikes_more_or_less": miscounted[timing, dt],
        }
        for timing, dt in specs
    ]
    return {
        "neurons": neurons,
        "inputs": INPUTS,
        "spikes": spikes,
        "mean_magnitude_per_s": float(np.mean(magnitudes)),
        "rows": rows,
    }


def tables(content: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Return largest exponents, and errors of whole spectra."""
    exponents = [["dynamics", "perturbation", "largest exponent (1/s)"]]
    for name, r in content["exponents"]["tangent"].items():
        exponents.append([f"tangent, {name}", "", exponent_text(r)])
    for r in content["exponents"]["twins"]:
        exponents.append([f"{r['spike_timing']} twins", f"{r['perturbation']:g}", exponent_text(r)])
    errors = [["spikes", "step (ms)", "mean error of the exponents (1/s)"]]
    for r in content["spectra"]["rows"]:
        errors.append([r["spike_timing"], f"{r['dt_ms']:g}", f"{r['mean_absolute_error_per_s']:.2g}"])
    return {"Largest exponents": exponents, "Spectra of clock-driven runs": errors}


def draw(content: Mapping[str, Any]) -> Figure:
    """Draw the three panels."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    draw_difference(left, content["difference"])
    draw_largest(middle, content["exponents"])
    draw_spectra(right, content["spectra"])
    return finish(figure)


def draw_difference(axis: Axes, difference: dict[str, Any]) -> None:
    """Draw the size of the differences over time."""
    time = difference["time_ms"]
    for k, sizes in enumerate(difference["grid"]):
        axis.plot(time, sizes, color=COLORS["grid"], linewidth=0.8, label=None if k else "grid twins")
    axis.plot(time, difference["precise"], color=COLORS["precise"], linewidth=2.5, label="precise twin")
    axis.plot(time, difference["tangent"], color=COLORS["tangent"], linewidth=1.2, linestyle="--", label="tangent")
    axis.set(
        yscale="log",
        xlabel="time after the perturbation (ms)",
        ylabel="difference of potentials (threshold)",
        title="growth of a difference",
    )
    axis.legend(frameon=False)


def draw_largest(axis: Axes, exponents: dict[str, Any]) -> None:
    """Draw the exponent over the perturbation, and the tangent dynamics' as a band."""
    axis.axhline(0, color="black", linewidth=0.6)
    tangent = exponents["tangent"]["exact"]
    value, error = tangent["largest_exponent_per_s"], tangent["standard_error_per_s"]
    axis.axhspan(value - error, value + error, color=COLORS["tangent"], alpha=0.2, linewidth=0)
    axis.axhline(value, color=COLORS["tangent"], linestyle="--", linewidth=1.2, label="tangent")
    for timing in TIMINGS[::-1]:
        mine = [r for r in exponents["twins"] if r["spike_timing"] == timing]
        draw_exponents(axis, mine, markersize=5, color=COLORS[timing], label=f"{timing} twins")
    if exponents["slowest_of_them_per_s"] is not None:
        axis.annotate(
            r"$-1/\tau_m$ of the slowest silent neuron",
            (min(r["perturbation"] for r in exponents["twins"]), exponents["slowest_of_them_per_s"]),
            xytext=(-4, -6),
            textcoords="offset points",
            color=COLORS["grid"],
            va="top",
            fontsize="small",
        )
    axis.margins(y=0.12)
    axis.set(
        xscale="log",
        xlabel="perturbation of the potentials (threshold)",
        ylabel="largest exponent (1/s)",
        title="largest exponent",
    )
    axis.legend(frameon=False, loc="upper left")


def draw_spectra(axis: Axes, spectra: dict[str, Any]) -> None:
    """Draw the error of the spectrum over the step, and guide lines of first and second order."""
    for timing, order in zip(TIMINGS, (1, 2), strict=True):
        mine = [r for r in spectra["rows"] if r["spike_timing"] == timing]
        steps = np.array([r["dt_ms"] for r in mine])
        errors = np.array([r["mean_absolute_error_per_s"] for r in mine])
        axis.plot(steps, errors, "o-", markersize=5, color=COLORS[timing], label=f"{timing} spikes")
        guide = errors[-1] / 3 * (steps / steps[-1]) ** order
        axis.plot(steps, guide, ":", color=COLORS[timing], linewidth=1.2)
        middle = steps.size // 2
        axis.annotate(
            f"slope {order}",
            (steps[middle], guide[middle]),
            xytext=(6, -4),
            textcoords="offset points",
            color=COLORS[timing],
            va="top",
        )
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="time step (ms)",
        ylabel="mean error of the exponents (1/s)",
        title="spectrum of a clock-driven run",
    )
    axis.set_xticks(steps, [f"{step:.3g}" for step in steps])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.legend(frameon=False)
