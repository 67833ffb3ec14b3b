"""What the parts of somebody's network are: read from its equations, not asked of the user.

A spiking synapse adds something to a variable of its target, which reaches, through the differential equations, the
variable of the threshold. From this statement follow the weight (what is added), its sign (does the threshold come
nearer?), and what is no spiking synapse at all.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from brian2 import Network, NeuronGroup, Quantity, SpikeMonitor, Synapses, ms
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.spikesource import SpikeSource
from brian2.core.variables import ArrayVariable, Constant
from brian2.groups.group import Group
from brian2.parsing.sympytools import str_to_sympy
from brian2.utils.stringtools import get_identifiers

from lnpbrian.network.brian2_internals import (
    ALIVE,
    StoredState,
    by_name,
    check_runtime,
    disown,
    is_own,
    require_names,
    run_network,
    states_of_equations,
    synapse_pathways,
    unowned,
    whole_group,
)

__all__ = ["NeuronRole", "Roles", "SynapseRole"]

# How long a network is run with and without synapses whose sign its equations do not tell.
_MEASURED = 200 * ms
# Between parameters of a synapse that are all factors of what it adds.
_USUAL_NAMES = ("w", "weight", "g", "J", "A")


@dataclass(frozen=True)
class NeuronRole:
    """What the equations of a group say.

    Attributes
    ----------
    state : str or None
        The variable that the threshold looks at; None of a source of spikes, which has none.
    time_constant : ndarray or None
        Seconds, shape (N,): of the passive membrane, where its equation is linear in the state once all other states
        are zero.
    inputs : tuple of str
        Parameters that the equation of the state adds.
    why_not : str
        Why nobody can prune these neurons, or nothing.
    """

    state: str | None
    time_constant: np.ndarray | None = None
    inputs: tuple[str, ...] = ()
    why_not: str = ""


@dataclass(frozen=True)
class SynapseRole:
    """What the code of a Synapses object says.

    Attributes
    ----------
    weight : str, Quantity, float or None
        The parameter that a spike adds a multiple of, or the constant that it adds; None where it is neither.
    sign : float or ndarray
        The effect of positive weights: 1 or -1, of each source neuron if they differ, 0 if it could not be told.
    statement : str
        What a spike does.
    why_not : str
        Why these are not pruned unless they are named, or nothing.
    gates : bool
        Whether they act by spikes, but through a variable of their own that is summed all the time. They are pruned if
        there are no others.
    """

    weight: str | Quantity | float | None = None
    sign: float | np.ndarray = 0.0
    statement: str = ""
    why_not: str = ""
    gates: bool = False


class Roles:
    """What the parts of a network are, each read when it is asked for.

    Parameters
    ----------
    network : brian2.Network
    namespace : mapping of str to number or Quantity
        External identifiers of the equations.

    Attributes
    ----------
    groups : dict of str to brian2.Group
        All groups that synapses touch, and all neurons.

    Raises
    ------
    InvalidInput
        When something is asked for, if equations use a name that is not in the namespace.

    Examples
    --------
    >>> from brian2 import Network
    >>> cells = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="cells")
    >>> synapses = Synapses(cells, cells, on_pre="v_post -= 0.5")
    >>> roles = Roles(Network(cells, synapses), {})
    >>> roles.neurons("cells").state, roles.synapses(synapses).sign
    ('v', -1.0)
    """

    def __init__(self, network: Network, namespace: Mapping[str, Any]) -> None:
        self.network, self.namespace = network, namespace
        self.groups = {obj.name: obj for obj in by_name(network.objects) if isinstance(obj, SpikeSource)}
        self._all = [obj for obj in network.objects if isinstance(obj, Synapses)]
        self._neurons: dict[str, NeuronRole] = {}
        self._synapses: dict[str, SynapseRole] = {}

    def neurons(self, name: str) -> NeuronRole:
        """Return what the group of that name is.

        Examples
        --------
        >>> from brian2 import ms
        >>> model = "dv/dt = (drive - v)/(10*ms) : 1\\n drive : 1"
        >>> cells = NeuronGroup(2, model, threshold="v > 1", reset="v = 0", name="cells")
        >>> role = Roles(Network(cells), {}).neurons("cells")
        >>> role.state, role.time_constant.tolist(), role.inputs
        ('v', [0.01, 0.01], ('drive',))
        """
        if name not in self._neurons:
            if not self._neurons:
                for group in self._all:
                    check_runtime(f"synapses '{group.name}'", group)
                require_names(self.network, self.namespace)
            self._neurons[name] = self._neuron_role(self.groups[name])
        return self._neurons[name]

    def _neuron_role(self, group: Group) -> NeuronRole:
        if not isinstance(group, NeuronGroup):
            return NeuronRole(None)
        threshold = group.events.get("spike")
        if threshold is None:
            return NeuronRole(None, why_not="has no threshold, so no spikes")
        state = _state(group, threshold, [s for s in self._all if whole_group(s.target)[0].name == group.name])
        if state is None:
            return NeuronRole(None)
        rate = _differential(group).get(state)
        if rate is None:
            return NeuronRole(state)
        written = set(_identifiers(group, threshold)) | _written_to(group, self._all)
        try:
            parts = _linear_parts(group, state, str_to_sympy(rate, group.variables), written, self.namespace)
        except Exception:  # what SymPy cannot read, or differentiate, is not plain
            return NeuronRole(state)
        return NeuronRole(state, *parts)

    def synapses(self, synapses: Synapses) -> SynapseRole:
        """Return what a Synapses object is.

        Examples
        --------
        A conductance whose reversal potential lies below the threshold inhibits:

        >>> from brian2 import ms
        >>> model = "dv/dt = (1.5 - v + g*(-1 - v))/(10*ms) : 1\\n dg/dt = -g/(5*ms) : 1"
        >>> cells = NeuronGroup(2, model, threshold="v > 1", reset="v = 0", name="cells")
        >>> synapses = Synapses(cells, cells, "w : 1", on_pre="g += 2*w")
        >>> Roles(Network(cells, synapses), {}).synapses(synapses)
        SynapseRole(weight='w', sign=-1.0, statement='g += 2*w', why_not='', gates=False)
        """
        if synapses.name not in self._synapses:
            self._synapses[synapses.name] = self._synapse_role(synapses)
        return self._synapses[synapses.name]

    def _synapse_role(self, synapses: Synapses) -> SynapseRole:
        neurons = {name: self.neurons(name) for name in self.groups}
        source, target = (whole_group(side)[0] for side in (synapses.source, synapses.target))
        for side in (source, target):
            if isinstance(side, Synapses):
                return SynapseRole(why_not=f"connects to the synapses '{side.name}'")
            if not isinstance(side, NeuronGroup) and side is target:
                return SynapseRole(why_not=f"goes to '{side.name}', which is no NeuronGroup")
        role = neurons.get(target.name)
        ends = self.groups.get(source.name), self.groups.get(target.name)
        found = _Reader(synapses, *ends, role, self.namespace).read()
        why_not = found.why_not
        if not synapses.active:
            why_not = "is not active"
        elif role is None or role.why_not or role.state is None:
            kind = "is a source of spikes" if role and not role.why_not else "has no threshold"
            why_not = f"goes to '{target.name}', which {kind}"
        elif neurons[source.name].state is None:
            why_not = f"comes from the source of spikes '{source.name}'"
        return replace(found, why_not=why_not, gates=found.gates and why_not == found.why_not)

    def measured(self, synapses: Synapses) -> SynapseRole:
        """Return what a Synapses object is, with a sign that the equations do not tell from two runs.

        Their targets fire more, or less, with the synapses than without them. The network is set back.
        """
        role = self.synapses(synapses)
        if not np.any(role.sign) and len(synapses):
            more = self._spikes_onto(synapses, active=True) - self._spikes_onto(synapses, active=False)
            weights = synapses.variables[role.weight].get_value() if isinstance(role.weight, str) else 1.0
            sign = float(np.sign(more) * np.sign(np.mean(weights)))
            role = replace(role, sign=sign, statement=f"{role.statement} (sign measured)")
            self._synapses[synapses.name] = role
        return role

    def _spikes_onto(self, synapses: Synapses, *, active: bool) -> int:
        state, was, new = StoredState(self.network), synapses.active, unowned(self.network)
        monitor = SpikeMonitor(synapses.target, record=False)
        try:
            self.network.add(monitor)
            synapses.active = active
            run_network(self.network, _MEASURED, namespace=self.namespace)
            return int(monitor.num_spikes)
        finally:
            state.restore()
            synapses.active = was
            disown(new)


@dataclass(frozen=True, eq=False)
class _Reader:
    """Reads the pathways of one Synapses object."""

    synapses: Synapses
    source: Group | None
    target: Group | None
    role: NeuronRole | None
    namespace: Mapping[str, Any]

    @property
    def state(self) -> str | None:
        """The variable that the threshold of the targets looks at."""
        return self.role.state if self.role else None

    def read(self) -> SynapseRole:
        added: list[tuple[str, str, str]] = []
        other: set[str] = set()
        for code in self._arrivals():
            local: dict[str, str] = {}
            for variable, op, said in _statements(code):
                expression = _with(said, local)
                if not self._kind(variable) and op == "=":
                    local[variable] = expression
                if self._kind(variable) != "post":
                    continue
                name = variable.removesuffix("_post")
                if op in ("+=", "-="):
                    added.append((name, op, expression))
                elif (inner := _increment(variable, expression)) is not None:
                    added.append((name, "+=", inner))
                else:
                    other.add(name)
        summed = sorted(name for name, _ in self._summed())
        if summed and not added:
            return self._of_summed(summed)
        if not (added or other):
            return SynapseRole(why_not="changes nothing in its targets when a spike arrives")
        if not added:
            return SynapseRole(why_not=f"sets '{min(other)}' rather than adding to it")
        reaching = [one for one in added if self.state is None or _reaches(self.target, one[0], self.state)]
        if not reaching:
            names = ", ".join(f"'{name}'" for name, _, _ in added)
            return SynapseRole(why_not=f"changes {names}, which the threshold of its targets does not depend on")
        name, op, said = reaching[0]
        expression = _expanded(said, self.synapses)
        weight = self._weight(expression)
        sign = self._sign(expression, weight, name) * (1.0 if op == "+=" else -1.0)
        return SynapseRole(weight, sign, f"{name} {op} {said}")

    # --------------------------------------------------------------------------------------------------- what it does

    def _arrivals(self) -> list[str]:
        """Return what happens at a spike of the source, the first arrival first."""
        found = [(delay, k, code) for k, (at, delay, code) in enumerate(synapse_pathways(self.synapses)) if at == "pre"]
        return [code for _, _, code in sorted(found)]

    def _summed(self) -> list[tuple[str, str]]:
        """Return the variables of the targets that are sums over the synapses, and the terms of these sums."""
        updaters = self.synapses.summed_updaters
        return [(n.removesuffix("_post"), str(u.expression.code)) for n, u in updaters.items() if n.endswith("_post")]

    def _of_summed(self, names: list[str]) -> SynapseRole:
        """Return the role of synapses that act through a sum, all the time or at spikes."""
        term = _expanded(dict(self._summed())[names[0]], self.synapses)
        weight = self._weight(term)
        gated = any(True for code in self._arrivals() for _ in _statements(code))
        how = "gates" if gated else "acts without spikes through"
        shown = f"the summed variable '{names[0]}'"
        sign = self._sign(term, weight, names[0])
        return SynapseRole(weight, sign, f"{names[0]} = sum of {term}", f"{how} {shown}", gated)

    def _kind(self, name: str) -> str:
        """Return whose variable a name is: "own", "pre", "post", or "" where it is none of theirs."""
        if name in self.synapses.variables and is_own(self.synapses, name):
            return "own"
        for side, group in (("pre", self.source), ("post", self.target)):
            inner = name.removesuffix(f"_{side}")
            if group is not None and inner in group.variables and (inner != name or side == "post"):
                return side
        return ""

    # --------------------------------------------------------------------------------------------------------- weight

    def _weight(self, expression: str) -> str | Quantity | float | None:
        """Return the parameter that the expression is proportional to, or the constant in it."""
        factors = list(_factors(expression))
        for candidates in ([n for n, power in factors if power > 0], _names(expression)):
            own = [n for n in candidates if self._kind(n) == "own" and _is_state(self.synapses, n)]
            states = states_of_equations(self.synapses)
            own.sort(key=lambda n: (n in states, n not in _USUAL_NAMES, not n.startswith("w")))
            if own:
                return own[0]
        constant: Any = 1.0
        for factor, power in factors:
            names = set(_names(factor))
            if any(self._kind(n) in ("pre", "post") or self._varies(n) for n in names) or "rand" in factor:
                continue
            value = _quantity(factor, self.synapses, self.namespace)
            if value is None or np.ndim(value) != 0:
                return None
            constant = constant * abs(value) ** power
        return constant if np.isfinite(float(constant)) and float(constant) != 0 else None

    def _varies(self, name: str) -> bool:
        return self._kind(name) == "own" and not self.synapses.variables[name].scalar

    # ----------------------------------------------------------------------------------------------------------- sign

    def _sign(self, expression: str, weight: Any, name: str) -> float | np.ndarray:
        """Return whether positive weights excite by adding an expression to `name`: one sign or one for each source."""
        values = self._probe(expression)
        if values is None:
            return 0.0
        if isinstance(weight, str):
            values[weight] = 1.0
        result = _evaluate(expression, values)
        if result is None:
            return 0.0
        sign = _one_sign(result, None if self.source is None else len(self.source))
        return sign if self.state in (None, name) else sign * self._path_sign(name, self.state)

    def _probe(self, expression: str) -> dict[str, Any] | None:
        """Return values of the names in an expression: of source neurons one for each, of all else one."""
        values: dict[str, Any] = {}
        for name in _names(expression):
            kind = self._kind(name)
            if kind == "own":
                values[name] = _typical(self.synapses.variables[name])
            elif kind == "pre":
                assert self.source is not None
                values[name] = _current(self.source.variables[name.removesuffix("_pre")])
            elif kind == "post":
                inner = name.removesuffix("_post")
                values[name] = _at_threshold(self.target, self.role, self.namespace).get(inner)
            else:
                values[name] = _value(name, self.synapses, self.namespace)
            if values[name] is None:
                return None
        return values

    def _path_sign(self, name: str, state: str) -> float:
        """Return whether a larger `name` lets the state grow (1) or fall (-1), through the equations in between."""
        assert isinstance(self.target, NeuronGroup)
        values = _at_threshold(self.target, self.role, self.namespace)
        rates = _differential(self.target)
        signs, front = {name: 1.0}, [name]
        while front:
            ahead = []
            for here in front:
                for other, rate in rates.items():
                    if other not in signs:
                        slope = _slope(rate, here, values, self.target, self.namespace)
                        if slope:
                            signs[other] = signs[here] * np.sign(slope)
                            ahead.append(other)
            if state in signs:
                return float(signs[state])
            front = ahead
        return 0.0


# ---------------------------------------------------------------------------------------------------------------------
# Neurons


def _state(group: NeuronGroup, threshold: str, onto: list[Synapses]) -> str | None:
    """Return the state that a threshold looks at: what has to grow, if several are compared."""
    differential = group.equations.diff_eq_names
    names = [n for n in _identifiers(group, threshold) if _is_state(group, n)]
    found = [n for n in names if n in differential]
    if found:
        return found[0]
    if "rand" in get_identifiers(threshold):
        return None
    # Without an equation of its own, but moved by spikes.
    moved = {
        v.removesuffix("_post") for s in onto for _, _, code in synapse_pathways(s) for v, _, _ in _statements(code)
    }
    return next((n for n in names if n in moved), None)


def _is_state(group: Group, name: str) -> bool:
    """Whether a name is a floating-point variable that can be set, one for each neuron or synapse."""
    variable = group.variables.get(name)
    return (
        isinstance(variable, ArrayVariable)
        and not (variable.read_only or variable.scalar)
        and np.issubdtype(variable.dtype, np.floating)
    )


def _identifiers(group: NeuronGroup, expression: str) -> list[str]:
    """Return the names in an expression, those in subexpressions included; in a comparison the greater side first."""
    found: list[str] = []
    expressions = group.equations.subexpr_names
    for name in _names(_greater_first(expression)):
        inner = _identifiers(group, group.equations[name].expr.code) if name in expressions else [name]
        found.extend(n for n in inner if n not in found and n != ALIVE)
    return found


def _greater_first(expression: str) -> str:
    class Turn(ast.NodeTransformer):
        def visit_Compare(self, node: ast.Compare) -> ast.AST:
            if len(node.ops) == 1 and isinstance(node.ops[0], (ast.Lt, ast.LtE)):
                return ast.Compare(left=node.comparators[0], ops=[ast.Gt()], comparators=[node.left])
            return node

    return ast.unparse(Turn().visit(ast.parse(expression.strip(), mode="eval")))


def _differential(group: NeuronGroup) -> dict[str, str]:
    """Return the right-hand sides of the differential equations, without subexpressions, noise and refractoriness."""
    noise = group.equations.stochastic_variables

    class Plain(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return ast.Constant(0) if node.id in noise else node

        def visit_Call(self, node: ast.Call) -> ast.AST:
            held = ast.unparse(node) == "int(not_refractory)"
            return ast.Constant(1) if held else self.generic_visit(node)

    pairs = group.equations.get_substituted_expressions(group.variables)
    return {name: ast.unparse(Plain().visit(ast.parse(code.code.strip(), mode="eval"))) for name, code in pairs}


def _reaches(group: Group | None, name: str, state: str) -> bool:
    """Whether the state depends on a variable, through the equations, the threshold's own names or events."""
    if not isinstance(group, NeuronGroup):
        return True
    rates = {n: set(get_identifiers(code)) for n, code in _differential(group).items()}
    reached, front = {name}, {name}
    while front:
        front = {n for n, needs in rates.items() if needs & front} - reached
        reached |= front
    return bool(reached & {state, *_identifiers(group, group.events.get("spike", state))})


def _written_to(group: NeuronGroup, synapses: Iterable[Synapses]) -> set[str]:
    """Return the variables of a group that synapses write to."""
    found = set()
    for s in synapses:
        if whole_group(s.target)[0].name == group.name:
            for _, _, code in synapse_pathways(s):
                found |= {variable.removesuffix("_post") for variable, _, _ in _statements(code)}
            found |= {name.removesuffix("_post") for name in s.summed_updaters}
    return found


def _linear_parts(
    group: NeuronGroup, state: str, expression: Any, taken: set[str], namespace: Mapping[str, Any]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the time constants of the passive membrane, and the parameters that are added to its input."""
    symbols = {str(s): s for s in expression.free_symbols}
    states = {n for n in group.equations.diff_eq_names if n in symbols}
    inputs = []
    for name in sorted(n for n in symbols if n in group.equations.parameter_names and n not in taken):
        slope = expression.diff(symbols[name])
        if _is_state(group, name) and not {str(s) for s in slope.free_symbols} & (states | {name, "t"}) and slope != 0:
            inputs.append(name)
    if state not in symbols:
        return None, tuple(inputs)
    passive = expression.subs({s: 0 for n, s in symbols.items() if n != state and n in states | taken})
    leak = -passive.diff(symbols[state])
    names = {str(s) for s in leak.free_symbols}
    if names & {state, "t"}:
        return None, tuple(inputs)
    values = {n: _current(group.variables[n]) if n in group.variables else _value(n, group, namespace) for n in names}
    leaks = None if any(v is None for v in values.values()) else _evaluate(str(leak), values)
    if leaks is None or not (np.isfinite(leaks).all() and (np.asarray(leaks) > 0).all()):
        return None, tuple(inputs)
    return np.broadcast_to(1 / np.asarray(leaks, dtype=float), (len(group),)).copy(), tuple(inputs)


# ---------------------------------------------------------------------------------------------------------------------
# Code and values


def _statements(code: str) -> Iterator[tuple[str, str, str]]:
    for line in re.sub(r"#.*", "", code).replace(";", "\n").splitlines():
        found = re.fullmatch(r"\s*(\w+)\s*([-+*/%]*=)([^=].*)", line)
        if found:
            yield found[1], found[2], found[3].strip()


def _with(expression: str, meanings: Mapping[str, str]) -> str:
    """Return an expression with what names mean put in."""
    if not meanings.keys() & set(_names(expression)):
        return expression

    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            if node.id not in meanings:
                return node
            return self.visit(ast.parse(meanings[node.id].strip(), mode="eval").body)

    return ast.unparse(Put().visit(ast.parse(expression.strip(), mode="eval")))


def _expanded(expression: str, synapses: Synapses) -> str:
    """Return an expression with the subexpressions of a synapse model put in."""
    equations = synapses.equations
    return _with(expression, {name: equations[name].expr.code for name in equations.subexpr_names})


def _increment(variable: str, expression: str) -> str | None:
    """Return what ``x = x + ...`` adds, or nothing of another assignment."""
    tree = ast.parse(expression.strip(), mode="eval").body
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, (ast.Add, ast.Sub)):
        bare = variable.removesuffix("_post")
        if isinstance(tree.left, ast.Name) and tree.left.id.removesuffix("_post") == bare:
            sign = "-" if isinstance(tree.op, ast.Sub) else ""
            return f"{sign}({ast.unparse(tree.right)})"
    return None


def _names(expression: str) -> list[str]:
    """Return the names in an expression that are no functions, in their order."""
    tree = ast.parse(expression.strip(), mode="eval")
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in functions]
    names.sort(key=lambda node: (node.lineno, node.col_offset))
    return list(dict.fromkeys(node.id for node in names if node.id not in ("True", "False")))


def _factors(expression: str) -> Iterator[tuple[str, int]]:
    """Return the factors of a product, each with 1, or -1 where it divides."""

    def walk(node: ast.expr, power: int) -> Iterator[tuple[str, int]]:
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
            yield from walk(node.left, power)
            yield from walk(node.right, -power if isinstance(node.op, ast.Div) else power)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            yield from walk(node.operand, power)
        else:
            yield ast.unparse(node), power

    yield from walk(ast.parse(expression.strip(), mode="eval").body, 1)


def _resolved(name: str, group: Group, namespace: Mapping[str, Any]) -> Any:
    try:
        return group.resolve_all({name}, namespace, user_identifiers=set())[name]
    except Exception:  # not to be found, or of a kind that is no number
        return None


def _value(name: str, group: Group, namespace: Mapping[str, Any]) -> Any:
    """Return the number that a name stands for outside the variables of neurons, or None."""
    found = _resolved(name, group, namespace)
    if isinstance(found, Constant):
        return float(found.value)
    if isinstance(found, ArrayVariable):
        return _typical(found)
    return None


def _quantity(expression: str, group: Group, namespace: Mapping[str, Any]) -> Any:
    """Return the quantity that an expression of constants stands for, or None."""
    values: dict[str, Any] = {}
    for name in _names(expression):
        found = _resolved(name, group, namespace)
        if not isinstance(found, (Constant, ArrayVariable)):
            return None
        value = float(found.value) if isinstance(found, Constant) else _typical(found)
        values[name] = Quantity(value, dim=found.dim)
    return _evaluate(expression, values)


def _evaluate(expression: str, values: Mapping[str, Any]) -> Any:
    """Return the value of an expression of Brian2, or None where it has none here."""
    functions = {name: f.pyfunc for name, f in DEFAULT_FUNCTIONS.items() if getattr(f, "pyfunc", None) is not None}
    functions |= {
        "rand": lambda *_: 0.5,
        "randn": lambda *_: 0.5,
        "poisson": lambda mean, *_: mean,
        "int": lambda value: np.asarray(value).astype(int),
    }
    try:
        with np.errstate(all="ignore"):
            value = eval(expression, {"__builtins__": {}}, {**functions, **values})
        finite = bool(np.isfinite(value).all())
    except Exception:  # whatever it is, it is not known
        return None
    return value if finite else None


def _typical(variable: Any) -> Any:
    """Return one value for all: the mean, or 1 of what has not been set."""
    if not isinstance(variable, ArrayVariable):
        return None
    values = np.asarray(variable.get_value(), dtype=float)
    return float(values.mean()) if values.size and values.any() else 1.0


def _current(variable: Any) -> Any:
    return np.asarray(variable.get_value(), dtype=float) if isinstance(variable, ArrayVariable) else None


def _at_threshold(group: Group | None, role: NeuronRole | None, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the means of the variables of a group, with its state where it meets the threshold, if that is a value."""
    if group is None:
        return {}
    values = {}
    for name, variable in group.variables.items():
        if isinstance(variable, ArrayVariable) and variable.dtype != bool and np.size(variable.get_value()):
            values[name] = float(np.mean(variable.get_value()))
    if isinstance(group, NeuronGroup) and role is not None and role.state is not None:
        limit = _threshold_value(group, role.state, values, namespace)
        if limit is not None:
            values[role.state] = limit
    return values


def _threshold_value(group: NeuronGroup, state: str, values: dict[str, Any], namespace: Mapping[str, Any]) -> Any:
    tree = ast.parse(_greater_first(group.events["spike"]).strip(), mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == state:
            limit = ast.unparse(node.comparators[0])
            names = {n: values[n] if n in values else _value(n, group, namespace) for n in _names(limit)}
            if state not in names and all(v is not None for v in names.values()):
                value = _evaluate(limit, names)
                return None if value is None else float(value)
    return None


def _slope(
    expression: str, name: str, values: Mapping[str, Any], group: NeuronGroup, namespace: Mapping[str, Any]
) -> float:
    """Return the derivative of an expression by a variable at `values`, 0 if it cannot be had."""
    names = _names(expression)
    if name not in names:
        return 0.0
    known = {n: values[n] if n in values else _value(n, group, namespace) for n in names}
    known |= {"t": 0.0, "dt": float(group.clock.dt_)}
    if any(v is None for v in known.values()):
        return 0.0
    step = 1e-3 * (abs(known[name]) or 1e-3)
    ends = [_evaluate(expression, {**known, name: known[name] + d}) for d in (-step, step)]
    return 0.0 if None in ends else float(ends[1] - ends[0]) / (2 * step)


def _one_sign(values: Any, n_sources: int | None) -> float | np.ndarray:
    """Return the common sign of values, or one for each source neuron, or 0."""
    signs = np.sign(np.asarray(values, dtype=float))
    if signs.ndim == 0 or (signs == signs.flat[0]).all():
        return float(signs.flat[0])
    return signs if n_sources is not None and signs.shape == (n_sources,) and signs.all() else 0.0
