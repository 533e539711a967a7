"""What must happen at a fork and at the end of the process, for all clients of the process.

The hooks of the interpreter are global, so there is one registry, of weak references, and one
hook of each kind for all clients.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["AfterFork", "AtExit", "register", "unregister"]


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
    """Call `after_fork`, and `at_exit` where it has it, for as long as the member lives."""
    _members.add(member)


def unregister(member: AfterFork) -> None:
    """Call it no more."""
    _members.discard(member)


def _after_fork() -> None:
    for member in list(_members):
        member.after_fork()


def _at_exit() -> None:
    began = time.monotonic()
    for member in list(_members):
        finish: Callable[[float], None] | None = getattr(member, "at_exit", None)
        if finish is not None:
            finish(began)


def _at_threads_end() -> None:
    """The main thread has ended, others may still run.

    Only children of `multiprocessing` need it: they leave by `os._exit` and call nothing that is
    registered with `atexit`.
    """
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _at_exit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
# Without an underscore there is nothing that runs at the end of such a child; concurrent.futures
# uses it too.
if hasattr(threading, "_register_atexit"):
    threading._register_atexit(_at_threads_end)
