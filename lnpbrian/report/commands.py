"""The command that repeats a run, and its options as tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from brian2 import Quantity

from lnpbrian.jobs import RECORD, PruneJob
from lnpbrian.options import Options, as_flag, kind_of
from lnpbrian.records import plain
from lnpbrian.report.page import Table, flattened
from lnpbrian.resnets import ResNetJob

__all__ = ["command_line", "option_tables", "run_command", "usual_runs"]


def option_tables(recorded: Any, usual: Options) -> tuple[Table, ...]:
    """Return the options that are not the usual ones, and all of them."""
    if not recorded:
        return ()
    now, defaults = dict(flattened(recorded)), dict(flattened(plain(usual)))
    changed = [[name, value, defaults.get(name, "")] for name, value in now.items() if value != defaults.get(name)]
    made = [Table(["option", "value", "default"], changed, title="Options that are not the default")] if changed else []
    return (*made, Table(["option", "value"], [list(pair) for pair in now.items()], title="All options"))


# What the record of a run says of the file that it has pruned.
OF_FILE = ("file", "file_digest", "neurons")


def run_command(content: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the command that repeats a run, and why there is none."""
    if "resnet" in content:
        if "images" not in content:
            return "", ["the command is not known: an earlier version did not record how many images were used"]
        more = {
            "steps": (",".join(content["resnet"]["pruning"]), "I"),
            "task": (content["task"], "digits"),
            "data": (content["data"], None),
            "size": (content["size"], 32),
            "images": (content["images"], None),
        }
        given = [text for name, (value, usual) in more.items() if value != usual for text in as_flag(name, value)]
        found = command_line(content["resnet"], ResNetJob(), but=("pruning",))
        if found is None:
            return "", ["no command line repeats this run: it has options that only Python can set"]
        return shlex.join(["lnpbrian", "resnet", *found, *given]), []
    recorded = content["options"].get("command")
    if not recorded:
        return "", ["the command is not known: the run was not started by one"]
    file = [recorded["file"]] if recorded.get("file") else []
    options = {name: value for name, value in recorded.items() if name not in OF_FILE} if file else recorded
    for start, usual in usual_runs().items():
        found = command_line(options, usual)
        if found is not None:
            return shlex.join(["lnpbrian", "prune", *file, *start, *found]), []
    # Whatever the options are, the record holds them.
    return shlex.join(["lnpbrian", "prune", *file, "--config", RECORD]), []


@cache
def usual_runs() -> dict[tuple[str, ...], PruneJob]:
    """Return the options of a run without any, by the flags that choose them; to check them takes a second."""
    return {(): PruneJob(), ("--fidelity",): PruneJob.fidelity()}


def command_line(recorded: Mapping[str, Any], usual: Options, *, but: Iterable[str] = ()) -> list[str] | None:
    """Return the flags that make recorded options of the usual ones, None if flags cannot.

    Parameters
    ----------
    recorded : mapping
        What `lnpbrian.records.plain` made of options.
    usual : Options
    but : iterable of str
        Options that are left out.

    Examples
    --------
    >>> command_line(plain(ResNetJob(seed=3, width=0.5)), ResNetJob())
    ['--width', '0.5', '--seed', '3']
    """
    flags: dict[str, set[tuple[str, ...]]] = {}
    changed: dict[str, bool] = {}
    for flag, value, default in _flagged(recorded, usual, tuple(but)):
        if value == default and flag is None:
            continue
        if flag is None:
            return None
        flags.setdefault(flag, set()).add(as_flag(flag, value))
        changed[flag] = changed.get(flag, False) or value != default
    wanted = {flag: texts for flag, texts in flags.items() if changed[flag]}
    # A flag sets all options that have it, and nothing to None.
    if any(len(texts) > 1 or not all(texts) for texts in wanted.values()):
        return None
    return [text for (texts,) in wanted.values() for text in texts]


def _flagged(
    recorded: Mapping[str, Any], usual: Options, but: tuple[str, ...]
) -> Iterator[tuple[str | None, Any, Any]]:
    """Return flag, recorded and usual value of every option."""
    known = plain(usual)
    seen = set()
    for one in fields(usual):  # type: ignore[arg-type]
        inner = getattr(usual, one.name)
        key = f"{one.name}_ms" if isinstance(inner, Quantity) or kind_of(one) == "Quantity" else one.name
        seen.add(key)
        if key not in known or one.name in but:
            continue
        if isinstance(inner, Options):
            yield from _flagged(recorded.get(key, {}), inner, ())
        else:
            yield one.metadata.get("flag"), recorded.get(key, known[key]), known[key]
    if unknown := set(recorded) - seen:
        yield None, sorted(unknown), None
