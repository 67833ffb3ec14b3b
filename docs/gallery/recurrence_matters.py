"""
Does recurrence matter in my network?
=====================================

Before a network is pruned it is worth asking whether its synapses do anything. The linear response ``J_ij = tau_syn
w_ij dr_i/dI_i`` says by how much the rate of neuron i grows with that of neuron j. Its spectral radius is the fraction
of activity that comes back: far below 1 the synapses hardly matter, and nothing can be learnt from pruning them.
"""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

from lnpbrian.learning import evaluate_benchmarks
from lnpbrian.models import HRSNN, LIFParameters
from lnpbrian.network.response import slow_response

# %%
# The constants with which all variables of Lorenz-63 are forecast have a radius below a fifth, those of ``recurrent``
# have 1 by construction.

for name in ("forecasting", "recurrent"):
    model = HRSNN(200, 0.1, parameters=getattr(LIFParameters, name)(), check_rate=False, seed=1)
    print(f"{name}: spectral radius {slow_response(model.spec).spectral_radius:.2f}")

# %%
# Networks that differ in nothing but the radius, and what linear readouts can recall from them: the memory is the
# number of past inputs that is recalled. At radius 0 there are no synapses.

radii = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25])
memory = np.zeros((2, radii.size))
for seed in range(2):
    for k, radius in enumerate(radii):
        parameters = replace(LIFParameters.recurrent(), spectral_radius=max(radius, 0.01))
        spec = HRSNN(200, 0.1, parameters=parameters, check_rate=False, seed=seed).spec
        spec = spec if radius else spec.uncoupled()
        memory[seed, k] = evaluate_benchmarks(spec, names=["memory"], samples=600, seed=seed).scores["memory"]
print(memory.round(2))

# %%
# A radius of a quarter doubles what the neurons remember by themselves; at three quarters to 1 it is about three times
# as much, and beyond it falls again.

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.plot(radii, memory.T, "o-")
axes.set(xlabel="spectral radius of the linear response", ylabel="memory (past inputs recalled)", ylim=(0, None))
axes.legend([f"network {seed + 1}" for seed in range(2)])
