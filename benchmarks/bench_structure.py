"""Seconds for edits of 2.5 million plastic synapses with delays: the table of docs/structure.md."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, Synapses, ms, prefs

from lnpbrian.network import (
    add_synapses,
    connectivity,
    duplicate_synapses,
    mute_neurons,
    remove_synapses,
    silence_neurons,
)

N, S = 5000, 2_500_000
MODEL = """w : 1
dx/dt = -x/(20*ms) : 1 (event-driven)
dy/dt = -y/(20*ms) : 1 (event-driven)"""


def timed(what: str, edit: Callable[[], Any]) -> None:
    start = time.perf_counter()
    edit()
    print(f"| {what} | {time.perf_counter() - start:.2g} |", flush=True)


def main() -> None:
    prefs.codegen.target = "numpy"
    rng = np.random.default_rng(0)
    namespace = {"ms": ms}
    neurons = NeuronGroup(N, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", namespace=namespace)
    s = Synapses(neurons, neurons, MODEL, on_pre="v_post += 0*w; x += 1", on_post="y += 1", namespace=namespace)
    pre, post, delays = rng.integers(N, size=S), rng.integers(N, size=S), rng.uniform(0, 5, S) * ms

    print("| edit | seconds |\n|---|---:|")
    timed("`add_synapses`, 2.5 million", lambda: add_synapses(s, pre, post, w=rng.random(S), delay=delays))
    neurons.v = rng.uniform(0, 1.04, N)  # 4 % fire at once: 100,000 events on their way
    Network(neurons, s).run(0.5 * ms, namespace={})
    few = rng.integers(N, size=(2, 1000))
    timed("`connectivity`", lambda: connectivity(s))
    timed("`add_synapses`, 1000 more", lambda: add_synapses(s, *few, w=1.0))
    donors = rng.integers(S, size=1000)
    timed("`duplicate_synapses`, 1000 more", lambda: duplicate_synapses(s, donors, *few))
    timed("`mute_neurons`, 50 neurons", lambda: mute_neurons(neurons, np.arange(50)))
    timed("`silence_neurons`, 50 neurons", lambda: silence_neurons(neurons, np.arange(50), synapses=s))
    timed("`remove_synapses`, 1 % by a condition", lambda: remove_synapses(s, "w < 0.01"))
    timed("`remove_synapses`, 95 % by a mask", lambda: remove_synapses(s, keep=rng.random(len(s)) < 0.05))


if __name__ == "__main__":
    main()
