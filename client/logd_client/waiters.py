"""Futures of records that somebody waits for, until the server has stored them."""

from __future__ import annotations

import heapq
import threading
from concurrent.futures import Future

from logd_client.receipt import NotDelivered

__all__ = ["Waiters"]


class Waiters:
    """Futures by the sequence number they wait for. Used by any threads."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Future[int]]] = []
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, sequence: int) -> Future[int]:
        """A future that gets `sequence` as its result once that record is stored."""
        future: Future[int] = Future()
        with self._lock:
            heapq.heappush(self._heap, (sequence, id(future), future))
        return future

    def resolve(self, acked: int) -> None:
        """Everything up to `acked` is stored. Callbacks of the futures run here and now."""
        while self._heap:
            with self._lock:
                if not self._heap or self._heap[0][0] > acked:
                    return
                sequence, _, future = heapq.heappop(self._heap)
            if future.set_running_or_notify_cancel():
                future.set_result(sequence)

    def fail(self) -> None:
        """Nothing will be stored any more."""
        with self._lock:
            heap, self._heap = self._heap, []
        for sequence, _, future in heap:
            if future.set_running_or_notify_cancel():
                future.set_exception(
                    NotDelivered(f"record {sequence} was not delivered before the log was closed")
                )
