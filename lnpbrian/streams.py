"""Named random streams: one seed, any number of independent generators that do not depend on the order of use."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from lnpbrian import checks

__all__ = ["Streams"]


@dataclass(frozen=True)
class Streams:
    """A tree of named random streams grown from one seed.

    Parameters
    ----------
    seed : int
        At least 0.
    path : tuple of str
        Names from the root to this node; users start at the root.

    Notes
    -----
    The generator of a name is seeded by ``SeedSequence(seed, spawn_key=(crc32(name), ...))``: drawing more from one
    stream, or adding a new stream, leaves every other stream as it was. Streams of different keys are independent for
    all practical purposes (O'Neill 2015, "Developing a seed_seq alternative", from which NumPy's SeedSequence is made).

    Examples
    --------
    >>> root = Streams(7)
    >>> bool(root.rng("weights").random() == Streams(7).rng("weights").random())
    True
    >>> bool(root.rng("weights").random() == root.rng("noise").random())
    False
    """

    seed: int
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", checks.count("seed", self.seed, minimum=0, at_most=None))

    def child(self, name: str | int) -> Streams:
        """Return the subtree called `name`.

        Examples
        --------
        >>> Streams(7).child("window").child(3)
        Streams(seed=7, path=('window', '3'))
        """
        return Streams(self.seed, (*self.path, str(name)))

    def rng(self, name: str | int) -> np.random.Generator:
        """Return a fresh generator at the start of the stream called `name`."""
        key = tuple(zlib.crc32(part.encode()) for part in (*self.path, str(name)))
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
