"""Who looked for what, from where: logs hold personal data.

Told on standard error, and by the daemon in the log itself, so that it is kept as long as what was
looked at. If the daemon is away, its records wait in memory, as those of any client.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from logd.settings.secrets import reveal
from logd.settings.table import Config
from logd.web.sessions import User
from logd_client import LogdHandler

AGAIN_S = 60.0
"""One search is several requests: it is told of once in this time."""

MAX_REMEMBERED = 10_000
UNTOLD = frozenset({"about", "ledger"})
"""Tasks that show no records."""

SELECTING = ("q", "f", "x", "case", "from", "to", "cursor", "as")
MAX_SHOWN_CHARS = 500

EXIT_S = 1.0
"""A server that ends waits for a daemon that is away no longer than this."""

_ALL_ADDRESSES = ("", "0.0.0.0", "::")

logger = logging.getLogger(__name__)


class Audit:
    """Tells of searches, if the settings say so; owns a connection to the daemon until `close`.

    Args:
        config: the settings, which name the daemon, too.
    """

    def __init__(self, config: Config) -> None:
        self._is_on = config.web_audit
        self._told: dict[tuple[str, ...], float] = {}
        self._handler = _handler(config) if self._is_on else None
        if self._is_on:
            # In a site that shows warnings only, too.
            logger.setLevel(logging.INFO)
        if self._handler is not None:
            logger.addHandler(self._handler)

    def tell(
        self, user: User, peer: str, task: str, parameters: Mapping[str, Sequence[str]]
    ) -> None:
        """Tell who looks for what, from where; once a minute.

        Args:
            user: who asks.
            peer: the address that the request comes from.
            task: what is asked for.
            parameters: of the request.
        """
        if not self._is_on or task in UNTOLD:
            return
        now = time.monotonic()
        key = (user.name, peer, _shown(parameters))
        if now - self._told.get(key, -AGAIN_S) < AGAIN_S:
            return
        if len(self._told) >= MAX_REMEMBERED:
            self._told.clear()
        self._told[key] = now
        extra = {"web_user": user.name, "web_task": task}
        logger.info("%s looked from %s for %s", *key, extra=extra)

    def close(self) -> None:
        """Deliver what was told, and disconnect."""
        if self._handler is not None:
            logger.removeHandler(self._handler)
            self._handler.close()
            self._handler = None


def refused(peer: str) -> None:
    """Tell that somebody could not sign in."""
    logger.warning("a sign-in from %s was refused", peer)


def _handler(config: Config) -> LogdHandler | None:
    """A way to the daemon of these settings; None if it takes TLS only."""
    token = None if config.token is None else reveal(config.token)
    if config.socket is not None and Path(config.socket).exists():
        return LogdHandler(socket=config.socket, token=token, exit_timeout_s=EXIT_S, environ={})
    ports = [port for port in config.port if port]
    if not ports:
        return None
    host = config.host[0] if config.host else ""
    return LogdHandler(
        "localhost" if host in _ALL_ADDRESSES else host,
        ports,
        token=token,
        exit_timeout_s=EXIT_S,
        environ={},
    )


def _shown(parameters: Mapping[str, Sequence[str]]) -> str:
    words = [f"{name}={value}" for name in SELECTING for value in parameters.get(name, ())]
    return " ".join(words)[:MAX_SHOWN_CHARS] or "everything"
