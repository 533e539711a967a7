"""From settings to sources: where the log of a daemon with these settings is kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from logd.query.files.source import FileSource
from logd.query.positions import CannotRead
from logd.query.source import Note, Source
from logd.settings.secrets import reveal

if TYPE_CHECKING:
    from logd.settings.table import Config

logger = logging.getLogger(__name__)


def sources_of(
    config: Config, on_note: Note = logger.warning, *, unset: Set[str] = frozenset()
) -> list[Source]:
    """A source for each output of the settings that can be read: files, then databases.

    Args:
        config: the settings.
        on_note: see `Source`.
        unset: names of settings with a value that nobody has set: the daemon may have another,
            from its command line, so what the files and tables tell themselves goes before it.

    Raises:
        CannotRead: an address can't be used.
    """
    sources: list[Source] = [
        FileSource(
            pattern,
            on_note,
            count=None if "rotate_count" in unset else config.rotate_count,
            timestamp=config.timestamp,
            is_own_format=config.line_format in (None, "json"),
        )
        for pattern in config.file
    ]
    if config.db:
        # Late, as it brings SQLAlchemy.
        from logd.query.tables.rings import open_tables

        pattern = None if "table_pattern" in unset or config.shared_marks else config.table_pattern
        sources += [open_tables(address, on_note, pattern) for address in map(reveal, config.db)]
    return sources


def first_there(sources: Sequence[Source]) -> Source:
    """The first source with something to read.

    Raises:
        CannotRead: there is none; says where was looked.
    """
    problem = None
    for source in sources:
        try:
            if source.is_there():
                return source
        except CannotRead as exc:
            problem = problem or exc
    if problem is not None:
        raise problem
    names = ", ".join(source.name for source in sources)
    raise CannotRead(nothing_there(names))


def nothing_there(names: str) -> str:
    """What to say if none of these sources has anything to read."""
    if not names:
        return "nothing to read: the settings have no file and no database"
    return f"nothing to read: there is no {names}"


def open_source(
    config: Config, on_note: Note = logger.warning, *, unset: Set[str] = frozenset()
) -> Source:
    """The log of a daemon with these settings: of its outputs the first that can be read.

    Raises:
        CannotRead: there is none.
    """
    return first_there(sources_of(config, on_note, unset=unset))
