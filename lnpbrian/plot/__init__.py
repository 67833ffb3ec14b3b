"""Plots of what runs and measurements leave, each drawn on one Matplotlib axes that is given or made, and returned.

``plot.history(result, ax)`` draws on your axes. Without `ax` the axes is on a figure of its own, which a notebook shows
by ``plot.history(result).figure`` and `save` writes as PNG, SVG or PDF; pyplot is not used. What does not fit on an
axes is counted below it. The figures of a run are these plots side by side (`lnpbrian.figures`).
"""

from lnpbrian.plot.drawing import Picture, panels, save
from lnpbrian.plot.networks import degrees, eigenvectors, raster, time_constants
from lnpbrian.plot.runs import history
from lnpbrian.plot.stability import convergence, exponents, spectrum
from lnpbrian.plot.tasks import confusion, forecast, image, windows

__all__ = [
    "Picture",
    "confusion",
    "convergence",
    "degrees",
    "eigenvectors",
    "exponents",
    "forecast",
    "history",
    "image",
    "panels",
    "raster",
    "save",
    "spectrum",
    "time_constants",
    "windows",
]
