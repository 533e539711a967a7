"""`logd tail`: the last entries, and new ones as they come."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path

import click

from logd.cli.cursors import cursor_file_option, read_cursor, start_of, write_cursor
from logd.cli.printing import put, quiet_end, wait
from logd.cli.reading import WhatToRead, failing_if_damaged, note, reading_options
from logd.cli.shortcount import ShortCount
from logd.errors import LogdError
from logd.outputs.base import OutputUnavailable, OutputUnusable
from logd.query.advice import advice
from logd.query.following import LOOK_EVERY_S, Following
from logd.query.source import LogSource
from logd.records.entry import Entry
from logd.settings.table import Config

# While the daemon feeds us only the end of our reader is to be noticed otherwise.
_FED_WAIT_S = 60.0
_MAX_ENTRIES = 1_000_000


@click.command(cls=ShortCount, short_option="--lines")
@click.option(
    "--follow", "-f", is_flag=True, help="Then show new entries as they come, until Ctrl-C."
)
@click.option(
    "-n",
    "--lines",
    "count",
    metavar="N",
    type=click.IntRange(0, _MAX_ENTRIES),
    default=10,
    show_default=True,
    help="Show the last N entries; -5 is short for -n 5. To read the whole log: logd query.",
)
@cursor_file_option
@click.option(
    "--source",
    metavar="nats:URL",
    help="With -f: show what comes into this engine, before any daemon has stored it.",
)
@reading_options
def tail(
    reading: WhatToRead, follow: bool, count: int, cursor_file: Path | None, source: str | None
) -> None:
    """Show the last entries of the log. With -f, also show new ones as they come.

    New entries come from the running daemon. If none runs, the command watches the files or
    tables. It misses nothing at a rotation or a restart.

    \b
    Examples:
      logd tail -f
          The last ten entries, then new ones.
      logd tail -n 100 --cat E,W --since "2 hours ago"
          The last hundred errors and warnings of two hours.
      logd tail -f --grep 'timeout|refused' --where user=ann
          Entries of one user that match.
      logd tail --file '/srv/app/logs/app_%d.log' --json
          Entries of these files, as JSON.
    """
    with quiet_end():
        if source is not None:
            if not follow:
                raise click.UsageError("--source needs -f: an engine is no log to look back in")
            _follow_engine(reading, source)
        elif follow:
            _follow(reading, count, cursor_file)
        else:
            with closing(reading.open()) as log, failing_if_damaged(log):
                _last(reading, log, count, cursor_file)


def _last(reading: WhatToRead, source: LogSource, count: int, cursor_file: Path | None) -> None:
    start = start_of(source, read_cursor(cursor_file))
    newest = source.placed(reading.selection, start=start, newest_first=True)
    last = list(islice(newest, count))[::-1]
    display = reading.display
    put(display.head().encode())
    for data in display.portions(one.entry for one in last):
        put(data)
    put(display.foot().encode())
    if start is not None and last and next(newest, None) is not None:
        note("more entries came since the cursor than are shown: see --lines, or logd query")
    if not last and count:
        note("no entries")
        if start is None:
            for text in advice(source, reading.selection):
                note(text)
    if cursor_file is not None and last:
        write_cursor(cursor_file, source.cursor(last[-1].behind))


def _follow(reading: WhatToRead, count: int, cursor_file: Path | None) -> None:
    if reading.output == "json":
        raise click.UsageError(
            "--output json can not be used with -f, as a list has an end: use jsonl"
        )
    following = Following(reading.sources, reading.selection, reading.control, note)
    try:
        put(reading.display.head().encode())
        for data in reading.display.portions(_before(following, count, cursor_file)):
            put(data)
        if cursor_file is not None:
            _keep(following, cursor_file)
        while True:
            entries = following.read()
            if entries:
                for data in reading.display.portions(entries):
                    put(data)
            if entries is not None and cursor_file is not None:
                _keep(following, cursor_file)
            timeout_s = _FED_WAIT_S if following.is_live else LOOK_EVERY_S
            # If something came there may be more.
            if not wait(following.fileno(), 0.0 if entries is not None else timeout_s):
                return
    finally:
        following.close()


def _follow_engine(reading: WhatToRead, spec: str) -> None:
    # Late: few have an engine.
    from logd.engine.entry import engine_follower

    if reading.output == "json":
        raise click.UsageError("--output json can not be used with -f: use jsonl")
    try:
        follower = engine_follower(spec, Config().timestamp)
        follower.open()
    except (OutputUnusable, OutputUnavailable) as exc:
        raise LogdError(f"source {exc}") from exc
    try:
        put(reading.display.head().encode())
        while wait(None, 0.0):
            wanted = [entry for entry in follower.read() if reading.selection.matches(entry)]
            for data in reading.display.portions(wanted):
                put(data)
    finally:
        follower.close()


def _before(following: Following, count: int, cursor_file: Path | None) -> Iterable[Entry]:
    """What stands before the entries that will come: all behind the cursor, else the last ones."""
    cursor = read_cursor(cursor_file)
    source = following.source
    if cursor is None or source is None:
        return following.history(count)
    return following.since(start_of(source, cursor))


def _keep(following: Following, cursor_file: Path) -> None:
    position, source = following.position, following.source
    if position is not None and source is not None:
        write_cursor(cursor_file, source.cursor(position))
