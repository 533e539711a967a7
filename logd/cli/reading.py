"""Options of the commands that read logs: where from, which entries, how they are shown."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from logd.cli.display import Display, make_display
from logd.query.places import sources_of
from logd.query.selection import Selection
from logd.query.source import Source
from logd.query.when import UNDERSTOOD, parse_range, parse_when
from logd.settings.controlpath import SYSTEM_CONFIG, control_path
from logd.settings.loading import load
from logd.settings.sources import FILE_VARIABLE, Sources
from logd.settings.table import Config


@dataclass(frozen=True)
class Reading:
    """What a command is to read.

    Attributes:
        sources: where the log may be, the preferred place first.
        control: where the daemon's control socket would be.
        selection: which entries.
        display: how they are shown.
        is_json: whether as JSON.
    """

    sources: list[Source]
    control: Path
    selection: Selection
    display: Display
    is_json: bool


def note(text: str) -> None:
    """Tell the user something on standard error."""
    print(f"logd: {text}", file=sys.stderr, flush=True)


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options; it is called with `reading`."""

    @wraps(command)
    def called(
        config: str | None,
        file: str | None,
        db: str | None,
        table_pattern: str | None,
        control: str | None,
        color: str,
        json: bool,
        format: str | None,  # noqa: A002 - the option's name
        **others: Any,
    ) -> None:
        if file is not None and db is not None:
            raise click.UsageError("--file and --db: only one place can be read at a time")
        if json and format is not None:
            raise click.UsageError("--json and --format: only one of them can be had")
        names = ("cat", "since", "until", "pid", "grep", "where")
        selection = _selection(**{name: others.pop(name) for name in names})
        settings, unset = _settings(config, file, db, table_pattern, control)
        display = make_display(
            "json" if json else format, color=color, timestamp=settings.timestamp
        )
        sources = sources_of(settings, note, unset=unset)
        reading = Reading(sources, control_path(settings), selection, display, json)
        command(reading=reading, **others)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called


_OPTIONS = (
    click.option("--cat", metavar="E,W ...", multiple=True, help='Categories; "-" is none.'),
    click.option(
        "--since", metavar="TIME", help='The earliest time, such as "10 min ago" or "yesterday".'
    ),
    click.option("--until", metavar="TIME", help="The time before which entries were logged."),
    click.option("--pid", metavar="N", type=int, help="Process id of the sender."),
    click.option(
        "--grep", "-g", metavar="REGEX", help="A regular expression, found in the message."
    ),
    click.option("--where", metavar="KEY=VALUE ...", multiple=True, help="A special item's value."),
    click.option("--json", is_flag=True, help="Show JSON objects, one a line."),
    click.option(
        "--format",
        metavar="FORMAT",
        help="Show as logging.Formatter would: '%(asctime)s %(cat)s %(message)s'.",
    ),
    click.option(
        "--color",
        type=click.Choice(("auto", "always", "never")),
        default="auto",
        help="Colours by category; auto: on a terminal, unless NO_COLOR is set.",
    ),
    click.option(
        "--config",
        metavar="FILE",
        type=click.Path(),
        help=f"The daemon's settings: they tell where the log is. LOGD_CONFIG names the file, too; "
        f"else {SYSTEM_CONFIG} is read, where it is.",
    ),
    click.option(
        "--file", metavar="PATTERN", type=click.Path(), help="Read these text files instead."
    ),
    click.option("--db", metavar="URL", help="Read the tables of this database instead."),
    click.option("--table-pattern", metavar="PATTERN", help="Names of the tables, as log_%d."),
    click.option(
        "--control", metavar="PATH", type=click.Path(), help="The daemon's control socket."
    ),
)


def _settings(
    config: str | None,
    file: str | None,
    db: str | None,
    table_pattern: str | None,
    control: str | None,
) -> tuple[Config, set[str]]:
    """The settings, and the names of those that nobody has set."""
    # Who may read the log need not be able to read the token, and needs none.
    given: dict[str, str | tuple[str, ...]] = {"token_file": ""}
    if file is not None:
        given |= {"file": (file,), "db": ("",)}
    if db is not None:
        given |= {"db": (db,), "file": ("",)}
    for name, value in (("table_pattern", table_pattern), ("control", control)):
        if value is not None:
            given[name] = value
    sources = Sources.of_process(given, config)
    if sources.file is None and FILE_VARIABLE not in sources.environment and SYSTEM_CONFIG.exists():
        sources = Sources.of_process(given, str(SYSTEM_CONFIG))
    in_force = load(sources)
    unset = {name for name, origin in in_force.origins.items() if origin == "default"}
    # The settings are those of other files or tables, perhaps.
    if file is not None:
        unset.add("rotate_count")
    if db is not None and table_pattern is None:
        unset.add("table_pattern")
    return in_force.config, unset


def _selection(
    *,
    cat: tuple[str, ...],
    since: str | None,
    until: str | None,
    pid: int | None,
    grep: str | None,
    where: tuple[str, ...],
) -> Selection:
    cats = {word.strip() for text in cat for word in text.split(",")}
    start, end = _range(since, until)
    return Selection(
        cats=frozenset("" if word == "-" else word for word in cats) if cat else None,
        since=start,
        until=end,
        pid=pid,
        grep=None if grep is None else _pattern(grep),
        where=tuple(map(_item, where)),
    )


def _range(since: str | None, until: str | None) -> tuple[float | None, float | None]:
    now = time.time()
    for option, text in (("--since", since), ("--until", until)):
        if text is not None:
            try:
                parse_when(text, now)
            except ValueError:
                message = f"{text!r} is no time that is understood: expected one of {UNDERSTOOD}"
                raise click.BadParameter(message, param_hint=option) from None
    try:
        return parse_range(since, until, now)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as exc:
        message = f"{text!r} is no regular expression: {exc}"
        raise click.BadParameter(message, param_hint="--grep") from None


def _item(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise click.BadParameter(f"expected KEY=VALUE, got {text!r}", param_hint="--where")
    return key, value
