"""Special items as the JSON that a column takes: a text, or an object of PostgreSQL's."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from logd.outputs.tables.fit import BYTES_CODEC, storable

if TYPE_CHECKING:
    from logd.records.context import Special

# PostgreSQL keeps numbers as decimals, so that the float 1e16 would come back as an integer; and
# it has no NUL.
_DIFFERS_THERE = re.compile(r"[:,\[] ?-?[0-9][0-9.]*[eE]|\\u0000")
_LARGE = 1e16


def json_writer(
    kind: TypeEngine[Any], dialect_name: str, codec: str | None
) -> Callable[[Special], str]:
    """What makes JSON of items.

    Args:
        kind: of the column.
        dialect_name: "sqlite", "postgresql" or "mysql" (MariaDB too).
        codec: see `logd.outputs.tables.fit.TextFit`.
    """
    if isinstance(kind._variant_mapping.get(dialect_name, kind), JSONB):
        return object_text
    return json_text if codec in (None, BYTES_CODEC) else ascii_json_text


def json_text(items: Special) -> str:
    """Special items as a JSON object that every database can store."""
    try:
        return msgspec.json.encode(items).decode()
    except (UnicodeEncodeError, OverflowError, TypeError, ValueError):
        # Lone surrogates or something odd from a filter: rare, so it may be slow.
        return json.dumps({storable(str(key)): _plain(value) for key, value in items.items()})


def ascii_json_text(items: Special) -> str:
    """The same for a database that does not have all characters: JSON has escapes of its own."""
    text = json_text(items)
    return text if text.isascii() else json.dumps(json.loads(text))


def object_text(items: Special) -> str:
    """The same for an object of PostgreSQL's: what it can't hold is made to fit, visibly."""
    text = json_text(items)
    return _written(items) if _DIFFERS_THERE.search(text) else text


def _plain(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float) else storable(str(value))


def _written(value: object) -> str:
    """A value as JSON in ASCII."""
    if isinstance(value, Mapping):
        items = (f"{_written(str(key))}:{_written(part)}" for key, part in value.items())
        return f"{{{','.join(items)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, float) and math.isfinite(value) and abs(value) >= _LARGE:
        return f"{Decimal(repr(value)):f}.0"
    return json.dumps(_plain(value))
