"""What an entry counts for when entries are counted by a key."""

from __future__ import annotations

import time

from logd.query.source import Key
from logd.records.entry import Entry

HOUR_S = 3600


def hour_of(moment: float) -> int:
    """The second since the epoch at which the local hour of `moment` begins."""
    local = time.localtime(moment)
    return int(moment) - local.tm_min * 60 - local.tm_sec


def entry_label(entry: Entry, key: Key | None) -> str | int | None:
    """What an entry counts for; None where it has no time and hours are counted."""
    match key:
        case "cat":
            return entry.cat
        case "host":
            return entry.peer
        case "site":
            return entry.site
        case "hour":
            return None if entry.time is None else hour_of(entry.time)
        case None:
            return ""
