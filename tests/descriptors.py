"""Files this process holds open; other threads may open and close what they like meanwhile."""

from __future__ import annotations

import contextlib
from pathlib import Path


def open_below(folder: Path) -> list[Path]:
    """Files in `folder` that are open, once for each descriptor."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = descriptor.readlink()
            if target.is_relative_to(folder):
                found.append(target)
    return found
