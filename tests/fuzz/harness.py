"""What the fuzzers share: a limit of time, and what came of one attempt."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lnpbrian import InvalidInput

LIMIT_S = 5.0
LONGEST_LINE = 2100


class TooLong(BaseException):
    """An attempt has not ended in time; no handler of errors is to catch it."""


@contextmanager
def alarm() -> Iterator[None]:
    """Let `attempt` be ended by SIGALRM."""

    def stop(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)


def attempt(action: Callable[[], Any]) -> tuple[str, Any]:
    """Return "done" and what an action returned, "refused" and the line, or what is wrong with it and why."""
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        returned = action()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except InvalidInput as error:
        one_line = len(str(error).splitlines()) == 1 and len(str(error)) <= LONGEST_LINE
        return ("refused" if one_line else "not one line"), str(error)
    except TooLong:
        return "not ended", ""
    except BaseException as error:  # that is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        return (
            "traceback",
            f"{type(error).__name__}: {str(error)[:150]!r} at {Path(where.filename).name}:{where.lineno}",
        )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "done", returned
