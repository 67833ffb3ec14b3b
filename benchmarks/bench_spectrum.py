"""Time the tangent dynamics of spiking networks against the same loop with dense Jacobians, in the same run.

    make bench

prints a table and writes ``benchmarks/bench_spectrum.json``: seconds and memory for a simulated second. Dense Jacobians
have a step of 0.5 ms; only their products with the vectors are counted, not their making, on a few steps.
"""

from __future__ import annotations

import argparse
import tracemalloc
from pathlib import Path
from typing import Any

import brian2
import numpy as np
import scipy.linalg
from brian2 import ms, second
from common import relative_difference, row, timed, write_results
from rich.console import Console

from lnpbrian.lyapunov import lyapunov_spectrum
from lnpbrian.lyapunov.lif_tangent import LIFTangent
from lnpbrian.models import HRSNN
from lnpbrian.network import Drive, NetworkSpec, noise_drive
from lnpbrian.network.signals import SpikeTrain
from lnpbrian.network.simulate import exact_spike_train
from lnpbrian.streams import Streams

# (neurons, exponents, time between factorisations in s, measured time in s)
CASES = ((1000, 2000, 20e-3, 0.2), (5000, 50, 10e-3, 0.5), (5000, 100, 10e-3, 0.5))
DENSE_STEP = 0.5e-3


def bench(neurons: int, n_exponents: int, interval: float, duration: float) -> dict[str, Any]:
    spec = HRSNN(neurons, 0.1, check_rate=False).spec
    drive = noise_drive(neurons, duration=1 * second, rng=Streams(0).rng("bench"))
    simulation, train = timed(lambda: exact_spike_train(spec, duration, drive=drive))
    whole, spectrum = timed(
        lambda: lyapunov_spectrum(
            spec,
            n_exponents=n_exponents,
            duration=duration * second,
            transient=0 * ms,
            reorthonormalise_every=interval * second,
            inputs=drive,
            rng=np.random.default_rng(0),
        )
    )
    dense, difference, dense_bytes = dense_step(spec, train, drive, n_exponents)
    vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((2 * neurons, n_exponents)))[0]
    factorisation, _ = timed(lambda: scipy.linalg.qr(vectors, mode="economic", check_finite=False), 2)
    # A simulated second: what both loops share, and the dense products of its steps.
    shared = simulation / duration + factorisation / interval
    return row(
        f"{n_exponents} exponents, N = {neurons}, {spec.n_synapses} synapses",
        "dense Jacobians",
        whole / duration,
        shared + dense / DENSE_STEP,
        simulation_seconds=simulation / duration,
        factorisation_seconds=factorisation / interval,
        reorthonormalise_every_ms=1e3 * interval,
        measured_s=duration,
        mean_rate_hz=float(spectrum.rates.mean()),
        largest_exponent_per_s=spectrum.largest_exponent,
        memory_mb=peak_memory(spec, train, drive, n_exponents) / 2**20,
        reference_memory_mb=dense_bytes / 2**20,
        largest_relative_difference=difference,
    )


def dense_step(
    spec: NetworkSpec, train: SpikeTrain, drive: Drive, n_exponents: int, steps: int = 2
) -> tuple[float, float, int]:
    """Return the time of a product with a dense Jacobian, its difference from the sparse one, and the bytes of both."""
    system = LIFTangent(spec, train, drive)
    vectors = np.random.default_rng(0).standard_normal((system.dimension, n_exponents))
    seconds, difference = [], 0.0
    for k in range(steps):
        other = LIFTangent(spec, train, drive)
        for _ in range(k):
            other.advance(np.zeros((system.dimension, 1)), DENSE_STEP)
        jacobian = np.eye(system.dimension)
        other.advance(jacobian, DENSE_STEP)
        time, expected = timed(lambda jacobian=jacobian: jacobian @ vectors, 2)
        system.advance(vectors, DENSE_STEP)
        seconds.append(time)
        difference = max(difference, relative_difference(vectors, expected))
    return float(np.mean(seconds)), difference, jacobian.nbytes + 2 * vectors.nbytes


def peak_memory(spec: NetworkSpec, train: SpikeTrain, drive: Drive, n_exponents: int) -> int:
    """Return the peak of the bytes that 2 ms of tangent dynamics and a factorisation hold, synapses included."""
    tracemalloc.start()
    system = LIFTangent(spec, train, drive)
    vectors = np.random.default_rng(0).standard_normal((system.dimension, n_exponents))
    system.advance(vectors, 2e-3)
    scipy.linalg.qr(vectors, mode="economic", check_finite=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    brian2.prefs.logging.console_log_level = "ERROR"
    brian2.prefs.logging.warn_for_unused_objects = False
    rows = []
    for case in CASES:
        with Console().status(f"{case[1]} exponents of {case[0]} neurons"):
            rows.append(bench(*case))
    write_results(rows, arguments.out)


if __name__ == "__main__":
    main()
