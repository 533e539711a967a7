"""The way of lone records: what a round read is decoded and written by the rounds' own thread.

    rounds (`peers/rounds.py`) -> `begin_lone` -> read -> `take_lone` -> `write_lone`

Nothing else of such a connection is under way, so its records need no queue to keep their order.
What other connections sent goes to the event loop. If too much waits, everything goes there.

What is on this way does not count towards the limits of its connection: it is little, and mostly
written before the next round.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from logd.daemon.costs import WRITING_S_PER_BYTE, WRITING_S_PER_RECORD
from logd.daemon.lone import FEW, Lone, decode_round
from logd.daemon.peers.rounds import Takes
from logd.outputs.failpoints import failpoint
from logd.outputs.work import Work

if TYPE_CHECKING:
    from logd.daemon.peers.connection import Connection
    from logd.daemon.peers.hub import Hub
    from logd.daemon.portionthread import PortionThread
    from logd.daemon.sinks import Sink
    from logd.daemon.slices import Slices
    from logd.server import LogServer

SHARE = 16
"""One in this many bytes of the queue's limit may be on the way, from the socket to the disk."""

WRITING_S = 0.1
"""How long it may take to write what is on the way."""

DECODING_S = 0.02
"""A round is decoded for this long; after one that needed half of that the pipeline's thread has
them all for `ELSEWHERE_S`."""

ELSEWHERE_S = 1.0

MOMENT_S = 0.002
"""A portion is mostly done by then, and others too have waited for a round."""


class Others(Protocol):
    """What is asked of the pipeline."""

    @property
    def server(self) -> LogServer:
        """Makes text of times."""

    def lets_lone_pass(self) -> bool:
        """Whether records may be decoded outside of the pipeline's thread, and there is room."""

    @property
    def is_idle(self) -> bool:
        """Whether all that came before is decoded."""

    def take_queued(self) -> None:
        """In the loop's thread: there may be something in the intake."""


class LoneWay:
    """See `rounds.Taker`; in the rounds' thread unless it says otherwise.

    Args:
        hub: whose rounds they are.
        sink: where batches go.
        slices: has the decoder, and how far sessions were accepted.
        thread: the pipeline's.
        others: the pipeline.

    Attributes:
        bytes: what is on the way.
    """

    def __init__(
        self,
        hub: Hub[Connection],
        sink: Sink,
        slices: Slices,
        thread: PortionThread,
        others: Others,
    ) -> None:
        self._hub = hub
        self._sink = sink
        self._slices = slices
        self._thread = thread
        self._others = others
        # Guards the following.
        self._lock = threading.Lock()
        self.bytes = 0
        self._writing_s = 0.0
        self._acks: dict[bytes, int] = {}
        self._elsewhere_until = float("-inf")

    def begin_lone(self) -> Takes:
        """See `rounds.Taker`."""
        if (
            self.bytes * SHARE >= self._hub.intake.limit_bytes
            or self._writing_s >= WRITING_S
            or time.monotonic() < self._elsewhere_until
            or not self._thread.at_work.acquire(timeout=MOMENT_S)
        ):
            return Takes.NONE
        # From here on nobody else decodes, or exchanges filters.
        if self._others.lets_lone_pass():
            return Takes.ALL if self._others.is_idle else Takes.FRESH
        self._thread.at_work.release()
        return Takes.NONE

    def take_lone(self, lone: Sequence[Lone]) -> Sequence[Lone]:
        """See `rounds.Taker`."""
        try:
            if not lone:
                return ()
            is_much = len(lone) > FEW
            cpu_s = time.thread_time() if is_much else 0.0
            done = decode_round(lone, self._slices.decoder, self._slices.accepted, DECODING_S)
            if done.batches:
                self._others.server.fill_in(done.batches)
                self._hub.losses.look_at_each(done.batches)
                self._hub.counts.records += done.records
                writing_s = WRITING_S_PER_RECORD * done.records + WRITING_S_PER_BYTE * done.size
                with self._lock:
                    self.bytes += done.size
                    self._writing_s += writing_s
                on_done = partial(self._durable, done.size, writing_s)
                self._sink.line_up(Work(done.batches, done.acks, on_done))
            if is_much and time.thread_time() - cpu_s > DECODING_S / 2:
                self._elsewhere_until = time.monotonic() + ELSEWHERE_S
            return done.rest
        except Exception as exc:
            self._thread.fail(exc)
            return ()
        finally:
            self._thread.at_work.release()

    def write_lone(self) -> None:
        """See `rounds.Taker`."""
        self._sink.write_here()

    def take_queued(self) -> None:
        """In the loop's thread, see `rounds.Taker`."""
        self._others.take_queued()

    def _durable(self, size: int, writing_s: float, work: Work) -> None:
        """Every output has `work`; in any thread. The loop is woken only if there are acks."""
        with self._lock:
            self.bytes -= size
            self._writing_s -= writing_s
            is_first = not self._acks
            for client, number in work.acks.items():
                # Two outputs' threads may finish two works at the same moment.
                self._acks[client] = max(number, self._acks.get(client, 0))
            is_first &= bool(self._acks)
        if is_first:
            # The loop is closed if the daemon was told to stop at once.
            with contextlib.suppress(RuntimeError):
                self._hub.loop.call_soon_threadsafe(self._send_acks)

    def _send_acks(self) -> None:
        """In the loop's thread: tell the sessions, once for all works that a sync made durable."""
        with self._lock:
            acks, self._acks = self._acks, {}
        failpoint("ack.before_send")
        self._hub.sessions.durable(acks)
        failpoint("ack.after_send")
