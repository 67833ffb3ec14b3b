"""The live Brian2 network of a `NetworkSpec`: built from it, edited in place, and described again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, Synapses, second

from lnpbrian.checks import InvalidInput, count, instance
from lnpbrian.network.brian2_internals import check_runtime, neuron_indices, per_synapse, tile_events
from lnpbrian.network.equations import build_objects, set_time_constants
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.network.structure import add_synapses, remove_synapses

__all__ = ["RecurrentNetwork", "adopt", "copy_block_events"]


class RecurrentNetwork(LiveNetwork):
    """The Brian2 network of a `NetworkSpec`, in runtime mode.

    Parameters
    ----------
    spec : NetworkSpec
        What to build.
    plastic : bool, default True
        Whether synapses with `spec.plasticity` learn; False builds them with fixed weights.
    name : str, default "lnpbrian"
        Prefix of the names of the Brian2 objects; two networks that run inside one ``Network`` need two prefixes.

    Attributes
    ----------
    network, neurons, synapses
        The live Brian2 objects. ``neurons.I_ext`` is the external drive, free for anything to write to.

    Notes
    -----
    Equations are exact between spikes, and strings of Brian2 (Stimberg et al. 2019, doi:10.7554/eLife.47314), so that
    anything else of Brian2 can be added to ``network``.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> model = RecurrentNetwork(uncoupled([10, 20] * ms))
    >>> model.set_time_constants(np.array([0.01, 0.04]))
    >>> model, model.spec.time_constants
    (RecurrentNetwork(2 neurons alive, 0 synapses), array([0.01, 0.04]))
    """

    def __init__(self, spec: NetworkSpec, *, plastic: bool = True, name: str = "lnpbrian") -> None:
        neurons, synapses = build_objects(spec, plastic=plastic, name=name)
        super().__init__(
            Network(neurons, synapses, name=f"{name}_network"),
            synapses,
            weight="w",
            inhibitory=(),
            state="v",
            time_constant="tau_m",
            input={"alive": False, "I_bias": 0.0},
            namespace={},
        )
        self.neurons = neurons
        self.synapses = synapses
        self._built_from = spec

    @property
    def time_constants(self) -> np.ndarray:
        """Membrane time constants in seconds, shape (N,)."""
        return np.array(self.neurons.tau_m_[:])

    @time_constants.setter
    def time_constants(self, _: np.ndarray) -> None:
        """The constructor finds what the neurons have."""

    @property
    def synaptic_time_constants(self) -> np.ndarray:
        """Of the synaptic current, shape (N,); 0 with delta synapses."""
        return np.full(self.n_neurons, self._built_from.synaptic_time_constant)

    def state_values(self) -> np.ndarray:
        """Return the potentials, which off the time grid tell held neurons apart; shape (N,)."""
        compared = "v" if self._built_from.spike_timing == "grid" else "virtual_v"
        return np.array(self.neurons.state(compared, use_units=False)[:])

    def state_scales(self) -> np.ndarray:
        """Return ones, shape (N,): potentials are in units of the threshold."""
        return np.ones(self.n_neurons)

    def set_time_constants(self, time_constants: np.ndarray) -> None:
        """Give the neurons other membrane time constants, shape (N,), in seconds."""
        checked = replace(self._built_from, time_constants=time_constants)
        set_time_constants(self.neurons, checked)

    @property
    def spec(self) -> NetworkSpec:
        """The network as it is now: a new frozen spec with everything that may have been edited.

        These are synapses, weights, constants of plasticity, time constants, biases and silent neurons.
        """
        built, neurons, synapses = self._built_from, self.neurons, self.synapses
        plasticity = None
        if built.plasticity is not None and "eta_plus" in synapses.variables:
            names = ("tau_plus", "tau_minus", "eta_plus", "eta_minus")
            constants: dict[str, Any] = synapses.get_states(list(names), units=False)
            constants |= {name: float(getattr(synapses, name)[:]) for name in ("w_min", "w_max")}
            plasticity = replace(built.plasticity, **constants)
        return replace(
            built,
            time_constants=self.time_constants,
            bias=np.array(neurons.I_bias_[:]),
            alive=np.array(neurons.alive_[:]),
            pre=np.array(synapses.i[:]),
            post=np.array(synapses.j[:]),
            weights=np.array(synapses.w_[:]),
            delays=None if built.delays is None else np.array(synapses.delay_[:]),
            plasticity=plasticity,
        )


# What makes a network another one.
_NEVER_EDITED = (
    *("initial_potential", "excitatory", "cluster"),
    *("synaptic_time_constant", "refractory_period", "dt", "spike_timing"),
)


def adopt(model: RecurrentNetwork, spec: NetworkSpec) -> None:
    """Make a model the network of `spec`, in place: its synapses, time constants, biases and silent neurons.

    Parameters
    ----------
    model : RecurrentNetwork
        A model of `lnpbrian.models` that `spec` descends from. Potentials, currents and the time stay; spikes in flight
        and traces are lost.
    spec : NetworkSpec
        Such as one that was saved while the model was being edited.

    Raises
    ------
    InvalidInput
        If `spec` has other neurons, one of the two has delays or plasticity and the other has not, or `remove_synapses`
        would refuse. Nothing has changed then.

    Examples
    --------
    What was removed is there again:

    >>> from lnpbrian.models import HRSNN
    >>> model = HRSNN(20, 0.5, check_rate=False)
    >>> before = model.spec
    >>> remove_synapses(model.synapses, "i < 10") > 0
    True
    >>> adopt(model, before)
    >>> model.n_synapses == before.n_synapses
    True
    """
    now, synapses = model.spec, model.synapses
    if any(not np.array_equal(getattr(spec, name), getattr(now, name)) for name in _NEVER_EDITED):
        raise InvalidInput(f"{spec!r} has other neurons than {now!r}; use the network that it descends from")
    if (spec.delays is None) != (now.delays is None) or (spec.plasticity is None) != (now.plasticity is None):
        raise InvalidInput(f"{spec!r} and {now!r} must both have delays or none, and be both plastic or not")
    values: dict[str, Any] = {"w": spec.weights}
    if spec.delays is not None:
        values["delay"] = spec.delays * second
        if spec.spike_timing == "precise":
            values["advance.delay"] = spec.delays * second
    stdp = spec.plasticity if "eta_plus" in synapses.variables else None
    if stdp is not None:
        values |= {"tau_plus": stdp.tau_plus * second, "tau_minus": stdp.tau_minus * second}
        values |= {"eta_plus": stdp.eta_plus, "eta_minus": stdp.eta_minus}
    remove_synapses(synapses, keep=np.zeros(len(synapses), dtype=bool))
    add_synapses(synapses, spec.pre, spec.post, **values)
    if stdp is not None:
        synapses.w_min, synapses.w_max = stdp.w_min, stdp.w_max
    model.set_time_constants(spec.time_constants)
    model.neurons.I_bias = spec.bias
    model.neurons.alive = spec.alive


def copy_block_events(synapses: Synapses, n_blocks: int) -> None:
    """Give the copies of a network the spikes in flight of the first one.

    Parameters
    ----------
    synapses : brian2.Synapses
        Connects a group of B*M neurons with itself and is block diagonal: B copies of one network of M neurons and S
        synapses; synapse s of copy b is entry b*S + s and connects the neurons of synapse s shifted by b*M.
    n_blocks : int
        B, the number of copies, the first one included.

    Raises
    ------
    InvalidInput
        If the synapses are not made of that many identical blocks (indices or delays differ), or on a standalone
        device.

    Notes
    -----
    In every pathway, the events waiting for the synapses of copies 1 ... B-1 (of queues see Brette and Goodman 2011,
    doi:10.1162/NECO_a_00123) are replaced by those of copy 0, at the same times. State variables are not copied. Unlike
    the edits of `structure` it leaves the number of synapses alone, so a network operation may call it during a run.

    Examples
    --------
    >>> from brian2 import NeuronGroup, Synapses
    >>> neurons = NeuronGroup(4, "v : 1", threshold="v > 1", reset="v = 0")
    >>> twins = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    >>> add_synapses(twins, [0, 2], [1, 3], w=1.0)
    >>> copy_block_events(twins, 2)
    >>> copy_block_events(twins, 4)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: 2 synapses between 4 neurons cannot be 4 identical blocks
    """
    instance("synapses", synapses, Synapses, "name a brian2.Synapses object")
    check_runtime(f"synapses '{synapses.name}'", synapses)
    blocks = count("n_blocks", n_blocks)
    tile_events(synapses, _check_blocks(synapses, blocks), blocks)


def _check_blocks(synapses: Synapses, blocks: int) -> int:
    """Return the number of synapses in each of `blocks` identical blocks."""
    if not (synapses.source is synapses.target and isinstance(synapses.source, NeuronGroup)):
        raise InvalidInput(
            f"synapses '{synapses.name}' must connect one NeuronGroup with itself, "
            f"got '{synapses.source.name}' to '{synapses.target.name}'"
        )
    n_synapses, n_neurons = len(synapses), len(synapses.source)
    if n_synapses % blocks or n_neurons % blocks:
        raise InvalidInput(f"{n_synapses} synapses between {n_neurons} neurons cannot be {blocks} identical blocks")
    size = n_synapses // blocks
    shift = (n_neurons // blocks) * np.arange(blocks)[:, np.newaxis]
    for name, neuron in zip(("i", "j"), neuron_indices(synapses), strict=True):
        _check_equal_blocks(synapses, name, neuron.reshape(blocks, size) - shift)
    for name, variable in per_synapse(synapses).items():
        if name.endswith(".delay"):
            _check_equal_blocks(synapses, name, variable.get_value().reshape(blocks, size))
    return size


def _check_equal_blocks(synapses: Synapses, name: str, blocks: np.ndarray) -> None:
    different = np.argwhere(blocks != blocks[0])
    if different.size:
        block, entry = (int(k) for k in different[0])
        raise InvalidInput(
            f"the blocks of synapses '{synapses.name}' are not identical: {name} of synapse {entry} of block {block} "
            "does not match block 0"
        )
