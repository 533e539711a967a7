r"""What the formats of structured lines share, JSON (`jsonlines`) and logfmt (`logfmtlines`).

A line is made of seven texts:

    start and time to the millisecond | microseconds, offset | what the place is before the number
    | the number in two | message | what follows it, with the line end

As in `logd.text.lines` only what differs between records is made for each of them, and that by
columns: times once for all records of a millisecond, what belongs to a place in a program once,
messages that need escapes all at once. Pure.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter, mul
from typing import TYPE_CHECKING, Any, NamedTuple

from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import Context, ContextItems
from logd.text.escaping import KnownTexts, is_safe, quoted_texts
from logd.text.lines import LineFormat, NumberColumns, encode_columns
from logd.text.timestamps import rfc3339_second

if TYPE_CHECKING:
    from logd.records.callpath import PathFormatter

LEVELS = {"C": "CRITICAL", "E": "ERROR", "W": "WARNING", "I": "INFO", "D": "DEBUG"}

_HEADING = "Traceback (most recent call last):"
_THREE_DIGITS = [f"{number:03}" for number in range(1000)]
_MAX_SECONDS = 1024
_MAX_PLACES = 8192
_MAX_KEPT_CHARS = 1024
_NO_ITEMS: Mapping[str, Any] = {}


class _Place(NamedTuple):
    """A context, and what stands in the lines of its records before the number and behind the
    message, if they have this peer and names look like this.
    """

    context: Context
    peer: str
    names: PathFormatter
    before: str
    behind: str


class StructuredFormat(LineFormat):
    """Lays out records by columns. For one thread at a time, as each output has its own.

    Args:
        start: what stands before the time.
        message: what stands between the number and the message.
        exception: what stands between the message and its traceback.
    """

    def __init__(self, *, start: str, message: str, exception: str) -> None:
        super().__init__()
        self._start = start
        self._names = ShortNames()
        self._exception = exception
        self._numbers = NumberColumns(message)
        self._seconds: dict[int, tuple[str, list[str]]] = {}
        self._digits: dict[str, list[str]] = {}
        # By identity: contexts that come again are mostly the same object, and to hash one takes
        # longer than all else about it. Each is held here, so that nothing else has its id.
        self._places: dict[int, _Place] = {}
        self._texts: dict[tuple[Context, str, PathFormatter], tuple[str, str]] = {}
        self._keys = KnownTexts(self._key)
        self._values = KnownTexts(self._text)
        self._loggers = KnownTexts(self._logger)

    @abstractmethod
    def _place(self, context: Context, peer: str, names: PathFormatter) -> tuple[str, str]:
        """What stands between the time and the number, and what follows the message there."""

    @abstractmethod
    def _ends(self, items: Mapping[str, Any]) -> tuple[str, str]:
        """What stands before and behind that which follows the message in all of a place: first
        the quote that ends the message, last the line end.
        """

    @abstractmethod
    def _key(self, key: str) -> str:
        """The key of an item with what stands between it and its value."""

    @abstractmethod
    def _text(self, text: str) -> str:
        """The value of an item that is a text."""

    @abstractmethod
    def _logger(self, name: str) -> str:
        """The name of a logger with all that stands between the message and it."""

    @abstractmethod
    def _value(self, value: object) -> str:
        """The value of an item that is no text."""

    def format_batch(self, batch: Batch) -> list[str]:
        """Each record's line, without its end."""
        return [line[:-1] for line in map("".join, zip(*self._columns(batch), strict=True))]

    def encode_batch(self, batch: Batch) -> bytes:
        """All lines as the bytes to append to a text file."""
        return encode_columns(self._columns(batch), len(batch))

    def _columns(self, batch: Batch) -> list[Sequence[str]]:
        """The texts that make up the lines, one after the other, as columns of the batch."""
        count = len(batch)
        heads, behinds = self._place_texts_of(batch)
        special = batch.special
        own: Mapping[int, Mapping[str, Any]] = special
        ends: Iterable[tuple[str, str]] = repeat(self._ends(_NO_ITEMS), len(behinds))
        if type(special) is ContextItems:
            own = special.own
            ends = map(self._ends, special.shared)
        tails = [
            f"{quote}{behind}{end}" for behind, (quote, end) in zip(behinds, ends, strict=True)
        ]
        head_column, tail_column = _dealt(heads, tails, batch.index)
        made: dict[int, tuple[str, str]] = {}
        for row, items in own.items():
            # Records of a logger or place often share one object for their items.
            around = made.get(id(items))
            if around is None:
                around = made[id(items)] = self._ends(items)
            tail_column[row] = f"{around[0]}{behinds[batch.index[row]]}{around[1]}"
        for texts in (self._keys, self._values, self._loggers):
            texts.forget_long()
        return [
            *self._times(batch.time, count),
            head_column,
            *self._numbers(batch.msgid),
            self._messages(batch.msg),
            tail_column,
        ]

    def _place_texts_of(self, batch: Batch) -> tuple[list[str], list[str]]:
        """For each context what stands before the number and what follows the message."""
        names, peer = batch.formatter or self._names, batch.peer
        get = self._places.get
        heads, behinds = [], []
        for context in batch.contexts:
            known = get(id(context))
            if (
                known is None
                or known.context is not context
                or known.names is not names
                or known.peer != peer
            ):
                known = self._learned(context, peer, names)
            heads.append(known.before)
            behinds.append(known.behind)
        return heads, behinds

    def _learned(self, context: Context, peer: str, names: PathFormatter) -> _Place:
        key = (context, peer, names)
        texts = self._texts.get(key) or self._place(context, peer, names)
        known = _Place(context, peer, names, *texts)
        if len(texts[0]) + len(texts[1]) <= _MAX_KEPT_CHARS:
            if len(self._texts) >= _MAX_PLACES:
                self._texts.clear()
            if len(self._places) >= _MAX_PLACES:
                self._places.clear()
            self._texts[key] = texts
            self._places[id(context)] = known
        return known

    # -- times -----------------------------------------------------------------------------------

    def _times(self, times: Sequence[float], count: int) -> tuple[list[str], list[str]]:
        """Each time to the millisecond, and its microseconds with the offset of the zone."""
        microseconds = list(map(int, map(mul, times, repeat(1e6))))
        first, last = microseconds[0], microseconds[-1]
        of = self._second
        if 0 <= last - first < count * 60 and microseconds == sorted(microseconds):
            moments: list[str] = []
            digits: list[str] = []
            place = 0
            while place < count:
                millisecond = microseconds[place] // 1000
                stop = bisect_left(microseconds, (millisecond + 1) * 1000, place + 1)
                start, table = of(millisecond // 1000)
                moments += [start + _THREE_DIGITS[millisecond % 1000]] * (stop - place)
                digits += [table[number % 1000] for number in microseconds[place:stop]]
                place = stop
            return moments, digits
        known = {second: of(second) for second in {number // 1_000_000 for number in microseconds}}
        return (
            [
                known[number // 1_000_000][0] + _THREE_DIGITS[number // 1000 % 1000]
                for number in microseconds
            ],
            [known[number // 1_000_000][1][number % 1000] for number in microseconds],
        )

    def _second(self, second: int) -> tuple[str, list[str]]:
        """What stands before the milliseconds, and each microsecond with what follows it."""
        known = self._seconds.get(second)
        if known is None:
            if len(self._seconds) >= _MAX_SECONDS:
                self._seconds.clear()
            text, offset = rfc3339_second(second)
            table = self._digits.get(offset)
            if table is None:
                table = self._digits[offset] = [f"{digits}{offset}" for digits in _THREE_DIGITS]
            known = self._seconds[second] = (f"{self._start}{text}", table)
        return known

    # -- messages and items ----------------------------------------------------------------------

    def _messages(self, messages: Sequence[str]) -> Sequence[str]:
        """The messages less the first and the last quote; with a traceback, two texts in one."""
        # A blank between them: an emoji's joiner needs its emoji in the same message.
        joined = " ".join(messages)
        if '"' not in joined and "\\" not in joined and is_safe(joined):
            return messages
        texts: list[str] = []
        places = []
        for row, text in enumerate(messages):
            if '"' not in text and "\\" not in text and text.isprintable() and text.isascii():
                continue
            message, exception = split_exception(text) if _HEADING in text else (text, None)
            places.append((row, len(texts), exception is not None))
            texts.append(message)
            if exception is not None:
                texts.append(exception)
        escaped = quoted_texts(texts)
        column = list(messages)
        for row, at, has_exception in places:
            column[row] = escaped[at]
            if has_exception:
                column[row] += f"{self._exception}{escaped[at + 1]}"
        return column

    def _pairs(self, items: Mapping[str, Any], but: str | None) -> list[str]:
        """Each item as text, but the one of that key."""
        keys, values, other = self._keys, self._values, self._value
        return [
            keys[key] + (values[value] if type(value) is str else other(value))
            for key, value in items.items()
            if key != but
        ]


def _dealt(
    heads: Sequence[str], tails: Sequence[str], index: Sequence[int]
) -> tuple[list[str], list[str]]:
    """For each record the texts of its place."""
    if len(heads) == 1:
        return [heads[0]] * len(index), [tails[0]] * len(index)
    if len(index) == 1:
        return [heads[index[0]]], [tails[index[0]]]
    deal = itemgetter(*index)
    return list(deal(heads)), list(deal(tails))


def split_exception(text: str) -> tuple[str, str | None]:
    """A message without its traceback, and the traceback; None if there is none."""
    at = 0 if text.startswith(_HEADING) else text.find(f"\n{_HEADING}")
    if at < 0 or (at == 0 and text.startswith("\n")):
        return text, None
    return (text[:at], text[at + 1 :]) if at else ("", text)
