"""Lyapunov noise pruning of recurrent spiking networks in Brian2."""

from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.spectrum import (
    Spectrum,
    entropy_rate,
    flow_spectrum,
    interpolate_spectrum,
    kaplan_yorke_dimension,
    lyapunov_spectrum,
    map_spectrum,
    rate_network_spectrum,
)
from lnpbrian.lyapunov.twins import (
    TwinExponents,
    block_twin_exponents,
    restored_twin_exponents,
    tangent_twin_exponents,
)
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.recurrent import RecurrentNetwork, compact
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.network.structure import (
    add_synapses,
    connectivity,
    duplicate_synapses,
    mute_neurons,
    remove_synapses,
    silence_neurons,
)
from lnpbrian.pruning.history import PruneResult
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.noise import NoisePruneOptions, noise_prune
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import BetweennessPruning, Delocalisation, Iteration, NoisePruning, Step, TimescaleTuning

__all__ = [
    "BetweennessPruning",
    "Delocalisation",
    "InvalidInput",
    "Iteration",
    "LiveNetwork",
    "NetworkSpec",
    "NoisePruneOptions",
    "NoisePruning",
    "PruneOptions",
    "PruneResult",
    "RecurrentNetwork",
    "Spectrum",
    "Step",
    "TimescaleTuning",
    "TwinExponents",
    "__version__",
    "add_synapses",
    "block_twin_exponents",
    "compact",
    "connectivity",
    "duplicate_synapses",
    "entropy_rate",
    "flow_spectrum",
    "interpolate_spectrum",
    "kaplan_yorke_dimension",
    "lyapunov_spectrum",
    "map_spectrum",
    "mute_neurons",
    "noise_prune",
    "prune",
    "rate_network_spectrum",
    "remove_synapses",
    "restored_twin_exponents",
    "silence_neurons",
    "tangent_twin_exponents",
]
