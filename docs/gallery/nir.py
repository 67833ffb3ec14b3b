"""
Export to NIR, and run the file elsewhere
=========================================

The Neuromorphic Intermediate Representation (Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9) is what simulators
and chips exchange networks in. ``spec.to_nir()`` says a network as such a graph. NIR has no refractory period and no
time step: these are in the metadata, and so is how a step goes. A reader that follows it fires the same spikes.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import nir
import numpy as np
from brian2 import prefs, second

from lnpbrian import PruneOptions, prune, simulate
from lnpbrian.models import HRSNN

prefs.codegen.target = "numpy"  # of small networks compiling takes longest
model = HRSNN(neurons=200, connection_probability=0.1, seed=1)
print(prune(model, ("I", "III"), options=PruneOptions(synapse_sparsity=0.8, iterations=2)))
file = Path(tempfile.mkdtemp()) / "network.nir"
nir.write(file, model.spec.to_nir())

# %%
# Another simulator, in NumPy, which knows nothing but the file: potentials and currents move on exactly, then spikes
# add their weights to the currents, and a neuron that has fired is held.


def run(path, seconds):
    """Return the spikes of a graph of CubaLIF neurons, shape (steps, N)."""
    graph = nir.read(path)
    lif, weights = graph.nodes["lif"], graph.nodes["recurrent"].weight
    told = lif.metadata
    a, s = np.exp(-told["dt"] / lif.tau_mem), np.exp(-told["dt"] / lif.tau_syn)
    c = lif.r * lif.tau_syn / (lif.tau_syn - lif.tau_mem) * (s - a)
    v, current, held = told["initial_potential"].copy(), 0 * a, 0 * a
    spikes = np.zeros((round(seconds / told["dt"]), a.size), dtype=bool)
    for fired in spikes:
        v = np.where(held > 0, v, a * v + (1 - a) * lif.v_leak + c * current)
        fired[:] = (held == 0) & (v >= lif.v_threshold)
        current = s * current + weights @ fired * lif.w_in / lif.tau_syn
        v = np.where(fired, lif.v_reset, v)
        held = np.where(fired, told["refractory_steps"] - 1, np.maximum(held - 1, 0))
    return spikes


read = run(file, 1.0)

# %%
# The same second in Brian2, where a spike on the grid counts at the end of its step.

train = simulate(model.spec.compacted(), 1 * second, engine="brian2")
ours = np.zeros_like(read)
ours[np.rint(train.times / model.spec.dt).astype(int) - 1, train.indices] = True
print(ours.sum(), "spikes in Brian2,", read.sum(), "by the file,", (ours & read).sum(), "in both")

# %%
# What simulators without a refractory period would do with the file: the same neurons, never held.

nir.write(file.with_name("free.nir"), replace(model.spec, refractory_period=0.0).to_nir())
free = run(file.with_name("free.nir"), 1.0)
for name, spikes in (("as it is", read), ("never held", free)):
    print(f"{name}: mean rate {spikes.mean() / model.spec.dt:.1f} Hz")

# %%
# Each circle, a spike in Brian2, has its dot, a spike of the reader.

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
for spikes, style in ((ours, {"marker": "o", "mfc": "none", "label": "Brian2"}), (read, {"marker": ".", "color": "k"})):
    step, neuron = np.nonzero(spikes[-400:, :50])
    axes.plot(800 + 1e3 * step * model.spec.dt, neuron, linestyle="", **{"label": "the reader of the file", **style})
axes.set(xlabel="time (ms)", ylabel="neuron (the first 50)")
axes.legend(loc="upper right", framealpha=1)
