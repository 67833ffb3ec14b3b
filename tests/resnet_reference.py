"""A spiking ResNet in NumPy, neuron by neuron where it matters: what the JAX code is compared with."""

import numpy as np

EPSILON = 1e-5


def convolve(x, kernel, stride):
    """Convolve (n, H, W, C) with zeros around, position by position."""
    size = kernel.shape[0]
    around = size // 2
    n, height, width, _ = x.shape
    rows, columns = (height - 1) // stride + 1, (width - 1) // stride + 1
    padded = np.pad(x, ((0, 0), (around, around), (around, around), (0, 0)))
    out = np.zeros((n, rows, columns, kernel.shape[3]))
    for y in range(rows):
        for z in range(columns):
            patch = padded[:, y * stride : y * stride + size, z * stride : z * stride + size]
            out[:, y, z] = np.einsum("nabi,abio->no", patch, kernel)
    return out


def run(network, images, direction=None):
    """Return logits, spikes, potentials before the reset, and their derivatives along `direction`, by layer.

    `direction` (T, B, H, W, C) is a change of the first layer's input; spikes have the derivative 1/(1 + (pi u)^2).
    """
    net, p, steps = network.architecture, network.parameters, network.steps
    image = (np.asarray(images, float) - 0.5) / 0.25
    spikes, potentials, d_spikes, d_potentials = {}, {}, {}, {}
    for layer in net.layers:
        k = net.layers.index(layer)
        shape = (steps, len(image), net.maps[k], net.maps[k], net.channels[k])
        current, d_current = np.zeros(shape), np.zeros(shape)
        for c in net.connections:
            if c.target != layer:
                continue
            kernel = p[c.name] * (network.masks[c.name] if c.source else 1)
            gain = p[f"{c.name}/scale"] / np.sqrt(network.statistics[f"{c.name}/variance"] + EPSILON)
            for t in range(steps):
                y = convolve(spikes[c.source][t] if c.source else image, kernel, c.stride)
                current[t] += (y - network.statistics[f"{c.name}/mean"]) * gain + p[f"{c.name}/offset"]
                if c.source:
                    d_current[t] += convolve(d_spikes[c.source][t], kernel, c.stride) * gain
        for a, b in net.identities:
            if b == layer:
                current, d_current = current + spikes[a], d_current + d_spikes[a]
        if layer == "stem" and direction is not None:
            d_current = d_current + direction
        alpha = np.exp(-1 / network.time_constants[layer])
        v = dv = np.zeros(shape[1:])
        s, ds, u, du = (np.zeros(shape) for _ in range(4))
        for t in range(steps):
            u[t] = alpha * v + (1 - alpha) * current[t]
            du[t] = alpha * dv + (1 - alpha) * d_current[t]
            s[t] = u[t] >= 1
            ds[t] = du[t] / (1 + (np.pi * (u[t] - 1)) ** 2)
            # The reset takes the spike as it is, whatever it depends on.
            v, dv = u[t] * (1 - s[t]), du[t] * (1 - s[t])
        spikes[layer], d_spikes[layer] = s * network.alive[layer], ds * network.alive[layer]
        potentials[layer], d_potentials[layer] = u, du
    logits = spikes[net.layers[-1]].mean((0, 2, 3)) @ p["head"] + p["head/offset"]
    return logits, spikes, potentials, d_potentials
