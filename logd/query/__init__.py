"""Finding and following what was logged: a library; `logd tail` and `logd query` are thin.

`open_source` gives the place that a log is kept in, text files or tables, behind one small
interface; a `Selection` says which entries are wanted; entries come as `Entry` objects:

    source = open_source(config)
    for entry in source.entries(Selection(cats=frozenset("E"))):
        print(entry.ts, entry.msg)

- `selection.py` filters; `when.py` times as people write them; `labels.py` what an entry counts
  for; `needles.py` what can be told from raw bytes; `source.py` the interface; `places.py`
  settings -> sources;
- `files/`: which files there are (`listing.py`), one file as raw entries (`raw.py`), what is
  appended (`follow.py`), and the source made of them;
- `tables/`: pages of rows (`pages.py`), and the source made of them;
- `live.py` the daemon's live feed; `following.py` history and news without a seam;
- `summaries.py` counts; `controlclient.py` asks a running daemon.

How a line is read back is the concern of `logd.text`, which also writes it.

The daemon is never needed for reading, and nothing here writes, locks, or holds a transaction.
"""

from __future__ import annotations

from logd.query.places import open_source
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import Source
from logd.records.entry import Entry

__all__ = ["EVERYTHING", "Entry", "Selection", "Source", "open_source"]
