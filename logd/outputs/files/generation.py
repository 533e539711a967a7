"""Tells a journal that was replaced by an older copy, or cut, from the one that a log had last.

Each start of a log counts one up. The number stands in its journal and, once that journal is in
force, in a note outside it; an orderly stop adds the number of the last block to the note. A
journal that is behind the note is not the one that was left. The note ends with a checksum, for
another digit would make another number; notes of earlier versions have none.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from logd.outputs.files.journalentries import Append, Entry, Gap, Snapshot

_FORM = re.compile(r"(start (\d{1,18})(?:, stopped at block (\d{1,18}))?)(?: #([0-9a-f]{8}))?")


@dataclass(frozen=True)
class Generation:
    """What is known outside of the journal.

    Attributes:
        start: number of the start.
        last: number of the last block; None if the log was not closed in order.
    """

    start: int = 0
    last: int | None = None

    @classmethod
    def of_note(cls, text: str) -> Generation:
        """Read a note; any other text says nothing."""
        match = _FORM.fullmatch(text)
        if match is None or match[4] not in (None, _checksum(match[1])):
            return cls()
        return cls(int(match[2]), None if match[3] is None else int(match[3]))

    def __str__(self) -> str:
        stopped = "" if self.last is None else f", stopped at block {self.last}"
        said = f"start {self.start}{stopped}"
        return f"{said} #{_checksum(said)}"

    def is_after(self, entries: Sequence[Entry | Gap]) -> bool:
        """Whether a journal is older than this, or lacks its end."""
        start = last = 0
        for entry in entries:
            match entry:
                case Snapshot():
                    start, last = entry.generation, entry.number
                case Append():
                    last = entry.number
                case Gap():
                    # It may have been the snapshot; damage is another matter.
                    return False
        return self.start > start or (self.start == start and last < (self.last or 0))


def _checksum(said: str) -> str:
    return f"{zlib.crc32(said.encode()):08x}"
