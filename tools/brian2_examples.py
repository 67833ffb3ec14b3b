"""Prune Brian2's own examples by one added line each, and write what came of it as a table.

    python tools/brian2_examples.py FOLDER [--only PART] [--after] [--write docs/own_network.md]
    python tools/brian2_examples.py FOLDER --compact [--only PART]
    python tools/brian2_examples.py FOLDER --time 0.5 [--only PART]

FOLDER holds the examples of a release of Brian2. Each script with Synapses runs in a process of its own, without its
figures, up to its first ``run(...)`` or ``net.run(...)``, before which (``--after``: after which) ``prune()`` or
``prune(net)`` is put. Simulated times are cut short. With ``--compact`` the pruned network and its survivors alone are
run for 100 ms, and their spikes are compared. With ``--time`` 90 % of the synapses and that share of the neurons go,
and the wall times before, in place and of the survivors alone are measured.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BEGIN, END = "<!-- examples: python tools/brian2_examples.py -->", "<!-- end of examples -->"
LIMIT_S = 900

PREAMBLE = """
import matplotlib; matplotlib.use("Agg")
from lnpbrian import LiveNetwork as _Live, PruneOptions as _Options, prune as _prune
from lnpbrian.checks import InvalidInput as _InvalidInput
from brian2 import ms as _ms
from dataclasses import replace as _replace
_quick = _Options(0.5, 0.1, iterations=1, realisations=1, observation=200*_ms, exponent_duration=60*_ms,
                  on_unstable="keep")
_few = _replace(_quick, neuron_sparsity=0)
def _end(result):
    if result is None: return
    a, b = result.history[0], result.history[-1]
    print(f"LNP: pruned: {a.neurons} -> {b.neurons} neurons, {a.synapses} -> {b.synapses} synapses, "
          f"{a.mean_rate_hz:.3g} -> {b.mean_rate_hz:.3g} Hz")
    _after(result)
def _alone(result):
    from lnpbrian.checks import InvalidInput
    from lnpbrian.network.compaction import compact
    try:
        return compact(result.live)
    except InvalidInput as error:
        _say(f"not compact: {error}")
def _compared(result):
    import brian2, numpy as np
    from lnpbrian.network.brian2_internals import StoredState
    live = result.live
    spiking = {g.name: g for g in live.groups if isinstance(g, brian2.NeuronGroup)}
    monitors = {n: brian2.SpikeMonitor(g, name=f"lnp_seen_{n}") for n, g in spiking.items()}
    live.network.add(*monitors.values())
    small = _alone(result)
    if small is None: return
    state = StoredState(live.network)
    live.run(100*_ms)
    seen = {n: (small.index[n][m.i[:]], np.array(m.t)) for n, m in monitors.items()}
    state.restore()
    small.run(100*_ms)
    news = {n: (np.array(small.network[m.name].i), np.array(small.network[m.name].t)) for n, m in monitors.items()}
    # The star import of a script has put NumPy's in the place of some functions.
    same = not [n for n in seen for k in (0, 1) if not np.array_equal(seen[n][k], news[n][k])]
    counts = [len(np.concatenate([i for i, _ in each.values()])) for each in (seen, news)]
    verdict = "equal spikes" if same else "other random numbers" if small.differs else "OTHER SPIKES"
    _say(f"compact: {verdict} ({counts[0]} in place, {counts[1]} compact)")
def _measure(live):
    global _came
    from lnpbrian.network.live import Snapshot
    _came = Snapshot(live)
def _timed(result):
    from lnpbrian.network.compaction import Speedup, run_time
    small = _alone(result)
    if small is None: return
    found = small.speedup(_length)
    _came.restore()  # so that all are measured within a minute
    _say(f"compact: {Speedup(found.in_place, found.compact, run_time(result.live, _length))}")
_after, _length = lambda result: None, 300*_ms
def _say(text): print("LNP:", text, flush=True)
def _stop(text):
    import os, signal
    print("LNP:", text, flush=True)
    os.killpg(0, signal.SIGKILL)  # with the workers of those that have some
"""


class AddPrune(ast.NodeTransformer):
    """Puts the line before or after every run, which is cut short, and ends the script behind the first."""

    def __init__(self, after: bool, timed: bool = False) -> None:
        self.after, self.timed, self.found = after, timed, False

    def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
        call = node.value
        if not isinstance(call, ast.Call):
            return node
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        if name != "run" or not call.args or owner.startswith("device"):
            return node
        self.found = True
        if owner in ("b2", "brian2", "br2"):
            owner = ""
        network = f"{owner}, " if owner else ""
        prune = f"_end(_prune({network}options=_options))"
        if self.timed:
            prune = f"_live = _Live({owner}); _measure(_live); _end(_prune(_live, options=_options))"
        line = ast.parse(
            "for _options in (_quick, _few):\n    try:\n"
            f"        {prune}; break\n"
            "    except _InvalidInput as _error:\n"
            "        if _options is _few or 'minimum_neurons' not in str(_error): _stop(f'refused: {_error}')"
        ).body
        call.args[0] = ast.parse("10*_ms").body[0].value  # type: ignore[attr-defined]
        again = ast.parse(ast.unparse(node)).body
        parts = [*again, *line, *again] if self.after else [*line, *again]
        return [*parts, *ast.parse("_stop('went on')").body]


def prepared(path: Path, after: bool, then: str = "") -> str | None:
    """Return the script with the added line and, in its preamble, what is `then` done; None if it runs no network."""
    adder = AddPrune(after, timed="_timed" in then)
    # One script trains, or tests what it has trained before.
    tree = adder.visit(ast.parse(path.read_text().replace("MODE = 'test'", "MODE = 'train'")))
    return PREAMBLE + then + ast.unparse(ast.fix_missing_locations(tree)) if adder.found else None


def some_digits(folder: Path) -> None:
    """Write 20 random images where an example reads 60,000 digits."""
    numbers = random.Random(0)
    images = bytes(numbers.randrange(256) for _ in range(20 * 784))
    for tag in ("train", "t10k"):
        (folder / f"{tag}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, 20, 28, 28) + images)
        (folder / f"{tag}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, 20) + bytes(range(10)) * 2)


def tried(path: Path, after: bool, then: str = "") -> str:
    """Return what comes of one script."""
    code = prepared(path, after, then)
    if code is None:
        return "runs no network"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        for name in ("run", "mnist"):
            (Path(folder) / name).mkdir()
        some_digits(Path(folder) / "mnist")
        script = place / path.name
        script.write_text(code)
        for other in path.parent.iterdir():  # modules and data that it reads
            if other.name != path.name and other.is_file():
                (place / other.name).write_bytes(other.read_bytes())
        env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
        try:
            done = subprocess.run(
                [sys.executable, script.name],
                cwd=place,
                env=env,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return f"not finished in {LIMIT_S} s"
    said = re.findall(r"^LNP: (.*)$", done.stdout, re.MULTILINE)
    if said and said[-1] == "went on":
        return "; ".join(said[:-1])
    if said and said[-1].startswith("refused"):
        return said[-1]
    return (said[-1] + "; then " if said else "") + "failed: " + (done.stderr.strip().splitlines() or ["?"])[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--after", action="store_true")
    parser.add_argument("--compact", action="store_true")
    parser.add_argument("--time", type=float, metavar="SHARE")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--write", type=Path)
    chosen = parser.parse_args()
    paths = sorted(p for p in chosen.folder.rglob("*.py") if "Synapses(" in p.read_text() and chosen.only in str(p))
    then = "_after = _compared\n" if chosen.compact else ""
    if chosen.time is not None:
        then = (
            f"_quick = _replace(_quick, synapse_sparsity=0.9, neuron_sparsity={chosen.time})\n"
            "_few, _after = _replace(_quick, neuron_sparsity=0), _timed\n"
        )
    rows = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for path, result in zip(paths, pool.map(lambda p: tried(p, chosen.after, then), paths), strict=True):
            rows.append((str(path.relative_to(chosen.folder)), result))
            print(*rows[-1], sep=": ", flush=True)
    pruned = sum(result.startswith("pruned") for _, result in rows)
    print(f"{pruned} of {len(rows)} pruned")
    if chosen.write:
        table = "\n".join(
            ["| example | plain `prune` |", "|---|---|", *(f"| {name} | {what} |" for name, what in rows)]
        )
        text = chosen.write.read_text()
        begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
        chosen.write.write_text(f"{text[:begin]}\n{table}\n{text[end:]}")


if __name__ == "__main__":
    main()
