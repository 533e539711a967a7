"""Makes what applications log fit the wire: exact plain types, bounded lengths, cut visibly.

The session protocol carries str, int, float, bool and None only. Subclasses of them (an
`IntEnum`, a translated lazy string) would be pickled by the name of their class, which no server
accepts, so they become plain here, once, at the log call.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from logd_client.encoding import TIME_END, AnyRow, Context, Items

__all__ = ["MESSAGE_BYTES_MAX", "as_text", "cut_text", "fit_row", "flat_items", "make_context"]

MESSAGE_BYTES_MAX = 600_000
"""Longest message in UTF-8 where a record would not fit a frame: leaves room for the items."""

_ITEM_TEXT_MAX = 2_000
"""Longest text of one special item, in bytes, where a record would not fit a frame."""

_ITEMS_MAX = 100
"""Most special items where a record would not fit a frame."""

_PATH_MAX = 100
"""Most call path items where a record would not fit a frame."""

_NAME_BYTES_MAX = 1_000
"""Longest name of a thread, function, category or file where a record would not fit a frame."""

_INT_MAX = 2**63 - 1


def as_text(value: object) -> str:
    """The value as an exact `str`; bytes are read as UTF-8, undecodable ones escaped."""
    if type(value) is str:
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "backslashreplace")
    return str.__str__(str(value))


def _plain(value: Any) -> str | int | float | None:
    """A special item's value as one of the types that the wire has."""
    kind = type(value)
    if kind is str or value is None or kind is float or kind is bool:
        return value  # type: ignore[no-any-return]
    if isinstance(value, int):
        # Integers that no database column holds, and that are slow to print, become text.
        number = int(value)
        return number if -_INT_MAX <= number <= _INT_MAX else hex(number)
    if isinstance(value, float):
        return float(value)
    return as_text(value)


def flat_items(special: Mapping[str, Any]) -> Items:
    """Special items as the buffer holds them: (key, value, key, value, ...)."""
    flat: list[str | int | float | None] = []
    for key, value in special.items():
        flat.append(as_text(key))
        flat.append(_plain(value))
    return tuple(flat)


def cut_text(text: str, max_bytes: int) -> str:
    """The text, or its beginning with a word about what is missing, within `max_bytes` of UTF-8.

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
    pairs = zip(items[: 2 * _ITEMS_MAX : 2], items[1 : 2 * _ITEMS_MAX : 2])
    fitted: list[str | int | float | None] = []
    for key, value in pairs:
        plain = _plain(value)
        fitted.append(cut_text(as_text(key), _NAME_BYTES_MAX))
        fitted.append(cut_text(plain, _ITEM_TEXT_MAX) if isinstance(plain, str) else plain)
    if len(items) > 2 * _ITEMS_MAX:
        fitted += ["cut_items", len(items) // 2 - _ITEMS_MAX]
    is_possible = math.isfinite(when) and 0.0 <= when < TIME_END
    return (
        Context(_fit_fields(context)),
        _fit_int(msgid),
        float(when) if is_possible else time.time(),
        cut_text(as_text(msg), MESSAGE_BYTES_MAX),
        tuple(fitted),
    )


def _fit_int(value: object) -> int:
    """The integer where it has 64 bit, else 0."""
    number = value if isinstance(value, int) else 0
    return int(number) if -_INT_MAX <= number <= _INT_MAX else 0


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
        (None if name is None else cut_text(as_text(name), _NAME_BYTES_MAX), line)
        for name, line in path[:_PATH_MAX]
    ]
    names = [cut_text(as_text(text), _NAME_BYTES_MAX) for text in (threadname, cat, cfunc)]
    return make_context(pid, tid, names[0], names[1], short, tblen, names[2]).fields
