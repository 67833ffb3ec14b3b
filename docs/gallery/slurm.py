"""
A sweep on SLURM
================

Many networks, many cores: ``lnpbrian sweep NAME`` does the tasks of an experiment in processes of this machine, at the
workers of a Dask scheduler, or in jobs of SLURM. The command is the same but for one option. What is finished is kept,
so a sweep that was stopped goes on where it was, here or there.

With ``pip install 'lnpbrian[sweep]'`` the file holds the arguments of dask-jobqueue's ``SLURMCluster``; each of the
``cores`` of a job is a worker:
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

folder = Path(tempfile.mkdtemp())
arguments = {
    "queue": "short",
    "cores": 16,
    "memory": "32GB",
    "walltime": "02:00:00",
    "job_extra_directives": ["--exclusive"],
}
(folder / "slurm.json").write_text(json.dumps(arguments, indent=1))
print((folder / "slurm.json").read_text())

# %%
# ::
#
#     lnpbrian sweep twin_perturbation --scale medium --slurm slurm.json --workers 8   # 8 jobs, 128 workers
#
# No cluster is here, so a small one runs in a process of this machine: which exponent twins measure, by the size of
# their perturbation and by where spikes happen. Of so small networks compiling would take longest; Brian2 reads its
# preferences from a file in the folder of the run.

(folder / "brian_preferences").write_text("codegen.target = 'numpy'\n")


def sweep():
    """Run the sweep, and return its last lines."""
    command = [sys.executable, "-m", "lnpbrian", "sweep", "twin_perturbation", "--neurons", "40", "--workers", "1"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "90"}
    )
    return "\n".join(done.stdout.splitlines()[-12:])


print(sweep())

# %%
# The results of all tasks are in ``runs/store``, the JSON, the figure and the tables in ``runs/twin_perturbation``. The
# same command again computes nothing:

out = folder / "runs" / "twin_perturbation"
before = json.loads((out / "twin_perturbation.json").read_text())["seconds"]
sweep()
after = json.loads((out / "twin_perturbation.json").read_text())["seconds"]
print(f"{before['of_this_run']:.1f} s, then {after['of_this_run']:.2f} s")

# %%
# Twins on the time grid seem far more stable, with hardly an error: neurons that fire on the same step are equal
# afterwards, however different they were. Between the steps the exponent is near zero, in this small network with
# errors of several 1/s.

rows = json.loads((out / "twin_perturbation.json").read_text())["rows"]
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for timing, marker in (("grid", "o"), ("interpolated", "s"), ("precise", "x")):
    chosen = [r for r in rows if r["spike_timing"] == timing and r["directions"] == "kept"]
    sizes, found, errors = np.transpose(
        [(r["perturbation"], r["largest_exponent_per_s"], r["standard_error_per_s"]) for r in chosen]
    )
    axes.errorbar(sizes, found, errors, marker=marker, capsize=3, label=f"{timing} spikes")
axes.set(xscale="log", xlabel="perturbation (threshold)", ylabel="largest exponent (1/s)")
axes.legend()
