"""Turns values that are not plain into a number, if they are one, or into text.

Containers are JSON, objects the text that `str()` gives, as far as their pickle tells it.
"""

from __future__ import annotations

from math import isfinite
from typing import Final, cast

from logd.wire.limits import MAX_INTEGER, MIN_INTEGER, cut
from logd.wire.pickles.constructors import plain_value
from logd.wire.pickles.made import Made, Mapped, Name, Told
from logd.wire.texts import bytes_text, integer_text
from logd.wire.writers import Code, FullError, JsonWriter

MORE: Final = "[... more]"
"""Ends what did not fit."""

Scalar = str | int | float | None


def scalar(value: object, limit: int) -> Scalar:
    """A special item's value: numbers, texts, bools and None as they are, all else as text.

    Args:
        value: what a decoder returned.
        limit: characters that its text may have, the text that tells of a cut not counted.
    """
    kind = type(value)
    if kind is str:
        return cut(cast("str", value), limit)
    if kind is int:
        # What no column of a database holds is kept as text.
        number = cast("int", value)
        if MIN_INTEGER <= number <= MAX_INTEGER:
            return number
        return _cut(integer_text(number, limit), limit)
    if value is None or kind is bool:
        return cast("bool | None", value)
    if kind is float:
        return cast("float", value) if isfinite(cast("float", value)) else str(value)
    if kind is Made:
        value = plain_value(cast("Made", value))
        if type(value) in (int, float, bool, list, Mapped):
            return scalar(value, limit)
    return text(value, limit)


def text(value: object, limit: int) -> str:
    """What `str()` gives for a value; JSON for a container."""
    kind = type(value)
    if kind is str:
        return cut(cast("str", value), limit)
    if kind is bytes:
        return cut(bytes_text(cast("bytes", value)), limit)
    writer = JsonWriter(limit)
    try:
        if kind is Made:
            writer.object_text(cast("Made", value))
        elif kind is Told:
            writer.add(cast("Told", value).text)
        elif kind is Name:
            writer.add(f"<{value}>")
        else:
            writer.write(value)
    except FullError:
        return writer.text[:limit] + MORE
    return writer.text


def key_text(key: object, limit: int) -> str:
    """What stands for a key that is no text: as `str()` of it."""
    writer = Code(limit)
    try:
        writer.bare(key)
    except FullError:
        return writer.text[:limit] + MORE
    return writer.text


def number(value: object) -> int | None:
    """The integer that a value is or holds: of an `IntEnum`, of a numpy integer; None for none."""
    if type(value) in (int, bool):
        return int(cast("int", value))
    if type(value) is not Made:
        return None
    plain = plain_value(value)
    if plain is value and len(value.arguments) == 1:
        plain = value.arguments[0]
    return plain if type(plain) is int else None


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + MORE
