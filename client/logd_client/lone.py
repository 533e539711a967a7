"""One record becomes a frame of its own, by hand: with less code touched than by pickle.

A lone record is encoded by the call that logs it, after milliseconds in which the processor has
forgotten all of this. What its place in the program has in common is pickled once.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any

from logd_client.encoding import encode_batches
from logd_client.records import TIME_END, AnyRow, Context, EncodedBatch, Items

__all__ = ["encode_lone"]

_MAX_LONE_BYTES = 60 << 10
"""What is longer is left to pickle, which makes more than one frame of it, and is counted."""

_MAX_LONE_NUMBER = 0x7FFFFFFF
_FRAME_HEAD_BYTES = 11
_LONE_BYTES = 28
"""Of the payload of a batch of one record: all that is the same in each."""

_DOUBLE = struct.Struct(">d")
_NUL = "\0"
_new_tuple: Any = tuple.__new__


def encode_lone(first: int, row: AnyRow) -> EncodedBatch:
    """The entry of one record: what `encode_batches` makes of it, with less code touched.

    Raises:
        ValueError: as `encode_batches`.
    """
    context, msgid, when, msg, items = row
    if _NUL in msg or first > _MAX_LONE_NUMBER or not 0.0 <= when < TIME_END:
        return encode_batches(first, [row])[0]
    try:
        try:
            place = context.pickled
        except AttributeError:
            place = context.pickled = _pickled_context(context)
        text = msg.encode()
        rest = b"%bC\x08%b\x94X%b%b\x94%b" % (
            msgid.to_bytes(4, "little", signed=True),
            _DOUBLE.pack(when),
            len(text).to_bytes(4, "little"),
            text,
            _lone_items(items) if items else b")",
        )
    except (UnicodeError, OverflowError, AttributeError, TypeError, RecursionError):
        return encode_batches(first, [row])[0]
    size = len(place) + len(rest) + _LONE_BYTES
    if size > _MAX_LONE_BYTES:
        return encode_batches(first, [row])[0]
    frame = b"%b\x80\x04\x95%b(\x8c\x05batch\x94J%b%b%bt\x94." % (
        size.to_bytes(4, "big"),
        (size - _FRAME_HEAD_BYTES).to_bytes(8, "little"),
        first.to_bytes(4, "little"),
        place,
        rest,
    )
    # As `EncodedBatch(...)` does, without the call of a function in between.
    entry: EncodedBatch = _new_tuple(EncodedBatch, (first, 1, size + 4, frame))
    return entry


def _pickled_context(context: Context) -> bytes:
    """What stands between the number of a batch of one record and its message id."""
    sample = pickle.dumps(("batch", 1, 1, (context.fields,), b"", 0x7FFFFFFF), 4)
    begin = sample.index(b"\x94K\x01") + 3
    return sample[begin : -len(b"\xff\xff\xff\x7ft\x94.")]


def _lone_items(items: Items) -> bytes:
    """Items as a batch of one record has them.

    Raises:
        TypeError, OverflowError, UnicodeError: they are not all texts and small integers.
    """
    parts = b""
    for item in items:
        if type(item) is str:
            text = item.encode()
            size = len(text)
            # A reader may expect short keys in their short form.
            if size < 256:
                parts = b"%b\x8c%c%b\x94" % (parts, size, text)
            else:
                parts = b"%bX%b%b\x94" % (parts, size.to_bytes(4, "little"), text)
        elif type(item) is int:
            parts = b"%bJ%b" % (parts, item.to_bytes(4, "little", signed=True))
        else:
            raise TypeError(item)
    form = b"K\0%b\x87\x94\x85\x94" if len(items) == 2 else b"(K\0%bt\x94\x85\x94"
    return form % parts
