"""Decodes what a round brought (`peers/rounds.py`): lone records of many quiet senders.

Nothing else of these connections is under way, so their records need neither queue nor turns to
keep their order. What is alike is done together: frames of `SocketHandler` from one host are one
batch, batches of sessions are looked up (`logd.wire.lonebatches`), times become text in one go.

Only what is plain goes this way. Whatever is odd (part of a frame, a frame that can't be decoded,
a number that a session should not have) is left to the usual way, with nothing done about it.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logd.daemon.costs import text_bytes
from logd.daemon.together import decode_known, decode_whole
from logd.wire import Decoder, Frames

if TYPE_CHECKING:
    from logd.daemon.peers.connection import Connection
    from logd.records.batch import Batch

Lone = tuple["Connection", bytes, int]
"""A read of a connection, and how many frames it is made of."""

FEW = 12
"""Up to this many frames are quicker recognised one by one."""


@dataclass
class Round:
    """What was made of a round.

    Attributes:
        batches: the records.
        size: about how many bytes they take.
        acks: by session, up to which number its records are accepted.
        records: how many there are.
        rest: reads that were left alone, to be queued; each connection's in their order.
    """

    batches: list[Batch] = field(default_factory=list)
    size: int = 0
    acks: dict[bytes, int] = field(default_factory=dict)
    records: int = 0
    rest: list[Lone] = field(default_factory=list)


def decode_round(
    lone: Sequence[Lone], decoder: Decoder, accepted: MutableMapping[bytes, int], most_s: float
) -> Round:
    """Decode what a round brought.

    Args:
        lone: the reads, in the order of their connections.
        decoder: decodes them.
        accepted: by session, the highest number that was accepted; kept up to date.
        most_s: after this time the rest is left alone.
    """
    done = Round()
    plain: dict[tuple[str, str], list[Lone]] = {}
    odd: set[Connection] = set()
    for read in lone:
        connection, data, count = read
        if connection in odd:
            done.rest.append(read)
        elif connection.client is None:
            plain.setdefault((connection.account, connection.origin), []).append(read)
        elif not _decode_session(connection, data, count, decoder, accepted, done):
            odd.add(connection)
            done.rest.append(read)
    for (_, origin), alike in plain.items():
        _decode_plain(alike, origin, decoder, most_s, done)
    return done


def _decode_plain(
    alike: Sequence[Lone], origin: str, decoder: Decoder, most_s: float, done: Round
) -> None:
    """Decode frames of senders without sessions together; if anything is odd, none of them."""
    batches: Sequence[Batch] | None = None
    reads = [data for _, data, _ in alike]
    records = sum([count for _, _, count in alike])
    if records <= FEW:
        batches = decode_known(decoder, reads, origin)
    if batches is None:
        deadline = time.monotonic() + most_s
        frames = Frames.of_reads(reads)
        batches = decode_whole(
            decoder, frames, origin, time.time(), lambda: time.monotonic() > deadline
        )
    if batches is None:
        done.rest += alike
        return
    for connection, data, count in alike:
        connection.records += count
        done.size += len(data)
    done.records += records
    done.batches += batches


def _decode_session(
    connection: Connection,
    data: bytes,
    count: int,
    decoder: Decoder,
    accepted: MutableMapping[bytes, int],
    done: Round,
) -> bool:
    """Decode batches of a session; False if one is odd, or not the next."""
    client = connection.client
    if client is None:
        raise AssertionError("a session without a client")
    frames = Frames.of_reads([data])
    expected = max(accepted.get(client, 0), connection.first - 1) + 1
    batches: list[Batch] = []
    size = frames.size
    for number in range(count):
        known = decoder.lone_batch(frames.payload(number), connection.origin, client)
        if known is None:
            # From a place in the program that is new, or not alone.
            more = _decoded(decoder, frames.from_frame(number), connection.origin, client)
            if more is None:
                return False
            batches += more
            size += sum(map(text_bytes, more))
            break
        batches.append(known[0])
        size += known[1]
    records = 0
    for batch in batches:
        if batch.first != expected + records:
            return False
        records += len(batch.msg)
        batch.floor = connection.first - 1
    connection.lone_until = accepted[client] = done.acks[client] = expected + records - 1
    connection.records += records
    done.records += records
    done.batches += batches
    done.size += size
    return True


def _decoded(
    decoder: Decoder, frames: Frames, origin: str, client: bytes
) -> Sequence[Batch] | None:
    """The batches of a session; None if anything is odd about them."""
    try:
        return decoder.decode(frames, peer=origin, client=client)
    except Exception:
        # The usual way finds out what, and refuses the peer.
        return None
