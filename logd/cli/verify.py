"""`logd verify`: whether files and tables are what journal, catalogue and indexes say."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import closing

import click

from logd.cli import EXIT_FAILED
from logd.cli.printing import put, quiet_end
from logd.cli.progress import Progress
from logd.cli.reading import note, source_options
from logd.query.places import nothing_there
from logd.query.positions import CannotRead
from logd.query.source import LogSource
from logd.query.verifying import Checked
from logd.settings.table import Config
from logd.text.escaping import escape
from logd.text.quantities import counted


@click.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object for each file and table.")
@source_options
def verify(sources: Sequence[LogSource], settings: Config, is_json: bool) -> None:
    """Read every file and count every table, and compare them with journal, catalogue and index.

    If something is torn, missing, foreign, damaged or unreadable, the command names it, and the
    exit status is 1. It changes nothing, and the daemon may run meanwhile.
    """
    is_right = bool(sources)
    if not sources:
        note(nothing_there(""))
    with quiet_end():
        for source in sources:
            progress, is_there = Progress(), False
            with closing(source):
                try:
                    for checked in source.verify(progress):
                        progress.clear()
                        is_there = True
                        is_right = is_right and not checked.faults
                        put(_text(source.name, checked, is_json=is_json).encode())
                    if not is_there:
                        # A name that was misspelt must not look like a log that is whole.
                        raise CannotRead(nothing_there(source.name))
                except CannotRead as exc:
                    is_right = False
                    note(str(exc))
                finally:
                    progress.clear()
    if not is_right:
        sys.exit(EXIT_FAILED)


def _text(name: str, checked: Checked, *, is_json: bool) -> str:
    if is_json:
        return json.dumps({"log": name, **checked._asdict()}) + "\n"
    records = "" if checked.records is None else f", {counted(checked.records, 'record')}"
    lines = [f"{'wrong' if checked.faults else 'right'}  {escape(checked.name)}{records}"]
    lines += [f"       {escape(text)}" for text in (*checked.faults, *checked.notes)]
    return "".join(f"{line}\n" for line in lines)
