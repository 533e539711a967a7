"""Asks for marks that several daemons share, in a thread of its own: the database may be slow.

All sessions that are opened meanwhile are asked for together the next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable

from logd.outputs.base import OutputUnavailable, SharedMarks

MAX_AT_ONCE = 500

Answer = Callable[[int | None, str], None]
"""Takes the mark, 0 for a session that nobody has written of; or None and the reason."""


class MarkReader:
    """See the module. Used in the event loop's thread.

    Args:
        loop: where answers are given.
        marks: what is asked; closed at the end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, marks: SharedMarks) -> None:
        self._loop = loop
        self._marks = marks
        self._asked: queue.SimpleQueue[tuple[bytes, Answer] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="logd-marks", daemon=True)
        self._thread.start()

    def ask(self, client: bytes, answer: Answer) -> None:
        """Find out how far a session has come; `answer` is called in the loop."""
        self._asked.put((client, answer))

    def close(self) -> None:
        """End once what was asked is answered; does not wait for that."""
        self._asked.put(None)

    def _run(self) -> None:
        is_ending = False
        while not is_ending:
            some: list[tuple[bytes, Answer]] = []
            item = self._asked.get()
            while item is not None:
                some.append(item)
                if len(some) >= MAX_AT_ONCE or self._asked.empty():
                    break
                item = self._asked.get()
            is_ending = item is None
            if some:
                self._answer(some)
        self._marks.close()

    def _answer(self, some: list[tuple[bytes, Answer]]) -> None:
        try:
            marks = self._marks.read([client for client, _ in some])
        except OutputUnavailable as exc:
            for _, answer in some:
                self._tell(answer, None, str(exc))
        else:
            for client, answer in some:
                self._tell(answer, marks.get(client, 0), "")

    def _tell(self, answer: Answer, mark: int | None, problem: str) -> None:
        # The loop is closed if the daemon was told to stop at once.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(answer, mark, problem)
