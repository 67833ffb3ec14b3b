"""Lyapunov noise pruning of recurrent spiking networks in Brian2."""

from lnpbrian._version import __version__

__all__ = ["__version__"]
