"""The bounded buffer between the app's threads and the sender.

`put` is the part of a log call that all threads share, and the reason why a call costs little: a
lock, a few additions, one append. While the sender sleeps for want of work, each record is told to
it at once, in the thread that logs; under load the sender comes by itself.

The bound is in bytes and covers what waits here and what the sender keeps in memory until it is
acknowledged. When it is reached the user's choice applies: wait a while for room, or drop at once.
What is dropped is counted, and a record that says so stands in the log exactly where the gap is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from logd_client.encoding import MAX_BATCH_RECORDS
from logd_client.natives import Gate, RLock, monotonic
from logd_client.records import AnyRow, Context, Items
from logd_client.sizes import BATCH_BYTES

__all__ = [
    "CAT_INTERNALERROR",
    "ITEM_BYTES",
    "NEVER",
    "ROW_BYTES",
    "Buffer",
    "lost_row",
    "row_cost",
]

CAT_INTERNALERROR = "I"
"""Category of records about logging itself, as the server's."""

ROW_BYTES = 250
"""What a waiting record costs besides its text: its tuple, time, number and string header."""

ITEM_BYTES = 100
"""What a special item costs, half of it for its key."""

_FULL_BATCH_BYTES = 4 * BATCH_BYTES
"""Encoded, a record takes a fraction of the memory that it needs while it waits."""


_FEW_BYTES = 40_000
"""What a thread that logs may have to encode and send within a call: some eighty short records."""

NEVER = float("inf")


class Buffer:
    """Records of any number of threads, in one order, for one sender.

    Args:
        max_bytes: the bound.
        block_timeout_s: how long `put` waits for room before it drops; 0 to drop at once. After
            a wait without success nobody waits until the sender has made room: an app whose log
            server is away is held up once, not at every call.
        on_record: called after a record was put while the sender sleeps, from any thread.
        wake: wakes the sender to make room, and to tell of a loss.

    Attributes:
        lock: to be held while what waits is changed; reentrant. It guards the next five.
        rows: the records that wait.
        gap_count: how many were dropped since the last one that came in.
        room: the bytes that are left of the bound.
        held: the bytes of frames that are not acknowledged.
        much_held: with more of them it is time to see what the server has acknowledged.
        numbered: the sequence number of the last record that does not wait here any more.
        sender_sleeps: whether each record is told to the sender, and may pass by.
        tell_at: a record of this time or a later one (seconds since the epoch) is told to the
            sender, too, even if it does not sleep.
        put_lone: given each record first while the sender sleeps, with the arguments of `put`;
            returns its message id, or None if it has to wait here. A caller that tries it before
            `put` spares a call.
        lost: records dropped since the start.
        is_sender: tells whether the current thread is the sender's, which must never wait for
            itself.
    """

    def __init__(
        self,
        max_bytes: int,
        block_timeout_s: float,
        on_record: Callable[[], object],
        wake: Callable[[], object],
    ) -> None:
        self._max_bytes = max_bytes
        self.much_held = min(_FULL_BATCH_BYTES, max_bytes // 4)
        self._block_timeout_s = block_timeout_s
        self._on_record = on_record
        self._wake = wake
        self.is_sender: Callable[[], bool] = lambda: False
        self.put_lone: Callable[[Context, Iterator[int], float, str, Items], int | None] = _wait
        self.lost = 0
        self.reset()

    def reset(self) -> None:
        """Forget all records and locks: in a child process they are the parent's."""
        # Reentrant, because a signal handler or a finalizer may log in the midst of a log call.
        self.lock: Any = RLock()
        self.rows = self._empty_rows()
        self.room = self._max_bytes
        self.held = 0
        self.numbered = 0
        self.sender_sleeps = True
        self.tell_at = NEVER
        self._gave_up_waiting = False
        self._gates: list[Gate] = []
        """Of those who wait for room."""
        self.gap_count = 0
        self._gap_from = self._gap_until = 0.0
        self.lost = 0

    def put(self, context: Context, ids: Iterator[int], when: float, msg: str, items: Items) -> int:
        """Take one record; returns its message id, drawn from `ids` in the order of the records.

        Waits or drops when the buffer is full (see the class); never raises for that.
        """
        if self.sender_sleeps:
            sent = self.put_lone(context, ids, when, msg, items)
            if sent is not None:
                return sent
        cost = ROW_BYTES + len(msg)
        if items:
            cost += ITEM_BYTES * len(items)
        with self.lock:
            room = self.room - cost
            if room < 0 or self.gap_count:
                if not self._admit(cost, context.fields[0]):
                    self._drop(when)
                    return next(ids)
                room = self.room - cost
            self.room = room
            msgid = next(ids)
            self.rows.append((context, msgid, when, msg, items))
        try:
            # Read after the append: the sender falls asleep under the lock and only when it
            # found nothing, so one of the two sees the other.
            is_told = self.sender_sleeps or when >= self.tell_at
        except TypeError:  # a time of the application's own kind; the thread comes anyway
            is_told = False
        if is_told:
            self._on_record()
        return msgid

    def put_tracked(
        self, context: Context, ids: Iterator[int], when: float, msg: str, items: Items
    ) -> tuple[int, int | None]:
        """Like `put`; returns the message id and the sequence number, None if it was dropped."""
        with self.lock:
            lost = self.lost
            msgid = self.put(context, ids, when, msg, items)
            return msgid, None if self.lost > lost else self.numbered + len(self.rows)

    def _admit(self, cost: int, pid: int) -> bool:
        """Wait for room as the user wants it; true if a record of that cost may come in."""
        if not self._has_room_for(cost) and self._may_wait(cost):
            self._wake()
            self._gave_up_waiting = not self._wait_for_room(cost)
        if not self._has_room_for(cost):
            return False
        self._append_gap(pid)
        return True

    def _wait_for_room(self, cost: int) -> bool:
        """Give up the lock until there is room; false if that takes too long."""
        deadline = monotonic() + self._block_timeout_s
        while not self._has_room_for(cost):
            left_s = deadline - monotonic()
            if left_s <= 0:
                return False
            gate = Gate()
            self._gates.append(gate)
            # As `threading.Condition` does it, with locks that nobody replaced.
            depth = self.lock._release_save()
            try:
                gate.wait(left_s)
            finally:
                self.lock._acquire_restore(depth)
        return True

    def _has_room_for(self, cost: int) -> bool:
        return self.room >= cost

    def _may_wait(self, cost: int) -> bool:
        return (
            self._block_timeout_s > 0
            and not self._gave_up_waiting
            and cost <= self._max_bytes
            and not self.is_sender()
        )

    def _drop(self, when: float) -> None:
        self.lost += 1
        self._gap_until = when
        self.gap_count += 1
        if self.gap_count == 1:
            self._gap_from = when
            self._wake()  # it tells people, and may have nothing else to wake up for

    def _append_gap(self, pid: int) -> None:
        """Say in the log what is missing here."""
        if self.gap_count:
            noun = "record" if self.gap_count == 1 else "records"
            text = (
                f"{self.gap_count} {noun} lost by pid {pid} "
                f"between {_iso(self._gap_from)} and {_iso(self._gap_until)}"
            )
            self.rows.append(lost_row(self.gap_count, pid, self._gap_until, text))
            self.gap_count = 0

    @property
    def is_held_here(self) -> bool:
        """True for code that interrupts this thread in the midst of a call."""
        return bool(self.lock._is_owned())

    @property
    def last_sequence(self) -> int:
        """Sequence number of the newest record taken."""
        with self.lock:
            if self.gap_count:
                self._append_gap(os.getpid())
            return self.numbered + len(self.rows)

    @property
    def is_empty(self) -> bool:
        """True when no record and no gap waits to be taken by the sender."""
        return not self.rows and not self.gap_count

    @property
    def count(self) -> int:
        """How many records wait."""
        return len(self.rows)

    @property
    def has_full_batch(self) -> bool:
        """True when there is enough for a batch of good size."""
        waiting_bytes = self._max_bytes - self.room - self.held
        return len(self.rows) >= MAX_BATCH_RECORDS or waiting_bytes >= _FULL_BATCH_BYTES

    def take(self) -> tuple[list[AnyRow], int]:
        """All records that wait, in order, and the bytes they count for; for the sender.

        They go on counting until `keep` is called.
        """
        with self.lock:
            self._append_gap(os.getpid())
            rows, self.rows = self.rows, []
            self.numbered += len(rows)
            return rows, self._max_bytes - self.room - self.held

    def take_few(self) -> tuple[list[AnyRow], int]:
        """As `take`, for a thread that logs: nothing if there is much, or something is missing."""
        with self.lock:
            size = self._max_bytes - self.room - self.held
            if size > _FEW_BYTES or self.held > self.much_held or self.gap_count:
                return [], 0
            rows, self.rows = self.rows, []
            self.numbered += len(rows)
            return rows, size

    def tell(self) -> None:
        """Tell the sender that something waits, as of a record."""
        self._on_record()

    def sleep(self) -> bool:
        """Ask to be told of each record; False if there is work already."""
        with self.lock:
            self.sender_sleeps = not self.rows and not self.gap_count
            return self.sender_sleeps

    def tell_each(self) -> None:
        """Tell each record from now on, whether others wait or not: there is no thread."""
        self.sender_sleeps = True

    def stay_awake(self) -> None:
        """The sender is about to wake up, and will look for records by itself."""
        self.sender_sleeps = False

    def keep(self, row_bytes: int, frame_bytes: int) -> None:
        """Taken records of `row_bytes` became frames that need `frame_bytes` of memory."""
        with self.lock:
            self.held += frame_bytes
            self._make_room(row_bytes - frame_bytes)

    def release(self, frame_bytes: int) -> None:
        """Frames of that many bytes are acknowledged."""
        with self.lock:
            self.held -= frame_bytes
            self._make_room(frame_bytes)

    def _make_room(self, size: int) -> None:
        self.room += size
        if size > 0:
            self._has_room_again()

    def _has_room_again(self) -> None:
        self._gave_up_waiting = False
        gates, self._gates = self._gates, []
        for gate in gates:
            gate.open()

    def stored(self, sequence: int) -> None:
        """Records up to that sequence number are stored by the server."""

    def rows_until(self, sequence: int) -> list[AnyRow]:
        """The records up to that number that wait here; they go on waiting."""
        with self.lock:
            return list(self.rows[: max(0, sequence - self.numbered)])

    def restart(self, ended: int, begin: Callable[[], None]) -> None:
        """Count sequence numbers from 1 again: a new session begins, made by `begin`.

        Records up to the number `ended` belong to the one before and are forgotten; later ones
        belong to the new one.
        """
        with self.lock:
            begin()
            rows = self.rows[max(0, ended - self.numbered) :]
            self.rows = self._empty_rows()
            self.rows += rows
            self.numbered = self.held = 0
            self.room = self._max_bytes - sum([row_cost(row) for row in rows])
            self.tell_each()
            self._has_room_again()

    def last_after(self, forget: Callable[[], None]) -> None:
        """Forget all records but the last, of which `forget` knows nothing."""
        last = self.rows[-1:]
        forget()
        for context, msgid, when, msg, items in last:
            self.put(context, iter((msgid,)), when, msg, items)

    def _empty_rows(self) -> list[AnyRow]:
        return []

    def prepare_for_exit(self) -> None:
        """Never wait long from now on: the interpreter may freeze a thread that has the lock."""
        if not isinstance(self.lock, _ExitLock):
            self.lock = _ExitLock()
            self._block_timeout_s = 0.0


class _ExitLock:
    """A lock for the end of the process: never waits long for a thread that is frozen."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._held = 0

    def _is_owned(self) -> bool:
        return bool(self._lock._is_owned())

    def __enter__(self) -> None:
        if self._lock.acquire(timeout=0.2):
            self._held += 1

    def __exit__(self, *_: object) -> None:
        if self._held:
            self._held -= 1
            self._lock.release()


def _wait(context: Context, ids: Iterator[int], when: float, msg: str, items: Items) -> None:
    """There is no way past the buffer."""


def row_cost(row: AnyRow) -> int:
    """The bytes that a record counts for while it waits."""
    return ROW_BYTES + len(row[3]) + ITEM_BYTES * len(row[4])


def lost_row(count: int, pid: int, when: float, text: str) -> AnyRow:
    """The record that stands in the log in place of lost ones; special item `lost` counts them."""
    context = Context((pid, 0, "logd_client", CAT_INTERNALERROR, (), 0, ""))
    return (context, 0, when, text, ("lost", count))


def _iso(when: float) -> str:
    base = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(when))
    return f"{base}.{int(when * 1e6) // 1000 % 1000:03d}{time.strftime('%z', time.localtime(when))}"
