"""The four steps on a live network: what each of them changes and what it leaves alone, in any order."""

from dataclasses import fields, replace
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, ms
from numpy.testing import assert_array_equal

from lnpbrian.checks import InvalidInput
from lnpbrian.models import CHRSNN, HRSNN, MRSNN
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.structure import remove_synapses
from lnpbrian.pruning.checkpoint import fingerprint
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.prunable import prunable
from lnpbrian.pruning.schedule import PruneOptions
from lnpbrian.pruning.steps import (
    BetweennessPruning,
    Delocalisation,
    Iteration,
    NoisePruning,
    Step,
    TimescaleTuning,
    as_steps,
    paper_steps,
    possible_steps,
    with_options,
)
from lnpbrian.pruning.steps.laws import Laws, fit_laws
from lnpbrian.pruning.steps.timescales import Measurement
from lnpbrian.streams import Streams

QUICK = PruneOptions(
    synapse_sparsity=0.8,
    neuron_sparsity=0.2,
    iterations=2,
    observation=100 * ms,
    exponent_duration=40 * ms,
    realisations=1,
    rates=(0, 500),
    exponent_growth=None,
)
TUNING = TimescaleTuning(every=2, evaluations=2, exponents=3, duration=20 * ms)
STEPS = (
    NoisePruning(excitability="keep"),
    BetweennessPruning(excitability="keep"),
    Delocalisation(excitability="keep"),
    TUNING,
)
NAMES = ("I", "II", "III", "IV")


def subject_of(live, seed=0):
    drive = noise_drive(len(live.neurons), duration=100 * ms, rng=np.random.default_rng(0))
    return prunable(live, QUICK, Streams(seed).child("prune"), drive)


def iteration(subject, number=1, **told):
    """What a step is told, where it does not matter what was measured."""
    live = subject.live
    seen = SimpleNamespace(rates=np.zeros(live.n_neurons))
    told = {"neurons": live.n_alive, "synapses": live.n_synapses, "observed": seen} | told
    return Iteration(number=number, iterations=9, streams=subject.streams, **told)


def edges(spec):
    return list(zip(spec.pre.tolist(), spec.post.tolist(), strict=True))


def assert_only_differs_in(before, after, names):
    for field in fields(before):
        if field.name not in names:
            assert fingerprint(getattr(before, field.name)) == fingerprint(getattr(after, field.name)), field.name


# ---------------------------------------------------------------------------------------------------------------------
# Which steps, in which order


ORDERS = [order for n in range(1, 5) for order in permutations(NAMES, n)]


@pytest.mark.parametrize("order", [*ORDERS[:16:3], *ORDERS[16::7]], ids=",".join)
def test_any_steps_in_any_order(order):
    live = HRSNN(40, 0.3, check_rate=False)
    before = live.spec
    options = replace(
        QUICK,
        synapse_sparsity=0.7 if "I" in order else 0.36 if "II" in order else 0,
        neuron_sparsity=0.2 if "II" in order else 0,
    )
    known = dict(zip(NAMES, with_options(STEPS, fraction=0.1, rule="variance"), strict=True))
    result = prune(live, [known[name] for name in order], options=options)
    after, last = live.spec, result.history[-1]
    said = [note.split(":")[0] for note in last.status if note.split(":")[0] in NAMES]
    assert tuple(said) == order  # the last iteration does all of them, step IV included
    assert set(order) <= set(last.seconds)
    assert last.neurons == (32 if "II" in order else 40)
    assert (set(edges(after)) <= set(edges(before))) == ("III" not in order)
    if order == ("III",):
        first = round(0.1 * before.n_synapses)
        assert last.synapses == before.n_synapses + first + round(0.1 * (before.n_synapses + first))
    if "IV" not in order:
        assert_array_equal(after.time_constants, before.time_constants)
    if not {"I", "III"} & set(order) and "II" in order:
        kept = after.alive[before.pre] & after.alive[before.post]
        assert edges(after) == edges(before.of_synapses(kept))
    assert_array_equal(after.weights > 0, after.excitatory[after.pre])
    assert after.alive[after.pre].all()
    assert after.alive[after.post].all()


@pytest.mark.parametrize("fraction", [0.0, 0.3])
def test_synapses_land_on_the_schedule(fraction):
    live = HRSNN(80, 0.3, check_rate=False)
    start = live.spec.n_synapses
    steps = (NoisePruning(), Delocalisation(fraction)) if fraction else (NoisePruning(),)
    options = replace(QUICK, iterations=4, neuron_sparsity=0)
    found = [record.synapses for record in prune(live, steps, options=options).history]
    for k in range(1, 5):
        wanted = start * 0.2 ** (k / 4)
        drawn = wanted / (1 + fraction)
        # Each synapse is drawn by itself: the variance sum p (1 - p) is largest when all p are equal. The rest is
        # rounding of three counts.
        spread = np.sqrt(drawn * (1 - drawn / found[k - 1])) * (1 + fraction)
        assert abs(found[k] - wanted) < 5 * spread + 2 * (1 + fraction)


def test_models_do_what_they_have_the_means_for():
    varied, equal = HRSNN(40, 0.3, check_rate=False), MRSNN(40, 0.3, check_rate=False)
    spec = varied.spec
    delayed = RecurrentNetwork(replace(spec, delays=np.full(spec.n_synapses, 1e-3)))
    clustered = CHRSNN(40, 0.3, clusters=3, cluster_neighbours=2, check_rate=False)
    one_equal = np.where(clustered.spec.cluster == 1, 0.02, clustered.spec.time_constants)
    partly = RecurrentNetwork(replace(clustered.spec, time_constants=one_equal))
    for live in (varied, clustered):
        assert [step.name for step in possible_steps(subject_of(live))] == ["I", "II", "III", "IV"]
    for live in (equal, delayed, partly):
        assert [step.name for step in possible_steps(subject_of(live))] == ["I", "II", "III"]
    for live, message in (
        (equal, "step IV needs time constants that differ within each cluster; leave it out"),
        (partly, "step IV needs time constants that differ within each cluster; leave it out"),
        (delayed, "step IV needs the spectrum, which is not known with delays; leave it out"),
    ):
        before = fingerprint(live.spec)
        with pytest.raises(InvalidInput, match=message):
            prune(live, STEPS, options=QUICK)
        assert fingerprint(live.spec) == before
    for live in (equal, delayed):
        history = prune(live, options=replace(QUICK, iterations=1, exponent_duration=20 * ms)).history
        assert "IV" not in history[-1].seconds
        assert {"I", "II", "III"} <= set(history[-1].seconds)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda subject: subject.spec, "a spec"),
        (lambda subject: subject.set_bias(np.zeros(20)), "another bias"),
        (lambda subject: subject.spectrum_of(None, 1, duration=ms, rng=np.random.default_rng(0)), "a spectrum"),
    ],
)
def test_what_only_models_have_is_refused_in_one_line(call, what):
    neurons = NeuronGroup(20, "v : 1", threshold="v > 1", reset="v = 0")
    synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
    synapses.connect("i != j")
    with pytest.raises(InvalidInput, match=f"^{what} needs a model of lnpbrian.models; [^\n]+$"):
        call(prunable(LiveNetwork(Network(neurons, synapses)), QUICK, Streams(0)))


def test_the_reference_decides_what_step_four_can_do():
    live = HRSNN(40, 0.3, check_rate=False)
    spec = live.spec
    before = fingerprint(spec)
    for reference, message in (
        (replace(spec, time_constants=np.full(40, 0.02)), "step IV needs time constants that differ"),
        # Differences of 1e-5 are too small for a law.
        (replace(spec, time_constants=np.linspace(0.02, 0.0200002, 40)), "step IV needs time constants that differ"),
        (replace(spec, delays=np.full(spec.n_synapses, 1e-3)), "step IV needs the spectrum"),
        (HRSNN(30, 0.3, check_rate=False).spec, "reference has 30 neurons, the network has 40"),
    ):
        with pytest.raises(InvalidInput, match=message):
            prune(live, (*STEPS[:3], replace(TUNING, reference=reference)), options=QUICK)
        assert fingerprint(live.spec) == before


# ---------------------------------------------------------------------------------------------------------------------
# Step III


@pytest.mark.parametrize(("rule", "limit"), [("variance", 4.0), ("variance", 2.0), ("variance", None), ("random", 4.0)])
def test_new_edges(rule, limit):
    live = HRSNN(60, 0.1, plastic=True, check_rate=False)
    spec = replace(live.spec, delays=1e-4 * np.arange(1, 1 + live.spec.n_synapses))
    live = RecurrentNetwork(spec)
    subject = subject_of(live)
    said = Delocalisation(0.2, rule, limit)(subject, iteration(subject))
    after = live.spec
    added = round(0.2 * spec.n_synapses)
    assert said == f"{added} edges added"
    old, new = slice(spec.n_synapses), slice(spec.n_synapses, None)
    assert after.n_synapses == spec.n_synapses + added
    for name in ("pre", "post", "weights", "delays"):
        assert_array_equal(getattr(after, name)[old], getattr(spec, name))
    placed = edges(after)[new]
    assert len(set(placed)) == added
    assert not set(placed) & set(edges(spec))
    assert all(pre != post for pre, post in placed)
    # Weight, delay and all constants of plasticity are those of one donor of the same sign; delays tell which.
    donor = np.rint(after.delays[new] / 1e-4).astype(int) - 1
    assert_array_equal(after.weights[new], spec.weights[donor])
    assert_array_equal(spec.excitatory[spec.pre[donor]], spec.excitatory[after.pre[new]])
    for name in ("tau_plus", "tau_minus", "eta_plus", "eta_minus"):
        assert_array_equal(getattr(after.plasticity, name)[new], getattr(spec.plasticity, name)[donor])
    assert len(set(donor.tolist())) > added / 3  # drawn, not always the same
    at_each = np.bincount(np.array(placed).ravel(), minlength=60)
    mean = 2 * added / 60
    if rule == "variance" and limit is None:
        assert at_each.max() > np.ceil(4 * mean)  # they gather, so that the limits of the other cases are limits
    elif rule == "variance":
        assert at_each.max() == np.ceil(limit * mean)
    assert_only_differs_in(spec, after, {"pre", "post", "weights", "delays", "plasticity"})


def test_new_edges_between_survivors_only():
    live = HRSNN(60, 0.2, check_rate=False)
    subject = subject_of(live)
    BetweennessPruning()(subject, iteration(subject, neurons=40))
    left = len(live.synapses)
    Delocalisation(0.3, rule="variance")(subject, iteration(subject))
    after = live.spec
    assert after.n_alive == 40
    assert after.n_synapses == left + round(0.3 * left)
    assert after.alive[after.pre].all()
    assert after.alive[after.post].all()


@pytest.mark.parametrize("rule", ["variance", "random"])
def test_a_dense_graph_takes_fewer_edges(rule):
    live = HRSNN(12, 0.9, check_rate=False)
    before = live.spec
    absent = 12 * 11 - before.n_synapses
    wanted = before.n_synapses // 2
    assert 0 < absent < wanted
    step = Delocalisation(wanted / before.n_synapses, rule, None)
    options = replace(QUICK, iterations=2, synapse_sparsity=0, neuron_sparsity=0)
    history = prune(live, (step,), options=options).history
    assert history[1].status[-1] == f"III: {absent} edges added, {wanted} were wanted"
    again = round(wanted / before.n_synapses * 12 * 11)
    assert history[2].status[-1] == f"III: 0 edges added, {again} were wanted"
    assert len(set(edges(live.spec))) == 12 * 11 == len(live.synapses)


def test_no_edge_without_a_donor():
    # The only inhibitory neuron has no synapse left: new edges from it would have no weight to take.
    live = HRSNN(10, 0.5, check_rate=False)
    spec = live.spec
    excitatory = np.arange(10) > 0
    keep = (spec.pre > 0) & (spec.weights > 0)
    signed = replace(spec.of_synapses(keep), excitatory=excitatory)
    live = RecurrentNetwork(signed)
    subject = subject_of(live)
    said = Delocalisation(3.0, "random")(subject, iteration(subject))
    after = live.spec
    added = after.n_synapses - signed.n_synapses
    assert 0 < added < round(3.0 * signed.n_synapses)
    assert said == f"{added} edges added, {round(3.0 * signed.n_synapses)} were wanted"
    assert (after.pre > 0).all()


# ---------------------------------------------------------------------------------------------------------------------
# Step IV


def known_measurement(step, spec, network, now, draw=0):
    """Exponents that depend on time constants and synapses, so that pruning calls for other time constants."""
    leak = np.sort(1 / spec.time_constants[spec.alive])
    return Measurement(-leak * (1 + spec.n_synapses / 300), 10.0)


@pytest.mark.parametrize("model", ["HRSNN", "CHRSNN", "plastic"])
def test_tuning_changes_time_constants_and_keeps_their_order(monkeypatch, model):
    monkeypatch.setattr(TimescaleTuning, "measure", known_measurement)
    if model == "CHRSNN":
        live = CHRSNN(60, 0.2, clusters=3, cluster_neighbours=2, check_rate=False)
    else:
        live = HRSNN(60, 0.2, plastic=model == "plastic", check_rate=False)
    start = live.spec
    subject, memory = subject_of(live), {}
    BetweennessPruning(excitability="keep")(subject, iteration(subject, neurons=50))
    keep = np.random.default_rng(0).random(len(live.synapses)) < 0.3
    remove_synapses(live.synapses, keep=keep)
    before = live.spec
    said = replace(TUNING, evaluations=5)(subject, iteration(subject, memory=memory))
    after = live.spec
    assert said.startswith("objective")
    assert_only_differs_in(before, after, {"time_constants"})
    assert_array_equal(live.time_constants, after.time_constants)
    assert_array_equal(np.array(live.neurons.tau_m_), after.time_constants)
    assert (after.time_constants != before.time_constants).any()
    for cluster in np.unique(start.cluster):
        here = start.cluster == cluster
        order = np.argsort(start.time_constants[here], kind="stable")
        assert (np.diff(after.time_constants[here][order]) >= 0).all()

    # Chosen again, the same laws give the same time constants, whatever these are now.
    laws, chosen = memory["laws"], after.time_constants
    TUNING(subject, iteration(subject, 2, memory=memory))  # the present ones, and those again
    assert memory["laws"] == laws
    assert_array_equal(live.spec.time_constants, chosen)
    assert fit_laws(start) != Laws.from_dict(laws)


def test_tuning_uses_the_spectrum():
    # With measured exponents: the network as it came is its own target, so nothing is better than its own laws.
    live = HRSNN(40, 0.2, check_rate=False)
    before = live.spec
    subject = subject_of(live)
    seen = []
    now = iteration(subject, report=seen.append)
    said = TUNING(subject, now)
    assert "none of 1 other laws is better than the present ones (0)" in said
    assert_array_equal(live.spec.time_constants, before.time_constants)
    assert seen == [0.5, 1.0]
    alive = np.arange(40) < 20
    half = replace(before.of_synapses(alive[before.pre] & alive[before.post]), alive=alive)
    whole, pruned = (TUNING.measure(spec, subject, now) for spec in (before, half))
    # 3 of the 80 exponents of the whole network are asked for, of a half as large a part, but no fewer than two.
    assert (whole.exponents.size, whole.dimension) == (3, 80)
    assert (pruned.exponents.size, pruned.dimension) == (2, 40)


def test_tuning_at_the_stated_iterations_and_at_the_end():
    live = HRSNN(40, 0.3, check_rate=False)
    history = prune(live, STEPS, options=replace(QUICK, iterations=5)).history
    assert [record.iteration for record in history if "IV" in record.seconds] == [2, 4, 5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": 0.5}, r"mean must be a number in \[1, inf\), got 0.5"),
        ({"shape": -1.0}, r"shape must be a number in \[1, inf\), got -1.0"),
        ({"mean": 1.0, "shape": 1.0}, "nothing to search; leave out step IV"),
        ({"evaluations": 1}, "evaluations must be a whole number of at least 2, got 1"),
        ({"every": 0}, "every must be a whole number of at least 1, got 0"),
        ({"exponents": 0}, "exponents must be a whole number of at least 1, got 0"),
        ({"duration": 0 * ms}, "duration"),
    ],
)
def test_bad_searches(options, message):
    with pytest.raises(InvalidInput, match=message):
        TimescaleTuning(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": -0.1}, r"fraction must be a number in \[0, inf\), got -0.1"),
        ({"rule": "best"}, "rule must be one of connect, variance, random; got 'best'"),
        ({"edges_per_neuron": 1.0}, r"edges_per_neuron must be a number in \[2, inf\), got 1.0"),
    ],
)
def test_bad_new_edges(options, message):
    with pytest.raises(InvalidInput, match=message):
        Delocalisation(**options)


def test_time_constants_that_are_not_positive_are_refused_and_nothing_changes():
    live = HRSNN(20, 0.3, check_rate=False)
    before = live.spec
    for value in (0.0, -0.01, np.nan):
        with pytest.raises(InvalidInput, match="time_constants must be"):
            live.set_time_constants(np.where(np.arange(20) == 3, value, before.time_constants))
        assert fingerprint(live.spec) == fingerprint(before)
        assert_array_equal(live.time_constants, before.time_constants)


# ---------------------------------------------------------------------------------------------------------------------
# Networks of somebody else


def own_network(n=40):
    """A network with neurons of both signs, whose weights keep no rule."""
    rng = np.random.default_rng(0)
    neurons = NeuronGroup(
        n,
        "du/dt = (drive - u)/(20*ms) : 1\ndrive : 1",
        threshold="u > 1",
        reset="u = 0",
        method="exact",
        namespace={"ms": ms},
        name="mine",
    )
    neurons.drive, neurons.u = rng.uniform(1.1, 1.8, n), rng.random(n)
    synapses = Synapses(neurons, neurons, "g : 1\na : 1", on_pre="u_post += g", name="between")
    synapses.connect(i=np.repeat(np.arange(n), 8), j=rng.integers(n, size=8 * n))
    synapses.g = rng.normal(0, 0.02, 8 * n)
    synapses.g[: 8 * 5] = np.abs(synapses.g[: 8 * 5])  # neurons 0..4 only excite
    synapses.a = np.arange(8 * n)
    live = LiveNetwork(
        Network(neurons, synapses),
        synapses,
        weight="g",
        state="u",
        time_constant=20 * ms,
        input="drive",
    )
    return live


def test_own_networks_are_pruned_by_three_steps():
    live = own_network()
    (synapses,) = live.connections
    weight = dict(zip(np.array(synapses.a).tolist(), np.array(synapses.g).tolist(), strict=True))
    old = set(zip(synapses.i[:].tolist(), synapses.j[:].tolist(), strict=True))
    options = replace(QUICK, synapse_sparsity=0.6)
    history = prune(
        live, (NoisePruning(rescale="none"), "II", Delocalisation(0.2, rule="variance")), options=options
    ).history
    for record in history[1:]:
        assert {"I", "II", "III"} <= set(record.seconds)
        assert "IV" not in record.seconds
    now = list(zip(synapses.i[:].tolist(), synapses.j[:].tolist(), strict=True))
    added = [k for k, edge in enumerate(now) if edge not in old]
    assert added
    g, a = np.array(synapses.g), np.array(synapses.a)
    # Nothing is rescaled here: every weight is the one that its parameter came with, new synapses included.
    assert_array_equal(g, [weight[k] for k in a.tolist()])
    assert all(g[k] > 0 for k in range(g.size) if now[k][0] < 5)
    assert live.alive[np.array(now)].all()


def test_exponents_follow_their_neurons_when_step_two_came_first(monkeypatch):
    live = HRSNN(40, 0.3, check_rate=False)
    subject = subject_of(live)
    each = SimpleNamespace(per_neuron=np.arange(40.0), resolution=1.0)
    now = SimpleNamespace(each=each, rates=np.full(40, 10.0), alive=np.ones(40, bool), response=None)
    BetweennessPruning()(subject, iteration(subject, neurons=30, observed=now))
    handed = []

    def stop(*_, exponents, **__):
        handed.append(exponents)
        raise KeyboardInterrupt

    monkeypatch.setattr("lnpbrian.pruning.steps.noise_pruning.noise_prune", stop)
    with pytest.raises(KeyboardInterrupt):
        NoisePruning()(subject, iteration(subject, synapses=50, observed=now))
    assert live.alive.sum() == 30
    assert_array_equal(handed[0], np.flatnonzero(live.alive))


# ---------------------------------------------------------------------------------------------------------------------
# Steps that nobody here wrote


class Strongest(Step):
    """Ten lines outside the package: keep the largest weights, and count the calls."""

    name = "strongest"
    removes_synapses = True

    def __call__(self, network, now):
        now.memory["calls"] = now.memory.get("calls", 0) + 1
        order = np.argsort(-np.abs(network.live.weights()), kind="stable")
        network.keep_synapses(np.isin(np.arange(order.size), order[: now.synapses]))
        return f"call {now.memory['calls']}, {now.synapses} kept"


@pytest.mark.parametrize("make", [lambda: HRSNN(40, 0.3, check_rate=False), own_network])
def test_a_step_of_your_own(make):
    live = make()
    before = np.sort(np.abs(live.weights()))[::-1]
    options = replace(QUICK, synapse_sparsity=0.5, neuron_sparsity=0)
    history = prune(live, (Strongest(),), options=options).history
    left = round(0.5 * before.size)
    assert history[-1].synapses == left == live.n_synapses
    assert history[-1].status == (f"strongest: call 2, {left} kept",)
    assert_array_equal(np.sort(np.abs(live.weights()))[::-1], before[:left])


def test_a_step_of_your_own_goes_on_from_a_checkpoint(tmp_path):
    options = replace(QUICK, synapse_sparsity=0.5, neuron_sparsity=0, iterations=3)

    def interrupt(progress):
        if progress.iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune(HRSNN(40, 0.3, check_rate=False), (Strongest(),), options=options, checkpoint=tmp_path, report=interrupt)
    live = HRSNN(40, 0.3, check_rate=False)
    history = prune(live, (Strongest(),), options=options, checkpoint=tmp_path).history
    assert [record.status[-1].split(",")[0] for record in history[1:]] == [f"strongest: call {k}" for k in (1, 2, 3)]


class Fails(Step):
    """Edit everything, and fail in the second iteration."""

    name = "fails"
    removes_synapses = removes_neurons = True

    def __call__(self, network, now):
        alive, pre, _ = network.graph()
        keep = np.arange(pre.size) % 3 > 0
        network.keep_synapses(keep, None if now.number == 1 else 0.5 * network.live.weights()[keep])
        network.silence(alive[:2])
        if now.number == 2:
            raise ArithmeticError("nobody thought of it")
        return "half of it is gone"


class TakesAll(Step):
    """Remove the synapses, or the neurons, or both."""

    removes_synapses = removes_neurons = True

    def __init__(self, what):
        self.name = self.what = what

    def __call__(self, network, now):
        if "synapses" in self.what:
            network.keep_synapses(np.zeros(network.live.n_synapses, dtype=bool))
        if "neurons" in self.what:
            network.silence(np.flatnonzero(network.live.alive))
        return "nothing is left"


def edges_and_values(live):
    """What a network is made of, whatever the order of its synapses."""
    pre, post = live.edges()
    order = np.lexsort((live.weights(), post, pre))
    return [pre[order], post[order], live.weights()[order], live.alive.copy(), live.time_constants.copy()]


def test_a_step_that_fails_leaves_an_own_network_as_it_came():
    live = own_network()
    before = edges_and_values(live)
    with pytest.raises(ArithmeticError, match="nobody thought of it"):
        prune(
            live,
            (Delocalisation(rule="variance"), Fails()),
            options=replace(QUICK, synapse_sparsity=0.5, neuron_sparsity=0),
        )
    for one, other in zip(before, edges_and_values(live), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("plastic", [False, True])
def test_a_step_that_fails_leaves_a_model_that_works_and_a_checkpoint_that_goes_on(tmp_path, plastic):
    def model():
        return HRSNN(40, 0.3, check_rate=False, seed=3, plastic=plastic)

    options = replace(QUICK, synapse_sparsity=0.5, neuron_sparsity=0)
    live = model()
    with pytest.raises(ArithmeticError, match="nobody thought of it"):
        prune(live, (Delocalisation(rule="variance"), Fails()), options=options, checkpoint=tmp_path)
    # What the step had done when it failed is done.
    assert live.spec.n_alive == 36
    assert 0 < live.n_synapses < model().n_synapses / 2
    live.run(20 * ms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fails, "__call__", lambda *_: "nothing")
        other = model()
        history = prune(other, (Delocalisation(rule="variance"), Fails()), options=options, checkpoint=tmp_path).history
    assert [record.neurons for record in history] == [40, 38, 38]
    assert other.n_synapses == history[-1].synapses > history[1].synapses


@pytest.mark.parametrize("make", [lambda: HRSNN(40, 0.3, check_rate=False), own_network])
@pytest.mark.parametrize("on_unstable", ["roll back", "keep", "raise"])
def test_no_neuron_left_is_refused(make, on_unstable):
    live = make()
    before = edges_and_values(live)
    options = replace(QUICK, synapse_sparsity=0.5, neuron_sparsity=0, on_unstable=on_unstable)
    with pytest.raises(InvalidInput, match=r"^step neurons of iteration 1 has left no neuron; let it keep some$"):
        prune(live, (TakesAll("neurons"),), options=options)
    if not isinstance(live, RecurrentNetwork):
        for one, other in zip(before, edges_and_values(live), strict=True):
            assert_array_equal(one, other)


@pytest.mark.parametrize("make", [lambda: HRSNN(40, 0.3, check_rate=False), own_network])
@pytest.mark.parametrize(
    "names", [("synapses",), ("synapses", "I", "II", "III"), ("III", "II", "I", "synapses"), ("III", "synapses", "II")]
)
def test_other_steps_bear_a_network_without_synapses(make, names):
    steps = [TakesAll(name) if name == "synapses" else name for name in names]
    options = replace(QUICK, neuron_sparsity=0.2 if "II" in names else 0)
    result = prune(make(), steps, options=options)
    assert result.live.n_synapses == result.after.synapses == 0
    assert result.live.n_alive == (32 if "II" in names else 40)
    assert " -> 0 synapses, " in repr(result)


@pytest.mark.parametrize("make", [lambda: HRSNN(40, 0.3, check_rate=False), own_network])
@pytest.mark.parametrize(("on_unstable", "left"), [("roll back", 1.0), ("keep", 0.0)])
def test_a_step_of_your_own_is_judged_as_the_others(make, on_unstable, left):
    live = make()
    before = live.n_synapses
    options = replace(QUICK, synapse_sparsity=0.5, neuron_sparsity=0, rates=(0, 1e-3), on_unstable=on_unstable)
    result = prune(live, (TakesAll("synapses"),), options=options)
    assert live.n_synapses == result.after.synapses == left * before
    assert ("rolled back to the network as it came" if left else "; kept") in repr(result)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("I,II", r"steps must be a sequence such as \(NoisePruning"),
        ((), "steps must be a sequence such as"),
        (("V",), "steps must be one of I, II, III, IV; got 'V'"),
        ((NoisePruning,), "steps must be made of steps such as NoisePruning"),
        (("I", NoisePruning()), "steps must have each step once, got I, I"),
    ],
)
def test_bad_steps(steps, message):
    live = HRSNN(20, 0.3, check_rate=False)
    with pytest.raises(InvalidInput, match=message):
        prune(live, steps, options=QUICK)


def test_steps_of_the_paper_and_changes_of_them():
    assert [step.name for step in paper_steps()] == list(NAMES)
    assert paper_steps()[0].signed
    changed = with_options(as_steps(("I", "II", Strongest())), excitability="keep", signed=True)
    assert [changed[0].excitability, changed[1].excitability, changed[0].signed] == ["keep", "keep", True]
