"""Numbers of a network as a graph: degrees, components, reciprocity."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from lnpbrian.network.spec import NetworkSpec

__all__ = ["graph_statistics"]


def graph_statistics(spec: NetworkSpec) -> dict[str, float]:
    """Return numbers of the graph of the neurons that are alive.

    Parameters
    ----------
    spec : NetworkSpec

    Returns
    -------
    dict of str to int or float
        ``neurons``, ``excitatory_neurons``, ``synapses``; ``density``, synapses per ordered pair of neurons;
        ``in_degree_mean``, ``_sd``, ``_max`` and the same of ``out_degree``; ``neurons_without_synapse``;
        ``strong_components``, ``largest_strong_component``, ``weak_components`` and ``largest_weak_component``, a
        neuron alone counted as one; ``reciprocity``, the fraction of the connections between two neurons that also go
        back, 0 without any.

    Notes
    -----
    In a random graph the expected reciprocity is the density. Reciprocity as of Newman, Forrest and Balthrop (2002),
    doi:10.1103/PhysRevE.66.035101, parallel synapses counted as one connection, those of a neuron onto itself left out.

    Examples
    --------
    Neurons 0 and 1 excite each other, 1 excites 2, and 3 is alone:

    >>> from brian2 import ms
    >>> from dataclasses import replace
    >>> from lnpbrian.models import uncoupled
    >>> ends = {"pre": np.array([0, 1, 1]), "post": np.array([1, 0, 2]), "weights": np.ones(3)}
    >>> found = graph_statistics(replace(uncoupled([10, 10, 10, 10] * ms), **ends))
    >>> found["strong_components"], found["weak_components"], round(found["reciprocity"], 3)
    (3, 2, 0.667)
    """
    inner = spec.compacted()
    n, s = inner.n_neurons, inner.n_synapses
    others = inner.pre != inner.post
    # Parallel synapses are one entry.
    graph = sparse.csr_array((np.ones(others.sum(), bool), (inner.pre[others], inner.post[others])), shape=(n, n))
    degrees = {
        name: np.bincount(ends, minlength=n) for name, ends in (("in_degree", inner.post), ("out_degree", inner.pre))
    }
    found: dict[str, float] = {
        "neurons": n,
        "excitatory_neurons": int(inner.excitatory.sum()),
        "synapses": s,
        "density": s / max(n * (n - 1), 1),
    }
    for name, degree in degrees.items():
        spread = (float(degree.mean()), float(degree.std()), int(degree.max())) if n else (0.0, 0.0, 0)
        found |= dict(zip((f"{name}_mean", f"{name}_sd", f"{name}_max"), spread, strict=True))
    found["neurons_without_synapse"] = int(((degrees["in_degree"] + degrees["out_degree"]) == 0).sum())
    for kind in ("strong", "weak"):
        count, label = connected_components(graph, connection=kind)
        found[f"{kind}_components"] = int(count)
        found[f"largest_{kind}_component"] = int(np.bincount(label).max()) if n else 0
    return found | {"reciprocity": float(graph.multiply(graph.T).nnz / graph.nnz) if graph.nnz else 0.0}
