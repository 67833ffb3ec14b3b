"""Ctrl-C: raised wherever it comes, once; what has to be whole is; no truncated run is taken for a whole one."""

import ast
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from brian2 import BrianObjectException, Network, NetworkOperation, SpikeMonitor, ms, second, stop
from numpy.testing import assert_array_equal
from test_live import QUICK, assert_same_state, full_state, live_pair, two_groups

import lnpbrian
from lnpbrian import InvalidInput, LiveNetwork, prune
from lnpbrian.learning.encoding import CurrentEncoder
from lnpbrian.learning.stdp import train_stdp
from lnpbrian.lyapunov.twins import restored_twin_exponents
from lnpbrian.models import HRSNN
from lnpbrian.network.brian2_internals import run_network
from lnpbrian.network.live import Snapshot
from lnpbrian.network.simulate import brian2_spike_train, observe
from lnpbrian.process import Held, Watched


def press():
    signal.raise_signal(signal.SIGINT)


def pressed_at(time):
    """A part of a network during whose run Ctrl-C is pressed."""
    done = []

    def operation(t):
        if t[:] > time and not done:
            done.append(t)
            press()

    return NetworkOperation(operation, dt=1 * ms)


@pytest.fixture
def pressed_in_any_run(monkeypatch):
    """Ctrl-C comes in the middle of the first run of any network."""
    run, seen = Network.run, []

    def pressing(self, duration, *args, **kwargs):
        if not seen:
            seen.append(1)
            self.add(pressed_at(self.t + 0.5 * duration))
        return run(self, duration, *args, **kwargs)

    monkeypatch.setattr(Network, "run", pressing)
    return seen


def spec():
    return HRSNN(20, 0.3, check_rate=False, seed=1).spec


def learn():
    one = HRSNN(20, 0.3, check_rate=False, seed=1, plastic=True).spec
    rng = np.random.default_rng(0)
    train_stdp(
        one, CurrentEncoder.draw(20, 1, scale=0.5, rng=rng), rng.normal(size=(10, 1)), sample_time=5 * ms, rng=rng
    )


@pytest.mark.parametrize(
    "measure",
    [
        lambda: observe(live_pair()[0], 20 * ms),
        lambda: restored_twin_exponents(live_pair()[0], duration=40 * ms, rng=np.random.default_rng(0)),
        lambda: brian2_spike_train(spec(), 0.02),
        learn,
    ],
    ids=["rates", "own twins", "spike train", "STDP"],
)
def test_no_measurement_survives_ctrl_c(measure, pressed_in_any_run):
    with pytest.raises(KeyboardInterrupt):
        measure()
    assert pressed_in_any_run


def test_ctrl_c_in_a_run_leaves_an_own_network_as_it_was(request):
    network, synapses = two_groups()
    network.run(2 * ms)
    request.getfixturevalue("pressed_in_any_run")
    objects = set(network.objects)
    before = full_state(network)
    with pytest.raises(KeyboardInterrupt):
        prune(LiveNetwork(network, synapses, input="drive"), options=QUICK)
    assert network.objects == objects
    assert_same_state({k: v for k, v in full_state(network).items() if k in before}, before)


@pytest.mark.parametrize("where", ["_globally_stopped", "t_"])
def test_a_network_that_stops_itself_is_refused(where):
    live, _ = live_pair()

    def halt(t):
        if t[:] > 4 * ms:
            stop() if where == "_globally_stopped" else live.network.stop()

    live.network.add(NetworkOperation(halt, dt=1 * ms))
    with pytest.raises(InvalidInput, match=r"stopped itself after 0\.005\d* of 0\.02 s"):
        live.run(20 * ms)


def test_a_stop_in_the_last_step_is_none():
    live, _ = live_pair()
    live.network.add(NetworkOperation(lambda t: stop() if t[:] > 3.85 * ms else None, dt=live.dt * second))
    live.run(4 * ms)


def test_after_a_failed_run_ctrl_c_is_one_again():
    network = Network(NetworkOperation(lambda: 1 / 0))
    with suppress(ZeroDivisionError, BrianObjectException):
        run_network(network, 1 * ms, namespace={})
    with pytest.raises(KeyboardInterrupt):
        press()


def test_a_restore_is_not_cut(monkeypatch):
    live, _ = live_pair()
    live.run(5 * ms)
    before = full_state(live.network)
    snapshot = Snapshot(live)
    live.run(5 * ms)
    restore, presses = SpikeMonitor._restore_from_full_state, []

    def pressing(self, state):
        presses.append(1)
        press()
        press()
        restore(self, state)

    monkeypatch.setattr(SpikeMonitor, "_restore_from_full_state", pressing)
    with pytest.raises(KeyboardInterrupt):
        snapshot.restore()
    assert presses
    assert_same_state(full_state(live.network), before)


def test_only_the_first_of_many_raises():
    done = []

    def block():
        with Watched():
            try:
                press()
            finally:
                press()
                done.append("put back")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == ["put back"]


def test_one_that_a_destructor_swallows_is_raised_in_the_end():
    with pytest.raises(KeyboardInterrupt), Watched(), suppress(KeyboardInterrupt):
        press()


def test_handlers_of_others_are_respected():
    seen, before = [], signal.getsignal(signal.SIGINT)
    try:
        for handler in (lambda number, frame: seen.append(number), signal.SIG_IGN):
            signal.signal(signal.SIGINT, handler)
            with Watched(), Held():
                press()
            live, _ = live_pair()
            live.network.add(pressed_at(2 * ms))
            live.run(5 * ms)
            assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(seen) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # swallowed, and raised later
def test_any_moment_of_pruning_an_own_network():
    """A second one half a millisecond after the first, from another thread."""
    main = threading.main_thread().ident
    rng = np.random.default_rng(3)
    for wait in rng.uniform(0, 0.4, 4):
        network, synapses = two_groups(12, 4)
        network.run(2 * ms)
        before = full_state(network)

        def shoot(wait=wait):
            time.sleep(wait)
            for _ in range(2):
                signal.pthread_kill(main, signal.SIGINT)
                time.sleep(0.0005)

        shooter = threading.Thread(target=shoot)
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 -- wherever it strikes
            shooter.start()
            prune(LiveNetwork(network, synapses, input="drive"), options=QUICK)
            time.sleep(10)
        with suppress(KeyboardInterrupt):
            shooter.join()
        with suppress(KeyboardInterrupt):
            time.sleep(0.01)
        for key, values in before.items():
            assert_array_equal(full_state(network)[key], values, err_msg=str(key))


def test_all_runs_go_through_one_place():
    """`.run` with a time is called on networks in `run_network` only, and on what leads there."""
    known = {("brian2_internals.py", "network"), ("live.py", "network")}
    for path in Path(lnpbrian.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "run":
                owner = ast.unparse(node.func.value)
                if owner.split(".")[-1] in ("network", "net", "magic_network"):
                    takes_time = any(k.arg == "namespace" for k in node.keywords)
                    assert not takes_time or (path.name, owner) in known, f"{path}:{node.lineno}"
