"""Fields of entries as what rows are grouped by, and what groups are called."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement

from logd.query.barsteps import UNITS, Unit, bar_labels, bar_start
from logd.query.fields import NO_LABEL, item_key
from logd.query.summaries import Key, Label
from logd.query.tables.conditions import TEXTS
from logd.query.tables.dialects import (
    first_step,
    grouped,
    item_as_json,
    item_of_text,
    second_of,
)
from logd.query.tables.pages import LogTable
from logd.query.tables.values import integer_of, items_of, text_of
from logd.records.entry import category
from logd.text.items import item_text

QUARTER_S = 900
"""Offsets from UTC are whole quarters of an hour, so hours of any zone are made of such."""

MINUTE_S = 60

_MAX_KEY_CHARS = 200


@dataclass(frozen=True)
class Grouping:
    """What rows are grouped by.

    Attributes:
        columns: that differ from group to group.
        label: what a group is called, of its values of the columns. Several may be called alike.
        are_many: whether many groups may be called alike, as each is a whole text with more in it.
    """

    columns: Sequence[ColumnElement[Any]]
    label: Callable[[Sequence[Any]], Label]
    are_many: bool = False


def grouping_of(key: Key, log: LogTable) -> Grouping | None:
    """How rows are grouped by a key; None if only whole entries tell."""
    if not isinstance(key, tuple):
        return _of_field(key, log)
    parts = [_of_field(name, log) for name in key]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    places = [0]
    for part in known:
        places.append(places[-1] + len(part.columns))

    def label(values: Sequence[Any]) -> Label:
        found = zip(known, places, places[1:], strict=False)
        return tuple(str(part.label(values[begin:end])) for part, begin, end in found)

    columns = [column for part in known for column in part.columns]
    return Grouping(columns, label, any(part.are_many for part in known))


def _of_field(name: str, log: LogTable) -> Grouping | None:
    columns, dialect = log.clause.c, log.dialect
    if name in UNITS:
        return _of_unit(UNITS[UNITS.index(name)], log)
    key = item_key(name)
    if key is not None:
        return _of_item(key, log)
    if not {"cat", "pid", "peer", "path", TEXTS.get(name, "msg")} <= set(log.names):
        return None
    if name == "cat":
        return Grouping(grouped(columns.cat, dialect), _cat_label)
    if name in TEXTS:
        return Grouping(grouped(columns[TEXTS[name]], dialect), _text_label)
    if name == "pid":
        return Grouping([columns.pid, *grouped(columns.peer, dialect)], _pid_label)
    if name == "site":
        return Grouping(grouped(first_step(columns.path, dialect), dialect), _text_label)
    if name == "path":
        return Grouping(grouped(columns.path, dialect), _text_label)
    if name in ("tid", "msgid") and name in log.names:
        return Grouping([columns[name]], lambda values: str(integer_of(values[0])))
    return None


def _of_unit(unit: Unit, log: LogTable) -> Grouping:
    width = MINUTE_S if unit == "minute" else QUARTER_S
    column = log.stretch(width)

    def label(values: Sequence[Any]) -> Label:
        start = second_of(values[0])
        if start is None:
            return NO_LABEL
        return bar_labels([bar_start(start, unit)], unit)[0]

    return Grouping([column], label)


def _of_item(key: str, log: LogTable) -> Grouping:
    if "special" not in log.names:
        return Grouping([], lambda _values: NO_LABEL)
    items = log.clause.c.special
    is_plain = key.isascii() and key.isprintable() and not set('"\\') & set(key)
    if log.has_objects and "\0" not in key and len(key) <= _MAX_KEY_CHARS:
        return Grouping([item_as_json(items, key)], _json_label)
    if log.dialect == "sqlite" and is_plain:
        return Grouping(item_of_text(items, key), partial(_typed_label, key))

    columns = grouped(items, log.dialect)
    return Grouping(columns, lambda values: _item_label(values[0], key), are_many=True)


def _item_label(text: object, key: str) -> Label:
    found = items_of(text)
    return item_text(found[key]) if key in found else NO_LABEL


def _cat_label(values: Sequence[Any]) -> Label:
    return category(text_of(values[0])) or NO_LABEL


def _text_label(values: Sequence[Any]) -> Label:
    return text_of(values[0]) or NO_LABEL


def _pid_label(values: Sequence[Any]) -> Label:
    return f"{integer_of(values[0])}@{text_of(values[1]) or NO_LABEL}"


def _json_label(values: Sequence[Any]) -> Label:
    return NO_LABEL if values[0] is None else item_text(json.loads(values[0]))


def _typed_label(key: str, values: Sequence[Any]) -> Label:
    kind, value, whole = values
    if whole is not None:
        return _item_label(whole, key)
    if kind is None:
        return NO_LABEL
    if kind in ("true", "false", "null"):
        return str(kind)
    return item_text(json.loads(value) if kind in ("object", "array") else value)
