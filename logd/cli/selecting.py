"""Options that say which entries are wanted; the same for all commands that read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from logd.query.selection import Selection
from logd.query.terms import WrongSelection
from logd.query.views import FIELD_OPTIONS, Wishes, find_view, read_view
from logd.query.when import UNDERSTOOD, parse_range, parse_when

VIEWS_FOLDER = Path("/etc/logd/views")
"""Views for all users of the machine; those of `logd web` in the state folder come first."""

_HELPS = {
    "cat": ("E,W ...", 'Categories; "-" for entries without one.'),
    "site": ("FILE(LINE) ...", "Source files that logged, with or without the line."),
    "host": ("ADDRESS ...", 'Addresses that entries came from; "-" for this machine.'),
    "logger": ("NAME ...", "Names of loggers; shop.* for all below shop."),
    "thread": ("NAME ...", "Names of threads."),
    "func": ("NAME ...", "Names of functions that logged."),
    "exc": ("TYPE ...", "Types of exceptions in tracebacks."),
    "pid": ("N[@HOST] ...", "Process ids of senders."),
}

SELECTING_OPTIONS = (
    click.argument("q", metavar="[SELECTION]...", nargs=-1),
    *(
        click.option(f"--{name}", metavar=_HELPS[name][0], multiple=True, help=_HELPS[name][1])
        for name in FIELD_OPTIONS
    ),
    click.option(
        "--since",
        metavar="TIME",
        help='Only entries from this time on: "10 min ago", "yesterday", ...',
    ),
    click.option("--until", metavar="TIME", help="Only entries logged before this time."),
    click.option(
        "--grep",
        "-g",
        metavar="REGEX ...",
        multiple=True,
        help="Only entries whose message matches this regular expression.",
    ),
    click.option(
        "--where",
        metavar="KEY=VALUE ...",
        multiple=True,
        help="Only entries whose item KEY has this value; also !=, <, <=, >, >=, ~REGEX.",
    ),
    click.option(
        "--not",
        "excluded",
        metavar="FIELD=VALUE ...",
        multiple=True,
        help="Leave out entries with this value.",
    ),
    click.option("--ignore-case", "-i", is_flag=True, help='Treat "a" and "A" as the same.'),
    click.option(
        "--view",
        metavar="NAME",
        help=f"Only entries that the view NAME selects, and that match all other options. A view "
        f"is NAME.toml in {VIEWS_FOLDER}, or a path.",
    ),
)

NAMES = ("q", *FIELD_OPTIONS, "since", "until", "grep", "where", "excluded", "ignore_case", "view")
"""The parameters that these options give a command."""


def selection_of(options: dict[str, Any], folders: Sequence[Path]) -> Selection:
    """The selection of the options' values.

    Args:
        options: by the names of `NAMES`.
        folders: where views are, besides `VIEWS_FOLDER`.

    Raises:
        click.UsageError: something can't be understood.
    """
    wishes = Wishes(
        q=options["q"],
        fields={name: options[name] for name in FIELD_OPTIONS if options[name]},
        excluded=options["excluded"],
        where=options["where"],
        grep=options["grep"],
        since=options["since"],
        until=options["until"],
        ignore_case=options["ignore_case"],
    )
    try:
        terms = wishes.terms()
        since, until = wishes.since, wishes.until
        if options["view"] is not None:
            view = read_view(find_view(options["view"], [*folders, VIEWS_FOLDER]))
            terms = (*view.terms(), *terms)
            since, until = since or view.since, until or view.until
    except WrongSelection as exc:
        raise click.UsageError(str(exc)) from None
    start, end = _range(since, until)
    return Selection(since=start, until=end, terms=terms)


def _range(since: str | None, until: str | None) -> tuple[float | None, float | None]:
    now = time.time()
    for option, text in (("--since", since), ("--until", until)):
        if text is not None:
            try:
                parse_when(text, now)
            except ValueError:
                message = f"{text!r} is not a time: expected one of {UNDERSTOOD}"
                raise click.BadParameter(message, param_hint=option) from None
    try:
        return parse_range(since, until, now)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
