"""The straightforward implementation that iterations are timed against ends with the same network."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "bench_lnp.py"


@pytest.mark.skipif(not BENCHMARK.exists(), reason="benchmarks are not in the sdist")
def test_formulas_as_they_read_end_with_the_same_network(tmp_path):
    out = tmp_path / "found.json"
    arguments = ["--sections", "naive", "--naive-neurons", "100", "--out", str(out)]
    # It raises if the two differ.
    subprocess.run(
        [sys.executable, str(BENCHMARK), *arguments], check=True, capture_output=True, cwd=BENCHMARK.parents[1]
    )
    (whole,) = (row for row in json.loads(out.read_text())["rows"] if "largest_relative_differences" in row)
    assert set(whole["largest_relative_differences"]) == {"lyapunov", "covariance", "betweenness", "weights"}
