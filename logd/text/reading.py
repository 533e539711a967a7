"""Entries as lines of the default layout, read and written; see `logd.text.lines`.

A raw entry is the bytes of one entry without its line end, with `MARK` in the place of each line
break and `CONTINUATION` inside. `MARK` is a control character, which logd never writes.
"""

from __future__ import annotations

import re

from logd.records.entry import Entry
from logd.text.escaping import (
    CONTINUATION,
    ItemTexts,
    category_text,
    entry_of,
    escape,
    split_message,
)
from logd.text.items import parse_items
from logd.text.timereading import TimeReader
from logd.text.timestamps import DEFAULT_FORMAT

MARK = b"\x1e"
BREAK = b"\n" + CONTINUATION.encode()
"""What stands between two lines of one entry."""

_MARK_TEXT = MARK.decode()
_BREAK_TEXT = BREAK.decode()
# [timestamp ]category pid[@peer]#msgid message; the timestamp may have blanks in it.
_HEAD = re.compile(
    r"(?:(?P<ts>[^\t]*?) )?(?P<cat>\S+) (?P<pid>-?[0-9]{1,20})(?:@(?P<peer>[^\s#]*))?"
    r"#(?P<msgid>-?[0-9]{1,40}) "
)
_item_texts = ItemTexts()


class LineReader:
    """Reads raw entries.

    Args:
        timestamp: the format of timestamps, see `TimeReader`.
        is_own_format: False where lines are in a format of the user's own: then an entry is
            nothing but text.

    Attributes:
        times: reads the timestamps.
        is_own_format: see above.
    """

    def __init__(
        self, timestamp: str | None = DEFAULT_FORMAT, *, is_own_format: bool = True
    ) -> None:
        self.times = TimeReader(timestamp)
        self.is_own_format = is_own_format
        self._has_timestamps = timestamp is not None

    def unescaped(self, text: str) -> str:
        """A field's text as it was before it was written."""
        return text

    def read(self, raw: bytes) -> Entry:
        """The entry; what is not of the default layout becomes the message of one as a whole."""
        text = raw.decode("utf-8", "backslashreplace")
        first, mark, further = text.partition(_MARK_TEXT)
        original = text.replace(_MARK_TEXT, _BREAK_TEXT) if mark else text
        entry = self._read_line(first) if self.is_own_format else None
        if entry is None:
            msg = text.replace(_MARK_TEXT, "\n") if mark else text
            return Entry(None, "", "", 0, "", 0, msg, raw=original)
        if mark:
            entry.msg += "\n" + further.replace(_MARK_TEXT, "\n")
        entry.raw = original
        return entry

    def _read_line(self, line: str) -> Entry | None:
        match = _HEAD.match(line)
        parts = line.rsplit("\t", 4)
        if match is None or len(parts) != 5 or match.end() > len(parts[0]):
            return None
        items = parse_items(parts[4])
        if items is None:
            return None
        ts, cat, pid, peer, msgid = match.groups("")
        return Entry(
            time=self.times.read(ts) if self._has_timestamps else None,
            ts=ts,
            cat="" if cat == "-" else cat,
            pid=int(pid),
            peer=peer,
            msgid=int(msgid),
            msg=parts[0][match.end() :],
            threadname=parts[1],
            cfunc=parts[2],
            path=parts[3],
            special=items,
        )


def entry_text(entry: Entry) -> str:
    """The entry as the daemon writes it to a file, without the line end; safe for terminals."""
    if entry.raw:
        return entry_of(entry.raw.replace(_BREAK_TEXT, "\n"))
    head, message, tail, further = entry_parts(entry)
    return f"{head}{message}{tail}{further}"


def entry_parts(entry: Entry) -> tuple[str, str, str, str]:
    """What an entry's text is made of: up to the message, its first line, the rest of the line,
    and the further lines of the message.
    """
    ts = f"{escape(entry.ts)} " if entry.ts else ""
    peer = f"@{escape(entry.peer)}" if entry.peer else ""
    head = f"{ts}{category_text(entry.cat)} {entry.pid}{peer}#{entry.msgid} "
    message, further = split_message(entry.msg)
    names = "\t".join(map(escape, (entry.threadname, entry.cfunc, entry.path)))
    return head, message, f"\t{names}\t{_item_texts.text(entry.special)}", further
