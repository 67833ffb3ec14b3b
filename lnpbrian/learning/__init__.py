"""Tasks, input, readout and training of networks, pruned or not.

JAX is loaded when `train_bp` is called, Matplotlib when its sample of stock prices is.
"""

from lnpbrian.learning.benchmarks import BENCHMARKS, evaluate_benchmarks, uncoupled_control
from lnpbrian.learning.bptt import BPOptions, train_bp
from lnpbrian.learning.encoding import CurrentEncoder, PoissonEncoder
from lnpbrian.learning.forecasting import forecast
from lnpbrian.learning.readout import ReadoutOptions
from lnpbrian.learning.series import Series, lorenz63, mackey_glass
from lnpbrian.learning.series_files import read_series
from lnpbrian.learning.stdp import train_stdp
from lnpbrian.learning.tasks import ForecastTask, forecast_task
from lnpbrian.learning.vision.classification import Classification, ClassifyOptions, classify
from lnpbrian.learning.vision.image_input import ImageInput, patch_filters, pixel_channels, spike_counts
from lnpbrian.learning.vision.images import ImageTask, image_task
from lnpbrian.learning.without_network import autoregression, next_generation_reservoir

__all__ = [
    "BENCHMARKS",
    "BPOptions",
    "Classification",
    "ClassifyOptions",
    "CurrentEncoder",
    "ForecastTask",
    "ImageInput",
    "ImageTask",
    "PoissonEncoder",
    "ReadoutOptions",
    "Series",
    "autoregression",
    "classify",
    "evaluate_benchmarks",
    "forecast",
    "forecast_task",
    "image_task",
    "lorenz63",
    "mackey_glass",
    "next_generation_reservoir",
    "patch_filters",
    "pixel_channels",
    "read_series",
    "spike_counts",
    "train_bp",
    "train_stdp",
    "uncoupled_control",
]
