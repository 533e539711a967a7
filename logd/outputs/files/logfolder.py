"""The folder of a log, as the log's files are seen in it: which there are, and how old they are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence

from logd.outputs.disk import entries_of
from logd.outputs.files.age import Age, KnownFiles, oldest_first
from logd.outputs.files.beginnings import Beginnings, SeenFile
from logd.outputs.files.names import Names, plain_name


class LogFolder:
    """A folder as the files of one log are seen in it.

    Args:
        descriptor: of the folder; stays the caller's.
        names: how the log's files are called.
        beginnings: tells how old they are.
    """

    def __init__(self, descriptor: int, names: Names, beginnings: Beginnings) -> None:
        self.descriptor = descriptor
        self.names = names
        self._beginnings = beginnings

    def files(self) -> dict[str, os.stat_result]:
        """The files of the folder, whatever they are."""
        found = {}
        with entries_of(self.descriptor) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_file(follow_symlinks=False):
                        found[entry.name] = entry.stat(follow_symlinks=False)
        return found

    def taken(self) -> list[str]:
        """Names of the log that a folder, a link or the like has, compressed or not; as plain."""
        with entries_of(self.descriptor) as entries:
            return [
                plain_name(entry.name)
                for entry in entries
                if self.names.matches(entry.name) and not entry.is_file(follow_symlinks=False)
            ]

    def following(self, files: Sequence[str], now: float) -> str:
        """The name of the next file, see `Names.following`; what is no file keeps its name."""
        return self.names.following(files, now, self.taken())

    def order(self, known: Sequence[str], found: Mapping[str, os.stat_result]) -> list[str]:
        """The log's files among those found, see `oldest_first`."""

        def age(name: str) -> Age:
            return self._beginnings.age(self.descriptor, name, SeenFile.of(found[name]))

        return oldest_first(found, known, self.names, age)

    def plain_order(self, known: KnownFiles) -> list[str]:
        """The plain names of the files that are there, oldest first, the current one last."""
        plain = dict.fromkeys(map(plain_name, self.order(known.names, self.files())))
        plain.pop(known.current, None)
        return [*plain, known.current]

    def begun(self, name: str) -> float | None:
        """When the first records of a file were logged; None if they don't tell."""
        try:
            state = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        begun_ns = self._beginnings.begun_ns(self.descriptor, name, SeenFile.of(state))
        return None if begun_ns is None else begun_ns / 1e9
