"""Finding and following what was logged: a library. `logd tail`, `logd query` and `logd web` are
thin on top of it.

`open_source` gives the place that a log is kept in, text files or tables, behind one small
interface; a `Selection` says which entries are wanted; entries come as `Entry` objects:

    source = open_source(config)
    errors = Selection(terms=parse('cat:E -host:10.0.0.7 "card declined"'))
    for entry in source.entries(errors):
        print(entry.ts, entry.msg)

For callers that come back later, positions (`positions.py`) say where an entry is. Pages go on from
there in both directions, and a cursor is a position as a short text:

    page = list(islice(source.placed(errors, newest_first=True), 100))
    older = source.placed(errors, end=page[-1].position, newest_first=True)
    newer = source.placed(errors, start=page[0].behind)
    link = source.cursor(page[0].position)        # and back: source.position(link)

`Gone` says that the ring came round. Counts come from one pass, whatever is counted:

    summary = source.summarise(errors, step="auto", keys=["cat", "logger", ("host", "site")])
    summary.bars, summary.top("logger", 10)

A scan is ended by an exception that its `watch` raises, which is called for each block of a
mebibyte, by not asking for more, or by a `Budget`, which says where to go on:

    budget = Budget(bytes=64 << 20, seconds=0.5, cancelled=request.is_gone)
    newest = source.summarise(errors, step=60, budget=budget)
    rest = budget.next and source.summarise(errors, step=60, end=budget.next)

- `fields.py` what can be asked for and counted by; `terms.py` one condition; `grammar.py` a line of
  them as people write it; `views.py` those with a name; `selection.py` all of them; `when.py` times
  as people write them; `needles.py` what can be told from raw bytes;
- `source.py` the interface; `positions.py` places and cursors; `merged.py` several logs as one;
  `contexts.py` what is around an entry; `places.py` settings -> sources;
- `summaries.py` histograms and facets; `tracebacks.py` what two exceptions have in common;
- `budget.py` what a question may cost;
- `files/`: the source of text files (`source.py`), made of these: `listing.py` which files there
  are; `raw.py` one file as raw entries; `scan.py` its blocks in both directions; `follow.py` what
  is appended; `sidecar.py` the index of a file, `indexing.py` how it is made, `shortcut.py` what
  it spares;
- `tables/`: pages of rows (`pages.py`), and the source made of them;
- `live.py` the daemon's live feed; `following.py` history and news without a seam;
  `controlclient.py` asks a running daemon.

How a line is read back is the concern of `logd.text`, which also writes it.

The daemon is never needed for reading, and nothing here writes, locks, or holds a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.lazily import lazy_names

if TYPE_CHECKING:
    from logd.query.budget import Budget
    from logd.query.grammar import format_terms, parse
    from logd.query.places import open_source
    from logd.query.positions import CannotRead, Gone, Placed, Position, WrongCursor
    from logd.query.selection import EVERYTHING, Selection
    from logd.query.source import LogSource
    from logd.query.summaries import Summary
    from logd.query.terms import Term, WrongSelection
    from logd.records.entry import Entry

__all__ = [
    "EVERYTHING",
    "Budget",
    "CannotRead",
    "Entry",
    "Gone",
    "LogSource",
    "Placed",
    "Position",
    "Selection",
    "Summary",
    "Term",
    "WrongCursor",
    "WrongSelection",
    "format_terms",
    "open_source",
    "parse",
]

_MODULES = {
    "Budget": "logd.query.budget",
    "CannotRead": "logd.query.positions",
    "EVERYTHING": "logd.query.selection",
    "Entry": "logd.records.entry",
    "Gone": "logd.query.positions",
    "Placed": "logd.query.positions",
    "Position": "logd.query.positions",
    "Selection": "logd.query.selection",
    "LogSource": "logd.query.source",
    "Summary": "logd.query.summaries",
    "Term": "logd.query.terms",
    "WrongCursor": "logd.query.positions",
    "WrongSelection": "logd.query.terms",
    "format_terms": "logd.query.grammar",
    "open_source": "logd.query.places",
    "parse": "logd.query.grammar",
}
"""The daemon needs some modules of this package, and has no time to import all of them."""

__getattr__ = lazy_names(__name__, _MODULES)
