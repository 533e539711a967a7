"""Where the records of a scenario go, and how they are read back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import oracle

POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/test"


@dataclass
class Target:
    """Where a scenario's records go.

    Attributes:
        options: of the daemon, for its outputs.
        messages: reads them back.
        clean: removes what outlives the folder.
    """

    options: Sequence[str]
    messages: Callable[[], Iterator[str]]
    clean: Callable[[], None] = lambda: None


def file_target(folder: Path, lines: int = 50_000) -> Target:
    """A ring of files that never comes round."""
    options = ["--file", "chaos_%d.log", "--rotate-lines", str(lines), "--rotate-count", "100000"]
    return Target(options, lambda: oracle.file_messages(folder))


def sqlite_target(folder: Path) -> Target:
    """Tables of an SQLite database."""
    path = folder / "chaos.db"
    options = ["--db", f"sqlite:///{path}", "--table-pattern", "chaos_%d"]
    options += ["--rotate-lines", "50000", "--rotate-count", "100000"]
    return Target(options, lambda: oracle.sqlite_messages(path))


def postgresql_target(folder: Path, server: str = POSTGRESQL) -> Target:
    """Tables of the PostgreSQL server on this machine, or of another."""
    prefix = f"chaos_{uuid.uuid4().hex[:8]}"
    url = server.replace("postgresql:", "postgresql+psycopg:")
    options = ["--db", url, "--table-pattern", f"{prefix}_%d"]
    options += ["--rotate-lines", "50000", "--rotate-count", "100000"]

    return Target(
        options,
        lambda: oracle.postgresql_messages(server, prefix),
        lambda: drop_tables(server, prefix),
    )


def drop_tables(server: str, prefix: str) -> None:
    """Remove all tables that begin so, and what is noted of them."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE tablename ~ %s", (rf"^{prefix}(_\d+)+$",)
        ).fetchall()
        for (name,) in names:
            connection.execute(f"DROP TABLE {name} CASCADE".encode())
        for name in ("logd_tables", "logd_marks"):
            connection.execute(f"DELETE FROM {name} WHERE ring LIKE %s".encode(), (f"%{prefix}%",))


TARGETS = {"files": file_target, "sqlite": sqlite_target, "postgresql": postgresql_target}
