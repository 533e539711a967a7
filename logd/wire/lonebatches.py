"""Reads batches of one record as `logd_client` pickles them, without unpickling.

At modest rates each record of a session is a batch of its own. Of its frame all but the numbers,
the text and the items is a context, which comes again byte by byte from each place in a program.
So contexts are known by their bytes, and the rest is walked: 5 us instead of 20. What is not made
exactly so goes the long way (`session.py`).

    PROTO FRAME ( "batch" number 1 ( context ) "" msgid time text ( ( 0 key value ... ) ) )
"""

from __future__ import annotations

from struct import Struct, error
from typing import Any, Final

from logd.records.batch import Batch
from logd.records.context import Context, Special
from logd.wire.contexts import MAX_KNOWN, MAX_KNOWN_CHARS, KnownContexts
from logd.wire.errors import WireError
from logd.wire.items import literal
from logd.wire.limits import (
    MAX_FRAME_ROWS,
    MAX_INTEGER,
    MAX_KEY_CHARS,
    MAX_SPECIAL_ITEMS,
    MAX_TIME,
)
from logd.wire.pickles import grammar, unpickler

MAX_BYTES: Final = 4096
"""Longer frames go the long way, which cuts what is too long."""

_START: Final = b"\x80\x04\x95"
_HEAD: Final = b"(\x8c\x05batch\x94"
_HEAD_AT: Final = len(_START) + 8
_NUMBER_AT: Final = _HEAD_AT + len(_HEAD)
_ONE: Final = b"K\x01("
"""One record, and the start of its context."""

_CONTEXT_END: Final = b"t\x94\x85\x94C\x00\x94"
"""The end of a tuple of seven, of the tuple around it, and an empty index."""

_TIME_HEAD: Final = b"C\x08"
_NO_ITEMS: Final = b")t\x94."
_ROW: Final = (b"(K\x00", b"K\x00")
"""The row of the items; without MARK if it is followed by one pair only."""

_ITEMS_END: Final = (b"t\x94\x85\x94t\x94.", b"\x87\x94\x85\x94t\x94.")
_SHORT_TEXT, _TEXT, _MEMOIZE = b"\x8cX\x94"

_FRAME_LENGTH = Struct("<Q")
_TEXT_LENGTH = Struct("<I")
_TIME = Struct(">d")


class LoneBatches:
    """The contexts and keys known by their bytes; used by one thread.

    Args:
        known: checks contexts.
    """

    __slots__ = ("_contexts", "_keys", "_known", "_seen")

    def __init__(self, known: KnownContexts) -> None:
        self._known = known
        self._contexts: dict[bytes, tuple[Context, int]] = {}
        self._keys: dict[bytes, str] = {}
        self._seen: set[int] = set()

    def decode(self, payload: bytes, peer: str, client: bytes) -> tuple[Batch, int] | None:
        """The batch, and about how many characters it is written as; None if it is not known."""
        try:
            number, at = self._before_context(payload)
            end = payload.index(_CONTEXT_END, at)
            context, chars = self._contexts[payload[at:end]]
            msgid, at = literal(payload, end + len(_CONTEXT_END))
            (instant,) = _TIME.unpack_from(payload, at + len(_TIME_HEAD))
            text, items_at = _text(payload, at + 11)
            items = self._items(payload, items_at)
        except (IndexError, KeyError, ValueError, error):
            return None
        if (
            type(number) is not int
            or type(msgid) is not int
            or not 1 <= number <= MAX_INTEGER - MAX_FRAME_ROWS
            or msgid >= MAX_INTEGER
            or payload[at : at + 2] != _TIME_HEAD
            or payload[at + 10] != _MEMOIZE
            or not 0.0 <= instant < MAX_TIME
            or "\0" in text
        ):
            return None
        batch = Batch(
            [context],
            b"\0",
            range(msgid, msgid + 1),
            (instant,),
            [text],
            {0: items} if items else {},
            peer=peer,
            client=client,
            first=number,
        )
        return batch, chars + len(payload)

    def learn(self, payload: bytes) -> None:
        """Know the context of a batch of one record, if it came for the second time."""
        try:
            _, at = self._before_context(payload)
            context_bytes = payload[at : payload.index(_CONTEXT_END, at)]
        except (IndexError, KeyError, ValueError, error):
            return
        identity = hash(context_bytes)
        if identity not in self._seen:
            if len(self._seen) >= MAX_KNOWN:
                self._seen.clear()
            self._seen.add(identity)
            return
        # By itself it must be a whole context, with as many texts before it as in the frame.
        program = b"\x80\x04" + _HEAD + b"(" + context_bytes + b"t\x94t."
        try:
            proven = grammar.proven_tree(program, max_opcodes=MAX_BYTES)
            if proven is None:
                return
            name_and_context: Any = unpickler.run(proven)
            (context,), (chars,) = self._known.checked(name_and_context[1:])
        except (WireError, UnicodeDecodeError, ValueError):
            return
        if len(name_and_context) != 2 or chars > MAX_KNOWN_CHARS:
            return
        if len(self._contexts) >= MAX_KNOWN:
            self._contexts.clear()
        self._contexts[context_bytes] = context, chars

    @staticmethod
    def _before_context(payload: bytes) -> tuple[object, int]:
        """The number of a batch of one record, and where its context begins.

        Raises:
            IndexError, KeyError, struct.error: it is none.
        """
        (length,) = _FRAME_LENGTH.unpack_from(payload, len(_START))
        if (
            not _HEAD_AT < len(payload) <= MAX_BYTES
            or not payload.startswith(_START)
            or length != len(payload) - _HEAD_AT
            or not payload.startswith(_HEAD, _HEAD_AT)
        ):
            raise KeyError(_HEAD)
        number, at = literal(payload, _NUMBER_AT)
        if not payload.startswith(_ONE, at):
            raise KeyError(_ONE)
        return number, at + len(_ONE)

    def _items(self, payload: bytes, at: int) -> Special:
        """The items, up to the end of the frame.

        Raises:
            IndexError, KeyError, UnicodeDecodeError, struct.error: they are made otherwise.
        """
        if payload.startswith(_NO_ITEMS, at):
            at += len(_NO_ITEMS)
            items: dict[str, Any] = {}
        else:
            form = 0 if payload.startswith(_ROW[0], at) else 1
            if not payload.startswith(_ROW[form], at):
                raise KeyError(at)
            at += len(_ROW[form])
            items = {}
            count = 0
            while payload[at] == _SHORT_TEXT:
                value_at = at + 3 + payload[at + 1]
                key_bytes = payload[at:value_at]
                key = self._keys.get(key_bytes) or self._learned(key_bytes)
                if payload[value_at] in (_SHORT_TEXT, _TEXT):
                    items[key], at = _text(payload, value_at)
                else:
                    items[key], at = literal(payload, value_at)
                count += 1
            if not payload.startswith(_ITEMS_END[form], at) or (form == 1) != (count == 1):
                raise KeyError(at)
            at += len(_ITEMS_END[form])
        if at != len(payload) or len(items) > MAX_SPECIAL_ITEMS:
            raise KeyError(at)
        return items

    def _learned(self, key_bytes: bytes) -> str:
        key, _ = _text(key_bytes, 0)
        if len(key) > MAX_KEY_CHARS:
            raise KeyError(key)
        if len(self._keys) >= MAX_KNOWN:
            self._keys.clear()
        self._keys[key_bytes] = key
        return key


def _text(payload: bytes, at: int) -> tuple[str, int]:
    """A text, and where it ends with its memo.

    Raises:
        IndexError, KeyError, UnicodeDecodeError, struct.error: there is none.
    """
    code = payload[at]
    if code == _SHORT_TEXT:
        start = at + 2
        end = start + payload[at + 1]
    elif code == _TEXT:
        start = at + 5
        end = start + _TEXT_LENGTH.unpack_from(payload, at + 1)[0]
    else:
        raise KeyError(code)
    if payload[end] != _MEMOIZE:
        raise KeyError(end)
    return payload[start:end].decode("utf-8", "surrogatepass"), end + 1
