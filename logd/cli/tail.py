"""`logd tail`: the last entries, and what comes."""

from __future__ import annotations

from contextlib import closing

import click

from logd.cli.printing import put, quiet_end, wait
from logd.cli.reading import Reading, note, reading_options
from logd.query.following import LOOK_EVERY_S, Following
from logd.query.places import first_there

# While the daemon feeds us only the end of our reader is to be noticed otherwise.
_FED_WAIT_S = 60.0
_MOST_ENTRIES = 1_000_000


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with the entries that come, till Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    "count",
    metavar="N",
    type=click.IntRange(0, _MOST_ENTRIES),
    default=10,
    show_default=True,
    help="So many of the last entries; for all of them there is logd query.",
)
@reading_options
def tail(reading: Reading, follow: bool, count: int) -> None:
    """Show the last entries of the log and, with -f, those that come.

    New entries come from the running daemon itself; without one, the files or tables are watched.
    Rotation and restarts lose nothing.

    \b
    Examples:
      logd tail -f
          The last ten entries and all that come.
      logd tail -n 100 --cat E,W --since "2 hours ago"
          The last hundred errors and warnings of two hours.
      logd tail -f --grep 'timeout|refused' --where user=ann
          What matches, of one user.
      logd tail --file '/srv/app/logs/app_%d.log' --json
          Of these files, as JSON.
    """
    with quiet_end():
        if follow:
            _follow(reading, count)
        else:
            with closing(first_there(reading.sources)) as source:
                last = list(source.entries(reading.selection, newest_first=True, limit=count))
            put(reading.display.data(reversed(last)))


def _follow(reading: Reading, count: int) -> None:
    following = Following(reading.sources, reading.selection, reading.control, note)
    try:
        put(reading.display.data(following.history(count)))
        while True:
            entries = following.read()
            if entries:
                put(reading.display.data(entries))
            timeout_s = _FED_WAIT_S if following.is_live else LOOK_EVERY_S
            # Where something came there may be more.
            if not wait(following.fileno(), 0.0 if entries is not None else timeout_s):
                return
    finally:
        following.close()
