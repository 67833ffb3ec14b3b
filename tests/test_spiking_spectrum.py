"""Lyapunov spectra of LIF networks against closed forms, and against an independent event-driven implementation."""

import itertools
import re
from dataclasses import replace

import brian2
import numpy as np
import pytest
from brian2 import Hz, NeuronGroup, ms, second
from event_driven import EventDrivenLIF
from event_spectrum import (
    LIFPhaseNetwork,
    current_of_rate,
    delta_jacobians,
    lif_jacobians,
    lif_spectrum,
    phase_spectrum,
    random_inhibition,
    twin_largest,
)
from test_spike_trains import delta, exponential, held, reference_delta

from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.lif_tangent import LIFTangent
from lnpbrian.lyapunov.spectrum import lyapunov_spectrum
from lnpbrian.lyapunov.twins import block_twin_exponents
from lnpbrian.models import CHRSNN, HRSNN, MRSNN, uncoupled
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import Drive, noise_drive
from lnpbrian.network.simulate import exact_spike_train, precise_timing
from lnpbrian.network.structure import silence_neurons
from lnpbrian.pruning.loop import prune
from lnpbrian.pruning.schedule import PruneOptions

brian2.prefs.codegen.target = "numpy"


def rng(seed=0):
    return np.random.default_rng(seed)


class ReferenceVectors:
    """A source of first vectors that gives those of the independent implementation."""

    def standard_normal(self, shape):
        return rng().standard_normal(shape[::-1]).T


def noise(n, duration=0.5, seed=3):
    return noise_drive(n, duration=duration * second, rng=rng(seed))


# --- closed forms, negative exponents first ---------------------------------------------------------------------------


# Triangular: potentials forget at 1/tau_m, currents at 1/tau_syn, nothing else. Vectors turn into their directions as
# e^(-(difference of rates) t), the slowest 40 against 100: after 1 s below rounding, and rounding is 1e-16/10 ms per
# interval times the alignment e^(160 * 10 ms) = 5: 1e-13.
def test_below_threshold_every_exponent_is_known():
    spec = uncoupled([10 * ms, 25 * ms, 12 * ms], bias=0.5, synaptic_time_constant=5 * ms)
    spectrum = lyapunov_spectrum(spec, transient=1 * second, duration=200 * ms, rng=rng())
    assert spectrum.exponents == pytest.approx([-40, -1000 / 12, -100, -200, -200, -200], abs=1e-9)
    # What may be left of the slowest turn: e^(-(100 - 1000/12) t)/T after 1 s, over 0.2 s.
    assert spectrum.standard_errors.max() == pytest.approx(np.exp(-100 + 1000 / 12) / 0.2, rel=0.05)
    assert spectrum.kaplan_yorke_dimension == 0
    assert spectrum.entropy_rate == 0
    assert "no neuron fired" in spectrum.status
    # Components: v_i and I_i of each neuron.
    assert spectrum.per_neuron == pytest.approx([-300, -240, -1000 / 12 - 200], abs=1e-6)


@pytest.mark.parametrize(("seed", "transient", "duration"), [(0, 0.2, 1), (1, 0.2, 0.5), (2, 0.05, 1), (3, 0.0, 1)])
def test_standard_errors_cover_directions_that_still_turn(seed, transient, duration):
    # Every exponent is known, none fluctuates; those that lie close are not told apart in so short a time.
    rng = np.random.default_rng(seed)
    tau = np.clip(rng.gamma(3, 20 / 3, 25), 2, None)
    spec = uncoupled(tau * ms, bias=0.5, synaptic_time_constant=5 * ms)
    found = lyapunov_spectrum(spec, transient=transient * second, duration=duration * second, rng=rng)
    true = np.sort(np.concatenate([-1e3 / tau, np.full(25, -200.0)]))[::-1]
    error = np.abs(found.exponents - true)
    assert error.max() > 0.01
    assert (error < 5 * found.standard_errors + 1e-9).all()
    # At most 1/T for each of 49 other directions.
    assert found.standard_errors.max() < np.sqrt(49) / duration + 5


def test_below_threshold_delta_synapses_have_no_further_dimension():
    spec = uncoupled([10 * ms, 25 * ms], bias=0.5, synaptic_time_constant=0 * ms)
    spectrum = lyapunov_spectrum(spec, transient=1 * second, duration=200 * ms, rng=rng())
    assert spectrum.exponents == pytest.approx([-40, -100], abs=1e-9)


# A spike multiplies by 1/(b - 1), its release by b, the climb of tau ln(b/(b - 1)) by (b - 1)/b: 1 over a period, which
# is 20 ms for all, so that intervals hold whole periods whatever the phase.
@pytest.mark.parametrize(("tau_syn", "t_ref"), [(5 * ms, 2 * ms), (0 * ms, 2 * ms), (0 * ms, 0 * ms)])
def test_a_periodic_neuron_neither_forgets_nor_grows(tau_syn, t_ref):
    tau = np.array([6e-3, 17e-3, 30e-3])
    bias = 1 / (1 - np.exp(-(20e-3 - float(t_ref)) / tau))
    spec = uncoupled(tau * second, bias=bias, synaptic_time_constant=tau_syn, refractory_period=t_ref)
    spec = replace(spec, initial_potential=[0.1, 0.5, 0.9])
    spectrum = lyapunov_spectrum(spec, duration=400 * ms, reorthonormalise_every=20 * ms, rng=rng())
    assert spectrum.exponents[:3] == pytest.approx([0, 0, 0], abs=1e-9)
    assert spectrum.rates == pytest.approx([50, 50, 50])
    if tau_syn > 0 * ms:
        assert spectrum.exponents[3:] == pytest.approx([-200, -200, -200], abs=1e-9)


# Two inhibitory delta neurons in antiphase, each other's mirror. After a jump -w the target is q below the asymptote b
# and reaches 1 after s, e^(-s/tau) = (b - 1)/q; then its partner, which started at 0, is b e^(-s/tau) below, and w more
# after the jump: q = b (b - 1)/q + w. A deviation of the target moves the spike by -tau dv/(b - 1); until then its
# partner has taken b/tau of that, and every half period changes roles: multiplier b (b - 1)/q^2. Time itself gives 0.
def test_floquet_multiplier_of_two_inhibitory_neurons():
    b, w, tau = 1.5, 0.2, 10e-3
    q = (w + np.sqrt(w**2 + 4 * b * (b - 1))) / 2
    half = tau * np.log(q / (b - 1))
    # A quarter of a period later, so that intervals do not end at spikes.
    start = b - np.array([q, b]) * np.exp(-half / 2 / tau)
    spec = replace(
        uncoupled([tau * second] * 2, bias=b, synaptic_time_constant=0 * ms, refractory_period=0 * ms),
        pre=[0, 1],
        post=[1, 0],
        weights=[-w, -w],
        initial_potential=start,
    )
    train = exact_spike_train(spec, 40 * half)
    assert train.times == pytest.approx(half * (np.arange(40) + 0.5), abs=1e-12)
    period = 2 * half * second
    spectrum = lyapunov_spectrum(
        spec, duration=20 * period, transient=100 * period, reorthonormalise_every=period, rng=rng()
    )
    # 0.79^200 is what is left of the wrong direction after the transient.
    assert spectrum.exponents == pytest.approx([0, np.log(b * (b - 1) / q**2) / half], abs=1e-8)


# Constant drive, t_ref = 0: every spike adds ln(b/(b - 1)), time takes 1/tau_i.
def test_sum_of_a_delta_network_without_refractoriness():
    spec = delta(t_ref=0.0)
    spectrum = lyapunov_spectrum(spec, transient=0 * ms, duration=500 * ms, rng=rng())
    b = spec.bias
    expected = np.sum(-1 / spec.time_constants + spectrum.rates * np.log(b / (b - 1)))
    assert spectrum.sum == pytest.approx(expected, rel=1e-10)
    assert spectrum.mean_log_det == pytest.approx(expected, rel=1e-10)


def test_the_sum_is_the_mean_of_the_logarithm_of_the_determinant():
    spec = HRSNN(100, 0.1, check_rate=False, seed=1).spec
    spectrum = lyapunov_spectrum(spec, inputs=noise(100, 1.2), rng=rng())
    assert spectrum.rates.sum() > 1000
    assert spectrum.sum == pytest.approx(spectrum.mean_log_det, rel=1e-6)
    assert "the sum agrees with the mean of ln|det|" in spectrum.status


# --- the independent implementation -----------------------------------------------------------------------------------


def reference_jacobian(spec, jacobians, state, drive, until):
    """The product of the reference's Jacobians, in our order and with our coordinate of a held neuron, -shift/tau."""
    product = np.eye(spec.n_neurons * (1 if spec.has_delta_synapses else 2))
    matrices, after, _ = jacobians(state, until, **held(drive))
    for matrix in matrices:
        product = matrix @ product

    def scale(state):
        x = np.where(state.release > state.t, -1 / spec.time_constants, 1.0)
        return x if spec.has_delta_synapses else np.concatenate([x, np.ones(x.size)])

    return scale(after)[:, np.newaxis] * product / scale(state), after


CASES = {
    "exponential": exponential(12, 1, gain=0.8, p=0.4),
    "strong": exponential(12, 2, gain=2.0, p=0.4),
    "short refractoriness": exponential(12, 2, gain=1.5, p=0.4, t_ref=0.3e-3),
    "no refractoriness": exponential(12, 1, gain=0.8, p=0.4, t_ref=0.0),
    "inhibitory delta": delta(12, 1, low=-0.3),
    "inhibitory delta, no refractoriness": delta(12, 1, low=-0.3, t_ref=0.0),
    "triggered delta": delta(12, 2, low=-0.2, high=0.3),
    "triggered delta, no refractoriness": delta(12, 2, low=-0.2, high=0.3, t_ref=0.0),
}


# Interval by interval, since products over long times hide an error in small entries. Rounding: 1e-16 times what is
# added up, some 30 events times entries of order 10, times what cancels (kappa up to 30): 1e-11.
@pytest.mark.parametrize("engine", ["native", "numpy"])
@pytest.mark.parametrize("with_drive", [True, False])
@pytest.mark.parametrize("spec", CASES.values(), ids=CASES)
def test_tangent_map_is_that_of_the_independent_implementation(spec, with_drive, engine):
    drive = noise(12, 0.05) if with_drive else None
    system = LIFTangent(spec, exact_spike_train(spec, 0.15, drive=drive), drive, engine=engine)
    if spec.has_delta_synapses:
        model = reference_delta(spec)
        reference = lambda state, until, **held: delta_jacobians(model, state, until, **held)  # noqa: E731
    else:
        model = EventDrivenLIF.of_spec(spec)
        reference = lambda state, until, **held: lif_jacobians(model, state, until, **held)  # noqa: E731
    state = model.rest(spec.initial_potential)
    for k in range(9):
        expected, state = reference_jacobian(spec, reference, state, drive, (k + 1) * 0.015)
        ours = np.eye(system.dimension)
        log_det = system.advance(ours, 0.015)
        assert np.abs(ours - expected).max() < 1e-11 * max(1, np.abs(expected).max())
        if np.isfinite(log_det):
            assert log_det == pytest.approx(np.linalg.slogdet(ours)[1], abs=1e-6)
    assert system.spikes.times.size > 30
    assert (system.collapses > 0) == (system.spikes.triggers >= 0).any()
    assert system.flat == 0


# The fastest membrane decays by e^-150 in 150 ms: the amplitudes are renewed on the way.
def test_long_stretches_are_cut():
    spec = CASES["exponential"]
    spec = replace(spec, time_constants=np.maximum(spec.time_constants / 10, 0.5e-3))
    train = exact_spike_train(spec, 0.15)
    whole, parts = LIFTangent(spec, train), LIFTangent(spec, train)
    a, b = np.eye(24), np.eye(24)
    log_det = whole.advance(a, 0.15)
    assert log_det == pytest.approx(sum(parts.advance(b, 0.01) for _ in range(15)), rel=1e-10)
    assert np.abs(a - b).max() < 1e-9 * np.abs(b).max()


# Without refractoriness no neuron is held at the end of an interval, so that the two use the same coordinates and the
# logarithms agree in each interval, as do the first vectors: rounding times the alignment of an interval (1e4).
def test_spectrum_is_that_of_the_independent_implementation():
    spec = exponential(16, 1, gain=0.5, p=0.3, t_ref=0.0)
    drive = noise(16)
    model = EventDrivenLIF.of_spec(spec)
    state = model.rest(spec.initial_potential)
    options = {"transient": 0.1, "duration": 0.4, "interval": 0.01}
    expected = lif_spectrum(model, state, **options, **held(drive), rng=rng())
    spectrum = lyapunov_spectrum(spec, inputs=drive, transient=100 * ms, duration=400 * ms, rng=ReferenceVectors())
    assert spectrum.exponents == pytest.approx(expected.exponents, abs=1e-8)
    assert spectrum.mean_log_det == pytest.approx(expected.mean_log_det, rel=1e-10)
    assert spectrum.rates.sum() * 0.4 == pytest.approx(expected.spikes)


# Monteforte and Wolf's inhibitory LIF network: N = 200, 50 inputs of -1/sqrt(50), tau = 10 ms, 5 Hz: one exponent 0,
# lambda_2 near -42.6/s, mean near -88.3/s; three graphs of the phase network gave -42.8, -41.7, -42.5 and -88.4, -88.2,
# -88.3. A voltage network is that phase network in other coordinates: over 2 s they differ by boundary terms.
def test_inhibitory_network_at_5_hz():
    generator = rng(1)
    weights = random_inhibition(200, 50, 1 / np.sqrt(50), generator)
    current = current_of_rate(LIFPhaseNetwork, 10e-3, weights, 5.0, duration=2, rng=generator)
    phase = LIFPhaseNetwork(10e-3, current, weights)
    start = phase.start(generator.random(200))
    post, pre = np.nonzero(weights)
    base = uncoupled([10 * ms] * 200, bias=1 + current, synaptic_time_constant=0 * ms, refractory_period=0 * ms)
    spec = replace(
        base, pre=pre, post=post, weights=weights[post, pre], initial_potential=phase.voltage(start.phase)[0]
    )
    spectrum = lyapunov_spectrum(spec, transient=1 * second, duration=3 * second, rng=ReferenceVectors())
    assert spectrum.rates.mean() == pytest.approx(5, rel=0.03)
    assert spectrum.exponents[0] == pytest.approx(0, abs=0.5)
    assert spectrum.exponents[1] == pytest.approx(-42.6, abs=1.5)
    assert spectrum.exponents.mean() == pytest.approx(-88.3, abs=0.5)
    expected = phase_spectrum(phase, start, transient=1, duration=3, interval=0.01, rng=rng())
    assert np.abs(spectrum.exponents - expected.exponents)[:20].max() < 0.5


# --- twins ------------------------------------------------------------------------------------------------------------


def test_leading_exponent_is_that_of_event_driven_twins():
    # The same trajectory and, from the transient on, the same direction: they differ by the size of the perturbation
    # (1e-7) and by the coordinate of a held neuron at both ends, ln(1/tau)/T for v against seconds at the very worst.
    spec = exponential(16, 7, gain=1.2, p=0.4)
    model = EventDrivenLIF.of_spec(spec)
    exponent, _ = twin_largest(
        model, model.rest(spec.initial_potential), transient=0.2, duration=2.0, interval=0.01, rng=rng()
    )
    spectrum = lyapunov_spectrum(spec, n_exponents=1, transient=200 * ms, duration=2 * second, rng=rng())
    assert spectrum.largest_exponent == pytest.approx(exponent, abs=5.0 / 2.0)
    assert spectrum.standard_error < 20


# Model, its parameters, standard deviation of the noise, and whether it is stable, chaotic or next to neither.
TWIN_CASES = {
    "fluctuation-driven": (HRSNN, LIFParameters(bias=(0.4, 0.9)), 0.8, "stable"),
    "default": (HRSNN, LIFParameters(), 0.3, ""),
    "homogeneous": (MRSNN, LIFParameters(gain=0.5), 0.3, ""),
    "clusters": (CHRSNN, LIFParameters(gain=0.5), 0.3, ""),
    "chaotic": (HRSNN, LIFParameters(gain=1.5), 0.3, "chaotic"),
}


# Both follow the same network under the same drive; where it is stable along the same trajectory, so that they differ
# by the step of the simulation only. Chaos amplifies the rounding of the one and the step of the other into two samples
# of one process: 3 standard errors of their difference (here all are within one).
@pytest.mark.cython
@pytest.mark.usefixtures("cython")
@pytest.mark.parametrize(("model", "parameters", "deviation", "kind"), TWIN_CASES.values(), ids=TWIN_CASES)
def test_leading_exponent_is_that_of_block_twins(model, parameters, deviation, kind):
    spec = model(100, 0.1, parameters=parameters, check_rate=False, seed=1).spec
    drive = noise_drive(100, duration=2200 * ms, standard_deviation=deviation, rng=rng(3))
    spectrum = lyapunov_spectrum(spec, n_exponents=1, duration=2 * second, inputs=drive, rng=rng())
    twins = block_twin_exponents(
        precise_timing(spec, drive), drive=drive, duration=2 * second, directions="kept", realisations=1, rng=rng()
    )
    print(spectrum, twins)
    error = np.hypot(spectrum.standard_error, twins.standard_error)
    assert error < 10
    assert spectrum.rates.mean() > 3
    if kind == "stable":
        assert spectrum.largest_exponent < -4 * spectrum.standard_error
        assert abs(spectrum.largest_exponent - twins.largest_exponent) < 0.5 * error
    else:
        assert abs(spectrum.largest_exponent - twins.largest_exponent) < 3 * error
    if kind == "chaotic":
        assert spectrum.largest_exponent > 4 * spectrum.standard_error


# --- trajectories of Brian2 -------------------------------------------------------------------------------------------


def spectra_by_step(timing, steps, **options):
    spec = exponential(30, 3, gain=0.05, timing=timing)
    drive = noise(30, 0.2)
    common = {"inputs": drive, "transient": 0 * ms, "duration": 200 * ms}
    exact = lyapunov_spectrum(spec, rng=rng(), **common).exponents
    errors = [
        np.abs(
            lyapunov_spectrum(replace(spec, dt=dt), trajectory="brian2", rng=rng(), **common).exponents - exact
        ).mean()
        for dt in steps
    ]
    return exact, errors


# Of a weakly coupled network Brian2 misses no spike at these steps. What is left are errors of spike times: of second
# order in dt with precise spikes (a factor of 4 by halving).
def test_precise_spectrum_converges_to_the_exact_one_by_second_order():
    exact, errors = spectra_by_step("precise", (0.2e-3, 0.1e-3, 0.05e-3))
    assert errors[0] < 1e-4 * np.abs(exact).mean()
    for coarse, fine in itertools.pairwise(errors):
        assert 2.5 < coarse / fine < 6


# On the grid spikes are late by half a step on average and releases early: first order, a factor of 16 from 0.4 to
# 0.025 ms, uneven, since single spikes move from step to step.
def test_grid_spectrum_converges_to_the_exact_one_by_first_order():
    exact, errors = spectra_by_step("grid", (0.4e-3, 0.025e-3))
    assert errors[0] < 0.1 * np.abs(exact).mean()
    assert 6 < errors[0] / errors[1] < 40


# --- what else the function promises ----------------------------------------------------------------------------------


def small(**options):
    return exponential(12, 1, gain=0.8, p=0.4, **options)


QUICK = {"transient": 20 * ms, "duration": 100 * ms}


def test_leading_exponents_are_the_first_of_all():
    full = lyapunov_spectrum(small(), rng=rng(), **QUICK)
    assert full.dimension == full.exponents.size == 24
    assert full.complete
    # The same first vectors span the same flags: equal up to the rounding of two factorisations.
    leading = lyapunov_spectrum(small(), n_exponents=3, rng=rng(), **QUICK)
    assert not leading.complete
    assert leading.sum is None
    assert leading.exponents == pytest.approx(full.exponents[:3], abs=1e-8)


def test_the_interval_does_not_matter():
    # Logarithms of successive intervals add up to that of the whole; only what rounding adds depends on the cut.
    spectra = [
        lyapunov_spectrum(small(), reorthonormalise_every=every * ms, rng=rng(), **QUICK) for every in (1, 5, 20)
    ]
    for spectrum in spectra:
        assert spectrum.exponents == pytest.approx(spectra[0].exponents, abs=1e-6)


def test_inputs_are_averaged():
    drives = [noise(12, seed=k) for k in (1, 2)]
    generator = rng()
    both = lyapunov_spectrum(small(), inputs=drives, rng=generator, **QUICK)
    generator = rng()
    single = [lyapunov_spectrum(small(), inputs=drive, rng=generator, **QUICK) for drive in drives]
    assert both.exponents == pytest.approx((single[0].exponents + single[1].exponents) / 2, abs=1e-12)
    assert both.rates == pytest.approx((single[0].rates + single[1].rates) / 2)
    assert both.mean_log_det == pytest.approx((single[0].mean_log_det + single[1].mean_log_det) / 2)
    assert both.duration == pytest.approx(0.2)
    assert "2 inputs" in both.status


def test_trace_errors_and_progress():
    seen = []
    spectrum = lyapunov_spectrum(small(), rng=rng(), report=seen.append, **QUICK)
    assert spectrum.trace.shape == (10, 24)
    assert spectrum.trace[-1] == pytest.approx(spectrum.exponents)
    assert np.isfinite(spectrum.standard_errors).all()
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)
    one = lyapunov_spectrum(small(), transient=0 * ms, duration=10 * ms, rng=rng())
    assert (one.standard_errors == np.inf).all()


def test_exponents_of_neurons_add_up():
    spectrum = lyapunov_spectrum(small(), rng=rng(), **QUICK)
    assert spectrum.per_neuron.shape == (12,)
    assert spectrum.per_neuron.sum() == pytest.approx(spectrum.sum, rel=1e-10)
    # Neurons without synapses keep to themselves: theirs is the sum of their own two.
    spec = uncoupled([10 * ms, 25 * ms], bias=0.5)
    alone = lyapunov_spectrum(spec, transient=2 * second, duration=100 * ms, rng=rng())
    assert alone.per_neuron == pytest.approx([-300, -240], abs=1e-6)


def test_silenced_neurons_are_left_out_and_the_live_network_is_not_touched():
    spec = small()
    live = RecurrentNetwork(spec)
    drive = noise(12)
    silence_neurons(live.neurons, np.array([2, 5]), synapses=[live.synapses], **live.inputs_of(live.neurons))
    before = live.spec
    spectrum = lyapunov_spectrum(live, inputs=drive, rng=rng(), **QUICK)
    kept = np.delete(np.arange(12), [2, 5])
    inner = lyapunov_spectrum(before.compacted(), inputs=Drive(drive.values[:, kept], drive.hold), rng=rng(), **QUICK)
    assert spectrum.dimension == 20
    assert spectrum.exponents.tolist() == inner.exponents.tolist()
    assert live.network.t == 0 * ms
    assert live.neurons.v[:].tolist() == before.initial_potential.tolist() or not before.alive.all()


def test_jumps_that_trigger_spikes_erase_directions():
    # 0 drives 1, which never fires by itself: with each of its spikes 1 loses its own direction. At v = 0.5 at most it
    # takes the spike of 0, of which the exponent 0 remains: one of two.
    spec = replace(
        uncoupled([10 * ms, 10 * ms], bias=[1.5, 0.5], synaptic_time_constant=0 * ms), pre=[0], post=[1], weights=[1.2]
    )
    spectrum = lyapunov_spectrum(spec, duration=500 * ms, rng=rng())
    assert spectrum.exponents[1] == -np.inf
    # Boundary terms: intervals of 10 ms do not hold whole periods of 13 ms; ln(b/(b - 1) b)/T at most.
    assert spectrum.exponents[0] == pytest.approx(0, abs=np.log(4.5) / 0.5)
    assert spectrum.sum is None
    assert spectrum.mean_log_det is None
    assert spectrum.kaplan_yorke_dimension is not None
    assert "the tangent map is singular: 1 exponents are -inf" in spectrum.status
    assert np.isfinite(spectrum.per_neuron).all()


def test_flat_crossings_of_a_simulation_are_told():
    spec = exponential(30, 1, gain=1.0, timing="precise", dt=0.5e-3)
    spectrum = lyapunov_spectrum(spec, trajectory="brian2", inputs=noise(30), transient=0 * ms, rng=rng())
    assert "simulated spikes came when the potential was not rising" in spectrum.status
    exact = lyapunov_spectrum(spec, inputs=noise(30), rng=rng(), **QUICK)
    assert "not rising" not in exact.status


# --- pruning by exponents from the spectrum ---------------------------------------------------------------------------


@pytest.mark.parametrize("tau_syn", [10 * ms, 0 * ms])
def test_prune_takes_exponents_from_the_spectrum(tau_syn):
    model = HRSNN(40, 0.3, check_rate=False, parameters=LIFParameters(synaptic_time_constant=tau_syn))
    options = PruneOptions(
        0.6, 0.2, iterations=1, exponents="spectrum", observation=100 * ms, exponent_duration=50 * ms, rates=(0, 500)
    )
    before = model.spec
    result = prune(model, options=options)
    assert result.history[-1].neurons == 32
    assert result.exponents_before.dimension == (40 if tau_syn == 0 * ms else 80)
    record = result.history[0]
    assert record.largest_exponent_per_s == result.exponents_before.largest_exponent == record.window_exponent_per_s
    assert result.exponents_before.per_neuron.shape == (before.n_neurons,)


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED = [
    ({"n_exponents": 25}, "n_exponents must be at most the dimension of the tangent space, 24; got 25"),
    ({"n_exponents": 0}, "n_exponents must be a whole number of at least 1, got 0"),
    ({"n_exponents": "some"}, "n_exponents must be one of all; got 'some'"),
    ({"duration": 5 * ms}, "duration must hold at least one interval of 10 ms, got 5 ms"),
    ({"duration": 100}, r"duration must be a time such as 20\*ms, got 100"),
    ({"transient": -5 * ms}, "transient"),
    ({"reorthonormalise_every": 10 * Hz}, "reorthonormalise_every must be a time"),
    ({"reorthonormalise_every": 0 * ms}, "reorthonormalise_every"),
    ({"inputs": []}, "inputs must hold at least one Drive"),
    ({"inputs": [np.zeros((3, 12))]}, "inputs must be Drive objects, got ndarray"),
    ({"inputs": Drive(np.zeros((3, 5)), 5e-3)}, "a drive for 5 neurons does not fit 12 neurons"),
    ({"rng": 0}, r"rng must be a generator such as np.random.default_rng\(0\), got 0"),
    ({"trajectory": "euler"}, "trajectory must be one of exact, brian2; got 'euler'"),
]


@pytest.mark.parametrize(("bad", "message"), REFUSED, ids=[str(bad) for bad, _ in REFUSED])
def test_bad_values_are_named(bad, message):
    with pytest.raises(InvalidInput, match=message):
        lyapunov_spectrum(small(), **{"rng": rng(), **bad})


@pytest.mark.parametrize(
    ("values", "hold", "message"),
    [
        (np.array([[0.0, np.nan]]), 5e-3, r"values of a drive must be finite, got nan at index \(0, 1\)"),
        (np.zeros(3), 5e-3, "values of a drive must have shape"),
        (np.zeros((0, 3)), 5e-3, "a drive needs at least one step and one neuron"),
        (np.zeros((2, 3)), 0.0, "hold must be a number in"),
    ],
)
def test_a_drive_without_meaning_is_refused(values, hold, message):
    with pytest.raises(InvalidInput, match=message):
        Drive(values, hold)


def test_vectors_that_align_are_refused_with_an_interval_that_works():
    # Exponents from near 0 to below -200: e^(-200 * 0.3) is far below rounding.
    spec = small()
    options = {"transient": 0 * ms, "duration": 900 * ms}
    with pytest.raises(
        InvalidInput, match=r"within 300 ms the tangent vectors align.*reorthonormalise_every to (\d+)"
    ) as e:
        lyapunov_spectrum(spec, reorthonormalise_every=300 * ms, rng=rng(), **options)
    proposed = float(re.search(r"to ([\d.]+) ms", str(e.value)).group(1))
    assert lyapunov_spectrum(spec, reorthonormalise_every=proposed / 2 * ms, rng=rng(), **options).complete
    # Those that lead are still apart.
    leading = lyapunov_spectrum(spec, reorthonormalise_every=300 * ms, n_exponents=2, rng=rng(), **options)
    assert leading.exponents.size == 2


def test_moderate_alignment_is_told():
    spec = uncoupled([2 * ms, 50 * ms], bias=0.5, synaptic_time_constant=20 * ms)
    # e^-(500 - 20) 50 ms = 4e-11: a relative error of 6e-6.
    spectrum = lyapunov_spectrum(spec, reorthonormalise_every=50 * ms, transient=1 * second, rng=rng())
    assert "vectors aligned in 20 intervals" in spectrum.status
    assert spectrum.exponents[-1] == pytest.approx(-500, abs=1e-3)


def test_networks_of_unknown_equations_are_refused():
    with pytest.raises(InvalidInput, match=r"tangent dynamics of a NeuronGroup are not known.*restored_twin_exponents"):
        lyapunov_spectrum(NeuronGroup(2, "v : 1", name="others"), rng=rng())
    delayed = replace(small(), delays=np.full(small().n_synapses, 1e-3))
    with pytest.raises(InvalidInput, match="networks with delays are not supported"):
        lyapunov_spectrum(delayed, rng=rng())
    assert lyapunov_spectrum(replace(delayed, delays=0 * delayed.delays), rng=rng(), **QUICK).complete
