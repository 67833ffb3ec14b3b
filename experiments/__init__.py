"""The paper's tables and figures, one module each, run by ``lnpbrian sweep NAME``."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

__all__ = ["EXPERIMENTS", "SIZES", "experiment", "summary"]

SIZES = ("smoke", "medium", "paper")
EXPERIMENTS = (
    *("kept", "table2", "controls", "table6", "fig3", "fig9", "ablation", "ablation_sparser", "forecast_controls"),
    *("evenness", "structured", "paper_scale", "images_kept", "table1", "table8", "table9"),
    *(
        "own_networks",
        "stdp_drift",
        "study_rescale",
        "covariance_accuracy",
        "fig_spectra",
        "twin_perturbation",
        "twins_and_tangents",
    ),
)


def experiment(name: str) -> Any:
    """Return the module of an experiment; `lnpbrian.experiments.sweeps.Experiment` says what it offers."""
    return importlib.import_module(f"{__name__}.{name}")


def summary(name: str) -> str:
    """Return what an experiment shows, the first line of its module, which is not imported for that.

    >>> summary("fig9")
    'Figure 9 of the paper: Lorenz-63 forecasts by networks whose input is noisy.'
    """
    text = ast.get_docstring(ast.parse(Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")))
    return (text or "").splitlines()[0]
