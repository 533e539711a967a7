"""Whatever is in any field: in every output an entry stays one, and terminals see no codes."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conftest import MARIADB_URL, POSTGRESQL_URL, Database
from tests.daemon_process import DaemonProcess
from tests.hostile.attack import Peer, frame, opening, until

FORGED = "x\n2026-01-01T00:00:00.000+0000 E 1#1 forged\tMainThread\tf\ta.py(1)\tuser=ann"
SAMPLES = [
    FORGED,
    FORGED.replace("\n", "\r"),
    FORGED.replace("\n", "\r\n"),
    FORGED.replace("\n", "\u2028"),
    FORGED.replace("\n", "\x85"),
    FORGED.replace("\n", "\x0b"),
    "  | continues another entry",
    "\n  | continues itself",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "\x00",
    "a\x08b\x7f",
    "\u202etxt.exe\u2066",
    "\ud800 \udfff",
    "\udc80",
    "\\n \\x1b",
    '"; DROP TABLE log_0; --',
    "'; DROP TABLE log_0; --",
    "%s %d %(msg)s {0} {msg} $msg %n",
    "a,b;c\td'e\"f",
    '=cmd|"/c calc"!A1',
    "😀" * 3,
    "\ufeff",
    "\uffff",
    "",
    " ",
    "-",
]
TEXT = st.one_of(
    st.sampled_from(SAMPLES),
    st.text(st.characters(codec=None, exclude_categories=()), max_size=40),
    st.lists(st.sampled_from(["\n", "\r", "\t", "\0", "\x1b", "\u2028", "a", " ", "|", "\\"])).map(
        "".join
    ),
)
INTEGER = st.integers(-(2**63), 2**63 - 1)
VALUE = st.one_of(TEXT, INTEGER, st.floats(), st.booleans(), st.none())
TIME = st.one_of(st.floats(0, 253402300799.0), st.sampled_from([0.0, 1.7e9, 253402300799.999]))
RECORD = st.tuples(
    INTEGER,
    INTEGER,
    INTEGER,
    TEXT,
    TIME,
    TEXT,
    TEXT,
    st.lists(st.tuples(st.one_of(TEXT, st.none()), INTEGER), max_size=3).map(tuple),
    INTEGER,
    TEXT,
    st.dictionaries(st.one_of(TEXT, st.just("user"), st.just("amount")), VALUE, max_size=3),
)

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass
class Target:
    """A daemon with every kind of output, and what was sent to it so far."""

    daemon: DaemonProcess
    file: Path
    stdout: Path
    databases: list[Database]
    sent: int = 0
    read: dict[Path, int] | None = None

    def send(self, records: list[tuple[Any, ...]]) -> None:
        """Send records in all the ways there are, and wait until they are durable."""
        rows = [tuple(record) for record in records]
        with Peer(self.daemon.port) as peer:
            peer.send(opening(os.urandom(16)))
            assert peer.answer() == 0
            payload = pickle.dumps(("batch", 1, rows), 4)
            peer.send(frame(payload)).wait_acked(len(rows))
        self.sent += len(rows)
        with Peer(self.daemon.port) as peer:
            for row in rows:
                peer.send(frame(pickle.dumps(row, 2)))
                is_json = all(
                    value == value and abs(value) != float("inf") for value in _floats(row)
                )
                if is_json:
                    peer.send(frame(json.dumps(row).encode()))
                peer.send(frame(pickle.dumps(log_record(row), 1)))
                self.sent += 2 + is_json
            peer.end()

    def news(self, path: Path) -> list[str]:
        """What was added to a file since the last call, as lines."""
        assert self.read is not None
        with path.open("rb") as file:
            file.seek(self.read.get(path, 0))
            data = file.read()
        assert data.endswith(b"\n")
        self.read[path] = self.read.get(path, 0) + len(data)
        return data.decode("utf-8").removesuffix("\n").split("\n")


def _floats(row: tuple[Any, ...]) -> list[float]:
    return [value for value in row[10].values() if isinstance(value, float)]


def log_record(row: tuple[Any, ...]) -> dict[str, Any]:
    """The record as `SocketHandler` would send it."""
    extras = {f"extra_{key}": value for key, value in row[10].items()}
    return {
        "name": row[3],
        "msg": row[5],
        "args": None,
        "levelname": row[6],
        "levelno": 40,
        "pathname": row[3],
        "lineno": 7,
        "funcName": row[9],
        "created": row[4],
        "threadName": row[3],
        "process": 7,
        "exc_text": row[5] or None,
        **extras,
    }


@contextmanager
def target(folder: Path, databases: list[Database], *options: str) -> Iterator[Target]:
    """A daemon that writes everywhere."""
    stdout = folder / "stdout"
    urls = [part for database in databases for part in ("--db", database.url)]
    pattern = databases[0].pattern if databases else "log_%d"
    with stdout.open("wb") as file:
        process = DaemonProcess(
            *("--file", "logs/logd_%d.log", "--stdout", *urls, "--table-pattern", pattern),
            *("--columns", "user:String(8)", "--columns", "amount:Integer", *options),
            folder=folder,
            stdout=file.fileno(),
        )
    try:
        daemon = process.wait_ready()
        yield Target(daemon, folder / "logs/logd_0.log", stdout, databases, read={})
        assert daemon.stop() == 0
        assert not [line for line in daemon.lines if " ERROR " in line or "Traceback" in line]
        assert not UNSAFE.search(daemon.output)
        assert not (folder / "logs/.logd-state/dead-letters.jsonl").exists()
    finally:
        if process.process.poll() is None:
            process.kill()


@pytest.fixture
def databases(tmp_path: Path, own_databases: Callable[[str], str]) -> Iterator[list[Database]]:
    """One of each kind that is there, all with the same names of tables."""
    from tests.conftest import _database

    kinds = ("sqlite", "postgresql", "mariadb")
    makers = [_database(kind, tmp_path, own_databases) for kind in kinds]
    made: list[Database] = []
    for maker in makers:
        try:
            made.append(next(maker))
        except pytest.skip.Exception:
            continue
    for database in made:
        database.prefix = made[0].prefix
    yield made
    for maker in makers:
        next(maker, None)


def entries(lines: list[str]) -> list[str]:
    """The first lines of entries."""
    return [line for line in lines if not line.startswith("  | ")]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/St_Johns"])
def test_entries_stay_entries_everywhere(
    zone: str, databases: list[Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each record sent is one entry, one row, one line's worth of fields; nothing is active."""
    monkeypatch.setenv("TZ", zone)
    extremes = [
        (2**63 - 1, 0, 0, text, 1.7e9, text, text, ((text, 1),), 0, text, {text: text})
        for text in SAMPLES
    ]

    with target(tmp_path, databases) as writing:

        @settings(
            max_examples=40,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        )
        @given(st.lists(RECORD, min_size=1, max_size=20))
        @example(extremes)
        def check(records: list[tuple[Any, ...]]) -> None:
            before = writing.sent
            writing.send(records)
            new = writing.sent - before
            until(lambda: complete(writing.file, new), "written")
            for path in (writing.file, writing.stdout):
                until(lambda path=path: complete(path, new), f"written to {path}")
                lines = writing.news(path)
                assert len(entries(lines)) == new
                for line in lines:
                    assert not UNSAFE.search(line), ascii(line)
                for line in entries(lines):
                    assert line.count("\t") == 5, ascii(line)
                    assert re.match(r"\S+ \S+ -?\d+#-?\d+ ", line), ascii(line)

        def complete(path: Path, new: int) -> bool:
            assert writing.read is not None
            with path.open("rb") as file:
                file.seek(writing.read.get(path, 0))
                data = file.read()
            # A look during a write may end anywhere, in the middle of a character too.
            return data.endswith(b"\n") and len(entries(data.decode().split("\n")[:-1])) >= new

        check()
    for database in writing.databases:
        tables = database.table_names()
        assert len(tables) == 1, tables
        assert len(database.rows(tables[0])) == writing.sent, database.kind


@pytest.mark.parametrize(
    "line_format",
    [
        "%(asctime)s %(levelname)s %(process)d %(threadName)s %(pathname)s:%(lineno)d %(message)s",
        "%(message)s",
    ],
)
def test_lines_of_a_format_of_ones_own(line_format: str, tmp_path: Path) -> None:
    """Formats that the settings give are as safe, even with the message at the line's beginning."""
    with target(tmp_path, [], "--line-format", line_format, "--file-names", "full") as writing:

        @settings(
            max_examples=25,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        )
        @given(st.lists(RECORD, min_size=1, max_size=20))
        def check(records: list[tuple[Any, ...]]) -> None:
            before = writing.sent
            writing.send(records)
            new = writing.sent - before
            for path in (writing.file, writing.stdout):

                def is_complete(path: Path = path) -> bool:
                    assert writing.read is not None
                    with path.open("rb") as file:
                        file.seek(writing.read.get(path, 0))
                        text = file.read().decode()
                    return text.endswith("\n") and len(entries(text[:-1].split("\n"))) >= new

                until(is_complete, f"written to {path}")
                lines = writing.news(path)
                assert len(entries(lines)) == new
                assert not [ascii(line) for line in lines if UNSAFE.search(line)]

        check()


def test_passwords_of_databases_are_not_told(tmp_path: Path) -> None:
    """Neither the daemon's log nor an error of a database shows the password of its address."""
    for url in (
        POSTGRESQL_URL.replace("postgres@", "postgres:hush@").replace("5432", "1"),
        MARIADB_URL.replace("root@", "root:hush@").replace("3306", "1"),
    ):
        # With a queue on disk, a database that is away doesn't end the start.
        process = DaemonProcess(
            "--queue-disk-bytes", "0", folder=tmp_path, environment={"LOGD_DB": url}
        )
        try:
            assert process.wait() == 1
        finally:
            if process.process.poll() is None:
                process.kill()
        assert "hush" not in process.output
        assert "***" in process.output
