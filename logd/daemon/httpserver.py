"""A small HTTP server in the daemon's own loop: uvicorn's protocol, Starlette's requests.

uvicorn's `Server` takes over signals and looks ten times a second whether it should stop; only its
protocol is used here, on sockets that listen already. What it leaves open is closed here:

- A connection has a deadline for its one exchange, even if it says nothing.
- If there are too many, the oldest that waits for a request goes, so that silent connections never
  keep a health check out.
- The `Host` must be an address, this machine's name or one that was configured: a page in a browser
  can make a name of its own point here, and would read what is answered.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn._types import ASGI3Application

    from logd.daemon.peers.listeners import Listener

MAX_HEAD_BYTES = 16_384
MAX_CONNECTIONS = 32
EXCHANGE_S = 10.0
"""How long request and answer may take together."""

STOP_S = 1.0
"""How long answers that are under way are waited for at a stop."""


class HttpServer:
    """Serves an application on listening sockets. Event loop's thread only.

    Args:
        app: what answers.
        listeners: sockets that listen; closed by `stop`.
        hosts: names, besides those of this machine, by which it may be asked.
    """

    def __init__(
        self, app: ASGIApp, listeners: Sequence[Listener], hosts: Sequence[str] = ()
    ) -> None:
        self._listeners = listeners
        names = {"localhost", socket.gethostname().lower(), *(host.lower() for host in hosts)}
        self._config = Config(
            cast("ASGI3Application", _OneExchange(_KnownHosts(app, frozenset(names)))),
            http="h11",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level=logging.ERROR,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        )
        self._state = ServerState()
        # In the order in which they came.
        self._connections: dict[_Exchange, None] = {}
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Begin to answer."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            server = await loop.create_server(
                lambda: _Exchange(self._config, self._state, self._connections),
                sock=listener.sock,
            )
            self._servers.append(server)

    async def stop(self) -> None:
        """Close everything, after what is being answered."""
        for server in self._servers:
            server.close()
        if self._state.tasks:
            await asyncio.wait(tuple(self._state.tasks), timeout=STOP_S)
        for connection in tuple(self._connections):
            connection.transport.abort()


class _Exchange(H11Protocol):
    """One connection: a request and its answer, within a deadline."""

    def __init__(self, config: Config, state: ServerState, others: dict[_Exchange, None]) -> None:
        super().__init__(config, state, {})
        self._others = others
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def has_request(self) -> bool:
        """Whether it is being answered."""
        return bool(self.cycle)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self._others) >= MAX_CONNECTIONS:
            silent = next((other for other in self._others if not other.has_request), self)
            silent.transport.abort()
            self._others.pop(silent, None)
        self._others[self] = None
        self._deadline = self.loop.call_later(EXCHANGE_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._others.pop(self, None)
        super().connection_lost(exc)


class _OneExchange:
    """Has each connection closed behind its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                headers = cast("list[tuple[bytes, bytes]]", message.setdefault("headers", []))
                headers += [(b"connection", b"close"), (b"x-content-type-options", b"nosniff")]
            await send(message)

        await self._app(scope, receive, cast("Send", send_and_close))


class _KnownHosts:
    """Refuses requests that name another host."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "")
        if not host or is_known_host(host, self._names):
            await self._app(scope, receive, send)
        else:
            answer = PlainTextResponse("this daemon has another name\n", 421)
            await answer(scope, receive, send)


def is_known_host(host: str, names: frozenset[str]) -> bool:
    """Whether a `Host` header has an address or one of the names, perhaps with a port."""
    name, _, port = host.rpartition(":")
    if not port.isdigit() or not name:
        name = host
    name = name.strip("[]").lower().rstrip(".")
    if name in names:
        return True
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
