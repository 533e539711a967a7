"""The live feed: where it begins, what it sends, and what becomes of a follower that is slow."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from logd.daemon.feed import MAX_RECORDS, RECORDS_A_SLICE, Slice, Subscriber, encode
from logd.outputs.base import Output, OutputStatus
from logd.query.controlclient import ControlClient
from logd.query.positions import generation_of
from logd.records.batch import Batch
from logd.records.context import Context
from logd_client.log import Log
from tests.clients import Connect
from tests.daemon_process import running

PATIENCE_S = 60.0
PLACE = "logs/.logd-state/control.sock"


class NoOutput(Output):
    """An output that keeps nothing."""

    name = "nothing"

    def open(self) -> dict[bytes, int]:
        return {}

    def write(self, batches: Sequence[Batch]) -> None:
        pass

    def forget(self, clients: Sequence[bytes]) -> None:
        pass

    def status(self) -> OutputStatus:
        return OutputStatus("nothing")

    def close(self) -> None:
        pass


OUTPUT = NoOutput()


@contextmanager
def following(folder: Path, place: str = PLACE, **wanted: object) -> Iterator[Feed]:
    """A follower of the daemon in `folder`."""
    with ControlClient([folder / place], PATIENCE_S) as client:
        answer = client.ask({"do": "follow", **wanted})
        yield Feed(answer, client.lines())


class Feed:
    """What a follower gets: the answer first, then entries."""

    def __init__(self, answer: dict[str, Any], lines: Iterator[dict[str, Any]]) -> None:
        self.answer = answer
        self.lines = lines
        self.at: list[dict[str, Any]] = []

    def take(self, count: int) -> list[dict[str, Any]]:
        """The next entries; `at` gets where the log stood between them."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            line = next(self.lines)
            if "at" in line:
                self.at.append(line["at"])
            else:
                found.append(line)
        return found


def test_an_entry_has_all_of_its_record(tmp_path: Path, connect: Connect) -> None:
    """Text, time, place, sender and items come as they were logged."""
    with running(folder=tmp_path) as daemon, following(tmp_path) as feed:
        log = connect(daemon.port)
        log("two\nlines \udc80", "E", special={"user": "ann", "n": 3})
        (entry,) = feed.take(1)
        assert feed.answer["following"] is True
        assert entry["msg"] == "two\nlines \udc80"
        assert (entry["cat"], entry["special"]) == ("E", {"user": "ann", "n": 3})
        assert entry["cfunc"] == "test_an_entry_has_all_of_its_record"
        assert entry["path"].startswith("test_feed.py(")
        assert entry["threadname"] == threading.current_thread().name
        assert entry["ts"].startswith("20")
        assert isinstance(entry["time"], float)
        assert (entry["peer"], entry["msgid"] > 0, entry["pid"] > 0) == ("", True, True)


def test_categories_and_processes_are_selected(tmp_path: Path, connect: Connect) -> None:
    """A follower gets only what it asked for."""
    with (
        running(folder=tmp_path) as daemon,
        following(tmp_path, cats=["E", "W"]) as by_cat,
        following(tmp_path, pid=1) as by_pid,
        following(tmp_path) as everything,
    ):
        log = connect(daemon.port)
        for cat in "IEWIE":
            log(f"in {cat}", cat)
        assert [entry["msg"] for entry in by_cat.take(3)] == ["in E", "in W", "in E"]
        assert len(everything.take(5)) == 5
        assert daemon.stop() == 0
        assert [*by_pid.lines][-1] == {"ended": "the daemon stops"}


class Numbers(threading.Thread):
    """Logs numbers till it is told to stop."""

    def __init__(self, log: Log) -> None:
        super().__init__(daemon=True)
        self.log = log
        self.count = 0
        self.must_stop = threading.Event()

    def run(self) -> None:
        """Log at full speed."""
        while not self.must_stop.is_set():
            self.log(f"number {self.count}")
            self.count += 1


def numbers(text: str) -> list[int]:
    """The numbers in a log file."""
    return [int(line.split("\t")[0].rsplit(" ", 1)[1]) for line in text.splitlines()]


def test_the_position_in_a_file_is_exact(tmp_path: Path, connect: Connect) -> None:
    """Begun at full speed: the file up to the position, then the feed, is the log without a gap."""
    options = ("--rotate-lines", "5000", "--rotate-count", "1000")
    with running(*options, folder=tmp_path) as daemon:
        sender = Numbers(connect(daemon.port, buffer_bytes=1 << 18))
        sender.start()
        for _ in range(5):
            with following(tmp_path) as feed:
                position = feed.answer["position"]
                before = Path(position["file"]).read_bytes()[: position["size"]].decode()
                first = int(feed.take(1)[0]["msg"].split(" ")[1])
                if before:
                    assert numbers(before)[-1] == first - 1
                found = [int(entry["msg"].split(" ")[1]) for entry in feed.take(12_000)]
                assert found == list(range(first + 1, first + 1 + len(found)))
        sender.must_stop.set()
        sender.join(PATIENCE_S)


def test_the_position_in_a_table_is_exact(tmp_path: Path, connect: Connect) -> None:
    """The same for a database: rows up to the id, then the feed."""
    with running("--db", "sqlite:///x.db", "--rotate-lines", "3000", folder=tmp_path) as daemon:
        sender = Numbers(connect(daemon.port, buffer_bytes=1 << 18))
        sender.start()
        place = ".logd-state/control.sock"
        for _ in range(3):
            with following(tmp_path, place) as feed:
                position = feed.answer["position"]
                first = int(feed.take(1)[0]["msg"].split(" ")[1])
                with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
                    rows = connection.execute(
                        f'SELECT msg FROM "{position["table"]}" WHERE id = ?', (position["id"],)
                    ).fetchall()
                if rows:
                    assert rows == [(f"number {first - 1}",)]
                feed.take(2000)
        sender.must_stop.set()
        sender.join(PATIENCE_S)
        assert daemon.stop() == 0


def test_a_follower_goes_on_over_reloads_and_hears_of_the_end(
    tmp_path: Path, connect: Connect
) -> None:
    """Other settings for its output leave no gap in the feed; a removed output ends it."""
    settings = tmp_path / "logd.toml"
    settings.write_text("rotate_lines = 1000\n")
    with running("--config", "logd.toml", folder=tmp_path) as daemon, following(tmp_path) as feed:
        sender = Numbers(connect(daemon.port, buffer_bytes=1 << 18))
        sender.start()
        expected = 0
        with ControlClient([tmp_path / PLACE], PATIENCE_S) as control:
            for lines in (2000, 3000, 4000):
                settings.write_text(f"rotate_lines = {lines}\n")
                assert control.ask({"do": "reload"})["changed"] == ["rotate_lines"]
                for entry in feed.take(3000):
                    assert entry.get("msg") == f"number {expected}"
                    expected += 1
            sender.must_stop.set()
            sender.join(PATIENCE_S)
            settings.write_text('file = "logs/other_%d.log"\n')
            control.ask({"do": "reload"})
        *_, last = feed.lines
        assert last == {"ended": "output file logs/logd_%d.log was removed by a reload"}


def test_followers_get_the_last_entries_of_a_stop(tmp_path: Path, connect: Connect) -> None:
    """What is written in the drain is sent, then the end is told."""
    with running(folder=tmp_path) as daemon, following(tmp_path) as feed:
        log = connect(daemon.port)
        for number in range(3000):
            log(f"number {number}")
        assert log.flush(PATIENCE_S)
        daemon.signal(signal.SIGTERM)
        *entries, last = feed.lines
        assert daemon.wait() == 0
        assert last == {"ended": "the daemon stops"}
        found = [entry["msg"] for entry in entries if "msg" in entry]
        assert found == [f"number {n}" for n in range(3000)]
        # Behind the entries of each write stands where the log was by then.
        at = [entry["at"] for entry in entries if "at" in entry]
        path = tmp_path / "logs/logd_0.log"
        assert [place["size"] for place in at] == sorted(place["size"] for place in at)
        assert at[-1]["size"] == path.stat().st_size
        assert {place["generation"] for place in at} == {generation_of(path.read_bytes())}


def test_a_follower_that_sleeps_holds_nobody_up(tmp_path: Path, connect: Connect) -> None:
    """What a sleeper missed is told as a number; together with what it got it is all there was."""
    count = 3 * MAX_RECORDS
    with running(folder=tmp_path) as daemon, following(tmp_path) as feed:
        log = connect(daemon.port, buffer_bytes=1 << 30)
        text = "x" * 200
        for number in range(count):
            log(f"{number} {text}")
        assert log.flush(PATIENCE_S)
        got = skipped = 0
        while got + skipped < count:
            (line,) = feed.take(1)
            got += "msg" in line
            skipped += line.get("skipped", 0)
        assert got + skipped == count
        assert skipped > 0


def test_a_follower_that_sleeps_does_not_hold_up_the_stop(tmp_path: Path, connect: Connect) -> None:
    """A stop ends although a follower reads nothing."""
    with running(folder=tmp_path) as daemon, following(tmp_path):
        log = connect(daemon.port)
        for number in range(5000):
            log(f"{number} {'x' * 200}")
        assert log.flush(PATIENCE_S)
        assert daemon.stop(timeout=60) == 0


def batch(*texts: str, cat: str = "I") -> Batch:
    """Records of one place."""
    context = Context(7, 1, "t", cat, (("/a/b.py", 5),), 1, "f")
    count = len(texts)
    return Batch([context], [0] * count, range(count), [1.5] * count, texts)


async def test_what_is_left_out_is_told_in_its_place() -> None:
    """The number stands before the first record after the gap; memory stays bounded."""
    follower = Subscriber(asyncio.get_running_loop(), None, None)
    one = batch(*map(str, range(1000)))
    for _ in range(MAX_RECORDS // 1000 + 7):
        follower([one], OUTPUT)
    got = 0
    while got < MAX_RECORDS:
        part = follower.take()
        assert part is not None
        assert part.skipped == 0
        assert len(part.rows) <= RECORDS_A_SLICE
        got += len(part.rows)
    assert got == MAX_RECORDS
    follower([batch("after")], OUTPUT)
    part = follower.take()
    while part is not None and part.batch is None:
        part = follower.take()
    assert part is not None
    assert (part.skipped, list(part.rows)) == (7000, [0])
    assert follower.take() == Slice(0, None, (), {})
    assert follower.take() is None
    await asyncio.sleep(0)


async def test_what_is_left_out_at_last_is_told_too() -> None:
    """A gap that no record follows is told as well."""
    follower = Subscriber(asyncio.get_running_loop(), None, None)
    one = batch(*map(str, range(MAX_RECORDS)))
    follower([one, one], OUTPUT)
    while (part := follower.take()) is not None and part.batch is not None:
        pass
    assert part == Slice(MAX_RECORDS, None, ())


async def test_only_rows_that_are_wanted_wait() -> None:
    """Contexts decide: of a batch with two, one follower wants half, the other nothing."""
    loop = asyncio.get_running_loop()
    contexts = [Context(7, 1, "t", cat, (), 1, "f") for cat in "IE"]
    mixed = Batch(contexts, [0, 1, 0, 1], range(4), [1.0] * 4, list("abcd"))
    errors, warnings = Subscriber(loop, ["E"], 7), Subscriber(loop, ["W"], None)
    for follower in (errors, warnings):
        follower([mixed], OUTPUT)
    part = errors.take()
    assert part is not None
    assert list(part.rows) == [1, 3]
    assert warnings.take() is None
    await asyncio.sleep(0)


@pytest.mark.parametrize("text", ["plain", "two\nlines", "\0\x1b", "\udc80 lone", "ü€😀"])
def test_any_text_is_one_line_of_json(text: str) -> None:
    """Whatever a message contains, it is one line that reads back as it was."""
    data = encode(Slice(3, batch("before", text), range(2)))
    skipped, _, entry = map(json.loads, data.splitlines())
    assert skipped == {"skipped": 3}
    assert entry["msg"] == text
    assert entry["path"] == "b.py(5)"
    assert data.count(b"\n") == 3
