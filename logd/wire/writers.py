"""Write values as text within a room: as JSON, and as Python's own notation.

What a pickle holds may share its parts, so that a few hundred bytes stand for millions of values,
and it may contain itself. So nothing is written and then cut: a writer has room for a number of
characters, each value takes some of it, and it stops when the room is used up. What is deeper
than `MAX_DEPTH`, or contains itself, ends in dots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from json.encoder import encode_basestring
from math import isfinite
from typing import Final, cast

from logd.wire.pickles.constructors import is_exception, plain_value
from logd.wire.pickles.made import Made, MadeSet, Mapped, Name, Told
from logd.wire.texts import bytes_text, integer_text

MAX_DEPTH: Final = 32
"""Levels of containers and objects that are written."""

_MADE_CHARS: Final = 32
"""What an object costs besides its text: what can be written meanwhile."""

_DEEPER: Final = "..."
_ITSELF: Final = "[...]"


class FullError(Exception):
    """The room is used up."""


class Writer:
    """Text that grows until its room is used up; what JSON and Python's notation have in common."""

    __slots__ = ("_open", "_parts", "_room")

    _words: tuple[str, str, str]
    """None, true, false."""

    def __init__(self, room: int, around: Iterable[int] = ()) -> None:
        self._room = room
        self._parts: list[str] = []
        self._open = set(around)
        """Identities of the containers around what is being written."""

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add(self, text: str) -> None:
        self._parts.append(text)
        self._room -= len(text)
        if self._room < 0:
            raise FullError

    def write(self, value: object) -> None:
        kind = type(value)
        if kind is str:
            self.add(self._quoted(cast("str", value)[: self._room + 1]))
        elif kind is int:
            self.add(integer_text(cast("int", value), self._room))
        elif kind is float:
            self.add(self._float(cast("float", value)))
        elif value is None or kind is bool:
            self.add(self._words[0 if value is None else 1 if value else 2])
        else:
            self._write_other(value)

    def _write_other(self, value: object) -> None:
        if type(value) is bytes:
            self._bytes(value)
            return
        if type(value) is Name:
            self._name(value)
            return
        if type(value) is Told:
            self._told(value)
            return
        if id(value) in self._open:
            self.add(_ITSELF)
            return
        if len(self._open) >= MAX_DEPTH:
            self.add(_DEEPER)
            return
        self._open.add(id(value))
        if type(value) is Made:
            # To find out what an object is worth takes longer than to write its text.
            self._room -= _MADE_CHARS
            self._made(value)
        elif type(value) is list:
            self._members("[", value, "]")
        elif type(value) is tuple:
            self._tuple(value)
        elif type(value) is MadeSet:
            self._group(value)
        else:
            self._pairs(_pairs_of(value))
        self._open.discard(id(value))

    def _members(self, opening: str, values: Iterable[object], closing: str) -> None:
        self.add(opening)
        self._listed(values)
        self.add(closing)

    def _listed(self, values: Iterable[object]) -> None:
        is_first = True
        for value in values:
            if not is_first:
                self.add(", ")
            is_first = False
            self.write(value)

    def _pairs(self, pairs: Iterator[tuple[object, object]]) -> None:
        self.add("{")
        is_first = True
        for key, value in pairs:
            if not is_first:
                self.add(", ")
            is_first = False
            self._key(key)
            self.add(": ")
            self.write(value)
        self.add("}")

    def _sub(self, kind: type[Writer]) -> Writer:
        """A writer for a part of this text, with the room that is left and the same depth."""
        return kind(self._room, self._open)

    def _take(self, part: Writer) -> str:
        """The text of a part that is full: there is no more."""
        self.add(part.text)
        raise FullError

    def _text_of(self, part: Writer) -> str:
        """The text of a part, to be added; what it cost besides is taken off the room."""
        text = part.text
        self._room = part._room + len(text)
        return text

    def _quoted(self, text: str) -> str:
        raise NotImplementedError

    def _float(self, value: float) -> str:
        raise NotImplementedError

    def _bytes(self, value: bytes) -> None:
        raise NotImplementedError

    def _name(self, value: Name) -> None:
        raise NotImplementedError

    def _told(self, value: Told) -> None:
        raise NotImplementedError

    def _made(self, value: Made) -> None:
        raise NotImplementedError

    def _tuple(self, value: tuple[object, ...]) -> None:
        raise NotImplementedError

    def _group(self, value: MadeSet) -> None:
        raise NotImplementedError

    def _key(self, key: object) -> None:
        raise NotImplementedError


class JsonWriter(Writer):
    """JSON, objects in it as the text of their `str()`."""

    __slots__ = ()

    _words = ("null", "true", "false")

    def _quoted(self, text: str) -> str:
        return encode_basestring(text)

    def _float(self, value: float) -> str:
        if isfinite(value):
            return float.__repr__(value)
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"

    def _bytes(self, value: bytes) -> None:
        self.write(bytes_text(value[: self._room + 1]))

    def _name(self, value: Name) -> None:
        self.write(f"<{value}>")

    def _told(self, value: Told) -> None:
        self.write(value.text)

    def _tuple(self, value: tuple[object, ...]) -> None:
        self._members("[", value, "]")

    def _group(self, value: MadeSet) -> None:
        self._members("[", self._ordered(value.members), "]")

    def _ordered(self, members: list[object]) -> Iterable[object]:
        """The members of a set in order, numbers and texts as such; others as they came."""
        # More than that does not fit anyway.
        kept = members[: self._room + 1]
        plain = [plain_value(one) if type(one) is Made else one for one in kept]
        plain = [one.text if type(one) is Told else one for one in plain]
        kinds = set(map(type, plain))
        if kinds <= {str} or kinds <= {int, float, bool}:
            return sorted(cast("list[str]", plain))
        return plain

    def _key(self, key: object) -> None:
        kind = type(key)
        if kind is str:
            self.write(key)
        elif kind in (int, float, bool) or key is None:
            part = self._sub(JsonWriter)
            part.write(key)
            self.write(self._text_of(part))
        else:
            part = self._sub(Code)
            cast("Code", part).bare(key)
            self.write(self._text_of(part))

    def _made(self, value: Made) -> None:
        plain = plain_value(value)
        if plain is not value:
            self.write(plain)
            return
        part = cast("JsonWriter", self._sub(JsonWriter))
        try:
            part.object_text(value)
        except FullError:
            self.add('"')
            self._take(part)
        self.write(self._text_of(part))

    def object_text(self, made: Made) -> None:
        """The text that `str()` gives for an object."""
        known = plain_value(made)
        if known is not made:
            if type(known) is Told:
                self.add(known.text)
            else:
                self.write(known)
            return
        code = cast("Code", self._sub(Code))
        try:
            if is_exception(made):
                code.exception(made)
            else:
                code.call(made)
        except FullError:
            self._take(code)
        self.add(self._text_of(code))


class Code(Writer):
    """Python's notation, as `repr()` writes it."""

    __slots__ = ()

    _words = ("None", "True", "False")

    def _quoted(self, text: str) -> str:
        return repr(text)

    def _float(self, value: float) -> str:
        return float.__repr__(value)

    def _bytes(self, value: bytes) -> None:
        self.add(repr(value[: self._room + 1]))

    def _name(self, value: Name) -> None:
        self.add(f"<{value}>")

    def _told(self, value: Told) -> None:
        self.add(value.code)

    def _tuple(self, value: tuple[object, ...]) -> None:
        self._members("(", value, ",)" if len(value) == 1 else ")")

    def _group(self, value: MadeSet) -> None:
        self._members("{", value.members, "}")

    def _key(self, key: object) -> None:
        self.write(key)

    def _made(self, value: Made) -> None:
        plain = plain_value(value)
        if plain is value:
            self.call(value)
        else:
            self.write(plain)

    def bare(self, value: object) -> None:
        """What `str()` gives for a value."""
        if type(value) is str:
            self.add(value[: self._room + 1])
        elif type(value) is bytes:
            self.add(bytes_text(value[: self._room + 1]))
        elif type(value) is Made and type(plain := plain_value(value)) is Told:
            self.add(plain.text)
        else:
            self.write(value)

    def exception(self, made: Made) -> None:
        """The text of an exception of Python's own, by the number of its arguments."""
        name, arguments = made.name.short, made.arguments
        if len(arguments) == 1:
            if name == "KeyError":
                self.write(arguments[0])
            else:
                self.bare(arguments[0])
        elif name in _SYSTEM_ERRORS and len(arguments) in (2, 3):
            self.add("[Errno ")
            self.bare(arguments[0])
            self.add("] ")
            self.bare(arguments[1])
            if len(arguments) == 3:
                self.add(": ")
                self.write(arguments[2])
        elif arguments:
            self.write(arguments)

    def call(self, made: Made) -> None:
        """`Name(argument, ..., attribute=value)`."""
        self.add(_NAMES.get(made.name, made.name.short))
        self.add("(")
        parts = list(made.arguments)
        if made.members:
            parts.append(made.members)
        if made.pairs:
            parts.append(Mapped(made.pairs))
        attributes: Iterable[tuple[object, object]] = ()
        # An object with slots has a pair: its dict or None, and what the slots hold.
        states = made.state if type(made.state) is tuple and len(made.state) == 2 else (made.state,)
        for state in states:
            if type(state) in (Mapped, dict):
                attributes = chain(attributes, _pairs_of(state))
            elif state is not None:
                parts.append(state)
        self._listed(parts)
        is_first = not parts
        for key, value in attributes:
            if not is_first:
                self.add(", ")
            is_first = False
            self.bare(key)
            self.add("=")
            self.write(value)
        self.add(")")


_NAMES: Final = {"types.SimpleNamespace": "namespace"}
_SYSTEM_ERRORS: Final = frozenset(
    [error.__name__ for error in OSError.__subclasses__() if error.__module__ == "builtins"]
) | {"OSError", "IOError", "EnvironmentError"}


def _pairs_of(value: object) -> Iterator[tuple[object, object]]:
    """Keys with their values of a dict of either kind."""
    if type(value) is Mapped:
        pairs = value.pairs
        # Not copied: a pickle can name one long dict over and over.
        return ((pairs[at], pairs[at + 1]) for at in range(0, len(pairs) - 1, 2))
    return iter(cast("dict[object, object]", value).items())
