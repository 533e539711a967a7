"""What an answer may cost: then it shows what it has, and says where to go on."""

from __future__ import annotations

from typing import NamedTuple

from logd.query.budget import Budget


class ScanLimits(NamedTuple):
    """Of one search.

    Attributes:
        seconds: how long it may take.
        bytes: of the log, uncompressed, that may be looked at.
    """

    seconds: float
    bytes: int = 512 << 20

    def part(self, parts: int) -> ScanLimits:
        """What one of that many parts of a search may cost."""
        return ScanLimits(self.seconds / parts, self.bytes // parts)

    def budget(self) -> Budget:
        """All of it, to be spent on records that are read."""
        return Budget(seconds=self.seconds, bytes=self.bytes)

    def counting(self) -> Budget:
        """All of it, to be spent on counts: indexes and databases have them without reading."""
        return Budget(seconds=self.seconds)
