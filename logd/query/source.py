"""What a log that is read looks like, be it text files, tables, or several of them as one."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

from logd.query.barsteps import Step
from logd.query.budget import Budget
from logd.query.inventory import StoredPiece
from logd.query.positions import (
    CannotRead,
    FilePosition,
    Gone,
    Placed,
    Position,
    TablePosition,
    decode_cursor,
    encode_cursor,
    is_same_place,
)
from logd.query.selection import EVERYTHING, Selection
from logd.query.summaries import Key, Summary, Tally
from logd.query.verifying import Checked
from logd.records.entry import Entry

__all__ = [
    "CannotRead",
    "FilePosition",
    "Follower",
    "Gone",
    "LogSource",
    "Note",
    "Placed",
    "Position",
    "TablePosition",
    "Watch",
    "unwatched",
]

Item = TypeVar("Item")

Watch = Callable[[float], None]
"""Told for each block how much of the work is done, 0 to 1. What it raises ends the work."""

Note = Callable[[str], None]
"""Told what a reader should know: something was overwritten, or is damaged."""

_CHARS_AT_ONCE = 1 << 17
_KEPT_BACK_S = 0.1


def unwatched(done: float) -> None:
    """Nobody wants to know."""


def chosen_fields(selection: Selection, keys: Sequence[str]) -> Sequence[str]:
    """Those of the fields that a selection wants some values of."""
    chosen = {group.field for group in selection.groups if not group.is_not}
    return [key for key in keys if key in chosen]


class Follower(ABC, Generic[Item]):
    """What comes to a log after a position. The caller closes it."""

    def read(self) -> Sequence[Entry] | None:
        """The next entries that are wanted; None if nothing has come by now.

        An empty answer says that there was something, but nothing wanted. Never waits.
        """
        items = self._more()
        return None if items is None else list(map(self._entry, items))

    @abstractmethod
    def _more(self) -> Sequence[Item] | None:
        """Some more of what is wanted; None if nothing has come."""

    @abstractmethod
    def _entry(self, item: Item) -> Entry:
        """One of them as an entry."""

    @abstractmethod
    def position(self) -> Position | None:
        """The place behind what was read; None if there was nothing to begin with."""

    @abstractmethod
    def close(self) -> None:
        """Close what it has open."""


class LogSource(ABC):
    """One log.

    Attributes:
        name: for messages.
        on_note: told what readers should know.
        is_damaged: whether something could not be read so far; `on_note` was told what.
    """

    name: str
    is_damaged: bool = False

    def __init__(self, on_note: Note) -> None:
        self.on_note = on_note

    @abstractmethod
    def is_there(self) -> bool:
        """Whether there is anything to read.

        Raises:
            CannotRead: there is, and it can't be read.
        """

    def aside(self) -> Sequence[LogSource]:
        """Logs of what crashes left of this one: it is not part of it.

        Senders were not told that it is stored; most of it they sent again.
        """
        return ()

    @abstractmethod
    def placed(
        self,
        selection: Selection = EVERYTHING,
        *,
        start: Position | None = None,
        end: Position | None = None,
        newest_first: bool = False,
        watch: Watch = unwatched,
        budget: Budget | None = None,
    ) -> Iterator[Placed]:
        """The entries that pass, each with its place, in the order in which they were written.

        Entries come as they are asked for: a caller that stops asking has no more read.

        Args:
            selection: which are wanted.
            start: nothing before this position; None: from the oldest on.
            end: nothing behind this position; None: all there is now.
            newest_first: in the opposite order, from the end to the start.
            watch: see `Watch`.
            budget: what it may cost; afterwards it says whether there is more, and where.

        Raises:
            CannotRead: see there.
            Gone: what was at `start` or `end` is no more. Of `start` it is raised only if
                something was overwritten in between.
        """

    def entries(
        self,
        selection: Selection = EVERYTHING,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        start: Position | None = None,
        end: Position | None = None,
        watch: Watch = unwatched,
    ) -> Iterator[Entry]:
        """The same without the places, at most `limit` of them."""
        found = self.placed(selection, start=start, end=end, newest_first=newest_first, watch=watch)
        return islice((placed.entry for placed in found), limit)

    def texts(
        self,
        selection: Selection,
        *,
        start: Position | None = None,
        end: Position | None = None,
        watch: Watch = unwatched,
    ) -> Iterator[bytes]:
        """The same as the bytes of text lines, some of them at a time, with their line ends."""
        from logd.text.reading import entry_text

        some: list[str] = []
        size, begun = 0, time.monotonic()
        for entry in self.entries(selection, start=start, end=end, watch=watch):
            some += (entry_text(entry), "\n")
            size += len(some[-2])
            # What was found is not kept back while more is looked for.
            if size >= _CHARS_AT_ONCE or time.monotonic() - begun > _KEPT_BACK_S:
                yield "".join(some).encode("utf-8", "backslashreplace")
                some.clear()
                size, begun = 0, time.monotonic()
        if some:
            yield "".join(some).encode("utf-8", "backslashreplace")

    def summarise(
        self,
        selection: Selection = EVERYTHING,
        *,
        step: Step | None = None,
        keys: Sequence[Key] = (),
        start: Position | None = None,
        end: Position | None = None,
        watch: Watch = unwatched,
        budget: Budget | None = None,
    ) -> Summary:
        """Counts of the entries that pass: a histogram and any number of facets, in one pass.

        Args:
            selection: which entries count.
            step: the width of the histogram's bars; None: no histogram.
            keys: a facet for each: fields whose values are counted, see `Key`.
            start: as for `placed`.
            end: as for `placed`.
            watch: see `Watch`.
            budget: what it may cost. With one it goes from the newest backwards: what follows
                `budget.next` is counted, and the rest has it for its `end`.

        Raises:
            CannotRead: see there.
        """
        tally = Tally(step, keys)
        if budget is None:
            for entry in self.entries(selection, start=start, end=end, watch=watch):
                tally.add(entry)
            return tally.summary()
        for placed in self.placed(
            selection, start=start, end=end, newest_first=True, watch=watch, budget=budget
        ):
            tally.add(placed.entry)
        return tally.summary()

    def picture(
        self,
        selection: Selection = EVERYTHING,
        *,
        step: Step | None = None,
        keys: Sequence[str] = (),
        watch: Watch = unwatched,
    ) -> Summary:
        """The same as `summarise`, for people who choose among the values of its facets.

        A facet of a field that the selection has conditions for counts without them, so that what
        else there is can be seen, and chosen, too.
        """
        apart = chosen_fields(selection, keys)
        rest = [key for key in keys if key not in apart]
        summary = self.summarise(selection, step=step, keys=rest, watch=watch)
        for key in apart:
            others = self.summarise(selection.without(key), keys=[key], watch=watch)
            summary.facets[key] = others.facets[key]
            summary.others |= others.others
        return summary

    def at(self, position: Position, watch: Watch = unwatched) -> Placed | None:
        """The entry that begins at a position; None if none does.

        Raises:
            CannotRead: see there.
            Gone: it was overwritten.
        """
        found = next(self.placed(start=position, watch=watch), None)
        return found if found is not None and is_same_place(found.position, position) else None

    def places(self, found: Placed) -> tuple[Position, Position]:
        """The places before and behind an entry among all that there are, not only those found."""
        return found.position, found.behind

    @abstractmethod
    def end(self) -> Position | None:
        """Where it ends now; None if nothing is there."""

    @abstractmethod
    def has(self, position: Position) -> bool:
        """Whether a position that the daemon gave is one in this log.

        Raises:
            CannotRead: see there.
        """

    def cursor(self, position: Position) -> str:
        """A position as a short text that `position` takes, today or in a year."""
        return encode_cursor(self._identity, self._for_cursor(position))

    def position(self, cursor: str) -> Position:
        """The position of a cursor.

        Raises:
            WrongCursor: it is none, or of another log.
        """
        return self._from_cursor(decode_cursor(self._identity, cursor))

    @property
    def _identity(self) -> str:
        """What tells its cursors from those of other logs."""
        return self.name

    def _for_cursor(self, position: Position) -> Position:
        """The position as cursors have it."""
        return position

    def _from_cursor(self, position: Position) -> Position:
        """The same the other way round."""
        return position

    def close(self) -> None:
        """Close what is kept open between calls; the next call opens it again."""

    def inventory(self) -> Sequence[StoredPiece]:
        """What it consists of on disk, oldest first, then what else lies there because of it.

        Raises:
            CannotRead: see there.
        """
        return ()

    def verify(self, watch: Watch = unwatched) -> Iterator[Checked]:
        """Look at each file or table, whether it is what journal, catalogue and indexes say.

        Args:
            watch: see `Watch`.

        Raises:
            CannotRead: see there.
        """
        yield from ()

    @abstractmethod
    def follow(
        self, selection: Selection, start: Position | None, on_note: Note | None = None
    ) -> Follower[Any]:
        """What comes after `start`; all there will be if None.

        Args:
            selection: which entries are wanted.
            start: a position in this log.
            on_note: told what readers should know, in the place of the source's own.
        """
