"""Many tasks in processes or on a cluster, whose results are kept by what they are results of."""

from lnpbrian.sweep.tasks import STALE, Result, ResultStore, Stamps, SweepProgress, Task, run_sweep

__all__ = ["STALE", "Result", "ResultStore", "Stamps", "SweepProgress", "Task", "run_sweep"]
