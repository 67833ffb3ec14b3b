"""Recurrent spiking networks, ready to run: `HRSNN`, `CHRSNN`, and the homogeneous control `MRSNN`."""

from lnpbrian.models.chrsnn import CHRSNN
from lnpbrian.models.drawing import LIFParameters, gamma_time_constants
from lnpbrian.models.hrsnn import HRSNN, MRSNN
from lnpbrian.models.small import uncoupled

__all__ = ["CHRSNN", "HRSNN", "MRSNN", "LIFParameters", "gamma_time_constants", "uncoupled"]
