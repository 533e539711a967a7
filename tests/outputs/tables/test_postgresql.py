"""What is special about PostgreSQL: encodings, and daemons that start at the same moment."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import String, create_engine, make_url
from sqlalchemy.pool import NullPool

from logd.dbwriter_sa import DBConfig, DBLogWriter
from logd.outputs.tables.fit import BYTES_CODEC
from logd.outputs.tables.postgresql import codec_of
from logd.outputs.tables.store import TableStore
from logd.query.tables.source import TableSource
from logd.records.context import Context
from tests.conftest import Database
from tests.outputs.table_making import Outputs

if TYPE_CHECKING:
    from pathlib import Path

LONG = Context(1, 2, "t" * 10_000, "E", (("/srv/views.py", 42),), 0, "pay")


@pytest.fixture(params=["SQL_ASCII", "LATIN1", "UTF8"])
def encoded(
    request: pytest.FixtureRequest, postgresql: Database, tmp_path: Path
) -> Iterator[Outputs]:
    """Outputs to a fresh database of an encoding; `database.kind` is the encoding."""
    name = f"logd_enc_{uuid.uuid4().hex[:10]}"
    server = create_engine(postgresql.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE DATABASE {name} ENCODING '{request.param}' TEMPLATE template0 "
            "LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    url = make_url(postgresql.url).set(database=name)
    engine = create_engine(url, poolclass=NullPool, connect_args={"client_encoding": "utf8"})
    shown = url.render_as_string(hide_password=False)
    outputs = Outputs(Database(request.param, shown, "log", engine), tmp_path)
    yield outputs
    outputs.close_all()
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def test_every_encoding_takes_every_record(encoded: Outputs) -> None:
    """What an encoding does not have is escaped visibly; no record is refused for it."""
    output = encoded.opened(columns=[("user", String(3))])
    special = {0: {"user": "ann\N{PARTY POPPER}", "x": "grün \N{PARTY POPPER}"}}
    output.write([encoded.batch(msgs=["plain", "grün", "go \N{PARTY POPPER} \\"], special=special)])
    output.write([encoded.batch(1, context=LONG)])
    assert encoded.dead_letters.letters == []
    entries = list(TableSource(encoded.database.url, print).entries())
    odd = "\\U0001f389" if encoded.database.kind == "LATIN1" else "\N{PARTY POPPER}"
    assert [entry.msg for entry in entries] == ["plain", "grün", f"go {odd} \\", "message 1"]
    assert dict(entries[0].special)["x"] == "grün \N{PARTY POPPER}"
    end = "…" if encoded.database.kind == "UTF8" else "..."
    assert entries[3].threadname.endswith("t" + end)
    writer = DBLogWriter(DBConfig(encoded.database.url, "api"))
    writer.close()


def test_codecs_of_encodings() -> None:
    """PostgreSQL numbers the Latin alphabets in its own way; unknown encodings hold ASCII."""
    names = {"LATIN1": "iso8859-1", "LATIN5": "iso8859-9", "LATIN9": "iso8859-15"}
    names |= {"WIN1252": "cp1252", "KOI8R": "koi8-r", "EUC_JP": "euc_jp", "MULE_INTERNAL": "ascii"}
    names |= {"SQL_ASCII": BYTES_CODEC}
    assert {name: codec_of(name) for name in names} == names
    assert codec_of("UTF8") is None


@pytest.mark.parametrize("encoded", ["UTF8"], indirect=True)
def test_daemons_start_together(encoded: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs that find a fresh database at the same moment all open it."""
    count = 4
    barrier = threading.Barrier(count)
    take_up = TableStore._take_up

    def together(store: TableStore, *arguments: object) -> None:
        barrier.wait(30)
        take_up(store, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TableStore, "_take_up", together)
    outputs = [encoded.make(pattern=f"ring{number}_%d") for number in range(count)]
    problems: list[Exception] = []

    def open_one(number: int) -> None:
        try:
            outputs[number].open()
        except Exception as exc:
            problems.append(exc)

    threads = [threading.Thread(target=open_one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
