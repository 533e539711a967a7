"""One flipped bit in an SQLite database: said in one line, or what it says is used."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from logd.outputs.base import OutputUnavailable, OutputUnusable
from logd.outputs.tables.output import TableOutput
from logd.rotation.policy import RotationPolicy
from tests.outputs.output_making import CLIENT, make_settings, numbered


def made(path: Path) -> TableOutput:
    """An output to the database there, with 10 records a table; closed."""
    settings = make_settings(path.parent, rotation=RotationPolicy(lines=10))
    return TableOutput(f"sqlite:///{path}", settings)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A database of 30 records in three tables."""
    path = tmp_path / "log.db"
    output = made(path)
    output.open()
    output.write([numbered(1, 30)])
    output.sync()
    output.close()
    return path


@pytest.mark.parametrize("part", [CLIENT.hex().encode(), rb"CREATE TABLE log_1", rb"log_\d"])
def test_a_flipped_bit_in_marks_and_catalogue(part: bytes, whole: Path, tmp_path: Path) -> None:
    """The start goes on, or ends with the error of an output that is away or can't be used."""
    data = whole.read_bytes()
    places = [place for match in re.finditer(part, data) for place in range(*match.span())]
    damaged = tmp_path / "damaged" / "log.db"
    damaged.parent.mkdir()
    told: list[str] = []
    for number, place in enumerate(places[:: max(1, len(places) // 8)]):
        changed = bytearray(data)
        changed[place] ^= 1 << number % 8
        damaged.write_bytes(changed)
        output = made(damaged)
        try:
            output.open()
            output.write([numbered(31, 1)])
        except (OutputUnavailable, OutputUnusable) as exc:
            told.append(str(exc))
        finally:
            output.close()
    assert not any("\n" in text for text in told)


def test_a_damaged_mark_is_left_out(whole: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is named, and the other marks count."""
    with closing(sqlite3.connect(whole)) as connection, connection:
        connection.execute(
            "INSERT INTO logd_marks SELECT ring, 'zz' || substr(client, 3), last, seen "
            "FROM logd_marks LIMIT 1"
        )
    output = made(whole)
    assert output.open() == {CLIENT: 30}
    output.close()
    assert "is damaged and left out" in caplog.text
