"""The folder for queues and dead letters (`state_dir`): made, or refused if it is a stranger's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from logd.errors import StartupError
from logd.outputs.disk import make_folder
from logd.settings.table import Config


def make_state_folder(config: Config) -> None:
    """Make the folder for dead letters and queues, or see that it is nobody else's.

    Raises:
        StartupError: it can't be used.
    """
    folder = config.state_folder
    try:
        make_folder(folder)
        if config.state_dir is None:
            _check_found_folder(folder)
    except OSError as exc:
        raise StartupError(
            f"state_dir {folder}: {exc.strerror}; make the folder, or choose another"
        ) from exc


def _check_found_folder(folder: Path) -> None:
    """See that a state folder nobody named was not put there by a stranger.

    If others may write to the folder of the log (`/tmp`), they could have made it first, to read
    the dead letters, or a link that leads them elsewhere.
    """
    state = folder.lstat()
    owners = (os.geteuid(), 0, folder.parent.stat().st_uid)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid not in owners:
        raise StartupError(
            f"state_dir: {folder} is a link or belongs to user id {state.st_uid}: "
            "name a folder of this daemon's own with state_dir"
        )
