"""
From a figure of the paper to a command
=======================================

``lnpbrian reproduce NAME`` makes a table or figure of the paper from our networks, with the paper's numbers beside
ours. Here is what there is, and the sweep that each is drawn from; ``lnpbrian reproduce --list`` says what it costs.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import lnpbrian.experiments
from lnpbrian.experiments.reproduce import SHOWN

for shown in SHOWN:
    print(f"lnpbrian reproduce {shown.name:7} {shown.experiment or 'a diagram':12} {shown.title}")

# %%
# The paper's figure 7 shows spectra of networks of three densities, unpruned, pruned and trained. Its sweep is
# ``fig_spectra``:
#
# ::
#
#     lnpbrian reproduce fig7 --scale smoke                   # small networks: what comes out
#     lnpbrian sweep fig_spectra --scale medium --seeds 2     # 1000 neurons, eight minutes on two cores
#
# A sweep writes a JSON file of all numbers, from which figure and tables can be drawn again without computing anything.
# Those of the second line are kept with the project:

kept = Path(lnpbrian.experiments.__file__).with_name("results") / "fig_spectra.json"
out = Path(tempfile.mkdtemp())
shutil.copy(kept, out)
command = [sys.executable, "-m", "lnpbrian", "sweep", "fig_spectra", "--redraw", "--out", str(out)]
subprocess.run(command, check=True, capture_output=True)
print(*sorted(path.name for path in out.iterdir()))

# %%
# What the paper says of its figure, and what was found, with the numbers of each verdict in the file:

content = json.loads(kept.read_text())
for claim in content["claims"]:
    print(f"{claim['verdict']:10} {claim['claim']}")

# %%
# The densest of the three networks (p = 0.1, one seed), from the same file. Pruning raises the middle of the spectrum
# rather than lowering it: the neurons that it removes are the fast ones.

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for network in content["networks"]:
    if network["name"].endswith("p = 0.1") and network.get("seed", 0) == 0:
        exponents = np.sort(network["exponents_per_s"])[::-1]
        axes.plot(np.arange(1, exponents.size + 1) / exponents.size, exponents, label=network["name"])
axes.axhline(0, color="k", linewidth=1)
axes.set(xlabel="index / 2N", ylabel="Lyapunov exponent (1/s)")
axes.legend()
