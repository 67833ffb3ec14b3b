"""
Silence neurons, and leave them out
===================================

`silence_neurons` takes neurons out of a running network: they do not fire, and lose their synapses. They stay in their
group, where Brian2 goes on updating them. `compact` makes the survivors a network of their own, which goes on from the
same time with the same potentials, delays and spikes on their way.
"""

import matplotlib.pyplot as plt
import numpy as np
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, ms, prefs

from lnpbrian import LiveNetwork, compact, silence_neurons

prefs.codegen.target = "numpy"  # of small networks compiling takes longest
rng = np.random.default_rng(2)
n = 2000
cells = NeuronGroup(
    n,
    """dv/dt = (drive + g - v)/(20*ms) : 1 (unless refractory)
       dg/dt = -g/(5*ms) : 1
       drive : 1""",
    threshold="v > 1",
    reset="v = 0",
    refractory=2 * ms,
    method="exact",
    name="cells",
)
cells.v, cells.drive = rng.random(n), rng.uniform(1.0, 1.5, n)
synapses = Synapses(cells, cells, "w : 1", on_pre="g_post += w", delay=2 * ms, name="synapses")
synapses.connect(i=rng.integers(n, size=20 * n), j=rng.integers(n, size=20 * n))
synapses.w = 0.02 * rng.standard_normal(20 * n)
spikes = SpikeMonitor(cells, name="spikes")
network = Network(cells, synapses, spikes)
network.run(100 * ms)

# %%
# Nine of ten neurons are silenced, here at random.

silenced = rng.permutation(n)[: 9 * n // 10]
silence_neurons(cells, silenced, synapses=synapses)
print(len(synapses), "synapses are left")

# %%
# The survivors alone. ``differs`` would say why their spikes could be other ones; it is empty.

small = compact(LiveNetwork(network))
print(small, small.differs)

# %%
# Both go on for 100 ms. ``index`` has the new number of each old neuron.

network.run(100 * ms)
small.run(100 * ms)
alone = small.network["spikes"]
later = spikes.t >= 100 * ms
place = small.index["cells"][spikes.i[later]]
same = np.array_equal(spikes.t[later], alone.t[:]) and np.array_equal(place, alone.i[:])
print("the same spikes:", same)

# %%
# What it gains depends on the machine, and on what else that does.

speedup = small.speedup(200 * ms)
print(speedup)

# %%
# Each circle (in place) has its dot (alone): the spikes are the same, in less time.

figure, (raster, bars) = plt.subplots(1, 2, figsize=(9, 4), width_ratios=(2, 1), layout="constrained")
first = place < 40
raster.plot(spikes.t[later][first] / ms, place[first], "o", mfc="none", label="in place")
raster.plot(alone.t[alone.i < 40] / ms, alone.i[alone.i < 40], "k.", markersize=3, label="alone")
raster.set(xlabel="time (ms)", ylabel="surviving neuron (the first 40)")
raster.legend(loc="upper right", framealpha=1)
times = (speedup.in_place, speedup.compact)
medians = np.array([each.median for each in times])
ranges = np.abs(np.transpose([[min(each.per_second), max(each.per_second)] for each in times]) - medians)
bars.bar(("in place", "alone"), medians, yerr=ranges, capsize=4)
bars.set(ylabel="seconds per simulated second")
