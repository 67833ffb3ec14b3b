"""The checks that are slow and seldom fail, and with which files each has passed.

python tools/slow_checks.py                  print the checks that are due
python tools/slow_checks.py NAME COMMAND...  run a check, and note in .ci/checked that it has passed

A check is due if the files that it depends on are not those with which it has last passed, whatever the commits in
between. Only a pytest run that ends well, skips nothing, and during which these files stay as they are is noted.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

# What decides whether a check can pass, as far as the usual tests do not see it.
LINKS = ("lnpbrian/models", "lnpbrian/experiments")
IN_SDIST = ("wheel", "layout", "models")
CUDA = (f"lnpbrian/network/engines/{name}.py" for name in ("cuda", "standalone", "keeper", "compiled", "devices"))
CHECKS = {
    "wheel": (
        "setup.cfg",
        "pyproject.toml",
        "MANIFEST.in",
        "conftest.py",
        *(f"tests/test_{name}.py" for name in IN_SDIST),
        *LINKS,
    ),
    "floors": ("setup.cfg", "Makefile", "tools/floors.py"),
    "3.13": ("setup.cfg", "Makefile"),
    "cuda": ("setup.cfg", "tests/test_cuda.py", "lnpbrian/lyapunov/device_twins.py", *CUDA),
    "readers": ("setup.cfg", "lnpbrian/network/nir.py", "tests/test_nir_readers.py"),
    "browser": ("lnpbrian/report/*.py", "lnpbrian/templates/*", "tests/test_report_browser.py", "tests/report_runs.py"),
}
RECORD = ".ci/checked"


def digest(root: Path, patterns: Sequence[str]) -> str:
    """Return a digest of the names and contents of files; a link counts as the file that it is without links."""
    found = hashlib.sha256()
    for pattern in patterns:
        paths = sorted(root.glob(pattern))
        if not paths:
            # An unpacked sdist lacks the links, and nothing else.
            found.update(f"{pattern} is missing\n".encode())
        for path in paths:
            content = path.readlink().as_posix().encode() if path.is_symlink() else path.read_bytes().strip()
            name = path.relative_to(root).as_posix()
            found.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return found.hexdigest()


def passed(root: Path) -> dict[str, str]:
    """Return the digests with which checks have passed."""
    record = root / RECORD
    lines = record.read_text().splitlines() if record.exists() else []
    return dict(line.split() for line in lines if line and not line.startswith("#"))


def due(root: Path) -> list[str]:
    """Return the checks that have not passed with the files as they are."""
    record = passed(root)
    return [name for name, patterns in CHECKS.items() if record.get(name) != digest(root, patterns)]


def note(root: Path, name: str, value: str) -> None:
    """Write down with which files a check has passed."""
    record = {**passed(root), name: value}
    lines = [f"{check} {record[check]}" for check in CHECKS if check in record]
    (root / RECORD).write_text("# Written by tools/slow_checks.py, never by hand.\n" + "\n".join(lines) + "\n")


def counts(report: Path) -> tuple[int, int]:
    """Return how many tests a JUnit report has, and how many of them did not pass."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))
    tests, *others = (
        sum(int(suite.get(what, 0)) for suite in suites) for what in ("tests", "errors", "failures", "skipped")
    )
    return tests, sum(others)


def check(root: Path, name: str, command: Sequence[str]) -> int:
    """Run a check, note it if it has passed, and return its exit status."""
    before = digest(root, CHECKS[name])
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        status = subprocess.run([*command, f"--junit-xml={report}"], check=False).returncode
        if status != 0:
            return status
        tests, not_passed = counts(report)
    if tests == 0 or not_passed:
        print(f"{name} is not noted as passed: {not_passed} of {tests} tests did not run to their end", file=sys.stderr)
    elif digest(root, CHECKS[name]) != before:
        print(f"{name} is not noted as passed: its files have changed meanwhile", file=sys.stderr)
    else:
        note(root, name, before)
    return 0


def main(root: Path, arguments: Sequence[str]) -> int:
    """Print what is due, or run a check."""
    if not arguments:
        print(*due(root), sep="\n")
        return 0
    name, *command = arguments
    if name not in CHECKS or not command:
        print(f"give one of {', '.join(CHECKS)}, and the command that runs it", file=sys.stderr)
        return 2
    return check(root, name, command)


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent.parent, sys.argv[1:]))
