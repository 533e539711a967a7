"""What a daemon called its tables in each database, kept in its state folder.

Rings of several daemons may share a database, so the catalogue alone can't tell whose tables of
another pattern are. With this note a changed `table_pattern` takes them along.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from logd.outputs.disk import FILE_MODE, make_folder

logger = logging.getLogger(__name__)

FILE_NAME = "table-patterns.json"


def last_used(folder: Path, database: str) -> str | None:
    """The pattern that was used last; None if that is unknown."""
    return _read(folder).get(database)


def note_used(folder: Path, database: str, pattern: str) -> None:
    """Remember it. A disk that refuses costs no more than the memory."""
    known = _read(folder)
    if known.get(database) == pattern:
        return
    fresh = folder / f".{FILE_NAME}.new"
    try:
        make_folder(folder)
        fresh.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(fresh, flags, FILE_MODE), "w") as file:
            json.dump({**known, database: pattern}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(folder / FILE_NAME)
    except OSError as exc:
        logger.warning("%s: not written: %s", folder / FILE_NAME, exc.strerror)


def _read(folder: Path) -> dict[str, str]:
    try:
        known = json.loads((folder / FILE_NAME).read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {key: value for key, value in known.items() if isinstance(value, str)}
