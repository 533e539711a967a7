"""The benchmarks run: next to nothing of the two that need no service, in the real program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_smallest_run_verifies_its_output_and_prints_its_table(tmp_path: Path) -> None:
    """logd's and the standard receiver's lines are compared byte for byte and get their figures."""
    result = tmp_path / "rows.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bench", "--smoke"),
            *("--only", "frames", "--json", str(result)),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| task")
    rows = json.loads(result.read_text())
    figures = {row["contender"]: row["median"] for row in rows if row["unit"] == "records/s"}
    assert set(figures) == {"logd", "standard library", "standard library, buffered"}
    assert all(figures.values()), done.stdout + done.stderr
