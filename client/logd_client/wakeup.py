"""How the sender's thread waits, and how other threads wake it.

Two ways, for they cost differently. If the socket must be watched too, the thread polls it
together with a pipe. If only other threads can end the silence, or the time, it waits for a lock:
releasing a lock does not make the thread that logs give up the interpreter, while writing to a
pipe does, and then the sender's work comes before the app's.
"""

from __future__ import annotations

import contextlib
import os

from logd_client.descriptors import Descriptor
from logd_client.natives import READABLE, Lock, acquire_within, wait_ready

__all__ = ["Wakeup"]

_WITHOUT_PIPE_S = 0.05
"""How often the socket is looked at while there is no descriptor for a pipe."""


class Wakeup:
    """One thread waits (`doze`, `poll`), any others call `wake`. No wake-up is ever missed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lock.acquire()
        self._read_end: Descriptor | None = None
        self._write_end: Descriptor | None = None
        self._is_dozing = False
        self._is_called = False

    def wake(self) -> None:
        """End the present or the next wait."""
        # The flag first, then the look: the waiting thread does it the other way round.
        self._is_called = True
        if self._is_dozing:
            # Two may do this at once; the second has nothing to release.
            with contextlib.suppress(RuntimeError):
                self._lock.release()
            return
        write_end = self._write_end
        if write_end is not None and write_end.is_same:
            # A full pipe means that it is about to wake up anyway; a closed one, that it ended.
            with contextlib.suppress(OSError):
                os.write(write_end.number, b"\0")

    def doze(self, limit_s: float | None) -> bool:
        """Wait for a wake-up only, or until the time is over; True for a wake-up."""
        self._is_dozing = True
        try:
            if not self._is_called:
                acquire_within(self._lock, limit_s)
            return self._is_called
        finally:
            self._is_dozing = False
            self._is_called = False

    def poll(self, fd: int, events: int, limit_s: float | None) -> None:
        """Wait for a wake-up or for `events` on `fd`; -1 for no descriptor, None for no limit."""
        if fd < 0:
            self.doze(limit_s)
            return
        read_end = self._pipe()
        if read_end is None:
            self.doze(_WITHOUT_PIPE_S if limit_s is None else min(limit_s, _WITHOUT_PIPE_S))
            return
        if self._is_called:
            limit_s = 0.0
        try:
            ready = wait_ready([(read_end.number, READABLE), (fd, events)], limit_s)
        except (OSError, ValueError):  # without poll: a descriptor that was closed
            return
        self._is_called = False
        # Closing the other end behind our back ends the wait, too.
        if read_end.number in ready and read_end.is_same:
            with contextlib.suppress(OSError):
                os.read(read_end.number, 4096)

    def _pipe(self) -> Descriptor | None:
        """The end to read of the pipe, made when it is needed first, or was closed."""
        read_end, write_end = self._read_end, self._write_end
        if read_end is not None and write_end is not None:
            if read_end.is_same and write_end.is_same:
                return read_end
            self.close()
        try:
            read_number, write_number = os.pipe()
        except OSError:
            return None
        os.set_blocking(read_number, False)
        os.set_blocking(write_number, False)
        self._read_end = Descriptor.of(read_number)
        self._write_end = Descriptor.of(write_number)
        return self._read_end

    def close(self) -> None:
        """Close the pipe."""
        ends = (self._write_end, self._read_end)
        self._read_end = self._write_end = None
        for end in ends:
            if end is not None:
                end.close()
