"""Rows that have a rare text, by the index that a table may have of its messages.

The index answers for triples of characters, so it misses no row, but may give rows
without the text: the conditions of `conditions.py` are checked, too. First it is asked whether the
text is rare. If it is not, reading all rows takes no longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    column,
    func,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.sql import table as table_clause

from logd.outputs.tables.sqlite import has_text_index
from logd.outputs.tables.textindex import MIN_CHARS, like_pattern, sqlite_match, text_index_name
from logd.query.fields import TEXT
from logd.query.files.prefilter import unfolding_parts
from logd.query.needles import needles
from logd.query.selection import Selection
from logd.query.tables.pages import LogTable
from logd.query.terms import Term

MAX_ROWS = 20_000
"""A text is rare if at most this many rows of a table may have it."""

_POSTGRESQL = text(
    "SELECT 1 FROM pg_index WHERE indrelid = to_regclass(:name) AND indisvalid "
    "AND pg_get_indexdef(indexrelid) LIKE '% USING gin (msg %gin_trgm_ops)'"
)


def rare_texts(
    connection: Connection, log: LogTable, selection: Selection
) -> Sequence[ColumnElement[bool]]:
    """Conditions that an index answers and few rows fulfil; nothing if there is no such way.

    Args:
        connection: not in a transaction.
        log: the table.
        selection: what is wanted.
    """
    conditions = _conditions(connection, log, selection)
    if not conditions:
        return ()
    with connection.begin():
        if not _has_index(connection, log.entry.table_name):
            return ()
        some = select(literal(1)).select_from(log.clause).where(*conditions).limit(MAX_ROWS + 1)
        number = connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()
    return conditions if number <= MAX_ROWS else ()


def _has_index(connection: Connection, name: str) -> bool:
    if connection.dialect.name == "sqlite":
        return has_text_index(connection, name)
    name = connection.dialect.identifier_preparer.quote(name)
    return connection.execute(_POSTGRESQL, {"name": name}).first() is not None


def _conditions(
    connection: Connection, log: LogTable, selection: Selection
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    matches: list[str] = []
    for group in selection.groups:
        if group.is_not or group.field != TEXT or len(group.terms) > 1:
            continue
        term = group.terms[0]
        for part in _parts(term):
            if log.dialect == "sqlite":
                matches.append(sqlite_match(part))
            elif log.dialect == "postgresql":
                msg, pattern = log.clause.c.msg, like_pattern(part)
                found.append(msg.ilike(pattern) if term.ignore_case else msg.like(pattern))
    if matches:
        found.append(_in_index(connection, log, " AND ".join(matches)))
    return found


def _parts(term: Term) -> list[str]:
    """What is in every message that the term wants, letter by letter unless case is ignored."""
    if term.ignore_case:
        texts = [part.decode() for part in unfolding_parts(term)]
    elif term.operator == "~":
        texts = needles(term.pattern)
    else:
        texts = [term.value] if term.operator == "=" else []
    return [found for found in texts if len(found) >= MIN_CHARS and found.isprintable()]


def _in_index(connection: Connection, log: LogTable, match: str) -> ColumnElement[bool]:
    name = text_index_name(log.entry.table_name)
    quoted = connection.dialect.identifier_preparer.quote(name)
    is_found: ColumnElement[Any] = literal_column(quoted).op("MATCH")(match)
    ids: Select[Any] = select(column("rowid")).select_from(table_clause(name)).where(is_found)
    return log.clause.c.id.in_(ids)
