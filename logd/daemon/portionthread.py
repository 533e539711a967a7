"""The pipeline's thread: portions one after the other, and between two of them what others ask for.

It decodes and filters, so that neither a long batch nor a slow filter keeps the event loop from
answering. What it does with a portion is the pipeline's concern.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from logd.daemon.slices import Portion

logger = logging.getLogger(__name__)

T = TypeVar("T")


class PortionThread:
    """Runs one pipeline's portions.

    Args:
        loop: the event loop.
        process: called in the thread with each portion.
        finish: called in the thread at its end, for what is left of the portions.
        on_fatal: called when it failed in a way that only a restart can mend.
        on_failed: called in the loop after that: nothing will be done any more.

    Attributes:
        at_work: held by whichever thread decodes, or runs a request.
        has_failed: whether it has; told to the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        process: Callable[[Portion], None],
        finish: Callable[[], None],
        on_fatal: Callable[[BaseException], None],
        on_failed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._process = process
        self._finish = finish
        self._on_fatal = on_fatal
        self._on_failed = on_failed
        self._items: queue.SimpleQueue[Portion | Callable[[], None] | None] = queue.SimpleQueue()
        self._awaited: set[asyncio.Future[Any]] = set()
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._guarded, name="logd-pipeline", daemon=True)
        self.at_work = threading.Lock()
        self.has_failed = False

    def start(self) -> None:
        """Begin with what it was given."""
        self._thread.start()

    def put(self, portion: Portion) -> None:
        """Process `portion` after what was put before."""
        self._items.put(portion)

    def call(self, request: Callable[[], None]) -> None:
        """Run `request` between two portions."""
        self._items.put(request)

    async def between_portions(self, request: Callable[[], T]) -> T:
        """Run `request` as `call` does and wait for it; what it returns or raises comes back.

        Raises:
            RuntimeError: the thread has failed, so that it will never run.
        """
        done: asyncio.Future[T] = self._loop.create_future()

        def answer(result: T | None, error: Exception | None) -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(cast("T", result))

        def run() -> None:
            try:
                result = request()
            except Exception as exc:
                self.tell_loop(answer, None, exc)
            else:
                self.tell_loop(answer, result, None)

        self._awaited.add(done)
        done.add_done_callback(self._awaited.discard)
        if self.has_failed:
            self._fail_awaited()
        self.call(run)
        return await done

    def stop(self) -> None:
        """End the thread once it has done what it was given; returns when it has ended."""
        self._items.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def stuck_s(self) -> float:
        """Seconds that the thread has spent on one portion; 0 when it waits."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def tell_loop(self, callback: Callable[..., None], *args: object) -> None:
        """Call `callback` in the loop's thread; from any thread."""
        # The loop is closed if the daemon was told to stop at once: nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    def fail(self, exc: BaseException) -> None:
        """Portions can't be processed any more; from any thread."""
        # First of all: without memory the next line may fail.
        self._on_fatal(exc)
        self.tell_loop(self._fail_awaited)
        logger.error("the pipeline failed", exc_info=exc)

    def _fail_awaited(self) -> None:
        """Nobody has to wait any more."""
        self.has_failed = True
        self._on_failed()
        for done in tuple(self._awaited):
            if not done.done():
                done.set_exception(RuntimeError("the pipeline has failed"))

    def _guarded(self) -> None:
        try:
            while self._takes_next():
                pass
        except BaseException as exc:
            self.fail(exc)

    def _takes_next(self) -> bool:
        """Do what is asked for next; False once the end is reached."""
        item = self._items.get()
        with self.at_work:
            if item is None:
                self._finish()
                return False
            if callable(item):
                item()
                return True
            self._busy_since = time.monotonic()
            self._process(item)
            self._busy_since = None
        return True
