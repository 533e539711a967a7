"""The files of a log as they were at one moment, held open while they are read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from logd.query.files.listing import FileRef, open_file

HELD_OPEN = 100
"""How many of the oldest files are opened at once, as the ring would overwrite them first; an open
file is there to its end. Rings of more files are rare, and the others are opened in their turn."""


class HeldOpen:
    """Files in their order; close it, or use it in a `with` block.

    Args:
        refs: the files, oldest first.

    Raises:
        CannotRead: a file can't be opened.
    """

    def __init__(self, refs: Sequence[FileRef]) -> None:
        self.refs = refs
        self._held: dict[FileRef, tuple[int, FileRef]] = {}
        try:
            for ref in refs[:HELD_OPEN]:
                opened = open_file(ref)
                if opened is not None:
                    self._held[ref] = opened
        except BaseException:
            self.close()
            raise

    @contextmanager
    def opened(self, ref: FileRef) -> Iterator[tuple[int, FileRef] | None]:
        """A descriptor and the file as it is now (perhaps compressed); None if it is gone."""
        opened = self._held.pop(ref, None) or open_file(ref)
        try:
            yield opened
        finally:
            if opened is not None:
                os.close(opened[0])

    def close(self) -> None:
        """Close what is still open."""
        while self._held:
            os.close(self._held.popitem()[1][0])

    def __enter__(self) -> HeldOpen:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
