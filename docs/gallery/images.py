"""
Images, before and after pruning
================================

Half of the neurons are shown a digit, the others are read: what they know of it has come through synapses. The network
is pruned without a look at an image.
"""

import matplotlib.pyplot as plt
import numpy as np

from lnpbrian import PruneOptions, prune
from lnpbrian.learning import ImageInput, classify, image_task, pixel_channels
from lnpbrian.models import HRSNN, LIFParameters

n = 200
task = image_task("digits", train=600, test=400)
channels = pixel_channels(task)
source = ImageInput.draw(n, channels[0].shape[1], scale=3.0, fraction=0.5, rng=np.random.default_rng(0))
model = HRSNN(n, 0.1, parameters=LIFParameters.images(), seed=1)
before = model.spec
found = {"before": classify(before, source, task, channels)}
result = prune(model, ("I", "III"), options=PruneOptions(synapse_sparsity=0.9, iterations=3))
found["after"] = classify(model.spec, source, task, channels)
found["without synapses"] = classify(before.uncoupled(result.rates_before), source, task, channels)
for name, each in found.items():
    print(f"{name:17}", each)

# %%
# Accuracies with binomial standard errors: pruning costs nothing here, and without synapses nothing reaches the neurons
# that are read, so that every answer is the same. On the right, what the pruned network says of each digit.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
errors = [100 * each.accuracy_standard_error for each in found.values()]
left.bar(list(found), [100 * each.accuracy for each in found.values()], yerr=errors, capsize=4)
left.axhline(100 * task.chance, color="k", linewidth=1, linestyle=":", label="a constant answer")
left.set(ylabel="accuracy (%)", ylim=(0, 112))
left.legend(loc="upper right")
confusion = found["after"].confusion
shown = right.imshow(confusion, cmap="Blues")
right.set(xlabel="digit that is said", ylabel="digit that is shown", xticks=range(10), yticks=range(10))
figure.colorbar(shown, ax=right, label="test images")
