"""The order of a log's files, and the name of the next one."""

from __future__ import annotations

from collections.abc import Sequence

from logd.outputs.disk import entries_of
from logd.outputs.files.age import KnownFiles
from logd.outputs.files.folder import is_there
from logd.outputs.files.logfolder import LogFolder
from logd.outputs.files.names import PlainNames, plain_name
from logd.outputs.files.resume import UNCOUNTED
from logd.rotation.policy import Closed

MAX_LISTED = 20
"""The most names of files in one message."""


class Succession:
    """The files of an open log in their order. Used under the log's lock.

    Args:
        folder: the log's folder.
        known: the files when the log was opened.

    Attributes:
        known: the files there are.
        foreseen: what the next file will be called; "" if that depends on the time. The journal is
            told of it (`Opened.next_name`), so it stays at that until a file is begun.
    """

    def __init__(self, folder: LogFolder, known: KnownFiles) -> None:
        self._folder = folder
        self._names = folder.names
        self.known = known
        self.foreseen, self._is_free = self._foresee(known)

    def closed(self) -> list[tuple[str, int]]:
        """The closed files that are there, as `Snapshot.files` has them."""
        there = set(map(plain_name, self._folder.files()))
        closed = self.known.closed
        for name in closed.keys() - there:
            del closed[name]
            self.known.written.pop(name, None)
        return list(closed.items())

    def next_name(self, now: float) -> str:
        """What to call the next file; if there is a file of that name, it is to be overwritten."""
        is_taken = self._is_free and is_there(self._folder.descriptor, self.foreseen)
        if self.foreseen and not is_taken:
            return self.foreseen
        # By date, or someone has put a file in the free place.
        return self._folder.following(self._order(self.known), now)

    def closed_name(self, started: float) -> str:
        """What a current file of plain name is to be renamed to when it is closed.

        Args:
            started: when its first record came.
        """
        names = self._names
        if not isinstance(names, PlainNames):
            raise AssertionError(f"files with names of their own are not renamed: {names!r}")
        # Whatever has the name of one of the log's files, even a folder, keeps it.
        with entries_of(self._folder.descriptor) as entries:
            there = {plain_name(entry.name) for entry in entries}
        return names.closed_name([*there, *self.known.closed], started)

    def with_file(self, name: str, lines: int, before: str) -> Succession:
        """The succession once `name` is the current file, with `lines` records in the one before.

        This one stays as it is: a file may fail to be begun.

        Args:
            name: the file.
            lines: records in the one before it.
            before: what that one is called by now; "": as it was.
        """
        known = self.known.copy()
        known.go_on(name, lines, before)
        return Succession(self._folder, known)

    def surplus_text(self, gone: Sequence[tuple[str, Closed]]) -> str:
        """What to say before files are removed that the settings no longer keep."""
        counts = [self.known.closed.get(plain_name(name), UNCOUNTED) for name, _ in gone]
        records = f"{sum(counts)} records, " if min(counts) > UNCOUNTED else ""
        size = sum(item.size for _, item in gone)
        names = ", ".join(name for name, _ in gone[:MAX_LISTED])
        more = f" and {len(gone) - MAX_LISTED} more" if len(gone) > MAX_LISTED else ""
        return (
            f"removing {len(gone)} files that the settings no longer keep "
            f"({records}{size} bytes): {names}{more}"
        )

    def _foresee(self, known: KnownFiles) -> tuple[str, bool]:
        if self._names.are_dated or self._names.current_name:
            return "", True
        order = self._order(known)
        name = self._folder.following(order, 0.0)
        return name, name not in order

    def _order(self, known: KnownFiles) -> list[str]:
        return self._folder.plain_order(known)
