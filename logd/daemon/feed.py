"""The live feed: what an output has just written, for `logd tail -f` and other listeners.

A follower begins between two writes of one output, at a known position of that output's log: what
was written before is there, what comes after is sent. Each record is exactly one of the two,
however often files rotate. Without followers it costs the output nothing.

After the records of each write the follower is told where the log stands then, so that it can go on
from there, whatever ends the feed.

A follower that reads too slowly never holds anybody up: beyond `MAX_RECORDS` or `MAX_BYTES`
that wait for it, further batches are left out and their number is told in their place.

Followers of an output whose settings a reload changes go on with the output that takes its place;
if the output is removed they are told so, and end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from logd.query.positions import GENERATION_BYTES, generation_of
from logd.records.callpath import ShortNames

if TYPE_CHECKING:
    from logd.outputs.base import Output
    from logd.outputs.worker import OutputWorker
    from logd.records.batch import Batch
    from logd.records.callpath import PathFormatter
    from logd.records.context import Context

MAX_RECORDS = 50_000
MAX_BYTES = 16 << 20

RECORDS_A_SLICE = 2000
"""How many records are made JSON at a time, in a thread: about 10 ms of work."""


TOLD_EVERY_S = 1.0
"""A follower that wants nothing of what is written is told so often how far the log has come."""


class LogPlaces:
    """Where logs stand, for those who go on from there by themselves. One output's thread only."""

    def __init__(self) -> None:
        self._known: tuple[str, int] | None = None
        self._generation = ""

    def position_of(self, output: Output) -> Mapping[str, str | int]:
        """Where the next record of an output goes; nothing if it can't be read back.

        As in `OutputStatus.position`. A file's has its `generation`, too, by which readers notice
        that its name stands for another file (`logd.query.positions`).
        """
        position = output.status().position
        path, size = position.get("file"), position.get("size")
        if not isinstance(path, str) or not size:
            return position
        try:
            known = (path, Path(path).stat().st_ino)
            if known != self._known or not self._generation:
                with Path(path).open("rb") as file:
                    self._generation = generation_of(file.read(GENERATION_BYTES))
                self._known = known
        except OSError:
            return position
        return {**position, "generation": self._generation}


class Slice(NamedTuple):
    """Some records of a batch.

    Attributes:
        skipped: records left out before these.
        batch: the batch; None if only the other attributes are to be told.
        rows: their places in it.
        at: where the log stands behind these, see `position_of`; None in the middle of a write.
    """

    skipped: int
    batch: Batch | None
    rows: Sequence[int]
    at: Mapping[str, str | int] | None = None


class Subscriber:
    """One listener. Called with batches in the output's thread, read from in the event loop's.

    Args:
        loop: the event loop.
        cats: only records of these categories; None for all.
        pid: only records of this process; None for all.

    Attributes:
        worker: the one it follows; changed by a reload.
        ended: why there will be nothing more; None as long as there may be.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, cats: Iterable[str] | None, pid: int | None
    ) -> None:
        self.worker: OutputWorker | None = None
        self.ended: str | None = None
        self._loop = loop
        self._cats = None if cats is None else frozenset(cats)
        self._pid = pid
        self._lock = threading.Lock()
        self._slices: deque[Slice] = deque()
        self._records = 0
        self._bytes = 0
        self._skipped = 0
        self._places = LogPlaces()
        self._told_at = time.monotonic()
        self._news = asyncio.Event()

    # -- the output's thread -----------------------------------------------------------------

    def __call__(self, batches: Sequence[Batch], output: Output) -> None:
        """Queue what `output` has just written."""
        if self.ended is not None:
            return
        has_news, is_complete = False, True
        for batch in batches:
            rows = self._rows(batch)
            if rows:
                is_complete = self._put(batch, rows) and is_complete
                has_news = True
        if is_complete and (has_news or time.monotonic() - self._told_at >= TOLD_EVERY_S):
            self._told_at = time.monotonic()
            at = self._places.position_of(output)
            with self._lock:
                self._slices.append(Slice(0, None, (), at))
            has_news = True
        if has_news:
            # The loop is closed if the daemon stops at once.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._news.set)

    def _rows(self, batch: Batch) -> Sequence[int]:
        """The rows of `batch` that this follower wants."""
        if self._cats is None and self._pid is None:
            return range(len(batch))
        wanted = {place for place, context in enumerate(batch.contexts) if self._wants(context)}
        if len(wanted) == len(batch.contexts):
            return range(len(batch))
        if not wanted:
            return ()
        return [row for row, place in enumerate(batch.index) if place in wanted]

    def _wants(self, context: Context) -> bool:
        return (self._cats is None or context.cat in self._cats) and (
            self._pid is None or context.pid == self._pid
        )

    def _put(self, batch: Batch, rows: Sequence[int]) -> bool:
        """Queue some records; False if they were left out."""
        size = sum(map(len, batch.msg))
        with self._lock:
            if self._records >= MAX_RECORDS or self._bytes >= MAX_BYTES:
                self._skipped += len(rows)
                return False
            self._slices.append(Slice(self._skipped, batch, rows))
            self._skipped = 0
            self._records += len(rows)
            self._bytes += size
        return True

    # -- the event loop's thread ---------------------------------------------------------------

    def end(self, why: str) -> None:
        """Nothing more will come; what waits is still sent."""
        self.ended = self.ended or why
        self._news.set()

    async def wait(self) -> None:
        """Return when there is something to take, or the end has come."""
        await self._news.wait()

    def take(self) -> Slice | None:
        """The next slice; None if nothing waits."""
        with self._lock:
            if not self._slices:
                skipped, self._skipped = self._skipped, 0
                if skipped:
                    return Slice(skipped, None, ())
                if self.ended is None:
                    self._news.clear()
                return None
            skipped, batch, rows, _ = self._slices[0]
            if batch is None:
                return self._slices.popleft()
            now, later = rows[:RECORDS_A_SLICE], rows[RECORDS_A_SLICE:]
            self._records -= len(now)
            if later:
                self._slices[0] = Slice(0, batch, later)
            else:
                del self._slices[0]
                self._bytes -= sum(map(len, batch.msg))
            return Slice(skipped, batch, now)


class Feed:
    """All followers. Event loop's thread only."""

    def __init__(self) -> None:
        self.followers: set[Subscriber] = set()

    def add(self, follower: Subscriber, worker: OutputWorker) -> None:
        """`follower` is about to watch `worker`."""
        follower.worker = worker
        self.followers.add(follower)

    def remove(self, follower: Subscriber) -> None:
        """It hung up."""
        self.followers.discard(follower)
        follower.end("closed")
        if follower.worker is not None:
            follower.worker.unwatch(follower)

    def outputs_changed(self, successors: Mapping[OutputWorker, OutputWorker | None]) -> None:
        """Some outputs are gone; those that took their place have their watchers already."""
        for follower in tuple(self.followers):
            worker = follower.worker
            if worker is None or worker not in successors:
                continue
            follower.worker = successors[worker]
            if follower.worker is None:
                follower.end(f"output {worker.output.name} was removed by a reload")
        for successor in filter(None, successors.values()):
            for watcher in successor.watchers:
                # It hung up while it was handed over.
                if isinstance(watcher, Subscriber) and watcher not in self.followers:
                    successor.unwatch(watcher)


def choose(workers: Sequence[OutputWorker], name: str | None = None) -> OutputWorker | None:
    """The output to follow: one that can be read back and works, files before tables.

    Args:
        workers: all there are.
        name: of the output that is wanted, as status has it; None for the best.
    """
    if name is not None:
        return next((worker for worker in workers if worker.output.name == name), None)

    def rank(worker: OutputWorker) -> tuple[bool, bool, bool]:
        position = worker.output.status().position
        return (worker.is_failing, not position, "file" not in position)

    return min(workers, key=rank, default=None)


_ENCODER = msgspec.json.Encoder()
_SHORT = ShortNames()


def encode(part: Slice) -> bytes:
    """A slice as lines of JSON."""
    entries: list[dict[str, Any]] = [{"skipped": part.skipped}] if part.skipped else []
    if part.batch is not None:
        entries += _entries(part.batch, part.rows)
    if part.at is not None:
        entries.append({"at": part.at})
    try:
        return _ENCODER.encode_lines(entries)
    except UnicodeEncodeError:
        # Lone surrogates in some text: slower, as escapes.
        return b"".join(json.dumps(entry).encode("ascii") + b"\n" for entry in entries)


def _entries(batch: Batch, rows: Sequence[int]) -> list[dict[str, Any]]:
    contexts = [_context_items(context, batch.formatter) for context in batch.contexts]
    times, texts, msgids, msgs, special = (
        batch.time,
        batch.ts,
        batch.msgid,
        batch.msg,
        batch.special,
    )
    index, peer = batch.index, batch.peer
    return [
        {
            "time": times[row],
            "ts": texts[row] if texts is not None else "",
            **contexts[index[row]],
            "peer": peer,
            "msgid": msgids[row],
            "msg": msgs[row],
            "special": dict(special.get(row, ())),
        }
        for row in rows
    ]


def _context_items(context: Context, formatter: PathFormatter | None) -> dict[str, Any]:
    return {
        "cat": context.cat,
        "pid": context.pid,
        "threadname": context.threadname,
        "tid": context.tid,
        "cfunc": context.cfunc,
        "path": (formatter or _SHORT).pathAsStr(context.path),
    }
