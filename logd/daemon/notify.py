"""Tells systemd how the service is doing, over the socket it named in the environment.

The protocol is that of sd_notify(3): datagrams of `NAME=value` lines to `$NOTIFY_SOCKET`. Without
that variable every call does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import time

logger = logging.getLogger(__name__)


class ServiceManager:
    """The service manager's side of this process; made once, at start.

    Attributes:
        watchdog_s: how often the manager wants a sign of life, in seconds; 0 if it wants none.
    """

    def __init__(self, environ: dict[str, str] | os._Environ[str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        wanted_by = environ.get("WATCHDOG_PID")
        wanted = wanted_by is None or wanted_by == str(os.getpid())
        self.watchdog_s = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if wanted else 0.0

    def ready(self, status: str) -> None:
        """The service is up: outputs are open and sockets listen."""
        self._send(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={text}")

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, text: str) -> None:
        """The service has begun to stop."""
        self._send(f"STOPPING=1\nSTATUS={text}")

    def goes_on_stopping(self, within_s: float) -> None:
        """The stop is not over and goes on; the next sign comes within this many seconds."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(within_s * 1e6)}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.sendto(message.encode(), self._address)
        except OSError as exc:
            # The manager learns it from our exit; a log daemon does not stop for that.
            logger.warning("can't tell systemd %s: %s", message.split("\n")[0], exc)
