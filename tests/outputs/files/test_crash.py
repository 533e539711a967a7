"""Files after the death of the process at each step, and after that of the machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import logd.outputs.files
from tests.outputs.output_making import entries_of, log_files

TOTAL = 60
SOURCES = Path(logd.outputs.files.__file__).parent
FAILPOINTS = sorted(
    {
        name
        for source in SOURCES.glob("*.py")
        for name in re.findall(r'failpoint\("([\w.]+)"\)', source.read_text())
    }
)
OF_PLAIN_NAMES = {"rotation.before_rename", "rotation.before_plain"}
KILLED = -9


class Runner:
    """The process that runs jobs in its children."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.outputs.crash_runner"],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder: Path, **changes: Any) -> int:
        """Run one job; returns the exit status, or minus the signal that ended it."""
        job = {
            "folder": str(folder),
            "failpoints": "",
            "pattern": "app_%d.log",
            "torn": 0,
            "total": TOTAL,
            "lines": 10,
            "count": 100,
            "compress": "gzip",
            "durable": True,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({**job, **changes}), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """One process that forks a child for each job."""
    runner = Runner()
    yield runner
    runner.close()


def check_log(folder: Path, pattern: str = "app_%d.log") -> None:
    """Each client's records are there once, in order, and every full file is full."""
    paths = log_files(folder, pattern)
    found = entries_of(paths)
    for client in ("aaaa", "bbbb"):
        own = [text for text in found if text.startswith(client)]
        assert own == [f"{client} record {number}" for number in range(1, TOTAL + 1)]
    assert len(found) == 2 * TOTAL
    hidden = {path.name for path in folder.iterdir() if path.name.startswith(".")}
    allowed = {f".{pattern}.journal", f".{pattern}.lock"}
    assert hidden == allowed


def test_all_steps_have_failpoints() -> None:
    """The points that the next tests die at are found in the sources."""
    assert len(FAILPOINTS) >= 20


@pytest.mark.parametrize("name", FAILPOINTS)
@pytest.mark.parametrize("hit", [1, 3])
def test_kill_at_each_step(name: str, hit: int, runner: Runner, tmp_path: Path) -> None:
    """Killed at any step, the next start neither loses nor repeats a record nor leaves half one."""
    pattern = "app.log" if name in OF_PLAIN_NAMES else "app_%d.log"
    status = runner.run(tmp_path, pattern=pattern, failpoints=f"{name}=kill@{hit}")
    if hit == 1 and name != "files.within_write":  # which only a nearly full disk reaches
        assert status == KILLED
    assert status in (KILLED, 0)
    assert runner.run(tmp_path, pattern=pattern) == 0
    check_log(tmp_path, pattern)


@pytest.mark.parametrize("name", [n for n in FAILPOINTS if n.startswith(("rotation.", "comp"))])
def test_kill_while_a_plain_name_moves_on(name: str, runner: Runner, tmp_path: Path) -> None:
    """Killed at any step of a rotation that renames, the log is whole and ends in `app.log`."""
    runner.run(tmp_path, pattern="app.log", failpoints=f"{name}=kill@2")
    assert runner.run(tmp_path, pattern="app.log") == 0
    check_log(tmp_path, "app.log")
    assert log_files(tmp_path, "app.log")[-1].name == "app.log"


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("block", [1, 2, 7])
def test_kill_within_a_write(block: int, durable: bool, runner: Runner, tmp_path: Path) -> None:
    """Half a block is cut off, kept aside, and written again as a whole."""
    assert runner.run(tmp_path, torn=block, durable=durable) == KILLED
    assert runner.run(tmp_path, durable=durable) == 0
    check_log(tmp_path)
    torn = [path for path in tmp_path.iterdir() if path.name.endswith(".torn")]
    assert len(torn) == 1
    assert torn[0].stat().st_size > 0


def test_kill_again_and_again(runner: Runner, tmp_path: Path) -> None:
    """Killed at every third block over many starts, the log grows without a gap."""
    kills = 0
    while (status := runner.run(tmp_path, failpoints="files.after_write=kill@3")) == KILLED:
        kills += 1
        assert kills < 50
    assert status == 0
    assert kills >= 5
    check_log(tmp_path)


@pytest.mark.parametrize(
    "name", ["rotation.before_way", "rotation.before_create", "rotation.after"]
)
def test_kill_in_a_small_ring(name: str, runner: Runner, tmp_path: Path) -> None:
    """Where files are overwritten in turn, the newest records stand in order and none twice."""
    assert runner.run(tmp_path, failpoints=f"{name}=kill@11", count=3, compress="none") == KILLED
    assert runner.run(tmp_path, count=3, compress="none") == 0
    found = entries_of(log_files(tmp_path))
    for client in ("aaaa", "bbbb"):
        own = [text for text in found if text.startswith(client)]
        assert own == [f"{client} record {n}" for n in range(TOTAL - len(own) + 1, TOTAL + 1)]
    assert 21 <= len(found) <= 30
