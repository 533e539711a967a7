"""The view of the whole ring: one name for people's own questions, whatever happens to tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Double, String, inspect
from sqlalchemy.types import Text

from logd.outputs.tables import columns as column_module
from logd.outputs.tables.columns import ColumnSpec
from logd.outputs.tables.ringview import view_name
from logd.query.tables.source import TableSource
from tests.query.log_making import Notes

if TYPE_CHECKING:
    from tests.outputs.table_making import Outputs

ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def whole(outputs: Outputs, columns: str = "msg") -> list[Any]:
    """What the view has, in the order written."""
    name = view_name(outputs.database.pattern)
    with outputs.database.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT {columns} FROM {name} ORDER BY id")
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]


def messages(*numbers: int) -> list[str]:
    """The messages of records with these numbers."""
    return [f"message {number}" for number in numbers]


@pytest.fixture
def old_columns(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Tables are made as earlier versions made them."""
    changed = {"time": Double(), "special": Text()}
    specs = tuple(
        ColumnSpec(spec.name, changed.get(spec.name, spec.kind), spec.options)
        for spec in column_module.DAEMON_COLUMNS
    )
    with monkeypatch.context() as patch:
        patch.setattr(column_module, "DAEMON_COLUMNS", specs)
        yield patch


@pytest.mark.parametrize("naming", ["ring", "date"])
def test_the_view_has_what_is_kept(outputs: Outputs, naming: str) -> None:
    """Through each rotation, and tables that are used again or dropped, the view is the log."""
    output = outputs.opened(lines=1, count=3, naming=naming)
    for number in range(1, 8):
        output.write([outputs.batch(1, first=number)])
        outputs.clock.now += 1
        assert whole(outputs) == messages(*range(max(1, number - 2), number + 1))
    output.rotate()
    assert whole(outputs) == messages(6, 7)
    outputs.close_all()
    outputs.opened(lines=1, count=2, naming=naming)
    assert whole(outputs) == messages(7)


def test_further_columns(outputs: Outputs) -> None:
    """A column that only new tables have is empty for the others, and one that went is left out."""
    outputs.opened().write([outputs.batch(1)])
    outputs.close_all()
    output = outputs.opened(columns=[("user", String(10))])
    output.write([outputs.batch(1, first=2, special={0: {"user": "ann"}})])
    quote = "`" if outputs.database.kind == "mariadb" else '"'
    assert whole(outputs, f"msg, {quote}user{quote}") == [("message 1", None), ("message 2", "ann")]
    outputs.close_all()
    outputs.opened().write([outputs.batch(1, first=3)])
    assert whole(outputs) == messages(1, 2, 3)
    names = {c["name"] for c in inspect(outputs.database.engine).get_columns(
        view_name(outputs.database.pattern))}  # fmt: skip
    assert "user" not in names


@pytest.mark.parametrize("kind", ["VIEW", "TABLE"])
def test_what_others_made_is_left_alone(
    outputs: Outputs, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A view or table of that name stays as it is; the log says so, once."""
    name = view_name(outputs.database.pattern)
    outputs.database.run(f"CREATE {kind} {name} AS SELECT 1 AS own")
    output = outputs.opened(lines=1)
    for number in (1, 2, 3):
        output.write([outputs.batch(1, first=number)])
    assert [row["own"] for row in outputs.database.rows(name)] == [1]
    assert caplog.text.count("is left alone") == 1


@ON_POSTGRESQL
def test_times_and_items_are_postgresqls_own(outputs: Outputs) -> None:
    """Times are timestamps and items are objects, in the tables as in the view."""
    items = {"user": "ann", "n": 3, "big": 1e300, "nul": "a\0b", "deep": {"list": [1, 2.5, None]}}
    outputs.opened().write([outputs.batch(1, special={0: items})])
    assert whole(outputs, "pg_typeof(time)::text, pg_typeof(special)::text, special->>'user'") == [
        ("timestamp with time zone", "jsonb", "ann")
    ]
    (entry,) = TableSource(
        outputs.database.url, Notes(), pattern=outputs.database.pattern
    ).entries()
    assert entry.special == {**items, "nul": "a\\x00b"}
    assert isinstance(entry.special["big"], float)


@ON_POSTGRESQL
def test_a_mixed_ring(outputs: Outputs, old_columns: pytest.MonkeyPatch) -> None:
    """Tables of earlier versions are read and counted with new ones, and make way in their turn."""
    items = {"user": "ann", "nul": "a\0b"}
    for number in (1, 2):
        outputs.opened(lines=1, count=3).write([outputs.batch(1, first=number, special={0: items})])
        outputs.close_all()
    old_columns.undo()
    output = outputs.opened(lines=1, count=3)
    output.write([outputs.batch(1, first=3, special={0: items})])
    source = TableSource(outputs.database.url, Notes(), pattern=outputs.database.pattern)
    entries = list(source.entries())
    assert [entry.msg for entry in entries] == messages(1, 2, 3)
    assert len({entry.time for entry in entries}) == 1
    assert source.summarise(step="minute", keys=["user"]).facets["user"] == {"ann": 3}
    assert whole(outputs, "msg, special->>'user'") == [(m, "ann") for m in messages(1, 2, 3)]
    assert len(set(whole(outputs, "time"))) == 1
    for number in (4, 5, 6):
        output.write([outputs.batch(1, first=number)])
    assert whole(outputs) == messages(4, 5, 6)
    types = {
        str(column["type"])
        for name in outputs.database.table_names()
        for column in inspect(outputs.database.engine).get_columns(name)
        if column["name"] == "special"
    }
    assert types == {"JSONB"}
    source.close()


@ON_POSTGRESQL
def test_an_old_table_that_somebodys_view_needs(
    outputs: Outputs, old_columns: pytest.MonkeyPatch
) -> None:
    """A table that can't be made anew is written with the types it has; no record is refused."""
    items = {"user": "ann"}
    outputs.opened(lines=1, count=1).write([outputs.batch(1, special={0: items})])
    outputs.close_all()
    old_columns.undo()
    prefix = outputs.database.prefix
    outputs.database.run(f"CREATE VIEW {prefix}v AS SELECT time, special FROM {prefix}_0")
    for number in (2, 3):
        output = outputs.opened(lines=1, count=1)
        output.write([outputs.batch(1, first=number, special={0: items})])
        outputs.close_all()
        assert whole(outputs, "msg, special->>'user'") == [(f"message {number}", "ann")]
    assert outputs.dead_letters.letters == []


@ON_POSTGRESQL
def test_a_reader_of_the_view_does_not_stop_the_log(
    outputs: Outputs, caplog: pytest.LogCaptureFixture
) -> None:
    """While somebody reads the view new tables are left out of it, for a minute."""
    output = outputs.opened(lines=1, naming="date", count=None)
    output.write([outputs.batch(1)])
    with outputs.database.engine.connect() as connection, connection.begin():
        name = view_name(outputs.database.pattern)
        connection.exec_driver_sql(f"SELECT * FROM {name}").all()
        written = threading.Thread(target=output.write, args=([outputs.batch(1, first=2)],))
        written.start()
        written.join(30)
        assert not written.is_alive()
    assert "is not up to date" in caplog.text
    output.tick(outputs.clock.now)
    assert whole(outputs) == messages(1, 2)


@ON_POSTGRESQL
def test_rights_on_the_view_stay(outputs: Outputs) -> None:
    """A right on the view outlasts rotation, and columns that are others."""
    output = outputs.opened(lines=1, count=2)
    output.write([outputs.batch(1)])
    name = view_name(outputs.database.pattern)
    outputs.database.run(f"GRANT SELECT ON {name} TO PUBLIC")
    outputs.database.run(f"COMMENT ON VIEW {name} IS 'the log'")
    for number in (2, 3):
        output.write([outputs.batch(1, first=number)])
    outputs.close_all()
    for columns in ([("user", String(10))], [("user", String(20))], []):
        outputs.opened(lines=1, count=2, columns=columns)
        outputs.close_all()
        with outputs.database.engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT has_table_privilege('pg_monitor', %s, 'SELECT'), "
                "obj_description(to_regclass(%s))",
                (name, name),
            ).one()
        assert tuple(found) == (True, "the log")
