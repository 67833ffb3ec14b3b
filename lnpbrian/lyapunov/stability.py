"""How stable a network is, as one record of plain numbers: its spectrum, and the same exponent from twins."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import Quantity, ms, second

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.exponents import Spectrum
from lnpbrian.lyapunov.growth import twin_window
from lnpbrian.lyapunov.spectrum import lyapunov_spectrum
from lnpbrian.lyapunov.twins import block_twin_exponents
from lnpbrian.network.signals import Drive, noise_drive
from lnpbrian.network.simulate import precise_timing
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.records import plain
from lnpbrian.streams import Streams

__all__ = ["SPECTRUM", "SpectrumOptions", "has_converged", "stability_record"]

# What holds the records of `lnpbrian spectrum`.
SPECTRUM = "spectrum.json"

Report = Callable[[float], None]


@dataclass(frozen=True)
class SpectrumOptions:
    """How to measure the spectrum of a network under the noise drive.

    Parameters
    ----------
    n_exponents : int or "all"
        Number of leading exponents.
    duration, transient, reorthonormalise_every : Quantity
        See `lnpbrian.lyapunov.spectrum.lyapunov_spectrum`.
    inputs : int
        Number of noise drives over which is averaged.

    Raises
    ------
    InvalidInput
        If a value is out of range or has the wrong unit.

    Notes
    -----
    Exponents are averaged over inputs as in arXiv 2403.03409, appendix A.1.

    Examples
    --------
    >>> SpectrumOptions(duration=5 * ms)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: duration must hold at least one interval of 10 ms, got 5. ms
    """

    n_exponents: int | str = "all"
    duration: Quantity = field(default_factory=lambda: 1 * second)
    transient: Quantity = field(default_factory=lambda: 200 * ms)
    reorthonormalise_every: Quantity = field(default_factory=lambda: 10 * ms)
    inputs: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.n_exponents, str):
            checks.choice("n_exponents", self.n_exponents, ("all",))
        else:
            checks.count("n_exponents", self.n_exponents)
        checks.seconds("transient", self.transient, at_least=0)
        interval = checks.seconds("reorthonormalise_every", self.reorthonormalise_every)
        if checks.seconds("duration", self.duration) < interval * (1 - 1e-9):
            raise InvalidInput(
                f"duration must hold at least one interval of {1e3 * interval:g} ms, got {self.duration}"
            )
        checks.count("inputs", self.inputs)


def stability_record(
    spec: NetworkSpec, name: str, *, options: SpectrumOptions, seed: int, report: Report | None = None
) -> dict[str, Any]:
    """Measure the spectrum of a network, and its largest exponent from twins under the same input.

    Parameters
    ----------
    spec : NetworkSpec
        The network; silenced neurons are left out.
    name : str
        What to call it.
    options : SpectrumOptions
    seed : int
        Seed of the noise drives, of the first vectors and of the perturbation of the twins. Networks of one size get
        the same drives, a pruned one those of the neurons that are left.
    report : callable, optional
        Called with the completed fraction.

    Returns
    -------
    dict
        An entry of ``spectrum.json``: numbers, strings and lists. A value that the given exponents do not determine is
        None.

    Notes
    -----
    Its dimension is that of Kaplan and Yorke (1979), doi:10.1007/BFb0064319; see `kaplan_yorke_dimension`.
    """
    streams = Streams(seed).child("spectrum")
    start = time.perf_counter()
    length = options.duration + options.transient + options.reorthonormalise_every
    drives = [
        noise_drive(spec.n_neurons, duration=length, rng=streams.child("drive").rng(k)) for k in range(options.inputs)
    ]
    spectrum = lyapunov_spectrum(
        spec,
        n_exponents=options.n_exponents,
        duration=options.duration,
        transient=options.transient,
        reorthonormalise_every=options.reorthonormalise_every,
        inputs=drives,
        rng=streams.rng("vectors"),
        report=None if report is None else lambda fraction: report(0.9 * fraction),
    )
    between = time.perf_counter()
    largest, error, remark = _from_twins(spec, drives[0], options, streams.rng("twins"))
    if report is not None:
        report(1.0)
    end = time.perf_counter()
    inner = spec.compacted()
    return {
        "name": name,
        "model": spec.model,
        "neurons": inner.n_neurons,
        "neurons_before_pruning": spec.n_neurons,
        "synapses": inner.n_synapses,
        "dimension": spectrum.dimension,
        **_numbers(spectrum),
        "largest_from_twins_per_s": largest,
        "largest_from_twins_standard_error_per_s": error,
        "mean_rate_hz": float(spectrum.rates.mean()),
        "status": spectrum.status + remark,
        "options": plain(options) | {"seed": seed},
        "seconds": {"spectrum": between - start, "twins": end - between},
    }


def has_converged(trace: np.ndarray, standard_error: float) -> bool | None:
    """Whether a running estimate stays within two standard errors of its end over the second half of the measured time.

    Parameters
    ----------
    trace : ndarray, shape (intervals,)
    standard_error : float
        Of its end.

    Returns
    -------
    bool or None
        None where one interval, or a direction that is lost, says nothing.

    Notes
    -----
    If intervals are independent, the distance from the end in standard errors is a Brownian motion over the inverse of
    the part that has been measured, from 1 to 2. By the principle of reflection it leaves the two with probability
    ``4 (1 - Phi(2))``: of estimates that have converged, 9 % are said not to have.

    Examples
    --------
    >>> has_converged(np.array([9.0, 4.0, 2.5, 2.0]), 0.3), has_converged(np.array([9.0, 4.0, 2.5, 2.0]), 0.2)
    (True, False)
    """
    if trace.size < 2 or not np.isfinite(standard_error) or not np.isfinite(trace).all():
        return None
    return bool((abs(trace[trace.size // 2 :] - trace[-1]) <= 2 * standard_error).all())


def _numbers(spectrum: Spectrum) -> dict[str, Any]:
    def without_infinity(values: np.ndarray) -> list[float | None]:
        # JSON knows no infinity: a lost direction, or the error of a single interval.
        return [float(value) if np.isfinite(value) else None for value in values]

    return {
        "exponents_per_s": without_infinity(spectrum.exponents),
        "standard_errors_per_s": without_infinity(spectrum.standard_errors),
        "sum_per_s": spectrum.sum,
        "mean_log_det_per_s": spectrum.mean_log_det,
        "kaplan_yorke_dimension": spectrum.kaplan_yorke_dimension,
        "entropy_rate_per_s": spectrum.entropy_rate,
        "largest_exponent_trace_per_s": without_infinity(spectrum.trace[:, 0]),
        "has_converged": has_converged(spectrum.trace[:, 0], spectrum.standard_error),
    }


def _from_twins(
    spec: NetworkSpec, drive: Drive, options: SpectrumOptions, rng: np.random.Generator
) -> tuple[float | None, float | None, str]:
    inner = spec.compacted()
    if inner.has_delta_synapses or inner.refractory_period == 0:
        return None, None, "; no twins: precise spikes need exponential synapses and a refractory period"
    own = drive.of_neurons(spec.alive)
    precise = precise_timing(inner, own)
    window = twin_window(precise.dt)
    twins = block_twin_exponents(
        precise,
        drive=own,
        duration=max(float(options.duration), window) * second,
        transient=options.transient,
        renormalise_every=window * second,
        realisations=1,
        directions="kept",
        rng=rng,
    )
    error = twins.standard_error
    return twins.largest_exponent, error if error is not None and np.isfinite(error) else None, ""
