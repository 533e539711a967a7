"""The control socket of a running daemon, as commands use it: where it is, and how to ask.

Blocking, for short-lived commands; the daemon's end is `logd.daemon.control`, which describes
what may be asked. Both sides speak lines of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from logd.config import Config
from logd.errors import LogdError

NAME = "control.sock"
"""What the socket is called in the daemon's state folder, where `control` is not set."""

SYSTEM_CONFIG = Path("/etc/logd/logd.toml")
"""Settings of the system's daemon: its socket is tried where nothing else was named."""

TIMEOUT_S = 15.0
"""How long an answer may take: longer than the daemon waits for its outputs."""

_LONGEST_ADDRESS = 107
"""Bytes of a path in a Unix socket's address."""


def control_path(config: Config) -> Path:
    """The path of the control socket for these settings."""
    return Path(config.control) if config.control is not None else config.state_folder / NAME


def candidates(
    control: str | None = None,
    config_file: str | None = None,
    *,
    system_config: Path = SYSTEM_CONFIG,
) -> list[Path]:
    """The sockets to try, in this order.

    Args:
        control: path of the socket, as the user gave it; nothing else counts then.
        config_file: the daemon's settings file, as the user gave it.
        system_config: the system's settings file.

    Raises:
        ConfigError: settings can't be read.
    """
    # Late, for commands that are given the path need no settings.
    from logd.config_sources import ConfigError, Sources, load

    if control is not None:
        return [Path(control)]
    sources = Sources.of_process({}, config_file)
    own = load(sources).config
    paths = [control_path(own)]
    is_named = sources.file is not None or own.control is not None
    if not is_named and system_config.exists():
        # It may be for others: then its socket is too.
        with contextlib.suppress(ConfigError):
            system = load(Sources(environment=sources.environment, file=system_config)).config
            paths.append(control_path(system))
    return paths


@contextlib.contextmanager
def short_address(path: Path | str) -> Iterator[str]:
    """An address for a Unix socket at `path`, however long that is; valid inside the block."""
    text = os.fspath(path)
    if len(os.fsencode(text)) <= _LONGEST_ADDRESS:
        yield text
        return
    folder = os.open(Path(text).parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{Path(text).name}"
    finally:
        os.close(folder)


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
                refusals.append(f"{path} ({exc.strerror or exc})")
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
        """What the daemon sends, till it hangs up; after a follow it may send for ever.

        Raises:
            OSError: the connection broke; TimeoutError where nothing came in time.
        """
        for line in self._lines:
            # The daemon may have been cut off in the middle of the last one.
            if line.endswith(b"\n"):
                yield json.loads(line)

    def wait_for_ever(self) -> None:
        """From now on `lines` waits as long as it takes."""
        self._socket.settimeout(None)


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
