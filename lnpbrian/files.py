"""Files that are either the old one or the whole new one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import re
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["LOCK", "is_link", "read_arrays", "read_bytes", "read_json", "remove_leftovers", "replacing", "visible"]

LOCK = ".lnpbrian.lock"
# Processes of other machines may write to the same folder: a process is known by both.
_HERE = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(r"\..*\.lnpbrian-(?P<machine>[0-9a-f]{8})-(?P<process>[1-9][0-9]*)(\.[^.]*)?", re.DOTALL)
# Deflate shrinks zeros to a thousandth. Networks hold random numbers beside constants: whatever unpacks to more than a
# gibibyte and a hundred times its size is made to fill the memory.
_UNPACKED, _RATIO = 2**30, 100
# What NumPy writes for numbers and text (NEP 1), and no other Python expression.
_HEADER = re.compile(
    rb"\{'descr': '(?P<type>[<>|][biufcSU][0-9]{1,9})', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>|[0-9]{1,18},|[0-9]{1,18}(, [0-9]{1,18})+)\), \} *\n"
)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`, and rename it to `path` when the block ends without an error.

    The temporary name says which process wrote it, so that `remove_leftovers` finds what killed ones left.

    Raises
    ------
    OSError
        If the folder cannot be written to, which names `path`; nothing is left behind.

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
    except OSError as error:
        # Nobody has asked for the temporary file.
        if error.filename == os.fspath(temporary) or error.filename == temporary:
            error.filename, error.filename2 = os.fspath(target), None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _check_regular(path: str | os.PathLike[str]) -> None:
    mode = os.stat(os.fspath(path)).st_mode
    # Opening a folder fails by itself.
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError("not a regular file")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return what is in a file; pipes and devices, of which a read may never end, are refused.

    Raises
    ------
    OSError
        If it cannot be read, or is no regular file.
    ValueError
        If no file can have this name.

    Examples
    --------
    >>> read_bytes(os.devnull)
    Traceback (most recent call last):
    OSError: not a regular file
    """
    _check_regular(path)
    return Path(path).read_bytes()


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    OSError
        As `read_bytes`.
    ValueError
        If it is not JSON in UTF-8, or nested too deeply.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "run.json")
    ...     _ = path.write_text('{"seed": 1}')
    ...     read_json(path)
    {'seed': 1}
    """
    try:
        return json.loads(read_bytes(path).decode())
    except UnicodeDecodeError as error:  # which holds the whole file, and shows it
        raise ValueError(f"no UTF-8 from byte {error.start} on") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file of numbers and text, as `numpy.savez` writes it.

    Sizes are compared with the file before anything is unpacked, and checksums afterwards. Nothing is evaluated.

    Raises
    ------
    OSError
        As `read_bytes`.
    ValueError
        If the file is damaged, was made to fill the memory, or holds something else.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder, "two.npz"), a=[1, 2], b="text")
    ...     read_arrays(Path(folder, "two.npz"))
    {'a': array([1, 2]), 'b': array('text', dtype='<U4')}
    """
    _check_regular(path)
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            if unpacked > max(_UNPACKED, _RATIO * os.path.getsize(path)):
                raise ValueError(f"it would unpack to {unpacked} bytes")
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name == member.filename or name in arrays:
                    raise ValueError(f"{member.filename!r} is not one array of one name")
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{name!r} is compressed in a way that NumPy does not write")
                with archive.open(member) as stored:
                    # The checksum is compared at the end.
                    arrays[name] = _array(name, stored.read(member.file_size))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(str(error)) from error
    except MemoryError:
        raise ValueError("it needs more memory than there is") from None
    return arrays


def _array(name: str, raw: bytes) -> np.ndarray:
    start = 10 + int.from_bytes(raw[8:10], "little")
    header = _HEADER.fullmatch(raw[10:start])
    if raw[:8] != b"\x93NUMPY\x01\x00" or header is None:
        raise ValueError(f"{name!r} is no array of numbers or text")
    shape = tuple(int(size) for size in header["shape"].split(b",") if size)
    try:
        dtype = np.dtype(header["type"].decode())
        if math.prod(shape) * dtype.itemsize != len(raw) - start:
            raise ValueError("other sizes are declared")
        values = np.frombuffer(raw, dtype, offset=start).copy()
        if dtype.kind == "b" and (values.view(np.uint8) > 1).any():
            raise ValueError("neither true nor false")
        # Python has no text of other code points.
        if dtype.kind == "U" and (values.view(dtype.byteorder + "u4") > sys.maxunicode).any():
            raise ValueError("not text")
        return values.reshape(shape, order="F" if header["fortran"] == b"True" else "C")
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name!r} is damaged ({error})") from None


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
