"""In which order a study does its parts, and that it ends where one of them fails."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import ms

from lnpbrian import PruneOptions, jobs
from lnpbrian.checks import InvalidInput
from lnpbrian.models import HRSNN

QUICK = PruneOptions(0.5, 0.0, iterations=2, observation=100 * ms, rates=(0, 500), exponent_growth=None)


def study(monkeypatch, folder, report, forecast=None):
    """Two windows shared by two processes, were they not made up: the networks that forecast, and the study."""
    model, seen = HRSNN(40, 0.3, check_rate=False), []

    def made_up(spec, *_, report, **__):
        seen.append(spec)
        return forecast() if forecast else SimpleNamespace(to_arrays=dict)

    monkeypatch.setattr(jobs, "forecast", made_up)
    job = jobs.PruneJob(neurons=40, task="google", windows=2, steps="I", pruning=QUICK)
    before = model.spec
    return before, seen, job.run(model, folder, jobs=2, report=report)


def test_the_network_without_synapses_forecasts_while_pruning_goes_on(monkeypatch, tmp_path):
    begun = threading.Event()

    def report(stage, fraction, what):
        if stage == "forecast uncoupled":
            begun.set()
        if stage == "prune" and what.startswith("iteration 2"):
            assert begun.wait(60)

    before, seen, found = study(monkeypatch, tmp_path, report)
    assert begun.is_set()
    alone = next(spec for spec in seen if not spec.n_synapses)
    # The mean input that neurons lose is made up for at the rates that pruning has measured.
    expected = before.uncoupled(found.pruning.rates_before)
    np.testing.assert_array_equal(alone.bias, expected.bias)
    assert (alone.bias != before.bias).any()
    assert [spec.n_synapses for spec in seen if spec.n_synapses] == [before.n_synapses, found.after.n_synapses]


def test_pruning_that_fails_early_leaves_nothing_waiting(monkeypatch, tmp_path):
    def fails(*_, **__):
        raise InvalidInput("no")

    monkeypatch.setattr(jobs, "prune", fails)
    threads = threading.active_count()
    with pytest.raises(InvalidInput, match=r"^no$"):
        study(monkeypatch, tmp_path, None)
    assert threading.active_count() == threads


def test_a_forecast_that_fails_is_told(monkeypatch, tmp_path):
    def fails():
        raise InvalidInput("no forecast")

    with pytest.raises(InvalidInput, match=r"^no forecast$"):
        study(monkeypatch, tmp_path, None, fails)
