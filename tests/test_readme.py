"""The Python of the README runs as it stands, on smaller networks."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS)
def test_examples_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(code.replace("1000", "100"), {})


def test_there_are_examples():
    assert len(BLOCKS) >= 2


def test_linked_files_exist():
    root = Path(__file__).parent.parent
    links = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [link for link in links if "://" not in link and not (root / link).exists()]
    assert links
    assert not missing
