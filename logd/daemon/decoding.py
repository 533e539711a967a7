"""Decodes deliveries for the pipeline: bad frames are dropped alone, and no delivery takes long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from logd.daemon.costs import text_bytes, writing_s
from logd.daemon.peers.badframes import MAX_BAD_FRAMES
from logd.daemon.weights import weight_of
from logd.wire import Decoder, Frames, Refusal, WireError

if TYPE_CHECKING:
    from logd.daemon.peers.connection import Connection
    from logd.records.batch import Batch

logger = logging.getLogger(__name__)


class Delivery(NamedTuple):
    """Frames that are decoded together.

    Attributes:
        frames: the frames.
        size: what they count in the budget of the queue, in bytes.
    """

    frames: Frames
    size: int


class Failure(NamedTuple):
    """A connection to be refused, and why."""

    connection: Connection
    refusal: Refusal
    reason: str


class Decoded(NamedTuple):
    """What was made of a delivery.

    Attributes:
        batches: the records.
        dropped: why frames were dropped, a reason each.
        left: the frames that are still to be decoded, as enough was done; None for none.
        failure: why the connection has to be closed; None if it stays.
    """

    batches: list[Batch]
    dropped: list[str]
    left: Frames | None = None
    failure: str | None = None


@dataclass
class Done:
    """What a slice of time brought besides records, and what it costs besides its bytes.

    Attributes:
        failures: connections to be refused.
        dropped: frames that could not be decoded: their connection, and why.
        acks: by session, up to which number its records are accepted.
        heavy: by how many bytes what a connection sent weighs more than it was taken for.
        turns: connections, the bytes that they sent, and the time these take in all.
        writing_s: how long the outputs will take.
        deliveries: how many were finished.
        has_left: whether some are still to be decoded, or what is left of them.
        crowded: the accounts of which much is left.
    """

    failures: list[Failure] = field(default_factory=list)
    dropped: list[tuple[Connection, str]] = field(default_factory=list)
    acks: dict[bytes, int] = field(default_factory=dict)
    heavy: list[tuple[Connection, int]] = field(default_factory=list)
    turns: list[tuple[Connection, int, float]] = field(default_factory=list)
    writing_s: float = 0.0
    deliveries: int = 0
    has_left: bool = False
    crowded: frozenset[str] = frozenset()

    def note(self, connection: Connection, decoded: Decoded) -> None:
        """Note what was dropped of a delivery, and whether its connection failed."""
        self.dropped += [(connection, reason) for reason in decoded.dropped]
        if decoded.failure is not None:
            connection.is_undecodable = True
            self.failures.append(Failure(connection, Refusal.FRAME, decoded.failure))

    def weigh(self, connection: Connection, size: int, batches: Sequence[Batch]) -> float:
        """Note what the records that came as `size` bytes weigh; how long they take to write."""
        texts = list(map(text_bytes, batches))
        weight = max(sum(map(weight_of, batches)), sum(texts)) - size
        if weight > 0:
            self.heavy.append((connection, weight))
        to_write_s = sum(map(writing_s, batches, texts))
        self.writing_s += to_write_s
        return to_write_s


def divided(delivery: Delivery, left: Frames) -> tuple[Delivery, Delivery]:
    """A delivery as two: what was decoded of it, and what was not."""
    frames = delivery.frames
    rest = delivery.size * left.count // frames.count
    return Delivery(frames, delivery.size - rest), Delivery(left, rest)


def decode_delivery(
    decoder: Decoder,
    connection: Connection,
    frames: Frames,
    now: float,
    is_late: Callable[[], bool],
) -> Decoded:
    """Decode the frames of a delivery, as far as the time goes.

    Args:
        decoder: decodes them.
        connection: where they came from; nothing is decoded if it failed before.
        frames: the frames.
        now: the time of the day.
        is_late: whether the time is up.
    """
    if connection.is_undecodable:
        return Decoded([], [])
    try:
        return _around_bad_frames(decoder, connection, frames, now, is_late)
    except Exception:
        # A defect of ours, shown by bytes of a peer. It must not become a way to end the
        # daemon: the peer is refused, and the traceback tells us what to mend.
        logger.exception("%s sent what the decoder failed at", connection.peer)
        return Decoded([], [], failure="the decoder failed")


def _around_bad_frames(
    decoder: Decoder,
    connection: Connection,
    frames: Frames,
    now: float,
    is_late: Callable[[], bool],
) -> Decoded:
    """Decode the frames around those that can't be decoded.

    A frame's length is known whatever it holds, so the stream stays in step behind a bad one. Only
    what no honest sender does ends the connection: a call where a record is expected, or a flood
    of bad frames. A session ends at its first: its numbers don't go on without the frame.
    """
    batches: list[Batch] = []
    dropped: list[str] = []
    bad_frames = connection.bad_frames
    while True:
        try:
            batches += decoder.decode(
                frames, peer=connection.origin, client=connection.client, now=now, is_late=is_late
            )
        except WireError as exc:
            batches += exc.batches
            bad_frames.good(exc.frame)
            if connection.client is not None or exc.is_hostile:
                return Decoded(batches, dropped, failure=exc.reason)
            if bad_frames.bad():
                reason = f"more than {MAX_BAD_FRAMES} bad frames, the last: {exc.reason}"
                return Decoded(batches, dropped, failure=reason)
            dropped.append(exc.reason)
            frames = frames.from_frame(exc.frame + 1)
            if not frames.count:
                return Decoded(batches, dropped)
            if is_late():
                return Decoded(batches, dropped, frames)
        else:
            left = decoder.left
            bad_frames.good(frames.count - (left.count if left is not None else 0))
            return Decoded(batches, dropped, left)
