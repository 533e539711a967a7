"""The columns of log tables: names, types, and which field of a record fills them.

A column named like a field of a record holds that field; any other column holds the item of that
name of the record's `special`. Names come from configurations, so they are checked here, before
they get anywhere near SQL (where they are quoted besides).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TIMESTAMP, TypeEngine

from logd.outputs.base import OutputUnusable
from logd.outputs.tables.fit import BYTES_CODEC

CONTEXT_FIELDS = frozenset(
    {"pid", "tid", "threadname", "cat", "cfunc", "cfn", "cln", "path", "tblen", "peer"}
)
"""Fields that all records of one place in a program share (see `logd.records.context.Context`)."""

RECORD_FIELDS = frozenset({"id", "msgid", "ts", "time", "msg", "special"})
"""Fields of single records. `id` is the running number that the output gives to its records."""

FIELDS = CONTEXT_FIELDS | RECORD_FIELDS

# PostgreSQL cuts names at 63 bytes; the daemon's indexes are called after their tables.
MAX_NAME_CHARS = 63
_MAX_RING_NAME_CHARS = 48
_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MAX_NAME_CHARS - 1}}}")
_PATTERN = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)%[ds]([A-Za-z0-9_]*)")

# VARCHAR needs a length on MariaDB and MySQL.
UNSIZED_STRING_CHARS = 255

# TEXT ends at 64 KiB on MariaDB and MySQL, less than one message may have.
LongText = Text().with_variant(LONGTEXT(), "mysql", "mariadb")
# On PostgreSQL people and tools expect a time, and objects that they can look into.
_Moment: TypeEngine[Any] = Double().with_variant(TIMESTAMP(timezone=True), "postgresql")
_Items: TypeEngine[Any] = LongText.with_variant(JSONB(), "postgresql")
# SQLite's own row number serves as `id` only if the column is declared INTEGER.
_Identity = BigInteger().with_variant(Integer(), "sqlite")


class ColumnError(ValueError):
    """A column can't be as configured.

    Attributes:
        name: the column.
        reason: what is wrong with it, and what is expected.
    """

    def __init__(self, name: object, reason: str) -> None:
        super().__init__(f"column {name!r}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True)
class ColumnSpec:
    """One column of a log table.

    Attributes:
        name: the column, and the field or special item that it holds.
        kind: type in the database.
        options: keyword arguments for SQLAlchemy's `Column`.
    """

    name: str
    kind: TypeEngine[Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> Literal["context", "record", "special"]:
        """Where its values come from."""
        if self.name in CONTEXT_FIELDS:
            return "context"
        return "record" if self.name in RECORD_FIELDS else "special"

    @property
    def is_postgresqls_own(self) -> bool:
        """Whether PostgreSQL has another type for it than others: a timestamp, or objects."""
        return self.kind in (_Moment, _Items)

    def column(self) -> Column[Any]:
        """A new SQLAlchemy column."""
        return Column(self.name, self.kind, **self.options)


DAEMON_COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec("id", _Identity, {"primary_key": True, "autoincrement": False}),
    ColumnSpec("time", _Moment, {"nullable": False}),
    ColumnSpec("ts", String(40)),
    ColumnSpec("cat", String(32)),
    ColumnSpec("pid", BigInteger()),
    ColumnSpec("peer", String(64)),
    ColumnSpec("msgid", BigInteger()),
    ColumnSpec("msg", LongText),
    ColumnSpec("threadname", String(128)),
    ColumnSpec("tid", BigInteger()),
    ColumnSpec("cfunc", String(128)),
    ColumnSpec("cfn", String(255)),
    ColumnSpec("cln", BigInteger()),
    ColumnSpec("path", LongText),
    ColumnSpec("special", _Items),
)
"""What the daemon's tables hold: the reference's columns, wider, so that no message is cut, and
tid, peer, time (seconds since the epoch; a timestamp on PostgreSQL), special (a JSON object, NULL
without items) and id."""


def check_name(name: object) -> str:
    """The name of a table or column, if it is a plain one.

    Raises:
        ColumnError: it is empty, too long or has other than letters, digits and underscores.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ColumnError(
            name,
            f"expected a name of 1 to {MAX_NAME_CHARS} letters, digits and underscores that does "
            "not begin with a digit",
        )
    return name


def split_pattern(pattern: object) -> tuple[str, str]:
    """What stands before and after the number in a table name's pattern, such as "log_%d".

    Raises:
        ValueError: it isn't a plain name with one %d or %s in it.
    """
    match = _PATTERN.fullmatch(pattern) if isinstance(pattern, str) else None
    # A date of 15 characters must still fit, with a number to tell two of one second apart.
    if match is None or len(match[1]) + len(match[2]) > _MAX_RING_NAME_CHARS - 19:
        raise ValueError(
            f"table name pattern {pattern!r}: expected letters, digits and underscores with one "
            f'%d for the number, such as "log_%d", at most {_MAX_RING_NAME_CHARS - 17} characters'
        )
    return match[1], match[2]


def column_specs(config: Sequence[Sequence[Any]]) -> list[ColumnSpec]:
    """Read columns configured as (name, type) or (name, type, keyword arguments).

    Raises:
        ColumnError: a name is not plain or there twice, a tuple or a type is something else.
    """
    specs = [_column_spec(item) for item in config]
    seen: set[str] = set()
    for spec in specs:
        # SQLite, MariaDB and MySQL don't tell upper from lower case in column names.
        if spec.name.lower() in seen:
            raise ColumnError(spec.name, "already reserved by another column of that name")
        seen.add(spec.name.lower())
    return specs


def _column_spec(item: Sequence[Any]) -> ColumnSpec:
    if isinstance(item, str) or not 2 <= len(item) <= 3:
        raise ColumnError(item, "expected (name, type) or (name, type, keyword arguments)")
    name = check_name(item[0])
    kind = item[1]() if isinstance(item[1], type) else item[1]
    if not isinstance(kind, TypeEngine):
        raise ColumnError(name, f"expected DBConfig.Integer or DBConfig.String, got {item[1]!r}")
    if type(kind) is String and kind.length is None:
        kind = kind.with_variant(String(UNSIZED_STRING_CHARS), "mysql", "mariadb")
    options = item[2] if len(item) == 3 else {}
    if not isinstance(options, Mapping):
        raise ColumnError(name, f"expected a dict of keyword arguments, got {options!r}")
    return ColumnSpec(name, kind, dict(options))


def daemon_columns(config: Sequence[Sequence[Any]] | None, dialect_name: str) -> list[ColumnSpec]:
    """The daemon's columns with those of `config`, which change or follow them.

    A primary key of the user's own takes the place of `id`'s. On PostgreSQL there is none: its
    index costs a sixth of the rows per second there, while SQLite and MariaDB store rows by it.

    Raises:
        ColumnError: see `column_specs`; or a column is one that the output counts on.
    """
    extra = {spec.name: spec for spec in column_specs(config or ())}
    own_names = {spec.name.lower() for spec in DAEMON_COLUMNS}
    for spec in extra.values():
        if spec.name in ("id", "time"):
            raise ColumnError(spec.name, "already reserved: its type can't be changed")
        if spec.name not in FIELDS and spec.name.lower() in own_names:
            raise ColumnError(spec.name, "already reserved in lower case")
        if "server_default" in spec.options:
            raise ColumnError(spec.name, 'server_default is not supported here: use "default"')
    columns = [extra.pop(spec.name, spec) for spec in DAEMON_COLUMNS] + list(extra.values())
    has_own_key = any(spec.options.get("primary_key") for spec in columns if spec.name != "id")
    if has_own_key or dialect_name == "postgresql":
        columns[0] = ColumnSpec("id", BigInteger(), {"nullable": False})
    return columns


def for_encoding(columns: Sequence[ColumnSpec], codec: str | None) -> Sequence[ColumnSpec]:
    """The columns as a database of some encoding can have them.

    Its objects have no characters but those of the encoding; JSON texts have escapes for others.

    Args:
        columns: those of `daemon_columns`.
        codec: see `logd.outputs.tables.fit.TextFit`.
    """
    if codec in (None, BYTES_CODEC):
        return columns
    return [
        ColumnSpec(spec.name, LongText, spec.options) if spec.kind is _Items else spec
        for spec in columns
    ]


def build_table(name: str, columns: Sequence[ColumnSpec], *, is_indexed: bool = False) -> Table:
    """A SQLAlchemy table for log records.

    Args:
        name: its checked name.
        columns: in their order.
        is_indexed: with indexes for the questions people ask: errors of a time, all of a time.
    """
    table = Table(
        name,
        MetaData(),
        *(spec.column() for spec in columns),
        # What the server has as default may be Latin-1, and "e" the same as "E".
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )
    if is_indexed:
        Index(f"{name}_cat_time", table.c.cat, table.c.time)
        Index(f"{name}_time", table.c.time)
        # Ids ascend with the places of rows, so it takes next to nothing. Others store by ids.
        ranges = Index(
            f"{name}_id",
            table.c.id,
            postgresql_using="brin",
            postgresql_with={"autosummarize": "on"},
        )
        ranges.ddl_if(dialect="postgresql")
    return table


# As columns stand in the settings: `user:String(64)`, `amount:Integer`.
_SETTING = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*):"
    r"(?:(?P<kind>Integer|BigInteger|Float|Text)|String\((?P<length>[1-9][0-9]{0,5})\))",
    re.IGNORECASE,
)
_KINDS: Mapping[str, Callable[[], TypeEngine[Any]]] = {
    "integer": Integer,
    "biginteger": BigInteger,
    "float": Double,
    "text": lambda: LongText,
}


def parse_columns(texts: Sequence[str]) -> list[tuple[str, Any]]:
    """The columns as `DBConfig(cols=...)` takes them: (name, type).

    Raises:
        OutputUnusable: a text is none of them; names it.
    """
    columns: list[tuple[str, Any]] = []
    for text in texts:
        match = _SETTING.fullmatch(text)
        if match is None:
            raise OutputUnusable(
                f'column {text!r}: expected "name:type", where type is Text, String(length), '
                "Integer, BigInteger or Float"
            )
        kind = match["kind"]
        column = String(int(match["length"])) if kind is None else _KINDS[kind.lower()]()
        columns.append((match["name"], column))
    return columns
