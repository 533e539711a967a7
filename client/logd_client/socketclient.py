"""Logs that go to a logd server over a socket: `createClientLog`, and the proxy below it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from logd_client import lifecycle
from logd_client.connection import ServerAddress
from logd_client.errorhandlers import ErrorHandler, StderrErrorHandler, create_error_handler
from logd_client.log import Log
from logd_client.places import split_host
from logd_client.problems import SessionProblem
from logd_client.receipt import Receipt
from logd_client.records import Context, Items
from logd_client.reports import Reports
from logd_client.sender import Sender, SenderSettings
from logd_client.settingchecks import DEFAULT_HOST, DEFAULT_PORTS
from logd_client.settings import settle
from logd_client.values import as_text, flat_items, make_context

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from logd_client.settingchecks import ClientSettings

__all__ = ["LogServerProxy", "createClientLog"]


class LogServerProxy:
    """Stands for a logd server in this process; any number of logs and threads may share it.

    Calls return at once: records go to a buffer and from there, by a background thread, to the
    server, exactly once. The server may be away when this is made, and at any time later.

    Args:
        host: name or address of the server; or a URL, see `settings.py`:
            `logd://:TOKEN@HOST:PORT?SETTING=VALUE`, `logds://...` for TLS, `logd:///SOCKET`.
        ports: one port, or several: the first one with a logd server is used.
        port: the same.
        hosts: servers that stand for each other, in place of `host`: `["a:9801", "b:9801"]`; one
            without a port has `ports`, a name stands for all its addresses. They are tried in an
            order that each process shuffles for itself; if one is gone or silent, the next is.
        failover: whether records that a server was sent and did not acknowledge may go to another
            one. It may have stored them, and so the other stores them again, unless the servers
            share their marks (`shared_marks`). None: if the server says that they do; else these
            records, and those after them, wait for the server to come back. False: they always
            wait. True: they never do, and may be stored twice.
        failback_s: about how long after it was left the first of `hosts` is tried again; 0: only
            if the present one is gone.
        silence_s: a server that owes an acknowledgement and says nothing for this long is left;
            None: 8 s if there are several, else 60 s.
        errorHandler: told about what a person should look at (the server refuses the token, a
            certificate is wrong, records were lost at the end); None prints it on stderr. From
            any thread.
        socket: path of the server's Unix socket, in place of host and ports.
        token: the server's shared token.
        tls: encrypt, and check the server's certificate. Any of the next five implies it but
            `tls_verify=True`.
        tls_ca: file of the certificate authorities to trust; None for the system's.
        tls_cert: file of this client's own certificate.
        tls_key: file of its key; None if `tls_cert` has both.
        tls_verify: False accepts any certificate: anyone in between can read and forge.
        tls_server_name: the name in the server's certificate; None for the host's.
        buffer_bytes: bound of the memory for records that are not yet acknowledged.
        when_full: "block": a call waits up to `block_timeout_s` for room, then its record is
            dropped, and further calls don't wait until there was room again; "drop": dropped at
            once. Dropped records are counted in `lost`, and a record in their place says so.
        block_timeout_s: see `when_full`.
        exit_timeout_s: how long the end of the process may be held up for delivery.
        spool: directory for what is not acknowledged. What a log call returned for is there and
            survives the death of this process (not that of the machine), however sudden; the next
            process that names the same directory sends it. Should the disk refuse, the error
            handler is told and records are in memory only. Calls cost 1.5 us more.
        spool_bytes: bound of this process's files there, give or take a quarter and, for a
            moment, a batch of 256 KiB that stands there twice; beyond it the buffer counts as full.
        fallback: where records go that could not be delivered before the end, if there is no
            spool: a file, whose lines `logd replay FILE` sends later, or a handler of `logging`.
            Some of them may have reached the server, without its answer.
        on_loss: called with a `RecordsLost` in place of the error handler: it has a `count`, and
            says why. When the buffer is full, with the first record that is dropped and then once
            a minute; else whenever records are lost. From any thread.
        static: special items of every record, as `{"service": "shop", "version": "1.2"}`.
        context_items: give records that are logged in an asyncio task its name as item `task`, and
            those in a span of OpenTelemetry `trace_id` and `span_id`.
        environ: where variables `LOGD_...` are looked up for settings that are not given; None
            for those of the process, {} for none.

    Attributes:
        static_items: what is in `static`, flat.
        has_context_items: what `context_items` is.
        buffer: where `put` puts records.

    Raises:
        ValueError, TypeError: a wrong setting; the text names it.
        OSError: the spool directory can't be used.
    """

    def __init__(
        self,
        host: str = DEFAULT_HOST,
        ports: int | Sequence[int] = DEFAULT_PORTS,
        *,
        errorHandler: ErrorHandler | str | None = None,
        **settings: Unpack[ClientSettings],
    ) -> None:
        settled = settle(host, ports, settings)
        handler = create_error_handler(errorHandler)
        self._reports = Reports(
            StderrErrorHandler() if handler is None else handler, settled.on_loss
        )
        self._clients = itertools.count(1)
        self.static_items = settled.static
        self.has_context_items = settled.context_items
        self._address = ServerAddress(
            *(settled.host, settled.ports, settled.socket, settled.tls),
            *(settled.hosts, settled.moving),
        )
        self._sender = Sender(
            SenderSettings(
                address=self._address,
                token=settled.token,
                buffer_bytes=settled.buffer_bytes,
                block_timeout_s=settled.block_timeout_s,
                exit_timeout_s=settled.exit_timeout_s,
                spool=settled.spool,
                spool_bytes=settled.spool_bytes,
                fallback=settled.fallback,
            ),
            self._reports.tell,
        )
        is_private = settled.tls is not None or settled.socket is not None
        hosts = [split_host(host)[0] for host in settled.hosts] or [settled.host]
        away = [host for host in hosts if not _is_this_machine(host)]
        if settled.token is not None and not is_private and away:
            self._reports.tell(
                SessionProblem(
                    f"the token and all records cross the network to {away[0]} in plain "
                    "text, for everyone on the way to read: use tls"
                )
            )
        lifecycle.register(self)
        self.buffer = self._sender.buffer
        self.put: Callable[[Context, Iterator[int], float, str, Items], int] = self.buffer.put
        """Takes a record as `Log` and `LogdHandler` have it: context, message ids, time, text,
        special items; returns the message id."""

    def __repr__(self) -> str:
        place = self._sender.connected_to or "not connected"
        return f"<LogServerProxy {self._address} ({place})>"

    def addClient(self) -> int:
        """A number for a client of this proxy, from 1; no more than a count."""
        return next(self._clients)

    def log(self, jobdata: Sequence[Any]) -> None:
        """Send a record given as the 11-tuple that all servers take.

        Raises:
            ValueError, TypeError: it has not the shape of one.
        """
        msgid, pid, tid, threadname, when, msg, cat, path, tblen, cfunc, special = jobdata
        context = make_context(pid, tid, threadname, cat, path, tblen, cfunc)
        self.put(context, iter((int(msgid),)), float(when), as_text(msg), flat_items(special or {}))

    def put_watched(
        self, context: Context, ids: Iterator[int], when: float, msg: str, items: Items
    ) -> tuple[int, Future[int] | None]:
        """Like `put`; returns the message id and a future, None if the record was dropped.

        The future's result is the record's sequence number, set once the server has stored it.
        """
        msgid, sequence = self._sender.buffer.put_tracked(context, ids, when, msg, items)
        return msgid, None if sequence is None else self._sender.watch(sequence)

    def put_and_wait(
        self,
        context: Context,
        ids: Iterator[int],
        when: float,
        msg: str,
        items: Items,
        timeout_s: float,
    ) -> tuple[int, bool | None]:
        """Like `put`, but wait until the server has stored the record.

        Returns:
            The message id, and whether the record is stored; None if it was dropped.
        """
        msgid, sequence = self._sender.buffer.put_tracked(context, ids, when, msg, items)
        return msgid, None if sequence is None else self._sender.wait(sequence, timeout_s)

    def flush(self, timeout: float | None = None) -> Receipt:
        """Wait until all that was logged before is stored by the server.

        Args:
            timeout: seconds; None waits as long as it takes.

        Returns:
            A receipt that is true if everything is stored.
        """
        return self._sender.flush(timeout)

    async def aflush(self, timeout: float | None = None) -> Receipt:
        """As `flush`, for asyncio: other tasks go on meanwhile."""
        import asyncio  # the caller has it already

        watched = self._sender.watch(self._sender.buffer.last_sequence)
        stored = asyncio.wrap_future(watched)
        await asyncio.wait([stored], timeout=timeout)
        if not stored.done():
            stored.cancel()
            return Receipt(False, self.acked)
        return Receipt(not stored.cancelled() and stored.exception() is None, self.acked)

    def close(self, timeout: float | None = None) -> Receipt:
        """Deliver the rest within `timeout` seconds, then disconnect and stop the thread.

        None stands for `exit_timeout_s`.

        What was not delivered is lost, counted and reported; or left in the spool. The next record
        connects again, in a session of its own.
        """
        return self._sender.close(timeout)

    def let_go(self) -> None:
        """Like `close`, but what can't be delivered in time is not lost: the thread goes on.

        For owners that may well go on logging; once all is delivered it disconnects.
        """
        self._sender.let_go()

    @property
    def exit_timeout_s(self) -> float:
        """How long the end of the process may be held up for delivery."""
        return self._sender.exit_timeout_s

    @property
    def lost(self) -> int:
        """Records dropped in this process: buffer full, refused by the server, exit timed out."""
        return self._sender.lost

    @property
    def acked(self) -> int:
        """Highest sequence number of this session that the server has stored."""
        return self._sender.acked

    @property
    def unacknowledged(self) -> int:
        """Records taken that the server has not stored yet, as far as is known here."""
        return self._sender.unacknowledged

    @property
    def connected_to(self) -> str | None:
        """Address of the server in use, None without a connection."""
        return self._sender.connected_to

    @property
    def last_error(self) -> str:
        """Why there is no connection; "" if there is one."""
        return self._sender.last_error

    @property
    def reconnects(self) -> int:
        """How often the connection was made anew."""
        return self._sender.reconnects

    @property
    def client_id(self) -> bytes:
        """The session's 16-byte id; a forked child has another one."""
        return self._sender.client_id

    def after_fork(self) -> None:
        """In a child process: a thread that is not there may hold a lock."""
        self._reports.after_fork()


def _is_this_machine(host: str) -> bool:
    # Late: few have a token, and each start of an app would pay for it.
    import ipaddress

    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in ("localhost", "ip6-localhost")


def createClientLog(
    host: str = DEFAULT_HOST,
    ports: int | Sequence[int] = DEFAULT_PORTS,
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
    **settings: Unpack[ClientSettings],
) -> Log:
    """A log whose records go to a logd server; it returns at once, wherever the server is.

    Args:
        host: see `LogServerProxy`, like `ports` and whatever is not listed here; may be a URL.
        ports: one port, or several: the first one with a server is used.
        errorHandler: see `Log`; problems of the background thread go to it as well.
        traceOffset: see `Log`, like the rest.
        stackMax: how many stack lines are logged.
        extractStack: see `Log`.
        seFilesExclude: see `Log`.
        catsEnable: see `Log`.
        catsDisable: see `Log`.
        name: see `Log`.
        msgCountLimit: see `Log`.
        settings: see `LogServerProxy`.

    Raises:
        ValueError, TypeError: a wrong setting; the text names it.
        OSError: the spool directory can't be used.
    """
    return Log(
        LogServerProxy(host, ports, errorHandler=errorHandler, **settings),
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
