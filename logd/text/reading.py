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
    KnownTexts,
    category_text,
    entry_of,
    exact,
    split_message,
    unescape,
)
from logd.text.items import parse_items
from logd.text.jsonlines import START as JSON_START
from logd.text.jsonlines import read as read_json
from logd.text.logfmtlines import START as LOGFMT_START
from logd.text.logfmtlines import read as read_logfmt
from logd.text.timereading import DEFAULT_SHAPE, TimeReader
from logd.text.timestamps import DEFAULT_FORMAT

MARK = b"\x1e"
OTHER_STARTS = (JSON_START, LOGFMT_START)
"""How entries begin that are not of the default layout and can be read."""

BREAK = b"\n" + CONTINUATION.encode()
"""What stands between two lines of one entry."""

_MARK_TEXT = MARK.decode()
_BREAK_TEXT = BREAK.decode()
# [timestamp ]category pid[@peer]#msgid message; the timestamp may have blanks in it.
_HEAD = re.compile(
    r"(?:(?P<ts>[^\t]*?) )?(?P<cat>\S+) (?P<pid>-?[0-9]{1,20})(?:@(?P<peer>[^\s#]*))?"
    r"#(?P<msgid>-?[0-9]{1,40}) "
)
# What lines of logd 1.0 lack: further digits of the time, and the id of the thread.
_EXACT = re.compile(r"([0-9]{3}(?:[0-9]{3})?) (-?[0-9]{1,40})")
_item_texts = ItemTexts()
_exact_names = KnownTexts(exact)
_DEFAULT_SHAPE = re.compile(DEFAULT_SHAPE)


class LineReader:
    """Reads raw entries.

    Args:
        timestamp: the format of timestamps, see `TimeReader`.
        is_own_format: False if lines are in a format of the user's own: then an entry is
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
        self._is_old = False

    def read(self, raw: bytes) -> Entry:
        """The entry; what is not of the default layout becomes the message of one as a whole."""
        text = raw.decode("utf-8", "backslashreplace")
        first, mark, further = text.partition(_MARK_TEXT)
        original = text.replace(_MARK_TEXT, _BREAK_TEXT) if mark else text
        if raw.startswith(OTHER_STARTS) and self.is_own_format and not mark:
            found = read_json(text) if raw.startswith(JSON_START) else read_logfmt(text)
            if found is not None:
                found.raw = original
                return found
        entry = self._read_line(first) if self.is_own_format else None
        if entry is None:
            msg = text.replace(_MARK_TEXT, "\n") if mark else text
            return Entry(None, "", "", 0, "", 0, msg, raw=original)
        if mark:
            more = further.replace(_MARK_TEXT, "\n")
            entry.msg += "\n" + (more if self._is_old else unescape(more))
        entry.raw = original
        return entry

    def _read_line(self, line: str) -> Entry | None:
        match = _HEAD.match(line)
        parts = line.rsplit("\t", 5)
        exact = _EXACT.fullmatch(parts[1]) if len(parts) == 6 else None
        self._is_old = exact is None
        if exact is None:
            parts = line.rsplit("\t", 4)
            parts.insert(1, "")
        if match is None or len(parts) != 6 or match.end() > len(parts[0]):
            return None
        items = parse_items(parts[5])
        if items is None:
            return None
        ts, cat, pid, peer, msgid = match.groups("")
        msg, (_, _, threadname, cfunc, path, _) = parts[0][match.end() :], parts
        time = self.times.read(ts) if self._has_timestamps else None
        if exact is not None:
            time = None if time is None else _exact_time(time, exact[1])
            if "\\" in line:
                texts = (msg, threadname, cfunc, path, ts, cat, peer)
                msg, threadname, cfunc, path, ts, cat, peer = map(unescape, texts)
        return Entry(
            time=time,
            ts=ts,
            cat="" if cat == "-" else cat,
            pid=int(pid),
            peer=peer,
            msgid=int(msgid),
            msg=msg,
            threadname=threadname,
            tid=0 if exact is None else int(exact[2]),
            cfunc=cfunc,
            path=path,
            special=items,
        )


def _exact_time(time: float, digits: str) -> float:
    """The time of a timestamp with the digits of it that the timestamp lacks."""
    if len(digits) == 3:
        return (round(time * 1000) * 1000 + int(digits)) / 1e6
    exact = int(time // 1) * 1_000_000 + int(digits)
    # Rounding may have carried the milliseconds to the next second.
    if exact < time * 1e6 - 500_000:
        exact += 1_000_000
    return exact / 1e6


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
    microseconds = int((entry.time or 0.0) * 1e6)
    if _DEFAULT_SHAPE.fullmatch(entry.ts) is not None:
        ts, digits = f"{entry.ts} ", f"{microseconds % 1000:03}"
    else:
        ts = f"{exact(entry.ts)} " if entry.ts else ""
        digits = f"{microseconds % 1_000_000:06}"
    peer = f"@{exact(entry.peer)}" if entry.peer else ""
    head = f"{ts}{category_text(entry.cat)} {entry.pid}{peer}#{entry.msgid} "
    message, further = split_message(entry.msg)
    names = (
        f"{_exact_names[entry.threadname]}\t{_exact_names[entry.cfunc]}\t{_exact_names[entry.path]}"
    )
    if _exact_names.long:
        _exact_names.forget_long()
    items = _item_texts.text(entry.special) if entry.special else ""
    return head, message, f"\t{digits} {entry.tid}\t{names}\t{items}", further
