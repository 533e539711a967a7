"""A log server over XML-RPC: slow, as every call waits for its answer, but simple and robust.

Records come as the text or binary parameter of the method `log`, in any encoding that the socket
server takes, and are decoded by the same code. There is no authentication and no encryption: use
it on this machine, or let the socket server do the work.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

from logd.records.batch import Batch
from logd.settings.loopback import is_loopback
from logd.text.escaping import escape
from logd.wire.decoder import Decoder
from logd.wire.errors import WireError
from logd.wire.frames import MAX_FRAME_BYTES, Frames
from logd.wire.xmlcalls import RequestError, parse_call

__all__ = ["LogAdapter", "createSimpleXMLRPCServer", "startServer"]

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 2 * 1024 * 1024
"""Of one call's XML: a frame of 1 MiB in base64, which makes it a third longer, and some room."""

REQUEST_TIMEOUT_S = 30.0
"""For a whole call to arrive. One call is served at a time, so a slow one holds up all others."""


class LogAdapter:
    """The methods that clients call.

    Args:
        logServer: gets each record as `log(jobdata)`.
    """

    def __init__(self, logServer: Any) -> None:
        self._server = logServer
        self._decoder = Decoder()

    def addClient(self) -> int:
        """A client id that no other client of the log server has."""
        return int(self._server.addClient())

    def log(self, logdata_ps: str | bytes | xmlrpc.client.Binary) -> str:
        """Log one record; returns when it is written.

        Args:
            logdata_ps: the client's 11 items, as JSON text or pickled; "ping" does nothing.

        Returns:
            "" if all is right, else a message that says what is not.
        """
        try:
            for batch in self._decode(logdata_ps):
                for jobdata in _rows(batch):
                    self._server.log(jobdata)
        except (WireError, RequestError) as exc:
            logger.warning("a record was refused: %s", exc)
            return escape(f"refused: {exc}")
        except Exception as exc:
            # Whatever the writer raises, the client must hear that its record is not written.
            logger.exception("a record could not be written")
            return escape(f"not written: {type(exc).__name__}: {exc}")
        return ""

    def _decode(self, data: object) -> list[Batch]:
        if isinstance(data, xmlrpc.client.Binary):
            data = data.data
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
        if not isinstance(data, bytes):
            raise RequestError(f"expected text or binary data, got {type(data).__name__}")
        if len(data) > MAX_FRAME_BYTES:
            raise RequestError(f"record of {len(data):,} bytes, at most {MAX_FRAME_BYTES:,} taken")
        return self._decoder.decode(Frames.of(data))


def _rows(batch: Batch) -> Iterator[tuple[Any, ...]]:
    """The records of a batch as the tuples of 11 that `LogServer.log` takes."""
    for row, position in enumerate(batch.index):
        pid, tid, threadname, cat, path, tblen, cfunc = batch.contexts[position]
        origin = (batch.msgid[row], pid, tid, threadname, batch.time[row])
        yield (*origin, batch.msg[row], cat, path, tblen, cfunc, dict(batch.special.get(row, {})))


def createSimpleXMLRPCServer(
    host: str, ports: Iterable[int], *, max_request_bytes: int = MAX_REQUEST_BYTES
) -> SimpleXMLRPCServer:
    """A server without threads: while it serves one call, others wait.

    The first free port of `ports` is used; port 0 is any free one. What it is to serve is for the
    caller to register. `shutdown()` ends its `serve_forever()`, from any thread and at once;
    `server_close()` is to be called after that.

    Args:
        host: name or address to listen on.
        ports: port numbers, at least one. Several help if a port may be in use for some time.
        max_request_bytes: longer calls are refused before they are read.

    Raises:
        ValueError: no ports.
        OSError: none of them is free, or the host can't be listened on.
    """
    tried = []
    for port in ports:
        try:
            return _Server(host, port, max_request_bytes)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise OSError(exc.errno, f"can't listen on {host}:{port}: {exc.strerror}") from exc
            tried.append(str(port))
    if not tried:
        raise ValueError("ports: expected at least one port, got none")
    raise OSError(errno.EADDRINUSE, f"all ports of {host} are in use: {', '.join(tried)}")


def startServer(
    logServer: Any,
    host: str = "localhost",
    ports: Iterable[int] = (9804,),
    readyMsg: bool = True,
    *,
    on_ready: Callable[[SimpleXMLRPCServer], object] | None = None,
) -> None:
    """Serve `logServer` until the server is shut down.

    If it runs in the main thread, SIGINT and SIGTERM shut it down; the call being served is
    finished. From other threads use `shutdown()` of the server that `on_ready` gets.

    Args:
        logServer: a `LogServer`.
        host: see `createSimpleXMLRPCServer`.
        ports: see `createSimpleXMLRPCServer`.
        readyMsg: whether to print one line with address and pid once calls are taken.
        on_ready: called with the server at that time.

    Raises:
        ValueError: see `createSimpleXMLRPCServer`.
        OSError: see `createSimpleXMLRPCServer`.
    """
    with createSimpleXMLRPCServer(host, ports) as server:
        server.register_instance(LogAdapter(logServer))
        with _stopped_by_signals(server):
            if readyMsg:
                address = f"{host}:{server.server_address[1]}"
                sys.stdout.write(f"logd ready for XML-RPC on {address}, pid {os.getpid()}\n")
                sys.stdout.flush()
            if on_ready is not None:
                on_ready(server)
            server.serve_forever()


class _Server(SimpleXMLRPCServer):
    """Reads calls within limits, and ends without polling."""

    timeout = 0  # of `handle_request`, which is called once there is something to handle

    def __init__(self, host: str, port: int, max_request_bytes: int) -> None:
        self.max_request_bytes = max_request_bytes
        self._serving = threading.Lock()
        self._stopping = False
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_sender.setblocking(False)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__(
            (host, port),
            _RequestHandler,
            logRequests=False,
            allow_none=True,
            use_builtin_types=True,
        )
        address = str(self.server_address[0])
        if not is_loopback(address):
            logger.warning(
                "XML-RPC on %s is open to every host that reaches it: it has no authentication",
                address,
            )

    def serve_forever(self, poll_interval: float = 0.0) -> None:
        """Serve calls until `shutdown`; `poll_interval` has no meaning, as nothing is polled."""
        with self._serving, selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            selector.register(self._wake_receiver, selectors.EVENT_READ)
            try:
                while not self._stopping:
                    ready = [key.fileobj for key, _ in selector.select()]
                    if self._wake_receiver in ready:
                        self._wake_receiver.recv(1024)
                    elif self in ready:
                        self.handle_request()
                    self.service_actions()
            finally:
                self._stopping = False

    def request_shutdown(self) -> None:
        """Have `serve_forever` return after the call it serves; for signal handlers too."""
        self._stopping = True
        # A full pipe wakes as well, and one that is closed already has nobody to wake: it was seen.
        with contextlib.suppress(OSError):
            self._wake_sender.send(b".")

    def shutdown(self) -> None:
        """Have `serve_forever` return after the call it serves, and wait for that."""
        self.request_shutdown()
        with self._serving:
            pass

    def server_close(self) -> None:
        """Stop listening."""
        super().server_close()
        self._wake_receiver.close()
        self._wake_sender.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that failed is of no interest to anybody but its peer."""
        logger.debug("XML-RPC connection from %s failed", client_address, exc_info=True)

    def answer(self, data: bytes) -> bytes:
        """Call the method that `data` asks for; an error becomes a fault for the client."""
        response: tuple[Any] | xmlrpc.client.Fault
        try:
            method, parameters = parse_call(data)
            response = (self._dispatch(method, parameters),)
        except xmlrpc.client.Fault as exc:
            response = exc
        except Exception as exc:
            # As the base class: a failing method is told to its caller and ends nothing else.
            response = xmlrpc.client.Fault(1, escape(f"{type(exc).__name__}: {exc}"))
        text = xmlrpc.client.dumps(response, methodresponse=True, allow_none=self.allow_none)
        return text.encode("utf-8", "xmlcharrefreplace")


class _RequestHandler(SimpleXMLRPCRequestHandler):
    """One call over HTTP/1.0: bounded in size and time."""

    server: _Server
    rpc_paths = ("/", "/RPC2")
    timeout: ClassVar[float] = REQUEST_TIMEOUT_S

    def setup(self) -> None:
        """Limit the time for reading the call as a whole, not for each piece of it."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_DeadlineReader(self.connection, self.timeout))

    def do_POST(self) -> None:
        """Read the call, have it dispatched, send the answer."""
        if not self.is_rpc_path_valid():
            self.send_error(404)
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal() and len(length) < 20):
            self.send_error(411)
        elif int(length) > self.server.max_request_bytes:
            self.send_error(413, f"at most {self.server.max_request_bytes} bytes")
        elif self.headers.get("Content-Encoding", "identity").lower() != "identity":
            self.send_error(415, "no content encoding is taken")
        else:
            self._answer(self.rfile.read(int(length)), int(length))

    def _answer(self, data: bytes, length: int) -> None:
        if len(data) < length:
            return  # the peer hung up: nobody wants an answer
        response = self.server.answer(data)
        self.connection.settimeout(self.timeout)
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """One word for debugging instead of a line on stderr."""
        logger.debug("XML-RPC %s: " + format, self.client_address[0], *args)  # noqa: G003


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until a time that does not move, however slowly bytes come."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the call did not arrive in time")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


@contextlib.contextmanager
def _stopped_by_signals(server: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda *_: server.request_shutdown())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
