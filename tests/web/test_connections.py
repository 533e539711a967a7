"""Connections that keep others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="logd web needs starlette and uvicorn: pip install logd[web]")

from starlette.responses import PlainTextResponse
from uvicorn import Config
from uvicorn.server import ServerState

from logd.web import connections
from logd.web.connections import PageConnection

WAIT_S = 30.0
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The port of a server that says "here"."""
    app: Any = PlainTextResponse("here")
    config = Config(app, http=PageConnection, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: PageConnection(config, state, {}), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in tuple(state.connections):
            connection.transport.abort()


async def test_a_head_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes byte by byte is cut in the end, also behind a good request."""
    monkeypatch.setattr(connections, "REQUEST_S", 0.1)
    async with served() as port, asyncio.timeout(WAIT_S):
        for before in (b"", REQUEST):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(before)
            if before:
                assert await reader.readuntil(b"here")
            writer.write(b"GET / HTTP/1.1\r\n")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(1)
            writer.close()


async def test_silent_connections_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many connections the one that is silent for longest is closed."""
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    async with served() as port, asyncio.timeout(WAIT_S):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        assert await reader.readuntil(b"here")
        for old_reader, _ in silent[:3]:
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await old_reader.readexactly(1)
        for _, other in (*silent, (reader, writer)):
            other.close()
