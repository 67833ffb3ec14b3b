"""
Remove and grow synapses during a simulation
============================================

A simulation is a loop of runs and edits. Here a network finds its own activity: every 200 ms neurons that fire more
than 20 Hz lose some of their excitatory inputs, those that fire less grow new ones. Nothing of Lyapunov noise pruning
is needed for that: `remove_synapses` and `add_synapses` take any Synapses object.
"""

import matplotlib.pyplot as plt
import numpy as np
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, ms, prefs, seed

from lnpbrian import add_synapses, connectivity, remove_synapses

prefs.codegen.target = "numpy"  # of small networks compiling takes longest
seed(0)
rng = np.random.default_rng(0)
n, target = 200, 20.0
cells = NeuronGroup(
    n,
    """dv/dt = (drive + g - v)/(20*ms) + 0.2*sqrt(2/(20*ms))*xi : 1 (unless refractory)
       dg/dt = -g/(5*ms) : 1
       drive : 1""",
    threshold="v > 1",
    reset="v = 0",
    refractory=2 * ms,
    method="euler",
)
cells.v, cells.drive = rng.random(n), rng.uniform(0.6, 1.1, n)
synapses = Synapses(cells, cells, "w : 1", on_pre="g_post += w", delay=1 * ms)
pre, post = np.nonzero((rng.random((n, n)) < 0.1) & ~np.eye(n, dtype=bool))
synapses.connect(i=pre, j=post)
synapses.w = 0.03
spikes = SpikeMonitor(cells, record=False)
network = Network(cells, synapses, spikes)

# %%
# One synapse for every 2 Hz of difference: too active neurons lose inputs that are drawn at random, too quiet ones get
# inputs from neurons that are not yet connected to them.

history, numbers, edits = [], [], []
for _ in range(30):
    seen = spikes.count[:].copy()
    network.run(200 * ms)
    rates = (spikes.count[:] - seen) / 0.2
    history.append(rates)
    numbers.append(len(synapses))
    change = np.rint((target - rates) / 2).astype(int)

    keep = np.ones(len(synapses), dtype=bool)
    targets = np.array(synapses.j)
    for neuron in np.flatnonzero(change < 0):
        own = np.flatnonzero(targets == neuron)
        keep[rng.permutation(own)[: -change[neuron]]] = False
    removed = remove_synapses(synapses, keep=keep)

    free = connectivity(synapses).toarray() == 0
    np.fill_diagonal(free, False)
    ends = np.repeat(np.arange(n), np.maximum(change, 0))
    sources = [rng.choice(np.flatnonzero(row), max(more, 0), False) for row, more in zip(free, change, strict=True)]
    add_synapses(synapses, np.concatenate(sources), ends, w=0.03)
    edits.append((removed, len(ends)))

print(f"{sum(r for r, _ in edits)} removed, {sum(a for _, a in edits)} added, {len(synapses)} now")

# %%
# Each line is a neuron: its rate over one second, that is five edits, later and later (every fifth neuron is shown).
# Rates that began between 4 and 27 Hz gather about the target (dotted), while the number of synapses grows, less and
# less.

seconds = np.reshape(history, (-1, 5, n)).mean(axis=1)
figure, (top, bottom) = plt.subplots(2, sharex=True, figsize=(7, 5), layout="constrained")
top.plot(np.arange(len(seconds)) + 0.5, seconds[:, ::5], color="C0", linewidth=0.7, alpha=0.6)
top.axhline(target, color="k", linewidth=1, linestyle=":")
top.set(ylabel="rate (Hz)", ylim=(0, None))
bottom.plot(0.2 * np.arange(1, len(numbers) + 1), numbers)
bottom.set(xlabel="time (s)", ylabel="synapses", ylim=(0, None))
