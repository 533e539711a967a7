"""Records on disk that no output of the settings will ever take, and files set aside for people.

A queue belongs to an output by its name. If the settings spell it differently, or name it no more
(the database moved), its records stay: they are named at each start, in `logd status` and in
metrics, and `logd queue` exports them or sends them elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from logd.outputs.queuefolder import PREFIX, QueueFolder, folder_name, queue_folders
from logd.outputs.segment import count_records, find_output

SPOOL_PREFIX = "spool-"


class LeftBehind(NamedTuple):
    """One queue, or one spool of an older version.

    Attributes:
        path: the folder, or the file of a spool.
        output: the output it was for, as far as that is known.
        records: how many records wait in it; None for a spool.
        size: its bytes on disk.
    """

    path: Path
    output: str
    records: int | None
    size: int

    @property
    def is_left(self) -> bool:
        """Whether it is still there: `logd queue send --remove` takes it away."""
        return self.path.is_file() or bool(QueueFolder(self.path).segments())

    def __str__(self) -> str:
        """A line for people."""
        count = "" if self.records is None else f"{self.records:,} records, "
        return f"{self.path} ({count}{self.size:,} bytes) for output {self.output}"


def queues(state: Path) -> list[LeftBehind]:
    """All queues and old spools in a state folder that hold anything."""
    found = []
    for folder in queue_folders(state):
        paths = QueueFolder(folder).segments()
        name = next(filter(None, map(find_output, paths)), folder.name.removeprefix(PREFIX))
        size = sum(path.stat().st_size for path in paths)
        found.append(LeftBehind(folder, name, sum(map(count_records, paths)), size))
    for path in sorted(state.glob(f"{SPOOL_PREFIX}*")):
        if path.is_file() and not path.is_symlink():
            name = path.name.removeprefix(SPOOL_PREFIX)
            found.append(LeftBehind(path, name, None, path.stat().st_size))
    return found


def left_behind(state: Path, outputs: Iterable[str]) -> list[LeftBehind]:
    """Those that none of the outputs, by the names of the settings, will take."""
    wanted = {folder_name(output) for output in outputs}
    return [one for one in queues(state) if one.path.name not in wanted]
