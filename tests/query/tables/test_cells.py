"""What the daemon has counted beside the tables answers as the tables do, and without them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import cycle, product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from logd.outputs.tables import counts
from logd.outputs.tables.output import TableOutput
from logd.query.barsteps import Step
from logd.query.grammar import parse
from logd.query.selection import Selection
from logd.query.summaries import Key, Summary, Tally
from logd.query.tables import source as source_module
from logd.query.tables.source import TableSource
from logd.records.batch import Batch, Context
from logd.records.callpath import ShortNames
from logd.records.context import ContextItems
from logd.rotation.policy import Retention, RotationPolicy
from logd.text.timestamps import DEFAULT_FORMAT, Timestamps
from tests.outputs.output_making import make_settings
from tests.query.log_making import START, Notes

KEYS: Sequence[Key] = ("cat", "host", "site", "logger", ("cat", "logger"), "hour", "day")
STEPS: Sequence[Step | None] = ("minute", "auto", 300, "day", None)
WANTED = ("", "cat:E", "-cat:E", "logger:a* host:10.0.0.7", "site:views.py", "-logger:-")
LOGGERS = ("a", "a.b", None, "-", "é")
PATHS: Sequence[Any] = ((("/srv/views.py", 42), ("u.py", 1)), (("b.py", 7),), ())


def batch(first: int, count: int, chosen: random.Random) -> Batch:
    """Records of a second each, of one sender; contexts share their items, or records have own."""
    contexts = [
        Context(7, 9, "Main", chosen.choice(("E", "W", "", "my cat")), chosen.choice(PATHS), 1, "f")
        for _ in range(3)
    ]
    index = bytes([n % 3 for n in range(count)])
    loggers = [chosen.choice(LOGGERS) for _ in contexts]
    shared = [{"logger": logger, "n": 1} if logger else {} for logger in loggers]
    own = {n: {"logger": chosen.choice(LOGGERS[:2])} for n in range(0, count, 2)}
    special: Any = ContextItems(shared, index, {}) if chosen.random() < 0.5 else own
    times = [START + first + n + chosen.choice((0.0, 0.25, -70.0)) for n in range(count)]
    return Batch(
        contexts, index, list(range(first, first + count)), times, ["m"] * count, special,
        peer=chosen.choice(("", "10.0.0.7")), ts=Timestamps(DEFAULT_FORMAT).texts(times),
        formatter=ShortNames(),
    )  # fmt: skip


def opened(database: Any, folder: Path, **more: Any) -> TableOutput:
    """An open output of tables of 100 records."""
    settings = make_settings(
        folder,
        rotation=RotationPolicy(lines=more.pop("lines", 100)),
        retention=Retention(count=more.pop("count", 5)),
        durable=False,
        table_pattern=more.pop("pattern", database.pattern),
        **more,
    )
    output = TableOutput(database.url, settings)
    output.open()
    return output


def write(output: TableOutput, first: int, last: int, seed: int = 1) -> None:
    """Records `first` to `last`, in batches of different sizes, a transaction each."""
    chosen = random.Random(seed)
    while first < last:
        size = min(chosen.choice((1, 1, 5, 30)), last - first)
        output.write([batch(first, size, chosen)])
        first += size


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of counts for each 40 records."""
    monkeypatch.setattr(counts, "CHUNK_RECORDS", 40)


@pytest.fixture
def source(database: Any) -> Iterator[TableSource]:
    """The log."""
    found = TableSource(database.url, Notes(), pattern=database.pattern)
    yield found
    found.close()


def rows(database: Any, statement: str) -> list[Any]:
    """What a statement gives."""
    engine = create_engine(database.url)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        found = list(result) if result.returns_rows else []
    engine.dispose()
    return found


def check_answers(source: TableSource) -> None:
    """All counts are those of all entries in Python."""
    every = list(source.entries())
    first = START + 30.5
    spans = ((None, None), (first, None), (first, first + 100))
    for (wanted, (since, until)), step in zip(product(WANTED, spans), cycle(STEPS), strict=False):
        selection = Selection(since=since, until=until, terms=parse(wanted))
        tally = Tally(step, KEYS)
        for entry in every:
            if selection.matches(entry):
                tally.add(entry)
        found = source.summarise(selection, step=step, keys=KEYS)
        assert found == tally.summary(), (wanted, since, step)


def test_counts_are_those_of_the_entries(
    database: Any, tmp_path: Path, source: TableSource
) -> None:
    """Of a ring that came round, while it is written to, and after a stop."""
    output = opened(database, tmp_path, count=3)
    write(output, 0, 450)
    check_answers(source)
    output.close()
    check_answers(source)
    known = rows(
        database, f"SELECT DISTINCT serial FROM logd_counts WHERE ring LIKE '{database.prefix}%'"
    )
    assert sorted(serial for (serial,) in known) == [2, 3, 4]


def test_the_tables_are_not_asked(
    database: Any, tmp_path: Path, source: TableSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was counted is answered without them; with an edge of time only that is read."""
    output = opened(database, tmp_path)
    write(output, 0, 250)
    output.close()
    expected = source.summarise(step="day", keys=["site", "logger"])
    asked: list[Sequence[Any]] = []
    counter = source_module.TableCounter

    def counting(connection: Any, log: Any, conditions: Any, **more: Any) -> Any:
        asked.append(conditions.others)
        return counter(connection, log, conditions, **more)

    monkeypatch.setattr(source_module, "TableCounter", counting)
    assert source.summarise(step="day", keys=["site", "logger"]) == expected
    assert not asked
    assert source.summarise(Selection(since=START + 130.0), keys=["host"]).total < 200
    assert len(asked) <= 2
    source.summarise(keys=["pid"])
    assert len(asked) > 2


def test_what_a_crash_left_uncounted(database: Any, tmp_path: Path, source: TableSource) -> None:
    """Records of a daemon that was killed are counted in the table; the next one goes on."""
    output = opened(database, tmp_path, lines=None)
    write(output, 0, 110)
    output._store.disconnect()
    output._store.backend.release()
    check_answers(source)
    output = opened(database, tmp_path, lines=None)
    write(output, 110, 230, seed=2)
    check_answers(source)
    output.close()
    check_answers(source)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE logd_counts SET head = 'x'",
        "UPDATE logd_counts SET cells = head",
        "UPDATE logd_counts SET next_id = next_id + 7",
        "DELETE FROM logd_counts WHERE first_id > 50",
        "DROP TABLE logd_counts",
    ],
)
def test_what_is_damaged_is_not_used(sqlite: Any, tmp_path: Path, statement: str) -> None:
    """Rows that can't be read, contradict each other or are missing cost time only."""
    output = opened(sqlite, tmp_path)
    write(output, 0, 150)
    output.close()
    rows(sqlite, statement)
    source = TableSource(sqlite.url, Notes(), pattern=sqlite.pattern)
    if "next_id" in statement:
        assert source.summarise(keys=["cat"]).total >= 0
    else:
        check_answers(source)
    source.close()


def test_odd_loggers_are_not_counted_ahead(sqlite: Any, tmp_path: Path) -> None:
    """A logger that is no plain text, and times no calendar has: the table tells."""
    output = opened(sqlite, tmp_path, lines=None)
    chosen = random.Random(3)
    for number, logger in enumerate(([1], 5, "a\nb", "x" * 300, None, True, {"a": 1})):
        odd = batch(number * 20, 10, chosen)
        output.write([odd, Batch(*(getattr(odd, name) for name in (
            "contexts", "index", "msgid", "time", "msg")), {3: {"logger": logger}},
            peer="", ts=odd.ts, formatter=ShortNames())])  # fmt: skip
    output.close()
    source = TableSource(sqlite.url, Notes(), pattern=sqlite.pattern)
    check_answers(source)
    source.close()


def test_counts_go_along_with_another_pattern(sqlite: Any, tmp_path: Path) -> None:
    """A ring that gets another name takes them along."""
    output = opened(sqlite, tmp_path)
    write(output, 0, 150)
    output.close()
    other = sqlite.pattern.replace("%d", "n%d")
    output = opened(sqlite, tmp_path, pattern=other)
    write(output, 150, 190)
    output.close()
    assert {ring for (ring,) in rows(sqlite, "SELECT ring FROM logd_counts")} == {other}
    source = TableSource(sqlite.url, Notes(), pattern=other)
    check_answers(source)
    source.close()


def test_a_role_that_may_make_no_table_goes_on_without(
    postgresql: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A database of before, whose owner gave rights to its tables only."""
    opened(postgresql, tmp_path).close()
    rows(postgresql, "DROP TABLE logd_counts")
    role = f"few_{postgresql.pattern.replace('%d', '')}"
    rows(postgresql, f"CREATE ROLE {role} LOGIN")
    table = postgresql.pattern.replace("%d", "0")
    try:
        rows(postgresql, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        engine = create_engine(postgresql.url)
        url = engine.url.set(username=role, password=None).render_as_string(hide_password=False)
        engine.dispose()
        database = type("Database", (), {"url": url, "pattern": postgresql.pattern})
        output = opened(database, tmp_path, lines=None)
        write(output, 0, 100)
        output.close()
        assert any("no counts are kept" in message for message in caplog.messages)
        assert rows(postgresql, f"SELECT count(*) FROM {table}") == [(100,)]
        found = TableSource(url, Notes(), pattern=postgresql.pattern)
        check_answers(found)
        found.close()
    finally:
        rows(postgresql, f"DROP OWNED BY {role}")
        rows(postgresql, f"DROP ROLE {role}")


def test_summaries_have_no_part_of_a_table_that_went(sqlite: Any, tmp_path: Path) -> None:
    """What the ring overwrites while it is counted is left out whole."""
    output = opened(sqlite, tmp_path, count=3)
    write(output, 0, 300)
    notes = Notes()
    source = TableSource(sqlite.url, notes, pattern=sqlite.pattern)

    def overwrite(_done: float) -> None:
        if not notes:
            write(output, 300, 420)
            notes.append("overwritten")

    summary: Summary = source.summarise(keys=["cat"], watch=overwrite)
    assert summary.total in (200, 300)
    assert sum(summary.facets["cat"].values()) == summary.total
    source.close()
    output.close()
