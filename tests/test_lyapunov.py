"""Twin exponents: negative exponents in closed form first, then neutral, coupled and chaotic networks."""

from dataclasses import replace

import brian2
import numpy as np
import pytest
from brian2 import Hz, Network, NeuronGroup, Synapses, ms, mV, second
from event_driven import EventDrivenLIF, random_arrays

from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.twins import block_twin_exponents, restored_twin_exponents
from lnpbrian.models import HRSNN, uncoupled
from lnpbrian.network.live import LiveNetwork
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import Drive, drive_operation, noise_drive

brian2.prefs.codegen.target = "numpy"

EPS = np.finfo(float).eps
WINDOW = 20e-3


def random_network(n, p, seed, timing="precise", **weights):
    base = uncoupled([20 * ms], synaptic_time_constant=10 * ms)
    return replace(base, **random_arrays(n, p, seed, **weights), spike_timing=timing)


def driven(spec, drive):
    live = RecurrentNetwork(spec)
    live.network.add(drive_operation(live.neurons, drive))
    return live


# --- below threshold: the twins' difference obeys d(delta)/dt = -delta/tau_m exactly ----------------------------------


# A window ends with |delta| e^(-T/tau). Each of its 40 steps rounds v (below 1) to eps/4, so the end is off by at most
# 40 eps/4 absolutely, and by less where errors decay: an error of ln of 10 eps/(|delta| e^(-T/tau)). |delta| is
# perturbation times a normal number; the mean of 1/|normal| over 100 draws is dominated by the smallest, ~ 0.01, and is
# about 2 ln(100)/sqrt(2 pi) + 1 < 6 with this seed: the exponent is off by at most 60 eps e^(T/tau)/(T perturbation).
@pytest.mark.parametrize("timing", ["grid", "precise"])
@pytest.mark.parametrize("perturbation", [1e-4, 1e-6, 1e-9])
def test_uncoupled_neurons_below_threshold_forget_at_their_time_constant(timing, perturbation):
    tau = np.array([10e-3, 25e-3, 7e-3, 80e-3])
    spec = replace(uncoupled(tau * second, bias=[0.5, 0.9, 0.0, -1.0]), spike_timing=timing)
    rng = np.random.default_rng(0)
    result = block_twin_exponents(spec, duration=500 * ms, perturbation=perturbation, rng=rng)
    tolerance = 60 * EPS * np.exp(WINDOW / tau) / (WINDOW * perturbation)
    assert (np.abs(result.per_neuron + 1 / tau) < tolerance).all()
    assert not result.floored.any()
    assert "every separation stayed above rounding" in result.status
    # The slowest neuron alone has the network's exponent up to the others' share: between the extremes.
    assert result.per_neuron.min() < result.window_exponent < result.per_neuron.max()
    assert result.duration == pytest.approx(0.5)
    assert result.trace[-1] == pytest.approx(result.window_exponent)
    assert (result.largest_exponent, result.standard_error) == (None, None)
    assert (result.rates == 0).all()


@pytest.mark.parametrize("timing", ["grid", "precise"])
def test_restored_twins_below_threshold(timing):
    tau = np.array([10e-3, 25e-3])
    live = RecurrentNetwork(replace(uncoupled(tau * second, bias=0.5), spike_timing=timing))
    rng = np.random.default_rng(0)
    result = restored_twin_exponents(
        live, duration=60 * ms, transient=20 * ms, realisations=2, perturbation=1e-6, rng=rng
    )
    assert (np.abs(result.per_neuron + 1 / tau) < 60 * EPS * np.exp(WINDOW / tau) / (WINDOW * 1e-6)).all()


def test_restored_twins_of_a_network_with_a_unit_and_other_names():
    tau = 15e-3
    neurons = NeuronGroup(
        3, "du/dt = (E - u)/tau_u : volt", threshold="u > 20*mV", reset="u = 0*mV", method="exact", dt=0.5 * ms
    )
    synapses = Synapses(neurons, neurons, "g : volt", on_pre="u_post += g")
    synapses.connect(condition="i != j")
    live = LiveNetwork(
        Network(neurons, synapses),
        synapses,
        time_constant=tau * second,
        weight="g",
        state="u",
        namespace={"E": 5 * mV, "tau_u": tau * second},
    )
    options = {"duration": 60 * ms, "transient": 0 * ms, "realisations": 2}
    # All start from 0, which has no spread: the perturbation is in volts.
    result = restored_twin_exponents(live, perturbation=1e-9, rng=np.random.default_rng(0), **options)
    # u is below 5 mV and the perturbation 1e-6 mV: five times the rounding of a potential below 1.
    assert (np.abs(result.per_neuron + 1 / tau) < 300 * EPS * np.exp(WINDOW / tau) / (WINDOW * 1e-6)).all()


# Weights of a network that never fires do not matter, and it is exactly linear: the same rng draws the same normal
# numbers, so exponents at two sizes differ by rounding alone, as above with twice the steps of safety.
@pytest.mark.parametrize("timing", ["grid", "precise"])
def test_a_network_below_threshold_does_not_depend_on_the_perturbation(timing):
    spec = random_network(30, 0.2, 0, timing)
    spec = replace(spec, bias=0.5 * spec.bias, time_constants=np.maximum(spec.time_constants, 5e-3))
    found = [
        block_twin_exponents(spec, duration=200 * ms, perturbation=size, rng=np.random.default_rng(1)).window_exponent
        for size in (1e-4, 1e-6, 1e-9)
    ]
    # The norm of 30 separations is never small: 40 eps/4 over a norm of at least e^(-T/5 ms) perturbation.
    for size, value in zip((1e-4, 1e-6), found[:2], strict=True):
        assert abs(value - found[2]) < 10 * EPS * np.exp(4) / WINDOW * (1 / size + 1e9)


# --- one neuron above threshold: its phase is neutral ----------------------------------------------------------------


def test_windows_of_whole_periods_are_neutral():
    # With a period of t_ref + tau ln(b/(b-1)) = 20 ms each window holds one spike. The separation decays by
    # e^(-18 ms/tau) = (b-1)/b and a spike multiplies it by v'(after)/v'(before) = b/(b-1): exactly 1 together.
    bias = 1.5
    tau = 18e-3 / np.log(bias / (bias - 1))
    spec = replace(uncoupled([tau * second], bias=bias), spike_timing="precise", initial_potential=[0.3])
    result = block_twin_exponents(spec, perturbation=1e-7, rng=np.random.default_rng(0))
    # A spike maps v = 1 + x to a time shift -tau ln(1 - x/(b-1)): relative error x/(2 (b-1)) = 1e-7 for x = 1e-7, and
    # rounding of v and of t (v' = b/tau = 90/s, t up to 1.2 s: 2e-16 * 90 = 2e-14) over the smallest |x|, ~ 0.005e-7:
    # averaged over 200 draws below 6 * 40 * 2e-16/1e-7 = 5e-7 (see above). In total 6e-7/T.
    assert abs(result.window_exponent) < 6e-7 / WINDOW
    assert result.rates[0] == pytest.approx(50, rel=0.03)  # one spike more or less in 1.2 s


def expected_growth(tau, bias, t_ref, start, end):
    """ln of the growth of a small separation from `start` to `end`, of a neuron that started at v = 0 at t = 0."""
    climb = tau * np.log(bias / (bias - 1))
    spikes = climb + (climb + t_ref) * np.arange(1000)
    inside = (spikes > start) & (spikes <= end)
    held = np.clip(np.minimum(spikes + t_ref, end) - np.maximum(spikes, start), 0, None).sum()
    # A held neuron keeps its perturbation of v, and that of its release, which counts as the v that it will bring.
    return inside.sum() * np.log(bias / (bias - 1)) - (end - start - held) / tau


# Spikes multiply by b/(b-1), active time decays; whichever part of a period a window holds. Tolerance as above; with
# 1/(b-1) = 5 for the first neuron and up to 5 spikes a window for the last: 25 times the nonlinear part.
def test_windows_of_any_part_of_a_period():
    tau, bias = np.array([10e-3, 25e-3, 7e-3]), np.array([1.2, 1.5, 3.0])
    spec = replace(uncoupled(tau * second, bias=bias), spike_timing="precise")
    result = block_twin_exponents(spec, duration=500 * ms, perturbation=1e-7, rng=np.random.default_rng(0))
    for i in range(3):
        growth = [expected_growth(tau[i], bias[i], 2e-3, 0.2 + k * WINDOW, 0.2 + (k + 1) * WINDOW) for k in range(25)]
        assert result.per_neuron[i] == pytest.approx(np.mean(growth) / WINDOW, abs=25 * 6e-7 / WINDOW)


def test_event_driven_twins_agree_with_the_closed_form():
    tau, bias = np.array([10e-3, 25e-3, 7e-3]), np.array([1.2, 1.5, 3.0])
    model = EventDrivenLIF(tau, 5e-3, 2e-3, bias, np.zeros((3, 3)))
    state = model.run(model.rest(np.zeros(3)), 0.2)[2]
    deltas = 1e-7 * np.random.default_rng(0).standard_normal((25, 4, 3))
    start, end = model.twin_separations(state, 25, WINDOW, perturbations=deltas)
    for i in range(3):
        growth = [expected_growth(tau[i], bias[i], 2e-3, 0.2 + k * WINDOW, 0.2 + (k + 1) * WINDOW) for k in range(25)]
        assert np.log(end / start)[:, :, i].mean() == pytest.approx(np.mean(growth), abs=25 * 6e-7)


# --- coupled networks against the event-driven reference --------------------------------------------------------------


def growth_of_windows(result):
    """Undo the running mean."""
    return np.diff(result.trace * np.arange(1, result.trace.size + 1), prepend=0)


# Spikes are found with an error of O(dt^2), their derivative with one of O(dt): (relative) w dt/tau_syn per spike on a
# shared step, 0.8 * 0.5/5 = 0.08 for few spikes a window at 0.5 ms: 0.16/T = 8/s in the worst window, a tenth of it
# typically; and first order in dt.
@pytest.mark.parametrize("weights", [[0.8, 0.5], [0.8, -1.0]], ids=["excitation", "excitation and inhibition"])
def test_every_window_of_a_coupled_pair(weights):
    spec = replace(
        uncoupled([20 * ms, 12 * ms], bias=[1.3, 1.2]),
        spike_timing="precise",
        pre=[0, 1],
        post=[1, 0],
        weights=weights,
        initial_potential=[0.5, 0.2],
    )
    deltas = 1e-6 * np.random.default_rng(0).standard_normal((20, 2, 2))
    model = EventDrivenLIF.of_spec(spec)
    state = model.run(model.rest(spec.initial_potential), 0.1)[2]
    start, end = model.twin_separations(state, 20, WINDOW, perturbations=deltas)
    exact = np.log(np.linalg.norm(end, axis=2) / np.linalg.norm(start, axis=2)).mean(axis=1) / WINDOW
    worst = []
    for dt in (0.5e-3, 0.125e-3):
        result = block_twin_exponents(
            replace(spec, dt=dt),
            duration=400 * ms,
            transient=100 * ms,
            realisations=2,
            perturbation=1e-6,
            rng=np.random.default_rng(0),
        )
        error = np.abs(growth_of_windows(result) - exact)
        assert np.median(error) < 0.8 * dt / 0.5e-3
        worst.append(error.max())
    assert worst[0] < 8
    # First order: a quarter, half again for what happens to share a step.
    assert worst[1] < worst[0] / 2


def test_random_network_agrees_with_event_driven_twins():
    # Both follow the network for 2 s from the same state; it is chaotic, so that they part and are two samples of it:
    # 5 standard errors of their difference. The mean over neurons has a spread over windows of its own.
    n, windows = 40, 100
    spec = random_network(n, 0.15, 1, gain=0.5)
    drive = noise_drive(n, duration=1 * second, rng=np.random.default_rng(5))
    result = block_twin_exponents(
        spec, drive=drive, duration=2 * second, perturbation=1e-7, rng=np.random.default_rng(0)
    )
    model = EventDrivenLIF.of_spec(spec)
    state = model.run(model.rest(spec.initial_potential), 0.2, drive.values, drive.hold)[2]
    deltas = 1e-7 * np.random.default_rng(1).standard_normal((windows, 4, n))
    held = {"drive": drive.values, "hold": drive.hold}
    start, end = model.twin_separations(state, windows, WINDOW, perturbations=deltas, **held)
    growth = np.log(np.linalg.norm(end, axis=2) / np.linalg.norm(start, axis=2)).mean(axis=1) / WINDOW
    error = growth.std(ddof=1) / np.sqrt(windows)
    assert abs(result.window_exponent - growth.mean()) < 5 * np.hypot(error, result.window_standard_error)
    each = (np.log(end / start) / WINDOW).mean(axis=1)
    spread = np.hypot(each.std(axis=0, ddof=1) / np.sqrt(windows), result.per_neuron_standard_error)
    assert (np.abs(result.per_neuron - each.mean(axis=0)) < 5 * spread).all()
    # Neurons differ: the agreement is more than that of one number.
    assert np.corrcoef(result.per_neuron, each.mean(axis=0))[0, 1] > 0.8
    assert result.rates.mean() > 5


# --- block twins and restored twins -----------------------------------------------------------------------------------


# The same operations in the same order, but vector instructions may round exp differently at different positions of an
# array: at most 40 steps of eps/4 over the separations, of which the smallest of 2 x 3 x 12 is ~ 0.01 perturbation.
@pytest.mark.parametrize("timing", ["grid", "precise"])
def test_block_and_restored_twins_are_the_same(timing):
    spec = random_network(12, 0.3, 3, timing)
    drive = noise_drive(12, duration=200 * ms, rng=np.random.default_rng(5))
    options = {"duration": 60 * ms, "transient": 40 * ms, "realisations": 2, "perturbation": 1e-6}
    block = block_twin_exponents(spec, drive=drive, rng=np.random.default_rng(0), **options)
    restored = restored_twin_exponents(driven(spec, drive), rng=np.random.default_rng(0), **options)
    assert block.rates.sum() > 0
    assert restored.floored.tolist() == block.floored.tolist()
    assert restored.window_exponent == pytest.approx(block.window_exponent, abs=10 * EPS / 1e-6 * np.exp(2) / WINDOW)
    above = block.floored == 0
    tolerance = 10 * EPS / 1e-8 * np.exp(4) / WINDOW
    assert np.abs(restored.per_neuron - block.per_neuron)[above].max(initial=0) < tolerance


# A window of 2 ms starts or ends in the refractory period of 2 ms, or in the step of a release, in most cases.
def test_block_and_restored_twins_are_the_same_for_held_neurons():
    tau, bias = np.array([10e-3, 25e-3, 7e-3]), np.array([1.2, 1.5, 3.0])
    spec = replace(uncoupled(tau * second, bias=bias), spike_timing="precise")
    options = {"duration": 16 * ms, "transient": 20 * ms, "renormalise_every": 2 * ms, "realisations": 1}
    options["perturbation"] = 1e-6
    block = block_twin_exponents(spec, rng=np.random.default_rng(0), **options)
    restored = restored_twin_exponents(RecurrentNetwork(spec), rng=np.random.default_rng(0), **options)
    # As above with windows of 2 ms; t_ref is 2 ms, whose rounding in release times counts 1e-17 b/tau < 1e-14.
    tolerance = 4e-14 / 1e-8 / 2e-3
    assert np.abs(restored.per_neuron - block.per_neuron).max() < tolerance
    growth = [
        [expected_growth(tau[i], bias[i], 2e-3, 20e-3 + k * 2e-3, 22e-3 + k * 2e-3) for k in range(8)] for i in range(3)
    ]
    # The nonlinear part is now that of perturbations of 1e-6 in windows of 2 ms: 5 * 1e-6/2e-3.
    assert np.abs(block.per_neuron - np.mean(growth, axis=1) / 2e-3).max() < 5 * 1e-6 / 2e-3


# --- chaos ------------------------------------------------------------------------------------------------------------


def test_a_chaotic_network_does_not_depend_on_a_small_perturbation():
    spec = replace(HRSNN(200, 0.1, check_rate=False, seed=1).spec, spike_timing="precise")
    drive = noise_drive(200, duration=1 * second, rng=np.random.default_rng(5))
    results = [
        block_twin_exponents(spec, drive=drive, duration=600 * ms, perturbation=size, rng=np.random.default_rng(0))
        for size in (1e-7, 1e-8, 1e-9)
    ]
    for result in results:
        assert result.window_exponent > 5 * result.window_standard_error
        error = np.hypot(result.window_standard_error, results[0].window_standard_error)
        assert abs(result.window_exponent - results[0].window_exponent) < error
        assert not result.floored.any()


def test_on_the_grid_spikes_erase_the_difference_and_the_status_says_so():
    spec = replace(uncoupled([10 * ms, 10 * ms], bias=[1.5, 0.5]))
    result = block_twin_exponents(spec, duration=200 * ms, perturbation=1e-6, rng=np.random.default_rng(0))
    # b = 1.5 fires every 13 ms: once in each window of 20 ms at least.
    assert result.floored.tolist() == [1.0, 0.0]
    assert np.isfinite(result.per_neuron).all()
    # ln(eps/1e-6)/T = -1100/s; the mean of ln|normal| is -0.6 +- 1.1/sqrt(40): within 2/T of it.
    assert result.per_neuron[0] == pytest.approx(np.log(EPS / 1e-6) / WINDOW, abs=2 / WINDOW)
    assert "50.0 % of the separations fell to rounding error" in result.status


# --- what is refused --------------------------------------------------------------------------------------------------


def test_silent_neurons_are_refused():
    spec = replace(uncoupled([10 * ms, 25 * ms]), alive=[True, False])
    with pytest.raises(InvalidInput, match=r"silent neurons.*compacted"):
        block_twin_exponents(spec, rng=np.random.default_rng(0))
    result = block_twin_exponents(spec.compacted(), duration=20 * ms, rng=np.random.default_rng(0))
    assert result.per_neuron.shape == (1,)
    live = RecurrentNetwork(spec)
    options = {"duration": 20 * ms, "transient": 0 * ms, "realisations": 1}
    assert restored_twin_exponents(live, rng=np.random.default_rng(0), **options).per_neuron.shape == (1,)


BAD = [
    ({"renormalise_every": 0.7 * ms}, r"renormalise_every must be a whole number of steps of 0\.5 ms, got 0\.7 ms"),
    ({"renormalise_every": 20 * Hz}, r"renormalise_every must be a time such as 20\*ms, got 20\. Hz"),
    ({"renormalise_every": 0 * ms}, r"renormalise_every .*got 0\.0"),
    ({"duration": 1}, r"duration must be a time such as 20\*ms, got 1"),
    ({"duration": 10 * ms}, r"duration must hold at least one window of 20 ms, got 10 ms"),
    ({"transient": -5 * ms}, r"transient .*got -0\.005"),
    ({"realisations": -3}, r"realisations must be a whole number of at least 1, got -3"),
    ({"realisations": 1.5}, r"realisations must be a whole number of at least 1, got 1\.5"),
    ({"perturbation": 0.0}, r"perturbation must be a number in .*got 0\.0"),
    ({"perturbation": 1e-6 * mV}, r"perturbation must .*got 1\. \* nvolt"),
]


@pytest.mark.parametrize(("bad", "message"), BAD, ids=[f"{k}={v!r}" for bad, _ in BAD for k, v in bad.items()])
def test_bad_values_are_named(bad, message):
    spec = uncoupled([10 * ms])
    with pytest.raises(InvalidInput, match=message):
        block_twin_exponents(spec, rng=np.random.default_rng(0), **bad)
    with pytest.raises(InvalidInput, match=message):
        restored_twin_exponents(RecurrentNetwork(spec), rng=np.random.default_rng(0), **bad)


def test_a_drive_of_another_size_is_refused():
    drive = Drive(np.zeros((4, 3)), 5e-3)
    with pytest.raises(InvalidInput, match=r"a drive for 3 neurons does not fit 2"):
        block_twin_exponents(uncoupled([10 * ms, 25 * ms]), drive=drive, rng=np.random.default_rng(0))


def test_kept_directions_turn_into_the_slowest_decay():
    # Uncoupled and below threshold the difference becomes that of the slowest neuron: after 200 ms the faster one,
    # 10 against 25 ms, has shrunk by exp(-200 (1/10 - 1/25)) = 6e-6 relative to it, which is the error in the norm
    # (squared) per window of 20 ms. Rounding: 1e-16/1e-6 per window of 0.02 s, 5e-9 /s.
    spec = uncoupled([10 * ms, 25 * ms], bias=0.5)
    twins = block_twin_exponents(spec, directions="kept", perturbation=1e-6, rng=np.random.default_rng(0))
    assert twins.largest_exponent == pytest.approx(-40, abs=1e-6)
    assert (twins.window_exponent, twins.window_standard_error) == (None, None)


def test_kept_directions_do_not_depend_on_the_window():
    # The logarithms of successive windows add up to that of the whole time, however it is cut, while the difference
    # stays in the linear range: from 1e-8 that leaves 1e-8 times the curvature, far below 1e-2 /s here. With fresh
    # directions 10 and 40 ms differ by the transient growth.
    spec = HRSNN(100, 0.2, check_rate=False).spec.with_timing("precise")
    drive = noise_drive(100, duration=600 * ms, rng=np.random.default_rng(0))

    def exponent(window, directions):
        twins = block_twin_exponents(
            spec,
            drive=drive,
            duration=400 * ms,
            transient=200 * ms,
            renormalise_every=window * ms,
            realisations=1,
            directions=directions,
            rng=np.random.default_rng(1),
        )
        return twins.largest_exponent if directions == "kept" else twins.window_exponent

    assert exponent(10, "kept") == pytest.approx(exponent(40, "kept"), abs=1e-2)
    assert abs(exponent(10, "fresh") - exponent(40, "fresh")) > 1


def test_directions_are_checked():
    with pytest.raises(InvalidInput, match="directions must be one of fresh, kept; got 'lost'"):
        block_twin_exponents(uncoupled([10 * ms]), directions="lost", rng=np.random.default_rng(0))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_twins_that_meet_at_exactly_zero_grow_by_minus_infinity():
    group = NeuronGroup(3, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="zeroed")
    synapses = Synapses(group, group, "w : 1", on_pre="v_post += w", name="idle")
    synapses.connect(i=0, j=1)
    group.run_regularly("v = 0", dt=1 * ms)
    live = LiveNetwork(Network(group, synapses, *group.contained_objects), synapses)
    found = restored_twin_exponents(live, duration=40 * ms, rng=np.random.default_rng(0))
    assert found.window_exponent == -np.inf
    assert np.isnan(found.window_standard_error)
    assert (found.per_neuron < -1e4).all()
