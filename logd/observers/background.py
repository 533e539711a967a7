"""A thread that works beside the pipeline, for observers that talk to slow things.

An observer runs in the pipeline's thread, where a second of waiting for a mail server holds up
every sender. So it only puts its work aside and lets a `Background` call it: from a thread that
starts with the first work, is never a reason for the process to stay alive, and ends in bounded
time. What the work is, how much may wait and what happens to the rest is the owner's concern.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable

__all__ = ["Background"]


class Background:
    """Calls `step` in a thread of its own whenever it is due.

    Args:
        name: the thread's name.
        step: does what is due and returns after how many seconds it wants to be called again if
            nobody calls `wake` before, None for not at all. It must not raise. While closing it
            is called until it returns None or the time is over.
        after_fork: called in a child process made by fork, in which the thread does not exist; must
            take no lock that the parent may have held.
        close_at_exit_s: how long the end of the process waits for the work to be finished;
            None: not at all, the thread just ends with the process.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float | None],
        *,
        after_fork: Callable[[], None],
        close_at_exit_s: float | None,
    ) -> None:
        self._name = name
        self._step = step
        self._close_at_exit_s = close_at_exit_s
        self._reset()
        # The hook stays for the life of the process; it must not keep this object alive.
        this = weakref.ref(self)
        after = weakref.WeakMethod(after_fork)

        def forked() -> None:
            background, reset_owner = this(), after()
            if background is not None and reset_owner is not None:
                background._reset()
                reset_owner()

        os.register_at_fork(after_in_child=forked)

    def _reset(self) -> None:
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._woken = False
        self._deadline: float | None = None  # time.monotonic() at which closing is given up

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return self._deadline is not None

    def wake(self) -> None:
        """Have `step` called soon, starting the thread if need be. Does nothing while closing.

        Raises:
            RuntimeError: the interpreter is on its way out and starts no threads any more.
        """
        with self._condition:
            self._woken = True
            self._condition.notify()
            if self._thread is None and not self.is_closing:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
                if self._close_at_exit_s is not None:
                    atexit.register(self._close_at_exit)

    def time_left(self, usual_s: float) -> float:
        """How long one piece of work may take: `usual_s`, or what is left of the closing time."""
        if self._deadline is None:
            return usual_s
        return max(0.0, min(usual_s, self._deadline - time.monotonic()))

    def close(self, timeout_s: float) -> bool:
        """Have the remaining work done and end the thread; at once if called again.

        Args:
            timeout_s: how long to wait for that; then the thread is left to itself.

        Returns:
            Whether the thread has ended (or never began).
        """
        with self._condition:
            if self._deadline is None:
                self._deadline = time.monotonic() + timeout_s
            self._condition.notify()
            thread = self._thread
        atexit.unregister(self._close_at_exit)
        if thread is None:
            return True
        if thread is not threading.current_thread():
            thread.join(timeout_s)
        return not thread.is_alive()

    def _close_at_exit(self) -> None:
        self.close(self._close_at_exit_s or 0.0)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._woken = False
                # Read together with the flag: work put aside after this wakes the thread again,
                # and work put aside before closing began is seen by the step below.
                last_round = self.is_closing
            again_s = self._step()
            with self._condition:
                if last_round and (again_s is None or self.time_left(1.0) == 0.0):
                    return
                if not (self._woken or (self.is_closing and not last_round)):
                    self._condition.wait(again_s)
