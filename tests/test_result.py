"""What can be done with a result: compare, pickle, show, and put into a table."""

import pickle
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, Synapses, ms, seed

from lnpbrian import PruneOptions, PruneResult, prune
from lnpbrian.checks import InvalidInput
from lnpbrian.lyapunov.spectrum import map_spectrum
from lnpbrian.models import HRSNN
from lnpbrian.network import RecurrentNetwork

QUICK: dict[str, Any] = {
    "iterations": 1,
    "realisations": 1,
    "observation": 100 * ms,
    "exponent_duration": 60 * ms,
    "rates": (0, 500),
    "exponent_growth": None,
}


def foreign(n: int = 30) -> Network:
    seed(1)
    group = NeuronGroup(n, "dv/dt = (1.2 + 0.3*i/N - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact")
    synapses = Synapses(group, group, "w : 1", on_pre="v_post += w")
    synapses.connect(condition="i != j", p=0.5)
    synapses.w = 0.01
    return Network(group, synapses)


def pruned(kind: str, synapse_sparsity: float = 0.6) -> PruneResult:
    network = foreign() if kind == "foreign" else HRSNN(30, 0.5, check_rate=False)
    return prune(network, ("I", "II"), options=PruneOptions(synapse_sparsity, 0.1, **QUICK))


@pytest.mark.parametrize("kind", ["foreign", "model"])
def test_equal_runs_give_equal_results_pickled_or_not(kind: str):
    one, other = pruned(kind), pruned(kind)
    assert one == other
    assert one != pruned(kind, 0.7)
    assert one != replace(one, rates_after=one.rates_after + 1)
    assert one != "a result"
    again = pickle.loads(pickle.dumps(one))
    assert again == one == pickle.loads(pickle.dumps(again))
    assert repr(again) == repr(one)
    np.testing.assert_array_equal(again.alive, one.live.alive)
    with pytest.raises(InvalidInput, match="this result was pickled"):
        _ = again.live
    with pytest.raises(AttributeError, match="no attribute 'alife'"):
        _ = again.alife
    if kind == "foreign":
        assert again.spec is None
    else:
        rebuilt = RecurrentNetwork(again.spec, name="again")
        np.testing.assert_array_equal(rebuilt.weights(), one.live.weights())


def test_results_are_shown_as_tables():
    result = replace(pruned("foreign"), status="a <b> end")
    shown = result._repr_html_()
    first, now = result.history[0], result.after
    assert f"<th>neurons</th><td>{first.neurons}</td><td>{now.neurons}</td>" in shown
    assert f"<th>synapses</th><td>{first.synapses}</td><td>{now.synapses}</td>" in shown
    assert "a &lt;b&gt; end" in shown
    assert "<b>" not in shown
    assert shown.count("<tr>") == 1 + 5 + 1 + len(result.history)


def test_history_as_a_data_frame(monkeypatch: pytest.MonkeyPatch):
    result = pruned("foreign")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InvalidInput, match="pip install pandas"):
        result.to_dataframe()
    rows: list[dict[str, Any]] = []
    frame = SimpleNamespace(set_index=lambda name: (name, rows))
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda given: rows.extend(given) or frame))
    assert result.to_dataframe() == ("iteration", rows)
    assert [row["synapses"] for row in rows] == [record.synapses for record in result.history]


@pytest.mark.parametrize("factor", [2.0, 0.0])
def test_spectra_are_compared_pickled_and_shown(factor: float):
    def spectrum(other: float) -> Any:
        factors = np.array([other, factor])
        return map_spectrum(
            lambda x: factors * x,
            lambda _: np.diag(factors),
            np.zeros(2),
            duration=10,
            transient=20,
            rng=np.random.default_rng(0),
        )

    one = spectrum(0.5)
    assert one == spectrum(0.5) == pickle.loads(pickle.dumps(one))
    assert one != spectrum(0.25)
    assert "<th>exponents</th><td>2 of 2</td>" in one._repr_html_()
    twins = pruned("foreign").exponents_before
    assert twins == pickle.loads(pickle.dumps(twins))
    assert twins != one
    assert "window exponent" in twins._repr_html_()


@pytest.mark.parametrize("neurons", [3, 5, 9])
@pytest.mark.parametrize("steps", [None, ("I", "II")])
def test_few_neurons_can_lose_synapses(neurons: int, steps: Any):
    network = foreign(neurons)
    assert prune(network, steps, options=PruneOptions(0.5, 0, **QUICK)).after.neurons == neurons


def test_a_bar_in_a_terminal_and_lines_elsewhere(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    prune(foreign(), ("I", "II"), options=PruneOptions(0.6, 0.1, **QUICK), report="bar")
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert printed.out == ""
    assert "%  iteration 0 of 1, " in lines[0]
    assert lines[-1].startswith("[####################] 100 %  iteration 1 of 1, ")
    assert 3 < len(lines) <= 11
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    prune(foreign(), ("I", "II"), options=PruneOptions(0.6, 0.1, **QUICK), report="bar")
    grown = capsys.readouterr().err
    assert grown.count("\n") == 1
    assert grown.endswith("\n")
    assert grown.count("\r") > 5
