"""A small process that runs the jobs of another one and cleans up after it, whichever way that one ends.

Started as a script, with the folder to remove at the end, if any. It reads one job per line from its input, as JSON,
and answers each with its exit status and seconds; the line "cancel" ends the job that runs, if one does, and is
answered after it. When its input ends, because the other process closed it or died, it ends the job, removes the
folder, and ends. Only the standard library is used.
"""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any


def _read_lines(events: "queue.Queue[tuple[str, str]]") -> None:
    for line in sys.stdin:
        events.put(("line", line))
    events.put(("end", ""))


def _start(job: dict[str, Any]) -> subprocess.Popen:
    with open(job["log"], "wb") as log:
        return subprocess.Popen(
            job["command"],
            cwd=job["cwd"],
            env={**os.environ, **job["env"]},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _kill(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answer(**content: Any) -> None:
    # The other side may be gone.
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(content), flush=True)


def _run(job: dict[str, Any], events: "queue.Queue[tuple[str, str]]") -> bool:
    """Run one job and answer; return whether there may be another one."""
    start = time.perf_counter()
    try:
        process = _start(job)
    except OSError as error:
        _answer(status=127, seconds=0.0, error=str(error))
        return True
    threading.Thread(target=lambda: events.put(("done", str(process.wait()))), daemon=True).start()
    kind, _ = events.get()
    if kind != "done":
        _kill(process)
        while events.get()[0] != "done":
            pass
    _answer(status=process.returncode, seconds=time.perf_counter() - start, error="")
    if kind == "line":
        _answer(cancelled=True)
    return kind != "end"


def main(directory: str) -> None:
    """Serve until the input ends, then remove `directory`."""
    events: queue.Queue[tuple[str, str]] = queue.Queue()
    threading.Thread(target=_read_lines, args=(events,), daemon=True).start()
    try:
        going = True
        while going:
            kind, line = events.get()
            if kind == "line" and line.strip() == "cancel":
                _answer(cancelled=True)  # too late to find its job
                going = True
            else:
                going = kind == "line" and _run(json.loads(line), events)
    finally:
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
    # Without waiting for the thread that reads.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
