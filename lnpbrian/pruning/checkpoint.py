"""Checkpoints of a pruning run: written whole or not at all, and only taken up by the run that wrote them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lnpbrian import checks, files
from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.network.spec import NetworkSpec

__all__ = ["Checkpoint", "CheckpointFolder", "fingerprint", "mark_folder", "marked", "remove_marked"]

LATEST = "checkpoint.npz"
MARKER = "lnpbrian_checkpoint.txt"
_MARKER_TEXT = """\
lnpbrian keeps the checkpoints of an unfinished run here.
At the end of the run it removes the files that it wrote, and the folder if nothing else is in it.
"""
# The network of the last stable iteration, while the latest is unstable.
STABLE = "stable.npz"


def fingerprint(*parts: Any) -> str:
    """Return a digest of everything that decides a run: dataclasses, arrays, sequences of them, and plain values.

    Parameters
    ----------
    *parts
        Anything else counts by its ``repr``.

    Returns
    -------
    str
        SHA-256 (FIPS 180-4, 2015) in 64 hexadecimal digits.

    Examples
    --------
    >>> one, other = np.arange(3.0), np.array([0.0, 1.0, 2.5])
    >>> fingerprint(one, "seed", 1) == fingerprint(one.copy(), "seed", 1)
    True
    >>> fingerprint(one, "seed", 1) == fingerprint(other, "seed", 1)
    False
    """
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        elif is_dataclass(value) and not isinstance(value, type):
            digest.update(type(value).__name__.encode())
            for field in fields(value):
                digest.update(field.name.encode())
                add(getattr(value, field.name))
        elif isinstance(value, (tuple, list)):
            digest.update(str(len(value)).encode())
            for item in value:
                add(item)
        else:
            digest.update(repr(value).encode())

    for part in parts:
        add(part)
    return digest.hexdigest()


def marked(folder: Path) -> bool:
    """Return whether `folder` is one of `mark_folder`, and no link to one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     before = marked(Path(folder))
    ...     mark_folder("--out", Path(folder))
    ...     print(before, marked(Path(folder)))
    False True
    """
    try:
        return not files.is_link(folder) and (folder / MARKER).read_text() == _MARKER_TEXT
    except (OSError, ValueError):
        return False


def mark_folder(name: str, folder: Path) -> None:
    """Make a folder for checkpoints that `remove_marked` may remove.

    Parameters
    ----------
    name : str
        What messages call its parent, such as ``"--out"``.
    folder : Path
        New, empty, or marked before.

    Raises
    ------
    InvalidInput
        If it is a link or a file, holds anything and no marker, or cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "thesis.tex").touch()
    ...     mark_folder("--out", Path(folder))
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: ... holds other files than checkpoints; move it, or choose another --out
    """
    where = f"{os.fspath(folder)!r}"
    if files.is_link(folder):
        raise InvalidInput(f"{where} is a link; remove it, or choose another {name}")
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{where} is a file, where checkpoints are kept; move it, or choose another {name}")
    checks.writable_directory(name, folder)
    if marked(folder):
        return
    if files.visible(folder):
        raise InvalidInput(f"{where} holds other files than checkpoints; move it, or choose another {name}")
    with files.replacing(folder / MARKER) as temporary:
        temporary.write_text(_MARKER_TEXT)


def remove_marked(folder: Path, names: Iterable[str]) -> None:
    """Remove files from a marked folder, and the folder itself if it holds nothing else.

    Parameters
    ----------
    folder : Path
        Nothing is done if it is not marked, or a link.
    names : iterable of str
        Files that were written there; what else there is stays.

    Examples
    --------
    A file that was not written by the run stays, and the folder with it:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     folder = Path(parent, "checkpoints")
    ...     mark_folder("--out", folder)
    ...     for name in (LATEST, "thesis.tex"):
    ...         (folder / name).touch()
    ...     remove_marked(folder, [LATEST])
    ...     kept = files.visible(folder)
    >>> kept
    ['lnpbrian_checkpoint.txt', 'thesis.tex']
    """
    if not marked(folder):
        return
    files.remove_leftovers(folder, all_processes=True)
    # Another process may hold the lock: a file of that name by itself is nothing.
    for name in (*names, files.LOCK):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    if [path.name for path in folder.iterdir()] == [MARKER]:
        (folder / MARKER).unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()


@dataclass(frozen=True)
class Checkpoint:
    """A run at the end of an iteration.

    Attributes
    ----------
    spec : NetworkSpec
        The network as it is then.
    state : dict
        The rest of the run as JSON types.

    Examples
    --------
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> Checkpoint(uncoupled([10, 20] * ms), {"iteration": 3})
    Checkpoint(spec=NetworkSpec(uncoupled, 2 neurons (0 silent), 0 synapses), state={'iteration': 3})
    """

    spec: NetworkSpec
    state: dict[str, Any]


class CheckpointFolder:
    """A folder with the files of one run, each written whole or not at all.

    Parameters
    ----------
    path : path-like
        Made if it does not exist.
    run : str
        `fingerprint` of the run; files of another one are refused.

    Raises
    ------
    InvalidInput
        If the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> from brian2 import ms
    >>> from lnpbrian.models import uncoupled
    >>> with tempfile.TemporaryDirectory() as path:
    ...     folder = CheckpointFolder(path, fingerprint("options", "seed"))
    ...     folder.save(Checkpoint(uncoupled([10, 20] * ms), {"iteration": 3}))
    ...     print(folder.load().state)
    ...     CheckpointFolder(path, fingerprint("other options", "seed")).load()
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: ... belongs to another network, other options or another seed; ...
    """

    def __init__(self, path: str | os.PathLike[str], run: str) -> None:
        self.path = checks.writable_directory("checkpoint", path)
        self.run = run

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the latest checkpoint; the one before stays until the new one is complete.

        Raises
        ------
        OSError
            If the new one cannot be written, on a full disk for example. The one before is still there.
        """
        checkpoint.spec.save(self.path / LATEST, compress=False, note=self._note(checkpoint.state))

    def load(self) -> Checkpoint | None:
        """Return the latest checkpoint, None if there is none yet.

        Raises
        ------
        InvalidInput
            If it is damaged, or of another network, other options, another seed or another version.
        """
        path = self.path / LATEST
        if not path.exists():
            return None
        spec, note = NetworkSpec.load_with_note(path)
        return Checkpoint(spec, self._state(path, note))

    def save_stable(self, iteration: int, spec: NetworkSpec) -> None:
        """Keep the network of an iteration that the run may go back to; raises as `save`."""
        spec.save(self.path / STABLE, compress=False, note=self._note({"iteration": iteration}))

    def load_stable(self, iteration: int) -> NetworkSpec:
        """Return the network of that iteration; raises as `load`, and if it is not there."""
        path = self.path / STABLE
        spec, note = NetworkSpec.load_with_note(path)
        if self._state(path, note).get("iteration") != iteration:
            raise InvalidInput(
                f"{os.fspath(path)!r} is not the network of iteration {iteration}; delete the folder to start anew"
            )
        return spec

    def save_arrays(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Keep arrays under a name."""
        with files.replacing(self.path / f"{name}.npz") as temporary:
            np.savez(temporary, allow_pickle=False, note=self._note({}), **arrays)

    def load_arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays kept under a name, None if there are none; raises as `load`."""
        path = self.path / f"{name}.npz"
        if not path.exists():
            return None
        try:
            content = files.read_arrays(path)
            self._state(path, str(content.pop("note")))
        except (OSError, ValueError, KeyError) as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(f"{os.fspath(path)!r} is damaged ({error}); delete it") from error
        return content

    def _note(self, state: Mapping[str, Any]) -> str:
        return json.dumps({"run": self.run, "version": __version__, "state": state})

    def _state(self, path: Path, note: str) -> dict[str, Any]:
        try:
            content = json.loads(note)
            run, version, state = content["run"], content["version"], content["state"]
            if not isinstance(state, dict):
                raise TypeError("the state is no object")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidInput(f"{os.fspath(path)!r} is no checkpoint ({error}); choose another folder") from error
        if version != __version__:
            raise InvalidInput(
                f"{os.fspath(path)!r} was written by lnpbrian {version}, this is {__version__}; "
                "finish the run with that version, or start anew in another folder"
            )
        if run != self.run:
            raise InvalidInput(
                f"{os.fspath(path)!r} belongs to another network, other options or another seed; "
                "choose another folder, or delete it to start anew"
            )
        return state
