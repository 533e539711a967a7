"""Which records of a batch an output gets, by a selection as `logd query` takes it. Pure.

Most selections ask for what the place in the program says (category, logger, host), which many
records have in common: those are looked at once for a place.
"""

from __future__ import annotations

from collections.abc import Callable

from logd.outputs.worker import Choose
from logd.query.fields import item_key
from logd.query.grammar import parse
from logd.query.selection import Selection
from logd.records.batch import Batch
from logd.records.entry import Entry
from logd.records.shape import of_job

_OF_THE_PLACE = frozenset({"cat", "site", "path", "func", "thread", "tid", "pid", "host"})


def chooser(select: str) -> Choose:
    """What chooses the records of a selection.

    Raises:
        WrongSelection: the text is no selection, or nothing can match it.
    """
    selection = Selection(terms=parse(select))
    fields = {term.field for term in selection.terms}
    is_of_the_place = all(name in _OF_THE_PLACE or item_key(name) is not None for name in fields)
    rows_of = _rows_by_place if is_of_the_place else _rows

    def choose(batch: Batch) -> Batch | None:
        rows = rows_of(batch, selection.matches)
        return batch.of_rows(rows) if rows else None

    return choose


Matches = Callable[[Entry], bool]


def _rows_by_place(batch: Batch, matches: Matches) -> list[int]:
    """The rows that match, if those of one place with the same items all do or none does."""
    special = batch.special
    known: dict[tuple[int, int], bool] = {}
    rows = []
    for row, position in enumerate(batch.index):
        key = (position, id(special.get(row)))
        is_wanted = known.get(key)
        if is_wanted is None:
            (job,) = batch.part(row, row + 1).jobs()
            is_wanted = known[key] = matches(Entry.from_feed(of_job(job)))
        if is_wanted:
            rows.append(row)
    return rows


def _rows(batch: Batch, matches: Matches) -> list[int]:
    """The rows that match."""
    return [row for row, job in enumerate(batch.jobs()) if matches(Entry.from_feed(of_job(job)))]
