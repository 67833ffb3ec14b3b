"""Print the oldest versions that setup.cfg allows, one requirement a line, for pip's constraints.

python tools/floors.py [EXTRA ...]
"""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Iterable
from pathlib import Path


def floors(setup: str, extras: Iterable[str] = ()) -> list[str]:
    """Return ``name==version`` of what a setup.cfg requires, and of what its extras do.

    >>> floors("[options]\\ninstall_requires = numpy >= 2.1\\n[options.extras_require]\\nbp = jax >= 0.8", ["bp"])
    ['numpy==2.1', 'jax==0.8']
    """
    config = configparser.ConfigParser()
    config.read_string(setup)
    lists = [config["options"]["install_requires"], *(config["options.extras_require"][extra] for extra in extras)]
    found = []
    for requirement in "\n".join(lists).split("\n"):
        if requirement.strip():
            match = re.fullmatch(r"([\w.-]+)\s*>=\s*([\w.]+)", requirement.strip())
            if match is None:
                raise SystemExit(f"setup.cfg: {requirement.strip()!r} has no floor; write it as 'name >= version'")
            found.append("==".join(match.groups()))
    return found


if __name__ == "__main__":
    print("\n".join(floors((Path(__file__).parent.parent / "setup.cfg").read_text(), sys.argv[1:])))
