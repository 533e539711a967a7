"""Logs that go to a logd server by XML-RPC: slow and simple, each call waits for the server.

For places where nothing but HTTP passes. A record is the JSON text of its 11-tuple in a Binary.
Unlike `socketclient`, nothing is buffered and nothing resent: a call that raised may have been
logged or not.
"""

from __future__ import annotations

import http.client
import json
import threading
import xmlrpc.client
from collections.abc import Callable, Collection, Sequence
from typing import Any

from logd_client import lifecycle
from logd_client.errorhandlers import ErrorHandler
from logd_client.log import Log

__all__ = [
    "LogServerProxy",
    "XMLRPCConnectionException",
    "XMLRPCLogException",
    "XMLRPCServerException",
    "createClientLog",
]

TIMEOUT_S = 30.0


class XMLRPCLogException(Exception):
    """A record could not be logged.

    Attributes:
        msgid: its message id.
    """

    def __init__(self, msgid: int, reason: str) -> None:
        super().__init__(f"message {msgid}: {reason}")
        self.msgid = msgid


class XMLRPCConnectionException(XMLRPCLogException):
    """The server could not be reached, or the connection broke."""


class XMLRPCServerException(XMLRPCLogException):
    """The server was reached and failed to log the record."""


class _Transport(xmlrpc.client.Transport):
    """HTTP with an end: a server that hangs does not hang the app forever."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self._timeout_s
        return connection


_UNREACHABLE = (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError)


class LogServerProxy:
    """Stands for a server started by `logd.xmlrpc.startServer`. May be shared by threads.

    Args:
        host: name or address of the server.
        ports: the first one with a server is used; looked for anew after a failure.
        timeout_s: how long a call waits for the server.
    """

    def __init__(
        self, host: str = "localhost", ports: Sequence[int] = (9804,), timeout_s: float = TIMEOUT_S
    ) -> None:
        self._host = f"[{host}]" if ":" in host else host
        self._ports = tuple(ports)
        self._timeout_s = timeout_s
        self._server: xmlrpc.client.ServerProxy | None = None
        self._lock = threading.Lock()
        lifecycle.register(self)

    def addClient(self) -> int:
        """Look for the server; its number for this client, 0 if there is none yet.

        Raises nothing: the first record that can't be logged raises, with its message id.
        """
        with self._lock:
            try:
                return self._find()
            except _UNREACHABLE:
                return 0

    def _find(self) -> int:
        """Connect to the first port with a server."""
        failure: BaseException = ConnectionError("no ports given")
        for port in self._ports:
            server = xmlrpc.client.ServerProxy(
                f"http://{self._host}:{port}/", transport=_Transport(self._timeout_s)
            )
            try:
                client = server.addClient()
            except (*_UNREACHABLE, xmlrpc.client.Error) as exc:
                failure = exc if isinstance(exc, _UNREACHABLE) else ConnectionError(str(exc))
                continue
            self._server = server
            return int(client) if isinstance(client, int) else 0
        raise failure

    def log(self, jobdata: Sequence[Any]) -> None:
        """Send one record and wait until the server has logged it.

        Raises:
            XMLRPCConnectionException: no server, or the connection broke.
            XMLRPCServerException: the server's error.
        """
        msgid = jobdata[0]
        text = json.dumps(list(jobdata), default=str)
        with self._lock:
            try:
                if self._server is None:
                    self._find()
                assert self._server is not None  # noqa: S101 - `_find` raises otherwise
                answer: Any = self._server.log(xmlrpc.client.Binary(text.encode("ascii")))
            except _UNREACHABLE as exc:
                self._server = None
                ports = ", ".join(str(port) for port in self._ports)
                raise XMLRPCConnectionException(
                    msgid, f"no connection to {self._host}, port {ports}: {exc}"
                ) from exc
            except xmlrpc.client.Error as exc:
                raise XMLRPCServerException(msgid, f"the server failed: {exc}") from exc
        if answer:
            raise XMLRPCServerException(msgid, f"the server failed: {answer!s}")

    def after_fork(self) -> None:
        """In a child process: its own connection and lock."""
        self._server = None
        self._lock = threading.Lock()


def createClientLog(
    host: str = "localhost",
    ports: Sequence[int] = (9804,),
    errorHandler: ErrorHandler | str | None = None,
    traceOffset: int = 0,
    stackMax: int = 5,
    extractStack: bool = True,
    seFilesExclude: Callable[[str], object] | None = None,
    *,
    catsEnable: Collection[str] | None = None,
    catsDisable: Collection[str] | None = None,
    name: str | None = None,
    msgCountLimit: int = 1000000,
    timeout_s: float = TIMEOUT_S,
) -> Log:
    """A log whose calls return when the server has logged the record.

    Args:
        host: name or address of the server.
        ports: the first one with a server is used.
        errorHandler: takes `XMLRPCLogException`s, see `Log`, like the rest.
        traceOffset: see `Log`.
        stackMax: how many stack lines are logged.
        extractStack: see `Log`.
        seFilesExclude: see `Log`.
        catsEnable: see `Log`.
        catsDisable: see `Log`.
        name: see `Log`.
        msgCountLimit: see `Log`.
        timeout_s: how long a call waits for the server.
    """
    return Log(
        LogServerProxy(host, ports, timeout_s),
        traceOffset=traceOffset,
        msgCountLimit=msgCountLimit,
        stackMax=stackMax,
        errorHandler=errorHandler,
        catsEnable=catsEnable,
        catsDisable=catsDisable,
        seFilesExclude=seFilesExclude,
        name=name,
        extractStack=extractStack,
    )
