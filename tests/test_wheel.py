"""Wheel and sdist hold what they should, whatever becomes of the links (make test-wheel; make test leaves it out)."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BESIDE = ("models", "experiments")


def leave(link):
    pass


def as_windows_makes_it(link):
    target = f"../{link.name}"
    link.unlink()
    link.write_text(target)


def copied_tree(folder: Path, change=leave) -> Path:
    # A build leaves folders in its tree.
    ignored = shutil.ignore_patterns(".git", ".venv", ".*cache", "build", "runs", "*.egg-info", "__pycache__")
    tree = shutil.copytree(ROOT, folder / "tree", symlinks=True, ignore=ignored)
    for name in BESIDE:
        link = tree / "lnpbrian" / name
        if not link.is_symlink():  # in an sdist
            link.symlink_to(f"../{name}", target_is_directory=True)
        change(link)
    return tree


def build(kind: str, tree: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "build", f"--{kind}", "--outdir", str(out), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (made,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


def modules_of_the_tree() -> set[str]:
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "lnpbrian").rglob("*.py")}
    for name in BESIDE:
        files |= {f"lnpbrian/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / name).rglob("*.py")}
    return files


@pytest.mark.parametrize("change", [leave, Path.unlink, as_windows_makes_it])
def test_wheel_holds_the_tree(tmp_path, change):
    wheel = build("wheel", copied_tree(tmp_path, change), tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("lnpbrian/")}
    assert packed == modules_of_the_tree() | {"lnpbrian/py.typed", "lnpbrian/templates/report.html"}


@pytest.mark.parametrize("change", [leave, Path.unlink, as_windows_makes_it])
def test_editable_install_imports_from_the_tree(tmp_path, change):
    tree = copied_tree(tmp_path, change)
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, "--editable", tree]
    subprocess.run(pip, check=True, capture_output=True)
    # What this tree is tested from is left out (-S reads no .pth), the packages it needs are not; they come last, since
    # the finder of an editable install has the same name in every environment.
    packages = [str(site), *(entry for entry in sys.path if entry.endswith("-packages"))]
    code = (
        f"import site, sys; sys.path += {packages!r}; import setuptools; site.addsitedir({str(site)!r}); "
        "from lnpbrian import experiments, models; print(experiments.__file__, models.__file__)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [Path(name).resolve().parents[1] for name in done.stdout.split()] == [tree.resolve()] * 2


def test_the_tests_of_an_sdist_run_in_it(tmp_path):
    archive = build("sdist", copied_tree(tmp_path), tmp_path)
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.glob("lnpbrian-*") if path.is_dir())
    tests = {path.name for path in (ROOT / "tests").glob("*.py")}
    assert {path.name for path in (unpacked / "tests").glob("*.py")} == tests
    assert (unpacked / ".ci" / "run").exists()
    assert (unpacked / "experiments" / "results" / "table2.json").exists()
    assert archive.stat().st_size < 8e6
    site = tmp_path / "site"
    wheel = build("wheel", unpacked, tmp_path)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    # In the unpacked tree, lnpbrian/ lacks models and experiments; in what was installed it has them.
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/test_layout.py",
            "tests/test_models.py",
        ],
        cwd=unpacked,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
