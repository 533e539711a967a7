"""Lines cut to the width of the terminal, as people read tables; colours and wide characters count
as what they are on the screen.
"""

from __future__ import annotations

import re
import unicodedata

_CODE = re.compile(r"\x1b\[[0-9;]*m")
_TOKEN = re.compile(r"\x1b\[[0-9;]*m|[^\x1b]|\x1b")
_RESET = "\x1b[0m"
_ELLIPSIS, _ASCII_ELLIPSIS = "…", ">"


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


def columns(text: str) -> int:
    """How many columns a text without colours takes."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
