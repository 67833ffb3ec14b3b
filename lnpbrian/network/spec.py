"""Every number of a recurrent leaky integrate-and-fire network, frozen, as arrays and in files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from brian2 import Quantity

from lnpbrian import checks, files
from lnpbrian.checks import InvalidInput

if TYPE_CHECKING:
    import nir

__all__ = ["STDP", "NetworkSpec", "mean_input", "synaptic_operations"]

_FORMAT = 1
SPIKE_TIMINGS = ("grid", "interpolated", "precise")

_NEURON_ARRAYS: dict[str, type] = {
    "time_constants": float,
    "bias": float,
    "initial_potential": float,
    "excitatory": bool,
    "cluster": np.int32,
    "alive": bool,
}
_SYNAPSE_ARRAYS: dict[str, type] = {"pre": np.int32, "post": np.int32, "weights": float, "delays": float}


def firing_rates(value: object, n: int | None = None) -> np.ndarray:
    """Return `value` as rates in Hz of `n` neurons, shape (n,), or of any number of them; negative ones are refused.

    Examples
    --------
    >>> firing_rates([5, -1])
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: rates must be at least 0 Hz, got -1.0
    """
    rates = checks.array("rates", value, shape=(n,))
    if (rates < 0).any():
        raise InvalidInput(f"rates must be at least 0 Hz, got {rates.min()}")
    return rates


def mean_input(pre: object, post: object, weights: object, *, rates: object, gain: object) -> np.ndarray:
    """Return the mean recurrent input of every neuron, or its change: it is linear in the weights.

    ``gain_i sum_j W_ij r_j``.

    Parameters
    ----------
    pre, post : array of int, shape (S,)
        Source and target neuron of each synapse, in 0..N-1.
    weights : array of float, shape (S,)
        Weights, or by how much they have changed.
    rates : array of float, shape (N,), Hz, at least 0
    gain : float or array of float, shape (N,), s, > 0
        Mean input per weight and rate: tau_syn for a current that jumps by the weight and decays exponentially, the
        target's tau_m for delta synapses, where the potential jumps by the weight.

    Returns
    -------
    array of float, shape (N,)
        In the unit of the bias, from which a change is subtracted to make up for it.

    Raises
    ------
    InvalidInput
        If arrays do not fit together, a rate is negative, or a gain is not positive.

    Notes
    -----
    The diagonal correction of the linear network (Moore and Chaudhuri 2020, arXiv 2011.07334: A_ii - Delta_i), read as
    excitability of a spiking neuron.

    Examples
    --------
    A synapse of weight 2 from neuron 0, which fires at 10 Hz, and one of weight -3 from neuron 1, at 5 Hz:

    >>> mean_input([0, 1], [1, 0], [2.0, -3.0], rates=[10.0, 5.0], gain=0.01)
    array([-0.15,  0.2 ])
    """
    r = firing_rates(rates)
    pre, post = checks.edge_arrays(pre, post, r.size)
    w = checks.array("weights", weights, shape=pre.shape)
    tau = checks.array("gain", gain)
    if tau.shape not in ((), r.shape) or not (tau > 0).all():
        raise InvalidInput(f"gain must be a time above 0 s, one or one per neuron ({r.size}), got {gain!r}")
    return tau * np.bincount(post, weights=w * r[pre], minlength=r.size)


def synaptic_operations(spikes: object, pre: object) -> float:
    """Return the number of synaptic operations of a run, or of a second.

    Parameters
    ----------
    spikes : array of int or float, shape (N,)
        Spikes of each neuron in a run, or their rates in Hz.
    pre : array of int, shape (S,)
        Presynaptic neuron of each surviving synapse.

    Returns
    -------
    float
        Sum over spikes of the surviving outgoing synapses of the neuron that fired; of counts it is exact up to 2^53.

    Notes
    -----
    Equation (9) of Chakraborty et al. (2024), arXiv 2403.03409. It equals NeuroBench's Effective_ACs of the recurrent
    weights.

    Examples
    --------
    Neuron 0 has two synapses and fires three times, neuron 1 has one and fires once:

    >>> synaptic_operations([3, 1, 0], [0, 0, 1])
    7.0
    """
    counts = np.asarray(spikes)
    return float(counts @ np.bincount(np.asarray(pre, dtype=np.intp), minlength=counts.size))


def not_a_network(path: str | os.PathLike[str], error: Exception) -> InvalidInput:
    """Return what to raise where a file that should hold a network cannot be read.

    >>> str(not_a_network("none.npz", OSError("no such file")))
    "'none.npz' cannot be read as a network file (no such file); a run saves one as network.npz"
    """
    return InvalidInput(f"{str(path)!r} cannot be read as a network file ({error}); a run saves one as network.npz")


def check_timing(spike_timing: str, synaptic_time_constant: float) -> None:
    """Refuse a spike timing that is unknown, or that synapses of this time constant (s) do not have.

    Examples
    --------
    >>> check_timing("precise", 0.0)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: precise spikes need exponential synapses; ...
    """
    checks.choice("spike_timing", spike_timing, SPIKE_TIMINGS)
    if synaptic_time_constant == 0 and spike_timing != "grid":
        raise InvalidInput(
            f"{spike_timing} spikes need exponential synapses; use spike_timing='grid' with synaptic_time_constant = 0"
        )


@dataclass(frozen=True, repr=False)
class STDP:
    """Heterogeneous pair-based spike-timing-dependent plasticity, one set of constants per synapse.

    Parameters
    ----------
    tau_plus, tau_minus : ndarray, shape (S,)
        Time constants of the pre- and postsynaptic traces, in seconds.
    eta_plus, eta_minus : ndarray, shape (S,)
        Learning rates of potentiation and depression, in [0, 1].
    w_min, w_max : float
        Bounds of the magnitude of a weight, 0 <= w_min <= w_max.

    Raises
    ------
    InvalidInput
        If arrays differ in size, or a value is out of range.

    Notes
    -----
    At a postsynaptic spike ``|w| += eta_plus (w_max - |w|) trace_plus``, at a presynaptic one
    ``|w| -= eta_minus (|w| - w_min) trace_minus``; the sign of a weight is that of its presynaptic neuron and stays
    (Chakraborty and Mukhopadhyay 2023, doi:10.3389/fnins.2023.994517). Learning sees a spike at the end of the time
    step in which it occurs.

    Examples
    --------
    >>> two = np.ones(2)
    >>> STDP(0.02 * two, 0.02 * two, 0.01 * two, 0.02 * two, w_min=0.0, w_max=4.0)
    STDP(2 synapses, |w| in [0, 4])
    """

    tau_plus: np.ndarray
    tau_minus: np.ndarray
    eta_plus: np.ndarray
    eta_minus: np.ndarray
    w_min: float
    w_max: float

    def __post_init__(self) -> None:
        size = np.size(self.tau_plus)
        for name in ("tau_plus", "tau_minus", "eta_plus", "eta_minus"):
            values = checks.array(name, getattr(self, name), shape=(size,))
            if name.startswith("tau") and not (values > 0).all():
                raise InvalidInput(f"{name} must be positive, got {values.min():g} s")
            if name.startswith("eta") and not ((values >= 0) & (values <= 1)).all():
                raise InvalidInput(f"{name} must be in [0, 1], got {values.min():g}..{values.max():g}")
            object.__setattr__(self, name, values)
        low = checks.real("w_min", self.w_min, at_least=0)
        checks.real("w_max", self.w_max, at_least=low)

    def __repr__(self) -> str:
        return f"STDP({self.tau_plus.size} synapses, |w| in [{self.w_min:g}, {self.w_max:g}])"

    def balanced(self, weights: np.ndarray, dt: float | None = None) -> STDP:
        """Return the constants with other rates of depression, at which the given weights (S,) do not drift.

        Of uncorrelated spikes at rates r and s, potentiation makes ``r s eta_plus a_plus (w_max - |w|)`` per unit of
        time and depression ``r s eta_minus a_minus (|w| - w_min)``, where a is the area of a trace as the other neuron
        meets it. In steps of dt that is a sum over lags of k steps. Within a step the presynaptic spike acts first, so
        that potentiation meets lag 0 and depression does not:

            a_plus = dt sum_(k >= 0) exp(-k dt/tau_plus) = dt / (1 - exp(-dt/tau_plus)) = tau_plus + dt/2 + ...,
            a_minus = dt sum_(k >= 1) exp(-k dt/tau_minus) = dt / (exp(dt/tau_minus) - 1) = tau_minus - dt/2 + ...

        The two sides are made equal, with `eta_minus` at most 1, so that only correlations move a weight. It holds for
        these weights and this step: whoever changes them afterwards calls this again.

        Parameters
        ----------
        weights : ndarray, shape (S,)
            Synaptic weights, of either sign.
        dt : float, optional
            Step of the simulation in seconds. By default the limit of short steps, a = tau.

        Raises
        ------
        InvalidInput
            If dt is not positive.

        Examples
        --------
        With exp(-dt/tau) = 1/2, the lags of potentiation add up to 2 steps and those of depression to 1:

        >>> one, dt = np.ones(1), 0.01
        >>> tau = dt / np.log(2) * one
        >>> STDP(tau, tau, 0.1 * one, 0.1 * one, w_min=0, w_max=4).balanced(one, dt).eta_minus.round(12)
        array([0.6])
        """
        size = np.abs(weights)
        above = np.maximum(size - self.w_min, 1e-300)
        ratio = self.tau_plus / self.tau_minus
        if dt is not None:
            h = checks.real("dt", dt, above=0)
            ratio = np.expm1(h / self.tau_minus) / -np.expm1(-h / self.tau_plus)
        rates = self.eta_plus * ratio * np.maximum(self.w_max - size, 0) / above
        return replace(self, eta_minus=np.minimum(rates, 1.0))

    def of_synapses(self, index: np.ndarray) -> STDP:
        """Return the constants of the synapses `index` (a mask or an index array)."""
        arrays = {name: getattr(self, name)[index] for name in ("tau_plus", "tau_minus", "eta_plus", "eta_minus")}
        return replace(self, **arrays)


@dataclass(frozen=True, repr=False)
class NetworkSpec:
    """Every number of a recurrent LIF network, as read-only arrays in SI units.

    Parameters
    ----------
    model : str
        Name of the model that drew it, for people.
    time_constants : ndarray, shape (N,)
        Membrane time constants tau_m in seconds.
    bias : ndarray, shape (N,)
        Constant drive I_bias in units of the threshold.
    initial_potential : ndarray, shape (N,)
        Membrane potentials at t = 0, below the threshold 1.
    excitatory : ndarray of bool, shape (N,)
        True where the outgoing weights are positive (Dale's law).
    cluster : ndarray of int, shape (N,)
        Cluster of each neuron; all zero without clusters.
    alive : ndarray of bool, shape (N,)
        False for neurons that a pruner silenced in place.
    pre, post : ndarray of int32, shape (S,)
        Neurons that a synapse comes from and goes to.
    weights : ndarray, shape (S,)
        Jump of the postsynaptic I_syn at a presynaptic spike, or of v with delta synapses, in units of the threshold.
    synaptic_time_constant : float
        tau_syn in seconds; 0 for delta synapses.
    refractory_period, dt : float
        t_ref and the simulation step, in seconds.
    delays : ndarray, shape (S,), optional
        Transmission delays in seconds; without them a spike acts at the end of the step in which it occurs.
    plasticity : STDP, optional
        Constants of plastic synapses.
    spike_timing : {"grid", "interpolated", "precise"}
        Where a spike happens. "grid": at the end of a time step (plain Brian2). "interpolated": where the potential
        crosses the threshold within the step; reset, refractoriness and synaptic current follow from there, so that no
        overshoot is lost. "precise": beside that, the potentials of the targets feel the spike within the step, which
        makes the network a smooth function of its state, as Lyapunov exponents need, at several times the cost per
        spike. The last two take exponential synapses and a refractory period of at least two steps.

    Raises
    ------
    InvalidInput
        If an array has the wrong shape, is not finite, or breaks one of the conditions above.

    Notes
    -----
    ``dv/dt = (I_bias + I_ext + I_syn - v)/tau_m``, ``dI_syn/dt = -I_syn/tau_syn``; v >= 1 is a spike, v is then held
    at 0 for t_ref, and I_syn of every target i of neuron j jumps by W_ij. Off the
    grid a step is integrated exactly up to the threshold (after Morrison et al. 2007, doi:10.1162/neco.2007.19.1.47);
    what is left to first order in dt is the decay of I_syn in the step of a release, and with precise timing the
    effect of a spike on the crossings that follow it within its step.

    With delta synapses (tau_syn = 0) there is no I_syn: v of every target i of neuron j jumps by W_ij, and a held
    target ignores the jump. A jump acts at the end of a step, after the threshold was looked at: a neuron that it
    carries over the threshold fires at the end of the next step, if it is still above then.

    Examples
    --------
    Neuron 0 excites neuron 1, which inhibits neuron 0:

    >>> from lnpbrian.models import uncoupled
    >>> from brian2 import ms
    >>> spec = replace(uncoupled([10, 20] * ms), excitatory=[True, False], pre=[0, 1], post=[1, 0], weights=[0.5, -2.0])
    >>> spec
    NetworkSpec(uncoupled, 2 neurons (0 silent), 2 synapses)
    >>> spec.mean_input([10.0, 0.0])  # 10 spikes a second, each 0.5 for 5 ms
    array([0.   , 0.025])
    """

    model: str
    time_constants: np.ndarray
    bias: np.ndarray
    initial_potential: np.ndarray
    excitatory: np.ndarray
    cluster: np.ndarray
    alive: np.ndarray
    pre: np.ndarray
    post: np.ndarray
    weights: np.ndarray
    synaptic_time_constant: float
    refractory_period: float
    dt: float
    delays: np.ndarray | None = None
    plasticity: STDP | None = None
    spike_timing: str = "grid"

    def __post_init__(self) -> None:
        n, n_synapses = (checks.any_array(name, getattr(self, name)).size for name in ("time_constants", "weights"))
        for names, size in ((_NEURON_ARRAYS, n), (_SYNAPSE_ARRAYS, n_synapses)):
            for name, dtype in names.items():
                value = getattr(self, name)
                if name == "delays" and value is None:
                    continue
                fixed = checks.array(name, value, shape=(size,), dtype=dtype).copy()
                fixed.flags.writeable = False
                object.__setattr__(self, name, fixed)
        checks.optional("plasticity", self.plasticity, STDP, "use STDP(...)")
        if self.plasticity is not None and self.plasticity.tau_plus.size != n_synapses:
            raise InvalidInput(
                f"plasticity is of {self.plasticity.tau_plus.size} synapses, the network has {n_synapses}"
            )
        checks.real("dt", self.dt, above=0)
        for name in ("synaptic_time_constant", "refractory_period"):
            checks.real(name, getattr(self, name), at_least=0)
        self._check_ranges(n)

    def _check_ranges(self, n: int) -> None:
        if n == 0:
            raise InvalidInput("a network needs at least one neuron, got none")
        if self.pre.size and (min(self.pre.min(), self.post.min()) < 0 or max(self.pre.max(), self.post.max()) >= n):
            raise InvalidInput(f"pre and post must be neuron indices in 0..{n - 1}")
        if not (self.time_constants > 0).all():
            raise InvalidInput(f"time_constants must be positive, got {self.time_constants.min():g} s")
        # The exact integrator of exponential synapses divides by 1/tau_syn - 1/tau_m.
        close = np.abs(self.time_constants - self.synaptic_time_constant) < 1e-6 * self.synaptic_time_constant
        if close.any():
            raise InvalidInput(
                f"time constant {self.time_constants[close][0]:g} s of neuron {int(np.argmax(close))} equals the "
                "synaptic one, where the exact integration of the LIF is singular; change one of them by 1e-5 or more"
            )
        check_timing(self.spike_timing, self.synaptic_time_constant)
        if self.spike_timing != "grid" and self.refractory_period < 2 * self.dt:
            raise InvalidInput(
                f"{self.spike_timing} spikes need a refractory period of at least two steps ({2e3 * self.dt:g} ms), "
                f"got {1e3 * self.refractory_period:g} ms; lower dt"
            )
        if self.spike_timing != "grid" and self.delays is not None and (self.delays >= self.refractory_period).any():
            raise InvalidInput(
                f"{self.spike_timing} spikes need delays below the refractory period ({1e3 * self.refractory_period:g} "
                f"ms), got {1e3 * self.delays.max():g} ms; use spike_timing='grid'"
            )
        if self.delays is not None and (self.delays < 0).any():
            raise InvalidInput(f"delays must not be negative, got {self.delays.min():g} s")

    @property
    def has_delta_synapses(self) -> bool:
        """Whether a spike moves the potential of its targets at once."""
        return self.synaptic_time_constant == 0

    @property
    def n_neurons(self) -> int:
        """Number of neurons N, silent ones included."""
        return int(self.time_constants.size)

    @property
    def n_synapses(self) -> int:
        """Number of synapses S."""
        return int(self.weights.size)

    @property
    def n_alive(self) -> int:
        """Number of neurons that have not been silenced."""
        return int(self.alive.sum())

    def __repr__(self) -> str:
        silent = self.n_neurons - self.n_alive
        return f"NetworkSpec({self.model}, {self.n_neurons} neurons ({silent} silent), {self.n_synapses} synapses)"

    def of_synapses(self, index: np.ndarray) -> NetworkSpec:
        """Return the network with only the synapses `index` (a mask or an index array)."""
        return replace(
            self,
            pre=self.pre[index],
            post=self.post[index],
            weights=self.weights[index],
            delays=None if self.delays is None else self.delays[index],
            plasticity=None if self.plasticity is None else self.plasticity.of_synapses(index),
        )

    def of_neurons(self, kept: np.ndarray) -> NetworkSpec:
        """Return the network of the neurons in the mask `kept`, renumbered in order, and the synapses among them.

        Parameters
        ----------
        kept : array of bool, shape (N,)

        Raises
        ------
        InvalidInput
            If no neuron is left, or the mask does not fit.
        """
        kept = checks.array("kept", kept, shape=(self.n_neurons,), dtype=bool)
        if not kept.any():
            raise InvalidInput("no neuron would be left; keep at least one")
        number = np.cumsum(kept) - 1
        inner = self.of_synapses(kept[self.pre] & kept[self.post])
        return replace(
            inner,
            pre=number[inner.pre],
            post=number[inner.post],
            **{name: getattr(self, name)[kept] for name in _NEURON_ARRAYS},
        )

    def mean_input(self, rates: object) -> np.ndarray:
        """Return the mean recurrent input (N,) in the unit of the bias at rates (N,) in Hz; see `mean_input`."""
        # A spike brings a current of w tau_syn in total, or moves the potential of its target by w.
        gain = self.synaptic_time_constant or self.time_constants
        return mean_input(self.pre, self.post, self.weights, rates=firing_rates(rates, self.n_neurons), gain=gain)

    def uncoupled(self, rates: object = None) -> NetworkSpec:
        """Return the same neurons without synapses; with rates (N,) in Hz, at the mean input that they have there."""
        bare = self.of_synapses(np.zeros(self.n_synapses, dtype=bool))
        if rates is None:
            return bare
        return replace(bare, bias=self.bias + np.where(self.alive, self.mean_input(rates), 0.0))

    def with_timing(self, spike_timing: str) -> NetworkSpec:
        """Return the same network with another `spike_timing`."""
        return replace(self, spike_timing=spike_timing)

    def compacted(self) -> NetworkSpec:
        """Return the network without its silent neurons."""
        return self.of_neurons(self.alive)

    def replicated(self, copies: int) -> NetworkSpec:
        """Return `copies` uncoupled copies side by side: copy b owns neurons b N .. (b + 1) N - 1."""
        copies = checks.count("copies", copies)
        block = np.repeat(np.arange(copies) * self.n_neurons, self.n_synapses)
        tiled = self.of_synapses(np.tile(np.arange(self.n_synapses), copies))
        grown: dict[str, Any] = {name: np.tile(getattr(self, name), copies) for name in _NEURON_ARRAYS}
        return replace(tiled, pre=tiled.pre + block, post=tiled.post + block, **grown)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the network as named arrays, from which `from_arrays` makes it again."""
        arrays: dict[str, np.ndarray] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, STDP):
                arrays |= {f"stdp_{f.name}": np.asarray(getattr(value, f.name)) for f in fields(value)}
            elif value is not None:
                arrays[field.name] = np.asarray(value)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the network that `to_arrays` was called on."""
        values: dict[str, Any] = {name: value.item() if value.ndim == 0 else value for name, value in arrays.items()}
        model = values.get("model", "")
        if not isinstance(model, str) or not model.isprintable():
            raise InvalidInput(f"model must be a name in printable characters, got {model!a:.40}")
        stdp = {name.removeprefix("stdp_"): values.pop(name) for name in list(values) if name.startswith("stdp_")}
        return cls(**values, plasticity=STDP(**stdp) if stdp else None)

    def to_nir(self, *, reader: str = "exact") -> nir.NIRGraph:
        """Return the network as a graph of the Neuromorphic Intermediate Representation, for `nir.write`.

        Parameters
        ----------
        reader : {"exact", "norse", "snntorch"}
            Who will step it. "exact": the constants are those of the equations, and whoever integrates them exactly
            fires every spike of Brian2. "norse" and "snntorch" step by Euler: the constants are those of which that is
            exact, for `norse.torch.from_nir` and `snntorch.import_nir.import_from_nir` alone.

        Returns
        -------
        nir.NIRGraph
            ``input -> lif -> output`` with ``lif -> recurrent -> lif``: a `nir.CubaLIF` (`nir.LIF` with delta synapses)
            and a dense `nir.Linear` (`nir.Affine` for snnTorch) of the N neurons that are not silent. What NIR has no
            place for is in the metadata of ``lif``: ``dt``, ``refractory_period``, ``refractory_steps``,
            ``initial_potential``, ``excitatory``, ``cluster``, the number ``neuron`` that each had in this network, and
            ``step``, which says in words when what happens; in that of ``recurrent`` the synapses one by one, as the
            rows of a sparse matrix (``indptr``, ``indices``, ``data``).

        Raises
        ------
        InvalidInput
            If the network has delays, plasticity or spikes between time steps; if the reader cannot hold its refractory
            period or has other delta synapses; if a dense matrix would be too large.

        Notes
        -----
        NIR: Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9. Its threshold is ``v > v_threshold``, here it is
        ``>=``; the two differ where v is on it to the last bit.

        Examples
        --------
        >>> from brian2 import ms
        >>> from lnpbrian.models import uncoupled
        >>> uncoupled([10, 20] * ms).to_nir().nodes["lif"].tau_mem
        array([0.01, 0.02])
        """
        from lnpbrian.network.nir import to_nir

        return to_nir(self, reader=reader)

    @classmethod
    def from_nir(
        cls,
        source: nir.NIRGraph | str | os.PathLike[str],
        *,
        dt: Quantity | None = None,
        refractory_period: Quantity | None = None,
    ) -> NetworkSpec:
        """Return the network of a graph of NIR, made by `to_nir` or by another simulator.

        Parameters
        ----------
        source : nir.NIRGraph or path-like
            One `nir.CubaLIF` or `nir.LIF` with or without a `nir.Linear` to itself. Its equations are taken as they
            stand in NIR's documentation, potentials and weights brought to a threshold of 1 and a reset to 0.
        dt, refractory_period : Quantity, optional
            Of a graph that does not say them; `to_nir` does.

        Returns
        -------
        NetworkSpec
            Equal to what `to_nir` was called on, without silent neurons and with the synapses in order of their
            targets.

        Raises
        ------
        InvalidInput
            If the graph has other nodes, was made for a single reader, or lacks a time.

        Examples
        --------
        >>> from brian2 import ms
        >>> from lnpbrian.models import uncoupled
        >>> NetworkSpec.from_nir(uncoupled([10, 20] * ms).to_nir())
        NetworkSpec(uncoupled, 2 neurons (0 silent), 0 synapses)
        """
        from lnpbrian.network.nir import from_nir

        return from_nir(source, dt=dt, refractory_period=refractory_period)

    def save(self, path: str | os.PathLike[str], *, compress: bool = True, note: str = "") -> None:
        """Write the network, and a note if there is one, to `path`, whole or not at all.

        The file is an ``.npz`` without pickled objects; a path without this suffix gets it.
        """
        content: dict[str, Any] = {"format": _FORMAT}
        if note:
            content["note"] = note
        content |= self.to_arrays()
        target = Path(path)
        if target.suffix != ".npz":
            target = Path(f"{target}.npz")
        with files.replacing(target) as temporary:
            (np.savez_compressed if compress else np.savez)(temporary, allow_pickle=False, **content)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a network that `save` wrote.

        Raises
        ------
        InvalidInput
            If the file is missing, truncated, or not such a network.
        """
        return cls.load_with_note(path)[0]

    @classmethod
    def load_with_note(cls, path: str | os.PathLike[str]) -> tuple[Self, str]:
        """Read a network and its note, as `load` does; the note is empty if it was saved without one."""
        try:
            content = files.read_arrays(path)
        except (OSError, ValueError, TypeError) as error:
            raise not_a_network(path, error) from error
        if content.pop("format", np.array(-1)).tolist() != _FORMAT:
            raise InvalidInput(f"{os.fspath(path)!r} is not an lnpbrian network of format {_FORMAT}; save it again")
        note = content.pop("note", np.array("")).tolist()
        if not isinstance(note, str):
            raise InvalidInput(f"the note in {os.fspath(path)!r} is no text; save the network again")
        try:
            return cls.from_arrays(content), note
        except TypeError as error:
            raise InvalidInput(f"{os.fspath(path)!r} lacks a part of a network ({error})") from error
