"""From settings to sources: where the log of a daemon with these settings is kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from logd.query.files.source import FileSource
from logd.query.merged import MergedSource
from logd.query.positions import CannotRead
from logd.query.source import LogSource, Note
from logd.settings.secrets import reveal
from logd.settings.table import READABLE_FORMATS

if TYPE_CHECKING:
    from logd.settings.sections import OutputSection
    from logd.settings.table import Config

logger = logging.getLogger(__name__)

PARTITION = "%p"
"""Stands for the number of a partition in the names of a store's logs."""

MAX_PARTITIONS = 256


def sources_of(
    config: Config, on_note: Note = logger.warning, *, unset: Set[str] = frozenset()
) -> list[LogSource]:
    """A source for each output of the settings that can be read; those with all records first.

    Args:
        config: the settings.
        on_note: see `LogSource`.
        unset: names of settings with a value that nobody has set: the daemon may have another,
            from its command line, so what the files and tables tell themselves goes before it.

    Raises:
        CannotRead: an address can't be used.
    """
    outputs = config.each_output()
    # What is named for this command alone may be an output with settings of its own.
    own = {section.spec: (section, settings) for section, settings in outputs}
    outputs = [own[spec] for spec in dict.fromkeys(section.spec for section, _ in outputs)]
    outputs.sort(key=lambda output: (output[0].select is not None, output[0].place != "file"))
    sources = (source_of(section, own, on_note, unset) for section, own in outputs)
    return [source for source in sources if source is not None]


def source_of(
    section: OutputSection, config: Config, on_note: Note, unset: Set[str] = frozenset()
) -> LogSource | None:
    """The source for one output with its settings; None if it can't be read."""
    unset = unset - {name for name, _ in section.own}
    if section.place == "file" and PARTITION in section.address:
        parts = _partitions(section, config, on_note, unset)
        return parts[0] if len(parts) == 1 else MergedSource(parts, on_note)
    if section.place == "file":
        return FileSource(
            section.address,
            on_note,
            count=None if "rotate_count" in unset else config.rotate_count,
            timestamp=config.timestamp,
            is_own_format=config.line_format in READABLE_FORMATS,
        )
    if section.place == "db":
        # Late, as it brings SQLAlchemy.
        from logd.query.tables.rings import open_tables

        is_unknown = "table_pattern" in unset or config.shared_marks
        pattern = None if is_unknown else config.table_pattern
        return open_tables(reveal(section.address), on_note, pattern)
    return None


def _partitions(
    section: OutputSection, config: Config, on_note: Note, unset: Set[str]
) -> list[LogSource]:
    """The logs of all partitions that are there; that of the first if there is none."""
    found: list[LogSource] = []
    for number in range(MAX_PARTITIONS):
        own = replace(section, address=section.address.replace(PARTITION, str(number)))
        source = source_of(own, config, on_note, unset)
        if source is not None and (source.is_there() or number == 0):
            found.append(source)
    return [source for source in found if source.is_there()] or found


def first_there(sources: Sequence[LogSource]) -> LogSource:
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
) -> LogSource:
    """The log of a daemon with these settings: of its outputs the first that can be read.

    Raises:
        CannotRead: there is none.
    """
    return first_there(sources_of(config, on_note, unset=unset))
