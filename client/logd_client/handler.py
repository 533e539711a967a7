"""`LogdHandler`: the standard `logging` straight to a logd server."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from logd_client import lifecycle
from logd_client.bound import PROBES, bound_items, context_items, merged
from logd_client.errorhandlers import ErrorHandler
from logd_client.log import message_ids
from logd_client.logging23 import LEVELMAP, category
from logd_client.receipt import Receipt
from logd_client.records import Context, Items
from logd_client.settingchecks import DEFAULT_HOST, DEFAULT_PORTS
from logd_client.socketclient import LogServerProxy
from logd_client.values import as_text, flat_items, make_context

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from logd_client.settingchecks import ClientSettings

__all__ = ["LogdHandler"]

_MAX_PLACES = 4096
_MAX_ID = 1_000_000

_HURRY_S = 0.5
"""The longest that a record of the flush level holds up its caller."""

_EXIT_TIMEOUT: Any = object()

_modules = sys.modules
_LogRecord = logging.LogRecord
_get_message = _LogRecord.getMessage

_PLACE = ("pathname", "lineno", "levelno", "thread", "threadName", "funcName", "process", "name")
_place = itemgetter(*_PLACE)
_FORMATTER = logging.Formatter()

# Not `logging.makeLogRecord`: with a record factory of the application's it has more fields.
_PLAIN_RECORD = logging.LogRecord("", 0, "", 0, "", (), None)
_STANDARD = frozenset(_PLAIN_RECORD.__dict__) | {"message", "asctime", "taskName"}
_STANDARD_COUNT = len(_PLAIN_RECORD.__dict__)

_PLAIN = frozenset((str, float, bool, type(None)))
_MAX_INT = 2**63 - 1


class LogdHandler(logging.Handler):
    """Sends the records of the standard `logging` to a logd server, exactly once.

    Levels become categories (`logging23.LEVELMAP`). Texts of exceptions and stacks follow the
    message. The special item `logger` names the logger, unless it is the root logger. What was
    given as `extra`, or set by a record factory, becomes special items: numbers and texts as they
    are, containers as JSON, everything else as the text that `str()` gives. In `dictConfig`:

        "handlers": {"logd": {"class": "logd_client.LogdHandler", "host": "loghost"}}

    Args:
        host: see `LogServerProxy`, like `ports` and all further settings; may be a URL.
        ports: one port, or several: the first one with a server is used.
        level: as of every handler.
        server: a proxy to share with others, in place of all settings; it is not closed with
            this handler.
        errorHandler: see `LogServerProxy`.
        flush_level: if a record has this level or a higher one, the call returns when the server
            has stored it, or after half a second. For records that should not be lost with a
            process that is about to end.
        settings: see `LogServerProxy`.

    Raises:
        ValueError, TypeError: a wrong setting; the text names it.
        OSError: the spool directory can't be used.

    A formatter, if set, makes the whole text; without one it is the message. The one that
    `logging.basicConfig` gives to all handlers counts as none: level and logger are in the record.
    """

    def __init__(
        self,
        host: str = DEFAULT_HOST,
        ports: int | Sequence[int] = DEFAULT_PORTS,
        level: int | str = logging.NOTSET,
        *,
        server: LogServerProxy | None = None,
        errorHandler: ErrorHandler | str | None = None,
        flush_level: int | str | None = None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        if server is not None:
            given = [*settings, *(["errorHandler"] if errorHandler is not None else [])]
            if given:
                raise TypeError(f"server is given, so {', '.join(given)} can have no effect")
            if not isinstance(server, LogServerProxy):
                raise TypeError(f"server {server!r}: expected a LogServerProxy")
        super().__init__(level)
        self._flush_level = None if flush_level is None else _level("flush_level", flush_level)
        self._owns_server = server is None
        if server is None:
            server = LogServerProxy(host, ports, errorHandler=errorHandler, **settings)
        self.server = server
        self._ids = message_ids(_MAX_ID)
        self._places: dict[Any, tuple[str | None, Context, Items]] = {}
        """By place: the category in `LEVELMAP`, the context, the item that names the logger."""
        self._static = server.static_items
        self._common = frozenset(("logger", *self._static[::2]))
        self._not_plain = self._common | _STANDARD | {"extra"}
        self._around = context_items if server.has_context_items else bound_items
        self._names: dict[str, Items] = {"root": self._static}
        """The same objects for all places of a logger, as records that share them cost less."""
        self._put = self.server.put
        self._buffer = self.server.buffer
        lifecycle.register(self)

    def createLock(self) -> None:
        """Have no lock: the buffer has one, and holding two costs each call."""
        self.lock = None

    def setFormatter(self, fmt: logging.Formatter | None) -> None:
        if type(fmt) is logging.Formatter and fmt._fmt == logging.BASIC_FORMAT:
            fmt = None
        super().setFormatter(fmt)

    def handle(  # noqa: C901 - one function on purpose, see below
        self, record: logging.LogRecord, *, is_passed: bool = False
    ) -> Any:
        """Filter and emit, without the lock that other handlers need.

        In one function, for a call more costs a lone record some microseconds.
        """
        if not is_passed and (
            # A class of the application's, or a tool that watches calls, may have its own `emit`.
            self.filters or type(self).emit is not _EMIT or "emit" in self.__dict__
        ):
            return self._filtered(record)
        try:
            # Each line here is paid by every log call of the application.
            fields = record.__dict__
            try:
                # The program's lines repeat: what places a record, `_PLACE`, leads to its context.
                cat, context, items = self._places[
                    record.pathname,
                    record.lineno,
                    record.levelno,
                    record.thread,
                    record.threadName,
                    record.funcName,
                    record.process,
                    record.name,
                ]
                if cat is not LEVELMAP[record.levelno]:
                    cat, context, items = self._find_place(record)
            except (KeyError, TypeError, AttributeError):  # new, or a level of the application's
                cat, context, items = self._find_place(record)
            # As `context_items` does, with a call less.
            around = bound_items() if len(_modules) == PROBES.plain_at else self._around()
            if around or cat is None or len(fields) != _STANDARD_COUNT:
                items = self._with_own(items, around, record, is_standard=cat is not None)
            text = record.msg
            if (
                type(text) is not str
                or record.exc_info
                or record.exc_text
                or record.stack_info
                or self.formatter is not None
            ):
                text = self._text(record)
            elif record.args:
                try:
                    if type(record) is _LogRecord and _LogRecord.getMessage is _get_message:
                        text %= record.args  # as it does, with a call less
                    else:
                        text = record.getMessage()
                except Exception:  # told, and the record made of what there is
                    text = self._text(record)
                if type(text) is not str:
                    text = as_text(text)
            # As `put` does, with a call less.
            if self._buffer.sender_sleeps:
                put_lone = self._buffer.put_lone
                if put_lone(context, self._ids, record.created, text, items) is None:
                    self._put(context, self._ids, record.created, text, items)
            else:
                self._put(context, self._ids, record.created, text, items)
            if self._flush_level is not None and record.levelno >= self._flush_level:
                self._hurry()
        except Exception:  # as every handler: logging decides what to do
            self.handleError(record)
        return True

    def _filtered(self, record: logging.LogRecord) -> Any:
        passed: Any = self.filter(record)
        if passed:
            # Since Python 3.12 a filter may return another record.
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        LogdHandler.handle(self, record, is_passed=True)

    def _with_own(
        self, items: Items, around: Items, record: logging.LogRecord, *, is_standard: bool
    ) -> Items:
        """The items of a record's place, and its own."""
        fields = record.__dict__
        if is_standard and not around:
            extras: Items = ()
            left = len(fields) - _STANDARD_COUNT
            # They come last, unless a class of the application's own sets its fields first.
            for key in reversed(fields):
                if not left:
                    return items + extras
                left -= 1
                value = fields[key]
                kind = type(value)
                if (
                    type(key) is not str
                    or key in self._not_plain
                    or (kind not in _PLAIN and (kind is not int or abs(value) > _MAX_INT))
                ):
                    break
                extras = (key, value, *extras)
        own = merged(around, _extra_items(record))
        return items + own if self._common.isdisjoint(own[::2]) else merged(items, own)

    def _hurry(self) -> None:
        """Wait until the server has stored what was logged, if one is there."""
        server = self.server
        if server.connected_to is not None or not server.last_error:
            server.flush(_HURRY_S)

    def _text(self, record: logging.LogRecord) -> str:
        try:
            if self.formatter is not None:
                return as_text(self.formatter.format(record))
            text = as_text(record.getMessage() if record.args else record.msg)
        except Exception as exc:  # arguments that do not fit, or an object without a text
            # The application learns of it as from every handler; the record is not lost for it.
            self.handleError(record)
            text = f"{as_text(record.msg)} [not formatted: {type(exc).__name__}: {as_text(exc)}]"
        if record.exc_info and not record.exc_text:
            # Kept in the record, as formatters do, for the handlers that come after.
            record.exc_text = _FORMATTER.formatException(record.exc_info)
        if record.exc_text:
            text = f"{text}\n{record.exc_text}"
        if record.stack_info:
            text = f"{text}\n{_FORMATTER.formatStack(record.stack_info)}"
        return text

    def _find_place(self, record: logging.LogRecord) -> tuple[str | None, Context, Items]:
        # In a child process each place is new, for the process is part of it.
        lifecycle.look_for_fork()
        place = _place(record.__dict__)
        try:
            hash(place)
        except TypeError:  # a field of a type that no dict takes as a key
            record = logging.makeLogRecord({**record.__dict__, **_plain_fields(record)})
            place = _place(record.__dict__)
        cat = LEVELMAP.get(record.levelno)
        found = self._places.get(place)
        if found is not None and found[0] is cat:
            return found
        context = make_context(
            record.process,
            record.thread,
            record.threadName,
            category(record.levelno),
            ((record.pathname, record.lineno),),
            0,
            record.funcName,
        )
        items = self._names.get(record.name)
        if items is None:
            items = merged(("logger", as_text(record.name)), self._static)
            if len(self._names) < _MAX_PLACES:
                self._names[record.name] = items
        if len(self._places) >= _MAX_PLACES:
            self._places.clear()
        found = self._places[place] = cat, context, items
        return found

    def flush(self, timeout: float | None = _EXIT_TIMEOUT) -> Receipt:  # type: ignore[override]
        """Wait until the server has stored all that was logged before.

        Args:
            timeout: seconds, None for as long as it takes. By default the exit timeout, for
                `logging` itself calls this when it is configured anew and at exit.

        Returns:
            A receipt that is true if everything is stored.
        """
        return self.server.flush(self._timeout_s(timeout))

    async def aflush(self, timeout: float | None = _EXIT_TIMEOUT) -> Receipt:
        """As `flush`, for asyncio: other tasks go on meanwhile."""
        return await self.server.aflush(self._timeout_s(timeout))

    def _timeout_s(self, timeout: float | None) -> float | None:
        return self.server.exit_timeout_s if timeout is _EXIT_TIMEOUT else timeout

    def close(self) -> None:
        """Deliver the rest within the exit time and disconnect, unless the proxy is shared.

        As with the standard handlers, the next record connects again: `dictConfig` and
        `logging.shutdown` close handlers that stay in use.
        """
        if self._owns_server:
            self.server.let_go()
        super().close()

    def after_fork(self) -> None:
        """In a child process: message ids from 1 again."""
        self._ids = message_ids(_MAX_ID)


def _plain_fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that place a record, as text if a dict takes them as no key."""
    plain = {}
    for key in _PLACE:
        value = record.__dict__[key]
        try:
            hash(value)
        except TypeError:
            plain[key] = as_text(value)
    return plain


def _level(name: str, level: Any) -> int:
    """The number of a level given as `logging` takes them."""
    if isinstance(level, int):
        return level
    number = logging.getLevelName(level) if isinstance(level, str) else None
    if not isinstance(number, int):
        raise ValueError(f"{name} {level!r}: expected a level of logging")
    return number


def _extra_items(record: logging.LogRecord) -> Items:
    """What was given as `extra`, and the name of a level that has no category of its own."""
    extras = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
    bound = extras.get("extra")
    if isinstance(bound, dict):  # loguru gives what was bound to its logger under this one name
        del extras["extra"]
        extras = {**bound, **extras}
    if record.levelno not in LEVELMAP:
        extras.setdefault("level", record.levelname)
    return flat_items(extras)


_EMIT = LogdHandler.emit
