"""All logs of one database as one: those of daemons that share it."""

from __future__ import annotations

import re
from contextlib import suppress

from logd.query.merged import MergedSource
from logd.query.positions import CannotRead
from logd.query.source import LogSource, Note
from logd.query.tables.database import LogDatabase
from logd.query.tables.source import TableSource

_PARTITION = "%p"


def open_tables(address: str, on_note: Note, pattern: str | None) -> LogSource:
    """The log of tables with the names of `pattern`; without one, of all tables together.

    With %p in the pattern, of the tables of all partitions together.

    Raises:
        CannotRead: the address or pattern is none, or a driver is missing.
    """
    if pattern is None:
        patterns = _patterns(address)
    elif _PARTITION in pattern:
        named = re.compile(re.escape(pattern).replace(_PARTITION, r"\d{1,3}"))
        patterns = [one for one in _patterns(address) if named.fullmatch(one)]
        pattern = patterns[0] if patterns else pattern.replace(_PARTITION, "0")
    else:
        patterns = [pattern]
    if len(patterns) < 2:
        return TableSource(address, on_note, pattern=pattern)
    return MergedSource([TableSource(address, on_note, pattern=one) for one in patterns], on_note)


def _patterns(address: str) -> list[str]:
    """What the rings of a database are called; none if it is away, as its readers will see."""
    database = LogDatabase(address, None)
    try:
        with suppress(CannotRead), database.reading() as connection:
            return database.rings(connection)
    finally:
        database.close()
    return []
