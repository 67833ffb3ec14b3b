"""The paper's tables and figures, and studies beside them, one module each, run by ``lnpbrian sweep NAME``."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

__all__ = ["EXPERIMENTS", "PAPER", "SIZES", "STUDIES", "experiment", "summary"]

SIZES = ("smoke", "medium", "paper")

# What the paper shows too, and what it does not.
PAPER = (
    *("table1", "table2", "table5", "table6", "table8", "table8_resnet19", "table9"),
    *("fig3", "fig8", "fig9", "fig10", "fig11", "fig12", "fig13", "fig_spectra"),
    "ablation",
)
STUDIES = (
    *("kept", "evenness", "structured", "controls", "forecast_controls", "images_kept", "own_networks", "stdp_drift"),
    *("study_rescale", "covariance_accuracy", "twin_perturbation", "twins_and_tangents"),
    *("paper_scale", "heterogeneity", "resnet_edges"),
)
EXPERIMENTS = (*PAPER, *STUDIES)


def experiment(name: str) -> Any:
    """Return the module of an experiment; `lnpbrian.experiments.sweeps.Experiment` says what it offers."""
    return importlib.import_module(f"{__name__}.{_room(name)}.{name}")


def summary(name: str) -> str:
    """Return what an experiment shows, the first line of its module, which is not imported for that.

    >>> summary("fig9")
    'Figure 9 of the paper: Lorenz-63 forecasts by networks whose input is noisy.'
    """
    path = Path(__file__).with_name(_room(name)) / f"{name}.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return (text or "").splitlines()[0]


def _room(name: str) -> str:
    return "paper" if name in PAPER else "studies"
