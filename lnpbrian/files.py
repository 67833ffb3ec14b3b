"""Files that are either the old one or the whole new one, never half of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`, and rename it to `path` when the block ends without an error.

    Raises
    ------
    OSError
        If the folder cannot be written to; nothing is left behind.
    """
    target = Path(path)
    # The suffix is kept: np.savez and Matplotlib choose the format by it.
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
