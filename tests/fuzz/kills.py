"""Kill runs of `lnpbrian prune` and sweeps, let them go on, and compare what they end with to undisturbed ones.

Not a part of the suite: ``python tests/fuzz/kills.py --count 100`` kills 100 runs with SIGINT and 100 with SIGKILL,
each up to three times: at random moments of a forked and of a fresh process, inside simulations, at files, in garbage
collections, and in sweeps, in turn. It prints what came of them, and fails if an end differs, if a process ends with 0
that has not finished, or with anything but what a kill gives.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import brian2
import numpy as np
from brian2.codegen.codeobject import CodeObject

from lnpbrian import cli
from lnpbrian.sweep import Result, ResultStore, Task, run_sweep
from lnpbrian.sweep.cluster import ClusterOptions

COMMAND = [
    *("prune", "--neurons", "60", "--connection-probability", "0.2", "--iterations", "3", "--windows", "1"),
    *("--sample-time", "2", "--synapse-sparsity", "0.9", "--neuron-sparsity", "0.2", "--jobs", "1", "--seed", "4"),
    *("--steps", "I,II,III", "--new-edges", "0.1"),
]
PLACES = ("random", "fresh", "simulation", "file", "garbage", "sweep")
SIGNALS = {"SIGINT": signal.SIGINT, "SIGKILL": signal.SIGKILL}
PATIENCE = 300
# What a run took, and an iteration, which is the last of a row.
TIMES_ON_PAGES = re.compile(r"<dt>took</dt><dd>[^<]*</dd>|<td[^>]*>\d+\.\d</td>(?=\s*</tr>)")

# ---------------------------------------------------------------------------------------------- what is done and killed


def prune(folder: Path) -> None:
    cli.main([*COMMAND, "--out", str(folder)])


def work(options, *needs, report):
    rng = np.random.default_rng([options["k"], *(need.record["k"] for need in needs)])
    time.sleep(0.05)
    return Result({"k": options["k"] + 1}, {"noise": rng.standard_normal(1000)})


def sweep(folder: Path) -> None:
    tasks: list[Task] = []
    for k in range(8):
        tasks.append(Task(str(k), "kills:work", {"k": k}, tuple(tasks[-1:])))
    try:
        run_sweep(tasks, ResultStore(folder), cluster=ClusterOptions(workers=1))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


# ----------------------------------------------------------------------------------------------------- where it strikes


class Counted:
    """Call `then` at the n-th time that something of a kind happens."""

    def __init__(self, place: str, n: int, then: Callable[[], None]) -> None:
        self.seen, self.n, self.then = 0, n, then
        if place == "simulation":
            self.wrap(CodeObject, "__call__")
        if place == "file":
            # Within a file, before and after it gets its name, and where one is removed.
            self.wrap(zipfile._ZipWriteFile, "write")  # type: ignore[attr-defined]
            self.wrap(os, "replace")
            self.wrap(Path, "write_text")
            self.wrap(Path, "unlink")
        if place == "garbage":
            gc.callbacks.append(lambda phase, info: self.happens())

    def wrap(self, owner, name: str) -> None:
        inner = getattr(owner, name)

        def outer(*arguments, **keywords):
            self.happens()
            answer = inner(*arguments, **keywords)
            self.happens()
            return answer

        setattr(owner, name, outer)

    def happens(self) -> None:
        self.seen += 1
        if self.seen == self.n:
            self.then()


def fresh(folder: Path) -> None:
    """Become a process that has nothing imported yet."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    start = "import brian2; brian2.prefs.codegen.target = 'numpy'; from lnpbrian.cli import main; main()"
    os.execv(sys.executable, [sys.executable, "-c", start, *COMMAND, "--out", str(folder)])


JOBS = dict.fromkeys(PLACES, prune) | {"fresh": fresh, "sweep": sweep}


def child(job, folder: Path, place: str, n: int, sent: int | None, counts: Path | None) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What tests, terminals and loggers want to say is of no interest.
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    counted = Counted(place, n, lambda: os.kill(os.getpid(), sent) if sent else None)
    code: object = 0
    try:
        job(folder)
    except SystemExit as end:
        code = end.code or 0
    except KeyboardInterrupt:
        code = 131  # what Python would end with, after a traceback
    if counts is not None:
        counts.write_text(str(counted.seen))
    os._exit(code if isinstance(code, int) else 1)


def start(job, folder: Path, place: str = "", n: int = 0, sent: int | None = None, counts: Path | None = None):
    # A forked process has everything imported already.
    process = multiprocessing.get_context("fork").Process(target=child, args=(job, folder, place, n, sent, counts))
    process.start()
    return process


def end(process) -> int:
    process.join(PATIENCE)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return -1000
    return process.exitcode


# --------------------------------------------------------------------------------------------------------- what is left


def without_times(content):
    if isinstance(content, dict):
        return {k: without_times(v) for k, v in content.items() if k != "seconds"}
    return [without_times(v) for v in content] if isinstance(content, list) else content


def left(folder: Path) -> dict[str, object]:
    """Return every file, byte for byte but for the seconds that something took."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder))
            if path.suffix == ".json":
                found[name] = without_times(json.loads(path.read_text()))
            elif path.suffix == ".html":
                found[name] = TIMES_ON_PAGES.sub("", path.read_text(encoding="utf-8"))
            else:
                found[name] = path.read_bytes()
    return found


class Campaign:
    """Undisturbed runs, and what became of those that were killed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, np.random.default_rng(seed)
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        self.bad = 0
        self.known: dict[str, SimpleNamespace] = {}

    def complain(self, what: str) -> None:
        self.bad += 1
        print(what, flush=True)

    def undisturbed(self, place: str) -> SimpleNamespace:
        """Return what a run ends with, how long it takes, and how often it is at a place."""
        if place not in self.known:
            job = JOBS[place]
            begun = time.perf_counter()
            whole, counts = self.folder / f"whole-{place}", self.folder / f"counts-{place}"
            code = end(start(job, whole, place, 0, None, counts))
            if code:
                raise SystemExit(f"an undisturbed run ended with {code}")
            seconds, seen = time.perf_counter() - begun, int(counts.read_text()) if counts.exists() else 0
            self.known[place] = SimpleNamespace(job=job, seconds=seconds, seen=seen, files=left(whole))
        return self.known[place]

    def kill(self, place: str, name: str, trial: int) -> None:
        """Kill one run up to three times, and see where it ends."""
        whole = self.undisturbed(place)
        folder = self.folder / f"{place}-{name}-{trial}"
        what = f"{name} {place} {trial}"
        for _ in range(self.rng.integers(1, 4)):
            if place in ("random", "fresh", "sweep"):
                process = start(whole.job, folder)
                delay = float(self.rng.uniform(0, whole.seconds))
                what += f", after {delay:.3f} s"
                strike = time.perf_counter() + delay
                # Not join: it waits for the end of a process that has become another one.
                while process.exitcode is None and time.perf_counter() < strike:
                    time.sleep(0.002)
                if process.exitcode is None:
                    if SIGNALS[name] == signal.SIGINT and place == "sweep":
                        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
                    else:
                        os.kill(process.pid, SIGNALS[name])
            else:
                n = int(self.rng.integers(1, whole.seen + 1))
                what += f", at {n} of {whole.seen}"
                process = start(whole.job, folder, place, n, SIGNALS[name])
            code = end(process)
            finished = code == 0
            if finished:
                break
            # Python ends itself by the signal where nobody catches it yet: while it imports.
            expected = [-signal.SIGKILL] if name == "SIGKILL" else [130, *[-signal.SIGINT] * (place == "fresh")]
            self.outcomes[name, place, "killed" if code in expected else f"ended with {code}"] += 1
            if code not in expected:
                self.complain(f"{what}: ended with {code}")
        if finished and left(folder) != whole.files:
            self.complain(f"{what}: ended with 0, and is not the same")
        code = end(start(whole.job, folder))
        same = code == 0 and left(folder) == whole.files
        self.outcomes[name, place, "went on to the same end" if same else "DIFFERENT END"] += 1
        if not same:
            files = left(folder)
            differ = sorted(key for key in {*files, *whole.files} if files.get(key) != whole.files.get(key))
            self.complain(f"{what}: ended with {code} and other {differ}; kept in {folder}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="runs for each signal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--places", nargs="+", choices=PLACES, default=PLACES)
    options = parser.parse_args()
    brian2.prefs.codegen.target = "numpy"
    brian2.prefs.logging.console_log_level = "ERROR"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    campaign = Campaign(Path(tempfile.mkdtemp(prefix="kills-")), options.seed)
    for trial in range(options.count):
        for name in SIGNALS:
            campaign.kill(options.places[trial % len(options.places)], name, trial)
        if trial % 10 == 9:
            print(f"{trial + 1} of {options.count}", flush=True)
    for (name, place, outcome), number in sorted(campaign.outcomes.items()):
        print(f"{name:8} {place:12} {outcome:30} {number:4}")
    sys.exit(1 if campaign.bad else 0)


if __name__ == "__main__":
    main()
