"""What a queue on disk says of itself: how much waits, what was read, that there is no room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
