"""Lets the tests of the client import what they share: `ack_server`, `delivery` and others here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.shared_fixtures import free_port, no_client_is_left

if TYPE_CHECKING:
    from ack_server import AckServer

__all__ = ["free_port", "no_client_is_left", "server"]

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def server() -> Iterator[AckServer]:
    """A server that behaves."""
    from ack_server import AckServer

    with AckServer() as made:
        yield made


@pytest.fixture
def connect() -> Iterator[Callable[..., Any]]:
    """Makes logs to a server, closes them at the end."""
    from delivery import LOOPBACK

    from logd_client import createClientLog

    logs = []

    def make(to: AckServer | int, **kwargs: Any) -> Any:
        port = to if isinstance(to, int) else to.port
        kwargs.setdefault("exit_timeout_s", 0.0)
        log = createClientLog(LOOPBACK, (port,), **kwargs)
        logs.append(log)
        return log

    yield make
    for log in logs:
        log.close()


@pytest.fixture
def logger(server: AckServer) -> Iterator[logging.Logger]:
    """A logger with a handler to the server."""
    from delivery import LOOPBACK

    from logd_client import LogdHandler

    made = logging.getLogger("shop.cart")
    made.propagate = False
    made.setLevel(1)
    handler = LogdHandler(LOOPBACK, (server.port,))
    made.addHandler(handler)
    yield made
    made.removeHandler(handler)
    handler.close()
