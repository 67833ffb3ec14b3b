"""From a network of quantised activations, trained without time, to one of spikes without leak."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lnpbrian import checks
from lnpbrian.checks import InvalidInput

__all__ = ["convert", "folded"]

# Of batch normalisation, as in `lnpbrian.models.resnet`.
EPSILON = 1e-5


def folded(network: Any) -> Any:
    """Return a network with batch normalisation in its kernels and offsets: the same function of images.

    Parameters
    ----------
    network : SpikingResNet
        Calibrated.

    Raises
    ------
    InvalidInput
        If it has no batch statistics.

    Notes
    -----
    ``K gamma/sqrt(variance + epsilon)`` and ``beta - mean gamma/sqrt(variance + epsilon)``.

    Ioffe and Szegedy 2015, arXiv 1502.03167, normalise; Rueckauer et al. 2017, doi:10.3389/fnins.2017.00682, put it
    into the weights before conversion.
    """
    if network.folded:
        return network
    if not network.statistics:
        raise InvalidInput("the network has no batch statistics; call calibrate(images) first")
    made = dict(network.parameters)
    for c in network.architecture.connections:
        variance = network.statistics[f"{c.name}/variance"].astype(float)
        gain = made.pop(f"{c.name}/scale").astype(float) / np.sqrt(variance + EPSILON)
        offset = made[f"{c.name}/offset"] - network.statistics[f"{c.name}/mean"] * gain
        made[c.name] = (made[c.name] * gain).astype(network.dtype)
        made[f"{c.name}/offset"] = offset.astype(network.dtype)
    return replace(network, parameters=made, statistics={}, folded=True)


def convert(network: Any, *, steps: int = 8) -> Any:
    """Return the spiking network of a network of quantised activations.

    Parameters
    ----------
    network : SpikingResNet
        With neurons "qcfs", trained and calibrated.
    steps : int
        Time steps that an image is shown; with as many as the activations have levels, or a multiple, mean spikes are
        the activations as long as spikes arrive evenly.

    Returns
    -------
    SpikingResNet
        With neurons "if": ``v(0) = theta/2``, a spike of size theta where v reaches theta, which v loses.

    Raises
    ------
    InvalidInput
        If the neurons are others, or the network is not calibrated.

    Notes
    -----
    Quantisation clip-floor-shift, arXiv 2303.04347 (2022): with constant input the mean of T spikes is
    ``theta clip(floor(T x/theta + 1/2)/T, 0, 1)``, the activation of T levels.

    Examples
    --------
    >>> from lnpbrian.models.resnet import SpikingResNet
    >>> images = np.random.default_rng(0).random((8, 8, 8, 1))
    >>> net = SpikingResNet.random(width=1/16, shape=(8, 8, 1), neuron="qcfs").calibrate(images)
    >>> convert(net, steps=4).neuron
    'if'
    """
    if network.neuron != "qcfs":
        raise InvalidInput(f"only networks with neurons 'qcfs' can be converted, got {network.neuron!r}")
    made = folded(network)
    return replace(made, neuron="if", steps=checks.count("steps", steps))
