"""The last entries of a log and then what comes, without a gap and without a repetition.

A running daemon gives a live feed that says where in the log it begins; the log is read up to
there. Without a daemon the log itself is looked at again and again. If a feed ends, or its reader
was too slow for it, the log is read on from the position that the feed told last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from logd.query.live import LiveFeed, NoFeed
from logd.query.places import first_there
from logd.query.positions import CannotRead, Gone, Position
from logd.query.selection import Selection
from logd.query.source import Follower, LogSource, Note
from logd.records.entry import Entry

LOOK_EVERY_S = 0.2
"""How often a log without a daemon is worth a look."""


class Following:
    """Follows a log. First ask for `history`, then `read` again and again; `close` it.

    Args:
        sources: the places the log is kept in, the preferred one first.
        selection: which entries are wanted.
        control: path of the daemon's control socket; None: don't ask the daemon.
        on_note: told what the user should know.

    Raises:
        CannotRead: there is neither a daemon nor a log.
    """

    def __init__(
        self,
        sources: Sequence[LogSource],
        selection: Selection,
        control: Path | None,
        on_note: Note,
    ) -> None:
        self._selection = selection
        self._on_note = on_note
        self._follower: Follower[Any] | None = None
        self._source: LogSource | None = None
        self._start: Position | None = None
        self._feed = self._open_feed(sources, control) if control is not None else None
        if self._feed is None:
            self._source = first_there(sources)
            self._start = self._source.end()
            self._follower = self._source.follow(selection, self._start, on_note)

    def _open_feed(self, sources: Sequence[LogSource], control: Path) -> LiveFeed | None:
        try:
            feed = LiveFeed(control, self._selection)
        except NoFeed as exc:
            self._on_note(f"no daemon answers ({exc}): following what it has written")
            return None
        self._start = feed.position
        if self._start is not None:
            self._source = next((s for s in sources if s.has(self._start)), None)
        if sources and self._source is None:
            feed.close()
            self._on_note(
                f"the daemon at {control} writes to {feed.output or 'no log that can be read'}: "
                f"following {sources[0].name}"
            )
            return None
        return feed

    @property
    def is_live(self) -> bool:
        """Whether the daemon tells of new entries."""
        return self._feed is not None

    def fileno(self) -> int | None:
        """What becomes readable when `read` has something; None: call it every `LOOK_EVERY_S`."""
        return None if self._feed is None else self._feed.fileno()

    def history(self, count: int) -> list[Entry]:
        """The last entries before `read`'s first, oldest first."""
        if not count or self._source is None or self._start is None:
            return []
        try:
            last = self._source.entries(
                self._selection, newest_first=True, limit=count, end=self._start
            )
            return list(last)[::-1]
        except Gone:  # the log goes on faster than it is read
            return []

    def since(self, start: Position | None) -> Iterator[Entry]:
        """All entries between a position and `read`'s first."""
        if self._source is None or self._start is None:
            return iter(())
        return self._source.entries(self._selection, start=start, end=self._start)

    @property
    def position(self) -> Position | None:
        """The place behind what was read by now; None if it is not known."""
        if self._feed is not None:
            return self._feed.position
        return None if self._follower is None else self._follower.position()

    @property
    def source(self) -> LogSource | None:
        """The log that is followed; None if it can't be read."""
        return self._source

    def read(self) -> Sequence[Entry] | None:
        """New entries that pass, perhaps none of those that came; None if nothing came.

        Raises:
            CannotRead: the log can't be read, or the feed of a daemon that keeps none has ended.
        """
        if self._feed is None:
            assert self._follower is not None  # noqa: S101 - the one or the other
            return self._follower.read()
        entries = self._feed.read()
        wanted = [entry for entry in entries if self._selection.matches(entry)]
        if self._feed.skipped and self._source is not None:
            self._turn_to_log("too slow for the live feed")
            return wanted
        if self._feed.skipped:
            self._on_note(f"{self._feed.skipped} entries left out: they were not taken fast enough")
            self._feed.skipped = 0
        if self._feed.has_ended:
            self._turn_to_log(self._feed.why_ended)
        return wanted or None

    def _turn_to_log(self, reason: str) -> None:
        assert self._feed is not None  # noqa: S101 - the caller has looked
        position = self._feed.position
        self._feed.close()
        self._feed = None
        if self._source is None:
            raise CannotRead(f"{reason}, and it keeps no log that can be read")
        self._follower = self._source.follow(self._selection, position, self._on_note)
        self._on_note(f"{reason}: following {self._source.name}")

    def close(self) -> None:
        """Leave the feed, close the log."""
        if self._feed is not None:
            self._feed.close()
        if self._follower is not None:
            self._follower.close()
