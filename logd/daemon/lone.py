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

from logd.daemon.costs import WRITING_S_PER_BYTE, WRITING_S_PER_RECORD, lone_bytes
from logd.daemon.together import decode_whole
from logd.wire import Decoder, Frames

if TYPE_CHECKING:
    from logd.daemon.peers.connection import Connection
    from logd.records.batch import Batch

Lone = tuple["Connection", bytes, int]
"""A read of a connection, and how many frames it is made of; 0 if it is not whole frames."""


@dataclass
class Round:
    """What was made of a round.

    Attributes:
        batches: the records.
        sizes: what they count in the budgets of their connections, in bytes.
        acks: by session, up to which number its records are accepted.
        records: how many there are.
        rest: reads that were left alone, to be queued; each connection's in their order.
    """

    batches: list[Batch] = field(default_factory=list)
    sizes: list[tuple[Connection, int]] = field(default_factory=list)
    acks: dict[bytes, int] = field(default_factory=dict)
    records: int = 0
    rest: list[Lone] = field(default_factory=list)

    @property
    def writing_s(self) -> float:
        """About how long it takes to write the records."""
        size = sum([size for _, size in self.sizes])
        return WRITING_S_PER_RECORD * self.records + WRITING_S_PER_BYTE * size


def decode_round(
    lone: Sequence[Lone], decoder: Decoder, accepted: MutableMapping[bytes, int], most_s: float
) -> Round:
    """Decode what a round brought.

    Args:
        lone: the reads, in the order of their connections.
        decoder: decodes them.
        accepted: by session, the highest number that was accepted; kept up to date.
        most_s: after so long the rest is left alone.
    """
    done = Round()
    plain: dict[tuple[str, str], list[Lone]] = {}
    odd: set[Connection] = set()
    for read in lone:
        connection, data, count = read
        if not count or connection in odd:
            odd.add(connection)
            done.rest.append(read)
        elif connection.client is None:
            plain.setdefault((connection.account, connection.origin), []).append(read)
        elif not _decode_session(connection, data, count, decoder, accepted, done):
            odd.add(connection)
            done.rest.append(read)
    left_alone: list[Lone] = []
    deadline = time.monotonic() + most_s
    for alike in plain.values():
        if not _decode_plain(alike, decoder, deadline, done):
            left_alone += alike
    # What is odd may follow it.
    done.rest[:0] = left_alone
    return done


def _decode_plain(alike: Sequence[Lone], decoder: Decoder, deadline: float, done: Round) -> bool:
    """Decode frames of senders without sessions together; False if anything is odd."""
    frames = Frames.of_reads([data for _, data, _ in alike])
    first = alike[0][0]
    batches = decode_whole(
        decoder, frames, first.origin, time.time(), lambda: time.monotonic() > deadline
    )
    if batches is None:
        return False
    for connection, _, count in alike:
        connection.records += count
    done.records += frames.count
    done.batches += batches
    # All count for one account, so that one connection stands for them.
    done.sizes.append((first, frames.size + sum(map(lone_bytes, batches))))
    return True


def _decode_session(
    connection: Connection,
    data: bytes,
    count: int,
    decoder: Decoder,
    accepted: MutableMapping[bytes, int],
    done: Round,
) -> bool:
    """Decode batches of a session; False if one is not a lone record, or not the next."""
    client = connection.client
    if client is None:
        raise AssertionError("a session without a client")
    frames = Frames.of_reads([data])
    expected = max(accepted.get(client, 0), connection.first - 1) + 1
    batches: list[Batch] = []
    size = frames.size
    for number in range(count):
        known = decoder.lone_batch(frames.payload(number), connection.origin, client)
        if known is None or known[0].first != expected + number:
            return False
        batches.append(known[0])
        size += known[1]
    accepted[client] = done.acks[client] = expected + count - 1
    connection.records += count
    done.records += count
    done.batches += batches
    done.sizes.append((connection, size))
    return True
