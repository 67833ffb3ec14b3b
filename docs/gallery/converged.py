"""
Has my spectrum converged?
==========================

An exponent is a mean over time, and has an error. A `Spectrum` brings three means to judge it: a standard error of each
exponent, the running estimate after every interval (``trace``), and a sentence (``status``). Here they are put to the
test: do short runs scatter by more than their standard errors say?
"""

import matplotlib.pyplot as plt
import numpy as np
from brian2 import ms, second

from lnpbrian import lyapunov_spectrum, noise_drive
from lnpbrian.models import HRSNN

model = HRSNN(neurons=100, connection_probability=0.1, seed=1)


def measured(seed, duration, transient=200 * ms):
    """Return 20 exponents under noise of its own."""
    rng = np.random.default_rng(seed)
    noise = noise_drive(100, duration=duration + transient, rng=rng)
    return lyapunov_spectrum(model, n_exponents=20, duration=duration, transient=transient, inputs=noise, rng=rng)


long = measured(0, 10 * second)
print(long)

# %%
# Twelve runs of half a second, each under other noise.

short = [measured(seed, 500 * ms) for seed in range(1, 13)]
found = np.array([s.exponents for s in short])
said = np.array([s.standard_errors for s in short])
for k in (0, 9, 19):
    print(f"exponent {k + 1}: scatter {found[:, k].std(ddof=1):.2f}, mean standard error {said[:, k].mean():.2f} 1/s")

# %%
# Left: the running estimates of three exponents over the long run settle, after some seconds, within two standard
# errors of the end (bands). Right: the short runs beside the long one. They scatter by less than their standard errors:
# these also hold what directions that are still turning may add, which half a second does not average out. The ten
# seconds do, and their errors are many times smaller.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
time = long.interval * np.arange(1, len(long.trace) + 1)
for k, color in zip((0, 9, 19), ("C0", "C1", "C2"), strict=True):
    value, error = long.exponents[k], long.standard_errors[k]
    left.axhspan(value - 2 * error, value + 2 * error, color=color, alpha=0.2, linewidth=0)
    left.plot(time, long.trace[:, k], color=color, label=f"exponent {k + 1}")
left.set(xlabel="measured time (s)", ylabel="running estimate (1/s)", ylim=(-12, 12))
left.legend()
index = np.arange(1, 21)
for one, error in zip(found, said, strict=True):
    right.errorbar(index, one, error, fmt=".", color="0.6", linewidth=0.7, markersize=4)
right.errorbar(index, long.exponents, 2 * long.standard_errors, fmt="C3.", capsize=2, label="10 s, two standard errors")
right.plot([], [], ".", color="0.6", label="0.5 s, one standard error")
right.set(xlabel="exponent", ylabel="Lyapunov exponent (1/s)", xticks=[1, 5, 10, 15, 20])
right.legend()
