"""The places that settings come from, kept to read them again at a reload."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FILE_VARIABLE = "LOGD_CONFIG"


@dataclass(frozen=True)
class Sources:
    """The places to read settings from, kept to read them again at a reload.

    Attributes:
        command_line: setting's name -> text of its option, or texts if it may be repeated;
            only the options that were given.
        environment: variables as in `os.environ`; what has nothing to do with logd is left out.
        file: the TOML file, None for none.
    """

    command_line: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None

    @classmethod
    def of_process(
        cls, command_line: Mapping[str, str | tuple[str, ...]], file: str | None = None
    ) -> Sources:
        """The sources of this process; the file is the one given or that of LOGD_CONFIG."""
        environment = {name: os.environ[name] for name in os.environ if name.startswith("LOGD_")}
        file = file or environment.get(FILE_VARIABLE)
        # Absolute, as a reload may come after a change of folder.
        return cls(command_line, environment, _whole(Path(file)) if file else None)


def _whole(path: Path) -> Path:
    try:
        # However a file is named, outputs that its relative paths name are the same ones.
        whole = path.absolute()
        return whole.parent.resolve() / whole.name if ".." in whole.parts else whole
    except FileNotFoundError:
        # The working folder was removed, and the file with it: its reader will say so.
        return path
