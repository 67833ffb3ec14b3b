"""What is read from the equations of networks that nobody described: each case says in words what is right."""

import numpy as np
import pytest
from brian2 import (
    Function,
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    Synapses,
    check_units,
    device,
    implementation,
    linked_var,
    ms,
    mV,
    nS,
    set_device,
)

from lnpbrian import InvalidInput, LiveNetwork, PruneOptions, prune

QUICK = PruneOptions(0.5, 0.1, iterations=1, realisations=1, observation=60 * ms, exponent_duration=20 * ms)

LIF = "dv/dt = (drive - v)/(10*ms) : 1\ndrive : 1"
# Currents with a time course, an alpha function, conductances on either side of the threshold and on it.
TARGET = """dv/dt = (20*nS*(-60*mV - v) + g_e*(0*mV - v) + g_i*(-80*mV - v) + g_s*(-60*mV - v) + I - 2*K)/(200*pF)
    : volt
dg_e/dt = -g_e/(5*ms) : siemens
dg_i/dt = -g_i/(5*ms) : siemens
dg_s/dt = (rise - g_s)/(5*ms) : siemens
drise/dt = -rise/(5*ms) : siemens
dI/dt = -I/(5*ms) : amp
dK/dt = -K/(5*ms) : amp
counted : 1
level : amp
"""


def cells(n=20, equations=LIF, **more):
    how = {"threshold": "v > 1", "reset": "v = 0", "method": "euler", "name": "cells", "namespace": {}}
    return NeuronGroup(n, equations, **{**how, **more})


def read(on_pre, model="", equations=TARGET, threshold="v > -50*mV", reset="v = -60*mV", **more):
    """Return the network of cells with one Synapses object of this code, all to all."""
    group = cells(equations=equations, threshold=threshold, reset=reset)
    if "drive" in group.variables:
        group.drive = 1.2
    synapses = Synapses(group, group, model, on_pre=on_pre, name="between", namespace=more.pop("namespace", {}), **more)
    synapses.connect("i != j")
    return Network(group, synapses), synapses


@pytest.mark.parametrize(
    ("on_pre", "model", "weight", "sign"),
    [
        ("g_e += w", "w : siemens", "w", 1),
        ("g_e_post += w*nS", "w : 1", "w", 1),
        ("g_i += w", "w : siemens", "w", -1),
        # Shunting: it reverses below the threshold.
        ("g_s += w", "w : siemens", "w", -1),
        ("rise += w", "w : siemens", "w", -1),
        ("I += w", "w : amp", "w", 1),
        ("I -= w", "w : amp", "w", -1),
        ("I = I + w", "w : amp", "w", 1),
        ("I_post = I_post - w", "w : amp", "w", -1),
        ("K += w", "w : amp", "w", -1),
        ("K -= w", "w : amp", "w", 1),
        ("v += J", "J : volt", "J", 1),
        ("v += -J/3", "J : volt", "J", -1),
        ("spread = u*x; I += A*spread", "A : amp\nu : 1\nx : 1", "A", 1),
        ("I += A*u*x; u = u + 0.1*(1 - u); x -= u*x", "A : amp\nu : 1\nx : 1", "A", 1),
        ("counted += 1; g_i += w  # and more", "w : siemens", "w", -1),
        ("v += step*p", "step = 2*size : volt\nsize : volt\np : 1 (shared)", "size", 1),
        ("v += w*int(rand() < p)", "w : volt\np : 1 (constant)", "w", 1),
        ("v += clip(w, 0*mV, 3*mV)", "w : volt", "w", 1),
        ("g_e += 3*nS", "", 3 * nS, 1),
        ("v -= 0.5*mV", "", 0.5 * mV, -1),
        ("v += -0.5*mV*rand()", "", 0.5 * mV, -1),
        ("g_i += 2*w_all", "", 8 * nS, -1),
        ("g_e += shared_w", "shared_w : siemens (shared)", 5 * nS, 1),
        ("g_e += w*(-10*mV - v_post)/mV", "w : siemens", "w", 1),
    ],
)
def test_weight_and_sign(on_pre, model, weight, sign):
    network, synapses = read(on_pre, model, namespace={"w_all": 4 * nS})
    if "shared_w" in model:
        synapses.shared_w = 5 * nS
    role = LiveNetwork(network, namespace={}).roles.synapses(synapses)
    assert role.sign == sign
    if isinstance(weight, str):
        assert role.weight == weight
    else:
        np.testing.assert_allclose(float(role.weight), float(weight), rtol=1e-12)


def test_the_sign_may_be_that_of_the_source():
    group = cells(equations=LIF + "\nkind : 1")
    group.kind = np.where(np.arange(20) < 15, 1, -1)
    synapses = Synapses(group, group, "w : 1", on_pre="v_post += kind_pre*w", name="between")
    synapses.connect("i != j")
    synapses.w = 0.01
    live = LiveNetwork(Network(group, synapses), namespace={})
    assert live.signs().tolist() == [1] * 15 + [-1] * 5
    before = live.weights()
    live.set_weights(2 * before)
    np.testing.assert_allclose(live.weights(), 2 * before)
    assert (np.array(synapses.w[:]) > 0).all()


def test_positive_weights_onto_inhibitory_conductances_do_not_excite():
    network, synapses = read("g_i += w", "w : siemens")
    synapses.w = 3 * nS
    live = LiveNetwork(network, namespace={})
    assert (live.signs() == -1).all()
    assert "inhibits" in live.describe()
    # What is said stands.
    assert (LiveNetwork(network, weight="w", inhibitory=(), namespace={}).signs() == 1).all()


@pytest.mark.parametrize(
    ("equations", "threshold", "state", "time_constant_ms", "inputs"),
    [
        (LIF, "v > 1", "v", 10, ("drive",)),
        ("dx/dt = (1.1 - x)/(7*ms) : 1", "x >= 1", "x", 7, ()),
        ("dx/dt = -x/span : 1\nspan : second", "1 < x", "x", 3, ()),
        ("dv/dt = (I - v)/(9*ms) : 1\nI : 1\ndtop/dt = (1 - top)/(50*ms) : 1", "v > top", "v", 9, ("I",)),
        ("dv/dt = (g*(2 - v) - v)/(9*ms) : 1\ndg/dt = -g/(2*ms) : 1", "v > 1 and g > 0.1", "v", 9, ()),
        ("du/dt = -u/(4*ms) : 1\nv = 2*u : 1", "v > 1", "u", 4, ()),
        ("dv/dt = (0.04*v**2 + 5*v + 140 - u + I)/ms : 1\ndu/dt = -u/ms : 1\nI : 1", "v >= 30", "v", None, ("I",)),
        ("dv/dt = (-v + exp(v - 1))/(9*ms) : 1", "v > 3", "v", None, ()),
        ("dv/dt = (1.1 - v + int(v > 2)*v**2)/(9*ms) : 1", "v > 1", "v", None, ()),
        (TARGET + "\nextra : amp", "v > -50*mV", "v", 10, ()),
        ("dv/dt = -v/(10*ms) + 0.1*xi/sqrt(ms) : 1 (unless refractory)", "v > 1", "v", 10, ()),
    ],
)
def test_state_time_constant_and_input(equations, threshold, state, time_constant_ms, inputs):
    group = cells(equations=equations, threshold=threshold, reset="", refractory=2 * ms)
    if "span" in group.variables:
        group.span = 3 * ms
    written = "g" if "dg/dt" in equations else "g_e" if "g_e" in equations else state
    synapses = Synapses(group, group, on_pre=f"{written} += {'1*nS' if written == 'g_e' else 0.1}")
    synapses.connect(p=0.5)
    role = LiveNetwork(Network(group, synapses), namespace={}).roles.neurons("cells")
    assert (role.state, role.inputs) == (state, inputs)
    if time_constant_ms is None:
        assert role.time_constant is None
    else:
        np.testing.assert_allclose(1e3 * role.time_constant, time_constant_ms, rtol=1e-12)


def network_of_many_kinds():
    group = cells(equations=LIF + "\ngap : 1\ngate : 1")
    poisson = PoissonGroup(5, 20 * Hz, name="poisson")
    random = cells(5, "rates : Hz", threshold="rand() < rates*dt", reset="", name="random")
    clock = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, name="clock")
    silent = NeuronGroup(3, "x : 1", name="silent", namespace={})
    chemical = Synapses(group, group, "w : 1", on_pre="v_post += w", name="chemical")
    made = {
        "summed": Synapses(group, group, "gap_post = v_pre - v_post : 1 (summed)", name="summed"),
        "slow": Synapses(
            group,
            group,
            "ds/dt = -s/(50*ms) : 1 (clock-driven)\ngate_post = s : 1 (summed)",
            on_pre="s += 1",
            method="euler",
            name="slow",
        ),
        "poisson": Synapses(poisson, group, on_pre="v += 0.1", name="from_poisson"),
        "random": Synapses(random, group, on_pre="v += 0.1", name="from_random"),
        "clock": Synapses(clock, group, on_pre="v += 0.1", name="from_clock"),
        "silent": Synapses(group, silent, on_pre="x += 1", name="to_silent"),
        "reset": Synapses(group, group, on_pre="v_post = 0", name="resetting"),
        "count": Synapses(group, group, on_pre="gate_post += 1", name="counting"),
        "own": Synapses(group, group, "n : 1", on_pre="n += 1", name="own"),
        "before": Synapses(group, group, on_pre="v_pre -= 0.1", name="before"),
        "idle": Synapses(group, group, on_pre="v_post += 0.1", name="inactive"),
    }
    made["idle"].active = False
    for synapses in (chemical, *made.values()):
        synapses.connect()
    chemical.w = 0.01
    modulating = Synapses(group, chemical, on_pre="w_post += 0.001", name="modulating")
    modulating.connect(i=0, j=0)
    network = Network(group, poisson, random, clock, silent, chemical, modulating, *made.values())
    return network, chemical, {**made, "modulating": modulating}


WHY_NOT = {
    "summed": "acts without spikes through the summed variable 'gap'",
    "slow": "gates the summed variable 'gate'",
    "poisson": "comes from the source of spikes 'poisson'",
    "random": "comes from the source of spikes 'random'",
    "clock": "comes from the source of spikes 'clock'",
    "silent": "goes to 'silent', which has no threshold",
    "reset": "sets 'v' rather than adding to it",
    "count": "changes 'gate', which the threshold of its targets does not depend on",
    "own": "changes nothing in its targets when a spike arrives",
    "before": "changes nothing in its targets when a spike arrives",
    "idle": "is not active",
    "modulating": "connects to the synapses 'chemical'",
}


def test_what_is_no_synapse_between_spiking_neurons_is_left_alone():
    network, chemical, others = network_of_many_kinds()
    live = LiveNetwork(network, namespace={})
    assert live.connections == (chemical,)
    assert {name: live.roles.synapses(s).why_not for name, s in others.items()} == WHY_NOT
    described = live.describe()
    assert all(f"left alone  {s.name}" in described for s in others.values())


@pytest.mark.parametrize("name", ["summed", "slow", "poisson", "random", "count"])
def test_named_synapses_are_pruned_whatever_they_are(name):
    network, _, others = network_of_many_kinds()
    live = LiveNetwork(network, others[name], weight=1.0, namespace={})
    assert live.connections == (others[name],)
    assert live.n_alive == 20


def test_gates_are_pruned_where_there_is_nothing_else():
    group = cells(equations="dv/dt = (1.2 + gate - v)/(10*ms) : 1\ngate : 1")
    model = "ds/dt = -s/(20*ms) : 1 (clock-driven)\nw : 1\ngate_post = -w*s : 1 (summed)"
    slow = Synapses(group, group, model, on_pre="s += 0.1", method="euler", name="slow")
    slow.connect("i != j")
    slow.w = 0.1
    live = LiveNetwork(Network(group, slow), namespace={})
    assert live.connections == (slow,)
    assert (live.signs() == -1).all()


def test_standalone_networks_are_refused(tmp_path):
    set_device("cpp_standalone", directory=str(tmp_path), build_on_run=False)
    try:
        network, _ = read("v += w", "w : 1", equations=LIF, threshold="v > 1", reset="v = 0")
        with pytest.raises(InvalidInput, match=r"CPPStandaloneDevice.*set_device\('runtime'\)"):
            prune(network, options=QUICK)
    finally:
        device.reinit()
        set_device("runtime")


def test_refusals_say_why():
    network, chemical, others = network_of_many_kinds()
    chemical.active = others["slow"].active = False
    with pytest.raises(InvalidInput, match=r"'chemical' is not active.*name others: synapses="):
        LiveNetwork(network, namespace={})
    lonely = NeuronGroup(3, "dx/dt = -x/(10*ms) : 1\nsum_in : 1", name="rates")
    continuous = Synapses(lonely, lonely, "sum_in_post = tanh(x_pre) : 1 (summed)")
    with pytest.raises(InvalidInput, match="no group has a threshold"):
        LiveNetwork(Network(lonely, continuous), namespace={})
    with pytest.raises(InvalidInput, match="'rates' has no threshold"):
        LiveNetwork(Network(lonely, continuous), continuous, state="x_", weight=1.0, namespace={})
    with pytest.raises(InvalidInput, match="no Synapses"):
        LiveNetwork(Network(lonely), namespace={})
    unknown = Function(lambda v: np.nan, arg_units=[1], return_unit=1)
    network, _ = read("v += f(v_post)", equations=LIF, threshold="v > 1", reset="v = 0", namespace={"f": unknown})
    with pytest.raises(InvalidInput, match=r"whether 'between' excites shows neither.*weight=1.0 or weight=-1.0"):
        LiveNetwork(network, namespace={})


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("weight", ["", "w : 1"])
def test_a_sign_that_the_equations_do_not_tell_is_measured(sign, weight):
    @implementation("numpy", discard_units=True)
    @check_units(v=1, result=1)
    def response(v):
        return np.where(v == 1, np.nan, sign * 0.05)

    on_pre = f"v += response(v_post){'*w' if weight else ''}"
    network, synapses = read(
        on_pre, weight, equations=LIF, threshold="v > 1", reset="v = 0", namespace={"response": response}
    )
    if weight:
        synapses.w = 0.5
    network["cells"].v = np.linspace(0, 0.9, 20)
    network.run(3 * ms, namespace={})
    states = {obj.name: obj.get_states(units=False) for obj in network.objects if isinstance(obj, NeuronGroup)}
    live = LiveNetwork(network, namespace={})
    assert (live.signs() == sign).all()
    assert "sign measured" in live.describe()
    assert network.t == 3 * ms
    assert len(network.objects) == 2
    for name, values in states.items():
        np.testing.assert_equal(network[name].get_states(units=False), values)


def test_a_source_may_be_said_to_be_one():
    network, _, others = network_of_many_kinds()
    for state in (None, "v", {"cells": "v", "random": None}):
        live = LiveNetwork(network, others["random"], state=state, namespace={})
        assert live.is_neuron.sum() == 20
        assert live.is_protected.sum() == 5


def test_missing_constants_are_named():
    network, _ = read("v += w_of_caller", equations=LIF, threshold="v > limit_of_caller", reset="v = 0")
    with pytest.raises(InvalidInput, match=r"'between' use 'w_of_caller', which is not visible here; say .*namespace="):
        prune(network, options=QUICK)
    w_of_caller = 0.01  # noqa: F841 -- the equations ask for it
    with pytest.raises(InvalidInput, match="'cells' use 'limit_of_caller'"):
        prune(network, options=QUICK)
    limit_of_caller = 1  # noqa: F841
    assert prune(network, options=QUICK).history[-1].neurons == 18


def test_zeros_of_a_dense_matrix_go_first():
    network, synapses = read("v += w", "w : 1", equations=LIF, threshold="v > 1", reset="v = 0")
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.01, 0.02, 380) * (rng.random(380) < 0.3)
    synapses.w = weights
    result = prune(network, ("I",), options=PruneOptions(0.5, 0.0, iterations=1, realisations=1, observation=60 * ms))
    assert result.history[0].synapses == np.count_nonzero(weights)
    assert result.history[0].status == (f"{np.sum(weights == 0)} synapses of weight 0 removed, which did nothing",)
    assert abs(len(synapses) - 0.5 * np.count_nonzero(weights)) < 4 * np.sqrt(np.count_nonzero(weights))
    assert (np.array(synapses.w[:]) > 0).all()


@pytest.mark.parametrize("where", ["on_post", "equation", "operation", "other"])
def test_weights_that_start_at_zero_and_learn_are_kept(where):
    group = cells(40)
    group.drive = 1.2
    group.v = np.linspace(0, 0.9, 40)
    model = "dw/dt = 1/second : 1 (clock-driven)" if where == "equation" else "w : 1"
    more = {"on_post": "w = clip(w + 0.001, 0, 1)"} if where == "on_post" else {"method": "euler"}
    excite = Synapses(group, group, "w : 1", on_pre="v += w", name="excite")
    inhibit = Synapses(group, group, model, on_pre="v -= w", name="inhibit", **more)
    for synapses in (excite, inhibit):
        synapses.connect("i != j")
    excite.w = 0.005
    objects = [group, excite, inhibit]
    if where == "operation":
        inhibit.run_regularly("w = w + 0.001", dt=1 * ms)
    elif where == "other":
        other = Synapses(group, inhibit, on_pre="w_post += 0.001", name="other")
        other.connect(i=0, j=0)
        objects.append(other)
    network = Network(*objects)
    live = LiveNetwork(network, namespace={})
    assert (live.effects()[-len(inhibit) :] == -1).all()
    before = len(excite), len(inhibit)
    prune(live, ("I",), options=PruneOptions(0.5, 0.0, iterations=1, realisations=1, observation=60 * ms))
    for synapses, n in zip((excite, inhibit), before, strict=True):
        assert 0.2 * n < len(synapses) < 0.8 * n


def test_linked_and_unusual_variables_do_no_harm():
    clock = NeuronGroup(1, "dphase/dt = 1/second : 1", name="clock")
    group = cells(
        equations="dv/dt = (1 + 0.5*sin(phase) - v)/(10*ms) : 1\nphase : 1 (linked)\nn : integer\nb : boolean"
    )
    group.phase = linked_var(clock, "phase")
    synapses = Synapses(group, group, "w : 1\nk : integer", on_pre="v += w*(k + 1)\nn += 1", name="between")
    synapses.connect(p=0.5)
    live = LiveNetwork(Network(clock, group, synapses), namespace={})
    assert live.roles.synapses(synapses).weight == "w"
    np.testing.assert_allclose(live.time_constants, 0.01)
