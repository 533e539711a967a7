"""Dead letters: records that an output refused for their content."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

import pytest

from logd.outputs.deadletters import DeadLetter, DeadLetterFile, read_lines
from logd.records.entry import Entry
from logd.records.shape import NAMES
from logd_client.fallback import keep
from logd_client.records import Context, Row
from tests.outputs.output_making import Clock, make_batch


def letters_in(path: Path) -> list[DeadLetter]:
    """The records of a file, in the order they were refused."""
    return [letter for _, letter in read_lines(path) if letter is not None]


def test_record_can_be_read_again(tmp_path: Path) -> None:
    """Time, output, reason, peer and the 11 items of a record come back, whatever its text."""
    letters = DeadLetterFile(tmp_path / "dead", clock=Clock(5.0))
    batch = make_batch(
        ["fine", "nul \0 and \ud800 and \u2028\n"], special={1: {"user": "ann", "n": 3}}, peer="::1"
    )
    letters.put(batch, 1, "no room", "db sqlite://")
    assert letters.kept == 1
    (letter,) = letters_in(letters.path)
    assert (letter.time, letter.output, letter.reason) == (5.0, "db sqlite://", "no room")
    assert letter.peer == "::1"
    assert letter.record == (
        2,
        4711,
        1,
        "MainThread",
        1_790_000_000.0,
        "nul \0 and \ud800 and \u2028\n",
        "E",
        (("/srv/app/views.py", 42),),
        7,
        "charge",
        {"user": "ann", "n": 3},
    )
    assert letters.path.stat().st_mode & 0o777 == 0o640
    assert letters.path.read_bytes().isascii()


def test_a_letter_has_the_one_shape_of_a_record(tmp_path: Path) -> None:
    """As the live feed, `--json` and webhooks; with what it takes to send it; so do clients'."""
    letters = DeadLetterFile(tmp_path / "dead")
    letters.put(make_batch(["text"], special={0: {"n": 3}}, peer="::1"), 0, "no room", "db")
    record = json.loads(letters.path.read_bytes())["record"]
    assert tuple(record) == (*NAMES, "levels", "tblen")
    assert record["path"] == "views.py(42)"
    entry = Entry.from_feed(record)
    assert (entry.msg, entry.peer, entry.special) == ("text", "::1", {"n": 3})
    context = Context((4711, 1, "MainThread", "E", (("/srv/app/views.py", 42),), 7, "charge"))
    keep([Row(context, 1, record["time"], "text", ("n", 3))], tmp_path / "client", "no server")
    (ours,) = letters_in(letters.path)
    (clients,) = letters_in(tmp_path / "client")
    assert clients.record == ours.record
    kept = json.loads((tmp_path / "client").read_bytes())["record"]
    assert kept == {**record, "peer": "", "ts": ""}


def test_letters_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """Their records are lists of 11 items."""
    row = [2, 7, 1, "t", 1.5e9, "text", "E", [["a.py", 3], [None, None]], 0, "f", {"n": 3}]
    letter = {"time": 1.6e9, "output": "db", "reason": "odd", "peer": "::1", "record": row}
    (tmp_path / "dead").write_text(json.dumps(letter) + "\n")
    (read,) = letters_in(tmp_path / "dead")
    assert read.peer == "::1"
    assert read.record == (*row[:7], (("a.py", 3), (None, None)), *row[8:])


def test_file_has_a_largest_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What does not fit is counted and reported once a minute."""
    clock = Clock(5.0)
    letters = DeadLetterFile(tmp_path / "dead", limit_bytes=1000, clock=clock)
    batch = make_batch(["x" * 100])
    for _ in range(20):
        letters.put(batch, 0, "reason", "db")
    assert letters.path.stat().st_size <= 1000
    assert letters.kept + letters.lost == 20
    assert letters.kept == len(list(letters_in(letters.path)))
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1
    clock.now += 60
    letters.put(batch, 0, "reason", "db")
    assert len(caplog.records) == 2


def test_disk_that_refuses_does_not_stop_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that can't be had is reported, the record counted as lost."""
    (tmp_path / "file").write_text("")
    letters = DeadLetterFile(tmp_path / "file" / "dead")
    letters.put(make_batch(["x"]), 0, "reason", "db")
    assert letters.lost == 1
    assert "Not a directory" in caplog.text


def test_half_a_line_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A line that a crash tore, or that is none, harms no other one."""
    letters = DeadLetterFile(tmp_path / "dead")
    letters.put(make_batch(["one"]), 0, "reason", "db")
    line = letters.path.read_bytes()
    letters.path.write_bytes(line + b"[]\n" + b'{"record": [1]}\n' + line[:40])
    letters.put(make_batch(["two"]), 0, "reason", "db")
    found = [letter.record[5] for letter in letters_in(letters.path)]
    assert found == ["one", "two"]
    assert len(caplog.records) == 3


def test_outputs_share_a_file(tmp_path: Path) -> None:
    """Threads of several outputs don't mix their lines."""
    letters = DeadLetterFile(tmp_path / "dead")
    batch = make_batch([str(number) for number in range(20)])

    def put_all(output: str) -> None:
        for row in range(len(batch)):
            letters.put(batch, row, "reason", output)

    threads = [threading.Thread(target=put_all, args=(f"db {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in letters.path.read_text().splitlines()]
    assert len(lines) == letters.kept == 80


def test_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    """The folder may stand in a log folder that someone replaced while the daemon runs."""
    letters = DeadLetterFile(tmp_path / "logs" / "state" / "dead")
    letters.put(make_batch(["a"]), 0, "reason", "db")
    assert (letters.kept, letters.lost) == (1, 0)
    assert letters.path.parent.stat().st_mode & 0o777 == 0o750
