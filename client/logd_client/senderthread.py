"""The thread that moves records under load, and reads acknowledgements at leisure.

While records are few, the threads that log send them; this one then looks now and then
whether the server has acknowledged them. If it expects nothing, it sleeps until the connection has
something to read, so that an idle client uses no CPU at all.
"""

from __future__ import annotations

from collections.abc import Callable

from logd_client.buffer import Buffer
from logd_client.direct import DirectCourier
from logd_client.natives import Gate, monotonic, start_thread
from logd_client.wakeup import Wakeup

__all__ = ["SenderThread"]

_LEISURE_S = 3.0
"""How often acknowledgements are looked at that nobody waits for."""


class SenderThread:
    """Steps a courier until it is told to stop.

    Args:
        courier: moves the records.
        buffer: where they wait.
        look: called after each step; says after how many seconds it has to be called again.
    """

    def __init__(self, courier: DirectCourier, buffer: Buffer, look: Callable[[], float]) -> None:
        self._courier = courier
        self._buffer = buffer
        self._look = look
        self._wakeup = Wakeup()
        self._ended = Gate()
        self._is_stopping = False
        self._seen_sequence = 0

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: no thread can be started.
        """
        start_thread(self._run, "logd_client")

    def wake(self) -> None:
        """There is something to do."""
        self._buffer.stay_awake()
        self._wakeup.wake()

    def stop(self, timeout_s: float) -> bool:
        """End after the present step; False if that is not over within the time."""
        self._is_stopping = True
        self._wakeup.wake()
        return self._ended.wait(timeout_s)

    @property
    def has_ended(self) -> bool:
        """True once it is over, for whatever reason."""
        return self._ended.is_open

    def abandon(self) -> None:
        """In a child process, which has no such thread: close what it had open."""
        self._wakeup.close()

    def _run(self) -> None:
        try:
            while not self._is_stopping and not self._courier.is_ended:
                self._courier.step()
                self._wait(self._look())
        finally:
            self._wakeup.close()
            self._ended.open()

    def _wait(self, at_most_s: float) -> None:
        """Wait for the socket, a wake-up, or the time of the next thing to do."""
        courier, buffer = self._courier, self._buffer
        if courier.is_resting and buffer.is_empty and not buffer.sleep():
            return
        if courier.link.is_pausing and not courier.is_spooled:
            # The process may end before the pause does: records may look for the server, too.
            buffer.tell_each()
        limit_s = courier.due_s(monotonic())
        if at_most_s < float("inf"):
            limit_s = at_most_s if limit_s is None else min(limit_s, at_most_s)
        if limit_s is not None and limit_s <= 0:
            return
        if self._is_at_leisure():
            self._doze(_LEISURE_S if limit_s is None else min(limit_s, _LEISURE_S))
        else:
            self._wakeup.poll(*courier.link.wanted, limit_s)

    def _doze(self, limit_s: float) -> None:
        """Wait for a wake-up or the time; what waits too long then is sent in few calls."""
        while limit_s and not self._wakeup.doze(limit_s):
            limit_s = self._courier.send_late()

    def _is_at_leisure(self) -> bool:
        """Whether the connection needs no watching for now.

        Under load the next batch comes soon. Else only acknowledgements are expected, of records
        that others sent just now.
        """
        courier = self._courier
        sent, seen = courier.session.next_sequence, self._seen_sequence
        self._seen_sequence = sent
        link = courier.link
        if link.is_busy or link.connected_to is None or courier.waiters:
            return False
        return sent != seen or not courier.is_resting or not self._buffer.is_empty
