"""Rotating text files: the daemon's output for `--file PATTERN`.

Batches are put together to blocks (`blocks.py`). For each block the journal is told first
(`journal.py`), then the block is appended with one write (`openlog.py`); both are synced together,
in the syncing thread, while the next blocks are written. After a crash the journal tells what of
the log counts (`recovery.py`, `resume.py`). A rotation renames and creates, nothing more: what is
slow about closed files is done by a thread of low priority (`janitor.py`).

Beside the files of a pattern `app_%d.log` its folder holds `.app_%d.log.journal`, a lock, and
after a crash perhaps `app_3.log.torn` with what was cut off.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from logd.outputs.base import (
    Output,
    OutputRefused,
    OutputSettings,
    OutputStatus,
    OutputUnavailable,
    OutputUnusable,
)
from logd.outputs.files.blocks import FULL_BYTES, MAX_LONE, Block, few_of, lone_from
from logd.outputs.files.names import PlainNames, parse_pattern
from logd.outputs.files.openlog import OpenLog

if TYPE_CHECKING:
    from logd.outputs.marks import Marks
    from logd.records.batch import Batch

logger = logging.getLogger(__name__)

# Errors at the start that won't go away by themselves; EINVAL and ELOOP: no regular file.
_HOPELESS = {
    errno.EEXIST,
    errno.EINVAL,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.ENXIO,
}

_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}

# How often closed files are looked after if no rotation asks for it.
_LOOK_EVERY_S = 60.0

_LOOK_AROUND_EVERY_S = 3.0
"""How often the log looks for free space, and for what others did to its folder."""


class FileOutput(Output):
    """A log of text files that follow each other.

    Args:
        address: pattern of the files' names, see `names.py`.
        settings: rotation, retention, format and so on.
        clock: tells the time, in seconds since the epoch.

    Raises:
        OutputUnusable: the pattern can't be used.
    """

    is_quick = True

    def __init__(
        self, address: str, settings: OutputSettings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.name = f"file {address}"
        self._settings = settings
        self._clock = clock
        policy = settings.rotation
        rotates = (policy.lines, policy.size, policy.schedule) != (None, None, None)
        self._path, self._names = parse_pattern(
            address,
            naming=settings.naming,
            count=settings.retention.count,
            rotates=rotates,
            utc=policy.schedule is not None and policy.schedule.utc,
        )
        self._hidden_name = f".{Path(address).name}"
        self._log: OpenLog | None = None
        # Held while the log is exchanged for one in another folder, which a sync must not meet.
        self._swap_lock = threading.Lock()
        self._looked_at = 0.0
        self._looked_around_at = 0.0
        self._was_missing = False
        # The last write failed: perhaps the folder is no longer there.
        self._has_failed = False
        self._written = 0
        self._last_error: tuple[str, float] | None = None

    def open(self) -> Mapping[bytes, int]:
        """See `Output.open`. Reads no more of the log than may be torn."""
        self._log = log = self._made_log()
        return log.held.marks.numbers()

    def _made_log(self, marks: Marks | None = None) -> OpenLog:
        try:
            log = OpenLog(
                self._path,
                self._hidden_name,
                self._names,
                self._settings,
                self._clock,
                self.name,
                marks,
            )
        except OutputUnusable as exc:
            raise type(exc)(f"{self.name}: {exc}") from exc
        except OSError as exc:
            text = f"{self.name}: can't write {self._place(exc)}: {exc.strerror}"
            if exc.errno in _HOPELESS:
                raise OutputUnusable(text) from exc
            unavailable = self._unavailable(exc)
            if exc.errno in _REFUSED:
                raise OutputRefused(text) from exc
            raise unavailable from exc
        log.janitor.wake()
        return log

    def _place(self, exc: OSError) -> Path:
        """What an error is about; names in it are relative to the folder."""
        return self._path / os.fsdecode(exc.filename) if exc.filename else self._path

    def write(self, batches: Sequence[Batch]) -> None:
        """See `Output.write`. One write for all that goes into the same file."""
        if self._has_failed:
            with self._as_unavailable():
                self._look_around()
            self._has_failed = False
        log = self._opened()
        done = (0, 0)
        try:
            if len(batches) <= MAX_LONE and self._is_written_at_once(log, batches):
                return
            log.prepare()
            for block in self._blocks(log, batches):
                log.append(block)
                done = (block.batches_done, block.rows_done)
                self._written += block.entries
        except OSError as exc:
            self._has_failed = True
            log.janitor.wake()
            raise self._unavailable(exc, *done) from exc
        if not self._settings.durable:
            log.settler.sync()

    def _is_written_at_once(self, log: OpenLog, batches: Sequence[Batch]) -> bool:
        """Write a few records if they go into the current file; False if nothing was done."""
        batch = batches[0] if len(batches) == 1 else few_of(batches)
        if batch is None or not 0 < len(batch.msg) <= MAX_LONE:
            return False
        data = self._settings.line_format.encode_batch(batch)
        marks = {one.client: one.last for one in batches if one.client is not None}
        if not log.appends_few(data, len(batch.msg), marks):
            return False
        self._written += len(batch.msg)
        if not self._settings.durable:
            log.settler.sync()
        return True

    def _blocks(self, log: OpenLog, batches: Sequence[Batch]) -> Iterator[Block]:
        """The batches as blocks; each is to be appended before the next is asked for."""
        block = Block()
        line_format = self._settings.line_format
        room = log.room()
        position = 0
        while position < len(batches):
            lone = lone_from(batches, position)
            if len(lone) > 1 and block.add_lone(line_format, position, lone, room):
                position += len(lone)
            else:
                batch, row = batches[position], 0
                while True:
                    row = block.add(line_format, position, batch, row, room)
                    if row == len(batch):
                        break
                    if block.entries:
                        yield block
                        block = Block()
                    log.rotator.rotate()
                    room = log.room()
                position += 1
            if block.size >= FULL_BYTES:
                yield block
                block = Block()
                room = log.room()
        if block.entries or block.marks:
            yield block

    def sync(self) -> None:
        """See `Output.sync`; nothing to do if nothing has to survive the machine.

        Raises:
            OutputUnavailable: the disk refused; the next call tries again.
        """
        if not self._settings.durable:
            return
        with self._swap_lock, self._as_unavailable():
            self._opened().settler.sync()

    def forget(self, clients: Sequence[bytes]) -> None:
        """See `Output.forget`."""
        with self._as_unavailable():
            self._opened().forget(clients)

    def rotate(self) -> None:
        """See `Output.rotate`. An empty file stays the current one, and so does a single one."""
        if self._names.current_name and not isinstance(self._names, PlainNames):
            logger.warning("%s: rotation is off: there is no next file", self.name)
            return
        with self._as_unavailable():
            self._opened().rotator.rotate()

    def reopen(self) -> None:
        """See `Output.reopen`. The folder is found by its path again, as the file by its name."""
        with self._as_unavailable():
            if self._opened().is_in_place:
                self._opened().rotator.reopen()
                self._opened().look_around()
            else:
                self._move()

    def _move(self) -> None:
        """Go on in the folder that the path leads to now; it is made if there is none.

        What was written stays where it was moved to. The marks come along: a record that is
        there is not written again here.
        """
        logger.warning("%s: its folder was moved or replaced: a new log is begun", self.name)
        old = self._opened()
        with self._swap_lock:
            old.settler.sync()
            self._log = self._made_log(old.held.marks)
            try:
                old.close()
            except OSError as exc:
                logger.warning(
                    "%s: the log in the former folder was not closed in order: %s", self.name, exc
                )

    def tick(self, now: float) -> None:
        """See `Output.tick`; cheap when nothing is to be done."""
        if abs(now - self._looked_around_at) >= _LOOK_AROUND_EVERY_S:
            self._looked_around_at = now
            with self._as_unavailable():
                self._look_around()
        log = self._opened()
        with self._as_unavailable():
            log.rotator.rotate_if_due(now)
        if abs(now - self._looked_at) >= _LOOK_EVERY_S:
            self._looked_at = now
            log.janitor.wake()

    def _look_around(self) -> None:
        log = self._opened()
        if log.is_in_place:
            self._was_missing = False
            log.look_around()
            if log.free_bytes < self._settings.min_free_bytes:
                log.janitor.wake()
        elif self._path.exists() or self._was_missing:
            self._move()
        else:
            # The program that moved it may be about to make another: that one comes first.
            self._was_missing = True

    def status(self) -> OutputStatus:
        """See `Output.status`."""
        log = self._log
        if log is None:
            return OutputStatus(self.name, written=self._written, last_error=self._last_error)
        held = log.held
        file = held.file
        path = self._path / file.name
        return OutputStatus(
            name=self.name,
            current=str(path),
            lines=file.lines,
            size=file.size,
            written=self._written,
            rotations=held.rotations,
            last_error=self._last_error,
            details={"sessions": str(len(held.marks))},
            measures={"set_aside_files": log.set_aside[0], "set_aside_bytes": log.set_aside[1]},
            position={"file": str(path.absolute()), "size": file.size},
        )

    def wait_idle(self, timeout_s: float = 60.0) -> bool:
        """Wait until closed files are compressed and removed; False if that takes longer."""
        return self._opened().janitor.wait_idle(timeout_s)

    def close(self) -> None:
        """See `Output.close`. What can't be closed in order is repaired by the next `open`."""
        log, self._log = self._log, None
        if log is not None:
            try:
                log.close()
            except OSError as exc:
                logger.error("%s: not closed in order: %s", self.name, exc)

    def _opened(self) -> OpenLog:
        if self._log is None:
            raise AssertionError(f"{self.name}: used while it is closed")
        return self._log

    @contextmanager
    def _as_unavailable(self) -> Iterator[None]:
        try:
            yield
        except OutputUnusable as exc:
            # It did work before: permissions and other daemons come and go.
            self._last_error = (str(exc), self._clock())
            raise OutputUnavailable(str(exc)) from exc
        except OSError as exc:
            raise self._unavailable(exc) from exc

    def _unavailable(
        self, exc: OSError, batches_done: int = 0, rows_done: int = 0
    ) -> OutputUnavailable:
        reason = f"{self.name}: {exc.strerror or exc}"
        self._last_error = (reason, self._clock())
        return OutputUnavailable(reason, batches_done=batches_done, rows_done=rows_done)
