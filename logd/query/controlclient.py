"""Asks a running daemon by its control socket.

Blocking, for short-lived commands; the daemon's end is `logd.daemon.control`, which describes
what may be asked. Both sides speak lines of JSON.
"""

from __future__ import annotations

import grp
import json
import pwd
import socket
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from logd.errors import LogdError
from logd.settings.controlpath import short_address

TIMEOUT_S = 15.0
"""How long an answer may take: longer than the daemon waits for its outputs."""


class ControlClient:
    """A connection to a daemon's control socket; a context manager.

    Args:
        paths: the sockets to try; the first that answers is used.
        timeout_s: how long one answer may take.

    Attributes:
        path: the socket that answered.

    Raises:
        LogdError: no daemon answers; the text names what was tried and what to do.
    """

    def __init__(self, paths: Sequence[Path], timeout_s: float = TIMEOUT_S) -> None:
        refusals = []
        for path in paths:
            try:
                self._socket = _connected(path, timeout_s)
            except OSError as exc:
                refusals.append(f"{path.absolute()} ({exc.strerror or exc}{_advice(path, exc)})")
            else:
                self.path = path
                self._lines = self._socket.makefile("rb")
                return
        raise LogdError(
            f"no daemon answers on {' or '.join(refusals)}; name its control socket with "
            "--control PATH, or its settings with --config FILE"
        )

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()

    def ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        """Ask, and return the answer.

        Raises:
            LogdError: the daemon refused, hung up or took too long.
        """
        try:
            self._socket.sendall(json.dumps(request).encode("ascii") + b"\n")
            answer = next(self.lines(), None)
        except TimeoutError as exc:
            raise LogdError(
                f"the daemon on {self.path} does not answer within "
                f"{self._socket.gettimeout() or 0:g} s"
            ) from exc
        except OSError as exc:
            raise LogdError(f"the daemon on {self.path} hung up: {exc.strerror or exc}") from exc
        if answer is None:
            raise LogdError(f"the daemon on {self.path} hung up")
        if "error" in answer:
            raise LogdError(f"the daemon on {self.path}: {answer['error']}")
        return answer

    def lines(self) -> Iterator[dict[str, Any]]:
        """What the daemon sends, until it hangs up; after a follow it may send forever.

        Raises:
            OSError: the connection broke; TimeoutError if nothing came in time.
        """
        for line in self._lines:
            # The daemon may have been cut off in the middle of the last one.
            if line.endswith(b"\n"):
                yield json.loads(line)


def _advice(path: Path, exc: OSError) -> str:
    """Whom to become to use a socket that this user may not."""
    if not isinstance(exc, PermissionError):
        return ""
    # A user that may not look into the folder learns whose the folder is.
    for place in (path, *path.absolute().parents):
        try:
            state = place.stat()
        except OSError:
            continue
        user = _name(pwd.getpwuid, state.st_uid)
        advice = f": become its user, sudo -u {user}"
        if stat.S_ISSOCK(state.st_mode) and state.st_mode & stat.S_IWGRP:
            advice += f", or join its group {_name(grp.getgrgid, state.st_gid)}"
        return advice
    return ""


def _name(find: Callable[[int], Sequence[Any]], number: int) -> str:
    try:
        return str(find(number)[0])
    except KeyError:
        return f"'#{number}'"


def _connected(path: Path, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        with short_address(path) as address:
            sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock
