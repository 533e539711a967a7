"""File names and call paths as text: `views.py(42)<-urls.py(10)<-...`.

`LogServer` shows them as it was told (short or full); if records are formatted without one,
`ShortNames` serves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Protocol

Path = tuple[tuple[str | None, int | None], ...]
"""Call path: (file name, line number), the log call first; (None, None) for a hidden file."""

_SEPARATOR = re.compile(r"[/\\]")


def short_name(name: str) -> str:
    """The name without its folders, be they of Unix or of Windows."""
    return _SEPARATOR.split(name)[-1]


def path_text(
    path: Iterable[tuple[str | None, int | None]],
    format_fname: Callable[[str | None], str | None],
    imin: int = 0,
) -> str:
    """A call path from item `imin` on; hidden files in a row are one `...`."""
    steps: list[str] = []
    for name, line in islice(path, imin, None):
        if name is not None:
            steps.append(f"{format_fname(name)}({line})")
        elif not steps or steps[-1] != "...":
            steps.append("...")
    return "<-".join(steps)


class PathFormatter(Protocol):
    """Makes the text of file names and call paths; `LogServer` is one."""

    def format_fname(self, name: str | None) -> str | None:
        """A file name as configured (short or full); None for None."""

    def pathAsStr(self, path: Path, imin: int = 0) -> str:
        """The call path from item `imin` on, as text; empty if nothing is left."""


class ShortNames:
    """Shows file names without their folders."""

    def format_fname(self, name: str | None) -> str | None:
        """The file name alone; None for None."""
        return None if name is None else short_name(name)

    def pathAsStr(self, path: Iterable[tuple[str | None, int | None]], imin: int = 0) -> str:
        """The call path from item `imin` on, as text."""
        return path_text(path, self.format_fname, imin)
