"""What the pipeline hands to the outputs: batches, and what to call when all outputs have them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logd.records.batch import Batch


SESSION_NAME = b"logd:"
"""How the ids of the daemon's own sessions begin."""


class Work:
    """Batches that go to every output together, and what is to be told when all have them.

    Attributes:
        batches: what is to be written; may be empty if all was known already.
        acks: session's client id -> sequence number that is durable once this work is.
        comes_again: its batches come again from their source if they are dropped.
        is_awaited: somebody waits for it to be durable, rather than only sends on.
        since: when it was made, by `time.monotonic`.
        unwritten: the workers that were given it and have not written it yet.
    """

    __slots__ = (
        "_left",
        "_lock",
        "_on_done",
        "acks",
        "batches",
        "comes_again",
        "is_awaited",
        "since",
        "unwritten",
    )

    def __init__(
        self,
        batches: Sequence[Batch],
        acks: Mapping[bytes, int],
        on_done: Callable[[Work], None],
        *,
        is_awaited: bool = False,
        comes_again: bool = False,
    ) -> None:
        self.batches = batches
        self.acks = acks
        self.is_awaited = is_awaited
        self.comes_again = comes_again
        self.since = time.monotonic()
        self.unwritten: set[object] = set()
        self._left = 0
        self._lock = threading.Lock()
        self._on_done = on_done

    def expect(self, outputs: int) -> None:
        """Tell how many outputs have to finish this work, before the first of them gets it."""
        self._left = outputs

    def finish_one(self) -> None:
        """One output has made it durable; the last one's call reports the work as done."""
        with self._lock:
            self._left -= 1
            done = self._left == 0
        if done:
            self._on_done(self)
