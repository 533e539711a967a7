"""Tables as a source, on each kind of database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from logd.outputs.tables.output import TableOutput
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import CannotRead, TablePosition
from logd.query.summaries import Tally
from logd.query.tables import pages as tables_pages
from logd.query.tables.source import TableSource
from logd.rotation.policy import Retention, RotationPolicy
from tests.outputs.output_making import make_settings
from tests.query.log_making import START, Notes, numbers, record, records, select


class Log:
    """A ring of tables that is written to and read."""

    def __init__(self, database: Any, folder: Path) -> None:
        self.database = database
        self.notes = Notes()
        self._folder = folder
        self.output = self.opened()
        self.source = TableSource(database.url, self.notes, pattern=database.pattern)

    def opened(self, lines: int = 10, count: int = 4) -> TableOutput:
        """An open output."""
        settings = make_settings(
            self._folder,
            rotation=RotationPolicy(lines=lines),
            retention=Retention(count=count),
            durable=False,
            table_pattern=self.database.pattern,
        )
        output = TableOutput(self.database.url, settings)
        output.open()
        return output

    def write(self, batches: Sequence[Any]) -> None:
        """Write, a transaction a batch."""
        for batch in batches:
            self.output.write([batch])

    def close(self) -> None:
        """Close both ends."""
        self.source.close()
        self.output.close()


@pytest.fixture
def log(database: Any, tmp_path: Path) -> Iterator[Log]:
    """An empty log in each kind of database."""
    log = Log(database, tmp_path)
    yield log
    log.close()


def test_all_that_is_kept(log: Log) -> None:
    """Records of all tables come in the order written."""
    log.write(records(1, 55))
    kept = list(range(21, 56))
    assert numbers(log.source.entries()) == kept
    assert numbers(log.source.entries(limit=3)) == kept[:3]
    assert numbers(log.source.entries(newest_first=True, limit=12)) == kept[::-1][:12]
    entry = next(log.source.entries())
    assert entry.time == START + 21
    assert (entry.cat, entry.pid, entry.tid, entry.msg) == ("I", 4711, 9, "record 21")
    assert (entry.threadname, entry.cfunc, entry.site) == ("MainThread", "charge", "views.py(42)")
    assert not log.notes


def test_filters_and_counts(log: Log) -> None:
    """SQL and Python agree about every filter, and counting with listing."""
    log.write(
        [
            record(
                number,
                cat=["E", "W", "", "I", "I"][number % 5],
                pid=number % 3,
                peer="10.0.0.7" if number % 2 else "",
                msg=f"Record {number} 50%_\\",
                special={"user": "ann", "n": number, "f": 0.5} if number % 4 == 0 else None,
                path=[(), ((None, None), ("b.py", 2)), (("a.py", 1),)][number % 3],
                time=START + (40 - number) * 700,
            )
            for number in range(1, 36)
        ]
    )
    every = list(log.source.entries())
    assert len(every) == 35
    for selection in (
        Selection(),
        select(cats=frozenset("E")),
        select(cats=frozenset({"E", "W", ""})),
        select(since=START + 5000, until=START + 12_000),
        select(pid=2),
        select(grep=re.compile("Record 2.")),
        select(grep=re.compile("50%_")),
        select(grep=re.compile("(?i)record 1")),
        select(grep=re.compile("record")),
        select(where=(("user", "ann"), ("n", "8"))),
        select(where=(("f", "0.5"),)),
        select(cats=frozenset("E"), since=START + 9000, pid=1),
    ):
        wanted = [entry for entry in every if selection.matches(entry)]
        found = list(log.source.entries(selection))
        assert sorted(numbers(found)) == sorted(numbers(wanted))
        newest = list(log.source.entries(selection, newest_first=True, limit=50))
        assert newest == found[::-1]
        assert log.source.summarise(selection).total == len(wanted)
        for key, attribute in (("cat", "cat"), ("host", "peer"), ("site", "site")):
            counts = log.source.summarise(selection, keys=[key]).facets[key]
            expected = [getattr(entry, attribute) or "-" for entry in wanted]
            assert counts == {label: expected.count(label) for label in set(expected)}
        hours = log.source.summarise(selection, keys=["hour"]).facets["hour"]
        by_entry = Tally(None, ["hour"])
        for entry in wanted:
            by_entry.add(entry)
        assert hours == by_entry.facets["hour"]


def test_pages_of_many_kinds(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of pages, each record comes once, also among records of one time."""
    log.write(
        [
            record(n, cat="EI"[n % 2], time=START + n // 7, msg="x" * (500 if n % 10 == 0 else 1))
            for n in range(1, 39)
        ]
    )
    for rows, fetched, chars in ((1, 1, 10**9), (3, 2, 10**9), (100, 2, 400), (100, 100, 10**9)):
        monkeypatch.setattr(tables_pages, "_FIRST_PAGE_ROWS", rows)
        monkeypatch.setattr(tables_pages, "_MAX_PAGE_ROWS", rows)
        monkeypatch.setattr(tables_pages, "_FETCHED_AT_ONCE", fetched)
        monkeypatch.setattr(tables_pages, "PAGE_CHARS", chars)
        for selection in (
            Selection(),
            select(since=START),
            select(cats=frozenset("E")),
            select(cats=frozenset("EI")),
        ):
            found = numbers(log.source.entries(selection))
            assert found == [n for n in range(1, 39) if selection.cats != {"E"} or n % 2 == 0]
            assert (
                numbers(log.source.entries(selection, newest_first=True, limit=99)) == found[::-1]
            )


def test_up_to_a_position(log: Log) -> None:
    """What was written behind a position is left out."""
    log.write(records(1, 15))
    end = log.source.end()
    assert end == TablePosition(f"{log.database.prefix}_1", 15)
    assert log.source.has(end)
    assert not log.source.has(TablePosition("other", 15))
    log.write(records(16, 25))
    assert numbers(log.source.entries(end=end)) == list(range(1, 16))
    assert numbers(log.source.entries(newest_first=True, limit=3, end=end)) == [15, 14, 13]
    errors = select(cats=frozenset("I"))
    assert numbers(log.source.entries(errors, newest_first=True, limit=2, end=end)) == [15, 14]


def test_a_reader_is_never_in_the_way(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are dropped under a slow reader, who is told so and is given nothing wrong."""
    monkeypatch.setattr(tables_pages, "_FIRST_PAGE_ROWS", 4)
    log.write(records(1, 35))
    entries = log.source.entries(select(since=START))
    found = [next(entries).msgid]
    log.write(records(36, 95))
    found += numbers(entries)
    assert found == sorted(set(found))
    assert found[0] == 1
    assert any("dropped before it was read" in note for note in log.notes)


def test_following(log: Log) -> None:
    """New records come in their order, across tables, those that are wanted."""
    log.write(records(1, 5))
    follower = log.source.follow(EVERYTHING, log.source.end())
    assert follower.read() is None
    for first, last in ((6, 6), (7, 18), (19, 33)):
        log.write(records(first, last))
        found: list[int] = []
        while (entries := follower.read()) is not None:
            found += numbers(entries)
        assert found == list(range(first, last + 1))
    log.write(records(34, 36))
    assert numbers(follower.read() or ()) == [34, 35, 36]
    position = follower.position()
    assert log.source.follow(EVERYTHING, position).read() is None
    log.write(records(37, 96))
    while follower.read() is not None:
        pass
    assert any("dropped before their turn" in note for note in log.notes)


def test_records_in_space_used_again(postgresql: Any, tmp_path: Path) -> None:
    """Rows that PostgreSQL stores before others are found by followers, too."""
    log = Log(postgresql, tmp_path)
    try:
        log.output.close()
        log.output = log.opened(lines=100_000)
        log.write([record(n, msg="x" * 900) for n in range(1, 60)])
        follower = log.source.follow(EVERYTHING, log.source.end())
        assert follower.read() is None
        log.write(records(60, 61))
        assert numbers(follower.read() or ()) == [60, 61]
        name = f"{postgresql.prefix}_0"
        postgresql.run(f"DELETE FROM {name} WHERE msgid = 3")
        with postgresql.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.execute(text(f"VACUUM {name}"))
        log.output.close()
        log.output = log.opened(lines=100_000)
        log.write([record(n, msg="y" * 300) for n in (62, 63, 64)])
        assert numbers(follower.read() or ()) == [62, 63, 64]
    finally:
        log.close()


def test_special_items(log: Log) -> None:
    """Items keep their types and may have any text."""
    special = {"a": 1, "b": "1", "c": 'x "y" \\ é', "long key": "v"}
    log.write([record(1, special=special)])
    entry = next(log.source.entries())
    assert entry.special == special
    assert json.loads(entry.as_json())["special"] == special
    for key, value in special.items():
        assert numbers(log.source.entries(select(where=((key, str(value)),)))) == [1]
        assert not list(log.source.entries(select(where=((key, "other"),))))


def test_the_only_ring(sqlite: Any, tmp_path: Path) -> None:
    """Without a pattern the only log of a database is read; of several one has to be chosen."""
    source = TableSource(sqlite.url, Notes())
    with pytest.raises(CannotRead, match="has no logs"):
        source.is_there()
    log = Log(sqlite, tmp_path)
    log.write(records(1, 3))
    assert numbers(source.entries()) == [1, 2, 3]
    settings = make_settings(tmp_path, table_pattern="other_%d")
    other = TableOutput(sqlite.url, settings)
    other.open()
    with pytest.raises(CannotRead, match=f"other_%d, {sqlite.prefix}_%d: choose one"):
        TableSource(sqlite.url, Notes()).is_there()
    other.close()
    log.close()
    source.close()


def test_an_sqlite_file_that_is_not_there(tmp_path: Path) -> None:
    """Reading makes no file."""
    source = TableSource(f"sqlite:///{tmp_path}/none.db", Notes(), pattern="log_%d")
    with pytest.raises(CannotRead, match="unable to open"):
        source.is_there()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["x", "oracle://x", "sqlite:///x?mode=memory"])
def test_unusable_addresses(address: str) -> None:
    """What is no address of a log is refused in a sentence."""
    with pytest.raises(CannotRead, match=r"not understood|in memory"):
        TableSource(address, Notes())


def test_a_server_that_is_away() -> None:
    """It is said which database does not answer, and why; without its password."""
    source = TableSource("postgresql://u:secret@127.0.0.1:1/x", Notes(), pattern="log_%d")
    with pytest.raises(CannotRead, match="refused") as caught:
        source.is_there()
    assert "secret" not in str(caught.value)
