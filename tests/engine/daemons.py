"""Daemons around an engine: one that takes records, one that stores them, and what it stored."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from tests.daemon_process import DaemonProcess, running
from tests.engine.engines import Engine


@contextlib.contextmanager
def ingest(engine: Engine, folder: Path, *options: str, **urls: object) -> Iterator[DaemonProcess]:
    """A daemon that writes to the engine."""
    folder.mkdir(exist_ok=True)
    output = engine.output(**{"partitions": 2, **urls})
    with running("--output", output, *options, folder=folder) as daemon:
        yield daemon


def store(
    engine: Engine, folder: Path, *options: str, partitions: str = "0-1", **more: object
) -> DaemonProcess:
    """A daemon that writes files, a log for each partition; the caller ends it."""
    folder.mkdir(exist_ok=True)
    source = engine.source(partitions=partitions)
    if not {"--file", "--db"} & set(options):
        options = ("--file", "log_%p_%d.log", *options)
    return DaemonProcess("--source", source, *options, folder=folder, port=None, **more)  # type: ignore[arg-type]


def texts(folder: Path, pattern: str = "log_*_*.log") -> list[str]:
    """What the records of clients in the files say, partition by partition."""
    found = []
    for path in sorted(folder.glob(pattern)):
        found += re.findall(r"\brecord \d+\b", path.read_text())
    return found


def numbered(first: int, last: int) -> list[str]:
    """What such records say."""
    return [f"record {number}" for number in range(first, last + 1)]
