"""Rows as SQL literals: MariaDB itself reads back what they say, whatever apps log."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Date

from logd.outputs.tables.fit import storable
from logd.outputs.tables.literals import row_literals
from logd.outputs.tables.rows import RowColumns, Sparse
from tests.outputs.table_making import Outputs

if TYPE_CHECKING:
    from tests.conftest import Database

# Texts made of what quoting has to get right, and any others.
TEXTS = st.one_of(
    st.text(alphabet="'\"`\\%,()0nZ\n\r\t\x1a\x08; -#*/é€😀", max_size=12), st.text(max_size=12)
).map(storable)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(st.none(), TEXTS, INTEGERS, FLOATS)
COLUMNS = st.lists(
    st.integers(1, 4).flatmap(
        lambda length: st.tuples(
            st.lists(TEXTS, min_size=length, max_size=length),
            st.lists(INTEGERS, min_size=length, max_size=length),
            st.lists(VALUES, min_size=length, max_size=length),
        )
    ),
    min_size=1,
    max_size=1,
).map(lambda given: given[0])
WITHOUT_BACKSLASH_ESCAPES = "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'"


def no_other(value: object) -> str:
    """Values of other types are not among those above."""
    raise AssertionError(value)


@pytest.fixture
def connection(mariadb: Database) -> Iterator[Connection]:
    """One connection for all examples of a property."""
    with mariadb.engine.connect() as connection:
        yield connection


def read_back(connection: Connection, literals: str) -> Sequence[Any]:
    """What the server understands by a row's literals."""
    with connection.connection.driver_connection.cursor() as cursor:  # type: ignore[union-attr]
        cursor.execute(f"SELECT {literals}")
        (row,) = cursor.fetchall()
    return list(row)


@given(shared=VALUES, columns=COLUMNS)
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_server_reads_what_was_meant(
    connection: Connection, shared: object, columns: tuple[Sequence[Any], ...]
) -> None:
    """Any text, integer, float and NULL, in a context or a column, comes back as it was."""
    length = len(columns[0])
    sparse = Sparse(None, {0: "it's \\"})
    rows = RowColumns([(shared,)], [0] * length, [range(length), *columns, sparse])
    expected = [
        [shared, number, *values, "it's \\" if number == 0 else None]
        for number, values in enumerate(zip(*columns, strict=True))
    ]
    got = [read_back(connection, literals) for literals in row_literals(rows, no_other)]
    # Literals of floats are decimals to a server without a column to put them into.
    plain = [[float(x) if hasattr(x, "as_tuple") else x for x in row] for row in got]
    assert plain == expected


@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_text_leaves_its_quotes_in_any_mode(connection: Connection, texts: list[str]) -> None:
    """Where the server does not know backslash escapes, a text has them twice, and no worse."""
    rows = RowColumns([()], [0] * len(texts), [texts, [7] * len(texts)])
    connection.exec_driver_sql(WITHOUT_BACKSLASH_ESCAPES)
    got = [read_back(connection, literals) for literals in row_literals(rows, no_other)]
    assert got == [[text.replace("\\", "\\\\"), 7] for text in texts]


def test_a_session_without_backslash_escapes_is_given_them(
    mariadb: Database, tmp_path: Path
) -> None:
    """A server, or a URL, that turns backslash escapes off changes nothing of what is stored."""
    outputs = Outputs(mariadb, tmp_path)
    texts = ["C:\\new\\'; --", "\\", "''", "\\'"]
    output = outputs.opened(url=mariadb.url + "?sql_mode=NO_BACKSLASH_ESCAPES")
    output.write([outputs.batch(msgs=texts)])
    outputs.close_all()
    assert outputs.messages() == {"0": texts}


def test_other_types_are_left_to_the_driver() -> None:
    """Booleans, dates and the like are made into literals by the driver; not so odd floats."""
    day = datetime.date(2026, 11, 22)
    rows = RowColumns([()], [0, 0], [[True, day], [math.nan, -math.inf]])
    literals = list(row_literals(rows, lambda value: f"<{value}>"))
    assert literals == ["<True>,NULL", "<2026-11-22>,NULL"]


@pytest.mark.parametrize("value", [datetime.date(2026, 11, 22), "2026-11-22"])
def test_a_column_of_another_type(mariadb: Database, tmp_path: Path, value: object) -> None:
    """A column of dates takes its values from the special items of records."""
    outputs = Outputs(mariadb, tmp_path)
    output = outputs.opened(columns=[("day", Date)])
    output.write([outputs.batch(2, special={1: {"day": value}})])
    rows = mariadb.rows(f"{mariadb.prefix}_0", "id")
    assert [row["day"] for row in rows] == [None, datetime.date(2026, 11, 22)]
    outputs.close_all()
