"""What others wrote into a log table is read as well as it can be."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.tables.output import TableOutput
from logd.query.tables.source import TableSource
from tests.outputs.output_making import make_settings
from tests.query.log_making import Notes, record

COLUMNS = "time, ts, cat, pid, msgid, msg, special"
ODD: list[tuple[Any, ...]] = [
    (1e9, b"\xff\0", "E", b"\x01", "x", b"\xff blob", b"\xff{"),
    ("soon", 3, 4, "pid", 1.5, 7, '{"a": 1}'),
    (2.0, None, None, None, None, None, None),
    (math.inf, "t", "E", 1, 2, "far", "[1]"),
    (1e300, "t", "E", 1 << 62, 3, "farther", 5),
    (-1e300, "t", "E", 1, 4, "long ago", "[" * 100_000),
]


@pytest.fixture
def source(tmp_path: Path) -> TableSource:
    """A table of a log in which somebody else has written."""
    url = f"sqlite:///{tmp_path}/log.db"
    output = TableOutput(url, make_settings(tmp_path, table_pattern="log_%d"))
    output.open()
    output.write([record(0, msg="ours")])
    output.close()
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection, connection:
        marks = ", ".join("?" * len(ODD[0]))
        connection.executemany(f"INSERT INTO log_0 ({COLUMNS}) VALUES ({marks})", ODD)
    return TableSource(url, Notes(), pattern="log_%d")


def test_odd_values_are_read(source: TableSource) -> None:
    """Bytes become text, what is no number or time is none; no row ends the reading."""
    with closing(source):
        entries = {entry.msg: entry for entry in source.entries()}
        assert len(list(source.entries(newest_first=True))) == len(ODD) + 1
    assert set(entries) == {"ours", "\\xff blob", "7", "", "far", "farther", "long ago"}
    blob = entries["\\xff blob"]
    assert (blob.ts, blob.pid, blob.msgid, blob.special) == ("\\xff\0", 0, 0, {})
    assert (entries["7"].cat, entries["7"].special) == ("4", {"a": 1})
    times = {msg: entry.time for msg, entry in entries.items()}
    assert times["\\xff blob"] == 1e9
    assert times["7"] is times["far"] is times["farther"] is times["long ago"] is None
