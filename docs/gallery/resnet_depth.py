"""
Depth exponents of a spiking ResNet
===================================

A feedforward network has no recurrence, so what grows or dies out does so from layer to layer. `depth_exponents`
follows an infinitesimal perturbation of the input of the first layer through all layers: the logarithm of its size over
its size in the layers before. Then step I prunes the weights, and the measurement is done again.
"""

import matplotlib.pyplot as plt
import numpy as np

from lnpbrian.lyapunov.depth import depth_exponents
from lnpbrian.models.resnet import SpikingResNet, noise_images
from lnpbrian.pruning.channel_steps import ChannelNoise, prune_resnet

network = SpikingResNet.random(width=1 / 8, shape=(8, 8, 1), steps=4)
images = noise_images(32, (8, 8, 1), rng=np.random.default_rng(0))
before = depth_exponents(network, images, rng=np.random.default_rng(1))
pruned = prune_resnet(network, (ChannelNoise(),), weight_sparsity=0.9, images=images).network
after = depth_exponents(pruned, images, rng=np.random.default_rng(1))
print(before, after, sep="\n")

# %%
# Means over the channels of each layer, with their spread. A perturbation shrinks in the first convolution of a block
# (``inner``); behind the second, where the block's input is added again, it is less so or it grows. With a tenth of the
# weights the means stay within their spread, and channels differ more.

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
layers = list(before.by_layer)
for name, found, shift in (("before", before, -0.1), ("after", after, 0.1)):
    finite = [values[np.isfinite(values)] for values in found.by_layer.values()]
    means, spread = [v.mean() for v in finite], [v.std() for v in finite]
    axes.errorbar(np.arange(len(layers)) + shift, means, spread, fmt="o", capsize=3, label=name)
axes.axhline(0, color="k", linewidth=1)
axes.set_xticks(range(len(layers)), layers, rotation=45, ha="right")
axes.set(xlabel="layer", ylabel="depth exponent")
axes.legend()
