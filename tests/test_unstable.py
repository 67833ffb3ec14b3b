"""A network that pruning has ruined is not handed over as a success: rolled back, kept or refused, and always said."""

import re
from dataclasses import replace

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeMonitor, Synapses, ms
from numpy.testing import assert_array_equal

from lnpbrian import InvalidInput, PruneOptions, PruneResult, prune
from lnpbrian.jobs import PruneJob
from lnpbrian.models import HRSNN
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.pruning import NoisePruning, loop, prunable
from lnpbrian.pruning.checkpoint import STABLE, CheckpointFolder, fingerprint
from lnpbrian.pruning.schedule import schedule
from lnpbrian.pruning.steps import as_steps

QUICK = PruneOptions(
    synapse_sparsity=0.6,
    neuron_sparsity=0.2,
    iterations=3,
    observation=40 * ms,
    exponent_duration=20 * ms,
    realisations=1,
    rates=(0, 1e4),
    exponent_growth=1e4,
)

# Weights that are rescaled keep these networks alive.
STEPS = as_steps((NoisePruning(rescale="none"), "II"))


def self_sustained(p: float = 0.3) -> tuple[Network, NeuronGroup, Synapses]:
    """Neurons that fire only because the others do."""
    rng = np.random.default_rng(1)
    cells = NeuronGroup(
        60, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", refractory=2 * ms, method="exact", name="cells"
    )
    cells.v = rng.random(60) * 1.1
    synapses = Synapses(cells, cells, "w : 1", on_pre="v_post += w", delay=1 * ms, name="synapses")
    pre, post = np.nonzero(rng.random((60, 60)) < p)
    synapses.connect(i=pre, j=post)
    synapses.w = 0.13
    network = Network(cells, synapses)
    network.run(30 * ms)
    return network, cells, synapses


RUINOUS = replace(QUICK, synapse_sparsity=0.95, rates=None)


def spikes_of(network: Network, cells: NeuronGroup) -> list[tuple[float, int]]:
    monitor = SpikeMonitor(cells)
    network.add(monitor)
    network.run(20 * ms)
    return list(zip(monitor.t_[:].tolist(), monitor.i[:].tolist(), strict=True))


@pytest.mark.parametrize("iterations", [1, 3])
def test_a_dead_network_is_not_handed_over(iterations):
    options = replace(RUINOUS, iterations=iterations)
    whole = spikes_of(*self_sustained()[:2])
    assert len(whole) > 100

    network, cells, synapses = self_sustained()
    n = len(synapses)
    result = prune(network, STEPS, options=replace(options, on_unstable="keep"))
    assert "unstable" in result.status
    assert result.status.endswith("Hz; kept")
    assert result.iteration == len(result.history) - 1
    assert len(synapses) == result.after.synapses < 0.7 * n
    assert result.after.mean_rate_hz == 0
    assert "no neuron fires any more" in repr(result)
    network.run(100 * ms)
    assert not spikes_of(network, cells)

    network, cells, synapses = self_sustained()
    result = prune(network, STEPS, options=options)
    assert "unstable" in result.status
    assert "mean rate 0 Hz outside" in result.status
    assert f"rolled back to {f'iteration {result.iteration}' if result.iteration else 'the network as it came'}" in (
        result.status
    )
    assert result.iteration < len(result.history) - 1
    assert not result.history[-1].stable
    assert len(synapses) == result.after.synapses
    assert result.rates_after.mean() > 0
    assert result.live.n_alive == result.after.neurons
    if result.iteration == 0:
        assert spikes_of(network, cells) == whole
        assert_array_equal(result.rates_after, result.rates_before)
    else:
        assert spikes_of(network, cells)

    network, cells, synapses = self_sustained()
    with pytest.raises(InvalidInput, match=r"unstable.*mean rate 0 Hz.*the network is as it came") as caught:
        prune(network, STEPS, options=replace(options, on_unstable="raise"))
    assert "\n" not in str(caught.value)
    assert len(synapses) == n
    assert spikes_of(network, cells) == whole


# Of every pattern of stable and unstable iterations: the one that the network is left of.
NAN = float("nan")
PATTERNS = [
    ((0, 0, 0, 0), 3, "all iterations done"),
    ((0, 0, 0, 1), 2, "iteration 3 of 3 is unstable, .*; rolled back to iteration 2"),
    ((0, 1, 0, 1), 2, "iteration 3 of 3 is unstable, .*; rolled back to iteration 2"),
    ((0, 0, 1, 0), 3, "all iterations done"),
    ((0, 0, 1, 1), 1, "stopped after iteration 3 of 3: unstable twice, .*; rolled back to iteration 1"),
    ((0, 1, 1, 0), 0, "stopped after iteration 2 of 3: unstable twice, .*; rolled back to the network as it came"),
    ((NAN, 1, 1, 1), 0, "stopped after iteration 2 of 3: unstable twice, .*; rolled back to the network as it came"),
    ((0, 0, 0, NAN), 2, "iteration 3 of 3 is unstable, largest exponent nan 1/s, .*; rolled back to iteration 2"),
]
patterns = pytest.mark.parametrize(("pattern", "left", "status"), PATTERNS)


def changed(found, what: float):
    """Return an observation whose largest exponent is out of bounds if `what` is 1, and none if it is NaN."""
    # Not the rates, which decide on the next edits.
    name = "window_exponent" if found.largest.largest_exponent is None else "largest_exponent"
    return replace(found, largest=replace(found.largest, **{name: getattr(found.largest, name) + 1e5 * what}))


def judged(monkeypatch, pattern) -> None:
    """Let the iterations be stable or not as `pattern` says, by how many synapses they leave."""
    targets = schedule(50, HRSNN(50, 0.2, check_rate=False).spec.n_synapses, QUICK, STEPS)
    sizes = np.array([HRSNN(50, 0.2, check_rate=False).spec.n_synapses, *(synapses for _, synapses in targets)])
    measure = prunable.PrunableModel.measure

    def observe(self, spec, report):
        k = int(np.argmin(np.abs(sizes - spec.n_synapses)))
        return changed(measure(self, spec, report), pattern[k])

    monkeypatch.setattr(prunable.PrunableModel, "measure", observe)


def specs_of_iterations() -> list[NetworkSpec]:
    """Return the networks after each of the three iterations, the one before them first."""
    model, found = HRSNN(50, 0.2, check_rate=False), []

    def report(now) -> None:
        if now.step == "rates" and len(found) == now.iteration:
            found.append(model.spec)

    prune(model, STEPS, options=replace(QUICK, on_unstable="keep"), report=report)
    assert len(found) == 4
    return found


@pytest.fixture(scope="module")
def whole() -> list[str]:
    return [fingerprint(spec) for spec in specs_of_iterations()]


@patterns
def test_every_iteration_is_judged(monkeypatch, whole, pattern, left, status):
    judged(monkeypatch, pattern)
    model = HRSNN(50, 0.2, check_rate=False)
    result = prune(model, STEPS, options=QUICK)
    assert re.fullmatch(status, result.status)
    assert result.iteration == left
    assert fingerprint(model.spec) == whole[left]
    assert (result.after.neurons, result.after.synapses) == (model.spec.n_alive, model.spec.n_synapses)
    done = 2 if "after iteration 2" in status else 3
    assert [r.iteration for r in result.history] == list(range(done + 1))
    assert result.rates_after[model.spec.alive].mean() == pytest.approx(result.after.mean_rate_hz)
    assert result.exponents_after.per_neuron.size == result.after.neurons
    assert result.synapse_sparsity == 1 - result.after.synapses / result.history[0].synapses


@patterns
def test_the_other_two_ways(monkeypatch, whole, pattern, left, status):
    judged(monkeypatch, pattern)
    model = HRSNN(50, 0.2, check_rate=False)
    result = prune(model, STEPS, options=replace(QUICK, on_unstable="keep"))
    assert result.iteration == len(result.history) - 1
    assert fingerprint(model.spec) == whole[result.iteration]
    assert result.status == "all iterations done" or result.status.endswith("; kept")

    model = HRSNN(50, 0.2, check_rate=False)
    if left == 3:
        prune(model, STEPS, options=replace(QUICK, on_unstable="raise"))
        assert fingerprint(model.spec) == whole[3]
    else:
        with pytest.raises(InvalidInput, match=r"unstable.*; the network is as it came"):
            prune(model, STEPS, options=replace(QUICK, on_unstable="raise"))
        assert fingerprint(model.spec) == whole[0]


@pytest.mark.parametrize(("pattern", "left"), [((0, 0, 1), 1), ((0, NAN, 1), 0), ((0, 0, 0), 2)])
def test_any_network_goes_back_to_a_stable_iteration(monkeypatch, pattern, left):
    measure, calls, seen = prunable.PrunableNetwork.observe, [], []

    def observe(self, report):
        found = changed(measure(self, report), pattern[len(calls)])
        live = self.live
        calls.append(found)
        seen.append((live.edges(), live.weights(), live.alive, live.network["cells"].v[:].copy()))
        return found

    monkeypatch.setattr(prunable.PrunableNetwork, "observe", observe)
    network, cells, _ = self_sustained(0.5)
    time = network.t_
    result = prune(network, STEPS, options=replace(QUICK, synapse_sparsity=0.4, iterations=2))
    assert result.iteration == left
    (pre, post), weights, alive, v = seen[left]
    assert_array_equal(result.live.edges(), (pre, post))
    assert_array_equal(result.live.weights(), weights)
    assert_array_equal(result.live.alive, alive)
    assert_array_equal(cells.v[:], v)
    assert_array_equal(result.rates_after, calls[left].rates)
    assert network.t_ == time
    assert not network._stored_state
    fired = {i for _, i in spikes_of(network, cells)}
    assert fired
    assert fired <= set(np.flatnonzero(alive).tolist())


# ---------------------------------------------------------------------------------------------------------------------
# Interrupted and resumed


def numbers(result: PruneResult):
    return (
        [repr(replace(record, seconds={})) for record in result.history],
        (result.status, result.iteration, result.rate_bounds, result.rates_after.tolist()),
        result.exponents_after.per_neuron.tolist(),
    )


@pytest.mark.parametrize(("pattern", "left", "status"), [PATTERNS[k] for k in (1, 2, 4, 5, 7)])
def test_a_resumed_run_ends_at_the_same_stable_iteration(tmp_path, monkeypatch, whole, pattern, left, status):
    judged(monkeypatch, pattern)
    expected = prune(HRSNN(50, 0.2, check_rate=False), STEPS, options=QUICK)
    save, saves = CheckpointFolder.save, []

    def interrupted(self, checkpoint):
        saves.append(checkpoint)
        if len(saves) % 2:  # before it is written, the stable network being there; the next time after it
            raise KeyboardInterrupt
        save(self, checkpoint)
        raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointFolder, "save", interrupted)
    for _ in range(12):
        model = HRSNN(50, 0.2, check_rate=False)
        try:
            result = prune(model, STEPS, options=QUICK, checkpoint=tmp_path)
            break
        except KeyboardInterrupt:
            continue
    assert len(saves) == 2 * len(expected.history)
    assert (tmp_path / STABLE).exists()
    assert numbers(result) == numbers(expected)
    assert fingerprint(model.spec) == whole[left]
    # Once more, with nothing left to do.
    model = HRSNN(50, 0.2, check_rate=False)
    assert numbers(prune(model, STEPS, options=QUICK, checkpoint=tmp_path)) == numbers(expected)
    assert fingerprint(model.spec) == whole[left]


def test_a_stable_network_that_does_not_belong_is_refused(tmp_path, monkeypatch, whole):
    judged(monkeypatch, (0, 0, 0, 1))
    prune(HRSNN(50, 0.2, check_rate=False), STEPS, options=QUICK, checkpoint=tmp_path)
    path = tmp_path / STABLE
    folder = CheckpointFolder(tmp_path, "another run")
    content = path.read_bytes()

    def refused(message: str) -> None:
        model = HRSNN(50, 0.2, check_rate=False)
        with pytest.raises(InvalidInput, match=message) as caught:
            prune(model, STEPS, options=QUICK, checkpoint=tmp_path)
        assert "\n" not in str(caught.value)
        assert fingerprint(model.spec) == whole[0]

    path.write_bytes(content[: len(content) // 2])
    refused("stable.npz' cannot be read as a network file")
    folder.save_stable(2, HRSNN(50, 0.2, check_rate=False).spec)
    refused("belongs to another network")
    path.unlink()
    refused("stable.npz")
    path.write_bytes(content)
    model = HRSNN(50, 0.2, check_rate=False)
    assert prune(model, STEPS, options=QUICK, checkpoint=tmp_path).iteration == 2
    assert fingerprint(model.spec) == whole[2]


# ---------------------------------------------------------------------------------------------------------------------
# What is said


@pytest.fixture(scope="module")
def result() -> PruneResult:
    return prune(HRSNN(50, 0.2, check_rate=False), STEPS, options=replace(QUICK, iterations=1, rates=(5.0, 500.0)))


@pytest.mark.parametrize(
    ("before", "after", "warning"),
    [
        (20.0, 20.0, ""),
        (20.0, 23.9, ""),
        (20.0, 16.8, ""),
        (20.0, 29.9, "mean rate rose 1.5-fold"),
        (20.0, 42.0, "mean rate rose 2.1-fold"),
        (42.0, 20.0, "mean rate fell 2.1-fold"),
        (400.0, 510.0, "mean rate 510 Hz is outside 5..500 Hz, mean rate rose 1.3-fold"),
        (10.0, 4.0, "mean rate 4 Hz is outside 5..500 Hz, mean rate fell 2.5-fold"),
        (10.0, 0.0, "mean rate 0 Hz is outside 5..500 Hz, no neuron fires any more"),
        (10.0, NAN, "mean rate nan Hz is outside 5..500 Hz"),
    ],
)
def test_rate_before_and_after_and_a_warning(result, before, after, warning):
    first, last = result.history
    result = replace(result, history=(replace(first, mean_rate_hz=before), replace(last, mean_rate_hz=after)))
    assert result.warning == warning
    assert f"{before:.1f} -> {after:.1f} Hz" in repr(result)
    assert ("warning" in repr(result)) == bool(warning)
    assert warning in repr(result)


def test_bounds_of_exponents_that_are_not_finite(result):
    """Minus infinity, where all twins have met, is stable; the bound is above 0 if that before is not finite."""

    def stable(largest: float, error: float, before: float, before_error: float = 1.0) -> bool:
        judge = object.__new__(loop._Loop)
        judge.options = replace(QUICK, rates=(0, 100), exponent_growth=20.0)
        judge.history = [
            replace(
                result.history[0],
                largest_exponent_per_s=before,
                largest_exponent_standard_error_per_s=before_error,
            )
        ]
        return judge._is_stable(10.0, largest, error)

    inf = float("inf")
    assert stable(-inf, NAN, -30)
    assert stable(-inf, NAN, -inf, NAN)
    assert stable(15, 0, -inf, NAN)
    assert not stable(25, 0, -inf, NAN)
    assert not stable(25, 0, NAN, NAN)
    assert stable(10, NAN, 0)
    assert not stable(30, NAN, 0)
    assert not stable(NAN, 0, 0)
    assert not stable(inf, NAN, 0)
    assert not stable(inf, inf, 0)


def test_nothing_is_rolled_back_without_bounds():
    paper = PruneOptions.fidelity()
    assert paper.rates == (0, 1e4)
    assert paper.exponent_growth is None
    network, cells, _ = self_sustained()
    result = prune(network, STEPS, options=replace(RUINOUS, iterations=1, rates=(0, 1e4), exponent_growth=None))
    assert result.status == "all iterations done"
    assert result.iteration == 1
    assert result.warning == "no neuron fires any more"
    network.run(100 * ms)
    assert not spikes_of(network, cells)


def test_options():
    with pytest.raises(InvalidInput, match="on_unstable must be one of roll back, keep, raise; got 'ignore'"):
        PruneOptions(on_unstable="ignore")
    with pytest.raises(InvalidInput, match="--on-unstable must be one of roll back, keep, raise; got 'ignore'"):
        PruneJob().with_flags({"on-unstable": "ignore"})
    assert PruneJob().with_flags({"on-unstable": "roll-back"}).pruning.on_unstable == "roll back"
    for job in (PruneJob(), PruneJob.fidelity()):
        assert job.pruning.on_unstable == "roll back"
        assert job.with_flags({"on-unstable": "raise"}).pruning.on_unstable == "raise"
