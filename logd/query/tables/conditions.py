"""A selection as conditions of SQL: exact where it can be, else at least a first sieve."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_

from logd.query.needles import is_literal, needles
from logd.query.selection import Selection
from logd.query.tables.pages import LogTable

_SURE_VALUE = re.compile(r"-?[0-9]{1,18}|(?![-+]?\.?[0-9]|[-+]?(?:inf|nan)).*")


@dataclass(frozen=True)
class Conditions:
    """What rows have to fulfil.

    Attributes:
        common: for all of them.
        by_cat: one further condition a category, each with an index of its own; empty where no
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
    if selection.pid is not None:
        common.append(columns.pid == selection.pid)
    if selection.grep is not None:
        common.extend(
            _contains(columns.msg, needle, dialect_name) for needle in needles(selection.grep)
        )
    for key, value in selection.where:
        found = [_contains(columns.special, text, dialect_name) for text in _json_texts(key, value)]
        common.append(or_(*found) if found else columns.special.is_not(None))
    by_cat = [] if selection.cats is None else [_has_cat(log, cat) for cat in selection.cats]
    is_exact = not selection.where and (selection.grep is None or is_literal(selection.grep))
    return Conditions(common, by_cat, is_exact)


def _has_cat(log: LogTable, cat: str) -> ColumnElement[bool]:
    column = log.clause.c.cat
    return or_(column == "", column.is_(None)) if cat == "" else column == cat


def _json_texts(key: str, value: str) -> list[str]:
    """How an item may stand in a JSON object; none where that is hard to tell."""
    if not _is_plain(key):
        return []
    # Floats are written in more ways than one.
    if not _is_plain(value) or not _SURE_VALUE.fullmatch(value):
        return [f'"{key}"']
    return [f'"{key}":{gap}{quote}{value}{quote}' for gap in ("", " ") for quote in ("", '"')]


def _is_plain(text: str) -> bool:
    """Whether JSON writes it as it is, whoever makes it."""
    return text.isascii() and text.isprintable() and not set('"\\') & set(text)


def _contains(column: ColumnElement[str], text: str, dialect_name: str) -> ColumnElement[bool]:
    """Whether a text is in a column, letter by letter: LIKE has its own ideas of case."""
    if dialect_name == "postgresql":
        return func.strpos(column, text) > 0
    return func.instr(column, text) > 0
