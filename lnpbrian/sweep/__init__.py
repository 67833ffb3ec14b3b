"""Many tasks in processes or on a cluster, whose results are kept by what they are results of."""

from lnpbrian.sweep.cluster import ClusterOptions
from lnpbrian.sweep.tasks import STALE, Result, ResultStore, Stamps, SweepProgress, Task, run_sweep

__all__ = ["STALE", "ClusterOptions", "Result", "ResultStore", "Stamps", "SweepProgress", "Task", "run_sweep"]
