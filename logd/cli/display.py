"""How entries are shown: as the log's own lines, in colours, as JSON, in a format of one's own."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

import click

from logd.records.batch import Batch
from logd.records.entry import Entry
from logd.text.escaping import category_text, safe_json
from logd.text.formatter import Formatter
from logd.text.reading import entry_parts, entry_text

_RESET = "\x1b[0m"
_DIM = "\x1b[2m"
COLORS = {
    "C": "\x1b[1;31m",  # bold red
    "E": "\x1b[31m",  # red
    "W": "\x1b[33m",  # yellow
    "D": _DIM,
}
"""Category -> what turns its colour on; the others are shown as plain text is."""


class Display(ABC):
    """Makes lines of entries."""

    is_plain = False
    """Whether the lines are those of text files."""

    def data(self, entries: Iterable[Entry]) -> bytes:
        """The lines of some entries, as bytes for standard output."""
        lines = [f"{self.line(entry)}\n" for entry in entries]
        return "".join(lines).encode("utf-8", "backslashreplace")

    @abstractmethod
    def line(self, entry: Entry) -> str:
        """One entry, without the line end."""


class PlainText(Display):
    """Lines as the daemon writes them."""

    is_plain = True

    def line(self, entry: Entry) -> str:
        return entry_text(entry)


class ColoredText(Display):
    """The same with the message in its category's colour, and all but it and the category dim."""

    def line(self, entry: Entry) -> str:
        if entry.raw and not entry.msgid and not entry.ts:  # no line of the default layout
            return entry_text(entry)
        head, message, tail, further = entry_parts(entry)
        category = category_text(entry.cat)
        color = COLORS.get(entry.cat, "")
        ts = head[: -len(head.removeprefix(entry.ts))] if entry.ts else ""
        sender = head[len(ts) :].lstrip().removeprefix(category)
        time = f"{_DIM}{ts}{_RESET} " if ts else ""
        return (
            f"{time}{color}{category}{_RESET if color else ''}{_DIM}{sender}{_RESET}"
            f"{_colored(message, color)}{_DIM}{tail}{_RESET}{_colored(further, color)}"
        )


def _colored(text: str, color: str) -> str:
    return f"{color}{text}{_RESET}" if color and text else text


class Json(Display):
    """One JSON object a line."""

    def line(self, entry: Entry) -> str:
        return safe_json(entry.as_json())


class OwnFormat(Display):
    """Lines by a format of the user's own.

    Raises:
        ValueError: the format is none.
    """

    def __init__(self, fmt: str, timestamp: str | None) -> None:
        self._formatter = Formatter(fmt, timestamp)

    def line(self, entry: Entry) -> str:
        return self._formatter.format_batch(Batch.from_jobs([entry.as_job()]))[0]


def make_display(kind: str | None, *, color: str, timestamp: str | None) -> Display:
    """The display that was asked for.

    Args:
        kind: "json", a format of the user's own, or None for the log's lines.
        color: "auto", "always" or "never".
        timestamp: format of the times in a format of the user's own.
    """
    if kind == "json":
        return Json()
    if kind is not None:
        try:
            return OwnFormat(kind, timestamp)
        except ValueError as exc:
            raise click.BadParameter(str(exc), param_hint="--format") from None
    return ColoredText() if is_colored(color, os.environ) else PlainText()


def is_colored(color: str, environ: Mapping[str, str]) -> bool:
    """Whether to use colours."""
    if color != "auto":
        return color == "always"
    return sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
