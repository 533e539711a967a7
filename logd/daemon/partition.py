"""One partition of a source on its way into its ring: a thread reads, judges, and hands on.

    the ring's lock is there -> marks and place are known -> read on behind that place
    message -> pieces -> rules -> records, marks and the new place, as one work for the worker

If others take the ring over, the worker drops what it was given and opens the ring again, and this
starts over with what the ring says. Nothing is kept anywhere else.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from logd.daemon.crowding import Crowding
from logd.engine.base import Message, PartitionReader
from logd.engine.pieces import Piece, Unreadable, unpack_message
from logd.engine.rules import Rules, Verdict
from logd.outputs.base import OutputUnavailable, OutputUnusable
from logd.outputs.disk import FILE_MODE, make_folder, sync_folder, write_all
from logd.outputs.health import PROBLEM, Tell
from logd.outputs.marks import MAX_MARKS, PLACE_PREFIX
from logd.outputs.work import Work
from logd.records.batch import Batch

if TYPE_CHECKING:
    from logd.outputs.worker import OutputWorker
    from logd.records.job import MsgJob
    from logd.server import LogServer

logger = logging.getLogger(__name__)

MAX_UNDER_WAY = 4
"""How many works may wait for the ring: one is written while the others are decoded."""

LOOK_EVERY_S = 0.5
PRUNE_EVERY_S = 10.0
RETRY_S = 1.0

_UNREADABLE = b"!"
_TOLD_HOLES = 100


@dataclass
class PartitionCounts:
    """What was seen since the start; read from any thread.

    Attributes:
        messages, records: read, and handed to the ring.
        repetitions, gaps: pieces that the rules left out.
        holes: records that are missing for good; `hole_records` of them.
        poison: messages, or pieces of them, that can't be read.
        place: the last message that the ring has, durably; None before it is known.
        left: messages behind the last one read.
        records_a_message: about how many records a message has.
        message_at: when the last message read was stored in the engine; None before the first.
        is_reading: the ring is this daemon's, and the partition is read.
    """

    messages: int = 0
    records: int = 0
    repetitions: int = 0
    gaps: int = 0
    holes: int = 0
    hole_records: int = 0
    poison: int = 0
    place: int | None = None
    left: int = 0
    records_a_message: float = 0.0
    message_at: float | None = None
    is_reading: bool = False


@dataclass
class _Course:
    """One time of reading: from an opening of the ring to the next one."""

    rules: Rules
    place: bytes
    number: int
    under_way: int = 0
    is_over: bool = False
    is_after_unreadable: bool = False
    pruned_at: float = field(default_factory=time.monotonic)


class Partition:
    """See the module. Made with its worker still to come (`feed`).

    Args:
        number: which one.
        reading: where messages come from.
        server: the `LogServer` in force: timestamps, filters, observers.
        letters: folder for messages that can't be read.
        on_problem: called with a line for people and for the log.
        on_fatal: called when the thread failed.
        max_sessions: how many sessions are known at most.
    """

    def __init__(
        self,
        number: int,
        reading: PartitionReader,
        server: Callable[[], LogServer],
        letters: Path,
        on_problem: Tell,
        on_fatal: Callable[[BaseException], None],
        *,
        max_sessions: int = MAX_MARKS,
    ) -> None:
        self.number = number
        self.counts = PartitionCounts()
        self._reading = reading
        self._server = server
        self._letters = letters
        self._on_problem = on_problem
        self._max_sessions = max_sessions
        self._crowding = Crowding(f"partition {number}", max_sessions, on_problem)
        self._pushed_out = 0
        self._on_fatal = on_fatal
        self._worker: OutputWorker | None = None
        self._openings: queue.SimpleQueue[Mapping[bytes, int] | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._course: _Course | None = None
        self._is_stopping = False
        self._thread = threading.Thread(
            target=self._guarded, name=f"logd-partition {number}", daemon=True
        )

    # -- called by others --------------------------------------------------------------------------

    def feed(self, worker: OutputWorker) -> None:
        """Give what is read to this worker; once, before `start`."""
        self._worker = worker

    def opened(self, marks: Mapping[bytes, int]) -> Mapping[bytes, int]:
        """The ring was opened, and has these marks: read on from there. Called by the opener."""
        self._openings.put(dict(marks))
        return marks

    def taken(self) -> None:
        """Others have the ring: hand on nothing more. From the worker's thread."""
        with self._changed:
            if self._course is not None:
                self._course.is_over = True
            self.counts.is_reading = False
            self._changed.notify_all()

    def start(self) -> None:
        """Begin to read as soon as the ring is open."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; what was handed on is the worker's. Returns when the thread has ended."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._openings.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def ring(self) -> str:
        """The output that its records go to, for people."""
        return self._worker.output.name if self._worker is not None else ""

    @property
    def lag_s(self) -> float:
        """How old the newest record is that the ring has, in seconds; 0.0 if it has all."""
        counts = self.counts
        if counts.message_at is None or not counts.left:
            return 0.0
        return max(0.0, time.time() - counts.message_at)

    # -- the thread --------------------------------------------------------------------------------

    def _guarded(self) -> None:
        try:
            while (marks := self._openings.get()) is not None:
                self._read(marks)
        except BaseException as exc:
            self._on_fatal(exc)
            logger.exception("partition %d failed", self.number)

    def _read(self, marks: Mapping[bytes, int]) -> None:
        """Read until the ring is opened anew, or it is time to stop."""
        course = self._started(marks)
        if course is None:
            return
        try:
            while self._openings.empty() and not (course.is_over or self._is_stopping):
                if not self._has_room(course):
                    continue
                messages = self._reading.next(LOOK_EVERY_S)
                if messages:
                    self._take(course, messages)
                self._prune(course)
        finally:
            self.counts.is_reading = False
            self._reading.stop()

    def _started(self, marks: Mapping[bytes, int]) -> _Course | None:
        """Find the place in the partition; None if it is not wanted any more."""
        problem = ""
        while self._openings.empty() and not self._is_stopping:
            try:
                self._reading.find()
                place = self._reading.place
                number = marks.get(place)
                lost = self._reading.start(number)
            except (OutputUnavailable, OutputUnusable) as exc:
                if str(exc) != problem:
                    problem = str(exc)
                    logger.warning("partition %d can't be read, retrying: %s", self.number, exc)
                with self._changed:
                    self._changed.wait_for(lambda: self._is_stopping, RETRY_S)
                continue
            if lost:
                self._tell_hole(f"{lost} messages are gone from the engine before they were stored")
            is_after = _unreadable(place) in marks
            sessions = {name: n for name, n in marks.items() if not name.startswith(PLACE_PREFIX)}
            rules = Rules(
                sessions, time.time(), is_after_unreadable=is_after, limit=self._max_sessions
            )
            course = _Course(rules, place, number or 0, is_after_unreadable=is_after)
            with self._changed:
                self._course = course
            self.counts.place, self.counts.is_reading = number, True
            logger.info("partition %d is read behind message %d", self.number, number or 0)
            return course
        return None

    def _has_room(self, course: _Course) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: self._is_stopping or course.is_over or course.under_way < MAX_UNDER_WAY,
                LOOK_EVERY_S,
            ) and not (self._is_stopping or course.is_over)

    def _prune(self, course: _Course) -> None:
        now = time.monotonic()
        if now - course.pruned_at < PRUNE_EVERY_S:
            return
        course.pruned_at = now
        worker, at = self._worker, self.counts.message_at
        before = course.rules.pushed_out
        gone = course.rules.prune(at) if at is not None else []
        self._pushed_out += course.rules.pushed_out - before
        self._crowding.look(self._pushed_out)
        if course.is_after_unreadable and not course.rules.is_excusing:
            # Every session has come to its next piece: a restart is to excuse nobody any more.
            course.is_after_unreadable = False
            gone.append(_unreadable(course.place))
        if gone and worker is not None:
            worker.call(lambda: worker.forget(gone))

    # -- messages ----------------------------------------------------------------------------------

    def _take(self, course: _Course, messages: Sequence[Message]) -> None:
        """Judge messages and hand on what is to be written, with the place behind them."""
        batches: list[Batch] = []
        jobs: list[MsgJob] = []
        for message in messages:
            try:
                pieces = unpack_message(message.data)
            except Unreadable as exc:
                self._bury(message, str(exc))
                course.rules.excuse()
                course.is_after_unreadable = True
                batches.append(_mark(_unreadable(course.place), 0, message.number))
                continue
            for piece in pieces:
                self._judge(course, message, piece, batches, jobs)
        last = messages[-1]
        batches.append(_mark(course.place, course.number, last.number))
        course.number = last.number
        self._count(messages, batches)
        self._submit(course, batches, jobs)

    def _judge(
        self,
        course: _Course,
        message: Message,
        piece: Piece,
        batches: list[Batch],
        jobs: list[MsgJob],
    ) -> None:
        counts = self.counts
        session = piece.session
        judgement = course.rules.judge(session, piece.prev, piece.floor, piece.last, message.time)
        if judgement.verdict is Verdict.REPETITION:
            counts.repetitions += 1
            return
        if judgement.verdict is Verdict.GAP:
            counts.gaps += 1
            return
        if judgement.hole is not None:
            first, last = judgement.hole
            counts.hole_records += last - first + 1
            self._tell_hole(f"records {first} to {last} of session {session.hex()} are missing")
        try:
            batch = piece.batch()
        except Unreadable as exc:
            self._bury(message, f"records up to {piece.last} of session {session.hex()}: {exc}")
            batch = Batch.of_none(session, piece.prev + 1, piece.last)
        rest = batch.after(judgement.known)
        if rest is not None and len(rest):
            prepared = self._server().prepare(rest)
            rest = prepared.batch
            jobs.extend(prepared.jobs or ())
        if rest is None:
            rest = Batch.of_none(session, judgement.known + 1, piece.last)
        batches.append(rest)

    def _count(self, messages: Sequence[Message], batches: Sequence[Batch]) -> None:
        counts = self.counts
        records = sum(map(len, batches))
        counts.messages += len(messages)
        counts.records += records
        counts.records_a_message = (counts.records_a_message + records / len(messages)) / 2
        counts.left, counts.message_at = messages[-1].left, messages[-1].time

    def _submit(self, course: _Course, batches: Sequence[Batch], jobs: Sequence[MsgJob]) -> None:
        worker, number = self._worker, course.number
        if worker is None:
            raise AssertionError("a partition without a worker")

        def on_done(_: Work) -> None:
            with self._changed:
                course.under_way -= 1
                if not course.is_over:
                    self.counts.place = number
                    self._reading.stored(number)
                self._changed.notify_all()

        work = Work(batches, {}, on_done, comes_again=True)
        work.expect(1)
        with self._changed:
            if course.is_over:
                return
            course.under_way += 1
            # Within the lock: the next owner of the ring knows that nothing comes after.
            worker.submit(work)
        if jobs:
            worker.wait_written(work)
            self._server().observe(jobs)

    # -- what is wrong -----------------------------------------------------------------------------

    def _tell_hole(self, text: str) -> None:
        self.counts.holes += 1
        if self.counts.holes <= _TOLD_HOLES:
            self._on_problem(PROBLEM, f"partition {self.number}: {text}")

    def _bury(self, message: Message, reason: str) -> None:
        """Keep a message that can't be read; on disk when this returns, if the disk lets it."""
        self.counts.poison += 1
        path = self._letters / f"partition-{self.number}-message-{message.number}"
        try:
            make_folder(self._letters)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
            try:
                write_all(descriptor, message.data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(self._letters)
        except OSError as exc:
            reason += f" (and it can't be kept: {exc})"
        self._on_problem(
            PROBLEM,
            f"partition {self.number}: message {message.number} can't be read: {reason}; it is "
            f"left out, and kept in {path}",
        )


def _unreadable(place: bytes) -> bytes:
    """The mark that says which message of a partition was the last that nobody could read."""
    return PLACE_PREFIX + _UNREADABLE + place[len(PLACE_PREFIX) + 1 :]


def _mark(name: bytes, before: int, number: int) -> Batch:
    return Batch.of_none(name, before + 1, number)
