"""One session's way from the buffer to the server, for whichever thread has time.

A `Courier` has the session, where its frames are kept, the batcher that fills it and the link that
empties it. The sender's thread calls `step` again and again, and at the end of the process a thread
that logs or waits. What threads that log do before that is `direct.py`'s concern. Only one thread
at a time moves records. The others do not wait for it: it looks again when it is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from logd_client.batcher import Batcher
from logd_client.buffer import Buffer
from logd_client.clientsession import Session
from logd_client.connection import ServerAddress
from logd_client.decoding import rows_of_frame
from logd_client.encoding import CLIENT_ID_BYTES
from logd_client.link import Link
from logd_client.natives import RLock, acquire_within, monotonic, wait_ready
from logd_client.problems import SessionProblem
from logd_client.records import AnyRow, EncodedBatch
from logd_client.store import Store
from logd_client.waiters import Waiters

__all__ = ["Courier"]

_RETRY_WHEN_WAITED_FOR_S = 0.2

_STEP_S = 1.0
"""For how long batches are sent without a look at what the server says."""

_AWAY_LOOK_S = 0.25
_AWAY_LOOK_BUSY_S = 0.02
"""While the server takes nothing, records are looked at that often, so that a burst is encoded,
which saves most of its memory, before the buffer is full."""


class Courier:
    """See the module.

    Args:
        buffer: where records wait.
        make_store: makes the store for a session's client id.
        address: where the server may be.
        token: the shared token, None without one.
        report: takes what people should know; must not raise.

    Attributes:
        session: the session; another one in each process.
        store: has its frames.
        link: the connection to the server.
        waiters: those who wait for its records.
        is_spooled: True if records are on disk when the call that logs them returns.
        is_ended: True once the session is over: nothing is moved any more.
    """

    def __init__(
        self,
        buffer: Buffer,
        make_store: Callable[[bytes], Store],
        address: ServerAddress,
        token: str | None,
        report: Callable[[BaseException], None],
    ) -> None:
        client_id = os.urandom(CLIENT_ID_BYTES)
        self._buffer = buffer
        self._report = report
        # Reentrant for what it knows: whether this thread has it, told in one step.
        self._moving = RLock()
        self._step_at = 0.0
        self._seen_sequence = 0
        self.store = make_store(client_id)
        self.session = Session(client_id, token=token)
        self.waiters = Waiters()
        self.link = Link(self.session, self.store, address, report, self._acknowledged)
        self.is_spooled = False
        self.is_ended = False
        self._batcher = Batcher(buffer, self.session, self.store)

    @property
    def is_here(self) -> bool:
        """True for the thread that moves records right now: it must never wait for itself."""
        return bool(self._moving._is_owned())

    def step(self, timeout_s: float | None = None) -> bool:
        """Encode what is due and move bytes, without waiting for any.

        Returns:
            False if another thread did so for all the time given (None: forever).
        """
        if self.is_here or not acquire_within(self._moving, timeout_s):
            return False
        try:
            self._step()
        except Exception as exc:  # top of the sender's thread: report, then go on anew
            self._failed(exc)
        finally:
            self._release()
        return True

    def _release(self) -> None:
        if self.is_ended:  # meanwhile, and nobody could wait any longer
            self.link.close()
        self._moving.release()

    def _failed(self, exc: Exception) -> None:
        self._report(SessionProblem(f"internal error, trying again: {exc!r}"))
        self.link.close()
        self.link.pause()

    def _step(self) -> None:
        if self.is_ended:
            return
        now = monotonic()
        self._step_at = now + _STEP_S
        is_waited_for = bool(self.waiters)
        if is_waited_for:
            self.link.retry_soon(now, _RETRY_WHEN_WAITED_FOR_S)
        if self._buffer.has_full_batch or not self.link.is_busy:
            # Else it could not be sent yet: the batch may grow.
            may_gather = not self.is_spooled and not is_waited_for
            self._batcher.collect(now, at_once=is_waited_for, may_gather=may_gather)
        self.link.step()

    def work(self, is_done: Callable[[], bool], deadline: float, look: Callable[[], None]) -> None:
        """Step, and wait in between, until it is done or the deadline (monotonic time) is over.

        In a thread that has nothing else to do, for there is no sender's thread any more; `look`
        is called after each step.
        """
        while not is_done():
            left_s = deadline - monotonic()
            if not self.step(max(0.0, left_s)) or left_s <= 0:
                break
            look()
            if not is_done():
                due_s = self.due_s(monotonic())
                wanted = [self.link.wanted] if self.link.wanted[0] >= 0 else []
                wait_ready(wanted, left_s if due_s is None else min(left_s, due_s))

    @property
    def is_resting(self) -> bool:
        """True if records that come now may be sent by the threads that log them."""
        return not self._batcher.is_under_load

    def due_s(self, now: float) -> float | None:
        """After how long `step` has something to do if nothing happens; None for never."""
        due_s = self.link.timeout_s(now)
        if self._buffer.is_empty and self.is_resting:
            return due_s
        if self.link.is_busy:
            next_s = self._away_look_s()
        else:
            next_s = max(0.0, self._batcher.collect_at - now)
        return next_s if due_s is None else min(next_s, due_s)

    def _away_look_s(self) -> float:
        waiting = self._buffer.last_sequence
        grew, self._seen_sequence = waiting > self._seen_sequence, waiting
        return _AWAY_LOOK_BUSY_S if grew else _AWAY_LOOK_S

    def _acknowledged(self, entries: Sequence[EncodedBatch]) -> None:
        in_memory = sum([entry.memory_bytes for entry in entries])
        if in_memory:
            self._buffer.release(in_memory)
        self._buffer.stored(self.session.acked)
        self.waiters.resolve(self.session.acked)

    def rows_left(self, target: int) -> list[tuple[int, AnyRow]]:
        """All records up to the number that are not known to be stored, numbered.

        For the end of the session: nobody may move records meanwhile.
        """
        found: list[tuple[int, AnyRow]] = []
        for entry in self.session.entries:
            found += enumerate(rows_of_frame(self.store.load(entry)), entry.first)
        found += enumerate(self._buffer.rows_until(target), self.session.next_sequence)
        return [(number, row) for number, row in found if number > self.session.acked]

    def end(self, target: int, timeout_s: float, begin: Callable[[], None]) -> int:
        """End the session and let `begin` make the next one, which gets what came since `target`.

        A thread that still moves records after the time closes the connection when it is back.

        Returns:
            How many records of the session were not delivered.
        """
        is_mine = not self.is_here and acquire_within(self._moving, timeout_s)
        self.is_ended = True
        if is_mine:
            self.link.close()
            self._moving.release()
        session = self.session
        undelivered = 0

        def end_store() -> None:
            nonlocal undelivered
            undelivered = max(0, target - session.acked, session.next_sequence - 1 - session.acked)
            if is_mine:
                is_all = session.oldest is None and self._buffer.is_empty
                self.store.close(is_delivered=is_all)
            begin()

        self._buffer.restart(target, end_store)
        self.waiters.fail()
        return undelivered

    def abandon(self) -> None:
        """In a child process: let go of all that is the parent's, and of no more."""
        self.link.abandon()
        self.store.abandon()
