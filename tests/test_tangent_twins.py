"""Twins infinitely close: closed forms, agreement with block twins and with the spectrum, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms, prefs, second

from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.spectrum import lyapunov_spectrum
from lnpbrian.lyapunov.tangent_twins import tangent_twin_exponents
from lnpbrian.lyapunov.twins import block_twin_exponents
from lnpbrian.models import HRSNN, uncoupled
from lnpbrian.models.drawing import LIFParameters
from lnpbrian.network.drive import noise_drive
from lnpbrian.network.simulate import precise_timing, spike_train

prefs.codegen.target = "numpy"


def rng(seed=0):
    return np.random.default_rng(seed)


def test_uncoupled_neurons_forget_at_their_leak():
    spec = uncoupled(np.array([4, 10, 25]) * ms, bias=0.5)
    twins = tangent_twin_exponents(spec, duration=200 * ms, rng=rng())
    # Exact but for the rounding of exp and log.
    np.testing.assert_allclose(twins.fresh.per_neuron, [-250, -100, -40], rtol=1e-9)
    assert twins.kept.largest < -40 + 1e-9
    assert twins.flat == 0


def test_regular_firing_is_neutral():
    # Alone and above threshold a neuron keeps its phase: its exponent is zero over whole periods.
    spec = uncoupled(np.array([10.0]) * ms, bias=2.0)
    period = 10e-3 * np.log(2) + spec.refractory_period
    windows = 50
    twins = tangent_twin_exponents(
        precise_timing(spec),
        duration=windows * 20 * period * second,
        transient=0 * ms,
        renormalise_every=20 * period * second,
        realisations=1,
        rng=rng(),
    )
    # One window of 20 periods; held neurons are compared by what their release brings.
    assert abs(twins.kept.largest) < 0.05


@pytest.fixture(scope="module")
def chaotic():
    spec = HRSNN(100, 0.2, check_rate=False, seed=3).spec
    return precise_timing(spec), noise_drive(100, duration=1 * second, rng=rng(1))


def test_agrees_with_block_twins(chaotic):
    spec, drive = chaotic
    common = {"drive": drive, "duration": 1 * second, "transient": 100 * ms}
    tangent = tangent_twin_exponents(spec, realisations=8, rng=rng(2), **common)
    twins = block_twin_exponents(spec, realisations=4, rng=rng(3), **common)
    error = np.hypot(tangent.fresh.standard_error, twins.standard_error)
    assert abs(tangent.fresh.largest - twins.largest) < 5 * error
    # Per neuron: other directions, the same spikes.
    spread = np.hypot(tangent.fresh.per_neuron_standard_error, twins.per_neuron_standard_error)
    difference = (tangent.fresh.per_neuron - twins.per_neuron) / spread
    assert np.sqrt(np.mean(difference**2)) < 1.5
    assert np.corrcoef(tangent.fresh.per_neuron, twins.per_neuron)[0, 1] > 0.5


def test_kept_direction_gives_the_largest_exponent_of_the_spectrum(chaotic):
    spec, drive = chaotic
    twins = tangent_twin_exponents(spec, drive=drive, duration=2 * second, transient=500 * ms, rng=rng(2))
    spectrum = lyapunov_spectrum(
        spec, n_exponents=1, duration=2 * second, transient=500 * ms, inputs=drive, trajectory="brian2", rng=rng(4)
    )
    # The same trajectory and, once the vectors have turned, the same direction; the norms differ at the two ends by a
    # factor of at most e^4: 4/2 s.
    assert abs(twins.kept.largest - spectrum.largest) < 2


def test_held_neurons_do_not_bias_fresh_directions():
    # With a long refractory period most neurons are held at any time.
    spec = HRSNN(60, 0.2, parameters=LIFParameters.forecasting(), check_rate=False, seed=1).spec
    spec = precise_timing(spec)
    drive = noise_drive(60, duration=1 * second, rng=rng(1))
    tangent = tangent_twin_exponents(spec, drive=drive, realisations=8, rng=rng(2))
    twins = block_twin_exponents(spec, drive=drive, transient=100 * ms, rng=rng(3))
    difference = np.median(tangent.fresh.per_neuron) - np.median(twins.per_neuron)
    # A separation of held neurons that is measured wrongly by a factor 1 + rest/tau gave 10 /s.
    assert abs(difference) < 2


def test_given_spikes_are_followed(chaotic):
    spec, drive = chaotic
    spikes = spike_train(spec, 0.5, drive=drive)
    a = tangent_twin_exponents(spec, drive=drive, duration=400 * ms, spikes=spikes, rng=rng(5))
    b = tangent_twin_exponents(spec, drive=drive, duration=400 * ms, rng=rng(5))
    np.testing.assert_array_equal(a.fresh.per_neuron, b.fresh.per_neuron)
    assert a.kept.largest == b.kept.largest
    late = spikes.times > 0.1
    assert a.fresh.rates.sum() * 0.4 == pytest.approx(late.sum())


def test_refuses_what_it_does_not_know(chaotic):
    spec, _ = chaotic
    delayed = replace(spec, delays=np.full(spec.n_synapses, 1e-3))
    with pytest.raises(InvalidInput, match="do not know delays"):
        tangent_twin_exponents(delayed, rng=rng())
    with pytest.raises(InvalidInput, match="spec must be a NetworkSpec, got str"):
        tangent_twin_exponents("network", rng=rng())
    with pytest.raises(InvalidInput, match="rng"):
        tangent_twin_exponents(spec, rng=0)
    with pytest.raises(InvalidInput, match="at least one window"):
        tangent_twin_exponents(spec, duration=5 * ms, rng=rng())
