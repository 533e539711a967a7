"""How the sender's thread waits, and how other threads wake it.

Two ways, for they cost differently. Where the socket must be watched too, the thread polls it
together with a pipe. Where only new records can end the silence it waits for a lock: releasing a
lock does not make the thread that logs give up the interpreter, while writing to a pipe does, and
then the sender's work comes before the app's.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import threading

__all__ = ["Wakeup", "poll_alone"]


class Wakeup:
    """One thread waits (`doze`, `poll`), any others call `wake`. No wake-up is ever missed."""

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self._lock = threading.Lock()
        self._lock.acquire()
        self._is_dozing = False
        self._is_called = False

    def wake(self) -> None:
        """End the present or the next wait."""
        # The flag first, then the look: whoever dozes does it the other way round.
        self._is_called = True
        if self._is_dozing:
            # Two may do this at once; the second has nothing to release.
            with contextlib.suppress(RuntimeError):
                self._lock.release()
            return
        # A full pipe means that it is about to wake up anyway; a closed one, that it ended.
        with contextlib.suppress(OSError):
            os.write(self._write_end, b"\0")

    def doze(self, limit_s: float) -> None:
        """Wait for a wake-up only."""
        self._is_dozing = True
        try:
            if not self._is_called:
                self._lock.acquire(timeout=limit_s)
        finally:
            self._is_dozing = False
            self._is_called = False

    def poll(self, fd: int, events: int, limit_s: float | None) -> None:
        """Wait for a wake-up or for `events` on `fd`; -1 for no descriptor, None for no limit."""
        poll = select.poll()
        poll.register(self._read_end, select.POLLIN)
        if fd >= 0:
            poll.register(fd, events)
        ready = poll.poll(None if limit_s is None else math.ceil(limit_s * 1000))
        if any(ready_fd == self._read_end for ready_fd, _ in ready):
            self._is_called = False
            os.read(self._read_end, 4096)

    def close(self) -> None:
        """Close the pipe; nobody may wait any more."""
        os.close(self._read_end)
        os.close(self._write_end)


def poll_alone(fd: int, events: int, limit_s: float | None) -> None:
    """Wait for the socket, in a thread that nobody needs to wake."""
    poll = select.poll()
    if fd >= 0:
        poll.register(fd, events)
    poll.poll(None if limit_s is None else math.ceil(limit_s * 1000))
