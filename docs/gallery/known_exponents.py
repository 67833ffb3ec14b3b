"""
Test against known exponents
============================

The code that follows the tangent vectors of a spiking network also takes systems that are given as Python functions.
Some of them have exponents that others have published, some have exponents that can be written down.
"""

import matplotlib.pyplot as plt
import numpy as np
from brian2 import ms, second

from lnpbrian import lyapunov_spectrum
from lnpbrian.lyapunov import flow_spectrum, map_spectrum
from lnpbrian.models import uncoupled

rng = np.random.default_rng(0)
found, known, errors, names = [], [], [], []


def compare(name, spectrum, values):
    """Note what was found beside what is known."""
    found.extend(spectrum.exponents)
    errors.extend(spectrum.standard_errors)
    known.extend(values)
    names.extend(f"{name} {k + 1}" for k in range(len(values)))
    print(f"{name:12}", spectrum.exponents.round(4), np.round(values, 4))


# %%
# Lorenz (1963), with the values of Viswanath (1998) and the exact sum of all three, -(sigma + 1 + beta); Roessler with
# a = b = 0.2, c = 5.7.


def lorenz(s):
    x, y, z = s
    return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def lorenz_jacobian(s):
    x, y, z = s
    return np.array([[-10, 10, 0], [28 - z, -1, -x], [y, x, -8 / 3]])


def roessler(s):
    x, y, z = s
    return np.array([-y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)])


def roessler_jacobian(s):
    x, _, z = s
    return np.array([[0, -1, -1], [1, 0.2, 0], [z, 0, x - 5.7]])


run = {"duration": 600.0, "transient": 50.0, "rng": rng}
compare(
    "Lorenz", flow_spectrum(lorenz, lorenz_jacobian, np.array([1.0, 2, 20]), step=0.01, **run), [0.9056, 0, -14.5723]
)
compare("Roessler", flow_spectrum(roessler, roessler_jacobian, np.ones(3), step=0.02, **run), [0.0714, 0, -5.3943])

# %%
# The map of Henon (1976); their sum is ln 0.3.

henon = map_spectrum(
    lambda s: np.array([1 - 1.4 * s[0] ** 2 + s[1], 0.3 * s[0]]),
    lambda s: np.array([[-2.8 * s[0], 1], [0.3, 0]]),
    np.zeros(2),
    duration=50_000,
    transient=100,
    rng=rng,
)
compare("Henon", henon, [0.41922, -1.62319])

# %%
# Neurons without synapses that stay below threshold forget at -1/tau, exactly; and of a spiking network that nothing
# drives from outside one exponent is 0: the direction of time. Here it is a single neuron that fires by itself.

quiet = lyapunov_spectrum(uncoupled([10, 20, 40] * ms, synaptic_time_constant=0 * ms), duration=1 * second, rng=rng)
compare("subthreshold", quiet, [-1 / 0.04, -1 / 0.02, -1 / 0.01])
firing = lyapunov_spectrum(uncoupled([20] * ms, bias=1.5, synaptic_time_constant=0 * ms), duration=20 * second, rng=rng)
compare("firing", firing, [0.0])

# %%
# All differences are within three standard errors, or below 1e-3 where there is next to none.

difference = np.array(found) - np.array(known)
scale = np.maximum(errors, 1e-3 / 3)
print("largest difference in standard errors:", np.abs(difference / scale).max().round(2))

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
axes.errorbar(difference, np.arange(len(names)), xerr=3 * np.array(errors), fmt="o", capsize=3)
axes.axvline(0, color="k", linewidth=1)
axes.set_yticks(range(len(names)), names)
axes.invert_yaxis()
axes.set(xlabel="found - known (1/unit of time), with three standard errors")
