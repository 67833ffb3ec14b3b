"""What tables and figures share: tasks and their results, statistics, and plots.

Here is what most experiments need; what only some do is in the modules.
"""

from lnpbrian.experiments.common.plan import LORENZ, MODELS, SEEN, Plan, Report
from lnpbrian.experiments.common.plotting import COLORS, bars, finish, median_bar, median_line, plain_log_axis, ranking
from lnpbrian.experiments.common.statistics import (
    all_rows,
    claimed,
    lead,
    mean_and_error,
    mean_of,
    means,
    plus_minus,
    ratios,
    unlike,
    where,
)
from lnpbrian.streams import Streams
from lnpbrian.sweep import Result, Task

__all__ = [
    "COLORS",
    "LORENZ",
    "MODELS",
    "SEEN",
    "Plan",
    "Report",
    "Result",
    "Streams",
    "Task",
    "all_rows",
    "bars",
    "claimed",
    "finish",
    "lead",
    "mean_and_error",
    "mean_of",
    "means",
    "median_bar",
    "median_line",
    "plain_log_axis",
    "plus_minus",
    "ranking",
    "ratios",
    "unlike",
    "where",
]
