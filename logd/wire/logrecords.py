"""Records of the standard library's `SocketHandler`: the attributes of a `LogRecord` as a dict.

The handler has merged the arguments into the message. Should arguments come all the same, they
are kept as text: text from the net is never a format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from logd.records.callpath import Path
from logd.records.context import Context, Special
from logd.wire import fields
from logd.wire.errors import WireError
from logd.wire.limits import (
    MAX_FILE_CHARS,
    MAX_INTEGER,
    MAX_NAME_CHARS,
    MAX_SPECIAL_CHARS,
    MAX_SPECIAL_ITEMS,
    MAX_TIME,
    MIN_INTEGER,
    cut,
)
from logd.wire.pickles.made import Mapped
from logd.wire.shown import number, scalar, text
from logd.wire.texts import bytes_text

# (level, category), highest first; a level of an application's own has the category below it.
_CATEGORIES: Final = ((50, "C"), (40, "E"), (30, "W"), (20, "I"), (10, "D"))
_WARNING: Final = 30
_STANDARD_LEVELS: Final = {50: "C", 40: "E", 30: "W", 20: "I", 10: "D", 0: ""}

# What every record has, and what formatters of other handlers leave behind; anything else was
# added by the application.
_SHORT_CHARS: Final = 64

STANDARD_ATTRIBUTES: Final = frozenset(
    {
        "args",
        "asctime",
        "created",
        "exc_info",
        "exc_text",
        "filename",
        "funcName",
        "levelname",
        "levelno",
        "lineno",
        "message",
        "module",
        "msecs",
        "msg",
        "msgid",
        "name",
        "pathname",
        "process",
        "processName",
        "relativeCreated",
        "stack_info",
        "taskName",
        "thread",
        "threadName",
    }
)


class LogRecordParts(NamedTuple):
    """A record as a `Batch` holds it; the message without the exception that may follow it."""

    context: Context
    msgid: int
    time: float
    msg: str
    appendix: str
    """Exception and stack as further lines, each beginning with a newline; often empty."""
    special: Special


def log_record(
    attributes: object, *, room: int = MAX_SPECIAL_CHARS, now: float | None = None
) -> LogRecordParts:
    """The record that the attributes of a `LogRecord` are; what does not fit its field is an item.

    Args:
        attributes: the dict, or what the machine made of it.
        room: characters that the application's own attributes may have together.
        now: the time for a record whose own is none; without it such a record is an error.

    Raises:
        WireError: not the attributes of a `LogRecord`.
    """
    record = _attributes(attributes)
    get = record.get
    if "msg" not in record or "created" not in record:
        raise WireError("dict without the attributes of a LogRecord (msg, created)")
    special: dict[str, object] = {}
    level = _integer(get("levelno"), "levelno", special)
    category = _STANDARD_LEVELS.get(level)
    name = get("name")
    if name is not None and name != "root":
        special["logger"] = _text(name, MAX_NAME_CHARS)
    if category is None:
        category = next((letter for least, letter in _CATEGORIES if level >= least), "")
        special["level"] = _text(get("levelname"), MAX_NAME_CHARS)
    if args := get("args"):
        special["args"] = args
    for key in record:
        if key not in STANDARD_ATTRIBUTES:
            special[key] = record[key]
    context = fields.context(
        _integer(get("process"), "process", special),
        _integer(get("thread"), "thread", special),
        _text(get("threadName"), MAX_NAME_CHARS),
        category,
        _site(get("pathname"), get("lineno"), special),
        0,
        _text(get("funcName"), MAX_NAME_CHARS),
    )
    appendix = ""
    told = [get("msg")]
    for part in ("exc_text", "stack_info"):
        value = get(part)
        # A pickle can name one long text over and over; of short ones equal ones may be the same.
        is_short = type(value) is str and len(value) <= _SHORT_CHARS
        if value and (is_short or all(value is not other for other in told)):
            told.append(value)
            appendix += "\n" + _message(value, room)
    return LogRecordParts(
        context,
        _integer(get("msgid"), "msgid", special),
        _time(get("created"), now, special),
        _message(get("msg"), room),
        appendix,
        fields.special_items(special, room),
    )


def cut_record(
    attributes: object, frame_bytes: int, max_frame_bytes: int, *, room: int, now: float
) -> LogRecordParts:
    """What stands for a record whose frame was too long: as much of it as came, and a note.

    Args:
        attributes: as for `log_record`, but any of them may be missing.
        frame_bytes: how long the frame was.
        max_frame_bytes: how long one may be.
        room: as for `log_record`.
        now: as for `log_record`; the time if the record's own is missing.
    """
    known: dict[str, object] = {"msg": "", "created": now, "levelno": _WARNING}
    known.update(_attributes(attributes))
    known["frame_bytes"] = frame_bytes
    record = log_record(known, room=room, now=now)
    word = (
        f"[... frame of {frame_bytes} bytes, at most {max_frame_bytes} allowed: skipped the rest]"
    )
    return record._replace(appendix=f"{record.appendix}\n{word}")


def _attributes(value: object) -> Mapping[str, object]:
    """The attributes by name; keys that are no text as text."""
    if type(value) is dict:
        return value
    if type(value) is not Mapped:
        raise fields.wrong_type("record", "a dict", value)
    named: dict[str, object] = {}
    others = 0
    for key, of_key in zip(value.pairs[::2], value.pairs[1::2], strict=True):
        if type(key) is not str:
            others += 1
            if others > MAX_SPECIAL_ITEMS:
                continue
            key = fields.unused_key(key, named)
        named[key] = of_key
    return named


def _integer(value: object, name: str, special: dict[str, object]) -> int:
    """An integer of 64 bit; what is none becomes an item, with 0 in its place."""
    plain = value if type(value) is int else number(value)
    if plain is not None and MIN_INTEGER <= plain <= MAX_INTEGER:
        return plain
    if value is not None:
        special[name] = value
    return 0


def _time(value: object, now: float | None, special: dict[str, object]) -> float:
    if now is None:
        return fields.time(value)
    plain = value if type(value) is float else scalar(value, _SHORT_CHARS)
    if type(plain) in (float, int) and 0.0 <= cast("float", plain) < MAX_TIME:
        return float(cast("float", plain))
    special["created"] = str(value) if type(value) is float else value
    return now


def _text(value: object, limit: int) -> str:
    if type(value) is str:
        return value if len(value) <= limit else cut(value, limit)
    return "" if value is None else text(value, limit)


def _message(value: object, room: int) -> str:
    if type(value) is str:
        return value
    return bytes_text(value) if type(value) is bytes else text(value, room)


def _site(pathname: object, lineno: object, special: dict[str, object]) -> Path:
    if pathname is None:
        return ()
    line = None if lineno is None else _integer(lineno, "lineno", special)
    return ((_text(pathname, MAX_FILE_CHARS), line),)
