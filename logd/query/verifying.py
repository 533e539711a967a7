"""What looking at a file or table found; see `LogSource.verify`."""

from __future__ import annotations

from typing import NamedTuple


class Checked(NamedTuple):
    """One file or table that was looked at.

    Attributes:
        name: of the file or table.
        records: how many it has; None if that was not found out.
        faults: what is wrong: a word (torn, missing, foreign, unreadable, damaged, index), a
            colon, and the rest.
        notes: what is worth knowing, and right.
    """

    name: str
    records: int | None = None
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
