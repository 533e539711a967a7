"""Finds the backend for a database URL: the one place that knows all kinds of database."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from logd.outputs.base import OutputUnusable
from logd.outputs.tables.backend import Backend
from logd.outputs.tables.mariadb import MariaDB
from logd.outputs.tables.postgresql import PostgreSQL
from logd.outputs.tables.sqlite import SQLite


def backend_for(address: str, *, is_durable: bool) -> Backend:
    """The backend for a database URL.

    Args:
        address: "sqlite:///logs.db", "postgresql://user@host/db", "mariadb://user@host/db".
        is_durable: whether commits survive the death of the machine.

    Raises:
        OutputUnusable: it is no URL, or of a database that isn't supported.
    """
    kinds: dict[str, tuple[type[Backend], str]] = {
        "sqlite": (SQLite, "sqlite+pysqlite"),
        "postgresql": (PostgreSQL, "postgresql+psycopg"),
        "postgres": (PostgreSQL, "postgresql+psycopg"),
        "mysql": (MariaDB, "mysql+pymysql"),
        "mariadb": (MariaDB, "mysql+pymysql"),
    }
    try:
        url = make_url(address)
        kind, driver = kinds[url.drivername.partition("+")[0]]
    except (ArgumentError, NoSuchModuleError, ValueError, KeyError):
        # The address is not shown: it may have a password in it.
        raise OutputUnusable(
            "database URL not understood: expected sqlite:///PATH, "
            "postgresql://USER:PASSWORD@HOST/DATABASE or mariadb://USER:PASSWORD@HOST/DATABASE"
        ) from None
    wanted = url.drivername.partition("+")[2]
    if wanted and wanted != driver.partition("+")[2]:
        raise OutputUnusable(
            f"{url.render_as_string(hide_password=True)}: logd uses the driver "
            f"{driver.partition('+')[2]}: leave +{wanted} out"
        )
    return kind(url.set(drivername=driver), is_durable=is_durable)
