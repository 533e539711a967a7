"""One segment of a queue on disk as a file that is appended to; `segment.py` has its format."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import BinaryIO

from logd.outputs.batchbytes import encode_batch
from logd.outputs.disk import FILE_MODE, write_all
from logd.outputs.failpoints import failpoint
from logd.outputs.queuefolder import QueueFolder
from logd.outputs.segment import (
    Damage,
    open_segment,
    opening,
    pack_end,
    pack_entry,
    take_up,
)
from logd.records.batch import Batch

logger = logging.getLogger(__name__)

_OPEN_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_MAKE_FLAGS = _OPEN_FLAGS | os.O_CREAT | os.O_EXCL


@dataclass
class Segment:
    """One file.

    Attributes:
        path: where it was made, or found.
        size: how much of it counts.
        folder: descriptor of its folder, which somebody may have moved since.
        records: how many are in it.
        oldest_at: when its first entry was kept.
        damage: what of it can't be read, by offset.
    """

    number: int
    path: FilePath
    size: int
    folder: int | None = None
    records: int = 0
    oldest_at: float | None = None
    damage: dict[int, Damage] = field(default_factory=dict)

    def open(self) -> int:
        """A descriptor to write to it."""
        return os.open(
            self.path if self.folder is None else self.path.name, _OPEN_FLAGS, dir_fd=self.folder
        )

    def reader(self) -> BinaryIO:
        """The file to read from."""
        return open_segment(self.path, folder=self.folder)

    def unlink(self) -> None:
        """Remove the file."""
        os.unlink(self.path if self.folder is None else self.path.name, dir_fd=self.folder)

    def write(self, file: int, pieces: Sequence[bytes], *, is_durable: bool) -> None:
        """Append entries; they are on disk when this returns. `size` is for the caller to change.

        Raises:
            OSError: the disk refused; nothing is to be appended any more.
        """
        try:
            os.lseek(file, self.size, os.SEEK_SET)
            write_all(file, b"".join(pieces))
            failpoint("queue.before_sync")
            if is_durable:
                os.fdatasync(file)
            failpoint("queue.after_sync")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file, self.size)
            raise

    def end(self, now: float, *, is_durable: bool) -> None:
        """Say in the file that all of it is on disk.

        Raises:
            OSError: the disk refused.
        """
        end = pack_end(self.size, now)
        file = self.open()
        try:
            os.lseek(file, self.size, os.SEEK_SET)
            write_all(file, end)
            if is_durable:
                os.fdatasync(file)
        finally:
            os.close(file)


def begin(folder: QueueFolder, number: int, output: str) -> tuple[Segment, int]:
    """A new segment, and a descriptor to write to it.

    Args:
        folder: of the queue.
        number: the segment's, at least.
        output: the queue's output.

    Raises:
        OSError: the disk refused; no file is left.
    """
    path = folder.new_segment(number)
    failpoint("queue.before_create")
    file = os.open(path, _MAKE_FLAGS, FILE_MODE)
    try:
        head = opening(output)
        write_all(file, head)
        folder.sync()
    except OSError:
        os.close(file)
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    failpoint("queue.after_create")
    return Segment(int(path.stem), path, len(head), folder.descriptor), file


def found(
    folder: QueueFolder, path: FilePath, marks: dict[bytes, int], tell: Callable[[str], None]
) -> Segment | None:
    """A segment that an earlier run left; None if nothing of it counts.

    Args:
        folder: of the queue, locked.
        path: the file.
        marks: gets the highest number of each session that is in it.
        tell: called with a line for people.

    Raises:
        OSError: the disk refused.
    """
    segment = Segment(int(path.stem), path, 0, folder.descriptor)
    taken_up = take_up(path, folder.copy_aside)
    if taken_up.cut:
        tell(
            f"{path} has damage in what was written last; {taken_up.cut} records behind it are "
            "left out, a copy is kept beside the folder"
        )
    if taken_up.is_foreign:
        tell(f"{path} can't be read; it is now {folder.set_aside(path)}")
        return None
    if not taken_up.end:
        path.unlink()
        return None
    segment.size = taken_up.end
    for part in taken_up.parts:
        if isinstance(part, Damage):
            segment.damage[part.start] = part
            continue
        segment.oldest_at = segment.oldest_at or part.at or None
        segment.records += part.records
        if part.last:
            marks[part.client] = max(part.last, marks.get(part.client, 0))
    return segment


def remove(folder: QueueFolder, segments: Sequence[Segment]) -> None:
    """Remove files whose records are stored; what is damaged is kept aside."""
    failpoint("queue.before_remove")
    for segment in segments:
        try:
            if segment.damage:
                folder.set_aside(segment.path)
            else:
                segment.unlink()
        except FileNotFoundError:
            logger.warning("%s was removed by somebody else", segment.path)
        except OSError as exc:
            # Its records are written; the next start finds out by their marks.
            logger.warning("can't remove %s: %s", segment.path, exc)
    failpoint("queue.after_remove")


def packed(batch: Batch, synced: int, at: float) -> bytes:
    """A batch as an entry; up to `synced` the segment is on disk."""
    return pack_entry(
        encode_batch(batch),
        records=len(batch),
        client=batch.client or b"",
        first=batch.first if batch.client is not None else 0,
        last=batch.last,
        synced=synced,
        at=at,
    )


def damage_text(segment: Segment, places: Sequence[Damage]) -> str:
    """How much of a segment can't be read."""
    known = sum(place.records or 0 for place in places)
    is_all_known = all(place.records is not None for place in places)
    size = sum(place.end - place.start for place in places)
    count = f"{known} records" if is_all_known else f"at least {known} records"
    return (
        f"{count} ({size} bytes, {len(places)} places) of {segment.path} are damaged and left out"
    )
