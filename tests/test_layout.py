"""The layout stays as designed: packages, their import direction, and a list of them in setup.cfg that is complete."""

import ast
import configparser
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import lnpbrian

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lnpbrian"

# Folders beside lnpbrian that are imported from inside it.
BESIDE = ("models", "experiments")

# What each package may import from: the claim of the method is that pruning sees no data of a task.
MAY_IMPORT = {
    "network": set(),
    "models": {"network"},
    "lyapunov": {"network", "models"},
    "pruning": {"network", "models", "lyapunov"},
    "learning": {"network"},
}
# Modules beside the packages that stand on none of them.
BASE = {"_version", "checks", "files", "locks", "options", "parallel", "process", "records", "streams"}


def sources():
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for folder in BESIDE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, folder


def imports(path: Path) -> set[str]:
    """Return the packages, and the modules beside them, that a module imports from."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lnpbrian":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found - {"__version__"}


@pytest.mark.parametrize(("path", "home"), list(sources()), ids=lambda x: str(getattr(x, "name", x)))
def test_packages_import_as_the_method_claims(path, home):
    if home in MAY_IMPORT:
        assert imports(path) <= MAY_IMPORT[home] | BASE | {home}
    if home in BASE:
        assert imports(path) <= BASE


def test_modules_do_not_import_from_the_face_of_their_own_package():
    guilty = set()
    for path, home in sources():
        modules = {other.stem for other, room in sources() if room == home}
        for node in ast.walk(ast.parse(path.read_text())):
            if path.name != "__init__.py" and isinstance(node, ast.ImportFrom) and node.module == f"lnpbrian.{home}":
                guilty |= {f"{path.name}: {alias.name}" for alias in node.names} if home in MAY_IMPORT else set()
                guilty -= {f"{path.name}: {name}" for name in modules}
    assert not guilty


def test_import_loads_nothing_that_is_not_needed_yet():
    heavy = ("networkx", "skopt", "sklearn", "ot", "jax", "distributed", "brian2cuda")
    packages = "lnpbrian, lnpbrian.learning, lnpbrian.models"
    code = f"import sys, {packages}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["", *(f".{name}" for name in MAY_IMPORT)])
def test_public_names_are_there_and_sorted(package):
    module = importlib.import_module(f"lnpbrian{package}")
    names = getattr(module, "__all__", [])
    # As Ruff has it: what is all capitals, other classes, functions.
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert all(hasattr(module, name) for name in names)


def test_only_one_module_touches_private_attributes_of_brian2():
    marks = ("._registered_variables", "._pathways", "._queue", "._full_state", "._resize")
    guilty = {
        p.name for p, _ in sources() for mark in marks if mark in p.read_text() and p.name != "brian2_internals.py"
    }
    assert not guilty


def test_setup_lists_every_package():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = setup["options"]["packages"].split()
    assert len(listed) == len(set(listed))
    folders = {path.parent for path, _ in sources() if path.name == "__init__.py"}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(listed) == {name if name.startswith("lnpbrian") else f"lnpbrian.{name}" for name in names}
    places = dict(line.split(" = ") for line in setup["options"]["package_dir"].strip().splitlines())
    assert places == {f"lnpbrian.{folder}": folder for folder in BESIDE}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an sdist has no links")
def test_links(name):
    link = PACKAGE / name
    assert link.is_symlink()
    assert link.resolve() == ROOT / name


def test_one_identity_per_class():
    seen = {}
    for info in pkgutil.walk_packages(lnpbrian.__path__, "lnpbrian."):
        if info.name == "lnpbrian.__main__":
            continue
        for name, value in vars(importlib.import_module(info.name)).items():
            if isinstance(value, type) and value.__module__.startswith("lnpbrian"):
                assert seen.setdefault((value.__module__, value.__qualname__), value) is value, name
    assert not any(module.split(".")[0] in ("models", "experiments") for module, _ in seen)
