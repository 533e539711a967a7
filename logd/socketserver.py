"""The documented way to serve a `LogServer` on a socket: `startServer(logServer)`.

It runs the same asyncio daemon as `logd serve` (`logd.daemon`), around a `LogServer` that the app
made: one port for all kinds of senders, a bounded queue, one consumer, a graceful stop. In the
main thread SIGTERM and SIGINT stop it; from any thread `stop_server()`, `receiver.stop()` or the
documented `socketserver.processq_stop = True` do. None of them loses a record that has arrived.

What the document's module variables meant with threads still works: a handler class of one's own
is called for each connection in a thread of its own and puts what it reads on `jobdataq`, and
`processq` feeds the log server from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import signal
import socket
import struct
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from logd.daemon.peers.listeners import Listener, listen_tcp
from logd.daemon.runner import Daemon, Parts
from logd.daemon.service import loop_factory
from logd.server import LogServer
from logd.wire import Decoder, Frames, WireError
from logd.wire.frames import MAX_FRAME_BYTES

__all__ = [
    "LogRecordSocketReceiver",
    "LogRecordStreamHandler",
    "jobdataq",
    "processq",
    "processq_stop",
    "startServer",
    "stop_server",
]

logger = logging.getLogger(__name__)

jobdataq: deque[tuple[Any, ...]] = deque()
"""Records (tuples of 11) that handlers of one's own have read, the oldest at the left."""

processq_stop = False
"""Set to True to end `processq` and every server that `startServer` runs, without losing a line."""

LOOK_AT_STOP_S = 0.1
"""How often `processq_stop` is looked at: a module variable tells nobody when it is set."""

_LENGTH = struct.Struct(">L")
_running: weakref.WeakSet[LogRecordSocketReceiver] = weakref.WeakSet()
_parent = os.getppid()


def startServer(
    logServer: LogServer, host: str = "localhost", ports: Sequence[int] = (9801,)
) -> None:
    """Serve `logServer` until it is stopped; returns when all that had arrived is written.

    Args:
        logServer: its writer is used in a thread of the server only, while this runs.
        host: name or address to listen on.
        ports: at least one; the first that is free is used. Several are for development, where
            ports sometimes remain blocked; in production use one port.

    Raises:
        StartupError: no port is free, or `host` is unknown.
    """
    global processq_stop
    processq_stop = False
    receiver = LogRecordSocketReceiver(host, ports)
    receiver.logServer = logServer
    receiver.serve_until_stopped()


def stop_server() -> None:
    """Stop all servers that run in this process, from any thread; returns at once."""
    for receiver in tuple(_running):
        receiver.stop()


def processq() -> None:
    """Feed the log server from `jobdataq`, the oldest first, until `processq_stop` is True.

    It ends only when it finds the queue empty. Needed only beside a handler class of one's own;
    `LogRecordSocketReceiver` runs it then.
    """
    while True:
        try:
            jobdata = jobdataq.popleft()
        except IndexError:
            if processq_stop:
                return
            _more.wait(LOOK_AT_STOP_S)
            _more.clear()
            continue
        for receiver in tuple(_running):
            if receiver.logServer is not None:
                receiver.logServer.log(jobdata)


_more = threading.Event()


def _i_am_orphan() -> bool:
    """Whether the process that started this one is gone."""
    return os.getppid() != _parent


class LogRecordStreamHandler:
    """Reads the records of one connection and puts them on `jobdataq`.

    The server calls a subclass with a connected socket in a thread of its own, as the standard
    library's `socketserver` does: `setup`, `handle`, `finish`. For this class itself the asyncio
    daemon does the same work without a thread a connection.

    Attributes:
        request: the connected, blocking socket.
        client_address: of the peer.
        server: the `LogRecordSocketReceiver`.
    """

    def __init__(self, request: socket.socket, client_address: Any, server: Any) -> None:
        self.request = request
        self.client_address = client_address
        self.server = server
        self.setup()
        try:
            self.handle()
        finally:
            self.finish()

    def setup(self) -> None:
        """Called before `handle`."""

    def finish(self) -> None:
        """Called after `handle`, whatever happened."""

    def handle(self) -> None:
        """Take frames (4 bytes of length, then a record) until the peer hangs up.

        Decoded as safely as in the daemon; a bad frame ends the connection.
        """
        decoder = Decoder()
        for payload in self._payloads():
            for batch in decoder.decode(Frames.of(payload)):
                for job in batch.jobs():
                    jobdataq.append(
                        (
                            job.msgid,
                            job.pid,
                            job.tid,
                            job.threadname,
                            job.time,
                            job.msg,
                            job.cat,
                            job.path,
                            job.tblen,
                            job.cfunc,
                            job.special,
                        )
                    )
                _more.set()

    def _payloads(self) -> Iterator[bytes]:
        with self.request.makefile("rb") as stream:
            while len(header := stream.read(_LENGTH.size)) == _LENGTH.size:
                (length,) = _LENGTH.unpack(header)
                if length > MAX_FRAME_BYTES:
                    raise WireError(f"frame of {length} bytes, at most {MAX_FRAME_BYTES} allowed")
                payload = stream.read(length)
                if len(payload) < length:
                    return
                if payload:
                    yield payload


class LogRecordSocketReceiver:
    """A server that listens from its making on and takes records in `serve_until_stopped`.

    Args:
        host: name or address to listen on.
        ports: the first that is free is used.
        handler: `LogRecordStreamHandler`, or a subclass that is called for each connection.

    Attributes:
        logServer: gets the records; to be set before `serve_until_stopped`.
        server_address: (host, port) that it listens on.

    Raises:
        StartupError: no port is free, or `host` is unknown.
    """

    allow_reuse_address = 1

    def __init__(
        self,
        host: str,
        ports: Sequence[int],
        handler: type[LogRecordStreamHandler] = LogRecordStreamHandler,
    ) -> None:
        self.logServer: LogServer | None = None
        self._handler = handler
        self._listeners = listen_tcp((host,), tuple(ports))
        self.server_address: tuple[str, int] = self._listeners[0].sock.getsockname()[:2]
        self._stop = threading.Event()
        self._on_stop: Callable[[], None] | None = None

    def stop(self) -> None:
        """End `serve_until_stopped`, from any thread; returns at once."""
        self._stop.set()
        if self._on_stop is not None:
            self._on_stop()

    def server_close(self) -> None:
        """Stop listening without having served."""
        for listener in self._listeners:
            listener.close()

    def serve_until_stopped(self) -> None:
        """Serve until `stop`, a signal (in the main thread) or `processq_stop`; then drain.

        Raises:
            RuntimeError: the log server's writer failed for good; what was not written is said
                in the text.
        """
        if self.logServer is None:
            raise ValueError(
                "logServer is not set: it should be the LogServer that takes the records"
            )
        _running.add(self)
        try:
            if self._handler is LogRecordStreamHandler:
                with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
                    failure = runner.run(self._serve(self.logServer))
                if failure is not None:
                    raise RuntimeError(f"the log server failed: {failure}") from failure
            else:
                self._serve_by_handlers()
        finally:
            _running.discard(self)

    async def _serve(self, server: LogServer) -> BaseException | None:
        daemon = Daemon(Parts(server=server, listeners=self._listeners))
        self._on_stop = daemon.stop
        if self._stop.is_set():
            daemon.stop()
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
        look = loop.call_soon(self._look_at_variable, loop)
        await daemon.run(lambda: None)
        look.cancel()
        self._on_stop = None
        return daemon.failure

    def _look_at_variable(self, loop: asyncio.AbstractEventLoop) -> None:
        if processq_stop:
            self.stop()
        else:
            loop.call_later(LOOK_AT_STOP_S, self._look_at_variable, loop)

    # -- handlers of one's own -------------------------------------------------------------

    def _serve_by_handlers(self) -> None:
        """A thread a connection, as the document had it; `processq` feeds the log server."""
        global processq_stop
        worker = threading.Thread(target=processq, name="processq")
        worker.start()
        threads: list[threading.Thread] = []
        open_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        accepted: queue.SimpleQueue[tuple[socket.socket, Any] | None] = queue.SimpleQueue()
        for listener in self._listeners:
            listener.sock.setblocking(True)
            listener.sock.settimeout(LOOK_AT_STOP_S)
            thread = threading.Thread(target=self._accept, args=(listener, accepted), daemon=True)
            thread.start()
        self._on_stop = lambda: accepted.put(None)
        with _stopped_by_signals(self.stop):
            while not self._stop.is_set() and (item := accepted.get()) is not None:
                open_sockets.add(item[0])
                threads = [thread for thread in threads if thread.is_alive()]
                threads.append(threading.Thread(target=self._handle, args=item))
                threads[-1].start()
        self._on_stop = None
        self.server_close()
        for sock in tuple(open_sockets):
            # What has arrived can still be read; then the handler finds the end of the stream.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RD)
        for thread in threads:
            thread.join()
        processq_stop = True
        _more.set()
        worker.join()

    def _accept(
        self, listener: Listener, accepted: queue.SimpleQueue[tuple[socket.socket, Any] | None]
    ) -> None:
        while not self._stop.is_set():
            if processq_stop:
                self.stop()
            try:
                accepted.put(listener.sock.accept())
            except TimeoutError:
                continue
            except OSError as exc:
                if not self._stop.is_set():
                    logger.warning("accept: %s", exc)
                return

    def _handle(self, sock: socket.socket, address: Any) -> None:
        with sock:
            sock.setblocking(True)
            try:
                self._handler(sock, address, self)
            except (WireError, OSError) as exc:
                logger.warning("%s: %s", address, exc)


@contextlib.contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call `stop`, if this runs in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: stop()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
