"""Cursors on the command line and in files: where a reader goes on the next time."""

from __future__ import annotations

import os
from pathlib import Path

import click

from logd.cli.reading import note
from logd.errors import LogdError
from logd.query.positions import MAX_CURSOR_CHARS, Gone, Position
from logd.query.source import LogSource

cursor_file_option = click.option(
    "--cursor-file",
    metavar="PATH",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Begin after the cursor in this file. At the end, write the last entry's cursor to it.",
)


def read_cursor(path: Path | None) -> str | None:
    """The cursor in a file; None if there is no file yet, or it is empty.

    Raises:
        LogdError: the file can't be read.
    """
    if path is None:
        return None
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(MAX_CURSOR_CHARS + 1).strip() or None
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise LogdError(f"cursor file {path}: {exc.strerror}") from exc


def write_cursor(path: Path, cursor: str) -> None:
    """Keep a cursor: the file holds the old one or the new one, whatever happens.

    Raises:
        LogdError: the file can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(f"{cursor}\n", encoding="ascii")
        temporary.replace(path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise LogdError(f"cursor file {path}: {exc.strerror}") from exc


def start_of(source: LogSource, cursor: str | None) -> Position | None:
    """Where to begin: with the oldest entry, and a note, if what was at the cursor is no more.

    Raises:
        WrongCursor: the text is no cursor of this log.
    """
    if cursor is None:
        return None
    position = source.position(cursor)
    try:
        # Whatever is found there tells that it is there.
        next(source.placed(start=position), None)
    except Gone as exc:
        note(f"{exc}: going on with the oldest entry that there is")
        return None
    return position
