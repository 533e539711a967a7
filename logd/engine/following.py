"""`logd tail -f --source`: what comes into an engine, without a log in between.

Follows all partitions from now on, so records are seen before any store has them. Marks are in
memory only; a session that has begun earlier is taken up at its next record.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence

from logd.engine.pieces import Unreadable, unpack_message
from logd.engine.reader import StreamReading
from logd.engine.rules import Rules, Verdict
from logd.engine.source import EngineSource
from logd.outputs.base import OutputUnavailable
from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.entry import Entry
from logd.records.shape import of_job
from logd.text.timestamps import Timestamps

LOOK_EVERY_S = 0.5
RETRY_S = 1.0
MAX_WAITING = 64
"""If this many messages wait to be shown, no more are read."""


class EngineFollower:
    """Follows all partitions of a source.

    Args:
        source: not opened; made to follow.
        timestamp: how times are shown.
    """

    def __init__(self, source: EngineSource, timestamp: str | None) -> None:
        self._source = source
        self._timestamps = Timestamps(timestamp)
        self._names = ShortNames()
        self._waiting: queue.Queue[Sequence[Entry]] = queue.Queue(MAX_WAITING)
        self._is_ending = threading.Event()
        readings = [source.reading(partition) for partition in source.partitions]
        self._threads = [
            threading.Thread(target=self._follow, args=(reading,), daemon=True)
            for reading in readings
        ]

    def open(self) -> None:
        """Connect and begin.

        Raises:
            OutputUnusable, OutputUnavailable: that is not possible now.
        """
        self._source.open()
        for thread in self._threads:
            thread.start()

    def read(self, timeout_s: float = LOOK_EVERY_S) -> Sequence[Entry]:
        """What came next; nothing if nothing does in time."""
        try:
            return self._waiting.get(timeout=timeout_s)
        except queue.Empty:
            return ()

    def close(self) -> None:
        """End it."""
        self._is_ending.set()
        self._source.close()

    # -- a thread for each partition ---------------------------------------------------------------

    def _follow(self, reading: StreamReading) -> None:
        while not self._is_ending.is_set():
            try:
                reading.find()
                reading.start_at_end()
            except OutputUnavailable:
                self._is_ending.wait(RETRY_S)
            else:
                break
        rules = Rules({}, time.time())
        while not self._is_ending.is_set():
            for message in reading.next(LOOK_EVERY_S):
                self._hand_on(list(self._entries(rules, message.data, message.time)))

    def _hand_on(self, entries: Sequence[Entry]) -> None:
        while entries and not self._is_ending.is_set():
            try:
                self._waiting.put(entries, timeout=LOOK_EVERY_S)
            except queue.Full:
                continue
            return

    def _entries(self, rules: Rules, data: bytes, at: float) -> Iterator[Entry]:
        try:
            for piece in unpack_message(data):
                # What came before we did is not missing.
                floor = piece.floor if rules.mark(piece.session) else piece.prev
                judgement = rules.judge(piece.session, piece.prev, floor, piece.last, at)
                batch = piece.batch(self._names)
                rest = batch.after(judgement.known)
                if judgement.verdict is Verdict.WRITE and rest is not None:
                    yield from self._shown(rest)
        except Unreadable:
            return  # a store tells of it, and keeps it

    def _shown(self, batch: Batch) -> Iterator[Entry]:
        batch.ts = self._timestamps.texts(batch.time)
        for job in batch.jobs():
            yield Entry.from_feed(of_job(job))
