"""Parts of a piece of work in processes of their own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from lnpbrian.parallel import run_parts

SCRIPT = """
import os, sys, time
from lnpbrian.parallel import run_parts
def work(k, folder, *, report):
    open(os.path.join(folder, f"{k}.pid"), "w").write(str(os.getpid()))
    time.sleep(60)
if __name__ == "__main__":
    run_parts(work, [(0, sys.argv[1]), (1, sys.argv[1])], jobs=2)
"""


DEAF = """
from lnpbrian.parallel import Pool
if __name__ == "__main__":
    with Pool(2, prepare=list) as pool:
        for worker in pool._workers:
            print(open(f"/proc/{worker.process.pid}/status").read().split("SigBlk:")[1].split()[0])
"""


def double(x, *, report):
    report(0.5)
    report(1.0)
    return 2 * x


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_are_in_order_and_progress_adds_up(jobs):
    seen = []
    assert run_parts(double, [(1,), (2,), (3,)], jobs=jobs, report=seen.append) == [2, 4, 6]
    assert seen == sorted(seen)
    # Messages of the last moments may be lost with the processes.
    assert all(0 < fraction <= 1 + 1e-12 for fraction in seen)


def alive(pid):
    # A process that ended but was not waited for is still there as a zombie.
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks processes up in /proc")
def test_a_killed_parent_takes_its_processes_along(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, script, tmp_path])
    deadline = time.monotonic() + 60
    while len(pids := [p.read_text() for p in tmp_path.glob("*.pid")]) < 2 or not all(pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks processes up in /proc")
def test_processes_are_born_deaf_to_ctrl_c(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(DEAF)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    masks = [int(line, 16) for line in done.stdout.split()]
    assert len(masks) == 2
    assert all(mask >> signal.SIGINT - 1 & 1 for mask in masks)
