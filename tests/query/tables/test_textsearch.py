"""Texts are found by the index of a table's messages, and the answers are those without it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect

from logd.outputs.tables.output import TableOutput
from logd.outputs.tables.textindex import sqlite_match, text_index_name
from logd.query.selection import Selection
from logd.query.tables import textsearch
from logd.query.tables.source import TableSource
from logd.query.terms import Term
from logd.rotation.policy import Retention, RotationPolicy
from tests.outputs.output_making import make_settings
from tests.query.log_making import Notes, record

MESSAGES = (
    "card declined", "Card Declined 50%_\\", 'he said "no" twice', "line one\nline two", "é ü ß İ",
    "order 4711 of ann", "undeclined", "dec\tlined", "it's 100% \\_ sure", "ab", "",
    "naïve café", "🙂🙂🙂 done", "x" * 5000 + "needle" + "y" * 5000,
)  # fmt: skip
TERMS: Sequence[Term] = (
    *(
        Term("text", "=", text)
        for text in (
            "declined", "card declined", "50%_\\", '"no"', "line one\nline two", "é ü", "ab", "İ",
            "% \\_ s", "naïve", "🙂🙂🙂", "needle", "it's", "zanzibar", "lin", "order 4711",
        )
    ),
    *(Term("text", "=", text, ignore_case=True) for text in ("CARD DEC", "NAÏVE", "order", "SURE")),
    *(
        Term("text", "~", text)
        for text in ("card .*ed", "declined|needle", "[0-9]{4} of", "(?i)card")
    ),
    Term("text", "=", "declined", is_not=True),
)  # fmt: skip


@contextmanager
def opened(database: Any, folder: Path, *, text_index: bool, count: int = 5) -> Iterator[Any]:
    """An output of tables of 40 records."""
    settings = make_settings(
        folder,
        rotation=RotationPolicy(lines=40),
        retention=Retention(count=count),
        durable=False,
        table_pattern=database.pattern,
        text_index=text_index,
    )
    output = TableOutput(database.url, settings)
    output.open()
    try:
        yield output
    finally:
        output.close()


def write(output: TableOutput, first: int, last: int) -> None:
    """Records with the messages in turn, in transactions of several batches."""
    numbers = range(first, last)
    output.write([record(n, cat="EW"[n % 2], msg=MESSAGES[n % len(MESSAGES)]) for n in numbers])


@contextmanager
def reading(database: Any) -> Iterator[TableSource]:
    """The log as a source."""
    source = TableSource(database.url, Notes(), pattern=database.pattern)
    try:
        yield source
    finally:
        source.close()


def check_answers(source: TableSource) -> None:
    """All ways of asking find what Python finds."""
    every = list(source.entries())
    for term in TERMS:
        for more in ((), (Term("cat", "=", "E"),)):
            selection = Selection(terms=(term, *more))
            expected = [entry.msgid for entry in every if selection.matches(entry)]
            placed = source.placed(selection)
            assert [one.entry.msgid for one in placed] == expected, term
            newest = source.placed(selection, newest_first=True)
            assert [one.entry.msgid for one in newest] == expected[::-1], term
            by_time = Selection(since=0.0, terms=selection.terms)
            assert [entry.msgid for entry in source.entries(by_time)] == expected, term
            assert source.summarise(selection).total == len(expected), term


def has_index(database: Any, name: str) -> bool:
    """Whether a table has an index of its texts."""
    engine = create_engine(database.url)
    with engine.connect() as connection:
        looked = inspect(connection)
        index = text_index_name(name)
        found = looked.has_table(index)
        if engine.dialect.name == "postgresql":
            found = index in {item["name"] for item in looked.get_indexes(name)}
    engine.dispose()
    return found


def test_answers_are_the_same_through_rotation(database: Any, tmp_path: Path) -> None:
    """In a ring that came round, whose tables are used again."""
    with opened(database, tmp_path, text_index=True, count=3) as output:
        for first in range(0, 260, 20):
            write(output, first, first + 20)
    with reading(database) as source:
        check_answers(source)
        assert source.entries(limit=1) is not None
    names = [database.pattern.replace("%d", str(number)) for number in range(3)]
    expected = "mysql" not in database.url and "mariadb" not in database.url
    assert [has_index(database, name) for name in names] == [expected] * 3


def test_it_is_used(database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rare text asks the index; a frequent one, a short one and a negated one read the rows."""
    if "mysql" in database.url or "mariadb" in database.url:
        return  # has none, as the test above shows
    monkeypatch.setattr(textsearch, "MAX_ROWS", 3)
    with opened(database, tmp_path, text_index=True) as output:
        write(output, 0, 39)
    with reading(database) as source, source._database.reading() as connection:
        (entry,) = source._database.entries(connection)
        log = source._database.table(connection, entry)

        def uses(term: Term) -> bool:
            return bool(textsearch.rare_texts(connection, log, Selection(terms=(term,))))

        assert uses(Term("text", "=", "naïve"))
        assert uses(Term("text", "=", "NAÏVE CAFÉ", ignore_case=True))
        assert uses(Term("text", "~", "order [0-9]+ of"))
        assert not uses(Term("text", "=", "decl"))
        assert not uses(Term("text", "=", "ab"))
        assert not uses(Term("text", "=", "naïve", is_not=True))


def test_it_is_switched_on_and_off(database: Any, tmp_path: Path) -> None:
    """Each change begins a new table; those of before stay as they were, and all are found."""
    for text_index in (False, True, False):
        with opened(database, tmp_path, text_index=text_index) as output:
            write(output, 0, 28)
    with reading(database) as source:
        check_answers(source)
    names = [database.pattern.replace("%d", str(number)) for number in range(3)]
    can = "mysql" not in database.url and "mariadb" not in database.url
    assert [has_index(database, name) for name in names] == [False, can, False]


def test_rows_that_are_rolled_back_are_in_no_index(sqlite: Any, tmp_path: Path) -> None:
    """What a transaction took back leaves nothing; the next one has its ids."""
    with opened(sqlite, tmp_path, text_index=True) as output:
        write(output, 0, 10)
        store = output._store
        after, places = store.ring.placed([record(99, msg="zanzibar")], 0.0)
        with suppress(KeyError), store._transaction(after.counted()) as connection:
            store._inserter.insert(connection, after, places)
            raise KeyError
        write(output, 10, 20)
    with reading(sqlite) as source:
        check_answers(source)


def test_mariadb_says_that_it_has_none(
    mariadb: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, however many tables are begun."""
    with caplog.at_level(logging.WARNING), opened(mariadb, tmp_path, text_index=True) as output:
        write(output, 0, 100)
    told = [text for text in caplog.messages if "text_index" in text]
    assert len(told) == 1
    assert "has no index that finds parts of words" in told[0]


def test_postgresql_says_what_to_do_without_the_extension(
    postgresql: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A role that may not make it writes its records all the same."""
    engine = create_engine(postgresql.url, isolation_level="AUTOCOMMIT")
    role = f"plain_{postgresql.pattern.replace('%d', '')}"
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP EXTENSION IF EXISTS pg_trgm")
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"GRANT CREATE ON SCHEMA public TO {role}")
        connection.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    url = engine.url.set(username=role, password=None).render_as_string(hide_password=False)
    database = type("Database", (), {"url": url, "pattern": postgresql.pattern})
    try:
        with caplog.at_level(logging.WARNING), opened(database, tmp_path, text_index=True) as out:
            write(out, 0, 100)
        with reading(database) as source:
            check_answers(source)
        (told,) = [text for text in caplog.messages if "text_index" in text]
        assert "pg_trgm can't be made (permission denied" in told
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
        engine.dispose()


def test_a_table_of_somebody_elses_is_left_alone(
    sqlite: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What has the index's name and is no index stays, and keeps its content."""
    other = text_index_name(sqlite.pattern.replace("%d", "0"))
    engine = create_engine(sqlite.url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f'CREATE TABLE "{other}" (mine TEXT)')
        connection.exec_driver_sql(f"INSERT INTO \"{other}\" VALUES ('kept')")
    with (
        caplog.at_level(logging.WARNING),
        opened(sqlite, tmp_path, text_index=True, count=2) as out,
    ):
        write(out, 0, 200)
    assert any("that logd did not make" in text for text in caplog.messages)
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f'SELECT mine FROM "{other}"').scalar() == "kept"
    engine.dispose()


@pytest.mark.parametrize(
    ("text", "triples"),
    [
        ("abc", '"abc"'),
        ("abcd", '"abc" AND "bcd"'),
        ('a"b', '"a""b"'),
        ("aaaaaa", '"aaa"'),
        ("abcdefgh", '"abc" AND "def" AND "fgh"'),
    ],
)
def test_questions_to_sqlite(text: str, triples: str) -> None:
    """All of a short text is asked for, quoted."""
    assert sqlite_match(text) == triples


def test_of_a_long_text_a_part_is_asked_for() -> None:
    """However long it is."""
    text = "".join(chr(ord("a") + n * n % 26) + str(n) for n in range(1000))
    assert sqlite_match(text).count('"') <= 2 * 10
