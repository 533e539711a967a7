"""Reads the application's own items at the end of a `SocketHandler` frame, item by item.

That is what most frames that are recognised differ in (`templates.py`): a request id, a user, a
time. To prove that they are literals and to run the unpickler over them takes 8 us; to walk them
takes 2, for their keys come again and again, byte by byte, and their values are one opcode each.
Only what the pickler of Python 3 writes for short texts, small numbers, bools and None is known
here; whatever else there is goes the long way.
"""

from __future__ import annotations

from math import isfinite
from struct import Struct, error
from typing import Any, Final

from logd.records.context import Special
from logd.wire.limits import MAX_KEY_CHARS, MAX_SPECIAL_ITEMS
from logd.wire.logrecords import STANDARD_ATTRIBUTES

MAX_ITEMS_BYTES: Final = 4096
"""Longer ends of frames go the long way, which cuts what is too long."""

_MAX_KEYS: Final = 4096

_DICT_TAIL: Final = b"u."
_UNICODE, _PUT = b"Xq"
_BYTE, _SHORT, _LONG, _FLOAT, _NONE = b"KMJGN"
_NEW_TRUE, _NEW_FALSE, _LONG_NUMBER_CODE = b"\x88\x89\x8a"
_MAX_LONG_BYTES: Final = 8
_TRUE, _FALSE = b"I01\n", b"I00\n"

_TEXT_LENGTH = Struct("<I")
_SHORT_NUMBER = Struct("<H")
_LONG_NUMBER = Struct("<i")
_FLOAT_NUMBER = Struct(">d")


class KnownItems:
    """The keys learned so far; used by one thread."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[bytes, str] = {}

    def read(self, rest: bytes) -> Special | None:
        """The items in the end of a frame; None if it holds anything else."""
        end = len(rest) - len(_DICT_TAIL)
        if end > MAX_ITEMS_BYTES or not rest.endswith(_DICT_TAIL):
            return None
        items: dict[str, Any] = {}
        known = self._keys.get
        at = 0
        try:
            while at < end:
                # A key: opcode, length in four bytes, text, opcode and number of its memo.
                value_at = at + 7 + rest[at + 1]
                key_bytes = rest[at:value_at]
                key = known(key_bytes) or self._learn(key_bytes)
                if rest[value_at] == _UNICODE:
                    text_at = value_at + 5
                    at = text_at + _TEXT_LENGTH.unpack_from(rest, value_at + 1)[0]
                    items[key] = rest[text_at:at].decode("utf-8", "surrogatepass")
                    if rest[at] != _PUT:
                        return None
                    at += 2
                else:
                    items[key], at = literal(rest, value_at)
        except (IndexError, KeyError, error, UnicodeDecodeError):
            return None
        items.pop("taskName", None)
        return items if at == end and len(items) <= MAX_SPECIAL_ITEMS else None

    def _learn(self, key_bytes: bytes) -> str:
        """The key that some bytes are.

        Raises:
            KeyError: they are none, or one that the logging package sets itself.
            UnicodeDecodeError: they are no text.
        """
        length = len(key_bytes) - 7
        key = key_bytes[5:-2].decode("utf-8", "surrogatepass")
        if (
            length < 0
            or key_bytes[0] != _UNICODE
            or _TEXT_LENGTH.unpack_from(key_bytes, 1)[0] != length
            or key_bytes[-2] != _PUT
            or (key in STANDARD_ATTRIBUTES and key != "taskName")
            or len(key) > MAX_KEY_CHARS
        ):
            raise KeyError(key)
        if len(self._keys) >= _MAX_KEYS:
            self._keys.clear()
        self._keys[key_bytes] = key
        return key


def literal(rest: bytes, at: int) -> tuple[object, int]:
    """A value that is no text, and where it ends.

    Raises:
        KeyError: it is none of those known here.
        IndexError, struct.error: the bytes end before.
    """
    code = rest[at]
    if code == _BYTE:
        return rest[at + 1], at + 2
    if code == _SHORT:
        return _SHORT_NUMBER.unpack_from(rest, at + 1)[0], at + 3
    if code == _LONG:
        return _LONG_NUMBER.unpack_from(rest, at + 1)[0], at + 5
    if code == _FLOAT:
        number: float = _FLOAT_NUMBER.unpack_from(rest, at + 1)[0]
        return number if isfinite(number) else str(number), at + 9
    if code == _NONE:
        return None, at + 1
    if code in (_NEW_TRUE, _NEW_FALSE):
        return code == _NEW_TRUE, at + 1
    if code == _LONG_NUMBER_CODE:
        end = at + 2 + rest[at + 1]
        if end > len(rest) or end - at > _MAX_LONG_BYTES + 2:
            raise KeyError(code)
        return int.from_bytes(rest[at + 2 : end], "little", signed=True), end
    if rest.startswith((_TRUE, _FALSE), at):
        return rest.startswith(_TRUE, at), at + 4
    raise KeyError(code)
