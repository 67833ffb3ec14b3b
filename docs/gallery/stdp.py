"""
STDP on a sparse network
========================

What pruning has left can learn. A plastic network is pruned, then shown a series while its synapses follow spike
timing: weights change, the set of synapses does not.
"""

import matplotlib.pyplot as plt
import numpy as np
from brian2 import ms, prefs

from lnpbrian import PruneOptions, prune
from lnpbrian.learning import CurrentEncoder, forecast_task, train_stdp
from lnpbrian.models import HRSNN, LIFParameters

prefs.codegen.target = "numpy"  # of small networks compiling takes longest
n = 100
model = HRSNN(n, 0.2, plastic=True, parameters=LIFParameters.forecasting(), check_rate=False, seed=1)
print(prune(model, ("I",), options=PruneOptions(synapse_sparsity=0.8, iterations=2, rates=(0, 100))))
sparse = model.spec

# %%
# A hundred samples of Lorenz-63 are shown, 50 ms each.

task = forecast_task("lorenz63_x", n_windows=1)
encoder = CurrentEncoder.draw(n, task.dimensions, rng=np.random.default_rng(0))
learnt = train_stdp(sparse, encoder, task.phase[:100], sample_time=50 * ms, rng=np.random.default_rng(1))
print(learnt)
same = np.array_equal(learnt.spec.pre, sparse.pre) and np.array_equal(learnt.spec.post, sparse.post)
signs = np.array_equal(np.sign(learnt.spec.weights), np.sign(sparse.weights))
print("the same synapses:", same, "and the same signs:", signs)

# %%
# Every synapse, before and after. Most move towards zero, and none beyond: excitatory synapses stay excitatory,
# inhibitory ones inhibitory.

figure, axes = plt.subplots(figsize=(5, 4.5), layout="constrained")
excitatory = sparse.excitatory[sparse.pre]
for kind, name in ((excitatory, "excitatory"), (~excitatory, "inhibitory")):
    axes.plot(sparse.weights[kind], learnt.spec.weights[kind], ".", label=name)
ends = [sparse.weights.min(), sparse.weights.max()]
axes.plot(ends, ends, "k", linewidth=0.7, label="unchanged")
axes.set(xlabel="weight after pruning (threshold)", ylabel="weight after STDP (threshold)")
axes.legend()
