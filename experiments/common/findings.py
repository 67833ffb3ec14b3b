"""What the paper says of a table or figure, its number beside ours, and a verdict, from the JSON of an experiment.

A number is judged by one rule: it is held if ours is at least as good, or worse by no more than two of both errors
together. What was measured on something else than in the paper is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lnpbrian.experiments.common.reported import IMAGE_LOSS, INPUT_NOISE, PREDICTION
from lnpbrian.experiments.common.statistics import claimed

__all__ = [
    "HELD",
    "NOT_HELD",
    "UNTESTED",
    "Finding",
    "beside",
    "claimed_in",
    "of_fig3",
    "of_table1",
    "of_table2",
    "of_table5",
    "of_table6",
    "of_table7",
    "of_table8",
    "of_table9",
]

HELD, NOT_HELD, UNTESTED = "held", "not held", "untested"
Pair = tuple[float, float]


@dataclass(frozen=True)
class Finding:
    """A line of a report.

    Attributes
    ----------
    what : str
        What the paper says, or what is measured.
    paper, ours : str
        The paper's number and ours, with their errors; empty where there is none.
    verdict : str
        "held", "not held", "held in k of n", or "untested".
    """

    what: str
    paper: str
    ours: str
    verdict: str


def beside(what: str, paper: Pair | None, ours: Pair, *, more: bool, judged: bool = True) -> Finding:
    """Return a number of the paper beside ours, each with its error.

    Parameters
    ----------
    what : str
        What it is.
    paper : tuple of float or None
        The paper's mean and error; None if it is lost.
    ours : tuple of float
        Ours.
    more : bool
        Whether more is better.
    judged : bool, default True
        Whether the two are of the same thing.

    Returns
    -------
    Finding

    Examples
    --------
    Worse by 0.1, of which errors of 0.03 and 0.04 explain 2 * 0.05:

    >>> beside("NRMSE", (0.5, 0.03), (0.6, 0.04), more=False).verdict
    'held'
    >>> beside("NRMSE", (0.5, 0.03), (0.61, 0.04), more=False).verdict
    'not held'
    >>> beside("VPT", None, (40, 1), more=True)
    Finding(what='VPT', paper='', ours='40 ± 1', verdict='untested')
    """
    if paper is None or not judged:
        return Finding(what, "" if paper is None else written(paper), written(ours), UNTESTED)
    worse = (paper[0] - ours[0]) * (1 if more else -1)
    # A comparison of decimal fractions in binary.
    held = worse <= 2 * math.hypot(paper[1], ours[1]) * (1 + 1e-9)
    return Finding(what, written(paper), written(ours), HELD if held else NOT_HELD)


def written(value: Pair) -> str:
    """Return a number with its error, to the second digit of the error.

    >>> written((0.24812, 0.0581)), written((40.4, 4.3)), written((1.0, 0.0))
    ('0.248 ± 0.058', '40.4 ± 4.3', '1')
    """
    if not value[1]:
        return f"{value[0]:.3g}"
    digits = max(0, 1 - math.floor(math.log10(abs(value[1]))))
    if value[1] >= 1 and value[1] == int(value[1]) and value[0] == int(value[0]):
        digits = 0
    return f"{value[0]:.{digits}f} ± {value[1]:.{digits}f}"


def claimed_in(content: Mapping[str, Any]) -> list[Finding]:
    """Return the claims that an experiment has judged itself.

    Examples
    --------
    >>> part = {"found": "0.2 to 0.4", "held": True}
    >>> claimed_in({"claims": [{"claim": "errors grow", "parts": [part], "verdict": "held"}]})[0].ours
    '0.2 to 0.4'
    """
    return [_judged(claim) for claim in content.get("claims", ())]


def parts_of(claim: Mapping[str, Any]) -> str:
    """Return what was found for each part of a claim.

    >>> parts_of({"parts": [{"found": "0.2 to 0.4", "held": True}, {"found": "0.3 to 0.1", "held": False}]})
    '0.2 to 0.4; 0.3 to 0.1 (no)'
    """
    return "; ".join(part["found"] + ("" if part["held"] else " (no)") for part in claim["parts"])


def _judged(claim: Mapping[str, Any], paper: str = "") -> Finding:
    verdict = UNTESTED if claim["verdict"] == "not tested" else claim["verdict"]
    return Finding(claim["claim"], paper, parts_of(claim), verdict)


def ordered(what: str, parts: Sequence[tuple[str, bool]], paper: str = "") -> Finding:
    """Return a finding of several comparisons, each what was found and whether that bears the claim out.

    Examples
    --------
    >>> found = ordered("errors grow", [("0.2 to 0.4", True), ("0.3 to 0.1", False)])
    >>> found.verdict, found.ours
    ('held in 1 of 2', '0.2 to 0.4; 0.3 to 0.1 (no)')
    """
    return _judged(claimed(what, parts), paper)


def _line(table: Iterable[Mapping[str, Any]], **wanted: str) -> Mapping[str, Any]:
    (line,) = (r for r in table if all(r[name] == value for name, value in wanted.items()))
    return line


def _spread(values: Mapping[str, float]) -> Pair:
    return values["mean"], values["sd"]


# ----------------------------------------------------------------------------------------------- by table and by figure


def of_table1(content: Mapping[str, Any]) -> list[Finding]:
    """Accuracy and loss of networks that LNP has pruned, and their operations; judged where the images are the paper's.

    Returns
    -------
    list of Finding

    Notes
    -----
    Table 1 of Chakraborty et al. (2024), arXiv 2403.03409.
    """
    made = []
    for r in content["table"]:
        if r["paper"] is None or r["method"] != "LNP":
            continue
        name = f"{r['images']}, input to {'all' if r['protocol'] == 'all' else 'half'}, {r['model']}, {r['training']}"
        # In the paper every neuron may see the image.
        same = (r["images"], r["protocol"]) == ("cifar10", "all")
        ours = (100 * r["accuracy"], 100 * r["accuracy_standard_error"])
        made.append(beside(f"{name}: accuracy (%)", (r["paper"]["cifar10"], 0.0), ours, more=True, judged=same))
        before = _line(
            content["table"],
            method="unpruned",
            **{key: r[key] for key in ("images", "protocol", "model", "training")},
        )
        loss = 100 * (r["accuracy"] - before["accuracy"])
        error = 100 * math.hypot(r["accuracy_standard_error"], before["accuracy_standard_error"])
        paper = IMAGE_LOSS.get((r["model"], r["training"]))
        made.append(beside(f"{name}: gain by pruning (points)", paper, (loss, error), more=True, judged=same))
        ratio = (r["operation_ratio"], 0.0)
        made.append(beside(f"{name}: times fewer operations", (r["paper"]["operation_ratio"], 0.0), ratio, more=True))
    return made + claimed_in(content)


def of_table2(content: Mapping[str, Any]) -> list[Finding]:
    """Operations, error and valid prediction time of networks that LNP has pruned, all variables seen as in the paper.

    Returns
    -------
    list of Finding

    Notes
    -----
    Table 2 of Chakraborty et al. (2024), arXiv 2403.03409.
    """
    made = []
    for r in content["table"]:
        if r["method"] != "LNP":
            continue
        name, paper = f"LNP {r['model']}, {r['training']}", r["paper"]
        ratio = r["operation_ratio"]
        made.append(
            beside(f"{name}: times fewer operations", (paper["operation_ratio"], 0.0), _spread(ratio), more=True)
        )
        for series, called in (("lorenz63", "Lorenz-63"), ("google", "Google")):
            for error, title in (("nrmse", "NRMSE"), ("vpt", "VPT (steps)")):
                ours = _spread(r[f"{series} {error} of networks"])
                reported = paper[f"{series} {error}"]
                pair = None if reported is None else (reported[0], reported[1])
                made.append(beside(f"{name}: {called}, {title}", pair, ours, more=error == "vpt"))
    return made + claimed_in(content)


def of_table5(content: Mapping[str, Any]) -> list[Finding]:
    """What the sparsity loses when the readout is counted, beside the paper's four numbers, whose heads are lost.

    Returns
    -------
    list of Finding

    Notes
    -----
    The table in appendix A.6 of Chakraborty et al. (2024), arXiv 2403.03409.
    """
    reported = "; ".join(
        f"{model}: " + ", ".join(f"{x:g}" for x in values) for model, values in content["paper"].items()
    )
    return [Finding("relative change of the sparsity", reported, "", UNTESTED), *claimed_in(content)]


def of_table6(content: Mapping[str, Any]) -> list[Finding]:
    """Whether LNP's error is the lowest, as the paper says; its numbers are lost where table 2 has not the same.

    Returns
    -------
    list of Finding

    Notes
    -----
    Table 6 of Chakraborty et al. (2024), arXiv 2403.03409.
    """
    made = []
    for other, called in (("AP", "activity pruning"), ("unpruned", "the unpruned network")):
        for name, less in (("nrmse", True), ("vpt", False)):
            parts = []
            for series in content["series"]:
                for model in ("HRSNN", "CHRSNN"):
                    a, b = (
                        _line(content["table"], method=m, model=model)[f"{series} {name}"]["median"]
                        for m in ("LNP", other)
                    )
                    parts.append((f"{series}, {model}: {a:.3g} against {b:.3g}", a < b if less else a > b))
            title = "a lower error" if less else "a longer valid prediction time"
            made.append(ordered(f"LNP has {title} than {called} (median)", parts))
    for model in ("HRSNN", "CHRSNN"):
        reported = PREDICTION["LNP", model, "STDP"]["lorenz63 nrmse"]
        ours = _line(content["table"], method="LNP", model=model)["lorenz63 nrmse"]
        # Ours over networks and windows: no error of a mean.
        made.append(beside(f"LNP {model}: Lorenz-63, NRMSE (median)", reported, (ours["median"], 0.0), more=False))
    if "wind" not in content["series"]:
        made.append(Finding("LNP has the lowest error on wind", "", "no file of wind was given", UNTESTED))
    return made


def of_table7(content: Mapping[str, Any]) -> list[Finding]:
    """The error by noise of the input beside the paper's, and what the paper says of its order.

    Returns
    -------
    list of Finding

    Notes
    -----
    The table of noise in appendix B.1 of Chakraborty et al. (2024), arXiv 2403.03409.
    """
    table = content["table"]
    made = []
    for (method, model), levels in INPUT_NOISE.items():
        line = _line(table, method=method, model=model)
        for level in (50, 10):
            ours = line["nrmse"][str(level)]["median"]
            made.append(
                beside(f"{method} {model} at {level} dB: NRMSE (median)", levels[level], (ours, 0.0), more=False)
            )
    return made + of_fig9(content)


def of_fig9(content: Mapping[str, Any]) -> list[Finding]:
    """What the paper says of noisy input: errors grow, activity pruning is worst, the unpruned network best.

    Returns
    -------
    list of Finding

    Notes
    -----
    Figure 9 of Chakraborty et al. (2024), arXiv 2403.03409.
    """
    table = content["table"]

    def error(method: str, model: str, level: str) -> float:
        return _line(table, method=method, model=model)["nrmse"][level]["median"]

    grow, worst, best = [], [], []
    for method, model in INPUT_NOISE:
        a, b = (error(method, model, level) for level in ("50", "10"))
        grow.append((f"{method} {model}: {a:.3g} at 50 dB, {b:.3g} at 10 dB", b > a))
    for model in ("HRSNN", "CHRSNN"):
        for level in ("50", "40", "30", "20", "10"):
            found = {method: error(method, model, level) for method in ("unpruned", "AP", "LNP")}
            text = ", ".join(f"{method} {value:.3g}" for method, value in found.items())
            worst.append((f"{model}, {level} dB: {text}", found["AP"] == max(found.values())))
            best.append((f"{model}, {level} dB: {text}", found["unpruned"] == min(found.values())))
    return [
        ordered("errors grow as the signal-to-noise ratio falls", grow),
        ordered("activity pruning has the largest error at every signal-to-noise ratio", worst),
        ordered("the unpruned network has the smallest error", best),
    ]


def of_table8(content: Mapping[str, Any]) -> list[Finding]:
    """Accuracy of ResNets beside the paper's, which is of CIFAR-10, and what the experiment has judged.

    Returns
    -------
    list of Finding

    Notes
    -----
    Table 8 of Chakraborty et al. (2024), arXiv 2403.03409.
    """
    images = content["rows"][0]["images"]
    made = []
    for r in content["table"]:
        if r["paper"]:
            loss, error = (100 * x for x in r["loss"])
            what = f"{images}, {r['layout']}, {r['start']}, {r['way']}: accuracy (%)"
            ours = f"{100 * r['accuracy'][0]:.1f}, loss {loss:+.1f} ± {error:.1f} points"
            made.append(Finding(what, r["paper"], ours, UNTESTED))
    return made + claimed_in(content)


def of_table9(content: Mapping[str, Any]) -> list[Finding]:
    """Accuracy on the target beside the paper's, which is of CIFAR-100, and what the experiment has judged.

    Returns
    -------
    list of Finding

    Notes
    -----
    Table 9 of Chakraborty et al. (2024), arXiv 2403.03409.
    """
    made = [
        Finding(f"{r['images']}, {r['way']}: accuracy (%)", r["paper"], f"{100 * r['accuracy'][0]:.1f}", UNTESTED)
        for r in content["table"]
        if r["paper"]
    ]
    return made + claimed_in(content)


def of_fig3(content: Mapping[str, Any]) -> list[Finding]:
    """Sizes at the end and their spread, and errors and their jumps over the iterations.

    Returns
    -------
    list of Finding

    Notes
    -----
    Figure 3 of Chakraborty et al. (2024), arXiv 2403.03409.
    """
    paths, errors = content["paths"], content["errors"]
    ends = {(m, size): paths[m][size][-1] for m in ("AP", "LNP") for size in ("neurons", "synapses")}
    fewer, wider = [], []
    for size in ("neurons", "synapses"):
        lnp, ap = ends["LNP", size], ends["AP", size]
        fewer.append((f"{size}: {lnp['mean']:.0f} against {ap['mean']:.0f}", lnp["mean"] < ap["mean"]))
        wider.append((f"{size}: {ap['sd']:.3g} against {lnp['sd']:.3g}", ap["sd"] > lnp["sd"]))

    def medians(method: str) -> np.ndarray:
        return np.array([point["nrmse"]["median"] for point in errors[method]])

    def width(method: str) -> float:
        return float(np.mean([p["nrmse"]["quartile_3"] - p["nrmse"]["quartile_1"] for p in errors[method][1:]]))

    def jumps(method: str) -> float:
        return float(np.abs(np.diff(medians(method))).mean())

    last = {method: float(medians(method)[-1]) for method in errors}
    first = float(medians("LNP")[0])
    random, lnp_width = width("random"), width("LNP")
    return [
        ordered("LNP ends with fewer neurons and synapses than activity pruning", fewer),
        ordered("sizes vary more under activity pruning (standard deviation over networks)", wider),
        ordered(
            "LNP loses less than activity pruning (median NRMSE at the end)",
            [(f"{last['LNP']:.3g} against {last['AP']:.3g}, unpruned {first:.3g}", last["LNP"] < last["AP"])],
        ),
        ordered(
            "random networks of LNP's size vary more (mean width between quartiles)",
            [(f"{random:.3g} against {lnp_width:.3g}", random > lnp_width)],
        ),
        ordered(
            "random networks jump more from stop to stop (mean change of the median)",
            [(f"{jumps('random'):.3g} against {jumps('LNP'):.3g}", jumps("random") > jumps("LNP"))],
        ),
        ordered(
            "random networks get worse as they get smaller (median NRMSE at the end over that at the first stop)",
            [
                (
                    f"{medians('random')[1]:.3g} to {last['random']:.3g}",
                    bool(last["random"] > medians("random")[1]),
                )
            ],
        ),
    ]
