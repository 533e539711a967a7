"""The table of commands, and the group that imports one only when it is called."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import NamedTuple

import click

from logd import __version__

BEHIND_THE_DAEMON = 10
"""Niceness of commands that take all of a core: others go first if cores are short."""


class CommandRow(NamedTuple):
    """One command: its heading, the module and name it is found under, what it does.

    Its niceness holds from before the import on, which takes as long as a scan of 100 MB.
    """

    heading: str
    module: str
    attribute: str
    help: str
    niceness: int = 0


COMMANDS = {
    "serve": CommandRow(
        "Daemon", "logd.cli.serve", "serve", "Run the daemon: receive and write records."
    ),
    "config": CommandRow("Daemon", "logd.cli.config", "config", "Show or check settings."),
    "status": CommandRow(
        "Daemon", "logd.cli.status", "status", "Show what a running daemon is doing."
    ),
    "ping": CommandRow("Daemon", "logd.cli.ping", "ping", "Ask whether a daemon answers."),
    "send": CommandRow(
        "Records", "logd.cli.send", "send", "Send a message, or lines from standard input."
    ),
    "replay": CommandRow("Records", "logd.cli.replay", "replay", "Send dead letters again."),
    "queue": CommandRow(
        "Records", "logd.cli.queue", "queue", "Show, export or send what waits on disk."
    ),
    "tail": CommandRow(
        "Reading", "logd.cli.tail", "tail", "Show the last entries, and new ones as they come."
    ),
    "query": CommandRow(
        "Reading",
        "logd.cli.query",
        "query",
        "Find or count entries in all of the log.",
        BEHIND_THE_DAEMON,
    ),
    "disk": CommandRow(
        "Reading", "logd.cli.disk", "disk", "Show where the log lies, how old and large it is."
    ),
    "verify": CommandRow(
        "Reading",
        "logd.cli.verify",
        "verify",
        "Check that files and tables are whole.",
        BEHIND_THE_DAEMON,
    ),
    "web": CommandRow("Reading", "logd.cli.web", "web", "Show the log in the browser."),
}


class CommandTable(click.Group):
    """Finds commands in `COMMANDS`; its help needs none of them imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        # A sandbox may refuse that; the command is wanted all the same.
        with contextlib.suppress(OSError):
            os.nice(entry.niceness)
        command = getattr(import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - a slip in the table above
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading in dict.fromkeys(entry.heading for entry in COMMANDS.values()):
            with formatter.section(heading):
                formatter.write_dl(list(self._rows(heading)))

    def _rows(self, heading: str) -> Iterable[tuple[str, str]]:
        for name, entry in COMMANDS.items():
            if entry.heading == heading:
                yield name, entry.help


def _print_version(ctx: click.Context, _option: click.Parameter, is_given: bool) -> None:
    if is_given and not ctx.resilient_parsing:
        python = ".".join(map(str, sys.version_info[:3]))
        click.echo(f"logd {__version__} (Python {python})")
        ctx.exit()


@click.group(
    cls=CommandTable,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def logd() -> None:
    """A log daemon: many senders, one log, every record exactly once.

    \b
    logd serve                  run a daemon on port 9801, writing to logs
    logd send "hello" --cat I   write a line into its log
    logd COMMAND --help         explain a command
    """
