r"""Text that is safe to write: what a record contains can never look like another entry.

An entry of a text log is one line, followed by a line beginning with `CONTINUATION` for each
further line of its message. Everything in a record that could forge an entry, drive a terminal or
break an encoding becomes a visible backslash escape (`\t`, `\x1b`, `\u2028`, `\udc80`), and so does
what cannot be seen; `unicodeclasses` has the characters. The backslash itself is left alone, so
that paths stay readable; only one that would be taken for the beginning of an escape is doubled in
what has to be read back as it was (`exact`, `unescape`).

The patterns are for readers of the log as well as for its writers. No I/O, no records here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from json.encoder import encode_basestring
from operator import methodcaller

from logd.text.unicodeclasses import JOINER, JOINING, SAFE, SELECTOR, UNSAFE_HERE, UNSAFE_RANGES

CONTINUATION = "  | "
"""Begins each further line of an entry; no entry itself begins with it."""

BARE_CLASS = "A-Za-z0-9_./:@%+,-"
"""The characters of keys and values of special items that need no quotes, as they stand between
the brackets of a regular expression."""

NUMBER = r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|nan)"
"""What an int or float value of a special item looks like; a str that does gets quotes."""

# If a text is ASCII (known without a look at it), deleting bytes is twice as fast again.
_ASCII_UNSAFE = bytes([*range(32), 127])
_BARE_KEY = re.compile(f"[{BARE_CLASS}]+")
_BARE_VALUE = re.compile(f"(?!(?:{NUMBER}|true|false|null)\\Z)[{BARE_CLASS}]+")
# CPython refuses to print integers of over 4300 digits in decimal.
_SHORT_INT = 1 << 64
# Enough for the keys and repeated values of many programs, at most 3 MB.
_MAX_KNOWN_TEXTS = 4096
_MAX_KNOWN_CHARS = 64
_WHITE_SPACE = re.compile(r"\s")
_NEXT_LINE = f"\n{CONTINUATION}"
_AT_LINE_END = methodcaller("partition", "\n")
# Between the messages that are escaped together.
_BETWEEN = "\0"
# The same for those that become JSON, and what JSON makes of it.
_BETWEEN_QUOTED, _BETWEEN_ESCAPED = "\x1e", "\\u001e"
# Stands for a backslash where all others begin an escape.
_PARKED = "\x01"
# Dense: more than one unsafe character in this many, and more than a few.
_DENSE = 32
_FEW = 3
_JOINERS = (JOINER, SELECTOR)
# Whether these are escaped depends on what is around them.
_ALWAYS_APART = frozenset("\\" + JOINER + SELECTOR)
_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 256:
        return _NAMED.get(character) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escaped(character: str) -> str:
    # JSON has escapes of 16 bits only: beyond them two surrogates stand for a character.
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


class _Escaper:
    """Escapes unsafe characters, at a bounded cost for each character.

    If they are few, the text is cut at each, for 0.2 us. A hostile megabyte of NULs would take
    a fifth of a second that way: from some density on every character is looked up, for 0.05 us.

    Args:
        escaped: makes the escape of one character.
        instead: characters that get something else.
    """

    def __init__(
        self, escaped: Callable[[str], str], instead: Mapping[str, str] | None = None
    ) -> None:
        self._escaped = escaped
        self._instead = instead or {}

    @cached_property
    def _escapes(self) -> dict[str, str]:
        """Unsafe character -> its escape. Made when it is needed first, which is seldom."""
        unsafe = (chr(code) for first, last in UNSAFE_RANGES for code in range(first, last + 1))
        return {found: self._escaped(found) for found in unsafe} | dict(self._instead)

    def __call__(self, text: str) -> str:
        if text.isprintable() and is_safe(text):
            return text
        most = len(text) // _DENSE + _FEW
        pieces = _unsafe_here().split(text, most)
        if len(pieces) <= 2 * most:
            pieces[1::2] = map(self._escapes.__getitem__, pieces[1::2])
            return "".join(pieces)
        pieces = _joining().split(text)
        pieces[::2] = ["".join(map(self._escapes.get, piece, piece)) for piece in pieces[::2]]
        return "".join(pieces)


class _LineEscaper(_Escaper):
    """The same for the escapes of text lines: a codec makes them of ASCII, for 0.01 us each."""

    def __init__(self, instead: Mapping[str, str] | None = None) -> None:
        super().__init__(_escaped, instead)

    def __call__(self, text: str) -> str:
        if not text.isascii():
            return super().__call__(text)
        if text.isprintable():
            return text
        # What the codec returns is printable, with each backslash of the text doubled.
        escaped = text.encode("unicode_escape").decode().replace("\\\\", _PARKED)
        for character, other in self._instead.items():
            escaped = escaped.replace(_escaped(character), other)
        return escaped.replace(_PARKED, "\\")


# Patterns are made when they are needed first: each start of the program would pay for them.


@cache
def _all_safe() -> re.Pattern[str]:
    """Matches safe texts: twice as fast as to search for one unsafe character."""
    return re.compile(f"[{SAFE}]*")


@cache
def _unsafe_here() -> re.Pattern[str]:
    return re.compile(f"({UNSAFE_HERE})")


@cache
def _joining() -> re.Pattern[str]:
    return re.compile(f"({JOINING})")


def is_safe(text: str) -> bool:
    """Whether nothing in `text` needs an escape; fast enough for whole columns joined."""
    if text.isascii():
        data = text.encode()
        return len(data.translate(None, _ASCII_UNSAFE)) == len(data)
    match = _all_safe().match(text)
    end = match.end() if match else 0
    if end == len(text):
        return True
    return text[end] in _JOINERS and _unsafe_here().search(text, end) is None


escape = _LineEscaper()
"""The text on one line, with every unsafe character as a visible escape."""

_AMBIGUOUS = r"\\(?=[tnrxuU\\])"
_ESCAPE = re.compile(r"\\(?:([tnr\\])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")
_SINGLE = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
_MAX_CODE = 0x10FFFF


@cache
def _ambiguous() -> re.Pattern[str]:
    return re.compile(f"{_AMBIGUOUS}|\\\\(?={UNSAFE_HERE})")


def _doubled(text: str) -> str:
    """The text with each backslash doubled that would be taken for the beginning of an escape."""
    return _ambiguous().sub(r"\\\\", text) if "\\" in text else text


def exact(text: str) -> str:
    """The same as `escape`, so that `unescape` makes the text of it again."""
    return escape(_doubled(text))


def unescape(text: str) -> str:
    """The text of which `exact` has made this one."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    single = match[1]
    if single is not None:
        return _SINGLE[single]
    code = int(match[2] or match[3] or match[4], 16)
    return chr(code) if code <= _MAX_CODE else match[0]


# For texts of several lines.
_escape_lines = _LineEscaper({"\n": _NEXT_LINE})
_escape_columns = _LineEscaper({"\n": _NEXT_LINE, "\t": "\t"})
_escape_messages = _LineEscaper({"\n": _NEXT_LINE, _BETWEEN: _BETWEEN})
_json_escape = _Escaper(_json_escaped)


def split_message(message: str) -> tuple[str, str]:
    r"""A message as the first line of its entry and what follows at the entry's end.

    The second is empty, or "\n" and further lines that begin with `CONTINUATION`. Both "\n" and
    "\r\n" end a line; all else that is unsafe is escaped, as by `exact`.
    """
    lines = _doubled(message.replace("\r\n", "\n"))
    first, line_end, further = _escape_lines(lines).partition("\n")
    return first, line_end + further


def split_messages(messages: Sequence[str]) -> list[tuple[str, str]]:
    """Each message as by `split_message`; all of them are escaped at once."""
    joined = _BETWEEN.join(messages)
    if joined.count(_BETWEEN) >= len(messages):
        return list(map(split_message, messages))
    if "\\" in joined:
        joined = _BETWEEN.join(_doubled(message.replace("\r\n", "\n")) for message in messages)
    texts = _escape_messages(joined.replace("\r\n", "\n")).split(_BETWEEN)
    return [(first, end + further) for first, end, further in map(_AT_LINE_END, texts)]


def entry_start(line: str) -> str:
    """The line so that it does not continue the entry before it, even if it looks like that."""
    return f"_{line}" if line.startswith(CONTINUATION) else line


def entry_of(text: str) -> str:
    """Text of someone else's making as one entry: tabs stay, further lines are marked."""
    return entry_start(_escape_columns(text.replace("\r\n", "\n")))


def plain_parts(text: str) -> list[str]:
    """The parts of a text that stand in an escaped text that contains it, wherever it is."""
    if text.isprintable() and text.isascii():
        return [part for part in text.split("\\") if part]
    plain = (char if char not in _ALWAYS_APART and escape(char) == char else "\n" for char in text)
    return [part for part in "".join(plain).split("\n") if part]


def category_text(category: str) -> str:
    """A category as one word: "-" if it is empty, "_" for each white space in it."""
    if category.isascii() and category.isidentifier():  # nearly always, and quick to tell
        return category
    return exact(_WHITE_SPACE.sub("_", category)) or "-"


def quoted(text: str) -> str:
    """The text as a JSON string that contains no unsafe character."""
    return safe_json(encode_basestring(text))


def quoted_texts(texts: Sequence[str]) -> list[str]:
    """Each text as by `quoted`, less the quotes around it; all of them are escaped at once."""
    joined = _BETWEEN_QUOTED.join(texts)
    if joined.count(_BETWEEN_QUOTED) >= len(texts) or _BETWEEN_ESCAPED in joined:
        return [quoted(text)[1:-1] for text in texts]
    return quoted(joined)[1:-1].split(_BETWEEN_ESCAPED) if texts else []


def safe_json(text: str) -> str:
    """JSON that means the same and contains no unsafe character; `text` is on one line."""
    return _json_escape(text)


def key_text(key: str) -> str:
    """The key of a special item: bare if its characters allow it, else a JSON string."""
    return key if _BARE_KEY.fullmatch(key) else quoted(key)


def value_text(value: object) -> str:
    """The value of a special item, so that a reader can tell numbers and strings apart."""
    if type(value) is int and -_SHORT_INT < value < _SHORT_INT:
        return str(value)
    if isinstance(value, str):
        return value if _BARE_VALUE.fullmatch(value) else quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        try:
            return int.__repr__(value)
        except ValueError:  # longer than CPython is willing to print in decimal
            return hex(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, Mapping | list | tuple):
        return safe_json(nested_text(value))
    return quoted(str(value))


def nested_text(value: object) -> str:
    """A container as JSON, without blanks between its parts."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):  # odd keys, or it contains itself
        return quoted(str(value))


class KnownTexts(dict[str, str]):
    """Texts and what was made of them: short ones because programs repeat them.

    Long ones are kept until `forget_long`, as all records of a batch may have the same one.
    """

    def __init__(self, make: Callable[[str], str]) -> None:
        self._make = make
        self.long: list[str] = []

    def __missing__(self, text: str) -> str:
        made = self._make(text)
        if len(self) >= _MAX_KNOWN_TEXTS:
            self.clear()
        self[text] = made
        if len(text) > _MAX_KNOWN_CHARS:
            self.long.append(text)
        return made

    def forget_long(self) -> None:
        """Let go of the texts that are too long to be kept for later."""
        while self.long:
            try:
                self.pop(self.long.pop(), None)
            except IndexError:
                # Another thread did the same just now.
                return


class ItemTexts:
    """Makes `key=value key=value` of special items; keeps the texts of short keys and values."""

    def __init__(self) -> None:
        self._keys = KnownTexts(lambda key: f"{key_text(key)}=")
        self._values = KnownTexts(value_text)

    def text(self, items: Mapping[str, object]) -> str:
        """The items, in their own order."""
        keys, values = self._keys, self._values
        text = " ".join(
            [
                keys[key] + (values[value] if type(value) is str else value_text(value))
                for key, value in items.items()
            ]
        )
        if keys.long or values.long:
            keys.forget_long()
            values.forget_long()
        return text

    def texts(self, each: Iterable[Mapping[str, object]]) -> list[str]:
        """The items of each of several records."""
        keys, values = self._keys, self._values
        texts = [
            " ".join(
                [
                    keys[key]
                    # By exact type: 1, True and 1.0 are the same key of a dict, not the same text.
                    + (values[value] if type(value) is str else value_text(value))
                    for key, value in items.items()
                ]
            )
            for items in each
        ]
        keys.forget_long()
        values.forget_long()
        return texts
