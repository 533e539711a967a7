"""The standard library's way to lay out a line: `Formatter(fmt, datefmt)`.

A format is taken apart once; then each of its fields is a column of the batch, and fields of the
context are made once per context. Formats come from configuration or code, never from the net: a
field is a plain name, nothing is looked up in the values, and whatever a value contains is escaped.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from string import Formatter as StringFormatter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from logd.records.batch import Batch
from logd.records.callpath import ShortNames, short_name
from logd.text.escaping import CONTINUATION, ItemTexts, entry_start, escape, is_safe
from logd.text.lines import LineFormat, encode_lines
from logd.text.timestamps import Timestamps, milliseconds_of

if TYPE_CHECKING:
    from logd.records.callpath import PathFormatter
    from logd.records.context import Context
    from logd.records.job import MsgJob

Style = Literal["%", "{", "$"]

ISO_FORMAT = "%Y-%m-%d %H:%M:%S,%3N"
"""The date format of the standard library's `logging`."""

LEVELS = {"C": 50, "E": 40, "W": 30, "I": 20, "D": 10, "": 0}
"""Category -> level number of the standard library."""

_STARTED = time.time()
_PERCENT = re.compile(
    r"%(?:(?P<escaped>%)|\((?P<name>\w+)\)(?P<spec>[-#0 +]*\d*(?:\.\d+)?)[hlL]?"
    r"(?P<kind>[diouxXeEfFgGrsa]))?"
)
_DOLLAR = re.compile(r"\$(?:(?P<escaped>\$)|(?P<name>\w+)|\{(?P<braced>\w+)\})?")
_CONVERSIONS: dict[str | None, Callable[[Any], Any]] = {
    None: lambda value: value,
    "s": str,
    "r": repr,
    "a": ascii,
}


class _Field(NamedTuple):
    """One place in the format that differs between records."""

    name: str
    render: Callable[[Any], str]


# -- taking formats apart -------------------------------------------------------------------


def detect_style(fmt: str) -> Style:
    """The style in which `fmt` is written: the first one of %, {, $ that has a field in it."""
    if re.search(r"%\(\w+\)", fmt):
        return "%"
    if re.search(r"\{\w+[^{}]*\}", fmt):
        return "$" if re.search(r"\$\{\w+\}", fmt) else "{"
    return "$" if re.search(r"\$\w", fmt) else "%"


def _wrong(fmt: str, problem: str) -> ValueError:
    return ValueError(f"line format {fmt!r}: {problem}")


def _percent_parts(fmt: str) -> Iterator[str | _Field]:
    position = 0
    for match in _PERCENT.finditer(fmt):
        yield fmt[position : match.start()]
        position = match.end()
        if match["escaped"]:
            yield "%"
        elif match["name"]:
            yield _Field(match["name"], f"%{match['spec']}{match['kind']}".__mod__)
        else:
            raise _wrong(
                fmt, f"expected a field like %(message)s or %% at character {match.start()}"
            )
    yield fmt[position:]


def _dollar_parts(fmt: str) -> Iterator[str | _Field]:
    position = 0
    for match in _DOLLAR.finditer(fmt):
        yield fmt[position : match.start()]
        position = match.end()
        name = match["name"] or match["braced"]
        if match["escaped"]:
            yield "$"
        elif name:
            yield _Field(name, str)
        else:
            raise _wrong(fmt, f"expected a field like ${{message}} or $$ at {match.start()}")
    yield fmt[position:]


def _brace_parts(fmt: str) -> Iterator[str | _Field]:
    try:
        pieces = list(StringFormatter().parse(fmt))
    except ValueError as error:
        raise _wrong(fmt, str(error)) from error
    for literal, name, spec, conversion in pieces:
        yield literal
        if name is None:
            continue
        # Attributes and items of values are not for formats: {process.__class__} says too much.
        if not name.isidentifier() or "{" in (spec or "") or conversion not in _CONVERSIONS:
            raise _wrong(fmt, f"expected fields like {{message}} or {{msgid:>8}}, got {{{name}}}")
        yield _brace_field(fmt, name, spec or "", _CONVERSIONS[conversion])


def _brace_field(fmt: str, name: str, spec: str, convert: Callable[[Any], Any]) -> _Field:
    def render(value: Any) -> str:
        return format(convert(value), spec)

    for example in (1, 1.5, "text"):
        try:
            render(example)
        except ValueError:
            continue
        return _Field(name, render)
    raise _wrong(fmt, f"field {name} has the unknown format specification {spec!r}")


_PARTS: dict[str, Callable[[str], Iterator[str | _Field]]] = {
    "%": _percent_parts,
    "{": _brace_parts,
    "$": _dollar_parts,
}


# -- what the fields mean -------------------------------------------------------------------


def _file_name(context: Context) -> str:
    return context.path[0][0] or "" if context.path else ""


def _line_number(context: Context) -> int:
    return context.path[0][1] or 0 if context.path else 0


def _module(context: Context) -> str:
    return short_name(_file_name(context)).rpartition(".py")[0] or short_name(_file_name(context))


_CONTEXT_FIELDS: dict[str, Callable[[Context, PathFormatter], Any]] = {
    "process": lambda context, _: context.pid,
    "pid": lambda context, _: context.pid,
    "thread": lambda context, _: context.tid,
    "tid": lambda context, _: context.tid,
    "threadName": lambda context, _: context.threadname,
    "threadname": lambda context, _: context.threadname,
    "cat": lambda context, _: context.cat,
    "funcName": lambda context, _: context.cfunc,
    "cfunc": lambda context, _: context.cfunc,
    "tblen": lambda context, _: context.tblen,
    "pathname": lambda context, _: _file_name(context),
    "filename": lambda context, _: short_name(_file_name(context)),
    "module": lambda context, _: _module(context),
    "lineno": lambda context, _: _line_number(context),
    "cln": lambda context, _: _line_number(context),
    "cfn": lambda context, names: names.format_fname(_file_name(context)) or "",
    "path": lambda context, names: names.pathAsStr(context.path),
}

_RECORD_FIELDS: dict[str, Callable[[Batch], Iterable[Any]]] = {
    "message": lambda batch: batch.msg,
    "msg": lambda batch: batch.msg,
    "msgid": lambda batch: batch.msgid,
    "created": lambda batch: batch.time,
    "time": lambda batch: batch.time,
    "msecs": lambda batch: [float(milliseconds_of(time) % 1000) for time in batch.time],
    "relativeCreated": lambda batch: [(instant - _STARTED) * 1000 for instant in batch.time],
    "ts": lambda batch: batch.ts or [""] * len(batch),
    "peer": lambda batch: [batch.peer] * len(batch),
    "name": lambda batch: _item(batch, "logger", "root"),
    "levelname": lambda batch: _levels(batch, logging.getLevelName),
    "levelno": lambda batch: _levels(batch, int),
}


def _item(batch: Batch, key: str, default: Any) -> list[Any]:
    values = [default] * len(batch)
    for row, items in batch.special.items():
        values[row] = items.get(key, default)
    return values


def _levels(batch: Batch, convert: Callable[[int], Any]) -> list[Any]:
    """Level by category; other categories than the standard library's stay as they are."""
    known = [
        convert(LEVELS[context.cat])
        if context.cat in LEVELS
        else (context.cat if convert is not int else 0)
        for context in batch.contexts
    ]
    values = [known[position] for position in batch.index]
    if convert is not int:
        for row, items in batch.special.items():
            values[row] = items.get("level", values[row])
    return values


# -- the format -----------------------------------------------------------------------------


class Formatter(LineFormat):
    """Lays out lines as `logging.Formatter` does, by the same arguments.

    Fields are the attributes of the standard library's records (`asctime`, `levelname`,
    `filename`, `message`, ...) and the job's own (`cat`, `msgid`, `path`, `special`, `cfn`, ...);
    any other name stands for the special item of that name, or nothing if a record has none.
    As with the standard library, the format is "%(message)s" if none is given.

    Args:
        fmt: the format.
        datefmt: of `asctime`: as for `time.strftime`, `%3N` is milliseconds. Without it dates
            look like 2026-11-22 11:10:00,123.
        style: "%", "{" or "$"; without it, it is seen from `fmt`.

    Attributes:
        item_names: the names in the format that stand for special items.

    Raises:
        ValueError: the format is no valid one; the text says where and why.
    """

    def __init__(
        self, fmt: str | None = None, datefmt: str | None = None, *, style: Style | None = None
    ) -> None:
        super().__init__()
        fmt = "%(message)s" if fmt is None else fmt
        style = style or detect_style(fmt)
        if style not in _PARTS:
            raise ValueError(f"style of a line format: expected one of %, {{, $, got {style!r}")
        self._parts = [
            # A line break in the format itself must not begin another entry.
            part if isinstance(part, _Field) else part.replace("\n", f"\n{CONTINUATION}")
            for part in _PARTS[style](fmt)
            if part
        ]
        names = {part.name for part in self._parts if isinstance(part, _Field)}
        self.item_names = names - {"asctime", "special", *_CONTEXT_FIELDS, *_RECORD_FIELDS}
        self._dates = Timestamps(ISO_FORMAT if datefmt is None else datefmt)
        self._item_texts = ItemTexts()

    def __call__(self, job: MsgJob, lineCount: int) -> str:  # noqa: N803 - a documented name
        """One record as a single line: line breaks in its values are escaped.

        `lineCount` is there for formats of a user's own that number their lines.
        """
        return self.format_batch(Batch.from_jobs([job]))[0]

    def format_batch(self, batch: Batch) -> list[str]:
        """Each record as a line."""
        count = len(batch)
        columns = [
            [part] * count if isinstance(part, str) else self._column(part, batch)
            for part in self._parts
        ]
        if not columns:
            return [""] * count
        lines = map("".join, zip(*columns, strict=True))
        # Only a format that begins with a value can be tricked into that, but it is cheap.
        return list(map(entry_start, lines))

    def encode_batch(self, batch: Batch) -> bytes:
        """All lines as the bytes to append to a text file."""
        return encode_lines(self.format_batch(batch))

    def _column(self, field: _Field, batch: Batch) -> list[str]:
        of_context = _CONTEXT_FIELDS.get(field.name)
        if of_context is not None:
            names = batch.formatter or ShortNames()
            texts = _rendered(field, [of_context(context, names) for context in batch.contexts])
            return [texts[position] for position in batch.index]
        return _rendered(field, self._values(field.name, batch))

    def _values(self, name: str, batch: Batch) -> Iterable[Any]:
        if name == "asctime":
            return self._dates.texts(batch.time)
        if name == "special":
            texts = self._item_texts
            return [texts.text(batch.special.get(row, {})) for row in range(len(batch))]
        of_record = _RECORD_FIELDS.get(name)
        return of_record(batch) if of_record is not None else _item(batch, name, "")


def _rendered(field: _Field, values: Iterable[Any]) -> list[str]:
    texts = []
    for value in values:
        try:
            texts.append(field.render(value))
        except (TypeError, ValueError):  # e.g. %d for a text: the text is better than no line
            texts.append(str(value))
    return texts if is_safe(" ".join(texts)) else list(map(escape, texts))
