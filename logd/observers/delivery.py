"""A bounded queue of records for a receiver outside of logd, with retries.

What `Webhook` and `Command` have in common: records are put aside by the pipeline's thread, taken
in batches by a thread of their own, tried again with growing pauses when the receiver is away, and
given up after a number of tries. Nothing that is given up goes unnoticed: losses are counted, told
in the daemon's own log at once, and in the log itself with a later record (see `DeliveryLost`).
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from logd.errors import LogdError
from logd.observers.background import Background

__all__ = ["DeliveryFailed", "DeliveryLost", "DeliveryQueue", "DeliveryRefused"]

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

_REPORT_INTERVAL_S = 60.0
_MAX_BACKOFF_S = 60.0
_random = random.SystemRandom()


class DeliveryFailed(LogdError):
    """The receiver did not take a batch, but may take it later.

    Attributes:
        retry_after_s: how long the receiver wants to be left alone; None: it did not say.
    """

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class DeliveryRefused(LogdError):
    """The receiver will never take this batch; trying again is useless."""


class DeliveryLost(LogdError):
    """Records could not be delivered.

    Raised by an observer's call though the observer took the current record: that is how trouble
    in its background gets into the log, as `LogServer` makes a record of it. Once a minute at most.
    """


class DeliveryQueue(Generic[Item]):
    """Records on their way to one receiver.

    Args:
        name: what the receiver is called in messages and thread names.
        deliver: takes a batch and the seconds it may take; returns once the receiver has it, or
            raises `DeliveryFailed` (it is called with the same object again) or
            `DeliveryRefused`. Called by one thread only.
        max_records: at most this many records wait; further ones are lost.
        max_bytes: at most this many bytes wait, by the sizes given to `put`.
        batch_records: at most this many records in one batch.
        interval_s: from the start of one batch to the next at least, so that a flood of records
            makes few and large batches. The first one goes out at once.
        tries: how often a batch is tried before its records are lost.
        backoff_s: pause after the first failure; doubled each time up to a minute, or longer if
            the receiver says so; a random part is added, so that many daemons don't come at once.
        timeout_s: how long one try may take.
        close_at_exit_s: how long the end of the process waits for what is in the queue.
        clock: seconds that only go forward.

    Attributes:
        delivered: records that the receiver has taken.
        lost: records that were given up, or found the queue full.
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[Sequence[Item], float], None],
        *,
        max_records: int,
        max_bytes: int,
        batch_records: int,
        interval_s: float,
        tries: int,
        backoff_s: float,
        timeout_s: float,
        close_at_exit_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for parameter, value in (
            ("max_records", max_records),
            ("max_bytes", max_bytes),
            ("batch_records", batch_records),
            ("tries", tries),
        ):
            if value < 1:
                raise ValueError(f"{parameter}: expected at least 1, got {value}")
        for parameter, seconds in (("interval_s", interval_s), ("backoff_s", backoff_s)):
            if seconds < 0:
                raise ValueError(f"{parameter}: expected 0 or more, got {seconds}")
        if timeout_s <= 0:
            raise ValueError(f"timeout_s: expected more than 0, got {timeout_s}")
        self.name = name
        self._deliver = deliver
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._batch_records = batch_records
        self._interval_s = interval_s
        self._tries = tries
        self._backoff_s = backoff_s
        self._timeout_s = timeout_s
        self._clock = clock
        self.delivered = 0
        self.lost = 0
        self._reported = 0
        self._report_due = clock()
        self._last_reason = ""
        self._reset()
        self._background = Background(
            f"logd {name}", self._step, after_fork=self._reset, close_at_exit_s=close_at_exit_s
        )

    def _reset(self) -> None:
        """Forget what waits: at the start, and in a child process, whose parent delivers it."""
        self._lock = threading.Lock()
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._in_flight: tuple[Item, ...] = ()
        self._failures = 0
        self._not_before = self._clock()

    @property
    def pending(self) -> int:
        """How many records wait or are being delivered."""
        with self._lock:
            return len(self._items) + len(self._in_flight)

    def put(self, item: Item, size: int) -> None:
        """Have `item`, of `size` bytes, delivered. Never waits.

        Raises:
            DeliveryLost: records were lost since this was told the last time, at least a minute
                ago; the item was taken nevertheless.
        """
        with self._lock:
            if self._background.is_closing:
                self._count_lost(1, "closed")
            elif len(self._items) >= self._max_records or self._bytes + size > self._max_bytes:
                self._count_lost(1, self._last_reason or "the queue is full")
            else:
                self._items.append((item, size))
                self._bytes += size
        try:
            self._background.wake()
        except RuntimeError:  # the interpreter is shutting down; `close` counts what is left
            logger.debug("%s: no thread at exit", self.name)
        self._report()

    def close(self, timeout_s: float) -> bool:
        """Deliver what waits, each batch tried once more without pauses, and end the thread.

        Returns:
            Whether all of it was delivered; what was not after `timeout_s` is counted as lost.
        """
        lost_before = self.lost
        self._background.close(timeout_s)
        with self._lock:
            left = len(self._items) + len(self._in_flight)
            self._items.clear()
            self._bytes = 0
            self._in_flight = ()
            if left:
                self._count_lost(left, "not delivered before the end")
        if self.lost > self._reported:
            logger.warning("%s", self._describe_loss())
            self._reported = self.lost
        return self.lost == lost_before

    def _report(self) -> None:
        now = self._clock()
        if self.lost > self._reported and now >= self._report_due:
            self._report_due = now + _REPORT_INTERVAL_S
            text = self._describe_loss()
            self._reported = self.lost
            raise DeliveryLost(text)

    def _describe_loss(self) -> str:
        return (
            f"{self.name}: {self.lost - self._reported:,} records not delivered "
            f"({self.lost:,} since the start): {self._last_reason}"
        )

    def _count_lost(self, count: int, reason: str) -> None:
        self.lost += count
        self._last_reason = reason

    def _step(self) -> float | None:
        """Deliver what may be delivered now. Runs in the background thread."""
        while True:
            pause_s = 0.0 if self._background.is_closing else self._not_before - self._clock()
            with self._lock:
                if not (self._items or self._in_flight):
                    return None
                if pause_s > 0:
                    return pause_s
                # A batch that failed is given again as the same object, so that the receiver
                # can be told that it is a repeat.
                batch = self._in_flight = self._in_flight or self._take_batch()
            timeout_s = self._background.time_left(self._timeout_s)
            if timeout_s <= 0:
                return None
            self._try(batch, timeout_s)

    def _take_batch(self) -> tuple[Item, ...]:
        taken = [self._items.popleft() for _ in range(min(len(self._items), self._batch_records))]
        self._bytes -= sum(size for _, size in taken)
        return tuple(item for item, _ in taken)

    def _try(self, batch: Sequence[Item], timeout_s: float) -> None:
        started = self._clock()
        try:
            self._deliver(batch, timeout_s)
        except DeliveryFailed as exc:
            self._failures += 1
            pause_s = min(self._backoff_s * 2 ** (self._failures - 1), _MAX_BACKOFF_S)
            pause_s += pause_s * _random.random() / 2  # only spreads the load
            self._not_before = self._clock() + max(pause_s, exc.retry_after_s or 0.0)
            if self._failures < self._tries and not self._background.is_closing:
                with self._lock:
                    self._last_reason = str(exc)
                logger.info("%s: %s; next try in %.1f s", self.name, exc, pause_s)
                return
            self._give_up(batch, f"{exc} ({self._failures} tries)")
        except DeliveryRefused as exc:
            self._give_up(batch, str(exc))
        except Exception as exc:
            # The top of this thread's work: an error of ours must cost a batch, not the thread.
            logger.exception("%s: delivery failed unexpectedly", self.name)
            self._give_up(batch, f"{type(exc).__name__}: {exc}")
        else:
            with self._lock:
                self.delivered += len(batch)
                self._last_reason = ""
                self._in_flight = ()
        self._failures = 0
        self._not_before = max(self._not_before, started + self._interval_s)

    def _give_up(self, batch: Sequence[Item], reason: str) -> None:
        logger.warning("%s: %d records lost: %s", self.name, len(batch), reason)
        with self._lock:
            if self._in_flight:  # else `close` has counted them already
                self._count_lost(len(batch), reason)
                self._in_flight = ()
