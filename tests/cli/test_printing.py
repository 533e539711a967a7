"""Standard output of the commands: full disks behind it, damage before it."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

LINE = "2026-11-22T11:10:00.123+0000 E 1#1 hello\tMainThread\t\t\t\n"


@pytest.mark.parametrize("command", [["query"], ["query", "--count"], ["tail"], ["config"]])
def test_output_into_a_full_disk(command: list[str], tmp_path: Path) -> None:
    """A full disk behind standard output is told in one line, exit 1."""
    (tmp_path / "app_0.log").write_text(
        "2026-11-22T11:10:00.123+0000 E 1#1 hello\tMainThread\t\t\t\n"
    )
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "logd", *command, "--file", str(tmp_path / "app_%d.log")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == "logd: can't write to standard output: No space left on device\n"
    assert done.returncode == 1


def test_damage_ends_with_status_1(tmp_path: Path) -> None:
    """A log that can't be read to its end is shown as far as that goes, exit 1."""
    (tmp_path / "app_0.log.gz").write_bytes(gzip.compress(LINE.encode() * 9)[:-4])
    for command in (["query", "--count"], ["query", "--by", "cat"], ["tail"], ["query"]):
        done = subprocess.run(
            [sys.executable, "-m", "logd", *command, "--file", str(tmp_path / "app_%d.log")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert "app_0.log.gz can't be read to its end (it was cut off)" in done.stderr
        assert "9" in done.stdout or done.stdout.count("hello") == 9
