"""Makes what applications log fit the wire: exact plain types, bounded lengths, cut visibly.

The session protocol carries str, int, float, bool and None only. Subclasses of them (an
`IntEnum`, a translated lazy string) would be pickled by the name of their class, which no server
accepts, so they become plain here, once, at the log call.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from logd_client.records import TIME_END, AnyRow, Context, Items

__all__ = [
    "MAX_MESSAGE_BYTES",
    "as_text",
    "cut_text",
    "fit_row",
    "flat_items",
    "item_value",
    "make_context",
]

MAX_MESSAGE_BYTES = 600_000
"""Longest message in UTF-8 if the record would not fit a frame: leaves room for the items."""

_MAX_ITEM_BYTES = 2_000
"""Longest text of one special item, in bytes, if the record would not fit a frame."""

_MAX_ITEMS = 100
"""Most special items if the record would not fit a frame."""

_MAX_PATH_LEVELS = 100
"""Most call path items if the record would not fit a frame."""

_MAX_NAME_BYTES = 1_000
"""Longest name of a thread, function, category or file if the record would not fit a frame."""

_MAX_INT = 2**63 - 1

_MAX_OBJECT_BYTES = 8_192
"""Longest text, in bytes, of an item that is a container or an object; cut visibly beyond."""

_CONTAINERS = (dict, list, tuple, set, frozenset, deque, Mapping)


def as_text(value: object) -> str:
    """The value as an exact `str`; bytes are read as UTF-8, undecodable ones escaped.

    Never raises: what has no text gets one that says why.
    """
    if type(value) is str:
        return value
    try:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value).decode("utf-8", "backslashreplace")
        return str.__str__(str(value))
    except Exception as exc:  # whatever the application's own method does
        return _no_text(value, exc)


def _no_text(value: object, exc: Exception) -> str:
    return f"<{type(value).__name__}: str() raised {type(exc).__name__}>"


def item_value(value: Any) -> str | int | float | None:
    """A special item's value as one of the types that the wire has.

    Numbers, texts, bools and None stay what they are. A container becomes JSON; anything else
    the text that `str()` gives, so that a search for this text finds it. Never raises.
    """
    kind = type(value)
    if kind is str or value is None or kind is float or kind is bool:
        return value  # type: ignore[no-any-return]
    try:
        return _value_of_other(value)
    except Exception as exc:  # whatever the application's own methods do
        return _no_text(value, exc)


def _value_of_other(value: Any) -> str | int | float:
    if isinstance(value, int):
        return _integer(int(value))
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, _CONTAINERS) and not hasattr(value, "_fields"):
        return cut_text(_json_text(value), _MAX_OBJECT_BYTES)
    number = _numpy_number(value)
    if number is None:
        return cut_text(as_text(value), _MAX_OBJECT_BYTES)
    return _integer(number) if type(number) is int else number


def _integer(number: int) -> int | str:
    """The number, or text in place of one that no database column holds."""
    if -_MAX_INT - 1 <= number <= _MAX_INT:
        return number
    try:
        return str(number)
    except ValueError:  # Python refuses to write very long ones in decimal
        return cut_text(hex(number), _MAX_OBJECT_BYTES)


def _numpy_number(value: Any) -> int | float | None:
    """The plain number of a numpy scalar; None for anything else. Does not import numpy."""
    if type(value).__module__ != "numpy" or getattr(value, "ndim", None) != 0:
        return None
    kind = value.dtype.kind
    if kind == "b":
        return bool(value)
    if kind in "iu":
        return int(value)
    # By way of its text: as a double, 0.1 of 32 bit would be 0.10000000149011612.
    return float(str(value)) if kind == "f" else None


def _json_text(value: object) -> str:
    try:
        try:
            return json.dumps(value, ensure_ascii=False, default=_json_value)
        except TypeError:
            return json.dumps(_with_plain_keys(value), ensure_ascii=False, default=_json_value)
    except (ValueError, RecursionError):  # it contains itself
        return repr(value)


def _json_value(value: Any) -> Any:
    """What JSON has in place of a value that it does not know."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        plain = [one if isinstance(one, (list, tuple)) else item_value(one) for one in value]
        try:
            return sorted(plain)
        except TypeError:  # values of different types have no order
            return plain
    return list(value) if isinstance(value, deque) else item_value(value)


def _with_plain_keys(value: Any) -> Any:
    """The same with text in place of keys that JSON does not have."""
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, (str, int, float, type(None))) else as_text(key): (
                _with_plain_keys(held)
            )
            for key, held in value.items()
        }
    if isinstance(value, (list, tuple, deque)):
        return [_with_plain_keys(held) for held in value]
    return value


def flat_items(special: Mapping[str, Any]) -> Items:
    """Special items as the buffer holds them: (key, value, key, value, ...)."""
    flat: list[str | int | float | None] = []
    for key, value in special.items():
        flat.append(as_text(key))
        flat.append(item_value(value))
    return tuple(flat)


def cut_text(text: str, max_bytes: int) -> str:
    """The text, or its beginning with a note of what is missing, within `max_bytes` of UTF-8.

    The word itself comes on top of `max_bytes`; it has at most 60 characters.
    """
    if len(text) * 4 <= max_bytes:
        return text
    data = text[: max_bytes + 1].encode("utf-8", "surrogatepass")
    if len(data) <= max_bytes and len(text) <= max_bytes:
        return text
    end = max_bytes
    while data[end] & 0xC0 == 0x80:  # never within a character
        end -= 1
    kept = data[:end].decode("utf-8", "surrogatepass")
    return f"{kept}... [cut: {len(text) - len(kept)} of {len(text)} characters]"


def fit_row(row: AnyRow) -> AnyRow:
    """The record made to fit a frame whatever it contains; costs time, changes only what must be.

    For records that the encoder refused: too long, or of types that a pickle can't carry plainly.
    """
    context, msgid, when, msg, items = row
    pairs = zip(items[: 2 * _MAX_ITEMS : 2], items[1 : 2 * _MAX_ITEMS : 2])
    fitted: list[str | int | float | None] = []
    for key, value in pairs:
        plain = item_value(value)
        fitted.append(cut_text(as_text(key), _MAX_NAME_BYTES))
        fitted.append(cut_text(plain, _MAX_ITEM_BYTES) if isinstance(plain, str) else plain)
    if len(items) > 2 * _MAX_ITEMS:
        fitted += ["cut_items", len(items) // 2 - _MAX_ITEMS]
    is_number = isinstance(when, (int, float))
    is_possible = is_number and math.isfinite(when) and 0.0 <= when < TIME_END
    return (
        Context(_fit_fields(context)),
        _fit_int(msgid),
        float(when) if is_possible else time.time(),
        cut_text(as_text(msg), MAX_MESSAGE_BYTES),
        tuple(fitted),
    )


def _fit_int(value: object) -> int:
    """The integer if it has 64 bits, else 0."""
    number = value if isinstance(value, int) else 0
    return int(number) if -_MAX_INT <= number <= _MAX_INT else 0


def make_context(
    pid: object,
    tid: object,
    threadname: object,
    cat: object,
    path: Iterable[tuple[Any, Any]],
    tblen: object,
    cfunc: object,
) -> Context:
    """A context of values that may be of any type, as plain ones."""
    return Context(
        (
            _fit_int(pid),
            _fit_int(tid),
            as_text(threadname or ""),
            as_text(cat or ""),
            tuple(
                [
                    (None, None) if name is None else (as_text(name), _fit_int(line))
                    for name, line in path
                ]
            ),
            _fit_int(tblen),
            as_text(cfunc or ""),
        )
    )


def _fit_fields(context: Context) -> Any:
    pid, tid, threadname, cat, path, tblen, cfunc = context.fields
    short = [
        (None if name is None else cut_text(as_text(name), _MAX_NAME_BYTES), line)
        for name, line in path[:_MAX_PATH_LEVELS]
    ]
    names = [cut_text(as_text(text), _MAX_NAME_BYTES) for text in (threadname, cat, cfunc)]
    return make_context(pid, tid, names[0], names[1], short, tblen, names[2]).fields
