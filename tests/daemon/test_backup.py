"""Copies of a log: made while the daemon writes, put back, moved, read elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.clients import Connect, logging_on
from tests.daemon_process import running

OPTIONS = ("--file", "logs/logd_%d.log", "--rotate-lines", "2000", "--rotate-count", "1000")


def numbers(text: str) -> list[int]:
    """The numbers of the records in a log."""
    return [int(number) for number in re.findall(r"record (\d+)\b", text)]


def logd(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "logd", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_copy_of_a_running_log_goes_on(tmp_path: Path, connect: Connect) -> None:
    """It has all that was acknowledged before, once, and a daemon takes it up."""
    first, copy = tmp_path / "first", tmp_path / "copy"
    first.mkdir()
    with running(*OPTIONS, folder=first) as daemon:
        log = connect(daemon.port)
        with logging_on(log, "record"):
            while len(list(first.glob("logs/logd_*.log"))) < 3:
                log.flush(60)
            acknowledged = log.flush(60).sequence
            shutil.copytree(first / "logs", copy / "logs", ignore=shutil.ignore_patterns("*.sock"))
        assert log.flush(60)
    with running(*OPTIONS, folder=copy) as daemon:
        other = connect(daemon.port)
        other("record 10000000")
        assert other.flush(60)
        assert daemon.stop() == 0
        kept = numbers(daemon.log_text())
    assert kept[-1] == 10_000_000
    assert kept[:-1] == list(range(len(kept) - 1))
    assert len(kept) > acknowledged
    # What came while it was copied may be in the copy's journal, and not in the copy's file.
    found = logd("verify", "--file", "logs/logd_%d.log", folder=copy).stdout.splitlines()
    reasons = [line for line in found if line.startswith(" ")]
    assert [line for line in reasons if "the journal counted" not in line] == []
    assert len(reasons) <= 1


def test_a_moved_log_is_taken_up(tmp_path: Path, connect: Connect) -> None:
    """Its order, its marks and its numbers are those of before."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    with running(*OPTIONS, folder=old) as daemon:
        log = connect(daemon.port)
        for number in range(5000):
            log(f"record {number}")
        assert log.flush(60)
        port = daemon.port
        daemon.stop()
    old.rename(new)
    log("record 5000")
    with running(*OPTIONS, folder=new, port=port) as daemon:
        assert log.flush(60)
        daemon.stop()
        assert numbers(daemon.log_text()) == list(range(5001))


def test_a_copy_without_journal_is_read(tmp_path: Path, connect: Connect) -> None:
    """Whoever gets some files of a log can search them."""
    with running(*OPTIONS, folder=tmp_path) as daemon:
        log = connect(daemon.port)
        for number in range(5000):
            log(f"record {number}")
        assert log.flush(60)
        daemon.stop()
    some = tmp_path / "some"
    some.mkdir()
    for name in ("logd_0.log", "logd_2.log"):
        shutil.copy(tmp_path / "logs" / name, some)
    found = logd("query", "--file", "some/logd_%d.log", "--count", folder=tmp_path)
    assert (found.returncode, found.stdout) == (0, "3000\n")
