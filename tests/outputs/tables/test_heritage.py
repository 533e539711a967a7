"""What people give to log tables outlasts rotation: rights, views, comments, further indexes."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import String, create_engine, inspect, make_url
from sqlalchemy.pool import NullPool

from logd.outputs.tables.output import TableOutput

if TYPE_CHECKING:
    from tests.outputs.table_making import Outputs

COMMENT = '50% of it\'s "odd" \\ stuff'

ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
ON_SERVERS = pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)


@pytest.fixture
def reader(outputs: Outputs) -> Iterator[str]:
    """A role that may read nothing by itself."""
    database = outputs.database
    name = f"reader_{uuid.uuid4().hex[:8]}"
    role = f"'{name}'@'%%'" if database.kind == "mariadb" else name
    with database.engine.begin() as connection:
        login = "" if database.kind == "mariadb" else " LOGIN"
        connection.exec_driver_sql(f"CREATE {'USER' if not login else 'ROLE'} {role}{login}")
    yield name
    outputs.close_all()
    with database.engine.begin() as connection:
        if database.kind == "postgresql":
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
        else:
            connection.exec_driver_sql(f"DROP USER {role}")


def run(outputs: Outputs, *statements: str) -> None:
    """Do what an administrator does."""
    with outputs.database.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def read_as(outputs: Outputs, reader: str, table: str) -> list[str]:
    """What the role sees of a table."""
    url = make_url(outputs.database.url).set(username=reader)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT msg FROM {table} ORDER BY msg")
        return [row.msg for row in rows]


def written(outputs: Outputs, output: TableOutput, first: int, last: int) -> None:
    """Write records, each a batch."""
    for number in range(first, last + 1):
        output.write([outputs.batch(1, first=number)])
        outputs.clock.now += 1


@ON_SERVERS
@pytest.mark.parametrize("naming", ["ring", "date"])
def test_a_reader_goes_on_to_read(outputs: Outputs, reader: str, naming: str) -> None:
    """A role with rights on the current table has them on those that follow."""
    output = outputs.opened(lines=1, count=3, naming=naming)
    written(outputs, output, 1, 1)
    (table,) = outputs.database.table_names()
    role = f"'{reader}'@'%%'" if outputs.database.kind == "mariadb" else reader
    run(outputs, f"GRANT SELECT ON {table} TO {role}")
    written(outputs, output, 2, 7)
    tables = outputs.database.table_names()
    assert len(tables) == 3
    found = [message for name in tables for message in read_as(outputs, reader, name)]
    assert sorted(found) == ["message 5", "message 6", "message 7"]


@ON_POSTGRESQL
def test_rights_of_columns(outputs: Outputs, reader: str) -> None:
    """On PostgreSQL rights of columns are handed on, too, with the right to grant them."""
    output = outputs.opened(lines=1, count=3)
    written(outputs, output, 1, 1)
    prefix = outputs.database.prefix
    run(outputs, f"GRANT SELECT (msg) ON {prefix}_0 TO {reader} WITH GRANT OPTION")
    written(outputs, output, 2, 3)
    assert read_as(outputs, reader, f"{prefix}_2") == ["message 3"]
    with pytest.raises(Exception, match="permission denied"):
        read_as(outputs, reader, f"(SELECT peer AS msg FROM {prefix}_2) AS t")
    with outputs.database.engine.connect() as connection:
        grantable = connection.exec_driver_sql(
            "SELECT is_grantable FROM information_schema.column_privileges "
            f"WHERE grantee = '{reader}' AND table_name = '{prefix}_2'"
        ).scalar()
    assert grantable == "YES"


def test_what_is_on_a_table_outlasts_the_ring(outputs: Outputs) -> None:
    """A view, a further index and a comment stay when the ring comes round to their table."""
    output = outputs.opened(lines=1, count=2)
    written(outputs, output, 1, 1)
    prefix = outputs.database.prefix
    with contextlib.ExitStack() as undo:
        run(
            outputs,
            f"CREATE INDEX {prefix}_own ON {prefix}_0 (pid)",
            f"CREATE VIEW v{prefix} AS SELECT msg FROM {prefix}_0",
        )
        undo.callback(run, outputs, f"DROP VIEW v{prefix}")
        if outputs.database.kind != "sqlite":
            run(outputs, comment(outputs, f"{prefix}_0"))
        written(outputs, output, 2, 5)
        engine = outputs.database.engine
        assert [row["msg"] for row in outputs.database.rows(f"v{prefix}")] == ["message 5"]
        indexes = {
            tuple(index["column_names"]) for index in inspect(engine).get_indexes(f"{prefix}_0")
        }
        assert ("pid",) in indexes
        if outputs.database.kind != "sqlite":
            assert inspect(engine).get_table_comment(f"{prefix}_0")["text"] == COMMENT


def comment(outputs: Outputs, table: str) -> str:
    """The statement that gives a table its comment."""
    words = COMMENT.replace("'", "''").replace("%", "%%")
    if outputs.database.kind == "mariadb":
        words = words.replace("\\", "\\\\")
        return f"ALTER TABLE {table} COMMENT '{words}'"
    return f"COMMENT ON TABLE {table} IS '{words}'"


@ON_POSTGRESQL
def test_a_new_table_inherits_comments_and_indexes(outputs: Outputs) -> None:
    """On PostgreSQL tables under new names have them, too, unless a column of theirs is gone."""
    prefix = outputs.database.prefix
    columns = [("user", String(10))]
    output = outputs.opened(lines=1, columns=columns)
    written(outputs, output, 1, 1)
    run(
        outputs,
        comment(outputs, f"{prefix}_0"),
        f"COMMENT ON COLUMN {prefix}_0.msg IS 'what'",
        f"CREATE INDEX {prefix}_own ON {prefix}_0 (pid) WHERE cat = 'E'",
        f'CREATE INDEX {prefix}_user ON {prefix}_0 ("user")',
    )
    written(outputs, output, 2, 3)
    look = inspect(outputs.database.engine)
    assert look.get_table_comment(f"{prefix}_2")["text"] == COMMENT
    assert {c["name"]: c["comment"] for c in look.get_columns(f"{prefix}_2")}["msg"] == "what"
    assert len(look.get_indexes(f"{prefix}_2")) == len(look.get_indexes(f"{prefix}_0"))
    outputs.close_all()
    output = outputs.opened(lines=1)
    written(outputs, output, 4, 4)
    assert [row["msg"] for row in outputs.database.rows(f"{prefix}_3")] == ["message 4"]


@ON_POSTGRESQL
def test_a_table_that_a_view_needs_is_emptied(
    outputs: Outputs, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a view keeps a table from being dropped it is emptied, and writing goes on."""
    output = outputs.opened(lines=1, count=2, naming="date")
    written(outputs, output, 1, 1)
    (table,) = outputs.database.table_names()
    run(outputs, f"CREATE VIEW v{outputs.database.prefix} AS SELECT msg FROM {table}")
    try:
        written(outputs, output, 2, 4)
        assert outputs.database.rows(table) == []
        assert f"table {table} is emptied, not dropped" in caplog.text
        rest: Any = [name for name in outputs.database.table_names() if name != table]
        assert len(rest) == 2
    finally:
        run(outputs, f"DROP VIEW v{outputs.database.prefix}")
