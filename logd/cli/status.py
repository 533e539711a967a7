"""`logd status`: what a running daemon is doing, on one screen."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from logd.cli.display import is_colored
from logd.cli.statusscreen import colored, fitted, plain, screen
from logd.errors import LogdError
from logd.query.controlclient import ControlClient
from logd.settings.controlpath import candidates

EVERY_S = 1.0
REQUEST = {"do": "status"}


@click.command()
@click.option(
    "--control",
    metavar="PATH",
    # Whether this user may use it, and else whom to become, says the attempt.
    type=click.Path(readable=False),
    help="The daemon's control socket.",
)
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(),
    help="The daemon's settings, which say where its control socket is.",
)
@click.option("--watch", is_flag=True, help="Show it again every second, until Ctrl-C.")
@click.option("--json", "is_json", is_flag=True, help="Print everything as JSON.")
def status(control: str | None, config_file: str | None, watch: bool, is_json: bool) -> None:
    """Show what a running daemon is doing.

    It shows rates, the queue, each output and how far it is behind, the busiest connections,
    records that clients lost, and faults of senders.

    The command finds the daemon by its control socket. --control names the socket, or the settings
    do (--config, variables LOGD_...). If they do not, it is control.sock in the folder .logd-state
    beside the log. Without any of these, the command asks a daemon that was started in this folder,
    or the one of /etc/logd/logd.toml. Only root, the daemon's own user and the users of its
    control_group may use the socket.

    \b
    Examples:
      logd status --watch
      logd status --config /etc/logd/logd.toml --json
    """
    paths = candidates(control, config_file)
    if not watch:
        with ControlClient(paths) as client:
            _show(client.ask(REQUEST), is_json=is_json)
        return
    try:
        _watch(paths, is_json=is_json)
    except (KeyboardInterrupt, BrokenPipeError):
        # Nothing is left to flush: the reader hung up.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _watch(paths: Sequence[Path], *, is_json: bool) -> None:
    """Show the status forever; a daemon that restarts is waited for."""
    client: ControlClient | None = None
    while True:
        started = time.monotonic()
        try:
            client = client or ControlClient(paths)
            answer = client.ask(REQUEST)
        except LogdError as exc:
            if client is not None:
                client.close()
                client = None
            _show_lines([str(exc)]) if sys.stdout.isatty() else print(exc, file=sys.stderr)
        else:
            _show(answer, is_json=is_json, in_place=True)
        sys.stdout.flush()
        time.sleep(max(0.0, EVERY_S - (time.monotonic() - started)))


def _show(answer: dict[str, Any], *, is_json: bool, in_place: bool = False) -> None:
    if is_json:
        print(json.dumps(answer, indent=None if in_place else 2))
        return
    is_terminal = sys.stdout.isatty()
    paint = colored if is_colored("auto", os.environ) else plain
    room = shutil.get_terminal_size()
    rows = room.lines - 1 if is_terminal else None
    lines = screen(answer, paint, rows)
    if is_terminal:
        lines = fitted(lines, room.columns)[: rows if in_place else None]
    if in_place and is_terminal:
        _show_lines(lines)
    else:
        print("\n".join(lines))
        if in_place:
            print()


def _show_lines(lines: Sequence[str]) -> None:
    """Put the lines on the terminal in the place of those before."""
    text = "".join(f"{line}\x1b[K\n" for line in lines)
    print(f"\x1b[H{text}\x1b[J", end="")
