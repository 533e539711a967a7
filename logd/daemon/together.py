"""Decodes the lone records of several plain connections as if they had come in one read.

At modest rates each record of `SocketHandler` is a delivery of its own, from another process. To
decode one and to make a batch of it takes 40 us, of twenty together a quarter of that for each.

Only what is alike goes together: it counts for the same account and needs no number of a session.
If anything is odd (a bad frame, one that is no record, little time left) nothing was done, and
each delivery is decoded by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from logd.wire import Decoder, Frames

if TYPE_CHECKING:
    from logd.daemon.decoding import Delivery
    from logd.daemon.peers.connection import Connection
    from logd.records.batch import Batch

MAX_DELIVERIES = 64
MAX_FRAMES = 8
MAX_BYTES = 8192
"""Of a delivery: a longer one is worth its own batch."""

Turn = tuple["Connection", "Delivery"]


def is_lone(connection: Connection, delivery: Delivery) -> bool:
    """Whether a delivery is worth decoding together with others."""
    frames = delivery.frames
    return (
        connection.client is None
        and frames.count <= MAX_FRAMES
        and delivery.size <= MAX_BYTES
        and not frames.cut
        and not connection.is_undecodable
        and connection.bad_frames.is_clean
    )


def like(connection: Connection) -> Callable[[Connection, Delivery], bool]:
    """Whether another delivery may be decoded together with one of `connection`."""
    account, origin = connection.account, connection.origin

    def is_like(other: Connection, delivery: Delivery) -> bool:
        return other.account == account and other.origin == origin and is_lone(other, delivery)

    return is_like


def decode_together(
    decoder: Decoder, turns: Sequence[Turn], now: float, is_late: Callable[[], bool]
) -> list[Batch] | None:
    """The records of lone deliveries that are alike; None if each is to be decoded by itself."""
    frames = Frames.joined([delivery.frames for _, delivery in turns])
    return decode_whole(decoder, frames, turns[0][0].origin, now, is_late)


def decode_known(decoder: Decoder, reads: Sequence[bytes], origin: str) -> list[Batch] | None:
    """The records of a few whole frames without a session, if all are known; None if not."""
    try:
        batch = decoder.known_records(reads, origin)
    except Exception:
        return None
    return None if batch is None else [batch]


def decode_whole(
    decoder: Decoder,
    frames: Frames,
    origin: str,
    now: float,
    is_late: Callable[[], bool],
) -> list[Batch] | None:
    """The records of frames without a session, one each; None if anything was odd, or too late."""
    try:
        batches = decoder.decode(frames, peer=origin, now=now, is_late=is_late)
    except Exception:
        # Decoded by itself, the delivery that fails shows whose it is.
        return None
    if decoder.left is not None or sum(map(len, batches)) != frames.count:
        return None
    return batches
