"""The command ``lnpbrian``."""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_type_hints

import brian2
import numpy as np
import typer
from brian2 import ms
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from lnpbrian import checks, figures, files, locks, plot
from lnpbrian._version import __version__
from lnpbrian.checks import InvalidInput
from lnpbrian.experiments import EXPERIMENTS, SIZES, summary
from lnpbrian.jobs import MODELS, NETWORK, RECORD, PruneJob, Report
from lnpbrian.learning.vision.images import IMAGES
from lnpbrian.lyapunov.spectrum import number_of_exponents
from lnpbrian.lyapunov.stability import SPECTRUM, SpectrumOptions, stability_record
from lnpbrian.network import NetworkSpec, noise_drive
from lnpbrian.network.betweenness import betweenness_centrality
from lnpbrian.network.engines.cuda import find_gpu, require_tools, write_cuda_project
from lnpbrian.network.engines.devices import DeviceReport, devices
from lnpbrian.network.nir import FORMATS, READERS, export_network
from lnpbrian.options import Options, default_of, flags, kind_of
from lnpbrian.parallel import cores
from lnpbrian.process import Watched
from lnpbrian.records import commit, is_record, plain, versions, write_json
from lnpbrian.report.before_after import resnet_table, state_table
from lnpbrian.report.page import REPORT, Page, duration, refuse_foreign_report
from lnpbrian.report.page import Table as Rows
from lnpbrian.report.spectra import spectrum_table
from lnpbrian.resnets import ResNetJob, image_arrays
from lnpbrian.sweep import STALE, SweepProgress
from lnpbrian.sweep.cluster import ClusterOptions

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Names of files and models are not markup.
console = Console(markup=False, emoji=False)


def _choices(what: str, values: Iterable[str]) -> typer.models.OptionInfo:
    return typer.Option(help=f"{what}: {', '.join(values)}.")


def _show_version(asked: bool) -> None:
    if asked:
        print(f"lnpbrian {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Make recurrent spiking networks sparse before they are trained, and say how stable they are."""


def _with_flags(kind: type[Options]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command, as its keyword arguments, the flags of a class of options; those that are not used are None."""
    types: dict[str, Any] = {"int": int, "float": float, "Quantity": float, "str": str, "bool": bool}

    def help_of(one: dataclasses.Field[Any]) -> str:
        known, default = one.metadata["choices"], default_of(one)
        text = one.metadata["help"] + (f" One of {', '.join(known)}." if known else "")
        if kind_of(one) == "Quantity":
            text, default = f"{text} In ms.", float(default / ms)
        return text if default is None or default is False else f"{text}  [default: {default}]"

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        given = inspect.signature(command)
        made = [
            inspect.Parameter(
                flag.replace("-", "_"),
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[types[kind_of(one)] | None, typer.Option(f"--{flag}", help=help_of(one))],
            )
            for flag, one in flags(kind)
        ]
        own = [p for p in given.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        hints = get_type_hints(command, include_extras=True)
        own = [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        command.__signature__ = given.replace(parameters=[*made, *own], return_annotation=None)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in (*made, *own)}
        return command

    return decorate


@app.command()
@_with_flags(PruneJob)
def prune(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Prune the network of this file, such as the network.npz of a run, in place of a new model; --network "
            "then only says how it is shown its input and read.",
        ),
    ] = None,
    fidelity: Annotated[
        bool, typer.Option("--fidelity", help="Read steps, input and readout as the paper has them.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Start from the options in this run.json, or a TOML file of the same keys; flags change them."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes that share the forecast windows; 0 for one per core.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for run.json, network.npz, the figures and report.html.")] = Path(
        "runs/prune"
    ),
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the unfinished run in this folder, with its options.")
    ] = None,
    **given: Any,
) -> None:
    """Forecast or classify with a network, prune it, do it again; write numbers, network and figures.

    A run that was interrupted goes on after its last iteration with --resume.
    """
    checks.count("jobs", jobs, minimum=0)
    if resume is not None:
        _refuse(context, "--resume takes all options from the run", but=("resume", "jobs"))
        job, directory = PruneJob.load(resume), resume
    else:
        if fidelity:
            _refuse(
                context,
                "--fidelity decides how steps are read",
                only=(
                    *("edge_strength", "neighbours", "diagonal", "rescale", "cap", "excitability", "centrality"),
                    *("edge_rule", "exclude", "exponents", "config"),
                ),
            )
        start = PruneJob.fidelity() if fidelity else PruneJob() if config is None else PruneJob.from_record(config)
        job = start.with_flags({name.replace("_", "-"): value for name, value in given.items()})
        if file is not None:
            _refuse(context, "FILE brings its own network", only=("model", "neurons", "connection_probability"))
            job = job.of_file(file)
        elif job.file is not None:
            raise InvalidInput(
                f"the run of --config {str(config)!r} pruned the network of {job.file!r}; give it too: lnpbrian prune "
                f"{job.file} --config {config}"
            )
        directory = out
    with _without_trace(directory), locks.lock_folder("--out" if resume is None else "--resume", directory):
        _show_notes(job.task, job.notes)
        refuse_foreign_report(directory)
        drawn_names = figures.IMAGE_FIGURES if job.is_images else figures.FIGURES
        going_on = job.begin(directory, [f"{name}.png" for name in drawn_names], network=file)
        try:
            with Watched():
                with console.status("building the network and checking its rate (compiles on first use)"):
                    live = job.build(directory)
                console.print(
                    f"{live.spec.model}: {job.neurons} neurons, {len(live.synapses)} synapses, {live.mean_rate:.1f} Hz "
                    + f"under noise{f'; going on with the run in {directory}' if going_on else ''}",
                    soft_wrap=True,
                )
                with _bars(job.stages) as report:
                    result = job.run(live, directory, jobs=jobs or cores(), report=report)
        except KeyboardInterrupt:
            _fail(f"interrupted; go on with: lnpbrian prune --resume {directory}", 130)
        except InvalidInput:
            job.abandon(directory)
            raise
        result.after.save(directory / NETWORK)
        drawn = figures.draw_all(result, directory)
        result.write_json(directory / RECORD, {"command": job.record()})
        job.finish(directory)
        _write_report(directory)
    console.print(_terminal(state_table(result.summary())))
    if not result.pruning.status.startswith("all"):
        console.print(result.pruning.status, soft_wrap=True)
    if result.pruning.warning:
        console.print(f"warning: {result.pruning.warning}", soft_wrap=True)
    console.print(f"Wrote run.json, network.npz, {REPORT} and {len(drawn)} figures to {directory}", soft_wrap=True)


def _write_report(folder: Path) -> Page:
    from lnpbrian.report.runs import write_report  # which takes long to load

    return write_report(folder)


@contextmanager
def _without_trace(directory: Path) -> Iterator[None]:
    """Remove the folders that a refused run has made, if nothing is in them."""
    missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    try:
        yield
    except InvalidInput:
        with suppress(OSError):  # there is something
            for folder in missing:
                folder.rmdir()
        raise


def _refuse(context: typer.Context, reason: str, *, only: Iterable[str] = (), but: Iterable[str] = ()) -> None:
    """Refuse options that were given on the command line: `only` those, or all `but` those."""
    names = tuple(only) or [name for name in context.params if name not in tuple(but)]
    given = [name for name in names if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    if given:
        (parameter,) = (one for one in context.command.params if one.name == given[0])
        raise InvalidInput(f"{reason}; leave out {parameter.opts[0] if given[0] != 'file' else 'FILE'}")


@app.command()
def spectrum(
    networks: Annotated[list[Path] | None, typer.Argument(help="Files network.npz; without any, a model.")] = None,
    model: Annotated[str, _choices("Network model", MODELS)] = "hrsnn",
    neurons: Annotated[int, typer.Option(help="Number of neurons.")] = 200,
    connection_probability: Annotated[float, typer.Option(help="Connection probability in (0, 1].")] = 0.1,
    n_exponents: Annotated[str, typer.Option(help="Number of leading exponents, or all.")] = "all",
    duration: Annotated[float, typer.Option(help="Measured time in ms.")] = 1000.0,
    transient: Annotated[float, typer.Option(help="Time before it in ms.")] = 200.0,
    reorthonormalise_every: Annotated[float, typer.Option(help="Interval between factorisations in ms.")] = 10.0,
    inputs: Annotated[int, typer.Option(help="Number of noise inputs over which is averaged.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for spectrum.json, the figures and report.html.")] = Path(
        "runs/spectrum"
    ),
) -> None:
    """Compute Lyapunov spectra of networks under noise; write numbers, figures and a page."""
    checks.choice("--model", model, MODELS)
    options = SpectrumOptions(
        n_exponents=_number_or_all(n_exponents),
        duration=checks.real("duration", duration, above=0) * ms,
        transient=checks.real("transient", transient, at_least=0) * ms,
        reorthonormalise_every=checks.real("reorthonormalise_every", reorthonormalise_every, above=0) * ms,
        inputs=inputs,
    )
    checks.count("seed", seed, minimum=0, at_most=None)
    checks.count("neurons", neurons, minimum=2)
    p = checks.probability("connection_probability", connection_probability)
    if networks:
        specs = {str(path): NetworkSpec.load(path) for path in networks}
        command: dict[str, Any] = {"networks": list(specs)}
    else:
        command = {"model": model, "neurons": neurons, "connection_probability": p}
        specs = {f"{model}, p = {p:g}": MODELS[model](neurons, p, check_rate=False, seed=seed).spec}
    for spec in specs.values():
        number_of_exponents(spec, options.n_exponents)
    records: list[dict[str, Any]] = []
    with _without_trace(out), locks.lock_folder("--out", out) as lock:
        directory = lock.folder
        if (directory / RECORD).exists():
            raise InvalidInput(f"{str(out)!r} holds a run, whose {REPORT} would be replaced; choose another --out")
        names = (SPECTRUM, *(f"{name}.png" for name in figures.SPECTRUM_FIGURES))
        locks.refuse_foreign(directory, names, accounted=is_record(directory / SPECTRUM, "networks"), evidence=SPECTRUM)
        refuse_foreign_report(directory)
        content = {"versions": versions(), "commit": commit(), "command": command}
        with _bars(specs) as report:
            for name, spec in specs.items():
                report(name, 0.0, "")

                def within(fraction: float, name: str = name) -> None:
                    report(name, fraction, "")

                records.append(stability_record(spec, name, options=options, seed=seed, report=within))
                # What is done is kept, whatever happens to the next network.
                write_json(directory / SPECTRUM, {**content, "networks": records})
        for name, draw in figures.SPECTRUM_FIGURES.items():
            plot.save(draw(records), directory / f"{name}.png")
        _write_report(directory)
    console.print(_terminal(spectrum_table(records)))
    for record in records:
        console.print(f"{record['name']}: {record['status']}", soft_wrap=True)
    console.print(
        f"Wrote {SPECTRUM}, {REPORT} and {len(figures.SPECTRUM_FIGURES)} figures to {directory}", soft_wrap=True
    )


def _number_or_all(value: str) -> int | str:
    if value.strip().lstrip("+-").isdigit():
        return int(value)
    return checks.choice("--n-exponents", value, ("all", "a whole number"))


@app.command()
def info(network: Annotated[Path | None, typer.Argument(help="A network.npz to describe.")] = None) -> None:
    """Print versions, or describe a network file."""
    table = Table(show_header=False, box=None)
    if network is None:
        for name, version in versions().items():
            table.add_row(name, version)
        table.add_row("code generation", str(brian2.prefs.codegen.target))
    else:
        for name, value in _description(NetworkSpec.load(network)).items():
            table.add_row(name, value)
    console.print(table)


def _description(spec: NetworkSpec) -> dict[str, str]:
    inner = spec.compacted()
    n, s = inner.n_neurons, inner.n_synapses
    tau = 1e3 * inner.time_constants
    between = betweenness_centrality(inner.pre, inner.post, n)
    return {
        "model": spec.model,
        "neurons": f"{n} alive of {spec.n_neurons}, {int(inner.excitatory.sum())} excitatory",
        "synapses": f"{s}, density among the living {s / max(n * (n - 1), 1):.4f}",
        "clusters": str(len(set(inner.cluster.tolist()))),
        "time constants": f"{tau.mean():.1f} ms mean, {tau.min():.1f}..{tau.max():.1f} ms",
        "time course": "delta synapses"
        if spec.has_delta_synapses
        else f"exponential synapses, {1e3 * spec.synaptic_time_constant:g} ms",
        "weights": f"{inner.weights.min():.3g}..{inner.weights.max():.3g}" if s else "none",
        "plastic": "yes" if spec.plasticity is not None else "no",
        "delays": "yes" if spec.delays is not None else "no",
        "betweenness": f"{between.mean():.4g} mean, {between.max():.4g} largest",
        "time step": f"{1e3 * spec.dt:g} ms, {spec.spike_timing} spikes",
    }


@app.command("devices")
def show_devices() -> None:
    """Try which of Brian2's devices work on this machine, and say what is missing for the others."""
    with console.status("trying compilers"):
        reports = devices()
    console.print(_device_table(reports))
    for report in reports:
        for part in report.missing:
            console.print(f"{report.name}: {part.remedy}", soft_wrap=True)


def _device_table(reports: Iterable[DeviceReport]) -> Table:
    table = Table("device", "here", "uses")
    table.columns[2].overflow = "fold"
    for report in reports:
        table.add_row(report.name, report.status, report.uses)
    return table


@app.command()
def cuda(
    network: Annotated[Path, typer.Argument(help="A network.npz, pruned or not.")],
    duration: Annotated[float, typer.Option(help="Simulated time in ms.")] = 1000.0,
    noise: Annotated[
        float, typer.Option(help="Standard deviation of the noise drive, in units of the threshold; 0 for none.")
    ] = 0.3,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    fixed: Annotated[bool, typer.Option("--fixed", help="Keep the weights of a plastic network as they are.")] = False,
    compute_capability: Annotated[
        str | None, typer.Option(help="Of the GPU to build for, such as 9.0. Default: of the GPU here, or the least.")
    ] = None,
    build: Annotated[bool, typer.Option("--build", help="Compile it (takes minutes, needs the CUDA toolkit).")] = False,
    run: Annotated[bool, typer.Option("--run", help="Compile it, run it on the GPU, and print the rate.")] = False,
    jobs: Annotated[int, typer.Option(help="Files compiled at the same time; 0 for one per core.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the project.")] = Path("runs/cuda"),
) -> None:
    """Write a network as a CUDA project, which can be built and run here or on another machine."""
    spec = NetworkSpec.load(network)
    length = checks.real("duration", duration, above=0) * ms
    sigma = checks.real("noise", noise, at_least=0)
    rng = np.random.default_rng(checks.count("seed", seed, minimum=0, at_most=None))
    jobs = checks.count("jobs", jobs, minimum=0) or cores()
    # What is missing shows before anything is written.
    require_tools(build=build or run, run=run)
    with _without_trace(out), locks.lock_folder("--out", out) as lock:
        of = {"duration": length, "standard_deviation": sigma, "hold": _held(spec.dt)}
        drive = noise_drive(spec.n_neurons, rng=rng, **of) if sigma else None
        with console.status("writing the project"):
            project = write_cuda_project(
                spec, lock, duration=length, drive=drive, plastic=not fixed, compute_capability=compute_capability
            )
        console.print(f"Wrote {spec!r} to {out}; README.txt says how to build and run it", soft_wrap=True)
        if build or run:
            with console.status("compiling"):
                project.build(jobs=jobs)
            console.print(f"Built {out / 'main'}", soft_wrap=True)
        if run:
            with console.status("running"):
                activity = project.run()
            rate = float(activity.rates[spec.alive].mean())
            console.print(
                f"{activity.indices.size} spikes in {duration:g} ms on {find_gpu().name}, {rate:.1f} Hz per neuron"
            )


def _held(dt: float) -> brian2.Quantity:
    """Return the 5 ms over which noise is held, rounded up to whole time steps.

    >>> _held(2e-3), _held(1e-4)
    (6. * msecond, 5. * msecond)
    """
    return round(1e3 * dt * math.ceil(5e-3 / dt - 1e-6), 9) * ms


@app.command()
def export(
    network: Annotated[Path, typer.Argument(help="A network.npz, pruned or not.")],
    to: Annotated[str, _choices("Format: of other simulators, or one sparse matrix with all constants", FORMATS)],
    out: Annotated[Path, typer.Option(help="File to write.")],
    reader: Annotated[
        str, _choices("Who will read a NIR file; exact for whoever steps the equations exactly", READERS)
    ] = "exact",
    fixed: Annotated[bool, typer.Option("--fixed", help="Keep the weights of a plastic network as they are.")] = False,
    grid: Annotated[
        bool, typer.Option("--grid", help="Move spikes between time steps to the ends of their steps.")
    ] = False,
) -> None:
    """Write a network as a file of other simulators; what the format cannot carry is refused."""
    spec = NetworkSpec.load(network)
    spec = dataclasses.replace(spec, plasticity=None if fixed else spec.plasticity)
    path = export_network(spec.with_timing("grid") if grid else spec, out, to=to, reader=reader)
    console.print(f"Wrote {spec.compacted()!r} to {path}", soft_wrap=True)


@app.command()
@_with_flags(ResNetJob)
def resnet(
    task: Annotated[str, _choices("Images; digits need no file", IMAGES)] = "digits",
    data: Annotated[Path | None, typer.Option(help="Folder of the images, or an .npz file.")] = None,
    size: Annotated[int, typer.Option(help="Pixels of a side: larger images are averaged down to at most this.")] = 32,
    images: Annotated[int | None, typer.Option(help="Images that are used at most.")] = None,
    steps: Annotated[str, typer.Option(help="Steps of LNP, such as I,II,III,IV.")] = "I",
    out: Annotated[Path, typer.Option(help="Folder for run.json, network.npz, report.html and checkpoints.")] = Path(
        "runs/resnet"
    ),
    **given: Any,
) -> None:
    """Train a spiking ResNet on images, dense and pruned; write what each scores and costs.

    The same command goes on with a run that was interrupted, after its last epoch.
    """
    job = ResNetJob(pruning=tuple(filter(None, steps.split(",")))).with_flags(
        {name.replace("_", "-"): value for name, value in given.items()}
    )
    most = None if images is None else checks.count("--images", images, minimum=2)
    checks.choice("--task", task, IMAGES)
    arrays = image_arrays(task, data, size=checks.count("--size", size, minimum=4), most=most)
    names = [RECORD, NETWORK]
    with locks.lock_folder("--out", checks.writable_directory("--out", out)) as lock:
        folder = lock.folder
        locks.refuse_foreign(folder, names, accounted=is_record(folder / RECORD, "resnet"), evidence=RECORD)
        refuse_foreign_report(folder)
        commit()  # of the code as it is now
        try:
            with Watched(), _bars(("dense", "prune", "train")) as report:

                def stage(name: str) -> Callable[[float, str], None]:
                    report(name, 0.0, "")
                    return lambda fraction, what: report(name, fraction, what)

                fresh = job.network(arrays)
                full = job.train(fresh, arrays, checkpoint=folder / "dense.npz", report=stage("dense")).network
                report("dense", 1.0, "")
                _, before = job.scored(full, arrays)
                base = full if job.start == "converted" and job.method != "imp" else fresh
                bare, told = job.prune(base, arrays, trained=full, folder=folder, report=stage("prune"))
                report("prune", 1.0, "")
                made, after = job.finished(bare, arrays, checkpoint=folder / "pruned.npz", report=stage("train"))
                report("train", 1.0, "")
        except KeyboardInterrupt:
            _fail("interrupted; the same command goes on after the last epoch", 130)
        # Whenever it is killed, the record accounts for the network, and is of no other.
        (folder / NETWORK).unlink(missing_ok=True)
        record = {"resnet": plain(job), "task": arrays.name, "data": None if data is None else str(data)}
        record |= {"size": size, "images": images, "commit": commit()}
        record |= {"versions": versions(), "dense": before, "pruned": after, "pruning": told}
        write_json(folder / RECORD, record)
        made.save(folder / NETWORK)
        _write_report(folder)
    console.print(_terminal(resnet_table(record)))
    console.print(f"Wrote {RECORD}, {NETWORK} and {REPORT} to {out}", soft_wrap=True)


# A line for each, kept as it is (\b).
_NAMES = "\b\nExperiments:\n" + "\n".join(f"{name:<20} {summary(name).rstrip('.')}" for name in EXPERIMENTS)


@app.command(epilog=_NAMES)
def sweep(
    experiment: Annotated[str, typer.Argument(help="One of those below.")],
    scale: Annotated[str, _choices("How large", SIZES)] = "smoke",
    seeds: Annotated[int | None, typer.Option(help="Number of networks of each kind. Default: of the scale.")] = None,
    windows: Annotated[int | None, typer.Option(help="Forecast windows. Default: of the scale.")] = None,
    neurons: Annotated[
        int | None, typer.Option(help="Neurons of the unpruned networks. Default: of the scale.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="Data, as google=FILE, wind=FILE, fashion=FOLDER ...; can be repeated.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes on this machine. Default: one per core.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Use the workers of a running Dask scheduler, tcp://host:port.")
    ] = None,
    slurm: Annotated[
        Path | None, typer.Option(help="Submit workers to SLURM; JSON file with arguments of dask-jobqueue's cluster.")
    ] = None,
    memory_limit: Annotated[str | None, typer.Option(help="Of each worker, such as 8GiB.")] = None,
    dashboard: Annotated[
        str, typer.Option(help="Address of Dask's dashboard, with --slurm; none for any free port.")
    ] = str(ClusterOptions.dashboard),
    store: Annotated[
        Path, typer.Option(help="Folder of the results of single tasks, which sweeps share and go on from.")
    ] = Path("runs/store"),
    stale: Annotated[
        str, _choices("What becomes of stored results of other code or other versions of packages", STALE)
    ] = STALE[0],
    out: Annotated[
        Path | None, typer.Option(help="Folder for JSON, figure and tables. Default: runs/EXPERIMENT.")
    ] = None,
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Compute nothing: draw figure and tables again from the JSON in --out.")
    ] = False,
) -> None:
    """Run an experiment on this machine or a cluster, and write its tables and figure.

    What was computed before is not computed again: a sweep that was stopped or killed goes on.
    """
    # What experiments stand on takes seconds to load.
    from lnpbrian.experiments.common.plan import SCALES, Plan
    from lnpbrian.experiments.sweeps import run_experiment
    from lnpbrian.sweep import ResultStore

    name = checks.choice("experiment", experiment, EXPERIMENTS)
    directory = out or Path("runs") / name
    if redraw:
        _show_sweep(directory / f"{name}.json")
        return
    size = SCALES[checks.choice("--scale", scale, SCALES)]
    given = {"seeds": seeds, "windows": windows, "neurons": neurons}
    changes: dict[str, Any] = {
        option: checks.count(f"--{option}", value) for option, value in given.items() if value is not None
    }
    size = dataclasses.replace(size, **changes)
    plan = Plan(size, _data_files(data or []))
    options = ClusterOptions(
        workers=workers,
        scheduler=scheduler,
        slurm=None if slurm is None else _json_file("--slurm", slurm),
        memory_limit=memory_limit,
        dashboard=None if dashboard == "none" else dashboard,
    )
    try:
        with _sweep_bars() as report:
            kept = ResultStore(store, stale=stale)
            run_experiment(name, plan, directory, scale=scale, store=kept, cluster=options, report=report)
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on with what is missing", 130)
    _show_sweep(directory / f"{name}.json")
    console.print(f"Wrote {name}.json, .png, .md and .html to {directory}", soft_wrap=True)


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Tables and figures, as table2 or fig7. Default: all.", metavar="[NAME]..."),
    ] = None,
    scale: Annotated[str, _choices("How large", SIZES)] = "smoke",
    data: Annotated[
        list[str] | None, typer.Option(help="Data, as google=FILE, wind=FILE, cifar10=FILE ...; can be repeated.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes on this machine. Default: one per core.")] = None,
    store: Annotated[Path, typer.Option(help="Folder of the results of single tasks, as of sweep.")] = Path(
        "runs/store"
    ),
    stale: Annotated[str, _choices("What becomes of stored results of other code", STALE)] = STALE[0],
    out: Annotated[Path, typer.Option(help="Folder for the reports and their index.html.")] = Path("runs/reproduce"),
    list_: Annotated[
        bool, typer.Option("--list", help="Say what there is, which sweep shows it, and what it costs.")
    ] = False,
) -> None:
    """Make the tables and figures of the paper, each with the paper's numbers beside ours.

    What was computed before, by a sweep too, is not computed again. What needs data that are not given is said.
    """
    # What experiments stand on takes seconds to load.
    from lnpbrian.experiments.common.plan import SCALES, Plan
    from lnpbrian.experiments.reproduce import INDEX, Reproduction, chosen, listing
    from lnpbrian.sweep import ResultStore

    wanted = chosen(names or [])
    if list_:
        _print_wide(listing(wanted))
        return
    plan = Plan(SCALES[checks.choice("--scale", scale, SCALES)], _data_files(data or []))
    failed = []
    try:
        kept = ResultStore(store, stale=stale)
        with Reproduction(out, plan, scale, kept, ClusterOptions(workers=workers)) as run:
            for shown in wanted:
                run.refuse_foreign(shown)
            for shown in wanted:
                console.print(f"{shown.name}: {shown.title}", soft_wrap=True)
                for sentence in shown.missing(plan.data):
                    console.print(f"  {sentence}", soft_wrap=True)
                with _sweep_bars() if shown.experiment else nullcontext() as report:
                    error = run.show(shown, report)["error"]
                if error:
                    failed.append(shown.name)
                    console.print(f"  not made: {error}", soft_wrap=True)
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on with what is missing", 130)
    console.print(f"Wrote {len(wanted) - len(failed)} reports and {INDEX} to {out}", soft_wrap=True)
    if failed:
        _fail(f"{', '.join(failed)} could not be made; the reports say why", 1)


def _print_wide(lines: list[list[str]]) -> None:
    """Print a table, each line of it whole, whatever the width of the terminal."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        console.print(text.rstrip(), soft_wrap=True)


def _show_sweep(source: Path) -> None:
    """Draw an experiment again from its JSON, and print those of its tables that the terminal can show."""
    from lnpbrian.experiments.sweeps import redraw

    for title, (head, *body) in redraw(source).items():
        table = Table(*head, title=title)
        for line in body:
            table.add_row(*line)
        with console.capture() as shown:
            console.print(table)
        if "…" in shown.get():
            page = source.with_suffix(".md")
            console.print(f"{title}: too wide for this terminal, see {page}", soft_wrap=True)
        else:
            console.print(table)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(help="Folders of finished runs or of results of sweeps.")],
) -> None:
    """Write the pages of finished runs and sweeps again, from the files in their folders."""
    for folder in folders:
        for path, page in _pages(folder):
            for warning in page.warnings:
                console.print(f"{path}: {warning}", soft_wrap=True)
            console.print(f"Wrote {path}: {page.title}; {page.verdict.word}", soft_wrap=True)


def _pages(folder: Path) -> Iterator[tuple[Path, Page]]:
    """Write the page of a run, or of every sweep in a folder."""
    sweeps = sorted(path for path in folder.glob("*.json") if is_record(path, "experiment", "scale"))
    is_run = any((folder / name).exists() for name in (RECORD, SPECTRUM))
    if not folder.is_dir() or not (sweeps or is_run):
        raise InvalidInput(
            f"{str(folder)!r} holds no finished run (no {RECORD}, no {SPECTRUM}) and no results of a sweep"
        )
    with locks.lock_folder("report", folder):
        if is_run:
            yield folder / REPORT, _write_report(folder)
        for path in sweeps:
            # What experiments stand on takes seconds to load.
            from lnpbrian.experiments.sweeps import rewrite_page

            yield path.with_suffix(".html"), rewrite_page(path)


def _show_notes(name: str, notes: Iterable[str]) -> None:
    """Print what was done to the data of a series."""
    for note in notes:
        console.print(f"{name}: {note}", soft_wrap=True)


def _data_files(given: Iterable[str]) -> dict[str, str]:
    from lnpbrian.experiments.sweeps import data_notes

    files = {}
    for entry in given:
        name, _, path = entry.partition("=")
        images = [one for one in IMAGES if one != "digits"]
        if name not in ("google", "wind", *images) or not path:
            folders = ", ".join(f"{one}=FOLDER" for one in images)
            raise InvalidInput(f"--data must be google=FILE or wind=FILE, or {folders}, got {entry!r}")
        # Read now: what is wrong with it shows before any work.
        _show_notes(name, data_notes(name, path))
        files[name] = path
    return files


def _json_file(option: str, path: Path) -> dict[str, Any]:
    try:
        content = files.read_json(path)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{option} {str(path)!r} cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{option} {str(path)!r} must hold an object with the arguments of the cluster")
    return content


@contextmanager
def _sweep_bars() -> Iterator[Callable[[SweepProgress], None]]:
    """Show how many tasks are done, and what runs."""
    columns = (TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[what]}"), console=console) as bars:
        whole = bars.add_task("all tasks", total=1.0, what="starting workers")
        running: dict[str, Any] = {}
        told: set[str] = set()
        finished = [0.0]

        def report(now: SweepProgress) -> None:
            if not console.is_terminal and now.done != finished[0]:
                finished[0] = now.done
                console.print(f"{now.done:g} of {now.total:g} tasks", soft_wrap=True)
            left = "" if now.remaining_seconds is None else f", about {duration(now.remaining_seconds, 0)} left"
            bars.update(whole, completed=now.done, total=now.total, what=f"{now.done} of {now.total}{left}")
            for note in (now.dashboard and f"Dask's dashboard: {now.dashboard}", *now.notes):
                if note and note not in told:
                    told.add(note)
                    bars.console.print(note, soft_wrap=True)
            for name in set(running) - set(now.running):
                bars.remove_task(running.pop(name))
            for name, (fraction, what) in now.running.items():
                if name not in running:
                    running[name] = bars.add_task(f"  {name}", total=1.0, what="")
                bars.update(running[name], completed=fraction, what=what)

        yield report


@contextmanager
def _bars(stages: Iterable[str]) -> Iterator[Report]:
    """Show a bar with the time left for every stage of a piece of work."""
    columns = (TextColumn("{task.description:<16}"), BarColumn(30), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[what]}"), console=console
    ) as bars:
        tasks = {name: bars.add_task(name, total=1.0, start=False, what="") for name in stages}
        printed: dict[str, int] = {}

        def report(stage: str, fraction: float, what: str) -> None:
            bar, tenths = tasks[stage], int(10 * fraction + 1e-9)
            if not console.is_terminal and tenths > printed.get(stage, -1):
                # Where bars cannot be drawn again.
                printed[stage] = tenths
                console.print(f"{stage} {100 * fraction:.0f} % {what}".rstrip(), soft_wrap=True, markup=False)
            if fraction == 0.0:
                bars.start_task(bar)
            bars.update(bar, completed=fraction, what=what)

        yield report


def _terminal(shown: Rows) -> Table:
    """Return a table for the terminal; the first column says what numbers are of."""
    table = Table(*shown.head)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in shown.rows:
        table.add_row(*row)
    return table


def _fail(message: str, code: int = 2) -> NoReturn:
    print(f"lnpbrian: {message}", file=sys.stderr)
    raise SystemExit(code)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors of the user are one line on stderr and exit code 2."""
    brian2.BrianLogger.log_level_error()
    brian2.prefs.logging.warn_for_unused_objects = False
    try:
        with Watched():
            code = app(args=arguments, prog_name="lnpbrian", standalone_mode=False)
    except InvalidInput as error:
        _fail(str(error))
    except typer.TyperException as error:
        _fail(f"{error.format_message()} (see lnpbrian --help)")
    except typer.Abort:
        _fail("interrupted", 130)
    except KeyboardInterrupt:
        _fail("interrupted; files that were not complete were not written", 130)
    except OSError as error:
        _fail(f"{error.filename or 'file'}: {error.strerror or error}")
    raise SystemExit(code if isinstance(code, int) else os.EX_OK)


__all__ = ["__version__", "app", "main"]
