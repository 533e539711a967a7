"""Decodes what the pipeline has taken, for a slice of time each, and leaves out what is known.

What is not done when a slice ends goes on in a later one, behind what other connections sent. Used
by one thread at a time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from logd.daemon.decoding import Delivery, Done, Failure, decode_delivery, divided
from logd.daemon.peers.connection import Connection
from logd.daemon.peers.hub import Hub
from logd.daemon.together import MAX_DELIVERIES, decode_together, is_lone, like
from logd.daemon.turns import Turns
from logd.wire import Decoder, Frames, Refusal

if TYPE_CHECKING:
    from logd.records.batch import Batch

SLICE_S = 0.025
"""The thread decodes for this long at a time, or until it has decoded what takes this long to
write. The rest goes on behind what other connections sent, which would wait otherwise: a lone
record beside a flood waits for about four slices."""

MAX_LEFT_BYTES = 1 << 20
"""Of an account of which more is left than this nothing is taken: it would have left the intake,
and its limits."""

Portion = list[tuple[Connection, Frames]]
DecodedPortion = list[tuple[Connection, Delivery]]


class Slices:
    """The deliveries that were taken and are not decoded, and how far each session was accepted.

    Args:
        hub: whose counts go on.
        decoder: decodes; may be replaced.
        marks: client id -> sequence number that every output holds from earlier runs.

    Attributes:
        accepted: client id -> highest sequence number that was handed on.
    """

    def __init__(self, hub: Hub[Connection], decoder: Decoder, marks: Mapping[bytes, int]) -> None:
        self._hub = hub
        self.decoder = decoder
        self.accepted = dict(marks)
        self._turns: Turns[Connection, Delivery] = Turns()
        # By account, bytes that were taken and are not decoded.
        self._left: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._turns)

    @property
    def crowded(self) -> frozenset[str]:
        """The accounts of which much is left."""
        return frozenset(name for name, size in self._left.items() if size > MAX_LEFT_BYTES)

    def add(self, taken: Portion) -> None:
        """Take what was read."""
        for connection, frames in taken:
            self._left[connection.account] += frames.size
        self._turns.add((one, Delivery(frames, frames.size)) for one, frames in taken)

    def _done_with(self, connection: Connection, size: int) -> None:
        left = self._left.pop(connection.account) - size
        if left > 0:
            self._left[connection.account] = left

    def decoded(self, portion: DecodedPortion, done: Done, slice_s: float) -> Iterator[Batch]:
        """Decode for a slice of time, and leave out what was accepted before.

        Appends what was decoded to `portion`.
        """
        deadline = time.monotonic() + slice_s
        now = time.time()
        alone = 0

        def is_late() -> bool:
            return time.monotonic() > deadline

        while (turn := self._turns.take()) is not None:
            started = time.monotonic()
            connection, delivery = turn
            alone -= 1
            if alone < 0 and is_lone(*turn):
                others = self._turns.take_while(like(connection), MAX_DELIVERIES)
                if others:
                    lone = [turn, *others]
                    batches = decode_together(self.decoder, lone, now, is_late)
                    if batches is not None:
                        yield from self._decoded_together(lone, batches, portion, done, started)
                        continue
                    self._turns.return_unseen(others)
                    alone = len(others)
            decoded = decode_delivery(self.decoder, connection, delivery.frames, now, is_late)
            done.note(connection, decoded)
            if decoded.left is not None:
                delivery, rest = divided(delivery, decoded.left)
                self._turns.put_back(connection, rest)
            else:
                done.deliveries += 1
            portion.append((connection, delivery))
            self._done_with(connection, delivery.size)
            to_write_s = done.weigh(connection, delivery.size, decoded.batches)
            yield from self.unknown(connection, decoded.batches, done)
            ended = time.monotonic()
            done.turns.append((connection, delivery.size, ended - started + to_write_s))
            if ended > deadline or done.writing_s > SLICE_S:
                return

    def _decoded_together(
        self,
        turns: DecodedPortion,
        batches: Sequence[Batch],
        portion: DecodedPortion,
        done: Done,
        started: float,
    ) -> Iterator[Batch]:
        """Account for lone deliveries; all count for one peer, so that one stands for them."""
        size = 0
        for connection, delivery in turns:
            self._done_with(connection, delivery.size)
            connection.records += delivery.frames.count
            self._hub.counts.records += delivery.frames.count
            size += delivery.size
        for batch in batches:
            self._hub.losses.look_at(batch)
        done.deliveries += len(turns)
        portion += turns
        to_write_s = done.weigh(turns[0][0], size, batches)
        done.turns.append((turns[0][0], size, time.monotonic() - started + to_write_s))
        yield from batches

    def unknown(
        self, connection: Connection, batches: Sequence[Batch], done: Done
    ) -> Iterator[Batch]:
        """The records that were not accepted before; notes the acks to give."""
        losses = self._hub.losses
        for batch in batches:
            connection.records += len(batch)
            self._hub.counts.records += len(batch)
            if batch.client is None:
                losses.look_at(batch)
                yield batch
                continue
            known = max(self.accepted.get(batch.client, 0), connection.first - 1)
            if batch.first > known + 1:
                connection.is_undecodable = True
                reason = f"record {batch.first} of a session came, {known + 1} was expected"
                done.failures.append(Failure(connection, Refusal.ORDER, reason))
                return
            # Not the last one's: on an old connection may come what a new one has sent again.
            done.acks[batch.client] = max(batch.last, done.acks.get(batch.client, 0))
            new = batch.after(known)
            if new is not None:
                self.accepted[batch.client] = new.last
                new.floor = connection.first - 1
                losses.look_at(new)
                yield new
