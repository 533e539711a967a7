"""Folders for what the daemon writes: closed to others, however many levels have to be made."""

from __future__ import annotations

from pathlib import Path

FOLDER_MODE = 0o750


def make_folder(path: Path) -> None:
    """Make a folder, and those it is in, for its owner and group; what exists stays as it is.

    `Path.mkdir(parents=True)` would open the levels above to everyone.

    Raises:
        OSError: the system refused.
    """
    missing = [path]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for folder in reversed(missing):
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
