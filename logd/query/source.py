"""What a log that is read looks like, be it text files or tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from logd.errors import LogdError
from logd.query.selection import EVERYTHING, Selection
from logd.records.entry import Entry

Item = TypeVar("Item")

Key = Literal["cat", "hour", "host", "site"]
"""What entries are counted by; hours are the local ones."""

Counts = Counter[str | int]
"""Category, host or site, or the second since the epoch that an hour begins with -> entries."""

Watch = Callable[[float], None]
"""Told now and then how much of the work is done, 0 to 1."""

Note = Callable[[str], None]
"""Told what a reader should know: something was overwritten, or is damaged."""


class CannotRead(LogdError):
    """A log can't be read; the text says which, why and what to do."""


def unwatched(done: float) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class FilePosition:
    """A place in a log of text files.

    Attributes:
        path: the file, without the suffix of compression.
        size: the bytes of it, uncompressed, before the place.
    """

    path: str
    size: int


@dataclass(frozen=True)
class TablePosition:
    """A place in a log of tables.

    Attributes:
        table: the table that is written to there.
        id: of the last record before the place.
    """

    table: str
    id: int


Position = FilePosition | TablePosition


class Follower(ABC, Generic[Item]):
    """What comes to a log after a position. To be closed by whoever asked for it."""

    def __init__(self) -> None:
        # Wanted ones that were read and not yet asked for.
        self._waiting: list[Item] = []

    def read(self) -> Sequence[Entry] | None:
        """The next entries that are wanted; None where nothing has come by now.

        An empty answer says that there was something, but nothing wanted. Never waits.
        """
        items: Sequence[Item] | None = self._waiting
        self._waiting = []
        if not items:
            items = self._more()
        return None if items is None else list(map(self._entry, items))

    def pass_over(self, count: int) -> None:
        """Leave out the next `count` entries that are wanted, or as many as there are by now."""
        idle = 0
        # The end of a file may be believed only at the second look.
        while count > 0 and idle < 2:
            if not self._waiting:
                more = self._more()
                if more is None:
                    idle += 1
                    continue
                idle = 0
                self._waiting = list(more)
            passed = min(count, len(self._waiting))
            del self._waiting[:passed]
            count -= passed

    @abstractmethod
    def _more(self) -> Sequence[Item] | None:
        """Some more of what is wanted; None where nothing has come."""

    @abstractmethod
    def _entry(self, item: Item) -> Entry:
        """One of them as an entry."""

    @abstractmethod
    def close(self) -> None:
        """Close what it has open."""


class Source(ABC):
    """One log.

    Attributes:
        name: for messages.
        on_note: told what readers should know.
    """

    name: str

    def __init__(self, on_note: Note) -> None:
        self.on_note = on_note

    @abstractmethod
    def is_there(self) -> bool:
        """Whether there is anything to read.

        Raises:
            CannotRead: there is, and it can't be read.
        """

    @abstractmethod
    def entries(
        self,
        selection: Selection = EVERYTHING,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        end: Position | None = None,
        watch: Watch = unwatched,
    ) -> Iterator[Entry]:
        """The entries that pass, as they were written or the other way round.

        Args:
            selection: which are wanted.
            newest_first: begin with the last one; needs a limit.
            limit: at most so many.
            end: nothing behind this position; all there is at the beginning where None.
            watch: see `Watch`.

        Raises:
            CannotRead: see there.
        """

    def texts(
        self, selection: Selection, *, limit: int | None = None, watch: Watch = unwatched
    ) -> Iterator[bytes]:
        """The same as the bytes of text lines, some of them at a time, with their line ends."""
        from logd.text.reading import entry_text

        for entry in self.entries(selection, limit=limit, watch=watch):
            yield entry_text(entry).encode("utf-8", "backslashreplace") + b"\n"

    @abstractmethod
    def counts(
        self, selection: Selection, key: Key | None = None, watch: Watch = unwatched
    ) -> Counts:
        """How many entries pass, by `key`; without one, all under ""."""

    @abstractmethod
    def end(self) -> Position | None:
        """Where it ends now; None where nothing is there."""

    @abstractmethod
    def has(self, position: Position) -> bool:
        """Whether a position that the daemon gave is one in this log.

        Raises:
            CannotRead: see there.
        """

    def close(self) -> None:
        """Close what is kept open between calls; the next call opens it again."""

    @abstractmethod
    def follow(
        self, selection: Selection, start: Position | None, on_note: Note | None = None
    ) -> Follower[Any]:
        """What comes after `start`; all there will be where None.

        Args:
            selection: which entries are wanted.
            start: a position in this log.
            on_note: told what readers should know, in the place of the source's own.
        """
