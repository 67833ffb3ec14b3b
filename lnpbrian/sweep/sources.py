"""What code a function is: the sources that its module stands on, and the versions of what is installed.

Sources are those of this package and of every other module that is not installed: a script, what lies beside it, a
package in development. They are found by reading import statements, at any depth, without importing anything.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path

from lnpbrian._version import __version__
from lnpbrian.records import versions

__all__ = ["Code", "code_of"]

_ABSENT = "absent"
PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class Code:
    """The code that a result is made by.

    Attributes
    ----------
    sources : Mapping of str to str
        Digest of the source of each module, by its name.
    versions : Mapping of str to str
        Of Python, of this package and of those that are installed, by their names.

    Notes
    -----
    Digests are SHA-256 (FIPS 180-4, 2015), cut to 16 digits.

    Examples
    --------
    >>> one = Code({"a": "12", "b": "34"}, {"numpy": "2.2.0"})
    >>> one.difference(Code({"a": "12", "b": "56"}, {"numpy": "2.3.0"}))
    'b, numpy 2.2.0 instead of 2.3.0'
    >>> one.difference(one)
    ''
    """

    sources: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def digest(self) -> str:
        """What equal code has in common."""
        text = repr((sorted(self.sources.items()), sorted(self.versions.items())))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def difference(self, other: Code) -> str:
        """Return what is not as in `other`; empty if all is."""
        modules = sorted({name for name, _ in {*self.sources.items()} ^ {*other.sources.items()}})
        packages = sorted({name for name, _ in {*self.versions.items()} ^ {*other.versions.items()}})
        more = [f"{len(modules) - 3} more modules"] if len(modules) > 3 else []
        return ", ".join(
            [
                *(*modules[:3], *more),
                *(f"{k} {self.versions.get(k, _ABSENT)} instead of {other.versions.get(k, _ABSENT)}" for k in packages),
            ]
        )

    def here(self) -> Code:
        """Return what this process has of the same modules and packages."""
        found = {name: _spec(name) for name in self.sources}
        sources = {name: _digest(_read(spec)) if spec else _ABSENT for name, spec in found.items()}
        return Code(sources, {name: _version(name) for name in self.versions})


def code_of(module: str) -> Code:
    """Return the code that `module` stands on, as the files are now.

    Parameters
    ----------
    module : str
        Name of a module, which need not be imported; one that is not there has no sources.

    Examples
    --------
    >>> code = code_of("lnpbrian.streams")
    >>> "lnpbrian.streams" in code.sources, "lnpbrian.cli" in code.sources, "numpy" in code.versions
    (True, False, True)
    """
    sources: dict[str, str] = {}
    packages = {name for name in versions() if name not in (PACKAGE, "python")}
    # How a task reaches its worker decides nothing, nor how results are drawn.
    seen, waiting = {module, f"{PACKAGE}.sweep.cluster", f"{PACKAGE}.experiments.common.plotting"}, [module]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names and top != module:
            continue
        spec = _spec(top)
        if spec is None:
            continue
        if top != PACKAGE and _is_installed(spec):
            packages |= {package.lower() for package in _distributions().get(top, ())}
            continue
        spec = _spec(name)
        if spec is None:
            continue
        content = _read(spec)
        sources[name] = _digest(content)
        parents = [name.rpartition(".")[0]] if "." in name else []
        found = {*parents, *_imported(content, name, spec.submodule_search_locations is not None)} - seen
        seen |= found
        waiting += found
    return Code(sources, {name: _version(name) for name in ["python", PACKAGE, *sorted(packages)]})


def _spec(name: str) -> ModuleSpec | None:
    """Return where a module is, without importing what it lies in."""
    loaded = sys.modules.get(name)
    if file := getattr(loaded, "__file__", None):
        # A script has no specification of its own.
        return importlib.util.spec_from_file_location(name, file)
    parent, _, _ = name.rpartition(".")
    within = _spec(parent) if parent else None
    places = list(within.submodule_search_locations or ()) if within else []
    if parent and not places:
        return None
    try:
        specs = (finder.find_spec(name, places if parent else None) for finder in sys.meta_path)
        return next((spec for spec in specs if spec is not None), None)
    except KeyError:
        # A folder without __init__.py, in a package that is not imported.
        found = ModuleSpec(name, None, is_package=True)
        found.submodule_search_locations = [str(Path(place, name.rpartition(".")[2])) for place in places]
        return found


def _is_installed(spec: ModuleSpec) -> bool:
    places = [spec.origin or "", *(spec.submodule_search_locations or ())]
    return any({"site-packages", "dist-packages"} & set(Path(place).parts) for place in places)


def _read(spec: ModuleSpec) -> bytes:
    try:
        return Path(spec.origin or "").read_bytes()
    except OSError:
        return b""  # a folder without __init__.py


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@lru_cache(1000)
def _imported(content: bytes, name: str, is_package: bool) -> frozenset[str]:
    """Return the names of all that a source may import: ``from a import b`` has the module a, and perhaps a.b."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return frozenset()  # compiled, or for another Python
    package = name.split(".") if is_package else name.split(".")[:-1]

    def names() -> Iterator[str]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                yield source
                yield from (f"{source}.{alias.name}" for alias in node.names)

    return frozenset(names())


@cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@cache
def _version(package: str) -> str:
    if package == PACKAGE:
        return __version__
    if package == "python":
        return ".".join(platform.python_version_tuple()[:2])
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return _ABSENT
