"""Lines cut to the width of the terminal, as people read tables; colours and wide characters count
as what they are on the screen.
"""

from __future__ import annotations

import os
import re
import unicodedata
from contextlib import suppress

_CODE = re.compile(r"\x1b\[[0-9;]*m")
_TOKEN = re.compile(r"\x1b\[[0-9;]*m|[^\x1b]|\x1b")
_RESET = "\x1b[0m"
_HEAD = re.compile(
    r"(?P<dim>\x1b\[2m)?[0-9]{4}-(?P<day>[0-9]{2}-[0-9]{2})T(?P<minute>[0-9]{2}:[0-9]{2})"
    r":[0-9.]+[+-][0-9]{4}(?P<off>\x1b\[0m)? (?P<cat>(?:\x1b\[[0-9;]*m)?\S+?(?:\x1b\[0m)?)"
    r"(?:\x1b\[2m)? -?[0-9]+(?:@[^\s#]*)?#-?[0-9]+ (?:\x1b\[0m)?"
)
"""What stands before the message in a line of the default layout, with or without colours."""

NARROW = 60
"""Below this many columns little of a message would be left behind all of that."""

_ELLIPSIS, _ASCII_ELLIPSIS = "…", ">"
_DOTS = "..."
_UNKNOWN_WIDTH = 80


def terminal_columns() -> int:
    """The width of the terminal, also if a pager has taken standard output's place on it."""
    with suppress(KeyError, ValueError):
        return max(1, int(os.environ["COLUMNS"]))
    for descriptor in (1, 2, 0):
        with suppress(OSError):
            return os.get_terminal_size(descriptor).columns or _UNKNOWN_WIDTH
    return _UNKNOWN_WIDTH


def cut(line: str, width: int, *, is_unicode: bool) -> str:
    """A line that takes at most `width` columns; the end shows that something is left out."""
    if len(line) <= width and line.isascii():
        return line
    plain = _CODE.sub("", line)
    if columns(plain) <= width:
        return line
    ellipsis = _ELLIPSIS if is_unicode else _ASCII_ELLIPSIS
    room = width - 1
    kept: list[str] = []
    is_colored = False
    for token in _TOKEN.findall(line):
        if token.startswith("\x1b["):
            is_colored = token != _RESET
            kept.append(token)
            continue
        room -= _columns_of(token)
        if room < 0:
            break
        kept.append(token)
    return "".join(kept) + (_RESET if is_colored else "") + ellipsis


def shortened(line: str) -> str:
    """A line with day, minute and category before its message, for narrow terminals."""
    found = _HEAD.match(line)
    if found is None:
        return line
    time = f"{found['dim'] or ''}{found['day']} {found['minute']}{found['off'] or ''}"
    return f"{time} {found['cat']} {line[found.end() :]}"


def clipped(text: str, width: int) -> str:
    """A text without colours that takes at most `width` columns, with dots where it was cut."""
    if columns(text) <= width:
        return text
    room, kept = width - len(_DOTS), []
    for character in text:
        room -= _columns_of(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + _DOTS


def padded(text: str, width: int) -> str:
    """A text with blanks behind it, `width` columns or more."""
    return text + " " * (width - columns(text))


def columns(text: str) -> int:
    """How many columns a text without colours takes."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
