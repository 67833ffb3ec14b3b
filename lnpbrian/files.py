"""Files that are either the old one or the whole new one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["LOCK", "is_link", "remove_leftovers", "replacing", "visible"]

LOCK = ".lnpbrian.lock"
# Processes of other machines may write to the same folder: a process is known by both.
_HERE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(r"\..*\.lnpbrian-(?P<machine>[0-9a-f]{8})-(?P<process>[1-9][0-9]*)(\.[^.]*)?", re.DOTALL)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`, and rename it to `path` when the block ends without an error.

    The temporary name says which process wrote it, so that `remove_leftovers` finds what killed ones left.

    Raises
    ------
    OSError
        If the folder cannot be written to; nothing is left behind.

    Notes
    -----
    Renaming within a folder is atomic on POSIX systems (IEEE Std 1003.1, rename): readers see the old file or the new.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "result.txt")
    ...     with replacing(path) as temporary:
    ...         _ = temporary.write_text("whole")
    ...         before = path.exists()
    ...     print(before, path.read_text())
    False whole
    """
    target = Path(path)
    # The suffix is kept: np.savez and Matplotlib choose the format by it.
    temporary = target.with_name(f".{target.stem}.lnpbrian-{_HERE}-{os.getpid()}{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | os.PathLike[str], *, all_processes: bool = False) -> None:
    """Remove the temporary files of `replacing` that killed processes of this machine left in `folder`.

    Parameters
    ----------
    folder : path-like
        Folders in it are not looked at, links are left alone.
    all_processes : bool
        Whether those of living processes and other machines go as well; for who holds the lock of a folder that nobody
        writes to without it.

    Notes
    -----
    Windows does not say without harm whether a process lives: there each counts as alive.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "result.txt")) as mine:
    ...         mine.touch()
    ...         remove_leftovers(folder)  # this process lives
    ...         first = mine.exists()
    ...         remove_leftovers(folder, all_processes=True)
    ...         second = mine.exists()
    ...         mine.touch()
    ...     print(first, second)
    True False
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            if found is None or not entry.is_file(follow_symlinks=False):
                continue
            if all_processes or (found["machine"] == _HERE and not _is_alive(int(found["process"]))):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def is_link(path: Path) -> bool:
    """Return whether `path` is a symbolic link or, on Windows, a junction.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     is_link(Path(folder))
    False
    """
    return path.is_symlink() or path.is_junction()


def visible(folder: Path) -> list[str]:
    """Return the sorted names of what is in `folder`, without locks and temporary files of this package.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("run.json", LOCK):
    ...         Path(folder, name).touch()
    ...     visible(Path(folder))
    ['run.json']
    """
    return sorted(path.name for path in folder.iterdir() if path.name != LOCK and not _TEMPORARY.fullmatch(path.name))
