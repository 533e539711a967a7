"""`logd query`: finds, lists and counts entries in all that is kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from itertools import chain, islice
from pathlib import Path

import click

from logd.cli.counting import TOP_FOR_PEOPLE, Counting, check_by, show_counts
from logd.cli.cursors import cursor_file_option, read_cursor, start_of, write_cursor
from logd.cli.cutting import NARROW, cut, shortened, terminal_columns
from logd.cli.display import SHOWN_AT_ONCE
from logd.cli.pager import paged
from logd.cli.printing import put, quiet_end
from logd.cli.progress import Progress
from logd.cli.reading import WhatToRead, failing_if_damaged, note, reading_options
from logd.cli.shortcount import ShortCount
from logd.query.advice import advice
from logd.query.budget import Budget
from logd.query.contexts import SCOPES, Scope, Surroundings, with_context
from logd.query.merged import MergedSource
from logd.query.positions import CannotRead, Gone, Placed, Position
from logd.query.source import LogSource
from logd.records.entry import Entry

_COUNTING_S = 0.2
"""How long is counted what `--limit` leaves out."""

_GAP = b"--\n"


@click.command(cls=ShortCount, short_option="--limit")
@click.option("--count", is_flag=True, help="Only say how many entries there are.")
@click.option(
    "--by",
    metavar="FIELD[,FIELD] ...",
    multiple=True,
    help="Count by a field: cat, site, host, pid, logger, exc, ... or any special item; by "
    "traceback (the same cause); by minute, hour, day, or auto (a time step that fits).",
)
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(1),
    help=f"Show at most N lines of each --by.  [all; on a terminal {TOP_FOR_PEOPLE}]",
)
@click.option(
    "--new-since",
    metavar="TIME|MARK",
    help="Show only what --by finds for the first time since then: a time, or a deployment. A "
    "record marks a deployment if its logger is deploy, or if it has an item version and begins "
    'with "deploy" or "rollback".',
)
@click.option(
    "--limit",
    "-n",
    metavar="N",
    type=click.IntRange(0),
    help="At most N entries; -5 is short for -n 5.",
)
@click.option("--reverse", "-r", is_flag=True, help="Show the newest first.")
@click.option(
    "-A",
    "--after",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    help="Also N entries after each.",
)
@click.option(
    "-B",
    "--before",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    help="Also N entries before each.",
)
@click.option(
    "-C", "around", metavar="N", type=click.IntRange(0), help="Also N before and N after each."
)
@click.option(
    "--context",
    "scope",
    type=click.Choice(SCOPES),
    help="Let -A, -B and -C show only entries of the same request, thread or process.  [all]",
)
@click.option("--after-cursor", metavar="CURSOR", help="Show only entries after this cursor.")
@cursor_file_option
@click.option(
    "--set-aside",
    is_flag=True,
    help="Read what was cut off the log after crashes instead. Its senders were not told that it "
    "was stored, and have sent most of it again.",
)
@click.option("--full", is_flag=True, help="On a terminal without a pager, show whole lines.")
@click.option("--show-cursor", is_flag=True, help="At the end, print the last entry's cursor.")
@reading_options
def query(
    reading: WhatToRead,
    count: bool,
    by: tuple[str, ...],
    top: int | None,
    new_since: str | None,
    limit: int | None,
    reverse: bool,
    after: int,
    before: int,
    around: int | None,
    scope: Scope | None,
    after_cursor: str | None,
    cursor_file: Path | None,
    set_aside: bool,
    full: bool,
    show_cursor: bool,
) -> None:
    """Find entries in the whole log: all files, also compressed ones, or all tables.

    Entries appear in the order in which they were written. SELECTION is words such as cat:E,
    -host:10.0.0.7, user:ann, 'ms:>500', '"card declined"' or '/time(d )?out/'. The options say the
    same. If a field is given twice, an entry needs one of the values. Different fields must all
    match.

    \b
    Examples:
      logd query --cat E --since yesterday
          The errors of yesterday and today.
      logd query cat:E '"card declined"' -C 5 --context request
          Errors with this text, and what else happened in their requests.
      logd query --since "2026-11-22 03:00" --until "2026-11-22 04:00"
          What happened that night.
      logd query --by auto --by site --cat E --top 10
          When errors came, and the ten places that logged most of them.
      logd query --by traceback --new-since 2.14.0
          Causes of exceptions that were not there before that deployment.
    """
    if count and by:
        raise click.UsageError("--count and --by can not be given together")
    if new_since is not None and count:
        raise click.UsageError("--new-since needs --by")
    check_by(by)
    width = around or 0
    has_context = bool(after or before or width)
    if scope is not None and not has_context:
        after = before = 10
        has_context = True
    if reverse and has_context:
        raise click.UsageError("--reverse can not be given together with -A, -B, -C or --context")
    context = Surroundings(max(before, width), max(after, width), scope or "all")
    with (
        quiet_end(),
        closing(_opened(reading, set_aside=set_aside)) as source,
        failing_if_damaged(source),
        _paged(reading) as is_paged,
    ):
        progress = Progress(is_wanted=not is_paged)
        try:
            if count or by or new_since is not None:
                counting = Counting(
                    by or (() if count else ("traceback",)),
                    limit if top is None else top,
                    new_since,
                    is_for_people=reading.output == "text" and (is_paged or sys.stdout.isatty()),
                )
                is_seen = is_paged or sys.stdout.isatty()
                show_counts(
                    reading, source, counting, progress, terminal_columns() if is_seen else None
                )
                return
            start = start_of(source, after_cursor or read_cursor(cursor_file))
            shown = Shown(
                reading,
                source,
                progress,
                is_paged=is_paged,
                is_full=full,
                needs_cursor=show_cursor or cursor_file is not None,
            )
            last = shown.entries(start, limit, context if has_context else None, is_reverse=reverse)
            _tell_cursor(source, last or start, cursor_file, show_cursor=show_cursor)
        finally:
            progress.clear()


def _opened(reading: WhatToRead, *, set_aside: bool) -> LogSource:
    source = reading.open()
    aside = source.aside()
    if set_aside:
        if not aside:
            raise CannotRead(f"{source.name}: nothing was set aside")
        return MergedSource(aside, note)
    if aside:
        note(f"{len(aside)} files of what a crash left are not shown: see --set-aside")
    return source


def _paged(reading: WhatToRead) -> AbstractContextManager[bool]:
    return paged(is_wanted=reading.uses_pager)


def _tell_cursor(
    source: LogSource, last: Position | None, file: Path | None, *, show_cursor: bool
) -> None:
    if last is None:
        return
    if file is not None:
        write_cursor(file, source.cursor(last))
    if show_cursor:
        note(f"cursor {source.cursor(last)}")


class Shown:
    """Shows entries.

    Args:
        reading: what is read, and how it is shown.
        source: the log.
        progress: told how far it is.
        is_paged: whether a pager shows it.
        is_full: whether long lines are shown whole on a terminal.
        needs_cursor: whether it has to be known exactly where what is shown ends.
    """

    def __init__(
        self,
        reading: WhatToRead,
        source: LogSource,
        progress: Progress,
        *,
        is_paged: bool = False,
        is_full: bool = False,
        needs_cursor: bool = False,
    ) -> None:
        self._reading = reading
        self._source = source
        self._progress = progress
        self._needs_cursor = needs_cursor
        self._is_terminal = is_paged or sys.stdout.isatty()
        self._is_fitted = self._is_terminal and reading.output == "text" and not is_full
        # In a pager the arrow keys show the rest.
        self._is_cut = self._is_fitted and not is_paged

    def entries(
        self,
        start: Position | None,
        limit: int | None,
        context: Surroundings | None,
        *,
        is_reverse: bool,
    ) -> Position | None:
        """Show them all; return the place behind what was looked at, None if it is not known."""
        reading, display = self._reading, self._reading.display
        # Nothing that comes while others are shown is among them, so that the cursor fits.
        is_whole = limit is None and not is_reverse
        end = self._source.end() if is_whole and self._needs_cursor else None
        if is_whole and context is None and display.is_plain and not self._is_terminal:
            self._texts(start, end)
            return end
        placed = self._source.placed(
            reading.selection, start=start, end=end, newest_first=is_reverse, watch=self._progress
        )
        first = next(placed, None)
        self._put(display.head().encode())
        shown = following = None
        if first is not None:
            found = chain([first], placed)
            wanted = found if limit is None else islice(found, limit)
            shown = self._all(wanted) if context is None else self._with_context(wanted, context)
            following = None if limit is None else next(found, None)
        self._put(display.foot().encode())
        if first is None:
            self._say_nothing()
            return end
        if following is not None:
            self._say_left_out(following, start, shown, is_reverse=is_reverse)
        last = None if shown is None else shown.behind
        last = first.behind if is_reverse else last
        return end or last

    def _texts(self, start: Position | None, end: Position | None) -> None:
        # The lines of text files as they are, none taken apart.
        is_empty = True
        texts = self._source.texts(
            self._reading.selection, start=start, end=end, watch=self._progress
        )
        for data in texts:
            is_empty = False
            self._put(data)
        if is_empty:
            self._say_nothing()

    def _all(self, placed: Iterator[Placed]) -> Placed | None:
        last: Placed | None = None

        def entries() -> Iterator[Entry]:
            nonlocal last
            for one in placed:
                last = one
                yield one.entry

        at_once = 1 if self._is_terminal else SHOWN_AT_ONCE
        for data in self._reading.display.portions(entries(), at_once):
            self._put_lines(data)
        return last

    def _with_context(self, found: Iterator[Placed], context: Surroundings) -> Placed | None:
        last: Placed | None = None

        def noted() -> Iterator[Placed]:
            nonlocal last
            for one in found:
                last = one
                yield one

        is_text = self._reading.output == "text"
        for one in with_context(self._source, noted(), context):
            if one.has_gap and is_text:
                self._put(_GAP)
            self._put_lines(self._reading.display.data([one.placed.entry]))
        return last

    def _put(self, data: bytes) -> None:
        self._progress.clear()
        put(data)

    def _put_lines(self, data: bytes) -> None:
        if self._is_fitted:
            # A window may change its width meanwhile.
            width = terminal_columns()
            lines = data.decode("utf-8", "backslashreplace").split("\n")
            if width < NARROW:
                lines = [shortened(line) for line in lines]
            if self._is_cut:
                is_unicode = "utf" in (sys.stdout.encoding or "").lower()
                lines = [cut(line, width, is_unicode=is_unicode) for line in lines]
            data = "\n".join(lines).encode("utf-8", "backslashreplace")
        self._put(data)

    def _say_nothing(self) -> None:
        self._progress.clear()
        note("no entries")
        for text in advice(self._source, self._reading.selection):
            note(text)

    def _say_left_out(
        self,
        following: Placed,
        start: Position | None,
        last: Placed | None,
        *,
        is_reverse: bool,
    ) -> None:
        """Say how many entries `--limit` left out: exactly, if that is known soon."""
        self._progress.clear()
        budget = Budget(seconds=_COUNTING_S)
        # If nothing was shown, all that pass are left out.
        if last is not None and not is_reverse:
            start = last.behind
        end = last.position if is_reverse and last is not None else None
        try:
            counted = self._source.summarise(
                self._reading.selection, start=start, end=end, budget=budget
            ).total
        except Gone:
            counted = 0
        number = "more entries"
        if counted:
            entries = "entry" if counted == 1 else "entries"
            number = f"{'at least ' if budget.next is not None else ''}{counted:,} more {entries}"
        when = f", the next of {following.entry.ts}" if following.entry.ts else ""
        go_on = ""
        if last is not None and not is_reverse:
            go_on = f"; to go on: --after-cursor {self._source.cursor(last.behind)}"
        note(f"--limit left out {number}{when}{go_on}")
