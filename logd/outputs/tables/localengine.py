"""SQLAlchemy engines for the tables of an app's own log (`logd.dbwriter_sa`), on any database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.pool import StaticPool

from logd.outputs.tables.postgresql import codec_of


def engine_of(engine_str: str) -> Engine:
    """An engine for an SQLAlchemy URL, with what a log needs of its database."""
    url = make_url(engine_str)
    if url.drivername in ("mysql", "mariadb"):
        url = url.set(drivername=f"{url.drivername}+pymysql")
    if url.get_driver_name() in ("psycopg", "psycopg2"):
        # What comes from a database without an encoding is bytes otherwise.
        return create_engine(url, connect_args={"client_encoding": "utf8"})
    if url.get_backend_name() != "sqlite":
        return create_engine(url)
    if not url.database or url.database == ":memory:":
        # One database for all threads, not one for each.
        return create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    engine = create_engine(url)

    # Readers and the writer don't wait for each other, and a commit need not wait for the disk.
    @event.listens_for(engine, "connect")
    def prepare(dbapi: Any, _record: object) -> None:
        dbapi.execute("PRAGMA journal_mode = WAL").close()
        dbapi.execute("PRAGMA synchronous = NORMAL").close()

    return engine


def codec_of_engine(engine: Engine) -> str | None:
    """The encoding that texts have to fit; None if the database takes all of them."""
    if engine.dialect.name != "postgresql":
        return None
    with engine.connect() as connection:
        return codec_of(str(connection.exec_driver_sql("SHOW server_encoding").scalar_one()))
