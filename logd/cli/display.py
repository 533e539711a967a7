"""How entries are shown: as the log's own lines, in colours, as JSON, in a format of one's own."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping

import click

from logd.records.batch import Batch
from logd.records.entry import Entry
from logd.records.shape import NAMES
from logd.text.escaping import category_text, escape, quoted, safe_json
from logd.text.formatter import Formatter
from logd.text.items import item_text
from logd.text.reading import entry_parts, entry_text

logger = logging.getLogger(__name__)

SHOWN_AT_ONCE = 512
SHOWN_AT_ONCE_BYTES = 1 << 20

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

    def portions(self, entries: Iterable[Entry], at_once: int = SHOWN_AT_ONCE) -> Iterator[bytes]:
        """The same as `data`, some entries at a time: at most this many, fewer if they are long."""
        some: list[Entry] = []
        size = 0
        for entry in entries:
            some.append(entry)
            size += len(entry.raw) or len(entry.msg)
            if len(some) >= at_once or size >= SHOWN_AT_ONCE_BYTES:
                yield self.data(some)
                some, size = [], 0
        if some:
            yield self.data(some)

    def data(self, entries: Iterable[Entry]) -> bytes:
        """The lines of some entries, as bytes for standard output."""
        lines = [f"{self.line(entry)}\n" for entry in entries]
        return "".join(lines).encode("utf-8", "backslashreplace")

    def head(self) -> str:
        """What stands before the first entry."""
        return ""

    def foot(self) -> str:
        """What stands behind the last entry."""
        return ""

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


class JsonEntries(Display):
    """One JSON object a line."""

    def line(self, entry: Entry) -> str:
        return safe_json(entry.as_json())


class JsonList(Display):
    """One JSON array of all entries."""

    def __init__(self) -> None:
        self._is_first = True

    def head(self) -> str:
        return "["

    def foot(self) -> str:
        return "\n]\n"

    def data(self, entries: Iterable[Entry]) -> bytes:
        # Commas stand between entries, so before each but the first.
        lines = [self.line(entry) for entry in entries]
        text = "".join(f",\n{line}" for line in lines)
        if self._is_first and text:
            self._is_first, text = False, text[1:]
        return text.encode("utf-8", "backslashreplace")

    def line(self, entry: Entry) -> str:
        return safe_json(entry.as_json())


class Csv(Display):
    """Comma-separated values as RFC 4180 has them, but for the line ends; with a head.

    Special items are one column, a JSON object.
    """

    def head(self) -> str:
        return ",".join(NAMES) + "\n"

    def line(self, entry: Entry) -> str:
        row = entry.as_dict()
        row["special"] = json.dumps(row["special"], ensure_ascii=False, default=str)
        return csv_line(row[name] for name in NAMES)


def csv_line(values: Iterable[object]) -> str:
    """Some values as a row of CSV, without the line end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(map(_cell, values))
    return text.getvalue()


def _cell(value: object) -> str:
    """A cell's text; controls that drive terminals are escaped, line breaks stay."""
    text = "" if value is None else str(value)
    return "\n".join(map(escape, text.split("\n"))) if not text.isprintable() else text


class Logfmt(Display):
    """key=value pairs; items follow the fields."""

    def line(self, entry: Entry) -> str:
        row = entry.as_dict()
        items = row.pop("special")
        pairs = {key: value for key, value in row.items() if value not in ("", None)}
        for key, value in items.items():
            pairs[key if key not in row else f"item.{key}"] = value
        return logfmt_line(pairs)


def logfmt_line(pairs: Mapping[str, object]) -> str:
    """Some pairs as a line of logfmt, without its end."""
    return " ".join(f"{_logfmt_key(key)}={_logfmt_value(v)}" for key, v in pairs.items())


def _logfmt_key(key: str) -> str:
    return re.sub(r"[\s=\"]", "_", escape(key)) or "_"


def _logfmt_value(value: object) -> str:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = item_text(value)
    return text if re.fullmatch(r"[^\s=\"\\]+", text) and text.isprintable() else quoted(text)


class OwnFormat(Display):
    """Lines by a format of the user's own.

    Args:
        fmt: the format.
        timestamp: format of the times in it.
        on_note: told once which items no entry had.

    Raises:
        ValueError: the format is none.
    """

    def __init__(self, fmt: str, timestamp: str | None, on_note: Callable[[str], None]) -> None:
        self._formatter = Formatter(fmt, timestamp)
        # Names that are no fields are items: those that no entry has are mostly slips.
        self._missing = set(self._formatter.item_names)
        self._has_entries = False
        self._on_note = on_note

    def line(self, entry: Entry) -> str:
        self._has_entries = True
        if self._missing:
            self._missing -= entry.special.keys()
        return self._formatter.format_batch(Batch.from_jobs([entry.as_job()]))[0]

    def foot(self) -> str:
        if self._has_entries and self._missing:
            names = ", ".join(f"%({name})s" for name in sorted(self._missing))
            self._on_note(f"--format: {names}: no field, and no entry had such an item")
        return ""


OUTPUTS = ("text", "json", "jsonl", "csv", "logfmt")
"""Names of what entries can be shown as."""


def make_display(
    kind: str,
    *,
    fmt: str | None = None,
    color: str,
    timestamp: str | None,
    on_note: Callable[[str], None] = logger.warning,
) -> Display:
    """The display that was asked for.

    Args:
        kind: one of `OUTPUTS`.
        fmt: a format of the user's own, None for none.
        color: "auto", "always" or "never".
        timestamp: format of the times in a format of the user's own.
        on_note: told what the user should know.
    """
    if fmt is not None:
        try:
            return OwnFormat(fmt, timestamp, on_note)
        except ValueError as exc:
            raise click.BadParameter(str(exc), param_hint="--format") from None
    makers: dict[str, Callable[[], Display]] = {
        "json": JsonList,
        "jsonl": JsonEntries,
        "csv": Csv,
        "logfmt": Logfmt,
    }
    if kind in makers:
        return makers[kind]()
    return ColoredText() if is_colored(color, os.environ) else PlainText()


def is_colored(color: str, environ: Mapping[str, str]) -> bool:
    """Whether to use colours."""
    if color != "auto":
        return color == "always"
    return sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
