"""Factors for synapses whose weight is a constant in their code, so that each of them can be rescaled."""

from __future__ import annotations

import re
from types import MethodType
from typing import Any

import numpy as np
from brian2 import Synapses
from brian2.core.base import weakproxy_with_fallback

from lnpbrian.checks import InvalidInput

__all__ = ["SCALE", "Scalable", "is_scalable", "why_not_scalable"]

# The variable that holds the factors.
SCALE = "lnpbrian_scale"


class Scalable:
    """Synapses have a variable, 1 at first, by which what a spike adds to a variable of their target is multiplied.

    It is set back with everything else: in states of `Network.store` from before it existed all factors are 1.

    Parameters
    ----------
    synapses : brian2.Synapses
    variable : str
        The variable of the targets that a spike adds to.

    Raises
    ------
    InvalidInput
        If no statement of the code adds to that variable, or the synapses have a variable of that name.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> from lnpbrian.network.brian2_internals import commit
    >>> neurons = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    >>> synapses = Synapses(neurons, neurons, on_pre="v_post -= 0.5")
    >>> synapses.connect(i=0, j=1)
    >>> commit([Scalable(synapses, "v")])
    >>> synapses.pre.code, synapses.lnpbrian_scale[:].tolist()
    ('v_post -= lnpbrian_scale*(0.5)', [1.0])
    """

    def __init__(self, synapses: Synapses, variable: str) -> None:
        why = why_not_scalable(synapses, variable)
        if why:
            raise InvalidInput(why)
        self.synapses = synapses
        self.new = not is_scalable(synapses)
        self.codes = [(p, p.code, _scaled(p.code, variable)) for p in synapses._pathways if p.prepost == "pre"]

    def do(self) -> None:
        """Make the factors, if they are not there yet."""
        if not self.new:
            return
        s = self.synapses
        s.variables.add_dynamic_array(SCALE, size=len(s), dtype=float)
        factors = s.variables[SCALE]
        s.register_variable(factors)
        factors.get_value()[:] = 1.0
        s._restore_from_full_state = MethodType(_restore_scalable, weakproxy_with_fallback(s))
        for pathway, _, scaled in self.codes:
            pathway.code = scaled

    def undo(self) -> None:
        """Take the factors out."""
        if not self.new:
            return
        s = self.synapses
        for pathway, code, _ in self.codes:
            pathway.code = code
        s.__dict__.pop("_restore_from_full_state", None)
        if SCALE in s.variables:
            factors = s.variables[SCALE]
            if factors in s._registered_variables:
                s.unregister_variable(factors)
            s.variables._variables.pop(SCALE, None)
            s.variables.indices.pop(SCALE, None)


def is_scalable(synapses: Synapses) -> bool:
    """Whether synapses have factors already."""
    return SCALE in synapses.variables and "_restore_from_full_state" in synapses.__dict__


def why_not_scalable(synapses: Synapses, variable: str) -> str:
    """Return why synapses cannot be given factors, or nothing.

    Examples
    --------
    >>> from brian2 import NeuronGroup
    >>> neurons = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    >>> why_not_scalable(Synapses(neurons, neurons, on_pre="v_post = v_post + 1", name="S"), "v")
    "no statement of 'S' adds to 'v' with +="
    """
    if is_scalable(synapses):
        return ""
    if SCALE in synapses.variables:
        return f"'{synapses.name}' has a variable '{SCALE}', which is needed for factors; rename yours"
    if all(_scaled(p.code, variable) == p.code for p in synapses._pathways if p.prepost == "pre"):
        return f"no statement of '{synapses.name}' adds to '{variable}' with +="
    return ""


def _scaled(code: str, variable: str) -> str:
    """Return code in which all that is added to a variable of the targets is multiplied by the factor."""
    adds = re.compile(rf"^(\s*{re.escape(variable)}(?:_post)?\s*[-+]=)\s*([^#]*?)\s*(#.*)?$")
    lines = re.sub(r";", "\n", code).splitlines() if ";" in code else code.splitlines()
    return "\n".join(adds.sub(rf"\1 {SCALE}*(\2)", line) for line in lines)


def _restore_scalable(synapses: Synapses, state: dict[str, Any]) -> None:
    n = len(state["_synaptic_pre"][0])
    synapses.__class__._restore_from_full_state(synapses, {SCALE: (np.ones(n), n), **state})
