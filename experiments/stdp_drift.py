"""What STDP does to weights, rate and forecast, with depression that is balanced or drawn independently.

    python -m lnpbrian.experiments.stdp_drift --out runs/stdp_drift

writes ``stdp_drift.json``. The Lorenz-63 series starts at (12, 2, 9): it is none of those that results are reported of.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import ms

from lnpbrian.experiments.common import compute_parts, output_directory
from lnpbrian.experiments.comparison import MODELS
from lnpbrian.learning.encoding import INPUT_SCALE, CurrentEncoder
from lnpbrian.learning.forecasting import forecast
from lnpbrian.learning.readout import ReadoutOptions
from lnpbrian.learning.series import lorenz63
from lnpbrian.learning.stdp import train_stdp
from lnpbrian.learning.tasks import short_protocol
from lnpbrian.models.drawing import DEPRESSIONS, LIFParameters
from lnpbrian.records import versions, write_json
from lnpbrian.streams import Streams

KEPT = (1.0, 0.03)
SAMPLES = 500
SAMPLE_TIME = 60 * ms


def measure(
    model: str, depression: str, neurons: int, seed: int, n_windows: int, *, report: Callable[[float], None]
) -> list[dict[str, Any]]:
    """Return a row for each fraction of the synapses that is kept, at random."""
    task = short_protocol(lorenz63(start=(12.0, 2.0, 9.0)), n_windows=n_windows)
    assert task.phase is not None
    parameters = replace(LIFParameters.forecasting(), dt=2 * ms, depression=depression)
    full = MODELS[model](neurons, parameters=parameters, plastic=True, check_rate=False, seed=seed).spec
    rng = Streams(seed).child("encoder").rng("current")
    encoder = CurrentEncoder.draw(neurons, task.dimensions, scale=INPUT_SCALE, rng=rng)
    options = ReadoutOptions(sample_time=SAMPLE_TIME, filter_time=20 * ms)
    rows = []
    for k, kept in enumerate(KEPT):
        spec = full.of_synapses(np.random.default_rng(0).random(full.n_synapses) < kept)
        learnt = train_stdp(spec, encoder, task.phase[:SAMPLES], sample_time=SAMPLE_TIME, rng=np.random.default_rng(0))
        before, after = (
            forecast(network, encoder, task, options=options, rng=np.random.default_rng(0))
            for network in (spec, learnt.spec)
        )
        rows.append(
            {
                "model": model,
                "depression": depression,
                "kept": kept,
                "seed": seed,
                "weight_change": learnt.mean_change,
                "rate_first_hz": learnt.rate_first,
                "rate_last_hz": learnt.rate_last,
                "vpt_before": float(before.vpt_steps[0.1].mean()),
                "vpt_after": float(after.vpt_steps[0.1].mean()),
                "nrmse_before": float(before.nrmse.mean()),
                "nrmse_after": float(after.nrmse.mean()),
            }
        )
        report((k + 1) / len(KEPT))
    return rows


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--neurons", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--windows", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("runs/stdp_drift"))
    arguments = parser.parse_args()
    directory = output_directory(arguments, "stdp_drift")
    parts = [(m, d, arguments.neurons, arguments.seed, arguments.windows) for m in MODELS for d in DEPRESSIONS]
    rows = [row for done in compute_parts(measure, parts, jobs=arguments.jobs, name="networks") for row in done]
    write_json(directory / "stdp_drift.json", {"versions": versions(), "neurons": arguments.neurons, "rows": rows})
    for r in rows:
        print(
            f"{r['model']:>7} {100 * r['kept']:4.0f} %  {r['depression']:<12} weights {100 * r['weight_change']:5.0f} %"
            f"  rate {r['rate_first_hz']:.1f} -> {r['rate_last_hz']:.1f} Hz  VPT {r['vpt_before']:.1f} -> "
            f"{r['vpt_after']:.1f}"
        )


if __name__ == "__main__":
    main()
