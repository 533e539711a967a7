"""Finding and following what was logged: a library; `logd tail` and `logd query` are thin.

`open_source` gives the place that a log is kept in, text files or tables, behind one small
interface; a `Selection` says which entries are wanted; entries come as `Entry` objects:

    source = open_source(config)
    for entry in source.entries(Selection(cats=frozenset("E"))):
        print(entry.ts, entry.msg)

- `entry.py` one record as read back; `layout.py` entries as text lines, both ways; `items.py`,
  `timetexts.py` parts of a line; `selection.py` filters; `when.py` times as people write them;
- text files: `ringfiles.py` which there are, in order; `rawfile.py` one file as raw entries;
  `prefilter.py`, `needles.py` what can be told from raw bytes; `files.py` the source;
  `filefollow.py` what is appended;
- tables: `tables.py` the source, `tables_pages.py` pages of rows;
- `live.py` the daemon's live feed; `following.py` history and news without a seam;
- `summaries.py` counts; `source.py` the interface; `places.py` settings -> sources.

The daemon is never needed for reading, and nothing here writes, locks, or holds a transaction.
"""

from __future__ import annotations

from logd.query.entry import Entry
from logd.query.places import open_source
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import Source

__all__ = ["EVERYTHING", "Entry", "Selection", "Source", "open_source"]
