"""What plain senders sent and the queue's memory has no room for: on disk, as it came.

A plain sender gives up after a second, so its socket has to be read even if decoding is behind: the
processor is short, or an output is. What is read then goes to temporary files, whole frames as they
came, compressed, and comes back when it is the connection's turn. The order within a connection is
the order of `Feeder.pending`; here it does not matter.

Frames of `SocketHandler` resemble each other: they get to a tenth of their size or less, at more
than 1 GB/s, so that the room lasts ten times as long and the disk has a tenth of the work.

The files are temporary in every sense: they have no name, and end with the process. A record that
waits here is as safe as one that waits in memory, and no sender was told that it is stored.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from logd.outputs.files.zstd import ZstdError, compress, decompress
from logd.wire.frames import FrameError, Frames, FrameSplitter

logger = logging.getLogger(__name__)

FILE_BYTES = 16 << 20
"""A file is full at this size. Its space comes back when all that is in it has been taken."""

LEVEL = 1
"""Of Zstandard: quick."""

TELL_EVERY_S = 60.0
"""How often it is said that the disk refuses."""


class _File:
    """One temporary file, written from its beginning to its end; `waiting` pieces of it wait."""

    __slots__ = ("_file", "descriptor", "size", "waiting")

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self.descriptor = self._file.fileno()
        self.size = 0
        self.waiting = 0

    def close(self) -> None:
        self._file.close()


class Overflowed:
    """Frames that wait on disk.

    Attributes:
        size: what they will take in memory, in bytes, see `Frames.size`.
    """

    __slots__ = ("_at", "_count", "_file", "_length", "_overflow", "size")

    def __init__(
        self, overflow: Overflow, file: _File, at: int, length: int, frames: Frames
    ) -> None:
        self._overflow = overflow
        self._file = file
        self._at = at
        self._length = length
        # The offsets would take as much memory as short records do: they are found again.
        self._count = frames.count
        self.size = frames.size

    def take(self) -> Frames:
        """The frames, in memory; the disk has them no more. None are left if it can't be read."""
        return self._overflow.take(self._file, self._at, self._length, self._count)


class Overflow:
    """The temporary files; event loop's thread only.

    Args:
        folder: where they are; None for the system's folder of temporary files.
        limit_bytes: what they may take on disk; 0 switches it off.
        min_free_bytes: they leave at least this much of the disk free.
        clock: seconds that never go back.

    Attributes:
        used_bytes: what they take on disk.
        waiting_bytes: how much of that waits to be taken.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        limit_bytes: int = 0,
        min_free_bytes: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self.change_limits(limit_bytes, min_free_bytes)
        self.used_bytes = 0
        self.waiting_bytes = 0
        self._file: _File | None = None
        self._clock = clock
        self._told_at = float("-inf")

    def change_limits(self, limit_bytes: int, min_free_bytes: int) -> None:
        """Put other limits in force; what waits stays."""
        self.limit_bytes = limit_bytes
        self.min_free_bytes = min_free_bytes

    def keep(self, frames: Frames) -> Overflowed | None:
        """Write frames to disk; None if there is no room, or they are not whole as they came."""
        # Without what came of the next frame: the splitter has that.
        whole = memoryview(frames.data)[: frames.stops[-1]]
        if frames.cut or self.used_bytes >= self.limit_bytes:
            return None
        data = compress(whole, LEVEL)
        if self.used_bytes + len(data) > self.limit_bytes:
            return None
        try:
            file = self._file_for(len(data))
            if file is None:
                return None
            written = os.pwrite(file.descriptor, data, file.size)
            if written < len(data):
                return None
        except OSError as exc:
            self._tell(exc)
            return None
        kept = Overflowed(self, file, file.size, len(data), frames)
        file.size += len(data)
        file.waiting += 1
        self.used_bytes += len(data)
        self.waiting_bytes += len(data)
        return kept

    def _file_for(self, size: int) -> _File | None:
        """The file that is written to; None if too little of the disk is free for another one."""
        file = self._file
        if file is not None and file.size + size <= FILE_BYTES:
            return file
        new = _File(self._folder)
        if self.min_free_bytes:
            disk = os.fstatvfs(new.descriptor)
            if disk.f_bavail * disk.f_frsize < self.min_free_bytes + max(FILE_BYTES, size):
                new.close()
                return None
        self._file = new
        if file is not None:
            self._let_go(file)
        return new

    def take(self, file: _File, at: int, size: int, count: int) -> Frames:
        """See `Overflowed.take`."""
        frames: Frames | None = None
        problem: object = "the file does not hold what was written"
        try:
            data = decompress(os.pread(file.descriptor, size, at))
            frames = FrameSplitter(max(1, len(data))).feed(data)
        except (OSError, ZstdError, FrameError) as exc:
            problem = exc
        if frames is None or frames.count != count:
            logger.error("%d records that waited on disk are lost: %s", count, problem)
            frames = Frames.of()
        file.waiting -= 1
        self.waiting_bytes -= size
        self._let_go(file)
        return frames

    def _let_go(self, file: _File) -> None:
        """Give the space of a file back if nothing of it is wanted any more."""
        if file.waiting:
            return
        if file is not self._file:
            self.used_bytes -= file.size
            file.close()
        elif file.size:
            # Nothing waits at all, most likely: begin it again.
            os.ftruncate(file.descriptor, 0)
            self.used_bytes -= file.size
            file.size = 0

    def close(self) -> None:
        """Give the space of the file back that is written to; what waits is not given up."""
        file, self._file = self._file, None
        if file is not None:
            self._let_go(file)

    def _tell(self, exc: OSError) -> None:
        now = self._clock()
        if now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            logger.warning("what waiting senders send can't wait on disk: %s", exc)
