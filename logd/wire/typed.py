"""JSON and MessagePack payloads, decoded by msgspec straight into the types that may stand there.

A typed decoder stops at the first value of another type, so nesting and floods of containers are
refused where they begin instead of being built and then looked at.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from logd.wire.errors import WireError

_Scalar = str | int | float | bool | None
_Row = tuple[
    int | None,
    int | None,
    int | None,
    str | None,
    float,
    _Scalar,
    str | None,
    list[tuple[str | None, int | None]] | None,
    int | None,
    str | None,
    dict[str, _Scalar] | None,
]
_Message = _Row | str

_Value = tuple[Any, ...] | str
"""What `_Message` is to a type checker."""

_JSON_MESSAGE: Final[msgspec.json.Decoder[_Value]] = msgspec.json.Decoder(_Message)
_PACKED_MESSAGE: Final[msgspec.msgpack.Decoder[_Value]] = msgspec.msgpack.Decoder(_Message)
_PACKED_BATCH: Final[msgspec.msgpack.Decoder[tuple[str, int, list[Any]]]] = msgspec.msgpack.Decoder(
    tuple[str, int, list[_Row]]
)
_PACKED_ANY: Final = msgspec.msgpack.Decoder(Any)

# Any escape of JSON; first a surrogate pair, then (in group 1) half of one standing alone:
# Python's json writes it for text that came from undecodable bytes, no strict decoder takes it.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB]HH\\u[dD][c-fC-F]HH|(u[dD][89a-fA-F]HH)|.)".replace(b"H", b"[0-9a-fA-F]"),
    re.DOTALL,
)
_MAX_MENDED_BYTES: Final = 262_144
"""Frames with lone surrogates may be this long; mending takes 0.1 us a byte at worst."""

_JSON_BEGINNINGS: Final = b'[" \t\r\n'
# fixarray, fixstr, array 16 and 32, str 8 to 32. No pickle begins with any of these.
_PACKED_BEGINNINGS: Final = frozenset([*range(0x90, 0xC0), 0xDC, 0xDD, 0xD9, 0xDA, 0xDB])


def is_json(payload: bytes) -> bool:
    """Whether the payload can only be JSON; by its first byte."""
    return payload[:1] in _JSON_BEGINNINGS if payload else False


def is_message_pack(payload: bytes) -> bool:
    """Whether the payload can only be MessagePack; by its first byte."""
    return bool(payload) and payload[0] in _PACKED_BEGINNINGS


def decode_json(payload: bytes) -> _Value:
    """The 11 items of a record, or a text ("ping").

    Raises:
        WireError: anything else; the text says where.
    """
    try:
        return _JSON_MESSAGE.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        mended = _without_lone_surrogates(payload)
        if mended == payload:
            raise _refused("JSON", exc) from exc
    try:
        return _JSON_MESSAGE.decode(mended)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise _refused("JSON", exc) from exc


def _without_lone_surrogates(payload: bytes) -> bytes:
    r"""The JSON with the six characters of its escape, \ud800, for each lone surrogate."""
    if len(payload) > _MAX_MENDED_BYTES:
        return payload
    return _ESCAPE.sub(_escaped_if_alone, payload)


def _escaped_if_alone(match: re.Match[bytes]) -> bytes:
    alone: bytes | None = match[1]
    return match[0] if alone is None else b"\\\\" + alone


def decode_packed(payload: bytes) -> _Value:
    """The same for MessagePack."""
    try:
        return _PACKED_MESSAGE.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MemoryError) as exc:
        raise _refused("MessagePack", exc) from exc


def decode_packed_batch(payload: bytes) -> tuple[str, int, list[Any]]:
    """A simple sender's `["batch", first, [[11 items], ...]]`.

    Raises:
        WireError: anything else; the text says where.
    """
    try:
        return _PACKED_BATCH.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MemoryError) as exc:
        raise _refused("MessagePack batch", exc) from exc


def decode_packed_opening(payload: bytes) -> object:
    """Whatever a short payload is, to be looked at by the caller.

    Raises:
        WireError: no MessagePack.
    """
    try:
        return _PACKED_ANY.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, ValueError) as exc:
        raise _refused("MessagePack", exc) from exc


def _refused(encoding: str, exc: Exception) -> WireError:
    return WireError(f"{encoding}: {str(exc)[:120]}")
