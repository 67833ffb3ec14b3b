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
from lnpbrian.lyapunov.tangent_twins import TangentTwins, tangent_twin_exponents
from lnpbrian.lyapunov.twins import TwinExponents, block_twin_exponents, restored_twin_exponents
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.model_structure import compact
from lnpbrian.network.spec import NetworkSpec, RecurrentNetwork
from lnpbrian.network.structure import (
    add_synapses,
    connectivity,
    duplicate_synapses,
    mute_neurons,
    remove_synapses,
    silence_neurons,
)
from lnpbrian.pruning.loop import PruneResult, prune
from lnpbrian.pruning.noise import NoisePruneOptions, noise_prune
from lnpbrian.pruning.options import DelocaliseOptions, PruneOptions, TuningOptions

__all__ = [
    "DelocaliseOptions",
    "InvalidInput",
    "LiveNetwork",
    "NetworkSpec",
    "NoisePruneOptions",
    "PruneOptions",
    "PruneResult",
    "RecurrentNetwork",
    "Spectrum",
    "TangentTwins",
    "TuningOptions",
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
