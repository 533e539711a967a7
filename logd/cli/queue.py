"""`logd queue`: what waits on disk for outputs, also for those that the settings no longer name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from logd.cli import logs
from logd.cli.printing import put
from logd.cli.sending import Sending
from logd.cli.statusscreen import size
from logd.cli.target import Target, target_options, timeout_option
from logd.errors import LogdError
from logd.outputs.base import OutputUnusable
from logd.outputs.deadletters import letter_of
from logd.outputs.diskqueue import DiskQueue
from logd.outputs.leftbehind import SPOOL_PREFIX, queues
from logd.outputs.oldspool import move_spool
from logd.outputs.queuefolder import PREFIX
from logd.outputs.queuestate import QueuePortion
from logd.records.shape import row_of, whole_of_job
from logd.text.escaping import escape
from logd.text.quantities import counted

_READ_BYTES = 1 << 20

_queue = click.argument("queue", type=click.Path(exists=True, path_type=Path))


@click.group()
def queue() -> None:
    """Show, export or send records that wait on disk for an output.

    A running daemon writes them to its outputs by itself. These commands are for a queue whose
    output is no longer in the settings, or for a machine that no longer runs a daemon.

    \b
    Examples:
      logd queue list /var/lib/logd
      logd queue export /var/lib/logd/queue-db_old.1a2b3c4d > old.jsonl
      logd queue send /var/lib/logd/queue-db_old.1a2b3c4d --port 9801 --remove
    """


@queue.command("list")
@click.argument("state_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
def list_queues(state_dir: Path) -> None:
    """List the queues in a daemon's STATE_DIR with their records, size and output."""
    for one in queues(state_dir):
        records = "an old spool" if one.records is None else counted(one.records, "record")
        click.echo(f"{one.path}  {records}  {size(one.size)}  output {escape(one.output)}")
    for path in sorted(state_dir.glob("damaged-*")):
        click.echo(f"{path}  damaged, set aside  {size(path.stat().st_size)}")


@queue.command()
@_queue
def export(queue: Path) -> None:
    """Print the records of QUEUE as lines of JSON. They stay in the queue.

    The lines have the format of dead letters: "logd replay FILE" sends them.
    """
    logs.configure("warning")
    with _opened(queue) as opened:
        for portion in _portions(opened):
            for batch in portion.batches:
                letters = [
                    letter_of(batch, row, "waited on disk", opened.name, kept_at)
                    for row, kept_at in enumerate(batch.time)
                ]
                # Not by click: a pipe that does not wait would get a part of them.
                put("".join(f"{letter}\n" for letter in letters).encode())


@queue.command()
@_queue
@click.option("--remove", is_flag=True, help="Remove the records from QUEUE when all are stored.")
@target_options
@timeout_option(60.0, "delivery takes longer, counted after the queue was read")
def send(target: Target, queue: Path, remove: bool, timeout: float) -> None:
    """Send the records of QUEUE to a daemon, which writes them to its outputs."""
    logs.configure("warning")
    count = 0
    with _opened(queue) as opened:
        portions: list[QueuePortion] = []
        with Sending(target, timeout) as sending:
            for portion in _portions(opened):
                portions.append(replace(portion, batches=()))
                for batch in portion.batches:
                    for job in batch.jobs():
                        sending.proxy.log(row_of(whole_of_job(job)))
                        count += 1
            sending.finish()
        if remove:
            for portion in portions:
                opened.done(portion)
    click.echo(f"{queue}: {counted(count, 'record')} sent and stored")


@contextmanager
def _opened(path: Path) -> Iterator[DiskQueue]:
    """The queue in a folder; that of a spool is filled with it first."""
    folder, spool = path, path.with_name(SPOOL_PREFIX + path.name.removeprefix(PREFIX))
    if path.is_file():
        folder, spool = path.with_name(PREFIX + path.name.removeprefix(SPOOL_PREFIX)), path
    name = next((one.output for one in queues(path.parent) if one.path == path), path.name)
    opened = DiskQueue(folder, name, limit_bytes=0, on_damage=_tell)
    try:
        opened.open()
        move_spool(spool, opened, bytes, _tell)
        yield opened
    except OutputUnusable as exc:
        raise LogdError(f"{exc}: stop the daemon first, or let it write the queue") from exc
    finally:
        opened.close()


def _tell(text: str) -> None:
    click.echo(f"logd: {text}", err=True)


def _portions(opened: DiskQueue) -> Iterator[QueuePortion]:
    while (portion := opened.read(_READ_BYTES)) is not None:
        yield portion
