"""Rows as the VALUES of an INSERT, made by columns: for drivers that send no parameters.

PyMySQL puts parameters into the statement's text itself, value by value in Python; that is 20 us
a row, several times what the rest takes. Here a column is made into literals at once. To be
safe against what apps log, two rules are all it takes: a quote is doubled, and so is a
backslash. The former keeps a text within its quotes whatever the server's mode, the latter if
backslashes escape, which `MariaDB.prepare` asks for; if they don't after all, the text merely
has two of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from logd.outputs.tables.rows import RowColumns, Sparse

Literal = Callable[[object], str]
"""What makes a literal of a value of a type that isn't known here, such as a date."""


def row_literals(rows: RowColumns, other: Literal) -> Iterator[str]:
    """The values of each row, parted by commas: `4711,'E','it''s late',NULL`.

    Args:
        rows: texts without NUL; fits see to it (`logd.outputs.tables.fit`).
        other: for values that are no texts, integers, floats or None.
    """
    shared = [",".join([_literal(value, other) for value in values]) for values in rows.contexts]
    columns = [_column(column, len(rows.index), other) for column in rows.columns]
    heads = map(shared.__getitem__, rows.index)
    # Tables need not have columns that contexts fill.
    parts = (heads, *columns) if shared and shared[0] else columns
    return map(",".join, zip(*parts, strict=True))


def _column(column: Sequence[Any] | Sparse, length: int, other: Literal) -> Sequence[str]:
    if isinstance(column, Sparse):
        return column.filled(length, lambda value: _literal(value, other))
    kinds = {int} if isinstance(column, range) else set(map(type, column))
    if kinds == {str}:
        return _texts(column)
    if kinds == {int}:
        return list(map(str, column))
    return [_literal(value, other) for value in column]


def _texts(texts: Sequence[str]) -> list[str]:
    """Quoted all at once: NUL, which no storable text has, parts them."""
    joined = "\0".join(texts)
    for char, escape in (("\\", "\\\\"), ("'", "''"), ("\0", "'\0'")):
        if char in joined:
            joined = joined.replace(char, escape)
    return f"'{joined}'".split("\0")


def _literal(value: object, other: Literal) -> str:
    kind = type(value)
    if value is None:
        return "NULL"
    if kind is str:
        return _texts([str(value)])[0]
    if kind is int:
        return str(value)
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else "NULL"
    return other(value)
