"""`logd replay`: dead letters sent once more."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Serve = Callable[..., Any]


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """A file with two dead letters, and half of one between them."""
    path = tmp_path / "dead-letters.jsonl"
    record: list[Any] = [5, 42, 1, "worker", 1.5e9, "first", "E", [["a.py", 3]], 1, "f", {"n": 1}]
    letter = {"time": 1.6e9, "output": "db x", "reason": "too odd", "peer": "", "record": record}
    other = {**letter, "record": [*record[:5], "second\udcff", *record[6:]]}
    path.write_text(f"{json.dumps(letter)}\n{json.dumps(letter)[:40]}\n{json.dumps(other)}\n")
    return path


def test_records_come_as_they_were(logd: Command, serve: Serve, letters: Path) -> None:
    """Records keep process, thread, time, path and items; the file stays; a torn line is named."""
    daemon = serve("--timestamp", "%Y")
    done = logd("replay", letters.name, "--port", str(daemon.port))
    assert done.stdout == "dead-letters.jsonl: 2 records sent and stored\n"
    assert "line 2: not a dead letter" in done.stderr
    assert "no dead letter and was not sent: kept in dead-letters.jsonl\n" in done.stderr
    assert done.returncode == 1
    first, second = daemon.log.splitlines()
    assert first == "2017 E 42#5 first\t000000 1\tworker\tf\ta.py(3)\tn=1"
    assert "second\\udcff" in second
    assert letters.exists()


def test_remove(logd: Command, serve: Serve, letters: Path) -> None:
    """With --remove the file is gone once all is stored; what is no letter stays, exit 1."""
    daemon = serve()
    half = letters.read_bytes().splitlines(keepends=True)[1]
    for kept in (half, half + half):
        content = letters.read_bytes()
        done = logd("replay", letters.name, "--remove", "--port", str(daemon.port))
        assert done.returncode == 1
        assert "kept in dead-letters.jsonl.not-sent" in done.stderr
        assert [path.name for path in letters.parent.glob("dead-letters*")] == [
            "dead-letters.jsonl.not-sent"
        ]
        assert letters.with_name("dead-letters.jsonl.not-sent").read_bytes() == kept
        letters.write_bytes(content)
    letters.write_bytes(content.replace(half, b""))
    assert logd("replay", letters.name, "--remove", "--port", str(daemon.port)).returncode == 0
    assert not letters.exists()


def test_a_file_of_something_else_is_not_removed(
    logd: Command, serve: Serve, tmp_path: Path
) -> None:
    """A file without any dead letter stays where it is, and as it is."""
    daemon = serve()
    path = tmp_path / "notes.txt"
    path.write_text("my only copy\nof two lines")
    done = logd("replay", path.name, "--remove", "--port", str(daemon.port))
    assert done.returncode == 1
    assert "2 lines are no dead letters and were not sent: kept in notes.txt" in done.stderr
    assert path.read_text() == "my only copy\nof two lines"
    assert done.stdout == ""


def test_nothing_is_removed_unless_stored(logd: Command, serve: Serve, letters: Path) -> None:
    """What could not be delivered stays under the name of a replay, to be taken up again."""
    done = logd("replay", letters.name, "--remove", "--socket", "nowhere", "--timeout", "0.3")
    assert done.returncode == 1
    assert "2 records not delivered" in done.stderr
    left = letters.with_name("dead-letters.jsonl.replaying")
    assert left.exists()
    letters.write_text("")
    again = logd("replay", letters.name, "--remove", "--socket", "nowhere")
    assert "left from an earlier replay" in again.stderr
    daemon = serve()
    assert logd("replay", left.name, "--remove", "--port", str(daemon.port)).returncode == 1
    assert not left.exists()
    assert len(daemon.log.splitlines()) == 2
