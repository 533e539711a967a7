"""Asks for marks that several daemons share, in a thread of its own: the database may be slow.

All sessions that are opened meanwhile are asked for together the next time. The key that names
sessions is there, too: a daemon that was started while the database was away asks for it later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable

from logd.daemon.sessionkeys import SessionKeys
from logd.outputs.base import OutputUnavailable, SharedMarks

logger = logging.getLogger(__name__)

MAX_AT_ONCE = 500

Answer = Callable[[int | None, str], None]
"""Takes the mark, 0 for a session that nobody has written of; or None and the reason."""

_Question = tuple[bytes, Answer]


class MarkReader:
    """See the module. Used in the event loop's thread.

    Args:
        loop: where answers are given.
        marks: what is asked; closed at the end.
        keys: get the key if they do not have it yet.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, marks: SharedMarks, keys: SessionKeys
    ) -> None:
        self._loop = loop
        self._marks = marks
        self._keys = keys
        self._is_finding_key = False
        self._asked: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="logd-marks", daemon=True)
        self._thread.start()

    def ask(self, client: bytes, answer: Answer) -> None:
        """Find out how far a session has come; `answer` is called in the loop."""
        self._asked.put((client, answer))

    def find_key(self) -> None:
        """Find out what sessions are called, soon."""
        if not self._is_finding_key:
            self._is_finding_key = True
            self._asked.put((b"", _nothing))

    def close(self) -> None:
        """End once what was asked is answered; does not wait for that."""
        self._asked.put(None)

    def _run(self) -> None:
        is_ending = False
        while not is_ending:
            some: list[_Question] = []
            item = self._asked.get()
            while item is not None:
                some.append(item)
                if len(some) >= MAX_AT_ONCE or self._asked.empty():
                    break
                item = self._asked.get()
            is_ending = item is None
            if not self._keys.is_known:
                self._look_for_key()
            elif some:
                self._answer(some)
        self._marks.close()

    def _look_for_key(self) -> None:
        """Nobody can have asked for a session while sessions have no names."""
        try:
            key = self._marks.key(self._keys.key)
        except OutputUnavailable as exc:
            logger.debug("what sessions are called is not known yet: %s", exc)
            key = None
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._key_was_looked_for, key)

    def _key_was_looked_for(self, key: bytes | None) -> None:
        self._is_finding_key = False
        if key is not None:
            self._keys.learn(key)

    def _answer(self, some: list[_Question]) -> None:
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


def _nothing(mark: int | None, problem: str) -> None:
    """Nobody waits for this answer."""
