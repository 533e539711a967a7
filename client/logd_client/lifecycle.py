"""What must happen at a fork and at the end of the process, for all clients of the process.

The hooks of the interpreter are global, so there is one registry, of weak references, and one
hook of each kind for all clients.

Some servers, uWSGI first of all, fork without telling the interpreter. `look_for_fork` notices; it
is called whenever something rare happens. A look at `IN_PROCESS` costs a call some nanoseconds.
"""

from __future__ import annotations

import atexit
import mmap
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from logd_client import natives

__all__ = [
    "IN_PROCESS",
    "SURELY_IN_PROCESS",
    "AfterFork",
    "AtExit",
    "is_forked",
    "look_for_fork",
    "register",
]

_MADV_WIPEONFORK = 18


class AfterFork(Protocol):
    """Something that holds what a child process must not use."""

    def after_fork(self) -> None:
        """Called in the child, before anything else runs there."""


class AtExit(AfterFork, Protocol):
    """Something that has to finish its work when the process ends."""

    def at_exit(self, began: float) -> None:
        """Called once the main program and all threads but daemon threads have ended.

        `began` is when the end began (monotonic time), the same for all: their times to finish
        run side by side.
        """


_members: weakref.WeakSet[Any] = weakref.WeakSet()


def register(member: AfterFork) -> None:
    """Call `after_fork`, and `at_exit` if it has that, for as long as the member lives."""
    _members.add(member)


class _ByNumber:
    """As `IN_PROCESS`, by the number of the process; a call more."""

    def __getitem__(self, at: int) -> int:
        if is_forked():
            IN_PROCESS[0] = 0
        return int(IN_PROCESS[0])


def _page_of_this_process() -> tuple[Any, bool]:
    """A byte that is 1 in this process, and whether it is 0 in each child of it."""
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    is_wiped = sys.platform == "linux" and hasattr(page, "madvise")
    if is_wiped:
        try:
            page.madvise(_MADV_WIPEONFORK)
        except OSError:  # before Linux 4.14
            is_wiped = False
    page[0] = 1
    return page, is_wiped


IN_PROCESS, _is_wiped = _page_of_this_process()
"""`IN_PROCESS[0]` is 0 in a child process until `look_for_fork` was called there; where the system
has no such pages only once somebody has looked at `SURELY_IN_PROCESS`."""

SURELY_IN_PROCESS = IN_PROCESS if _is_wiped else _ByNumber()
"""The same on each system, for calls that wait for the kernel anyway."""

_pid = os.getpid()


def is_forked() -> bool:
    """True in a child process of which nobody has told the clients yet."""
    return os.getpid() != _pid


def look_for_fork() -> None:
    """Tell all clients if this is another process than the last time."""
    if is_forked():
        _after_fork()


def _after_fork() -> None:
    global _pid
    _pid = os.getpid()
    IN_PROCESS[0] = 1
    for member in list(_members):
        member.after_fork()


def _at_exit() -> None:
    began = time.monotonic()
    look_for_fork()
    for member in list(_members):
        finish: Callable[[float], None] | None = getattr(member, "at_exit", None)
        if finish is not None:
            finish(began)


def _at_threads_end() -> None:
    """The main thread has ended, others may still run.

    Children of `multiprocessing` need it: they leave by `os._exit` and call nothing that is
    registered with `atexit`. And so do interpreters that wait for all threads.
    """
    process: Any = sys.modules.get("multiprocessing.process")
    is_child = process is not None and process.parent_process() is not None
    if is_child or natives.has_lasting_thread:
        _at_exit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
# Without an underscore there is nothing that runs at the end of such a child; concurrent.futures
# uses it too.
if hasattr(threading, "_register_atexit"):
    threading._register_atexit(_at_threads_end)
