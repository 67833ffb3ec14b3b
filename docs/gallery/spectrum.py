"""
The Lyapunov spectrum of a network of LIF neurons
=================================================

How fast do small differences grow, and in how many directions? `lyapunov_spectrum` follows tangent vectors along one
run of the network, exactly between spikes and by saltation matrices at them. A network of N neurons with exponential
synapses has 2 N exponents: N of its potentials and N of its synaptic currents.
"""

import matplotlib.pyplot as plt
import numpy as np
from brian2 import second

from lnpbrian import lyapunov_spectrum, noise_drive
from lnpbrian.models import HRSNN, LIFParameters

model = HRSNN(neurons=150, connection_probability=0.1, parameters=LIFParameters(gain=0.4), seed=1)
noise = noise_drive(150, duration=1 * second, rng=np.random.default_rng(0))
spectrum = lyapunov_spectrum(model, inputs=noise, rng=np.random.default_rng(1))
print(spectrum)

# %%
# From the complete spectrum follow the dimension of the set that the network moves on, and the rate at which it creates
# differences. The sum of all exponents is the rate at which volumes shrink, which is also known without any vector.

print("Kaplan-Yorke dimension", spectrum.kaplan_yorke_dimension)
print("entropy rate (1/s)", spectrum.entropy_rate)
print("sum of exponents (1/s)", spectrum.sum, "and from determinants", spectrum.mean_log_det)

# %%
# The flat part of the spectrum lies at -1/tau_syn (dotted): synaptic currents forget at that rate. A few directions at
# the left grow; of volumes, those of about thirteen directions just do not shrink: that is the dimension above.

tau_syn = model.spec.synaptic_time_constant
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
index = np.arange(1, spectrum.exponents.size + 1) / spectrum.exponents.size
axes.plot(index, spectrum.exponents, ".", markersize=4)
axes.axhline(0, color="k", linewidth=1)
axes.axhline(-1 / tau_syn, color="k", linewidth=1, linestyle=":", label="-1/tau_syn")
axes.set(xlabel="index / 2N", ylabel="Lyapunov exponent (1/s)")
axes.legend()
