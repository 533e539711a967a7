"""The page beside a daemon on a laptop: `logd serve --web ADDRESS` runs `logd web` as a child."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

from logd.errors import StartupError
from logd.settings.kinds import Flag
from logd.settings.loading import InForce
from logd.settings.table import SETTINGS

STOP_S = 10.0


@contextlib.contextmanager
def page_beside(in_force: InForce) -> Iterator[None]:
    """Run the page for as long as the block, if its address was given.

    A process, not a thread: what it reads never slows the daemon down, and may end without it.

    Raises:
        StartupError: packages are missing.
    """
    if in_force.origins["web"] == "default":
        yield
        return
    if any(find_spec(name) is None for name in ("starlette", "uvicorn")):
        raise StartupError("web: the page needs more packages: pip install 'logd[web]'")
    command = [sys.executable, "-m", "logd", "web", *options(in_force)]
    child = subprocess.Popen(command)  # noqa: S603 - our own command, its options were checked
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()


def options(in_force: InForce) -> list[str]:
    """The command line that brings the page to the same settings; the environment is inherited."""
    sources = in_force.config.sources
    if sources is None:
        return []
    found = [] if sources.file is None else ["--config", str(sources.file)]
    for name, value in sources.command_line.items():
        setting = SETTINGS[name]
        if isinstance(setting.kind, Flag):
            found.append(setting.option if value == "true" else f"--no-{setting.option[2:]}")
        else:
            values = (value,) if isinstance(value, str) else value
            for one in values:
                found += [setting.option, one]
    return found
