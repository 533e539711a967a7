"""One connection of a browser, which gets no more patience than a browser needs.

uvicorn waits for a request for as long as somebody keeps a connection, and takes any number of
them: a few hundred that say nothing would keep everybody else out.
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 500
"""Of more, the one that has waited longest for its request is closed."""

REQUEST_S = 10.0
"""How long the head of a request may take."""


class PageConnection(H11Protocol):
    """Closes itself if no request comes, or only very slowly."""

    _deadline: asyncio.TimerHandle | None = None
    _since = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered."""
        return not bool(self.cycle) or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._await_request()
        if len(self.connections) > MAX_CONNECTIONS:
            others = [cast("PageConnection", other) for other in self.connections]
            waiting = [other for other in others if other.is_waiting]
            min(waiting, key=lambda other: other._since).transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.is_waiting:
            self._await_request()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        # All of the head within the time, not each byte of it.
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_S, self._give_up)

    def _give_up(self) -> None:
        if self.is_waiting:
            self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
