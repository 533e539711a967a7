"""Standard output of the commands: full disks behind it, damage before it."""

from __future__ import annotations

import gzip
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from logd.query.patience import LIMIT_S

LINE = "2026-11-22T11:10:00.123+0000 E 1#1 hello\tMainThread\t\t\t\n"
LINES = 5000
"""More than a pipe holds."""


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


@pytest.mark.parametrize(
    ("closed", "said", "status"),
    [
        (">&-", "logd: can't write to standard output: Bad file descriptor\n", 1),
        ("2>&-", "", 0),
        ("<&-", "logd: --limit left out 1 more entry, the next of", 0),
    ],
)
def test_closed_streams(closed: str, said: str, status: int, tmp_path: Path) -> None:
    """Output that is closed is an error of one line; nothing else needs the other streams."""
    (tmp_path / "app_0.log").write_text(LINE * 2)
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "-", sys.executable, "-m", "logd", "query", "-1",
         "--file", str(tmp_path / "app_%d.log")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.stderr.startswith(said)
    assert (done.stderr.count("\n"), done.returncode) == (bool(said), status)
    assert done.stdout == ("" if status else LINE)


def _query_of(folder: Path, output: int, unbuffered: str) -> subprocess.Popen[str]:
    """`logd query` of a log of many lines, which goes into a pipe; closes that here."""
    (folder / "app_0.log").write_text(LINE * LINES)
    process = subprocess.Popen(
        [sys.executable, "-m", "logd", "query", "--file", str(folder / "app_%d.log")],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(output)
    return process


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_does_not_wait(unbuffered: str, tmp_path: Path) -> None:
    """Into a pipe that another program has told not to wait, all is written all the same."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = _query_of(tmp_path, writing, unbuffered)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    assert process.communicate(timeout=60)[1] == ""
    assert (process.returncode, data) == (0, LINE.encode() * LINES)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_is_read_slowly(unbuffered: str, tmp_path: Path) -> None:
    """The clock of `Patience` rings while a slow reader lets a write wait: nothing is lost."""
    reading, writing = os.pipe()
    process = _query_of(tmp_path, writing, unbuffered)
    with os.fdopen(reading, "rb") as pipe:
        assert select.select([pipe], [], [], 60)[0]
        time.sleep(1.5 * LIMIT_S / 4)
        data = pipe.read()
    assert process.communicate(timeout=60)[1] == ""
    assert (process.returncode, data) == (0, LINE.encode() * LINES)


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
