"""
Prune your own Brian2 script
============================

One line prunes the network that a script has: ``prune()`` between two ``run(...)``. Which synapses act by spikes, what
their weights are called and which of them inhibit is read from the equations. Afterwards the same objects go on,
sparse.

The script: 400 neurons with conductances, a fifth of them inhibitory, each with its own drive.
"""

import matplotlib.pyplot as plt
import numpy as np
from brian2 import NeuronGroup, SpikeMonitor, Synapses, ms, nS, pA, prefs, run, seed

from lnpbrian import PruneOptions, prune

prefs.codegen.target = "numpy"  # of small networks compiling takes longest
seed(1)
cells = NeuronGroup(
    400,
    """dv/dt = (10*nS*(-60*mV - v) + g_e*(0*mV - v) + g_i*(-80*mV - v) + current)/(200*pF) : volt (unless refractory)
       dg_e/dt = -g_e/(5*ms) : siemens
       dg_i/dt = -g_i/(10*ms) : siemens
       current : amp""",
    threshold="v > -50*mV",
    reset="v = -60*mV",
    refractory=3 * ms,
    method="exponential_euler",
)
cells.v = "-60*mV + 10*mV*rand()"
cells.current = 100 * pA + 100 * pA * np.random.default_rng(1).random(400)
excite = Synapses(cells[:320], cells, "w : siemens", on_pre="g_e_post += w", delay=1 * ms)
inhibit = Synapses(cells[320:], cells, "w : siemens", on_pre="g_i_post += w", delay=1 * ms)
for synapses, strength in ((excite, 0.15 * nS), (inhibit, 1 * nS)):
    synapses.connect(p=0.1)
    synapses.w = strength
spikes = SpikeMonitor(cells)
run(400 * ms)

# %%
# Four fifths of the synapses go, and a tenth of the neurons, in two iterations. The network is run to be measured and
# set back: pruning takes no time of the simulation.

before = len(excite) + len(inhibit)
options = PruneOptions(synapse_sparsity=0.8, neuron_sparsity=0.1, iterations=2, realisations=1, observation=500 * ms)
result = prune(options=options)
print(result)

# %%
# The script goes on.

run(400 * ms)

# %%
# Spikes of all neurons, before and after. Neurons that were pruned (grey, at the top) fall silent at the line; the
# others fire on, and their mean rate stays about what it was.

alive = result.live.alive_in(cells)
# Survivors first, the pruned ones at the top.
place = np.argsort(np.argsort(~alive, kind="stable"))
shown, t = spikes.i[:], spikes.t / ms
figure, (raster, rate) = plt.subplots(2, sharex=True, figsize=(8, 5), height_ratios=(3, 1), layout="constrained")
for kind, color in ((alive[shown], "C0"), (~alive[shown], "0.5")):
    raster.plot(t[kind], place[shown[kind]], ",", color=color)
raster.set(ylabel="neuron, pruned ones at the top", title=f"{before} synapses, then {len(excite) + len(inhibit)}")
counts, edges = np.histogram(t[alive[shown]], np.arange(0, 801, 20))
rate.stairs(counts / alive.sum() / 0.02, edges)
rate.set(xlabel="time (ms)", ylabel="rate of survivors (Hz)", ylim=(0, None))
for axes in (raster, rate):
    axes.axvline(400, color="k", linewidth=1)
