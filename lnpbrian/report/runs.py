"""Pages of the runs of ``lnpbrian prune``, ``resnet`` and ``spectrum``, made of what lies in their folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lnpbrian.checks import InvalidInput
from lnpbrian.jobs import NETWORK, RECORD
from lnpbrian.lyapunov.stability import SPECTRUM
from lnpbrian.network.graph import graph_statistics
from lnpbrian.network.spec import NetworkSpec
from lnpbrian.records import read_json
from lnpbrian.report.before_after import (
    as_ratio,
    classifies_images,
    resnet_table,
    resnet_verdict,
    run_verdict,
    state_table,
)
from lnpbrian.report.commands import option_tables, run_command, usual_runs
from lnpbrian.report.page import (
    REPORT,
    Page,
    Table,
    cited,
    embedded_figures,
    provenance,
    refuse_foreign_report,
    with_error,
    write_page,
)
from lnpbrian.report.spectra import spectrum_page
from lnpbrian.resnets import ResNetJob

__all__ = ["run_page", "write_report"]


def write_report(folder: str | os.PathLike[str]) -> Page:
    """Write ``report.html`` of the finished run in `folder`, from its files alone.

    Parameters
    ----------
    folder : path-like
        With the ``run.json`` of ``lnpbrian prune`` or ``lnpbrian resnet``, or the ``spectrum.json`` of ``lnpbrian
        spectrum``. Of figures or a network that are not there
        the page says so.

    Returns
    -------
    Page
        What it says.

    Raises
    ------
    InvalidInput
        If there is no such run, its record is damaged, or there is a ``report.html`` that is not of this package.
    """
    directory = Path(folder)
    page = run_page(directory)
    refuse_foreign_report(directory)
    write_page(page, directory / REPORT)
    return page


def run_page(folder: Path) -> Page:
    """Return what the page of a finished run says; see `write_report`."""
    path = next((folder / name for name in (RECORD, SPECTRUM) if (folder / name).exists()), None)
    if path is None:
        raise InvalidInput(f"{os.fspath(folder)!r} holds no finished run (no {RECORD}, no {SPECTRUM})")
    try:
        content = read_json(path)
        if "lnpbrian" not in content["versions"]:
            raise KeyError("lnpbrian")
        if path.name == SPECTRUM:
            return spectrum_page(folder, content)
        return _resnet_page(folder, content) if "resnet" in content else _prune_page(folder, content)
    except InvalidInput:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise InvalidInput(f"{os.fspath(path)!r} is no whole record of a run ({error!r})") from error


def _prune_page(folder: Path, content: Mapping[str, Any]) -> Page:
    options, after = content["options"], content["after"]
    task, before = options["task"], content["before"]
    # Matplotlib is slow to load.
    from lnpbrian import figures

    drawn, missing = embedded_figures(folder, figures.IMAGE_FIGURES if classifies_images(content) else figures.FIGURES)
    graphs, no_network = _graph_table(folder, content)
    command, why_not = run_command(content)
    removed = [f"{100 * content['ratios'][f'{kind}_sparsity']:.1f} %" for kind in ("synapse", "neuron")]
    ratio = as_ratio(before, after, "synaptic_operations")
    last = content["history"][-1]["iteration"]
    left = content.get("iteration", last)
    ended = content.get("status", "")
    warnings = [
        *([ended] if ended and not ended.startswith("all") else []),
        *([] if left == last else [f"the network is that of iteration {left} of {last}: it was rolled back"]),
        *([content["warning"]] if content.get("warning") else []),
        *missing,
        *no_network,
        *why_not,
    ]
    return Page(
        title=f"{options['model']} of {options['neurons']} neurons, pruned: {task['name']}",
        about=_about_images(task) if classifies_images(content) else _about_series(task),
        verdict=run_verdict(content),
        key_numbers=(
            *([(f"{float(ratio):.3g} times", "fewer synaptic operations")] if ratio and float(ratio) >= 1 else []),
            (removed[0], f"of the synapses removed, {after['synapses']} left"),
            (removed[1], f"of the neurons removed, {after['neurons']} left"),
        ),
        warnings=tuple(warnings),
        results=(replace(_spoken(state_table(content)), title="Before and after", note=_note(content)),),
        figures=drawn,
        more=(_history_table(content), *graphs),
        options=option_tables(options.get("command"), usual_runs()[()]),
        provenance=(
            *provenance(content, content["seed"]),
            *([("data", "; ".join(task["notes"]))] if task.get("notes") else []),
        ),
        command=command,
        citation=cited(content),
    )


def _spoken(table: Table) -> Table:
    return replace(table, head=["", *table.head[1:4], "without synapses"])


def _note(content: Mapping[str, Any]) -> str:
    said = "± is one standard error. Ratio: before over after. "
    if classifies_images(content):
        return said + "Energy is an estimate from operations, not a measurement."
    return said + (
        "NRMSE: root mean square error over the standard deviation of the series, at 1 as large as that of its mean; "
        f"VPT: steps until this error exceeds 0.1; {_steps(content['options']['task'])}"
    )


def _steps(task: Mapping[str, Any]) -> str:
    known = task.get("lyapunov_time_steps")
    return f"a Lyapunov time of the series is {known:.1f} steps." if known else "the series has no known Lyapunov time."


def _about_series(task: Mapping[str, Any]) -> str:
    return (
        f"Forecast of {task['name']} in closed loop: {task['windows']} windows of {task['horizon']} steps, each after "
        f"{task['train']} steps that train the readout and {task['warm_up']} of warm-up. The network was pruned "
        "without a look at the series."
    )


def _about_images(task: Mapping[str, Any]) -> str:
    return (
        f"Classification of {task['name']}: {task['train_images']} images train the readout, {task['test_images']} "
        f"test it, {len(task['classes'])} classes. The network was pruned without a look at the images."
    )


def _history_table(content: Mapping[str, Any]) -> Table:
    rows = []
    for r in content["history"]:
        exponent = r["largest_exponent_per_s"], r["largest_exponent_standard_error_per_s"]
        radius = r.get("spectral_radius")
        rows.append(
            [
                str(r["iteration"]),
                str(r["neurons"]),
                str(r["synapses"]),
                f"{r['mean_rate_hz']:.1f}",
                with_error(*exponent, "{:.1f}"),
                "" if radius is None else f"{radius:.2f}",
                "yes" if r["stable"] else "no",
                f"{sum(r.get('seconds', {}).values()):.1f}",
            ]
        )
    head = [
        *("iteration", "neurons", "synapses", "mean rate (Hz)", "largest exponent (1/s)", "spectral radius"),
        *("stable", "took (s)"),
    ]
    note = "Iteration 0 is the network as it came; below each other one stands what each step said. Stable: rate and "
    note += "largest exponent are within the bounds of the options. ± is one standard error."
    said = [r["status"] for r in content["history"]]
    return Table(head, rows, title="Iterations", note=note, below=said)


# Name in `graph_statistics`, what it is, and how it is written.
_GRAPH = (
    ("neurons", "neurons", "{:.0f}"),
    ("excitatory_neurons", "of them excitatory", "{:.0f}"),
    ("synapses", "synapses", "{:.0f}"),
    ("density", "density", "{:.4f}"),
    ("in_degree_mean", "in-degree, mean", "{:.2f}"),
    ("in_degree_sd", "in-degree, standard deviation", "{:.2f}"),
    ("in_degree_max", "in-degree, largest", "{:.0f}"),
    ("out_degree_mean", "out-degree, mean", "{:.2f}"),
    ("out_degree_sd", "out-degree, standard deviation", "{:.2f}"),
    ("out_degree_max", "out-degree, largest", "{:.0f}"),
    ("neurons_without_synapse", "neurons without any synapse", "{:.0f}"),
    ("strong_components", "strongly connected components", "{:.0f}"),
    ("largest_strong_component", "neurons of the largest of them", "{:.0f}"),
    ("weak_components", "weakly connected components", "{:.0f}"),
    ("largest_weak_component", "neurons of the largest of them", "{:.0f}"),
    ("reciprocity", "reciprocity", "{:.4f}"),
)


def _graph_table(folder: Path, content: Mapping[str, Any]) -> tuple[list[Table], list[str]]:
    """Return the statistics of the graph before and after, and what is missing for it."""
    kept, missing = content.get("graph", {}), []
    before, after = kept.get("before"), kept.get("after")
    try:
        spec = NetworkSpec.load(folder / NETWORK)
        known = content["after"]["neurons"], content["after"]["synapses"]
        if (spec.n_alive, spec.n_synapses) == known:
            after = graph_statistics(spec)
        else:
            missing.append(
                f"{NETWORK} has {spec.n_alive} neurons and {spec.n_synapses} synapses, and the run left {known[0]} and "
                f"{known[1]}: it is of another run"
            )
    except InvalidInput as error:
        gone = not (folder / NETWORK).exists()
        missing.append(f"{NETWORK} is missing: no network to go on with" if gone else str(error))
    if after is None:
        return [], missing
    states = [state for state in (before, after) if state is not None]
    rows = [[label, *(shown.format(state[key]) for state in states)] for key, label, shown in _GRAPH]
    note = "Of the neurons that are alive. In a random graph the expected reciprocity is the density."
    if before is None:
        note += " The run kept no statistics of the network before pruning."
    head = ["", "before", "after"] if before is not None else ["", "after"]
    return [Table(head, rows, title="The graph", note=note)], missing


def _resnet_page(folder: Path, content: Mapping[str, Any]) -> Page:
    before, after = content["dense"], content["pruned"]
    told = content.get("pruning", {})
    layers = [
        [
            name,
            f"{value:.4g}",
            f"{after['operations_by_connection'][name]:.4g}" if name in after["operations_by_connection"] else "",
        ]
        for name, value in before["operations_by_connection"].items()
    ]
    said = [
        [
            str(one["iteration"]),
            "\n".join(f"{key}: {_words(value)}" for key, value in one.items() if key != "iteration"),
        ]
        for one in told.get("history", [])
    ]
    options = content["resnet"]
    gone = [] if (folder / NETWORK).exists() else [f"{NETWORK} is missing: no network to go on with"]
    command, why_not = run_command(content)
    ratio = as_ratio(before, after, "synaptic_operations")
    return Page(
        title=f"Spiking {options['layout']}, pruned by {options['method']}: {content['task']}",
        about=f"A dense network and a pruned one are trained on the images of {content['task']} and tested on "
        f"{len(before['correct'])} others. Pruning has seen: {told.get('seen', 'not recorded')}.",
        verdict=resnet_verdict(content),
        key_numbers=(
            *(
                [(f"{float(ratio):.3g} times", "fewer synaptic operations an image")]
                if ratio and float(ratio) >= 1
                else []
            ),
            (f"{100 * after['sparsity']['weights']:.1f} %", f"of the weights removed, {after['weights']} left"),
            (f"{100 * after['sparsity']['channels']:.1f} %", "of the channels removed"),
        ),
        warnings=(*gone, *why_not),
        results=(
            replace(resnet_table(content), title="Dense and pruned", note="± is one standard error, over test images."),
        ),
        more=(
            *([Table(["iteration", "what each step said"], said, title="Iterations")] if said else []),
            Table(["connection", "dense", "pruned"], layers, title="Synaptic operations an image, by connection"),
        ),
        options=option_tables(options, ResNetJob()),
        provenance=provenance(content, options["seed"]),
        command=command,
        citation=cited(content),
    )


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {_words(one)}" for key, one in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
