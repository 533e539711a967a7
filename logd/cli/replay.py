"""`logd replay`: sends dead letters again, once the output is mended."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import click

from logd.cli import logs
from logd.cli.sending import Sending
from logd.cli.target import Target, target_options, timeout_option
from logd.errors import LogdError
from logd.outputs.deadletters import read_lines
from logd.text.quantities import counted

_SUFFIX = ".replaying"


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--remove",
    is_flag=True,
    help="Remove FILE when everything is stored. It is first renamed to FILE.replaying, so that "
    "new dead letters are kept. Lines that are no dead letters go to FILE.not-sent.",
)
@target_options
@timeout_option(60.0, "delivery takes longer, counted after the file was read")
def replay(target: Target, file: Path, remove: bool, timeout: float) -> None:
    """Send the records in a file of dead letters again.

    If an output refuses a record for its content, the daemon writes the record and the reason to
    dead-letters.jsonl in its state_dir. This command sends such records to a daemon, which writes
    them to all its outputs, also to those that have them already. To avoid this, send them to a
    daemon that has only the output that lacks them.

    \b
    Example:
      logd replay /var/lib/logd/dead-letters.jsonl --remove
    """
    logs.configure("warning")
    source = _taken_away(file) if remove else file
    count = 0
    rest: list[bytes] = []
    with Sending(target, timeout) as sending:
        for line, letter in read_lines(source):
            if letter is None:
                rest.append(line)
            else:
                sending.proxy.log(letter.record)
                count += 1
        sending.finish()
    place = _remove_sent(file, source, rest, is_any_sent=count > 0) if remove else source
    if count or not rest:
        click.echo(f"{source}: {counted(count, 'record')} sent and stored")
    if rest:
        one = "1 line is no dead letter and was"
        lines = one if len(rest) == 1 else f"{len(rest)} lines are no dead letters and were"
        raise LogdError(f"{lines} not sent: kept in {place}")


def _taken_away(file: Path) -> Path:
    """Rename the file, unless a replay that did not come to its end did that already."""
    if file.suffix == _SUFFIX:
        return file
    renamed = file.with_name(file.name + _SUFFIX)
    if renamed.exists():
        raise LogdError(f"{renamed} is left from an earlier replay: replay that file first")
    return file.rename(renamed)


def _remove_sent(file: Path, source: Path, rest: Sequence[bytes], *, is_any_sent: bool) -> Path:
    """Remove what was sent; lines that were not sent stay in the file that is returned."""
    if rest and not is_any_sent:
        # No dead letters at all, perhaps someone's only copy: it goes back to its place.
        if source != file:
            with contextlib.suppress(FileExistsError):
                file.hardlink_to(source)
                source.unlink()
        return file if file.exists() else source
    kept = file.with_name(file.name.removesuffix(_SUFFIX) + ".not-sent")
    if rest:
        with kept.open("ab") as target:
            target.writelines(line if line.endswith(b"\n") else line + b"\n" for line in rest)
            target.flush()
            os.fsync(target.fileno())
    source.unlink()
    return kept
