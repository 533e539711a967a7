"""A selection as conditions of SQL: exact if possible, else at least a first sieve."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_

from logd.query.fields import TEXT, item_key
from logd.query.needles import is_literal, needles
from logd.query.selection import Selection
from logd.query.tables.pages import LogTable
from logd.query.terms import Term

_SURE_VALUE = re.compile(r"-?[0-9]{1,18}|(?![-+]?\.?[0-9]|[-+]?(?:inf|nan)).*")


@dataclass(frozen=True)
class Conditions:
    """What rows have to fulfil.

    Attributes:
        common: for all of them.
        by_cat: one further condition a category, each with an index of its own; empty if no
            category is asked for.
        is_exact: whether rows that fulfil them are the ones wanted, with no further look.
    """

    common: Sequence[ColumnElement[bool]]
    by_cat: Sequence[ColumnElement[bool]]
    is_exact: bool


def conditions_of(selection: Selection, log: LogTable, dialect_name: str) -> Conditions:
    """The conditions that a selection puts on the rows of a table."""
    columns = log.clause.c
    common: list[ColumnElement[bool]] = []
    if selection.since is not None:
        common.append(columns.time >= selection.since)
    if selection.until is not None:
        common.append(columns.time < selection.until)
    is_exact = True
    for group in selection.groups:
        if group.field == "cat" and selection.cats is not None and not group.is_not:
            continue
        conditions = [_condition(term, log, dialect_name) for term in group.terms]
        is_exact = is_exact and not group.is_not and all(exact for _, exact in conditions)
        if not group.is_not and all(sieve is not None for sieve, _ in conditions):
            common.append(or_(*(sieve for sieve, _ in conditions if sieve is not None)))
    by_cat = [] if selection.cats is None else [_has_cat(log, cat) for cat in selection.cats]
    return Conditions(common, by_cat, is_exact)


def _condition(
    term: Term, log: LogTable, dialect_name: str
) -> tuple[ColumnElement[bool] | None, bool]:
    """What rows fulfil that fulfil the condition, None for all; and whether only those do."""
    columns = log.clause.c
    if term.field == TEXT:
        return _text_condition(term, columns.msg, dialect_name)
    if not term.is_plain:
        return None, False
    if term.field == "pid" and (number := term.value.partition("@")[0]).isdecimal():
        return columns.pid == int(number), "@" not in term.value
    key = item_key(term.field)
    if key is None or "special" not in log.names:
        return None, False
    found = [
        _contains(columns.special, text, dialect_name) for text in _json_texts(key, term.value)
    ]
    return or_(*found) if found else columns.special.is_not(None), False


def _text_condition(
    term: Term, column: ColumnElement[str], dialect_name: str
) -> tuple[ColumnElement[bool] | None, bool]:
    if term.is_plain:
        # What the database would compare otherwise is looked at again.
        is_exact = term.value.isprintable()
        return _contains(column, term.value, dialect_name) if is_exact else None, is_exact
    if term.ignore_case:
        return None, False
    found = [_contains(column, needle, dialect_name) for needle in needles(term.pattern)]
    return and_(*found) if found else None, is_literal(term.pattern)


def _has_cat(log: LogTable, cat: str) -> ColumnElement[bool]:
    column = log.clause.c.cat
    return or_(column == "", column.is_(None)) if cat == "" else column == cat


def _json_texts(key: str, value: str) -> list[str]:
    """How an item may stand in a JSON object; an empty list if that is hard to tell."""
    if not _is_plain(key):
        return []
    # Floats are written in more ways than one.
    if not _is_plain(value) or not _SURE_VALUE.fullmatch(value):
        return [f'"{key}"']
    return [f'"{key}":{gap}{quote}{value}{quote}' for gap in ("", " ") for quote in ("", '"')]


def _is_plain(text: str) -> bool:
    """Whether every JSON writer writes it as it is."""
    return text.isascii() and text.isprintable() and not set('"\\') & set(text)


def _contains(column: ColumnElement[str], text: str, dialect_name: str) -> ColumnElement[bool]:
    """Whether a text is in a column, letter by letter: LIKE has its own ideas of case."""
    if dialect_name == "postgresql":
        return func.strpos(column, text) > 0
    return func.instr(column, text) > 0
