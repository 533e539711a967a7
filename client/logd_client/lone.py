"""Makes a frame of one record by hand, because that touches less code than pickle does.

A lone record is encoded by the call that logs it. The last one came milliseconds ago, and by now
the processor's caches have forgotten this code: less of it is faster. What all records of a place
in the program have in common is pickled once.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any

from logd_client.encoding import encode_batches
from logd_client.records import TIME_END, AnyRow, Context, EncodedBatch

__all__ = ["encode_lone"]

_MAX_LONE_BYTES = 60 << 10
"""What is longer is left to pickle, which makes more than one frame of it, and is counted."""

_FRAME_HEAD_BYTES = 11
_LONE_BYTES = 49
"""Of the payload of a batch of one record: all but the context, the text and the items."""

_NUL = "\0"
_SINGLES = {None: b"N", True: b"\x88", False: b"\x89"}
_new_tuple: Any = tuple.__new__
_pack_double = struct.Struct(">d").pack
_pack_number = struct.Struct("<i").pack


def encode_lone(first: int, row: AnyRow) -> EncodedBatch:
    """The entry of one record: what `encode_batches` makes of it, with less code touched.

    Raises:
        ValueError: as `encode_batches`.
    """
    context, msgid, when, msg, items = row
    if _NUL in msg or not 0.0 <= when < TIME_END:
        return encode_batches(first, [row])[0]
    try:
        try:
            place = context.pickled
        except AttributeError:
            place = _pickled_context(context)
        text = msg.encode()
        specials = b")"
        if items:
            specials = b""
            item: Any
            for item in items:
                kind = type(item)
                if kind is str:
                    part = item.encode()
                    size = len(part)
                    # A reader may expect short keys in their short form.
                    if size < 256:
                        specials = b"%b\x8c%c%b\x94" % (specials, size, part)
                    else:
                        specials = b"%bX%b%b\x94" % (specials, _pack_number(size), part)
                elif kind is int:
                    specials = b"%bJ%b" % (specials, _pack_number(item))
                elif kind is float:
                    specials = b"%bG%b" % (specials, _pack_double(item))
                elif item is None or kind is bool:
                    specials = b"%b%b" % (specials, _SINGLES[item])
                else:
                    return encode_batches(first, [row])[0]
            form = b"K\0%b\x87\x94\x85\x94" if len(items) == 2 else b"(K\0%bt\x94\x85\x94"
            specials = form % specials
        size = len(place) + len(text) + len(specials) + _LONE_BYTES
        if size > _MAX_LONE_BYTES:
            return encode_batches(first, [row])[0]
        inner = size - _FRAME_HEAD_BYTES
        frame = (
            b"\0\0%c%c\x80\x04\x95%c%c\0\0\0\0\0\0(\x8c\x05batch\x94"
            b"J%b%b%bC\x08%b\x94X%b%b\x94%bt\x94."
        ) % (
            size >> 8,
            size & 255,
            inner & 255,
            inner >> 8,
            _pack_number(first),
            place,
            _pack_number(msgid),
            _pack_double(when),
            _pack_number(len(text)),
            text,
            specials,
        )
    except (UnicodeError, AttributeError, TypeError, RecursionError, struct.error):
        return encode_batches(first, [row])[0]
    # As `EncodedBatch(...)` does, without the call of a function in between.
    entry: EncodedBatch = _new_tuple(EncodedBatch, (first, 1, size + 4, frame))
    return entry


def _pickled_context(context: Context) -> bytes:
    """What stands between the number of a batch of one record and its message id; kept."""
    sample = pickle.dumps(("batch", 1, 1, (context.fields,), b"", 0x7FFFFFFF), 4)
    begin = sample.index(b"\x94K\x01") + 3
    context.pickled = sample[begin : -len(b"\xff\xff\xff\x7ft\x94.")]
    return context.pickled
