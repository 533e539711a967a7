"""Those who wait for records, until the server has stored them: threads, and futures.

A signal handler may flush in the midst of anything here. The sender's thread has to go on then,
so it waits for no lock that the interrupted code may hold.
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
        self._acked = 0
        # Changed by single steps of the interpreter only.
        self._gates: dict[Gate, int] = {}
        self._heap: list[tuple[int, int, Future[int]]] = []
        self._lock = RLock()

    def __bool__(self) -> bool:
        return bool(self._heap or self._gates)

    def add_gate(self, sequence: int) -> Gate:
        """A gate that opens once that record is stored, or never will be."""
        gate = Gate()
        self._gates[gate] = sequence
        return gate

    def forget(self, gate: Gate) -> None:
        """The caller that waited there has gone."""
        self._gates.pop(gate, None)

    def add_future(self, sequence: int) -> Future[int]:
        """A future that gets `sequence` as its result once that record is stored."""
        future: Future[int] = Future()
        with self._lock:
            heapq.heappush(self._heap, (sequence, id(future), future))
        self.resolve(self._acked)
        return future

    def resolve(self, acked: int) -> None:
        """Everything up to `acked` is stored. Callbacks of the futures run here and now."""
        if acked > self._acked:
            self._acked = acked
        for gate, sequence in list(self._gates.items()):
            if sequence <= acked:
                self._gates.pop(gate, None)
                gate.open()
        # The thread that has the lock looks again after giving it back.
        while self._heap and self._lock.acquire(False):
            try:
                if not self._heap or self._heap[0][0] > self._acked:
                    return
                sequence, _, future = heapq.heappop(self._heap)
            finally:
                self._lock.release()
            if future.set_running_or_notify_cancel():
                future.set_result(sequence)

    def fail(self) -> None:
        """Nothing will be stored any more."""
        while self._gates:
            self._gates.popitem()[0].open()
        with self._lock:
            heap, self._heap = self._heap, []
        for sequence, _, future in heap:
            if future.set_running_or_notify_cancel():
                future.set_exception(
                    NotDelivered(f"record {sequence} was not delivered before the log was closed")
                )
