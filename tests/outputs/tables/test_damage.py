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
            "INSERT INTO logd_marks SELECT ring, 'zz' || substr(client, 3), last, seen, NULL "
            "FROM logd_marks LIMIT 1"
        )
    output = made(whole)
    assert output.open() == {CLIENT: 30}
    output.close()
    assert "is damaged and left out" in caplog.text


def test_no_flipped_bit_makes_another_mark(whole: Path, tmp_path: Path) -> None:
    """A mark is what it was, or unknown: what is not stored is never taken for stored."""
    data = whole.read_bytes()
    texts = [match.start() for match in re.finditer(CLIENT.hex().encode(), data)]
    # The session's name, what stands before it, and the numbers behind.
    places = {place for text in texts for place in range(text - 14, text + len(CLIENT) * 2 + 20)}
    damaged = tmp_path / "damaged" / "log.db"
    damaged.parent.mkdir()
    found = set()
    for bit in sorted(place * 8 + bit for place in places for bit in range(8))[::5]:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        damaged.write_bytes(changed)
        output = made(damaged)
        try:
            found.add(tuple(output.open().items()))
        except (OutputUnavailable, OutputUnusable):
            pass
        finally:
            output.close()
    assert found == {(), ((CLIENT, 30),)}


def test_a_damaged_time_costs_no_other_mark(whole: Path) -> None:
    """A mark that seems to be of the far future does not make the others old."""
    with closing(sqlite3.connect(whole)) as connection, connection:
        connection.execute(
            "INSERT INTO logd_marks SELECT ring, '00' || substr(client, 3), last, 1e300, 5 "
            "FROM logd_marks LIMIT 1"
        )
    output = made(whole)
    assert output.open() == {CLIENT: 30}
    output.close()


def test_marks_of_an_earlier_version(whole: Path) -> None:
    """They have no checksums: they count, and get some when they change."""
    with closing(sqlite3.connect(whole)) as connection, connection:
        connection.execute("ALTER TABLE logd_marks DROP COLUMN checksum")
    output = made(whole)
    assert output.open() == {CLIENT: 30}
    output.write([numbered(31, 1, b"another session!")])
    output.close()
    with closing(sqlite3.connect(whole)) as connection:
        sums = connection.execute("SELECT checksum IS NULL FROM logd_marks ORDER BY client")
        assert [missing for (missing,) in sums] == [1, 0]
    output = made(whole)
    assert output.open() == {CLIENT: 30, b"another session!": 31}
    output.close()
