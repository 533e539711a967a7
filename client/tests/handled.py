"""What goes through a `LogdHandler` in tests."""

from __future__ import annotations

import logging
from typing import Any

from ack_server import AckServer

from logd_client import LogdHandler


def own_handler(logger: logging.Logger) -> LogdHandler:
    """The handler under test; pytest adds some of its own."""
    (handler,) = (one for one in logger.handlers if isinstance(one, LogdHandler))
    return handler


def stored(logger: logging.Logger, server: AckServer) -> list[Any]:
    """All that was logged, once it is stored."""
    assert own_handler(logger).flush(60)
    return server.records
