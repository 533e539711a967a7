"""Finds the settings of a daemon, for commands that read its log or talk to it."""

from __future__ import annotations

from collections.abc import Mapping

from logd.settings.controlpath import SYSTEM_CONFIG
from logd.settings.loading import InForce, load
from logd.settings.sources import FILE_VARIABLE, Sources


def reader_settings(
    given: Mapping[str, str | tuple[str, ...]], config_file: str | None, *, has_token: bool = False
) -> InForce:
    """The settings of a file that is named, else of LOGD_CONFIG, else of the system's daemon.

    Args:
        given: settings from the command line, by name.
        config_file: the file, as the user gave it.
        has_token: whether the token is needed: a reader of the log need not be able to read it.

    Raises:
        ConfigError: the settings can't be used.
    """
    if not has_token:
        given = {"token_file": "", **given}
    sources = Sources.of_process(given, config_file)
    if sources.file is None and FILE_VARIABLE not in sources.environment and SYSTEM_CONFIG.exists():
        sources = Sources.of_process(given, str(SYSTEM_CONFIG))
    return load(sources)
