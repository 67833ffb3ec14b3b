"""What this process does with Ctrl-C (SIGINT), with garbage, and with its output.

Ctrl-C arrives once, is not lost, and cuts nothing that has to be whole.

Python raises ``KeyboardInterrupt`` between any two steps of the main thread: also in a ``finally`` that puts things
back, and in destructors, which swallow it. Other threads never meet it, and for them nothing here does anything.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Held", "Watched", "collect_all", "frozen_garbage", "standard_streams"]


class _Handler:
    """A context in which SIGINT comes here first, in the main thread and unless it is ignored."""

    def __init__(self) -> None:
        self.active = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.getsignal(signal.SIGINT)
            if callable(self._previous):
                self.active = True
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.active:
            # Whoever else has taken the signal meanwhile keeps it.
            if signal.getsignal(signal.SIGINT) == self._handle:
                signal.signal(signal.SIGINT, self._previous)
            self.active = False
        self._leave(error)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        raise NotImplementedError

    def _leave(self, error: BaseException | None) -> None:
        raise NotImplementedError


class Held(_Handler):
    """Ctrl-C waits until the block is over: for short pieces of work that must be done as a whole.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block, if Ctrl-C was pressed in it (or what the handler of before does instead).

    Examples
    --------
    >>> done = []
    >>> try:
    ...     with Held():
    ...         signal.raise_signal(signal.SIGINT)
    ...         done.append("the rest")
    ... except KeyboardInterrupt:
    ...     done.append("interrupted")
    >>> done
    ['the rest', 'interrupted']
    """

    def __init__(self) -> None:
        super().__init__()
        self._frame: FrameType | None = None
        self._pressed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._pressed, self._frame = True, frame

    def _leave(self, error: BaseException | None) -> None:
        if self._pressed:
            self._previous(signal.SIGINT, self._frame)


class Watched(_Handler):
    """Ctrl-C stops the block once, surely: what puts things back afterwards is not cut by a second one.

    Attributes
    ----------
    pressed : bool
        Whether Ctrl-C was pressed in the block.
    raised : bool
        Whether that has raised an error. From then on Ctrl-C does nothing until the block is over.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block, if it was raised before where errors are swallowed, as in a destructor.

    Examples
    --------
    Without Ctrl-C nothing happens:

    >>> with Watched() as watch:
    ...     watch.check()
    >>> watch.pressed, watch.raised
    (False, False)
    """

    def __init__(self) -> None:
        super().__init__()
        self.pressed = self.raised = False

    def deliver(self) -> None:
        """Raise KeyboardInterrupt, also for those who watch from further out."""
        if self.active:
            self._handle(signal.SIGINT, None)
        self.raised = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if it has been raised where it was swallowed."""
        if self.raised:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True
        if self.raised:
            return
        try:
            self._previous(number, frame)
        except BaseException:
            self.raised = True
            raise

    def _leave(self, error: BaseException | None) -> None:
        if error is None:
            self.check()


# Who has frozen more objects than this has done so on purpose: Python freezes some hundreds when it starts.
FROZEN_ON_PURPOSE = 10_000


@contextmanager
def frozen_garbage() -> Iterator[None]:
    """Keep the garbage collection before every run of Brian2 away from what exists already: half of a short run.

    It does nothing where garbage collection is off or objects are frozen already, so that blocks may be nested. What
    becomes garbage in the block, and was there before it, is collected after it.

    Examples
    --------
    >>> gc.collect() >= 0
    True
    >>> with frozen_garbage():
    ...     gc.get_freeze_count() > FROZEN_ON_PURPOSE
    True
    """
    if not gc.isenabled() or gc.get_freeze_count() > FROZEN_ON_PURPOSE:
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def collect_all() -> None:
    """Collect garbage, frozen or not.

    Examples
    --------
    >>> import weakref
    >>> class Node:
    ...     pass
    >>> node = Node()
    >>> node.itself, seen = node, weakref.ref(node)
    >>> del node
    >>> collect_all()
    >>> seen() is None
    True
    """
    frozen = gc.get_freeze_count() > FROZEN_ON_PURPOSE
    gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()


@contextmanager
def standard_streams() -> Iterator[None]:
    """Put standard output and error back at the end.

    Brian2 redirects them while it compiles, and two threads that compile at once would leave them redirected.

    Examples
    --------
    >>> with standard_streams():
    ...     print("still seen")
    still seen
    """
    kept = [(stream, os.dup(stream)) for stream in (1, 2) if _is_open(stream)]
    try:
        yield
    finally:
        for stream, copy in kept:
            os.dup2(copy, stream)
            os.close(copy)


def _is_open(stream: int) -> bool:
    try:
        os.fstat(stream)
    except OSError:
        return False
    return True
