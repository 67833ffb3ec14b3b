"""Lyapunov noise pruning of recurrent spiking networks in Brian2.

Here is what most scripts need; the packages `network`, `lyapunov`, `pruning`, `learning` and `models` list more.
"""

from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov import Spectrum, lyapunov_spectrum, restored_twin_exponents
from lnpbrian.network import (
    LiveNetwork,
    NetworkSpec,
    add_synapses,
    compact,
    connectivity,
    noise_drive,
    remove_synapses,
    run_time,
    silence_neurons,
    simulate,
)
from lnpbrian.pruning import (
    BetweennessPruning,
    Delocalisation,
    NoisePruning,
    PruneOptions,
    PruneResult,
    Step,
    TimescaleTuning,
    paper_steps,
    prune,
)

__all__ = [
    "BetweennessPruning",
    "Delocalisation",
    "InvalidInput",
    "LiveNetwork",
    "NetworkSpec",
    "NoisePruning",
    "PruneOptions",
    "PruneResult",
    "Spectrum",
    "Step",
    "TimescaleTuning",
    "__version__",
    "add_synapses",
    "compact",
    "connectivity",
    "lyapunov_spectrum",
    "noise_drive",
    "paper_steps",
    "prune",
    "remove_synapses",
    "restored_twin_exponents",
    "run_time",
    "silence_neurons",
    "simulate",
]
