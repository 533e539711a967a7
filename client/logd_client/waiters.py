"""Those who wait for records, until the server has stored them: threads, and futures.

Everything here may be called by a signal handler in the midst of the same call.
"""

from __future__ import annotations

import heapq
from concurrent.futures import Future

from logd_client.natives import Gate, RLock
from logd_client.receipt import NotDelivered

__all__ = ["Waiters"]


class Waiters:
    """Gates and futures by the sequence number they wait for. Used by any threads."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Gate | Future[int]]] = []
        self._lock = RLock()

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add_gate(self, sequence: int) -> Gate:
        """A gate that opens once that record is stored, or never will be."""
        gate = Gate()
        self._add(sequence, gate)
        return gate

    def add_future(self, sequence: int) -> Future[int]:
        """A future that gets `sequence` as its result once that record is stored."""
        future: Future[int] = Future()
        self._add(sequence, future)
        return future

    def _add(self, sequence: int, waiter: Gate | Future[int]) -> None:
        with self._lock:
            heapq.heappush(self._heap, (sequence, id(waiter), waiter))

    def forget(self, gate: Gate) -> None:
        """The one who waited there has gone."""
        with self._lock:
            self._heap = [entry for entry in self._heap if entry[2] is not gate]
            heapq.heapify(self._heap)

    def resolve(self, acked: int) -> None:
        """Everything up to `acked` is stored. Callbacks of the futures run here and now."""
        while self._heap:
            with self._lock:
                if not self._heap or self._heap[0][0] > acked:
                    return
                sequence, _, waiter = heapq.heappop(self._heap)
            if isinstance(waiter, Gate):
                waiter.open()
            elif waiter.set_running_or_notify_cancel():
                waiter.set_result(sequence)

    def fail(self) -> None:
        """Nothing will be stored any more."""
        with self._lock:
            heap, self._heap = self._heap, []
        for sequence, _, waiter in heap:
            if isinstance(waiter, Gate):
                waiter.open()
            elif waiter.set_running_or_notify_cancel():
                waiter.set_exception(
                    NotDelivered(f"record {sequence} was not delivered before the log was closed")
                )
