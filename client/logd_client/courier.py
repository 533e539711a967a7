"""One session's way from the buffer to the server, for whichever thread has time.

A `Courier` has the session, where its frames are kept, the batcher that fills it and the link that
empties it. The sender's thread calls `step` again and again. A thread that logs calls `send_now`
for a lone record, and `step` if it is the only one left, at the end of the process. Only one
thread at a time moves records. The others do not wait for it: it looks again when it is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from logd_client import lifecycle
from logd_client.batcher import Batcher
from logd_client.buffer import Buffer
from logd_client.clientsession import Session
from logd_client.connection import ServerAddress
from logd_client.decoding import rows_of_frame
from logd_client.descriptors import SO_COOKIE, SOL_SOCKET
from logd_client.encoding import CLIENT_ID_BYTES
from logd_client.link import Link
from logd_client.lone import encode_lone
from logd_client.natives import RLock, acquire_within, monotonic, wait_ready
from logd_client.pace import BURST_S, STEP_S
from logd_client.problems import SessionProblem
from logd_client.records import AnyRow, Context, EncodedBatch, Items
from logd_client.rows import UNFIT, fitted
from logd_client.store import Store
from logd_client.waiters import Waiters

__all__ = ["Courier"]

_IN_PROCESS = lifecycle.SURELY_IN_PROCESS

_RETRY_WHEN_WAITED_FOR_S = 0.2

_CONNECT_AT_ONCE_S = 0.003
"""How long the first record of a process may wait for a connection before its call returns."""

_ANSWER_AT_ONCE_S = 0.05
"""How long the first record that finds a server back waits for its answer, once: one that started
just now is slow, and the process may be about to end."""

_PATIENCE_S = 0.001
"""How long a lone record may wait for another thread's step before its call returns."""

_MAX_LONE = 100
"""With more records in the buffer, none of them is a lone one."""

_MAX_WAITED = 2000
"""At most this many records that waited for a server are sent by the thread that logs."""

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
        self._due = 0.0
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

    def put_lone(  # noqa: C901 - one function on purpose, see below
        self, context: Context, ids: Iterator[int], when: float, msg: str, items: Items
    ) -> int | None:
        """Send a record past the buffer; see `Buffer.put_lone`.

        One function, which knows what the buffer, the session and the link have inside: it is
        called after milliseconds in which the processor has forgotten all this code. Then each
        function that is called costs some microseconds, whatever it does.
        """
        moving = self._moving
        # Not if this call interrupts one that moves records, nor in a child of the process.
        if moving._is_owned() or not _IN_PROCESS[0] or not moving.acquire(False):
            return None
        buffer, link = self._buffer, self.link
        msgid, is_sent = None, True
        try:
            now, due, way = monotonic(), self._due, link.short_way
            if due > now or way is None:
                return None
            if now > link.hear_at:
                link.step()
                way = link.short_way
                if way is None:
                    return None
            session = self.session
            with buffer.lock:
                if buffer.rows or buffer.gap_count or buffer.room <= 0 or self.is_ended:
                    return None
                earliest = now - BURST_S
                self._due = (due if due > earliest else earliest) + STEP_S  # noqa: FURB136
                msgid = next(ids)
                number = session.next_sequence
                row = context, msgid, when, msg, items
                try:
                    entry = encode_lone(number, row)
                except UNFIT:
                    entry = encode_lone(number, fitted(row))
                _, _, size, frame = entry
                # No call in between, so that nothing interrupts what belongs together.
                buffer.numbered += 1
                buffer.held += size
                buffer.room -= size
                session.sent_sequence = number
                session.next_sequence = number + 1
                is_first = not session.sent
                session.sent.append(entry)
            if is_first:
                link.silence.alive_at = now
            cookie, ask, send = way
            try:
                if not cookie or ask(SOL_SOCKET, SO_COOKIE, 8) != cookie:
                    link.check()
                sent = send(frame)
            except OSError as exc:
                is_sent = False
                link.send_rest(frame, exc)
            else:
                if sent != size:
                    is_sent = False
                    link.send_rest(frame[sent:])
        except Exception as exc:  # an app's log call must not raise for that
            self._failed(exc)
            is_sent = False
        finally:
            if self.is_ended:
                link.close()
            moving.release()
        if not is_sent or buffer.rows or buffer.gap_count or self.is_ended:
            buffer.tell()
        return msgid

    def _is_lone(self, now: float) -> bool:
        """Whether a record that comes now is a lone one; see `pace.py`."""
        due = self._due
        if due <= now:
            self._due = max(due, now - BURST_S) + STEP_S
        return due <= now

    def send_now(self) -> bool:
        """Send a record that waits, and what waits with it, from the thread that logged it.

        Returns:
            False if the sender's thread has to do it: under load, or if sending would take time.
        """
        moving = self._moving
        # Not if this call interrupts one that moves records.
        while not moving._is_owned() and (
            moving.acquire(False) or acquire_within(moving, _PATIENCE_S)
        ):
            try:
                now = monotonic()
                if self._is_lone(now) and not self.is_ended:
                    is_sent = self._send_few()
                else:
                    self._batcher.expect_load(now)
                    is_sent = self.is_ended  # the next session takes what waits
            except Exception as exc:  # an app's log call must not raise for that
                self._failed(exc)
                is_sent = False
            finally:
                self._release()
            if not is_sent or self.is_ended or self._buffer.is_empty:
                return is_sent
        return True  # the one who moves records looks again afterwards

    def _send_few(self) -> bool:
        """Send what waits besides the record that came now; and connect, if that is quick."""
        link, count = self.link, self._buffer.count
        if link.is_open:
            if count > _MAX_LONE or self.session.has_unsent:
                return False
        elif count > _MAX_WAITED or not link.may_connect:
            return False
        self._batcher.collect_few()
        return link.send_at_once(_CONNECT_AT_ONCE_S, _ANSWER_AT_ONCE_S) and self._buffer.is_empty

    @property
    def is_known(self) -> bool:
        """True if the sender's thread knows that records wait for the end of a pause."""
        return self.link.is_pausing and self._buffer.count > 1 and not self._buffer.has_full_batch

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
        is_waited_for = bool(self.waiters)
        if is_waited_for:
            self.link.retry_soon(now, _RETRY_WHEN_WAITED_FOR_S)
        if self._buffer.has_full_batch or not self.link.is_busy:
            # Else it could not be sent yet: the batch may grow.
            self._batcher.collect(now, at_once=is_waited_for)
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
