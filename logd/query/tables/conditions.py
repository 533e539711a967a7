"""A selection as conditions of SQL: exact if possible, else at least a first sieve."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, false, func, not_, or_
from sqlalchemy import cast as sql_cast

from logd.query.fields import NO_LABEL, TEXT, item_key
from logd.query.needles import is_literal, needles
from logd.query.selection import Selection
from logd.query.tables.dialects import (
    MAX_TIME,
    begins,
    contains,
    first_step,
    has_item,
    is_equal,
    is_true,
    item_as_text,
    item_of_text,
)
from logd.query.tables.pages import LogTable
from logd.query.terms import Term
from logd.query.tracebacks import HEADING
from logd.records.entry import category

Sieve = tuple[ColumnElement[bool] | None, bool]
"""What all rows fulfil that are wanted, None for nothing; and whether only those do."""

TEXTS = {"host": "peer", "func": "cfunc", "thread": "threadname"}
"""Fields that are a text of one column."""

_NOTHING: Sieve = (None, False)
_SURE_VALUE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})|(?![-+]?\.?[0-9]|[-+]?(?:inf|nan)|[{[]).+")
_WORDS = frozenset({"true", "false", "null"})
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class Conditions:
    """What rows have to fulfil.

    Attributes:
        selection: what they are of.
        times: those of the time alone.
        others: all others that hold for every row.
        by_cat: one further condition a category, each with an index of its own; empty if no
            category is asked for.
        is_exact: whether rows that fulfil them are the ones wanted, with no further look.
    """

    selection: Selection
    times: Sequence[ColumnElement[bool]]
    others: Sequence[ColumnElement[bool]]
    by_cat: Sequence[ColumnElement[bool]]
    is_exact: bool

    @property
    def common(self) -> list[ColumnElement[bool]]:
        """Those of all categories."""
        return [*self.times, *self.others]

    @property
    def together(self) -> list[ColumnElement[bool]]:
        """All for one statement."""
        return [*self.common, *([or_(*self.by_cat)] if self.by_cat else [])]


def conditions_of(selection: Selection, log: LogTable) -> Conditions:
    """The conditions that a selection puts on the rows of a table."""
    column = log.clause.c.time
    times: list[ColumnElement[bool]] = []
    if selection.has_times:
        # What no calendar has is no time: not even one that is later than all others.
        since = -MAX_TIME if selection.since is None else selection.since
        until = MAX_TIME if selection.until is None else selection.until
        times = [column >= log.moment(since), column < log.moment(until)]
    by_cat: list[ColumnElement[bool]] = []
    others: list[ColumnElement[bool]] = []
    is_exact = True
    for group in selection.groups:
        sieves = [_sieve(term, log) for term in group.terms]
        found = [sieve for sieve, _ in sieves if sieve is not None]
        is_whole = len(found) == len(sieves)
        is_sure = is_whole and all(exact for _, exact in sieves)
        is_exact = is_exact and is_sure
        if group.is_not and is_sure:
            others.append(not_(is_true(or_(*found))))
        elif group.is_not or not is_whole:
            continue
        elif group.field == "cat" and is_sure and selection.cats is not None and not by_cat:
            by_cat = found
        else:
            others.append(or_(*found))
    return Conditions(selection, times, others, by_cat, is_exact)


def _sieve(term: Term, log: LogTable) -> Sieve:
    """The condition of one term, its `is_not` left aside."""
    field, columns = term.field, log.clause.c
    if field == TEXT:
        return _text(term, columns.msg, log.dialect)
    if field in ("exc", "traceback"):
        is_simple = field == "traceback" and term.operator == "has"
        is_traceback = contains(columns.msg, HEADING, log.dialect)
        return (is_traceback, is_simple) if is_simple or field == "exc" else _NOTHING
    key = item_key(field)
    if key is not None:
        return _item(term, key, log)
    if term.operator == "has":
        return _has(field, log)
    if not term.is_plain or not term.value.isprintable():
        return _NOTHING
    if field == "cat":
        return _cat(term.value, log)
    if (name := TEXTS.get(field)) in log.names:
        return _is_text(columns[name], term.value, log.dialect), True
    if field in ("pid", "tid", "msgid") and field in log.names:
        return _number(term.value, field, log)
    if field in ("site", "path") and "path" in log.names:
        return _step(field, term.value, log)
    return _NOTHING


def _text(term: Term, column: ColumnElement[str], dialect: str) -> Sieve:
    if term.is_plain:
        # What the database would compare otherwise is looked at again.
        is_exact = term.value.isprintable()
        return contains(column, term.value, dialect) if is_exact else None, is_exact
    if term.ignore_case or term.operator == "has":
        return _NOTHING
    found = [contains(column, needle, dialect) for needle in needles(term.pattern)]
    return and_(*found) if found else None, bool(found) and is_literal(term.pattern)


def _has(field: str, log: LogTable) -> Sieve:
    name = "cat" if field == "cat" else TEXTS.get(field)
    if name not in log.names:
        return _NOTHING
    column = log.clause.c[name]
    return not_(_is_text(column, NO_LABEL, log.dialect)), True


def _is_text(column: ColumnElement[Any], value: str, dialect: str) -> ColumnElement[bool]:
    if value == NO_LABEL:
        return or_(column.is_(None), column.in_(["", NO_LABEL]))
    return is_equal(column, value, dialect)


def _cat(value: str, log: LogTable) -> Sieve:
    column = log.clause.c.cat
    if "_" not in value and category(value) in (value, ""):
        return _is_text(column, value, log.dialect), True
    # What is read as "_" may have been any white space.
    return column.like(value.replace("\\", "\\\\").replace("%", "\\%"), escape="\\"), False


def _number(value: str, name: str, log: LogTable) -> Sieve:
    number, at, host = value.partition("@")
    if not _NUMBER.fullmatch(number):
        return _NOTHING
    is_same = log.clause.c[name] == int(number)
    if not at or "peer" not in log.names:
        return is_same, not at
    return and_(is_same, _is_text(log.clause.c.peer, host, log.dialect)), True


def _step(field: str, value: str, log: LogTable) -> Sieve:
    path, dialect = log.clause.c.path, log.dialect
    if value == NO_LABEL:
        return _NOTHING
    if field == "path" or dialect == "mysql":
        return contains(path, value, dialect), False
    site = first_step(path, dialect)
    is_name = and_(
        begins(site, f"{value}("), not_(contains(func.substr(site, len(value) + 2), "(", dialect))
    )
    return and_(begins(path, value), or_(site == value, is_name)), True


def _item(term: Term, key: str, log: LogTable) -> Sieve:
    if "special" not in log.names:
        return _NOTHING
    items, dialect = log.clause.c.special, log.dialect
    if log.has_objects:
        if not key.isprintable() or not term.value.isprintable():
            return items.is_not(None), False
        is_sure = term.is_plain and _is_sure(term.value)
        if is_sure:
            return item_as_text(items, key) == term.value, True
        return has_item(items, key), False
    if not _is_plain(key):
        return items.is_not(None), False
    if not term.is_plain or not _is_plain(term.value) or not _is_sure(term.value):
        return contains(items, f'"{key}"', dialect), False
    found = or_(*(contains(items, text, dialect) for text in _json_texts(key, term.value)))
    if dialect != "sqlite":
        return found, False
    kind, value, _ = item_of_text(items, key)
    is_same = and_(kind.in_(["text", "integer"]), sql_cast(value, Text()) == term.value)
    return case((found, is_same), else_=false()), True


def _is_sure(value: str) -> bool:
    """Whether a value is written in one way only: as a string, or as an integer."""
    return value not in _WORDS and _SURE_VALUE.fullmatch(value) is not None


def _json_texts(key: str, value: str) -> list[str]:
    """How an item may stand in a JSON object."""
    return [f'"{key}":{gap}{quote}{value}{quote}' for gap in ("", " ") for quote in ("", '"')]


def _is_plain(text: str) -> bool:
    """Whether every JSON writer writes it as it is."""
    return text.isascii() and text.isprintable() and not set('"\\') & set(text)
