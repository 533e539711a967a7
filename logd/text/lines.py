r"""Text lines of records: the default layout, and the layout of a user's own function.

The default line, without its line end:

    {ts} {cat} {pid}[@{peer}]#{msgid} {message}\t{us} {tid}\t{threadname}\t{cfunc}\t{path}\t
        {special}

- `ts` and its space are left out in logs without timestamps; `cat` is "-" if it is empty.
- `us` are digits of the time: the three behind the milliseconds if `ts` has those, else the six
  behind the seconds. `tid` is the id of the thread.
- `path` is `views.py(42)<-urls.py(10)<-...`, `special` is `key=value key=value`
  (`logd.text.escaping`).
- Further lines of a message follow after that, each begun with `logd.text.escaping.CONTINUATION`.

What is escaped can be read back as it was (`logd.text.escaping.exact`). Lines of logd 1.0 lack
`{us} {tid}` and its tab, and their escapes are not certain.

So an entry starts at each line that does not begin with `CONTINUATION`, and is divided at its five
last tabs. A record costs a fraction of a microsecond, because only what differs between the
records of a batch is looked at record by record, and that in C: what belongs to a context is made
once and its texts are dealt out by the index column; whether anything is to be escaped is asked
of all messages at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from operator import add, attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import ContextItems
from logd.text.escaping import (
    ItemTexts,
    category_text,
    entry_of,
    exact,
    is_safe,
    split_messages,
)
from logd.text.fewlines import FEW, FewLines
from logd.text.timestamps import STANDARD_FORMATS

if TYPE_CHECKING:
    from logd.records.callpath import Path, PathFormatter
    from logd.records.context import Context, Special
    from logd.records.job import MsgJob

_THREE_DIGITS = [f"{number:03}" for number in range(1000)]
_TAB_THOUSAND = [f"\t{number:03}" for number in range(1000)]
_MAX_TAILS = 8192
_MAX_TAIL_CHARS = 1024

_HEAD_OF = attrgetter("cat", "pid")
_TAIL_OF = attrgetter("tid", "threadname", "cfunc", "path")

_Tails = dict[tuple[int, str, str, "Path"], str]


def encode_lines(lines: Sequence[str]) -> bytes:
    """Entries as the bytes of a text file: UTF-8, a line end after each."""
    return "\n".join(chain(lines, ("",))).encode("utf-8", "backslashreplace")


def encode_columns(columns: Sequence[Sequence[str]], count: int, end: str = "") -> bytes:
    """Entries as `encode_lines`, each of the texts in a row of the columns, and of `end`."""
    width = len(columns) + bool(end)
    pieces = [end] * (width * count)
    for position, column in enumerate(columns):
        pieces[position::width] = column
    return "".join(pieces).encode("utf-8", "backslashreplace")


class LineFormat:
    """The default layout. Safe to share between threads; keeps texts of contexts for reuse.

    Args:
        timestamp: the format of the timestamps that batches have, as far as it is known.
    """

    def __init__(self, timestamp: str | None = None) -> None:
        layout = STANDARD_FORMATS.get(timestamp or "", timestamp or "")
        self._fractions = _last_digits if "%3N" in layout else _all_digits
        # Replaced together if another server's batches come: names may look otherwise there.
        self._kept: tuple[PathFormatter, _Tails] = (ShortNames(), {})
        self._items = ItemTexts()
        self._few: FewLines | None = None
        if type(self)._columns is LineFormat._columns:
            digits = _last_digits_of if "%3N" in layout else _all_digits_of
            self._few = FewLines(self._around, digits, self._items)

    def format_batch(self, batch: Batch) -> list[str]:
        """Each record's entry, without a line end behind it."""
        return list(map("".join, zip(*self._columns(batch), strict=True)))

    def encode_batch(self, batch: Batch) -> bytes:
        """All entries as the bytes to append to a text file; faster than by `format_batch`."""
        if self._few is not None and len(batch) <= FEW:
            if batch.formatter is not None and batch.formatter is not self._kept[0]:
                self._use(batch.formatter)
            data = self._few.encode(batch)
            if data is not None:
                return data
        return encode_columns(self._columns(batch), len(batch), "\n")

    def _columns(self, batch: Batch) -> list[Sequence[str]]:
        """The texts that make up the entries, one after the other, as columns of the batch."""
        count = len(batch)
        ts = batch.ts or ()
        distinct_ts = set(ts)
        gap = " " if distinct_ts else ""
        if "" in distinct_ts or "\\" in "".join(distinct_ts) or not is_safe(" ".join(distinct_ts)):
            ts = [f"{exact(text)} " if text else "" for text in ts]
            gap = ""
        heads, tails = self._context_texts(batch, gap)
        if len(heads) == 1:
            head_column, tail_column = heads * count, tails * count
        elif count == 1:
            head_column, tail_column = [heads[batch.index[0]]], [tails[batch.index[0]]]
        else:
            deal = itemgetter(*batch.index)
            head_column, tail_column = list(deal(heads)), list(deal(tails))
        own = batch.special.own if type(batch.special) is ContextItems else batch.special
        if own:
            self._add_items(tail_column, own)
        messages = batch.msg
        # A blank between them: an emoji's joiner needs its emoji in the same message.
        joined = " ".join(messages)
        if "\\" in joined or not is_safe(joined):
            messages = list(messages)
            rows = [
                row
                for row, text in enumerate(messages)
                if "\\" in text or not (text.isascii() and text.isprintable())
            ]
            split = split_messages([messages[row] for row in rows])
            for row, (first, further) in zip(rows, split, strict=True):
                messages[row] = first
                tail_column[row] += further
        columns = [
            head_column,
            *_number_columns(batch.msgid),
            messages,
            self._fractions(batch.time),
            tail_column,
        ]
        return [ts, *columns] if distinct_ts else columns

    def _add_items(self, tail_column: list[str], special: Mapping[int, Special]) -> None:
        """Add the text of their items to the tails of records."""
        texts = self._each_text(special.values())
        if len(texts) == len(tail_column) and list(special) == list(range(len(texts))):
            tail_column[:] = map(add, tail_column, texts)
            return
        for row, text in zip(special, texts, strict=True):
            tail_column[row] += text

    def _each_text(self, each: Collection[Special]) -> list[str]:
        """The text of each collection of items; of the same object, which is frequent, made once.

        The records of a logger or place often share one object for their items.
        """
        keys = list(map(id, each))
        different = dict(zip(keys, each, strict=True))
        texts = dict(zip(different, self._items.texts(different.values()), strict=True))
        return list(map(texts.__getitem__, keys))

    def _use(self, formatter: PathFormatter) -> tuple[PathFormatter, _Tails]:
        self._kept = (formatter, {})
        if self._few is not None:
            self._few.forget()
        return self._kept

    def _around(self, batch: Batch, context: Context) -> tuple[str, str]:
        """What stands before the message id and behind the time in a context's records."""
        formatter, kept = self._kept
        key = _TAIL_OF(context)
        tail = kept.get(key) or _make_tail(key, formatter, kept)
        return f" {category_text(context.cat)} {context.pid}#", tail

    def _context_texts(self, batch: Batch, gap: str) -> tuple[list[str], list[str]]:
        """For each context what stands before the message id and what after the message.

        Of small batches nearly each record has a context of its own, so this is by columns, too.
        """
        formatter, kept = self._kept
        if batch.formatter is not None and batch.formatter is not formatter:
            formatter, kept = self._use(batch.formatter)
        peer = f"@{exact(batch.peer)}#" if batch.peer else "#"
        head_keys = list(map(_HEAD_OF, batch.contexts))
        made = {(cat, pid): f"{gap}{category_text(cat)} {pid}{peer}" for cat, pid in set(head_keys)}
        heads = list(map(made.__getitem__, head_keys))
        known = kept.get
        tails = [
            known(key) or _make_tail(key, formatter, kept) for key in map(_TAIL_OF, batch.contexts)
        ]
        if type(batch.special) is ContextItems:
            tails = list(map(add, tails, self._each_text(batch.special.shared)))
        return heads, tails


def _make_tail(key: tuple[int, str, str, Path], formatter: PathFormatter, kept: _Tails) -> str:
    tid, threadname, cfunc, path = key
    names = formatter.pathAsStr(path)
    tail = f" {tid}\t{exact(threadname)}\t{exact(cfunc)}\t{exact(names)}\t"
    if len(tail) <= _MAX_TAIL_CHARS:
        if len(kept) >= _MAX_TAILS:
            kept.clear()
        kept[key] = tail
    return tail


def _last_digits(times: Sequence[float]) -> list[str]:
    """A tab and the digits of each time that follow its milliseconds."""
    digits = _TAB_THOUSAND
    return [digits[int(instant * 1e6) % 1000] for instant in times]


def _last_digits_of(instant: float) -> str:
    return _TAB_THOUSAND[int(instant * 1e6) % 1000]


def _all_digits_of(instant: float) -> str:
    return _all_digits((instant,))[0]


def _all_digits(times: Sequence[float]) -> list[str]:
    """A tab and the digits of each time that follow its seconds."""
    thousands, digits = _TAB_THOUSAND, _THREE_DIGITS
    microseconds = [int(instant * 1e6) % 1_000_000 for instant in times]
    return [thousands[number // 1000] + digits[number % 1000] for number in microseconds]


class NumberColumns:
    """Makes columns of numbers in decimal.

    Message ids count up. In a range only the thousands are converted; the three digits after them
    come ready-made from a table, for a tenth of the cost.

    Args:
        behind: what follows each number.
    """

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self._thousand = [f"{number:03}{behind}" for number in range(1000)]
        self._first_thousand = [f"{number}{behind}" for number in range(1000)]

    def __call__(self, numbers: Sequence[int]) -> tuple[list[str], list[str]]:
        """The numbers and what follows them, as two columns of text."""
        if not (isinstance(numbers, range) and numbers.step == 1 and numbers.start >= 0):
            return list(map(repr, numbers)), [self._behind] * len(numbers)
        high: list[str] = []
        low: list[str] = []
        for thousand in range(numbers.start // 1000, (numbers.stop - 1) // 1000 + 1):
            start = max(numbers.start - thousand * 1000, 0)
            stop = min(numbers.stop - thousand * 1000, 1000)
            low += (self._thousand if thousand else self._first_thousand)[start:stop]
            high += [str(thousand) if thousand else ""] * (stop - start)
        return high, low


_number_columns = NumberColumns(" ")


class CallableFormat(LineFormat):
    """The layout of a user's own function, which gets one record at a time.

    Args:
        function: takes a job, or a job and the count of the lines written before it (as
            `Formatter` does), and returns the line as str.
        line_count: tells that count at the start of a batch.
    """

    def __init__(self, function: Callable[..., Any], line_count: Callable[[], int]) -> None:
        super().__init__()
        self._function = function
        self._line_count = line_count
        self._takes_count = takes_line_count(function)

    def format_batch(self, batch: Batch) -> list[str]:
        """Each record's entry; a function that fails for a record loses only its layout."""
        written = self._line_count()
        return [self._entry(job, written + row) for row, job in enumerate(batch.jobs())]

    def encode_batch(self, batch: Batch) -> bytes:
        """All entries as the bytes to append to a text file."""
        return encode_lines(self.format_batch(batch))

    def _entry(self, job: MsgJob, line_count: int) -> str:
        try:
            line = self._function(job, line_count) if self._takes_count else self._function(job)
            return entry_of(line if isinstance(line, str) else str(line))
        except Exception as error:  # whatever it is, the record must not be lost
            reason = f"{type(error).__name__}: {error}"
            failed = job.copy_update({"special": {**job.special, "format_line_failed": reason}})
            return "\n".join(super().format_batch(Batch.from_jobs([failed])))


def takes_line_count(function: Callable[..., Any]) -> bool:
    """Whether a `format_line` wants the line count besides the job.

    The document shows both `format_line(job)` and `Formatter.__call__(job, lineCount)`. So what
    can be called with a job alone is; only what needs a second argument gets one.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have none
        return False
    try:
        signature.bind(None)
    except TypeError:
        pass
    else:
        return False
    try:
        signature.bind(None, 0)
    except TypeError as error:
        raise TypeError(
            f"format_line must take (job) or (job, lineCount), got {signature}"
        ) from error
    return True
