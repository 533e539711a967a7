"""What tests say about the clients that the fixture `connect` makes for them."""

from __future__ import annotations

from collections.abc import Callable

from logd_client.log import Log

Connect = Callable[..., Log]
"""Makes a log to a port of this machine; keyword arguments are those of `createClientLog`."""
