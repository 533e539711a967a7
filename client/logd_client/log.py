"""`Log`, what an application calls.

A log gives each call its message id, its time, its place in the program and its special items,
and hands it to a server: one in the same process (`logd.LogServer`), or a proxy for one elsewhere.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from itertools import chain, repeat
from typing import Any

from logd_client import lifecycle
from logd_client.bound import bound_items, context_items, merged
from logd_client.callpath import CallSites
from logd_client.errorhandlers import ErrorHandler, create_error_handler
from logd_client.logging23 import Logging23Handler
from logd_client.receipt import NotDelivered, Receipt
from logd_client.records import Context, Items
from logd_client.values import as_text, flat_items

__all__ = ["SYNC_TIMEOUT_S", "Log", "message_ids"]

SYNC_TIMEOUT_S = 30.0
"""How long `log(..., sync=True)` waits for its record."""

_time = time.time
_IN_PROCESS = lifecycle.IN_PROCESS


def message_ids(limit: int) -> Iterator[int]:
    """1, 2, ... up to `limit - 1`, and from 1 again; forever."""
    return chain.from_iterable(repeat(range(1, limit)))


class Log:
    """Call it to log: `log("message", "E")`. May be shared by any number of threads.

    In a block `with log:` or `async with log:` it is closed at the end, see `close`.

    Args:
        server: anything with `addClient()` and `log(jobdata)`: a `LogServer` or a proxy.
        traceOffset: how many callers to leave out of the call path, innermost first.
        msgCountLimit: message ids go back to 1 if the next one would be this.
        stackMax: how many stack lines are logged; 0 none, 1 the caller's.
        errorHandler: takes exceptions of log calls: an object with `handleException(e)`, or
            "stderr", "stdout", "silent"; None lets the app have them.
        catsEnable: only these categories are logged; None for all.
        catsDisable: these categories are not logged.
        seFilesExclude: callable of a file name; if it is true, the file is hidden in call
            paths and `(None, None)` stands there. Asked once per place in the program.
        name: shown by `repr`.
        extractStack: False reads no stack at all: the path is empty and calls are cheaper.

    Raises:
        TypeError: an argument of a wrong type; the text names it.
        ValueError: both given, or a number out of range.
    """

    def __init__(
        self,
        server: Any,
        traceOffset: int = 0,
        msgCountLimit: int = 1000000,
        stackMax: int = 1,
        errorHandler: ErrorHandler | str | None = None,
        catsEnable: Collection[str] | None = None,
        catsDisable: Collection[str] | None = None,
        seFilesExclude: Callable[[str], object] | None = None,
        name: str | None = None,
        extractStack: bool = True,
    ) -> None:
        for title, cats in (("catsEnable", catsEnable), ("catsDisable", catsDisable)):
            if cats is not None and (isinstance(cats, (str, bytes)) or not _is_iterable(cats)):
                raise TypeError(f"{title} {cats!r}: expected a collection of categories")
        for title, number in (
            ("traceOffset", traceOffset),
            ("msgCountLimit", msgCountLimit),
            ("stackMax", stackMax),
            ("extractStack", extractStack),
        ):
            if not isinstance(number, int):
                kind = "True or False" if title == "extractStack" else "a number"
                raise TypeError(f"{title} {number!r}: expected {kind}")
        if seFilesExclude is not None and not callable(seFilesExclude):
            raise TypeError(f"seFilesExclude {seFilesExclude!r}: expected something to call")
        if catsEnable is not None and catsDisable is not None:
            raise ValueError("catsEnable and catsDisable exclude each other, both are given")
        if msgCountLimit < 2:
            raise ValueError(f"msgCountLimit {msgCountLimit}: expected at least 2")
        self.name = name
        self._server = server
        self._handler = create_error_handler(errorHandler)
        self._enabled = None if catsEnable is None else frozenset(catsEnable)
        self._disabled = frozenset(catsDisable or ())
        self.on()
        self._sticked: dict[str, Any] = {}
        self._skip = max(0, traceOffset)
        self._id_limit = msgCountLimit
        self._ids = message_ids(msgCountLimit)
        self._sites = CallSites(stackMax, seFilesExclude, extractStack)
        self._find_site = self._sites.find
        # A proxy takes records as they are buffered, other servers the 11-tuple.
        self._proxy_put = getattr(server, "put", None)
        self._static: Items = getattr(server, "static_items", ())
        has_context_items = getattr(server, "has_context_items", True)
        self._around = context_items if has_context_items else bound_items
        lifecycle.register(self)
        server.addClient()

    def __repr__(self) -> str:
        return f"{self.name}({'on' if self._is_on else 'Off'})"

    def __call__(
        self,
        message: object,
        cat: str = "",
        special: Mapping[str, Any] | None = None,
        traceDepth: int = 1,
        *,
        sync: bool | float = False,
        **kwargs: Any,
    ) -> int | None:
        """Log a message.

        Args:
            message: the text; what is not a str is made one.
            cat: the category, by habit one letter: C, E, W, I, D.
            special: items for filters, observers and columns: str to str or int.
            traceDepth: 1 for the caller's line, 2 for its caller's, and so on.
            sync: wait until the server has stored this record, as for audit events; a number
                gives the seconds, True means 30. Needs a server that acknowledges.
            kwargs: deprecated, more special items.

        Returns:
            The message id; None if the log is off, the category is disabled, or the error
            handler took an error.

        Raises:
            NotDelivered: with `sync`, the record was dropped or the time is over.
        """
        if not self._takes_all and not self._takes(cat):
            return None
        if not _IN_PROCESS[0]:
            lifecycle.look_for_fork()
        try:
            depth = traceDepth if traceDepth > 1 else 1  # noqa: FURB136 - each call pays for max()
            context = self._find_site(depth + self._skip, cat)
            if type(message) is not str:
                message = as_text(message)
            if special or kwargs or self._sticked:
                special = self._merge(special, kwargs)
            if self._proxy_put is None:
                return self._log_job(context, message, special)
            items = flat_items(special) if special else ()
            around = self._around()
            if around or self._static:
                items = merged(self._static, around, items)
            if sync is False:
                return self._proxy_put(context, self._ids, _time(), message, items)  # type: ignore[no-any-return]
            return self._log_and_wait(context, message, items, sync)
        except Exception as exc:
            if self._handler is None:
                raise
            self._handler.handleException(exc)
            return None

    def submit(
        self,
        message: object,
        cat: str = "",
        special: Mapping[str, Any] | None = None,
        traceDepth: int = 1,
    ) -> Future[int]:
        """Log a message and get a future for it, done when the record is stored.

        The result is the record's sequence number in its session (0 if the server keeps
        none). A record that is switched off by `off()` or its category gives a cancelled future;
        a dropped one a future with the exception `NotDelivered`. In asyncio:
        `await asyncio.wrap_future(log.submit(...))`. Callbacks run in the sender's thread.
        """
        future: Future[int] = Future()
        if not self._takes(cat):
            future.cancel()
            return future
        lifecycle.look_for_fork()
        try:
            context = self._find_site(max(1, traceDepth) + self._skip, cat)
            message = as_text(message)
            given = self._merge(special, {})
            if self._proxy_put is None:
                self._log_job(context, message, given)
                future.set_result(0)
                return future
            items = merged(self._static, self._around(), flat_items(given))
            msgid, watched = self._server.put_watched(context, self._ids, _time(), message, items)
            if watched is None:
                raise NotDelivered(_dropped(msgid), msgid, is_lost=True)
            return watched  # type: ignore[no-any-return]
        except Exception as exc:  # every error is the future's
            future.set_exception(exc)
            return future

    def _takes(self, cat: str) -> bool:
        """Whether records of a category are logged now."""
        return (
            self._is_on
            and cat not in self._disabled
            and (self._enabled is None or cat in self._enabled)
        )

    def _log_and_wait(
        self, context: Context, message: object, items: Any, sync: bool | float
    ) -> int:
        timeout_s = SYNC_TIMEOUT_S if sync is True else float(sync)
        msgid: int
        msgid, is_stored = self._server.put_and_wait(
            context, self._ids, _time(), message, items, timeout_s
        )
        if is_stored is None:
            raise NotDelivered(_dropped(msgid), msgid, is_lost=True)
        if not is_stored:
            raise NotDelivered(
                f"message {msgid} is not known to be stored after {timeout_s:g} s", msgid
            )
        return msgid

    def _log_job(self, context: Context, message: object, special: Mapping[str, Any] | None) -> int:
        pid, tid, threadname, cat, path, tblen, cfunc = context.fields
        msgid = next(self._ids)
        around: tuple[Any, ...] = self._around()
        if around:
            special = {**dict(zip(around[::2], around[1::2])), **(special or {})}
        self._server.log(
            (
                msgid,
                pid,
                tid,
                threadname,
                _time(),
                message,
                cat,
                path,
                tblen,
                cfunc,
                special or {},
            )
        )
        return msgid

    def _merge(
        self, special: Mapping[str, Any] | None, kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """All special items of a call: keyword over special over sticked."""
        if kwargs:
            warnings.warn(
                "special items as keyword arguments are deprecated, use special={...}",
                DeprecationWarning,
                stacklevel=3,
            )
        return {**self._sticked, **(special or {}), **kwargs}

    def common_items(self) -> Items:
        """The items that a record logged here and now has besides its own."""
        return merged(self._static, self._around(), flat_items(self._sticked))

    def set_sticked_items(self, d: Mapping[str, Any]) -> None:
        """Add these special items to every later call; `{}` ends that. The dict is copied."""
        self._sticked = dict(d)

    def on(self) -> None:
        """Log again after `off`."""
        self._is_on = True
        # What most logs do, told by one look in each call.
        self._takes_all = self._enabled is None and not self._disabled

    def off(self) -> None:
        """Log nothing until `on`; calls return None."""
        self._is_on = self._takes_all = False

    def flush(self, timeout: float | None = None) -> Receipt:
        """Wait until the server has stored all that was logged before; see `Receipt`.

        Servers in the same process have stored it when the call returned.
        """
        flush = getattr(self._server, "flush", None)
        if flush is None:
            return Receipt(True, 0)
        receipt: Receipt = flush(timeout)
        return receipt

    def close(self, timeout: float | None = None) -> Receipt:
        """Deliver the rest within `timeout` seconds and disconnect, if there is a connection.

        None stands for the `exit_timeout_s` of the connection.

        A proxy that several logs share is closed for all of them.
        """
        if self._proxy_put is None:
            return Receipt(True, 0)
        receipt: Receipt = self._server.close(timeout)
        return receipt

    async def aflush(self, timeout: float | None = None) -> Receipt:
        """As `flush`, for asyncio: other tasks go on meanwhile."""
        aflush = getattr(self._server, "aflush", None)
        if aflush is None:
            return self.flush(timeout)
        receipt: Receipt = await aflush(timeout)
        return receipt

    async def aclose(self, timeout: float | None = None) -> Receipt:
        """As `close`, for asyncio: other tasks go on meanwhile."""
        import asyncio  # the caller has it already

        return await asyncio.get_running_loop().run_in_executor(None, self.close, timeout)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Log:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def server(self) -> Any:
        """The server or proxy that records are given to; a proxy counts `lost` records."""
        return self._server

    def logging23_handler(self) -> logging.Handler:
        """A handler for the standard `logging` that sends its records through this log."""
        return Logging23Handler(self)

    def after_fork(self) -> None:
        """In a child process: another pid, message ids from 1 again."""
        self._ids = message_ids(self._id_limit)
        self._sites.after_fork()


def _is_iterable(value: object) -> bool:
    return hasattr(type(value), "__iter__")


def _dropped(msgid: int) -> str:
    return f"message {msgid} was dropped: the buffer is full"
