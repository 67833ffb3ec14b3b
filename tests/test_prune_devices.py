"""Pruning that measures on a compiled device finds what it finds in this process."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import ms

from lnpbrian import InvalidInput, PruneOptions, prune
from lnpbrian.lyapunov.device_twins import CompiledTwins
from lnpbrian.lyapunov.twins import block_twin_exponents, tangent_twin_exponents
from lnpbrian.models import HRSNN
from lnpbrian.network.recurrent import RecurrentNetwork
from lnpbrian.network.signals import noise_drive
from lnpbrian.network.simulate import simulated_spike_train, twin_timing
from lnpbrian.pruning.prunable import PrunableModel
from lnpbrian.pruning.steps import Delocalisation
from lnpbrian.streams import Streams

N = 60
DRIVE = noise_drive(N, duration=100 * ms, rng=np.random.default_rng(0))
OPTIONS = PruneOptions(
    synapse_sparsity=0.6,
    neuron_sparsity=0.2,
    iterations=2,
    observation=100 * ms,
    exponent_duration=100 * ms,
    realisations=2,
    rates=(0, 500),
    device="cpp_standalone",
)


def network():
    return HRSNN(N, 0.3, check_rate=False, seed=1).spec


def pruned(spec):
    rng = np.random.default_rng(3)
    alive = rng.random(N) < 0.7
    kept = (rng.random(spec.n_synapses) < 0.4) & alive[spec.pre] & alive[spec.post]
    return replace(spec, alive=alive, bias=np.where(alive, spec.bias, 0.0)).of_synapses(kept)


@pytest.mark.standalone
def test_observations_of_a_compiled_network():
    observer = PrunableModel(RecurrentNetwork(network()), OPTIONS, Streams(0), DRIVE)
    try:
        for spec in (network(), pruned(network())):
            seen = observer.measure(spec, lambda what, fraction: None)
            inner = spec.compacted()
            own = DRIVE.of_neurons(spec.alive)
            spikes = simulated_spike_train(twin_timing(inner, own), 0.2, drive=own)
            counts = np.bincount(spikes.indices[spikes.times > 0.1], minlength=inner.n_neurons)
            np.testing.assert_array_equal(seen.rates[spec.alive], counts / 0.1)
            assert not seen.rates[~spec.alive].any()
            twins = tangent_twin_exponents(
                inner,
                spikes=spikes,
                drive=own,
                duration=100 * ms,
                transient=100 * ms,
                realisations=2,
                rng=Streams(0).rng("twins"),
            )
            # The times of spikes between grid points agree to rounding, 1e-15 s, a 1e-11th of a window.
            np.testing.assert_allclose(seen.each.per_neuron, twins.per_neuron, rtol=1e-6, atol=1e-6)
    finally:
        observer.close()


@pytest.mark.standalone
@pytest.mark.parametrize("directions", ["fresh", "kept"])
def test_twins_of_what_is_left_of_a_network(directions):
    spec = replace(network(), spike_timing="precise", dt=0.1e-3)
    how = {"duration": 60 * ms, "transient": 40 * ms, "realisations": 2, "directions": directions}
    with CompiledTwins(spec, drive=DRIVE, **how) as compiled:
        for part in (spec, pruned(spec)):
            found = compiled.run(part, rng=np.random.default_rng(5))
            own = DRIVE.of_neurons(part.alive)
            expected = block_twin_exponents(part.compacted(), drive=own, rng=np.random.default_rng(5), **how)
            assert found.per_neuron.size == part.n_alive
            # Times of spikes agree to 1e-14 s, potentials with slopes of 100/s to 1e-12; separations of 1e-9 or more in
            # windows of 20 ms then differ by 1e-3/0.02.
            np.testing.assert_allclose(found.per_neuron, expected.per_neuron, rtol=0, atol=0.05)
            name = "largest_exponent" if directions == "kept" else "window_exponent"
            assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=0.05)
            np.testing.assert_array_equal(found.rates, expected.rates)


@pytest.mark.standalone
def test_pruning_on_a_compiled_device():
    model = HRSNN(N, 0.3, check_rate=False, seed=1)
    result = prune(model, ("I", "II", "III"), options=OPTIONS)
    assert result.history[-1].neurons == 48
    # The program is compiled once, before the first observation.
    seconds = [record.seconds["observation"] for record in result.history]
    assert max(seconds[1:]) < 0.5 * seconds[0]


@pytest.mark.standalone
def test_programs_have_room_for_what_the_steps_add():
    options = replace(OPTIONS, synapse_sparsity=0, neuron_sparsity=0, exponents="twins")
    live = RecurrentNetwork(network())
    result = prune(live, (Delocalisation(0.15, rule="variance"),), options=options)
    assert live.n_synapses > 1.3 * result.history[0].synapses


def test_devices_of_other_networks_are_refused():
    with pytest.raises(InvalidInput, match="device must be one of"):
        PruneOptions(device="gpu")
