"""Batches of sessions as values, to be pickled, and what the daemon makes of them."""

from __future__ import annotations

import pickle
import struct

from logd.records.batch import Batch
from logd.wire import (
    Decoder,
    Frames,
)
from logd_client.session import (
    CLIENT_ID_BYTES,
)

CLIENT = b"c" * CLIENT_ID_BYTES
CONTEXT = (1, 2, "t", "E", (("a.py", 3),), 4, "f")


def decode(payload: bytes) -> Batch:
    """The batch of one frame of a session."""
    (batch,) = Decoder().decode(Frames.of(payload), peer="10.0.0.1", client=CLIENT)
    return batch


def batch_of(**columns: object) -> tuple[object, ...]:
    """A batch of one record, but for the columns given by name, in order."""
    fields = {
        "first": 1,
        "count": 1,
        "contexts": (CONTEXT,),
        "index": b"",
        "msgids": 1,
        "times": struct.pack(">d", 1.0),
        "msgs": "m",
        "specials": (),
    }
    return ("batch", *(fields | columns).values())


def shared_batch(*specials: tuple[object, ...], count: int = 1000) -> Batch:
    """A batch of `count` records with these items."""
    times = struct.pack(">d", 1.0) * count
    value = batch_of(count=count, times=times, msgs="\0" * (count - 1), specials=specials)
    return decode(pickle.dumps(value, 4))


def rows_of(*rows: int) -> bytes:
    """Row numbers as the protocol has them."""
    return struct.pack(f">{len(rows)}H", *rows)
