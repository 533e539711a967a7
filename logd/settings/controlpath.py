"""Where the control socket of a running daemon is, and how to name it to the system."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from logd.settings.table import Config

NAME = "control.sock"
FEED_NAME = "feed.sock"
"""What the socket is called in the daemon's state folder, if `control` is not set."""

SYSTEM_CONFIG = Path("/etc/logd/logd.toml")
"""Settings of the system's daemon: its socket is tried if nothing else was named."""

_MAX_ADDRESS_CHARS = 107
"""Bytes of a path in a Unix socket's address."""


def control_path(config: Config) -> Path:
    """The path of the control socket for these settings."""
    return Path(config.control) if config.control is not None else config.state_folder / NAME


def feed_path(config: Config) -> Path:
    """The path of the feed socket for these settings."""
    return Path(config.feed) if config.feed is not None else config.state_folder / FEED_NAME


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
    from logd.settings.loading import ConfigError, load
    from logd.settings.sources import Sources

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
    if len(os.fsencode(text)) <= _MAX_ADDRESS_CHARS:
        yield text
        return
    folder = os.open(Path(text).parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{Path(text).name}"
    finally:
        os.close(folder)
