"""Records of the standard library's `SocketHandler`: the attributes of a `LogRecord` as a dict.

The handler has merged the arguments into the message. Should arguments come all the same, they
are kept as text: text from the net is never a format.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from logd.records.batch import Context, Special
from logd.wire import fields
from logd.wire.errors import WireError
from logd.wire.limits import MAX_FILE_CHARS, MAX_NAME_CHARS

# (level, category), highest first; a level of an application's own has the category below it.
_CATEGORIES: Final = ((50, "C"), (40, "E"), (30, "W"), (20, "I"), (10, "D"))
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


def log_record(attributes: object) -> LogRecordParts:
    """Check the attributes of a `LogRecord`.

    Raises:
        WireError: not the attributes of a `LogRecord`; a field of a wrong type or out of range.
    """
    if type(attributes) is not dict:
        raise fields.wrong_type("record", "a dict", attributes)
    get = cast("Mapping[object, object]", attributes).get
    if "msg" not in attributes or "created" not in attributes:
        raise WireError("dict without the attributes of a LogRecord (msg, created)")
    level = fields.integer(get("levelno"), "levelno")
    category = _STANDARD_LEVELS.get(level)
    special: dict[object, object] = {}
    name = get("name")
    if name is not None and name != "root":
        special["logger"] = fields.text(name, MAX_NAME_CHARS, "name")
    if category is None:
        category = next((letter for least, letter in _CATEGORIES if level >= least), "")
        special["level"] = fields.text(get("levelname"), MAX_NAME_CHARS, "levelname")
    if args := get("args"):
        special["args"] = args
    for key in attributes:
        if key not in STANDARD_ATTRIBUTES:
            special[key] = attributes[key]
    site = _site(get("pathname"), get("lineno"))
    context = fields.context(
        get("process"), get("thread"), get("threadName"), category, site, 0, get("funcName")
    )
    appendix = ""
    told = [get("msg")]
    for part in ("exc_text", "stack_info"):
        value = get(part)
        # A pickle can name one long text over and over; of short ones equal ones may be the same.
        is_short = type(value) is str and len(value) <= _SHORT_CHARS
        if value and (is_short or all(value is not other for other in told)):
            told.append(value)
            appendix += "\n" + fields.message(value)
    return LogRecordParts(
        context,
        fields.integer(get("msgid"), "msgid"),
        fields.time(get("created")),
        fields.message(get("msg")),
        appendix,
        fields.special_items(special),
    )


def _site(pathname: object, lineno: object) -> tuple[tuple[str | None, int | None], ...]:
    if pathname is None:
        return ()
    line = None if lineno is None else fields.integer(lineno, "lineno")
    return ((fields.text(pathname, MAX_FILE_CHARS, "pathname"), line),)
