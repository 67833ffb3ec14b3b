"""Lyapunov noise pruning of recurrent spiking networks in Brian2."""

from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.lnp import PruneOptions, PruneResult, prune
from lnpbrian.lyapunov import TwinExponents, block_twin_exponents, restored_twin_exponents
from lnpbrian.network import LiveNetwork, NetworkSpec, RecurrentNetwork
from lnpbrian.noise import NoisePruneOptions, noise_prune
from lnpbrian.spectrum import (
    Spectrum,
    entropy_rate,
    flow_spectrum,
    interpolate_spectrum,
    kaplan_yorke_dimension,
    lyapunov_spectrum,
    map_spectrum,
    rate_network_spectrum,
)
from lnpbrian.structure import add_synapses, compact, connectivity, remove_synapses, silence_neurons

__all__ = [
    "InvalidInput",
    "LiveNetwork",
    "NetworkSpec",
    "NoisePruneOptions",
    "PruneOptions",
    "PruneResult",
    "RecurrentNetwork",
    "Spectrum",
    "TwinExponents",
    "__version__",
    "add_synapses",
    "block_twin_exponents",
    "compact",
    "connectivity",
    "entropy_rate",
    "flow_spectrum",
    "interpolate_spectrum",
    "kaplan_yorke_dimension",
    "lyapunov_spectrum",
    "map_spectrum",
    "noise_prune",
    "prune",
    "rate_network_spectrum",
    "remove_synapses",
    "restored_twin_exponents",
    "silence_neurons",
]
