"""Locks, threads and waits of the interpreter, as they were when this package was imported.

gevent and eventlet replace functions of the standard modules in place. If they came before this
package, what stands here is theirs, and the sender's thread is a green one. If they come later,
what stands here stays real, and so does the thread. A mixture would hang: a green lock that a real
thread releases wakes nobody. So the client's threads take these functions from here and never from
the standard modules at the time of a call.
"""

from __future__ import annotations

import _thread
import contextlib
import math
import select
import threading
import time
from collections.abc import Callable, Sequence
from types import BuiltinFunctionType
from typing import Any

__all__ = [
    "READABLE",
    "WRITABLE",
    "Gate",
    "Lock",
    "RLock",
    "get_ident",
    "monotonic",
    "sleep",
    "start_thread",
    "wait_ready",
]

_IS_GREEN = not isinstance(_thread.start_new_thread, BuiltinFunctionType)
_start_new_thread = _thread.start_new_thread
_select = select.select
_poll: Any = getattr(select, "poll", None)
"""eventlet takes it away, Windows never had it."""

has_lasting_thread = False
"""True once a thread was started that has to be ended before the interpreter can."""

Lock: Any = _thread.allocate_lock
RLock: Any = threading.RLock if _IS_GREEN else _thread.RLock
get_ident = _thread.get_ident
monotonic = time.monotonic
sleep = time.sleep

READABLE: int = getattr(select, "POLLIN", 1)
WRITABLE: int = getattr(select, "POLLOUT", 4)


def start_thread(run: Callable[[], None], name: str) -> None:
    """Run it in a thread that does not hold up the end of the process.

    In an interpreter that allows no such threads (an isolated sub-interpreter), it is one that
    `lifecycle` has to end.

    Raises:
        RuntimeError: no thread can be started any more, or none at all here.
    """
    global has_lasting_thread
    is_replaced = not isinstance(_thread.start_new_thread, BuiltinFunctionType)
    if is_replaced and not _IS_GREEN:
        _start_new_thread(run, ())
        return
    try:
        _Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as exc:
        if "daemon" not in str(exc):
            raise
        has_lasting_thread = True
        _Thread(target=run, name=name, daemon=False).start()


class _Thread(threading.Thread):
    """Does not complain at its end if threads got other numbers meanwhile, green ones."""

    def _delete(self) -> None:
        with contextlib.suppress(KeyError):
            super()._delete()  # type: ignore[misc]


class Gate:
    """Opens once; others wait for it. Signal handlers and finalizers may do both at any time.

    Unlike `threading.Event` it holds no lock that a signal handler could find held by the code
    that it interrupted.
    """

    __slots__ = ("_lock", "is_open")

    def __init__(self) -> None:
        self.is_open = False
        self._lock = Lock()
        self._lock.acquire()

    def open(self) -> None:
        """Let all through that wait, and all that come."""
        if not self.is_open:
            self.is_open = True
            with contextlib.suppress(RuntimeError):
                self._lock.release()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until it is open; False if the time ends before. None waits forever."""
        if not self.is_open and acquire_within(self._lock, timeout_s):
            self._lock.release()  # for the next one that waits
        return self.is_open


def acquire_within(lock: Any, timeout_s: float | None) -> bool:
    """Acquire a lock; False if that is not possible in time. None waits forever."""
    if timeout_s is None:
        return bool(lock.acquire())
    if timeout_s <= 0:
        return bool(lock.acquire(False))
    return bool(lock.acquire(True, min(timeout_s, threading.TIMEOUT_MAX)))


def wait_ready(wanted: Sequence[tuple[int, int]], limit_s: float | None) -> list[int]:
    """Wait until a descriptor is ready for its events, or the time is over.

    Args:
        wanted: pairs of a descriptor and `READABLE`, `WRITABLE` or both.
        limit_s: None waits forever.

    Returns:
        The descriptors that are ready, or broken.
    """
    if _poll is not None:
        poll = _poll()
        for fd, events in wanted:
            poll.register(fd, events)
        limit_ms = None if limit_s is None else math.ceil(max(0.0, limit_s) * 1000)
        return [fd for fd, _ in poll.poll(limit_ms)]
    readers = [fd for fd, events in wanted if events & READABLE]
    writers = [fd for fd, events in wanted if events & WRITABLE]
    limit_s = None if limit_s is None else max(0.0, limit_s)
    if not wanted and limit_s is not None:
        sleep(limit_s)
        return []
    ready_readers, ready_writers, _ = _select(readers, writers, [], limit_s)
    return [*ready_readers, *ready_writers]
