"""A wheel holds what the tree holds (make test-wheel; make test leaves it out)."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_wheel_holds_the_tree(tmp_path):
    # A copy, since a build leaves its folder in the tree.
    ignored = shutil.ignore_patterns(".*", "build", "runs", "*.egg-info", "__pycache__")
    tree = shutil.copytree(ROOT, tmp_path / "tree", symlinks=True, ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(tree)],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("lnpbrian/")}
    expected = {"lnpbrian/py.typed"}
    for folder, _, names in os.walk(ROOT / "lnpbrian", followlinks=True):
        expected |= {str((Path(folder) / name).relative_to(ROOT)) for name in names if name.endswith(".py")}
    assert packed == expected
