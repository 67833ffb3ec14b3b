"""Networks as files of other simulators: the Neuromorphic Intermediate Representation (NIR), and one sparse matrix."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import Quantity

from lnpbrian import checks, files
from lnpbrian.checks import InvalidInput
from lnpbrian.network.spec import NetworkSpec

if TYPE_CHECKING:
    import nir

__all__ = [
    "FORMATS",
    "READERS",
    "export_network",
    "from_nir",
    "is_csr",
    "is_nir",
    "to_csr",
    "to_nir",
    "write_csr",
    "write_nir",
]

FORMATS = ("nir", "csr")
READERS = ("exact", "norse", "snntorch")
_FORMAT = 1
# Neurons whose dense weights take 2 GiB.
_MOST_NEURONS = 2**14
# The step of snnTorch's importer, whatever a file says.
_SNNTORCH_DT = 1e-4
_STEPS = {
    "CubaLIF": "Every dt: I and v move on exactly, v only of neurons that are not held; v >= v_threshold is a spike; "
    "then I of every target jumps by weight*w_in/tau_syn, v = v_reset, and the neuron is held in the next "
    "refractory_steps - 1 steps.",
    "LIF": "Every dt: v moves on exactly, of neurons that are not held; v >= v_threshold is a spike; then v of every "
    "target that is not held and did not fire itself jumps by weight*r/tau, v = v_reset, and the neuron is held in the "
    "next refractory_steps - 1 steps.",
    "norse": "Every dt as norse.torch.from_nir(graph, dt=dt) steps: by Euler, with constants of which it is exact.",
    "snntorch": "Every dt as snntorch.import_nir.import_from_nir(graph) steps: with constants of which its own step, "
    "which it takes for 1e-4 s, is exact over dt.",
}
_ABOUT_CSR = (
    "scipy.sparse.csr_array((data, indices, indptr), shape) is W: W[i, j] is the jump of I of neuron i (of v with "
    "synaptic_time_constant = 0) at a spike of neuron j. tau dv/dt = bias + I - v, synaptic_time_constant dI/dt = -I; "
    "v >= 1 is a spike; v is then 0 for refractory_steps steps of dt, that of the spike counted. SI units. "
    "See docs/nir.md of lnpbrian."
)


def _package() -> Any:
    try:
        import nir
    except ImportError as error:
        raise InvalidInput(f"NIR needs the package nir ({error}); pip install 'lnpbrian[nir]'") from error
    return nir


def to_nir(spec: NetworkSpec, *, reader: str = "exact") -> nir.NIRGraph:
    """Return a network as a graph of NIR; see `NetworkSpec.to_nir`.

    The format: Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> sorted(to_nir(uncoupled([10, 20] * ms)).nodes)
    ['input', 'lif', 'output', 'recurrent']
    """
    checks.choice("reader", reader, READERS)
    _refuse_what_nir_lacks(spec)
    _refuse_what_the_reader_lacks(spec, reader)
    package = _package()
    inner = spec.compacted()
    n = inner.n_neurons
    if n > _MOST_NEURONS:
        raise InvalidInput(
            f"weights are dense in NIR, {8 * n**2 / 2**30:.0f} GiB for {n} neurons (at most {_MOST_NEURONS}); "
            "write them sparse: lnpbrian export --to csr"
        )
    made = {"exact": _exact, "norse": _for_norse, "snntorch": _for_snntorch}[reader]
    node, linear, told = made(inner, package)
    node.metadata = _metadata(spec, inner) | {"reader": reader} | told
    nodes = {
        "input": package.Input({"input": np.array([n])}),
        "lif": node,
        "recurrent": linear,
        "output": package.Output({"output": np.array([n])}),
    }
    edges = [("input", "lif"), ("lif", "recurrent"), ("recurrent", "lif"), ("lif", "output")]
    return package.NIRGraph(nodes, edges, metadata={"lnpbrian": _FORMAT, "model": spec.model})


def _refuse_what_nir_lacks(spec: NetworkSpec) -> None:
    if spec.delays is not None and spec.delays.any():
        raise InvalidInput(
            "NIR has no delays of single synapses; take them off with dataclasses.replace(spec, delays=None), or write "
            "them with lnpbrian export --to csr"
        )
    if spec.plasticity is not None:
        raise InvalidInput(
            "NIR has no plasticity; fix the weights with dataclasses.replace(spec, plasticity=None) or lnpbrian export "
            "--fixed, or write the rule with --to csr"
        )
    if spec.spike_timing != "grid":
        raise InvalidInput(
            f"NIR has no {spec.spike_timing} spikes, between time steps; move them to the grid with "
            "spec.with_timing('grid') or lnpbrian export --grid, which changes rates if steps are long"
        )


def _refuse_what_the_reader_lacks(spec: NetworkSpec, reader: str) -> None:
    if reader == "exact":
        return
    if spec.has_delta_synapses:
        raise InvalidInput(
            f"{reader} lets delta synapses reach neurons that the same step resets; use reader='exact', or a "
            "synaptic time constant above 0"
        )
    steps = _refractory_steps(spec)
    if steps > 1:
        raise InvalidInput(
            f"{reader} cannot hold a refractory period of {1e3 * spec.refractory_period:g} ms ({steps} steps) and "
            "would fire far more; use reader='exact', whose file says it, or a network held for at most one step"
        )


def _refractory_steps(spec: NetworkSpec) -> int:
    """Return the steps in which a neuron is held, that of its spike included, as Brian2 rounds them."""
    return int((spec.refractory_period + 1e-3 * spec.dt) / spec.dt)


def _metadata(spec: NetworkSpec, inner: NetworkSpec) -> dict[str, Any]:
    """Return what NIR has no place for."""
    return {
        "dt": inner.dt,
        "refractory_period": inner.refractory_period,
        "refractory_steps": _refractory_steps(inner),
        "spike_timing": inner.spike_timing,
        "initial_potential": inner.initial_potential,
        "excitatory": inner.excitatory,
        "cluster": inner.cluster,
        # Where each neuron was before silent ones were left out.
        "neuron": np.flatnonzero(spec.alive),
    }


def _exact(spec: NetworkSpec, package: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return neurons and weights as the equations have them."""
    one, tau = np.ones(spec.n_neurons), spec.time_constants
    common = {"v_leak": spec.bias, "v_threshold": one, "v_reset": 0 * one}
    if spec.has_delta_synapses:
        # NIR's input is a current: a spike of weight w moves v by r w/tau.
        node = package.LIF(tau=tau, r=tau, **common)
    else:
        tau_syn = spec.synaptic_time_constant * one
        node = package.CubaLIF(tau_syn=tau_syn, tau_mem=tau, r=one, w_in=tau_syn, **common)
    # Beside the dense matrix: which synapses there are, one by one.
    weights = sparse_weights(spec)
    linear = package.Linear(weight=_dense(weights), metadata=weights)
    return node, linear, {"step": _STEPS[type(node).__name__]}


def _propagators(spec: NetworkSpec) -> tuple[np.ndarray, float, np.ndarray]:
    """Return a, s, c of a step: ``v -> a v + (1 - a) bias + c I`` and ``I -> s I``."""
    tau, tau_syn = spec.time_constants, spec.synaptic_time_constant
    a, s = np.exp(-spec.dt / tau), float(np.exp(-spec.dt / tau_syn))
    return a, s, tau_syn / (tau_syn - tau) * (s - a)


def _for_norse(spec: NetworkSpec, package: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return neurons of which norse's Euler steps are exact, and weights.

    With h = dt/tau it steps ``I += h_syn (v_leak - I + w_in x)``, ``v += h_mem (v_leak - v + r I)``: v_leak counts
    twice, and I starts from it.
    """
    a, s, c = _propagators(spec)
    one = np.ones(spec.n_neurons)
    r = c / (1 - a)
    node = package.CubaLIF(
        tau_syn=spec.dt / (1 - s) * one,
        tau_mem=spec.dt / (1 - a),
        r=r,
        v_leak=spec.bias / (1 + r),
        v_threshold=one,
        v_reset=0 * one,
        w_in=one / (1 - s),
    )
    return node, package.Linear(weight=_dense(sparse_weights(spec))), {"step": _STEPS["norse"]}


def _for_snntorch(spec: NetworkSpec, package: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return neurons of which snnTorch's steps are exact, and weights with what replaces v_leak, which it refuses.

    It steps ``syn = alpha syn + W spikes + bias``, ``mem = beta mem + syn``, with alpha = 1 - dt/tau_syn and beta =
    1 - dt/tau_mem of its own dt.
    """
    a, s, c = _propagators(spec)
    one = np.ones(spec.n_neurons)
    tau_syn, tau_mem = _SNNTORCH_DT / (1 - s) * one, _SNNTORCH_DT / (1 - a)
    node = package.CubaLIF(
        tau_syn=tau_syn,
        tau_mem=tau_mem,
        r=tau_mem / _SNNTORCH_DT,
        v_leak=0 * one,
        v_threshold=one,
        v_reset=0 * one,
        w_in=tau_syn / _SNNTORCH_DT,
    )
    constant = (1 - a) * spec.bias
    weights = c[:, np.newaxis] * _dense(sparse_weights(spec))
    linear = package.Affine(weight=weights, bias=(1 - s) * constant)
    # Otherwise the constant input would grow as slowly as a synaptic current.
    return node, linear, {"step": _STEPS["snntorch"], "initial_current": constant}


def sparse_weights(spec: NetworkSpec) -> dict[str, np.ndarray]:
    """Return the weights as rows of targets: indptr (N + 1,), indices (S,) of the neurons that fire, data (S,).

    Examples
    --------
    >>> from dataclasses import replace
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> spec = replace(uncoupled([10, 20] * ms), pre=[0, 1], post=[1, 0], weights=[0.5, -2.0])
    >>> {name: values.tolist() for name, values in sparse_weights(spec).items()}
    {'indptr': [0, 1, 2], 'indices': [1, 0], 'data': [-2.0, 0.5]}
    """
    order = np.lexsort((spec.pre, spec.post))
    ends = np.cumsum(np.bincount(spec.post, minlength=spec.n_neurons))
    return {"indptr": np.append(0, ends), "indices": spec.pre[order], "data": spec.weights[order]}


def _dense(weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the weights of a sparse matrix as a dense one, those of a pair of neurons added up."""
    n = weights["indptr"].size - 1
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.repeat(np.arange(n), np.diff(weights["indptr"])), weights["indices"]), weights["data"])
    return matrix


def from_nir(
    source: nir.NIRGraph | str | os.PathLike[str],
    *,
    dt: Quantity | None = None,
    refractory_period: Quantity | None = None,
) -> NetworkSpec:
    """Return the network of a graph of NIR, or of a file that holds one; see `NetworkSpec.from_nir`.

    The format: Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> from_nir(to_nir(uncoupled([10, 20] * ms)))
    NetworkSpec(uncoupled, 2 neurons (0 silent), 0 synapses)
    """
    if not isinstance(source, (_package().NIRGraph, str, os.PathLike)):
        raise InvalidInput(f"a network is read from a NIRGraph or the path of a file, got {type(source).__name__}")
    graph = _read(source) if isinstance(source, (str, os.PathLike)) else source
    node, linear = _neurons_and_weights(graph)
    told = {name: _plain(value) for name, value in (node.metadata or {}).items()}
    if told.get("reader", "exact") != "exact":
        raise InvalidInput(
            f"this graph was made for {told['reader']}, whose steps alone read its constants right; export the network "
            "again with reader='exact'"
        )
    step, held = _seconds("dt", dt, told), _seconds("refractory_period", refractory_period, told)
    constants = _constants(node)
    n = constants["time_constants"].size
    weights = _weights(linear, n)
    total = np.bincount(weights["indices"], weights=weights["data"], minlength=n)
    post = np.repeat(np.arange(n), np.diff(weights["indptr"]))
    return NetworkSpec(
        model=str(_plain((graph.metadata or {}).get("model", "NIR"))),
        time_constants=constants["time_constants"],
        bias=constants["bias"],
        initial_potential=told.get("initial_potential", np.zeros(n)),
        excitatory=told.get("excitatory", total >= 0),
        cluster=told.get("cluster", np.zeros(n)),
        alive=np.ones(n, dtype=bool),
        pre=weights["indices"],
        post=post,
        weights=weights["data"] * constants["jump"][post],
        synaptic_time_constant=constants["synaptic_time_constant"],
        refractory_period=held,
        dt=step,
    )


def _read(path: str | os.PathLike[str]) -> Any:
    package = _package()
    try:
        graph = package.read(io.BytesIO(files.read_bytes(path)))
    # nir asserts, and h5py raises what HDF5 does.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError, RuntimeError) as error:
        raise InvalidInput(f"{os.fspath(path)!r} cannot be read as a NIR file ({error})") from error
    if not isinstance(graph, package.NIRGraph):
        raise InvalidInput(f"{os.fspath(path)!r} holds a {type(graph).__name__}, a NIRGraph is needed")
    return graph


def _neurons_and_weights(graph: Any) -> tuple[Any, Any]:
    """Return the neurons of a graph and their recurrent weights, None without any."""
    kinds: dict[str, list[str]] = {}
    for name, node in graph.nodes.items():
        kinds.setdefault(type(node).__name__, []).append(name)
    neurons = kinds.pop("CubaLIF", []) + kinds.pop("LIF", [])
    linear = kinds.pop("Linear", []) + kinds.pop("Affine", [])
    ends = [kinds.pop("Input", []), kinds.pop("Output", [])]
    if len(neurons) == 1 and len(linear) <= 1 and not kinds and all(len(names) <= 1 for names in ends):
        (lif,) = neurons
        wanted = {(name, lif) for name in (*ends[0], *linear)} | {(lif, name) for name in (*ends[1], *linear)}
        matrix = graph.nodes[linear[0]] if linear else None
        if set(graph.edges) == wanted and not np.any(getattr(matrix, "bias", 0)):
            return graph.nodes[lif], matrix
    raise InvalidInput(
        "a graph of one CubaLIF or LIF can be read, with or without a Linear from it to itself, between an Input and "
        f"an Output; got {', '.join(f'{name}: {type(node).__name__}' for name, node in graph.nodes.items())}"
    )


def _plain(value: Any) -> Any:
    """Return numbers and text of metadata as such; HDF5 gives arrays of no dimension and bytes."""
    value = value.item() if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0 else value
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _seconds(name: str, given: Quantity | None, told: Mapping[str, Any]) -> float:
    """Return a time that the graph tells, or that is given because it does not."""
    if name in told:
        if given is not None:
            raise InvalidInput(f"the graph says its {name} ({told[name]} s); leave it out")
        return checks.real(name, told[name], at_least=0)
    if given is None:
        raise InvalidInput(f"the graph does not say its {name}, which NIR has no place for; give {name}, such as 1*ms")
    return checks.seconds(name, given, at_least=0)


def _constants(node: Any) -> dict[str, Any]:
    """Return the constants of neurons in units of their own thresholds."""
    r = checks.array("r", node.r, shape=(None,))
    names = ("v_leak", "v_threshold", "v_reset")
    v_leak, threshold, reset = (checks.array(name, getattr(node, name), shape=r.shape) for name in names)
    if not r.size:
        raise InvalidInput("the graph has no neuron; give one with at least one")
    span = threshold - reset
    if not (span > 0).all():
        raise InvalidInput("v_threshold must be above v_reset in every neuron of the graph")
    has_current = type(node).__name__ == "CubaLIF"
    tau = checks.array("tau", node.tau_mem if has_current else node.tau, shape=r.shape)
    fall = checks.array("tau_syn", node.tau_syn, shape=r.shape) if has_current else tau
    if not (np.minimum(tau, fall) > 0).all():
        raise InvalidInput("time constants must be above 0 s in every neuron of the graph")
    if has_current and not (fall == fall[0]).all():
        raise InvalidInput(f"tau_syn must be one time for all neurons, got {fall.min():g}..{fall.max():g} s")
    w_in = checks.array("w_in", node.w_in, shape=r.shape) if has_current else 1.0
    return {
        "time_constants": tau,
        "bias": (v_leak - reset) / span,
        # A spike of weight w is a charge: it moves what it moves by w over the time constant of that.
        "jump": r * (w_in / fall) / span if has_current else r / tau / span,
        "synaptic_time_constant": float(fall[0]) if has_current else 0.0,
    }


def _weights(linear: Any, n: int) -> dict[str, np.ndarray]:
    """Return recurrent weights as `sparse_weights`, by the synapses that the metadata list if they are there."""
    dense = np.zeros((n, n)) if linear is None else checks.array("weight", linear.weight, shape=(n, n))
    listed = {} if linear is None else linear.metadata or {}
    if {"indptr", "indices", "data"} <= set(listed):
        weights = {name: np.asarray(listed[name]) for name in ("indptr", "indices", "data")}
        with suppress(ValueError, TypeError, IndexError):
            weights = {
                name: checks.array(name, x, dtype=float if name == "data" else int) for name, x in weights.items()
            }
            whole = weights["indptr"].shape == (n + 1,) and weights["indices"].min(initial=0) >= 0
            if whole and np.array_equal(_dense(weights), dense):
                return weights
        raise InvalidInput(
            "the synapses that the metadata of the Linear list are not those of its weight; take indptr, indices and "
            "data out of the metadata if the weight was edited"
        )
    post, pre = np.nonzero(dense)
    return {"indptr": np.append(0, np.cumsum(np.bincount(post, minlength=n))), "indices": pre, "data": dense[post, pre]}


def write_nir(path: str | os.PathLike[str], spec: NetworkSpec, *, reader: str = "exact") -> None:
    """Write `to_nir` of a network to a file, whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/pair.nir"
    ...     write_nir(path, uncoupled([10, 20] * ms))
    ...     is_nir(path), from_nir(path)
    (True, NetworkSpec(uncoupled, 2 neurons (0 silent), 0 synapses))
    """
    _write(path, to_nir(spec, reader=reader))


def _write(path: str | os.PathLike[str], graph: Any) -> None:
    with files.replacing(path) as temporary:
        _package().write(temporary, graph)


def is_nir(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is one that `write_nir` wrote.

    Examples
    --------
    >>> is_nir(os.devnull)
    False
    """
    try:
        return "lnpbrian" in _read(path).metadata
    except InvalidInput:
        return False


def to_csr(spec: NetworkSpec) -> dict[str, np.ndarray]:
    """Return a network as named arrays around one sparse matrix, for simulators that have no reader of NIR.

    Parameters
    ----------
    spec : NetworkSpec
        Delays, plasticity and any timing of spikes are kept. Silent neurons are left out.

    Returns
    -------
    dict of str to ndarray
        ``data`` (S,), ``indices`` (S,) and ``indptr`` (N + 1,) of the matrix W of ``shape`` (N, N), where W[i, j] is
        the weight from neuron j to neuron i. Of synapses, in the order of ``data``: ``delays`` and ``stdp_*`` if the
        network has them. Of neurons, (N,): ``time_constants``, ``bias``, ``initial_potential``, ``excitatory``,
        ``cluster``, and ``neuron``, the number that each had before silent ones were left out. One number or text each:
        ``synaptic_time_constant`` (0 for delta synapses), ``refractory_period``, ``refractory_steps``, ``dt``,
        ``spike_timing``, ``model``, ``about``, ``format``. All in SI units and units of the threshold.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from brian2 import ms
    >>> from scipy.sparse import csr_array
    >>> from lnpbrian.models import uncoupled
    >>> made = to_csr(replace(uncoupled([10, 20] * ms), pre=[0, 1], post=[1, 0], weights=[0.5, -2.0]))
    >>> csr_array((made["data"], made["indices"], made["indptr"]), made["shape"]).toarray()
    array([[ 0. , -2. ],
           [ 0.5,  0. ]])
    """
    inner = spec.compacted()
    inner = inner.of_synapses(np.lexsort((inner.pre, inner.post)))
    left_out = ("alive", "pre", "post", "weights")
    arrays = {name: values for name, values in inner.to_arrays().items() if name not in left_out}
    return (
        arrays
        | sparse_weights(inner)
        | {
            "format": np.array(f"lnpbrian csr {_FORMAT}"),
            "about": np.array(_ABOUT_CSR),
            "shape": np.array([inner.n_neurons, inner.n_neurons]),
            "refractory_steps": np.array(_refractory_steps(inner)),
            "neuron": np.flatnonzero(spec.alive),
        }
    )


def write_csr(path: str | os.PathLike[str], spec: NetworkSpec) -> None:
    """Write `to_csr` of a network to an ``.npz`` file without pickled objects, whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/pair.npz"
    ...     write_csr(path, uncoupled([10, 20] * ms))
    ...     is_csr(path)
    True
    """
    arrays: dict[str, Any] = to_csr(spec)
    with files.replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)


def is_csr(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is one that `write_csr` wrote.

    Examples
    --------
    >>> is_csr(os.devnull)
    False
    """
    with suppress(OSError, ValueError):
        return str(files.read_arrays(path).get("format", "")).startswith("lnpbrian csr")
    return False


def export_network(spec: NetworkSpec, path: str | os.PathLike[str], *, to: str, reader: str = "exact") -> Path:
    """Write a network to a file in one of `FORMATS`, and return the path of the file.

    Parameters
    ----------
    spec : NetworkSpec
    path : path-like
        Folders are made. With ``to="csr"`` a path without the suffix ``.npz`` gets it.
    to : {"nir", "csr"}
        See `to_nir` and `to_csr`.
    reader : str
        See `to_nir`; of NIR only.

    Raises
    ------
    InvalidInput
        If the format cannot carry the network, or a file is there that no earlier export wrote.

    Examples
    --------
    >>> import tempfile
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_network(uncoupled([10, 20] * ms), f"{folder}/pair", to="csr").name
    'pair.npz'
    """
    checks.choice("to", to, FORMATS)
    if to == "csr" and checks.choice("reader", reader, READERS) != "exact":
        raise InvalidInput(f"reader={reader!r} is of NIR files; leave it out with to='csr'")
    target = Path(path)
    if target.is_dir():
        raise InvalidInput(f"--out {os.fspath(target)!r} is a folder; name the file to write")
    if to == "csr" and target.suffix != ".npz":
        target = Path(f"{target}.npz")
    graph = to_nir(spec, reader=reader) if to == "nir" else None
    if os.path.lexists(target) and not (is_nir if to == "nir" else is_csr)(target):
        raise InvalidInput(f"{os.fspath(target)!r} may be yours (lnpbrian did not export it); choose another --out")
    checks.writable_directory("--out", target.parent)
    if graph is None:
        write_csr(target, spec)
    else:
        _write(target, graph)
    return target
