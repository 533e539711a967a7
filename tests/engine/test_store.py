"""From senders through an engine into rings: each record once, in order, whatever ends or dies."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from logd.engine.pieces import pack_message, pack_piece
from logd.records.batch import Batch
from logd_client import createClientLog
from tests.daemon_process import DaemonProcess
from tests.engine.daemons import ingest, numbered, store, texts
from tests.engine.engines import Engine
from tests.outputs.output_making import make_batch
from tests.waiting import wait_for

README = Path(__file__).parents[2] / "logd" / "README.md"
ONE = b"h1:session one.."


def test_records_arrive_once_and_in_order(engine: Engine, tmp_path: Path) -> None:
    """What a client logs stands in a ring of the store, as it does in a file without an engine."""
    with ingest(engine, tmp_path / "in") as daemon:
        receiver = store(engine, tmp_path / "out").wait_ready()
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            for number in range(1, 501):
                log(f"record {number}", "I", {"order": number})
            assert log.flush(60)
        wait_for(lambda: len(texts(tmp_path / "out")) >= 500, "all records")
        assert receiver.stop() == 0
    assert texts(tmp_path / "out") == numbered(1, 500)
    (line,) = [
        line
        for path in (tmp_path / "out").glob("log_*.log")
        for line in path.read_text().splitlines()
        if "record 77\t" in line
    ]
    assert "test_store" in line
    assert "order" in line


def test_a_killed_store_goes_on_where_its_ring_stands(engine: Engine, tmp_path: Path) -> None:
    """Killed between the write of records and everything after it, again and again."""
    out = tmp_path / "out"
    with ingest(engine, tmp_path / "in", partitions=1) as daemon:
        points = ("files.after_write=kill", "files.before_write=kill", "files.after_sync=kill")
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            for number in range(1, 101):
                log(f"record {number}")
                if number % 10 == 0:
                    assert log.flush(60)
                if number % 30 == 0:
                    # There is something to write whatever the one before got done.
                    dying = {"LOGD_FAILPOINTS": points[number // 30 - 1]}
                    assert store(engine, out, partitions="0", environment=dying).wait() < 0
        receiver = store(engine, out, partitions="0").wait_ready()
        wait_for(lambda: len(texts(out)) >= 100, "all records")
        assert receiver.stop() == 0
    assert texts(out) == numbered(1, 100)


def test_tables_of_partitions(engine: Engine, tmp_path: Path) -> None:
    """Each partition has tables of its own in one database, and a restart adds nothing."""
    out = tmp_path / "out"
    options = ("--db", "sqlite:///log.db", "--table-pattern", "log_%p_%d")

    def rows() -> list[str]:
        with (
            contextlib.suppress(sqlite3.OperationalError),
            contextlib.closing(sqlite3.connect(out / "log.db")) as db,
        ):
            found = []
            for partition in (0, 1):
                found += db.execute(f"select msg from log_{partition}_0 order by id").fetchall()
            return [text for (text,) in found if text.startswith("record")]
        return []

    with ingest(engine, tmp_path / "in") as daemon:
        for first in (1, 51):
            receiver = store(engine, out, *options).wait_ready()
            with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
                for number in range(first, first + 50):
                    log(f"record {number}")
                assert log.flush(60)
            wait_for(lambda last=first + 49: len(rows()) >= last, "all records")  # type: ignore[misc]
            assert receiver.stop() == 0
    assert sorted(rows()) == sorted(numbered(1, 100))


def test_the_logs_of_all_partitions_are_read_as_one(engine: Engine, tmp_path: Path) -> None:
    """`logd query` and `logd tail` show what is in every ring, files or tables, in time's order."""
    options = {
        "files": ("--file", "log_%p_%d.log"),
        "tables": ("--db", "sqlite:///log.db", "--table-pattern", "log_%p_%d"),
    }
    with ingest(engine, tmp_path / "in") as daemon:
        with contextlib.ExitStack() as stack:
            for number in range(1, 9):
                log = stack.enter_context(createClientLog("127.0.0.1", daemon.port, environ={}))
                assert log(f"record {number}", sync=60)
        # Eight sessions are in one partition once in 128 times: as good a case.
        for name, given in options.items():
            out = tmp_path / name
            source = engine.source(partitions="0-1", group=name)
            out.mkdir()
            receiver = DaemonProcess("--source", source, *given, folder=out, port=None)
            receiver.wait_ready()

            def shown(out: Path = out, given: tuple[str, ...] = given) -> list[str]:
                return read(out, "query", *given)

            wait_for(lambda shown=shown: len(shown()) >= 8, "all records")  # type: ignore[misc]
            assert shown() == numbered(1, 8)
            assert read(out, "tail", "-n", "3", *given) == numbered(6, 8)
            assert receiver.stop() == 0


def test_what_comes_into_an_engine_is_shown_at_once(engine: Engine, tmp_path: Path) -> None:
    """`logd tail -f --source` shows new records without a store, and tells the engine nothing."""
    with ingest(engine, tmp_path / "in") as daemon:
        logs = [createClientLog("127.0.0.1", daemon.port, environ={}) for _ in range(3)]
        for log in logs:
            assert log("before", sync=60)
        command = [sys.executable, "-m", "logd", "tail", "-f", "--json", "--grep", "record"]
        source = engine.source(partitions="0-1")
        tail = subprocess.Popen(
            [*command, "--source", source], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        assert tail.stdout is not None
        first: list[str] = []
        reader = threading.Thread(target=lambda: first.append(tail.stdout.readline()))  # type: ignore[union-attr]
        reader.start()
        # Where it begins is where it is by the time it has asked: until then nothing is promised.
        number = 0
        while reader.is_alive():
            for log in logs:
                number += 1
                log(f"record {number}", "W", {"number": number}, sync=60)
                log("left out", sync=60)
        for log in logs:
            log("the last record", sync=60)
            log.close()
        seen = [json.loads(first[0])]
        while sum(one["msg"] == "the last record" for one in seen) < 3:
            seen.append(json.loads(tail.stdout.readline()))
        tail.terminate()
        tail.communicate()
    numbers = [one["special"]["number"] for one in seen if one["special"]]
    by_session = [[n for n in numbers if n % 3 == k] for k in range(3)]
    for found in filter(None, by_session):
        assert found == list(range(found[0], found[-1] + 1, 3))
        assert found[-1] > number - 3
    assert (seen[0]["cat"], seen[0]["path"].partition("(")[0]) == ("W", "test_store.py")
    assert not has(engine, "LOGD_offsets")


def read(folder: Path, command: str, *options: str) -> list[str]:
    """What a command shows of the clients' records."""
    shown = subprocess.run(
        [sys.executable, "-m", "logd", command, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return re.findall(r"\brecord \d+\b", shown.stdout)


def test_a_ring_needs_a_source(tmp_path: Path) -> None:
    """A daemon that listens has no partitions to put into names."""
    for options in (("--file", "a_%p"), ("--db", "sqlite:///a.db", "--table-pattern", "a_%p_%d")):
        daemon = DaemonProcess(*options, folder=tmp_path)
        assert daemon.wait() == 2
        assert "has %p, the partition of a source, and source is not set" in daemon.output


def test_a_standby_takes_over(engine: Engine, tmp_path: Path) -> None:
    """A second store with the same files waits for the lock, and goes on when the first is dead."""
    out = tmp_path / "out"
    with ingest(engine, tmp_path / "in", partitions=1) as daemon:
        first = store(engine, out, partitions="0").wait_ready()
        second = store(engine, out, "--state-dir", "b", partitions="0").wait_ready()
        second.wait_line("another daemon writes to it, this one waits until it is free")
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            log("record 1", sync=60)
            wait_for(lambda: texts(out) == ["record 1"], "the first record")
            first.kill()
            log("record 2", sync=60)
        wait_for(lambda: len(texts(out)) >= 2, "the second record")
        assert second.stop() == 0
    assert texts(out) == numbered(1, 2)


def test_a_standby_may_fail_instead(engine: Engine, tmp_path: Path) -> None:
    """With standby = fail a store does not start if another one has its log."""
    with ingest(engine, tmp_path / "in", partitions=1):
        first = store(engine, tmp_path / "out", partitions="0").wait_ready()
        options = ("--state-dir", "b", "--standby", "fail")
        second = store(engine, tmp_path / "out", *options, partitions="0")
        assert second.wait() == 1
        assert "is writing these files" in second.lines[-1]
        assert first.stop() == 0


def test_the_engine_may_go_and_come(engine: Engine, tmp_path: Path) -> None:
    """A store outlasts its engine's death, and reads on by itself."""
    out = tmp_path / "out"
    with ingest(engine, tmp_path / "in", partitions=1) as daemon:
        receiver = store(engine, out, partitions="0").wait_ready()
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            assert log("record 1", sync=60)
            wait_for(lambda: len(texts(out)) == 1, "the first record")
            engine.servers[0].kill()
            log("record 2")
            engine.servers[0].start()
            assert log.flush(60)
        wait_for(lambda: len(texts(out)) >= 2, "the second record")
        assert receiver.stop() == 0
    assert texts(out) == numbered(1, 2)


def test_a_store_may_come_first(engine: Engine, tmp_path: Path) -> None:
    """It waits for an engine that is away, and for streams that nobody has made yet."""
    out = tmp_path / "out"
    engine.servers[0].kill()
    receiver = store(engine, out, partitions="0").wait_ready()
    engine.servers[0].start()
    receiver.wait_line("is not there yet")
    with ingest(engine, tmp_path / "in", partitions=1) as daemon:
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            assert log("record 1", sync=60)
        wait_for(lambda: texts(out) == ["record 1"], "the record")
    assert receiver.stop() == 0


def test_a_session_that_was_forgotten_goes_on(engine: Engine, tmp_path: Path) -> None:
    """Beyond `max_sessions` sessions are forgotten, told of, and lose nothing when they go on."""
    out = tmp_path / "out"
    few = ("--max-sessions", "16")
    with ingest(engine, tmp_path / "in", partitions=1) as daemon, contextlib.ExitStack() as stack:
        logs = [
            stack.enter_context(createClientLog("127.0.0.1", daemon.port, environ={}))
            for _ in range(40)
        ]
        for first in (1, 41):
            receiver = store(engine, out, *few, partitions="0").wait_ready()
            for number, log in enumerate(logs, first):
                assert log(f"record {number}", sync=60)
            wait_for(lambda last=first + 39: len(texts(out)) >= last, "all records")  # type: ignore[misc]
            if first > 1:
                receiver.wait_line("sessions were forgotten .* raise max_sessions")
            assert receiver.stop() == 0
    assert sorted(texts(out)) == sorted(numbered(1, 80))


def piece(first: int, last: int, floor: int = 0) -> bytes:
    """A piece with the records of these numbers."""
    batch: Batch = make_batch(numbered(first, last), client=ONE, first=first, floor=floor)
    return pack_piece(batch)


def test_repetitions_gaps_holes_and_poison(engine: Engine, tmp_path: Path) -> None:
    """Each is left out or told as the rules say, counted, and kept if nobody can read it."""
    out = tmp_path / "out"
    with ingest(engine, tmp_path / "in", partitions=1):
        pass
    for message in (
        pack_message([piece(1, 5)]),
        pack_message([piece(1, 5), piece(3, 7)]),  # a repetition, and one in part
        pack_message([piece(10, 12)]),  # a gap: 8 and 9 come again, with it
        pack_message([piece(8, 9), piece(10, 12)]),
        b"nobody can read this",
        pack_message([piece(15, 16)]),  # 13 and 14 may have been in it
        pack_message([piece(20, 21)]),  # a gap all the same
        pack_message([piece(31, 32, floor=30)]),  # 17 to 30 were given up: a hole
    ):
        engine.publish("LOGD.0", message)
    receiver = store(engine, out, partitions="0").wait_ready()
    wait_for(lambda: "record 32" in texts(out), "the last record")
    receiver.wait_line("records 13 to 14 of session .* are missing")
    receiver.wait_line("records 17 to 30 of session .* are missing")
    receiver.wait_line("message 5 can't be read: no message of logd")
    (letter,) = out.rglob("partition-0-message-5")
    assert letter.read_bytes() == b"nobody can read this"
    shown = status(out)["partitions"][0]
    assert (shown["repetitions"], shown["gaps"], shown["holes"], shown["poison"]) == (1, 2, 2, 1)
    assert shown["hole_records"] == 16
    assert set(shown) <= set(re.findall(r"`(\w+)`", README.read_text()))
    assert receiver.stop() == 0
    assert texts(out) == [*numbered(1, 12), *numbered(15, 16), *numbered(31, 32)]
    assert "are missing" in (out / "log_0_0.log").read_text()


def status(folder: Path) -> dict[str, list[dict[str, int]]]:
    """What `logd status --json` says."""
    command = [sys.executable, "-m", "logd", "status", "--json"]
    socket = next(folder.rglob("control.sock")).relative_to(folder)
    shown = subprocess.run(
        [*command, "--control", str(socket)], cwd=folder, check=True, capture_output=True
    )
    found: dict[str, list[dict[str, int]]] = json.loads(shown.stdout)
    return found


def test_a_stream_that_was_made_anew_is_read_from_its_beginning(
    engine: Engine, tmp_path: Path
) -> None:
    """An engine that lost all begins its numbers at 1 again: they are no old ones."""
    out = tmp_path / "out"
    for number in (1, 2):
        with ingest(engine, tmp_path / "in", partitions=1) as daemon:
            receiver = store(engine, out, partitions="0").wait_ready()
            with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
                assert log(f"record {number}", sync=60)
            wait_for(lambda n=number: len(texts(out)) >= n, "the record")  # type: ignore[misc]
            assert receiver.stop() == 0
        engine.ask(lambda js: js.delete_stream("LOGD_0"))
    assert texts(out) == numbered(1, 2)


def test_what_all_rings_have_goes_from_the_engine(engine: Engine, tmp_path: Path) -> None:
    """It is trimmed, but never beyond the group of stores that is last."""
    with ingest(engine, tmp_path / "in", partitions=1) as daemon:
        source = engine.source(partitions="0", group="late")
        options = ("--source", source, "--file", "log_%p_%d.log", "--engine-keep-s", "0")
        (tmp_path / "late").mkdir()
        late = DaemonProcess(*options, folder=tmp_path / "late", port=None).wait_ready()
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            assert log("record 1", sync=60)
        groups = "LOGD_offsets"
        wait_for(lambda: engine.messages(groups) == [b"1"] if has(engine, groups) else False, "it")
        assert late.stop() == 0
        wait_for(lambda: not engine.messages("LOGD_0"), "a trim")
        receiver = store(engine, tmp_path / "out", "--engine-keep-s", "0", partitions="0")
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            assert log("record 2", sync=60)
        wait_for(lambda: sorted(engine.messages(groups)) == [b"1", b"2"], "both groups' places")
        assert len(engine.messages("LOGD_0")) == 1
        assert receiver.stop() == 0


def has(engine: Engine, stream: str) -> bool:
    """Whether there is such a stream."""

    async def ask(js: object) -> bool:
        return stream in [info.config.name for info in await js.streams_info()]  # type: ignore[attr-defined]

    found: bool = engine.ask(ask)
    return found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--file", "app.log"), "file: needs %p"),
        (("--db", "sqlite:///a.db"), "table_pattern: needs %p"),
        (("--file", "a_%p", "--file", "b_%p"), "source: needs one output"),
        (("--file", "a_%p", "--stdout"), "stdout: can't keep how far"),
    ],
)
def test_a_ring_for_each_partition(options: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    """Settings that would put partitions together, or keep no place, are refused."""
    source = ("--source", "nats:nats://127.0.0.1:1")
    daemon = DaemonProcess(*source, *options, folder=tmp_path, port=None)
    assert daemon.wait() == 2
    assert expected in daemon.output


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("kafka:k1", 'source "kafka" is not installed'),
        ("nats:http://n1", "expected a URL such as"),
        ("nats:nats://n1?steam=LOGD", "unknown option steam (did you mean stream?)"),
        ("nats:nats://n1?partitions=3-1", "expected numbers such as"),
    ],
)
def test_sources_that_can_not_be(url: str, expected: str, tmp_path: Path) -> None:
    """One line says what is wrong with the source."""
    daemon = DaemonProcess("--source", url, "--file", "a_%p", folder=tmp_path, port=None)
    assert daemon.wait() == 2
    assert expected.replace('"', "'") in daemon.output.replace('"', "'")
