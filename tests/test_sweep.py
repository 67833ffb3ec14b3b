"""Sweeps: what is computed, what is computed again after any kind of death, and what users read then."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import brian2
import numpy as np
import pytest

from lnpbrian.checks import InvalidInput
from lnpbrian.sweep import Result, ResultStore, Task, cluster, run_sweep, sources
from lnpbrian.sweep import tasks as sweep
from lnpbrian.sweep.cluster import ClusterOptions, DaskWorkers, open_workers

HERE = Path(__file__).parent
NOWHERE = ClusterOptions(scheduler="tcp://127.0.0.1:1")
PATIENCE = 60

# ------------------------------------------------------------------------------------------- functions that workers run


def needs(module):
    """Skip without importing: dask-jobqueue changes what Ctrl-C does to the process."""
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


def note(options):
    """Leave a file for every execution, so that they can be counted."""
    path = Path(options["log"]) / f"{options['id']}.{time.time_ns()}.{os.getpid()}"
    path.touch()


def add(options, *needs, report):
    note(options)
    report(0.5, "adding")
    total = options["value"] + sum(need.record["total"] for need in needs)
    rng = np.random.default_rng(total)
    return Result({"total": total}, {"noise": rng.standard_normal(3)})


def wait_for_go(options, *needs, report):
    note(options)
    while not (Path(options["log"]) / "go").exists():
        time.sleep(0.02)
    return Result({"total": options["value"]})


def die_once(options, *needs, report):
    note(options)
    if len(list(Path(options["log"]).glob(f"{options['id']}.*"))) == 1:
        time.sleep(PATIENCE)
    return Result({"total": options["value"]})


def die(options, *needs, report):
    note(options)
    os.kill(os.getpid(), signal.SIGKILL)


def fail(options, *needs, report):
    note(options)
    if not (Path(options["log"]) / "go").exists():
        raise ArithmeticError("no luck\nsecond line")
    return Result({"total": 0})


def no_result(options, *needs, report):
    return {"total": 0}


def no_json(options, *needs, report):
    return Result({"total": {1, 2}})


def surroundings(options, *needs, report):
    from threadpoolctl import threadpool_info

    # So long that every worker gets one.
    time.sleep(1)
    return Result(
        {
            "pid": os.getpid(),
            "cache": brian2.prefs.codegen.runtime.cython.cache_dir,
            "target": brian2.prefs.codegen.target,
            "threads": max((pool["num_threads"] for pool in threadpool_info()), default=1),
            "environment": {name: os.environ.get(name) for name in cluster.SINGLE_THREAD},
            "interrupts_ignored": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        }
    )


# -------------------------------------------------------------------------------------------------------------- helpers


def executions(log):
    return Counter(path.name.split(".")[0] for path in Path(log).glob("*.*.*"))


def make(log, name, value=0, *, function="add", needs=(), cost=1.0):
    options = {"log": str(log), "id": name, "value": value}
    return Task(name, f"test_sweep:{function}", options, tuple(needs), cost)


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s"
        time.sleep(0.05)


def alive(pid):
    # A process that ended but was not waited for is still there as a zombie.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def killer_of(log):
    """Return a report that kills the worker of the first execution of the task "victim"."""

    def kill(progress):
        started = list(log.glob("victim.*"))
        if len(started) == 1 and (pid := int(started[0].name.split(".")[2])) not in killed:
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)

    killed: set[int] = set()
    return kill


def no_half_files(store):
    return not [path for path in store.folder.rglob("*") if path.is_file() and path.name.startswith(".")]


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "store")


@contextmanager
def local_workers(caches):
    with open_workers(ClusterOptions(workers=3, caches=caches)) as pool:
        yield lambda: pool


@contextmanager
def dask_workers(caches):
    """Three workers whose scheduler behaves as the one that this package starts for SLURM."""
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    config = {
        **cluster.SCHEDULER_CONFIG,
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.deploy.lost-worker-timeout": "1 day",
        "distributed.scheduler.worker-ttl": None,
    }
    with (
        dask.config.set(config),
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as three,
        distributed.Client(three, set_as_default=False) as client,
    ):
        yield lambda: DaskWorkers(client, ClusterOptions(slurm={}, caches=caches))


@pytest.fixture(scope="module", params=[local_workers, dask_workers], ids=["processes", "dask"])
def three(request, tmp_path_factory):
    """Three workers on this machine, started once: importing this package takes each of them seconds."""
    with request.param(tmp_path_factory.mktemp("caches")) as made:
        yield made


def all_idle(workers):
    workers.events(0.05)
    return len(workers.idle()) == 3


@pytest.fixture
def workers(three, monkeypatch):
    @contextmanager
    def opened(options, **_):
        yield made

    made = three()
    until(lambda: all_idle(made), "workers are back")
    monkeypatch.setattr(sweep, "open_workers", opened)
    return made


# ---------------------------------------------------------------------------------------------------------------- tasks


def test_key_is_made_of_what_is_asked_for():
    need = Task("need", "m:f", {})
    task = Task("a", "m:f", {"x": 1, "y": [1, 2]}, (need,))
    assert Task("b", "m:f", {"y": (1, 2), "x": 1}, (Task("other", "m:f", {}, cost=3),), cost=2) == task
    others = [
        Task("a", "m:g", {"x": 1, "y": [1, 2]}, (need,)),
        Task("a", "m:f", {"x": 2, "y": [1, 2]}, (need,)),
        Task("a", "m:f", {"x": 1, "y": [1, 2]}),
        Task("a", "m:f", {"x": 1, "y": [1, 2]}, (need, need)),
        Task("a", "m:f", {"x": 1, "y": [1, 2]}, (Task("need", "m:f", {"z": 0}),)),
    ]
    assert len({task, *others}) == 1 + len(others)


def test_options_cannot_change_after_the_key_was_made():
    options = {"x": [1]}
    task = Task("a", "m:f", options)
    options["x"].append(2)
    assert task.options == {"x": [1]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "module.function", {}), "package.module:function"),
        (("a", "m:f", {"x": np.arange(2)}), "plain JSON"),
        (("a", "m:f", {"x": float("nan")}), "plain JSON"),
        (("a", "m:f", {}, (), 0), "cost"),
    ],
)
def test_tasks_that_cannot_be(arguments, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        Task(*arguments)
    assert "\n" not in str(caught.value)


def test_the_longest_way_to_the_end_goes_first(log, store):
    #   a(1) -> b(5),  c(2) -> d(3) -> b,  e(7):  ways 6, 10, 8, 5, 7
    a, c, e = make(log, "a"), make(log, "c", cost=2), make(log, "e", cost=7)
    d = make(log, "d", needs=[c], cost=3)
    b = make(log, "b", needs=[a, d], cost=5)
    run = sweep._Sweep([b, e], store, None)
    assert {run.missing[key].name: way for key, way in run.urgency.items()} == {"a": 6, "c": 10, "d": 8, "b": 5, "e": 7}
    assert [run.missing[key].name for _, key in sorted(run.ready)] == ["c", "e", "a"]


def test_a_chain_may_be_longer_than_the_stack(log, store):
    task = make(log, "0")
    for k in range(3000):
        task = make(log, str(k + 1), needs=[task])
    run = sweep._Sweep([task], store, None)
    assert max(run.urgency.values()) == 3001
    run._end(run.ready[0][1], ValueError("no"))
    assert len(run.failed) == 3001


# ---------------------------------------------------------------------------------------------------------------- store


def test_what_is_kept_comes_back(log, store):
    task = make(log, "a")
    assert task not in store
    arrays = {"x": np.linspace(0, 1, 5), "flags": np.array([True, False])}
    store.put(task, Result({"deep": {"list": [1, 2.5, None, "x"]}}, arrays, 3.0))
    found = ResultStore(store.folder).get(task)
    assert found.record == {"deep": {"list": [1, 2.5, None, "x"]}}
    assert found.seconds == 3.0
    assert all(np.array_equal(found.arrays[name], arrays[name]) for name in arrays)
    assert found.arrays["flags"].dtype == bool


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".json", halve),
        (".json", lambda path: path.write_text("[]")),
        (".json", lambda path: path.write_text(path.read_text().replace('"key": "', '"key": "x'))),
        (".json", lambda path: path.write_bytes(b"\xff\xfe")),
        (".npz", halve),
        (".npz", flip),
        (".npz", lambda path: path.write_bytes(b"")),
        (".npz", lambda path: path.unlink()),
    ],
    ids=["half", "list", "other task", "binary", "half npz", "flipped npz", "empty npz", "no npz"],
)
def test_damaged_files_are_missing_and_named(log, store, suffix, damage):
    task = make(log, "a")
    store.put(task, Result({"total": 1}, {"x": np.random.default_rng(0).standard_normal(100)}))
    assert task in store
    (path,) = store.folder.rglob(f"*/*{suffix}")
    damage(path)
    assert store.get(task) is None
    assert store.damaged == [str(path)]


@pytest.mark.parametrize(
    "result",
    [Result({"x": np.arange(2)}), Result({}, {"x": np.array([{}], dtype=object)})],
    ids=["array", "objects"],
)
def test_results_that_cannot_be_kept(log, store, result):
    task = make(log, "a")
    with pytest.raises(InvalidInput, match="plain JSON") as caught:
        store.put(task, result)
    assert "\n" not in str(caught.value)
    assert task not in store
    assert not store.damaged
    assert no_half_files(store)


def test_numbers_without_a_word_in_json_come_back(log, store):
    task = make(log, "a")
    store.put(task, Result({"error": np.inf, "rows": [{"x": -np.inf}, {"x": [np.nan, 1.5]}], "name": "inf"}))
    found = store.get(task).record
    assert (found["error"], found["rows"][0]["x"], found["name"]) == (np.inf, -np.inf, "inf")
    np.testing.assert_array_equal(found["rows"][1]["x"], [np.nan, 1.5])


def test_a_store_of_another_version_is_left_alone(store):
    note = store.folder / "store.json"
    note.write_text('{"lnpbrian": "0.0.7"}')  # before results said what code computed them
    with pytest.raises(InvalidInput, match=r"written by lnpbrian 0\.0\.7, .* choose another folder, or delete"):
        ResultStore(store.folder)
    assert note.read_text() == '{"lnpbrian": "0.0.7"}'


def test_a_folder_of_something_else_is_no_store(tmp_path):
    (tmp_path / "letters.txt").touch()
    with pytest.raises(InvalidInput, match="holds other files"):
        ResultStore(tmp_path)


# ------------------------------------------------------------------------------------------------ results of other code


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """Return a function that writes a number into a module: of a task, of what that imports, or of what it needs."""
    texts = {
        "first_task": "from lnpbrian.sweep import Result\ndef f(o, report):\n    return Result({'x': NUMBER})\n",
        "second_task": "from lnpbrian.sweep import Result\ndef f(o, need, report):\n"
        "    import helper\n    return Result({'x': need.record['x'] + NUMBER + helper.x})\n",
        "helper": "x = NUMBER\n",
    }

    def write(name, number):
        (tmp_path / f"{name}.py").write_text(texts[name].replace("NUMBER", str(number)))

    for name in texts:
        write(name, 0)
    monkeypatch.syspath_prepend(tmp_path)
    return write


def pair():
    first = Task("first", "first_task:f", {})
    return first, Task("second", "second_task:f", {}, (first,))


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*.json")}


@pytest.mark.parametrize(("changed", "anew"), [("first_task", 2), ("second_task", 1), ("helper", 1)])
def test_results_of_other_code_are_not_given_unless_accepted(tmp_path, edit, changed, anew):
    folder, one, tasks = tmp_path / "store", ClusterOptions(workers=1), pair()

    def results(stale):
        seen.clear()
        found = run_sweep(tasks, ResultStore(folder, stale=stale), cluster=one, report=seen.append)
        return [found[task].record["x"] for task in tasks]

    seen = []
    assert results("recompute") == [0, 0]
    assert not seen[-1].notes
    before = content(folder)
    edit(changed, 5)
    assert not any(task in ResultStore(folder) for task in tasks[2 - anew :])
    assert results("accept") == [0, 0]
    assert content(folder) == before
    number = "2 stored results are" if anew == 2 else "1 stored result is"
    (note,) = seen[-1].notes
    assert note.startswith(f"{number} of other code ({changed}")
    assert note.endswith(": accepted")
    assert results("recompute") == [5 * (anew == 2), 5]
    (note,) = seen[-1].notes
    assert note.startswith(f"{number} of other code ({changed}")
    assert note.endswith(": computed anew; stale='accept' takes what is there")
    # The old ones are kept, and are those of the old code.
    assert before.items() <= content(folder).items()
    edit(changed, 0)
    assert run_sweep(tasks, ResultStore(folder), cluster=NOWHERE)[tasks[1]].record["x"] == 0


def test_what_stands_on_an_accepted_result_is_not_taken_for_new(tmp_path, edit):
    folder, one, (first, second) = tmp_path / "store", ClusterOptions(workers=1), pair()
    run_sweep([first], ResultStore(folder), cluster=one)
    edit("first_task", 5)
    assert run_sweep([second], ResultStore(folder, stale="accept"), cluster=one)[second].record["x"] == 0
    assert second not in ResultStore(folder)
    assert run_sweep([second], ResultStore(folder), cluster=one)[second].record["x"] == 5


def test_a_worker_does_not_compute_with_other_code(edit):
    (first, _), stamps = pair(), sweep.Stamps()
    code = stamps.code(first)
    edit("first_task", 6)
    with pytest.raises(InvalidInput, match=r"^its worker has other code than this process had at first \(first_task\)"):
        sweep._execute(first.function, {}, [], code, report=lambda *_: None)
    assert sweep._execute(first.function, {}, [], code.here(), report=lambda *_: None).record == {"x": 6}


# --------------------------------------------------------------------------------------------------------------- sweeps


def diamond(log):
    #        a = 1
    #   b = a + 10    c = a + 100    d = b + c + a = 113
    a = make(log, "a", 1)
    b, c = make(log, "b", 10, needs=[a]), make(log, "c", 100, needs=[a])
    return [a, b, c, make(log, "d", 0, needs=[b, c, a])]


def test_needs_go_along_and_equal_tasks_are_computed_once(log, store, workers):
    tasks = diamond(log)
    again = diamond(log)[3]
    seen = []
    results = run_sweep([again, tasks[3], tasks[1]], store, report=seen.append)
    assert [results[task].record["total"] for task in (tasks[3], tasks[1])] == [113, 11]
    assert executions(log) == dict.fromkeys("abcd", 1)
    assert (seen[-1].done, seen[-1].total, seen[-1].found, seen[-1].running) == (4, 4, 0, {})
    assert [s.done for s in seen] == sorted(s.done for s in seen)
    assert all(result.seconds > 0 for result in results.values())
    # What is there needs no cluster.
    assert run_sweep(tasks, store, cluster=NOWHERE)[tasks[3]].record == {"total": 113}
    assert executions(log) == dict.fromkeys("abcd", 1)


def test_a_damaged_result_is_computed_again(log, store, workers):
    tasks = diamond(log)
    before = run_sweep(tasks, store)
    (path,) = store.folder.glob(f"*/{tasks[1].key}-*.npz")
    halve(path)
    seen = []
    after = run_sweep(tasks, ResultStore(store.folder), report=seen.append)
    assert executions(log) == {"a": 1, "b": 2, "c": 1, "d": 1}
    assert seen[-1].notes == (f"{path} was damaged and is computed again",)
    assert np.array_equal(before[tasks[1]].arrays["noise"], after[tasks[1]].arrays["noise"])


def test_failures_are_listed_and_the_others_go_on(log, store, workers):
    bad = make(log, "bad", function="fail")
    after = make(log, "after", needs=[make(log, "between", needs=[bad])])
    good = [make(log, f"good{k}", k) for k in range(4)]
    odd = [make(log, name, function=name) for name in ("no_result", "no_json", "nothing")]
    seen = []
    with pytest.raises(InvalidInput, match=r"^6 of 10 tasks failed \(.*; and 3 more\); .* is kept") as caught:
        run_sweep([bad, after, *odd, *good], store, report=seen.append)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, Exception)
    assert executions(log) == {"bad": 1, **{f"good{k}": 1 for k in range(4)}}
    notes = "\n".join(seen[-1].notes)
    assert "bad failed: ArithmeticError: no luck\n" in notes
    assert "between failed: needs 'bad'" in notes
    assert "after failed: needs 'between'" in notes
    assert "no_result failed: test_sweep:no_result must return a Result, got dict" in notes
    assert "no_json failed: the result is not made of plain JSON" in notes
    assert "nothing failed: AttributeError" in notes
    (log / "go").touch()
    assert run_sweep([bad, after, *good], store)[after].record["total"] == 0
    assert executions(log) == {"bad": 2, "between": 1, "after": 1, **{f"good{k}": 1 for k in range(4)}}


def test_workers_do_not_get_into_each_others_way(log, store, workers):
    tasks = [make(log, str(k), k, function="surroundings") for k in range(3)]
    records = [result.record for result in run_sweep(tasks, store).values()]
    assert len({record["pid"] for record in records}) == len({record["cache"] for record in records}) == 3
    for record in records:
        assert record["threads"] == 1
        assert record["environment"] == cluster.SINGLE_THREAD
        assert record["target"] == brian2.prefs.codegen.target
        assert record["interrupts_ignored"]


def test_a_killed_worker_costs_its_running_task(log, store, workers):
    victim = make(log, "victim", function="die_once", cost=9)
    tasks = [victim, *(make(log, f"t{k}", k) for k in range(6))]
    results = run_sweep(tasks, store, report=killer_of(log))
    assert [results[task].record["total"] for task in tasks] == [0, *range(6)]
    assert executions(log) == {"victim": 2, **{f"t{k}": 1 for k in range(6)}}


def test_a_task_that_kills_its_workers_is_given_up(log, store, workers, monkeypatch):
    blamed = []
    died = sweep._Sweep._worker_died
    monkeypatch.setattr(sweep._Sweep, "_worker_died", lambda run, key: (blamed.append(key), died(run, key)))
    killer = make(log, "killer", function="die", cost=9)
    tasks = [make(log, f"t{k}", k) for k in range(6)]
    with pytest.raises(InvalidInput, match=r"^1 of 7 tasks failed \(killer: 3 of its workers died"):
        run_sweep([killer, *tasks], store)
    assert executions(log)["killer"] == cluster.DEATHS
    # None of the others waited on a worker that died.
    assert blamed == [killer.key] * cluster.DEATHS
    assert all(task in store for task in tasks)


# ------------------------------------------------------------------------------------------------- deaths of the client


def script(log, folder):
    """Run a sweep of two tasks that end, and two that wait until they are let go, on one worker."""
    tasks = interrupted(log)
    try:
        run_sweep(tasks, ResultStore(folder), cluster=ClusterOptions(workers=1))
    except KeyboardInterrupt as stop:
        print(f"stopped: {stop}", flush=True)


def interrupted(log):
    quick = [make(log, f"quick{k}", k, cost=2) for k in range(2)]
    slow = [make(log, f"slow{k}", k, function="wait_for_go", needs=quick, cost=2 - k) for k in range(2)]
    return [*quick, *slow]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks processes up in /proc")
@pytest.mark.parametrize("three", [local_workers], ids=["processes"], indirect=True)
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_a_stopped_sweep_goes_on_with_what_is_missing(log, store, workers, kill):
    process = subprocess.Popen(
        [sys.executable, HERE / "test_sweep.py", log, store.folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until(lambda: executions(log)["slow0"], "a slow task runs")
    if kill == signal.SIGINT:
        # As a terminal does it: to all processes.
        os.killpg(process.pid, kill)
    else:
        process.send_signal(kill)
    output, _ = process.communicate(timeout=PATIENCE)
    until(lambda: not any(alive(path.name.split(".")[2]) for path in log.glob("*.*.*")), "workers have ended")
    if kill == signal.SIGINT:
        assert output == "stopped: the sweep was stopped; the same call goes on with what is missing\n"
    tasks = interrupted(log)
    assert [task in store for task in tasks] == [True, True, False, False]
    assert not store.damaged
    assert no_half_files(store)
    (log / "go").touch()
    results = run_sweep(tasks, store)
    assert [results[task].record["total"] for task in tasks] == [0, 1, 0, 1]
    assert executions(log) == {"quick0": 1, "quick1": 1, "slow0": 2, "slow1": 1}


# ----------------------------------------------------------------------------------------------------- other schedulers


@contextmanager
def dask(*arguments):
    pytest.importorskip("distributed")
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.parametrize("three", [local_workers], ids=["processes"], indirect=True)
def test_a_running_scheduler_is_used_and_its_end_is_told(log, store, workers, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "open_workers", open_workers)
    file = tmp_path / "scheduler.json"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    options = ClusterOptions(scheduler=address, caches=tmp_path / "caches")
    with dask(
        "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard", "--scheduler-file", file
    ) as process:
        until(file.exists, "scheduler")
        with pytest.raises(InvalidInput, match="has no workers; start some with: dask worker"):
            run_sweep(diamond(log), store, cluster=options)
        with dask("worker", address, "--nthreads", 2, "--no-dashboard", "--local-directory", tmp_path):
            until_it_has_workers(address)
            with pytest.raises(InvalidInput, match=r"no worker can be used; worker .* it has 2 threads"):
                run_sweep(diamond(log), store, cluster=options)
        until_it_has_workers(address, 0)
        with dask("worker", address, "--nthreads", 1, "--no-dashboard", "--local-directory", tmp_path):
            until_it_has_workers(address)
            one = run_sweep(diamond(log), store, cluster=options)
            # ... and one worker gives what three give.
            monkeypatch.undo()
            with monkeypatch.context() as patched:
                patched.setattr(sweep, "open_workers", lambda *_, **__: shared(workers))
                three = run_sweep(diamond(log), ResultStore(tmp_path / "three"))
            for task in diamond(log):
                assert one[task].record == three[task].record
                assert np.array_equal(one[task].arrays["noise"], three[task].arrays["noise"])

            # This scheduler would try again by itself.
            monkeypatch.setattr(cluster, "GRACE", 0.5)
            victim = make(log, "victim", 7, function="die_once")
            assert run_sweep([victim], store, cluster=options, report=killer_of(log))[victim].record["total"] == 7
            assert executions(log)["victim"] == 2

            waiting = make(log, "waiting", function="wait_for_go")

            def kill(progress):
                if executions(log)["waiting"]:
                    process.kill()

            with pytest.raises(InvalidInput, match="the scheduler is gone; what is finished is kept"):
                run_sweep([waiting], store, cluster=options, report=kill)
            (log / "go").touch()


@contextmanager
def shared(workers):
    yield workers


def until_it_has_workers(address, number=1):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        until(lambda: len(client.scheduler_info()["workers"]) == number, f"{number} workers")


@contextmanager
def silent_server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def closed_port():
    with silent_server() as address:
        pass
    yield address


@contextmanager
def unknown_host():
    yield "tcp://no.such.host.invalid:8786"


@pytest.mark.parametrize("server", [silent_server, closed_port, unknown_host])
def test_a_scheduler_that_does_not_answer(log, store, monkeypatch, server):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "CONNECT_TIMEOUT", 1.0)
    start = time.monotonic()
    with (
        server() as address,
        pytest.raises(InvalidInput, match=r"no scheduler answers at .*; start one with: dask scheduler$") as caught,
    ):
        run_sweep(diamond(log), store, cluster=ClusterOptions(scheduler=address))
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 20


STAND_IN = """#!/bin/sh
# Runs a job here, as SLURM would elsewhere.
{change}
stat -c %a "{folder}"/.dask-jobqueue.worker.key.* >>"{folder}/modes"
cp "$1" "{folder}/script"
setsid sh "{folder}/script" >/dev/null 2>&1 &
echo $! >>"{folder}/jobs"
echo "Submitted batch job $!"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Return a function that puts a stand-in of SLURM in place, which may change its jobs."""
    needs("dask_jobqueue")
    pytest.importorskip("cryptography")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(HERE))

    def install(change=""):
        submit, cancel = STAND_IN.format(folder=tmp_path, change=change), '#!/bin/sh\nkill -- "-$1"\n'
        for name, text in (("sbatch", submit), ("scancel", cancel)):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        return {"memory": "1GB", "scheduler_options": {"host": "127.0.0.1"}, "shared_temp_directory": str(tmp_path)}

    yield install
    for pid in (tmp_path / "jobs").read_text().split() if (tmp_path / "jobs").exists() else ():
        with suppress(ProcessLookupError):
            os.killpg(int(pid), signal.SIGKILL)


def test_slurm_jobs_are_reached_by_tls_with_a_key_of_the_user(log, store, tmp_path, slurm):
    options = ClusterOptions(slurm=slurm(), dashboard=None, caches=tmp_path / "caches")
    results = run_sweep(diamond(log), store, cluster=options)
    assert [result.record["total"] for result in results.values()] == [1, 11, 101, 113]
    assert " tls://127.0.0.1:" in (tmp_path / "script").read_text()
    assert set((tmp_path / "modes").read_text().split()) == {"600"}
    assert not list(tmp_path.glob(".dask-jobqueue.*"))


def test_nobody_without_the_key_reaches_a_scheduler_that_was_started_here():
    distributed = pytest.importorskip("distributed")
    needs("dask_jobqueue")
    pytest.importorskip("cryptography")
    with cluster._slurm({"memory": "1GB", "scheduler_options": {"host": "127.0.0.1"}}) as made:
        for address in (made.scheduler_address.replace("tls", "tcp"), made.scheduler_address):
            with pytest.raises((OSError, TypeError)):
                distributed.Client(address, timeout="2s", set_as_default=False)
        with distributed.Client(made, set_as_default=False) as client:
            assert client.status == "running"


def test_slurm_workers_that_do_not_fit_get_no_task(log, store, slurm):
    arguments = slurm(change='sed -i "s/--nthreads 1/--nthreads 3/" "$1"')
    with pytest.raises(InvalidInput, match=r"^no worker can be used; worker .* is refused: it has 3 threads") as caught:
        run_sweep(diamond(log), store, cluster=ClusterOptions(slurm=arguments, dashboard=None))
    assert "\n" not in str(caught.value)
    assert not executions(log)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory": None}, "arguments of the SLURM cluster do not fit: You must specify how much cores and memory"),
        ({"memory": "lots"}, "do not fit"),
        ({"coores": 4}, "SLURM has no argument 'coores'; did you mean 'cores'?"),
        ({"zzzzz": 4}, "SLURM has no argument 'zzzzz'; known are account, "),
        ({"cores": 4, "processes": 2}, "SLURM workers would have 2 threads"),
        ({"cores": 2, "processes": 4}, "SLURM workers would have 0 threads"),
        ({"worker_extra_args": ["--nthreads", "4"]}, "SLURM workers would have 1 or 4 threads"),
        ({"cores": "4"}, "cores of SLURM must be a whole number of at least 1, got '4'"),
        ({"processes": 0}, "processes of SLURM must be a whole number"),
        ({"job_script_prologue": "module load gcc"}, "write ['module load gcc']"),
        ({"job_extra_directives": "--exclusive"}, "job_extra_directives of SLURM must be a list of lines"),
        ({"env_extra": [1]}, "env_extra of SLURM must be a list of lines"),
        ({"worker_extra_args": {"a": 1}}, "worker_extra_args of SLURM must be a list of lines"),
        ({"scheduler_options": []}, "scheduler_options of SLURM must be a table"),
        ({"scheduler_options": {"protocol": "tcp"}}, "scheduler_options of SLURM cannot set 'protocol'"),
        (
            {"security": None, "protocol": "tcp"},
            "leave 'protocol' out of the arguments of SLURM: workers are reached by",
        ),
        ({"n_workers": 2}, "leave 'n_workers' out"),
        ({"walltime": "soon"}, "walltime of SLURM must be minutes, hh:mm:ss or days-hh:mm:ss, got 'soon'"),
        ({"config_name": "mars"}, "jobqueue.yaml has no section 'mars'"),
    ],
)
def test_slurm_arguments_that_cannot_be(log, store, tmp_path, slurm, arguments, message):
    slurm()
    options = ClusterOptions(slurm={"memory": "1GB", **arguments}, dashboard=None)
    with pytest.raises(InvalidInput) as caught:
        run_sweep([make(log, "a")], store, cluster=options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "script").exists()


@pytest.mark.parametrize(
    ("arguments", "site"),
    [
        ({"job_script_prologue": ["module load gcc", "ulimit -c 0"]}, {}),
        ({"env_extra": ["module load gcc"], "job_script_prologue": ["ulimit -c 0"]}, {}),
        ({"env_extra": ["module load gcc", "ulimit -c 0"]}, {}),
        ({}, {"job-script-prologue": ["module load gcc", "ulimit -c 0"]}),
        ({}, {"env-extra": ["module load gcc", "ulimit -c 0"]}),
        ({"job_script_prologue": ["ulimit -c 0"]}, {"env-extra": ["module load gcc"]}),
    ],
)
@pytest.mark.filterwarnings("ignore:env_extra has been renamed")
def test_what_user_and_site_want_is_in_the_job_script(arguments, site):
    dask = pytest.importorskip("dask")
    needs("dask_jobqueue")
    pytest.importorskip("cryptography")
    more = {"job-extra-directives": ["--exclusive"], "queue": "long", "cores": 3, "scheduler-options": {"port": 0}}
    with (
        dask.config.set({f"jobqueue.slurm.{name}": value for name, value in {**site, **more}.items()}),
        cluster._slurm({"memory": "6GB", **arguments}) as made,
    ):
        lines = made.job_script().splitlines()
    for line in ("module load gcc", "ulimit -c 0", "#SBATCH --exclusive", "#SBATCH -p long"):
        assert line in lines
    # A worker for each core, of one thread each whatever a module sets.
    assert "--nthreads 1 --memory-limit 1.86GiB --nworkers 3" in lines[-1]
    assert lines.index("ulimit -c 0") < lines.index("export OMP_NUM_THREADS='1'") < len(lines) - 1


def test_slurm_needs_its_command(log, store, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InvalidInput, match=r"^sbatch is not found"):
        run_sweep([make(log, "a")], store, cluster=ClusterOptions(slurm={"memory": "1GB"}))


def test_workers_of_another_version_are_refused(workers, monkeypatch):
    if not isinstance(workers, DaskWorkers):
        pytest.skip("processes of this machine run what started them")
    monkeypatch.setattr(sources, "_version", lambda name: "9.9")
    message = (
        r"^no worker can be used; worker tcp.* it has other code than this process \(.*lnpbrian .* instead of 9\.9"
    )
    newer = DaskWorkers(workers._client, ClusterOptions(workers=3))
    with pytest.raises(InvalidInput, match=message):
        until(newer.idle, "a worker")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers must be a whole number of at least 1, got 0"),
        ({"scheduler": "127.0.0.1"}, "scheduler must be an address such as tcp://host:8786, got '127.0.0.1'"),
        ({"scheduler": "nonsense://x:1"}, "scheduler must be an address"),
        ({"scheduler": "tcp://x:port"}, "scheduler must be an address"),
        ({"scheduler": "tcp://a:1", "workers": 2}, "leave out either scheduler or workers"),
        ({"scheduler": "tcp://a:1", "slurm": {}}, "leave out either scheduler or slurm"),
        ({"slurm": {}, "memory_limit": "1GiB"}, "give slurm="),
        ({"memory_limit": "lots"}, "memory_limit must be a size such as 8GiB, got 'lots'"),
        ({"memory_limit": "0 MB"}, "memory_limit must be a size"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(InvalidInput, match=message):
        ClusterOptions(**options)


@pytest.mark.parametrize(
    ("text", "size"), [("8GiB", 8 << 30), ("1.5 kb", 1500), ("2M", 2_000_000), ("512", 512), ("1 TiB", 1 << 40)]
)
def test_sizes(text, size):
    assert cluster._bytes(text) == size


# -------------------------------------------------------------------------------------------- processes of this machine


def listening(pid):
    """Return the addresses at which a process listens."""
    inodes = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    rows = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()
    ]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]


def greedy(options, *needs, report):
    note(options)
    hoard = np.ones(2**27)  # 1 GiB
    time.sleep(PATIENCE)
    return Result({"total": int(hoard.size)})


def listens(options, *needs, report):
    return Result({"addresses": {pid: listening(pid) for pid in (os.getpid(), os.getppid())}})


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks processes up in /proc")
def test_no_port_is_opened_and_no_dask_is_loaded(log, store):
    with socket.create_server(("127.0.0.1", 0)):
        assert listening(os.getpid())  # the look itself works
    before = set(listening(os.getpid()))
    task = make(log, "listens", function="listens")
    record = run_sweep([task], store, cluster=ClusterOptions(workers=1))[task].record
    assert len(record["addresses"]) == 2
    assert not {address for found in record["addresses"].values() for address in found} - before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks processes up in /proc")
def test_a_process_beyond_its_memory_is_ended(log, store):
    with pytest.raises(InvalidInput, match="probably for lack of memory"):
        run_sweep(
            [make(log, "greedy", function="greedy")], store, cluster=ClusterOptions(workers=1, memory_limit="600MB")
        )
    assert executions(log) == {"greedy": cluster.DEATHS}


@pytest.mark.parametrize(
    ("module", "said"),
    [("beside", "7"), ("__main__", "InvalidInput: the worker processes do not start; a script needs the guard")],
)
def test_only_a_script_of_whose_functions_are_tasks_needs_a_guard(tmp_path, module, said):
    function = "def f(options, report):\n    return Result({'x': 7})\n"
    (tmp_path / "beside.py").write_text(f"from lnpbrian.sweep import Result\n{function}")
    script = tmp_path / "script.py"
    script.write_text(
        "from lnpbrian.sweep import *\n"
        "from lnpbrian.sweep.cluster import ClusterOptions\n"
        f"{function}"
        f"task, store = Task('a', '{module}:f', {{}}), ResultStore({str(tmp_path / 'store')!r})\n"
        "print(run_sweep([task], store, cluster=ClusterOptions(1))[task].record['x'])\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=PATIENCE)
    assert said in done.stdout + done.stderr


def test_what_needs_dask_says_so(log, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    for options in (NOWHERE, ClusterOptions(slurm={})):
        with pytest.raises(
            InvalidInput, match=r"^other machines are reached through Dask; pip install 'lnpbrian\[sweep"
        ):
            run_sweep([make(log, "a")], store, cluster=options)


if __name__ == "__main__":
    # Functions are found by the name of this file as a module.
    import test_sweep

    test_sweep.script(*sys.argv[1:])
