"""What tables and figures share: tasks and their results, statistics, and plots.

Here is what most experiments need; what only some do is in the modules.
"""

from lnpbrian.experiments.common.plan import LORENZ, MODELS, SEEN, Plan, Report
from lnpbrian.experiments.common.plotting import COLORS, finish, plain_log_axis
from lnpbrian.experiments.common.statistics import (
    Rows,
    all_rows,
    claimed,
    lead,
    mean_and_error,
    mean_of,
    means,
    median_and_quartiles,
    over_windows,
    plus_minus,
    ratios,
    spread,
    unlike,
    where,
    windows,
)
from lnpbrian.sweep import Result, Task

__all__ = [
    "COLORS",
    "LORENZ",
    "MODELS",
    "SEEN",
    "Plan",
    "Report",
    "Result",
    "Rows",
    "Task",
    "all_rows",
    "claimed",
    "finish",
    "lead",
    "mean_and_error",
    "mean_of",
    "means",
    "median_and_quartiles",
    "over_windows",
    "plain_log_axis",
    "plus_minus",
    "ratios",
    "spread",
    "unlike",
    "where",
    "windows",
]
