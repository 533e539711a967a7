"""What a queue on disk says of itself: how much waits, what was read, that there is no room."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from logd.records.batch import Batch


class QueueFull(Exception):
    """There is no room on disk; the text says why.

    Attributes:
        kept: how many of the batches given are on disk all the same.
    """

    def __init__(self, reason: str, kept: int) -> None:
        super().__init__(reason)
        self.kept = kept


class NoRoom(Exception):
    """A limit is reached; the text says which."""


def check_room(folder: Path, used: int, more: int, limit: int, min_free: int) -> None:
    """See that a queue may take `more` bytes beside those that it uses.

    Raises:
        NoRoom: not with its limit, or with what is to stay free on the disk.
        OSError: the system refused.
    """
    if used + more > limit:
        raise NoRoom(f"queue_disk_bytes, {limit} bytes, are used")
    if min_free:
        state = os.statvfs(folder)
        if state.f_bavail * state.f_frsize - more < min_free:
            raise NoRoom(f"no more than min_free_bytes are free in {folder}")


class QueueStatus(NamedTuple):
    """What waits on disk.

    Attributes:
        records: how many records.
        bytes: what they take on disk.
        limit_bytes: how many bytes they may take; 0 if the queue is off.
        oldest_at: when the oldest of them was kept, in seconds since the epoch; None without any.
        kept, taken: records kept and records durable in the output, since the start.
    """

    records: int = 0
    bytes: int = 0
    limit_bytes: int = 0
    oldest_at: float | None = None
    kept: int = 0
    taken: int = 0


@dataclass(frozen=True)
class QueuePortion:
    """What `read` returned.

    Attributes:
        batches: the batches, in order; may be empty if all that was read is damaged.
        records: how many records they have.
        segment, end: where the next one stands.
        size: how many bytes on disk it takes.
        newest_at: when the last of them was kept.
    """

    batches: Sequence[Batch]
    records: int
    segment: int
    end: int
    size: int
    newest_at: float | None
