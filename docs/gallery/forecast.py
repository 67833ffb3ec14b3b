"""
Forecast before and after pruning
=================================

A network sees the first variable of Lorenz-63 alone; a linear readout of its spikes, fed back as input, forecasts what
comes. The other two variables have to be inferred from the past, so the network has to remember. It is pruned without a
look at the series.
"""

import matplotlib.pyplot as plt
import numpy as np

from lnpbrian import PruneOptions, prune
from lnpbrian.learning import CurrentEncoder, ReadoutOptions, forecast, forecast_task
from lnpbrian.models import HRSNN, LIFParameters

n = 600
task = forecast_task("lorenz63_x", n_windows=8)
encoder = CurrentEncoder.draw(n, task.dimensions, scale=0.5, rng=np.random.default_rng(0))
model = HRSNN(n, 0.1, parameters=LIFParameters.recurrent(), seed=1)
before = model.spec


def forecasts(spec):
    """Return the forecasts of a network, with all its neurons read."""
    return forecast(spec, encoder, task, options=ReadoutOptions(fraction=1.0), rng=np.random.default_rng(2))


found = {"before": forecasts(before)}

# %%
# Nine tenths of the synapses go.

result = prune(model, ("I", "III"), options=PruneOptions(synapse_sparsity=0.9, iterations=3))
print(result)
found["after"] = forecasts(model.spec)
found["without synapses"] = forecasts(before.uncoupled(result.rates_before))
for name, each in found.items():
    print(f"{name:17} median NRMSE {np.median(each.nrmse):.3f}, {each.synaptic_operations / 1e6:.0f} M operations")

# %%
# Left: the window whose error after pruning is the lower median one, in closed loop from time 0 on. Right: the errors
# of all eight windows; lines join the same window, bars are medians. Eight windows of one network scatter by more than
# the difference of before and after, while without synapses most errors are larger. ``lnpbrian prune`` does the same
# with 1000 neurons and 20 windows, :doc:`/results` with eight networks.

window = np.argsort(found["after"].nrmse)[3]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(3, 2), layout="constrained")
steps = np.arange(1, task.horizon + 1) / 22.1
left.plot(steps, task.in_units(found["after"].truth[window])[:, 0], "k", label="truth")
for name, each in found.items():
    left.plot(steps, task.in_units(each.prediction[window])[:, 0], label=name)
left.set(xlabel="time (Lyapunov times)", ylabel="x of Lorenz-63")
left.legend()
right.plot(list(found), np.array([each.nrmse for each in found.values()]), "o-", color="0.6", linewidth=0.7)
right.plot(list(found), [np.median(each.nrmse) for each in found.values()], "k_", markersize=30)
right.set(ylabel="NRMSE", yscale="log")
