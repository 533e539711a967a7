"""The folder that the daemon works in, where relative paths of its settings start.

Somebody may remove it: before the start, from under a shell that is still in it, or while the
daemon runs. Then relative paths lead nowhere, and the system can't even say which folder it was.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from logd.daemon.repeating import Repeating
from logd.errors import StartupError
from logd.outputs.disk import make_folder
from logd.settings.table import SETTINGS, Config

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0

_ONE, _OTHER = Path("/one"), Path("/other")


def relative_settings(config: Config) -> Iterator[str]:
    """The names of settings with paths that start in the working folder."""
    for name, setting in SETTINGS.items():
        value = getattr(config, name)
        if setting.kind.based(value, _ONE) != setting.kind.based(value, _OTHER):
            yield name
    if not config.state_folder.is_absolute():
        yield "state_dir"


class WorkingFolder(Repeating):
    """Sees that there is one; a companion of the daemon.

    Args:
        config: the settings at the start.
        look_every_s: how often it looks.

    Raises:
        StartupError: it is gone, and the settings need it.
    """

    def __init__(self, config: Config, look_every_s: float = LOOK_EVERY_S) -> None:
        super().__init__()
        self._look_every_s = look_every_s
        self._problem = ""
        relative = next(relative_settings(config), None)
        self._is_needed = relative is not None
        try:
            self._path = Path.cwd()
        except FileNotFoundError as exc:
            if relative is not None:
                raise StartupError(
                    f"{relative}: its path starts in the working folder, which was removed: start "
                    "the daemon in another one, or name paths from / on"
                ) from exc
            self._path = Path("/")
            os.chdir(self._path)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._look_every_s)
            self.look()

    def look(self) -> None:
        """If the folder was removed, make it again; or go to / if nothing needs it."""
        try:
            Path.cwd()
        except FileNotFoundError:
            pass
        else:
            return
        if not self._is_needed:
            self._path = Path("/")
        try:
            make_folder(self._path)
            os.chdir(self._path)
        except OSError as exc:
            if str(exc) != self._problem:
                self._problem = str(exc)
                logger.error("the working folder was removed, and can't be made again: %s", exc)
            return
        self._problem = ""
        if self._is_needed:
            logger.warning("the working folder %s was removed, and is made again", self._path)
