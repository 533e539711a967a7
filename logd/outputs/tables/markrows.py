"""Rows of marks, and how one that a disk has changed is known.

A flipped bit in a page of SQLite makes another number, which is as good a number as any: a mark
that is too high would have records taken for stored that are not. So each row carries a checksum.
Rows of earlier versions have none, and neither have marks that daemons share: PostgreSQL and
MariaDB, where there are such, keep checksums of their pages.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

logger = logging.getLogger(__name__)


class MarkRow(NamedTuple):
    """One mark.

    Attributes:
        client: the session.
        last: the highest sequence number that is stored.
        seen: when it was last seen, in seconds since the epoch.
    """

    client: bytes
    last: int
    seen: float


def checksum_of(client: str, last: int, seen: float) -> int:
    """The checksum of a row.

    Args:
        client: as it stands there: hexadecimal.
        last: see `MarkRow`.
        seen: see `MarkRow`.
    """
    return zlib.crc32(f"{client} {last} {round(seen * 1000)}".encode())


def sound_rows(rows: Iterable[Any]) -> Iterator[MarkRow]:
    """The marks among rows of client, last, seen and perhaps checksum; what is damaged is said."""
    for row in rows:
        found = _read(*row)
        if found is None:
            logger.error(
                "the mark of session %r is damaged and left out: what its sender repeats may be "
                "stored twice",
                row[0],
            )
        else:
            yield found


def _read(client: Any, last: Any, seen: Any, checksum: Any = None) -> MarkRow | None:
    try:
        seen = float(seen)
        if type(last) is not int or not math.isfinite(seen):
            return None
        if checksum is not None and checksum != checksum_of(client, last, seen):
            return None
        return MarkRow(bytes.fromhex(client), last, seen)
    except (TypeError, ValueError):
        return None
