"""`logd replay`: dead letters, once what was wrong with the output is mended."""

from __future__ import annotations

from pathlib import Path

import click

from logd.cli import logs
from logd.cli.delivery import Delivery
from logd.cli.target import Target, target_options
from logd.errors import LogdError
from logd.outputs.deadletters import read_dead_letters


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--remove",
    is_flag=True,
    help="Remove FILE once all is stored. It is renamed to FILE.replaying first, so that letters "
    "that come meanwhile stay.",
)
@target_options
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Longest time for the delivery, after the file was read.",
)
def replay(target: Target, file: Path, remove: bool, timeout: float) -> None:
    """Send the records of a file of dead letters once more, as they were.

    A record that an output refuses for its content goes to dead-letters.jsonl in the daemon's
    state_dir, with the reason. Records go to all outputs of the daemon, also to those that did
    not refuse them: point it at a daemon with the one output that lacks them.

    \b
    Example:
      logd replay /var/lib/logd/dead-letters.jsonl --remove
    """
    logs.configure("warning")
    if remove:
        file = _taken_away(file)
    count = 0
    with Delivery(target, timeout) as delivery:
        for letter in read_dead_letters(file):
            delivery.proxy.log(letter.record)
            count += 1
        delivery.finish()
    if remove:
        file.unlink()
    click.echo(f"{file}: {count} records sent and stored")


def _taken_away(file: Path) -> Path:
    """Rename the file, unless a replay that did not come to its end did that already."""
    if file.suffix == ".replaying":
        return file
    renamed = file.with_name(file.name + ".replaying")
    if renamed.exists():
        raise LogdError(f"{renamed} is left of an earlier replay: replay that one first")
    return file.rename(renamed)
