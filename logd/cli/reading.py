"""Options of the commands that read logs: where from, which entries, how they are shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from logd.cli import EXIT_FAILED
from logd.cli.display import OUTPUTS, Display, make_display
from logd.cli.selecting import NAMES as SELECTING_NAMES
from logd.cli.selecting import SELECTING_OPTIONS, selection_of
from logd.query.merged import MergedSource
from logd.query.patience import Patience
from logd.query.places import first_there, sources_of
from logd.query.selection import Selection
from logd.query.source import LogSource
from logd.settings.controlpath import SYSTEM_CONFIG, control_path
from logd.settings.forreaders import reader_settings
from logd.settings.table import Config
from logd.text.escaping import escape


@dataclass(frozen=True)
class WhatToRead:
    """What a command is to read.

    Attributes:
        sources: where the log may be, the preferred place first.
        control: where the daemon's control socket would be.
        selection: which entries.
        display: how they are shown.
        output: the name of that, see `logd.cli.display.OUTPUTS`.
        uses_pager: whether a pager may be used.
    """

    sources: Sequence[LogSource]
    control: Path
    selection: Selection
    display: Display
    output: str
    uses_pager: bool

    def open(self) -> LogSource:
        """The log.

        Raises:
            CannotRead: there is none.
        """
        return first_there(self.sources)


def note(text: str) -> None:
    """Tell the user something on standard error, be it quoted from whatever was logged."""
    print(f"logd: {escape(text)}", file=sys.stderr, flush=True)


@contextmanager
def failing_if_damaged(source: LogSource) -> Iterator[None]:
    """End the command with status 1 if part of the log could not be read; a note has said which."""
    yield
    if source.is_damaged:
        sys.exit(EXIT_FAILED)


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options; it is called with `reading`."""

    @wraps(command)
    def called(
        config: str | None,
        file: tuple[str, ...],
        db: tuple[str, ...],
        table_pattern: str | None,
        control: str | None,
        color: str,
        output: str | None,
        json: bool,
        format: str | None,  # noqa: A002 - the option's name
        pager: bool,
        **others: Any,
    ) -> None:
        given = {"--json": json, "--format": format is not None, "--output": output is not None}
        if sum(given.values()) > 1:
            names = " and ".join(name for name, is_given in given.items() if is_given)
            raise click.UsageError(f"{names} can not be given together")
        options = {name: others.pop(name) for name in SELECTING_NAMES}
        settings, unset = _settings(config, file, db, table_pattern, control)
        selection = selection_of(options, [settings.state_folder / "web" / "views"])
        kind = "jsonl" if json else output or "text"
        display = make_display(
            kind, fmt=format, color=color, timestamp=settings.timestamp, on_note=note
        )
        sources: Sequence[LogSource] = sources_of(settings, note, unset=unset)
        if len(file) + len(db) > 1:
            sources = [MergedSource(sources, note)]
        with Patience() as patience:
            if any(not term.is_plain for term in selection.terms):
                selection = replace(selection, patience=patience)
            reading = WhatToRead(sources, control_path(settings), selection, display, kind, pager)
            command(reading=reading, **others)

    for option in reversed((*SELECTING_OPTIONS, *_OPTIONS, *_SOURCE_OPTIONS)):
        called = option(called)
    return called


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the log is; it gets `sources` and `settings`."""

    @wraps(command)
    def called(
        config: str | None,
        file: tuple[str, ...],
        db: tuple[str, ...],
        table_pattern: str | None,
        control: str | None,
        **others: Any,
    ) -> None:
        settings, unset = _settings(config, file, db, table_pattern, control)
        command(sources=sources_of(settings, note, unset=unset), settings=settings, **others)

    for option in reversed(_SOURCE_OPTIONS):
        called = option(called)
    return called


_OPTIONS = (
    click.option(
        "--output",
        "-o",
        type=click.Choice(OUTPUTS),
        help="How to show entries: as lines of the log (text), one JSON list (json), one JSON "
        "object per line (jsonl), CSV or logfmt.  [text]",
    ),
    click.option("--json", is_flag=True, help="The same as --output jsonl."),
    click.option(
        "--format",
        metavar="FORMAT",
        help="Show as logging.Formatter would: '%(asctime)s %(cat)s %(message)s'.",
    ),
    click.option(
        "--color",
        type=click.Choice(("auto", "always", "never")),
        default="auto",
        help="Colour lines by category. auto: on a terminal, unless NO_COLOR is set.",
    ),
    click.option(
        "--pager/--no-pager",
        default=True,
        help="On a terminal, show entries in $LOGD_PAGER, $PAGER or less.",
    ),
)

_SOURCE_OPTIONS = (
    click.option(
        "--config",
        metavar="FILE",
        type=click.Path(),
        help=f"The daemon's settings, which say where the log is. Not given: the file that "
        f"LOGD_CONFIG names, or {SYSTEM_CONFIG} if it exists.",
    ),
    click.option(
        "--file",
        metavar="PATTERN ...",
        type=click.Path(),
        multiple=True,
        help="Read these text files instead. Several are read as one log, in the order of time.",
    ),
    click.option(
        "--db",
        metavar="URL ...",
        multiple=True,
        help="Read the tables of this database instead. With --file: read both.",
    ),
    click.option("--table-pattern", metavar="PATTERN", help="Names of the tables, such as log_%d."),
    click.option(
        "--control",
        metavar="PATH",
        type=click.Path(readable=False),
        help="The daemon's control socket.",
    ),
)


def _settings(
    config: str | None,
    file: tuple[str, ...],
    db: tuple[str, ...],
    table_pattern: str | None,
    control: str | None,
) -> tuple[Config, set[str]]:
    """The settings, and the names of those that nobody has set."""
    given: dict[str, str | tuple[str, ...]] = {}
    if file or db:
        given |= {"file": file or ("",), "db": db or ("",)}
    for name, value in (("table_pattern", table_pattern), ("control", control)):
        if value is not None:
            given[name] = value
    in_force = reader_settings(given, config)
    unset = {name for name, origin in in_force.origins.items() if origin == "default"}
    # The settings are those of other files or tables, perhaps.
    if file:
        unset.add("rotate_count")
    if db and table_pattern is None:
        unset.add("table_pattern")
    return in_force.config, unset
