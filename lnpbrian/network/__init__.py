"""A network: its numbers, its Brian2 objects, its edits and its runs.

Here is what one makes a network of, edits it with and runs it by; what only the other packages need is in the modules.
"""

from lnpbrian.network.compaction import CompactNetwork, RunTime, Speedup, compact, run_time
from lnpbrian.network.engines.compiled import CompiledNetwork
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.probing import linear_response
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.response import LinearResponse, slow_response
from lnpbrian.network.signals import Drive, noise_drive
from lnpbrian.network.simulate import mean_rates, observe, simulate
from lnpbrian.network.spec import NetworkSpec, synaptic_operations
from lnpbrian.network.structure import (
    add_synapses,
    connectivity,
    duplicate_synapses,
    mute_neurons,
    remove_synapses,
    silence_neurons,
)

__all__ = [
    "CompactNetwork",
    "CompiledNetwork",
    "Drive",
    "LinearResponse",
    "LiveNetwork",
    "NetworkSpec",
    "RecurrentNetwork",
    "RunTime",
    "Speedup",
    "add_synapses",
    "compact",
    "connectivity",
    "duplicate_synapses",
    "linear_response",
    "mean_rates",
    "mute_neurons",
    "noise_drive",
    "observe",
    "remove_synapses",
    "run_time",
    "silence_neurons",
    "simulate",
    "slow_response",
    "synaptic_operations",
]
