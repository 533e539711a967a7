"""Opens outputs to files as tests want them, and looks at what is in their folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from logd.outputs.files.output import FileOutput
from tests.outputs.output_making import (
    Clock,
    make_settings,
)

OTHER = b"another session!"


NOON = 1_790_000_000.0


def opened(
    made: list[FileOutput], folder: Path, pattern: str = "app_%d.log", **changes: Any
) -> FileOutput:
    """An open output with the marks as its attribute `marks`."""
    clock = changes.pop("clock", Clock())
    output = FileOutput(str(folder / pattern), make_settings(folder, **changes), clock=clock)
    made.append(output)
    output.open()
    return output


def names(folder: Path) -> list[str]:
    """The files that are not hidden."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
