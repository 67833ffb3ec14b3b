"""Folders that one process at a time writes to, and in which nothing of others is replaced."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Self

from lnpbrian import checks
from lnpbrian.checks import InvalidInput
from lnpbrian.files import LOCK, is_link, remove_leftovers

__all__ = ["FolderLock", "lock_folder", "refuse_foreign"]

_LOCK_TEXT = "lnpbrian writes to this folder: process "

# Folders that this process has locked, by the process (forked ones inherit the set, but not the locks) and identity.
_locked: set[tuple[int, int, int]] = set()
_guard = threading.Lock()


class FolderLock(os.PathLike[str]):
    """A folder that no other process, and no other call in this one, may lock at the same time; see `lock_folder`.

    It stands for the path of the folder in calls that lock what they are given. Use it in a ``with`` block, or call
    `release`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lock = lock_folder("--out", folder)
    ...     during = Path(lock, LOCK).exists()
    ...     lock.release()
    ...     print(during, Path(folder, LOCK).exists())
    True False
    """

    def __init__(self, folder: Path, key: tuple[int, int, int] | None, file: IO[bytes] | None) -> None:
        self.folder = folder
        self._key = key
        self._file = file

    def __fspath__(self) -> str:
        return os.fspath(self.folder)

    def __repr__(self) -> str:
        return f"FolderLock({os.fspath(self.folder)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others have the folder; what is released twice is released."""
        key, file = self._key, self._file
        self._key = self._file = None
        try:
            # A process that was forked in the meantime has a copy of this object, but not the lock.
            if file is not None and (key is None or key[0] == os.getpid()):
                _remove_and_close(self.folder / LOCK, file)
        finally:
            if key is not None:
                with _guard:
                    _locked.discard(key)


def lock_folder(name: str, path: str | os.PathLike[str]) -> FolderLock:
    """Lock a folder, which is made if it does not exist, and remove what killed processes left half written in it.

    Parameters
    ----------
    name : str
        What messages call it, such as ``"--out"``.
    path : path-like
        The folder. A `FolderLock` is that of the caller: what comes back does not release it.

    Returns
    -------
    FolderLock

    Raises
    ------
    InvalidInput
        If another process, or another call in this one, has locked it; if it cannot be written to; if it holds a file
        of the name of the lock that is not one.

    Notes
    -----
    The lock is one of the operating system on the file ``.lnpbrian.lock`` (a record lock of POSIX, IEEE Std 1003.1;
    `msvcrt.locking` on Windows), which ends with the process, whichever way that ends; the file by itself means
    nothing, and is removed with the lock. On network file systems it holds between machines if the server keeps locks
    (NFS 4, or NFS 3 with lockd); where a file system refuses to lock at all, processes are not kept apart, only calls
    within one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as path, lock_folder("--out", path):
    ...     lock_folder("--out", path)
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: --out ... is in use by another run (process ...); wait for its end, or choose ...
    """
    if isinstance(path, FolderLock):
        return FolderLock(path.folder, None, None)
    folder = checks.writable_directory(name, path)
    identity = folder.stat()
    key = (os.getpid(), identity.st_dev, identity.st_ino)
    with _guard:
        # Not even opened then: closing a file ends all record locks of the process on it.
        if key in _locked:
            raise InvalidInput(_in_use(name, folder, str(os.getpid())))
        _locked.add(key)
    try:
        file = _open_locked(name, folder)
    except BaseException:
        with _guard:
            _locked.discard(key)
        raise
    remove_leftovers(folder)
    return FolderLock(folder, key, file)


def _in_use(name: str, folder: Path, process: str) -> str:
    return (
        f"{name} {os.fspath(folder)!r} is in use by another run (process {process}); "
        "wait for its end, or choose another folder"
    )


def _open_locked(name: str, folder: Path) -> IO[bytes]:
    path = folder / LOCK
    while True:
        try:
            if is_link(path):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            file = os.fdopen(os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666), "r+b", buffering=0)
        except OSError as error:
            raise InvalidInput(f"{os.fspath(path)!r} is no lock of lnpbrian ({error.strerror}); remove it") from error
        try:
            text = file.read(200).decode(errors="replace")
            if text and not text.startswith(_LOCK_TEXT):
                raise InvalidInput(f"{os.fspath(path)!r} is no lock of lnpbrian; move it away")
            if not _try_lock(file):
                raise InvalidInput(_in_use(name, folder, text.removeprefix(_LOCK_TEXT).strip() or "unknown"))
            # Whoever had the lock may have removed the file between our opening and our locking it.
            if _is_at(file, path):
                file.truncate(0)
                file.seek(0)
                file.write(f"{_LOCK_TEXT}{os.getpid()}\n".encode())
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        # Windows keeps others from reading what is locked: a byte far behind the text.
        file.seek(1 << 30)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _remove_and_close(path: Path, file: IO[bytes]) -> None:
        # An open file cannot be removed; one that another process has opened by now stays.
        file.close()
        with contextlib.suppress(OSError):
            path.unlink()
else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        # Not flock, whose locks forked children keep.
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in (errno.EACCES, errno.EAGAIN)
        return True

    def _remove_and_close(path: Path, file: IO[bytes]) -> None:
        with contextlib.suppress(OSError):
            if _is_at(file, path):
                path.unlink()
        file.close()


def refuse_foreign(folder: Path, names: Iterable[str], *, accounted: bool, evidence: str) -> None:
    """Refuse to replace files that nothing shows to be of an earlier run.

    Parameters
    ----------
    folder : Path
        Where they would be written.
    names : iterable of str
        The files.
    accounted : bool
        Whether an earlier run wrote to this folder.
    evidence : str
        Name of the file that would show that.

    Raises
    ------
    InvalidInput
        Naming the first file that is there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "history.csv").touch()
    ...     refuse_foreign(Path(folder), ["history.csv"], accounted=False, evidence="run.json")
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: ... holds a history.csv that may be yours (no run.json of lnpbrian is beside it); ...
    """
    found = [name for name in names if os.path.lexists(folder / name)]
    if found and not accounted:
        raise InvalidInput(
            f"{os.fspath(folder)!r} holds {checks.with_article(found[0])} that may be yours (no {evidence} of lnpbrian "
            "is beside it); "
            "choose another --out"
        )
