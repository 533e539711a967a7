"""`logd send`: the `logger(1)` of logd."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator

import click

from logd.cli.sending import Sending
from logd.cli.target import Target, target_options, timeout_option
from logd_client.log import Log

_MAX_LINE_CHARS = 256 * 1024
"""Characters; a line without an end must not fill the memory, so a longer one becomes several."""

_INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


@click.command()
@click.argument("message", nargs=-1)
@click.option("--cat", metavar="CATEGORY", default="", help="Category, such as E, W or I.")
@click.option(
    "--special",
    metavar="KEY=VALUE ...",
    multiple=True,
    help="An item of the record, to search by and for database columns. May be given again.",
)
@target_options
@timeout_option(10.0, "delivery takes longer")
def send(
    target: Target, message: tuple[str, ...], cat: str, special: tuple[str, ...], timeout: float
) -> None:
    """Send MESSAGE, or lines from standard input, and wait until the daemon has stored it.

    Without a message, or with "-", each line of standard input is sent as a record at once. The
    exit status is 0 when everything is stored. If not, it is 1, and a line gives the reason.

    \b
    Examples:
      logd send "backup done" --cat I --special host=db1 --special minutes=12
      tail -f old.log | logd send --cat W
    """
    items = _items(special)
    is_interrupted = False
    with Sending(target, timeout) as sending:
        log = Log(sending.proxy, stackMax=0, extractStack=False)
        try:
            for text in _lines() if message in ((), ("-",)) else [" ".join(message)]:
                log(text, cat, items)
        except KeyboardInterrupt:
            is_interrupted = True
        sending.finish()
    if is_interrupted:
        sys.exit(_INTERRUPTED)


def _lines() -> Iterator[str]:
    """The lines of standard input, as they come; bytes that are no UTF-8 stay recognisable."""
    stdin = io.TextIOWrapper(
        os.fdopen(os.dup(0), "rb"), encoding="utf-8", errors="surrogateescape", newline="\n"
    )
    with stdin:
        while line := stdin.readline(_MAX_LINE_CHARS):
            yield line.removesuffix("\n").removesuffix("\r")


def _items(texts: tuple[str, ...]) -> dict[str, str | int]:
    """The special items; what looks like a whole number is one.

    Raises:
        click.BadParameter: a text is not KEY=VALUE.
    """
    items: dict[str, str | int] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"expected KEY=VALUE, got {text!r}", param_hint="--special")
        items[key] = int(value) if re.fullmatch("0|-?[1-9][0-9]{0,17}", value) else value
    return items
