"""`logd query`: all that is kept, listed or counted."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import closing
from itertools import islice

import click

from logd.cli.bars import table
from logd.cli.printing import put, quiet_end
from logd.cli.progress import Progress
from logd.cli.reading import Reading, reading_options
from logd.query import summaries
from logd.query.places import first_there
from logd.query.source import Key, Source

_SHOWN_AT_ONCE = 512


@click.command()
@click.option("--count", is_flag=True, help="Only say how many entries there are.")
@click.option("--by", type=click.Choice(summaries.KEYS), help="How many there are of each.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(0),
    help="At most so many entries, or lines of --by.",
)
@reading_options
def query(reading: Reading, count: bool, by: Key | None, limit: int | None) -> None:
    """Find entries in all that is kept: every file of the ring, compressed ones too; every table.

    They come in the order in which they were written.

    \b
    Examples:
      logd query --cat E --since yesterday
          The errors of yesterday and today.
      logd query --since "2026-11-22 03:00" --until "2026-11-22 04:00"
          What happened that night.
      logd query --by hour --since "1 day ago"
          How much was logged, hour by hour.
      logd query --by site --cat E --limit 10
          The ten places in programs that log most errors.
      logd query --count --where user=ann
          How many entries are about ann.
    """
    if count and by is not None:
        raise click.UsageError("--count and --by: only one of them can be had")
    with quiet_end(), closing(first_there(reading.sources)) as source:
        progress = Progress()
        try:
            if count:
                number = summaries.count(source, reading.selection, watch=progress)
                progress.clear()
                put(f"{number:,}\n".encode() if sys.stdout.isatty() else f"{number}\n".encode())
            elif by is not None:
                _show_counts(reading, source, by, limit, progress)
            else:
                _show_entries(reading, source, limit, progress)
        finally:
            progress.clear()


def _show_entries(reading: Reading, source: Source, limit: int | None, progress: Progress) -> None:
    display, selection = reading.display, reading.selection
    if display.is_plain and not sys.stdout.isatty():
        # The lines of text files as they are, none taken apart.
        for data in source.texts(selection, limit=limit, watch=progress):
            progress.clear()
            put(data)
        return
    entries = source.entries(selection, limit=limit, watch=progress)
    while shown := list(islice(entries, _SHOWN_AT_ONCE if not sys.stdout.isatty() else 1)):
        progress.clear()
        put(display.data(shown))


def _show_counts(
    reading: Reading, source: Source, by: Key, limit: int | None, progress: Progress
) -> None:
    counts = summaries.count_by(source, reading.selection, by, watch=progress)[:limit]
    progress.clear()
    if reading.is_json:
        lines = [json.dumps({by: item.label, "count": item.entries}) for item in counts]
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        is_unicode = "utf" in (sys.stdout.encoding or "").lower()
        lines = table(counts, width, is_unicode=is_unicode)
    put("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
